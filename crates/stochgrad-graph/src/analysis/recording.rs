//! The recorded graph as the analysis uses it: nodes, costs, and the end of the user's recording.

use crate::graph::Graph;
use crate::graph::cost::{Cost, Part};
use crate::graph::node::{Bind, StochasticNode};
use crate::graph::state::State;
use crate::method::cost_queries::PartNumber;
use stochgrad_tape::{IdMap, Tape};
use stochgrad_tensor::Real;

/// A recorded graph, up to where the user's recording ends.
pub(crate) struct Recording<'a, 't, F: Real> {
    pub(crate) graph: &'a Graph<'t, F>,
    pub(crate) state: &'a State<'t, F>,
    pub(crate) tape: &'t Tape<F>,
    pub(crate) nodes: &'a [StochasticNode<'t, F>],
    pub(crate) costs: &'a [Cost<'t, F>],
    /// The length of the tape when the user's recording ended. What is recorded later belongs to the derivatives.
    pub(crate) end: usize,
}

impl<'a, 't, F: Real> Recording<'a, 't, F> {
    pub(crate) fn new(graph: &'a Graph<'t, F>, state: &'a State<'t, F>) -> Self {
        let tape = graph.tape();
        Recording { graph, state, tape, nodes: &state.nodes, costs: &state.costs, end: tape.len() }
    }

    /// What a stored distribution needs to find its parameters. In a replay, `ids` holds what stands for them.
    pub(crate) fn bind<'b>(&'b self, node: usize, ids: &'b IdMap) -> Bind<'b, 't, F> {
        let node = &self.nodes[node];
        Bind { tape: self.tape, ids, address: &node.address, at: node.at }
    }

    /// A part of a cost.
    pub(crate) fn part(&self, (cost, part): PartNumber) -> &'a Part<'t, F> {
        &self.costs[cost].parts[part]
    }

    /// The parts of all costs, with their numbers.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (PartNumber, &'a Part<'t, F>)> + use<'a, 't, F> {
        self.costs.iter().enumerate().flat_map(|(cost, recorded)| {
            recorded.parts.iter().enumerate().map(move |(part, found)| ((cost, part), found))
        })
    }

    /// The parts of costs that descend from a node.
    pub(crate) fn downstream(&self, node: usize) -> impl Iterator<Item = PartNumber> + use<'a, 't, F> {
        let (tape, site) = (self.tape, self.nodes[node].site);
        self.parts().filter(move |(_, part)| tape.set_contains(part.value.ancestors(), site)).map(|(at, _)| at)
    }
}
