//! The error type of this crate.

use std::error::Error;
use std::io;
use std::panic::Location;
use std::path::PathBuf;

use stochgrad_graph::GraphError;
use stochgrad_tape::TapeError;
use stochgrad_tensor::TensorError;

/// The result of the fallible functions of this crate.
pub type NnResult<T> = Result<T, NnError>;

/// An error of a parameter, an optimiser, a data set or a checkpoint.
///
/// Messages say what was expected, what was found instead, where, and what to try.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum NnError {
    /// The operating system refused a file operation.
    #[error("cannot {action} {}: {source}; {hint}", path.display())]
    Io {
        /// The operation, as an infinitive.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What to try.
        hint: &'static str,
        /// The system's error.
        source: io::Error,
    },

    /// A file does not exist, or is not a regular file.
    #[error("expected a file at {}, got {found}; {hint}", path.display())]
    NotAFile {
        /// The path where it was expected.
        path: PathBuf,
        /// What is at this path instead.
        found: &'static str,
        /// What to try.
        hint: &'static str,
    },

    /// The folder of a data set does not exist or is not a folder.
    #[error(
        "expected a folder with IDX files at {}, got {found}; check the spelling, or download the data set and unpack \
         it there",
        path.display()
    )]
    MissingFolder {
        /// The path where it was expected.
        path: PathBuf,
        /// What is at this path instead.
        found: &'static str,
    },

    /// Files of a data set are missing in its folder.
    #[error("{} lacks {}; {hint}", folder.display(), missing.join(" and "))]
    MissingFiles {
        /// The folder.
        folder: PathBuf,
        /// The accepted names of each missing file.
        missing: Vec<String>,
        /// What to try.
        hint: String,
    },

    /// A file is compressed.
    #[error(
        "expected an unpacked IDX file, got the gzip archive {}; unpack it with `gunzip --keep {}`",
        path.display(),
        path.display()
    )]
    Compressed {
        /// The archive.
        path: PathBuf,
    },

    /// A data file does not have the expected format.
    #[error("{}: expected {expected}, got {found}; {hint}", path.display())]
    InvalidFile {
        /// The file.
        path: PathBuf,
        /// What the format requires.
        expected: String,
        /// What the file contains.
        found: String,
        /// What to try.
        hint: &'static str,
    },

    /// A recorded rule of an optimiser, of clipping or of an average is wrong.
    #[error("a recorded rule: {0}")]
    Rule(#[from] TapeError),

    /// A cost that depends on the minibatch, but does not lie on its plate.
    #[error(
        "cost \"{name}\": expected a value for each member of plate \"{plate}\", or one that does not depend on the \
         minibatch, got one that was reduced over the plate at {reduced} ({at}); record the cost of each member, which \
         is averaged by itself, and what all members share as a cost of its own; record a joint function of the whole \
         minibatch with record.graph().cost"
    )]
    LostPlate {
        /// The cost.
        name: String,
        /// The plate of the members of the minibatch.
        plate: String,
        /// Where the plate was reduced.
        reduced: &'static Location<'static>,
        /// Where the cost was recorded.
        at: &'static Location<'static>,
    },

    /// An argument has a value that is not accepted.
    #[error("{argument}: expected {expected}, got {found}; {hint}")]
    InvalidArgument {
        /// The argument and the function that takes it.
        argument: &'static str,
        /// The values that are accepted.
        expected: String,
        /// The value that was passed.
        found: String,
        /// What to try.
        hint: &'static str,
    },

    /// A checkpoint file is truncated, damaged, from a newer version or from another program.
    #[error("checkpoint {location}: expected {expected}, got {found}; {hint}")]
    InvalidCheckpoint {
        /// The file.
        location: String,
        /// What the format requires.
        expected: String,
        /// What the file contains.
        found: String,
        /// What to try.
        hint: &'static str,
        /// The error of the safetensors reader, if it reported one.
        source: Option<Box<dyn Error + Send + Sync>>,
    },

    /// A checkpoint lacks an entry.
    #[error("checkpoint {location}: expected {what} `{name}`, got {available}; {hint}")]
    MissingEntry {
        /// The file, or "in memory".
        location: String,
        /// The kind of the entry: a tensor or a metadata key.
        what: &'static str,
        /// The name that was requested.
        name: String,
        /// The names in the checkpoint.
        available: String,
        /// What to try.
        hint: &'static str,
    },

    /// A tensor of a checkpoint has another element type or shape than requested.
    #[error("checkpoint {location}: tensor `{name}`: expected {expected}, got {found}; {hint}")]
    TensorMismatch {
        /// The file, or "in memory".
        location: String,
        /// The tensor's name.
        name: String,
        /// The requested type or shape.
        expected: String,
        /// The type or shape in the checkpoint.
        found: String,
        /// What to try.
        hint: &'static str,
    },

    /// A tensor could not be built or reshaped.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

stochgrad_tensor::message_as_debug!(NnError);

impl NnError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, hint: &'static str, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), hint, source }
    }

    pub(crate) fn argument(
        argument: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
        hint: &'static str,
    ) -> Self {
        Self::InvalidArgument { argument, expected: expected.into(), found: found.into(), hint }
    }
}

/// Makes `?` work in a model and in a [`Step`](crate::Step).
impl From<NnError> for GraphError {
    fn from(error: NnError) -> Self {
        match error {
            NnError::Tensor(error) => error.into(),
            error => GraphError::model(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_a_model_keep_their_type() {
        let error = GraphError::from(NnError::argument("a", "b", "c", "d"));
        assert_eq!(error.to_string(), "a: expected b, got c; d");
        let GraphError::Model(error) = error else { panic!("{error}") };
        assert!(matches!(error.get().downcast_ref::<NnError>(), Some(NnError::InvalidArgument { .. })));
    }

    #[test]
    fn the_system_error_is_kept_as_the_source() {
        let error =
            NnError::io("write", "model.safetensors", "free some space", io::Error::from(io::ErrorKind::StorageFull));
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::StorageFull));
        let message = error.to_string();
        assert!(message.starts_with("cannot write model.safetensors: "));
        assert!(message.ends_with("; free some space"));
    }

    #[test]
    fn errors_can_cross_threads() {
        fn crosses_threads<T: Send + Sync + 'static>() {}
        crosses_threads::<NnError>();
    }
}
