//! Optimisers as data, so that a file can state the optimiser of a run.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use stochgrad_tape::descent::Schedule;
use stochgrad_tensor::Real;

use super::average::Average;
use super::descent::Descent;
use super::rule::UpdateRule;
use super::{AdamRule, Optimizer, RmsPropRule, SgdRule};
use crate::clipping::Clip;

/// An optimiser as data: its rule, its learning rate, and what it does around an update. With the feature `serde`.
///
/// Only the rule and the learning rate are necessary. A learning rate is a number or a
/// [schedule](crate::Schedule), which is a table with its `kind`. Unknown names and fields are errors that list those
/// that exist; values outside their domain are errors of the first step, as for an optimiser in code.
///
/// ```
/// use stochgrad_nn::Optimizer;
/// use stochgrad_nn::optimizers::OptimizerSettings;
///
/// let settings: OptimizerSettings = serde_json::from_str(
///     r#"{
///         "rule": {"name": "adam-w", "weight_decay": 0.1},
///         "learning_rate": {"kind": "linear", "start": 0.01, "end": 0.0, "steps": 1000},
///         "clip": {"global_norm": 1.0},
///         "average": {"exponential": 0.999}
///     }"#,
/// )?;
/// let optimizer: Box<dyn Optimizer<f32>> = settings.optimizer();
/// assert_eq!(optimizer.learning_rate(), 0.01);
/// assert!(optimizer.averages().is_some());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerSettings {
    /// The rule of the updates.
    pub rule: RuleSettings,
    /// The learning rate.
    pub learning_rate: Schedule,
    /// The number of minibatches of an update; see [`Descent::accumulate`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accumulate: Option<u64>,
    /// The clipping of the gradients; see [`Descent::clip`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<ClipSettings>,
    /// The average of the parameters; see [`Descent::average`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<AverageSettings>,
    /// The names of the parameters that are trained, if not all are; see [`Descent::only`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
}

/// A rule by its `name`, with the fields of its settings. Those that are absent have their usual values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum RuleSettings {
    /// [`Adam`](crate::Adam).
    Adam(AdamRule<false>),
    /// [`AdamW`](crate::AdamW).
    AdamW(AdamRule<true>),
    /// [`RmsProp`](crate::RmsProp).
    RmsProp(RmsPropRule),
    /// [`Sgd`](crate::Sgd).
    Sgd(SgdRule),
}

/// The fields of an [`AdamRule`]. Its default weight decay depends on the rule, and the derive macros of serde refuse
/// types with constants as parameters.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename = "AdamRule", default, deny_unknown_fields)]
struct AdamFields {
    betas: Option<[f64; 2]>,
    epsilon: Option<f64>,
    weight_decay: Option<f64>,
}

impl<const DECOUPLED: bool> Serialize for AdamRule<DECOUPLED> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let AdamRule { betas, epsilon, weight_decay } = *self;
        let (betas, epsilon, weight_decay) = (Some(betas), Some(epsilon), Some(weight_decay));
        AdamFields { betas, epsilon, weight_decay }.serialize(serializer)
    }
}

impl<'de, const DECOUPLED: bool> Deserialize<'de> for AdamRule<DECOUPLED> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let AdamFields { betas, epsilon, weight_decay } = AdamFields::deserialize(deserializer)?;
        let usual = Self::default();
        Ok(AdamRule {
            betas: betas.unwrap_or(usual.betas),
            epsilon: epsilon.unwrap_or(usual.epsilon),
            weight_decay: weight_decay.unwrap_or(usual.weight_decay),
        })
    }
}

/// The clipping of gradients: `{ global_norm = 1.0 }` or `{ value = 0.1 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClipSettings {
    /// [`Clip::by_global_norm`].
    GlobalNorm(f64),
    /// [`Clip::by_value`].
    Value(f64),
}

/// The average of parameters: `"uniform"` or `{ exponential = 0.999 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AverageSettings {
    /// [`Average::uniform`].
    Uniform,
    /// [`Average::exponential`], with its decay.
    Exponential(f64),
}

impl OptimizerSettings {
    /// A rule and a learning rate, and nothing else.
    pub fn new(rule: RuleSettings, learning_rate: impl Into<Schedule>) -> Self {
        let learning_rate = learning_rate.into();
        OptimizerSettings { rule, learning_rate, accumulate: None, clip: None, average: None, only: None }
    }

    /// The optimiser.
    pub fn optimizer<F: Real>(&self) -> Box<dyn Optimizer<F>> {
        match self.rule {
            RuleSettings::Adam(rule) => self.descent(rule),
            RuleSettings::AdamW(rule) => self.descent(rule),
            RuleSettings::RmsProp(rule) => self.descent(rule),
            RuleSettings::Sgd(rule) => self.descent(rule),
        }
    }

    fn descent<F: Real, R: UpdateRule<F> + 'static>(&self, rule: R) -> Box<dyn Optimizer<F>> {
        let mut descent = Descent::of(rule, self.learning_rate.clone());
        if let Some(minibatches) = self.accumulate {
            descent = descent.accumulate(minibatches);
        }
        if let Some(clip) = self.clip {
            descent = descent.clip(match clip {
                ClipSettings::GlobalNorm(max) => Clip::by_global_norm(max),
                ClipSettings::Value(max) => Clip::by_value(max),
            });
        }
        if let Some(average) = self.average {
            descent = descent.average(match average {
                AverageSettings::Uniform => Average::uniform(),
                AverageSettings::Exponential(decay) => Average::exponential(decay),
            });
        }
        if let Some(names) = &self.only {
            descent = descent.only(names);
        }
        Box::new(descent)
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_tensor::Tensor;

    use super::*;
    use crate::optimizers::{Adam, AdamW, RmsProp, Sgd};
    use crate::testing::{gradients, one_parameter};

    fn read(text: &str) -> serde_json::Result<OptimizerSettings> {
        serde_json::from_str(text)
    }

    /// The value of a parameter after three steps.
    fn trained(optimizer: &mut dyn Optimizer<f64>) -> f64 {
        let mut parameters = one_parameter(Tensor::scalar(1.0));
        for slope in [0.5, -3.0, 2.0] {
            let gradients = gradients(&parameters, &[("x", Tensor::scalar(slope))]);
            optimizer.step(&mut parameters, &gradients).unwrap();
        }
        parameters.get("x").unwrap().item().unwrap()
    }

    #[test]
    fn optimisers_of_settings_are_those_of_code() {
        let cosine = || Schedule::cosine(0.1, 0.0, 5);
        let cases: [(&str, Box<dyn Optimizer<f64>>); 6] = [
            (r#"{"rule": {"name": "adam"}, "learning_rate": 0.1}"#, Box::new(Adam::new(0.1))),
            (
                r#"{"rule": {"name": "adam", "betas": [0.5, 0.9]}, "learning_rate": 0.1, "clip": {"value": 0.75}}"#,
                Box::new(Adam::new(0.1).betas(0.5, 0.9).clip(Clip::by_value(0.75))),
            ),
            (r#"{"rule": {"name": "adam-w"}, "learning_rate": 0.1}"#, Box::new(AdamW::new(0.1))),
            (
                r#"{"rule": {"name": "rms-prop", "centered": true}, "learning_rate": 0.1, "only": "x"}"#,
                Box::new(RmsProp::new(0.1).centered(true).only("x")),
            ),
            (
                r#"{"rule": {"name": "sgd", "momentum": 0.5, "nesterov": true},
                    "learning_rate": {"kind": "cosine", "start": 0.1, "end": 0.0, "steps": 5}, "accumulate": 2}"#,
                Box::new(Sgd::new(cosine()).momentum(0.5).nesterov(true).accumulate(2)),
            ),
            (
                r#"{"rule": {"name": "sgd"}, "learning_rate": 0.1, "clip": {"global_norm": 1.0}, "average": "uniform"}"#,
                Box::new(Sgd::new(0.1).clip(Clip::by_global_norm(1.0)).average(Average::uniform())),
            ),
        ];
        for (text, mut expected) in cases {
            let settings = read(text).unwrap();
            let mut optimizer = settings.optimizer();
            assert_eq!(optimizer.settings(), expected.settings());
            assert_eq!(trained(&mut optimizer), trained(&mut expected), "{text}");
            let written = serde_json::to_string(&settings).unwrap();
            assert_eq!(read(&written).unwrap(), settings, "{written}");
        }
    }

    #[test]
    fn unknown_names_and_fields_are_errors_with_those_that_exist() {
        for (text, parts) in [
            (r#"{"rule": {"name": "adamm"}, "learning_rate": 1}"#, ["`adamm`", "`adam`, `adam-w`, `rms-prop`, `sgd`"]),
            (r#"{"rule": {"name": "sgd", "betas": []}, "learning_rate": 1}"#, ["`betas`", "`momentum`"]),
            (r#"{"rule": {"name": "sgd"}, "lr": 1}"#, ["`lr`", "`learning_rate`"]),
            (r#"{"rule": {"name": "sgd"}, "learning_rate": 1, "clip": {"norm": 1}}"#, ["`norm`", "`global_norm`"]),
            (r#"{"rule": {"name": "sgd"}}"#, ["missing field", "`learning_rate`"]),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }
}
