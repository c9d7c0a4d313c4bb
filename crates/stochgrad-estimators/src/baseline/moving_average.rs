//! An exponential moving average of past costs.
//!
//! $$m_{t+1} = \beta\, m_t + (1 - \beta)\, \bar f_t, \quad w_{t+1} = \beta\, w_t + 1 - \beta, \quad b_t = m_t / w_t,$$
//!
//! with $m_0 = w_0 = 0$ and the mean $\bar f_t$ of the cost in step $t$. The current cost must not be part of the baseline: with
//! $N$ samples the gradient would be too small by a factor of about $1 - (1 - \beta)/N$. So the average is used first, and
//! updated when the step is over.

use super::{Baseline, Baselines, Memory};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, GraphError, GraphResult, MethodState, NodeCost};
use stochgrad_tensor::Real;

/// The moving average of each cost over past steps, for each node. Clones share the memory.
///
/// The memory moves on when the user calls [`Gradients::advance`](stochgrad_graph::Gradients::advance), and never otherwise.
#[derive(Clone, Debug)]
pub struct MovingAverage {
    decay: f64,
    means: Arc<Mutex<BTreeMap<String, Mean>>>,
}

/// A decayed sum and the decayed sum of its weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    fn value(self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }

    fn add(&mut self, x: f64, decay: f64) {
        self.sum = decay * self.sum + (1.0 - decay) * x;
        self.weight = decay * self.weight + (1.0 - decay);
    }
}

impl MovingAverage {
    /// An average in which a cost of `n` steps ago has the weight `decayⁿ`; the decay is in [0, 1).
    pub fn new(decay: f64) -> Self {
        MovingAverage { decay, means: Arc::default() }
    }

    fn means(&self) -> MutexGuard<'_, BTreeMap<String, Mean>> {
        self.means.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unusable(&self, problem: String) -> GraphError {
        GraphError::State { method: format!("moving average, decay {}", self.decay), problem }
    }
}

impl Memory for MovingAverage {
    fn name(&self) -> Option<String> {
        Some(format!("moving average, decay {}", self.decay))
    }

    fn check(&self, _members: usize) -> Result<(), String> {
        if (0.0..1.0).contains(&self.decay) { Ok(()) } else { Err(format!("expected a decay in [0, 1), came {}; 0.9 is a common choice", self.decay)) }
    }

    fn state(&self) -> MethodState {
        self.means().iter().map(|(key, mean)| (key.clone(), vec![mean.sum, mean.weight])).collect()
    }

    fn load_state(&self, state: &MethodState) -> GraphResult<()> {
        let mut means = BTreeMap::new();
        for (key, numbers) in state {
            let mean = match numbers[..] {
                [sum, weight] if sum.is_finite() && (0.0..=1.0).contains(&weight) => Mean { sum, weight },
                _ => {
                    let problem = format!("expected a finite sum and a weight in [0, 1] for \"{key}\", came {numbers:?}");
                    return Err(self.unusable(problem));
                }
            };
            means.insert(key.clone(), mean);
        }
        *self.means() = means;
        Ok(())
    }
}

impl<F: Real> Baseline<F> for MovingAverage {
    fn baselines<'t>(&self, context: &CostContext<'_, 't, F>, _distribution: &dyn Distribution<'t, F>) -> GraphResult<Baselines<'t, F>> {
        let node = context.address().to_string();
        let mut groups: Vec<(NodeCost<'t, F>, f64)> = Vec::new();
        let mut current: Vec<(String, f64)> = Vec::new();
        let costs = context.costs()?;
        let means = self.means();
        for (index, cost) in costs.iter().enumerate() {
            // The parts of a cost may see different members jointly: each has an average of its own.
            let part = costs[..index].iter().filter(|before| before.name == cost.name).count();
            let key = if part == 0 { format!("{node} / {}", cost.name) } else { format!("{node} / {} / {part}", cost.name) };
            if let Some(b) = means.get(&key).and_then(|mean| mean.value()) {
                match groups.iter_mut().find(|(known, _)| known.joint == cost.joint) {
                    Some((_, sum)) => *sum += b,
                    None => groups.push((cost.clone(), b)),
                }
            }
            let value = cost.value.peek()?;
            let mean = value.as_slice().iter().map(|x| x.to_f64()).sum::<f64>() / value.len().max(1) as f64;
            if mean.is_finite() {
                current.push((key, mean));
            }
        }
        drop(means);
        let values = groups.into_iter().map(|(cost, b)| (cost, context.tape().constant(b))).collect();
        let memory = self.clone();
        let update = move || {
            let mut means = memory.means();
            for (key, mean) in current {
                means.entry(key).or_default().add(mean, memory.decay);
            }
        };
        Ok(Baselines { values, updates: vec![Box::new(update)] })
    }
}
