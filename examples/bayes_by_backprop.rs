//! A neural network with distributions in place of weights (Blundell et al. 2015), whose noise reaches the activations
//! in three ways with different variances. `cargo run --release --example bayes_by_backprop`, `-- --quick` for a trial.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use comfy_table::{Table, presets};
use plotters::prelude::*;
use serde_json::json;
use stochgrad::distributions::Mixture;
use stochgrad::graph::{GraphError, GraphResult};
use stochgrad::nn::{Adam, Initialization, Inputs, Mode, Parameters, Schedule};
use stochgrad::prelude::*;
use stochgrad::tensor::random::{Key, address_hash};
use stochgrad::train::evaluation::LogMeanExp;
use stochgrad::train::source::Tensors;
use stochgrad::train::{GradientVariance, Span, Trainer};

/// The layers, with their inputs and outputs.
const LAYERS: [(&str, usize, usize); 3] = [("first", 1, 50), ("second", 50, 50), ("third", 50, 1)];
/// Training points and test points.
const POINTS: (usize, usize) = (200, 500);
/// The samples of the weights for predictions.
const SAMPLES: usize = 200;
/// The seed of the measurements and of the predictions.
const MEASUREMENT: Seed = Seed { seed: 0x3ea5, step: 0 };

/// Fits a Bayesian neural network to a curve.
#[derive(Parser)]
struct Arguments {
    /// Train for 200 epochs, and measure with less precision.
    #[arg(long)]
    quick: bool,
    /// The number of epochs.
    #[arg(long, default_value_t = 4000)]
    epochs: u64,
    /// The seed of the initial weights and the samples. The points are always the same.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for metrics and pictures.
    #[arg(long, default_value = "out/bayes_by_backprop")]
    out: PathBuf,
}

/// How the noise of the weights reaches the activations.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Noise {
    /// All members share a sample of the weights.
    Plain,
    /// The activations of each member are drawn from their distribution (Kingma et al. 2015).
    LocalReparameterization,
    /// Each member multiplies the shared deviations of the weights from their means by its own signs (Wen et al. 2018).
    Flipout,
    /// There is none: the weights are those of the largest likelihood or of the largest posterior density.
    MaximumLikelihood,
    MaximumAPosteriori,
}

/// The sums of a layer: the products with all rows of the weights but the last one, which is the bias.
fn sums<'t>(x: Var<'t, f64>, weights: Var<'t, f64>) -> Var<'t, f64> {
    let inputs = x.shape()[0];
    x.matmul(weights.slice(0, 0..inputs)) + weights.index(0, inputs)
}

/// Records a layer, and its part of the divergence of the posterior from the prior.
fn layer<'t>(
    record: &Record<'_, 't, f64>,
    name: &str,
    x: Var<'t, f64>,
    noise: Noise,
    method: &Pathwise,
) -> GraphResult<Var<'t, f64>> {
    let normal = |deviation: f64| Normal::new(record.constant(0.0), deviation);
    let prior = Mixture::from_probability(record.constant(0.5), normal(1.0), normal(0.1)).map_err(GraphError::model)?;
    let mean = record.param(&format!("{name}.mean"))?;
    match noise {
        Noise::MaximumLikelihood => return Ok(sums(x, mean)),
        Noise::MaximumAPosteriori => {
            record.cost(&format!("{name} prior"), -prior.log_prob(mean))?;
            return Ok(sums(x, mean));
        }
        _ => {}
    }
    let deviation = record.param(&format!("{name}.deviation"))?.softplus();
    let posterior = Normal::new(mean, deviation);
    let weights = record.sample(name, &posterior, method)?;
    record.cost(&format!("{name} divergence"), posterior.log_prob(weights) - prior.log_prob(weights))?;
    let signs = |part: &str, width: usize| -> GraphResult<Var<'t, f64>> {
        Ok(record.graph().mask(format!("{name}.{part}"), 0.5, &x.plates(), [width])? * 2.0 - 1.0)
    };
    Ok(match noise {
        _ if record.mode() == Mode::Predict => sums(x, weights),
        Noise::LocalReparameterization => {
            let activations = Normal::new(sums(x, mean), sums(x.square(), deviation.square()).sqrt());
            record.sample(format!("{name}.activations"), &activations, &Pathwise::new())?
        }
        Noise::Flipout => {
            let (inputs, outputs) = (signs("inputs", x.shape()[0])?, signs("outputs", mean.shape()[1])?);
            sums(x, mean) + sums(x * inputs, weights - mean) * outputs
        }
        _ => sums(x, weights),
    })
}

/// Records the network, the negative log-likelihood of a minibatch, and what predictions need.
fn record(record: &Record<'_, '_, f64>, noise: Noise) -> GraphResult<()> {
    let mut x = (record.input("x")? - 0.25) * 6.0;
    // All layers share the samples of the weights, so that each sample is a function.
    let method = match record.mode() {
        Mode::Predict => Pathwise::new().on_plate(record.graph().plate("functions", SAMPLES)?),
        _ => Pathwise::new(),
    };
    for (index, (name, ..)) in LAYERS.into_iter().enumerate() {
        x = layer(record, name, if index == 0 { x } else { x.relu() }, noise, &method)?;
    }
    let curve = Normal::from_log_scale(x.index(0, 0), record.param("log noise")?);
    let log_likelihood = curve.log_prob(record.input("y")?);
    record.cost("likelihood", -log_likelihood)?;
    record.output("log likelihood", log_likelihood)?;
    record.output("noise", record.param("log noise")?.exp())?;
    record.output("curve", x.index(0, 0))
}

/// Initial means and deviations.
fn initial(seed: u64) -> Result<Parameters<f64>, Box<dyn Error>> {
    let mut parameters = Parameters::new();
    for (name, inputs, outputs) in LAYERS {
        let mean = Initialization::Uniform.weight(name, inputs + 1, outputs, Seed::new(seed));
        parameters.insert(format!("{name}.mean"), mean)?;
        parameters.insert(format!("{name}.deviation"), Tensor::full([inputs + 1, outputs], -4.0))?;
    }
    parameters.insert("log noise", Tensor::scalar(-1.0))?;
    Ok(parameters)
}

/// Points of the curve of Blundell et al., with inputs in an interval.
fn points(name: &str, count: usize, from: f64, to: f64) -> Result<Tensors<f64>, Box<dyn Error>> {
    let key = Key::new(0, 0, address_hash(name, &[]));
    let (mut inputs, mut noise) = (vec![0.0; count], vec![0.0; count]);
    key.derive("inputs").uniform(0, &mut inputs);
    key.derive("noise").normal(0, &mut noise);
    let x = Tensor::from_fn([count, 1], |i| from + (to - from) * inputs[i]);
    let y = Tensor::from_fn([count], |i| curve(x.as_slice()[i], 0.02 * noise[i]));
    Ok(Tensors::new().with("x", x)?.with("y", y)?)
}

fn curve(x: f64, noise: f64) -> f64 {
    let sine = |frequency: f64| 0.3 * (std::f64::consts::TAU * frequency * (x + noise)).sin();
    x + sine(1.0) + sine(2.0) + noise
}

/// A prediction: input, mean, and two standard deviations of function and noise.
type Point = (f64, f64, f64);

fn band(step: &mut Step<'_, f64>, parameters: &Parameters<f64>) -> Result<Vec<Point>, Box<dyn Error>> {
    let grid = Tensor::from_fn([200, 1], |i| -0.3 + 1.2 * i as f64 / 199.0);
    let inputs = Inputs::new().batch("x", &grid).batch("y", Tensor::zeros([200]));
    let outputs = step.predict(parameters, &inputs, MEASUREMENT)?;
    let (curves, noise) = (outputs.get("curve")?.as_slice(), outputs.get("noise")?.item()?);
    let rows = grid.as_slice().iter().zip(curves.chunks_exact(curves.len() / 200));
    Ok(rows
        .map(|(&x, curves)| {
            let mean = curves.iter().sum::<f64>() / curves.len() as f64;
            let variance = curves.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / curves.len() as f64;
            (x, mean, 2.0 * (variance + noise * noise).sqrt())
        })
        .collect())
}

fn draw(path: &Path, train: &Tensors<f64>, bands: &[(&str, Vec<Point>)]) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(path, (480 * bands.len() as u32, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let values = |name| train.get(name).map_or(&[][..], |tensor| tensor.as_slice());
    for (panel, (name, band)) in area.split_evenly((1, bands.len())).iter().zip(bands) {
        let mut chart = ChartBuilder::on(panel)
            .caption(name, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(32)
            .y_label_area_size(48)
            .build_cartesian_2d(-0.3..0.9, -1.0..1.6)?;
        chart.configure_mesh().light_line_style(TRANSPARENT).label_style(("sans-serif", 14)).draw()?;
        let upper = band.iter().map(|&(x, mean, width)| (x, (mean + width).min(1.6)));
        let lower = band.iter().rev().map(|&(x, mean, width)| (x, (mean - width).max(-1.0)));
        chart.draw_series([Polygon::new(upper.chain(lower).collect::<Vec<_>>(), BLUE.mix(0.2))])?;
        let points = values("x").iter().zip(values("y")).map(|(&x, &y)| (x, y));
        chart.draw_series(points.map(|at| Circle::new(at, 2, BLACK.mix(0.5).filled())))?;
        chart.draw_series(LineSeries::new(band.iter().map(|&(x, mean, _)| (x, mean)), BLUE.stroke_width(2)))?;
        chart.draw_series(LineSeries::new(band.iter().map(|&(x, ..)| (x, curve(x, 0.0))), RED))?;
    }
    Ok(area.present()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, epochs, seed, out } = Arguments::parse();
    let epochs = if quick { 200 } else { epochs };
    let (train, test) = (points("train", POINTS.0, 0.0, 0.5)?, points("test", POINTS.1, 0.0, 0.5)?);
    let around = points("around", POINTS.1, -0.1, 0.6)?;
    let (mut table, mut results, mut bands, mut reference) = (Table::new(), serde_json::Map::new(), Vec::new(), None);
    for (name, noise) in [
        ("plain", Noise::Plain),
        ("flipout", Noise::Flipout),
        ("local reparameterization", Noise::LocalReparameterization),
        ("maximum a posteriori", Noise::MaximumAPosteriori),
        ("maximum likelihood", Noise::MaximumLikelihood),
    ] {
        let mut parameters = initial(seed)?;
        Trainer::new(Adam::new(Schedule::cosine(0.01, 0.0, epochs)))
            .epochs(epochs)
            .batch(POINTS.0)
            .seed(seed)
            .validate(&test)
            .validate_every(Span::Epochs(50))
            .checkpoint_every(Span::Epochs(1000))
            .ignore_signals()
            .out(out.join(name))
            .quiet()
            .fit(&mut parameters, &train, |model| record(model, noise))?;
        let mut step = Step::new(|model: &Record<'_, '_, f64>| record(model, noise));
        let mut predictive = |test: &Tensors<f64>| -> Result<f64, Box<dyn Error>> {
            let mut likelihood = LogMeanExp::new(test.len());
            likelihood.add(step.predict(&parameters, &test.inputs(), MEASUREMENT)?.get("log likelihood")?)?;
            Ok(likelihood.values().sum::<f64>() / test.len() as f64)
        };
        let likelihoods = (predictive(&test)?, predictive(&around)?);
        bands.push((name, band(&mut step, &parameters)?));
        let reference = reference.get_or_insert_with(|| parameters.clone());
        let inputs = train.inputs().of_data_set(POINTS.0);
        let evaluations = if quick { 50 } else { 1000 };
        let variance = GradientVariance::of(["*.mean"]).evaluations(evaluations);
        step.run(reference, &inputs, MEASUREMENT)?; // compiles
        let start = Instant::now();
        let variance = variance.measure(&mut step, reference, &inputs, MEASUREMENT)?[0].1;
        let values = [
            ("variance of the gradient", variance),
            ("ms", 1e3 * start.elapsed().as_secs_f64() / evaluations as f64),
            ("test log-likelihood", likelihoods.0),
            ("also beside the data", likelihoods.1),
        ];
        table.set_header(["noise"].into_iter().chain(values.map(|(column, _)| column)));
        table.add_row([name.to_owned()].into_iter().chain(values.map(|(_, x)| format!("{x:.4}"))));
        results.insert(name.to_owned(), values.into_iter().map(|(column, x)| (column, json!(x))).collect());
    }
    println!("{}", table.load_preset(presets::ASCII_MARKDOWN));
    std::fs::write(out.join("summary.json"), format!("{:#}\n", json!({ "results": results })))?;
    draw(&out.join("bands.svg"), &train, &bands[2..])?;
    println!("pictures and metrics are in {}", out.display());
    Ok(())
}
