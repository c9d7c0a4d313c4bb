//! The files of a run: its checkpoint, its settings and its parameters.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use stochgrad_nn::{Checkpoint, Optimizer, Parameters, Step, TrainingState, remove_unfinished, write_atomically};
use stochgrad_tensor::Real;

use super::run_state::RunState;
use super::settings::differences;
use crate::error::{TrainError, TrainResult};
use crate::observer::Observer;

const CHECKPOINT: &str = "checkpoint.safetensors";
const PREVIOUS: &str = "previous.checkpoint.safetensors";
const PARAMETERS: &str = "parameters.safetensors";
const SETTINGS: &str = "settings.toml";
const GRAPH: &str = "graph.svg";

/// The prefix of the settings in the metadata of a checkpoint.
const PREFIX: &str = "run/settings/";

/// The output folder of a run.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder, and removes what killed processes left in it.
    pub(super) fn open(path: &Path) -> TrainResult<Self> {
        let hint = "check the path and the permissions of the folder above";
        fs::create_dir_all(path).map_err(|source| TrainError::io("make", path, hint, source))?;
        let folder = Folder { path: path.into() };
        [CHECKPOINT, PARAMETERS, SETTINGS, GRAPH]
            .into_iter()
            .for_each(|name| remove_unfinished(folder.path.join(name)));
        Ok(folder)
    }

    pub(super) fn checkpoint(&self) -> PathBuf {
        self.path.join(CHECKPOINT)
    }

    pub(super) fn has_checkpoint(&self) -> bool {
        self.checkpoint().exists()
    }

    /// Renames the checkpoint of an earlier run, so that this run begins anew, also if it is killed before its first
    /// checkpoint.
    pub(super) fn set_checkpoint_aside(&self) -> TrainResult<()> {
        let (from, to) = (self.checkpoint(), self.path.join(PREVIOUS));
        fs::rename(&from, to).map_err(|source| TrainError::io("rename", &from, "check the permissions", source))
    }

    pub(super) fn save_graph(&self, svg: &str) -> TrainResult<()> {
        Ok(write_atomically(self.path.join(GRAPH), |file| file.write_all(svg.as_bytes()))?)
    }

    pub(super) fn save_parameters<F: Real>(&self, parameters: &Parameters<F>) -> TrainResult<()> {
        let mut checkpoint = Checkpoint::new();
        parameters.save_to(&mut checkpoint)?;
        Ok(checkpoint.save(self.path.join(PARAMETERS))?)
    }

    pub(super) fn save_settings(&self, settings: &BTreeMap<String, String>) -> TrainResult<()> {
        let mut text = String::new();
        for (name, value) in settings {
            let is_bare = value.parse::<i64>().is_ok() || value == "true" || value == "false";
            let value = if is_bare { value.clone() } else { quoted(value) };
            text += &format!("{} = {value}\n", quoted(name));
        }
        Ok(write_atomically(self.path.join(SETTINGS), |file| file.write_all(text.as_bytes()))?)
    }
}

/// A string of a TOML file.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            character if character.is_control() => quoted += &format!("\\u{:04X}", u32::from(character)),
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// The checkpoint of a run, without the states of its observers.
pub(super) fn of_run<F: Real>(
    seed: u64,
    state: &RunState<F>,
    settings: &BTreeMap<String, String>,
    parameters: &Parameters<F>,
    optimizer: &dyn Optimizer<F>,
    step: &Step<'_, F>,
) -> TrainResult<Checkpoint> {
    let mut training = TrainingState::new(seed);
    (training.step, training.epoch) = (state.step, state.epoch);
    step.remember(&mut training);
    let mut checkpoint = training.to_checkpoint(parameters, optimizer)?;
    state.save(&mut checkpoint)?;
    settings.iter().try_for_each(|(name, value)| checkpoint.set_metadata(format!("{PREFIX}{name}"), value))?;
    Ok(checkpoint)
}

/// Restores parameters, optimiser, and the states of the gradient methods and observers, and returns the rest.
///
/// # Errors
///
/// For other settings, and for a checkpoint that does not fit the model or an observer. No file is changed in this case.
pub(super) fn load<F: Real>(
    path: &Path,
    settings: &BTreeMap<String, String>,
    parameters: &mut Parameters<F>,
    optimizer: &mut dyn Optimizer<F>,
    step: &mut Step<'_, F>,
    observers: &mut [Box<dyn Observer + '_>],
) -> TrainResult<RunState<F>> {
    let checkpoint = Checkpoint::load(path)?;
    let saved = checkpoint.all_metadata().iter().filter_map(|(name, value)| {
        let name = name.strip_prefix(PREFIX)?;
        Some((name.to_owned(), value.clone()))
    });
    let differences = differences(&saved.collect(), settings);
    if !differences.is_empty() {
        return Err(TrainError::OtherRun { path: path.into(), differences });
    }
    let counters = |name: &str| checkpoint.u64s(name).map(|numbers| numbers.first().copied().unwrap_or_default());
    let counters = [counters("training/step")?, counters("training/epoch")?];
    let state = RunState::load(&checkpoint, counters, parameters)?;
    let training = TrainingState::from_checkpoint(&checkpoint, parameters, optimizer)?;
    step.recall(&training)?;
    observers.iter_mut().try_for_each(|observer| observer.load(&checkpoint))?;
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_settings_are_quoted() {
        assert_eq!(quoted("a \"b\" \\ \n"), r#""a \"b\" \\ \u000A""#);
        let folder = tempfile::tempdir().unwrap();
        let settings = [("batch", "50"), ("monitor", "kl \"z\""), ("shuffle", "true"), ("learning_rate", "0.001")];
        let settings = settings.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Folder::open(folder.path()).unwrap().save_settings(&settings).unwrap();
        let text = fs::read_to_string(folder.path().join(SETTINGS)).unwrap();
        let expected =
            "\"batch\" = 50\n\"learning_rate\" = \"0.001\"\n\"monitor\" = \"kl \\\"z\\\"\"\n\"shuffle\" = true\n";
        assert_eq!(text, expected);
    }
}
