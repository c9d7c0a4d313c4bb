//! See `stochgrad_fuzzing::command_line`. The command line is that of the example `discrete_vae`, whose files are part of
//! this target.

#![no_main]
#![allow(dead_code)]

#[path = "../../examples/discrete_vae/annealing.rs"]
mod annealing;
#[path = "../../examples/discrete_vae/arguments/mod.rs"]
mod arguments;
#[path = "../../examples/discrete_vae/folders.rs"]
mod folders;
#[path = "../../examples/discrete_vae/latent.rs"]
mod latent;
#[path = "../../examples/discrete_vae/method_name.rs"]
mod method_name;
#[path = "../../examples/discrete_vae/settings.rs"]
mod settings;
#[path = "../../examples/discrete_vae/size_limits.rs"]
mod size_limits;
#[path = "../../examples/discrete_vae/usage_error.rs"]
mod usage_error;

use std::sync::LazyLock;

use clap::Parser;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));

fuzz_target!(|bytes: &[u8]| {
    stochgrad_fuzzing::command_line(bytes, FOLDER.path(), |words| {
        let arguments = arguments::Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        let settings = arguments.resolve().map_err(|error| error.to_string())?;
        let again = settings::Settings::from_json(&settings.to_json());
        assert!(again.is_ok(), "settings that a checkpoint cannot hold: {settings:?}");
        Ok::<(), String>(())
    });
});
