//! Random methods for the nodes of a model.

use crate::methods::{Choice, Entry, Placement, Several};
use crate::model::Model;
use rand::{Rng, RngExt};

/// Limits of the number of joint values of an estimator's samples, as far as it is known beforehand. Each model draws
/// one of them.
const MOST_OUTCOMES: [f64; 3] = [20.0, 70.0, 300.0];

/// The relative frequencies of the limits in [`MOST_OUTCOMES`].
const OUTCOME_WEIGHTS: [u32; 3] = [40, 40, 20];

/// Chooses random methods for the nodes of a model; `None` if it finds none within the limit.
pub fn choose(rng: &mut dyn Rng, model: &Model, methods: &[Entry]) -> Option<Vec<Choice>> {
    let plates = model.node_plates();
    let mut left = MOST_OUTCOMES[pick(rng, &OUTCOME_WEIGHTS)];
    let mut choices = Vec::with_capacity(model.nodes.len());
    for (node, &plates) in model.nodes.iter().zip(&plates) {
        let own = (node.distribution.family.states() as f64).powi(model.members(plates) as i32);
        let fitting: Vec<usize> = (0..methods.len())
            .filter(|&at| {
                methods[at].applies_to(node.distribution.family) && (node.along.is_none() || methods[at].along)
            })
            .collect();
        let choice = (0..20).find_map(|_| {
            let weights: Vec<u32> = fitting.iter().map(|&at| methods[at].weight).collect();
            let method = fitting[pick(rng, &weights)];
            let entry = &methods[method];
            let placement = if node.along.is_some() {
                Placement::Along
            } else if entry.several != Several::Never && (!entry.alone || rng.random_bool(0.4)) {
                Placement::Several(if rng.random_bool(0.85) { 2 } else { 3 })
            } else {
                Placement::Own
            };
            let samples = match placement {
                Placement::Several(samples) => samples,
                Placement::Own => entry.samples,
                Placement::Along => 1,
            };
            let outcomes = own.powi(samples as i32);
            (outcomes <= left).then(|| {
                left /= outcomes;
                Choice { method, placement }
            })
        })?;
        choices.push(choice);
    }
    Some(choices)
}

/// A random position, with a probability proportional to its weight.
pub(crate) fn pick(rng: &mut dyn Rng, weights: &[u32]) -> usize {
    let mut left = rng.random_range(0..weights.iter().sum::<u32>());
    for (at, &weight) in weights.iter().enumerate() {
        if left < weight {
            return at;
        }
        left -= weight;
    }
    weights.len() - 1
}
