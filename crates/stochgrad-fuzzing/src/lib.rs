//! What the fuzz targets check, as ordinary functions of bytes.
//!
//! Each function takes arbitrary bytes, and panics if the library does something that it must not do: a panic of its
//! own, a NaN from valid input, or a file that is read differently from how it was written. It returns whether the
//! library accepted or refused the input. `cargo fuzz` calls them from the folder `fuzz`; the tests of this crate call
//! them with a bounded number of seeded inputs. The files of the example `discrete_vae` that read its command line are
//! modules of this crate: the example itself does not depend on it, so that `cargo run --example` does not build it.
//!
//! | function | input |
//! |---|---|
//! | [`idx`] | a file of images or labels |
//! | [`checkpoint`] | a checkpoint |
//! | [`command_line`] | the arguments of the example `discrete_vae` |
//! | [`graph`] | a model with discrete draws, and its gradient methods |
//! | [`distribution`] | a distribution, its parameters and its arguments |

mod bytes;
#[path = "../../stochgrad-distributions/tests/catalogue/mod.rs"]
#[allow(unreachable_pub)]
mod catalogue;
mod command_line;
mod distribution;
mod files;
mod graph;
mod inputs;

#[path = "../../../examples/discrete_vae/arguments.rs"]
#[allow(dead_code)]
mod arguments;
#[path = "../../../examples/discrete_vae/method_name.rs"]
#[allow(dead_code)]
mod method_name;

pub use command_line::command_line;
pub use distribution::distribution;
pub use files::{checkpoint, idx};
pub use graph::graph;
pub use inputs::{Inputs, checkpoint_file, idx_file};

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The library accepted it, and everything that was checked holds.
    Accepted,
    /// The library returned an error with a message.
    Refused,
}

/// Checks that an error has a message.
fn refused(error: impl std::fmt::Display) -> Outcome {
    assert!(!error.to_string().trim().is_empty(), "an error without a message");
    Outcome::Refused
}
