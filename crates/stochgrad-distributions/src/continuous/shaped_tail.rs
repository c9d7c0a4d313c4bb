//! The logarithm and the exponential with a shape $\xi$, which the distributions of extreme values share:
//!
//! $$y = \frac{\ln(1 + \xi z)}{\xi}, \quad z = \frac{e^{\xi y} - 1}{\xi},$$
//!
//! both the identity at $\xi = 0$. All derivatives with respect to the shape are continuous there, and neither they nor
//! the values lose digits nearby: where $u = \xi y$ is small, $(e^u - 1)/u$ is $e^{u/2} \sinh(u/2)/(u/2)$.

use crate::derivative::underflow::{finite_draws_around, largest_logarithm};
use crate::distribution::above;
use stochgrad_tape::{Var, special};
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;

/// Products below this are small.
const NEAR: f64 = 0.5;

/// ln(1 + ξz)/ξ with z = `distance`/`scale`. Where 1 + ξz is not positive, or is lost in rounding, it counts as half a
/// rounding of 1.
pub(crate) fn shaped_log<'t, F: Real>(shape: Var<'t, F>, distance: Var<'t, F>, scale: Var<'t, F>) -> Var<'t, F> {
    let (tape, largest) = (distance.tape(), F::MAX.to_f64());
    let [zero, one] = [0.0, 1.0].map(|number| tape.constant(number));
    let z = distance / scale;
    let beyond = z.held().map(Map::Outside(-largest, largest));
    let z = beyond.select(z.held().clamp(-largest, largest), z);
    let product = (shape * z).map(Map::MaxScalar(F::EPSILON.to_f64() * 0.5 - 1.0));
    // From there on, 1 + ξz is ξz, which may overflow.
    let (far, huge) = (above(product.abs(), NEAR), above(product, 16.0 / F::EPSILON.to_f64()));
    let moderate = far.select(huge.select(one, product), one);
    let ratio = far.select(moderate.log1p() / moderate, log1p_ratio(far.select(zero, product)));
    let [shape, distance, scale] = [shape, distance, scale].map(|factor| huge.select(factor, one));
    let logarithm = (shape.abs().ln() + distance.abs().ln() - scale.ln()) / shape;
    huge.select(logarithm, z * ratio)
}

/// (e^(ξy) − 1)/ξ.
pub(crate) fn shaped_exp<'t, F: Real>(shape: Var<'t, F>, y: Var<'t, F>) -> Var<'t, F> {
    let [zero, one] = [0.0, 1.0].map(|number| y.tape().constant(number));
    let product = shape * y;
    let far = above(product.abs(), NEAR);
    // An infinite product would be divided by itself.
    let moderate = far.select(product, one).map(Map::MinScalar(F::MAX.to_f64()));
    y * far.select(moderate.expm1() / moderate, expm1_ratio(far.select(zero, product)))
}

/// ln(1 + w)/w for w of the size of 1 or less, also at 0.
pub(crate) fn log1p_ratio<F: Real>(w: Var<'_, F>) -> Var<'_, F> {
    // u/(e^u − 1) with u = ln(1 + w).
    expm1_ratio(w.log1p()).recip()
}

/// (e^u − 1)/u for u of the size of 1 or less, also at 0.
pub(crate) fn expm1_ratio<F: Real>(u: Var<'_, F>) -> Var<'_, F> {
    let half = u * 0.5;
    (half + special::log_sinhc(half)).exp()
}

/// A result that may overflow, with derivatives of 0 where it is infinite: terms of its derivatives may cancel there.
pub(crate) fn where_finite<F: Real>(value: Var<'_, F>) -> Var<'_, F> {
    let infinite = value.held().map(Map::Outside(-F::MAX.to_f64(), F::MAX.to_f64()));
    infinite.select(value.held(), value)
}

/// The polynomial with these coefficients, the constant one first.
pub(crate) fn horner<F: Real>(x: Var<'_, F>, coefficients: impl Iterator<Item = f64>) -> Var<'_, F> {
    let coefficients: Vec<f64> = coefficients.collect();
    let last = x * 0.0 + coefficients.last().copied().unwrap_or_default();
    coefficients.iter().rev().skip(1).fold(last, |sum, &coefficient| sum * x + coefficient)
}

/// A distribution of extreme values: a function of y in the equations above, with z in units of the scale from the
/// location.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShapedTail<'t, F: Real> {
    pub(crate) location: Var<'t, F>,
    pub(crate) scale: Var<'t, F>,
    pub(crate) shape: Var<'t, F>,
}

impl<'t, F: Real> ShapedTail<'t, F> {
    /// y at a value.
    pub(crate) fn exponent(&self, value: Var<'t, F>) -> Var<'t, F> {
        shaped_log(self.shape, value - self.location, self.scale)
    }

    /// The quantile with this y, which rounding keeps between the ends of the support.
    pub(crate) fn quantile(&self, y: Var<'t, F>) -> Var<'t, F> {
        let [low, high] = self.ends();
        where_finite(self.value(y)).maximum(low).minimum(high)
    }

    /// The value at a y, which may be infinite where it overflows.
    pub(crate) fn value(&self, y: Var<'t, F>) -> Var<'t, F> {
        self.location + self.scale * shaped_exp(self.shape, y)
    }

    /// The lower and the upper end of the values at which 1 + ξz is positive.
    pub(crate) fn ends(&self) -> [Var<'t, F>; 2] {
        let (tape, shape) = (self.shape.tape(), self.shape.held());
        let [zero, one, infinity] = [0.0, 1.0, f64::INFINITY].map(|number| tape.constant(number));
        let (rising, falling) = (shape.gt(zero), shape.lt(zero));
        let divisor = (rising + falling).select(self.shape, one);
        let end = self.location - self.scale / divisor;
        [rising.select(end, -infinity), falling.select(end, infinity)]
    }

    /// A sample from its y: finite, and so far from an end of the support that rounding does not reach it. There, the
    /// path keeps the derivative of y.
    pub(crate) fn sample(&self, y: Var<'t, F>) -> Var<'t, F> {
        let [location, scale, shape] = [self.location, self.scale, self.shape].map(Var::held);
        // What the rounding of the location and of the sample is in units of the distance of the end.
        let rounding = ((location * shape / scale).abs() + 1.0) * (8.0 * F::EPSILON.to_f64());
        let least = rounding.map(Map::MinScalar(0.5)).ln();
        let most = (largest_logarithm::<F>() - 8.0) - scale.ln().relu();
        let (low, high) = (least / shape, most.map(Map::MaxScalar(0.5)) / shape);
        let held = y.held().maximum(low.minimum(high)).minimum(low.maximum(high));
        finite_draws_around(self.value(held.straight_through(y)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_tape::Tape;

    /// Shape, z, ln(1 + ξz)/ξ, and its first, second and third derivatives with respect to the shape, from mpmath at 60
    /// digits.
    const LOGARITHMS: [(f64, f64, [f64; 4]); 8] = [
        (0.0, 1.75, [1.75, -1.53125, 3.5729166666666665, -14.068359375]),
        (1e-12, 1.75, [1.7499999999984688, -1.531249999996427, 3.572916666652598, -14.068359374921217]),
        (-0.001, 2.5, [2.5031302181185304, -3.1354460418706416, 10.475495608092578, -59.06495190961686]),
        (0.1, 2.4, [2.151113796169455, -2.15629925201713, 5.665006892579859, -24.939968786056106]),
        (0.125, 2.5, [2.175469723869134, -2.1656625528578344, 5.625657535067755, -24.444568229597184]),
        (-0.375, 2.0, [3.696784962986375, -11.475240098703, 109.46538614025067, -1854.9435775446614]),
        (1.5, 30.0, [2.552427597659397, -1.2668357897439455, 1.405560511088966, -2.4412681414349384]),
        (-0.25, -900.0, [-21.682139997089145, -70.79935644853356, -502.95997023499103, -5530.286074519453]),
    ];

    /// Shape, y, (e^(ξy) − 1)/ξ, and its first, second and third derivatives with respect to the shape.
    const EXPONENTIALS: [(f64, f64, [f64; 4]); 8] = [
        (0.0, 1.75, [1.75, 1.53125, 1.7864583333333333, 2.3447265625]),
        (1e-12, -1.75, [-1.7499999999984688, 1.5312499999982137, -1.7864583333309887, 2.3447265624967173]),
        (-0.001, 2.5, [2.496877602539876, 3.119796546225653, 5.1985774671802805, 9.746114080527848]),
        (0.1, 2.4, [2.712491503214047, 3.385064575573243, 5.522659547048041, 10.057696128989738]),
        (0.125, 2.5, [2.934703529390371, 3.85913058835296, 6.595807645042457, 12.555359165705564]),
        (-0.375, 2.0, [1.4070225260239608, 1.232771788111817, 1.536206307358867, 2.212497333729289]),
        (1.5, 30.0, [2.3289514038323397e+19, 6.831590784574863e+20, 2.004968386321441e+22, 5.887175113083029e+23]),
        (-0.25, -40.0, [-88101.86317922687, 3171827.0744521674, -115594764.49114566, 4251638069.5767717]),
    ];

    type Function = for<'t> fn(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>;

    fn check(function: Function, table: &[(f64, f64, [f64; 4])]) {
        for &(shape, at, known) in table {
            let tape = Tape::<f64>::new();
            let shape = tape.parameter(shape);
            let mut found = function(shape, tape.constant(at));
            for (order, known) in known.into_iter().enumerate() {
                let error = (found.item().unwrap() / known - 1.0).abs();
                // Each derivative divides differences by a product that is at least a half.
                let bound = [4e-16, 4e-15, 4e-14, 4e-13][order];
                assert!(error <= bound, "{shape:?} at {at}, order {order}: {found:?}, not {known:e}");
                [found] = tape.grad(found, [shape]).unwrap();
            }
        }
    }

    #[test]
    fn the_largest_shape_has_infinite_values() {
        let tape = Tape::<f64>::new();
        let value = |shape: f64| shaped_exp(tape.constant(shape), tape.constant(7.6)).item().unwrap();
        assert_eq!([value(f64::MAX), value(-f64::MAX)], [f64::INFINITY, 0.0]);
    }

    #[test]
    fn derivatives_with_respect_to_the_shape_are_those_of_the_limit_at_0_and_nearby() {
        check(|shape, z| shaped_log(shape, z, z.tape().constant(1.0)), &LOGARITHMS);
        check(shaped_exp, &EXPONENTIALS);
    }

    #[test]
    fn products_that_overflow_have_a_logarithm() {
        let tape = Tape::<f32>::new();
        let shape = tape.parameter(10.0);
        let y = shaped_log(shape, tape.constant(f32::MAX), tape.constant(1.0));
        let expected = (10.0_f64.ln() + f64::from(f32::MAX).ln()) / 10.0;
        assert!((f64::from(y.item().unwrap()) - expected).abs() < 1e-6);
        let [slope] = tape.backward(y, [shape]).unwrap();
        assert!((f64::from(slope.item().unwrap()) - (0.01 - expected / 10.0)).abs() < 1e-6);
    }
}
