//! Policy gradients of a decision process of two states and three steps, whose derivatives and variances are known.

use super::{ActionValues, Advantage, GradientCritic, StateValue, Trajectory};
use crate::score_function::ScoreFunction;
use crate::score_function::baseline::{DynBaseline, NoBaseline};
use approx::assert_abs_diff_eq;
use std::sync::Arc;
use stochgrad_check::{CheckError, GradientMoments, Oracle};
use stochgrad_distributions::{Bernoulli, Normal};
use stochgrad_graph::{Bias, Graph, GraphError, GraphResult, Guarantee, Order, Seed};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

const STEPS: usize = 3;
const THETA: [f64; 2] = [0.4, -0.3];
/// The chance of state 1 at the start, and after an action (column) in a state (row).
const START: f64 = 0.3;
const NEXT: [[f64; 2]; 2] = [[0.2, 0.7], [0.6, 0.1]];
/// The cost of an action in a state.
const COST: [[f64; 2]; 2] = [[1.0, -0.5], [0.0, 2.0]];
/// A wrong critic.
const CRITIC: [f64; 2] = [1.0, 1.5];

type Table = [[f64; 2]; 2];

/// The exact action values and state values at each step, by dynamic programming; the last state values are 0.
fn exact_values() -> ([Table; STEPS], [[f64; 2]; STEPS + 1]) {
    let (mut q, mut v) = ([[[0.0; 2]; 2]; STEPS], [[0.0; 2]; STEPS + 1]);
    for t in (0..STEPS).rev() {
        for s in 0..2 {
            for a in 0..2 {
                q[t][s][a] = COST[s][a] + (1.0 - NEXT[s][a]) * v[t + 1][0] + NEXT[s][a] * v[t + 1][1];
            }
            let chance = 1.0 / (1.0 + (-THETA[s]).exp());
            v[t][s] = (1.0 - chance) * q[t][s][0] + chance * q[t][s][1];
        }
    }
    (q, v)
}

/// The element of a pair that a bit chooses.
fn chosen<'t>(bit: Var<'t, f64>, [zero, one]: [Var<'t, f64>; 2]) -> Var<'t, f64> {
    zero + bit * (one - zero)
}

fn in_state<'t>(state: Var<'t, f64>, values: [f64; 2]) -> Var<'t, f64> {
    chosen(state, values.map(|value| state.tape().constant(value)))
}

fn in_table<'t>(state: Var<'t, f64>, action: Var<'t, f64>, table: Table) -> Var<'t, f64> {
    chosen(state, table.map(|row| in_state(action, row)))
}

/// What the actions are credited with.
#[derive(Clone, Copy, PartialEq)]
enum Credit {
    FullReturn,
    ReturnFromHere,
    MinusValue,
    ActionValue,
    ActionMinusStateValue,
    GeneralizedAdvantage([[f64; 2]; STEPS + 1]),
    AllActions,
}

impl Credit {
    fn baseline(self) -> DynBaseline<f64> {
        let (_, exact) = exact_values();
        match self {
            Credit::FullReturn | Credit::ReturnFromHere => Arc::new(NoBaseline),
            Credit::MinusValue => Arc::new(StateValue::new("value")),
            Credit::AllActions => Arc::new(ActionValues::new("action values").exact()),
            Credit::GeneralizedAdvantage(values) if values != exact => Arc::new(Advantage::new("advantage")),
            _ => Arc::new(Advantage::new("advantage").exact()),
        }
    }
}

fn process(graph: &Graph<'_, f64>, credit: Credit) -> GraphResult<()> {
    let (q, v) = exact_values();
    let method = ScoreFunction::new().baseline(credit.baseline());
    let theta = graph.param("theta", Tensor::from(THETA))?;
    let logits = [0, 1].map(|state| theta.index(0, state));
    let environment = ScoreFunction::new();
    let start = Bernoulli::from_probabilities(graph.constant(START));
    let mut state = graph.sample(("state", 0), &start, &environment)?;
    let (mut costs, mut values) = (Vec::new(), Vec::new());
    for t in 0..STEPS {
        let action = graph.sample(("action", t), &Bernoulli::from_logits(chosen(state, logits)), &method)?;
        let cost = in_table(state, action, COST);
        costs.push(cost);
        if credit != Credit::FullReturn {
            graph.cost(&format!("cost {t}"), cost)?;
        }
        match credit {
            Credit::MinusValue => graph.set_critic_value(("value", t), in_state(state, v[t]))?,
            Credit::ActionValue => graph.set_critic_value(("advantage", t), in_table(state, action, q[t]))?,
            Credit::ActionMinusStateValue => {
                let advantage = in_table(state, action, q[t]) - in_state(state, v[t]);
                graph.set_critic_value(("advantage", t), advantage)?;
            }
            Credit::AllActions => {
                let columns = [0, 1].map(|a| in_state(state, [q[t][0][a], q[t][1][a]]));
                graph.set_critic_value(("action values", t), Var::stack(&columns)?)?;
            }
            Credit::GeneralizedAdvantage(critic) => values.push(in_state(state, critic[t])),
            Credit::FullReturn | Credit::ReturnFromHere => {}
        }
        if t + 1 < STEPS {
            let next = Bernoulli::from_probabilities(in_table(state, action, NEXT));
            state = graph.sample(("state", t + 1), &next, &environment)?;
        }
    }
    if credit == Credit::FullReturn {
        graph.cost("return", costs.iter().skip(1).fold(costs[0], |sum, &cost| sum + cost))?;
    }
    if let Credit::GeneralizedAdvantage(_) = credit {
        let trajectory = Trajectory::new(Var::stack(&costs)?).values(Var::stack(&values)?, graph.constant(0.0));
        let advantages = trajectory.advantages(1.0, 0.5)?;
        for t in 0..STEPS {
            graph.set_critic_value(("advantage", t), advantages.index(0, t))?;
        }
    }
    Ok(())
}

fn moments(credit: Credit) -> GradientMoments {
    Oracle::new().gradient(|graph: &Graph<'_, f64>| process(graph, credit)).unwrap()
}

/// Known to ten digits.
fn assert_known(found: &Tensor<f64>, known: [f64; 2]) {
    for (found, known) in found.as_slice().iter().zip(known) {
        assert_abs_diff_eq!(*found, known, epsilon = 1e-9 * known.abs().max(1.0));
    }
}

const GRADIENT: [f64; 2] = [-0.5400613873, 0.5259411304];

fn exact_credits() -> [(Credit, [f64; 2]); 7] {
    let (_, v) = exact_values();
    [
        (Credit::FullReturn, [1.987445543, 1.035248291]),
        (Credit::ReturnFromHere, [0.8842026459, 0.7267499117]),
        (Credit::MinusValue, [0.4520162739, 0.2694087793]),
        (Credit::ActionValue, [0.5063179744, 0.6545470746]),
        (Credit::ActionMinusStateValue, [0.1044419266, 0.1170269076]),
        (Credit::GeneralizedAdvantage(v), [0.1979822691, 0.1375132242]),
        (Credit::AllActions, [0.05834592655, 0.1158543983]),
    ]
}

#[test]
fn value_and_derivatives_are_the_known_ones() {
    let (q, v) = exact_values();
    for (found, known) in [
        (q[0][0], [1.711048726, 0.5436238411]),
        (q[0][1], [0.9771088181, 2.644533703]),
        (v[0], [1.012125853, 1.686693956]),
    ] {
        assert_known(&Tensor::from(found), known);
    }
    let model = |graph: &Graph<'_, f64>| process(graph, Credit::ReturnFromHere);
    assert_abs_diff_eq!(Oracle::new().exact_cost(model).unwrap(), 1.214496284, epsilon = 1e-9);
    assert_known(&Oracle::new().exact_gradient(model).unwrap()[0].1, GRADIENT);
    let along =
        |direction: [f64; 2]| Oracle::new().exact_derivative(model, &[("theta", Tensor::from(direction))], 2).unwrap();
    assert_known(&Tensor::from([along([1.0, 0.0]), along([0.0, 1.0])]), [0.1915380049, -0.00247674806]);
    let mixed = (along([1.0, 1.0]) - along([1.0, -1.0])) / 4.0;
    assert_abs_diff_eq!(mixed, 0.0312369374, epsilon = 1e-9);
}

#[test]
fn exact_critics_are_exact_to_the_second_order_and_have_the_known_variances() {
    for (credit, variance) in exact_credits() {
        let found = moments(credit);
        assert_known(found.mean("theta").unwrap(), GRADIENT);
        assert_known(found.variance("theta").unwrap(), variance);
        Oracle::new().verify(|graph: &Graph<'_, f64>| process(graph, credit), 0..=2, 1e-9).unwrap();
    }
}

#[test]
fn a_wrong_critic_has_the_known_bias_and_says_so() {
    let critic = Credit::GeneralizedAdvantage([CRITIC, CRITIC, CRITIC, [0.0; 2]]);
    let found = moments(critic);
    assert_known(found.mean("theta").unwrap(), [-0.5544136707, 0.535804051]);
    assert_known(found.variance("theta").unwrap(), [0.2797981369, 0.1900234125]);
    let model = |graph: &Graph<'_, f64>| process(graph, critic);
    let error = Oracle::new().verify(model, 0..=1, 1e-9).unwrap_err();
    assert!(matches!(error, CheckError::Expectation { order: 1, .. }), "{error}");

    let guarantee = |credit: Credit| {
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(1));
        process(&graph, credit).unwrap();
        graph.backward().unwrap().guarantee("theta").unwrap()
    };
    assert_eq!(guarantee(critic), Guarantee { bias: Bias::Gradient, order: Order::Finite(1) });
    for (credit, _) in exact_credits() {
        assert_eq!(guarantee(credit), Guarantee::EXACT);
    }
}

#[test]
fn compiled_critics_give_the_bits_of_the_recorded_ones() {
    for (credit, _) in exact_credits() {
        let mut compiled = {
            let tape = Tape::new();
            let graph = Graph::new(&tape, Seed::new(9));
            process(&graph, credit).unwrap();
            graph.compile().unwrap()
        };
        for step in 0..4 {
            let tape = Tape::new();
            let graph = Graph::new(&tape, Seed::new(9).step(step));
            process(&graph, credit).unwrap();
            let recorded = graph.backward().unwrap().get("theta").unwrap().to_vec();
            compiled.set("theta", &Tensor::from(THETA)).unwrap();
            let again = compiled.run(Seed::new(9).step(step)).unwrap().get("theta").unwrap().to_vec();
            assert_eq!(again, recorded, "step {step}");
        }
    }
}

/// A sample with a path, whose cost is that of a random node downstream: Q(x) = w² x² + 1.
fn two_layers(graph: &Graph<'_, f64>, method: &GradientCritic, rows: usize, slope: f64) -> GraphResult<()> {
    let (mean, scale, weight) = (graph.param("mean", 0.4)?, graph.param("scale", 0.8)?, graph.param("w", -0.7)?);
    let rows = graph.data("rows", Tensor::from_fn([rows], |row| 1.0 - 1.5 * row as f64))?;
    let x = graph.sample("x", &Normal::new(mean * rows, scale), method)?;
    let y = graph.sample("y", &Normal::new(weight * x, 1.0), &ScoreFunction::new())?;
    graph.cost("cost", y.square())?;
    graph.set_critic_value("q", (weight * x).square() * slope)?;
    graph.set_critic_value("slope", 2.0 * weight.square() * x * slope)
}

#[test]
fn an_exact_gradient_critic_is_exact() {
    for (method, rows) in [
        (GradientCritic::new("q").exact(), 2),
        (GradientCritic::new("slope").slope().exact(), 2),
        (GradientCritic::new("q").exact().samples(2), 1),
    ] {
        let verify = |slope: f64| {
            Oracle::new().nodes(3).verify(|graph: &Graph<'_, f64>| two_layers(graph, &method, rows, slope), 0..=1, 1e-9)
        };
        verify(1.0).unwrap();
        let wrong = verify(1.1).unwrap_err();
        assert!(matches!(wrong, CheckError::Expectation { order: 1, .. }), "{wrong}");
    }
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(1));
    two_layers(&graph, &GradientCritic::new("q"), 2, 1.0).unwrap();
    let gradients = graph.backward().unwrap();
    assert_eq!(gradients.guarantee("mean").unwrap().bias, Bias::Gradient);
    assert_eq!(gradients.guarantee("w").unwrap(), Guarantee::EXACT);
}

#[test]
fn critics_that_do_not_suit_the_node_are_refused() {
    let message = |critic: &dyn for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>| {
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let mean = graph.param("mean", 0.4).unwrap() * graph.data("rows", [1.0, 2.0]).unwrap();
        let x = graph.sample("x", &Normal::new(mean, 1.0), &GradientCritic::new("q")).unwrap();
        graph.set_critic_value("q", critic(x)).unwrap();
        graph.cost("cost", x).unwrap();
        graph.backward().unwrap_err().to_string()
    };
    let step = message(&|x| x.gt(x.tape().constant(0.0)));
    assert!(step.contains("no derivative flows"), "{step}");
    let reduced = message(&|x| x.mean_over(x.plates()[0]));
    assert!(reduced.contains("plate \"rows\""), "{reduced}");

    let jointly = |baseline: DynBaseline<f64>| {
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let logits = graph.param("t", 0.4).unwrap() * graph.data("rows", [1.0, 2.0]).unwrap();
        let method = ScoreFunction::new().baseline(baseline);
        let x = graph.sample("x", &Bernoulli::from_logits(logits), &method).unwrap();
        graph.set_critic_value("q", x).unwrap();
        graph.cost("cost", x.mean_over(x.plates()[0]).square()).unwrap();
        graph.backward().unwrap_err()
    };
    let error = jointly(Arc::new(Advantage::new("q")));
    assert!(matches!(&error, GraphError::Refused { problem, .. } if problem.contains("jointly")), "{error}");
    let error = jointly(Arc::new(ActionValues::new("q")));
    assert!(matches!(&error, GraphError::Refused { problem, .. } if problem.contains("event shape [2]")), "{error}");
}
