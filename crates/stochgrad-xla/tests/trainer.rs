//! The trainer on a device, against the engine of the CPU.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use stochgrad_distributions::{Bernoulli, Distribution, KlDivergence};
use stochgrad_estimators::{MovingAverage, ScoreFunction};
use stochgrad_graph::{GraphResult, Seed};
use stochgrad_nn::{Activation, AdamW, Average, BatchNorm, Checkpoint, Layer, Linear, Parameters, Record, Sgd};
use stochgrad_tensor::Tensor;
use stochgrad_train::source::Tensors;
use stochgrad_train::{GradientVariance, Outcome, Report, Source, Span, TrainResult, Trainer};
use stochgrad_xla::Device;
use stochgrad_xla::pjrt::testing::plugin_for_test;

type TestResult = Result<(), Box<dyn Error>>;

fn device(test: &str) -> Result<Option<Device>, Box<dyn Error>> {
    Ok(plugin_for_test(test)?.map(|plugin| plugin.client(&[])).transpose()?.map(|client| Device::new(client, 0)))
}

/// An autoencoder of bits with batch normalisation, a schedule, and a baseline that is kept from step to step.
struct Autoencoder {
    encoder: Linear,
    norm: BatchNorm,
    decoder: Linear,
    method: ScoreFunction<MovingAverage>,
}

impl Autoencoder {
    fn new(parameters: &mut Parameters<f64>) -> Self {
        let seed = Seed::new(3);
        let mut linear =
            |name, inputs, outputs| Linear::new(&mut *parameters, name, inputs, outputs, Default::default(), seed);
        let (encoder, decoder) = (linear("encoder", 5, 4).unwrap(), linear("decoder", 4, 5).unwrap());
        let norm = BatchNorm::new(parameters, "norm", 4).unwrap();
        let method = ScoreFunction::new().samples(2).baseline(MovingAverage::new(0.9));
        Autoencoder { encoder, norm, decoder, method }
    }

    fn record(&self, record: &Record<'_, '_, f64>) -> GraphResult<()> {
        let x = record.input("x")?;
        let hidden = Activation::Tanh.forward(record, self.norm.forward(record, self.encoder.forward(record, x)?)?)?;
        let code = Bernoulli::from_logits(hidden);
        let z = record.sample("z", &code, &self.method)?;
        let weight = record.schedule("weight", 1.0, |step| (0.1 * step as f64).min(1.0))?;
        let pixels = Bernoulli::from_logits(self.decoder.forward(record, z)?);
        record.cost("reconstruction", -pixels.log_prob(x))?;
        record.cost("kl", code.kl_to(&Bernoulli::from_logits(record.constant(0.0))) * weight)
    }
}

/// Binary patterns: 23 for training and 11 held out.
fn patterns() -> Result<(Tensors<f64>, Tensors<f64>), Box<dyn Error>> {
    let x = Tensor::from_fn([34, 5], |i| u8::from((i * i + i / 7).is_multiple_of(3)).into());
    Ok(Tensors::new().with("x", x)?.split_at(23)?)
}

/// Trains in a folder, with minibatches of four members and of three at the end of an epoch.
fn run(out: &Path, device: Option<Device>, steps: u64, reads: bool) -> Result<Report, Box<dyn Error>> {
    let (train, held_out) = patterns()?;
    let mut parameters = Parameters::new();
    let model = Autoencoder::new(&mut parameters);
    // The gradient of a bias before the normalisation is a rounding error, which Adam would amplify.
    parameters.freeze("encoder.bias")?;
    let read = train.clone().map("", |inputs, _| Ok(inputs));
    let data: &dyn Source<f64> = if reads { &read } else { &train };
    let trainer = Trainer::new(AdamW::new(0.02).group("decoder", Sgd::new(0.1).momentum(0.9)))
        .batch(4)
        .steps(steps)
        .seed(7)
        .validate(&held_out)
        .keep_best()
        .gradient_variance(GradientVariance::of(["encoder"]).every(8).evaluations(3))
        .checkpoint_every(Span::Steps(4))
        .quiet()
        .device(device)
        .out(out);
    Ok(trainer.fit(&mut parameters, data, |record| model.record(record))?)
}

/// Compares the numbers of two checkpoints: all of them, or those from which training goes on.
#[track_caller]
fn assert_close(found: &Path, expected: &Path, all: bool) {
    let read = |path: &Path| Checkpoint::load(path.join("checkpoint.safetensors")).unwrap();
    let (found, expected) = (read(found), read(expected));
    let goes_on =
        |name: &str| ["parameters/", "buffers/", "optimizer/", "methods/"].iter().any(|of| name.starts_with(of));
    let names =
        |of: &Checkpoint| -> Vec<String> { of.tensors().keys().filter(|name| all || goes_on(name)).cloned().collect() };
    assert_eq!(names(&found), names(&expected));
    for name in &names(&expected) {
        let Ok(values) = found.tensor::<f64>(name) else {
            assert_eq!(found.u64s(name).unwrap(), expected.u64s(name).unwrap(), "{name}");
            continue;
        };
        let reference: Tensor<f64> = expected.tensor(name).unwrap();
        for (value, reference) in values.as_slice().iter().zip(reference.as_slice()) {
            assert!((value - reference).abs() <= 1e-9 * reference.abs().max(1.0), "{name}: {value}, {reference}");
        }
    }
}

#[test]
fn a_run_has_the_checkpoint_of_the_cpu_to_rounding() -> TestResult {
    let Some(device) = device("a_run_has_the_checkpoint_of_the_cpu_to_rounding")? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let [whole, rows, read, mixed] = ["whole", "rows", "read", "mixed"].map(|name| folder.path().join(name));
    let expected = run(&whole, None, 30, false)?;
    for (out, reads) in [(&rows, false), (&read, true)] {
        let report = run(out, Some(device.clone()), 30, reads)?;
        assert_eq!((report.outcome, report.steps), (Outcome::Completed, 30));
        let validation = |report: &Report| report.last.validation.clone().unwrap_or_default();
        for ((name, found), (_, expected)) in validation(&report).iter().zip(&validation(&expected)) {
            assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{name}: {found}, {expected}");
        }
        assert_close(out, &whole, true);
    }
    // A run goes on elsewhere, at the end of an epoch and within one. It evaluates where it stops as well.
    for (steps, on_device) in [(6, true), (10, false), (15, true), (16, true), (23, false), (30, true)] {
        run(&mixed, on_device.then(|| device.clone()), steps, steps == 15)?;
    }
    assert_close(&mixed, &whole, false);
    Ok(())
}

/// The folder in which a child process trains.
const FOLDER: &str = "STOCHGRAD_XLA_TEST_FOLDER";

/// Set if the child process trains on a device.
const ON_DEVICE: &str = "STOCHGRAD_XLA_TEST_ON_DEVICE";

const STEPS: u64 = 400;

/// Trains if this process is the child of another test.
#[test]
fn child() -> TestResult {
    let Ok(folder) = std::env::var(FOLDER) else { return Ok(()) };
    let device = if std::env::var_os(ON_DEVICE).is_some() { device("child")? } else { None };
    run(folder.as_ref(), device, STEPS, false)?;
    Ok(())
}

/// Runs that are killed and go on with the other engine end as a whole run on the CPU.
#[test]
fn a_run_that_is_killed_goes_on_with_the_other_engine() -> TestResult {
    let Some(_) = device("a_run_that_is_killed_goes_on_with_the_other_engine")? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    run(&whole, None, STEPS, false)?;
    let checkpoint = killed.join("checkpoint.safetensors");
    let (mut kills, mut number) = (0, 0);
    loop {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["child", "--exact", "--quiet"]).env(FOLDER, &killed);
        if number % 2 == 0 {
            command.env(ON_DEVICE, "1");
        }
        number += 1;
        let before = std::fs::read(&checkpoint).ok();
        let mut child = command.spawn()?;
        // It is under way once it has written a further checkpoint.
        while child.try_wait()?.is_none() && std::fs::read(&checkpoint).ok() == before {
            std::thread::sleep(Duration::from_millis(2));
        }
        if number < 6 && child.try_wait()?.is_none() {
            std::thread::sleep(Duration::from_millis(7 * number));
            child.kill()?;
            kills += 1;
        }
        if child.wait()?.success() {
            break;
        }
        assert!(number < 20);
    }
    assert!(kills > 1, "{kills} kills");
    assert_close(&killed, &whole, true);
    Ok(())
}

fn refused(
    device: &Device,
    trainer: impl for<'a> FnOnce(Trainer<'a, f64>) -> Trainer<'a, f64>,
    optimizer: AdamW<f64>,
) -> TrainResult<Report> {
    let (train, _) = patterns().unwrap();
    let mut parameters = Parameters::new();
    let model = Autoencoder::new(&mut parameters);
    let on_device = Trainer::new(optimizer).epochs(1).quiet().device(device.clone());
    trainer(on_device).fit(&mut parameters, &train, |record| model.record(record))
}

#[test]
fn what_cannot_run_on_a_device_is_refused_with_the_reason() -> TestResult {
    let Some(device) = device("what_cannot_run_on_a_device_is_refused_with_the_reason")? else { return Ok(()) };
    let error = |change: fn(Trainer<'_, f64>) -> Trainer<'_, f64>, optimizer| {
        refused(&device, change, optimizer).unwrap_err().to_string()
    };
    let message = error(|trainer| trainer.shards(2), AdamW::new(0.1));
    assert!(message.contains("`Trainer::device`") && message.contains("shards"), "{message}");
    let message = error(|trainer| trainer, AdamW::new(0.1).accumulate(2));
    assert!(message.contains("one that accumulates gradients") && message.contains("train on the host"), "{message}");
    let message = error(|trainer| trainer, AdamW::new(0.1).average(Average::uniform()));
    assert!(message.contains("one that averages the parameters"), "{message}");
    let client = plugin_for_test("groups")?.expect("a plugin").client(&[("cpu_device_count", 2)])?;
    let message =
        refused(&Device::group(client, &[0, 1])?, |trainer| trainer, AdamW::new(0.1)).unwrap_err().to_string();
    assert!(message.contains("expected a single device, got a group of 2"), "{message}");
    Ok(())
}

/// A step that fails on the device is made on the CPU, whose error names the operation; the parameters are those before.
#[test]
fn a_step_that_fails_is_named_by_the_cpu() -> TestResult {
    let Some(device) = device("a_step_that_fails_is_named_by_the_cpu")? else { return Ok(()) };
    let data = Tensors::new().with("x", [1.0, 2.0, 4.0, -1.0, 2.0, 2.0])?;
    for reads in [false, true] {
        let mut parameters = Parameters::<f64>::new();
        parameters.insert("w", Tensor::scalar(4.0))?;
        let read = data.clone().map("", |inputs, _| Ok(inputs));
        let source: &dyn Source<f64> = if reads { &read } else { &data };
        let trainer = Trainer::new(Sgd::new(0.5)).epochs(2).batch(1).in_order().quiet().device(device.clone());
        let message = trainer
            .fit(&mut parameters, source, |record| record.cost("loss", (record.input("x")? * record.param("w")?).ln()))
            .unwrap_err()
            .to_string();
        assert!(message.contains("step 3: cost \"loss\" is NaN") && message.contains("appears in Ln"), "{message}");
        // Three steps have subtracted one half of 1 / w.
        let expected = (0..3).fold(4.0, |w, _| w - 0.5 / w);
        let found = parameters.get("w").map_or(f64::NAN, |w| w.as_slice()[0]);
        assert!((found - expected).abs() < 1e-12, "{found}, {expected}");
    }
    Ok(())
}
