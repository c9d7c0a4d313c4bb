//! Samples beyond the range of positive numbers.
//!
//! A gamma variate with a small concentration can be smaller than every positive floating-point number. Its logarithm
//! is known, but the sample is the smallest positive number. The derivative of the sample itself, $x\, \partial \ln x /
//! \partial a$, is zero to rounding there, so that most costs have the right derivative. A cost that depends on what the
//! sample has lost, such as a logarithm of the sample or a density with a pole, has a derivative of the order of $1/x$
//! with respect to it. Such a derivative is an error, in a recording and in each run of a program.

use std::sync::Arc;
use stochgrad_tape::{Degree, Description, Primitive, PrimitiveInputs, Smoothness, Var};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::{Real, Tensor};

/// Values along a path, raised to the smallest positive number. A derivative that depends on what a raised element has
/// lost is an error.
pub(crate) fn held_above_underflow<'t, F: Real>(distribution: &'static str, value: Var<'t, F>) -> Var<'t, F> {
    let least = F::MIN_POSITIVE.to_f64();
    // What an element adds to a derivative is of the order of the sample times the adjoint.
    let limits = Limits { distribution, low: least, high: f64::INFINITY, negligible: negligible::<F>() / least };
    limits.hold(value, value.map(Map::MaxScalar(least)))
}

/// Logarithms of values along a path, limited to `[low, high]`. A derivative that depends on what a limited element has
/// lost is an error.
pub(crate) fn held_logarithm<'t, F: Real>(
    distribution: &'static str,
    value: Var<'t, F>,
    [low, high]: [f64; 2],
) -> Var<'t, F> {
    let limits = Limits { distribution, low, high, negligible: negligible::<F>() };
    limits.hold(value, value.clamp(low, high))
}

/// Real draws of a heavy tail, limited to finite numbers, with the derivatives that they have without the limits.
pub(crate) fn finite_draws<F: Real>(value: Var<'_, F>) -> Var<'_, F> {
    limited_draws(value, F::MAX.to_f64())
}

/// As [`finite_draws`], for draws around a location: limited to half of the largest number, so that their distances from
/// the location are finite as well.
pub(crate) fn finite_draws_around<F: Real>(value: Var<'_, F>) -> Var<'_, F> {
    limited_draws(value, F::MAX.to_f64() * 0.5)
}

fn limited_draws<F: Real>(value: Var<'_, F>, most: f64) -> Var<'_, F> {
    value.held().clamp(-most, most).straight_through(value)
}

/// The largest logarithm of a value, so that rounding of the exponential does not reach infinity.
pub(crate) fn largest_logarithm<F: Real>() -> f64 {
    F::MAX.to_f64().ln() * (1.0 - 8.0 * F::EPSILON.to_f64())
}

/// `scale` times the exponential of a logarithm: the nearest positive floating-point number where that is out of range.
/// The derivative of the logarithm is kept, so that the derivative of a logarithm of the result has no error.
pub(crate) fn positive_exponential<'t, F: Real>(scale: Var<'t, F>, log: Var<'t, F>) -> Var<'t, F> {
    let shift = scale.held().ln();
    let low = -shift.map(Map::MinScalar(0.0)) + smallest_logarithm::<F>();
    let high = -shift.map(Map::MaxScalar(0.0)) + largest_logarithm::<F>();
    scale * log.held().maximum(low).minimum(high).straight_through(log).exp()
}

/// The logarithm of what stands for smaller positive numbers: of twice the smallest one, so that rounding does not get
/// below that.
pub(crate) fn smallest_logarithm<F: Real>() -> f64 {
    (2.0 * F::MIN_POSITIVE.to_f64()).ln()
}

/// The largest derivative with respect to the logarithm of a value that does not matter.
fn negligible<F: Real>() -> f64 {
    F::MIN_POSITIVE.to_f64().sqrt()
}

/// The limits of values, and the largest adjoint of a value beyond them that does not matter.
#[derive(Clone, Copy)]
struct Limits {
    distribution: &'static str,
    low: f64,
    high: f64,
    negligible: f64,
}

impl Limits {
    /// The values within the limits, with the derivative of the values without limits.
    fn hold<'t, F: Real>(self, value: Var<'t, F>, within: Var<'t, F>) -> Var<'t, F> {
        within.held().straight_through(value.tape().custom(Arc::new(Held(self)), &[value]))
    }

    fn exceeded_by(&self, value: f64) -> bool {
        value < self.low || value > self.high
    }
}

/// The identity, whose adjoint is refused where it matters beyond the limits.
struct Held(Limits);

impl<F: Real> Primitive<F> for Held {
    fn name(&self) -> &str {
        "values within limits"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        match inputs.values {
            [value] => Ok(value.clone()),
            _ => Err(format!("expected one value, got {}", inputs.values.len())),
        }
    }

    fn takes_from_pool(&self) -> bool {
        // The value shares the buffer of the operand.
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        inputs.first().map(|&value| Description::of(value))
    }

    fn gradient<'t>(&self, inputs: &[Var<'t, F>], output: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        let full = adjoint.broadcast_to(output.shape()).expand_plates(&output.plates());
        vec![Some(inputs[0].tape().custom(Arc::new(HeldAdjoint(self.0)), &[full, inputs[0]]))]
    }

    fn degree(&self, operands: &[Degree]) -> Degree {
        operands[0]
    }
}

/// The adjoint of a value: zero where the value is beyond the limits. It is an error if it is not negligible there.
struct HeldAdjoint(Limits);

impl HeldAdjoint {
    fn refusal<F: Real>(&self, adjoints: &[F], values: &[F]) -> Option<String> {
        let matters = |(adjoint, value): &(&F, &F)| {
            let (adjoint, value) = (adjoint.to_f64(), value.to_f64());
            self.0.exceeded_by(value) && (adjoint.is_nan() || adjoint.abs() > self.0.negligible)
        };
        let lost = adjoints.iter().zip(values).filter(matters).count();
        (lost > 0).then(|| {
            format!(
                "{}: {lost} of {} samples are beyond the range of positive numbers of {}, and the derivative of the \
                 cost with respect to them depends on how far beyond; {}",
                self.0.distribution,
                values.len(),
                F::NAME,
                advice::<F>(),
            )
        })
    }
}

/// What to try where a derivative is refused.
fn advice<F: Real>() -> String {
    format!(
        "use parameters of shorter tails (larger concentrations), {}a cost without logarithms or poles at 0, or a method without a path \
         (ScoreFunction, MeasureValued)",
        if F::NAME == "f32" { "f64, " } else { "" },
    )
}

impl<F: Real> Primitive<F> for HeldAdjoint {
    fn name(&self) -> &str {
        "derivative of a sample"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        let [adjoint, value] = inputs.values else {
            return Err(format!("expected an adjoint and a value, got {} operands", inputs.values.len()));
        };
        let mut out = inputs.pool.take(value.shape().clone());
        let mut exceeded = false;
        let elements = adjoint.as_slice().iter().zip(value.as_slice());
        for (out, (&adjoint, &value)) in out.make_mut().iter_mut().zip(elements) {
            let beyond = self.0.exceeded_by(value.to_f64());
            exceeded |= beyond;
            *out = if beyond { F::ZERO } else { adjoint };
        }
        match exceeded.then(|| self.refusal(adjoint.as_slice(), value.as_slice())).flatten() {
            Some(message) => Err(message),
            None => Ok(out),
        }
    }

    fn takes_from_pool(&self) -> bool {
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        let &[adjoint, value] = inputs else { return None };
        let tape = value.tape();
        let zero = tape.constant(0.0);
        let beyond = value.map(Map::Outside(self.0.low, self.0.high));
        // NaN matters.
        let negligible = adjoint.abs().le(tape.constant(self.0.negligible));
        let message = format!(
            "{}: expected samples within the range of positive numbers of {}, got samples beyond it, and the derivative \
             of the cost with respect to them depends on how far beyond; {}",
            self.0.distribution,
            F::NAME,
            advice::<F>(),
        );
        Some(Description::of(beyond.select(zero, adjoint)).refusing(beyond * (1.0 - negligible), message))
    }

    fn gradient<'t>(&self, inputs: &[Var<'t, F>], output: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        let full = adjoint.broadcast_to(output.shape()).expand_plates(&output.plates());
        vec![Some(inputs[0].tape().custom(Arc::new(HeldAdjoint(self.0)), &[full, inputs[1]])), None]
    }

    fn smoothness(&self, input: usize) -> Smoothness {
        if input == 0 { Smoothness::Smooth } else { Smoothness::Constant }
    }

    fn degree(&self, operands: &[Degree]) -> Degree {
        if operands[1] == Degree::CONSTANT { operands[0] } else { Degree::of_function(operands) }
    }
}

#[cfg(test)]
mod tests {
    use crate::continuous::beta::Beta;
    use crate::continuous::chi2::Chi2;
    use crate::continuous::gamma::Gamma;
    use crate::continuous::inverse_gamma::InverseGamma;
    use crate::continuous::student_t::StudentT;
    use crate::distribution::{Distribution, Reparameterized};
    use crate::error::DistributionResult;
    use crate::multivariate::dirichlet::Dirichlet;
    use crate::noise::{Draw, KeyedNoise, NoiseKey};
    use stochgrad_tape::{PlateKind, Plates, Tape, TapeError, Var};
    use stochgrad_tensor::{Real, Tensor};

    type Sample<F> = for<'t> fn(Var<'t, F>, &Draw<'_, F>) -> DistributionResult<Var<'t, F>>;

    /// The derivative of the mean of a function of samples with respect to the concentration.
    fn derivative<F: Real>(
        sample: Sample<F>,
        concentration: f64,
        cost: for<'t> fn(Var<'t, F>) -> Var<'t, F>,
    ) -> Result<f64, TapeError> {
        let tape = Tape::<F>::new();
        let a = tape.parameter(Tensor::scalar(F::from_f64(concentration)));
        let plate = tape.plate("samples", 40_000, PlateKind::Samples, &[]);
        let noise = KeyedNoise::new(5, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
        let value = cost(sample(a, &draw).unwrap()).sum().mean_over(plate);
        Ok(tape.backward(value, [a])?[0].as_slice()[0].to_f64())
    }

    fn samples<F: Real>() -> Vec<(&'static str, Sample<F>)> {
        vec![
            ("Gamma", |a, draw| Gamma::new(a, 1.0).rsample(draw)),
            ("Gamma", |a, draw| Gamma::new(a, 4.0).rsample(draw)),
            ("Gamma", |a, draw| Gamma::from_scale(a, 1e-3).rsample(draw)),
            ("Beta", |a, draw| Beta::new(a, a.tape().constant(1.0)).rsample(draw)),
            ("Dirichlet", |a, draw| Dirichlet::new(a.broadcast_to([3])).rsample(draw)),
            ("Gamma", |a, draw| Chi2::new(a * 2.0).rsample(draw)),
            ("InverseGamma", |a, draw| InverseGamma::new(a, a.tape().constant(1.0)).rsample(draw)),
            ("StudentT", |a, draw| {
                let tape = a.tape();
                Ok(StudentT::new(a, tape.constant(0.0), tape.constant(1.0)).rsample(draw)?.abs())
            }),
        ]
    }

    fn logarithm<F: Real>(x: Var<'_, F>) -> Var<'_, F> {
        x.ln()
    }

    #[test]
    fn a_derivative_that_was_lost_in_an_underflow_is_refused() {
        for (name, sample) in samples::<f64>() {
            let error = derivative(sample, 1e-3, logarithm).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("beyond the range of positive numbers of f64"), "{error}");
        }
        for (name, sample) in samples::<f32>() {
            let error = derivative(sample, 0.01, logarithm).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("f64, a cost"), "{error}");
        }
    }

    #[test]
    fn costs_without_a_pole_keep_their_derivative() {
        // E x is a for a rate of 1.
        let found = derivative::<f64>(|a, draw| Gamma::new(a, 1.0).rsample(draw), 1e-3, |x| x).unwrap();
        assert!((found - 1.0).abs() < 0.5, "{found}");
        for (_, sample) in &samples::<f64>()[..6] {
            assert!(derivative(*sample, 1e-3, |x| (x + 1.0).recip()).unwrap().is_finite());
        }
    }

    #[test]
    fn a_logarithm_of_samples_that_did_not_underflow_has_the_known_derivative() {
        // E ln x = ψ(a), and ψ′(½) = π²/2.
        let found = derivative::<f64>(|a, draw| Gamma::new(a, 1.0).rsample(draw), 0.5, logarithm).unwrap();
        let exact = std::f64::consts::PI.powi(2) / 2.0;
        assert!((found - exact).abs() < 0.1 * exact, "{found} where {exact} is exact");
    }

    #[test]
    fn the_rate_of_an_underflown_sample_has_its_derivative() {
        let tape = Tape::<f64>::new();
        let rate = tape.parameter(2.0);
        let gamma = Gamma::new(tape.constant(1e-3), rate);
        let plate = tape.plate("samples", 1000, PlateKind::Samples, &[]);
        let noise = KeyedNoise::new(5, 0);
        let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
        let value = gamma.rsample(&draw).unwrap().ln().mean_over(plate);
        let [found] = tape.backward(value, [rate]).unwrap();
        assert!((found.as_slice()[0] + 0.5).abs() < 1e-12 && gamma.validate().is_ok(), "{found:?}");
    }
}
