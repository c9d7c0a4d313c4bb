//! Shared pieces of the example programs.

pub mod chains;
pub mod chart;
mod place;

pub use place::Place;
