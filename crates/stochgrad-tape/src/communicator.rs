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
/// Every rank calls the same functions in the same order. All that the engine needs is to gather bytes of all ranks; it
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

    /// Gathers the parts of all other ranks: the part of this rank is already at its place in `all`, which is divided as
    /// in [`all_gather`](Self::all_gather). A transport can save copies of large parts here.
    ///
    /// # Errors
    /// As [`all_gather`](Self::all_gather).
    fn all_gather_in_place(&self, all: &mut [u8]) -> Result<(), CommunicationError> {
        let length = all.len() / self.size();
        let part = all[self.rank() * length..][..length].to_vec();
        self.all_gather(&part, all)
    }
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
