//! The error of an invalid command line.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

/// An invalid command line.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum UsageError {
    /// The value of a flag is out of its range, or contradicts other flags.
    Value {
        /// The flag, with its dashes.
        flag: &'static str,
        /// What the flag takes.
        expected: String,
        /// The value that was given.
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
    /// A flag of a resumed run differs from that of the first run.
    Resume {
        /// The flag, with its dashes.
        flag: &'static str,
        /// Its value now.
        now: String,
        /// Its value in the checkpoint.
        saved: String,
    },
    /// A setting in a checkpoint is missing or malformed.
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
    /// The error of a method for bits with categorical variables.
    pub(crate) fn bits_only(method: &str) -> Self {
        Self::Value {
            flag: "--method",
            expected: "a method that supports categorical variables".to_owned(),
            found: method.to_owned(),
            hint: "add --latent bernoulli, or try --method leave-one-out",
        }
    }

    /// The exit code of a usage error, which is that of the parser.
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
                write!(f, "{flag}: expected a usable folder, got {}: {source}; {hint}", path.display())
            }
            Self::Resume { flag, now, saved } => write!(
                f,
                "--resume: expected {flag} of the checkpoint, {saved}, got {now}; \
                 use the value of the first run, or start a new run in another --out"
            ),
            Self::Saved { key, expected, found } => write!(
                f,
                "--resume: expected {expected} as the setting {key:?} of the checkpoint, got {found}; \
                 the checkpoint is damaged or from another program: start a new run without --resume"
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
