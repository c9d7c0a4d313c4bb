//! What a gradient method sees when it forms its terms.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::guarantee::Path;
use crate::method::node_cost::{CostChange, ElementDifference, NodeCost, RecordedDifference};
use crate::surrogate::Builder;
use std::rc::Rc;
use stochgrad_distributions::{DistributionError, Draw, NoiseKey};
use stochgrad_tape::{Plate, PlateSet, Plates, Tape, Var};
use stochgrad_tensor::{Real, Tensor};

/// Parts of costs, by the numbers of cost and part.
pub(crate) type PartNumbers = Rc<[(usize, usize)]>;

/// The surroundings of a node's terms: its costs, and counterfactual replay.
#[derive(Clone)]
pub struct CostContext<'a, 't, F: Real> {
    pub(crate) builder: &'a Builder<'a, 't, F>,
    pub(crate) node: usize,
    /// The parts of costs that are looked at, and what they are called together; `None` for all downstream of the node.
    pub(crate) chosen: Option<(PartNumbers, String)>,
}

impl<'a, 't, F: Real> CostContext<'a, 't, F> {
    /// The tape.
    pub fn tape(&self) -> &'t Tape<F> {
        self.builder.tape
    }

    /// The address of the node.
    pub fn address(&self) -> &Address {
        &self.builder.nodes[self.node].address
    }

    /// What the memory of the node's method is filed under: the address, and what the context was
    /// [restricted](Self::restricted) to.
    pub fn label(&self) -> String {
        match &self.chosen {
            None => self.address().to_string(),
            Some((_, label)) => format!("{} / {label}", self.address()),
        }
    }

    /// The same node with some of the costs downstream only, by their number among the
    /// [`cost_parts`](Self::cost_parts), under a label of their own.
    pub fn restricted(&self, label: &str, keep: &dyn Fn(usize) -> bool) -> Self {
        let parts =
            self.parts().iter().enumerate().filter(|(number, _)| keep(*number)).map(|(_, &part)| part).collect();
        let label = match &self.chosen {
            None => label.into(),
            Some((_, before)) => format!("{before} / {label}"),
        };
        CostContext { chosen: Some((parts, label)), ..self.clone() }
    }

    /// The parts of costs downstream of the node: the name of the cost, and the number of the part. A cost that is a
    /// sum of averages over plates has several parts.
    pub fn cost_parts(&self) -> Vec<(String, usize)> {
        self.parts().iter().map(|&(cost, part)| (self.builder.costs[cost].name.clone(), part)).collect()
    }

    fn parts(&self) -> PartNumbers {
        match &self.chosen {
            Some((parts, _)) => parts.clone(),
            None => self.builder.downstream(self.node).collect(),
        }
    }

    /// The data of a name; see [`Graph::data_named`](crate::Graph::data_named).
    pub fn data(&self, name: &str) -> Option<Var<'t, F>> {
        self.builder.graph.state().data.iter().find(|(known, _)| known == name).map(|(_, data)| *data)
    }

    /// The sampled value.
    pub fn value(&self) -> Var<'t, F> {
        self.builder.nodes[self.node].value
    }

    /// The plate of the sample set, if it has one.
    pub fn plate(&self) -> Option<Plate> {
        self.builder.nodes[self.node].plate
    }

    /// The plates of the node: those of its parameters, of its value, and of the weights of its samples.
    pub fn plates(&self) -> &Plates {
        self.builder.nodes[self.node].plates.as_plates()
    }

    /// The worst path from the value.
    pub fn path(&self) -> &Path {
        &self.builder.paths[self.node]
    }

    /// The gradient function $l$ of the node.
    pub fn gradient_function(&self) -> Option<Var<'t, F>> {
        self.builder.gradient_functions[self.node]
    }

    /// A request for noise of the method's own, on the plates of the value.
    pub fn draw(&self, purpose: &str) -> Draw<'_, F> {
        let key: NoiseKey = self.address().key();
        Draw::new(self.builder.tape, self.builder.noise, key, self.value().plates()).purpose(purpose)
    }

    /// As [`draw`](Self::draw), on plates of the caller's choice.
    pub fn draw_on(&self, purpose: &str, plates: &[Plate]) -> Draw<'a, F> {
        let plates = PlateSet::from(plates);
        Draw::new(self.builder.tape, self.builder.noise, self.address().key(), plates.into()).purpose(purpose)
    }

    /// The request that the value was drawn with, on the plates of the value: its noise is that of the sample.
    pub fn sample_draw(&self) -> Draw<'_, F> {
        Draw::new(self.builder.tape, self.builder.noise, self.address().key(), self.value().plates())
    }

    /// Every cost downstream of the node.
    ///
    /// # Errors
    /// If members that are not independent act jointly on one of them.
    pub fn costs(&self) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.builder.costs_of(self.node, &self.parts())
    }

    /// The costs downstream of the node added up: one entry for each set of plates that they lack.
    ///
    /// # Errors
    /// If members that are not independent act jointly on one of them.
    pub fn totals(&self) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.builder.totals_of(self.node, &self.parts())
    }

    /// The change of the costs downstream when one element of the value is replaced by that of an alternative: for all
    /// elements and all alternatives, by counterfactual replay under the same noise. `element_rank` is that of the
    /// distribution, and each alternative has the shape of the value.
    ///
    /// # Errors
    /// If host code branched on a value that changes, or an operation of the replay fails.
    pub fn element_differences(
        &self,
        alternatives: &[Tensor<F>],
        element_rank: usize,
    ) -> GraphResult<Vec<ElementDifference<F>>> {
        self.builder.element_differences(self.node, &self.parts(), alternatives, element_rank)
    }

    /// As [`element_differences`](Self::element_differences), recorded: for nodes whose members meet nowhere
    /// downstream, so that all of them can change at the same time. `None` for any other node, where host code branched
    /// on a value that changes, and for more alternatives than one pass over the graph should hold.
    ///
    /// # Errors
    /// If an operation of the replay fails.
    pub fn recorded_differences(
        &self,
        alternatives: &[Var<'t, F>],
        element_rank: usize,
    ) -> GraphResult<Option<Vec<RecordedDifference<'t, F>>>> {
        self.builder.recorded_differences(self.node, &self.parts(), alternatives, element_rank)
    }

    /// Plates of the value whose members meet downstream: of all of them, one member may change at a time.
    ///
    /// # Errors
    /// The first error on the tape.
    pub fn coupled_plates(&self) -> GraphResult<Plates> {
        self.builder.plates_to_choose_from(self.node)
    }

    /// The change of the costs downstream had the node's value been `value`, under the same noise: recorded and
    /// detached. Members may change at the same time, except along the [coupled plates](Self::coupled_plates).
    ///
    /// # Errors
    /// If host code branched on a value that changes and the model was not given as a function, or an operation of the
    /// replay fails.
    pub fn change(&self, value: Var<'t, F>) -> GraphResult<Vec<CostChange<'t, F>>> {
        self.builder.change(self.node, &self.parts(), value)
    }

    /// The costs downstream had the node's value been `value`, which lies on the same plates: recorded, so that
    /// gradients flow through it.
    ///
    /// # Errors
    /// If the replay meets a stochastic node whose values are not recorded functions of its parameters (the derivative
    /// would miss its dependence), or host code branched on a value that changes.
    pub fn recorded_replay(&self, value: Var<'t, F>) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.builder.recorded_replay(self.node, &self.parts(), value)
    }

    /// As [`recorded_replay`](Self::recorded_replay) for several values in one pass, as members of a plate: for each of
    /// the costs, in the same order, what it would be with each value. A gradient of them all together takes one pass,
    /// too.
    ///
    /// # Errors
    /// Those of [`recorded_replay`](Self::recorded_replay), and for values of different shapes.
    pub fn recorded_replays<const N: usize>(&self, values: [Var<'t, F>; N]) -> GraphResult<Vec<[Var<'t, F>; N]>> {
        self.builder.recorded_replays(self.node, &self.parts(), values)
    }

    /// The total costs downstream, and what each would be had the node's value been `value`, under the same noise. All
    /// members change at the same time: a cost that sees several of them together sees all of them changed.
    ///
    /// `value` may lack plates of the node's value: members along them are then evaluated once, where nothing
    /// downstream tells them apart. Derivatives by `value` are those of the recorded operations; a node that is drawn
    /// again passes none.
    ///
    /// # Errors
    /// If host code branched on a value that changes, or an operation of the replay fails.
    pub fn replay(&self, value: Var<'t, F>) -> GraphResult<Vec<(NodeCost<'t, F>, Var<'t, F>)>> {
        self.builder.replayed_totals(self.node, &self.parts(), value)
    }

    /// The total costs downstream, and the gradient of each by the node's value: one row of it for each member,
    /// recorded and with the plates of the value. Members of plates that a cost lacks share its gradient.
    ///
    /// It is what reverse-mode differentiation of the recorded operations gives: a downstream node that is not a
    /// recorded function of its parameters passes nothing, and so does a jump.
    ///
    /// # Errors
    /// As [`totals`](Self::totals).
    pub fn cost_gradients(&self) -> GraphResult<Vec<(NodeCost<'t, F>, Var<'t, F>)>> {
        self.builder.cost_gradients_of(self.node, &self.parts())
    }

    /// The costs downstream, had the function of a whole plate (a log-mean-exp over the node's sample plate, say) seen
    /// other values: wherever the members along `plate` are reduced on the way from the node to a cost, `change`
    /// replaces what is reduced. The costs that no reduction stands before are left out.
    ///
    /// # Errors
    /// If host code branched on a value that changes, or an operation of the replay fails.
    pub fn changed_reductions(
        &self,
        plate: Plate,
        change: &dyn Fn(Var<'t, F>) -> Var<'t, F>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.builder.changed_reductions(self.node, &self.parts(), plate, change)
    }

    /// Checks that samples can show every outcome that has a derivative, for methods that learn from samples and scores
    /// without a [gradient function](Self::gradient_function). A node with a gradient function has been checked.
    ///
    /// # Errors
    /// If an outcome has the probability zero and a derivative with respect to a parameter of the graph: a bit of
    /// probability 0 or 1, say.
    pub fn check_hidden_outcomes(&self) -> GraphResult<()> {
        self.builder.check_hidden_outcomes(self.node)
    }

    /// A refusal in the name of the node.
    pub fn refused(&self, problem: impl Into<String>) -> GraphError {
        self.builder.nodes[self.node].refused(problem)
    }

    /// An error of the distribution, with the node and its place.
    pub fn error(&self, source: DistributionError) -> GraphError {
        match source {
            DistributionError::Tape(error) => GraphError::Tape(error),
            source => GraphError::Distribution {
                node: self.address().to_string(),
                source,
                at: self.builder.nodes[self.node].at,
            },
        }
    }
}
