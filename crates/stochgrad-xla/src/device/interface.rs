//! What a compiled graph takes and computes, by name.

use crate::error::{XlaError, XlaResult};
use crate::lowering::Check;
use stochgrad_graph::{CompiledGraph, GraphInput, GraphOutput, StepFunction};
use stochgrad_tape::{ListedPlate, Listing, Op, Slot, ValueOrigin};
use stochgrad_tensor::{Real, Shape};

/// The inputs, outputs and slots of a compiled graph.
pub(super) struct Interface {
    /// Parameters, data, and then schedules.
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<Output>,
    /// The slots that are read or updated, each once.
    pub(super) slots: Vec<UsedSlot>,
    /// The functions of the schedules.
    pub(super) schedules: Vec<StepFunction>,
    /// The names of the costs.
    pub(super) costs: Vec<String>,
}

pub(super) struct Input {
    pub(super) kind: InputKind,
    pub(super) name: String,
    /// The shape on each device.
    pub(super) shape: Shape,
    /// The axis of which each device has a shard.
    pub(super) sharded: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputKind {
    Parameter,
    Data,
    Schedule,
}

/// An output, with the position of what it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// The estimate of the cost of this number.
    Estimate(usize),
    /// The gradient with respect to this input.
    Gradient(usize),
    /// The next value of this slot, of those that are used.
    Slot(usize),
    /// The next value of this input.
    NextValue(usize),
}

pub(super) struct UsedSlot {
    pub(super) slot: Slot,
    /// Its number in the listing, if it is read.
    pub(super) read: Option<u32>,
}

impl Interface {
    pub(super) fn new<F: Real>(graph: &CompiledGraph<F>, devices: usize) -> XlaResult<Interface> {
        let listing = graph.listing();
        let shape = |id| listing.program.value(id).shape.clone();
        let sharded = |id| {
            let plates = listing.program.value(id).plates;
            plates.iter().position(|&plate| is_shard(&listing.program.plate(plate)))
        };
        for value in listing.program.values() {
            value.plates.iter().try_for_each(|&plate| check_shards(&listing.program.plate(plate), devices))?;
        }
        let inputs: Vec<Input> = listing
            .inputs
            .iter()
            .zip(listing.program.inputs())
            .map(|(input, id)| {
                let (kind, name) = match input {
                    GraphInput::Parameter(name) => (InputKind::Parameter, name),
                    GraphInput::Schedule(name) => (InputKind::Schedule, name),
                    GraphInput::Data(name) => (InputKind::Data, name),
                    other => return Err(XlaError::unknown("an input", &format!("{other:?}"), &[])),
                };
                Ok(Input { kind, name: (*name).into(), shape: shape(id), sharded: sharded(id) })
            })
            .collect::<XlaResult<_>>()?;
        let mut slots = read_slots(&listing.program);
        let mut updated = graph.updated_slots();
        let mut costs = Vec::new();
        let mut outputs = Vec::new();
        let names: Vec<String> = inputs.iter().map(|input| input.name.clone()).collect();
        let input = |name: &str| {
            let found = names.iter().position(|known| known == name);
            found.ok_or_else(|| XlaError::unknown("an input", name, &names))
        };
        for output in &listing.outputs {
            outputs.push(match output {
                GraphOutput::Estimate(name) => {
                    costs.push((*name).into());
                    Output::Estimate(costs.len() - 1)
                }
                GraphOutput::Gradient(name) => Output::Gradient(input(name)?),
                GraphOutput::NextValue(name) => Output::NextValue(input(name)?),
                GraphOutput::Slot(name) => {
                    let slot = updated.next().ok_or_else(|| XlaError::unknown("a slot", name, &[]))?;
                    let known = slots.iter().position(|used| used.slot.is(slot));
                    Output::Slot(known.unwrap_or_else(|| {
                        slots.push(UsedSlot { slot: slot.clone(), read: None });
                        slots.len() - 1
                    }))
                }
                other => return Err(XlaError::unknown("an output", &format!("{other:?}"), &[])),
            });
        }
        Ok(Interface { inputs, outputs, slots, schedules: graph.schedules(), costs })
    }

    /// The numbers of the inputs that are not schedules.
    pub(super) fn given(&self) -> usize {
        self.inputs.len() - self.schedules.len()
    }

    /// The number of the input with a name.
    pub(super) fn input(&self, name: &str) -> XlaResult<usize> {
        let given = &self.inputs[..self.given()];
        given.iter().position(|input| input.name == name).ok_or_else(|| {
            let names: Vec<String> = given.iter().map(|input| input.name.clone()).collect();
            XlaError::unknown("an input", name, &names)
        })
    }

    /// The number of the input with a name, whose values on all devices together must have its shape.
    pub(super) fn input_of_shape(&self, name: &str, shape: &Shape, devices: usize) -> XlaResult<usize> {
        let number = self.input(name)?;
        let input = &self.inputs[number];
        let whole = |axis: usize| input.shape.with_size(axis, input.shape[axis] * devices);
        let expected = &input.sharded.map_or_else(|| input.shape.clone(), whole);
        if expected == shape {
            return Ok(number);
        }
        Err(XlaError::Mismatch {
            what: format!("the input \"{name}\" of a program"),
            expected: format!("shape {expected}"),
            got: format!("shape {shape}"),
            advice: "compile another program for another shape".into(),
        })
    }

    /// As [`input_of_shape`](Self::input_of_shape), for an input that is the same on all devices.
    pub(super) fn shared_input(&self, name: &str, shape: &Shape, devices: usize) -> XlaResult<usize> {
        let number = self.input_of_shape(name, shape, devices)?;
        if self.inputs[number].sharded.is_none() {
            return Ok(number);
        }
        Err(XlaError::Mismatch {
            what: format!("the input \"{name}\" of a program"),
            expected: "an input that is the same on all devices".into(),
            got: "one of which each device has a shard".into(),
            advice: "use `set`".into(),
        })
    }

    /// The values of the schedules at a step.
    pub(super) fn schedules_at<F: Real>(&self, step: u64) -> XlaResult<Vec<F>> {
        self.schedules.iter().map(|schedule| Ok(F::from_f64(schedule(step)?))).collect()
    }

    /// An output in words.
    fn output_in_words(&self, output: usize) -> String {
        match self.outputs.get(output) {
            Some(&Output::Estimate(cost)) => format!("the estimate of the cost \"{}\"", self.costs[cost]),
            Some(&Output::Gradient(input)) => format!("the gradient of \"{}\"", self.inputs[input].name),
            Some(&Output::NextValue(input)) => format!("the next value of \"{}\"", self.inputs[input].name),
            Some(&Output::Slot(slot)) => format!("the next value of the slot \"{}\"", self.slots[slot].slot.name()),
            None => format!("output {output}"),
        }
    }
}

/// Whether a plate is a shard of a larger one.
fn is_shard(plate: &ListedPlate<'_>) -> bool {
    plate.whole != plate.size
}

/// Checks that a plate is whole, or that there is a device for each of its shards.
fn check_shards(plate: &ListedPlate<'_>, devices: usize) -> XlaResult<()> {
    let is_first = plate.offset == 0 && plate.size * devices == plate.whole;
    if !is_shard(plate) || is_first {
        return Ok(());
    }
    Err(XlaError::Mismatch {
        what: format!("the plate \"{}\"", plate.name),
        expected: format!("the first of {devices} equal shards, one for each device"),
        got: format!("{} of {} members from position {} on", plate.size, plate.whole, plate.offset),
        advice: "record the first shard, and compile it for a group of as many devices as there are shards".into(),
    })
}

/// The slots that a program reads.
fn read_slots<F: Real>(listing: &Listing<'_, F>) -> Vec<UsedSlot> {
    let mut slots: Vec<UsedSlot> = Vec::new();
    for value in listing.values() {
        if let ValueOrigin::Operation(Op::Slot(number)) = value.origin
            && slots.iter().all(|used| used.read != Some(*number))
            && let Some(slot) = listing.slot(*number)
        {
            slots.push(UsedSlot { slot: slot.clone(), read: Some(*number) });
        }
    }
    slots
}

/// What a failed check says, in words.
pub(super) struct Failures {
    messages: Vec<String>,
}

impl Failures {
    pub(super) fn new<F: Real>(interface: &Interface, listing: &Listing<'_, F>, checks: &[Check]) -> Failures {
        let in_words = |check: &Check| match check {
            Check::Requirement(number) => {
                let found = listing.requirements().find(|required| required.number == *number);
                found.map_or_else(String::new, |required| {
                    let requirement = required.requirement;
                    let at = listing.value(required.value).location;
                    format!(
                        "{} of {} must be {}, recorded at {at}; {}",
                        requirement.name, requirement.owner, requirement.expected, requirement.hint
                    )
                })
            }
            Check::Finite(output) => format!(
                "{} is NaN or infinite; run the same step on the CPU, which names the operation that produced it",
                interface.output_in_words(*output)
            ),
            Check::Operand { at, message } => format!("{message}, at {at}"),
        };
        Failures { messages: checks.iter().map(in_words).collect() }
    }

    /// The error of a step, given a truth value for each check.
    pub(super) fn error(&self, step: u64, holds: &[u8]) -> XlaError {
        let failed = self.messages.iter().zip(holds).find(|(_, holds)| **holds == 0);
        XlaError::Run { step, problem: failed.map_or("a check failed", |(message, _)| message).into() }
    }
}
