//! Decayed means over past steps, by name: what most baselines remember.

use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stochgrad_graph::{GraphError, GraphResult, MethodState, Update};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// What a step adds to some means.
pub(crate) type Numbers = SmallVec<[f64; 4]>;

/// Decayed means of some numbers under each name,
///
/// $$m_{t+1} = \beta\, m_t + (1 - \beta)\, x_t, \quad w_{t+1} = \beta\, w_t + 1 - \beta, \quad \bar x_t = m_t / w_t.$$
///
/// Clones share them. They are used first, and move on when the user calls
/// [`Gradients::advance`](stochgrad_graph::Gradients::advance).
#[derive(Clone, Debug)]
pub(crate) struct RunningMeans {
    pub(crate) decay: f64,
    known: Arc<Mutex<BTreeMap<String, Means>>>,
}

/// Decayed sums, and the decayed sum of their weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Means {
    sums: Numbers,
    weight: f64,
}

impl Means {
    /// One of the means.
    pub(crate) fn mean(&self, at: usize) -> f64 {
        self.sums.get(at).map_or(0.0, |sum| sum / self.weight)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.sums.len()
    }

    /// The standard deviation of a number whose mean and mean square are the first two.
    pub(crate) fn deviation(&self) -> f64 {
        (self.mean(1) - self.mean(0).powi(2)).max(0.0).sqrt()
    }

    fn add(&mut self, numbers: &[f64], decay: f64) {
        if self.sums.len() != numbers.len() {
            *self = Means { sums: SmallVec::from_elem(0.0, numbers.len()), weight: 0.0 };
        }
        self.sums.iter_mut().zip(numbers).for_each(|(sum, x)| *sum = decay * *sum + (1.0 - decay) * x);
        self.weight = decay * self.weight + (1.0 - decay);
    }
}

impl RunningMeans {
    /// Nothing known yet. What came `n` steps ago has the weight `decayⁿ`.
    pub(crate) fn new(decay: f64) -> Self {
        RunningMeans { decay, known: Arc::default() }
    }

    /// Checks the decay.
    pub(crate) fn check(&self) -> Result<(), String> {
        if (0.0..1.0).contains(&self.decay) {
            Ok(())
        } else {
            Err(format!("expected a decay in [0, 1), got {}; 0.9 is a common choice", self.decay))
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Means>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers made of the means under a name, read again whenever a program runs; as `before` says as long as nothing
    /// is known.
    pub(crate) fn read<'t, F: Real>(
        &self,
        tape: &'t Tape<F>,
        name: &str,
        shape: impl Into<Shape>,
        before: f64,
        made: impl Fn(&Means, &mut dyn FnMut(usize, f64)) + Send + Sync + 'static,
    ) -> Var<'t, F> {
        let shape = shape.into();
        let (memory, name, count) = (self.clone(), name.to_owned(), shape.numel());
        tape.host_values(shape, move |write| match memory.known().get(&name).filter(|means| means.weight > 0.0) {
            Some(means) => made(means, write),
            None => (0..count).for_each(|at| write(at, before)),
        })
    }

    /// Adds a step: the numbers that `made` gives for the values of the inputs. Numbers that are not finite are not
    /// added.
    pub(crate) fn update<'t, F: Real>(
        &self,
        name: &str,
        inputs: Vec<Var<'t, F>>,
        made: impl Fn(&[Tensor<F>]) -> Numbers + Send + Sync + 'static,
    ) -> Update<'t, F> {
        let (memory, name) = (self.clone(), name.to_owned());
        let apply = move |values: &[Tensor<F>]| {
            let numbers = made(values);
            if numbers.iter().any(|x| !x.is_finite()) {
                return;
            }
            let mut known = memory.known();
            match known.get_mut(&name) {
                Some(means) => means.add(&numbers, memory.decay),
                None => known.entry(name.clone()).or_default().add(&numbers, memory.decay),
            }
        };
        Update { inputs, apply: Arc::new(apply) }
    }

    /// The sums and the weight of each name.
    pub(crate) fn state(&self) -> MethodState {
        let pack = |means: &Means| means.sums.iter().copied().chain([means.weight]).collect();
        self.known().iter().map(|(name, means)| (name.clone(), pack(means))).collect()
    }

    /// Restores what [`state`](Self::state) gave, for the method of that name; `counts` says how many means there may
    /// be under a name.
    pub(crate) fn load_state(
        &self,
        method: Option<String>,
        state: &MethodState,
        counts: impl Fn(usize) -> bool,
    ) -> GraphResult<()> {
        let mut known = BTreeMap::new();
        for (name, numbers) in state {
            let means = match numbers.split_last() {
                Some((&weight, sums))
                    if counts(sums.len())
                        && sums.iter().all(|sum| sum.is_finite())
                        && (0.0..=1.0).contains(&weight) =>
                {
                    Means { sums: sums.into(), weight }
                }
                _ => {
                    return Err(GraphError::State {
                        method: method.unwrap_or_else(|| "a baseline".into()),
                        problem: format!(
                            "expected finite sums and a weight in [0, 1] for \"{name}\", got {numbers:?}; was the checkpoint \
                             made with another method?"
                        ),
                    });
                }
            };
            known.insert(name.clone(), means);
        }
        *self.known() = known;
        Ok(())
    }
}

/// The mean of the elements of a value, and the mean of their squares.
pub(crate) fn mean_and_square<F: Real>(values: &[Tensor<F>]) -> Numbers {
    let numbers = || values.iter().flat_map(|value| value.as_slice()).map(|x| x.to_f64());
    let count = values.iter().map(|value| value.len()).sum::<usize>().max(1) as f64;
    [numbers().sum::<f64>() / count, numbers().map(|x| x * x).sum::<f64>() / count].into_iter().collect()
}
