//! The processors and the pool of threads on which a timing runs.

use crate::BenchResult;

/// Confines this thread, and all threads that it starts from now on, to the last `count` processors that it may use.
/// Does nothing if there are no more than that, or if the system is not Linux.
///
/// # Errors
/// The error of the operating system.
pub fn confine(count: usize) -> BenchResult<()> {
    confine_to(|processors| &processors[processors.len().saturating_sub(count)..])
}

/// Confines a rank to one of the processors that it may use, another one than those of other ranks where there are as
/// many. Does nothing if the system is not Linux.
///
/// # Errors
/// The error of the operating system.
pub fn confine_rank(rank: usize) -> BenchResult<()> {
    confine_to(|processors| &processors[rank % processors.len()..][..1])
}

/// Confines this thread to a selection of the processors that it may use.
fn confine_to(select: impl FnOnce(&[usize]) -> &[usize]) -> BenchResult<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
        let allowed = sched_getaffinity(None)?;
        let processors: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&processor| allowed.is_set(processor)).collect();
        let selected = select(&processors);
        if selected.len() < processors.len() {
            let mut chosen = CpuSet::new();
            selected.iter().for_each(|&processor| chosen.set(processor));
            sched_setaffinity(None, &chosen)?;
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = select;
    Ok(())
}

/// Runs a function inside a pool of `threads` threads that is confined to as many processors. Parallel work that the
/// function starts runs in this pool.
///
/// # Errors
/// If the threads cannot be started or confined.
pub fn with_threads<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> BenchResult<R> {
    confine(threads)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    Ok(pool.install(run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_has_the_requested_number_of_threads() {
        // Use a separate thread, so that other tests keep their processors.
        let count = std::thread::spawn(|| with_threads(1, rayon::current_num_threads).expect("a pool")).join();
        assert_eq!(count.expect("no panic"), 1);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_confined_thread_has_one_processor() {
        let left = std::thread::spawn(|| {
            confine(1).expect("one processor");
            std::thread::available_parallelism().map(usize::from).expect("a count")
        });
        assert_eq!(left.join().expect("no panic"), 1);
    }
}
