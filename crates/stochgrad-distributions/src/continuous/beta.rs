//! The beta distribution: values between 0 and 1. It describes probabilities and proportions, and is the conjugate
//! prior of the Bernoulli and the binomial distribution.
//!
//! $$p(x; \alpha, \beta) = \frac{x^{\alpha - 1} (1 - x)^{\beta - 1}}{B(\alpha, \beta)}, \quad 0 < x < 1, \quad \alpha, \beta > 0.$$
//!
//! Parameters: `alpha` $\alpha > 0$ and `beta` $\beta > 0$, the two concentrations. The parameters broadcast; their
//! common shape is the event shape, and each element is an independent value. Support: the open unit interval.
//!
//! Concentrations of which the smaller one, divided by their sum, is below the smallest normal number (2.3e-308,
//! 1.2e-38 in `f32`) are refused: the samples are at an end to rounding.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \sigma(\ln G_\alpha - \ln G_\beta)$ with standard gamma variates, each with its implicit derivative (Figurnov et al. 2018): order 2 |
//!
//! The parts of the weak derivatives lie on either side of the point where the score changes its sign; their samples
//! are roots of $\partial_a I_x(a, b) = -cv$ with a uniform $v$ in both parts, a few microseconds each. The implicit
//! path is the cheaper tool.
//!
//! Source: Johnson, Kotz and Balakrishnan, "Continuous univariate distributions", volume 2, 1995. Implicit path:
//! Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", 2018.

use crate::derivative::gamma_variates::{log_standard_gammas, on_path};
use crate::derivative::known_logarithms::log_odds_of;
use crate::derivative::own_draws::{lost_by_own_draw, marked};
use crate::derivative::underflow::held_above_underflow;
use crate::derivative::weak_gamma::weak_log_odds;
use crate::derivative::weak_shape::ratio_parts;
use crate::distribution::WeaklyReparameterized;
use crate::distribution::{WeakNoise, WeakPath};
use crate::distribution::{above, finite_end, log_of_either, step_of_kernels};
use crate::noise::FoldedNoise;
use crate::prelude::*;
use stochgrad_tensor::map::Map;

distribution! {
    /// Values between 0 and 1, given by two concentrations. Use it for probabilities and proportions.
    ///
    /// Samples are the smallest positive normal number or larger, and below 1. The log-probability at a sample of a node,
    /// or at what `sample` and `rsample` return, is that at the log-odds that were drawn, so that it is exact at any
    /// concentrations.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Beta};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let distribution = Beta::new(tape.constant(2.0), 3.0);
    /// assert!((distribution.mean().unwrap().item()? - 0.4).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Beta {
        /// The exponent at 0, plus one.
        alpha: positive.with_path(SamplePath::Implicit(Order::Finite(2))),
        /// The exponent at 1, plus one.
        beta: positive.with_path(SamplePath::Implicit(Order::Finite(2))),
    }
    support: UnitInterval
}

impl<'t, F: Real> Beta<Var<'t, F>> {
    /// Values between 0 and 1 with concentrations `alpha > 0` and `beta > 0`.
    pub fn new(alpha: Var<'t, F>, beta: impl IntoVar<'t, F>) -> Self {
        Beta { alpha, beta: beta.into_var(alpha.tape()) }
    }

    /// Values between 0 and 1 with this mean, in (0, 1), and this sum of the two concentrations.
    pub fn from_mean_and_total(mean: Var<'t, F>, total: impl IntoVar<'t, F>) -> Self {
        let total = total.into_var(mean.tape());
        Beta { alpha: mean * total, beta: (1.0 - mean) * total }
    }

    /// The log-density of the logit at this logit, whose value may have rounded to 0 or 1.
    pub(crate) fn log_kernel_of_logit(&self, odds: Var<'t, F>) -> Var<'t, F> {
        let least = F::MIN_POSITIVE.to_f64();
        let (x, y) = (odds.sigmoid().clamp(least, 1.0), (-odds).sigmoid().clamp(least, 1.0));
        let beyond = |log: Var<'t, F>| log - log.clamp(least.ln(), 0.0);
        special::log_beta_kernel(self.alpha, self.beta, x, y)
            + self.alpha * beyond(odds.log_sigmoid())
            + self.beta * beyond((-odds).log_sigmoid())
    }

    /// The log-density at the value with this logit, which may have rounded to 0 or 1.
    fn log_prob_of_logit(&self, odds: Var<'t, F>) -> Var<'t, F> {
        let least = F::MIN_POSITIVE.to_f64();
        let (x, y) = (odds.sigmoid().clamp(least, 1.0), (-odds).sigmoid().clamp(least, 1.0));
        let density = special::log_beta_kernel(self.alpha, self.beta, x, y) - x.ln() - y.ln();
        // The logarithms of x and y beyond the least positive number.
        let beyond = |log: Var<'t, F>| log - log.clamp(least.ln(), 0.0);
        let (below, above) = (odds.log_sigmoid(), (-odds).log_sigmoid());
        density + (self.alpha - 1.0) * beyond(below) + (self.beta - 1.0) * beyond(above)
    }

    /// A tail at the value with this logit, which may have rounded to 0 or 1. The density of the logit is exponential
    /// beyond the smallest positive number.
    pub(crate) fn tail_of_logit(&self, odds: Var<'t, F>, tail: Tail) -> Var<'t, F> {
        // The upper tail is the lower one of the mirrored distribution.
        let (a, b, odds, lower) = match tail {
            Tail::Lower | Tail::LogLower => (self.alpha, self.beta, odds, tail),
            Tail::Upper => (self.beta, self.alpha, -odds, Tail::Lower),
            Tail::LogUpper => (self.beta, self.alpha, -odds, Tail::LogLower),
        };
        lower.on_line(odds, |odds| {
            let (least, most) = (F::MIN_POSITIVE.to_f64(), F::MAX.to_f64());
            let odds = odds.clamp(-most, most);
            let (x, y) = (odds.sigmoid().clamp(least, 1.0), (-odds).sigmoid().clamp(least, 1.0));
            let beyond = |log: Var<'t, F>| log - log.clamp(least.ln(), 0.0);
            let (below, above_one) = (a * beyond(odds.log_sigmoid()), b * beyond((-odds).log_sigmoid()));
            let opposite = special::beta_inc_pair(b, a, y, x);
            let probability = special::beta_inc_pair(a, b, x, y) * below.exp() - opposite * above_one.expm1();
            if lower == Tail::Lower {
                return probability;
            }
            let far = above(odds, -least.ln());
            let [even, none] = [0.5, 0.0].map(|p| odds.tape().constant(p));
            let near_one = log_of_either(far.select(probability, even), far.select(opposite * above_one.exp(), none));
            far.select(near_one, special::log_beta_inc(a, b, x, y) + below)
        })
    }

    /// The sum of the concentrations.
    pub fn total(&self) -> Var<'t, F> {
        self.alpha + self.beta
    }
}

impl<'t, F: Real> Distribution<'t, F> for Beta<Var<'t, F>> {
    declared!(|beta| comparable("Beta", beta.alpha, beta.beta));

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        if let Some(odds) = log_odds_of(value) {
            return self.log_prob_of_logit(odds);
        }
        let step = step_of_kernels::<F>();
        let (x, y) = (value + finite_end(self.alpha, step), (1.0 - value) + finite_end(self.beta, step));
        let outside = Boundary::Excluded.outside(x.minimum(y));
        let inside = special::log_beta_kernel(self.alpha, self.beta, x, y) - x.ln() - y.ln();
        let density = outside.select(value.tape().constant(f64::NEG_INFINITY), inside);
        // What the logarithms of the value and of 1 minus the value have lost: the former where the value is limited, the
        // latter by rounding too.
        let lowest = F::MIN_POSITIVE.to_f64().ln();
        let below = lost_by_own_draw(value, |odds| odds.log_sigmoid() - odds.log_sigmoid().clamp(lowest, 0.0));
        let above = lost_by_own_draw(value, |odds| (-odds).log_sigmoid() - (-value.held()).log1p());
        match below.zip(above) {
            Some((below, above)) => density + (self.alpha - 1.0) * below + (self.beta - 1.0) * above,
            None => density,
        }
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.alpha / self.total())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let total = self.total();
        Some(self.alpha / total * (self.beta / total) / (total + 1.0))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        // Where only one concentration is above 1, that end; where none is, there is no single mode: NaN.
        let (a, b) = (self.alpha - 1.0, self.beta - 1.0);
        let (rising, falling) = (a.step(), b.step());
        let tape = a.tape();
        let one_end = rising.select(tape.constant(1.0), falling.select(tape.constant(0.0), tape.constant(f64::NAN)));
        let both = rising * falling;
        let inner = both.select(a, tape.constant(1.0)) / both.select(a + b, tape.constant(2.0));
        Some(both.select(inner, one_end))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Beta<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        if let Some(odds) = log_odds_of(value) {
            return self.tail_of_logit(odds, Tail::Lower);
        }
        Tail::Lower.on_unit_interval(value, |x| special::beta_inc_pair(self.alpha, self.beta, x, 1.0 - x))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        if let Some(odds) = log_odds_of(value) {
            return self.tail_of_logit(odds, Tail::Upper);
        }
        Tail::Upper.on_unit_interval(value, |x| special::beta_inc_pair(self.beta, self.alpha, 1.0 - x, x))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        if let Some(odds) = log_odds_of(value) {
            return self.tail_of_logit(odds, Tail::LogLower);
        }
        Tail::LogLower.on_unit_interval(value, |x| special::log_beta_inc(self.alpha, self.beta, x, 1.0 - x))
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        if let Some(odds) = log_odds_of(value) {
            return self.tail_of_logit(odds, Tail::LogUpper);
        }
        Tail::LogUpper.on_unit_interval(value, |x| special::log_beta_inc(self.beta, self.alpha, 1.0 - x, x))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Beta<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [0.0, 1.0], |p| special::beta_inc_inverse(self.alpha, self.beta, p))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [1.0, 0.0], |p| special::beta_inc_complement_inverse(self.alpha, self.beta, p))
    }
}

impl<'t, F: Real> WeaklyReparameterized<'t, F> for Beta<Var<'t, F>> {
    fn weak_rsample(&self, draw: &Draw<'_, F>, noise: WeakNoise) -> DistributionResult<WeakPath<'t, F>> {
        let path = weak_log_odds([self.alpha, self.beta], draw, &self.event_shape(), noise)?;
        Ok(WeakPath { value: inside(path.value), ..path })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Beta<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Beta<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(inside(self.sample_log_odds(draw)?))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Beta<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let own = match parameter {
            0 => [self.alpha, self.beta],
            // By the second shape: that of the mirrored distribution.
            1 => [self.beta, self.alpha],
            _ => return Ok(None),
        };
        let parts = ratio_parts(own, draw, &self.event_shape())?;
        let (lowest, highest) = (F::MIN_POSITIVE.to_f64(), 1.0 - 0.5 * F::EPSILON.to_f64());
        let number = |log_odds: Var<'t, F>| {
            let log_odds = if parameter == 0 { log_odds } else { -log_odds };
            log_odds.sigmoid().clamp(lowest, highest)
        };
        let _ = sample;
        Ok(Some(Alternatives { values: parts.values.into_iter().map(number).collect(), weights: parts.weights }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Beta<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        // With ψ(x) = ln x + d(x), and ln B from its kernel at the mean: the large terms have been taken together.
        let (a, b, n) = (self.alpha, self.beta, self.total());
        let d = special::digamma_minus_log;
        let rest = (n - 2.0) * d(n) - (a - 1.0) * d(a) - (b - 1.0) * d(b);
        (rest - special::log_beta_kernel(a, b, a / n, b / n) + a.ln() + b.ln() - n.ln() * 2.0).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Beta<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // That of Dirichlet distributions, whose large terms are combined.
        let (own, others) = (self.total(), other.total());
        let each = |own_part: Var<'t, F>, other_part: Var<'t, F>| {
            special::stirling_divergence(own_part, other_part)
                + special::deviance(other_part, own_part * (others / own))
        };
        let parts = each(self.alpha, other.alpha) + each(self.beta, other.beta);
        (parts - special::stirling_divergence(own, others)).sum()
    }
}

impl<'t, F: Real> Beta<Var<'t, F>> {
    /// The log-odds of values, with their paths.
    pub(crate) fn sample_log_odds(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        if draw.has_scheme() { self.by_quantile(draw) } else { self.by_gammas(draw) }
    }

    /// Log-odds by the quantile of one uniform sample each, which a sampling scheme can place. The values are the ratios
    /// of two gamma variates whose sum is drawn apart from them, so that their paths are those of gamma variates.
    fn by_quantile(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let event = self.event_shape();
        let odds = self.log_odds_by_quantile(draw, &event)?;
        let total = log_standard_gammas(self.total(), &draw.purpose("total"), &event, false)?;
        let (up, down) = (odds.log_sigmoid() + total, (-odds).log_sigmoid() + total);
        Ok(on_path(self.alpha, up) - on_path(self.beta, down))
    }

    fn log_odds_by_quantile(&self, draw: &Draw<'_, F>, event: &Shape) -> DistributionResult<Var<'t, F>> {
        let (alpha, beta) = (self.alpha.held(), self.beta.held());
        let tape = alpha.tape();
        let FoldedNoise { lower, tail, .. } = FoldedNoise::record(draw, tape, event)?;
        // The upper half is the lower half of the mirrored distribution.
        let (a, b) = (lower.select(alpha, beta), lower.select(beta, alpha));
        let (x, y) = (special::beta_inc_inverse(a, b, tail), special::beta_inc_complement_inverse(b, a, tail));
        // The distribution function near an end is a power, whose quantile does not underflow.
        let log = |x: Var<'t, F>, a: Var<'t, F>, b: Var<'t, F>, log_probability: Var<'t, F>| {
            let power = (log_probability + a.ln() + special::log_beta(a, b)) / a;
            let small = (x * (b + 1.0)).lt(tape.constant(1e-17));
            small.select(power, x.map(Map::MaxScalar(F::MIN_POSITIVE.to_f64())).ln())
        };
        let odds = log(x, a, b, tail.ln()) - log(y, b, a, (-tail).log1p());
        Ok(lower.select(odds, -odds))
    }

    /// Log-odds from logarithms of two gamma variates.
    fn by_gammas(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let event = self.event_shape();
        let up = log_standard_gammas(self.alpha, &draw.purpose("alpha"), &event, true)?;
        let down = log_standard_gammas(self.beta, &draw.purpose("beta"), &event, true)?;
        Ok(up - down)
    }
}

/// Values with these log-odds, held strictly inside the unit interval.
fn inside<F: Real>(log_odds: Var<'_, F>) -> Var<'_, F> {
    let value = log_odds.sigmoid().map(Map::MinScalar(1.0 - F::EPSILON.to_f64() / 2.0));
    marked(held_above_underflow("Beta", value), log_odds)
}

/// Checks that the smaller one of two concentrations is a number in units of their sum: otherwise the mean distance of the
/// samples from an end underflows.
///
/// # Errors
/// Names the first element for which it is not.
pub(crate) fn comparable<'t, F: Real>(
    distribution: &'static str,
    alpha: Var<'t, F>,
    beta: Var<'t, F>,
) -> DistributionResult<()> {
    let share = alpha.minimum(beta) / (alpha + beta);
    let condition = Condition::Between { low: F::MIN_POSITIVE.to_f64(), high: 1.0 };
    let hint = "the samples are at an end to rounding; use concentrations of sizes that are less different";
    let expected = "at least 2.3e-308 (1.2e-38 in f32)";
    check_parameter(distribution, "share of the smaller concentration", share, expected, hint, condition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(Beta::new(p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[2.3, 1.4], Domain::UnitInterval).with_weak_samples(3000);
        distribution.assert_distribution(&[0.05, 0.4, 0.98], 91);
        assert_nothing_at(BUILD, &[2.3, 1.4], 0.0);
        assert_nothing_at(BUILD, &[2.3, 1.4], -0.1);
        assert_nothing_at(BUILD, &[2.3, 1.4], 1.0);
        assert_nothing_at(BUILD, &[2.3, 1.4], 1.2);
        for parameters in [[1e-3, 1e-3], [1e-3, 1e6], [1.0, 1.0], [1e6, 1e6]] {
            assert_finite(BUILD, &parameters, 9);
        }
        let tape = Tape::new();
        let (p, q) = (Beta::new(tape.constant(2.3), 1.4), Beta::from_mean_and_total(tape.constant(0.4), 2.0));
        distribution.assert_divergence(&[0.8, 1.2], p.kl_to(&q).item().unwrap());
        DistributionCheck::new(BUILD, &[0.6, 0.3], Domain::UnitInterval).assert_draws_by_own_cdf(95);
    }

    #[test]
    fn parameters_that_are_not_comparable_are_refused() {
        let tape = Tape::<f64>::new();
        let validated = |a: f64, b: f64| Beta::new(tape.constant(a), b).validate();
        for (large, small) in [(1e300, 1e-30), (1e10, 1e-300)] {
            assert!(validated(large, small).unwrap_err().to_string().contains("less different"));
            assert!(validated(small, large).is_err());
        }
        assert!(validated(1e300, 1e-5).is_ok() && validated(1e-300, 1e-300).is_ok());
    }
}
