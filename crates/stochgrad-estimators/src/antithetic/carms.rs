//! CARMS: any number of antithetic categories. Use it for independent categories when you can afford several
//! evaluations of the cost.
//!
//! Every variable is drawn by stick breaking: is it the least likely category, otherwise the next one, and so on. All
//! $n$ samples are drawn together, and at each stick a [`Copula`] decides which of them stop there, so that few stop
//! together. Each sample has the right distribution. A pair $(z, z')$ of samples of one variable has the joint
//! distribution $p(z, z')$, whose ratio to that of two independent draws is known:
//!
//! $$w(z, z') = \frac{q(z)\, q(z')}{p(z, z')} = \prod_{i < m} \frac{(1 - \theta_i)^2}{1 - 2\theta_i + \theta_i \kappa_i} \cdot \frac{1 - \theta_m}{1 - \kappa_m},
//!     \quad m = \min(z, z'),\ z \ne z',$$
//!
//! Here $\theta_i$ is the probability of stopping at stick $i$ if it is reached, and $\kappa_i$ that of a second sample
//! if a first one stops there. The gradient is that of leave-one-out with weighted pairs:
//!
//! $$g = \frac{1}{n (n - 1)} \sum_{k < l} w(z_k, z_l)\, (f_k - f_l)\, \nabla \ln \frac{q(z_k)}{q(z_l)}.$$
//!
//! **Several variables.** The gradient with respect to one variable uses the ratio of the pair of *that variable* only,
//! not the product over all variables. This is unbiased: given the pair of the variable, the other variables of sample
//! $k$ have their own distribution, whatever those of sample $l$ are. Two samples of two categories give
//! [`DisArm`](crate::DisArm), and independent samples give leave-one-out. Dimitriev and Zhou (2021).
//!
//! **Assumptions.** Independent categories. A cost must not depend on several of the samples together.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 |
//! | cost evaluations | $n \ge 2$ a set; pairs cost $O(n^2)$ products per stick |
//! | requirement on the cost | values |

use crate::antithetic::arms::{SMALLEST, describe_sets, separate_costs};
use crate::antithetic::copula::{Copula, DirichletCopula, below, check_samples};
use crate::antithetic::decisions::{Decisions, Way, check_categories};
use crate::common::sampling::Sampling;
use crate::enumeration::boundary::Boundary;
use crate::sampling_setters;
use stochgrad_distributions::{Family, IndependentCategories};
use stochgrad_graph::{
    CostContext, GradientMethod, GradientTerm, GraphResult, Method, Order, Profile, SampleContext, SamplePlate,
    SampleSet, Terms,
};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape, Tensor};

/// Jointly antithetic categories, for distributions of independent categories.
///
/// ```
/// use stochgrad_distributions::Categorical;
/// use stochgrad_estimators::Carms;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0, 0.5])?;
/// let x = graph.sample("x", &Categorical::from_logits(logits), &Carms::new(4))?;
/// graph.cost("loss", (x - 1.5).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carms<C = DirichletCopula> {
    samples: usize,
    sampling: Sampling,
    copula: C,
}

impl Carms {
    /// Draws one set of this number of samples, at least 2, with the Dirichlet copula.
    pub fn new(samples: usize) -> Self {
        Carms { samples, sampling: Sampling::default(), copula: DirichletCopula }
    }
}

impl<C> Carms<C> {
    /// Uses another copula.
    pub fn copula<D>(self, copula: D) -> Carms<D> {
        Carms { samples: self.samples, sampling: self.sampling, copula }
    }

    sampling_setters! { self => self.sampling; sets, on_plate("set") }
}

impl<C: Copula> Method for Carms<C> {
    fn name(&self) -> String {
        format!("CARMS ({})", describe_sets(&self.copula, self.samples, self.sampling.plate))
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Finite(1)).times(self.samples).times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

/// For each stick, the ratio $w$ of pairs of which one sample stops there and the other one goes on.
///
/// `second` is the probability $\kappa$ of each stick, and sticks are in ascending order, so that no more than half of
/// the samples stop at one.
pub(crate) fn pair_weights<'t, F: Real>(sticks: &Decisions<'t, F>, second: Var<'t, F>) -> Var<'t, F> {
    let theta = sticks.chance;
    let tape = theta.tape();
    let count = sticks.event().last().copied().unwrap_or(0);
    let neither = (1.0 - theta * 2.0 + theta * second).maximum(tape.constant(SMALLEST));
    let passed = (1.0 - theta).ln() * 2.0 - neither.ln();
    let earlier = tape.constant(Tensor::from_fn([count, count], |i| F::from_usize(usize::from(i / count < i % count))));
    passed.matmul(earlier).exp() * (1.0 - theta) / (1.0 - second)
}

impl<F: Real, D: Family<F>, C: Copula> GradientMethod<F, D> for Carms<C>
where
    for<'t> D::On<'t>: IndependentCategories<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        check_samples(distribution, self.samples, "Carms").map_err(|source| context.error(source))?;
        check_categories(context, distribution)?;
        let sticks = Decisions::sticks(distribution);
        let (outer, plate) = context.joint_plate(self.sampling.plate, self.samples)?;
        let draw = context.draw(outer);
        let stops = below(&self.copula, context.tape(), &draw, self.samples, sticks.chance, &sticks.event());
        let stops = stops.map_err(|source| context.error(source))?.event_to_plate(plate);
        let value = distribution.value_from_one_hot(sticks.end(stops));
        Ok(SampleSet::equal(value.drawn(), Some(plate)))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let mut terms = Terms::default();
        let Some(plate) = context.plate() else { return Ok(terms) };
        // A graph that records the joint distribution draws the samples itself.
        check_samples(distribution, self.samples, "Carms").map_err(|source| context.error(source))?;
        let (tape, samples) = (context.tape(), self.samples);
        let sticks = Decisions::sticks(distribution);
        let second = self.copula.second_below(samples, sticks.chance.maximum(tape.constant(SMALLEST)));
        let one_hot = distribution.to_one_hot(context.value().stop_gradient()).plate_to_event(plate);
        let Way { reached, bit } = sticks.way(one_hot);
        // w of all pairs whose first sample stops where the second one goes on, or the other way round.
        let further = (reached - bit) * pair_weights(&sticks, second);
        let stops_first = (bit.unsqueeze(1) * further.unsqueeze(0)).sum_axis(-1);
        let stops_later = (further.unsqueeze(1) * bit.unsqueeze(0)).sum_axis(-1);
        let weights = stops_first + stops_later;
        let boundary = Boundary::split(context, distribution)?;
        let logs = boundary.inside.category_log_probs();
        let one_for_each: Shape =
            weights.shape().iter().enumerate().map(|(axis, &n)| if axis < 2 { n } else { 1 }).collect();
        for cost in separate_costs(context, plate)? {
            let f = cost.value.plate_to_event(plate);
            let difference = (f.unsqueeze(1) - f.unsqueeze(0)).reshape(one_for_each.clone());
            let advantage = (weights * difference).sum_axis(1) * (1.0 / (samples as f64 * (samples - 1) as f64));
            let gradient = (advantage.unsqueeze(-1) * one_hot).sum_axis(0);
            let product = (gradient.stop_gradient() * logs).sum();
            let value = tape.constant(0.0).straight_through(product);
            terms.gradient_terms.push(GradientTerm { value, summed: cost.joint });
        }
        terms.gradient_terms.extend(boundary.terms);
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::antithetic::arms::Arms;
    use crate::antithetic::categorical_disarm::CategoricalDisArm;
    use crate::antithetic::copula::GaussianCopula;
    use crate::antithetic::copula::LatinHypercube;
    use crate::antithetic::copula::tests::Independent;
    use crate::counterfactual::measure_valued::MeasureValued;
    use crate::score_function::ScoreFunction;
    use crate::score_function::baseline::LeaveOneOut;
    use crate::testing::category_models::{self, CategoryMethod};
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_distributions::Categorical;
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    fn assert_same(found: &[f64], expected: &[f64]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9 * expected.abs(), "{found} where {expected} is exact");
        }
    }

    #[test]
    fn it_is_unbiased_on_every_shape_of_graph() {
        category_models::assert_unbiased(&Carms::new(2));
        category_models::assert_unbiased(&Carms::new(2).copula(LatinHypercube));
        let three: BitMethod = Arc::new(Carms::new(3));
        let score: BitMethod = Arc::new(ScoreFunction::new());
        models::assert_unbiased([&three, &score, &score]);
        models::assert_unbiased([&score, &three, &score]);
        // Drawn again in the replays of another node.
        let (weak, pair): (BitMethod, BitMethod) = (Arc::new(MeasureValued::new()), Arc::new(Carms::new(2)));
        models::assert_unbiased([&weak, &pair, &score]);
    }

    #[test]
    fn larger_sets_are_unbiased() {
        category_models::assert_unbiased_by_samples(&Carms::new(3).sets(2), 500);
        category_models::assert_unbiased_by_samples(&Carms::new(4).copula(GaussianCopula), 500);
    }

    #[test]
    fn two_categories_are_arms_and_two_samples_are_disarm() {
        for (target, theta) in [(0.45, 0.5), (0.45, 0.1), (0.55, 0.9)] {
            for samples in [2, 4] {
                let (_, expected) = models::moments(&(Arc::new(Arms::new(samples)) as BitMethod), target, theta);
                models::assert_variance(&(Arc::new(Carms::new(samples)) as BitMethod), target, theta, expected);
            }
        }
        let disarm =
            category_models::variances(&(Arc::new(CategoricalDisArm::importance_weighted()) as CategoryMethod));
        assert_same(&category_models::variances(&(Arc::new(Carms::new(2)) as CategoryMethod)), &disarm);
    }

    #[test]
    fn independent_numbers_are_leave_one_out() {
        let leave_one_out: CategoryMethod = Arc::new(ScoreFunction::new().samples(2).baseline(LeaveOneOut));
        let expected = category_models::variances(&leave_one_out);
        assert_same(
            &category_models::variances(&(Arc::new(Carms::new(2).copula(Independent)) as CategoryMethod)),
            &expected,
        );
    }

    #[test]
    fn wrong_uses_are_errors() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        models::importance_weighted(&graph, &(Arc::new(Carms::new(3)) as BitMethod)).unwrap();
        let error = graph.backward().unwrap_err().to_string();
        assert!(error.contains("several samples together"), "{error}");
        let single = Categorical::from_logits(graph.constant([0.3]));
        let error = graph.sample("single", &single, &Carms::new(2)).unwrap_err().to_string();
        assert!(error.contains("at least 2 categories"), "{error}");
        let error = graph.sample("pair", &single, &CategoricalDisArm::tree()).unwrap_err().to_string();
        assert!(error.contains("at least 2 categories"), "{error}");
        let error = graph.sample("one", &single, &Carms::new(1)).unwrap_err().to_string();
        assert!(error.contains("at least 2 samples"), "{error}");
    }

    #[test]
    fn extremes_are_finite_and_compiled_graphs_do_the_same() {
        category_models::assert_finite(&Carms::new(4));
        category_models::assert_finite(&Carms::new(3).copula(GaussianCopula));
        models::assert_compiled(&(Arc::new(Carms::new(4)) as BitMethod));
        models::assert_compiled(&(Arc::new(Carms::new(3).copula(LatinHypercube).sets(2)) as BitMethod));
    }
}
