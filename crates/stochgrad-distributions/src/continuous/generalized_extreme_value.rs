//! The generalised extreme value distribution: the limit of the largest of many samples, of any kind of tail. It models
//! yearly maxima of floods, winds and losses.
//!
//! $$p(x; \mu, \sigma, \xi) = \frac{1}{\sigma} t^{1 + \xi} e^{-t}, \quad t = (1 + \xi z)^{-1/\xi}, \quad z = \frac{x - \mu}{\sigma}, \quad 1 + \xi z > 0, \quad \sigma > 0,$$
//!
//! and $t = e^{-z}$ for $\xi = 0$, where it is the [Gumbel distribution](crate::Gumbel).
//!
//! Parameters: `location` $\mu$, any real number, `scale` $\sigma > 0$, and `concentration` $\xi$, the shape, which may
//! be any real number: positive for heavy upper tails (Fréchet), negative for maxima with an upper limit (reversed
//! Weibull). Some programs use $-\xi$ as their shape. Derivatives with respect to the shape are continuous at 0. The
//! parameters broadcast; their common shape is the event shape, and each element is an independent value. Support: the
//! interval above $\mu - \sigma/\xi$ for a positive shape, below it for a negative one, and the real line at 0.
//!
//! | capability | |
//! |---|---|
//! | score | none: the support depends on all parameters |
//! | reparameterised | $x = \mu + \sigma (E^{-\xi} - 1)/\xi$, any order |
//! | weak derivative with respect to $\mu$, for $\xi > -1$ | $p(m)$ at the mode $m$, $\mu + \sigma (e^{\xi y_\pm} - 1)/\xi$ with $y_\pm = s_\pm - \ln(1 + \xi)$, where $s_- < 0 < s_+$ solve $s + e^{-s} - 1 = E/(1 + \xi)$, with the same $E$ in both parts |
//!
//! No simple sampler is known for the parts of the other weak derivatives; the path is explicit. For $\xi \le -1$ the
//! density has no mode inside the support, and the weak derivative is an error.
//!
//! A sample is kept from rounding to the end of the support, where the density may be 0 or infinite.

use crate::continuous::shaped_tail::{ShapedTail, horner, log1p_ratio, shaped_exp, shaped_log, where_finite};
use crate::derivative::weak::location_derivative;
use crate::distribution::{
    above, confine_possible, confine_real, exp_minus_exp, finite_end, log_one_minus_exp_exp, one_minus_exp_exp,
    step_of_kernels,
};
use crate::prelude::*;
use stochgrad_tape::Smoothness;
use stochgrad_tensor::map::Map;

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

distribution! {
    /// Largest values of many samples, given by location, scale and shape. Use it for maxima of periods, where the kind
    /// of the tail is not known.
    ///
    /// The log-probability of given values is differentiable with respect to all parameters, so that they can be fitted.
    ///
    /// ```
    /// use stochgrad_distributions::{CumulativeDistribution, GeneralizedExtremeValue};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let floods = GeneralizedExtremeValue::new(tape.constant(3.0), 1.5, 0.2);
    /// assert!((floods.cdf(tape.constant(3.0)).item()? - (-1.0_f64).exp()).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub struct GeneralizedExtremeValue {
        /// The location, at which the distribution function is 1/e.
        location: finite.with_score(Smoothness::Jump),
        /// The scale.
        scale: positive.with_score(Smoothness::Jump),
        /// The shape.
        concentration: finite.with_score(Smoothness::Jump),
    }
    support: Interval
}

impl<'t, F: Real> GeneralizedExtremeValue<Var<'t, F>> {
    /// Largest values around `location`, with `scale > 0` and a shape of any sign.
    pub fn new(location: Var<'t, F>, scale: impl IntoVar<'t, F>, concentration: impl IntoVar<'t, F>) -> Self {
        let tape = location.tape();
        GeneralizedExtremeValue { location, scale: scale.into_var(tape), concentration: concentration.into_var(tape) }
    }

    fn shaped(&self) -> ShapedTail<'t, F> {
        ShapedTail { location: self.location, scale: self.scale, shape: self.concentration }
    }

    /// A function of probability from its form of y = −ln t, where the distribution function is exp(−e^−y).
    fn tail(&self, tail: Tail, value: Var<'t, F>, function: impl FnOnce(Var<'t, F>) -> Var<'t, F>) -> Var<'t, F> {
        tail.on_interval(value, self.shaped().ends(), |x| function(self.shaped().exponent(x)))
    }
}

impl<'t, F: Real> Distribution<'t, F> for GeneralizedExtremeValue<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let z = (value - self.location) / self.scale;
        confine_real(z, |z| {
            // With a shape of −1 the density has a finite limit at the upper end, which belongs to the support then.
            let rest = self.concentration * z + 1.0 + finite_end(-self.concentration, step_of_kernels::<F>());
            Boundary::Excluded.confine_positive(rest.map(Map::MinScalar(1.0)), |_| {
                let y = shaped_log(self.concentration, value - self.location, self.scale);
                confine_possible(-(self.concentration + 1.0) * y - (-y).exp() - self.scale.ln())
            })
        })
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        // Infinite from a shape of 1 on.
        let finite = above(1.0 - self.concentration, 0.0);
        let shape = finite.select(self.concentration, self.concentration.tape().constant(0.0));
        let mean = where_finite(self.location + self.scale * shaped_exp(shape, mean_exponent(shape)));
        let infinite = finite.tape().constant(f64::INFINITY);
        Some(finite.select(mean, infinite).broadcast_to(self.event_shape()))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        // Infinite from a shape of 1/2 on.
        let finite = above(0.5 - self.concentration, 0.0);
        let shape = finite.select(self.concentration, self.concentration.tape().constant(0.0));
        // Γ(1 − 2ξ) − Γ(1 − ξ)², from the logarithm of the ratio.
        let spread = log_moment_ratio(shape);
        let growth = where_finite(shaped_exp(shape.square(), spread));
        let variance = where_finite((self.scale * (shape * mean_exponent(shape)).exp()).square() * growth);
        Some(finite.select(variance, finite.tape().constant(f64::INFINITY)).broadcast_to(self.event_shape()))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        // Up to a shape of −1 the density is highest at the upper end.
        let inside = above(self.concentration, -1.0);
        let shape = inside.select(self.concentration, self.concentration.tape().constant(0.0));
        let mode = self.location + self.scale * shaped_exp(shape, -shape.log1p());
        Some(inside.select(mode, self.shaped().ends()[1]).broadcast_to(self.event_shape()))
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for GeneralizedExtremeValue<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Lower, value, |y| exp_minus_exp(-y))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::Upper, value, |y| one_minus_exp_exp(-y))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::LogLower, value, |y| confine_possible(-(-y).exp()))
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        self.tail(Tail::LogUpper, value, |y| log_one_minus_exp_exp(-y))
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for GeneralizedExtremeValue<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, self.shaped().ends(), |p| self.shaped().quantile(-(-p.ln()).ln()))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        let [low, high] = self.shaped().ends();
        quantile_between(probability, [high, low], |p| self.shaped().quantile(-(-(-p).log1p()).ln()))
    }
}

impl<'t, F: Real> Reparameterized<'t, F> for GeneralizedExtremeValue<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let e = draw.record_exponential(self.location.tape(), &self.event_shape())?;
        Ok(self.shaped().sample(-e.ln()))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for GeneralizedExtremeValue<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        if parameter != 0 {
            return Ok(None);
        }
        check_parameter(
            "GeneralizedExtremeValue",
            "concentration",
            self.concentration,
            "a shape above −1 for a weak derivative",
            "the density has no mode otherwise; use a method with a path",
            Condition::Inside { above: -1.0, below: f64::INFINITY },
        )?;
        let [location, scale, shape] = [self.location, self.scale, self.concentration].map(Var::stop_gradient);
        let tail = ShapedTail { location, scale, shape };
        let (power, log_power) = (shape + 1.0, shape.log1p());
        let level = |e: Var<'t, F>| {
            let drop = e / power;
            let [right, left] = [special::gumbel_level_right(drop), special::gumbel_level_left(drop)];
            (tail.sample(right - log_power), tail.sample(left - log_power))
        };
        let density_at_mode = (power * (log_power - 1.0)).exp() / scale;
        location_derivative(sample.tape(), draw, &self.event_shape(), density_at_mode, level).map(Some)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for GeneralizedExtremeValue<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let entropy = self.scale.ln() + (self.concentration + 1.0) * EULER + 1.0;
        entropy.broadcast_to(self.event_shape()).sum()
    }
}

/// Shapes below this need series.
const NEAR: f64 = 0.1;

/// ζ(k) − 1 for k = 2, 3, ….
const ZETA_MINUS_ONE: [f64; 17] = [
    0.644_934_066_848_226_4,
    0.202_056_903_159_594_3,
    0.082_323_233_711_138_19,
    0.036_927_755_143_369_93,
    0.017_343_061_984_449_14,
    0.008_349_277_381_922_827,
    0.004_077_356_197_944_34,
    0.002_008_392_826_082_214_4,
    0.000_994_575_127_818_085_3,
    0.000_494_188_604_119_464_6,
    0.000_246_086_553_308_048_3,
    0.000_122_713_347_578_489_15,
    0.000_061_248_135_058_704_83,
    0.000_030_588_236_307_020_49,
    0.000_015_282_259_408_651_87,
    0.000_007_637_197_637_899_763,
    0.000_003_817_293_264_999_84,
];

/// ln Γ(1 − ξ)/ξ for a shape below 1, which is Euler's constant at 0: the y whose value is the mean.
fn mean_exponent<F: Real>(shape: Var<'_, F>) -> Var<'_, F> {
    let far = above(shape.abs(), NEAR);
    let (small, large) = by_size(shape, far);
    // ln Γ(1 − ξ) = −ln(1 − ξ) + (γ − 1) ξ + Σ (ζ(k) − 1) ξᵏ/k.
    let rest = ZETA_MINUS_ONE.iter().enumerate().map(|(i, zeta)| zeta / (i as f64 + 2.0));
    let series = log1p_ratio(-small) + horner(small, std::iter::once(EULER - 1.0).chain(rest));
    far.select((1.0 - large).lgamma() / large, series)
}

/// ln(Γ(1 − 2ξ)/Γ(1 − ξ)²)/ξ² for a shape below 1/2, which is π²/6 at 0.
fn log_moment_ratio<F: Real>(shape: Var<'_, F>) -> Var<'_, F> {
    let far = above(shape.abs(), NEAR);
    let (small, large) = by_size(shape, far);
    // The terms of the series are those of ln Γ(1 − ξ) times 2ᵏ − 2; those of the logarithm are ln(1 + ξ²/(1 − 2ξ)).
    let rest = ZETA_MINUS_ONE.iter().enumerate().map(|(i, zeta)| {
        let k = i as f64 + 2.0;
        zeta * (k.exp2() - 2.0) / k
    });
    let room = 1.0 - small * 2.0;
    let series = log1p_ratio(small.square() / room) / room + horner(small, rest);
    let one = shape.tape().constant(1.0);
    let from = above(large, 0.0).select(1.0 - large * 2.0, one);
    far.select(special::log_gamma_second_difference(from, large.abs()) / large.square(), series)
}

/// The shape where it is small and 0 elsewhere, and the shape where it is `far` from 0 and −1 elsewhere.
fn by_size<'t, F: Real>(shape: Var<'t, F>, far: Var<'t, F>) -> (Var<'t, F>, Var<'t, F>) {
    let [zero, other] = [0.0, -1.0].map(|number| shape.tape().constant(number));
    (far.select(zero, shape), far.select(shape, other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::continuous::gumbel::Gumbel;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(GeneralizedExtremeValue::new(p[0], p[1], p[2]));

    #[test]
    fn everything_follows_the_distribution() {
        for (shape, domain, values, seed) in [
            (0.2, Domain::HeavyLine, [-2.5, 1.7, 40.0], 51),
            (0.0, Domain::Line(-12.0, 60.0), [-1.6, 0.7, 8.0], 61),
            (-0.25, Domain::Line(-20.0, 10.0), [-2.6, 1.2, 4.0], 81),
        ] {
            let distribution = DistributionCheck::new(BUILD, &[-0.7, 1.3, shape], domain).with_bounded_cost();
            distribution.assert_distribution(&values, seed);
        }
        for (shape, value) in [(0.2, -7.3), (-0.25, 4.6), (-2.0, -0.04)] {
            assert_nothing_at(BUILD, &[-0.7, 1.3, shape], value);
        }
        for parameters in [[0.0, 1e-8, 0.3], [1e6, 1e-8, 0.0], [-3.0, 1e8, -0.4], [0.0, 1.0, 12.0], [0.0, 1.0, -0.9]] {
            assert_finite(BUILD, &parameters, 9);
        }
    }

    #[test]
    fn the_shape_0_is_the_gumbel_distribution() {
        let tape = Tape::<f64>::new();
        let limit = GeneralizedExtremeValue::new(tape.constant(0.3), 1.7, 0.0);
        let gumbel = Gumbel::new(tape.constant(0.3), 1.7);
        let mut pairs = vec![
            (limit.mean().unwrap(), gumbel.mean().unwrap()),
            (limit.variance().unwrap(), gumbel.variance().unwrap()),
            (limit.mode().unwrap(), gumbel.mode().unwrap()),
            (limit.entropy(), gumbel.entropy()),
        ];
        for x in [-3.0, 0.1, 20.0] {
            let x = tape.constant(x);
            pairs.extend([
                (limit.log_prob(x), gumbel.log_prob(x)),
                (limit.cdf(x), gumbel.cdf(x)),
                (limit.log_survival(x), gumbel.log_survival(x)),
            ]);
        }
        for (found, expected) in pairs {
            let (found, expected) = (found.item().unwrap(), expected.item().unwrap());
            assert!((found - expected).abs() <= 1e-15 * expected.abs(), "{found}, not {expected}");
        }
    }

    /// Shape, mean and variance of the standard distribution, and their derivatives with respect to the shape, from
    /// mpmath at 60 digits.
    const MOMENTS: [(f64, [f64; 4]); 9] = [
        (0.0, [0.5772156649015329, 0.9890559953279725, 1.6449340668482264, 4.303077228549151]),
        (1e-300, [0.5772156649015329, 0.9890559953279725, 1.6449340668482264, 4.303077228549151]),
        (-1e-10, [0.5772156648026273, 0.9890559951464767, 1.6449340664179186, 4.303077226205484]),
        (0.01, [0.5871979644107792, 1.0075040735180405, 1.6891637935470623, 4.545640325761303]),
        (-0.099, [0.4873264923866085, 0.834855657863235, 1.3126247791321037, 2.585597323913948]),
        (0.101, [0.6874927911324004, 1.2070455244375837, 2.2340191317582168, 7.803057241572935]),
        (0.3, [0.9935177754918593, 1.9671343478045626, 5.9245766349214035, 41.078017038012895]),
        (-0.75, [0.10791663086815569, 0.4471457191339024, 0.861625706526725, -0.28259988377990447]),
        (-2.5, [-0.929340388179137, 1.0947345216260855, 17.43285413235574, -47.66975776413542]),
    ];

    #[test]
    fn moments_near_the_shape_0() {
        for (shape, known) in MOMENTS {
            let tape = Tape::<f64>::new();
            let shape = tape.parameter(shape);
            let distribution = GeneralizedExtremeValue::new(tape.constant(0.0), 1.0, shape);
            let (mean, variance) = (distribution.mean().unwrap(), distribution.variance().unwrap());
            let slope = |of| tape.backward(of, [shape]).unwrap()[0].item().unwrap();
            let found = [mean.item().unwrap(), slope(mean), variance.item().unwrap(), slope(variance)];
            for (found, known) in found.into_iter().zip(known) {
                assert!((found / known - 1.0).abs() <= 2e-13, "{shape:?}: {found:e}, not {known:e}");
            }
        }
    }
}
