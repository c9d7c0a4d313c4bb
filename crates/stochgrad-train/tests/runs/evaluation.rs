//! What runs measure, when they end, and which parameters they return.

use std::cell::RefCell;
use std::ops::ControlFlow;

use approx::assert_relative_eq;
use stochgrad_distributions::{Distribution, KlDivergence, Normal};
use stochgrad_estimators::Pathwise;
use stochgrad_graph::{GraphResult, Seed};
use stochgrad_nn::{Average, Inputs, Parameters, Record, Sgd, Step};
use stochgrad_tensor::Tensor;
use stochgrad_train::evaluation::mean_cost;
use stochgrad_train::source::{Stream, Tensors};
use stochgrad_train::{
    EarlyStopping, Epoch, GradientVariance, Metrics, Observer, Outcome, Report, RunStart, Source, Span, StepMetrics,
    TrainResult, Trainer,
};

fn one_parameter(value: f64) -> Parameters<f64> {
    let mut parameters = Parameters::new();
    parameters.insert("m", Tensor::scalar(value)).unwrap();
    parameters
}

fn value(parameters: &Parameters<f64>) -> f64 {
    parameters.get("m").unwrap().item().unwrap()
}

fn data(values: &[f64]) -> Tensors<f64> {
    Tensors::new().with("x", Tensor::from(values.to_vec())).unwrap()
}

fn squared_error(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    record.cost("squared error", (record.param("m")? - record.input("x")?).square())
}

#[test]
fn evaluations_are_means_over_all_members_and_share_costs_as_training_does() {
    let (train, held_out) = (data(&[1.0, 2.0, 3.0, 5.0]), data(&[1.0, 2.0, 4.0, 8.0, 16.0]));
    let mut parameters = one_parameter(3.0);
    let report = Trainer::new(Sgd::new(0.0))
        .quiet()
        .epochs(1)
        .batch(3)
        .validate(&held_out)
        .evaluation_batch(2)
        .fit(&mut parameters, &train, |record| {
            let m = record.param("m")?;
            record.cost("data", record.input("x")? * m)?;
            record.cost("prior", m.square())
        })
        .unwrap();
    let Metrics { training, validation, step, epoch, .. } = &report.last;
    assert_eq!((*step, *epoch), (2, 1));
    let expected = |mean: f64| [("data".to_owned(), 3.0 * mean), ("prior".to_owned(), 9.0 / 4.0)];
    for (found, expected) in [(training, expected(11.0 / 4.0)), (validation.as_ref().unwrap(), expected(31.0 / 5.0))] {
        for ((name, value), (expected_name, expected)) in found.iter().zip(&expected) {
            assert_eq!(name, expected_name);
            assert_relative_eq!(*value, *expected, max_relative = 1e-14);
        }
    }
}

#[test]
fn training_costs_are_measured_at_the_chosen_intervals() {
    // The data has no end; the costs are 0, 1, 2 and so on.
    let endless = Stream::new(|_: Epoch| (0..).map(move |_| Ok(stochgrad_nn::Inputs::new().batch("x", [0.0, 0.0]))));
    let log = RefCell::new(Vec::new());
    let report = Trainer::new(Sgd::new(0.0))
        .quiet()
        .steps(8)
        .measure_every(Span::Steps(3))
        .observe(Log(&log))
        .fit(&mut one_parameter(0.0), &endless, |record| {
            let step = record.schedule("step", 0.0, |step| step as f64)?;
            record.cost("step", record.input("x")? + record.param("m")? + step)
        })
        .unwrap();
    let measured: Vec<String> = log.into_inner().into_iter().filter(|line| line.starts_with("metrics")).collect();
    assert_eq!(measured, ["metrics 3", "metrics 6", "metrics 8"]);
    assert_eq!((report.last.training[0].1, report.epochs), (6.5, 0));
}

/// Approaches 0 from 1 by a tenth of the way in each epoch, while the best value on the held-out data is 1/2.
fn past_the_best(trainer: impl FnOnce(Trainer<'_, f64>) -> Trainer<'_, f64>) -> (Report, f64) {
    let held_out = data(&[0.5]);
    let mut parameters = one_parameter(1.0);
    let trainer = trainer(Trainer::new(Sgd::new(0.05)).quiet().epochs(50).validate(&held_out));
    let report = trainer.fit(&mut parameters, &data(&[0.0, 0.0]), squared_error).unwrap();
    (report, value(&parameters))
}

#[test]
fn early_stopping_ends_the_run_after_its_patience() {
    let stopping = EarlyStopping::patience(3);
    let (report, last) = past_the_best(|trainer| trainer.early_stopping(stopping));
    let best = report.best.unwrap();
    assert_eq!((report.outcome, report.steps, best.step, best.epoch), (Outcome::EarlyStopped, 10, 7, 7));
    assert_relative_eq!(last, 0.9_f64.powi(10), max_relative = 1e-12);
    assert_relative_eq!(best.value, (0.9_f64.powi(7) - 0.5).powi(2), max_relative = 1e-12);
    assert_eq!(best.costs, [("squared error".to_owned(), best.value)]);

    // The last steps towards the minimum are too small: 0.031² − 0.022² < 0.005, while 0.0905² − 0.031² is more.
    let stopping = stopping.minimum_improvement(0.005);
    assert_eq!(past_the_best(|trainer| trainer.early_stopping(stopping)).0.steps, 9);
    assert_eq!(past_the_best(|trainer| trainer).0.outcome, Outcome::Completed);
}

#[test]
fn the_best_parameters_are_returned_if_they_are_kept() {
    let (report, best) = past_the_best(|trainer| trainer.keep_best());
    assert_eq!((report.steps, report.best.unwrap().step), (50, 7));
    assert_relative_eq!(best, 0.9_f64.powi(7), max_relative = 1e-12);
    let (report, best) =
        past_the_best(|trainer| trainer.keep_best().monitor("squared error").validate_every(Span::Epochs(5)));
    assert_eq!(report.best.unwrap().step, 5);
    assert_relative_eq!(best, 0.9_f64.powi(5), max_relative = 1e-12);
}

/// A squared error whose weight rises in four steps.
fn rising(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let weight = record.schedule("weight", 1.0, |step| (0.25 * (step + 1) as f64).min(1.0))?;
    let error = (record.param("m")? - record.input("x")?).square();
    record.cost("error", error * weight)?;
    record.output("weighted", error * weight)
}

#[test]
fn a_weight_that_rises_has_its_final_value_in_evaluations() {
    let (train, held_out) = (data(&[2.0]), data(&[2.0, 4.0]));
    struct Costs(Vec<[f64; 2]>);
    impl Observer for Costs {
        fn metrics(&mut self, metrics: &Metrics) -> TrainResult<()> {
            self.0.push([metrics.training[0].1, metrics.validation.as_ref().unwrap()[0].1]);
            Ok(())
        }
    }
    let mut costs = Costs(Vec::new());
    let report = Trainer::new(Sgd::new(0.0))
        .quiet()
        .epochs(5)
        .validate(&held_out)
        .early_stopping(EarlyStopping::patience(10))
        .observe(&mut costs)
        .fit(&mut one_parameter(0.0), &train, rising)
        .unwrap();
    // The training minimises the weighted cost, 4 w; the held-out one is (4 + 16) / 2 in all epochs.
    assert_eq!(costs.0, [[1.0, 10.0], [2.0, 10.0], [3.0, 10.0], [4.0, 10.0], [4.0, 10.0]]);
    assert_eq!(report.best.unwrap().epoch, 1);

    let (mut step, parameters) = (Step::new(rising), one_parameter(0.0));
    for seed in [Seed::new(1), Seed::new(1).step(100)] {
        assert_eq!(mean_cost(&mut step, &parameters, &held_out, 1, seed).unwrap(), 10.0);
        let inputs = Inputs::new().batch("x", [2.0, 4.0]);
        let outputs = step.predict(&parameters, &inputs, seed).unwrap();
        assert_eq!(outputs.get("weighted").unwrap().as_slice(), [4.0, 16.0]);
    }
}

#[test]
fn averages_are_evaluated_and_returned() {
    let held_out = data(&[0.0]);
    let mut parameters = one_parameter(1.0);
    let report = Trainer::new(Sgd::new(0.05).average(Average::uniform()))
        .quiet()
        .steps(2)
        .validate(&held_out)
        .fit(&mut parameters, &data(&[0.0]), squared_error)
        .unwrap();
    let average = (0.9 + 0.81) / 2.0;
    assert_relative_eq!(value(&parameters), average, max_relative = 1e-12);
    assert_relative_eq!(report.last.validation.unwrap()[0].1, average * average, max_relative = 1e-12);
}

#[test]
fn the_variance_of_gradients_is_that_of_the_noise() {
    // The gradient is the mean of four standard normal values, and twice it.
    let mut parameters = one_parameter(1.0);
    parameters.insert("scope.n", Tensor::scalar(1.0)).unwrap();
    let report = Trainer::new(Sgd::new(0.0))
        .quiet()
        .epochs(1)
        .batch(4)
        .gradient_variance(GradientVariance::of(["m", "scope"]).every(1).evaluations(4000))
        .fit(&mut parameters, &data(&[0.0; 4]), |record| {
            let z = record.sample("z", &Normal::new(record.input("x")?, record.constant(1.0)), &Pathwise::new())?;
            record.cost("noise", z * record.param("m")? + z * record.param("scope.n")? * 2.0)
        })
        .unwrap();
    let [(first, one), (second, four)] = &report.last.variances[..] else { panic!("{report:?}") };
    assert_eq!((&first[..], &second[..]), ("m", "scope"));
    // The standard deviation of the estimate is 1/4 · √(2/4000), or 0.0056.
    assert!((one - 0.25).abs() < 0.02, "{one}");
    assert_relative_eq!(*four, 4.0 * one, max_relative = 1e-9);
}

#[test]
fn the_variance_at_a_node_is_that_of_the_gradients_of_its_parameters() {
    // The gradients are zᵢ/2 for each of the four locations, with variance 1/4, and Σ zᵢ²/2 for the scale, with
    // variance 4 · 2/4.
    let mut parameters = one_parameter(0.0);
    parameters.insert("scale", Tensor::scalar(1.0)).unwrap();
    let report = Trainer::new(Sgd::new(0.0))
        .quiet()
        .epochs(1)
        .batch(4)
        .gradient_variance(GradientVariance::of::<&str>([]).at_nodes(["z"]).evaluations(1000))
        .fit(&mut parameters, &data(&[0.0; 4]), |record| {
            let location = record.input("x")? + record.param("m")?;
            let z = record.sample("z", &Normal::new(location, record.param("scale")?), &Pathwise::new())?;
            record.cost("square", z.square())
        })
        .unwrap();
    let [(name, variance)] = &report.last.variances[..] else { panic!("{report:?}") };
    assert_eq!(name, "node z");
    assert!((variance / 0.6 - 1.0).abs() < 0.15, "{variance}");
}

/// The evidence bound of a Bayesian linear regression, with a draw of the weights.
fn bayesian_regression(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let posterior = Normal::new(record.param("mean")?, record.param("log deviation")?.exp());
    let w = record.sample("w", &posterior, &Pathwise::new())?;
    let predicted = (record.input("x")? * w).sum();
    record.cost("likelihood", -Normal::new(predicted, record.constant(0.5)).log_prob(record.input("y")?))?;
    record.cost("divergence", posterior.kl_to(&Normal::new(record.constant([0.0, 0.0]), record.constant(1.0))))
}

#[test]
fn steps_on_minibatches_average_to_the_step_on_all_data() {
    let x = Tensor::from_fn([12, 2], |i| (i as f64 * 0.7).sin());
    let y = Tensor::from_fn([12], |i| (i as f64).cos());
    let train = Tensors::new().with("x", &x).unwrap().with("y", &y).unwrap();
    let mut parameters = Parameters::new();
    parameters.insert("mean", Tensor::from([0.4, -0.3])).unwrap();
    parameters.insert("log deviation", Tensor::from([-1.0, 0.1])).unwrap();
    let mut step = Step::new(bayesian_regression);
    let mut gradient = |inputs: stochgrad_nn::Inputs<f64>| {
        // The same noise in all steps: the weights have no plates.
        let gradients = step.run(&parameters, &inputs, Seed::new(7)).unwrap();
        let flat = |name: &str| gradients.get(name).unwrap().to_vec();
        [flat("mean"), flat("log deviation"), vec![gradients.total()]].concat()
    };
    let mut mean = [0.0; 5];
    let minibatches = train.minibatches(Epoch::shuffled(0, 3, 5)).unwrap();
    for inputs in minibatches {
        let part = gradient(inputs.unwrap().of_data_set(12));
        mean.iter_mut().zip(part).for_each(|(sum, value)| *sum += value / 4.0);
    }
    let whole = gradient(train.inputs().of_data_set(12));
    // The whole bound without any knowledge of sizes, divided by the number of points: the likelihood is averaged over
    // the plate, so the divergence is divided by hand.
    let mut by_hand = Step::new(|record: &Record<'_, '_, f64>| {
        let posterior = Normal::new(record.param("mean")?, record.param("log deviation")?.exp());
        let w = record.sample("w", &posterior, &Pathwise::new())?;
        let predicted = (record.input("x")? * w).sum();
        record.cost("likelihood", -Normal::new(predicted, record.constant(0.5)).log_prob(record.input("y")?))?;
        let prior = Normal::new(record.constant([0.0, 0.0]), record.constant(1.0));
        record.cost("divergence", posterior.kl_to(&prior) / 12.0)
    });
    let gradients = by_hand.run(&parameters, &train.inputs(), Seed::new(7)).unwrap();
    let expected = [gradients.get("mean").unwrap().to_vec(), gradients.get("log deviation").unwrap().to_vec()].concat();
    for (index, expected) in expected.iter().chain([&gradients.total()]).enumerate() {
        assert_relative_eq!(mean[index], *expected, max_relative = 1e-10);
        assert_relative_eq!(whole[index], *expected, max_relative = 1e-10);
    }
}

/// Writes what a run reports.
struct Log<'a>(&'a RefCell<Vec<String>>);

impl Observer for Log<'_> {
    fn start(&mut self, run: &RunStart<'_>) -> TrainResult<()> {
        let text = format!("start {:?} {:?} {:?}", run.steps, run.epochs, run.steps_per_epoch);
        self.0.borrow_mut().push(text);
        Ok(())
    }

    fn step(&mut self, step: &StepMetrics<'_>) -> TrainResult<()> {
        self.0.borrow_mut().push(format!("step {} of epoch {}, {} members", step.step, step.epoch, step.members));
        Ok(())
    }

    fn metrics(&mut self, metrics: &Metrics) -> TrainResult<()> {
        let held_out = if metrics.validation.is_some() { ", held out" } else { "" };
        self.0.borrow_mut().push(format!("metrics {}{held_out}", metrics.step));
        Ok(())
    }

    fn checkpoint(&mut self, step: u64) -> TrainResult<()> {
        self.0.borrow_mut().push(format!("checkpoint {step}"));
        Ok(())
    }

    fn finish(&mut self, report: &Report) -> TrainResult<()> {
        self.0.borrow_mut().push(format!("finish {}", report.steps));
        Ok(())
    }
}

#[test]
fn observers_and_callbacks_are_called_in_order() {
    let (log, out) = (RefCell::new(Vec::new()), tempfile::tempdir().unwrap());
    let held_out = data(&[0.0]);
    let say = |text: String| {
        log.borrow_mut().push(text);
        ControlFlow::Continue(())
    };
    Trainer::new(Sgd::new(0.1))
        .quiet()
        .steps(5)
        .batch(2)
        .validate(&held_out)
        .validate_every(Span::Steps(2))
        .checkpoint_every(Span::Epochs(1))
        .out(out.path())
        .observe(Log(&log))
        .on_step(|progress| say(format!("on step {}", progress.step)))
        .on_epoch(|progress| say(format!("on epoch {}, metrics {}", progress.epoch, progress.metrics.step)))
        .fit(&mut one_parameter(1.0), &data(&[1.0, 2.0, 3.0]), squared_error)
        .unwrap();
    let expected = [
        "start Some(5) None Some(2)",
        "step 1 of epoch 0, 2 members",
        "on step 1",
        "step 2 of epoch 0, 1 members",
        "metrics 2, held out",
        "on step 2",
        "on epoch 1, metrics 2",
        "checkpoint 2",
        "step 3 of epoch 1, 2 members",
        "on step 3",
        "step 4 of epoch 1, 1 members",
        "metrics 4, held out",
        "on step 4",
        "on epoch 2, metrics 4",
        "checkpoint 4",
        "step 5 of epoch 2, 2 members",
        "metrics 5, held out",
        "on step 5",
        "checkpoint 5",
        "finish 5",
    ];
    assert_eq!(*log.borrow(), expected);
}
