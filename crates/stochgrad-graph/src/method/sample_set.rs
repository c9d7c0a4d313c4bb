//! The values of a node, and the plate along which they are drawn.

use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::Real;

/// Where the members of a sample set live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SamplePlate {
    /// One sample, no plate.
    #[default]
    Single,
    /// That many samples along a plate of the node's own.
    New(usize),
    /// One sample for each member of a plate that exists, shared with other nodes.
    Shared(Plate),
}

impl SamplePlate {
    /// How many samples are drawn for each member of the plates that exist.
    pub fn samples(self) -> usize {
        match self {
            SamplePlate::New(samples) => samples,
            SamplePlate::Single | SamplePlate::Shared(_) => 1,
        }
    }
}

/// The values of a node.
#[derive(Clone, Debug)]
pub struct SampleSet<'t, F: Real> {
    /// The values, along the plates of the parameters and the set's own.
    pub value: Var<'t, F>,
    /// The set's own plate, if it has one.
    pub plate: Option<Plate>,
    /// The weights of the members and whether gradients flow through them; `None` for equal weights.
    pub weights: Option<(Var<'t, F>, bool)>,
}

impl<'t, F: Real> SampleSet<'t, F> {
    /// Equally weighted values.
    pub fn equal(value: Var<'t, F>, plate: Option<Plate>) -> Self {
        SampleSet { value, plate, weights: None }
    }
}
