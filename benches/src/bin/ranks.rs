//! Times training steps on the ranks of MPI, against the same steps without communication.

use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::json;
use stochgrad::tape::{Communicator, SingleRank};
use stochgrad_benches::BenchResult;
use stochgrad_benches::case::{Case, TrainingSetup};
use stochgrad_benches::cases;
use stochgrad_benches::processors::confine_rank;
use stochgrad_benches::training::Training;
use stochgrad_mpi::MpiRanks;

/// Time training steps whose batch grows with the number of ranks, case by case.
///
/// The first rank writes one line of JSON for each case: group, method, ranks, alone_ms (the median wall-clock time of a
/// step on one rank, while the others sleep), apart_ms (while all ranks make such steps without communication, the
/// median of the times of the slowest rank), together_ms (that of a step on a batch with a shard of the same size for
/// each rank), efficiency (alone_ms / together_ms) and machine (alone_ms / apart_ms: the efficiency that ranks which wait
/// for each other have without communication).
///
/// Each rank has one thread, on a processor of its own where there are as many.
#[derive(Debug, Parser)]
#[command(name = "ranks", verbatim_doc_comment)]
struct Arguments {
    /// Timed seconds for each of the three kinds of steps of a case, in ten rounds
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,

    /// Run only the cases whose name, such as "a/concrete K=1/stochgrad", contains this text
    #[arg(long, default_value = "b/")]
    only: String,
}

/// The kinds of steps alternate in this number of rounds.
const ROUNDS: usize = 10;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    stochgrad_mpi::run(|ranks| run(&arguments, &ranks))
}

fn run(arguments: &Arguments, ranks: &Rc<MpiRanks>) -> BenchResult<()> {
    confine_rank(ranks.rank())?;
    for case in cases::all().iter().filter(|case| case.matches(&arguments.only)) {
        if let Some(setup) = &case.training {
            measure(case, setup, arguments.seconds / ROUNDS as f64, ranks)?;
        }
    }
    Ok(())
}

fn measure(case: &Case, setup: &TrainingSetup, seconds: f64, ranks: &Rc<MpiRanks>) -> BenchResult<()> {
    let training = setup(1)?;
    let mut apart = training.on_ranks(Rc::new(SingleRank));
    let mut together = training.on_ranks(ranks.clone());
    let is_first = ranks.rank() == 0;
    let [mut alone_times, mut apart_times, mut together_times] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        // The ranks that wait sleep, since waiting for a message would keep their processors busy.
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        if is_first {
            alone_times.extend(steps(&mut apart, |_| Instant::now() < end)?);
        } else {
            std::thread::sleep(Duration::from_secs_f64(seconds * 1.1));
        }
        wait(ranks)?;
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        let own = steps(&mut apart, |_| Instant::now() < end)?;
        // All ranks make the same number of steps together.
        let count = gather(ranks, own.len() as u64)?.into_iter().min().unwrap_or_default() as usize;
        for time in &own[..count] {
            let slowest = gather(ranks, time.as_nanos() as u64)?.into_iter().max().unwrap_or_default();
            apart_times.push(Duration::from_nanos(slowest));
        }
        together_times.extend(steps(&mut together, |number| number < count.max(3))?);
    }
    if is_first {
        let [alone, apart, together] = [alone_times, apart_times, together_times].map(median);
        let row = json!({
            "group": case.group,
            "method": case.method,
            "ranks": ranks.size(),
            "alone_ms": alone,
            "apart_ms": apart,
            "together_ms": together,
            "efficiency": alone / together,
            "machine": alone / apart,
        });
        println!("{row}");
    }
    Ok(())
}

/// The times of steps, after two to warm up.
fn steps(training: &mut Training, more: impl Fn(usize) -> bool) -> BenchResult<Vec<Duration>> {
    let mut times = Vec::new();
    for number in 0.. {
        let before = Instant::now();
        training.step()?;
        if number >= 2 {
            times.push(before.elapsed());
        }
        if !more(number) && !times.is_empty() {
            break;
        }
    }
    Ok(times)
}

/// Waits for all ranks.
fn wait(ranks: &MpiRanks) -> BenchResult<()> {
    gather(ranks, 0).map(drop)
}

/// The numbers of all ranks.
fn gather(ranks: &MpiRanks, number: u64) -> BenchResult<Vec<u64>> {
    let mut all = vec![0; ranks.size() * size_of::<u64>()];
    ranks.all_gather(&number.to_le_bytes(), &mut all)?;
    let (numbers, _) = all.as_chunks();
    Ok(numbers.iter().map(|&bytes| u64::from_le_bytes(bytes)).collect())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}
