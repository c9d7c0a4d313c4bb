//! The cross-entropy method (Rubinstein and Kroese 2004): a proposal for a rare event, with its probability and the
//! derivatives of that probability by importance sampling; and the largest cut of a graph.
//!
//! `cargo run --release --example cross_entropy_method` takes some seconds, `-- --quick` less.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use clap::Parser;
use comfy_table::{Table, presets};
use plotters::prelude::*;
use serde_json::{Value, json};
use stochgrad::distributions::Exponential;
use stochgrad::estimators::ImportanceSampling;
use stochgrad::graph::GraphResult;
use stochgrad::nn::{Inputs, Parameters};
use stochgrad::prelude::*;
use stochgrad::tensor::random::{Key, address_hash};
use stochgrad_examples::chart::{Axis, Line, Marks, draw_lines};

/// The mean lengths of the edges of a bridge between two points. The lengths are exponential.
const MEANS: [f64; 5] = [0.25, 0.4, 0.1, 0.3, 0.2];
/// The edges of the four paths over the bridge. The event is that the shortest path is longer than `LEVEL`.
const PATHS: [[f64; 5]; 4] =
    [[1.0, 0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0, 0.0]];
const LEVEL: f64 = 2.0;
/// The exact probability, and the means of the lengths given the event, by quadrature. These means are those of the
/// best proposal with independent exponential lengths.
const PROBABILITY: f64 = 1.34245975e-5;
const BEST: [f64; 5] = [1.684707433, 1.874109907, 0.1249770514, 0.710348414, 0.5745336437];
/// The share of the samples that the next proposal is fitted to.
const ELITE: f64 = 0.1;

/// Estimates a small probability, and searches the largest cut of graphs.
#[derive(Parser)]
struct Arguments {
    /// Use fewer samples.
    #[arg(long)]
    quick: bool,
    /// The number of samples of an iteration; the estimate of the probability uses ten times as many.
    #[arg(long, default_value_t = 10_000)]
    samples: usize,
    /// The seed of the samples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for results and pictures.
    #[arg(long, default_value = "out/cross_entropy_method")]
    out: PathBuf,
}

/// Records the probability that the shortest path is longer than a level, with lengths drawn from a proposal.
fn bridge(record: &Record<'_, '_, f64>, samples: usize) -> GraphResult<()> {
    let lengths = Exponential::from_scale(record.param("means")?);
    let proposal = Exponential::from_scale(record.input("proposal")?);
    let method = ImportanceSampling::from_distribution(&proposal).samples(samples);
    let length = record.sample("lengths", &lengths, &method)?;
    let shortest = record.constant(PATHS).matmul(length).min();
    record.cost("probability", shortest.gt(record.input("level")?))?;
    record.output("lengths", length)?;
    record.output("shortest", shortest)?;
    record.output("log weight", lengths.log_prob(length) - proposal.log_prob(length))
}

/// The value that a share of the values is at least as large as.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[values.len() - ((share * values.len() as f64) as usize).max(1)]
}

/// The weighted means of the columns of those rows whose values reach a level: the parameters of exponential or
/// Bernoulli distributions with the least cross-entropy to the weighted rows.
fn fit(rows: &Tensor<f64>, values: &[f64], level: f64, weight: impl Fn(usize) -> f64) -> Vec<f64> {
    let width = rows.len() / values.len();
    let (mut sums, mut total) = (vec![0.0; width], 0.0);
    for (number, row) in rows.as_slice().chunks(width).enumerate().filter(|(number, _)| values[*number] >= level) {
        let weight = weight(number);
        total += weight;
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
    }
    sums.iter().map(|sum| sum / total).collect()
}

/// The probability of the event, and its derivatives with respect to the means, with a fitted proposal.
fn rare_event(samples: usize, seed: u64, table: &mut Table) -> Result<(Value, Line), Box<dyn Error>> {
    let mut parameters = Parameters::new();
    parameters.insert("means", Tensor::from(MEANS))?;
    let (mut proposal, mut level, mut number) = (MEANS.to_vec(), 0.0, 0);
    let mut step = Step::new(|handle: &Record<'_, '_, f64>| bridge(handle, samples));
    let inputs = |proposal: &[f64]| Inputs::new().value("proposal", proposal.to_vec()).value("level", LEVEL);
    let mut levels = Vec::new();
    table.set_header(["iteration", "level", "means of the proposal"]);
    while level < LEVEL {
        let drawn = step.predict(&parameters, &inputs(&proposal), Seed::new(seed).step(number))?;
        let (shortest, log_weights) = (drawn.get("shortest")?.as_slice(), drawn.get("log weight")?.as_slice());
        level = quantile(shortest, ELITE).min(LEVEL);
        proposal = fit(drawn.get("lengths")?, shortest, level, |number| log_weights[number].exp());
        number += 1;
        levels.push((number as f64, level));
        let means: Vec<String> = proposal.iter().map(|mean| format!("{mean:.3}")).collect();
        table.add_row([number.to_string(), format!("{level:.3}"), means.join(" ")]);
    }
    table.add_row(["best".to_owned(), format!("{LEVEL:.3}"), BEST.map(|mean| format!("{mean:.3}")).join(" ")]);

    let mut step = Step::new(|handle: &Record<'_, '_, f64>| bridge(handle, 10 * samples));
    let gradients = step.run(&parameters, &inputs(&proposal), Seed::new(seed).step(number))?;
    let (probability, derivatives) = (gradients.total(), gradients.get("means")?.to_vec());
    let drawn = step.predict(&parameters, &inputs(&proposal), Seed::new(seed).step(number))?;
    let weights = drawn.get("shortest")?.as_slice().iter().zip(drawn.get("log weight")?.as_slice());
    let squares: f64 =
        weights.map(|(shortest, weight)| if *shortest > LEVEL { (2.0 * weight).exp() } else { 0.0 }).sum();
    let deviation = (squares / (10 * samples) as f64 / probability.powi(2) - 1.0).sqrt();
    // The derivative with respect to a mean u is E[1(S > level) (X − u)] / u².
    let exact: Vec<f64> = BEST.iter().zip(MEANS).map(|(mean, u)| PROBABILITY * (mean - u) / (u * u)).collect();
    let result = json!({
        "probability": probability, "exact probability": PROBABILITY, "derivatives": derivatives,
        "exact derivatives": exact, "means": proposal, "best means": BEST,
        "relative deviation of a sample": deviation,
    });
    Ok((result, ("shortest path".into(), levels)))
}

/// Edges with weights between nodes, and the largest cut, if it is known.
struct Cut {
    name: &'static str,
    nodes: usize,
    edges: Vec<(usize, usize, f64)>,
    largest: f64,
}

/// Two graphs whose largest cuts were found by enumeration, and one of 100 nodes with a planted cut (Rubinstein 2002).
fn graphs() -> Vec<Cut> {
    let small =
        [(0, 1, 2.0), (0, 2, 1.0), (1, 2, 3.0), (1, 3, 2.0), (2, 4, 4.0), (3, 4, 1.0), (3, 5, 3.0), (4, 5, 2.0)];
    let small = small.into_iter().chain([(0, 5, 1.0)]).collect();
    let middle = [(0, 1, 1.0), (0, 3, 2.0), (1, 2, 3.0), (1, 4, 1.0), (2, 5, 2.0), (3, 4, 4.0), (4, 5, 1.0)];
    let others = [(3, 6, 2.0), (4, 7, 3.0), (5, 7, 2.0), (6, 7, 5.0), (0, 2, 2.0), (2, 7, 1.0)];
    let middle = middle.into_iter().chain(others).collect();
    // The weights within each half are at most 1, and those between the halves are 1.
    let (nodes, half) = (100, 50);
    let mut noise = vec![0.0; nodes * nodes];
    Key::new(0, 0, address_hash("weights", &[])).uniform(0, &mut noise);
    let pairs = (0..nodes).flat_map(|i| (i + 1..nodes).map(move |j| (i, j)));
    let weight = |i: usize, j: usize| if (i < half) == (j < half) { noise[i * nodes + j] } else { 1.0 };
    let planted = pairs.map(|(i, j)| (i, j, weight(i, j))).collect();
    vec![
        Cut { name: "6 nodes", nodes: 6, edges: small, largest: 16.0 },
        Cut { name: "8 nodes", nodes: 8, edges: middle, largest: 25.0 },
        Cut { name: "100 nodes, planted", nodes, edges: planted, largest: (half * half) as f64 },
    ]
}

impl Cut {
    /// Draws sides of the nodes. The first node is always on side 1.
    fn record(&self, record: &Record<'_, '_, f64>, samples: usize) -> GraphResult<()> {
        let mut weights = vec![0.0; self.nodes * self.nodes];
        for &(i, j, weight) in &self.edges {
            (weights[i * self.nodes + j], weights[j * self.nodes + i]) = (weight, weight);
        }
        let weights = record.constant(Tensor::from_fn([self.nodes, self.nodes], |at| weights[at]));
        let sides = Bernoulli::from_probabilities(record.input("probabilities")?);
        let sides = record.sample("sides", &sides, &ScoreFunction::new().samples(samples))?;
        record.output("sides", sides)?;
        record.output("cut", sides.dot(weights.matmul(1.0 - sides)))
    }

    /// The largest cut that was found, and the best of each iteration, relative to the largest one.
    fn search(&self, samples: usize, seed: u64) -> Result<(f64, Line), Box<dyn Error>> {
        let mut step = Step::new(|handle: &Record<'_, '_, f64>| self.record(handle, samples));
        let mut probabilities = vec![0.5; self.nodes];
        probabilities[0] = 1.0;
        let (mut best, mut course) = (0.0_f64, Vec::new());
        for number in 0..100 {
            let inputs = Inputs::new().value("probabilities", probabilities.clone());
            let drawn = step.predict(&Parameters::new(), &inputs, Seed::new(seed).step(number))?;
            let cuts = drawn.get("cut")?.as_slice();
            best = cuts.iter().copied().fold(best, f64::max);
            course.push((number as f64 + 1.0, cuts.iter().sum::<f64>() / cuts.len() as f64 / self.largest));
            let level = quantile(cuts, ELITE);
            if cuts.iter().all(|&cut| cut <= level) {
                break; // the whole elite is the best cut
            }
            let next = fit(drawn.get("sides")?, cuts, level, |_| 1.0);
            // A part of the old probabilities remains, so that no side is excluded too early.
            probabilities.iter_mut().zip(next).for_each(|(p, next)| *p = 0.7 * next + 0.3 * *p);
        }
        Ok((best, (self.name.into(), course)))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, samples, seed, out } = Arguments::parse();
    let samples = if quick { 2000 } else { samples };
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    let (event, levels) = rare_event(samples, seed, &mut table)?;
    println!("a proposal for the event that the shortest path is longer than {LEVEL}\n{table}");
    println!("{event:#}");

    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(["graph", "largest cut", "found", "iterations"]);
    let (mut cuts, mut courses) = (serde_json::Map::new(), Vec::new());
    for graph in graphs() {
        let (found, course) = graph.search(samples / 10, seed)?;
        let cells = [graph.largest, found].map(|cut| format!("{cut:.3}"));
        table.add_row([graph.name.to_owned()].into_iter().chain(cells).chain([course.1.len().to_string()]));
        cuts.insert(graph.name.into(), json!({ "largest": graph.largest, "found": found }));
        courses.push(course);
    }
    println!("{table}");
    fs::create_dir_all(&out)?;
    let results = json!({ "results": { "rare event": event, "cuts": cuts } });
    fs::write(out.join("summary.json"), format!("{results:#}\n"))?;

    let path = out.join("iterations.svg");
    let area = SVGBackend::new(&path, (1120, 440)).into_drawing_area();
    area.fill(&WHITE)?;
    let panels = area.split_evenly((1, 2));
    let marks = Marks { reference: Some(("rare event", LEVEL)), points: true, legend: None };
    let x = Axis::Linear("iteration");
    draw_lines(&panels[0], "level of the elite", [x, Axis::Linear("level")], &[levels], marks)?;
    let marks = Marks { legend: Some(SeriesLabelPosition::LowerRight), points: true, reference: None };
    let axes = [x, Axis::Linear("mean cut / largest cut")];
    draw_lines(&panels[1], "cuts of the samples", axes, &courses, marks)?;
    area.present()?;
    println!("pictures and results are in {}", out.display());
    Ok(())
}
