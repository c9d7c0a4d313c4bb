//! A sweep over every distribution of single numbers, mixtures and transformed distributions, at ordinary and extreme
//! parameters and arguments, in `f32` and `f64`.
//!
//! `cargo test -p stochgrad-distributions --test sweep` visits a part of the grid, and all of it with
//! `-- --ignored --nocapture`. The variable `SWEEP` chooses the distributions whose name begins with its value.

mod accuracy;
mod bounds;
mod distributions;
mod divergences;
mod failure;
mod known;
mod known_failures;
mod parameters;
mod properties;
mod query;
mod range;
mod reference;
mod samples;
mod watch;

use distributions::{Entry, entries};
use failure::{Findings, Kind};
use known_failures::Sweep;
use parameters::Extent;
use reference::Errors;
use watch::for_each;

/// The entry that the variable `SWEEP` names, or those whose names begin with it; all of them without it.
fn selected() -> Vec<Entry> {
    let wanted = std::env::var("SWEEP").unwrap_or_default();
    let exact = entries().iter().any(|entry| entry.name == wanted);
    let matches = |name: &str| if exact { name == wanted } else { name.starts_with(&wanted) };
    entries().into_iter().filter(|entry| matches(entry.name)).collect()
}

/// Judges what was found for the selected entries.
fn judge(sweep: Sweep, extent: Extent, entries: &[Entry], all: Vec<Findings>) {
    let mut findings = Findings::default();
    all.into_iter().for_each(|found| findings.append(found));
    for (reason, count) in &findings.refusals {
        println!("refused {count} times: {reason}");
    }
    let visited: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
    known_failures::judge(sweep, extent, &visited, &findings);
}

fn properties(extent: Extent) {
    let entries = selected();
    let all = for_each(&entries, |entry| {
        let mut findings = properties::of_entry::<f64>(entry, extent);
        findings.append(properties::of_entry::<f32>(entry, extent));
        findings
    });
    judge(Sweep::Properties, extent, &entries, all);
}

fn own_samples(extent: Extent) {
    let entries = selected();
    let all = for_each(&entries, |entry| {
        let mut findings = samples::of_entry::<f64>(entry, extent);
        findings.append(samples::of_entry::<f32>(entry, extent));
        findings
    });
    judge(Sweep::Samples, extent, &entries, all);
}

#[test]
fn properties_at_a_part_of_the_grid() {
    properties(Extent::Part);
}

#[test]
fn own_samples_at_a_part_of_the_grid() {
    own_samples(Extent::Part);
}

#[test]
#[ignore = "minutes of work; see the head of the file"]
fn properties_everywhere() {
    properties(Extent::Complete);
}

#[test]
#[ignore = "minutes of work; see the head of the file"]
fn own_samples_everywhere() {
    own_samples(Extent::Complete);
}

#[test]
fn known_values() {
    let entries = selected();
    let points = known::points();
    for name in points.keys() {
        assert!(distributions::entries().iter().any(|entry| entry.name == name), "no distribution {name}");
    }
    let found = for_each(&entries, |entry| {
        let points = points.get(entry.name).map_or(&[][..], |points| points.as_slice());
        let (mut findings, mut errors) = reference::of_entry::<f64>(entry, points);
        let (others, more) = reference::of_entry::<f32>(entry, points);
        findings.append(others);
        errors.extend(more);
        // A refusal counts as right, but not if nothing is left to compare.
        let compared = errors.contains_key(&(entry.name, "f64", query::Function::LogProb, false));
        assert!(compared || points.is_empty(), "{} refuses all of its known values", entry.name);
        (findings, errors)
    });
    let (mut all, mut errors) = (Vec::new(), Errors::new());
    for (mut findings, more) in found {
        for (compared, (error, at)) in &more {
            let (distribution, precision, function, slopes) = *compared;
            let property = if slopes { "known slopes" } else { "known value" };
            let kind = Kind { distribution, precision, function: function.name(), property };
            findings.check(&kind, *error <= bounds::bound(compared), || format!("{error:.2e} units, {at}"));
        }
        all.push(findings);
        errors.extend(more);
    }
    judge(Sweep::KnownValues, Extent::Part, &entries, all);
    if entries.len() == distributions::entries().len() {
        accuracy::judge(&entries, &errors, bounds::bound);
    }
}

#[test]
fn known_divergences() {
    let (entries, rows) = (selected(), divergences::rows());
    for row in &rows {
        assert!(<f64 as divergences::Divergences>::divergence(&row.name).is_some(), "no divergence of {}", row.name);
    }
    let all = for_each(&entries, |entry| {
        let mut findings = divergences::of_entry::<f64>(entry, &rows);
        findings.append(divergences::of_entry::<f32>(entry, &rows));
        findings
    });
    judge(Sweep::Divergences, Extent::Part, &entries, all);
}
