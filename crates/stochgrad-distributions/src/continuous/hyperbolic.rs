//! The hyperbolic sine and its inverse, for the distributions whose samples are the hyperbolic sine of noise.

use crate::derivative::own_draws::{lost_by_own_draw, marked};
use crate::derivative::underflow::{finite_draws_around, held_logarithm, largest_logarithm};
use crate::distribution::{above, check_parameter};
use crate::error::DistributionResult;
use std::f64::consts::LN_2;
use stochgrad_tape::{Condition, Var};
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;

/// Where 1 + y² is y² up to rounding.
pub(super) const FAR: f64 = 1e9;

/// sinh t, without the cancellation of its two exponentials.
pub(super) fn sinh<F: Real>(t: Var<'_, F>) -> Var<'_, F> {
    (t.expm1() - (-t).expm1()) * 0.5
}

/// The t with sinh t = y.
pub(super) fn asinh<F: Real>(y: Var<'_, F>) -> Var<'_, F> {
    // From the positive side, except near 0, where both formulas hold: the derivative at 0 is 1.
    let negative = above(-y, 0.25);
    let size = negative.select(-y, y);
    let square = size.square();
    let near = (size + square / ((square + 1.0).sqrt() + 1.0)).log1p();
    let value = above(size, FAR).select(size.ln() + LN_2, near);
    negative.select(-value, value)
}

/// Checks that the t of which samples are the hyperbolic sine, of at most this size, is within the range of numbers.
///
/// # Errors
/// Names the first element that is not.
pub(super) fn within_range<F: Real>(distribution: &'static str, largest: Var<'_, F>) -> DistributionResult<()> {
    let hint = "the inverse hyperbolic sines of the samples are beyond the range of numbers; use a larger tail weight";
    let name = "inverse hyperbolic sine of a sample";
    check_parameter(distribution, name, largest, "a finite number", hint, Condition::Finite)
}

/// `location + scale · sinh t` for random t: a sample of the distribution with this name. A sample beyond the range of
/// floating-point numbers is limited, and derivatives that depend on how far beyond it is are errors. It remembers t.
pub(super) fn sinh_sample<'t, F: Real>(
    distribution: &'static str,
    [location, scale]: [Var<'t, F>; 2],
    t: Var<'t, F>,
) -> Var<'t, F> {
    let bound = largest_size(scale);
    let share = t / bound;
    let limited = held_logarithm(distribution, share, [-1.0, 1.0]) * bound;
    let within = above(share.abs(), 1.0).select(limited, t);
    marked(finite_draws_around(location + scale * sinh(within)), t)
}

/// What the inverse hyperbolic sine of a standardized value has lost where the value is a [sample](sinh_sample) beyond
/// the range of floating-point numbers; 0 elsewhere.
pub(super) fn lost_by_sample<'t, F: Real>(value: Var<'t, F>, scale: Var<'t, F>) -> Var<'t, F> {
    let bound = largest_size(scale);
    lost_by_own_draw(value, |t| t - t.minimum(bound).maximum(-bound)).unwrap_or_else(|| value.tape().constant(0.0))
}

/// The largest t of which `scale · sinh t` and sinh t are within the range of floating-point numbers.
fn largest_size<F: Real>(scale: Var<'_, F>) -> Var<'_, F> {
    // With scales next to the largest number, samples of t = 1 are still within the range.
    (-scale.held().ln().map(Map::MaxScalar(0.0)) + (largest_logarithm::<F>() - 4.0)).map(Map::MaxScalar(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_tape::Tape;

    #[test]
    fn values_and_derivatives_are_those_of_the_hyperbolic_functions() {
        let tape = Tape::<f64>::new();
        for y in [0.0, 1e-300, -1e-9, 0.2, -0.24, -0.26, 0.7, -3.0, 1e5, -2e9, 1e200, -1e308] {
            let at = tape.parameter(y);
            let t = asinh(at);
            let [slope] = tape.backward(t, [at]).unwrap();
            let expected = [y.asinh(), y.hypot(1.0).recip()];
            for (found, expected) in [t.item().unwrap(), slope.item().unwrap()].into_iter().zip(expected) {
                assert!((found - expected).abs() <= 2e-15 * expected.abs(), "asinh {y}: {found}, not {expected}");
            }
        }
        for t in [0.0, 1e-300, -1e-9, 0.2, -3.0, 30.0, -700.0] {
            let at = tape.parameter(t);
            let y = sinh(at);
            let [slope] = tape.backward(y, [at]).unwrap();
            for (found, expected) in [y.item().unwrap(), slope.item().unwrap()].into_iter().zip([t.sinh(), t.cosh()]) {
                assert!((found - expected).abs() <= 2e-15 * expected.abs(), "sinh {t}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn samples_of_the_largest_scales_are_within_the_range() {
        let tape = Tape::<f32>::new();
        let scale = tape.constant(1e37);
        assert_eq!(largest_size(scale).item(), Ok(1.0));
        assert_eq!(lost_by_sample(tape.constant(0.1), scale).item(), Ok(0.0));
        let sample = sinh_sample("JohnsonSu", [tape.constant(0.0), scale], tape.constant(1e-37));
        assert!((sample.item().unwrap() - 1.0).abs() < 1e-5);
        assert_eq!(lost_by_sample(sample, scale).item(), Ok(0.0));
    }

    #[test]
    fn second_derivatives_at_zero() {
        let tape = Tape::<f64>::new();
        let at = tape.parameter(0.0);
        for function in [sinh(at), asinh(at)] {
            let [slope] = tape.gradients(function, &[at]).unwrap().try_into().unwrap();
            let [curvature] = tape.backward(slope, [at]).unwrap();
            assert_eq!(curvature.item(), Ok(0.0));
        }
    }
}
