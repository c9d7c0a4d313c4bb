//! MNIST, and other data sets in the same four files.

use std::path::{Path, PathBuf};

use super::{Images, read_idx_pair};
use crate::error::{NnError, NnResult};

/// The two parts of MNIST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MnistFiles {
    /// The 60,000 training images.
    pub train: Images,
    /// The 10,000 test images.
    pub test: Images,
}

/// Reads MNIST, or a set with the same file names (Fashion-MNIST, Kuzushiji-MNIST), from a folder.
///
/// The folder must hold the four unpacked files `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
/// `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`. Names with a dot, as in `train-images.idx3-ubyte`, are also
/// accepted.
///
/// # Errors
///
/// An [`NnError`] that names the folder or file, if the folder is missing, or files are missing (all names are listed),
/// compressed, damaged, or of different data sets.
///
/// ```no_run
/// use stochgrad_nn::data::mnist;
///
/// let mnist = mnist::load("data/mnist")?;
/// println!("{} images to train on, {} to test on", mnist.train.len(), mnist.test.len());
/// # Ok::<(), stochgrad_nn::NnError>(())
/// ```
pub fn load(folder: impl AsRef<Path>) -> NnResult<MnistFiles> {
    load_folder(folder.as_ref())
}

fn load_folder(folder: &Path) -> NnResult<MnistFiles> {
    if !folder.is_dir() {
        return Err(NnError::MissingFolder {
            path: folder.into(),
            found: if folder.exists() { "a file" } else { "nothing" },
        });
    }
    let names = [
        ("train-images", "idx3-ubyte"),
        ("train-labels", "idx1-ubyte"),
        ("t10k-images", "idx3-ubyte"),
        ("t10k-labels", "idx1-ubyte"),
    ];
    let mut found = Vec::with_capacity(names.len());
    let mut missing = Vec::new();
    for (stem, kind) in names {
        let accepted = [format!("{stem}-{kind}"), format!("{stem}.{kind}")];
        match find(folder, &accepted) {
            Located::File(path) => found.push(path),
            Located::Archive(path) => return Err(NnError::Compressed { path }),
            Located::Nowhere => missing.push(format!("`{}` (or `{}`)", accepted[0], accepted[1])),
        }
    }
    let [train_images, train_labels, test_images, test_labels] = &found[..] else {
        return Err(NnError::MissingFiles { folder: folder.into(), missing, hint: hint(folder) });
    };
    let train = read_idx_pair(train_images, train_labels)?;
    let test = read_idx_pair(test_images, test_labels)?;
    if (train.rows(), train.columns()) != (test.rows(), test.columns()) {
        return Err(NnError::InvalidFile {
            path: test_images.clone(),
            expected: format!(
                "images of {} x {} pixels as in {}",
                train.rows(),
                train.columns(),
                train_images.display()
            ),
            found: format!("{} x {}", test.rows(), test.columns()),
            hint: "use all four files of the same data set",
        });
    }
    Ok(MnistFiles { train, test })
}

enum Located {
    File(PathBuf),
    Archive(PathBuf),
    Nowhere,
}

fn find(folder: &Path, accepted: &[String]) -> Located {
    if let Some(path) = accepted.iter().map(|name| folder.join(name)).find(|path| path.exists()) {
        return Located::File(path);
    }
    accepted
        .iter()
        .map(|name| folder.join(format!("{name}.gz")))
        .find(|path| path.exists())
        .map_or(Located::Nowhere, Located::Archive)
}

fn hint(folder: &Path) -> String {
    let below = ["raw", "MNIST/raw"].map(|part| folder.join(part)).into_iter().find(|path| path.is_dir());
    match below {
        Some(path) => format!("pass {} if they are there", path.display()),
        None => "download the four files of MNIST, unpack them and put them there".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{write_idx_images, write_idx_labels};
    use super::*;

    fn write(folder: &Path, separator: char) -> MnistFiles {
        let train = Images::new((0..30).collect(), vec![0, 1, 2, 3, 4], 2, 3, 255).unwrap();
        let test = Images::new((100..112).collect(), vec![8, 9], 2, 3, 255).unwrap();
        for (part, images) in [("train", &train), ("t10k", &test)] {
            write_idx_images(folder.join(format!("{part}-images{separator}idx3-ubyte")), images).unwrap();
            write_idx_labels(folder.join(format!("{part}-labels{separator}idx1-ubyte")), images.labels()).unwrap();
        }
        MnistFiles { train, test }
    }

    #[test]
    fn both_spellings_are_read() {
        for separator in ['-', '.'] {
            let folder = tempfile::tempdir().unwrap();
            let written = write(folder.path(), separator);
            assert_eq!(load(folder.path()).unwrap(), written);
        }
    }

    #[test]
    fn all_missing_files_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), '-');
        fs::remove_file(folder.path().join("train-labels-idx1-ubyte")).unwrap();
        fs::remove_file(folder.path().join("t10k-images-idx3-ubyte")).unwrap();
        let message = load(folder.path()).unwrap_err().to_string();
        for part in ["train-labels-idx1-ubyte", "t10k-images.idx3-ubyte", "download"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains("t10k-labels"), "{message}");
    }

    #[test]
    fn a_nested_folder_is_pointed_at() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("MNIST/raw")).unwrap();
        let message = load(folder.path()).unwrap_err().to_string();
        assert!(message.contains("MNIST/raw"), "{message}");
    }

    #[test]
    fn archives_must_be_unpacked_first() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), '-');
        let plain = folder.path().join("t10k-labels-idx1-ubyte");
        fs::rename(&plain, plain.with_extension("gz")).unwrap();
        let message = load(folder.path()).unwrap_err().to_string();
        assert!(message.contains("t10k-labels-idx1-ubyte.gz") && message.contains("gunzip"), "{message}");
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        let message = load(&absent).unwrap_err().to_string();
        assert!(message.contains("got nothing") && message.contains("absent"), "{message}");
        fs::write(&absent, "text").unwrap();
        let message = load(&absent).unwrap_err().to_string();
        assert!(message.contains("got a file"), "{message}");
    }

    #[test]
    fn parts_of_different_sizes_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), '-');
        let other = Images::new(vec![0; 8], vec![1, 2], 2, 2, 255).unwrap();
        write_idx_images(folder.path().join("t10k-images-idx3-ubyte"), &other).unwrap();
        let message = load(folder.path()).unwrap_err().to_string();
        assert!(message.contains("2 x 3") && message.contains("2 x 2"), "{message}");
    }
}
