//! Surveys: many models, each judged with random methods.

use crate::choose::choose;
use crate::generate::{generate, generator};
use crate::judge::judge;
use crate::methods::{Choice, Entry, Placement};
use crate::model::Model;
use crate::print::print;
use crate::reference::{Reference, reference};
use crate::shrink::{Program, shrink};
use crate::tally::{FailedGraph, Tally};
use crate::verdict::{Failure, Settings, Verdict};

/// How many assignments of methods are judged for each model.
const ASSIGNMENTS: usize = 2;

/// How often methods may be drawn for one assignment if the estimators are too large.
const MOST_DRAWS: usize = 6;

/// One in this many graphs is also compared with the exact oracle.
const ORACLE_EVERY: u64 = 8;

/// One in this many graphs is also compiled.
const COMPILED_EVERY: u64 = 2;

/// How many words of a reason are kept.
const WORDS: usize = 9;

/// The settings that all graphs of a survey share.
pub struct Survey {
    /// The seed. Together with its number, it determines a graph.
    pub seed: u64,
    /// The largest number of outcomes of an estimator.
    pub max_outcomes: usize,
    /// The methods to choose from.
    pub methods: Vec<Entry>,
    /// Whether to make the programs of failures smaller.
    pub shrinks: bool,
}

/// A graph with its methods and its verdict.
pub struct Judged {
    /// The model and the methods.
    pub program: Program,
    /// The verdict.
    pub verdict: Verdict,
}

impl Survey {
    /// The first generated model that has a reference, its reference, and the number of models discarded before it.
    fn model(&self, rng: &mut dyn rand::Rng) -> (Model, Reference, u64) {
        let mut redrawn = 0;
        loop {
            let model = generate(rng);
            if let Ok(reference) = reference(&model) {
                return (model, reference, redrawn);
            }
            redrawn += 1;
        }
    }

    fn settings(&self, number: u64) -> Settings {
        Settings {
            max_outcomes: self.max_outcomes,
            compiled: number.is_multiple_of(COMPILED_EVERY),
            oracle: number.is_multiple_of(ORACLE_EVERY),
        }
    }

    /// Judges the graph with this number, and counts the models discarded before it. The result depends only on the
    /// seed and the number.
    pub fn graph(&self, number: u64) -> (Vec<Judged>, u64) {
        let mut rng = generator(self.seed, number);
        let (model, reference, redrawn) = self.model(&mut rng);
        let mut judged = Vec::new();
        for _ in 0..ASSIGNMENTS {
            for _ in 0..MOST_DRAWS {
                let Some(choices) = choose(&mut rng, &model, &self.methods) else { continue };
                let verdict = judge(&model, &reference, &self.methods, &choices, self.settings(number));
                let again = matches!(verdict, Verdict::TooLarge | Verdict::NotEnumerable);
                judged.push(Judged { program: Program { model: model.clone(), choices }, verdict });
                if !again {
                    break;
                }
            }
        }
        (judged, redrawn)
    }

    /// Judges the graphs with these numbers.
    pub fn graphs(&self, numbers: impl Iterator<Item = u64>) -> Tally {
        let mut tally = Tally::default();
        for number in numbers {
            let (judged, redrawn) = self.graph(number);
            tally.graphs += 1;
            tally.redrawn += redrawn;
            for Judged { program, verdict } in judged {
                self.count(&mut tally, &program, &verdict);
                if let Verdict::Failed(failure) = &verdict
                    && tally.keeps_failures(&format!("{:?}", failure.kind))
                {
                    let (program, failure) = self.smaller(program, failure, self.settings(number));
                    tally.failures.push(FailedGraph {
                        graph: number,
                        kind: format!("{:?}", failure.kind),
                        what: failure.what,
                        expected: format!("{:?}", failure.expected),
                        found: format!("{:?}", failure.found),
                        program: print(&program.model, &self.methods, &program.choices),
                    });
                }
            }
        }
        tally
    }

    fn count(&self, tally: &mut Tally, program: &Program, verdict: &Verdict) {
        tally.all.add(verdict);
        for (node, choice) in program.model.nodes.iter().zip(&program.choices) {
            let name = format!("{}: {}", node.distribution.family.name(), self.name(*choice));
            tally.methods.entry(name).or_default().add(verdict);
        }
        match verdict {
            Verdict::Agreed(order) => *tally.orders.entry(*order as u64).or_default() += 1,
            Verdict::Refused(reason) => *tally.reasons.entry(first_words(reason)).or_default() += 1,
            Verdict::Failed(failure) => *tally.kinds.entry(format!("{:?}", failure.kind)).or_default() += 1,
            Verdict::Labelled | Verdict::TooLarge | Verdict::NotEnumerable => {}
        }
    }

    fn name(&self, choice: Choice) -> String {
        let entry = &self.methods[choice.method];
        match choice.placement {
            Placement::Along => format!("{} along a plate", entry.code),
            placement => entry.expression(placement, ""),
        }
    }

    /// A smaller program with a failure of the same kind, and the failure of that program.
    pub fn smaller(&self, program: Program, failure: &Failure, settings: Settings) -> (Program, Failure) {
        if !self.shrinks {
            return (program, failure.clone());
        }
        let mut last = failure.clone();
        let smallest = shrink(program, &self.methods, |candidate| {
            let Ok(reference) = reference(&candidate.model) else { return false };
            match judge(&candidate.model, &reference, &self.methods, &candidate.choices, settings) {
                Verdict::Failed(found) if found.kind == failure.kind => {
                    last = found;
                    true
                }
                _ => false,
            }
        });
        (smallest, last)
    }
}

/// The first words of a reason, with names and digits replaced.
fn first_words(reason: &str) -> String {
    let mut quoted = false;
    let mut plain = String::new();
    for character in reason.chars() {
        if character == '"' {
            quoted = !quoted;
            if quoted {
                plain.push('…');
            }
        } else if !quoted {
            match character.is_ascii_digit() {
                true if plain.ends_with('#') => {}
                true => plain.push('#'),
                false => plain.push(character),
            }
        }
    }
    plain.split_whitespace().take(WORDS).collect::<Vec<_>>().join(" ")
}
