//! The sampled values of a node, and the plate along which they are drawn.

use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::Real;
use stochgrad_tensor::sampling_scheme::SamplingScheme;

/// The plate along which a node is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SamplePlate {
    /// One sample, without a plate.
    #[default]
    Single,
    /// The given number of samples, along a new plate that belongs to the node.
    New(usize),
    /// One sample for each member of an existing plate, which other nodes may share.
    Shared(Plate),
}

impl SamplePlate {
    /// The number of samples for each member of the existing plates.
    pub fn samples(self) -> usize {
        match self {
            SamplePlate::New(samples) => samples,
            SamplePlate::Single | SamplePlate::Shared(_) => 1,
        }
    }
}

/// How samples are drawn jointly: by a sampling scheme, in independent groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupedScheme {
    /// The scheme, by which the members of each group are drawn.
    pub scheme: SamplingScheme,
    /// The number of independent groups. With more than one, they lie on a plate of their own, outside of that of their
    /// members.
    pub groups: usize,
}

impl From<SamplingScheme> for GroupedScheme {
    fn from(scheme: SamplingScheme) -> Self {
        GroupedScheme { scheme, groups: 1 }
    }
}

/// The sampled values of a node.
#[derive(Clone, Debug)]
pub struct SampleSet<'t, F: Real> {
    /// The values, along the plates of the parameters and the plate of the set.
    pub value: Var<'t, F>,
    /// The plate of the set, if it has one.
    pub plate: Option<Plate>,
    /// The weights of the members, and whether gradients flow through them; `None` for equal weights.
    pub weights: Option<(Var<'t, F>, bool)>,
}

impl<'t, F: Real> SampleSet<'t, F> {
    /// Values with equal weights.
    pub fn equal(value: Var<'t, F>, plate: Option<Plate>) -> Self {
        SampleSet { value, plate, weights: None }
    }
}
