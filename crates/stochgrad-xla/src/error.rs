//! The errors of this crate.

use std::panic::Location;
use std::path::PathBuf;

/// The result of functions of this crate.
pub type XlaResult<T> = Result<T, XlaError>;

stochgrad_tensor::message_as_debug!(XlaError);

/// An error of lowering a graph, of a plugin, or of a device.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum XlaError {
    /// An operation has no lowering.
    #[error("expected operations that can be lowered to StableHLO, got {operation}, recorded at {at}: {reason}")]
    NoLowering {
        /// The operation, in words.
        operation: String,
        /// The line that recorded it.
        at: &'static Location<'static>,
        /// Why there is none, and what to try.
        reason: String,
    },

    /// A file cannot be loaded as a PJRT plugin.
    #[error(
        "expected a PJRT plugin in {}, got {problem}; name the shared library itself, such as \
         pjrt_c_api_cpu_plugin.so of the Python package lammps-jax-pjrt-cpu", path.display()
    )]
    NotAPlugin {
        /// The file.
        path: PathBuf,
        /// What is there instead.
        problem: String,
    },

    /// A plugin is older than this crate can use.
    #[error(
        "expected a plugin of version {}.{} of the PJRT API or later, got version {}.{} in {}; install a newer release \
         of the plugin", expected.0, expected.1, got.0, got.1, path.display()
    )]
    OldPlugin {
        /// The file.
        path: PathBuf,
        /// The oldest version that is supported.
        expected: (i32, i32),
        /// The version of the plugin.
        got: (i32, i32),
    },

    /// The memory of a device is exhausted.
    #[error("the memory of the device is exhausted while {doing}: {message}; use smaller batches or fewer samples")]
    OutOfMemory {
        /// What was to be done.
        doing: &'static str,
        /// The message of the plugin.
        message: String,
    },

    /// An error that a plugin reports.
    #[error("the PJRT plugin reports an error while {doing}: {message}")]
    Plugin {
        /// What was to be done.
        doing: &'static str,
        /// The message of the plugin.
        message: String,
    },

    /// A value differs from what a program or a function expects.
    #[error("{what}: expected {expected}, got {got}; {advice}")]
    Mismatch {
        /// What is concerned.
        what: String,
        /// What is expected.
        expected: String,
        /// What there is.
        got: String,
        /// What to try.
        advice: String,
    },

    /// A run fails: a parameter of a distribution is outside its domain, or a gradient is NaN, for example.
    #[error("step {step}: {problem}")]
    Run {
        /// The step.
        step: u64,
        /// What is wrong, and what to try.
        problem: String,
    },

    /// An error of a graph.
    #[error(transparent)]
    Graph(#[from] stochgrad_graph::GraphError),

    /// An error of an optimiser.
    #[error(transparent)]
    Optimizer(#[from] stochgrad_nn::NnError),
}

impl XlaError {
    /// The error for a name that is not known.
    pub(crate) fn unknown(what: &str, name: &str, known: &[String]) -> Self {
        XlaError::Mismatch {
            what: what.into(),
            expected: format!("one of {}", known.join(", ")),
            got: format!("\"{name}\""),
            advice: "use the name under which it was recorded".into(),
        }
    }
}
