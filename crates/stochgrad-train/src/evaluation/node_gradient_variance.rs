//! The variance of gradients at a node.

use stochgrad_graph::Seed;
use stochgrad_nn::{Inputs, Parameters, Step};
use stochgrad_tensor::Real;

use crate::error::{TrainError, TrainResult};
use crate::spread::Spread;

/// The variance of the gradient with respect to the parameters of the distribution of a node, such as the logits of all
/// members: $\sum_i \frac{1}{k-1} \sum_{j=1}^k (g_{ij} - \bar g_i)^2$, summed over their elements, for $k$ gradients that
/// differ in their noise. There is one seed for each gradient. The state of the gradient methods is not advanced.
///
/// Costs of members are averaged, as for a training step. [`GradientVariance`](crate::GradientVariance) estimates the
/// mean over the elements during a run.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::Pathwise;
/// use stochgrad_graph::Seed;
/// use stochgrad_nn::{Inputs, Parameters, Record, Step};
/// use stochgrad_tensor::Tensor;
/// use stochgrad_train::evaluation::node_gradient_variance;
///
/// let mut parameters = Parameters::<f64>::new();
/// parameters.insert("m", Tensor::scalar(2.0))?;
/// let step = Step::new(|record: &Record<'_, '_, f64>| {
///     let z = record.sample("z", &Normal::new(record.param("m")?, record.constant(1.0)), &Pathwise::new())?;
///     record.cost("identity", z)
/// });
/// let seeds = (0..5).map(|index| Seed::new(7).step(index));
/// // The gradient with respect to the mean is 1, and that with respect to the scale is the noise.
/// assert!(node_gradient_variance(&step, &parameters, &Inputs::new(), "z", seeds)? > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of the model and of [`Graph::node_gradients`](stochgrad_graph::Graph::node_gradients), and for fewer than two
/// seeds.
pub fn node_gradient_variance<F: Real>(
    step: &Step<'_, F>,
    parameters: &Parameters<F>,
    inputs: &Inputs<F>,
    node: &str,
    seeds: impl IntoIterator<Item = Seed>,
) -> TrainResult<f64> {
    let mut spread = Spread::default();
    let mut count = 0;
    for seed in seeds {
        spread.add(step.inspect(parameters, inputs, seed, |graph| graph.node_gradients(node))??.iter());
        count += 1;
    }
    if count < 2 {
        let (expected, found) = ("at least two", format!("{count}"));
        let argument = "`seeds` of `node_gradient_variance`";
        return Err(TrainError::argument(argument, expected, found, "pass one seed for each gradient"));
    }
    Ok(spread.total())
}

#[cfg(test)]
mod tests {
    use stochgrad_distributions::Normal;
    use stochgrad_estimators::Pathwise;
    use stochgrad_nn::Record;
    use stochgrad_tensor::Tensor;

    use super::*;

    fn variance(seeds: u64) -> TrainResult<f64> {
        let mut parameters = Parameters::<f64>::new();
        parameters.insert("m", Tensor::from([0.5, -1.0])).unwrap();
        let step = Step::new(|record: &Record<'_, '_, f64>| {
            let z = record.sample("z", &Normal::new(record.param("m")?, record.constant(1.0)), &Pathwise::new())?;
            record.cost("sum", z.sum())
        });
        let seeds = (0..seeds).map(|index| Seed { seed: 3, step: index });
        node_gradient_variance(&step, &parameters, &Inputs::new(), "z", seeds)
    }

    #[test]
    fn the_variance_is_that_of_the_pathwise_gradient() {
        // The gradients with respect to the two means are 1, and that with respect to the common scale is the sum of two
        // standard normal values, of variance 2. The standard error of a variance from 4000 normal values is √(2 / 4000)
        // of it.
        let found = variance(4000).unwrap();
        assert!((found - 2.0).abs() < 5.0 * 2.0 * (2.0_f64 / 4000.0).sqrt(), "{found}");
        let message = variance(1).unwrap_err().to_string();
        assert!(message.contains("at least two, got 1"), "{message}");
    }
}
