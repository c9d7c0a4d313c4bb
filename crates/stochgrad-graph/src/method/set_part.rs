//! A part of the sample set of a node, as the method that drew the part sees it.
//!
//! A method that combines others gives each of them a part of its sample set. The method of a part works with the plate
//! and the values of this part, and asks about the costs downstream as if the part were a node of its own. A [`SetPart`]
//! answers: it takes the members of the part out of the costs, and makes values of the whole set from those of the part.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::method::context::CostContext;
use crate::method::cost_queries::{CostQueries, NodeFacts, PartNumber, Sweeps};
use crate::method::node_cost::{CostChange, ElementDifference, NodeCost};
use stochgrad_distributions::NoiseSource;
use stochgrad_tape::{Plate, PlateSet, Plates, Tape, Var};
use stochgrad_tensor::{Real, Shape};

/// The value of the node for a value of the part.
type Embedding<'a, 't, F> = &'a dyn Fn(Var<'t, F>) -> Var<'t, F>;

/// The last members of the sample set of a node, as a node of their own.
///
/// The values of the part may differ from those of the node. An `embed` function makes the latter from the former, for
/// each member, without a derivative that depends on the value: it is linear, or the values of the part have no
/// gradient.
pub struct SetPart<'a, 't, F: Real> {
    whole: &'a CostContext<'a, 't, F>,
    set: Plate,
    first: usize,
    address: Address,
    plate: Option<Plate>,
    plates: PlateSet,
    value: Var<'t, F>,
    gradient_function: Option<Var<'t, F>>,
    embed: Embedding<'a, 't, F>,
}

impl<'a, 't, F: Real> SetPart<'a, 't, F> {
    /// The members of the set from position `first` on, with the address under which they were drawn. Their plate is
    /// the [part](Tape::plate_part) of that of the set; without one, the part is a single member without a plate.
    /// `extract` returns the values of the part from those of the node, and `embed` is its inverse.
    ///
    /// # Errors
    /// For a node without a sample set.
    pub fn new(
        whole: &'a CostContext<'a, 't, F>,
        address: Address,
        first: usize,
        extract: &dyn Fn(Var<'t, F>) -> Var<'t, F>,
        embed: Embedding<'a, 't, F>,
    ) -> GraphResult<Self> {
        let Some(set) = whole.plate() else {
            return Err(whole.refused("expected a sample set with a plate, of which a part can be taken"));
        };
        let plate = whole.tape().plate_part(set);
        let narrow = |value| narrowed(value, set, first, plate);
        Ok(SetPart {
            whole,
            set,
            first,
            address,
            plate,
            plates: PlateSet::from(&whole.plates()[..]).without(&[set]).union(plate.as_slice()),
            value: extract(narrow(whole.value())),
            gradient_function: whole.gradient_function().map(narrow),
            embed,
        })
    }

    /// The context for the method of the part.
    pub fn context(&self) -> CostContext<'_, 't, F> {
        CostContext { queries: self, node: self.whole.node, chosen: self.whole.chosen.clone() }
    }

    fn outer(&self) -> &'a dyn CostQueries<'t, F> {
        self.whole.queries
    }

    fn narrow(&self, value: Var<'t, F>) -> Var<'t, F> {
        narrowed(value, self.set, self.first, self.plate)
    }

    /// The value of the node for a value of the part: that of the whole set if the members of the part differ, and that
    /// of any member if they do not.
    fn widen(&self, value: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let value = (self.embed)(value);
        match self.plate.is_some_and(|plate| value.plates().contains(&plate)) {
            true => self.set_with(value),
            false => Ok(value),
        }
    }

    /// The value of the whole set for a value of the part.
    fn widen_all(&self, value: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        self.set_with((self.embed)(value))
    }

    /// The recorded members of the set before the part, and the given values of the members of the part.
    fn set_with(&self, value: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let recorded = self.whole.value();
        let value = value.broadcast_to(recorded.shape());
        let own = match self.plate {
            Some(plate) => value.expand_plates(&[plate]).plate_to_event(plate),
            None => value.unsqueeze(0),
        };
        if self.first == 0 {
            return Ok(own.event_to_plate(self.set));
        }
        let before = recorded.stop_gradient().plate_to_event(self.set).slice(0, 0..self.first);
        Ok(Var::concat(&[before, own], 0)?.event_to_plate(self.set))
    }

    /// The members of the part of a cost that must not depend on several members of the set.
    fn cost(&self, cost: NodeCost<'t, F>) -> GraphResult<NodeCost<'t, F>> {
        self.check_apart(&cost.joint)?;
        Ok(NodeCost {
            name: cost.name,
            value: self.narrow(cost.value),
            joint: cost.joint,
            gradient_function: cost.gradient_function.map(|l| self.narrow(l)),
        })
    }

    fn check_apart(&self, joint: &[Plate]) -> GraphResult<()> {
        if !joint.contains(&self.set) {
            return Ok(());
        }
        Err(self.whole.refused(format!(
            "a cost depends on several members of plate \"{}\" together, of which only some were drawn by the method \
             inside; keep the plate in the cost, or use the method inside alone",
            self.tape().plate_name(self.set)
        )))
    }
}

/// The members of a value from a position of the set on, on the plate of the part.
fn narrowed<'t, F: Real>(value: Var<'t, F>, set: Plate, first: usize, plate: Option<Plate>) -> Var<'t, F> {
    if !value.plates().contains(&set) {
        return value;
    }
    match plate {
        None => value.member(set, first),
        Some(plate) => {
            let all = value.tape().plate_size(set);
            value.plate_to_event(set).slice(0, first..all).event_to_plate(plate)
        }
    }
}

impl<'t, F: Real> CostQueries<'t, F> for SetPart<'_, 't, F> {
    fn tape(&self) -> &'t Tape<F> {
        self.whole.tape()
    }

    fn noise(&self) -> &dyn NoiseSource<F> {
        self.outer().noise()
    }

    fn data(&self, name: &str) -> Option<Var<'t, F>> {
        self.outer().data(name)
    }

    fn critic_value(&self, node: usize, name: &str) -> GraphResult<Var<'t, F>> {
        self.outer().critic_value(node, name)
    }

    fn node(&self, node: usize) -> NodeFacts<'_, 't, F> {
        NodeFacts {
            address: &self.address,
            value: self.value,
            plate: self.plate,
            plates: &self.plates,
            gradient_function: self.gradient_function,
            ..self.outer().node(node)
        }
    }

    fn refused(&self, node: usize, problem: String) -> GraphError {
        self.outer().refused(node, problem)
    }

    fn check_hidden_outcomes(&self, node: usize) -> GraphResult<()> {
        self.outer().check_hidden_outcomes(node)
    }

    fn thresholds(&self, _node: usize) -> Vec<Var<'t, F>> {
        // The node's own method does not account for crossings.
        Vec::new()
    }

    fn parts(&self, node: usize) -> Vec<PartNumber> {
        self.outer().parts(node)
    }

    fn cost_name(&self, cost: usize) -> &str {
        self.outer().cost_name(cost)
    }

    fn costs(&self, node: usize, parts: &[PartNumber]) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.outer().costs(node, parts)?.into_iter().map(|cost| self.cost(cost)).collect()
    }

    fn totals(&self, node: usize, parts: &[PartNumber]) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.outer().totals(node, parts)?.into_iter().map(|cost| self.cost(cost)).collect()
    }

    fn cost_gradients(&self, node: usize, parts: &[PartNumber]) -> GraphResult<Vec<(NodeCost<'t, F>, Var<'t, F>)>> {
        let own = self.value.stop_gradient();
        let all = self.widen_all(own)?;
        let pull_back = |(cost, gradient): (NodeCost<'t, F>, Var<'t, F>)| {
            let product = (all * gradient.stop_gradient()).sum();
            let sum = product.plates().iter().fold(product, |sum, &plate| sum.sum_over(plate));
            Ok((self.cost(cost)?, self.tape().gradients(sum, &[own])?[0]))
        };
        self.outer().cost_gradients(node, parts)?.into_iter().map(pull_back).collect()
    }

    fn replay(
        &self,
        node: usize,
        parts: &[PartNumber],
        value: Var<'t, F>,
    ) -> GraphResult<Vec<(NodeCost<'t, F>, Var<'t, F>)>> {
        let replayed = self.outer().replay(node, parts, self.widen(value)?)?;
        replayed.into_iter().map(|(cost, again)| Ok((self.cost(cost)?, self.narrow(again)))).collect()
    }

    fn recorded_replay(
        &self,
        node: usize,
        parts: &[PartNumber],
        value: Var<'t, F>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>> {
        let costs = self.outer().recorded_replay(node, parts, self.widen_all(value)?)?;
        costs.into_iter().map(|cost| self.cost(cost)).collect()
    }

    fn recorded_replays(
        &self,
        node: usize,
        parts: &[PartNumber],
        values: &[Var<'t, F>],
    ) -> GraphResult<Vec<Vec<Var<'t, F>>>> {
        for cost in self.outer().costs(node, parts)? {
            self.check_apart(&cost.joint)?;
        }
        let values: Vec<Var<'t, F>> = values.iter().map(|&value| self.widen_all(value)).collect::<Result<_, _>>()?;
        let costs = self.outer().recorded_replays(node, parts, &values)?;
        Ok(costs.into_iter().map(|cost| cost.into_iter().map(|value| self.narrow(value)).collect()).collect())
    }

    fn changed_reductions(
        &self,
        node: usize,
        parts: &[PartNumber],
        _plate: Plate,
        _change: &dyn Fn(Var<'t, F>) -> Var<'t, F>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>> {
        // Only costs of all members together change with a reduction, and these are refused.
        self.costs(node, parts).map(|_| Vec::new())
    }

    fn replayed_reductions(
        &self,
        node: usize,
        parts: &[PartNumber],
        _plate: Plate,
        _value: Var<'t, F>,
        _change: &dyn Fn(Var<'t, F>, Var<'t, F>) -> Var<'t, F>,
    ) -> GraphResult<Vec<NodeCost<'t, F>>> {
        self.costs(node, parts).map(|_| Vec::new())
    }

    fn coupled_plates(&self, node: usize) -> GraphResult<Plates> {
        let coupled = self.outer().coupled_plates(node)?;
        self.check_apart(&coupled)?;
        Ok(coupled)
    }

    fn change(&self, node: usize, parts: &[PartNumber], value: Var<'t, F>) -> GraphResult<Vec<CostChange<'t, F>>> {
        let changes = self.outer().change(node, parts, self.widen_all(value)?)?;
        let narrow = |CostChange { value, summed }| {
            self.check_apart(&summed)?;
            Ok(CostChange { value: self.narrow(value), summed })
        };
        changes.into_iter().map(narrow).collect()
    }

    fn element_differences(
        &self,
        node: usize,
        parts: &[PartNumber],
        alternatives: &[Var<'t, F>],
        element_rank: usize,
    ) -> GraphResult<Vec<ElementDifference<'t, F>>> {
        let rank = self.value.shape().len();
        if rank != element_rank {
            let shape: Shape = self.value.shape();
            return Err(self.whole.refused(format!(
                "expected a part whose value is a single element, got shape {shape} with elements of rank {element_rank}"
            )));
        }
        // The value of the node is replaced as a whole: its elements depend on the part together.
        let whole = self.whole.value().shape().len();
        let alternatives: Vec<Var<'t, F>> =
            alternatives.iter().map(|&value| self.widen_all(value)).collect::<Result<_, _>>()?;
        let differences = self.outer().element_differences(node, parts, &alternatives, whole)?;
        let narrow = |ElementDifference { values, summed }| {
            self.check_apart(&summed)?;
            Ok(ElementDifference { values: values.into_iter().map(|value| self.narrow(value)).collect(), summed })
        };
        differences.into_iter().map(narrow).collect()
    }

    fn sweeps<'b>(&'b self, node: &[usize]) -> GraphResult<Box<dyn Sweeps<'t, F> + 'b>> {
        let problem = "a method inside cannot share its replays with other nodes; use it alone, or a method that replays \
                       for its node only, such as MeasureValued";
        Err(self.outer().refused(node.first().copied().unwrap_or(0), problem.into()))
    }
}
