//! Gradient descent as recorded operations: the steps of optimisers, and the schedules of learning rates and
//! temperatures.

mod adam;
mod schedule;

pub use adam::{Adam, Coefficients, Moved};
pub use schedule::Schedule;
