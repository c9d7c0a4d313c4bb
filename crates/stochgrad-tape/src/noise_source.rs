//! The seed and the sampling scheme of noise.

use crate::plate::Plate;
use stochgrad_tensor::sampling_scheme::SamplingScheme;

/// The seed and the step of an optimisation. Together with the addresses, they determine all noise of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NoiseSeed {
    /// The seed.
    pub seed: u64,
    /// The step.
    pub step: u64,
}

/// The sampling scheme by which the members of a plate are drawn jointly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoiseScheme {
    /// The scheme.
    pub scheme: SamplingScheme,
    /// The plate, which the noise carries.
    pub plate: Plate,
    /// The address of the random values that determine the strata.
    pub strata: u128,
}
