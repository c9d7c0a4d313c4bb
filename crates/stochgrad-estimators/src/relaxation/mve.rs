//! MVE: the straight-through estimator with the least variance among those that are exact for quadratic costs. Use it
//! for bits and one-hot vectors with a smooth cost.
//!
//! A straight-through estimate of the derivative with respect to the logits is $W_i \nabla f(e_i)$, where the sampled
//! category $i$ chooses a matrix. That the mean is right for every quadratic cost determines the columns up to a
//! potential on the pairs of categories. The choice that minimises $\mathbb{E} \lVert W \rVert^2$ is
//!
//! $$W_i e_i = \tfrac12 (e_i - p), \qquad W_i e_j = \frac{p_j}{p_i + p_j}\, C^\top (e_j - e_i), \qquad C = \tfrac12 L^+ J(p), \quad J(p) = \operatorname{diag} p - p p^\top,$$
//!
//! with the Laplacian $L$ of the graph on the categories whose edges have the weights $p_i p_j / (p_i + p_j)$. For two
//! categories, and hence for bits, it is [`ReinMax`](crate::ReinMax) at temperature 1; for more categories its matrices
//! are smaller. Hooper and Shekhovtsov (2026).
//!
//! **Assumptions.** The cost is differentiable at the states. Paths from the value are checked as for
//! [`Pathwise`](crate::Pathwise). Derivatives with respect to the probabilities of categories are those along the
//! simplex.
//!
//! | | |
//! |---|---|
//! | bias | of the gradient; none if the cost is quadratic in the sample, which is certified; costs are right |
//! | order | 1 |
//! | cost evaluations | one a sample, and one backward pass; a linear system of as many unknowns as categories for each vector |
//! | requirement on the cost | derivatives at the states |

use crate::common::sampling::Sampling;
use crate::sampling_setters;
use stochgrad_distributions::{Distribution, Family, Relaxed, RelaxedMean};
use stochgrad_graph::{
    Bias, CostContext, GradientMethod, GraphResult, Guarantee, Method, Path, Profile, SampleContext, SamplePlate,
    SampleSet, Terms, path_order,
};
use stochgrad_tape::{Degree, Var};
use stochgrad_tensor::Real;

/// Minimum-variance straight-through gradients that are exact for quadratic costs, for distributions with a continuous
/// relaxation: bits and one-hot vectors.
///
/// ```
/// use stochgrad_distributions::OneHotCategorical;
/// use stochgrad_estimators::Mve;
/// use stochgrad_graph::{Bias, Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let logits = graph.param("logits", [0.2, -0.4, 1.0])?;
/// let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &Mve::new())?;
/// graph.cost("loss", (x - 0.45).square().sum())?;
/// assert_eq!(graph.backward()?.guarantee("logits")?.bias, Bias::Unbiased);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mve {
    sampling: Sampling,
    assume_continuous: bool,
}

impl Mve {
    /// Draws one sample.
    pub fn new() -> Self {
        Self::default()
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }

    /// Accepts jumps on the paths from the value, as
    /// [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        Mve { assume_continuous: true, ..self }
    }
}

impl Method for Mve {
    fn name(&self) -> String {
        format!("MVE ({})", self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        Profile::biased(Bias::Gradient).exact_to(Degree::new(2)).times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Mve
where
    for<'t> D::On<'t>: RelaxedMean<'t, F>,
{
    fn guarantee(&self, _distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        Ok(self.profile().guarantee(path).at_most(path_order(path, self.assume_continuous)?))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let set = self.sampling.draw(context, distribution)?;
        let logits = distribution.location();
        let p = distribution.soften(logits, context.tape().constant(1.0)).stop_gradient();
        let soft = match distribution.element_rank() {
            // For a bit, the column of the other value is half the probability of the other value.
            0 => (set.value - p).abs() * 0.5 * logits,
            _ => change(set.value, p, logits),
        };
        Ok(SampleSet::equal(set.value.straight_through(soft), set.plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        context.check_hidden_outcomes()?;
        Ok(Terms::default())
    }
}

/// The products of the columns with the logits: one number for each category, linear in the logits.
fn change<'t, F: Real>(hard: Var<'t, F>, p: Var<'t, F>, logits: Var<'t, F>) -> Var<'t, F> {
    let p = p.clamp(F::MIN_POSITIVE.to_f64(), 1.0);
    let (root, row, column) = (p.sqrt(), p.unsqueeze(-2), p.unsqueeze(-1));
    let away = logits - (p * logits).sum_axis(-1).unsqueeze(-1);
    // The Laplacian is scaled by the square roots of the probabilities on both sides, so that rare categories do not
    // spoil its condition number. Its null vector, the square root, is added as a rank-one term; the right-hand side is
    // orthogonal to it.
    let categories = p.shape().last().copied().unwrap_or(0);
    let identity = p.tape().constant((0..categories).map(|k| k as f64).collect::<Vec<_>>()).one_hot(categories);
    let degrees = (column / (row + column)).sum_axis(-2).unsqueeze(-1);
    let roots = root.unsqueeze(-2) * root.unsqueeze(-1);
    let factor = (identity * degrees - roots / (row + column) + roots).cholesky();
    let right = (root * away * 0.5).unsqueeze(-1);
    let scaled = factor.transposed_triangular_solve(factor.triangular_solve(right));
    let potential = scaled.sum_axis(-1) / root;
    let of_sampled = |x: Var<'t, F>| (hard * x).sum_axis(-1).unsqueeze(-1);
    hard.select(away * 0.5, p / (p + of_sampled(p)) * (potential - of_sampled(potential)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relaxation::reinmax::ReinMax;
    use crate::testing::models::{self, BitMethod};
    use approx::assert_abs_diff_eq;
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{Id, OneHotCategorical};
    use stochgrad_graph::{DynMethod, Graph, Seed};
    use stochgrad_tape::Tape;

    type VectorMethod = DynMethod<f64, OneHotCategorical<Id>>;

    const LOGITS: [f64; 5] = [0.3, -1.8, 1.1, 0.2, -0.6];

    #[test]
    fn of_bits_it_is_reinmax() {
        let method: BitMethod = Arc::new(Mve::new());
        for (target, theta, mean, variance) in [
            (0.499, 0.5, 5.0e-4, 6.25e-2),
            (0.499, 0.1, 1.8e-4, 2.257e-2),
            (0.45, 0.5, 0.025, 6.25e-2),
            (0.45, 0.1, 0.009, 2.624e-2),
        ] {
            models::assert_moments(&method, target, theta, mean, variance, 5e-4);
        }
        models::assert_compiled(&method);
    }

    #[test]
    fn quadratic_costs_have_no_bias() {
        let method = Mve::new().samples(2);
        let model = |graph: &Graph<'_, f64>| {
            let logits = graph.param("logits", [[0.2, -0.4, 1.0], [0.0, 0.3, -2.0]])?;
            let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &method)?;
            let y = (x * graph.constant([[1.0, -2.0, 0.5], [0.3, 4.0, 1.5]])).sum_axis(-1);
            graph.cost("cost", (y - 0.3).square().sum() + y.index(0, 0) * y.index(0, 1))
        };
        Oracle::new().verify(model, 0..=1, 1e-9).unwrap();
    }

    /// The mean over the categories of the squared norm of the matrix that a method multiplies the gradient of the cost
    /// with.
    fn squared_norm(method: &VectorMethod) -> f64 {
        let columns = (0..LOGITS.len()).map(|column| {
            let model = |graph: &Graph<'_, f64>| {
                let logits = graph.param("logits", LOGITS)?;
                let x = graph.sample("x", &OneHotCategorical::from_logits(logits), method)?;
                graph.cost("cost", x.index(0, column))
            };
            let moments = Oracle::new().gradient(model).unwrap();
            let (mean, variance) = (moments.mean("logits").unwrap(), moments.variance("logits").unwrap());
            mean.as_slice().iter().zip(variance.as_slice()).map(|(mean, variance)| mean * mean + variance).sum::<f64>()
        });
        columns.sum()
    }

    #[test]
    fn the_matrices_are_smaller_than_those_of_reinmax() {
        let ours = squared_norm(&(Arc::new(Mve::new()) as VectorMethod));
        let reinmax = squared_norm(&(Arc::new(ReinMax::new(1.0)) as VectorMethod));
        assert!(ours < reinmax, "{ours} is not below {reinmax}");
        assert_known(&[ours, reinmax], &NORMS);
    }

    /// Computed from the matrices with a pseudo-inverse.
    const NORMS: [f64; 2] = [0.261_207_631_433_702_1, 0.266_623_783_815_343_2];

    fn assert_known(found: &[f64], known: &[f64]) {
        for (found, known) in found.iter().zip(known) {
            assert_abs_diff_eq!(found, known, epsilon = 1e-12);
        }
    }

    #[test]
    fn impossible_categories_leave_the_others_alone() {
        let gradient = |logits: &[f64]| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(2));
            let logits = graph.param("logits", logits).unwrap();
            let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &Mve::new()).unwrap();
            graph.cost("cost", (x.index(0, 0) * 2.0 - x.index(0, 1) - 0.3).square()).unwrap();
            graph.backward().unwrap().get("logits").unwrap().to_vec()
        };
        let (without, with) = (gradient(&[0.2, -0.4]), gradient(&[0.2, -0.4, -2000.0]));
        assert!(with.iter().all(|x| x.is_finite()), "{with:?}");
        assert_known(&with[..2], &without);
    }
}
