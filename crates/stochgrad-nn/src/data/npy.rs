//! The `.npy` format of NumPy: one array, after a header with its type, its order and its shape.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use stochgrad_tensor::layout::transpose;
use stochgrad_tensor::{Pool, Real, Tensor};

use crate::checkpoint::write_atomically;
use crate::error::{NnError, NnResult};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// The alignment of the elements in a file.
const ALIGNMENT: usize = 64;
/// The longest header that is read. That of an array of numbers is far shorter.
const LONGEST: usize = 1 << 16;
const DAMAGED: &str = "the file is truncated or damaged: write it again with numpy.save";
const CAST: &str = "read it as f64 and call Tensor::cast, or convert it with astype before numpy.save";

/// Reads the array of a `.npy` file, as `numpy.save` writes it.
///
/// The elements may be floats of 32 or 64 bits, integers, or truth values, in either byte order, and rows or columns
/// first. Every element must be one that `F` represents exactly: labels and counts are read in both precisions, and
/// floats of 64 bits as `f64`, from which [`Tensor::cast`] rounds.
///
/// ```
/// use stochgrad_nn::data::{read_npy, write_npy};
/// use stochgrad_tensor::Tensor;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("weights.npy");
/// let weights = Tensor::from([[1.0_f32, 2.0], [0.5, -0.25]]);
/// write_npy(&path, &weights)?;
/// assert_eq!(read_npy::<f32>(&path)?, weights);
/// // The same elements in double precision.
/// assert_eq!(read_npy::<f64>(&path)?, weights.cast());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// An [`NnError`] that names the path, if the file is missing, damaged or not a `.npy` file, if it has elements of
/// another kind, such as complex numbers or objects, or an element that `F` does not represent.
pub fn read_npy<F: Real>(path: impl AsRef<Path>) -> NnResult<Tensor<F>> {
    read(path.as_ref())
}

/// Writes a tensor as a `.npy` file, which `numpy.load` reads: `float32` or `float64`, rows first.
///
/// An existing file is replaced atomically, as by [`write_atomically`]. It is unchanged if writing fails.
///
/// # Errors
///
/// [`NnError::Io`] if the file cannot be written.
pub fn write_npy<F: Real>(path: impl AsRef<Path>, tensor: &Tensor<F>) -> NnResult<()> {
    let size = size_of::<F>();
    let sizes: String = tensor.shape().iter().map(|size| format!("{size}, ")).collect();
    // A tuple of one number needs its comma.
    let sizes = if tensor.rank() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
    let text = format!("{{'descr': '<f{size}', 'fortran_order': False, 'shape': ({sizes}), }}");
    // The header ends with a line feed, and the elements begin at a multiple of the alignment.
    let length = (MAGIC.len() + 4 + text.len() + 1).next_multiple_of(ALIGNMENT) - MAGIC.len() - 4;
    write_atomically(path, |file| {
        let Ok(short) = u16::try_from(length) else {
            return Err(io::Error::other(format!("expected a header below 2^16 bytes, got {length} bytes")));
        };
        let mut file = BufWriter::new(file);
        file.write_all(MAGIC)?;
        file.write_all(&[1, 0])?;
        file.write_all(&short.to_le_bytes())?;
        writeln!(file, "{text:<width$}", width = length - 1)?;
        for element in tensor.as_slice() {
            match size {
                4 => file.write_all(&(element.to_f64() as f32).to_le_bytes())?,
                _ => file.write_all(&element.to_f64().to_le_bytes())?,
            }
        }
        file.flush()
    })
}

/// What a header states.
#[derive(Debug, PartialEq)]
struct Header {
    elements: Elements,
    is_fortran: bool,
    sizes: Vec<usize>,
}

/// The type of the elements: "<f8".
#[derive(Clone, Copy, Debug, PartialEq)]
struct Elements {
    kind: Kind,
    /// In bytes.
    size: usize,
    is_big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Float,
    Signed,
    Unsigned,
    Truth,
}

fn read<F: Real>(path: &Path) -> NnResult<Tensor<F>> {
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
        let found = if information.is_dir() { "a folder" } else { "a special file" };
        return Err(NnError::NotAFile { path: path.into(), found, hint: "pass the path of one .npy file" });
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let (text, start) = header_text(&mut file)
        .map_err(unreadable)?
        .map_err(|found| invalid("a .npy file of version 1, 2 or 3".into(), found, DAMAGED))?;
    let header = Header::parse(&text)
        .map_err(|(expected, found)| invalid(expected, found, "save an array of floats, integers or truth values"))?;
    let Elements { size, .. } = header.elements;
    let count = header.sizes.iter().try_fold(1_usize, |count, &size| count.checked_mul(size));
    // The length is compared before anything is allocated, since a damaged header may require any amount of memory.
    let length = count.and_then(|count| count.checked_mul(size)).and_then(|bytes| bytes.checked_add(start));
    if length.map(|length| length as u64) != Some(information.len()) {
        let expected = length.map_or("a shape that a file can have".into(), |length| format!("{length} bytes"));
        let found = format!("{} bytes and the shape {:?}", information.len(), header.sizes);
        return Err(invalid(expected, found, DAMAGED));
    }
    let mut bytes = Vec::with_capacity(count.unwrap_or(0) * size);
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    let mut elements = Vec::with_capacity(count.unwrap_or(0));
    for (position, element) in bytes.chunks_exact(size).enumerate() {
        match header.elements.number(element) {
            Ok(value) if F::from_f64(value).to_f64() == value || value.is_nan() => elements.push(F::from_f64(value)),
            Ok(value) => return Err(inexact::<F>(path, &value.to_string(), position)),
            Err(found) => return Err(inexact::<F>(path, &found, position)),
        }
    }
    // The sizes of a file in the order of columns are those of its transpose in the order of rows.
    let mut sizes = header.sizes;
    if header.is_fortran {
        sizes.reverse();
    }
    let rank = sizes.len();
    let tensor = Tensor::new(elements, sizes)
        .map_err(|error| invalid("as many elements as the shape has".into(), error.to_string(), DAMAGED))?;
    Ok(match header.is_fortran && rank > 1 {
        true => transpose(&Pool::new(), &tensor, &(0..rank).rev().collect::<Vec<_>>()),
        false => tensor,
    })
}

fn inexact<F: Real>(path: &Path, found: &str, position: usize) -> NnError {
    NnError::InvalidFile {
        path: path.into(),
        expected: format!("elements that {} represents exactly", F::NAME),
        found: format!("{found} at position {position}"),
        hint: CAST,
    }
}

/// The text of the header and its end in the file, or what is wrong with it.
fn header_text(file: &mut impl Read) -> io::Result<Result<(String, usize), String>> {
    let mut start = Vec::new();
    file.by_ref().take(8).read_to_end(&mut start)?;
    let Some(&[major, _]) = start.strip_prefix(MAGIC) else {
        return Ok(Err("a file without the mark of a .npy file".into()));
    };
    let digits = match major {
        1 => 2,
        2 | 3 => 4,
        _ => return Ok(Err(format!("version {major}"))),
    };
    let mut length = Vec::new();
    file.by_ref().take(digits).read_to_end(&mut length)?;
    if length.len() as u64 != digits {
        return Ok(Err("a header without its length".into()));
    }
    let length = length.iter().rev().fold(0, |length: usize, &byte| length << 8 | usize::from(byte));
    if length > LONGEST {
        return Ok(Err(format!("a header of {length} bytes")));
    }
    let mut text = Vec::new();
    file.by_ref().take(length as u64).read_to_end(&mut text)?;
    if text.len() != length {
        return Ok(Err(format!("a header of {} in place of {length} bytes", text.len())));
    }
    Ok(match String::from_utf8(text) {
        Ok(text) => Ok((text, 8 + digits as usize + length)),
        Err(_) => Err("a header that is not text".into()),
    })
}

impl Header {
    /// Reads the dictionary of a header. Returns what was expected and what was found on an error.
    fn parse(text: &str) -> Result<Self, (String, String)> {
        let expected = || "a header {'descr': '<f8', 'fortran_order': False, 'shape': (2, 3)}".to_owned();
        let wrong = || (expected(), text.trim().chars().take(200).collect());
        let (mut elements, mut is_fortran, mut sizes) = (None, None, None);
        let mut rest = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(wrong)?.trim();
        while !rest.is_empty() {
            let (key, after) = quoted(rest).ok_or_else(wrong)?;
            let after = after.trim_start().strip_prefix(':').ok_or_else(wrong)?.trim_start();
            rest = match key {
                "descr" => {
                    let Some((name, after)) = quoted(after) else {
                        return Err(("elements that are numbers".into(), "records with several fields".into()));
                    };
                    elements = Some(Elements::parse(name)?);
                    after
                }
                "fortran_order" => {
                    let word = after.split([',', ' ']).next().unwrap_or_default();
                    is_fortran = Some(match word {
                        "True" => true,
                        "False" => false,
                        _ => return Err(wrong()),
                    });
                    &after[word.len()..]
                }
                "shape" => {
                    let (inside, after) =
                        after.strip_prefix('(').and_then(|after| after.split_once(')')).ok_or_else(wrong)?;
                    // Python 2 has written long integers with their suffix.
                    let sizes_of = inside.split(',').map(|size| size.trim().trim_end_matches('L'));
                    let parsed: Option<_> =
                        sizes_of.filter(|size| !size.is_empty()).map(|size| size.parse().ok()).collect();
                    sizes = Some(parsed.ok_or_else(wrong)?);
                    after
                }
                _ => return Err(wrong()),
            };
            rest = rest.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        match (elements, is_fortran, sizes) {
            (Some(elements), Some(is_fortran), Some(sizes)) => Ok(Header { elements, is_fortran, sizes }),
            _ => Err(wrong()),
        }
    }
}

/// The text between quotation marks at the beginning, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let mark = text.chars().next().filter(|mark| ['\'', '"'].contains(mark))?;
    text[1..].split_once(mark)
}

impl Elements {
    fn parse(name: &str) -> Result<Self, (String, String)> {
        let refused = || {
            let expected = "elements of the types f4, f8, i1, i2, i4, i8, u1, u2, u4, u8 or b1";
            (expected.into(), format!("elements of the type {name}"))
        };
        let (order, kind) = name.split_at_checked(1).ok_or_else(refused)?;
        let (kind, size) = match kind {
            "f4" => (Kind::Float, 4),
            "f8" => (Kind::Float, 8),
            "i1" => (Kind::Signed, 1),
            "i2" => (Kind::Signed, 2),
            "i4" => (Kind::Signed, 4),
            "i8" => (Kind::Signed, 8),
            "u1" => (Kind::Unsigned, 1),
            "u2" => (Kind::Unsigned, 2),
            "u4" => (Kind::Unsigned, 4),
            "u8" => (Kind::Unsigned, 8),
            "b1" => (Kind::Truth, 1),
            _ => return Err(refused()),
        };
        let is_big_endian = match order {
            "<" => false,
            ">" => true,
            "|" if size == 1 => false,
            _ => return Err(refused()),
        };
        Ok(Elements { kind, size, is_big_endian })
    }

    /// The value of an element, or its text if `f64` does not represent it.
    fn number(self, bytes: &[u8]) -> Result<f64, String> {
        let mut word = [0; 8];
        let used = &mut word[..self.size];
        used.copy_from_slice(bytes);
        if self.is_big_endian {
            used.reverse();
        }
        let word = u64::from_le_bytes(word);
        let exact = |integer: i128| {
            let value = integer as f64;
            if value as i128 == integer { Ok(value) } else { Err(integer.to_string()) }
        };
        match (self.kind, self.size) {
            (Kind::Float, 4) => Ok(f64::from(f32::from_bits(word as u32))),
            (Kind::Float, _) => Ok(f64::from_bits(word)),
            (Kind::Signed, size) => {
                let unused = 64 - 8 * size as u32;
                exact(i128::from(((word << unused) as i64) >> unused))
            }
            (Kind::Unsigned, _) => exact(i128::from(word)),
            (Kind::Truth, _) if word > 1 => Err(format!("the truth value {word}")),
            (Kind::Truth, _) => Ok(word as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of version 1 as NumPy writes it, with these fields.
    fn file(descr: &str, order: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
        let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
        let header = format!("{text:<width$}\n", width = length - 1);
        [&MAGIC[..], &[1, 0], &(length as u16).to_le_bytes(), header.as_bytes(), elements].concat()
    }

    fn read_bytes<F: Real>(bytes: &[u8]) -> NnResult<Tensor<F>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        fs::write(&path, bytes).unwrap();
        read_npy(&path)
    }

    fn bytes_of<const N: usize>(elements: &[[u8; N]]) -> Vec<u8> {
        elements.concat()
    }

    #[test]
    fn a_written_file_has_the_bytes_of_numpy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        let elements = [1.0_f64, -2.5, 0.1, f64::INFINITY, 5e-324, 6.0];
        let bytes = bytes_of(&elements.map(f64::to_le_bytes));
        for (shape, text) in [(vec![2, 3], "(2, 3)"), (vec![6], "(6,)"), (vec![1, 6, 1], "(1, 6, 1)")] {
            let tensor = Tensor::new(elements.to_vec(), shape).unwrap();
            write_npy(&path, &tensor).unwrap();
            assert_eq!(fs::read(&path).unwrap(), file("<f8", "False", text, &bytes));
            assert_eq!(read_npy::<f64>(&path).unwrap(), tensor);
        }
        write_npy(&path, &Tensor::scalar(0.1_f32)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), file("<f4", "False", "()", &0.1_f32.to_le_bytes()));
        assert_eq!(read_npy::<f32>(&path).unwrap(), Tensor::scalar(0.1_f32));
        let empty = Tensor::<f32>::zeros([2, 0]);
        write_npy(&path, &empty).unwrap();
        assert_eq!(read_npy::<f32>(&path).unwrap(), empty);
    }

    #[test]
    fn every_type_and_byte_order_is_read() {
        let expected = Tensor::from([1.0, 0.0]);
        for (descr, elements) in [
            ("<f4", bytes_of(&[1.0_f32, 0.0].map(f32::to_le_bytes))),
            (">f4", bytes_of(&[1.0_f32, 0.0].map(f32::to_be_bytes))),
            (">f8", bytes_of(&[1.0_f64, 0.0].map(f64::to_be_bytes))),
            ("|b1", vec![1, 0]),
            ("|u1", vec![1, 0]),
            ("|i1", vec![1, 0]),
            ("<u2", vec![1, 0, 0, 0]),
            (">u4", vec![0, 0, 0, 1, 0, 0, 0, 0]),
            ("<i8", bytes_of(&[1_i64, 0].map(i64::to_le_bytes))),
        ] {
            assert_eq!(read_bytes::<f64>(&file(descr, "False", "(2,)", &elements)).unwrap(), expected, "{descr}");
        }
        let negative = bytes_of(&[-300_i16, 7].map(i16::to_be_bytes));
        assert_eq!(read_bytes(&file(">i2", "False", "(2L,)", &negative)).unwrap(), Tensor::from([-300.0_f32, 7.0]));
    }

    #[test]
    fn columns_first_is_transposed() {
        let elements: Vec<u8> = (0..24).collect();
        let found = read_bytes::<f64>(&file("|u1", "True", "(2, 3, 4)", &elements)).unwrap();
        assert_eq!(found.shape()[..], [2, 3, 4]);
        for (i, j, k) in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 2, 3)] {
            assert_eq!(found.get(&[i, j, k]), Some((i + 2 * j + 6 * k) as f64));
        }
    }

    #[test]
    fn elements_that_would_be_rounded_are_errors() {
        let tenth = file("<f8", "False", "(2,)", &bytes_of(&[0.5_f64, 0.1].map(f64::to_le_bytes)));
        let message = read_bytes::<f32>(&tenth).unwrap_err().to_string();
        assert!(message.contains("that f32 represents exactly, got 0.1 at position 1; read it as f64"), "{message}");
        assert_eq!(read_bytes::<f64>(&tenth).unwrap(), Tensor::from([0.5, 0.1]));
        for (largest, is_exact) in [((1_i64 << 53), true), ((1 << 53) + 1, false), (i64::MAX, false), (i64::MIN, true)]
        {
            let file = file("<i8", "False", "()", &largest.to_le_bytes());
            assert_eq!(read_bytes::<f64>(&file).is_ok(), is_exact, "{largest}");
        }
        assert!(read_bytes::<f64>(&file("|b1", "False", "()", &[2])).is_err());
        let nan = file("<f4", "False", "()", &f32::NAN.to_le_bytes());
        assert!(read_bytes::<f32>(&nan).unwrap().as_slice()[0].is_nan());
    }

    #[test]
    fn damaged_files_are_errors() {
        let whole = file("<f4", "False", "(2, 2)", &[0; 16]);
        assert!(read_bytes::<f32>(&whole).is_ok());
        for length in 0..whole.len() {
            assert!(read_bytes::<f32>(&whole[..length]).is_err(), "{length}");
        }
        for (bytes, part) in [
            ([&whole[..], &[0]].concat(), "expected 144 bytes, got 145 bytes"),
            (file("<c8", "False", "(2,)", &[0; 16]), "got elements of the type <c8"),
            (file("|f8", "False", "(2,)", &[0; 16]), "got elements of the type |f8"),
            (file("<f8", "Maybe", "(2,)", &[0; 16]), "expected a header"),
            (file("<f8", "False", "(2,-1)", &[0; 16]), "expected a header"),
            (file("<f8", "False", "(4294967296, 4294967296, 2)", &[0; 16]), "a shape that a file can have"),
            (b"PK\x03\x04 an archive".to_vec(), "without the mark of a .npy file"),
        ] {
            let message = read_bytes::<f64>(&bytes).unwrap_err().to_string();
            assert!(message.contains(part) && message.contains("x.npy"), "{message}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read_npy::<f64>(folder.path()), Err(NnError::NotAFile { .. })));
        assert!(matches!(read_npy::<f64>(folder.path().join("none")), Err(NnError::Io { .. })));
    }
}
