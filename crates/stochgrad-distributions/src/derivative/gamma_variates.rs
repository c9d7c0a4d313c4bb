//! Samples of standard gamma distributions, from which several distributions are made, and their derivatives with
//! respect to the concentration.

use crate::distribution::Alternatives;
use crate::error::DistributionResult;
use crate::noise::Draw;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use stochgrad_tape::Var;
use stochgrad_tensor::special::{ShapeDerivative, gamma_log_sample_derivative, gamma_shape_derivative, normal_icdf};
use stochgrad_tensor::{Real, Shape, Tensor};

/// Logarithms of gamma variates with scale 1, on the plates of the request and these event axes. The logarithms do not
/// underflow where the variates do. With `path`, they carry the first derivative with respect to the concentration.
pub(crate) fn log_standard_gammas<'t, F: Real>(
    concentration: Var<'t, F>,
    draw: &Draw<'_, F>,
    event: &Shape,
    path: bool,
) -> DistributionResult<Var<'t, F>> {
    let tape = concentration.tape();
    let a = draw.parameter(concentration, event)?;
    let a = a.as_slice();
    let logs = draw.generate(event, |i, rng| F::from_f64(log_standard_gamma(a[i].to_f64(), rng)))?;
    if !path {
        return Ok(draw.record(tape, logs));
    }
    let derivative = Tensor::from_fn(logs.shape().clone(), |i| {
        F::from_f64(gamma_log_sample_derivative(a[i].to_f64(), logs.as_slice()[i].to_f64()))
    });
    let moving = draw.record(tape, derivative) * concentration;
    Ok(draw.record(tape, logs).straight_through(moving))
}

/// The weak derivative of standard gamma variates with respect to their concentration, pushed through a map of the
/// element and the variate. The points of the two parts have the same share of their part beyond them.
pub(crate) fn concentration_parts<F: Real>(
    concentration: &Tensor<F>,
    draw: &Draw<'_, F>,
    event: &Shape,
    push: impl Fn(usize, f64) -> f64,
) -> DistributionResult<Alternatives<F>> {
    let shares = draw.purpose("share").uniform(event)?;
    let parts: Vec<ShapeDerivative> = concentration
        .as_slice()
        .iter()
        .zip(shares.as_slice())
        .map(|(a, share)| gamma_shape_derivative(a.to_f64(), share.to_f64()))
        .collect();
    let of = |number: &dyn Fn(usize) -> f64| Tensor::from_fn(shares.shape().clone(), |i| F::from_f64(number(i)));
    let held = |i: usize, log: f64| push(i, log.exp()).clamp(F::MIN_POSITIVE.to_f64(), F::MAX.to_f64());
    Ok(Alternatives {
        values: vec![of(&|i| held(i, parts[i].positive)), of(&|i| held(i, parts[i].negative))],
        weights: vec![of(&|i| parts[i].constant), of(&|i| -parts[i].constant)],
    })
}

/// The logarithm of a Gamma(a, 1) variate, by the method of Marsaglia and Tsang (2000); for a < 1 through the
/// concentration a + 1. It is NaN for a concentration that is not a positive finite number.
pub(crate) fn log_standard_gamma(a: f64, rng: &mut ChaCha8Rng) -> f64 {
    if !(a > 0.0 && a.is_finite()) {
        return f64::NAN;
    }
    // The centre of one of 2⁵³ cells of the unit interval: never 0, never 1.
    let mut uniform = || ((rng.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    let boost = if a < 1.0 { uniform().ln() / a } else { 0.0 };
    let d = if a < 1.0 { a + 1.0 } else { a } - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal_icdf(uniform());
        let root = 1.0 + c * x;
        if root > 0.0 {
            let log_v = 3.0 * root.ln();
            if uniform().ln() < 0.5 * x * x + d - d * root.powi(3) + d * log_v {
                return d.ln() + log_v + boost;
            }
        }
    }
}
