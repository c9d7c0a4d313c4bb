//! Stochastic gradient Fisher scoring (Ahn, Korattikara and Welling 2012): samples of a posterior from minibatches,
//! with steps that are shaped by the covariance of the gradients of the observations; against Langevin dynamics, and
//! the posterior of a logistic regression by quadrature.
//!
//! `cargo run --release --example stochastic_gradient_fisher_scoring` takes a minute, `-- --quick` some seconds.

use std::error::Error;
use std::f64::consts::TAU;
use std::fs;
use std::path::PathBuf;

use clap::Parser;
use comfy_table::{Table, presets};
use plotters::prelude::*;
use serde_json::json;
use stochgrad::distributions::Uniform;
use stochgrad::graph::GraphResult;
use stochgrad::nn::{Inputs, Parameters};
use stochgrad::prelude::*;
use stochgrad::tensor::random::{Key, address_hash};
use stochgrad_examples::chains::mixing;
use stochgrad_examples::chart::{Axis, Line, Marks, draw_lines};

/// The weights have the prior N(0, `PRIOR`² I).
const PRIOR: f64 = 2.0;
const BATCH: usize = 100;
const CHAINS: usize = 20;
/// Step sizes: ε of Fisher scoring, where ∞ has no noise of its own, and h of Langevin dynamics.
const SCORING: [f64; 4] = [0.3, 2.0, 10.0, f64::INFINITY];
const LANGEVIN: [f64; 4] = [3e-4, 1e-3, 3e-3, 8e-3];

/// Samples the posterior of a logistic regression from minibatches.
#[derive(Parser)]
struct Arguments {
    /// Take few steps.
    #[arg(long)]
    quick: bool,
    /// The number of steps of a chain, of which the first fifth is left out.
    #[arg(long, default_value_t = 2000)]
    steps: usize,
    /// The seed of the chains. The data are always the same.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for results and pictures.
    #[arg(long, default_value = "out/stochastic_gradient_fisher_scoring")]
    out: PathBuf,
}

/// The mean and the covariance of two weights.
#[derive(Clone, Copy)]
struct Moments {
    mean: [f64; 2],
    covariance: [f64; 3],
}

impl Moments {
    /// Those of points with weights.
    fn of(points: impl Iterator<Item = ([f64; 2], f64)>) -> Self {
        let mut sums = [0.0; 6];
        for ([a, b], weight) in points {
            sums.iter_mut().zip([1.0, a, b, a * a, a * b, b * b]).for_each(|(sum, x)| *sum += weight * x);
        }
        let [a, b, aa, ab, bb] = [1, 2, 3, 4, 5].map(|at| sums[at] / sums[0]);
        Self { mean: [a, b], covariance: [aa - a * a, ab - a * b, bb - b * b] }
    }

    /// The largest error of a standard deviation or of the correlation, relative to another covariance.
    fn error(&self, exact: &Self) -> f64 {
        let scales = |of: &Self| [of.covariance[0].sqrt(), of.covariance[2].sqrt()];
        let correlation = |of: &Self| of.covariance[1] / (of.covariance[0] * of.covariance[2]).sqrt();
        let deviations = scales(self).into_iter().zip(scales(exact)).map(|(found, exact)| (found / exact - 1.0).abs());
        deviations.fold((correlation(self) - correlation(exact)).abs(), f64::max)
    }

    /// The ellipse of two standard deviations.
    fn ellipse(&self) -> Vec<(f64, f64)> {
        let [aa, ab, bb] = self.covariance;
        let (first, second) = (aa.sqrt(), ab / aa.sqrt());
        let third = (bb - second * second).sqrt();
        let angles = (0..=120).map(|i| TAU * f64::from(i) / 120.0);
        let point = |angle: f64| (2.0 * angle.cos(), 2.0 * angle.sin());
        let of = |(u, v): (f64, f64)| (self.mean[0] + first * u, self.mean[1] + second * u + third * v);
        angles.map(point).map(of).collect()
    }
}

/// Rows of two features and a label, 0 or 1.
struct Data(Vec<[f64; 3]>);

impl Data {
    fn draw(count: usize) -> Self {
        let key = Key::new(0, 0, address_hash("data", &[]));
        let (mut feature, mut uniform) = (vec![0.0; count], vec![0.0; count]);
        key.derive("feature").normal(0, &mut feature);
        key.derive("label").uniform(0, &mut uniform);
        let row = |(x, u): (f64, f64)| [1.0, x, f64::from(u < 1.0 / (1.0 + (0.5 - 1.5 * x).exp()))];
        Self(feature.into_iter().zip(uniform).map(row).collect())
    }

    /// ln p(weights, labels) without its constant.
    fn log_density(&self, [a, b]: [f64; 2]) -> f64 {
        let term = |row: &[f64; 3]| {
            let logit = a * row[0] + b * row[1];
            row[2] * logit - logit.max(0.0) - (-logit.abs()).exp().ln_1p()
        };
        self.0.iter().map(term).sum::<f64>() - 0.5 * (a * a + b * b) / (PRIOR * PRIOR)
    }

    /// The posterior by quadrature on a square, which is moved to the place of the posterior first.
    fn posterior(&self) -> Moments {
        let (mut centre, mut width) = ([0.0; 2], [8.0; 2]);
        let mut moments = Moments { mean: centre, covariance: [0.0; 3] };
        for points in [60, 60, 60, 200] {
            let at = |i: i32, axis: usize| centre[axis] + width[axis] * f64::from(i) / f64::from(points);
            let grid = (-points..=points).flat_map(|i| (-points..=points).map(move |j| (i, j)));
            let logs: Vec<_> = grid.map(|(i, j)| [at(i, 0), at(j, 1)]).map(|w| (w, self.log_density(w))).collect();
            let top = logs.iter().map(|(_, log)| *log).fold(f64::NEG_INFINITY, f64::max);
            moments = Moments::of(logs.into_iter().map(|(weights, log)| (weights, (log - top).exp())));
            // At least a step of the grid, so that a posterior between its points is not lost.
            let side = |axis: usize| (8.0 * moments.covariance[2 * axis].max(0.0).sqrt()).max(2.0 * width[axis] / 60.0);
            (centre, width) = (moments.mean, [side(0), side(1)]);
        }
        moments
    }
}

#[derive(Clone, Copy)]
enum Sampler {
    /// Fisher scoring with the step size ε, and noise of its own with the covariance B ∝ information / ε.
    Scoring(f64),
    /// Stochastic gradient Langevin dynamics (Welling and Teh 2011) with the step size h.
    Langevin(f64),
}

/// Records a step of chains, each with a minibatch of its own.
fn transition(record: &Record<'_, '_, f64>, sampler: Sampler, count: usize) -> GraphResult<()> {
    let weights = record.input("weights")?;
    let chains = weights.plates()[0];
    let batch = record.graph().plate("batch", BATCH.min(count / 2))?;
    let size = record.tape().plate_size(batch) as f64;
    let (method, total) = (ScoreFunction::new(), count as f64);
    let positions = Uniform::new(record.constant(0.0).expand_plates(&[chains]), total);
    let rows = record.sample("rows", &positions, &Pathwise::new().on_plate(batch))?.floor();
    let rows = record.input("data")?.lookup(rows);

    // The gradient of each observation: every member of the minibatch has weights of its own.
    let own = weights.expand_plates(&[batch]);
    let log_likelihood = Bernoulli::from_logits(rows.slice(0, 0..2).dot(own)).log_prob(rows.index(0, 2));
    let [gradients] = record.tape().grad(log_likelihood.sum_over(batch).sum_over(chains), [own])?;
    let mean = gradients.mean_over(batch);
    let prior = Normal::new(record.constant([0.0; 2]), PRIOR).log_prob(weights);
    let [prior] = record.tape().grad(prior.sum_over(chains), [weights])?;
    let gradient = mean * total + prior;
    let noise = record.sample("noise", &Normal::new(weights * 0.0, 1.0), &method)?;

    let deviation = gradients - mean;
    let covariance = (deviation.unsqueeze(-1) * deviation.unsqueeze(0)).mean_over(batch) * (size / (size - 1.0));
    let information = record.input("information")?;
    let information = information + record.input("rate")? * (covariance - information);
    record.output("information", information)?;
    let change = match sampler {
        Sampler::Langevin(size) => gradient * (0.5 * size) + noise * size.sqrt(),
        Sampler::Scoring(epsilon) => {
            let excess = (size + total) / size; // γ: the noise of the minibatch and the curvature, relative to the latter
            let factor = (information * total).cholesky();
            let pulled = factor.triangular_solve(gradient.unsqueeze(-1));
            let sum = pulled + noise.unsqueeze(-1) * (4.0 * excess / epsilon).sqrt();
            factor.transposed_triangular_solve(sum).index(-1, 0) * (2.0 / (excess * (1.0 + 4.0 / epsilon)))
        }
    };
    record.output("weights", weights + change)
}

/// The moments of the samples of a posterior, and the autocorrelation time of the second weight.
fn sample(data: &Data, sampler: Sampler, steps: usize, seed: u64) -> Result<(Moments, f64), Box<dyn Error>> {
    let mut step = Step::new(|handle: &Record<'_, '_, f64>| transition(handle, sampler, data.0.len()));
    let start = Tensor::from_fn([CHAINS, 2, 2], |at| if at % 4 == 0 || at % 4 == 3 { 0.25 } else { 0.0 });
    let inputs = Inputs::new().value("data", Tensor::from_rows(&data.0)?).value("rate", 0.0);
    let inputs = inputs.along("chains", "weights", Tensor::zeros([CHAINS, 2]));
    let (mut inputs, mut samples) = (inputs.along("chains", "information", start), Vec::new());
    for number in 0..steps {
        *inputs.get_mut("rate").ok_or("there is no rate")? = Tensor::scalar(1.0 / (number as f64 + 2.0));
        let outputs = step.predict(&Parameters::new(), &inputs, Seed::new(seed).step(number))?;
        for name in ["weights", "information"] {
            *inputs.get_mut(name).ok_or("there is no state")? = outputs.get(name)?.clone();
        }
        if number >= steps / 5 {
            samples.push(outputs.get("weights")?.as_slice().chunks(2).map(|w| [w[0], w[1]]).collect::<Vec<_>>());
        }
    }
    let moments = Moments::of(samples.iter().flatten().map(|&weights| (weights, 1.0)));
    let second: Vec<Vec<f64>> = samples.iter().map(|of| of.iter().map(|weights| weights[1]).collect()).collect();
    Ok((moments, mixing(&second, moments.mean[1]).1))
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, steps, seed, out } = Arguments::parse();
    let steps = if quick { 300 } else { steps };
    let few = [[0.5, 1.0], [-1.2, 0.0], [2.0, 1.0], [0.1, 0.0], [-0.7, 1.0], [1.4, 1.0], [-2.1, 0.0], [0.9, 0.0]];
    let few = Data(few.map(|[x, y]| [1.0, x, y]).to_vec());
    let (mut results, mut table) = (serde_json::Map::new(), Table::new());
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(["observations", "sampler", "means", "variances and covariance", "error", "autocorrelation time"]);
    let mut lines: Vec<Line> = vec![("Fisher scoring".into(), Vec::new()), ("Langevin dynamics".into(), Vec::new())];
    let many = Data::draw(1000);
    let mut ellipses: Vec<Line> = vec![("quadrature".into(), many.posterior().ellipse())];
    for data in [many, few] {
        let (count, exact) = (data.0.len(), data.posterior());
        let mut add = |name: &str, of: &Moments, time: f64| {
            let [a, b] = of.mean;
            let ([aa, ab, bb], error) = (of.covariance, of.error(&exact));
            let cells =
                [count.to_string(), name.to_owned(), format!("{a:.4} {b:.4}"), format!("{aa:.5} {bb:.5} {ab:.5}")];
            table.add_row(cells.into_iter().chain([format!("{error:.3}"), format!("{time:.1}")]));
            let result = json!({ "mean": of.mean, "covariance": of.covariance, "error": error, "time": time });
            results.insert(format!("{name}, {count} observations"), result);
        };
        add("quadrature", &exact, 1.0);
        let scoring = SCORING.map(|e| (format!("Fisher scoring, ε = {e}").replace("inf", "∞"), Sampler::Scoring(e)));
        let langevin = LANGEVIN.map(|size| (format!("Langevin dynamics, h = {size}"), Sampler::Langevin(size)));
        // Few observations show the limit of Fisher scoring; Langevin dynamics would need other step sizes.
        let used = if count > BATCH { 8 } else { 4 };
        for (index, (name, sampler)) in scoring.into_iter().chain(langevin).enumerate().take(used) {
            let (moments, time) = sample(&data, sampler, steps, seed)?;
            add(&name, &moments, time);
            if count > BATCH {
                lines[index / 4].1.push((time, moments.error(&exact)));
            }
            if count > BATCH && index % 4 == 3 {
                ellipses.push((name, moments.ellipse()));
            }
        }
    }
    println!("{table}");
    fs::create_dir_all(&out)?;
    fs::write(out.join("summary.json"), format!("{:#}\n", json!({ "results": results })))?;

    let path = out.join("posterior.svg");
    let area = SVGBackend::new(&path, (1120, 480)).into_drawing_area();
    let panels = area.split_evenly((1, 2));
    let marks = Marks { legend: Some(SeriesLabelPosition::UpperRight), points: true, reference: None };
    area.fill(&WHITE)?;
    let axes = [Axis::Log("autocorrelation time"), Axis::Log("error of the covariance")];
    draw_lines(&panels[0], "speed and accuracy", axes, &lines, marks.clone())?;
    let axes = [Axis::Linear("first weight"), Axis::Linear("second weight")];
    draw_lines(&panels[1], "two standard deviations", axes, &ellipses, Marks { points: false, ..marks })?;
    area.present()?;
    println!("pictures and results are in {}", out.display());
    Ok(())
}
