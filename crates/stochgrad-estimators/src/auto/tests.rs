use super::*;
use crate::counterfactual::measure_valued::MeasureValued;
use crate::enumeration::enumerate::Enumerate;
use crate::pathwise::Pathwise;
use crate::score_function::ScoreFunction;
use std::sync::Arc;
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{Bernoulli, Gamma, Id, Normal, Poisson, Uniform};
use stochgrad_graph::{DynMethod, Gradients, Graph, GraphError, Seed};
use stochgrad_tensor::Tensor;

type Normals = DynMethod<f64, Normal<Id>>;
type Bits = DynMethod<f64, Bernoulli<Id>>;

fn normal(method: &Normals, jump: bool) -> Gradients<f64> {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(9));
    let (mu, log_scale) = (graph.param("mu", [0.5, -0.1]).unwrap(), graph.param("log_scale", 0.2).unwrap());
    let x = graph.sample("x", &Normal::from_log_scale(mu, log_scale), method).unwrap();
    let cost = if jump { x + x.step() * 3.0 } else { x.square() };
    graph.cost("cost", cost.sum() * mu.sum()).unwrap();
    graph.backward().unwrap()
}

fn equal(left: &Gradients<f64>, right: &Gradients<f64>) {
    for ((name, left), (_, right)) in left.iter().zip(right.iter()) {
        for (left, right) in left.as_slice().iter().zip(right.as_slice()) {
            assert!((left - right).abs() <= 1e-12 * right.abs().max(1.0), "{name}: {left} and {right}");
            assert_ne!(*left, 0.0);
        }
    }
}

#[test]
fn a_smooth_path_is_differentiated_pathwise_and_only_so() {
    equal(
        &normal(&(Arc::new(Auto::new().samples(3)) as Normals), false),
        &normal(&(Arc::new(Pathwise::new().samples(3)) as Normals), false),
    );
}

#[test]
fn a_jump_closes_the_gate_and_only_the_score_function_is_used() {
    let (auto, score): (Normals, Normals) = (Arc::new(Auto::new()), Arc::new(ScoreFunction::new()));
    equal(&normal(&auto, true), &normal(&score, true));
    let auto: Normals = Arc::new(Auto::new().samples(3));
    let score: Normals = Arc::new(ScoreFunction::new().samples(3).baseline(LeaveOneOut));
    equal(&normal(&auto, true), &normal(&score, true));
}

#[test]
fn the_gradient_through_a_jump_is_the_known_one() {
    let model = |graph: &Graph<'_, f64>| {
        let mu = graph.param("mu", 0.5)?;
        let x = graph.sample("x", &Normal::new(mu, 1.0), &Auto::new().samples(4))?;
        graph.cost("cost", x + x.step() * 3.0)
    };
    StatisticalTest::new().runs(8000).check(model, &[("mu", Tensor::scalar(2.056_196))]).unwrap();
}

#[test]
fn few_states_are_enumerated_and_many_are_not() {
    let report = |auto: Auto, bits: usize| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(2));
        let logits = graph.param("logits", vec![0.3; bits]).unwrap();
        let b = graph.sample("b", &Bernoulli::from_logits(logits), &auto).unwrap();
        graph.cost("cost", b.sum().square()).unwrap();
        graph.backward().unwrap().reports()[0].1.clone()
    };
    assert_eq!(report(Auto::new(), 6), "enumeration of 64 joint states");
    assert!(report(Auto::new(), 7).starts_with("score function: Bernoulli"), "{}", report(Auto::new(), 7));
    assert!(report(Auto::new().samples(4), 7).starts_with("score function with leave-one-out: Bernoulli"));
    assert_eq!(report(Auto::new().limit(128), 7), "enumeration of 128 joint states");
    assert!(report(Auto::new(), 200).starts_with("score function: Bernoulli"));
}

#[test]
fn the_report_names_the_jump() {
    let reports = |jump| normal(&(Arc::new(Auto::new()) as Normals), jump).reports().to_vec();
    assert_eq!(reports(false), [("x".to_string(), "pathwise: every path from the value is free of jumps".to_string())]);
    let report = &reports(true)[0].1;
    assert!(
        report.starts_with("score function: ") && report.contains("Step") && report.contains("tests.rs"),
        "{report}"
    );
}

#[test]
fn every_order_is_exact() {
    let methods: [Bits; 3] =
        [Arc::new(Auto::new()), Arc::new(Auto::new().limit(1)), Arc::new(Auto::new().limit(1).samples(2))];
    for first in &methods {
        for second in &methods {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", 0.3)?;
                let x = graph.sample("x", &Bernoulli::from_logits(t), first)?;
                let y = graph.sample("y", &Bernoulli::from_logits(t * x + 0.25 + t / 3.0), second)?;
                graph.cost("cost", (x - 2.0 * y + 1.0).square() + t * x * y)
            };
            Oracle::new().verify(model, 0..=3, 1e-9).unwrap();
        }
    }
    let mixed = |graph: &Graph<'_, f64>| {
        let (t, s) = (graph.param("t", 0.3)?, graph.param("s", -0.2)?);
        let x = graph.sample("x", &Normal::new(t, 1.0), &Auto::new())?;
        let b = graph.sample("b", &Bernoulli::from_logits(s), &Auto::new())?;
        let y = graph.sample("y", &Normal::new(x * b + s, 0.5), &Auto::new())?;
        graph.cost("cost", (y - t * b).square())
    };
    Oracle::new().nodes(4).verify(mixed, 0..=2, 1e-9).unwrap();
}

#[test]
fn nodes_are_drawn_again_in_a_replay() {
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", 0.3)?;
        let b = graph.sample("b", &Bernoulli::from_logits(t), &MeasureValued::new())?;
        let c = graph.sample("c", &Bernoulli::from_logits(b - t), &Auto::new())?;
        let x = graph.sample("x", &Normal::new(b * 2.0 + t, 1.0), &Auto::new())?;
        let y = graph.sample("y", &Normal::new(x * c, 0.5), &Auto::new())?;
        graph.cost("cost", (y + b).square())
    };
    Oracle::new().nodes(4).verify(model, 0..=1, 1e-9).unwrap();
}

#[test]
fn countable_distributions_use_the_score_function() {
    let model = |graph: &Graph<'_, f64>| {
        let rate = graph.param("rate", 0.8)?;
        let n = graph.sample("n", &Poisson::from_rate(rate), &Auto::new())?;
        graph.cost("cost", (n - 1.0).square() * rate)
    };
    Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
}

fn order_of(record: impl for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>, parameter: &str) -> GraphResult<Order> {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(2));
    record(&graph)?;
    Ok(graph.backward()?.guarantee(parameter)?.order)
}

#[test]
fn kinks_cap_the_order() {
    let kink = |graph: &Graph<'_, f64>| {
        let x = graph.sample("x", &Normal::new(graph.param("mu", 0.5)?, 1.0), &Auto::new())?;
        graph.cost("cost", x.relu())
    };
    assert_eq!(order_of(kink, "mu"), Ok(Order::Finite(1)));
    let implicit = |graph: &Graph<'_, f64>| {
        let x = graph.sample("x", &Gamma::new(graph.param("shape", 2.0)?, 1.0), &Auto::new())?;
        graph.cost("cost", x.square())
    };
    assert_eq!(order_of(implicit, "shape"), Ok(Order::Finite(2)));
    let jump = |graph: &Graph<'_, f64>| {
        let x = graph.sample("x", &Gamma::new(graph.param("shape", 2.0)?, 1.0), &Auto::new())?;
        graph.cost("cost", (x - 1.0).step())
    };
    assert_eq!(order_of(jump, "shape"), Ok(Order::Any));
}

#[test]
fn where_nothing_applies_it_says_so() {
    let uniform = |jump: bool| {
        move |graph: &Graph<'_, f64>| {
            let x = graph.sample("x", &Uniform::new(graph.constant(0.0), graph.param("high", 2.0)?), &Auto::new())?;
            graph.cost("cost", if jump { (x - 0.5).step() } else { x.square() })
        }
    };
    assert_eq!(order_of(uniform(false), "high"), Ok(Order::Any));
    let error = order_of(uniform(true), "high").unwrap_err();
    assert!(matches!(error, GraphError::Refused { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("Step") && message.contains("Uniform") && message.contains("MeasureValued"), "{message}");
}

#[test]
fn enumeration_is_that_of_the_method() {
    let gradient = |method: &Bits| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(2));
        let logits = graph.param("logits", [0.3, -0.4]).unwrap();
        let b = graph.sample("b", &Bernoulli::from_logits(logits), method).unwrap();
        graph.cost("cost", (b.sum() - 0.3).square()).unwrap();
        graph.backward().unwrap()
    };
    equal(&gradient(&(Arc::new(Auto::new()) as Bits)), &gradient(&(Arc::new(Enumerate::new()) as Bits)));
}
