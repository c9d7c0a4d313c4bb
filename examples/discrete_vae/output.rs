//! Writing result files so that an interruption never leaves half of one.

use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A result file that could not be written, read back or made.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum OutputError {
    /// The operating system refused.
    Io {
        /// What was being done, such as "write".
        action: &'static str,
        /// The file concerned.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// A file from an earlier run does not continue into this one.
    Content {
        /// The file concerned.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What a usable file has there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Data that cannot be drawn.
    Drawing {
        /// The picture or curve concerned.
        what: &'static str,
        /// What was expected, what came.
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
                "cannot {action} {}: {source}; check the folder's permissions and free space, \
                 or choose another --out",
                path.display()
            ),
            Self::Content { path, line, expected, found } => write!(
                f,
                "{}, line {line}: expected {expected}, found {found}; start again without \
                 --resume, or restore the file that belongs to the checkpoint",
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
            Self::Content { .. } | Self::Drawing { .. } => None,
        }
    }
}

/// Replaces `path` by a file with these bytes, or leaves it as it was.
///
/// The bytes go to a temporary file in the same folder, which is synced and then renamed.
///
/// # Errors
/// The operating system's refusal, with the path; the temporary file is removed.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        // Best effort: the first failure is the one worth reporting.
        let _ = fs::remove_file(&temporary);
        OutputError::io("write", path)(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomically(&path, b"first, and longer").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_names_the_path_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let occupied = folder.path().join("occupied");
        fs::create_dir(&occupied).unwrap();
        let error = write_atomically(&occupied, b"x").unwrap_err();
        assert!(error.to_string().contains("occupied"), "{error}");
        assert!(error.source().is_some());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
