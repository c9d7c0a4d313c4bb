//! What the tests of the discrete distributions share: exact derivatives by enumeration, statistics of draws.

use crate::distribution::{Alternatives, Distribution, Family, Live, Side, StochasticDerivative, WeakDerivative};
use crate::error::{DistributionError, DistributionResult};
use crate::noise::{Draw, KeyedNoise, NoiseKey, NoiseSource};
use rand_chacha::ChaCha8Rng;
use stochgrad_tape::NoiseLayout;
use stochgrad_tape::{IdMap, PlateKind, Plates, Tape, Var};
use stochgrad_tensor::Tensor;

pub(crate) const SIDES: [Side; 3] = [Side::Right, Side::Left, Side::TwoSided];

/// The costs of which derivatives are taken. The last ones are those of the table of known answers.
pub(crate) const COSTS: [fn(f64) -> f64; 4] =
    [|x| x.sin() + 0.1 * x * x, |x| 7.0 * x - 3.0, |x| (x + 1.0).powi(2), |x| (x + 1.0).sqrt()];

/// Noise whose whole numbers are all the same.
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

/// The first states of a distribution of one element, along a plate.
pub(crate) struct States<'t> {
    pub(crate) tape: &'t Tape<f64>,
    pub(crate) plates: Plates,
    pub(crate) sample: Tensor<f64>,
}

impl<'t> States<'t> {
    pub(crate) fn new(tape: &'t Tape<f64>, distribution: &dyn Distribution<'t, f64>, count: usize) -> Self {
        let plate = tape.plate("states", count, PlateKind::Enumerated, &[]);
        let sample =
            if distribution.element_rank() == 1 { Tensor::eye(count) } else { Tensor::from_fn([count], |k| k as f64) };
        States { tape, plates: Plates::from_slice(&[plate]), sample }
    }

    pub(crate) fn probabilities(&self, distribution: &dyn Distribution<'t, f64>) -> Var<'t, f64> {
        distribution.log_prob(self.tape.constant_on(&self.plates, self.sample.clone())).exp()
    }

    fn costs(&self, sample: &Tensor<f64>, f: fn(f64) -> f64) -> Vec<f64> {
        let rows = self.sample.shape()[0];
        if sample.rank() == 1 {
            sample.as_slice().iter().map(|&x| f(x)).collect()
        } else {
            sample.as_slice().chunks(rows).map(|row| f(row.iter().position(|&x| x == 1.0).unwrap() as f64)).collect()
        }
    }

    /// The derivative of the expected cost by a parameter, through the log-probability.
    pub(crate) fn exact(
        &self,
        distribution: &dyn Distribution<'t, f64>,
        theta: Var<'t, f64>,
        f: fn(f64) -> f64,
    ) -> Vec<f64> {
        let costs = self.tape.constant_on(&self.plates, self.costs(&self.sample, f));
        let expected = (self.probabilities(distribution) * costs).sum_over(self.plates[0]);
        let [gradient] = self.tape.backward(expected, [theta]).unwrap();
        gradient.to_vec()
    }

    /// The mean of the weighted differences of the alternatives, for each coordinate of the parameter.
    pub(crate) fn estimated(
        &self,
        distribution: &dyn Distribution<'t, f64>,
        alternatives: &Alternatives<f64>,
        f: fn(f64) -> f64,
    ) -> Vec<f64> {
        let p = self.probabilities(distribution).peek().unwrap();
        let primal = self.costs(&self.sample, f);
        let coordinates = alternatives.weights[0].len() / p.len();
        let mut sum = vec![0.0; coordinates];
        for (values, weights) in alternatives.values.iter().zip(&alternatives.weights) {
            assert_eq!(values.shape(), self.sample.shape());
            let costs = self.costs(values, f);
            for (i, weight) in weights.as_slice().iter().enumerate() {
                let state = i / coordinates;
                // A state that does not occur is not asked for its alternatives.
                if p.as_slice()[state] == 0.0 {
                    continue;
                }
                sum[i % coordinates] += p.as_slice()[state] * weight * (costs[state] - primal[state]);
            }
        }
        sum
    }

    pub(crate) fn draw<'a>(&'a self, source: &'a dyn NoiseSource<f64>) -> Draw<'a, f64> {
        Draw::new(self.tape, source, NoiseKey::new("x", None), self.plates.clone())
    }
}

#[track_caller]
pub(crate) fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found_one, expected_one) in found.iter().zip(expected) {
        assert!(
            (found_one - expected_one).abs() <= tolerance * (1.0 + expected_one.abs()),
            "{found:?} where {expected:?} is exact"
        );
    }
}

/// Derivatives along directions that keep the total of the coordinates.
pub(crate) fn tangent(gradient: &[f64]) -> Vec<f64> {
    gradient.iter().map(|g| g - gradient[gradient.len() - 1]).collect()
}

/// Every stochastic derivative, and the weak derivative unless it draws noise, has the exact derivative as its mean.
#[track_caller]
pub(crate) fn check_alternatives<'t, D>(
    tape: &'t Tape<f64>,
    distribution: &D,
    theta: Var<'t, f64>,
    states: usize,
    along: fn(&[f64]) -> Vec<f64>,
) where
    D: WeakDerivative<'t, f64> + StochasticDerivative<'t, f64>,
{
    let states = States::new(tape, distribution, states);
    let noise = KeyedNoise::new(1, 0);
    let draw = states.draw(&noise);
    let mut all: Vec<Alternatives<f64>> = SIDES
        .iter()
        .map(|&side| distribution.stochastic_derivative(0, side, &states.sample, &draw).unwrap().unwrap())
        .collect();
    if distribution.name() != "Geometric" {
        all.push(distribution.weak_derivative(0, &states.sample, &draw).unwrap().unwrap());
    }
    for f in COSTS {
        let exact = along(&states.exact(distribution, theta, f));
        for alternatives in &all {
            assert!(alternatives.weights.iter().all(Tensor::all_finite));
            assert_close(&along(&states.estimated(distribution, alternatives, f)), &exact, 1e-9);
        }
    }
    assert!(distribution.weak_derivative(1, &states.sample, &draw).unwrap().is_none());
    assert!(distribution.stochastic_derivative(1, Side::Right, &states.sample, &draw).unwrap().is_none());
    let misfit = Tensor::zeros([states.sample.shape()[0] + 1]);
    assert!(distribution.weak_derivative(0, &misfit, &draw).is_err());
    assert!(distribution.stochastic_derivative(0, Side::Left, &misfit, &draw).is_err());
}

/// The derivative of the log-probability by every coordinate of the parameter, against central differences. `log_prob`
/// maps a parameter to the log-probability of fixed values.
#[track_caller]
pub(crate) fn check_score(theta: &[f64], log_prob: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>) {
    let tape = Tape::<f64>::new();
    let leaf = tape.parameter(theta);
    let [gradient] = tape.backward(log_prob(leaf), [leaf]).unwrap();
    let moved = |i: usize, by: f64| {
        let mut theta = theta.to_vec();
        theta[i] += by;
        log_prob(tape.parameter(theta)).item().unwrap()
    };
    let differences: Vec<f64> = (0..theta.len()).map(|i| (moved(i, 1e-5) - moved(i, -1e-5)) / 2e-5).collect();
    assert_close(gradient.as_slice(), &differences, 1e-7);
}

/// A hundred thousand draws of one element: their distribution is that of the log-probability, and they rise with the
/// noise.
#[track_caller]
pub(crate) fn check_draws<'t>(tape: &'t Tape<f64>, distribution: &dyn Distribution<'t, f64>, states: usize) {
    const DRAWS: usize = 100_000;
    let plate = tape.plate("draws", DRAWS, PlateKind::Samples, &[]);
    let noise = KeyedNoise::new(7, 3);
    let draw = Draw::new(tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
    let sample = distribution.draw(&draw).unwrap();
    assert_eq!(*sample.shape(), draw.shape(&distribution.event_shape()));
    let values: Vec<usize> = if distribution.element_rank() == 1 {
        assert!(sample.as_slice().chunks(states).all(|row| row.iter().sum::<f64>() == 1.0));
        sample.as_slice().chunks(states).map(|row| row.iter().position(|&x| x == 1.0).unwrap()).collect()
    } else {
        sample.as_slice().iter().map(|&x| x as usize).collect()
    };

    let uniform = draw.uniform(&[].as_slice().into()).unwrap();
    let mut pairs: Vec<(f64, usize)> = uniform.to_vec().into_iter().zip(values.iter().copied()).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(pairs.windows(2).all(|pair| pair[0].1 <= pair[1].1), "draws must rise with the noise");

    let enumerated = States::new(tape, distribution, states);
    let p = enumerated.probabilities(distribution).peek().unwrap().to_vec();
    let mut statistic = 0.0;
    let mut cells = 0.0;
    let mut tail = (0.0_f64, 0.0_f64);
    for (state, p) in p.iter().enumerate() {
        let (expected, found) = (p * DRAWS as f64, values.iter().filter(|&&value| value == state).count() as f64);
        if expected < 10.0 {
            tail = (tail.0 + expected, tail.1 + found);
        } else {
            statistic += (found - expected).powi(2) / expected;
            cells += 1.0;
        }
    }
    assert!((tail.0 - tail.1).abs() < 5.0 * (1.0 + tail.0).sqrt(), "{tail:?}");
    assert!(
        cells > 1.0 && statistic < cells + 4.0 * (2.0_f64 * cells).sqrt() + 4.0,
        "chi-square {statistic} over {cells} cells"
    );

    if let Some(cumulative) = distribution.capabilities().cdf {
        let sums = p.iter().scan(0.0, |sum, p| {
            *sum += p;
            Some(*sum)
        });
        let sums: Vec<f64> = sums.collect();
        let numbers: Vec<f64> = (0..states).map(|k| k as f64).collect();
        let at = |values: Vec<f64>| cumulative.cdf(tape.constant(values)).peek().unwrap().to_vec();
        assert_close(&at(numbers.clone()), &sums, 1e-12);
        assert_close(&at(numbers.iter().map(|k| k + 0.4).collect()), &sums, 1e-12);
        assert_eq!(at(vec![-1.0, -0.5]), [0.0, 0.0]);
        if let Some(quantile) = distribution.capabilities().icdf {
            let likely = p.iter().filter(|p| **p > 1e-6).count();
            let middles: Vec<f64> = (0..likely).map(|k| sums[k] - 0.5 * p[k]).collect();
            let back = quantile.icdf(tape.constant(middles)).peek().unwrap();
            assert_eq!(back.as_slice(), &numbers[..likely]);
        }
    }
    if let Some(mode) = distribution.mode().filter(|_| distribution.element_rank() == 0) {
        let highest = p.iter().copied().fold(0.0, f64::max);
        assert!(p[mode.item().unwrap() as usize] >= highest * (1.0 - 1e-12), "{mode:?} is not the mode");
    }

    if let (0, Some(mean), Some(variance)) = (distribution.element_rank(), distribution.mean(), distribution.variance())
    {
        let (mean, variance) = (mean.item().unwrap(), variance.item().unwrap());
        let average = values.iter().sum::<usize>() as f64 / DRAWS as f64;
        assert!(
            (average - mean).abs() < 4.0 * (variance / DRAWS as f64).sqrt(),
            "mean {average} where {mean} is exact"
        );
        let moment = |f: &dyn Fn(f64) -> f64| p.iter().enumerate().map(|(k, p)| p * f(k as f64)).sum::<f64>();
        assert_close(
            &[moment(&|_| 1.0), mean, variance],
            &[1.0, moment(&|k| k), moment(&|k| (k - mean).powi(2))],
            1e-10,
        );
    }
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

/// Stored and bound again, the distribution is the same.
#[track_caller]
pub(crate) fn check_family<'t, D: Live<'t, f64>>(tape: &'t Tape<f64>, live: &D, value: Var<'t, f64>)
where
    D::Family: Family<f64, On<'t> = D>,
{
    let stored = D::Family::store(live);
    let bound = stored.bind(tape, &IdMap::identity()).unwrap();
    assert_eq!(bound.name(), live.name());
    for (bound, live) in bound.parameters().iter().zip(&live.parameters()) {
        assert_eq!((bound.name, bound.var.id()), (live.name, live.var.id()));
    }
    assert_eq!(bound.log_prob(value).item().unwrap(), live.log_prob(value).item().unwrap());
}

/// Value and derivative of a scalar by a parameter.
pub(crate) fn with_gradient<'t>(scalar: Var<'t, f64>, theta: Var<'t, f64>) -> (f64, Vec<f64>) {
    let value = scalar.item().unwrap();
    let [gradient] = theta.tape().backward(scalar, [theta]).unwrap();
    (value, gradient.to_vec())
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
