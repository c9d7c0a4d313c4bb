//! Special functions as operations: each function, its derivatives, and how it is computed, in one table.
//!
//! The scalar code is that of [`stochgrad_tensor::special`], which states domains and error bounds; outside its domain
//! a function is NaN. Single precision is computed in double precision and rounded.
//!
//! Derivatives are written in variables and may be taken again, with one limit. The derivatives of the incomplete gamma
//! and beta functions, of the distribution functions of Student's t and of von Mises by their *shape* are computed
//! numerically and exist once: asking for their derivative with respect to the shape again is an error, and not a zero.
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

mod derivatives;
mod evaluate;
pub(crate) mod function;
mod functions;
mod smoothness;

pub use function::{Scale, Special};
pub use functions::*;
