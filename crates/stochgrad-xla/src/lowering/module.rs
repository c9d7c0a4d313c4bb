//! A program as a module of StableHLO.

use crate::error::{XlaError, XlaResult};
use crate::lowering::builder::{Builder, Value};
use crate::lowering::check::Check;
use crate::lowering::context::{Context, Operand, Target};
use crate::lowering::described;
use crate::lowering::literal::Elements;
use crate::lowering::noise::Noise;
use crate::lowering::operation;
use crate::lowering::options::Options;
use crate::lowering::recorded::{ArgumentKind, Recorded};
use crate::lowering::refusal::{UNKNOWN, refused};
use crate::lowering::requirement;
use crate::lowering::types::{Element, TensorType};
use std::cell::RefCell;
use std::collections::HashMap;
use stochgrad_tape::{Id, Listing, Op, Plate, PlateKind, ValueOrigin};
use stochgrad_tensor::{Real, Shape};

/// A program as text, with the meaning of the arguments and results of its function `@main`.
#[derive(Clone, Debug)]
pub struct Module {
    /// The text in StableHLO.
    pub text: String,
    /// The arguments, in order.
    pub arguments: Vec<Argument>,
    /// The results, in order.
    pub results: Vec<ResultKind>,
    /// What each truth value of [`ResultKind::Checks`] says.
    pub checks: Vec<Check>,
}

/// An argument of `@main`.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// What it is.
    pub kind: ArgumentKind,
    /// Its type.
    pub ty: TensorType,
}

/// What a result of `@main` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultKind {
    /// The output of this number.
    Output(usize),
    /// A truth value: whether all checks hold.
    AllHold,
    /// A truth value for each check.
    Checks,
}

/// The module of a program in StableHLO, with default [`Options`]. See [`stablehlo_with`].
///
/// ```
/// use stochgrad_tape::Tape;
/// use stochgrad_xla::lowering::stablehlo;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f32>::new();
/// let x = tape.parameter([1.0, 2.0]);
/// let program = tape.compile(&[x], &[(x * 2.0).exp().sum()])?;
/// let module = stablehlo(&program.listing())?;
/// assert!(module.text.contains("stablehlo.exponential"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If an operation has no lowering.
pub fn stablehlo<F: Real>(listing: &Listing<'_, F>) -> XlaResult<Module> {
    stablehlo_with(listing, &Options::default())
}

/// The module of a program in StableHLO.
///
/// The arguments of `@main` are the inputs of the program, its slots, the seed and the step, and the offset of each
/// plate that is a shard of a larger one. The results are the outputs and, if there is something to check, whether all
/// checks hold and whether each of them does. Noise is computed from the same words as on the CPU.
///
/// # Errors
/// If an operation has no lowering: its name, the line that recorded it, and what to try.
pub fn stablehlo_with<F: Real>(listing: &Listing<'_, F>, options: &Options) -> XlaResult<Module> {
    let builder = Builder::new();
    let mut arguments = Vec::new();
    let recorded = record(&builder, listing, options, &mut |kind, ty| {
        arguments.push(Argument { kind, ty: ty.clone() });
        builder.argument(ty)
    })?;
    let mut kinds: Vec<ResultKind> = (0..recorded.outputs.len()).map(ResultKind::Output).collect();
    let mut results = recorded.outputs;
    for (value, kind) in [(recorded.all_hold, ResultKind::AllHold), (recorded.each_holds, ResultKind::Checks)] {
        results.extend(value);
        kinds.extend(value.map(|_| kind));
    }
    Ok(Module { text: builder.finish(&results), arguments, results: kinds, checks: recorded.checks })
}

/// Writes a program into the function or the region that a builder is writing, as a part of a larger module. `argument`
/// returns the value of an argument of the program; it is called once for each of them, in the order of those of a
/// [`Module`].
///
/// # Errors
/// As [`stablehlo_with`].
pub fn record<'b, F: Real>(
    builder: &'b Builder,
    listing: &Listing<'_, F>,
    options: &Options,
    argument: &mut dyn FnMut(ArgumentKind, TensorType) -> Value<'b>,
) -> XlaResult<Recorded<'b>> {
    record_replacing(builder, listing, options, argument, &mut |_, value| value)
}

/// As [`record`], but results of operations that are outputs are replaced by what `replace` returns for the number of
/// the output, for the operations that use them as well.
///
/// # Errors
/// As [`stablehlo_with`].
pub fn record_replacing<'b, F: Real>(
    builder: &'b Builder,
    listing: &Listing<'_, F>,
    options: &Options,
    argument: &mut dyn FnMut(ArgumentKind, TensorType) -> Value<'b>,
    replace: &mut dyn FnMut(usize, Value<'b>) -> Value<'b>,
) -> XlaResult<Recorded<'b>> {
    let element = Element::of::<F>();
    let inputs: Vec<Value<'b>> = listing
        .inputs()
        .enumerate()
        .map(|(number, id)| {
            argument(ArgumentKind::Input(number), TensorType::new(element, listing.value(id).shape.clone()))
        })
        .collect();
    let mut slots: HashMap<u32, Value<'b>> = HashMap::new();
    let mut plates: Vec<Plate> = Vec::new();
    for value in listing.values() {
        plates.extend(value.plates);
        if let ValueOrigin::Operation(op) = value.origin {
            plates.extend(operation::plate(op));
            if let Op::Slot(number) = op {
                slots.entry(*number).or_insert_with(|| {
                    argument(ArgumentKind::Slot(*number), TensorType::new(element, value.shape.clone()))
                });
            }
        }
    }
    plates.sort_unstable();
    plates.dedup();
    let words = TensorType::new(Element::U32, [2]);
    let [seed, step] = [ArgumentKind::Seed, ArgumentKind::Step].map(|kind| argument(kind, words.clone()));
    let offsets: HashMap<Plate, Value<'b>> = plates
        .iter()
        .filter(|plate| {
            let listed = listing.plate(**plate);
            listed.kind == PlateKind::Data && (listed.offset != 0 || listed.whole != listed.size)
        })
        .map(|&plate| (plate, argument(ArgumentKind::Offset(plate), words.clone())))
        .collect();
    let sizes = plates.iter().map(|&plate| (plate, listing.plate(plate).size)).collect();
    let wholes = plates.iter().map(|&plate| (plate, listing.plate(plate).whole)).collect();
    let (precision, checks) = (options.precision, RefCell::new(Vec::new()));
    let context = Context { builder, element, precision, sizes, wholes, checks };
    let noise = Noise::new(&context, seed, step, offsets);
    let described = Options { precision, finite: Vec::new() };
    let write = |listing: &Listing<'_, F>, argument: &mut dyn FnMut(ArgumentKind, TensorType) -> Value<'b>| {
        record(builder, listing, &described, argument)
    };
    let mut lowered: HashMap<Id, Operand<'b>> = HashMap::new();
    for value in listing.values() {
        let target = Target { shape: value.shape, plates: value.plates, at: value.location };
        let operands: Vec<&Operand<'b>> = value.operands.iter().map(|id| &lowered[id]).collect();
        let (result, below) = match value.origin {
            ValueOrigin::Input(number) => (inputs[number], None),
            ValueOrigin::Constant(tensor) => {
                let elements: Vec<f64> = tensor.as_slice().iter().map(|x| x.to_f64()).collect();
                let kind = TensorType::new(element, tensor.shape().clone());
                (builder.constant(Elements::Floats(&elements), &kind), bound(&elements))
            }
            ValueOrigin::Operation(Op::Slot(number)) => (slots[number], None),
            ValueOrigin::Operation(op) => {
                let unknown = || refused(listing, &value, UNKNOWN);
                let result = match op {
                    Op::Draw { sampler, address, .. } => {
                        let sampler = listing.sampler(*sampler).ok_or_else(unknown)?;
                        described::draw(&noise, listing, &value, (&**sampler, *address), &operands, (&target, &write))?
                    }
                    Op::Custom(number) => {
                        let primitive = listing.primitive(*number).ok_or_else(unknown)?;
                        described::primitive(&noise, listing, &value, &**primitive, &operands, (&target, &write))?
                    }
                    _ => operation::lower(&context, &noise, listing, &value, op, &operands, &target)?,
                };
                (result, operation::below(op, &operands))
            }
            _ => return Err(refused(listing, &value, UNKNOWN)),
        };
        let shape = result.shape();
        assert_eq!(shape, *value.shape, "expected the shape of {}", listing.name(&value));
        let output = listing.outputs().iter().position(|output| *output == value.id);
        let result = match (output, value.origin) {
            (Some(output), ValueOrigin::Operation(_)) => replace(output, result),
            _ => result,
        };
        lowered.insert(value.id, Operand { value: result, plates: value.plates.into(), below });
    }
    for required in listing.requirements() {
        let value = lowered[&required.value].value;
        let Some(holds) = requirement::holds(required.requirement.condition, value) else {
            let (owner, name) = (required.requirement.owner, required.requirement.name);
            return Err(XlaError::NoLowering {
                operation: format!("the requirement of {name} of {owner}"),
                at: listing.value(required.value).location,
                reason: "its condition is code for the CPU only; use another condition, or run the graph on the CPU"
                    .into(),
            });
        };
        context.checks.borrow_mut().push((holds.all(), Check::Requirement(required.number)));
    }
    let outputs: Vec<Value<'b>> = listing.outputs().iter().map(|id| lowered[id].value).collect();
    for &number in &options.finite {
        context.checks.borrow_mut().push((outputs[number].is_finite().all(), Check::Finite(number)));
    }
    let (flags, checks): (Vec<Value<'b>>, Vec<Check>) = context.checks.take().into_iter().unzip();
    let all_hold = flags.first().map(|&first| flags[1..].iter().fold(first, |all, &flag| all & flag));
    let rows: Vec<Value<'b>> = flags.iter().map(|flag| flag.reshape(&Shape::from([1]))).collect();
    let each_holds = rows.first().map(|first| first.concat(&rows[1..], 0));
    Ok(Recorded { outputs, all_hold, each_holds, checks })
}

/// A number above all elements, if they are integers from 0 on.
fn bound(elements: &[f64]) -> Option<usize> {
    let integers = elements.iter().all(|&x| x >= 0.0 && x == x.floor() && x < f64::from(i32::MAX));
    integers.then(|| elements.iter().fold(0, |below, &x| below.max(x as usize + 1)))
}
