//! Event files for TensorBoard.

mod event;
mod record;

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use stochgrad_nn::write_atomically;

use super::metrics_file::{RESTORE, io};
use crate::error::{TrainError, TrainResult};
use crate::metrics::{Metrics, total};
use crate::observer::{Observer, RunStart};
use record::{read_record, write_record};

/// The name of an event file. TensorBoard takes all files whose name contains `tfevents`.
const NAME: &str = "events.out.tfevents.stochgrad";

/// Writes the measurements of a run for [TensorBoard](https://www.tensorflow.org/tensorboard).
///
/// `tensorboard --logdir FOLDER` shows a chart for each cost with two lines, `training` and `validation`, and charts of
/// the learning rate and the variances of gradients. A run that is resumed cuts off the events after its checkpoint, so
/// that each step occurs once.
///
/// ```
/// use stochgrad_train::{Metrics, Observer, RunStart};
/// use stochgrad_train::output::TensorBoard;
///
/// let folder = tempfile::tempdir()?;
/// let mut events = TensorBoard::new(folder.path());
/// events.start(&RunStart::default())?;
/// let mut metrics = Metrics::default();
/// (metrics.step, metrics.training) = (30, vec![("reconstruction".into(), 20.5)]);
/// events.metrics(&metrics)?;
/// assert!(folder.path().join("training/events.out.tfevents.stochgrad").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TensorBoard {
    training: EventFile,
    validation: EventFile,
}

impl TensorBoard {
    /// Events in the folders `training` and `validation` of a folder. The folders are created.
    pub fn new(folder: impl AsRef<Path>) -> Self {
        let file =
            |part: &str| EventFile { path: folder.as_ref().join(part).join(NAME), file: None, is_unsynced: false };
        Self { training: file("training"), validation: file("validation") }
    }
}

impl Observer for TensorBoard {
    fn start(&mut self, run: &RunStart<'_>) -> TrainResult<()> {
        self.training.start(run.resumed_at)?;
        self.validation.start(run.resumed_at)
    }

    fn metrics(&mut self, metrics: &Metrics) -> TrainResult<()> {
        let tags = |values: &[(String, f64)]| {
            let sum = (values.len() > 1).then(|| ("total".to_owned(), total(values)));
            values.iter().map(|(name, value)| (name.clone(), *value)).chain(sum).collect::<Vec<_>>()
        };
        let mut training = tags(&metrics.training);
        training.push(("learning rate".to_owned(), metrics.learning_rate));
        training.extend(metrics.variances.iter().map(|(name, value)| (format!("gradient variance/{name}"), *value)));
        self.training.push(metrics.step, &training)?;
        match &metrics.validation {
            Some(values) => self.validation.push(metrics.step, &tags(values)),
            None => Ok(()),
        }
    }

    fn checkpoint(&mut self, _step: u64) -> TrainResult<()> {
        self.training.sync()?;
        self.validation.sync()
    }
}

/// One file of events.
#[derive(Debug)]
struct EventFile {
    path: PathBuf,
    /// The file at its end, once the run has started.
    file: Option<File>,
    /// Whether events were appended that may not be on the disk.
    is_unsynced: bool,
}

impl EventFile {
    /// Starts the file, with the events up to a step if the run is resumed there.
    fn start(&mut self, resumed_at: Option<u64>) -> TrainResult<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(|error| io("create", folder, error))?;
        }
        let content = match resumed_at {
            Some(step) => self.read(step)?,
            None => new_file(),
        };
        (self.file, self.is_unsynced) = (None, false);
        write_atomically(&self.path, |file| file.write_all(&content))?;
        let opened = OpenOptions::new().append(true).open(&self.path);
        self.file = Some(opened.map_err(|error| io("open", &self.path, error))?);
        Ok(())
    }

    /// The events up to a step. A file that was removed begins anew.
    fn read(&self, step: u64) -> TrainResult<Vec<u8>> {
        match fs::read(&self.path) {
            Ok(content) => kept(&content, step).ok_or_else(|| {
                TrainError::content(&self.path, "the events of the run that is resumed", "another content", RESTORE)
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(new_file()),
            Err(error) => Err(io("read", &self.path, error)),
        }
    }

    fn push(&mut self, step: u64, values: &[(String, f64)]) -> TrainResult<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut bytes = Vec::new();
        let values = values.iter().map(|(name, value)| (name.as_str(), *value));
        write_record(&mut bytes, &event::scalars(now(), step, values));
        self.is_unsynced = true;
        file.write_all(&bytes).map_err(|error| io("append to", &self.path, error))
    }

    fn sync(&mut self) -> TrainResult<()> {
        match &self.file {
            Some(file) if self.is_unsynced => file.sync_data().map_err(|error| io("write", &self.path, error))?,
            _ => {}
        }
        self.is_unsynced = false;
        Ok(())
    }
}

/// A file without scalars.
fn new_file() -> Vec<u8> {
    let mut content = Vec::new();
    write_record(&mut content, &event::version(now()));
    content
}

/// The records up to a step. What follows the first incomplete record was not written completely. `None` if there is no
/// record, or one of another program.
fn kept(content: &[u8], last: u64) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    let mut rest = content;
    while let Some((data, size)) = read_record(rest) {
        if event::step(data)? <= last {
            kept.extend(&rest[..size]);
        }
        rest = &rest[size..];
    }
    (!kept.is_empty()).then_some(kept)
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(epoch: u64) -> Metrics {
        let validation = epoch.is_multiple_of(2).then(|| vec![("kl".to_owned(), 3.0)]);
        let training = vec![("kl".to_owned(), epoch as f64), ("nats".to_owned(), 0.5)];
        Metrics { step: 10 * epoch, epoch, training, validation, ..Metrics::default() }
    }

    fn steps(path: &Path) -> Vec<u64> {
        let content = fs::read(path).unwrap();
        let (mut rest, mut steps) = (&content[..], Vec::new());
        while let Some((data, size)) = read_record(rest) {
            steps.push(event::step(data).unwrap());
            rest = &rest[size..];
        }
        assert!(rest.is_empty());
        steps
    }

    #[test]
    fn a_resumed_run_has_each_step_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = |part: &str| folder.path().join(part).join(NAME);
        let mut events = TensorBoard::new(folder.path());
        events.start(&RunStart::default()).unwrap();
        (1..=5).for_each(|epoch| events.metrics(&metrics(epoch)).unwrap());
        assert_eq!(steps(&file("training")), [0, 10, 20, 30, 40, 50]);
        assert_eq!(steps(&file("validation")), [0, 20, 40]);
        drop(events);
        // The process was killed while it wrote an event.
        let content = fs::read(file("training")).unwrap();
        fs::write(file("training"), &content[..content.len() - 3]).unwrap();

        let mut events = TensorBoard::new(folder.path());
        events.start(&RunStart { resumed_at: Some(30), ..RunStart::default() }).unwrap();
        assert_eq!(steps(&file("training")), [0, 10, 20, 30]);
        (4..=6).for_each(|epoch| events.metrics(&metrics(epoch)).unwrap());
        events.checkpoint(60).unwrap();
        assert_eq!(steps(&file("training")), [0, 10, 20, 30, 40, 50, 60]);
        assert_eq!(steps(&file("validation")), [0, 20, 40, 60]);
    }

    #[test]
    fn other_files_are_errors_and_stay() {
        let folder = tempfile::tempdir().unwrap();
        let resumed = RunStart { resumed_at: Some(30), ..RunStart::default() };
        let path = folder.path().join("training").join(NAME);
        TensorBoard::new(folder.path()).start(&resumed).unwrap();
        assert_eq!(steps(&path), [0]);
        fs::write(&path, "text").unwrap();
        let error = TensorBoard::new(folder.path()).start(&resumed).unwrap_err().to_string();
        assert!(error.contains("another content"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"text");
    }
}
