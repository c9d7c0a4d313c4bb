//! Samples beyond the range of positive numbers.
//!
//! A gamma variate with a small concentration can be smaller than every positive floating-point number. The sample is
//! then the smallest positive number. Its derivative along the path, $\partial \ln x / \partial a$, grows as $x$ falls,
//! and is lost together with the true value. This has no effect on most costs, since the derivative of the sample
//! itself, $x\, \partial \ln x / \partial a$, is zero to rounding. A cost that depends on the lost part, such as a
//! logarithm of the sample or a density with a pole, has a derivative of the order of $1/x$ with respect to the sample.
//! Such a derivative is an error.

use std::sync::Arc;
use stochgrad_tape::{Degree, Primitive, PrimitiveInputs, Smoothness, TapeError, Var};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::{Real, Tensor};

/// Values along a path, raised to the smallest positive number. A derivative that depends on what a raised element has
/// lost is an error.
pub(crate) fn held_above_underflow<'t, F: Real>(distribution: &'static str, value: Var<'t, F>) -> Var<'t, F> {
    let held = value.map(Map::MaxScalar(F::MIN_POSITIVE.to_f64()));
    let below = |x: &F| *x < F::MIN_POSITIVE;
    match value.inspect() {
        Ok(value) if value.as_slice().iter().any(below) => {
            refusing(distribution, held, value.map(|x| F::from_usize(usize::from(below(&x)))))
        }
        _ => held,
    }
}

/// Logarithms of values along a path, limited to `[−largest, largest]`. A derivative that depends on what a limited
/// element has lost is an error.
pub(crate) fn held_logarithm<'t, F: Real>(distribution: &'static str, value: Var<'t, F>, largest: f64) -> Var<'t, F> {
    let held = value.clamp(-largest, largest);
    let beyond = |x: &F| x.to_f64().abs() > largest;
    match value.inspect() {
        Ok(value) if value.as_slice().iter().any(beyond) => {
            refusing(distribution, held, value.map(|x| F::from_usize(usize::from(beyond(&x)))))
        }
        _ => held,
    }
}

/// The same values; a derivative with respect to those that are marked with 1 is an error, unless it is negligible.
pub(crate) fn refusing<'t, F: Real>(distribution: &'static str, value: Var<'t, F>, lost: Tensor<F>) -> Var<'t, F> {
    value.tape().custom(Arc::new(Underflow { distribution, lost }), &[value])
}

struct Underflow<F: Real> {
    distribution: &'static str,
    lost: Tensor<F>,
}

impl<F: Real> Primitive<F> for Underflow<F> {
    fn name(&self) -> &str {
        "underflow of a sample"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        match inputs.values {
            [value] => Ok(value.clone()),
            _ => Err(format!("expected one value, got {}", inputs.values.len())),
        }
    }

    fn gradient<'t>(&self, inputs: &[Var<'t, F>], output: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        let whole = adjoint.broadcast_to(output.shape()).expand_plates(&output.plates());
        let (Ok(adjoints), Ok(values)) = (whole.inspect(), output.inspect()) else { return vec![Some(adjoint)] };
        // What an element adds to a derivative is of the order of the sample times the adjoint.
        let negligible = F::MIN_POSITIVE.to_f64().sqrt();
        let matters = |(adjoint, value): (&F, &F)| (adjoint.to_f64() * value.to_f64()).abs() > negligible;
        let elements = adjoints.as_slice().iter().zip(values.as_slice());
        let lost =
            elements.zip(self.lost.as_slice()).filter(|(pair, lost)| **lost != F::ZERO && matters(*pair)).count();
        if lost == 0 {
            return vec![Some(adjoint)];
        }
        let message = format!(
            "{}: {lost} of {} samples are beyond the range of positive numbers of {}, and the derivative of the cost \
             with respect to them depends on how far beyond; use larger concentrations, {}a cost without logarithms or \
             poles at 0, or a method without a path (ScoreFunction, MeasureValued)",
            self.distribution,
            values.len(),
            F::NAME,
            if F::NAME == "f32" { "f64, " } else { "" },
        );
        let at = output.location().unwrap_or(std::panic::Location::caller());
        vec![Some(inputs[0].tape().fail(TapeError::Other { message, at }))]
    }

    fn smoothness(&self, _input: usize) -> Smoothness {
        Smoothness::Smooth
    }

    fn degree(&self, operands: &[Degree]) -> Degree {
        operands[0]
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
        let plate = tape.plate("samples", 4000, PlateKind::Samples, &[]);
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
