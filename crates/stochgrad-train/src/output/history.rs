//! The measurements of a run as a table.

use csv::{ReaderBuilder, StringRecord, WriterBuilder};

use crate::metrics::{Metrics, Values, total};

/// The columns before those of costs and variances.
const FIXED: [&str; 3] = ["step", "epoch", "learning_rate"];
/// The column of the total cost in training; the columns `training/NAME` are those of the costs.
const TRAINING: &str = "training";
/// The same for held-out data.
const VALIDATION: &str = "validation";
/// The columns `variance/NAME` are those of variances of gradients.
const VARIANCE: &str = "variance";

/// All measurements of a run, in the order of its steps.
///
/// As comma-separated values, the table has the columns `step`, `epoch`, `learning_rate`, the total cost `training` and
/// each cost `training/NAME`, the same with `validation`, and `variance/NAME`. What was not measured is an empty cell.
/// Floats have the shortest decimals that are read back to the same bits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    rows: Vec<Metrics>,
    columns: Columns,
}

/// The names of the columns of each group, in the order of their first appearance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Columns {
    training: Vec<String>,
    validation: Vec<String>,
    variances: Vec<String>,
}

/// Content of a table that is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InvalidTable {
    pub(super) expected: String,
    pub(super) found: String,
}

/// Which values of [`Metrics`] a series consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Costs in training.
    Training,
    /// Costs on held-out data.
    Validation,
    /// Variances of gradients.
    Variances,
}

impl History {
    /// No measurements.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds measurements. Returns whether they have a value that no earlier ones have, which is a new column.
    pub fn push(&mut self, metrics: Metrics) -> bool {
        let grows = self.columns.add(&metrics);
        self.rows.push(metrics);
        grows
    }

    /// All measurements.
    pub fn rows(&self) -> &[Metrics] {
        &self.rows
    }

    /// Drops the measurements after a step, and the columns that only they have.
    pub fn cut_after(&mut self, step: u64) {
        let kept = std::mem::take(&mut self.rows).into_iter().filter(|row| row.step <= step).collect::<Vec<_>>();
        *self = Self::new();
        for row in kept {
            self.push(row);
        }
    }

    /// The names of all values of a part, in the order of their first appearance.
    pub fn names(&self, part: Part) -> &[String] {
        match part {
            Part::Training => &self.columns.training,
            Part::Validation => &self.columns.validation,
            Part::Variances => &self.columns.variances,
        }
    }

    /// The steps and values of a cost or of a variance.
    pub fn series(&self, part: Part, name: &str) -> Vec<(u64, f64)> {
        let find = |row: &Metrics| {
            let values = values(row, part)?;
            values.iter().find(|(known, _)| known == name).map(|&(_, value)| (row.step, value))
        };
        self.rows.iter().filter_map(find).collect()
    }

    /// The steps and total costs.
    pub fn totals(&self, part: Part) -> Vec<(u64, f64)> {
        self.rows.iter().filter_map(|row| Some((row.step, total(values(row, part)?)))).collect()
    }

    /// The table as comma-separated values.
    pub fn to_csv(&self) -> String {
        self.rows.iter().map(|row| self.line(row)).fold(self.header(), |text, line| text + &line)
    }

    /// The line with the names of the columns.
    pub(super) fn header(&self) -> String {
        let Columns { training, validation, variances } = &self.columns;
        let mut cells: Vec<String> = FIXED.map(String::from).to_vec();
        for (group, names) in [(TRAINING, training), (VALIDATION, validation)] {
            if !names.is_empty() {
                cells.push(group.to_owned());
                cells.extend(names.iter().map(|name| format!("{group}/{name}")));
            }
        }
        cells.extend(variances.iter().map(|name| format!("{VARIANCE}/{name}")));
        joined(&cells)
    }

    /// The line of some measurements.
    pub(super) fn line(&self, row: &Metrics) -> String {
        let mut cells = vec![row.step.to_string(), row.epoch.to_string(), row.learning_rate.to_string()];
        for part in [Part::Training, Part::Validation, Part::Variances] {
            let (names, values) = (self.names(part), values(row, part));
            if part != Part::Variances && !names.is_empty() {
                cells.push(values.map_or_else(String::new, |values| total(values).to_string()));
            }
            let find = |name: &String| values?.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
            cells.extend(names.iter().map(|name| find(name).map_or_else(String::new, |value| value.to_string())));
        }
        joined(&cells)
    }

    /// The table of comma-separated values. A last line without an end, which was written when the process was killed,
    /// is left out.
    pub(super) fn from_csv(text: &str) -> Result<Self, InvalidTable> {
        let complete = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut reader = ReaderBuilder::new().flexible(true).has_headers(false).from_reader(complete.as_bytes());
        let invalid = |expected: &str, found: String| InvalidTable { expected: expected.to_owned(), found };
        let mut records = reader.records();
        let header = match records.next() {
            Some(Ok(header)) => header,
            _ => return Err(invalid("a line with the names of the columns", "nothing".to_owned())),
        };
        if !FIXED.iter().eq(header.iter().take(FIXED.len()).collect::<Vec<_>>().iter()) {
            return Err(invalid(&format!("the columns {FIXED:?} at the start of line 1"), format!("{header:?}")));
        }
        let mut history = Self::new();
        for record in records {
            let record = record.map_err(|error| invalid("comma-separated values", error.to_string()))?;
            let line = record.position().map_or(0, |position| position.line());
            let row = parse(&header, &record).ok_or_else(|| {
                invalid(&format!("{} cells with numbers in line {line}", header.len()), format!("{record:?}"))
            })?;
            if history.rows.last().is_some_and(|last| last.step > row.step) {
                return Err(invalid(&format!("steps that increase until line {line}"), row.step.to_string()));
            }
            history.push(row);
        }
        Ok(history)
    }
}

fn values(row: &Metrics, part: Part) -> Option<&Values> {
    match part {
        Part::Training => Some(&row.training),
        Part::Validation => row.validation.as_ref(),
        Part::Variances => Some(&row.variances),
    }
}

fn joined(cells: &[String]) -> String {
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    // Writing to memory does not fail.
    let written = writer.write_record(cells).ok().and_then(|()| writer.into_inner().ok());
    written.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

fn parse(header: &StringRecord, record: &StringRecord) -> Option<Metrics> {
    if header.len() != record.len() {
        return None;
    }
    let mut row = Metrics {
        step: record.get(0)?.parse().ok()?,
        epoch: record.get(1)?.parse().ok()?,
        learning_rate: record.get(2)?.parse().ok()?,
        ..Metrics::default()
    };
    for (column, cell) in header.iter().zip(record).skip(FIXED.len()) {
        let Some((group, name)) = column.split_once('/') else { continue };
        if cell.is_empty() {
            continue;
        }
        let value = (name.to_owned(), cell.parse().ok()?);
        match group {
            TRAINING => row.training.push(value),
            VALIDATION => row.validation.get_or_insert_default().push(value),
            VARIANCE => row.variances.push(value),
            _ => return None,
        }
    }
    Some(row)
}

impl Columns {
    /// Adds the names that are new, and returns whether there are any.
    fn add(&mut self, metrics: &Metrics) -> bool {
        let validation = metrics.validation.as_deref().unwrap_or_default();
        let groups = [
            (&mut self.training, &metrics.training[..]),
            (&mut self.validation, validation),
            (&mut self.variances, &metrics.variances[..]),
        ];
        let mut grows = false;
        for (names, values) in groups {
            for (name, _) in values {
                if !names.contains(name) {
                    names.push(name.clone());
                    grows = true;
                }
            }
        }
        grows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[(&str, f64)]) -> Values {
        values.iter().map(|&(name, value)| (name.to_owned(), value)).collect()
    }

    fn history() -> History {
        let mut history = History::new();
        let training = |x: f64| values(&[("reconstruction", x), ("kl, \"free\"", 0.1 + 0.2)]);
        let first = Metrics { step: 30, epoch: 1, training: training(50.0), learning_rate: 1e-3, ..Metrics::default() };
        assert!(history.push(first.clone()));
        let validation = Some(values(&[("reconstruction", f64::NAN), ("kl, \"free\"", 1e-300)]));
        assert!(history.push(Metrics { step: 60, epoch: 2, validation, ..first.clone() }));
        let variances = values(&[("encoder/bias", f64::INFINITY)]);
        assert!(history.push(Metrics { step: 90, epoch: 3, variances, ..first.clone() }));
        assert!(!history.push(Metrics { step: 95, training: training(-0.0), ..first }));
        history
    }

    #[test]
    fn the_table_has_a_column_for_each_value() {
        let text = history().to_csv();
        let expected = "step,epoch,learning_rate,\
            training,training/reconstruction,\"training/kl, \"\"free\"\"\",\
            validation,validation/reconstruction,\"validation/kl, \"\"free\"\"\",variance/encoder/bias\n\
            30,1,0.001,50.3,50,0.30000000000000004,,,,\n\
            60,2,0.001,50.3,50,0.30000000000000004,NaN,NaN,1e-300,\n\
            90,3,0.001,50.3,50,0.30000000000000004,,,,inf\n\
            95,1,0.001,0.30000000000000004,-0,0.30000000000000004,,,,\n";
        // `f64` writes 1e-300 without an exponent.
        let tiny = 1e-300_f64.to_string();
        assert_eq!(text, expected.replace("1e-300", &tiny));
    }

    #[test]
    fn a_table_reads_back_to_the_same_bits() {
        let text = history().to_csv();
        let read = History::from_csv(&text).unwrap();
        assert_eq!(read.to_csv(), text);
        assert_eq!(read.rows().len(), 4);
        assert_eq!(read.rows()[1].validation.as_ref().unwrap()[1], ("kl, \"free\"".to_owned(), 1e-300));
        assert_eq!(read.rows()[0], history().rows()[0]);
        assert_eq!(History::from_csv(&History::new().to_csv()).unwrap(), History::new());
    }

    #[test]
    fn a_cut_removes_rows_and_the_columns_that_only_they_have() {
        let mut cut = history();
        cut.cut_after(89);
        let mut expected = History::new();
        for row in &history().rows()[..2] {
            expected.push(row.clone());
        }
        assert_eq!(cut.to_csv(), expected.to_csv());
        assert!(cut.names(Part::Variances).is_empty());
        cut.cut_after(0);
        assert_eq!(cut, History::new());
    }

    #[test]
    fn a_line_without_an_end_is_left_out() {
        let text = history().to_csv();
        assert_eq!(History::from_csv(&format!("{text}97,1,0.0")).unwrap().to_csv(), text);
        assert!(History::from_csv("step,epo").is_err());
    }

    #[test]
    fn series_have_the_steps_at_which_they_were_measured() {
        let history = history();
        assert_eq!(history.series(Part::Training, "reconstruction")[..2], [(30, 50.0), (60, 50.0)]);
        assert_eq!(history.series(Part::Validation, "kl, \"free\""), [(60, 1e-300)]);
        assert!(history.series(Part::Training, "entropy").is_empty());
        assert_eq!(history.totals(Part::Training)[0], (30, 50.0 + (0.1 + 0.2)));
        assert_eq!(history.totals(Part::Validation).len(), 1);
        assert_eq!(history.names(Part::Variances), ["encoder/bias"]);
    }

    #[test]
    fn tables_that_are_not_valid_say_why() {
        for (text, part) in [
            ("", "names of the columns"),
            ("a,b\n1,2\n", "\"learning_rate\""),
            ("step,epoch,learning_rate,training,training/a\n1,2,0.1,3\n", "line 2"),
            ("step,epoch,learning_rate,training,training/a\n1,2,0.1,3,4\n2,3,0.1,3,x\n", "line 3"),
            ("step,epoch,learning_rate\n5,1,0.1\n4,1,0.1\n", "increase"),
            ("step,epoch,learning_rate,other/a\n5,1,0.1,4\n", "line 2"),
        ] {
            let InvalidTable { expected, found } = History::from_csv(text).unwrap_err();
            assert!(expected.contains(part), "{expected}, {found}");
        }
    }
}
