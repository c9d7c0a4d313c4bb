//! Tests of groups and parts.

use stochgrad_tensor::Tensor;

use super::*;
use crate::optimizers::{Average, SgdRule};
use crate::testing::gradients;
use crate::training_state::TrainingState;

const NAMES: [&str; 4] = ["encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"];

fn parameters() -> Parameters<f64> {
    let mut parameters = Parameters::new();
    let value = |seed: f64| Tensor::from_fn([2, 3], move |i| ((i as f64 + 1.0) * seed).sin());
    parameters.insert_all(NAMES.into_iter().zip([0.3, 0.7, 1.1, 1.9].map(value))).unwrap();
    parameters
}

/// Gradients at a step of the parameters of some names.
fn slopes(parameters: &Parameters<f64>, step: usize, names: &[&str]) -> Gradients<f64> {
    let slope = |name: &&str| {
        let x = parameters.get(name).unwrap();
        let slope = |i: usize| x.as_slice()[i] * 0.4 + ((i * 5 + step * 3) % 7) as f64 - 3.0;
        ((*name).to_owned(), Tensor::from_fn(x.shape().clone(), slope))
    };
    Gradients::from_tensors(names.iter().map(slope))
}

/// A step with gradients of the parameters of some names.
fn train(optimizer: &mut dyn Optimizer<f64>, parameters: &mut Parameters<f64>, step: usize, names: &[&str]) {
    let slopes = slopes(parameters, step, names);
    optimizer.step(parameters, &slopes).unwrap();
}

fn adamw() -> AdamW<f64> {
    AdamW::new(Schedule::cosine(0.1, 0.01, 10))
}

fn grouped() -> AdamW<f64> {
    let momentum = Sgd::new(Schedule::step(0.05, 0.5, 3)).momentum(0.9);
    adamw().group("*.bias", AdamW::new(0.02).weight_decay(0.0)).group("decoder", momentum)
}

fn value<'a>(parameters: &'a Parameters<f64>, name: &str) -> &'a [f64] {
    parameters.get(name).unwrap().as_slice()
}

#[test]
fn a_group_is_trained_as_by_its_own_optimiser() {
    let (mut together, mut optimizer) = (parameters(), grouped());
    let mut apart = [parameters(), parameters(), parameters()];
    let (mut first, mut second) = (adamw().only("encoder.weight"), AdamW::new(0.02).weight_decay(0.0).only("*.bias"));
    let mut third = Sgd::new(Schedule::step(0.05, 0.5, 3)).momentum(0.9).only("decoder.weight");
    for step in 0..12 {
        train(&mut optimizer, &mut together, step, &NAMES);
        let optimizers: [&mut dyn Optimizer<f64>; 3] = [&mut first, &mut second, &mut third];
        for (optimizer, parameters) in optimizers.into_iter().zip(&mut apart) {
            train(optimizer, parameters, step, &NAMES);
        }
    }
    let [first, second, third] = &apart;
    for (name, alone) in NAMES.into_iter().zip([first, second, third, second]) {
        assert_eq!(value(&together, name), value(alone, name), "{name}");
    }
    for (name, alone) in [(NAMES[1], first), (NAMES[0], second), (NAMES[3], third)] {
        assert_eq!(value(alone, name), value(&parameters(), name), "{name}");
    }
}

#[test]
fn a_group_may_have_a_rule_without_a_kernel() {
    let rule = SgdRule { momentum: 0.9, nesterov: true, weight_decay: 0.1 };
    let mut optimizers = [
        adamw().group("decoder", Descent::of(rule, 0.05)),
        adamw().group("decoder", Descent::of(Recorded(rule), 0.05)),
    ];
    let mut trained = [parameters(), parameters()];
    for step in 0..6 {
        for (optimizer, parameters) in optimizers.iter_mut().zip(&mut trained) {
            train(optimizer, parameters, step, &NAMES);
        }
    }
    assert!(trained[0].iter().eq(trained[1].iter()));
    assert_ne!(trained[0].get(NAMES[2]), parameters().get(NAMES[2]));
}

#[test]
fn updates_of_a_group_are_counted_separately() {
    let (mut parameters, mut optimizer) = (parameters(), grouped());
    for step in 0..3 {
        train(&mut optimizer, &mut parameters, step, &["decoder.weight"]);
    }
    train(&mut optimizer, &mut parameters, 3, &NAMES[..1]);
    let state = optimizer.state();
    assert_eq!((state.steps, state.counters["steps of *.bias"], state.counters["steps of decoder"]), (1, 0, 3));
    assert_eq!(optimizer.learning_rate(), Schedule::cosine(0.1, 0.01, 10).at(1));
}

#[test]
fn a_run_with_groups_is_resumed_to_the_bit() {
    let make = || grouped().average(Average::exponential(0.9)).clip(Clip::by_global_norm(3.0));
    let (mut whole, mut optimizer) = (parameters(), make());
    let mut saved = None;
    for step in 0..12 {
        if step == 5 {
            saved = Some(TrainingState::new(7).to_checkpoint(&whole, &optimizer).unwrap());
        }
        let names = if step % 3 == 0 { &NAMES[..1] } else { &NAMES[..] };
        train(&mut optimizer, &mut whole, step, names);
    }
    let (mut resumed, mut other) = (parameters(), make());
    TrainingState::from_checkpoint(&saved.unwrap(), &mut resumed, &mut other).unwrap();
    for step in 5..12 {
        let names = if step % 3 == 0 { &NAMES[..1] } else { &NAMES[..] };
        train(&mut other, &mut resumed, step, names);
    }
    assert!(resumed.iter().eq(whole.iter()));
    assert_eq!(other.state(), optimizer.state());
    assert_ne!(optimizer.averages().unwrap().averaged(&whole).unwrap().get(NAMES[0]), whole.get(NAMES[0]));
}

#[test]
fn the_state_of_other_groups_is_an_error() {
    let (mut parameters, mut optimizer) = (parameters(), grouped());
    train(&mut optimizer, &mut parameters, 0, &NAMES);
    let state = optimizer.state();
    let without = |change: fn(&mut OptimizerState<f64>)| {
        let mut state = state.clone();
        change(&mut state);
        state
    };
    let cases: [(OptimizerState<f64>, AdamW<f64>, &str); 5] = [
        (state.clone(), adamw(), "adamw for *.bias, sgd for decoder"),
        (without(|state| state.counters.retain(|name, _| name != "steps of decoder")), grouped(), "`steps of decoder`"),
        (without(|state| state.counters.extend([("more".into(), 1)])), grouped(), "`more`"),
        (
            without(|state| {
                let velocity = state.slots.get_mut("velocity").unwrap();
                velocity.insert(NAMES[0].into(), Tensor::zeros([2, 3]));
            }),
            grouped(),
            "`first_moment` and `second_moment` for `encoder.weight`",
        ),
        (
            without(|state| {
                let moments = state.slots.get_mut("first_moment").unwrap();
                moments.insert(NAMES[1].into(), Tensor::zeros([2]));
            }),
            grouped(),
            "of the same shape",
        ),
    ];
    for (state, mut other, part) in cases {
        let before = other.state();
        let message = other.load_state(&state).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
        assert_eq!(other.state(), before);
    }
}

#[test]
fn groups_that_cannot_be_are_errors_that_change_nothing() {
    let cases = [
        (grouped().group("prior", Sgd::new(0.1)), "got `prior`"),
        (grouped().group("decoder.weight", Sgd::new(0.1)), "no earlier group"),
        (grouped().group("encoder.weight", Sgd::new(-0.1)), "learning rate"),
        (grouped().group("encoder.weight", Sgd::new(0.1).momentum(2.0)), "momentum"),
        (grouped().group("encoder.weight", Sgd::new(0.1).accumulate(2)), "accumulation"),
        (grouped().only("prior"), "got `prior`"),
        (grouped().accumulate(0), "at least 1"),
        (grouped().clip(Clip::by_value(-1.0)), "positive"),
    ];
    let mut parameters = parameters();
    let slopes = slopes(&parameters, 0, &NAMES);
    for (mut optimizer, part) in cases {
        let before = parameters.clone();
        let message = optimizer.step(&mut parameters, &slopes).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
        assert!(parameters.iter().eq(before.iter()));
    }
}

#[test]
fn the_norm_is_that_of_all_gradients_that_are_used() {
    let mut parameters = parameters();
    let slopes: Vec<_> = NAMES.map(|name| (name, Tensor::full([2, 3], 2.0))).into();
    let slopes = gradients(&parameters, &slopes);
    let mut optimizer = Sgd::<f64>::new(1.0).group("*.bias", Sgd::new(2.0)).clip(Clip::by_global_norm(3.0));
    parameters.freeze("decoder").unwrap();
    let before = parameters.clone();
    optimizer.step(&mut parameters, &slopes).unwrap();
    let norm = 48.0_f64.sqrt();
    assert!((optimizer.clipping().and_then(Clip::norm).unwrap() - norm).abs() < 1e-12);
    for (name, rate) in [(NAMES[0], 1.0), (NAMES[1], 2.0), (NAMES[2], 0.0), (NAMES[3], 0.0)] {
        for (after, before) in value(&parameters, name).iter().zip(value(&before, name)) {
            assert!((before - after - rate * 2.0 * 3.0 / norm).abs() < 1e-12, "{name}");
        }
    }
}

#[test]
fn gradients_whose_squares_overflow_can_be_clipped() {
    let mut parameters = crate::testing::one_parameter(Tensor::scalar(1.0));
    let slope = gradients(&parameters, &[("x", Tensor::scalar(-1e200))]);
    let mut adam = Adam::new(0.5).clip(Clip::by_global_norm(1.0));
    adam.step(&mut parameters, &slope).unwrap();
    assert!((parameters.get("x").unwrap().item().unwrap() - 1.5).abs() < 1e-6);
    let infinite = gradients(&parameters, &[("x", Tensor::scalar(f64::INFINITY))]);
    assert!(adam.step(&mut parameters, &infinite).is_err());
    assert!(Adam::new(0.5).clip(Clip::by_value(1e300)).step(&mut parameters, &slope).is_err());
}
