//! Bayesian logistic regression: the gradient of an evidence bound by the score function, by pathwise derivatives and
//! by measure-valued derivatives, and what their variances and times mean for training.
//!
//! `cargo run --release --example bayesian_logistic_regression` takes half a minute, `-- --quick` some seconds.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use comfy_table::{Table, presets};
use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::json;
use stochgrad::graph::{GradientMethod, GraphResult};
use stochgrad::nn::{Adam, Inputs, Mode, Parameters, Schedule};
use stochgrad::prelude::*;
use stochgrad::tape::Id;
use stochgrad::train::source::{CsvReader, Tensors};
use stochgrad::train::{GradientVariance, Trainer};

const FEATURES: usize = 30;
const BATCH: usize = 32;
/// The number of samples of a gradient in training, and those with which its variance is measured.
const SAMPLES: usize = 10;
const MEASURED: [usize; 6] = [1, 2, 5, SAMPLES, 20, 50];
/// The number of cases in the training data; the other 114 are test data.
const CASES: usize = 455;
/// The seed of measurements.
const MEASUREMENT: Seed = Seed { seed: 0x3ea5, step: 0 };

/// Compares gradient methods at Bayesian logistic regression.
#[derive(Parser)]
struct Arguments {
    /// Train for 3 epochs, and measure with less precision.
    #[arg(long)]
    quick: bool,
    /// The number of epochs.
    #[arg(long, default_value_t = 1000)]
    epochs: u64,
    /// The seed of the minibatches and of the samples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder with `breast_cancer.csv`.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/data"))]
    data: PathBuf,
    /// The folder for metrics and pictures.
    #[arg(long, default_value = "out/bayesian_logistic_regression")]
    out: PathBuf,
}

/// Records the negative evidence lower bound with a Gaussian posterior of the weights, and a standard normal prior.
fn record<'t, M>(record: &Record<'_, 't, f64>, method: &M) -> GraphResult<()>
where
    M: GradientMethod<f64, Normal<Id>> + Clone + 'static,
{
    let posterior = Normal::from_log_scale(record.param("mean")?, record.param("log deviation")?);
    let weights = match record.mode() {
        Mode::Train => record.sample("weights", &posterior, method)?,
        _ => record.sample("weights", &posterior, &Pathwise::new().samples(200))?,
    };
    let x = (record.input("features")? - record.buffer("means")?) / record.buffer("deviations")?;
    let diagnosis = Bernoulli::from_logits((x * weights.slice(0, 0..FEATURES)).sum() + weights.index(0, FEATURES));
    let log_likelihood = diagnosis.log_prob(record.input("malignant")?);
    let divergence = posterior.kl_to(&Normal::new(record.constant(0.0), record.constant(1.0)));
    record.cost("likelihood", -log_likelihood)?;
    record.cost("divergence", divergence)?;
    record.output("log likelihood", log_likelihood)?;
    record.output("divergence", divergence)
}

type Line = (&'static str, Vec<(f64, f64)>);

/// The data, the settings, and the results so far.
struct Study {
    arguments: Arguments,
    train: Tensors<f64>,
    test: Tensors<f64>,
    /// The parameters at which variances are measured: those that the first method learned.
    reference: Option<Parameters<f64>>,
    /// For each method: variance against samples and seconds, and the negative bound against samples and seconds.
    lines: [Vec<Line>; 4],
    results: serde_json::Map<String, serde_json::Value>,
    table: Table,
}

impl Study {
    /// Trains with a method, evaluates the bound and the predictions, and measures variance and time of the gradient.
    fn add<M>(&mut self, name: &'static str, method: impl Fn(usize) -> M, fewest: usize) -> Result<(), Box<dyn Error>>
    where
        M: GradientMethod<f64, Normal<Id>> + Clone + 'static,
    {
        let Arguments { quick, epochs, seed, ref out, .. } = self.arguments;
        let epochs = if quick { 3 } else { epochs };
        let (means, deviations) = self.train.moments("features")?;
        let mut parameters = Parameters::new();
        parameters.insert("mean", Tensor::zeros([FEATURES + 1]))?;
        parameters.insert("log deviation", Tensor::full([FEATURES + 1], -2.0))?;
        parameters.insert_buffer("means", means)?;
        parameters.insert_buffer("deviations", deviations)?;
        let steps = epochs * CASES.div_ceil(BATCH) as u64;
        let mut curve = Vec::new();
        let report = Trainer::new(Adam::new(Schedule::cosine(0.01, 0.0, steps)))
            .epochs(epochs)
            .batch(BATCH)
            .seed(seed)
            .validate(&self.test)
            .out(out.join(name))
            .restart()
            .ignore_signals()
            .quiet()
            .on_epoch(|progress| {
                let bound: f64 = progress.metrics.training.iter().map(|(_, cost)| cost).sum();
                if progress.epoch < 20 || progress.epoch.is_multiple_of(10) {
                    curve.push(((progress.step * SAMPLES as u64) as f64, bound));
                }
                std::ops::ControlFlow::Continue(())
            })
            .fit(&mut parameters, &self.train, |model| record(model, &method(SAMPLES)))?;

        let reference = self.reference.get_or_insert_with(|| parameters.clone());
        let minibatch = self.train.split_at(BATCH)?.0.inputs().of_data_set(CASES);
        let (evaluations, chunks) = if quick { (10, 2) } else { (300, 20) };
        let variance = GradientVariance::of(["mean", "log deviation"]).evaluations(evaluations);
        let (mut against_samples, mut against_time, mut measured) = (Vec::new(), Vec::new(), (0.0, 0.0, 0.0));
        for count in MEASURED.into_iter().filter(|&count| count >= fewest) {
            let mut step = Step::new(|model: &Record<'_, '_, f64>| record(model, &method(count)));
            let values = variance.measure(&mut step, reference, &minibatch, MEASUREMENT)?;
            let mut seconds = f64::INFINITY; // the shortest of several runs, which others disturb least
            for number in 0..evaluations {
                let start = Instant::now();
                step.run(reference, &minibatch, MEASUREMENT.step(number as usize))?;
                seconds = seconds.min(start.elapsed().as_secs_f64());
            }
            against_samples.push((count as f64, values[0].1));
            against_time.push((1e3 * seconds, values[0].1));
            if count == SAMPLES {
                measured = (values[0].1, values[1].1, seconds);
            }
        }
        let (of_mean, of_deviation, seconds) = measured;
        let in_time = curve.iter().map(|&(x, bound)| (x / SAMPLES as f64 * seconds, bound)).collect();
        for (lines, line) in self.lines.iter_mut().zip([against_samples, against_time, curve, in_time]) {
            lines.push((name, line));
        }

        let mut step = Step::new(|model: &Record<'_, '_, f64>| record(model, &method(SAMPLES)));
        let (bound, error) = evaluate(&mut step, &parameters, &self.train.inputs(), chunks)?;
        let likelihood = report.last.validation.as_ref().map_or(f64::NAN, |costs| costs[0].1);
        let values = [
            ("variance of the mean", of_mean),
            ("variance of the log deviation", of_deviation),
            ("ms", 1e3 * seconds),
            ("−ELBO for each case", bound),
            ("standard error", error),
            ("expected test log-likelihood", -likelihood),
        ];
        self.table.set_header(["method"].into_iter().chain(values.map(|(column, _)| column)));
        let cell = |(_, x): (_, f64)| if x.abs() < 1e-2 { format!("{x:.2e}") } else { format!("{x:.4}") };
        self.table.add_row([name.to_owned()].into_iter().chain(values.map(cell)));
        self.results.insert(name.into(), values.into_iter().map(|(column, x)| (column, json!(x))).collect());
        Ok(())
    }
}

/// The negative evidence lower bound for each case, and its standard error.
fn evaluate(
    step: &mut Step<'_, f64>,
    parameters: &Parameters<f64>,
    inputs: &Inputs<f64>,
    chunks: usize,
) -> Result<(f64, f64), Box<dyn Error>> {
    let (cases, mut bounds) = (inputs.members().ok_or("there are no cases")?, Vec::new());
    for chunk in 0..chunks {
        let outputs = step.predict(parameters, inputs, MEASUREMENT.step(chunk))?;
        let (likelihood, divergence) = (outputs.get("log likelihood")?, outputs.get("divergence")?.item()?);
        let samples = likelihood.len() / cases;
        let of_sample = |k: usize| likelihood.as_slice().iter().skip(k).step_by(samples).sum::<f64>();
        bounds.extend((0..samples).map(|k| (divergence - of_sample(k)) / cases as f64));
    }
    let mean = bounds.iter().sum::<f64>() / bounds.len() as f64;
    let spread = bounds.iter().map(|bound| (bound - mean).powi(2)).sum::<f64>() / (bounds.len() - 1) as f64;
    Ok((mean, (spread / bounds.len() as f64).sqrt()))
}

/// Draws lines on logarithmic axes.
fn draw(area: &DrawingArea<SVGBackend<'_>, Shift>, x: &str, y: &str, lines: &[Line]) -> Result<(), Box<dyn Error>> {
    let range = |of: fn(&(f64, f64)) -> f64| {
        let values = || lines.iter().flat_map(|(_, points)| points).map(of);
        values().fold(f64::INFINITY, f64::min) / 1.2..values().fold(f64::MIN_POSITIVE, f64::max) * 1.2
    };
    let (columns, rows) = (range(|point| point.0), range(|point| point.1));
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d(columns.log_scale(), rows.log_scale())?;
    let number =
        |x: &f64| if (9e-4..1e5).contains(x) { format!("{}", (1e6 * x).round() / 1e6) } else { format!("{x:e}") };
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(x).y_desc(y).axis_desc_style(("sans-serif", 16)).label_style(("sans-serif", 14));
    mesh.x_label_formatter(&number).y_label_formatter(&number).light_line_style(TRANSPARENT).draw()?;
    for (index, (name, points)) in lines.iter().enumerate() {
        let style = Palette99::pick(index).stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style).point_size(2))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    let mut legend = chart.configure_series_labels();
    legend.position(SeriesLabelPosition::UpperRight).label_font(("sans-serif", 14));
    Ok(legend.background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.4)).draw()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let reader = CsvReader::new().category_among("malignant", "diagnosis", ["benign", "malignant"]);
    let table = reader.other_columns("features").read(arguments.data.join("breast_cancer.csv"))?;
    let (train, test) = table.tensors().split_randomly(CASES, 0)?;
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    let lines = Default::default();
    let mut study = Study { arguments, train, test, reference: None, lines, results: serde_json::Map::new(), table };
    study.add("pathwise", |samples| Pathwise::new().samples(samples), 1)?;
    study.add("measure-valued", |samples| MeasureValued::new().samples(samples), 1)?;
    study.add(
        "score function, leave-one-out",
        |samples| ScoreFunction::new().samples(samples).baseline(LeaveOneOut),
        2,
    )?;
    study.add("score function", |samples| ScoreFunction::new().samples(samples), 1)?;
    let Study { arguments: Arguments { out, .. }, lines, results, table, .. } = study;
    println!("gradients of {SAMPLES} samples on a minibatch of {BATCH} cases, and training with them\n{table}");
    fs::write(out.join("summary.json"), format!("{:#}\n", json!({ "samples": SAMPLES, "results": results })))?;

    let path = out.join("comparison.svg");
    let area = SVGBackend::new(&path, (1120, 800)).into_drawing_area();
    area.fill(&WHITE)?;
    let (variance, bound) = ("variance of the gradient (mean)", "−ELBO for each case");
    let columns = ["samples", "ms for a gradient", "samples drawn in training", "seconds of gradients"];
    let axes = columns.into_iter().zip([variance, variance, bound, bound]);
    for ((panel, (x, y)), lines) in area.split_evenly((2, 2)).iter().zip(axes).zip(&lines) {
        draw(panel, x, y, lines)?;
    }
    area.present()?;
    println!("pictures and metrics are in {}", out.display());
    Ok(())
}
