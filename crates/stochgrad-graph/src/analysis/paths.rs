//! How costs and other nodes depend on the value of a node: the worst operation on any path from it.

use crate::analysis::crossings::Crossings;
use crate::analysis::recording::Recording;
use crate::guarantee::Path;
use crate::method::profile::Access;
use std::collections::HashMap;
use std::panic::Location;
use stochgrad_distributions::{Order, SamplePath};
use stochgrad_tape::{Degree, DetachReason, Op, PlateKind, SiteId, Smoothness, Tape, Weights};
use stochgrad_tensor::Real;

/// The worst path from the value of each node, found in one backward pass over the tape.
///
/// Paths end at the costs, at the parameters of nodes whose values are not recorded functions of them, and at the
/// weights of plates. If host code read a value, what was recorded afterwards may depend on it, which counts as a jump.
///
/// A crossing counts as a kink for the nodes whose methods account for crossings, and as a jump for all others.
pub(crate) fn worst_paths<F: Real>(recording: &Recording<'_, '_, F>, crossings: &Crossings) -> Vec<Path> {
    let paths = paths_through(recording, &Crossings::default());
    if crossings.is_empty() {
        return paths;
    }
    let carried = paths_through(recording, crossings);
    let each = recording.nodes.iter().zip(paths.into_iter().zip(carried));
    each.map(|(node, (path, carried))| if node.method.carries_crossings() { carried } else { path }).collect()
}

/// The worst paths, if the given crossings are kinks.
fn paths_through<F: Real>(recording: &Recording<'_, '_, F>, crossings: &Crossings) -> Vec<Path> {
    let Recording { tape, nodes, end, .. } = *recording;
    let differentiable =
        nodes.iter().any(|node| {
            node.method.profile().access != Access::Values
                || node.value.inputs().first().is_some_and(|value| {
                    !matches!(value.op(), Some(Op::Leaf { .. } | Op::Detach(DetachReason::Sampled)))
                })
        });
    if !differentiable {
        return nodes.iter().map(|_| Path::smooth()).collect();
    }
    let mut worst = vec![(Smoothness::Constant, None::<usize>); end];
    let mut samples = vec![Order::Any; end];
    let sites: HashMap<SiteId, usize> = nodes.iter().enumerate().map(|(index, node)| (node.site, index)).collect();
    for (_, part) in recording.parts() {
        worst[part.value.id().index()].0 = Smoothness::Smooth;
    }
    for node in nodes {
        if let Some(plate) = node.plate
            && tape.plate_kind(plate) != PlateKind::Data
            && let Weights::Given { id, .. } = tape.weights(plate)
        {
            worst[id.index()].0 = Smoothness::Smooth;
        }
    }
    tape.visit_backwards(end, &mut |visit| {
        let (below, through) = worst[visit.id.index()];
        let order = samples[visit.id.index()];
        for (input, id) in visit.inputs.iter().enumerate() {
            let (edge, below, order) = match visit.op {
                Op::Sample(site) if input > 0 => {
                    let Some(node) = sites.get(site).map(|&index| &nodes[index]) else { continue };
                    let parameter = node.parameters.get(input - 1);
                    let score = parameter.map_or(Smoothness::Jump, |parameter| parameter.score);
                    match parameter.map_or(SamplePath::None, |parameter| parameter.path) {
                        // A replay passes on a relaxed value.
                        _ if node.method.relaxes_in_replays() => (Smoothness::Smooth, below, order),
                        _ if !node.method.is_rerecordable() => {
                            let score = if score == Smoothness::Constant { Smoothness::Jump } else { score };
                            (score, Smoothness::Smooth, Order::Any)
                        }
                        // The value passes the derivative, as a recorded function of the parameter or implicitly.
                        SamplePath::Recorded(along) | SamplePath::Implicit(along) => {
                            (Smoothness::Smooth, below.min(Smoothness::Smooth), order.min(along))
                        }
                        SamplePath::None => (Smoothness::Jump, below, order),
                    }
                }
                // Whatever is made of the two outcomes, the method evaluates the costs for both of them.
                _ if crossings.contains(visit.id) => (Smoothness::Kinked, below.min(Smoothness::Kinked), Order::Any),
                _ => (visit.smoothness(input), below, order),
            };
            if edge == Smoothness::Constant || below == Smoothness::Constant {
                continue;
            }
            samples[id.index()] = samples[id.index()].min(order);
            let here = if edge >= below { (edge, Some(visit.id.index())) } else { (below, through) };
            let slot = &mut worst[id.index()];
            if here.0 > slot.0 {
                *slot = here;
            }
        }
    });
    let reads = tape.host_reads();
    nodes
        .iter()
        .map(|node| {
            let branched = reads.iter().find(|read| {
                read.recorded_before < end
                    && tape.var(read.id).is_ok_and(|var| tape.set_contains(var.ancestors(), node.site))
            });
            if let Some(read) = branched {
                return Path {
                    smoothness: Smoothness::Jump,
                    through: Some(("a value that host code read".into(), read.location)),
                    degree: Degree::UNBOUNDED,
                    samples: Order::Any,
                };
            }
            let (smoothness, through) = worst[node.value.id().index()];
            let through = through.filter(|_| smoothness > Smoothness::Smooth).and_then(|index| describe(tape, index));
            Path { smoothness, through, degree: Degree::UNBOUNDED, samples: samples[node.value.id().index()] }
        })
        .collect()
}

fn describe<F: Real>(tape: &Tape<F>, index: usize) -> Option<(String, &'static Location<'static>)> {
    let var = tape.var_at(index).ok()?;
    Some((tape.operation_name(var)?, var.location()?))
}
