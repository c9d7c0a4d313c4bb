//! The log-likelihood of a model with latent variables.

use stochgrad_graph::Seed;
use stochgrad_nn::{Parameters, Step};
use stochgrad_tensor::Real;

use super::log_mean_exp::LogMeanExp;
use crate::error::{TrainError, TrainResult};
use crate::source::{Epoch, Source};

/// Estimates the log-likelihood of data by importance sampling:
///
/// $$ \ln p(x) \approx \ln \frac{1}{K} \sum_{k=1}^K \frac{p(x, z_k)}{q(z_k \mid x)}, \qquad z_k \sim q(\cdot \mid x) $$
///
/// The model names the logarithm of the weight as an [output](stochgrad_nn::Record::output), such as
/// `prior.log_prob(z) + pixels.log_prob(x) - q.log_prob(z)`. Its first plate is that of the members. The model is
/// run several times on each minibatch with new samples, so that the memory depends on the number of samples of one run
/// only; [`chunks`](Self::chunks) times as many are used.
///
/// The estimate is a lower bound of the log-likelihood in expectation, which becomes tight with more samples.
///
/// Source: Burda, Grosse and Salakhutdinov, *Importance Weighted Autoencoders* (2016).
///
/// ```
/// use stochgrad_distributions::{Distribution, Normal};
/// use stochgrad_estimators::Pathwise;
/// use stochgrad_nn::{Parameters, Record, Step};
/// use stochgrad_train::evaluation::ImportanceWeighted;
/// use stochgrad_train::source::Tensors;
///
/// // z ~ N(0, 1) and x | z ~ N(z, 1), so that x ~ N(0, 2). The proposal is wider than the posterior N(x / 2, 1 / 2).
/// let mut step = Step::new(|record: &Record<'_, '_, f64>| {
///     let x = record.input("x")?;
///     let q = Normal::new(x * 0.5, record.constant(1.0));
///     let z = record.sample("z", &q, &Pathwise::new().samples(100))?;
///     let prior = Normal::new(record.constant(0.0), record.constant(1.0));
///     let seen = Normal::new(z, record.constant(1.0));
///     record.output("log weight", prior.log_prob(z) + seen.log_prob(x) - q.log_prob(z))
/// });
/// let data = Tensors::new().with("x", [0.5, -1.0, 2.0])?;
/// let result = ImportanceWeighted::new("log weight").chunks(20).run(&mut step, &Parameters::new(), &data)?;
/// let exact = -(5.25 / 3.0) / 4.0 - 0.5 * (4.0 * std::f64::consts::PI).ln();
/// assert!((result.mean - exact).abs() < 4.0 * result.sampling_error);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportanceWeighted {
    output: String,
    chunks: u64,
    batch: usize,
    seed: u64,
    step: u64,
}

/// An estimate of the log-likelihood of data.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LogLikelihood {
    /// The mean over the members, in nats for each.
    pub mean: f64,
    /// The standard error of the mean due to the choice of the members, as a sample of a larger population.
    pub standard_error: f64,
    /// The standard error of the mean due to the sampling of latent variables; see [`LogMeanExp::standard_errors`].
    pub sampling_error: f64,
    /// The number of samples for each member.
    pub samples: usize,
    /// The mean over the members of their effective numbers of samples; see [`LogMeanExp::effective_samples`].
    pub effective_samples: f64,
    /// The log-likelihood of each member, in the order of the data.
    pub members: Vec<f64>,
}

impl ImportanceWeighted {
    /// With the name of the output that is the logarithm of the weight. The model is run once on each minibatch of 100
    /// members, with the seed 0.
    pub fn new(output: impl Into<String>) -> Self {
        Self { output: output.into(), chunks: 1, batch: 100, seed: 0, step: 0 }
    }

    /// Sets how often the model is run on each minibatch. The number of samples is that of the output, times this.
    pub fn chunks(self, chunks: u64) -> Self {
        Self { chunks, ..self }
    }

    /// Sets the number of members of a minibatch.
    pub fn batch(self, members: usize) -> Self {
        Self { batch: members, ..self }
    }

    /// Sets the seed of the samples.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets the step of the noise, which is 0 by default. [Schedules of the graph](stochgrad_graph::Graph::schedule) are
    /// functions of it; those of a [record](stochgrad_nn::Record::schedule) have their final values in an evaluation.
    pub fn at_step(self, step: u64) -> Self {
        Self { step, ..self }
    }

    /// Estimates the log-likelihood of data.
    ///
    /// # Errors
    ///
    /// Those of the model and of the data, for an output that does not exist or does not have the members as its first
    /// plate, for a weight that is NaN or infinite, and for no members or samples.
    pub fn run<F: Real>(
        &self,
        step: &mut Step<'_, F>,
        parameters: &Parameters<F>,
        data: &dyn Source<F>,
    ) -> TrainResult<LogLikelihood> {
        let (mut members, mut variance, mut effective, mut samples) = (Vec::new(), 0.0, 0.0, 0);
        let epoch = Epoch { seed: self.seed, ..Epoch::in_order(self.batch) };
        for (number, inputs) in (0..).zip(data.minibatches(epoch)?) {
            let inputs = match data.size() {
                Some(size) => inputs?.of_data_set(size),
                None => inputs?,
            };
            let mut mean = LogMeanExp::new(inputs.members().unwrap_or(1));
            for chunk in 0..self.chunks {
                let index = self.chunks.wrapping_mul(number).wrapping_add(chunk);
                let seed =
                    Seed { seed: self.seed, step: self.step }.derived("importance-weighted log-likelihood", index);
                let outputs = step.predict(parameters, &inputs, seed)?;
                mean.add(outputs.get(&self.output)?)?;
            }
            members.extend(mean.values());
            variance += mean.standard_errors().map(|error| error * error).sum::<f64>();
            effective += mean.effective_samples().sum::<f64>();
            samples = mean.samples();
        }
        if members.is_empty() || samples == 0 {
            return Err(TrainError::argument(
                "`ImportanceWeighted::run`",
                "at least one member and one sample",
                format!("{} members and {samples} samples", members.len()),
                "check the data, and the number of chunks",
            ));
        }
        let count = members.len() as f64;
        let mean = members.iter().sum::<f64>() / count;
        let spread = members.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Ok(LogLikelihood {
            mean,
            standard_error: (spread / count).sqrt(),
            sampling_error: variance.sqrt() / count,
            samples,
            effective_samples: effective / count,
            members,
        })
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_distributions::{Bernoulli, Distribution, OneHotCategorical};
    use stochgrad_estimators::ScoreFunction;
    use stochgrad_graph::GraphResult;
    use stochgrad_nn::Record;

    use super::*;
    use crate::source::Tensors;

    const PRIOR: [f64; 3] = [0.2, 0.5, 0.3];
    const SEEN: [f64; 3] = [0.1, 0.4, 0.95];
    const PROPOSED: [f64; 3] = [0.3, 0.3, 0.4];

    /// A latent class, and a bit whose probability depends on it.
    fn model(record: &Record<'_, '_, f64>) -> GraphResult<()> {
        let x = record.input("x")?;
        // On the plate of the members, so that each has samples of its own.
        let q = OneHotCategorical::from_probabilities(record.constant(PROPOSED) + (x * 0.0).unsqueeze(0));
        let z = record.sample("z", &q, &ScoreFunction::new().samples(50))?;
        let prior = OneHotCategorical::from_probabilities(record.constant(PRIOR));
        let seen = Bernoulli::from_probabilities((z * record.constant(SEEN)).sum());
        record.output("log weight", prior.log_prob(z) + seen.log_prob(x) - q.log_prob(z))
    }

    fn data() -> Tensors<f64> {
        Tensors::new().with("x", [0.0, 1.0, 1.0, 0.0, 1.0]).unwrap()
    }

    fn exact(x: f64) -> f64 {
        let terms = PRIOR.iter().zip(SEEN).map(|(prior, seen)| prior * if x == 1.0 { seen } else { 1.0 - seen });
        terms.sum::<f64>().ln()
    }

    fn run(settings: ImportanceWeighted) -> LogLikelihood {
        settings.run(&mut Step::new(model), &Parameters::new(), &data()).unwrap()
    }

    #[test]
    fn the_estimate_is_that_of_the_sum_over_the_latent_classes() {
        let result = run(ImportanceWeighted::new("log weight").chunks(200).batch(2).seed(7));
        assert_eq!((result.samples, result.members.len()), (10_000, 5));
        let expected: Vec<f64> = data().get("x").unwrap().as_slice().iter().map(|&x| exact(x)).collect();
        let mean = expected.iter().sum::<f64>() / 5.0;
        assert!(result.sampling_error < 0.01 && result.sampling_error > 1e-4, "{result:?}");
        assert!((result.mean - mean).abs() < 4.0 * result.sampling_error, "{result:?}");
        for (found, expected) in result.members.iter().zip(&expected) {
            assert!((found - expected).abs() < 0.05, "{found} {expected}");
        }
        let spread = expected.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 4.0;
        assert!((result.standard_error - (spread / 5.0).sqrt()).abs() < 0.02);
        assert!(result.effective_samples > 5000.0 && result.effective_samples < 10_000.0);
        let distinct = result.members.iter().map(|value| value.to_bits()).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(distinct.len(), 5, "each member has samples of its own");
    }

    #[test]
    fn the_sampling_error_is_the_spread_over_seeds() {
        let means: Vec<(f64, f64)> = (0..40)
            .map(|seed| run(ImportanceWeighted::new("log weight").chunks(4).seed(seed)))
            .map(|result| (result.mean, result.sampling_error))
            .collect();
        let mean = means.iter().map(|(mean, _)| mean).sum::<f64>() / 40.0;
        let spread = (means.iter().map(|(value, _)| (value - mean).powi(2)).sum::<f64>() / 39.0).sqrt();
        let stated = means.iter().map(|(_, error)| error).sum::<f64>() / 40.0;
        // The standard deviation of the ratio is about 1 / √(2 · 39), 0.11.
        assert!((spread / stated - 1.0).abs() < 0.35, "{spread} {stated}");
    }

    #[test]
    fn unusable_settings_and_outputs_are_errors() {
        let run = |settings: ImportanceWeighted| {
            settings.run(&mut Step::new(model), &Parameters::new(), &data()).unwrap_err().to_string()
        };
        assert!(run(ImportanceWeighted::new("weight")).contains("log weight"));
        assert!(run(ImportanceWeighted::new("log weight").chunks(0)).contains("at least one member and one sample"));
        let mut step = Step::new(|record: &Record<'_, '_, f64>| record.output("w", record.constant([1.0, 2.0])));
        let error = ImportanceWeighted::new("w").run(&mut step, &Parameters::new(), &data()).unwrap_err().to_string();
        assert!(error.contains("[5, ..]") && error.contains("[2]"), "{error}");
    }
}
