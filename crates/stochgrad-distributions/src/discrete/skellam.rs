//! The Skellam distribution: the difference of two independent Poisson samples, such as the goal difference of a match.
//!
//! $$P(X = k; a, b) = e^{-a - b} (a/b)^{k/2} I_{|k|}(2\sqrt{ab}), \quad k \in \mathbb{Z}, \quad a, b > 0.$$
//!
//! Parameters: `rate_up` $a > 0$ and `rate_down` $b > 0$. The parameters broadcast; their common shape is the event
//! shape, and each element is an independent value. Support: the integers.
//!
//! Elsewhere the log-probability is −∞. Distribution and survival function keep their digits in both tails; the
//! logarithms are −∞ where the probabilities underflow.
//!
//! | capability | |
//! |---|---|
//! | score | any order, by quotients of Bessel functions |
//! | entropy | a sum over 121 differences, for variances above $10^4$ Edgeworth's series; any order |
//! | weak derivatives | with respect to $a$: constant 1, $X + 1$ and the distribution itself; with respect to $b$: constant 1, $X - 1$ and the distribution itself. One replay each |
//!
//! The distribution function is a sum, and for large rates an integral: its effort is bounded.

use crate::discrete::entropy_of_counts::{CountsAround, entropy_of_nearly_normal};
use crate::discrete::poisson::Poisson;
use crate::discrete::tails::{Tail, just_above, tails};
use crate::distribution::{above, confine_possible};
use crate::prelude::*;
use stochgrad_tensor::map::Map;

distribution! {
    /// Differences of two independent Poisson samples, given by their rates.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Skellam};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let goals = Skellam::new(tape.constant(1.5), 1.0);
    /// assert_eq!((goals.mean().unwrap().item()?, goals.variance().unwrap().item()?), (0.5, 2.5));
    /// # Ok(())
    /// # }
    /// ```
    pub struct Skellam {
        /// The rate of the positive part.
        rate_up: rate,
        /// The rate of the negative part.
        rate_down: rate,
    }
    support: Integers
}

/// Checks a rate. The log-probability multiplies counts by logarithms, so that the largest rates would overflow.
fn rate<F: Real>(distribution: &'static str, parameter: &'static str, var: Var<'_, F>) -> DistributionResult<()> {
    let condition = Condition::AtMost { above: 0.0, high: F::MAX.to_f64() * 1e-3 };
    let expected = "a positive number of at most a thousandth of the largest number of the type";
    let hint = "use a normal distribution for differences of such counts";
    check_parameter(distribution, parameter, var, expected, hint, condition)
}

impl<'t, F: Real> Skellam<Var<'t, F>> {
    /// The difference of Poisson samples with rates `rate_up > 0` and `rate_down > 0`.
    pub fn new(rate_up: Var<'t, F>, rate_down: impl IntoVar<'t, F>) -> Self {
        Skellam { rate_up, rate_down: rate_down.into_var(rate_up.tape()) }
    }
}

impl<'t, F: Real> Distribution<'t, F> for Skellam<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        confine_possible(special::skellam_log_pmf(value, self.rate_up, self.rate_down))
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let event = self.event_shape();
        let part = |rate: Var<'t, F>, purpose: &str| {
            Poisson::from_rate(rate.broadcast_to(event.clone())).sample(&draw.purpose(purpose))
        };
        Ok(part(self.rate_up, "up")? - part(self.rate_down, "down")?)
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.rate_up - self.rate_down)
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.rate_up + self.rate_down)
    }

    capabilities!();
}

impl<'t, F: Real> Skellam<Var<'t, F>> {
    fn tail(&self, value: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        let tape = value.tape();
        let ends = [value.le(tape.constant(f64::NEG_INFINITY)), value.ge(tape.constant(f64::INFINITY))];
        tail.of(value, ends, tape.constant(0.0), |difference| {
            let (up, down) = (self.rate_up, self.rate_down);
            // The mirrored difference is a Skellam sample as well, and the upper tail is its lower one. The successor of
            // a large number rounds: there the smaller tail is computed, and the other one is its complement.
            let large = difference.abs().ge(tape.constant(2.0 / F::EPSILON.to_f64()));
            let above = difference.gt((up - down).held());
            let is_lower = matches!(tail, Tail::Lower | Tail::LogLower);
            let mirrored = if is_lower { large * above } else { 1.0 - large * (1.0 - above) };
            let first = mirrored.select(-difference - 1.0, difference);
            let share = special::skellam_cdf(first, mirrored.select(down, up), mirrored.select(up, down));
            let [of_mirrored, of_own] = if is_lower { [1.0 - share, share] } else { [share, 1.0 - share] };
            let probability = mirrored.select(of_mirrored, of_own);
            match tail {
                Tail::Lower | Tail::Upper => probability,
                Tail::LogLower | Tail::LogUpper => probability.map(Map::LnHeld),
            }
        })
    }
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Skellam<Var<'t, F>> {
    tails!();
}

impl<'t, F: Real> QuantileFunction<'t, F> for Skellam<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        special::skellam_icdf(probability, self.rate_up, self.rate_down)
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        // The mirrored difference is a Skellam sample as well.
        -special::skellam_icdf(just_above(probability), self.rate_down, self.rate_up)
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Skellam<Var<'t, F>> {}

impl<'t, F: Real> WeakDerivative<'t, F> for Skellam<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let (moved, rate) = match parameter {
            0 => (sample + 1.0, self.rate_up),
            1 => (sample - 1.0, self.rate_down),
            _ => return Ok(None),
        };
        let _ = draw;
        let one = rate.stop_gradient() * 0.0 + 1.0;
        Ok(Some(Alternatives { values: vec![moved.stop_gradient()], weights: vec![one] }))
    }
}

/// The variance up to which the entropy is a sum.
const SUMMED: f64 = 1e4;

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Skellam<Var<'t, F>> {
    /// A sum over differences around the mean, and the first terms of a series for variances above 10⁴. The relative
    /// error is below 1e-11 in `f64`.
    fn entropy(&self) -> Var<'t, F> {
        let (tape, event) = (self.rate_up.tape(), self.event_shape());
        let rates = [self.rate_up, self.rate_down].map(|rate| rate.broadcast_to(event.clone()));
        let [up, down] = rates;
        let large = above(up + down, SUMMED);
        let one = tape.constant(1.0);
        let [few_up, few_down] = rates.map(|rate| large.select(one, rate));
        let around = CountsAround::new(few_up - few_down, few_up + few_down);
        let logs = special::skellam_log_pmf(around.counts(), few_up.unsqueeze(-1), few_down.unsqueeze(-1));
        let [far_up, far_down] = rates.map(|rate| large.select(rate, one));
        let variance = far_up + far_down;
        let of_mean = (far_up - far_down) / variance;
        let excess = variance.recip();
        let series = entropy_of_nearly_normal(variance.ln(), of_mean.square() * excess, excess);
        large.select(series, around.entropy(logs)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::KeyedNoise;
    use crate::testing::{Evaluated, leaves, on_samples};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Tape;
    use stochgrad_tensor::special::{skellam_cdf, skellam_log_pmf};

    const RATES: [f64; 2] = [2.5, 0.7];

    /// The expectation of a function, as a sum over all differences with a relevant probability.
    fn expectation(up: f64, down: f64, f: impl Fn(f64) -> f64) -> f64 {
        (-60..80).map(|k| skellam_log_pmf(f64::from(k), up, down).exp() * f(f64::from(k))).sum()
    }

    #[test]
    fn log_probabilities_and_scores_are_those_of_the_formula() {
        let tape = Tape::<f64>::new();
        let wrt = leaves(&tape, &RATES);
        let distribution = Skellam::new(wrt[0], wrt[1]);
        for k in [-7.0, -1.0, 0.0, 1.0, 12.0] {
            let log = distribution.log_prob(tape.constant(k));
            assert_abs_diff_eq!(log.item().unwrap(), skellam_log_pmf(k, RATES[0], RATES[1]), epsilon = 1e-12);
            let p = |k: f64| skellam_log_pmf(k, RATES[0], RATES[1]).exp();
            // The derivative of the distribution with respect to a rate is that of the mixture: the neighbour less the
            // distribution itself.
            let exact = [p(k - 1.0) / p(k) - 1.0, p(k + 1.0) / p(k) - 1.0];
            for (gradient, exact) in tape.backward_all(log, &wrt).unwrap().iter().zip(exact) {
                assert!((gradient.item().unwrap() - exact).abs() < 1e-11 * exact.abs().max(1.0), "{k}");
            }
        }
        assert_eq!(distribution.log_prob(tape.constant(0.5)).item(), Ok(f64::NEG_INFINITY));
        assert_abs_diff_eq!(expectation(2.5, 0.7, |_| 1.0), 1.0, epsilon = 1e-13);
        assert_abs_diff_eq!(
            expectation(2.5, 0.7, |k| k),
            distribution.mean().unwrap().item().unwrap(),
            epsilon = 1e-12
        );
    }

    #[test]
    fn the_entropy_is_that_of_the_sum() {
        for rates in [[2.5, 0.7], [1e-3, 1e-3], [0.4, 60.0], [300.0, 250.0]] {
            let tape = Tape::<f64>::new();
            let wrt = leaves(&tape, &rates);
            let distribution = Skellam::new(wrt[0], wrt[1]);
            let logs = distribution.log_prob_each(tape.constant((-300..500).map(f64::from).collect::<Vec<_>>()));
            let likely = logs.held().gt(tape.constant(-700.0));
            let logs = likely.select(logs, tape.constant(0.0));
            let (own, sum) = (distribution.entropy(), -(logs.exp() * logs * likely).sum());
            assert_abs_diff_eq!(own.item().unwrap(), sum.item().unwrap(), epsilon = 1e-11);
            let slopes = [own, sum].map(|value| tape.backward_all(value, &wrt).unwrap());
            for (own, sum) in slopes[0].iter().zip(&slopes[1]) {
                assert_abs_diff_eq!(own.item().unwrap(), sum.item().unwrap(), epsilon = 1e-9);
            }
        }
        // Where the series begins.
        for share in [0.5, 0.999_999] {
            let at = |variance: f64| {
                let tape = Tape::<f64>::new();
                let distribution = Skellam::new(tape.constant(variance * share), variance * (1.0 - share));
                distribution.entropy().item().unwrap()
            };
            assert_abs_diff_eq!(at(SUMMED * (1.0 - 1e-12)), at(SUMMED * (1.0 + 1e-12)), epsilon = 1e-9);
        }
    }

    #[test]
    fn draws_and_weak_derivatives_follow_the_distribution() {
        let tape = Tape::<f64>::new();
        let wrt = leaves(&tape, &RATES);
        let distribution = Skellam::new(wrt[0], wrt[1]);
        let noise = KeyedNoise::new(3, 0);
        let draw = on_samples(&tape, &noise, 100_000);
        let sample = distribution.draw(&draw).unwrap();
        for k in -3..8 {
            let k = f64::from(k);
            let share = sample.as_slice().iter().filter(|&&x| x <= k).count() as f64 / 1e5;
            let exact = skellam_cdf(k, RATES[0], RATES[1]);
            assert!((share - exact).abs() < 4.5 * (exact * (1.0 - exact) / 1e5).sqrt() + 1e-9, "{k}: {share}, {exact}");
        }
        let cost = |x: f64| x.sin() + 0.1 * x * x;
        for parameter in 0..2 {
            let step = |by: f64| {
                let mut rates = RATES;
                rates[parameter] += by;
                expectation(rates[0], rates[1], cost)
            };
            let exact = (step(1e-4) - step(-1e-4)) / 2e-4;
            let parts =
                distribution.weak_derivative(parameter, draw.record(&tape, sample.clone()), &draw).unwrap().unwrap();
            let parts = Evaluated::new(&distribution, &draw, &parts);
            let terms: Vec<f64> = (0..sample.len())
                .map(|i| {
                    parts.weights[0].as_slice()[i] * (cost(parts.values[0].as_slice()[i]) - cost(sample.as_slice()[i]))
                })
                .collect();
            let mean = terms.iter().sum::<f64>() / 1e5;
            let error = (crate::testing::variance(&terms) / 1e5).sqrt();
            assert!((mean - exact).abs() < 4.0 * error, "{parameter}: {mean} ± {error}, expected {exact}");
        }
        assert!(distribution.weak_derivative(2, draw.record(&tape, sample.clone()), &draw).unwrap().is_none());
    }

    #[test]
    fn the_tails_of_large_differences_complement_each_other() {
        let tape = Tape::<f32>::new();
        let (up, down) = (1e8, 1.25);
        let distribution = Skellam::new(tape.constant(up), down);
        let mut last = 0.0;
        for k in [99_960_000.0_f32, 99_976_736.0, 99_999_992.0, 100_000_000.0, 100_000_008.0, 100_020_000.0] {
            let exact = skellam_cdf(-f64::from(k) - 1.0, down, up);
            let survival = distribution.survival(tape.constant(k)).item().unwrap();
            let cdf = distribution.cdf(tape.constant(k)).item().unwrap();
            // Half the distance of neighbouring numbers is 4.
            let room = 4.5 * skellam_log_pmf(f64::from(k), up, down).exp() + 4.0 * f64::from(f32::EPSILON) * exact;
            assert!((f64::from(survival) - exact).abs() < room, "{k}: {survival}, expected {exact}");
            assert!((cdf + survival - 1.0).abs() < 2.0 * f32::EPSILON, "{k}: {cdf} + {survival}");
            assert!(cdf > last, "{k}: {cdf} after {last}");
            last = cdf;
        }
    }

    #[test]
    fn extremes_give_no_nan() {
        for rates in [[1e-8, 1e-8], [1e-3, 1e6], [1e9, 1e9], [1e6, 1e-3]] {
            let tape = Tape::<f64>::new();
            let wrt = leaves(&tape, &rates);
            let distribution = Skellam::new(wrt[0], wrt[1]);
            distribution.validate().unwrap();
            let noise = KeyedNoise::new(3, 0);
            let draw = on_samples(&tape, &noise, 100);
            let log = distribution.log_prob(draw.record(&tape, distribution.draw(&draw).unwrap()));
            assert!(log.peek().unwrap().all_finite(), "{rates:?}");
            for gradient in tape.backward_all(log.mean_over(draw.plates()[0]), &wrt).unwrap() {
                assert!(gradient.all_finite(), "{rates:?}: {gradient:?}");
            }
        }
        let tape = Tape::<f64>::new();
        assert!(Skellam::new(tape.constant(0.0), 1.0).validate().is_err());
        assert!(Skellam::new(tape.constant(1.0), f64::NAN).validate().is_err());
    }

    #[test]
    fn improbable_differences_have_no_score() {
        let tape = Tape::<f64>::new();
        let wrt = leaves(&tape, &[1.25, 1.25]);
        let log = Skellam::new(wrt[0], wrt[1]).log_prob(tape.constant(f64::MAX));
        assert_eq!(log.item(), Ok(f64::NEG_INFINITY));
        for slope in tape.backward_all(log, &wrt).unwrap() {
            assert_eq!(slope.item(), Ok(0.0));
        }
    }
}
