//! What decides some noise: its distribution, its seed, and the sampling scheme that its members share.

use crate::plate::Plate;
use stochgrad_tensor::sampling_scheme::SamplingScheme;

/// The distribution of some noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fill {
    /// Uniform numbers in the open interval (0, 1).
    Uniform,
    /// Standard normal numbers.
    Normal,
}

/// What decides all noise of a run, together with the addresses: a seed, and the step of an optimisation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NoiseSeed {
    /// The seed.
    pub seed: u64,
    /// The step.
    pub step: u64,
}

/// How the members of a plate share and order some noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoiseScheme {
    /// The plan.
    pub plan: SamplingScheme,
    /// The plate, which the noise carries.
    pub plate: Plate,
    /// The address of the numbers that decide the strata.
    pub strata: u128,
}
