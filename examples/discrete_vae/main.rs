//! A variational autoencoder with discrete latent variables, trained on handwritten digits.
//!
//! ```text
//! cargo run --release --example discrete_vae -- --help
//! ```
//!
//! `model.rs` and the function `step` in `training.rs` are what a program of one's own needs; the rest is the program
//! around them.

mod annealing;
mod arguments;
mod artefacts;
mod checkpoint;
mod code;
mod curve;
mod evaluation;
mod folders;
mod images;
mod latent;
mod method_name;
mod model;
mod output;
mod pictures;
mod progress;
mod report;
mod run;
mod run_error;
mod settings;
mod size_limits;
mod training;
mod usage_error;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;

use crate::arguments::Arguments;
use crate::run::Outcome;
use crate::run_error::RunError;

/// The exit code of a run that Ctrl-C stopped, as shells have it: 128 and the signal's number.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match try_main() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}

fn try_main() -> Result<ExitCode, RunError> {
    let settings = Arguments::parse().resolve()?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .map_err(|source| RunError::System { what: "listen for Ctrl-C", source: source.into() })?;
    match run::run(&settings, &|| interrupted.load(Ordering::Relaxed))? {
        Outcome::Finished(results) => {
            // A closed pipe is no failure: the same numbers are in the files.
            let _ = results.summary.write_table(&mut io::stdout());
            let _ = report::write_comparisons(&results.comparisons, &mut io::stdout());
            let _ = report::write_files(&results.files, &mut io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Interrupted { epochs: 0 } => {
            eprintln!("stopped before the first epoch was done; there is no checkpoint to go on from");
            Ok(INTERRUPTED.into())
        }
        Outcome::Interrupted { epochs } => {
            let checkpoint = checkpoint::path(&settings);
            eprintln!("{} holds the run after {epochs} epochs", checkpoint.display());
            eprintln!("go on with the same command line and --resume");
            Ok(INTERRUPTED.into())
        }
    }
}
