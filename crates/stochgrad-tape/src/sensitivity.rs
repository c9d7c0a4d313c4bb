//! Whether a derivative flows through some elements of a value.

use crate::error::TapeResult;
use crate::op::Op;
use crate::replay::IdMap;
use crate::tape::Tape;
use crate::var::Var;
use std::collections::{BTreeSet, HashSet};
use stochgrad_tensor::{Real, Shape, Tensor, instantiated};

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
        instantiated!(
            F: fn(&Tape<F>, Var<'_, F>, &dyn Fn(F) -> bool) -> TapeResult<bool> = Tape::has_derivative_body
        )(self, value, chosen)
    }

    fn has_derivative_body(&self, value: Var<'_, F>, chosen: &dyn Fn(F) -> bool) -> TapeResult<bool> {
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

    /// As [`has_derivative`](Self::has_derivative), recorded for elements that are chosen by a mask: 1 if any element of
    /// `value` where `chosen` is not 0 has a nonzero derivative with respect to a trainable leaf, else 0. The result has
    /// no plates. The shape and the plates of the mask broadcast to those of the value.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let square = tape.parameter([0.0, 2.0]).square();
    /// assert_eq!(tape.record_has_derivative(square, tape.constant([1.0, 0.0]))?.item()?, 0.0);
    /// assert_eq!(tape.record_has_derivative(square, tape.constant([0.0, 1.0]))?.item()?, 1.0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The first error recorded on the tape.
    #[track_caller]
    pub fn record_has_derivative<'t>(&'t self, value: Var<'t, F>, chosen: Var<'t, F>) -> TapeResult<Var<'t, F>> {
        let zero = self.constant(0.0);
        let (leaves, between) = self.gradient_paths(value);
        if leaves.is_empty() {
            return Ok(zero);
        }
        // A copy of the paths from the leaves to the value: a backward pass over it visits nothing else on the tape.
        let mut ids = IdMap::identity();
        let mut copies = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let copy = leaf.reshape(leaf.shape());
            ids.insert(leaf.id, copy.id);
            copies.push(copy);
        }
        for var in between {
            ids.insert(var.id, self.rerecord(var, &ids).id);
        }
        let value = self.at(ids.get(value.id));
        let plates = value.plates();
        let shape: Shape =
            plates.iter().map(|&plate| self.plate_size(plate)).chain(value.shape().iter().copied()).collect();
        // The factors differ, so that the derivatives of different elements do not cancel.
        let factor = |i: usize| F::from_f64((i as f64 + 1.0).sqrt());
        let adjoint = match shape.numel() {
            1 => chosen,
            _ => chosen.select(self.constant_on(&plates, Tensor::from_fn(shape, factor)), zero),
        };
        let mut found: Option<Var<'t, F>> = None;
        for product in self.vector_jacobian_product(value, adjoint, &copies)? {
            let slopes = 1.0 - product.stop_gradient().equal(zero);
            let any = if slopes.shape().is_empty() { slopes } else { slopes.sum().gt(zero) };
            found = Some(found.map_or(any, |found| found.maximum(any)));
        }
        Ok(found.unwrap_or(zero))
    }

    /// The trainable leaves that a derivative of a value reaches, and the values on the paths to them, in the order of
    /// recording.
    fn gradient_paths<'t>(&'t self, value: Var<'t, F>) -> (Vec<Var<'t, F>>, Vec<Var<'t, F>>) {
        let inner = self.inner.borrow();
        let (mut leaves, mut between) = (Vec::new(), BTreeSet::new());
        let mut pending = vec![value.id];
        let mut seen = HashSet::new();
        while let Some(id) = pending.pop() {
            let Some(node) = inner.node(id).filter(|node| node.trains) else { continue };
            if !seen.insert(id) {
                continue;
            }
            match node.op {
                Op::Leaf { .. } => leaves.push(self.at(id)),
                _ => {
                    between.insert(id.index());
                    let operands = node.inputs.iter().enumerate();
                    pending
                        .extend(operands.filter(|(input, _)| inner.passes_gradient(node, *input)).map(|(_, &id)| id));
                }
            }
        }
        (leaves, between.into_iter().map(|index| self.at(inner.id(index))).collect())
    }

    /// The trainable leaves that a derivative of a value reaches.
    fn leaves_behind<'t>(&'t self, value: Var<'t, F>) -> Vec<Var<'t, F>> {
        self.gradient_paths(value).0
    }
}
