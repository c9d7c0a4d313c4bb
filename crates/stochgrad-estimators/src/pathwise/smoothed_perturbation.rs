//! Smoothed perturbation analysis: the pathwise derivative, with a term for each jump of the cost where a sample
//! crosses a threshold. Use it for digital and barrier payoffs, deadlines, and stock limits: costs that compare a
//! continuous sample with a threshold, which [`Pathwise`](crate::Pathwise) refuses.
//!
//! A cost $f$ that jumps where $x$ crosses the threshold $c$ has, given everything but $x$, the derivative
//!
//! $$\nabla_\theta\, \mathbb{E}[f(x)] = \mathbb{E}\big[f'(x)\, \nabla_\theta x\big]
//!     + \big(f(c^+) - f(c^-)\big)\, \nabla_\theta\, \bar F_\theta(c).$$
//!
//! The first term is the pathwise derivative. The second one is the size of the jump times the rate at which
//! probability crosses the threshold:
//! $\nabla_\theta \bar F_\theta(c) = p_\theta(c)\, (\nabla_\theta x - \nabla_\theta c)$ at $x = c$, where $\bar F$ is
//! the survival function. It is smooth in $\theta$, since $x$ has been integrated out. The costs on both sides are
//! replays under the same noise with $x$ just above and just below $c$, so that everything that does not depend on the
//! side cancels. Each element of $x$ and each threshold contributes a term. Gong and Ho (1987); Glasserman and Ho
//! (1991) and Fu (2005) on the choice of the variable that is integrated out: here, it is the node.
//!
//! The thresholds are found on the recording: every comparison (`gt`, `ge`, `lt`, `le`) of the value of the node itself
//! with a value that does not depend on the node. The threshold may depend on parameters and on other nodes.
//! Derivatives with respect to them are included; other nodes must use this method as well, if their derivatives are
//! pathwise. Where two nodes with this method are compared, the later one carries the term. Thresholds that agree to a
//! few roundings are crossed together, and share one term.
//!
//! **Assumptions.** The distribution function is known. The density is continuous at the threshold. Two thresholds of
//! one node do not cross when a parameter changes. Other jumps, also comparisons of functions of the value, are
//! refused.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 with a threshold, else that of [`Pathwise`](crate::Pathwise) |
//! | cost evaluations | 2 for each element and threshold, besides the sample's own, and one backward pass |
//! | requirement on the cost | a derivative with respect to the sample, except at the thresholds |

use crate::common::sampling::Sampling;
use crate::sampling_setters;
use stochgrad_distributions::{CumulativeDistribution, Distribution, Family, Reparameterized};
use stochgrad_graph::{
    Access, CostContext, Count, GradientMethod, GradientTerm, GraphResult, Guarantee, Method, Order, Path, Profile,
    SampleContext, SamplePlate, SampleSet, Size, Terms, check_parameter_paths, path_order,
};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Tensor};

/// Smoothed perturbation analysis, for reparameterised distributions with a distribution function and costs that jump
/// where a sample crosses a threshold.
///
/// The probability that a normal sample exceeds a threshold, as a function of its location:
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::SmoothedPerturbation;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let mu = graph.param("mu", 0.5)?;
/// let x = graph.sample("x", &Normal::new(mu, 1.0), &SmoothedPerturbation::new())?;
/// graph.cost("exceeds", x.gt(graph.constant(0.5)))?;
/// let density = 1.0 / (2.0 * std::f64::consts::PI).sqrt();
/// assert!((graph.backward()?.get("mu")?.item()? - density).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SmoothedPerturbation {
    sampling: Sampling,
}

impl SmoothedPerturbation {
    /// Draws one sample.
    pub fn new() -> Self {
        Self::default()
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }
}

impl Method for SmoothedPerturbation {
    fn name(&self) -> String {
        format!("smoothed perturbation ({})", self.sampling.describe())
    }

    /// The counts are those of one threshold.
    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any)
            .evaluations(Count::exactly(1).and(2, Size::Elements))
            .backward_passes(Count::exactly(1), Access::Derivatives)
            .times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }

    fn is_rerecordable(&self) -> bool {
        true
    }

    fn carries_crossings(&self) -> bool {
        true
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for SmoothedPerturbation
where
    for<'t> D::On<'t>: Reparameterized<'t, F> + CumulativeDistribution<'t, F>,
{
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        check_parameter_paths(distribution)?;
        Ok(self.profile().guarantee(path).at_most(path_order(path, false)?))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let (plate, draw) = self.sampling.members(context)?;
        let value = distribution.rsample(&draw).map_err(|source| context.error(source))?;
        Ok(SampleSet::equal(value, plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let thresholds: Vec<Threshold<'t, F>> =
            context.thresholds().into_iter().map(|threshold| Threshold::new(threshold, context.value())).collect();
        let zero = context.tape().constant(0.0);
        let mut terms = Terms::default();
        for threshold in &thresholds {
            let [above, below] = threshold.sides(context.value());
            let crossed = distribution.survival(threshold.value) / threshold.multiplicity(&thresholds);
            for difference in context.element_differences(&[above, below], distribution.element_rank())? {
                let jump = difference.values.iter().copied().reduce(|above, below| above - below).unwrap_or(zero);
                let value = zero.straight_through((jump.stop_gradient() * crossed).sum());
                terms.gradient_terms.push(GradientTerm { value, summed: difference.summed });
            }
        }
        Ok(terms)
    }
}

/// A threshold that a value is compared with.
struct Threshold<'t, F: Real> {
    /// The threshold; the sample itself where the threshold is infinite or NaN, and is never crossed.
    value: Var<'t, F>,
    is_finite: Var<'t, F>,
    /// A distance of a few roundings.
    gap: Var<'t, F>,
}

impl<'t, F: Real> Threshold<'t, F> {
    fn new(threshold: Var<'t, F>, sample: Var<'t, F>) -> Self {
        let tape = threshold.tape();
        let is_finite = threshold.stop_gradient().abs().le(tape.constant(Tensor::scalar(F::MAX)));
        let value = is_finite.select(threshold, sample.stop_gradient());
        let rounding = 2.0 * F::EPSILON.to_f64();
        let gap = value.stop_gradient().abs() * rounding + F::MIN_POSITIVE.to_f64();
        Threshold { value, is_finite, gap }
    }

    /// The values just above and just below the threshold.
    fn sides(&self, sample: Var<'t, F>) -> [Var<'t, F>; 2] {
        let (threshold, sample) = (self.value.stop_gradient(), sample.stop_gradient());
        [threshold + self.gap, threshold - self.gap].map(|side| self.is_finite.select(side, sample))
    }

    /// The number of thresholds that are crossed together with this one.
    fn multiplicity(&self, thresholds: &[Threshold<'t, F>]) -> Var<'t, F> {
        let zero = self.gap * 0.0;
        let threshold = self.value.stop_gradient();
        thresholds
            .iter()
            .fold(zero, |count, other| count + (threshold - other.value.stop_gradient()).abs().le(self.gap))
    }
}

#[cfg(test)]
mod tests;
