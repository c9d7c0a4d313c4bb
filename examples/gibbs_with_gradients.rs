//! Gibbs with gradients (Grathwohl et al. 2021): a sampler of discrete variables that proposes changes by the gradient
//! of the log-density, against Gibbs sampling, on an Ising model whose magnetisation is known exactly.
//!
//! `cargo run --release --example gibbs_with_gradients` takes some seconds, `-- --quick` less.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use comfy_table::{Table, presets};
use plotters::prelude::*;
use serde_json::json;
use stochgrad::graph::GraphResult;
use stochgrad::nn::{Inputs, Parameters};
use stochgrad::prelude::*;
use stochgrad_examples::chains::mixing;
use stochgrad_examples::chart::{Axis, Line, Marks, draw_lines};

/// The density of the spins s = ±1 of a square with free boundaries is exp(β Σ s s' + h Σ s), the first sum over
/// neighbours.
const SIDE: usize = 4;
const SITES: usize = SIDE * SIDE;
const FIELD: f64 = 0.1;
const COUPLINGS: [f64; 2] = [0.3, 0.5];

/// Samples an Ising model.
#[derive(Parser)]
struct Arguments {
    /// Use fewer chains.
    #[arg(long)]
    quick: bool,
    /// The number of chains.
    #[arg(long, default_value_t = 1200)]
    chains: usize,
    /// The number of steps of a chain.
    #[arg(long, default_value_t = 3000)]
    steps: usize,
    /// The seed of the chains.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for results and pictures.
    #[arg(long, default_value = "out/gibbs_with_gradients")]
    out: PathBuf,
}

/// The pairs of neighbours.
fn pairs() -> impl Iterator<Item = (usize, usize)> {
    let right = (0..SITES).filter(|site| site % SIDE + 1 < SIDE).map(|site| (site, site + 1));
    right.chain((0..SITES - SIDE).map(|site| (site, site + SIDE)))
}

/// Records ln Z, whose derivative with respect to h is the expected sum of the spins: the spins are enumerated.
fn exact(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let (coupling, field) = (record.param("coupling")?, record.param("field")?);
    let fair = Bernoulli::from_logits(record.constant(0.0));
    let bits = (0..SITES).map(|site| record.sample(("spin", site), &fair, &Enumerate::new()));
    let spins = bits.map(|bit| Ok(bit? * 2.0 - 1.0)).collect::<GraphResult<Vec<_>>>()?;
    for (site, &spin) in spins.iter().enumerate() {
        record.factor(&format!("field {site}"), field * spin)?;
    }
    for (number, (i, j)) in pairs().enumerate() {
        record.factor(&format!("pair {number}"), coupling * spins[i] * spins[j])?;
    }
    record.cost("ln Z", record.log_evidence()? + SITES as f64 * std::f64::consts::LN_2)
}

/// The log-density of the spins without its constant, and its gradient.
fn log_density<'t>(record: &Record<'_, 't, f64>, spins: Var<'t, f64>) -> GraphResult<(Var<'t, f64>, Var<'t, f64>)> {
    let mut neighbours = vec![0.0; SITES * SITES];
    pairs().for_each(|(i, j)| neighbours[i * SITES + j] = 1.0);
    let neighbours = record.constant(Tensor::from_fn([SITES, SITES], |at| neighbours[at]));
    let coupled = spins.dot(neighbours.matmul(spins)) * record.param("coupling")?;
    let value = coupled + spins.sum() * record.param("field")?;
    let [gradient] = record.tape().grad(value.sum_over(spins.plates()[0]), [spins])?;
    Ok((value, gradient))
}

#[derive(Clone, Copy, PartialEq)]
enum Sampler {
    /// A random site is drawn from its distribution given the others.
    Gibbs,
    /// A site is proposed where a flip promises to raise the density, and the flip is accepted or not.
    Gradients,
}

/// Records a step of chains: their next spins.
fn transition(record: &Record<'_, '_, f64>, sampler: Sampler) -> GraphResult<()> {
    let spins = record.input("spins")?;
    let method = ScoreFunction::new();
    let (value, gradient) = log_density(record, spins)?;
    let zeros = spins * 0.0;
    let (site, chance) = match sampler {
        Sampler::Gibbs => {
            let site = record.sample("site", &Categorical::from_logits(zeros), &method)?.one_hot(SITES);
            // The log-odds of a flip: the density is affine in each spin.
            (site, (-2.0 * spins * gradient * site).sum().sigmoid())
        }
        Sampler::Gradients => {
            // The first-order change of the log-density by each flip, halved.
            let proposals = Categorical::from_logits(-spins * gradient);
            let site = record.sample("site", &proposals, &method)?;
            let flipped = spins * (1.0 - 2.0 * site.one_hot(SITES));
            let (there, back) = log_density(record, flipped)?;
            let back = Categorical::from_logits(-flipped * back).log_prob(site);
            let ratio = there - value + back - proposals.log_prob(site);
            (site.one_hot(SITES), ratio.minimum(record.constant(0.0)).exp())
        }
    };
    let flips = record.sample("flip", &Bernoulli::from_probabilities(chance), &method)?;
    record.output("flips", flips)?;
    record.output("spins", spins * (1.0 - 2.0 * flips.unsqueeze(-1) * site))
}

/// The magnetisation (the mean spin) of each chain at each step, and the mean number of flips of a step.
struct Run {
    magnetisation: Vec<Vec<f64>>,
    flips: f64,
    seconds: f64,
}

impl Run {
    fn of(
        parameters: &Parameters<f64>,
        sampler: Sampler,
        arguments: &Arguments,
        chains: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let mut step = Step::new(|handle: &Record<'_, '_, f64>| transition(handle, sampler));
        let mut inputs = Inputs::new().batch("spins", Tensor::full([chains, SITES], -1.0));
        let (mut magnetisation, mut flips) = (Vec::new(), 0.0);
        let start = Instant::now();
        for number in 0..arguments.steps {
            let outputs = step.predict(parameters, &inputs, Seed::new(arguments.seed).step(number))?;
            let spins = outputs.get("spins")?;
            magnetisation.push(spins.as_slice().chunks(SITES).map(|s| s.iter().sum::<f64>() / SITES as f64).collect());
            flips += outputs.get("flips")?.as_slice().iter().sum::<f64>() / (chains * arguments.steps) as f64;
            *inputs.get_mut("spins").ok_or("there are no spins")? = spins.clone();
        }
        Ok(Self { magnetisation, flips, seconds: start.elapsed().as_secs_f64() })
    }

    /// The mean over the chains after each step.
    fn course(&self) -> Vec<f64> {
        self.magnetisation.iter().map(|of| of.iter().sum::<f64>() / of.len() as f64).collect()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let chains = if arguments.quick { 100 } else { arguments.chains };
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(["β", "sampler", "mean spin", "exact", "flips per step", "autocorrelation time", "µs"]);
    let mut results = serde_json::Map::new();
    fs::create_dir_all(&arguments.out)?;
    let path = arguments.out.join("mixing.svg");
    let area = SVGBackend::new(&path, (1120, 860)).into_drawing_area();
    area.fill(&WHITE)?;
    let panels = area.split_evenly((2, 2));
    for (index, coupling) in COUPLINGS.into_iter().enumerate() {
        let mut parameters = Parameters::new();
        parameters.insert("coupling", Tensor::scalar(coupling))?;
        parameters.insert("field", Tensor::scalar(FIELD))?;
        let mut step = Step::new(exact);
        let derivatives = step.run(&parameters, &Inputs::new(), Seed::new(0))?;
        let mean = derivatives.get("field")?.item()? / SITES as f64;
        let (mut courses, mut correlations) = (Vec::<Line>::new(), Vec::<Line>::new());
        for (name, sampler) in [("Gibbs", Sampler::Gibbs), ("Gibbs with gradients", Sampler::Gradients)] {
            let run = Run::of(&parameters, sampler, &arguments, chains)?;
            let course = run.course();
            let second_half = &course[course.len() / 2..];
            let found = second_half.iter().sum::<f64>() / second_half.len() as f64;
            let (lags, time) = mixing(&run.magnetisation[course.len() / 2..], mean);
            let micros = 1e6 * run.seconds / (arguments.steps * chains) as f64;
            let cells = [coupling.to_string(), name.into(), format!("{found:.4}"), format!("{mean:.4}")];
            let others = [format!("{:.3}", run.flips), format!("{time:.1}"), format!("{micros:.2}")];
            table.add_row(cells.into_iter().chain(others));
            let result = json!({ "mean spin": found, "exact": mean, "autocorrelation time": time, "flips": run.flips });
            results.insert(format!("{name}, coupling {coupling}"), result);
            courses.push((name.into(), (1..).map(f64::from).zip(course.into_iter().take(200)).collect()));
            correlations.push((name.into(), (0..).map(f64::from).zip(lags).collect()));
        }
        let title = format!("from all spins down, β = {coupling}");
        let legend = Some(SeriesLabelPosition::LowerRight);
        let marks = Marks { reference: Some(("exact", mean)), legend, points: false };
        draw_lines(&panels[index], &title, [Axis::Linear("step"), Axis::Linear("mean spin")], &courses, marks)?;
        let axes = [Axis::Linear("steps"), Axis::Log("autocorrelation")];
        let title = "autocorrelation of the mean spin";
        draw_lines(&panels[2 + index], title, axes, &correlations, Marks::default())?;
    }
    println!("{table}");
    fs::write(arguments.out.join("summary.json"), format!("{:#}\n", json!({ "results": results })))?;
    area.present()?;
    drop(panels);
    println!("pictures and results are in {}", arguments.out.display());
    Ok(())
}
