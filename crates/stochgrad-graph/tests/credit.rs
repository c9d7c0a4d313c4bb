//! Credit assignment: the costs, and the members of a plate, that a node is credited with.

mod bits;

use approx::{assert_abs_diff_eq, assert_abs_diff_ne};
use bits::{BitMethod, LOGITS, assert_exact, expectation, method, time_steps};
use stochgrad_check::{Oracle, models};
use stochgrad_distributions::Bernoulli;
use stochgrad_estimators::{Constant, LeaveOneOut, ScoreFunction, Vimco};
use stochgrad_graph::{Graph, GraphResult, Seed};
use stochgrad_tape::{Plate, Tape};

/// The exact variance of the gradient with respect to `t`.
fn variance(model: impl for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>) -> Vec<f64> {
    Oracle::new().gradient(model).unwrap().variance("t").unwrap().to_vec()
}

#[test]
fn a_leaf_is_not_credited_with_the_cost_of_another_leaf() {
    let fork = variance(|graph: &Graph<'_, f64>| models::fork(graph, &models::bits(|_| ScoreFunction::new())));
    let without_the_cost_of_one = variance(|graph: &Graph<'_, f64>| {
        let draw = models::bits(|_| ScoreFunction::new());
        let t = graph.param("t", [0.3, -0.4])?;
        let x = draw(graph, "x", t.index(0, 0))?;
        let y = draw(graph, "y", t.index(0, 0) * x - 0.2)?;
        let z = draw(graph, "z", t.index(0, 1) + x * 0.7)?;
        graph.cost("of both", (y + z * 3.0 - 1.0).square() * 0.5)
    });
    // The second element of t reaches only z, and the first one reaches y too.
    assert_abs_diff_eq!(fork[1], without_the_cost_of_one[1], epsilon = 1e-12);
    assert_abs_diff_ne!(fork[0], without_the_cost_of_one[0], epsilon = 1e-2);
}

#[test]
fn a_node_is_not_credited_with_a_cost_above_it() {
    let logistic = |logit: f64| 1.0 / (1.0 + (-logit).exp());
    let t = 0.3;
    let (mut mean, mut square) = (0.0, 0.0);
    for (x, y) in [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)] {
        let (p, q) = (logistic(t), logistic(t * x - 0.3));
        let weight = (if x == 1.0 { p } else { 1.0 - p }) * (if y == 1.0 { q } else { 1.0 - q });
        let (early, late) = ((3.0_f64 * x - 1.0).powi(2) * t, 2.0 * (y - x - 0.4_f64).powi(2));
        // Both costs are credited to x, the later one to y, and t reaches the earlier one directly.
        let gradient = (early + late) * (x - p) + late * (y - q) * x + early / t;
        mean += weight * gradient;
        square += weight * gradient * gradient;
    }
    let found = variance(|graph: &Graph<'_, f64>| models::two_costs(graph, &models::bits(|_| ScoreFunction::new())));
    assert_abs_diff_eq!(found[0], square - mean * mean, epsilon = 1e-11);
}

#[test]
fn sums_of_kept_and_reduced_terms_have_the_variance_of_separate_credit() {
    // The graph separates the reduced term from the cost and counts it twice, so each step is credited with its share.
    let model = |graph: &Graph<'_, f64>, together: bool| {
        let (steps, t) = time_steps(graph)?;
        let x = graph.sample("x", &Bernoulli::from_logits(t), &ScoreFunction::new())?;
        graph.cost("cost", if together { x * 2.0 + x.sum_over(steps) } else { x * 4.0 })
    };
    let variance = |together| {
        let moments = Oracle::new().gradient(|graph: &Graph<'_, f64>| model(graph, together)).unwrap();
        moments.variance("t").unwrap().to_vec()
    };
    for (found, expected) in variance(true).iter().zip(variance(false)) {
        assert_abs_diff_eq!(*found, expected, epsilon = 1e-12);
    }
}

#[test]
fn baselines_of_nested_reductions_leave_the_member_out_everywhere() {
    let model = |graph: &Graph<'_, f64>, method: &dyn Fn(Plate) -> BitMethod| {
        let k = graph.plate("k", 2)?;
        let t = graph.param("t", 0.3)?;
        let x = graph.sample("x", &Bernoulli::from_logits(t), &method(k))?;
        graph.cost("cost", (x - x.mean_over(k)).square().sum_over(k) * 0.5)
    };
    let methods: [&dyn Fn(Plate) -> BitMethod; 3] = [
        &|k| method(ScoreFunction::new().on_plate(k)),
        &|k| method(ScoreFunction::new().on_plate(k).baseline(Vimco::new())),
        &|k| method(ScoreFunction::new().on_plate(k).baseline(Vimco::arithmetic())),
    ];
    for method in methods {
        let (_, found) = expectation(|graph: &Graph<'_, f64>| model(graph, method)).unwrap();
        assert_abs_diff_eq!(found[0], -0.018198, epsilon = 1e-6);
    }
}

#[test]
fn a_node_below_a_reduction_leaves_no_member_out() {
    // y depends on all members of x, so a baseline for a member of x must not depend on y.
    let model = |graph: &Graph<'_, f64>| {
        let k = graph.plate("k", 2)?;
        let t = graph.param("t", LOGITS)?;
        let vimco = ScoreFunction::new().on_plate(k).baseline(Vimco::new());
        let x = graph.sample("x", &Bernoulli::from_logits(t.index(0, 0)), &vimco)?;
        let y =
            graph.sample("y", &Bernoulli::from_logits(t.index(0, 1) + x.mean_over(k) * 2.0), &ScoreFunction::new())?;
        graph.cost("cost", (x - y * 0.7).log_mean_exp_over(k) + y * t.index(0, 0))
    };
    Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
}

#[test]
fn a_node_without_a_cost_gets_exactly_zero() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let t = graph.param("t", 0.3).expect("a parameter");
    let s = graph.param("s", 0.1).expect("a parameter");
    graph.sample("unused", &Bernoulli::from_logits(t), &ScoreFunction::new()).expect("a bit");
    let used = graph.sample("used", &Bernoulli::from_logits(s), &ScoreFunction::new()).expect("a bit");
    graph.cost("cost", used * 2.0 + 1.0).expect("a cost");
    let gradients = graph.backward().expect("gradients");
    assert_eq!(gradients.get("t").expect("t").item().expect("one number"), 0.0);
    assert_ne!(gradients.get("s").expect("s").item().expect("one number"), 0.0);
}

/// Costs that keep the plate of the samples and still depend on all of them.
mod members_that_act_jointly {
    use super::*;

    fn methods() -> [BitMethod; 3] {
        let score = ScoreFunction::new().samples(2);
        [method(score), method(score.baseline(LeaveOneOut)), method(score.baseline(Constant(0.7)))]
    }

    #[test]
    fn through_an_average_within_the_cost() {
        for method in methods() {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", 0.3)?;
                let x = graph.sample("x", &Bernoulli::from_logits(t), &method)?;
                let k = graph.plate_named("x").expect("the plate");
                graph.cost("cost", (x * 2.0 + x.mean_over(k) - 0.3).square())
            };
            assert_exact(&method.name(), model, 2);
        }
    }

    #[test]
    fn through_the_parameters_of_another_node() {
        for method in methods() {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", 0.3)?;
                let x = graph.sample("x", &Bernoulli::from_logits(t), &method)?;
                let k = graph.plate_named("x").expect("the plate");
                let chance = x.mean_over(k) * 0.5 + 0.2;
                let y = graph.sample("y", &Bernoulli::from_probabilities(chance), &ScoreFunction::new())?;
                graph.cost("cost", (x * 2.0 + y - 0.3).square())
            };
            assert_exact(&method.name(), model, 2);
        }
    }

    #[test]
    fn through_host_code_that_reads_them() {
        for method in methods() {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", 0.3)?;
                let x = graph.sample("x", &Bernoulli::from_logits(t), &method)?;
                let k = graph.plate_named("x").expect("the plate");
                let both = x.sum_over(k).item()? > 1.5;
                graph.cost("cost", if both { x * 3.0 - t } else { x * t + 0.5 })
            };
            assert_exact(&method.name(), model, 2);
        }
    }
}
