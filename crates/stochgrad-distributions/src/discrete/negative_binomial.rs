//! The negative binomial distribution: the number of failures before the r-th success in independent trials. It models
//! counts whose variance exceeds their mean.
//!
//! $$P(X = k; r, p) = \frac{\Gamma(k + r)}{k!\,\Gamma(r)} p^r (1 - p)^k, \quad k \in \{0, 1, \dots\}, \quad r > 0, \quad p = \sigma(\eta).$$
//!
//! Parameters: `successes` $r > 0$, not necessarily an integer, and the probability $p \in (0, 1]$ or the log-odds
//! $\eta > -\infty$ of success. The parameters broadcast; their common shape is the event shape, and each element is an
//! independent value. Support: $0, 1, \dots$
//!
//! Elsewhere the log-probability is −∞. Distribution and survival function and their logarithms keep their digits in
//! both tails: the relative error is that of the incomplete beta function, and the logarithms are finite far beyond the
//! underflow of the probabilities.
//!
//! | capability | |
//! |---|---|
//! | score | any order, in $r$ too |
//! | weak derivative with respect to $p$ | $r/p$, the distribution itself and $1 + X + G$ with $G$ geometric; by $\eta$ times $p(1 - p)$. One replay |
//! | stochastic derivative with respect to $p$ | right: to $X - 1$ at rate $X/p(1-p)$; left: to $X + 1$ at rate $(X + r)/p$ (Arya et al. 2022) |
//!
//! The number of successes may be any positive number: a Poisson sample whose rate is a gamma variate. Its distribution
//! has no closed entropy. PyTorch and TensorFlow Probability count successes before the r-th failure: their probability
//! is $1 - p$, their logits are $-\eta$.

use crate::derivative::weak::drawn_by_quantile;
use crate::discrete::geometric::{Geometric, fewer_failures};
use crate::discrete::tails::{Tail, tails};
use crate::distribution::{IntegerSupport, Side, StochasticDerivative};
use crate::family;
use crate::parameter::probability::{ProbabilityOrLogit, above_zero};
use crate::prelude::*;
use stochgrad_tensor::special::{negative_binomial_cdf, negative_binomial_cdf_by_logit};

/// Numbers of failures before the r-th success, given by the number of successes and the probability or the log-odds
/// of success in each trial. Use it for counts whose variance exceeds their mean.
///
/// ```
/// use stochgrad_distributions::{Distribution, NegativeBinomial};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let failures = NegativeBinomial::from_probabilities(2.0, tape.constant(0.5));
/// assert!((failures.log_prob(tape.constant(1.0)).item()? - 0.25_f64.ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NegativeBinomial<V = stochgrad_tape::Id> {
    successes: V,
    parameter: ProbabilityOrLogit<V>,
}

impl<V> NegativeBinomial<V> {
    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<NegativeBinomial<W>, E> {
        Ok(NegativeBinomial { successes: f(&self.successes)?, parameter: self.parameter.try_map(f)? })
    }
}

family!(NegativeBinomial);

impl<'t, F: Real> NegativeBinomial<Var<'t, F>> {
    /// Failures before `successes > 0` successes, whose log-odds in each trial are `logits`, above −∞.
    pub fn from_logits(successes: impl IntoVar<'t, F>, logits: Var<'t, F>) -> Self {
        let successes = successes.into_var(logits.tape());
        NegativeBinomial { successes, parameter: ProbabilityOrLogit::Logit(logits) }
    }

    /// Failures before `successes > 0` successes, which have the given probability in each trial, in (0, 1].
    pub fn from_probabilities(successes: impl IntoVar<'t, F>, probabilities: Var<'t, F>) -> Self {
        let successes = successes.into_var(probabilities.tape());
        NegativeBinomial { successes, parameter: ProbabilityOrLogit::Probability(probabilities) }
    }

    /// The number of successes at which counting ends.
    pub fn successes(&self) -> Var<'t, F> {
        self.successes
    }

    /// The probabilities of success in each trial.
    pub fn probabilities(&self) -> Var<'t, F> {
        self.parameter.probability()
    }

    /// The log-odds of success in each trial.
    pub fn logits(&self) -> Var<'t, F> {
        self.parameter.logit()
    }

    /// The odds of failure.
    fn failure_odds(&self) -> Var<'t, F> {
        match self.parameter {
            ProbabilityOrLogit::Probability(p) => (1.0 - p) / p,
            ProbabilityOrLogit::Logit(l) => (-l).exp(),
        }
    }

    /// Successes, and probabilities or log-odds, on the plates of a request.
    fn tables(&self, draw: &Draw<'_, F>) -> DistributionResult<(Tensor<F>, Tensor<F>)> {
        let event = self.event_shape();
        Ok((draw.parameter(self.successes, &event)?, draw.parameter(self.parameter.var(), &event)?))
    }

    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let (successes, parameter) = self.tables(draw)?;
        let cdf = match self.parameter {
            ProbabilityOrLogit::Probability(_) => negative_binomial_cdf,
            ProbabilityOrLogit::Logit(_) => negative_binomial_cdf_by_logit,
        };
        draw.invert(&self.event_shape(), &|i, k| {
            cdf(k as f64, successes.as_slice()[i].to_f64(), parameter.as_slice()[i].to_f64())
        })
    }
}

impl<'t, F: Real> Distribution<'t, F> for NegativeBinomial<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "NegativeBinomial"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let successes = Parameter::smooth("successes", self.successes).with_path(SamplePath::None);
        smallvec![self.parameter.parameter(), successes]
    }

    fn event_shape(&self) -> Shape {
        common_shape(&[self.successes, self.parameter.var()])
    }

    fn support(&self) -> Support {
        Support::Counts
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilityOrLogit::Probability(p) => special::negative_binomial_log_pmf(value, self.successes, p),
            ProbabilityOrLogit::Logit(l) => special::negative_binomial_log_pmf_by_logit(value, self.successes, l),
        }
    }

    drawn_by_quantile!(Fill::Folded, |counts, noise| {
        match counts.parameter {
            ProbabilityOrLogit::Probability(p) => special::negative_binomial_draw(noise, counts.successes, p),
            ProbabilityOrLogit::Logit(l) => special::negative_binomial_draw_by_logit(noise, counts.successes, l),
        }
    });

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.successes * self.failure_odds())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.successes * self.failure_odds() / self.parameter.probability())
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        // For at most one success the count 0 is the most probable.
        Some(((self.successes - 1.0).relu() * self.failure_odds()).floor())
    }

    fn validate(&self) -> DistributionResult<()> {
        positive("NegativeBinomial", "successes", self.successes)?;
        match self.parameter {
            ProbabilityOrLogit::Probability(p) => {
                let hint = "without successes the count is infinite; use logits for unconstrained numbers";
                check_parameter(
                    "NegativeBinomial",
                    "probabilities",
                    p,
                    "in (0, 1]",
                    hint,
                    Condition::AtMost { above: 0.0, high: 1.0 },
                )
            }
            ProbabilityOrLogit::Logit(l) => {
                let hint = "without successes the count is infinite; look for the operation that made it";
                check_parameter(
                    "NegativeBinomial",
                    "logits",
                    l,
                    "a number above −∞",
                    hint,
                    Condition::AtMost { above: f64::NEG_INFINITY, high: f64::INFINITY },
                )
            }
        }
    }

    capabilities!();
}

impl<'t, F: Real> NegativeBinomial<Var<'t, F>> {
    fn tail(&self, value: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        tail.of_counts(value, |count| {
            let failure = self.parameter.complement();
            let (r, k) = (self.successes, count + 1.0);
            // The shift would change the smallest probabilities.
            let positive = |x: Var<'t, F>| x.held().step().select(x, above_zero(x));
            let (p, q) = (positive(self.parameter.probability()), positive(failure));
            match tail {
                Tail::Lower => special::beta_inc_pair(r, k, p, q),
                Tail::Upper => special::beta_inc_pair(k, r, q, p),
                Tail::LogLower => special::log_beta_inc(r, k, p, q),
                Tail::LogUpper => Boundary::Excluded
                    .outside(failure)
                    .select(value.tape().constant(f64::NEG_INFINITY), special::log_beta_inc(k, r, q, p)),
            }
        })
    }
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for NegativeBinomial<Var<'t, F>> {
    tails!();
}

impl<'t, F: Real> IntegerSupport<'t, F> for NegativeBinomial<Var<'t, F>> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        value * 0.0 + 1.0
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for NegativeBinomial<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilityOrLogit::Probability(p) => special::negative_binomial_icdf(probability, self.successes, p),
            ProbabilityOrLogit::Logit(l) => special::negative_binomial_icdf_by_logit(probability, self.successes, l),
        }
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let r = self.successes;
        match self.parameter {
            ProbabilityOrLogit::Probability(p) => special::negative_binomial_inverse_survival(probability, r, p),
            ProbabilityOrLogit::Logit(l) => special::negative_binomial_inverse_survival_by_logit(probability, r, l),
        }
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for NegativeBinomial<Var<'t, F>> {}

impl<'t, F: Real> WeakDerivative<'t, F> for NegativeBinomial<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let x = sample.stop_gradient();
        // The primal sample is the positive part.
        let event = self.event_shape();
        let more = match self.parameter {
            ProbabilityOrLogit::Probability(p) => Geometric::from_probabilities(p.broadcast_to(event)),
            ProbabilityOrLogit::Logit(l) => Geometric::from_logits(l.broadcast_to(event)),
        };
        let more = more.sample(&draw.purpose("more failures"))?;
        let weight = -self.parameter.rate_down(self.successes.stop_gradient());
        Ok(Some(Alternatives { values: vec![x + more + 1.0], weights: vec![weight] }))
    }
}

impl<'t, F: Real> StochasticDerivative<'t, F> for NegativeBinomial<Var<'t, F>> {
    fn stochastic_derivative(
        &self,
        parameter: usize,
        side: Side,
        sample: Var<'t, F>,
        _draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let [successes, x] = [self.successes, sample].map(Var::stop_gradient);
        fewer_failures(self.parameter, side, x, successes).map(Some)
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for NegativeBinomial<Var<'t, F>> {
    /// The divergence to a negative binomial distribution with the same numbers of successes. Different numbers of
    /// successes are an error on the tape.
    #[track_caller]
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        if let (Ok(own), Ok(others)) = (self.successes.peek(), other.successes.peek())
            && (own != others || self.successes.plates() != other.successes.plates())
        {
            let message = format!(
                "expected equal numbers of successes for a closed form of the divergence, got {own:?} and {others:?}; \
                 use monte_carlo_kl"
            );
            let at = std::panic::Location::caller();
            return self.successes.tape().fail(stochgrad_tape::TapeError::Other { message, at });
        }
        // There are r / p trials on average.
        (self.successes * self.parameter.kl_to(&other.parameter) / self.parameter.probability()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::DistributionError;
    use crate::noise::{KeyedNoise, NoiseKey};
    use crate::testing::{
        COSTS, Fixed, SIDES, States, assert_close, check_draws, check_family, check_score, with_gradient,
    };
    use stochgrad_tape::{Plates, Tape};
    use stochgrad_tensor::special::geometric_log_pmf;

    type Build = for<'t> fn(Var<'t, f64>) -> NegativeBinomial<Var<'t, f64>>;

    const P: f64 = 0.4;

    fn both() -> [(Build, f64); 2] {
        [
            (|v| NegativeBinomial::from_probabilities(2.5, v), P),
            (|v| NegativeBinomial::from_logits(2.5, v), (P / (1.0 - P)).ln()),
        ]
    }

    #[test]
    fn log_odds_below_the_range_of_probabilities() {
        for r in [1.2e-115, 2.5e-9, 0.25, 1e3, 1e18, f64::MAX] {
            for logit in [-700.0, -745.0, -4e3, -4e11, -5e280, -f64::MAX] {
                let tape = Tape::<f64>::new();
                let counts = NegativeBinomial::from_logits(r, tape.parameter(logit));
                let (noise, key) = (KeyedNoise::new(3, 0), NoiseKey::new("sample", None));
                let draw = Draw::new(&tape, &noise, key, Plates::new());
                for value in [
                    counts.sample(&draw).unwrap(),
                    counts.icdf(tape.constant(0.3)),
                    counts.inverse_survival(tape.constant(0.3)),
                ] {
                    let value = value.item().unwrap();
                    assert!(value >= 0.0 && value == value.floor(), "{r:e}, {logit:e}: {value}");
                }
            }
        }
        // P(X = 0) is e⁻¹.
        let tape = Tape::<f64>::new();
        let counts = NegativeBinomial::from_logits(2.5e-4, tape.parameter(-4e3));
        let quantiles = counts.icdf(tape.constant([0.36, 0.9]));
        assert_eq!(quantiles.peek().unwrap().to_vec(), [0.0, f64::INFINITY]);
    }

    #[test]
    fn derivatives_of_the_distribution_are_exact() {
        for (build, theta) in both() {
            let tape = Tape::<f64>::new();
            check_score(&[theta, theta], |v| build(v).log_prob(v.tape().constant([0.0, 4.0])));
            let theta = tape.parameter(theta);
            let distribution = build(theta);
            let states = States::new(&tape, &distribution, 200);
            let noise = KeyedNoise::new(1, 0);
            for f in COSTS {
                let exact = states.exact(&distribution, theta, f);
                for side in SIDES {
                    let jumps = distribution
                        .stochastic_derivative(0, side, states.recorded(), &states.draw(&noise))
                        .unwrap()
                        .unwrap();
                    assert_close(&states.estimated(&distribution, &jumps, f), &exact, 1e-9);
                }
                let weak: f64 = (0..200)
                    .map(|more| {
                        let noise = Fixed(more);
                        let parts =
                            distribution.weak_derivative(0, states.recorded(), &states.draw(&noise)).unwrap().unwrap();
                        geometric_log_pmf(more as f64, P).exp() * states.estimated(&distribution, &parts, f)[0]
                    })
                    .sum();
                assert_close(&[weak], &exact, 1e-9);
            }
            assert!(distribution.weak_derivative(1, states.recorded(), &states.draw(&noise)).unwrap().is_none());
        }
    }

    #[test]
    fn draws_follow_the_distribution() {
        for (build, theta) in both() {
            let tape = Tape::<f64>::new();
            let distribution = build(tape.parameter(theta));
            check_draws(&tape, &distribution, 200);
            check_family(&tape, &distribution, tape.constant(2.0));
            let sums = distribution.cdf(tape.constant([-1.0, 0.0, 1.5])).peek().unwrap();
            let p = |k: f64| distribution.log_prob(tape.constant(k)).item().unwrap().exp();
            assert_close(sums.as_slice(), &[0.0, p(0.0), p(0.0) + p(1.0)], 1e-14);
        }
    }

    #[test]
    fn divergence_is_that_of_the_sum() {
        let tape = Tape::<f64>::new();
        let theta = tape.parameter(P);
        let (p, q) =
            (NegativeBinomial::from_probabilities(2.5, theta), NegativeBinomial::from_logits(2.5, tape.constant(0.3)));
        let (got, gradient) = with_gradient(p.kl_to(&q), theta);
        let term = |k: usize| {
            let k = tape.constant(k as f64);
            let (own, other) = (p.log_prob(k).item().unwrap(), q.log_prob(k).item().unwrap());
            own.exp() * (own - other)
        };
        assert_close(&[got], &[(0..200).map(term).sum()], 1e-10);
        assert!(gradient[0].is_finite());
        let other = NegativeBinomial::from_probabilities(3.0, theta);
        assert!(p.kl_to(&other).item().is_err());
    }

    #[test]
    fn extremes_give_no_nan() {
        let cases = [(1e-3, 0.0), (1e6, 20.0), (2.0, f64::INFINITY), (2.0, 50.0), (1e3, -5.0)];
        for (successes, logit) in cases {
            let tape = Tape::<f64>::new();
            let leaves = [tape.parameter(successes), tape.parameter(logit)];
            let distribution = NegativeBinomial::from_logits(leaves[0], leaves[1]);
            distribution.validate().unwrap();
            let noise = KeyedNoise::new(3, 0);
            let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
            let x = distribution.draw(&draw).unwrap();
            assert!(x.all_finite());
            let density = distribution.log_prob(tape.constant(&x));
            assert!(density.item().unwrap().is_finite());
            for gradient in tape.backward(density, leaves).unwrap() {
                assert!(gradient.all_finite(), "{successes}, {logit}: {gradient:?}");
            }
        }
        let tape = Tape::<f64>::new();
        for (successes, p) in [(0.0, 0.5), (-1.0, 0.5), (f64::NAN, 0.5), (1.0, 0.0), (1.0, 1.1)] {
            let distribution = NegativeBinomial::from_probabilities(successes, tape.constant(p));
            assert!(matches!(distribution.validate(), Err(DistributionError::Parameter { .. })));
        }
    }
}
