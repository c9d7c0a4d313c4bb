//! Processes that are killed or asked to end leave runs that resume to the bit.

use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use crate::common::{Autoencoder, Out, assert_same_files, patterns, trainer};
use stochgrad_nn::Parameters;
use stochgrad_tensor::random::{Key, address_hash};
use stochgrad_train::{Outcome, Report, Span, TrainError, TrainResult};

/// The folder in which a child process trains.
const FOLDER: &str = "STOCHGRAD_TRAIN_TEST_FOLDER";

/// The number of epochs, of six steps each, of the run in a child process.
const EPOCHS: &str = "STOCHGRAD_TRAIN_TEST_EPOCHS";

fn run(out: &Path, epochs: u64) -> TrainResult<Report> {
    let (train, held_out) = patterns();
    let mut parameters = Parameters::new();
    let model = Autoencoder::new(&mut parameters);
    trainer(&held_out, out)
        .epochs(epochs)
        .checkpoint_every(Span::Steps(1))
        .fit(&mut parameters, &train, |record| model.record(record))
}

/// Trains if this process is the child of another test.
#[test]
fn child() {
    let (Ok(folder), Ok(epochs)) = (std::env::var(FOLDER), std::env::var(EPOCHS)) else { return };
    let run = || run(folder.as_ref(), epochs.parse().unwrap());
    let report = run().unwrap();
    // After a signal, no further run starts.
    let status = match report.outcome {
        Outcome::Completed => 0,
        Outcome::Interrupted if matches!(run(), Err(TrainError::Interrupted)) => 3,
        _ => 4,
    };
    std::process::exit(status);
}

fn spawn(folder: &Path, epochs: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["kill::child", "--exact", "--quiet"]).env(FOLDER, folder).env(EPOCHS, epochs.to_string());
    command.spawn().unwrap()
}

/// Kills runs at random moments until there were as many kills, and compares each with a whole run.
fn killed_runs_equal_a_whole_one(kills: u64) {
    const EPOCHS: u64 = 60;
    const LONGEST: Duration = Duration::from_millis(150);
    let whole = Out::new();
    run(whole.path(), EPOCHS).unwrap();
    let mut moments = vec![0.0_f64; kills as usize];
    Key::new(7, 0, address_hash("kill", &[])).uniform(0, &mut moments);
    let mut moments = moments.into_iter().peekable();
    while moments.peek().is_some() {
        let killed = Out::new();
        let mut is_complete = false;
        while !is_complete {
            let mut child = spawn(killed.path(), EPOCHS);
            if let Some(moment) = moments.next() {
                std::thread::sleep(LONGEST.mul_f64(moment));
                child.kill().unwrap();
            }
            is_complete = child.wait().unwrap().success();
        }
        // A killed process may leave a temporary file; the next write of the same file removes it.
        assert_same_files(whole.path(), killed.path());
    }
}

#[test]
fn runs_that_are_killed_ten_times_equal_a_whole_one() {
    killed_runs_equal_a_whole_one(10);
}

#[test]
#[ignore = "takes minutes"]
fn runs_that_are_killed_three_hundred_times_equal_a_whole_one() {
    killed_runs_equal_a_whole_one(300);
}

#[cfg(feature = "signals")]
#[test]
fn a_run_that_is_asked_to_end_leaves_a_checkpoint_and_resumes() {
    use std::fs;
    use std::time::Instant;

    let (whole, asked) = (Out::new(), Out::new());
    let epochs = 20;
    run(whole.path(), epochs).unwrap();
    for signal in ["-TERM", "-INT"] {
        let mut child = spawn(asked.path(), epochs);
        let checkpoint = asked.path().join("checkpoint.safetensors");
        let before = fs::read(&checkpoint).ok();
        let started = Instant::now();
        // The run is under way once it has written a further checkpoint.
        while fs::read(&checkpoint).ok() == before && started.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(3), "{signal}: {status}");
    }
    assert!(spawn(asked.path(), epochs).wait().unwrap().success());
    assert_same_files(whole.path(), asked.path());
}
