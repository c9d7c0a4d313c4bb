//! One tensor a parameter, by name.

use std::collections::BTreeMap;

use stochgrad_tensor::{Real, Shape, Tensor};

use crate::error::{NnError, NnResult};
use crate::parameters::Parameters;

/// Tensors by name, in the order of the names; found without allocating.
#[derive(Clone, Debug)]
pub(super) struct Slots<F: Real>(Vec<(String, Tensor<F>)>);

impl<F: Real> Default for Slots<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F: Real> Slots<F> {
    fn search(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }

    /// The elements under a name, which start as zeros.
    pub(super) fn elements(&mut self, name: &str, shape: &Shape) -> &mut [F] {
        let position = match self.search(name) {
            Ok(position) => position,
            Err(position) => {
                let zeros = Tensor::zeros(shape.clone());
                self.0.insert(position, (name.into(), zeros));
                position
            }
        };
        self.0[position].1.make_mut()
    }

    /// Checks that what is remembered of these parameters has their shapes.
    pub(super) fn check(&self, parameters: &Parameters<F>) -> NnResult<()> {
        for (name, value) in parameters.iter() {
            if let Ok(position) = self.search(name) {
                let remembered = &self.0[position].1;
                if remembered.shape() != value.shape() {
                    return Err(NnError::argument(
                        "`parameters` of `Optimizer::step`",
                        format!("shape {} for `{name}`, as in the optimiser's earlier steps", remembered.shape()),
                        format!("shape {}", value.shape()),
                        "make a new optimiser for a new model",
                    ));
                }
            }
        }
        Ok(())
    }

    pub(super) fn state(&self) -> BTreeMap<String, Tensor<F>> {
        self.0.iter().cloned().collect()
    }

    pub(super) fn from_state(state: Option<&BTreeMap<String, Tensor<F>>>) -> Self {
        let tensors = state.into_iter().flatten();
        Self(tensors.map(|(name, tensor)| (name.clone(), tensor.clone())).collect())
    }
}
