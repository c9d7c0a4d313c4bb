//! The common part of methods that share replays between nodes: the strengths of alternatives, and the gradients that
//! accumulate for each node.

use stochgrad_graph::{GradientTerm, GraphResult, GroupContext, Jump};
use stochgrad_tape::Plates;
use stochgrad_tensor::{Real, Shape, Tensor};

/// The strength of each alternative at each place of a node of a group: the sum of its absolute weights over all
/// coordinates of all parameters.
pub fn total_strengths<F: Real>(context: &GroupContext<'_, '_, F>, member: usize) -> Vec<Vec<f64>> {
    let (candidates, places) = (&context.candidates()[member], context.places(member));
    let strength = |alternative: usize, place: usize| -> f64 {
        let weights = candidates.shares.iter().flat_map(|share| share.at(Jump { alternative, place }, places));
        weights.map(|weight| weight.to_f64().abs()).sum()
    };
    (0..candidates.values.len()).map(|a| (0..places).map(|place| strength(a, place)).collect()).collect()
}

/// Chooses one of several options for each lane, with probabilities in proportion to the strengths. `strengths` lists
/// those of the first lane first.
///
/// # Errors
/// Those of the noise source.
pub fn choose<F: Real>(
    context: &GroupContext<'_, '_, F>,
    member: usize,
    purpose: &str,
    options: usize,
    strengths: &[f64],
) -> GraphResult<Vec<usize>> {
    let only = |lane: &[f64]| {
        let mut possible = (0..options).filter(|&option| lane[option] != 0.0);
        possible.next().filter(|_| possible.next().is_none())
    };
    // Most nodes of a long chain have nothing that competes: no draw is needed.
    if let Some(chosen) = strengths.chunks(options.max(1)).map(only).collect() {
        return Ok(chosen);
    }
    let table = Tensor::from_fn(context.lane_shape(&[options]), |i| F::from_f64(strengths[i]));
    let draw = context.draw(member, purpose);
    let chosen = draw.categorical(&Shape::scalar(), &table);
    let chosen = chosen.map_err(|source| context.member(member).error(source))?;
    Ok(chosen.as_slice().iter().map(|chosen| chosen.to_f64() as usize).collect())
}

/// Accumulates the gradients with respect to the parameters of all nodes of a group.
#[derive(Debug)]
pub struct Ledger<F: Real> {
    /// For each node and share, of the shape of the share's weights.
    gradients: Vec<Vec<Vec<F>>>,
}

impl<F: Real> Ledger<F> {
    /// All gradients zero.
    pub fn new(context: &GroupContext<'_, '_, F>) -> Self {
        let nodes = context.candidates().iter().map(|candidates| {
            let len = |weights: &[Tensor<F>]| weights.first().map_or(0, Tensor::len);
            candidates.shares.iter().map(|share| vec![F::ZERO; len(&share.weights)]).collect()
        });
        Ledger { gradients: nodes.collect() }
    }

    /// Adds the weights of an alternative times a change of the costs.
    pub fn add(&mut self, context: &GroupContext<'_, '_, F>, member: usize, jump: Jump, change: f64) {
        let (candidates, places) = (&context.candidates()[member], context.places(member));
        for (share, gradient) in candidates.shares.iter().zip(&mut self.gradients[member]) {
            let weights = share.at(jump, places);
            let start = jump.place * weights.len();
            for (gradient, weight) in gradient[start..].iter_mut().zip(weights) {
                // An impossible alternative has weight 0, and its cost may be infinite.
                if *weight != F::ZERO {
                    *gradient += F::from_f64(weight.to_f64() * change);
                }
            }
        }
    }

    /// The gradient terms, each with the number of its node in the group: what
    /// [`Group::terms`](stochgrad_graph::Group::terms) returns.
    pub fn finish<'t>(self, context: &GroupContext<'_, 't, F>) -> Vec<(usize, GradientTerm<'t, F>)> {
        let zero = context.tape().constant(0.0);
        let mut terms = Vec::new();
        for (member, gradients) in self.gradients.into_iter().enumerate() {
            let node = context.member(member);
            let plates = node.value().plates();
            let mut summed: Plates = node.plates().clone();
            summed.retain(|plate| !context.lanes().contains(plate));
            for (share, gradient) in context.candidates()[member].shares.iter().zip(gradients) {
                let Some(weights) = share.weights.first().filter(|_| gradient.iter().any(|&g| g != F::ZERO)) else {
                    continue;
                };
                let gradient = Tensor::from_fn(weights.shape().clone(), |i| gradient[i]);
                let gradient = context.tape().constant_on(&plates, gradient);
                let value = zero.straight_through((gradient * share.parameter).sum());
                terms.push((member, GradientTerm { value, summed: summed.clone() }));
            }
        }
        terms
    }
}
