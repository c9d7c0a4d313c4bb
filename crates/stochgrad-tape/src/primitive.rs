//! A user's own primitive operation.

use crate::op::{Degree, Smoothness};
use crate::var::Var;
use stochgrad_tensor::{Pool, Real, Shape, Tensor};

/// What a primitive is evaluated with.
///
/// The plate axes of all operands are aligned: every operand has all the plates, with size 1 on a plate that it lacks.
#[derive(Debug)]
pub struct PrimitiveInputs<'a, F: Real> {
    /// The values, plate axes first.
    pub values: &'a [Tensor<F>],
    /// The sizes of the plates that the operands have together.
    pub plates: Shape,
    /// The pool of the tape. It provides buffers ([`Pool::take`]) and the number of threads that the primitive may use
    /// ([`Pool::threads`]), as for the kernels of `stochgrad_tensor`, which take it as their first argument.
    pub pool: &'a Pool<F>,
}

/// An operation with a derivative of its own: a special function, a solver, a call into other code.
///
/// ```
/// use std::sync::Arc;
/// use stochgrad_tape::{Primitive, PrimitiveInputs, Smoothness, Tape, TapeResult, Var};
/// use stochgrad_tensor::{Real, Tensor};
///
/// struct Cube;
/// impl<F: Real> Primitive<F> for Cube {
///     fn name(&self) -> &str { "cube" }
///     fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
///         Ok(inputs.values[0].map(|x| x * x * x))
///     }
///     fn gradient<'t>(&self, inputs: &[Var<'t, F>], _output: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
///         vec![Some(adjoint * inputs[0].square() * 3.0)]
///     }
/// }
///
/// # fn main() -> TapeResult<()> {
/// let tape = Tape::<f64>::new();
/// let x = tape.parameter(2.0);
/// let y = tape.custom(Arc::new(Cube), &[x]);
/// let [dy] = tape.grad(y, [x])?;
/// assert_eq!(dy.peek()?.item().ok(), Some(12.0));
/// # Ok(())
/// # }
/// ```
pub trait Primitive<F: Real>: Send + Sync {
    /// The name, for messages and drawings.
    fn name(&self) -> &str;

    /// The value. Its shape must begin with the sizes of the plates.
    ///
    /// # Errors
    /// What was expected and what came, if the operands do not fit; the tape adds the place.
    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String>;

    /// Whether [`forward`](Self::forward) returns a buffer of [`PrimitiveInputs::pool`]. The tape then gives the buffer
    /// back to the pool when it no longer needs the value, so that a training loop allocates nothing. Buffers from
    /// elsewhere must not be given to the pool, which would grow with every step; `false` is always safe.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use stochgrad_tape::{Primitive, PrimitiveInputs, Tape, Var, Workspace};
    /// use stochgrad_tensor::map::{Map, map};
    /// use stochgrad_tensor::{Real, Tensor};
    ///
    /// struct Square;
    /// impl<F: Real> Primitive<F> for Square {
    ///     fn name(&self) -> &str { "square" }
    ///     fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
    ///         Ok(map(inputs.pool, Map::Square, &inputs.values[0]))
    ///     }
    ///     fn takes_from_pool(&self) -> bool { true }
    ///     fn gradient<'t>(&self, x: &[Var<'t, F>], _: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
    ///         vec![Some(adjoint * x[0] * 2.0)]
    ///     }
    /// }
    ///
    /// let mut workspace = Workspace::<f64>::with_threads(2);
    /// for _ in 0..3 {
    ///     let tape = workspace.tape();
    ///     let y = tape.custom(Arc::new(Square), &[tape.parameter([2.0, 3.0])]);
    ///     assert_eq!(y.peek()?.as_slice(), [4.0, 9.0]);
    /// }
    /// let statistics = workspace.tape().pool().statistics();
    /// assert_eq!(statistics.taken - statistics.reused, 2); // the parameter and the value, in the first step only
    /// # Ok::<(), stochgrad_tape::TapeError>(())
    /// ```
    fn takes_from_pool(&self) -> bool {
        false
    }

    /// For each input the adjoint that flows to it, written in variables so that it can be differentiated again. It may
    /// be of any shape that the input broadcasts to: the tape sums it down.
    fn gradient<'t>(&self, inputs: &[Var<'t, F>], output: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>>;

    /// How the value depends on the given input.
    fn smoothness(&self, input: usize) -> Smoothness {
        let _ = input;
        Smoothness::Smooth
    }

    /// The degree of the value as a polynomial in some variable, given those of the operands; whatever the values.
    fn degree(&self, operands: &[Degree]) -> Degree {
        Degree::of_function(operands)
    }

    /// Whether [`smoothness`](Self::smoothness), where it depends on the values that were recorded, is true for these
    /// as well. Each run of a [`Program`](crate::Program) asks this before it calls [`forward`](Self::forward), unless
    /// the answer was no for the recorded values themselves. A replay does not ask.
    ///
    /// # Errors
    /// What was expected and what came; the run fails, instead of giving gradients that were made for other values.
    fn holds(&self, inputs: PrimitiveInputs<'_, F>) -> Result<(), String> {
        let _ = inputs;
        Ok(())
    }
}
