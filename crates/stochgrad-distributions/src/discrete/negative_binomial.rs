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
//! | entropy | an integral, for $r > 64$ and a mean above 64 a sum over counts or Edgeworth's series; any order |
//! | weak derivative with respect to $p$ | $r/p$, the distribution itself and $1 + X + G$ with $G$ geometric; by $\eta$ times $p(1 - p)$. One replay |
//! | stochastic derivative with respect to $p$ | right: to $X - 1$ at rate $X/p(1-p)$; left: to $X + 1$ at rate $(X + r)/p$ (Arya et al. 2022) |
//!
//! The number of successes may be any positive number: a Poisson sample whose rate is a gamma variate. PyTorch and
//! TensorFlow Probability count successes before the r-th failure: their probability is $1 - p$, their logits are
//! $-\eta$.

use crate::derivative::weak::drawn_by_quantile;
use crate::discrete::entropy_of_counts::{CountsAround, entropy_of_nearly_normal};
use crate::discrete::geometric::{Geometric, fewer_failures};
use crate::discrete::tails::{Tail, tails};
use crate::distribution::{IntegerSupport, Side, StochasticDerivative, above};
use crate::family;
use crate::parameter::probability::{ProbabilityOrLogit, above_zero};
use crate::prelude::*;
use std::panic::Location;
use stochgrad_tape::TapeError;
use stochgrad_tensor::map::Map;
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
        let odds = self.failure_odds();
        let mean = self.successes * odds;
        Some(match self.parameter {
            ProbabilityOrLogit::Probability(p) => mean / p,
            // The inverse of the probability is 1 plus the odds.
            ProbabilityOrLogit::Logit(_) => mean + mean * odds,
        })
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

/// The number of successes, and the mean, from which on the entropy is a sum over counts.
const SUMMED: f64 = 64.0;

/// Those from which on it is a series.
const SERIES: f64 = 1e4;

/// The least number of successes and the least probability for which the nodes of the integral lie close enough.
const LEAST: [f64; 2] = [1e-12, 1e-15];

/// The number of successes from which on the entropy depends on the mean alone.
const POISSON: f64 = 1e15;

/// The number of intervals between the nodes of the integral.
const INTERVALS: usize = 320;

impl<'t, F: Real> NegativeBinomial<Var<'t, F>> {
    /// The entropies for few successes or a small mean. With m = (1 − p)/p, they are
    ///
    /// r ln(1 + m) + r m ln(1 + 1/m) + ∫ (e^(−rt) − e^−t) (1 − (1 + m (1 − e^−t))^−r) / (1 − e^−t) dt/t over t > 0:
    ///
    /// the logarithms of the gamma functions as integrals of exponentials, whose expectations are known (Malmstén's
    /// formula). In the variable v with ln t = v − e^−v + constant, the integrand falls faster than exponentially on both
    /// sides, so that the trapezoidal rule has an error of the order of rounding.
    fn entropy_by_integral(r: Var<'t, F>, m: Var<'t, F>) -> Var<'t, F> {
        let (tape, one) = (r.tape(), r.tape().constant(1.0));
        // Where the integrand begins, and where it ends.
        let begin = m.held().maximum(r.held()).maximum(one).ln();
        let end = begin - r.held().minimum(one).ln() + 4.2;
        let place = tape.constant_from_fn([INTERVALS + 1], |at| F::from_f64(at as f64 / INTERVALS as f64));
        let v = ((end + 3.7).unsqueeze(-1) * place) - 3.7;
        let t = (v - (-v).exp() - begin.unsqueeze(-1)).exp();
        let weight = ((-v).exp() + 1.0) * ((end + 3.7) * (1.0 / INTERVALS as f64)).unsqueeze(-1);
        let [row, odds] = [r, m].map(|each| each.unsqueeze(-1));
        let (fall, own_fall) = ((-t).expm1(), (-(row * t)).expm1());
        let rest = (-(row * (-(odds * fall)).log1p())).expm1();
        let integral = ((own_fall - fall) * rest / fall * weight).sum_axis(-1);
        let log = m.log1p();
        let large = above(m, 1.0);
        let inverse = large.select(m, one).recip().log1p();
        r * log + r * m * large.select(inverse, log - m.ln()) + integral
    }

    /// The entropies for many successes and a mean that is not small.
    fn entropy_by_counts(&self, r: Var<'t, F>, m: Var<'t, F>, chosen: Var<'t, F>) -> Var<'t, F> {
        let tape = r.tape();
        let mean = r * m;
        let around = CountsAround::new(mean, mean * (m + 1.0));
        let (zero, counts) = (tape.constant(0.0), around.counts());
        let (own, row) = (self.parameter, r.unsqueeze(-1));
        let parameter = own.try_map(|&v| {
            let ordinary = tape.constant(if matches!(own, ProbabilityOrLogit::Probability(_)) { 0.5 } else { 0.0 });
            Ok::<_, std::convert::Infallible>(chosen.select(v, ordinary).unsqueeze(-1))
        });
        let Ok(parameter) = parameter;
        let logs = NegativeBinomial { successes: row, parameter }.log_prob_each(counts.maximum(zero));
        let none = tape.constant(f64::NEG_INFINITY);
        around.entropy(counts.lt(zero).select(none, logs))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for NegativeBinomial<Var<'t, F>> {
    /// An integral for at most 64 successes or a mean of at most 64. Beyond, it is a sum over counts, and where both are
    /// above 10⁴ the first terms of a series. The relative error is below 1e-11 in `f64` and 1e-4 in `f32`. A number of
    /// successes below 1e-12 or a probability below 1e-15 is an error on the tape. At a probability of 1 the derivative is
    /// infinite; it is that at failure odds of 1e-300.
    #[track_caller]
    fn entropy(&self) -> Var<'t, F> {
        let (tape, at) = (self.successes.tape(), Location::caller());
        let checks =
            [(self.successes, "successes", "at least 1e-12"), (self.probabilities(), "probability", "at least 1e-15")];
        for ((var, name, expected), low) in checks.into_iter().zip(LEAST) {
            let hint = "smaller ones are beyond the range of the formula of the entropy";
            let condition = Condition::AtLeast { low, below: f64::INFINITY };
            if let Err(error) = check_parameter("NegativeBinomial", name, var, expected, hint, condition) {
                return tape.fail(TapeError::Other { message: error.to_string(), at });
            }
        }
        let event = self.event_shape();
        let r = self.successes.broadcast_to(event.clone());
        let m = above_zero(self.failure_odds()).broadcast_to(event);
        let mean = r * m;
        let both_above = |threshold: f64| above(r, threshold) * above(mean, threshold);
        let (many, most) = (both_above(SUMMED), both_above(SERIES));
        let summed = many * (1.0 - most);
        let [one, hundred] = [1.0, 100.0].map(|number| tape.constant(number));
        // Counts with the same mean and more successes have the same distribution.
        let few = many.select(one, r);
        let limited = few.map(Map::MinScalar(POISSON));
        let integral = Self::entropy_by_integral(limited, many.select(one, m) * (few / limited));
        let sum = self.entropy_by_counts(summed.select(r, hundred), summed.select(m, one), summed);
        let [far, odds] = [r, m].map(|each| most.select(each, one));
        let share = (odds + 1.0).recip();
        let of_mean = (far * odds).recip();
        let square_skewness = (2.0 - share).square() / (far * (odds * share));
        let series = entropy_of_nearly_normal(
            far.ln() + odds.ln() + odds.log1p(),
            square_skewness,
            far.recip() * 6.0 + share * of_mean,
        );
        most.select(series, many.select(sum, integral)).sum()
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
    fn the_entropy_is_that_of_the_sum() {
        for (r, p) in [(2.5, 0.4), (0.7, 0.8), (1.0, 0.5), (90.0, 0.4)] {
            let tape = Tape::<f64>::new();
            let wrt = [tape.parameter(r), tape.parameter(p)];
            let distribution = NegativeBinomial::from_probabilities(wrt[0], wrt[1]);
            let logs = distribution.log_prob_each(tape.constant((0..600).map(f64::from).collect::<Vec<_>>()));
            let likely = logs.held().gt(tape.constant(-700.0));
            let logs = likely.select(logs, tape.constant(0.0));
            let (own, sum) = (distribution.entropy(), -(logs.exp() * logs * likely).sum());
            assert_close(&[own.item().unwrap()], &[sum.item().unwrap()], 1e-12);
            let slopes = [own, sum].map(|value| tape.backward(value, wrt).unwrap());
            for (own, sum) in slopes[0].iter().zip(&slopes[1]) {
                assert_close(own.as_slice(), sum.as_slice(), 1e-10);
            }
        }
    }

    #[test]
    fn the_forms_of_the_entropy_meet() {
        for (r, mean) in [(SUMMED, 1e3), (SUMMED, 1e9), (3e5, SUMMED), (SERIES, 2e4), (2e4, SERIES), (POISSON, 3.0)] {
            let found: Vec<(f64, Vec<f64>)> = [1.0 - 1e-10, 1.0 + 1e-10]
                .into_iter()
                .map(|part| {
                    let tape = Tape::<f64>::new();
                    let wrt = [tape.parameter(r * part), tape.parameter((r / mean).ln())];
                    let entropy = NegativeBinomial::from_logits(wrt[0], wrt[1]).entropy();
                    let slopes = tape.backward(entropy, wrt).unwrap();
                    // By the logarithm of the number of successes.
                    (entropy.item().unwrap(), vec![slopes[0].item().unwrap() * r, slopes[1].item().unwrap()])
                })
                .collect();
            assert_close(&[found[0].0], &[found[1].0], 1e-9);
            assert_close(&found[0].1, &found[1].1, 1e-6);
        }
        for (r, p) in [(1e-13, 0.5), (2.0, 1e-16)] {
            let tape = Tape::<f64>::new();
            let entropy = NegativeBinomial::from_probabilities(r, tape.constant(p)).entropy();
            assert!(entropy.item().unwrap_err().to_string().contains("formula of the entropy"), "{r}, {p}");
        }
        let tape = Tape::<f64>::new();
        let certain = tape.parameter(1.0);
        let entropy = NegativeBinomial::from_probabilities(2.0, certain).entropy();
        assert!(entropy.item().unwrap().abs() < 1e-290);
        assert!(!tape.backward(entropy, [certain]).unwrap()[0].item().unwrap().is_nan());
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
