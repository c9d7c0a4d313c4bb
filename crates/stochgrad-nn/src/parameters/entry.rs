//! One parameter.

use stochgrad_tensor::{Real, Tensor};

/// A parameter: its name and its value.
#[derive(Debug)]
pub(super) struct Entry<F: Real> {
    pub(super) name: String,
    pub(super) value: Tensor<F>,
    /// Whether it is recorded without a gradient.
    pub(super) is_frozen: bool,
    /// The value before the last update, if its memory was shared. The next update may reuse it.
    pub(super) spare: Option<Tensor<F>>,
}

impl<F: Real> Clone for Entry<F> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), value: self.value.clone(), is_frozen: self.is_frozen, spare: None }
    }
}
