//! The files of a run: its checkpoint, its settings and its parameters.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use stochgrad_nn::{Checkpoint, Optimizer, Parameters, Step, TrainingState, remove_unfinished, write_atomically};
use stochgrad_tensor::Real;
use toml::{Table, Value};

use super::run_state::RunState;
use super::settings::differences;
use crate::error::{TrainError, TrainResult};
use crate::observer::Observer;

const CHECKPOINT: &str = "checkpoint.safetensors";
const PREVIOUS: &str = "previous.checkpoint.safetensors";
const PARAMETERS: &str = "parameters.safetensors";
const SETTINGS: &str = "settings.toml";
const GRAPH: &str = "graph.svg";

/// The setting that may differ when a run is resumed.
pub(super) const LENGTH: &str = "length";

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

    /// The folder, which the first rank has made.
    pub(super) fn of_first_rank(path: &Path) -> Self {
        Folder { path: path.into() }
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

    pub(super) fn settings(&self) -> PathBuf {
        self.path.join(SETTINGS)
    }

    /// Writes settings as TOML: numbers and truth values as such, and everything else as strings.
    pub(super) fn save_settings(&self, settings: &BTreeMap<String, String>) -> TrainResult<()> {
        let value = |text: &String| match (text.parse::<i64>(), text.parse::<bool>()) {
            (Ok(number), _) if number.to_string() == *text => Value::Integer(number),
            (_, Ok(is_set)) => Value::Boolean(is_set),
            _ => Value::String(text.clone()),
        };
        let table: Table = settings.iter().map(|(name, text)| (name.clone(), value(text))).collect();
        Ok(write_atomically(self.settings(), |file| file.write_all(table.to_string().as_bytes()))?)
    }

    /// The settings that [`save_settings`](Self::save_settings) wrote; `None` without the file.
    fn load_settings(&self) -> TrainResult<Option<BTreeMap<String, String>>> {
        let path = self.settings();
        let hint = "check the permissions, or remove the file: the checkpoint has the settings, too";
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|source| TrainError::io("read", &path, hint, source))?,
        };
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            TrainError::content(&path, "settings in TOML, as written by a run", error.message(), hint)
        })?;
        let text = |value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Ok(Some(table.into_iter().map(|(name, value)| (name, text(value))).collect()))
    }

    /// Compares settings with those of the checkpoint and with those of the file, which may have been edited.
    ///
    /// # Errors
    ///
    /// If a setting differs that is not accepted, and for accepted names that no setting has.
    fn compare_settings(
        &self,
        checkpoint: &Checkpoint,
        settings: &BTreeMap<String, String>,
        accepted: &BTreeSet<String>,
    ) -> TrainResult<()> {
        let saved = checkpoint.all_metadata().iter().filter_map(|(name, value)| {
            let name = name.strip_prefix(PREFIX)?;
            Some((name.to_owned(), value.clone()))
        });
        let saved: BTreeMap<String, String> = saved.collect();
        if let Some(unknown) = accepted.iter().find(|&name| !saved.contains_key(name) && !settings.contains_key(name)) {
            let known: Vec<&str> = saved.keys().map(String::as_str).collect();
            let (expected, hint) = (format!("one of the settings {}", known.join(", ")), "check the spelling");
            return Err(TrainError::argument("`Trainer::accept_change`", expected, unknown, hint));
        }
        let in_file = self.load_settings()?.map(|mut in_file| {
            in_file.remove(LENGTH);
            in_file
        });
        for (path, expected) in [(self.checkpoint(), Some(saved)), (self.settings(), in_file)] {
            let differences = expected.map_or_else(Vec::new, |expected| differences(&expected, settings, accepted));
            if !differences.is_empty() {
                return Err(TrainError::OtherRun { path, differences });
            }
        }
        Ok(())
    }
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
    folder: &Folder,
    settings: &BTreeMap<String, String>,
    accepted: &BTreeSet<String>,
    parameters: &mut Parameters<F>,
    optimizer: &mut dyn Optimizer<F>,
    step: &mut Step<'_, F>,
    observers: &mut [Box<dyn Observer + '_>],
) -> TrainResult<RunState<F>> {
    let checkpoint = Checkpoint::load(folder.checkpoint())?;
    folder.compare_settings(&checkpoint, settings, accepted)?;
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

    fn map(settings: &[(&str, &str)]) -> BTreeMap<String, String> {
        settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn settings_are_toml_that_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::open(folder.path()).unwrap();
        assert_eq!(folder.load_settings().unwrap(), None);
        let settings =
            map(&[("batch", "50"), ("monitor", "kl \"z\""), ("shuffle", "true"), ("program.learning rate", "1e-3")]);
        folder.save_settings(&settings).unwrap();
        let text = fs::read_to_string(folder.settings()).unwrap();
        let expected = "batch = 50\nmonitor = 'kl \"z\"'\n\"program.learning rate\" = \"1e-3\"\nshuffle = true\n";
        assert_eq!(text, expected);
        assert_eq!(folder.load_settings().unwrap(), Some(settings));
        let odd =
            map(&[("a", "a \"b\" \\ \n \u{1}"), ("b", "007"), ("c", ""), ("d", "-5"), ("", "false"), ("ü=#", "1.50")]);
        folder.save_settings(&odd).unwrap();
        assert_eq!(folder.load_settings().unwrap(), Some(odd));
        fs::write(folder.settings(), "batch = = 3").unwrap();
        let message = folder.load_settings().unwrap_err().to_string();
        assert!(message.contains("settings.toml") && message.contains("settings in TOML"), "{message}");
    }
}
