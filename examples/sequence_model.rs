//! A recurrent sampler learns to reverse digits from rewards alone: it is told which tokens of its samples are right.
//!
//! `cargo run --release --example sequence_model` takes some seconds, `-- --compare` compares six gradient methods.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use comfy_table::{Table, presets};
use stochgrad::estimators::{RecordedBaseline, SequenceSet};
use stochgrad::graph::{DynMethod, GraphResult, SequenceModel};
use stochgrad::nn::{Adam, Clip, Embedding, GruCell, Initialization, Inputs, Linear, NnResult, Parameters, Schedule};
use stochgrad::prelude::*;
use stochgrad::train::output::{ImageGrid, add_results};
use stochgrad::train::source::Stream;
use stochgrad::train::{Epoch, Report, Source, TrainResult, Trainer};

const DIGITS: usize = 10;
const SIZE: usize = 64;
/// The sequences that are sampled for each of 64 inputs.
const SAMPLES: usize = 8;
/// The updates between two evaluations.
const PERIOD: usize = 5;

/// Learns to reverse digits from rewards.
#[derive(Parser, Clone)]
struct Arguments {
    /// Train for a few updates.
    #[arg(long)]
    quick: bool,
    /// Compare gradient methods, in the time that the first needs for its updates.
    #[arg(long)]
    compare: bool,
    /// The number of digits.
    #[arg(long, default_value_t = 8)]
    length: usize,
    /// The number of updates.
    #[arg(long, default_value_t = 200)]
    updates: u64,
    /// The weight of the entropy at the beginning. It decreases to 0.
    #[arg(long, default_value_t = 0.1)]
    entropy: f64,
    /// Do not tell the cell the number of the step.
    #[arg(long)]
    without_places: bool,
    /// The seed of the initial weights, inputs and samples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for results and pictures.
    #[arg(long, default_value = "out/sequence_model")]
    out: PathBuf,
}

/// How the gradient is estimated.
#[derive(Clone, Copy, PartialEq)]
enum Estimator {
    LeaveOneOut,
    RewardAtEnd,
    SelfCritical,
    SequenceSet,
    ScoreFunction,
    NotFedBack,
}

const ESTIMATORS: [(&str, Estimator); 6] = [
    ("leave-one-out, reward of each token", Estimator::LeaveOneOut),
    ("leave-one-out, reward at the end", Estimator::RewardAtEnd),
    ("self-critical, reward of each token", Estimator::SelfCritical),
    ("set without replacement, reward at the end", Estimator::SequenceSet),
    ("score function, reward of each token", Estimator::ScoreFunction),
    ("leave-one-out, tokens not fed back", Estimator::NotFedBack),
];

/// A recurrent cell that attends to the digits of the input.
struct Model {
    arguments: Arguments,
    estimator: Estimator,
    tokens: Embedding,
    places: Embedding,
    cell: GruCell,
    query: Linear,
    output: Linear,
}

impl Model {
    fn new(parameters: &mut Parameters<f32>, arguments: &Arguments, estimator: Estimator) -> NnResult<Self> {
        let (uniform, seed) = (Initialization::Uniform, Seed::new(arguments.seed));
        Ok(Self {
            arguments: arguments.clone(),
            estimator,
            // The last row stands before the first token.
            tokens: Embedding::new(&mut *parameters, "tokens", DIGITS + 1, SIZE, seed)?,
            places: Embedding::new(&mut *parameters, "places", arguments.length, SIZE, seed)?,
            cell: GruCell::new(&mut *parameters, "cell", SIZE, SIZE, seed)?,
            query: Linear::new(&mut *parameters, "query", SIZE, SIZE, uniform, seed)?,
            output: Linear::new(parameters, "output", 2 * SIZE, DIGITS, uniform, seed)?,
        })
    }

    fn record<'t>(&self, record: &Record<'_, 't, f32>) -> GraphResult<()> {
        let Arguments { length, updates, entropy, without_places, .. } = self.arguments;
        let (graph, digits) = (record.graph(), record.input("digits")?);
        let answer = digits.index_select(0, &(0..length).rev().collect::<Vec<_>>());
        let memory = self.tokens.forward(record, digits)? + record.param(self.places.weight())?;
        // The state of the cell and the number of the step, and what stands before the first token.
        let (start, first) = ([memory.mean_axis(0), record.constant(0.0)], record.constant(DIGITS as f64));
        let step = |[state, place]: [Var<'t, f32>; 2], last: Var<'t, f32>| {
            let last = if self.estimator == Estimator::NotFedBack { first } else { last };
            let token = self.tokens.forward(record, last)?;
            let input = if without_places { token } else { token + self.places.forward(record, place)? };
            let state = self.cell.step(record, input, state)?;
            let scores = self.query.forward(record, state)?.matmul(memory.transpose());
            let attention = (scores / (SIZE as f64).sqrt()).softmax(-1);
            let seen = Var::concat(&[state, attention.matmul(memory)], 0)?;
            GraphResult::Ok(([state, place + 1.0], self.output.forward(record, seen)?, attention))
        };
        let weight = record.schedule("weight", 0.0, move |step| entropy * (1.0 - step as f64 / updates as f64))?;
        let sequences = |has_entropy: bool| {
            SequenceModel::new(length, start, first, move |state, last| {
                let (state, logits, _) = step(state, last)?;
                if has_entropy {
                    record.cost("entropy", Categorical::from_logits(logits).entropy() * -weight)?;
                }
                Ok((state, logits))
            })
        };
        if !record.is_training() {
            let tokens = sequences(false).greedy(graph, "greedy")?.tokens;
            record.output("right", tokens.equal(answer).mean())?;
            let (_, attention) = graph.scan("attention", length, (start, first), |each, (state, last)| {
                let (state, _, attention) = step(state, last)?;
                Ok(((state, each.of(tokens)), attention))
            })?;
            return record.output("attention", attention);
        }
        let cost = |tokens: Var<'t, f32>, answer| record.cost("wrong", tokens.not_equal(answer).sum());
        if self.estimator == Estimator::SequenceSet {
            let drawn = sequences(false).without_replacement(graph, "search", SAMPLES)?;
            let tokens = record.sample("sequences", &drawn, &SequenceSet::new(SAMPLES))?;
            record.cost("entropy", drawn.log_prob(tokens) * weight)?;
            return cost(tokens, answer);
        }
        let score = ScoreFunction::new().on_plate(graph.plate("samples", SAMPLES)?);
        let method: DynMethod<f32, Categorical> = match self.estimator {
            Estimator::ScoreFunction => Arc::new(score),
            Estimator::SelfCritical => {
                let wrong = sequences(false).greedy(graph, "greedy")?.tokens.not_equal(answer);
                Arc::new(score.baseline(RecordedBaseline::of_steps(wrong.sum() - wrong.cumsum(0) + wrong)))
            }
            _ => Arc::new(score.baseline(LeaveOneOut)),
        };
        if self.estimator == Estimator::RewardAtEnd {
            return cost(sequences(true).sample(graph, "token", &method)?.tokens, answer);
        }
        sequences(true).sample_each(graph, "token", &method, |step, sampled| cost(sampled.token, step.of(answer)))?;
        Ok(())
    }
}

/// What a model does with fresh inputs after some updates.
struct Look {
    seconds: f64,
    /// The share of right tokens in the most probable sequences.
    right: f64,
    /// The attention in each step to each place, for the first input.
    attention: Vec<f32>,
}

/// Trains a model, for a number of seconds at most, and looks at it after every few updates.
fn train(arguments: &Arguments, estimator: Estimator, seconds: f64, out: &Path) -> TrainResult<(Report, Vec<Look>)> {
    let Arguments { length, updates, seed, .. } = *arguments;
    let data = Stream::new(move |epoch: Epoch| {
        (0..PERIOD).map(move |number| {
            let mut uniform = vec![0.0_f32; epoch.batch * length];
            epoch.key("digits", number).uniform(0, &mut uniform);
            let digit = |i: usize| (uniform[i] * DIGITS as f32).floor();
            Ok(Inputs::new().batch("digits", Tensor::from_fn([epoch.batch, length], digit)))
        })
    });
    let held_out = data.minibatches(Epoch::shuffled(0, 200, u64::MAX))?.next().transpose()?.unwrap_or_default();
    let mut parameters = Parameters::new();
    let model = Model::new(&mut parameters, arguments, estimator)?;
    let mut play = Step::new(|record: &Record<'_, '_, f32>| model.record(record)).threads(2);
    let (began, mut looks) = (Instant::now(), Vec::new());
    let rate = Schedule::cosine(3e-3, 1.5e-4, updates);
    let trainer = Trainer::new(Adam::new(rate).clip(Clip::by_global_norm(1.0))).steps(updates).batch(64).seed(seed);
    let trainer = trainer.threads(2).quiet().out(out).restart().validate_with(|parameters| {
        let outputs = play.predict(parameters, &held_out, Seed::new(seed))?;
        let (each, attention) = (outputs.get("right")?.as_slice(), outputs.get("attention")?.as_slice());
        let right = each.iter().map(|&right| f64::from(right)).sum::<f64>() / each.len() as f64;
        let attention = attention[..length * length].to_vec();
        looks.push(Look { seconds: began.elapsed().as_secs_f64(), right, attention });
        Ok(vec![("wrong".into(), length as f64 * (1.0 - right))])
    });
    let trainer = trainer.on_epoch(|_| match began.elapsed().as_secs_f64() < seconds {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    });
    let report = trainer.fit(&mut parameters, &data, |record| model.record(record))?;
    Ok((report, looks))
}

/// Trains with each gradient method, in the time that the first needs for its updates.
fn compare(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut rows = ESTIMATORS.map(|_| Vec::new());
    for seed in (arguments.seed..).take(if arguments.quick { 1 } else { 3 }) {
        let mut seconds = f64::INFINITY;
        for ((name, estimator), rows) in ESTIMATORS.into_iter().zip(&mut rows) {
            let out = arguments.out.join(name).join(format!("seed-{seed}"));
            let looks = train(&Arguments { seed, ..arguments.clone() }, estimator, seconds, &out)?.1;
            let last = looks.last().ok_or("there are no updates")?;
            seconds = seconds.min(last.seconds);
            let until = looks.iter().position(|look| look.right >= 0.95);
            let until = until.map_or([f64::INFINITY; 2], |at| [(PERIOD * (at + 1)) as f64, looks[at].seconds]);
            rows.push([(PERIOD * looks.len()) as f64, 100.0 * last.right, until[0], until[1]]);
        }
    }
    let mut table = Table::new();
    let header = ["estimator", "updates", "right, %", "updates until 95 %", "seconds until 95 %"];
    table.load_preset(presets::ASCII_MARKDOWN).set_header(header);
    for ((name, _), rows) in ESTIMATORS.iter().zip(rows) {
        let mean = |column: usize| rows.iter().map(|row| row[column]).sum::<f64>() / rows.len() as f64;
        let shown = [0, 1, 2, 3].map(mean).map(|x| if x.is_finite() { format!("{x:.1}") } else { "-".into() });
        table.add_row([&[(*name).to_owned()], &shown[..]].concat());
        add_results(arguments.out.join("summary.json"), [(format!("right, {name}"), 0.01 * mean(1))])?;
    }
    println!("{table}");
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = Arguments::parse();
    arguments.updates = if arguments.quick { 2 * PERIOD as u64 } else { arguments.updates };
    if arguments.compare {
        return compare(&arguments);
    }
    let (out, size, area) = (arguments.out.as_path(), arguments.length, arguments.length.pow(2));
    let (report, looks) = train(&arguments, Estimator::LeaveOneOut, f64::INFINITY, out)?;
    let right = looks.last().ok_or("there are no updates")?.right;
    println!("{report}\n{:.1} % of the tokens of fresh inputs are right", 100.0 * right);
    add_results(out.join("summary.json"), [("right", right)])?;
    let shown: Vec<&Look> = looks.iter().take(7).chain(looks.last()).collect();
    let some = Tensor::from_fn([shown.len(), area], |i| shown[i / area].attention[i % area]);
    ImageGrid::new(size, size).per_row(8).scale(12).draw(&some)?.save(out.join("attention.png"))?;
    println!("pictures and metrics are in {}", out.display());
    Ok(())
}
