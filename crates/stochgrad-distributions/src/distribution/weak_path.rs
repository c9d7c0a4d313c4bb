//! Samples of a weak reparameterisation, and their noise.

use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// The noise of a weak reparameterisation: what stays fixed when the parameters change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeakNoise {
    /// The proposal that the rejection sampler accepted.
    Proposal {
        /// The number of steps by which the concentration is increased before. More steps bring the noise closer to
        /// normal.
        augmentation: usize,
    },
    /// The logarithm of the sample (for values between 0 and 1 the log-odds), standardised by its mean and standard
    /// deviation.
    Standardized,
}

/// Samples of a weak reparameterisation, with the log-density of their noise.
#[derive(Clone, Copy, Debug)]
pub struct WeakPath<'t, F: Real> {
    /// The samples, differentiable with respect to the parameters at given noise.
    pub value: Var<'t, F>,
    /// The log-density of the noise, differentiable with respect to the parameters at given noise: one number for each
    /// combination of plate members.
    pub log_density: Var<'t, F>,
}
