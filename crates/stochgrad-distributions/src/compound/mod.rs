//! Distributions that are made of others.

pub(crate) mod bijector;
pub(crate) mod independent;
pub(crate) mod mixture;
pub(crate) mod mixture_same_family;
pub(crate) mod transformed;
pub(crate) mod wrapper;

pub use bijector::Bijector;
pub use independent::Independent;
pub use mixture::Mixture;
pub use mixture_same_family::MixtureSameFamily;
pub use transformed::TransformedDistribution;
