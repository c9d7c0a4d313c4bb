//! What estimators that combine several members of a plate need: independent draws of one distribution.

use crate::objectives::held::all_samples;
use std::collections::HashSet;
use std::panic::Location;
use stochgrad_graph::{Bias, Graph, GraphError, GraphResult, Guarantee, Order};
use stochgrad_tape::{Op, Plate, PlateKind, TapeError, Var, Weights};
use stochgrad_tensor::Real;

/// An estimator of a function of an expectation, for its errors.
#[derive(Clone, Copy)]
pub(crate) struct Estimator<'a> {
    pub(crate) name: &'a str,
    pub(crate) at: &'static Location<'static>,
}

impl Estimator<'_> {
    pub(crate) fn error(&self, problem: impl Into<String>) -> GraphError {
        GraphError::Objective { name: self.name.into(), problem: problem.into(), at: self.at }
    }

    /// Checks that the members of some values along a plate are independent draws, and that there are enough of them.
    /// Returns their number.
    ///
    /// Values that lack the plate may enter the members: the expectation is then the one given these values.
    pub(crate) fn members<F: Real>(&self, values: &[Var<'_, F>], samples: Plate, needed: usize) -> GraphResult<usize> {
        let Some(&first) = values.first() else {
            return Err(self.error("expected at least one value, got none"));
        };
        let tape = first.tape();
        tape.check()?;
        let plate = tape.plate_name(samples);
        for value in values {
            if !std::ptr::eq(value.tape(), tape) {
                return Err(TapeError::Foreign { what: self.name.into(), at: self.at }.into());
            }
            if !value.plates().contains(&samples) {
                return Err(self.error(format!(
                    "expected a value along plate \"{plate}\", got one without it; draw the samples with \
                     .on_plate(plate)"
                )));
            }
        }
        let members = tape.whole_plate_size(samples);
        let is_weighted = matches!(tape.weights(samples), Weights::Given { .. });
        match tape.plate_kind(samples) {
            PlateKind::Samples if !is_weighted => {}
            PlateKind::Enumerated => {
                return Err(self.error(format!(
                    "expected independent samples along plate \"{plate}\", got the states of an enumerated node; \
                     their average, mean_over(plate), is the expectation itself"
                )));
            }
            PlateKind::Data => {
                return Err(self.error(format!(
                    "expected samples of one distribution along plate \"{plate}\", got the members of data, which \
                     differ from one another; draw samples for each of them along a plate of their own"
                )));
            }
            _ => {
                return Err(self.error(format!(
                    "expected independent samples along plate \"{plate}\", got dependent or weighted ones; make the \
                     plate with graph.plate(name, size), and draw them without a sampling scheme, by ScoreFunction or \
                     Pathwise for example"
                )));
            }
        }
        if members < needed {
            return Err(self.error(format!(
                "expected at least {needed} members along plate \"{plate}\", got {members}: each product takes \
                 {needed} different members; draw more samples"
            )));
        }
        self.check_independent(values, samples)?;
        Ok(members)
    }

    /// Refuses members that share a value which was made of several of them.
    fn check_independent<F: Real>(&self, values: &[Var<'_, F>], samples: Plate) -> GraphResult<()> {
        let tape = values[0].tape();
        let last = values.iter().map(|value| value.id().index()).max().unwrap_or(0);
        let dependent = |at: Option<&'static Location<'static>>| {
            let at = at.map_or(String::new(), |at| format!(" ({at})"));
            self.error(format!(
                "expected independent members along plate \"{}\", got members that depend on one another through an \
                 operation{at} that combines them; combine members only in the function of the expectation",
                tape.plate_name(samples)
            ))
        };
        for read in tape.host_reads().iter().filter(|read| read.recorded_before <= last) {
            if tape.var(read.id)?.plates().contains(&samples) {
                return Err(dependent(Some(read.location)));
            }
        }
        let mut pending = values.to_vec();
        let mut seen = HashSet::new();
        while let Some(var) = pending.pop() {
            if !seen.insert(var.id()) {
                continue;
            }
            let carries = var.plates().contains(&samples);
            // The states of an enumerated node lack the plates of its parameters, which its weights carry.
            let operands = if matches!(var.op(), Some(Op::Sample(_))) { 1 } else { usize::MAX };
            for (operand, input) in var.inputs().into_iter().enumerate() {
                if !carries && operand < operands && input.plates().contains(&samples) {
                    return Err(dependent(var.location()));
                }
                pending.push(input);
            }
        }
        Ok(())
    }
}

/// States that a cost which is computed from some values estimates something else in expectation than it stands for,
/// for all parameters upstream of these values.
pub(crate) fn qualify_cost<'t, F: Real>(graph: &Graph<'t, F>, values: &[Var<'t, F>], because: String) {
    qualify(graph, values, Guarantee { bias: Bias::Cost, order: Order::Any }, because);
}

/// Limits the guarantee of a cost that is computed from some values, for all parameters upstream of these values and of
/// the samples that they descend from.
pub(crate) fn qualify<'t, F: Real>(graph: &Graph<'t, F>, values: &[Var<'t, F>], guarantee: Guarantee, because: String) {
    let mut through = values.to_vec();
    for sample in values.iter().flat_map(|&value| all_samples(value)) {
        through.extend(sample.inputs().into_iter().skip(1));
    }
    through.sort_by_key(|var| var.id().index());
    through.dedup_by_key(|var| var.id());
    graph.qualify(&through, guarantee, because);
}
