//! Primitives and samplers, from their description by recorded operations.

use crate::error::XlaResult;
use crate::lowering::builder::Value;
use crate::lowering::check::Check;
use crate::lowering::context::{Context, Operand, Target};
use crate::lowering::noise::Noise;
use crate::lowering::noise::fill::rows;
use crate::lowering::noise::kind::box_muller;
use crate::lowering::recorded::{ArgumentKind, Recorded};
use crate::lowering::refusal::refused;
use crate::lowering::types::{Element, TensorType};
use std::collections::HashSet;
use stochgrad_tape::{
    Attempt, Id, ListedValue, Listing, Plate, Plates, Primitive, Program, RecordedAttempt, Sampler, Tape, Var,
};
use stochgrad_tensor::random::{Fill, address_hash};
use stochgrad_tensor::{Real, Shape, Tensor};

/// Writes another program into the module, given its arguments.
pub(crate) type Write<'a, 'b, F> =
    dyn Fn(&Listing<'_, F>, &mut dyn FnMut(ArgumentKind, TensorType) -> Value<'b>) -> XlaResult<Recorded<'b>> + 'a;

/// The plates of a program, and those of a tape on which a description is recorded.
struct Copies {
    pairs: Vec<(Plate, Plate)>,
}

impl Copies {
    /// Copies of plates on a tape, in their order.
    fn on<F: Real>(tape: &Tape<F>, listing: &Listing<'_, F>, plates: &[Plate]) -> Self {
        let copy = |&plate: &Plate| {
            let listed = listing.plate(plate);
            (plate, tape.plate(listed.name, listed.size, listed.kind, &[]))
        };
        Copies { pairs: plates.iter().map(copy).collect() }
    }

    fn copied(&self, plates: &[Plate]) -> Plates {
        self.pairs.iter().filter(|(own, _)| plates.contains(own)).map(|(_, copy)| *copy).collect()
    }

    fn originals(&self, copies: &[Plate]) -> Plates {
        self.pairs.iter().filter(|(_, copy)| copies.contains(copy)).map(|(own, _)| *own).collect()
    }
}

/// A value of ones, whose elements the description does not depend on.
fn input<'t, F: Real>(tape: &'t Tape<F>, plates: &[Plate], shape: &Shape) -> Var<'t, F> {
    tape.parameter_on(plates, Tensor::full(shape.clone(), F::ONE))
}

/// Writes a program whose inputs are given.
fn inlined<'b, F: Real>(
    noise: &Noise<'_, 'b>,
    write: &Write<'_, 'b, F>,
    program: &Program<F>,
    inputs: &mut dyn FnMut(usize) -> Value<'b>,
) -> XlaResult<Recorded<'b>> {
    write(&program.listing(), &mut |kind, ty| match kind {
        ArgumentKind::Input(number) => inputs(number),
        _ => noise.context.builder.integer(ty.element, 0).broadcast(&ty.shape, &[]),
    })
}

/// The value of a primitive.
///
/// # Errors
/// If it has no description by recorded operations, or one of them has no lowering.
pub(crate) fn primitive<'b, F: Real>(
    noise: &Noise<'_, 'b>,
    listing: &Listing<'_, F>,
    listed: &ListedValue<'_, F>,
    primitive: &dyn Primitive<F>,
    operands: &[&Operand<'b>],
    (target, write): (&Target<'_>, &Write<'_, 'b, F>),
) -> XlaResult<Value<'b>> {
    let context = noise.context;
    let tape = Tape::<F>::new();
    let copies = Copies::on(&tape, listing, target.plates);
    let inputs: Vec<Var<'_, F>> =
        operands.iter().map(|x| input(&tape, &copies.copied(&x.plates), &x.value.shape())).collect();
    let Some(description) = primitive.as_operations(&inputs) else {
        let reason = "the primitive is code for the CPU only; implement `Primitive::as_operations`, or run the graph \
                      on the CPU";
        return Err(refused(listing, listed, reason));
    };
    let outputs: Vec<Var<'_, F>> =
        std::iter::once(description.value).chain(description.refusals.iter().map(|refusal| refusal.elements)).collect();
    let program = tape
        .compile(&inputs, &outputs)
        .map_err(|error| refused(listing, listed, &format!("its description by operations failed: {error}")))?;
    let recorded = inlined(noise, write, &program, &mut |number| operands[number].value)?;
    keep_checks(context, &recorded, target);
    for (elements, refusal) in recorded.outputs[1..].iter().zip(&description.refusals) {
        context.check(elements.equal(0.0), target, refusal.message.clone());
    }
    let inner = program.listing();
    let plates = copies.originals(inner.value(inner.outputs()[0]).plates);
    Ok(context.aligned(&Operand { value: recorded.outputs[0], plates, below: None }, target))
}

/// Adds the checks of an inlined program.
fn keep_checks<'b>(context: &Context<'b>, recorded: &Recorded<'b>, target: &Target<'_>) {
    let Some(flags) = recorded.each_holds else { return };
    for (number, check) in recorded.checks.iter().enumerate() {
        let holds = flags.slice(0, number, 1);
        let message = match check {
            Check::Operand { message, .. } => message.clone(),
            _ => "expected operands in the domain of the primitive".into(),
        };
        context.check(holds, target, message);
    }
}

/// The description of an attempt of a sampler, as a program. Its inputs are the number of the attempt, the parameters,
/// the uniform values of all slots, and the normal samples of all slots but the last one; its outputs are the proposed
/// values and whether they are rejected.
struct AttemptProgram<F: Real> {
    program: Program<F>,
    /// The inputs that the outputs depend on.
    used: HashSet<usize>,
    parameters: usize,
}

impl<F: Real> AttemptProgram<F> {
    fn new(
        listing: &Listing<'_, F>,
        listed: &ListedValue<'_, F>,
        sampler: &dyn Sampler<F>,
        parameters: usize,
    ) -> XlaResult<Self> {
        let tape = Tape::<F>::new();
        // All values have the shape of the draw, whose axes are event axes here.
        let value = || input(&tape, &[], listed.shape);
        let slots = Attempt::<F>::SLOTS;
        let attempt = RecordedAttempt {
            tape: &tape,
            number: input(&tape, &[], &Shape::scalar()),
            parameters: (0..parameters).map(|_| value()).collect(),
            uniforms: (0..slots).map(|_| value()).collect(),
            normals: (1..slots).map(|_| value()).collect(),
        };
        let Some(proposal) = sampler.as_operations(&attempt) else {
            let reason = "its sampler is code for the CPU only; implement `Sampler::as_operations`, draw by inversion, \
                          or run the graph on the CPU";
            return Err(refused(listing, listed, reason));
        };
        let mut inputs = vec![attempt.number];
        inputs.extend(attempt.parameters.iter().chain(&attempt.uniforms).chain(&attempt.normals));
        let shape = listed.shape.clone();
        let outputs = [proposal.value, proposal.rejected].map(|value| value.broadcast_to(shape.clone()));
        let program = tape
            .compile(&inputs, &outputs)
            .map_err(|error| refused(listing, listed, &format!("its description by operations failed: {error}")))?;
        let used = {
            let listing = program.listing();
            let mut read: HashSet<Id> = listing.outputs().iter().copied().collect();
            listing.values().for_each(|value| read.extend(value.operands));
            listing.inputs().enumerate().filter(|(_, id)| read.contains(id)).map(|(number, _)| number).collect()
        };
        Ok(AttemptProgram { program, used, parameters })
    }

    /// The proposed values, and whether they are rejected.
    fn recorded<'b>(
        &self,
        (noise, write): (&Noise<'_, 'b>, &Write<'_, 'b, F>),
        number: Value<'b>,
        parameters: &[Value<'b>],
        uniform: &mut dyn FnMut(usize) -> Value<'b>,
        normal: &mut dyn FnMut(usize) -> Value<'b>,
    ) -> XlaResult<[Value<'b>; 2]> {
        let first = 1 + self.parameters;
        let slots = Attempt::<F>::SLOTS;
        let recorded = inlined(noise, write, &self.program, &mut |input| match input {
            0 => number,
            _ if input < first => parameters[input - 1],
            _ if !self.used.contains(&input) => unused(noise, &self.program),
            _ if input < first + slots => uniform(input - first),
            _ => normal(input - first - slots),
        })?;
        Ok([recorded.outputs[0], recorded.outputs[1].differs(0.0)])
    }
}

/// Zeros in the shape of the draw, for noise that an attempt does not use.
fn unused<'b, F: Real>(noise: &Noise<'_, 'b>, program: &Program<F>) -> Value<'b> {
    let listing = program.listing();
    let shape = listing.value(listing.outputs()[0]).shape.clone();
    noise.context.builder.float(noise.context.element, 0.0).broadcast(&shape, &[])
}

/// The values of a draw by a sampler: attempts, until one is accepted for each element. The noise is that of the CPU.
///
/// # Errors
/// If the sampler has no description by recorded operations, or one of them has no lowering.
pub(crate) fn draw<'b, F: Real>(
    noise: &Noise<'_, 'b>,
    listing: &Listing<'_, F>,
    listed: &ListedValue<'_, F>,
    (sampler, address): (&dyn Sampler<F>, u128),
    operands: &[&Operand<'b>],
    (target, write): (&Target<'_>, &Write<'_, 'b, F>),
) -> XlaResult<Value<'b>> {
    let context = noise.context;
    let (builder, element) = (context.builder, context.element);
    let parameters: Vec<Value<'b>> = operands.iter().map(|operand| context.aligned(operand, target)).collect();
    let attempt = AttemptProgram::new(listing, listed, sampler, parameters.len())?;
    if target.shape.numel() == 0 {
        return Ok(builder.float(element, 0.0).broadcast(target.shape, &[]));
    }
    let layout = listing.noise_layout(listed, None);
    let address = [address as u64, (address >> 64) as u64];
    let slot = |slot: usize, fill: Fill| {
        let key = noise.key(address_hash("slot", &[address[0], address[1], slot as u64]));
        noise.fill(key, fill, &layout, target.plates, listed.event())
    };
    let zero = builder.float(element, 0.0);
    let [values, rejected] = attempt.recorded(
        (noise, write),
        zero,
        &parameters,
        &mut |number| slot(number, Fill::Uniform),
        &mut |number| slot(number, Fill::Normal),
    )?;
    let numbers = noise.numbers(&layout, target.plates, listed.event());
    let prefix = address_hash("attempt", &address);
    let one = builder.integer(Element::U64, 1);
    let mut failure = None;
    let end = builder.while_loop(
        &[one, rejected, values],
        |carry| carry[0].lt(Attempt::<F>::MOST as i64) & carry[1].any(),
        |carry| {
            let key = noise.key_of(continued_hash(prefix, carry[0]));
            let row = rows(builder, key, element, numbers);
            let recorded = attempt.recorded(
                (noise, write),
                carry[0].convert(element),
                &parameters,
                &mut |slot| row[slot],
                &mut |slot| box_muller(row[slot], row[slot + 1])[0],
            );
            let [values, rejected] = recorded.unwrap_or_else(|error| {
                failure = Some(error);
                [carry[2], carry[1]]
            });
            let next = carry[1].select(values, carry[2]);
            vec![carry[0] + 1_i64, carry[1] & rejected, next]
        },
    );
    if let Some(error) = failure {
        return Err(error);
    }
    let message = format!(
        "expected the sampler of {} to accept one of {} attempts, got none accepted; check the parameters, or use a \
         proposal that is accepted more often",
        sampler.name(),
        Attempt::<F>::MOST
    );
    context.check(!end[1], target, message);
    Ok(end[2])
}

/// The four words of the hash of an address and one more index below 2¹⁷, which is an unsigned integer of 64 bits. See
/// [`address_hash`].
fn continued_hash<'b>(prefix: u128, index: Value<'b>) -> Value<'b> {
    let builder = index.builder;
    let constant = |bits: u64| builder.integer(Element::U64, bits as i64);
    let (mut low, mut high) = (constant(prefix as u64), constant((prefix >> 64) as u64));
    for byte in 0..8_i64 {
        low = low ^ ((index >> (8 * byte)) & 0xff_i64);
        // The product with the prime 2⁸⁸ + 315, of halves of words.
        let (first, second) = ((low & 0xffff_ffff_i64) * 315_i64, (low >> 32_i64) * 315_i64);
        let upper = second + (first >> 32_i64);
        high = high * 315_i64 + (upper >> 32_i64) + (low << 24_i64);
        low = (upper << 32_i64) | (first & 0xffff_ffff_i64);
    }
    let word = |value: Value<'b>| value.convert(Element::U32).reshape(&Shape::from([1]));
    let words = [low & 0xffff_ffff_i64, low >> 32_i64, high & 0xffff_ffff_i64, high >> 32_i64];
    let [a, b, c, d] = words.map(word);
    a.concat(&[b, c, d], 0)
}
