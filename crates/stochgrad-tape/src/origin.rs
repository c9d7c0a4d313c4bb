//! The operation that first produced a NaN or an infinity.

use std::fmt;
use std::panic::Location;
use stochgrad_tensor::{Real, Shape};

/// The first operation that produced a value that is not finite.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Origin {
    /// The operation, in words.
    pub operation: String,
    /// Its event shape.
    pub shape: Shape,
    /// Its plates, in words; empty if there are none.
    pub plates: String,
    /// The value that it produced: NaN, ∞ or −∞.
    pub value: &'static str,
    /// Whether the NaN is a product of 0 and an infinite value.
    pub zero_times_infinity: bool,
    /// Whether the value is a parameter, data or a constant, and not the result of an operation.
    pub given: bool,
    /// What was expected of the operand, what it was, and what to try, if more is known than the operation.
    pub explanation: Option<String>,
    /// The line of the user's source.
    pub at: &'static Location<'static>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { operation, shape, plates, value, at, .. } = self;
        if self.given {
            return write!(
                f,
                "the {operation} of event shape {shape}{plates} is {value} ({at}); check what was given for it"
            );
        }
        write!(f, "{value} first appears in {operation}, of event shape {shape}{plates} ({at})")?;
        if let Some(explanation) = &self.explanation {
            write!(f, ": {explanation}")
        } else if self.zero_times_infinity {
            f.write_str(
                ", and 0 times an infinite number is NaN: keep the operand away from where the slope or the value is \
                 infinite; in a branch that is not taken, guard the operand inside the branch, as in `select(x > 0, \
                 select(x > 0, x, 1).sqrt(), 0)`",
            )
        } else {
            f.write_str(
                "; keep its operand inside the domain, with `clamp` or a guard in both branches of a `select`, or work \
                 with logarithms",
            )
        }
    }
}

/// NaN, ∞ or −∞ in words.
pub fn not_finite_in_words<F: Real>(value: F) -> &'static str {
    match value.to_f64() {
        value if value == f64::INFINITY => "∞",
        value if value == f64::NEG_INFINITY => "−∞",
        _ => "NaN",
    }
}
