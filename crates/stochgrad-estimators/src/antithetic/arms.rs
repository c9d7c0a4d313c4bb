//! ARMS: any number of antithetic bits. Use it for independent bits when you can afford more than two evaluations of
//! the cost; with two samples it is [`DisArm`](crate::DisArm).
//!
//! A [`Copula`] makes $n$ dependent uniform variates, and each of them makes a bit with the right distribution. Pairs
//! of bits have a negative correlation, $\rho_i$ for element $i$. Leave-one-out would be biased by it, so that the
//! estimate is divided by $1 - \rho_i$:
//!
//! $$g_i = \frac{1}{1 - \rho_i}\, \frac{1}{n - 1} \sum_{k=1}^n (f_k - \bar f)\, (b_{ki} - \theta_i), \qquad
//!     1 - \rho = \frac{1 - P(u_2 < q \mid u_1 < q)}{1 - q}, \quad q = \min(\theta, 1 - \theta).$$
//!
//! The rarer value of a bit is taken where $u < q$, since copulas spread their variates near 0. Every exchangeable
//! copula is allowed: the Dirichlet copula of Dimitriev and Zhou (2021), the [Gaussian](crate::GaussianCopula) one,
//! [strata](crate::LatinHypercube), or your own. Two samples of any of these give [`DisArm`](crate::DisArm), and
//! independent variates give leave-one-out.
//!
//! **Assumptions.** Independent bits. A cost must not depend on several of the samples together.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 |
//! | cost evaluations | $n \ge 2$ a set |
//! | requirement on the cost | values |

use crate::antithetic::copula::{Copula, DirichletCopula, below, check_samples};
use crate::common::sampling::Sampling;
use crate::enumeration::boundary::Boundary;
use crate::sampling_setters;
use stochgrad_distributions::{Distribution, Family, IndependentBits};
use stochgrad_graph::{
    CostContext, GradientMethod, GradientTerm, GraphResult, Method, NodeCost, Order, Profile, SampleContext,
    SamplePlate, SampleSet, Terms,
};
use stochgrad_tape::Plate;
use stochgrad_tensor::Real;

/// The smallest probability that is distinguished from 0.
pub(crate) const SMALLEST: f64 = 1e-30;

/// Jointly antithetic bits, for distributions of independent bits.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{Arms, GaussianCopula};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0])?;
/// let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &Arms::new(4).copula(GaussianCopula))?;
/// graph.cost("loss", (bits.sum() - 0.5).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arms<C = DirichletCopula> {
    samples: usize,
    sampling: Sampling,
    copula: C,
}

impl Arms {
    /// Draws one set of this number of samples, at least 2, with the Dirichlet copula.
    pub fn new(samples: usize) -> Self {
        Arms { samples, sampling: Sampling::default(), copula: DirichletCopula }
    }
}

impl<C> Arms<C> {
    /// Uses another copula.
    pub fn copula<D>(self, copula: D) -> Arms<D> {
        Arms { samples: self.samples, sampling: self.sampling, copula }
    }

    sampling_setters! { self => self.sampling; sets, on_plate("set") }
}

impl<C: Copula> Method for Arms<C> {
    fn name(&self) -> String {
        format!("ARMS ({})", describe_sets(&self.copula, self.samples, self.sampling.plate))
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Finite(1)).times(self.samples).times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>, C: Copula> GradientMethod<F, D> for Arms<C>
where
    for<'t> D::On<'t>: IndependentBits<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        check_samples(distribution, self.samples, "Arms").map_err(|source| context.error(source))?;
        let (outer, plate) = context.joint_plate(self.sampling.plate, self.samples)?;
        let tape = context.tape();
        let p = distribution.logits().sigmoid().stop_gradient();
        let one_is_rare = p.le(tape.constant(0.5));
        let rarer = p.minimum(1.0 - p);
        let rare = below(&self.copula, tape, &context.draw(outer), self.samples, rarer, &distribution.event_shape());
        let rare = rare.map_err(|source| context.error(source))?.event_to_plate(plate);
        let value = one_is_rare.select(rare, 1.0 - rare);
        Ok(SampleSet::equal(value.drawn(), Some(plate)))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let mut terms = Terms::default();
        let Some(plate) = context.plate() else { return Ok(terms) };
        // A graph that records the joint distribution draws the samples itself.
        check_samples(distribution, self.samples, "Arms").map_err(|source| context.error(source))?;
        let tape = context.tape();
        let boundary = Boundary::split(context, distribution)?;
        let (logits, inside) = (distribution.logits(), boundary.inside.logits());
        let p = logits.stop_gradient().sigmoid();
        let rarer = (-logits.stop_gradient().abs()).sigmoid();
        // 1 / (1 − ρ) / (n − 1).
        let second = self.copula.second_below(self.samples, rarer.maximum(tape.constant(SMALLEST)));
        let scale = (1.0 - rarer) / (1.0 - second) * (1.0 / (self.samples - 1) as f64);
        let value = context.value().stop_gradient();
        for cost in separate_costs(context, plate)? {
            let centred = cost.value - cost.value.mean_over(plate);
            let gradient = (centred * (value - p)).sum_over(plate) * scale;
            let product = (gradient.stop_gradient() * inside).sum();
            // Not `dot − stop(dot)`, which is not a number for an infinite logit with gradient 0.
            let value = tape.constant(0.0).straight_through(product);
            terms.gradient_terms.push(GradientTerm { value, summed: cost.joint });
        }
        terms.gradient_terms.extend(boundary.terms);
        Ok(terms)
    }
}

/// The total costs of a node whose samples form a jointly drawn set along the plate `set`.
///
/// # Errors
/// If a cost depends on several samples of the set together.
pub fn separate_costs<'t, F: Real>(context: &CostContext<'_, 't, F>, set: Plate) -> GraphResult<Vec<NodeCost<'t, F>>> {
    let costs = context.totals()?;
    if costs.iter().any(|cost| cost.joint.contains(&set)) {
        return Err(context.refused(
            "a cost depends on several samples together, which are not independent draws; keep the plate in the cost, \
             or use a method with independent samples there, such as ScoreFunction",
        ));
    }
    Ok(costs)
}

/// The samples in words, and the copula if it is not the default one.
pub(crate) fn describe_sets(copula: &impl Copula, samples: usize, plate: SamplePlate) -> String {
    let name = copula.name();
    let copula = if name == DirichletCopula.name() { String::new() } else { format!("{name} copula, ") };
    let sets = match plate {
        SamplePlate::Single | SamplePlate::New(1) => String::new(),
        SamplePlate::New(sets) => format!(" in each of {sets} sets"),
        SamplePlate::Shared(_) => " for each member of a shared plate".into(),
    };
    format!("{copula}{samples} samples{sets}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::antithetic::copula::GaussianCopula;
    use crate::antithetic::copula::LatinHypercube;
    use crate::antithetic::copula::tests::Independent;
    use crate::score_function::ScoreFunction;
    use crate::score_function::baseline::LeaveOneOut;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::{Oracle, StatisticalTest};
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    #[test]
    fn it_is_unbiased_on_every_shape_of_graph() {
        let pair: BitMethod = Arc::new(Arms::new(2));
        let three: BitMethod = Arc::new(Arms::new(3));
        let strata: BitMethod = Arc::new(Arms::new(3).copula(LatinHypercube));
        let score: BitMethod = Arc::new(ScoreFunction::new());
        models::assert_unbiased([&pair, &pair, &score]);
        models::assert_unbiased([&three, &score, &pair]);
        models::assert_unbiased([&score, &strata, &score]);
        models::assert_unbiased([&score, &score, &three]);
    }

    #[test]
    fn variances_are_the_known_ones() {
        for (target, theta, [four, ten]) in [
            (0.499, 0.5, [6.078029e-9, 1.286797e-9]),
            (0.499, 0.1, [4.86e-8, 1.129333e-8]),
            (0.45, 0.5, [1.519507e-5, 3.216993e-6]),
            (0.45, 0.1, [1.215e-4, 2.823333e-5]),
            (0.55, 0.9, [1.215e-4, 2.823333e-5]),
        ] {
            models::assert_variance(&(Arc::new(Arms::new(4)) as BitMethod), target, theta, four);
            models::assert_variance(&(Arc::new(Arms::new(10)) as BitMethod), target, theta, ten);
            models::assert_variance(&(Arc::new(Arms::new(4).sets(2)) as BitMethod), target, theta, four / 2.0);
        }
        models::assert_variance(&(Arc::new(Arms::new(2)) as BitMethod), 0.45, 0.1, 3.24e-4);
    }

    #[test]
    fn independent_numbers_are_leave_one_out() {
        for (target, theta) in [(0.45, 0.5), (0.45, 0.1), (0.55, 0.9)] {
            let leave_one_out: BitMethod = Arc::new(ScoreFunction::new().samples(4).baseline(LeaveOneOut));
            let (_, expected) = models::moments(&leave_one_out, target, theta);
            models::assert_variance(
                &(Arc::new(Arms::new(4).copula(Independent)) as BitMethod),
                target,
                theta,
                expected,
            );
        }
    }

    /// For one bit and four variates, strata are the best copula: at most one of the variates is undetermined.
    #[test]
    fn strata_have_the_lowest_variance_for_one_bit() {
        for theta in [0.5, 0.3, 0.1] {
            let variance = |method: BitMethod| models::moments(&method, 0.45, theta).1;
            let strata = variance(Arc::new(Arms::new(4).copula(LatinHypercube)));
            assert!(strata <= variance(Arc::new(Arms::new(4))) * (1.0 + 1e-9), "at {theta}");
        }
    }

    #[test]
    fn every_copula_is_unbiased_in_larger_models() {
        fn model<C: Copula + Clone + 'static>(graph: &Graph<'_, f64>, copula: C) -> GraphResult<()> {
            let t = graph.param("t", [0.3, -0.8])?;
            let features = graph.data("data", [0.5, -1.5])?;
            let sets = graph.plate("sets", 2)?;
            let arms = Arms::new(3).copula(copula);
            let x = graph.sample("x", &Bernoulli::from_logits(t * features), &arms.clone().on_plate(sets))?;
            let y = graph.sample("y", &Bernoulli::from_logits(x.sum() - t.index(0, 1)), &arms)?;
            graph.cost("each", (x.sum() + y * features - 0.4).square())?;
            graph.cost("joint", (x.sum() * features).sum_over(features.plates()[0]).exp() * 0.3)
        }
        let single = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, -0.8])?;
            let features = graph.data("data", [0.5, -1.5])?;
            let x = graph.sample("x", &Bernoulli::from_logits(t * features), &ScoreFunction::new())?;
            let y = graph.sample("y", &Bernoulli::from_logits(x.sum() - t.index(0, 1)), &ScoreFunction::new())?;
            graph.cost("each", (x.sum() + y * features - 0.4).square())?;
            graph.cost("joint", (x.sum() * features).sum_over(features.plates()[0]).exp() * 0.3)
        };
        let exact = Oracle::new().exact_gradient(single).unwrap();
        let test = StatisticalTest::new().runs(4000);
        test.check(|graph: &Graph<'_, f64>| model(graph, DirichletCopula), &exact).unwrap();
        test.check(|graph: &Graph<'_, f64>| model(graph, GaussianCopula), &exact).unwrap();
        test.check(|graph: &Graph<'_, f64>| model(graph, LatinHypercube), &exact).unwrap();
    }

    #[test]
    fn extremes_are_finite_and_compiled_graphs_do_the_same() {
        for logits in [[f64::INFINITY, f64::NEG_INFINITY, 0.0], [800.0, -800.0, 1.0]] {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let logits = graph.param("logits", logits).unwrap();
            let distribution = Bernoulli::from_logits(logits);
            let x = graph.sample("x", &distribution, &Arms::new(4)).unwrap();
            let y = graph.sample("y", &distribution, &Arms::new(4).copula(GaussianCopula)).unwrap();
            let z = graph.sample("z", &distribution, &Arms::new(4).copula(LatinHypercube)).unwrap();
            graph.cost("cost", x.sum().square() + y.sum() + z.sum()).unwrap();
            assert!(graph.backward().unwrap().get("logits").unwrap().all_finite());
        }
        models::assert_compiled(&(Arc::new(Arms::new(4)) as BitMethod));
        models::assert_compiled(&(Arc::new(Arms::new(3).copula(GaussianCopula).sets(2)) as BitMethod));
        models::assert_compiled(&(Arc::new(Arms::new(3).copula(LatinHypercube)) as BitMethod));
    }

    #[test]
    fn one_sample_and_costs_of_several_are_errors() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let error = graph.sample("x", &Bernoulli::from_logits(graph.constant(0.3)), &Arms::new(1)).unwrap_err();
        assert!(error.to_string().contains("at least 2"), "{error}");
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        models::importance_weighted(&graph, &(Arc::new(Arms::new(3)) as BitMethod)).unwrap();
        let error = graph.backward().unwrap_err().to_string();
        assert!(error.contains("several samples together"), "{error}");
    }
}
