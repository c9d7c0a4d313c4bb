//! The settings of a training run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::early_stopping::EarlyStopping;
use super::gradient_variance::GradientVariance;
use super::span::Span;
use super::warnings::CostLimit;
use crate::error::{TrainError, TrainResult};

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) length: Option<Span>,
    pub(super) batch: usize,
    pub(super) shards: Option<usize>,
    pub(super) drops_last: bool,
    pub(super) is_shuffled: bool,
    pub(super) seed: u64,
    pub(super) threads: usize,
    pub(super) measure_every: Span,
    pub(super) validate_every: Span,
    pub(super) evaluation_batch: Option<usize>,
    pub(super) monitor: Option<String>,
    pub(super) early_stopping: Option<EarlyStopping>,
    pub(super) keeps_best: bool,
    pub(super) checkpoint_every: Span,
    pub(super) gradient_variance: Option<GradientVariance>,
    pub(super) cost_limits: Vec<CostLimit>,
    pub(super) out: Option<PathBuf>,
    /// Whether the output folder gets the files of a `RunFolder`.
    pub(super) reports_to_folder: bool,
    pub(super) restarts: bool,
    pub(super) handles_signals: bool,
    pub(super) is_quiet: bool,
    /// Settings of the program, such as sizes of layers.
    pub(super) of_program: BTreeMap<String, String>,
    /// The names of settings that may differ from those of the checkpoint.
    pub(super) accepted: BTreeSet<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            length: None,
            batch: 32,
            shards: None,
            drops_last: false,
            is_shuffled: true,
            seed: 0,
            threads: 1,
            measure_every: Span::Epochs(1),
            validate_every: Span::Epochs(1),
            evaluation_batch: None,
            monitor: None,
            early_stopping: None,
            keeps_best: false,
            checkpoint_every: Span::Epochs(1),
            gradient_variance: None,
            cost_limits: Vec::new(),
            out: None,
            reports_to_folder: true,
            restarts: false,
            handles_signals: true,
            is_quiet: false,
            of_program: BTreeMap::new(),
            accepted: BTreeSet::new(),
        }
    }
}

impl Settings {
    /// The length of the run.
    ///
    /// # Errors
    ///
    /// For settings that are not accepted.
    pub(super) fn check(&self, has_validation: bool) -> TrainResult<Span> {
        let Some(length) = self.length else {
            let hint = "call Trainer::epochs or Trainer::steps";
            return Err(TrainError::argument("the length of a run", "a number of epochs or steps", "none", hint));
        };
        for (setting, span) in [
            ("`Trainer::measure_every`", self.measure_every),
            ("`Trainer::validate_every`", self.validate_every),
            ("`Trainer::checkpoint_every`", self.checkpoint_every),
        ] {
            if span.count() == 0 {
                return Err(TrainError::argument(setting, "a period of at least 1", span.to_string(), "correct it"));
            }
        }
        for (setting, is_set) in [
            ("`Trainer::early_stopping`", self.early_stopping.is_some()),
            ("`Trainer::keep_best`", self.keeps_best),
            ("`Trainer::monitor`", self.monitor.is_some()),
        ] {
            if is_set && !has_validation {
                let hint = "call Trainer::validate or Trainer::validate_with";
                return Err(TrainError::argument(setting, "held-out data", "none", hint));
            }
        }
        if let Some(stopping) = &self.early_stopping {
            let minimum = stopping.minimum_improvement;
            if stopping.patience == 0 || !(minimum.is_finite() && minimum >= 0.0) {
                return Err(TrainError::argument(
                    "`Trainer::early_stopping`",
                    "a patience of at least 1 and a minimum improvement that is finite and not negative",
                    format!("a patience of {} and a minimum improvement of {minimum}", stopping.patience),
                    "correct the setting",
                ));
            }
        }
        if let Some((expected, found)) = self.gradient_variance.as_ref().and_then(GradientVariance::problem) {
            let hint = "correct the setting";
            return Err(TrainError::argument("`Trainer::gradient_variance`", expected, found, hint));
        }
        if let Some(limit) = self.cost_limits.iter().find(|limit| limit.steps == 0 || limit.below.is_nan()) {
            return Err(TrainError::argument(
                "`Trainer::warn_below`",
                "a limit that is not NaN and at least 1 step",
                format!("{} and {} steps", limit.below, limit.steps),
                "correct the setting",
            ));
        }
        Ok(length)
    }

    /// The number of steps of an epoch, if the size of the data is known.
    pub(super) fn steps_per_epoch(&self, size: Option<usize>) -> Option<u64> {
        let batch = self.batch.max(1);
        size.map(|size| (if self.drops_last { size / batch } else { size.div_ceil(batch) }) as u64)
    }

    /// The settings on which the results depend, apart from the length, and those of the program. A run resumes only
    /// with equal ones.
    pub(super) fn to_compare(&self, facts: Facts) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::new();
        let mut set = |name: &str, value: String| drop(settings.insert(name.into(), value));
        set("batch", self.batch.to_string());
        if let Some(shards) = self.shards {
            set("shards", shards.to_string());
        }
        set("drop_last", self.drops_last.to_string());
        set("shuffle", self.is_shuffled.to_string());
        set("seed", self.seed.to_string());
        set("precision", facts.precision.into());
        set("measure_every", self.measure_every.to_string());
        set("optimizer", facts.optimizer);
        if let Some(size) = facts.size {
            set("members", size.to_string());
        }
        if facts.has_validation {
            set("validate_every", self.validate_every.to_string());
            if let Some(members) = self.evaluation_batch {
                set("evaluation_batch", members.to_string());
            }
            set("keep_best", self.keeps_best.to_string());
            if let Some(size) = facts.validation_size {
                set("validation_members", size.to_string());
            }
        }
        if let Some(monitor) = &self.monitor {
            set("monitor", monitor.clone());
        }
        if let Some(stopping) = &self.early_stopping {
            set("patience", stopping.patience.to_string());
            set("minimum_improvement", stopping.minimum_improvement.to_string());
        }
        if let Some(variance) = &self.gradient_variance {
            set("gradient_variance", variance.in_words());
        }
        settings.extend(self.of_program.iter().map(|(name, value)| (format!("program.{name}"), value.clone())));
        settings
    }
}

/// What a run is given apart from its settings.
pub(super) struct Facts {
    pub(super) precision: &'static str,
    pub(super) optimizer: String,
    pub(super) size: Option<usize>,
    pub(super) has_validation: bool,
    pub(super) validation_size: Option<usize>,
}

/// What differs between two sets of settings, in words, apart from what is accepted.
pub(super) fn differences(
    expected: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
    accepted: &BTreeSet<String>,
) -> Vec<String> {
    let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let in_words = |settings: &BTreeMap<String, String>, name: &String| {
        settings.get(name).map_or_else(|| "none".to_owned(), String::clone)
    };
    let differing =
        names.into_iter().filter(|name| expected.get(*name) != found.get(*name) && !accepted.contains(*name));
    differing
        .map(|name| format!("{name}: expected {}, got {}", in_words(expected, name), in_words(found, name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(settings: Settings, has_validation: bool) -> String {
        let settings = Settings { length: Some(Span::Epochs(1)), ..settings };
        settings.check(has_validation).unwrap_err().to_string()
    }

    #[test]
    fn unusable_settings_are_errors_that_say_what_to_call() {
        let message = Settings::default().check(false).unwrap_err().to_string();
        assert!(message.contains("a number of epochs or steps, got none; call Trainer::epochs"), "{message}");
        let message = problem(Settings { checkpoint_every: Span::Steps(0), ..Settings::default() }, false);
        assert!(message.contains("`Trainer::checkpoint_every`") && message.contains("got 0 steps"), "{message}");
        let message = problem(Settings { keeps_best: true, ..Settings::default() }, false);
        assert!(message.contains("`Trainer::keep_best`") && message.contains("Trainer::validate"), "{message}");
        for stopping in [EarlyStopping::patience(0), EarlyStopping::patience(1).minimum_improvement(f64::NAN)] {
            let settings = Settings { early_stopping: Some(stopping), ..Settings::default() };
            assert!(problem(settings, true).contains("a patience of"));
        }
        let variance = GradientVariance::of(["x"]).evaluations(1);
        let settings = Settings { gradient_variance: Some(variance), ..Settings::default() };
        assert!(problem(settings, false).contains("at least 2 evaluations, got 1"));
        assert!(Settings { length: Some(Span::Steps(3)), ..Settings::default() }.check(false).is_ok());
    }

    #[test]
    fn differences_name_both_values() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
        };
        let (new, saved) = (map(&[("batch", "50"), ("seed", "7")]), map(&[("batch", "100"), ("program.hidden", "5")]));
        assert_eq!(
            differences(&saved, &new, &BTreeSet::new()),
            ["batch: expected 100, got 50", "program.hidden: expected 5, got none", "seed: expected none, got 7"]
        );
        assert!(differences(&new, &new, &BTreeSet::new()).is_empty());
        let accepted = ["batch", "seed"].map(String::from).into();
        assert_eq!(differences(&saved, &new, &accepted), ["program.hidden: expected 5, got none"]);
    }
}
