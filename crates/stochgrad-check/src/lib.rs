//! Tests of gradient methods, of distributions and of functions on the tape: those of this workspace and your own.
//!
//! | question | answer |
//! |---|---|
//! | Is this estimator unbiased, for a model whose draws can be enumerated? | [`Oracle::verify`]: exactly, over all outcomes, at every order you ask for |
//! | What is the variance of this gradient? | [`Oracle::gradient`]: exactly |
//! | What is the true gradient of this model? | [`Oracle::exact_gradient`] |
//! | Is this estimator unbiased, whatever it draws? | [`StatisticalTest`]: fixed seeds, each element tested, Holm's correction |
//! | Are the derivatives of this function or primitive right? | [`gradient_check()`]: against central differences |
//! | On which models should I test my method? | [`models`]: small graphs, most of them with a known exact answer; [`RandomModel`] |
//!
//! All computations are in `f64`. The crate depends on no particular gradient method and on no test framework: a check
//! returns a report, or an error that says what was expected and what was found. With the feature `proptest`, there are
//! strategies of this crate for models (`random_models`) and for parameters of distributions (`strategies`).

mod error;
mod gradient_check;
pub mod models;
mod moments;
mod oracle;
mod random_model;
mod statistical;
#[cfg(feature = "proptest")]
pub mod strategies;

pub use error::{CheckError, CheckResult};
pub use gradient_check::{GradientCheck, GradientReport, gradient_check};
pub use oracle::{GradientMoments, Moments, Oracle, OracleReport};
pub use random_model::RandomModel;
#[cfg(feature = "proptest")]
pub use random_model::random_models;
pub use statistical::{SampleMoments, StatisticalReport, StatisticalTest};
