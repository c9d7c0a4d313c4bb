//! The trait of distributions, their capabilities, and the code that they share.

mod alternatives;
mod boundary;
mod domain;
mod family;
#[doc(hidden)]
pub mod implemented;
mod order;
mod parameter;
mod sample_path;
mod support;
mod tensor_distribution;
mod traits;
mod weak_path;

pub use alternatives::{Alternatives, Side};
pub use boundary::Boundary;
pub use domain::{check_parameter, common_shape, finite, positive, whole};
pub use family::{Declared, Family, Live};
pub use order::Order;
pub use parameter::{Parameter, Parameters};
pub use sample_path::SamplePath;
pub use support::{CustomSupport, Support};
pub use tensor_distribution::{TensorDistribution, ToTensors};
pub use traits::{
    Capabilities, ClosedFormEntropy, CumulativeDistribution, Distribution, FiniteSupport, IndependentBits,
    IndependentCategories, IntegerSupport, KlDivergence, QuadraticVariance, QuantileFunction, Relaxed, Reparameterized,
    ScoreDifferentiable, StochasticDerivative, Tempered, WeakDerivative, WeaklyReparameterized,
};
pub use weak_path::{WeakNoise, WeakPath};
