//! The tape: storage of recorded operations, plates and ancestor sets.

mod into_tensor;
mod plates;
mod workspace;

pub use into_tensor::IntoTensor;
pub use workspace::Workspace;

use crate::error::{TapeError, TapeResult};
use crate::host_source::HostSource;
use crate::id::{HostRead, Id, Inputs};
use crate::memory_use::Memory;
use crate::node::Node;
use crate::noise_source::NoiseSeed;
use crate::op::{Op, Smoothness};
use crate::plate::{Plate, PlateEntry, Plates, merge};
use crate::primitive::Primitive;
use crate::sets::{SetId, SetTable, SiteId};
use crate::var::Var;
use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::Location;
use std::sync::Arc;
use stochgrad_tensor::{Pool, Real, Shape, Tensor};

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

impl<F: Real> Inner<F> {
    /// How the value of a node depends on one of its operands. A custom primitive answers for itself.
    pub(crate) fn smoothness(&self, node: &Node<F>, input: usize) -> Smoothness {
        match &node.op {
            Op::Custom(number) => self.primitives[*number as usize].smoothness(input),
            op => op.smoothness(input),
        }
    }

    /// Whether an operation returns a buffer of the pool.
    pub(crate) fn takes_from_pool(&self, op: &Op) -> bool {
        match op {
            Op::Custom(number) => self.primitives[*number as usize].takes_from_pool(),
            _ => true,
        }
    }

    /// Whether a derivative flows from the value of a node to one of its operands.
    pub(crate) fn passes_gradient(&self, node: &Node<F>, input: usize) -> bool {
        match &node.op {
            Op::Custom(_) => self.smoothness(node, input).passes_gradient(),
            op => op.passes_gradient(input),
        }
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

    /// A trainable leaf.
    #[track_caller]
    pub fn parameter(&self, value: impl IntoTensor<F>) -> Var<'_, F> {
        let (value, pooled) = value.into_pooled(&self.pool);
        self.leaf(value, pooled, Plates::new(), true)
    }

    /// A leaf that needs no gradient.
    #[track_caller]
    pub fn constant(&self, value: impl IntoTensor<F>) -> Var<'_, F> {
        let (value, pooled) = value.into_pooled(&self.pool);
        self.leaf(value, pooled, Plates::new(), false)
    }

    /// A constant whose leading axes are the given plates, in the order in which the plates were made.
    #[track_caller]
    pub fn constant_on(&self, plates: &[Plate], value: impl IntoTensor<F>) -> Var<'_, F> {
        self.leaf_on(plates, value, false)
    }

    /// A trainable leaf whose leading axes are the given plates: a value for each member.
    #[track_caller]
    pub fn parameter_on(&self, plates: &[Plate], value: impl IntoTensor<F>) -> Var<'_, F> {
        self.leaf_on(plates, value, true)
    }

    #[track_caller]
    fn leaf_on(&self, plates: &[Plate], value: impl IntoTensor<F>, trainable: bool) -> Var<'_, F> {
        let (value, pooled) = value.into_pooled(&self.pool);
        let mut sorted = Plates::new();
        merge(&mut sorted, plates);
        if let Err(error) = self.own_plates(plates, Location::caller()) {
            return self.fail(error);
        }
        let sizes: Shape = plates.iter().map(|&plate| self.plate_size(plate)).collect();
        if sorted.as_slice() != plates || value.shape().len() < sizes.len() || value.shape()[..sizes.len()] != sizes[..]
        {
            return self.fail(TapeError::Operand {
                op: if trainable { "parameter_on" } else { "constant_on" }.into(),
                problem: format!("expected leading axes {sizes} for the plates {}", self.plate_names(plates)),
                shape: value.shape().clone(),
                plates: String::new(),
                at: Location::caller(),
            });
        }
        self.leaf(value, pooled, sorted, trainable)
    }

    #[track_caller]
    fn leaf(&self, value: Tensor<F>, pooled: bool, plates: Plates, trainable: bool) -> Var<'_, F> {
        let id = self.push(Op::Leaf { trainable }, Inputs::new(), value, pooled, plates, Location::caller());
        Var { tape: self, id }
    }

    /// A constant with the same number everywhere, in a buffer of the pool.
    #[track_caller]
    pub(crate) fn filled(&self, shape: Shape, number: F) -> Var<'_, F> {
        self.leaf(self.pool.full(shape, number), true, Plates::new(), false)
    }

    pub(crate) fn push(
        &self,
        op: Op,
        inputs: Inputs,
        value: Tensor<F>,
        mut pooled: bool,
        plates: Plates,
        location: &'static Location<'static>,
    ) -> Id {
        let inner = &mut *self.inner.borrow_mut();
        let mut ancestors = inner.control;
        let mut owns = true;
        for &input in &inputs {
            let node = &inner.nodes[input.index()];
            let shared = node.value.shares_buffer_with(&value);
            owns &= !shared;
            pooled &= node.pooled || !shared;
            ancestors = inner.sets.union(ancestors, node.ancestors);
        }
        if let Op::Sample(site) = op {
            ancestors = inner.sets.insert(ancestors, site);
        }
        let location = inner.located.unwrap_or(location);
        let rule_of = inner.rule_of;
        let node = Node { op, inputs, value, pooled, owns, plates, ancestors, location, rule_of };
        inner.memory.live += node.own_bytes();
        if let Some(scratch) = &mut inner.scratch {
            let slot = scratch.free.pop();
            let index = slot.unwrap_or(inner.nodes.len() as u32);
            scratch.created.push(index);
            if slot.is_some() {
                inner.nodes[index as usize] = node;
                return Id(index);
            }
        }
        inner.nodes.push(node);
        Id(inner.nodes.len() as u32 - 1)
    }

    /// Records an operation and evaluates it; on unusable operands records the error and poisons the result.
    pub(crate) fn apply(&self, op: Op, inputs: &[Id], location: &'static Location<'static>) -> Id {
        if inputs.contains(&Id::POISON) {
            return Id::POISON;
        }
        let len = self.len();
        if inputs.iter().any(|id| id.index() >= len) {
            return self.fail(TapeError::Foreign { what: "a variable".into(), at: location }).id;
        }
        if let Err(error) = self.check_room(&op, inputs, location) {
            return self.fail(error).id;
        }
        match self.evaluate(&op, inputs) {
            Ok((value, plates)) => {
                let pooled = self.inner.borrow().takes_from_pool(&op);
                self.push(op, Inputs::from_slice(inputs), value, pooled, plates, location)
            }
            Err(fault) => {
                let location = self.inner.borrow().located.unwrap_or(location);
                self.fail(fault.into_error(&op, location)).id
            }
        }
    }

    /// Applies a user's own primitive.
    #[track_caller]
    pub fn custom<'t>(&'t self, primitive: Arc<dyn Primitive<F>>, inputs: &[Var<'t, F>]) -> Var<'t, F> {
        let number = {
            let mut inner = self.inner.borrow_mut();
            inner.primitives.push(primitive);
            inner.primitives.len() as u32 - 1
        };
        let location = Location::caller();
        match self.own(inputs, location) {
            Ok(ids) => Var { tape: self, id: self.apply(Op::Custom(number), &ids, location) },
            Err(error) => self.fail(error),
        }
    }

    /// Says that a graph begins on this tape, which holds one at most: gives whether it is the first since the tape was
    /// made or cleared.
    pub fn begin_graph(&self) -> bool {
        !std::mem::replace(&mut self.inner.borrow_mut().begun, true)
    }

    /// A new stochastic site.
    pub fn new_site(&self) -> SiteId {
        let mut inner = self.inner.borrow_mut();
        inner.sites += 1;
        SiteId(inner.sites - 1)
    }

    /// How many stochastic sites there are.
    pub fn site_count(&self) -> usize {
        self.inner.borrow().sites as usize
    }

    /// Records the value of a stochastic node together with the parameters of its distribution, so that what is
    /// computed from it descends from the node and from whatever its parameters descend from. Gradients flow to `value`
    /// only.
    #[track_caller]
    pub fn sample<'t>(&'t self, site: SiteId, value: Var<'t, F>, parameters: &[Var<'t, F>]) -> Var<'t, F> {
        let location = Location::caller();
        let mut inputs = vec![value];
        inputs.extend_from_slice(parameters);
        match self.own(&inputs, location) {
            Ok(ids) => Var { tape: self, id: self.apply(Op::Sample(site), &ids, location) },
            Err(error) => self.fail(error),
        }
    }

    /// Lets no gradient through the sampled value of a site, or lets it through again.
    pub fn set_closed(&self, site: SiteId, closed: bool) {
        let mut inner = self.inner.borrow_mut();
        if closed {
            inner.closed.insert(site);
        } else {
            inner.closed.remove(&site);
        }
    }

    /// Records an error, to be returned by the next fallible call unless there was one before, and gives a poisoned
    /// variable.
    pub fn fail(&self, error: TapeError) -> Var<'_, F> {
        self.inner.borrow_mut().error.get_or_insert(error);
        Var { tape: self, id: Id::POISON }
    }

    /// The first error recorded so far.
    ///
    /// # Errors
    /// That error.
    pub fn check(&self) -> TapeResult<()> {
        match &self.inner.borrow().error {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Runs `record` with every operation attributed to the given place in the user's source.
    pub fn located<R>(&self, at: &'static Location<'static>, record: impl FnOnce() -> R) -> R {
        let before = self.inner.borrow_mut().located.replace(at);
        let result = record();
        self.inner.borrow_mut().located = before;
        result
    }

    /// The variable at a position.
    ///
    /// # Errors
    /// If the tape has no such position.
    #[track_caller]
    pub fn var(&self, id: Id) -> TapeResult<Var<'_, F>> {
        if id.index() < self.len() {
            Ok(Var { tape: self, id })
        } else {
            Err(TapeError::Foreign { what: format!("position {}", id.0), at: Location::caller() })
        }
    }

    /// The positions of variables, all of which must be of this tape.
    pub(crate) fn own(&self, vars: &[Var<'_, F>], at: &'static Location<'static>) -> TapeResult<Inputs> {
        let len = self.len();
        vars.iter()
            .map(|var| {
                let known = var.is_poisoned() || var.id.index() < len;
                if std::ptr::eq(var.tape, self) && known {
                    Ok(var.id)
                } else {
                    Err(TapeError::Foreign { what: "a variable".into(), at })
                }
            })
            .collect()
    }

    pub(crate) fn own_plates(&self, plates: &[Plate], at: &'static Location<'static>) -> TapeResult<()> {
        let inner = self.inner.borrow();
        for plate in plates {
            if plate.generation != inner.generation || plate.index as usize >= inner.plates.len() {
                return Err(TapeError::Foreign { what: format!("plate {}", plate.index), at });
            }
        }
        Ok(())
    }

    pub(crate) fn note_peek(&self, id: Id, location: &'static Location<'static>) {
        let inner = &mut *self.inner.borrow_mut();
        let recorded_before = inner.nodes.len();
        let location = inner.located.unwrap_or(location);
        let again = inner.peeks.last().is_some_and(|last| last.id == id && last.recorded_before == recorded_before);
        if !again {
            inner.peeks.push(HostRead { id, recorded_before, location });
        }
    }

    /// Says that host code makes what is recorded from now on of something that changes from run to run, such as noise
    /// of its own: a program cannot repeat it, and [`compile`](Tape::compile) refuses.
    #[track_caller]
    pub fn note_host_work(&self) {
        self.note_peek(Id::POISON, Location::caller());
    }

    /// What host code has read so far.
    pub fn host_reads(&self) -> Vec<HostRead> {
        self.inner.borrow().branches.clone()
    }

    /// How a recorded value depends on one of its inputs, custom primitives included.
    pub fn smoothness(&self, var: Var<'_, F>, input: usize) -> Smoothness {
        let inner = self.inner.borrow();
        inner.nodes.get(var.id.index()).map_or(Smoothness::Constant, |node| inner.smoothness(node, input))
    }

    /// The operation that made a value, in words: a custom primitive by its own name.
    pub fn operation_name(&self, var: Var<'_, F>) -> Option<String> {
        let inner = self.inner.borrow();
        Some(match &inner.nodes.get(var.id.index())?.op {
            Op::Custom(number) => inner.primitives[*number as usize].name().into(),
            op => op.to_string(),
        })
    }

    /// The words of a set of sites: bit `i` of word `w` stands for site `64 w + i`.
    pub fn set_words(&self, set: SetId) -> Vec<u64> {
        self.inner.borrow().sets.words(set).to_vec()
    }

    /// The sites of a set, in rising order.
    pub fn sites(&self, set: SetId) -> Vec<SiteId> {
        let mut sites = Vec::new();
        for (index, &word) in self.inner.borrow().sets.words(set).iter().enumerate() {
            let mut rest = word;
            while rest != 0 {
                sites.push(SiteId(index as u32 * 64 + rest.trailing_zeros()));
                rest &= rest - 1;
            }
        }
        sites
    }

    /// Whether a site is in a set.
    pub fn set_contains(&self, set: SetId, site: SiteId) -> bool {
        self.inner
            .borrow()
            .sets
            .words(set)
            .get((site.0 / 64) as usize)
            .is_some_and(|word| word >> (site.0 % 64) & 1 == 1)
    }
}
