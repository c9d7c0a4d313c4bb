//! DisARM: antithetic pairs of bits, with the uniform variate behind them integrated out. It is a good default for
//! independent bits when you can afford two evaluations of the cost.
//!
//! A pair consists of the values $b = 1[u \ge 1 - \theta]$ and $\tilde b = 1[1 - u \ge 1 - \theta]$ for one uniform
//! $u$. Each value has the right distribution, and where they differ, the difference of the costs is a gradient:
//!
//! $$g_i = \tfrac12\, \big(f(b) - f(\tilde b)\big)\, (b_i - \tilde b_i)\, \sigma(|\eta_i|), \qquad \theta = \sigma(\eta).$$
//!
//! It is the conditional expectation of ARM, $(f(b) - f(\tilde b))(u_i - \tfrac12)$, given the two values, so that its
//! variance is never larger. Dong, Mnih and Tucker (2020); found at the same time by Yin, Ho, Yan, Qian and Zhou (2020)
//! as the unbiased uniform gradient.
//!
//! **Assumptions.** Independent bits. A cost must not depend on both members of a pair together.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 |
//! | cost evaluations | 2 a pair |
//! | requirement on the cost | values |

use crate::antithetic::antithetic_bits::antithetic_bits;
use crate::common::sampling::Sampling;
use crate::enumeration::boundary::Boundary;
use crate::sampling_setters;
use stochgrad_distributions::{Family, IndependentBits};
use stochgrad_graph::{
    CostContext, GradientMethod, GradientTerm, GraphResult, Method, Order, Profile, SampleContext, SamplePlate,
    SampleSet, Terms,
};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, instantiated};

/// Antithetic pairs of bits, for distributions of independent bits.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::DisArm;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0])?;
/// let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &DisArm::new())?;
/// graph.cost("loss", (bits.sum() - 0.5).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DisArm {
    sampling: Sampling,
}

impl DisArm {
    /// Draws one pair.
    pub fn new() -> Self {
        Self::default()
    }

    sampling_setters! { self => self.sampling; pairs, on_plate("pair") }
}

impl Method for DisArm {
    fn name(&self) -> String {
        format!("DisARM ({})", self.sampling.describe_as("pair"))
    }

    fn profile(&self) -> Profile {
        pair_profile(self.sampling.plate)
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for DisArm
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
        let logits = distribution.logits();
        let boundary = Boundary::split(context, distribution)?;
        let mut terms = pair_terms(context, boundary.inside.logits(), |difference, first, second| {
            pair_gradient(logits, difference, first, second)
        })?;
        terms.gradient_terms.extend(boundary.terms);
        Ok(terms)
    }
}

/// The profile of a method that draws pairs on a plate: unbiased, order 1, two cost evaluations for each pair.
pub fn pair_profile(plate: SamplePlate) -> Profile {
    Profile::unbiased(Order::Finite(1)).times(2 * plate.samples())
}

/// The DisARM gradient with respect to the logits, given the difference of the two costs of a pair and its two values.
pub fn pair_gradient<'t, F: Real>(
    logits: Var<'t, F>,
    difference: Var<'t, F>,
    first: Var<'t, F>,
    second: Var<'t, F>,
) -> Var<'t, F> {
    difference * 0.5 * (first - second) * logits.stop_gradient().abs().sigmoid()
}

/// Draws antithetic pairs of bits, along a new plate with two members inside the plate of `setting`.
///
/// # Errors
/// Those of [`SampleContext::joint_plate`] and of the noise source.
pub fn sample_pairs<'t, F: Real>(
    context: &SampleContext<'_, 't, F>,
    distribution: &impl IndependentBits<'t, F>,
    setting: SamplePlate,
) -> GraphResult<SampleSet<'t, F>> {
    let (outer, pair) = context.joint_plate(setting, 2)?;
    let bits = antithetic_bits(
        context.tape(),
        &context.draw(outer),
        distribution.logits().sigmoid(),
        &distribution.event_shape(),
    );
    let bits = bits.map_err(|source| context.error(source))?;
    let value = Var::stack(&bits)?.event_to_plate(pair);
    Ok(SampleSet::equal(value.drawn(), Some(pair)))
}

/// The gradient terms of a node whose samples are pairs. `gradient` returns the gradient with respect to the logits,
/// given the difference of the two costs of a pair and its two values.
///
/// # Errors
/// If a cost depends on both members of a pair together.
pub fn pair_terms<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    logits: Var<'t, F>,
    gradient: impl Fn(Var<'t, F>, Var<'t, F>, Var<'t, F>) -> Var<'t, F>,
) -> GraphResult<Terms<'t, F>> {
    instantiated!(
        F: for<'t> fn(&CostContext<'_, 't, F>, Var<'t, F>, &PairGradient<'_, 't, F>) -> GraphResult<Terms<'t, F>> =
            pair_terms_body
    )(context, logits, &gradient)
}

/// The gradient from the difference of the costs of a pair, its first and its second member.
type PairGradient<'a, 't, F> = dyn Fn(Var<'t, F>, Var<'t, F>, Var<'t, F>) -> Var<'t, F> + 'a;

fn pair_terms_body<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    logits: Var<'t, F>,
    gradient: &PairGradient<'_, 't, F>,
) -> GraphResult<Terms<'t, F>> {
    let mut terms = Terms::default();
    let zero = context.tape().constant(0.0);
    let Some(pair) = context.plate() else { return Ok(terms) };
    let value = context.value();
    let (first, second) = (value.member(pair, 0).stop_gradient(), value.member(pair, 1).stop_gradient());
    for cost in context.totals()? {
        if cost.joint.contains(&pair) {
            return Err(context.refused(
                "a cost depends on both members of a pair together, which are not independent draws; keep the plate in \
                 the cost, or use a method with independent samples there, such as ScoreFunction",
            ));
        }
        let difference = cost.value.member(pair, 0) - cost.value.member(pair, 1);
        let gradient = gradient(difference, first, second).stop_gradient();
        // Not `dot − stop(dot)`, which is not a number for an infinite logit with gradient 0.
        let value = zero.straight_through((gradient * logits).sum());
        terms.gradient_terms.push(GradientTerm { value, summed: cost.joint });
    }
    Ok(terms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::antithetic::arm::Arm;
    use crate::counterfactual::measure_valued::MeasureValued;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    #[test]
    fn pairs_are_unbiased_on_every_shape_of_graph() {
        let disarm: BitMethod = Arc::new(DisArm::new());
        let arm: BitMethod = Arc::new(Arm::new());
        let two: BitMethod = Arc::new(DisArm::new().pairs(2));
        let score: BitMethod = Arc::new(ScoreFunction::new());
        let weak: BitMethod = Arc::new(MeasureValued::new());
        models::assert_unbiased([&disarm, &disarm, &disarm]);
        models::assert_unbiased([&disarm, &score, &weak]);
        models::assert_unbiased([&weak, &disarm, &disarm]);
        models::assert_unbiased([&score, &two, &score]);
        models::assert_unbiased([&arm, &score, &arm]);
    }

    #[test]
    fn variances_are_the_known_ones() {
        for (target, theta, arm, disarm) in [
            (0.499, 0.5, 8.3333e-8, 0.0),
            (0.499, 0.1, 1.302667e-7, 1.296e-7),
            (0.45, 0.5, 2.08333e-4, 0.0),
            (0.45, 0.1, 3.256667e-4, 3.24e-4),
        ] {
            models::assert_variance(&(Arc::new(Arm::new()) as BitMethod), target, theta, arm);
            models::assert_variance(&(Arc::new(DisArm::new()) as BitMethod), target, theta, disarm);
            models::assert_variance(&(Arc::new(DisArm::new().pairs(3)) as BitMethod), target, theta, disarm / 3.0);
        }
    }

    #[test]
    fn its_variance_is_never_larger_than_that_of_arm() {
        let variance = |method: BitMethod| {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", [0.3, -1.4, 2.0])?;
                let x = graph.sample("x", &Bernoulli::from_logits(t), &method)?;
                graph.cost("cost", (x * graph.constant([1.0, -2.0, 0.7])).sum().exp())
            };
            Oracle::new().nodes(4).gradient(model).unwrap().variance("t").unwrap().to_vec()
        };
        let (merged, plain) = (variance(Arc::new(DisArm::new())), variance(Arc::new(Arm::new())));
        assert!(merged.iter().zip(&plain).all(|(merged, plain)| merged < plain), "{merged:?}, {plain:?}");
    }

    #[test]
    fn a_cost_of_both_members_is_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        models::importance_weighted(&graph, &(Arc::new(DisArm::new()) as BitMethod)).unwrap();
        let error = graph.backward().unwrap_err().to_string();
        assert!(error.contains("both members of a pair"), "{error}");
    }

    #[test]
    fn probabilities_do_as_well_as_logits_and_certain_bits_are_harmless() {
        let method = DisArm::new();
        let model = |graph: &Graph<'_, f64>| {
            let p = graph.param("p", [0.3, 0.9])?;
            let x = graph.sample("x", &Bernoulli::from_probabilities(p), &method)?;
            graph.cost("cost", (x.sum() - 0.4).exp())
        };
        Oracle::new().verify(model, 0..=1, 1e-9).unwrap();
        for logits in [[f64::INFINITY, f64::NEG_INFINITY, 0.0], [80.0, -80.0, 1.0]] {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let logits = graph.param("logits", logits).unwrap();
            let x = graph.sample("x", &Bernoulli::from_logits(logits), &method).unwrap();
            graph.cost("cost", x.sum().square()).unwrap();
            let gradients = graph.backward().unwrap();
            assert!(gradients.get("logits").unwrap().all_finite());
        }
    }

    #[test]
    fn compiled_graphs_do_the_same() {
        for method in [Arc::new(DisArm::new().pairs(2)) as BitMethod, Arc::new(Arm::new())] {
            models::assert_compiled(&method);
        }
    }
}
