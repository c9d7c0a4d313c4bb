//! Functions of each element of a variable.

use crate::op::Op;
use crate::var::Var;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::zip::Zip;
use stochgrad_tensor::{Real, Shape};

macro_rules! maps {
    ($($(#[$doc:meta])* $name:ident => $map:expr;)*) => {
        $($(#[$doc])* #[track_caller] pub fn $name(self) -> Self { self.map($map) })*
    };
}

macro_rules! zips {
    ($($(#[$doc:meta])* $name:ident => $zip:expr;)*) => {
        $($(#[$doc])* #[track_caller] pub fn $name(self, other: Self) -> Self { self.zip($zip, other) })*
    };
}

/// Functions of each element.
impl<'t, F: Real> Var<'t, F> {
    /// Applies a function to each element.
    #[track_caller]
    pub fn map(self, map: Map) -> Self {
        self.apply(Op::Map(map))
    }

    /// Applies a function to pairs of elements.
    #[track_caller]
    pub fn zip(self, zip: Zip, other: Self) -> Self {
        self.apply_with(Op::Zip(zip), &[other])
    }

    maps! {
        /// `exp(x)`.
        exp => Map::Exp;
        /// The natural logarithm.
        ln => Map::Ln;
        /// `ln(1 + x)`, accurate for small `x`.
        log1p => Map::Log1p;
        /// `exp(x) − 1`, accurate for small `x`.
        expm1 => Map::Expm1;
        /// `exp(x) − x`, which is infinite at both infinities.
        exp_excess => Map::ExpExcess;
        /// The square root.
        sqrt => Map::Sqrt;
        /// `x²`.
        square => Map::Square;
        /// `1 / x`.
        recip => Map::Recip;
        /// `|x|`; the derivative at 0 is taken to be 0.
        abs => Map::Abs;
        /// The sign: −1, 0 or 1.
        sign => Map::Sign;
        /// The sine.
        sin => Map::Sin;
        /// The cosine.
        cos => Map::Cos;
        /// The versed sine `1 − cos(x)`, accurate for small `x`. It is infinite where `x` is.
        versine => Map::Versine;
        /// The hyperbolic tangent.
        tanh => Map::Tanh;
        /// `1 / (1 + exp(−x))`, without overflow.
        sigmoid => Map::Sigmoid;
        /// `ln(1 + exp(x))`, without overflow.
        softplus => Map::Softplus;
        /// `max(x, 0)`.
        relu => Map::Relu;
        /// The error function.
        erf => Map::Erf;
        /// The logarithm of the gamma function.
        lgamma => Map::Lgamma;
        /// The derivative of `lgamma`.
        digamma => Map::Polygamma(0);
        /// The largest integer not above `x`.
        floor => Map::Floor;
        /// The smallest integer not below `x`.
        ceil => Map::Ceil;
        /// The nearest integer.
        round => Map::Round;
        /// 1 where `x > 0`, else 0.
        step => Map::Step;
    }

    zips! {
        /// `xʸ` for `x ≥ 0`.
        pow => Zip::Pow;
        /// The larger of the two. Where they tie, each has half of the derivative.
        maximum => Zip::Maximum;
        /// The smaller of the two. Where they tie, each has half of the derivative.
        minimum => Zip::Minimum;
        /// The logarithm of the sum of two exponentials, `ln(eˣ + eʸ)`, without overflow. Where both are −∞, so is the
        /// result, and the derivatives are 0, as for [`logsumexp`](Self::logsumexp). Where both are +∞, each has half
        /// of the derivative.
        ///
        /// ```
        /// use stochgrad_tape::Tape;
        ///
        /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
        /// let tape = Tape::<f64>::new();
        /// let x = tape.parameter([0.0, 1000.0, f64::NEG_INFINITY]);
        /// let y = x.logaddexp(tape.constant([-60.0, 1000.0, f64::NEG_INFINITY]));
        /// assert_eq!(y.peek()?.to_vec(), [(-60.0_f64).exp(), 1000.0 + 2.0_f64.ln(), f64::NEG_INFINITY]);
        /// let [slope] = tape.backward(y.sum(), [x])?;
        /// assert_eq!(slope.to_vec(), [1.0, 0.5, 0.0]);
        /// # Ok(())
        /// # }
        /// ```
        logaddexp => Zip::LogAddExp;
        /// 1 where the first is greater, else 0.
        gt => Zip::Greater;
        /// 1 where the first is greater or equal, else 0.
        ge => Zip::GreaterEqual;
        /// 1 where the first is less, else 0.
        lt => Zip::Less;
        /// 1 where the first is less or equal, else 0.
        le => Zip::LessEqual;
        /// 1 where both are equal, else 0.
        equal => Zip::Equal;
        /// 1 where both differ, else 0.
        not_equal => Zip::NotEqual;
    }

    /// The `order`-th derivative of `digamma`.
    #[track_caller]
    pub fn polygamma(self, order: u32) -> Self {
        self.map(Map::Polygamma(order))
    }

    /// `x` where it is positive, else `slope · x`.
    #[track_caller]
    pub fn leaky_relu(self, slope: f64) -> Self {
        self.map(Map::LeakyRelu(slope))
    }

    /// `x` to a constant power.
    #[track_caller]
    pub fn powf(self, exponent: f64) -> Self {
        self.map(Map::PowScalar(exponent))
    }

    /// `x` clamped to the interval between two constants.
    #[track_caller]
    pub fn clamp(self, low: f64, high: f64) -> Self {
        self.map(Map::Clamp(low, high))
    }

    /// $x \ln y$, which is 0 where x is 0, also for y = 0, for negative y and for y = ∞, unless y is NaN. There, the
    /// derivatives are 0 as well: the infinite derivative with respect to x at x = y = 0 is taken to be 0. Where x is 0
    /// and y is positive and finite, the derivative with respect to x is $\ln y$.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let p = tape.parameter([0.0, 1.0]);
    /// let minus_entropy = p.xlogy(p).sum();
    /// assert_eq!(minus_entropy.item()?, 0.0);
    /// let [slope] = tape.backward(minus_entropy, [p])?;
    /// assert_eq!(slope.to_vec(), [0.0, 1.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn xlogy(self, other: Self) -> Self {
        let [zero, one, infinity] =
            [F::ZERO, F::ONE, F::INFINITY].map(|number| self.tape.filled(Shape::scalar(), number));
        let vanishes = (self.equal(zero) * (other.le(zero) + other.equal(infinity))).held();
        self * vanishes.select(one, other).ln()
    }

    /// The logarithm of the sigmoid, without overflow.
    #[track_caller]
    pub fn log_sigmoid(self) -> Self {
        -(-self).softplus()
    }

    /// `yes` where this value is not 0, else `no`.
    #[track_caller]
    pub fn select(self, yes: Self, no: Self) -> Self {
        self.apply_with(Op::Select, &[yes, no])
    }
}
