//! Where a timing runs: on how many processors, and in a pool of how many threads.

use crate::BenchResult;

/// Confines this thread, and all that it starts from now on, to the last `count` processors that it may use, so that no
/// pool of threads can take more. Does nothing where there are no more than that.
///
/// # Errors
/// The operating system's refusal. Only Linux can do this; elsewhere nothing happens.
pub fn confine(count: usize) -> BenchResult<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
        let allowed = sched_getaffinity(None)?;
        let processors: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&processor| allowed.is_set(processor)).collect();
        if count < processors.len() {
            let mut chosen = CpuSet::new();
            processors[processors.len() - count..].iter().for_each(|&processor| chosen.set(processor));
            sched_setaffinity(None, &chosen)?;
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = count;
    Ok(())
}

/// Runs something inside a pool of `threads` threads, confined to as many processors: what it starts in parallel stays
/// there.
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
    fn the_pool_has_as_many_threads_as_asked_for() {
        // On a thread of its own, so that other tests keep their processors.
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
