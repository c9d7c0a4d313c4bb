//! The report of a check.

use std::fmt;

use comfy_table::{Table, presets};

use crate::error::{LabError, LabResult};

/// What was found by a [`Check`](crate::Check). `Display` writes it as a table, and the failures in full.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckReport {
    /// What was checked.
    pub name: String,
    /// All comparisons.
    pub rows: Vec<CheckRow>,
}

/// A comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckRow {
    /// The part of the check: `surrogate`, `gradient`, `score`, `compiled`, `derivatives` or `distribution`.
    pub part: &'static str,
    /// The model or the function.
    pub subject: String,
    /// The result.
    pub verdict: Verdict,
}

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Both sides agree.
    Agreed(String),
    /// The method declares a bias, which was measured.
    Biased(String),
    /// The graph refuses the method for this model, with the reason.
    Refused(String),
    /// The comparison has no answer, with the reason.
    Unknown(String),
    /// The sides differ.
    Failed(String),
}

impl CheckReport {
    /// The comparisons that failed.
    pub fn failures(&self) -> impl Iterator<Item = &CheckRow> {
        self.rows.iter().filter(|row| matches!(row.verdict, Verdict::Failed(_)))
    }

    /// The report, if nothing failed and something agreed, for tests.
    ///
    /// # Errors
    /// [`LabError::Failed`] with the failures, or if no graph accepts the method.
    pub fn passed(self) -> LabResult<Self> {
        let failed: Vec<String> = self.failures().map(CheckRow::to_string).collect();
        let is_known = self.rows.iter().any(|row| matches!(row.verdict, Verdict::Agreed(_) | Verdict::Biased(_)));
        let problem = match (failed.is_empty(), is_known) {
            (true, true) => return Ok(self),
            (true, false) => self.rows.first().map_or_else(|| "nothing was compared".into(), CheckRow::to_string),
            _ => failed.join("\n"),
        };
        Err(LabError::Failed { name: self.name, problem })
    }
}

impl Verdict {
    fn kind(&self) -> usize {
        match self {
            Verdict::Agreed(_) => 0,
            Verdict::Biased(_) => 1,
            Verdict::Refused(_) => 2,
            Verdict::Unknown(_) => 3,
            Verdict::Failed(_) => 4,
        }
    }

    /// What was found, in words.
    pub fn words(&self) -> &str {
        match self {
            Verdict::Agreed(words)
            | Verdict::Biased(words)
            | Verdict::Refused(words)
            | Verdict::Unknown(words)
            | Verdict::Failed(words) => words,
        }
    }
}

impl fmt::Display for CheckRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: {}", self.part, self.subject, self.verdict.words())
    }
}

/// The kinds of results, in the order of [`Verdict::kind`].
const KINDS: [&str; 5] = ["agreed", "biased", "refused", "unknown", "failed"];

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        let mut parts: Vec<&'static str> = Vec::new();
        for row in &self.rows {
            if !parts.contains(&row.part) {
                parts.push(row.part);
            }
        }
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED);
        table.set_header(std::iter::once("part").chain(KINDS));
        for part in parts {
            let count = |kind: usize| {
                let found = self.rows.iter().filter(|row| row.part == part && row.verdict.kind() == kind).count();
                if found == 0 { "-".to_owned() } else { found.to_string() }
            };
            table.add_row(std::iter::once(part.to_owned()).chain((0..KINDS.len()).map(count)));
        }
        writeln!(f, "{table}")?;
        for (kind, name) in KINDS.iter().enumerate().skip(1) {
            for row in self.rows.iter().filter(|row| row.verdict.kind() == kind) {
                writeln!(f, "{name}: {row}")?;
            }
        }
        Ok(())
    }
}
