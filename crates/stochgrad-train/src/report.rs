//! The result of a training run.

use crate::metrics::{Metrics, Values, total};
use crate::warning::Warning;

/// The name of the sum of several costs.
const TOTAL: &str = "total";

/// Why a training run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// All steps were made.
    #[default]
    Completed,
    /// The held-out data showed no improvement for as many evaluations as the patience allows.
    EarlyStopped,
    /// A callback stopped the run.
    Stopped,
    /// Ctrl-C or SIGTERM. The run can be resumed if it has an output folder.
    Interrupted,
}

/// The result of a training run.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Why the run ended.
    pub outcome: Outcome,
    /// The number of steps of the whole run so far.
    pub steps: u64,
    /// The number of completed epochs of the whole run.
    pub epochs: u64,
    /// The step of the checkpoint from which the run was resumed.
    pub resumed_at: Option<u64>,
    /// The last measurements. The variances of gradients are the last that were estimated.
    pub last: Metrics,
    /// The best evaluation.
    pub best: Option<Best>,
    /// What the whole run has warned of, in the order of the steps.
    pub warnings: Vec<Warning>,
    /// The seconds of this call, without those of earlier calls that it resumed.
    pub seconds: f64,
}

/// The best evaluation of a training run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Best {
    /// The number of completed steps.
    pub step: u64,
    /// The number of completed epochs.
    pub epoch: u64,
    /// The monitored cost.
    pub value: f64,
    /// The costs on the held-out data.
    pub costs: Values,
}

impl Report {
    /// The sum of the costs of the last evaluation of the held-out data, if the run ended with one.
    pub fn validation_total(&self) -> Option<f64> {
        self.last.validation.as_deref().map(total)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Outcome::Completed => "completed",
            Outcome::EarlyStopped => "stopped early, without improvement on the held-out data",
            Outcome::Stopped => "stopped by a callback",
            Outcome::Interrupted => "interrupted",
        })
    }
}

/// One line for each number, for a terminal.
impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Report { outcome, steps, epochs, resumed_at, last, best, warnings, seconds } = self;
        write!(f, "{outcome} after {steps} steps ({epochs} epochs), {seconds:.1} s")?;
        if let Some(step) = resumed_at {
            write!(f, ", resumed at step {step}")?;
        }
        let validation = last.validation.as_deref().unwrap_or_default();
        let find = |name: &str| validation.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        let mut rows: Vec<(&str, f64, Option<f64>)> =
            last.training.iter().map(|(name, value)| (name.as_str(), *value, find(name))).collect();
        if rows.len() > 1 {
            rows.push((TOTAL, total(&last.training), self.validation_total()));
        }
        if let Some(width) = rows.iter().map(|(name, ..)| name.chars().count()).max() {
            write!(f, "\n{:width$}  {:>12}", "", "training")?;
            if last.validation.is_some() {
                write!(f, "  {:>12}", "validation")?;
            }
            for (name, training, validation) in rows {
                write!(f, "\n{name:width$}  {training:12.4}")?;
                if let Some(validation) = validation {
                    write!(f, "  {validation:12.4}")?;
                }
            }
        }
        if let Some(Best { step, value, .. }) = best {
            write!(f, "\nbest validation {value:.4} at step {step}")?;
        }
        for (name, variance) in &last.variances {
            write!(f, "\ngradient variance of {name}: {variance:.4e}")?;
        }
        for warning in warnings {
            write!(f, "\nwarning: {warning}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_table() {
        let costs = |x: f64| vec![("reconstruction".to_owned(), x), ("kl".to_owned(), 0.5)];
        let last = Metrics {
            training: costs(20.25),
            validation: Some(costs(21.0)),
            variances: vec![("encoder".into(), 1.5e-3)],
            ..Metrics::default()
        };
        let best = Best { step: 90, epoch: 3, value: 21.25, costs: costs(20.75) };
        let report =
            Report { steps: 120, epochs: 4, resumed_at: Some(60), last, best: Some(best), ..Report::default() };
        let expected = "\
completed after 120 steps (4 epochs), 0.0 s, resumed at step 60
                    training    validation
reconstruction       20.2500       21.0000
kl                    0.5000        0.5000
total                20.7500       21.5000
best validation 21.2500 at step 90
gradient variance of encoder: 1.5000e-3";
        assert_eq!(report.to_string(), expected);
        assert_eq!((report.validation_total(), Report::default().validation_total()), (Some(21.5), None));
        let report = Report { last: Metrics { training: vec![("loss".into(), 1.0)], ..Metrics::default() }, ..report };
        assert_eq!(report.to_string().lines().nth(1), Some("          training"));
        assert_eq!(Report::default().to_string(), "completed after 0 steps (0 epochs), 0.0 s");
    }
}
