//! The exact oracle on every kind of node: bits, continuous samples, replayed and enumerated nodes, nodes on plates.

mod methods;

use approx::assert_abs_diff_eq;
use methods::{Enumerate, Flip, Pathwise, Score, number};
use stochgrad_check::{CheckError, Oracle};
use stochgrad_distributions::{Bernoulli, Exponential, Normal, Uniform};
use stochgrad_graph::{GradientMethod, Graph, GraphError, GraphResult, Reduction, SamplePlate};
use stochgrad_tape::{Id, Plate, Var};

#[test]
fn a_bit_has_its_gradient_for_any_cost() {
    for (expected, cost) in [
        (7.0, (|x| 7.0 * x - 3.0) as for<'t> fn(Var<'t, f64>) -> Var<'t, f64>),
        (3.0, |x| (x + 1.0).square()),
        (2.0_f64.sqrt() - 1.0, |x| (x + 1.0).sqrt()),
    ] {
        for plate in [SamplePlate::Single, SamplePlate::New(3)] {
            let method = Score { plate, ..Score::plain() };
            let model = |graph: &Graph<'_, f64>| {
                let p = graph.param("p", 0.3)?;
                let x = graph.sample("x", &Bernoulli::from_probabilities(p), &method)?;
                graph.cost("cost", cost(x))
            };
            let exact = Oracle::new().exact_gradient(model).expect("a bit");
            assert_abs_diff_eq!(exact[0].1.item().expect("a scalar"), expected, epsilon = 1e-12);
            Oracle::new().verify(model, 0..=3, 1e-9).expect("exact");
        }
    }
}

#[test]
fn a_node_that_is_drawn_by_itself_has_a_plate_of_one_member() {
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", 0.3)?;
        let x = graph.sample("x", &Bernoulli::from_logits(t), &Enumerate)?;
        let plate = graph.plate_named("x").expect("the node's plate");
        assert_eq!(graph.plate_named("x"), Some(plate));
        graph.cost("average", (x * 3.0 - t).square().mean_over(plate))?;
        graph.cost("bound", x.sum_over(plate) * 0.0 + (x * t).mean_over(plate))?;
        assert_eq!(graph.plate_named("y"), None);
        Ok(())
    };
    Oracle::new().verify(model, 0..=3, 1e-9).expect("exact");
    let joint = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", 0.3)?;
        let x = graph.sample("x", &Bernoulli::from_logits(t), &Enumerate)?;
        let plate = graph.plate_named("x").expect("the node's plate");
        graph.cost("bound", (x * t).log_mean_exp_over(plate))
    };
    let p = 1.0 / (1.0 + (-0.3_f64).exp());
    assert_abs_diff_eq!(Oracle::new().exact_cost(joint).expect("a bit"), 0.3 * p, epsilon = 1e-12);
}

/// The cost (a + b) e² with e normal around b + c.
fn square_of_a_normal(
    graph: &Graph<'_, f64>,
    method: &(impl GradientMethod<f64, Normal<Id>> + Clone + 'static),
) -> GraphResult<()> {
    let (a, b, c) = (graph.param("a", 5.0)?, graph.param("b", -3.0)?, graph.param("c", 0.23)?);
    let e = graph.sample("e", &Normal::new(b + c, 1.0), method)?;
    graph.cost("cost", (a + b) * e.square())
}

#[test]
fn continuous_nodes_are_integrated() {
    let oracle = Oracle::new();
    let pathwise = |graph: &Graph<'_, f64>| square_of_a_normal(graph, &Pathwise);
    let score = |graph: &Graph<'_, f64>| square_of_a_normal(graph, &Score::plain());
    oracle.verify(pathwise, 0..=3, 1e-9).expect("exact");
    oracle.verify(score, 0..=3, 1e-9).expect("exact");
    for (moments, variance) in [(oracle.gradient(pathwise), 16.0), (oracle.gradient(score), 725.18)] {
        let moments = moments.expect("a normal node");
        assert_eq!(moments.outcomes(), 16);
        assert_abs_diff_eq!(moments.cost("cost").expect("a cost").0, 17.3458, epsilon = 1e-10);
        for (name, expected) in [("a", 8.6729), ("b", -2.4071), ("c", -11.08)] {
            assert_abs_diff_eq!(
                moments.mean(name).expect("a parameter").item().expect("a scalar"),
                expected,
                epsilon = 1e-10
            );
        }
        assert_abs_diff_eq!(moments.variance("c").expect("c").item().expect("a scalar"), variance, epsilon = 5e-3);
    }
    assert_abs_diff_eq!(
        oracle.derivative(score, &[("c", number(1.0))], 2).expect("order 2").mean[0],
        4.0,
        epsilon = 1e-9
    );
    assert_abs_diff_eq!(
        oracle.exact_derivative(score, &[("c", number(1.0))], 2).expect("order 2"),
        4.0,
        epsilon = 1e-9
    );
}

#[test]
fn uniform_and_exponential_draws_are_integrated() {
    let model = |graph: &Graph<'_, f64>| {
        let (high, rate) = (graph.param("high", 2.0)?, graph.param("rate", 0.7)?);
        let x = graph.sample("x", &Uniform::new(high * 0.0, high), &Pathwise)?;
        let e = graph.sample("e", &Exponential::new(rate), &Score::plain())?;
        graph.cost("square", x.square())?;
        graph.cost("waiting", e * x)
    };
    let oracle = Oracle::new().nodes(8);
    let exact = oracle.exact_gradient(model).expect("two nodes");
    assert_eq!(exact.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["high", "rate"]);
    assert_abs_diff_eq!(exact[0].1.item().expect("a scalar"), 4.0 / 3.0 + 0.5 / 0.7, epsilon = 1e-11);
    assert_abs_diff_eq!(exact[1].1.item().expect("a scalar"), -1.0 / 0.49, epsilon = 1e-11);
    oracle.verify(model, 0..=2, 1e-9).expect("exact");
}

#[test]
fn a_replay_is_coupled_with_the_primal_draw() {
    // The probability of the second bit depends on the first one, and a flip of the first bit draws the second one
    // again with the same noise.
    let model = |graph: &Graph<'_, f64>| {
        let (p, q) = (graph.param("p", 0.3)?, graph.param("q", 0.2)?);
        let x = graph.sample("x", &Bernoulli::from_probabilities(p), &Flip { plate: SamplePlate::Single })?;
        let y =
            graph.sample("y", &Bernoulli::from_probabilities(q + 0.5 * x * p), &Flip { plate: SamplePlate::Single })?;
        graph.cost("cost", (x - 2.0 * y).square() + p * y)
    };
    let report = Oracle::new().verify(model, 0..=1, 1e-9).expect("exact");
    // With common noise y can only rise with x, so three of the four pairs of y and its counterfactual remain.
    assert_eq!(report.outcomes(), 6);
    assert!(matches!(Oracle::new().verify(model, 0..=2, 1e-9), Err(CheckError::Graph(GraphError::Order { .. }))));
}

#[test]
fn replays_along_plates_are_exact() {
    let inner = Flip { plate: SamplePlate::New(2) };
    for outer in [SamplePlate::Single, SamplePlate::New(2)] {
        let model = |graph: &Graph<'_, f64>| {
            let (p, q) = (graph.param("p", 0.3)?, graph.param("q", 0.2)?);
            let x = graph.sample("x", &Bernoulli::from_probabilities(p), &Flip { plate: outer })?;
            let y = graph.sample("y", &Bernoulli::from_probabilities(q + 0.5 * x * p), &inner)?;
            graph.cost("cost", (x - 2.0 * y).square() + p * y)
        };
        Oracle::new().verify(model, 0..=1, 1e-9).expect("exact");
    }
}

#[test]
fn enumeration_below_a_score_function_is_exact() {
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", 0.3)?;
        let u = graph.sample("u", &Bernoulli::from_logits(t), &Score::leave_one_out(2))?;
        let v = graph.sample("v", &Bernoulli::from_logits(1.5 * u - t), &Enumerate)?;
        graph.cost("cost", (v + 1.0).square())
    };
    let report = Oracle::new().verify(model, 0..=3, 1e-9).expect("exact");
    assert_eq!(report.outcomes(), 4);
}

/// Bits along a summed plate, with logits 0.3 and −0.8.
fn steps<'t>(graph: &Graph<'t, f64>, method: &Score) -> GraphResult<(Var<'t, f64>, Plate)> {
    let t = graph.param("t", [0.3, -0.8])?;
    let steps = graph.plate("steps", 2)?;
    graph.set_reduction(steps, Reduction::Sum)?;
    Ok((graph.sample("x", &Bernoulli::from_logits(t.event_to_plate(steps)), method)?, steps))
}

/// The probabilities of the bits of [`steps`], and their derivatives with respect to the logits.
fn step_probabilities() -> [(f64, f64); 2] {
    [0.3_f64, -0.8].map(|logit| 1.0 / (1.0 + (-logit).exp())).map(|p| (p, p * (1.0 - p)))
}

#[test]
fn a_summed_plate_that_a_cost_lacks_multiplies_nothing() {
    let method = Score { plate: SamplePlate::New(2), ..Score::plain() };
    let model = |graph: &Graph<'_, f64>| {
        let (x, steps) = steps(graph, &method)?;
        graph.cost("square of the sum", (x.sum_over(steps) - 0.7).square())
    };
    let [(p, dp), (q, dq)] = step_probabilities();
    // E (x + y − 0.7)² = 0.49 − 0.4 (p + q) + 2 p q.
    assert_abs_diff_eq!(
        Oracle::new().exact_cost(model).expect("two bits"),
        0.49 - 0.4 * (p + q) + 2.0 * p * q,
        epsilon = 1e-12
    );
    let gradient = Oracle::new().exact_gradient(model).expect("two bits");
    assert_abs_diff_eq!(gradient[0].1.as_slice()[0], dp * (2.0 * q - 0.4), epsilon = 1e-12);
    assert_abs_diff_eq!(gradient[0].1.as_slice()[1], dq * (2.0 * p - 0.4), epsilon = 1e-12);
    Oracle::new().verify(model, 0..=1, 1e-9).expect("exact");
}

#[test]
fn a_sum_beside_a_value_that_keeps_the_plate_counts_once_for_each_member() {
    for samples in [SamplePlate::Single, SamplePlate::New(2)] {
        let method = Score { plate: samples, ..Score::plain() };
        let model = |graph: &Graph<'_, f64>| {
            let (x, steps) = steps(graph, &method)?;
            graph.cost("own and all", x * 2.0 + x.sum_over(steps))
        };
        let [(p, dp), (q, dq)] = step_probabilities();
        assert_abs_diff_eq!(Oracle::new().exact_cost(model).expect("two bits"), 4.0 * (p + q), epsilon = 1e-12);
        let gradient = Oracle::new().exact_gradient(model).expect("two bits");
        assert_abs_diff_eq!(gradient[0].1.as_slice()[0], 4.0 * dp, epsilon = 1e-12);
        assert_abs_diff_eq!(gradient[0].1.as_slice()[1], 4.0 * dq, epsilon = 1e-12);
        Oracle::new().verify(model, 0..=1, 1e-9).expect("exact");
    }
}
