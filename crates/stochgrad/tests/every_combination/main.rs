//! Every distribution and every method in compiled graphs, with the bits that recording each step afresh gives.
//!
//! `UPDATE_TABLES=1 cargo test -p stochgrad --test every_combination` writes the result to `docs/compiled.md`. Without
//! the variable, the test compares the file with the result.

#[allow(unsafe_code)]
mod allocations;
#[path = "../../../stochgrad-distributions/tests/catalogue/mod.rs"]
mod catalogue;
#[path = "../exactness/cores.rs"]
mod cores;
mod devices;
#[allow(dead_code)]
#[path = "../exactness/distributions.rs"]
mod distributions;
#[allow(dead_code)]
#[path = "../exactness/entries.rs"]
mod entries;
mod rows;

use distributions::{Bits, Categories, Counts, Normals, Subject, TestDistribution};
use entries::entries;
use rows::{Row, rows};
use std::fmt::Write;
use stochgrad::check::models;
use stochgrad::distributions::{Draw, KeyedNoise, NoiseKey};
use stochgrad::graph::{CompiledGraph, Gradients, GraphResult};
use stochgrad::prelude::*;
use stochgrad::tape::{NoiseSeed, PlateKind, Plates, Tape};
use stochgrad::tensor::Tensor;

/// What became of a combination.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    /// It compiles, and gives the bits of a recording.
    Compiles,
    /// It does not compile, for this reason.
    Host(String),
    /// It compiles, but fails or gives other bits than a recording.
    Wrong(String),
    /// The method refuses it, compiled or not.
    Refused,
}

const THREADS: [usize; 3] = [1, 2, 8];

/// The parameters in a step: those that need not be whole numbers move.
fn values(ordinary: &[f64], step: usize) -> Vec<f64> {
    let moved = |value: f64| if value.fract() == 0.0 { value } else { value * (1.0 + 0.01 * step as f64) };
    ordinary.iter().map(|&value| moved(value)).collect()
}

fn bits(tensor: &Tensor<f64>) -> Vec<u64> {
    tensor.as_slice().iter().map(|x| x.to_bits()).collect()
}

/// The difference between a run and a recording, if there is one.
fn difference(found: &Gradients<f64>, expected: &Gradients<f64>) -> Option<String> {
    let gradients = found.iter().zip(expected.iter()).find(|((_, a), (_, b))| bits(a) != bits(b));
    if let Some(((name, a), (_, b))) = gradients {
        return Some(format!("the gradient of {name} is {a:?}, expected {b:?}"));
    }
    let costs = found.costs().iter().zip(expected.costs()).find(|((_, a), (_, b))| a.to_bits() != b.to_bits());
    costs.map(|((name, a), (_, b))| format!("the cost {name} is {a:?}, expected {b:?}"))
}

/// The names and values of the parameters and of the data of a graph.
fn inputs(graph: &Graph<'_, f64>, compiled: &CompiledGraph<f64>) -> GraphResult<Vec<(String, Tensor<f64>)>> {
    let mut inputs = Vec::new();
    for (name, value) in graph.parameters() {
        inputs.push((name, value.peek()?));
    }
    if compiled.inputs().any(|name| name == "data") {
        // The data of the shared models.
        inputs.push(("data".into(), Tensor::from([0.5, -1.5])));
    }
    Ok(inputs)
}

/// Compiles a step of a graph and compares its runs with recordings.
fn of_graph(record: &dyn Fn(&Graph<'_, f64>, usize) -> GraphResult<()>) -> Outcome {
    let seed = |step: usize| Seed::new(11).step(step);
    for threads in THREADS {
        let tape = Tape::<f64>::with_threads(threads);
        let graph = Graph::new(&tape, seed(0));
        match record(&graph, 0).and_then(|()| graph.backward()) {
            Ok(_) => {}
            Err(_) => return Outcome::Refused,
        }
        let mut compiled = match graph.compile() {
            Ok(compiled) => compiled,
            Err(error) => return Outcome::Host(error.to_string()),
        };
        let mut compare = |step: usize| -> GraphResult<Option<String>> {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, seed(step));
            record(&graph, step)?;
            let expected = graph.backward()?;
            for (name, value) in inputs(&graph, &compiled)? {
                compiled.set(&name, &value)?;
            }
            Ok(difference(compiled.run(seed(step))?, &expected))
        };
        for step in 1..4 {
            match compare(step) {
                Ok(None) => {}
                Ok(Some(message)) => return Outcome::Wrong(format!("{threads} threads, step {step}: {message}")),
                Err(error) => return Outcome::Wrong(format!("{threads} threads, step {step}: {error}")),
            }
        }
    }
    Outcome::Compiles
}

/// Enough for several threads.
const MEMBERS: usize = 21_000;

/// The parameters and the draws of a distribution, or their log-probabilities.
fn draws<'t>(row: &Row, tape: &'t Tape<f64>, step: usize, logs: bool) -> (Vec<Var<'t, f64>>, Var<'t, f64>) {
    let parameters: Vec<Var<'_, f64>> =
        values(row.ordinary, step).into_iter().map(|value| tape.parameter(value)).collect();
    let distribution = (row.build)(tape, &parameters);
    let plate = tape.plate("samples", MEMBERS, PlateKind::Samples, &[]);
    let noise = KeyedNoise::new(11, step as u64);
    let draw = Draw::new(tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
    let sample = distribution.sample(&draw).unwrap_or_else(|error| panic!("{}: {error}", row.distribution));
    let sample = sample.expand_plates(&[plate]);
    let output = if logs { distribution.log_prob(sample) } else { sample };
    (parameters, output)
}

/// Compiles draws, or their log-probabilities, and compares runs with recordings.
fn of_draws(row: &Row, logs: bool) -> Outcome {
    for threads in THREADS {
        let tape = Tape::<f64>::with_threads(threads);
        let (parameters, output) = draws(row, &tape, 0, logs);
        let mut program = match tape.compile(&parameters, &[output]) {
            Ok(program) => program,
            Err(error) => return Outcome::Host(error.to_string()),
        };
        for step in 1..3 {
            let fresh = Tape::<f64>::new();
            let (_, output) = draws(row, &fresh, step, logs);
            let expected = output.peek().unwrap_or_else(|error| panic!("{}: {error}", row.distribution));
            for (index, value) in values(row.ordinary, step).into_iter().enumerate() {
                program.set(index, &Tensor::scalar(value)).expect("an input");
            }
            if let Err(error) = program.run(NoiseSeed { seed: 11, step: step as u64 }) {
                return Outcome::Wrong(error.to_string());
            }
            if bits(program.output(0).unwrap()) != bits(&expected) {
                return Outcome::Wrong(format!("{threads} threads, step {step}: other draws"));
            }
        }
    }
    Outcome::Compiles
}

/// A method on a distribution, with each of the parameters trained alone, and with none of them.
fn of_method(row: &Row, can: &str) -> Option<Outcome> {
    let (_, step) = row.steps.iter().find(|(own, _)| *own == can)?;
    let of_parameter = |trained: usize| {
        of_graph(&|graph, at| {
            // Constants are the same in every step.
            let mut now = row.ordinary.to_vec();
            if let Some(value) = now.get_mut(trained) {
                *value = values(row.ordinary, at)[trained];
            }
            step(graph, &now, trained)
        })
    };
    let outcomes: Vec<Outcome> = (0..=row.ordinary.len()).map(of_parameter).collect();
    let fails = outcomes.iter().find(|outcome| matches!(outcome, Outcome::Host(_) | Outcome::Wrong(_)));
    Some(fails.or(outcomes.iter().find(|outcome| **outcome == Outcome::Compiles)).unwrap_or(&Outcome::Refused).clone())
}

/// The capabilities of a row are those that the distribution reports.
fn check_capabilities(row: &Row) {
    let tape = Tape::<f64>::new();
    let parameters: Vec<Var<'_, f64>> = row.ordinary.iter().map(|&value| tape.parameter(value)).collect();
    let distribution = (row.build)(&tape, &parameters);
    let can = distribution.capabilities();
    let known = [
        ("score", can.score.is_some()),
        ("path", can.reparameterized.is_some()),
        ("weak", can.weak_derivative.is_some()),
        ("jumps", can.stochastic_derivative.is_some()),
        ("finite", can.finite_support.is_some()),
    ];
    for (name, known) in known {
        let listed = row.steps.iter().any(|(own, _)| *own == name);
        assert_eq!(listed, known, "{}: {name} in the catalogue and in the capabilities", row.distribution);
    }
}

struct Page {
    text: String,
    /// What does not compile.
    offenders: Vec<String>,
    /// What compiles, but gives another result than a recording.
    wrong: Vec<String>,
}

impl Page {
    fn cell(&mut self, what: &str, outcome: Option<Outcome>) -> &'static str {
        match outcome {
            None => "",
            Some(Outcome::Compiles) => "yes",
            Some(Outcome::Refused) => "refused",
            Some(Outcome::Host(reason)) => {
                eprintln!("{what} does not compile: {reason}");
                self.offenders.push(what.into());
                "no"
            }
            Some(Outcome::Wrong(message)) => {
                self.wrong.push(format!("{what}: {message}"));
                "wrong"
            }
        }
    }

    fn row(&mut self, name: &str, cells: &[&str]) {
        let _ = writeln!(self.text, "| {name} | {} |", cells.join(" | "));
    }

    fn distributions(&mut self) {
        for row in rows() {
            check_capabilities(&row);
            let what = |column: &str| format!("{}: {column}", row.distribution);
            let mut cells = vec![
                self.cell(&what("draw"), Some(of_draws(&row, false))),
                self.cell(&what("log-probability"), Some(of_draws(&row, true))),
            ];
            for can in ["score", "path", "weak", "jumps", "finite"] {
                cells.push(self.cell(&what(can), of_method(&row, can)));
            }
            self.row(&format!("`{}`", row.distribution), &cells);
        }
    }

    fn methods(&mut self) {
        let titles = [Bits::TITLE, Categories::TITLE, Counts::TITLE, Normals::TITLE];
        let entries = entries();
        let mut names: Vec<&str> = Vec::new();
        for subject in entries.iter().flat_map(|entry| &entry.subjects) {
            if !names.contains(&subject.name.as_str()) {
                names.push(&subject.name);
            }
        }
        for name in names {
            let of_title = |title: &str| {
                entries.iter().flat_map(|entry| &entry.subjects).find(|own| own.name == name && own.title == title)
            };
            let cells: Vec<&str> = titles.iter().map(|title| self.on_all_shapes(of_title(title))).collect();
            self.row(name, &cells);
        }
    }

    /// A method on a distribution as the method of every node in every shape of graph that it does not refuse.
    fn on_all_shapes(&mut self, subject: Option<&Subject>) -> &'static str {
        let Some(subject) = subject else { return "" };
        let (mut compiles, mut fails) = (false, false);
        for (shape, model) in models::ALL {
            let what = format!("{} on {}: {shape}", subject.name, subject.title.to_lowercase());
            let outcome = of_graph(&|graph, _| model(graph, &*subject.draw));
            match self.cell(&what, Some(outcome)) {
                "yes" => compiles = true,
                "no" | "wrong" => fails = true,
                _ => {}
            }
        }
        match (compiles, fails) {
            (_, true) => "no",
            (true, false) => "yes",
            (false, false) => "refused",
        }
    }
}

fn page() -> Page {
    let mut page = Page { text: String::new(), offenders: Vec::new(), wrong: Vec::new() };
    page.text += "# What compiles\n\n\
        A test writes this page (`cargo test -p stochgrad --test every_combination`). It compiles each combination on\n\
        1, 2 and 8 threads, runs it with other parameters and noise, and compares the bits with those of a\n\
        recording.\n\n\
        * *yes*: it compiles, and gives the same bits.\n\
        * *no*: it exists, but does not compile. The list at the end of the page names these combinations.\n\
        * *refused*: the combination is an error, compiled or not.\n\
        * An empty cell: the combination does not exist. [Distributions](distributions.md) gives the reasons.\n\n\
        ## Distributions\n\n\
        The columns are draws, log-probabilities of draws, and a step by the score function, the sample path, the\n\
        weak derivative (`MeasureValued`), the stochastic derivative (`StochasticDerivatives`) and enumeration.\n\n\
        | distribution | draw | log-probability | score | path | weak | stochastic | enumeration |\n\
        |---|---|---|---|---|---|---|---|\n";
    page.distributions();
    page.text += "\n## Methods\n\n\
        Each method is the method of every node in all shapes of graph of the [table of exactness](exactness.md)\n\
        that it does not refuse.\n\n\
        | method | bits | categories | counts | normal samples |\n|---|---|---|---|---|\n";
    page.methods();
    page.text += "\n## What does not compile\n\n";
    match page.offenders.as_slice() {
        [] => page.text += "Nothing in these tables.\n",
        offenders => {
            let list: Vec<String> = offenders.iter().map(|offender| format!("* {offender}\n")).collect();
            page.text += &list.concat();
        }
    }
    page
}

#[test]
fn the_page_is_up_to_date() {
    let page = page();
    assert!(page.wrong.is_empty(), "{}", page.wrong.join("\n"));
    assert!(page.offenders.is_empty(), "these do not compile: {}", page.offenders.join(", "));
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compiled.md");
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&path, &page.text).expect("docs/compiled.md can be written");
    }
    let known = std::fs::read_to_string(&path).expect("docs/compiled.md can be read");
    for (found, known) in page.text.lines().zip(known.lines()) {
        assert_eq!(found, known, "docs/compiled.md is out of date: UPDATE_TABLES=1 writes it");
    }
    assert_eq!(page.text.lines().count(), known.lines().count());
}
