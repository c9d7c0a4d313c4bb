//! Group i: a training step of a gated recurrent unit that emits tokens, each of which is sampled and fed back.

use stochgrad::distributions::Id;
use stochgrad::graph::{GradientMethod, GraphResult};
use stochgrad::nn::Parameters;
use stochgrad::prelude::*;
use stochgrad::tensor::random::{Key, address_hash};

use crate::BenchResult;
use crate::case::Case;
use crate::training::Training;

/// The sizes of the model and of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The number of kinds of tokens.
    pub tokens: usize,
    /// The number of hidden units.
    pub hidden: usize,
    /// The number of tokens of a sequence.
    pub steps: usize,
    /// The number of target sequences in a batch.
    pub batch: usize,
    /// The number of sequences that are sampled for each target.
    pub samples: usize,
}

/// The sizes of the timed case.
pub const TIMED: Sizes = Sizes { tokens: 64, hidden: 128, steps: 20, batch: 64, samples: 4 };

/// A table of embeddings, the weights of the unit for its input and its state, its biases, and the weights of the output.
fn parameters(sizes: Sizes) -> BenchResult<Parameters<f32>> {
    let Sizes { tokens, hidden, .. } = sizes;
    let mut parameters = Parameters::new();
    for (name, rows, columns) in [
        ("embedding", tokens, hidden),
        ("input", hidden, 3 * hidden),
        ("state", hidden, 3 * hidden),
        ("output", hidden, tokens),
    ] {
        let mut weights = Tensor::zeros([rows, columns]);
        Key::new(0, 0, address_hash(name, &[])).uniform(0, weights.make_mut());
        let bound = (rows as f32).sqrt().recip();
        parameters.insert(name, weights.map(|uniform: f32| (2.0 * uniform - 1.0) * bound))?;
    }
    parameters.insert("bias", Tensor::zeros([3 * hidden]))?;
    Ok(parameters)
}

/// Batches of random target sequences `[batch, steps]`.
fn targets(count: usize, sizes: Sizes) -> Vec<Tensor<f32>> {
    let key = Key::new(0, 0, address_hash("targets", &[]));
    (0..count)
        .map(|batch| {
            let mut tokens = Tensor::zeros([sizes.batch, sizes.steps]);
            key.uniform((batch * tokens.len()) as u64, tokens.make_mut());
            tokens.map(|uniform: f32| (uniform * sizes.tokens as f32).floor())
        })
        .collect()
}

/// Records the share of tokens that differ from those of the input `batch`.
fn record<'t>(
    record: &Record<'_, 't, f32>,
    sizes: Sizes,
    method: &(impl GradientMethod<f32, Categorical<Id>> + Clone + 'static),
) -> GraphResult<()> {
    let Sizes { hidden, steps, .. } = sizes;
    let targets = record.input("batch")?;
    let [embedding, input, state, output, bias] =
        ["embedding", "input", "state", "output", "bias"].map(|name| record.param(name));
    let (embedding, input, state, output, bias) = (embedding?, input?, state?, output?, bias?);
    // Sequences of their own are sampled for each target, although they do not depend on it.
    let each = |start: Var<'t, f32>| start.expand_plates(&targets.plates());
    let start = (each(record.constant(Tensor::zeros([hidden]))), each(record.constant(0.0)));
    record.scan("time", steps, start, |record, step, (h, token)| {
        let x = embedding.lookup(token).matmul(input) + bias;
        let from_state = h.matmul(state);
        let part = |which: usize| which * hidden..(which + 1) * hidden;
        let update = (x.slice(-1, part(0)) + from_state.slice(-1, part(0))).sigmoid();
        let reset = (x.slice(-1, part(1)) + from_state.slice(-1, part(1))).sigmoid();
        let candidate = (x.slice(-1, part(2)) + reset * from_state.slice(-1, part(2))).tanh();
        let h = (1.0 - update) * candidate + update * h;
        let token = record.sample("token", &Categorical::from_logits(h.matmul(output)), method)?;
        record.cost("mismatch", token.not_equal(step.of(targets)) * (1.0 / steps as f64))?;
        Ok(((h, token), ()))
    })?;
    Ok(())
}

/// The score function with leave-one-out, on a plate that all tokens share.
fn training(sizes: Sizes, batches: usize, threads: usize) -> BenchResult<Training> {
    Training::new(parameters(sizes)?, targets(batches, sizes), threads, move |model: &Record<'_, '_, f32>| {
        let samples = model.graph().plate("samples", sizes.samples)?;
        record(model, sizes, &ScoreFunction::new().on_plate(samples).baseline(LeaveOneOut))
    })
}

/// The case of the group.
pub fn cases() -> Vec<Case> {
    vec![Case::new("i", "gru sampler loo K=4", |threads| {
        let mut training = training(TIMED, 8, threads)?;
        Ok(Box::new(move || training.step().map(drop)))
    })]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Samples;

    #[test]
    fn the_gradients_have_the_mean_of_enumeration() {
        let sizes = Sizes { tokens: 3, hidden: 4, steps: 3, batch: 1, samples: 8 };
        let mut exact = Training::new(parameters(sizes).expect("parameters"), targets(1, sizes), 1, {
            move |model: &Record<'_, '_, f32>| record(model, sizes, &Enumerate::new())
        })
        .expect("a training");
        let exact = exact.gradients().expect("gradients");
        let mut samples: Vec<Samples> = exact.iter().map(|(_, gradient)| Samples::new(gradient.len())).collect();
        let mut sampled = training(sizes, 1, 1).expect("a training");
        for _ in 0..3000 {
            let gradients = sampled.gradients().expect("gradients");
            samples.iter_mut().zip(gradients.iter()).for_each(|(samples, (_, gradient))| samples.add(gradient));
        }
        for (samples, (name, gradient)) in samples.iter().zip(exact.iter()) {
            let gradient: Vec<f64> = gradient.as_slice().iter().map(|&x| f64::from(x)).collect();
            samples.assert_means(name, &gradient, 0.01);
        }
    }

    #[test]
    fn training_lowers_the_share_of_wrong_tokens() {
        let sizes = Sizes { tokens: 4, hidden: 8, steps: 3, batch: 4, samples: 8 };
        let mut training = training(sizes, 1, 1).expect("a training");
        let mut mean =
            |count: usize| -> f32 { (0..count).map(|_| training.step().expect("a loss")).sum::<f32>() / count as f32 };
        let first = mean(20);
        mean(1500);
        let last = mean(20);
        assert!(last < first - 0.1, "{first} before, {last} after");
    }
}
