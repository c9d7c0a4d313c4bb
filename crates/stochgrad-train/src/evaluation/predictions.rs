//! The outputs of a model for a data set.

use stochgrad_graph::Seed;
use stochgrad_nn::{NnError, Parameters, Step};
use stochgrad_tensor::{Real, Shape, Tensor};

use crate::error::{TrainError, TrainResult};
use crate::source::{Epoch, Source, Tensors};

/// The named outputs of a model for all members of a data set, which is read in chunks of some members. The leading axis
/// of each is that of the members.
///
/// The noise is that of the steps of `seed`, one for each chunk. The model is recorded in
/// [`Mode::Predict`](stochgrad_nn::Mode::Predict).
///
/// ```
/// use stochgrad_graph::Seed;
/// use stochgrad_nn::{Parameters, Record, Step};
/// use stochgrad_tensor::Tensor;
/// use stochgrad_train::evaluation::predictions;
/// use stochgrad_train::source::Tensors;
///
/// let data = Tensors::<f64>::new().with("x", [1.0, 2.0, 6.0])?;
/// let mut step = Step::new(|record: &Record<'_, '_, f64>| record.output("square", record.input("x")?.square()));
/// let outputs = predictions(&mut step, &Parameters::new(), &data, 2, Seed::new(7))?;
/// assert_eq!(outputs.get("square"), Some(&Tensor::from([1.0, 4.0, 36.0])));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of the model and of the data, and for an output whose leading axis is not that of the members.
pub fn predictions<F: Real>(
    step: &mut Step<'_, F>,
    parameters: &Parameters<F>,
    data: &dyn Source<F>,
    chunk: usize,
    seed: Seed,
) -> TrainResult<Tensors<F>> {
    let mut outputs: Vec<(String, Vec<F>, Shape)> = Vec::new();
    let mut total = 0;
    for (number, inputs) in data.minibatches(Epoch::in_order(chunk))?.enumerate() {
        let inputs = inputs?;
        let members = inputs.members().unwrap_or(1);
        total += members;
        for (name, value) in step.predict(parameters, &inputs, seed.step(number))?.iter() {
            let Some((_, member)) = value.shape().split_first().filter(|(first, _)| **first == members) else {
                return Err(TrainError::argument(
                    "an output of `predictions`",
                    format!("\"{name}\" with the {members} members of the minibatch as its first axis"),
                    format!("shape {}", value.shape()),
                    "record input before other plates are made, and name an output for each member",
                ));
            };
            match outputs.iter_mut().find(|(known, ..)| known == name) {
                Some((_, values, _)) => values.extend_from_slice(value.as_slice()),
                None => outputs.push((name.into(), value.to_vec(), member.into())),
            }
        }
    }
    let mut tensors = Tensors::new();
    for (name, values, member) in outputs {
        let shape: Shape = [total].into_iter().chain(member.iter().copied()).collect();
        tensors = tensors.with(name, Tensor::new(values, shape).map_err(NnError::from)?)?;
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use stochgrad_nn::Record;

    use super::*;

    #[test]
    fn an_output_without_the_members_is_an_error() {
        let data = Tensors::<f64>::new().with("x", Tensor::from_fn([5, 2], |i| i as f64)).unwrap();
        let mut step = Step::new(|record: &Record<'_, '_, f64>| {
            let x = record.input("x")?;
            record.output("twice", x * 2.0)?;
            record.output("mean", x.mean_over(x.plates()[0]))
        });
        let message = predictions(&mut step, &Parameters::new(), &data, 3, Seed::new(7)).unwrap_err().to_string();
        assert!(message.contains("\"mean\" with the 3 members") && message.contains("got shape [2]"), "{message}");
        let mut step = Step::new(|record: &Record<'_, '_, f64>| record.output("twice", record.input("x")? * 2.0));
        let outputs = predictions(&mut step, &Parameters::new(), &data, 3, Seed::new(7)).unwrap();
        assert_eq!(outputs.get("twice"), Some(&Tensor::from_fn([5, 2], |i| 2.0 * i as f64)));
    }
}
