//! The file format of a checkpoint: a safetensors file with a kind, a version and a checksum in its metadata.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use safetensors::tensor::Metadata;
use safetensors::{SafeTensorError, SafeTensors};
use serde_json::{Map, Value, json};

use super::CheckpointTensor;
use crate::error::{NnError, NnResult};

type Tensors = BTreeMap<String, CheckpointTensor>;
type Strings = BTreeMap<String, String>;

/// The name of the metadata in a safetensors file.
pub(super) const METADATA: &str = "__metadata__";
const KIND_KEY: &str = "kind";
const VERSION_KEY: &str = "format_version";
const CHECKSUM_KEY: &str = "checksum";
/// The metadata keys that users cannot set.
pub(super) const RESERVED: [&str; 3] = [KIND_KEY, VERSION_KEY, CHECKSUM_KEY];

const KIND: &str = "stochgrad";
const VERSION: u32 = 1;

/// The size of the length field before the header.
const PREFIX: usize = 8;

/// Writes a checkpoint.
///
/// The header is written here because the safetensors writer uses the order of a hash map for metadata, which differs
/// from run to run. Equal checkpoints must give equal files.
pub(super) fn encode(tensors: &Tensors, metadata: &Strings, out: &mut impl Write) -> io::Result<()> {
    let mut strings = metadata.clone();
    strings.insert(KIND_KEY.into(), KIND.into());
    strings.insert(VERSION_KEY.into(), VERSION.to_string());
    let checksum = checksum(tensors, &strings)?;
    strings.insert(CHECKSUM_KEY.into(), checksum);
    write(tensors, &strings, out)
}

/// Writes a safetensors file with the tensors and strings.
pub(super) fn write(tensors: &Tensors, strings: &Strings, out: &mut impl Write) -> io::Result<()> {
    let mut ordered: Vec<_> = tensors.iter().collect();
    // Tensors with wide elements come first, so that every tensor is aligned. The sort is stable and keeps the order of
    // names.
    ordered.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.dtype().bitsize()));
    let mut header = Map::new();
    header.insert(METADATA.into(), json!(strings));
    let mut offset = 0;
    for (name, tensor) in &ordered {
        let end = offset + tensor.byte_length();
        let entry = json!({
            "dtype": tensor.dtype(),
            "shape": &tensor.shape()[..],
            "data_offsets": [offset, end],
        });
        header.insert(String::clone(name), entry);
        offset = end;
    }
    let mut header = serde_json::to_vec(&Value::Object(header))?;
    header.resize(header.len().next_multiple_of(PREFIX), b' ');

    let mut out = BufWriter::with_capacity(1 << 16, out);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (_, tensor) in ordered {
        tensor.write_bytes(&mut out)?;
    }
    out.flush()
}

/// Reads a checkpoint. `location` appears in error messages.
pub(super) fn decode(bytes: &[u8], location: &str) -> NnResult<(Tensors, Strings)> {
    let invalid = |expected: String, found: String, hint: &'static str| NnError::InvalidCheckpoint {
        location: location.into(),
        expected,
        found,
        hint,
        source: None,
    };
    let (header_length, header) =
        SafeTensors::read_metadata(bytes).map_err(|error| unreadable(bytes, location, error))?;
    let data = &bytes[PREFIX + header_length..];

    let mut metadata: Strings =
        header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    match metadata.get(KIND_KEY) {
        Some(kind) if kind == KIND => {}
        other => {
            return Err(invalid(
                format!("metadata `{KIND_KEY}` = `{KIND}`"),
                other.map_or_else(|| "none".into(), |kind| format!("`{kind}`")),
                "this is a safetensors file of another program: pass a file that `Checkpoint::save` wrote",
            ));
        }
    }
    match metadata.get(VERSION_KEY) {
        Some(version) if *version == VERSION.to_string() => {}
        other => {
            return Err(invalid(
                format!("metadata `{VERSION_KEY}` = `{VERSION}`"),
                other.map_or_else(|| "none".into(), |version| format!("`{version}`")),
                "read the file with the version of stochgrad that wrote it",
            ));
        }
    }

    let tensors = tensors(&header, data, location, |_| true)?;
    let found = metadata.remove(CHECKSUM_KEY);
    let expected = checksum(&tensors, &metadata)
        .map_err(|source| NnError::io("check", location, "this should not happen", source))?;
    if found.as_ref() != Some(&expected) {
        return Err(invalid(
            format!("content with the checksum {}", found.as_deref().unwrap_or("that its metadata lacks")),
            format!("content with the checksum {expected}"),
            "the file was damaged or edited: use an older checkpoint",
        ));
    }
    metadata.remove(KIND_KEY);
    metadata.remove(VERSION_KEY);
    Ok((tensors, metadata))
}

/// Reads those tensors of the safetensors file of another program whose names are wanted.
pub(super) fn read(bytes: &[u8], location: &str, wanted: impl Fn(&str) -> bool) -> NnResult<Tensors> {
    let (header_length, header) =
        SafeTensors::read_metadata(bytes).map_err(|error| unreadable(bytes, location, error))?;
    tensors(&header, &bytes[PREFIX + header_length..], location, wanted)
}

/// The tensors of a file with wanted names.
fn tensors(header: &Metadata, data: &[u8], location: &str, wanted: impl Fn(&str) -> bool) -> NnResult<Tensors> {
    let mut tensors = Tensors::new();
    for (name, information) in header.tensors().into_iter().filter(|(name, _)| wanted(name)) {
        let (start, end) = information.data_offsets;
        let tensor = CheckpointTensor::from_bytes(information.dtype, &information.shape, &data[start..end]);
        let Some(tensor) = tensor else {
            return Err(NnError::TensorMismatch {
                location: location.into(),
                name,
                expected: "elements of type F32, F64 or U64".into(),
                found: information.dtype.to_string(),
                hint: "convert the tensor with the program that wrote it",
            });
        };
        tensors.insert(name, tensor?);
    }
    Ok(tensors)
}

fn unreadable(bytes: &[u8], location: &str, error: SafeTensorError) -> NnError {
    let truncated = "the file was truncated or damaged: use an older checkpoint";
    let foreign = "this is not a checkpoint: pass a file that `Checkpoint::save` wrote";
    let (expected, found, hint) = match &error {
        SafeTensorError::HeaderTooSmall => ("at least 8 bytes".into(), format!("{} bytes", bytes.len()), truncated),
        SafeTensorError::MetadataIncompleteBuffer => (
            match announced_length(bytes) {
                Some(length) => format!("{length} bytes, as its header says"),
                None => "as much data as its header says".into(),
            },
            format!("{} bytes", bytes.len()),
            truncated,
        ),
        SafeTensorError::InvalidHeaderLength => (
            match header_length(bytes) {
                Some(length) => format!("a header of {length} bytes, as its first 8 bytes say"),
                None => "a complete header".into(),
            },
            format!("a file of {} bytes", bytes.len()),
            truncated,
        ),
        SafeTensorError::HeaderTooLarge
        | SafeTensorError::InvalidHeader(_)
        | SafeTensorError::InvalidHeaderDeserialization(_) => ("a safetensors file".into(), error.to_string(), foreign),
        _ => ("a consistent safetensors header".into(), error.to_string(), truncated),
    };
    NnError::InvalidCheckpoint { location: location.into(), expected, found, hint, source: Some(Box::new(error)) }
}

fn header_length(bytes: &[u8]) -> Option<usize> {
    let prefix = bytes.first_chunk::<PREFIX>()?;
    usize::try_from(u64::from_le_bytes(*prefix)).ok()
}

fn announced_length(bytes: &[u8]) -> Option<usize> {
    let start = PREFIX.checked_add(header_length(bytes)?)?;
    let metadata: Metadata = serde_json::from_slice(bytes.get(PREFIX..start)?).ok()?;
    start.checked_add(metadata.data_len())
}

/// A digest of the content of a checkpoint, independent of the layout of the file.
fn checksum(tensors: &Tensors, metadata: &Strings) -> io::Result<String> {
    let mut digest = Digest::default();
    digest.number(metadata.len())?;
    for (key, value) in metadata {
        digest.text(key)?;
        digest.text(value)?;
    }
    digest.number(tensors.len())?;
    for (name, tensor) in tensors {
        digest.text(name)?;
        digest.text(&tensor.type_name())?;
        tensor.write_bytes(&mut digest)?;
    }
    Ok(format!("{:016x}", digest.0))
}

/// FNV-1a with 64 bits. It detects every change of a single byte, since each of its steps is invertible.
struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    fn number(&mut self, number: usize) -> io::Result<()> {
        self.write_all(&(number as u64).to_le_bytes())
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        self.number(text.len())?;
        self.write_all(text.as_bytes())
    }
}

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::{Dtype, TensorView};
    use stochgrad_tensor::{Shape, Tensor};

    use super::*;

    fn parts() -> (Tensors, Strings) {
        let tensors = Tensors::from([
            ("a".into(), CheckpointTensor::F32(Tensor::from([1.5, -2.0, 0.25]))),
            ("b".into(), CheckpointTensor::F64(Tensor::from([[0.1, 0.2]]))),
            ("c\"\n".into(), CheckpointTensor::U64 { shape: Shape::from([2, 1]), values: vec![7, 8] }),
        ]);
        (tensors, Strings::from([("note".into(), "text".into())]))
    }

    fn encoded(tensors: &Tensors, metadata: &Strings) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(tensors, metadata, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_safetensors_reader_agrees() {
        let (tensors, metadata) = parts();
        let bytes = encoded(&tensors, &metadata);
        let reader = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(reader.len(), 3);
        let a = reader.tensor("a").unwrap();
        assert_eq!((a.dtype(), a.shape()), (Dtype::F32, &[3][..]));
        let expected: Vec<u8> = [1.5_f32, -2.0, 0.25].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(a.data(), expected);
        let c = reader.tensor("c\"\n").unwrap();
        assert_eq!((c.dtype(), c.shape()), (Dtype::U64, &[2, 1][..]));
        assert_eq!(a.data().as_ptr().addr() % 4, bytes.as_ptr().addr() % 4);
        assert_eq!(c.data().as_ptr().addr() % 8, bytes.as_ptr().addr() % 8);
        assert_eq!(decode(&bytes, "here").unwrap(), (tensors, metadata));
    }

    #[test]
    fn a_file_rewritten_by_another_writer_is_still_read() {
        let (tensors, metadata) = parts();
        let bytes = encoded(&tensors, &metadata);
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let reader = SafeTensors::deserialize(&bytes).unwrap();
        let rewritten = safetensors::serialize(reader.iter(), header.metadata().clone()).unwrap();
        assert_eq!(decode(&rewritten, "here").unwrap(), (tensors, metadata));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let (tensors, metadata) = parts();
        let bytes = encoded(&tensors, &metadata);
        for length in 0..bytes.len() {
            let message = decode(&bytes[..length], "here").unwrap_err().to_string();
            assert!(message.starts_with("checkpoint here: expected "), "{message}");
        }
        let message = decode(&bytes[..bytes.len() - 1], "here").unwrap_err().to_string();
        let expected = format!("expected {} bytes", bytes.len());
        assert!(message.contains(&expected), "{message}");
        let longer = [&bytes[..], &[0]].concat();
        assert!(decode(&longer, "here").is_err());
    }

    #[test]
    fn every_flipped_bit_is_an_error() {
        let (tensors, metadata) = parts();
        let mut bytes = encoded(&tensors, &metadata);
        for position in 0..bytes.len() {
            for bit in 0..8 {
                bytes[position] ^= 1 << bit;
                assert!(decode(&bytes, "here").is_err(), "bit {bit} of byte {position}");
                bytes[position] ^= 1 << bit;
            }
        }
        assert!(decode(&bytes, "here").is_ok());
    }

    fn foreign(dtype: Dtype, strings: &[(&str, &str)]) -> Vec<u8> {
        let view = TensorView::new(dtype, vec![2], &[0; 4]).unwrap();
        let strings = strings.iter().map(|&(key, value)| (key.into(), value.into())).collect();
        safetensors::serialize([("x", view)], Some(strings)).unwrap()
    }

    #[test]
    fn files_of_other_programs_are_refused() {
        let cases = [
            (b"not a checkpoint at all".to_vec(), "not a checkpoint:"),
            (b"PK".to_vec(), "got 2 bytes"),
            (foreign(Dtype::F16, &[("format", "pt")]), "got none; this is a safetensors file"),
            (foreign(Dtype::F16, &[("kind", "other")]), "got `other`"),
            (
                foreign(Dtype::F16, &[("kind", "stochgrad"), ("format_version", "2")]),
                "got `2`; read the file with the version",
            ),
            (
                foreign(Dtype::F16, &[("kind", "stochgrad"), ("format_version", "1")]),
                "tensor `x`: expected elements of type F32, F64 or U64, got F16",
            ),
        ];
        for (bytes, part) in cases {
            let message = decode(&bytes, "here").unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn the_readers_error_is_kept() {
        use std::error::Error;

        let error = decode(b"{}", "here").unwrap_err();
        let source = error.source().and_then(|source| source.downcast_ref::<SafeTensorError>());
        assert!(matches!(source, Some(SafeTensorError::HeaderTooSmall)));
    }
}
