//! The scale of a cost in a minibatch that knows the size of its data set.

use std::panic::Location;

use stochgrad_graph::{Graph, GraphResult};
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::Real;

use crate::error::NnError;

/// A cost as a share of one member of the data set: itself if it lies on the plate of the minibatch, and otherwise
/// divided by the size of the data set.
///
/// # Errors
///
/// If an operation reduced the cost over the plate.
#[track_caller]
pub(crate) fn per_member<'t, F: Real>(
    graph: &Graph<'t, F>,
    name: &str,
    value: Var<'t, F>,
    plate: &str,
    size: usize,
) -> GraphResult<Var<'t, F>> {
    // Errors of the tape, and values of another one, are those of `Graph::cost`.
    graph.tape().check()?;
    let is_foreign = !std::ptr::eq(value.tape(), graph.tape());
    let plate_of_members = match graph.plate_named(plate) {
        Some(known) if is_foreign || value.plates().contains(&known) => return Ok(value),
        plate => plate,
    };
    if let Some(plate_of_members) = plate_of_members
        && let Some(reduction) = reduction_of(value, plate_of_members)?
    {
        let reduced = reduction.location().unwrap_or_else(|| Location::caller());
        let (name, plate) = (name.into(), plate.into());
        return Err(NnError::LostPlate { name, plate, reduced, at: Location::caller() }.into());
    }
    Ok(value * (1.0 / size as f64))
}

/// The last operation that removed a plate from what a value depends on.
fn reduction_of<F: Real>(value: Var<'_, F>, plate: Plate) -> GraphResult<Option<Var<'_, F>>> {
    let (tape, end) = (value.tape(), value.id().index() + 1);
    let mut needed = vec![false; end];
    needed[end - 1] = true;
    let mut reduction = None;
    tape.visit_backwards(end, &mut |visit| {
        if !needed[visit.id.index()] || reduction.is_some() {
            return;
        }
        if (0..visit.inputs.len()).any(|input| visit.input_plates(input).contains(&plate)) {
            reduction = Some(visit.id);
        }
        visit.inputs.iter().for_each(|input| needed[input.index()] = true);
    });
    Ok(reduction.map(|id| tape.var(id)).transpose()?)
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::{GraphError, Seed};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    use crate::data::{Minibatches, rows};
    use crate::error::NnError;
    use crate::inputs::Inputs;
    use crate::parameters::Parameters;
    use crate::record::Record;
    use crate::step::Step;

    /// Bayesian linear regression with a Gaussian posterior of the weights: the expected negative log-likelihood of each
    /// point, and the divergence of the posterior from the standard normal prior, up to constants.
    fn regression(record: &Record<'_, '_, f64>) -> stochgrad_graph::GraphResult<()> {
        let (mean, deviation) = (record.param("mean")?, record.param("log_deviation")?.exp());
        let (x, y) = (record.input("x")?, record.input("y")?);
        let error = ((x * mean).sum() - y).square() + (x * deviation).square().sum();
        record.cost("likelihood", error * 0.5)?;
        record.cost("divergence", ((mean.square() + deviation.square()) * 0.5 - deviation.ln()).sum())
    }

    fn posterior() -> Parameters<f64> {
        let mut parameters = Parameters::new();
        parameters.insert("mean", Tensor::from([0.3, -1.2, 0.7])).unwrap();
        parameters.insert("log_deviation", Tensor::from([-0.5, 0.2, -1.0])).unwrap();
        parameters
    }

    #[test]
    fn the_mean_over_minibatches_is_the_gradient_of_the_whole_evidence_bound() {
        let (count, batch) = (12, 4);
        let x = Tensor::from_fn([count, 3], |i| (i as f64 * 0.7).sin());
        let y = Tensor::from_fn([count], |i| (i as f64).cos());
        let parameters = posterior();
        let mut step = Step::new(regression);
        let (mut mean, mut spread, mut total) = (vec![0.0; 3], vec![0.0; 3], 0.0);
        let minibatches = Minibatches::new(count, batch, 3).unwrap();
        let parts = (count / batch) as f64;
        for indices in &minibatches.epoch(0) {
            let inputs = Inputs::new().batch("x", rows(&x, indices).unwrap()).batch("y", rows(&y, indices).unwrap());
            let gradients = step.run(&parameters, &inputs.of_data_set(count), Seed::new(7)).unwrap();
            for (sums, name) in [(&mut mean, "mean"), (&mut spread, "log_deviation")] {
                sums.iter_mut().zip(gradients.get(name).unwrap().as_slice()).for_each(|(sum, g)| *sum += g / parts);
            }
            total += gradients.total() / parts;
        }
        // By hand: the bound of all points, divided by their number.
        let (m, s): (Vec<f64>, Vec<f64>) = (
            parameters.get("mean").unwrap().to_vec(),
            parameters.get("log_deviation").unwrap().as_slice().iter().map(|x| x.exp()).collect(),
        );
        let n = count as f64;
        let mut expected = (0..3).map(|k| 0.5 * (m[k] * m[k] + s[k] * s[k]) - s[k].ln()).sum::<f64>() / n;
        let mut of_mean: Vec<f64> = m.iter().map(|m| m / n).collect();
        let mut of_spread: Vec<f64> = s.iter().map(|s| (s * s - 1.0) / n).collect();
        for i in 0..count {
            let row = &x.as_slice()[3 * i..3 * i + 3];
            let error = (0..3).map(|k| row[k] * m[k]).sum::<f64>() - y.as_slice()[i];
            expected += 0.5 * (error * error + (0..3).map(|k| (row[k] * s[k]).powi(2)).sum::<f64>()) / n;
            for k in 0..3 {
                of_mean[k] += error * row[k] / n;
                of_spread[k] += (row[k] * s[k]).powi(2) / n;
            }
        }
        approx::assert_relative_eq!(total, expected, max_relative = 1e-12);
        for k in 0..3 {
            approx::assert_relative_eq!(mean[k], of_mean[k], max_relative = 1e-12);
            approx::assert_relative_eq!(spread[k], of_spread[k], max_relative = 1e-12);
        }
    }

    #[test]
    fn nothing_is_scaled_without_a_size_or_a_plate() {
        let mut step = Step::new(|record: &Record<'_, '_, f64>| record.cost("prior", record.param("mean")?.sum()));
        let mut prior =
            |inputs: Inputs<f64>| step.evaluate(&posterior(), &inputs, Seed::new(7)).unwrap().get("prior").unwrap();
        let sum = prior(Inputs::new());
        assert_eq!(prior(Inputs::new().batch("x", [1.0, 2.0])), sum);
        assert_eq!(prior(Inputs::new().value("x", [1.0, 2.0]).of_data_set(10)), sum);
        approx::assert_relative_eq!(prior(Inputs::new().batch("x", [1.0, 2.0]).of_data_set(10)), sum / 10.0);
        approx::assert_relative_eq!(prior(Inputs::new().along("points", "x", [1.0]).of_data_set(10)), sum / 10.0);
    }

    #[test]
    fn a_cost_that_lost_its_plate_is_an_error_with_both_lines() {
        type Reduced = fn(&Record<'_, '_, f64>) -> stochgrad_graph::GraphResult<()>;
        let reduced: [Reduced; 4] = [
            |record| {
                let x = record.input("x")?;
                record.cost("loss", x.sum_over(x.plates()[0]))
            },
            |record| {
                let x = record.input("x")? * record.param("mean")?.sum();
                record.cost("loss", x.mean_over(x.plates()[0]) + record.param("log_deviation")?.sum())
            },
            |record| {
                let x = record.input("x")?;
                record.cost("loss", x.exp().plate_to_event(x.plates()[0]).mean())
            },
            |record| {
                let x = record.input("x")?;
                record.cost("loss", x.log_mean_exp_over(x.plates()[0]).square() * 0.5)
            },
        ];
        for (model, line) in reduced.into_iter().zip(0..) {
            let inputs = Inputs::new().batch("x", [1.0, 2.0]);
            let mut step = Step::new(model);
            step.run(&posterior(), &inputs, Seed::new(7)).unwrap();
            let error = step.run(&posterior(), &inputs.of_data_set(10), Seed::new(7)).unwrap_err();
            let message = error.to_string();
            assert!(message.contains("cost \"loss\"") && message.contains("plate \"batch\""), "{line}: {message}");
            assert_eq!(message.matches("cost_scale.rs:").count(), 2, "{line}: {message}");
            let GraphError::Model(error) = error else { panic!("{line}: {error}") };
            assert!(matches!(error.get().downcast_ref::<NnError>(), Some(NnError::LostPlate { .. })));
        }
        // The way out for a joint function of the minibatch.
        let mut joint = Step::new(|record: &Record<'_, '_, f64>| {
            let x = record.input("x")?;
            record.graph().cost("joint", x.sum_over(x.plates()[0]))
        });
        let inputs = Inputs::new().batch("x", [1.0, 2.0]).of_data_set(10);
        assert_eq!(joint.evaluate(&posterior(), &inputs, Seed::new(7)).unwrap().total(), 3.0);
    }

    #[test]
    fn a_cost_of_another_tape_is_the_error_of_the_graph() {
        let (tape, other) = (Tape::new(), Tape::new());
        let graph = stochgrad_graph::Graph::new(&tape, Seed::new(7));
        let (parameters, inputs) = (posterior(), Inputs::new().batch("x", [1.0, 2.0]).of_data_set(10));
        let record = parameters.on(&graph).with_inputs(&inputs);
        record.input("x").unwrap();
        let message = record.cost("loss", other.constant(1.0)).unwrap_err().to_string();
        assert!(message.contains("loss"), "{message}");
    }
}
