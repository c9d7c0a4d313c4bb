//! Slots: the memory of an optimiser, one tensor for each parameter.

use std::collections::BTreeMap;

use stochgrad_tensor::{Real, Shape, Tensor};

use crate::error::{NnError, NnResult};
use crate::parameters::Parameters;

/// The memory of an optimiser: one tensor for each parameter, found by the name of the parameter.
///
/// A slot is created with zeros at its first use. Later look-ups allocate nothing. [`Sgd`](crate::Sgd) keeps its
/// velocity in one `Slots`, and [`Adam`](crate::Adam) its two moments in two. Your own optimiser can do the same:
///
/// ```
/// use stochgrad_graph::{Graph, Gradients, Seed};
/// use stochgrad_nn::optimizers::{Slots, check_gradients};
/// use stochgrad_nn::{NnResult, Parameters};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// /// AdaGrad: divides each element by the root of the sum of its squared gradients so far.
/// fn adagrad(
///     rate: f64,
///     squares: &mut Slots<f64>,
///     parameters: &mut Parameters<f64>,
///     gradients: &Gradients<f64>,
/// ) -> NnResult<()> {
///     check_gradients(parameters, gradients)?;
///     squares.check(parameters)?;
///     parameters.update(|name, shape, values| {
///         let Ok(gradient) = gradients.get(name) else { return Ok(()) };
///         let squares = squares.elements(name, shape);
///         for ((value, square), g) in values.iter_mut().zip(squares).zip(gradient.as_slice()) {
///             *square += g * g;
///             *value -= rate * g / (square.sqrt() + 1e-10);
///         }
///         Ok(())
///     })
/// }
///
/// let mut parameters = Parameters::<f64>::new();
/// parameters.insert("x", Tensor::scalar(3.0))?;
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// graph.cost("square", parameters.on(&graph).param("x")?.square())?;
/// let mut squares = Slots::default();
/// adagrad(0.5, &mut squares, &mut parameters, &graph.backward()?)?;
/// assert!((parameters.get("x").unwrap().item()? - 2.5).abs() < 1e-9);
/// assert_eq!(squares.state()["x"].item()?, 36.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Slots<F: Real>(Vec<(String, Tensor<F>)>);

impl<F: Real> Default for Slots<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F: Real> Slots<F> {
    fn search(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }

    /// The elements of the slot of a parameter. A new slot has the given shape and contains zeros.
    pub fn elements(&mut self, name: &str, shape: &Shape) -> &mut [F] {
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

    /// Checks that the slots of these parameters have the shapes of the parameters.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if the shape of a parameter has changed since its slot was created.
    pub fn check(&self, parameters: &Parameters<F>) -> NnResult<()> {
        for (name, value) in parameters.iter() {
            if let Ok(position) = self.search(name) {
                let remembered = &self.0[position].1;
                if remembered.shape() != value.shape() {
                    return Err(NnError::argument(
                        "`parameters` of `Optimizer::step`",
                        format!("shape {} for `{name}`, as in the optimiser's earlier steps", remembered.shape()),
                        format!("shape {}", value.shape()),
                        "create a new optimiser for a new model",
                    ));
                }
            }
        }
        Ok(())
    }

    /// The slots by name, for [`OptimizerState::slots`](crate::OptimizerState::slots).
    pub fn state(&self) -> BTreeMap<String, Tensor<F>> {
        self.0.iter().cloned().collect()
    }

    /// The slots that [`state`](Self::state) returned, or no slots for `None`.
    pub fn from_state(state: Option<&BTreeMap<String, Tensor<F>>>) -> Self {
        let tensors = state.into_iter().flatten();
        Self(tensors.map(|(name, tensor)| (name.clone(), tensor.clone())).collect())
    }
}
