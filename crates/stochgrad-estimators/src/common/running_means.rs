//! Decayed means over past steps, by name, from which most baselines with a state are made.

use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stochgrad_graph::{GraphError, GraphResult, MethodState, Update};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// The numbers that a step adds to the means under one name.
pub type Numbers = SmallVec<[f64; 4]>;

/// Decayed means over past steps: under each name, a few numbers,
///
/// $$m_{t+1} = \beta\, m_t + (1 - \beta)\, x_t, \quad w_{t+1} = \beta\, w_t + 1 - \beta, \quad \bar x_t = m_t / w_t.$$
///
/// [`read`](Self::read) puts the means of the steps before this one on the tape, and [`update`](Self::update) adds this
/// step when the user calls [`Gradients::advance`](stochgrad_graph::Gradients::advance). Clones share the means.
///
/// ```
/// use stochgrad_estimators::extension::{RunningMeans, mean_and_square};
/// use stochgrad_tape::Tape;
///
/// let means = RunningMeans::new(0.9);
/// let tape = Tape::<f64>::new();
/// let update = means.update("cost", vec![tape.constant([1.0, 3.0])], mean_and_square);
/// // In a method, return the update in `Terms::updates` instead; `advance` then does the following line.
/// (update.apply)(&[update.inputs[0].peek().unwrap()]);
/// let mean = means.read(&tape, "cost", [], 0.0, |means, write| write(0, means.mean(0)));
/// assert!((mean.item().unwrap() - 2.0).abs() < 1e-12);
/// ```
#[derive(Clone, Debug)]
pub struct RunningMeans {
    /// The decay $\beta$, in $[0, 1)$.
    pub decay: f64,
    known: Arc<Mutex<BTreeMap<String, Means>>>,
}

/// The means under one name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Means {
    /// Decayed sums.
    sums: Numbers,
    /// The decayed sum of the weights.
    weight: f64,
}

impl Means {
    /// The mean at a position; 0 if there is none.
    pub fn mean(&self, at: usize) -> f64 {
        self.sums.get(at).map_or(0.0, |sum| sum / self.weight)
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.sums.len()
    }

    /// Whether there are no numbers.
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// The standard deviation of a number whose mean and mean square are the first two means, as
    /// [`mean_and_square`] adds them.
    pub fn deviation(&self) -> f64 {
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
    /// No means yet. The step `n` steps ago will have a weight in proportion to `decayⁿ`.
    pub fn new(decay: f64) -> Self {
        RunningMeans { decay, known: Arc::default() }
    }

    /// Checks the decay.
    ///
    /// # Errors
    /// If it is not in $[0, 1)$.
    pub fn check(&self) -> Result<(), String> {
        if (0.0..1.0).contains(&self.decay) {
            Ok(())
        } else {
            Err(format!("expected a decay in [0, 1), got {}; 0.9 is a common choice", self.decay))
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Means>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records numbers made of the means under a name. `made` writes a number at each position of `shape`; as long as
    /// there are no means, all of them are `before`. A compiled graph reads the means again in every run.
    pub fn read<'t, F: Real>(
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

    /// The update that adds this step: the numbers that `made` returns for the values of the inputs. A step with a
    /// number that is not finite is skipped.
    pub fn update<'t, F: Real>(
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

    /// The sums and the weight under each name, for [`Method::state`](stochgrad_graph::Method::state).
    pub fn state(&self) -> MethodState {
        let pack = |means: &Means| means.sums.iter().copied().chain([means.weight]).collect();
        self.known().iter().map(|(name, means)| (name.clone(), pack(means))).collect()
    }

    /// Restores what [`state`](Self::state) returned. `method` is the name of the method, for the error message, and
    /// `counts` says whether there may be this many means under a name.
    ///
    /// # Errors
    /// If the state is not one that `state` can have returned. The means are then as before.
    pub fn load_state(
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
                            "expected finite sums and a weight in [0, 1] for \"{name}\", got {numbers:?}; was the \
                             checkpoint made with another method?"
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

/// The mean of all elements of some values, and the mean of their squares: what [`Means::deviation`] needs.
pub fn mean_and_square<F: Real>(values: &[Tensor<F>]) -> Numbers {
    let numbers = || values.iter().flat_map(|value| value.as_slice()).map(|x| x.to_f64());
    let count = values.iter().map(|value| value.len()).sum::<usize>().max(1) as f64;
    [numbers().sum::<f64>() / count, numbers().map(|x| x * x).sum::<f64>() / count].into_iter().collect()
}
