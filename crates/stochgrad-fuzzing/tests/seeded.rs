//! Each fuzz target on a bounded number of seeded inputs, with the time that an input may take.
//!
//! `FUZZ_INPUTS=100000` replaces the number of inputs of each target.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use stochgrad_fuzzing::{
    Inputs, Outcome, checkpoint, checkpoint_file, command_line, distribution, graph, idx, idx_file,
};

/// The longest time for one input.
const LIMIT: Duration = Duration::from_secs(20);

/// The number of failures that are reported.
const MOST_FAILURES: usize = 200;

/// Calls a target with inputs on another thread, so that an input that takes too long is reported. Returns the numbers
/// of accepted and refused inputs.
fn run(
    corpus: impl FnOnce(&Path) -> Vec<Vec<u8>>,
    inputs: usize,
    target: impl Fn(&[u8], &Path) -> Outcome + Send + 'static,
) -> [usize; 2] {
    let inputs = std::env::var("FUZZ_INPUTS").map_or(inputs, |text| text.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = folder.path().to_owned();
    let (jobs, received) = channel::<Vec<u8>>();
    let (done, outcomes) = channel();
    let worker = std::thread::spawn(move || {
        for bytes in received {
            let outcome = catch_unwind(AssertUnwindSafe(|| target(&bytes, &place)));
            let _ = done.send(outcome.map_err(|panic| message(&*panic)));
        }
    });
    let (mut counts, mut failures) = ([0; 2], Vec::new());
    for (number, bytes) in Inputs::new(corpus(folder.path()), 11).take(inputs).enumerate() {
        jobs.send(bytes.clone()).expect("a worker");
        match outcomes.recv_timeout(LIMIT) {
            Ok(Ok(Outcome::Accepted)) => counts[0] += 1,
            Ok(Ok(Outcome::Refused)) => counts[1] += 1,
            Ok(Err(message)) => failures.push(format!("input {number}: {message}\n{bytes:?}")),
            Err(_) => {
                failures.push(format!("input {number} takes more than {LIMIT:?}\n{bytes:?}"));
                break;
            }
        }
        if failures.len() == MOST_FAILURES {
            break;
        }
    }
    assert!(failures.is_empty(), "{} failures\n\n{}", failures.len(), failures.join("\n\n"));
    drop(jobs);
    worker.join().expect("a worker without a panic");
    counts
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

#[test]
fn idx_files() {
    let [accepted, refused] = run(idx_file, 3000, idx);
    assert!(accepted > 100 && refused > 1000, "{accepted}, {refused}");
}

#[test]
fn checkpoints() {
    let [accepted, refused] = run(checkpoint_file, 3000, checkpoint);
    assert!(accepted > 100 && refused > 1000, "{accepted}, {refused}");
}

#[test]
fn command_lines() {
    let [accepted, refused] = run(|_| Vec::new(), 3000, command_line);
    assert!(accepted > 100 && refused > 1000, "{accepted}, {refused}");
}

#[test]
fn graphs() {
    let [accepted, refused] = run(|_| Vec::new(), 150, |bytes, _| graph(bytes));
    assert!(accepted > 30 && refused > 10, "{accepted}, {refused}");
}

#[test]
fn distributions() {
    let [accepted, refused] = run(|_| Vec::new(), 3000, |bytes, _| distribution(bytes));
    assert!(accepted > 500 && refused > 500, "{accepted}, {refused}");
}
