//! The processes of MPI as ranks.

use mpi::environment::Universe;
use mpi::topology::{Communicator as _, SimpleCommunicator};
use mpi::traits::CommunicatorCollectives as _;
use stochgrad_tape::{CommunicationError, Communicator};

/// The number of ranks up to which each sends its part to every other one. Beyond, MPI chooses a way by itself.
const FEW: usize = 8;

/// All processes that `mpirun` started together; the only rank in a process that was started without it.
///
/// A process can make it once. MPI ends when it is dropped, which waits for all ranks. After a panic, it ends all ranks
/// instead, since the others would wait for this one.
///
/// ```no_run
/// use std::rc::Rc;
/// use stochgrad_mpi::MpiRanks;
/// use stochgrad_tape::{Communicator, Shards};
///
/// # fn main() -> Result<(), stochgrad_tape::TapeError> {
/// let ranks = Rc::new(MpiRanks::new()?);
/// println!("rank {} of {}", ranks.rank(), ranks.size());
/// let shards = Shards::<f32>::new(4, ranks)?;
/// # Ok(())
/// # }
/// ```
pub struct MpiRanks {
    world: SimpleCommunicator,
    // Dropped last: this ends MPI.
    _universe: Universe,
}

impl MpiRanks {
    /// Starts MPI.
    ///
    /// # Errors
    ///
    /// If it was started before.
    pub fn new() -> Result<Self, CommunicationError> {
        let Some(universe) = mpi::initialize() else {
            let message = "MPI was started before; make one MpiRanks for each process, and share it".into();
            return Err(CommunicationError::Transport { message });
        };
        Ok(MpiRanks { world: universe.world(), _universe: universe })
    }

    /// Ends the processes of all ranks, with an exit status that tells `mpirun` of a failure.
    pub fn abort(&self) -> ! {
        self.world.abort(1)
    }
}

impl Communicator for MpiRanks {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.world.size() as usize
    }

    fn all_gather(&self, part: &[u8], all: &mut [u8]) -> Result<(), CommunicationError> {
        if i32::try_from(all.len()).is_err() {
            let message = format!("expected at most {} bytes in one message, got {}", i32::MAX, all.len());
            return Err(CommunicationError::Transport { message });
        }
        self.world.all_gather_into(part, all);
        Ok(())
    }

    fn all_gather_in_place(&self, all: &mut [u8]) -> Result<(), CommunicationError> {
        let (rank, size) = (self.rank(), self.size());
        let length = all.len() / size;
        if size > FEW || i32::try_from(length).is_err() {
            let part = all[rank * length..][..length].to_vec();
            return self.all_gather(&part, all);
        }
        for distance in 1..size {
            let [to, from] = [(rank + distance) % size, (rank + size - distance) % size];
            // The parts of this rank and of the other one, of which one comes first.
            let (before, after) = all.split_at_mut(rank.max(from) * length);
            let (own, other) = match rank < from {
                true => (&before[rank * length..][..length], &mut after[..length]),
                false => (&after[..length], &mut before[from * length..][..length]),
            };
            let [to, from] = [to, from].map(|rank| self.world.process_at_rank(rank as i32));
            mpi::point_to_point::send_receive_into(own, &to, other, &from);
        }
        Ok(())
    }
}

impl Drop for MpiRanks {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.abort();
        }
    }
}

impl std::fmt::Debug for MpiRanks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MpiRanks({} of {})", self.rank(), self.size())
    }
}
