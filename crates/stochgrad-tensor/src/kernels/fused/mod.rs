//! Chains of element-wise functions, evaluated block by block.
//!
//! Separate kernels read and write whole tensors, at the speed of main memory. A [`Chain`] applies all its functions to
//! a block that stays in the first-level cache before it continues with the next block. It can also reduce rows on the
//! way. Each function is the same kernel as [`map`](crate::kernels::map::map), [`zip`](crate::kernels::zip::zip) or
//! [`reduce`](crate::kernels::reduce::reduce), or a [`pair`](crate::kernels::pair) of them, so a chain gives the same
//! bits as separate kernels.
//!
//! Masks of exceptional elements, such as those outside the support of a distribution, are 0 in almost all blocks. Such
//! a block only reads the elements to find this out. Functions of the mask alone are then evaluated once for the block,
//! and a choice by the mask leaves its value where it is.

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

/// The length of the longest block. It is that of the leaves of a row reduction, so that a chain sums in the same
/// order.
pub const BLOCK: usize = crate::kernels::fold::BLOCK;
