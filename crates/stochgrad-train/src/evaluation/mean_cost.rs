//! The mean cost of a data set.

use stochgrad_graph::Seed;
use stochgrad_nn::{Costs, Parameters, Step};
use stochgrad_tensor::Real;

use crate::error::{TrainError, TrainResult};
use crate::metrics::Values;
use crate::source::{Epoch, Source};

/// The total cost of a model, averaged over the members of a data set, which is read in chunks of some members.
///
/// The noise is that of the steps of `seed`, one for each chunk, at every call: two results differ only if the models
/// differ. The model is recorded in [`Mode::Evaluate`](stochgrad_nn::Mode::Evaluate), so that
/// [schedules](stochgrad_nn::Record::schedule) have their final values, and gets no size of a data set, so that costs
/// which all members share are not divided. Use it with
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
    let mut sum = 0.0;
    let members = for_each_chunk(step, parameters, data, chunk, seed, |costs, members| {
        sum += costs.total().to_f64() * members;
    })?;
    Ok(sum / members)
}

/// The costs of a model by name, averaged over the members of a data set as [`mean_cost`] averages their total.
///
/// ```
/// use stochgrad_graph::Seed;
/// use stochgrad_nn::{Parameters, Record, Step};
/// use stochgrad_train::evaluation::mean_costs;
/// use stochgrad_train::source::Tensors;
///
/// let data = Tensors::<f64>::new().with("x", [1.0, 2.0, 6.0])?;
/// let mut step = Step::new(|record: &Record<'_, '_, f64>| {
///     record.cost("x", record.input("x")?)?;
///     record.cost("twice", record.input("x")? * 2.0)
/// });
/// let costs = mean_costs(&mut step, &Parameters::new(), &data, 2, Seed::new(7))?;
/// assert_eq!(costs, [("x".to_owned(), 3.0), ("twice".to_owned(), 6.0)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of [`mean_cost`].
pub fn mean_costs<F: Real>(
    step: &mut Step<'_, F>,
    parameters: &Parameters<F>,
    data: &dyn Source<F>,
    chunk: usize,
    seed: Seed,
) -> TrainResult<Values> {
    let mut sums = Values::new();
    let members = for_each_chunk(step, parameters, data, chunk, seed, |costs, members| {
        for (name, cost) in costs.iter() {
            let cost = cost.to_f64() * members;
            match sums.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += cost,
                None => sums.push((name.into(), cost)),
            }
        }
    })?;
    sums.iter_mut().for_each(|(_, sum)| *sum /= members);
    Ok(sums)
}

/// Passes the costs of each chunk, with its number of members, to a function. Returns the number of all members.
///
/// # Errors
///
/// Those of the model and of the data, and for data without members.
fn for_each_chunk<F: Real>(
    step: &mut Step<'_, F>,
    parameters: &Parameters<F>,
    data: &dyn Source<F>,
    chunk: usize,
    seed: Seed,
    mut add: impl FnMut(&Costs<F>, f64),
) -> TrainResult<f64> {
    let mut members = 0.0;
    for (number, inputs) in data.minibatches(Epoch::in_order(chunk))?.enumerate() {
        let inputs = inputs?;
        let count = inputs.members().unwrap_or(1) as f64;
        add(&step.evaluate(parameters, &inputs, seed.step(number))?, count);
        members += count;
    }
    if members == 0.0 {
        return Err(TrainError::argument("`data` of a mean cost", "at least one member", "none", "check the data"));
    }
    Ok(members)
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
        let costs = mean_costs(&mut step, &Parameters::new(), &data, 3, Seed::new(1)).unwrap();
        assert_eq!((costs[0].clone(), costs[1].0.as_str()), (("data".to_owned(), 3.0), "noise"));
        assert!((crate::metrics::total(&costs) - first).abs() < 1e-12);
        let empty = Tensors::<f64>::new()
            .with("x", Tensor::zeros([0]))
            .and_then(|data| mean_cost(&mut step, &Parameters::new(), &data, 3, Seed::new(1)));
        assert!(empty.is_err());
    }
}
