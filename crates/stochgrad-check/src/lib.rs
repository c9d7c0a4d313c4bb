//! Tests of gradients: for the methods of this workspace, and for your own.
//!
//! | question | answer |
//! |---|---|
//! | Is this estimator right, for a model whose draws can be enumerated? | [`Oracle::verify`]: proved over all outcomes, at every order asked for |
//! | What is the variance of this gradient? | [`Oracle::gradient`]: exact |
//! | What is the true gradient of this model? | [`Oracle::exact_gradient`] |
//! | Is this estimator right, whatever it draws? | [`StatisticalTest`]: fixed seeds, every element tested, Holm's correction |
//! | Are the derivatives of this function or primitive right? | [`gradient_check()`]: against central differences |
//!
//! Everything is in `f64`. This crate knows no particular gradient method, and no test framework: checks return values
//! and errors that say what was expected and what was found.

mod error;
mod gradient_check;
pub mod models;
mod moments;
mod oracle;
mod statistical;

pub use error::{CheckError, CheckResult};
pub use gradient_check::{GradientCheck, GradientReport, gradient_check};
pub use oracle::{GradientMoments, Moments, Oracle, OracleReport};
pub use statistical::{SampleMoments, StatisticalReport, StatisticalTest};
