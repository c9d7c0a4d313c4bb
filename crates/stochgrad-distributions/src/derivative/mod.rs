//! Derivatives of samples and of distributions that several distributions share.

pub(crate) mod gamma_variates;
pub(crate) mod implicit;
mod local;
pub(crate) mod own_draws;
pub(crate) mod underflow;
pub mod weak;
pub(crate) mod weak_gamma;
pub(crate) mod weak_shape;

pub use implicit::implicit_path;
