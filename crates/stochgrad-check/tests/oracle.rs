//! The exact oracle on cases with known answers.

mod methods;

use methods::{Baseline, Enumerate, Flip, Pathwise, Score, number};
use std::cell::Cell;
use std::time::Duration;
use stochgrad_check::models::{self, CHAIN_OF_BITS};
use stochgrad_check::{CheckError, CheckResult, Oracle};
use stochgrad_distributions::{Bernoulli, Exponential, Gamma, NoiseKey, NoiseLayout, Normal, Uniform};
use stochgrad_graph::{GradientMethod, Graph, GraphError, GraphResult, Reduction, SamplePlate};
use stochgrad_tape::{Id, Plate, Var};

fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "expected {expected}, found {found}");
}

/// The method's type for bits.
trait ForBits: GradientMethod<f64, Bernoulli<Id>> + Clone + 'static {}

impl<M: GradientMethod<f64, Bernoulli<Id>> + Clone + 'static> ForBits for M {}

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
            close(*found, expected, 1e-10);
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
        close(*found, expected, 1e-10);
    }
    let report =
        Oracle::new().verify(|graph: &Graph<'_, f64>| chain(graph, method, method), 0..=3, 1e-9).expect("exact");
    assert_eq!(report.outcomes(), 64);
}

#[test]
fn the_own_gradient_function_in_the_box_is_found_out_at_order_two() {
    let wrong = Score { own_in_box: true, ..Score::leave_one_out(2) };
    let found = chain_derivatives(&Oracle::new(), wrong, wrong).expect("a chain");
    for (found, expected) in found.iter().zip([CHAIN_OF_BITS[0], -0.122090, -1.024296, 1.268105]) {
        close(*found, expected, 1e-6);
    }
    let model = |graph: &Graph<'_, f64>| chain(graph, wrong, wrong);
    Oracle::new().verify(model, 0..=1, 1e-9).expect("orders 0 and 1 are right");
    match Oracle::new().verify(model, 0..=2, 1e-9) {
        Err(CheckError::Expectation { order: 2, .. }) => {}
        other => panic!("expected an error at order 2, found {other:?}"),
    }
}

#[test]
fn the_exact_derivatives_know_no_surrogate() {
    // Whatever the methods are, even biased ones.
    let wrong = Score::leave_one_out(2).with_baseline(Baseline::MeanOfAll);
    let model = |graph: &Graph<'_, f64>| chain(graph, wrong, wrong);
    let oracle = Oracle::new();
    close(oracle.exact_cost(model).expect("a chain"), CHAIN_OF_BITS[0], 1e-10);
    for (order, expected) in CHAIN_OF_BITS.into_iter().enumerate() {
        close(oracle.exact_derivative(model, &[("t", number(1.0))], order).expect("a chain"), expected, 1e-9);
        close(
            oracle.exact_derivative(model, &[("t", number(2.0))], order).expect("a chain"),
            expected * 2.0_f64.powi(order as i32),
            1e-9,
        );
    }
    let gradient = oracle.exact_gradient(model).expect("a chain");
    assert_eq!(gradient.len(), 1);
    close(gradient[0].1.item().expect("a number"), CHAIN_OF_BITS[1], 1e-10);
}

#[test]
fn biased_baselines_are_found_out() {
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
    close(moments.mean("p1").expect("p1").item().expect("a number"), 6.0, 1e-11);
    close(moments.mean("p2").expect("p2").item().expect("a number"), -800.0, 1e-9);
    // (10 · 0.64/0.3)² · 0.3 + (10 · 0.04/0.7)² · 0.7 − 36 is 100.76.
    close(
        moments.variance("p1").expect("p1").item().expect("a number"),
        6.4_f64.powi(2) / 0.3 + 0.4_f64.powi(2) / 0.7 - 36.0,
        1e-9,
    );
    close(moments.variance("p1").expect("p1").item().expect("a number"), 100.76, 5e-3);
    let (mean, variance) = moments.cost("small").expect("a cost");
    close(mean, 10.0 * (0.3 * 0.64 + 0.7 * 0.04), 1e-12);
    close(variance, 0.21 * 36.0, 1e-11);
    close(moments.total(), mean + 1000.0 * (0.6 * 0.01 + 0.4 * 0.81), 1e-9);
    assert!(matches!(moments.mean("p3"), Err(CheckError::Unknown { .. })));
}

#[test]
fn credit_for_everything_multiplies_the_variance() {
    // The same costs as one number: the first bit is credited with the second's cost as well.
    let model = |graph: &Graph<'_, f64>| {
        let (p1, p2) = (graph.param("p1", 0.3)?, graph.param("p2", 0.6)?);
        let x1 = graph.sample("x1", &Bernoulli::from_probabilities(p1), &Score::plain())?;
        let x2 = graph.sample("x2", &Bernoulli::from_probabilities(p2), &Score::plain())?;
        graph.cost("both", 10.0 * (x1 - 0.2).square() + 1000.0 * (x2 - 0.9).square())
    };
    let moments = Oracle::new().gradient(model).expect("two nodes");
    close(moments.mean("p1").expect("p1").item().expect("a number"), 6.0, 1e-9);
    let mut second = 0.0;
    for (x1, p1) in [(1.0_f64, 0.3), (0.0, 0.7)] {
        for (x2, p2) in [(1.0_f64, 0.6), (0.0, 0.4)] {
            let cost = 10.0 * (x1 - 0.2).powi(2) + 1000.0 * (x2 - 0.9).powi(2);
            second += p1 * p2 * (cost / p1).powi(2);
        }
    }
    let variance = moments.variance("p1").expect("p1").item().expect("a number");
    close(variance, second - 36.0, 1e-6);
    assert!(variance > 1e6, "{variance}");
}

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
            close(exact[0].1.item().expect("a number"), expected, 1e-12);
            Oracle::new().verify(model, 0..=3, 1e-9).expect("exact");
        }
    }
}

#[test]
fn a_sum_of_many_bits_is_too_much_and_says_so() {
    let model = |graph: &Graph<'_, f64>| {
        let p = graph.param("p", 0.3)?;
        let x = graph.sample("x", &Bernoulli::from_probabilities(p.broadcast_to([30])), &Score::plain())?;
        graph.cost("cost", x.sum())
    };
    match Oracle::new().max_outcomes(1000).gradient(model) {
        Err(CheckError::TooManyOutcomes { limit: 1000, covered, estimate }) => {
            assert!(covered > 0.0 && covered < 1.0);
            close(estimate / 2.0_f64.powi(30), 1.0, 1e-12);
        }
        other => panic!("expected too many outcomes, found {other:?}"),
    }
    match Oracle::new().time_limit(Duration::from_millis(20)).verify(model, 0..=1, 1e-9) {
        Err(error @ CheckError::TooLong { outcomes, covered, estimate, .. }) => {
            assert!(outcomes > 0 && covered > 0.0 && covered < 1.0, "{error}");
            close(estimate / 2.0_f64.powi(30), 1.0, 1e-12);
            assert!(error.to_string().contains("20ms"), "{error}");
        }
        other => panic!("expected too long a time, found {other:?}"),
    }
    close(Oracle::new().estimated_outcomes(model).expect("an estimate") / 2.0_f64.powi(30), 1.0, 1e-12);
}

#[test]
fn outcomes_of_uneven_numbers_of_choices_are_estimated() {
    let model = |graph: &Graph<'_, f64>| {
        let p = graph.param("p", 0.3)?;
        let x = graph.sample("x", &Bernoulli::from_probabilities(p), &Score::plain())?;
        let more = if x.item()? == 1.0 { 3 } else { 1 };
        let y = graph.sample("y", &Bernoulli::from_probabilities(p.broadcast_to([more])), &Score::plain())?;
        graph.cost("cost", x + y.sum())
    };
    let exact = Oracle::new().gradient(model).expect("ten outcomes").outcomes() as f64;
    close(exact, 10.0, 0.0);
    // A probe finds 4 or 16: 64 of them have a standard error of 0.75.
    close(Oracle::new().estimated_outcomes(model).expect("an estimate"), exact, 3.0);
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
    close(Oracle::new().exact_cost(joint).expect("a bit"), 0.3 * p, 1e-12);
}

/// (a + b) e² with e normal around b + c.
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
        close(moments.cost("cost").expect("a cost").0, 17.3458, 1e-10);
        for (name, expected) in [("a", 8.6729), ("b", -2.4071), ("c", -11.08)] {
            close(moments.mean(name).expect("a parameter").item().expect("a number"), expected, 1e-10);
        }
        close(moments.variance("c").expect("c").item().expect("a number"), variance, 5e-3);
    }
    close(oracle.derivative(score, &[("c", number(1.0))], 2).expect("order 2").mean[0], 4.0, 1e-9);
    close(oracle.exact_derivative(score, &[("c", number(1.0))], 2).expect("order 2"), 4.0, 1e-9);
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
    close(exact[0].1.item().expect("a number"), 4.0 / 3.0 + 0.5 / 0.7, 1e-11);
    close(exact[1].1.item().expect("a number"), -1.0 / 0.49, 1e-11);
    oracle.verify(model, 0..=2, 1e-9).expect("exact");
}

#[test]
fn a_replay_is_coupled_with_the_primal_draw() {
    // The second bit has parents on both sides of its interval: the flip of the first bit draws it again with the same
    // noise.
    let model = |graph: &Graph<'_, f64>| {
        let (p, q) = (graph.param("p", 0.3)?, graph.param("q", 0.2)?);
        let x = graph.sample("x", &Bernoulli::from_probabilities(p), &Flip { plate: SamplePlate::Single })?;
        let y =
            graph.sample("y", &Bernoulli::from_probabilities(q + 0.5 * x * p), &Flip { plate: SamplePlate::Single })?;
        graph.cost("cost", (x - 2.0 * y).square() + p * y)
    };
    let report = Oracle::new().verify(model, 0..=1, 1e-9).expect("exact");
    // Under common noise y may only rise with x, so that of the four pairs of y and its counterfactual three remain.
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
    close(moments.mean("t").expect("t").item().expect("a number"), 4.0 * p * (1.0 - p), 1e-12);
    close(moments.cost("one").expect("a cost").0, 5.0 * p, 1e-12);
    close(moments.total(), 5.0 * p + 1.0 - p, 1e-12);
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

#[test]
fn any_random_program_has_moments() {
    let key = NoiseKey::new("sum", None);
    let moments = Oracle::new()
        .expectation(|noise| {
            let mut x = [0.0; 3];
            noise.bernoulli(key, &NoiseLayout::flat(3), &[0.5, 0.25, 0.75], &mut x).expect("bits");
            Ok(vec![x.iter().sum(), x[0] * x[1]])
        })
        .expect("eight outcomes");
    assert_eq!(moments.outcomes, 8);
    close(moments.probability, 1.0, 1e-15);
    close(moments.mean[0], 1.5, 1e-15);
    close(moments.variance[0], 0.25 + 2.0 * 0.1875, 1e-15);
    close(moments.mean[1], 0.125, 1e-15);
}

#[test]
fn programs_that_keep_state_are_errors() {
    let calls = Cell::new(0_u32);
    let model = |graph: &Graph<'_, f64>| {
        calls.set(calls.get() + 1);
        let p = graph.param("p", 0.3)?;
        let shift = 0.1 * f64::from(calls.get() % 2);
        let x = graph.sample("x", &Bernoulli::from_probabilities(p + shift), &Score::plain())?;
        graph.cost("cost", x)
    };
    assert!(matches!(Oracle::new().gradient(model), Err(CheckError::NotDeterministic { .. })));
    let calls = Cell::new(0_u32);
    let fewer = Oracle::new().expectation(|noise| {
        calls.set(calls.get() + 1);
        let mut x = [0.0; 2];
        let count = if calls.get() == 1 { 2 } else { 0 };
        noise
            .bernoulli(NoiseKey::new("x", None), &NoiseLayout::flat(count), &[0.5; 2][..count], &mut x[..count])
            .expect("bits");
        Ok(vec![x[0]])
    });
    assert!(matches!(fewer, Err(CheckError::NotDeterministic { .. })));
}

#[test]
fn what_cannot_be_checked_is_an_error() {
    let gamma = |graph: &Graph<'_, f64>| {
        let a = graph.param("a", 2.0)?;
        let x = graph.sample("x", &Gamma::new(a, 1.0), &Score::plain())?;
        graph.cost("cost", x)
    };
    match Oracle::new().gradient(gamma) {
        Err(error @ CheckError::Noise { .. }) => assert!(error.to_string().contains("statistical test"), "{error}"),
        other => panic!("expected an error of the noise, found {other:?}"),
    }
    let infinite = |graph: &Graph<'_, f64>| {
        let p = graph.param("p", 0.3)?;
        let x = graph.sample("x", &Bernoulli::from_probabilities(p), &Score::plain())?;
        graph.cost("cost", p.sqrt() / x)
    };
    assert!(matches!(Oracle::new().exact_gradient(infinite), Err(CheckError::NotFinite { .. })));
    let late = |graph: &Graph<'_, f64>| {
        let p = graph.param("p", 0.3)?;
        let x = graph.sample("x", &Bernoulli::from_probabilities(p), &Score::plain())?;
        let cost = if x.item()? == 1.0 { x * graph.param("late", 2.0)? } else { x };
        graph.cost("cost", cost)
    };
    assert!(matches!(Oracle::new().verify(late, 0..=1, 1e-9), Err(CheckError::Runs { .. })));
    let moments = Oracle::new().gradient(late).expect("a parameter of one branch");
    close(moments.mean("late").expect("late").item().expect("a number"), 0.3, 1e-15);
    close(moments.variance("late").expect("late").item().expect("a number"), 0.21, 1e-15);
    let unknown = Oracle::new().exact_derivative(late, &[("q", number(1.0))], 1);
    assert!(matches!(unknown, Err(CheckError::Graph(GraphError::Unknown { .. }))));
}

/// Bits along a summed plate, with logits 0.3 and −0.8.
fn steps<'t>(graph: &Graph<'t, f64>, method: &impl ForBits) -> GraphResult<(Var<'t, f64>, Plate)> {
    let t = graph.param("t", [0.3, -0.8])?;
    let steps = graph.plate("steps", 2)?;
    graph.set_reduction(steps, Reduction::Sum)?;
    Ok((graph.sample("x", &Bernoulli::from_logits(t.event_to_plate(steps)), method)?, steps))
}

/// The probabilities of the bits of [`steps`], and the slopes of these by their logits.
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
    close(Oracle::new().exact_cost(model).expect("two bits"), 0.49 - 0.4 * (p + q) + 2.0 * p * q, 1e-12);
    let gradient = Oracle::new().exact_gradient(model).expect("two bits");
    close(gradient[0].1.as_slice()[0], dp * (2.0 * q - 0.4), 1e-12);
    close(gradient[0].1.as_slice()[1], dq * (2.0 * p - 0.4), 1e-12);
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
        close(Oracle::new().exact_cost(model).expect("two bits"), 4.0 * (p + q), 1e-12);
        let gradient = Oracle::new().exact_gradient(model).expect("two bits");
        close(gradient[0].1.as_slice()[0], 4.0 * dp, 1e-12);
        close(gradient[0].1.as_slice()[1], 4.0 * dq, 1e-12);
        Oracle::new().verify(model, 0..=1, 1e-9).expect("exact");
    }
}
