//! Noise of several members that are drawn jointly.

pub mod sampling_scheme;
pub mod sobol;
mod sobol_directions;
