//! Average derivatives (Stoker 1986): how much a response changes on average with each covariate, without a model of
//! the response. It is the derivative of an expectation with respect to a location, so that its estimator is the score
//! function; a model of the covariates alone turns it into an estimator from data.
//!
//! `cargo run --release --example average_derivatives` takes a minute, `-- --quick` some seconds.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use comfy_table::{Table, presets};
use plotters::prelude::*;
use serde_json::json;
use stochgrad::check::{SampleMoments, StatisticalTest};
use stochgrad::distributions::MultivariateNormal;
use stochgrad::graph::{DynMethod, GraphResult};
use stochgrad::nn::{Inputs, Parameters};
use stochgrad::prelude::*;
use stochgrad::tape::{Id, Plate};
use stochgrad_examples::chart::{Axis, Line, Marks, draw_lines};

/// The covariates are normal with mean 0. The response depends on an index, u = `OFFSET` + `COEFFICIENTS`ᵀ x, and on
/// noise from N(0, 1).
const COVARIANCE: [[f64; 2]; 2] = [[1.0, 0.3], [0.3, 0.8]];
const OFFSET: f64 = 0.3;
const COEFFICIENTS: [f64; 2] = [1.0, -0.5];
/// The observations of a derivative of a simulated expectation.
const OBSERVATIONS: usize = 1000;

/// Estimates average derivatives of simulated models.
#[derive(Parser)]
struct Arguments {
    /// Use small data sets, and few of them.
    #[arg(long)]
    quick: bool,
    /// The number of data sets.
    #[arg(long, default_value_t = 40)]
    sets: usize,
    /// The seed of the data.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for results and pictures.
    #[arg(long, default_value = "out/average_derivatives")]
    out: PathBuf,
}

#[derive(Clone, Copy, PartialEq)]
enum Response {
    /// 1 if u + noise > 0, and 0 otherwise.
    Probit,
    /// The positive part of u + noise.
    Tobit,
    /// exp(u) + noise.
    Exponential,
}

/// Each response with the derivative of its mean with respect to u, averaged over the covariates.
const RESPONSES: [(&str, Response, f64); 3] = [
    ("probit", Response::Probit, 0.2826489285),
    ("tobit", Response::Tobit, 0.5861463121),
    ("exponential", Response::Exponential, 2.117000017),
];

type Method = fn(Plate) -> DynMethod<f64, MultivariateNormal<Id>>;

fn score(plate: Plate) -> DynMethod<f64, MultivariateNormal<Id>> {
    Arc::new(ScoreFunction::new().on_plate(plate))
}

const METHODS: [(&str, Method); 4] = [
    ("score function", score),
    ("score function, leave-one-out", |plate| Arc::new(ScoreFunction::new().on_plate(plate).baseline(LeaveOneOut))),
    ("measure-valued", |plate| Arc::new(MeasureValued::new().on_plate(plate))),
    ("pathwise", |plate| Arc::new(Pathwise::new().on_plate(plate))),
];

/// Records the expected response, as a function of the location of the covariates.
fn simulate(record: &Record<'_, '_, f64>, response: Response, method: Method, count: usize) -> GraphResult<()> {
    let plate = record.graph().plate("observations", count)?;
    let normal = MultivariateNormal::from_covariance(record.param("location")?, record.constant(COVARIANCE));
    let x = record.sample("x", &normal, &method(plate))?;
    let (zero, one) = (record.constant(0.0), record.constant(1.0));
    let noise = record.sample("noise", &Normal::new(zero, one), &ScoreFunction::new().on_plate(plate))?;
    let index = x.dot(record.constant(COEFFICIENTS)) + OFFSET;
    let y = match response {
        Response::Probit => (index + noise).gt(zero),
        Response::Tobit => (index + noise).relu(),
        Response::Exponential => index.exp() + noise,
    };
    record.cost("mean response", y)?;
    record.output("x", x)?;
    record.output("y", y)
}

/// What is known of the density of the covariates.
#[derive(Clone, Copy)]
enum Density {
    Known,
    /// It is normal, with the mean and the covariance of the data.
    Normal,
    /// Nothing: it is estimated by a Gaussian kernel, which leaves the observation itself out.
    Kernel,
}

const DENSITIES: [(&str, Density); 3] =
    [("known", Density::Known), ("normal", Density::Normal), ("kernel", Density::Kernel)];

/// Records the term −y ∂ ln f(x) / ∂x of each observation, whose mean is the average derivative.
fn terms(record: &Record<'_, '_, f64>, density: Density) -> GraphResult<()> {
    let (x, y) = (record.input("x")?, record.input("y")?);
    let rows = x.plates()[0];
    let count = record.tape().plate_size(rows);
    let log_density = match density {
        Density::Known => {
            MultivariateNormal::from_covariance(record.constant([0.0; 2]), record.constant(COVARIANCE)).log_prob(x)
        }
        Density::Normal => {
            let data = x.stop_gradient();
            let mean = data.mean_over(rows);
            let deviation = data - mean;
            let covariance = (deviation.unsqueeze(-1) * deviation.unsqueeze(0)).mean_over(rows);
            MultivariateNormal::from_covariance(mean, covariance).log_prob(x)
        }
        Density::Kernel => {
            let width = 0.6 * (count as f64).powf(-1.0 / 6.0);
            let others = x.stop_gradient().plate_to_event(rows);
            let squares = (x.unsqueeze(0) - others).square().sum_axis(-1);
            let is_other = squares.gt(record.constant(0.0));
            is_other.select(squares * (-0.5 / (width * width)), record.constant(-1e30)).logsumexp(-1)
        }
    };
    let [score] = record.tape().grad(log_density.sum_over(rows), [x])?;
    record.output("terms", -score * y.unsqueeze(-1))
}

/// The average derivative from a data set with its standard error, for each covariate; and the ratio of the second to
/// the first, with its standard error.
type Estimates = [(f64, f64); 3];

fn estimate(terms: &Tensor<f64>) -> Estimates {
    let rows: Vec<&[f64]> = terms.as_slice().chunks(2).collect();
    let count = rows.len() as f64;
    let moments = |of: &dyn Fn(&[f64]) -> f64| {
        let mean = rows.iter().map(|row| of(row)).sum::<f64>() / count;
        let variance = rows.iter().map(|row| (of(row) - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, (variance / count).sqrt())
    };
    let (first, second) = (moments(&|row| row[0]), moments(&|row| row[1]));
    let ratio = second.0 / first.0;
    [first, second, (ratio, moments(&|row| row[1] - ratio * row[0]).1 / first.0.abs())]
}

/// The mean and the variance of derivatives of the simulated expectation.
fn derivative(response: Response, method: Method, runs: usize, seed: u64) -> Result<SampleMoments, Box<dyn Error>> {
    let mut parameters = Parameters::new();
    parameters.insert("location", Tensor::from([0.0, 0.0]))?;
    let mut step = Step::new(|handle: &Record<'_, '_, f64>| simulate(handle, response, method, OBSERVATIONS));
    let mut run = |number: u64| -> GraphResult<Vec<f64>> {
        let gradients = step.run(&parameters, &Inputs::new(), Seed::new(seed).step(number as usize))?;
        Ok(gradients.get("location")?.to_vec())
    };
    Ok(StatisticalTest::new().runs(runs).sample(|number| run(number).expect("a derivative"))?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, sets, seed, out } = Arguments::parse();
    let (runs, sets, sizes) = if quick { (50, 10, &[100, 300][..]) } else { (1000, sets, &[100, 300, 1000][..]) };
    let mut results = serde_json::Map::new();
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(["response", "method", "derivatives", "exact", "variance of one observation"]);
    let pair = |of: &[f64]| format!("{:.4} {:.4}", of[0], of[1]);
    for (name, response, slope) in RESPONSES {
        let exact = COEFFICIENTS.map(|coefficient| coefficient * slope);
        for (method_name, method) in METHODS {
            if response == Response::Probit && method_name == "pathwise" {
                continue; // the response jumps, and the method would be refused
            }
            let found = derivative(response, method, runs, seed)?;
            let variance: Vec<f64> = found.variance.iter().map(|variance| variance * OBSERVATIONS as f64).collect();
            let cells = [pair(&found.mean), pair(&exact), pair(&variance)];
            table.add_row([name.to_owned(), method_name.to_owned()].into_iter().chain(cells));
            let errors = [found.standard_error(0), found.standard_error(1)];
            let result = json!({ "mean": found.mean, "error": errors, "exact": exact, "variance": variance });
            results.insert(format!("{name}, {method_name}"), result);
        }
    }
    println!("derivatives of the mean response with respect to the location of the covariates\n{table}");

    // From data sets of the tobit model: the root mean square errors of the first derivative and of the ratio.
    let (_, response, slope) = RESPONSES[1];
    let exact = [COEFFICIENTS[0] * slope, COEFFICIENTS[1] * slope, COEFFICIENTS[1] / COEFFICIENTS[0]];
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    let last = sizes[sizes.len() - 1];
    table.set_header(["density of x", "derivatives", "ratio", "rms error of the ratio", "mean standard error"]);
    let mut lines: [Vec<Line>; 2] = Default::default();
    let mut parameters = Parameters::new();
    parameters.insert("location", Tensor::from([0.0, 0.0]))?;
    for (name, density) in DENSITIES {
        let mut points: [Vec<(f64, f64)>; 2] = Default::default();
        for &size in sizes {
            let mut draw = Step::new(|handle: &Record<'_, '_, f64>| simulate(handle, response, score, size));
            let mut step = Step::new(|handle: &Record<'_, '_, f64>| terms(handle, density));
            let mut estimates = Vec::new();
            for number in 0..sets {
                let data = draw.predict(&parameters, &Inputs::new(), Seed::new(seed).step(number))?;
                let inputs = Inputs::new().batch("x", data.get("x")?.clone()).batch("y", data.get("y")?.clone());
                estimates.push(estimate(step.predict(&parameters, &inputs, Seed::new(seed))?.get("terms")?));
            }
            let mean = |of: &dyn Fn(&Estimates) -> f64| estimates.iter().map(of).sum::<f64>() / sets as f64;
            let rms = |at: usize| mean(&|of| (of[at].0 - exact[at]).powi(2)).sqrt();
            points[0].push((size as f64, rms(0)));
            points[1].push((size as f64, rms(2)));
            if size == last {
                let means = [0, 1].map(|at| mean(&|of| of[at].0));
                let (ratio, error) = (mean(&|of| of[2].0), mean(&|of| of[2].1));
                let cells = [pair(&means), format!("{ratio:.4}"), format!("{:.4}", rms(2)), format!("{error:.4}")];
                table.add_row([name.to_owned()].into_iter().chain(cells));
                let result = json!({ "derivatives": means, "ratio": ratio, "rms error of the ratio": rms(2), "mean standard error": error });
                results.insert(format!("density {name}"), result);
            }
        }
        lines.iter_mut().zip(points).for_each(|(lines, points)| lines.push((name.into(), points)));
    }
    println!("from {sets} data sets of {last} observations of the tobit model; exact {exact:.4?}\n{table}");
    fs::create_dir_all(&out)?;
    fs::write(out.join("summary.json"), format!("{:#}\n", json!({ "results": results })))?;

    let path = out.join("errors.svg");
    let area = SVGBackend::new(&path, (1120, 440)).into_drawing_area();
    area.fill(&WHITE)?;
    let titles = ["first derivative", "ratio of the coefficients"];
    for ((panel, title), lines) in area.split_evenly((1, 2)).iter().zip(titles).zip(&lines) {
        let marks = Marks { legend: Some(SeriesLabelPosition::UpperRight), points: true, reference: None };
        let axes = [Axis::Log("observations"), Axis::Log("root mean square error")];
        draw_lines(panel, title, axes, lines, marks)?;
    }
    area.present()?;
    println!("pictures and results are in {}", out.display());
    Ok(())
}
