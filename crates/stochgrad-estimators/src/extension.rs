//! What a gradient method or a baseline of your own can be made of.
pub use crate::common::sampling::Sampling;
pub use crate::sampling_setters;
pub use stochgrad_graph::SamplePlate;
pub use stochgrad_tape::Plate;
