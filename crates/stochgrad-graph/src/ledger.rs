//! The guarantee of each parameter, computed from the methods and the recorded paths.
//!
//! A node takes part in the derivative by a parameter if the parameters of its distribution depend on it. The order by a
//! parameter is the least over the nodes that take part. A node whose gradient is biased taints the parameters upstream of it; a node that
//! samples another law taints every cost downstream, and every parameter of those costs.

use crate::error::GraphResult;
use crate::graph::{Graph, State};
use crate::guarantee::{Bias, Guarantee, Order, Path};
use crate::node::Bind;
use std::collections::BTreeMap;
use stochgrad_tape::{IdMap, Op, Smoothness};
use stochgrad_tensor::Real;

/// The guarantees of all parameters, and what limits them.
pub(crate) struct Ledger {
    limited: BTreeMap<String, (Guarantee, String)>,
    reports: Vec<(String, String)>,
}

impl Ledger {
    pub(crate) fn new<F: Real>(
        graph: &Graph<'_, F>,
        state: &State<'_, F>,
        paths: &[Path],
        end: usize,
    ) -> GraphResult<Self> {
        let tape = graph.tape();
        let ids = IdMap::identity();
        let mut guarantees = Vec::with_capacity(state.nodes.len());
        let mut reports = Vec::new();
        let mut limited = false;
        for (node, path) in state.nodes.iter().zip(paths) {
            let bind = Bind { tape, ids: &ids, address: &node.address, at: node.at };
            let guarantee = node.method.guarantee(bind, path)?.map_err(|problem| node.refused(problem))?;
            reports.extend(node.method.report(bind, path)?.map(|report| (node.address.to_string(), report)));
            let kinked = !node.method.redraws_by_recording()
                && node.parameters.iter().any(|parameter| parameter.score == Smoothness::Kinked);
            let unpathed = node.method.redraws_by_recording()
                && node.parameters.iter().any(|parameter| parameter.path == Smoothness::Kinked);
            limited |= guarantee != Guarantee::EXACT || kinked || unpathed;
            guarantees.push(guarantee);
        }
        let mut ledger = Ledger { limited: BTreeMap::new(), reports };
        if limited {
            // Sixty-four parameters at a time, one bit each.
            for (chunk, parameters) in state.parameters.chunks(64).enumerate() {
                let reach = reach(graph, state, end, chunk);
                for (bit, parameter) in parameters.iter().enumerate() {
                    ledger.settle(graph, state, &guarantees, &parameter.name, &|index| reach[index] >> bit & 1 == 1);
                }
            }
        }
        Ok(ledger)
    }

    fn settle<F: Real>(
        &mut self,
        graph: &Graph<'_, F>,
        state: &State<'_, F>,
        guarantees: &[Guarantee],
        name: &str,
        reached: &dyn Fn(usize) -> bool,
    ) {
        let takes_part: Vec<bool> = state
            .nodes
            .iter()
            .map(|node| node.parameters.iter().any(|parameter| reached(parameter.var.id().index())))
            .collect();
        let mut total = Guarantee::EXACT;
        let mut because = String::new();
        let mut limit = |guarantee: Guarantee, node: String| {
            let next = total.and(guarantee);
            if next != total {
                because = node;
            }
            total = next;
        };
        for ((node, guarantee), takes_part) in state.nodes.iter().zip(guarantees).zip(&takes_part) {
            if !takes_part {
                continue;
            }
            let name = || format!("node \"{}\" uses {}", node.address, node.method.name());
            limit(Guarantee { bias: guarantee.bias.min(Bias::Gradient), order: guarantee.order }, name());
            if guarantee.bias == Bias::Law {
                limit(Guarantee { bias: Bias::Law, order: Order::Any }, name());
            }
            let by_path = node.method.redraws_by_recording();
            for parameter in node.parameters.iter().filter(|parameter| reached(parameter.var.id().index())) {
                let smoothness = if by_path { parameter.path } else { parameter.score };
                if smoothness == Smoothness::Kinked {
                    limit(
                        Guarantee::unbiased(Order::Finite(1)),
                        format!("{} differentiates by {} of {} once only", name(), parameter.name, node.distribution),
                    );
                }
            }
        }
        let law: Vec<usize> = (0..guarantees.len()).filter(|&index| guarantees[index].bias == Bias::Law).collect();
        for part in state.costs.iter().flat_map(|cost| &cost.parts).filter(|_| !law.is_empty()) {
            let ancestors = graph.tape().sites(part.value.ancestors());
            let concerned =
                reached(part.value.id().index()) || ancestors.iter().any(|site| takes_part[site.0 as usize]);
            if let (true, Some(&index)) =
                (concerned, law.iter().find(|&&index| ancestors.iter().any(|site| site.0 as usize == index)))
            {
                let node = &state.nodes[index];
                limit(
                    Guarantee { bias: Bias::Law, order: Order::Any },
                    format!("node \"{}\" uses {}", node.address, node.method.name()),
                );
            }
        }
        if total != Guarantee::EXACT {
            self.limited.insert(name.into(), (total, because));
        }
    }

    pub(crate) fn guarantee(&self, parameter: &str) -> Guarantee {
        self.limited.get(parameter).map_or(Guarantee::EXACT, |(guarantee, _)| *guarantee)
    }

    pub(crate) fn because(&self, parameter: &str) -> Option<&str> {
        self.limited.get(parameter).map(|(_, because)| because.as_str())
    }

    pub(crate) fn into_reports(self) -> Vec<(String, String)> {
        self.reports
    }
}

/// For each value on the tape, which of a chunk of parameters derivatives flow to from it.
fn reach<F: Real>(graph: &Graph<'_, F>, state: &State<'_, F>, end: usize, chunk: usize) -> Vec<u64> {
    let mut reach = vec![0_u64; end];
    for (bit, parameter) in state.parameters.iter().skip(chunk * 64).take(64).enumerate() {
        reach[parameter.var.id().index()] |= 1 << bit;
    }
    graph.tape().visit(end, &mut |visit| {
        if matches!(visit.op, Op::Leaf { .. }) {
            return;
        }
        reach[visit.id.index()] = visit
            .inputs
            .iter()
            .enumerate()
            .filter(|(input, _)| visit.passes_gradient(*input))
            .fold(0, |bits, (_, id)| bits | reach[id.index()]);
    });
    reach
}
