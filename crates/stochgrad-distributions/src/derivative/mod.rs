//! Derivatives of samples and of distributions that several distributions share.

pub(crate) mod base_values;
pub(crate) mod cumulative_logsumexp;
pub(crate) mod gamma_variates;
pub(crate) mod implicit;
pub(crate) mod known_logarithms;
mod local;
pub(crate) mod own_draws;
pub(crate) mod underflow;
pub mod weak;
pub(crate) mod weak_gamma;
pub(crate) mod weak_shape;

pub use implicit::implicit_path;
