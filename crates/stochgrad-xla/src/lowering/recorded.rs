//! A program that was written into a module: its arguments, its results and its checks.

use crate::lowering::builder::Value;
use crate::lowering::check::Check;
use stochgrad_tape::Plate;

/// What an argument of `@main` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// The input of this number.
    Input(usize),
    /// The slot of this number, with its elements rounded to the element type of the program.
    Slot(u32),
    /// The seed of the noise: two words, the lower one first.
    Seed,
    /// The step of the noise: two words, the lower one first.
    Step,
    /// The position of the first member of a shard in the whole plate: two words, the lower one first.
    Offset(Plate),
}

/// What a program computes, as values of a builder.
#[derive(Clone)]
pub struct Recorded<'b> {
    /// The outputs, in order.
    pub outputs: Vec<Value<'b>>,
    /// Whether all checks hold, if there are checks.
    pub all_hold: Option<Value<'b>>,
    /// Whether each check holds, if there are checks.
    pub each_holds: Option<Value<'b>>,
    /// The checks.
    pub checks: Vec<Check>,
}
