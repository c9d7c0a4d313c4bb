//! The element types of tensors.

use std::fmt::{Debug, Display, LowerExp};
use std::iter::{Product, Sum};
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, Sub, SubAssign};

use approx::{RelativeEq, UlpsEq};

use crate::special;

pub(crate) mod sealed {
    /// Seals [`Real`](super::Real), and contains the operations of an element type that only this crate uses.
    pub trait Element: crate::kernels::elementary::Elementary {
        /// The number of 32-bit random words for one uniform value.
        const WORDS: usize;

        /// A value in the open unit interval, from `WORDS` random words. With `mirrored`, the words are flipped first.
        fn open_unit(words: &[u32], mirrored: bool) -> Self;

        /// The distance of the value of `WORDS` random words to the nearer end of the unit interval, negative if that
        /// is the upper end. Flipped words give the same with the opposite sign.
        fn folded_unit(words: &[u32]) -> Self;
    }
}

/// An element type: `f32` or `f64`.
///
/// The trait is sealed. Its functions are those of `std` unless their documentation says otherwise. Special functions
/// are computed in `f64` and rounded.
///
/// ```
/// use stochgrad_tensor::Real;
///
/// fn logistic_loss<F: Real>(margin: F) -> F {
///     (-margin).softplus()
/// }
/// assert_eq!(logistic_loss(-800.0_f64), 800.0);
/// ```
pub trait Real:
    sealed::Element
    + bytemuck::Pod
    + Copy
    + Send
    + Sync
    + 'static
    + PartialOrd
    + PartialEq
    + UlpsEq<Epsilon = Self>
    + RelativeEq<Epsilon = Self>
    + Debug
    + Display
    + LowerExp
    + Default
    + Sum
    + Product
    + for<'a> Sum<&'a Self>
    + for<'a> Product<&'a Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Rem<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The distance from 1 to the next larger value.
    const EPSILON: Self;
    /// Positive infinity.
    const INFINITY: Self;
    /// Negative infinity.
    const NEG_INFINITY: Self;
    /// Not a number.
    const NAN: Self;
    /// The smallest positive normal value.
    const MIN_POSITIVE: Self;
    /// The largest finite value.
    const MAX: Self;
    /// The type's name: `"f32"` or `"f64"`.
    const NAME: &'static str;

    /// The nearest value of this type.
    fn from_f64(value: f64) -> Self;
    /// The same value as `f64`; exact.
    fn to_f64(self) -> f64;
    /// The nearest value of this type.
    fn from_usize(value: usize) -> Self;
    /// e^x.
    fn exp(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// ln(1 + x), accurate near 0.
    fn ln_1p(self) -> Self;
    /// e^x − 1, accurate near 0.
    fn exp_m1(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;
    /// The sine of an angle in radians.
    fn sin(self) -> Self;
    /// The cosine of an angle in radians.
    fn cos(self) -> Self;
    /// The tangent of an angle in radians.
    fn tan(self) -> Self;
    /// The angle in radians, in [−π/2, π/2], whose tangent is x.
    fn atan(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// x raised to a real power.
    fn powf(self, exponent: Self) -> Self;
    /// x raised to an integer power.
    fn powi(self, exponent: i32) -> Self;
    /// The largest integer ≤ x.
    fn floor(self) -> Self;
    /// The smallest integer ≥ x.
    fn ceil(self) -> Self;
    /// The nearest integer; halves are rounded away from 0.
    fn round(self) -> Self;
    /// The sign bit as ±1, also for zeros; NaN for NaN.
    fn signum(self) -> Self;
    /// The larger of two values; a NaN operand is ignored.
    fn max(self, other: Self) -> Self;
    /// The smaller of two values; a NaN operand is ignored.
    fn min(self, other: Self) -> Self;
    /// Whether the value is NaN.
    fn is_nan(self) -> bool;
    /// Whether the value is neither NaN nor infinite.
    fn is_finite(self) -> bool;

    /// 1 / (1 + e^−x), without overflow and accurate in the left tail.
    #[inline]
    fn sigmoid(self) -> Self {
        let tail = (-self.abs()).exp();
        let numerator = if self >= Self::ZERO { Self::ONE } else { tail };
        numerator / (Self::ONE + tail)
    }

    /// ln(1 + e^x), without overflow and accurate in the left tail.
    #[inline]
    fn softplus(self) -> Self {
        let positive = if self > Self::ZERO { self } else { Self::ZERO };
        positive + (-self.abs()).exp().ln_1p()
    }

    /// The error function.
    #[inline]
    fn erf(self) -> Self {
        Self::from_f64(special::erf(self.to_f64()))
    }

    /// ln |Γ(x)|.
    #[inline]
    fn lgamma(self) -> Self {
        Self::from_f64(special::lgamma(self.to_f64()))
    }

    /// The logarithmic derivative of Γ.
    #[inline]
    fn digamma(self) -> Self {
        Self::from_f64(special::digamma(self.to_f64()))
    }

    /// The `order`-th derivative of the digamma function; order 0 is digamma itself.
    #[inline]
    fn polygamma(self, order: u32) -> Self {
        Self::from_f64(special::polygamma(order, self.to_f64()))
    }
}

macro_rules! forward {
    ($type:ty: $($method:ident($($argument:ident: $kind:ty),*)),* $(,)?) => {
        $(
            #[inline]
            fn $method(self $(, $argument: $kind)*) -> Self {
                <$type>::$method(self $(, $argument)*)
            }
        )*
    };
}

macro_rules! implement_real {
    ($type:ident) => {
        impl Real for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const EPSILON: Self = $type::EPSILON;
            const INFINITY: Self = $type::INFINITY;
            const NEG_INFINITY: Self = $type::NEG_INFINITY;
            const NAN: Self = $type::NAN;
            const MIN_POSITIVE: Self = $type::MIN_POSITIVE;
            const MAX: Self = $type::MAX;
            const NAME: &'static str = stringify!($type);

            #[inline]
            fn from_f64(value: f64) -> Self {
                value as $type
            }

            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline]
            fn from_usize(value: usize) -> Self {
                value as $type
            }

            #[inline]
            fn is_nan(self) -> bool {
                $type::is_nan(self)
            }

            #[inline]
            fn is_finite(self) -> bool {
                $type::is_finite(self)
            }

            forward!($type: exp(), ln(), ln_1p(), exp_m1(), sqrt(), abs(), sin(), cos(), tan(), atan(), tanh(),
                powf(exponent: Self), powi(exponent: i32), floor(), ceil(), round(), signum(), max(other: Self),
                min(other: Self));
        }
    };
}

implement_real!(f32);
implement_real!(f64);

/// 2⁻³², the share of a word of 32 bits.
const SINGLE_UNIT: f32 = 1.0 / (1_u64 << 32) as f32;

/// 2⁻⁶⁴, the share of a word of 64 bits.
const DOUBLE_UNIT: f64 = SINGLE_UNIT as f64 * SINGLE_UNIT as f64;

impl sealed::Element for f32 {
    const WORDS: usize = 1;

    #[inline]
    fn open_unit(words: &[u32], mirrored: bool) -> Self {
        let word = words[0] ^ if mirrored { u32::MAX } else { 0 };
        // Without the bit below the 24 leading ones, the conversion rounds down.
        ((word & !(word >> 24)) as f32 + 0.5) * SINGLE_UNIT
    }

    #[inline]
    fn folded_unit(words: &[u32]) -> Self {
        let word = words[0];
        let distance = word ^ ((word as i32) >> 31) as u32;
        let size = ((distance & !(distance >> 24)) as i32 as f32 + 0.5) * SINGLE_UNIT;
        f32::from_bits(size.to_bits() | word & (1 << 31))
    }
}

impl sealed::Element for f64 {
    const WORDS: usize = 2;

    #[inline]
    fn open_unit(words: &[u32], mirrored: bool) -> Self {
        let word = (u64::from(words[0]) | u64::from(words[1]) << 32) ^ if mirrored { u64::MAX } else { 0 };
        ((word & !(word >> 53)) as f64 + 0.5) * DOUBLE_UNIT
    }

    #[inline]
    fn folded_unit(words: &[u32]) -> Self {
        let word = u64::from(words[0]) | u64::from(words[1]) << 32;
        let distance = word ^ ((word as i64) >> 63) as u64;
        let size = ((distance & !(distance >> 53)) as i64 as f64 + 0.5) * DOUBLE_UNIT;
        f64::from_bits(size.to_bits() | word & (1 << 63))
    }
}

#[cfg(test)]
mod tests {
    use super::sealed::Element;
    use super::*;

    #[test]
    fn sigmoid_is_stable_at_the_edges() {
        assert_eq!(Real::sigmoid(0.0_f64), 0.5);
        assert_eq!(Real::sigmoid(f64::INFINITY), 1.0);
        assert_eq!(Real::sigmoid(f64::NEG_INFINITY), 0.0);
        assert_eq!(Real::sigmoid(-700.0_f64), (-700.0_f64).exp());
        assert!(Real::sigmoid(f64::NAN).is_nan());
        assert_eq!(Real::sigmoid(-100.0_f32), (-100.0_f32).exp());
    }

    #[test]
    fn softplus_is_stable_at_the_edges() {
        assert_eq!(Real::softplus(0.0_f64), 2.0_f64.ln());
        assert_eq!(Real::softplus(1000.0_f64), 1000.0);
        assert_eq!(Real::softplus(-40.0_f64), (-40.0_f64).exp());
        assert_eq!(Real::softplus(f64::INFINITY), f64::INFINITY);
        assert_eq!(Real::softplus(f64::NEG_INFINITY), 0.0);
        assert!(Real::softplus(f64::NAN).is_nan());
    }

    #[test]
    fn uniform_values_never_reach_the_ends() {
        for (mirrored, low, high) in [(false, 0, u32::MAX), (true, u32::MAX, 0)] {
            let single = [low, high].map(|word| f32::open_unit(&[word], mirrored));
            assert_eq!(single, [2.0_f32.powi(-33), 1.0 - f32::EPSILON / 2.0]);
            let double = [low, high].map(|word| f64::open_unit(&[word, word], mirrored));
            assert_eq!(double, [2.0_f64.powi(-65), 1.0 - f64::EPSILON / 2.0]);
        }
        assert_eq!([0, u32::MAX].map(|word| f32::folded_unit(&[word])), [2.0_f32.powi(-33), -(2.0_f32.powi(-33))]);
        let middle = [(1 << 31) - 1, 1 << 31].map(|word| f32::folded_unit(&[word]));
        assert_eq!(middle, [0.5 - f32::EPSILON / 4.0, f32::EPSILON / 4.0 - 0.5]);
    }

    /// The number of words whose uniform value is below a threshold, by bisection.
    fn words_below(threshold: f32, mirrored: bool) -> u64 {
        let (mut low, mut high) = (0_u64, 1 << 32);
        while low < high {
            let middle = low + (high - low) / 2;
            let word = if mirrored { !(middle as u32) } else { middle as u32 };
            if f32::open_unit(&[word], mirrored) < threshold { low = middle + 1 } else { high = middle }
        }
        low
    }

    #[test]
    fn the_frequency_of_every_event_is_right_to_one_word() {
        let mut thresholds: Vec<f32> = vec![2.5e-8, 4e-8, 1.5e-7, 1e-6, 1e-4, 0.5, 1.0 - 1e-6];
        thresholds.extend((0..400).map(|i| 0.93_f32.powi(i) * 0.997));
        for p in thresholds {
            for mirrored in [false, true] {
                let (found, expected) = (words_below(p, mirrored), f64::from(p) * 2.0_f64.powi(32));
                assert!((found as f64 - expected).abs() <= 1.0, "{p}: {found} words, {expected} expected");
            }
        }
        assert_eq!(words_below(0.5, false), 1 << 31);
    }

    #[test]
    fn values_are_monotone_and_folding_keeps_them() {
        let words = (0..32).flat_map(|bit| [(1_u32 << bit) - 1, 1 << bit, (1 << bit) | 1, (1 << bit) | 0x155]);
        let mut words: Vec<u32> = words.flat_map(|word| [word, !word]).collect();
        words.sort_unstable();
        let mut last = 0.0;
        for word in words {
            let (u, mirrored) = (f32::open_unit(&[word], false), f32::open_unit(&[word], true));
            let folded = f32::folded_unit(&[word]);
            assert!(u >= last && u > 0.0 && u < 1.0, "{word}: {u} after {last}");
            assert_eq!(mirrored, f32::open_unit(&[!word], false));
            assert_eq!(folded, -f32::folded_unit(&[!word]));
            assert_eq!(folded.abs(), if word < 1 << 31 { u } else { mirrored });
            assert_eq!(folded > 0.0, word < 1 << 31);
            let (u, wide) = (f64::open_unit(&[0, word], false), f64::folded_unit(&[0, word]));
            assert_eq!(wide, -f64::folded_unit(&[u32::MAX, !word]));
            assert!((if wide > 0.0 { wide } else { 1.0 + wide } - u).abs() <= f64::EPSILON / 2.0, "{word}");
            last = f32::open_unit(&[word], false);
        }
    }
}
