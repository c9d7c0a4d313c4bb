//! What the estimators from logged data refuse.

use crate::{PROPENSITIES, REWARDS, bandit};
use stochgrad_distributions::{Categorical, KSubset, Normal, PlackettLuce};
use stochgrad_estimators::{ActionValueModel, LoggedAction, LoggedData, ScoreFunction};
use stochgrad_graph::{Graph, GraphError, GraphResult, Reduction, Seed};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

#[test]
fn propensities_that_are_none_are_refused() {
    for (propensity, found) in [(0.0, "got 0"), (-0.2, "got -0.2"), (1.2, "got 1.2"), (f64::NAN, "got NaN")] {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let message = bandit(&graph, [0.5, 0.3, propensity, 0.3], REWARDS).unwrap_err().to_string();
        assert!(message.contains("the propensity to be in (0, 1]") && message.contains(found), "{message}");
        assert!(message.contains("at position 2") && message.contains("off_policy"), "{message}");
    }
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    // Rankings and subsets have probabilities, too.
    let logits = graph.param("logits", [0.2, -0.1, 0.4]).unwrap();
    let ranking = graph.constant(Tensor::from_fn([3, 3], |at| if at % 4 == 0 { 1.0 } else { 0.0 }));
    let subset = graph.constant([1.0, 0.0, 1.0]);
    for action in [
        LoggedAction::new(&PlackettLuce::from_logits(logits), ranking, graph.constant(1.2)),
        LoggedAction::new(&KSubset::from_logits(2, logits), subset, graph.constant(1.2)),
    ] {
        let message = action.ratio(&graph).unwrap_err().to_string();
        assert!(message.contains("the propensity to be in (0, 1]"), "{message}");
    }
    let policy = Normal::new(graph.param("location", 0.0).unwrap(), 1.0);
    let actions = graph.data("log", [0.3, 0.8]).unwrap();
    let ratio = |density: f64| LoggedAction::new(&policy, actions, graph.constant(density)).ratio(&graph);
    assert!(ratio(3.0).is_ok());
    assert!(ratio(f64::INFINITY).unwrap_err().to_string().contains("(a density) to be positive and finite, got inf"));
    let log = LoggedAction::from_log_propensity(&policy, actions, graph.constant(f64::NEG_INFINITY));
    assert!(log.ratio(&graph).unwrap_err().to_string().contains("the log-propensity (of a density) to be finite"));
}

#[test]
fn logs_that_do_not_fit_are_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let policy = Categorical::from_logits(graph.param("logits", [0.2, -0.1, 0.4]).unwrap());
    let actions = graph.data_named("actions", "log", [0.0, 2.0]).unwrap();
    let rewards = graph.data_named("rewards", "log", [1.0, 0.0]).unwrap();
    let half = graph.constant(0.5);
    let message = |action| LoggedData::new(&graph, [action]).unwrap_err().to_string();
    let expect = |found: String, words: &str| assert!(found.contains(words), "{found}");

    let outside = graph.data_named("outside", "log", [0.0, 3.0]).unwrap();
    expect(
        message(LoggedAction::new(&policy, outside, half).reward(rewards)),
        "under the target policy to be finite, got -inf at position 1",
    );
    let other = graph.data_named("propensities", "another log", [0.5, 0.4]).unwrap();
    expect(
        message(LoggedAction::new(&policy, actions, other).reward(rewards)),
        "the propensity on the plates of the logged actions (plate log(2)), got plate \"another log\"",
    );
    let other = graph.data_named("other rewards", "another log", [0.5, 0.4]).unwrap();
    expect(message(LoggedAction::new(&policy, actions, half).reward(other)), "the reward on the plates");
    expect(message(LoggedAction::new(&policy, actions, half)), "a reward at step 0, got none");
    let nan = graph.data_named("nan", "log", [f64::NAN, 0.4]).unwrap();
    expect(message(LoggedAction::new(&policy, actions, half).reward(nan)), "the reward to be finite, got NaN");
    let trained = graph.param("propensity", 0.5).unwrap();
    expect(
        message(LoggedAction::new(&policy, actions, trained).reward(rewards)),
        "got some that depend on a parameter",
    );
    let drawn = graph.sample("drawn", &policy, &ScoreFunction::new()).unwrap();
    expect(message(LoggedAction::new(&policy, drawn, half).reward(half)), "samples of a node whose distribution");
    let values = ActionValueModel::of_each(&policy, actions, graph.constant([0.0, 1.0]));
    expect(values.unwrap_err().to_string(), "a value for each action, event shape [3], got [2]");
    let pairs = graph.data_named("pairs", "log", [[0.0, 1.0], [2.0, 0.0]]).unwrap();
    expect(message(LoggedAction::new(&policy, pairs, half).reward(rewards)), "of event shape [], as the target policy");
    let time = graph.plate("time", 2).unwrap();
    let along = LoggedData::along(&graph, LoggedAction::new(&policy, actions, half).reward(rewards), time);
    expect(along.unwrap_err().to_string(), "expected actions along plate \"time\" of the steps");
    let nothing: [LoggedAction<'_, f64>; 0] = [];
    expect(LoggedData::new(&graph, nothing).unwrap_err().to_string(), "at least one logged step, got none");
    let first = LoggedAction::new(&policy, actions, half).reward(rewards);
    let elsewhere = graph.data_named("elsewhere", "another log", [0.0, 1.0]).unwrap();
    let second = LoggedAction::new(&policy, elsewhere, half).reward(half);
    let error = LoggedData::new(&graph, [first.clone(), second]).unwrap_err().to_string();
    expect(error, "on the same plates, got log(2) at step 0 and another log(2) at step 1");

    let log = LoggedData::new(&graph, [first]).unwrap();
    let refused = |result: GraphResult<Var<'_, f64>>, words: &str| expect(result.unwrap_err().to_string(), words);
    refused(log.doubly_robust(), "a model of the action values at step 0, got none");
    refused(log.clone().discounted(1.5).per_decision(), "a discount in [0, 1], got 1.5");
    refused(log.clone().truncated(0.0).per_decision(), "a finite limit of the weights above 0, got 0");
    let another = graph.plate_named("another log").unwrap();
    refused(log.self_normalized(another), "expected weights along plate \"another log\"");
}

#[test]
fn self_normalised_estimates_that_mean_nothing_are_refused() {
    let message = |targets: Vec<f64>, reduction: Reduction| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let targets = graph.data_named("targets", "log", targets).unwrap();
        let plate = graph.plate_named("log").unwrap();
        graph.set_reduction(plate, reduction).unwrap();
        let decision = LoggedAction::from_probabilities(targets, graph.constant(0.5)).reward(targets);
        LoggedData::new(&graph, [decision]).unwrap().self_normalized(plate).unwrap_err().to_string()
    };
    assert!(message(vec![0.7], Reduction::Mean).contains("at least 2 samples along plate \"log\", got 1"));
    assert!(message(vec![0.0, 0.0], Reduction::Mean).contains("takes none of the logged actions"));
    assert!(message(vec![0.7, 0.2], Reduction::Sum).contains("independent samples of equal weight"));
}

#[test]
fn compiled_graphs_check_the_log_of_each_run() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let log = bandit(&graph, PROPENSITIES, REWARDS).unwrap();
    graph.cost("value", log.inverse_propensity().unwrap()).unwrap();
    let recorded = graph.backward().unwrap();
    let mut compiled = graph.compile().unwrap();
    let mut run = |propensities: [f64; 4], actions: [f64; 4]| {
        compiled.set("logits", &Tensor::from([0.2, -0.1, 0.4]))?;
        compiled.set("actions", &Tensor::from(actions))?;
        compiled.set("propensities", &Tensor::from(propensities))?;
        compiled.set("rewards", &Tensor::from(REWARDS))?;
        compiled.run(Seed::new(7)).map(|gradients| gradients.get("logits").unwrap().to_vec())
    };
    let actions = [0.0, 2.0, 1.0, 2.0];
    assert_eq!(run(PROPENSITIES, actions).unwrap(), recorded.get("logits").unwrap().to_vec());
    let error = |result: Result<Vec<f64>, GraphError>| result.unwrap_err().to_string();
    let message = error(run([0.5, 0.0, 0.2, 0.3], actions));
    assert!(message.contains("the propensity must be in (0, 1], got 0 at position 1"), "{message}");
    let message = error(run(PROPENSITIES, [0.0, 2.0, 5.0, 2.0]));
    assert!(message.contains("under the target policy must be finite, got -inf at position 2"), "{message}");
}
