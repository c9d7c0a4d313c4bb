//! Gradients and estimates are never NaN or infinite: the error names the operation that first produced such a value.

use stochgrad_graph::{Graph, GraphError, Seed};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

type Cost = for<'t> fn(&Graph<'t, f64>, Var<'t, f64>) -> Var<'t, f64>;

fn record(graph: &Graph<'_, f64>, x: [f64; 2], cost: Cost) {
    let x = graph.param("x", x).unwrap();
    graph.cost("loss", cost(graph, x)).unwrap();
}

/// The error of a recorded and of a compiled graph, which must be equal, and the line that it names.
fn error(x: [f64; 2], cost: Cost) -> (String, u32) {
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(1));
    record(&graph, x, cost);
    let before = tape.len();
    let recorded = graph.backward().unwrap_err();
    assert_eq!(tape.len(), before);
    // Compiled at a point where all values are finite.
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(1));
    record(&graph, [0.5, 0.25], cost);
    let mut compiled = graph.compile().unwrap();
    for _ in 0..2 {
        compiled.set("x", &Tensor::from(x)).unwrap();
        let GraphError::Step { step: 5, source: error } = compiled.run(Seed::new(1).step(5)).unwrap_err() else {
            panic!("the error of a run names the step");
        };
        let GraphError::NotFinite { what, value, position, origin } = &recorded else { panic!("{recorded}") };
        let GraphError::NotFinite { what: what_2, value: value_2, position: position_2, origin: origin_2 } = &*error
        else {
            panic!("{error}")
        };
        assert_eq!((what, value, position), (what_2, value_2, position_2));
        let (origin, origin_2) = (origin.as_ref().unwrap(), origin_2.as_ref().unwrap());
        assert_eq!((&origin.operation, origin.at), (&origin_2.operation, origin_2.at));
        // The compiled graph can be run again.
        compiled.set("x", &Tensor::from([0.5, 0.25])).unwrap();
        assert!(compiled.run(Seed::new(1)).unwrap().squares_are_finite());
    }
    let GraphError::NotFinite { origin: Some(origin), .. } = &recorded else { panic!("{recorded}") };
    assert!(origin.at.file().ends_with("finite.rs"), "{recorded}");
    (recorded.to_string(), origin.at.line())
}

fn contains(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{message}\nlacks {part}");
    }
}

#[test]
fn a_slope_that_does_not_exist_names_its_operation() {
    let line = line!() + 1;
    let (message, at) = error([1.0, 4.0], |_, x| (x - 1.0).square().sqrt().sum());
    contains(&message, &["with respect to \"x\"", "NaN at position 0", "the derivative of Sqrt"]);
    assert_eq!(at, line);
    let (message, _) = error([0.5, 0.0], |_, x| x.sqrt().sum());
    contains(&message, &["∞ at position 1", "the derivative of Sqrt"]);
    let (message, _) = error([0.5, 0.0], |_, x| (x.recip() * -1.0).exp().sum());
    contains(&message, &["NaN", "∞ first appears in Recip", "0 times an infinite"]);
}

#[test]
fn a_cost_that_is_nan_names_its_operation() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let x = graph.param("x", [1.0, -1.0]).unwrap();
    let line = line!() + 1;
    let error = graph.cost("loss", (x.sqrt() + 1.0).sum()).unwrap_err();
    contains(&error.to_string(), &["cost \"loss\" is NaN", "first appears in Sqrt", &format!("finite.rs:{line}")]);
}

#[test]
fn an_infinite_estimate_names_the_first_infinity() {
    let line = line!() + 1;
    let (message, at) = error([0.5, 0.0], |_, x| (x.ln() * 2.0 + 1.0).sum());
    contains(&message, &["the estimate of cost \"loss\"", "−∞", "Ln, of event shape [2]"]);
    assert_eq!(at, line);
}

#[test]
fn a_parameter_that_is_not_finite_is_named() {
    let (message, _) = error([0.5, f64::INFINITY], |_, x| x.square().sum());
    contains(&message, &["the parameter of event shape [2] is ∞"]);
}

#[test]
fn the_origin_is_found_among_what_was_masked() {
    // The first element is infinite but not selected; only the second element matters.
    let (message, _) = error([0.0, 2.0], |graph, x| {
        let taken = x.gt(graph.constant(0.0)).select(x.ln().abs().sqrt(), graph.constant(0.0));
        taken.sum() + (x.index(0, 1) - 2.0).abs().sqrt() * 0.5
    });
    contains(&message, &["position 1", "the derivative of Sqrt", "event shape []"]);
}

#[test]
fn a_zero_behind_a_product_of_matrices_asks_for_a_guard() {
    let (message, _) = error([0.0, 2.0], |graph, x| {
        let mixed = x.recip().reshape([2, 1]).matmul(graph.constant([1.0]).reshape([1, 1])).reshape([2]);
        x.gt(graph.constant(0.0)).select(mixed, graph.constant(0.0)).sum()
    });
    contains(&message, &["NaN at position 0", "Recip", "select(x > 0, select(x > 0, x, 1)"]);
}

#[test]
fn derivatives_of_higher_order_are_finite_or_errors() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let x = graph.param("x", [0.0, 4.0]).unwrap();
    // The first derivative is finite at 0, the second is not.
    graph.cost("loss", x.powf(1.5).sum()).unwrap();
    assert_eq!(graph.backward().unwrap().get("x").unwrap().as_slice(), &[0.0, 3.0]);
    let surrogate = graph.surrogate().unwrap();
    surrogate.gradient(&["x"]).unwrap();
    contains(&surrogate.hessian("x").unwrap_err().to_string(), &["Hessian", "PowScalar"]);
    let error = surrogate.hessian_vector_product(&[("x", Tensor::from([1.0, 0.0]))]).unwrap_err();
    assert!(matches!(error, GraphError::NotFinite { position: 0, origin: Some(_), .. }), "{error}");
    assert!(surrogate.directional(&[("x", Tensor::from([1.0, 0.0]))], 1).is_ok());
    let error = surrogate.directional(&[("x", Tensor::from([1.0, 0.0]))], 2).unwrap_err();
    contains(&error.to_string(), &["the derivative of order 2"]);
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let x = graph.param("x", [0.0, 4.0]).unwrap();
    graph.cost("loss", x.sqrt().sum()).unwrap();
    let error = graph.surrogate().unwrap().gradient(&["x"]).unwrap_err();
    contains(&error.to_string(), &["∞ at position 0", "Sqrt"]);
}
