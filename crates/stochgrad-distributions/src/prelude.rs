//! What nearly every file with a distribution needs.

pub(crate) use crate::derivative::weak::drawn_by_path;
pub(crate) use crate::distribution::{
    Alternatives, Capabilities, ClosedFormEntropy, ConditionalCumulative, Conditionals, CumulativeDistribution,
    Distribution, KlDivergence, Order, Parameter, Parameters, QuantileFunction, Reparameterized, SamplePath,
    ScoreDifferentiable, Support, WeakDerivative,
};
pub(crate) use crate::distribution::{Boundary, Tail, ends, quantile_between, quantile_inside};
pub(crate) use crate::distribution::{check_parameter, common_shape, finite, positive};
pub(crate) use crate::error::DistributionResult;
pub(crate) use crate::noise::Draw;
pub(crate) use crate::{capabilities, declared, distribution};
pub(crate) use smallvec::smallvec;
pub(crate) use stochgrad_tape::{Condition, IntoVar, Var, special};
pub(crate) use stochgrad_tensor::random::Fill;
pub(crate) use stochgrad_tensor::{Real, Shape, Tensor};
