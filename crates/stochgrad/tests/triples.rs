//! Stochastic triples against the gradient method of the same jumps.

use stochgrad::distributions::{Binomial, Side};
use stochgrad::prelude::*;
use stochgrad::triples::{average, estimate};

const RUNS: u64 = 4000;

/// Mean and variance.
fn moments(values: &[f64]) -> [f64; 2] {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    [mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64]
}

/// A bit, and a number of successes whose probability depends on it.
#[test]
fn mean_and_variance_are_those_of_the_gradient_method() {
    let by_graph: Vec<f64> = (0..RUNS)
        .map(|run| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(3).step(run as usize));
            let p = graph.param("p", 0.4).expect("a parameter");
            let method = StochasticDerivatives::new().side(Side::Right);
            let bit = graph.sample("bit", &Bernoulli::from_probabilities(p), &method).expect("a node");

            let count = Binomial::from_probabilities(3.0, bit * 0.5 + 0.2);
            let count = graph.sample("count", &count, &StochasticDerivatives::new()).expect("a node");
            graph.cost("cost", (bit + count).square()).expect("a cost");
            graph.backward().expect("gradients").get("p").expect("a gradient").as_slice()[0]
        })
        .collect();
    let by_triples: Vec<f64> = (0..RUNS)
        .map(|seed| {
            let result = estimate(0.4, seed, |run, p| {
                let bit = run.bernoulli(p);
                let count = run.binomial(3.0, 0.5 * bit + 0.2);
                (bit + count).square()
            });
            result.expect("a valid program").derivative
        })
        .collect();
    let [[graph, graph_variance], [triples, triples_variance]] = [moments(&by_graph), moments(&by_triples)];
    let error = ((graph_variance + triples_variance) / RUNS as f64).sqrt();
    assert!((graph - 9.4).abs() < 4.0 * error, "{graph}, variance {graph_variance}");
    assert!((triples - 9.4).abs() < 4.0 * error, "{triples}, variance {triples_variance}");
    assert!((triples_variance / graph_variance - 1.0).abs() < 0.1, "{triples_variance}, {graph_variance}");
}

/// The choice of one jump among many adds variance, and no bias.
#[test]
fn many_draws_have_the_derivative_of_their_sum() {
    let mean = average(0.3, 2000, 5, |run, p| (0..200).map(|_| run.bernoulli(p)).sum()).expect("a valid program");
    assert!((mean.derivative - 200.0).abs() < 4.0 * mean.derivative_error, "{mean:?}");
}
