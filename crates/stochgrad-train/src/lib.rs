//! Training loops, data sources and evaluation for `stochgrad`.
//!
//! - [`Trainer`]: trains a model. [`Report`]: its result.
//! - [`Source`]: data, read minibatch by minibatch. [`source`] contains the sources of this crate.
//! - [`evaluation`]: importance-weighted log-likelihood, accuracy and calibration.
//! - [`output`]: progress, files of metrics, learning curves and pictures.
//! - [`Observer`]: what a run reports its [`Metrics`] to.
//!
//! With the feature `serde`, the settings of a run are data (`TrainerSettings`), so that a file can state them.

mod error;
pub mod evaluation;
mod metrics;
mod observer;
pub mod output;
mod report;
pub mod source;
mod spread;
mod trainer;
mod warning;

pub use error::{TrainError, TrainResult};
pub use metrics::{Metrics, Values, total};
pub use observer::{Observer, RunStart, StepMetrics};
pub use report::{Best, Outcome, Report};
pub use source::{Epoch, Source};
#[cfg(feature = "serde")]
pub use trainer::{CostLimitSettings, TrainerSettings};
pub use trainer::{EarlyStopping, GradientVariance, Progress, Span, Trainer};
pub use warning::{Warning, WarningKind};
