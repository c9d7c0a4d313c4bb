//! Parameters and buffers in a checkpoint.

use std::path::Path;

use stochgrad_tensor::{Real, Tensor};

use super::{Parameters, Position};
use crate::checkpoint::Checkpoint;
use crate::error::{NnError, NnResult};

/// The prefix of the names of parameters in a checkpoint.
const PARAMETERS: &str = "parameters/";

/// The prefix of the names of buffers in a checkpoint.
const BUFFERS: &str = "buffers/";

/// The values of a checkpoint for each parameter and each buffer, in their order.
pub(crate) struct Saved<F: Real> {
    parameters: Vec<Tensor<F>>,
    buffers: Vec<Tensor<F>>,
}

impl<F: Real> Parameters<F> {
    /// Adds the values of all parameters and buffers to a checkpoint. The memory is shared, not copied.
    ///
    /// # Errors
    ///
    /// Those of [`Checkpoint::insert`].
    pub fn save_to(&self, checkpoint: &mut Checkpoint) -> NnResult<()> {
        self.iter().try_for_each(|(name, value)| checkpoint.insert(format!("{PARAMETERS}{name}"), value))?;
        self.buffers().try_for_each(|(name, value)| checkpoint.insert(format!("{BUFFERS}{name}"), value))
    }

    /// Takes the values of all parameters and buffers from a checkpoint, for instance to evaluate a trained model.
    ///
    /// # Errors
    ///
    /// [`NnError::MissingEntry`], [`NnError::TensorMismatch`] or [`NnError::InvalidCheckpoint`] unless the checkpoint
    /// has exactly these parameters and buffers, with these shapes and this element type. On an error, nothing is
    /// changed.
    pub fn load_from(&mut self, checkpoint: &Checkpoint) -> NnResult<()> {
        let saved = self.read_from(checkpoint, "passed to `Parameters::load_from`")?;
        self.replace(saved);
        Ok(())
    }

    /// Writes all parameters and buffers to a file, which replaces an earlier one as a whole; see [`Checkpoint::save`].
    ///
    /// # Errors
    ///
    /// Those of [`Checkpoint::save`].
    pub fn save(&self, path: impl AsRef<Path>) -> NnResult<()> {
        let mut checkpoint = Checkpoint::new();
        self.save_to(&mut checkpoint)?;
        checkpoint.save(path)
    }

    /// Takes the values of all parameters and buffers from a file: one of [`save`](Self::save), the
    /// `parameters.safetensors` of a training run, or a checkpoint. Build the model as before; its parameters have the
    /// initial values until then.
    ///
    /// ```
    /// use stochgrad_nn::Parameters;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let path = std::env::temp_dir().join(format!("stochgrad-load-{}.safetensors", std::process::id()));
    /// let mut trained = Parameters::<f32>::new();
    /// trained.insert("slope", Tensor::from([0.5, -1.0]))?;
    /// trained.save(&path)?;
    ///
    /// let mut parameters = Parameters::<f32>::new();
    /// parameters.insert("slope", Tensor::zeros([2]))?;
    /// parameters.load(&path)?;
    /// assert_eq!(parameters.get("slope"), trained.get("slope"));
    /// # std::fs::remove_file(path).unwrap();
    /// # Ok::<(), stochgrad_nn::NnError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Checkpoint::load`] and of [`load_from`](Self::load_from). On an error, nothing is changed.
    pub fn load(&mut self, path: impl AsRef<Path>) -> NnResult<()> {
        let path = path.as_ref();
        let saved = self.read_from(&Checkpoint::load(path)?, &path.display().to_string())?;
        self.replace(saved);
        Ok(())
    }

    /// The values of a checkpoint. `location` says where the checkpoint is from, for messages.
    pub(crate) fn read_from(&self, checkpoint: &Checkpoint, location: &str) -> NnResult<Saved<F>> {
        let read = |prefix: &str, (name, value): (&str, &Tensor<F>)| {
            checkpoint.tensor_of_shape(&format!("{prefix}{name}"), value.shape())
        };
        let parameters = self.iter().map(|entry| read(PARAMETERS, entry)).collect::<NnResult<_>>()?;
        let buffers = self.buffers().map(|entry| read(BUFFERS, entry)).collect::<NnResult<_>>()?;
        let known = |name: &str, prefix: &str| match self.positions.get(name) {
            Some(Position::Parameter(_)) => prefix == PARAMETERS,
            Some(Position::Buffer(_)) => prefix == BUFFERS,
            None => false,
        };
        for (prefix, what, count) in
            [(PARAMETERS, "parameter(s)", self.len()), (BUFFERS, "buffer(s)", self.buffers.len())]
        {
            let saved = || checkpoint.tensors().keys().filter_map(|name| name.strip_prefix(prefix));
            if let Some(extra) = saved().find(|name| !known(name, prefix)) {
                return Err(NnError::InvalidCheckpoint {
                    location: location.into(),
                    expected: format!("the {count} {what} of this model"),
                    found: format!("{}, `{extra}` among them", saved().count()),
                    hint: "build the model with the layers that it was saved with",
                    source: None,
                });
            }
        }
        Ok(Saved { parameters, buffers })
    }

    /// Takes over the values that [`read_from`](Self::read_from) returned.
    pub(crate) fn replace(&mut self, saved: Saved<F>) {
        for (entry, value) in self.entries.iter_mut().zip(saved.parameters) {
            entry.value = value;
        }
        for ((_, buffer), value) in self.buffers.iter_mut().zip(saved.buffers) {
            *buffer = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{one_parameter, two_parameters as two};

    #[test]
    fn a_checkpoint_holds_the_values_and_must_fit() {
        let parameters = two();
        let mut checkpoint = Checkpoint::new();
        parameters.save_to(&mut checkpoint).unwrap();
        let mut restored = two();
        restored
            .update(|_, _, values| {
                values.fill(0.0);
                Ok(())
            })
            .unwrap();
        restored.load_from(&checkpoint).unwrap();
        assert!(restored.iter().eq(parameters.iter()));

        let mut larger = two();
        larger.insert("b", Tensor::scalar(0.5)).unwrap();
        let error = larger.load_from(&checkpoint).unwrap_err();
        assert!(matches!(error, NnError::MissingEntry { .. }), "{error}");
        let mut smaller = one_parameter(Tensor::scalar(0.5));
        let mut extra = Checkpoint::new();
        larger.save_to(&mut extra).unwrap();
        extra.insert("parameters/x", &Tensor::scalar(1.0)).unwrap();
        let message = smaller.load_from(&extra).unwrap_err().to_string();
        assert!(message.contains("1 parameter(s)") && message.contains('4'), "{message}");
        assert_eq!(smaller.get("x"), Some(&Tensor::scalar(0.5)));
        let mut single = Parameters::<f32>::new();
        single.insert("w", Tensor::zeros([2, 2])).unwrap();
        let error = single.load_from(&checkpoint).unwrap_err();
        assert!(matches!(error, NnError::TensorMismatch { .. }), "{error}");
    }

    #[test]
    fn a_file_that_does_not_fit_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let missing = two().load(&path).unwrap_err().to_string();
        assert!(missing.contains("model.safetensors"), "{missing}");

        two().save(&path).unwrap();
        let mut smaller = one_parameter(Tensor::scalar(0.5));
        let message = smaller.load(&path).unwrap_err().to_string();
        assert!(
            message.contains("model.safetensors") && message.contains("expected tensor `parameters/x`"),
            "{message}"
        );
        assert_eq!(smaller.get("x"), Some(&Tensor::scalar(0.5)));
    }

    #[test]
    fn buffers_are_saved_and_must_fit() {
        let with_mean = |mean: Tensor<f64>| {
            let mut parameters = two();
            parameters.insert_buffer("mean", mean).unwrap();
            parameters
        };
        let mut checkpoint = Checkpoint::new();
        with_mean(Tensor::from([1.0, 2.0])).save_to(&mut checkpoint).unwrap();
        let mut restored = with_mean(Tensor::zeros([2]));
        restored.load_from(&checkpoint).unwrap();
        assert_eq!(restored.buffer("mean"), Some(&Tensor::from([1.0, 2.0])));

        let message = two().load_from(&checkpoint).unwrap_err().to_string();
        assert!(message.contains("0 buffer(s)") && message.contains("`mean`"), "{message}");
        let error = with_mean(Tensor::zeros([3])).load_from(&checkpoint).unwrap_err();
        assert!(matches!(error, NnError::TensorMismatch { .. }), "{error}");
        // A parameter is not read from a buffer.
        let mut trained = two();
        trained.insert("mean", Tensor::zeros([2])).unwrap();
        let error = trained.load_from(&checkpoint).unwrap_err();
        assert!(matches!(error, NnError::MissingEntry { .. }), "{error}");
    }
}
