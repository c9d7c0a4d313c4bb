//! Functions of the square of a ratio, without overflow.

use crate::kernels::map::{leaves_interval_body, log1p_square, log1p_square_slope};
use crate::kernels::zip::kernel::{Operand, pairs};
use crate::real::Real;

/// ln(1 + (a / b)²)
#[inline(always)]
pub(super) fn log1p_square_ratio<const FMA: bool, F: Real>(a: Operand<'_, F>, b: Operand<'_, F>, out: &mut [F]) {
    // The squares of smaller ratios do not overflow, and for these `log1p_square` has the same bits.
    let least = match b {
        Operand::Scalar(b) => b.to_f64(),
        Operand::Slice(_) => 1e-5,
    };
    let most = 0.9e9 * least;
    if all_within::<FMA, F>(a, [-most, most]) && all_within::<FMA, F>(b, [least, f64::INFINITY]) {
        pairs(
            a,
            b,
            out,
            #[inline(always)]
            |a, b| {
                let ratio = a / b;
                (ratio * ratio).ln_1p_fast::<FMA>()
            },
        );
        return;
    }
    pairs(
        a,
        b,
        out,
        #[inline(always)]
        |a, b| log1p_square::<FMA, F>(a / b),
    );
}

/// 2a / (a² + b²)
#[inline(always)]
pub(super) fn by_first<const FMA: bool, F: Real>(a: Operand<'_, F>, b: Operand<'_, F>, out: &mut [F]) {
    let near = |a: F, b: F| (a + a) / (a * a + b * b);
    if has_safe_squares::<FMA, F>(a, b) {
        return pairs(a, b, out, near);
    }
    by_range(a, b, out, near, |a, b| log1p_square_slope(a / b) / b);
}

/// −2a² / (b · (a² + b²))
#[inline(always)]
pub(super) fn by_second<const FMA: bool, F: Real>(a: Operand<'_, F>, b: Operand<'_, F>, out: &mut [F]) {
    let near = |a: F, b: F| {
        let square = a * a;
        -(square + square) / (b * (square + b * b))
    };
    if has_safe_squares::<FMA, F>(a, b) {
        return pairs(a, b, out, near);
    }
    let far = |a: F, b: F| {
        let inverse = b / a;
        F::from_f64(-2.0) / (F::ONE + inverse * inverse) / b
    };
    by_range(a, b, out, near, far);
}

/// The range of a first operand, and that of a positive second one, whose squares and cubes do not overflow, and in which
/// those of the second one do not underflow.
const SAFE: [[f64; 2]; 2] = [[-1e9, 1e9], [1e-9, 1e9]];

/// Whether all operands are in their [`SAFE`] ranges, or NaN.
#[inline(always)]
fn has_safe_squares<const FMA: bool, F: Real>(a: Operand<'_, F>, b: Operand<'_, F>) -> bool {
    all_within::<FMA, F>(a, SAFE[0]) && all_within::<FMA, F>(b, SAFE[1])
}

/// The function `near` for operands in their [`SAFE`] ranges, and `far` for others. The result for an element therefore
/// does not depend on the other elements.
#[cold]
#[inline(never)]
fn by_range<F: Real>(
    a: Operand<'_, F>,
    b: Operand<'_, F>,
    out: &mut [F],
    near: impl Fn(F, F) -> F,
    far: impl Fn(F, F) -> F,
) {
    let [of_first, of_second] = SAFE.map(|range| range.map(F::from_f64));
    let leaves = |x: F, [low, high]: [F; 2]| (x < low) | (x > high);
    pairs(a, b, out, |a, b| if leaves(a, of_first) | leaves(b, of_second) { far(a, b) } else { near(a, b) });
}

/// Whether all elements are between two bounds, or NaN.
#[inline(always)]
fn all_within<const FMA: bool, F: Real>(operand: Operand<'_, F>, [low, high]: [f64; 2]) -> bool {
    match operand {
        Operand::Slice(x) => !leaves_interval_body::<FMA, F>(x, low, high),
        Operand::Scalar(x) => !leaves_interval_body::<FMA, F>(&[x], low, high),
    }
}

#[cfg(test)]
mod tests {
    use crate::kernels::zip::{Zip, zip};
    use crate::real::Real;
    use crate::storage::pool::Pool;
    use crate::storage::tensor::Tensor;

    #[test]
    fn a_far_element_does_not_change_a_bit_of_others() {
        fn check<F: Real>() {
            let near = Tensor::from_fn([70], |i| F::from_f64((i as f64 - 30.0) * 0.37));
            let with_far = Tensor::from_fn([70], |i| if i == 40 { F::from_f64(3e12) } else { near.as_slice()[i] });
            let width = Tensor::scalar(F::from_f64(1.3));
            for op in [Zip::Log1pSquareRatio, Zip::Log1pSquareRatioByFirst, Zip::Log1pSquareRatioBySecond] {
                let [mut all, mut others] = [&near, &with_far].map(|x| zip(&Pool::new(), op, x, &width).to_vec());
                (all[40], others[40]) = (F::ZERO, F::ZERO);
                assert!(all == others, "{op:?}");
            }
        }
        check::<f32>();
        check::<f64>();
    }

    #[test]
    fn growth_of_a_ratio_has_derivatives_at_extreme_operands() {
        let [by_first, by_second] = [Zip::Log1pSquareRatioByFirst, Zip::Log1pSquareRatioBySecond];
        let cases = [
            (Zip::Log1pSquareRatio, f64::NEG_INFINITY, 2.0, f64::INFINITY),
            (Zip::Log1pSquareRatio, 1e200, 1e-50, 500.0 * std::f64::consts::LN_10),
            (by_first, f64::INFINITY, 2.0, 0.0),
            (by_first, 0.0, 1e-200, 0.0),
            (by_first, -1e200, 1e200, -1e-200),
            (by_first, 1e-200, 3e-200, 2e199),
            (by_second, f64::NEG_INFINITY, 2.0, -1.0),
            (by_second, 0.0, 1e-200, 0.0),
            (by_second, 1e200, 1e200, -1e-200),
            (by_second, 3e-200, 1e-200, -1.8e200),
            (by_second, 1e12, 1e10, -2e-10 / 1.0001),
        ];
        for (op, a, b, expected) in cases {
            let found = zip(&Pool::new(), op, &Tensor::scalar(a), &Tensor::scalar(b)).item().unwrap();
            let close = found == expected || (found - expected).abs() <= 1e-14 * expected.abs();
            assert!(close, "{op:?} of {a} and {b}: {found}, not {expected}");
        }
    }
}
