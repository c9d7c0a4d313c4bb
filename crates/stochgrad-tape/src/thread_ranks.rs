//! Ranks that are threads of one process.

use crate::communicator::{CommunicationError, Communicator};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// One of several ranks that are threads of one process, each with its own tapes and programs.
///
/// A single rank that holds several shards runs them one after another, and needs no threads. Threads as ranks show in
/// a test what several processes would do. A rank that is dropped, for instance by a panic, ends the communication: the
/// others return an error instead of waiting.
///
/// ```
/// use stochgrad_tape::{Communicator, ThreadRank};
///
/// let threads = ThreadRank::group(3).into_iter().map(|rank| {
///     std::thread::spawn(move || {
///         let mut all = [0; 3];
///         rank.all_gather(&[10 + rank.rank() as u8], &mut all).map(|()| all)
///     })
/// });
/// let threads: Vec<_> = threads.collect();
/// for thread in threads {
///     assert_eq!(thread.join().expect("no panic"), Ok([10, 11, 12]));
/// }
/// ```
#[derive(Debug)]
pub struct ThreadRank {
    rank: usize,
    size: usize,
    meeting: Arc<Meeting>,
}

#[derive(Debug, Default)]
struct Meeting {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The parts of the ranks that have arrived.
    parts: Vec<Option<Vec<u8>>>,
    /// The number of ranks that have not read the parts yet, once all have arrived.
    readers: usize,
    /// A rank that has left.
    gone: Option<usize>,
}

impl ThreadRank {
    /// All ranks of a new group. Give each of them to a thread of its own.
    ///
    /// # Panics
    /// If there are no ranks.
    pub fn group(size: usize) -> Vec<Self> {
        assert!(size > 0, "a group of ranks: expected at least one rank");
        let meeting = Arc::new(Meeting::default());
        meeting.state().parts = vec![None; size];
        (0..size).map(|rank| ThreadRank { rank, size, meeting: meeting.clone() }).collect()
    }
}

impl Meeting {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a condition holds, or a rank has left.
    fn wait(&self, ready: impl Fn(&State) -> bool) -> Result<MutexGuard<'_, State>, CommunicationError> {
        let waits = |state: &mut State| !ready(state) && state.gone.is_none();
        let state = self.changed.wait_while(self.state(), waits).unwrap_or_else(PoisonError::into_inner);
        match state.gone {
            Some(rank) if !ready(&state) => {
                Err(CommunicationError::Transport { message: format!("the thread of rank {rank} has ended") })
            }
            _ => Ok(state),
        }
    }
}

impl Communicator for ThreadRank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn all_gather(&self, part: &[u8], all: &mut [u8]) -> Result<(), CommunicationError> {
        {
            // The parts of the previous meeting are still being read.
            let mut state = self.meeting.wait(|state| state.readers == 0)?;
            state.parts[self.rank] = Some(part.to_vec());
            if state.parts.iter().all(Option::is_some) {
                state.readers = self.size;
                self.meeting.changed.notify_all();
            }
        }
        let mut state = self.meeting.wait(|state| state.readers > 0)?;
        for (to, from) in all.chunks_exact_mut(part.len().max(1)).zip(&state.parts) {
            let from = from.as_deref().unwrap_or_default();
            if to.len() != from.len() {
                let message = format!("expected parts of {} bytes, got one of {}", to.len(), from.len());
                return Err(CommunicationError::Transport { message });
            }
            to.copy_from_slice(from);
        }
        state.readers -= 1;
        if state.readers == 0 {
            state.parts.fill(None);
            self.meeting.changed.notify_all();
        }
        Ok(())
    }
}

impl Drop for ThreadRank {
    fn drop(&mut self) {
        self.meeting.state().gone.get_or_insert(self.rank);
        self.meeting.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::communicator::agree;

    #[test]
    fn parts_arrive_in_the_order_of_the_ranks_again_and_again() {
        let threads: Vec<_> = ThreadRank::group(4)
            .into_iter()
            .map(|rank| {
                std::thread::spawn(move || {
                    for round in 0..200_u8 {
                        let mut all = [0; 8];
                        let own = rank.rank() as u8;
                        rank.all_gather(&[round, own], &mut all).unwrap();
                        assert_eq!(all, [round, 0, round, 1, round, 2, round, 3]);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn messages_arrive_in_their_order_and_have_the_lengths_of_their_places() {
        let threads: Vec<_> = ThreadRank::group(3)
            .into_iter()
            .map(|rank| {
                std::thread::spawn(move || {
                    let own = rank.rank() as u8;
                    // Two messages to the first rank, of different lengths, and an empty one.
                    let (long, short) = ([own; 11], [10 + own; 2]);
                    let sent: &[(usize, &[u8])] = if own == 0 { &[] } else { &[(0, &long), (0, &[]), (0, &short)] };
                    let mut places =
                        [(2, vec![0; 11]), (1, vec![0; 11]), (2, vec![]), (1, vec![0; 2]), (2, vec![0; 2])];
                    let count = if own == 0 { places.len() } else { 0 };
                    let mut received: Vec<(usize, &mut [u8])> =
                        places[..count].iter_mut().map(|(from, place)| (*from, &mut place[..])).collect();
                    rank.exchange(sent, &mut received).unwrap();
                    if own == 0 {
                        let expected = [vec![2; 11], vec![1; 11], vec![], vec![11; 2], vec![12; 2]];
                        assert!(places.iter().map(|(_, place)| place).eq(&expected));
                    }
                    let mut short = [0; 3];
                    let other = if own == 0 {
                        rank.exchange(&[], &mut [(1, &mut short)])
                    } else {
                        rank.exchange(sent, &mut [])
                    };
                    assert_eq!(other.is_err(), own == 0);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn a_rank_that_ends_or_fails_is_an_error_of_the_others() {
        let mut ranks = ThreadRank::group(3).into_iter();
        let first = ranks.next().unwrap();
        let threads: Vec<_> = ranks
            .map(|rank| {
                std::thread::spawn(move || {
                    let own = match rank.rank() {
                        2 => Err(CommunicationError::Transport { message: "the disk is full".into() }),
                        _ => Ok(()),
                    };
                    let agreed = agree(&rank, own);
                    (agreed, rank.all_gather(&[1], &mut [0; 3]))
                })
            })
            .collect();
        let message = agree::<(), CommunicationError>(&first, Ok(())).unwrap_err().to_string();
        assert!(message.contains("rank 2") && message.contains("the disk is full"), "{message}");
        drop(first);
        for (rank, thread) in (1..).zip(threads) {
            let (agreed, gathered) = thread.join().unwrap();
            let (agreed, gathered) = (agreed.unwrap_err().to_string(), gathered.unwrap_err().to_string());
            assert!(agreed.contains("the disk is full") && agreed.contains("rank 2") == (rank == 1), "{agreed}");
            assert!(gathered.contains("has ended"), "{gathered}");
        }
    }
}
