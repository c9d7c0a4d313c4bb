//! How training steps are compiled.

use stochgrad_tensor::{Real, Tensor};

/// How training steps are compiled. By default, only single steps are.
///
/// ```
/// use stochgrad_tensor::Tensor;
/// use stochgrad_xla::TrainingOptions;
///
/// let images = Tensor::<f32>::zeros([1000, 784]);
/// let options = TrainingOptions::new().resident("images", &images).steps(100);
/// ```
#[derive(Clone, Debug)]
pub struct TrainingOptions<'a, F: Real> {
    pub(super) resident: Vec<(&'a str, &'a Tensor<F>)>,
    pub(super) steps: usize,
}

impl<'a, F: Real> TrainingOptions<'a, F> {
    /// Single steps.
    pub fn new() -> Self {
        TrainingOptions { resident: Vec::new(), steps: 0 }
    }

    /// Copies a whole data set to the device, of which the input of this name gets the rows of a batch in each step of
    /// [`run_steps`](super::DeviceTraining::run_steps). Several inputs, such as images and labels, get the same rows.
    pub fn resident(mut self, input: &'a str, data: &'a Tensor<F>) -> Self {
        self.resident.push((input, data));
        self
    }

    /// Also compiles a loop of up to this number of steps, for [`run_steps`](super::DeviceTraining::run_steps).
    pub fn steps(self, steps: usize) -> Self {
        TrainingOptions { steps, ..self }
    }
}

impl<F: Real> Default for TrainingOptions<'_, F> {
    fn default() -> Self {
        Self::new()
    }
}
