//! Whether a derivative flows through some elements of a value.

use crate::error::TapeResult;
use crate::op::Op;
use crate::tape::Tape;
use crate::var::Var;
use std::collections::HashSet;
use stochgrad_tensor::{Real, Tensor};

impl<F: Real> Tape<F> {
    /// Whether any of the chosen elements of a value has a nonzero derivative with respect to a trainable leaf. The
    /// tape is unchanged afterwards.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let x = tape.parameter([0.0, 2.0]);
    /// assert!(tape.has_derivative(x.exp(), &|y| y == 1.0)?);
    /// // The square has slope 0 where its value is 0.
    /// assert!(!tape.has_derivative(x.square(), &|y| y == 0.0)?);
    /// assert!(!tape.has_derivative(tape.constant([1.0]), &|_| true)?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The first error recorded on the tape.
    pub fn has_derivative(&self, value: Var<'_, F>, chosen: &dyn Fn(F) -> bool) -> TapeResult<bool> {
        let numbers = value.inspect()?;
        if !numbers.as_slice().iter().any(|&number| chosen(number)) {
            return Ok(false);
        }
        let value = self.var(value.id)?;
        let leaves = self.leaves_behind(value);
        if leaves.is_empty() {
            return Ok(false);
        }
        // The factors differ, so that the derivatives of different elements do not cancel.
        let adjoint = Tensor::from_fn(numbers.shape().clone(), |i| {
            if chosen(numbers.as_slice()[i]) { F::from_f64((i as f64 + 1.0).sqrt()) } else { F::ZERO }
        });
        let mark = self.len();
        let adjoint = self.constant_on(&value.plates(), adjoint);
        let products = self.vector_jacobian_product(value, adjoint, &leaves)?;
        let mut found = false;
        for product in products {
            found |= product.inspect()?.as_slice().iter().any(|slope| *slope != F::ZERO);
        }
        self.truncate(mark);
        Ok(found)
    }

    /// The trainable leaves that a derivative of a value reaches.
    fn leaves_behind<'t>(&'t self, value: Var<'t, F>) -> Vec<Var<'t, F>> {
        let (mut found, mut pending, mut seen) = (Vec::new(), vec![value], HashSet::new());
        while let Some(var) = pending.pop() {
            if !seen.insert(var.id) {
                continue;
            }
            match var.op() {
                Some(Op::Leaf { trainable: true }) => found.push(var),
                Some(_) => {
                    let inner = self.inner.borrow();
                    let passes = |input: usize| inner.passes_gradient(&inner.nodes[var.id.index()], input);
                    let operands = inner.nodes[var.id.index()].inputs.iter().enumerate();
                    pending.extend(operands.filter(|(input, _)| passes(*input)).map(|(_, &id)| self.at(id)));
                }
                None => {}
            }
        }
        found
    }
}
