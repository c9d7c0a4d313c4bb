//! The command line: flags, and checks of what they mean together.

use std::fmt::Display;
use std::fs;
use std::num::NonZero;
use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::builder::{ArgPredicate::IsPresent, RangedU64ValueParser};
use clap::error::{ErrorKind, Result};
use clap::{Parser, ValueEnum};

use crate::method_name::{Kind, MethodName, Objective, SchemeName, name};

const MODEL: &str = "Model";
const METHOD: &str = "Gradient method";
const TRAINING: &str = "Training";
const FILES: &str = "Data and results";
const EXAMPLES: &str = "\
Examples:
  discrete_vae --quick                                       3 epochs, to check that everything works
  discrete_vae --latent bernoulli --method measure-valued    200 bits, measure-valued derivatives
  discrete_vae --method gumbel-softmax --final-temperature 0.3    a relaxation, annealed from 1 to 0.3
  discrete_vae --data mnist --epochs 20 --out out/mnist      200 bits on the MNIST files in the folder mnist
  discrete_vae --data mnist --epochs 20 --out out/mnist --resume    continues that run
  discrete_vae --objective wake-sleep --samples 16           reweighted wake-sleep
  discrete_vae --resume --compare leave-one-out,gumbel-rao   gradient variances after a finished run";

/// A number with a lower bound.
fn count(least: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(least..)
}

/// A finite number above 0.
fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|&number: &f64| number.is_finite() && number > 0.0);
    number.ok_or_else(|| "expected a finite number above 0".to_owned())
}

/// Train a variational autoencoder with discrete latent variables on images of handwritten digits.
///
/// The gradient with respect to the encoder passes through samples of discrete variables. --method selects how it is
/// estimated. The folder --out receives a checkpoint, metrics.csv, summary.json, a learning curve, pictures, the graph
/// (graph.svg), the settings, events for TensorBoard, and the parameters. Reported quantities:
///
/// −ELBO: the negative evidence lower bound, in nats per image. On the training images it is the mean of the estimates
/// of all steps of an epoch, with the samples of the gradient method. On the test images it is computed with 4 discrete
/// codes per image and the same noise in every run.
///
/// Latent gradient variance: the variance of the gradient of the mean −ELBO of one minibatch with respect to the logits
/// of its codes, averaged over all logits, from 100 gradients at the trained parameters that differ in their noise only.
///
/// Pixels are 0 or 1. A pixel of an embedded digit is 1 if its grey level is above half of the range. A pixel of MNIST
/// is drawn with its grey level as probability: at each step for training, once for the test.
#[derive(Clone, Debug, Parser)]
#[command(name = "discrete_vae", after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Distribution of the latent variables; bernoulli with --data
    #[arg(long, value_enum, value_name = "DISTRIBUTION", help_heading = MODEL, default_value = "categorical")]
    #[arg(default_value_if("data", IsPresent, "bernoulli"))]
    pub(crate) latent: Latent,
    /// Number of latent variables, at least 1 [default: 20 categorical variables, or 200 bits]
    #[arg(long, value_name = "N", value_parser = count(1), help_heading = MODEL)]
    pub(crate) latent_size: Option<usize>,
    /// Categories of each variable, at least 2; only with --latent categorical [default: 10]
    #[arg(long, value_name = "C", value_parser = count(2), help_heading = MODEL)]
    pub(crate) categories: Option<usize>,
    /// Widths of the hidden layers of the encoder, in units, at least 1 each, separated by commas; the decoder has them
    /// in reverse order; 200,200 with --data
    #[arg(long, value_name = "WIDTHS", value_parser = count(1), value_delimiter = ',', help_heading = MODEL)]
    #[arg(default_value = "128,128", default_value_if("data", IsPresent, "200,200"))]
    pub(crate) hidden: Vec<usize>,
    /// Gradient method of the latent variables
    #[arg(long, value_enum, default_value_t = MethodName::LeaveOneOut, help_heading = METHOD)]
    pub(crate) method: MethodName,
    /// Objective of the training, with a gradient method of its own [default: the −ELBO, with --method]
    #[arg(long, value_enum, conflicts_with_all = ["method", "scheme", "compare"], help_heading = METHOD)]
    pub(crate) objective: Option<Objective>,
    /// Samples per image and training step, at least 1. leave-one-out, double-control-variate, rodeo, arms and carms
    /// need at least 2, as every --objective, methods with antithetic pairs (disarm…, arm, ugc) an even number, sum-and-sample at least 3;
    /// unordered-set takes at most 10. Not allowed with enumerate [default: 4 for score-function, moving-average,
    /// importance-sampled, leave-one-out, arms, carms, unordered-set, without-replacement, sum-and-sample and auto; 2
    /// for double-control-variate, rodeo, disarm…, arm and ugc; 1 for the others]
    #[arg(long, value_name = "K", value_parser = count(1), help_heading = METHOD)]
    pub(crate) samples: Option<usize>,
    /// Draw the samples of an image jointly, which lowers the variance of their mean. Needs at least 2 samples and
    /// score-function, moving-average, importance-sampled or a biased method [default: independent samples]
    #[arg(long, value_enum, value_name = "SCHEME", help_heading = METHOD)]
    pub(crate) scheme: Option<SchemeName>,
    /// Temperature of the relaxation at the first step, above 0; for the methods with a relaxation (gumbel-softmax,
    /// entmax, straight-through-gumbel, gumbel-rao, straight-through, reinmax, gapped-straight-through) [default: 1]
    #[arg(long, value_name = "T", allow_negative_numbers = true, value_parser = positive, help_heading = METHOD)]
    pub(crate) temperature: Option<f64>,
    /// Temperature of the relaxation at the last step, at most --temperature; in between it falls geometrically
    /// [default: 0.5, or --temperature if that is lower; --temperature for straight-through and reinmax]
    #[arg(long, value_name = "T", allow_negative_numbers = true, value_parser = positive, help_heading = METHOD)]
    pub(crate) final_temperature: Option<f64>,
    /// Temperature of the derivative; only for gumbel-softmax and entmax [default: the temperature of the values]
    #[arg(long, value_name = "T", allow_negative_numbers = true, value_parser = positive, help_heading = METHOD)]
    pub(crate) backward_temperature: Option<f64>,
    /// Passes over the training images, at least 1; 10 with --data
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = TRAINING)]
    #[arg(default_value = "100", default_value_ifs([("quick", IsPresent, "3"), ("data", IsPresent, "10")]))]
    pub(crate) epochs: u64,
    /// Images per training step, at least 1; 100 with --data
    #[arg(long, value_name = "N", value_parser = count(1), help_heading = TRAINING, default_value = "50")]
    #[arg(default_value_if("data", IsPresent, "100"))]
    pub(crate) batch: usize,
    /// Learning rate of Adam, above 0
    #[arg(long, value_name = "RATE", default_value_t = 1e-3, allow_negative_numbers = true)]
    #[arg(value_parser = positive, help_heading = TRAINING)]
    pub(crate) lr: f64,
    /// Seed of the initial weights, the minibatches and the samples; an integer from 0 to 2⁶⁴ − 1
    #[arg(long, value_name = "SEED", default_value_t = 0, help_heading = TRAINING)]
    pub(crate) seed: u64,
    /// Number of threads, from 1 to 1024; it does not affect the results. By default, the available cores
    #[arg(long, value_name = "N", default_value_t = available_parallelism().map_or(1, NonZero::get))]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024), help_heading = TRAINING)]
    pub(crate) threads: usize,
    /// Train for 3 epochs, unless --epochs is given
    #[arg(long, help_heading = TRAINING)]
    pub(crate) quick: bool,
    /// Folder with the four unpacked MNIST files [default: the digits embedded in the program]
    #[arg(long, value_name = "DIR", help_heading = FILES)]
    pub(crate) data: Option<PathBuf>,
    /// Folder for the results; it is created if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out/discrete_vae", help_heading = FILES)]
    pub(crate) out: PathBuf,
    /// Continue from the checkpoint in --out. All flags must be those of the first run, except --threads, --out,
    /// --compare and, for methods without a temperature, --epochs
    #[arg(long, help_heading = FILES)]
    pub(crate) resume: bool,
    /// Also compare these methods (values of --method, separated by commas) at the trained parameters: variance and
    /// time of the gradients of all parameters, in a table, variances.csv and comparison.html. Each has its default
    /// number of samples, and first learns its own parameters from 500 gradients
    #[arg(long, value_enum, value_name = "METHODS", value_delimiter = ',', hide_possible_values = true)]
    #[arg(help_heading = FILES)]
    pub(crate) compare: Vec<MethodName>,
}

/// The distribution of one latent variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Latent {
    /// Independent bits
    Bernoulli,
    /// Independent categorical variables, as one-hot vectors
    Categorical,
}

/// A gradient method with its options.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Choice {
    pub(crate) method: MethodName,
    pub(crate) objective: Option<Objective>,
    pub(crate) samples: usize,
    pub(crate) scheme: Option<SchemeName>,
    /// The temperature of the relaxation at the first and at the last step, for methods that have one.
    pub(crate) temperature: Option<[f64; 2]>,
    /// The temperature of the derivative, if it differs.
    pub(crate) backward: Option<f64>,
}

/// An error of the command line.
pub(crate) fn usage(message: impl Display) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, format!("{message}\n"))
}

/// Refuses the value of a flag.
pub(crate) fn refuse<T>(flag: &str, expected: impl Display, found: impl Display, hint: &str) -> Result<T> {
    Err(usage(format_args!("{flag}: expected {expected}, got {found}; {hint}")))
}

impl Arguments {
    /// The gradient method with its options. What the library refuses itself, such as too few samples, is not checked.
    pub(crate) fn choice(&self) -> Result<Choice> {
        let method = self.method;
        let (kind, by_default) = method.kind_and_samples();
        let (samples, known) = (self.samples.unwrap_or(by_default), name(method));
        if kind == Kind::Pairs && samples % 2 == 1 {
            let expected = format_args!("an even number for {known}, which draws pairs");
            refuse("--samples", expected, samples, "try --samples 2 or 4, or --method arms")?;
        }
        if method == MethodName::SumAndSample && samples < 3 {
            refuse("--samples", "at least 3 for sum-and-sample, which sums all but two of them", samples, "omit it")?;
        }
        if method == MethodName::Enumerate && self.samples.is_some() {
            refuse("--samples", "no value for enumerate, which evaluates every state", samples, "omit it")?;
        }
        if let Some(scheme) = self.scheme.filter(|_| kind < Kind::Free || samples < 2) {
            let expected = format_args!("no value for {known} with --samples {samples}");
            refuse("--scheme", expected, name(scheme), "omit it, or try --method moving-average --samples 4")?;
        }
        if let Some(objective) = self.objective.filter(|_| samples < 2) {
            refuse("--samples", format_args!("at least 2 for {}", name(objective)), samples, "omit it")?;
        }
        let (scheme, temperature, backward) = (self.scheme, self.temperatures(kind)?, self.backward_temperature);
        Ok(Choice { method, objective: self.objective, samples, scheme, temperature, backward })
    }

    /// The methods to compare, with the options that they would have by default at the end of a run.
    pub(crate) fn compared(&self) -> Result<Vec<Choice>> {
        let compared = self.compare.iter().map(|&method| {
            let mut alone = Self { method, samples: None, scheme: None, temperature: None, ..self.clone() };
            (alone.final_temperature, alone.backward_temperature) = (None, None);
            let choice = alone.choice()?;
            let temperature = choice.temperature.map(|[_, end]| [end, end]);
            Ok(Choice { scheme: self.scheme, temperature, ..choice })
        });
        compared.collect()
    }

    /// The temperatures of the run, for methods with a relaxation.
    fn temperatures(&self, kind: Kind) -> Result<Option<[f64; 2]>> {
        for (flag, value, takes) in [
            ("--temperature", self.temperature, kind >= Kind::Constant),
            ("--final-temperature", self.final_temperature, kind >= Kind::Constant),
            ("--backward-temperature", self.backward_temperature, kind == Kind::Continuous),
        ] {
            if let Some(value) = value.filter(|_| !takes) {
                let expected = format!("no value for {}, which has no such temperature", name(self.method));
                refuse(flag, expected, value, "omit it, or try --method gumbel-softmax")?;
            }
        }
        if kind < Kind::Constant {
            return Ok(None);
        }
        let start = self.temperature.unwrap_or(1.0);
        let default = if kind == Kind::Constant { start } else { start.min(0.5) };
        let end = self.final_temperature.unwrap_or(default);
        if end > start {
            let hint = "raise --temperature, or lower this one";
            refuse("--final-temperature", format_args!("at most --temperature, {start}"), end, hint)?;
        }
        Ok(Some([start, end]))
    }

    /// Checks all flags, and creates the folder for the results, unless it must have a checkpoint.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(found) = self.categories.filter(|_| self.latent == Latent::Bernoulli) {
            let hint = "omit it, or add --latent categorical";
            refuse("--categories", "no value with bernoulli variables", found, hint)?;
        }
        self.compared().and(self.choice())?;
        let path = &self.out;
        if self.resume && !path.join("checkpoint.safetensors").exists() {
            let hint = "--resume needs the --out of the first run; to start a new run, omit --resume";
            return refuse("--out", "a folder with a checkpoint.safetensors", path.display(), hint);
        }
        // The system removes the file when it is closed, also if the process is killed.
        fs::create_dir_all(path).and_then(|()| tempfile::tempfile_in(path)).map(drop).or_else(|error| {
            let found = format_args!("{}: {error}", path.display());
            refuse("--out", "a folder in which you may create files", found, "choose another one")
        })
    }
}
