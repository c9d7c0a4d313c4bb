//! A variational autoencoder with discrete latent variables, trained on handwritten digits, with any gradient method.
//!
//! ```text
//! cargo run --release --example discrete_vae -- --help
//! ```
//!
//! `model.rs` has the model, and `run.rs` trains it. `vae.rs` is a smaller program of this kind.

mod arguments;
mod data;
mod method_name;
mod model;
mod run;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;

fn main() -> ExitCode {
    match Arguments::try_parse().map_err(Into::into).and_then(|arguments| run::run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        // Ctrl-C: 128 plus the number of the signal, as in shells.
        Ok(false) => ExitCode::from(130),
        Err(error) => {
            // An error of the command line has exit code 2.
            let error = error.downcast::<clap::Error>().map_or_else(|error| error, |usage| usage.exit());
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
