//! What a sweep finds.

use std::collections::BTreeMap;
use std::time::Duration;

/// A failure, without the arguments: failures of one kind are listed once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) distribution: &'static str,
    pub(crate) precision: &'static str,
    pub(crate) function: &'static str,
    pub(crate) property: &'static str,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {} {}: {}", self.precision, self.distribution, self.function, self.property)
    }
}

/// The failures of a kind: how many there are, and the first of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures {
    pub(crate) count: usize,
    pub(crate) examples: Vec<String>,
}

/// Failures by their kind, and the number of checks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    pub(crate) failures: BTreeMap<Kind, Failures>,
    pub(crate) checks: usize,
    pub(crate) refusals: BTreeMap<String, usize>,
    /// What the queries have taken of the processor.
    pub(crate) time: Duration,
}

impl Findings {
    /// Notes a check, and its failure if there is one.
    pub(crate) fn check(&mut self, kind: &Kind, holds: bool, what: impl FnOnce() -> String) {
        self.checks += 1;
        if !holds {
            let failures = self.failures.entry(kind.clone()).or_default();
            failures.count += 1;
            if failures.examples.len() < 4 {
                failures.examples.push(what());
            }
        }
    }

    /// Notes an error in place of a value.
    pub(crate) fn refuse(&mut self, distribution: &str, reason: &str) {
        let short: String = reason.chars().take(160).collect();
        *self.refusals.entry(format!("{distribution}: {short}")).or_default() += 1;
    }

    pub(crate) fn append(&mut self, other: Findings) {
        self.checks += other.checks;
        self.time += other.time;
        for (kind, found) in other.failures {
            let failures = self.failures.entry(kind).or_default();
            failures.count += found.count;
            failures.examples.extend(found.examples);
            failures.examples.truncate(4);
        }
        for (reason, count) in other.refusals {
            *self.refusals.entry(reason).or_default() += count;
        }
    }
}
