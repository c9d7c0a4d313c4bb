//! Reductions, broadcasts and scans along axes.
//!
//! Every sum has a fixed order that depends only on the shape, never on the number of threads.

mod argmax;
mod cumsum;
mod expand;
mod group;
mod linear_recurrence;
mod log_cumsum_exp;
mod log_sum_exp;
mod reduction;
mod short_rows;
mod softmax;

pub use argmax::argmax;
pub use cumsum::cumsum;
pub use expand::{expand, sum_to};
pub use linear_recurrence::linear_recurrence;
pub use log_cumsum_exp::log_cumsum_exp;
pub use reduction::{Reduce, reduce, reduce_row, reduce_rows};
pub use softmax::{log_softmax, softmax};
