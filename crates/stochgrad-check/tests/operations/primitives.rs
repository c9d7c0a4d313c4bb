//! Operations of the user, and samples.

use crate::cases::{Case, case, check, lay_out, layouts, real, two_plates};
use std::sync::Arc;
use stochgrad_tape::{Primitive, PrimitiveInputs, Smoothness, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// `a · b + sin a`, with a gradient rule that leaves the sums over broadcast axes to the tape.
struct Mixed;

impl<F: Real> Primitive<F> for Mixed {
    fn name(&self) -> &str {
        "mixed"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        let [a, b] = inputs.values else {
            return Err(format!("expected 2 operands, got {}", inputs.values.len()));
        };
        let plates = inputs.plates.len();
        let rank = a.rank().max(b.rank()) - plates;
        let padded = |x: &Tensor<F>| {
            let (lead, event) = x.shape().split_at(plates);
            let ones = std::iter::repeat_n(1, rank - event.len());
            x.clone().with_shape(lead.iter().copied().chain(ones).chain(event.iter().copied()).collect::<Shape>())
        };
        let (a, b) = (padded(a), padded(b));
        let broadcast = Shape::broadcast(a.shape(), b.shape()).ok_or("expected shapes that broadcast")?;
        let Some(full) =
            Shape::broadcast(&broadcast, &inputs.plates.iter().copied().chain(std::iter::repeat_n(1, rank)).collect())
        else {
            return Err("expected sizes of the plates".into());
        };
        let at = |x: &Tensor<F>, flat: usize| {
            let mut rest = flat;
            let mut own = 0;
            for (axis, stride) in x.shape().strides().iter().enumerate() {
                let inner: usize = full[axis + 1..].iter().product();
                let index = rest / inner;
                rest %= inner;
                own += if x.shape()[axis] == 1 { 0 } else { index * stride };
            }
            x.as_slice()[own]
        };
        Ok(Tensor::from_fn(full.clone(), |i| at(&a, i) * at(&b, i) + at(&a, i).sin()))
    }

    fn gradient<'t>(&self, inputs: &[Var<'t, F>], _: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![Some(adjoint * (inputs[1] + inputs[0].cos())), Some(adjoint * inputs[0])]
    }
}

/// The exponential of the first operand. The second one is unused.
struct FirstOnly;

impl Primitive<f64> for FirstOnly {
    fn name(&self) -> &str {
        "first only"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, f64>) -> Result<Tensor<f64>, String> {
        Ok(inputs.values[0].map(f64::exp))
    }

    fn gradient<'t>(
        &self,
        _: &[Var<'t, f64>],
        output: Var<'t, f64>,
        adjoint: Var<'t, f64>,
    ) -> Vec<Option<Var<'t, f64>>> {
        vec![Some(adjoint * output), None]
    }

    fn smoothness(&self, input: usize) -> Smoothness {
        if input == 0 { Smoothness::Smooth } else { Smoothness::Constant }
    }
}

pub(crate) fn other_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (layout, left, right) in layouts() {
        cases.push(case(
            format!("a primitive, {layout}"),
            vec![real(&left, 100), real(&right, 101)],
            move |tape, x| {
                let (left, right) = lay_out(tape, layout, x[0], x[1]);
                tape.custom(Arc::new(Mixed), &[left, right])
            },
        ));
    }
    cases.push(case("a primitive with a constant operand", vec![real(&[2], 102), real(&[2], 103)], |tape, x| {
        tape.custom(Arc::new(FirstOnly), &[x[0], x[1]]) * x[1]
    }));
    cases.push(case("sample", vec![real(&[2, 3], 104), real(&[3], 105)], |tape, x| {
        let plate = two_plates(tape)[0];
        let value = x[0].event_to_plate(plate);
        tape.sample(tape.new_site(), value, &[x[1], value]).sin() * x[1]
    }));
    cases
}

#[test]
fn primitives_and_samples() {
    check(other_cases());
}
