//! The operations of a compiled graph as a list, with the names of its inputs and outputs.

use std::fmt;
use stochgrad_tape::Listing;
use stochgrad_tensor::Real;

/// A read-only list of everything that a compiled graph computes, for lowering it to another back end, and for
/// inspection. [`CompiledGraph::listing`](crate::CompiledGraph::listing) returns it.
pub struct GraphListing<'a, F: Real> {
    /// The operations of the program.
    pub program: Listing<'a, F>,
    /// What each input of the program is, in the order of their numbers.
    pub inputs: Vec<GraphInput<'a>>,
    /// What each output of the program is, in their order.
    pub outputs: Vec<GraphOutput<'a>>,
}

/// What an input of a compiled graph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GraphInput<'a> {
    /// The parameter of this name.
    Parameter(&'a str),
    /// The data of this name.
    Data(&'a str),
    /// The schedule of this name, whose value is a function of the step.
    Schedule(&'a str),
}

/// What an output of a compiled graph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GraphOutput<'a> {
    /// The estimate of the expectation of the cost of this name.
    Estimate(&'a str),
    /// The gradient with respect to the parameter of this name.
    Gradient(&'a str),
    /// The next value of the slot of this name, in which a gradient method keeps its state.
    Slot(&'a str),
    /// The value that the input of this name gets after the step.
    NextValue(&'a str),
}

impl<F: Real> fmt::Display for GraphListing<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.program)?;
        for (input, id) in self.inputs.iter().zip(self.program.inputs()) {
            let (kind, name) = match input {
                GraphInput::Parameter(name) => ("parameter", name),
                GraphInput::Data(name) => ("data", name),
                GraphInput::Schedule(name) => ("schedule", name),
            };
            writeln!(f, "%{} is {kind} \"{name}\"", id.index())?;
        }
        for (output, id) in self.outputs.iter().zip(self.program.outputs()) {
            write!(f, "%{} is ", id.index())?;
            match output {
                GraphOutput::Estimate(name) => writeln!(f, "the estimate of cost \"{name}\"")?,
                GraphOutput::Gradient(name) => writeln!(f, "the gradient with respect to \"{name}\"")?,
                GraphOutput::Slot(name) => writeln!(f, "the next value of slot \"{name}\"")?,
                GraphOutput::NextValue(name) => writeln!(f, "the next value of input \"{name}\"")?,
            }
        }
        Ok(())
    }
}
