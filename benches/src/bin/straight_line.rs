//! Times the forward and backward pass of net a as a program written by hand and through `stochgrad`, in one run.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use stochgrad::graph::DynMethod;
use stochgrad::nn::{Activation, Mlp, Parameters};
use stochgrad::prelude::*;
use stochgrad_benches::data::batches;
use stochgrad_benches::processors::with_threads;
use stochgrad_benches::straight_line::{Estimator, Program};
use stochgrad_benches::timing::{Limits, time};
use stochgrad_benches::vae::{Latent, NET_A, training};
use stochgrad_benches::{BenchError, BenchResult};

/// Compare a training step without Adam with the same step written by hand, on one thread.
#[derive(Debug, Parser)]
#[command(name = "straight_line")]
struct Arguments {
    /// Timed seconds per measurement
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

/// The number of bits of net a.
const BITS: usize = 200;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match with_threads(1, || run(&arguments)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) | Err(error) => {
            eprintln!("straight_line: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> BenchResult<()> {
    let limits = Limits::seconds(arguments.seconds);
    println!("{:28} {:>10} {:>14} {:>10} {:>7}", "ms a step", "products", "straight line", "stochgrad", "ratio");
    for (name, estimator) in
        [("concrete K=1", Estimator::Concrete(0.5)), ("leave-one-out K=10", Estimator::LeaveOneOut(10))]
    {
        let mut program = program(estimator)?;
        let images = batches(8, NET_A.batch, NET_A.pixels);
        let mut step = 0;
        let mut next = || {
            step += 1;
            (images[step % images.len()].as_slice(), step as u64)
        };
        let products = time::<BenchError>(limits, || {
            program.products(next().0);
            Ok(())
        })?;
        let straight_line = time::<BenchError>(limits, || {
            let (images, step) = next();
            std::hint::black_box(program.step(images, step));
            Ok(())
        })?;
        let mut training = training(NET_A, latent(estimator), 1)?;
        let engine = time::<BenchError>(limits, || {
            std::hint::black_box(training.gradients()?);
            Ok(())
        })?;
        println!(
            "{name:28} {:10.3} {:14.3} {:10.3} {:7.2}",
            products.median,
            straight_line.median,
            engine.median,
            engine.median / straight_line.median
        );
    }
    Ok(())
}

fn latent(estimator: Estimator) -> Latent {
    let method: DynMethod<f32, Bernoulli<stochgrad::distributions::Id>> = match estimator {
        Estimator::Concrete(temperature) => Arc::new(GumbelSoftmax::new(f64::from(temperature))),
        Estimator::LeaveOneOut(samples) => Arc::new(ScoreFunction::new().samples(samples).baseline(LeaveOneOut)),
    };
    Latent::Bits { bits: BITS, method }
}

/// The program with the sizes of net a, and the initial values of its layers.
fn program(estimator: Estimator) -> BenchResult<Program> {
    let mut parameters = Parameters::<f32>::new();
    let sizes = [&[NET_A.pixels], NET_A.encoder, &[BITS], NET_A.decoder, &[NET_A.pixels]].concat();
    let layers = Mlp::new(&mut parameters, "layers", &sizes, Activation::Identity, Seed::new(0))?;
    let values = |name: &str| parameters.get(name).map(Tensor::to_vec).unwrap_or_default();
    let layers: Vec<_> = layers
        .layers()
        .iter()
        .map(|layer| (values(layer.weight()), values(layer.bias().unwrap_or_default())))
        .collect();
    let layers = layers.try_into().map_err(|_| "expected five layers")?;
    Ok(Program::new(estimator, NET_A.batch, layers))
}
