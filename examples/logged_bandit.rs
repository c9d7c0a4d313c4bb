//! Learning from the log of another policy: a policy for handwritten digits is learned, and evaluated, from contexts,
//! actions, propensities and rewards alone. The labels, which the log lacks, give the exact values to compare with.
//!
//! `cargo run --release --example logged_bandit` takes half a minute, `-- --quick` some seconds.

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use comfy_table::{Table, presets};
use plotters::prelude::*;
use stochgrad::estimators::{ActionValueModel, LoggedAction, LoggedData, ValueEstimate, WeightDiagnostics};
use stochgrad::graph::GraphResult;
use stochgrad::nn::data::Digits;
use stochgrad::nn::{Activation, Adam, Initialization, Linear, Mlp, Parameters};
use stochgrad::prelude::*;
use stochgrad::tensor::random::Key;
use stochgrad::train::Trainer;
use stochgrad::train::evaluation::predictions;
use stochgrad::train::output::add_results;
use stochgrad::train::source::Tensors;
use stochgrad_examples::chart::{Axis, Line, Marks, draw_lines};

const PIXELS: usize = 64;
/// The actions are the ten classes; the reward is 1 for the class of the image, and 0 for any other.
const CLASSES: usize = 10;
/// The probability with which the logging policy chooses any class, and the labels that it was trained with.
const EXPLORATION: f64 = 0.3;
const LABELS: usize = 100;
/// The limit of truncated weights.
const LIMIT: f64 = 5.0;
const CONFIDENCE: f64 = 0.95;

/// Learns and evaluates policies from a log of another policy.
#[derive(Parser)]
struct Arguments {
    /// Use small logs, and few of them.
    #[arg(long)]
    quick: bool,
    /// The number of decisions in the log that is learned from, and in the log that policies are evaluated with.
    #[arg(long, default_value_t = 5000)]
    decisions: usize,
    /// The number of logs of each size with which the errors of the estimators are measured.
    #[arg(long, default_value_t = 100)]
    logs: u64,
    /// The seed of the initial weights, minibatches and logs.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for metrics and pictures.
    #[arg(long, default_value = "out/logged_bandit")]
    out: PathBuf,
}

type Estimator = for<'t> fn(LoggedData<'_, 't, f32>, Var<'t, f32>) -> GraphResult<Var<'t, f32>>;

/// The contribution of each decision; the second argument is on the plate of the log.
const ESTIMATORS: [(&str, Estimator); 4] = [
    ("inverse propensity", |log, _| log.inverse_propensity()),
    ("self-normalised", |log, reward| log.self_normalized(reward.plates()[0])),
    ("doubly robust", |log, _| log.doubly_robust()),
    ("truncated", |log, _| log.truncated(LIMIT).inverse_propensity()),
];

/// The logging policy, the model of the rewards, and the target policy.
struct Networks {
    logging: Linear,
    model: Mlp,
    target: Mlp,
}

impl Networks {
    fn new(parameters: &mut Parameters<f32>, seed: Seed) -> Result<Self, Box<dyn Error>> {
        let sizes = [PIXELS, 64, CLASSES];
        Ok(Self {
            logging: Linear::new(&mut *parameters, "logging", PIXELS, CLASSES, Initialization::Uniform, seed)?,
            model: Mlp::new(&mut *parameters, "model", &sizes, Activation::Relu, seed)?,
            target: Mlp::new(parameters, "target", &sizes, Activation::Relu, seed)?,
        })
    }

    /// Records the cost of the logging policy: the cross-entropy of labels.
    fn classify(&self, record: &Record<'_, '_, f32>) -> GraphResult<()> {
        let classes = Categorical::from_logits(self.logging.forward(record, record.input("images")?)?);
        record.cost("cross-entropy", -classes.log_prob(record.input("labels")?))
    }

    /// Records decisions of the logging policy.
    fn decide(&self, record: &Record<'_, '_, f32>) -> GraphResult<()> {
        let probabilities = self.logging.forward(record, record.input("images")?)?.softmax(-1);
        let explored = probabilities * (1.0 - EXPLORATION) + EXPLORATION / CLASSES as f64;
        let policy = Categorical::from_probabilities(explored);
        let action = record.sample("action", &policy, &ScoreFunction::new())?;
        record.output("actions", action)?;
        record.output("propensities", policy.log_prob(action).exp())?;
        record.output("rewards", action.equal(record.input("labels")?))
    }

    /// Records the cost of the model: the cross-entropy of the rewards of logged actions.
    fn predict_rewards(&self, record: &Record<'_, '_, f32>) -> GraphResult<()> {
        let logits = self.model.forward(record, record.input("images")?)?;
        let chosen = (record.input("actions")?.one_hot(CLASSES) * logits).sum();
        record.cost("cross-entropy", -Bernoulli::from_logits(chosen).log_prob(record.input("rewards")?))
    }

    fn policy<'t>(&self, record: &Record<'_, 't, f32>) -> GraphResult<Categorical<Var<'t, f32>>> {
        Ok(Categorical::from_logits(self.target.forward(record, record.input("images")?)?))
    }

    /// The log, as the target policy sees it.
    fn log<'a, 't>(&self, record: &Record<'a, 't, f32>) -> GraphResult<LoggedData<'a, 't, f32>> {
        let (policy, action) = (self.policy(record)?, record.input("actions")?);
        let rewards = self.model.forward(record, record.input("images")?)?.sigmoid();
        let decision = LoggedAction::new(&policy, action, record.input("propensities")?)
            .reward(record.input("rewards")?)
            .model(ActionValueModel::of_each(&policy, action, rewards)?);
        LoggedData::new(record.graph(), [decision])
    }

    fn learn(&self, record: &Record<'_, '_, f32>, estimator: Estimator) -> GraphResult<()> {
        record.cost("loss", -estimator(self.log(record)?, record.input("rewards")?)?)
    }

    fn evaluate(&self, record: &Record<'_, '_, f32>) -> GraphResult<()> {
        let log = self.log(record)?;
        record.output("weights", log.weights()?)?;
        for (name, estimator) in ESTIMATORS {
            record.output(name, estimator(log.clone(), record.input("rewards")?)?)?;
        }
        Ok(())
    }

    /// Draws decisions for images that are chosen at random, and removes the labels.
    fn draw(
        &self,
        parameters: &Parameters<f32>,
        labelled: &Tensors<f32>,
        count: usize,
        seed: Seed,
    ) -> Result<Tensors<f32>, Box<dyn Error>> {
        let mut uniforms = vec![0.0_f64; count];
        Key::new(seed.seed, seed.step, 1).uniform(0, &mut uniforms);
        let chosen: Vec<usize> = uniforms.iter().map(|u| (u * labelled.len() as f64) as usize).collect();
        let contexts = labelled.select(&chosen)?;
        let mut step = Step::new(|record: &Record<'_, '_, f32>| self.decide(record));
        let mut log = Tensors::new().with("images", contexts.get("images").ok_or("no images")?)?;
        for (name, column) in step.predict(parameters, &contexts.inputs(), seed)?.iter() {
            log = log.with(name, column)?;
        }
        Ok(log)
    }

    /// The exact value of the target policy: the mean probability of the label.
    fn exact(&self, parameters: &Parameters<f32>, labelled: &Tensors<f32>) -> Result<f64, Box<dyn Error>> {
        let mut step = Step::new(|record: &Record<'_, '_, f32>| {
            record.output("value", self.policy(record)?.log_prob(record.input("labels")?).exp())
        });
        let values = predictions(&mut step, parameters, labelled, labelled.len(), Seed::new(0))?;
        Ok(ValueEstimate::new(values.get("value").ok_or("no values")?)?.mean())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, decisions, logs, seed, out } = Arguments::parse();
    let (decisions, logs, epochs) = if quick { (1000, 3, 5) } else { (decisions, logs, 60) };
    let digits = Digits::embedded();
    let all = Tensors::new().with("images", digits.intensities()?)?.with("labels", digits.label_indices::<f32>()?)?;
    let (known, held_out) = all.split_randomly(1000, seed)?;

    let mut parameters = Parameters::new();
    let networks = Networks::new(&mut parameters, Seed::new(seed))?;
    let trainer = |name: &str, epochs| {
        Trainer::new(Adam::new(1e-3)).epochs(epochs).batch(100).seed(seed).out(out.join(name)).restart().quiet()
    };
    let few = known.split_at(LABELS)?.0;
    trainer("logging", 20 * epochs).fit(&mut parameters, &few, |record| networks.classify(record))?;
    let log = networks.draw(&parameters, &known, decisions, Seed::new(seed))?;
    trainer("model", epochs).fit(&mut parameters, &log, |record| networks.predict_rewards(record))?;
    parameters.freeze("model")?;

    let fresh = networks.draw(&parameters, &held_out, decisions, Seed::new(seed).step(1))?;
    let logged = ValueEstimate::new(fresh.get("rewards").ok_or("no rewards")?)?;
    println!("the logging policy has the value {:.4}; {decisions} decisions are learned from", logged.mean());
    let mut results = vec![("value of the logging policy".to_owned(), logged.mean())];
    let mut evaluate = Step::new(|record: &Record<'_, '_, f32>| networks.evaluate(record));
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(["learned and evaluated by", "exact value", "estimate", "standard error", "95 % interval"]);
    let mut learned = Vec::new();
    for (name, estimator) in ESTIMATORS {
        let mut own = parameters.clone();
        trainer(name, epochs).fit(&mut own, &log, |record| networks.learn(record, estimator))?;
        let outputs = evaluate.predict(&own, &fresh.inputs(), Seed::new(seed))?;
        let (estimate, exact) = (ValueEstimate::new(outputs.get(name)?)?, networks.exact(&own, &held_out)?);
        let interval = estimate.interval(CONFIDENCE)?;
        let verdict = if interval.contains(&exact) { "contains it" } else { "misses it" };
        let shown = format!("{:.4} to {:.4}, {verdict}", interval.start(), interval.end());
        let numbers = [exact, estimate.mean(), estimate.standard_error()].map(|number| format!("{number:.4}"));
        table.add_row([name.to_owned()].into_iter().chain(numbers).chain([shown]));
        results.push((format!("exact value, learned by {name}"), exact));
        results.push((format!("estimate, learned by {name}"), estimate.mean()));
        results.push((format!("standard error, learned by {name}"), estimate.standard_error()));
        println!("learned by {name}: {}", WeightDiagnostics::new(outputs.get("weights")?)?);
        learned.push((own, exact));
    }
    println!("{table}");

    // The errors of all estimators of one policy, from many logs.
    let (policy, exact) = &learned[2];
    let mut lines: Vec<Line> = ESTIMATORS.iter().map(|(name, _)| ((*name).to_owned(), Vec::new())).collect();
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(["estimator", "decisions", "bias", "root mean square error", "mean standard error", "coverage"]);
    for size in if quick { vec![250, 1000] } else { vec![250, 500, 1000, 2000, 4000, 8000] } {
        let mut found = vec![Vec::new(); ESTIMATORS.len()];
        for number in 0..logs {
            let seed = Seed::new(seed + 1000).step(number as usize);
            let log = networks.draw(policy, &held_out, size, seed)?;
            let outputs = evaluate.predict(policy, &log.inputs(), seed)?;
            for ((name, _), found) in ESTIMATORS.iter().zip(&mut found) {
                found.push(ValueEstimate::new(outputs.get(name)?)?);
            }
        }
        for ((name, points), found) in lines.iter_mut().zip(found) {
            let mean = |of: &dyn Fn(&ValueEstimate) -> f64| found.iter().map(of).sum::<f64>() / found.len() as f64;
            let bias = mean(&|estimate| estimate.mean() - exact);
            let error = mean(&|estimate| (estimate.mean() - exact).powi(2)).sqrt();
            let covers = |estimate: &ValueEstimate| estimate.interval(CONFIDENCE).is_ok_and(|it| it.contains(exact));
            let coverage = mean(&|estimate| f64::from(covers(estimate)));
            points.push((size as f64, 100.0 * error));
            let numbers = [bias, error, mean(&ValueEstimate::standard_error)].map(|number| format!("{number:.4}"));
            let coverage_shown = format!("{:.0} %", 100.0 * coverage);
            table.add_row([name.clone(), size.to_string()].into_iter().chain(numbers).chain([coverage_shown]));
            let keys = ["bias", "root mean square error", "coverage"].map(|key| format!("{key}, {name}, {size}"));
            results.extend(keys.into_iter().zip([bias, error, coverage]));
        }
    }
    println!("the policy learned by doubly robust, evaluated with {logs} logs of each size\n{table}");
    add_results(out.join("summary.json"), results)?;

    let path = out.join("errors.svg");
    let area = SVGBackend::new(&path, (720, 480)).into_drawing_area();
    area.fill(&WHITE)?;
    let axes = [Axis::Log("decisions in the log"), Axis::Log("root mean square error in percent")];
    let legend = Some(SeriesLabelPosition::LowerLeft);
    draw_lines(&area, "value of the learned policy", axes, &lines, Marks { legend, points: true, ..Marks::default() })?;
    area.present()?;
    println!("pictures and metrics are in {}", out.display());
    Ok(())
}
