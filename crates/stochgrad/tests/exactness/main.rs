//! Every method on every shared model, compared with the exact derivatives at each order that it declares.
//!
//! The test compares its results with the table in `docs/exactness.md`. To update the table, run `UPDATE_TABLES=1 cargo
//! test -p stochgrad --test exactness`. Methods that cannot be enumerated are sampled with few runs by default, and
//! with many runs by `cargo test --release -p stochgrad --test exactness -- --ignored`.

mod cores;
mod distributions;
mod entries;
mod reports;

use cores::on_all_cores;
use distributions::{Bits, Categories, Counts, Normals, Subject, TestDistribution};
use entries::{Proof, entries};
use reports::{certificate, reports};
use std::fmt::Write;
use stochgrad::check::models::{self, Draw, JOINT_OVER_SAMPLES, Model};
use stochgrad::check::{CheckError, CheckResult};
use stochgrad::check::{Oracle, StatisticalTest};
use stochgrad::graph::GraphError;
use stochgrad::prelude::*;

/// Estimators with more outcomes are sampled instead.
const MOST_OUTCOMES: usize = 1000;

/// The cell of the table for a method on a model.
fn outcome(subject: &Subject, shape: &(&str, Model), proof: Proof, runs: usize) -> String {
    let model = |graph: &Graph<'_, f64>| (shape.1)(graph, &*subject.draw);
    let refused = |error: &CheckError| match error {
        CheckError::Graph(GraphError::Refused { .. } | GraphError::Replay { .. }) => Some("refused".to_string()),
        _ => None,
    };
    let verdict = |result: CheckResult<()>, good: String| match result {
        Ok(()) => good,
        Err(error) => refused(&error).unwrap_or_else(|| match error {
            CheckError::Expectation { .. } => "biased".into(),
            other => panic!("{}, {}: {other}", subject.name, shape.0),
        }),
    };
    // Quadrature is not exact for a normal sample in a cost that is not a polynomial.
    let sampled = subject.title == Normals::TITLE && shape.0 == JOINT_OVER_SAMPLES;
    match proof {
        Proof::Outcomes(top) if !sampled => {
            let oracle = Oracle::new().nodes(subject.nodes).max_outcomes(MOST_OUTCOMES);
            match oracle.verify(model, 0..=top, 1e-9) {
                Err(CheckError::TooManyOutcomes { .. }) => outcome(subject, shape, Proof::Samples, runs),
                Ok(_) => format!("exact to {top}{}", certificate(&model)),
                Err(error) => verdict(Err(error), String::new()),
            }
        }
        Proof::Outcomes(_) | Proof::Samples => {
            let test = StatisticalTest::new().runs(runs);
            // One sample for each node gives the exact gradient, unless a cost depends on all samples together.
            let truth: &Draw<'_> = if shape.0 == JOINT_OVER_SAMPLES { &*subject.draw } else { &*subject.truth };
            let oracle = Oracle::new().nodes(if sampled { 32 } else { subject.nodes });
            let exact = oracle.exact_gradient(|graph: &Graph<'_, f64>| (shape.1)(graph, truth));
            verdict(exact.and_then(|exact| test.check(model, &exact).map(|_| ())), "unbiased".into())
        }
        Proof::Costs => {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let result = model(&graph).and_then(|()| graph.backward()).map(|_| ()).map_err(CheckError::from);
            verdict(result, "by construction".into())
        }
    }
}

/// The cells of every method on every distribution, in the order of [`entries`].
fn rows(runs: usize) -> Vec<Vec<String>> {
    let subjects = entries().iter().map(|entry| entry.subjects.len()).sum();
    on_all_cores(subjects, entries, |entries, at| {
        let mut subjects =
            entries.iter().flat_map(|entry| entry.subjects.iter().map(move |subject| (subject, entry.proof)));
        let (subject, proof) = subjects.nth(at).expect("one of the subjects");
        models::ALL.iter().map(|shape| outcome(subject, shape, proof, runs)).collect()
    })
}

fn table(runs: usize) -> String {
    let mut text = String::from(
        "# Exactness\n\n\
         Each method is tested on several shapes of graph, as the method of every node: on bits, on one-hot vectors of\n\
         three categories, on counts (the successes in two trials), and on normal samples with a differentiable mean.\n\
         The cells say:\n\n\
         * *exact to n*: averaged over all outcomes of the method's own draws, the derivatives of orders 0 to n equal the\n  \
           exact ones to 1e-9. The test stops at order 2; many methods are valid at higher orders, as they declare.\n\
         * *unbiased*: estimated from samples, because there are too many outcomes to sum over. Every element is within\n  \
           four standard errors, with Holm's correction for their number.\n\
         * *refused*: the library returns an error that gives the reason and what to try.\n\
         * *biased*: the method declares a bias, and the mean of its gradient differs from the exact gradient.\n\
         * *certified*: the method is biased in general but exact for these costs, by their degree as polynomials, and the\n  \
           guarantee of the gradient says so.\n\
         * *by construction*: the method estimates the gradient of another distribution, or uses other weights. Its known\n  \
           bias is tested beside the method.\n\n\
         Written by `crates/stochgrad/tests/exactness`.\n\n",
    );
    let (entries, rows) = (entries(), rows(runs));
    let subjects = || entries.iter().flat_map(|entry| &entry.subjects).zip(&rows);
    for title in [Bits::TITLE, Categories::TITLE, Counts::TITLE, Normals::TITLE] {
        let header: Vec<&str> = models::ALL.iter().map(|(name, _)| *name).collect();
        let _ = writeln!(
            text,
            "## {title}\n\n| method | {} |\n|---{}|",
            header.join(" | "),
            "|---".repeat(models::ALL.len())
        );
        for (subject, cells) in subjects().filter(|(subject, _)| subject.title == title) {
            let _ = writeln!(text, "| {} | {} |", subject.name, cells.join(" | "));
        }
        text.push('\n');
    }
    text + &reports(&entries)
}

fn compare(found: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/exactness.md");
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&path, found).expect("docs/exactness.md can be written");
    }
    let known = std::fs::read_to_string(&path).expect("docs/exactness.md can be read");
    for (found, known) in found.lines().zip(known.lines()) {
        assert_eq!(found, known, "docs/exactness.md is out of date: UPDATE_TABLES=1 writes it");
    }
    assert_eq!(found.lines().count(), known.lines().count());
}

#[test]
fn the_table_is_up_to_date() {
    compare(&table(300));
}

#[test]
#[ignore = "minutes of work; see the head of the file"]
fn the_table_is_up_to_date_with_many_runs() {
    compare(&table(20_000));
}
