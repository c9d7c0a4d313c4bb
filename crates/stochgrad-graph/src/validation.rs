//! The checks of the parameters of distributions in the runs of a compiled graph.

use crate::error::GraphError;
use crate::graph::node::StochasticNode;
use std::ops::Range;
use std::panic::Location;
use stochgrad_distributions::DistributionError;
use stochgrad_tape::TapeError;
use stochgrad_tensor::Real;

/// The nodes whose parameters were checked when they were recorded.
pub(crate) struct Validation {
    nodes: Vec<Validated>,
}

struct Validated {
    node: String,
    /// The numbers of the requirements on the tape.
    requirements: Range<usize>,
    at: &'static Location<'static>,
}

impl Validation {
    pub(crate) fn new<F: Real>(nodes: &[StochasticNode<'_, F>]) -> Self {
        let validated = nodes.iter().filter(|node| !node.requirements.is_empty()).map(|node| Validated {
            node: node.address.to_string(),
            requirements: node.requirements.clone(),
            at: node.at,
        });
        Validation { nodes: validated.collect() }
    }

    /// The error of a run. That of a parameter outside its domain names the node, as the error of the recording does.
    pub(crate) fn error(&self, error: TapeError) -> GraphError {
        let TapeError::Requirement { number, owner, name, expected, found, position, hint, .. } = error else {
            return error.into();
        };
        match self.nodes.iter().find(|node| node.requirements.contains(&number)) {
            None => error.into(),
            Some(validated) => GraphError::Distribution {
                node: validated.node.clone(),
                source: DistributionError::Parameter {
                    distribution: owner,
                    parameter: name,
                    expected,
                    found,
                    position,
                    hint,
                },
                at: validated.at,
            },
        }
    }
}
