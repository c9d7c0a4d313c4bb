//! The processes of MPI as ranks.

use mpi::environment::Universe;
use mpi::topology::{Communicator as _, SimpleCommunicator};
use mpi::traits::{CommunicatorCollectives as _, Destination as _, Source as _};
use stochgrad_tape::{CommunicationError, Communicator};

use crate::shared_memory::SharedMemory;

/// The number of bytes of the longest message of MPI, which counts them with 32 bits. Longer ones are sent in parts.
const LONGEST: usize = 1 << 30;

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
    /// For messages, if all ranks are on one machine.
    memory: Option<SharedMemory>,
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
        let world = universe.world();
        Ok(MpiRanks { memory: SharedMemory::new(&world), world, _universe: universe })
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

    fn exchange(&self, sent: &[(usize, &[u8])], received: &mut [(usize, &mut [u8])]) -> Result<(), CommunicationError> {
        if let Some(memory) = &self.memory {
            return memory.exchange(sent, received).map_err(|rank| {
                let message = format!("the messages of rank {rank} have other lengths than their places");
                CommunicationError::Transport { message }
            });
        }
        mpi::request::multiple_scope(sent.len() + received.len(), |scope, requests| {
            // Messages that are expected need no buffer of MPI.
            for (from, place) in received {
                let from = self.world.process_at_rank(*from as i32);
                for part in place.chunks_mut(LONGEST) {
                    requests.add(from.immediate_receive_into(scope, part));
                }
            }
            for (to, message) in sent {
                let to = self.world.process_at_rank(*to as i32);
                for part in message.chunks(LONGEST) {
                    requests.add(to.immediate_send(scope, part));
                }
            }
            requests.wait_all(&mut Vec::new());
        });
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
