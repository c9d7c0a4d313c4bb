//! The common part of methods that share replays between nodes: the strengths of alternatives, and the gradients that
//! accumulate for each node.

use crate::counterfactual::perturbation::weighted;
use stochgrad_graph::{GradientTerm, GraphResult, GroupContext};
use stochgrad_tape::{PlateSet, Plates, Var};
use stochgrad_tensor::{Real, Shape};

/// The strength of each alternative at each element of a node of a group: the sum of its absolute weights over all
/// coordinates of all parameters. For each alternative, one axis holds the elements in a lane, as in
/// [`GroupContext::fold`].
pub fn total_strengths<'t, F: Real>(context: &GroupContext<'_, 't, F>, member: usize) -> Vec<Var<'t, F>> {
    let candidates = &context.candidates()[member];
    let independent = context.member(member).value().shape().len().saturating_sub(candidates.element_rank);
    let mut strengths: Vec<Option<Var<'t, F>>> = vec![None; candidates.values.len()];
    for share in &candidates.shares {
        for (strength, weight) in strengths[share.first..].iter_mut().zip(&share.weights) {
            let coordinates = weight.shape().len().saturating_sub(independent);
            let own = if coordinates == 0 { weight.abs() } else { weight.abs().sum_last(coordinates) };
            *strength = Some(strength.map_or(own, |sum| sum + own));
        }
    }
    let nothing = context.tape().constant(0.0);
    strengths.into_iter().map(|strength| context.fold(member, strength.unwrap_or(nothing))).collect()
}

/// The sum over all event axes.
pub(crate) fn sum<F: Real>(value: Var<'_, F>) -> Var<'_, F> {
    if value.shape().is_empty() { value } else { value.sum() }
}

/// Values of the elements in a lane for several alternatives or nodes, one after the other along one axis.
///
/// # Errors
/// For an empty list.
pub(crate) fn in_a_row<'t, F: Real>(folded: &[Var<'t, F>]) -> GraphResult<Var<'t, F>> {
    let plates: PlateSet = folded.iter().flat_map(|value| value.plates()).collect();
    let flat = folded.iter().map(|value| value.reshape([value.shape().numel()]).expand_plates(&plates));
    Ok(Var::concat(&flat.collect::<Vec<_>>(), 0)?)
}

/// Chooses one of several options for each lane, with probabilities in proportion to the strengths along the only axis.
/// The result is 1 for the chosen option, and 0 for the others.
///
/// # Errors
/// Those of the noise source.
pub fn choose<'t, F: Real>(
    context: &GroupContext<'_, 't, F>,
    member: usize,
    purpose: &str,
    strengths: Var<'t, F>,
) -> GraphResult<Var<'t, F>> {
    let options = strengths.shape().numel();
    let draw = context.draw(member, purpose);
    let chosen = draw.record_categorical(context.tape(), &Shape::scalar(), strengths);
    Ok(chosen.map_err(|source| context.member(member).error(source))?.one_hot(options))
}

/// The sample of a node, with an alternative at the chosen elements. For each alternative, `chosen` is 1 at these
/// elements in a lane, and 0 at all others. The result is only meant for lanes with a chosen element.
pub fn replaced_elements<'t, F: Real>(
    context: &GroupContext<'_, 't, F>,
    member: usize,
    chosen: &[Var<'t, F>],
) -> Var<'t, F> {
    let candidates = &context.candidates()[member];
    let mut options = candidates.values.iter().zip(chosen);
    let sample = context.member(member).value().stop_gradient();
    // If a lane has a single element, it is chosen.
    let first = match options.next() {
        Some((&only, _)) if context.places(member) == 1 => only,
        _ => {
            options = candidates.values.iter().zip(chosen);
            sample
        }
    };
    options.fold(first, |value, (&alternative, &chosen)| {
        let chosen = context.unfold(member, chosen);
        let chosen = (0..candidates.element_rank).fold(chosen, |chosen, _| chosen.unsqueeze(-1));
        chosen.select(alternative, value)
    })
}

/// Accumulates the gradients with respect to the parameters of all nodes of a group.
#[derive(Debug)]
pub struct Ledger<'t, F: Real> {
    /// For each node and share.
    gradients: Vec<Vec<Option<Var<'t, F>>>>,
}

impl<'t, F: Real> Ledger<'t, F> {
    /// All gradients zero.
    pub fn new(context: &GroupContext<'_, 't, F>) -> Self {
        let nodes = context.candidates().iter().map(|candidates| vec![None; candidates.shares.len()]);
        Ledger { gradients: nodes.collect() }
    }

    /// Adds the weights of an alternative times the changes of the costs that are due to each element in a lane, along
    /// one axis.
    pub fn add(&mut self, context: &GroupContext<'_, 't, F>, member: usize, alternative: usize, changes: Var<'t, F>) {
        let changes = context.unfold(member, changes);
        let candidates = &context.candidates()[member];
        for (share, gradient) in candidates.shares.iter().zip(&mut self.gradients[member]) {
            let own = alternative.checked_sub(share.first).and_then(|own| share.weights.get(own));
            if let Some(&weight) = own {
                // An alternative that was chosen has a weight in the derivative with respect to the only coordinate.
                let alone = candidates.shares.len() == 1 && weight.shape().len() <= changes.shape().len();
                let change = if alone { weight * changes } else { weighted(weight, changes) };
                *gradient = Some(gradient.map_or(change, |sum| sum + change));
            }
        }
    }

    /// The gradient terms, each with the number of its node in the group: what
    /// [`Group::terms`](stochgrad_graph::Group::terms) returns.
    pub fn finish(self, context: &GroupContext<'_, 't, F>) -> Vec<(usize, GradientTerm<'t, F>)> {
        let zero = context.tape().constant(0.0);
        let mut terms = Vec::new();
        for (member, gradients) in self.gradients.into_iter().enumerate() {
            let mut summed: Plates = context.member(member).plates().clone();
            summed.retain(|plate| !context.lanes().contains(plate));
            for (share, gradient) in context.candidates()[member].shares.iter().zip(gradients) {
                if let Some(gradient) = gradient {
                    let value = zero.straight_through((gradient.stop_gradient() * share.parameter).sum());
                    terms.push((member, GradientTerm { value, summed: summed.clone() }));
                }
            }
        }
        terms
    }
}
