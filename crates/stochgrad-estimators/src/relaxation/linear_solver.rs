//! Solvers of linear problems as operations: $y(u) = \operatorname*{argmax}_{y \in \mathcal C} \langle y, u \rangle$.

use std::fmt;
use std::sync::Arc;
use stochgrad_tape::{Primitive, PrimitiveInputs, Smoothness, Var};
use stochgrad_tensor::{Real, Tensor};

/// Writes the solution for the scores of one problem.
type Solve = dyn Fn(&[f64], &mut [f64]) + Send + Sync;

/// A solver of yours for $\operatorname{argmax}_{y \in \mathcal C} \langle y, u \rangle$: the best subset, matching,
/// spanning tree or path for the scores $u$ of its parts.
///
/// It is a function of host code that is called with the scores of one problem, and writes the solution: as many
/// numbers, which are 0 before the call. It must be a pure function. The last axis of a value holds a problem; all
/// others, and the plates, are independent problems. Compiled graphs call it as well.
///
/// ```
/// use stochgrad_estimators::LinearSolver;
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_tape::TapeError> {
/// // The best pair of neighbours on a line.
/// let solver = LinearSolver::new("best pair of neighbours", |scores, solution| {
///     let sum = |i: usize| scores[i] + scores[i + 1];
///     let best = (0..scores.len() - 1).max_by(|&a, &b| sum(a).total_cmp(&sum(b))).unwrap_or(0);
///     solution[best..best + 2].fill(1.0);
/// });
/// let tape = Tape::<f64>::new();
/// let scores = tape.parameter([0.3, 1.0, -0.2, 2.0]);
/// assert_eq!(solver.solve(scores).peek()?.to_vec(), [0.0, 0.0, 1.0, 1.0]);
/// assert_eq!(solver.maximum(scores).item()?, 1.8);
/// let [gradient] = tape.backward(solver.maximum(scores), [scores])?;
/// assert_eq!(gradient.to_vec(), [0.0, 0.0, 1.0, 1.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LinearSolver {
    name: Arc<str>,
    solve: Arc<Solve>,
}

impl LinearSolver {
    /// A solver with a name for messages.
    pub fn new(name: &str, solve: impl Fn(&[f64], &mut [f64]) + Send + Sync + 'static) -> Self {
        LinearSolver { name: name.into(), solve: Arc::new(solve) }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The solution $y(u)$. It jumps where another solution becomes the best, and passes no gradient: methods that
    /// differentiate samples refuse it, and methods that use values, such as
    /// [`ScoreFunction`](crate::ScoreFunction), do not.
    #[track_caller]
    pub fn solve<'t, F: Real>(&self, scores: Var<'t, F>) -> Var<'t, F> {
        scores.tape().custom(Arc::new(Solution(self.clone())), &[scores])
    }

    /// The value of the best solution, $\max_{y \in \mathcal C} \langle y, u \rangle$, without the last axis. It is a
    /// convex function with kinks; its gradient is the solution.
    #[track_caller]
    pub fn maximum<'t, F: Real>(&self, scores: Var<'t, F>) -> Var<'t, F> {
        scores.tape().custom(Arc::new(Maximum(self.clone())), &[scores, self.solve(scores)])
    }
}

impl fmt::Debug for LinearSolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinearSolver").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The solution as a function of the scores.
struct Solution(LinearSolver);

impl<F: Real> Primitive<F> for Solution {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        let scores = &inputs.values[0];
        let width = width_of(scores, inputs.plates.len())?;
        let mut out = inputs.pool.take(scores.shape().clone());
        let (mut problem, mut solution) = (vec![0.0; width], vec![0.0; width]);
        for (row, scores) in out.make_mut().chunks_mut(width).zip(scores.as_slice().chunks(width)) {
            problem.iter_mut().zip(scores).for_each(|(own, score)| *own = score.to_f64());
            if let Some(at) = problem.iter().position(|score| !score.is_finite()) {
                return Err(format!(
                    "{}: expected finite scores, got {} at position {at}; look for the operation that made it",
                    self.0.name, problem[at]
                ));
            }
            solution.fill(0.0);
            (self.0.solve)(&problem, &mut solution);
            if let Some(at) = solution.iter().position(|part| !part.is_finite()) {
                return Err(format!(
                    "{}: expected a finite solution, got {} at position {at}",
                    self.0.name, solution[at]
                ));
            }
            row.iter_mut().zip(&solution).for_each(|(out, &part)| *out = F::from_f64(part));
        }
        Ok(out)
    }

    fn takes_from_pool(&self) -> bool {
        true
    }

    fn gradient<'t>(&self, _: &[Var<'t, F>], _: Var<'t, F>, _: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![None]
    }

    fn smoothness(&self, _input: usize) -> Smoothness {
        Smoothness::Jump
    }
}

/// The value of a solution for its scores.
struct Maximum(LinearSolver);

impl<F: Real> Primitive<F> for Maximum {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        let (scores, solution) = (&inputs.values[0], &inputs.values[1]);
        let width = width_of(scores, inputs.plates.len())?;
        let shape = scores.shape();
        let mut out = inputs.pool.take(shape[..shape.len() - 1].into());
        let rows = scores.as_slice().chunks(width).zip(solution.as_slice().chunks(width));
        for (value, (scores, solution)) in out.make_mut().iter_mut().zip(rows) {
            let products = scores.iter().zip(solution).map(|(score, part)| score.to_f64() * part.to_f64());
            *value = F::from_f64(products.sum());
        }
        Ok(out)
    }

    fn takes_from_pool(&self) -> bool {
        true
    }

    fn gradient<'t>(&self, inputs: &[Var<'t, F>], _: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![Some(adjoint.unsqueeze(-1) * inputs[1]), None]
    }

    fn smoothness(&self, input: usize) -> Smoothness {
        // The solution does not change where the value is differentiable.
        if input == 0 { Smoothness::Kinked } else { Smoothness::Constant }
    }
}

/// The number of scores of a problem: the size of the last event axis.
fn width_of<F: Real>(scores: &Tensor<F>, plates: usize) -> Result<usize, String> {
    match scores.shape().last() {
        Some(&width) if scores.rank() > plates && width > 0 => Ok(width),
        _ => Err(format!("expected an axis of scores with at least one of them, got shape {}", scores.shape())),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::pathwise::Pathwise;
    use crate::score_function::ScoreFunction;
    use crate::score_function::baseline::LeaveOneOut;
    use stochgrad_distributions::{Gumbel, Normal};
    use stochgrad_graph::{Bias, Graph, Order, Seed};
    use stochgrad_tape::Tape;

    /// The largest score.
    pub(crate) fn best_of_all() -> LinearSolver {
        LinearSolver::new("argmax", |scores, solution| {
            let best = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).expect("scores");
            solution[best] = 1.0;
        })
    }

    /// The maximum spanning tree of four nodes with the edges 01, 02, 03, 12, 13, 23, by the algorithm of Kruskal.
    pub(crate) fn spanning_tree() -> LinearSolver {
        const EDGES: [[usize; 2]; 6] = [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]];
        LinearSolver::new("maximum spanning tree", |scores, solution| {
            let mut edges: Vec<usize> = (0..6).collect();
            edges.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            let mut component = [0, 1, 2, 3];
            for edge in edges {
                let [from, to] = EDGES[edge].map(|node| component[node]);
                if from != to {
                    component.iter_mut().filter(|own| **own == from).for_each(|own| *own = to);
                    solution[edge] = 1.0;
                }
            }
        })
    }

    /// The best matching of two sides with as many nodes, among all of them: a permutation matrix by rows.
    pub(crate) fn matching() -> LinearSolver {
        fn best(scores: &[f64], size: usize, columns: &mut Vec<usize>) -> (f64, Vec<usize>) {
            if columns.len() == size {
                let value = columns.iter().enumerate().map(|(row, column)| scores[row * size + column]).sum();
                return (value, columns.clone());
            }
            let mut found = (f64::NEG_INFINITY, Vec::new());
            for column in 0..size {
                if !columns.contains(&column) {
                    columns.push(column);
                    let other = best(scores, size, columns);
                    columns.pop();
                    found = if other.0 > found.0 { other } else { found };
                }
            }
            found
        }
        LinearSolver::new("matching", |scores, solution| {
            let size = scores.len().isqrt();
            for (row, column) in best(scores, size, &mut Vec::new()).1.into_iter().enumerate() {
                solution[row * size + column] = 1.0;
            }
        })
    }

    const SAMPLES: usize = 60_000;

    /// The expected maximum with perturbed scores, and its gradient: the mean solution.
    fn expected_maximum(theta: &[f64], scale: f64, gumbel: bool, solver: &LinearSolver) -> (f64, Vec<f64>) {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(5));
        let theta = graph.param("theta", theta).unwrap();
        let method = Pathwise::new().samples(SAMPLES);
        let scores = match gumbel {
            true => graph.sample("scores", &Gumbel::new(theta, scale), &method),
            false => graph.sample("scores", &Normal::new(theta, scale), &method),
        };
        graph.cost("maximum", solver.maximum(scores.unwrap())).unwrap();
        let gradients = graph.backward().unwrap();
        let guarantee = gradients.guarantee("theta").unwrap();
        assert_eq!((guarantee.bias, guarantee.order), (Bias::Unbiased, Order::Finite(1)));
        (gradients.cost("maximum").unwrap(), gradients.get("theta").unwrap().to_vec())
    }

    #[test]
    fn the_gradient_of_the_expected_maximum_is_the_mean_solution() {
        let close = |found: f64, expected: f64, spread: f64| {
            let error = spread / (SAMPLES as f64).sqrt();
            assert!((found - expected).abs() < 4.0 * error, "{found} where {expected} is exact");
        };
        let three = [0.3, -0.2, 0.6];
        let four = [1.0, 0.2, -0.5, 0.1];
        let cases = [
            (&three[..], 1.0, true, 1.961184414, &[0.3382504271, 0.2051592547, 0.4565903182][..]),
            (&three[..], 1.0, false, 1.145256272, &[0.3397101498, 0.1725965827, 0.4876932674][..]),
            (&four[..], 0.5, true, 1.462872629, &[0.7057250304, 0.1424834263, 0.03513598034, 0.1166555629][..]),
            (&four[..], 0.5, false, 1.071311351, &[0.8036995304, 0.1091080729, 0.007821099848, 0.07937129685][..]),
        ];
        for (theta, scale, gumbel, value, probabilities) in cases {
            let (found, gradient) = expected_maximum(theta, scale, gumbel, &best_of_all());
            close(found, value, 1.3 * scale);
            for (found, &p) in gradient.iter().zip(probabilities) {
                close(*found, p, (p * (1.0 - p)).sqrt());
            }
        }
        // The marginal probabilities of the edges of perturbed spanning trees, from 16 trees and simulation.
        let (_, marginals) = expected_maximum(&[0.2, -0.3, 0.5, 0.0, 0.8, -0.6], 1.0, true, &spanning_tree());
        let known = [0.474548323, 0.400385849, 0.608039437, 0.509686537, 0.71449641, 0.292843443];
        for (found, p) in marginals.iter().zip(known) {
            close(*found, p, f64::sqrt(p * (1.0 - p)));
        }
        assert!((marginals.iter().sum::<f64>() - 3.0).abs() < 1e-12);
        let (_, matched) = expected_maximum(&[0.1; 9], 1.0, false, &matching());
        matched.iter().for_each(|&found| close(found, 1.0 / 3.0, 0.48));
    }

    #[test]
    fn the_score_of_the_perturbed_scores_differentiates_the_solution() {
        // The Jacobian of the mean solution, at the first entry.
        for (theta, scale, known) in [
            (vec![0.3, -0.2, 0.6], 1.0, [0.2802521294, -0.08657385965]),
            (vec![1.0, 0.2, -0.5, 0.1], 0.5, [0.4270648777, -0.2301047661]),
        ] {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(6));
            let theta = graph.param("theta", theta).unwrap();
            let method = ScoreFunction::new().samples(SAMPLES).baseline(LeaveOneOut);
            let scores = graph.sample("scores", &Normal::new(theta, scale), &method).unwrap();
            graph.cost("first", best_of_all().solve(scores).index(0, 0)).unwrap();
            let gradients = graph.backward().unwrap();
            assert_eq!(gradients.guarantee("theta").unwrap().bias, Bias::Unbiased);
            for (found, expected) in gradients.get("theta").unwrap().as_slice().iter().zip(known) {
                // The score has the standard deviation 1 / σ, and the advantage at most 1/2.
                let error = 0.5 / scale / (SAMPLES as f64).sqrt();
                assert!((found - expected).abs() < 4.0 * error, "{found} where {expected} is exact");
            }
        }
    }

    #[test]
    fn problems_lie_along_the_last_axis_of_every_plate() {
        let tape = Tape::<f64>::new();
        let plate = tape.plate("data", 2, stochgrad_tape::PlateKind::Data, &[]);
        let scores = tape.constant_on(&[plate], [[[1.0, 3.0], [0.0, -1.0]], [[5.0, 2.0], [-3.0, 4.0]]]);
        let solved = best_of_all().solve(scores);
        assert_eq!(solved.peek().unwrap().to_vec(), [0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
        assert_eq!(best_of_all().maximum(scores).peek().unwrap().to_vec(), [3.0, 0.0, 5.0, 4.0]);
        let single = Tape::<f32>::new();
        assert_eq!(best_of_all().solve(single.constant([0.5_f32, 0.25])).peek().unwrap().to_vec(), [1.0, 0.0]);
    }

    #[test]
    fn what_is_no_problem_or_no_solution_is_an_error() {
        let tape = Tape::<f64>::new();
        let error = best_of_all().solve(tape.constant([0.0, f64::NAN])).peek().unwrap_err().to_string();
        assert!(error.contains("expected finite scores, got NaN at position 1"), "{error}");
        let tape = Tape::<f64>::new();
        assert!(best_of_all().solve(tape.constant(1.0)).peek().unwrap_err().to_string().contains("axis of scores"));
        let tape = Tape::<f64>::new();
        let broken = LinearSolver::new("broken", |_, solution| solution[0] = f64::INFINITY);
        let error = broken.solve(tape.constant([0.0, 1.0])).peek().unwrap_err().to_string();
        assert!(error.contains("broken: expected a finite solution"), "{error}");
    }

    #[test]
    fn sample_paths_through_the_solution_are_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(6));
        let theta = graph.param("theta", [0.3, -0.2]).unwrap();
        let scores = graph.sample("scores", &Normal::new(theta, 1.0), &Pathwise::new()).unwrap();
        graph.cost("first", best_of_all().solve(scores).index(0, 0)).unwrap();
        assert!(graph.backward().unwrap_err().to_string().contains("argmax"));
    }
}
