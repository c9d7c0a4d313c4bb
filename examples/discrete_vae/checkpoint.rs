//! The checkpoint of a run, from which it goes on bit for bit as if it had never stopped.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use stochgrad::nn::{Checkpoint, TrainingState};

use crate::code::Code;
use crate::output::OutputError;
use crate::run_error::RunError;
use crate::settings::Settings;
use crate::training::Training;
use crate::usage_error::UsageError;

/// The address of the stochastic node, under which its method's state is kept.
const NODE: &str = "z";
const SETTINGS: &str = "run";
const TRAINING_SECONDS: &str = "training_seconds";
const ELAPSED_SECONDS: &str = "elapsed_seconds";

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progressed {
    /// Epochs done.
    pub(crate) epochs: usize,
    /// Training steps done.
    pub(crate) steps: usize,
    /// Time spent on these steps alone.
    pub(crate) training: Duration,
    /// Time spent on training and tests.
    pub(crate) elapsed: Duration,
}

/// Where the checkpoint of a run is.
pub(crate) fn path(settings: &Settings) -> PathBuf {
    settings.out.join("checkpoint.safetensors")
}

/// Saves where a training stands, whole or not at all.
///
/// # Errors
/// A file that cannot be written.
pub(crate) fn save<C: Code>(training: &Training<'_, C>, settings: &Settings) -> Result<(), RunError> {
    let mut state = TrainingState::new(settings.seed);
    state.epoch = training.done.epochs as u64;
    state.step = training.done.steps as u64;
    state.remember(NODE, &training.method);
    for (key, value) in [
        (SETTINGS, settings.to_json().to_string()),
        (TRAINING_SECONDS, training.done.training.as_secs_f64().to_string()),
        (ELAPSED_SECONDS, training.done.elapsed.as_secs_f64().to_string()),
    ] {
        state.settings.insert(key.to_owned(), value);
    }
    Ok(state.save(path(settings), &training.parameters, &training.optimizer)?)
}

/// Takes a training to where it was saved.
///
/// # Errors
/// A file that cannot be read, is damaged, or belongs to a run with other settings; then the training must not be used.
pub(crate) fn load<C: Code>(training: &mut Training<'_, C>, settings: &Settings) -> Result<(), RunError> {
    let checkpoint = Checkpoint::load(path(settings))?;
    settings.check_resumable(&saved_settings(&checkpoint)?)?;
    let state = TrainingState::from_checkpoint(&checkpoint, &mut training.parameters, &mut training.optimizer)?;
    state.recall(NODE, &training.method)?;
    let count = |number: u64, key| {
        usize::try_from(number).map_err(|_| UsageError::Saved { key, expected: "a count", found: number.to_string() })
    };
    training.done = Progressed {
        epochs: count(state.epoch, "epoch")?,
        steps: count(state.step, "step")?,
        training: duration(&state, TRAINING_SECONDS)?,
        elapsed: duration(&state, ELAPSED_SECONDS)?,
    };
    Ok(())
}

fn saved_settings(checkpoint: &Checkpoint) -> Result<Settings, RunError> {
    let text = checkpoint.required_metadata(&format!("settings/{SETTINGS}"))?;
    let json = serde_json::from_str(text);
    let json = json.map_err(|_| UsageError::Saved { key: SETTINGS, expected: "JSON", found: text.to_owned() })?;
    Ok(Settings::from_json(&json)?)
}

fn duration(state: &TrainingState, key: &'static str) -> Result<Duration, UsageError> {
    let text = state.settings.get(key).map_or("nothing", String::as_str);
    let duration = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| UsageError::Saved { key, expected: "a number of seconds", found: text.to_owned() })
}

/// Renames what an earlier run would need to be resumed, so that a fresh run in its folder does not destroy it.
///
/// # Errors
/// A file that cannot be renamed.
pub(crate) fn set_aside(settings: &Settings) -> Result<(), RunError> {
    for file in ["checkpoint.safetensors", "metrics.csv"] {
        let from = settings.out.join(file);
        match fs::rename(&from, settings.out.join(format!("previous.{file}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(OutputError::io("rename", &from)(error).into());
            }
            _ => {}
        }
    }
    Ok(())
}
