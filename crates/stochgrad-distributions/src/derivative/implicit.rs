//! Implicit reparameterisation: sample paths from the distribution function alone.
//!
//! A sample z with $F(z; \theta) = u$ for fixed noise u moves with the parameters as
//!
//! $$\frac{\partial z}{\partial \theta} = -\frac{\partial_\theta F(z; \theta)}{p(z; \theta)}$$
//!
//! (Figurnov, Mohamed, Mnih 2018), whatever sampler drew z. The rule holds for one-dimensional continuous
//! distributions, and gives the first derivative only.

use crate::distribution::{CumulativeDistribution, above};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// The sample `value`, a constant drawn from `distribution`, with the derivatives of its path with respect to the
/// parameters.
///
/// Where both the density and the derivative of the distribution function have underflowed, the derivative is 0.
/// Above the median the derivative is that of the survival function. With its default, precision is lost where the
/// distribution function is within rounding of 1, so that a distribution with a long upper tail should implement it.
pub fn implicit_path<'t, F: Real>(distribution: &dyn CumulativeDistribution<'t, F>, value: Var<'t, F>) -> Var<'t, F> {
    // Held, not stopped: this path stands for the derivatives of the sampler.
    let value = value.held();
    let density = distribution.log_prob_each(value).exp();
    implicit_step(value, density, distribution.cdf(value), distribution.survival(value))
}

/// The constant `value` with the derivatives of its path, given its density and the probabilities below and above it as
/// functions of whatever it moves with.
pub(crate) fn implicit_step<'t, F: Real>(
    value: Var<'t, F>,
    density: Var<'t, F>,
    below: Var<'t, F>,
    above_it: Var<'t, F>,
) -> Var<'t, F> {
    let density = density.held();
    let possible = density.step();
    let divisor = possible.select(density, possible.tape().constant(1.0));
    let path = above(below, 0.5).select(above_it, -below);
    value.straight_through(path / divisor * possible)
}

/// Makes a distribution reparameterised through its distribution function, in one line.
///
/// The type must implement [`CumulativeDistribution`], with a `cdf` that is differentiable with respect to the
/// parameters. Its [`parameters`](crate::Distribution::parameters) should say with
/// [`Parameter::with_path`](crate::Parameter::with_path) that the path is implicit and that only its first derivative
/// is right: [`SamplePath::Implicit`](crate::SamplePath::Implicit).
///
/// ```
/// use smallvec::smallvec;
/// use stochgrad_distributions::{
///     Capabilities, CumulativeDistribution, Distribution, DistributionResult, Draw, Order, Parameter, Parameters, SamplePath, Support,
///     distribution, implicit_reparameterization, positive,
/// };
/// use stochgrad_tape::Var;
/// use stochgrad_tensor::{Real, Shape};
///
/// distribution! {
///     /// Values in (0, 1) with the distribution function x^a.
///     pub struct PowerFunction {
///         /// The exponent.
///         exponent,
///     }
/// }
///
/// impl<'t, F: Real> Distribution<'t, F> for PowerFunction<Var<'t, F>> {
///     fn name(&self) -> &'static str { "PowerFunction" }
///     fn parameters(&self) -> Parameters<'t, F> {
///         smallvec![Parameter::smooth("exponent", self.exponent).with_path(SamplePath::Implicit(Order::Finite(1)))]
///     }
///     fn event_shape(&self) -> Shape { self.exponent.shape() }
///     fn support(&self) -> Support { Support::UnitInterval }
///     fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
///         self.exponent.ln() + (self.exponent - 1.0) * value.ln()
///     }
///     fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
///         let u = draw.record_uniform(self.exponent.tape(), &self.event_shape())?;
///         Ok((u.ln() / self.exponent).exp().stop_gradient())
///     }
///     fn validate(&self) -> DistributionResult<()> { positive("PowerFunction", "exponent", self.exponent) }
///     fn capabilities(&self) -> Capabilities<'_, 't, F> {
///         Capabilities { reparameterized: Some(self), cdf: Some(self), ..Capabilities::default() }
///     }
/// }
///
/// impl<'t, F: Real> CumulativeDistribution<'t, F> for PowerFunction<Var<'t, F>> {
///     fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> { (self.exponent * value.ln()).exp() }
/// }
///
/// implicit_reparameterization!(PowerFunction);
/// ```
#[macro_export]
macro_rules! implicit_reparameterization {
    ($name:ident) => {
        impl<'t, F: $crate::Real> $crate::Reparameterized<'t, F> for $name<$crate::Var<'t, F>> {
            fn rsample(&self, draw: &$crate::Draw<'_, F>) -> $crate::DistributionResult<$crate::Var<'t, F>> {
                Ok($crate::implicit_path(self, $crate::Distribution::sample(self, draw)?))
            }
        }
    };
}
