//! `metrics.csv`: the measurements of a run, one line for each epoch and each evaluation.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use stochgrad_nn::write_atomically;

use super::history::History;
use crate::error::{TrainError, TrainResult};
use crate::metrics::Metrics;
use crate::observer::{Observer, RunStart};

/// What to try with a file that does not belong to the checkpoint.
pub(super) const RESTORE: &str = "restore the file that belongs to the checkpoint, or start the run anew";

/// Writes the measurements of a run to a file of comma-separated values; [`History`] describes the columns.
///
/// A line is appended for each [`Metrics`], so that other programs can follow the file. The file contains no times: that
/// of a run that was killed and resumed equals, byte for byte, that of an uninterrupted run.
///
/// ```
/// use stochgrad_train::{Metrics, Observer, RunStart};
/// use stochgrad_train::output::MetricsFile;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("metrics.csv");
/// let mut file = MetricsFile::new(&path);
/// file.start(&RunStart::default())?;
/// let mut metrics = Metrics::default();
/// (metrics.step, metrics.epoch, metrics.learning_rate) = (30, 1, 0.001);
/// metrics.training = vec![("reconstruction".into(), 20.5), ("kl".into(), 1.25)];
/// file.metrics(&metrics)?;
/// assert_eq!(
///     std::fs::read_to_string(&path)?,
///     "step,epoch,learning_rate,training,training/reconstruction,training/kl\n30,1,0.001,21.75,20.5,1.25\n",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MetricsFile {
    path: PathBuf,
    /// The file at its end, once it was written.
    file: Option<File>,
    /// Whether lines were appended that may not be on the disk.
    is_unsynced: bool,
    history: History,
}

impl MetricsFile {
    /// A file at a path, in a folder that exists.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: None, is_unsynced: false, history: History::new() }
    }

    /// All measurements in the file, including those before the run was resumed.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Writes the whole file.
    fn rewrite(&mut self) -> TrainResult<()> {
        let text = self.history.to_csv();
        (self.file, self.is_unsynced) = (None, false);
        write_atomically(&self.path, |file| file.write_all(text.as_bytes()))?;
        let opened = OpenOptions::new().append(true).open(&self.path);
        self.file = Some(opened.map_err(|error| io("open", &self.path, error))?);
        Ok(())
    }
}

/// Reads the table of a run that is resumed.
fn read(path: &Path) -> TrainResult<History> {
    let text = fs::read_to_string(path).map_err(|error| io("read", path, error))?;
    History::from_csv(&text).map_err(|invalid| TrainError::content(path, invalid.expected, invalid.found, RESTORE))
}

/// An error of an operation on a file of a run.
pub(super) fn io(action: &'static str, path: &Path, error: std::io::Error) -> TrainError {
    let hint = "check the folder, its permissions and the free space, or start the run anew in another folder";
    TrainError::io(action, path, hint, error)
}

impl Observer for MetricsFile {
    fn start(&mut self, run: &RunStart<'_>) -> TrainResult<()> {
        self.history = match run.resumed_at {
            Some(step) => {
                let mut history = read(&self.path)?;
                history.cut_after(step);
                history
            }
            None => History::new(),
        };
        self.rewrite()
    }

    fn metrics(&mut self, metrics: &Metrics) -> TrainResult<()> {
        if self.history.push(metrics.clone()) {
            return self.rewrite();
        }
        let line = self.history.line(metrics);
        self.is_unsynced = true;
        match &mut self.file {
            Some(file) => file.write_all(line.as_bytes()).map_err(|error| io("append to", &self.path, error)),
            None => self.rewrite(),
        }
    }

    fn checkpoint(&mut self, _step: u64) -> TrainResult<()> {
        match &self.file {
            Some(file) if self.is_unsynced => file.sync_data().map_err(|error| io("write", &self.path, error))?,
            _ => {}
        }
        self.is_unsynced = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(epoch: u64) -> Metrics {
        let value = |x: f64| vec![("a".to_owned(), x), ("b".to_owned(), 1.0 / x)];
        let rate = 1e-3 / epoch as f64;
        Metrics {
            step: epoch * 30,
            epoch,
            training: value(epoch as f64),
            validation: epoch.is_multiple_of(3).then(|| value(0.1 * epoch as f64)),
            variances: if epoch > 5 { vec![("w".to_owned(), rate)] } else { Vec::new() },
            learning_rate: rate,
        }
    }

    fn run(file: &mut MetricsFile, resumed_at: Option<u64>, epochs: std::ops::Range<u64>) {
        file.start(&RunStart { resumed_at, ..RunStart::default() }).unwrap();
        for epoch in epochs {
            file.metrics(&metrics(epoch)).unwrap();
            file.checkpoint(30 * epoch).unwrap();
        }
    }

    #[test]
    fn a_resumed_file_equals_an_uninterrupted_one_wherever_it_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, cut) = (folder.path().join("whole.csv"), folder.path().join("cut.csv"));
        run(&mut MetricsFile::new(&whole), None, 1..9);
        let expected = fs::read(&whole).unwrap();
        for (resumed, killed, rest) in
            [(0, 0, ""), (0, 4, "1"), (2, 4, "150,5,"), (3, 8, ""), (5, 5, "9\n"), (7, 8, "")]
        {
            run(&mut MetricsFile::new(&cut), None, 1..killed + 1);
            let rest = if rest.ends_with('\n') { "" } else { rest };
            fs::write(&cut, fs::read_to_string(&cut).unwrap() + rest).unwrap();
            let mut file = MetricsFile::new(&cut);
            run(&mut file, Some(30 * resumed), resumed + 1..9);
            assert_eq!(fs::read(&cut).unwrap(), expected, "{resumed} {killed}");
            assert_eq!(file.history().rows().len(), 8);
        }
    }

    #[test]
    fn a_new_run_replaces_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        run(&mut MetricsFile::new(&path), None, 1..4);
        run(&mut MetricsFile::new(&path), None, 1..1);
        assert_eq!(fs::read_to_string(&path).unwrap(), "step,epoch,learning_rate\n");
    }

    #[test]
    fn a_file_that_does_not_fit_is_an_error_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let start = RunStart { resumed_at: Some(30), ..RunStart::default() };
        let error = MetricsFile::new(&path).start(&start).unwrap_err().to_string();
        assert!(error.contains("metrics.csv") && error.contains("start the run anew"), "{error}");
        fs::write(&path, "a,b\n").unwrap();
        let error = MetricsFile::new(&path).start(&start).unwrap_err().to_string();
        assert!(error.contains("\"step\""), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "a,b\n");
    }
}
