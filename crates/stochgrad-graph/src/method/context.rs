//! What a gradient method can use when it forms its terms.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::guarantee::Path;
use crate::method::cost_queries::{CostQueries, NodeFacts, PartNumber};
use crate::method::node_cost::{CostChange, ElementDifference, NodeCost};
use std::rc::Rc;
use stochgrad_distributions::{DistributionError, Draw};
use stochgrad_tape::{Plate, PlateSet, Plates, Tape, Var};
use stochgrad_tensor::Real;

/// What a method can use to form the terms of its node: the node, the costs downstream, and counterfactual replay.
///
/// The costs are detached: no gradient flows through them, except where the documentation of a query says so.
#[derive(Clone)]
pub struct CostContext<'a, 't, F: Real> {
    pub(crate) queries: &'a dyn CostQueries<'t, F>,
    pub(crate) node: usize,
    /// The parts of costs that are considered, and the label of this choice; `None` for all downstream of the node.
    pub(crate) chosen: Option<(Rc<[PartNumber]>, String)>,
}

impl<'a, 't, F: Real> CostContext<'a, 't, F> {
    pub(crate) fn new(queries: &'a dyn CostQueries<'t, F>, node: usize) -> Self {
        CostContext { queries, node, chosen: None }
    }

    fn facts(&self) -> NodeFacts<'a, 't, F> {
        self.queries.node(self.node)
    }

    /// The tape.
    pub fn tape(&self) -> &'t Tape<F> {
        self.queries.tape()
    }

    /// The address of the node.
    pub fn address(&self) -> &Address {
        self.facts().address
    }

    /// The name under which the method keeps its memory of the node: the address, and the label of what the context was
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
        self.parts().iter().map(|&(cost, part)| (self.queries.cost_name(cost).to_string(), part)).collect()
    }

    fn parts(&self) -> Rc<[PartNumber]> {
        match &self.chosen {
            Some((parts, _)) => parts.clone(),
            None => self.queries.parts(self.node).into(),
        }
    }

    /// The data of a name, if there is any; see [`Graph::data_named`](crate::Graph::data_named).
    pub fn data(&self, name: &str) -> Option<Var<'t, F>> {
        self.queries.data(name)
    }

    /// The value that the model has [named](crate::Graph::set_critic_value) for this node: that of the name, with the
    /// index of the node.
    ///
    /// # Errors
    /// If there is none.
    pub fn critic_value(&self, name: &str) -> GraphResult<Var<'t, F>> {
        self.queries.critic_value(self.node, name)
    }

    /// Whether a recorded value depends on the sample of the node, by operations, by other nodes or because host code
    /// has read it.
    pub fn descends(&self, value: Var<'t, F>) -> bool {
        // Nodes and sites have the same numbers.
        let words = self.tape().set_words(value.ancestors());
        words.get(self.node / 64).is_some_and(|word| word >> (self.node % 64) & 1 == 1)
    }

    /// The sampled value.
    pub fn value(&self) -> Var<'t, F> {
        self.facts().value
    }

    /// The plate of the sample set, if it has one.
    pub fn plate(&self) -> Option<Plate> {
        self.facts().plate
    }

    /// The plates of the node: those of its parameters, of its value, and of the weights of its samples.
    pub fn plates(&self) -> &Plates {
        self.facts().plates.as_plates()
    }

    /// The worst path from the value.
    pub fn path(&self) -> &Path {
        self.facts().path
    }

    /// The gradient function $l$ of the node, if it has one.
    pub fn gradient_function(&self) -> Option<Var<'t, F>> {
        self.facts().gradient_function
    }

    /// A request for noise of the method's own, on the plates of the value.
    pub fn draw(&self, purpose: &str) -> Draw<'a, F> {
        self.sample_draw().purpose(purpose)
    }

    /// A request for noise of the method's own, on the given plates.
    pub fn draw_on(&self, purpose: &str, plates: &[Plate]) -> Draw<'a, F> {
        let plates = PlateSet::from(plates);
        Draw::new(self.tape(), self.queries.noise(), self.address().key(), plates.into()).purpose(purpose)
    }

    /// The request with which the value was drawn, on the plates of the value: it gives the noise of the sample.
    pub fn sample_draw(&self) -> Draw<'a, F> {
        Draw::new(self.tape(), self.queries.noise(), self.address().key(), self.value().plates())
    }

    /// The thresholds that the node's value is compared with, if the method
    /// [accounts for crossings](crate::Method::carries_crossings). They have their derivatives.
    pub fn thresholds(&self) -> Vec<Var<'t, F>> {
        self.queries.thresholds(self.node)
    }

    /// Every cost downstream of the node.
    ///
    /// # Errors
    /// If members that are not independent act jointly on one of them.
    pub fn costs(&self) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.queries.costs(self.node, &self.parts())
    }

    /// The sums of the costs downstream of the node: one entry for each set of plates that the costs lack.
    ///
    /// # Errors
    /// If members that are not independent act jointly on one of them.
    pub fn totals(&self) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.queries.totals(self.node, &self.parts())
    }

    /// The total costs downstream, and the gradient of each with respect to the node's value: recorded, on the plates
    /// of the value, with one row for each member. Members of plates that a cost lacks share its gradient.
    ///
    /// The gradient is that of reverse-mode differentiation of the recorded operations. A downstream node that is not a
    /// recorded function of its parameters passes no gradient, and neither does a jump.
    ///
    /// # Errors
    /// As [`totals`](Self::totals).
    pub fn cost_gradients(&self) -> GraphResult<Vec<(NodeCost<'t, F>, Var<'t, F>)>> {
        self.queries.cost_gradients(self.node, &self.parts())
    }

    /// The total costs downstream, and what each would be if the node's value were `value`, under the same noise. All
    /// members change at the same time: a cost that depends on several of them is evaluated with all of them changed.
    ///
    /// `value` may lack plates of the node's value. Members along such a plate are then evaluated once, if nothing
    /// downstream tells them apart. Derivatives with respect to `value` are those of the recorded operations; a node
    /// that is drawn again passes none.
    ///
    /// # Errors
    /// If host code branched on a value that changes, or an operation of the replay fails.
    pub fn replay(&self, value: Var<'t, F>) -> GraphResult<Vec<(NodeCost<'t, F>, Var<'t, F>)>> {
        self.queries.replay(self.node, &self.parts(), value)
    }

    /// The costs downstream if the node's value were `value`, which lies on the same plates: recorded, so that
    /// derivatives flow through it, of the value and of everything else.
    ///
    /// A node downstream that is neither a recorded function of its parameters nor
    /// [relaxes](crate::Method::relaxes_in_replays) is drawn again, under the same noise, and the costs below it carry the magic box of its log-probability. In expectation over its draws, derivatives of
    /// every order are then those of the expected cost. Jumps pass no derivative: see
    /// [`path_order`](crate::path_order).
    ///
    /// # Errors
    /// If the replay draws a node again that samples another distribution, or weighted values of low order, or if host
    /// code branched on a value that changes.
    pub fn recorded_replay(&self, value: Var<'t, F>) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.queries.recorded_replay(self.node, &self.parts(), value)
    }

    /// Several [`recorded_replay`](Self::recorded_replay)s in one pass, with the values as members of a plate: for each
    /// cost, in the same order, what it would be with each of the values. A gradient of all of them takes one pass,
    /// too. Here, derivatives flow through the values only: everything else on which the costs depend is held, so that
    /// a control variate made of the costs adds no variance to other derivatives.
    ///
    /// # Errors
    /// Those of [`recorded_replay`](Self::recorded_replay), and for values of different shapes.
    pub fn recorded_replays<const N: usize>(&self, values: [Var<'t, F>; N]) -> GraphResult<Vec<[Var<'t, F>; N]>> {
        let costs = self.queries.recorded_replays(self.node, &self.parts(), &values)?;
        Ok(costs.into_iter().map(|cost| std::array::from_fn(|value| cost[value])).collect())
    }

    /// The costs downstream if a function of a whole plate (a log-mean-exp over the node's sample plate, say) were
    /// applied to other values: wherever the members along `plate` are reduced between the node and a cost, `change`
    /// replaces the operand of the reduction. Costs without such a reduction are left out.
    ///
    /// # Errors
    /// If host code branched on a value that changes, or an operation of the replay fails.
    pub fn changed_reductions(
        &self,
        plate: Plate,
        change: &dyn Fn(Var<'t, F>) -> Var<'t, F>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.queries.changed_reductions(self.node, &self.parts(), plate, change)
    }

    /// As [`changed_reductions`](Self::changed_reductions), with what the operand of each reduction would be if the
    /// node's value were `value`, under the same noise, as the second argument of `change`: the weights of further
    /// samples of the node, for example. `value` may lack plates of the node's value, and may have plates of its own,
    /// which the changed costs keep.
    ///
    /// # Errors
    /// As [`changed_reductions`](Self::changed_reductions).
    pub fn replayed_reductions(
        &self,
        plate: Plate,
        value: Var<'t, F>,
        change: &dyn Fn(Var<'t, F>, Var<'t, F>) -> Var<'t, F>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.queries.replayed_reductions(self.node, &self.parts(), plate, value, change)
    }

    /// The plates of the value whose members meet downstream, so that a replay may change only one member at a time.
    ///
    /// # Errors
    /// The first error on the tape.
    pub fn coupled_plates(&self) -> GraphResult<Plates> {
        self.queries.coupled_plates(self.node)
    }

    /// The change of the costs downstream if the node's value were `value`, under the same noise: recorded and
    /// detached. Members may change at the same time, except along the [coupled plates](Self::coupled_plates).
    ///
    /// # Errors
    /// If host code branched on a value that changes and the model was not given as a function, or an operation of the
    /// replay fails.
    pub fn change(&self, value: Var<'t, F>) -> GraphResult<Vec<CostChange<'t, F>>> {
        self.queries.change(self.node, &self.parts(), value)
    }

    /// The change of the costs downstream if one element of the value is replaced by that of an alternative, for all
    /// elements and all alternatives: by counterfactual replay under the same noise, recorded and detached. The
    /// alternatives broadcast to the event shape and the plates of the value, and `element_rank` is that of the
    /// distribution.
    ///
    /// # Errors
    /// If host code branched on a value that changes and the model was not given as a function, or an operation of the
    /// replay fails.
    pub fn element_differences(
        &self,
        alternatives: &[Var<'t, F>],
        element_rank: usize,
    ) -> GraphResult<Vec<ElementDifference<'t, F>>> {
        self.queries.element_differences(self.node, &self.parts(), alternatives, element_rank)
    }

    /// Checks that samples can show every outcome that has a derivative, for methods that learn from samples and scores
    /// without a [gradient function](Self::gradient_function). A node with a gradient function has been checked.
    ///
    /// # Errors
    /// If an outcome has the probability zero and a derivative with respect to a parameter of the graph: a bit of
    /// probability 0 or 1, say.
    pub fn check_hidden_outcomes(&self) -> GraphResult<()> {
        self.queries.check_hidden_outcomes(self.node)
    }

    /// The error of a method that cannot be used on the node: names the node, the method, and where it was sampled.
    pub fn refused(&self, problem: impl Into<String>) -> GraphError {
        self.queries.refused(self.node, problem.into())
    }

    /// An error of the distribution, with the address of the node and where it was sampled.
    pub fn error(&self, source: DistributionError) -> GraphError {
        match source {
            DistributionError::Tape(error) => GraphError::Tape(error),
            source => GraphError::Distribution { node: self.address().to_string(), source, at: self.facts().at },
        }
    }
}
