//! The evaluation of trained models.
//!
//! | item | measures |
//! |---|---|
//! | [`ImportanceWeighted`] | the log-likelihood of a model with latent variables |
//! | [`LogMeanExp`] | the logarithm of a mean of weights, accumulated over chunks of samples |
//! | [`Accuracy`] | the fraction of labels that are predicted |
//! | [`Calibration`] | whether predicted probabilities are frequencies |
//! | [`mean_cost`] | the total cost of a data set, with the same noise at each call |
//! | [`node_gradient_variance`] | the noise that a gradient method causes at its node |

mod accuracy;
mod calibration;
mod importance_weighted;
mod labelled;
mod log_mean_exp;
mod mean_cost;
mod node_gradient_variance;

pub use accuracy::Accuracy;
pub use calibration::{Calibration, CalibrationBin};
pub use importance_weighted::{ImportanceWeighted, LogLikelihood};
pub use log_mean_exp::LogMeanExp;
pub use mean_cost::mean_cost;
pub use node_gradient_variance::node_gradient_variance;
