//! Group h: a training step of a hidden Markov model by its exact marginal likelihood.

use stochgrad::graph::GraphResult;
use stochgrad::nn::Parameters;
use stochgrad::prelude::*;
use stochgrad::tensor::random::{Key, address_hash};

use crate::BenchResult;
use crate::case::Case;
use crate::training::Training;

/// The sizes of the model and of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The number of observations in a sequence.
    pub steps: usize,
    /// The number of states.
    pub states: usize,
    /// The number of sequences in a batch.
    pub sequences: usize,
}

/// The sizes of the timed case.
pub const TIMED: Sizes = Sizes { steps: 50, states: 16, sequences: 32 };

/// The logarithm of $\sqrt{2\pi}$, as in the density of a normal distribution.
const HALF_LN_TWO_PI: f64 = 0.918_938_533_204_672_8;

/// Initial logits, logits of the transitions `[from, to]`, and the mean of the observation in each state.
fn parameters(states: usize) -> BenchResult<Parameters<f32>> {
    let mut parameters = Parameters::new();
    let mut transitions = Tensor::zeros([states, states]);
    Key::new(0, 0, address_hash("transitions", &[])).normal(0, transitions.make_mut());
    parameters.insert("transitions", transitions)?;
    parameters.insert("initial", Tensor::zeros([states]))?;
    let spacing = 6.0 / (states.max(2) - 1) as f32;
    parameters.insert("means", Tensor::from_fn([states], |state| state as f32 * spacing - 3.0))?;
    Ok(parameters)
}

/// Batches of standard normal observations `[sequences, steps]`.
fn observations(count: usize, sizes: Sizes) -> Vec<Tensor<f32>> {
    let key = Key::new(0, 0, address_hash("observations", &[]));
    (0..count)
        .map(|batch| {
            let mut observed = Tensor::zeros([sizes.sequences, sizes.steps]);
            key.normal((batch * observed.len()) as u64, observed.make_mut());
            observed
        })
        .collect()
}

/// Records the average negative log-likelihood of the sequences of the input `batch`.
fn record(model: &Record<'_, '_, f32>, sizes: Sizes) -> GraphResult<()> {
    let steps = sizes.steps;
    let observed = model.input("batch")?;
    // The last axis of the transposed transitions is summed in each step.
    let transitions = model.param("transitions")?.log_softmax(-1).transpose();
    let deviations = observed.reshape([steps, 1]) - model.param("means")?;
    let emissions = deviations.square() * -0.5 - HALF_LN_TWO_PI;
    let (first, rest) = (emissions.index(0, 0), emissions.slice(0, 1..steps));
    let first = model.param("initial")?.log_softmax(-1) + first;
    let (forward, ()) = model.scan("time", steps - 1, first, |_, step, forward| {
        Ok(((forward + transitions).logsumexp(-1) + step.of(rest), ()))
    })?;
    model.cost("loss", -forward.logsumexp(-1))
}

fn training(sizes: Sizes, batches: usize, threads: usize) -> BenchResult<Training> {
    let model = move |model: &Record<'_, '_, f32>| record(model, sizes);
    Training::new(parameters(sizes.states)?, observations(batches, sizes), threads, model)
}

/// The case of the group.
pub fn cases() -> Vec<Case> {
    vec![Case::new("h", "hmm T=50 S=16", |threads| {
        let mut training = training(TIMED, 8, threads)?;
        Ok(Box::new(move || training.step().map(drop)))
    })]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The negative log-likelihood of one sequence as a sum over all sequences of states, in double precision.
    fn by_enumeration(initial: &[f64], transitions: &[f64], means: &[f64], observed: &[f32]) -> f64 {
        let states = initial.len();
        let normalised = |logits: &[f64]| -> Vec<f64> {
            let total: f64 = logits.iter().map(|x| x.exp()).sum();
            logits.iter().map(|x| x.exp() / total).collect()
        };
        let initial = normalised(initial);
        let transitions: Vec<Vec<f64>> = transitions.chunks(states).map(normalised).collect();
        let density = |state: usize, y: f32| {
            let deviation = f64::from(y) - means[state];
            (-0.5 * deviation * deviation).exp() / (2.0 * std::f64::consts::PI).sqrt()
        };
        let mut total = 0.0;
        for code in 0..states.pow(observed.len() as u32) {
            let path: Vec<usize> = (0..observed.len() as u32).map(|t| code / states.pow(t) % states).collect();
            let mut probability = initial[path[0]];
            path.windows(2).for_each(|pair| probability *= transitions[pair[0]][pair[1]]);
            path.iter().zip(observed).for_each(|(&state, &y)| probability *= density(state, y));
            total += probability;
        }
        -total.ln()
    }

    #[test]
    fn loss_and_gradients_are_those_of_enumeration() {
        let sizes = Sizes { steps: 4, states: 3, sequences: 2 };
        let start = parameters(sizes.states).expect("parameters");
        let names = ["initial", "transitions", "means"];
        let values = names.map(|name| {
            start.get(name).expect("a parameter").as_slice().iter().map(|&x| f64::from(x)).collect::<Vec<f64>>()
        });
        let observed = observations(1, sizes);
        let loss = |values: &[Vec<f64>; 3]| {
            let each = observed[0].as_slice().chunks(sizes.steps);
            let losses = each.map(|sequence| by_enumeration(&values[0], &values[1], &values[2], sequence));
            losses.sum::<f64>() / sizes.sequences as f64
        };
        let mut training = training(sizes, 1, 1).expect("a training");
        let gradients = training.gradients().expect("gradients");
        let exact = loss(&values);
        assert!(
            (f64::from(gradients.total()) - exact).abs() < 1e-5 * exact.abs(),
            "{}, not {exact}",
            gradients.total()
        );
        for (which, name) in names.into_iter().enumerate() {
            for (element, &slope) in gradients.get(name).expect("a gradient").as_slice().iter().enumerate() {
                const STEP: f64 = 1e-5;
                let moved = |step: f64| {
                    let mut values = values.clone();
                    values[which][element] += step;
                    loss(&values)
                };
                let exact = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                assert!((f64::from(slope) - exact).abs() < 1e-5, "{name}[{element}]: {slope}, not {exact}");
            }
        }
    }

    #[test]
    fn training_lowers_the_loss() {
        let mut training = training(Sizes { steps: 10, states: 4, sequences: 8 }, 1, 1).expect("a training");
        let first = training.step().expect("a loss");
        let last = (0..300).map(|_| training.step().expect("a loss")).last().expect("a loss");
        assert!(last < first - 0.1, "{first} before, {last} after");
    }
}
