//! A file with the total costs of each epoch, kept in the checkpoint.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use stochgrad_nn::{Checkpoint, write_atomically};
use stochgrad_tensor::Tensor;

use super::history::History;
use crate::error::TrainResult;
use crate::metrics::{Metrics, total};
use crate::observer::{Observer, RunStart, StepMetrics};

/// Writes the total costs of each measurement to a file of comma-separated values with four columns: `epoch`, `step`, and
/// two that the program names, of the training and of the validation. It also measures times.
///
/// The training column is the mean over the steps of their totals, each in the precision of the run. All of it is in the
/// checkpoint: a file that was lost or changed is written anew, and a resumed run has the times of the whole run.
///
/// ```
/// use stochgrad_train::output::TotalsFile;
/// use stochgrad_train::{Metrics, Observer, RunStart, StepMetrics};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("metrics.csv");
/// let mut file = TotalsFile::new(&path, "loss", ["train", "test"]);
/// file.start(&RunStart::default())?;
/// for loss in [3.0, 2.0] {
///     let mut step = StepMetrics::default();
///     let costs = [("data".to_owned(), loss), ("prior".to_owned(), 0.5)];
///     (step.costs, step.total) = (&costs, loss + 0.5);
///     file.step(&step)?;
/// }
/// let mut metrics = Metrics::default();
/// (metrics.epoch, metrics.step, metrics.validation) = (1, 2, Some(vec![("data".into(), 2.25)]));
/// file.metrics(&metrics)?;
/// file.checkpoint(2)?;
/// assert_eq!(std::fs::read_to_string(&path)?, "epoch,step,train,test\n1,2,3,2.25\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TotalsFile {
    path: PathBuf,
    name: String,
    columns: [String; 2],
    history: History,
    /// The sum of the totals of the steps since the last measurement, and their number.
    sum: f64,
    steps: f64,
    training_seconds: f64,
    seconds: f64,
    /// The time of the last observation.
    clock: Instant,
}

/// The names of the state in a checkpoint.
const STATE: &str = "totals file/state";
const ROWS: &str = "totals file/rows";

impl TotalsFile {
    /// A file at a path, in a folder that exists, with the name of the total cost in the [history](Self::history), and
    /// those of its columns.
    pub fn new(path: impl Into<PathBuf>, name: impl Into<String>, columns: [&str; 2]) -> Self {
        Self {
            path: path.into(),
            name: name.into(),
            columns: columns.map(str::to_owned),
            history: History::new(),
            sum: 0.0,
            steps: 0.0,
            training_seconds: 0.0,
            seconds: 0.0,
            clock: Instant::now(),
        }
    }

    /// The totals of all measurements, including those before the run was resumed. Use it for
    #[cfg_attr(feature = "plots", doc = "[`save_curves`](super::save_curves).")]
    #[cfg_attr(not(feature = "plots"), doc = "learning curves.")]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The seconds that were spent on training steps.
    pub fn training_seconds(&self) -> f64 {
        self.training_seconds
    }

    /// The seconds that were spent on training and evaluation.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// The seconds since the last call.
    fn lap(&mut self) -> f64 {
        std::mem::replace(&mut self.clock, Instant::now()).elapsed().as_secs_f64()
    }

    fn push(&mut self, [epoch, step]: [u64; 2], training: f64, validation: f64) {
        let named = |value| vec![(self.name.clone(), value)];
        let (training, validation) = (named(training), Some(named(validation)));
        self.history.push(Metrics { step, epoch, training, validation, ..Metrics::default() });
    }

    /// The numbers and the totals of each row, with NaN for what was not measured.
    fn rows(&self) -> impl Iterator<Item = ([u64; 2], [f64; 2])> {
        self.history.rows().iter().map(|row| {
            let validation = row.validation.as_deref().map_or(f64::NAN, total);
            ([row.epoch, row.step], [total(&row.training), validation])
        })
    }
}

impl Observer for TotalsFile {
    fn start(&mut self, run: &RunStart<'_>) -> TrainResult<()> {
        self.clock = Instant::now();
        self.checkpoint(run.resumed_at.unwrap_or(0))
    }

    fn save(&self, checkpoint: &mut Checkpoint) -> TrainResult<()> {
        let state = [self.sum, self.steps, self.training_seconds, self.seconds];
        checkpoint.insert(STATE, &Tensor::<f64>::from(state))?;
        let rows: Vec<f64> =
            self.rows().flat_map(|(numbers, totals)| [numbers.map(|n| n as f64), totals].concat()).collect();
        Ok(checkpoint.insert(ROWS, &Tensor::<f64>::from(rows))?)
    }

    fn load(&mut self, checkpoint: &Checkpoint) -> TrainResult<()> {
        let state: Tensor<f64> = checkpoint.tensor_of_shape(STATE, &[4].into())?;
        if let &[sum, steps, training_seconds, seconds] = state.as_slice() {
            (self.sum, self.steps, self.training_seconds, self.seconds) = (sum, steps, training_seconds, seconds);
        }
        self.history = History::new();
        for row in checkpoint.tensor::<f64>(ROWS)?.as_slice().chunks_exact(4) {
            self.push([row[0] as u64, row[1] as u64], row[2], row[3]);
        }
        Ok(())
    }

    fn step(&mut self, step: &StepMetrics<'_>) -> TrainResult<()> {
        self.sum += step.total;
        self.steps += 1.0;
        let seconds = self.lap();
        self.training_seconds += seconds;
        self.seconds += seconds;
        Ok(())
    }

    fn metrics(&mut self, metrics: &Metrics) -> TrainResult<()> {
        let validation = metrics.validation.as_deref().map_or(f64::NAN, total);
        self.push([metrics.epoch, metrics.step], self.sum / self.steps, validation);
        (self.sum, self.steps) = (0.0, 0.0);
        self.seconds += self.lap();
        Ok(())
    }

    fn checkpoint(&mut self, _step: u64) -> TrainResult<()> {
        let mut text = format!("epoch,step,{}\n", self.columns.join(","));
        for ([epoch, step], [training, validation]) in self.rows() {
            text += &format!("{epoch},{step},{training},{validation}\n");
        }
        Ok(write_atomically(&self.path, |file| file.write_all(text.as_bytes()))?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn observe(file: &mut TotalsFile, steps: std::ops::RangeInclusive<u64>) {
        for step in steps {
            let costs = [("a".to_owned(), 1.0 / step as f64)];
            file.step(&StepMetrics { step, total: costs[0].1, costs: &costs, ..StepMetrics::default() }).unwrap();
            if step.is_multiple_of(3) {
                let validation = Some(vec![("a".to_owned(), 0.1 * step as f64), ("b".to_owned(), 0.2)]);
                file.metrics(&Metrics { step, epoch: step / 3, validation, ..Metrics::default() }).unwrap();
            }
        }
    }

    #[test]
    fn a_run_that_resumes_within_an_epoch_has_the_file_of_an_uninterrupted_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let new = || TotalsFile::new(&path, "loss", ["train_loss", "test_loss"]);
        let mut whole = new();
        observe(&mut whole, 1..=9);
        whole.checkpoint(9).unwrap();
        let expected = fs::read_to_string(&path).unwrap();
        assert_eq!(expected.lines().count(), 4);
        let second = format!("2,6,{},{}", (0.25 + 0.2 + 1.0 / 6.0) / 3.0, 0.1 * 6.0 + 0.2);
        assert_eq!(expected.lines().nth(2), Some(second.as_str()));
        for done in 0..=8 {
            let mut cut = new();
            observe(&mut cut, 1..=done);
            let mut checkpoint = Checkpoint::new();
            cut.save(&mut checkpoint).unwrap();
            // The file is lost.
            let _ = fs::remove_file(&path);
            let mut resumed = new();
            resumed.load(&checkpoint).unwrap();
            resumed.start(&RunStart { resumed_at: Some(done), ..RunStart::default() }).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap().lines().count() as u64, 1 + done / 3);
            observe(&mut resumed, done + 1..=9);
            resumed.checkpoint(9).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), expected, "{done}");
            assert_eq!(resumed.history().rows().len(), 3);
            assert!(resumed.seconds() >= resumed.training_seconds() && cut.seconds() <= resumed.seconds());
        }
    }
}
