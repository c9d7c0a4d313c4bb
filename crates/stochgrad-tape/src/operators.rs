//! Arithmetic between variables and numbers.

use crate::var::Var;
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::zip::Zip;

/// A plain number on the right of an operator: `f64` (the type of literals) or `f32`, for variables of any precision.
/// On the left of an operator, only `f64` is possible.
///
/// ```
/// use stochgrad_tape::Tape;
///
/// let tape = Tape::<f32>::new();
/// let (x, scale) = (tape.parameter([1.0, 2.0]), 0.5_f32);
/// let y = (x * scale + 1.0).square() * (1.0 - x).exp();
/// assert_eq!(y.shape(), [2].into());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand beside a variable",
    note = "write numbers with a point, as in `x * 2.0`, and convert integers with `f64::from`"
)]
pub trait Number: Copy {
    /// The number in double precision.
    fn to_f64(self) -> f64;
}

impl Number for f64 {
    fn to_f64(self) -> f64 {
        self
    }
}

impl Number for f32 {
    fn to_f64(self) -> f64 {
        self.into()
    }
}

macro_rules! operators {
    ($($trait:ident, $method:ident, $zip:expr, $right:expr, $left:expr;)*) => {$(
        impl<'t, F: Real> std::ops::$trait for Var<'t, F> {
            type Output = Var<'t, F>;
            #[track_caller]
            fn $method(self, other: Self) -> Self {
                self.zip($zip, other)
            }
        }

        impl<'t, F: Real, N: Number> std::ops::$trait<N> for Var<'t, F> {
            type Output = Var<'t, F>;
            #[track_caller]
            fn $method(self, number: N) -> Self {
                self.map($right(number.to_f64()))
            }
        }

        impl<'t, F: Real> std::ops::$trait<Var<'t, F>> for f64 {
            type Output = Var<'t, F>;
            #[track_caller]
            fn $method(self, var: Var<'t, F>) -> Var<'t, F> {
                var.map($left(self))
            }
        }
    )*};
}

operators! {
    Add, add, Zip::Add, Map::AddScalar, Map::AddScalar;
    Sub, sub, Zip::Sub, |number: f64| Map::AddScalar(-number), Map::RsubScalar;
    Mul, mul, Zip::Mul, Map::MulScalar, Map::MulScalar;
    Div, div, Zip::Div, |number: f64| Map::MulScalar(1.0 / number), Map::RdivScalar;
}

impl<'t, F: Real> std::ops::Neg for Var<'t, F> {
    type Output = Var<'t, F>;
    #[track_caller]
    fn neg(self) -> Self {
        self.map(Map::Neg)
    }
}
