//! Snapshots of recordings, to find out whether host code has changed what it records.

use crate::id::Inputs;
use crate::op::Op;
use crate::plate::{PlateKind, Plates, Weights};
use crate::tape::Tape;
use crate::var::Var;
use std::collections::HashSet;
use std::panic::Location;
use stochgrad_tensor::{Real, Shape, Tensor};

/// The operations and the constants of a recording, without its other values.
///
/// A [`Program`](crate::Program) repeats one recording. This is right only if host code would record the same
/// operations with the same constants again. A snapshot of the first recording, compared with that of a later one,
/// shows whether it does.
///
/// ```
/// use stochgrad_tape::{Snapshot, Tape};
///
/// let record = |tape: &Tape<f64>, rate: f64| {
///     let x = tape.parameter([1.0, 2.0]);
///     let _ = (x * rate).sum();
///     tape.snapshot(&[x])
/// };
/// let first = record(&Tape::new(), 0.5);
/// assert!(first.difference(&record(&first.tape(1), 0.5)).is_none());
/// let difference = first.difference(&record(&first.tape(1), 0.25)).expect("another rate");
/// assert_eq!((&*difference.first, &*difference.second), ("MulScalar(0.5)", "MulScalar(0.25)"));
/// ```
#[derive(Debug)]
pub struct Snapshot<F: Real> {
    values: Vec<Recorded<F>>,
    plates: Vec<RecordedPlate>,
    generation: u32,
}

#[derive(Debug)]
struct Recorded<F: Real> {
    op: Op,
    /// The name of a primitive, a sampler or a slot, whose number says nothing.
    name: Option<String>,
    inputs: Inputs,
    shape: Shape,
    plates: Plates,
    location: &'static Location<'static>,
    /// The value of a leaf that is not an input.
    constant: Option<Tensor<F>>,
}

#[derive(Debug)]
struct RecordedPlate {
    name: String,
    size: usize,
    kind: PlateKind,
    weights: Weights,
}

/// The first place where two recordings differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// What the first recording has there, in words.
    pub first: String,
    /// What the second recording has there, in words.
    pub second: String,
    /// The line that recorded it.
    pub location: &'static Location<'static>,
}

impl<F: Real> Tape<F> {
    /// A snapshot of everything that is recorded. The values of `inputs` may differ from recording to recording, and
    /// are left out.
    pub fn snapshot(&self, inputs: &[Var<'_, F>]) -> Snapshot<F> {
        let inputs: HashSet<usize> = inputs.iter().map(|input| input.id.index()).collect();
        let inner = self.inner.borrow();
        let values = inner.nodes.iter().enumerate().map(|(index, node)| {
            let is_constant = matches!(node.op, Op::Leaf { .. }) && !inputs.contains(&index);
            Recorded {
                op: node.op.clone(),
                name: match &node.op {
                    Op::Custom(number) => Some(inner.primitives[*number as usize].name().into()),
                    Op::Draw { sampler, .. } => Some(inner.samplers[*sampler as usize].name().into()),
                    Op::Slot(number) => Some(format!("slot \"{}\"", inner.slots[*number as usize].name())),
                    _ => None,
                },
                inputs: node.inputs.clone(),
                shape: node.value.shape().clone(),
                plates: node.plates.clone(),
                location: node.location,
                // A copy: the buffer of the value goes back to the pool when the tape is cleared.
                constant: is_constant.then(|| if node.pooled { copy(&node.value) } else { node.value.clone() }),
            }
        });
        let plates = inner.plates.iter().map(|plate| RecordedPlate {
            name: plate.name.clone(),
            size: plate.size,
            kind: plate.kind,
            weights: plate.weights,
        });
        Snapshot { values: values.collect(), plates: plates.collect(), generation: inner.generation }
    }
}

fn copy<F: Real>(value: &Tensor<F>) -> Tensor<F> {
    value.map(|x| x)
}

impl<F: Real> Snapshot<F> {
    /// An empty tape for a recording whose snapshot will be compared with this one: equal plates are equal handles
    /// there. Its kernels may use the given number of threads.
    pub fn tape(&self, threads: usize) -> Tape<F> {
        let tape = Tape::with_threads(threads);
        tape.inner.borrow_mut().generation = self.generation;
        tape
    }

    /// The first difference between this recording and another one, which must have been made on a tape from
    /// [`tape`](Self::tape); `None` if both have the same operations, shapes and constants.
    ///
    /// Two primitives or samplers of the same name are taken to be equal.
    pub fn difference(&self, other: &Snapshot<F>) -> Option<Difference> {
        for (first, second) in self.values.iter().zip(&other.values) {
            if let Some((first_in_words, second_in_words)) = first.difference(second) {
                let (first, location) = (first_in_words, second.location);
                return Some(Difference { first, second: second_in_words, location });
            }
        }
        let common = self.values.len().min(other.values.len());
        let next = |snapshot: &Snapshot<F>| snapshot.values.get(common).map_or("nothing".into(), Recorded::in_words);
        if let Some(longer) = self.values.get(common).or(other.values.get(common)) {
            return Some(Difference { first: next(self), second: next(other), location: longer.location });
        }
        // Plates that no value carries have no line of their own.
        let (index, (first, second)) =
            self.plates.iter().zip(&other.plates).enumerate().find(|(_, (first, second))| first != second)?;
        let carries = |value: &&Recorded<F>| value.plates.iter().any(|plate| plate.index as usize == index);
        let location = self.values.iter().find(carries).or(self.values.last())?.location;
        Some(Difference { first: first.in_words(), second: second.in_words(), location })
    }
}

impl<F: Real> Recorded<F> {
    /// What differs, in words.
    fn difference(&self, other: &Recorded<F>) -> Option<(String, String)> {
        let shapes = || {
            let in_words = |value: &Recorded<F>| format!("{} of shape {}", value.in_words(), value.shape);
            Some((in_words(self), in_words(other)))
        };
        if !is_equal(&self.op, &other.op) || self.name != other.name {
            let (first, second) = (self.in_words(), other.in_words());
            // Some operations have a name that leaves out what differs.
            let debug = |value: &Recorded<F>| format!("{:?}", value.op);
            return Some(if first == second { (debug(self), debug(other)) } else { (first, second) });
        }
        if self.shape != other.shape || self.plates != other.plates {
            return shapes();
        }
        if !self.inputs.iter().map(|id| id.index()).eq(other.inputs.iter().map(|id| id.index())) {
            let operands = |value: &Recorded<F>| {
                let ids: Vec<usize> = value.inputs.iter().map(|id| id.index()).collect();
                format!("{} of the values {ids:?}", value.in_words())
            };
            return Some((operands(self), operands(other)));
        }
        let (Some(first), Some(second)) = (&self.constant, &other.constant) else {
            // An input of one recording is a constant of the other.
            return (self.constant.is_some() != other.constant.is_some()).then(|| {
                if self.constant.is_some() {
                    ("a constant".into(), "an input".into())
                } else {
                    ("an input".into(), "a constant".into())
                }
            });
        };
        if first.shares_buffer_with(second) {
            return None;
        }
        let bits = |x: &F| x.to_f64().to_bits();
        let position = first.as_slice().iter().zip(second.as_slice()).position(|(x, y)| bits(x) != bits(y))?;
        let in_words = |constant: &Tensor<F>| {
            let number = constant.as_slice()[position];
            match constant.len() {
                1 => format!("the constant {number}"),
                _ => format!("a constant with {number} at position {position}"),
            }
        };
        Some((in_words(first), in_words(second)))
    }

    fn in_words(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.op.to_string())
    }
}

/// Equal plates of different tapes: their weights are at the same position.
impl PartialEq for RecordedPlate {
    fn eq(&self, other: &Self) -> bool {
        let weights = match (self.weights, other.weights) {
            (
                Weights::Given { id: first, differentiable },
                Weights::Given { id: second, differentiable: other_differentiable },
            ) => first.index() == second.index() && differentiable == other_differentiable,
            (first, second) => first == second,
        };
        weights && self.name == other.name && self.size == other.size && self.kind == other.kind
    }
}

impl RecordedPlate {
    fn in_words(&self) -> String {
        format!("plate \"{}\" with {} members ({:?}, weights {:?})", self.name, self.size, self.kind, self.weights)
    }
}

/// Whether two operations are equal. A NaN in both is equal, too.
fn is_equal(first: &Op, second: &Op) -> bool {
    match (first, second) {
        // Numbers on the tape, which follow from the order of recording.
        (Op::Custom(_), Op::Custom(_)) | (Op::Slot(_), Op::Slot(_)) => true,
        _ => first == second || format!("{first:?}") == format!("{second:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Model = for<'t> fn(Var<'t, f64>, f64, usize) -> Var<'t, f64>;

    fn record(tape: &Tape<f64>, rate: f64, size: usize, model: Model) -> Snapshot<f64> {
        let x = tape.parameter([1.0, 2.0]);
        model(x, rate, size);
        tape.snapshot(&[x])
    }

    fn words(model: Model) -> (String, String) {
        let first = record(&Tape::new(), 0.5, 2, model);
        assert_eq!(first.difference(&record(&first.tape(1), 0.5, 2, model)), None);
        let difference = first.difference(&record(&first.tape(1), 0.25, 3, model)).expect("a difference");
        assert!(difference.location.file().ends_with("snapshot.rs"));
        (difference.first, difference.second)
    }

    #[test]
    fn differences_are_described() {
        let scalar = words(|x, rate, _| x * rate);
        assert_eq!(scalar, ("MulScalar(0.5)".into(), "MulScalar(0.25)".into()));
        let constant = words(|x, rate, _| x.tape().constant(rate) + x);
        assert_eq!(constant, ("the constant 0.5".into(), "the constant 0.25".into()));
        let element = words(|x, rate, _| x.tape().constant([1.0, rate]) + x);
        assert_eq!(element.0, "a constant with 0.5 at position 1");
        let operation = words(|x, rate, _| if rate < 0.3 { x.exp() } else { x.sin() });
        assert_eq!(operation, ("Sin".into(), "Exp".into()));
        let count = words(|x, _, size| (0..size).fold(x, |x, _| x.exp()));
        assert_eq!(count, ("nothing".into(), "Exp".into()));
        let operand = words(|x, rate, _| {
            let (y, z) = (x.exp(), x.sin());
            if rate < 0.3 { y + z } else { z + y }
        });
        assert!(operand.0.starts_with("Add of the values"), "{operand:?}");
        let shape = words(|x, _, size| x.tape().constant(Tensor::zeros([size])));
        assert_eq!(shape.0, "constant of shape [2]");
        let plated = words(|x, _, size| {
            let plate = x.tape().plate("samples", size, PlateKind::Samples, &[]);
            x.expand_plates(&[plate])
        });
        assert!(plated.1.contains("[3, 2]"));
    }

    #[test]
    fn equal_recordings_with_nan_are_equal() {
        let model: Model = |x, _, _| x * f64::NAN + x.tape().constant(f64::NAN);
        let first = record(&Tape::new(), 0.5, 2, model);
        assert_eq!(first.difference(&record(&first.tape(1), 0.5, 2, model)), None);
    }

    #[test]
    fn inputs_may_have_other_values() {
        let make = |tape: &Tape<f64>, x: f64| {
            let x = tape.constant(x);
            let _ = x.exp();
            tape.snapshot(&[x])
        };
        let first = make(&Tape::new(), 0.5);
        assert_eq!(first.difference(&make(&first.tape(2), 0.75)), None);
    }
}
