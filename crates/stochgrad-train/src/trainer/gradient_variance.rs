//! The variance of gradients during a training run.

use stochgrad_graph::{GraphError, Seed};
use stochgrad_nn::{Inputs, NamePattern, Parameters, Step};
use stochgrad_tensor::Real;

use crate::error::{TrainError, TrainResult};
use crate::metrics::Values;
use crate::spread::Spread;

/// Estimates the variance of the gradients of some parameters during a run, from further evaluations of the gradient
/// with the same parameters, the same minibatch and other noise.
///
/// The estimate for a group of parameters is the mean over their elements of
/// $\frac{1}{k-1} \sum_{j=1}^k (g_j - \bar g)^2$, which is unbiased for $k$ evaluations. It measures what the gradient
/// methods of the model contribute to the noise of a step, without the choice of the minibatch.
///
/// The estimate [at a node](Self::at_nodes) is that for the parameters of its distribution, such as the logits of all
/// members. The model is recorded for it, which takes longer than a compiled step. A run [warns](crate::Warning) if the
/// signal-to-noise ratio of the gradient at a node, $\lVert E g \rVert / \sqrt{\sum_i \operatorname{Var} g_i}$, is
/// below 0.1 over at least 100 steps and five estimates, by two standard errors.
///
/// ```
/// use stochgrad_train::GradientVariance;
///
/// let variance = GradientVariance::of(["encoder", "decoder.0.weight"]).at_nodes(["z"]).every(50).evaluations(10);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct GradientVariance {
    #[cfg_attr(feature = "serde", serde(rename = "of"))]
    groups: Vec<NamePattern>,
    #[cfg_attr(feature = "serde", serde(rename = "at_nodes"))]
    nodes: Vec<String>,
    every: u64,
    evaluations: u64,
}

impl Default for GradientVariance {
    /// No group and no node yet, estimated every 100 steps from 8 evaluations.
    fn default() -> Self {
        Self { groups: Vec::new(), nodes: Vec::new(), every: 100, evaluations: 8 }
    }
}

impl GradientVariance {
    /// The variances of the gradients of some groups of parameters, one for each [name](NamePattern): a parameter, or all
    /// parameters in a scope. By default, they are estimated every 100 steps from 8 evaluations.
    pub fn of<N: Into<String>>(groups: impl IntoIterator<Item = N>) -> Self {
        Self { groups: groups.into_iter().map(NamePattern::new).collect(), ..Self::default() }
    }

    /// Adds the variances at some nodes. The metrics have that of node `z` under the name `node z`.
    pub fn at_nodes<N: Into<String>>(mut self, nodes: impl IntoIterator<Item = N>) -> Self {
        self.nodes.extend(nodes.into_iter().map(Into::into));
        self
    }

    /// Sets the number of steps between two estimates, at least 1.
    pub fn every(self, steps: u64) -> Self {
        Self { every: steps, ..self }
    }

    /// Sets the number of evaluations of an estimate, at least 2.
    pub fn evaluations(self, evaluations: u64) -> Self {
        Self { evaluations, ..self }
    }

    /// The estimates at some parameters, outside a run: a value for each group, and one for each node. It compares
    /// gradient methods, each with a step of its own, at the same parameters and inputs.
    ///
    /// ```
    /// use stochgrad_distributions::Normal;
    /// use stochgrad_estimators::Pathwise;
    /// use stochgrad_graph::Seed;
    /// use stochgrad_nn::{Inputs, Parameters, Record, Step};
    /// use stochgrad_tensor::Tensor;
    /// use stochgrad_train::GradientVariance;
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert("mean", Tensor::scalar(0.5))?;
    /// let variance = GradientVariance::of(["mean"]).evaluations(1000);
    /// let measured = |samples| {
    ///     let mut step = Step::new(move |record: &Record<'_, '_, f64>| {
    ///         let normal = Normal::new(record.param("mean")?, 1.0);
    ///         record.cost("square", record.sample("x", &normal, &Pathwise::new().samples(samples))?.square())
    ///     });
    ///     variance.measure(&mut step, &parameters, &Inputs::new(), Seed::new(7))
    /// };
    /// // The gradient of one sample is 2x, whose variance is 4.
    /// assert!((measured(1)?[0].1 - 4.0).abs() < 0.6);
    /// assert!((measured(10)?[0].1 - 0.4).abs() < 0.06);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Step::run`], for fewer than 2 evaluations, for a group without a parameter that has a gradient, and
    /// for an unknown node.
    pub fn measure<F: Real>(
        &self,
        step: &mut Step<'_, F>,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
        seed: Seed,
    ) -> TrainResult<Values> {
        if let Some((expected, found)) = self.problem() {
            let hint = "change the settings of `GradientVariance`";
            return Err(TrainError::argument("`GradientVariance::measure`", expected, found, hint));
        }
        let estimates = self.estimate(step, parameters, inputs, seed)?;
        let value = |estimate: Estimate| {
            let variance = estimate.variance();
            (estimate.name, variance)
        };
        Ok(estimates.into_iter().map(value).collect())
    }

    /// The settings in words, with which those of a checkpoint are compared.
    pub(super) fn in_words(&self) -> String {
        let Self { groups, nodes, every, evaluations } = self;
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        let (groups, nodes) = (groups.join(", "), nodes.join(", "));
        format!("of [{groups}], at nodes [{nodes}], every {every} steps from {evaluations} evaluations")
    }

    /// What is wrong with the settings: what is expected and what was set.
    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        match self {
            Self { every: 0, .. } => Some(("at least 1 step between two estimates", "0".into())),
            Self { evaluations: 0 | 1, .. } => Some(("at least 2 evaluations", self.evaluations.to_string())),
            _ => None,
        }
    }

    /// The number of steps between two estimates.
    pub(super) fn period(&self) -> u64 {
        self.every
    }

    /// Whether the variances are estimated before the next step.
    pub(super) fn is_due(&self, completed_steps: u64) -> bool {
        completed_steps.is_multiple_of(self.every)
    }

    /// An estimate for each group, and for each node.
    ///
    /// # Errors
    ///
    /// Those of [`Step::run`], for a group without a parameter that has a gradient, and for an unknown node.
    pub(super) fn estimate<F: Real>(
        &self,
        step: &mut Step<'_, F>,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
        seed: Seed,
    ) -> TrainResult<Vec<Estimate>> {
        let mut spreads: Vec<Spread> = vec![Spread::default(); self.groups.len()];
        let mut at_nodes: Vec<Spread> = vec![Spread::default(); self.nodes.len()];
        for evaluation in 0..self.evaluations {
            let seed = seed.derived("gradient variance", evaluation);
            // The first run restores the state of the gradient methods if the run was resumed.
            if evaluation == 0 || !self.groups.is_empty() {
                step.run(parameters, inputs, seed)?;
            }
            for (node, spread) in self.nodes.iter().zip(&mut at_nodes) {
                let gradients = step.inspect(parameters, inputs, seed, |graph| graph.node_gradients(node))??;
                spread.add(gradients.iter());
            }
            if self.groups.is_empty() {
                continue;
            }
            let gradients = step.gradients()?;
            for (group, spread) in self.groups.iter().zip(&mut spreads) {
                spread.add(gradients.iter().filter(|(name, _)| group.matches(name)).map(|(_, gradient)| gradient));
            }
        }
        let mut estimates = Vec::new();
        for (group, spread) in self.groups.iter().zip(spreads) {
            let name = group.to_string();
            if spread.variance().is_none() {
                let known: Vec<&str> = parameters.iter().map(|(name, _)| name).collect();
                let (what, known) = ("parameter or scope with a gradient", known.join(", "));
                return Err(GraphError::Unknown { what, name, known }.into());
            }
            estimates.push(Estimate { name, node: None, spread });
        }
        estimates.extend(self.nodes.iter().zip(at_nodes).map(|(node, spread)| {
            let name = format!("node {node}");
            Estimate { name, node: Some(node.clone()), spread }
        }));
        Ok(estimates)
    }
}

/// The gradients of a group of parameters or at a node.
pub(super) struct Estimate {
    /// The name of its variance.
    pub(super) name: String,
    pub(super) node: Option<String>,
    pub(super) spread: Spread,
}

impl Estimate {
    /// The mean of the variances of the elements. A distribution without parameters has no variance.
    pub(super) fn variance(&self) -> f64 {
        self.spread.variance().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_distributions::Normal;
    use stochgrad_estimators::Pathwise;
    use stochgrad_nn::Record;
    use stochgrad_tensor::Tensor;

    use super::*;

    #[test]
    fn a_measurement_without_an_estimate_is_an_error() {
        let mut step = Step::new(|record: &Record<'_, '_, f64>| record.cost("loss", record.param("w")?.square()));
        let mut parameters = Parameters::new();
        parameters.insert("w", Tensor::scalar(1.0)).unwrap();
        let mut measured =
            |variance: GradientVariance| variance.measure(&mut step, &parameters, &Inputs::new(), Seed::new(7));
        assert_eq!(measured(GradientVariance::of(["w"])).unwrap(), [("w".to_owned(), 0.0)]);
        let error = measured(GradientVariance::of(["w"]).evaluations(1)).unwrap_err().to_string();
        assert!(error.contains("at least 2 evaluations") && error.contains("got 1"), "{error}");
        assert!(measured(GradientVariance::of(["v"])).unwrap_err().to_string().contains('v'));
    }

    #[test]
    fn the_variance_at_a_node_is_that_of_the_pathwise_gradient() {
        let mut parameters = Parameters::<f64>::new();
        parameters.insert("m", Tensor::from([0.5, -1.0])).unwrap();
        let mut step = Step::new(|record: &Record<'_, '_, f64>| {
            let z = record.sample("z", &Normal::new(record.param("m")?, record.constant(1.0)), &Pathwise::new())?;
            record.cost("sum", z.sum())
        });
        let variance = GradientVariance::of::<&str>([]).at_nodes(["z"]).evaluations(4000);
        let found = variance.measure(&mut step, &parameters, &Inputs::new(), Seed::new(3)).unwrap();
        // The gradients with respect to the two means are 1, and that with respect to the common scale is the sum of two
        // standard normal values, of variance 2. The standard error of a variance from 4000 normal values is √(2 / 4000)
        // of it.
        let expected = 2.0 / 3.0;
        assert_eq!(found[0].0, "node z");
        assert!((found[0].1 - expected).abs() < 5.0 * expected * (2.0_f64 / 4000.0).sqrt(), "{found:?}");
    }
}
