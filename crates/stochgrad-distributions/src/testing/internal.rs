//! What only the tests of this crate need.

use crate::distribution::{Alternatives, Distribution};
use crate::error::{DistributionError, DistributionResult};
use crate::noise::{Draw, NoiseKey, NoiseSource};
use rand_chacha::ChaCha8Rng;
use stochgrad_tape::{NoiseLayout, Var};
use stochgrad_tensor::Tensor;

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
