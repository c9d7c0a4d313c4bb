//! Measurements of gradient methods on a model.
//!
//! Which method at which node gives the best gradient for the time depends on the model and on its parameters.
//! [`Lab`] answers this for the closure that a [`Step`](stochgrad_nn::Step) trains, without a change of the model:
//!
//! - [`Lab::compare`] measures bias, variance and time of several methods at a node, with intervals, and stops when
//!   they are precise enough.
//! - [`Lab::select`] finds the methods with the smallest variance × time.
//! - [`Check`] verifies a method or a distribution of your own, on known and on random models.
//! - [`Monitor`] measures the noise of the gradient while a model is trained, and [`Reselect`] chooses again.
//! - [`Lab::attribute`] splits the variance of a gradient or a cost among the nodes.
//!
//! A method is a [`Candidate`]; [`candidates!`] makes them from code, and [`Catalogue`] lists the methods for a
//! distribution. [`Comparison`] is a table for a terminal, JSON, CSV, pictures and a page.
//!
//! The crate knows nothing of a trainer.

mod arm;
mod attribute;
mod candidate;
mod catalogue;
mod check;
mod compare;
mod comparison;
mod error;
mod interval;
mod kept;
mod lab;
mod moments;
mod monitor;
mod output;
mod reference;
mod requirements;
mod reselect;
mod reservoir;
mod select;
mod statistics;
mod tail;
mod warning;

pub use attribute::{Attribute, NodeShare, Quantity, Shares};
pub use candidate::Candidate;
pub use catalogue::Catalogue;
pub use check::{Check, CheckReport, CheckRow, Verdict};
pub use compare::{Compare, Progress};
pub use comparison::{ArmReport, Comparison};
pub use error::{LabError, LabResult};
pub use interval::Interval;
pub use lab::Lab;
pub use monitor::{Monitor, Reading};
pub use reference::Reference;
pub use requirements::NotApplicable;
pub use reselect::Reselect;
pub use reservoir::Quantiles;
pub use select::{Criterion, Race, Racer, Select, Selection};
pub use statistics::{BiasEstimate, Statistics};
pub use tail::TailIndex;
pub use warning::Warning;
