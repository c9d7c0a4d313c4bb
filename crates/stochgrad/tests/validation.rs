//! A compiled graph checks the parameters of the distributions of its nodes in each run.

use stochgrad::distributions::{Exponential, Laplace, MultivariateNormal, Poisson, Uniform};
use stochgrad::graph::{CompiledGraph, GraphError, GraphResult};
use stochgrad::prelude::*;
use stochgrad::tensor::Tensor;

type Record = for<'t> fn(&Graph<'t, f64>, Var<'t, f64>) -> GraphResult<Var<'t, f64>>;

/// The cost is the value of a node whose parameter is computed from x.
fn record(graph: &Graph<'_, f64>, x: &Tensor<f64>, node: Record) -> GraphResult<()> {
    let x = graph.param("x", x)?;
    let value = node(graph, x)?;
    graph.cost("loss", value.sum())
}

fn compile(x: &Tensor<f64>, node: Record) -> CompiledGraph<f64> {
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(1));
    record(&graph, x, node).unwrap();
    graph.compile().unwrap()
}

/// The error of a run at a wrong value, after a run at a valid one. It is that of a recording, with the step.
fn error(valid: impl Into<Tensor<f64>>, wrong: impl Into<Tensor<f64>>, node: Record) -> String {
    let (valid, wrong) = (valid.into(), wrong.into());
    let mut compiled = compile(&valid, node);
    let run = |compiled: &mut CompiledGraph<f64>, x: &Tensor<f64>| {
        compiled.set("x", x).unwrap();
        compiled.run(Seed::new(1).step(10_000)).map(|gradients| gradients.total())
    };
    let first = run(&mut compiled, &valid).unwrap();
    let error = run(&mut compiled, &wrong).unwrap_err();
    assert_eq!(run(&mut compiled, &valid).unwrap(), first, "a failed run leaves no trace");
    let GraphError::Step { step: 10_000, source } = &error else { panic!("{error}") };
    let tape = Tape::new();
    let recorded = record(&Graph::new(&tape, Seed::new(1).step(10_000)), &wrong, node).unwrap_err();
    assert_eq!(**source, recorded);
    error.to_string()
}

#[test]
fn the_error_names_node_parameter_and_step() {
    let message = error([0.2, 0.5], [0.2, 1.2], |graph, x| {
        graph.sample("z", &Bernoulli::from_probabilities(x), &ScoreFunction::new())
    });
    let expected =
        "step 10000: node \"z\": Bernoulli: parameter probabilities must be in [0, 1], got 1.2 at position 1";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn each_kind_of_condition_is_checked() {
    let probabilities: Record =
        |graph, x| graph.sample(("z", 3), &Categorical::from_probabilities(x), &ScoreFunction::new());
    let message = error([0.2, 0.8], [0.2, 0.7], probabilities);
    assert!(message.contains("node \"z[3]\"") && message.contains("of sum 1"), "{message}");
    let message = error([0.0, 1.0], [f64::NEG_INFINITY; 2], |graph, x| {
        graph.sample("z", &Categorical::from_logits(x), &ScoreFunction::new())
    });
    assert!(message.contains("above −∞ for one category"), "{message}");
    // The parameter is computed, and read by other operations.
    let message =
        error([1.0, 2.0], [1.0, -2.0], |graph, x| graph.sample("z", &Normal::new(x, x * 0.5), &Pathwise::new()));
    assert!(message.contains("parameter scale must be a positive finite number, got -1 at position 1"), "{message}");
    // The condition is on a value that nothing else reads.
    let message = error(2.0, 0.5, |graph, x| graph.sample("z", &Uniform::new(x * 0.0 + 1.0, x), &Pathwise::new()));
    assert!(message.contains("parameter high - low must be"), "{message}");
    let message = error(1.0, 800.0, |graph, x| graph.sample("z", &Poisson::from_log_rate(x), &ScoreFunction::new()));
    assert!(message.contains("log_rate"), "{message}");
    let message = error([[1.0, 0.0], [0.5, 2.0]], [[1.0, 0.5], [0.5, 2.0]], |graph, x| {
        graph.sample("z", &MultivariateNormal::new(x.tape().constant([0.0, 1.0]), x), &Pathwise::new())
    });
    assert!(message.contains("lower triangular") && message.contains("position 1"), "{message}");
    let message = error(1.0, f64::INFINITY, |graph, x| graph.sample("z", &Laplace::new(x, 1.0), &ScoreFunction::new()));
    assert!(message.contains("parameter location") && message.contains("got inf"), "{message}");
}

#[test]
fn a_parameter_that_depends_on_another_node_is_checked() {
    let node: Record = |graph, x| {
        let z = graph.sample("first", &Normal::new(x, 1.0), &Pathwise::new())?;
        graph.sample("second", &Bernoulli::from_probabilities(z * 1e-3 + 0.5), &ScoreFunction::new())
    };
    let message = error(0.0, 1e6, node);
    assert!(message.contains("node \"second\": Bernoulli: parameter probabilities"), "{message}");
}

#[test]
fn checks_can_be_switched_off() {
    let node: Record = |graph, x| {
        let z = graph.sample("z", &Bernoulli::from_probabilities(x), &ScoreFunction::new())?;
        Ok(z * 0.0)
    };
    let mut compiled = compile(&Tensor::from(0.5), node);
    compiled.set_validation(false);
    compiled.set("x", &Tensor::from(1.2)).unwrap();
    let unchecked = compiled.run(Seed::new(1));
    let is_checked = |error: &GraphError| error.to_string().contains("parameter");
    assert!(!unchecked.is_err_and(|error| is_checked(&error)));
    compiled.set_validation(true);
    compiled.set("x", &Tensor::from(1.2)).unwrap();
    assert!(compiled.run(Seed::new(1)).is_err_and(|error| is_checked(&error)));
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(1));
    graph.set_validation(false);
    record(&graph, &Tensor::from(0.5), node).unwrap();
    assert_eq!(tape.requirements(), 0);
}

#[test]
fn a_parameter_without_a_cost_is_checked() {
    let message = error(1.0, -1.0, |graph, x| {
        graph.sample("unused", &Normal::new(x * 0.0, x), &Pathwise::new())?;
        Ok(x)
    });
    assert!(message.contains("\"unused\""), "{message}");
}

#[test]
fn data_outside_the_support_is_named() {
    let record = |graph: &Graph<'_, f64>, rows: [f64; 3]| {
        let rows = graph.data("rows", rows)?;
        let rate = graph.param("rate", 2.0)?;
        graph.cost("loss", -Exponential::new(rate).log_prob(rows))
    };
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(1));
    record(&graph, [0.5, 1.0, 2.0]).unwrap();
    let mut compiled = graph.compile().unwrap();
    compiled.set("rate", &Tensor::from(2.0)).unwrap();
    compiled.set("rows", &Tensor::from([0.5, 1.0, -2.0])).unwrap();
    let message = compiled.run(Seed::new(1).step(7)).unwrap_err().to_string();
    let expected = "step 7: the estimate of cost \"loss\" is ∞";
    assert!(message.starts_with(expected), "{message}");
    assert!(message.contains("for values that are outside the support, at position 2"), "{message}");
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(1));
    record(&graph, [0.5, 1.0, -2.0]).unwrap();
    let recorded = graph.backward().err().unwrap().to_string();
    assert!(recorded.contains("for values that are outside the support, at position 2"), "{recorded}");
}
