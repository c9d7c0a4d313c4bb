//! The exact oracle on counts: gradients with closed forms.

mod methods;

use approx::assert_abs_diff_eq;
use methods::Score;
use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Binomial, Categorical, Geometric, Live, Poisson};
use stochgrad_graph::{Graph, GraphResult};
use stochgrad_tape::Var;

type CostOf = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;

const COSTS: [CostOf; 3] = [|x| 7.0 * x - 3.0, |x| (x + 1.0).square(), |x| (x + 1.0).sqrt()];

/// A distribution of one count at p = 0.3.
trait CountDistribution {
    fn record<'t>(&self, graph: &Graph<'t, f64>, p: Var<'t, f64>) -> GraphResult<Var<'t, f64>>;
}

fn draw<'t, D>(graph: &Graph<'t, f64>, distribution: &D) -> GraphResult<Var<'t, f64>>
where
    D: Live<'t, f64>,
{
    graph.sample("x", distribution, &Score::plain())
}

struct Bits;
struct Waits;
struct Events;
struct Successes;
struct OneOrTwo;

impl CountDistribution for Bits {
    fn record<'t>(&self, graph: &Graph<'t, f64>, p: Var<'t, f64>) -> GraphResult<Var<'t, f64>> {
        draw(graph, &Bernoulli::from_probabilities(p))
    }
}

impl CountDistribution for Waits {
    fn record<'t>(&self, graph: &Graph<'t, f64>, p: Var<'t, f64>) -> GraphResult<Var<'t, f64>> {
        draw(graph, &Geometric::from_probabilities(p))
    }
}

impl CountDistribution for Events {
    fn record<'t>(&self, graph: &Graph<'t, f64>, p: Var<'t, f64>) -> GraphResult<Var<'t, f64>> {
        draw(graph, &Poisson::from_rate(p))
    }
}

impl CountDistribution for Successes {
    fn record<'t>(&self, graph: &Graph<'t, f64>, p: Var<'t, f64>) -> GraphResult<Var<'t, f64>> {
        draw(graph, &Binomial::from_probabilities(3.0, p))
    }
}

impl CountDistribution for OneOrTwo {
    fn record<'t>(&self, graph: &Graph<'t, f64>, p: Var<'t, f64>) -> GraphResult<Var<'t, f64>> {
        let logits = Var::stack(&[p * 0.0, p])?;
        Ok(draw(graph, &Categorical::from_logits(logits))? + 1.0)
    }
}

#[test]
fn one_count_has_its_gradient() {
    let distributions: [(&dyn CountDistribution, [f64; 3]); 5] = [
        (&Bits, [7.0, 3.0, 0.41421]),
        (&Waits, [-77.77778, -137.03704, -2.60900]),
        (&Events, [7.0, 3.6, 0.38727]),
        (&Successes, [21.0, 12.6, 1.08172]),
        (&OneOrTwo, [1.71121, 1.22229, 0.07770]),
    ];
    for (distribution, gradients) in distributions {
        for (cost, expected) in COSTS.into_iter().zip(gradients) {
            let model = |graph: &Graph<'_, f64>| {
                let p = graph.param("p", 0.3)?;
                let x = distribution.record(graph, p)?;
                graph.cost("cost", cost(x))
            };
            let exact = Oracle::new().exact_gradient(model).expect("a count");
            assert_abs_diff_eq!(exact[0].1.item().expect("a scalar"), expected, epsilon = 6e-6);
            Oracle::new().verify(model, 0..=2, 1e-9).expect("exact");
        }
    }
}

#[test]
fn a_binomial_of_a_binomial() {
    for (p, leave_one_out) in [(0.3, false), (0.7, false), (0.3, true)] {
        let method = if leave_one_out { Score::leave_one_out(2) } else { Score::plain() };
        let trials = if leave_one_out { 2.0 } else { 10.0 };
        let model = |graph: &Graph<'_, f64>| {
            let p = graph.param("p", p)?;
            let n = graph.sample("n", &Binomial::from_probabilities(trials, p), &method)?;
            let m = graph.sample("m", &Binomial::from_probabilities(n, p), &method)?;
            graph.cost("cost", m)
        };
        let oracle = Oracle::new();
        assert_abs_diff_eq!(oracle.exact_cost(model).expect("two counts"), trials * p * p, epsilon = 1e-12);
        assert_abs_diff_eq!(
            oracle.exact_gradient(model).expect("two counts")[0].1.item().expect("a scalar"),
            2.0 * trials * p,
            epsilon = 1e-11
        );
        oracle.verify(model, 0..=2, 1e-9).expect("exact");
    }
}

#[test]
fn a_poisson_count_whose_rate_is_random() {
    let model = |graph: &Graph<'_, f64>| {
        let (p, a, c) = (graph.param("p", 0.3)?, graph.param("a", 1.2)?, graph.param("c", 0.8)?);
        let b = graph.sample("b", &Bernoulli::from_probabilities(p), &Score::plain())?;
        let n = graph.sample("n", &Poisson::from_rate(a + c * b), &Score::plain())?;
        graph.cost("cost", (n - 2.0).square() + p * b)
    };
    let oracle = Oracle::new();
    assert_abs_diff_eq!(oracle.exact_cost(model).expect("two nodes"), 1.978, epsilon = 1e-11);
    let exact = oracle.exact_gradient(model).expect("two nodes");
    for ((name, found), expected) in exact.iter().zip([("a", -0.12), ("c", 0.30), ("p", 0.76)]) {
        assert_eq!(name, expected.0);
        assert_abs_diff_eq!(found.item().expect("a scalar"), expected.1, epsilon = 1e-11);
    }
    oracle.verify(model, 0..=3, 1e-9).expect("exact");
}
