//! The comparison as CSV.

use std::io::Write;

use crate::comparison::Comparison;
use crate::error::{LabError, LabResult};
use crate::interval::Interval;

/// The columns that hold an estimate; each has columns for the ends of its interval.
const INTERVALS: [&str; 6] = ["variance", "second_moment", "seconds", "variance_seconds", "relative_bias", "cosine"];

impl Comparison {
    /// Writes the comparison as CSV: a row for each combination. Estimates have a column of their name and two for the
    /// ends of their interval, `variance_low` and `variance_high`. What is not known is empty.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_csv(&self, writer: impl Write) -> LabResult<()> {
        self.write_rows(writer)
            .map_err(|error| LabError::Output { what: "the comparison as CSV", problem: error.to_string() })
    }

    fn write_rows(&self, writer: impl Write) -> Result<(), csv::Error> {
        let mut csv = csv::Writer::from_writer(writer);
        let mut header = vec!["methods".to_owned()];
        header
            .extend(INTERVALS.iter().flat_map(|name| [(*name).into(), format!("{name}_low"), format!("{name}_high")]));
        let rest =
            ["signal_to_noise", "kurtosis", "evaluations", "backward_passes", "repetitions", "guarantee", "refusal"];
        header.extend(rest.map(str::to_owned));
        csv.write_record(&header)?;
        for arm in &self.arms {
            let found = arm.statistics.as_ref();
            let bias = found.and_then(|found| found.bias.as_ref()?.relative);
            let intervals = [
                found.map(|found| found.variance),
                found.map(|found| found.second_moment),
                found.map(|found| found.time),
                found.map(|found| found.variance_time),
                bias,
                found.and_then(|found| found.cosine),
            ];
            let mut row = vec![arm.label()];
            row.extend(intervals.iter().flat_map(|interval| match interval {
                Some(Interval { estimate, low, high }) => [estimate, low, high].map(ToString::to_string),
                None => [const { String::new() }; 3],
            }));
            let text = |value: Option<String>| value.unwrap_or_default();
            row.extend([
                text(found.map(|found| found.signal_to_noise.to_string())),
                text(found.and_then(|found| Some(found.kurtosis?.to_string()))),
                text(found.and_then(|found| Some(found.evaluations?.to_string()))),
                text(found.and_then(|found| Some(found.backward_passes?.to_string()))),
                text(found.map(|found| found.repetitions.to_string())),
                text(found.map(|found| found.guarantee.to_string())),
                text(arm.refusal.clone()),
            ]);
            csv.write_record(&row)?;
        }
        Ok(csv.flush()?)
    }
}
