//! Special functions of variables, with derivatives.
//!
//! The functions are evaluated element by element with [`stochgrad_tensor::special`], which documents their domains and
//! error bounds. Outside its domain a function is NaN. Single precision is computed in double precision and rounded.
//!
//! Derivatives are written in variables and can be differentiated again, with two exceptions, which are errors:
//!
//! * The derivatives of the incomplete gamma and beta functions, and of the distribution functions of Student's t and
//!   of von Mises, with respect to their *shape* are computed numerically. Their second derivative with respect to the
//!   shape is not available.
//! * There is no derivative with respect to a *count*, such as the number of trials of a binomial distribution.
//!
//! ```
//! use stochgrad_tape::{Tape, TapeResult, special};
//!
//! # fn main() -> TapeResult<()> {
//! let tape = Tape::<f64>::new();
//! let (shape, x) = (tape.parameter(2.0), tape.parameter(1.5));
//! let p = special::gamma_p(shape, x);
//! let [by_shape, by_x] = tape.backward(p, [shape, x])?;
//! assert!((by_x.item().unwrap() - 1.5 * (-1.5_f64).exp()).abs() < 1e-14);
//! assert!(by_shape.item().unwrap() < 0.0);
//! # Ok(())
//! # }
//! ```

pub(crate) mod derivatives;
mod evaluate;
pub(crate) mod function;
mod recording;
mod smoothness;

pub use function::{Counts, Scale, ShapePart, Special};
pub use recording::*;
