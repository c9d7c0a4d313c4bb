//! The mean cost of a data set.

use stochgrad_graph::Seed;
use stochgrad_nn::{Parameters, Step};
use stochgrad_tensor::Real;

use crate::error::{TrainError, TrainResult};
use crate::source::{Epoch, Source};

/// The total cost of a model, averaged over the members of a data set, which is read in chunks of some members.
///
/// The noise is that of the steps of `seed`, one for each chunk, at every call: two results differ only if the models
/// differ. The model is recorded in [`Mode::Evaluate`](stochgrad_nn::Mode::Evaluate), and gets no size of a data set, so
/// that costs which all members share are not divided. Use it with
/// [`Trainer::validate_with`](crate::Trainer::validate_with) in place of an evaluation with new noise.
///
/// ```
/// use stochgrad_graph::Seed;
/// use stochgrad_nn::{Parameters, Record, Step};
/// use stochgrad_train::evaluation::mean_cost;
/// use stochgrad_train::source::Tensors;
///
/// let data = Tensors::<f64>::new().with("x", [1.0, 2.0, 6.0])?;
/// let mut step = Step::new(|record: &Record<'_, '_, f64>| record.cost("x", record.input("x")?));
/// assert_eq!(mean_cost(&mut step, &Parameters::new(), &data, 2, Seed::new(7))?, 3.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of the model and of the data, and for data without members.
pub fn mean_cost<F: Real>(
    step: &mut Step<'_, F>,
    parameters: &Parameters<F>,
    data: &dyn Source<F>,
    chunk: usize,
    seed: Seed,
) -> TrainResult<f64> {
    let (mut sum, mut members) = (0.0, 0);
    for (number, inputs) in data.minibatches(Epoch::in_order(chunk))?.enumerate() {
        let inputs = inputs?;
        let count = inputs.members().unwrap_or(1);
        sum += step.evaluate(parameters, &inputs, seed.step(number))?.total().to_f64() * count as f64;
        members += count;
    }
    if members == 0 {
        return Err(TrainError::argument("`data` of `mean_cost`", "at least one member", "none", "check the data"));
    }
    Ok(sum / members as f64)
}

#[cfg(test)]
mod tests {
    use stochgrad_distributions::Bernoulli;
    use stochgrad_estimators::ScoreFunction;
    use stochgrad_nn::Record;
    use stochgrad_tensor::Tensor;

    use super::*;
    use crate::source::Tensors;

    #[test]
    fn the_mean_is_over_members_with_the_same_noise_at_each_call() {
        let data = Tensors::<f64>::new().with("x", Tensor::from_fn([7], |i| i as f64)).unwrap();
        let mut step = Step::new(|record: &Record<'_, '_, f64>| {
            let coin = Bernoulli::from_logits(record.input("x")? * 0.0);
            let z = record.sample("z", &coin, &ScoreFunction::new())?;
            record.cost("data", record.input("x")?)?;
            record.cost("noise", z)
        });
        let mut cost = |chunk, seed| mean_cost(&mut step, &Parameters::new(), &data, chunk, Seed::new(seed)).unwrap();
        let first = cost(3, 1);
        assert_eq!(first, cost(3, 1));
        // Of seven members, some have the value 1.
        let ones = (first - 3.0) * 7.0;
        assert!((ones - ones.round()).abs() < 1e-12 && (0.0..=7.0).contains(&ones.round()), "{ones}");
        let others: Vec<f64> = (2..12).map(|seed| cost(3, seed)).collect();
        assert!(others.iter().any(|other| *other != first), "{others:?}");
        let empty = Tensors::<f64>::new()
            .with("x", Tensor::zeros([0]))
            .and_then(|data| mean_cost(&mut step, &Parameters::new(), &data, 3, Seed::new(1)));
        assert!(empty.is_err());
    }
}
