//! Work with a limit on its time: a loop without an end is a failure, not a test that never returns.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cpu_time::ThreadTime;

use crate::distributions::Entry;

/// What a single query may take of the processor in a debug build.
pub(crate) const LIMIT: Duration = Duration::from_millis(50);

/// The time after which work counts as endless. Processors that do other work as well make everything slower.
const ENDLESS: Duration = Duration::from_secs(30);

/// The result of work in a thread of its own and the time that it took of the processor, or `None` where it has not
/// ended or has panicked. An endless thread is left behind.
pub(crate) fn watched<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<(T, Duration)> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let start = ThreadTime::now();
        let result = work();
        // The receiver has stopped to wait where this took too long.
        let _ = sender.send((result, start.elapsed()));
    });
    receiver.recv_timeout(ENDLESS).ok()
}

/// The shortest time of three runs, or `None` where one has not ended. It stops after a run within the limit.
pub(crate) fn shortest<T: Send + 'static>(work: impl Fn() -> T + Send + Clone + 'static) -> Option<Duration> {
    let mut shortest = Duration::MAX;
    for _ in 0..3 {
        let (_, time) = watched(work.clone())?;
        shortest = shortest.min(time);
        if shortest <= LIMIT {
            break;
        }
    }
    Some(shortest)
}

/// The results for all entries, on all processors, in the order of the entries.
pub(crate) fn for_each<R: Send + 'static>(entries: &[Entry], work: impl Fn(&Entry) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let found: Arc<Mutex<Vec<(usize, R)>>> = Arc::default();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(entry) = entries.get(number) else { break };
                    let result = work(entry);
                    found.lock().expect("no worker has failed").push((number, result));
                }
            });
        }
    });
    let mut found = std::mem::take(&mut *found.lock().expect("no worker has failed"));
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(_, result)| result).collect()
}
