//! The measure-valued derivative: the difference of the costs at two coupled alternatives to the sample. Use it when
//! the cost is not differentiable and its evaluations are cheap: the variance is low, at one or two replays for each
//! element.
//!
//! The derivative of a distribution with respect to a parameter is a constant times the difference of two
//! distributions, $\partial_\theta\, p_\theta = c_\theta\,(p_\theta^+ - p_\theta^-)$, so that
//!
//! $$\nabla_\theta\, E_{p_\theta}[f(x)] = c_\theta\, \big(E_{p^+}[f(y)] - E_{p^-}[f(y)]\big).$$
//!
//! Each independent element of the node is replaced in turn by a coupled pair $(y^+, y^-)$, and what is downstream is
//! computed again under the same noise (common random numbers). The gradient of all costs together enters the surrogate
//! as $\langle \operatorname{stop}(g), \theta\rangle$ minus its value. Pflug (1989); Heidergott and Vázquez-Abad
//! (2000); Mohamed et al. (2020).
//!
//! **Assumptions.** The expected cost given everything else is differentiable with respect to the parameter. The cost
//! may be anything, including one with jumps, but host code must not branch on a value downstream of the node, since a
//! replay cannot repeat the branch.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1: the replays are detached |
//! | cost evaluations | one for each alternative (one or two a parameter) of each element, besides the sample's own |
//! | requirement on the cost | values |
//!
//! A constant that is added to the cost cancels, so that a baseline would have no effect. Every node downstream can be
//! drawn again, whatever its method.

use crate::common::sampling::Sampling;
use crate::counterfactual::perturbation::{Perturbation, gradient_terms};
use crate::sampling_setters;
use stochgrad_distributions::{Alternatives, DistributionResult, Draw, Family, WeakDerivative};
use stochgrad_graph::{
    CostContext, Count, GradientMethod, GraphResult, Method, Order, Profile, SampleContext, SamplePlate, SampleSet,
    Size, Terms,
};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// Measure-valued derivatives, for distributions with a known weak derivative.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::MeasureValued;
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let p = graph.param("p", 0.3)?;
/// let b = graph.sample("b", &Bernoulli::from_probabilities(p), &MeasureValued::new())?;
/// graph.cost("loss", (b - 0.499).square())?;
/// // For one bit, the flip evaluates both values, so that the gradient has no variance.
/// assert!((graph.backward()?.get("p")?.as_slice()[0] - 0.002).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeasureValued {
    sampling: Sampling,
}

impl MeasureValued {
    /// Draws one sample.
    pub fn new() -> Self {
        Self::default()
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }
}

impl Method for MeasureValued {
    fn name(&self) -> String {
        format!("measure-valued ({})", self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        // At most two alternatives for each coordinate.
        Profile::unbiased(Order::Finite(1))
            .evaluations(Count::exactly(1).and(2, Size::Coordinates))
            .times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for MeasureValued
where
    for<'t> D::On<'t>: WeakDerivative<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        self.sampling.draw(context, distribution)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        gradient_terms::<F, D>(context, distribution, self)
    }
}

impl<F: Real, D: Family<F>> Perturbation<F, D> for MeasureValued
where
    for<'t> D::On<'t>: WeakDerivative<'t, F>,
{
    fn purpose(&self) -> &'static str {
        "weak derivative"
    }

    fn alternatives<'t>(
        &self,
        distribution: &D::On<'t>,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        distribution.weak_derivative(parameter, sample, draw)
    }

    fn learning<'t>(&self, _context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        Ok(Terms::default())
    }
}

#[cfg(test)]
mod tests;
