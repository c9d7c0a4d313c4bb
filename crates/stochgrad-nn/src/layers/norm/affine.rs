//! What the normalising layers share: the scale and shift after the normalisation.

use stochgrad_graph::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape, Tensor, machine_memory};

use crate::error::{NnError, NnResult};
use crate::parameters::Scope;
use crate::record::Record;

/// The number that is added to the variance.
pub(super) const EPSILON: f64 = 1e-5;

/// The names of the weights and the shifts of a normalising layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Affine {
    pub(super) weight: String,
    bias: String,
}

impl Affine {
    /// Adds `weight`, initially 1, and `bias`, initially 0.
    pub(super) fn new<F: Real>(scope: &mut Scope<'_, F>, shape: &Shape) -> NnResult<Self> {
        Ok(Self {
            weight: scope.insert("weight", Tensor::ones(shape.clone()))?,
            bias: scope.insert("bias", Tensor::zeros(shape.clone()))?,
        })
    }

    /// Scales and shifts.
    pub(super) fn of<'t, F: Real>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        Ok(x * record.param(&self.weight)? + record.param(&self.bias)?)
    }
}

/// Divides values with mean 0 by the square root of their variance.
pub(super) fn scaled<'t, F: Real>(centred: Var<'t, F>, variance: Var<'t, F>, epsilon: f64) -> Var<'t, F> {
    centred * (variance + epsilon).sqrt().recip()
}

/// Checks the sizes that a constructor got.
///
/// # Errors
///
/// If there are no elements, or more than fit in memory.
pub(super) fn check_sizes<F: Real>(argument: &'static str, shape: &Shape, scope: &Scope<'_, F>) -> NnResult<()> {
    if !shape.contains(&0) && shape.check_memory::<F>(machine_memory()).is_ok() {
        return Ok(());
    }
    Err(NnError::argument(
        argument,
        "at least one element, and a number of elements that fits in memory",
        format!("shape {shape} for layer `{}`", scope.name()),
        "pass the sizes of the last event axes of the input",
    ))
}

/// Checks the number that is added to a variance.
///
/// # Panics
///
/// If it is not positive.
pub(super) fn checked_epsilon(epsilon: f64) -> f64 {
    assert!(epsilon > 0.0 && epsilon.is_finite(), "`epsilon`: expected a positive number, got {epsilon}");
    epsilon
}
