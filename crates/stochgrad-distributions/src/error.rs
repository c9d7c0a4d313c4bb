//! Errors of distributions and noise sources.

use stochgrad_tape::TapeError;

/// The result of a fallible operation on a distribution.
pub type DistributionResult<T> = Result<T, DistributionError>;

/// An error of a distribution or of a noise source.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DistributionError {
    /// A parameter outside its domain.
    #[error("{distribution}: parameter {parameter} must be {expected}, got {found} at position {position}; {hint}")]
    Parameter {
        /// The distribution.
        distribution: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// Its domain.
        expected: &'static str,
        /// The first value outside.
        found: f64,
        /// Its position among the elements.
        position: usize,
        /// What to try.
        hint: &'static str,
    },
    /// A request that this distribution does not support with these parameters.
    #[error("{distribution}: {problem}")]
    Unsupported {
        /// The distribution.
        distribution: &'static str,
        /// What was expected, what was got, and what to try.
        problem: String,
    },
    /// A request that the noise source does not support.
    #[error("noise: {0}")]
    Noise(String),
    /// An error of the tape.
    #[error(transparent)]
    Tape(#[from] TapeError),
}

stochgrad_tensor::message_as_debug!(DistributionError);
