//! Parameters that a method learns by itself, with Adam, from an auxiliary loss.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stochgrad_graph::{AuxiliaryLoss, GraphError, GraphResult, MethodState};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::descent::{AdamStep, adam};
use stochgrad_tensor::{Real, Shape, Tensor};

/// The decay rates of Adam's two averages, and the constant that keeps its quotient finite.
const DECAYS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// Named arrays of numbers that a method learns with Adam: the scale of a control variate, or the weights of a network.
/// Clones share them.
///
/// [`record`](Self::record) puts an array on the tape, and [`learn`](Self::learn) makes the auxiliary loss that trains
/// it. The arrays change only when the user calls [`Gradients::advance`](stochgrad_graph::Gradients::advance).
///
/// ```
/// use stochgrad_estimators::extension::LearnedParameters;
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let learned = LearnedParameters::new(0.1);
/// for _ in 0..200 {
///     let tape = Tape::<f64>::new();
///     let scale = learned.record(&tape, "scale", [], |_| 1.0);
///     let loss = learned.learn((scale - 3.0).square(), vec![("scale".into(), scale)]);
///     // In a method, return the loss in `Terms::auxiliary` instead; `advance` then does the following two lines.
///     let gradients = tape.backward_all(loss.loss, &loss.parameters)?;
///     (loss.apply)(&gradients);
/// }
/// assert!((learned.state()["scale"][0] - 3.0).abs() < 0.1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LearnedParameters {
    learning_rate: f64,
    arrays: Arc<Mutex<BTreeMap<String, Learned>>>,
    /// The initial values of arrays that have not been learned yet.
    starts: Arc<Mutex<BTreeMap<String, Vec<f64>>>>,
}

#[derive(Clone, Debug)]
struct Learned {
    values: Vec<f64>,
    averages: [Vec<f64>; 2],
    steps: u64,
    /// A buffer for the gradient, kept so that a step allocates nothing.
    gradient: Vec<f64>,
}

impl Learned {
    fn new(values: Vec<f64>, averages: [Vec<f64>; 2], steps: u64) -> Self {
        let gradient = vec![0.0; values.len()];
        Learned { values, averages, steps, gradient }
    }

    fn start(values: Vec<f64>) -> Self {
        let zeros = vec![0.0; values.len()];
        Self::new(values, [zeros.clone(), zeros], 0)
    }

    fn step<F: Real>(&mut self, gradient: &[F], learning_rate: f64) {
        if gradient.len() != self.values.len() || gradient.iter().any(|g| !g.is_finite()) {
            return;
        }
        self.steps += 1;
        self.gradient.iter_mut().zip(gradient).for_each(|(to, from)| *to = from.to_f64());
        let [first, second] = &mut self.averages;
        let corrections = DECAYS.map(|decay| 1.0 - decay.powf(self.steps as f64));
        let step = AdamStep {
            betas: DECAYS,
            rests: DECAYS.map(|decay| 1.0 - decay),
            rate: learning_rate / corrections[0],
            root: corrections[1].sqrt().recip(),
            epsilon: EPSILON,
            kept: 1.0,
        };
        adam(step, &self.gradient, [first, second], &mut self.values);
    }
}

impl LearnedParameters {
    /// No arrays yet; they will be learned with this step size.
    pub fn new(learning_rate: f64) -> Self {
        LearnedParameters { learning_rate, arrays: Arc::default(), starts: Arc::default() }
    }

    fn arrays(&self) -> MutexGuard<'_, BTreeMap<String, Learned>> {
        self.arrays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn starts(&self) -> MutexGuard<'_, BTreeMap<String, Vec<f64>>> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the array with this name on the tape. A compiled graph reads it again in every run.
    ///
    /// Before the first step, `initial` gives the value at each position. A known array of another size than `shape` is
    /// ignored, and starts again.
    pub fn record<'t, F: Real>(
        &self,
        tape: &'t Tape<F>,
        name: &str,
        shape: impl Into<Shape>,
        initial: impl Fn(usize) -> f64,
    ) -> Var<'t, F> {
        let shape = shape.into();
        let count = shape.numel();
        let values: Vec<f64> = (0..count).map(&initial).collect();
        self.starts().insert(name.to_owned(), values.clone());
        let (memory, name) = (self.clone(), name.to_owned());
        tape.host_values(shape, move |write| {
            let arrays = memory.arrays();
            let known = arrays.get(&name).map(|known| &known.values).filter(|known| known.len() == count);
            known.unwrap_or(&values).iter().take(count).enumerate().for_each(|(i, &x)| write(i, x));
        })
    }

    /// The auxiliary loss that trains recorded arrays, given with their names. It takes one step of Adam each time the
    /// user calls [`Gradients::advance`](stochgrad_graph::Gradients::advance). A gradient that is not finite is
    /// skipped.
    pub fn learn<'t, F: Real>(&self, loss: Var<'t, F>, recorded: Vec<(String, Var<'t, F>)>) -> AuxiliaryLoss<'t, F> {
        let (names, parameters): (Vec<String>, Vec<Var<'t, F>>) = recorded.into_iter().unzip();
        let memory = self.clone();
        let apply = move |gradients: &[Tensor<F>]| {
            let mut arrays = memory.arrays();
            let starts = memory.starts();
            for (name, gradient) in names.iter().zip(gradients) {
                if arrays.get(name).is_none_or(|known| known.values.len() != gradient.len()) {
                    let start = starts.get(name).cloned().unwrap_or_default();
                    arrays.insert(name.clone(), Learned::start(start));
                }
                if let Some(known) = arrays.get_mut(name) {
                    known.step(gradient.as_slice(), memory.learning_rate);
                }
            }
        };
        AuxiliaryLoss { loss, parameters, apply: Arc::new(apply) }
    }

    /// The error of a method that learns nothing and is given learned parameters to load.
    ///
    /// # Errors
    /// Always.
    pub fn refuse(method: &str) -> GraphResult<()> {
        Err(GraphError::State {
            method: method.into(),
            problem: "expected nothing, got learned parameters; was the checkpoint made with another method?".into(),
        })
    }

    /// The arrays with the averages of Adam, for [`Method::state`](stochgrad_graph::Method::state).
    pub fn state(&self) -> MethodState {
        let pack = |known: &Learned| {
            let [first, second] = &known.averages;
            [&known.values[..], first, second, &[known.steps as f64]].concat()
        };
        self.arrays().iter().map(|(name, known)| (name.clone(), pack(known))).collect()
    }

    /// Restores what [`state`](Self::state) returned. `method` is the name of the method, for the error message.
    ///
    /// # Errors
    /// If an array is not one that `state` can have returned. The arrays are then as before.
    pub fn load_state(&self, method: &str, state: &MethodState) -> GraphResult<()> {
        let mut arrays = BTreeMap::new();
        for (name, numbers) in state {
            let count = numbers.len().saturating_sub(1) / 3;
            let steps = numbers.last().copied().unwrap_or(-1.0);
            if numbers.len() != 3 * count + 1 || steps < 0.0 || numbers.iter().any(|x| !x.is_finite()) {
                return Err(GraphError::State {
                    method: method.into(),
                    problem: format!(
                        "expected values, two averages and a number of steps for \"{name}\", got {} numbers; was the \
                         checkpoint made with another method?",
                        numbers.len()
                    ),
                });
            }
            let part = |at: usize| numbers[at * count..(at + 1) * count].to_vec();
            let known = Learned::new(part(0), [part(1), part(2)], steps as u64);
            arrays.insert(name.clone(), known);
        }
        *self.arrays() = arrays;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quadratic_is_learned_and_the_state_returns() {
        let own = LearnedParameters::new(0.05);
        let step = |own: &LearnedParameters| {
            let tape = Tape::<f64>::new();
            let x = own.record(&tape, "x", [2], |i| i as f64);
            let loss = own.learn((x - tape.constant([3.0, -1.0])).square().sum(), vec![("x".into(), x)]);
            let gradients = tape.backward_all(loss.loss, &loss.parameters).unwrap();
            (loss.apply)(&gradients);
            x.to_vec()
        };
        assert_eq!(step(&own), [0.0, 1.0]);
        for _ in 0..1000 {
            step(&own);
        }
        let found = step(&own);
        assert!((found[0] - 3.0).abs() < 1e-3 && (found[1] + 1.0).abs() < 1e-3, "{found:?}");
        let other = LearnedParameters::new(0.05);
        other.load_state("test", &own.state()).unwrap();
        step(&own);
        step(&other);
        assert_eq!(own.state(), other.state());
        assert!(other.load_state("test", &[("x".to_string(), vec![1.0, 2.0])].into()).is_err());
    }

    trait ToVec {
        fn to_vec(self) -> Vec<f64>;
    }

    impl ToVec for Var<'_, f64> {
        fn to_vec(self) -> Vec<f64> {
            self.peek().unwrap().to_vec()
        }
    }
}
