//! What the log-probability of a distribution at its own draws knows beyond the values of the draws.
//!
//! A draw that is limited to the range of positive numbers has lost its logarithm, with which it was drawn. The
//! log-probability at the draw needs the logarithm: without it the mean of the score would not be zero. The draw
//! therefore carries a mark that remembers the logarithm. Where a replay or the user's code has replaced the draw, the
//! logarithm is that of the new value.

use crate::derivative::base_values::behind;
use std::sync::Arc;
use stochgrad_tape::{Description, Op, Primitive, PrimitiveInputs, Smoothness, Var};
use stochgrad_tensor::{Real, Tensor};

const MARK: &str = "draw with its logarithm";

/// The same draw, which remembers the logarithm, or another quantity, from which it was computed.
pub(crate) fn marked<'t, F: Real>(draw: Var<'t, F>, logarithm: Var<'t, F>) -> Var<'t, F> {
    let logarithm = logarithm.held();
    draw.held().straight_through(draw.tape().custom(Arc::new(Mark), &[draw, logarithm]))
}

/// What the logarithm of a draw has lost: `lost` of the quantity with which the draw was [`marked`], without a
/// derivative; 0 for elements that are not those of the draw. `None` for values that are no draws.
pub(crate) fn lost_by_own_draw<'t, F: Real>(
    value: Var<'t, F>,
    lost: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
) -> Option<Var<'t, F>> {
    let (draw, logarithm) = origin(value)?;
    let own = value.held().equal(draw.held());
    Some(own.select(lost(logarithm), value.tape().constant(0.0)))
}

/// The draw that a value is, and what it was marked with.
fn origin<'t, F: Real>(value: Var<'t, F>) -> Option<(Var<'t, F>, Var<'t, F>)> {
    let mut at = value;
    loop {
        let inputs = at.inputs();
        match at.op()? {
            Op::Sample(_) | Op::Detach(_) => at = *inputs.first()?,
            Op::StraightThrough => {
                let mark = *inputs.get(1)?;
                let is_mark = value.tape().operation_name(mark).is_some_and(|name| name == MARK);
                return if is_mark { Some((at, *mark.inputs().get(1)?)) } else { None };
            }
            // The base value of a sample of a transformed distribution is a draw as well.
            _ => at = behind(at)?,
        }
    }
}

/// The identity of a draw, which refers to the quantity that it was computed from.
struct Mark;

impl<F: Real> Primitive<F> for Mark {
    fn name(&self) -> &str {
        MARK
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        match inputs.values {
            [draw, _] => Ok(draw.clone()),
            _ => Err(format!("expected a draw and its logarithm, got {} operands", inputs.values.len())),
        }
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

#[cfg(test)]
mod tests {
    use crate::continuous::beta::Beta;
    use crate::continuous::chi2::Chi2;
    use crate::continuous::gamma::Gamma;
    use crate::continuous::inverse_gamma::InverseGamma;
    use crate::continuous::log_normal::LogNormal;
    use crate::continuous::student_t::StudentT;
    use crate::distribution::Distribution;
    use crate::multivariate::dirichlet::Dirichlet;
    use crate::noise::{Draw, KeyedNoise, NoiseKey};
    use stochgrad_tape::{PlateKind, Plates, Tape, Var};

    type Build = for<'t> fn(Var<'t, f64>) -> Box<dyn Distribution<'t, f64> + 't>;

    const DISTRIBUTIONS: [(&str, Build); 9] = [
        ("Gamma", |a| Box::new(Gamma::new(a, 2.0))),
        ("Gamma by scale", |a| Box::new(Gamma::from_scale(a, 1e-3))),
        ("Chi2", |a| Box::new(Chi2::new(a * 2.0))),
        ("InverseGamma", |a| Box::new(InverseGamma::new(a, a.tape().constant(3.0)))),
        ("Beta", |a| Box::new(Beta::new(a, a.tape().constant(1.0)))),
        ("Beta above", |a| Box::new(Beta::new(a.tape().constant(1.0), a))),
        ("StudentT", |a| Box::new(StudentT::new(a, a.tape().constant(0.5), 2.0))),
        ("LogNormal", |a| Box::new(LogNormal::new(a.tape().constant(0.0), a.recip()))),
        ("Dirichlet", |a| Box::new(Dirichlet::new(Var::stack(&[a, a.tape().constant(1.0)]).unwrap()))),
    ];

    /// The mean of the score at own draws, which is 0, in units of its standard error.
    fn mean_score(build: Build, a: f64, own: bool) -> f64 {
        const SAMPLES: usize = 40_000;
        let tape = Tape::<f64>::new();
        let plate = tape.plate("samples", SAMPLES, PlateKind::Samples, &[]);
        let concentration = tape.parameter(vec![a; SAMPLES]);
        let noise = KeyedNoise::new(3, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
        let distribution = build(concentration.event_to_plate(plate));
        let x = tape.sample(tape.new_site(), distribution.sample(&draw).unwrap(), &[]);
        let x = if own { x } else { tape.constant_on(&[plate], x.peek().unwrap()) };
        let [scores] = tape.backward(distribution.log_prob(x).sum_over(plate), [concentration]).unwrap();
        let count = SAMPLES as f64;
        let mean = scores.as_slice().iter().sum::<f64>() / count;
        let variance = scores.as_slice().iter().map(|score| (score - mean).powi(2)).sum::<f64>() / count;
        mean / (variance / count).sqrt()
    }

    #[test]
    fn the_mean_of_the_score_is_zero_where_draws_underflow() {
        for (name, build) in DISTRIBUTIONS {
            for a in [1e-4, 1e-3, 0.02, 1.5] {
                let mean = mean_score(build, a, true);
                assert!(mean.abs() < 4.0, "{name} at {a}: {mean} standard errors");
            }
            // The values alone do not tell how far beyond the limit they are.
            let mean = mean_score(build, 1e-4, false);
            assert!(mean.abs() > 20.0, "{name}: {mean} standard errors");
        }
    }
}
