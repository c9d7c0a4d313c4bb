//! Trains a model with given settings, and writes the results.

use std::error::Error;
use std::fs::File;
use std::io::{Write, stdout};

use comfy_table::{Table, presets};
use serde_json::json;
use stochgrad::graph::Seed;
use stochgrad::lab::{Candidate, Lab};
use stochgrad::nn::{Adam, Inputs, Parameters, Record, Step, write_atomically};
use stochgrad::train::evaluation::mean_cost;
use stochgrad::train::output::{ImageGrid, TensorBoard, TotalsFile, save_curves};
use stochgrad::train::{Epoch, GradientVariance, Outcome, Source, TrainError, TrainResult, Trainer, total};

use crate::arguments::{Arguments, Choice, Latent, refuse, usage};
use crate::data::Data;
use crate::method_name::name;
use crate::model::{Bits, Code, MethodOf, Model, OneHots};

/// The seed of the codes for the test, which is the same in every run.
const TEST_SEED: Seed = Seed { seed: 0x7e57, step: 0 };

/// Runs the training, and writes the results. Returns whether it was completed, and not interrupted.
///
/// # Errors
/// For a method that does not suit the latent variables, for data or checkpoints that cannot be used, and for results
/// that cannot be written. If a run cannot begin or resume, all files are left unchanged.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    arguments.check()?;
    match arguments.latent {
        Latent::Bernoulli => {
            let bits = arguments.latent_size.unwrap_or(200);
            run_with(arguments, Bits, bits, &format!("bernoulli {bits}"))
        }
        Latent::Categorical => {
            let [variables, categories] = [arguments.latent_size.unwrap_or(20), arguments.categories.unwrap_or(10)];
            let (code, width) = (OneHots { shape: [variables, categories] }, variables.saturating_mul(categories));
            run_with(arguments, code, width, &format!("categorical {variables}×{categories}"))
        }
    }
}

fn run_with<C: Code>(arguments: &Arguments, code: C, width: usize, latent: &str) -> Result<bool, Box<dyn Error>> {
    let &Arguments { epochs, batch, lr, seed, threads, ref out, ref data, ref hidden, .. } = arguments;
    let (choice, compared) = (arguments.choice()?, arguments.compared()?);
    let Choice { method, objective, samples, scheme, temperature, backward } = choice;
    let images = Data::load(data.as_deref()).map_err(|error| usage(format_args!("--data: {error}")))?;

    let mut parameters = Parameters::new();
    let widths = [&[images.train.pixels_per_image()], &hidden[..], &[width]].concat();
    let model = Model::new((code, objective), &widths, Seed::new(seed), &mut parameters)
        .map_err(|error| usage(format_args!("--hidden, --latent-size, --categories: {error}")))?;
    let members = batch.min(images.train.len()).saturating_mul(samples);
    if widths.iter().any(|&width| members.saturating_mul(width) > 1 << 28) {
        let hint = "choose a smaller batch, fewer samples or smaller layers";
        refuse(
            "--batch, --samples",
            "layers of at most 2²⁸ values",
            format_args!("{members} rows of {widths:?}"),
            hint,
        )?;
    }
    let steps = epochs.saturating_mul(images.train.len().div_ceil(batch) as u64);
    let first = |epoch: Epoch, count| images.minibatches(epoch)?.take(count).collect::<TrainResult<Vec<_>>>();
    let some = first(Epoch::in_order(batch.min(2)), 1)?;
    let estimator = model.method((&choice, steps), (&parameters, &some[0]))?;
    let others = compared.iter().map(|choice| model.method((choice, 1), (&parameters, &some[0])));
    let others = others.collect::<Result<Vec<_>, _>>()?;

    let mut step = Step::new(|record: &Record<'_, '_, f32>| model.record(record, &estimator)).threads(threads);
    let mut totals = TotalsFile::new(out.join("metrics.csv"), "−ELBO", ["train_neg_elbo", "test_neg_elbo"]);
    let mut test = |parameters: &_| mean_cost(&mut step, parameters, &images.test, 250, TEST_SEED);
    let trainer = Trainer::new(Adam::new(lr))
        .epochs(epochs)
        .batch(batch)
        .seed(seed)
        .threads(threads)
        .validate_with(|parameters| Ok(vec![("−ELBO".into(), test(parameters)?)]))
        .setting("--data", format!("{data:?}"))
        .setting("--latent, --latent-size, --categories", latent)
        .setting("--hidden", format!("{hidden:?}"))
        .setting("--method", name(method))
        .setting("--objective", objective.map_or("elbo".into(), name))
        .setting("--samples", samples)
        .setting("--scheme", format!("{scheme:?}"))
        .setting("--temperature, --final-temperature", format!("{temperature:?}"))
        .setting("--backward-temperature", format!("{backward:?}"))
        // A temperature is annealed over the epochs.
        .setting("--epochs", temperature.map_or("any".to_owned(), |_| epochs.to_string()))
        .checkpoints(out)
        .observe(TensorBoard::new(out.join("tensorboard")))
        .observe(&mut totals);
    let trainer = if arguments.resume { trainer } else { trainer.restart() };
    let report = trainer.fit(&mut parameters, &images, |record| model.record(record, &estimator)).map_err(in_flags)?;
    if report.outcome == Outcome::Interrupted {
        eprintln!("stopped after {} steps; to continue, repeat the command line and add --resume", report.steps);
        return Ok(false);
    }

    let label = objective.map_or_else(|| name(method), name);
    save_curves(out.join("curve.svg"), &format!("{latent}, {label}"), totals.history())?;
    let grid = ImageGrid::new(images.train.rows(), images.train.columns());
    let some = images.test.select(&Vec::from_iter(0..images.test.len().min(40)))?;
    let decoded = step.predict(&parameters, &some.inputs(), TEST_SEED)?;
    let originals = some.get("images").ok_or("there are no test images")?;
    grid.draw_pairs(originals, decoded.get("pixels")?)?.save(out.join("reconstructions.png"))?;
    let mut imagine = Step::new(|record: &Record<'_, '_, f32>| model.imagine(record, 100));
    let imagined = imagine.predict(&parameters, &Inputs::new(), TEST_SEED)?;
    grid.draw(imagined.get("pixels")?)?.save(out.join("prior_samples.png"))?;

    let minibatch = first(Epoch::shuffled(0, batch, seed), 1)?.swap_remove(0);
    let measurement = GradientVariance::of::<&str>([]).at_nodes(["z"]).evaluations(100);
    let mut step = Step::new(|record: &Record<'_, '_, f32>| model.record(record, &estimator)).threads(threads);
    let variance = || measurement.measure(&mut step, &parameters, &minibatch, Seed::new(!seed));
    let variance = objective.is_none().then(variance).transpose()?;
    let last = totals.history().rows().last().cloned().unwrap_or_default();
    let summary = json!({
        "latent": latent,
        "method": label,
        "samples": samples,
        "seed": seed,
        "epochs": report.epochs,
        "train_neg_elbo": total(&last.training),
        "test_neg_elbo": last.validation.as_deref().map(total),
        // The gradient of the other objectives does not pass through the samples alone.
        "latent_gradient_variance": variance.as_deref().map(total),
        "ms_per_step": 1e3 * totals.training_seconds() / report.steps as f64,
        "seconds": totals.seconds(),
    });
    write_atomically(out.join("summary.json"), |file| writeln!(file, "{summary:#}"))?;
    let short = |x: f64| if x.abs() < 0.01 { format!("{x:.3e}") } else { format!("{x:.3}") };
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(["result", "value"]);
    for (name, value) in summary.as_object().into_iter().flatten() {
        table.add_row([name, &value.as_f64().filter(|_| value.is_f64()).map_or_else(|| value.to_string(), short)]);
    }
    let mut comparison = String::new();
    if !compared.is_empty() {
        let candidate = |(choice, method): (&Choice, MethodOf<C>)| {
            Candidate::new(name(choice.method), move || MethodOf::<C>::clone(&method))
        };
        let lab = Lab::new(|record: &Record<'_, '_, f32>| model.record(record, &estimator), &parameters, &minibatch)
            .seed(Seed::new(!seed))
            .threads(threads)
            .warm_up(500);
        let candidates = compared.iter().zip(others).map(candidate).collect();
        let found = lab.compare().node::<C::Family>("z", candidates).repetitions(500).run()?;
        let page = found.to_html(latent)?;
        found.write_csv(File::create(out.join("variances.csv"))?)?;
        write_atomically(out.join("comparison.html"), |file| file.write_all(page.as_bytes()))?;
        comparison = found.to_string();
    }
    // A closed pipe is not a failure, because the files contain the same results.
    let _ = writeln!(stdout(), "{table}\n{comparison}all results are in {}", out.display());
    Ok(true)
}

/// The settings of another run are flags of the command line that differ.
fn in_flags(error: TrainError) -> Box<dyn Error> {
    let TrainError::OtherRun { differences, .. } = error else { return error.into() };
    let differences = differences.join("; ").replace("program.", "");
    let hint = "use the values of the first run, or start a new run in another --out";
    usage(format_args!("--resume: {differences}; {hint}")).into()
}
