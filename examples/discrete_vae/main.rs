//! A variational autoencoder with discrete latent variables, trained on handwritten digits.
//!
//! ```text
//! cargo run --release --example discrete_vae -- --help
//! ```
//!
//! Your own program needs the equivalent of `model.rs` and of the function `train` in `training.rs`. The other files
//! handle the command line, data, checkpoints and results.

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

/// The exit code of a run that was stopped by Ctrl-C: 128 plus the number of the signal, as in shells.
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
            // A closed pipe is not a failure, because the files contain the same results.
            let _ = results.summary.write_table(&mut io::stdout());
            let _ = report::write_comparisons(&results.comparisons, &mut io::stdout());
            let _ = report::write_files(&results.files, &mut io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Interrupted { epochs: 0 } => {
            eprintln!("stopped before the end of the first epoch: there is no checkpoint to continue from");
            Ok(INTERRUPTED.into())
        }
        Outcome::Interrupted { epochs } => {
            let checkpoint = checkpoint::path(&settings);
            eprintln!("saved the run after {epochs} epochs to {}", checkpoint.display());
            eprintln!("to continue, repeat the command line and add --resume");
            Ok(INTERRUPTED.into())
        }
    }
}
