//! Elementwise functions of one operand.

mod function;
mod kernel;

pub use function::{GUARD, Map};
#[cfg(test)]
pub(crate) use kernel::map_portable;
pub(crate) use kernel::unguarded;
pub use kernel::{leaves_interval, map, map_slice};
