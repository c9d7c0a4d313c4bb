//! Messages between the ranks of one machine, through memory that they share.
//!
//! Between two processes, MPI copies a large message with the help of the kernel, which was measured at a third of the
//! speed of a copy within a process. Here a rank copies its messages into its outbox, and the others copy them from
//! there, block by block, so that the blocks stay in the caches.

use std::cell::Cell;
use std::ptr::null_mut;

use mpi::ffi;
use mpi::raw::AsRaw as _;
use mpi::topology::{Communicator as _, SimpleCommunicator};
use mpi::traits::CommunicatorCollectives as _;

/// The most bytes of a block from one rank to another.
const LARGEST_BLOCK: usize = 1 << 17;

/// The fewest, with many ranks.
const SMALLEST_BLOCK: usize = 1 << 12;

/// The most bytes of all blocks of a half of an outbox, as long as they are not the smallest ones.
const HALF: usize = 1 << 18;

/// The outboxes of all ranks.
///
/// An outbox has two halves, which are used in turn: a rank may write to one half while others still read the other
/// one. A half starts with a header: for each rank, the number of bytes in the block for it, and whether messages to any
/// rank are left. The blocks follow.
pub(crate) struct SharedMemory {
    rank: usize,
    window: ffi::MPI_Win,
    /// The starts of the outboxes.
    outboxes: Vec<*mut u8>,
    /// The largest number of bytes of a block.
    block: usize,
    /// The half that is written next.
    half: Cell<usize>,
}

impl SharedMemory {
    /// The shared memory of all ranks; `None` if they are on several machines, or MPI cannot share memory.
    #[allow(unsafe_code)]
    pub(crate) fn new(world: &SimpleCommunicator) -> Option<Self> {
        let machine = world.split_shared(world.rank());
        let (rank, size) = (machine.rank() as usize, machine.size() as usize);
        // All ranks of a machine with others see the same, so that they return together.
        if size == 1 || size != world.size() as usize {
            return None;
        }
        let block = (HALF / (size - 1)).clamp(SMALLEST_BLOCK, LARGEST_BLOCK);
        let bytes = 2 * half_bytes(size, block);
        let mut window = std::mem::MaybeUninit::<ffi::MPI_Win>::uninit();
        let mut base: *mut u8 = null_mut();
        // SAFETY: The handles are valid, and MPI writes those of the window and the memory to their places. Errors are
        // returned instead of ending the program, since there is another way to send messages.
        let code = unsafe {
            ffi::MPI_Comm_set_errhandler(machine.as_raw(), ffi::RSMPI_ERRORS_RETURN);
            ffi::MPI_Win_allocate_shared(
                bytes as ffi::MPI_Aint,
                1,
                ffi::RSMPI_INFO_NULL,
                machine.as_raw(),
                (&raw mut base).cast(),
                window.as_mut_ptr(),
            )
        };
        let mut codes = vec![0; size];
        machine.all_gather_into(&code, &mut codes[..]);
        if codes.iter().any(|&code| code != 0) {
            return None;
        }
        // SAFETY: MPI has made the window.
        let window = unsafe { window.assume_init() };
        let outbox = |rank: usize| {
            let (mut base, mut bytes, mut unit): (*mut u8, ffi::MPI_Aint, _) = (null_mut(), 0, 0);
            // SAFETY: The window is one of shared memory with this rank, and the places are valid.
            unsafe {
                ffi::MPI_Win_shared_query(window, rank as _, &mut bytes, &mut unit, (&raw mut base).cast());
            }
            base
        };
        let outboxes: Vec<*mut u8> = (0..size).map(outbox).collect();
        let own = SharedMemory { rank, window, outboxes, block, half: Cell::new(0) };
        own.wait();
        Some(own)
    }

    /// Sends and receives messages, as [`Communicator::exchange`](stochgrad_tape::Communicator::exchange).
    ///
    /// # Errors
    ///
    /// A rank whose messages have other lengths than their places.
    pub(crate) fn exchange(&self, sent: &[(usize, &[u8])], received: &mut [(usize, &mut [u8])]) -> Result<(), usize> {
        let size = self.outboxes.len();
        let mut outgoing: Vec<_> = (0..size).map(|to| Queue::new(sent.iter().filter(move |m| m.0 == to))).collect();
        let mut places: Vec<Vec<&mut [u8]>> = (0..size).map(|_| Vec::new()).collect();
        // The next place is the last one of the list.
        for (from, place) in received.iter_mut().rev().filter(|(_, place)| !place.is_empty()) {
            places[*from].push(place);
        }
        let mut differs = None;
        loop {
            let half = self.half.replace(1 - self.half.get());
            for (to, queue) in outgoing.iter_mut().enumerate() {
                self.write(half, to, queue);
            }
            self.write_word(half, size, u64::from(outgoing.iter().any(|queue| !queue.is_empty())));
            self.wait();
            for (from, places) in places.iter_mut().enumerate() {
                if !self.read(half, from, places) {
                    differs = Some(from);
                }
            }
            if (0..size).all(|rank| self.word(half, rank, size) == 0) {
                break;
            }
        }
        match differs.or_else(|| places.iter().position(|places| !places.is_empty())) {
            Some(rank) => Err(rank),
            None => Ok(()),
        }
    }

    /// Writes the next block of the messages to a rank.
    fn write(&self, half: usize, to: usize, queue: &mut Queue<'_>) {
        let mut written = 0;
        while written < self.block {
            let Some(part) = queue.next(self.block - written) else { break };
            self.copy_to(half, self.start_of_block(to) + written, part);
            written += part.len();
        }
        self.write_word(half, to, written as u64);
    }

    /// Copies the block from a rank to the places for its messages, of which the next is the last one of the list.
    /// Returns false if there are too few places.
    fn read(&self, half: usize, from: usize, places: &mut Vec<&mut [u8]>) -> bool {
        let length = self.word(half, from, self.rank) as usize;
        let mut read = 0;
        while read < length {
            let Some(place) = places.pop() else { return false };
            let (now, later) = place.split_at_mut(place.len().min(length - read));
            self.copy_from(half, from, self.start_of_block(self.rank) + read, now);
            read += now.len();
            if !later.is_empty() {
                places.push(later);
            }
        }
        true
    }

    fn start_of_block(&self, to: usize) -> usize {
        header_bytes(self.outboxes.len()) + to * self.block
    }

    /// Copies bytes to a half of the outbox of this rank.
    #[allow(unsafe_code)]
    fn copy_to(&self, half: usize, start: usize, bytes: &[u8]) {
        let half_bytes = half_bytes(self.outboxes.len(), self.block);
        assert!(half < 2 && start + bytes.len() <= half_bytes, "the bytes fit into the outbox");
        // SAFETY: The place is within the outbox of this rank, and no other rank reads this half before all have waited.
        unsafe {
            let to = self.outboxes[self.rank].add(half * half_bytes + start);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
    }

    /// Copies bytes from a half of the outbox of a rank.
    #[allow(unsafe_code)]
    fn copy_from(&self, half: usize, rank: usize, start: usize, bytes: &mut [u8]) {
        let half_bytes = half_bytes(self.outboxes.len(), self.block);
        assert!(half < 2 && start + bytes.len() <= half_bytes, "the bytes are within the outbox");
        // SAFETY: The place is within the outbox of the rank, which does not write to this half before all have waited
        // once more.
        unsafe {
            let from = self.outboxes[rank].add(half * half_bytes + start);
            std::ptr::copy_nonoverlapping(from.cast_const(), bytes.as_mut_ptr(), bytes.len());
        }
    }

    fn write_word(&self, half: usize, position: usize, word: u64) {
        self.copy_to(half, position * size_of::<u64>(), &word.to_ne_bytes());
    }

    /// A word of the header of a rank.
    fn word(&self, half: usize, rank: usize, position: usize) -> u64 {
        let mut bytes = [0; size_of::<u64>()];
        self.copy_from(half, rank, position * size_of::<u64>(), &mut bytes);
        u64::from_ne_bytes(bytes)
    }

    /// Waits for all ranks. What they have written before can be read after it.
    #[allow(unsafe_code)]
    fn wait(&self) {
        // SAFETY: The window is valid, and all ranks call this.
        unsafe {
            ffi::MPI_Win_fence(0, self.window);
        }
    }
}

impl Drop for SharedMemory {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: The window is valid, MPI has not ended, and nothing uses the memory any longer.
        unsafe {
            ffi::MPI_Win_free(&mut self.window);
        }
    }
}

/// The bytes of the header of a half of an outbox, so that the blocks start at lines of the caches.
fn header_bytes(size: usize) -> usize {
    ((size + 1) * size_of::<u64>()).next_multiple_of(64)
}

/// The bytes of a half of an outbox.
fn half_bytes(size: usize, block: usize) -> usize {
    header_bytes(size) + size * block
}

/// The messages to a rank that are left.
struct Queue<'a> {
    messages: Vec<&'a [u8]>,
    /// The number of those that are sent, and the number of bytes of the next one.
    next: (usize, usize),
}

impl<'a> Queue<'a> {
    fn new(messages: impl Iterator<Item = &'a (usize, &'a [u8])>) -> Self {
        let messages = messages.map(|(_, message)| *message).filter(|message| !message.is_empty());
        Queue { messages: messages.collect(), next: (0, 0) }
    }

    fn is_empty(&self) -> bool {
        self.next.0 == self.messages.len()
    }

    /// The next bytes of a message, at most some number of them.
    fn next(&mut self, most: usize) -> Option<&'a [u8]> {
        let (number, start) = self.next;
        let message = self.messages.get(number)?;
        let end = message.len().min(start + most);
        self.next = if end == message.len() { (number + 1, 0) } else { (number, end) };
        Some(&message[start..end])
    }
}
