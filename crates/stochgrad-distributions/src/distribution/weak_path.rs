//! The samples of a weak reparameterisation, and which noise they are a function of.

use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// What of a sample is kept as noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeakNoise {
    /// The proposal that rejection sampling accepted.
    Proposal {
        /// By how much concentrations are raised before.
        augmentation: usize,
    },
    /// The logarithm (of numbers between 0 and 1 the log-odds), by its mean and standard deviation.
    Standardized,
}

/// Samples with what their paths leave out.
#[derive(Clone, Copy, Debug)]
pub struct WeakPath<'t, F: Real> {
    /// The samples, differentiable with respect to the parameters at given noise.
    pub value: Var<'t, F>,
    /// The log-density of the noise, differentiable with respect to the parameters at given noise: one number for each
    /// combination of plate members.
    pub log_density: Var<'t, F>,
}
