//! The surrogate: one number whose derivatives estimate the derivatives of the expected cost.
//!
//! With $\square(l) = \exp(l - \operatorname{stop}(l))$, which is 1 and differentiates like $l$ at every order,
//!
//! $$S = \sum_C R_{P(C)}\Big[\square\Big(\sum_{i \in \mathrm{anc}\,C} l_i\Big)\, C\Big]
//!     + \sum_j R_{P(j)}\Big[\square\Big(\sum_{i \in \mathrm{anc}\,j} l_i\Big)\, a_j\Big] + \text{gradient terms}$$
//!
//! * $l_i$ is the gradient function of node $i$, $a_j$ the control variate of node $j$ (value and mean zero).
//! * $\mathrm{anc}\,C$ are the stochastic ancestors of the cost: only they are credited with it. $\mathrm{anc}\,j$ are those of node
//!   $j$ **without $j$ itself**: with its own $l_j$ in the box, every derivative from the second on would be biased.
//! * $P$ are the plates, closed under "was sampled inside"; $R$ averages them by their weights, the inner ones first.
//! * A cost that lacks a plate of an ancestor was computed from all its members together: their $l$ are summed.
//!
//! The value of $S$ is the estimate of the expected cost, since every $\square$ is 1 and every $a_j$ and gradient term is 0.
//! Schulman et al. (2015) introduced surrogates, Foerster et al. (2018) the box, van Krieken et al. (2021) the composition with
//! weights and control variates.

use crate::context::{CostContext, NodeCost};
use crate::cost::{Cost, Part};
use crate::error::GraphResult;
use crate::graph::{Graph, State};
use crate::guarantee::Path;
use crate::method::{AuxiliaryLoss, Terms};
use crate::node::{Bind, StochasticNode};
use crate::paths::worst_paths;
use crate::sums::{SubsetSums, members};
use std::cell::RefCell;
use std::collections::HashMap;
use stochgrad_distributions::NoiseSource;
use stochgrad_tape::{Id, IdMap, Plate, PlateKind, Plates, Tape, Var, Weights};
use stochgrad_tensor::Real;

/// The surrogate of a graph, and what goes with it.
pub(crate) struct Built<'t, F: Real> {
    /// The surrogate.
    pub(crate) surrogate: Var<'t, F>,
    /// The estimate of each named cost.
    pub(crate) estimates: Vec<(String, Var<'t, F>)>,
    /// Losses for the parameters of methods; never part of the surrogate.
    pub(crate) auxiliary: Vec<AuxiliaryLoss<'t, F>>,
    /// Changes of the methods' state.
    pub(crate) updates: Vec<Box<dyn FnOnce() + Send>>,
    /// The worst path from each node.
    pub(crate) paths: Vec<Path>,
}

pub(crate) struct Builder<'a, 't, F: Real> {
    pub(crate) graph: &'a Graph<'t, F>,
    pub(crate) tape: &'t Tape<F>,
    pub(crate) noise: &'a dyn NoiseSource<F>,
    pub(crate) nodes: &'a [StochasticNode<'t, F>],
    pub(crate) costs: &'a [Cost<'t, F>],
    pub(crate) paths: Vec<Path>,
    /// $l$ of each node; none for nodes without a cost downstream.
    pub(crate) gradient_functions: Vec<Option<Var<'t, F>>>,
    /// Where the user's recording ends.
    pub(crate) end: usize,
    /// Whether a cost descends from each node.
    has_costs: Vec<bool>,
    boxes: RefCell<HashMap<Id, Var<'t, F>>>,
    /// All plates that gradient functions carry.
    all_plates: Plates,
    exponents: RefCell<SubsetSums<'t, F>>,
    joint_exponents: RefCell<HashMap<(Vec<u64>, Plates), Option<Var<'t, F>>>>,
    averages: RefCell<HashMap<(usize, usize, Plates), Var<'t, F>>>,
    totals: RefCell<HashMap<(Plates, Plates), SubsetSums<'t, F>>>,
}

impl<'a, 't, F: Real> Builder<'a, 't, F> {
    pub(crate) fn new(graph: &'a Graph<'t, F>, state: &'a State<'t, F>) -> GraphResult<Self> {
        let tape = graph.tape();
        tape.check()?;
        let (nodes, costs) = (&state.nodes[..], &state.costs[..]);
        let end = tape.len();
        let mut builder = Builder {
            graph,
            tape,
            noise: graph.noise(),
            nodes,
            costs,
            paths: worst_paths(tape, nodes, costs, end),
            gradient_functions: vec![None; nodes.len()],
            end,
            has_costs: vec![false; nodes.len()],
            boxes: RefCell::new(HashMap::new()),
            all_plates: Plates::new(),
            exponents: RefCell::new(SubsetSums::new()),
            joint_exponents: RefCell::new(HashMap::new()),
            averages: RefCell::new(HashMap::new()),
            totals: RefCell::new(HashMap::new()),
        };
        builder.check_guarantees()?;
        builder.find_nodes_with_costs();
        for (index, node) in nodes.iter().enumerate().filter(|(index, _)| builder.has_costs[*index]) {
            tape.set_closed(node.site, !node.method.passes_gradient(&builder.paths[index]));
            let l = tape.located(node.at, || {
                node.method.gradient_function(
                    builder.bind(index, &IdMap::identity()),
                    node.value,
                    &builder.paths[index],
                )
            })?;
            if let Some(l) = l {
                merge(&mut builder.all_plates, &l.plates());
            }
            builder.gradient_functions[index] = l;
        }
        tape.check()?;
        Ok(builder)
    }

    /// The formula at the top of this file.
    pub(crate) fn build(self) -> GraphResult<Built<'t, F>> {
        let mut surrogate = self.tape.constant(0.0);
        let mut estimates = Vec::new();
        for cost in self.costs {
            let mut estimate: Option<Var<'t, F>> = None;
            for part in &cost.parts {
                let ancestors = self.tape.set_words(part.value.ancestors());
                surrogate = surrogate + self.reduce(self.boxed(part.value, &ancestors, &part.plates)?, &part.plates);
                let value = self.reduce(part.value.stop_gradient(), &part.plates);
                estimate = Some(estimate.map_or(value, |sum| sum + value));
            }
            estimates.extend(estimate.map(|value| (cost.name.clone(), value)));
        }
        let (mut auxiliary, mut updates) = (Vec::new(), Vec::new());
        for (index, node) in self
            .nodes
            .iter()
            .enumerate()
            .filter(|(index, _)| self.has_costs[*index])
        {
            let context = CostContext {
                builder: &self,
                node: index,
            };
            let terms: Terms<'t, F> = self.tape.located(node.at, || {
                node.method.terms(self.bind(index, &IdMap::identity()), &context)
            })?;
            let mut ancestors = self.tape.set_words(node.value.ancestors());
            ancestors[index / 64] &= !(1 << (index % 64));
            for a in terms.control_variates {
                surrogate = surrogate + self.reduce(self.boxed(a, &ancestors, &node.plates)?, &node.plates);
            }
            for term in terms.gradient_terms {
                let carried = term.value.plates();
                let summed = term
                    .summed
                    .iter()
                    .filter(|plate| carried.contains(plate))
                    .fold(term.value, |sum, &plate| sum.sum_over(plate));
                surrogate = surrogate + self.reduce(summed, &without(&node.plates, &term.summed));
            }
            auxiliary.extend(terms.auxiliary);
            updates.extend(terms.updates);
        }
        self.tape.check()?;
        Ok(Built {
            surrogate,
            estimates,
            auxiliary,
            updates,
            paths: self.paths,
        })
    }

    /// A scalar times the box of the gradient functions of its ancestors.
    fn boxed(&self, scalar: Var<'t, F>, ancestors: &[u64], plates: &Plates) -> GraphResult<Var<'t, F>> {
        Ok(match self.exponent(ancestors, plates)? {
            Some(exponent) => {
                scalar
                    * *self
                        .boxes
                        .borrow_mut()
                        .entry(exponent.id())
                        .or_insert_with(|| exponent.magic_box())
            }
            None => scalar,
        })
    }

    /// The sum of the gradient functions of a set of nodes, as they act on something with the given plates.
    fn exponent(&self, nodes: &[u64], plates: &Plates) -> GraphResult<Option<Var<'t, F>>> {
        if contains(plates, &self.all_plates) {
            return Ok(self
                .exponents
                .borrow_mut()
                .sum(nodes, &|index| self.gradient_functions[index]));
        }
        let key = (nodes.to_vec(), plates.clone());
        if let Some(&known) = self.joint_exponents.borrow().get(&key) {
            return Ok(known);
        }
        let mut sum: Option<Var<'t, F>> = None;
        for index in members(nodes) {
            let Some((l, _)) = self.joint(index, plates)? else {
                continue;
            };
            sum = Some(sum.map_or(l, |sum| sum + l));
        }
        self.joint_exponents.borrow_mut().insert(key, sum);
        Ok(sum)
    }

    /// The gradient function of a node as it acts on something with the given plates, and the plates over which it was summed because
    /// that something saw their members jointly.
    pub(crate) fn joint(&self, index: usize, plates: &Plates) -> GraphResult<Option<(Var<'t, F>, Plates)>> {
        let Some(l) = self.gradient_functions[index] else {
            return Ok(None);
        };
        let missing = without(&l.plates(), plates);
        let node = &self.nodes[index];
        for &plate in &missing {
            let independent = matches!(self.tape.plate_kind(plate), PlateKind::Data | PlateKind::Samples);
            if !independent || matches!(self.tape.weights(plate), Weights::Given { .. }) {
                return Err(node.refused(format!(
                    "a cost depends on all members of plate \"{}\" together, and these members are not independent draws; \
                     keep the plate in the cost, or use a method with independent samples there",
                    self.tape.plate_name(plate)
                )));
            }
        }
        Ok(Some((missing.iter().fold(l, |l, &plate| l.sum_over(plate)), missing)))
    }

    /// Averages over plates by their weights, the inner plates first.
    pub(crate) fn reduce(&self, value: Var<'t, F>, plates: &Plates) -> Var<'t, F> {
        self.reduce_with(value, plates, &IdMap::identity(), false)
    }

    /// As [`reduce`](Self::reduce), with other values standing for the weights, which may be detached.
    pub(crate) fn reduce_with(&self, value: Var<'t, F>, plates: &Plates, ids: &IdMap, detached: bool) -> Var<'t, F> {
        plates
            .iter()
            .rev()
            .fold(value, |value, &plate| match self.tape.weights(plate) {
                Weights::Sum => value.sum_over(plate),
                Weights::Given { id, .. } => match self.tape.var(ids.get(id)) {
                    Ok(weights) => {
                        value.weighted_sum_over(plate, if detached { weights.stop_gradient() } else { weights })
                    }
                    Err(error) => self.tape.fail(error),
                },
                _ => value.mean_over(plate),
            })
    }

    pub(crate) fn bind<'b>(&'b self, index: usize, ids: &'b IdMap) -> Bind<'b, 't, F> {
        let node = &self.nodes[index];
        Bind {
            tape: self.tape,
            ids,
            address: &node.address,
            at: node.at,
        }
    }

    fn check_guarantees(&self) -> GraphResult<()> {
        for (index, node) in self.nodes.iter().enumerate() {
            node.method
                .guarantee(self.bind(index, &IdMap::identity()), &self.paths[index])?
                .map_err(|problem| node.refused(problem))?;
        }
        Ok(())
    }

    fn find_nodes_with_costs(&mut self) {
        let mut all: Vec<u64> = Vec::new();
        let mut last = None;
        for ancestors in self
            .costs
            .iter()
            .flat_map(|cost| &cost.parts)
            .map(|part| part.value.ancestors())
        {
            if last.replace(ancestors) != Some(ancestors) {
                let words = self.tape.set_words(ancestors);
                all.resize(all.len().max(words.len()), 0);
                all.iter_mut().zip(&words).for_each(|(all, word)| *all |= word);
            }
        }
        for index in members(&all) {
            self.has_costs[index] = true;
        }
    }

    /// The costs that descend from a node, as the numbers of cost and part.
    pub(crate) fn downstream(&self, node: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let site = self.nodes[node].site;
        let parts = self.costs.iter().enumerate().flat_map(|(cost, recorded)| {
            recorded
                .parts
                .iter()
                .enumerate()
                .map(move |(part, recorded)| ((cost, part), recorded))
        });
        parts
            .filter(move |(_, part)| self.tape.set_contains(part.value.ancestors(), site))
            .map(|(at, _)| at)
    }

    /// A cost as a node sees it: detached, averaged over the plates that the node lacks.
    pub(crate) fn averaged(&self, (cost, part): (usize, usize), plates: &Plates) -> Var<'t, F> {
        let Part { value, plates: own } = &self.costs[cost].parts[part];
        let outside = without(own, plates);
        let key = (cost, part, without(own, &outside));
        *self
            .averages
            .borrow_mut()
            .entry(key)
            .or_insert_with(|| self.reduce_with(value.stop_gradient(), &outside, &IdMap::identity(), true))
    }

    /// The plates of a node that a cost lacks.
    fn missing(&self, node: usize, (cost, part): (usize, usize)) -> Plates {
        without(&self.nodes[node].plates, &self.costs[cost].parts[part].plates)
    }

    fn node_cost(&self, node: usize, name: String, value: Var<'t, F>, joint: Plates) -> GraphResult<NodeCost<'t, F>> {
        let seen = without(&self.nodes[node].plates, &joint);
        let gradient_function = self.joint(node, &seen)?.map(|(l, _)| l);
        Ok(NodeCost {
            name,
            value,
            joint,
            gradient_function,
        })
    }

    pub(crate) fn costs_of(&self, node: usize) -> GraphResult<Vec<NodeCost<'t, F>>> {
        let mut groups: Vec<(usize, Plates, Var<'t, F>)> = Vec::new();
        for at in self.downstream(node) {
            let joint = self.missing(node, at);
            let value = self.averaged(at, &self.nodes[node].plates);
            match groups
                .iter_mut()
                .find(|(cost, plates, _)| *cost == at.0 && *plates == joint)
            {
                Some((_, _, sum)) => *sum = *sum + value,
                None => groups.push((at.0, joint, value)),
            }
        }
        groups
            .into_iter()
            .map(|(cost, joint, value)| self.node_cost(node, self.costs[cost].name.clone(), value, joint))
            .collect()
    }

    pub(crate) fn totals_of(&self, node: usize) -> GraphResult<Vec<NodeCost<'t, F>>> {
        let mut groups: Vec<(Plates, Vec<u64>)> = Vec::new();
        let parts = Numbering::new(self.costs);
        for at in self.downstream(node) {
            let joint = self.missing(node, at);
            let group = groups
                .iter()
                .position(|(plates, _)| *plates == joint)
                .unwrap_or_else(|| {
                    groups.push((joint, vec![0; parts.words()]));
                    groups.len() - 1
                });
            let number = parts.number(at);
            groups[group].1[number / 64] |= 1 << (number % 64);
        }
        let plates = &self.nodes[node].plates;
        let mut totals = Vec::new();
        for (joint, words) in groups {
            let mut sums = self.totals.borrow_mut();
            let sums = sums
                .entry((plates.clone(), joint.clone()))
                .or_insert_with(SubsetSums::new);
            if let Some(value) = sums.sum(&words, &|number| Some(self.averaged(parts.at(number), plates))) {
                totals.push(self.node_cost(node, String::new(), value, joint)?);
            }
        }
        Ok(totals)
    }
}

/// One number for each part of each cost.
struct Numbering {
    starts: Vec<usize>,
}

impl Numbering {
    fn new<F: Real>(costs: &[Cost<'_, F>]) -> Self {
        let mut starts = vec![0];
        for cost in costs {
            starts.push(starts[starts.len() - 1] + cost.parts.len());
        }
        Numbering { starts }
    }

    fn words(&self) -> usize {
        self.starts[self.starts.len() - 1].div_ceil(64)
    }

    fn number(&self, (cost, part): (usize, usize)) -> usize {
        self.starts[cost] + part
    }

    fn at(&self, number: usize) -> (usize, usize) {
        let cost = self.starts.partition_point(|&start| start <= number) - 1;
        (cost, number - self.starts[cost])
    }
}

/// The plates of the first list that are not in the second.
pub(crate) fn without(plates: &[Plate], removed: &[Plate]) -> Plates {
    plates
        .iter()
        .copied()
        .filter(|plate| !removed.contains(plate))
        .collect()
}

fn contains(plates: &[Plate], others: &[Plate]) -> bool {
    others.iter().all(|plate| plates.contains(plate))
}

pub(crate) fn merge(plates: &mut Plates, others: &[Plate]) {
    for &plate in others {
        if let Err(at) = plates.binary_search(&plate) {
            plates.insert(at, plate);
        }
    }
}
