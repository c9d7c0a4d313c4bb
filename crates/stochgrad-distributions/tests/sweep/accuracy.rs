//! The table of the largest errors, `docs/accuracy.md`.

use crate::distributions::Entry;
use crate::query::Function;
use crate::reference::{Compared, Errors};
use std::path::{Path, PathBuf};

/// The functions with a column.
const COLUMNS: [Function; 8] = [
    Function::LogProb,
    Function::Cdf,
    Function::Survival,
    Function::LogCdf,
    Function::LogSurvival,
    Function::Mean,
    Function::Variance,
    Function::Entropy,
];

const HEAD: &str = "# Accuracy

How accurate the functions of the distributions are, at ordinary and at extreme parameters and arguments: far tails,
ends of the support, scales from 1e-300 to 1e300 in `f64`. Errors are counted in units of the error that rounding the
inputs causes anyway. An error of 1 is what inputs cause that are themselves rounded; an error of 1000 has lost three
digits more.

The sweep of the tests measures the errors (`cargo test -p stochgrad-distributions --test sweep`; [Testing](testing.md)
describes it) against known values with twenty digits from mpmath. It fails where a value is wrong by more than 64
units, or a first derivative by more than 256, unless
`crates/stochgrad-distributions/tests/sweep/known_failures.csv` lists the failure with its cause. `UPDATE_TABLES=1`
writes this page.

## Units

With half a rounding $\\varepsilon$, which is $2^{-53}$ (1.1e-16) in `f64` and $2^{-24}$ (6e-8) in `f32`, the unit of a
value $v$ with the inputs $\\theta_i$ (the parameters and the argument) is

$$\\varepsilon\\Big(|v| + \\sum_i \\Big|\\theta_i \\frac{\\partial v}{\\partial\\theta_i}\\Big|\\Big),$$

and that of a derivative is

$$\\varepsilon\\Big(\\Big|\\frac{\\partial v}{\\partial\\theta_i}\\Big| + \\frac{1}{|\\theta_i|}\\sum_j \\Big|\\theta_j
\\frac{\\partial v}{\\partial\\theta_j}\\Big|\\Big).$$

A small probability $q = e^{-u}$ changes by the part $\\varepsilon u$ of itself when its exponent is rounded, and its
derivatives do too: the unit of a derivative of $q$, $1 - q$ and $\\ln(1 - q)$ includes $\\varepsilon
|\\partial v/\\partial\\theta_i| \\sum_j |\\theta_j\\,\\partial\\ln q/\\partial\\theta_j|$.

";

const BEFORE_SUMMARY: &str = "## Summary

The errors of a value and of its first derivatives, rounded up to powers of 2, over the distributions that have the
function. The median counts known failures as the largest errors; the largest error is that of the others.

";

const BEFORE_TABLES: &str = "In the tables below, each cell has the largest error of the value, and that of the first
derivatives with respect to the parameters and the argument. A dash stands for a function that the distribution does
not have or that the known values do not contain, and a cross for a known failure: some of its known values, at extreme
inputs as a rule, are beyond the bounds.

";

/// What a cell states.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cell {
    Missing,
    Failure,
    /// At most this many units.
    Units(f64),
}

impl Cell {
    fn of(errors: &Errors, compared: &Compared, bound: f64) -> Cell {
        match errors.get(compared) {
            None => Cell::Missing,
            Some((error, _)) if *error > bound => Cell::Failure,
            Some((error, _)) => Cell::Units(error.max(1.0).log2().ceil().exp2()),
        }
    }

    fn read(text: &str) -> Cell {
        match text {
            "–" => Cell::Missing,
            "×" => Cell::Failure,
            number => Cell::Units(number.parse().expect("a number of units")),
        }
    }

    /// What was found is what was stated, or better. Other processors round differently, by a factor of at most 2.
    fn is_stated_by(self, stated: Cell) -> bool {
        match (self, stated) {
            (Cell::Units(found), Cell::Units(stated)) => found <= 2.0 * stated,
            _ => self == stated,
        }
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cell::Missing => write!(out, "–"),
            Cell::Failure => write!(out, "×"),
            Cell::Units(units) => write!(out, "{units}"),
        }
    }
}

/// A row of the table: the distribution, and its cells.
type Line = (String, Vec<[Cell; 2]>);

fn lines(entries: &[Entry], precision: &'static str, errors: &Errors, bound: impl Fn(&Compared) -> f64) -> Vec<Line> {
    let line = |entry: &Entry| {
        let cell = |function: Function| {
            [false, true].map(|slopes| {
                let compared = (entry.name, precision, function, slopes);
                Cell::of(errors, &compared, bound(&compared))
            })
        };
        (entry.name.to_string(), COLUMNS.map(cell).to_vec())
    };
    entries.iter().map(line).collect()
}

fn table(lines: &[Line]) -> String {
    let mut text = format!("| distribution |{}\n", COLUMNS.map(|column| format!(" `{}` |", column.name())).concat());
    text += &format!("|---|{}\n", "---|".repeat(COLUMNS.len()));
    for (name, cells) in lines {
        let cell = |[value, slopes]: &[Cell; 2]| {
            if *value == Cell::Missing { " – |".to_string() } else { format!(" {value}, {slopes} |") }
        };
        text += &format!("| `{name}` |{}\n", cells.iter().map(cell).collect::<String>());
    }
    text
}

/// The summary of all distributions: a row for each function and precision.
fn summary(sections: &[(&str, Vec<Line>)]) -> String {
    let mut text = String::from("| function | precision | distributions | median | largest | known failures |\n");
    text += "|---|---|---|---|---|---|\n";
    for (i, column) in COLUMNS.iter().enumerate() {
        for (precision, lines) in sections {
            let cells: Vec<[Cell; 2]> = lines.iter().map(|(_, cells)| cells[i]).collect();
            let present: Vec<_> = cells.iter().filter(|[value, _]| *value != Cell::Missing).collect();
            let [value, slopes] = [0, 1].map(|side| {
                let mut units: Vec<f64> = present
                    .iter()
                    .filter_map(|cell| if let Cell::Units(units) = cell[side] { Some(units) } else { None })
                    .collect();
                units.sort_by(f64::total_cmp);
                let median = units.get(present.len() / 2).copied().map_or(Cell::Failure, Cell::Units);
                let largest = units.last().copied().map_or(Cell::Missing, Cell::Units);
                (median, largest, present.iter().filter(|cell| cell[side] == Cell::Failure).count())
            });
            text += &format!("| `{}` | `{precision}` | {} |", column.name(), present.len());
            text += &format!(" {}, {} | {}, {} | {}, {} |\n", value.0, slopes.0, value.1, slopes.1, value.2, slopes.2);
        }
    }
    text
}

/// The rows of a section of the page.
fn read(text: &str, precision: &str) -> Vec<Line> {
    let section = text.split("\n## ").find(|section| section.starts_with(&format!("`{precision}`"))).unwrap_or("");
    let line = |line: &str| {
        let mut fields = line.trim_matches('|').split('|').map(str::trim);
        let name = fields.next().unwrap_or("").trim_matches('`').to_string();
        let cell = |field: &str| match field.split_once(", ") {
            Some((value, slopes)) => [Cell::read(value), Cell::read(slopes)],
            None => [Cell::Missing; 2],
        };
        (name, fields.map(cell).collect())
    };
    section.lines().filter(|line| line.starts_with("| `") && !line.contains("`log_prob`")).map(line).collect()
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/accuracy.md")
}

/// Writes the page under `UPDATE_TABLES=1`, and otherwise compares.
pub(crate) fn judge(entries: &[Entry], errors: &Errors, bound: impl Fn(&Compared) -> f64) {
    let found = ["f64", "f32"].map(|precision| (precision, lines(entries, precision, errors, &bound)));
    if std::env::var_os("UPDATE_TABLES").is_some() {
        let section = |(precision, lines): &(&str, Vec<Line>)| format!("## `{precision}`\n\n{}\n", table(lines));
        let tables = found.each_ref().map(section).concat();
        let text = format!("{HEAD}{BEFORE_SUMMARY}{}\n{BEFORE_TABLES}{tables}", summary(&found));
        std::fs::write(path(), text.trim_end().to_string() + "\n").expect("docs/accuracy.md can be written");
    }
    let text = std::fs::read_to_string(path()).expect("docs/accuracy.md can be read");
    for (precision, lines) in found {
        let stated = read(&text, precision);
        assert_eq!(lines.len(), stated.len(), "docs/accuracy.md is out of date: UPDATE_TABLES=1 writes it");
        for ((name, cells), (other, known)) in lines.iter().zip(&stated) {
            assert_eq!(name, other, "docs/accuracy.md is out of date: UPDATE_TABLES=1 writes it");
            for ((column, cells), known) in COLUMNS.iter().zip(cells).zip(known) {
                let same = cells.iter().zip(known).all(|(found, stated)| found.is_stated_by(*stated));
                let column = column.name();
                assert!(same, "{precision} {name} {column}: docs/accuracy.md states {known:?}, found {cells:?}");
            }
        }
    }
}
