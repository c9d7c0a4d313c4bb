//! Times the cases that are compared with other systems, and writes one line of JSON for each.

use std::fs::OpenOptions;
use std::io::Write;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde_json::{Map, Value, json};
use stochgrad_benches::BenchResult;
use stochgrad_benches::case::Case;
use stochgrad_benches::cases;
use stochgrad_benches::processors::with_threads;
use stochgrad_benches::timing::{Limits, time};

/// Time training steps and gradient estimates, case by case.
///
/// Writes one line of JSON for each case: group, method, impl ("stochgrad"), threads, ms (the median wall-clock time of
/// a step), p10 (its tenth percentile) and n (the number of timed steps). A case that fails has error instead of the
/// times.
#[derive(Debug, Parser)]
#[command(name = "peers", verbatim_doc_comment)]
struct Arguments {
    /// Number of threads of the kernels, and of processors that they may use
    #[arg(long, default_value = "1")]
    threads: NonZero<usize>,

    /// Timed seconds per case
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,

    /// Run only the cases whose name, such as "a/concrete K=1/stochgrad", contains this text
    #[arg(long, default_value = "")]
    only: String,

    /// Also append the lines to this file
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match with_threads(arguments.threads.get(), || run(&arguments)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) | Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> BenchResult<()> {
    for case in cases::all().iter().filter(|case| case.matches(&arguments.only)) {
        let mut row = json!({
            "threads": arguments.threads,
            "group": case.group,
            "method": case.method,
            "impl": "stochgrad",
        });
        if let Value::Object(fields) = &mut row {
            fields.extend(measure(case, arguments));
        }
        println!("{row}");
        if let Some(path) = &arguments.out {
            let mut file = OpenOptions::new().create(true).append(true).open(path)?;
            writeln!(file, "{row}")?;
        }
    }
    Ok(())
}

/// The times of a case or, if it fails, its error. A case that fails does not stop the others.
fn measure(case: &Case, arguments: &Arguments) -> Map<String, Value> {
    let timing = (case.setup)(arguments.threads.get()).and_then(|step| time(Limits::seconds(arguments.seconds), step));
    match timing {
        Ok(timing) => fields(json!({ "ms": timing.median, "p10": timing.p10, "n": timing.calls })),
        Err(error) => fields(json!({ "error": error.to_string() })),
    }
}

fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
