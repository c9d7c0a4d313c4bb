//! ARM (augment, reinforce, merge): antithetic pairs of bits, weighted by the uniform variate behind them.
//! [`DisArm`](crate::DisArm) has the same cost and never a larger variance; use `Arm` to compare with it.
//!
//! A pair consists of the values $b = 1[u \ge 1 - \theta]$ and $\tilde b = 1[1 - u \ge 1 - \theta]$ for one uniform
//! $u$, and its gradient is
//!
//! $$g_i = \big(f(b) - f(\tilde b)\big)\, (u_i - \tfrac12), \qquad \theta = \sigma(\eta).$$
//!
//! Yin and Zhou (2019).
//!
//! **Assumptions.** Independent bits. A cost must not depend on both members of a pair together.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 |
//! | cost evaluations | 2 a pair |
//! | requirement on the cost | values |

use crate::antithetic::disarm::{pair_profile, pair_terms, sample_pairs};
use crate::common::sampling::Sampling;
use crate::enumeration::boundary::Boundary;
use crate::sampling_setters;
use stochgrad_distributions::{Distribution, Family, IndependentBits};
use stochgrad_graph::{
    CostContext, GradientMethod, GraphResult, Method, Profile, SampleContext, SamplePlate, SampleSet, Terms,
};
use stochgrad_tensor::Real;

/// Antithetic pairs of bits weighted by their uniforms, for distributions of independent bits.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::Arm;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0])?;
/// let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &Arm::new().pairs(10))?;
/// graph.cost("loss", (bits.sum() - 0.5).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arm {
    sampling: Sampling,
}

impl Arm {
    /// Draws one pair.
    pub fn new() -> Self {
        Self::default()
    }

    sampling_setters! { self => self.sampling; pairs, on_plate("pair") }
}

impl Method for Arm {
    fn name(&self) -> String {
        format!("ARM ({})", self.sampling.describe_as("pair"))
    }

    fn profile(&self) -> Profile {
        pair_profile(self.sampling.plate)
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Arm
where
    for<'t> D::On<'t>: IndependentBits<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        sample_pairs(context, distribution, self.sampling.plate)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let Some(pair) = context.plate() else { return Ok(Terms::default()) };
        let uniforms = context.sample_draw().record_uniform(context.tape(), &distribution.event_shape());
        // The two members share their noise.
        let u = uniforms.map_err(|source| context.error(source))?.member(pair, 0);
        let boundary = Boundary::split(context, distribution)?;
        let mut terms = pair_terms(context, boundary.inside.logits(), |difference, _, _| difference * (u - 0.5))?;
        terms.gradient_terms.extend(boundary.terms);
        Ok(terms)
    }
}
