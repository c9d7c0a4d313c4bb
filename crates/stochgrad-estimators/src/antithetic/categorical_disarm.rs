//! DisARM for categories: antithetic pairs of categories. Use it for independent categories when you can afford two
//! evaluations of the cost.
//!
//! A category is found by binary decisions, along [sticks](CategoricalDisArm::new) or a [balanced
//! tree](CategoricalDisArm::tree). Each decision uses a uniform variate in one sample and its complement in the other.
//! The gradient with respect to the log-odds $\eta_v$ of a decision is the conditional expectation of ARM, given the
//! two samples $z$ and $\tilde z$:
//!
//! $$g_v = \tfrac12 \big(f(z) - f(\tilde z)\big) \cdot \begin{cases}
//!     (b_v - \tilde b_v)\, \sigma(|\eta_v|) & \text{both reach } v, \\
//!     b_v - \theta_v & \text{only } z \text{ does}, \\
//!     \theta_v - \tilde b_v & \text{only } \tilde z \text{ does}.
//! \end{cases}$$
//!
//! The [importance-weighted](CategoricalDisArm::importance_weighted) form draws the same samples along sticks, and
//! divides by the probability of the pair:
//!
//! $$g = \tfrac12\, w(z, \tilde z)\, \big(f(z) - f(\tilde z)\big)\, \nabla \ln \frac{q(z)}{q(\tilde z)}, \qquad w = \frac{q(z)\, q(\tilde z)}{p(z, \tilde z)}
//!     = \prod_{i < m} \frac{(1 - \theta_i)^2}{1 - 2 \theta_i}\, (1 - \theta_m), \quad m = \min(z, \tilde z).$$
//!
//! Sticks are in ascending order of probability, so that all $\theta_i \le 1/2$, as the ratio requires. Two categories
//! give [`DisArm`](crate::DisArm) in every form. Dong, Mnih and Tucker (2021).
//!
//! **Assumptions.** Independent categories; all variables of a node form their pairs at the same time. A cost must not
//! depend on both members of a pair together.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 |
//! | cost evaluations | 2 a pair |
//! | requirement on the cost | values |

use crate::antithetic::antithetic_bits::antithetic_bits;
use crate::antithetic::carms::pair_weights;
use crate::antithetic::decisions::{Decisions, Way, check_categories};
use crate::antithetic::disarm::{pair_profile, pair_terms};
use crate::common::sampling::Sampling;
use crate::enumeration::boundary::Boundary;
use crate::sampling_setters;
use stochgrad_distributions::{Family, IndependentCategories};
use stochgrad_graph::{
    CostContext, GradientMethod, GraphResult, Method, Profile, SampleContext, SamplePlate, SampleSet, Terms,
};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// The estimator of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Form {
    #[default]
    Sticks,
    ImportanceWeighted,
    Tree,
}

/// Antithetic pairs of categories, for distributions of independent categories.
///
/// ```
/// use stochgrad_distributions::OneHotCategorical;
/// use stochgrad_estimators::CategoricalDisArm;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [[0.3, -1.0, 0.5], [0.0, 0.2, -0.4]])?;
/// let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &CategoricalDisArm::tree())?;
/// graph.cost("loss", (x.index(-1, 0).sum() - 0.5).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CategoricalDisArm {
    form: Form,
    sampling: Sampling,
}

impl CategoricalDisArm {
    /// Draws one pair along sticks, in ascending order of probability.
    pub fn new() -> Self {
        Self::default()
    }

    /// Draws one pair along sticks, with the importance-weighted estimator.
    pub fn importance_weighted() -> Self {
        CategoricalDisArm { form: Form::ImportanceWeighted, ..Self::default() }
    }

    /// Draws one pair by the decisions of a balanced tree over the categories in their given order.
    pub fn tree() -> Self {
        CategoricalDisArm { form: Form::Tree, ..Self::default() }
    }

    sampling_setters! { self => self.sampling; pairs, on_plate("pair") }

    fn decisions<'t, F: Real>(self, distribution: &impl IndependentCategories<'t, F>) -> Decisions<'t, F> {
        match self.form {
            Form::Sticks | Form::ImportanceWeighted => Decisions::sticks(distribution),
            Form::Tree => Decisions::balanced(distribution),
        }
    }
}

impl Method for CategoricalDisArm {
    fn name(&self) -> String {
        let form = match self.form {
            Form::Sticks => "sticks",
            Form::ImportanceWeighted => "importance-weighted",
            Form::Tree => "tree",
        };
        format!("categorical DisARM ({form}, {})", self.sampling.describe_as("pair"))
    }

    fn profile(&self) -> Profile {
        pair_profile(self.sampling.plate)
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for CategoricalDisArm
where
    for<'t> D::On<'t>: IndependentCategories<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        check_categories(context, distribution)?;
        let decisions = self.decisions(distribution);
        let (outer, pair) = context.joint_plate(self.sampling.plate, 2)?;
        let bits = antithetic_bits(context.tape(), &context.draw(outer), decisions.chance, &decisions.event());
        let bits = bits.map_err(|source| context.error(source))?;
        let one_hot = Var::stack(&bits.map(|bits| decisions.end(bits)))?.event_to_plate(pair);
        Ok(SampleSet::equal(distribution.value_from_one_hot(one_hot).drawn(), Some(pair)))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let decisions = self.decisions(distribution);
        let boundary = Boundary::split(context, distribution)?;
        let logs = boundary.inside.category_log_probs();
        let mut terms = if self.form == Form::ImportanceWeighted {
            let weights = pair_weights(&decisions, decisions.chance * 0.0);
            pair_terms(context, logs, |difference, first, second| {
                let one_hot = [first, second].map(|value| distribution.to_one_hot(value));
                let [a, b] = one_hot.map(|one_hot| decisions.way(one_hot));
                let apart = a.bit * (b.reached - b.bit) + b.bit * (a.reached - a.bit);
                let weight = (apart * weights).sum_axis(-1).unsqueeze(-1);
                (one_hot[0] - one_hot[1]) * weight * difference * 0.5
            })
        } else {
            pair_terms(context, logs, |difference, first, second| {
                let ways = [first, second].map(|value| decisions.way(distribution.to_one_hot(value)));
                decisions.gradient(direction(&decisions, ways) * difference * 0.5)
            })
        }?;
        terms.gradient_terms.extend(boundary.terms);
        Ok(terms)
    }
}

/// The gradient with respect to the log-odds of each decision, divided by half the difference of the two costs.
fn direction<'t, F: Real>(decisions: &Decisions<'t, F>, [first, second]: [Way<'t, F>; 2]) -> Var<'t, F> {
    let chance = decisions.chance;
    let both = first.reached * second.reached * (first.bit - second.bit) * chance.maximum(1.0 - chance);
    let only = |way: &Way<'t, F>, other: &Way<'t, F>| way.reached * (1.0 - other.reached) * (way.bit - chance);
    both + only(&first, &second) - only(&second, &first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::antithetic::disarm::DisArm;
    use crate::counterfactual::measure_valued::MeasureValued;
    use crate::score_function::ScoreFunction;
    use crate::score_function::baseline::LeaveOneOut;
    use crate::testing::category_models::{self, CategoryMethod};
    use crate::testing::models::{self, BitMethod};
    use approx::assert_abs_diff_eq;
    use std::sync::Arc;
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    fn forms() -> [CategoricalDisArm; 3] {
        [CategoricalDisArm::new(), CategoricalDisArm::importance_weighted(), CategoricalDisArm::tree()]
    }

    #[test]
    fn every_form_is_unbiased_on_every_shape_of_graph() {
        for form in forms() {
            category_models::assert_unbiased(&form);
            let bits: BitMethod = Arc::new(form);
            let score: BitMethod = Arc::new(ScoreFunction::new());
            models::assert_unbiased([&bits, &bits, &score]);
            // Drawn again in the replays of another node.
            let weak: BitMethod = Arc::new(MeasureValued::new());
            models::assert_unbiased([&weak, &bits, &score]);
        }
        let two: BitMethod = Arc::new(CategoricalDisArm::new().pairs(2));
        let score: BitMethod = Arc::new(ScoreFunction::new());
        models::assert_unbiased([&score, &two, &score]);
    }

    #[test]
    fn two_categories_are_disarm() {
        for form in forms() {
            for (target, theta, expected) in [(0.45, 0.5, 0.0), (0.45, 0.1, 3.24e-4), (0.501, 0.9, 1.296e-7)] {
                models::assert_variance(&(Arc::new(form) as BitMethod), target, theta, expected);
            }
        }
        // With a tree, even the values are the same.
        let gradient = |method: BitMethod, step: usize| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(5).step(step));
            let t = graph.param("t", [0.3, -1.4, 2.0]).unwrap();
            let x = graph.sample("x", &Bernoulli::from_logits(t), &method).unwrap();
            graph.cost("cost", (x * graph.constant([1.0, -2.0, 0.7])).sum().exp()).unwrap();
            graph.backward().unwrap().get("t").unwrap().to_vec()
        };
        for step in 0..50 {
            let found = gradient(Arc::new(CategoricalDisArm::tree().pairs(2)), step);
            for (found, expected) in found.iter().zip(gradient(Arc::new(DisArm::new().pairs(2)), step)) {
                assert_abs_diff_eq!(*found, expected, epsilon = 1e-13);
            }
        }
    }

    #[test]
    fn variances_are_below_those_of_leave_one_out() {
        let total = |method: CategoryMethod| category_models::variances(&method).iter().sum::<f64>();
        let leave_one_out = total(Arc::new(ScoreFunction::new().samples(2).baseline(LeaveOneOut)));
        for form in forms() {
            let found = total(Arc::new(form));
            println!("{}: {found}, leave-one-out {leave_one_out}", form.name());
            assert!(found < leave_one_out, "{}: {found} and {leave_one_out}", form.name());
        }
    }

    #[test]
    fn a_cost_of_both_members_is_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        models::importance_weighted(&graph, &(Arc::new(CategoricalDisArm::new()) as BitMethod)).unwrap();
        let error = graph.backward().unwrap_err().to_string();
        assert!(error.contains("both members of a pair"), "{error}");
    }

    #[test]
    fn extremes_are_finite_and_compiled_graphs_do_the_same() {
        for form in forms() {
            category_models::assert_finite(&form);
            models::assert_compiled(&(Arc::new(form.pairs(2)) as BitMethod));
        }
    }
}
