//! Checkpoints: named tensors and strings in one safetensors file.
//!
//! A [`Checkpoint`] contains everything that is needed to resume a run: parameters, the states of optimisers and
//! gradient methods, and the step. Any safetensors reader can open the file. A checksum detects damage, and equal
//! checkpoints give equal files.

mod atomic;
mod format;
mod value;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use stochgrad_tensor::{Real, Shape, Tensor};

use crate::error::{NnError, NnResult};
pub use atomic::{remove_unfinished, write_atomically};
pub use value::CheckpointTensor;

/// Named tensors and strings, saved atomically and read back bit for bit.
///
/// ```
/// use stochgrad_nn::Checkpoint;
/// use stochgrad_tensor::Tensor;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("model.safetensors");
///
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.insert("decoder.bias", &Tensor::from([0.5_f32, -1.0]))?;
/// checkpoint.insert_u64s("step", &[1200])?;
/// checkpoint.set_metadata("method", "leave-one-out")?;
/// checkpoint.save(&path)?;
///
/// let checkpoint = Checkpoint::load(&path)?;
/// assert_eq!(checkpoint.tensor::<f32>("decoder.bias")?.as_slice(), [0.5, -1.0]);
/// assert_eq!(checkpoint.u64s("step")?, [1200]);
/// assert_eq!(checkpoint.metadata("method"), Some("leave-one-out"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    tensors: BTreeMap<String, CheckpointTensor>,
    metadata: BTreeMap<String, String>,
    source: Option<PathBuf>,
}

impl Checkpoint {
    /// An empty checkpoint.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor of `f32` or `f64`, or replaces the one with the same name. The memory is shared, not copied.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] for the name `__metadata__`, which the file format reserves.
    pub fn insert<F: Real>(&mut self, name: impl Into<String>, tensor: &Tensor<F>) -> NnResult<()> {
        let tensor = CheckpointTensor::from_real(tensor)?;
        self.insert_tensor(name.into(), tensor)
    }

    /// Adds a list of integers, or replaces the tensor with the same name.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] for the name `__metadata__`, which the file format reserves.
    pub fn insert_u64s(&mut self, name: impl Into<String>, values: &[u64]) -> NnResult<()> {
        let tensor = CheckpointTensor::U64 { shape: Shape::from([values.len()]), values: values.to_vec() };
        self.insert_tensor(name.into(), tensor)
    }

    fn insert_tensor(&mut self, name: String, tensor: CheckpointTensor) -> NnResult<()> {
        if name == format::METADATA {
            return Err(NnError::argument(
                "`name` of `Checkpoint::insert`",
                "any name that the file format does not reserve",
                format!("`{name}`"),
                "choose another name",
            ));
        }
        self.tensors.insert(name, tensor);
        Ok(())
    }

    /// Sets the string of a key.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] for the keys `kind`, `format_version` and `checksum`, which the file format uses.
    pub fn set_metadata(&mut self, key: impl Into<String>, value: impl Into<String>) -> NnResult<()> {
        let key = key.into();
        if format::RESERVED.contains(&key.as_str()) {
            return Err(NnError::argument(
                "`key` of `Checkpoint::set_metadata`",
                format!("any key but {}", format::RESERVED.join(", ")),
                format!("`{key}`"),
                "choose another key",
            ));
        }
        self.metadata.insert(key, value.into());
        Ok(())
    }

    /// The string under `key`, if there is one.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// The string under `key`.
    ///
    /// # Errors
    ///
    /// [`NnError::MissingEntry`] if there is none.
    pub fn required_metadata(&self, key: &str) -> NnResult<&str> {
        self.metadata(key).ok_or_else(|| self.missing("metadata", key, self.metadata.keys()))
    }

    /// All strings by key, in the order of the keys.
    pub fn all_metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The tensor `name`, with the element type that it was saved with.
    ///
    /// # Errors
    ///
    /// [`NnError::MissingEntry`] if there is none, [`NnError::TensorMismatch`] if its elements are not of type `F`.
    pub fn tensor<F: Real>(&self, name: &str) -> NnResult<Tensor<F>> {
        let tensor = self.entry(name)?;
        tensor.to_real().ok_or_else(|| NnError::TensorMismatch {
            location: self.location(),
            name: name.into(),
            expected: format!("elements of type {}", F::NAME),
            found: tensor.type_name(),
            hint: "read it with the type that it was saved with, and convert it with `Tensor::cast`",
        })
    }

    /// The tensor `name`, which must have the given shape.
    ///
    /// # Errors
    ///
    /// As [`tensor`](Self::tensor), and [`NnError::TensorMismatch`] for another shape.
    pub fn tensor_of_shape<F: Real>(&self, name: &str, shape: &Shape) -> NnResult<Tensor<F>> {
        self.checked_shape(name, self.tensor(name)?, shape)
    }

    /// The tensor, if it has the given shape.
    pub(crate) fn checked_shape<F: Real>(&self, name: &str, tensor: Tensor<F>, shape: &Shape) -> NnResult<Tensor<F>> {
        if tensor.shape() != shape {
            return Err(NnError::TensorMismatch {
                location: self.location(),
                name: name.into(),
                expected: format!("shape {shape}"),
                found: format!("shape {}", tensor.shape()),
                hint: "build the model with the sizes that it was saved with",
            });
        }
        Ok(tensor)
    }

    /// The integers `name`.
    ///
    /// # Errors
    ///
    /// [`NnError::MissingEntry`] if there are none, [`NnError::TensorMismatch`] if its elements are floats.
    pub fn u64s(&self, name: &str) -> NnResult<&[u64]> {
        match self.entry(name)? {
            CheckpointTensor::U64 { values, .. } => Ok(values),
            other => Err(NnError::TensorMismatch {
                location: self.location(),
                name: name.into(),
                expected: "elements of type u64".into(),
                found: other.type_name(),
                hint: "read it as a tensor of floats",
            }),
        }
    }

    /// Whether there is a tensor or a list of integers with this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// All tensors by name, in the order of the names.
    pub fn tensors(&self) -> &BTreeMap<String, CheckpointTensor> {
        &self.tensors
    }

    /// Writes the checkpoint to a file, atomically.
    ///
    /// The content is written to a temporary file in the same folder, flushed to the disk, and renamed to `path`. After
    /// an interruption or on a full disk, an existing file is unchanged. The next save to `path` removes the temporary
    /// file of a killed process. [`write_atomically`] states what happens to links and permissions, and when several
    /// processes save at the same time.
    ///
    /// # Errors
    ///
    /// [`NnError::Io`], with the system's error, if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> NnResult<()> {
        self.write(path.as_ref())
    }

    fn write(&self, path: &Path) -> NnResult<()> {
        #[cfg(feature = "tracing")]
        let _span = tracing::debug_span!("checkpoint", action = "write", path = %path.display()).entered();
        write_atomically(path, |file| format::encode(&self.tensors, &self.metadata, file))
    }

    /// Reads a checkpoint that was written by [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// [`NnError::Io`] or [`NnError::NotAFile`] if there is no readable file, [`NnError::InvalidCheckpoint`] if it is
    /// truncated, damaged, from a newer version or from another program.
    pub fn load(path: impl AsRef<Path>) -> NnResult<Self> {
        Self::read(path.as_ref())
    }

    fn read(path: &Path) -> NnResult<Self> {
        #[cfg(feature = "tracing")]
        let _span = tracing::debug_span!("checkpoint", action = "read", path = %path.display()).entered();
        let (tensors, metadata) = format::decode(&Self::read_bytes(path)?, &path.display().to_string())?;
        Ok(Self { tensors, metadata, source: Some(path.into()) })
    }

    /// Writes a safetensors file as PyTorch reads it: without the metadata of a checkpoint.
    pub(crate) fn save_state_dict(&self, path: &Path) -> NnResult<()> {
        let metadata = BTreeMap::from([("format".into(), "pt".into())]);
        write_atomically(path, |file| format::write(&self.tensors, &metadata, file))
    }

    /// Reads those tensors of a safetensors file of PyTorch whose names are wanted.
    pub(crate) fn read_state_dict(path: &Path, wanted: impl Fn(&str) -> bool) -> NnResult<Self> {
        let tensors = format::read(&Self::read_bytes(path)?, &path.display().to_string(), wanted)?;
        Ok(Self { tensors, metadata: BTreeMap::new(), source: Some(path.into()) })
    }

    fn read_bytes(path: &Path) -> NnResult<Vec<u8>> {
        let unreadable = |source| NnError::io("read", path, "check the path and the file's permissions", source);
        let information = fs::metadata(path).map_err(unreadable)?;
        if !information.is_file() {
            return Err(NnError::NotAFile {
                path: path.into(),
                found: if information.is_dir() { "a folder" } else { "a special file" },
                hint: "pass the path of one checkpoint file",
            });
        }
        fs::read(path).map_err(unreadable)
    }

    fn entry(&self, name: &str) -> NnResult<&CheckpointTensor> {
        self.tensors.get(name).ok_or_else(|| self.missing("tensor", name, self.tensors.keys()))
    }

    fn missing<'a>(&self, what: &'static str, name: &str, names: impl ExactSizeIterator<Item = &'a String>) -> NnError {
        const SHOWN: usize = 12;
        let count = names.len();
        let mut available = names.take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        if count == 0 {
            available = "none at all".into();
        } else if count > SHOWN {
            available += &format!(" and {} more", count - SHOWN);
        }
        NnError::MissingEntry {
            location: self.location(),
            what,
            name: name.into(),
            available,
            hint: "check that the file belongs to this model, and the spelling of the name",
        }
    }

    fn location(&self) -> String {
        self.source.as_ref().map_or_else(|| "in memory".into(), |path| path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Checkpoint {
        let mut checkpoint = Checkpoint::new();
        checkpoint.insert("w", &Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]])).unwrap();
        checkpoint.insert("theta", &Tensor::scalar(0.1_f64)).unwrap();
        checkpoint.insert_u64s("step", &[3, u64::MAX]).unwrap();
        checkpoint.set_metadata("method", "rebar").unwrap();
        checkpoint
    }

    #[test]
    fn floats_of_every_bit_pattern_survive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bits.safetensors");
        let singles =
            [0_u32, 0x8000_0000, 1, 0x7f80_0000, 0xff80_0000, 0x7fc0_1234, 0xffff_ffff, 0x7f80_0001, 0x3f80_0000];
        let doubles =
            [0_u64, 1 << 63, 1, 0x7ff0_0000_0000_0000, 0x7ff8_0000_dead_beef, u64::MAX, 0x7ff0_0000_0000_0001];
        let integers = [0, 1, u64::MAX, (1 << 53) + 1];
        let mut checkpoint = Checkpoint::new();
        let single = Tensor::new(singles.map(f32::from_bits).to_vec(), [3, 3]).unwrap();
        let double = Tensor::from(doubles.map(f64::from_bits));
        checkpoint.insert("single", &single).unwrap();
        checkpoint.insert("double", &double).unwrap();
        checkpoint.insert("empty", &Tensor::<f64>::zeros([0, 3])).unwrap();
        checkpoint.insert("scalar", &Tensor::scalar(-0.0_f32)).unwrap();
        checkpoint.insert_u64s("integers", &integers).unwrap();
        checkpoint.insert_u64s("no integers", &[]).unwrap();
        checkpoint.set_metadata("", "quotes \" and \u{1F600}\n").unwrap();
        checkpoint.save(&path).unwrap();

        let loaded = Checkpoint::load(&path).unwrap();
        let single = loaded.tensor::<f32>("single").unwrap();
        assert_eq!(single.shape()[..], [3, 3]);
        assert!(single.as_slice().iter().map(|x| x.to_bits()).eq(singles));
        let double = loaded.tensor::<f64>("double").unwrap();
        assert!(double.as_slice().iter().map(|x| x.to_bits()).eq(doubles));
        assert_eq!(loaded.tensor::<f64>("empty").unwrap().shape()[..], [0, 3]);
        let scalar = loaded.tensor::<f32>("scalar").unwrap();
        assert_eq!(scalar.shape().rank(), 0);
        assert_eq!(scalar.item().unwrap().to_bits(), 0x8000_0000);
        assert_eq!(loaded.u64s("integers").unwrap(), integers);
        assert!(loaded.u64s("no integers").unwrap().is_empty());
        assert_eq!(loaded.metadata(""), Some("quotes \" and \u{1F600}\n"));
        assert_eq!(loaded.all_metadata().len(), 1);
    }

    #[test]
    fn equal_checkpoints_are_equal_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        for number in 0..4 {
            let path = folder.path().join(number.to_string());
            let mut checkpoint = sample();
            checkpoint.set_metadata("a", "1").unwrap();
            checkpoint.set_metadata("b", "2").unwrap();
            checkpoint.save(&path).unwrap();
            let reloaded = Checkpoint::load(&path).unwrap();
            reloaded.save(&path).unwrap();
            files.push(fs::read(&path).unwrap());
        }
        assert!(files.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn wrong_requests_name_file_tensor_expected_and_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        sample().save(&path).unwrap();
        let loaded = Checkpoint::load(&path).unwrap();
        let messages = [
            (loaded.tensor::<f64>("w").unwrap_err(), ["`w`", "f64", "f32 [2, 2]"]),
            (loaded.tensor::<f32>("step").unwrap_err(), ["`step`", "f32", "u64 [2]"]),
            (loaded.u64s("theta").unwrap_err(), ["`theta`", "u64", "f64 []"]),
            (loaded.tensor::<f32>("v").unwrap_err(), ["`v`", "`theta`, `w`", "spelling"]),
            (loaded.tensor_of_shape::<f32>("w", &Shape::from([4])).unwrap_err(), ["`w`", "[4]", "[2, 2]"]),
            (loaded.required_metadata("none").unwrap_err(), ["`none`", "`method`", "spelling"]),
        ];
        for (error, parts) in messages {
            let message = error.to_string();
            assert!(message.contains("model.safetensors"), "{message}");
            for part in parts {
                assert!(message.contains(part), "{message}");
            }
        }
        let message = sample().tensor::<f64>("w").unwrap_err().to_string();
        assert!(message.contains("in memory"), "{message}");
        assert!(loaded.tensor_of_shape::<f32>("w", &Shape::from([2, 2])).is_ok());
        assert!(loaded.contains("w") && !loaded.contains("v"));
    }

    #[test]
    fn reserved_names_are_refused() {
        let mut checkpoint = sample();
        assert!(checkpoint.insert_u64s("__metadata__", &[1]).is_err());
        assert!(checkpoint.insert("__metadata__", &Tensor::scalar(1.0_f32)).is_err());
        for key in ["kind", "format_version", "checksum"] {
            assert!(checkpoint.set_metadata(key, "x").is_err());
        }
        assert_eq!(checkpoint.tensors().len(), 3);
    }

    #[test]
    fn absent_files_and_folders_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Checkpoint::load(folder.path()), Err(NnError::NotAFile { .. })));
        assert!(matches!(
            Checkpoint::load(folder.path().join("none")),
            Err(NnError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound
        ));
    }

    #[test]
    fn a_disk_that_fills_up_at_any_byte_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        sample().save(&path).unwrap();
        let old = fs::read(&path).unwrap();
        let mut newer = sample();
        newer.insert("w", &Tensor::from([9.0_f32; 40])).unwrap();
        let mut length = Vec::new();
        format::encode(&newer.tensors, &newer.metadata, &mut length).unwrap();
        for capacity in 0..length.len() {
            let error = write_atomically(&path, |file| {
                let mut disk = FullAfter { file, left: capacity };
                format::encode(&newer.tensors, &newer.metadata, &mut disk)
            })
            .unwrap_err();
            assert!(matches!(
                &error,
                NnError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull
            ));
            assert!(error.to_string().contains("model.safetensors"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), old);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
        newer.save(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), length);
    }

    struct FullAfter<'a> {
        file: &'a mut fs::File,
        left: usize,
    }

    impl std::io::Write for FullAfter<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.left == 0 {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            let written = self.file.write(&bytes[..bytes.len().min(self.left)])?;
            self.left -= written;
            Ok(written)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            self.file.flush()
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_full_device_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        sample().save(&path).unwrap();
        let old = fs::read(&path).unwrap();
        let error = write_atomically(&path, |file| {
            *file = fs::File::options().write(true).open("/dev/full")?;
            format::encode(&sample().tensors, &sample().metadata, file)
        })
        .unwrap_err();
        assert!(matches!(
            &error,
            NnError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull
        ));
        assert!(error.to_string().contains("space"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), old);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
