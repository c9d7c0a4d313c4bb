//! A hidden Markov model, whose states are summed out exactly, in linear time. It is trained on the likelihood of
//! minibatches of sequences, and finds the path through the states that a sequence most probably took.
//!
//! `cargo run --release --example hidden_markov_model` trains for 60 epochs, `-- --quick` for 10.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use comfy_table::{Table, presets};
use plotters::prelude::*;
use stochgrad::distributions::Categorical;
use stochgrad::graph::GraphResult;
use stochgrad::nn::{Adam, Inputs, Mode, Parameters, Schedule, Step};
use stochgrad::prelude::*;
use stochgrad::tensor::random::{Key, address_hash};
use stochgrad::train::Trainer;
use stochgrad::train::output::add_results;
use stochgrad::train::source::Tensors;
use stochgrad_examples::Place;

const STATES: usize = 3;
const STEPS: usize = 60;
const BATCH: usize = 20;
/// The numbers of training sequences and of test sequences.
const SEQUENCES: (usize, usize) = (200, 100);

/// Fits a hidden Markov model to sequences of noisy measurements.
#[derive(Parser)]
struct Arguments {
    /// Train for 10 epochs.
    #[arg(long)]
    quick: bool,
    /// The number of epochs.
    #[arg(long, default_value_t = 60)]
    epochs: u64,
    /// The seed of the minibatches. The sequences are always the same.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to train: on the CPU, or on the first device of a PJRT plugin.
    #[arg(long, default_value = "cpu", value_name = "cpu|xla:PLUGIN")]
    device: Place,
    /// The folder for checkpoints, metrics and pictures. A run that finds a checkpoint there resumes.
    #[arg(long, default_value = "out/hidden_markov_model")]
    out: PathBuf,
}

/// Records the negative log-likelihood of each sequence of a minibatch, per measurement.
fn record(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let measured = record.input("measured")?;
    let steps = measured.shape()[0];
    let (initial, transitions) = (record.param("initial")?, record.param("transitions")?);
    let (means, log_deviations) = (record.param("means")?, record.param("log deviations")?);

    // A state for each sequence at each step, given the one before.
    let mut method = Enumerate::new().on_plate(measured.plates()[0]);
    let mut logits = initial;
    for t in 0..steps {
        let state = record.sample(("state", t), &Categorical::from_logits(logits), &method)?;
        let measurement = Normal::from_log_scale(means.lookup(state), log_deviations.lookup(state));
        record.factor(&format!("measurement {t}"), measurement.log_prob(measured.slice(0, t..t + 1)))?;
        (logits, method) = (transitions.lookup(state), Enumerate::new());
    }
    record.cost("negative log-likelihood", -record.log_evidence()? / steps as f64)?;
    if record.mode() == Mode::Predict {
        let graph = record.graph();
        let posteriors = graph.posteriors((0..steps).map(|t| ("state", t)))?;
        let path: Vec<_> = graph.most_probable_states()?.states.into_iter().map(|(_, state)| state).collect();
        record.output("posterior", Var::stack(&posteriors)?)?;
        record.output("path", Var::stack(&path)?)?;
    }
    Ok(())
}

/// A hidden Markov model as plain numbers, which draws the sequences and runs the forward algorithm.
struct Model {
    initial: Vec<f64>,
    transitions: Vec<Vec<f64>>,
    means: Vec<f64>,
    deviations: Vec<f64>,
}

impl Model {
    /// The model that the sequences are drawn from. States tend to last, and their measurements overlap.
    fn truth() -> Self {
        Self {
            initial: vec![0.6, 0.3, 0.1],
            transitions: vec![vec![0.92, 0.07, 0.01], vec![0.05, 0.9, 0.05], vec![0.02, 0.13, 0.85]],
            means: vec![-1.5, 0.0, 2.0],
            deviations: vec![0.9, 0.6, 1.2],
        }
    }

    fn of(parameters: &Parameters<f64>) -> Self {
        let values = |name| parameters.get(name).expect("a parameter of the model").as_slice();
        let softmax = |logits: &[f64]| {
            let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
            logits.iter().map(|logit| logit.exp() / total).collect()
        };
        Self {
            initial: softmax(values("initial")),
            transitions: values("transitions").chunks(STATES).map(softmax).collect(),
            means: values("means").to_vec(),
            deviations: values("log deviations").iter().map(|deviation| deviation.exp()).collect(),
        }
    }

    /// The states and the measurements of a sequence.
    fn draw(&self, number: u64) -> (Vec<usize>, Vec<f64>) {
        let key = Key::new(0, number, address_hash("sequence", &[]));
        let (mut noise, mut uniform) = (vec![0.0; STEPS], vec![0.0; STEPS]);
        key.derive("noise").normal(0, &mut noise);
        key.derive("state").uniform(0, &mut uniform);
        let mut probabilities = &self.initial;
        let mut states = Vec::new();
        for u in uniform {
            let below = |state: usize| probabilities[..=state].iter().sum::<f64>();
            states.push((0..STATES - 1).find(|&state| u < below(state)).unwrap_or(STATES - 1));
            probabilities = &self.transitions[states[states.len() - 1]];
        }
        let measured = states.iter().zip(noise).map(|(&state, z)| self.means[state] + self.deviations[state] * z);
        let measured = measured.collect();
        (states, measured)
    }

    /// The forward algorithm: ln p(sequence), with probabilities that are scaled at each step.
    fn log_likelihood(&self, measured: &[f64]) -> f64 {
        let density = |state: usize, y: f64| {
            let z = (y - self.means[state]) / self.deviations[state];
            (-0.5 * z * z).exp() / (self.deviations[state] * std::f64::consts::TAU.sqrt())
        };
        let mut forward = self.initial.clone();
        let mut log_likelihood = 0.0;
        for &y in measured {
            let joint: Vec<f64> = (0..STATES).map(|state| forward[state] * density(state, y)).collect();
            let total: f64 = joint.iter().sum();
            log_likelihood += total.ln();
            let into = |to: usize| (0..STATES).map(|from| joint[from] / total * self.transitions[from][to]).sum();
            forward = (0..STATES).map(into).collect();
        }
        log_likelihood
    }

    /// The mean over some sequences, per measurement.
    fn mean(&self, sequences: &[Vec<f64>]) -> f64 {
        let total: f64 = sequences.iter().map(|measured| self.log_likelihood(measured) / measured.len() as f64).sum();
        total / sequences.len() as f64
    }
}

/// Draws a sequence: its measurements in the colours of the true states, above the posterior probabilities and the most
/// probable path.
fn draw(path: &Path, states: &[usize], y: &[f64], posterior: &[f64], best: &[f64]) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(path, (820, 520)).into_drawing_area();
    area.fill(&WHITE)?;
    let colour = |state: usize| Palette99::pick(state).to_rgba();
    let (upper, lower) = area.split_vertically(300);
    let steps = y.len() as f64;
    let mut chart = ChartBuilder::on(&upper)
        .caption("measurements of a test sequence, in the colours of its true states", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..steps, -4.5..5.5)?;
    chart.configure_mesh().disable_x_mesh().light_line_style(TRANSPARENT).label_style(("sans-serif", 13)).draw()?;
    let points = y.iter().zip(states).enumerate();
    let circle =
        |(t, (y, state)): (usize, (&f64, &usize))| Circle::new((t as f64 + 0.5, *y), 4, colour(*state).filled());
    chart.draw_series(points.map(circle))?;
    let mut chart = ChartBuilder::on(&lower)
        .caption("posterior probabilities (area) and most probable path (bar below)", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..steps, -0.15..1.0)?;
    chart.configure_mesh().disable_mesh().label_style(("sans-serif", 13)).draw()?;
    for t in 0..y.len() {
        let (left, right) = (t as f64, t as f64 + 1.0);
        let mut bottom = 0.0;
        for state in 0..STATES {
            let top = bottom + posterior[t * STATES + state];
            chart.draw_series([Rectangle::new([(left, bottom), (right, top)], colour(state).mix(0.6).filled())])?;
            bottom = top;
        }
        let bar = [(left, -0.12), (right, -0.04)];
        chart.draw_series([Rectangle::new(bar, colour(best[t] as usize).filled())])?;
    }
    Ok(area.present()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, epochs, seed, device, out } = Arguments::parse();
    let epochs = if quick { 10 } else { epochs };
    let truth = Model::truth();
    let (states, sequences): (Vec<_>, Vec<_>) = (0..SEQUENCES.0 + SEQUENCES.1).map(|n| truth.draw(n as u64)).unzip();
    let (train, test) = Tensors::new().with("measured", Tensor::from_rows(&sequences)?)?.split_at(SEQUENCES.0)?;
    let (test_states, test_sequences) = (&states[SEQUENCES.0..], &sequences[SEQUENCES.0..]);

    let mut parameters = Parameters::new();
    parameters.insert("initial", Tensor::zeros([STATES]))?;
    let stay = |at: usize| if at / STATES == at % STATES { 1.0 } else { 0.0 };
    parameters.insert("transitions", Tensor::from_fn([STATES, STATES], stay))?;
    parameters.insert("means", Tensor::from([[-1.0], [0.0], [1.0]]))?;
    parameters.insert("log deviations", Tensor::zeros([STATES, 1]))?;
    let steps = epochs * (SEQUENCES.0 / BATCH) as u64;
    let report = Trainer::new(Adam::new(Schedule::cosine(0.1, 0.0, steps)))
        .epochs(epochs)
        .batch(BATCH)
        .seed(seed)
        .device(device.open()?)
        .validate(&test)
        .out(&out)
        .fit(&mut parameters, &train, record)?;
    println!("{report}");

    let fitted = Model::of(&parameters);
    let mut step = Step::new(record);
    let inputs = Inputs::new().batch("measured", Tensor::from_rows(test_sequences)?);
    let ours = -step.evaluate(&parameters, &inputs, Seed::new(seed))?.total();
    let outputs = step.predict(&parameters, &inputs, Seed::new(seed))?;
    let (posterior, path) = (outputs.get("posterior")?.as_slice(), outputs.get("path")?.as_slice());
    let right = path.iter().zip(test_states.iter().flatten()).filter(|(path, state)| **path as usize == **state);
    let accuracy = right.count() as f64 / path.len() as f64;
    let forward = fitted.mean(test_sequences);
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(["per measurement, test sequences", "log-likelihood"]);
    table.add_row(["fitted model", &format!("{ours:.6}")]);
    table.add_row(["fitted model, forward algorithm", &format!("{forward:.6}")]);
    table.add_row(["true model, forward algorithm", &format!("{:.6}", truth.mean(test_sequences))]);
    println!("{table}\nstates on the most probable paths: {:.1} % right", 100.0 * accuracy);
    let results = [("log-likelihood", ours), ("log-likelihood, forward algorithm", forward), ("accuracy", accuracy)];
    add_results(out.join("summary.json"), results)?;

    // The time for one long sequence. A step compares its program with a new recording at some of the first runs.
    for steps in [125, 250, 500, 1000] {
        let long: Vec<f64> = (0..steps).map(|t| sequences[t / STEPS][t % STEPS]).collect();
        let inputs = Inputs::new().batch("measured", Tensor::from_rows(&[long])?);
        let mut run =
            |times: usize| (0..times).try_for_each(|_| step.run(&parameters, &inputs, Seed::new(seed)).map(drop));
        run(10)?;
        let start = Instant::now();
        run(20)?;
        println!("{steps:5} steps: {:6.2} ms for a gradient", 50.0 * start.elapsed().as_secs_f64());
    }
    draw(&out.join("sequence.svg"), &test_states[0], &test_sequences[0], posterior, path)?;
    println!("pictures and metrics are in {}", out.display());
    Ok(())
}
