//! I-MLE: solutions of a linear problem with perturbed scores, and the difference of two solutions as their derivative.
//! Use it for subsets, matchings, trees and paths that a solver of yours finds, in a network with a differentiable
//! cost.
//!
//! With scores $u = \theta + \epsilon$ and the solution $y(u) = \operatorname{argmax}_{y \in \mathcal C} \langle y, u
//! \rangle$ of a [`LinearSolver`], the value of the node is $y(u)$, and
//!
//! $$g = \frac1\lambda \big[y(u) - y\big(u - \lambda\, \nabla f(y(u))\big)\big],$$
//!
//! the difference to the solution for scores that a step of size $\lambda$ along the gradient of the cost has moved.
//! Without noise it is the derivative of Vlastelica et al. (2020).
//!
//! The noise is that of the distribution of the node (a [`Gumbel`](stochgrad_distributions::Gumbel) or
//! [`Normal`](stochgrad_distributions::Normal) distribution with the location $\theta$, or a
//! [`Delta`](stochgrad_distributions::Delta) for none), and optionally Sum-of-Gamma noise:
//!
//! $$\frac{\tau}{k}\Big(\sum_{i=1}^{s} G_i - \ln s\Big), \qquad G_i \sim \operatorname{Gamma}(1/k,\ \text{scale } k/i),$$
//!
//! of which the sum of $k$ independent ones tends to Gumbel noise times $\tau$ as $s$ grows, so that the scores of
//! subsets of size $k$ have Gumbel noise.
//!
//! Niepert, Minervini and Franceschi, "Implicit MLE: backpropagating through discrete exponential family
//! distributions" (2021).
//!
//! **Assumptions.** The cost is differentiable at the solutions. Paths from the value are checked as for
//! [`Pathwise`](crate::Pathwise). The solver is a pure function. The derivative with respect to $\theta$ is passed on
//! to all parameters of the distribution, along its sample path.
//!
//! | | |
//! |---|---|
//! | bias | of the gradient, at every $\lambda$; for linear costs it vanishes as $\lambda \to 0$, while the variance grows as $1/\lambda$; costs are right |
//! | order | 1 |
//! | cost evaluations | one a sample, and one backward pass; two calls of the solver, and one for each further cost |
//! | requirement on the cost | derivatives at the solutions |
//!
//! An unbiased alternative for the same model is [`ScoreFunction`](crate::ScoreFunction) on the scores, with
//! [`LinearSolver::solve`] in the model: the derivative of a perturbed optimiser (Berthet et al. 2020).

use crate::common::sampling::Sampling;
use crate::relaxation::linear_solver::LinearSolver;
use crate::sampling_setters;
use stochgrad_distributions::{
    Distribution, DistributionError, DistributionResult, Draw, Family, Gamma, Reparameterized,
};
use stochgrad_graph::{
    Bias, CostContext, GradientMethod, GradientTerm, GraphResult, Guarantee, Method, Path, Profile, SampleContext,
    SamplePlate, SampleSet, Terms, check_parameter_paths, path_order,
};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape, Tensor};

/// Solutions of a linear problem with perturbed scores, for reparameterised distributions of the scores.
///
/// ```
/// use stochgrad_distributions::Gumbel;
/// use stochgrad_estimators::{ImplicitMle, LinearSolver};
/// use stochgrad_graph::{Bias, Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let two_best = LinearSolver::new("two best", |scores, solution| {
///     let mut order: Vec<usize> = (0..scores.len()).collect();
///     order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
///     order.iter().take(2).for_each(|&item| solution[item] = 1.0);
/// });
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let theta = graph.param("theta", [0.2, -0.4, 1.0, 0.1])?;
/// let method = ImplicitMle::new(&two_best, 2.0).samples(8);
/// let chosen = graph.sample("chosen", &Gumbel::new(theta, 1.0), &method)?;
/// graph.cost("loss", (chosen - graph.constant([1.0, 0.0, 0.0, 1.0])).square().sum())?;
/// let gradients = graph.backward()?;
/// assert_eq!(gradients.get("theta")?.len(), 4);
/// assert_eq!(gradients.guarantee("theta")?.bias, Bias::Gradient);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ImplicitMle {
    solver: LinearSolver,
    step: f64,
    sampling: Sampling,
    noise: Option<SumOfGamma>,
    assume_continuous: bool,
}

/// Sum-of-Gamma noise.
#[derive(Clone, Copy, Debug, PartialEq)]
struct SumOfGamma {
    parts: usize,
    temperature: f64,
    terms: usize,
}

impl ImplicitMle {
    /// Draws one solution; the scores are moved by `step` times the gradient of the cost. A small step has less bias
    /// and a larger variance, and a step that changes no solution has the gradient 0.
    pub fn new(solver: &LinearSolver, step: f64) -> Self {
        ImplicitMle {
            solver: solver.clone(),
            step,
            sampling: Sampling::default(),
            noise: None,
            assume_continuous: false,
        }
    }

    /// Adds Sum-of-Gamma noise with ten terms to the scores, for solutions with `parts` ones, at a temperature. The
    /// noise of the distribution remains: use a [`Delta`](stochgrad_distributions::Delta) of the scores for none.
    pub fn sum_of_gamma(self, parts: usize, temperature: f64) -> Self {
        ImplicitMle { noise: Some(SumOfGamma { parts, temperature, terms: 10 }), ..self }
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }

    /// Accepts jumps on the paths from the value, as
    /// [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        ImplicitMle { assume_continuous: true, ..self }
    }

    fn check<'t, F: Real>(&self, distribution: &dyn Distribution<'t, F>) -> DistributionResult<()> {
        let positive = |parameter, found: f64, hint| match found > 0.0 && found.is_finite() {
            true => Ok(()),
            false => Err(DistributionError::Parameter {
                distribution: distribution.name(),
                parameter,
                expected: "a positive finite number",
                found,
                position: 0,
                hint,
            }),
        };
        positive("step of the scores", self.step, "start with 1, and compare with 10")?;
        let Some(noise) = self.noise else { return Ok(()) };
        positive("temperature of its noise", noise.temperature, "1 is a common start")?;
        positive("number of parts of a solution", noise.parts as f64, "the number of ones of a solution")
    }

    /// The perturbed scores, differentiable with respect to the parameters of the distribution.
    fn scores<'t, F: Real>(
        &self,
        distribution: &dyn Reparameterized<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Var<'t, F>> {
        let scores = distribution.rsample(draw)?;
        let Some(SumOfGamma { parts, temperature, terms }) = self.noise else { return Ok(scores) };
        let (tape, parts) = (scores.tape(), parts as f64);
        let shape: Shape = distribution.event_shape().iter().copied().chain([terms]).collect();
        let concentration = tape.constant(Tensor::full(shape, F::from_f64(1.0 / parts)));
        let scales = tape.constant(Tensor::from_fn([terms], |i| F::from_f64(parts / (i + 1) as f64)));
        let sum = Gamma::from_scale(concentration, scales).sample(&draw.purpose("sum of gamma"))?.sum_axis(-1);
        Ok(scores + ((sum - (terms as f64).ln()) * (temperature / parts)).stop_gradient())
    }
}

impl Method for ImplicitMle {
    fn name(&self) -> String {
        let noise = match self.noise {
            Some(SumOfGamma { parts, temperature, .. }) => {
                format!(", Sum-of-Gamma noise for {parts} parts at temperature {temperature}")
            }
            None => String::new(),
        };
        format!("I-MLE ({}, step {}{noise}, {})", self.solver.name(), self.step, self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        Profile::biased(Bias::Gradient).times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for ImplicitMle
where
    for<'t> D::On<'t>: Reparameterized<'t, F>,
{
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        check_parameter_paths(distribution)?;
        Ok(self.profile().guarantee(path).at_most(path_order(path, self.assume_continuous)?))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        self.check(distribution).map_err(|source| context.error(source))?;
        let (plate, draw) = self.sampling.members(context)?;
        let scores = self.scores(distribution, &draw).map_err(|source| context.error(source))?;
        Ok(SampleSet::equal(self.solver.solve(scores).drawn(), plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let draw = self.sampling.draw_again(context);
        let scores = self.scores(distribution, &draw).map_err(|source| context.error(source))?;
        let mut terms = Terms::default();
        for (cost, slope) in context.cost_gradients()? {
            let moved = scores.stop_gradient() - slope.stop_gradient() * self.step;
            let change = (context.value() - self.solver.solve(moved)).stop_gradient() * (1.0 / self.step);
            let value = (change * scores).sum();
            terms.gradient_terms.push(GradientTerm { value: value - value.stop_gradient(), summed: cost.joint });
        }
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relaxation::linear_solver::tests::{best_of_all, spanning_tree};
    use stochgrad_distributions::{Delta, Gumbel, Normal};
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    const SAMPLES: usize = 60_000;

    fn gradient(model: &dyn Fn(&Graph<'_, f64>) -> GraphResult<()>) -> Vec<f64> {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        model(&graph).unwrap();
        graph.backward().unwrap().get("theta").unwrap().to_vec()
    }

    fn softmax(logits: &[f64]) -> Vec<f64> {
        let total: f64 = logits.iter().map(|l| l.exp()).sum();
        logits.iter().map(|l| l.exp() / total).collect()
    }

    #[test]
    fn the_mean_of_a_linear_cost_is_the_known_one() {
        let (theta, c) = ([0.3, -0.2, 0.6], [1.0, -1.0, 0.5]);
        for (step, known) in
            [(1.0, [0.2085021258, -0.3763322891, 0.1678301633]), (10.0, [0.03382504237, -0.07948400611, 0.04565896374])]
        {
            let moved: Vec<f64> = theta.iter().zip(c).map(|(t, c)| t - step * c).collect();
            let found = gradient(&|graph| {
                let theta = graph.param("theta", theta)?;
                let method = ImplicitMle::new(&best_of_all(), step).samples(SAMPLES);
                let x = graph.sample("x", &Gumbel::new(theta, 1.0), &method)?;
                graph.cost("cost", (x * graph.constant(c)).sum())
            });
            for (i, (p, q)) in softmax(&theta).into_iter().zip(softmax(&moved)).enumerate() {
                assert!((known[i] - (p - q) / step).abs() < 1e-9);
                // Each difference of two bits is at most 1.
                let error = 1.0 / step / (SAMPLES as f64).sqrt();
                assert!((found[i] - known[i]).abs() < 4.0 * error, "{found:?} where {known:?} is exact");
            }
        }
    }

    #[test]
    fn the_step_follows_the_gradient_of_each_member_and_each_problem() {
        // Without noise: two rows of data, two problems for each. The moved solutions are computed by hand.
        let found = gradient(&|graph| {
            let theta = graph.param("theta", [[1.0, 0.5], [0.2, 0.3]])?;
            let rows = graph.data("rows", [1.0, -3.0])?;
            let x = graph.sample("x", &Delta::new(theta * 1.0), &ImplicitMle::new(&best_of_all(), 0.5))?;
            graph.cost("cost", (x * graph.constant([[2.0, 0.0], [0.0, -2.0]]) * rows).sum())
        });
        // The solution is shared by the rows, and the average of their gradients is −1 times the constants: the scores
        // move to (2, 0.5) and (0.2, −0.7), which changes the second solution alone.
        assert_eq!(found, [0.0, 0.0, -2.0, 2.0]);
    }

    #[test]
    fn a_plate_of_data_has_a_step_for_each_row() {
        let found = gradient(&|graph| {
            let theta = graph.param("theta", [1.0, 0.5])?;
            let rows = graph.data("rows", [[1.0, 0.0], [-3.0, 0.0]])?;
            let x = graph.sample("x", &Delta::new(theta + rows * 0.01), &ImplicitMle::new(&best_of_all(), 1.0))?;
            graph.cost("cost", (x * rows).sum())
        });
        // Rows 1: (1.01, .5) moves to (.01, .5), a change of (1, −1). Row 2: (.97, .5) moves up, without a change.
        assert_eq!(found, [0.5, -0.5]);
    }

    #[test]
    fn the_scale_of_the_noise_is_a_parameter_too() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let scale = graph.param("scale", 0.7).unwrap();
        let theta = graph.param("theta", [0.3, -0.2, 0.6]).unwrap();
        let method = ImplicitMle::new(&best_of_all(), 1.0).samples(SAMPLES);
        let x = graph.sample("x", &Normal::new(theta, scale), &method).unwrap();
        graph.cost("cost", (x * graph.constant([1.0, -1.0, 0.5])).sum()).unwrap();
        let found = graph.backward().unwrap().get("scale").unwrap().item().unwrap();
        // E⟨y(u) − y(u − c), ε⟩ = σ ∂F/∂σ-like differences, by a simulation of its own.
        let mut generator = 1_u64;
        let mut uniform = || {
            generator = generator.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((generator >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        let best = |u: [f64; 3]| (0..3).max_by(|&a, &b| u[a].total_cmp(&u[b])).unwrap();
        let runs = 200_000;
        let terms: Vec<f64> = (0..runs)
            .map(|_| {
                let e = [(); 3].map(|()| (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos());
                let u = [0.3 + 0.7 * e[0], -0.2 + 0.7 * e[1], 0.6 + 0.7 * e[2]];
                e[best(u)] - e[best([u[0] - 1.0, u[1] + 1.0, u[2] - 0.5])]
            })
            .collect();
        let mean = terms.iter().sum::<f64>() / f64::from(runs);
        let spread = (terms.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / f64::from(runs)).sqrt();
        let error = spread * (1.0 / SAMPLES as f64 + 1.0 / f64::from(runs)).sqrt();
        assert!((found - mean).abs() < 4.0 * error, "{found} where {mean} ± {error} is expected");
    }

    #[test]
    fn sums_of_gamma_noise_for_one_part_are_gumbel_noise_with_a_small_defect() {
        // With one part and s terms, E_1/1 + … + E_s/s − ln s is the logarithm of the largest of s exponentials.
        let solver = best_of_all();
        let marginal = first_bit(&ImplicitMle::new(&solver, 1.0).sum_of_gamma(1, 1.0));
        // P(largest) for θ = (0.3, −0.2, 0.6) with noise of the distribution function (1 − e^−(x + ln s))^s, s = 10,
        // by quadrature: close to that of Gumbel noise.
        let s = 10.0_f64;
        let cdf = |x: f64| if x + s.ln() <= 0.0 { 0.0 } else { (-(-(x + s.ln())).exp_m1()).powf(s) };
        let theta = [0.3, -0.2, 0.6];
        let step = 1e-3;
        let expected: f64 = (-4000..20_000)
            .map(|i| f64::from(i) * step)
            .map(|u| {
                (cdf(u + step - theta[0]) - cdf(u - theta[0]))
                    * cdf(u + step / 2.0 - theta[1])
                    * cdf(u + step / 2.0 - theta[2])
            })
            .sum();
        let error = (expected * (1.0 - expected) / SAMPLES as f64).sqrt();
        assert!((marginal - expected).abs() < 4.0 * error + 1e-6, "{marginal} where {expected} is exact");
        assert!((expected - softmax(&theta)[0]).abs() < 0.02);
    }

    /// The mean of the first bit of the solution.
    fn first_bit(method: &ImplicitMle) -> f64 {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let theta = graph.param("theta", [0.3, -0.2, 0.6]).unwrap();
        let x = graph.sample("x", &Delta::new(theta), &method.clone().samples(SAMPLES)).unwrap();
        graph.cost("cost", x.index(0, 0)).unwrap();
        graph.backward().unwrap().cost("cost").unwrap()
    }

    #[test]
    fn trees_are_found_and_compiled_graphs_call_the_solver() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let scores = [0.2, -0.3, 0.5, 0.0, 0.8, -0.6];
        let theta = graph.param("theta", scores).unwrap();
        let method = ImplicitMle::new(&spanning_tree(), 1.0).samples(50);
        let x = graph.sample("x", &Gumbel::new(theta, 1.0), &method).unwrap();
        graph.cost("cost", (x.sum() - 3.0).square() + (x.index(0, 1) - 0.5 * x.index(0, 2)).square()).unwrap();
        let plain = graph.backward().unwrap();
        let mut compiled = graph.compile().unwrap();
        let mut run = |seed| {
            compiled.set("theta", &stochgrad_tensor::Tensor::from(scores)).unwrap();
            compiled.run(Seed::new(seed)).unwrap().get("theta").unwrap().to_vec()
        };
        let plain = plain.get("theta").unwrap().to_vec();
        assert_eq!(run(3), plain);
        assert_ne!(run(4), plain);
    }

    #[test]
    fn wrong_settings_and_jumps_are_refused() {
        let error = |method: ImplicitMle, jump: bool| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(3));
            let theta = graph.param("theta", [0.2, -0.3]).unwrap();
            let x = match graph.sample("x", &Normal::new(theta, 1.0), &method) {
                Ok(x) => x,
                Err(error) => return error.to_string(),
            };
            graph.cost("cost", if jump { x.sum().round() } else { x.sum() }).unwrap();
            graph.backward().map(|_| "none".to_string()).unwrap_or_else(|error| error.to_string())
        };
        let solver = best_of_all();
        for step in [0.0, -1.0, f64::NAN] {
            assert!(error(ImplicitMle::new(&solver, step), false).contains("a positive finite number"));
        }
        assert!(error(ImplicitMle::new(&solver, 1.0).sum_of_gamma(0, 1.0), false).contains("number of parts"));
        assert!(error(ImplicitMle::new(&solver, 1.0), true).to_lowercase().contains("round"));
        assert_eq!(error(ImplicitMle::new(&solver, 1.0), false), "none");
    }
}
