//! The command line.

use std::num::NonZero;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use stochgrad::tensor::sobol::DIMENSIONS as SOBOL_DIMENSIONS;

use crate::annealing::Annealing;
use crate::folders::{data_folder, prepare_output};
use crate::latent::Latent;
use crate::method_name::{MethodName, SchemeName};
use crate::settings::{Compared, Settings};
use crate::size_limits::check_size;
use crate::usage_error::UsageError;

/// Sets of states without replacement, and sums of states, have fewer members.
const MOST_SET: u128 = 11;

/// The largest joint support that `--method enumerate` visits, and other methods list.
const MOST_STATES: u128 = 4096;
/// Pixels of an embedded digit, for the two limits above.
const DIGIT_PIXELS: usize = 8 * 8;
/// Pixels of an MNIST image.
const MNIST_PIXELS: usize = 28 * 28;

const EXAMPLES: &str = "\
Examples:
  discrete_vae
      20 categorical variables of 10 categories on the embedded 8×8 digits
  discrete_vae --quick
      the same for a few epochs, to see that everything works
  discrete_vae --latent bernoulli --method measure-valued
      200 bits, with measure-valued derivatives
  discrete_vae --method gumbel-softmax --temperature 1 --final-temperature 0.3
      a biased relaxation, annealed over the run
  discrete_vae --data mnist --epochs 20 --out out/mnist
      200 bits on the unpacked MNIST files in the folder mnist
  discrete_vae --data mnist --epochs 20 --out out/mnist --resume
      go on after an interruption
  discrete_vae --resume --compare leave-one-out,measure-valued,gumbel-rao
      the variances of gradients by three methods, at the parameters of a finished run";

/// Train a variational autoencoder with discrete latent variables.
///
/// The gradient of the evidence lower bound with respect to the encoder goes
/// through samples of discrete variables; --method chooses how it is estimated.
/// The folder --out receives a checkpoint, metrics.csv, summary.json, a learning
/// curve, pictures, the graph (graph.dot) and parameters.safetensors.
///
/// The −ELBO is in nats per image. On the training images it is the mean of the
/// estimates of an epoch's steps, with the method's own samples; on the test
/// images it is always taken with 4 discrete codes per image, and the same noise.
/// The "latent gradient variance" is taken at the trained parameters: 100
/// gradients of one minibatch's mean −ELBO by the logits of its codes, which
/// differ in their noise only; their variance, summed over all logits.
///
/// Pixels of the embedded digits are 1 where the grey level is above half. Those of
/// MNIST are drawn with the grey levels as probabilities, for training afresh at
/// each step, for the test once.
#[derive(Clone, Debug, Parser)]
#[command(name = "discrete_vae", after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The distribution of the latent variables [default: categorical; bernoulli with --data]
    #[arg(long, value_enum, value_name = "LAW")]
    latent: Option<LatentKind>,

    /// How many latent variables [default: 20 categorical ones, or 200 bits]
    #[arg(long, value_name = "N")]
    latent_size: Option<usize>,

    /// Categories of a categorical variable [default: 10]
    #[arg(long, value_name = "C")]
    categories: Option<usize>,

    /// Widths of the encoder's hidden layers, reversed in the decoder
    /// [default: 128,128; 200,200 with --data]
    #[arg(long, value_name = "WIDTHS", value_delimiter = ',')]
    hidden: Option<Vec<usize>>,

    /// How the gradient through the samples is estimated
    #[arg(long, value_enum, default_value_t = MethodName::LeaveOneOut)]
    method: MethodName,

    /// Samples per image [default: 4 for score-function, moving-average, leave-one-out and auto, else 1]
    #[arg(long, value_name = "K")]
    samples: Option<usize>,

    /// How the samples of an image keep out of one another's way [default: they are independent]
    #[arg(long, value_enum, value_name = "SCHEME")]
    scheme: Option<SchemeName>,

    /// A folder with the four unpacked MNIST files, in place of the embedded digits
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Passes over the training images [default: 100; 10 with --data; 3 with --quick]
    #[arg(long)]
    epochs: Option<usize>,

    /// Images per training step [default: 50; 100 with --data]
    #[arg(long)]
    batch: Option<usize>,

    /// Adam's learning rate
    #[arg(long, default_value_t = 1e-3, allow_negative_numbers = true)]
    lr: f64,

    /// The seed of initial weights, minibatches and samples
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Threads; the results do not depend on them [default: the available cores]
    #[arg(long)]
    threads: Option<usize>,

    /// Record the graph anew at each step, and not once for all of them: slower, with the same results
    #[arg(long)]
    record_each_step: bool,

    /// The folder for the results, made where it is missing
    #[arg(long, value_name = "DIR", default_value = "out/discrete_vae")]
    out: PathBuf,

    /// Go on from the checkpoint in --out; the flags of the model must be those of the first run
    #[arg(long)]
    resume: bool,

    /// The relaxation's temperature at the start, for relaxed and straight-through methods [default: 1]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f64>,

    /// The relaxation's temperature at the end [default: 0.5, or --temperature if that is lower or the method
    /// straight-through or reinmax]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    final_temperature: Option<f64>,

    /// The temperature of the derivative, for gumbel-softmax and entmax [default: that of the values]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    backward_temperature: Option<f64>,

    /// Measure the latent gradient variance of these methods too, at the trained parameters, each with its default
    /// samples and after learning what it learns from 500 gradients
    #[arg(long, value_enum, value_name = "METHODS", value_delimiter = ',')]
    compare: Vec<MethodName>,

    /// A short run, for a first look or a test
    #[arg(long)]
    quick: bool,
}

/// The distribution of one latent variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LatentKind {
    /// Bits
    Bernoulli,
    /// One of several categories, as a one-hot vector
    Categorical,
}

impl Arguments {
    /// Fills in the defaults, checks everything, and makes the folder for the results.
    ///
    /// # Errors
    /// The first flag whose value cannot be used.
    pub(crate) fn resolve(self) -> Result<Settings, UsageError> {
        let mnist = self.data.is_some();
        let latent = self.latent()?;
        let hidden = match &self.hidden {
            Some(widths) => widths.clone(),
            None if mnist => vec![200, 200],
            None => vec![128, 128],
        };
        for &width in &hidden {
            positive("--hidden", width, "give the widths as in --hidden 128,128")?;
        }
        let batch = self.batch.unwrap_or(if mnist { 100 } else { 50 });
        positive("--batch", batch, "50 is a good start")?;
        let epochs = self.epochs.unwrap_or(match (self.quick, mnist) {
            (true, _) => 3,
            (false, true) => 10,
            (false, false) => 100,
        });
        positive("--epochs", epochs, "--quick gives a short run")?;
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZero::get));
        if !(1..=1024).contains(&threads) {
            return Err(UsageError::Value {
                flag: "--threads",
                expected: "a number from 1 to 1024".to_owned(),
                found: threads.to_string(),
                hint: "leave it out to use the available cores",
            });
        }
        if !(self.lr.is_finite() && self.lr > 0.0) {
            return Err(UsageError::Value {
                flag: "--lr",
                expected: "a finite number above 0".to_owned(),
                found: self.lr.to_string(),
                hint: "0.001 is a good start",
            });
        }
        let samples = self.samples(latent)?;
        let scheme = self.scheme(latent, samples)?;
        let temperature = self.annealing()?;
        let compared = self.compared(latent)?;
        let pixels = if mnist { MNIST_PIXELS } else { DIGIT_PIXELS };
        let members = match self.method {
            MethodName::Enumerate => latent.states().unwrap_or(MOST_STATES),
            method => method.swaps(latent).saturating_mul(samples) as u128,
        };
        let widths = [&[pixels], hidden.as_slice(), &[latent.width()]].concat();
        check_size(&widths, batch, members)?;
        let data = self.data.as_deref().map(data_folder).transpose()?;
        prepare_output(&self.out, self.resume)?;
        Ok(Settings {
            latent,
            hidden,
            method: self.method,
            samples,
            scheme,
            data,
            epochs,
            batch,
            lr: self.lr,
            seed: self.seed,
            threads,
            out: self.out,
            resume: self.resume,
            record_each_step: self.record_each_step,
            temperature,
            quick: self.quick,
            compared,
        })
    }

    /// The methods to compare, with the settings that each would have by default at the end of a run.
    fn compared(&self, latent: Latent) -> Result<Vec<Compared>, UsageError> {
        let resolve = |&method: &MethodName| {
            let alone = Self {
                method,
                samples: None,
                temperature: None,
                final_temperature: None,
                backward_temperature: None,
                ..self.clone()
            };
            let samples = alone.samples(latent)?;
            let temperature = alone.annealing()?.map(|annealing| Annealing { start: annealing.end, ..annealing });
            Ok(Compared { method, samples, temperature })
        };
        self.compare.iter().map(resolve).collect()
    }

    fn latent(&self) -> Result<Latent, UsageError> {
        let distribution = self.latent.unwrap_or(match self.data {
            Some(_) => LatentKind::Bernoulli,
            None => LatentKind::Categorical,
        });
        if let Some(size) = self.latent_size {
            positive("--latent-size", size, "leave it out for the default")?;
        }
        match (distribution, self.categories) {
            (LatentKind::Bernoulli, None) => Ok(Latent::Bernoulli { bits: self.latent_size.unwrap_or(200) }),
            (LatentKind::Bernoulli, Some(categories)) => Err(UsageError::Value {
                flag: "--categories",
                expected: "no value with bernoulli variables".to_owned(),
                found: categories.to_string(),
                hint: "leave it out, or add --latent categorical",
            }),
            (LatentKind::Categorical, Some(categories @ (0 | 1))) => Err(UsageError::Value {
                flag: "--categories",
                expected: "at least 2".to_owned(),
                found: categories.to_string(),
                hint: "leave it out for 10",
            }),
            (LatentKind::Categorical, categories) => Ok(Latent::Categorical {
                variables: self.latent_size.unwrap_or(20),
                categories: categories.unwrap_or(10),
            }),
        }
    }

    fn samples(&self, latent: Latent) -> Result<usize, UsageError> {
        let samples = self.samples.unwrap_or(self.method.default_samples());
        positive("--samples", samples, "leave it out for the default")?;
        let (fewest, why) = self.method.fewest_samples();
        if samples < fewest {
            return Err(UsageError::Value {
                flag: "--samples",
                expected: format!("at least {fewest} for {why}"),
                found: samples.to_string(),
                hint: "try --samples 4, or --method moving-average",
            });
        }
        if self.method.is_paired() && samples % 2 == 1 {
            return Err(UsageError::Value {
                flag: "--samples",
                expected: format!("an even number for {}, which draws pairs", self.method),
                found: samples.to_string(),
                hint: "try --samples 2 or 4, or --method arms",
            });
        }
        if self.method.needs_bits() && !matches!(latent, Latent::Bernoulli { .. }) {
            return Err(UsageError::bits_only(self.method.name()));
        }
        if self.method == MethodName::Enumerate && self.samples.is_some() {
            return Err(UsageError::Value {
                flag: "--samples",
                expected: "no value for enumerate, which visits every state".to_owned(),
                found: samples.to_string(),
                hint: "leave it out",
            });
        }
        if self.method.lists_states() {
            if self.method != MethodName::Enumerate
                && latent.states().is_some_and(|states| samples as u128 >= states.min(MOST_SET))
            {
                return Err(UsageError::Value {
                    flag: "--samples",
                    expected: format!(
                        "fewer than the {} states, and than {MOST_SET}",
                        latent.states().unwrap_or(MOST_STATES)
                    ),
                    found: samples.to_string(),
                    hint: "try --samples 4, or --method enumerate",
                });
            }
            if latent.states().is_none_or(|states| states > MOST_STATES) {
                let (base, exponent) = latent.base_and_exponent();
                let count = match latent.states() {
                    Some(states) => format!("{base}^{exponent} = {states}"),
                    None => format!("{base}^{exponent}"),
                };
                return Err(UsageError::Value {
                    flag: match self.method {
                        MethodName::UnorderedSet => "--method unordered-set",
                        MethodName::WithoutReplacement => "--method without-replacement",
                        MethodName::SumAndSample => "--method sum-and-sample",
                        _ => "--method enumerate",
                    },
                    expected: format!("at most {MOST_STATES} joint states"),
                    found: format!("{count} of {latent}"),
                    hint: "try --latent bernoulli --latent-size 10, or --method leave-one-out",
                });
            }
        }
        Ok(samples)
    }

    fn scheme(&self, latent: Latent, samples: usize) -> Result<Option<SchemeName>, UsageError> {
        let Some(scheme) = self.scheme else { return Ok(None) };
        let refuse = |expected: String, hint| {
            Err(UsageError::Value { flag: "--scheme", expected, found: scheme.name().to_owned(), hint })
        };
        if !self.method.takes_plans() {
            let expected = format!("no value for {}, whose samples must be independent", self.method);
            return refuse(expected, "leave it out, or try --method moving-average");
        }
        if samples < 2 {
            return refuse("no value for a single sample".to_owned(), "add --samples 4");
        }
        if scheme == SchemeName::Sobol && latent.width() > SOBOL_DIMENSIONS {
            return refuse(
                format!("another scheme for {latent}: Sobol points have {SOBOL_DIMENSIONS} dimensions"),
                "try --scheme stratified",
            );
        }
        Ok(Some(scheme))
    }

    fn annealing(&self) -> Result<Option<Annealing>, UsageError> {
        let given = [
            ("--temperature", self.temperature),
            ("--final-temperature", self.final_temperature),
            ("--backward-temperature", self.backward_temperature),
        ];
        for (flag, value) in given {
            let Some(value) = value else { continue };
            if !self.method.is_relaxed() {
                return Err(UsageError::Value {
                    flag,
                    expected: format!("no value for {}, which has no temperature", self.method),
                    found: value.to_string(),
                    hint: "leave it out, or try --method gumbel-softmax",
                });
            }
            if !(value.is_finite() && value > 0.0) {
                return Err(UsageError::Value {
                    flag,
                    expected: "a finite number above 0".to_owned(),
                    found: value.to_string(),
                    hint: "values between 0.3 and 1 are usual",
                });
            }
        }
        if !self.method.is_relaxed() {
            return Ok(None);
        }
        let start = self.temperature.unwrap_or(1.0);
        let default = if self.method.has_constant_temperature() { start } else { start.min(0.5) };
        let end = self.final_temperature.unwrap_or(default);
        if end > start {
            return Err(UsageError::Value {
                flag: "--final-temperature",
                expected: format!("at most the temperature at the start, {start}"),
                found: end.to_string(),
                hint: "raise --temperature, or lower this one",
            });
        }
        if let Some(backward) = self.backward_temperature.filter(|_| !self.method.takes_backward_temperature()) {
            return Err(UsageError::Value {
                flag: "--backward-temperature",
                expected: format!("no value for {}, whose values have no temperature of their own", self.method),
                found: backward.to_string(),
                hint: "give it as --temperature, or try --method gumbel-softmax",
            });
        }
        Ok(Some(Annealing { start, end, backward: self.backward_temperature }))
    }
}

fn positive(flag: &'static str, value: usize, hint: &'static str) -> Result<(), UsageError> {
    if value > 0 {
        return Ok(());
    }
    Err(UsageError::Value { flag, expected: "at least 1".to_owned(), found: "0".to_owned(), hint })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Resolves a command line whose results go to a fresh folder.
    fn resolve(flags: &str) -> Result<Settings, UsageError> {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("deep").join("out");
        let fixed = ["discrete_vae", "--out", out.to_str().unwrap()];
        Arguments::try_parse_from(fixed.into_iter().chain(flags.split_whitespace())).unwrap().resolve()
    }

    fn refused(flags: &str) -> String {
        let error = resolve(flags).unwrap_err();
        assert_eq!(error.exit_code(), std::process::ExitCode::from(2));
        error.to_string()
    }

    #[test]
    fn the_parser_is_consistent() {
        Arguments::command().debug_assert();
        let help = Arguments::command().render_long_help().to_string();
        assert!(help.contains("Examples:") && help.contains("--final-temperature"));
    }

    #[test]
    fn defaults_depend_on_the_data() {
        let digits = resolve("").unwrap();
        assert_eq!(digits.latent, Latent::Categorical { variables: 20, categories: 10 });
        assert_eq!(digits.hidden, [128, 128]);
        assert_eq!(digits.method, MethodName::LeaveOneOut);
        assert_eq!((digits.samples, digits.epochs, digits.batch), (4, 100, 50));
        assert_eq!((digits.lr, digits.seed, digits.temperature), (1e-3, 0, None));
        assert!(digits.threads >= 1 && digits.out.ends_with("deep/out"));

        let folder = tempfile::tempdir().unwrap();
        let mnist = resolve(&format!("--data {}", folder.path().display())).unwrap();
        assert_eq!(mnist.latent, Latent::Bernoulli { bits: 200 });
        assert_eq!(mnist.hidden, [200, 200]);
        assert_eq!((mnist.samples, mnist.epochs, mnist.batch), (4, 10, 100));
        assert!(mnist.data.unwrap().is_absolute());
    }

    #[test]
    fn what_is_given_wins_over_defaults() {
        let settings = resolve(
            "--latent categorical --latent-size 3 --categories 4 --hidden 7,8,9 --samples 6 \
             --method gumbel-softmax --epochs 5 --batch 2 --lr 0.5 --seed 18446744073709551615 \
             --threads 3 --temperature 0.4 --quick",
        )
        .unwrap();
        assert_eq!(settings.latent, Latent::Categorical { variables: 3, categories: 4 });
        assert_eq!(settings.hidden, [7, 8, 9]);
        assert_eq!((settings.samples, settings.epochs), (6, 5));
        assert_eq!((settings.batch, settings.lr), (2, 0.5));
        assert_eq!((settings.seed, settings.threads), (u64::MAX, 3));
        let temperature = settings.temperature.unwrap();
        assert_eq!((temperature.start, temperature.end), (0.4, 0.4));
    }

    #[test]
    fn defaults_depend_on_the_method() {
        for (method, samples) in [
            ("score-function", 4),
            ("moving-average", 4),
            ("measure-valued", 1),
            ("straight-through-gumbel", 1),
            ("rebar", 1),
            ("double-control-variate", 2),
            ("auto", 4),
        ] {
            let settings = resolve(&format!("--method {method}")).unwrap();
            assert_eq!(settings.samples, samples, "{method}");
        }
        let bits = resolve("--latent bernoulli").unwrap();
        assert_eq!(bits.latent, Latent::Bernoulli { bits: 200 });
        assert_eq!(resolve("--quick").unwrap().epochs, 3);
        let relaxed = resolve("--method gumbel-softmax").unwrap();
        let temperature = relaxed.temperature.unwrap();
        assert_eq!((temperature.start, temperature.end, temperature.backward), (1.0, 0.5, None));
        let decoupled = resolve("--method gumbel-softmax --backward-temperature 0.8").unwrap();
        assert_eq!(decoupled.temperature.unwrap().backward, Some(0.8));
    }

    #[test]
    fn enumeration_is_limited_to_small_supports() {
        resolve("--method enumerate --latent bernoulli --latent-size 12").unwrap();
        resolve("--method enumerate --latent-size 3").unwrap();
        let error = refused("--method enumerate --latent bernoulli --latent-size 13");
        assert!(error.contains("4096") && error.contains("8192"), "{error}");
        let error = refused("--method enumerate");
        assert!(error.contains("100000000000000000000"), "{error}");
        let error = refused("--method enumerate --latent bernoulli");
        assert!(error.contains("2^200"), "{error}");
        refused("--method enumerate --latent-size 99999999999");
    }

    #[test]
    fn unusable_values_are_refused_by_flag() {
        for (flags, flag) in [
            ("--latent-size 0", "--latent-size"),
            ("--categories 1", "--categories"),
            ("--latent bernoulli --categories 3", "--categories"),
            ("--hidden 128,0", "--hidden"),
            ("--samples 0", "--samples"),
            ("--samples 1", "--samples"),
            ("--method enumerate --latent-size 2 --samples 2", "--samples"),
            ("--batch 0", "--batch"),
            ("--epochs 0", "--epochs"),
            ("--threads 0", "--threads"),
            ("--threads 99999", "--threads"),
            ("--lr 0", "--lr"),
            ("--lr -1", "--lr"),
            ("--lr nan", "--lr"),
            ("--lr inf", "--lr"),
            ("--scheme stratified", "--scheme"),
            ("--method gumbel-softmax --scheme sobol", "--scheme"),
            ("--method score-function --latent bernoulli --latent-size 513 --scheme sobol", "--scheme"),
            ("--temperature 1", "--temperature"),
            ("--method disarm --latent bernoulli --samples 3", "--samples"),
            ("--method arms --latent bernoulli --samples 1", "--samples"),
            ("--method disarm", "--method"),
            ("--method unordered-set --latent bernoulli --latent-size 2", "--samples"),
            ("--method sum-and-sample --latent bernoulli --latent-size 5 --samples 2", "--samples"),
            ("--method unordered-set", "--method unordered-set"),
            ("--method rebar --temperature 1", "--temperature"),
            ("--method gumbel-softmax --temperature 0", "--temperature"),
            ("--method gumbel-softmax --final-temperature -2", "--final-temperature"),
            ("--method gumbel-softmax --final-temperature 2", "--final-temperature"),
            ("--method rebar --backward-temperature 1", "--backward-temperature"),
            ("--method reinmax --backward-temperature 1", "--backward-temperature"),
            ("--method gumbel-softmax --backward-temperature 0", "--backward-temperature"),
            ("--hidden 18446744073709551615,18446744073709551615", "--hidden"),
            ("--hidden 18446744073709551615", "--hidden"),
            ("--batch 18446744073709551615", "--batch"),
            ("--samples 99999999", "--samples"),
            ("--data /nowhere/at/all", "--data"),
            ("--resume", "--out"),
        ] {
            let error = refused(flags);
            let (named, text) = error.split_once(": ").unwrap();
            assert!(named.contains(flag), "{flags}: {error}");
            assert!(text.starts_with("expected ") && text.contains("; "), "{error}");
        }
    }
}
