//! Programs: compiled recordings.
//!
//! A training loop records the same operations in each step. Recording costs some hundred nanoseconds for each
//! operation, which dominates in small graphs, and every operation reads and writes whole tensors, which dominates in
//! large ones. [`Tape::compile`](crate::Tape::compile) avoids both. It takes one recording and keeps what its outputs
//! need:
//!
//! * values that do not depend on inputs, noise or slots become constants;
//! * values that are equal by construction are computed once;
//! * consecutive element-wise functions become one pass over memory, including the reductions of rows that follow;
//! * values of blocks that were recorded with [`Tape::recompute`](crate::Tape::recompute) are computed again for
//!   derivatives instead of kept;
//! * buffers go back to the pool after their last use, so nothing is allocated from the second run on.
//!
//! The results of a run are bit for bit those of a new recording.

mod fusion;
mod group;
pub(crate) mod listing;
mod pairs;
mod recomputation;
mod recording;
mod schedule;
pub(crate) mod shards;

use crate::error::{TapeError, TapeResult};
use crate::id::{Id, Inputs};
use crate::node::Node;
use crate::noise_source::NoiseSeed;
use crate::op::fault::Fault;
use crate::op::{Op, ShardReduction};
use crate::origin::{Origin, not_finite_in_words};
use crate::requirement::Requirement;
use crate::sets::SetId;
use crate::slot::Slot;
use crate::tape::{Inner, Tape};
use fusion::Fused;
use listing::ListedRequirement;
use smallvec::SmallVec;
use std::ops::Range;
use std::panic::Location;
use stochgrad_tensor::descent::squares_are_finite;
use stochgrad_tensor::fused::Scratch;
use stochgrad_tensor::random::Key;
use stochgrad_tensor::{Pool, Real, Shape, Tensor, instantiated};

/// A compiled recording, which runs again with other inputs and other noise. See [`Tape::compile`].
///
/// ```
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// # fn main() -> Result<(), stochgrad_tape::TapeError> {
/// let tape = Tape::<f64>::new();
/// let x = tape.parameter([1.0, 2.0]);
/// let y = x.sin().square().sum();
/// let [dy] = tape.grad(y, [x])?;
///
/// let mut program = tape.compile(&[x], &[y, dy])?;
/// program.set(0, &Tensor::from([0.5, 0.0]))?;
/// program.run(Default::default())?;
/// assert!((program.output(1)?.as_slice()[0] - 1.0_f64.sin()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
pub struct Program<F: Real> {
    /// The values. The operations are those of the recording.
    tape: Tape<F>,
    inputs: Vec<Input>,
    outputs: Vec<Id>,
    /// The shapes of all values.
    shapes: Vec<Shape>,
    /// The values of the outputs in the last run.
    results: Vec<Tensor<F>>,
    instructions: Vec<Instruction<F>>,
    scratch: Vec<Scratch<F>>,
    /// The outputs that are required to be finite.
    finite: Range<usize>,
    /// Whether their squares were finite in the last run.
    squares_are_finite: bool,
    /// Whether requirements are checked.
    checks: bool,
    /// The number of reductions over shards.
    collectives: usize,
}

struct Input {
    id: Id,
    shape: Shape,
    given: bool,
    location: &'static Location<'static>,
}

struct Instruction<F> {
    work: Work<F>,
    /// Values that are no longer needed.
    spent: SmallVec<[Id; 4]>,
}

enum Work<F> {
    /// One operation, evaluated by the same kernel as during recording.
    /// [`Primitive::holds`](crate::Primitive::holds) is checked first, if it was true for the recorded values.
    Evaluate { op: Op, inputs: Inputs, to: Id, held: bool },
    /// Element-wise functions and reductions of rows.
    Fused(Box<Fused<F>>),
    /// A reduction over shards, in which other programs take part.
    Collective { reduction: ShardReduction, part: Id, to: Id },
    /// A check of a value that is required to meet a condition.
    Check { requirement: Requirement, number: usize, value: Id },
}

impl<F: Real> Program<F> {
    /// The number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// The shape of an input, plate axes first.
    ///
    /// # Errors
    /// If there is no such input.
    #[track_caller]
    pub fn input_shape(&self, input: usize) -> TapeResult<&Shape> {
        match self.inputs.get(input) {
            Some(found) => Ok(&found.shape),
            None => Err(self.no_input(input, Location::caller())),
        }
    }

    /// Sets the value of an input for the next run. The buffer is shared until then.
    ///
    /// # Errors
    /// If there is no such input, or the value has another shape than the recorded one.
    #[track_caller]
    pub fn set(&mut self, input: usize, value: &Tensor<F>) -> TapeResult<()> {
        let at = Location::caller();
        if input >= self.inputs.len() {
            return Err(self.no_input(input, at));
        }
        let input = &mut self.inputs[input];
        if input.shape != *value.shape() {
            let message = format!(
                "an input of a program, recorded at {}: expected shape {}, got {}; compile another program for another \
                 shape",
                input.location,
                input.shape,
                value.shape()
            );
            return Err(TapeError::Other { message, at });
        }
        self.tape.inner.get_mut().nodes[input.id.index()].value = value.clone();
        input.given = true;
        Ok(())
    }

    /// Runs with the inputs that were set, and with the noise of a seed and a step. Inputs are released after each run.
    /// Set them again before the next one.
    ///
    /// # Errors
    /// If an input was not set, an operation fails on these values, or the check of a primitive
    /// ([`Primitive::holds`](crate::Primitive::holds)) fails.
    #[track_caller]
    pub fn run(&mut self, seed: NoiseSeed) -> TapeResult<()> {
        let at = Location::caller();
        self.check_given(at)?;
        if self.is_sharded() {
            let message =
                "a program on a shard of a plate: expected the programs of all shards, which Shards::run runs \
                           together, got one"
                    .into();
            return Err(TapeError::Other { message, at });
        }
        instantiated!(F: fn(&mut Program<F>, NoiseSeed) -> TapeResult<()> = Program::run_body)(self, seed)
    }

    fn run_body(&mut self, seed: NoiseSeed) -> TapeResult<()> {
        self.start(seed);
        let result = self.advance(seed, 0).map(drop);
        self.finish(seed, result)
    }

    /// # Errors
    /// If an input has no value.
    fn check_given(&self, at: &'static Location<'static>) -> TapeResult<()> {
        let Some((number, input)) = self.inputs.iter().enumerate().find(|(_, input)| !input.given) else {
            return Ok(());
        };
        let message = format!(
            "input {number} of a program, recorded at {}, has no value; set every input before each run",
            input.location
        );
        Err(TapeError::Other { message, at })
    }

    /// Whether the program needs the programs of other shards. If so, [`Shards::run`](crate::Shards::run) runs it.
    pub fn is_sharded(&self) -> bool {
        self.collectives > 0
    }

    /// The value of an output in the last run. Before the first run, every output is the scalar 0.
    ///
    /// # Errors
    /// If there is no such output.
    #[track_caller]
    pub fn output(&self, output: usize) -> TapeResult<&Tensor<F>> {
        let at = Location::caller();
        self.results.get(output).ok_or_else(|| self.no_output(output, at))
    }

    #[cold]
    fn no_input(&self, input: usize, at: &'static Location<'static>) -> TapeError {
        let known = self.inputs.len();
        let message = format!("input {input} of a program: expected a number below {known}, the number of inputs");
        TapeError::Other { message, at }
    }

    #[cold]
    fn no_output(&self, output: usize, at: &'static Location<'static>) -> TapeError {
        let known = self.results.len();
        let message = format!("output {output} of a program: expected a number below {known}, the number of outputs");
        TapeError::Other { message, at }
    }

    /// Requires these outputs to be finite: a run that produces a NaN or an infinity in one of them is an error, which
    /// names the operation that first produced it. The search for this operation costs time only after a failure.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let x = tape.parameter(2.0);
    /// let y = x.ln() + 1.0;
    /// let mut program = tape.compile(&[x], &[y])?;
    /// program.require_finite(0..1)?;
    /// program.set(0, &Tensor::scalar(-2.0))?;
    /// let error = program.run(Default::default()).unwrap_err().to_string();
    /// assert!(error.contains("NaN first appears in Ln"), "{error}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If there are no such outputs.
    #[track_caller]
    pub fn require_finite(&mut self, outputs: Range<usize>) -> TapeResult<()> {
        if outputs.end > self.outputs.len() {
            return Err(self.no_output(outputs.end - 1, Location::caller()));
        }
        self.finite = outputs;
        Ok(())
    }

    /// Whether the squares of the outputs that are required to be finite were also finite in the last run.
    pub fn squares_are_finite(&self) -> bool {
        self.squares_are_finite
    }

    /// The slots that a run reads.
    pub fn slots(&self) -> Vec<Slot> {
        let inner = self.tape.inner.borrow();
        let is_read = |number: usize| inner.nodes.iter().any(|node| node.op == Op::Slot(number as u32));
        let slots = inner.slots.iter().enumerate().filter(|(number, _)| is_read(*number));
        slots.map(|(_, slot)| slot.clone()).collect()
    }

    /// Sets whether a run checks the requirements that were recorded with [`Var::require`](crate::Var::require). It does
    /// by default.
    pub fn set_checks(&mut self, check: bool) {
        self.checks = check;
    }

    /// The pool that provides the buffers of a run.
    pub fn pool(&self) -> &Pool<F> {
        self.tape.pool()
    }

    /// The number of instructions. Each one is a pass over memory.
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Whether there are no instructions, since all outputs are constants or inputs.
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }

    fn requirements(&self) -> impl Iterator<Item = ListedRequirement> {
        self.instructions.iter().filter_map(|instruction| match &instruction.work {
            Work::Check { requirement, number, value } => {
                Some(ListedRequirement { value: *value, requirement: *requirement, number: *number })
            }
            Work::Evaluate { .. } | Work::Fused(_) | Work::Collective { .. } => None,
        })
    }

    /// Makes the buffers of the last results available for a new run.
    fn start(&mut self, seed: NoiseSeed) {
        let Program { tape, outputs, results, .. } = self;
        let inner = tape.inner.get_mut();
        inner.noise = Some(seed);
        for (&output, result) in outputs.iter().zip(results.iter_mut()) {
            let old = std::mem::replace(result, inner.placeholder.clone());
            if inner.nodes[output.index()].pooled {
                tape.pool.recycle(old);
            }
        }
    }

    /// Runs the instructions from a position on, up to the next reduction over shards or to the end. Returns the position
    /// that it has reached.
    fn advance(&mut self, seed: NoiseSeed, from: usize) -> TapeResult<usize> {
        if self.scratch.len() > 1 && rayon::current_thread_index().is_none() {
            // From outside the thread pool, each parallel operation would have to enter it.
            rayon::scope(|_| self.execute(seed, from))
        } else {
            self.execute(seed, from)
        }
    }

    fn execute(&mut self, seed: NoiseSeed, from: usize) -> TapeResult<usize> {
        let Program { tape, instructions, scratch, checks, .. } = self;
        for (position, instruction) in instructions.iter().enumerate().skip(from) {
            match &instruction.work {
                Work::Collective { .. } => return Ok(position),
                Work::Evaluate { op, inputs, to, held } => match evaluate(tape, op, inputs, *held) {
                    Ok(value) => tape.inner.get_mut().nodes[to.index()].value = value,
                    Err(fault) => {
                        let location = tape.inner.get_mut().nodes[to.index()].location;
                        return Err(fault.into_error(op, location));
                    }
                },
                Work::Check { requirement, number, value } if *checks => {
                    let node = &tape.inner.get_mut().nodes[value.index()];
                    if let Some(violation) = requirement.condition.violation(&node.value) {
                        return Err(requirement.error(*number, violation, node.location));
                    }
                }
                Work::Check { .. } => {}
                Work::Fused(fused) => {
                    let noise = |address| Key::new(seed.seed, seed.step, address);
                    fused.run(&mut tape.inner.get_mut().nodes, &tape.pool, scratch, noise);
                }
            }
            let inner = tape.inner.get_mut();
            for &id in &instruction.spent {
                release(inner, &tape.pool, id);
            }
        }
        Ok(instructions.len())
    }

    /// Ends a run: reads the results, and releases everything else.
    fn finish(&mut self, seed: NoiseSeed, mut result: TapeResult<()>) -> TapeResult<()> {
        let Program { tape, inputs, outputs, results, finite, squares_are_finite, .. } = self;
        let inner = tape.inner.get_mut();
        for (&output, result) in outputs.iter().zip(results.iter_mut()) {
            *result = inner.nodes[output.index()].value.clone();
        }
        if result.is_ok() {
            result = check_finite(&results[finite.clone()], squares_are_finite).map_err(|(output, position)| {
                let at = outputs[finite.start + output];
                TapeError::NotFinite {
                    output: finite.start + output,
                    value: not_finite_in_words(results[finite.start + output].as_slice()[position]),
                    position,
                    origin: origin(inner, seed, at, position).map(Box::new),
                }
            });
        }
        // Constants stay. Only the results keep the other values, so that their buffers can be reused.
        for &output in outputs.iter() {
            if inner.nodes[output.index()].pooled {
                inner.nodes[output.index()].value = inner.placeholder.clone();
            }
        }
        for input in inputs.iter_mut() {
            input.given = false;
            inner.nodes[input.id.index()].value = inner.placeholder.clone();
        }
        result
    }
}

fn evaluate<F: Real>(tape: &Tape<F>, op: &Op, inputs: &[Id], held: bool) -> Result<Tensor<F>, Fault> {
    if held {
        tape.holds(op, inputs)?;
    }
    tape.evaluate(op, inputs).map(|(value, _)| value)
}

/// The first output that is not finite, and the position in it.
fn check_finite<F: Real>(results: &[Tensor<F>], squares: &mut bool) -> Result<(), (usize, usize)> {
    *squares = true;
    for (output, result) in results.iter().enumerate() {
        if !squares_are_finite(result.as_slice()) {
            *squares = false;
            if let Some(position) = result.as_slice().iter().position(|x| !x.is_finite()) {
                return Err((output, position));
            }
        }
    }
    Ok(())
}

/// The operation that first produced a NaN or an infinity. All operations are repeated one by one, and all values are
/// kept.
fn origin<F: Real>(slots: &Inner<F>, seed: NoiseSeed, output: Id, position: usize) -> Option<Origin> {
    let tape = Tape::new();
    {
        let new = &mut *tape.inner.borrow_mut();
        new.plates = slots.plates.clone();
        new.primitives = slots.primitives.clone();
        new.samplers = slots.samplers.clone();
        new.slots = slots.slots.clone();
        new.generation = slots.generation;
        new.noise = Some(seed);
    }
    for node in &slots.nodes[..=output.index()] {
        let given = matches!(node.op, Op::Leaf { .. }) || node.inputs.is_empty() && !node.pooled;
        let value = if given { node.value.clone() } else { tape.evaluate(&node.op, &node.inputs).ok()?.0 };
        tape.inner.borrow_mut().nodes.push(Node {
            op: node.op.clone(),
            inputs: node.inputs.clone(),
            value,
            pooled: false,
            owns: false,
            plates: node.plates.clone(),
            ancestors: SetId::EMPTY,
            location: node.location,
            stamp: node.stamp,
            rule_of: node.rule_of,
            trains: node.trains,
        });
    }
    tape.inner.into_inner().origin(output, position)
}

fn release<F: Real>(inner: &mut Inner<F>, pool: &Pool<F>, id: Id) {
    let node = &mut inner.nodes[id.index()];
    let spent = std::mem::replace(&mut node.value, inner.placeholder.clone());
    if node.pooled {
        pool.recycle(spent);
    }
}

impl<F: Real> std::fmt::Debug for Program<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "Program<{}> with {} instructions", F::NAME, self.instructions.len())?;
        for instruction in &self.instructions {
            match &instruction.work {
                Work::Evaluate { op, inputs, to, .. } => {
                    let inputs: Vec<u32> = inputs.iter().map(|id| id.position).collect();
                    writeln!(f, "  %{} = {op}{inputs:?}", to.position)?;
                }
                Work::Fused(fused) => writeln!(f, "  {fused:?}")?,
                Work::Collective { reduction, part, to } => {
                    writeln!(f, "  %{} = {}[{}]", to.position, Op::AllReduce(*reduction), part.position)?;
                }
                Work::Check { requirement, value, .. } => {
                    writeln!(f, "  check %{}: {:?}", value.position, requirement.condition)?
                }
            }
        }
        write!(f, "  outputs {:?}", self.outputs.iter().map(|id| id.position).collect::<Vec<_>>())
    }
}
