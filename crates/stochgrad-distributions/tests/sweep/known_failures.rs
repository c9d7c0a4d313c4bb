//! Failures that are known and have a reason. A failure that is listed must occur: the sweep also fails where it has
//! been repaired and is still listed.

use crate::failure::{Findings, Kind};
use crate::parameters::Extent;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The tests of the sweep run at the same time, and each may write the list.
static LIST: Mutex<()> = Mutex::new(());

/// A known failure. A line of the list states those with any of its distributions, precisions, functions and
/// properties.
#[derive(Clone)]
struct KnownFailure {
    /// Distribution, precision, function and property.
    names: [String; 4],
    /// `part`, or `complete` if only the complete grid has it.
    grid: String,
    reason: String,
}

/// What separates the names in the fields of a line.
const SEPARATORS: [&str; 4] = ["; ", " ", " ", "; "];

impl KnownFailure {
    fn is(&self, kind: &Kind) -> bool {
        // A query that takes long may be given up where the machine has other work.
        let property = if kind.property == "end" && self.names[3] == "time" { "time" } else { kind.property };
        self.names.iter().eq([kind.distribution, kind.precision, kind.function, property])
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sweep/known_failures.csv")
}

fn listed() -> Vec<KnownFailure> {
    let mut reader = csv::Reader::from_path(path()).expect("the list of known failures");
    let mut failures = Vec::new();
    for record in reader.records() {
        let record = record.expect("a line");
        assert!(record[5].len() > 10, "expected the reason of a known failure, got {record:?}");
        let mut all = vec![Vec::new()];
        for (field, separator) in record.iter().zip(SEPARATORS) {
            let with = |names: &Vec<String>| {
                field.split(separator).map(|name| [&names[..], &[name.to_string()]].concat()).collect::<Vec<_>>()
            };
            all = all.iter().flat_map(with).collect();
        }
        failures.extend(all.into_iter().map(|names| KnownFailure {
            names: names.try_into().expect("four fields"),
            grid: record[4].into(),
            reason: record[5].into(),
        }));
    }
    failures
}

/// A sweep: it finds failures of its own kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sweep {
    Properties,
    Samples,
    KnownValues,
    Divergences,
}

impl Sweep {
    fn finds(self, failure: &KnownFailure) -> bool {
        let [_, _, function, property] = failure.names.each_ref().map(String::as_str);
        let of = match (function, property) {
            ("sample", _) => Sweep::Samples,
            ("kl_to", _) => Sweep::Divergences,
            (_, "known value" | "known slopes") => Sweep::KnownValues,
            _ => Sweep::Properties,
        };
        of == self
    }
}

/// Writes the list, with as few lines as follow from joining those that differ in one field.
fn write(failures: &[KnownFailure]) {
    let mut lines: Vec<([Vec<String>; 4], &KnownFailure)> =
        failures.iter().map(|failure| (failure.names.clone().map(|name| vec![name]), failure)).collect();
    for joined in [1, 2, 3, 0] {
        let mut fewer: Vec<([Vec<String>; 4], &KnownFailure)> = Vec::new();
        for (fields, failure) in lines {
            let same = |(others, other): &&mut ([Vec<String>; 4], &KnownFailure)| {
                (&other.grid, &other.reason) == (&failure.grid, &failure.reason)
                    && (0..4).all(|i| i == joined || others[i] == fields[i])
            };
            match fewer.iter_mut().find(same) {
                Some((others, _)) => others[joined].extend_from_slice(&fields[joined]),
                None => fewer.push((fields, failure)),
            }
        }
        lines = fewer;
    }
    let mut writer = csv::Writer::from_path(path()).expect("the list of known failures can be written");
    let heading = ["distributions", "precisions", "functions", "properties", "grid", "reason"];
    writer.write_record(heading).expect("a heading");
    for (fields, failure) in lines {
        let names = fields.iter().zip(SEPARATORS).map(|(names, separator)| names.join(separator));
        writer.write_record(names.chain([failure.grid.clone(), failure.reason.clone()])).expect("a line");
    }
}

/// Fails if there are failures that are not listed, or listed ones that do not occur.
pub(crate) fn judge(sweep: Sweep, extent: Extent, visited: &[&str], findings: &Findings) {
    println!("{} checks, {} kinds of failures", findings.checks, findings.failures.len());
    let _one_at_a_time = LIST.lock().unwrap_or_else(PoisonError::into_inner);
    let listed = listed();
    let mut wrong = 0;
    for (kind, failures) in findings.failures.iter().filter(|(kind, _)| !listed.iter().any(|known| known.is(kind))) {
        wrong += 1;
        println!("FAIL {kind}: {} times", failures.count);
        for example in &failures.examples {
            println!("    {example}");
        }
    }
    // How long a query takes depends on what else the machine does.
    let is_repaired = |known: &KnownFailure| {
        sweep.finds(known)
            && visited.contains(&known.names[0].as_str())
            && (extent == Extent::Complete || known.grid != "complete")
            && known.names[3] != "time"
            && !findings.failures.keys().any(|kind| known.is(kind))
    };
    let (repaired, remaining): (Vec<_>, Vec<_>) = listed.into_iter().partition(is_repaired);
    if std::env::var_os("UPDATE_TABLES").is_some() {
        // Nothing adds failures to the list.
        if !repaired.is_empty() {
            write(&remaining);
        }
    } else {
        for KnownFailure { names: [distribution, precision, function, property], .. } in &repaired {
            wrong += 1;
            println!("REPAIRED {precision} {distribution} {function}: {property} (UPDATE_TABLES=1 removes it)");
        }
    }
    assert_eq!(wrong, 0, "{wrong} kinds of failures that are not listed, or listed and repaired");
}
