//! The errors of the lab.

use stochgrad_check::CheckError;
use stochgrad_graph::GraphError;

/// The result of a measurement.
pub type LabResult<T> = Result<T, LabError>;

stochgrad_tensor::message_as_debug!(LabError);

/// Why a measurement could not be made.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// An error of the model.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// An error of the exact oracle.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// A setting outside its domain.
    #[error("{setting}: expected {expected}, got {found}; {advice}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What was expected.
        expected: String,
        /// What was passed.
        found: String,
        /// What to try.
        advice: &'static str,
    },
    /// A check that found something wrong.
    #[error("the check of {name} failed:\n{problem}")]
    Failed {
        /// What was checked.
        name: String,
        /// All failures.
        problem: String,
    },
    /// A report that cannot be written.
    #[error("cannot write {what}: {problem}")]
    Output {
        /// What was to be written.
        what: &'static str,
        /// Why not.
        problem: String,
    },
}

impl LabError {
    pub(crate) fn setting(
        setting: &'static str,
        expected: impl Into<String>,
        found: impl ToString,
        advice: &'static str,
    ) -> Self {
        LabError::Setting { setting, expected: expected.into(), found: found.to_string(), advice }
    }
}
