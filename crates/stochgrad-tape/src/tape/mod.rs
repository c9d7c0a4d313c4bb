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
use crate::host_source::HostSource;
use crate::id::{HostRead, Id};
use crate::memory_use::Memory;
use crate::node::Node;
use crate::noise_source::NoiseSeed;
use crate::plate::PlateEntry;
use crate::primitive::Primitive;
use crate::sets::{SetId, SetTable, SiteId};
use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::Location;
use std::sync::Arc;
use stochgrad_tensor::{Pool, Real, Tensor};

/// A record of operations, evaluated as they are recorded.
///
/// A tape is not shared between threads; several tapes live side by side without knowing of one another.
pub struct Tape<F: Real> {
    pub(crate) inner: RefCell<Inner<F>>,
    pub(crate) pool: Pool<F>,
}

pub(crate) struct Inner<F: Real> {
    pub(crate) nodes: Vec<Node<F>>,
    pub(crate) plates: Vec<PlateEntry>,
    pub(crate) sets: SetTable,
    /// Sites on whose value host code may have branched: ancestors of everything recorded from now on.
    pub(crate) control: SetId,
    /// Where host code has read values, on which it may have branched.
    pub(crate) branches: Vec<HostRead>,
    pub(crate) error: Option<TapeError>,
    pub(crate) primitives: Vec<Arc<dyn Primitive<F>>>,
    pub(crate) hosts: Vec<HostSource>,
    /// What decides the noise, once there is some.
    pub(crate) noise: Option<NoiseSeed>,
    /// Where host code has looked at values.
    pub(crate) peeks: Vec<HostRead>,
    pub(crate) sites: u32,
    /// Sites whose sampled value lets no gradient through.
    pub(crate) closed: HashSet<SiteId>,
    pub(crate) located: Option<&'static Location<'static>>,
    pub(crate) scratch: Option<Scratch>,
    /// The value whose derivative rule is being recorded.
    pub(crate) rule_of: Id,
    /// Stands where a value was given back before its node was.
    pub(crate) placeholder: Tensor<F>,
    pub(crate) generation: u32,
    pub(crate) memory: Memory,
    /// Whether a graph was begun.
    pub(crate) begun: bool,
}

/// Bookkeeping of a first-order backward pass, whose nodes are dropped as soon as nothing needs them.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// Nodes from here on belong to the pass.
    pub(crate) base: usize,
    /// Slots whose values were given back.
    pub(crate) free: Vec<u32>,
    /// Slots filled since the last clean-up.
    pub(crate) created: Vec<u32>,
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
            let inputs: Vec<u32> = node.inputs.iter().map(|id| id.0).collect();
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

    /// An empty tape whose kernels may use several threads. The results are the same for any number.
    pub fn with_threads(threads: usize) -> Self {
        Self::with_pool(Pool::with_threads(threads))
    }

    fn with_pool(pool: Pool<F>) -> Self {
        let placeholder = Tensor::scalar(F::ZERO);
        // Tapes that live side by side number their generations from different starts, so that each knows its own
        // plates.
        let address = placeholder.as_slice().as_ptr() as usize as u64;
        let generation = (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32;
        let inner = Inner {
            nodes: Vec::new(),
            plates: Vec::new(),
            sets: SetTable::new(),
            control: SetId::EMPTY,
            branches: Vec::new(),
            error: None,
            primitives: Vec::new(),
            hosts: Vec::new(),
            noise: None,
            peeks: Vec::new(),
            sites: 0,
            closed: HashSet::new(),
            located: None,
            scratch: None,
            rule_of: Id::POISON,
            placeholder,
            generation,
            memory: Memory::new(),
            begun: false,
        };
        Tape { inner: RefCell::new(inner), pool }
    }

    /// The number of threads that kernels may use.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// The pool of buffers behind the values of this tape.
    pub fn pool(&self) -> &Pool<F> {
        &self.pool
    }

    /// How many operations are recorded.
    pub fn len(&self) -> usize {
        self.inner.borrow().nodes.len()
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything; the buffers go back to the pool.
    pub(super) fn clear(&mut self) {
        self.truncate(0);
        let inner = self.inner.get_mut();
        inner.plates.clear();
        inner.sets.clear();
        inner.control = SetId::EMPTY;
        inner.branches.clear();
        inner.error = None;
        inner.primitives.clear();
        inner.hosts.clear();
        inner.noise = None;
        inner.peeks.clear();
        inner.sites = 0;
        inner.closed.clear();
        inner.located = None;
        inner.begun = false;
        inner.generation = inner.generation.wrapping_add(1);
    }

    /// Drops the operations recorded after the first `len`, for instance those of a surrogate that has been
    /// differentiated. Variables that point to them must not be used any more; they fail as variables of another tape
    /// do.
    pub fn truncate(&self, len: usize) {
        let inner = &mut *self.inner.borrow_mut();
        while inner.nodes.len() > len {
            if let Some(node) = inner.nodes.pop() {
                inner.memory.live -= node.own_bytes();
                if node.pooled {
                    self.pool.recycle(node.value);
                }
            }
        }
    }

    /// Says that a graph begins on this tape, which holds one at most: gives whether it is the first since the tape was
    /// made or cleared.
    pub fn begin_graph(&self) -> bool {
        !std::mem::replace(&mut self.inner.borrow_mut().begun, true)
    }
}
