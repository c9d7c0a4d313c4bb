//! Alternatives that have probability zero under the distribution of a node.
//!
//! A derivative that is computed from alternatives needs the cost at values that may have probability zero, and the
//! cost need not be finite there: it may contain the logarithm of that probability. The rule is that of an expectation:
//! *at weight 0, a cost that is not finite contributes 0 to the value and the derivative; for a finite cost, the
//! derivative with respect to the weight is the cost.* Therefore, if an alternative is impossible and its cost is not
//! finite, the cost counts as 0. A cost that is not finite at a possible value is not changed.

use crate::analysis::recording::Recording;
use crate::error::GraphResult;
use std::cell::OnceCell;
use stochgrad_tape::{IdMap, PlateSet, Var};
use stochgrad_tensor::{Real, Tensor};

/// A mask on plates of the replay that is 1 where the value of the node is impossible, and 0 elsewhere. It is computed
/// only if a cost of the replay is not finite.
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
    /// A compiled program repeats the decision that is made here. With the mask, it is correct for all values. Without
    /// the mask, a cost that is not finite in a later run leads to a gradient that is not finite, which is an error.
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
        // A cost that does not carry the plates does not belong to a single impossible value.
        let carried = cost.plates();
        if impossible.plates().iter().any(|plate| !carried.contains(plate)) {
            return Ok(cost);
        }
        let tape = cost.tape();
        let finite = cost.abs().lt(tape.constant(F::INFINITY.to_f64()));
        Ok((impossible * (1.0 - finite)).select(tape.constant(0.0), cost))
    }
}

/// A mask on the plates of the value, for each independent element: 1 where the value of the node has probability zero,
/// else 0.
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
