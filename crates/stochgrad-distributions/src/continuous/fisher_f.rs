//! The F distribution of Fisher and Snedecor: the ratio of two sample variances of normal samples. It is the
//! distribution of the statistics of analyses of variance.
//!
//! $$p(x; m, n) = \frac{1}{x\,B(m/2, n/2)}\, y^{m/2} (1 - y)^{n/2}, \quad y = \frac{m x}{m x + n}, \quad x > 0, \quad m, n > 0.$$
//!
//! Parameters: `numerator` $m > 0$ and `denominator` $n > 0$, the degrees of freedom of the two variances, not
//! necessarily integers. The parameters broadcast; their common shape is the event shape, and each element is an
//! independent value. Support: the positive real numbers.
//!
//! Degrees of freedom of which the smaller ones, divided by their sum, are below the smallest normal number (2.3e-308,
//! 1.2e-38 in `f32`) are refused.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \frac{n}{m}\,G_{m/2}/G_{n/2}$ with gamma variates $G$: order 2 through their implicit derivatives |
//!
//! The weak derivative would be that of the shape of a gamma variate together with that of a scale; it is not offered. The
//! path is cheaper. There is no divergence in closed form between ratios with other degrees of freedom.
//!
//! A sample beyond the range of positive floating-point numbers is the nearest one. Its log-probability and score are
//! those of the sample that it stands for, and a path that depends on what was lost is an error.

use crate::continuous::beta::{Beta, comparable};
use crate::derivative::known_logarithms::logarithm_of;
use crate::derivative::own_draws::{lost_by_own_draw, marked};
use crate::derivative::underflow::{held_logarithm, largest_logarithm, smallest_logarithm};
use crate::distribution::{above, confine_possible, finite_end, step_of_kernels};
use crate::prelude::*;
use stochgrad_tensor::map::Map;

distribution! {
    /// Ratios of two sample variances of normal samples, given by their degrees of freedom.
    ///
    /// Samples are limited to the range of positive numbers; the log-probability at a sample is that at the logarithm
    /// that was drawn, as for the [gamma distribution](crate::Gamma).
    ///
    /// ```
    /// use stochgrad_distributions::{CumulativeDistribution, FisherF};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// // The p-value of a ratio of 4 with 3 and 10 degrees of freedom.
    /// let ratios = FisherF::new(tape.constant(3.0), 10.0);
    /// assert!((ratios.survival(tape.constant(4.0)).item()? - 0.041347681036082544).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub struct FisherF {
        /// The degrees of freedom of the numerator.
        numerator: positive.with_path(SamplePath::Implicit(Order::Finite(2))),
        /// The degrees of freedom of the denominator.
        denominator: positive.with_path(SamplePath::Implicit(Order::Finite(2))),
    }
    support: Positive
}

impl<'t, F: Real> FisherF<Var<'t, F>> {
    /// Ratios of variances with `numerator > 0` and `denominator > 0` degrees of freedom.
    pub fn new(numerator: Var<'t, F>, denominator: impl IntoVar<'t, F>) -> Self {
        FisherF { numerator, denominator: denominator.into_var(numerator.tape()) }
    }

    /// The beta distribution of the share of the numerator in the sum of squares.
    pub fn share(&self) -> Beta<Var<'t, F>> {
        // The halves of the smallest numbers are not 0.
        let half = |nu: Var<'t, F>| (nu * 0.5).map(Map::MaxScalar(F::MIN_POSITIVE.to_f64()));
        let alpha = half(self.numerator);
        Beta::new(alpha, half(self.denominator))
    }

    /// ln m/n, which the logarithm of a value is increased by to get the log-odds of the share.
    fn log_ratio(&self) -> Var<'t, F> {
        special::log_ratio(self.numerator, self.denominator)
    }

    /// A tail from that of the share.
    fn tail(&self, tail: Tail, value: Var<'t, F>) -> Var<'t, F> {
        match logarithm_of(value) {
            Some(log) => self.share().tail_of_logit(log + self.log_ratio(), tail),
            None => tail.on_half_line(value, |x| self.share().tail_of_logit(x.ln() + self.log_ratio(), tail)),
        }
    }
}

impl<'t, F: Real> Distribution<'t, F> for FisherF<Var<'t, F>> {
    declared!(|ratio| comparable("FisherF", ratio.share().alpha(), ratio.share().beta()));

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let of_logarithm = |log: Var<'t, F>| {
            let (share, odds) = (self.share(), log + self.log_ratio());
            confine_possible(share.log_kernel_of_logit(odds) - log)
        };
        if let Some(log) = logarithm_of(value) {
            return of_logarithm(log);
        }
        let lost = lost_by_own_draw(value, |log| log - log.clamp(limits::<F>()[0], limits::<F>()[1]));
        // At 0 the density has a finite limit with two degrees of freedom.
        let at_end = value.held().equal(value.tape().constant(0.0));
        let end = finite_end(self.numerator * 0.5, step_of_kernels::<F>()) * at_end;
        Boundary::Excluded.confine_positive(value + end, |x| match lost {
            Some(lost) => of_logarithm(x.ln() + lost),
            None => of_logarithm(x.ln()),
        })
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        // Infinite up to two degrees of freedom of the denominator.
        let n = self.denominator;
        let (finite, tape) = (above(n, 2.0), n.tape());
        let safe = finite.select(n, tape.constant(3.0));
        let mean = finite.select((safe - 2.0).recip() * 2.0 + 1.0, tape.constant(f64::INFINITY));
        Some(mean.broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // Infinite up to four degrees of freedom of the denominator.
        let n = self.denominator;
        let (finite, tape) = (above(n, 4.0), n.tape());
        let safe = finite.select(n, tape.constant(5.0));
        let mean = (safe - 2.0).recip() * 2.0 + 1.0;
        // The ratio of the degrees of freedom may overflow where the spread does not.
        let excess = (safe - 4.0).recip();
        let spread = (safe - 2.0) * excess / self.numerator + excess;
        Some(finite.select(mean.square() * spread * 2.0, tape.constant(f64::INFINITY)))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        // Up to two degrees of freedom of the numerator the density is highest at 0.
        let (m, n) = (self.numerator, self.denominator);
        let rising = above(m, 2.0);
        let tape = m.tape();
        let ratio = rising.select(1.0 - rising.select(m, tape.constant(4.0)).recip() * 2.0, tape.constant(0.0));
        Some(ratio * (n / (n + 2.0)))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for FisherF<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Lower, value)
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Upper, value)
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::LogLower, value)
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::LogUpper, value)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for FisherF<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [0.0, f64::INFINITY], |p| self.quantile(p, 1.0 - p))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [f64::INFINITY, 0.0], |p| self.quantile(1.0 - p, p))
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for FisherF<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for FisherF<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let log = self.share().sample_log_odds(draw)? - self.log_ratio();
        Ok(marked(held_logarithm("FisherF", log, limits::<F>()).exp(), log))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for FisherF<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        // That of the share, and the mean logarithm of the slope of the value as a function of it.
        let share = self.share();
        let slope = special::digamma_difference(share.beta(), share.total()) * 2.0 - self.log_ratio();
        share.entropy() + slope.sum()
    }
}

impl<'t, F: Real> FisherF<Var<'t, F>> {
    /// The value with these probabilities below and above it.
    fn quantile(&self, below: Var<'t, F>, rest: Var<'t, F>) -> Var<'t, F> {
        let share = self.share();
        let upper = above(below, 0.5);
        // The upper half is the lower half of the mirrored distribution.
        let (a, b) = (upper.select(share.beta(), share.alpha()), upper.select(share.alpha(), share.beta()));
        let tail = upper.select(rest, below);
        let share = special::beta_inc_inverse(a, b, tail);
        // The distribution function of a small share is a power, whose quantile does not underflow.
        let is_large = above((b + 1.0) * share, 1e-17);
        let [even, one] = [0.5, 1.0].map(|number| tail.tape().constant(number));
        let power = (tail.ln() + a.ln() + special::log_beta(a, b)) / a;
        let (large, level) = (is_large.select(share, even), is_large.select(tail, even));
        let rest_of_share = is_large.select(special::beta_inc_complement_inverse(b, a, level), one);
        let odds = is_large.select(large.ln() - rest_of_share.ln(), power);
        (upper.select(-odds, odds) - self.log_ratio()).exp()
    }
}

/// The range of the logarithms of values.
fn limits<F: Real>() -> [f64; 2] {
    [smallest_logarithm::<F>(), largest_logarithm::<F>()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(FisherF::new(p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[5.0, 9.0], Domain::HeavyHalfLine).with_bounded_cost();
        distribution.assert_distribution(&[0.05, 0.9, 7.0], 51);
        assert_nothing_at(BUILD, &[5.0, 9.0], 0.0);
        assert_nothing_at(BUILD, &[5.0, 9.0], -1.0);
        for parameters in [[1e-3, 1e-3], [1.0, 1e6], [2.0, 2.0], [1e6, 1e6]] {
            assert_finite(BUILD, &parameters, 9);
        }
        let tape = Tape::<f64>::new();
        let at_end = FisherF::new(tape.constant(2.0), 7.0).log_prob(tape.constant(0.0));
        assert!(at_end.item().unwrap().abs() < 1e-13, "{at_end:?}");
    }

    #[test]
    fn parameters_that_are_not_comparable_are_refused() {
        let tape = Tape::<f64>::new();
        let validated = |a: f64, b: f64| FisherF::new(tape.constant(a), b).validate();
        for (large, small) in [(1e300, 1e-30), (1e10, 1e-300)] {
            assert!(validated(large, small).unwrap_err().to_string().contains("less different"));
            assert!(validated(small, large).is_err());
        }
        assert!(validated(1e300, 1e-5).is_ok() && validated(1e-300, 1e-300).is_ok());
    }
}
