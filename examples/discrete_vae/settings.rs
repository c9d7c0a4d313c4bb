//! A run's settings: a checked command line with every default filled in.

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::usage_error::UsageError;

/// How the gradient through the samples is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MethodName {
    /// The score function without a baseline: unbiased, noisy
    ScoreFunction,
    /// The score function with a moving average as the baseline
    MovingAverage,
    /// The same with weighted samples of an overdispersed law: unbiased, for few variables
    ImportanceSampled,
    /// The score function with the other samples' mean as the baseline
    LeaveOneOut,
    /// The score function with the other samples' and images' mean as the baseline
    BatchMean,
    /// The score function with the cost of the likeliest code as the baseline
    SelfCritical,
    /// The score function with a baseline learned from the image
    Nvil,
    /// The score function with a linear model of the cost at the code's mean
    MuProp,
    /// Leave-one-out with a linear model of the cost from its gradient at the other samples
    DoubleControlVariate,
    /// Antithetic pairs of bits: unbiased
    Disarm,
    /// Antithetic pairs of bits, weighted by their uniforms: unbiased, never better than disarm
    Arm,
    /// Jointly antithetic bits: unbiased
    Arms,
    /// Antithetic pairs of categories, stick by stick: unbiased
    DisarmSticks,
    /// The same pairs, with their probability divided out: unbiased
    DisarmWeighted,
    /// Antithetic pairs of categories by a balanced tree: unbiased
    DisarmTree,
    /// Jointly antithetic categories: unbiased
    Carms,
    /// Races with all swaps of two categories: unbiased, a cost for each pair of categories
    Arsm,
    /// Races with all swaps with one category: unbiased, a cost for each category
    Ars,
    /// The score function with the relaxed model as control variate: unbiased
    Rebar,
    /// The score function with a learned network as control variate: unbiased
    Relax,
    /// Leave-one-out with learned Stein control variates, for bits: unbiased
    Rodeo,
    /// Coupled measure-valued derivatives: unbiased, two costs per variable
    MeasureValued,
    /// The sum over the states of each variable given the others: unbiased, a cost per state of each variable
    LocalExpectation,
    /// The flip of one random bit: unbiased, two costs
    BitFlip,
    /// Flips of nearly certain bits and antithetic pairs of the others: unbiased
    Ugc,
    /// The sum over all states: exact, for small latent spaces
    Enumerate,
    /// States without replacement: unbiased, for small latent spaces
    UnorderedSet,
    /// States without replacement with importance weights: unbiased, for small latent spaces
    WithoutReplacement,
    /// The likeliest states and samples of the others: unbiased, for small latent spaces
    SumAndSample,
    /// A continuous relaxation: biased
    GumbelSoftmax,
    /// A sparse continuous relaxation: biased
    Entmax,
    /// Discrete values with the relaxation's gradient: biased
    StraightThroughGumbel,
    /// The same with the noise averaged out: biased
    GumbelRao,
    /// Discrete values with the gradient of their mean: biased
    StraightThrough,
    /// Straight-through to second order: biased
    Reinmax,
    /// The same with the smallest variance: biased
    Mve,
    /// Straight-through at logits moved to agree with the sample: biased
    GappedStraightThrough,
    /// Chosen from what the distribution can do
    Auto,
}

impl MethodName {
    /// The name as on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ScoreFunction => "score-function",
            Self::MovingAverage => "moving-average",
            Self::ImportanceSampled => "importance-sampled",
            Self::LeaveOneOut => "leave-one-out",
            Self::BatchMean => "batch-mean",
            Self::SelfCritical => "self-critical",
            Self::Nvil => "nvil",
            Self::MuProp => "mu-prop",
            Self::DoubleControlVariate => "double-control-variate",
            Self::Disarm => "disarm",
            Self::Arm => "arm",
            Self::Arms => "arms",
            Self::DisarmSticks => "disarm-sticks",
            Self::DisarmWeighted => "disarm-weighted",
            Self::DisarmTree => "disarm-tree",
            Self::Carms => "carms",
            Self::Arsm => "arsm",
            Self::Ars => "ars",
            Self::Rebar => "rebar",
            Self::Relax => "relax",
            Self::Rodeo => "rodeo",
            Self::MeasureValued => "measure-valued",
            Self::LocalExpectation => "local-expectation",
            Self::BitFlip => "bit-flip",
            Self::Ugc => "ugc",
            Self::Enumerate => "enumerate",
            Self::UnorderedSet => "unordered-set",
            Self::WithoutReplacement => "without-replacement",
            Self::SumAndSample => "sum-and-sample",
            Self::GumbelSoftmax => "gumbel-softmax",
            Self::Entmax => "entmax",
            Self::StraightThroughGumbel => "straight-through-gumbel",
            Self::GumbelRao => "gumbel-rao",
            Self::StraightThrough => "straight-through",
            Self::Reinmax => "reinmax",
            Self::Mve => "mve",
            Self::GappedStraightThrough => "gapped-straight-through",
            Self::Auto => "auto",
        }
    }

    pub(crate) fn default_samples(self) -> usize {
        match self {
            Self::ScoreFunction | Self::MovingAverage | Self::ImportanceSampled | Self::LeaveOneOut | Self::Auto => 4,
            Self::Arms | Self::Carms | Self::UnorderedSet | Self::WithoutReplacement | Self::SumAndSample => 4,
            Self::DoubleControlVariate | Self::Rodeo | Self::Disarm | Self::Arm | Self::Ugc => 2,
            Self::DisarmSticks | Self::DisarmWeighted | Self::DisarmTree => 2,
            _ => 1,
        }
    }

    /// The fewest samples that the method works with, and why.
    pub(crate) fn fewest_samples(self) -> (usize, &'static str) {
        match self {
            Self::LeaveOneOut => (2, "leave-one-out, whose baseline is the other samples' mean"),
            Self::DoubleControlVariate => (2, "double-control-variate, whose baseline is made of the other samples"),
            Self::Rodeo => (2, "rodeo, whose baseline is made of the other samples"),
            _ if self.is_paired() => (2, "pairs"),
            Self::Arms | Self::Carms => (2, "arms and carms, whose samples avoid one another"),
            Self::SumAndSample => (3, "sum-and-sample, which sums all but two of them"),
            _ => (1, "any method"),
        }
    }

    /// Whether the samples may be drawn by a plan: no two of them are compared.
    pub(crate) fn takes_plans(self) -> bool {
        self.is_relaxed()
            || matches!(self, Self::ScoreFunction | Self::MovingAverage | Self::ImportanceSampled | Self::Mve)
    }

    /// The values that one sample is evaluated at: more than one where categories swap.
    pub(crate) fn swaps(self, latent: Latent) -> usize {
        let (categories, _) = latent.base_and_exponent();
        match self {
            Self::Arsm => categories.saturating_mul(categories.saturating_sub(1)) / 2 + 1,
            Self::Ars => categories,
            _ => 1,
        }
    }

    /// Whether samples come in pairs.
    pub(crate) fn is_paired(self) -> bool {
        matches!(
            self,
            Self::Disarm | Self::Arm | Self::Ugc | Self::DisarmSticks | Self::DisarmWeighted | Self::DisarmTree
        )
    }

    /// Whether the method works on bits only.
    pub(crate) fn needs_bits(self) -> bool {
        matches!(self, Self::Disarm | Self::Arm | Self::Arms | Self::Rodeo | Self::BitFlip | Self::Ugc)
    }

    /// Whether the method looks at all joint states.
    pub(crate) fn lists_states(self) -> bool {
        matches!(self, Self::Enumerate | Self::UnorderedSet | Self::WithoutReplacement | Self::SumAndSample)
    }

    pub(crate) fn is_relaxed(self) -> bool {
        self.has_constant_temperature()
            || matches!(
                self,
                Self::GumbelSoftmax
                    | Self::Entmax
                    | Self::StraightThroughGumbel
                    | Self::GumbelRao
                    | Self::GappedStraightThrough
            )
    }

    /// Whether the temperature is not annealed unless that is asked for.
    pub(crate) fn has_constant_temperature(self) -> bool {
        matches!(self, Self::StraightThrough | Self::Reinmax)
    }
}

/// How the samples of an image keep out of one another's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanName {
    /// Mirrored pairs
    Antithetic,
    /// One sample in each part of every variable: a Latin hypercube
    Stratified,
    /// The same, equally spaced
    Systematic,
    /// Scrambled points of a Sobol sequence
    Sobol,
}

impl PlanName {
    /// The name as on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Antithetic => "antithetic",
            Self::Stratified => "stratified",
            Self::Systematic => "systematic",
            Self::Sobol => "sobol",
        }
    }
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The latent variables of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Latent {
    /// Independent bits.
    Bernoulli {
        /// How many.
        bits: usize,
    },
    /// Independent categorical variables, as one-hot vectors.
    Categorical {
        /// How many.
        variables: usize,
        /// The categories of each.
        categories: usize,
    },
}

impl Latent {
    /// The numbers in the code of one image: bits, or variables times categories.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Bernoulli { bits } => bits,
            Self::Categorical { variables, categories } => variables.saturating_mul(categories),
        }
    }

    /// The states of one variable, and how many variables there are.
    pub(crate) fn base_and_exponent(self) -> (usize, usize) {
        match self {
            Self::Bernoulli { bits } => (2, bits),
            Self::Categorical { variables, categories } => (categories, variables),
        }
    }

    /// The size of the joint support, or `None` where it does not fit the type.
    pub(crate) fn states(self) -> Option<u128> {
        let (base, exponent) = self.base_and_exponent();
        (base as u128).checked_pow(u32::try_from(exponent).ok()?)
    }
}

impl fmt::Display for Latent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bernoulli { bits } => write!(f, "bernoulli {bits}"),
            Self::Categorical { variables, categories } => write!(f, "categorical {variables}×{categories}"),
        }
    }
}

/// The temperature of a relaxation over a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Annealing {
    /// At the first step.
    pub(crate) start: f64,
    /// At the last step.
    pub(crate) end: f64,
}

/// A checked command line with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// The latent variables.
    pub(crate) latent: Latent,
    /// Widths of the encoder's hidden layers.
    pub(crate) hidden: Vec<usize>,
    /// The gradient method.
    pub(crate) method: MethodName,
    /// Samples per image; 1 for `enumerate`, which has no use for it.
    pub(crate) samples: usize,
    /// How the samples of an image keep out of one another's way, if they are not independent.
    pub(crate) plan: Option<PlanName>,
    /// The folder of MNIST files, absolute; the embedded digits where there is none.
    pub(crate) data: Option<PathBuf>,
    /// Passes over the training images.
    pub(crate) epochs: usize,
    /// Images per training step.
    pub(crate) batch: usize,
    /// Adam's learning rate.
    pub(crate) lr: f64,
    /// The run's seed.
    pub(crate) seed: u64,
    /// Threads.
    pub(crate) threads: usize,
    /// The folder for the results, which exists.
    pub(crate) out: PathBuf,
    /// Whether to go on from a checkpoint.
    pub(crate) resume: bool,
    /// Whether the graph is recorded anew at each step, where it could be compiled once.
    pub(crate) record_each_step: bool,
    /// The relaxation's temperature, for the methods that have one.
    pub(crate) temperature: Option<Annealing>,
    /// Whether the run was asked to be short.
    pub(crate) quick: bool,
    /// Other methods whose gradient variance is measured at the trained parameters.
    pub(crate) compared: Vec<Compared>,
}

/// A method whose gradient variance is measured at the parameters that another one trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Compared {
    /// The gradient method.
    pub(crate) method: MethodName,
    /// Samples per image.
    pub(crate) samples: usize,
    /// The relaxation's temperature, for the methods that have one.
    pub(crate) temperature: Option<Annealing>,
}

impl Settings {
    /// These settings, for a method that is compared.
    pub(crate) fn comparing(&self, compared: Compared) -> Self {
        let Compared { method, samples, temperature } = compared;
        Self { method, samples, temperature, ..self.clone() }
    }

    /// The settings for a checkpoint. Floats are strings of the shortest decimals that read back to
    /// the same bits, which JSON readers do not promise for numbers.
    pub(crate) fn to_json(&self) -> Value {
        let text = |float: f64| float.to_string();
        json!({
            "latent": match self.latent {
                Latent::Bernoulli { bits } => json!({ "law": "bernoulli", "size": bits }),
                Latent::Categorical { variables, categories } => {
                    json!({ "law": "categorical", "size": variables, "categories": categories })
                }
            },
            "hidden": self.hidden,
            "method": self.method.name(),
            "samples": self.samples,
            "plan": self.plan.map(PlanName::name),
            "data": self.data.as_ref().map(|path| path.to_string_lossy()),
            "epochs": self.epochs,
            "batch": self.batch,
            "lr": text(self.lr),
            "seed": self.seed,
            "threads": self.threads,
            "out": self.out.to_string_lossy(),
            "resume": self.resume,
            "record_each_step": self.record_each_step,
            "temperature": self.temperature.map(|t| json!([text(t.start), text(t.end)])),
            "quick": self.quick,
        })
    }

    /// Reads what [`Settings::to_json`] wrote.
    ///
    /// # Errors
    /// A setting that is missing or of the wrong type.
    pub(crate) fn from_json(value: &Value) -> Result<Self, UsageError> {
        let latent = read(value, "latent", "a law and its sizes", latent)?;
        let hidden = read(value, "hidden", "an array of widths", |value| value.as_array()?.iter().map(size).collect())?;
        let method =
            read(value, "method", "the name of a method", |value| MethodName::from_str(value.as_str()?, false).ok())?;
        Ok(Self {
            latent,
            hidden,
            method,
            samples: read(value, "samples", "a count", size)?,
            plan: read(value, "plan", "the name of a plan, or null", optional(plan))?,
            data: read(value, "data", "a path or null", optional(path))?,
            epochs: read(value, "epochs", "a count", size)?,
            batch: read(value, "batch", "a count", size)?,
            lr: read(value, "lr", "a number in a string", float)?,
            seed: read(value, "seed", "an integer", Value::as_u64)?,
            threads: read(value, "threads", "a count", size)?,
            out: read(value, "out", "a path", path)?,
            resume: read(value, "resume", "true or false", Value::as_bool)?,
            record_each_step: read(value, "record_each_step", "true or false", Value::as_bool)?,
            temperature: read(value, "temperature", "two numbers in strings, or null", optional(annealing))?,
            quick: read(value, "quick", "true or false", Value::as_bool)?,
            // What is measured afterwards is not the run's.
            compared: Vec::new(),
        })
    }

    /// Checks that a run with these settings may go on from a checkpoint that was made with
    /// `saved`. The number of threads and the folder may differ; so may the number of epochs, unless
    /// a temperature is annealed over them.
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

    /// The flags that decide the course of a run, in an order in which the first difference
    /// explains the later ones.
    fn model_flags(&self) -> Vec<(&'static str, String)> {
        let nothing = || "nothing".to_owned();
        let (law, size, categories) = match self.latent {
            Latent::Bernoulli { bits } => ("bernoulli", bits, nothing()),
            Latent::Categorical { variables, categories } => ("categorical", variables, categories.to_string()),
        };
        let hidden: Vec<_> = self.hidden.iter().map(usize::to_string).collect();
        let (start, end, epochs) = match self.temperature {
            Some(Annealing { start, end }) => (start.to_string(), end.to_string(), self.epochs.to_string()),
            None => (nothing(), nothing(), nothing()),
        };
        let data = self.data.as_ref().map(|path| path.to_string_lossy().into());
        vec![
            ("--data", data.unwrap_or_else(nothing)),
            ("--quick", self.quick.to_string()),
            ("--latent", law.to_owned()),
            ("--latent-size", size.to_string()),
            ("--categories", categories),
            ("--hidden", hidden.join(",")),
            ("--method", self.method.name().to_owned()),
            ("--samples", self.samples.to_string()),
            ("--plan", self.plan.map_or_else(nothing, |plan| plan.name().to_owned())),
            ("--temperature", start),
            ("--final-temperature", end),
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

fn size(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

fn float(value: &Value) -> Option<f64> {
    value.as_str()?.parse().ok()
}

fn path(value: &Value) -> Option<PathBuf> {
    value.as_str().map(PathBuf::from)
}

fn latent(value: &Value) -> Option<Latent> {
    let variables = size(value.get("size")?)?;
    match value.get("law")?.as_str()? {
        "bernoulli" => Some(Latent::Bernoulli { bits: variables }),
        "categorical" => Some(Latent::Categorical { variables, categories: size(value.get("categories")?)? }),
        _ => None,
    }
}

fn plan(value: &Value) -> Option<PlanName> {
    PlanName::from_str(value.as_str()?, false).ok()
}

fn annealing(value: &Value) -> Option<Annealing> {
    match value.as_array()?.as_slice() {
        [start, end] => Some(Annealing { start: float(start)?, end: float(end)? }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            latent: Latent::Categorical { variables: 20, categories: 10 },
            hidden: vec![128, 64],
            method: MethodName::GumbelSoftmax,
            samples: 4,
            plan: Some(PlanName::Stratified),
            data: None,
            epochs: 100,
            batch: 50,
            lr: 0.1 + 0.2,
            seed: u64::MAX,
            threads: 2,
            out: PathBuf::from("out/discrete_vae"),
            resume: false,
            record_each_step: false,
            temperature: Some(Annealing { start: 1.0, end: 0.3 }),
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
            plan: None,
            resume: true,
            record_each_step: false,
            quick: true,
            ..settings()
        };
        for settings in [settings(), bits] {
            let text = settings.to_json().to_string();
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(Settings::from_json(&value).unwrap(), settings);
        }
    }

    #[test]
    fn every_setting_is_checked_when_read() {
        let keys: Vec<String> = settings().to_json().as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys.len(), 16);
        for key in keys {
            let mut value = settings().to_json();
            value[&key] = json!({ "not": "this" });
            let error = Settings::from_json(&value).unwrap_err().to_string();
            assert!(error.contains(&format!("{key:?}")), "{error}");
            value.as_object_mut().unwrap().remove(&key);
            let error = Settings::from_json(&value).unwrap_err().to_string();
            assert!(error.contains("found nothing"), "{error}");
        }
        assert!(Settings::from_json(&json!("text")).is_err());
    }

    #[test]
    fn a_difference_is_named_by_its_flag() {
        type Change = fn(&mut Settings);
        let changes: [(&str, Change); 15] = [
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
            ("--plan", |s| s.plan = Some(PlanName::Sobol)),
            ("--temperature", |s| {
                s.temperature = Some(Annealing { start: 0.9, end: 0.3 });
            }),
            ("--final-temperature", |s| {
                s.temperature = Some(Annealing { start: 1.0, end: 0.4 });
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

    #[test]
    fn every_method_reads_back_by_its_name() {
        for &method in MethodName::value_variants() {
            assert_eq!(MethodName::from_str(method.name(), false), Ok(method));
        }
        for &plan in PlanName::value_variants() {
            assert_eq!(PlanName::from_str(plan.name(), false), Ok(plan));
        }
    }

    #[test]
    fn swaps_are_counted() {
        let latent = Latent::Categorical { variables: 3, categories: 10 };
        assert_eq!([MethodName::Arsm, MethodName::Ars, MethodName::Carms].map(|m| m.swaps(latent)), [46, 10, 1]);
    }

    #[test]
    fn the_joint_support_is_counted() {
        let latent = Latent::Categorical { variables: 3, categories: 10 };
        assert_eq!((latent.states(), latent.width()), (Some(1000), 30));
        assert_eq!(Latent::Bernoulli { bits: 12 }.states(), Some(4096));
        assert_eq!(Latent::Bernoulli { bits: 200 }.states(), None);
    }
}
