//! Samples of standard gamma distributions, from which several distributions are made, and their derivatives with
//! respect to the concentration. All of them are operations of the tape, on logarithms, which do not underflow where
//! the variates do.

use crate::error::DistributionResult;
use crate::noise::{Draw, FoldedNoise};
use std::sync::Arc;
use stochgrad_tape::{
    Attempt, Degree, Description, Primitive, PrimitiveInputs, RecordedAttempt, RecordedProposal, Sampler, Smoothness,
    Special, Var, special,
};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::random::attempts;
use stochgrad_tensor::{Real, Shape, Tensor, gamma_log_sample_derivatives};

/// Logarithms of gamma variates with scale 1, on the plates of the request and these event axes. With `path`, they
/// carry the first derivative with respect to the concentration.
pub(crate) fn log_standard_gammas<'t, F: Real>(
    concentration: Var<'t, F>,
    draw: &Draw<'_, F>,
    event: &Shape,
    path: bool,
) -> DistributionResult<Var<'t, F>> {
    let tape = concentration.tape();
    let logs = match draw.has_scheme() {
        true => log_gammas_by_quantile(concentration.held(), draw, event)?,
        false => draw.record_draw(tape, Arc::new(LogGammas), &[concentration], event)?,
    };
    Ok(if path { on_path(concentration, logs) } else { logs.stop_gradient() })
}

/// Logarithms of gamma variates as a function of one uniform sample each, which a sampling scheme can place.
fn log_gammas_by_quantile<'t, F: Real>(
    concentration: Var<'t, F>,
    draw: &Draw<'_, F>,
    event: &Shape,
) -> DistributionResult<Var<'t, F>> {
    let tape = concentration.tape();
    let FoldedNoise { lower, tail, log_probability } = FoldedNoise::record(draw, tape, event)?;
    let [zero, even, least] = [0.0, 0.5, F::MIN_POSITIVE.to_f64()].map(|number| tape.constant(number));
    let below = special::gamma_p_inverse(concentration, lower.select(tail, even));
    let above = special::gamma_q_inverse(concentration, lower.select(even, tail));
    let value = lower.select(below, above);
    // The distribution function of a small variate is a power, whose quantile does not underflow.
    let power = (log_probability + (concentration + 1.0).lgamma()) / concentration;
    let logs = value.gt(tape.constant(1e-17)).select(value.maximum(least).ln(), power);
    let valid = concentration.gt(zero) * concentration.le(tape.constant(F::MAX.to_f64()));
    Ok(valid.select(logs.map(Map::MaxScalar(-F::MAX.to_f64() * 0.25)), tape.constant(f64::NAN)))
}

/// Given logarithms of gamma variates, with the derivative of their implicit path.
pub(crate) fn on_path<'t, F: Real>(concentration: Var<'t, F>, logs: Var<'t, F>) -> Var<'t, F> {
    let aligned = aligned(concentration, logs.shape().len());
    // Held, not stopped: the path stands for the derivative of the sampler.
    logs.held().straight_through(logs.tape().custom(Arc::new(LogGammaPath), &[aligned, logs]))
}

/// A parameter with as many event axes as the samples, as primitives expect.
pub(crate) fn aligned<F: Real>(parameter: Var<'_, F>, rank: usize) -> Var<'_, F> {
    let own = parameter.shape();
    match rank.saturating_sub(own.len()) {
        0 => parameter,
        missing => parameter.reshape(std::iter::repeat_n(1, missing).chain(own.iter().copied()).collect::<Shape>()),
    }
}

/// The sampler of logarithms of gamma variates with scale 1.
struct LogGammas;

impl<F: Real> Sampler<F> for LogGammas {
    fn name(&self) -> &str {
        "gamma variates"
    }

    fn attempt(&self, attempt: &mut Attempt<'_, F>) {
        let count = attempt.len();
        let mut noise = [[F::ZERO; Attempt::<f64>::LARGEST]; 3];
        let [normal, uniform, boost] = &mut noise;
        let concentration = attempt.parameter(0);
        let boosted = concentration.iter().any(|&a| a < F::ONE);
        let boost = &mut boost[..if boosted { count } else { 0 }];
        attempt.normal(0, &mut normal[..count]);
        attempt.uniform(2, &mut uniform[..count]);
        attempt.uniform(3, boost);
        let (normal, uniform) = (&normal[..count], &uniform[..count]);
        attempts::log_gamma(concentration, normal, uniform, boost, attempt.values, attempt.rejected);
    }

    fn as_operations<'t>(&self, attempt: &RecordedAttempt<'t, F>) -> Option<RecordedProposal<'t, F>> {
        let tape = attempt.tape;
        let (a, x) = (*attempt.parameters.first()?, attempt.normals[0]);
        let (u, boost) = (attempt.uniforms[2], attempt.uniforms[3]);
        let one = tape.constant(1.0);
        let small = a.lt(one);
        let d = small.select(a + 1.0, a) - 1.0 / 3.0;
        let t = x * (1.0 / 3.0) / d.sqrt();
        let inside = t.gt(-one);
        let t = inside.select(t, tape.constant(0.0));
        let stretch = t.log1p();
        let square = t.square();
        let series = attempts::LOG_GAMMA_SERIES;
        let series = series[1..].iter().fold(tape.constant(series[0]), |sum, &term| sum * t + term);
        let direct = (stretch - t + square * 0.5) * 3.0 - t * square;
        let h = d * t.abs().lt(tape.constant(0.1)).select(square.square() * series, direct);
        let kept = inside * u.ln().lt(h);
        let valid = a.gt(tape.constant(0.0)) * a.le(tape.constant(F::MAX.to_f64()));
        let raised = small.select((boost.ln() / a).map(Map::MaxScalar(-F::MAX.to_f64() * 0.25)), tape.constant(0.0));
        let value = valid.select(stretch * 3.0 + d.ln() + raised, tape.constant(f64::NAN));
        Some(RecordedProposal { value, rejected: valid * (1.0 - kept) })
    }
}

/// The logarithm of a gamma variate as a function of its concentration, at a constant value of the distribution
/// function. The value is that of the second operand.
struct LogGammaPath;

impl<F: Real> Primitive<F> for LogGammaPath {
    fn name(&self) -> &str {
        "path of gamma variates"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        match inputs.values {
            [_, logs] => Ok(logs.clone()),
            _ => Err(format!("expected a concentration and logarithms, got {} operands", inputs.values.len())),
        }
    }

    fn takes_from_pool(&self) -> bool {
        // The value shares the buffer of an operand that does.
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        inputs.get(1).map(|&value| Description::of(value))
    }

    fn gradient<'t>(&self, inputs: &[Var<'t, F>], _output: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        let [concentration, logs] = [inputs[0], inputs[1]];
        let rule: Arc<dyn Primitive<F>> = Arc::new(LogGammaDerivative);
        vec![Some(adjoint * logs.tape().custom(rule, &[concentration, logs])), None]
    }

    fn smoothness(&self, input: usize) -> Smoothness {
        if input == 0 { Smoothness::Smooth } else { Smoothness::Constant }
    }

    fn degree(&self, operands: &[Degree]) -> Degree {
        Degree::of_function(&operands[..1])
    }
}

/// The derivative of [`LogGammaPath`]. Its own derivative along the path is known, too, and is the last one.
struct LogGammaDerivative;

impl<F: Real> Primitive<F> for LogGammaDerivative {
    fn name(&self) -> &str {
        "derivative of gamma variates"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        match inputs.values {
            [a, logs] => Ok(gamma_log_sample_derivatives(inputs.pool, a, logs)),
            _ => Err(format!("expected a concentration and logarithms, got {} operands", inputs.values.len())),
        }
    }

    fn takes_from_pool(&self) -> bool {
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        let &[a, logs] = inputs else { return None };
        Some(Description::of(special::record(Special::GammaVariateByShape, &[a, logs])))
    }

    fn gradient<'t>(&self, inputs: &[Var<'t, F>], _: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![Some(adjoint * special::record(Special::GammaVariateByShapeTwice, inputs)), None]
    }

    fn smoothness(&self, input: usize) -> Smoothness {
        if input == 0 { Smoothness::Smooth } else { Smoothness::Constant }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{KeyedNoise, NoiseKey};
    use crate::testing::check_description;
    use stochgrad_tape::{PlateKind, Plates, Tape};
    use stochgrad_tensor::sampling_scheme::SamplingScheme;

    /// At small concentrations most variates underflow, and the distribution function is a power of those that do.
    #[test]
    fn quantiles_of_small_concentrations_do_not_underflow() {
        const MEMBERS: usize = 32;
        let tape = Tape::<f64>::new();
        let members = tape.plate("members", MEMBERS, PlateKind::SchemeSamples, &[]);
        let noise = KeyedNoise::new(3, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[members]));
        let draw = draw.with_scheme(SamplingScheme::Stratified, members);
        for a in [1e-8, 1e-4, 0.02_f64] {
            let logs = log_standard_gammas(tape.constant(a), &draw, &Shape::scalar(), false).unwrap().peek().unwrap();
            let mut parts = [0; MEMBERS];
            for &log in logs.as_slice() {
                let below = match log < -30.0 {
                    true => (a * log - tape.constant(a + 1.0).lgamma().item().unwrap()).exp(),
                    false => special::gamma_p(tape.constant(a), tape.constant(log.exp())).item().unwrap(),
                };
                parts[(below * MEMBERS as f64) as usize] += 1;
            }
            assert_eq!(parts, [1; MEMBERS], "concentration {a}");
        }
    }

    #[test]
    fn attempts_are_described() {
        let concentrations = [1e-3, 0.4, 1.0, 2.5, 1e4, f64::INFINITY, -1.0, f64::NAN];
        check_description::<f64>(LogGammas, &concentrations, 1e-13);
        check_description::<f32>(LogGammas, &concentrations, 1e-5);
    }
}
