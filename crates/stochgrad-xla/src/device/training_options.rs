//! How training steps are compiled.

use crate::device::{DeviceReal, DeviceTensor};
use stochgrad_tensor::{Shape, Tensor};

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
pub struct TrainingOptions<'a, F: DeviceReal> {
    pub(super) resident: Vec<(&'a str, Resident<'a, F>)>,
    pub(super) steps: usize,
}

/// Resident data of an input.
#[derive(Clone, Debug)]
pub(super) enum Resident<'a, F: DeviceReal> {
    Host(&'a Tensor<F>),
    Device(DeviceTensor<F>),
}

impl<F: DeviceReal> Resident<'_, F> {
    pub(super) fn shape(&self) -> &Shape {
        match self {
            Resident::Host(data) => data.shape(),
            Resident::Device(data) => data.shape(),
        }
    }
}

impl<'a, F: DeviceReal> TrainingOptions<'a, F> {
    /// Single steps.
    pub fn new() -> Self {
        TrainingOptions { resident: Vec::new(), steps: 0 }
    }

    /// Copies a whole data set to the device, of which the input of this name gets the rows of a batch in each step of
    /// [`run_steps`](super::DeviceTraining::run_steps). Several inputs, such as images and labels, get the same rows.
    pub fn resident(mut self, input: &'a str, data: &'a Tensor<F>) -> Self {
        self.resident.push((input, Resident::Host(data)));
        self
    }

    /// As [`resident`](Self::resident), with data that are already on the device: for several programs that use them.
    pub fn share_resident(mut self, input: &'a str, data: &DeviceTensor<F>) -> Self {
        self.resident.push((input, Resident::Device(data.clone())));
        self
    }

    /// Also compiles a loop of up to this number of steps, for [`run_steps`](super::DeviceTraining::run_steps).
    pub fn steps(self, steps: usize) -> Self {
        TrainingOptions { steps, ..self }
    }
}

impl<F: DeviceReal> Default for TrainingOptions<'_, F> {
    fn default() -> Self {
        Self::new()
    }
}
