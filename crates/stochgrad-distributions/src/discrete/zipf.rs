//! Zipf's distribution over a finite number of ranks: the rank of a word in a text, a visited page or a sold item, where
//! frequencies fall as a power of the rank.
//!
//! $$P(X = k; s) = \frac{k^{-s}}{\sum_{j=1}^n j^{-s}}, \quad k \in \{1, \dots, n\}, \quad s \ge 0.$$
//!
//! Parameters: the number of ranks $n \ge 1$, fixed, and `exponent` $s \ge 0$; its shape is the event shape, and each
//! element is an independent rank. Support: $1, \dots, n$. Elsewhere the log-probability is −∞. An exponent of 0 is the
//! uniform distribution.
//!
//! | capability | |
//! |---|---|
//! | score | $-\ln x$ less its mean, any order |
//! | entropy | the sum over the ranks |
//! | finite support | $1, \dots, n$ |
//! | distribution function | the sum over the ranks, and its inverse |
//!
//! All functions take time in proportion to the number of ranks for each exponent. A weak derivative would have as many
//! parts as there are ranks. The limit of infinitely many ranks, for exponents above 1, is the
//! [`Zeta`](crate::Zeta) distribution, whose functions do not depend on a number of ranks.

use crate::discrete::categorical::Categorical;
use crate::distribution::consecutive::{count_integers, list_integers};
use crate::distribution::{FiniteSupport, IntegerSupport};
use crate::family;
use crate::prelude::*;

/// Ranks from 1 to a fixed number whose frequencies fall as a power of the rank, given by the number of ranks and the
/// exponent.
///
/// ```
/// use stochgrad_distributions::{Distribution, Zipf};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let word = Zipf::new(1000, tape.constant(1.0));
/// let logs = word.log_prob_each(tape.constant([1.0, 10.0])).peek()?;
/// // The first word is ten times as frequent as the tenth.
/// assert!((logs.as_slice()[0] - logs.as_slice()[1] - 10.0_f64.ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Zipf<V = stochgrad_tape::Id> {
    ranks: usize,
    exponent: V,
}

impl<V> Zipf<V> {
    /// Ranks from 1 to `ranks ≥ 1`, with the exponent `exponent ≥ 0`.
    pub fn new(ranks: usize, exponent: V) -> Self {
        Zipf { ranks, exponent }
    }

    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<Zipf<W>, E> {
        Ok(Zipf { ranks: self.ranks, exponent: f(&self.exponent)? })
    }

    /// The number of ranks.
    pub fn ranks(&self) -> usize {
        self.ranks
    }
}

family!(Zipf);

impl<'t, F: Real> Zipf<Var<'t, F>> {
    /// The exponent.
    pub fn exponent(&self) -> Var<'t, F> {
        self.exponent
    }

    /// The rank less 1, as a category.
    fn category(&self) -> Categorical<Var<'t, F>> {
        let of_rank = |k: usize| F::from_f64(-(k as f64 + 1.0).ln());
        let logs = self.exponent.tape().constant_from_fn([self.ranks], of_rank);
        Categorical::from_logits(self.exponent.unsqueeze(-1) * logs)
    }

    fn last(&self) -> F {
        F::from_usize(self.ranks)
    }
}

impl<'t, F: Real> Distribution<'t, F> for Zipf<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Zipf"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![Parameter::smooth("exponent", self.exponent).with_path(SamplePath::None)]
    }

    fn event_shape(&self) -> Shape {
        self.exponent.shape()
    }

    fn support(&self) -> Support {
        Support::Counts
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.category().log_prob_each(value - 1.0)
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.category().sample(draw)? + 1.0)
    }

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.category().mean()? + 1.0)
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        self.category().variance()
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.exponent.held() * 0.0 + 1.0)
    }

    fn validate(&self) -> DistributionResult<()> {
        if self.ranks == 0 {
            let problem = "expected at least one rank, got none".into();
            return Err(crate::DistributionError::Unsupported { distribution: "Zipf", problem });
        }
        let hint = "use softplus() of an unconstrained number";
        let condition = Condition::AtLeast { low: 0.0, below: f64::INFINITY };
        check_parameter("Zipf", "exponent", self.exponent, "a finite number, at least 0", hint, condition)
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Zipf<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.category().cdf(value - 1.0)
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.category().survival(value - 1.0)
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.category().log_cdf(value - 1.0)
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.category().log_survival(value - 1.0)
    }
}

impl<'t, F: Real> IntegerSupport<'t, F> for Zipf<Var<'t, F>> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        value.lt(value.tape().constant(self.ranks as f64))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Zipf<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.category().icdf(probability) + 1.0
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        self.category().inverse_survival(probability) + 1.0
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Zipf<Var<'t, F>> {}

impl<'t, F: Real> FiniteSupport<'t, F> for Zipf<Var<'t, F>> {
    fn states(&self) -> DistributionResult<u128> {
        count_integers("Zipf", F::ONE, self.last())
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        list_integers(self, F::ONE, self.last())
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Zipf<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        self.category().entropy()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Zipf<Var<'t, F>> {
    /// Infinite where the other distribution has fewer ranks.
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        if self.ranks == other.ranks {
            return self.category().kl_to(&other.category());
        }
        if self.ranks > other.ranks {
            return self.exponent.tape().constant(f64::INFINITY);
        }
        let (own, others) = (self.category().log_probabilities(), other.category().log_probabilities());
        let others = others.index_select(-1, &(0..self.ranks).collect::<Vec<_>>());
        (own.exp() * (own - others)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, check_enumeration, check_family, check_score, on_samples};
    use stochgrad_tape::Tape;

    #[test]
    fn everything_follows_from_the_probabilities() {
        for (ranks, s) in [(6, 1.3), (1, 0.5), (40, 0.0), (9, 8.0)] {
            let tape = Tape::<f64>::new();
            let exponent = tape.parameter(s);
            let distribution = Zipf::new(ranks, exponent);
            distribution.validate().unwrap();
            check_enumeration(&distribution, exponent);
            check_family(&tape, &distribution, tape.constant(1.0));
            let total: f64 = (1..=ranks).map(|k| (k as f64).powf(-s)).sum();
            let p: Vec<f64> = (1..=ranks).map(|k| (k as f64).powf(-s) / total).collect();
            let numbers: Vec<f64> = (1..=ranks).map(|k| k as f64).collect();
            let at = |value: Var<'_, f64>| value.peek().unwrap().to_vec();
            assert_close(&at(distribution.log_prob_each(tape.constant(numbers.clone())).exp()), &p, 1e-13);
            let moment = |f: &dyn Fn(f64) -> f64| p.iter().zip(&numbers).map(|(p, &k)| p * f(k)).sum::<f64>();
            let mean = moment(&|k| k);
            assert_close(&at(distribution.mean().unwrap()), &[mean], 1e-12);
            assert_close(&at(distribution.variance().unwrap()), &[moment(&|k| (k - mean).powi(2))], 1e-11);
            assert_close(&at(distribution.entropy()), &[p.iter().map(|p| -p * p.ln()).sum()], 1e-12);
            let beyond: Vec<f64> = (0..ranks).map(|k| p[k + 1..].iter().sum()).collect();
            assert_close(&at(distribution.survival(tape.constant(numbers.clone()))), &beyond, 1e-13);
            let middles: Vec<f64> = (0..ranks).map(|k| beyond[k] + 0.5 * p[k]).collect();
            assert_eq!(at(distribution.inverse_survival(tape.constant(middles.clone()))), numbers);
            let middles: Vec<f64> = middles.iter().map(|q| 1.0 - q).collect();
            assert_eq!(at(distribution.icdf(tape.constant(middles))), numbers);
            let noise = crate::noise::KeyedNoise::new(4, 0);
            let sample = distribution.draw(&on_samples(&tape, &noise, 40_000)).unwrap();
            for (k, p) in numbers.iter().zip(&p) {
                let found = sample.as_slice().iter().filter(|x| *x == k).count() as f64 / 40_000.0;
                assert!((found - p).abs() <= 4.5 * (p * (1.0 - p) / 40_000.0).sqrt(), "{k}: {found}, expected {p}");
            }
        }
        check_score(&[1.3, 0.4], |s| Zipf::new(20, s).log_prob(s.tape().constant([3.0, 20.0])));
    }

    #[test]
    fn divergences_and_mistakes() {
        let tape = Tape::<f64>::new();
        let of = |ranks: usize, s: f64| Zipf::new(ranks, tape.constant(s));
        let numbers = tape.constant([1.0, 2.0, 3.0]);
        for (p, q) in [(of(3, 0.7), of(3, 2.0)), (of(3, 0.7), of(9, 2.0))] {
            let (own, others) = (p.log_prob_each(numbers), q.log_prob_each(numbers));
            let expected = (own.exp() * (own - others)).sum().item().unwrap();
            assert_close(&[p.kl_to(&q).item().unwrap()], &[expected], 1e-13);
        }
        assert_eq!(of(9, 1.0).kl_to(&of(3, 1.0)).item(), Ok(f64::INFINITY));
        for value in [0.0, -1.0, 1.5, 4.0, f64::INFINITY] {
            assert_eq!(of(3, 1.0).log_prob(tape.constant(value)).item(), Ok(f64::NEG_INFINITY));
        }
        assert!(of(3, 1.0).log_prob(tape.constant(f64::NAN)).item().unwrap().is_nan());
        assert!(of(3, -0.1).validate().is_err() && of(0, 1.0).validate().is_err() && of(3, 0.0).validate().is_ok());
    }
}
