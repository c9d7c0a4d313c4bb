//! Whether what gradient methods learn has settled.

use stochgrad_graph::NodeMethod;
use stochgrad_nn::{Checkpoint, NnResult};
use stochgrad_tensor::Tensor;

use crate::error::TrainResult;
use crate::warning::{Warning, WarningKind};

/// The number of steps between two looks at what is learned.
pub(in crate::trainer) const INTERVAL: u64 = 100;

/// The number of intervals over which a movement is measured.
const INTERVALS: usize = 10;

/// The ratio of the distance to that of a random walk, which is √10 for a straight movement of ten intervals.
const LIMIT: f64 = 3.0;

/// The movement of what the methods of all nodes learn.
///
/// What has settled moves to and fro: the squares of the movements in ten intervals add up to the square of the whole
/// distance, on average, or to more. In a straight movement, the whole distance is √10 times as large. If the costs have
/// changed, however, what is learned has to follow them, so that only windows with constant costs count.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Settling {
    /// The mean and the variance of the total cost in each interval of the window so far.
    costs: Vec<[f64; 2]>,
    /// The costs of the present interval: number, mean, and sum of squared deviations (Welford 1962).
    interval: [f64; 3],
    movements: Vec<(String, Movement)>,
}

/// What the method of a node has learned.
#[derive(Clone, Debug, Default, PartialEq)]
struct Movement {
    /// At the start of the window, and at the end of the last interval.
    start: Vec<f64>,
    last: Vec<f64>,
    /// The sum of the squared distances of the intervals.
    squares: f64,
}

const COSTS: &str = "run/settling/costs";
const CURRENT: &str = "run/settling/interval";
const NODES: &str = "run/settling/nodes/";

impl Settling {
    /// Adds the total cost of a step, and looks at what is learned after some of the steps. Returns what has not settled.
    pub(super) fn observe(&mut self, total: f64, completed_steps: u64, methods: &[NodeMethod]) -> Vec<Warning> {
        let [count, mean, squares] = &mut self.interval;
        *count += 1.0;
        let deviation = total - *mean;
        *mean += deviation / *count;
        *squares += deviation * (total - *mean);
        if !completed_steps.is_multiple_of(INTERVAL) {
            return Vec::new();
        }
        let [count, mean, squares] = std::mem::take(&mut self.interval);
        if !self.movements.is_empty() {
            self.costs.push([mean, squares / (count - 1.0).max(1.0) / count]);
        }
        let mut warnings = Vec::new();
        let is_end = self.costs.len() == INTERVALS;
        let is_constant = is_end && is_constant(&self.costs);
        for (index, method) in methods.iter().enumerate() {
            let learned: Vec<f64> = method.slots.learned().iter().flat_map(|slot| slot.values()).collect();
            if learned.is_empty() || methods[..index].iter().any(|before| before.slots.is(&method.slots)) {
                continue;
            }
            let movement = super::entry(&mut self.movements, &method.node, Movement::default);
            if movement.start.len() != learned.len() {
                *movement = Movement { start: learned.clone(), last: learned, squares: 0.0 };
                continue;
            }
            movement.squares += squared_distance(&movement.last, &learned);
            let ratio = (squared_distance(&movement.start, &learned) / movement.squares).sqrt();
            movement.last = learned;
            if is_constant && ratio > LIMIT {
                warnings.push(Warning {
                    kind: WarningKind::Unsettled,
                    subject: method.node.clone(),
                    step: completed_steps,
                    steps: INTERVAL * INTERVALS as u64,
                    value: ratio,
                    limit: LIMIT,
                });
            }
        }
        if is_end {
            self.costs.clear();
            for (_, movement) in &mut self.movements {
                movement.start.clone_from(&movement.last);
                movement.squares = 0.0;
            }
        }
        warnings
    }

    pub(super) fn save(&self, checkpoint: &mut Checkpoint) -> NnResult<()> {
        let costs = self.costs.concat();
        checkpoint.insert(COSTS, &Tensor::<f64>::from(costs))?;
        checkpoint.insert(CURRENT, &Tensor::<f64>::from(self.interval))?;
        for (node, Movement { start, last, squares }) in &self.movements {
            let values = [&[*squares][..], start, last].concat();
            checkpoint.insert(format!("{NODES}{node}"), &Tensor::<f64>::from(values))?;
        }
        Ok(())
    }

    pub(super) fn load(checkpoint: &Checkpoint) -> TrainResult<Self> {
        let costs: Tensor<f64> = checkpoint.tensor(COSTS)?;
        let costs = costs.as_slice().chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
        let interval: Tensor<f64> = checkpoint.tensor_of_shape(CURRENT, &[3].into())?;
        let interval = std::array::from_fn(|index| interval.as_slice()[index]);
        let mut movements = Vec::new();
        for full_name in checkpoint.tensors().keys() {
            let Some(node) = full_name.strip_prefix(NODES) else { continue };
            let values: Tensor<f64> = checkpoint.tensor(full_name)?;
            let Some((squares, values)) = values.as_slice().split_first() else { continue };
            let (start, last) = values.split_at(values.len() / 2);
            let movement = Movement { start: start.to_vec(), last: last.to_vec(), squares: *squares };
            movements.push((node.to_owned(), movement));
        }
        Ok(Settling { costs, interval, movements })
    }
}

/// Whether the mean costs of the two halves of a window agree within two standard errors.
fn is_constant(costs: &[[f64; 2]]) -> bool {
    let (first, second) = costs.split_at(costs.len() / 2);
    let mean = |half: &[[f64; 2]]| half.iter().map(|[mean, _]| mean).sum::<f64>() / half.len() as f64;
    let square = |half: &[[f64; 2]]| half.iter().map(|[_, square]| square).sum::<f64>() / (half.len() as f64).powi(2);
    (mean(first) - mean(second)).powi(2) <= 4.0 * (square(first) + square(second))
}

fn squared_distance(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| (left - right).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::{MethodSlots, SlotDomain, SlotPart, SlotSet};
    use stochgrad_tensor::random::{Key, address_hash};

    use super::*;

    const PARTS: &[SlotPart] = &[SlotPart { name: "value", domain: SlotDomain::Finite }];

    fn noise(purpose: &str, step: u64, count: usize) -> Vec<f64> {
        let mut noise = vec![0.0; count];
        Key::new(7, step, address_hash(purpose, &[])).normal(0, &mut noise);
        noise
    }

    /// The steps of the warnings for ten values and a cost, which move by so much at each step besides their noise.
    fn warned(drift: f64, walk: f64, slope: f64) -> Vec<u64> {
        let set = SlotSet::new(PARTS).with_learned("value");
        let slot = set.slot("weights", "value", [10], |_| 0.0);
        let slots = MethodSlots::from(&set);
        let methods =
            ["z", "twin"].map(|node| NodeMethod { node: node.into(), name: "NVIL".into(), slots: slots.clone() });
        let (mut settling, mut values, mut steps) = (Settling::default(), vec![0.0; 10], Vec::new());
        for step in 1..=2300 {
            for (value, noise) in values.iter_mut().zip(noise("walk", step, 10)) {
                *value += drift + walk * noise;
            }
            slot.write(&values);
            let total = slope * step as f64 + noise("cost", step, 1)[0];
            let warnings = settling.observe(total, step, &methods);
            assert!(warnings.iter().all(|it| it.subject == "z" && it.steps == 1000 && it.value > it.limit));
            steps.extend(warnings.iter().map(|it| it.step));
            let mut checkpoint = Checkpoint::new();
            if step % 150 == 7 {
                settling.save(&mut checkpoint).unwrap();
                assert_eq!(Settling::load(&checkpoint).unwrap(), settling);
            }
        }
        steps
    }

    #[test]
    fn a_straight_movement_is_found_where_the_costs_are_constant() {
        assert_eq!(warned(1e-5, 0.0, 0.0), [1100, 2100]);
        // In 100 steps, the walk is a fifth as far as the drift.
        assert_eq!(warned(1e-3, 2e-3, 0.0), [1100, 2100]);
        assert!(warned(1e-3, 2e-3, 1e-3).is_empty(), "the costs have changed");
    }

    #[test]
    fn noise_is_no_movement() {
        assert!(warned(0.0, 1.0, 0.0).is_empty());
        assert!(warned(1e-3, 1e-2, 0.0).is_empty());
        assert!(warned(0.0, 0.0, 0.0).is_empty());
    }

    #[test]
    fn methods_that_learn_nothing_are_passed_over() {
        let set = SlotSet::new(PARTS);
        set.slot("mean", "value", [], |_| 0.0);
        let methods = [NodeMethod { node: "z".into(), name: "average".into(), slots: MethodSlots::from(&set) }];
        let mut settling = Settling::default();
        assert!((1..3000).all(|step| settling.observe(0.0, step, &methods).is_empty()));
        assert!(settling.movements.is_empty() && settling.costs.is_empty());
    }
}
