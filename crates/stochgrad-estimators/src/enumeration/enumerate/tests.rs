use super::*;
use crate::score_function::ScoreFunction;
use crate::score_function::baseline::LeaveOneOut;
use crate::testing::models::{self, BitMethod, CHAIN};
use approx::assert_abs_diff_eq;
use std::sync::Arc;
use stochgrad_check::{CheckResult, Oracle, OracleReport};
use stochgrad_distributions::{Bernoulli, Binomial, Categorical, Empirical, OneHotCategorical};
use stochgrad_graph::{Graph, GraphError, Seed};
use stochgrad_tape::Tape;

fn enumerated() -> BitMethod {
    Arc::new(Enumerate::new())
}

fn single() -> BitMethod {
    Arc::new(ScoreFunction::new())
}

fn leave_one_out() -> BitMethod {
    Arc::new(ScoreFunction::new().samples(2).baseline(LeaveOneOut))
}

fn passes(name: String, report: CheckResult<OracleReport>) {
    report.unwrap_or_else(|error| panic!("{name}: {error}"));
}

#[test]
fn everything_enumerated_needs_no_draw() {
    let (first, second) = (enumerated(), enumerated());
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    models::chain(&graph, &first, &second).unwrap();
    let surrogate = graph.surrogate().unwrap();
    for (order, expected) in CHAIN.into_iter().enumerate() {
        let found = surrogate.directional(&[("t", Tensor::scalar(1.0))], order).unwrap().item().unwrap();
        assert!((found - expected).abs() < 1e-9, "order {order}: {found}");
    }
}

#[test]
fn every_mixture_with_the_score_function_is_exact() {
    for (first, second) in [
        (enumerated(), single()),
        (single(), enumerated()),
        (enumerated(), leave_one_out()),
        (leave_one_out(), enumerated()),
    ] {
        let name = models::names(&[&first, &second]);
        let oracle = Oracle::new();
        passes(
            format!("chain {name}"),
            oracle.verify(|graph: &Graph<'_, f64>| models::chain(graph, &first, &second), 0..=3, 1e-9),
        );
        passes(
            format!("costs {name}"),
            oracle.verify(|graph: &Graph<'_, f64>| models::two_costs(graph, &first, &second), 0..=2, 1e-9),
        );
        passes(
            format!("data {name}"),
            oracle.verify(|graph: &Graph<'_, f64>| models::on_data(graph, &first, &second), 0..=2, 1e-9),
        );
        let all = [&first, &second, &first];
        passes(
            format!("skip {name}"),
            oracle.verify(|graph: &Graph<'_, f64>| models::skip_edge(graph, all), 0..=2, 1e-9),
        );
        passes(
            format!("fork {name}"),
            oracle.verify(|graph: &Graph<'_, f64>| models::fork(graph, &first, &second, &first), 0..=2, 1e-9),
        );
    }
}

#[test]
fn credit_reaches_the_parent_through_the_weights_alone() {
    for parent in [single(), leave_one_out()] {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", 0.3)?;
            let u = graph.sample("u", &Bernoulli::from_logits(t), &parent)?;
            let v = graph.sample("v", &Bernoulli::from_logits(u * 2.0 - 0.5), &Enumerate::new())?;
            graph.cost("of v alone", (v * 3.0 - 1.0).square())
        };
        Oracle::new().verify(model, 0..=3, 1e-9).unwrap();
        let gradient = Oracle::new().gradient(model).unwrap();
        assert!(gradient.mean("t").unwrap().item().unwrap().abs() > 0.05);
    }
}

#[test]
fn joint_states_are_all_combinations() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let p = graph.param("p", [0.1, 0.4]).unwrap();
    let x = graph.sample("x", &Bernoulli::from_probabilities(p), &Enumerate::new()).unwrap();
    assert_eq!(x.peek().unwrap().as_slice(), &[0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
    graph.cost("cost", (x * graph.constant([1.0, 10.0])).sum().square()).unwrap();
    let gradients = graph.backward().unwrap();
    assert_abs_diff_eq!(
        gradients.cost("cost").unwrap(),
        (0.1 * 0.6 + 0.9 * 0.4 * 100.0 + 0.1 * 0.4 * 121.0),
        epsilon = 1e-12
    );
    let expected = [0.6 + 0.4 * 121.0 - 0.4 * 100.0, 0.9 * 100.0 + 0.1 * 121.0 - 0.1];
    for (found, expected) in gradients.get("p").unwrap().as_slice().iter().zip(expected) {
        assert_abs_diff_eq!(*found, expected, epsilon = 1e-11);
    }
}

#[test]
fn several_elements_are_exact_on_data_and_beside_other_nodes() {
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", [[0.3, -0.2, 0.5], [0.1, 0.8, -0.6]])?;
        let features = graph.data("data", [0.5, -1.0])?;
        let x = graph.sample("x", &OneHotCategorical::from_logits(t * features), &Enumerate::new())?;
        let chosen = (x * graph.constant([1.0, -0.5, 2.0])).sum_axis(-1);
        let y = graph.sample("y", &Bernoulli::from_logits(chosen.sum() * 0.5), &ScoreFunction::new())?;
        graph.cost("cost", (chosen.index(0, 0) * chosen.index(0, 1) - y).square() + y * features)
    };
    Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
}

#[test]
fn the_log_of_an_average_over_states_is_that_of_the_expectation() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    models::importance_weighted(&graph, &enumerated()).unwrap();
    let p = 1.0 / (1.0 + (-0.3_f64).exp());
    let expected = -((1.0 - p) * (-0.4_f64).exp() + p * 0.6_f64.exp()).ln();
    assert_abs_diff_eq!(graph.backward().unwrap().cost("bound").unwrap(), expected, epsilon = 1e-12);
}

#[test]
fn impossible_states_have_weight_zero_and_the_right_derivative() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let values = graph.constant([3.0, 5.0, 7.0]);
    let p = graph.param("p", [0.0, 0.25, 0.75]).unwrap();
    let x = graph.sample("x", &OneHotCategorical::from_probabilities(p), &Enumerate::new()).unwrap();
    graph.cost("one-hot", (x * values).sum()).unwrap();
    let q = graph.param("q", [0.25, 0.0, 0.75]).unwrap();
    let y = graph.sample("y", &Categorical::from_probabilities(q), &Enumerate::new()).unwrap();
    graph.cost("category", (y + 1.0).square()).unwrap();
    let b = graph.param("b", [0.0, 1.0, 0.5]).unwrap();
    let z = graph.sample("z", &Bernoulli::from_probabilities(b), &Enumerate::new()).unwrap();
    graph.cost("bits", (z * values).sum().square()).unwrap();
    let c = graph.param("c", 0.0).unwrap();
    let n = graph.sample("n", &Binomial::from_probabilities(2.0, c), &Enumerate::new()).unwrap();
    graph.cost("count", (n + 1.0).square()).unwrap();
    let gradients = graph.backward().unwrap();
    assert_eq!(gradients.get("p").unwrap().as_slice(), &[3.0, 5.0, 7.0]);
    assert_eq!(gradients.get("q").unwrap().as_slice(), &[1.0, 4.0, 9.0]);
    // (5 + 7 z₃)² with z₃ a fair bit, and its changes when another bit is set or cleared.
    let [without, with] = [25.0, 144.0];
    let expected = [0.5 * (64.0 - without) + 0.5 * (225.0 - with), 0.5 * without + 0.5 * (with - 49.0), with - without];
    assert_eq!(gradients.get("b").unwrap().as_slice(), &expected);
    // E (n + 1)² = 1 + 6 c + 2 c².
    assert_abs_diff_eq!(gradients.get("c").unwrap().item().unwrap(), 6.0, epsilon = 1e-12);
    let curvature = graph.surrogate().unwrap().directional(&[("c", Tensor::scalar(1.0))], 2).unwrap();
    assert_abs_diff_eq!(curvature.item().unwrap(), 4.0, epsilon = 1e-12);
}

#[test]
fn infinite_logits_are_certain() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let t = graph.param("t", [f64::NEG_INFINITY, f64::INFINITY, 0.0]).unwrap();
    let x = graph.sample("x", &Bernoulli::from_logits(t), &Enumerate::new()).unwrap();
    graph.cost("bits", (x * graph.constant([3.0, 5.0, 7.0])).sum().square()).unwrap();
    let s = graph.param("s", [f64::NEG_INFINITY, 0.0, 0.0]).unwrap();
    let y = graph.sample("y", &Categorical::from_logits(s), &Enumerate::new()).unwrap();
    let z = graph.sample("z", &OneHotCategorical::from_logits(s), &Enumerate::new()).unwrap();
    graph.cost("categories", y + z.index(-1, 2)).unwrap();
    let gradients = graph.backward().unwrap();
    assert_eq!(gradients.cost("bits"), Ok(0.5 * 25.0 + 0.5 * 144.0));
    assert_eq!(gradients.get("t").unwrap().as_slice(), &[0.0, 0.0, 0.25 * (144.0 - 25.0)]);
    assert_eq!(gradients.get("s").unwrap().as_slice(), &[0.0, -0.5, 0.5]);
}

/// States of several images are not drawn side by side: a cost of all images needs the average over the states of
/// each first.
#[test]
fn a_cost_of_several_images_is_refused_unless_each_is_averaged() {
    let model = |graph: &Graph<'_, f64>, averaged: bool| {
        let t = graph.param("t", 0.3)?;
        let features = graph.data("data", [0.5, -1.5])?;
        let x = graph.sample("x", &Bernoulli::from_logits(t * features), &Enumerate::new())?;
        let states = graph.plate_named("x").expect("the plate of the states");
        let own = (x * features).exp();
        let own = if averaged { own.mean_over(states) } else { own };
        graph.cost("cost", own.sum_over(features.plates()[0]).square())
    };
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    model(&graph, false).unwrap();
    let error = graph.backward().unwrap_err().to_string();
    assert!(error.contains("plate \"data\"") && error.contains("average over plate \"x\""), "{error}");
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    model(&graph, true).unwrap();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let mean = |feature: f64| 1.0 + sigmoid(0.3 * feature) * (feature.exp() - 1.0);
    let expected = (mean(0.5) + mean(-1.5)).powi(2);
    assert_abs_diff_eq!(graph.backward().unwrap().cost("cost").unwrap(), expected, epsilon = 1e-12);
}

#[test]
fn too_many_states_are_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let t = graph.param("t", Tensor::<f64>::zeros([13])).unwrap();
    let bits = Bernoulli::from_logits(t);
    let error = graph.sample("x", &bits, &Enumerate::new()).unwrap_err();
    assert!(matches!(error, GraphError::Distribution { .. }) && error.to_string().contains("2^13"), "{error}");
    assert!(graph.sample("x", &bits, &Enumerate::new().limit(8192)).is_ok());
    let wide = Bernoulli::from_logits(graph.param("wide", Tensor::<f64>::zeros([200])).unwrap());
    assert!(graph.sample("y", &wide, &Enumerate::new().limit(usize::MAX)).is_err());
}

#[test]
fn enumeration_is_drawn_again_in_a_replay() {
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", [0.3, -0.2])?;
        let u = graph.sample("u", &Bernoulli::from_logits(t), &crate::MeasureValued::new())?;
        let v = graph.sample("v", &Bernoulli::from_logits(u * 2.0 - t), &Enumerate::new())?;
        graph.cost("cost", (v.sum() * 3.0 - 1.0).square() + (u * v).sum())
    };
    Oracle::new().verify(model, 0..=1, 1e-9).unwrap();
}

#[test]
fn states_that_depend_on_a_trained_parameter_are_refused() {
    let record = |is_trained: bool| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let values = if is_trained { graph.param("values", [1.0, 2.0]).unwrap() } else { graph.constant([1.0, 2.0]) };
        let error = graph.sample("x", &Empirical::new(values), &Enumerate::new()).map(drop).err();
        error.map(|error| error.to_string())
    };
    assert_eq!(record(false), None);
    let message = record(true).unwrap();
    assert!(message.contains("\"values\"") && message.contains("trainable"), "{message}");
}
