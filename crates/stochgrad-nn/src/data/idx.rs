//! The IDX format of MNIST: images and labels as bytes after a big-endian header.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use super::Images;
use crate::checkpoint::write_atomically;
use crate::error::{NnError, NnResult};

/// "Unsigned bytes, three axes".
const IMAGES_MAGIC: u32 = 0x0000_0803;
/// "Unsigned bytes, one axis".
const LABELS_MAGIC: u32 = 0x0000_0801;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The content of an IDX file of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxImages {
    /// The number of images.
    pub count: usize,
    /// The height of an image.
    pub rows: usize,
    /// The width of an image.
    pub columns: usize,
    /// All pixels, image after image, each row by row.
    pub pixels: Vec<u8>,
}

/// Reads an IDX file of images: magic number 0x00000803, then count, rows and columns, then the pixels.
///
/// Source of the format: Y. LeCun, C. Cortes and C. Burges, *The MNIST database of handwritten digits*.
///
/// # Errors
///
/// An [`NnError`] that names the path, if the file is missing, compressed, of another kind, or does not have the length
/// that its header states, or if an image has no pixel.
pub fn read_idx_images(path: impl AsRef<Path>) -> NnResult<IdxImages> {
    read_images(path.as_ref())
}

fn read_images(path: &Path) -> NnResult<IdxImages> {
    let ([count, rows, columns], pixels) = read_idx(path, IMAGES_MAGIC)?;
    if rows == 0 || columns == 0 {
        return Err(NnError::InvalidFile {
            path: path.into(),
            expected: "images of at least one row and one column".into(),
            found: format!("{rows} x {columns} in its header"),
            hint: "download the file again",
        });
    }
    Ok(IdxImages { count, rows, columns, pixels })
}

/// Reads an IDX file of labels: magic number 0x00000801, then the count, then the labels.
///
/// # Errors
///
/// An [`NnError`] that names the path, if the file is missing, compressed, of another kind, or does not have the length
/// that its header states.
pub fn read_idx_labels(path: impl AsRef<Path>) -> NnResult<Vec<u8>> {
    read_labels(path.as_ref())
}

fn read_labels(path: &Path) -> NnResult<Vec<u8>> {
    let ([_count], labels) = read_idx(path, LABELS_MAGIC)?;
    Ok(labels)
}

/// Reads a file of images and its file of labels. The pixel value of full ink is 255.
///
/// # Errors
///
/// Those of [`read_idx_images`] and [`read_idx_labels`], and an error if the numbers of images and labels differ.
pub fn read_idx_pair(images: impl AsRef<Path>, labels: impl AsRef<Path>) -> NnResult<Images> {
    read_pair(images.as_ref(), labels.as_ref())
}

fn read_pair(images_path: &Path, labels_path: &Path) -> NnResult<Images> {
    let images = read_images(images_path)?;
    let labels = read_labels(labels_path)?;
    if images.count != labels.len() {
        return Err(NnError::InvalidFile {
            path: labels_path.into(),
            expected: format!("{} labels, one for each image of {}", images.count, images_path.display()),
            found: format!("{} labels", labels.len()),
            hint: "use images and labels of the same part (train or t10k) of the same data set",
        });
    }
    Images::new(images.pixels, labels, images.rows, images.columns, u8::MAX)
}

/// Writes the pixels of `images` as an IDX file. The format does not store [`Images::maximum`].
///
/// An existing file is replaced atomically. It is unchanged if writing fails.
///
/// # Errors
///
/// [`NnError::Io`] if the file cannot be written, [`NnError::InvalidArgument`] if a size exceeds 32 bits.
pub fn write_idx_images(path: impl AsRef<Path>, images: &Images) -> NnResult<()> {
    write_idx(path.as_ref(), IMAGES_MAGIC, &[images.len(), images.rows(), images.columns()], images.pixels())
}

/// Writes labels as an IDX file.
///
/// An existing file is replaced atomically. It is unchanged if writing fails.
///
/// # Errors
///
/// [`NnError::Io`] if the file cannot be written, [`NnError::InvalidArgument`] if the count exceeds 32 bits.
pub fn write_idx_labels(path: impl AsRef<Path>, labels: &[u8]) -> NnResult<()> {
    write_idx(path.as_ref(), LABELS_MAGIC, &[labels.len()], labels)
}

fn write_idx(path: &Path, magic: u32, sizes: &[usize], bytes: &[u8]) -> NnResult<()> {
    let mut header = magic.to_be_bytes().to_vec();
    for &size in sizes {
        let size = u32::try_from(size).map_err(|_| {
            NnError::argument(
                "sizes of an IDX file",
                "numbers below 2^32",
                size.to_string(),
                "split the data set over several files",
            )
        })?;
        header.extend(size.to_be_bytes());
    }
    write_atomically(path, |file| {
        file.write_all(&header)?;
        file.write_all(bytes)
    })
}

/// The sizes of `AXES` axes and the bytes after the header.
fn read_idx<const AXES: usize>(path: &Path, magic: u32) -> NnResult<([usize; AXES], Vec<u8>)> {
    let unreadable = |source: io::Error| NnError::io("read", path, "check the path and the file's permissions", source);
    let invalid = |expected: String, found: String, hint: &'static str| NnError::InvalidFile {
        path: path.into(),
        expected,
        found,
        hint,
    };
    let information = fs::metadata(path).map_err(unreadable)?;
    // Opening a named pipe would wait for a writer, so the kind of the file is checked first.
    if !information.is_file() {
        return Err(NnError::NotAFile {
            path: path.into(),
            found: if information.is_dir() { "a folder" } else { "a special file" },
            hint: "pass the path of one IDX file; `mnist::load` takes a folder",
        });
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let mut header = Vec::new();
    let header_length = 4 * (AXES + 1);
    (&mut file).take(header_length as u64).read_to_end(&mut header).map_err(unreadable)?;
    if header.starts_with(&GZIP) {
        return Err(NnError::Compressed { path: path.into() });
    }
    let mut words = header.chunks_exact(4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    let found_magic = words.next();
    if found_magic != Some(magic) {
        return Err(invalid(
            format!("magic number {magic:#010x} ({})", kind(magic)),
            match found_magic {
                Some(other) => format!("{other:#010x} ({})", kind(other)),
                None => format!("only {} bytes", header.len()),
            },
            "check that images and labels are not swapped and that the file is an unpacked IDX file",
        ));
    }
    let mut sizes = [0; AXES];
    for size in &mut sizes {
        let Some(word) = words.next() else {
            return Err(invalid(
                format!("a header of {header_length} bytes"),
                format!("only {} bytes", header.len()),
                "the file is truncated: download it again",
            ));
        };
        *size = word as usize;
    }
    let expected = sizes
        .iter()
        .try_fold(1_u64, |product, &size| product.checked_mul(size as u64))
        .and_then(|content| content.checked_add(header_length as u64));
    let length_hint = "the file is truncated or damaged: download it again";
    // The length is compared before anything is allocated, since a damaged header may require any amount of memory.
    if expected != Some(information.len()) {
        return Err(invalid(
            match expected {
                Some(expected) => format!("{expected} bytes for sizes {sizes:?}"),
                None => "sizes that a file can have".into(),
            },
            match expected {
                Some(_) => format!("{} bytes", information.len()),
                None => format!("sizes {sizes:?}"),
            },
            length_hint,
        ));
    }
    let content_length = information.len() as usize - header_length;
    let mut content = Vec::with_capacity(content_length);
    file.take(content_length as u64).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() != content_length {
        return Err(invalid(
            format!("{content_length} bytes after the header"),
            format!("{} bytes", content.len()),
            length_hint,
        ));
    }
    Ok((sizes, content))
}

fn kind(magic: u32) -> &'static str {
    match magic {
        IMAGES_MAGIC => "images as bytes",
        LABELS_MAGIC => "labels as bytes",
        _ => "another kind of file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        Images::new((0..24).collect(), vec![4, 0, 9, 2], 3, 2, 255).unwrap()
    }

    #[test]
    fn what_was_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let (pixels, labels) = (folder.path().join("i"), folder.path().join("l"));
        write_idx_images(&pixels, &images()).unwrap();
        write_idx_labels(&labels, images().labels()).unwrap();
        assert_eq!(read_idx_pair(&pixels, &labels).unwrap(), images());
        let expected = [&[0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 2][..], images().pixels()].concat();
        assert_eq!(fs::read(&pixels).unwrap(), expected);
        assert_eq!(fs::read(&labels).unwrap(), [0, 0, 8, 1, 0, 0, 0, 4, 4, 0, 9, 2]);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("i");
        write_idx_images(&path, &images()).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let message = read_idx_images(&path).unwrap_err().to_string();
            assert!(message.contains(&path.display().to_string()), "{message}");
        }
        fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
        let message = read_idx_images(&path).unwrap_err().to_string();
        assert!(message.contains("expected 40 bytes") && message.contains("got 41 bytes"), "{message}");
    }

    #[test]
    fn damaged_headers_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("i");
        let cases: [(&[u8], &str); 5] = [
            (&[0, 0, 8, 1, 0, 0, 0, 1, 5], "0x00000801 (labels as bytes)"),
            (&[0, 0, 13, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "0x00000d03 (another"),
            (&[0x1f, 0x8b, 8, 0], "gunzip"),
            (&[0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255], "sizes that a file can have"),
            (&[0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 2], "at least one row"),
        ];
        for (bytes, part) in cases {
            fs::write(&path, bytes).unwrap();
            let message = read_idx_images(&path).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        fs::write(&path, [0, 0, 8, 3]).unwrap();
        let message = read_idx_labels(&path).unwrap_err().to_string();
        assert!(message.contains("expected magic number 0x00000801"), "{message}");
    }

    #[test]
    fn unequal_counts_name_both_files() {
        let folder = tempfile::tempdir().unwrap();
        let (pixels, labels) = (folder.path().join("i"), folder.path().join("l"));
        write_idx_images(&pixels, &images()).unwrap();
        write_idx_labels(&labels, &[1, 2]).unwrap();
        let message = read_idx_pair(&pixels, &labels).unwrap_err().to_string();
        for part in ["4 labels", "2 labels", &pixels.display().to_string()] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn folders_and_absent_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read_idx_labels(folder.path()), Err(NnError::NotAFile { .. })));
        assert!(matches!(
            read_idx_labels(folder.path().join("none")),
            Err(NnError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound
        ));
    }
}
