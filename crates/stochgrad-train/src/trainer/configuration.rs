//! The settings of a run as data, so that a file can state them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stochgrad_tensor::Real;

use super::{EarlyStopping, GradientVariance, Span, Trainer};

/// The settings of a [`Trainer`] as data. With the feature `serde`. Each field is the function of the trainer of this
/// name; what is absent stays as it is. Unknown fields are errors that list those that exist.
///
/// A [`Span`] is `{ epochs = 3 }` or `{ steps = 1000 }`.
///
/// ```
/// use stochgrad_nn::{Parameters, Record, Sgd};
/// use stochgrad_tensor::Tensor;
/// use stochgrad_train::source::Tensors;
/// use stochgrad_train::{Trainer, TrainerSettings};
///
/// let settings: TrainerSettings = toml::from_str(
///     r#"
///     length = { epochs = 40 }
///     batch = 2
///     seed = 7
///     keep_best = true
///     early_stopping = { patience = 5, minimum_improvement = 1e-9 }
///     quiet = true
///     "#,
/// )?;
/// let data = Tensors::new().with("x", [1.0, 2.0, 3.0, 2.0])?;
/// let mut parameters = Parameters::<f64>::new();
/// parameters.insert("mean", Tensor::scalar(0.0))?;
/// let report = Trainer::new(Sgd::new(0.1)).validate(&data).configure(&settings).fit(
///     &mut parameters,
///     &data,
///     |record: &Record<'_, '_, f64>| record.cost("error", (record.param("mean")? - record.input("x")?).square()),
/// )?;
/// assert!(report.steps <= 80);
/// assert!((parameters.get("mean").unwrap().item()? - 2.0).abs() < 0.3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainerSettings {
    /// The length of the run: [`Trainer::epochs`] or [`Trainer::steps`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<Span>,
    /// [`Trainer::batch`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// [`Trainer::drop_last`], if true.
    pub drop_last: bool,
    /// [`Trainer::in_order`], if true.
    pub in_order: bool,
    /// [`Trainer::seed`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// [`Trainer::threads`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// [`Trainer::shards`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<usize>,
    /// [`Trainer::measure_every`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measure_every: Option<Span>,
    /// [`Trainer::validate_every`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_every: Option<Span>,
    /// [`Trainer::evaluation_batch`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_batch: Option<usize>,
    /// [`Trainer::monitor`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
    /// [`Trainer::early_stopping`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStopping>,
    /// [`Trainer::keep_best`], if true.
    pub keep_best: bool,
    /// [`Trainer::out`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<PathBuf>,
    /// [`Trainer::checkpoint_every`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<Span>,
    /// [`Trainer::quiet`], if true.
    pub quiet: bool,
    /// [`Trainer::gradient_variance`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient_variance: Option<GradientVariance>,
    /// [`Trainer::warn_below`], for each entry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warn_below: Vec<CostLimitSettings>,
    /// [`Trainer::setting`], for each name and value of the program.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub setting: BTreeMap<String, String>,
}

/// A limit of [`Trainer::warn_below`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostLimitSettings {
    /// The name of the cost.
    pub cost: String,
    /// The limit of its mean.
    pub limit: f64,
    /// The number of steps of the mean.
    pub steps: u64,
}

impl<F: Real> Trainer<'_, F> {
    /// Sets everything that some settings state. What they leave out stays as it is, so that settings can follow or
    /// precede those in code. With the feature `serde`.
    pub fn configure(mut self, settings: &TrainerSettings) -> Self {
        // Without `..`, so that a new field cannot be forgotten here.
        let TrainerSettings {
            length,
            batch,
            drop_last,
            in_order,
            seed,
            threads,
            shards,
            measure_every,
            validate_every,
            evaluation_batch,
            monitor,
            early_stopping,
            keep_best,
            out,
            checkpoint_every,
            quiet,
            gradient_variance,
            warn_below,
            setting,
        } = settings.clone();
        match length {
            Some(Span::Epochs(epochs)) => self = self.epochs(epochs),
            Some(Span::Steps(steps)) => self = self.steps(steps),
            None => {}
        }
        self = given(self, batch, Self::batch);
        self = if drop_last { self.drop_last() } else { self };
        self = if in_order { self.in_order() } else { self };
        self = given(self, seed, Self::seed);
        self = given(self, threads, Self::threads);
        self = given(self, shards, Self::shards);
        self = given(self, measure_every, Self::measure_every);
        self = given(self, validate_every, Self::validate_every);
        self = given(self, evaluation_batch, Self::evaluation_batch);
        self = given(self, monitor, Self::monitor);
        self = given(self, early_stopping, Self::early_stopping);
        self = if keep_best { self.keep_best() } else { self };
        self = given(self, out, Self::out);
        self = given(self, checkpoint_every, Self::checkpoint_every);
        self = if quiet { self.quiet() } else { self };
        self = given(self, gradient_variance, Self::gradient_variance);
        for CostLimitSettings { cost, limit, steps } in warn_below {
            self = self.warn_below(cost, limit, steps);
        }
        for (name, value) in setting {
            self = self.setting(name, value);
        }
        self
    }
}

/// The trainer with a setting, if it is given.
fn given<T, V>(trainer: T, value: Option<V>, set: impl FnOnce(T, V) -> T) -> T {
    match value {
        Some(value) => set(trainer, value),
        None => trainer,
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_nn::Sgd;

    use super::super::settings::Facts;
    use super::*;

    /// The settings of a run in words.
    fn in_words(trainer: &Trainer<'_, f64>) -> BTreeMap<String, String> {
        let optimizer = "sgd".into();
        let facts = Facts { precision: "f64", optimizer, size: None, has_validation: true, validation_size: None };
        trainer.settings.to_compare(facts)
    }

    fn trainer() -> Trainer<'static, f64> {
        Trainer::new(Sgd::new(0.1))
    }

    const ALL: &str = r#"
        length = { epochs = 3 }
        batch = 5
        drop_last = true
        in_order = true
        seed = 7
        threads = 2
        measure_every = { steps = 4 }
        validate_every = { epochs = 2 }
        evaluation_batch = 50
        monitor = "kl"
        early_stopping = { patience = 6 }
        keep_best = true
        out = "out/run"
        checkpoint_every = { steps = 100 }
        quiet = true
        gradient_variance = { of = ["encoder"], at_nodes = ["z"], every = 10 }
        warn_below = [{ cost = "kl", limit = 0.5, steps = 30 }]
        setting = { hidden = "128" }
    "#;

    #[test]
    fn settings_of_a_file_are_those_of_code() {
        let settings: TrainerSettings = toml::from_str(ALL).unwrap();
        let configured = trainer().configure(&settings);
        let expected = trainer()
            .epochs(3)
            .batch(5)
            .drop_last()
            .in_order()
            .seed(7)
            .threads(2)
            .measure_every(Span::Steps(4))
            .validate_every(Span::Epochs(2))
            .evaluation_batch(50)
            .monitor("kl")
            .early_stopping(EarlyStopping::patience(6))
            .keep_best()
            .out("out/run")
            .checkpoint_every(Span::Steps(100))
            .quiet()
            .gradient_variance(GradientVariance::of(["encoder"]).at_nodes(["z"]).every(10))
            .warn_below("kl", 0.5, 30)
            .setting("hidden", 128);
        assert_eq!(in_words(&configured), in_words(&expected));
        assert_eq!(format!("{:?}", configured.settings), format!("{:?}", expected.settings));
        let written = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<TrainerSettings>(&written).unwrap(), settings, "{written}");
    }

    #[test]
    fn what_is_absent_stays_as_it_is() {
        let before = trainer().epochs(3).batch(5).seed(2);
        let expected = format!("{:?}", before.settings);
        let after = before.configure(&TrainerSettings::default());
        assert_eq!(format!("{:?}", after.settings), expected);
    }

    #[test]
    fn unknown_fields_are_errors_with_those_that_exist() {
        for (text, parts) in [
            ("epochs = 3", ["unknown field `epochs`", "`length`"]),
            ("length = { epoch = 3 }", ["unknown variant `epoch`", "`epochs` or `steps`"]),
            ("early_stopping = { patiense = 3 }", ["unknown field `patiense`", "`patience`"]),
            ("gradient_variance = { groups = [] }", ["unknown field `groups`", "`of`"]),
            ("batch = \"many\"", ["invalid type: string \"many\"", "expected usize"]),
        ] {
            let message = toml::from_str::<TrainerSettings>(text).unwrap_err().to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }
}
