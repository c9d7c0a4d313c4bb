//! Communication between the processes, or threads, that hold the shards of a plate.

use std::fmt::Display;

/// An error of a [`Communicator`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommunicationError {
    /// Another rank failed, and told the others.
    #[error("rank {rank} failed: {message}")]
    Rank {
        /// The rank.
        rank: usize,
        /// Its error.
        message: String,
    },
    /// The ranks do not run the same operations.
    #[error("rank {rank} is at another operation: expected {expected}, got {found}; run the same program on all ranks")]
    Order {
        /// The rank that differs from this one.
        rank: usize,
        /// What this rank does.
        expected: String,
        /// What the other rank does.
        found: String,
    },
    /// The number of shards does not fit the number of ranks.
    #[error("expected a number of shards that is a multiple of the number of ranks, {ranks}, got {shards}")]
    Shards {
        /// The number of shards.
        shards: usize,
        /// The number of ranks.
        ranks: usize,
    },
    /// A connection failed.
    #[error("communication between ranks: {message}")]
    Transport {
        /// What happened.
        message: String,
    },
}

/// Ranks that compute together: processes of MPI, threads, or a single process.
///
/// Every rank calls the same functions in the same order. All that the engine needs is to move bytes between ranks; it
/// combines them itself, in the order of the ranks, so that the results do not depend on the transport. All machines
/// must have the same byte order.
///
/// ```
/// use stochgrad_tape::{Communicator, SingleRank};
///
/// let mut all = [0; 3];
/// SingleRank.all_gather(&[1, 2, 3], &mut all)?;
/// assert_eq!((SingleRank.rank(), SingleRank.size(), all), (0, 1, [1, 2, 3]));
/// # Ok::<(), stochgrad_tape::CommunicationError>(())
/// ```
pub trait Communicator {
    /// The number of this rank, from 0.
    fn rank(&self) -> usize;

    /// The number of ranks, at least 1.
    fn size(&self) -> usize;

    /// Gathers parts of the same length from all ranks, in the order of the ranks. The length of `all` is the product of
    /// the length of a part and the number of ranks.
    ///
    /// # Errors
    /// If the connection to another rank failed.
    fn all_gather(&self, part: &[u8], all: &mut [u8]) -> Result<(), CommunicationError>;

    /// Sends messages to other ranks, and receives their messages to this one: pairs of a rank and bytes. The messages
    /// from one rank to another arrive in the order in which they are sent, and each has the length of its place.
    ///
    /// By default, every rank gathers the messages of all ranks. A transport that sends a message only where it is
    /// needed, and without a copy, makes reductions of large values faster.
    ///
    /// ```
    /// use stochgrad_tape::{Communicator, ThreadRank};
    ///
    /// let threads = ThreadRank::group(3).into_iter().map(|rank| {
    ///     std::thread::spawn(move || {
    ///         let [next, previous] = [1, 2].map(|distance| (rank.rank() + distance) % 3);
    ///         let (own, mut received) = ([10 + rank.rank() as u8], [0]);
    ///         rank.exchange(&[(next, &own)], &mut [(previous, &mut received)]).map(|()| received[0])
    ///     })
    /// });
    /// let threads: Vec<_> = threads.collect();
    /// let received = threads.into_iter().map(|thread| thread.join().expect("no panic"));
    /// assert_eq!(received.collect::<Result<Vec<_>, _>>(), Ok(vec![12, 10, 11]));
    /// ```
    ///
    /// # Errors
    /// As [`all_gather`](Self::all_gather), and for a message of another length than its place, if the transport can tell.
    fn exchange(&self, sent: &[(usize, &[u8])], received: &mut [(usize, &mut [u8])]) -> Result<(), CommunicationError> {
        exchange_by_gathering(self, sent, received)
    }
}

/// Gathers all messages of all ranks, and keeps those to this rank.
fn exchange_by_gathering(
    communicator: &(impl Communicator + ?Sized),
    sent: &[(usize, &[u8])],
    received: &mut [(usize, &mut [u8])],
) -> Result<(), CommunicationError> {
    const WORD: usize = size_of::<u64>();
    let (rank, size) = (communicator.rank(), communicator.size());
    // The number of bytes from each rank to each other one.
    let mut lengths = vec![0_u64; size];
    sent.iter().for_each(|(to, message)| lengths[*to] += message.len() as u64);
    let mut all_lengths = vec![0_u64; size * size];
    communicator.all_gather(bytemuck::cast_slice(&lengths), bytemuck::cast_slice_mut(&mut all_lengths))?;
    let totals = all_lengths.chunks_exact(size).map(|lengths| lengths.iter().sum::<u64>() as usize);
    // Parts have the same length on all ranks.
    let longest = totals.max().unwrap_or(0).next_multiple_of(WORD);
    let mut own = Vec::with_capacity(longest);
    for to in 0..size {
        sent.iter().filter(|(rank, _)| *rank == to).for_each(|(_, message)| own.extend_from_slice(message));
    }
    own.resize(longest, 0);
    let mut all = vec![0; longest * size];
    communicator.all_gather(&own, &mut all)?;
    let bounds = |from: usize| {
        let lengths = &all_lengths[from * size..][..size];
        let start = lengths[..rank].iter().sum::<u64>() as usize;
        from * longest + start..from * longest + start + lengths[rank] as usize
    };
    let mut rest: Vec<&[u8]> = (0..size).map(|from| &all[bounds(from)]).collect();
    for (from, place) in received.iter_mut() {
        let Some((message, others)) = rest[*from].split_at_checked(place.len()) else {
            return Err(lengths_differ(*from));
        };
        place.copy_from_slice(message);
        rest[*from] = others;
    }
    match rest.iter().position(|rest| !rest.is_empty()) {
        Some(from) => Err(lengths_differ(from)),
        None => Ok(()),
    }
}

fn lengths_differ(rank: usize) -> CommunicationError {
    let message = format!("the messages of rank {rank} have other lengths than their places");
    CommunicationError::Transport { message }
}

/// The only rank of a process that computes alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SingleRank;

impl Communicator for SingleRank {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_gather(&self, part: &[u8], all: &mut [u8]) -> Result<(), CommunicationError> {
        all.copy_from_slice(part);
        Ok(())
    }
}

/// The number of bytes with which a rank tells the others its error.
const MESSAGE: usize = 1024;

/// The result of this rank, if all ranks succeeded. Otherwise all ranks return an error: those that failed return their
/// own, and the others that of the first rank that failed. Every rank must call this, whether it failed or not.
///
/// Use it for work that only one rank does, such as writing a file, so that no rank waits for another that has stopped.
///
/// ```
/// use stochgrad_tape::{CommunicationError, SingleRank, agree};
///
/// let failed: Result<(), _> = Err(CommunicationError::Transport { message: "the disk is full".into() });
/// assert!(agree(&SingleRank, failed).is_err());
/// assert_eq!(agree::<_, CommunicationError>(&SingleRank, Ok(3)), Ok(3));
/// ```
///
/// # Errors
/// As described.
pub fn agree<T, E: Display + From<CommunicationError>>(
    communicator: &dyn Communicator,
    result: Result<T, E>,
) -> Result<T, E> {
    if communicator.size() == 1 {
        return result;
    }
    let mut part = [0; MESSAGE];
    if let Err(error) = &result {
        // The first byte says that there is a message.
        part[0] = 1;
        let message = error.to_string();
        let end = message.len().min(MESSAGE - 1);
        part[1..=end].copy_from_slice(&message.as_bytes()[..end]);
    }
    let mut all = vec![0; MESSAGE * communicator.size()];
    communicator.all_gather(&part, &mut all)?;
    let value = result?;
    match all.chunks_exact(MESSAGE).enumerate().find(|(_, message)| message[0] == 1) {
        None => Ok(value),
        Some((rank, message)) => {
            let message = String::from_utf8_lossy(&message[1..]).trim_end_matches('\0').into();
            Err(CommunicationError::Rank { rank, message }.into())
        }
    }
}
