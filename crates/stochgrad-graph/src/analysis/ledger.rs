//! The guarantee of each parameter, computed from the methods and the recorded paths.
//!
//! A node takes part in the derivative with respect to a parameter of the graph if the parameters of its distribution
//! depend on that parameter. The order for a parameter is the minimum over the nodes that take part. A node whose
//! gradient is biased makes the gradient biased for all parameters upstream of it. A node that samples another
//! distribution makes every cost downstream biased, and the gradient for every parameter of those costs. A biased
//! method that is exact for polynomials up to a degree causes no bias if the costs are such polynomials; the ledger
//! then states this. What an objective states about the derivatives through some values holds for every parameter
//! upstream of them.

use crate::analysis::crossings::Crossings;
use crate::analysis::recording::Recording;
use crate::error::GraphResult;
use crate::graph::node::StochasticNode;
use crate::graph::state::State;
use crate::guarantee::{Bias, Guarantee, Path};
use std::collections::BTreeMap;
use stochgrad_distributions::{Order, Parameter, SamplePath};
use stochgrad_tape::{IdMap, Op, Smoothness};
use stochgrad_tensor::Real;

/// The guarantees of all parameters, and the reasons for them.
#[derive(Default)]
pub(crate) struct Ledger {
    /// The parameters whose guarantee is limited, or needs a reason.
    entries: BTreeMap<String, Entry>,
    /// The decisions that methods made by themselves: address of the node, and decision.
    pub(crate) reports: Vec<(String, String)>,
}

struct Entry {
    guarantee: Guarantee,
    /// What limits the guarantee, then the biased methods that do not limit it.
    reasons: Vec<String>,
    /// How many of the reasons limit it.
    limits: usize,
}

impl Ledger {
    pub(crate) fn new<F: Real>(recording: &Recording<'_, '_, F>, paths: &[Path]) -> GraphResult<Self> {
        let state = recording.state;
        let ids = IdMap::identity();
        let mut guarantees = Vec::with_capacity(state.nodes.len());
        let mut reports = Vec::new();
        let crossings = Crossings::new(recording);
        let mut limited = !crossings.is_empty();
        for (index, (node, path)) in state.nodes.iter().zip(paths).enumerate() {
            let bind = recording.bind(index, &ids);
            let guarantee = node.method.guarantee(bind, path)?.map_err(|problem| node.refused(problem))?;
            reports.extend(node.method.report(bind, path)?.map(|report| (node.address.to_string(), report)));
            limited |= guarantee != Guarantee::EXACT
                || node.parameters.iter().any(|parameter| order(node, parameter) != Order::Any);
            guarantees.push(guarantee);
        }
        limited |= !state.qualifications.is_empty();
        let mut ledger = Ledger { entries: BTreeMap::new(), reports };
        if limited {
            // 64 parameters at a time, one bit each.
            for (chunk, parameters) in state.parameters.chunks(64).enumerate() {
                let reach = reach(recording, chunk);
                for (bit, parameter) in parameters.iter().enumerate() {
                    let reached = |index: usize| reach[index] >> bit & 1 == 1;
                    let mut entry = limits(recording, &guarantees, &crossings, &reached);
                    entry.certify(state, &guarantees, paths, &reached);
                    if !entry.reasons.is_empty() {
                        ledger.entries.insert(parameter.name.clone(), entry);
                    }
                }
            }
        }
        Ok(ledger)
    }

    /// The same guarantee for all parameters, with its reason.
    pub(crate) fn same_for_all<'n>(
        parameters: impl Iterator<Item = &'n String>,
        guarantee: Guarantee,
        reason: &str,
    ) -> Self {
        let entry = |name: &String| (name.clone(), Entry { guarantee, reasons: vec![reason.to_string()], limits: 1 });
        Ledger { entries: parameters.map(entry).collect(), reports: Vec::new() }
    }

    pub(crate) fn guarantee(&self, parameter: &str) -> Guarantee {
        self.entries.get(parameter).map_or(Guarantee::EXACT, |entry| entry.guarantee)
    }

    /// The last reason that limits the guarantee.
    pub(crate) fn because(&self, parameter: &str) -> Option<&str> {
        let entry = self.entries.get(parameter)?;
        entry.reasons[..entry.limits].last().map(String::as_str)
    }

    pub(crate) fn reasons(&self, parameter: &str) -> &[String] {
        self.entries.get(parameter).map_or(&[], |entry| &entry.reasons)
    }
}

/// What limits the guarantee of a parameter.
fn limits<F: Real>(
    recording: &Recording<'_, '_, F>,
    guarantees: &[Guarantee],
    crossings: &Crossings,
    reached: &dyn Fn(usize) -> bool,
) -> Entry {
    let state = recording.state;
    let takes_part: Vec<bool> = state.nodes.iter().map(|node| takes_part(node, reached)).collect();
    let mut total = Guarantee::EXACT;
    let mut reasons: Vec<String> = Vec::new();
    let mut limit = |guarantee: Guarantee, reason: String| {
        let next = total.and(guarantee);
        if next != total {
            reasons.push(reason);
        }
        total = next;
    };
    for ((node, guarantee), takes_part) in state.nodes.iter().zip(guarantees).zip(&takes_part) {
        if !takes_part {
            continue;
        }
        limit(Guarantee { bias: guarantee.bias.min(Bias::Gradient), order: guarantee.order }, uses(node));
        if guarantee.bias == Bias::Distribution {
            limit(Guarantee { bias: Bias::Distribution, order: Order::Any }, uses(node));
        }
        for parameter in node.parameters.iter().filter(|parameter| reached(parameter.var.id().index())) {
            let times = match order(node, parameter) {
                Order::Any => continue,
                Order::Finite(1) => "once".into(),
                Order::Finite(order) => format!("{order} times"),
            };
            limit(
                Guarantee::unbiased(order(node, parameter)),
                format!(
                    "{} differentiates with respect to {} of {} {times} only",
                    uses(node),
                    parameter.name,
                    node.distribution
                ),
            );
        }
    }
    for (node, _) in crossings.all().filter(|(_, threshold)| reached(threshold.index())) {
        limit(Guarantee::unbiased(Order::Finite(1)), uses(&state.nodes[node]));
    }
    for qualification in &state.qualifications {
        if qualification.through.iter().any(|var| reached(var.id().index())) {
            limit(qualification.guarantee, qualification.because.clone());
        }
    }
    let distribution: Vec<usize> =
        (0..guarantees.len()).filter(|&index| guarantees[index].bias == Bias::Distribution).collect();
    for (_, part) in recording.parts().filter(|_| !distribution.is_empty()) {
        let ancestors = recording.tape.sites(part.value.ancestors());
        let concerned = reached(part.value.id().index()) || ancestors.iter().any(|site| takes_part[site.0 as usize]);
        if let (true, Some(&index)) =
            (concerned, distribution.iter().find(|&&index| ancestors.iter().any(|site| site.0 as usize == index)))
        {
            limit(Guarantee { bias: Bias::Distribution, order: Order::Any }, uses(&state.nodes[index]));
        }
    }
    Entry { guarantee: total, limits: reasons.len(), reasons }
}

impl Entry {
    /// Adds the biased methods that are exact for these costs.
    fn certify<F: Real>(
        &mut self,
        state: &State<'_, F>,
        guarantees: &[Guarantee],
        paths: &[Path],
        reached: &dyn Fn(usize) -> bool,
    ) {
        for ((node, guarantee), path) in state.nodes.iter().zip(guarantees).zip(paths) {
            let profile = node.method.profile();
            if profile.bias != Bias::Unbiased && guarantee.bias == Bias::Unbiased && takes_part(node, reached) {
                self.reasons.push(format!(
                    "exact: the costs are of degree {} in node \"{}\", and {} is exact up to degree {}",
                    path.degree,
                    node.address,
                    node.method.name(),
                    profile.exact_to
                ));
            }
        }
    }
}

/// Whether the distribution of a node depends on a parameter.
fn takes_part<F: Real>(node: &StochasticNode<'_, F>, reached: &dyn Fn(usize) -> bool) -> bool {
    node.parameters.iter().any(|parameter| reached(parameter.var.id().index()))
}

/// The order up to which a node can be differentiated with respect to a parameter of its distribution: along the sample
/// path where the method follows it, else by the score. A method that needs a path or a score that does not exist has
/// refused the node in its guarantee, so that nothing is left to limit here.
fn order<F: Real>(node: &StochasticNode<'_, F>, parameter: &Parameter<'_, F>) -> Order {
    if node.method.is_rerecordable() {
        match parameter.path {
            SamplePath::Recorded(order) | SamplePath::Implicit(order) => order,
            SamplePath::None => Order::Any,
        }
    } else {
        match parameter.score {
            Smoothness::Kinked => Order::Finite(1),
            Smoothness::Constant | Smoothness::Smooth | Smoothness::Jump => Order::Any,
        }
    }
}

fn uses<F: Real>(node: &StochasticNode<'_, F>) -> String {
    format!("node \"{}\" uses {}", node.address, node.method.name())
}

/// For each value on the tape, the parameters of a chunk to which derivatives flow from it, one bit each.
fn reach<F: Real>(recording: &Recording<'_, '_, F>, chunk: usize) -> Vec<u64> {
    let mut reach = vec![0_u64; recording.end];
    for (bit, parameter) in recording.state.parameters.iter().skip(chunk * 64).take(64).enumerate() {
        reach[parameter.var.id().index()] |= 1 << bit;
    }
    recording.tape.visit(recording.end, &mut |visit| {
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
