//! Elementwise functions of one operand.

use crate::parallel::{ARITHMETIC, PIECE, TRANSCENDENTAL, fill, threads_for};
use crate::{Pool, Real, Tensor};

/// An elementwise function of one operand. NaN goes to NaN unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Map {
    /// −x
    Neg,
    /// e^x
    Exp,
    /// The natural logarithm.
    Ln,
    /// ln(1 + x)
    Log1p,
    /// e^x − 1
    Expm1,
    /// The square root.
    Sqrt,
    /// x²
    Square,
    /// 1 / x
    Recip,
    /// |x|
    Abs,
    /// −1, 0 or 1.
    Sign,
    /// The sine.
    Sin,
    /// The cosine.
    Cos,
    /// The hyperbolic tangent.
    Tanh,
    /// 1 / (1 + e^−x)
    Sigmoid,
    /// ln(1 + e^x)
    Softplus,
    /// max(x, 0)
    Relu,
    /// x where x > 0, else slope · x.
    LeakyRelu(f64),
    /// The error function.
    Erf,
    /// ln |Γ(x)|
    Lgamma,
    /// The n-th derivative of digamma; 0 is digamma itself.
    Polygamma(u32),
    /// The largest integer not above x.
    Floor,
    /// The smallest integer not below x.
    Ceil,
    /// The nearest integer; halves go away from 0.
    Round,
    /// 1 where x > 0, else 0; 0 for NaN.
    Step,
    /// 1 where x > 0, else the slope: the derivative of [`Map::LeakyRelu`]. The slope for NaN.
    LeakyStep(f64),
    /// x + c
    AddScalar(f64),
    /// x · c
    MulScalar(f64),
    /// c − x
    RsubScalar(f64),
    /// c / x
    RdivScalar(f64),
    /// x^c
    PowScalar(f64),
    /// max(x, c)
    MaxScalar(f64),
    /// min(x, c)
    MinScalar(f64),
    /// x brought into [low, high].
    Clamp(f64, f64),
    /// 1 where low ≤ x ≤ high, else 0; 0 for NaN.
    Within(f64, f64),
    /// 1 where x is NaN, else 0.
    IsNan,
    /// 1 everywhere.
    OnesLike,
    /// 0 everywhere.
    ZerosLike,
}

/// Applies an elementwise function.
pub fn map<F: Real>(pool: &Pool<F>, op: Map, x: &Tensor<F>) -> Tensor<F> {
    let zero = F::ZERO;
    let one = F::ONE;
    let choose = |condition: bool| if condition { one } else { zero };
    let arithmetic = Run { pool, x, threshold: ARITHMETIC };
    let transcendental = Run { pool, x, threshold: TRANSCENDENTAL };
    match op {
        Map::Neg => arithmetic.each(|x| -x),
        Map::Exp => transcendental.each(F::exp),
        Map::Ln => transcendental.each(F::ln),
        Map::Log1p => transcendental.each(F::ln_1p),
        Map::Expm1 => transcendental.each(F::exp_m1),
        Map::Sqrt => arithmetic.each(F::sqrt),
        Map::Square => arithmetic.each(|x| x * x),
        Map::Recip => arithmetic.each(|x| one / x),
        Map::Abs => arithmetic.each(F::abs),
        Map::Sign => arithmetic.each(|x| {
            if x > zero {
                one
            } else if x < zero {
                -one
            } else {
                x
            }
        }),
        Map::Sin => transcendental.each(F::sin),
        Map::Cos => transcendental.each(F::cos),
        Map::Tanh => transcendental.each(F::tanh),
        Map::Sigmoid => transcendental.each(F::sigmoid),
        Map::Softplus => transcendental.each(F::softplus),
        Map::Relu => arithmetic.each(|x| if x <= zero { zero } else { x }),
        Map::LeakyRelu(slope) => {
            let slope = F::from_f64(slope);
            arithmetic.each(|x| if x > zero { x } else { slope * x })
        }
        Map::Erf => transcendental.each(F::erf),
        Map::Lgamma => transcendental.each(F::lgamma),
        Map::Polygamma(0) => transcendental.each(F::digamma),
        Map::Polygamma(order) => transcendental.each(|x| x.polygamma(order)),
        Map::Floor => arithmetic.each(F::floor),
        Map::Ceil => arithmetic.each(F::ceil),
        Map::Round => arithmetic.each(F::round),
        Map::Step => arithmetic.each(|x| choose(x > zero)),
        Map::LeakyStep(slope) => {
            let slope = F::from_f64(slope);
            arithmetic.each(|x| if x > zero { one } else { slope })
        }
        Map::AddScalar(c) => {
            let c = F::from_f64(c);
            arithmetic.each(|x| x + c)
        }
        Map::MulScalar(c) => {
            let c = F::from_f64(c);
            arithmetic.each(|x| x * c)
        }
        Map::RsubScalar(c) => {
            let c = F::from_f64(c);
            arithmetic.each(|x| c - x)
        }
        Map::RdivScalar(c) => {
            let c = F::from_f64(c);
            arithmetic.each(|x| c / x)
        }
        Map::PowScalar(exponent) => power(&arithmetic, &transcendental, exponent),
        Map::MaxScalar(c) => {
            let c = F::from_f64(c);
            arithmetic.each(|x| if x < c { c } else { x })
        }
        Map::MinScalar(c) => {
            let c = F::from_f64(c);
            arithmetic.each(|x| if x > c { c } else { x })
        }
        Map::Clamp(low, high) => {
            let (low, high) = (F::from_f64(low), F::from_f64(high));
            arithmetic.each(|x| {
                let x = if x < low { low } else { x };
                if x > high { high } else { x }
            })
        }
        Map::Within(low, high) => {
            let (low, high) = (F::from_f64(low), F::from_f64(high));
            arithmetic.each(|x| choose((low <= x) & (x <= high)))
        }
        Map::IsNan => arithmetic.each(|x| choose(x.is_nan())),
        Map::OnesLike => pool.full(x.shape().clone(), one),
        Map::ZerosLike => pool.full(x.shape().clone(), zero),
    }
}

/// The common exponents have cheaper forms.
fn power<F: Real>(arithmetic: &Run<'_, F>, transcendental: &Run<'_, F>, exponent: f64) -> Tensor<F> {
    if exponent == 0.0 {
        arithmetic.each(|_| F::ONE)
    } else if exponent == 1.0 {
        arithmetic.x.clone()
    } else if exponent == 2.0 {
        arithmetic.each(|x| x * x)
    } else if exponent == 3.0 {
        arithmetic.each(|x| x * x * x)
    } else if exponent == -1.0 {
        arithmetic.each(|x| F::ONE / x)
    } else {
        let exponent = F::from_f64(exponent);
        transcendental.each(|x| x.powf(exponent))
    }
}

struct Run<'a, F: Real> {
    pool: &'a Pool<F>,
    x: &'a Tensor<F>,
    threshold: usize,
}

impl<F: Real> Run<'_, F> {
    #[inline]
    fn each(&self, f: impl Fn(F) -> F + Sync) -> Tensor<F> {
        let mut out = self.pool.take(self.x.shape().clone());
        let x = self.x.as_slice();
        let threads = threads_for(self.pool.threads(), x.len(), self.threshold);
        fill(threads, out.make_mut(), PIECE, |start, out| {
            for (out, &x) in out.iter_mut().zip(&x[start..]) {
                *out = f(x);
            }
        });
        out
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
    fn every_function_has_its_known_value() {
        let cases = [
            (Map::Neg, 2.0, -2.0),
            (Map::Exp, 1.0, std::f64::consts::E),
            (Map::Ln, std::f64::consts::E, 1.0),
            (Map::Log1p, 1e-20, 1e-20),
            (Map::Expm1, 1e-20, 1e-20),
            (Map::Sqrt, 9.0, 3.0),
            (Map::Square, -3.0, 9.0),
            (Map::Recip, 4.0, 0.25),
            (Map::Abs, -4.0, 4.0),
            (Map::Sign, -4.0, -1.0),
            (Map::Sign, 0.0, 0.0),
            (Map::Sin, std::f64::consts::FRAC_PI_2, 1.0),
            (Map::Cos, std::f64::consts::PI, -1.0),
            (Map::Tanh, 0.5, 0.462_117_157_260_009_76),
            (Map::Sigmoid, 3.0_f64.ln(), 0.75),
            (Map::Softplus, 0.0, std::f64::consts::LN_2),
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
            (Map::IsNan, 1.0, 0.0),
            (Map::IsNan, f64::NAN, 1.0),
            (Map::OnesLike, f64::NAN, 1.0),
            (Map::ZerosLike, f64::NAN, 0.0),
        ];
        for (op, x, expected) in cases {
            let found = apply(op, x);
            assert!((found - expected).abs() <= 1e-14 * expected.abs(), "{op:?} at {x}: {found}, not {expected}");
        }
    }

    #[test]
    fn nan_is_not_swallowed() {
        let ops = [
            Map::Sign,
            Map::Relu,
            Map::LeakyRelu(0.1),
            Map::MaxScalar(0.0),
            Map::MinScalar(0.0),
            Map::Clamp(0.0, 1.0),
            Map::Sigmoid,
            Map::Softplus,
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
    fn a_warm_pool_serves_the_output() {
        let pool = Pool::new();
        let x = Tensor::<f32>::ones([5]);
        pool.recycle(map(&pool, Map::Exp, &x));
        map(&pool, Map::Exp, &x);
        assert_eq!(pool.statistics().reused, 1);
    }
}
