//! A chain of two states and two actions over three steps, whose trajectories are enumerated.

use approx::assert_abs_diff_eq;
use stochgrad_check::{GradientMoments, Oracle};
use stochgrad_distributions::{Bernoulli, Distribution};
use stochgrad_estimators::{ActionValueModel, LoggedAction, LoggedData, ScoreFunction};
use stochgrad_graph::{Bias, Graph, GraphResult, Guarantee, Order, Seed};
use stochgrad_tape::{Tape, Var, Workspace};
use stochgrad_tensor::Tensor;

const STEPS: usize = 3;
const THETA: [f64; 2] = [0.4, -0.3];
const FIRST: f64 = 0.3;
const NEXT: [[f64; 2]; 2] = [[0.2, 0.7], [0.6, 0.1]];
const REWARD: [[f64; 2]; 2] = [[1.0, -0.5], [0.0, 2.0]];
const LOGGING: [f64; 2] = [0.4, 0.7];
const MODEL: [[f64; 2]; 2] = [[1.5, 0.5], [1.0, 2.5]];
const VALUE: f64 = 1.214496284;

/// An entry of a table at a state and an action of 0 or 1.
fn entry<'t>(table: [[f64; 2]; 2], state: Var<'t, f64>, action: Var<'t, f64>) -> Var<'t, f64> {
    let row = |row: [f64; 2]| action * (row[1] - row[0]) + row[0];
    row(table[0]) * (1.0 - state) + row(table[1]) * state
}

/// The values of the actions at each step, from a model that is wrong or from the exact one.
fn action_values(is_exact: bool) -> [[[f64; 2]; 2]; STEPS] {
    let mut values = [MODEL; STEPS];
    if is_exact {
        let mut next = [0.0; 2];
        for t in (0..STEPS).rev() {
            let q = |s: usize, a: usize| REWARD[s][a] + (1.0 - NEXT[s][a]) * next[0] + NEXT[s][a] * next[1];
            values[t] = [[q(0, 0), q(0, 1)], [q(1, 0), q(1, 1)]];
            let up = |s: usize| 1.0 / (1.0 + (-THETA[s]).exp());
            next = [0, 1].map(|s| (1.0 - up(s)) * values[t][s][0] + up(s) * values[t][s][1]);
        }
    }
    values
}

/// Draws a trajectory by the logging policy, and records it as a log.
fn logged<'a, 't>(graph: &'a Graph<'t, f64>, is_exact: bool) -> GraphResult<LoggedData<'a, 't, f64>> {
    let theta = graph.param("theta", THETA)?;
    let method = ScoreFunction::new();
    let mut state = graph.sample("first", &Bernoulli::from_probabilities(graph.constant(FIRST)), &method)?;
    let mut steps = Vec::new();
    for (t, model) in action_values(is_exact).into_iter().enumerate() {
        let logging = Bernoulli::from_probabilities(state * (LOGGING[1] - LOGGING[0]) + LOGGING[0]);
        let action = graph.sample(("action", t), &logging, &method)?;
        let policy = Bernoulli::from_logits(theta.index(0, 0) * (1.0 - state) + theta.index(0, 1) * state);
        let values = graph.constant(model[0]) * (1.0 - state) + graph.constant(model[1]) * state;
        let model = ActionValueModel::of_each(&policy, action, values)?;
        // Both forms of a propensity.
        let decision = match t {
            0 => LoggedAction::new(&policy, action, logging.log_prob(action).exp()),
            _ => LoggedAction::from_log_propensity(&policy, action, logging.log_prob(action)),
        };
        steps.push(decision.reward(entry(REWARD, state, action)).model(model));
        if t + 1 < STEPS {
            let next = Bernoulli::from_probabilities(entry(NEXT, state, action));
            state = graph.sample(("state", t), &next, &method)?;
        }
    }
    LoggedData::new(graph, steps)
}

/// The sum of the rewards of a trajectory that the target policy draws.
fn on_policy(graph: &Graph<'_, f64>) -> GraphResult<()> {
    let theta = graph.param("theta", THETA)?;
    let method = ScoreFunction::new();
    let mut state = graph.sample("first", &Bernoulli::from_probabilities(graph.constant(FIRST)), &method)?;
    for t in 0..STEPS {
        let policy = Bernoulli::from_logits(theta.index(0, 0) * (1.0 - state) + theta.index(0, 1) * state);
        let action = graph.sample(("action", t), &policy, &method)?;
        graph.cost(&format!("reward {t}"), entry(REWARD, state, action))?;
        if t + 1 < STEPS {
            let next = Bernoulli::from_probabilities(entry(NEXT, state, action));
            state = graph.sample(("state", t), &next, &method)?;
        }
    }
    Ok(())
}

type Estimate = for<'a, 't> fn(&LoggedData<'a, 't, f64>) -> GraphResult<Var<'t, f64>>;

fn moments(is_exact: bool, limit: Option<f64>, estimate: Estimate) -> GradientMoments {
    let model = |graph: &Graph<'_, f64>| {
        let log = logged(graph, is_exact)?;
        let log = limit.into_iter().fold(log, LoggedData::truncated);
        graph.cost("value", estimate(&log)?)
    };
    Oracle::new().gradient(model).unwrap()
}

#[test]
fn unbiased_estimates_have_their_known_variances() {
    let cases: [(&str, bool, Estimate, f64); 4] = [
        ("inverse propensity", false, |log| log.inverse_propensity(), 1.410305197),
        ("per decision", false, |log| log.per_decision(), 1.079642357),
        ("doubly robust", false, |log| log.doubly_robust(), 1.159457974),
        ("doubly robust, exact model", true, |log| log.doubly_robust(), 0.3853710668),
    ];
    for (name, is_exact, estimate, variance) in cases {
        let moments = moments(is_exact, None, estimate);
        let (mean, found) = moments.cost("value").unwrap();
        assert!((mean - VALUE).abs() < 1e-9, "{name}: {mean}");
        assert!((found - variance).abs() < 2e-9, "{name}: {found}");
        let gradient = moments.mean("theta").unwrap().to_vec();
        assert_abs_diff_eq!(gradient[0], -0.5400613873, epsilon = 1e-9);
        assert_abs_diff_eq!(gradient[1], 0.5259411304, epsilon = 1e-9);
    }
}

#[test]
fn derivatives_of_every_order_are_those_of_the_value_of_the_target_policy() {
    let estimates: [Estimate; 3] =
        [|log| log.inverse_propensity(), |log| log.per_decision(), |log| log.doubly_robust()];
    for estimate in estimates {
        for order in 0..=3 {
            for direction in [[1.0, 0.0], [0.4, -0.7]] {
                let along = [("theta", Tensor::from(direction))];
                let expected = Oracle::new().exact_derivative(on_policy, &along, order).unwrap();
                let model = |graph: &Graph<'_, f64>| graph.cost("value", estimate(&logged(graph, false)?)?);
                let found = Oracle::new().derivative(model, &along, order).unwrap().mean[0];
                assert!((found - expected).abs() < 1e-11, "order {order}: {found}, expected {expected}");
            }
        }
        // The Hessian that is known from another computation.
        let second = |direction: [f64; 2]| {
            let model = |graph: &Graph<'_, f64>| graph.cost("value", estimate(&logged(graph, false)?)?);
            let along = [("theta", Tensor::from(direction))];
            Oracle::new().derivative(model, &along, 2).unwrap().mean[0]
        };
        let (first, other, both) = (second([1.0, 0.0]), second([0.0, 1.0]), second([1.0, 1.0]));
        assert_abs_diff_eq!(first, 0.1915380049, epsilon = 1e-9);
        assert_abs_diff_eq!(0.5 * (both - first - other), 0.0312369374, epsilon = 1e-9);
        assert_abs_diff_eq!(other, -0.00247674806, epsilon = 1e-9);
    }
}

#[test]
fn truncated_weights_have_their_known_bias_and_state_it() {
    // From a separate enumeration of all trajectories.
    let cases: [(Estimate, f64, f64); 2] = [
        (|log| log.per_decision(), 1.2292787788788984, 0.7711495072393959),
        (|log| log.inverse_propensity(), 1.2498694300523707, 0.5613958800809908),
    ];
    for (estimate, mean, variance) in cases {
        let found = moments(false, Some(1.5), estimate).cost("value").unwrap();
        assert_abs_diff_eq!(found.0, mean, epsilon = 1e-12);
        assert_abs_diff_eq!(found.1, variance, epsilon = 1e-12);
    }
    // With the exact model, truncation costs nothing.
    let robust = moments(true, Some(1.5), |log| log.doubly_robust()).cost("value").unwrap();
    assert_abs_diff_eq!(robust.0, VALUE, epsilon = 1e-9);
    assert!(robust.1 < 0.3853710668);

    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let log = logged(&graph, false).unwrap().truncated(1.5);
    graph.cost("value", log.per_decision().unwrap()).unwrap();
    let gradients = graph.backward().unwrap();
    let guarantee = gradients.guarantee("theta").unwrap();
    assert_eq!(guarantee, Guarantee { bias: Bias::Cost, order: Order::Finite(1) });
    assert!(gradients.reasons("theta").unwrap()[0].contains("importance weights are truncated at 1.5"));
}

/// The weights and the sums of rewards of all trajectories, with their probabilities.
fn trajectories() -> Vec<(f64, f64, f64)> {
    let mut found: Vec<(f64, f64, f64)> = Vec::new();
    for code in 0..1 << (2 * STEPS) {
        let bit = |at: usize| code >> at & 1;
        let (mut probability, mut weight, mut sum) = (1.0, 1.0, 0.0);
        let chance = |up: f64, bit: usize| if bit == 1 { up } else { 1.0 - up };
        for t in 0..STEPS {
            let (state, action) = (bit(t), bit(STEPS + t));
            probability *= match t {
                0 => chance(FIRST, state),
                _ => chance(NEXT[bit(t - 1)][bit(STEPS + t - 1)], state),
            };
            let (target, logging) = (1.0 / (1.0 + (-THETA[state]).exp()), LOGGING[state]);
            probability *= chance(logging, action);
            weight *= chance(target, action) / chance(logging, action);
            sum += REWARD[state][action];
        }
        match found.iter_mut().find(|(_, w, r)| (w - weight).abs() < 1e-12 && (r - sum).abs() < 1e-12) {
            Some(known) => known.0 += probability,
            None => found.push((probability, weight, sum)),
        }
    }
    found
}

#[test]
fn self_normalised_estimates_have_their_known_moments() {
    let all = trajectories();
    let mut workspace = Workspace::<f64>::new();
    for (samples, mean, variance) in [(2, 1.841877264, 1.230686559), (3, 1.680184289, 0.9653250494)] {
        // Multisets of trajectories, with the number of their orders.
        let mut sets = vec![(1.0, Vec::<usize>::new())];
        for _ in 0..samples {
            sets = sets
                .into_iter()
                .flat_map(|(probability, set)| {
                    let first = set.last().copied().unwrap_or(0);
                    let all = &all;
                    (first..all.len()).map(move |next| {
                        let set: Vec<usize> = set.iter().copied().chain([next]).collect();
                        (probability * all[next].0, set)
                    })
                })
                .collect();
        }
        let (mut first, mut second, mut total) = (0.0, 0.0, 0.0);
        for (probability, set) in sets {
            let orders = (1..=samples).product::<usize>() as f64;
            let repeated = |at: &usize| set.iter().filter(|other| *other == at).count();
            // n! / ∏ m! for the multiplicities m of the different trajectories.
            let same: f64 = set
                .iter()
                .enumerate()
                .filter(|(position, at)| set.iter().position(|other| other == *at) == Some(*position))
                .map(|(_, at)| (1..=repeated(at)).product::<usize>() as f64)
                .product();
            let graph = Graph::new(workspace.tape(), Seed::new(1));
            let on_log = |name: &str, value: &dyn Fn(usize) -> f64| {
                graph.data_named(name, "log", set.iter().map(|&at| value(at)).collect::<Vec<f64>>()).unwrap()
            };
            let decision =
                LoggedAction::from_probabilities(on_log("targets", &|at| all[at].1 / 16.0), graph.constant(1.0 / 16.0))
                    .reward(on_log("rewards", &|at| all[at].2));
            let log = LoggedData::new(&graph, [decision]).unwrap();
            let plate = graph.plate_named("log").unwrap();
            let estimate = log.self_normalized(plate).unwrap().mean_over(plate).item().unwrap();
            let per_decision = log.self_normalized_per_decision(plate).unwrap().mean_over(plate).item().unwrap();
            assert_abs_diff_eq!(estimate, per_decision, epsilon = 1e-12);
            let probability = probability * orders / same;
            total += probability;
            first += probability * estimate;
            second += probability * estimate * estimate;
        }
        assert_abs_diff_eq!(total, 1.0, epsilon = 1e-12);
        assert_abs_diff_eq!(first, mean, epsilon = 2e-9);
        assert_abs_diff_eq!(second - first * first, variance, epsilon = 2e-9);
    }
}

/// Records a table with a row for each step.
type Column<'a, 't> = dyn Fn(&str, [[f64; 3]; 2]) -> GraphResult<Var<'t, f64>> + 'a;

/// Two steps of three episodes of which the second ends after one step, on plate "log", as a loop or along a plate.
fn episodes<'t>(graph: &Graph<'t, f64>, along_plate: bool, discount: f64) -> GraphResult<Vec<f64>> {
    let slope = graph.param("slope", 0.7)?;
    let states = [[0.3, -0.2, 0.9], [0.1, 0.4, -0.6]];
    let actions = [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]];
    let propensities = [[0.6, 0.5, 0.7], [0.5, f64::NAN, 0.3]];
    let rewards = [[0.2, 1.0, 0.5], [1.0, f64::INFINITY, 0.2]];
    let running = [[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]];
    let model = [[0.4, 0.9, 0.1], [0.8, 0.3, -0.2]];
    let decision = |on_log: &Column<'_, 't>| -> GraphResult<_> {
        let policy = Bernoulli::from_logits(on_log("states", states)? * slope);
        let (action, base) = (on_log("actions", actions)?, on_log("model", model)?);
        let values = ActionValueModel::from_function(&policy, action, |action| Ok(base + action * 0.25))?;
        let decision = LoggedAction::new(&policy, action, on_log("propensities", propensities)?);
        Ok(decision.reward(on_log("rewards", rewards)?).model(values).while_running(on_log("running", running)?))
    };
    let log = if along_plate {
        let time = graph.plate("time", 2)?;
        let transposed = |name: &str, table: [[f64; 3]; 2]| {
            let rows: Vec<[f64; 2]> = (0..3).map(|episode| [table[0][episode], table[1][episode]]).collect();
            Ok(graph.data_named(name, "log", Tensor::new(rows.concat(), [3, 2])?)?.event_to_plate(time))
        };
        LoggedData::along(graph, decision(&transposed)?, time)?
    } else {
        let mut steps = Vec::new();
        for t in 0..2 {
            steps.push(decision(&|name, table| graph.data_named(&format!("{name} {t}"), "log", table[t]))?);
        }
        LoggedData::new(graph, steps)?
    };
    let log = log.discounted(discount);
    let estimates = [log.inverse_propensity()?, log.per_decision()?, log.doubly_robust()?];
    graph.cost("total", estimates[0] + estimates[1] + estimates[2])?;
    let gradient = graph.backward()?.get("slope")?.to_vec();
    let mut values: Vec<f64> = Vec::new();
    for estimate in estimates {
        values.extend(estimate.peek()?.as_slice());
    }
    Ok(values.into_iter().chain(gradient).collect())
}

#[test]
fn episodes_of_different_lengths_are_those_of_the_recursion_and_of_a_plate_of_steps() {
    let tape = Tape::<f64>::new();
    let found = episodes(&Graph::new(&tape, Seed::new(7)), false, 0.9).unwrap();
    let other = Tape::<f64>::new();
    let along = episodes(&Graph::new(&other, Seed::new(7)), true, 0.9).unwrap();
    assert_eq!(found.len(), 10);
    for (found, along) in found.iter().zip(&along) {
        assert_abs_diff_eq!(found, along, epsilon = 1e-13);
    }
    // The second episode has one step: state −0.2, action 0, propensity 0.5, reward 1.
    let up = 1.0 / (1.0 + (0.2_f64 * 0.7).exp());
    let ratio = (1.0 - up) / 0.5;
    for estimate in [found[1], found[4]] {
        assert_abs_diff_eq!(estimate, ratio, epsilon = 1e-14);
    }
    assert_abs_diff_eq!(found[7], 0.9 + 0.25 * up + ratio * (1.0 - 0.9), epsilon = 1e-14);
    // The first one by the recursion D = v + ρ (r + γ D' − q).
    let up = |state: f64| 1.0 / (1.0 + (-state * 0.7_f64).exp());
    let last = 0.8 + 0.25 * up(0.1) + (1.0 - up(0.1)) / 0.5 * (1.0 - 0.8);
    let first = 0.4 + 0.25 * up(0.3) + up(0.3) / 0.6 * (0.2 + 0.9 * last - 0.65);
    assert_abs_diff_eq!(found[6], first, epsilon = 1e-14);
}
