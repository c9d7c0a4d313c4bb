//! Jobs that are shared by all cores.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The results of jobs, by their positions. Each thread makes a state of its own, since methods and devices stay on one
/// thread, and takes the next job when it has finished one.
pub(crate) fn on_all_cores<S, R: Send>(
    jobs: usize,
    state: impl Fn() -> S + Sync,
    run: impl Fn(&S, usize) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let state = state();
        let positions = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&at| at < jobs));
        positions.map(|at| (at, run(&state, at))).collect::<Vec<_>>()
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a result for each job")).collect()
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
