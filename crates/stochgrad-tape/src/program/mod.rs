//! Programs: recordings made ready to run again.
//!
//! Recording costs some hundred nanoseconds an operation, which a small graph feels, and every operation reads and
//! writes whole tensors, which a large one feels. A training loop records the same operations step after step.
//! [`Tape::compile`](crate::Tape::compile) takes one recording and keeps what its outputs need:
//!
//! * what does not depend on inputs, noise or host values is a constant;
//! * values that are equal by construction are computed once;
//! * element-wise functions that follow one another become one pass over memory, with the reductions of rows at its
//!   end;
//! * a buffer goes back to the pool after its last use: from the second run on, nothing is allocated.
//!
//! A run gives the very bits that recording afresh would give.

mod fusion;
mod group;
mod pairs;
mod recording;
mod schedule;

use crate::error::{TapeError, TapeResult};
use crate::id::{Id, Inputs};
use crate::node::Node;
use crate::noise_source::NoiseSeed;
use crate::op::Op;
use crate::op::fault::Fault;
use crate::origin::{Origin, not_finite_in_words};
use crate::sets::SetId;
use crate::tape::{Inner, Tape};
use fusion::Fused;
use smallvec::SmallVec;
use std::ops::Range;
use std::panic::Location;
use stochgrad_tensor::descent::squares_are_finite;
use stochgrad_tensor::fused::Scratch;
use stochgrad_tensor::random::Key;
use stochgrad_tensor::{Pool, Real, Shape, Tensor};

/// A recording made ready to run again, with other inputs and other noise.
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
/// assert!((program.output(1).as_slice()[0] - 1.0_f64.sin()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
pub struct Program<F: Real> {
    /// Holds the values; its operations are those of the recording.
    tape: Tape<F>,
    inputs: Vec<Input>,
    outputs: Vec<Id>,
    /// The values of the outputs in the last run.
    results: Vec<Tensor<F>>,
    instructions: Vec<Instruction<F>>,
    scratch: Vec<Scratch<F>>,
    /// The outputs that must be finite.
    finite: Range<usize>,
    /// Whether they were of moderate size in the last run.
    squares_are_finite: bool,
}

struct Input {
    id: Id,
    shape: Shape,
    given: bool,
    location: &'static Location<'static>,
}

struct Instruction<F> {
    work: Work<F>,
    /// Values that nothing needs any more.
    spent: SmallVec<[Id; 4]>,
}

enum Work<F> {
    /// One operation, by the kernel that evaluates it when it is recorded.
    /// It is asked first whether what it said of the recorded values holds, if it held for these.
    Evaluate { op: Op, inputs: Inputs, to: Id, held: bool },
    /// Element-wise functions and reductions of rows.
    Fused(Box<Fused<F>>),
}

impl<F: Real> Program<F> {
    /// How many inputs there are.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// The shape of an input, plate axes first.
    ///
    /// # Panics
    /// If there is no such input.
    pub fn input_shape(&self, input: usize) -> &Shape {
        &self.inputs[input].shape
    }

    /// Gives an input its value for the next run, sharing the buffer until then.
    ///
    /// # Errors
    /// If there is no such input, or it has another shape.
    #[track_caller]
    pub fn set(&mut self, input: usize, value: &Tensor<F>) -> TapeResult<()> {
        let at = Location::caller();
        let known = self.inputs.len();
        let Some(input) = self.inputs.get_mut(input) else {
            let message = format!("input {input} of a program: it has {known} inputs");
            return Err(TapeError::Other { message, at });
        };
        if input.shape != *value.shape() {
            let message = format!(
                "an input of a program, recorded at {}: expected shape {}, got {}; compile another program for another shape",
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

    /// Runs with the inputs that were set and the noise of a seed and step. The inputs are let go of: they must be set
    /// again for the next run.
    ///
    /// # Errors
    /// If an input was not set, or an operation fails on these values, or [does not hold](crate::Primitive::holds) for
    /// them.
    #[track_caller]
    pub fn run(&mut self, seed: NoiseSeed) -> TapeResult<()> {
        let at = Location::caller();
        if let Some((number, input)) = self.inputs.iter().enumerate().find(|(_, input)| !input.given) {
            let message = format!(
                "input {number} of a program, recorded at {}, has no value; set every input before each run",
                input.location
            );
            return Err(TapeError::Other { message, at });
        }
        if self.scratch.len() > 1 && rayon::current_thread_index().is_none() {
            // From outside the pool every split would pay for a hand-over.
            rayon::scope(|_| self.execute(seed))
        } else {
            self.execute(seed)
        }
    }

    /// The value of an output in the last run.
    ///
    /// # Panics
    /// If there is no such output. Before the first run an output is the number 0.
    pub fn output(&self, output: usize) -> &Tensor<F> {
        &self.results[output]
    }

    /// Makes it an error of a run if one of these outputs has a NaN or an infinity. The error names the first operation
    /// that produced it, which is looked for only then.
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
    /// program.require_finite(0..1);
    /// program.set(0, &Tensor::scalar(-2.0))?;
    /// let error = program.run(Default::default()).unwrap_err().to_string();
    /// assert!(error.contains("NaN first appears in Ln"), "{error}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If there are no such outputs.
    pub fn require_finite(&mut self, outputs: Range<usize>) {
        assert!(outputs.end <= self.outputs.len(), "there are {} outputs, not {}", self.outputs.len(), outputs.end);
        self.finite = outputs;
    }

    /// Whether the outputs that must be finite had finite squares, too, in the last run.
    pub fn squares_are_finite(&self) -> bool {
        self.squares_are_finite
    }

    /// The buffers that runs work with.
    pub fn pool(&self) -> &Pool<F> {
        self.tape.pool()
    }

    /// How many passes over memory a run makes: the instructions.
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Whether a run does nothing: all outputs are constants or inputs.
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }

    fn execute(&mut self, seed: NoiseSeed) -> TapeResult<()> {
        let Program { tape, inputs, outputs, results, instructions, scratch, finite, squares_are_finite: squares } =
            self;
        let inner = tape.inner.get_mut();
        inner.noise = Some(seed);
        for (&output, result) in outputs.iter().zip(results.iter_mut()) {
            let old = std::mem::replace(result, inner.placeholder.clone());
            if inner.nodes[output.index()].pooled {
                tape.pool.recycle(old);
            }
        }
        let mut result = Ok(());
        for instruction in instructions.iter() {
            match &instruction.work {
                Work::Evaluate { op, inputs, to, held } => match evaluate(tape, op, inputs, *held) {
                    Ok(value) => tape.inner.get_mut().nodes[to.index()].value = value,
                    Err(fault) => {
                        let location = tape.inner.get_mut().nodes[to.index()].location;
                        result = Err(fault.into_error(op, location));
                        break;
                    }
                },
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
        let inner = tape.inner.get_mut();
        for (&output, result) in outputs.iter().zip(results.iter_mut()) {
            *result = inner.nodes[output.index()].value.clone();
        }
        if result.is_ok() {
            result = check_finite(&results[finite.clone()], squares).map_err(|(output, position)| {
                let at = outputs[finite.start + output];
                TapeError::NotFinite {
                    output: finite.start + output,
                    value: not_finite_in_words(results[finite.start + output].as_slice()[position]),
                    position,
                    origin: origin(inner, seed, at, position).map(Box::new),
                }
            });
        }
        // Constants stay; what a run has made is held by the results alone, so that its buffers come back.
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

/// The first output that is not finite, and the position.
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

/// The operation that first produced what is not finite: all of them are done again, one by one, and everything is
/// kept.
fn origin<F: Real>(slots: &Inner<F>, seed: NoiseSeed, output: Id, position: usize) -> Option<Origin> {
    let tape = Tape::new();
    {
        let new = &mut *tape.inner.borrow_mut();
        new.plates = slots.plates.clone();
        new.primitives = slots.primitives.clone();
        new.hosts = slots.hosts.clone();
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
            rule_of: node.rule_of,
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
                    let inputs: Vec<u32> = inputs.iter().map(|id| id.0).collect();
                    writeln!(f, "  %{} = {op}{inputs:?}", to.0)?;
                }
                Work::Fused(fused) => writeln!(f, "  {fused:?}")?,
            }
        }
        write!(f, "  outputs {:?}", self.outputs.iter().map(|id| id.0).collect::<Vec<_>>())
    }
}
