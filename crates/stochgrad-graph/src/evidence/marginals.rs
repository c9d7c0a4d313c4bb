//! Posterior probabilities of the states of enumerated nodes.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::evidence::elimination::Rule;
use crate::graph::Graph;
use std::panic::Location;
use stochgrad_tape::{PlateSet, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

impl<'t, F: Real> Graph<'t, F> {
    /// The posterior probabilities of the states of some enumerated nodes, given all factors. Each has the event shape
    /// `[states]`, and one row for each member of the plates of the node.
    ///
    /// They are the derivatives of the log-evidence with respect to a factor of the states, and are recorded: they can
    /// be differentiated and compiled. If the evidence is 0, they are 0.
    ///
    /// ```
    /// use stochgrad_distributions::Bernoulli;
    /// use stochgrad_estimators::Enumerate;
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> stochgrad_graph::GraphResult<()> {
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let rain = tape.constant(0.2);
    /// let rains = graph.sample("rains", &Bernoulli::from_probabilities(rain), &Enumerate::new())?;
    /// graph.factor("wet", (rains * 0.8 + 0.1).ln())?;
    /// let [dry, rainy] = graph.posteriors(["rains"])?[0].value()?.as_slice()[..] else { panic!("two states") };
    /// assert!((rainy - 0.18 / 0.26).abs() < 1e-12 && (dry + rainy - 1.0).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`log_evidence`](Self::log_evidence), and for a node that is not enumerated.
    #[track_caller]
    pub fn posteriors<A: Into<Address>>(&self, nodes: impl IntoIterator<Item = A>) -> GraphResult<Vec<Var<'t, F>>> {
        let at = Location::caller();
        let evidence = self.collect_evidence(at);
        let tape = self.tape();
        tape.located(at, || {
            // The plates on which the evidence lies, where a factor of 1 must lie as well.
            let mark = tape.len();
            let plates = PlateSet::from(evidence.eliminate(&[], Rule::Sum)?.log_total.plates());
            tape.truncate(mark);
            let (mut factors, mut leaves) = (Vec::new(), Vec::new());
            for address in nodes {
                let address = address.into();
                let found = evidence.variables.iter().find(|variable| variable.address == address);
                let Some(variable) = found else {
                    let known = evidence.variables.iter().map(|variable| variable.address.to_string());
                    return Err(GraphError::Unknown {
                        what: "enumerated node",
                        name: address.to_string(),
                        known: known.collect::<Vec<_>>().join(", "),
                    });
                };
                let plates = plates.union(&variable.data);
                let sizes = plates.iter().chain([&variable.plate]).map(|plate| tape.plate_size(*plate));
                let leaf = tape.parameter_on(&plates, Tensor::zeros(sizes.collect::<Shape>()));
                factors.push(leaf.event_to_plate(variable.plate));
                leaves.push(leaf);
            }
            let log_evidence = evidence.eliminate(&factors, Rule::Sum)?.log_total;
            let ones = tape.constant(1.0).expand_plates(&log_evidence.plates());
            Ok(tape.vector_jacobian_product(log_evidence, ones, &leaves)?)
        })
    }
}
