//! Tuning Monte Carlo: derivatives of whole simulations with respect to their parameters. Options with jumps in the payoff
//! and the waiting times of a queue, by perturbation analysis, likelihood ratios, weak derivatives and differences,
//! against known derivatives (Glasserman and Ho 1991; Fu 2005).
//!
//! `cargo run --release --example tuning_monte_carlo` takes a minute, `-- --quick` some seconds.

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
use stochgrad::distributions::{Gamma, LogNormal};
use stochgrad::estimators::SmoothedPerturbation;
use stochgrad::graph::{DynMethod, GraphResult};
use stochgrad::nn::{CostDifferences, Inputs, Parameters};
use stochgrad::prelude::*;
use stochgrad::tape::{Id, Plate};
use stochgrad_examples::chart::{Axis, Line, Marks, draw_lines};

/// The share, in years and per year.
const START: f64 = 100.0;
const VOLATILITY: f64 = 0.25;
const RATE: f64 = 0.03;
const TIME: f64 = 0.75;
const STRIKE: f64 = 105.0;
const BARRIER: f64 = 90.0;
/// Customers per unit of time that arrive. The server serves one per unit of time on average.
const ARRIVALS: f64 = 0.7;
/// The independent simulations of one recording.
const PATHS: usize = 500;

/// Estimates derivatives of simulations.
#[derive(Parser)]
struct Arguments {
    /// Make few simulations.
    #[arg(long)]
    quick: bool,
    /// The seed of the simulations.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for results and pictures.
    #[arg(long, default_value = "out/tuning_monte_carlo")]
    out: PathBuf,
}

/// A claim: whether it pays 1 (and not the excess) if the share ends above the strike, the dates at which it becomes
/// worthless if the share is below the barrier, and its derivatives with respect to start and volatility.
type Claim = (&'static str, bool, usize, [f64; 2]);

const CLAIMS: [Claim; 4] = [
    ("call", false, 1, [0.4947437319, 34.54641612]),
    ("digital", true, 1, [0.01754738596, 0.02002271968]),
    ("barrier call", false, 10, [0.5602918527, 25.55335055]),
    ("barrier digital", true, 10, [0.02277541026, -0.4935786612]),
];

type OfShare = fn(Plate) -> DynMethod<f64, LogNormal<Id>>;

const METHODS: [(&str, OfShare); 4] = [
    ("pathwise", |plate| Arc::new(Pathwise::new().on_plate(plate))),
    ("smoothed perturbation", |plate| Arc::new(SmoothedPerturbation::new().on_plate(plate))),
    ("weak derivative", |plate| Arc::new(MeasureValued::new().on_plate(plate))),
    ("likelihood ratio", |plate| Arc::new(ScoreFunction::new().on_plate(plate))),
];

/// Records the discounted payoff of a claim. The parameters are logarithms, so that one step suits both.
fn claim(record: &Record<'_, '_, f64>, &(_, is_digital, dates, _): &Claim, method: OfShare) -> GraphResult<()> {
    let paths = record.graph().plate("paths", PATHS)?;
    let (start, volatility) = (record.param("log start")?, record.param("log volatility")?.exp());
    let (strike, barrier) = (record.constant(STRIKE), record.constant(BARRIER));
    let step = TIME / dates as f64;
    let (mut log_share, mut alive, mut share) = (start, record.constant(1.0), start.exp());
    for date in 0..dates {
        let next = LogNormal::new(log_share + (RATE - volatility.square() * 0.5) * step, volatility * step.sqrt());
        share = record.sample(("share", date), &next, &method(paths))?;
        log_share = share.ln();
        if dates > 1 {
            alive = alive * share.gt(barrier);
        }
    }
    let payoff = if is_digital { share.gt(strike) } else { (share - strike).relu() };
    record.cost("price", payoff * alive * (-RATE * TIME).exp())
}

type OfTime = fn(Plate) -> DynMethod<f64, Gamma<Id>>;

const OF_TIMES: [(&str, OfTime); 3] = [
    ("pathwise", |plate| Arc::new(Pathwise::new().on_plate(plate))),
    ("weak derivative", |plate| Arc::new(MeasureValued::new().on_plate(plate))),
    ("likelihood ratio", |plate| Arc::new(ScoreFunction::new().on_plate(plate))),
];

/// Records the mean wait of the first customers of a queue. Times between arrivals have three exponential stages, and
/// services two.
fn queue(record: &Record<'_, '_, f64>, customers: usize, method: OfTime) -> GraphResult<()> {
    let paths = record.graph().plate("paths", PATHS)?;
    let service = Gamma::new(record.constant(2.0), record.param("service rate")? * 2.0);
    let gap = Gamma::new(record.constant(3.0), 3.0 * ARRIVALS);
    let (mut wait, mut total) = (record.constant(0.0), record.constant(0.0));
    for customer in 1..customers {
        let service = record.sample(("service", customer), &service, &method(paths))?;
        let gap = record.sample(("gap", customer), &gap, &method(paths))?;
        wait = (wait + service - gap).relu(); // Lindley's recursion
        total = total + wait;
    }
    record.cost("mean wait", total * (1.0 / customers as f64))
}

/// The moments of derivatives of simulations, and the microseconds for one path.
struct Measured {
    moments: SampleMoments,
    microseconds: f64,
}

/// Measures gradients of a model, which `differences` estimates if given, and else the methods of the model.
fn measure<'m>(
    model: impl Fn(&Record<'_, '_, f64>) -> GraphResult<()> + 'm,
    parameters: &Parameters<f64>,
    differences: Option<CostDifferences>,
    (runs, seed): (usize, u64),
) -> Result<Measured, Box<dyn Error>> {
    let mut step = Step::new(model);
    let mut run = |number: u64| -> GraphResult<Vec<f64>> {
        let (seed, inputs) = (Seed::new(seed).step(number as usize), Inputs::new());
        let own;
        let gradients = match differences {
            Some(differences) => {
                own = differences.gradient(&mut step, parameters, &inputs, seed)?;
                &own
            }
            None => &*step.run(parameters, &inputs, seed)?,
        };
        parameters.names().map(|name| gradients.get(name)?.item().map_err(Into::into)).collect()
    };
    run(0)?; // an error of the method is one of its first run, which also compiles the model
    let clock = Instant::now();
    let moments = StatisticalTest::new().runs(runs).sample(|number| run(number).expect("a derivative"))?;
    let microseconds = 1e6 * clock.elapsed().as_secs_f64() / (runs * PATHS) as f64;
    Ok(Measured { moments, microseconds })
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(header);
    table
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, seed, out } = Arguments::parse();
    let runs = if quick { 20 } else { 400 };
    let mut results = serde_json::Map::new();

    let mut parameters = Parameters::new();
    parameters.insert_all([("log start", START.ln().into()), ("log volatility", VOLATILITY.ln().into())])?;
    let scales = [START, VOLATILITY];
    let mut options = table(&["claim", "method", "delta", "vega", "variance: delta", "vega", "µs for a path"]);
    let mut refusal = None;
    for of in &CLAIMS {
        let &(name, .., exact) = of;
        options.add_row([name.into(), "exact".into(), format!("{:.5}", exact[0]), format!("{:.4}", exact[1])]);
        let differences = [("differences, h = 0.02", METHODS[0].1, Some(CostDifferences::central(0.02)))];
        for (method_name, method, differences) in
            METHODS.map(|(name, method)| (name, method, None)).into_iter().chain(differences)
        {
            let model = |record: &Record<'_, '_, f64>| claim(record, of, method);
            let Measured { moments, microseconds } = match measure(model, &parameters, differences, (runs, seed)) {
                Ok(measured) => measured,
                Err(error) => {
                    options.add_row([name, method_name, "refused"]);
                    refusal.get_or_insert(error.to_string());
                    continue;
                }
            };
            let mean = [0, 1].map(|at| moments.mean[at] / scales[at]);
            let error = [0, 1].map(|at| moments.standard_error(at) / scales[at]);
            let variance = [0, 1].map(|at| moments.variance[at] * PATHS as f64 / scales[at].powi(2));
            options.add_row([
                name.to_owned(),
                method_name.to_owned(),
                format!("{:.5} ± {:.5}", mean[0], error[0]),
                format!("{:.4} ± {:.4}", mean[1], error[1]),
                format!("{:.3e}", variance[0]),
                format!("{:.3e}", variance[1]),
                format!("{microseconds:.2}"),
            ]);
            let result = json!({ "mean": mean, "error": error, "variance": variance, "exact": exact });
            results.insert(format!("{name}, {method_name}"), result);
        }
    }
    println!("{options}\nrefused: {}\n", refusal.unwrap_or_default());

    // Differences of the digital option: the bias grows with the step, and the variance falls.
    let digital = &CLAIMS[1];
    let mut curves: [Vec<(f64, f64)>; 2] = Default::default();
    for h in [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4] {
        let model = |record: &Record<'_, '_, f64>| claim(record, digital, METHODS[0].1);
        let Measured { moments, .. } = measure(model, &parameters, Some(CostDifferences::central(h)), (runs, seed))?;
        let bias = moments.mean[0] / START - digital.3[0];
        let variance = moments.variance[0] * PATHS as f64 / START.powi(2);
        curves[0].push((h, bias * bias));
        curves[1].push((h, variance / 1e4));
        results.insert(format!("digital, h = {h}"), json!({ "bias": bias, "variance": variance }));
    }
    let [bias, variance] = curves;
    let errors: Vec<Line> = vec![("squared bias".into(), bias), ("variance of 10 000 paths".into(), variance)];

    let mut parameters = Parameters::new();
    parameters.insert("service rate", 1.0.into())?;
    let mut waits = table(&["customers", "method", "derivative of the mean wait", "exact", "variance of a path"]);
    let mut lines: Vec<Line> = OF_TIMES.iter().map(|(name, _)| ((*name).into(), Vec::new())).collect();
    for (customers, exact) in [(2, -0.2614283935), (10, f64::NAN), (25, f64::NAN), (50, -3.196612988)] {
        for ((name, method), (_, points)) in OF_TIMES.iter().zip(&mut lines) {
            let model = |record: &Record<'_, '_, f64>| queue(record, customers, *method);
            let Measured { moments, .. } = measure(model, &parameters, None, (runs / 2, seed))?;
            let (mean, error) = (moments.mean[0], moments.standard_error(0));
            let variance = moments.variance[0] * PATHS as f64;
            points.push((customers as f64, variance));
            if exact.is_finite() {
                let cells = [format!("{mean:.4} ± {error:.4}"), format!("{exact:.4}"), format!("{variance:.3}")];
                waits.add_row([customers.to_string(), (*name).into()].into_iter().chain(cells));
                let result = json!({ "mean": mean, "error": error, "variance": variance, "exact": exact });
                results.insert(format!("{customers} customers, {name}"), result);
            }
        }
    }
    println!("{waits}");

    fs::create_dir_all(&out)?;
    fs::write(out.join("summary.json"), format!("{:#}\n", json!({ "results": results })))?;
    let path = out.join("derivatives.svg");
    let area = SVGBackend::new(&path, (1120, 440)).into_drawing_area();
    area.fill(&WHITE)?;
    let panels = area.split_evenly((1, 2));
    let legend = |position| Marks { legend: Some(position), points: true, reference: None };
    let axes = [Axis::Log("step of the difference"), Axis::Log("error of delta")];
    draw_lines(&panels[0], "digital option", axes, &errors, legend(SeriesLabelPosition::LowerMiddle))?;
    let axes = [Axis::Log("customers"), Axis::Log("variance of a path")];
    draw_lines(&panels[1], "derivative of the mean wait", axes, &lines, legend(SeriesLabelPosition::UpperLeft))?;
    area.present()?;
    println!("pictures and results are in {}", out.display());
    Ok(())
}
