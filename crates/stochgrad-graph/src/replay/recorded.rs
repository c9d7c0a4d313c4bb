//! Changes of costs when a whole value is replaced, as recorded operations.

use crate::error::GraphResult;
use crate::method::cost_queries::PartNumber;
use crate::method::node_cost::CostChange;
use crate::replay::counterfactuals::Counterfactuals;
use crate::replay::impossible::{Impossible, impossible_value};
use stochgrad_tape::{IdMap, Plates, Var};
use stochgrad_tensor::Real;

impl<'t, F: Real> Counterfactuals<'_, 't, F> {
    /// See [`CostContext::coupled_plates`](crate::CostContext::coupled_plates).
    pub(crate) fn plates_to_choose_from(&self, node: usize) -> GraphResult<Plates> {
        let value = self.stochastic_node(node).value;
        let cone = self.cone(node);
        // If the model is run again as a whole, all members meet in its total cost.
        if self.check_host_reads(node, &cone).is_err() {
            return Ok(value.plates());
        }
        Ok(self.reduced_downstream(node, &cone)?.into())
    }

    /// See [`CostContext::change`](crate::CostContext::change).
    pub(crate) fn changed_costs(
        &self,
        node: usize,
        parts: &[PartNumber],
        value: Var<'t, F>,
    ) -> GraphResult<Vec<CostChange<'t, F>>> {
        let own = self.stochastic_node(node);
        let cone = self.cone(node);
        let replaced = value.stop_gradient().broadcast_to(own.value.shape()).expand_plates(&own.value.plates());
        if let Err(error) = self.check_host_reads(node, &cone) {
            let all = parts.len() == self.recording().downstream(node).count();
            let rerun = all.then(|| self.rerun_change(node, replaced)).flatten();
            return rerun.map_or(Err(error), |change| Ok(vec![change?]));
        }
        let coupled = self.reduced_downstream(node, &cone)?;
        let ids: IdMap = self.rerecord(node, replaced, &cone)?;
        let impossible = Impossible::new(|| impossible_value(self.recording(), node, replaced, &coupled));
        let differences = self
            .differences(node, parts, &ids, &coupled, None, &impossible)?
            .into_iter()
            .map(|(missing, value)| CostChange { value, summed: coupled.union(&missing).into() });
        Ok(differences.collect())
    }
}
