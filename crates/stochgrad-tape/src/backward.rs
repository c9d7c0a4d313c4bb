//! Reverse-mode differentiation, either with the gradients recorded on the tape ([`Tape::grad`]) or as plain tensors,
//! with all intermediate values freed early ([`Tape::backward`]).

use crate::adjoint::{Adjoint, plain};
use crate::error::{TapeError, TapeResult};
use crate::id::{Id, Inputs};
use crate::op::Op;
use crate::op::broadcast::full;
use crate::op::slope::Slope;
use crate::slice_adjoints::SliceAdjoints;
use crate::tape::{Scratch, Tape};
use crate::var::Var;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::panic::Location;
use stochgrad_tensor::{Real, Shape, Tensor, instantiated};

impl<F: Real> Tape<F> {
    /// The gradients of a scalar with respect to some variables, recorded on the tape. They can be used in expressions
    /// and differentiated again; for plain tensors, [`backward`](Self::backward) needs less memory.
    ///
    /// `output` must have one element and no plates. Each gradient has the plates and the event shape of its variable.
    /// It is zero if `output` does not depend on the variable.
    ///
    /// # Errors
    /// The first error recorded on the tape, an `output` that is not a scalar, or a variable of another tape.
    #[track_caller]
    pub fn grad<'t, const N: usize>(&'t self, output: Var<'t, F>, wrt: [Var<'t, F>; N]) -> TapeResult<[Var<'t, F>; N]> {
        let gradients = self.gradients(output, &wrt)?;
        let mut result = wrt;
        result.copy_from_slice(&gradients);
        Ok(result)
    }

    /// As [`Tape::grad`], for any number of variables.
    ///
    /// # Errors
    /// As [`Tape::grad`].
    #[track_caller]
    pub fn gradients<'t>(&'t self, output: Var<'t, F>, wrt: &[Var<'t, F>]) -> TapeResult<Vec<Var<'t, F>>> {
        instantiated!(F: for<'t> fn(&'t Tape<F>, Var<'t, F>, &[Var<'t, F>], &'static Location<'static>) -> TapeResult<Vec<Var<'t, F>>> = Tape::gradients_body)(
            self,
            output,
            wrt,
            Location::caller(),
        )
    }

    fn gradients_body<'t>(
        &'t self,
        output: Var<'t, F>,
        wrt: &[Var<'t, F>],
        at: &'static Location<'static>,
    ) -> TapeResult<Vec<Var<'t, F>>> {
        self.check_scalar(output, wrt, "grad", at)?;
        let seed = self.filled(output.shape(), F::ONE);
        let adjoints = self.sweep(output, seed, wrt)?;
        self.check()?;
        Ok(adjoints)
    }

    /// The product of an adjoint with the Jacobian of `output`: the gradients of `Σ adjoint · output`. `output` may
    /// have any shape, which `adjoint` must broadcast to.
    ///
    /// # Errors
    /// The first error recorded on the tape.
    #[track_caller]
    pub fn vector_jacobian_product<'t>(
        &'t self,
        output: Var<'t, F>,
        adjoint: Var<'t, F>,
        wrt: &[Var<'t, F>],
    ) -> TapeResult<Vec<Var<'t, F>>> {
        let mut total = output * adjoint.stop_gradient();
        total = total.sum();
        for plate in total.plates() {
            total = total.sum_over(plate);
        }
        self.gradients(total, wrt)
    }

    /// The gradients of a scalar as plain tensors. Adjoints are freed as soon as they are no longer needed, and the
    /// tape is unchanged afterwards.
    ///
    /// # Errors
    /// As [`Tape::grad`].
    #[track_caller]
    pub fn backward<'t, const N: usize>(
        &'t self,
        output: Var<'t, F>,
        wrt: [Var<'t, F>; N],
    ) -> TapeResult<[Tensor<F>; N]> {
        let gradients = self.backward_all(output, &wrt)?;
        let mut result = wrt.map(|_| Tensor::scalar(F::ZERO));
        result.clone_from_slice(&gradients);
        Ok(result)
    }

    /// As [`Tape::backward`], for any number of variables.
    ///
    /// # Errors
    /// As [`Tape::grad`].
    #[track_caller]
    pub fn backward_all<'t>(&'t self, output: Var<'t, F>, wrt: &[Var<'t, F>]) -> TapeResult<Vec<Tensor<F>>> {
        instantiated!(F: for<'t> fn(&'t Tape<F>, Var<'t, F>, &[Var<'t, F>], &'static Location<'static>) -> TapeResult<Vec<Tensor<F>>> = Tape::backward_body)(
            self,
            output,
            wrt,
            Location::caller(),
        )
    }

    fn backward_body<'t>(
        &'t self,
        output: Var<'t, F>,
        wrt: &[Var<'t, F>],
        at: &'static Location<'static>,
    ) -> TapeResult<Vec<Tensor<F>>> {
        self.check_scalar(output, wrt, "backward", at)?;
        if self.inner.borrow().has_shards {
            return Err(Self::unknown_on_a_shard("backward", at));
        }
        let base = self.len();
        self.inner.borrow_mut().scratch = Some(Scratch { base, free: Vec::new(), created: Vec::new() });
        let seed = self.filled(output.shape(), F::ONE);
        let swept = self.sweep(output, seed, wrt);
        let result = swept.and_then(|adjoints| adjoints.iter().map(|adjoint| adjoint.inspect()).collect());
        self.inner.borrow_mut().scratch = None;
        self.truncate(base);
        result
    }

    /// The product of the Hessian of a scalar with a direction: one tensor for each variable.
    ///
    /// # Errors
    /// As [`Tape::grad`].
    #[track_caller]
    pub fn hessian_vector_product<'t>(
        &'t self,
        output: Var<'t, F>,
        wrt: &[Var<'t, F>],
        direction: &[Var<'t, F>],
    ) -> TapeResult<Vec<Tensor<F>>> {
        let at = Location::caller();
        if direction.len() != wrt.len() {
            let message = format!(
                "hessian_vector_product: expected {} directions, one for each variable, got {}",
                wrt.len(),
                direction.len()
            );
            return Err(TapeError::Other { message, at });
        }
        self.own(direction, at)?;
        let base = self.len();
        let result = self.gradients(output, wrt).and_then(|gradients| {
            let mut along = self.filled(Shape::scalar(), F::ZERO);
            for (gradient, direction) in gradients.iter().zip(direction) {
                let mut product = (*gradient * direction.stop_gradient()).sum();
                for plate in product.plates() {
                    product = product.sum_over(plate);
                }
                along = along + product;
            }
            self.backward_all(along, wrt)
        });
        self.truncate(base);
        result
    }

    fn check_scalar(
        &self,
        output: Var<'_, F>,
        wrt: &[Var<'_, F>],
        what: &'static str,
        at: &'static Location<'static>,
    ) -> TapeResult<()> {
        self.check()?;
        self.own(&[output], at)?;
        self.own(wrt, at)?;
        if output.shape().numel() != 1 || !output.plates().is_empty() {
            return Err(TapeError::NotScalar { what, shape: output.shape(), plates: output.plates_in_words(), at });
        }
        Ok(())
    }

    /// Which values depend on the given variables through operations that pass gradients, and whether any of these
    /// operations introduces a mask.
    fn dependents(&self, wrt: &[Var<'_, F>], end: usize) -> (Vec<bool>, bool) {
        let inner = self.inner.borrow();
        let mut depends = vec![false; end];
        let mut masks = false;
        for var in wrt.iter().filter(|var| var.id.index() < end) {
            depends[var.id.index()] = true;
        }
        let start = wrt.iter().map(|var| var.id.index()).min().unwrap_or(end);
        for index in start..end {
            if !depends[index] {
                let node = &inner.nodes[index];
                let passes = |input: usize| inner.passes_gradient(node, input);
                depends[index] = node.inputs.iter().enumerate().any(|(input, id)| depends[id.index()] && passes(input));
                masks |= depends[index] && node.op.masks_from().is_some();
            }
        }
        (depends, masks)
    }

    /// Attributes the operations recorded from now on to the derivative rule of a value, and returns its operands.
    fn begin_rule(&self, id: Id) -> Inputs {
        let inner = &mut *self.inner.borrow_mut();
        let node = &inner.nodes[id.index()];
        inner.rule_of = id;
        inner.located = Some(node.location);
        node.inputs.clone()
    }

    fn sweep<'t>(&'t self, output: Var<'t, F>, seed: Var<'t, F>, wrt: &[Var<'t, F>]) -> TapeResult<Vec<Var<'t, F>>> {
        let before = {
            let inner = self.inner.borrow();
            (inner.located, inner.rule_of)
        };
        let result = self.swept(output, seed, wrt);
        let inner = &mut *self.inner.borrow_mut();
        (inner.located, inner.rule_of) = before;
        result
    }

    /// Adds a contribution to the adjoint of a value.
    fn add_adjoint(
        &self,
        slot: &mut Option<Adjoint>,
        part: Adjoint,
        upstream: Slope,
        holds: &mut Holds,
    ) -> TapeResult<()> {
        let total = match *slot {
            None => part,
            Some(before) => {
                let sum = self.sum_of(before, part, upstream > Slope::Finite);
                holds.release(self, before);
                sum
            }
        };
        if total.ids().any(|id| id == Id::POISON) {
            self.check()?;
        }
        holds.take(self, total);
        *slot = Some(total);
        Ok(())
    }

    fn swept<'t>(&'t self, output: Var<'t, F>, seed: Var<'t, F>, wrt: &[Var<'t, F>]) -> TapeResult<Vec<Var<'t, F>>> {
        let end = output.id.index() + 1;
        let (depends, masks) = self.dependents(wrt, end);
        let slopes = if masks { self.slopes_upstream(&depends) } else { Vec::new() };
        let upstream = |id: Id| slopes.get(id.index()).copied().unwrap_or(Slope::Finite);
        let mut adjoints: Vec<Option<Adjoint>> = vec![None; end];
        let mut holds = Holds::default();
        adjoints[end - 1] = Some(Adjoint::plain(seed.id));
        holds.take(self, Adjoint::plain(seed.id));
        let mut keep = vec![false; end];
        wrt.iter().filter(|var| var.id.index() < end).for_each(|var| keep[var.id.index()] = true);
        let mut sliced: HashMap<Id, Option<SliceAdjoints>> = HashMap::new();
        for index in (0..end).rev() {
            let value = Var { tape: self, id: self.inner.borrow().id(index) };
            if let Some(slices) = sliced.remove(&value.id).flatten() {
                self.begin_rule(value.id);
                let joined = Adjoint::plain(slices.joined(value).id);
                slices.adjoints().for_each(|part| holds.release(self, part));
                self.add_adjoint(&mut adjoints[index], joined, upstream(value.id), &mut holds)?;
            }
            let Some(adjoint) = adjoints[index] else { continue };
            if !depends[index] {
                continue;
            }
            let inputs = self.begin_rule(value.id);
            let (wanted, is_slice) = {
                let inner = self.inner.borrow();
                let node = &inner.nodes[index];
                let wants = |(input, id): (usize, &Id)| depends[id.index()] && inner.passes_gradient(node, input);
                let wanted: SmallVec<[bool; 3]> = inputs.iter().enumerate().map(wants).collect();
                (wanted, matches!(node.op, Op::Slice { .. }))
            };
            let collected = match inputs[..] {
                [whole] if is_slice && wanted[0] => {
                    self.collect_slice(sliced.entry(whole).or_default(), value, adjoint)
                }
                _ => None,
            };
            if let Some(part) = collected {
                holds.take(self, part);
            } else if wanted.contains(&true) {
                let parts = if masks {
                    self.propagate(value, adjoint, &wanted, &|input| upstream(inputs[input]))
                } else {
                    plain(self.rule(value, self.at(adjoint.id), None, &wanted))
                };
                for ((part, input), wanted) in parts.into_iter().zip(&inputs).zip(&wanted) {
                    let (Some(part), true) = (part, *wanted) else { continue };
                    self.add_adjoint(&mut adjoints[input.index()], part, upstream(*input), &mut holds)?;
                }
            }
            if !keep[index] {
                adjoints[index] = None;
                holds.release(self, adjoint);
            }
            holds.sweep(self);
        }
        self.inner.borrow_mut().rule_of = Id::POISON;
        let finished: Vec<Var<'t, F>> = wrt
            .iter()
            .map(|&var| match adjoints.get(var.id.index()).copied().flatten() {
                Some(adjoint) => full(self.at(self.cleaned(adjoint).id), var),
                None => self.filled(Shape::scalar(), F::ZERO).apply(Op::Expand(var.plates(), var.shape())),
            })
            .collect();
        self.check()?;
        Ok(finished)
    }
}

/// The number of pending adjoints that use each node of a scratch pass.
#[derive(Default)]
struct Holds {
    counts: Vec<u32>,
}

impl Holds {
    fn slot<F: Real>(&mut self, tape: &Tape<F>, id: Id) -> Option<&mut u32> {
        let base = tape.inner.borrow().scratch.as_ref()?.base;
        let slot = id.index().checked_sub(base)?;
        if self.counts.len() <= slot {
            self.counts.resize(slot + 1, 0);
        }
        self.counts.get_mut(slot)
    }

    fn take<F: Real>(&mut self, tape: &Tape<F>, adjoint: Adjoint) {
        for id in adjoint.ids() {
            if let Some(count) = self.slot(tape, id) {
                *count += 1;
            }
        }
    }

    fn release<F: Real>(&mut self, tape: &Tape<F>, adjoint: Adjoint) {
        for id in adjoint.ids() {
            if let Some(count) = self.slot(tape, id) {
                *count -= 1;
                if *count == 0
                    && let Some(scratch) = &mut tape.inner.borrow_mut().scratch
                {
                    scratch.created.push(id.position);
                }
            }
        }
    }

    /// Frees the values that no pending adjoint uses.
    fn sweep<F: Real>(&mut self, tape: &Tape<F>) {
        let inner = &mut *tape.inner.borrow_mut();
        let Some(scratch) = &mut inner.scratch else { return };
        scratch.created.sort_unstable();
        scratch.created.dedup();
        for index in scratch.created.drain(..) {
            let slot = index as usize - scratch.base;
            if self.counts.get(slot).copied().unwrap_or(0) == 0 {
                let node = &mut inner.nodes[index as usize];
                inner.memory.live -= node.own_bytes();
                (node.owns, node.stamp) = (false, 0);
                let spent = std::mem::replace(&mut node.value, inner.placeholder.clone());
                if node.pooled {
                    tape.pool.recycle(spent);
                }
                scratch.free.push(index);
            }
        }
    }
}
