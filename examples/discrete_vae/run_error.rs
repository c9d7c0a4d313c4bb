//! The error of a run.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use stochgrad::graph::GraphError;
use stochgrad::nn::NnError;
use stochgrad::tape::TapeError;

use crate::output::OutputError;
use crate::usage_error::UsageError;

/// The error of a run.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum RunError {
    /// The command line is invalid, or contradicts a checkpoint.
    Usage(UsageError),
    /// A file of results cannot be written or read.
    Output(OutputError),
    /// Data, parameters or a checkpoint are invalid.
    Nn(NnError),
    /// The model cannot be recorded or differentiated.
    Graph(GraphError),
    /// The operating system refused a request before the run began.
    System {
        /// The request.
        what: &'static str,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl RunError {
    /// 2 for an invalid command line, otherwise 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(error) => error.exit_code(),
            _ => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => error.fmt(f),
            Self::Output(error) => error.fmt(f),
            Self::Nn(error) => error.fmt(f),
            Self::Graph(error) => error.fmt(f),
            Self::System { what, source } => write!(f, "cannot {what}: {source}"),
        }
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Usage(error) => error.source(),
            Self::Output(error) => error.source(),
            Self::Nn(error) => error.source(),
            Self::Graph(error) => error.source(),
            Self::System { source, .. } => Some(&**source),
        }
    }
}

macro_rules! sources {
    ($($source:ty => $variant:ident,)*) => {$(
        impl From<$source> for RunError {
            fn from(error: $source) -> Self {
                Self::$variant(error.into())
            }
        }
    )*};
}

sources! {
    UsageError => Usage,
    OutputError => Output,
    NnError => Nn,
    GraphError => Graph,
    TapeError => Graph,
}
