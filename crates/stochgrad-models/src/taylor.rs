//! Truncated Taylor series: exact derivatives along a line.

use std::ops::{Add, Mul, Neg, Sub};

/// The highest order of derivative.
pub const TOP: usize = 3;

/// The coefficients of `f(θ + ε v)` in the powers of ε from 0 to [`TOP`].
///
/// ```
/// use stochgrad_models::Taylor;
///
/// // (2 + ε)³ = 8 + 12 ε + 6 ε² + ε³.
/// let x = Taylor::variable(2.0, 1.0);
/// assert_eq!((x * x * x).derivatives(), [8.0, 12.0, 12.0, 6.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Taylor {
    coefficients: [f64; TOP + 1],
}

impl Taylor {
    /// A series that does not depend on ε.
    pub fn constant(value: f64) -> Self {
        Self::variable(value, 0.0)
    }

    /// `value + slope · ε`.
    pub fn variable(value: f64, slope: f64) -> Self {
        let mut coefficients = [0.0; TOP + 1];
        coefficients[0] = value;
        coefficients[1] = slope;
        Taylor { coefficients }
    }

    /// The value at ε = 0.
    pub fn value(&self) -> f64 {
        self.coefficients[0]
    }

    /// The derivatives with respect to ε at ε = 0, of the orders 0 to [`TOP`].
    pub fn derivatives(&self) -> [f64; TOP + 1] {
        let mut factorial = 1.0;
        std::array::from_fn(|order| {
            factorial *= order.max(1) as f64;
            self.coefficients[order] * factorial
        })
    }

    /// Whether all coefficients are finite.
    pub fn is_finite(&self) -> bool {
        self.coefficients.iter().all(|coefficient| coefficient.is_finite())
    }

    /// Whether all coefficients are zero.
    pub fn is_zero(&self) -> bool {
        self.coefficients.iter().all(|&coefficient| coefficient == 0.0)
    }

    /// Whether the coefficients of all orders above 0 are zero.
    pub fn is_constant(&self) -> bool {
        self.coefficients[1..].iter().all(|&coefficient| coefficient == 0.0)
    }

    /// The largest difference between coefficients of the same order.
    pub fn distance(&self, other: &Self) -> f64 {
        let pairs = self.coefficients.iter().zip(&other.coefficients);
        pairs.map(|(left, right)| (left - right).abs()).fold(0.0, f64::max)
    }

    /// The series times a factor.
    pub fn times(mut self, factor: f64) -> Self {
        for coefficient in &mut self.coefficients {
            *coefficient *= factor;
        }
        self
    }

    /// The square.
    pub fn square(self) -> Self {
        self * self
    }

    /// The series of `g(f(ε))` where `g' = slope(g, f)`: each coefficient of `g` follows from those of lower order.
    /// `slope` maps the coefficients of `g` known so far and an order to the coefficient of the slope of that order.
    fn integrate(self, value: f64, slope: impl Fn(&[f64; TOP + 1], usize) -> f64) -> Self {
        let f = &self.coefficients;
        let mut g = [0.0; TOP + 1];
        g[0] = value;
        for order in 1..=TOP {
            let sum: f64 = (1..=order).filter(|&j| f[j] != 0.0).map(|j| j as f64 * f[j] * slope(&g, order - j)).sum();
            g[order] = sum / order as f64;
        }
        Taylor { coefficients: g }
    }

    /// The exponential.
    pub fn exp(self) -> Self {
        self.integrate(self.value().exp(), |g, order| g[order])
    }

    /// The hyperbolic tangent.
    pub fn tanh(self) -> Self {
        self.integrate(self.value().tanh(), |g, order| f64::from(order == 0) - product(g, g, order))
    }

    /// `1 / (1 + exp(−x))`.
    pub fn sigmoid(self) -> Self {
        let value = 1.0 / (1.0 + (-self.value()).exp());
        self.integrate(value, |g, order| g[order] - product(g, g, order))
    }

    /// The sine.
    pub fn sin(self) -> Self {
        self.sine_and_cosine().0
    }

    fn sine_and_cosine(self) -> (Self, Self) {
        let f = &self.coefficients;
        let (mut sine, mut cosine) = ([0.0; TOP + 1], [0.0; TOP + 1]);
        (sine[0], cosine[0]) = f[0].sin_cos();
        for order in 1..=TOP {
            for j in 1..=order {
                let rate = j as f64 * f[j] / order as f64;
                sine[order] += rate * cosine[order - j];
                cosine[order] -= rate * sine[order - j];
            }
        }
        (Taylor { coefficients: sine }, Taylor { coefficients: cosine })
    }

    /// The natural logarithm. At a zero that does not depend on ε it is −∞ with derivatives 0; at any other zero the
    /// derivatives are not finite.
    pub fn ln(self) -> Self {
        let f = &self.coefficients;
        if self.is_zero() {
            return Self::constant(f64::NEG_INFINITY);
        }
        let mut g = [0.0; TOP + 1];
        g[0] = f[0].ln();
        for order in 1..=TOP {
            let known: f64 = (1..order).map(|j| j as f64 * g[j] * f[order - j]).sum();
            g[order] = (f[order] - known / order as f64) / f[0];
        }
        Taylor { coefficients: g }
    }

    /// One over the series.
    pub fn recip(self) -> Self {
        let f = &self.coefficients;
        let mut g = [0.0; TOP + 1];
        g[0] = 1.0 / f[0];
        for order in 1..=TOP {
            let known: f64 = (1..=order).map(|j| f[j] * g[order - j]).sum();
            g[order] = -known / f[0];
        }
        Taylor { coefficients: g }
    }
}

/// The coefficient of an order of a product.
fn product(left: &[f64; TOP + 1], right: &[f64; TOP + 1], order: usize) -> f64 {
    (0..=order).map(|j| left[j] * right[order - j]).sum()
}

impl Add for Taylor {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Taylor { coefficients: std::array::from_fn(|order| self.coefficients[order] + other.coefficients[order]) }
    }
}

impl Sub for Taylor {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Neg for Taylor {
    type Output = Self;

    fn neg(self) -> Self {
        self.times(-1.0)
    }
}

impl Mul for Taylor {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let (left, right) = (&self.coefficients, &other.coefficients);
        Taylor { coefficients: std::array::from_fn(|order| product(left, right, order)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: Taylor, expected: [f64; TOP + 1]) {
        for (order, (found, expected)) in found.derivatives().into_iter().zip(expected).enumerate() {
            assert!((found - expected).abs() < 1e-12, "order {order}: expected {expected}, got {found}");
        }
    }

    #[test]
    fn functions_have_their_known_derivatives() {
        let at = 0.7_f64;
        let x = Taylor::variable(at, 1.0);
        assert_close(x.exp(), [at.exp(); 4]);
        assert_close(x.sin(), [at.sin(), at.cos(), -at.sin(), -at.cos()]);
        assert_close(x.ln(), [at.ln(), 1.0 / at, -1.0 / at.powi(2), 2.0 / at.powi(3)]);
        assert_close(x.recip(), [1.0 / at, -1.0 / at.powi(2), 2.0 / at.powi(3), -6.0 / at.powi(4)]);
        assert_close(x.square(), [at * at, 2.0 * at, 2.0, 0.0]);
        let t = at.tanh();
        let s = 1.0 - t * t;
        assert_close(x.tanh(), [t, s, -2.0 * t * s, s * (6.0 * t * t - 2.0)]);
        let p = 1.0 / (1.0 + (-at).exp());
        let v = p * (1.0 - p);
        assert_close(x.sigmoid(), [p, v, v * (1.0 - 2.0 * p), v * (1.0 - 6.0 * v)]);
    }

    #[test]
    fn compositions_satisfy_known_identities() {
        let x = Taylor::variable(0.4, -1.3).square() + Taylor::constant(0.2);
        assert!(x.exp().ln().distance(&x) < 1e-12);
        assert!(x.recip().recip().distance(&x) < 1e-12);
        assert!(((x.exp() + (-x).exp()).recip() * (x.exp() - (-x).exp())).distance(&x.tanh()) < 1e-12);
        assert!((Taylor::constant(1.0) + (-x).exp()).recip().distance(&x.sigmoid()) < 1e-12);
        let (sine, cosine) = x.sine_and_cosine();
        assert!((sine.square() + cosine.square()).distance(&Taylor::constant(1.0)) < 1e-12);
    }

    #[test]
    fn constant_infinities_have_derivatives_zero() {
        let nothing = Taylor::constant(f64::NEG_INFINITY);
        assert_eq!(nothing.exp(), Taylor::constant(0.0));
        assert_eq!(nothing.sigmoid(), Taylor::constant(0.0));
        assert_eq!(Taylor::constant(0.0).ln(), nothing);
        assert!(!Taylor::variable(0.0, 1.0).ln().is_finite());
    }
}
