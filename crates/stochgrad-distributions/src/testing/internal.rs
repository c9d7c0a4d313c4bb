//! What only the tests of this crate need.

use crate::distribution::{Alternatives, Distribution};
use crate::error::{DistributionError, DistributionResult};
use crate::noise::{Draw, NoiseKey, NoiseSource};
use rand_chacha::ChaCha8Rng;
use stochgrad_tape::{Attempt, DrawKey, NoiseLayout, RecordedAttempt, Sampler, Tape, Var, draw_elements};
use stochgrad_tensor::{Pool, Real, Tensor};

/// Noise whose integers are all the same.
pub(crate) struct Fixed(pub(crate) u64);

impl NoiseSource<f64> for Fixed {
    fn uniform(&self, _: NoiseKey, _: &NoiseLayout, _: &mut [f64]) -> DistributionResult<()> {
        Err(DistributionError::Noise("only inversions are fixed".into()))
    }

    fn normal(&self, _: NoiseKey, _: &NoiseLayout, _: &mut [f64]) -> DistributionResult<()> {
        Err(DistributionError::Noise("only inversions are fixed".into()))
    }

    fn invert(
        &self,
        _: NoiseKey,
        _: &NoiseLayout,
        _: &dyn Fn(usize, u64) -> f64,
        out: &mut [f64],
    ) -> DistributionResult<()> {
        out.fill(self.0 as f64);
        Ok(())
    }

    fn generator(&self, _: NoiseKey, _: u64) -> DistributionResult<ChaCha8Rng> {
        Err(DistributionError::Noise("only inversions are fixed".into()))
    }
}

/// Derivatives along directions that keep the total of the coordinates.
pub(crate) fn tangent(gradient: &[f64]) -> Vec<f64> {
    gradient.iter().map(|g| g - gradient[gradient.len() - 1]).collect()
}

/// The uniforms fill twenty cells evenly.
#[track_caller]
pub(crate) fn check_uniform(values: impl Iterator<Item = f64>) {
    let mut cells = [0.0; 20];
    let mut count = 0.0;
    for value in values {
        assert!((0.0..=1.0).contains(&value));
        cells[((value * 20.0) as usize).min(19)] += 1.0;
        count += 1.0;
    }
    let expected = count / 20.0;
    let statistic: f64 = cells.iter().map(|found| (found - expected) * (found - expected) / expected).sum();
    assert!(statistic < 50.0, "chi-square {statistic} over 19 degrees of freedom");
}

/// Value and derivative of a scalar with respect to a parameter.
pub(crate) fn with_gradient<'t>(scalar: Var<'t, f64>, theta: Var<'t, f64>) -> (f64, Vec<f64>) {
    let value = scalar.item().unwrap();
    let [gradient] = theta.tape().backward(scalar, [theta]).unwrap();
    (value, gradient.to_vec())
}

/// Alternatives as tensors with all plates and axes.
pub(crate) struct Evaluated {
    pub(crate) values: Vec<Tensor<f64>>,
    pub(crate) weights: Vec<Tensor<f64>>,
}

impl Evaluated {
    pub(crate) fn new<'t>(
        distribution: &dyn Distribution<'t, f64>,
        draw: &Draw<'_, f64>,
        alternatives: &Alternatives<'t, f64>,
    ) -> Self {
        let (event, rank) = (distribution.event_shape(), distribution.element_rank());
        let (values, weights) = alternatives.to_tensors(draw.plates(), &event, rank).unwrap();
        Evaluated { values, weights }
    }
}

/// Every capability at once: which of them are there.
pub(crate) fn capabilities<'t>(distribution: &dyn Distribution<'t, f64>) -> [bool; 7] {
    let can = distribution.capabilities();
    [
        can.score.is_some(),
        can.reparameterized.is_some(),
        can.finite_support.is_some(),
        can.weak_derivative.is_some(),
        can.stochastic_derivative.is_some(),
        can.relaxed.is_some(),
        can.entropy.is_some(),
    ]
}

/// A sampler of one parameter that compares each attempt with its description by recorded operations.
struct Described<'a, S> {
    sampler: &'a S,
    tolerance: f64,
}

impl<F: Real, S: Sampler<F>> Sampler<F> for Described<'_, S> {
    fn name(&self) -> &str {
        self.sampler.name()
    }

    fn attempt(&self, attempt: &mut Attempt<'_, F>) {
        self.sampler.attempt(attempt);
        let tape = Tape::<F>::new();
        let count = attempt.len();
        let noise = |fill: &dyn Fn(&mut [F])| {
            let mut values = vec![F::ZERO; count];
            fill(&mut values);
            tape.constant(Tensor::new(values, [count]).unwrap())
        };
        let recorded = RecordedAttempt {
            tape: &tape,
            number: tape.constant(attempt.number() as f64),
            parameters: vec![noise(&|x| x.copy_from_slice(attempt.parameter(0)))],
            uniforms: (0..Attempt::<F>::SLOTS).map(|slot| noise(&|x| attempt.uniform(slot, x))).collect(),
            normals: (1..Attempt::<F>::SLOTS).map(|slot| noise(&|x| attempt.normal(slot - 1, x))).collect(),
        };
        let proposal = self.sampler.as_operations(&recorded).expect("a description");
        let [values, rejected] = [proposal.value, proposal.rejected].map(|var| var.peek().unwrap());
        for element in 0..count {
            let (found, expected) = (values.as_slice()[element].to_f64(), attempt.values[element].to_f64());
            assert_eq!(rejected.as_slice()[element] == F::ONE, attempt.rejected[element], "{}", self.sampler.name());
            let near = (found - expected).abs() <= self.tolerance * expected.abs().max(1.0);
            let same = near || found == expected || (found.is_nan() && expected.is_nan());
            assert!(same || attempt.rejected[element], "{}: {found:e}, not {expected:e}", self.sampler.name());
        }
    }
}

/// A draw whose attempts are compared with their description by recorded operations, for each of some parameters.
pub(crate) fn check_description<F: Real>(sampler: impl Sampler<F>, parameters: &[f64], tolerance: f64) {
    for &parameter in parameters {
        let mut values = vec![F::ZERO; 300];
        let described = Described { sampler: &sampler, tolerance };
        let key = DrawKey::new(5, 0, 9);
        let parameter = [F::from_f64(parameter)];
        draw_elements(&Pool::new(), &described, &key, &NoiseLayout::flat(300), &[&parameter], &mut values).unwrap();
    }
}
