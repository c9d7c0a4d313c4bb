//! Elementwise functions of two or three operands, with broadcasting.

mod function;
mod kernel;
mod ratio;
mod select;

pub use function::Zip;
pub(crate) use kernel::fill_rows;
pub use kernel::{Operand, add_assign, zip, zip_slice};
pub use select::{select, select_slice};
