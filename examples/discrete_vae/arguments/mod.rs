//! The command line.

mod method;
mod resolve;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::method_name::{MethodName, SchemeName};

const EXAMPLES: &str = "\
Examples:
  discrete_vae
      Train 20 categorical variables with 10 categories each on the embedded 8×8 digits.
  discrete_vae --quick
      The same for 3 epochs, to check that everything works.
  discrete_vae --latent bernoulli --method measure-valued
      Train 200 bits with measure-valued derivatives.
  discrete_vae --method gumbel-softmax --temperature 1 --final-temperature 0.3
      Use a biased relaxation whose temperature falls from 1 to 0.3 during the run.
  discrete_vae --data mnist --epochs 20 --out out/mnist
      Train 200 bits on the unpacked MNIST files in the folder mnist.
  discrete_vae --data mnist --epochs 20 --out out/mnist --resume
      Continue that run after an interruption.
  discrete_vae --resume --compare leave-one-out,measure-valued,gumbel-rao
      Compare the gradient variances of three methods at the parameters of a finished run.";

/// Train a variational autoencoder with discrete latent variables on images of handwritten digits.
///
/// The gradient with respect to the encoder passes through samples of discrete variables. --method
/// selects how it is estimated. The folder --out receives a checkpoint, metrics.csv, summary.json, a
/// learning curve, pictures, the graph (graph.dot) and the parameters (parameters.safetensors).
///
/// Reported quantities:
///
/// −ELBO: the negative evidence lower bound, in nats per image. On the training images it is the mean
/// of the estimates of all steps of an epoch, with the samples of the gradient method. On the test
/// images it is computed with 4 discrete codes per image and the same noise in every run.
///
/// Latent gradient variance: the variance of the gradient of the mean −ELBO of one minibatch with
/// respect to the logits of its codes, summed over all logits. It is estimated at the trained
/// parameters from 100 gradients that differ in their noise only.
///
/// Pixels are 0 or 1. A pixel of an embedded digit is 1 if its grey level is above half of the range. A
/// pixel of MNIST is drawn with its grey level as probability: at each step for training, once for the
/// test.
#[derive(Clone, Debug, Parser)]
#[command(name = "discrete_vae", after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Distribution of the latent variables
    /// [default: categorical; bernoulli with --data]
    #[arg(long, value_enum, value_name = "DISTRIBUTION", help_heading = "Model", verbatim_doc_comment)]
    latent: Option<LatentKind>,

    /// Number of latent variables, at least 1
    /// [default: 20 categorical variables, or 200 bits]
    #[arg(long, value_name = "N", help_heading = "Model", verbatim_doc_comment)]
    latent_size: Option<usize>,

    /// Categories of each variable, at least 2; only with --latent categorical
    /// [default: 10]
    #[arg(long, value_name = "C", help_heading = "Model", verbatim_doc_comment)]
    categories: Option<usize>,

    /// Widths of the hidden layers of the encoder, in units, at least 1 each, separated by commas;
    /// the decoder has them in reverse order
    /// [default: 128,128; 200,200 with --data]
    #[arg(long, value_name = "WIDTHS", value_delimiter = ',', help_heading = "Model", verbatim_doc_comment)]
    hidden: Option<Vec<usize>>,

    /// Gradient method of the latent variables
    #[arg(long, value_enum, default_value_t = MethodName::LeaveOneOut, help_heading = "Gradient method")]
    method: MethodName,

    /// Samples per image and training step, at least 1. leave-one-out, double-control-variate, rodeo,
    /// arms and carms need at least 2, methods with antithetic pairs (disarm…, arm, ugc) an even number,
    /// sum-and-sample at least 3. unordered-set, without-replacement and sum-and-sample take at most 10,
    /// and fewer than there are states. Not allowed with enumerate
    /// [default: 4 for score-function, moving-average, importance-sampled, leave-one-out, arms, carms,
    /// unordered-set, without-replacement, sum-and-sample and auto; 2 for double-control-variate, rodeo,
    /// disarm, disarm-sticks, disarm-weighted, disarm-tree, arm and ugc; 1 for the others]
    #[arg(long, value_name = "K", help_heading = "Gradient method", verbatim_doc_comment)]
    samples: Option<usize>,

    /// Draw the samples of an image jointly, which lowers the variance of their mean. Needs at least 2
    /// samples and score-function, moving-average, importance-sampled or a biased method
    /// [default: independent samples]
    #[arg(long, value_enum, value_name = "SCHEME", help_heading = "Gradient method", verbatim_doc_comment)]
    scheme: Option<SchemeName>,

    /// Temperature of the relaxation at the first step, above 0; for the methods with a relaxation
    /// (gumbel-softmax, entmax, straight-through-gumbel, gumbel-rao, straight-through, reinmax,
    /// gapped-straight-through)
    /// [default: 1]
    #[arg(
        long,
        value_name = "T",
        allow_negative_numbers = true,
        help_heading = "Gradient method",
        verbatim_doc_comment
    )]
    temperature: Option<f64>,

    /// Temperature of the relaxation at the last step, above 0 and at most --temperature; in between it
    /// falls geometrically
    /// [default: 0.5, or --temperature if that is lower; --temperature for straight-through and reinmax]
    #[arg(
        long,
        value_name = "T",
        allow_negative_numbers = true,
        help_heading = "Gradient method",
        verbatim_doc_comment
    )]
    final_temperature: Option<f64>,

    /// Temperature at which the derivative is taken, above 0; only for gumbel-softmax and entmax
    /// [default: the temperature of the values]
    #[arg(
        long,
        value_name = "T",
        allow_negative_numbers = true,
        help_heading = "Gradient method",
        verbatim_doc_comment
    )]
    backward_temperature: Option<f64>,

    /// Passes over the training images, at least 1
    /// [default: 100; 10 with --data; 3 with --quick]
    #[arg(long, value_name = "N", help_heading = "Training", verbatim_doc_comment)]
    epochs: Option<usize>,

    /// Images per training step, at least 1
    /// [default: 50; 100 with --data]
    #[arg(long, value_name = "N", help_heading = "Training", verbatim_doc_comment)]
    batch: Option<usize>,

    /// Learning rate of Adam, above 0
    #[arg(long, value_name = "RATE", default_value_t = 1e-3, allow_negative_numbers = true, help_heading = "Training")]
    lr: f64,

    /// Seed of the initial weights, the minibatches and the samples; an integer from 0 to 2⁶⁴ − 1
    #[arg(long, value_name = "SEED", default_value_t = 0, help_heading = "Training")]
    seed: u64,

    /// Number of threads, from 1 to 1024; it does not affect the results
    /// [default: the available cores]
    #[arg(long, value_name = "N", help_heading = "Training", verbatim_doc_comment)]
    threads: Option<usize>,

    /// Train for 3 epochs, unless --epochs is given
    #[arg(long, help_heading = "Training")]
    quick: bool,

    /// Folder with the four unpacked MNIST files
    /// [default: the digits embedded in the program]
    #[arg(long, value_name = "DIR", help_heading = "Data and results", verbatim_doc_comment)]
    data: Option<PathBuf>,

    /// Folder for the results; it is created if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out/discrete_vae", help_heading = "Data and results")]
    out: PathBuf,

    /// Continue from the checkpoint in --out. All flags must be those of the first run, except --threads,
    /// --out, --compare and, for methods without a temperature, --epochs
    #[arg(long, help_heading = "Data and results", verbatim_doc_comment)]
    resume: bool,

    /// Also measure the latent gradient variance of these methods (values of --method, separated by
    /// commas) at the trained parameters. Each has its default number of samples, and first learns its
    /// own parameters from 500 gradients
    #[arg(
        long,
        value_enum,
        value_name = "METHODS",
        value_delimiter = ',',
        hide_possible_values = true,
        help_heading = "Data and results",
        verbatim_doc_comment
    )]
    compare: Vec<MethodName>,
}

/// The distribution of one latent variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LatentKind {
    /// Independent bits
    Bernoulli,
    /// Independent categorical variables, as one-hot vectors
    Categorical,
}
