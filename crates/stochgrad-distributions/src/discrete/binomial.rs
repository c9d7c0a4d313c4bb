//! The binomial distribution: the number of successes in n independent trials.
//!
//! $$P(X = k; n, p) = \binom nk p^k (1 - p)^{n - k}, \quad k \in \{0, \dots, n\}, \quad p = \sigma(\eta).$$
//!
//! Parameters: `trials` $n$, an integer of at least 0 that is not differentiated, and the probability $p \in [0, 1]$ or
//! the log-odds of success. The parameters broadcast; their common shape is the event shape, and each element is an
//! independent value. Support: $0, \dots, n$.
//!
//! Elsewhere the log-probability is −∞. Distribution and survival function and their logarithms keep their digits in
//! both tails: the relative error is that of the incomplete beta function, and the logarithms are finite far beyond the
//! underflow of the probabilities.
//!
//! | capability | |
//! |---|---|
//! | score | $x \ln p + (n - x) \ln(1 - p) + \ln\binom nx$, any order in $p$ |
//! | entropy | the sum over the counts that carry mass, order 1 |
//! | finite support | $0, \dots, n$, where all elements have the same $n$ |
//! | weak derivative | $\partial_p E f(X) = n E[f(1 + B) - f(B)]$, $B \sim \mathrm{Bin}(n - 1, p)$, with $X$ as one of the parts; by $\eta$ times $p(1-p)$ |
//! | stochastic derivative | right: to $X + 1$ at rate $(n-X)/(1-p)$; left: to $X - 1$ at rate $X/p$ (Arya et al. 2022) |
//!
//! The weak derivative: choose one of the n trials. The others have $B$ successes, and $X$ is $1 + B$ if the chosen
//! trial succeeded, else $B$. All trials are alike: given $X$, the chosen one succeeded with probability $X/n$. So the
//! difference is $f(X) - f(X - 1)$ with probability $X/n$ and $f(X + 1) - f(X)$ otherwise, and averaged over the choice
//!
//! $$\partial_p E f(X) = E[(n - X)(f(X + 1) - f(X)) - X (f(X - 1) - f(X))].$$
//!
//! The number of trials may itself be random. No derivative with respect to it exists.

use crate::capabilities;
use crate::derivative::weak::drawn_by_quantile;
use crate::discrete::tails::{Tail, just_above, tails};
use crate::distribution::consecutive::{common_trials, count_integers, list_integers};
use crate::distribution::{
    Alternatives, Boundary, ClosedFormEntropy, CumulativeDistribution, Distribution, FiniteSupport, IntegerSupport,
    KlDivergence, Parameter, Parameters, QuantileFunction, ScoreDifferentiable, Side, StochasticDerivative, Support,
    WeakDerivative,
};
use crate::distribution::{SamplePath, whole};
use crate::error::DistributionResult;
use crate::family;
use crate::noise::Draw;
use crate::parameter::probability::{ProbabilityOrLogit, above_zero};
use smallvec::smallvec;
use std::panic::Location;
use stochgrad_tape::{IntoVar, Smoothness, TapeError, Var, special};
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::special::binomial_cdf;
use stochgrad_tensor::zip::Zip;
use stochgrad_tensor::{Real, Shape, Tensor};

/// Numbers of successes in independent trials, given by the number of trials and the probability or the log-odds of
/// success in each.
///
/// ```
/// use stochgrad_distributions::{Binomial, Distribution};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let heads = Binomial::from_probabilities(2.0, tape.constant(0.5));
/// assert!((heads.log_prob(tape.constant(1.0)).item()? - 0.5_f64.ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Binomial<V = stochgrad_tape::Id> {
    trials: V,
    parameter: ProbabilityOrLogit<V>,
}

impl<V> Binomial<V> {
    /// The same distribution with other handles.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<W, E>(&self, mut f: impl FnMut(&V) -> Result<W, E>) -> Result<Binomial<W>, E> {
        Ok(Binomial { trials: f(&self.trials)?, parameter: self.parameter.try_map(f)? })
    }
}

family!(Binomial);

impl<'t, F: Real> Binomial<Var<'t, F>> {
    /// Successes in `trials` trials, whose log-odds in each are `logits`: any real numbers, ±∞ included.
    pub fn from_logits(trials: impl IntoVar<'t, F>, logits: Var<'t, F>) -> Self {
        Binomial { trials: trials.into_var(logits.tape()), parameter: ProbabilityOrLogit::Logit(logits) }
    }

    /// Successes in `trials` trials, which have the given probabilities in each, in [0, 1].
    pub fn from_probabilities(trials: impl IntoVar<'t, F>, probabilities: Var<'t, F>) -> Self {
        Binomial {
            trials: trials.into_var(probabilities.tape()),
            parameter: ProbabilityOrLogit::Probability(probabilities),
        }
    }

    /// The numbers of trials.
    pub fn trials(&self) -> Var<'t, F> {
        self.trials
    }

    /// The probabilities of success in each trial.
    pub fn probabilities(&self) -> Var<'t, F> {
        self.parameter.probability()
    }

    /// The log-odds of success in each trial.
    pub fn logits(&self) -> Var<'t, F> {
        self.parameter.logit()
    }

    /// Trials, probabilities, and the shape of both on the plates of a request.
    fn tables(&self, draw: &Draw<'_, F>) -> DistributionResult<(Tensor<F>, Tensor<F>)> {
        let event = self.event_shape();
        Ok((draw.parameter(self.trials, &event)?, self.parameter.probabilities(draw, &event)?))
    }

    fn inverted(&self, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let (trials, p) = self.tables(draw)?;
        let cdf = |element: usize, k: u64| {
            binomial_cdf(k as f64, trials.as_slice()[element].to_f64(), p.as_slice()[element].to_f64())
        };
        draw.invert(&self.event_shape(), &cdf)
    }

    /// The counts with one success more and one less, or the same at an end.
    fn neighbours(&self, count: Var<'t, F>) -> (Var<'t, F>, Var<'t, F>) {
        ((count + 1.0).minimum(self.trials.stop_gradient()), (count - 1.0).relu())
    }
}

impl<'t, F: Real> Distribution<'t, F> for Binomial<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Binomial"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let trials =
            Parameter::smooth("trials", self.trials).with_score(Smoothness::Constant).with_path(SamplePath::None);
        smallvec![self.parameter.parameter(), trials]
    }

    fn event_shape(&self) -> Shape {
        Shape::broadcast(&self.trials.shape(), &self.parameter.var().shape()).unwrap_or_default()
    }

    fn support(&self) -> Support {
        Support::Counts
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        match self.parameter {
            ProbabilityOrLogit::Probability(p) => special::binomial_log_pmf(value, self.trials, p),
            ProbabilityOrLogit::Logit(l) => special::binomial_log_pmf_by_logit(value, self.trials, l),
        }
    }

    drawn_by_quantile!(Fill::Folded, |counts, noise| {
        special::binomial_draw(noise, counts.trials, counts.parameter.probability())
    });

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.trials * self.parameter.probability())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        Some(self.trials * self.parameter.probability() * self.parameter.complement())
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(((self.trials + 1.0) * self.parameter.probability()).floor().minimum(self.trials))
    }

    fn validate(&self) -> DistributionResult<()> {
        whole("Binomial", "trials", self.trials, 0)?;
        self.parameter.validate("Binomial")
    }

    capabilities!();
}

impl<'t, F: Real> Binomial<Var<'t, F>> {
    fn tail(&self, value: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        let tape = value.tape();
        let (zero, all) = (tape.constant(0.0), value.ge(self.trials));
        tail.of(value, [value.lt(zero) * (1.0 - all), all], zero, |count| {
            // Without trials every count is at an end.
            let failures = all.select(tape.constant(1.0), self.trials - count);
            let (p, q) = (self.parameter.probability(), self.parameter.complement());
            let (one, other) = (above_zero(p), above_zero(q));
            let (inside, chance) = match tail {
                Tail::Lower => return special::beta_inc_pair(failures, count + 1.0, other, one),
                Tail::Upper => return special::beta_inc_pair(count + 1.0, failures, one, other),
                Tail::LogLower => (special::log_beta_inc(failures, count + 1.0, other, one), q),
                Tail::LogUpper => (special::log_beta_inc(count + 1.0, failures, one, other), p),
            };
            Boundary::Excluded.outside(chance).select(tape.constant(f64::NEG_INFINITY), inside)
        })
    }
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Binomial<Var<'t, F>> {
    tails!();
}

impl<'t, F: Real> IntegerSupport<'t, F> for Binomial<Var<'t, F>> {
    fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
        value.lt(self.trials)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Binomial<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        special::binomial_icdf(probability, self.trials, self.parameter.probability())
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        // The number of failures is binomial as well.
        self.trials - special::binomial_icdf(just_above(probability), self.trials, self.parameter.complement())
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Binomial<Var<'t, F>> {}

impl<'t, F: Real> FiniteSupport<'t, F> for Binomial<Var<'t, F>> {
    fn states(&self) -> DistributionResult<u128> {
        count_integers("Binomial", F::ZERO, common_trials("Binomial", self.trials)?)
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        list_integers(self, F::ZERO, common_trials("Binomial", self.trials)?)
    }

    fn probability_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        match (self.parameter, self.trials.peek()) {
            (ProbabilityOrLogit::Probability(p), Ok(trials))
                if trials.as_slice().iter().all(|n| n.to_f64() <= POWER) =>
            {
                let failures = self.trials - value;
                let arrangements = (self.trials + 1.0).lgamma() - (value + 1.0).lgamma() - (failures + 1.0).lgamma();
                arrangements.exp() * whole_power(p, value) * whole_power(1.0 - p, failures)
            }
            _ => self.log_prob_each(value).exp(),
        }
    }
}

/// The highest number of trials whose probabilities are written as products.
const POWER: f64 = 256.0;

/// `baseⁿ` for integers `n`, as a product: all its derivatives are right at 0.
fn whole_power<'t, F: Real>(base: Var<'t, F>, count: Var<'t, F>) -> Var<'t, F> {
    let one = base.tape().constant(1.0);
    let highest = match count.peek() {
        Ok(counts) => counts.as_slice().iter().map(|n| n.to_f64()).fold(0.0, f64::max) as usize,
        Err(_) => return count,
    };
    (1..=highest).fold(one, |product, n| product * (count - (n as f64 - 0.5)).step().select(base, one))
}

impl<'t, F: Real> WeakDerivative<'t, F> for Binomial<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        _draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let [trials, x] = [self.trials, sample].map(Var::stop_gradient);
        let (up, down) = self.neighbours(x);
        let slope = self.parameter.slope();
        let weights = vec![(trials - x) * slope, -x * slope];
        Ok(Some(Alternatives { values: vec![up, down], weights }))
    }
}

impl<'t, F: Real> StochasticDerivative<'t, F> for Binomial<Var<'t, F>> {
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
        let [trials, x] = [self.trials, sample].map(Var::stop_gradient);
        let (up, down) = self.neighbours(x);
        let (gain, loss) = (self.parameter.rate_up(trials - x), -self.parameter.rate_down(x));
        // At an end of the interval, one of the rates is 0, and the other one counts on either side.
        let (all, none) = self.parameter.at_ends()?;
        Ok(Some(match side {
            Side::Right => Alternatives { values: vec![all.select(down, up)], weights: vec![all.select(loss, gain)] },
            Side::Left => Alternatives { values: vec![none.select(up, down)], weights: vec![none.select(gain, loss)] },
            Side::TwoSided => {
                let share = (all + none + 1.0) * 0.5;
                Alternatives { values: vec![up, down], weights: vec![gain * share, loss * share] }
            }
        }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Binomial<Var<'t, F>> {
    /// The sum over the counts that carry mass. Its first derivative is right, a second one is an error.
    fn entropy(&self) -> Var<'t, F> {
        let each = match self.parameter {
            ProbabilityOrLogit::Probability(p) => special::binomial_entropy(self.trials, p),
            ProbabilityOrLogit::Logit(l) => special::binomial_entropy_by_logit(self.trials, l),
        };
        each.sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Binomial<Var<'t, F>> {
    /// The divergence to a binomial distribution with the same numbers of trials. Different numbers of trials are an
    /// error on the tape.
    #[track_caller]
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        if let (Ok(own), Ok(others)) = (self.trials.peek(), other.trials.peek())
            && (own != others || self.trials.plates() != other.trials.plates())
        {
            let message = format!(
                "expected equal numbers of trials for a closed form of the divergence, got {own:?} and {others:?}; use \
                 monte_carlo_kl"
            );
            return self.trials.tape().fail(TapeError::Other { message, at: Location::caller() });
        }
        // Without trials it is 0, also where that of one trial is infinite.
        self.parameter.kl_to(&other.parameter).zip(Zip::Weigh, self.trials).sum()
    }
}

#[cfg(test)]
mod tests;
