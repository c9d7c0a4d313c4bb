//! Noise of some nodes that is drawn again, while the others keep theirs.

use crate::address::Address;
use crate::graph::Graph;
use stochgrad_tensor::Real;

/// Which nodes of a graph draw other noise than a graph with the same seed; see [`Graph::redraw_noise`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedrawnNoise {
    addresses: Vec<Address>,
    all_but: bool,
}

impl RedrawnNoise {
    /// No node.
    pub fn none() -> Self {
        Self::default()
    }

    /// The nodes, masks and environments of these addresses. An address without an index stands for all of its name.
    pub fn of<A: Into<Address>>(addresses: impl IntoIterator<Item = A>) -> Self {
        RedrawnNoise { addresses: addresses.into_iter().map(Into::into).collect(), all_but: false }
    }

    /// All nodes, masks and environments except those of these addresses.
    pub fn all_but<A: Into<Address>>(addresses: impl IntoIterator<Item = A>) -> Self {
        RedrawnNoise { all_but: true, ..Self::of(addresses) }
    }

    /// Whether no noise is redrawn.
    pub fn is_none(&self) -> bool {
        self.addresses.is_empty() && !self.all_but
    }

    fn applies(&self, address: &Address, named: &Address) -> bool {
        self.addresses.iter().any(|one| one.covers(address) || one.covers(named)) != self.all_but
    }
}

impl<F: Real> Graph<'_, F> {
    /// Draws the noise of some nodes independently of a graph with the same seed, and leaves that of the others as it
    /// is: to find the share of a node in a variance. Call it before the nodes are sampled.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, RedrawnNoise, Seed};
    /// use stochgrad_tape::Tape;
    ///
    /// let draw = |redrawn: &RedrawnNoise| {
    ///     let tape = Tape::<f64>::new();
    ///     let graph = Graph::new(&tape, Seed::new(7));
    ///     graph.redraw_noise(redrawn);
    ///     let [a, b] = ["a", "b"].map(|name| graph.mask(name, 0.5, &[], [64]));
    ///     Ok::<_, stochgrad_graph::GraphError>((a?.value()?.to_vec(), b?.value()?.to_vec()))
    /// };
    /// let (first, redrawn) = (draw(&RedrawnNoise::none())?, draw(&RedrawnNoise::of(["a"]))?);
    /// assert!(first.0 != redrawn.0 && first.1 == redrawn.1);
    /// assert_eq!(redrawn, draw(&RedrawnNoise::all_but(["b"]))?);
    /// # Ok::<(), stochgrad_graph::GraphError>(())
    /// ```
    pub fn redraw_noise(&self, redrawn: &RedrawnNoise) {
        self.state_mut().redrawn_noise = redrawn.clone();
    }

    /// An address with the mark of redrawn noise, if it applies. `named` is the address as it was passed.
    pub(crate) fn with_noise_of(&self, address: Address, named: &Address) -> Address {
        let redrawn = &self.state().redrawn_noise;
        if !redrawn.is_none() && redrawn.applies(&address, named) { address.with_redrawn_noise() } else { address }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Seed;
    use stochgrad_tape::Tape;

    #[test]
    fn names_cover_loops_and_repeated_masks() {
        let draw = |redrawn: RedrawnNoise| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(7));
            graph.redraw_noise(&redrawn);
            let mask = |name: &str| graph.mask(name, 0.5, &[], [64]);
            let first = mask("m").unwrap();
            let again = mask("m").unwrap();
            let (_, steps) = graph.scan("time", 2, (), |_, ()| Ok(((), mask("x")?))).unwrap();
            [first, again, steps].map(|mask| mask.value().unwrap().to_vec())
        };
        let plain = draw(RedrawnNoise::none());
        assert_ne!(plain[0], plain[1]);
        let x = draw(RedrawnNoise::of(["x"]));
        assert_eq!(x[..2], plain[..2]);
        assert!(x[2][..64] != plain[2][..64] && x[2][64..] != plain[2][64..] && x[2][..64] != x[2][64..]);
        let step = draw(RedrawnNoise::of([("x", 1)]));
        assert_eq!(step[2][..64], plain[2][..64]);
        assert_eq!(step[2][64..], x[2][64..]);
        let others = draw(RedrawnNoise::all_but(["x"]));
        assert_eq!(others[2], plain[2]);
        assert!(others[0] != plain[0] && others[1] != plain[1] && others[0] != others[1]);
    }
}
