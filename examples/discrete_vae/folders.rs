//! The folders of a run: data and results.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::usage_error::UsageError;

/// The folder of the data, as an absolute path.
pub(crate) fn data_folder(path: &Path) -> Result<PathBuf, UsageError> {
    let folder = fs::canonicalize(path).and_then(|folder| match folder.is_dir() {
        true => Ok(folder),
        false => Err(io::ErrorKind::NotADirectory.into()),
    });
    folder.map_err(|source| UsageError::Folder {
        flag: "--data",
        path: path.to_path_buf(),
        source,
        hint: "name the folder with the four unpacked MNIST files, or omit --data to use the embedded digits",
    })
}

/// Creates the folder for the results, and checks that a file can be written there.
pub(crate) fn prepare_output(path: &Path, resume: bool) -> Result<(), UsageError> {
    let made = if resume && !path.exists() {
        Err(io::ErrorKind::NotFound.into())
    } else if path.exists() && !path.is_dir() {
        Err(io::ErrorKind::NotADirectory.into())
    } else {
        fs::create_dir_all(path)
    };
    // The system removes this file when it is closed, also if the process is killed.
    let probed = made.and_then(|()| tempfile::tempfile_in(path));
    probed.map(drop).map_err(|source| UsageError::Folder {
        flag: "--out",
        path: path.to_path_buf(),
        source,
        hint: match resume {
            true => "--resume needs the --out of the first run; to start a new run, omit --resume",
            false => "choose a folder in which you may create files",
        },
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::arguments::Arguments;

    use super::*;

    #[test]
    fn the_folder_for_the_results_must_be_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "kept").unwrap();
        for out in [file.clone(), file.join("below")] {
            let error = Arguments::try_parse_from(["discrete_vae", "--out", out.to_str().unwrap()])
                .unwrap()
                .resolve()
                .unwrap_err()
                .to_string();
            assert!(error.contains(out.to_str().unwrap()), "{error}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");

        let made = folder.path().join("a").join("b");
        let text = made.to_str().unwrap();
        for flags in [vec!["discrete_vae", "--out", text], vec!["discrete_vae", "--out", text, "--resume"]] {
            Arguments::try_parse_from(flags).unwrap().resolve().unwrap();
        }
        assert_eq!(fs::read_dir(&made).unwrap().count(), 0);
    }
}
