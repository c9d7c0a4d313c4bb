//! The measure-valued derivative: the cost at two coupled values of one draw.
//!
//! The derivative of a law by a parameter is a constant times the difference of two laws,
//! $\partial_\theta\, p_\theta = c_\theta\,(p_\theta^+ - p_\theta^-)$, so that
//!
//! $$\nabla_\theta\, E_{p_\theta}[f(x)] = c_\theta\, \big(E_{p^+}[f(y)] - E_{p^-}[f(y)]\big).$$
//!
//! Each independent element of the node is replaced in turn by a coupled pair $(y^+, y^-)$, and what is downstream is
//! computed again under the same noise (common random numbers). The gradient of all costs together enters the surrogate as
//! $\langle \operatorname{stop}(g), \theta\rangle$ with its value taken off. Pflug (1989); Heidergott and Vázquez-Abad (2000);
//! Mohamed et al. (2020).
//!
//! **Assumptions.** The expected cost given everything else is differentiable by the parameter. The cost may be anything, jumps
//! included; but host code must not branch on a value downstream of the node, since a replay could not follow.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1: the replays are detached |
//! | cost evaluations | one for each alternative (one or two a parameter) of each element, besides the sample's own |
//! | the cost must offer | values |
//!
//! A constant added to the cost changes nothing: baselines have no place here. What is downstream must be able to draw again, which all methods
//! can.

use crate::pathwise::describe_plate;
use crate::perturbation::gradient_terms;
use stochgrad_distributions::{Family, WeakDerivative};
use stochgrad_graph::{
    CostContext, GradientMethod, GraphResult, Guarantee, Method, Order, Path, SampleContext, SamplePlate, SampleSet, Terms,
};
use stochgrad_tape::Plate;
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
/// // One bit: the flip sees both values, and the gradient has no variance.
/// assert!((graph.backward()?.get("p")?.as_slice()[0] - 0.002).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeasureValued {
    plate: SamplePlate,
}

impl MeasureValued {
    /// One sample.
    pub fn new() -> Self {
        Self::default()
    }

    /// That many samples, along a plate of the node's own.
    pub fn samples(self, samples: usize) -> Self {
        MeasureValued { plate: SamplePlate::New(samples) }
    }

    /// One sample for each member of a plate made with [`Graph::plate`](stochgrad_graph::Graph::plate).
    pub fn along(self, plate: Plate) -> Self {
        MeasureValued { plate: SamplePlate::Shared(plate) }
    }
}

impl Method for MeasureValued {
    fn name(&self) -> String {
        format!("measure-valued ({})", describe_plate(self.plate))
    }

    fn sample_plate(&self) -> SamplePlate {
        self.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for MeasureValued
where
    for<'t> D::On<'t>: WeakDerivative<'t, F>,
{
    fn guarantee(&self, _distribution: &D::On<'_>, _path: &Path) -> Result<Guarantee, String> {
        Ok(Guarantee::unbiased(Order::Finite(1)))
    }

    fn sample<'t>(&self, context: &SampleContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<SampleSet<'t, F>> {
        context.independent(distribution, self.plate)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        gradient_terms(context, distribution, "weak derivative", &|parameter, sample, draw| {
            distribution.weak_derivative(parameter, sample, draw)
        })
    }
}
