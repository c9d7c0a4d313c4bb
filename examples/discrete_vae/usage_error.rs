//! The error of a command line that cannot be run.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

/// A command line that cannot be run.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum UsageError {
    /// A flag's value is out of its domain, or does not go with the others.
    Value {
        /// The flag, with its dashes.
        flag: &'static str,
        /// What would do.
        expected: String,
        /// What came.
        found: String,
        /// What to try.
        hint: &'static str,
    },
    /// A folder that cannot be used.
    Folder {
        /// The flag that names it.
        flag: &'static str,
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
        /// What to try.
        hint: &'static str,
    },
    /// A resumed run's flag differs from the first run's.
    Resume {
        /// The flag, with its dashes.
        flag: &'static str,
        /// Its value now.
        now: String,
        /// Its value in the checkpoint.
        saved: String,
    },
    /// A checkpoint's settings cannot be read.
    Saved {
        /// The setting.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}

impl UsageError {
    /// A method for bits was asked for with categorical variables.
    pub(crate) fn bits_only(method: &str) -> Self {
        Self::Value {
            flag: "--method",
            expected: "a method for categories, with categorical variables".to_owned(),
            found: method.to_owned(),
            hint: "add --latent bernoulli, or try --method leave-one-out",
        }
    }

    /// The exit code of a usage error, the same that the parser uses.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(2)
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { flag, expected, found, hint } => {
                write!(f, "{flag}: expected {expected}, got {found}; {hint}")
            }
            Self::Folder { flag, path, source, hint } => {
                write!(f, "{flag}: expected a folder that can be used, got {}: {source}; {hint}", path.display())
            }
            Self::Resume { flag, now, saved } => write!(
                f,
                "--resume: expected {flag} as in the checkpoint, {saved}, got {now}; \
                 give the first run's value, or start anew in another --out"
            ),
            Self::Saved { key, expected, found } => write!(
                f,
                "--resume: expected the checkpoint's setting {key:?} to be {expected}, found \
                 {found}; the checkpoint is damaged or from another program: start anew without \
                 --resume"
            ),
        }
    }
}

impl Error for UsageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Folder { source, .. } => Some(source),
            _ => None,
        }
    }
}
