//! Functions of triples.

use crate::triple::Triple;

impl Triple {
    /// eˣ.
    pub fn exp(self) -> Self {
        self.map(f64::exp, f64::exp)
    }

    /// The natural logarithm.
    pub fn ln(self) -> Self {
        self.map(f64::ln, f64::recip)
    }

    /// The square root.
    pub fn sqrt(self) -> Self {
        self.map(f64::sqrt, |x| 0.5 / x.sqrt())
    }

    /// The sine.
    pub fn sin(self) -> Self {
        self.map(f64::sin, f64::cos)
    }

    /// The cosine.
    pub fn cos(self) -> Self {
        self.map(f64::cos, |x| -x.sin())
    }

    /// The hyperbolic tangent.
    pub fn tanh(self) -> Self {
        self.map(f64::tanh, |x| x.cosh().recip().powi(2))
    }

    /// The logistic function 1 / (1 + e⁻ˣ).
    pub fn sigmoid(self) -> Self {
        use stochgrad_tensor::special::sigmoid;
        self.map(sigmoid, |x| sigmoid(x) * sigmoid(-x))
    }

    /// The square.
    pub fn square(self) -> Self {
        self.map(|x| x * x, |x| 2.0 * x)
    }

    /// A power with a whole exponent.
    pub fn powi(self, exponent: i32) -> Self {
        self.map(|x| x.powi(exponent), |x| if exponent == 0 { 0.0 } else { f64::from(exponent) * x.powi(exponent - 1) })
    }

    /// A power, for x > 0 if the exponent depends on the argument of the program.
    pub fn powf(self, exponent: impl Into<Triple>) -> Self {
        self.zip(exponent.into(), f64::powf, |x, y| [y * x.powf(y - 1.0), x.powf(y) * x.ln()])
    }

    /// The absolute value. At 0, the derivative is NaN unless x is constant there.
    pub fn abs(self) -> Self {
        self.map(f64::abs, |x| if x == 0.0 { f64::NAN } else { x.signum() })
    }

    /// The larger of two values. Where they are equal, the derivative is NaN unless both have the same derivative.
    pub fn max(self, other: impl Into<Triple>) -> Self {
        self.extreme(other.into(), f64::max, |x, y| x > y)
    }

    /// The smaller of two values. Where they are equal, the derivative is NaN unless both have the same derivative.
    pub fn min(self, other: impl Into<Triple>) -> Self {
        self.extreme(other.into(), f64::min, |x, y| x < y)
    }

    fn extreme(self, other: Triple, function: fn(f64, f64) -> f64, wins: fn(f64, f64) -> bool) -> Self {
        let derivative = match (wins(self.value, other.value), wins(other.value, self.value)) {
            (true, _) => self.derivative,
            (_, true) => other.derivative,
            _ if self.derivative == other.derivative => self.derivative,
            _ => f64::NAN,
        };
        Triple { derivative, ..self.zip(other, function, |_, _| [0.0; 2]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_agree_with_differences() {
        type Function = fn(Triple) -> Triple;
        let functions: [Function; 13] = [
            Triple::exp,
            Triple::ln,
            Triple::sqrt,
            Triple::sin,
            Triple::cos,
            Triple::tanh,
            Triple::sigmoid,
            Triple::square,
            |x| x.powi(-2),
            |x| x.powf(x),
            |x| (-x).abs(),
            |x| x.max(0.5),
            |x| x.square().min(x),
        ];
        let at = |x: f64| Triple::argument(x, 1.0);
        for (number, function) in functions.iter().enumerate() {
            let (x, h) = (0.7, 1e-6);
            let difference = (function(at(x + h)).value - function(at(x - h)).value) / (2.0 * h);
            let derivative = function(at(x)).derivative;
            assert!((derivative - difference).abs() < 1e-8, "function {number}: {derivative}, {difference}");
        }
    }

    #[test]
    fn kinks_have_no_derivative() {
        let zero = Triple::argument(0.0, 1.0);
        assert!(zero.abs().derivative.is_nan());
        assert!(zero.max(0.0).derivative.is_nan());
        assert_eq!(Triple::constant(0.0).abs().derivative, 0.0);
        assert_eq!(zero.min(zero).derivative, 1.0);
    }
}
