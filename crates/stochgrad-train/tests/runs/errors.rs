//! Errors of runs, and what they leave.

use std::fs;

use stochgrad_distributions::DistributionError;
use stochgrad_graph::GraphResult;
use stochgrad_nn::{Checkpoint, Parameters, Record, Schedule, Sgd};
use stochgrad_tensor::Tensor;
use stochgrad_train::source::{Stream, Tensors};
use stochgrad_train::{GradientVariance, Span, TrainError, Trainer};

fn parameters(value: f32) -> Parameters<f32> {
    let mut parameters = Parameters::new();
    parameters.insert("w", Tensor::scalar(value)).unwrap();
    parameters
}

fn data() -> Tensors<f32> {
    Tensors::new().with("x", [1.0, 1.0]).unwrap()
}

#[test]
fn a_cost_that_becomes_nan_names_step_and_cost_and_leaves_the_last_checkpoint() {
    // The parameter decreases by 0.1 in each step, from 0.35, so that the root of the fifth step is NaN.
    let out = tempfile::tempdir().unwrap();
    let mut w = parameters(0.35);
    let error = Trainer::new(Sgd::new(0.1))
        .quiet()
        .epochs(20)
        .checkpoint_every(Span::Steps(3))
        .out(out.path())
        .fit(&mut w, &data(), |record| {
            let w = record.param("w")?;
            record.cost("slope", record.input("x")? * w)?;
            record.cost("root", w.stop_gradient().sqrt())
        })
        .unwrap_err();
    let message = error.to_string();
    let TrainError::Step { step, epoch, checkpoint, .. } = error else { panic!("{message}") };
    assert_eq!((step, epoch), (4, 4));
    assert!(message.contains("step 4") && message.contains("\"root\"") && message.contains("NaN"), "{message}");
    assert!(message.contains("checkpoint.safetensors has the last checkpoint"), "{message}");
    assert!((w.get("w").unwrap().item().unwrap() + 0.05).abs() < 1e-6);
    let saved = Checkpoint::load(checkpoint.unwrap()).unwrap();
    assert_eq!(saved.u64s("training/step").unwrap(), [3]);
}

#[test]
fn a_gradient_that_is_infinite_names_the_parameter() {
    let error = Trainer::new(Sgd::new(0.1))
        .quiet()
        .epochs(1)
        .fit(&mut parameters(0.0), &data(), |record| {
            record.cost("root", (record.input("x")? * record.param("w")?).sqrt())
        })
        .unwrap_err();
    let message = error.to_string();
    assert!(message.contains("step 0") && message.contains("the gradient with respect to \"w\""), "{message}");
    assert!(message.contains("the parameters are those before this step"), "{message}");
}

#[test]
fn a_parameter_that_is_not_finite_is_not_saved() {
    let out = tempfile::tempdir().unwrap();
    let error = Trainer::new(Sgd::new(3e38))
        .quiet()
        .steps(1)
        .out(out.path())
        .fit(&mut parameters(0.0), &data(), |record| {
            record.cost("slope", record.input("x")? * record.param("w")? * 9.0)
        })
        .unwrap_err();
    let message = error.to_string();
    assert!(message.contains("parameter \"w\" is -inf at position 0 after step 1"), "{message}");
    assert!(!out.path().join("checkpoint.safetensors").exists());
}

fn slope(record: &Record<'_, '_, f32>) -> GraphResult<()> {
    record.cost("slope", record.input("x")? * record.param("w")?)
}

#[test]
fn data_without_minibatches_and_unknown_names_are_errors() {
    let empty = Stream::new(|_| std::iter::empty::<stochgrad_train::TrainResult<stochgrad_nn::Inputs<f32>>>());
    let message =
        Trainer::new(Sgd::new(0.1)).quiet().epochs(1).fit(&mut parameters(0.0), &empty, slope).unwrap_err().to_string();
    assert!(message.contains("the training data: expected a minibatch 0 in epoch 0"), "{message}");

    let held_out = data();
    let monitored = Trainer::new(Sgd::new(0.1)).quiet().epochs(1).validate(&held_out).monitor("elbo");
    let message = monitored.fit(&mut parameters(0.0), &data(), slope).unwrap_err().to_string();
    assert!(message.contains("one of the costs slope, got elbo"), "{message}");

    let of_nothing = Trainer::new(Sgd::new(0.1)).quiet().epochs(1).gradient_variance(GradientVariance::of(["encoder"]));
    let message = of_nothing.fit(&mut parameters(0.0), &data(), slope).unwrap_err().to_string();
    assert!(message.contains("\"encoder\"") && message.contains("there are: w"), "{message}");

    let of_no_node = GradientVariance::of::<&str>([]).at_nodes(["z"]);
    let of_no_node = Trainer::new(Sgd::new(0.1)).quiet().epochs(1).gradient_variance(of_no_node);
    let message = of_no_node.fit(&mut parameters(0.0), &data(), slope).unwrap_err().to_string();
    assert!(message.contains("no node is called \"z\""), "{message}");
}

#[test]
fn a_schedule_of_a_share_of_the_run_needs_a_known_length() {
    let rate = |steps| Sgd::new(Schedule::linear(0.1, 0.0, steps));
    let batches = [stochgrad_nn::Inputs::new().batch("x", [1.0_f32])];
    let unknown = Stream::new(|_| batches.clone().into_iter().map(Ok));
    let trainer = || Trainer::for_steps(rate).quiet();
    let message = trainer().epochs(2).fit(&mut parameters(0.0), &unknown, slope).unwrap_err();
    // A `main` that returns the error prints its message.
    let message = format!("{message:?}");
    assert!(message.contains("`Trainer::for_steps`: expected a run with a known number of steps"), "{message}");
    let report = trainer().steps(2).fit(&mut parameters(0.0), &unknown, slope).unwrap();
    assert_eq!((report.steps, report.last.learning_rate), (2, 0.0));
    let report = trainer().epochs(3).batch(1).fit(&mut parameters(0.0), &data(), slope).unwrap();
    assert_eq!((report.steps, report.last.learning_rate), (6, 0.0));
}

#[test]
fn an_error_of_a_distribution_is_one_of_the_model() {
    let message = Trainer::new(Sgd::new(0.1))
        .quiet()
        .epochs(1)
        .fit(&mut parameters(0.0), &data(), |record| {
            let error: Result<(), _> = Err(DistributionError::Unsupported {
                distribution: "Normal",
                problem: "expected a number, got none".into(),
            });
            error?;
            slope(record)
        })
        .unwrap_err()
        .to_string();
    assert!(message.contains("expected a number, got none"), "{message}");
}

#[test]
fn a_cost_that_was_summed_over_the_minibatch_is_an_error_in_training() {
    let error = Trainer::new(Sgd::new(0.1)).quiet().epochs(1).fit(&mut parameters(0.0), &data(), |record| {
        let x = record.input("x")?;
        record.cost("sum", (x * record.param("w")?).sum_over(x.plates()[0]))
    });
    let message = error.unwrap_err().to_string();
    assert!(message.contains("cost \"sum\"") && message.contains("errors.rs"), "{message}");
}

#[test]
fn an_output_folder_that_cannot_be_made_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let trainer = Trainer::new(Sgd::new(0.1)).quiet().epochs(1).out(file.join("run"));
    let message = trainer.fit(&mut parameters(0.0), &data(), slope).unwrap_err().to_string();
    assert!(message.contains("cannot make") && message.contains("run"), "{message}");
}
