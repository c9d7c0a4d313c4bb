//! The hypergeometric distribution: the number of successes among n members that are drawn without replacement from a
//! population of N members, of which K are successes. It describes samples of small populations and tests of
//! independence in tables.
//!
//! $$P(X = k; N, K, n) = \frac{\binom Kk \binom{N - K}{n - k}}{\binom Nn}, \quad
//! \max(0, n + K - N) \le k \le \min(n, K).$$
//!
//! Parameters: `population` $N$, `successes` $K \le N$ and `draws` $n \le N$, integers of at least 0 that are not
//! differentiated. The parameters broadcast; their common shape is the event shape, and each element is an independent
//! value. Support: the counts above. Elsewhere the log-probability is −∞.
//!
//! | capability | |
//! |---|---|
//! | entropy | a sum over the counts |
//! | finite support | where all elements have the same parameters |
//! | distribution function | a sum over the counts; its inverse by the sums |
//!
//! Distribution function, entropy and draws are sums over the counts, up to $\min(n, K) = 2^{20}$. The log-probability
//! is that of a binomial count given a total, $\mathrm{Bin}(k; K, q)\, \mathrm{Bin}(n - k; N - K, q) / \mathrm{Bin}(n;
//! N, q)$ for any probability $q$. At $q = n / N$ large factorials and powers cancel inside each factor. The parameters
//! are integers, so that there are no derivatives with respect to them: a derivative of the log-probability is an error.

use crate::derivative::weak::drawn_by_quantile;
use crate::discrete::summed::Summed;
use crate::discrete::tails::{Tail, of_probability, tails};
use crate::distribution::consecutive::{count_integers, list_integers};
use crate::distribution::{FiniteSupport, whole};
use crate::error::DistributionError;
use crate::prelude::*;
use std::panic::Location;
use stochgrad_tape::{Smoothness, TapeError};

distribution! {
    /// Numbers of successes in samples without replacement, given by the sizes of the population, of its part of
    /// successes, and of the sample.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Hypergeometric};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// // Two aces in a hand of five cards.
    /// let aces = Hypergeometric::new(tape.constant(52.0), 4.0, 5.0);
    /// assert!((aces.log_prob(tape.constant(2.0)).item()?.exp() - 103_776.0 / 2_598_960.0).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Hypergeometric {
        /// The size of the population.
        population,
        /// The number of successes in the population.
        successes,
        /// The size of the sample.
        draws,
    }
}

impl<'t, F: Real> Hypergeometric<Var<'t, F>> {
    /// Successes among `draws` members of a population of the size `population`, of which `successes` are successes.
    pub fn new(population: Var<'t, F>, successes: impl IntoVar<'t, F>, draws: impl IntoVar<'t, F>) -> Self {
        let tape = population.tape();
        Hypergeometric { population, successes: successes.into_var(tape), draws: draws.into_var(tape) }
    }

    fn failures(&self) -> Var<'t, F> {
        self.population - self.successes
    }

    /// The smallest and the largest value.
    fn bounds(&self) -> [Var<'t, F>; 2] {
        [(self.draws - self.failures()).relu(), self.draws.minimum(self.successes)]
    }

    /// The probability of a draw, and a number of at least 1 for the population.
    fn share(&self) -> Var<'t, F> {
        self.draws / self.population.maximum(self.population.tape().constant(1.0))
    }

    /// The log-probabilities of all counts; an error on the tape where there are too many.
    #[track_caller]
    fn summed(&self) -> Result<Summed<'t, F>, Var<'t, F>> {
        let [population, successes, draws] =
            [self.population, self.successes, self.draws].map(|parameter| parameter.unsqueeze(-1));
        let each = Hypergeometric { population, successes, draws };
        let (last, at) = (self.bounds()[1].broadcast_to(self.event_shape()), Location::caller());
        Summed::new("Hypergeometric", "min(draws, successes)", last, |count| each.log_prob_each(count))
            .map_err(|error| last.tape().fail(TapeError::Other { message: error.to_string(), at }))
    }

    #[track_caller]
    fn tail(&self, value: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        let [low, high] = self.bounds();
        let above = value.ge(high);
        tail.of(value, [value.lt(low) * (1.0 - above), above], low, |count| match self.summed() {
            Ok(summed) => summed.tail(count, tail),
            Err(failed) => failed,
        })
    }

    /// The counts where noise is not recorded: the exact oracle splits it instead.
    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let event = self.event_shape();
        let probabilities = match self.summed() {
            Ok(summed) => summed.probabilities(),
            Err(failed) => failed,
        };
        let count = probabilities.shape().last().copied();
        let full: Shape = event.iter().copied().chain(count).collect();
        draw.categorical(&event, &draw.parameter(probabilities, &full)?)
    }
}

impl<'t, F: Real> Distribution<'t, F> for Hypergeometric<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Hypergeometric"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let all = [("population", self.population), ("successes", self.successes), ("draws", self.draws)];
        let fixed = |(name, var)| Parameter::smooth(name, var).with_score(Smoothness::Jump).with_path(SamplePath::None);
        all.into_iter().map(fixed).collect()
    }

    fn event_shape(&self) -> Shape {
        common_shape(&[self.population, self.successes, self.draws])
    }

    fn support(&self) -> Support {
        Support::Counts
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        // The log-probability does not depend on this probability.
        let share = self.share().held();
        let of = |count: Var<'t, F>, trials: Var<'t, F>| special::binomial_log_pmf(count, trials, share);
        of(value, self.successes) + of(self.draws - value, self.failures()) - of(self.draws, self.population)
    }

    drawn_by_quantile!(Fill::Folded, |counts, noise| match counts.summed() {
        Ok(summed) => summed.probabilities().categories(noise),
        Err(failed) => failed,
    });

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.share() * self.successes)
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let one = self.population.tape().constant(1.0);
        let (size, others) = (self.population.maximum(one), (self.population - 1.0).maximum(one));
        let rest = (self.population - self.draws) / others;
        Some(self.share() * self.successes * (self.failures() / size) * rest)
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(((self.draws + 1.0) / (self.population + 2.0) * (self.successes + 1.0)).floor().minimum(self.bounds()[1]))
    }

    fn validate(&self) -> DistributionResult<()> {
        whole("Hypergeometric", "population", self.population, 0)?;
        whole("Hypergeometric", "successes", self.successes, 0)?;
        whole("Hypergeometric", "draws", self.draws, 0)?;
        let hint = "a part cannot be larger than the population";
        let within = |name, part: Var<'t, F>| {
            let condition = Condition::Between { low: 0.0, high: f64::INFINITY };
            check_parameter("Hypergeometric", name, self.population - part, "at least 0", hint, condition)
        };
        within("population - successes", self.successes)?;
        within("population - draws", self.draws)
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Hypergeometric<Var<'t, F>> {
    tails!();
}

impl<'t, F: Real> QuantileFunction<'t, F> for Hypergeometric<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let quantile = self.summed().map_or_else(|failed| failed, |summed| summed.quantile(probability));
        of_probability(probability, quantile.maximum(self.bounds()[0]))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let quantile = self.summed().map_or_else(|failed| failed, |summed| summed.inverse_survival(probability));
        of_probability(probability, quantile.maximum(self.bounds()[0]))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Hypergeometric<Var<'t, F>> {
    /// The sum over the counts.
    fn entropy(&self) -> Var<'t, F> {
        self.summed().map_or_else(|failed| failed, |summed| summed.entropy().sum())
    }
}

impl<F: Real> Hypergeometric<Var<'_, F>> {
    /// The bounds of all elements.
    ///
    /// # Errors
    /// If the elements have different bounds.
    fn common_bounds(&self) -> DistributionResult<(F, F)> {
        let unsettled = |problem: &str| {
            Err(DistributionError::Unsupported { distribution: "Hypergeometric", problem: problem.into() })
        };
        let [low, high] = self.bounds();
        let (low, high) = (low.peek()?, high.peek()?);
        let same = |bounds: &Tensor<F>| bounds.as_slice().iter().all(|bound| *bound == bounds.as_slice()[0]);
        if low.is_empty() || high.is_empty() {
            return unsettled("no element has parameters; give at least one");
        }
        if !(same(&low) && same(&high)) {
            return unsettled(
                "the elements have different ranges of counts, so that no one support fits all; sample them as separate \
                 nodes",
            );
        }
        Ok((low.as_slice()[0], high.as_slice()[0]))
    }
}

impl<'t, F: Real> FiniteSupport<'t, F> for Hypergeometric<Var<'t, F>> {
    fn states(&self) -> DistributionResult<u128> {
        let (low, high) = self.common_bounds()?;
        count_integers("Hypergeometric", low, high)
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        let (low, high) = self.common_bounds()?;
        list_integers(self, low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, check_draws, check_enumeration, check_family};
    use stochgrad_tape::Tape;

    #[test]
    fn everything_follows_from_the_probabilities() {
        for (population, successes, draws) in [(30.0, 12.0, 9.0), (52.0, 4.0, 5.0), (10.0, 7.0, 6.0), (5.0, 0.0, 3.0)] {
            let tape = Tape::<f64>::new();
            let distribution = Hypergeometric::new(tape.constant(population), successes, draws);
            distribution.validate().unwrap();
            check_enumeration(&distribution, tape.parameter(0.5));
            check_family(&tape, &distribution, tape.constant(successes.min(draws)));
            if successes > 0.0 && draws + successes <= population {
                check_draws(&tape, &distribution, draws as usize + 2);
            }
            let counts: Vec<f64> = (0..=draws as usize).map(|k| k as f64).collect();
            let at = |value: Var<'_, f64>| value.peek().unwrap().to_vec();
            let p = at(distribution.log_prob_each(tape.constant(counts.clone())).exp());
            let beyond: Vec<f64> = (0..p.len()).map(|k| p[k + 1..].iter().sum()).collect();
            assert_close(&at(distribution.survival(tape.constant(counts.clone()))), &beyond, 1e-13);
            assert_close(&at(distribution.log_survival(tape.constant(counts.clone())).exp()), &beyond, 1e-13);
            let entropy = p.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum::<f64>();
            assert_close(&at(distribution.entropy()), &[entropy], 1e-13);
            let likely: Vec<usize> = (0..p.len()).filter(|&k| p[k] > 1e-12).collect();
            let middles: Vec<f64> = likely.iter().map(|&k| beyond[k] + 0.5 * p[k]).collect();
            let numbers: Vec<f64> = likely.iter().map(|&k| k as f64).collect();
            assert_eq!(at(distribution.inverse_survival(tape.constant(middles))), numbers);
            let ends = at(distribution.icdf(tape.constant([0.0, 1.0])));
            assert_eq!(ends, [(draws + successes - population).max(0.0), draws.min(successes)]);
        }
    }

    #[test]
    fn large_populations_and_mistakes() {
        let tape = Tape::<f64>::new();
        // The limit is binomial.
        let distribution = Hypergeometric::new(tape.constant(1e15), 2.5e14, 7.0);
        let binomial = crate::discrete::Binomial::from_probabilities(7.0, tape.constant(0.25));
        let counts = tape.constant([0.0, 3.0, 7.0]);
        let (own, limit) = (distribution.log_prob_each(counts), binomial.log_prob_each(counts));
        assert_close(own.peek().unwrap().as_slice(), limit.peek().unwrap().as_slice(), 1e-12);
        for value in [-1.0, 0.5, 8.0, f64::INFINITY] {
            assert_eq!(distribution.log_prob(tape.constant(value)).item(), Ok(f64::NEG_INFINITY));
        }
        assert!(distribution.log_prob(tape.constant(f64::NAN)).item().unwrap().is_nan());
        for (population, successes, draws) in [(5.0, 6.0, 2.0), (5.0, 2.0, 6.0), (5.5, 2.0, 2.0), (5.0, -1.0, 2.0)] {
            assert!(Hypergeometric::new(tape.constant(population), successes, draws).validate().is_err());
        }
        let mixed = Hypergeometric::new(tape.constant([9.0, 9.0]), tape.constant([3.0, 4.0]), 5.0);
        assert!(mixed.element_support().is_err());
        assert_eq!(mixed.cdf(tape.constant(2.0)).peek().unwrap().len(), 2);
        let draws = tape.parameter(4.0);
        let log = Hypergeometric::new(tape.constant(9.0), 3.0, draws).log_prob(tape.constant(2.0));
        assert!(tape.backward(log, [draws]).is_err());
    }
}
