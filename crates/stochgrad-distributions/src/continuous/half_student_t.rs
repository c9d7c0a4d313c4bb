//! The half-t distribution: the absolute value of a sample of [Student's t distribution](crate::StudentT) around 0. It
//! is a usual prior of standard deviations in hierarchical models, between the [half-Cauchy](crate::HalfCauchy)
//! distribution ($\nu = 1$) and the [half-normal](crate::HalfNormal) one (many degrees of freedom).
//!
//! $$p(x; \nu, \sigma) = \frac{2 (1 + z^2/\nu)^{-(\nu + 1)/2}}{\sigma\sqrt\nu\, B(\nu/2, 1/2)}, \quad z = x/\sigma, \quad x \ge 0, \quad \nu, \sigma > 0.$$
//!
//! Parameters: `degrees_of_freedom` $\nu > 0$ and `scale` $\sigma > 0$. The parameters broadcast; their common shape is
//! the event shape, and each element is an independent value. Support: the nonnegative real numbers.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \sigma \lvert\varepsilon\rvert \sqrt{\nu/2G}$ with a gamma variate $G$ of concentration $\nu/2$; any order in $\sigma$, order 2 in $\nu$ through the implicit derivatives of $G$ |
//! | weak derivative with respect to $\sigma$ | $1/\sigma$; one replay: $x$ moved up until the density has fallen by $e^{-E}$ |
//!
//! Source: Gelman, "Prior distributions for variance parameters in hierarchical models", 2006.

use crate::continuous::shaped_tail::where_finite;
use crate::continuous::student_t::StudentT;
use crate::derivative::own_draws::marked;
use crate::derivative::underflow::finite_draws;
use crate::derivative::weak::scale_derivative;
use crate::distribution::{above, confine_possible, log_unless_likely};
use crate::noise::FoldedNoise;
use crate::prelude::*;
use std::f64::consts::LN_2;
use stochgrad_tensor::map::Map;

distribution! {
    /// Absolute values of Student's t samples around 0, given by degrees of freedom and scale. Use it as a prior of
    /// standard deviations.
    ///
    /// Parameters for which the derivatives overflow are errors, as for [`StudentT`](crate::StudentT).
    ///
    /// ```
    /// use stochgrad_distributions::{CumulativeDistribution, HalfStudentT};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let deviations = HalfStudentT::new(tape.constant(1.0), 2.0);
    /// // With one degree of freedom the scale is the median.
    /// assert!((deviations.cdf(tape.constant(2.0)).item()? - 0.5).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub struct HalfStudentT {
        /// The degrees of freedom.
        degrees_of_freedom: positive.with_path(SamplePath::Implicit(Order::Finite(2))),
        /// The scale.
        scale: positive,
    }
    support: Positive
}

impl<'t, F: Real> HalfStudentT<Var<'t, F>> {
    /// Absolute values of samples with `degrees_of_freedom > 0` and `scale > 0`.
    pub fn new(degrees_of_freedom: Var<'t, F>, scale: impl IntoVar<'t, F>) -> Self {
        HalfStudentT { degrees_of_freedom, scale: scale.into_var(degrees_of_freedom.tape()) }
    }

    /// The distribution of which this one has the absolute values.
    fn full(&self) -> StudentT<Var<'t, F>> {
        StudentT::new(self.degrees_of_freedom, 0.0, self.scale)
    }

    /// A tail of z = x/σ, from `near`, a function of twice the density at 0 times z, where that is the distribution
    /// function up to rounding, and from `elsewhere`.
    fn tail(
        &self,
        tail: Tail,
        value: Var<'t, F>,
        near: impl FnOnce(Var<'t, F>, Var<'t, F>) -> Var<'t, F>,
        elsewhere: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        tail.on_half_line(value / self.scale, |z| {
            let (flat, one) = (self.is_flat(z), z.tape().constant(1.0));
            flat.select(near(self.log_slope(), z), elsewhere(flat.select(one, z)))
        })
    }

    /// ln of twice the standard density at 0.
    fn log_slope(&self) -> Var<'t, F> {
        special::student_t_log_height(self.degrees_of_freedom) + LN_2
    }

    /// 1 where the density has not fallen yet, up to rounding.
    fn is_flat(&self, z: Var<'t, F>) -> Var<'t, F> {
        let limit = self.degrees_of_freedom.held().sqrt().map(Map::MinScalar(1.0)) * (F::EPSILON.to_f64().sqrt() * 0.1);
        z.held().lt(limit)
    }

    /// The shares of z² and of ν in their sum.
    fn shares(&self, z: Var<'t, F>) -> [Var<'t, F>; 2] {
        let ratio = z / self.degrees_of_freedom.sqrt();
        let large = above(ratio, 1.0);
        let one = z.tape().constant(1.0);
        let (small, inverse) = (large.select(one, ratio).square(), large.select(ratio, one).recip().square());
        [
            large.select((inverse + 1.0).recip(), small / (small + 1.0)),
            large.select(inverse / (inverse + 1.0), (small + 1.0).recip()),
        ]
    }

    /// 1 where the distribution function is 1 less the survival function: above the median, and where the share of ν
    /// would underflow.
    fn is_far(&self, z: Var<'t, F>, upper: Var<'t, F>) -> Var<'t, F> {
        let beyond = above(z / self.degrees_of_freedom.sqrt(), F::MAX.to_f64().sqrt() * 0.5);
        (1.0 - above(upper, 0.5)).maximum(beyond)
    }

    /// The standard distribution function.
    fn lower(&self, z: Var<'t, F>) -> Var<'t, F> {
        let (upper, half) = (self.upper(z), z.tape().constant(0.5));
        let far = self.is_far(z, upper);
        let [of_square, rest] = self.shares(far.select(half, z));
        far.select(1.0 - upper, special::beta_inc_pair(half, self.degrees_of_freedom * 0.5, of_square, rest))
    }

    /// The standard survival function.
    fn upper(&self, z: Var<'t, F>) -> Var<'t, F> {
        special::student_t_cdf(-z, self.degrees_of_freedom) * 2.0
    }

    /// The standard quantile of a probability below, which is at most about a half. The probability above is `rest`.
    fn lower_quantile(&self, p: Var<'t, F>, rest: Var<'t, F>) -> Var<'t, F> {
        // Half of it must not be 0.
        let nu = self.degrees_of_freedom.maximum(p.tape().constant(2.0 * F::MIN_POSITIVE.to_f64()));
        let [one, even] = [1.0, 0.5].map(|number| p.tape().constant(number));
        let flat = p / self.log_slope().exp();
        let is_flat = self.is_flat(flat);
        let share = special::beta_inc_inverse(even, nu * 0.5, is_flat.select(even, p));
        let far = above(share, 0.5);
        let near = far.select(even, share);
        let bent = nu.sqrt() * (near / (1.0 - near)).sqrt();
        let distant = self.upper_quantile(far.select(rest, one * 0.5));
        is_flat.select(flat, far.select(distant, bent))
    }

    /// The standard quantile of a probability above.
    fn upper_quantile(&self, p: Var<'t, F>) -> Var<'t, F> {
        -special::student_t_icdf(p * 0.5, self.degrees_of_freedom)
    }

    /// The standard quantile of the probabilities below and above, which are complementary.
    fn quantile(&self, below: Var<'t, F>, rest: Var<'t, F>) -> Var<'t, F> {
        let (likely, even) = (above(below, 0.5), below.tape().constant(0.5));
        let low = self.lower_quantile(likely.select(even, below), likely.select(even, rest));
        likely.select(self.upper_quantile(likely.select(rest, even)), low)
    }
}

impl<'t, F: Real> Distribution<'t, F> for HalfStudentT<Var<'t, F>> {
    declared!(|own| own.full().has_finite_derivatives("HalfStudentT"));

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        Boundary::Included.confine_positive(value, |x| self.full().log_prob_each(x) + LN_2)
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        // Infinite up to one degree of freedom.
        let nu = self.degrees_of_freedom;
        let (finite, tape) = (above(nu, 1.0), nu.tape());
        let safe = finite.select(nu, tape.constant(2.0));
        let standard = self.log_slope().exp() * ((safe - 1.0).recip() + 1.0);
        Some(finite.select(self.scale * standard, tape.constant(f64::INFINITY)))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // Infinite up to two degrees of freedom.
        let nu = self.degrees_of_freedom;
        let (finite, tape) = (above(nu, 2.0), nu.tape());
        let safe = finite.select(nu, tape.constant(3.0));
        let mean = self.log_slope().exp() * ((safe - 1.0).recip() + 1.0);
        let standard = (safe - 2.0).recip() * 2.0 + 1.0 - mean.square();
        Some(finite.select(where_finite(self.scale.square() * standard), tape.constant(f64::INFINITY)))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some((self.scale * 0.0).broadcast_to(self.event_shape()))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for HalfStudentT<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Lower, value, |log_slope, z| log_slope.exp() * z, |z| self.lower(z))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Upper, value, |log_slope, z| 1.0 - log_slope.exp() * z, |z| self.upper(z))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        let elsewhere = |z: Var<'t, F>| {
            let (upper, half) = (self.upper(z), z.tape().constant(0.5));
            let far = self.is_far(z, upper);
            let [of_square, rest] = self.shares(far.select(half, z));
            let log = special::log_beta_inc(half, self.degrees_of_freedom * 0.5, of_square, rest);
            confine_possible(far.select((-upper).log1p(), log))
        };
        self.tail(Tail::LogLower, value, |log_slope, z| log_slope + z.ln(), elsewhere)
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        let elsewhere = |z: Var<'t, F>| {
            let log = special::student_t_log_cdf(-z, self.degrees_of_freedom) + LN_2;
            log_unless_likely(log, self.lower(z))
        };
        self.tail(Tail::LogUpper, value, |log_slope, z| (-(log_slope.exp() * z)).log1p(), elsewhere)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for HalfStudentT<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [0.0, f64::INFINITY], |p| self.scale * self.quantile(p, 1.0 - p))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [f64::INFINITY, 0.0], |p| self.scale * self.quantile(1.0 - p, p))
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for HalfStudentT<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for HalfStudentT<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        if draw.has_scheme() {
            let FoldedNoise { lower, tail, .. } = FoldedNoise::record(draw, self.scale.tape(), &self.event_shape())?;
            let rest = 1.0 - tail;
            let standard = self.quantile(lower.select(tail, rest), lower.select(rest, tail));
            return Ok(finite_draws(self.scale * standard));
        }
        let (distance, stretch) = self.full().distance_by_normal(draw)?;
        Ok(marked(distance.abs(), stretch))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for HalfStudentT<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 1 {
            return Ok(None);
        }
        let [nu, scale, sample] = [self.degrees_of_freedom, self.scale, sample].map(Var::stop_gradient);
        let z = sample / scale;
        let outward = |e: Var<'t, F>| {
            let drop = e * 2.0 / (nu + 1.0);
            finite_draws(scale * (nu * drop.expm1() + z.square() * drop.exp()).sqrt())
        };
        scale_derivative(sample.tape(), draw, &self.event_shape(), scale, outward).map(Some)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for HalfStudentT<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let elements = self.event_shape().iter().product::<usize>() as f64;
        self.full().entropy() - LN_2 * elements
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};

    const BUILD: Build = |p| Box::new(HalfStudentT::new(p[0], p[1]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[7.0, 1.7], Domain::HeavyHalfLine);
        distribution.assert_distribution(&[0.05, 1.7, 9.0], 61);
        assert_nothing_at(BUILD, &[7.0, 1.7], -0.1);
        for parameters in [[0.05, 1.0], [3.0, 1e-8], [1e6, 1e8]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }
}
