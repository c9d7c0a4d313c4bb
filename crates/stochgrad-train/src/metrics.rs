//! What a training run measures.

/// Names and values, in the order of recording.
pub type Values = Vec<(String, f64)>;

/// The measurements of a training run at one step. A run records them at the end of each epoch, or [at other
/// intervals](crate::Trainer::measure_every), and at each evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// The number of completed steps.
    pub step: u64,
    /// The number of completed epochs.
    pub epoch: u64,
    /// The estimates of the costs in training, averaged over the members of the minibatches since the last measurements.
    pub training: Values,
    /// The estimates of the costs on the held-out data, if they were evaluated at this step.
    pub validation: Option<Values>,
    /// The variances of gradients, averaged over the estimates since the last measurements. A quantity that was not
    /// estimated is left out.
    pub variances: Values,
    /// The learning rate of the next step.
    pub learning_rate: f64,
}

/// The sum of all values: the total cost.
pub fn total(values: &[(String, f64)]) -> f64 {
    values.iter().map(|(_, value)| value).sum()
}
