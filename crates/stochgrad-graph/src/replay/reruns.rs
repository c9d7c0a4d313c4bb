//! Changes of costs by running the model again, for host code that branched on a value that changes.
//!
//! A recorded replay cannot repeat such a branch. If the model was given as a function
//! ([`Graph::from_model`](crate::Graph::from_model)), it is run again with the value replaced. A compiled graph cannot do
//! that.

use crate::error::GraphResult;
use crate::graph::node::StochasticNode;
use crate::method::node_cost::{CostChange, ElementDifference};
use crate::method::places::Places;
use crate::replay::counterfactuals::Counterfactuals;
use crate::replay::impossible::is_impossible;
use stochgrad_tape::{PlateSet, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

impl<'t, F: Real> Counterfactuals<'_, 't, F> {
    /// The differences for every element and member, one at a time. `None` if the model was not given as a function.
    pub(crate) fn rerun_differences(
        &self,
        node: usize,
        alternatives: &[Var<'t, F>],
        element_rank: usize,
    ) -> Option<GraphResult<Vec<ElementDifference<'t, F>>>> {
        let primal = self.rerun(node, self.stochastic_node(node).value)?;
        Some(primal.and_then(|primal| self.differences_from(primal, node, alternatives, element_rank)))
    }

    fn differences_from(
        &self,
        primal: F,
        node: usize,
        alternatives: &[Var<'t, F>],
        element_rank: usize,
    ) -> GraphResult<Vec<ElementDifference<'t, F>>> {
        let StochasticNode { value, plates, .. } = self.stochastic_node(node);
        let sample = value.peek()?;
        let own = PlateSet::from(value.plates());
        let places = Places::new(*value, element_rank, &own);
        let shape: Shape = places.sizes.iter().chain(&*places.independent).copied().collect();
        let count = places.count();
        let width = sample.len() / count.max(1);
        let mut values = Vec::new();
        for &alternative in alternatives {
            let other = alternative.peek()?;
            let mut changes = Vec::with_capacity(count);
            for place in 0..count {
                let at = place * width..(place + 1) * width;
                let mut changed = sample.clone();
                changed.make_mut()[at.clone()].copy_from_slice(&other.as_slice()[at]);
                let cost = match self.rerun(node, self.tape().constant_on(&own, changed)) {
                    Some(cost) => cost?,
                    None => F::NAN,
                };
                let ruled_out = !cost.to_f64().is_finite() && is_impossible(self.recording(), node, &other, place)?;
                changes.push(if ruled_out { F::ZERO } else { cost } - primal);
            }
            values.push(self.tape().constant_on(&own, Tensor::from_fn(shape.clone(), |i| changes[i])));
        }
        // A total cost is averaged already, so all plates are summed.
        Ok(vec![ElementDifference { values, summed: plates.as_plates().clone() }])
    }

    /// The change of the total cost if the whole value is replaced. `None` if the model was not given as a function.
    pub(crate) fn rerun_change(&self, node: usize, value: Var<'t, F>) -> Option<GraphResult<CostChange<'t, F>>> {
        let primal = self.rerun(node, self.stochastic_node(node).value)?;
        let again = self.rerun(node, value)?;
        let change = primal.and_then(|primal| Ok(again? - primal));
        let summed = self.stochastic_node(node).plates.as_plates().clone();
        Some(change.map(|change| CostChange { value: self.tape().constant(Tensor::scalar(change)), summed }))
    }

    fn rerun(&self, node: usize, value: Var<'t, F>) -> Option<GraphResult<F>> {
        match value.peek() {
            Ok(value) => self.recording().graph.rerun(&self.stochastic_node(node).address, value),
            Err(error) => Some(Err(error.into())),
        }
    }
}
