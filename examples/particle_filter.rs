//! A particle filter on a linear Gaussian model: what its gradient is with each treatment of the resampling, against
//! the exact likelihood of the Kalman filter.
//!
//! `cargo run --release --example particle_filter` takes some minutes, `-- --quick` some seconds.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use comfy_table::{Table, presets};
use plotters::prelude::*;
use serde_json::json;
use stochgrad::check::{SampleMoments, StatisticalTest};
use stochgrad::estimators::BatchMean;
use stochgrad::graph::{DynMethod, GraphResult};
use stochgrad::nn::{Inputs, Parameters};
use stochgrad::prelude::*;
use stochgrad::tape::{Id, Plate};
use stochgrad_examples::chart::{Axis, Line, Marks, draw_lines};

/// Measurements that were drawn from the model at `TRUTH`.
const MEASURED: [f64; 25] = [
    -1.64, -1.62, -2.11, -2.74, -2.35, -2.37, -1.69, -1.47, -1.64, -0.74, -1.56, -2.22, -0.07, -1.05, -1.17, -0.08,
    -0.45, 1.56, -0.34, 0.47, -0.17, -0.07, -0.61, 0.31, -0.78,
];
/// The state is x[t] = a x[t − 1] + N(0, q) from x[0] = N(0, 1), and its measurement y[t] = c x[t] + N(0, r).
const NAMES: [&str; 4] = ["a", "c", "log q", "log r"];
const TRUTH: [f64; 4] = [0.9, 1.0, -std::f64::consts::LN_2, -1.203_972_804_325_936]; // q = 0.5, r = 0.3
/// The numbers of particles, and the one of the table.
const PARTICLES: [usize; 3] = [4, 8, 16];
const SHOWN: usize = 16;
/// The filters that run side by side, and are one another's baselines.
const RUNS: usize = 50;

/// Compares gradients through the resampling of a particle filter.
#[derive(Parser)]
struct Arguments {
    /// Use few filters.
    #[arg(long)]
    quick: bool,
    /// How often the filters of each gradient run.
    #[arg(long, default_value_t = 100)]
    evaluations: usize,
    /// The seed of the particles.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for results and pictures.
    #[arg(long, default_value = "out/particle_filter")]
    out: PathBuf,
}

/// How the derivative treats the choice of ancestors, which are drawn with the weights w.
#[derive(Clone, Copy)]
enum Resampling {
    /// As a random choice: a gradient method of the nodes of the ancestors.
    Method(fn(Plate) -> DynMethod<f64, Categorical<Id>>),
    /// As a constant.
    Constant,
    /// Each particle has the weight w / stop(w) of its ancestor, which is 1 (Ścibior and Wood 2021).
    StopGradient,
    /// Ancestors are drawn with q = α w + (1 − α) / N, and particles have the weight w / q (Karkus et al. 2018).
    Soft(f64),
    /// No ancestors: particles move to weighted means, with entropic optimal transport (Corenflos et al. 2021).
    Transport(f64),
}

impl Resampling {
    /// Particles that represent the weighted ones, and the logarithms of their weights.
    fn record<'t>(
        self,
        record: &Record<'_, 't, f64>,
        t: usize,
        plate: Plate,
        (states, log_weights): (Var<'t, f64>, Var<'t, f64>),
    ) -> GraphResult<(Var<'t, f64>, Var<'t, f64>)> {
        let table = states.plate_to_event(plate); // a row for each particle
        let log_weights = log_weights.plate_to_event(plate).log_softmax(-1);
        let count = table.shape()[0] as f64;
        let (constant, plain) = (log_weights.stop_gradient(), Arc::new(ScoreFunction::new().on_plate(plate)));
        let (drawn, method, weights): (_, DynMethod<f64, Categorical<Id>>, _) = match self {
            Self::Method(method) => (log_weights, method(plate), log_weights * 0.0),
            Self::Constant => (constant, plain, constant * 0.0),
            Self::StopGradient => (constant, plain, log_weights - constant),
            Self::Soft(share) => {
                let mixed = (log_weights.exp() * share + (1.0 - share) / count).ln();
                (mixed.stop_gradient(), plain, log_weights - mixed)
            }
            Self::Transport(regularization) => {
                let plan = (log_transport(table, log_weights, regularization) + count.ln()).exp();
                return Ok((plan.transpose().matmul(table).event_to_plate(plate), record.constant(0.0)));
            }
        };
        let ancestor = record.sample(("ancestor", t), &Categorical::from_logits(drawn), &method)?;
        Ok((table.lookup(ancestor), weights.unsqueeze(-1).lookup(ancestor).sum()))
    }
}

/// The logarithm of the plan that moves weighted particles (rows) to equally weighted ones (columns), by Sinkhorn's
/// iterations.
fn log_transport<'t>(particles: Var<'t, f64>, log_weights: Var<'t, f64>, regularization: f64) -> Var<'t, f64> {
    let count = particles.shape()[0] as f64;
    let kernel = (particles - particles.transpose()).square() * (-0.5 / regularization);
    let mut column = log_weights * 0.0;
    let mut row = column;
    for _ in 0..10 {
        row = log_weights - (kernel + column.unsqueeze(0)).logsumexp(1);
        column = -count.ln() - (kernel + row.unsqueeze(-1)).logsumexp(0);
    }
    kernel + row.unsqueeze(-1) + column.unsqueeze(0)
}

/// A name, the method of the states, and the treatment of the ancestors.
type Gradient = (&'static str, DynMethod<f64, Normal<Id>>, Resampling);

fn gradients() -> [Gradient; 7] {
    let path = || -> DynMethod<f64, Normal<Id>> { Arc::new(Pathwise::new()) };
    // Refused without the assumption, since the derivative stops at the choice of the ancestors.
    let stopped = || -> DynMethod<f64, Normal<Id>> { Arc::new(Pathwise::new().assume_continuous()) };
    let score = || -> DynMethod<f64, Normal<Id>> { Arc::new(ScoreFunction::new().baseline(BatchMean)) };
    let ancestors = Resampling::Method(|plate| Arc::new(ScoreFunction::new().on_plate(plate).baseline(BatchMean)));
    [
        ("scores of states and ancestors", score(), ancestors),
        ("paths, scores of ancestors", path(), ancestors),
        ("scores, ancestors constant", score(), Resampling::Constant),
        ("paths, ancestors constant", stopped(), Resampling::Constant),
        ("paths, stop-gradient weights", stopped(), Resampling::StopGradient),
        ("paths, soft resampling", stopped(), Resampling::Soft(0.5)),
        ("paths, optimal transport", path(), Resampling::Transport(0.2)),
    ]
}

/// Records the negative estimate of the log-likelihood of a bootstrap filter.
fn filter(record: &Record<'_, '_, f64>, (_, method, resampling): &Gradient, particles: usize) -> GraphResult<()> {
    let (a, c) = (record.param("a")?, record.param("c")?);
    let (noise, error) = (record.param("log q")? * 0.5, record.param("log r")? * 0.5);
    let runs = record.graph().plate("runs", RUNS)?;
    let plate = record.graph().plate("particles", particles)?;
    let (mut location, mut scale) = (record.constant([0.0]).expand_plates(&[runs, plate]), record.constant(0.0));
    let mut log_weights = record.constant(0.0);
    for (t, &y) in MEASURED.iter().enumerate() {
        let states = record.sample(("state", t), &Normal::from_log_scale(location, scale), method)?;
        let likelihood = Normal::from_log_scale(states * c, error).log_prob(record.constant([y]));
        log_weights = log_weights + likelihood;
        record.cost(&format!("measurement {t}"), -log_weights.log_mean_exp_over(plate))?;
        if t + 1 < MEASURED.len() {
            let (kept, weights) = resampling.record(record, t, plate, (states, log_weights))?;
            (location, scale, log_weights) = (kept * a, noise, weights);
        }
    }
    Ok(())
}

/// Records the negative log-likelihood by the Kalman filter, which is exact.
fn kalman(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let (a, c) = (record.param("a")?, record.param("c")?);
    let (q, r) = (record.param("log q")?.exp(), record.param("log r")?.exp());
    let (mut mean, mut variance) = (record.constant(0.0), record.constant(1.0));
    for (t, &y) in MEASURED.iter().enumerate() {
        let of_measurement = c * c * variance + r;
        let measurement = Normal::new(c * mean, of_measurement.sqrt());
        record.cost(&format!("measurement {t}"), -measurement.log_prob(record.constant(y)))?;
        let gain = variance * c / of_measurement;
        (mean, variance) = (mean + gain * (y - c * mean), variance - gain * c * variance);
        (mean, variance) = (a * mean, a * a * variance + q);
    }
    Ok(())
}

/// The log-likelihood and its derivatives, with their spread, and the milliseconds of an evaluation.
fn measure<'m>(
    model: impl Fn(&Record<'_, '_, f64>) -> GraphResult<()> + 'm,
    evaluations: usize,
    seed: u64,
) -> Result<(SampleMoments, f64), Box<dyn Error>> {
    let mut parameters = Parameters::new();
    for (name, value) in NAMES.into_iter().zip(TRUTH) {
        parameters.insert(name, Tensor::scalar(value))?;
    }
    let mut step = Step::new(model);
    let mut values = |run: u64| -> GraphResult<Vec<f64>> {
        let gradients = step.run(&parameters, &Inputs::new(), Seed::new(seed).step(run as usize))?;
        let derivatives = NAMES.map(|name| Ok(-gradients.get(name)?.item()?));
        [Ok(-gradients.total())].into_iter().chain(derivatives).collect()
    };
    let start = Instant::now();
    let test = StatisticalTest::new().runs(evaluations);
    let moments = test.sample(|run| values(run).expect("the gradients of a filter"))?;
    Ok((moments, 1e3 * start.elapsed().as_secs_f64() / evaluations as f64))
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, evaluations, seed, out } = Arguments::parse();
    let evaluations = if quick { 20 } else { evaluations };
    let (exact, _) = measure(kalman, 2, seed)?;
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    let columns = ["", "ln p"].into_iter().chain(NAMES).chain(["deviation of one filter (log q)", "ms"]);
    table.set_header(columns);
    let cells = exact.mean.iter().map(|value| format!("{value:.3}"));
    table.add_row(["Kalman filter, exact".to_owned()].into_iter().chain(cells));
    let mut results = serde_json::Map::new();
    results.insert("Kalman filter".into(), json!({ "mean": exact.mean }));

    // Against the number of particles: the log-likelihood, two derivatives, and the deviation of one of them.
    let mut lines: [Vec<Line>; 4] = Default::default();
    for gradient in gradients() {
        let mut points: [Vec<(f64, f64)>; 4] = Default::default();
        for particles in PARTICLES {
            let (moments, ms) = measure(|handle| filter(handle, &gradient, particles), evaluations, seed)?;
            let errors: Vec<f64> = (0..=NAMES.len()).map(|column| moments.standard_error(column)).collect();
            let deviation = (moments.variance[3] * RUNS as f64).sqrt();
            let values = [moments.mean[0], moments.mean[1], moments.mean[3], deviation];
            points.iter_mut().zip(values).for_each(|(points, y)| points.push((particles as f64, y)));
            if particles == SHOWN {
                let cells = moments.mean.iter().zip(&errors).map(|(mean, error)| format!("{mean:.3} ± {error:.3}"));
                let last = [format!("{deviation:.2}"), format!("{ms:.1}")];
                table.add_row([gradient.0.to_owned()].into_iter().chain(cells).chain(last));
            }
            let result = json!({ "mean": moments.mean, "standard error": errors, "ms": ms });
            results.insert(format!("{}, {particles} particles", gradient.0), result);
        }
        lines.iter_mut().zip(points).for_each(|(lines, points)| lines.push((gradient.0.into(), points)));
    }
    println!("{SHOWN} particles: the log-likelihood and its derivatives\n{table}");
    fs::create_dir_all(&out)?;
    fs::write(out.join("summary.json"), format!("{:#}\n", json!({ "results": results })))?;

    let path = out.join("comparison.svg");
    let area = SVGBackend::new(&path, (1120, 860)).into_drawing_area();
    area.fill(&WHITE)?;
    let panels = area.split_evenly((2, 2));
    let references = [exact.mean[0], exact.mean[1], exact.mean[3]];
    let titles = ["estimate of the log-likelihood", "its derivative with respect to a", "with respect to log q"];
    for (index, title) in titles.into_iter().enumerate() {
        let legend = (index == 0).then_some(SeriesLabelPosition::LowerRight);
        let marks = Marks { reference: Some(("Kalman filter", references[index])), legend, points: true };
        draw_lines(&panels[index], title, [Axis::Log("particles"), Axis::Linear("mean")], &lines[index], marks)?;
    }
    let (axes, marks) = ([Axis::Log("particles"), Axis::Log("deviation")], Marks { points: true, ..Marks::default() });
    draw_lines(&panels[3], "derivative of one filter with respect to log q", axes, &lines[3], marks)?;
    area.present()?;
    println!("pictures and results are in {}", out.display());
    Ok(())
}
