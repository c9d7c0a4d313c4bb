//! Measurements of gradient methods on a model.
//!
//! Which method at which node gives the best gradient for the time depends on the model and on its parameters.
//! [`Lab`] answers this for the closure that a [`Step`](stochgrad_nn::Step) trains, without a change of the model:
//!
//! - [`Lab::compare`] measures bias, variance and time of several methods at a node, with intervals, and stops when
//!   they are precise enough.
//! - [`Lab::select`] finds the methods with the smallest variance × time.
//! - [`Lab::attribute`] splits the variance of a gradient or a cost among the nodes.
//!
//! A method is a [`Candidate`]; [`candidates!`] makes them from code, and [`Catalogue`] lists the methods for a
//! distribution. [`Comparison`] is a table for a terminal, JSON, CSV and a picture.
//!
//! The crate knows nothing of a trainer.

mod arm;
mod attribute;
mod candidate;
mod catalogue;
mod compare;
mod comparison;
mod error;
mod interval;
mod lab;
mod moments;
mod output;
mod reference;
mod select;
mod statistics;
mod tail;
mod warning;

pub use attribute::{Attribute, NodeShare, Quantity, Shares};
pub use candidate::Candidate;
pub use catalogue::Catalogue;
pub use compare::{Compare, Progress};
pub use comparison::{ArmReport, Comparison};
pub use error::{LabError, LabResult};
pub use interval::Interval;
pub use lab::Lab;
pub use reference::Reference;
pub use select::{Criterion, Race, Racer, Select, Selection};
pub use statistics::{BiasEstimate, Statistics};
pub use tail::TailIndex;
pub use warning::Warning;
