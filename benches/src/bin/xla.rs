//! Times training steps on a device of a PJRT plugin, in alternation with programs of other systems.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use serde_json::json;
use stochgrad::nn::Parameters;
use stochgrad::prelude::*;
use stochgrad_benches::BenchResult;
use stochgrad_benches::case::Case;
use stochgrad_benches::cases;
use stochgrad_benches::stablehlo::Foreign;
use stochgrad_benches::training::Training;
use stochgrad_xla::Device;
use stochgrad_xla::pjrt::Plugin;

/// Time training steps on a device, case by case.
///
/// Writes one line of JSON for each case: group, method, impl ("xla"), ms (the median wall-clock time of a step with
/// the batches on the device) and loop_ms (that of a step of a loop on the device). With --jax, also jax_ms (that of the
/// program in the folder that export_jax.py has written for the case, run in alternation) and ratio (ms / jax_ms).
/// host_us is the time that the host takes for a loop of 100 steps, divided by 100. difference is the largest relative
/// difference of the losses of the first three steps from those of the engine for CPUs. The first line has these times
/// for a model with one parameter, whose steps take hardly more than the work of the host.
///
/// Confine the process to as many processors as it may use, such as with `taskset -c 0`.
#[derive(Debug, Parser)]
#[command(name = "xla", verbatim_doc_comment)]
struct Arguments {
    /// The plugin
    plugin: PathBuf,

    /// The folder with programs of other systems, named like `a_disarm_pair.mlir`
    #[arg(long)]
    jax: Option<PathBuf>,

    /// Timed seconds per case
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,

    /// Run only the cases whose name, such as "a/concrete K=1/stochgrad", contains this text
    #[arg(long, default_value = "")]
    only: String,
}

/// The number of steps in a loop.
const LOOP: usize = 100;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xla: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> BenchResult<()> {
    let device = Device::new(Plugin::load(&arguments.plugin)?.client(&[])?, 0);
    println!("{}", measure(&smallest(), &device, arguments)?.unwrap_or_default());
    for case in cases::all().iter().filter(|case| case.matches(&arguments.only)) {
        let measured = measure(case, &device, arguments).transpose();
        match measured {
            None => {}
            Some(Ok(row)) => println!("{row}"),
            Some(Err(error)) => {
                println!("{}", json!({ "group": case.group, "method": case.method, "error": error.to_string() }));
            }
        }
    }
    Ok(())
}

/// A model with one parameter.
fn smallest() -> Case {
    Case::training("smallest", "one parameter", |threads| {
        let mut parameters = Parameters::new();
        parameters.insert("w", Tensor::scalar(1.0))?;
        let batches = vec![Tensor::from([1.0, 2.0]), Tensor::from([0.5, 1.0])];
        Training::new(parameters, batches, threads, |record: &Record<'_, '_, f32>| {
            record.cost("loss", (record.input("batch")? * record.param("w")? - 1.0).square())
        })
    })
}

/// The times of a case, unless its step is not one of training.
fn measure(case: &Case, device: &Device, arguments: &Arguments) -> BenchResult<Option<serde_json::Value>> {
    let Some(setup) = &case.training else { return Ok(None) };
    let mut host = setup(1)?;
    let mut own = host.on_device(device, LOOP)?;
    let mut difference = 0.0_f32;
    for _ in 0..3 {
        let (expected, found) = (host.step()?, own.step()?);
        difference = difference.max((found / expected - 1.0).abs());
    }
    let file = format!("{}_{}.mlir", case.group, case.method.replace(' ', "_").replace('/', "-"));
    let foreign = arguments.jax.as_ref().map(|folder| folder.join(file)).filter(|path| path.exists());
    let mut foreign = foreign.map(|path| Foreign::load(device.client(), &path)).transpose()?;
    let started = Instant::now();
    let (mut own_times, mut foreign_times) = (Vec::new(), Vec::new());
    for number in 0.. {
        let is_warm = number >= 5;
        let before = Instant::now();
        own.step()?;
        own_times.extend(is_warm.then(|| before.elapsed()));
        if let Some(foreign) = &mut foreign {
            let before = Instant::now();
            foreign.step()?;
            foreign_times.extend(is_warm.then(|| before.elapsed()));
        }
        if own_times.len() >= 7 && started.elapsed().as_secs_f64() > arguments.seconds {
            break;
        }
    }
    let mut loop_times = Vec::new();
    while loop_times.len() < 3 {
        let before = Instant::now();
        own.steps(LOOP)?;
        loop_times.push(before.elapsed() / LOOP as u32);
    }
    // A loop of no steps has all transfers of a loop.
    let mut host_times = Vec::new();
    for _ in 0..100 {
        let before = Instant::now();
        own.steps(0)?;
        host_times.push(before.elapsed() / LOOP as u32);
    }
    let median = |times: &mut Vec<std::time::Duration>| {
        times.sort();
        times.get(times.len() / 2).map(|time| time.as_secs_f64() * 1e3)
    };
    let (ms, jax_ms) = (median(&mut own_times), median(&mut foreign_times));
    Ok(Some(json!({
        "group": case.group,
        "method": case.method,
        "impl": "xla",
        "ms": ms,
        "loop_ms": median(&mut loop_times),
        "host_us": median(&mut host_times).map(|ms| ms * 1e3),
        "jax_ms": jax_ms,
        "ratio": ms.zip(jax_ms).map(|(own, foreign)| own / foreign),
        "n": own_times.len(),
        "difference": difference,
    })))
}
