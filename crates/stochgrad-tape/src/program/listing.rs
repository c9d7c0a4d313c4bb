//! The operations of a program as a list, for code that translates programs or shows them.

use super::Program;
use crate::id::Id;
use crate::noise::NoiseLayout;
use crate::op::Op;
use crate::plate::{Extent, Plate, PlateKind};
use crate::primitive::Primitive;
use crate::requirement::Requirement;
use crate::sampler::Sampler;
use crate::slot::Slot;
use crate::tape::Inner;
use std::cell::Ref;
use std::collections::HashSet;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use stochgrad_tensor::{Real, Shape, Tensor};

/// A read-only list of everything that a [`Program`] computes, for lowering it to another back end, and for inspection.
///
/// Each value is an input, a constant, or the result of one operation on earlier values. Values that are equal by
/// construction occur once. The list does not show which operations a run computes in one pass over memory.
///
/// ```
/// use stochgrad_tape::{Op, Tape, ValueOrigin};
///
/// # fn main() -> Result<(), stochgrad_tape::TapeError> {
/// let tape = Tape::<f64>::new();
/// let x = tape.parameter([1.0, 2.0]);
/// let program = tape.compile(&[x], &[(x * tape.constant([3.0, 4.0])).sum()])?;
/// let listing = program.listing();
/// let names: Vec<String> = listing.values().map(|value| listing.name(&value)).collect();
/// assert_eq!(names, ["input 0", "constant", "Mul", "Sum over event axes [0]"]);
/// let last = listing.values().last().expect("four values");
/// assert!(matches!(last.origin, ValueOrigin::Operation(Op::Reduce(..))));
/// assert_eq!(listing.outputs(), [last.id]);
/// println!("{listing}");
/// # Ok(())
/// # }
/// ```
pub struct Listing<'a, F: Real> {
    program: &'a Program<F>,
    inner: Ref<'a, Inner<F>>,
    /// Whether an output or a requirement depends on each value.
    needed: Vec<bool>,
}

/// One value of a [`Listing`].
#[derive(Clone, Copy, Debug)]
pub struct ListedValue<'a, F: Real> {
    /// Its position, which is larger than those of its operands.
    pub id: Id,
    /// How it is computed.
    pub origin: ValueOrigin<'a, F>,
    /// The operands of its operation.
    pub operands: &'a [Id],
    /// Its shape: an axis for each of its plates, and then the event axes.
    pub shape: &'a Shape,
    /// Its plates, in the order of their axes. Operands are aligned by plates, and then broadcast by their event axes.
    pub plates: &'a [Plate],
    /// The line that recorded it.
    pub location: &'static Location<'static>,
}

impl<F: Real> ListedValue<'_, F> {
    /// Its event shape.
    pub fn event(&self) -> &[usize] {
        &self.shape[self.plates.len()..]
    }
}

/// How a value of a [`Listing`] is computed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ValueOrigin<'a, F: Real> {
    /// The input of this number, which is set before each run.
    Input(usize),
    /// The same value in each run.
    Constant(&'a Tensor<F>),
    /// An operation on its operands. The axes in the operation are event axes.
    Operation(&'a Op),
}

/// A plate of a [`Listing`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ListedPlate<'a> {
    /// Its name.
    pub name: &'a str,
    /// The number of its members.
    pub size: usize,
    /// What its members are.
    pub kind: PlateKind,
    /// The position of its first member in the whole plate, of which it may be a shard.
    pub offset: u64,
    /// The number of members of the whole plate.
    pub whole: usize,
}

/// A requirement that each run checks.
#[derive(Clone, Copy, Debug)]
pub struct ListedRequirement {
    /// The value.
    pub value: Id,
    /// What it is required to be.
    pub requirement: Requirement,
    /// The number of the requirement on the tape that was compiled.
    pub number: usize,
}

impl<F: Real> Program<F> {
    /// All values that the program computes, with their operations.
    pub fn listing(&self) -> Listing<'_, F> {
        let inner = self.tape.inner.borrow();
        let mut needed = vec![false; inner.nodes.len()];
        let mut pending: Vec<Id> = self.outputs.clone();
        pending.extend(self.inputs.iter().map(|input| input.id));
        pending.extend(self.requirements().map(|required| required.value));
        while let Some(id) = pending.pop() {
            if !std::mem::replace(&mut needed[id.index()], true) {
                pending.extend(&inner.nodes[id.index()].inputs);
            }
        }
        Listing { program: self, inner, needed }
    }
}

impl<F: Real> Listing<'_, F> {
    /// The type of all elements: `f32` or `f64`.
    pub fn element_type(&self) -> &'static str {
        F::NAME
    }

    /// All values, each after its operands.
    pub fn values(&self) -> impl Iterator<Item = ListedValue<'_, F>> {
        let listed = self.needed.iter().enumerate().filter(|(_, needed)| **needed);
        listed.map(|(index, _)| self.value(self.inner.id(index)))
    }

    /// The value at a position.
    ///
    /// # Panics
    /// If the position is not one of this list.
    pub fn value(&self, id: Id) -> ListedValue<'_, F> {
        assert!(self.needed.get(id.index()) == Some(&true), "position {} is not in this list", id.index());
        let node = &self.inner.nodes[id.index()];
        let origin = match self.inputs().position(|input| input == id) {
            Some(number) => ValueOrigin::Input(number),
            None if is_constant(&node.op, &node.inputs) => ValueOrigin::Constant(&node.value),
            None => ValueOrigin::Operation(&node.op),
        };
        let shape = match origin {
            ValueOrigin::Constant(value) => value.shape(),
            _ => &self.program.shapes[id.index()],
        };
        ListedValue { id, origin, operands: &node.inputs, shape, plates: &node.plates, location: node.location }
    }

    /// The positions of the inputs, in the order of their numbers.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = Id> {
        self.program.inputs.iter().map(|input| input.id)
    }

    /// The positions of the outputs, in their order. Two outputs may have the same position.
    pub fn outputs(&self) -> &[Id] {
        &self.program.outputs
    }

    /// The requirements that each run checks.
    pub fn requirements(&self) -> impl Iterator<Item = ListedRequirement> {
        self.program.requirements()
    }

    /// A plate of one of the values.
    pub fn plate(&self, plate: Plate) -> ListedPlate<'_> {
        let entry = &self.inner.plates[plate.index as usize];
        ListedPlate {
            name: &entry.name,
            size: entry.size,
            kind: entry.kind,
            offset: entry.offset,
            whole: entry.whole(),
        }
    }

    /// Which random value belongs to each element of [`Op::Noise`] or [`Op::Draw`]: the layout of the random values
    /// under the address of the operation.
    ///
    /// A [`NoiseScheme`](crate::NoiseScheme) computes the members of its plate from other numbers of random values,
    /// [`SamplingScheme::numbers`](stochgrad_tensor::sampling_scheme::SamplingScheme::numbers) and
    /// [`SamplingScheme::choices`](stochgrad_tensor::sampling_scheme::SamplingScheme::choices). `members` replaces the
    /// number of members of a plate for these layouts.
    pub fn noise_layout(&self, value: &ListedValue<'_, F>, members: Option<(Plate, usize)>) -> NoiseLayout {
        let entries = value.plates.iter().map(|&plate| {
            let extent = self.inner.plates[plate.index as usize].extent();
            match members.filter(|(other, _)| *other == plate) {
                Some((_, members)) => Extent { size: members, whole: members, ..extent },
                None => extent,
            }
        });
        NoiseLayout::of(entries, value.event().iter().product())
    }

    /// The primitive of [`Op::Custom`].
    pub fn primitive(&self, number: u32) -> Option<&Arc<dyn Primitive<F>>> {
        self.inner.primitives.get(number as usize)
    }

    /// The sampler of [`Op::Draw`].
    pub fn sampler(&self, number: u32) -> Option<&Arc<dyn Sampler<F>>> {
        self.inner.samplers.get(number as usize)
    }

    /// The slot that [`Op::Slot`] reads.
    pub fn slot(&self, number: u32) -> Option<&Slot> {
        self.inner.slots.get(number as usize)
    }

    /// What a value is, in words: the name of its operation, of a primitive or of a sampler.
    pub fn name(&self, value: &ListedValue<'_, F>) -> String {
        match value.origin {
            ValueOrigin::Input(number) => format!("input {number}"),
            ValueOrigin::Constant(_) => "constant".into(),
            ValueOrigin::Operation(op) => match op {
                Op::Custom(number) => self.inner.primitives[*number as usize].name().into(),
                Op::Draw { sampler, .. } => format!("draw of {}", self.inner.samplers[*sampler as usize].name()),
                Op::Matmul { transpose_left, transpose_right } => {
                    let side = |transposed: bool| if transposed { "transposed" } else { "plain" };
                    format!("matmul, {} and {}", side(*transpose_left), side(*transpose_right))
                }
                op => op.to_string(),
            },
        }
    }
}

/// Whether a value of a program is the same in each run. Operations on constants have been computed, and their operands
/// are not kept.
fn is_constant(op: &Op, operands: &[Id]) -> bool {
    operands.is_empty() && !matches!(op, Op::Noise { .. } | Op::Draw { .. } | Op::Slot(_))
}

impl<F: Real> fmt::Display for Listing<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut plates = HashSet::new();
        for value in self.values() {
            for &plate in value.plates {
                if plates.insert(plate) {
                    let ListedPlate { name, size, kind, .. } = self.plate(plate);
                    writeln!(f, "plate \"{name}\": {size} members, {kind:?}")?;
                }
            }
        }
        for value in self.values() {
            write!(f, "%{} = {}", value.id.index(), self.name(&value))?;
            for operand in value.operands {
                write!(f, " %{}", operand.index())?;
            }
            write!(f, " : {}[", self.element_type())?;
            for (&plate, size) in value.plates.iter().zip(value.shape.iter()) {
                write!(f, "{} {size}; ", self.plate(plate).name)?;
            }
            let event: Vec<String> = value.event().iter().map(usize::to_string).collect();
            writeln!(f, "{}]", event.join(", "))?;
        }
        for ListedRequirement { value, requirement, .. } in self.requirements() {
            let Requirement { owner, name, expected, .. } = requirement;
            writeln!(f, "%{} must be {expected}: {name} of {owner}", value.index())?;
        }
        let outputs: Vec<String> = self.outputs().iter().map(|id| format!("%{}", id.index())).collect();
        write!(f, "outputs {}", outputs.join(", "))
    }
}
