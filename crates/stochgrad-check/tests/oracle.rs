//! The exact oracle on the shared models: known derivatives, credit, and incorrect methods that it must detect.

mod methods;

use approx::assert_abs_diff_eq;
use methods::{Baseline, Score, number};
use stochgrad_check::models::{self, CHAIN_OF_BITS};
use stochgrad_check::{CheckError, CheckResult, Oracle};
use stochgrad_distributions::Bernoulli;
use stochgrad_graph::{Graph, GraphResult, SamplePlate};

/// The chain with a method for each of its nodes.
fn chain(graph: &Graph<'_, f64>, first: Score, second: Score) -> GraphResult<()> {
    models::chain(graph, &models::bits(|name| if name == "x" { first } else { second }))
}

/// The expectations of the chain's value and of three derivatives.
fn chain_derivatives(oracle: &Oracle, first: Score, second: Score) -> CheckResult<Vec<f64>> {
    let derivative = |order| {
        Ok(oracle.derivative(|graph: &Graph<'_, f64>| chain(graph, first, second), &[("t", number(1.0))], order)?.mean
            [0])
    };
    (0..=3).map(derivative).collect()
}

#[test]
fn the_chain_is_exact_with_one_sample_and_baselines() {
    let first = Score::plain().with_baseline(Baseline::OfParameter(|t| t * 0.0 + 1.5));
    // The second baseline is 2 + x1, and the logit is x1 · 0.3 + 0.35.
    let second = Score::plain().with_baseline(Baseline::OfParameter(|logit| (logit - 0.35) / 0.3 + 2.0));
    for (first, second) in
        [(Score::plain(), Score::plain()), (first, Score::plain()), (Score::plain(), second), (first, second)]
    {
        let found = chain_derivatives(&Oracle::new(), first, second).expect("a chain");
        for (found, expected) in found.iter().zip(CHAIN_OF_BITS) {
            assert_abs_diff_eq!(*found, expected, epsilon = 1e-10);
        }
        let report =
            Oracle::new().verify(|graph: &Graph<'_, f64>| chain(graph, first, second), 0..=3, 1e-9).expect("exact");
        assert_eq!(report.outcomes(), 4);
        assert_eq!(report.compared(), 1 + 3 * 4);
        assert!(report.worst().iter().all(|(_, worst)| *worst < 1e-12), "{report}");
    }
}

#[test]
fn the_chain_is_exact_with_leave_one_out_at_both_nodes() {
    let method = Score::leave_one_out(2);
    let found = chain_derivatives(&Oracle::new(), method, method).expect("a chain");
    for (found, expected) in found.iter().zip(CHAIN_OF_BITS) {
        assert_abs_diff_eq!(*found, expected, epsilon = 1e-10);
    }
    let report =
        Oracle::new().verify(|graph: &Graph<'_, f64>| chain(graph, method, method), 0..=3, 1e-9).expect("exact");
    assert_eq!(report.outcomes(), 64);
}

#[test]
fn a_control_variate_times_the_own_magic_box_is_detected_at_order_two() {
    let wrong = Score { own_in_box: true, ..Score::leave_one_out(2) };
    let found = chain_derivatives(&Oracle::new(), wrong, wrong).expect("a chain");
    for (found, expected) in found.iter().zip([CHAIN_OF_BITS[0], -0.122090, -1.024296, 1.268105]) {
        assert_abs_diff_eq!(*found, expected, epsilon = 1e-6);
    }
    let model = |graph: &Graph<'_, f64>| chain(graph, wrong, wrong);
    Oracle::new().verify(model, 0..=1, 1e-9).expect("orders 0 and 1 are right");
    match Oracle::new().verify(model, 0..=2, 1e-9) {
        Err(CheckError::Expectation { order: 2, .. }) => {}
        other => panic!("expected an error at order 2, found {other:?}"),
    }
}

#[test]
fn the_exact_derivatives_do_not_depend_on_the_methods() {
    // Even with biased methods.
    let wrong = Score::leave_one_out(2).with_baseline(Baseline::MeanOfAll);
    let model = |graph: &Graph<'_, f64>| chain(graph, wrong, wrong);
    let oracle = Oracle::new();
    assert_abs_diff_eq!(oracle.exact_cost(model).expect("a chain"), CHAIN_OF_BITS[0], epsilon = 1e-10);
    for (order, expected) in CHAIN_OF_BITS.into_iter().enumerate() {
        assert_abs_diff_eq!(
            oracle.exact_derivative(model, &[("t", number(1.0))], order).expect("a chain"),
            expected,
            epsilon = 1e-9
        );
        assert_abs_diff_eq!(
            oracle.exact_derivative(model, &[("t", number(2.0))], order).expect("a chain"),
            expected * 2.0_f64.powi(order as i32),
            epsilon = 1e-9
        );
    }
    let gradient = oracle.exact_gradient(model).expect("a chain");
    assert_eq!(gradient.len(), 1);
    assert_abs_diff_eq!(gradient[0].1.item().expect("a scalar"), CHAIN_OF_BITS[1], epsilon = 1e-10);
}

#[test]
fn biased_baselines_are_detected() {
    for wrong in [
        Score::plain().with_baseline(Baseline::MovingAverage),
        Score::leave_one_out(2).with_baseline(Baseline::MeanOfAll),
    ] {
        match Oracle::new().verify(|graph: &Graph<'_, f64>| chain(graph, wrong, Score::plain()), 0..=1, 1e-9) {
            Err(error @ CheckError::Expectation { order: 1, .. }) => {
                assert!(error.to_string().contains("order 1"), "{error}")
            }
            other => panic!("expected an error at order 1, found {other:?}"),
        }
    }
}

/// The fork with a method for its root and one for its leaves.
fn fork(graph: &Graph<'_, f64>, root: Score, leaves: Score) -> GraphResult<()> {
    models::fork(graph, &models::bits(|name| if name == "x" { root } else { leaves }))
}

#[test]
fn a_fork_is_exact_with_leave_one_out() {
    let report = Oracle::new()
        .verify(|graph: &Graph<'_, f64>| fork(graph, Score::leave_one_out(2), Score::leave_one_out(2)), 0..=3, 1e-9)
        .expect("exact");
    assert_eq!(report.compared(), 1 + 3 * 5);
}

#[test]
fn a_fork_is_exact_with_its_leaves_on_a_shared_plate() {
    let model = |graph: &Graph<'_, f64>| {
        let plate = graph.plate("samples", 2)?;
        let leaves = Score { plate: SamplePlate::Shared(plate), ..Score::leave_one_out(2) };
        fork(graph, Score::plain(), leaves)
    };
    let report = Oracle::new().verify(model, 0..=3, 1e-9).expect("exact");
    assert_eq!(report.outcomes(), 32);
}

#[test]
fn credit_goes_to_causes_only() {
    let model = |graph: &Graph<'_, f64>| {
        let (p1, p2) = (graph.param("p1", 0.3)?, graph.param("p2", 0.6)?);
        let x1 = graph.sample("x1", &Bernoulli::from_probabilities(p1), &Score::plain())?;
        let x2 = graph.sample("x2", &Bernoulli::from_probabilities(p2), &Score::plain())?;
        graph.cost("small", 10.0 * (x1 - 0.2).square())?;
        graph.cost("large", 1000.0 * (x2 - 0.9).square())
    };
    let moments = Oracle::new().gradient(model).expect("two nodes");
    assert_eq!(moments.outcomes(), 4);
    assert_eq!(moments.parameters().collect::<Vec<_>>(), ["p1", "p2"]);
    assert_abs_diff_eq!(moments.mean("p1").expect("p1").item().expect("a scalar"), 6.0, epsilon = 1e-11);
    assert_abs_diff_eq!(moments.mean("p2").expect("p2").item().expect("a scalar"), -800.0, epsilon = 1e-9);
    // (10 · 0.64/0.3)² · 0.3 + (10 · 0.04/0.7)² · 0.7 − 36 is 100.76.
    assert_abs_diff_eq!(
        moments.variance("p1").expect("p1").item().expect("a scalar"),
        6.4_f64.powi(2) / 0.3 + 0.4_f64.powi(2) / 0.7 - 36.0,
        epsilon = 1e-9
    );
    assert_abs_diff_eq!(moments.variance("p1").expect("p1").item().expect("a scalar"), 100.76, epsilon = 5e-3);
    let (mean, variance) = moments.cost("small").expect("a cost");
    assert_abs_diff_eq!(mean, 10.0 * (0.3 * 0.64 + 0.7 * 0.04), epsilon = 1e-12);
    assert_abs_diff_eq!(variance, 0.21 * 36.0, epsilon = 1e-11);
    assert_abs_diff_eq!(moments.total(), mean + 1000.0 * (0.6 * 0.01 + 0.4 * 0.81), epsilon = 1e-9);
    assert!(matches!(moments.mean("p3"), Err(CheckError::Unknown { .. })));
}

#[test]
fn credit_with_every_cost_multiplies_the_variance() {
    // With both costs in one, the first bit is credited with the cost of the second one as well.
    let model = |graph: &Graph<'_, f64>| {
        let (p1, p2) = (graph.param("p1", 0.3)?, graph.param("p2", 0.6)?);
        let x1 = graph.sample("x1", &Bernoulli::from_probabilities(p1), &Score::plain())?;
        let x2 = graph.sample("x2", &Bernoulli::from_probabilities(p2), &Score::plain())?;
        graph.cost("both", 10.0 * (x1 - 0.2).square() + 1000.0 * (x2 - 0.9).square())
    };
    let moments = Oracle::new().gradient(model).expect("two nodes");
    assert_abs_diff_eq!(moments.mean("p1").expect("p1").item().expect("a scalar"), 6.0, epsilon = 1e-9);
    let mut second = 0.0;
    for (x1, p1) in [(1.0_f64, 0.3), (0.0, 0.7)] {
        for (x2, p2) in [(1.0_f64, 0.6), (0.0, 0.4)] {
            let cost = 10.0 * (x1 - 0.2).powi(2) + 1000.0 * (x2 - 0.9).powi(2);
            second += p1 * p2 * (cost / p1).powi(2);
        }
    }
    let variance = moments.variance("p1").expect("p1").item().expect("a scalar");
    assert_abs_diff_eq!(variance, second - 36.0, epsilon = 1e-6);
    assert!(variance > 1e6, "{variance}");
}

#[test]
fn a_branch_on_a_sample_is_a_dependence() {
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", 0.3)?;
        let b = graph.sample("b", &Bernoulli::from_logits(t), &Score::plain())?;
        if b.item()? == 1.0 { graph.cost("one", graph.constant(5.0)) } else { graph.cost("zero", graph.constant(1.0)) }
    };
    let oracle = Oracle::new();
    oracle.verify(model, 0..=2, 1e-9).expect("exact");
    let p = 1.0 / (1.0 + (-0.3_f64).exp());
    let moments = oracle.gradient(model).expect("a bit");
    assert_abs_diff_eq!(moments.mean("t").expect("t").item().expect("a scalar"), 4.0 * p * (1.0 - p), epsilon = 1e-12);
    assert_abs_diff_eq!(moments.cost("one").expect("a cost").0, 5.0 * p, epsilon = 1e-12);
    assert_abs_diff_eq!(moments.total(), 5.0 * p + 1.0 - p, epsilon = 1e-12);
}

#[test]
fn a_joint_cost_credits_all_members() {
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", 0.3)?;
        let x =
            graph.sample("x", &Bernoulli::from_logits(t), &Score { plate: SamplePlate::New(3), ..Score::plain() })?;
        let plate = graph.plate_named("x").expect("the node's plate");
        graph.cost("bound", (x * t).log_mean_exp_over(plate))
    };
    assert_eq!(Oracle::new().verify(model, 0..=3, 1e-9).expect("exact").outcomes(), 8);
}
