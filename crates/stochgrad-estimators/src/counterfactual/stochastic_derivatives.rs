//! The stochastic derivative: jumps of the sample itself, with signed rates. Use it for discrete nodes when evaluations
//! of the cost are cheap; it often needs fewer replays than [`MeasureValued`](crate::MeasureValued).
//!
//! When a parameter changes by $\varepsilon$, a discrete sample drawn by inversion stays the same or, with a
//! probability of order $\varepsilon$, jumps to a neighbour $Y$. With the rate $w$ of the jump given the sample,
//!
//! $$\nabla_\theta\, E_{p_\theta}[f(X)] = E\big[w(X)\,\big(f(Y) - f(X)\big)\big].$$
//!
//! Changes to the right and to the left give different rates and neighbours, but the same expectation; the default is
//! the mean of both. Each independent element jumps in turn, and what is downstream is computed again under the same
//! noise. Arya et al. (2022), in the reverse-mode form with one gradient term for each node; Gong and Ho (1987) as
//! smoothed perturbation analysis.
//!
//! **Assumptions.** As for [`MeasureValued`](crate::MeasureValued). The sample itself is the negative part of the
//! derivative, so that one replay is enough where a weak derivative needs two.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1: the replays are detached |
//! | cost evaluations | one (a side) or up to two (two-sided; one for a bit) for each element, besides the sample's own |
//! | requirement on the cost | values |

use crate::common::sampling::Sampling;
use crate::counterfactual::perturbation::{Perturbation, gradient_terms};
use crate::sampling_setters;
use stochgrad_distributions::{Alternatives, DistributionResult, Draw, Family, Side, StochasticDerivative};
use stochgrad_graph::{
    CostContext, Count, GradientMethod, GraphResult, Method, Order, Profile, SampleContext, SamplePlate, SampleSet,
    Size, Terms,
};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// Stochastic derivatives, for discrete distributions with known jump rates.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Side};
/// use stochgrad_estimators::StochasticDerivatives;
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let p = graph.param("p", 0.5)?;
/// let b = graph.sample("b", &Bernoulli::from_probabilities(p), &StochasticDerivatives::new())?;
/// graph.cost("loss", b * 3.0)?;
/// assert!((graph.backward()?.get("p")?.as_slice()[0] - 3.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StochasticDerivatives {
    sampling: Sampling,
    side: Side,
}

impl StochasticDerivatives {
    /// Draws one sample, and uses both sides.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the side to which parameters are perturbed. It does not depend on the sign of the gradient of the cost,
    /// which would make the gradient biased.
    pub fn side(self, side: Side) -> Self {
        StochasticDerivatives { side, ..self }
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }
}

impl Method for StochasticDerivatives {
    fn name(&self) -> String {
        let side = match self.side {
            Side::Right => "right",
            Side::Left => "left",
            Side::TwoSided => "two-sided",
        };
        format!("stochastic derivative ({side}, {})", self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        // At most one neighbour on each side.
        let neighbours = if self.side == Side::TwoSided { 2 } else { 1 };
        Profile::unbiased(Order::Finite(1))
            .evaluations(Count::exactly(1).and(neighbours, Size::Coordinates))
            .times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for StochasticDerivatives
where
    for<'t> D::On<'t>: StochasticDerivative<'t, F>,
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

impl<F: Real, D: Family<F>> Perturbation<F, D> for StochasticDerivatives
where
    for<'t> D::On<'t>: StochasticDerivative<'t, F>,
{
    fn purpose(&self) -> &'static str {
        "stochastic derivative"
    }

    fn alternatives<'t>(
        &self,
        distribution: &D::On<'t>,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        distribution.stochastic_derivative(parameter, self.side, sample, draw)
    }

    fn learning<'t>(&self, _context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        Ok(Terms::default())
    }
}
