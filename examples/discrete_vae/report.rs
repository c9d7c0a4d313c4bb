//! The numerical results of a run: a table, `summary.json` and `metrics.csv`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};
use stochgrad::nn::write_atomically;

use crate::output::OutputError;

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    /// The latent variables, such as "categorical 20×10".
    pub(crate) latent: String,
    /// The name of the gradient method, as on the command line.
    pub(crate) method: String,
    /// Samples per image and step.
    pub(crate) samples: usize,
    /// The seed of the run.
    pub(crate) seed: u64,
    /// Epochs completed.
    pub(crate) epochs: usize,
    /// The mean −ELBO on the training images in the last epoch, in nats per image.
    pub(crate) train_neg_elbo: f64,
    /// The final −ELBO on the test images, in nats per image.
    pub(crate) test_neg_elbo: f64,
    /// The variance of the gradient with respect to the latent logits.
    pub(crate) latent_gradient_variance: f64,
    /// Wall time of one training step, in milliseconds.
    pub(crate) ms_per_step: f64,
    /// Wall time of the run, in seconds.
    pub(crate) seconds: f64,
}

impl Summary {
    /// Writes the summary as a text table.
    ///
    /// # Errors
    /// Returns the error of the writer, for example for a closed pipe.
    pub(crate) fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new();
        table
            .load_preset(presets::UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(["result", "value"]);
        for (name, value) in [
            ("latent", self.latent.clone()),
            ("method", self.method.clone()),
            ("samples", self.samples.to_string()),
            ("seed", self.seed.to_string()),
            ("epochs", self.epochs.to_string()),
            ("train −ELBO (nats)", format!("{:.3}", self.train_neg_elbo)),
            ("test −ELBO (nats)", format!("{:.3}", self.test_neg_elbo)),
            ("latent gradient variance", format!("{:.3e}", self.latent_gradient_variance)),
            ("ms per step", format!("{:.3}", self.ms_per_step)),
            ("seconds", format!("{:.1}", self.seconds)),
        ] {
            table.add_row([name, &value]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(out, "{table}")?;
        out.flush()
    }

    /// The summary as JSON. A value that is not finite becomes `null`.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "latent": self.latent,
            "method": self.method,
            "samples": self.samples,
            "seed": self.seed,
            "epochs": self.epochs,
            "train_neg_elbo": self.train_neg_elbo,
            "test_neg_elbo": self.test_neg_elbo,
            "latent_gradient_variance": self.latent_gradient_variance,
            "ms_per_step": self.ms_per_step,
            "seconds": self.seconds,
        })
    }

    /// Writes `summary.json` atomically.
    ///
    /// # Errors
    /// Returns the error of the operating system with the path.
    pub(crate) fn save(&self, path: &Path) -> Result<(), OutputError> {
        Ok(write_atomically(path, |file| writeln!(file, "{:#}", self.to_json()))?)
    }
}

/// The gradient variance of a method at parameters that were trained with another method.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comparison {
    /// The name of the gradient method, as on the command line.
    pub(crate) method: String,
    /// Samples per image.
    pub(crate) samples: usize,
    /// The variance of the gradient with respect to the latent logits.
    pub(crate) latent_gradient_variance: f64,
}

/// Writes the comparison of methods as a text table, or nothing if there is none.
///
/// # Errors
/// Returns the error of the writer, for example for a closed pipe.
pub(crate) fn write_comparisons(comparisons: &[Comparison], out: &mut dyn Write) -> io::Result<()> {
    if comparisons.is_empty() {
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled).set_header([
        "method",
        "samples",
        "latent gradient variance",
    ]);
    for row in comparisons {
        let variance = format!("{:.3e}", row.latent_gradient_variance);
        table.add_row([&row.method, &row.samples.to_string(), &variance]);
    }
    for column in [1, 2] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    writeln!(out, "{table}")?;
    out.flush()
}

/// Writes the comparison of methods as comma-separated values, atomically.
///
/// # Errors
/// Returns the error of the operating system with the path.
pub(crate) fn save_comparisons(comparisons: &[Comparison], path: &Path) -> Result<(), OutputError> {
    let rows =
        comparisons.iter().map(|row| format!("{},{},{}\n", row.method, row.samples, row.latent_gradient_variance));
    let text: String = std::iter::once("method,samples,latent_gradient_variance\n".to_owned()).chain(rows).collect();
    Ok(write_atomically(path, |file| file.write_all(text.as_bytes()))?)
}

/// The files of a run, each with a description.
pub(crate) type Files = Vec<(&'static str, PathBuf)>;

/// Writes a list of files, one per line, each with its description.
///
/// # Errors
/// Returns the error of the writer, for example for a closed pipe.
pub(crate) fn write_files(files: &[(&str, PathBuf)], out: &mut dyn Write) -> io::Result<()> {
    let width = files.iter().map(|(what, _)| what.chars().count()).max().unwrap_or(0);
    for (what, path) in files {
        writeln!(out, "{what:width$}  {}", path.display())?;
    }
    out.flush()
}

/// One row of `metrics.csv`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MetricsRow {
    /// The completed epoch, counted from 1.
    pub(crate) epoch: usize,
    /// The number of training steps since the start of the run.
    pub(crate) step: usize,
    /// The mean −ELBO on the training images in this epoch, in nats per image.
    pub(crate) train_neg_elbo: f64,
    /// The −ELBO on the test images, in nats per image.
    pub(crate) test_neg_elbo: f64,
}

impl MetricsRow {
    /// The row as text. Floats have the shortest decimals that are read back to the same bits.
    fn to_line(self) -> String {
        format!("{},{},{},{}\n", self.epoch, self.step, self.train_neg_elbo, self.test_neg_elbo)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(',');
        let row = Self {
            epoch: fields.next()?.parse().ok()?,
            step: fields.next()?.parse().ok()?,
            train_neg_elbo: fields.next()?.parse().ok()?,
            test_neg_elbo: fields.next()?.parse().ok()?,
        };
        fields.next().is_none().then_some(row)
    }
}

/// Writes `metrics.csv`, one row per epoch.
///
/// The file contains no times, so that a resumed run writes the same bytes as an uninterrupted one. Push the row of an
/// epoch *before* its checkpoint is saved: rows after the checkpoint are dropped when the run is resumed, but a missing
/// row cannot be recovered.
#[derive(Debug)]
pub(crate) struct MetricsWriter {
    path: PathBuf,
    file: File,
    rows: Vec<MetricsRow>,
}

impl MetricsWriter {
    const HEADER: &'static str = "epoch,step,train_neg_elbo,test_neg_elbo";

    /// Starts a new file.
    ///
    /// # Errors
    /// Returns the error of the operating system with the path.
    pub(crate) fn create(path: &Path) -> Result<Self, OutputError> {
        Self::start(path, Vec::new())
    }

    /// Continues the file of a run whose checkpoint was saved after `epoch` epochs: the rows up to that epoch are kept,
    /// and later ones are dropped.
    ///
    /// # Errors
    /// Returns an error, and leaves the file unchanged, if it cannot be read, is not a metrics file, or does not have
    /// exactly one row for each epoch from 1 to `epoch`.
    pub(crate) fn resume(path: &Path, epoch: usize) -> Result<Self, OutputError> {
        let text = fs::read_to_string(path).map_err(OutputError::io("read", path))?;
        let mut lines = text.lines();
        let content = |line: usize, expected: String, found: Option<&str>| OutputError::Content {
            path: path.to_path_buf(),
            line,
            expected,
            found: found.map_or("the end of the file".to_owned(), |text| format!("{text:?}")),
        };
        let header = lines.next();
        if header != Some(Self::HEADER) {
            return Err(content(1, format!("{:?}", Self::HEADER), header));
        }
        let mut rows = Vec::new();
        for wanted in 1..=epoch {
            let line = lines.next();
            match line.and_then(MetricsRow::parse) {
                Some(row) if row.epoch == wanted => rows.push(row),
                _ => {
                    return Err(content(wanted + 1, format!("the row of epoch {wanted}"), line));
                }
            }
        }
        Self::start(path, rows)
    }

    fn start(path: &Path, rows: Vec<MetricsRow>) -> Result<Self, OutputError> {
        let mut text = format!("{}\n", Self::HEADER);
        text.extend(rows.iter().map(|row| row.to_line()));
        write_atomically(path, |file| file.write_all(text.as_bytes()))?;
        let file = OpenOptions::new().append(true).open(path).map_err(OutputError::io("open", path))?;
        Ok(Self { path: path.to_path_buf(), file, rows })
    }

    /// Appends a row and waits until it is on the disk.
    ///
    /// # Errors
    /// Returns the error of the operating system with the path.
    pub(crate) fn push(&mut self, row: MetricsRow) -> Result<(), OutputError> {
        self.file
            .write_all(row.to_line().as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(OutputError::io("append to", &self.path))?;
        self.rows.push(row);
        Ok(())
    }

    /// All rows of the file, including those of the run that was resumed.
    pub(crate) fn rows(&self) -> &[MetricsRow] {
        &self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            latent: "categorical 20×10".to_owned(),
            method: "leave-one-out".to_owned(),
            samples: 4,
            seed: u64::MAX,
            epochs: 100,
            train_neg_elbo: 21.062_5,
            test_neg_elbo: 22.5,
            latent_gradient_variance: 1.25e-7,
            ms_per_step: 0.75,
            seconds: 12.5,
        }
    }

    fn row(epoch: usize) -> MetricsRow {
        MetricsRow {
            epoch,
            step: epoch * 30,
            train_neg_elbo: 20.0 + (epoch as f64).recip(),
            test_neg_elbo: 0.1 + 0.2 * epoch as f64,
        }
    }

    #[test]
    fn the_summary_has_exactly_its_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        summary().save(&path).unwrap();
        let value: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let mut keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        let mut expected = [
            "latent",
            "method",
            "samples",
            "seed",
            "epochs",
            "train_neg_elbo",
            "test_neg_elbo",
            "latent_gradient_variance",
            "ms_per_step",
            "seconds",
        ];
        expected.sort_unstable();
        assert_eq!(keys, expected);
        assert_eq!(value["seed"].as_u64(), Some(u64::MAX));
        assert_eq!(value["test_neg_elbo"].as_f64(), Some(22.5));
    }

    #[test]
    fn numbers_that_are_not_finite_are_null() {
        let mut summary = summary();
        summary.train_neg_elbo = f64::NAN;
        summary.seconds = f64::INFINITY;
        assert!(summary.to_json()["train_neg_elbo"].is_null());
        assert!(summary.to_json()["seconds"].is_null());
    }

    #[test]
    fn the_table_shows_every_result_without_control_codes() {
        let mut out = Vec::new();
        summary().write_table(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in ["categorical 20×10", "leave-one-out", "22.500", "1.250e-7"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_resumed_file_equals_an_uninterrupted_one() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("whole.csv");
        let mut writer = MetricsWriter::create(&whole).unwrap();
        for epoch in 1..=7 {
            writer.push(row(epoch)).unwrap();
        }
        let resumed = folder.path().join("resumed.csv");
        let mut writer = MetricsWriter::create(&resumed).unwrap();
        for epoch in 1..=5 {
            writer.push(row(epoch)).unwrap();
        }
        drop(writer);
        // The run died while it wrote a sixth row.
        let mut text = fs::read_to_string(&resumed).unwrap();
        text.push_str("6,18");
        fs::write(&resumed, text).unwrap();
        let mut writer = MetricsWriter::resume(&resumed, 4).unwrap();
        assert_eq!(writer.rows(), [row(1), row(2), row(3), row(4)]);
        for epoch in 5..=7 {
            writer.push(row(epoch)).unwrap();
        }
        assert_eq!(fs::read(&resumed).unwrap(), fs::read(&whole).unwrap());
        assert_eq!(writer.rows().len(), 7);
    }

    #[test]
    fn a_run_is_resumed_from_its_very_beginning_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        MetricsWriter::create(&path).unwrap().push(row(1)).unwrap();
        MetricsWriter::resume(&path, 0).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "epoch,step,train_neg_elbo,test_neg_elbo\n");
    }

    #[test]
    fn rows_read_back_to_the_same_bits() {
        for value in [0.1 + 0.2, 1e-300, f64::MIN_POSITIVE, f64::MAX, -0.0, f64::INFINITY] {
            let row = MetricsRow { test_neg_elbo: value, ..row(3) };
            let read = MetricsRow::parse(row.to_line().trim_end()).unwrap();
            assert_eq!(read.test_neg_elbo.to_bits(), value.to_bits());
        }
    }

    #[test]
    fn a_file_that_does_not_fit_the_checkpoint_is_an_error_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let missing = MetricsWriter::resume(&path, 1).unwrap_err();
        assert!(missing.to_string().contains("metrics.csv"), "{missing}");
        for (text, part) in [
            ("a,b\n1,2\n", "line 1"),
            ("", "end of the file"),
            ("epoch,step,train_neg_elbo,test_neg_elbo\n1,2,3,4\n", "the row of epoch 2"),
            ("epoch,step,train_neg_elbo,test_neg_elbo\n1,2,3,4\n2,2,x,4\n", "line 3"),
        ] {
            fs::write(&path, text).unwrap();
            let error = MetricsWriter::resume(&path, 2).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
