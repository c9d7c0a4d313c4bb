//! Slots: the memory of an optimiser, one tensor for each parameter.

use std::collections::BTreeMap;

use stochgrad_tensor::{Real, Shape, Tensor};

use crate::error::{NnError, NnResult};
use crate::parameters::Parameters;

/// The memory of an optimiser: one tensor for each parameter, found by the name of the parameter.
///
/// A slot is created with zeros at its first use. Later look-ups allocate nothing.
#[derive(Clone, Debug)]
pub(crate) struct Slots<F: Real>(Vec<(String, Tensor<F>)>);

impl<F: Real> Default for Slots<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F: Real> Slots<F> {
    fn search(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }

    /// The slot of a parameter. A new slot has the given shape and contains zeros.
    pub(crate) fn tensor(&mut self, name: &str, shape: &Shape) -> &mut Tensor<F> {
        let position = match self.search(name) {
            Ok(position) => position,
            Err(position) => {
                let zeros = Tensor::zeros(shape.clone());
                self.0.insert(position, (name.into(), zeros));
                position
            }
        };
        &mut self.0[position].1
    }

    /// Checks that the slots of these parameters have the shapes of the parameters.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if the shape of a parameter has changed since its slot was created.
    pub(crate) fn check(&self, parameters: &Parameters<F>) -> NnResult<()> {
        for (name, value) in parameters.iter() {
            if let Ok(position) = self.search(name) {
                check_shape(name, &self.0[position].1, value)?;
            }
        }
        Ok(())
    }

    /// The slots by name, for [`OptimizerState::slots`](crate::OptimizerState::slots).
    pub(crate) fn state(&self) -> BTreeMap<String, Tensor<F>> {
        self.0.iter().cloned().collect()
    }

    /// The slots that [`state`](Self::state) returned, ordered by name.
    pub(crate) fn from_state<'a>(state: impl IntoIterator<Item = (&'a String, &'a Tensor<F>)>) -> Self {
        let tensors = state.into_iter();
        Self(tensors.map(|(name, tensor)| (name.clone(), tensor.clone())).collect())
    }
}

/// Checks that a parameter has the shape of what an optimiser remembers for it.
///
/// # Errors
///
/// [`NnError::InvalidArgument`] if its shape has changed.
pub(crate) fn check_shape<F: Real>(name: &str, remembered: &Tensor<F>, value: &Tensor<F>) -> NnResult<()> {
    if remembered.shape() == value.shape() {
        return Ok(());
    }
    Err(NnError::argument(
        "`parameters` of `Optimizer::step`",
        format!("shape {} for `{name}`, as in the optimiser's earlier steps", remembered.shape()),
        format!("shape {}", value.shape()),
        "create a new optimiser for a new model",
    ))
}
