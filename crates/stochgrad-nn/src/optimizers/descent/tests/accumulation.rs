//! Tests of accumulated gradients.

use stochgrad_graph::{Graph, Seed};
use stochgrad_tape::Tape;
use stochgrad_tensor::Tensor;

use super::*;
use crate::optimizers::Average;
use crate::testing::{gradients, one_parameter, two_parameters};
use crate::training_state::TrainingState;

/// Gradients of the mean squared error of a line on some of twelve points.
fn of_points(parameters: &Parameters<f64>, points: std::ops::Range<usize>) -> Gradients<f64> {
    let x: Vec<f64> = points.map(|i| (i as f64 * 0.7).sin()).collect();
    let (tape, length) = (Tape::new(), x.len());
    let graph = Graph::new(&tape, Seed::new(7));
    let x = graph.data("points", Tensor::new(x, [length]).unwrap()).unwrap();
    let record = parameters.on(&graph);
    let line = record.param("slope").unwrap() * x + record.param("offset").unwrap();
    graph.cost("error", (line - (x * 2.0).exp()).square()).unwrap();
    graph.backward().unwrap()
}

fn line() -> Parameters<f64> {
    let mut parameters = Parameters::new();
    parameters.insert_all([("slope", Tensor::scalar(0.5)), ("offset", Tensor::scalar(-0.3))]).unwrap();
    parameters
}

fn near(first: &Parameters<f64>, second: &Parameters<f64>) -> bool {
    let item = |value: &Tensor<f64>| value.item().unwrap();
    first.iter().zip(second.iter()).all(|((_, first), (_, second))| (item(first) - item(second)).abs() < 1e-12)
}

#[test]
fn an_update_is_that_of_the_large_minibatch() {
    let make = || AdamW::<f64>::new(Schedule::linear(0.1, 0.02, 5)).average(Average::uniform());
    for minibatches in [1, 2, 3, 4, 6] {
        let (mut whole, mut optimizer) = (line(), make());
        let (mut parts, mut accumulating) = (line(), make().accumulate(minibatches));
        let size = 12 / minibatches as usize;
        for _ in 0..5 {
            let large = of_points(&whole, 0..12);
            optimizer.step(&mut whole, &large).unwrap();
            for part in 0..minibatches as usize {
                let before = parts.clone();
                let small = of_points(&parts, part * size..(part + 1) * size);
                accumulating.step(&mut parts, &small).unwrap();
                assert_eq!(parts.iter().eq(before.iter()), part + 1 < minibatches as usize);
            }
        }
        assert!(near(&whole, &parts), "{minibatches} minibatches");
        let averages = [(&optimizer, &whole), (&accumulating, &parts)];
        let [first, second] =
            averages.map(|(optimizer, values)| optimizer.averages().unwrap().averaged(values).unwrap());
        assert!(near(&first, &second), "{minibatches} minibatches");
        assert_eq!((accumulating.state().steps, accumulating.learning_rate()), (5, 0.02));
    }
}

#[test]
fn a_run_is_resumed_to_the_bit_between_two_updates() {
    let make = || {
        let momentum = Sgd::new(0.02).momentum(0.5);
        Adam::<f64>::new(0.05).group("offset", momentum).clip(Clip::by_global_norm(2.0)).accumulate(3)
    };
    let points = |step: usize| (step * 2) % 10..(step * 2) % 10 + 2;
    let (mut whole, mut optimizer) = (line(), make());
    let mut checkpoints = Vec::new();
    for step in 0..10 {
        checkpoints.push(TrainingState::new(7).to_checkpoint(&whole, &optimizer).unwrap());
        let slopes = of_points(&whole, points(step));
        optimizer.step(&mut whole, &slopes).unwrap();
    }
    assert_eq!(optimizer.state().counters["accumulated of offset"], 1);
    for (start, checkpoint) in checkpoints.iter().enumerate() {
        let (mut resumed, mut other) = (line(), make());
        TrainingState::from_checkpoint(checkpoint, &mut resumed, &mut other).unwrap();
        for step in start..10 {
            let slopes = of_points(&resumed, points(step));
            other.step(&mut resumed, &slopes).unwrap();
        }
        assert!(resumed.iter().eq(whole.iter()), "from step {start}");
        assert_eq!(other.state(), optimizer.state(), "from step {start}");
    }
}

#[test]
fn a_missing_gradient_counts_as_zero_and_one_that_is_always_missing_changes_nothing() {
    let mut parameters = two_parameters();
    let both = gradients(&parameters, &[("w", Tensor::ones([2, 2])), ("a", Tensor::scalar(1.0))]);
    let only = gradients(&parameters, &[("a", Tensor::scalar(1.0))]);
    let mut sgd = Sgd::new(1.0).momentum(0.5).accumulate(2);
    for slopes in [&both, &only, &only, &only] {
        sgd.step(&mut parameters, slopes).unwrap();
    }
    // Velocities of `w`: 1/2, and then no update; of `a`: 1 and 1.5.
    assert_eq!(parameters.get("w").unwrap().as_slice(), [0.5, 1.5, 2.5, 3.5]);
    assert_eq!(parameters.get("a"), Some(&Tensor::scalar(2.5)));
    // A parameter that is frozen before the update does not move.
    sgd.step(&mut parameters, &both).unwrap();
    parameters.freeze("w").unwrap();
    sgd.step(&mut parameters, &both).unwrap();
    assert_eq!(parameters.get("w").unwrap().as_slice(), [0.5, 1.5, 2.5, 3.5]);
}

#[test]
fn states_that_do_not_fit_are_errors() {
    let mut parameters = one_parameter(Tensor::from([1.0, 2.0]));
    let slope = gradients(&parameters, &[("x", Tensor::from([1.0, -1.0]))]);
    let mut sgd = Sgd::<f64>::new(0.1).accumulate(4);
    for _ in 0..3 {
        sgd.step(&mut parameters, &slope).unwrap();
    }
    let state = sgd.state();
    assert_eq!(state.slots["accumulated"]["x"], Tensor::from([0.75, -0.75]));
    let mut uncounted = state.clone();
    uncounted.counters.clear();
    for (state, minibatches, part) in
        [(&state, 1, "`accumulated`"), (&state, 3, "than the 3"), (&uncounted, 4, "number")]
    {
        let mut other = Sgd::<f64>::new(0.1).accumulate(minibatches);
        let message = other.load_state(state).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
        assert_eq!(other.state(), Sgd::new(0.1).state());
    }
}
