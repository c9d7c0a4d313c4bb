//! The page of a distribution: what it is, its picture, its definition, an example, what it can do, and its moments.

use crate::catalogue::Entry;
use crate::documentation::{Documentation, file_name};
use crate::settings::{Settings, View};
use std::fmt::Write;
use stochgrad_distributions::Capabilities;
use stochgrad_tape::{Tape, Var};

/// A column of the table: its place, its name, and the methods with the other columns that they need.
type Column = (usize, &'static str, &'static [(&'static str, &'static [usize])]);

/// The capabilities of the table.
const CAPABILITIES: [Column; 10] = [
    (1, "Score", &[("score_function", &[]), ("importance_sampling", &[]), ("double_control_variate", &[])]),
    (2, "Path", &[("pathwise", &[]), ("smoothed_perturbation", &[8]), ("lax", &[1])]),
    (3, "Weak derivatives", &[("measure_valued", &[])]),
    (4, "Stochastic derivatives", &[("stochastic_derivatives", &[]), ("smoothed", &[])]),
    (
        5,
        "Finite support",
        &[("enumerate", &[]), ("local_expectation", &[]), ("sum_and_sample", &[1]), ("unordered_set", &[1])],
    ),
    (6, "Relaxation", &[("gumbel_softmax", &[]), ("gumbel_rao", &[]), ("rebar", &[]), ("relax", &[])]),
    (7, "Entropy", &[]),
    (8, "Distribution function", &[]),
    (9, "Moments", &[]),
    (10, "Divergence to", &[]),
];

/// The capabilities of a distribution that the table does not have, with the methods that need them.
fn other_capabilities(can: &Capabilities<'_, '_, f64>) -> Vec<(&'static str, &'static [&'static str])> {
    let all: [(bool, &str, &[&str]); 5] = [
        (can.weakly_reparameterized.is_some(), "Path with a remainder", &["generalized_reparameterization"]),
        (can.independent_bits.is_some(), "Independent bits", &["disarm", "arm", "arms", "ugc", "bit_flip", "rodeo"]),
        (can.independent_categories.is_some(), "Independent categories", &["categorical_disarm", "carms", "arsm"]),
        (can.whole_numbers.is_some(), "Integers", &["discrete_go", "generalized_gumbel_softmax"]),
        (can.quadratic_variance.is_some(), "Quadratic variance", &["fini"]),
    ];
    all.into_iter().filter(|(there, _, _)| *there).map(|(_, title, methods)| (title, methods)).collect()
}

/// A number with at most four digits.
pub(crate) fn number(x: f64) -> String {
    let size = x.abs();
    let text = match x {
        _ if x.is_nan() => return "undefined".into(),
        _ if x.is_infinite() => "∞".into(),
        _ if size < 1e-12 => return "0".into(),
        _ if (1e-3..1e5).contains(&size) => {
            let digits = (3 - size.log10().floor() as i32).max(0) as usize;
            let text = format!("{size:.digits$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        _ => format!("{size:.3e}"),
    };
    format!("{}{text}", if x < 0.0 { "−" } else { "" })
}

/// Numbers of a vector, or of a matrix by rows.
fn numbers(shape: &[usize], values: &[f64]) -> String {
    match shape {
        [] => number(values[0]),
        [_] => format!("({})", values.iter().map(|x| number(*x)).collect::<Vec<_>>().join(", ")),
        [_, inner @ ..] => {
            let rows = values.chunks(inner.iter().product()).map(|row| numbers(inner, row));
            format!("({})", rows.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Parameters with their names.
pub(crate) fn label(entry: &Entry, parameters: &[f64]) -> String {
    let mut rest = parameters;
    let mut parts = Vec::new();
    for name in entry.parameters() {
        // Arguments of the distribution inside another one follow its name.
        let name = name.rsplit('(').next().unwrap_or(name).trim_end_matches(')');
        if !name.starts_with(|c: char| c.is_lowercase()) {
            continue; // an argument that is no parameter, such as a map
        }
        let (name, axes) = name.split_once('[').unwrap_or((name, ""));
        let shape: Vec<usize> =
            axes.trim_end_matches(']').split('x').filter_map(|size| size.parse::<usize>().ok()).collect();
        let (own, others) = rest.split_at(shape.iter().product());
        parts.push(format!("{} = {}", name.replace('_', " "), numbers(&shape, own)));
        rest = others;
    }
    assert!(rest.is_empty(), "{}: expected fewer parameters, got {parameters:?}", entry.distribution);
    parts.join(", ")
}

/// The mean, the variance, the mode and the entropy at each setting.
fn moments(entry: &Entry, settings: &Settings) -> String {
    let titles = ["mean", "variance", "mode", "entropy (nats)"];
    let mut rows = Vec::new();
    for parameters in &settings.parameters {
        let tape = Tape::<f64>::new();
        let own: Vec<Var<'_, f64>> = parameters.iter().map(|&value| tape.constant(value)).collect();
        let distribution = (entry.build)(&tape, &own);
        let entropy = distribution.capabilities().entropy.map(|known| known.entropy());
        let known = [distribution.mean(), distribution.variance(), distribution.mode(), entropy];
        let cells = known.map(|value| {
            let value = value?.peek().ok()?;
            let is_short = value.as_slice().len() <= 9;
            Some(if is_short { numbers(value.shape(), value.as_slice()) } else { "…".into() })
        });
        rows.push((label(entry, parameters), cells));
    }
    let columns: Vec<usize> =
        (0..titles.len()).filter(|&at| rows.iter().any(|(_, cells)| cells[at].is_some())).collect();
    if columns.is_empty() {
        return "None has a closed form.\n".into();
    }
    let mut text = String::new();
    let cell = |cells: &[Option<String>; 4], at: usize| cells[at].clone().unwrap_or_else(|| "–".into());
    let names: Vec<&str> = columns.iter().map(|&at| titles[at]).collect();
    writeln!(text, "| parameters | {} |", names.join(" | ")).expect("a string");
    writeln!(text, "|---|{}", "---|".repeat(columns.len())).expect("a string");
    for (parameters, cells) in rows {
        let cells: Vec<String> = columns.iter().map(|&at| cell(&cells, at)).collect();
        writeln!(text, "| {parameters} | {} |", cells.join(" | ")).expect("a string");
    }
    text
}

/// What the picture shows, and the sentence below it, if there is more to say.
fn caption(settings: &Settings) -> (&'static str, &'static str) {
    match settings.view {
        View::Along { .. } => ("Densities", ""),
        View::WithAtoms { .. } => {
            ("Densities", "Lines are densities. A dot is the probability of the value below it.\n\n")
        }
        View::Integers(..) | View::Values(_) => ("Probabilities", ""),
        View::Points { .. } => ("Draws", "Sixty draws for each setting; those outside of the axes are left out.\n\n"),
        View::Sequences => ("Draws", "Three draws for each setting.\n\n"),
    }
}

/// The page, given the rows of the distribution in the table of capabilities.
pub(crate) fn page(entry: &Entry, settings: &Settings, documentation: &Documentation, rows: &[Vec<String>]) -> String {
    let name = entry.name();
    let tape = Tape::<f64>::new();
    let parameters: Vec<Var<'_, f64>> = entry.ordinary.iter().map(|&value| tape.constant(value)).collect();
    let distribution = (entry.build)(&tape, &parameters);
    let others = other_capabilities(&distribution.capabilities());
    let mut text = format!("# {name}\n\n{}\n\n", documentation.summary);
    let (shown, sentence) = caption(settings);
    writeln!(text, "![{shown} of {name}]({}.svg)\n", file_name(name)).expect("a string");
    writeln!(text, "{sentence}## Definition\n\n{}\n", documentation.definition).expect("a string");
    writeln!(text, "## Use\n\n{}\n", documentation.usage).expect("a string");
    text += "## What it can do\n\n| capability | | methods that need it |\n|---|---|---|\n";
    let cells = |column: usize| {
        let mut cells: Vec<&str> =
            rows.iter().map(|row| row[column].as_str()).filter(|cell| !cell.is_empty()).collect();
        cells.dedup();
        cells
    };
    for (column, title, methods) in CAPABILITIES {
        if !cells(column).is_empty() {
            let methods = methods.iter().filter(|(_, others)| others.iter().all(|&other| !cells(other).is_empty()));
            let methods: Vec<String> = methods.map(|(file, _)| link(file)).collect();
            let forms = if rows.iter().any(|row| row[column].is_empty()) { ", in some forms" } else { "" };
            let known = cells(column).join("; or ");
            writeln!(text, "| {title} | {known}{forms} | {} |", methods.join(", ")).expect("a string");
        }
    }
    for (title, methods) in others {
        let methods: Vec<String> = methods.iter().map(|file| link(file)).collect();
        writeln!(text, "| {title} | yes | {} |", methods.join(", ")).expect("a string");
    }
    text += "\n[The table of all distributions](../distributions.md) explains the words, and why a capability is missing.\n\
             [`Auto`](../methods/auto.md) chooses a method.\n";
    write!(text, "\n## Moments\n\n{}", moments(entry, settings)).expect("a string");
    text
}

/// A link to the page of a method.
fn link(file: &str) -> String {
    let words: Vec<String> = file.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
    format!("[`{}`](../methods/{file}.md)", words.concat())
}
