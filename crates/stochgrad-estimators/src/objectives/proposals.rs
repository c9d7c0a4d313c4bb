//! What objectives with normalised weights require of their samples: no gradient, and equal chances.

use super::double_reparameterization::has_equal_weights;
use super::held::all_samples;
use std::panic::Location;
use stochgrad_graph::{Graph, GraphError, GraphResult, is_differentiable};
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::Real;

/// An objective that is being recorded.
pub(super) struct Proposals<'a, 't, F: Real> {
    pub(super) graph: &'a Graph<'t, F>,
    pub(super) objective: &'a str,
    pub(super) at: &'static Location<'static>,
}

impl<'t, F: Real> Proposals<'_, 't, F> {
    /// Checks that no sample upstream of a value has a distribution with trainable parameters.
    pub(super) fn check(&self, value: Var<'t, F>) -> GraphResult<()> {
        self.graph.tape().check()?;
        for sample in all_samples(value) {
            if sample.inputs().iter().any(|&input| is_differentiable(input)) {
                let place = sample.location().map_or(String::new(), |at| format!(" (at {at})"));
                return Err(self.error(format!(
                    "expected samples without a gradient, got one of a distribution with trainable parameters{place}; \
                     draw it from `detached(&distribution)?`"
                )));
            }
        }
        Ok(())
    }

    /// As [`check`](Self::check), and that the value is one number for each of some equally weighted samples.
    pub(super) fn check_along(&self, samples: Plate, value: Var<'t, F>) -> GraphResult<()> {
        self.check(value)?;
        let tape = self.graph.tape();
        let name = tape.plate_name(samples);
        if !value.plates().contains(&samples) {
            return Err(self.error(format!(
                "expected log-probabilities along plate \"{name}\", got some that do not lie along it; draw the \
                 samples with .on_plate(plate)"
            )));
        }
        if !has_equal_weights(self.graph, samples) {
            return Err(self.error(format!(
                "expected a plate of independent samples, got plate \"{name}\", whose members have weights; make it \
                 with graph.plate(name, size)"
            )));
        }
        Ok(())
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> GraphError {
        GraphError::Objective { name: self.objective.into(), problem: problem.into(), at: self.at }
    }
}
