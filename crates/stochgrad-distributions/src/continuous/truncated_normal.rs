//! The truncated normal distribution: normal samples given that they lie between two bounds.
//!
//! $$p(x; \mu, \sigma, l, h) = \frac{\varphi((x - \mu)/\sigma)}{\sigma(\Phi((h - \mu)/\sigma) - \Phi((l - \mu)/\sigma))}, \quad l \le x \le h, \quad \sigma > 0.$$
//!
//! Parameters: `location` $\mu$ and `scale` $\sigma > 0$ of the normal distribution, and the bounds `low` $l$ and
//! `high` $h > l$, either of which may be infinite. The parameters broadcast; their common shape is the event shape,
//! and each element is an independent value. Support: the interval between the bounds.
//!
//! Bounds whose distance, divided by the scale, is not above the smallest normal number are refused.
//!
//! | capability | |
//! |---|---|
//! | score | none: the support moves with the bounds |
//! | reparameterised | $x = \mu + \sigma\Phi^{-1}(\cdot)$ of a uniform sample between the values of $\Phi$ at the bounds; any order in all parameters |
//!
//! The mass between the bounds, the quantiles and the moments are functions of their own, which lose no digits where
//! the bounds are forty scales away or close together.
//!
//! Bounds that are equal in units of the scale are an error, as are those that lie more than $10^{10}$ scales from the
//! location on the same side.

use crate::distribution::{confine_possible, log_unless_likely};
use crate::prelude::*;
use stochgrad_tape::Smoothness;

distribution! {
    /// Normal samples given that they lie between two bounds, either of which may be infinite.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, TruncatedNormal};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let distribution = TruncatedNormal::new(tape.constant(0.0), 1.0, 0.0, f64::INFINITY);
    /// assert!((distribution.mean().unwrap().item()? - (2.0 / std::f64::consts::PI).sqrt()).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub struct TruncatedNormal {
        /// The location of the normal distribution.
        location,
        /// The scale of the normal distribution.
        scale,
        /// The lower bound.
        low,
        /// The upper bound.
        high,
    }
}

impl<'t, F: Real> TruncatedNormal<Var<'t, F>> {
    /// Normal samples around `location` with `scale > 0`, given that they lie between `low` and `high > low`.
    pub fn new(
        location: Var<'t, F>,
        scale: impl IntoVar<'t, F>,
        low: impl IntoVar<'t, F>,
        high: impl IntoVar<'t, F>,
    ) -> Self {
        TruncatedNormal {
            location,
            scale: scale.into_var(location.tape()),
            low: low.into_var(location.tape()),
            high: high.into_var(location.tape()),
        }
    }
}

impl<'t, F: Real> Distribution<'t, F> for TruncatedNormal<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "TruncatedNormal"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let moves = |name, var| Parameter::smooth(name, var).with_score(Smoothness::Jump);
        smallvec![
            Parameter::smooth("location", self.location),
            Parameter::smooth("scale", self.scale),
            moves("low", self.low),
            moves("high", self.high)
        ]
    }

    fn event_shape(&self) -> Shape {
        common_shape(&[self.location, self.scale, self.low, self.high])
    }

    fn support(&self) -> Support {
        Support::Interval
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let outside = Boundary::Included.outside((value - self.low).minimum(self.high - value));
        let (low, high) = self.standard_bounds();
        // From the bound nearer to the location, whose distance to the value is exact: far out, the score is the small
        // difference of large terms otherwise.
        let [above, below] = self.sides();
        let edge = above.select(self.low, below.select(self.high, self.location));
        let distance = (value - edge) / self.scale;
        let place = (edge - self.location) / self.scale;
        let height = -(special::normal_log_mass_at_edge(low, high) + self.scale.ln());
        let density = height - distance * (place + distance * 0.5);
        outside.select(value.tape().constant(f64::NEG_INFINITY), confine_possible(density))
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        let (low, high) = self.standard_bounds();
        let bent = self.held(self.location + self.scale * special::truncated_normal_mean(low, high));
        Some(self.is_flat().select(self.low * 0.5 + self.high * 0.5, bent))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let ((low, high), flat) = (self.standard_bounds(), self.is_flat());
        let (tape, variance) = (self.scale.tape(), special::truncated_normal_variance(low, high));
        // The width may be infinite, and the derivative of its square is then multiplied by zero.
        let width = flat.select(self.high - self.low, tape.constant(0.0));
        let scale = flat.select(tape.constant(1.0), self.scale);
        Some(flat.select(width.square() * (1.0 / 12.0), scale.square() * variance))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.location.maximum(self.low).minimum(self.high))
    }

    fn validate(&self) -> DistributionResult<()> {
        finite("TruncatedNormal", "location", self.location)?;
        positive("TruncatedNormal", "scale", self.scale)?;
        let hint = "give the lower bound first; bounds may be infinite";
        check_parameter(
            "TruncatedNormal",
            "high - low",
            self.high - self.low,
            "positive",
            hint,
            Condition::AtMost { above: 0.0, high: f64::INFINITY },
        )?;
        let (low, high) = self.standard_bounds();
        check_parameter(
            "TruncatedNormal",
            "(high - low) / scale",
            high - low,
            "above 2.3e-308 (1.2e-38 in f32), with an interval that begins at most 1e10 scales from the location",
            "so far out, or so close together, the bounds are equal to rounding; use their middle, or a larger scale",
            Condition::AtMost { above: F::MIN_POSITIVE.to_f64(), high: f64::INFINITY },
        )
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for TruncatedNormal<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_interval(value, [self.low, self.high], |x| self.lower(x))
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_interval(value, [self.low, self.high], |x| self.upper(x))
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_interval(value, [self.low, self.high], |x| {
            log_unless_likely(self.log_share(x, |[low, x, _]| [low, x]), self.upper(x))
        })
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_interval(value, [self.low, self.high], |x| {
            log_unless_likely(self.log_share(x, |[_, x, high]| [x, high]), self.lower(x))
        })
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for TruncatedNormal<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, [self.low, self.high], |p| self.quantile_inside(p))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, [self.high, self.low], |p| {
            let (low, high) = self.standard_bounds();
            self.held(self.location - self.scale * special::truncated_normal_icdf(p, -high, -low))
        })
    }
}

impl<'t, F: Real> Reparameterized<'t, F> for TruncatedNormal<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let u = draw.record_uniform(self.location.tape(), &self.event_shape())?;
        Ok(self.quantile_inside(u))
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for TruncatedNormal<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        let (low, high) = self.standard_bounds();
        let ([above, below], zero) = (self.sides(), low.tape().constant(0.0));
        let (tail, from, to) = (above + below, below.select(-high, low), below.select(-low, high));
        // The mean distance from the point nearest to the location, of which the log-density is a quadratic function.
        let distance =
            tail.select(special::truncated_normal_excess(from, to), special::truncated_normal_mean(low, high));
        let square = special::truncated_normal_variance(low, high) + distance.square();
        let mass = special::normal_log_mass_at_edge(low, high);
        let entropy = self.scale.ln() + mass + tail.select(from, zero) * distance + square * 0.5;
        entropy.broadcast_to(self.event_shape()).sum()
    }
}

/// Bounds beyond this many scales are as good as infinite.
const FAR: f64 = 1e10;

impl<'t, F: Real> TruncatedNormal<Var<'t, F>> {
    /// The bounds in units of the scale, from the location.
    fn standard_bounds(&self) -> (Var<'t, F>, Var<'t, F>) {
        (self.standardize(self.low, FAR), self.standardize(self.high, FAR))
    }

    /// A value in units of the scale, from the location, held at `far` on either side.
    fn standardize(&self, value: Var<'t, F>, far: f64) -> Var<'t, F> {
        let (tape, distance) = (value.tape(), value - self.location);
        let [limit, size] = [self.scale * far, distance.abs()].map(Var::held);
        let beyond = size.ge(limit);
        // The quotient may be infinite, and its derivatives are multiplied by zero.
        let near = beyond.select(tape.constant(0.0), distance) / beyond.select(tape.constant(1.0), self.scale);
        beyond.select(distance.held().sign() * far, near)
    }

    /// 1 where the scale is so large that the density is constant between the bounds, up to rounding. There the square
    /// of the scale may overflow, and the moments in units of the scale underflow.
    fn is_flat(&self) -> Var<'t, F> {
        let (low, high) = self.standard_bounds();
        let bend = (low.abs().maximum(high.abs()) * (high - low)).held();
        bend.lt(bend.tape().constant(F::EPSILON.to_f64().powi(2)))
    }

    /// The logarithm of the probability between a value and one of the bounds, which are chosen from the lower bound,
    /// the value, and the upper bound. It is −∞ where rounding makes them equal.
    fn log_share(&self, value: Var<'t, F>, of: impl FnOnce([Var<'t, F>; 3]) -> [Var<'t, F>; 2]) -> Var<'t, F> {
        // Beyond, the squares overflow.
        let far = F::MAX.to_f64().sqrt() * 1e-3;
        let [low, value, high] = [self.low, value, self.high].map(|x| self.standardize(x, far));
        let [from, to] = of([low, value, high]);
        let (tape, none) = (value.tape(), to.held().le(from.held()));
        let part = special::normal_log_mass(none.select(low, from), none.select(high, to));
        let log = part - special::normal_log_mass(low, high);
        none.select(tape.constant(f64::NEG_INFINITY), log)
    }

    /// The quantile of a probability inside (0, 1).
    fn quantile_inside(&self, p: Var<'t, F>) -> Var<'t, F> {
        let (low, high) = self.standard_bounds();
        self.held(self.location + self.scale * special::truncated_normal_icdf(p, low, high))
    }

    /// A quantile. Rounding must not leave the interval.
    fn held(&self, quantile: Var<'t, F>) -> Var<'t, F> {
        quantile.maximum(self.low).minimum(self.high)
    }

    /// The distribution function between the bounds.
    fn lower(&self, value: Var<'t, F>) -> Var<'t, F> {
        let (low, high) = self.standard_bounds();
        special::truncated_normal_cdf(self.standardize(value, FAR), low, high)
    }

    /// The survival function between the bounds: that of the mirror image.
    fn upper(&self, value: Var<'t, F>) -> Var<'t, F> {
        let (low, high) = self.standard_bounds();
        special::truncated_normal_cdf(-self.standardize(value, FAR), -high, -low)
    }

    /// 1 where both bounds are above the location, and 1 where both are below it. Which bound is nearer has no
    /// derivative.
    fn sides(&self) -> [Var<'t, F>; 2] {
        [self.low.gt(self.location), self.location.gt(self.high)].map(Var::held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derivative::implicit::implicit_path;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use std::f64::consts::LN_2;
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(TruncatedNormal::new(p[0], p[1], p[2], p[3]));
    const BETWEEN: Build = |p| Box::new(TruncatedNormal::new(p[2], p[3], p[0], p[1]));

    #[test]
    fn scores_far_from_the_location_have_the_right_sign_in_single_precision() {
        // With the bound b in units of the scale, the score of the location is x − b − 1/b or so.
        for bound in [40.0_f32, 1e3, 4e3, 1e5] {
            for side in [1.0, -1.0] {
                let tape = Tape::<f32>::new();
                let location = tape.parameter(0.0);
                let far = f32::INFINITY * side;
                let ends = if side > 0.0 { [bound, far] } else { [far, -bound] }.map(|end| tape.constant(end));
                let distribution = TruncatedNormal::new(location, 1.0, ends[0], ends[1]);
                let log = distribution.log_prob(tape.constant(bound * side));
                let [score] = tape.backward(log, [location]).unwrap();
                let expected = -side / bound;
                assert!((score.as_slice()[0] / expected - 1.0).abs() < 2e-3, "{bound}: {score:?}, not {expected}");
            }
        }
    }

    #[test]
    fn moments_are_those_of_a_uniform_distribution_where_the_density_is_flat() {
        for scale in [1e4, 1e10, 1e20, 1e200, 1e300] {
            let tape = Tape::<f64>::new();
            let parameters = [0.3, scale, -1.0, 2.5].map(|value| tape.parameter(value));
            let [location, scale, low, high] = parameters;
            let distribution = TruncatedNormal::new(location, scale, low, high);
            let (mean, variance) = (distribution.mean().unwrap(), distribution.variance().unwrap());
            assert!((mean.item().unwrap() - 0.75).abs() < 1e-8);
            assert!((variance.item().unwrap() / (3.5 * 3.5 / 12.0) - 1.0).abs() < 1e-7, "{scale:?}: {variance:?}");
            for (gradient, expected) in tape.backward(variance, parameters).unwrap().iter().zip([0.0, 0.0, -7.0, 7.0]) {
                let slope = gradient.item().unwrap();
                assert!((slope - expected / 12.0).abs() < 1e-6, "{scale:?}: {slope}, not {}", expected / 12.0);
            }
        }
        let tape = Tape::<f64>::new();
        let parameters = [0.3, 1.2, f64::NEG_INFINITY, f64::INFINITY].map(|value| tape.parameter(value));
        let [location, scale, low, high] = parameters;
        let distribution = TruncatedNormal::new(location, scale, low, high);
        for (moment, slopes) in [(distribution.mean(), [1.0, 0.0]), (distribution.variance(), [0.0, 2.4])] {
            let gradients = tape.backward(moment.unwrap(), [location, scale]).unwrap();
            assert_eq!(gradients.map(|gradient| gradient.item().unwrap()), slopes);
        }
        // The sum of the location and the distance rounds beyond the bound.
        let tape = Tape::<f32>::new();
        let distribution = TruncatedNormal::new(tape.constant(1e5), 1e-5, 0.3125, 2.3125);
        assert_eq!(distribution.mean().unwrap().item(), Ok(2.3125));
    }

    #[test]
    fn everything_follows_the_distribution() {
        for (bounds, values, seed) in [
            ([-1.0, 2.5], [-0.9, 0.4, 2.0], 121),
            ([9.0, 9.7], [9.05, 9.2, 9.6], 131),
            ([-9.6, -9.0], [-9.5, -9.4, -9.1], 141),
        ] {
            let distribution = DistributionCheck::new(BETWEEN, &[bounds[0], bounds[1], 0.3, 1.4], Domain::Parameters);
            distribution.assert_distribution(&values, seed);
        }
        assert_nothing_at(BUILD, &[0.3, 1.4, -1.0, 2.5], 2.6);
        for parameters in [[0.0, 1e-8, -1.0, 1.0], [0.0, 1.0, 40.0, 41.0], [0.0, 1e8, -1.0, 1.0]] {
            assert_finite(BUILD, &parameters, 9);
        }
        for parameters in [[0.0, 1.0, 0.5, f64::INFINITY], [0.0, 1.0, f64::NEG_INFINITY, -8.0]] {
            assert_finite(BUILD, &parameters, 9);
            assert_nothing_at(BUILD, &parameters, 0.0);
        }
    }

    /// Far out the derivative from the distribution function and the density agrees with that of the quantile.
    #[test]
    fn implicit_and_explicit_paths_agree_far_out() {
        for (low, high) in [(40.0, 41.0), (-1.0, 2.5), (-9.6, -9.0)] {
            let tape = Tape::<f64>::new();
            let parameters = [0.0, 1.0, low, high].map(|value| tape.parameter(value));
            let [location, scale, low, high] = parameters;
            let distribution = TruncatedNormal::new(location, scale, low, high);
            let value = distribution.icdf(tape.constant(0.3));
            let explicit = tape.backward(value, parameters).expect("gradients");
            let implicit = tape.backward(implicit_path(&distribution, value), parameters).expect("gradients");
            // With respect to the scale, the difference is a small part of a bound.
            let size = low.item().expect("a number").abs().max(1.0);
            for (one, other) in explicit.iter().zip(&implicit) {
                let (one, other) = (one.item().expect("a number"), other.item().expect("a number"));
                assert!((one - other).abs() < 1e-12 * size, "{one} and {other} above {low:?}");
            }
        }
    }

    const INF: f64 = f64::INFINITY;

    /// Parameters, a value, and the logarithms of both tails there, from mpmath at 60 digits.
    const FAR_OUT: [([f64; 4], f64, [f64; 2]); 6] = [
        ([3e7, 2.603125, -59967858312712.42, 2.5e10], -622609865403.4867, [-2.8605780725550065e+22, 0.0]),
        ([-2.775924894974933e-221, 1.246875, -1e8, 6.648594674113616e49], 1e18, [0.0, -3.2160602006268806e+35]),
        ([0.5578125, 1e-300, -1e11, 1.328125], 0.7109375, [0.0, -INF]),
        ([1e30, 1.0, -INF, INF], 1e30, [-LN_2, -LN_2]),
        ([1e30, 1e-20, -INF, 1e35], 1e30, [-LN_2, -LN_2]),
        ([6.724311667398641e84, 3.217236586999139e-66, -9e174, 5.5e219], 1e90, [0.0, -INF]),
    ];

    #[test]
    fn values_and_bounds_may_be_any_number_of_scales_from_the_location() {
        for (parameters, value, expected) in FAR_OUT {
            let tape = Tape::<f64>::new();
            let [location, scale, low, high] = parameters.map(|parameter| tape.parameter(parameter));
            let distribution = TruncatedNormal::new(location, scale, low, high);
            distribution.validate().unwrap();
            let value = tape.constant(value);
            let logs = [distribution.log_cdf(value), distribution.log_survival(value)];
            for (log, expected) in logs.into_iter().zip(expected) {
                let found = log.item().unwrap();
                let near = (found - expected).abs() <= 1e-13 * expected.abs();
                assert!(found == expected || near, "{parameters:?}: {found}, expected {expected}");
                let [by_location, by_scale] = tape.backward(log, [location, scale]).unwrap();
                assert!(!by_location.item().unwrap().is_nan() && !by_scale.item().unwrap().is_nan(), "{parameters:?}");
            }
            let draw = distribution.icdf(tape.constant(0.4)).item().unwrap();
            let [location, scale, low, high] = parameters;
            let near = (draw - location).abs() <= location.abs().max(scale);
            assert!(near && draw >= low && draw <= high, "{parameters:?}: {draw}");
        }
    }

    #[test]
    fn bounds_that_are_equal_to_rounding_are_refused() {
        for parameters in [
            [1.2294629955196573e212, 4.056282359116959e229, -0.0625, 0.25],
            [1.2937904501768492e152, 0.5359375, -0.4609375, 1e8],
            [2.4100532064294426e56, 6.846024339541146e56, -1e-10, 0.703125],
            [2.447205812836447e27, 1.0, -1e-8, 250000.0],
            [2.982807082300455e23, 14000000.0, -1e-9, 2.5],
        ] {
            let tape = Tape::<f64>::new();
            let [location, scale, low, high] = parameters.map(|parameter| tape.parameter(parameter));
            let error = TruncatedNormal::new(location, scale, low, high).validate().unwrap_err().to_string();
            assert!(error.contains("(high - low) / scale"), "{error}");
        }
    }

    #[test]
    fn bounds_without_a_distance_in_units_of_the_scale_are_refused() {
        let tape = stochgrad_tape::Tape::<f64>::new();
        let validated = |scale: f64| TruncatedNormal::new(tape.constant(0.0), scale, 0.0, 1e-10).validate();
        assert!(validated(1e300).unwrap_err().to_string().contains("so close together"));
        assert!(validated(1e290).is_ok());
    }
}
