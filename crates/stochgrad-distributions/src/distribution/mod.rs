//! The trait of distributions, their capabilities, and the code that they share.

mod alternatives;
mod boundary;
pub(crate) mod consecutive;
mod domain;
mod family;
#[doc(hidden)]
pub mod implemented;
mod order;
mod parameter;
mod sample_path;
mod support;
mod tail;
mod tensor_distribution;
mod traits;
mod weak_path;

pub use alternatives::{Alternatives, Side};
pub use boundary::Boundary;
pub(crate) use boundary::{
    confine_finite, confine_possible, confine_real, finite_end, held_at_infinity, held_where_negligible,
    smallest_positive, step_of_kernels,
};
pub(crate) use domain::moderate_total;
pub use domain::{check_parameter, common_shape, finite, positive, whole};
pub use family::{Declared, Family, Live};
pub use order::Order;
pub use parameter::{Parameter, Parameters};
pub use sample_path::SamplePath;
pub use support::{CustomSupport, Support};
pub(crate) use tail::{
    Tail, above, ends, exp_minus_exp, log_of_either, log_one_minus_exp_exp, log_unless_likely, one_minus_exp,
    one_minus_exp_exp, quantile_between, quantile_inside,
};
pub use tensor_distribution::{TensorDistribution, ToTensors};
pub use traits::{
    Capabilities, ClosedFormEntropy, ConditionalCumulative, Conditionals, CumulativeDistribution, Distribution,
    FiniteSupport, IndependentBits, IndependentCategories, IntegerSupport, KlDivergence, QuadraticVariance,
    QuantileFunction, Relaxed, RelaxedMean, Reparameterized, ScoreDifferentiable, StochasticDerivative, Tempered,
    WeakDerivative, WeaklyReparameterized,
};
pub use weak_path::{WeakNoise, WeakPath};
