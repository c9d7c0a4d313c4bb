//! Gradients by sets of sequences that are drawn without replacement.

use crate::cases::{CASES, Sequence, assert_all_close, assert_close, cost, model, sequences};
use stochgrad::check::StatisticalTest;
use stochgrad::estimators::SequenceSet;
use stochgrad::graph::{DistinctSequences, GraphResult, SequenceModel};
use stochgrad::prelude::*;

const SEED: Seed = Seed { seed: 7, step: 0 };

/// The estimate of a set that is given instead of drawn.
fn of_set(graph: &Graph<'_, f64>, table: &[[f64; 3]; 3], set: &[&Sequence], method: SequenceSet) -> GraphResult<()> {
    let model = model(graph, table)?;
    let tokens = graph.constant(Tensor::from_rows(&set.iter().map(|s| s.tokens.to_vec()).collect::<Vec<_>>()).unwrap());
    let log_probs = (0..set.len())
        .map(|row| Ok(model.log_probs(graph, &format!("row {row}"), tokens.index(0, row))?.sum()))
        .collect::<GraphResult<Vec<_>>>()?;
    let rest: f64 = 1.0 - set.iter().map(|sequence| sequence.probability).sum::<f64>();
    let drawn = DistinctSequences::new(tokens, Var::stack(&log_probs)?, graph.constant(rest.ln()));
    let tokens = graph.sample("sequences", &drawn, &method)?;
    graph.cost("cost", cost(tokens))
}

/// Sums over all sets of two: mean and variance of the value, means of the gradient and of its second derivative, and
/// the sum of the variances of the gradient.
struct Moments {
    value: [f64; 2],
    gradient: [f64; 9],
    second: f64,
    variance: f64,
}

fn moments(table: &[[f64; 3]; 3], method: SequenceSet) -> Moments {
    let all = sequences(table);
    let mut found = Moments { value: [0.0; 2], gradient: [0.0; 9], second: 0.0, variance: 0.0 };
    for i in 0..all.len() {
        for j in 0..i {
            let (p, q) = (all[i].probability, all[j].probability);
            let probability = p * q / (1.0 - p) + p * q / (1.0 - q);
            let tape = Tape::new();
            let graph = Graph::new(&tape, SEED);
            of_set(&graph, table, &[&all[i], &all[j]], method).unwrap();
            let gradients = graph.backward().unwrap();
            found.value[0] += probability * gradients.total();
            found.value[1] += probability * gradients.total().powi(2);
            for (sum, &x) in found.gradient.iter_mut().zip(gradients.get("logits").unwrap().as_slice()) {
                *sum += probability * x;
                found.variance += probability * x * x;
            }
            found.second += probability * graph.surrogate().unwrap().hessian("logits").unwrap().as_slice()[4];
        }
    }
    found.value[1] -= found.value[0].powi(2);
    found.variance -= found.gradient.iter().map(|x| x * x).sum::<f64>();
    found
}

#[test]
fn unordered_sets_are_exact_and_have_the_known_variances() {
    for case in &CASES {
        let found = moments(&case.table, SequenceSet::new(2));
        assert_close(found.value[0], case.mean, "mean");
        assert_close(found.value[1], case.variance_of_set_value, "variance of the value");
        assert_all_close(&found.gradient, &case.gradient, "gradient");
        assert_close(found.second, case.second, "second derivative");
        assert_close(found.variance, case.variance_of_set_gradient, "variance of the gradient");
        let plain = moments(&case.table, SequenceSet::new(2).without_baseline());
        assert_all_close(&plain.gradient, &case.gradient, "gradient without a baseline");
        assert_close(plain.second, case.second, "second derivative without a baseline");
    }
}

/// A search and a set, with the same method in every run.
fn searched(graph: &Graph<'_, f64>, table: &[[f64; 3]; 3], method: SequenceSet, size: usize) -> GraphResult<()> {
    let drawn = model(graph, table)?.without_replacement(graph, "search", size)?;
    let tokens = graph.sample("sequences", &drawn, &method)?;
    graph.cost("cost", cost(tokens))
}

#[test]
fn searched_sets_have_the_exact_mean() {
    for case in &CASES {
        let exact = [("logits", Tensor::new(case.gradient.to_vec(), [3, 3]).unwrap())];
        for (size, method) in [(3, SequenceSet::new(3)), (3, SequenceSet::new(3).importance_weighted())] {
            StatisticalTest::new()
                .runs(1000)
                .check(|graph| searched(graph, &case.table, method, size), &exact)
                .unwrap_or_else(|error| panic!("{method:?}: {error}"));
        }
    }
}

#[test]
fn a_set_of_all_sequences_is_exact() {
    // Two tokens without an end: four sequences.
    let table = [[0.4, 0.1], [-0.3, 0.5]];
    let record = |graph: &Graph<'_, f64>, method: Option<SequenceSet>| -> GraphResult<()> {
        let logits = graph.param("logits", table)?;
        let model = SequenceModel::new(2, (), graph.constant(0.0), |(), last| Ok(((), logits.lookup(last))));
        let tokens = match method {
            Some(method) => graph.sample("sequences", &model.without_replacement(graph, "search", 4)?, &method)?,
            None => model.sample(graph, "token", &Enumerate::new())?.tokens,
        };
        graph.cost("cost", (tokens.sum() + tokens.index(0, 0) * 0.5).exp())
    };
    let gradient = |method| {
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        record(&graph, method).unwrap();
        let gradients = graph.backward().unwrap();
        (gradients.total(), gradients.get("logits").unwrap().to_vec())
    };
    let (mean, exact) = gradient(None);
    for method in [SequenceSet::new(4), SequenceSet::new(4).importance_weighted(), SequenceSet::new(4).normalized()] {
        let (value, found) = gradient(Some(method));
        assert!((value - mean).abs() < 1e-12 * mean);
        // Only the terms of the baseline of importance weights do not cancel set by set.
        if method == SequenceSet::new(4) {
            found.iter().zip(&exact).for_each(|(found, exact)| assert!((found - exact).abs() < 1e-12));
        }
    }
}

/// The probabilities of long sequences are below the smallest number of single precision.
#[test]
fn long_sequences_have_finite_weights() {
    let methods = [SequenceSet::new(4), SequenceSet::new(4).importance_weighted(), SequenceSet::new(4).normalized()];
    for method in methods {
        let tape = Tape::<f32>::new();
        let graph = Graph::new(&tape, SEED);
        let logits = graph.param("logits", [0.1, -0.2, 0.0]).unwrap();
        let model = SequenceModel::new(200, (), graph.constant(0.0), |(), _| Ok(((), logits)));
        let drawn = model.without_replacement(&graph, "search", 4).unwrap();
        assert!(drawn.log_probs().peek().unwrap().as_slice().iter().all(|&log| log < -200.0));
        let tokens = graph.sample("sequences", &drawn, &method).unwrap();
        graph.cost("ones", tokens.equal(graph.constant(1.0)).sum()).unwrap();
        // Nearly independent samples: the average of a binomial count.
        let gradients = graph.backward().unwrap();
        let share = (-0.2_f32).exp() / (0.1_f32.exp() + (-0.2_f32).exp() + 1.0);
        assert!((gradients.total() - 200.0 * share).abs() < 20.0, "{}", gradients.total());
        assert!(gradients.get("logits").unwrap().as_slice().iter().all(|x| x.is_finite()));
    }
}

#[test]
fn compiled_graphs_repeat_the_bits() {
    let table = CASES[0].table;
    for method in [SequenceSet::new(3), SequenceSet::new(3).importance_weighted(), SequenceSet::new(3).normalized()] {
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        searched(&graph, &table, method, 3).unwrap();
        let mut compiled = graph.compile().unwrap();
        for step in 0..3 {
            let tape = Tape::new();
            let graph = Graph::new(&tape, SEED.step(step));
            searched(&graph, &table, method, 3).unwrap();
            let expected = graph.backward().unwrap();
            compiled.set("logits", &Tensor::from(table)).unwrap();
            assert_eq!(compiled.run(SEED.step(step)).unwrap().get("logits").unwrap(), expected.get("logits").unwrap());
        }
    }
}
