//! Changes of costs as recorded operations, which a compiled graph can repeat.
//!
//! All elements of a node are replaced one at a time, along a new plate. A method that selects elements by itself
//! replaces the whole value.

use crate::error::GraphResult;
use crate::method::cost_queries::PartNumber;
use crate::method::node_cost::{CostChange, RecordedDifference};
use crate::replay::counterfactuals::{Counterfactuals, MEMBERS_PER_PASS};
use crate::replay::impossible::{Impossible, impossible_elements, impossible_value};
use stochgrad_tape::{IdMap, PlateKind, PlateSet, Plates, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

impl<'t, F: Real> Counterfactuals<'_, 't, F> {
    /// See [`CostContext::recorded_differences`](crate::CostContext::recorded_differences).
    pub(crate) fn differences_on_tape(
        &self,
        node: usize,
        parts: &[PartNumber],
        alternatives: &[Var<'t, F>],
        element_rank: usize,
    ) -> GraphResult<Option<Vec<RecordedDifference<'t, F>>>> {
        let value = self.stochastic_node(node).value;
        let event = value.shape();
        let independent = Shape::from(&event[..event.len().saturating_sub(element_rank)]);
        let cone = self.cone(node);
        let coupled = self.reduced_downstream(node, &cone)?;
        if !coupled.is_empty() || self.check_host_reads(node, &cone).is_err() {
            return Ok(None);
        }
        let elements = independent.numel();
        let members: usize = value.plates().iter().map(|&plate| self.tape().plate_size(plate)).product();
        let total = alternatives.len() * elements;
        if elements > 1 && members * total > MEMBERS_PER_PASS {
            return Ok(None);
        }
        let mut found: Vec<(PlateSet, Vec<Var<'t, F>>)> = Vec::new();
        let mut put =
            |missing: PlateSet, difference: Var<'t, F>| match found.iter_mut().find(|(known, _)| *known == missing) {
                Some((_, values)) => values.push(difference),
                None => found.push((missing, vec![difference])),
            };
        let spread = |alternative: &Var<'t, F>| {
            alternative.stop_gradient().broadcast_to(event.clone()).expand_plates(&value.plates())
        };
        if elements == 1 {
            for alternative in alternatives {
                let replaced = spread(alternative);
                let ids = self.rerecord(node, replaced, &cone, false)?;
                let impossible = Impossible::new(|| impossible_value(self.recording(), node, replaced, &coupled));
                for (missing, difference) in self.differences(node, parts, &ids, &coupled, None, &impossible)? {
                    put(missing, difference.reshape(independent.clone()));
                }
            }
        } else if total > 0 {
            let stacked: Vec<Var<'t, F>> =
                alternatives.iter().map(|alternative| spread(alternative).unsqueeze(0)).collect();
            let stacked = Var::stack(&stacked)?;
            let own: Shape = std::iter::once(elements).chain(event.iter().copied()).collect();
            let width = event.numel() / elements.max(1);
            let chosen = |i: usize| if i / (elements * width) == i / width % elements { F::ONE } else { F::ZERO };
            let chosen = self.tape().constant(Tensor::from_fn(own, chosen));
            let replaced = chosen.select(stacked, value.stop_gradient());
            let plate = self.tape().plate("alternatives", total, PlateKind::Alternatives, &value.plates());
            let flat: Shape = std::iter::once(total).chain(event.iter().copied()).collect();
            let replaced = replaced.reshape(flat).event_to_plate(plate);
            let ids = self.rerecord(node, replaced, &cone, false)?;
            let each: Shape = std::iter::once(alternatives.len()).chain(independent.iter().copied()).collect();
            let impossible = Impossible::new(|| {
                let masks = alternatives.iter().map(|alternative| {
                    Ok(impossible_elements(self.recording(), node, spread(alternative))?.reshape([elements]))
                });
                let masks = Var::stack(&masks.collect::<GraphResult<Vec<_>>>()?)?;
                Ok(masks.reshape([total]).event_to_plate(plate))
            });
            for (missing, difference) in self.differences(node, parts, &ids, &coupled, Some(plate), &impossible)? {
                let difference = difference.plate_to_event(plate).reshape(each.clone());
                (0..alternatives.len()).for_each(|alternative| put(missing.clone(), difference.index(0, alternative)));
            }
        }
        self.tape().check()?;
        Ok(Some(
            found.into_iter().map(|(summed, values)| RecordedDifference { values, summed: summed.into() }).collect(),
        ))
    }

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
            if parts.len() < self.recording().downstream(node).count() {
                return Err(error);
            }
            let Some(primal) = self.recording().graph.rerun(&own.address, own.value.peek()?) else { return Err(error) };
            let Some(again) = self.recording().graph.rerun(&own.address, replaced.peek()?) else { return Err(error) };
            let change = self.tape().constant(Tensor::scalar(again? - primal?));
            // A total cost is averaged already, so all plates are summed.
            return Ok(vec![CostChange { value: change, summed: own.plates.as_plates().clone() }]);
        }
        let coupled = self.reduced_downstream(node, &cone)?;
        let ids: IdMap = self.rerecord(node, replaced, &cone, false)?;
        let impossible = Impossible::new(|| impossible_value(self.recording(), node, replaced, &coupled));
        let differences = self
            .differences(node, parts, &ids, &coupled, None, &impossible)?
            .into_iter()
            .map(|(missing, value)| CostChange { value, summed: coupled.union(&missing).into() });
        Ok(differences.collect())
    }
}
