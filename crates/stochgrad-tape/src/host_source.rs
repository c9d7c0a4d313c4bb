//! The source of a host value.

use std::sync::Arc;
use stochgrad_tensor::{Pool, Real, Shape, Tensor};

/// Calls its argument with the flat position and the value of each element.
pub(crate) type Read = Arc<dyn Fn(&mut dyn FnMut(usize, f64)) + Send + Sync>;

/// A function that supplies a host value.
#[derive(Clone)]
pub struct HostSource {
    pub(crate) shape: Shape,
    pub(crate) read: Read,
}

impl HostSource {
    pub(crate) fn elements(&self) -> usize {
        self.shape.numel()
    }

    pub(crate) fn tensor<F: Real>(&self, pool: &Pool<F>) -> Tensor<F> {
        let mut value = pool.full(self.shape.clone(), F::ZERO);
        let numbers = value.make_mut();
        (self.read)(&mut |at, number| {
            if let Some(place) = numbers.get_mut(at) {
                *place = F::from_f64(number);
            }
        });
        value
    }
}

impl std::fmt::Debug for HostSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HostSource({})", self.shape)
    }
}
