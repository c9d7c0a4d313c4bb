//! Samples of the log-odds $u$ of $(1 + t)/2$, where $t$ is the cosine of the angle from the direction, and their
//! derivative with respect to the concentration.
//!
//! In the log-odds, the proposal of Wood (1994) is a symmetric distribution around the mode of $u$: that of
//! $2\operatorname{arsinh}(T/\sqrt{n - 1})$ with a sample $T$ of Student's t distribution with $n - 1$ degrees of freedom
//! (Ulrich 1984). It is accepted with the probability $e^{-2\beta(\ln(1 + s) - s/(1 + s))}$, where $\beta = (n - 1)/2$ and $s$
//! is the product of the hyperbolic tangents of half the mode and of half the distance from it.
//!
//! With $g$ the logarithm of the density of $u$ and $q = (1 - t)/2$ with mean $\bar q$, the derivative of the implicit
//! path is
//!
//! $$\frac{\mathrm{d} u}{\mathrm{d} \kappa} = 2 \int_0^\infty (q(u - y) - \bar q)\, e^{g(u - y) - g(u)}\, \mathrm{d} y = 2 \int_0^\infty (\bar q - q(u + y))\, e^{g(u + y) - g(u)}\, \mathrm{d} y.$$
//!
//! The first integral is used below the mode and the second one above, by the double-exponential rule for half-lines.

use super::quadrature::{Cosines, half_degrees, mode};
use crate::derivative::gamma_variates::aligned;
use crate::error::DistributionResult;
use crate::noise::Draw;
use std::f64::consts::PI;
use std::sync::Arc;
use stochgrad_tape::{
    Attempt, Degree, Description, Primitive, PrimitiveInputs, RecordedAttempt, RecordedProposal, Sampler, Smoothness,
    Var,
};
use stochgrad_tensor::{Real, Shape, Tensor};

/// Log-odds on the plates of the request and these event axes, with the first derivative with respect to the
/// concentration.
pub(super) fn sampled_log_odds<'t, F: Real>(
    concentration: Var<'t, F>,
    dimension: usize,
    draw: &Draw<'_, F>,
    event: &Shape,
) -> DistributionResult<Var<'t, F>> {
    let (tape, beta) = (concentration.tape(), half_degrees(dimension));
    let center = mode(concentration.held(), beta);
    let offsets = draw.purpose("cosine").record_draw(tape, Arc::new(Offsets { beta }), &[center], event)?;
    let odds = (center + offsets).held();
    let mean = Cosines::new(concentration.held(), dimension).gap() * 0.5;
    let [concentration, mean] = [concentration, mean].map(|each| aligned(each, event.len()));
    // Held, not stopped: the path stands for the derivative of the sampler.
    let path = tape.custom(Arc::new(LogOddsPath { beta }), &[concentration, mean.held(), odds]);
    Ok(odds.straight_through(path))
}

/// The sampler of the distance of the log-odds from their mode, given the mode.
pub(super) struct Offsets {
    pub(super) beta: f64,
}

impl<F: Real> Sampler<F> for Offsets {
    fn name(&self) -> &str {
        "cosines"
    }

    fn attempt(&self, attempt: &mut Attempt<'_, F>) {
        let count = attempt.len();
        let mut noise = [[F::ZERO; Attempt::<f64>::LARGEST]; 3];
        for (slot, uniforms) in noise.iter_mut().enumerate() {
            attempt.uniform(slot, &mut uniforms[..count]);
        }
        let [radius, turn, level] = noise;
        for element in 0..count {
            let center = attempt.parameter(0)[element].to_f64();
            let [radius, turn, level] = [&radius, &turn, &level].map(|uniforms| uniforms[element].to_f64());
            // A sample of Student's t distribution over the root of its degrees of freedom.
            let student = (2.0 * PI * turn).cos() * (-radius.ln() / self.beta).exp_m1().sqrt();
            let offset = 2.0 * student.asinh();
            let product = (0.5 * center).tanh() * (0.5 * offset).tanh();
            let log = -2.0 * self.beta * (product.ln_1p() - product / (1.0 + product));
            let valid = (0.0..=F::MAX.to_f64()).contains(&center);
            attempt.values[element] = F::from_f64(if valid { offset } else { f64::NAN });
            attempt.rejected[element] = valid && log < level.ln();
        }
    }

    fn as_operations<'t>(&self, attempt: &RecordedAttempt<'t, F>) -> Option<RecordedProposal<'t, F>> {
        let (tape, center) = (attempt.tape, *attempt.parameters.first()?);
        let [radius, turn, level] = [0, 1, 2].map(|slot| attempt.uniforms[slot]);
        let student = (turn * (2.0 * PI)).cos() * (radius.ln() * (-1.0 / self.beta)).expm1().sqrt();
        let size = student.abs();
        let offset = student.sign() * (size + (size.square() + 1.0).sqrt()).ln() * 2.0;
        let product = (center * 0.5).tanh() * (offset * 0.5).tanh();
        let log = (product.log1p() - product / (product + 1.0)) * (-2.0 * self.beta);
        let valid = center.ge(tape.constant(0.0)) * center.le(tape.constant(F::MAX.to_f64()));
        let value = valid.select(offset, tape.constant(f64::NAN));
        Some(RecordedProposal { value, rejected: valid * log.lt(level.ln()) })
    }
}

/// The log-odds as a function of the concentration, at a constant value of the distribution function. The value is that
/// of the third operand; the second one is the mean of (1 − t)/2.
struct LogOddsPath {
    beta: f64,
}

impl<F: Real> Primitive<F> for LogOddsPath {
    fn name(&self) -> &str {
        "path of cosines"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        match inputs.values {
            [_, _, odds] => Ok(odds.clone()),
            _ => Err(format!("expected three operands, got {}", inputs.values.len())),
        }
    }

    fn takes_from_pool(&self) -> bool {
        // The value shares the buffer of an operand that does.
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        inputs.get(2).map(|&value| Description::of(value))
    }

    fn gradient<'t>(&self, inputs: &[Var<'t, F>], _output: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        let rule: Arc<dyn Primitive<F>> = Arc::new(LogOddsDerivative { beta: self.beta });
        vec![Some(adjoint * adjoint.tape().custom(rule, inputs)), None, None]
    }

    fn smoothness(&self, input: usize) -> Smoothness {
        if input == 0 { Smoothness::Smooth } else { Smoothness::Constant }
    }

    fn degree(&self, operands: &[Degree]) -> Degree {
        Degree::of_function(&operands[..1])
    }
}

/// The derivative of [`LogOddsPath`]. It is known only up to the first order and has no derivative of its own.
struct LogOddsDerivative {
    beta: f64,
}

/// The nodes y of the rule for half-lines, in units of a scale, and their weights.
fn half_line() -> [(f64, f64); 73] {
    const STEP: f64 = 0.125;
    std::array::from_fn(|k| {
        let s = (k as f64 - 28.0) * STEP;
        let node = (s - (-s).exp()).exp();
        (node, STEP * node * (1.0 + (-s).exp()))
    })
}

fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

/// An element of a tensor that broadcasts to a shape, by its position there.
fn broadcast_element<F: Real>(tensor: &Tensor<F>, shape: &Shape, position: usize) -> f64 {
    let (mut rest, mut stride, mut index) = (position, 1, 0);
    let own = tensor.shape().iter().rev().map(Some).chain(std::iter::repeat(None));
    for (&size, own) in shape.iter().rev().zip(own) {
        let here = rest % size;
        rest /= size;
        let Some(&own) = own else { break };
        index += if own == 1 { 0 } else { here * stride };
        stride *= own;
    }
    tensor.as_slice()[index].to_f64()
}

impl LogOddsDerivative {
    fn at(&self, kappa: f64, mean: f64, odds: f64, nodes: &[(f64, f64)]) -> f64 {
        let half = |u: f64| log_sigmoid(-u).exp();
        let power = |u: f64| self.beta * (log_sigmoid(u) + log_sigmoid(-u));
        let (q, own) = (half(odds), power(odds));
        let slope = 2.0 * kappa * q * (1.0 - q) + self.beta * (2.0 * q - 1.0);
        let side = if slope > 0.0 { -1.0 } else { 1.0 };
        let scale = 1.0 / (slope.abs() + (0.5 * self.beta).sqrt());
        let terms = nodes.iter().map(|&(node, weight)| {
            let u = odds + side * scale * node;
            let there = half(u);
            weight * (mean - there) * (power(u) - own - 2.0 * kappa * (there - q)).exp()
        });
        2.0 * side * scale * terms.sum::<f64>()
    }
}

impl<F: Real> Primitive<F> for LogOddsDerivative {
    fn name(&self) -> &str {
        "derivative of cosines"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        let [kappa, mean, odds] = inputs.values else {
            return Err(format!("expected three operands, got {}", inputs.values.len()));
        };
        let shape = [mean, odds].iter().try_fold(kappa.shape().clone(), |shape, other| {
            Shape::broadcast(&shape, other.shape())
                .ok_or_else(|| format!("expected shapes that broadcast, got {} and {}", shape, other.shape()))
        })?;
        let nodes = half_line();
        let mut out = inputs.pool.take(shape.clone());
        for (at, out) in out.make_mut().iter_mut().enumerate() {
            let [kappa, mean, odds] = [kappa, mean, odds].map(|each| broadcast_element(each, &shape, at));
            *out = F::from_f64(self.at(kappa, mean, odds, &nodes));
        }
        Ok(out)
    }

    fn takes_from_pool(&self) -> bool {
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        let &[kappa, mean, odds] = inputs else { return None };
        let tape = odds.tape();
        let column = |values: Vec<f64>| tape.constant_from_fn([values.len()], |at| F::from_f64(values[at]));
        let (nodes, weights): (Vec<f64>, Vec<f64>) = half_line().into_iter().unzip();
        let [nodes, weights] = [nodes, weights].map(column);
        let power = |u: Var<'t, F>| (u.log_sigmoid() + (-u).log_sigmoid()) * self.beta;
        let q = (-odds).sigmoid();
        let slope = kappa * q * (1.0 - q) * 2.0 + (q * 2.0 - 1.0) * self.beta;
        let side = 1.0 - slope.step() * 2.0;
        let scale = (slope.abs() + (0.5 * self.beta).sqrt()).recip();
        let each = |values: Var<'t, F>| values.unsqueeze(-1);
        let u = each(odds) + each(side * scale) * nodes;
        let there = (-u).sigmoid();
        let relative = power(u) - each(power(odds)) - each(kappa) * (there - each(q)) * 2.0;
        let sum = (weights * (each(mean) - there) * relative.exp()).sum_axis(-1);
        Some(Description::of(sum * side * scale * 2.0))
    }

    fn gradient<'t>(&self, _: &[Var<'t, F>], _: Var<'t, F>, _: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![None, None, None]
    }

    fn smoothness(&self, _input: usize) -> Smoothness {
        Smoothness::Constant
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_description;

    #[test]
    fn attempts_are_described() {
        for beta in [0.5, 1.0, 7.0, 300.0] {
            let centers = [0.0, 1e-6, 0.3, 2.0, 30.0, 600.0, f64::INFINITY, -1.0, f64::NAN];
            check_description::<f64>(Offsets { beta }, &centers, 1e-12);
            check_description::<f32>(Offsets { beta }, &centers, 1e-4);
        }
    }

    /// In space the distribution function of the cosine is elementary: the derivative of its inverse by differences.
    #[test]
    fn derivatives_in_space_are_those_of_the_quantile() {
        let nodes = half_line();
        for kappa in [1e-3, 0.7, 5.0, 40.0, 1e4] {
            let gap = |level: f64, kappa: f64| -(level * (-2.0 * kappa).exp_m1()).ln_1p() / kappa;
            let odds = |level: f64, kappa: f64| ((2.0 - gap(level, kappa)) / gap(level, kappa)).ln();
            let mean = 0.5 * (1.0 - (1.0 / kappa.tanh() - 1.0 / kappa));
            let mean = if kappa < 0.01 { 0.5 - kappa / 6.0 } else { mean };
            for level in [1e-6, 0.01, 0.3, 0.5, 0.8, 0.999] {
                let step = 1e-2 * kappa.min(1.0);
                let slopes = [step, 0.5 * step].map(|h| (odds(level, kappa + h) - odds(level, kappa - h)) / (2.0 * h));
                let expected = (4.0 * slopes[1] - slopes[0]) / 3.0;
                let found = LogOddsDerivative { beta: 1.0 }.at(kappa, mean, odds(level, kappa), &nodes);
                assert!((found / expected - 1.0).abs() < 1e-7, "{kappa} at {level}: {found}, expected {expected}");
            }
        }
    }
}
