//! ARMS: any number of antithetic bits, with their correlation divided out.
//!
//! $n$ uniforms are made to avoid one another by a Dirichlet copula, $u = (1 - d)^{n - 1}$ with $d \sim \operatorname{Dir}(1, \dots, 1)$, and each makes a bit of the right law.
//! Pairs of bits are negatively correlated, $\rho_i$ for element $i$, which leave-one-out would turn into a bias:
//!
//! $$g_i = \frac{1}{1 - \rho_i}\, \frac{1}{n - 1} \sum_{k=1}^n (f_k - \bar f)\, (b_{ki} - \theta_i), \qquad
//!     \rho = \frac{\max(0,\, 2 q^{1/(n-1)} - 1)^{n-1} - q^2}{q (1 - q)}, \quad q = \min(\theta, 1 - \theta).$$
//!
//! Two samples give [`DisArm`](crate::DisArm). Dimitriev and Zhou (2021).
//!
//! **Assumptions.** Independent bits. A cost must not depend on several of the samples together.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 |
//! | cost evaluations | $n \ge 2$ |
//! | the cost must offer | values |

use stochgrad_distributions::{Distribution, DistributionError, Family, IndependentBits};
use stochgrad_graph::{
    CostContext, GradientMethod, GradientTerm, GraphResult, Method, Order, Profile, SampleContext, SamplePlate,
    SampleSet, Terms,
};
use stochgrad_tensor::{Real, Shape};

/// Jointly antithetic bits, for distributions of independent bits.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::Arms;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0])?;
/// let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &Arms::new(4))?;
/// graph.cost("loss", (bits.sum() - 0.5).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arms {
    samples: usize,
}

impl Arms {
    /// That many samples, at least 2.
    pub fn new(samples: usize) -> Self {
        Arms { samples }
    }
}

impl Method for Arms {
    fn name(&self) -> String {
        format!("ARMS ({} samples)", self.samples)
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Finite(1)).times(self.samples)
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Arms
where
    for<'t> D::On<'t>: IndependentBits<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        if self.samples < 2 {
            return Err(context.error(DistributionError::Unsupported {
                distribution: distribution.name(),
                problem: format!(
                    "ARMS needs at least 2 samples, came {}; ask for them with Arms::new(2) or more",
                    self.samples
                ),
            }));
        }
        let (_, plate) = context.joint_plate(SamplePlate::Single, self.samples)?;
        let tape = context.tape();
        let event: Shape = std::iter::once(self.samples).chain(distribution.event_shape().iter().copied()).collect();
        let draw = context.draw(None).purpose("Dirichlet copula");
        let gaps = draw.record_exponential(tape, &event).map_err(|source| context.error(source))?;
        let gaps = gaps / gaps.sum_axis(0).unsqueeze(0);
        let u = (1.0 - gaps).powf((self.samples - 1) as f64).event_to_plate(plate);
        // The copula keeps pairs apart near 0, where the rarer of the two values is.
        let p = distribution.logits().sigmoid().stop_gradient();
        let rare = p.le(tape.constant(0.5));
        let value = rare.select(u.lt(p), u.ge(1.0 - p));
        Ok(SampleSet::equal(value.drawn(), Some(plate)))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let mut terms = Terms::default();
        let Some(plate) = context.plate() else { return Ok(terms) };
        let tape = context.tape();
        let (zero, others) = (tape.constant(0.0), (self.samples - 1) as f64);
        let logits = distribution.logits();
        let p = logits.stop_gradient().sigmoid();
        let q = (-logits.stop_gradient().abs()).sigmoid();
        let both = (q.powf(1.0 / others) * 2.0 - 1.0).relu().powf(others);
        // 1 − ρ, with what cancels at q → 0 divided out.
        let scale = q.gt(zero).select(1.0 - (both / q - q) / (1.0 - q), zero + 1.0);
        let value = context.value().stop_gradient();
        for cost in context.totals()? {
            if cost.joint.contains(&plate) {
                return Err(context.refused(
                    "a cost depends on several samples together, which are not independent draws; keep the plate in the cost, \
                     or use a method with independent samples there, such as ScoreFunction",
                ));
            }
            let centred = cost.value - cost.value.mean_over(plate);
            let gradient = (centred * (value - p)).sum_over(plate) * (1.0 / others) / scale;
            let product = (gradient.stop_gradient() * logits).sum();
            terms.gradient_terms.push(GradientTerm { value: zero.straight_through(product), summed: cost.joint });
        }
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;
    use crate::models::BitMethod;
    use std::sync::Arc;
    use stochgrad_check::{Oracle, StatisticalTest};
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    #[test]
    fn moments_are_the_known_ones() {
        for (samples, target, theta, expected) in [
            (2, 0.45, 0.1, 3.24e-4),
            (4, 0.499, 0.5, 6.078029e-9),
            (4, 0.45, 0.1, 1.215e-4),
            (10, 0.45, 0.5, 3.216993e-6),
            (10, 0.45, 0.1, 2.823333e-5),
            (10, 0.55, 0.9, 2.823333e-5),
        ] {
            let model = |graph: &Graph<'_, f64>| {
                let logit = graph.param("logit", f64::ln(theta / (1.0 - theta)))?;
                let b = graph.sample("b", &Bernoulli::from_logits(logit), &Arms::new(samples))?;
                graph.cost("cost", (b - target).square())
            };
            let mean = theta * (1.0 - theta) * (1.0 - 2.0 * target);
            let test = StatisticalTest::new().runs(6000);
            test.check(model, &[("logit", Tensor::scalar(mean))]).unwrap();
            test.check_variance(model, &[("logit", Tensor::scalar(expected))], 0.15).unwrap();
        }
    }

    #[test]
    fn larger_models_are_unbiased() {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, -0.8])?;
            let features = graph.data("data", [0.5, -1.5])?;
            let x = graph.sample("x", &Bernoulli::from_logits(t * features), &Arms::new(3))?;
            let y = graph.sample("y", &Bernoulli::from_logits(x.sum() - t.index(0, 1)), &Arms::new(2))?;
            graph.cost("each", (x.sum() + y * features - 0.4).square())?;
            graph.cost("joint", (x.sum() * features).sum_over(features.plates()[0]).exp() * 0.3)
        };
        let exact = Oracle::new().exact_gradient(model).unwrap();
        StatisticalTest::new().runs(6000).check(model, &exact).unwrap();
    }

    #[test]
    fn extremes_are_finite_and_compiled_graphs_do_the_same() {
        for logits in [[f64::INFINITY, f64::NEG_INFINITY, 0.0], [800.0, -800.0, 1.0]] {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let logits = graph.param("logits", logits).unwrap();
            let x = graph.sample("x", &Bernoulli::from_logits(logits), &Arms::new(4)).unwrap();
            graph.cost("cost", x.sum().square()).unwrap();
            assert!(graph.backward().unwrap().get("logits").unwrap().all_finite());
        }
        models::assert_compiled(&(Arc::new(Arms::new(4)) as BitMethod));
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        assert!(graph.sample("x", &Bernoulli::from_logits(graph.constant(0.3)), &Arms::new(1)).is_err());
    }
}
