//! Black box variational inference (Ranganath et al. 2014): gradients that need values of the log-joint density only,
//! with the two steps that make their variance small enough, on a model whose posterior is known.
//!
//! `cargo run --release --example black_box_vi` takes a minute, `-- --quick` some seconds.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use comfy_table::{Table, presets};
use plotters::prelude::*;
use serde_json::json;
use stochgrad::estimators::OptimalBaseline;
use stochgrad::graph::{DynMethod, GraphResult, Reduction};
use stochgrad::nn::{Adam, Inputs, Parameters, Schedule};
use stochgrad::prelude::*;
use stochgrad::tape::{Id, Plate};
use stochgrad::tensor::random::{Key, address_hash};
use stochgrad::train::GradientVariance;
use stochgrad_examples::chart::{Axis, Line, Marks, draw_lines};

/// The number of groups. A group has a mean z, drawn from N(μ, 1) with μ from N(0, `PRIOR`²), and a measurement, drawn
/// from N(z, `ERROR`²).
const GROUPS: usize = 30;
const PRIOR: f64 = 3.0;
const ERROR: f64 = 0.5;
/// The samples of a gradient.
const SAMPLES: usize = 10;
const PARAMETERS: [&str; 4] = ["global mean", "global log deviation", "local means", "local log deviations"];

/// Compares gradients of the evidence bound that use values of the log-joint density only.
#[derive(Parser)]
struct Arguments {
    /// Take 200 steps, and measure with less precision.
    #[arg(long)]
    quick: bool,
    /// The number of steps.
    #[arg(long, default_value_t = 4000)]
    steps: u64,
    /// The seed of the samples. The measurements are always the same.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for results and pictures.
    #[arg(long, default_value = "out/black_box_vi")]
    out: PathBuf,
}

/// How the latent variables are drawn.
#[derive(Clone, Copy, PartialEq)]
enum Nodes {
    /// As one node, whose elements are all credited with the whole cost.
    One,
    /// As a node for μ and a node for each z, which are credited with the terms of the cost that depend on them.
    Each,
}

type Method<'a> = &'a dyn Fn(Plate) -> DynMethod<f64, Normal<Id>>;

/// Records the negative evidence lower bound with independent Gaussian posteriors of all latent variables.
fn record(record: &Record<'_, '_, f64>, nodes: Nodes, method: Method<'_>) -> GraphResult<()> {
    let measured = record.input("measured")?;
    let groups = measured.plates()[0];
    record.graph().set_reduction(groups, Reduction::Sum)?;
    let samples = record.graph().plate("samples", SAMPLES)?;
    let method = method(samples);
    let prior = Normal::new(record.constant(0.0), PRIOR);
    if nodes == Nodes::One {
        let joined = |first: &str, others: &str| {
            GraphResult::Ok(Var::concat(&[record.param(first)?.unsqueeze(0), record.param(others)?], 0)?)
        };
        let location = joined("global mean", "local means")?;
        let posterior = Normal::from_log_scale(location, joined("global log deviation", "local log deviations")?);
        let latent = record.sample("latent", &posterior, &method)?;
        let (mean, means) = (latent.index(0, 0), latent.slice(0, 1..GROUPS + 1));
        let likelihood = Normal::new(means, ERROR).log_prob(measured.plate_to_event(groups));
        let log_joint = prior.log_prob(mean) + Normal::new(mean, 1.0).log_prob(means) + likelihood;
        return record.cost("bound", posterior.log_prob(latent) - log_joint);
    }
    let global = Normal::from_log_scale(record.param("global mean")?, record.param("global log deviation")?);
    let (location, scale) = ("local means", "local log deviations");
    let local = Normal::from_log_scale(record.param_on(location, &[groups])?, record.param_on(scale, &[groups])?);
    let mean = record.sample("global", &global, &method)?;
    let means = record.sample("local", &local, &method)?;
    record.cost("global", global.log_prob(mean) - prior.log_prob(mean))?;
    record.cost("groups", -Normal::new(mean, 1.0).log_prob(means))?;
    record.cost("local", local.log_prob(means) - Normal::new(means, ERROR).log_prob(measured))
}

/// The exact posterior, which is Gaussian: its means, those of the groups after that of μ, and its precision matrix.
struct Posterior {
    means: Vec<f64>,
    global: f64,
    local: f64,
    /// The element between μ and each z.
    between: f64,
}

impl Posterior {
    fn of(measured: &[f64]) -> Self {
        let (local, spread) = (1.0 + ERROR.powi(-2), 1.0 + ERROR * ERROR);
        let mean = measured.iter().sum::<f64>() / (spread / (PRIOR * PRIOR) + GROUPS as f64);
        let means = measured.iter().map(|y| (mean + y / (ERROR * ERROR)) / local);
        let global = PRIOR.powi(-2) + GROUPS as f64;
        Self { means: [mean].into_iter().chain(means).collect(), global, local, between: -1.0 }
    }

    /// The independent posteriors with the least divergence: the right means, and the inverse precisions as variances.
    fn best(&self) -> Result<Parameters<f64>, Box<dyn Error>> {
        let mut parameters = Parameters::new();
        parameters.insert(PARAMETERS[0], Tensor::scalar(self.means[0]))?;
        parameters.insert(PARAMETERS[1], Tensor::scalar(-0.5 * self.global.ln()))?;
        parameters.insert(PARAMETERS[2], Tensor::from(self.means[1..].to_vec()))?;
        parameters.insert(PARAMETERS[3], Tensor::full([GROUPS], -0.5 * self.local.ln()))?;
        Ok(parameters)
    }

    /// The divergence of independent posteriors from the exact one, which is the evidence minus its lower bound.
    fn divergence(&self, parameters: &Parameters<f64>) -> f64 {
        let values = |names: [&str; 2]| {
            let each = names.map(|name| parameters.get(name).expect("a parameter of the model").as_slice());
            each.concat()
        };
        let (means, deviations) = (values([PARAMETERS[0], PARAMETERS[2]]), values([PARAMETERS[1], PARAMETERS[3]]));
        let off: Vec<f64> = means.iter().zip(&self.means).map(|(mean, exact)| mean - exact).collect();
        let precision = |i: usize| if i == 0 { self.global } else { self.local };
        let own = |i: usize| precision(i) * ((2.0 * deviations[i]).exp() + off[i] * off[i]) - 2.0 * deviations[i] - 1.0;
        let terms: f64 = (0..=GROUPS).map(own).sum();
        let count = GROUPS as f64;
        let determinant = self.global - count * self.between.powi(2) / self.local;
        let cross = 2.0 * self.between * off[0] * off[1..].iter().sum::<f64>();
        0.5 * (terms + cross - count * self.local.ln() - determinant.ln())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, steps, seed, out } = Arguments::parse();
    let (steps, evaluations) = if quick { (200, 50) } else { (steps, 1000) };
    let mut measured = vec![0.0; GROUPS];
    Key::new(0, 0, address_hash("measured", &[])).normal(0, &mut measured);
    measured.iter_mut().for_each(|y| *y = 1.0 + (1.0 + ERROR * ERROR).sqrt() * *y);
    let posterior = Posterior::of(&measured);
    let inputs = Inputs::new().batch("measured", Tensor::from(measured));
    let best = posterior.best()?;
    let least = posterior.divergence(&best);

    let (scaled, seed) = (OptimalBaseline::new(0.99).by_element(), Seed::new(seed));
    let plain = |samples: Plate| -> DynMethod<f64, Normal<Id>> { Arc::new(ScoreFunction::new().on_plate(samples)) };
    let leave_one_out = |samples: Plate| -> DynMethod<f64, Normal<Id>> {
        Arc::new(ScoreFunction::new().on_plate(samples).baseline(LeaveOneOut))
    };
    let path = |samples: Plate| -> DynMethod<f64, Normal<Id>> { Arc::new(Pathwise::new().on_plate(samples)) };
    let scaled = |samples: Plate| -> DynMethod<f64, Normal<Id>> {
        Arc::new(ScoreFunction::new().on_plate(samples).baseline(scaled.clone()))
    };
    let methods: [(_, _, Method<'_>); 5] = [
        ("plain", Nodes::One, &plain),
        ("Rao-Blackwellised", Nodes::Each, &plain),
        ("Rao-Blackwellised, optimally scaled", Nodes::Each, &scaled),
        ("Rao-Blackwellised, leave-one-out", Nodes::Each, &leave_one_out),
        ("pathwise", Nodes::Each, &path),
    ];
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    let columns = PARAMETERS.map(|name| format!("variance, {name}"));
    table.set_header(["method".into()].into_iter().chain(columns).chain(["divergence above the least".into()]));
    let (mut results, mut curves, mut variances) = (serde_json::Map::new(), Vec::<Line>::new(), Vec::<Line>::new());
    for (name, nodes, method) in methods {
        let mut step = Step::new(|handle: &Record<'_, '_, f64>| record(handle, nodes, method));
        let mut parameters = best.clone();
        for name in PARAMETERS {
            let zeros = Tensor::zeros(parameters.get(name).ok_or("a parameter")?.shape().clone());
            parameters.set(name, zeros)?;
        }
        let mut adam = Adam::new(Schedule::cosine(0.05, 0.0, steps));
        let (mut curve, mut variance) = (Vec::new(), Vec::new());
        for number in 0..steps {
            if number % (steps / 50) == 0 {
                curve.push((number as f64, posterior.divergence(&parameters) - least));
                let measure = GradientVariance::of(["local means"]).evaluations(20);
                let values = measure.measure(&mut step, &parameters, &inputs, seed.step(number as usize))?;
                variance.push((number as f64, values[0].1));
            }
            step.train(&mut parameters, &mut adam, &inputs, seed.step(number as usize))?;
        }
        let last = posterior.divergence(&parameters) - least;
        // At the best parameters. The baselines of the last steps are those there, or nearly so.
        let measure = GradientVariance::of(PARAMETERS).evaluations(evaluations);
        let values = measure.measure(&mut step, &best, &inputs, Seed::new(1))?;
        let cells = values.iter().map(|(_, value)| format!("{value:.3e}"));
        table.add_row([name.to_owned()].into_iter().chain(cells).chain([format!("{last:.2e}")]));
        let entries = values.into_iter().chain([("divergence above the least".to_owned(), last)]);
        results.insert(name.into(), entries.map(|(entry, value)| (entry, json!(value))).collect());
        curves.push((name.into(), curve));
        variances.push((name.into(), variance));
    }
    println!("variance of gradients of {SAMPLES} samples at the best parameters, and the result of training\n{table}");
    println!("the least divergence of independent posteriors from the exact one is {least:.4}");
    fs::create_dir_all(&out)?;
    results.insert("least divergence".into(), json!(least));
    fs::write(out.join("summary.json"), format!("{:#}\n", json!({ "results": results })))?;

    let path = out.join("comparison.svg");
    let area = SVGBackend::new(&path, (1120, 440)).into_drawing_area();
    area.fill(&WHITE)?;
    let panels = area.split_evenly((1, 2));
    let axes = [Axis::Linear("step"), Axis::Log("")];
    let marks = Marks { legend: Some(SeriesLabelPosition::MiddleRight), ..Marks::default() };
    draw_lines(&panels[0], "variance of the gradient (local means)", axes, &variances, marks)?;
    draw_lines(&panels[1], "divergence above the least", axes, &curves, Marks::default())?;
    area.present()?;
    println!("pictures and results are in {}", out.display());
    Ok(())
}
