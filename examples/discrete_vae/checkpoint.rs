//! The checkpoint of a run. A resumed run has the same results, bit for bit, as an uninterrupted one.

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

const SETTINGS: &str = "run";
const TRAINING_SECONDS: &str = "training_seconds";
const ELAPSED_SECONDS: &str = "elapsed_seconds";

/// The progress of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progressed {
    /// Completed epochs.
    pub(crate) epochs: usize,
    /// Completed training steps.
    pub(crate) steps: usize,
    /// Time spent on training steps.
    pub(crate) training: Duration,
    /// Time spent on training and evaluation.
    pub(crate) elapsed: Duration,
}

/// The path of the checkpoint of a run.
pub(crate) fn path(settings: &Settings) -> PathBuf {
    settings.out.join("checkpoint.safetensors")
}

/// Saves the state of a training atomically.
///
/// # Errors
/// Returns an error if the file cannot be written.
pub(crate) fn save<C: Code>(training: &Training<'_, C>, settings: &Settings) -> Result<(), RunError> {
    let mut state = TrainingState::new(settings.seed);
    state.epoch = training.done.epochs as u64;
    state.step = training.done.steps as u64;
    training.step.remember(&mut state);
    for (key, value) in [
        (SETTINGS, settings.to_json().to_string()),
        (TRAINING_SECONDS, training.done.training.as_secs_f64().to_string()),
        (ELAPSED_SECONDS, training.done.elapsed.as_secs_f64().to_string()),
    ] {
        state.settings.insert(key.to_owned(), value);
    }
    Ok(state.save(path(settings), &training.parameters, &training.optimizer)?)
}

/// Restores the state of a training.
///
/// # Errors
/// Returns an error if the file cannot be read, is damaged, or belongs to a run with other settings. The training must
/// not be used afterwards.
pub(crate) fn load<C: Code>(training: &mut Training<'_, C>, settings: &Settings) -> Result<(), RunError> {
    let checkpoint = Checkpoint::load(path(settings))?;
    settings.check_resumable(&saved_settings(&checkpoint)?)?;
    let state = TrainingState::from_checkpoint(&checkpoint, &mut training.parameters, &mut training.optimizer)?;
    training.step.recall(&state)?;
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

/// Renames the files from which an earlier run could be resumed, so that a new run in the same folder does not
/// overwrite them.
///
/// # Errors
/// Returns an error if a file cannot be renamed.
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
