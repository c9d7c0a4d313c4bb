//! Structural zeros of adjoints: elements that receive no gradient, for any values.
//!
//! `select` passes 0 to the branch that was not taken, and a weighted sum passes 0 to a member that is removed by its
//! weight of 0. The derivative there is 0, but a rule that multiplies this 0 by an infinite slope gives NaN. An adjoint
//! may therefore carry a [`Mask`] of the elements that take part. Element-wise functions and rearrangements pass the
//! mask on. Elements outside the mask are set to 0 before several elements are combined, and at the end. An adjoint
//! that happens to have the value 0 has no mask: 0 · ∞ is NaN there, since the derivative does not exist.
//!
//! The operations alone decide whether masks are kept, never the values, since a program repeats the operations with
//! other values. No mask is recorded unless an operation whose slope may be infinite lies upstream of a `select` or a
//! weighted sum.

use crate::adjoint::{Adjoint, Mask, plain};
use crate::op::broadcast::{restored, with_rank};
use crate::op::slope::{Passage, Slope};
use crate::op::{Axes, Op, PlateReduction, Smoothness};
use crate::plate::{Plates, merge};
use crate::tape::Tape;
use crate::var::Var;
use smallvec::SmallVec;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::zip::Zip;
use stochgrad_tensor::{Real, Shape};

impl<F: Real> Tape<F> {
    /// The worst slope upstream of each value, over the operations that pass masks on and through which a derivative
    /// flows.
    pub(crate) fn slopes_upstream(&self, depends: &[bool]) -> Vec<Slope> {
        let inner = self.inner.borrow();
        let mut slopes = vec![Slope::Finite; depends.len()];
        for (index, node) in inner.nodes[..depends.len()].iter().enumerate().filter(|(index, _)| depends[*index]) {
            if node.op.passage() == Passage::Mix {
                continue;
            }
            let reached = node.inputs.iter().enumerate().filter(|(_, id)| depends[id.index()]);
            let passing = reached.filter(|(input, _)| node.op.smoothness(*input) > Smoothness::Constant);
            if let Some(worst) = passing.map(|(_, id)| slopes[id.index()]).max() {
                slopes[index] = worst.max(node.op.slope());
            }
        }
        slopes
    }

    pub(crate) fn cleaned(&self, adjoint: Adjoint) -> Adjoint {
        match adjoint.mask {
            Some(mask) if !adjoint.clean => {
                Adjoint { id: self.masked(self.at(adjoint.id), mask).id, clean: true, ..adjoint }
            }
            _ => adjoint,
        }
    }

    /// The sum of two contributions. `marked` says whether masks are needed upstream.
    pub(crate) fn sum_of(&self, a: Adjoint, b: Adjoint, marked: bool) -> Adjoint {
        if a.mask == b.mask {
            return Adjoint { id: (self.at(a.id) + self.at(b.id)).id, clean: a.clean && b.clean, ..a };
        }
        let (a, b) = (self.cleaned(a), self.cleaned(b));
        let mask = match (a.mask, b.mask) {
            (Some(m), Some(n)) if marked => Some(Mask::of(self.marks(m) + self.marks(n))),
            _ => None,
        };
        Adjoint { id: (self.at(a.id) + self.at(b.id)).id, mask, clean: true }
    }

    /// A positive value where an element takes part, else 0.
    pub(crate) fn marks(&self, mask: Mask) -> Var<'_, F> {
        let condition = self.at(mask.condition);
        let comparison = matches!(
            condition.op(),
            Some(
                Op::Map(Map::Step | Map::Within(..) | Map::Outside(..) | Map::IsNan)
                    | Op::Zip(
                        Zip::Greater
                            | Zip::GreaterEqual
                            | Zip::Less
                            | Zip::LessEqual
                            | Zip::Equal
                            | Zip::NotEqual
                            | Zip::Keep
                    )
            )
        );
        match (mask.inverted, comparison) {
            (false, true) => condition,
            (false, false) => condition.not_equal(self.filled(Shape::scalar(), F::ZERO)),
            (true, _) => condition.equal(self.filled(Shape::scalar(), F::ZERO)),
        }
    }

    /// The elements that are in both masks.
    fn both(&self, outer: Option<Mask>, own: Mask) -> Mask {
        match outer {
            Some(outer) if outer != own => Mask::of(self.marks(outer) * self.marks(own)),
            _ => own,
        }
    }

    /// The mask of an operand of an element-wise operation, given the mask of its result. If `own` is set, it is
    /// combined with the mask that the operation itself introduces.
    fn operand_mask<'t>(&'t self, output: Var<'t, F>, outer: Option<Mask>, input: usize, own: bool) -> Option<Mask> {
        let (op, inputs) = (output.op()?, output.inputs());
        let operand = inputs[input];
        let (mut plates, mut event) = (output.plates(), output.shape());
        let mask = match (&op, outer) {
            (Op::Select, outer) if own => self.both(outer, Mask { condition: inputs[0].id, inverted: input == 2 }),
            (Op::Zip(Zip::Hold | Zip::Weigh), outer) if own && input == 0 => {
                self.both(outer, Mask::of(operand.zip(Zip::Keep, inputs[1])))
            }
            (Op::PlateReduce(plate, how), outer) => {
                merge(&mut plates, &[*plate]);
                match (how, outer) {
                    (PlateReduction::Weighted, outer) if own && input == 0 => {
                        self.both(outer, Mask::of(operand.zip(Zip::Keep, inputs[1])))
                    }
                    (_, outer) => outer?,
                }
            }
            (Op::Reduce(_, axes), Some(outer)) => {
                let condition = with_rank(self.at(outer.condition), event.len());
                let condition = condition.reshape(restored(&condition.shape(), axes));
                event = operand.shape();
                Mask { condition: condition.id, ..outer }
            }
            (_, outer) => outer?,
        };
        if operand.plates() == plates && operand.shape() == event {
            return Some(mask);
        }
        let (condition, own) = (self.at(mask.condition), operand.plates());
        let removed: Plates = condition.plates().into_iter().filter(|plate| !own.contains(plate)).collect();
        let (has, wants) = (condition.shape(), operand.shape());
        let missing = has.len().saturating_sub(wants.len());
        let start = wants.len().saturating_sub(has.len());
        let axes: Axes = (0..has.len())
            .filter(|&axis| has[axis] != 1 && (axis < missing || wants[start + axis - missing] == 1))
            .collect();
        if removed.is_empty() && axes.is_empty() && missing == 0 {
            return Some(mask);
        }
        let any = self.marks(mask).apply(Op::SumOut(removed, axes));
        let kept: Shape = any.shape()[missing..].into();
        Some(Mask::of(if missing == 0 { any } else { any.reshape(kept) }))
    }
}

impl<F: Real> Tape<F> {
    /// The adjoints of the operands of `output` with their masks, given the adjoint of `output`. `wanted` says which
    /// operands need one, and `upstream` is the worst slope upstream of each operand.
    pub(crate) fn propagate<'t>(
        &'t self,
        output: Var<'t, F>,
        adjoint: Adjoint,
        wanted: &[bool],
        upstream: &dyn Fn(usize) -> Slope,
    ) -> SmallVec<[Option<Adjoint>; 3]> {
        let Some(op) = output.op() else { return SmallVec::new() };
        let makes = op.masks_from();
        if adjoint.mask.is_none() && makes.is_none() {
            return plain(self.rule(output, self.at(adjoint.id), None, wanted));
        }
        let passage = op.passage();
        if passage != Passage::Elementwise {
            let adjoint = if passage == Passage::Move { adjoint } else { self.cleaned(adjoint) };
            let mut parts = plain(self.rule(output, self.at(adjoint.id), None, wanted));
            let Some(mask) = adjoint.mask.filter(|_| passage != Passage::Mix) else { return parts };
            let marked: SmallVec<[bool; 3]> = wanted
                .iter()
                .enumerate()
                .map(|(input, &wanted)| wanted && (!adjoint.clean || upstream(input) > Slope::Finite))
                .collect();
            if marked.contains(&true) {
                // The rule moves marks as it moves adjoints. They stay positive where an element takes part.
                let marks = with_rank(self.marks(mask), output.shape().len());
                for (part, marks) in parts.iter_mut().zip(self.rule(output, marks, None, &marked)) {
                    if let (Some(part), Some(marks)) = (part, marks) {
                        *part = Adjoint { mask: Some(Mask::of(marks)), clean: adjoint.clean, ..*part };
                    }
                }
            }
            return parts;
        }
        let (mut plates, event) = (output.plates(), output.shape());
        let broadcasts = !matches!(op, Op::Reduce(..) | Op::PlateReduce(..));
        let weighs = matches!(op, Op::PlateReduce(_, PlateReduction::Weighted));
        if let Op::PlateReduce(plate, _) = op {
            merge(&mut plates, &[plate]);
        }
        let inputs = output.inputs();
        let whole = |input: usize| {
            !(broadcasts || weighs) || inputs[input].plates() == plates && inputs[input].shape() == event
        };
        let slope = op.slope();
        // If the slope is finite, an adjoint that is summed for several operands is cleaned once.
        let sums = (0..inputs.len()).any(|input| wanted[input] && !whole(input));
        let adjoint = if slope == Slope::Finite && sums { self.cleaned(adjoint) } else { adjoint };
        let clean = adjoint.mask.is_none() || adjoint.clean && slope == Slope::Finite;
        let parts = self.rule(output, self.at(adjoint.id), adjoint.mask.filter(|_| !clean), wanted);
        let with_mask = |(input, part): (usize, Option<Var<'t, F>>)| {
            let part = part.filter(|_| wanted[input])?;
            let mut clean = clean || !whole(input);
            let own = makes.is_some_and(|worst| upstream(input) >= worst);
            let handed_on = adjoint.mask.is_some() && (!clean || upstream(input) > Slope::Finite);
            let mask = if own || handed_on { self.operand_mask(output, adjoint.mask, input, own) } else { None };
            // The rule of `select` has already set the elements outside its own mask to 0.
            clean |= op == Op::Select && mask == Some(Mask { condition: inputs[0].id, inverted: input == 2 });
            Some(Adjoint { id: part.id, mask, clean: clean || mask.is_none() })
        };
        parts.into_iter().enumerate().map(with_mask).collect()
    }
}
