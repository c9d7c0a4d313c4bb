//! Measures what randomized backward passes save, and what they cost in variance.

use std::process::ExitCode;

use clap::Parser;
use stochgrad::nn::{Activation, Initialization, Mlp, Parameters};
use stochgrad::prelude::*;
use stochgrad::tensor::random::{Key, address_hash};
use stochgrad_benches::processors::with_threads;
use stochgrad_benches::timing::{Limits, time};
use stochgrad_benches::{BenchError, BenchResult};

/// Compare gradients of a deep network that keep a fraction of the rows and the units in the backward pass.
///
/// Prints a table in Markdown: the memory of a compiled program and of a recording, the time of a step on one thread,
/// and the variance of the gradient for one batch, relative to its squared norm.
#[derive(Debug, Parser)]
#[command(name = "randomized_backward")]
struct Arguments {
    /// Timed seconds per measurement
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// The number of hidden layers
    #[arg(long, default_value_t = 6)]
    layers: usize,
    /// The number of units of each hidden layer
    #[arg(long, default_value_t = 256)]
    width: usize,
    /// The number of rows in a batch
    #[arg(long, default_value_t = 1024)]
    batch: usize,
    /// The number of gradients from which the variance is estimated
    #[arg(long, default_value_t = 100)]
    gradients: u64,
}

/// The number of inputs.
const INPUTS: usize = 64;
/// The number of classes.
const CLASSES: usize = 10;

/// The fractions of rows and of units.
const KEPT: [(f64, f64); 8] =
    [(1.0, 1.0), (0.5, 1.0), (0.1, 1.0), (1.0, 0.5), (0.5, 0.5), (0.25, 0.25), (0.1, 0.1), (0.1, 0.5)];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match with_threads(1, || run(&arguments)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) | Err(error) => {
            eprintln!("randomized_backward: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> BenchResult<()> {
    println!(
        "| rows | units | program, MiB | recording, MiB | ms a step | relative variance |\n|---|---|---|---|---|---|"
    );
    let mut exact = None;
    for (rows, units) in KEPT {
        let found = measure(arguments, rows, units, exact.as_deref())?;
        println!(
            "| {rows} | {units} | {:.1} | {:.1} | {:.1} | {:.3} |",
            found.program, found.recording, found.milliseconds, found.variance
        );
        exact.get_or_insert(found.gradient);
    }
    Ok(())
}

struct Measured {
    program: f64,
    recording: f64,
    milliseconds: f64,
    variance: f64,
    gradient: Vec<f32>,
}

/// Measures a network that keeps these fractions. The variance is that around the exact gradient.
fn measure(arguments: &Arguments, rows: f64, units: f64, exact: Option<&[f32]>) -> BenchResult<Measured> {
    let mut parameters = Parameters::<f32>::new();
    let hidden = std::iter::repeat_n(arguments.width, arguments.layers);
    let sizes: Vec<usize> = [INPUTS].into_iter().chain(hidden).chain([CLASSES]).collect();
    let mlp =
        Mlp::with_initialization(&mut parameters, "f", &sizes, Activation::Relu, Initialization::He, Seed::new(1))?;
    let mlp = mlp.keep_rows(rows)?.keep_units(units)?;
    let mut images = Tensor::zeros([arguments.batch, INPUTS]);
    Key::new(0, 0, address_hash("images", &[])).normal(0, images.make_mut());
    let labels = Tensor::from_fn([arguments.batch], |row| ((row * 7) % CLASSES) as f32);

    let tape = Tape::with_threads(1);
    let graph = Graph::new(&tape, Seed::new(1));
    let record = parameters.on(&graph);
    let [x, label] = [graph.data("images", &images)?, graph.data("labels", &labels)?];
    let scores = mlp.forward(&record, x)?.log_softmax(-1);
    graph.cost("loss", -(scores * label.one_hot(CLASSES)).sum())?;
    let recording = tape.live_bytes();
    let mut compiled = graph.compile()?;

    let mut step = 0;
    let mut gradient = |compiled: &mut stochgrad::graph::CompiledGraph<f32>| -> BenchResult<Vec<f32>> {
        parameters.set_on(compiled)?;
        compiled.set("images", &images)?;
        compiled.set("labels", &labels)?;
        step += 1;
        let gradients = compiled.run(Seed::new(1).step(step))?;
        let all = parameters.names().map(|name| gradients.get(name).map(Tensor::as_slice));
        Ok(all.collect::<Result<Vec<&[f32]>, _>>()?.concat())
    };
    let first = gradient(&mut compiled)?;
    let exact = exact.unwrap_or(&first);
    let norm: f64 = exact.iter().map(|&x| f64::from(x).powi(2)).sum();
    let mut total = 0.0;
    for _ in 0..arguments.gradients {
        let found = gradient(&mut compiled)?;
        total += found.iter().zip(exact).map(|(&x, &exact)| f64::from(x - exact).powi(2)).sum::<f64>();
    }
    let timing = time::<BenchError>(Limits::seconds(arguments.seconds), || gradient(&mut compiled).map(drop))?;
    let mebibytes = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    Ok(Measured {
        program: mebibytes(compiled.program().pool().statistics().held_bytes),
        recording: mebibytes(recording),
        milliseconds: timing.median,
        variance: total / arguments.gradients as f64 / norm,
        gradient: first,
    })
}
