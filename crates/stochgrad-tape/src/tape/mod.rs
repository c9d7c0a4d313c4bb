//! The tape: storage of recorded operations, plates and ancestor sets.

mod faults;
mod host_reads;
mod into_tensor;
mod leaves;
mod plates;
mod record;
mod sites;
mod workspace;

pub use into_tensor::IntoTensor;
pub use workspace::Workspace;

use crate::error::TapeError;
use crate::id::{HostRead, Id};
use crate::memory_use::Memory;
use crate::node::Node;
use crate::noise_source::NoiseSeed;
use crate::plate::PlateEntry;
use crate::primitive::Primitive;
use crate::requirement::Required;
use crate::sampler::Sampler;
use crate::sets::{SetId, SetTable, SiteId};
use crate::slot::Slot;
use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::Range;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use stochgrad_tensor::{Pool, Real, Tensor};

/// A record of operations, which are evaluated as they are recorded.
///
/// Every [`Var`](crate::Var) points into its tape. A tape belongs to one thread, and several tapes are independent of
/// each other. Use [`Workspace`] to reuse the buffers of a tape from step to step.
pub struct Tape<F: Real> {
    pub(crate) inner: RefCell<Inner<F>>,
    pub(crate) pool: Pool<F>,
}

pub(crate) struct Inner<F: Real> {
    pub(crate) nodes: Vec<Node<F>>,
    pub(crate) plates: Vec<PlateEntry>,
    /// Whether one of the plates is a shard.
    pub(crate) has_shards: bool,
    pub(crate) sets: SetTable,
    /// The sites on whose values host code may have branched. All values recorded from now on depend on them.
    pub(crate) control: SetId,
    /// The places where host code has read values, on which it may have branched.
    pub(crate) branches: Vec<HostRead>,
    pub(crate) error: Option<TapeError>,
    pub(crate) primitives: Vec<Arc<dyn Primitive<F>>>,
    pub(crate) samplers: Vec<Arc<dyn Sampler<F>>>,
    pub(crate) slots: Vec<Slot>,
    /// The seed of all noise, once there is some.
    pub(crate) noise: Option<NoiseSeed>,
    /// The places where host code has read values without branching on them.
    pub(crate) peeks: Vec<HostRead>,
    /// What values are required to be.
    pub(crate) requirements: Vec<Required>,
    /// The ranges of operations that compiled programs compute again for derivatives.
    pub(crate) recomputed: Vec<Range<usize>>,
    /// The number of the recomputation that each operation belongs to, 0 for none. Shorter than the list of nodes, or
    /// empty, if no later operation is a recomputation.
    pub(crate) recomputations: Vec<u32>,
    pub(crate) sites: u32,
    /// The sites whose sampled values pass no gradient.
    pub(crate) closed: HashSet<SiteId>,
    pub(crate) located: Option<&'static Location<'static>>,
    pub(crate) scratch: Option<Scratch>,
    /// The value whose derivative rule is being recorded.
    pub(crate) rule_of: Id,
    /// Replaces values that were freed before their node.
    pub(crate) placeholder: Tensor<F>,
    pub(crate) generation: u32,
    /// The stamp of the values that are recorded from now on. It changes whenever values are removed.
    pub(crate) stamp: u32,
    pub(crate) memory: Memory,
    /// Whether a graph was started on this tape.
    pub(crate) begun: bool,
}

/// Bookkeeping of a first-order backward pass, whose nodes are freed as soon as they are no longer needed.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// The first node of the pass.
    pub(crate) base: usize,
    /// Slots whose values were freed.
    pub(crate) free: Vec<u32>,
    /// Slots filled since the last clean-up.
    pub(crate) created: Vec<u32>,
}

/// The number of tapes that were made in this process.
static TAPES: AtomicU32 = AtomicU32::new(0);

/// A stamp that no value has for a long time before and after. 0 is the stamp of removed values.
fn next_stamp(stamp: u32) -> u32 {
    stamp.wrapping_add(1).max(1)
}

impl<F: Real> Inner<F> {
    /// The node of a value of this tape that was not removed.
    #[inline]
    pub(crate) fn node(&self, id: Id) -> Option<&Node<F>> {
        self.nodes.get(id.index()).filter(|node| node.stamp == id.stamp)
    }

    /// The handle to the value at a position that is in use.
    #[inline]
    pub(crate) fn id(&self, position: usize) -> Id {
        self.nodes[position].id(position)
    }
}

impl<F: Real> Default for Tape<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Real> std::fmt::Debug for Tape<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let inner = self.inner.borrow();
        writeln!(f, "Tape<{}> with {} operations", F::NAME, inner.nodes.len())?;
        for (index, node) in inner.nodes.iter().enumerate() {
            let inputs: Vec<u32> = node.inputs.iter().map(|id| id.position).collect();
            writeln!(f, "  %{index} = {}{inputs:?} : {}", node.op, node.value.shape())?;
        }
        Ok(())
    }
}

impl<F: Real> Tape<F> {
    /// An empty tape whose kernels run on the calling thread.
    pub fn new() -> Self {
        Self::with_pool(Pool::new())
    }

    /// An empty tape whose kernels may use several threads. The results do not depend on their number.
    pub fn with_threads(threads: usize) -> Self {
        Self::with_pool(Pool::with_threads(threads))
    }

    fn with_pool(pool: Pool<F>) -> Self {
        let placeholder = Tensor::scalar(F::ZERO);
        // The generations of different tapes start at different numbers, so that each tape recognises its own plates
        // and values.
        let generation = TAPES.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9);
        let inner = Inner {
            nodes: Vec::new(),
            plates: Vec::new(),
            has_shards: false,
            sets: SetTable::new(),
            control: SetId::EMPTY,
            branches: Vec::new(),
            error: None,
            primitives: Vec::new(),
            samplers: Vec::new(),
            slots: Vec::new(),
            noise: None,
            peeks: Vec::new(),
            requirements: Vec::new(),
            recomputed: Vec::new(),
            recomputations: Vec::new(),
            sites: 0,
            closed: HashSet::new(),
            located: None,
            scratch: None,
            rule_of: Id::POISON,
            placeholder,
            generation,
            stamp: next_stamp(generation),
            memory: Memory::new(),
            begun: false,
        };
        Tape { inner: RefCell::new(inner), pool }
    }

    /// The number of threads that kernels may use.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// The pool that provides the buffers of the values.
    pub fn pool(&self) -> &Pool<F> {
        &self.pool
    }

    /// The number of recorded operations.
    pub fn len(&self) -> usize {
        self.inner.borrow().nodes.len()
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes everything from the tape. The buffers go back to the pool.
    pub(super) fn clear(&mut self) {
        self.truncate(0);
        let inner = self.inner.get_mut();
        inner.plates.clear();
        inner.has_shards = false;
        inner.sets.clear();
        inner.control = SetId::EMPTY;
        inner.branches.clear();
        inner.error = None;
        inner.primitives.clear();
        inner.samplers.clear();
        inner.slots.clear();
        inner.noise = None;
        inner.peeks.clear();
        inner.requirements.clear();
        inner.recomputed.clear();
        inner.sites = 0;
        inner.closed.clear();
        inner.located = None;
        inner.begun = false;
        inner.generation = inner.generation.wrapping_add(1);
    }

    /// Removes all operations after the first `len`, for instance those of a surrogate that has been differentiated.
    /// Using variables or positions of these operations afterwards is an error, as for those of another tape, even if
    /// other operations were recorded in their place. [`Var::shape`](crate::Var::shape) and the other properties that
    /// are not a `Result` are then those of a poisoned variable.
    pub fn truncate(&self, len: usize) {
        let inner = &mut *self.inner.borrow_mut();
        if inner.nodes.len() > len {
            inner.stamp = next_stamp(inner.stamp);
        }
        inner.requirements.retain(|required| required.id.index() < len);
        inner.recomputed.retain(|range| range.end <= len);
        while inner.nodes.len() > len {
            if let Some(node) = inner.nodes.pop() {
                inner.memory.live -= node.own_bytes();
                if node.pooled {
                    self.pool.recycle(node.value);
                }
            }
        }
    }

    /// Marks the start of a graph on this tape, which can hold only one. Returns whether it is the first since the tape
    /// was created or cleared.
    pub fn begin_graph(&self) -> bool {
        !std::mem::replace(&mut self.inner.borrow_mut().begun, true)
    }
}
