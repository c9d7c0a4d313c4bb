//! Distributions that are made of others.

pub(crate) mod bijector;
pub(crate) mod bounds;
pub(crate) mod censored;
pub(crate) mod gate;
pub(crate) mod hurdle;
pub(crate) mod independent;
mod inversion;
pub(crate) mod invertible_map;
mod log_average;
pub(crate) mod mixture;
pub(crate) mod mixture_same_family;
pub(crate) mod quantized;
mod simplex_maps;
pub(crate) mod transformed;
mod triangular_maps;
pub(crate) mod truncated;
mod vectors;
pub(crate) mod wrapper;
pub(crate) mod zero_inflated;

pub use bijector::Bijector;
pub use bijector::composition::Composition;
pub use censored::Censored;
pub use hurdle::Hurdle;
pub use independent::Independent;
pub use invertible_map::{InvertibleMap, LiveMap, OwnSample, Preimage, StoredMap, TensorMap};
pub use mixture::Mixture;
pub use mixture_same_family::MixtureSameFamily;
pub use quantized::Quantized;
pub use transformed::TransformedDistribution;
pub use truncated::Truncated;
pub use zero_inflated::ZeroInflated;
