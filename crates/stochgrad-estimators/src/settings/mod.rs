//! Gradient methods as data, so that a file can state the method of a node.

mod family;

pub use family::ConfiguredFamily;

use serde::{Deserialize, Serialize};
use stochgrad_tape::descent::Schedule;
use stochgrad_tensor::sampling_scheme::SamplingScheme;

/// A gradient method by its `name`, with the fields of its settings. With the feature `serde`.
///
/// Fields that are absent have the values of the method without further calls: one sample, no baseline, no scheme. A
/// `temperature` is a number or a [`Schedule`]. Unknown names and fields are errors that list those that exist.
///
/// The settings do not know the distribution of the node. [`ConfiguredFamily::configured_method`] makes the method for
/// one, and refuses methods that it does not have. Methods that need a function or a plate of the model have no
/// settings.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Id, Normal};
/// use stochgrad_estimators::{ConfiguredFamily, MethodSettings};
/// use stochgrad_graph::{DynMethod, Method};
///
/// let settings: MethodSettings =
///     serde_json::from_str(r#"{"name": "score-function", "samples": 4, "baseline": "leave-one-out"}"#)?;
/// let method: DynMethod<f64, Bernoulli<Id>> = Bernoulli::configured_method(&settings)?;
/// assert!(method.name().contains("leave-one-out"));
///
/// let disarm: MethodSettings = serde_json::from_str(r#"{"name": "disarm"}"#)?;
/// let refusal = <Normal<Id> as ConfiguredFamily<f64>>::configured_method(&disarm).map(drop).unwrap_err();
/// assert!(refusal.to_string().starts_with("no gradient method of Normal is called \"disarm\"; there are: auto, "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum MethodSettings {
    /// [`Auto`](crate::Auto).
    Auto {
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
    },
    /// [`ScoreFunction`](crate::ScoreFunction).
    ScoreFunction {
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
        /// The baseline.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        baseline: Option<BaselineSettings>,
        /// How the samples are drawn jointly.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scheme: Option<SamplingScheme>,
    },
    /// [`Pathwise`](crate::Pathwise).
    Pathwise {
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
        /// How the samples are drawn jointly.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scheme: Option<SamplingScheme>,
    },
    /// [`ImplicitPathwise`](crate::ImplicitPathwise).
    ImplicitPathwise {
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
        /// How the samples are drawn jointly.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scheme: Option<SamplingScheme>,
    },
    /// [`Enumerate`](crate::Enumerate).
    Enumerate {},
    /// [`LocalExpectation`](crate::LocalExpectation).
    LocalExpectation {
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
    },
    /// [`SumAndSample`](crate::SumAndSample).
    SumAndSample {
        /// The number of states that are summed.
        summed: usize,
        /// The number of samples of the others.
        sampled: usize,
    },
    /// [`UnorderedSet`](crate::UnorderedSet).
    UnorderedSet {
        /// The number of states.
        size: usize,
    },
    /// [`WithoutReplacement`](crate::WithoutReplacement).
    WithoutReplacement {
        /// The number of states.
        size: usize,
    },
    /// [`MeasureValued`](crate::MeasureValued).
    MeasureValued {
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
    },
    /// [`StochasticDerivatives`](crate::StochasticDerivatives).
    StochasticDerivatives {
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
    },
    /// [`DiscreteGo`](crate::DiscreteGo).
    DiscreteGo {
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
    },
    /// [`BitFlip`](crate::BitFlip).
    BitFlip {},
    /// [`FiniteDifference`](crate::FiniteDifference).
    FiniteDifference {
        /// The step.
        step: f64,
    },
    /// [`Spsa`](crate::Spsa).
    Spsa {
        /// The width of a step.
        width: f64,
        /// The number of directions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        directions: Option<usize>,
    },
    /// [`EvolutionStrategy`](crate::EvolutionStrategy).
    EvolutionStrategy {
        /// The width of the perturbations.
        width: f64,
        /// The number of directions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        directions: Option<usize>,
    },
    /// [`DisArm`](crate::DisArm).
    Disarm {
        /// The number of pairs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pairs: Option<usize>,
    },
    /// [`Arm`](crate::Arm).
    Arm {
        /// The number of pairs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pairs: Option<usize>,
    },
    /// [`Arms`](crate::Arms).
    Arms {
        /// The number of samples.
        samples: usize,
    },
    /// [`Ugc`](crate::Ugc).
    Ugc {
        /// The number of pairs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pairs: Option<usize>,
    },
    /// [`CategoricalDisArm`](crate::CategoricalDisArm).
    CategoricalDisarm {
        /// The number of pairs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pairs: Option<usize>,
    },
    /// [`Carms`](crate::Carms).
    Carms {
        /// The number of samples.
        samples: usize,
    },
    /// [`Ars`](crate::Ars).
    Ars {
        /// The number of races.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        races: Option<usize>,
    },
    /// [`Arsm`](crate::Arsm).
    Arsm {
        /// The number of races.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        races: Option<usize>,
    },
    /// [`Rebar`](crate::Rebar).
    Rebar {
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
        /// The step size with which the temperature and the scale are learned, if they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        learning_rate: Option<f64>,
    },
    /// [`Relax`](crate::Relax).
    Relax {
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
        /// The step size of the network, if it is not the usual one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        learning_rate: Option<f64>,
        /// Whether the relaxed cost is added to the network.
        #[serde(default)]
        relaxed_cost: bool,
    },
    /// [`DoubleControlVariate`](crate::DoubleControlVariate).
    DoubleControlVariate {
        /// The number of samples.
        samples: usize,
        /// The step size with which the scale is learned, if it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        learning_rate: Option<f64>,
    },
    /// [`Rodeo`](crate::Rodeo).
    Rodeo {
        /// The number of samples.
        samples: usize,
    },
    /// [`GumbelSoftmax`](crate::GumbelSoftmax).
    GumbelSoftmax {
        /// The temperature.
        temperature: Schedule,
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
        /// Whether the value is discrete, and only its gradient that of the relaxation.
        #[serde(default)]
        straight_through: bool,
    },
    /// [`GumbelRao`](crate::GumbelRao).
    GumbelRao {
        /// The temperature.
        temperature: Schedule,
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
    },
    /// [`StraightThrough`](crate::StraightThrough).
    StraightThrough {
        /// The temperature.
        temperature: Schedule,
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
    },
    /// [`ReinMax`](crate::ReinMax).
    Reinmax {
        /// The temperature.
        temperature: Schedule,
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
    },
    /// [`GappedStraightThrough`](crate::GappedStraightThrough).
    GappedStraightThrough {
        /// The temperature.
        temperature: Schedule,
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
    },
    /// [`Mve`](crate::Mve).
    Mve {
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
    },
}

impl MethodSettings {
    /// The name of the method in a file.
    pub fn name(&self) -> &'static str {
        match self {
            MethodSettings::Auto { .. } => "auto",
            MethodSettings::ScoreFunction { .. } => "score-function",
            MethodSettings::Pathwise { .. } => "pathwise",
            MethodSettings::ImplicitPathwise { .. } => "implicit-pathwise",
            MethodSettings::Enumerate { .. } => "enumerate",
            MethodSettings::LocalExpectation { .. } => "local-expectation",
            MethodSettings::SumAndSample { .. } => "sum-and-sample",
            MethodSettings::UnorderedSet { .. } => "unordered-set",
            MethodSettings::WithoutReplacement { .. } => "without-replacement",
            MethodSettings::MeasureValued { .. } => "measure-valued",
            MethodSettings::StochasticDerivatives { .. } => "stochastic-derivatives",
            MethodSettings::DiscreteGo { .. } => "discrete-go",
            MethodSettings::BitFlip { .. } => "bit-flip",
            MethodSettings::FiniteDifference { .. } => "finite-difference",
            MethodSettings::Spsa { .. } => "spsa",
            MethodSettings::EvolutionStrategy { .. } => "evolution-strategy",
            MethodSettings::Disarm { .. } => "disarm",
            MethodSettings::Arm { .. } => "arm",
            MethodSettings::Arms { .. } => "arms",
            MethodSettings::Ugc { .. } => "ugc",
            MethodSettings::CategoricalDisarm { .. } => "categorical-disarm",
            MethodSettings::Carms { .. } => "carms",
            MethodSettings::Ars { .. } => "ars",
            MethodSettings::Arsm { .. } => "arsm",
            MethodSettings::Rebar { .. } => "rebar",
            MethodSettings::Relax { .. } => "relax",
            MethodSettings::DoubleControlVariate { .. } => "double-control-variate",
            MethodSettings::Rodeo { .. } => "rodeo",
            MethodSettings::GumbelSoftmax { .. } => "gumbel-softmax",
            MethodSettings::GumbelRao { .. } => "gumbel-rao",
            MethodSettings::StraightThrough { .. } => "straight-through",
            MethodSettings::Reinmax { .. } => "reinmax",
            MethodSettings::GappedStraightThrough { .. } => "gapped-straight-through",
            MethodSettings::Mve { .. } => "mve",
        }
    }
}

/// A baseline of the score function as data: `"leave-one-out"`, or `{ moving-average = 0.9 }` with its decay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaselineSettings {
    /// [`LeaveOneOut`](crate::LeaveOneOut), for several samples.
    LeaveOneOut,
    /// [`BatchMean`](crate::BatchMean).
    BatchMean,
    /// [`MovingAverage`](crate::MovingAverage), with its decay.
    MovingAverage(f64),
    /// [`OptimalBaseline`](crate::OptimalBaseline), with its decay.
    Optimal(f64),
    /// [`Nvil`](crate::Nvil).
    Nvil,
    /// [`Vimco`](crate::Vimco), for several samples.
    Vimco,
    /// [`Constant`](crate::Constant), with its value.
    Constant(f64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_under_their_name() {
        for settings in family::one_of_each() {
            let text = serde_json::to_string(&settings).unwrap();
            assert!(text.contains(&format!(r#""name":"{}""#, settings.name())), "{text}");
            assert_eq!(serde_json::from_str::<MethodSettings>(&text).unwrap(), settings);
        }
        let text = r#"{"name": "gumbel-softmax", "temperature": {"kind": "exponential", "start": 1, "end": 0.5, "steps": 9},
            "straight_through": true}"#;
        let (temperature, samples) = (Schedule::exponential(1.0, 0.5, 9), None);
        let expected = MethodSettings::GumbelSoftmax { temperature, samples, straight_through: true };
        assert_eq!(serde_json::from_str::<MethodSettings>(text).unwrap(), expected);
    }

    #[test]
    fn unknown_names_and_fields_are_errors_with_those_that_exist() {
        let problem = |text: &str| serde_json::from_str::<MethodSettings>(text).unwrap_err().to_string();
        let message = problem(r#"{"name": "disarmed"}"#);
        assert!(message.starts_with("unknown variant `disarmed`, expected one of"), "{message}");
        for settings in family::one_of_each() {
            assert!(message.contains(&format!("`{}`", settings.name())), "{message}");
        }
        // Every name in the message is one of an example, so that the errors of families are complete.
        assert_eq!(message.matches('`').count(), 2 * (1 + family::one_of_each().len()));
        let message = problem(r#"{"name": "disarm", "samples": 2}"#);
        assert!(message.contains("unknown field `samples`, expected `pairs`"), "{message}");
    }
}
