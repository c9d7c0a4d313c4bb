//! States of probability 0 take their costs away, also where these are infinite or NaN.

use stochgrad_distributions::{Categorical, Distribution, OneHotCategorical};
use stochgrad_estimators::Enumerate;
use stochgrad_graph::{Graph, GraphError, Seed};
use stochgrad_tape::Tape;
use stochgrad_tensor::{Real, Tensor};

const ABSENT: f64 = f64::NEG_INFINITY;

fn close<F: Real>(found: &[F], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found.to_f64() - expected).abs() < 1e-6, "{found}, not {expected}");
    }
}

/// The costs, their total and the gradient of `logits`, recorded and compiled.
fn check<F: Real>(
    logits: &[f64],
    total: f64,
    gradient: &[f64],
    model: impl for<'t> Fn(&Graph<'t, F>, stochgrad_tape::Var<'t, F>) -> Result<(), GraphError>,
) {
    let logits = Tensor::from_fn([logits.len()], |i| F::from_f64(logits[i]));
    let tape = Tape::<F>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let parameter = graph.param("logits", &logits).unwrap();
    model(&graph, parameter).unwrap();
    let gradients = graph.backward().unwrap();
    close(&[gradients.total()], &[total]);
    close(gradients.get("logits").unwrap().as_slice(), gradient);
    let mut compiled = graph.compile().unwrap();
    compiled.set("logits", &logits).unwrap();
    let gradients = compiled.run(Seed::new(1)).unwrap();
    close(&[gradients.total()], &[total]);
    close(gradients.get("logits").unwrap().as_slice(), gradient);
    let hessian = graph.surrogate().unwrap().hessian("logits").unwrap();
    assert!(hessian.as_slice().iter().all(|x| x.is_finite()), "{hessian:?}");
}

#[test]
fn an_infinite_cost_of_an_absent_state_is_taken_away() {
    fn both<F: Real>() {
        for absent in [f64::INFINITY, ABSENT, f64::NAN] {
            check::<F>(&[0.0, ABSENT], 2.0, &[0.0, 0.0], |graph, logits| {
                let x = graph.sample("x", &Categorical::from_logits(logits), &Enumerate::new())?;
                let costs = x.equal(graph.constant(0.0)).select(graph.constant(2.0), graph.constant(absent));
                graph.cost("cost", costs)
            });
        }
    }
    both::<f32>();
    both::<f64>();
}

#[test]
fn the_log_probability_of_an_absent_state_is_taken_away() {
    fn both<F: Real>() {
        let half = 0.5_f64.ln();
        check::<F>(&[0.0, 0.0, ABSENT], half, &[0.0; 3], |graph, logits| {
            let q = Categorical::from_logits(logits);
            let x = graph.sample("x", &q, &Enumerate::new())?;
            graph.cost("ln q", q.log_prob(x))
        });
        check::<F>(&[0.0, 0.0, ABSENT], half, &[0.0; 3], |graph, logits| {
            let q = OneHotCategorical::from_logits(logits);
            let x = graph.sample("x", &q, &Enumerate::new())?;
            graph.cost("ln q", q.log_prob(x))
        });
        let (a, b) = (1.0 / (1.0 + 1f64.exp()), 1.0 / (1.0 + (-1f64).exp()));
        let entropy = a * a.ln() + b * b.ln();
        check::<F>(&[0.0, 1.0, ABSENT], entropy, &[-a * b, a * b, 0.0], |graph, logits| {
            let q = Categorical::from_logits(logits);
            let x = graph.sample("x", &q, &Enumerate::new())?;
            graph.cost("ln q", q.log_prob(x))
        });
    }
    both::<f32>();
    both::<f64>();
}

#[test]
fn an_absent_state_of_one_node_leaves_the_nodes_after_it_out() {
    let a = 1.0 / (1.0 + (-1f64).exp());
    let slope = a * (1.0 - a);
    check::<f64>(&[1.0, 0.0, ABSENT], a * 3.0 + (1.0 - a) * 5.0, &[slope * -2.0, slope * 2.0, 0.0], |graph, logits| {
        let x = graph.sample("x", &Categorical::from_logits(logits), &Enumerate::new())?;
        let second = graph.constant([0.0, 0.0]);
        let y = graph.sample("y", &Categorical::from_logits(second), &Enumerate::new())?;
        // Costs 2 or 4 in the first state, 4 or 6 in the second, NaN in the third.
        graph.cost("cost", (x - 2.0).recip() * 0.0 + x * 2.0 + y * 2.0 + 2.0)
    });
}

#[test]
fn a_nan_of_a_state_that_is_there_is_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let logits = graph.param("logits", [0.0, 0.0]).unwrap();
    let x = graph.sample("x", &Categorical::from_logits(logits), &Enumerate::new()).unwrap();
    let costs = x.equal(graph.constant(0.0)).select(graph.constant(2.0), graph.constant(f64::NAN));
    let before = tape.len();
    let error = graph.cost("cost", costs).unwrap_err();
    assert!(matches!(error, GraphError::CostNan { position: 1, .. }), "{error}");
    assert_eq!(tape.len(), before);
}
