//! Samples of transformed distributions, which remember the value that the map was applied to.
//!
//! The image of a value may have rounded to the end of its range, such as `tanh(20)` in single precision, and its
//! inverse then has lost the value. The log-probability at such a sample is therefore computed from the value itself.
//! Whether the value at hand still is the sample is a recorded comparison: a replay may have replaced it.
//!
//! The derivative of the value has two descriptions: along the path of the value, and by the inverse of the map at the
//! sample. The first has no rounding and is taken where gradients pass through the sample and the value depends on what
//! they are taken with respect to. Otherwise the second is taken.

use std::sync::Arc;
use stochgrad_tape::{Description, Op, Primitive, PrimitiveInputs, SiteId, Smoothness, Var};
use stochgrad_tensor::{Real, Tensor};

const IMAGE: &str = "sample with its base value";
const BASE: &str = "base value of a sample";
/// The name of the operation by which a value refers to its [logit](crate::derivative::known_logarithms).
pub(crate) const WITH_LOGIT: &str = "value with its logit";
/// The name of the operation by which a value refers to its [logarithm](crate::derivative::known_logarithms).
pub(crate) const WITH_LOGARITHM: &str = "value with its logarithm";

/// The same value, which remembers what it was computed from.
pub(crate) fn remember<'t, F: Real>(image: Var<'t, F>, base: Var<'t, F>) -> Var<'t, F> {
    image.tape().custom(Arc::new(Image), &[image, base])
}

/// What a value was computed from, if it is a sample that [remembers](remember) it. Where no derivative flows from the
/// value to what it was computed from, this has no derivative either.
pub(crate) fn base_of<'t, F: Real>(value: Var<'t, F>) -> Option<Var<'t, F>> {
    let (mut at, mut flows) = (value, true);
    loop {
        if is_named(at, IMAGE) {
            let base = at.inputs().get(1).copied()?;
            return Some(if flows { base } else { base.held() });
        }
        flows &= !matches!(at.op(), Some(Op::Detach(_) | Op::StraightThrough | Op::Estimated(_)));
        at = behind(at)?;
    }
}

/// The value that another one is the same as, one operation before it.
pub(crate) fn behind<'t, F: Real>(value: Var<'t, F>) -> Option<Var<'t, F>> {
    let inputs = value.inputs();
    match value.op()? {
        Op::Sample(_) | Op::Detach(_) | Op::StraightThrough | Op::Estimated(_) => inputs.first().copied(),
        Op::Select => inputs.get(1).copied().filter(|&base| is_named(base, BASE)),
        Op::Custom(_) if [IMAGE, BASE, WITH_LOGIT, WITH_LOGARITHM].iter().any(|name| is_named(value, name)) => {
            inputs.first().copied()
        }
        _ => None,
    }
}

/// `base` where `own` is 1, with the derivative of its path or that of `inverse`, and `inverse` elsewhere. `sample` is
/// the value whose base value this is.
pub(crate) fn recalled<'t, F: Real>(
    base: Var<'t, F>,
    inverse: Var<'t, F>,
    own: Var<'t, F>,
    sample: Var<'t, F>,
) -> Var<'t, F> {
    let wide = base.expand_plates(&inverse.plates());
    own.select(base.tape().custom(Arc::new(Base), &[wide, inverse, sample]), inverse)
}

pub(crate) fn is_named<F: Real>(value: Var<'_, F>, name: &str) -> bool {
    matches!(value.op(), Some(Op::Custom(_))) && value.tape().operation_name(value).is_some_and(|own| own == name)
}

/// The stochastic node whose value this is.
fn site_of<F: Real>(value: Var<'_, F>) -> Option<SiteId> {
    let mut at = value;
    loop {
        at = match at.op()? {
            Op::Sample(site) => return Some(site),
            // The base value of the sample of a node has no node of its own.
            Op::Select => *behind(at)?.inputs().get(2)?,
            _ => behind(at)?,
        }
    }
}

/// The identity of its first operand, which refers to the second one.
struct Image;

impl<F: Real> Primitive<F> for Image {
    fn name(&self) -> &str {
        IMAGE
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        first(&inputs)
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

/// The base value (first operand) of a sample (third operand), with the inverse of the map at the sample (second
/// operand).
struct Base;

impl<F: Real> Primitive<F> for Base {
    fn name(&self) -> &str {
        BASE
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        first(&inputs)
    }

    fn takes_from_pool(&self) -> bool {
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        inputs.first().map(|&value| Description::of(value))
    }

    fn gradient<'t>(&self, _: &[Var<'t, F>], _: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![Some(adjoint), None, None]
    }

    fn wanted_gradient<'t>(
        &self,
        inputs: &[Var<'t, F>],
        _: Var<'t, F>,
        adjoint: Var<'t, F>,
        wanted: &[bool],
    ) -> Vec<Option<Var<'t, F>>> {
        let closed = inputs.get(2).and_then(|&sample| Some(sample.tape().is_closed(site_of(sample)?)));
        if closed == Some(true) || wanted.first() != Some(&true) {
            vec![None, Some(adjoint), None]
        } else {
            vec![Some(adjoint), None, None]
        }
    }

    fn smoothness(&self, input: usize) -> Smoothness {
        if input < 2 { Smoothness::Smooth } else { Smoothness::Constant }
    }
}

fn first<F: Real>(inputs: &PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
    inputs.values.first().cloned().ok_or_else(|| "expected a value, got no operand".into())
}
