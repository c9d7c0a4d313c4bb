//! Recording the part of the tape downstream of a node again, with another value of the node.

use crate::analysis::credit::Credit;
use crate::analysis::facts::Analysis;
use crate::analysis::recording::Recording;
use crate::error::{GraphError, GraphResult};
use crate::graph::node::StochasticNode;
use crate::method::cost_queries::PartNumber;
use crate::method::sample_context::SampleContext;
use crate::reduction::{reduce, reduced_plates};
use crate::replay::element_products::ElementProducts;
use crate::replay::impossible::Impossible;
use std::collections::HashMap;
use stochgrad_distributions::SamplePath;
use stochgrad_tape::{Id, IdMap, Op, Plate, PlateSet, SiteId, Tape, Var, Weights};
use stochgrad_tensor::Real;

/// How many members all plates of a replayed value may have together; more alternatives are replayed in several passes.
pub(crate) const MEMBERS_PER_PASS: usize = 1 << 15;

/// The costs of an analysed graph for other values of its nodes.
pub(crate) struct Counterfactuals<'a, 't, F: Real> {
    pub(crate) analysis: &'a Analysis<'a, 't, F>,
    pub(crate) credit: Credit<'a, 't, F>,
}

impl<'a, 't, F: Real> Counterfactuals<'a, 't, F> {
    pub(crate) fn new(analysis: &'a Analysis<'a, 't, F>) -> Self {
        Counterfactuals { analysis, credit: Credit::new(analysis) }
    }

    pub(crate) fn recording(&self) -> &'a Recording<'a, 't, F> {
        &self.analysis.recording
    }

    pub(crate) fn tape(&self) -> &'t Tape<F> {
        self.analysis.recording.tape
    }

    pub(crate) fn stochastic_node(&self, node: usize) -> &'a StochasticNode<'t, F> {
        &self.analysis.recording.nodes[node]
    }

    /// Everything downstream of a node, in the order of recording.
    pub(crate) fn cone(&self, node: usize) -> Vec<Id> {
        self.tape().cone(self.stochastic_node(node).value.id(), self.recording().end)
    }

    /// Records the cone of a node again with `value` in the place of its sample, and returns what stands for what. No
    /// derivative is taken of the result.
    pub(crate) fn rerecord(&self, node: usize, value: Var<'t, F>, cone: &[Id]) -> GraphResult<IdMap> {
        self.rerecord_elements(node, value, cone, None)
    }

    /// As [`rerecord`](Self::rerecord). If the value differs from the sample in one element for each member of a plate,
    /// products with it are computed from the recorded ones.
    pub(crate) fn rerecord_elements(
        &self,
        node: usize,
        value: Var<'t, F>,
        cone: &[Id],
        mut elements: Option<ElementProducts<'t, F>>,
    ) -> GraphResult<IdMap> {
        self.check_host_reads(node, cone)?;
        let mut ids = IdMap::identity();
        ids.insert(self.stochastic_node(node).value.id(), value.id());
        for &id in cone {
            let var = self.tape().var(id)?;
            let again = match var.op() {
                Some(Op::Sample(site)) => self.resample(site, var, &mut ids)?,
                _ => match elements.as_mut().and_then(|elements| elements.follow(var, &ids)) {
                    Some(product) => product,
                    None => self.tape().rerecord(var, &ids),
                },
            };
            ids.insert(id, again.id());
        }
        self.tape().check()?;
        Ok(ids)
    }

    /// The value of a node downstream of the replaced one, under the same noise.
    pub(crate) fn resample(&self, site: SiteId, var: Var<'t, F>, ids: &mut IdMap) -> GraphResult<Var<'t, F>> {
        let Some(index) = self.node_at(site) else { return Ok(self.tape().rerecord(var, ids)) };
        let node = self.stochastic_node(index);
        let implicit = node.parameters.iter().any(|parameter| match parameter.path {
            SamplePath::Implicit(_) => true,
            SamplePath::None | SamplePath::Recorded(_) => false,
        });
        if node.method.is_rerecordable() && !implicit {
            return Ok(self.tape().rerecord(var, ids));
        }
        let (value, parameters) = self.draw_again(index, ids)?;
        Ok(self.tape().sample(site, value, &parameters))
    }

    /// The number of the node of a site; `None` for a site of another graph on the same tape, whose values are recorded
    /// again.
    pub(crate) fn node_at(&self, site: SiteId) -> Option<usize> {
        // Sites are numbered in the order of the nodes.
        let index = site.0 as usize;
        self.recording().nodes.get(index).filter(|node| node.site == site).map(|_| index)
    }

    /// The values that the method of a node draws again, and the parameters for which it does. If the set has weights,
    /// the new ones stand for the recorded ones from then on.
    pub(crate) fn draw_again(&self, index: usize, ids: &mut IdMap) -> GraphResult<(Var<'t, F>, Vec<Var<'t, F>>)> {
        let recording = self.recording();
        let node = self.stochastic_node(index);
        let parameters = node.method.parameters(recording.bind(index, ids))?;
        let plates = parameters.iter().flat_map(|parameter| parameter.var.plates()).collect();
        let context = SampleContext {
            tape: self.tape(),
            noise: recording.graph.noise(),
            address: &node.address,
            plates,
            replayed: Some(node.plate),
            at: node.at,
        };
        let set = self.tape().located(node.at, || node.method.resample(recording.bind(index, ids), &context))?;
        if let (Some(plate), Some((weights, differentiable))) = (set.plate, set.weights)
            && let Weights::Given { id, .. } = self.tape().weights(plate)
        {
            let weights = if differentiable { weights } else { weights.held() };
            ids.insert(id, weights.id());
        }
        Ok((set.value, parameters.iter().map(|parameter| parameter.var).collect()))
    }

    /// Whether a node draws its values again in a replay, because they are not recorded functions of its parameters.
    pub(crate) fn is_redrawn(&self, site: SiteId) -> bool {
        self.node_at(site).is_none_or(|node| !self.stochastic_node(node).method.is_rerecordable())
    }

    /// Refuses a replay that changes a value on which host code may have branched.
    pub(crate) fn check_host_reads(&self, node: usize, cone: &[Id]) -> GraphResult<()> {
        let (node, end) = (self.stochastic_node(node), self.recording().end);
        let changed = |id: Id| id == node.value.id() || cone.binary_search(&id).is_ok();
        match self.tape().host_reads().iter().find(|read| read.recorded_before < end && changed(read.id)) {
            None => Ok(()),
            Some(read) => Err(GraphError::Replay {
                node: node.address.to_string(),
                problem: "host code read a value that the replay changes, and may have branched on it; read it with \
                          peek() if nothing depends on it, write the branch with select(), give the model as a \
                          function with Graph::from_model, or use a method without replay (ScoreFunction, Enumerate) \
                          here"
                    .into(),
                at: read.location,
            }),
        }
    }

    /// Refuses replays of some nodes if host code may have branched on a value downstream of one of them.
    pub(crate) fn check_branches(&self, nodes: &[usize]) -> GraphResult<()> {
        for read in self.tape().host_reads() {
            let ancestors = self.tape().var(read.id)?.ancestors();
            let is_above = |node: &&usize| self.tape().set_contains(ancestors, self.stochastic_node(**node).site);
            if let Some(&node) = nodes.iter().find(is_above) {
                self.check_host_reads(node, &self.cone(node))?;
            }
        }
        Ok(())
    }

    /// Plates of the node's value that something downstream reduces: their members must be changed one at a time.
    pub(crate) fn reduced_downstream(&self, node: usize, cone: &[Id]) -> GraphResult<PlateSet> {
        let value = self.stochastic_node(node).value;
        let own = value.plates();
        let mut coupled = PlateSet::new();
        for &id in cone {
            let var = self.tape().var(id)?;
            let plates = var.plates();
            for input in var.inputs() {
                let changed = input.id() == value.id() || cone.binary_search(&input.id()).is_ok();
                if changed {
                    let lost = PlateSet::from(input.plates()).intersection(&own).without(&plates);
                    coupled.merge(&lost);
                }
            }
        }
        Ok(coupled)
    }

    /// Plates of the node's value whose members a replay must tell apart: something downstream reduces them, or picks
    /// members out, or has noise of its own for each of them.
    pub(crate) fn distinct_plates(&self, node: usize, cone: &[Id]) -> GraphResult<PlateSet> {
        let redrawn = self.redrawn_plates(node, cone)?;
        if redrawn.is_empty() { self.reduced_downstream(node, cone) } else { Ok(redrawn) }
    }

    /// All plates of the node's value if something downstream has noise of its own for each member; otherwise none.
    pub(crate) fn redrawn_plates(&self, node: usize, cone: &[Id]) -> GraphResult<PlateSet> {
        for &id in cone {
            let redrawn = match self.tape().var(id)?.op() {
                Some(Op::Sample(site)) => self.is_redrawn(site),
                Some(Op::Custom(_)) => true,
                _ => false,
            };
            if redrawn {
                return Ok(self.stochastic_node(node).value.plates().into());
            }
        }
        Ok(PlateSet::default())
    }

    /// The differences between replayed and recorded costs, grouped by the plates of the node that the cost lacks:
    /// averaged over every plate but the node's own uncoupled ones and that of the alternatives.
    pub(crate) fn differences(
        &self,
        node: usize,
        parts: &[PartNumber],
        ids: &IdMap,
        coupled: &PlateSet,
        alternatives: Option<Plate>,
        impossible: &Impossible<'_, 't, F>,
    ) -> GraphResult<Vec<(PlateSet, Var<'t, F>)>> {
        let own = &self.stochastic_node(node).plates;
        let mut groups: HashMap<PlateSet, Var<'t, F>> = HashMap::new();
        let mut order: Vec<PlateSet> = Vec::new();
        for &at in parts {
            let part = self.recording().part(at);
            if !ids.changes(part.value.id()) {
                continue;
            }
            let again = impossible.cleared(self.tape().var(ids.get(part.value.id()))?.stop_gradient())?;
            let missing = own.without(&part.plates);
            let kept = own.without(coupled).without(&missing);
            let carried = part.plates.union(&again.plates());
            let outside = reduced_plates(self.tape(), &carried).without(&kept).without(alternatives.as_slice());
            let replayed = reduce(again, &outside, ids, true);
            let primal = reduce(part.value.stop_gradient(), &part.plates.without(&kept), &IdMap::identity(), true);
            let difference = (replayed - primal).expand_plates(&kept.union(alternatives.as_slice()));
            match groups.get_mut(&missing) {
                Some(sum) => *sum = *sum + difference,
                None => {
                    order.push(missing.clone());
                    groups.insert(missing, difference);
                }
            }
        }
        Ok(order.into_iter().map(|missing| (missing.clone(), groups[&missing])).collect())
    }
}
