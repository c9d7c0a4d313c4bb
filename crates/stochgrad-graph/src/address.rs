//! Names of stochastic nodes, and the seed of a run.

use rand::Rng;
use std::fmt;
use stochgrad_distributions::NoiseKey;
use stochgrad_tensor::random::{Key, address_hash};

/// The name of a stochastic node, with an index where several nodes share it: `"z"`, `("x", t)`.
///
/// The address determines the noise of a node. Adding a node does not change the noise of any other node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    name: String,
    index: Option<u64>,
    /// Whether the noise is another one than that of the name and the index.
    redrawn: bool,
}

impl Address {
    /// The index, if the node has one: in a [scan](crate::Graph::scan), the number of the step.
    pub fn index(&self) -> Option<u64> {
        self.index
    }

    pub(crate) fn key(&self) -> NoiseKey {
        let key = NoiseKey::new(&self.name, self.index);
        if self.redrawn { key.purpose("redrawn") } else { key }
    }

    /// The address of another name, with the same indices: that of the innermost loop, and those of the loops around
    /// it, which are parts of the name.
    pub(crate) fn renamed(&self, name: &str) -> Address {
        let outer = self.name.find('[').map_or("", |at| &self.name[at..]);
        Address { name: format!("{name}{outer}"), index: self.index, redrawn: false }
    }

    /// Whether this is an address, or the name of an address with an index.
    pub(crate) fn covers(&self, other: &Address) -> bool {
        self.name == other.name && (self.index.is_none() || self.index == other.index)
    }

    /// The same address, with other noise.
    pub(crate) fn with_redrawn_noise(self) -> Address {
        Address { redrawn: true, ..self }
    }

    /// The address of a node in a step of a loop. An index of its own becomes a part of the name.
    pub(crate) fn at_step(&self, step: usize) -> Address {
        Address { name: self.to_string(), index: Some(step as u64), redrawn: self.redrawn }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}[{index}]", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl From<&str> for Address {
    fn from(name: &str) -> Self {
        Address { name: name.into(), index: None, redrawn: false }
    }
}

impl From<String> for Address {
    fn from(name: String) -> Self {
        Address { name, index: None, redrawn: false }
    }
}

impl From<(&str, usize)> for Address {
    fn from((name, index): (&str, usize)) -> Self {
        Address { name: name.into(), index: Some(index as u64), redrawn: false }
    }
}

/// The seed of a run and the number of its step. Together with the addresses of the nodes, they determine all noise.
///
/// With the feature `serde`, a seed is a table of `seed` and `step`, which is 0 if it is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Seed {
    /// The seed.
    pub seed: u64,
    /// The step.
    #[cfg_attr(feature = "serde", serde(default))]
    pub step: u64,
}

impl Seed {
    /// A seed, at step 0.
    pub fn new(seed: u64) -> Self {
        Seed { seed, step: 0 }
    }

    /// A seed drawn from any random number generator, at step 0.
    ///
    /// Use it in a program that already owns a generator. The generator determines the seed, and the seed determines
    /// all noise of the run.
    ///
    /// ```
    /// use rand::SeedableRng;
    /// use rand::rngs::SmallRng;
    /// use stochgrad_graph::Seed;
    ///
    /// let seed = Seed::from_rng(&mut SmallRng::seed_from_u64(3));
    /// assert_eq!(seed, Seed::from_rng(&mut SmallRng::seed_from_u64(3)));
    /// assert_eq!(seed.step, 0);
    /// ```
    pub fn from_rng<R: Rng + ?Sized>(rng: &mut R) -> Self {
        Seed::new(rng.next_u64())
    }

    /// The seed for a purpose: different for each index, and different from that of the step. The step stays the same,
    /// since the schedules of a model are functions of it.
    ///
    /// ```
    /// use stochgrad_graph::Seed;
    ///
    /// let seed = Seed::new(7).step(3);
    /// let derived = seed.derived("evaluation", 0);
    /// assert_eq!(derived.step, 3);
    /// for other in [seed, seed.derived("evaluation", 1), seed.derived("x", 0), Seed::new(8).derived("evaluation", 0)] {
    ///     assert_ne!(derived.seed, other.seed);
    /// }
    /// ```
    pub fn derived(self, purpose: &str, index: u64) -> Self {
        let mut words = [0; 2];
        Key::new(self.seed, index, address_hash(purpose, &[])).bits(0, &mut words);
        Seed { seed: u64::from(words[0]) | u64::from(words[1]) << 32, step: self.step }
    }

    /// The same seed at another step.
    pub fn step(self, step: usize) -> Self {
        Seed { step: step as u64, ..self }
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::*;

    #[test]
    fn seeds_come_back() {
        let seed = Seed::new(7).step(3);
        let text = serde_json::to_string(&seed).unwrap();
        assert_eq!(text, r#"{"seed":7,"step":3}"#);
        assert_eq!(serde_json::from_str::<Seed>(&text).unwrap(), seed);
        assert_eq!(serde_json::from_str::<Seed>(r#"{"seed": 7}"#).unwrap(), Seed::new(7));
        let message = serde_json::from_str::<Seed>(r#"{"sed": 7}"#).unwrap_err().to_string();
        assert!(message.contains("unknown field `sed`, expected `seed` or `step`"), "{message}");
    }
}
