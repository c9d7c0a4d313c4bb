//! Writes files of results atomically: an interruption never leaves a partial file.

use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

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
            Self::Content { .. } | Self::Drawing { .. } => None,
        }
    }
}

/// Replaces `path` by a file with the given bytes, or leaves it unchanged.
///
/// The bytes go to a temporary file in the same folder, which is synced and then renamed.
///
/// # Errors
/// Returns the error of the operating system with the path, after removing the temporary file.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        // Failing to remove the temporary file is ignored, because the first error is the informative one.
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
