//! The error of a file of results.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use stochgrad::nn::NnError;

/// The error of a file of results that cannot be written, read or drawn.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum OutputError {
    /// The operating system reported an error.
    Io {
        /// The attempted action, such as "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file cannot be written.
    Write(NnError),
    /// A file of an earlier run does not match the checkpoint.
    Content {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// The expected content.
        expected: String,
        /// The content.
        found: String,
    },
    /// Data that cannot be drawn.
    Drawing {
        /// The picture or curve.
        what: &'static str,
        /// What was expected, and what was found.
        reason: String,
    },
}

impl OutputError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, path, source } => write!(
                f,
                "cannot {action} {}: {source}; check the permissions and free space of the folder, or choose another \
                 --out",
                path.display()
            ),
            Self::Write(error) => write!(f, "{error}; or choose another --out"),
            Self::Content { path, line, expected, found } => write!(
                f,
                "{}, line {line}: expected {expected}, got {found}; start a new run without --resume, or restore the \
                 file that belongs to the checkpoint",
                path.display()
            ),
            Self::Drawing { what, reason } => write!(f, "cannot draw {what}: {reason}"),
        }
    }
}

impl Error for OutputError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Write(error) => error.source(),
            Self::Content { .. } | Self::Drawing { .. } => None,
        }
    }
}

impl From<NnError> for OutputError {
    fn from(error: NnError) -> Self {
        Self::Write(error)
    }
}
