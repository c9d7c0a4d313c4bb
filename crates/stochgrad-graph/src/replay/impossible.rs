//! Alternatives that the distribution of a node does not allow.
//!
//! A derivative that is made of alternatives asks for the cost at values that may have probability zero, where the cost
//! need not be finite: a logarithm of that probability, say. The rule is that of an expectation: *at weight 0 a cost
//! that is not finite contributes 0 to the value and the derivative; with a finite cost the derivative with respect to
//! the weight stays the cost.* So where an alternative is impossible and its cost is not finite, the term is taken
//! away: the cost counts as 0. A cost that is not finite at a possible value stays what it is.

use crate::analysis::recording::Recording;
use crate::error::GraphResult;
use std::cell::OnceCell;
use stochgrad_tape::{IdMap, PlateSet, Var};
use stochgrad_tensor::{Real, Tensor};

/// Where the value that a node has in a replay is impossible: 1 there, 0 elsewhere, on plates of the replay. It is
/// found out only if a cost of the replay is not finite.
pub(crate) struct Impossible<'a, 't, F: Real> {
    find: Box<dyn Fn() -> GraphResult<Var<'t, F>> + 'a>,
    found: OnceCell<Var<'t, F>>,
}

impl<'a, 't, F: Real> Impossible<'a, 't, F> {
    pub(crate) fn new(find: impl Fn() -> GraphResult<Var<'t, F>> + 'a) -> Self {
        Impossible { find: Box::new(find), found: OnceCell::new() }
    }

    /// A replayed cost, with 0 where it is not finite at an impossible value.
    ///
    /// A program repeats what was decided here: with the mask it is right for all values, and without it a cost that is
    /// not finite in a later run ends in a gradient that is not finite, which is an error.
    pub(crate) fn cleared(&self, cost: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        if cost.inspect()?.all_finite() {
            return Ok(cost);
        }
        let impossible = match self.found.get() {
            Some(&impossible) => impossible,
            None => {
                let impossible = (self.find)()?;
                *self.found.get_or_init(|| impossible)
            }
        };
        // A cost that does not tell the members apart was not made of one of them.
        let carried = cost.plates();
        if impossible.plates().iter().any(|plate| !carried.contains(plate)) {
            return Ok(cost);
        }
        let tape = cost.tape();
        let finite = cost.abs().lt(tape.constant(F::INFINITY.to_f64()));
        Ok((impossible * (1.0 - finite)).select(tape.constant(0.0), cost))
    }
}

/// For each independent element whether a value of the node has probability zero: 1 there, else 0, on the plates of the
/// value.
pub(crate) fn impossible_elements<'t, F: Real>(
    recording: &Recording<'_, 't, F>,
    node: usize,
    value: Var<'t, F>,
) -> GraphResult<Var<'t, F>> {
    let method = &recording.nodes[node].method;
    let log = method.log_prob_each(recording.bind(node, &IdMap::identity()), value.stop_gradient())?.stop_gradient();
    let lowest = recording.tape.constant(-F::MAX.to_f64());
    Ok(log.lt(lowest).expand_plates(&value.plates()))
}

/// Whether an alternative is impossible at a place, counted over the plates and the independent axes of the node's
/// value.
pub(crate) fn is_impossible<F: Real>(
    recording: &Recording<'_, '_, F>,
    node: usize,
    alternative: &Tensor<F>,
    place: usize,
) -> GraphResult<bool> {
    let value = recording.tape.constant_on(&recording.nodes[node].value.plates(), alternative.clone());
    Ok(impossible_elements(recording, node, value)?.peek()?.as_slice()[place] != F::ZERO)
}

/// Whether a value that was changed as a whole is impossible, along those plates of the node whose members do not meet.
pub(crate) fn impossible_value<'t, F: Real>(
    recording: &Recording<'_, 't, F>,
    node: usize,
    value: Var<'t, F>,
    coupled: &PlateSet,
) -> GraphResult<Var<'t, F>> {
    let elements = impossible_elements(recording, node, value)?.sum();
    let met = PlateSet::from(value.plates()).intersection(coupled);
    Ok(met.iter().fold(elements, |sum, &plate| sum.sum_over(plate)).step())
}
