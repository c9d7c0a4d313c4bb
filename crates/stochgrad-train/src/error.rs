//! The errors of this crate.

use std::io;
use std::path::{Path, PathBuf};

use stochgrad_graph::GraphError;
use stochgrad_nn::NnError;

/// The result of a function of this crate.
pub type TrainResult<T> = Result<T, TrainError>;

/// What can go wrong while data is read and a model is trained.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The model, its recording or a step failed.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Parameters, an optimiser, a checkpoint or a data file.
    #[error(transparent)]
    Nn(#[from] NnError),
    /// A setting that is not accepted.
    #[error("{setting}: expected {expected}, got {found}; {hint}")]
    Setting {
        /// The setting, and the function that takes it.
        setting: &'static str,
        /// What is accepted.
        expected: String,
        /// What was set.
        found: String,
        /// What to try.
        hint: &'static str,
    },
    /// The checkpoint or the settings of a run with other settings.
    #[error(
        "{} belongs to a run with other settings: {}; use these settings, another folder, accept_change(name), or restart() \
         to begin anew",
        path.display(),
        differences.join("; ")
    )]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// What differs: "batch: expected 50, got 100".
        differences: Vec<String>,
    },
    /// A step failed, for instance since a gradient is NaN.
    #[error(
        "training stopped in epoch {epoch}: {source}; {}",
        checkpoint.as_ref().map_or_else(
            || "the parameters are those before this step".into(),
            |path| format!("{} has the last checkpoint", path.display())
        )
    )]
    Step {
        /// The number of completed steps.
        step: u64,
        /// The number of the epoch, from 0.
        epoch: u64,
        /// The last checkpoint, if there is one.
        checkpoint: Option<PathBuf>,
        /// The error, which names the step, the cost or parameter, and the operation.
        source: GraphError,
    },
    /// A signal has ended an earlier run of this program, so that no further one starts.
    #[error(
        "Ctrl-C or SIGTERM has asked the program to end; call it again, and runs with an output folder are resumed"
    )]
    Interrupted,
    /// A parameter that is not finite.
    #[error(
        "parameter \"{parameter}\" is {value} at position {position} after step {step}; lower the learning rate, or \
         clip the gradients"
    )]
    ParameterNotFinite {
        /// The parameter or buffer.
        parameter: String,
        /// The value.
        value: f64,
        /// The first such position, in row-major order.
        position: usize,
        /// The number of completed steps.
        step: u64,
    },
}

stochgrad_tensor::message_as_debug!(TrainError);

impl TrainError {
    pub(crate) fn argument(
        argument: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
        hint: &'static str,
    ) -> Self {
        NnError::InvalidArgument { argument, expected: expected.into(), found: found.into(), hint }.into()
    }

    /// The operating system refused a file operation.
    pub(crate) fn io(action: &'static str, path: &Path, hint: &'static str, source: io::Error) -> Self {
        NnError::Io { action, path: path.into(), hint, source }.into()
    }

    /// A file or folder has another content.
    pub(crate) fn content(
        path: &Path,
        expected: impl Into<String>,
        found: impl Into<String>,
        hint: &'static str,
    ) -> Self {
        NnError::InvalidFile { path: path.into(), expected: expected.into(), found: found.into(), hint }.into()
    }
}
