//! The derivatives of the surrogate, on the shared models and for costs that keep or reduce plates.

mod bits;

use approx::assert_abs_diff_eq;
use bits::{BitMethod, LOGITS, assert_exact, assert_expectation, expectation, method, methods, time_steps};
use stochgrad_check::Oracle;
use stochgrad_check::models::{self, CHAIN_OF_BITS};
use stochgrad_distributions::Bernoulli;
use stochgrad_estimators::{Enumerate, LeaveOneOut, ScoreFunction};
use stochgrad_graph::{Graph, Method, Reduction};
use stochgrad_tensor::Tensor;

/// Methods whose derivatives are exact at every order.
fn methods_of_any_order() -> [BitMethod; 3] {
    let score = ScoreFunction::new();
    [method(score), method(score.samples(2).baseline(LeaveOneOut)), method(Enumerate::new())]
}

#[test]
fn the_chain_has_its_known_derivatives_up_to_order_three() {
    for first in methods_of_any_order() {
        for second in methods_of_any_order() {
            let chosen = |name: &str| if name == "x" { first.clone() } else { second.clone() };
            let model = |graph: &Graph<'_, f64>| models::chain(graph, &models::bits(chosen));
            assert_exact(&format!("{} and {}", first.name(), second.name()), model, 3);
            for (order, expected) in CHAIN_OF_BITS.into_iter().enumerate() {
                let found = Oracle::new().derivative(model, &[("t", Tensor::scalar(1.0))], order).unwrap();
                assert_abs_diff_eq!(found.mean[0], expected, epsilon = 1e-9);
            }
        }
    }
}

#[test]
fn every_shared_model_is_exact_up_to_order_two() {
    for method in methods_of_any_order() {
        for (name, model) in models::ALL {
            // The members of an enumerated node must not be combined in a cost.
            if name == "joint over data" && method.name() == Enumerate::new().name() {
                continue;
            }
            let what = format!("{name}, {}", method.name());
            assert_exact(&what, |graph: &Graph<'_, f64>| model(graph, &models::bits(|_| method.clone())), 2);
        }
    }
}

#[test]
fn a_cost_that_has_lost_a_summed_plate_counts_once() {
    let model = |graph: &Graph<'_, f64>, method: &BitMethod| {
        let (steps, t) = time_steps(graph)?;
        let x = graph.sample("x", &Bernoulli::from_logits(t), method)?;
        graph.cost("cost", (x.sum_over(steps) - 0.7).square())
    };
    assert_expectation(&methods(), model, 0.492396, &[0.053793, 0.160194]);
}

#[test]
fn a_sum_stays_in_a_cost_that_carries_its_plate() {
    let model = |graph: &Graph<'_, f64>, method: &BitMethod| {
        let (steps, t) = time_steps(graph)?;
        let x = graph.sample("x", &Bernoulli::from_logits(t), method)?;
        graph.cost("cost", x * 2.0 + x.sum_over(steps))
    };
    // Each step counts twice for itself, and once for each of the two steps.
    let p = LOGITS.map(|t| 1.0 / (1.0 + (-t).exp()));
    let gradient = p.map(|p| 4.0 * p * (1.0 - p));
    assert_expectation(&methods(), model, 3.537872, &gradient);
    assert_expectation(&[method(Enumerate::new())], model, 3.537872, &gradient);
}

#[test]
fn a_plain_reduction_of_enumerated_states_at_the_end_of_a_cost_is_taken_off() {
    for reduction in [Reduction::Mean, Reduction::Sum] {
        let model = |graph: &Graph<'_, f64>, reduce: bool| {
            let t = graph.param("t", LOGITS)?;
            let rows = graph.data("rows", [0.5, -1.5])?;
            let plate = rows.plates()[0];
            graph.set_reduction(plate, reduction)?;
            let b =
                graph.sample("b", &Bernoulli::from_logits(t.index(0, 0) * rows + t.index(0, 1)), &Enumerate::new())?;
            let each = (b * 1.5 - 0.3).square();
            let reduced = match reduction {
                Reduction::Sum => each.sum_over(plate),
                Reduction::Mean => each.mean_over(plate),
            };
            graph.cost("cost", if reduce { reduced * 2.0 + 1.0 } else { each * 2.0 })
        };
        let found = expectation(|graph: &Graph<'_, f64>| model(graph, true)).unwrap();
        let kept = expectation(|graph: &Graph<'_, f64>| model(graph, false)).unwrap();
        assert_abs_diff_eq!(found.0 - kept.0, 1.0, epsilon = 1e-12);
        assert_abs_diff_eq!(&found.1[..], &kept.1[..], epsilon = 1e-12);
        Oracle::new().verify(|graph: &Graph<'_, f64>| model(graph, true), 0..=3, 1e-9).unwrap();
    }
}

#[test]
fn changes_of_costs_are_weighted_before_the_samples_that_the_weights_carry_are_averaged() {
    let model = |graph: &Graph<'_, f64>, below: &BitMethod| {
        let t = graph.param("t", LOGITS)?;
        let x = graph.sample("x", &Bernoulli::from_logits(t.index(0, 0)), &ScoreFunction::new().samples(2))?;
        let y = graph.sample("y", &Bernoulli::from_logits(x), &Enumerate::new())?;
        let z = graph.sample("z", &Bernoulli::from_logits(y + t.index(0, 1)), below)?;
        graph.cost("cost", x * z * 2.0 - z + x)
    };
    for method in methods() {
        assert_exact(&method.name(), |graph: &Graph<'_, f64>| model(graph, &method), 1);
    }
}
