//! Generates random models, compares their estimators with an exact reference, and counts the verdicts.

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use stochgrad_models::{Survey, Tally, Verdict, catalogue, print};

/// Compare gradient methods with an exact reference on random models with discrete draws.
///
/// Each node of a model gets a random gradient method. The exact expectations of the surrogate and of its derivatives
/// are compared with those of the model. Graph number i depends only on the seed and on i. The state is written after
/// each chunk, and the same command continues where the last one ended.
#[derive(Parser)]
struct Arguments {
    /// Number of graphs to check, including those of earlier runs.
    #[arg(long, default_value_t = 1000)]
    graphs: u64,
    /// Seed of all graphs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Largest number of outcomes of an estimator; larger ones are counted as too large, and other methods are chosen.
    #[arg(long, default_value_t = 300)]
    max_outcomes: usize,
    /// File for the counts, the failures and the number of the next graph.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Stop after this many minutes.
    #[arg(long)]
    minutes: Option<f64>,
    /// Number of graphs between two writes of the file.
    #[arg(long, default_value_t = 500)]
    chunk: u64,
    /// Number of threads.
    #[arg(long, default_value_t = 1)]
    threads: u64,
    /// Do not make the programs of failures smaller.
    #[arg(long)]
    no_shrink: bool,
    /// Check and print only the graph with this number.
    #[arg(long)]
    graph: Option<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A panic is a verdict like others, and the table shows its message.
    std::panic::set_hook(Box::new(|_| {}));
    let survey = Survey {
        seed: arguments.seed,
        max_outcomes: arguments.max_outcomes,
        methods: catalogue(),
        shrinks: !arguments.no_shrink,
    };
    if let Some(number) = arguments.graph {
        return one(&survey, number);
    }
    match many(&survey, &arguments) {
        Ok(tally) => {
            println!("{}", tally.table());
            for failure in &tally.failures {
                println!(
                    "graph {}, {}: {}: expected {}, got {}\n{}",
                    failure.graph, failure.kind, failure.what, failure.expected, failure.found, failure.program
                );
            }
            if tally.all.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a graph with each of its assignments of methods, and the verdicts.
fn one(survey: &Survey, number: u64) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let start = Instant::now();
    let (judged, _) = survey.graph(number);
    for each in judged {
        println!("{}{:?}\n", print(&each.program.model, &survey.methods, &each.program.choices), each.verdict);
        if matches!(each.verdict, Verdict::Failed(_)) {
            code = ExitCode::FAILURE;
        }
    }
    println!("{:?}", start.elapsed());
    code
}

/// Checks the graphs in chunks.
fn many(survey: &Survey, arguments: &Arguments) -> Result<Tally, String> {
    let start = Instant::now();
    let (mut next, mut tally) = match &arguments.out {
        Some(path) if path.exists() => read(path, survey)?,
        _ => (0, Tally::default()),
    };
    let bar = ProgressBar::new(arguments.graphs);
    if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} {msg} {eta_precise}") {
        bar.set_style(style);
    }
    bar.set_position(next);
    let limit = arguments.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    while next < arguments.graphs && limit.is_none_or(|limit| start.elapsed() < limit) {
        let end = (next + arguments.chunk.max(1)).min(arguments.graphs);
        let threads = arguments.threads.max(1);
        let parts: Vec<Tally> = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads)
                .map(|thread| scope.spawn(move || survey.graphs((next..end).filter(|at| at % threads == thread))))
                .collect();
            let joined = handles.into_iter().map(|handle| handle.join().map_err(|_| "a thread ended early".to_owned()));
            joined.collect::<Result<_, String>>()
        })?;
        for part in parts {
            tally.merge(part);
        }
        next = end;
        if let Some(path) = &arguments.out {
            write(path, survey, next, &tally)?;
        }
        bar.set_position(next);
        bar.set_message(format!("{} failed", tally.all.failed));
    }
    bar.finish_and_clear();
    Ok(tally)
}

fn write(path: &Path, survey: &Survey, next: u64, tally: &Tally) -> Result<(), String> {
    let state =
        json!({ "seed": survey.seed, "max_outcomes": survey.max_outcomes, "next": next, "tally": tally.to_json() });
    let text = serde_json::to_string_pretty(&state).map_err(|error| error.to_string())?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    stochgrad::nn::write_atomically(path, |file| file.write_all(text.as_bytes())).map_err(|error| error.to_string())
}

fn read(path: &Path, survey: &Survey) -> Result<(u64, Tally), String> {
    let problem = |problem: &str| format!("{}: {problem}; pass another file to --out", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| problem(&error.to_string()))?;
    let state: Value = serde_json::from_str(&text).map_err(|error| problem(&error.to_string()))?;
    let number = |key: &str| state.get(key).and_then(Value::as_u64);
    if number("seed") != Some(survey.seed) || number("max_outcomes") != Some(survey.max_outcomes as u64) {
        return Err(problem("expected the state of a run with this seed and this --max-outcomes, got another one"));
    }
    let tally = state.get("tally").and_then(Tally::from_json);
    number("next").zip(tally).ok_or_else(|| problem("expected the state of an earlier run, got other JSON"))
}
