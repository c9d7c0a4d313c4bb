use super::*;
use crate::score_function::baseline::{Constant, DynBaseline, FnBaseline, LeaveOneOut, MovingAverage};
use crate::testing::models::{self, BitMethod, CHAIN};
use approx::assert_abs_diff_eq;
use std::sync::Arc;
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{Bernoulli, Laplace, Normal};
use stochgrad_graph::{Graph, GraphError, Reduction, Seed};
use stochgrad_tensor::Tensor;

fn single() -> BitMethod {
    Arc::new(ScoreFunction::new())
}

fn several(samples: usize) -> BitMethod {
    Arc::new(ScoreFunction::new().samples(samples))
}

fn leave_one_out(samples: usize) -> BitMethod {
    Arc::new(ScoreFunction::new().samples(samples).baseline(LeaveOneOut))
}

fn constant(b: f64) -> BitMethod {
    Arc::new(ScoreFunction::new().baseline(Constant(b)))
}

/// 2 + x1, which the second node of the chain recovers from its own logit.
fn of_the_parent() -> BitMethod {
    let baseline = FnBaseline::new("2 + x1", |_, distribution, _| {
        Ok((distribution.parameters()[0].var - 0.35) * (1.0 / 0.3) + 2.0)
    });
    Arc::new(ScoreFunction::new().baseline(baseline))
}

fn seen_before() -> BitMethod {
    let average = MovingAverage::new(0.9);
    let state = [("x1 / cost", 0.3), ("x2 / cost", 0.8), ("x1 / early", 0.2)];
    let parts = state.into_iter().flat_map(|(key, sum)| [(key, "mean", sum / 0.4), (key, "weight", 0.4)]);
    let state = parts.map(|(key, part, x)| (format!("{key} / {part}"), vec![x])).collect();
    average.load_state(&state).unwrap();
    Arc::new(ScoreFunction::new().baseline(average))
}

#[test]
fn the_chain_is_exact_at_every_order() {
    let pairs = [
        (single(), single()),
        (constant(1.5), of_the_parent()),
        (seen_before(), seen_before()),
        (several(2), several(2)),
        (leave_one_out(2), leave_one_out(2)),
        (leave_one_out(3), single()),
    ];
    for (first, second) in pairs {
        let model = |graph: &Graph<'_, f64>| models::chain(graph, &first, &second);
        let name = models::names(&[&first, &second]);
        Oracle::new().verify(model, 0..=3, 1e-9).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (order, expected) in CHAIN.into_iter().enumerate() {
            let found = Oracle::new().derivative(model, &[("t", Tensor::scalar(1.0))], order).unwrap();
            assert!((found.mean[0] - expected).abs() < 1e-9, "{name}, order {order}: {}", found.mean[0]);
        }
    }
}

#[test]
fn forks_are_exact() {
    for (methods, top) in [
        ([single(), single(), single()], 3),
        ([constant(2.0), leave_one_out(2), constant(-1.0)], 3),
        ([leave_one_out(2), leave_one_out(2), single()], 2),
    ] {
        let [root, left, right] = &methods;
        let report =
            Oracle::new().verify(|graph: &Graph<'_, f64>| models::fork(graph, root, left, right), 0..=top, 1e-9);
        report.unwrap_or_else(|error| panic!("{}: {error}", models::names(&[root, left, right])));
    }
}

#[test]
fn leaves_of_a_fork_can_share_a_plate() {
    for root in [single(), leave_one_out(2)] {
        let model = |graph: &Graph<'_, f64>| {
            let plate = graph.plate("leaves", 2)?;
            let leaf: BitMethod = Arc::new(ScoreFunction::new().on_plate(plate).baseline(LeaveOneOut));
            models::fork(graph, &root, &leaf, &leaf)
        };
        let top = if root.sample_plate() == SamplePlate::Single { 3 } else { 1 };
        Oracle::new().verify(model, 0..=top, 1e-9).unwrap();
    }
}

#[test]
fn skip_edges_two_costs_and_data_are_exact() {
    let verify = |name: String, report: Result<_, stochgrad_check::CheckError>| {
        report.unwrap_or_else(|error| panic!("{name}: {error}"));
    };
    for methods in [
        [single(), single(), single()],
        [leave_one_out(2), constant(0.8), single()],
        [single(), leave_one_out(2), leave_one_out(2)],
    ] {
        let all = [&methods[0], &methods[1], &methods[2]];
        verify(
            models::names(&all),
            Oracle::new().verify(|graph: &Graph<'_, f64>| models::skip_edge(graph, all), 0..=3, 1e-9),
        );
    }
    for (first, second) in [(single(), single()), (leave_one_out(2), constant(1.0)), (seen_before(), leave_one_out(2))]
    {
        let name = models::names(&[&first, &second]);
        verify(
            name.clone(),
            Oracle::new().verify(|graph: &Graph<'_, f64>| models::two_costs(graph, &first, &second), 0..=2, 1e-9),
        );
    }
    // Own plates of different sizes beside each other, and a data plate outside them.
    for (first, second) in [(single(), single()), (leave_one_out(2), several(3)), (constant(0.4), leave_one_out(3))] {
        let name = models::names(&[&first, &second]);
        verify(
            name.clone(),
            Oracle::new().verify(|graph: &Graph<'_, f64>| models::on_data(graph, &first, &second), 0..=2, 1e-9),
        );
    }
}

#[test]
fn a_cost_of_all_members_jointly_is_exact() {
    for method in [single(), several(2), several(3), leave_one_out(2), leave_one_out(3)] {
        let report =
            Oracle::new().verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &method), 0..=3, 1e-9);
        report.unwrap_or_else(|error| panic!("{}: {error}", method.name()));
    }
    for baseline in [Arc::new(Constant(-0.7)) as DynBaseline<f64>, Arc::new(LeaveOneOut), Arc::new(NoBaseline)] {
        let method: BitMethod = Arc::new(ScoreFunction::new().samples(3).baseline(baseline));
        Oracle::new()
            .verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &method), 0..=2, 1e-9)
            .unwrap();
    }
}

#[test]
fn a_baseline_of_a_joint_cost_on_a_summed_plate_counts_once() {
    let gradients = |b: f64| {
        let model = move |graph: &Graph<'_, f64>| {
            let t = graph.param("t", 0.3)?;
            let times = graph.plate("times", 3)?;
            graph.set_reduction(times, Reduction::Sum)?;
            let method = ScoreFunction::new().on_plate(times).baseline(Constant(b));
            let x = graph.sample("x", &Bernoulli::from_logits(t), &method)?;
            graph.cost("total", x.sum_over(times).exp() * 0.0 + 5.0)
        };
        Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
        Oracle::new().gradient(model).unwrap().variance("t").unwrap().item().unwrap()
    };
    // A constant cost of 5 is removed by a baseline of 5, and only by that.
    assert!(gradients(5.0) < 1e-20);
    assert!(gradients(0.0) > 1.0);
}

#[test]
fn members_of_a_shared_plate_are_evaluated_together() {
    let model = |nodes: usize, members: usize| {
        move |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, -0.2, 0.6, 0.1, -0.5, 0.2, 0.4, -0.1, 0.7, 0.9])?;
            let plate = graph.plate("samples", members)?;
            let method = ScoreFunction::new().on_plate(plate).baseline(LeaveOneOut);
            let mut sum = graph.constant(-1.2);
            for node in 0..nodes {
                sum = sum
                    + graph.sample(("x", node), &Bernoulli::from_logits(t.index(0, node)), &method)?
                        * (node as f64 + 0.5);
            }
            let cost = sum.square() * 0.1;
            assert_eq!(cost.peek()?.len(), members);
            graph.cost("cost", cost)
        }
    };
    Oracle::new().verify(model(3, 2), 0..=2, 1e-9).unwrap();
    Oracle::new().verify(model(2, 4), 0..=1, 1e-9).unwrap();
    // Ten nodes: E (Σ wᵢ xᵢ − 1.2)² / 10 in closed form.
    let t = [0.3_f64, -0.2, 0.6, 0.1, -0.5, 0.2, 0.4, -0.1, 0.7, 0.9];
    let p: Vec<f64> = t.iter().map(|t| 1.0 / (1.0 + (-t).exp())).collect();
    let w = |i: usize| i as f64 + 0.5;
    let mean: f64 = p.iter().enumerate().map(|(i, p)| w(i) * p).sum::<f64>() - 1.2;
    let exact = Tensor::from_fn([10], |i| p[i] * (1.0 - p[i]) * 0.1 * w(i) * (w(i) * (1.0 - 2.0 * p[i]) + 2.0 * mean));
    StatisticalTest::new().runs(3000).check(model(10, 4), &[("t", exact)]).unwrap();
}

#[test]
fn an_average_before_the_cost_changes_nothing() {
    let moments = |averaged: bool| {
        let model = move |graph: &Graph<'_, f64>| {
            let t = graph.param("t", 0.3)?;
            let x = graph.sample("x", &Bernoulli::from_logits(t), &ScoreFunction::new().samples(6))?;
            let cost = (x - 0.2).square() * 10.0;
            graph.cost("cost", if averaged { cost.mean_over(graph.plate_named("x").unwrap()) } else { cost })
        };
        let moments = Oracle::new().gradient(model).unwrap();
        (moments.mean("t").unwrap().item().unwrap(), moments.variance("t").unwrap().item().unwrap())
    };
    let (plain, averaged) = (moments(false), moments(true));
    assert!((plain.0 - averaged.0).abs() < 1e-12 && (plain.1 - averaged.1).abs() < 1e-12, "{plain:?} {averaged:?}");
}

#[test]
fn only_costs_downstream_are_credited() {
    let model = |graph: &Graph<'_, f64>| {
        let p = graph.param("p", [0.3, 0.6])?;
        let x1 = graph.sample("x1", &Bernoulli::from_probabilities(p.index(0, 0)), &ScoreFunction::new())?;
        let x2 = graph.sample("x2", &Bernoulli::from_probabilities(p.index(0, 1)), &ScoreFunction::new())?;
        graph.cost("small", (x1 - 0.2).square() * 10.0)?;
        graph.cost("large", (x2 - 0.9).square() * 1000.0)
    };
    let moments = Oracle::new().gradient(model).unwrap();
    let (mean, variance) = (moments.mean("p").unwrap(), moments.variance("p").unwrap());
    assert!((mean.as_slice()[0] - 6.0).abs() < 1e-9 && (mean.as_slice()[1] + 800.0).abs() < 1e-9);
    assert!((variance.as_slice()[0] - 100.76).abs() < 5e-3, "{variance:?}");
}

/// The variance of the gradient of (bit − target)² with respect to the logit.
fn variance_of_one_bit(target: f64, chance: f64, method: &BitMethod) -> f64 {
    let model = |graph: &Graph<'_, f64>| {
        let logit = graph.param("logit", (chance / (1.0 - chance)).ln())?;
        let bit = graph.sample("bit", &Bernoulli::from_logits(logit), method)?;
        graph.cost("cost", (bit - target).square())
    };
    let moments = Oracle::new().gradient(model).unwrap();
    let exact = chance * (1.0 - chance) * (1.0 - 2.0 * target);
    assert_abs_diff_eq!(moments.mean("logit").unwrap().item().unwrap(), exact, epsilon = 1e-12);
    moments.variance("logit").unwrap().item().unwrap()
}

#[test]
fn the_variance_on_one_bit_is_the_known_one() {
    // Targets, chances, and the variances without a baseline, with b = E f, with the best b, and leave-one-out with
    // 2, 4, 10 samples.
    let known = [
        (0.499, 0.5, [1.562513e-2, 0.0, 0.0, 2.5e-7, 4.1667e-8, 5.5556e-9]),
        (0.499, 0.1, [5.661103e-3, 2.304e-7, 0.0, 1.476e-7, 6.30e-8, 2.376e-8]),
        (0.45, 0.5, [1.593906e-2, 0.0, 0.0, 6.25e-4, 1.04167e-4, 1.38889e-5]),
        (0.45, 0.1, [7.700063e-3, 5.76e-4, 0.0, 3.69e-4, 1.575e-4, 5.94e-5]),
    ];
    for (target, chance, variances) in known {
        let (zero, one) = (target * target, (1.0 - target) * (1.0 - target));
        let expected_cost = chance * one + (1.0 - chance) * zero;
        let best = (1.0 - chance) * one + chance * zero;
        let methods =
            [single(), constant(expected_cost), constant(best), leave_one_out(2), leave_one_out(4), leave_one_out(10)];
        for (method, expected) in methods.iter().zip(variances) {
            let found = variance_of_one_bit(target, chance, method);
            assert!(
                (found - expected).abs() < 1e-4 * expected + 1e-15,
                "{} at {target}, {chance}: {found:e}, not {expected:e}",
                method.name()
            );
        }
    }
}

#[test]
fn the_variance_on_eight_categories_is_the_known_one() {
    for (phi, known, pairs) in [
        (0.0_f64, [0.4384202, 4.65e-3, 4.65e-3], [7.275e-3, 1.9875e-3, 7.580357e-4]),
        (-4.0, [3.355677e-2, 7.126332e-4, 5.353531e-4], [3.810247e-4, 1.822763e-4, 8.996158e-5]),
    ] {
        let (above, below) = models::squared_score_on_categories(phi);
        let constants = [0.0, models::expected_cost_on_categories(phi), above / below];
        for (b, expected) in constants.into_iter().zip(known) {
            let found = models::variance_on_categories(phi, &ScoreFunction::new().baseline(Constant(b)));
            assert!((found - expected).abs() < 1e-6 * expected, "b = {b}: {found:e}, not {expected:e}");
        }
        let leave_one_out = |samples: usize| {
            models::variance_on_categories(phi, &ScoreFunction::new().samples(samples).baseline(LeaveOneOut))
        };
        let (two, four) = (leave_one_out(2), leave_one_out(4));
        // The variance of a U-statistic has two unknowns: those of two and four samples give that of eight.
        let eight = (12.0 * (6.0 * four - two) / 4.0 + two) / 28.0;
        for (found, expected) in [two, four, eight].into_iter().zip(pairs) {
            assert!((found - expected).abs() < 1e-6 * expected, "{found:e}, not {expected:e}");
        }
    }
}

#[test]
fn the_variance_on_a_gaussian_is_the_known_one() {
    let moments = |a: f64, b: f64| {
        let model = move |graph: &Graph<'_, f64>| {
            let (mu, sigma) = (graph.param("mu", 1.0)?, graph.param("sigma", 1.0)?);
            let x = graph.sample("x", &Normal::new(mu, sigma), &ScoreFunction::new().baseline(Constant(b)))?;
            graph.cost("cost", (x - (1.0 - a)).square())
        };
        let moments = Oracle::new().gradient(model).unwrap();
        let number = |tensor: &Tensor<f64>| tensor.item().unwrap();
        let mean = (number(moments.mean("mu").unwrap()), number(moments.mean("sigma").unwrap()));
        assert!((mean.0 - 2.0 * a).abs() < 1e-10 && (mean.1 - 2.0).abs() < 1e-10, "{mean:?}");
        (number(moments.variance("mu").unwrap()), number(moments.variance("sigma").unwrap()))
    };
    let near =
        |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9 * expected, "{found}, not {expected}");
    for a in [-2.0_f64, 0.0, 0.5, 3.0] {
        let (a2, a4) = (a.powi(2), a.powi(4));
        let plain = moments(a, 0.0);
        near(plain.0, a4 + 14.0 * a2 + 15.0);
        near(plain.1, 2.0 * a4 + 60.0 * a2 + 74.0);
        let expected_cost = moments(a, a2 + 1.0);
        near(expected_cost.0, 8.0 * a2 + 10.0);
        near(expected_cost.1, 40.0 * a2 + 56.0);
        near(moments(a, a2 + 3.0).0, 8.0 * a2 + 6.0);
        near(moments(a, a2 + 5.0).1, 40.0 * a2 + 24.0);
    }
}

#[test]
fn a_branch_of_host_code_is_credited() {
    let model = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", 0.3)?;
        let b = graph.sample("b", &Bernoulli::from_logits(t), &ScoreFunction::new())?;
        let cost = if b.item()? == 1.0 { 5.0 } else { 1.0 };
        graph.cost("cost", graph.constant(cost))
    };
    let p = 1.0 / (1.0 + (-0.3_f64).exp());
    let gradient = Oracle::new().gradient(model).unwrap();
    assert_abs_diff_eq!(gradient.mean("t").unwrap().item().unwrap(), 4.0 * p * (1.0 - p), epsilon = 1e-12);
}

#[test]
fn a_node_without_a_cost_downstream_has_no_gradient() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(3));
    let (t, s) = (graph.param("t", 0.3).unwrap(), graph.param("s", 0.1).unwrap());
    let method = ScoreFunction::new().samples(2).baseline(LeaveOneOut);
    graph.sample("idle", &Bernoulli::from_logits(t), &method).unwrap();
    let x = graph.sample("x", &Bernoulli::from_logits(s), &method).unwrap();
    graph.cost("cost", x).unwrap();
    assert_eq!(graph.backward().unwrap().get("t").unwrap().item(), Ok(0.0));
}

#[test]
fn a_kink_of_the_log_density_limits_the_order() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(3));
    let location = graph.param("location", 0.3).unwrap();
    let x = graph.sample("x", &Laplace::new(location, 1.0), &ScoreFunction::new()).unwrap();
    graph.cost("cost", x.square()).unwrap();
    let surrogate = graph.surrogate().unwrap();
    assert!(surrogate.directional(&[("location", Tensor::scalar(1.0))], 1).is_ok());
    let second = surrogate.directional(&[("location", Tensor::scalar(1.0))], 2);
    assert!(matches!(second, Err(GraphError::Order { asked: 2, .. })), "{second:?}");
}

#[test]
fn leave_one_out_of_one_sample_is_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(3));
    let t = graph.param("t", 0.3).unwrap();
    let one = ScoreFunction::new().baseline(LeaveOneOut);
    let error = graph.sample("x", &Bernoulli::from_logits(t), &one).unwrap_err().to_string();
    assert!(error.contains("\"x\"") && error.contains(".samples(2)"), "{error}");
    // The states of an enumerated plate share their noise: they are one draw.
    let states = graph.sample("states", &Bernoulli::from_logits(t), &crate::Enumerate::new()).unwrap();
    assert_eq!(states.plates().len(), 1);
    let along = ScoreFunction::new().on_plate(states.plates()[0]).baseline(LeaveOneOut);
    assert!(graph.sample("y", &Bernoulli::from_logits(t), &along).is_err());
}

#[test]
fn unusable_settings_are_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(3));
    let bit = Bernoulli::from_logits(graph.param("t", 0.3).unwrap());
    let error = graph.sample("x", &bit, &ScoreFunction::new().baseline(MovingAverage::new(1.0))).unwrap_err();
    assert!(error.to_string().contains("[0, 1)"), "{error}");
    assert!(graph.sample("x", &bit, &ScoreFunction::new().baseline(Constant(f64::NAN))).is_err());
    assert!(matches!(graph.sample("x", &bit, &ScoreFunction::new().samples(0)), Err(GraphError::EmptyPlate { .. })));
}

#[test]
fn the_name_says_what_matters() {
    assert_eq!(ScoreFunction::new().name(), "score function");
    assert_eq!(
        ScoreFunction::new().samples(4).baseline(LeaveOneOut).name(),
        "score function (leave-one-out, 4 samples)"
    );
}
