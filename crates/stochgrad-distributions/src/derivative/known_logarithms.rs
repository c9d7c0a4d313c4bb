//! Values whose logarithms are known.
//!
//! The distribution of `logit(x)` or `ln x` is that of a value `x` which has rounded to the end of its range where its
//! logit or logarithm has not: to 1 for logits above 37 (17 in single precision), and to 0 for logarithms below −745
//! (−104). A density that depends on `1 − x` or `ln x` needs the logit or the logarithm itself, which the value
//! therefore carries.

use crate::derivative::base_values::{WITH_LOGARITHM, WITH_LOGIT, behind, is_named};
use std::sync::Arc;
use stochgrad_tape::{Description, Primitive, PrimitiveInputs, Smoothness, Var};
use stochgrad_tensor::{Real, Tensor};

/// The same value, which refers to its logit.
pub(crate) fn with_log_odds<'t, F: Real>(value: Var<'t, F>, odds: Var<'t, F>) -> Var<'t, F> {
    value.tape().custom(Arc::new(Mark { name: WITH_LOGIT }), &[value, odds])
}

/// The same positive value, which refers to its logarithm.
pub(crate) fn with_logarithm<'t, F: Real>(value: Var<'t, F>, logarithm: Var<'t, F>) -> Var<'t, F> {
    value.tape().custom(Arc::new(Mark { name: WITH_LOGARITHM }), &[value, logarithm])
}

/// The logit of a value between 0 and 1, with its derivatives, if the value [refers](with_log_odds) to it.
pub(crate) fn log_odds_of<F: Real>(value: Var<'_, F>) -> Option<Var<'_, F>> {
    known(value, WITH_LOGIT)
}

/// The logarithm of a positive value, with its derivatives, if the value [refers](with_logarithm) to it.
pub(crate) fn logarithm_of<F: Real>(value: Var<'_, F>) -> Option<Var<'_, F>> {
    known(value, WITH_LOGARITHM)
}

fn known<'t, F: Real>(value: Var<'t, F>, name: &str) -> Option<Var<'t, F>> {
    let mut at = value;
    loop {
        if is_named(at, name) {
            return at.inputs().get(1).copied();
        }
        at = behind(at)?;
    }
}

/// The identity of a value, which refers to a logarithm.
struct Mark {
    name: &'static str,
}

impl<F: Real> Primitive<F> for Mark {
    fn name(&self) -> &str {
        self.name
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        inputs.values.first().cloned().ok_or_else(|| "expected a value and its logarithm, got no operand".into())
    }

    fn takes_from_pool(&self) -> bool {
        // The value shares the buffer of an operand that does.
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        inputs.first().map(|&value| Description::of(value))
    }

    fn gradient<'t>(&self, _: &[Var<'t, F>], _: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![Some(adjoint), None]
    }

    fn smoothness(&self, input: usize) -> Smoothness {
        if input == 0 { Smoothness::Smooth } else { Smoothness::Constant }
    }
}
