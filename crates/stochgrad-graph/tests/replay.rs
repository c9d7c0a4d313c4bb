//! Counterfactual replay: changes of one element of a sample, through every node and host function below it.

mod bits;

use approx::{assert_abs_diff_eq, assert_relative_eq};
use bits::{BitMethod, LOGITS, assert_exact, expectation, method, methods};
use stochgrad_check::models::{self, Exact, FORK_OF_BITS, Model, SKIP_EDGE_OF_BITS, TWO_COSTS_OF_BITS};
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::Bernoulli;
use stochgrad_estimators::{
    BitFlip, DisArm, Enumerate, LocalExpectation, MeasureValued, ScoreFunction, StochasticDerivatives,
};
use stochgrad_graph::{Graph, GraphResult, Method, Seed};
use stochgrad_tape::Tape;

#[test]
fn replays_have_the_known_gradients_of_the_shared_models() {
    let known: [(&str, Model, Exact); 3] = [
        ("fork", models::fork, FORK_OF_BITS),
        ("skip edge", models::skip_edge, SKIP_EDGE_OF_BITS),
        ("two costs", models::two_costs, TWO_COSTS_OF_BITS),
    ];
    let replayed = [
        method(MeasureValued::new()),
        method(StochasticDerivatives::new()),
        method(LocalExpectation::new()),
        method(BitFlip::new()),
        method(DisArm::new()),
    ];
    for method in replayed {
        for (name, model, exact) in known {
            let model = |graph: &Graph<'_, f64>| model(graph, &models::bits(|_| method.clone()));
            assert_exact(&format!("{name}, {}", method.name()), model, 1);
            let (cost, gradient) = expectation(model).unwrap();
            assert_abs_diff_eq!(cost, exact.cost, epsilon = 1e-9);
            assert_abs_diff_eq!(&gradient[..], exact.gradient, epsilon = 1e-9);
        }
    }
}

#[test]
fn replays_below_an_enumerated_node_are_reduced_over_the_plates_of_its_weights() {
    let model = |graph: &Graph<'_, f64>, below: &BitMethod| {
        let t = graph.param("t", LOGITS)?;
        let rows = graph.data("rows", [0.7, -1.4, -1.1])?;
        let x = graph.sample("x", &Bernoulli::from_logits(t.index(0, 0) + rows), &Enumerate::new())?;
        let y = graph.sample("y", &Bernoulli::from_logits(t.index(0, 1) * x), below)?;
        graph.cost("cost", y * 1.5 + x * y)
    };
    for method in methods() {
        assert_exact(&method.name(), |graph: &Graph<'_, f64>| model(graph, &method), 1);
    }
}

/// Host code that branches on a sample, which is a dependence without an operation on the tape.
mod branches_of_host_code {
    use super::*;

    fn branching(graph: &Graph<'_, f64>) -> GraphResult<()> {
        let t = graph.param("t", 0.3)?;
        let b = graph.sample("b", &Bernoulli::from_logits(t), &MeasureValued::new())?;
        let cost = if b.item()? == 1.0 { 5.0 } else { 1.0 };
        graph.cost("cost", graph.constant(cost))
    }

    #[test]
    fn a_model_given_as_a_function_is_run_again() {
        let p = 1.0 / (1.0 + (-0.3_f64).exp());
        for seed in 0..4 {
            let tape = Tape::new();
            let graph = Graph::from_model(&tape, Seed::new(seed), &branching).expect("recorded");
            let gradients = graph.backward().expect("gradients");
            let gradient = gradients.get("t").expect("t").item().expect("one number");
            assert_relative_eq!(gradient, 4.0 * p * (1.0 - p), epsilon = 1e-12);
        }
    }

    #[test]
    fn members_of_a_plate_are_changed_one_at_a_time() {
        // The cost is 3 [x₁ + x₂ = 2] + x₁, and its gradient with respect to the shared logit is p (1 − p) (6 p + 1).
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", 0.3)?;
            let k = graph.plate("k", 2)?;
            let x = graph.sample("x", &Bernoulli::from_logits(t), &MeasureValued::new().on_plate(k))?;
            let both = x.sum_over(k).item()? == 2.0;
            graph.cost("cost", x.member(k, 0) + if both { 3.0 } else { 0.0 })
        };
        let p = 1.0 / (1.0 + (-0.3_f64).exp());
        let exact = p * (1.0 - p) * (6.0 * p + 1.0);
        let test = StatisticalTest::new().runs(4000).seed(7);
        let run = |step: u64| {
            let tape = Tape::new();
            let graph = Graph::from_model(&tape, Seed::new(7).step(step as usize), &model).expect("recorded");
            vec![graph.backward().expect("gradients").get("t").expect("t").item().expect("one number")]
        };
        test.check_values(run, &[exact]).expect("unbiased");
    }

    #[test]
    fn without_the_function_the_error_names_the_line() {
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(0));
        branching(&graph).expect("recorded");
        let error = graph.backward().expect_err("a branch").to_string();
        for part in ["replay of node \"b\"", "Graph::from_model", "replay.rs:"] {
            assert!(error.contains(part), "expected {part:?} in: {error}");
        }
    }

    #[test]
    fn the_score_function_needs_no_replay() {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", 0.3)?;
            let b = graph.sample("b", &Bernoulli::from_logits(t), &ScoreFunction::new())?;
            let cost = if b.item()? == 1.0 { 5.0 } else { 1.0 };
            graph.cost("cost", graph.constant(cost))
        };
        Oracle::new().verify(model, 0..=3, 1e-9).expect("exact");
    }

    #[test]
    fn reading_a_cost_before_the_gradient_changes_nothing() {
        let run = |read: bool| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(2));
            let t = graph.param("t", 0.3).expect("a parameter");
            let b = graph.sample("b", &Bernoulli::from_logits(t), &MeasureValued::new()).expect("a bit");
            let cost = (b - 0.2).square();
            graph.cost("cost", cost).expect("a cost");
            if read {
                cost.item().expect("the value");
            }
            graph.backward().expect("gradients").get("t").expect("t").to_vec()
        };
        assert_eq!(run(false), run(true));
    }
}
