//! Chains of element-wise functions, evaluated block by block.
//!
//! One function after the other reads and writes whole tensors, at the speed of memory. A [`Chain`] does all of them on
//! a block that stays in the first-level cache before it goes to the next block, and can reduce rows on the way. Each
//! function is the same kernel as [`map`](crate::kernels::map::map), [`zip`](crate::kernels::zip::zip) or
//! [`reduce`](crate::kernels::reduce::reduce), or a [`pair`](crate::kernels::pair) of them, so a chain gives the very
//! bits of the single steps.

mod access;
mod chain;
mod run;
mod scratch;
mod step;
mod view;

pub use chain::Chain;
pub use scratch::Scratch;
pub use step::{Place, Results, RowReduction, Slices, Source, Step};
pub use view::View;

/// The longest block: that of the leaves of a row reduction, whose order a chain keeps.
pub const BLOCK: usize = crate::kernels::fold::BLOCK;
