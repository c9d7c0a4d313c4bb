//! Checks of discrete distributions against sums over their values.

use crate::distribution::{
    Alternatives, Distribution, Family, FiniteSupport, Live, Side, StochasticDerivative, WeakDerivative,
};
use crate::noise::{Draw, KeyedNoise, NoiseKey, NoiseSource};
use crate::testing::samples::assert_close;
use stochgrad_tape::{IdMap, PlateKind, Plates, Tape, Var};
use stochgrad_tensor::Tensor;

pub(crate) const SIDES: [Side; 3] = [Side::Right, Side::Left, Side::TwoSided];

/// The costs whose expectations are differentiated. The last ones are those of the table of known answers.
pub(crate) const COSTS: [fn(f64) -> f64; 4] =
    [|x| x.sin() + 0.1 * x * x, |x| 7.0 * x - 3.0, |x| (x + 1.0).powi(2), |x| (x + 1.0).sqrt()];

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
            sample
                .as_slice()
                .chunks(rows)
                .map(|row| f(row.iter().position(|&x| x == 1.0).expect("a one-hot vector") as f64))
                .collect()
        }
    }

    /// The derivative of the expected cost with respect to a parameter, through the log-probability.
    pub(crate) fn exact(
        &self,
        distribution: &dyn Distribution<'t, f64>,
        theta: Var<'t, f64>,
        f: fn(f64) -> f64,
    ) -> Vec<f64> {
        let costs = self.tape.constant_on(&self.plates, self.costs(&self.sample, f));
        let expected = (self.probabilities(distribution) * costs).sum_over(self.plates[0]);
        let [gradient] = self.tape.backward(expected, [theta]).expect("derivatives");
        gradient.to_vec()
    }

    /// The mean of the weighted differences of the alternatives, for each coordinate of the parameter.
    pub(crate) fn estimated(
        &self,
        distribution: &dyn Distribution<'t, f64>,
        alternatives: &Alternatives<'t, f64>,
        f: fn(f64) -> f64,
    ) -> Vec<f64> {
        let p = self.probabilities(distribution).peek().expect("a value");
        let primal = self.costs(&self.sample, f);
        let (values, weights) = self.evaluated(distribution, alternatives);
        let coordinates = weights[0].len() / p.len();
        let mut sum = vec![0.0; coordinates];
        for (values, weights) in values.iter().zip(&weights) {
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

    /// The states on the tape, as a sample.
    pub(crate) fn recorded(&self) -> Var<'t, f64> {
        self.tape.constant_on(&self.plates, self.sample.clone())
    }

    /// The values and the weights of alternatives, with all plates and axes.
    pub(crate) fn evaluated(
        &self,
        distribution: &dyn Distribution<'t, f64>,
        alternatives: &Alternatives<'t, f64>,
    ) -> (Vec<Tensor<f64>>, Vec<Tensor<f64>>) {
        let (event, rank) = (distribution.event_shape(), distribution.element_rank());
        alternatives.to_tensors(&self.plates, &event, rank).expect("values")
    }

    pub(crate) fn draw<'a>(&'a self, source: &'a dyn NoiseSource<f64>) -> Draw<'a, f64> {
        Draw::new(self.tape, source, NoiseKey::new("x", None), self.plates.clone())
    }
}

/// The mean of the weighted differences of the alternatives is the exact derivative, for every cost.
#[track_caller]
fn assert_exact<'t>(
    states: &States<'t>,
    distribution: &dyn Distribution<'t, f64>,
    theta: Var<'t, f64>,
    alternatives: &Alternatives<'t, f64>,
    along: fn(&[f64]) -> Vec<f64>,
) {
    let (_, weights) = states.evaluated(distribution, alternatives);
    let finite = weights.iter().all(Tensor::all_finite);
    assert!(finite, "{}: expected finite weights, got {weights:?}", distribution.name());
    for f in COSTS {
        let exact = along(&states.exact(distribution, theta, f));
        assert_close(&along(&states.estimated(distribution, alternatives, f)), &exact, 1e-9);
    }
}

/// The stochastic derivative with respect to the first parameter, on either side and on both, has the exact derivative
/// as its mean. There is none for the second parameter.
///
/// The distribution has a single element with the values `0, 1, …, states − 1` or one-hot vectors of this length, up to
/// values of negligible probability. `theta` is the leaf from which its first parameter is made. `along` maps a
/// gradient to the components that are compared: for probabilities that add up to 1, differences of its coordinates.
///
/// ```
/// use stochgrad_distributions::Poisson;
/// use stochgrad_distributions::testing::{check_stochastic_derivative, check_weak_derivative};
/// use stochgrad_tape::Tape;
///
/// let tape = Tape::<f64>::new();
/// let rate = tape.parameter(1.5);
/// check_stochastic_derivative(&tape, &Poisson::from_rate(rate), rate, 60, <[f64]>::to_vec);
/// check_weak_derivative(&tape, &Poisson::from_rate(rate), rate, 60, <[f64]>::to_vec);
/// ```
///
/// # Panics
/// Where one of these fails.
#[track_caller]
pub fn check_stochastic_derivative<'t, D>(
    tape: &'t Tape<f64>,
    distribution: &D,
    theta: Var<'t, f64>,
    states: usize,
    along: fn(&[f64]) -> Vec<f64>,
) where
    D: StochasticDerivative<'t, f64>,
{
    let states = States::new(tape, distribution, states);
    let noise = KeyedNoise::new(1, 0);
    let draw = states.draw(&noise);
    for side in SIDES {
        let jumps = distribution.stochastic_derivative(0, side, states.recorded(), &draw);
        let jumps = jumps.expect("jumps").expect("a stochastic derivative with respect to the first parameter");
        assert_exact(&states, distribution, theta, &jumps, along);
    }
    let second = distribution.stochastic_derivative(1, Side::Right, states.recorded(), &draw).expect("none");
    assert!(second.is_none(), "{}: expected no derivative with respect to parameter 1", distribution.name());
}

/// The weak derivative with respect to the first parameter has the exact derivative as its mean. There is none for the
/// second parameter, and a sample of a wrong shape is an error. The arguments are those of
/// [`check_stochastic_derivative`]. The alternatives must be functions of the sample, without noise of their own.
///
/// # Panics
/// Where one of these fails.
#[track_caller]
pub fn check_weak_derivative<'t, D>(
    tape: &'t Tape<f64>,
    distribution: &D,
    theta: Var<'t, f64>,
    states: usize,
    along: fn(&[f64]) -> Vec<f64>,
) where
    D: WeakDerivative<'t, f64>,
{
    let states = States::new(tape, distribution, states);
    let noise = KeyedNoise::new(1, 0);
    let draw = states.draw(&noise);
    let parts = distribution.weak_derivative(0, states.recorded(), &draw);
    let parts = parts.expect("alternatives").expect("a weak derivative with respect to the first parameter");
    assert_exact(&states, distribution, theta, &parts, along);
    check_weak_arguments(tape, distribution, states.sample.shape()[0]);
}

/// There is no weak derivative with respect to the second parameter, and a sample of a wrong shape is an error.
#[track_caller]
pub(crate) fn check_weak_arguments<'t, D>(tape: &'t Tape<f64>, distribution: &D, states: usize)
where
    D: WeakDerivative<'t, f64>,
{
    let states = States::new(tape, distribution, states);
    let noise = KeyedNoise::new(1, 0);
    let draw = states.draw(&noise);
    let second = distribution.weak_derivative(1, states.recorded(), &draw).expect("none");
    assert!(second.is_none(), "{}: expected no derivative with respect to parameter 1", distribution.name());
}

/// The values of [`element_support`](FiniteSupport::element_support) are different and have probabilities that add up
/// to 1, whose derivatives add up to 0 and are those of the log-probabilities.
///
/// The distribution has a single element, and `theta` is a leaf from which its differentiable parameters are made.
///
/// ```
/// use stochgrad_distributions::Binomial;
/// use stochgrad_distributions::testing::check_enumeration;
/// use stochgrad_tape::Tape;
///
/// let tape = Tape::<f64>::new();
/// let p = tape.parameter(0.3);
/// check_enumeration(&Binomial::from_probabilities(5.0, p), p);
/// ```
///
/// # Panics
/// Where one of these fails.
#[track_caller]
pub fn check_enumeration<'t, D: FiniteSupport<'t, f64>>(distribution: &D, theta: Var<'t, f64>) {
    let tape = theta.tape();
    let support = distribution.element_support().expect("a finite support");
    let count = support.shape()[0];
    let rows: Vec<&[f64]> = support.as_slice().chunks(support.len() / count.max(1)).collect();
    for (at, row) in rows.iter().enumerate() {
        assert!(!rows[..at].contains(row), "{}: value {row:?} is enumerated twice", distribution.name());
    }
    let plate = tape.plate("values", count, PlateKind::Enumerated, &[]);
    let values = tape.constant_on(&[plate], support);
    let probabilities = distribution.probability_each(values);
    let logs = distribution.log_prob_each(values);
    let at = probabilities.peek().expect("probabilities").to_vec();
    assert_eq!(at.len(), count, "{}: one probability for each value", distribution.name());
    let of_logs: Vec<f64> = logs.peek().expect("log-probabilities").to_vec().iter().map(|log| log.exp()).collect();
    assert_close(&at, &of_logs, 1e-12);
    assert_close(&[at.iter().sum()], &[1.0], 1e-12);
    let slope = |total: Var<'t, f64>| tape.backward_all(total, &[theta]).expect("derivatives").remove(0).to_vec();
    let sum = slope(probabilities.sum_over(plate));
    assert_close(&sum, &vec![0.0; sum.len()], 1e-9);
    if at.iter().all(|&p| p > 0.0) {
        // With weights, so that the derivatives do not cancel.
        let weights = tape.constant_on(&[plate], Tensor::from_fn([count], |k| (1.0 + k as f64).sqrt()));
        let by_logs = slope((logs.exp() * weights).sum_over(plate));
        assert_close(&slope((probabilities * weights).sum_over(plate)), &by_logs, 1e-9);
    }
}

/// The derivative of a log-probability with respect to every coordinate of the parameter is a central difference.
/// `log_prob` maps a parameter to the log-probability of fixed values, or to another differentiable number.
///
/// # Panics
/// Where the derivatives differ.
#[track_caller]
pub fn check_score(theta: &[f64], log_prob: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>) {
    let tape = Tape::<f64>::new();
    let leaf = tape.parameter(theta);
    let [gradient] = tape.backward(log_prob(leaf), [leaf]).expect("derivatives");
    let moved = |i: usize, by: f64| {
        let mut theta = theta.to_vec();
        theta[i] += by;
        log_prob(tape.parameter(theta)).item().expect("one number")
    };
    let differences: Vec<f64> = (0..theta.len()).map(|i| (moved(i, 1e-5) - moved(i, -1e-5)) / 2e-5).collect();
    assert_close(gradient.as_slice(), &differences, 1e-7);
}

/// A hundred thousand draws of one element have the probabilities of the distribution, by a chi-square test, and
/// increase with the noise. Mean, variance, mode, distribution function and quantiles are those of the probabilities.
///
/// The element takes the values `0, 1, …, states − 1` or one-hot vectors of this length, up to values of negligible
/// probability.
///
/// ```
/// use stochgrad_distributions::Geometric;
/// use stochgrad_distributions::testing::check_draws;
/// use stochgrad_tape::Tape;
///
/// let tape = Tape::<f64>::new();
/// check_draws(&tape, &Geometric::from_probabilities(tape.parameter(0.4)), 80);
/// ```
///
/// # Panics
/// Where one of these fails.
#[track_caller]
pub fn check_draws<'t>(tape: &'t Tape<f64>, distribution: &dyn Distribution<'t, f64>, states: usize) {
    const DRAWS: usize = 100_000;
    let plate = tape.plate("draws", DRAWS, PlateKind::Samples, &[]);
    let noise = KeyedNoise::new(7, 3);
    let draw = Draw::new(tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
    let name = distribution.name();
    let sample = distribution.draw(&draw).expect("draws");
    assert_eq!(*sample.shape(), draw.shape(&distribution.event_shape()), "{name}: shape of draws");
    let values: Vec<usize> = if distribution.element_rank() == 1 {
        let one_hot = sample.as_slice().chunks(states).all(|row| row.iter().sum::<f64>() == 1.0);
        assert!(one_hot, "{name}: expected one-hot vectors");
        sample
            .as_slice()
            .chunks(states)
            .map(|row| row.iter().position(|&x| x == 1.0).expect("a one-hot vector"))
            .collect()
    } else {
        sample.as_slice().iter().map(|&x| x as usize).collect()
    };

    let uniform = draw.uniform(&[].as_slice().into()).expect("a value");
    let mut pairs: Vec<(f64, usize)> = uniform.to_vec().into_iter().zip(values.iter().copied()).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(pairs.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name}: expected draws that increase with the noise");

    let enumerated = States::new(tape, distribution, states);
    let p = enumerated.probabilities(distribution).peek().expect("a value").to_vec();
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
    assert!(
        (tail.0 - tail.1).abs() < 5.0 * (1.0 + tail.0).sqrt(),
        "{name}: expected about {} draws of values with few draws each, got {}",
        tail.0,
        tail.1
    );
    assert!(
        cells > 1.0 && statistic < cells + 4.0 * (2.0_f64 * cells).sqrt() + 4.0,
        "{name}: chi-square statistic {statistic} over {cells} cells"
    );

    if let Some(cumulative) = distribution.capabilities().cdf {
        let sums = p.iter().scan(0.0, |sum, p| {
            *sum += p;
            Some(*sum)
        });
        let sums: Vec<f64> = sums.collect();
        let numbers: Vec<f64> = (0..states).map(|k| k as f64).collect();
        let at = |values: Vec<f64>| cumulative.cdf(tape.constant(values)).peek().expect("a value").to_vec();
        assert_close(&at(numbers.clone()), &sums, 1e-12);
        assert_close(&at(numbers.iter().map(|k| k + 0.4).collect()), &sums, 1e-12);
        assert_eq!(at(vec![-1.0, -0.5]), [0.0, 0.0]);
        if let Some(quantile) = distribution.capabilities().icdf {
            let likely = p.iter().filter(|p| **p > 1e-6).count();
            let middles: Vec<f64> = (0..likely).map(|k| sums[k] - 0.5 * p[k]).collect();
            let back = quantile.icdf(tape.constant(middles)).peek().expect("a value");
            assert_eq!(back.as_slice(), &numbers[..likely]);
        }
    }
    if let Some(mode) = distribution.mode().filter(|_| distribution.element_rank() == 0) {
        let highest = p.iter().copied().fold(0.0, f64::max);
        assert!(
            p[mode.item().expect("one number") as usize] >= highest * (1.0 - 1e-12),
            "{name}: {mode:?} is not the mode"
        );
    }

    if let (0, Some(mean), Some(variance)) = (distribution.element_rank(), distribution.mean(), distribution.variance())
    {
        let (mean, variance) = (mean.item().expect("one number"), variance.item().expect("one number"));
        let average = values.iter().sum::<usize>() as f64 / DRAWS as f64;
        assert!(
            (average - mean).abs() < 4.0 * (variance / DRAWS as f64).sqrt(),
            "{name}: expected the mean {mean}, got {average} of the draws"
        );
        let moment = |f: &dyn Fn(f64) -> f64| p.iter().enumerate().map(|(k, p)| p * f(k as f64)).sum::<f64>();
        assert_close(
            &[moment(&|_| 1.0), mean, variance],
            &[1.0, moment(&|k| k), moment(&|k| (k - mean).powi(2))],
            1e-10,
        );
    }
}

/// The distribution is the same after it was stored and bound again, as a graph does: it has the same parameters and
/// the same log-probability of `value`.
///
/// # Panics
/// Where they differ.
#[track_caller]
pub fn check_family<'t, D: Live<'t, f64>>(tape: &'t Tape<f64>, live: &D, value: Var<'t, f64>)
where
    D::Family: Family<f64, On<'t> = D>,
{
    let stored = D::Family::store(live);
    let bound = stored.bind(tape, &IdMap::identity()).expect("the parameters on the tape");
    assert_eq!(bound.name(), live.name());
    for (bound, live) in bound.parameters().iter().zip(&live.parameters()) {
        assert_eq!((bound.name, bound.var.id()), (live.name, live.var.id()));
    }
    assert_eq!(bound.log_prob(value).item().expect("one number"), live.log_prob(value).item().expect("one number"));
}
