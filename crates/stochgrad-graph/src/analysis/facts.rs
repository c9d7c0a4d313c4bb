//! The facts about a recorded graph on which its derivatives depend.

use crate::analysis::crossings::Crossings;
use crate::analysis::degrees::find_degrees;
use crate::analysis::hidden_outcomes::check_hidden_outcomes;
use crate::analysis::lost_jumps::check_lost_jumps;
use crate::analysis::mixing::Mixing;
use crate::analysis::paths::worst_paths;
use crate::analysis::recording::Recording;
use crate::analysis::scheme_members::{check_scheme_members, dependent_members};
use crate::analysis::sums::members;
use crate::analysis::weighted_sets::check_weighted_sets;
use crate::error::GraphResult;
use crate::graph::Graph;
use crate::graph::state::State;
use crate::guarantee::Path;
use crate::method::cost_queries::PartNumber;
use stochgrad_tape::{IdMap, Plate, PlateSet, Var, Weights};
use stochgrad_tensor::Real;

/// The facts about a recorded graph, found and checked once.
pub(crate) struct Analysis<'a, 't, F: Real> {
    pub(crate) recording: Recording<'a, 't, F>,
    /// The worst path from each node.
    pub(crate) paths: Vec<Path>,
    /// Whether a cost descends from each node.
    pub(crate) has_costs: Vec<bool>,
    /// The comparisons with thresholds whose jumps methods account for.
    pub(crate) crossings: Crossings,
    pub(crate) mixing: Mixing,
    /// $l$ of each node; none for nodes without a cost downstream.
    pub(crate) gradient_functions: Vec<Option<Var<'t, F>>>,
}

impl<'a, 't, F: Real> Analysis<'a, 't, F> {
    /// Analyses a graph and records the gradient functions of its nodes.
    ///
    /// # Errors
    /// For earlier errors on the tape, and for methods that cannot be used where they are.
    pub(crate) fn new(graph: &'a Graph<'t, F>, state: &'a State<'t, F>) -> GraphResult<Self> {
        graph.tape().check()?;
        state.check_factors()?;
        state.replaced_methods.check(state.nodes.iter().map(|node| &node.address))?;
        let recording = Recording::new(graph, state);
        let crossings = Crossings::new(&recording);
        let mut paths = worst_paths(&recording, &crossings);
        let mixing = Mixing::new(&recording);
        find_degrees(&recording, &mixing, &mut paths);
        check_guarantees(&recording, &paths)?;
        check_lost_jumps(&recording, &crossings, &paths)?;
        let has_costs = nodes_with_costs(&recording);
        check_weighted_sets(&recording)?;
        check_scheme_members(&recording, &mixing)?;
        let gradient_functions = gradient_functions(&recording, &paths, &has_costs)?;
        graph.tape().check()?;
        Ok(Analysis { recording, paths, has_costs, crossings, mixing, gradient_functions })
    }

    /// The plates of a node along which a part of a cost depends on several members.
    pub(crate) fn joint_with(&self, node: usize, part: PartNumber) -> PlateSet {
        self.mixing.joint_with(&self.recording, node, part)
    }

    /// The gradient function of a node as it acts on a value that depends jointly on its members along some plates: the
    /// sum over these plates.
    pub(crate) fn joint(&self, node: usize, l: Var<'t, F>, joint: &PlateSet) -> GraphResult<Var<'t, F>> {
        let tape = self.recording.tape;
        let carried = l.plates();
        let summed = joint.iter().copied().filter(|plate| carried.contains(plate));
        summed.into_iter().try_fold(l, |l, plate: Plate| {
            let independent = tape.plate_kind(plate).is_independent();
            if independent && !matches!(tape.weights(plate), Weights::Given { .. }) {
                return Ok(l.sum_over(plate));
            }
            Err(dependent_members(&self.recording, node, plate))
        })
    }
}

/// Asks each method whether it can be used on its node.
fn check_guarantees<F: Real>(recording: &Recording<'_, '_, F>, paths: &[Path]) -> GraphResult<()> {
    for (index, node) in recording.nodes.iter().enumerate() {
        node.method
            .guarantee(recording.bind(index, &IdMap::identity()), &paths[index])?
            .map_err(|problem| node.refused(problem))?;
    }
    Ok(())
}

/// Whether a cost descends from each node.
fn nodes_with_costs<F: Real>(recording: &Recording<'_, '_, F>) -> Vec<bool> {
    let mut all: Vec<u64> = Vec::new();
    let mut last = None;
    for ancestors in recording.parts().map(|(_, part)| part.value.ancestors()) {
        if last.replace(ancestors) != Some(ancestors) {
            let words = recording.tape.set_words(ancestors);
            all.resize(all.len().max(words.len()), 0);
            all.iter_mut().zip(&words).for_each(|(all, word)| *all |= word);
        }
    }
    let mut has_costs = vec![false; recording.nodes.len()];
    members(&all).for_each(|index| has_costs[index] = true);
    has_costs
}

/// Decides for each node whether gradients flow through its value, and records its gradient function.
fn gradient_functions<'t, F: Real>(
    recording: &Recording<'_, 't, F>,
    paths: &[Path],
    has_costs: &[bool],
) -> GraphResult<Vec<Option<Var<'t, F>>>> {
    let tape = recording.tape;
    let mut gradient_functions = vec![None; recording.nodes.len()];
    for (index, node) in recording.nodes.iter().enumerate().filter(|(index, _)| has_costs[*index]) {
        let open = node.method.passes_gradient(&paths[index]);
        let required = recording.state.open_paths.iter().find(|path| path.site == node.site);
        if let (false, Some(path)) = (open, required) {
            return Err(node.refused(path.because.clone()));
        }
        tape.set_closed(node.site, !open);
        let ids = IdMap::identity();
        let l = tape.located(node.at, || {
            node.method.gradient_function(recording.bind(index, &ids), node.value, &paths[index])
        })?;
        if l.is_some() {
            check_hidden_outcomes(node)?;
        }
        gradient_functions[index] = l;
    }
    Ok(gradient_functions)
}
