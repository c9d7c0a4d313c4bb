//! Slots: named values that outlive a recording, such as a running mean, a learned coefficient, or a count of steps.
//!
//! A constant keeps the value that it was recorded with. A slot is read when it is recorded, and again at each run of a
//! [`Program`](crate::Program). What a step computes for a slot is an ordinary recorded value, which is copied into the
//! slot at the end of the step.

use crate::id::Inputs;
use crate::op::Op;
use crate::tape::Tape;
use crate::var::Var;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stochgrad_tensor::{Pool, Real, Shape, Tensor};

/// A named value that is kept from step to step. Clones share it.
///
/// The elements are stored in double precision, so that tapes of either precision can share a slot.
///
/// ```
/// use stochgrad_tape::{Slot, Tape};
///
/// # fn main() -> Result<(), stochgrad_tape::TapeError> {
/// let steps = Slot::new("steps", [], [1.0]);
/// let tape = Tape::<f64>::new();
/// let before = tape.slot(&steps);
/// let mut program = tape.compile(&[], &[before.recip() * 8.0, before + 1.0])?;
/// for rate in [8.0, 4.0] {
///     program.run(Default::default())?;
///     assert_eq!(program.output(0)?.as_slice(), &[rate]);
///     steps.write(program.output(1)?.as_slice());
/// }
/// assert_eq!(steps.values(), [3.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Slot(Arc<Cell>);

struct Cell {
    name: String,
    shape: Shape,
    start: Vec<f64>,
    content: Mutex<Content>,
}

struct Content {
    values: Vec<f64>,
    written: bool,
}

impl Slot {
    /// A slot with the values that it has before it is first written.
    ///
    /// # Panics
    /// If the number of values is not that of the shape.
    pub fn new(name: impl Into<String>, shape: impl Into<Shape>, start: impl Into<Vec<f64>>) -> Self {
        let (name, shape, start) = (name.into(), shape.into(), start.into());
        assert_eq!(start.len(), shape.numel(), "slot \"{name}\": the number of values is not that of shape {shape}");
        let content = Mutex::new(Content { values: start.clone(), written: false });
        Slot(Arc::new(Cell { name, shape, start, content }))
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// The present values.
    pub fn values(&self) -> Vec<f64> {
        self.content().values.clone()
    }

    /// Whether values were written since the slot was made or reset.
    pub fn is_written(&self) -> bool {
        self.content().written
    }

    /// Replaces the values. This allocates nothing.
    ///
    /// # Panics
    /// If the number of values is not that of the slot.
    pub fn write<F: Real>(&self, values: &[F]) {
        let content = &mut *self.content();
        assert_eq!(values.len(), content.values.len(), "slot \"{}\": another number of values", self.name());
        content.values.iter_mut().zip(values).for_each(|(to, from)| *to = from.to_f64());
        content.written = true;
    }

    /// Returns to the values before the first write.
    pub fn reset(&self) {
        let content = &mut *self.content();
        content.values.copy_from_slice(&self.0.start);
        content.written = false;
    }

    /// Whether both are the same slot.
    pub fn is(&self, other: &Slot) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn tensor<F: Real>(&self, pool: &Pool<F>) -> Tensor<F> {
        let mut value = pool.full(self.0.shape.clone(), F::ZERO);
        value.make_mut().iter_mut().zip(&self.content().values).for_each(|(to, from)| *to = F::from_f64(*from));
        value
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slot({:?}, {})", self.0.name, self.0.shape)
    }
}

impl<F: Real> Tape<F> {
    /// The value of a slot, read now and again at each run of a program. No gradient flows to it.
    #[track_caller]
    pub fn slot(&self, slot: &Slot) -> Var<'_, F> {
        let number = {
            let slots = &mut self.inner.borrow_mut().slots;
            slots.iter().position(|known| known.is(slot)).unwrap_or_else(|| {
                slots.push(slot.clone());
                slots.len() - 1
            })
        };
        Var { tape: self, id: self.apply(Op::Slot(number as u32), &Inputs::new(), Location::caller()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_read_once_in_a_program_and_listed_by_it() {
        let (slot, other) = (Slot::new("a", [2], [1.0, 2.0]), Slot::new("b", [], [7.0]));
        let tape = Tape::<f32>::new();
        let unused = tape.slot(&other);
        let sum = tape.slot(&slot) + tape.slot(&slot.clone());
        let mut program = tape.compile(&[], &[sum]).unwrap();
        assert_eq!(program.slots().iter().map(Slot::name).collect::<Vec<_>>(), ["a"]);
        slot.write(&[3.0_f32, 0.5]);
        program.run(Default::default()).unwrap();
        assert_eq!(program.output(0).unwrap().as_slice(), [6.0, 1.0]);
        assert!(slot.is_written() && !other.is_written());
        slot.reset();
        assert_eq!(slot.values(), [1.0, 2.0]);
        assert_eq!(unused.item(), Ok(7.0));
    }
}
