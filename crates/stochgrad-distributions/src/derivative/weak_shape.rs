//! Weak derivatives with respect to the concentrations of gamma and beta variates, as primitives.
//!
//! The derivative of the distribution with respect to a concentration is a constant times the difference of two
//! distributions. The points of the two parts have the same share of their part beyond them, so that one uniform sample
//! gives both.

use crate::distribution::Alternatives;
use crate::error::DistributionResult;
use crate::noise::Draw;
use smallvec::SmallVec;
use std::sync::Arc;
use stochgrad_tape::special::{self, ShapePart};
use stochgrad_tape::{Description, Primitive, PrimitiveInputs, Smoothness, Special, Var};
use stochgrad_tensor::reduce::expand;
use stochgrad_tensor::special::{ShapeDerivative, beta_shape_derivative, gamma_shape_derivative};
use stochgrad_tensor::{Real, Shape, Tensor};

/// The weak derivative of standard gamma variates with respect to their concentration, pushed through a map.
///
/// # Errors
/// If the noise source cannot provide the noise.
pub(crate) fn concentration_parts<'t, F: Real>(
    concentration: Var<'t, F>,
    draw: &Draw<'_, F>,
    event: &Shape,
    push: impl Fn(Var<'t, F>) -> Var<'t, F>,
) -> DistributionResult<Alternatives<'t, F>> {
    let parts = parts(Family::Gamma, &[concentration], draw, event)?;
    let held = |log: Var<'t, F>| push(log.exp()).clamp(F::MIN_POSITIVE.to_f64(), F::MAX.to_f64());
    Ok(Alternatives { values: parts.values.into_iter().map(held).collect(), weights: parts.weights })
}

/// The weak derivative of beta variates with respect to the first of their two concentrations. The values are
/// log-odds.
///
/// # Errors
/// If the noise source cannot provide the noise.
pub(crate) fn ratio_parts<'t, F: Real>(
    concentrations: [Var<'t, F>; 2],
    draw: &Draw<'_, F>,
    event: &Shape,
) -> DistributionResult<Alternatives<'t, F>> {
    parts(Family::Beta, &concentrations, draw, event)
}

fn parts<'t, F: Real>(
    family: Family,
    concentrations: &[Var<'t, F>],
    draw: &Draw<'_, F>,
    event: &Shape,
) -> DistributionResult<Alternatives<'t, F>> {
    let tape = concentrations[0].tape();
    let share = draw.purpose("share").record_uniform(tape, event)?;
    let operands = concentrations.iter().map(|a| a.stop_gradient().broadcast_to(event.clone())).chain([share]);
    let parts = tape.custom(Arc::new(family), &operands.collect::<Vec<_>>());
    let [positive, negative, constant] = [0, 1, 2].map(|part| parts.index(-1, part));
    Ok(Alternatives { values: vec![positive, negative], weights: vec![constant, -constant] })
}

/// The distributions of the variates. The primitive maps concentrations and shares to a last axis with the points of
/// the positive and of the negative part, and the constant.
#[derive(Clone, Copy, Debug)]
enum Family {
    Gamma,
    Beta,
}

impl Family {
    fn at<F: Real>(self, operands: &[Tensor<F>], i: usize) -> ShapeDerivative {
        let number = |operand: usize| operands[operand].as_slice()[i].to_f64();
        match self {
            Family::Gamma => gamma_shape_derivative(number(0), number(1)),
            Family::Beta => beta_shape_derivative(number(0), number(1), number(2)),
        }
    }
}

impl<F: Real> Primitive<F> for Family {
    fn name(&self) -> &str {
        match self {
            Family::Gamma => "weak derivative of a gamma variate",
            Family::Beta => "weak derivative of a beta variate",
        }
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        let event = &inputs.values[0].shape()[inputs.plates.len()..];
        let full: Shape = inputs.plates.iter().chain(event).copied().collect();
        let wide = |operand: &Tensor<F>| {
            if *operand.shape() == full { operand.clone() } else { expand(inputs.pool, operand, &full) }
        };
        let operands: SmallVec<[Tensor<F>; 3]> = inputs.values.iter().map(wide).collect();
        let mut out = inputs.pool.take(full.iter().copied().chain([3]).collect());
        for (i, out) in out.make_mut().chunks_mut(3).enumerate() {
            let ShapeDerivative { positive, negative, constant } = self.at(&operands, i);
            out.copy_from_slice(&[positive, negative, constant].map(F::from_f64));
        }
        Ok(out)
    }

    fn takes_from_pool(&self) -> bool {
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        let parts = [ShapePart::Positive, ShapePart::Negative, ShapePart::Constant].map(|part| {
            let function = match self {
                Family::Gamma => Special::GammaShapePart(part),
                Family::Beta => Special::BetaShapePart(part),
            };
            special::record(function, inputs).unsqueeze(-1)
        });
        Var::concat(&parts, -1).ok().map(Description::of)
    }

    fn gradient<'t>(&self, inputs: &[Var<'t, F>], _: Var<'t, F>, _: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![None; inputs.len()]
    }

    fn smoothness(&self, _: usize) -> Smoothness {
        Smoothness::Jump
    }
}
