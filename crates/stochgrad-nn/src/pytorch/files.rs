//! Reading and writing the parameters of a model in PyTorch's names and layouts.

use std::path::Path;

use stochgrad_tensor::{Real, Tensor};

use crate::checkpoint::{Checkpoint, CheckpointTensor};
use crate::error::{NnError, NnResult};
use crate::parameters::Parameters;
use crate::pytorch::{Form, Layout};

/// The end of the name of a counter of PyTorch's batch normalisation, which has no counterpart here.
const IGNORED: &str = "num_batches_tracked";

impl<F: Real> Parameters<F> {
    /// Takes the values of all parameters and buffers from a safetensors file with the state dict of a PyTorch module;
    /// see [`pytorch`](crate::pytorch). Single and double precision are converted.
    ///
    /// ```
    /// use stochgrad_graph::Seed;
    /// use stochgrad_nn::{Checkpoint, Initialization, Linear, Parameters};
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f32>::new();
    /// Linear::new(&mut parameters, "head", 2, 3, Initialization::Uniform, Seed::new(7))?;
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("model.safetensors");
    /// parameters.save_pytorch(&path)?;
    ///
    /// let mut other = Parameters::<f32>::new();
    /// Linear::new(&mut other, "head", 2, 3, Initialization::Zeros, Seed::new(7))?;
    /// other.load_pytorch(&path)?;
    /// assert!(other.iter().eq(parameters.iter()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NnError::Io`] or [`NnError::NotAFile`] if there is no readable file, [`NnError::MissingEntry`],
    /// [`NnError::TensorMismatch`] or [`NnError::InvalidCheckpoint`] unless the file has exactly the parameters and
    /// buffers of this model. Nothing is changed in this case.
    pub fn load_pytorch(&mut self, path: impl AsRef<Path>) -> NnResult<()> {
        let path = path.as_ref();
        let file = Checkpoint::read_state_dict(path, |name| !name.ends_with(IGNORED))?;
        let mut values = Vec::new();
        for (name, value) in self.iter().chain(self.buffers()) {
            let Form { name: theirs, layout } = self.form(name);
            values.push((name.to_owned(), read(&file, &theirs, layout, value)?));
        }
        let known = |name: &str| self.iter().chain(self.buffers()).any(|(ours, _)| self.form(ours).name == *name);
        if let Some(extra) = file.tensors().keys().find(|name| !known(name)) {
            return Err(NnError::InvalidCheckpoint {
                location: path.display().to_string(),
                expected: format!("the {} tensors of this model", values.len()),
                found: format!("{}, `{extra}` among them", file.tensors().len()),
                hint: "build the model with the layers and names of the PyTorch module",
                source: None,
            });
        }
        values.into_iter().try_for_each(|(name, value)| self.set(&name, value))
    }

    /// Writes all parameters and buffers to a safetensors file, in the names and layouts of PyTorch; see
    /// [`pytorch`](crate::pytorch). The file is replaced atomically, as by [`Checkpoint::save`].
    ///
    /// # Errors
    ///
    /// [`NnError::Io`] if the file cannot be written, and [`NnError::InvalidArgument`] if two parameters would have the
    /// same name.
    pub fn save_pytorch(&self, path: impl AsRef<Path>) -> NnResult<()> {
        let mut file = Checkpoint::new();
        for (name, value) in self.iter().chain(self.buffers()) {
            let Form { name: theirs, layout } = self.form(name);
            if file.contains(&theirs) {
                return Err(NnError::argument(
                    "names of `Parameters::save_pytorch`",
                    "a name of its own for each tensor in the file",
                    format!("two with the name `{theirs}`, one of them for `{name}`"),
                    "give the layers other names",
                ));
            }
            file.insert(theirs, &layout.to_pytorch(value))?;
        }
        file.save_state_dict(path.as_ref())
    }
}

/// A tensor of a file in the layout of this library.
fn read<F: Real>(file: &Checkpoint, name: &str, layout: Layout, now: &Tensor<F>) -> NnResult<Tensor<F>> {
    let expected = layout.shape_in_pytorch(now.shape());
    let tensor = match file.tensors().get(name) {
        Some(CheckpointTensor::F32(tensor)) => file.checked_shape(name, tensor.cast(), &expected)?,
        Some(CheckpointTensor::F64(tensor)) => file.checked_shape(name, tensor.cast(), &expected)?,
        // The error of a missing tensor, or of one of another type.
        _ => file.tensor_of_shape(name, &expected)?,
    };
    Ok(layout.from_pytorch(&tensor))
}
