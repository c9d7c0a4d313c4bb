//! Implicit variational inference: a banana-shaped posterior is fitted with the output of a network, whose density is
//! unknown, through estimates of its score from samples (Shi, Sun and Zhu 2018; Li and Turner 2018). The estimates and
//! networks that learn the score (Hyvärinen 2005) are compared with the exact score.
//!
//! `cargo run --release --example implicit_variational` takes a minute, `-- --quick` some seconds.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use clap::Parser;
use comfy_table::{Table, presets};
use plotters::prelude::*;
use serde_json::json;
use stochgrad::estimators::{
    SpectralStein, SteinGradient, denoising_score_matching, implicit_log_density, score_matching, sliced_score_matching,
};
use stochgrad::graph::GraphResult;
use stochgrad::nn::{Activation, Adam, Inputs, Layer, Mlp, Parameters, Schedule};
use stochgrad::prelude::*;
use stochgrad::tape::Plate;
use stochgrad::train::Trainer;
use stochgrad::train::source::Tensors;
use stochgrad_examples::chart::{Axis, Line, Marks, Panel, draw_lines};

/// The posterior: x₁ ~ N(0, `DEVIATION`²) and x₂ ~ N(`BEND` (x₁² − `DEVIATION`²), 1).
const DEVIATION: f64 = 2.0;
const BEND: f64 = 0.5;
/// The mean square of its score, 1 / s² + 4 c² s² + 1.
const SQUARED_SCORE: f64 = 5.25;
/// The samples of a training step, and the noise that the network turns into one sample.
const SAMPLES: usize = 100;
const NOISE: usize = 3;
/// The data of score matching, and its minibatches.
const DATA: usize = 2000;
const BATCH: usize = 100;

/// Fits an implicit distribution to a banana.
#[derive(Parser)]
struct Arguments {
    /// Train for a few steps.
    #[arg(long)]
    quick: bool,
    /// The number of training steps.
    #[arg(long, default_value_t = 2000)]
    steps: u64,
    /// The seed of the initial weights and of all noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for results and pictures.
    #[arg(long, default_value = "out/implicit_variational")]
    out: PathBuf,
}

fn residual(x: Var<'_, f64>) -> Var<'_, f64> {
    x.index(0, 1) - (x.index(0, 0).square() - DEVIATION * DEVIATION) * BEND
}

fn log_density(x: Var<'_, f64>) -> Var<'_, f64> {
    x.index(0, 0).square() * (-0.5 / (DEVIATION * DEVIATION)) - residual(x).square() * 0.5
}

fn exact_score(x: Var<'_, f64>) -> GraphResult<Var<'_, f64>> {
    let (first, off) = (x.index(0, 0), residual(x));
    Ok(Var::stack(&[first * (-1.0 / (DEVIATION * DEVIATION)) + off * first * (2.0 * BEND), -off])?)
}

/// Standard normal noise on a plate.
fn noise<'t>(record: &Record<'_, 't, f64>, name: &str, size: usize, plate: Plate) -> GraphResult<Var<'t, f64>> {
    let zeros = record.constant(Tensor::<f64>::zeros([size]));
    record.sample(name, &Normal::new(zeros, 1.0), &Pathwise::new().on_plate(plate))
}

/// Records samples of the exact posterior.
fn exact_samples<'t>(record: &Record<'_, 't, f64>, plate: Plate) -> GraphResult<Var<'t, f64>> {
    let noise = noise(record, "exact", 2, plate)?;
    let first = noise.index(0, 0) * DEVIATION;
    let bent = (first.square() - DEVIATION * DEVIATION) * BEND;
    Ok(Var::stack(&[first, noise.index(0, 1) + bent])?)
}

type Estimator = for<'t> fn(Var<'t, f64>, Plate) -> GraphResult<Var<'t, f64>>;

const ESTIMATORS: [(&str, Estimator); 4] = [
    ("spectral, 99 %", |x, samples| SpectralStein::new().share(0.99).score(x, samples)),
    ("spectral, 99.9 %", |x, samples| SpectralStein::new().share(0.999).score(x, samples)),
    ("Stein gradient, ridge 0.1", |x, samples| SteinGradient::new().score(x, samples)),
    ("Stein gradient, ridge 0.01", |x, samples| SteinGradient::new().ridge(0.01).score(x, samples)),
];

/// The mean square error of scores at samples of the exact posterior, relative to the mean square of the exact score.
fn error(
    count: usize,
    runs: usize,
    parameters: &Parameters<f64>,
    score: impl for<'t> Fn(&Record<'_, 't, f64>, Var<'t, f64>, Plate) -> GraphResult<Var<'t, f64>>,
) -> GraphResult<f64> {
    let mut step = Step::new(|record: &Record<'_, '_, f64>| {
        let samples = record.graph().plate("samples", count)?;
        let x = exact_samples(record, samples)?;
        let error = (score(record, x, samples)? - exact_score(x)?).square().sum();
        record.output("error", error.mean_over(samples))
    });
    let each = (0..runs).map(|run| -> GraphResult<f64> {
        Ok(step.predict(parameters, &Inputs::new(), Seed::new(99).step(run))?.get("error")?.item()?)
    });
    Ok(each.sum::<GraphResult<f64>>()? / runs as f64 / SQUARED_SCORE)
}

/// Samples of a model that has the output `x`, as pairs.
fn points(step: &mut Step<'_, f64>, parameters: &Parameters<f64>, runs: usize) -> GraphResult<Vec<(f64, f64)>> {
    let mut points = Vec::new();
    for run in 0..runs {
        let outputs = step.predict(parameters, &Inputs::new(), Seed::new(98).step(run))?;
        points.extend(outputs.get("x")?.as_slice().chunks(2).map(|x| (x[0], x[1])));
    }
    Ok(points)
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(header);
    table
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, steps, seed: number, out } = Arguments::parse();
    let (steps, runs, epochs) = if quick { (100, 3, 5) } else { (steps, 20, 300) };
    let sizes: &[usize] = if quick { &[50, 100] } else { &[50, 100, 200, 400] };
    let seed = Seed::new(number);
    fs::create_dir_all(&out)?;
    let mut results = serde_json::Map::new();

    // The error of the score, of estimates from samples and of networks.
    let none = Parameters::new();
    let (mut errors, mut lines) = (table(&["score", "samples", "relative error"]), Vec::<Line>::new());
    for (name, estimator) in ESTIMATORS {
        let mut line = Vec::new();
        for &size in sizes {
            let found = error(size, runs, &none, |_, x, samples| estimator(x, samples))?;
            line.push((size as f64, found));
            errors.add_row([name.into(), size.to_string(), format!("{found:.3}")]);
            results.insert(format!("error, {name}, {size} samples"), json!(found));
        }
        lines.push((name.into(), line));
    }
    let mut draw = Step::new(|record: &Record<'_, '_, f64>| {
        let samples = record.graph().plate("samples", DATA)?;
        record.output("x", exact_samples(record, samples)?)
    });
    let sample = draw.predict(&none, &Inputs::new(), seed)?.get("x")?.clone();
    let data = Tensors::new().with("x", sample)?;
    for objective in ["score matching", "sliced score matching", "denoising, τ = 0.3"] {
        let mut parameters = Parameters::<f64>::new();
        let network = Mlp::new(&mut parameters, "score", &[2, 32, 32, 2], Activation::Tanh, seed)?;
        Trainer::for_steps(|steps| Adam::new(Schedule::cosine(3e-3, 0.0, steps)))
            .epochs(epochs)
            .batch(BATCH)
            .seed(number)
            .quiet()
            .fit(&mut parameters, &data, |record: &Record<'_, '_, f64>| {
                let x = record.input("x")?;
                let score = |x| network.forward(record, x);
                let noise = |name: &str| noise(record, name, 2, x.plates()[0]);
                let loss = match objective {
                    "score matching" => score_matching(x, score)?,
                    "sliced score matching" => sliced_score_matching(x, noise("directions")?, score)?,
                    _ => denoising_score_matching(x, noise("noise")?, 0.3, score)?,
                };
                record.cost("loss", loss)
            })?;
        let found = error(1000, runs, &parameters, |record, x, _| network.forward(record, x))?;
        errors.add_row([format!("network, {objective}"), DATA.to_string(), format!("{found:.3}")]);
        results.insert(format!("error, {objective}"), json!(found));
    }
    println!("mean square errors of scores, relative to the exact score\n{errors}\n");

    // Variational inference.
    let header = ["posterior", "mean x₁", "mean x₂", "variance x₁", "variance x₂", "mean square of x₂ − c (x₁² − s²)"];
    let mut fits = table(&header);
    fits.add_row(["exact", "0", "0", "4", "9", "1"]);
    let mut clouds = vec![("exact", points(&mut draw, &none, 1)?)];
    let families = [
        ("Gaussian", None),
        ("implicit, spectral", Some(ESTIMATORS[1].1)),
        ("implicit, Stein gradient", Some(ESTIMATORS[2].1)),
    ];
    for (name, estimator) in families {
        let mut parameters = Parameters::<f64>::new();
        parameters.insert_all([("mean", Tensor::zeros([2])), ("log deviation", Tensor::zeros([2]))])?;
        let network = Mlp::new(&mut parameters, "network", &[NOISE, 64, 64, 2], Activation::Tanh, seed)?;
        let mut step = Step::new(|record: &Record<'_, '_, f64>| {
            let samples = record.graph().plate("samples", SAMPLES)?;
            let Some(estimator) = estimator else {
                let normal = Normal::from_log_scale(record.param("mean")?, record.param("log deviation")?);
                let x = record.sample("x", &normal, &Pathwise::new().on_plate(samples))?;
                record.cost("loss", normal.log_prob(x) - log_density(x))?;
                return record.output("x", x);
            };
            let x = network.forward(record, noise(record, "noise", NOISE, samples)?)?;
            let log_posterior = implicit_log_density(record.graph(), x, estimator(x, samples)?)?;
            record.cost("loss", log_posterior - log_density(x))?;
            record.output("x", x)
        });
        let mut adam = Adam::new(Schedule::cosine(3e-3, 0.0, steps));
        for number in 0..steps {
            step.train(&mut parameters, &mut adam, &Inputs::new(), seed.step(number as usize))?;
        }
        let found = points(&mut step, &parameters, DATA / SAMPLES)?;
        let mean = |of: &dyn Fn(&(f64, f64)) -> f64| found.iter().map(of).sum::<f64>() / found.len() as f64;
        let means = [mean(&|x| x.0), mean(&|x| x.1)];
        let variances = [mean(&|x| (x.0 - means[0]).powi(2)), mean(&|x| (x.1 - means[1]).powi(2))];
        let off = mean(&|x| (x.1 - BEND * (x.0 * x.0 - DEVIATION * DEVIATION)).powi(2));
        let values = [means[0], means[1], variances[0], variances[1], off];
        fits.add_row([name.to_owned()].into_iter().chain(values.map(|value| format!("{value:.3}"))));
        results.insert(name.into(), json!({ "means": means, "variances": variances, "residual": off }));
        clouds.push((name, found));
    }
    println!("posteriors after {steps} steps with {SAMPLES} samples\n{fits}");
    fs::write(out.join("summary.json"), format!("{:#}\n", json!({ "results": results })))?;

    let path = out.join("posteriors.svg");
    let area = SVGBackend::new(&path, (1120, 880)).into_drawing_area();
    area.fill(&WHITE)?;
    let panels = area.split_evenly((2, 2));
    for (panel, (name, cloud)) in panels.iter().take(3).zip(&clouds) {
        scatter(panel, name, &cloud[..cloud.len().min(1000)])?;
    }
    let marks = Marks { legend: Some(SeriesLabelPosition::LowerLeft), points: true, reference: None };
    let axes = [Axis::Log("samples"), Axis::Log("relative mean square error")];
    draw_lines(&panels[3], "error of the score", axes, &lines, marks)?;
    area.present()?;
    println!("pictures and results are in {}", out.display());
    Ok(())
}

fn scatter(panel: &Panel<'_>, name: &str, cloud: &[(f64, f64)]) -> Result<(), Box<dyn Error>> {
    let mut builder = ChartBuilder::on(panel);
    builder.caption(name, ("sans-serif", 18)).margin(14).x_label_area_size(30).y_label_area_size(40);
    let mut chart = builder.build_cartesian_2d(-7.0..7.0, -6.0..14.0)?;
    chart.configure_mesh().light_line_style(TRANSPARENT).draw()?;
    chart.draw_series(cloud.iter().map(|&point| Circle::new(point, 2, BLUE.mix(0.4).filled())))?;
    Ok(())
}
