//! Elementwise functions of one operand.

mod function;
mod kernel;

pub use function::{GUARD, Map};
#[cfg(test)]
pub(crate) use kernel::map_portable;
pub use kernel::{leaves_interval, map, map_slice};
pub(crate) use kernel::{leaves_interval_body, log1p_square, log1p_square_slope, unguarded};
