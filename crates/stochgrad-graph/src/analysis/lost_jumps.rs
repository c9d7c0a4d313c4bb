//! Jumps of the costs in the parameters that no method accounts for.
//!
//! Let a cost contain the comparison $[\theta > x]$ with a sample $x$ from a continuous distribution. Its expectation
//! $P(x < \theta)$ has a derivative with respect to $\theta$, the density of $x$ at $\theta$, and yet the recorded
//! comparison has the derivative zero for every sample. The method of $x$ accounts for the parameters of its
//! distribution, and not for this threshold: the gradient would be wrong without a sign of it in any run.
//!
//! Such a jump is refused, unless
//!
//! * the method of the node carries it as one of its [`Crossings`],
//! * the comparison also depends on a node whose method follows the sample path: that method has refused the jump
//!   already, or the user has asserted that the jumps cancel, or
//! * no derivative is asked for: the gradient of the parameter is stopped before the comparison, or that of the result
//!   after it.
//!
//! A comparison with a sample from a discrete distribution is not such a jump: its expectation is constant in the
//! parameter, except where the parameter equals an outcome.

use crate::analysis::crossings::Crossings;
use crate::analysis::recording::Recording;
use crate::error::{GraphError, GraphResult};
use crate::graph::node::StochasticNode;
use crate::guarantee::Path;
use crate::method::profile::Access;
use std::collections::HashMap;
use stochgrad_distributions::{SamplePath, Support};
use stochgrad_tape::{DetachReason, Id, IdMap, Op, SiteId, Smoothness, Visit};
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::zip::Zip;

/// Refuses a comparison of something that depends on a parameter with something that varies continuously.
pub(crate) fn check_lost_jumps<F: Real>(
    recording: &Recording<'_, '_, F>,
    crossings: &Crossings,
    paths: &[Path],
) -> GraphResult<()> {
    let mut candidates: Vec<Id> = Vec::new();
    recording.tape.visit(recording.end, &mut |visit| {
        let is_candidate = is_jump(visit.op)
            && (0..visit.inputs.len()).any(|input| visit.input_is_trained(input))
            && !crossings.contains(visit.id);
        candidates.extend(is_candidate.then_some(visit.id));
    });
    // Most recordings have none, and are not looked at any further.
    if candidates.is_empty() {
        return Ok(());
    }
    let open: Vec<bool> = recording.nodes.iter().zip(paths).map(|(node, path)| is_open(node, path)).collect();
    let sites: HashMap<SiteId, usize> =
        recording.nodes.iter().enumerate().map(|(index, node)| (node.site, index)).collect();
    let trained = trained(recording, &sites, &open);
    let variation = variation(recording, &sites, &open)?;
    let relevant = relevant(recording);
    for id in candidates {
        let var = recording.tape.var(id)?;
        let inputs: Vec<usize> = var.inputs().iter().map(|input| input.id().index()).collect();
        let source = inputs.iter().map(|&input| variation[input]).fold(Variation::None, Variation::and);
        if relevant[id.index()] && source.is_unaccounted() && inputs.iter().any(|&input| trained[input]) {
            return Err(refusal(recording, id, source));
        }
    }
    Ok(())
}

/// Whether an operation jumps where its operands cross each other or a constant, and where continuous values do so with
/// a positive rate. Continuous values are never equal.
fn is_jump(op: &Op) -> bool {
    matches!(
        op,
        Op::Map(Map::Sign | Map::Floor | Map::Ceil | Map::Round | Map::Step | Map::Within(..) | Map::Outside(..))
            | Op::Zip(Zip::Greater | Zip::GreaterEqual | Zip::Less | Zip::LessEqual)
            | Op::Argmax(_)
            | Op::Argsort { .. }
    )
}

/// Whether a value varies continuously from run to run, and which method accounts for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variation {
    /// The value is fixed, or has outcomes of positive probability.
    None,
    /// With noise that belongs to no node.
    Noise,
    /// With the sample of this node, whose method uses values of the costs.
    Node(usize),
    /// Also with the sample of a node whose method follows the sample path.
    Followed,
}

impl Variation {
    /// That of a value that depends on two values.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Variation::Followed, _) | (_, Variation::Followed) => Variation::Followed,
            (Variation::Node(node), _) | (_, Variation::Node(node)) => Variation::Node(node),
            (Variation::Noise, _) | (_, Variation::Noise) => Variation::Noise,
            (Variation::None, Variation::None) => Variation::None,
        }
    }

    fn is_unaccounted(self) -> bool {
        matches!(self, Variation::Noise | Variation::Node(_))
    }
}

/// Whether the value of a node is a recorded function of its parameters whose derivative is followed.
fn is_open<F: Real>(node: &StochasticNode<'_, F>, path: &Path) -> bool {
    let is_recorded = node
        .value
        .inputs()
        .first()
        .is_some_and(|value| !matches!(value.op(), Some(Op::Leaf { .. } | Op::Detach(DetachReason::Sampled))));
    is_recorded && node.method.passes_gradient(path)
}

/// The values through which a derivative flows to a trainable leaf. It flows through the samples of the open nodes, whose
/// methods follow the sample path.
fn trained<F: Real>(recording: &Recording<'_, '_, F>, sites: &HashMap<SiteId, usize>, open: &[bool]) -> Vec<bool> {
    let mut trained = vec![false; recording.end];
    recording.tape.visit(recording.end, &mut |visit| {
        let flows = |input: usize| visit.passes_gradient(input) && trained[visit.inputs[input].index()];
        trained[visit.id.index()] = match visit.op {
            Op::Leaf { trainable } => *trainable,
            Op::Sample(site) if sites.get(site).is_some_and(|&node| !open[node]) => false,
            _ => (0..visit.inputs.len()).any(flows),
        };
    });
    trained
}

/// How each value on the tape varies.
fn variation<F: Real>(
    recording: &Recording<'_, '_, F>,
    sites: &HashMap<SiteId, usize>,
    open: &[bool],
) -> GraphResult<Vec<Variation>> {
    let ids = IdMap::identity();
    let mut of_nodes = Vec::with_capacity(recording.nodes.len());
    for (index, node) in recording.nodes.iter().enumerate() {
        of_nodes.push(match is_continuous(node, node.method.support(recording.bind(index, &ids))?) {
            _ if open[index] || node.method.profile().access != Access::Values => Variation::Followed,
            true => Variation::Node(index),
            false => Variation::None,
        });
    }
    let mut all = vec![Variation::None; recording.end];
    recording.tape.visit(recording.end, &mut |visit| {
        let inputs = || visit.inputs.iter().map(|id| all[id.index()]);
        all[visit.id.index()] = match visit.op {
            Op::Sample(site) => match sites.get(site) {
                Some(&node) => of_nodes[node],
                None => inputs().fold(Variation::None, Variation::and),
            },
            Op::Noise { .. } => Variation::Noise,
            Op::Detach(_) => inputs().fold(Variation::None, Variation::and),
            // What has crossed a jump has outcomes of positive probability.
            _ => (0..visit.inputs.len())
                .filter(|&input| visit.smoothness(input).passes_gradient())
                .map(|input| all[visit.inputs[input].index()])
                .fold(Variation::None, Variation::and),
        };
    });
    Ok(all)
}

/// Whether the samples of a node have a density.
fn is_continuous<F: Real>(node: &StochasticNode<'_, F>, support: Support) -> bool {
    match support {
        Support::Custom(custom) => {
            custom.continuous_scalar || node.parameters.iter().any(|parameter| parameter.path != SamplePath::None)
        }
        support => !support.is_discrete(),
    }
}

/// The values that reach a cost, or the distribution of a node, on a path on which no gradient is stopped.
fn relevant<F: Real>(recording: &Recording<'_, '_, F>) -> Vec<bool> {
    let mut relevant = vec![false; recording.end];
    for (_, part) in recording.parts() {
        relevant[part.value.id().index()] = true;
    }
    for parameter in recording.nodes.iter().flat_map(|node| &node.parameters) {
        relevant[parameter.var.id().index()] = true;
    }
    recording.tape.visit_backwards(recording.end, &mut |visit: Visit<'_, F>| {
        // How a sample is made from noise is the concern of its distribution.
        let ends = matches!(visit.op, Op::Detach(_) | Op::Sample(_));
        if ends || !relevant[visit.id.index()] {
            return;
        }
        for (input, id) in visit.inputs.iter().enumerate() {
            relevant[id.index()] |= visit.smoothness(input) != Smoothness::Constant;
        }
    });
    relevant
}

fn refusal<F: Real>(recording: &Recording<'_, '_, F>, id: Id, source: Variation) -> GraphError {
    let found = recording.tape.var(id).map(|var| (recording.tape.operation_name(var), var.location()));
    let (operation, at) = found.unwrap_or((None, None));
    let what = format!(
        "{}{}",
        operation.unwrap_or_else(|| "an operation".into()),
        at.map_or(String::new(), |at| format!(" ({at})"))
    );
    let problem = |try_node: &str| {
        format!(
            "{what} compares the value with something that depends on a parameter of the graph: the expected cost \
             changes where the outcome flips, and its derivative with respect to that parameter would be missing; \
             {try_node}smooth the operation, or, if the jump does not change the cost (two branches that meet, say), \
             stop the gradient of what the value is compared with"
        )
    };
    match source {
        Variation::Node(node) => recording.nodes[node].refused(problem(
            "use SmoothedPerturbation here (if the value itself is compared), make the parameter one of the \
             distribution instead, ",
        )),
        _ => GraphError::LostJump { problem: problem("draw the outcome from a distribution instead, ") },
    }
}
