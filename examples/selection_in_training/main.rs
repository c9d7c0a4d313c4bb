//! Five models are trained with fixed gradient methods, and with methods that the lab chooses again and again in the
//! course of the training: which run has the lower loss after the same time?
//!
//! `cargo run --release --example selection_in_training` takes minutes, `-- --quick` some seconds.

mod models;

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use comfy_table::{Table, presets};
use cpu_time::ThreadTime;
use plotters::prelude::*;
use serde_json::{Map, Value, json};
use stochgrad::distributions::Family;
use stochgrad::graph::MethodReplacements;
use stochgrad::lab::{Candidate, Criterion, Lab, Reselect, Selection};
use stochgrad::nn::{Adam, Parameters};
use stochgrad::prelude::*;
use stochgrad::train::evaluation::mean_cost;
use stochgrad::train::source::MinibatchIter;
use stochgrad::train::{Epoch, Source};
use stochgrad_examples::chart::{Axis, Line, Marks, draw_lines};

use models::{Name, Problem};

/// The number of evaluations of a run, and of those of the run that chooses, which goes on for a quarter longer.
const POINTS: usize = 60;
const LONGER: usize = 75;
/// The seconds of a run before it is the turn of the next one.
const SLICE: f64 = 0.02;
/// The seed of the evaluations.
const TEST: Seed = Seed { seed: 0x7e57, step: 0 };

/// Compares training with fixed gradient methods and with methods that are chosen again and again.
#[derive(Parser)]
struct Arguments {
    /// Train each run for a tenth of a second.
    #[arg(long)]
    quick: bool,
    /// The models: all of them by default.
    #[arg(long, value_enum)]
    model: Vec<Name>,
    /// The seconds of the processor that each run gets.
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// The seed of the weights, the minibatches and the samples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for results and pictures.
    #[arg(long, default_value = "out/selection_in_training")]
    out: PathBuf,
}

/// A training run, with its time and the losses so far.
struct Run<'p> {
    name: String,
    problem: &'p Problem,
    step: Step<'p, f32>,
    reselect: Option<Reselect<'p, f32>>,
    parameters: Parameters<f32>,
    adam: Adam<f32>,
    batches: MinibatchIter<'p, f32>,
    epochs: u64,
    steps: usize,
    seconds: f64,
    /// The part of the seconds in which methods were chosen.
    choosing: f64,
    curve: Vec<(f64, f64)>,
    choices: Vec<Value>,
}

impl<'p> Run<'p> {
    fn new(name: &str, problem: &'p Problem) -> Self {
        Run {
            name: name.into(),
            problem,
            step: Step::new(&*problem.model),
            reselect: None,
            parameters: problem.parameters.clone(),
            adam: Adam::new(problem.rate),
            batches: Box::new(std::iter::empty()),
            epochs: 0,
            steps: 0,
            seconds: 0.0,
            choosing: 0.0,
            curve: Vec::new(),
            choices: Vec::new(),
        }
    }

    /// Trains until the run has had a number of seconds of the processor, in which its choices count.
    fn train(&mut self, seed: u64, until: f64) -> Result<(), Box<dyn Error>> {
        let (start, before) = (ThreadTime::now(), self.seconds);
        while self.seconds < until {
            let Some(inputs) = self.batches.next().transpose()? else {
                let epoch = Epoch { drops_last: true, ..Epoch::shuffled(self.epochs, self.problem.batch, seed) };
                (self.batches, self.epochs) = (self.problem.data.minibatches(epoch)?, self.epochs + 1);
                continue;
            };
            if let Some(reselect) = &mut self.reselect {
                let start = ThreadTime::now();
                let selection = reselect.before(self.steps as u64, &self.parameters, &inputs)?;
                self.choosing += start.elapsed().as_secs_f64();
                if let Some(selection) = selection {
                    self.choices.push(json!({ "seconds": self.seconds, "methods": selection.code() }));
                    self.step = Step::new(&*self.problem.model).replace_methods(selection.replacements);
                }
            }
            self.step.train(&mut self.parameters, &mut self.adam, &inputs, Seed::new(seed).step(self.steps))?;
            self.steps += 1;
            self.seconds = before + start.elapsed().as_secs_f64();
        }
        Ok(())
    }

    /// The mean of the last three losses at each evaluation.
    fn smooth(&self) -> Vec<(f64, f64)> {
        let mean = |w: &[(f64, f64)]| (w[w.len() - 1].0, w.iter().map(|point| point.1).sum::<f64>() / w.len() as f64);
        self.curve.windows(3).map(mean).collect()
    }

    /// The time at which the loss is at most a level.
    fn reaches(&self, level: f64) -> Option<f64> {
        self.smooth().iter().find(|point| point.1 <= level).map(|point| point.0)
    }
}

/// Nodes, and the methods that each of them may have.
type Choice<D> = (&'static [&'static str], fn() -> Vec<Candidate<f32, D>>);

/// The settings, and the results so far.
struct Study {
    arguments: Arguments,
    panels: Vec<(String, Vec<Line>)>,
    results: Map<String, Value>,
}

impl Study {
    /// Trains a model with each of some methods at all of some nodes, and with methods that are chosen for each node.
    fn add<D: Family<f32>>(
        &mut self,
        label: &str,
        problem: &Problem,
        (nodes, methods): Choice<D>,
    ) -> Result<(), Box<dyn Error>> {
        let Arguments { quick, seed, .. } = self.arguments;
        let seconds = if quick { 0.1 } else { self.arguments.seconds };
        let select = |lab: &Lab<'_, f32>, repetitions: u64, sweeps: usize| {
            let select = nodes.iter().fold(lab.select(), |select, &node| select.node(node, methods()));
            select.criterion(Criterion::RootMeanSquareTime).repetitions(repetitions).sweeps(sweeps).run()
        };
        let mut runs = Vec::new();
        for method in methods() {
            let mut run = Run::new(method.label(), problem);
            let replaced = nodes.iter().fold(MethodReplacements::new(), |all, &node| method.replace(all, &node.into()));
            run.step = Step::new(&*problem.model).replace_methods(replaced);
            runs.push(run);
        }
        let mut chooses = Run::new("chosen again and again", problem);
        chooses.reselect = Some(Reselect::new(&*problem.model, |lab| select(lab, 128, 1)).seed(Seed::new(seed)));
        runs.push(chooses);

        // All runs take turns, so that they see the same machine.
        let mut evaluation = Step::new(&*problem.model);
        let slices = (seconds / POINTS as f64 / SLICE).ceil();
        for point in 0..=LONGER {
            let running = if point <= POINTS { 0.. } else { runs.len() - 1.. };
            for slice in 1..=slices as usize {
                let until = seconds / POINTS as f64 * (point as f64 - 1.0 + slice as f64 / slices);
                runs[running.clone()].iter_mut().try_for_each(|run| run.train(seed, until))?;
            }
            for run in &mut runs[running] {
                let loss = mean_cost(&mut evaluation, &run.parameters, &problem.data, 500, TEST)?;
                run.curve.push((run.seconds, loss));
            }
        }
        self.report(label, &runs)?;

        // What the lab finds at the parameters that were learned.
        let learned = &runs[runs.len() - 1].parameters;
        let minibatch =
            problem.data.minibatches(Epoch::shuffled(0, problem.batch, !seed))?.next().ok_or("no data")??;
        let overhead = runs[runs.len() - 1].reselect.as_ref().map(Reselect::overhead).unwrap_or_default();
        let lab = Lab::new(&*problem.model, learned, &minibatch).seed(Seed::new(!seed)).overhead(overhead);
        let repetitions = if quick { 64 } else { 2000 };
        let compare = nodes.iter().fold(lab.compare(), |compare, &node| compare.node(node, methods()));
        let comparison = compare.repetitions(repetitions).run()?;
        let selection: Selection<f32> = select(&lab, repetitions, 3)?;
        println!("at the learned parameters:\n{comparison}{selection}");
        let out = &self.arguments.out;
        fs::write(out.join(format!("{label}_comparison.html")), comparison.to_html(label)?)?;
        fs::write(out.join(format!("{label}_selection.html")), selection.to_html(label)?)?;
        self.results[label]["selection"] = selection.to_json();
        Ok(())
    }

    /// Writes the curves of a model, and when each run reaches the loss at which the best fixed choice ends.
    fn report(&mut self, label: &str, runs: &[Run<'_>]) -> Result<(), Box<dyn Error>> {
        let mut file = fs::File::create(self.arguments.out.join(format!("{label}.csv")))?;
        writeln!(file, "run,seconds,loss")?;
        for (run, (seconds, loss)) in runs.iter().flat_map(|run| run.curve.iter().map(move |point| (run, point))) {
            writeln!(file, "\"{}\",{seconds},{loss}", run.name)?;
        }
        let last = |run: &Run<'_>| run.smooth()[POINTS - 2].1;
        let fixed = || runs[..runs.len() - 1].iter().map(last);
        let level = fixed().fold(f64::INFINITY, f64::min);
        let nearly = level + 0.01 * (runs[0].curve[0].1 - level);
        let mut table = Table::new();
        table.load_preset(presets::ASCII_MARKDOWN);
        table.set_header(["run", "steps", "loss at the end", "s to the best fixed loss", "s to 99 % of the way"]);
        let mut results = Map::new();
        for run in runs {
            let times = [level, nearly].map(|level| run.reaches(level));
            let seconds = times.map(|time| time.map_or("–".into(), |time| format!("{time:.2}")));
            let [steps, loss] = [run.steps.to_string(), format!("{:.4}", last(run))];
            table.add_row([&run.name, &steps, &loss, &seconds[0], &seconds[1]]);
            let value = json!({ "steps": run.steps, "loss": last(run), "seconds to the best fixed loss": times[0],
                "seconds to 99 % of the way": times[1], "choices": run.choices });
            results.insert(run.name.clone(), value);
        }
        let chooses = &runs[runs.len() - 1];
        let share = chooses.choosing / chooses.seconds;
        println!("{label}\n{table}\nchoices took {:.1} % of the time:", 100.0 * share);
        for choice in &chooses.choices {
            println!("after {:.2} s {}", choice["seconds"].as_f64().unwrap_or(0.0), choice["methods"]);
        }
        self.results.insert(label.into(), json!({ "runs": results, "share of choices": share }));

        let lowest = runs.iter().flat_map(|run| run.smooth()).map(|point| point.1).fold(f64::INFINITY, f64::min);
        let above = |run: &Run<'_>| run.smooth().into_iter().map(|(seconds, loss)| (seconds, loss - lowest)).collect();
        self.panels.push((label.into(), runs.iter().map(|run| (run.name.clone(), above(run))).collect()));
        Ok(())
    }

    fn draw(&self) -> Result<(), Box<dyn Error>> {
        let path = self.arguments.out.join("curves.svg");
        let rows = self.panels.len().div_ceil(2);
        let area = SVGBackend::new(&path, (1120, 400 * rows as u32)).into_drawing_area();
        area.fill(&WHITE)?;
        for (panel, (label, lines)) in area.split_evenly((rows, 2)).iter().zip(&self.panels) {
            let axes = [Axis::Log("seconds of the processor"), Axis::Log("loss above the lowest one")];
            let marks = Marks { legend: Some(SeriesLabelPosition::LowerLeft), ..Marks::default() };
            draw_lines(panel, label, axes, lines, marks)?;
        }
        Ok(area.present()?)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.out)?;
    let (seed, chosen) = (Seed::new(arguments.seed), arguments.model.clone());
    let mut study = Study { arguments, panels: Vec::new(), results: Map::new() };
    for &name in if chosen.is_empty() { Name::value_variants() } else { &chosen } {
        let label = name.to_possible_value().ok_or("a model without a name")?.get_name().to_owned();
        match name {
            Name::VaeBits => study.add(&label, &models::digits(seed, name)?, (&["z"], models::bits))?,
            Name::VaeCategories => study.add(&label, &models::digits(seed, name)?, (&["z"], models::categories))?,
            Name::BeliefNet => {
                study.add(&label, &models::digits(seed, name)?, (&["lower", "upper"], models::layers))?;
            }
            Name::RandomWalk => study.add(&label, &models::random_walk()?, (&["step"], models::steps))?,
            Name::LogisticRegression => {
                study.add(&label, &models::logistic_regression()?, (&["weights"], models::normals))?;
            }
        }
    }
    study.draw()?;
    let Study { arguments: Arguments { out, .. }, results, .. } = study;
    fs::write(out.join("summary.json"), format!("{:#}\n", json!({ "results": results })))?;
    println!("pictures and results are in {}", out.display());
    Ok(())
}
