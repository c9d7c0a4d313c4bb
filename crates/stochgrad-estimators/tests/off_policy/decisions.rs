//! Single decisions: guarantees, gradients, and kinds of actions.

use crate::{PROPENSITIES, REWARDS, bandit};
use approx::assert_abs_diff_eq;
use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Categorical, Distribution, Laplace, OneHotCategorical};
use stochgrad_estimators::{ActionValueModel, LoggedAction, LoggedData, ScoreFunction};
use stochgrad_graph::{Bias, Graph, Guarantee, Order, Seed};
use stochgrad_tape::Tape;

#[test]
fn self_normalised_gradients_are_those_of_the_quotient_and_state_their_bias() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let log = bandit(&graph, PROPENSITIES, REWARDS).unwrap();
    let plate = graph.plate_named("log").unwrap();
    graph.cost("value", log.self_normalized(plate).unwrap()).unwrap();
    let gradients = graph.backward().unwrap();
    assert_eq!(gradients.guarantee("logits").unwrap(), Guarantee { bias: Bias::Cost, order: Order::Any });
    assert!(gradients.reasons("logits").unwrap()[0].contains("a bias of order 1/4"));

    let quotient = |logits: [f64; 3]| {
        let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let weight = |i: usize, action: usize| logits[action].exp() / total / PROPENSITIES[i];
        let weights: Vec<f64> = [0, 2, 1, 2].into_iter().enumerate().map(|(i, action)| weight(i, action)).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().zip(REWARDS).map(|(weight, reward)| weight * reward).sum::<f64>() / sum
    };
    assert_abs_diff_eq!(gradients.cost("value").unwrap(), quotient([0.2, -0.1, 0.4]), epsilon = 1e-14);
    for element in 0..3 {
        let at = |distance: f64| {
            let mut logits = [0.2, -0.1, 0.4];
            logits[element] += distance;
            quotient(logits)
        };
        let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert_abs_diff_eq!(gradients.get("logits").unwrap().as_slice()[element], expected, epsilon = 1e-9);
    }
}

#[test]
fn biased_gradients_are_those_of_the_expectation_of_the_biased_estimate() {
    // Two logged actions, which the oracle draws from the logging policy.
    let logged = |graph: &Graph<'_, f64>, is_clipped: bool| {
        let plate = graph.plate("log", 2)?;
        let policy = Bernoulli::from_logits(graph.param("logit", 0.3)?);
        let logging = Bernoulli::from_probabilities(graph.constant(0.3));
        let action = graph.sample("action", &logging, &ScoreFunction::new().on_plate(plate))?;
        let decision = LoggedAction::from_log_propensity(&policy, action, logging.log_prob(action));
        let reward = action * 1.7 - 0.4;
        graph.cost(
            "value",
            match is_clipped {
                true => decision.clipped_objective(graph, reward, 0.2)?,
                false => LoggedData::new(graph, [decision.reward(reward)])?.self_normalized(plate)?,
            },
        )
    };
    let oracle = Oracle::new();
    oracle.verify(|graph: &Graph<'_, f64>| logged(graph, false), 0..=3, 1e-11).unwrap();
    oracle.verify(|graph: &Graph<'_, f64>| logged(graph, true), 0..=1, 1e-11).unwrap();
    let error = oracle.verify(|graph: &Graph<'_, f64>| logged(graph, true), 0..=2, 1e-11).unwrap_err().to_string();
    assert!(error.contains("valid up to order 1"), "{error}");
}

#[test]
fn unbiased_estimates_are_guaranteed_at_every_order() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let log = bandit(&graph, PROPENSITIES, REWARDS).unwrap();
    graph.cost("value", log.inverse_propensity().unwrap()).unwrap();
    assert_eq!(graph.backward().unwrap().guarantee("logits").unwrap(), Guarantee::EXACT);
    let plate = graph.plate_named("log").unwrap();
    let weights = log.weights().unwrap().peek().unwrap().to_vec();
    let sum: f64 = weights.iter().sum();
    let expected = sum * sum / weights.iter().map(|weight| weight * weight).sum::<f64>();
    assert_abs_diff_eq!(log.effective_sample_size(plate).unwrap().item().unwrap(), expected, epsilon = 1e-12);
}

#[test]
fn a_kink_in_the_log_density_limits_the_order() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let policy = Laplace::new(graph.param("location", 0.3).unwrap(), graph.param("scale", 1.5).unwrap());
    let actions = graph.data_named("actions", "log", [0.1, 0.8]).unwrap();
    // Densities above 1 are propensities.
    let densities = graph.data_named("densities", "log", [1.7, 0.6]).unwrap();
    let rewards = graph.data_named("rewards", "log", [1.0, 0.3]).unwrap();
    let log = LoggedData::new(&graph, [LoggedAction::new(&policy, actions, densities).reward(rewards)]).unwrap();
    graph.cost("value", log.inverse_propensity().unwrap()).unwrap();
    let gradients = graph.backward().unwrap();
    assert_eq!(gradients.guarantee("location").unwrap(), Guarantee::unbiased(Order::Finite(1)));
    assert_eq!(gradients.guarantee("scale").unwrap(), Guarantee::EXACT);
}

#[test]
fn an_action_of_several_elements_has_the_product_of_its_probabilities() {
    let tape = Tape::<f32>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let bits = Bernoulli::from_logits(graph.param("logits", [0.0, 0.0, 0.0]).unwrap());
    let actions = graph.data_named("actions", "log", [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]).unwrap();
    let propensities = graph.data_named("propensities", "log", [0.25, 0.5]).unwrap();
    let ratio = LoggedAction::new(&bits, actions, propensities).ratio(&graph).unwrap();
    assert_eq!(ratio.peek().unwrap().to_vec(), [0.5, 0.25]);
    // One propensity for each element is refused.
    let each = graph.data_named("each", "log", [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]).unwrap();
    let message = LoggedAction::new(&bits, actions, each).ratio(&graph).unwrap_err().to_string();
    assert!(message.contains("one number for each logged sample, got event shape [3]"), "{message}");
    let values = ActionValueModel::of_each(&bits, actions, graph.constant([0.0; 8]));
    assert!(values.unwrap_err().to_string().contains("whose actions are combinations of elements"));
}

#[test]
fn one_hot_actions_are_those_of_categories() {
    let value = |one_hot: bool| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let logits = graph.param("logits", [0.2, -0.1, 0.4]).unwrap();
        let values = graph.constant([0.3, 0.7, -0.2]);
        let propensity = graph.constant(0.25);
        let rewards = graph.data_named("rewards", "log", [1.0, 0.5]).unwrap();
        let decision = if one_hot {
            let policy = OneHotCategorical::from_logits(logits);
            let actions = graph.data_named("actions", "log", [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]).unwrap();
            let model = ActionValueModel::of_each(&policy, actions, values).unwrap();
            LoggedAction::new(&policy, actions, propensity).model(model)
        } else {
            let policy = Categorical::from_logits(logits);
            let actions = graph.data_named("actions", "log", [2.0, 0.0]).unwrap();
            let model = ActionValueModel::of_each(&policy, actions, values).unwrap();
            LoggedAction::new(&policy, actions, propensity).model(model)
        };
        let log = LoggedData::new(&graph, [decision.reward(rewards)]).unwrap();
        graph.cost("value", log.doubly_robust().unwrap()).unwrap();
        let gradients = graph.backward().unwrap();
        [&[gradients.cost("value").unwrap()][..], gradients.get("logits").unwrap().as_slice()].concat()
    };
    for (one_hot, category) in value(true).into_iter().zip(value(false)) {
        assert_abs_diff_eq!(one_hot, category, epsilon = 1e-14);
    }
}

#[test]
fn clipped_objectives_have_their_values_and_slopes() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let logit = graph.param("logit", 0.3).unwrap();
    let policy = Bernoulli::from_logits(logit);
    let up = 1.0 / (1.0 + (-0.3_f64).exp());
    let actions = graph.data_named("actions", "log", [1.0; 5]).unwrap();
    // Ratios of 1, 1.5 (with both signs of the advantage) and 0.5.
    let ratios = [1.0, 1.5, 1.5, 0.5, 0.5];
    let old = graph.data_named("old", "log", ratios.map(|ratio| (up / ratio).min(1.0))).unwrap();
    let advantages = graph.data_named("advantages", "log", [0.7, 2.0, -2.0, 2.0, -2.0]).unwrap();
    let ratios = [1.0, 1.5, 1.5, up, up];
    let action = LoggedAction::new(&policy, actions, old);
    let objective = action.clipped_objective(&graph, advantages, 0.2).unwrap();
    let expected = [0.7, 2.4, -3.0, 2.0 * ratios[3], -2.0 * 0.8];
    for (found, expected) in objective.peek().unwrap().as_slice().iter().zip(expected) {
        assert_abs_diff_eq!(*found, expected, epsilon = 1e-12);
    }
    graph.cost("objective", objective).unwrap();
    let gradients = graph.backward().unwrap();
    let guarantee = Guarantee { bias: Bias::Cost, order: Order::Finite(1) };
    assert_eq!(gradients.guarantee("logit").unwrap(), guarantee);
    // A ratio has the slope ρ (1 − p) by the logit; clipped members have none.
    let slope = (0.7 * ratios[0] - 2.0 * ratios[2] + 2.0 * ratios[3]) * (1.0 - up) / 5.0;
    assert_abs_diff_eq!(gradients.get("logit").unwrap().item().unwrap(), slope, epsilon = 1e-12);
    let message = action.clipped_objective(&graph, advantages, 1.0).unwrap_err().to_string();
    assert!(message.contains("a clipping range ε in (0, 1), got 1"), "{message}");
}

#[test]
fn deterministic_policies_are_evaluated_by_their_probabilities() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let agrees = graph.data_named("agrees", "log", [1.0, 0.0, 1.0, 0.0]).unwrap();
    let rewards = graph.data_named("rewards", "log", REWARDS).unwrap();
    let decision = LoggedAction::from_probabilities(agrees, graph.constant(0.5)).reward(rewards);
    let log = LoggedData::new(&graph, [decision]).unwrap();
    assert_eq!(log.per_decision().unwrap().peek().unwrap().to_vec(), [2.0, 0.0, 1.0, 0.0]);
}
