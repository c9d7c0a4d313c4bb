//! What plates, sums over them and members that meet mean: models whose values and gradients were found by enumeration
//! by hand, under every method that applies to them.

use approx::assert_abs_diff_eq;
use std::sync::Arc;
use stochgrad::check::Oracle;
use stochgrad::check::{CheckError, CheckResult};
use stochgrad::distributions::Id;
use stochgrad::estimators::Rodeo;
use stochgrad::estimators::{BitFlip, ImportanceSampling, LocalExpectation, ReplayBudget, Reservoir, Ugc};
use stochgrad::graph::{DynMethod, GradientMethod, GraphError, GraphResult, Reduction};
use stochgrad::prelude::*;
use stochgrad::tape::Plate;

/// A gradient method for bits, chosen at run time.
type BitMethod = DynMethod<f64, Bernoulli<Id>>;

/// The logits of most models.
const LOGITS: [f64; 2] = [0.3, -0.8];

fn method(method: impl GradientMethod<f64, Bernoulli<Id>> + 'static) -> BitMethod {
    Arc::new(method)
}

/// Unbiased methods that draw one value for each member of the plates of the parameters, or several side by side.
fn methods() -> Vec<BitMethod> {
    let score = ScoreFunction::new();
    vec![
        method(score),
        method(score.samples(2)),
        method(score.samples(2).baseline(LeaveOneOut)),
        method(MeasureValued::new()),
        method(MeasureValued::new().samples(2)),
        method(StochasticDerivatives::new()),
        method(LocalExpectation::new()),
        method(LocalExpectation::new().samples(2)),
        method(DisArm::new()),
        method(DisArm::new().pairs(2)),
        method(BitFlip::new()),
        method(BitFlip::new().samples(2)),
        method(Ugc::new()),
        method(Ugc::new().pairs(2)),
        method(DoubleControlVariate::new(2)),
        method(Rodeo::new(2)),
        method(Reservoir::of(StochasticDerivatives::new())),
        method(ReplayBudget::of(StochasticDerivatives::new(), 1)),
    ]
}

/// A plate of two time steps, over which costs are summed, and logits for each of them.
fn time_steps<'t>(graph: &Graph<'t, f64>) -> GraphResult<(Plate, Var<'t, f64>)> {
    let steps = graph.plate("steps", 2)?;
    graph.set_reduction(steps, Reduction::Sum)?;
    Ok((steps, graph.param("t", LOGITS)?.event_to_plate(steps)))
}

/// The exact expectations of the total cost and of the gradient with respect to `t`.
fn expectation<M>(model: M) -> CheckResult<(f64, Vec<f64>)>
where
    M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
{
    let moments = Oracle::new().gradient(model)?;
    Ok((moments.total(), moments.mean("t")?.to_vec()))
}

/// Every method gives these expectations, or refuses the model.
fn assert_expectation<M>(methods: &[BitMethod], model: M, cost: f64, gradient: &[f64])
where
    M: for<'t> Fn(&Graph<'t, f64>, &BitMethod) -> GraphResult<()>,
{
    for method in methods {
        match expectation(|graph: &Graph<'_, f64>| model(graph, method)) {
            Ok((found_cost, found)) => {
                assert_abs_diff_eq!(found_cost, cost, epsilon = 1e-6);
                let is_near = found.iter().zip(gradient).all(|(found, expected)| (found - expected).abs() < 1e-6);
                assert!(is_near, "{}: {found:?}, expected {gradient:?}", method.name());
            }
            Err(CheckError::Graph(GraphError::Refused { .. })) => {}
            Err(error) => panic!("{}: {error}", method.name()),
        }
    }
}

/// The error of a model, recorded and differentiated once.
fn refusal(model: impl Fn(&Graph<'_, f64>) -> GraphResult<()>) -> String {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let result = model(&graph).and_then(|()| graph.backward());
    result.map(|gradients| gradients.total()).expect_err("a refusal").to_string()
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
fn sums_of_kept_and_reduced_terms_have_the_variance_of_their_own_credit() {
    // The reduced term is taken off the cost and counted twice, so that each step is credited with its own share.
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
        assert!((found[0] + 0.018198).abs() < 1e-6, "{found:?}");
    }
}

#[test]
fn a_node_below_a_reduction_leaves_no_member_out() {
    // y has seen all members of x: no baseline for a member of x may be made of it.
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
fn members_of_an_enumerated_node_may_not_meet_before_the_states_are_averaged() {
    for enumerated in [method(Enumerate::new()), method(Auto::new())] {
        let on_rows = |graph: &Graph<'_, f64>, meet: bool| {
            let t = graph.param("t", LOGITS)?;
            let rows = graph.data("rows", [0.5, -1.5])?;
            let b = graph.sample("b", &Bernoulli::from_logits(t.index(0, 0) * rows + t.index(0, 1)), &enumerated)?;
            let met = if meet { b.mean_over(rows.plates()[0]) } else { b };
            graph.cost("cost", (met - 0.3).square())
        };
        let error = refusal(|graph| on_rows(graph, true));
        assert!(error.contains("plate \"rows\"") && error.contains("semantics.rs"), "{error}");
        Oracle::new().verify(|graph: &Graph<'_, f64>| on_rows(graph, false), 0..=3, 1e-9).unwrap();

        let error = refusal(|graph| {
            let chances = graph.data("i", [0.2, 0.5, 0.7])?;
            graph.set_reduction(chances.plates()[0], Reduction::Sum)?;
            let z = graph.sample("z", &Bernoulli::from_probabilities(chances), &enumerated)?;
            graph.cost("cost", z.sum_over(chances.plates()[0]).square())
        });
        assert!(error.contains("plate \"i\""), "{error}");

        let error = refusal(|graph| {
            let chances = graph.data("i", [0.2, 0.5, 0.7])?;
            let z = graph.sample("z", &Bernoulli::from_probabilities(chances), &enumerated)?;
            let mean = z.mean_over(chances.plates()[0]);
            let y = Bernoulli::from_probabilities(mean.square() * 0.999 + 0.0005);
            let y = graph.sample("y", &y, &ScoreFunction::new())?;
            graph.cost("cost", (y - 0.0005) * (1.0 / 0.999))
        });
        assert!(error.contains("plate \"i\""), "{error}");
    }
}

#[test]
fn members_may_not_meet_below_two_enumerated_nodes_either() {
    let model = |graph: &Graph<'_, f64>, meet: bool| {
        let rows = graph.data("rows", [0.3, 0.7])?;
        let y = graph.sample("y", &Bernoulli::from_logits(rows), &Enumerate::new())?;
        let z = graph.sample("z", &Bernoulli::from_logits(y * graph.param("t", 1.0)?), &Enumerate::new())?;
        graph.cost("cost", if meet { z.mean_over(rows.plates()[0]).square() } else { z })
    };
    let error = refusal(|graph| model(graph, true));
    assert!(error.contains("plate \"rows\"") && error.contains("average over plate \"z\""), "{error}");
    Oracle::new().verify(|graph: &Graph<'_, f64>| model(graph, false), 0..=3, 1e-9).unwrap();
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
        let report = Oracle::new().verify(|graph: &Graph<'_, f64>| model(graph, &method), 0..=1, 1e-9);
        report.unwrap_or_else(|error| panic!("{}: {error}", method.name()));
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
        let report = Oracle::new().verify(|graph: &Graph<'_, f64>| model(graph, &method), 0..=1, 1e-9);
        report.unwrap_or_else(|error| panic!("{}: {error}", method.name()));
    }
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
        let is_near = found.1.iter().zip(&kept.1).all(|(found, kept)| (found - kept).abs() < 1e-12);
        assert!(is_near, "{found:?}, {kept:?}");
        Oracle::new().verify(|graph: &Graph<'_, f64>| model(graph, true), 0..=3, 1e-9).unwrap();
    }
}

#[test]
fn host_code_may_not_branch_on_enumerated_states() {
    let error = refusal(|graph| {
        let p = graph.param("t", 0.3)?;
        let bit = graph.sample("bit", &Bernoulli::from_probabilities(p), &Enumerate::new())?;
        let first = bit.value()?.as_slice()[0];
        graph.cost("cost", graph.constant(if first > 0.5 { 5.0 } else { 1.0 }))
    });
    assert!(error.contains("node \"bit\"") && error.contains("select()") && error.contains("semantics.rs"), "{error}");
    // A read after which nothing is recorded decides nothing.
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let p = graph.param("t", 0.3).unwrap();
    let bit = graph.sample("bit", &Bernoulli::from_probabilities(p), &Enumerate::new()).unwrap();
    graph.cost("cost", bit * 4.0 + 1.0).unwrap();
    assert_eq!(bit.value().unwrap().as_slice(), &[0.0, 1.0]);
    let gradients = graph.backward().unwrap();
    assert!((gradients.total() - 2.2).abs() < 1e-12 && gradients.get("t").unwrap().as_slice() == [4.0]);
}

#[test]
fn the_reduction_of_a_plate_is_fixed_by_its_first_use() {
    let error = refusal(|graph| {
        let steps = graph.plate("steps", 2)?;
        let t = graph.param("t", LOGITS)?.event_to_plate(steps);
        let x = graph.sample("x", &Bernoulli::from_logits(t), &ScoreFunction::new())?;
        graph.cost("cost", x.mean_over(steps))?;
        graph.set_reduction(steps, Reduction::Sum)
    });
    assert!(error.contains("plate \"steps\"") && error.contains("right after making it"), "{error}");
    // A cost alone fixes it as well, and asking for what holds already is no change.
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let rows = graph.data("rows", [1.0, 2.0]).unwrap();
    graph.cost("cost", rows.mean_over(rows.plates()[0])).unwrap();
    assert!(graph.set_reduction(rows.plates()[0], Reduction::Mean).is_ok());
    assert!(graph.set_reduction(rows.plates()[0], Reduction::Sum).is_err());
}

#[test]
fn weighted_samples_of_several_members_may_not_meet_either() {
    let error = refusal(|graph| {
        let rows = graph.data("rows", [0.9, 0.2])?;
        let method = ImportanceSampling::overdispersed(2.0).samples(2);
        let x = graph.sample("x", &Bernoulli::from_probabilities(rows), &method)?;
        graph.cost("cost", x.mean_over(rows.plates()[0]).square())
    });
    assert!(error.contains("plate \"rows\"") && error.contains("average over plate \"x\""), "{error}");
}

#[test]
fn outcomes_that_samples_never_show_are_refused_where_they_have_a_derivative() {
    let model = |graph: &Graph<'_, f64>, method: &BitMethod, factor: f64| {
        let p = graph.param("t", [0.0, 0.25])?;
        let x = graph.sample("x", &Bernoulli::from_probabilities(p * factor + graph.constant([0.0, 0.5])), method)?;
        graph.cost("cost", (x * graph.constant([3.0, 1.0])).sum())
    };
    let overdispersed = method(ImportanceSampling::overdispersed(2.0));
    for method in [method(ScoreFunction::new()), method(DoubleControlVariate::new(2)), overdispersed] {
        let error = refusal(|graph| model(graph, &method, 1.0));
        assert!(error.contains("probabilities of Bernoulli are 0 at position 0"), "{error}");
        // Without a derivative nothing is missing.
        let gradient = Oracle::new().gradient(|graph: &Graph<'_, f64>| model(graph, &method, 0.0)).unwrap();
        assert_eq!(gradient.mean("t").unwrap().as_slice(), &[0.0, 0.0]);
    }
    for method in [method(Enumerate::new()), method(MeasureValued::new()), method(LocalExpectation::new())] {
        let gradient = Oracle::new().gradient(|graph: &Graph<'_, f64>| model(graph, &method, 1.0)).unwrap();
        let found = gradient.mean("t").unwrap().to_vec();
        assert!((found[0] - 3.0).abs() < 1e-12 && (found[1] - 1.0).abs() < 1e-12, "{}: {found:?}", method.name());
    }
}
