//! Kernels that move elements: transposition, slices, concatenation, gathers and scatters.

mod categories;
mod category_counts;
mod concat;
mod gather;
mod index_select;
mod last_writers;
mod lookup;
mod one_hot;
mod position;
mod slice;
mod transpose;

pub use categories::categories;
pub use category_counts::category_counts;
pub use concat::concat;
pub(crate) use concat::interleave;
pub use gather::{gather, scatter_add};
pub use index_select::{index_add, index_select};
pub use last_writers::last_writers;
pub use lookup::{lookup, lookup_add};
pub use one_hot::one_hot;
pub(crate) use slice::pick;
pub use slice::{pad_into, slice};
pub use transpose::transpose;
