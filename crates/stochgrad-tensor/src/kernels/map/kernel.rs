//! Application of a function to each element of a tensor.

use crate::kernels::map::function::{GUARD, Map};
use crate::parallel::{ARITHMETIC, PIECE, TRANSCENDENTAL, fill, threads_for};
use crate::real::Real;
use crate::simd::dispatch;
use crate::storage::pool::Pool;
use crate::storage::tensor::Tensor;

/// Applies an elementwise function to a tensor.
pub fn map<F: Real>(pool: &Pool<F>, op: Map, x: &Tensor<F>) -> Tensor<F> {
    let mut out = pool.take(x.shape().clone());
    let x = x.as_slice();
    let threshold = if op.is_transcendental() { TRANSCENDENTAL } else { ARITHMETIC };
    let threads = threads_for(pool.threads(), x.len(), threshold);
    fill(threads, out.make_mut(), PIECE, |start, out| map_slice(op, &x[start..start + out.len()], out));
    out
}

dispatch! {
    /// Applies an elementwise function to a slice on the calling thread, with the same bits as [`map`].
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn map_slice<F: Real>(op: Map, x: &[F], out: &mut [F]) = map_body;
}

// A closure that is not inlined is compiled without the vector instructions, hence the attributes below.
#[inline(always)]
fn map_body<const FMA: bool, F: Real>(op: Map, x: &[F], out: &mut [F]) {
    let zero = F::ZERO;
    let one = F::ONE;
    let choose = |condition: bool| if condition { one } else { zero };
    match op {
        Map::Neg => each(x, out, |x| -x),
        Map::Exp => each(
            x,
            out,
            #[inline(always)]
            |x| x.exp_fast::<FMA>(),
        ),
        Map::ExpWithin(low, high) => {
            let (low, high) = (F::from_f64(low), F::from_f64(high));
            each(
                x,
                out,
                #[inline(always)]
                |x| {
                    let raised = if x < low { low } else { x };
                    let held = if raised > high { high } else { raised };
                    held.exp_fast::<FMA>()
                },
            );
        }
        // Zero, negative and subnormal numbers are rare, and take as long as the logarithm.
        Map::Ln | Map::LnHeld if leaves_interval_body::<FMA, F>(x, F::MIN_POSITIVE.to_f64(), f64::INFINITY) => each(
            x,
            out,
            #[inline(always)]
            |x| x.ln_fast::<FMA>(),
        ),
        Map::Ln | Map::LnHeld => each(
            x,
            out,
            #[inline(always)]
            |x| x.ln_normal::<FMA>(),
        ),
        Map::Log1p => each(
            x,
            out,
            #[inline(always)]
            |x| x.ln_1p_fast::<FMA>(),
        ),
        Map::Expm1 => each(
            x,
            out,
            #[inline(always)]
            |x| x.exp_m1_fast::<FMA>(),
        ),
        Map::ExpExcess => each(
            x,
            out,
            #[inline(always)]
            |x| {
                let exponential = x.exp_fast::<FMA>();
                // The difference of infinities would be NaN.
                if exponential > F::MAX { exponential } else { exponential - x }
            },
        ),
        Map::Sqrt => each(x, out, F::sqrt),
        Map::Square => each(x, out, |x| x * x),
        Map::Recip => each(x, out, |x| one / x),
        Map::Abs => each(x, out, F::abs),
        Map::Sign => each(x, out, |x| {
            let positive = if x > zero { one } else { x };
            if x < zero { -one } else { positive }
        }),
        Map::Sin => {
            each(
                x,
                out,
                #[inline(always)]
                |x| x.sin_cos_near::<FMA>()[0],
            );
            far(x, out, F::sin);
        }
        Map::Cos => {
            each(
                x,
                out,
                #[inline(always)]
                |x| x.sin_cos_near::<FMA>()[1],
            );
            far(x, out, F::cos);
        }
        Map::Versine => {
            let half = F::from_f64(0.5);
            let twice_square = |sine: F| (sine + sine) * sine;
            each(
                x,
                out,
                #[inline(always)]
                |x| twice_square((x * half).sin_cos_near::<FMA>()[0]),
            );
            far(x, out, |x| if x.is_finite() { twice_square((x * half).sin()) } else { x.abs() });
        }
        Map::VersineSlope => {
            each(
                x,
                out,
                #[inline(always)]
                |x| x.sin_cos_near::<FMA>()[0],
            );
            far(x, out, |x| if x.is_finite() { x.sin() } else { zero });
        }
        Map::Tanh => each(
            x,
            out,
            #[inline(always)]
            |x| x.tanh_fast::<FMA>(),
        ),
        Map::Sigmoid => each(
            x,
            out,
            #[inline(always)]
            |x| x.sigmoid_fast::<FMA>(),
        ),
        Map::Softplus => each(
            x,
            out,
            #[inline(always)]
            |x| x.softplus_fast::<FMA>(),
        ),
        // Beyond this value the 1 is lost in rounding, and for larger ones the square overflows.
        Map::Log1pSquare if !leaves_interval_body::<FMA, F>(x, -1e9, 1e9) => each(
            x,
            out,
            #[inline(always)]
            |x| (x * x).ln_1p_fast::<FMA>(),
        ),
        Map::Log1pSquare => each(
            x,
            out,
            #[inline(always)]
            |x| log1p_square::<FMA, F>(x),
        ),
        Map::Log1pSquareSlope => each(x, out, log1p_square_slope),
        Map::Relu => each(x, out, |x| if x <= zero { zero } else { x }),
        Map::LeakyRelu(slope) => {
            let slope = F::from_f64(slope);
            each(x, out, |x| x * if x > zero { one } else { slope });
        }
        Map::Erf => each(x, out, F::erf),
        Map::Lgamma => each(x, out, F::lgamma),
        Map::Polygamma(0) => each(x, out, F::digamma),
        Map::Polygamma(order) => each(x, out, |x| x.polygamma(order)),
        Map::Floor => each(x, out, F::floor),
        Map::Ceil => each(x, out, F::ceil),
        Map::Round => each(x, out, F::round),
        Map::Step => each(x, out, |x| choose(x > zero)),
        Map::LeakyStep(slope) => {
            let slope = F::from_f64(slope);
            each(x, out, |x| if x > zero { one } else { slope });
        }
        Map::AddScalar(c) => {
            let c = F::from_f64(c);
            each(x, out, |x| x + c);
        }
        Map::MulScalar(c) => {
            let c = F::from_f64(c);
            each(x, out, |x| x * c);
        }
        Map::RsubScalar(c) => {
            let c = F::from_f64(c);
            each(x, out, |x| c - x);
        }
        Map::RdivScalar(c) => {
            let c = F::from_f64(c);
            each(x, out, |x| c / x);
        }
        Map::PowScalar(exponent) => power(x, out, exponent),
        Map::MaxScalar(c) => {
            let c = F::from_f64(c);
            each(x, out, |x| if x < c { c } else { x });
        }
        Map::MinScalar(c) => {
            let c = F::from_f64(c);
            each(x, out, |x| if x > c { c } else { x });
        }
        Map::Clamp(low, high) => between(x, out, low, high),
        Map::Guard(bound) => between(x, out, -bound, bound),
        Map::Within(low, high) => {
            let (low, high) = (F::from_f64(low), F::from_f64(high));
            each(x, out, |x| choose((low <= x) & (x <= high)));
        }
        Map::Outside(low, high) => {
            let (low, high) = (F::from_f64(low), F::from_f64(high));
            each(x, out, |x| choose((x < low) | (x > high)));
        }
        Map::Unguard => each(x, out, unguarded),
        Map::IsNan => each(x, out, |x| choose(x.is_nan())),
        Map::OnesLike => out.fill(one),
        Map::ZerosLike => out.fill(zero),
    }
}

dispatch! {
    /// Whether [`Map::Outside`] of some element is 1.
    pub fn leaves_interval<F: Real>(x: &[F], low: f64, high: f64) -> bool = leaves_interval_body;
}

#[inline(always)]
pub(crate) fn leaves_interval_body<const FMA: bool, F: Real>(x: &[F], low: f64, high: f64) -> bool {
    // The extremes of each lane; NaN is passed over.
    const LANES: usize = 64;
    let (low, high) = (F::from_f64(low), F::from_f64(high));
    let (mut least, mut most) = ([low; LANES], [high; LANES]);
    let (whole, rest) = x.as_chunks::<LANES>();
    for x in whole {
        for lane in 0..LANES {
            least[lane] = if x[lane] < least[lane] { x[lane] } else { least[lane] };
            most[lane] = if x[lane] > most[lane] { x[lane] } else { most[lane] };
        }
    }
    let beyond = |below: &[F], above: &[F]| {
        below.iter().fold(false, |any, &x| any | (x < low)) | above.iter().fold(false, |any, &x| any | (x > high))
    };
    beyond(&least, &most) | beyond(rest, rest)
}

#[inline(always)]
fn between<F: Real>(x: &[F], out: &mut [F], low: f64, high: f64) {
    let (low, high) = (F::from_f64(low), F::from_f64(high));
    each(x, out, |x| {
        let x = if x < low { low } else { x };
        if x > high { high } else { x }
    });
}

/// −∞ if x is a value that a guard has substituted for it, else x.
#[inline(always)]
pub(crate) fn unguarded<F: Real>(x: F) -> F {
    if x < F::from_f64(-0.5 * GUARD) { F::NEG_INFINITY } else { x }
}

/// ln(1 + x²), without overflow.
#[inline(always)]
pub(crate) fn log1p_square<const FMA: bool, F: Real>(x: F) -> F {
    let far = x.abs() > F::from_f64(1e9);
    let square = if far { F::ZERO } else { x * x };
    let (near, beyond) = (square.ln_1p_fast::<FMA>(), x.abs().ln_fast::<FMA>());
    if far { beyond + beyond } else { near }
}

/// 2x / (1 + x²), without overflow.
#[inline(always)]
pub(crate) fn log1p_square_slope<F: Real>(x: F) -> F {
    F::from_f64(2.0) / (x + F::ONE / x)
}

/// As [`map_slice`], on a machine without vector instructions.
#[cfg(test)]
pub(crate) fn map_portable<F: Real>(op: Map, x: &[F], out: &mut [F]) {
    map_body::<false, F>(op, x, out);
}

/// x^exponent; the common exponents have cheaper forms.
#[inline(always)]
fn power<F: Real>(x: &[F], out: &mut [F], exponent: f64) {
    if exponent == 0.0 {
        out.fill(F::ONE);
    } else if exponent == 1.0 {
        out.copy_from_slice(x);
    } else if exponent == 2.0 {
        each(x, out, |x| x * x);
    } else if exponent == 3.0 {
        each(x, out, |x| x * x * x);
    } else if exponent == -1.0 {
        each(x, out, |x| F::ONE / x);
    } else {
        let exponent = F::from_f64(exponent);
        each(x, out, |x| x.powf(exponent));
    }
}

#[inline(always)]
fn each<F: Real>(x: &[F], out: &mut [F], f: impl Fn(F) -> F) {
    assert_eq!(x.len(), out.len(), "expected an operand and a result of equal length");
    for (out, &x) in out.iter_mut().zip(x) {
        *out = f(x);
    }
}

/// Overwrites the results for elements that are too far from 0 for the polynomial of a function, one by one.
#[inline(always)]
fn far<F: Real>(x: &[F], out: &mut [F], f: impl Fn(F) -> F) {
    if leaves_interval_body::<false, F>(x, -F::FAR.to_f64(), F::FAR.to_f64()) {
        for (out, &x) in out.iter_mut().zip(x).filter(|(_, x)| x.abs() > F::FAR) {
            *out = f(x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(op: Map, x: f64) -> f64 {
        let wide = map(&Pool::new(), op, &Tensor::from([x])).to_vec()[0];
        let narrow = map(&Pool::new(), op, &Tensor::from([x as f32])).to_vec()[0];
        assert!(
            (wide.is_nan() && narrow.is_nan())
                || wide as f32 == narrow
                || ((wide - f64::from(narrow)) / (wide.abs() + 1.0)).abs() < 1e-5,
            "{op:?} at {x}: {wide} in f64, {narrow} in f32"
        );
        wide
    }

    #[test]
    fn an_element_outside_an_interval_is_seen_at_every_position() {
        for len in [0, 1, 63, 64, 65, 200] {
            let mut x: Vec<f64> = (0..len).map(|i| if i % 3 == 0 { f64::NAN } else { (i % 2) as f64 }).collect();
            assert!(!leaves_interval(&x, 0.0, 1.0), "{len}");
            for at in 0..len {
                for beyond in [-1e-300, 1.0 + f64::EPSILON, f64::NEG_INFINITY, f64::INFINITY] {
                    let inside = std::mem::replace(&mut x[at], beyond);
                    assert!(leaves_interval(&x, 0.0, 1.0), "{beyond} at {at} of {len}");
                    x[at] = inside;
                }
            }
            assert!(!leaves_interval(&x, f64::NEG_INFINITY, f64::INFINITY));
        }
    }

    #[test]
    fn every_function_has_its_known_value() {
        let cases = [
            (Map::Neg, 2.0, -2.0),
            (Map::Exp, 1.0, std::f64::consts::E),
            (Map::ExpWithin(-1.0, 2.0), 1.0, std::f64::consts::E),
            (Map::ExpWithin(-1.0, 2.0), f64::INFINITY, 2.0_f64.exp()),
            (Map::ExpWithin(-1.0, 2.0), -7.0, (-1.0_f64).exp()),
            (Map::Ln, std::f64::consts::E, 1.0),
            (Map::Log1p, 1e-20, 1e-20),
            (Map::Expm1, 1e-20, 1e-20),
            (Map::ExpExcess, 1.0, std::f64::consts::E - 1.0),
            (Map::ExpExcess, f64::INFINITY, f64::INFINITY),
            (Map::ExpExcess, f64::NEG_INFINITY, f64::INFINITY),
            (Map::Sqrt, 9.0, 3.0),
            (Map::Square, -3.0, 9.0),
            (Map::Recip, 4.0, 0.25),
            (Map::Abs, -4.0, 4.0),
            (Map::Sign, -4.0, -1.0),
            (Map::Sign, 0.0, 0.0),
            (Map::Sin, std::f64::consts::FRAC_PI_2, 1.0),
            (Map::Cos, std::f64::consts::PI, -1.0),
            (Map::Versine, std::f64::consts::PI, 2.0),
            (Map::Versine, 1e-8, 5e-17),
            (Map::Versine, 1e9, 0.162_112_818_636_097_67),
            (Map::Versine, f64::NEG_INFINITY, f64::INFINITY),
            (Map::VersineSlope, std::f64::consts::FRAC_PI_2, 1.0),
            (Map::VersineSlope, f64::INFINITY, 0.0),
            (Map::Tanh, 0.5, 0.462_117_157_260_009_76),
            (Map::Sigmoid, 3.0_f64.ln(), 0.75),
            (Map::Softplus, 0.0, std::f64::consts::LN_2),
            (Map::Log1pSquare, 1.0, std::f64::consts::LN_2),
            (Map::Log1pSquare, -1e30, 60.0 * std::f64::consts::LN_10),
            (Map::Log1pSquareSlope, 0.0, 0.0),
            (Map::Log1pSquareSlope, -3.0, -0.6),
            (Map::Log1pSquareSlope, f64::INFINITY, 0.0),
            (Map::Relu, -1.0, 0.0),
            (Map::Relu, 2.0, 2.0),
            (Map::LeakyRelu(0.1), -2.0, -0.2),
            (Map::Erf, 0.5, 0.520_499_877_813_046_5),
            (Map::Lgamma, 5.0, 24.0_f64.ln()),
            (Map::Polygamma(0), 1.0, -0.577_215_664_901_532_9),
            (Map::Polygamma(1), 1.0, 1.644_934_066_848_226_4),
            (Map::Floor, -1.5, -2.0),
            (Map::Ceil, -1.5, -1.0),
            (Map::Round, 2.5, 3.0),
            (Map::Step, 0.0, 0.0),
            (Map::Step, 1e-30, 1.0),
            (Map::LeakyStep(0.25), -1.0, 0.25),
            (Map::LeakyStep(0.25), 1.0, 1.0),
            (Map::AddScalar(2.0), 1.0, 3.0),
            (Map::MulScalar(2.0), 3.0, 6.0),
            (Map::RsubScalar(2.0), 3.0, -1.0),
            (Map::RdivScalar(6.0), 3.0, 2.0),
            (Map::PowScalar(2.0), -3.0, 9.0),
            (Map::PowScalar(0.5), 9.0, 3.0),
            (Map::PowScalar(-1.0), 4.0, 0.25),
            (Map::PowScalar(3.0), -2.0, -8.0),
            (Map::PowScalar(0.0), 0.0, 1.0),
            (Map::PowScalar(1.0), 7.0, 7.0),
            (Map::PowScalar(-2.5), 4.0, 1.0 / 32.0),
            (Map::MaxScalar(1.0), 0.5, 1.0),
            (Map::MinScalar(1.0), 0.5, 0.5),
            (Map::Clamp(-1.0, 1.0), 5.0, 1.0),
            (Map::Clamp(-1.0, 1.0), -5.0, -1.0),
            (Map::Within(-1.0, 1.0), 1.0, 1.0),
            (Map::Within(-1.0, 1.0), 1.5, 0.0),
            (Map::Outside(-1.0, 1.0), 1.0, 0.0),
            (Map::Outside(-1.0, 1.0), -1.5, 1.0),
            (Map::Outside(-1.0, 1.0), f64::INFINITY, 1.0),
            (Map::Outside(-1.0, 1.0), f64::NAN, 0.0),
            (Map::Guard(4.0), -3.0, -3.0),
            (Map::Guard(4.0), f64::NEG_INFINITY, -4.0),
            (Map::Guard(4.0), f64::INFINITY, 4.0),
            (Map::Unguard, -1e29, -1e29),
            (Map::IsNan, 1.0, 0.0),
            (Map::IsNan, f64::NAN, 1.0),
            (Map::OnesLike, f64::NAN, 1.0),
            (Map::ZerosLike, f64::NAN, 0.0),
        ];
        assert_eq!(apply(Map::Unguard, -GUARD), f64::NEG_INFINITY);
        for (op, x, expected) in cases {
            let found = apply(op, x);
            let close = found == expected || (found - expected).abs() <= 1e-14 * expected.abs();
            assert!(close, "{op:?} at {x}: {found}, not {expected}");
        }
    }

    #[test]
    fn nan_is_preserved() {
        let ops = [
            Map::Sign,
            Map::Relu,
            Map::LeakyRelu(0.1),
            Map::MaxScalar(0.0),
            Map::MinScalar(0.0),
            Map::Clamp(0.0, 1.0),
            Map::Guard(GUARD),
            Map::Unguard,
            Map::ExpExcess,
            Map::Versine,
            Map::VersineSlope,
            Map::ExpWithin(-1.0, 2.0),
            Map::Sigmoid,
            Map::Softplus,
            Map::Log1pSquare,
            Map::Log1pSquareSlope,
            Map::Erf,
            Map::Lgamma,
            Map::Polygamma(0),
            Map::Polygamma(2),
        ];
        for op in ops {
            assert!(apply(op, f64::NAN).is_nan(), "{op:?}");
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let x = Tensor::from_fn([3, 50_003], |i| (i as f64 * 0.37).sin() * 20.0);
        for op in [Map::Softplus, Map::Sigmoid, Map::Square, Map::Lgamma] {
            let one = map(&Pool::new(), op, &x);
            let four = map(&Pool::with_threads(4), op, &x);
            assert!(one.as_slice().iter().zip(four.as_slice()).all(|(a, b)| a.to_bits() == b.to_bits()), "{op:?}");
        }
    }

    #[test]
    fn the_output_is_taken_from_the_pool() {
        let pool = Pool::new();
        let x = Tensor::<f32>::ones([5]);
        pool.recycle(map(&pool, Map::Exp, &x));
        map(&pool, Map::Exp, &x);
        assert_eq!(pool.statistics().reused, 1);
    }
}
