use super::*;
use crate::score_function::ScoreFunction;
use crate::score_function::baseline::Constant;
use crate::score_function::baseline::ControlFunction;
use crate::score_function::baseline::DeltaMethod;
use crate::score_function::baseline::LeaveOneOut;
use crate::score_function::baseline::MuProp;
use crate::score_function::baseline::Nvil;
use crate::testing::models::{self, BitMethod};
use stochgrad_check::{CheckError, Oracle};
use stochgrad_distributions::{Bernoulli, Normal};
use stochgrad_graph::{Gradients, Graph, GraphError, Method, Seed};
use stochgrad_tape::Tape;

type Linear = LinearControlVariates<f64>;

fn method(samples: usize, controls: Linear) -> BitMethod {
    Arc::new(ScoreFunction::new().samples(samples).baseline(controls))
}

/// The coefficient of the score, fitted to all members including the member itself.
#[derive(Clone)]
struct InSample;

impl Memory for InSample {
    fn name(&self) -> Option<String> {
        Some("in-sample".into())
    }

    fn by_member(&self) -> bool {
        true
    }
}

impl Baseline<f64> for InSample {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, f64>,
        distribution: &dyn Distribution<'t, f64>,
    ) -> GraphResult<Baselines<'t, f64>> {
        let score = member_scores(context, distribution)?[0].1;
        Ok(Baselines::new(context.totals()?.into_iter().map(|cost| {
            let fitted = sum_over_plates(score.square() * cost.value) / sum_over_plates(score.square());
            (cost, fitted)
        })))
    }
}

#[test]
fn cross_fitted_coefficients_are_exact_at_every_order_and_in_sample_ones_are_not() {
    let one = || Linear::cross_fitted().with(Constant(1.0));
    let two = || one().with(MuProp::new());
    models::assert_exact([&method(2, two()), &method(1, one()), &method(1, two())], 2, false);
    for controls in [one(), two(), two().ridge(0.0).with(DeltaMethod::new()).ridge(0.1)] {
        let method = method(3, controls);
        Oracle::new()
            .verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &method), 0..=2, 1e-9)
            .unwrap();
        models::assert_compiled(&method);
    }
    let wrong: BitMethod = Arc::new(ScoreFunction::new().samples(3).baseline(InSample));
    let error =
        Oracle::new().verify(|graph: &Graph<'_, f64>| models::chain(graph, &wrong, &wrong), 0..=1, 1e-9).unwrap_err();
    assert!(matches!(error, CheckError::Expectation { order: 1, .. }), "{error}");
}

#[test]
fn coefficients_from_past_steps_are_exact_at_every_order() {
    let past = || Linear::from_past(0.8).with(Constant(1.0)).with(MuProp::new()).with(LeaveOneOut);
    let two = method(2, past());
    for step in 0..4 {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(4).step(step));
        models::importance_weighted(&graph, &two).unwrap();
        let before = two.state();
        let gradients = graph.backward().unwrap();
        assert_eq!(two.state(), before);
        gradients.advance();
        assert_ne!(two.state(), before);
    }
    Oracle::new().verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &two), 0..=2, 1e-9).unwrap();
    let one = method(1, Linear::from_past(0.5).with(Constant(1.0)));
    models::assert_exact([&one, &one, &two], 2, false);
    models::assert_compiled(&method(2, past()));
    let other = method(2, past());
    other.load_state(&two.state()).unwrap();
    assert_eq!(other.state(), two.state());
    let mut wrong = two.state();
    wrong.insert("fit: y / matrix".into(), vec![1.0]);
    assert!(matches!(other.load_state(&wrong), Err(GraphError::State { .. })));
}

#[test]
fn a_state_that_is_refused_changes_nothing() {
    let controls = || Linear::from_past(0.8).with(Nvil::new().hidden(2)).with(Constant(1.0));
    let (trained, fresh) = (method(2, controls()), method(2, controls()));
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(4));
    models::importance_weighted(&graph, &trained).unwrap();
    graph.backward().unwrap().advance();
    let state = trained.state();
    let before = fresh.state();
    for broken in ["y", "fit: y / matrix", "control 1: y"] {
        let mut wrong = state.clone();
        wrong.insert(broken.into(), vec![1.0, 0.5]);
        assert!(matches!(fresh.load_state(&wrong), Err(GraphError::State { .. })), "{broken}");
        assert_eq!(fresh.state(), before, "{broken}");
    }
    fresh.load_state(&state).unwrap();
    assert_eq!(fresh.state(), state);
}

#[test]
fn the_score_alone_has_the_optimal_baseline_as_its_coefficient() {
    for a in [-2.0_f64, 0.5] {
        let controls = Linear::from_past(0.9).with(Constant(1.0)).ridge(0.0);
        let a2 = a * a;
        // E[s²] = 1 and E[f s²] = a² + 3 with respect to the location.
        let fit = [("matrix", 1.0), ("right side", a2 + 3.0), ("weight", 0.5)];
        controls.load_state(&fit.map(|(part, x)| (format!("fit: x / {part}"), vec![x])).into()).unwrap();
        let method = ScoreFunction::new().baseline(controls);
        let model = |graph: &Graph<'_, f64>| {
            let mu = graph.param("mu", 1.0)?;
            let x = graph.sample("x", &Normal::new(mu, 1.0), &method)?;
            graph.cost("cost", (x - (1.0 - a)).square())
        };
        let variance = Oracle::new().gradient(model).unwrap().variance("mu").unwrap().item().unwrap();
        let expected = 8.0 * a2 + 6.0;
        assert!((variance - expected).abs() < 1e-8 * expected, "{variance}, not {expected}");
    }
}

#[test]
fn coefficients_find_what_the_cost_is_made_of() {
    let square = || {
        ControlFunction::new("x²", |x: Var<'_, f64>, distribution: &dyn Distribution<'_, f64>| {
            let parameters = distribution.parameters();
            let (location, scale) = (parameters[0].var, parameters[1].var);
            Ok((x.square(), location.square() + scale.square()))
        })
    };
    let linear = || {
        ControlFunction::new("x", |x: Var<'_, f64>, distribution: &dyn Distribution<'_, f64>| {
            Ok((x, distribution.parameters()[0].var))
        })
    };
    let all = |fit: Linear| fit.with(Constant(1.0)).with(square()).with(linear());
    fn gradient<B: Baseline<f64> + Clone + 'static>(baseline: &B, step: usize) -> Gradients<f64> {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(4).step(step));
        let (location, scale) = (graph.param("location", 0.4).unwrap(), graph.param("scale", 0.9).unwrap());
        let method = ScoreFunction::new().samples(20).baseline(baseline.clone());
        let x = graph.sample("x", &Normal::new(location, scale), &method).unwrap();
        graph.cost("cost", (x * 3.0 - 1.0).square()).unwrap();
        graph.backward().unwrap()
    }
    // E = (3μ − 1)² + 9σ².
    let error = |gradients: &Gradients<f64>| {
        let number = |name: &str| gradients.get(name).unwrap().item().unwrap();
        (number("location") - 6.0 * (3.0 * 0.4 - 1.0)).powi(2) + (number("scale") - 18.0 * 0.9).powi(2)
    };
    let plain: f64 = (0..100).map(|step| error(&gradient(&LeaveOneOut, step))).sum();
    for (fit, factor) in [(Linear::cross_fitted(), 0.7), (Linear::from_past(0.98), 0.2)] {
        let controls = all(fit);
        (0..200).for_each(|step| gradient(&controls, 1000 + step).advance());
        let found: f64 = (0..100).map(|step| error(&gradient(&controls, step))).sum();
        assert!(found < factor * plain, "{:?}: {found}, {plain} by leave-one-out", controls.name());
    }
}

#[test]
fn what_sees_other_members_cannot_be_cross_fitted() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(3));
    let bit = Bernoulli::from_logits(graph.param("t", 0.3).unwrap());
    let sample = |name: &str, controls: Linear| {
        graph.sample(name, &bit, &ScoreFunction::new().samples(3).baseline(controls)).map(|_| ())
    };
    let error = sample("a", Linear::cross_fitted().with(LeaveOneOut)).unwrap_err().to_string();
    assert!(error.contains("from_past"), "{error}");
    sample("b", Linear::from_past(0.9).with(LeaveOneOut)).unwrap();
    sample("c", Linear::cross_fitted().with(Nvil::new())).unwrap();
    assert!(sample("d", Linear::cross_fitted()).is_err());
    assert!(sample("e", Linear::cross_fitted().with(Constant(1.0)).ridge(-1.0)).is_err());
    assert!(sample("f", Linear::from_past(1.0).with(Constant(1.0))).is_err());
    assert!(Linear::cross_fitted().with(MuProp::new()).name().is_some_and(|name| name == "MuProp cross-fitted"));
}

#[test]
fn singular_systems_have_a_solution() {
    let tape = Tape::<f64>::new();
    let matrix = tape.constant([[2.0, 0.0, 2.0], [0.0, 0.0, 0.0], [2.0, 0.0, 2.0]]);
    let solution = solved(matrix, tape.constant([4.0, 0.0, 4.0])).unwrap();
    assert_eq!(solution.peek().unwrap().as_slice(), [2.0, 0.0, 0.0]);
    let nothing = solved(matrix * 0.0, tape.constant([0.0, 0.0, 0.0])).unwrap();
    assert_eq!(nothing.peek().unwrap().as_slice(), [0.0, 0.0, 0.0]);
    let matrix = tape.constant([[4.0, 1.0, 0.5], [1.0, 3.0, -1.0], [0.5, -1.0, 2.0]]);
    let found = solved(matrix, tape.constant([7.5, 4.0, 4.5])).unwrap().peek().unwrap();
    for (found, expected) in found.as_slice().iter().zip([1.0, 2.0, 3.0]) {
        assert!((found - expected).abs() < 1e-14, "{found}");
    }
}
