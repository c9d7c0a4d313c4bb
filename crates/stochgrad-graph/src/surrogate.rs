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
//! * $P$ are the plates that a scalar carries, and those that the weights of a reduced plate bring in; $R$ reduces each of them
//!   once, by its weights, the inner ones first. A plate that a scalar lacks is never reduced (the module `reduction`).
//! * A cost that lacks a plate of an ancestor, or depends on several members along it, was caused by all its members
//!   together: their $l$ are summed.
//!
//! The value of $S$ is the estimate of the expected cost, since every $\square$ is 1 and every $a_j$ and gradient term is 0.
//! Schulman et al. (2015) introduced surrogates, Foerster et al. (2018) the box, van Krieken et al. (2021) the composition with
//! weights and control variates.

use crate::analysis::mixing::Mixing;
use crate::analysis::paths::worst_paths;
use crate::analysis::reduction::reduce;
use crate::analysis::sums::{SubsetSums, members};
use crate::error::{GraphError, GraphResult};
use crate::graph::cost::Cost;
use crate::graph::node::{Bind, StochasticNode};
use crate::graph::{Graph, State};
use crate::guarantee::Path;
use crate::method::context::CostContext;
use crate::method::group::{Group, GroupContext};
use crate::method::terms::{AuxiliaryLoss, GradientTerm, Terms, Update};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use stochgrad_distributions::NoiseSource;
use stochgrad_tape::{Id, IdMap, Plate, PlateSet, Tape, Var, Weights};
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
    pub(crate) updates: Vec<Update<'t, F>>,
    /// The worst path from each node.
    pub(crate) paths: Vec<Path>,
}

/// Sums over sets of nodes, as they act on something with these plates.
type JointExponents<'t, F> = HashMap<(Vec<u64>, PlateSet, Id), Option<Var<'t, F>>>;

/// The surrogate in the making.
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
    all_plates: PlateSet,
    exponents: RefCell<SubsetSums<'t, F>>,
    joint_exponents: RefCell<JointExponents<'t, F>>,
    mixing: Mixing,
    pub(crate) averages: RefCell<HashMap<(usize, usize, PlateSet), Var<'t, F>>>,
    pub(crate) totals: RefCell<HashMap<(PlateSet, PlateSet), SubsetSums<'t, F>>>,
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
            all_plates: PlateSet::new(),
            exponents: RefCell::new(SubsetSums::new()),
            joint_exponents: RefCell::new(HashMap::new()),
            mixing: Mixing::new(tape, nodes, end),
            averages: RefCell::new(HashMap::new()),
            totals: RefCell::new(HashMap::new()),
        };
        builder.set_degrees();
        builder.check_guarantees()?;
        builder.find_nodes_with_costs();
        builder.check_weighted_sets()?;
        builder.check_planned_members()?;
        for (index, node) in nodes.iter().enumerate().filter(|(index, _)| builder.has_costs[*index]) {
            let open = node.method.passes_gradient(&builder.paths[index]);
            if let (false, Some(path)) = (open, state.open_paths.iter().find(|path| path.site == node.site)) {
                return Err(node.refused(path.because.clone()));
            }
            tape.set_closed(node.site, !open);
            let l = tape.located(node.at, || {
                node.method.gradient_function(
                    builder.bind(index, &IdMap::identity()),
                    node.value,
                    &builder.paths[index],
                )
            })?;
            if let Some(l) = l {
                builder.check_hidden_outcomes(index)?;
                builder.all_plates.merge(&l.plates());
            }
            builder.gradient_functions[index] = l;
        }
        tape.check()?;
        Ok(builder)
    }

    /// The formula at the top of this file.
    pub(crate) fn build(self) -> GraphResult<Built<'t, F>> {
        if self.costs.is_empty() {
            return Err(GraphError::NoCost);
        }
        let mut surrogate = self.tape.constant(0.0);
        let mut estimates = Vec::new();
        for cost in self.costs {
            let mut estimate: Option<Var<'t, F>> = None;
            for part in &cost.parts {
                let ancestors = self.tape.set_words(part.value.ancestors());
                surrogate = surrogate
                    + self.reduce(self.boxed(part.value, &ancestors, &part.plates, part.value)?, &part.plates);
                let value = self.reduce(part.value.stop_gradient(), &part.plates);
                estimate = Some(estimate.map_or(value, |sum| sum + value));
            }
            estimates.extend(estimate.map(|value| (cost.name.clone(), value)));
        }
        let (mut auxiliary, mut updates) = (Vec::new(), Vec::new());
        let mut groups: Vec<(Arc<dyn Group<F>>, Vec<usize>)> = Vec::new();
        for (index, node) in self.nodes.iter().enumerate().filter(|(index, _)| self.has_costs[*index]) {
            let context = CostContext { builder: &self, node: index, chosen: None };
            let terms: Terms<'t, F> =
                self.tape.located(node.at, || node.method.terms(self.bind(index, &IdMap::identity()), &context))?;
            let mut ancestors = self.tape.set_words(node.value.ancestors());
            ancestors[index / 64] &= !(1 << (index % 64));
            for a in terms.control_variates {
                surrogate = surrogate + self.reduce(self.boxed(a, &ancestors, &node.plates, node.value)?, &node.plates);
            }
            for term in terms.gradient_terms {
                surrogate = surrogate + self.gradient_term(index, &term);
            }
            if let Some(group) = node.method.group() {
                let same = |(known, _): &&mut (Arc<dyn Group<F>>, Vec<usize>)| Arc::ptr_eq(known, &group);
                match groups.iter_mut().find(same) {
                    Some((_, members)) => members.push(index),
                    None => groups.push((group, vec![index])),
                }
            }
            auxiliary.extend(terms.auxiliary);
            updates.extend(terms.updates);
        }
        for (group, members) in groups {
            let candidates = members.iter().map(|&index| {
                let node = &self.nodes[index];
                let context = CostContext { builder: &self, node: index, chosen: None };
                self.tape.located(node.at, || node.method.candidates(self.bind(index, &IdMap::identity()), &context))
            });
            let candidates = candidates.collect::<GraphResult<_>>()?;
            for (member, term) in group.terms(&GroupContext::new(&self, members.clone(), candidates)?)? {
                surrogate = surrogate + self.gradient_term(members[member], &term);
            }
        }
        self.tape.check()?;
        Ok(Built { surrogate, estimates, auxiliary, updates, paths: self.paths })
    }

    /// A gradient term of a node: summed over the plates that it says, reduced over the other ones of the node.
    fn gradient_term(&self, node: usize, term: &GradientTerm<'t, F>) -> Var<'t, F> {
        // A plate that the term lacks is not summed, and weights may bring it in.
        let summed = PlateSet::from(&term.summed[..]).intersection(&term.value.plates());
        let value = summed.iter().fold(term.value, |sum, &plate| sum.sum_over(plate));
        self.reduce(value, &self.nodes[node].plates.without(&summed))
    }

    /// A scalar times the box of the gradient functions of its ancestors. `caused` is the value that they caused.
    fn boxed(
        &self,
        scalar: Var<'t, F>,
        ancestors: &[u64],
        plates: &PlateSet,
        caused: Var<'t, F>,
    ) -> GraphResult<Var<'t, F>> {
        let Some(exponent) = self.exponent(ancestors, plates, caused.id())? else { return Ok(scalar) };
        let known = self.boxes.borrow().get(&exponent.id()).copied();
        let magic_box = known.unwrap_or_else(|| exponent.magic_box());
        self.boxes.borrow_mut().insert(exponent.id(), magic_box);
        Ok(scalar * magic_box)
    }

    /// The sum of the gradient functions of a set of nodes, as they act on a value with the given plates.
    fn exponent(&self, nodes: &[u64], plates: &PlateSet, caused: Id) -> GraphResult<Option<Var<'t, F>>> {
        if plates.contains_all(&self.all_plates) && self.mixing.is_plain(caused.index()) {
            return Ok(self.exponents.borrow_mut().sum(nodes, &|index| self.gradient_functions[index]));
        }
        let key = (nodes.to_vec(), plates.clone(), caused);
        if let Some(&known) = self.joint_exponents.borrow().get(&key) {
            return Ok(known);
        }
        let mut sum: Option<Var<'t, F>> = None;
        for index in members(nodes) {
            let Some(l) = self.gradient_functions[index] else { continue };
            let l = self.joint(index, l, &self.joint_plates(index, &l.plates(), plates, caused))?;
            sum = Some(sum.map_or(l, |sum| sum + l));
        }
        self.joint_exponents.borrow_mut().insert(key, sum);
        Ok(sum)
    }

    /// Those of a node's plates whose members act jointly on a value: the value lacks the plate, or depends on several
    /// members.
    pub(crate) fn joint_plates(&self, index: usize, own: &[Plate], plates: &PlateSet, caused: Id) -> PlateSet {
        let joint = |plate: &Plate| !plates.contains(plate) || self.mixing.mixes(caused.index(), index, *plate);
        own.iter().copied().filter(joint).collect()
    }

    /// The gradient function of a node as it acts on something that saw its members along some plates jointly.
    pub(crate) fn joint(&self, index: usize, l: Var<'t, F>, joint: &PlateSet) -> GraphResult<Var<'t, F>> {
        let carried = l.plates();
        let summed = joint.iter().copied().filter(|plate| carried.contains(plate));
        summed.into_iter().try_fold(l, |l, plate| {
            let independent = self.tape.plate_kind(plate).is_independent();
            if independent && !matches!(self.tape.weights(plate), Weights::Given { .. }) {
                return Ok(l.sum_over(plate));
            }
            Err(self.dependent_members(index, plate))
        })
    }

    /// Reduces the plates that a value carries, the inner ones first; see the module `reduction`.
    fn reduce(&self, value: Var<'t, F>, plates: &PlateSet) -> Var<'t, F> {
        reduce(value, plates, &IdMap::identity(), false)
    }

    pub(crate) fn bind<'b>(&'b self, index: usize, ids: &'b IdMap) -> Bind<'b, 't, F> {
        let node = &self.nodes[index];
        Bind { tape: self.tape, ids, address: &node.address, at: node.at }
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
        for ancestors in self.costs.iter().flat_map(|cost| &cost.parts).map(|part| part.value.ancestors()) {
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
}
