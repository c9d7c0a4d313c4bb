//! The beta-binomial distribution: the number of successes in n trials whose common probability of success is a beta
//! variate. It models shares of successes that vary more than those of the binomial distribution.
//!
//! $$P(X = k; n, \alpha, \beta) = \binom nk \frac{B(k + \alpha, n - k + \beta)}{B(\alpha, \beta)}, \quad
//! k \in \{0, \dots, n\}, \quad \alpha, \beta > 0.$$
//!
//! Parameters: `trials` $n$, an integer of at least 0 that is not differentiated, and the concentrations `alpha` and
//! `beta`, both positive. The parameters broadcast; their common shape is the event shape, and each element is an
//! independent value. Support: $0, \dots, n$. Elsewhere the log-probability is −∞.
//!
//! | capability | |
//! |---|---|
//! | score | any order, in $\alpha$ and $\beta$ |
//! | entropy | a sum over the counts, up to $n = 2^{20}$, any order |
//! | finite support | $0, \dots, n$, where all elements have the same $n$ |
//! | distribution function | a sum over the counts, up to $n = 2^{20}$; its inverse by the sums |
//!
//! The log-probability is that of a negative binomial count given a total: with $X \sim \mathrm{NB}(\alpha, q)$ and
//! $Y \sim \mathrm{NB}(\beta, q)$ the sum is of $\mathrm{NB}(\alpha + \beta, q)$, so that
//!
//! $$P(X = k \mid X + Y = n) = \frac{\mathrm{NB}(k; \alpha, q)\, \mathrm{NB}(n - k; \beta, q)}{\mathrm{NB}(n; \alpha +
//! \beta, q)}$$
//!
//! for any probability $q$. At that for which the mean of the total is $n$, large factorials and powers cancel inside
//! each factor. Divergences are sums without a closed form, and no cheap sampler is known for the parts
//! of a weak derivative with respect to the concentrations.

use crate::derivative::gamma_variates::log_standard_gammas;
use crate::discrete::binomial::Binomial;
use crate::discrete::summed::Summed;
use crate::discrete::tails::{Tail, tails};
use crate::distribution::consecutive::{common_trials, count_integers, list_integers};
use crate::distribution::{FiniteSupport, IntegerSupport, moderate_total, whole};
use crate::prelude::*;
use std::panic::Location;
use stochgrad_tape::{Smoothness, TapeError};
use stochgrad_tensor::special::negative_binomial_log_pmf_by_logit;

distribution! {
    /// Numbers of successes in trials whose probability of success is a beta variate, given by the number of trials and
    /// the two concentrations. Use it for shares that vary more than those of [`Binomial`](crate::Binomial).
    ///
    /// Concentrations whose sum is above an eighth of the largest number are errors.
    ///
    /// ```
    /// use stochgrad_distributions::{BetaBinomial, Distribution};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// // With concentrations of 1, all numbers of successes are equally likely.
    /// let successes = BetaBinomial::new(9.0, tape.constant(1.0), 1.0);
    /// assert!((successes.log_prob(tape.constant(3.0)).item()? - 0.1_f64.ln()).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    pub struct BetaBinomial {
        /// The number of trials.
        trials: number_of_trials.with_score(Smoothness::Constant).with_path(SamplePath::None),
        /// The concentration of successes.
        alpha: positive.with_path(SamplePath::None),
        /// The concentration of failures.
        beta: positive.with_path(SamplePath::None),
    }
    support: Counts
}

fn number_of_trials<F: Real>(
    distribution: &'static str,
    parameter: &'static str,
    trials: Var<'_, F>,
) -> DistributionResult<()> {
    whole(distribution, parameter, trials, 0)
}

impl<'t, F: Real> BetaBinomial<Var<'t, F>> {
    /// Successes in `trials` trials, whose probability is a beta variate with the concentrations `alpha > 0` and
    /// `beta > 0`.
    pub fn new(trials: impl IntoVar<'t, F>, alpha: Var<'t, F>, beta: impl IntoVar<'t, F>) -> Self {
        BetaBinomial { trials: trials.into_var(alpha.tape()), alpha, beta: beta.into_var(alpha.tape()) }
    }

    /// The mean probability of success, and that of failure.
    fn shares(&self) -> [Var<'t, F>; 2] {
        let total = self.alpha + self.beta;
        [self.alpha / total, self.beta / total]
    }

    /// The log-probabilities of all counts; an error on the tape where there are too many.
    #[track_caller]
    fn summed(&self) -> Result<Summed<'t, F>, Var<'t, F>> {
        let [trials, alpha, beta] = [self.trials, self.alpha, self.beta].map(|parameter| parameter.unsqueeze(-1));
        let each = BetaBinomial { trials, alpha, beta };
        // The largest count of an element has the axes of all parameters.
        let last = self.trials.broadcast_to(self.event_shape());
        let at = Location::caller();
        Summed::new("BetaBinomial", "trials", last, |count| each.log_prob_each(count))
            .map_err(|error| last.tape().fail(TapeError::Other { message: error.to_string(), at }))
    }

    #[track_caller]
    fn tail(&self, value: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        let zero = value.tape().constant(0.0);
        let all = value.ge(self.trials);
        tail.of(value, [value.lt(zero) * (1.0 - all), all], zero, |count| match self.summed() {
            Ok(summed) => summed.tail(count, tail),
            Err(failed) => failed,
        })
    }

    /// The counts where noise is not recorded: the exact oracle splits it instead.
    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let event = self.event_shape();
        let tables = [
            draw.parameter(self.trials, &event)?,
            draw.parameter(self.alpha, &event)?,
            draw.parameter(self.beta, &event)?,
        ];
        draw.invert(&event, &|element, k| {
            let [n, a, b] = [0, 1, 2].map(|table: usize| tables[table].as_slice()[element].to_f64());
            if k as f64 >= n { 1.0 } else { (0..=k).map(|k| log_pmf(k as f64, n, a, b).exp()).sum() }
        })
    }
}

/// The log-probability of k successes in n trials.
fn log_pmf(k: f64, n: f64, alpha: f64, beta: f64) -> f64 {
    let logit = ((alpha + beta) / n).ln();
    let of = |count: f64, successes: f64| negative_binomial_log_pmf_by_logit(count, successes, logit);
    of(k, alpha) + of(n - k, beta) - of(n, alpha + beta)
}

impl<'t, F: Real> Distribution<'t, F> for BetaBinomial<Var<'t, F>> {
    declared!(|own| moderate_total("BetaBinomial", own.alpha + own.beta));

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let (trials, total) = (self.trials.stop_gradient(), self.alpha + self.beta);
        // The log-probability does not depend on these odds.
        let logit = total.held().ln() - trials.ln();
        let of = |count: Var<'t, F>, successes: Var<'t, F>| {
            special::negative_binomial_log_pmf_by_logit(count, successes, logit)
        };
        of(value, self.alpha) + of(trials - value, self.beta) - of(trials, total)
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let (tape, event) = (self.trials.tape(), self.event_shape());
        if !draw.records_noise(tape) {
            return Ok(draw.record(tape, self.inverted(draw)?));
        }
        // The log-odds of the beta variate keep their digits next to 0 and to 1.
        let of = |concentration, purpose| log_standard_gammas(concentration, &draw.purpose(purpose), &event, false);
        let logits = of(self.alpha, "successes")? - of(self.beta, "failures")?;
        Binomial::from_logits(self.trials, logits).sample(draw)
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.trials * self.shares()[0])
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let ([success, failure], total) = (self.shares(), self.alpha + self.beta);
        Some(self.trials * success * failure * ((total + self.trials) / (total + 1.0)))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for BetaBinomial<Var<'t, F>> {
    tails!();
}

impl<'t, F: Real> IntegerSupport<'t, F> for BetaBinomial<Var<'t, F>> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        value.lt(self.trials)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for BetaBinomial<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.summed().map_or_else(|failed| failed, |summed| summed.quantile(probability))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.summed().map_or_else(|failed| failed, |summed| summed.inverse_survival(probability))
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for BetaBinomial<Var<'t, F>> {}

impl<'t, F: Real> FiniteSupport<'t, F> for BetaBinomial<Var<'t, F>> {
    fn states(&self) -> DistributionResult<u128> {
        count_integers("BetaBinomial", F::ZERO, common_trials("BetaBinomial", self.trials)?)
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        list_integers(self, F::ZERO, common_trials("BetaBinomial", self.trials)?)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for BetaBinomial<Var<'t, F>> {
    /// The sum over the counts.
    fn entropy(&self) -> Var<'t, F> {
        self.summed().map_or_else(|failed| failed, |summed| summed.entropy().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{KeyedNoise, NoiseKey};
    use crate::testing::{assert_close, check_enumeration, check_family, check_score, on_samples};
    use stochgrad_tape::{Plates, Tape};

    /// Shares of draws, of which each may deviate by four and a half standard errors.
    #[track_caller]
    fn check_shares(trials: f64, alpha: f64, beta: f64) {
        const DRAWS: usize = 50_000;
        let tape = Tape::<f64>::new();
        let distribution = BetaBinomial::new(trials, tape.constant(alpha), beta);
        distribution.validate().unwrap();
        let noise = KeyedNoise::new(4, 0);
        let sample = distribution.draw(&on_samples(&tape, &noise, DRAWS)).unwrap();
        let counts = distribution.element_support().unwrap();
        let p = distribution.log_prob_each(tape.constant(&counts)).exp().peek().unwrap();
        for (k, p) in counts.as_slice().iter().zip(p.as_slice()) {
            let found = sample.as_slice().iter().filter(|x| *x == k).count() as f64 / DRAWS as f64;
            assert!((found - p).abs() <= 4.5 * (p * (1.0 - p) / DRAWS as f64).sqrt() + 1e-9, "{k}: {found}, not {p}");
        }
    }

    #[test]
    fn log_probabilities_at_the_largest_concentrations_are_numbers_or_refused() {
        let tape = Tape::<f64>::new();
        let log_prob = |trials: f64, [alpha, beta]: [f64; 2], count: f64| {
            BetaBinomial::new(trials, tape.constant(alpha), beta).log_prob(tape.constant(count)).peek()
        };
        let sizes = [1e-300, 2.3, 1e15, 1e305, 1e307];
        for (alpha, beta) in sizes.iter().flat_map(|&alpha| sizes.map(|beta| (alpha, beta))) {
            for (trials, count) in [(1.0, 0.0), (7.0, 3.0), (1e15, 1e15), (1e284, 0.0)] {
                let log = log_prob(trials, [alpha, beta], count).unwrap().item().unwrap();
                assert!(log <= 1e-9 * alpha.max(beta), "{log} at {count} of {trials} with {alpha} and {beta}");
            }
        }
        let beyond = BetaBinomial::new(7.0, tape.constant(2.3), f64::MAX);
        let message = beyond.validate().unwrap_err().to_string();
        assert!(message.contains("sum of the concentrations") && message.contains("2.2e307"), "{message}");
    }

    #[test]
    fn draws_follow_the_distribution() {
        check_shares(7.0, 2.3, 1.4);
        check_shares(4.0, 1e-3, 2e-3);
        check_shares(5.0, 1e6, 2e6);
        check_shares(0.0, 0.5, 0.5);
    }

    #[test]
    fn everything_follows_from_the_probabilities() {
        for (trials, a, b) in [(7.0, 2.3, 1.4), (30.0, 0.2, 0.6), (1.0, 1e-8, 3.0), (12.0, 1e9, 1e9), (0.0, 1.0, 1.0)] {
            let tape = Tape::<f64>::new();
            let alpha = tape.parameter(a);
            let distribution = BetaBinomial::new(trials, alpha, b);
            check_enumeration(&distribution, alpha);
            check_family(&tape, &distribution, tape.constant(trials));
            let counts: Vec<f64> = (0..=trials as usize).map(|k| k as f64).collect();
            let at = |values: Var<'_, f64>| values.peek().unwrap().to_vec();
            let p = at(distribution.log_prob_each(tape.constant(counts.clone())).exp());
            let moment = |f: &dyn Fn(f64) -> f64| p.iter().zip(&counts).map(|(p, &k)| p * f(k)).sum::<f64>();
            let mean = moment(&|k| k);
            assert_close(&at(distribution.mean().unwrap()), &[mean], 1e-12);
            assert_close(&at(distribution.variance().unwrap()), &[moment(&|k| (k - mean).powi(2))], 1e-12);
            let entropy = p.iter().map(|p| if *p > 0.0 { -p * p.ln() } else { 0.0 }).sum::<f64>();
            assert_close(&at(distribution.entropy()), &[entropy], 1e-12);
            let cdf = |x: f64| p.iter().take((x + 1.0).max(0.0) as usize).sum::<f64>().min(1.0);
            let values = [-0.5, 0.0, 0.7, 3.0, trials - 1.0, trials, trials + 2.0];
            let expected: Vec<f64> = values.iter().map(|&x| cdf(x)).collect();
            let given = || tape.constant(values);
            assert_close(&at(distribution.cdf(given())), &expected, 1e-12);
            assert_close(&at(distribution.log_cdf(given()).exp()), &expected, 1e-12);
            let beyond: Vec<f64> = expected.iter().map(|p| 1.0 - p).collect();
            assert_close(&at(distribution.survival(given())), &beyond, 1e-12);
            assert_close(&at(distribution.log_survival(given()).exp()), &beyond, 1e-12);
            let likely: Vec<usize> = (0..counts.len()).filter(|&k| p[k] > 1e-9).collect();
            let middles: Vec<f64> = likely.iter().map(|&k| cdf(k as f64) - 0.5 * p[k]).collect();
            let expected: Vec<f64> = likely.iter().map(|&k| k as f64).collect();
            assert_eq!(at(distribution.icdf(tape.constant(middles.clone()))), expected);
            let others: Vec<f64> = middles.iter().map(|p| 1.0 - p).collect();
            assert_eq!(at(distribution.inverse_survival(tape.constant(others))), expected);
        }
        check_score(&[2.3, 1.4], |v| {
            BetaBinomial::new(7.0, v.index(0, 0), v.index(0, 1)).log_prob(v.tape().constant([0.0, 3.0, 7.0]))
        });
    }

    /// With large concentrations it is the binomial distribution, and the limit has all its digits.
    #[test]
    fn the_limit_of_large_concentrations_is_binomial() {
        let tape = Tape::<f64>::new();
        let counts = tape.constant([0.0, 3.0, 7.0, 12.0]);
        let own = BetaBinomial::new(12.0, tape.constant(1e200), 3e200).log_prob_each(counts);
        let limit = Binomial::from_probabilities(12.0, tape.constant(0.25)).log_prob_each(counts);
        assert_close(own.peek().unwrap().as_slice(), limit.peek().unwrap().as_slice(), 1e-13);
    }

    #[test]
    fn elements_plates_and_mistakes() {
        let tape = Tape::<f64>::new();
        let plate = tape.plate("rows", 2, stochgrad_tape::PlateKind::Data, &[]);
        let alpha = tape.parameter([[0.5], [2.0]]).event_to_plate(plate);
        let distribution = BetaBinomial::new(tape.constant([3.0, 5.0]), alpha, 1.5);
        let survival = distribution.survival(tape.constant([2.0, 4.0])).plate_to_event(plate).peek().unwrap();
        for (row, a) in [0.5, 2.0].into_iter().enumerate() {
            for (column, n) in [3.0, 5.0].into_iter().enumerate() {
                let last = BetaBinomial::new(n, tape.constant(a), 1.5).log_prob(tape.constant(n)).exp();
                assert_close(&[survival.as_slice()[2 * row + column]], &[last.item().unwrap()], 1e-13);
            }
        }
        assert!(distribution.element_support().is_err());
        let key = NoiseKey::new("x", None);
        let noise = KeyedNoise::new(1, 0);
        let drawn = distribution.draw(&Draw::new(&tape, &noise, key, Plates::from_slice(&[plate]))).unwrap();
        assert_eq!(drawn.shape().to_vec(), [2, 2]);
        for (n, a, b) in [(2.5, 1.0, 1.0), (-1.0, 1.0, 1.0), (2.0, 0.0, 1.0), (2.0, 1.0, f64::NAN)] {
            assert!(BetaBinomial::new(n, tape.constant(a), b).validate().is_err(), "{n}, {a}, {b}");
        }
        let many = BetaBinomial::new(1e9, tape.constant(2.0), 3.0);
        assert!(many.log_prob(tape.constant(4e8)).item().unwrap().is_finite());
        let message = many.cdf(tape.constant(4e8)).peek().unwrap_err().to_string();
        assert!(message.contains("count samples") && message.contains("BetaBinomial"), "{message}");
    }
}
