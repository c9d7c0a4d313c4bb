//! The files of a run in one folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stochgrad_nn::remove_unfinished;

use super::history::History;
use super::metrics_file::MetricsFile;
use super::summary::save_summary;
use super::tensorboard::TensorBoard;
use crate::error::TrainResult;
use crate::metrics::Metrics;
use crate::observer::{Observer, RunStart};
use crate::report::Report;

/// The time between two drawings of the learning curves.
const REDRAWN: Duration = Duration::from_secs(30);

/// Writes the files of a run into a folder:
///
/// | file | content | written |
/// |---|---|---|
/// | `metrics.csv` | see [`MetricsFile`] | at each measurement |
/// | `tensorboard` | see [`TensorBoard`] | at each measurement |
/// | `curves.svg` | see [`save_curves`](super::save_curves); with the feature `plots` | twice a minute, and at the end |
/// | `summary.json` | see [`save_summary`] | at the end |
///
/// ```
/// use stochgrad_train::output::RunFolder;
/// use stochgrad_train::{Metrics, Observer, Report, RunStart};
///
/// let folder = tempfile::tempdir()?;
/// let mut files = RunFolder::new(folder.path()).title("a discrete VAE");
/// files.start(&RunStart::default())?;
/// files.metrics(&Metrics::default())?;
/// files.checkpoint(30)?;
/// files.finish(&Report::default())?;
/// assert!(folder.path().join("metrics.csv").exists() && folder.path().join("summary.json").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RunFolder {
    folder: PathBuf,
    #[cfg_attr(not(feature = "plots"), expect(dead_code, reason = "it is the title of the learning curves"))]
    title: String,
    metrics: MetricsFile,
    events: TensorBoard,
    settings: BTreeMap<String, String>,
    /// When the learning curves were drawn.
    drawn: Instant,
}

impl RunFolder {
    /// The files of a run in a folder that exists.
    pub fn new(folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        Self {
            title: "learning curves".to_owned(),
            metrics: MetricsFile::new(folder.join("metrics.csv")),
            events: TensorBoard::new(folder.join("tensorboard")),
            settings: BTreeMap::new(),
            drawn: Instant::now(),
            folder: folder.to_owned(),
        }
    }

    /// Sets the title of the picture of the learning curves.
    pub fn title(self, title: impl Into<String>) -> Self {
        Self { title: title.into(), ..self }
    }

    /// All measurements so far, including those before the run was resumed.
    pub fn history(&self) -> &History {
        self.metrics.history()
    }

    #[cfg(feature = "plots")]
    fn save_curves(&self) -> TrainResult<()> {
        super::curves::save_curves(self.folder.join("curves.svg"), &self.title, self.history())
    }

    #[cfg(not(feature = "plots"))]
    fn save_curves(&self) -> TrainResult<()> {
        Ok(())
    }
}

impl Observer for RunFolder {
    fn start(&mut self, run: &RunStart<'_>) -> TrainResult<()> {
        // A killed process may have left a part of them.
        for name in ["metrics.csv", "curves.svg", "summary.json"] {
            remove_unfinished(self.folder.join(name));
        }
        self.settings = run.settings.clone();
        self.metrics.start(run)?;
        self.events.start(run)
    }

    fn metrics(&mut self, metrics: &Metrics) -> TrainResult<()> {
        self.metrics.metrics(metrics)?;
        self.events.metrics(metrics)?;
        if self.drawn.elapsed() >= REDRAWN {
            self.save_curves()?;
            self.drawn = Instant::now();
        }
        Ok(())
    }

    fn checkpoint(&mut self, step: u64) -> TrainResult<()> {
        self.metrics.checkpoint(step)?;
        self.events.checkpoint(step)
    }

    fn finish(&mut self, report: &Report) -> TrainResult<()> {
        self.save_curves()?;
        save_summary(self.folder.join("summary.json"), report, &self.settings)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn run(folder: &Path, resumed_at: Option<u64>, epochs: std::ops::RangeInclusive<u64>) {
        let settings = [("seed".to_owned(), "7".to_owned())].into();
        let mut files = RunFolder::new(folder);
        files.start(&RunStart { resumed_at, settings: &settings, ..RunStart::default() }).unwrap();
        let mut last = Metrics::default();
        for epoch in epochs {
            let training = vec![("a".to_owned(), 1.0 / epoch as f64), ("b".to_owned(), epoch as f64)];
            last = Metrics { step: 30 * epoch, epoch, training, ..Metrics::default() };
            files.metrics(&last).unwrap();
            files.checkpoint(30 * epoch).unwrap();
        }
        files.finish(&Report { steps: last.step, last, ..Report::default() }).unwrap();
    }

    #[test]
    fn a_resumed_run_leaves_the_files_of_an_uninterrupted_one() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, cut) = (folder.path().join("whole/run"), folder.path().join("cut/run"));
        for folder in [&whole, &cut] {
            fs::create_dir_all(folder).unwrap();
        }
        run(&whole, None, 1..=9);
        run(&cut, None, 1..=6);
        run(&cut, Some(120), 5..=9);
        let names = [
            "metrics.csv",
            "summary.json",
            #[cfg(feature = "plots")]
            "curves.svg",
        ];
        for name in names {
            let read = |folder: &Path| fs::read_to_string(folder.join(name)).unwrap();
            assert!(read(&whole) == read(&cut), "{name}");
        }
        let summary: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(whole.join("summary.json")).unwrap()).unwrap();
        assert_eq!((&summary["settings"]["seed"], &summary["training"]["b"]), (&"7".into(), &9.0.into()));
    }
}
