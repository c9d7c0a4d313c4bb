//! The noise of the gradient during a training run, and choices that change with it.

use std::time::Instant;

use stochgrad_distributions::{Bernoulli, Id};
use stochgrad_estimators::{DisArm, Enumerate, LeaveOneOut, ScoreFunction, StraightThrough};
use stochgrad_graph::{GraphResult, MethodReplacements, Seed};
use stochgrad_lab::{Candidate, Criterion, Lab, Monitor, Reading, Reselect, candidates};
use stochgrad_nn::{Inputs, Parameters, Record, Sgd, Step};
use stochgrad_tensor::Tensor;

/// A bit with the cost (b − t)².
fn bit(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let b = record.sample("b", &Bernoulli::from_logits(record.param("logit")?), &ScoreFunction::new())?;
    record.cost("loss", (b - 0.45).square())
}

fn straight_through(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let b = record.sample("b", &Bernoulli::from_logits(record.param("logit")?), &StraightThrough::new(1.0))?;
    record.cost("loss", (b - 0.45).square())
}

fn logit(probability: f64) -> Parameters<f64> {
    let mut parameters = Parameters::new();
    parameters.insert("logit", (probability / (1.0 - probability)).ln().into()).unwrap();
    parameters
}

fn only_reading(mut monitor: Monitor<'_, f64>, pairs: u64) -> Reading {
    let (parameters, inputs) = (logit(0.1), Inputs::new());
    let mut readings = (0..pairs).filter_map(|step| monitor.observe(step, &parameters, &inputs).unwrap());
    let reading = readings.next().unwrap();
    assert_eq!(reading.steps, [0, pairs - 1]);
    reading
}

#[test]
fn readings_are_the_known_moments() {
    // At the probability 0.1: the gradient 0.009, the variances of the score function and of DisARM.
    let disarm: Candidate<f64, Bernoulli<Id>> = Candidate::new("DisArm", DisArm::new);
    let disarm = disarm.replace(MethodReplacements::new(), &"b".into());
    let monitor = || Monitor::new(bit).every(1).pairs(4000);
    for (monitor, variance) in [(monitor(), 7.700063e-3), (monitor().methods(disarm), 3.24e-4)] {
        let reading = only_reading(monitor, 4000);
        assert!((reading.variance.estimate - variance).abs() < 2.0 * reading.variance.half_width(), "{reading}");
        assert!(reading.variance.half_width() < 0.2 * variance && reading.bias.is_none());
        let ratio = 0.009 / variance.sqrt();
        assert!((reading.signal_to_noise - ratio).abs() < 0.4 * ratio, "{reading}, expected {ratio}");
    }
}

#[test]
fn the_bias_is_that_of_the_method() {
    let exact = || {
        let enumerate: Candidate<f64, Bernoulli<Id>> = Candidate::new("Enumerate", Enumerate::new);
        enumerate.replace(MethodReplacements::new(), &"b".into())
    };
    // Straight-through has the mean −0.063, and the score function no bias.
    let biased = Monitor::new(straight_through).every(1).pairs(1000).reference(bit, exact());
    let reading = only_reading(biased, 1000);
    let bias = reading.bias.unwrap();
    assert!((bias.estimate - (-8.0)).abs() < 1.5 * bias.half_width() && bias.high < -6.0, "{reading}");
    assert!(reading.to_string().contains("bias / gradient"));
    let unbiased = only_reading(Monitor::new(bit).every(1).pairs(1000).reference(bit, exact()), 1000);
    assert!(unbiased.bias.unwrap().contains(0.0), "{unbiased}");
    let mut wrong = Monitor::new(bit).reference(straight_through, MethodReplacements::new());
    let error = wrong.observe(0, &logit(0.1), &Inputs::new()).unwrap_err().to_string();
    assert!(error.contains("methods without bias"), "{error}");
    let error = Monitor::new(bit).share(2.0).observe(0, &logit(0.1), &Inputs::new()).unwrap_err().to_string();
    assert!(error.contains("at most 1"), "{error}");
}

#[test]
fn the_training_does_not_notice_the_monitor() {
    let inputs = Inputs::new();
    let train = |observes: bool| {
        let mut parameters = logit(0.1);
        let (mut step, mut sgd) = (Step::new(bit), Sgd::new(0.5));
        let mut monitor = Monitor::new(bit).every(3).pairs(5);
        let mut readings = 0;
        for number in 0..60 {
            step.train(&mut parameters, &mut sgd, &inputs, Seed::new(7).step(number)).unwrap();
            if observes && monitor.observe(number as u64, &parameters, &inputs).unwrap().is_some() {
                readings += 1;
            }
        }
        assert_eq!(readings, if observes { 4 } else { 0 });
        parameters.get("logit").unwrap().to_vec()
    };
    assert_eq!(train(true), train(false));
}

#[test]
fn the_cost_is_at_most_the_share() {
    let model = |record: &Record<'_, '_, f64>| {
        let b = record.sample("b", &Bernoulli::from_logits(record.param("logits")?), &ScoreFunction::new())?;
        record.cost("loss", (b - 0.45).square().sum())
    };
    let mut parameters = Parameters::new();
    parameters.insert("logits", Tensor::zeros([2000])).unwrap();
    let inputs = Inputs::new();
    let (mut step, mut monitor) = (Step::new(model), Monitor::new(model).share(0.1).pairs(2));
    let (start, mut readings, mut number) = (Instant::now(), 0, 0);
    while start.elapsed().as_secs_f64() < 1.0 {
        step.run(&parameters, &inputs, Seed::new(7).step(number)).unwrap();
        readings += usize::from(monitor.observe(number as u64, &parameters, &inputs).unwrap().is_some());
        number += 1;
    }
    // A pair that is interrupted by another process may take longer than the one before.
    assert!(monitor.cost() < 0.15, "{}", monitor.cost());
    assert!(readings > 0, "{readings} readings, {number} steps");
}

#[test]
fn choices_follow_the_parameters_and_not_the_noise_of_the_steps() {
    let methods = || candidates![ScoreFunction::new(), ScoreFunction::new().samples(4).baseline(LeaveOneOut)];
    let select = |lab: &Lab<'_, f64>| {
        lab.select().node::<Bernoulli<Id>>("b", methods()).criterion(Criterion::Variance).repetitions(400).run()
    };
    let inputs = Inputs::new();
    let choices = |training_seed: u64| {
        let parameters = logit(0.1);
        let mut reselect = Reselect::new(bit, select).every(5).seed(Seed::new(training_seed.min(3)));
        let (mut step, mut codes) = (Step::new(bit), Vec::new());
        for number in 0..11 {
            if let Some(selection) = reselect.before(number as u64, &parameters, &inputs).unwrap() {
                // Everything but the times.
                let scores = selection.nodes[0].methods.iter().map(|method| (method.score, method.repetitions));
                codes.push((number, scores.collect::<Vec<_>>()));
                step = step.replace_methods(selection.replacements);
            }
            step.run(&parameters, &inputs, Seed::new(training_seed).step(number)).unwrap();
        }
        codes
    };
    // With the same seed of the choices, and other noise in the steps, everything that a choice is made of is the same.
    let first = choices(3);
    assert_eq!(first.len(), 1, "the choice does not change, so that it is returned once");
    assert_eq!(first, choices(4));
    assert_ne!(first, choices(2));
}

#[test]
fn another_method_is_chosen_when_the_parameters_change() {
    // The costs are 1 + c and c with equal probabilities, so that the best baseline is 1/2 + c.
    let model = |record: &Record<'_, '_, f64>| {
        let b = record.sample("b", &Bernoulli::from_logits(record.param("logit")?), &ScoreFunction::new())?;
        record.cost("loss", b * (b - record.param("offset")?).square() + record.param("constant")?)
    };
    let select = |lab: &Lab<'_, f64>| {
        let methods =
            candidates![ScoreFunction::new(), ScoreFunction::new().baseline(stochgrad_estimators::Constant(1.0))];
        lab.select().node::<Bernoulli<Id>>("b", methods).criterion(Criterion::Variance).repetitions(2000).run()
    };
    let mut reselect = Reselect::new(model, select).every(10);
    let mut chosen = |step: u64, constant: f64| {
        let mut parameters = logit(0.5);
        parameters.insert_all([("offset", Tensor::scalar(0.0)), ("constant", Tensor::scalar(constant))]).unwrap();
        let selection = reselect.before(step, &parameters, &Inputs::new()).unwrap();
        selection.map(|selection| selection.nodes[0].label().to_owned())
    };
    assert_eq!(chosen(0, 0.5).as_deref(), Some("ScoreFunction::new().baseline(stochgrad_estimators::Constant(1.0))"));
    assert_eq!(chosen(5, -0.5), None);
    assert_eq!(chosen(10, -0.5).as_deref(), Some("ScoreFunction::new()"));
    assert_eq!(chosen(20, -0.6), None);
}

#[test]
fn the_method_in_use_stays_unless_another_one_is_better_by_more_than_the_indifference() {
    // As above: the variance of the score function with the baseline β is proportional to (c + 1/2 − β)².
    let model = |record: &Record<'_, '_, f64>| {
        let b = record.sample("b", &Bernoulli::from_logits(record.param("logit")?), &ScoreFunction::new())?;
        record.cost("loss", b + record.param("constant")?)
    };
    let chosen = |indifference: f64, constants: &[f64]| {
        let select = move |lab: &Lab<'_, f64>| {
            let methods =
                candidates![ScoreFunction::new(), ScoreFunction::new().baseline(stochgrad_estimators::Constant(1.0))];
            let select = lab.select().node::<Bernoulli<Id>>("b", methods).criterion(Criterion::Variance);
            select.indifference(indifference).repetitions(2000).run()
        };
        let mut reselect = Reselect::new(model, select).every(1);
        let choose = |&constant: &f64| {
            let mut parameters = logit(0.5);
            parameters.insert("constant", Tensor::scalar(constant)).unwrap();
            let selection = reselect.before(0, &parameters, &Inputs::new()).unwrap();
            selection.map(|selection| selection.nodes[0].chosen)
        };
        constants.iter().map(choose).collect::<Vec<_>>()
    };
    // The ratio of the variances of the first method and of the second one is 1.49, then 1 / 1.49, and then 1 / 5.4.
    assert_eq!(chosen(0.05, &[0.05, -0.05, -0.2]), [Some(1), Some(0), None]);
    assert_eq!(chosen(1.0, &[0.05, -0.05, -0.2]), [Some(1), None, Some(0)]);
    // A method that was worse by a factor of 5.4 sits out three choices.
    assert_eq!(chosen(0.05, &[0.2, -0.05, -0.05, -0.05, -0.05]), [Some(1), None, None, None, Some(0)]);
}

#[test]
fn choices_take_a_share_of_the_time_and_keep_their_programs() {
    let recordings = std::cell::Cell::new(0);
    let model = |record: &Record<'_, '_, f64>| {
        recordings.set(recordings.get() + 1);
        let b = record.sample("b", &Bernoulli::from_logits(record.param("logits")?), &ScoreFunction::new())?;
        record.cost("loss", (b - 0.45).square().sum())
    };
    let mut parameters = Parameters::new();
    parameters.insert("logits", Tensor::zeros([2000])).unwrap();
    let choices = std::cell::Cell::new(0);
    let mut reselect = Reselect::new(model, |lab| {
        choices.set(choices.get() + 1);
        let methods = candidates![ScoreFunction::new(), ScoreFunction::new().samples(2).baseline(LeaveOneOut)];
        lab.select().node::<Bernoulli<Id>>("b", methods).repetitions(64).run()
    })
    .share(0.5);
    let (inputs, mut first) = (Inputs::new(), 0);
    let (mut step, start) = (Step::new(bits_of_2000), Instant::now());
    let mut number = 0;
    while choices.get() < 4 && start.elapsed().as_secs_f64() < 20.0 {
        step.run(&parameters, &inputs, Seed::new(7).step(number)).unwrap();
        reselect.before(number as u64, &parameters, &inputs).unwrap();
        if number == 0 {
            first = recordings.get();
        }
        number += 1;
    }
    // Between two choices are steps, and the later ones do not compile the methods again. A program is compared with a
    // new recording now and then.
    assert!(choices.get() == 4 && number > 20, "{} choices in {number} steps", choices.get());
    assert!(first >= 4 && recordings.get() <= 2 * first, "{first} recordings at first, {}", recordings.get());
    let wrong = Reselect::new(bit, |lab: &Lab<'_, f64>| lab.select().run()).share(0.0);
    let error = { wrong }.before(0, &logit(0.1), &Inputs::new()).unwrap_err().to_string();
    assert!(error.contains("above 0"), "{error}");
}

fn bits_of_2000(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let b = record.sample("b", &Bernoulli::from_logits(record.param("logits")?), &ScoreFunction::new())?;
    record.cost("loss", (b - 0.45).square().sum())
}
