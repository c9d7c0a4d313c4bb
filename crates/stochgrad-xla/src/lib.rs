//! Compiled graphs on accelerators.
//!
//! The crate lowers compiled graphs to StableHLO, and runs them by PJRT plugins, the engines behind JAX.

mod device;
mod error;
pub mod lowering;
pub mod pjrt;

pub use device::{Device, DeviceCosts, DeviceGraph, DeviceReal, DeviceTensor, DeviceTraining, TrainingOptions};
pub use error::{XlaError, XlaResult};
