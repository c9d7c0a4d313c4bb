//! The memory limit of a tape, and the memory that the result of an operation needs.
//!
//! The sizes of plates multiply: a few nodes, each with its own plate of samples or states, can need more memory than
//! any machine has. The size of a result is known before it is computed, so the tape returns an error instead of
//! letting the allocation fail.

use crate::error::{TapeError, TapeResult};
use crate::id::Id;
use crate::memory_use::SMALL;
use crate::node::Node;
use crate::op::{Op, PlateReduction};
use crate::plate::{Plate, Plates, merge};
use crate::tape::{Inner, Tape};
use std::panic::Location;
use stochgrad_tensor::{Real, machine_memory};

impl<F: Real> Tape<F> {
    /// Sets the number of bytes that the recorded values may take. An operation whose result would exceed it is an
    /// error, and nothing is allocated. The default is the memory of the machine, or of the control group that the
    /// process runs in; see [`machine_memory`].
    ///
    /// ```
    /// use stochgrad_tape::{PlateKind, Tape};
    ///
    /// let tape = Tape::<f64>::new();
    /// tape.set_memory_limit(1 << 20);
    /// let mut sum = tape.constant(0.0);
    /// for index in 0..40 {
    ///     let plate = tape.plate(&format!("bit {index}"), 2, PlateKind::Enumerated, &[]);
    ///     sum = sum + tape.constant_on(&[plate], [0.0, 1.0]);
    /// }
    /// let error = tape.check().unwrap_err().to_string();
    /// assert!(error.contains("bit 15(2)") && error.contains("1048576"), "{error}");
    /// ```
    pub fn set_memory_limit(&self, bytes: usize) {
        let memory = &mut self.inner.borrow_mut().memory;
        (memory.limit, memory.unchecked) = (Some(bytes), bytes.min(SMALL));
    }

    /// The number of bytes that the recorded values take.
    pub fn live_bytes(&self) -> usize {
        self.inner.borrow().memory.live
    }

    /// Checks that there is enough memory for a value on some plates, with `event` elements for each combination of
    /// members. Call it before making such a value outside the tape.
    ///
    /// # Errors
    /// If the value would exceed the [limit](Self::set_memory_limit).
    #[track_caller]
    pub fn check_memory(&self, what: &str, plates: &[Plate], event: usize) -> TapeResult<()> {
        let at = Location::caller();
        self.own_plates(plates, at)?;
        let inner = &mut *self.inner.borrow_mut();
        let at = inner.located.unwrap_or(at);
        let elements = inner.stretched(plates).saturating_mul(event);
        if self.has_room(inner, elements) {
            Ok(())
        } else {
            Err(inner.out_of_memory::<F>(what.into(), String::new(), plates, elements, at))
        }
    }

    /// Checks that there is enough memory to record the operations from position `from` on as many times again. Call it
    /// in a loop whose number of repetitions is given from outside, after a representative one. Unlike the other
    /// checks, this one counts the operations themselves, too.
    ///
    /// # Errors
    /// If they would exceed the [limit](Self::set_memory_limit).
    #[track_caller]
    pub fn check_repetitions(&self, from: usize, repetitions: usize) -> TapeResult<()> {
        let at = Location::caller();
        let inner = &mut *self.inner.borrow_mut();
        let recorded = inner.nodes.get(from..).unwrap_or_default();
        // Host code keeps at least a handle for each repetition.
        let each: usize =
            recorded.iter().map(|node| size_of::<Node<F>>() + node.own_bytes()).sum::<usize>() + size_of::<Id>();
        let elements = each.saturating_mul(repetitions) / size_of::<F>();
        let op = format!("{repetitions} repetitions of {} operations", recorded.len());
        if self.has_room(inner, elements) {
            Ok(())
        } else {
            Err(inner.out_of_memory::<F>(op, String::new(), &[], elements, inner.located.unwrap_or(at)))
        }
    }

    /// Whether there is enough memory for a number of elements. Frees the buffers that wait in the pool if necessary.
    pub(crate) fn has_room(&self, inner: &mut Inner<F>, elements: usize) -> bool {
        let bytes = elements.saturating_mul(size_of::<F>());
        let live = inner.memory.live.saturating_add(bytes);
        let waiting = self.pool.statistics().held_bytes;
        if live.saturating_add(waiting) <= inner.memory.unchecked {
            return true;
        }
        let limit = *inner.memory.limit.get_or_insert_with(machine_memory);
        inner.memory.unchecked = limit;
        if live <= limit && live.saturating_add(waiting) > limit {
            self.pool.clear();
        }
        live <= limit
    }

    /// # Errors
    /// If the result of an operation would exceed the limit.
    #[inline]
    pub(crate) fn check_room(&self, op: &Op, inputs: &[Id], at: &'static Location<'static>) -> TapeResult<()> {
        let inner = &mut *self.inner.borrow_mut();
        let elements = inner.result_elements(op, inputs);
        if self.has_room(inner, elements) {
            return Ok(());
        }
        let mut plates = inner.joint_plates(op, inputs);
        if let Op::Noise { plates: own, .. } | Op::Draw { plates: own, .. } = op {
            merge(&mut plates, own);
        }
        let at = inner.located.unwrap_or(at);
        Err(inner.out_of_memory::<F>(op.to_string(), inner.shapes_in_words(op, inputs), &plates, elements, at))
    }
}

impl<F: Real> Inner<F> {
    /// The number of combinations of the members of some plates.
    pub(crate) fn members(&self, plates: &[Plate]) -> usize {
        plates.iter().fold(1, |product: usize, &plate| product.saturating_mul(self.plate_size(plate)))
    }

    /// The same for an estimate of memory, where a plate without members counts as one with a member: the shape of a
    /// result without elements must not overflow either.
    fn stretched(&self, plates: &[Plate]) -> usize {
        plates.iter().fold(1, |product: usize, &plate| product.saturating_mul(self.plate_size(plate).max(1)))
    }

    fn out_of_memory<T>(
        &self,
        op: String,
        shapes: String,
        plates: &[Plate],
        elements: usize,
        at: &'static Location<'static>,
    ) -> TapeError {
        TapeError::Memory {
            op,
            shapes,
            elements,
            plates: self.words(plates),
            bytes: elements.saturating_mul(size_of::<T>()),
            live: self.memory.live,
            limit: self.memory.limit.unwrap_or(usize::MAX),
            at,
        }
    }

    /// The shapes that decide how large a result is.
    fn shapes_in_words(&self, op: &Op, inputs: &[Id]) -> String {
        if let Op::Noise { event, .. } | Op::Draw { event, .. } = op {
            return format!(" of event shape {event}");
        }
        let shapes: Vec<String> = inputs.iter().map(|id| self.nodes[id.index()].event().to_string()).collect();
        if shapes.is_empty() { String::new() } else { format!(" of event shapes {}", shapes.join(", ")) }
    }

    fn joint_plates(&self, op: &Op, inputs: &[Id]) -> Plates {
        let mut plates = Plates::new();
        inputs.iter().for_each(|id| merge(&mut plates, &self.nodes[id.index()].plates));
        match op {
            Op::Expand(wider, _) => merge(&mut plates, wider),
            Op::PlateScatter(plate, _) => merge(&mut plates, &[*plate]),
            _ => {}
        }
        plates
    }

    /// An upper bound of the number of elements of the result, or of an intermediate value, if that is larger.
    fn result_elements(&self, op: &Op, inputs: &[Id]) -> usize {
        match op {
            Op::Noise { plates, event, .. } => return self.stretched(plates).saturating_mul(stretch(event)),
            Op::Draw { plates, event, .. } => {
                let mut all = plates.clone();
                merge(&mut all, &self.joint_plates(op, inputs));
                return self.stretched(&all).saturating_mul(stretch(event));
            }
            Op::Slot(number) => return self.slots[*number as usize].shape().numel(),
            _ => {}
        }
        let node = |input: usize| &self.nodes[inputs[input].index()];
        let first = node(0);
        let len = match first.value.len() {
            0 => stretch(first.value.shape()),
            len => len,
        };
        let event =
            |node: &Node<F>, axis: usize| node.value.shape().get(node.plates.len() + axis).copied().unwrap_or(1);
        // The product of the sizes of all axes of the first operand except some event axes, which may have size 0.
        let without = |axes: &[usize]| {
            let lead = first.plates.len();
            let kept =
                first.value.shape().iter().enumerate().filter(|(at, _)| *at < lead || !axes.contains(&(at - lead)));
            kept.fold(1, |product: usize, (_, &size)| product.saturating_mul(size.max(1)))
        };
        let resized = |axis: usize, to: usize| without(&[axis]).saturating_mul(to);
        match op {
            Op::Zip(_)
            | Op::Special(_)
            | Op::Select
            | Op::StraightThrough
            | Op::LinearRecurrence { .. }
            | Op::Custom(_) => self.broadcast_elements(inputs),
            Op::PlateReduce(_, PlateReduction::Weighted) => self.broadcast_elements(inputs),
            // Their results share the buffer of the operand.
            Op::Reshape(event) => {
                if event.checked_numel().is_some() {
                    0
                } else {
                    usize::MAX
                }
            }
            Op::Detach(_) | Op::Estimated(_) | Op::Sample(_) | Op::AllReduce(_) => 0,
            // An axis of size 0 may be removed before others, which are then repeated for a moment.
            Op::Reduce(..) | Op::SumOut(..) if first.value.is_empty() => len,
            Op::Reduce(_, axes) => axes.iter().fold(len, |len, &axis| len / event(first, axis).max(1)),
            Op::Argmax(axis) => without(&[*axis]),
            // Elements are sorted as pairs with their positions.
            Op::Argsort { .. } => len.saturating_mul(2),
            Op::LastWriters(axis, to) => resized(*axis, *to),
            Op::SumOut(plates, axes) => {
                axes.iter().fold(len, |len, &axis| len / event(first, axis).max(1)) / self.stretched(plates).max(1)
            }
            Op::PlateReduce(plate, _) | Op::PlateMember(plate, _) if first.plates.contains(plate) => {
                let kept: Plates = first.plates.iter().copied().filter(|other| other != plate).collect();
                self.stretched(&kept).saturating_mul(self.event_elements(first))
            }
            Op::Slice { axis, len, .. } => resized(*axis, *len),
            Op::Expand(wider, event) => {
                let missing: Plates = wider.iter().copied().filter(|plate| !first.plates.contains(plate)).collect();
                let plates = self.stretched(&first.plates).saturating_mul(self.stretched(&missing));
                plates.saturating_mul(stretch(event))
            }
            Op::PlateScatter(plate, _) => len.saturating_mul(self.stretched(&[*plate])),
            Op::PadInto { axis, full, .. } => resized(*axis, *full),
            Op::IndexSelect(axis, indices) => resized(*axis, indices.len()),
            Op::IndexAdd(axis, _, to) => resized(*axis, *to),
            Op::OneHot(classes) => len.saturating_mul((*classes).max(1)),
            Op::Concat(_) => {
                let plates = self.stretched(&self.joint_plates(op, inputs));
                let events = inputs.iter().map(|id| self.event_elements(&self.nodes[id.index()]));
                plates.saturating_mul(events.fold(0, usize::saturating_add))
            }
            Op::Categories => self
                .broadcast_elements(&inputs[1..])
                .max(self.stretched(&self.joint_plates(op, inputs)).saturating_mul(self.event_elements(node(1)))),
            Op::Gather(_) | Op::Ordered(_) => {
                let plates = self.stretched(&self.joint_plates(op, inputs));
                plates.saturating_mul(self.event_elements(first).max(self.event_elements(node(1))))
            }
            Op::ScatterAdd(axis, to) => {
                let plates = self.stretched(&self.joint_plates(op, inputs));
                let events = first.event();
                let sizes = events.iter().enumerate().filter(|(at, _)| at != axis).map(|(_, &size)| size);
                sizes.fold(plates.saturating_mul((*to).max(1)), |product, size| product.saturating_mul(size.max(1)))
            }
            Op::Lookup => {
                let plates = self.stretched(&self.joint_plates(op, inputs));
                plates.saturating_mul(self.event_elements(node(1))).saturating_mul(event(first, 1))
            }
            Op::LookupAdd { removed, entries } => {
                let plates = self.joint_plates(op, inputs);
                // The rows are repeated along the plates of the positions that they lack.
                let rows = self.stretched(&plates).saturating_mul(self.event_elements(first));
                let kept: Plates = plates.into_iter().filter(|plate| !removed.contains(plate)).collect();
                let width = first.value.shape().last().copied().unwrap_or(1);
                rows.max(self.stretched(&kept).saturating_mul(*entries).saturating_mul(width))
            }
            Op::Dot => self.stretched(&self.joint_plates(op, inputs)),
            Op::DotOver(removed) => {
                let plates = self.joint_plates(op, inputs);
                let kept: Plates = plates.into_iter().filter(|plate| !removed.contains(plate)).collect();
                self.stretched(&kept).saturating_mul(self.event_elements(node(1)))
            }
            Op::Matmul { transpose_left, transpose_right } => {
                let (left, right) = (first.value.shape(), node(1).value.shape());
                let rank = |input: usize| node(input).value.rank() - node(input).plates.len();
                let rows = match (rank(0), transpose_left) {
                    (0 | 1, _) => 1,
                    (_, true) => left[left.len() - 1],
                    (_, false) => left[left.len() - 2],
                };
                let columns = match (rank(1), transpose_right) {
                    (0 | 1, _) => 1,
                    (_, true) => right[right.len() - 2],
                    (_, false) => right[right.len() - 1],
                };
                let lead = |input: usize| {
                    let matrix = node(input).value.shape().iter().rev().take(rank(input).min(2));
                    let matrix = matrix.fold(1, |product: usize, &size| product.saturating_mul(size.max(1)));
                    self.event_elements(node(input)) / matrix.max(1)
                };
                let plates = self.stretched(&self.joint_plates(op, inputs));
                plates
                    .saturating_mul(lead(0).max(1))
                    .saturating_mul(lead(1).max(1))
                    .saturating_mul(rows)
                    .saturating_mul(columns)
            }
            Op::MatmulLeading => {
                let last = |node: &Node<F>| node.value.shape().last().copied().unwrap_or(1);
                let lead = |node: &Node<F>| self.event_elements(node) / last(node).max(1);
                let members = self.stretched(&self.joint_plates(op, inputs));
                let rows = members.saturating_mul(lead(first).max(lead(node(1))));
                let widest = last(first).max(last(node(1)));
                rows.saturating_mul(widest).max(last(first).saturating_mul(last(node(1))))
            }
            Op::Convolve(_) | Op::ConvolveAdjoint(..) | Op::ConvolveWeights(..) => {
                let plates = self.joint_plates(op, inputs);
                self.convolution_elements(op, self.stretched(&plates), first, node(1))
            }
            Op::MaxPool(_) | Op::MaxPoolPositions(_) | Op::SumPool(_) | Op::SumPoolAdjoint(..) => {
                self.pooling_elements(op, first)
            }
            Op::TriangularSolve { .. } => {
                let members = self.stretched(&self.joint_plates(op, inputs));
                members.saturating_mul(self.event_elements(first).max(self.event_elements(node(1))))
            }
            _ => len,
        }
    }

    fn event_elements(&self, node: &Node<F>) -> usize {
        stretch(&node.value.shape()[node.plates.len()..])
    }

    /// The number of elements of the shape that some values broadcast to.
    fn broadcast_elements(&self, inputs: &[Id]) -> usize {
        let node = |id: &Id| &self.nodes[id.index()];
        let Some((first, rest)) = inputs.split_first() else { return 0 };
        let mut widest = node(first);
        let mut alike = true;
        for other in rest.iter().map(node) {
            if other.value.len() == 1 && other.plates.is_empty() {
                continue;
            }
            if widest.value.len() == 1 && widest.plates.is_empty() {
                widest = other;
            }
            alike &= other.value.shape() == widest.value.shape() && other.plates == widest.plates;
        }
        if alike {
            return widest.value.len();
        }
        let mut plates = Plates::new();
        inputs.iter().for_each(|id| merge(&mut plates, &node(id).plates));
        let rank = inputs.iter().map(|id| node(id).value.rank() - node(id).plates.len()).max().unwrap_or(0);
        let size = |back: usize| {
            let own = |node: &Node<F>| {
                let event = &node.value.shape()[node.plates.len()..];
                event.len().checked_sub(back).map_or(1, |at| event[at])
            };
            let sizes = inputs.iter().map(|id| own(node(id)));
            sizes.fold(1, |size, other| if size == 1 { other } else { size })
        };
        (1..=rank).fold(self.stretched(&plates), |product, back| product.saturating_mul(size(back).max(1)))
    }
}

/// The product of sizes, of which 0 counts as 1.
fn stretch(sizes: &[usize]) -> usize {
    sizes.iter().fold(1, |product: usize, &size| product.saturating_mul(size.max(1)))
}
