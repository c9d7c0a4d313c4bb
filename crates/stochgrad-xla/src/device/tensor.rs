//! Tensors on a device that several runs share.

use crate::device::DeviceReal;
use crate::device::spread::Spread;
use crate::error::XlaResult;
use std::marker::PhantomData;
use std::sync::Arc;
use stochgrad_tensor::{Shape, Tensor};

/// A tensor on a device that several runs share. Made by [`Device::upload`](super::Device::upload); clones share it.
#[derive(Clone, Debug)]
pub struct DeviceTensor<F: DeviceReal> {
    spread: Arc<Spread>,
    shape: Shape,
    element: PhantomData<F>,
}

impl<F: DeviceReal> DeviceTensor<F> {
    pub(super) fn new(spread: Spread, shape: Shape) -> Self {
        DeviceTensor { spread: Arc::new(spread), shape, element: PhantomData }
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Copies the tensor from the device.
    ///
    /// # Errors
    /// Those of the plugin.
    pub fn read(&self) -> XlaResult<Tensor<F>> {
        self.spread.tensor()
    }

    pub(super) fn spread(&self) -> &Arc<Spread> {
        &self.spread
    }
}
