//! The evaluation of trained models.
//!
//! | item | measures |
//! |---|---|
//! | [`ImportanceWeighted`] | the log-likelihood of a model with latent variables |
//! | [`LogMeanExp`] | the logarithm of a mean of weights, accumulated over chunks of samples |
//! | [`Accuracy`] | the fraction of labels that are predicted |
//! | [`Calibration`] | whether predicted probabilities are frequencies |
//! | [`mean_cost`], [`mean_costs`] | the total cost of a data set and each of its costs, with the same noise at each call |
//! | [`predictions`] | the outputs for all members of a data set |
//! | [`GradientVariance::measure`](crate::GradientVariance::measure) | the noise that gradient methods cause at nodes and in parameters |

mod accuracy;
mod calibration;
mod importance_weighted;
mod labelled;
mod log_mean_exp;
mod mean_cost;
mod predictions;

pub use accuracy::Accuracy;
pub use calibration::{Calibration, CalibrationBin};
pub use importance_weighted::{ImportanceWeighted, LogLikelihood};
pub use log_mean_exp::LogMeanExp;
pub use mean_cost::{mean_cost, mean_costs};
pub use predictions::predictions;
