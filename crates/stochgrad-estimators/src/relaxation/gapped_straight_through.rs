//! Gapped straight-through: the derivative of the softmax at logits that are shifted to agree with the sample. Use it
//! instead of straight-through Gumbel-softmax for a lower variance.
//!
//! $$\tilde\phi_k = \begin{cases} \max \phi & k = x \\ \min(\phi_k, \max \phi - \gamma) & k \ne x \end{cases}, \qquad
//!     g = J\big(\operatorname{softmax}(\tilde\phi / \tau)\big)^\top \nabla f(x) / \tau,$$
//!
//! with the Jacobian $J(p) = \operatorname{diag} p - p p^\top$; the shifts are detached. The sampled category is raised
//! to the largest logit, and the others are kept a gap $\gamma$ below it. This is what straight-through Gumbel-softmax
//! does by noise. A bit is a vector of two categories with the logits $0$ and $\eta$. Fan, Chi, Rudnicky and Ramadge
//! (2022).
//!
//! **Assumptions.** The cost is differentiable at the states. Paths from the value are checked as for
//! [`Pathwise`](crate::Pathwise).
//!
//! | | |
//! |---|---|
//! | bias | of the gradient, affine costs included; costs are right |
//! | order | 1 |
//! | cost evaluations | one a sample, and one backward pass |
//! | requirement on the cost | derivatives at the states |

use crate::relaxation::hard_samples::HardSamples;
use crate::relaxation::temperature::Temperature;
use crate::sampling_setters;
use stochgrad_distributions::{Distribution, DistributionError, Family, Relaxed, RelaxedMean};
use stochgrad_graph::{
    Bias, CostContext, GradientMethod, GraphResult, Guarantee, Method, MethodSlots, Path, Profile, SampleContext,
    SamplePlate, SampleSet, Terms,
};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// Straight-through gradients at logits with a gap, for distributions with a continuous relaxation: bits and one-hot
/// vectors.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::GappedStraightThrough;
/// use stochgrad_graph::{Bias, Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let logits = graph.param("logits", [0.2, -0.4])?;
/// let b = graph.sample("b", &Bernoulli::from_logits(logits), &GappedStraightThrough::new(0.7))?;
/// graph.cost("loss", (b - 0.45).square().sum())?;
/// assert_eq!(graph.backward()?.guarantee("logits")?.bias, Bias::Gradient);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GappedStraightThrough {
    samples: HardSamples,
    gap: f64,
}

impl GappedStraightThrough {
    /// Draws one sample; the gap is 1.
    pub fn new(temperature: impl Into<Temperature>) -> Self {
        GappedStraightThrough { samples: HardSamples::new(temperature.into()), gap: 1.0 }
    }

    /// Sets the gap, at least 0. The larger it is, the closer the softmax is to the sample, and the smaller is the
    /// gradient.
    pub fn gap(self, gap: f64) -> Self {
        GappedStraightThrough { gap, ..self }
    }

    sampling_setters! { self => self.samples.sampling; samples, on_plate, scheme, groups }

    /// Accepts jumps on the paths from the value, as
    /// [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        GappedStraightThrough { samples: self.samples.assume_continuous(), ..self }
    }

    /// The shifted logits that agree with a bit or a vector.
    fn moved<'t, F: Real>(&self, hard: Var<'t, F>, logits: Var<'t, F>, element_rank: usize) -> Var<'t, F> {
        match element_rank {
            // One of the two logits 0 and η belongs to the sampled value; the other one is at most the larger of them
            // minus the gap.
            0 => {
                let top = logits.relu();
                let low = top - self.gap;
                hard.select(top - low.minimum(logits * 0.0), low.minimum(logits) - top)
            }
            _ => {
                let top = logits.max_axis(-1).unsqueeze(-1);
                hard.select(top + logits * 0.0, logits.minimum(top - self.gap))
            }
        }
    }
}

impl Method for GappedStraightThrough {
    fn name(&self) -> String {
        format!("gapped straight-through ({}, gap {}, {})", self.samples.temperature, self.gap, self.samples.describe())
    }

    fn profile(&self) -> Profile {
        Profile::biased(Bias::Gradient).times(self.samples.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.samples.sampling.plate
    }

    fn slots(&self) -> MethodSlots {
        self.samples.temperature.slots()
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for GappedStraightThrough
where
    for<'t> D::On<'t>: RelaxedMean<'t, F>,
{
    fn guarantee(&self, _distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        self.samples.guarantee(&self.profile(), path)
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        if !(self.gap >= 0.0 && self.gap.is_finite()) {
            return Err(context.error(DistributionError::Parameter {
                distribution: distribution.name(),
                parameter: "gap between the logits",
                expected: "a finite number, at least 0",
                found: self.gap,
                position: 0,
                hint: "1 is common",
            }));
        }
        let set = self.samples.sampled(context, distribution)?;
        let logits = distribution.location();
        let moved = self.moved(set.value, logits.stop_gradient(), distribution.element_rank());
        // The shifts are constants to the derivative.
        let moved = moved.stop_gradient().straight_through(logits.expand_plates(&moved.plates()));
        let soft = distribution.soften(moved, self.samples.temperature.record(context.tape()));
        Ok(SampleSet::equal(set.value.straight_through(soft), set.plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        self.samples.terms(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::models::{self, BitMethod};
    use approx::assert_abs_diff_eq;
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{Bernoulli, OneHotCategorical};
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    /// The mean and the variance of the gradient of (b − target)² for a bit, by the formula.
    fn known(target: f64, theta: f64, gap: f64, temperature: f64) -> (f64, f64) {
        let logits = [0.0, (theta / (1.0 - theta)).ln()];
        let top = logits[1].max(0.0);
        let gradient = |bit: usize| {
            let difference = (top - logits[1 - bit].min(top - gap)) / temperature;
            let p = 1.0 / (1.0 + difference.exp());
            p * (1.0 - p) / temperature * 2.0 * (bit as f64 - target)
        };
        let mean = theta * gradient(1) + (1.0 - theta) * gradient(0);
        (mean, theta * (1.0 - theta) * (gradient(1) - gradient(0)).powi(2))
    }

    #[test]
    fn the_moments_of_one_bit_are_those_of_the_formula() {
        for (theta, gap, temperature) in [(0.5, 1.0, 1.0), (0.1, 1.0, 0.7), (0.8, 0.3, 1.5), (0.3, 0.0, 1.0)] {
            let method: BitMethod = Arc::new(GappedStraightThrough::new(temperature).gap(gap));
            let (mean, variance) = known(0.45, theta, gap, temperature);
            models::assert_moments(&method, 0.45, theta, mean, variance, 1e-9);
        }
        let annealed = GappedStraightThrough::new(Temperature::exponential(1.0, 0.5, 3));
        models::assert_compiled(&(Arc::new(annealed) as BitMethod));
    }

    #[test]
    fn two_categories_are_a_bit() {
        let method = GappedStraightThrough::new(0.7);
        let bit = |graph: &Graph<'_, f64>| {
            let logit = graph.param("logit", 0.6)?;
            graph.cost("cost", (graph.sample("b", &Bernoulli::from_logits(logit), &method)? - 0.3).powf(3.0))
        };
        let vector = |graph: &Graph<'_, f64>| {
            let logit = graph.param("logit", 0.6)?;
            let distribution = OneHotCategorical::from_logits(stochgrad_tape::Var::stack(&[logit * 0.0, logit])?);
            graph.cost("cost", (graph.sample("b", &distribution, &method)?.index(0, 1) - 0.3).powf(3.0))
        };
        let moments = |model: &dyn Fn(&Graph<'_, f64>) -> GraphResult<()>| {
            let moments = Oracle::new().gradient(model).unwrap();
            [moments.mean("logit").unwrap().as_slice()[0], moments.variance("logit").unwrap().as_slice()[0]]
        };
        for (bit, vector) in moments(&bit).into_iter().zip(moments(&vector)) {
            assert_abs_diff_eq!(bit, vector, epsilon = 1e-12);
        }
    }

    #[test]
    fn costs_are_right_and_gradients_sum_to_zero() {
        let method = GappedStraightThrough::new(0.7).samples(2);
        let model = |graph: &Graph<'_, f64>| {
            let logits = graph.param("logits", [[0.2, -0.4, 1.0], [0.0, 0.3, -2.0]])?;
            let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &method)?;
            graph.cost("cost", (x * graph.constant([[1.0, -2.0, 0.5], [0.3, 4.0, 1.5]])).sum().exp())
        };
        Oracle::new().verify(model, 0..=0, 1e-9).unwrap();
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        model(&graph).unwrap();
        for row in graph.backward().unwrap().get("logits").unwrap().as_slice().chunks(3) {
            assert!(row.iter().sum::<f64>().abs() < 1e-12 && row[0] != 0.0, "{row:?}");
        }
    }

    #[test]
    fn a_gap_that_is_none_is_an_error() {
        for gap in [-1.0, f64::NAN, f64::INFINITY] {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let distribution = Bernoulli::from_logits(graph.constant(0.3));
            let error =
                graph.sample("b", &distribution, &GappedStraightThrough::new(1.0).gap(gap)).unwrap_err().to_string();
            assert!(error.contains("gap"), "{error}");
        }
    }
}
