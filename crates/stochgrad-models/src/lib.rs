//! Random models with discrete draws, and an independent exact reference for their gradients.
//!
//! A [`Model`] is a syntax tree that is evaluated in two ways. [`record()`] records it on a graph through the public
//! interface, each node with a gradient method from the [`catalogue()`]. [`interpret()`] computes its expected cost and
//! the derivatives with plain loops over all members and all joint values of the draws, in truncated [`Taylor`]
//! arithmetic, and shares no code with the engine. [`judge()`] compares the exact expectations of the surrogate, of its
//! derivatives and of the gradients with that reference: they agree, or the graph refuses the model with a reason, or
//! the result is a failure. [`shrink()`] makes the program of a failure smaller, and [`print()`] writes it as Rust
//! code.
//!
//! # Meaning
//!
//! A *plate* holds rows of data, or samples that several nodes share. A node lies on the plates that its parameters
//! carry and on the plate that it is drawn along, and has one independent draw for each combination of their members. A
//! cost has one value for each combination of members of the plates that its expression carries. The total cost
//! averages over each of these plates, or sums over it if the plate is summed. A sum over a plate that a value lacks
//! multiplies the value by the number of members; a mean leaves it unchanged. A method that draws several samples puts
//! them on a plate of its own, which stays in the cost, so the expected cost is that of a single draw.
//!
//! # Running it
//!
//! ```text
//! cargo run --release -p stochgrad-models -- --graphs 100000 --out out/models.json
//! ```
//!
//! continues where the last run ended, and prints how often each method agreed, was refused or failed. `--graph 17`
//! checks and prints a single graph.

mod choose;
mod expression;
mod family;
mod generate;
mod interpret;
mod judge;
mod methods;
mod model;
mod print;
mod record;
mod reference;
mod shrink;
mod survey;
mod tally;
mod taylor;
mod verdict;

pub use choose::choose;
pub use expression::{DistributionTree, Expression, Function, Operation, Reduction};
pub use family::{CATEGORIES, Family, Scale, TRIALS};
pub use generate::{generate, generator};
pub use interpret::{Direction, Meaning, interpret};
pub use judge::{TOLERANCE, judge};
pub use methods::{Choice, Entry, Groups, Place, Placement, SCORE_FUNCTION, Several, catalogue};
pub use model::{Cost, Data, Model, Node, Parameter, Plate, PlateKind, PlateSet, plate_list};
pub use print::print;
pub use record::record;
pub use reference::{Reference, reference};
pub use shrink::{Program, shrink};
pub use survey::{Judged, Survey};
pub use tally::{Counts, FailedGraph, Tally};
pub use taylor::{TOP, Taylor};
pub use verdict::{Failure, FailureKind, Settings, Verdict};

#[cfg(test)]
mod examples;
