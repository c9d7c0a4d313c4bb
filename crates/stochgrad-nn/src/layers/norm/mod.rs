//! Normalisation: layers that shift and scale their input to mean 0 and variance 1.

mod affine;
mod batch_norm;
mod group_norm;
mod layer_norm;

pub use batch_norm::BatchNorm;
pub use group_norm::GroupNorm;
pub use layer_norm::{LayerNorm, NormSizes};
