//! The settings of a run: a checked command line with all defaults filled in.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::annealing::Annealing;
use crate::latent::Latent;
use crate::method_name::{MethodName, SchemeName};
use crate::usage_error::UsageError;

/// A checked command line with all defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// The latent variables.
    pub(crate) latent: Latent,
    /// Widths of the encoder's hidden layers.
    pub(crate) hidden: Vec<usize>,
    /// The gradient method.
    pub(crate) method: MethodName,
    /// Samples per image; 1 for `enumerate`, which ignores it.
    pub(crate) samples: usize,
    /// How the samples of an image are drawn jointly; `None` if they are independent.
    pub(crate) scheme: Option<SchemeName>,
    /// The folder of MNIST files, as an absolute path; `None` for the embedded digits.
    pub(crate) data: Option<PathBuf>,
    /// Passes over the training images.
    pub(crate) epochs: usize,
    /// Images per training step.
    pub(crate) batch: usize,
    /// Adam's learning rate.
    pub(crate) lr: f64,
    /// The seed of the run.
    pub(crate) seed: u64,
    /// The number of threads.
    pub(crate) threads: usize,
    /// The folder for the results, which exists.
    pub(crate) out: PathBuf,
    /// Whether to continue from a checkpoint.
    pub(crate) resume: bool,
    /// The temperature of the relaxation, for methods that have one.
    pub(crate) temperature: Option<Annealing>,
    /// Whether a short run was requested.
    pub(crate) quick: bool,
    /// Other methods whose gradient variance is measured at the trained parameters.
    pub(crate) compared: Vec<Compared>,
}

/// A method whose gradient variance is measured at parameters that were trained with another method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Compared {
    /// The gradient method.
    pub(crate) method: MethodName,
    /// Samples per image.
    pub(crate) samples: usize,
    /// The temperature of the relaxation, for methods that have one.
    pub(crate) temperature: Option<Annealing>,
}

impl Settings {
    /// These settings with another method.
    pub(crate) fn comparing(&self, compared: Compared) -> Self {
        let Compared { method, samples, temperature } = compared;
        Self { method, samples, temperature, ..self.clone() }
    }

    /// The settings as JSON, for a checkpoint. Floats are strings with the shortest decimals that are read back to the
    /// same bits, which JSON readers do not guarantee for numbers.
    pub(crate) fn to_json(&self) -> Value {
        let text = |float: f64| float.to_string();
        json!({
            "latent": self.latent.to_json(),
            "hidden": self.hidden,
            "method": self.method.name(),
            "samples": self.samples,
            "scheme": self.scheme.map(SchemeName::name),
            "data": self.data.as_ref().map(|path| path.to_string_lossy()),
            "epochs": self.epochs,
            "batch": self.batch,
            "lr": text(self.lr),
            "seed": self.seed,
            "threads": self.threads,
            "out": self.out.to_string_lossy(),
            "resume": self.resume,
            "temperature": self.temperature.map(Annealing::to_json),
            "quick": self.quick,
        })
    }

    /// Reads what [`Settings::to_json`] wrote.
    ///
    /// # Errors
    /// A setting that is missing or of the wrong type.
    pub(crate) fn from_json(value: &Value) -> Result<Self, UsageError> {
        let latent = read(value, "latent", "a distribution and its sizes", Latent::from_json)?;
        let hidden = read(value, "hidden", "an array of widths", |value| value.as_array()?.iter().map(size).collect())?;
        let method =
            read(value, "method", "the name of a method", |value| MethodName::from_str(value.as_str()?, false).ok())?;
        Ok(Self {
            latent,
            hidden,
            method,
            samples: read(value, "samples", "a count", size)?,
            scheme: read(value, "scheme", "the name of a sampling scheme, or null", optional(scheme))?,
            data: read(value, "data", "a path or null", optional(path))?,
            epochs: read(value, "epochs", "a count", size)?,
            batch: read(value, "batch", "a count", size)?,
            lr: read(value, "lr", "a number in a string", float)?,
            seed: read(value, "seed", "an integer", Value::as_u64)?,
            threads: read(value, "threads", "a count", size)?,
            out: read(value, "out", "a path", path)?,
            resume: read(value, "resume", "true or false", Value::as_bool)?,
            temperature: read(
                value,
                "temperature",
                "two or three numbers in strings, or null",
                optional(Annealing::from_json),
            )?,
            quick: read(value, "quick", "true or false", Value::as_bool)?,
            // The comparison follows the run and does not affect it.
            compared: Vec::new(),
        })
    }

    /// Checks that a run with these settings can continue from a checkpoint with the settings `saved`. The number of
    /// threads and the folder may differ. The number of epochs may differ unless a temperature is annealed over them.
    ///
    /// # Errors
    /// The first flag that differs, with both values.
    pub(crate) fn check_resumable(&self, saved: &Self) -> Result<(), UsageError> {
        for ((flag, now), (_, saved)) in self.model_flags().into_iter().zip(saved.model_flags()) {
            if now != saved {
                return Err(UsageError::Resume { flag, now, saved });
            }
        }
        Ok(())
    }

    /// The flags that affect the results, ordered such that the first difference explains the later ones.
    fn model_flags(&self) -> Vec<(&'static str, String)> {
        let nothing = || "nothing".to_owned();
        let (distribution, size, categories) = match self.latent {
            Latent::Bernoulli { bits } => ("bernoulli", bits, nothing()),
            Latent::Categorical { variables, categories } => ("categorical", variables, categories.to_string()),
        };
        let hidden: Vec<_> = self.hidden.iter().map(usize::to_string).collect();
        let annealed = |number: fn(Annealing) -> Option<f64>| {
            self.temperature.and_then(number).map_or_else(nothing, |temperature| temperature.to_string())
        };
        let epochs = self.temperature.map_or_else(nothing, |_| self.epochs.to_string());
        let data = self.data.as_ref().map(|path| path.to_string_lossy().into());
        vec![
            ("--data", data.unwrap_or_else(nothing)),
            ("--quick", self.quick.to_string()),
            ("--latent", distribution.to_owned()),
            ("--latent-size", size.to_string()),
            ("--categories", categories),
            ("--hidden", hidden.join(",")),
            ("--method", self.method.name().to_owned()),
            ("--samples", self.samples.to_string()),
            ("--scheme", self.scheme.map_or_else(nothing, |scheme| scheme.name().to_owned())),
            ("--temperature", annealed(|annealing| Some(annealing.start))),
            ("--final-temperature", annealed(|annealing| Some(annealing.end))),
            ("--backward-temperature", annealed(|annealing| annealing.backward)),
            ("--epochs", epochs),
            ("--batch", self.batch.to_string()),
            ("--lr", self.lr.to_string()),
            ("--seed", self.seed.to_string()),
        ]
    }
}

fn read<T>(
    settings: &Value,
    key: &'static str,
    expected: &'static str,
    convert: impl Fn(&Value) -> Option<T>,
) -> Result<T, UsageError> {
    let value = settings.get(key);
    value.and_then(convert).ok_or_else(|| UsageError::Saved {
        key,
        expected,
        found: value.map_or_else(|| "nothing".to_owned(), Value::to_string),
    })
}

fn optional<T>(convert: impl Fn(&Value) -> Option<T>) -> impl Fn(&Value) -> Option<Option<T>> {
    move |value| match value {
        Value::Null => Some(None),
        value => convert(value).map(Some),
    }
}

pub(crate) fn size(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

pub(crate) fn float(value: &Value) -> Option<f64> {
    value.as_str()?.parse().ok()
}

fn path(value: &Value) -> Option<PathBuf> {
    value.as_str().map(PathBuf::from)
}

fn scheme(value: &Value) -> Option<SchemeName> {
    SchemeName::from_str(value.as_str()?, false).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNEALING: Annealing = Annealing { start: 1.0, end: 0.3, backward: None };

    fn settings() -> Settings {
        Settings {
            latent: Latent::Categorical { variables: 20, categories: 10 },
            hidden: vec![128, 64],
            method: MethodName::GumbelSoftmax,
            samples: 4,
            scheme: Some(SchemeName::Stratified),
            data: None,
            epochs: 100,
            batch: 50,
            lr: 0.1 + 0.2,
            seed: u64::MAX,
            threads: 2,
            out: PathBuf::from("out/discrete_vae"),
            resume: false,
            temperature: Some(ANNEALING),
            quick: false,
            compared: Vec::new(),
        }
    }

    #[test]
    fn settings_survive_a_checkpoint() {
        let bits = Settings {
            latent: Latent::Bernoulli { bits: 200 },
            method: MethodName::MeasureValued,
            data: Some(PathBuf::from("/data/mnist")),
            temperature: None,
            scheme: None,
            resume: true,
            quick: true,
            ..settings()
        };
        let decoupled = Annealing { backward: Some(0.7), ..ANNEALING };
        for settings in [settings(), bits, Settings { temperature: Some(decoupled), ..settings() }] {
            let text = settings.to_json().to_string();
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(Settings::from_json(&value).unwrap(), settings);
        }
    }

    #[test]
    fn every_setting_is_checked_when_read() {
        let keys: Vec<String> = settings().to_json().as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys.len(), 15);
        for key in keys {
            let mut value = settings().to_json();
            value[&key] = json!({ "not": "this" });
            let error = Settings::from_json(&value).unwrap_err().to_string();
            assert!(error.contains(&format!("{key:?}")), "{error}");
            value.as_object_mut().unwrap().remove(&key);
            let error = Settings::from_json(&value).unwrap_err().to_string();
            assert!(error.contains("got nothing"), "{error}");
        }
        assert!(Settings::from_json(&json!("text")).is_err());
    }

    #[test]
    fn a_difference_is_named_by_its_flag() {
        type Change = fn(&mut Settings);
        let changes: [(&str, Change); 16] = [
            ("--data", |s| s.data = Some("/data".into())),
            ("--quick", |s| s.quick = true),
            ("--latent", |s| s.latent = Latent::Bernoulli { bits: 20 }),
            ("--latent-size", |s| {
                s.latent = Latent::Categorical { variables: 21, categories: 10 };
            }),
            ("--categories", |s| {
                s.latent = Latent::Categorical { variables: 20, categories: 11 };
            }),
            ("--hidden", |s| s.hidden = vec![128]),
            ("--method", |s| s.method = MethodName::StraightThroughGumbel),
            ("--samples", |s| s.samples = 5),
            ("--scheme", |s| s.scheme = Some(SchemeName::Sobol)),
            ("--temperature", |s| {
                s.temperature = Some(Annealing { start: 0.9, ..ANNEALING });
            }),
            ("--final-temperature", |s| {
                s.temperature = Some(Annealing { end: 0.4, ..ANNEALING });
            }),
            ("--backward-temperature", |s| {
                s.temperature = Some(Annealing { backward: Some(1.0), ..ANNEALING });
            }),
            ("--epochs", |s| s.epochs = 101),
            ("--batch", |s| s.batch = 51),
            ("--lr", |s| s.lr = 0.3),
            ("--seed", |s| s.seed = 1),
        ];
        for (expected, change) in changes {
            let mut now = settings();
            change(&mut now);
            match now.check_resumable(&settings()) {
                Err(UsageError::Resume { flag, .. }) => assert_eq!(flag, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn threads_folder_and_more_epochs_may_differ() {
        let mut saved = settings();
        saved.temperature = None;
        let now = Settings { threads: 7, out: "elsewhere".into(), resume: true, epochs: 200, ..saved.clone() };
        now.check_resumable(&saved).unwrap();
    }
}
