//! The comparison as a table for a terminal.

use std::fmt;

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::number::{short, time, with_error, with_relative_error};
use crate::comparison::Comparison;
use crate::interval::Interval;
use crate::statistics::{BiasEstimate, Statistics};

const HEADER: [&str; 11] = [
    "methods",
    "variance",
    "time",
    "variance × time",
    "bias / gradient",
    "cosine",
    "signal / noise",
    "kurtosis",
    "evaluations",
    "backward",
    "runs",
];

fn row(label: String, statistics: &Statistics) -> Vec<Cell> {
    let bias = |bias: &BiasEstimate| match &bias.relative {
        Some(relative) => format!("{}{}", with_error(relative), if bias.is_significant() { " *" } else { "" }),
        None => format!("{}{}", with_error(&bias.worst), if bias.is_significant() { " *" } else { "" }),
    };
    let count = |count: Option<usize>| count.map_or("∞".into(), |count| count.to_string());
    let absent = || "-".to_owned();
    // Rounding errors are no variance.
    let is_exact = statistics.variance.estimate <= 1e-14 * statistics.second_moment.estimate;
    let variance = |interval: &Interval| if is_exact { "0".into() } else { with_relative_error(interval) };
    let cells = [
        variance(&statistics.variance),
        time(statistics.time.estimate),
        variance(&statistics.variance_time),
        statistics.bias.as_ref().map_or_else(absent, bias),
        statistics.cosine.as_ref().map_or_else(absent, with_error),
        short(statistics.signal_to_noise),
        statistics.kurtosis.map_or_else(absent, short),
        count(statistics.evaluations),
        count(statistics.backward_passes),
        statistics.repetitions.to_string(),
    ];
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    std::iter::once(Cell::new(label)).chain(cells.map(right)).collect()
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(HEADER);
        for (arm, statistics) in self.measured() {
            table.add_row(row(arm.label(), statistics));
        }
        writeln!(f, "{table}")?;
        writeln!(f, "Intervals of {:.0} %, each by itself.", 100.0 * self.confidence)?;
        if let Some(reference) = &self.reference {
            writeln!(f, "Bias and cosine relative to {reference}; * marks a significant bias of an element.")?;
        }
        if self.out_of_time {
            writeln!(f, "The time budget ended the measurement.")?;
        }
        for (arm, statistics) in self.measured() {
            for warning in &statistics.warnings {
                writeln!(f, "{}: {warning}", arm.label())?;
            }
        }
        for arm in &self.arms {
            if let Some(refusal) = &arm.refusal {
                writeln!(f, "{}: not possible: {refusal}", arm.label())?;
            }
        }
        Ok(())
    }
}
