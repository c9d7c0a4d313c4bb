//! Latent Dirichlet allocation with a network that infers the topics of a document: the shares of the topics have
//! Dirichlet posteriors with implicit pathwise gradients, and the counts of the words are multinomial.
//!
//! The documents are drawn from ten known topics, the rows and columns of a square of 25 words (Griffiths and Steyvers,
//! 2004), so that one sees whether they are recovered.
//!
//! `cargo run --release --example topic_model` trains for 100 epochs, `-- --quick` for 10.

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use comfy_table::{Table, presets};
use stochgrad::distributions::{Dirichlet, Multinomial};
use stochgrad::graph::GraphResult;
use stochgrad::nn::{Activation, Adam, Inputs, Mlp, Parameters};
use stochgrad::prelude::*;
use stochgrad::train::Trainer;
use stochgrad::train::output::{ImageGrid, add_results};
use stochgrad::train::source::Tensors;
use stochgrad_examples::Place;

/// Words of a side of the square, and of the vocabulary.
const SIDE: usize = 5;
const VOCABULARY: usize = SIDE * SIDE;
const TOPICS: usize = 2 * SIDE;
const WORDS: f64 = 100.0;
/// The numbers of training documents and of test documents.
const DOCUMENTS: (usize, usize) = (2000, 500);
/// The concentration of the Dirichlet distribution of the shares: most documents have a few topics.
const CONCENTRATION: f64 = 0.3;
/// A topic counts as recovered up to this total variation distance.
const RECOVERED: f64 = 0.1;

/// Infers topics from the words of documents.
#[derive(Parser)]
struct Arguments {
    /// Train for 10 epochs.
    #[arg(long)]
    quick: bool,
    /// The number of epochs.
    #[arg(long, default_value_t = 100)]
    epochs: u64,
    /// The seed of the initial weights, the minibatches and the samples. The documents are always the same.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to train: on the CPU, or on the first device of a PJRT plugin.
    #[arg(long, default_value = "cpu", value_name = "cpu|xla:PLUGIN")]
    device: Place,
    /// The folder for checkpoints, metrics and pictures. A run that finds a checkpoint there resumes.
    #[arg(long, default_value = "out/topic_model")]
    out: PathBuf,
}

fn prior<'t>(record: &Record<'_, 't, f32>) -> Dirichlet<Var<'t, f32>> {
    Dirichlet::new(record.constant([CONCENTRATION; TOPICS]))
}

/// Records the negative evidence lower bound of documents.
fn record(record: &Record<'_, '_, f32>, encoder: &Mlp) -> GraphResult<()> {
    let counts = record.input("counts")?;
    let concentration = encoder.forward(record, counts.log1p())?.softplus() + 1e-3;
    let posterior = Dirichlet::new(concentration);
    let shares = record.sample("shares", &posterior, &Pathwise::new())?;
    let topics = record.param("topics")?.softmax(-1);
    let words = Multinomial::from_probabilities(counts.sum(), shares.matmul(topics));
    record.cost("words", -words.log_prob(counts))?;
    record.cost("kl", posterior.kl_to(&prior(record)))?;
    record.output("topics", topics)
}

/// Each topic has the words of one row or one column.
fn true_topics() -> Tensor<f32> {
    Tensor::from_fn([TOPICS, VOCABULARY], |i| {
        let (topic, row, column) = (i / VOCABULARY, i % VOCABULARY / SIDE, i % SIDE);
        let is_in = if topic < SIDE { row == topic } else { column == topic - SIDE };
        f32::from(is_in) / SIDE as f32
    })
}

/// Documents of the known topics, as counts of words, with the shares of their topics.
fn draw_documents() -> Result<Tensors<f32>, Box<dyn Error>> {
    let mut step = Step::new(|record: &Record<'_, '_, f32>| {
        let documents = ScoreFunction::new().samples(DOCUMENTS.0 + DOCUMENTS.1);
        let shares = record.sample("shares", &prior(record), &documents)?;
        let probabilities = shares.matmul(record.constant(true_topics()));
        let words = Multinomial::from_probabilities(WORDS, probabilities);
        record.output("counts", record.sample("counts", &words, &ScoreFunction::new())?)?;
        record.output("probabilities", probabilities)
    });
    let drawn = step.predict(&Parameters::new(), &Inputs::new(), Seed::new(0))?;
    let with = |data: Tensors<f32>, name| Ok::<_, Box<dyn Error>>(data.with(name, drawn.get(name)?)?);
    with(with(Tensors::new(), "counts")?, "probabilities")
}

/// The perplexity exp(−ln p / words) of documents, given the probabilities of the words in each of them.
fn perplexity<'a>(counts: &Tensor<f32>, probabilities: impl IntoIterator<Item = &'a [f32]>) -> f64 {
    let documents = counts.as_slice().chunks(VOCABULARY).zip(probabilities);
    let terms = documents.flat_map(|(counts, of)| counts.iter().zip(of));
    let log_probability: f64 =
        terms.filter(|(count, _)| **count > 0.0).map(|(count, p)| f64::from(*count) * f64::from(*p).ln()).sum();
    (-log_probability / counts.as_slice().iter().map(|&count| f64::from(count)).sum::<f64>()).exp()
}

/// The mean logarithm of the number of orders of the words of a document, n! / ∏ₖ xₖ!. A multinomial probability counts
/// all of them, and a perplexity one.
fn log_orders(counts: &Tensor<f32>) -> f64 {
    let log_factorial = |n: f32| (2..=n as u32).map(|i| f64::from(i).ln()).sum::<f64>();
    let documents = counts.as_slice().chunks(VOCABULARY);
    let number = documents.len() as f64;
    documents
        .map(|counts| {
            log_factorial(counts.iter().sum()) - counts.iter().map(|&count| log_factorial(count)).sum::<f64>()
        })
        .sum::<f64>()
        / number
}

/// For each true topic, the nearest of the remaining learned topics with its total variation distance. The nearest
/// pairs are matched first.
fn match_topics(learned: &Tensor<f32>) -> [(usize, f64); TOPICS] {
    let truth = true_topics();
    let topic = |of: &Tensor<f32>, k: usize| of.as_slice()[k * VOCABULARY..][..VOCABULARY].to_vec();
    let distance = |i: usize, j: usize| {
        let pairs = topic(&truth, i).into_iter().zip(topic(learned, j));
        0.5 * pairs.map(|(p, q)| f64::from((p - q).abs())).sum::<f64>()
    };
    let mut pairs: Vec<(usize, usize, f64)> =
        (0..TOPICS * TOPICS).map(|pair| (pair / TOPICS, pair % TOPICS)).map(|(i, j)| (i, j, distance(i, j))).collect();
    pairs.sort_by(|a, b| a.2.total_cmp(&b.2));
    let mut matches = [(0, 1.0); TOPICS];
    while let Some(&(i, j, distance)) = pairs.first() {
        matches[i] = (j, distance);
        pairs.retain(|pair| pair.0 != i && pair.1 != j);
    }
    matches
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, epochs, seed, device, out } = Arguments::parse();
    let (train, test) = draw_documents()?.split_at(DOCUMENTS.0)?;
    let counts = |data: &Tensors<f32>| data.get("counts").cloned().ok_or("there are no counts");
    let (seen, unseen) = (counts(&train)?, counts(&test)?);

    let mut parameters = Parameters::new();
    let encoder =
        Mlp::new(&mut parameters, "encoder", &[VOCABULARY, 64, 64, TOPICS], Activation::Relu, Seed::new(seed))?;
    let mut noise = Tensor::zeros([TOPICS, VOCABULARY]);
    stochgrad::tensor::random::Key::new(seed, 0, 0).normal(0, noise.make_mut());
    parameters.insert("topics", noise)?;
    let model = |handle: &Record<'_, '_, f32>| record(handle, &encoder);
    let report = Trainer::new(Adam::new(3e-3))
        .epochs(if quick { 10 } else { epochs })
        .batch(50)
        .seed(seed)
        .device(device.open()?)
        .validate(&test)
        .out(&out)
        .fit(&mut parameters, &train, model)?;
    println!("{report}");

    // The evidence lower bound gives an upper bound of the perplexity.
    let costs = Step::new(model).evaluate(&parameters, &test.inputs(), Seed::new(1))?;
    let bound = ((f64::from(costs.total()) + log_orders(&unseen)) / WORDS).exp();
    let mut frequencies = [0.0; VOCABULARY];
    for (i, &count) in seen.as_slice().iter().enumerate() {
        frequencies[i % VOCABULARY] += count / (DOCUMENTS.0 as f32 * WORDS as f32);
    }
    let unigram = perplexity(&unseen, std::iter::repeat(&frequencies[..]));
    let exact = test.get("probabilities").ok_or("there are no probabilities")?;
    let exact = perplexity(&unseen, exact.as_slice().chunks(VOCABULARY));

    let outputs = Step::new(model).predict(&parameters, &train.select(&[0])?.inputs(), Seed::new(0))?;
    let learned = outputs.get("topics")?;
    let matches = match_topics(learned);
    let recovered = matches.iter().filter(|(_, distance)| *distance < RECOVERED).count();
    let worst = matches.iter().map(|(_, distance)| *distance).fold(0.0, f64::max);

    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(["perplexity of test documents", ""]);
    let rows =
        [("words alone (unigram)", unigram), ("topic model (upper bound)", bound), ("true topics and shares", exact)];
    for (name, value) in rows {
        table.add_row([name.to_owned(), format!("{value:.3}")]);
    }
    println!("{table}\n{recovered} of {TOPICS} topics recovered, largest total variation distance {worst:.3}");
    let results = rows.iter().map(|(name, value)| (format!("perplexity, {name}"), *value));
    let results = results.chain([("topics recovered".into(), recovered as f64), ("largest distance".into(), worst)]);
    add_results(out.join("summary.json"), results)?;

    let shown = |topics: &Tensor<f32>| topics.map(|p| p * SIDE as f32);
    let order = matches.map(|(topic, _)| topic);
    let matched = stochgrad::nn::data::rows(learned, &order)?;
    let grid = ImageGrid::new(SIDE, SIDE).per_row(TOPICS).scale(10);
    grid.draw_pairs(&shown(&true_topics()), &shown(&matched))?.save(out.join("topics.png"))?;
    println!("pictures and metrics are in {}", out.display());
    Ok(())
}
