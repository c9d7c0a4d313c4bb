//! Differentiable replays: the costs for another value of a node, recorded so that derivatives of every order with
//! respect to the value are right in expectation.
//!
//! A node downstream whose values are recorded functions of its parameters is recorded again, and a node whose method
//! has a relaxed value for this purpose passes that on. Any other node $k$ is
//! drawn again from the changed parameters $\phi$, and no derivative passes through what it draws. The replay is then a
//! surrogate of its own: every cost downstream of the node is multiplied by the magic box of its log-probability,
//!
//! $$\mathbb{E}_{y \sim q_k(\phi)}\big[\square(\ln q_k(y; \phi))\, f(y)\big] = \sum_y q_k(y; \phi)\, f(y),$$
//!
//! where the box gives the left side the derivatives of the right side, whatever the gradient method of the node is. A
//! node with a weighted set of values keeps the weights and the gradient function of its method, which together give
//! the same derivatives.

use crate::analysis::facts::Analysis;
use crate::error::{GraphError, GraphResult};
use crate::graph::node::StochasticNode;
use crate::guarantee::Bias;
use crate::method::context::CostContext;
use crate::method::cost_queries::PartNumber;
use crate::reduction::{reduce, reduced_plates};
use crate::replay::cone::{Cone, Kind, Position};
use crate::replay::counterfactuals::Counterfactuals;
use stochgrad_distributions::Order;
use stochgrad_tape::{IdMap, Op, PlateSet, SiteId, Var, Weights};
use stochgrad_tensor::Real;

/// Which derivatives pass through a differentiable replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Derivatives {
    /// Those with respect to everything that the costs depend on.
    Full,
    /// Those with respect to the value of the node only: everything else counts as a constant.
    ThroughValue,
}

/// A differentiable replay of the cone of a node.
pub(crate) struct DifferentiableReplay<'a, 't, F: Real> {
    analysis: &'a Analysis<'a, 't, F>,
    derivatives: Derivatives,
    /// What stands for what.
    ids: IdMap,
    /// The gradient functions of the nodes that were drawn again, with their numbers.
    scores: Vec<(usize, Var<'t, F>)>,
}

impl<'a, 't, F: Real> Counterfactuals<'a, 't, F> {
    /// Records the costs downstream of a node again with `value` in the place of its sample.
    ///
    /// # Errors
    /// If host code branched on a value that changes, or a weighted set downstream has no derivative.
    pub(crate) fn differentiable_replay(
        &self,
        node: usize,
        value: Var<'t, F>,
        derivatives: Derivatives,
    ) -> GraphResult<DifferentiableReplay<'a, 't, F>> {
        self.check_host_reads(node, &self.cone(node))?;
        let tape = self.tape();
        let mut replay =
            DifferentiableReplay { analysis: self.analysis, derivatives, ids: IdMap::identity(), scores: Vec::new() };
        replay.ids.insert(self.stochastic_node(node).value.id(), value.id());
        for Position { id, kind, .. } in Cone::new(self.recording(), &[node]).positions {
            let var = tape.var(id)?;
            let again = match kind {
                Kind::Member(_) => continue,
                Kind::Node(site) => self.redraw(node, site, var, &mut replay)?,
                Kind::Operation => {
                    replay.hold(&var.inputs());
                    tape.rerecord(var, &replay.ids)
                }
            };
            replay.ids.insert(id, again.id());
        }
        tape.check()?;
        Ok(replay)
    }

    /// The value of a node downstream, under the same noise.
    fn redraw(
        &self,
        replaced: usize,
        site: SiteId,
        var: Var<'t, F>,
        replay: &mut DifferentiableReplay<'a, 't, F>,
    ) -> GraphResult<Var<'t, F>> {
        let redrawn = self.node_at(site).filter(|&index| !self.stochastic_node(index).method.is_rerecordable());
        let Some(index) = redrawn else {
            replay.hold(&var.inputs());
            return self.resample(site, var, &mut replay.ids);
        };
        let node = self.stochastic_node(index);
        replay.hold(&var.inputs()[1..]);
        if node.method.relaxes_in_replays() {
            let ids = IdMap::identity();
            let distributions = [self.recording().bind(index, &ids), self.recording().bind(index, &replay.ids)];
            let context = CostContext::new(self, index);
            let relaxed = self.tape().located(node.at, || node.method.relaxed_value(distributions, &context))?;
            if let Some(relaxed) = relaxed {
                return Ok(relaxed);
            }
        }
        self.check_redrawn(replaced, node)?;
        let (value, parameters) = self.draw_again(index, &mut replay.ids)?;
        // Drawn, so that nothing passes through the value if the method sends a gradient of its own through it.
        let again = self.tape().sample(site, value.drawn(), &parameters);
        let bind = self.recording().bind(index, &replay.ids);
        let score = match weights(self.tape(), node) {
            None => Some(node.method.log_prob_each(bind, again)?.sum()),
            Some(_) => self
                .tape()
                .located(node.at, || node.method.gradient_function(bind, again, &self.analysis.paths[index]))?,
        };
        replay.scores.extend(score.map(|score| (index, score)));
        Ok(again)
    }

    /// Refuses a node that is drawn again and whose set of values lacks derivatives of some order.
    fn check_redrawn(&self, replaced: usize, node: &StochasticNode<'t, F>) -> GraphResult<()> {
        let profile = node.method.profile();
        let problem = match weights(self.tape(), node) {
            _ if profile.bias == Bias::Distribution => "it samples another distribution",
            Some(_) if profile.order != Order::Any => "its weighted values have derivatives of low order only",
            Some(_) | None => return Ok(()),
        };
        Err(GraphError::Replay {
            node: self.stochastic_node(replaced).address.to_string(),
            problem: format!(
                "node \"{}\" downstream is drawn again by {}, and {problem}, so that a differentiable replay would be \
                 biased; use Pathwise, a relaxation or ScoreFunction there, or a method with a detached replay \
                 (MeasureValued) here",
                node.address,
                node.method.name()
            ),
            at: node.at,
        })
    }
}

/// The weights of the values of a node, if it has any of its own.
fn weights<F: Real>(tape: &stochgrad_tape::Tape<F>, node: &StochasticNode<'_, F>) -> Option<Weights> {
    node.plate.map(|plate| tape.weights(plate)).filter(|weights| matches!(weights, Weights::Given { .. }))
}

impl<'t, F: Real> DifferentiableReplay<'_, 't, F> {
    /// Makes constants of values that do not change, where derivatives pass through the replaced value only.
    fn hold(&mut self, values: &[Var<'t, F>]) {
        if self.derivatives == Derivatives::Full {
            return;
        }
        for value in values {
            if !self.ids.changes(value.id())
                && !matches!(value.op(), Some(Op::Leaf { trainable: false } | Op::Detach(_)))
            {
                self.ids.insert(value.id(), value.held().id());
            }
        }
    }

    /// A part of a cost in the replay, with the boxes of the nodes above it that were drawn again: reduced over some
    /// plates.
    pub(crate) fn part(&mut self, at: PartNumber, plates: &PlateSet) -> GraphResult<Var<'t, F>> {
        let (analysis, recording) = (self.analysis, &self.analysis.recording);
        let (tape, part) = (recording.tape, recording.part(at));
        let mut value = tape.var(self.ids.get(part.value.id()))?;
        let mut exponent: Option<Var<'t, F>> = None;
        for &(index, score) in &self.scores {
            let node = &recording.nodes[index];
            if !tape.set_contains(part.value.ancestors(), node.site) {
                continue;
            }
            // Not the plate of the alternatives, each of which has costs of its own.
            let own = PlateSet::from(score.plates()).intersection(&node.plates);
            let joint = analysis.mixing.joint_plates(index, &own, &part.plates, part.value.id());
            let score = analysis.joint(index, score, &joint)?;
            exponent = Some(exponent.map_or(score, |sum| sum + score));
        }
        if let Some(exponent) = exponent {
            value = value * exponent.magic_box();
        }
        for plate in &reduced_plates(tape, plates) {
            if let Weights::Given { id, .. } = tape.weights(*plate) {
                self.hold(&[tape.var(id)?]);
            }
        }
        Ok(reduce(value, plates, &self.ids, false))
    }
}
