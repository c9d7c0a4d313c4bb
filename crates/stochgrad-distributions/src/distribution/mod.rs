//! What a distribution is, what it can do, and what all of them have in common.

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
mod traits;
mod weak_path;

pub use alternatives::{Alternatives, RecordedAlternatives, Side};
pub(crate) use boundary::Boundary;
pub use domain::{check_parameter, common_shape, finite, positive, whole};
pub use family::{Declared, Family, Live};
pub use order::Order;
pub use parameter::{Parameter, Parameters};
pub use sample_path::SamplePath;
pub use support::Support;
pub use traits::{
    Capabilities, ClosedFormEntropy, CumulativeDistribution, Distribution, FiniteSupport, IndependentBits,
    IndependentCategories, IntegerSupport, KlDivergence, QuadraticVariance, QuantileFunction, Relaxed, Reparameterized,
    ScoreDifferentiable, StochasticDerivative, Tempered, WeakDerivative, WeaklyReparameterized,
};
pub use weak_path::{WeakNoise, WeakPath};
