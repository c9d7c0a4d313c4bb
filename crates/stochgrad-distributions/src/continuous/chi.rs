//! The chi distribution: the length of a vector of independent standard normal samples. It is the distribution of
//! radii and of sample standard deviations; with two and three degrees of freedom it is that of
//! [Rayleigh](crate::Rayleigh) and of [Maxwell](crate::Maxwell) with scale 1.
//!
//! $$p(x; \nu) = \frac{x^{\nu - 1} e^{-x^2/2}}{2^{\nu/2 - 1}\,\Gamma(\nu/2)}, \quad x > 0, \quad \nu > 0.$$
//!
//! Parameter: `degrees_of_freedom` $\nu > 0$, not necessarily an integer; its shape is the event shape, and each
//! element is an independent value. Support: the positive real numbers.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \sqrt{2G}$ with a gamma variate $G$ of concentration $\nu/2$: order 2 through the implicit derivatives of $G$ |
//! | weak derivative | half of that of the [gamma distribution](crate::Gamma) by its concentration, pushed through the root |
//!
//! A sample beyond the range of positive floating-point numbers is the nearest one. Its log-probability and score are
//! those of the sample that it stands for, and a path that depends on what was lost is an error.

use crate::continuous::gamma::Gamma;
use crate::derivative::gamma_variates::log_standard_gammas;
use crate::derivative::known_logarithms::logarithm_of;
use crate::derivative::own_draws::{lost_by_own_draw, marked};
use crate::derivative::underflow::{held_logarithm, largest_logarithm, smallest_logarithm};
use crate::derivative::weak_gamma::weak_log_gammas;
use crate::derivative::weak_shape::concentration_parts;
use crate::distribution::{
    WeakNoise, WeakPath, WeaklyReparameterized, above, confine_possible, finite_end, one_minus_exp,
};
use crate::prelude::*;
use std::f64::consts::LN_2;
use stochgrad_tensor::map::Map;

distribution! {
    /// Lengths of vectors of standard normal samples, given by the degrees of freedom. Use it for radii and for sample
    /// standard deviations.
    ///
    /// ```
    /// use stochgrad_distributions::{Chi, Distribution};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let distribution = Chi::new(tape.constant(2.0));
    /// assert!((distribution.mean().unwrap().item()? - (std::f64::consts::PI / 2.0).sqrt()).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Chi {
        /// The degrees of freedom.
        degrees_of_freedom: positive.with_path(SamplePath::Implicit(Order::Finite(2))),
    }
    support: Positive
}

impl<'t, F: Real> Chi<Var<'t, F>> {
    /// Lengths of vectors of `degrees_of_freedom > 0` samples.
    pub fn new(degrees_of_freedom: Var<'t, F>) -> Self {
        Chi { degrees_of_freedom }
    }

    /// The concentration of the gamma distribution of half the square.
    fn half(&self) -> Var<'t, F> {
        // The halves of the smallest numbers are not 0.
        (self.degrees_of_freedom * 0.5).map(Map::MaxScalar(F::MIN_POSITIVE.to_f64()))
    }

    /// The log-density at the value with this logarithm.
    fn log_prob_of_logarithm(&self, log: Var<'t, F>) -> Var<'t, F> {
        let (a, log_variate) = (self.half(), log * 2.0 - LN_2);
        let small = above(-log_variate, small::<F>());
        let far = log.tape().constant(0.0);
        let variate = log_variate.map(Map::MinScalar(largest_logarithm::<F>())).exp();
        let power = a * small.select(log_variate, far) - a.lgamma();
        let kernel = special::log_gamma_kernel(a, small.select(log.tape().constant(1.0), variate));
        confine_possible(small.select(power, kernel) - log + LN_2)
    }

    /// A tail from the gamma distribution of half the square, and where that may underflow, from its power.
    fn tail(
        &self,
        tail: Tail,
        value: Var<'t, F>,
        gamma: impl FnOnce(Var<'t, F>, Var<'t, F>) -> Var<'t, F>,
        power: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        let a = self.half();
        let functions = |log: Var<'t, F>, half_square: Var<'t, F>| {
            let small = above(-(log * 2.0 - LN_2), small::<F>());
            let log_power = a * (log * 2.0 - LN_2) - (a + 1.0).lgamma();
            small.select(power(log_power), gamma(a, small.select(log.tape().constant(1.0), half_square)))
        };
        match logarithm_of(value) {
            Some(log) => tail.on_line(log, |log| {
                functions(log, (log * 2.0 - LN_2).map(Map::MinScalar(largest_logarithm::<F>())).exp())
            }),
            None => tail.on_half_line(value, |x| functions(x.ln(), x.square() * 0.5)),
        }
    }

    /// The value whose half square is the gamma quantile, or has this logarithm where it is small.
    fn root(&self, half_square: Var<'t, F>, log_probability: Var<'t, F>) -> Var<'t, F> {
        let a = self.half();
        let log = (log_probability + (a + 1.0).lgamma()) / a;
        let small = above(-log, small::<F>());
        let half_square = small.select(half_square.tape().constant(1.0), half_square);
        small.select(((log + LN_2) * 0.5).exp(), (half_square * 2.0).sqrt())
    }
}

/// Half squares below e to minus this may underflow. The lower tail is a power there.
fn small<F: Real>() -> f64 {
    -F::MIN_POSITIVE.to_f64().ln() - 5.0
}

impl<'t, F: Real> Distribution<'t, F> for Chi<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        if let Some(log) = logarithm_of(value) {
            return self.log_prob_of_logarithm(log);
        }
        let end = finite_end(self.degrees_of_freedom, F::MIN_POSITIVE.to_f64());
        let density = Boundary::Excluded.confine_positive(value + end, |x| {
            let (a, log) = (self.half(), x.ln());
            let small = above(-log, 0.5 * (small::<F>() - LN_2));
            let [near, far] = [small.select(log, x.tape().constant(0.0)), small.select(x.tape().constant(1.0), x)];
            let power = a * (near * 2.0 - LN_2) - a.lgamma();
            let kernel = special::log_gamma_kernel(a, far.map(Map::MinScalar(root_of_largest::<F>())).square() * 0.5);
            confine_possible(small.select(power, kernel) - log + LN_2)
        });
        match lost_by_own_draw(value, |log| log - log.clamp(smallest_logarithm::<F>(), f64::INFINITY)) {
            Some(lost) => density + (self.degrees_of_freedom - 1.0) * lost,
            None => density,
        }
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        // √2 Γ(a + 1/2)/Γ(a)
        let a = self.half();
        Some((special::log_gamma_difference(a, a + 0.5) + 0.5 * LN_2).exp())
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // ν less the squared mean, whose logarithms differ by ln Γ(a + 1) − 2 ln Γ(a + 1/2) + ln Γ(a).
        let a = self.half();
        let step = a.tape().constant(0.5);
        Some(-self.degrees_of_freedom * (-special::log_gamma_second_difference(a, step)).expm1())
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        let excess = self.degrees_of_freedom - 1.0;
        let (rising, tape) = (above(excess, 0.0), excess.tape());
        Some(rising.select(rising.select(excess, tape.constant(1.0)).sqrt(), tape.constant(0.0)))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Chi<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Lower, value, special::gamma_p, Var::exp)
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Upper, value, special::gamma_q, |log| one_minus_exp(-log))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::LogLower, value, special::log_gamma_p, |log| log)
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::LogUpper, value, special::log_gamma_q, special::log1mexp)
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Chi<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [0.0, f64::INFINITY], |p| {
            self.root(special::gamma_p_inverse(self.half(), p), p.ln())
        })
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_inside(probability, [f64::INFINITY, 0.0], |p| {
            self.root(special::gamma_q_inverse(self.half(), p), (-p).log1p())
        })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Chi<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Chi<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.by_logarithm(log_standard_gammas(self.half(), draw, &self.event_shape(), true)?))
    }
}

impl<'t, F: Real> WeaklyReparameterized<'t, F> for Chi<Var<'t, F>> {
    fn weak_rsample(&self, draw: &Draw<'_, F>, noise: WeakNoise) -> DistributionResult<WeakPath<'t, F>> {
        let path = weak_log_gammas(self.half(), draw, &self.event_shape(), noise)?;
        Ok(WeakPath { value: self.by_logarithm(path.value), ..path })
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Chi<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        _sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        let by_half = concentration_parts(self.half(), draw, &self.event_shape(), |z| (z * 2.0).sqrt())?;
        let weights = by_half.weights.into_iter().map(|weight| weight * 0.5).collect();
        Ok(Some(Alternatives { values: by_half.values, weights }))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Chi<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        // That of the gamma variate less the mean logarithm of the value, with the large terms combined.
        let a = self.half();
        let rest = (0.5 - a) * special::digamma_minus_log(a) - special::log_gamma_kernel(a, a);
        ((a.ln() - LN_2) * 0.5 + rest).sum()
    }
}

/// That of half the squares: a divergence does not depend on the scale of the values.
impl<'t, F: Real> KlDivergence<'t, F> for Chi<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        Gamma::new(self.half(), 1.0).kl_to(&Gamma::new(other.half(), 1.0))
    }
}

impl<'t, F: Real> Chi<Var<'t, F>> {
    /// Values from logarithms of gamma variates, limited to the range of positive numbers.
    fn by_logarithm(&self, logs: Var<'t, F>) -> Var<'t, F> {
        let log = (logs + LN_2) * 0.5;
        marked(held_logarithm("Chi", log, [smallest_logarithm::<F>(), f64::INFINITY]).exp(), log)
    }
}

/// A number whose square is almost the largest one.
fn root_of_largest<F: Real>() -> f64 {
    F::MAX.to_f64().sqrt() * 0.5
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(Chi::new(p[0]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[3.4], Domain::HalfLine).with_weak_samples(20_000);
        distribution.assert_distribution(&[0.05, 1.7, 4.0], 71);
        assert_nothing_at(BUILD, &[3.4], 0.0);
        assert_nothing_at(BUILD, &[3.4], -1.0);
        for parameters in [[1e-3], [1.0], [1e6]] {
            assert_finite(BUILD, &parameters, 9);
        }
        let tape = Tape::new();
        let (p, q) = (Chi::new(tape.constant(3.4)), Chi::new(tape.constant(5.0)));
        distribution.assert_divergence(&[5.0], p.kl_to(&q).item().unwrap());
    }

    /// Degrees of freedom, a value, and the logarithms of the density and of the distribution function there, from
    /// mpmath at 60 digits.
    const SMALL_VALUES: [(f64, f64, [f64; 2]); 4] = [
        (0.001, 1e-250, [568.1628135249563, -0.5757044445730302]),
        (0.5, 1e-200, [229.49034716012645, -230.33352425812274]),
        (2.5, 1e-60, [-207.3076733281823, -346.3790696396992]),
        (2.5, 1.3e-10, [-34.22024495692762, -57.900022354274746]),
    ];

    #[test]
    fn values_whose_squares_underflow() {
        for (nu, x, known) in SMALL_VALUES {
            let tape = Tape::<f64>::new();
            let (distribution, at) = (Chi::new(tape.constant(nu)), tape.constant(x));
            for (found, known) in [distribution.log_prob(at), distribution.log_cdf(at)].into_iter().zip(known) {
                assert!((found.item().unwrap() / known - 1.0).abs() < 1e-14, "{nu} at {x}: {found:?}, not {known:e}");
            }
            let back = distribution.icdf(distribution.cdf(at)).item().unwrap();
            assert!((back / x - 1.0).abs() < 1e-11, "{nu} at {x}: {back:e}");
        }
    }
}
