//! Runs that are interrupted and resumed equal uninterrupted ones.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use crate::common::{Autoencoder, Out, assert_same_files, patterns, trainer};
use stochgrad_nn::Parameters;
use stochgrad_train::output::TotalsFile;
use stochgrad_train::{EarlyStopping, Outcome, Report, Span, TrainError, TrainResult};

/// A run of seven epochs of six steps. Returns after `until` steps, if it is given.
fn run(out: &Path, threads: usize, until: Option<u64>) -> Report {
    let (train, held_out) = patterns();
    let mut parameters = Parameters::new();
    let model = Autoencoder::new(&mut parameters);
    let mut steps = 0;
    trainer(&held_out, out)
        .epochs(7)
        .threads(threads)
        .validate_every(Span::Steps(4))
        .checkpoint_every(Span::Steps(5))
        .early_stopping(EarlyStopping::patience(100).minimum_improvement(1e-3))
        .on_step(|_| {
            steps += 1;
            if Some(steps) == until { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .fit(&mut parameters, &train, |record| model.record(record))
        .unwrap()
}

#[test]
fn a_run_that_is_stopped_at_any_step_and_resumed_equals_an_uninterrupted_one() {
    let whole = Out::new();
    let report = run(whole.path(), 1, None);
    assert_eq!((report.outcome, report.steps, report.epochs), (Outcome::Completed, 42, 7));
    assert!(report.last.validation.is_some() && report.best.is_some() && !report.last.variances.is_empty());
    for (stretch, threads) in [(1, 1), (4, 2), (5, 1), (6, 2), (13, 1)] {
        let resumed = Out::new();
        let mut done = 0;
        loop {
            let report = run(resumed.path(), threads, Some(stretch));
            assert_eq!(report.resumed_at, (done > 0).then_some(done));
            done = report.steps;
            if report.outcome == Outcome::Completed {
                break;
            }
            assert_eq!(report.outcome, Outcome::Stopped);
        }
        assert_same_files(whole.path(), resumed.path());
    }
}

#[test]
fn a_complete_run_is_not_trained_again_and_can_be_extended() {
    let out = Out::new();
    let first = run(out.path(), 1, None);
    let files = crate::common::files(out.path());
    let second = run(out.path(), 1, None);
    assert_eq!((second.resumed_at, second.outcome), (Some(42), Outcome::Completed));
    assert_eq!((&second.last, &second.best), (&first.last, &first.best));
    assert!(crate::common::files(out.path()) == files);
}

fn with_settings(
    out: &Path,
    change: impl for<'a> FnOnce(stochgrad_train::Trainer<'a, f32>) -> stochgrad_train::Trainer<'a, f32>,
) -> TrainResult<Report> {
    let (train, held_out) = patterns();
    let mut parameters = Parameters::new();
    let model = Autoencoder::new(&mut parameters);
    change(trainer(&held_out, out)).fit(&mut parameters, &train, |record| model.record(record))
}

#[test]
fn other_settings_are_an_error_that_names_them_and_nothing_is_changed() {
    let out = Out::new();
    with_settings(out.path(), |trainer| trainer.epochs(2).setting("hidden", 6)).unwrap();
    let before = crate::common::files(out.path());
    let error = with_settings(out.path(), |trainer| trainer.epochs(2).batch(8).seed(1).setting("hidden", 7));
    let Err(TrainError::OtherRun { differences, .. }) = &error else { panic!("{error:?}") };
    let expected = ["batch: expected 4, got 8", "program.hidden: expected 6, got 7", "seed: expected 7, got 1"];
    assert_eq!(differences[..], expected);
    let message = error.unwrap_err().to_string();
    assert!(message.contains("checkpoint.safetensors") && message.contains("restart()"), "{message}");
    assert!(crate::common::files(out.path()) == before);

    // The settings are read back from their file, too, and a change may be accepted.
    let accepted = Out::new();
    with_settings(accepted.path(), |trainer| trainer.epochs(2)).unwrap();
    let path = accepted.path().join("settings.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("batch = 4\n") && text.contains("\nlength = \"2 epochs\"\n"), "{text}");
    fs::write(&path, text.replace("batch = 4", "batch = 8")).unwrap();
    let message = with_settings(accepted.path(), |trainer| trainer.epochs(3)).unwrap_err().to_string();
    assert!(
        message.contains("settings.toml belongs to a run with other settings: batch: expected 8, got 4"),
        "{message}"
    );
    let report = with_settings(accepted.path(), |trainer| trainer.epochs(3).batch(8).accept_change("batch")).unwrap();
    assert_eq!((report.resumed_at, report.steps), (Some(12), 15));
    let report = with_settings(accepted.path(), |trainer| trainer.epochs(4).batch(8)).unwrap();
    assert_eq!((report.resumed_at, report.steps), (Some(15), 18));
    let misspelt = with_settings(accepted.path(), |trainer| trainer.epochs(4).batch(8).accept_change("bach"));
    let message = misspelt.unwrap_err().to_string();
    assert!(message.contains("expected one of the settings batch, ") && message.contains("got bach"), "{message}");

    // A longer run is the same run, with any number of threads.
    let report = with_settings(out.path(), |trainer| trainer.epochs(3).threads(2).setting("hidden", 6)).unwrap();
    assert_eq!((report.resumed_at, report.epochs), (Some(12), 3));

    let anew = with_settings(out.path(), |trainer| trainer.epochs(1).batch(8).restart()).unwrap();
    assert_eq!((anew.resumed_at, anew.epochs), (None, 1));
    let previous = out.path().join("previous.checkpoint.safetensors");
    assert!(previous.exists());
    let fresh = Out::new();
    with_settings(fresh.path(), |trainer| trainer.epochs(1).batch(8)).unwrap();
    fs::remove_file(previous).unwrap();
    assert_same_files(out.path(), fresh.path());
}

#[test]
fn a_damaged_checkpoint_is_an_error_and_stays() {
    let out = Out::new();
    with_settings(out.path(), |trainer| trainer.epochs(1)).unwrap();
    let path = out.path().join("checkpoint.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let message = with_settings(out.path(), |trainer| trainer.epochs(2)).unwrap_err().to_string();
    assert!(message.contains("checkpoint.safetensors"), "{message}");
    assert!(fs::read(&path).unwrap() == bytes);
}

/// A run with an observer that has a state, in a folder without the files of a `RunFolder`. Returns whether it is complete.
fn observed(out: &Path, until: u64) -> bool {
    let (train, held_out) = patterns();
    let mut parameters = Parameters::new();
    let model = Autoencoder::new(&mut parameters);
    let (mut steps, mut totals) = (0, TotalsFile::new(out.join("totals.csv"), "loss", ["train", "test"]));
    let report = trainer(&held_out, out)
        .validate_with(|parameters| Ok(vec![("elements".into(), parameters.iter().count() as f64)]))
        .checkpoints(out)
        .observe(&mut totals)
        .epochs(3)
        .on_step(|_| {
            steps += 1;
            if steps == until { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .fit(&mut parameters, &train, |record| model.record(record))
        .unwrap();
    assert_eq!(totals.history().rows().len() as u64, report.epochs);
    report.outcome == Outcome::Completed
}

#[test]
fn the_state_of_an_observer_is_in_the_checkpoint() {
    let (whole, resumed) = (Out::new(), Out::new());
    for out in [&whole, &resumed] {
        fs::create_dir_all(out.path()).unwrap();
    }
    assert!(observed(whole.path(), 1000));
    while !observed(resumed.path(), 4) {}
    let read = |out: &Out| fs::read_to_string(out.path().join("totals.csv")).unwrap();
    assert_eq!(read(&whole), read(&resumed));
    assert!(read(&whole).lines().skip(1).all(|line| line.ends_with(",8")), "{}", read(&whole));
    assert!(whole.path().join("graph.svg").exists() && !whole.path().join("metrics.csv").exists());
}
