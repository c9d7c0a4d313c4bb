//! Primitive operations defined by the user.

use crate::description::Description;
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

/// An operation defined by the user, with its own derivative rule: a special function, a solver, a call into other
/// code. [`Tape::custom`](crate::Tape::custom) records it.
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
///     fn gradient<'t>(&self, x: &[Var<'t, F>], _output: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
///         vec![Some(adjoint * x[0].square() * 3.0)]
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
    /// The name, for messages and drawings of graphs.
    fn name(&self) -> &str;

    /// Computes the value. The leading axes of the value must be the plates, with the sizes
    /// [`PrimitiveInputs::plates`].
    ///
    /// # Errors
    /// If the operands do not fit: a message that says what was expected and what the operation got. The tape adds the
    /// line of the user's source.
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

    /// The adjoint of each input, or `None` where there is none. It is written in variables, so that it can be
    /// differentiated again. It may have any shape that the input broadcasts to: the tape sums it to the shape of the
    /// input.
    fn gradient<'t>(&self, inputs: &[Var<'t, F>], output: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>>;

    /// As [`gradient`](Self::gradient), where `wanted` states for each input whether its adjoint is used: whether the
    /// gradient is taken with respect to something that the input depends on. Override this only for a value that has
    /// two descriptions, of which one carries the derivative; adjoints that are not wanted are dropped anyway.
    fn wanted_gradient<'t>(
        &self,
        inputs: &[Var<'t, F>],
        output: Var<'t, F>,
        adjoint: Var<'t, F>,
        wanted: &[bool],
    ) -> Vec<Option<Var<'t, F>>> {
        let _ = wanted;
        self.gradient(inputs, output, adjoint)
    }

    /// How the value depends on the given input. No derivative flows to inputs that are `Constant` or `Jump`, whatever
    /// [`gradient`](Self::gradient) returns for them.
    fn smoothness(&self, input: usize) -> Smoothness {
        let _ = input;
        Smoothness::Smooth
    }

    /// The degree of the value as a polynomial in some variable, given the degrees of the operands. It must be valid
    /// for all values of the operands.
    fn degree(&self, operands: &[Degree]) -> Degree {
        Degree::of_function(operands)
    }

    /// Records what [`forward`](Self::forward) computes from `inputs`, and for which operands it or
    /// [`holds`](Self::holds) returns an error, in operations of the tape of `inputs`: for back ends that run a program
    /// without calling this code, such as a lowering to an accelerator. `None` means that only `forward` can compute it.
    /// The derivatives of the recorded operations are not used.
    ///
    /// ```
    /// use stochgrad_tape::{Description, Primitive, PrimitiveInputs, Tape, Var};
    /// use stochgrad_tensor::{Real, Tensor};
    ///
    /// struct Cube;
    /// impl<F: Real> Primitive<F> for Cube {
    ///     fn name(&self) -> &str { "cube" }
    ///     fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
    ///         Ok(inputs.values[0].map(|x| x * x * x))
    ///     }
    ///     fn gradient<'t>(&self, x: &[Var<'t, F>], _: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
    ///         vec![Some(adjoint * x[0].square() * 3.0)]
    ///     }
    ///     fn as_operations<'t>(&self, x: &[Var<'t, F>]) -> Option<Description<'t, F>> {
    ///         Some(Description::of(x[0] * x[0] * x[0]))
    ///     }
    /// }
    ///
    /// let tape = Tape::<f64>::new();
    /// let x = tape.parameter(2.0);
    /// let recorded = Cube.as_operations(&[x]).expect("a description");
    /// assert_eq!(recorded.value.item()?, 8.0);
    /// # Ok::<(), stochgrad_tape::TapeError>(())
    /// ```
    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        let _ = inputs;
        None
    }

    /// Checks that [`smoothness`](Self::smoothness) is also true for these operands, if it depends on the values that
    /// were recorded. Each run of a [`Program`](crate::Program) calls this before [`forward`](Self::forward), unless
    /// the check failed for the recorded values themselves. A replay does not call it.
    ///
    /// # Errors
    /// A message that says what was expected and what the operation got. The run then fails, since its gradients would
    /// be valid only for the values that were recorded.
    fn holds(&self, inputs: PrimitiveInputs<'_, F>) -> Result<(), String> {
        let _ = inputs;
        Ok(())
    }
}
