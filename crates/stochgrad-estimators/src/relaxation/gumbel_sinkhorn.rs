//! Gumbel–Sinkhorn: relaxed permutations. Use it for matchings, sorting and alignment with a cost that is
//! differentiable between the permutations, when a low variance matters more than a bias.
//!
//! With a square matrix of scores $u = \theta + G$ and the temperature $\tau$,
//!
//! $$S(u / \tau) = \lim_{L \to \infty} (C \circ R)^L \big(e^{u / \tau}\big), \qquad g = \nabla f\big(S(u / \tau)\big)\, \partial_\theta\, S(u / \tau),$$
//!
//! where $R$ divides each row by its sum, and $C$ each column: Sinkhorn's iteration, whose limit is a doubly stochastic
//! matrix. It is the solution of $\max_P \langle P, u \rangle + \tau H(P)$ over these matrices, with the entropy $H(P)
//! = - \sum_{ij} P_{ij} \ln P_{ij}$, and tends to the best matching (the permutation matrix with the largest sum of
//! scores) as $\tau \to 0$. Mena, Belanger, Linderman and Snoek (2018).
//!
//! The iteration is cut after a number of steps. Every column then adds up to 1, and a row to nearly 1.
//!
//! **Assumptions.** The scores are a reparameterised distribution of square matrices, such as a
//! [`Gumbel`](stochgrad_distributions::Gumbel) distribution with the location $\theta$. The cost is defined and
//! differentiable between the permutations (plain) or at them (straight-through). Paths from the value are checked as
//! for [`Pathwise`](crate::Pathwise).
//!
//! | | plain | straight-through |
//! |---|---|---|
//! | bias | another distribution is sampled: costs and gradients are those of the relaxed matrices | of the gradient only; costs are those of the matchings of perturbed scores |
//! | order | any through smooth operations, and 1 through a kink | 1 |
//! | cost evaluations | one a sample, and one backward pass | the same, and one call of the solver a sample |
//! | requirement on the cost | values and derivatives between the permutations | derivatives at the permutations |
//!
//! An unbiased alternative for the same matchings is [`ScoreFunction`](crate::ScoreFunction) on the scores, with
//! [`LinearSolver::solve`] in the model. [`PlackettLuce`](stochgrad_distributions::PlackettLuce) is a distribution of
//! rankings with a probability of each, for which all methods of this library apply.

use crate::common::sampling::Sampling;
use crate::relaxation::linear_solver::LinearSolver;
use crate::relaxation::temperature::Temperature;
use crate::sampling_setters;
use stochgrad_distributions::{Distribution, DistributionError, Family, Reparameterized};
use stochgrad_graph::{
    Access, Bias, CostContext, GradientMethod, GraphResult, Guarantee, Method, MethodSlots, Order, Path, Profile,
    SampleContext, SamplePlate, SampleSet, Terms, check_parameter_paths, path_order, sample_path_order,
};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape};

/// Relaxed permutations, for reparameterised distributions of square matrices of scores: the last two event axes.
///
/// ```
/// use stochgrad_distributions::Gumbel;
/// use stochgrad_estimators::GumbelSinkhorn;
/// use stochgrad_graph::{Bias, Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let theta = graph.param("theta", [[0.2, -0.4, 1.0], [0.1, 0.0, 0.3], [-1.0, 0.5, 0.7]])?;
/// let matched = graph.sample("matched", &Gumbel::new(theta, 1.0), &GumbelSinkhorn::new(0.5))?;
/// let distances = graph.constant([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.5, 1.0]]);
/// graph.cost("loss", (matched * distances).sum())?;
/// assert_eq!(graph.backward()?.guarantee("theta")?.bias, Bias::Distribution);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GumbelSinkhorn {
    temperature: Temperature,
    iterations: usize,
    sampling: Sampling,
    matching: Option<LinearSolver>,
    assume_continuous: bool,
}

impl GumbelSinkhorn {
    /// Draws one relaxed permutation, with 20 iterations. A low temperature is close to the permutations, needs more
    /// iterations, and has gradients with a large variance.
    pub fn new(temperature: impl Into<Temperature>) -> Self {
        GumbelSinkhorn {
            temperature: temperature.into(),
            iterations: 20,
            sampling: Sampling::default(),
            matching: None,
            assume_continuous: false,
        }
    }

    /// Sets the number of iterations, at least one. Each of them normalises the rows and then the columns.
    pub fn iterations(self, iterations: usize) -> Self {
        GumbelSinkhorn { iterations: iterations.max(1), ..self }
    }

    /// Uses the best matchings as values, and the relaxed matrices for their derivatives only. The solver gets the
    /// scores of a matrix row by row, and writes the permutation matrix.
    pub fn straight_through(self, matching: &LinearSolver) -> Self {
        GumbelSinkhorn { matching: Some(matching.clone()), ..self }
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }

    /// Accepts jumps on the paths from the value, as
    /// [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        GumbelSinkhorn { assume_continuous: true, ..self }
    }

    /// Sinkhorn's iteration, in logarithms.
    fn normalized<'t, F: Real>(&self, logs: Var<'t, F>) -> Var<'t, F> {
        (0..self.iterations).fold(logs, |logs, _| logs.log_softmax(-1).log_softmax(-2)).exp()
    }
}

/// The number of rows and columns, if the elements of a distribution are square matrices.
fn size_of<F: Real>(distribution: &dyn Distribution<'_, F>) -> Option<usize> {
    match distribution.event_shape()[..] {
        [.., rows, columns] if rows == columns && rows > 0 => Some(rows),
        _ => None,
    }
}

impl Method for GumbelSinkhorn {
    fn name(&self) -> String {
        let form = match &self.matching {
            Some(matching) => format!("straight-through {}, ", matching.name()),
            None => String::new(),
        };
        let plural = if self.iterations == 1 { "" } else { "s" };
        format!(
            "Gumbel-Sinkhorn ({form}{}, {} iteration{plural}, {})",
            self.temperature,
            self.iterations,
            self.sampling.describe()
        )
    }

    fn profile(&self) -> Profile {
        let profile = match self.matching {
            None => Profile { order: Order::Any, access: Access::Between, ..Profile::biased(Bias::Distribution) },
            Some(_) => Profile::biased(Bias::Gradient),
        };
        profile.times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }

    fn is_rerecordable(&self) -> bool {
        true
    }

    fn slots(&self) -> MethodSlots {
        self.temperature.slots()
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for GumbelSinkhorn
where
    for<'t> D::On<'t>: Reparameterized<'t, F>,
{
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        check_parameter_paths(distribution)?;
        let guarantee = self.profile().guarantee(path).at_most(sample_path_order(distribution));
        Ok(guarantee.at_most(path_order(path, self.assume_continuous)?))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        self.temperature.check(context, distribution)?;
        let Some(size) = size_of(distribution) else {
            return Err(context.error(DistributionError::Unsupported {
                distribution: distribution.name(),
                problem: format!(
                    "Gumbel-Sinkhorn relaxes permutations: expected scores of event shape [.., n, n], got {}",
                    distribution.event_shape()
                ),
            }));
        };
        let (plate, draw) = self.sampling.members(context)?;
        let scores = distribution.rsample(&draw).map_err(|source| context.error(source))?;
        let soft = self.normalized(scores / self.temperature.record(context.tape()));
        let Some(matching) = &self.matching else { return Ok(SampleSet::equal(soft, plate)) };
        let shape: Shape = scores.shape();
        let rows = Shape::from(&[&shape[..shape.len() - 2], &[size * size]].concat()[..]);
        let hard = matching.solve(scores.reshape(rows)).reshape(shape);
        Ok(SampleSet::equal(hard.straight_through(soft), plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        Ok(Terms { updates: self.temperature.updates(context.tape()), ..Terms::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pathwise::Pathwise;
    use crate::relaxation::linear_solver::tests::matching;
    use crate::testing::models;
    use stochgrad_distributions::{Delta, Gumbel, Normal};
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    const SAMPLES: usize = 20_000;
    const PAIR: [[f64; 2]; 2] = [[0.4, 0.1], [-0.3, -0.1]];
    /// The score of the identity minus that of the other permutation.
    const ADVANTAGE: f64 = 0.4 - 0.1 - (0.1 - 0.3);

    /// The value of an element of the sample, and its derivative with respect to the scores.
    fn first_element(scores: Tensor<f64>, method: &GumbelSinkhorn) -> (f64, Vec<f64>) {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let theta = graph.param("theta", scores).unwrap();
        let x = graph.sample("x", &Gumbel::new(theta, 1.0), &method.clone().samples(SAMPLES)).unwrap();
        graph.cost("first", x.index(0, 0).index(0, 0)).unwrap();
        let gradients = graph.backward().unwrap();
        (gradients.cost("first").unwrap(), gradients.get("theta").unwrap().to_vec())
    }

    /// The expectation of a function of the sum of two logistic variates, which is the noise of `ADVANTAGE`.
    fn expectation(of: impl Fn(f64) -> f64) -> f64 {
        const POINTS: usize = 1000;
        let quantile = |i: usize| {
            let u = (i as f64 + 0.5) / POINTS as f64;
            (u / (1.0 - u)).ln()
        };
        let quantiles: Vec<f64> = (0..POINTS).map(quantile).collect();
        let sum: f64 = quantiles.iter().map(|a| quantiles.iter().map(|b| of(a + b)).sum::<f64>()).sum();
        sum / (POINTS * POINTS) as f64
    }

    /// The relaxation of two by two is sigmoid(Δ / 2τ), for the difference Δ of the scores of the two permutations.
    #[test]
    fn a_matrix_of_two_rows_has_the_known_mean_and_derivative() {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let near = |found: f64, expected: f64, spread: f64| {
            assert!((found - expected).abs() < 4.0 * spread / (SAMPLES as f64).sqrt(), "{found}, not {expected}");
        };
        // As the temperature falls, the slope rises to that of the probability of the permutation, 0.1625613.
        for (temperature, known) in [(1.0, 0.0950127), (0.3, 0.1480026)] {
            let p = |noise: f64| sigmoid((ADVANTAGE + noise) / (2.0 * temperature));
            let mean = expectation(p);
            let slope = expectation(|noise| p(noise) * (1.0 - p(noise)) / (2.0 * temperature));
            assert!((slope - known).abs() < 2e-5, "{slope}");
            let (value, gradient) = first_element(Tensor::from(PAIR), &GumbelSinkhorn::new(temperature).iterations(30));
            near(value, mean, 0.5);
            for (found, sign) in gradient.into_iter().zip([1.0, -1.0, -1.0, 1.0]) {
                near(found, sign * slope, 0.25 / temperature);
            }
        }
    }

    #[test]
    fn hard_values_are_the_matchings_and_have_the_relaxed_derivatives() {
        let method = GumbelSinkhorn::new(1.0).iterations(30);
        let (soft, relaxed) = first_element(Tensor::from(PAIR), &method);
        let (hard, gradient) = first_element(Tensor::from(PAIR), &method.straight_through(&matching()));
        assert_eq!(relaxed, gradient);
        let likely = expectation(|noise| f64::from(u8::from(ADVANTAGE + noise > 0.0)));
        assert!((hard - likely).abs() < 4.0 * 0.5 / (SAMPLES as f64).sqrt() && hard > soft, "{hard}, {likely}, {soft}");
        // All matchings of equal scores are equally likely.
        let (third, _) = first_element(Tensor::zeros([3, 3]), &GumbelSinkhorn::new(1.0).straight_through(&matching()));
        assert!((third - 1.0 / 3.0).abs() < 4.0 * 0.48 / (SAMPLES as f64).sqrt(), "{third}");
    }

    #[test]
    fn rows_and_columns_add_up_to_one_and_low_temperatures_are_matchings() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let rows = graph.data("rows", [0.5, -1.0, 2.0]).unwrap();
        // For every row of data, the best matching is ahead of all others by at least 0.57.
        let scores = Tensor::from_fn([2, 4, 4], |i| (2.5 * (i as f64 + 1.0) + 1.1 * (i * i) as f64).sin());
        let theta = graph.param("theta", scores).unwrap() * rows;
        let at = |name: &str, method: GumbelSinkhorn| {
            let x = graph.sample(name, &Normal::new(theta, 0.3), &method.samples(5)).unwrap();
            assert_eq!((x.shape().to_vec(), x.plates().len()), (vec![2, 4, 4], 2));
            x
        };
        let far = |x: Var<'_, f64>, axis: isize| (x.sum_axis(axis) - 1.0).abs().max().peek().unwrap();
        let x = at("x", GumbelSinkhorn::new(0.5).iterations(400));
        assert!(far(x, -2).as_slice().iter().all(|&error| error < 1e-12));
        assert!(far(x, -1).as_slice().iter().all(|&error| error < 1e-3));
        // Without noise, the matrix of a low temperature is the best matching.
        let low = graph.sample("low", &Delta::new(theta), &GumbelSinkhorn::new(0.01).iterations(400)).unwrap();
        let hard = GumbelSinkhorn::new(0.01).straight_through(&matching());
        let best = graph.sample("best", &Delta::new(theta), &hard).unwrap();
        let (low, best) = (low.peek().unwrap(), best.peek().unwrap());
        assert!(low.as_slice().iter().zip(best.as_slice()).all(|(low, best)| (low - best).abs() < 0.05), "{low:?}");
    }

    /// Descent along the gradient finds the cheapest of 24 matchings.
    #[test]
    fn the_best_matching_is_learned() {
        let costs = Tensor::from_fn([4, 4], |i| (i as f64 * 2.3 + 1.0).sin());
        let methods = [GumbelSinkhorn::new(0.5), GumbelSinkhorn::new(0.5).straight_through(&matching())];
        for method in methods {
            let mut theta = Tensor::<f64>::zeros([4, 4]);
            for step in 0..150 {
                let tape = Tape::<f64>::new();
                let graph = Graph::new(&tape, Seed::new(3).step(step));
                let scores = Gumbel::new(graph.param("theta", &theta).unwrap(), 1.0);
                let x = graph.sample("x", &scores, &method.clone().samples(8)).unwrap();
                graph.cost("cost", (x * graph.constant(&costs)).sum()).unwrap();
                let gradient = graph.backward().unwrap().get("theta").unwrap().clone();
                theta = Tensor::from_fn([4, 4], |i| theta.as_slice()[i] - 2.0 * gradient.as_slice()[i]);
            }
            let tape = Tape::<f64>::new();
            let solve = |scores: &Tensor<f64>, sign: f64| {
                let scores = Tensor::from_fn([16], |i| sign * scores.as_slice()[i]);
                matching().solve(tape.constant(scores)).peek().unwrap().to_vec()
            };
            assert_eq!(solve(&theta, 1.0), solve(&costs, -1.0), "{}", method.name());
        }
    }

    #[test]
    fn guarantees_state_the_bias_and_wrong_uses_are_errors() {
        let bias = |method: &GumbelSinkhorn, kinked: bool| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let theta = graph.param("theta", PAIR)?;
            let x = graph.sample("x", &Gumbel::new(theta, 1.0), method)?;
            let x = x.index(0, 0).index(0, 0);
            graph.cost("cost", if kinked { (x - 0.5).abs() } else { x.square() })?;
            let guarantee = graph.backward()?.guarantee("theta")?;
            GraphResult::Ok((guarantee.bias, guarantee.order))
        };
        let soft = GumbelSinkhorn::new(1.0);
        let hard = soft.clone().straight_through(&matching());
        assert_eq!(bias(&soft, false).unwrap(), (Bias::Distribution, Order::Any));
        assert_eq!(bias(&soft, true).unwrap(), (Bias::Distribution, Order::Finite(1)));
        assert_eq!(bias(&hard, false).unwrap(), (Bias::Gradient, Order::Finite(1)));
        assert!(bias(&GumbelSinkhorn::new(0.0), false).unwrap_err().to_string().contains("temperature"));

        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let wide = graph.param("wide", [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]).unwrap();
        let error = graph.sample("x", &Gumbel::new(wide, 1.0), &soft).unwrap_err().to_string();
        assert!(error.contains("[.., n, n]") && error.contains("[2, 3]"), "{error}");
        let theta = graph.param("theta", PAIR).unwrap();
        let x = graph.sample("y", &Gumbel::new(theta, 1.0), &soft).unwrap();
        graph.cost("cost", x.sum().step()).unwrap();
        assert!(graph.backward().unwrap_err().to_string().contains("jump"));
    }

    #[test]
    fn second_derivatives_are_those_of_the_relaxed_model() {
        let gradient = |at: f64| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let t = graph.param("t", at).unwrap();
            let scores = t * graph.constant([[1.0, -0.5], [0.3, 0.8]]);
            let x = graph.sample("x", &Gumbel::new(scores, 1.0), &GumbelSinkhorn::new(0.7)).unwrap();
            graph.cost("cost", x.index(0, 0).index(0, 0).square()).unwrap();
            let second = graph.surrogate().unwrap().hessian_vector_product(&[("t", Tensor::scalar(1.0))]).unwrap();
            (graph.backward().unwrap().get("t").unwrap().item().unwrap(), second[0].item().unwrap())
        };
        let difference = (gradient(0.3 + 1e-5).0 - gradient(0.3 - 1e-5).0) / 2e-5;
        assert!((gradient(0.3).1 - difference).abs() < 1e-6, "{} and {difference}", gradient(0.3).1);
    }

    #[test]
    fn compiled_graphs_do_the_same() {
        let theta = Tensor::from([[0.2, -0.4, 1.0], [0.1, 0.0, 0.3], [-1.0, 0.5, 0.7]]);
        let schedule = Temperature::exponential(1.0, 0.5, 5);
        for method in [GumbelSinkhorn::new(schedule), GumbelSinkhorn::new(0.5).straight_through(&matching())] {
            models::assert_model_compiled(&method.name(), &[("theta", theta.clone())], |graph| {
                let scores = Gumbel::new(graph.param("theta", &theta)?, 1.0);
                let x = graph.sample("x", &scores, &method.clone().samples(3))?;
                let y = graph.sample("y", &Normal::new(x.sum_axis(0), 0.5), &Pathwise::new())?;
                graph.cost("cost", (x.square() * 0.3).sum() + y.sum().square())
            });
        }
    }
}
