//! Changes of costs when the elements of a value are replaced one at a time, computed for host code.

use crate::analysis::recording::Recording;
use crate::error::GraphResult;
use crate::graph::node::StochasticNode;
use crate::method::cost_queries::PartNumber;
use crate::method::node_cost::ElementDifference;
use crate::replay::counterfactuals::{Counterfactuals, MEMBERS_PER_PASS};
use crate::replay::impossible::{Impossible, impossible_elements, is_impossible};
use std::ops::Range;
use stochgrad_tape::{Plate, PlateKind, PlateSet, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

impl<'t, F: Real> Counterfactuals<'_, 't, F> {
    /// See [`CostContext::element_differences`](crate::CostContext::element_differences).
    pub(crate) fn host_differences(
        &self,
        node: usize,
        parts: &[PartNumber],
        alternatives: &[Tensor<F>],
        element_rank: usize,
    ) -> GraphResult<Vec<ElementDifference<F>>> {
        let value = self.stochastic_node(node).value;
        let cone = self.cone(node);
        let coupled = self.reduced_downstream(node, &cone)?;
        let grid = Grid::new(self.recording(), node, alternatives.len(), element_rank, &coupled);
        let sample = value.peek()?;
        if let Err(error) = self.check_host_reads(node, &cone) {
            // Running the model again gives only the total of all costs.
            let all = parts.len() == self.recording().downstream(node).count();
            let rerun = all.then(|| self.rerun_differences(node, &sample, alternatives, element_rank)).flatten();
            return rerun.unwrap_or(Err(error));
        }
        let mut collected: Vec<(PlateSet, Collected<F>)> = Vec::new();
        let per_pass = (MEMBERS_PER_PASS / grid.members.max(1)).max(1);
        let mut start = 0;
        while start < grid.total() {
            let count = per_pass.min(grid.total() - start);
            let mark = self.tape().len();
            let plate = self.tape().plate("alternatives", count, PlateKind::Alternatives, &value.plates());
            let mut plates = value.plates();
            plates.push(plate);
            let replaced = self.tape().constant_on(&plates, grid.replaced(&sample, alternatives, start, count));
            let ids = self.rerecord(node, replaced, &cone, false)?;
            let places = start..start + count;
            let impossible =
                Impossible::new(|| self.impossible_places(node, alternatives, &grid, places.clone(), &coupled, plate));
            for (missing, difference) in self.differences(node, parts, &ids, &coupled, Some(plate), &impossible)? {
                let difference = difference.peek()?;
                let slot = match collected.iter().position(|(known, _)| *known == missing) {
                    Some(slot) => slot,
                    None => {
                        collected
                            .push((missing.clone(), Collected::new(self.recording(), node, &grid, &coupled, &missing)));
                        collected.len() - 1
                    }
                };
                collected[slot].1.put(&grid, start, count, &difference);
            }
            self.tape().truncate(mark);
            start += count;
        }
        let finished = collected.into_iter().map(|(missing, collected)| collected.finish(coupled.union(&missing)));
        Ok(finished.collect())
    }

    /// A mask of the places of a pass over the grid that are impossible, on the plates whose members do not meet and on
    /// that of the alternatives.
    fn impossible_places(
        &self,
        node: usize,
        alternatives: &[Tensor<F>],
        grid: &Grid,
        places: Range<usize>,
        coupled: &PlateSet,
        plate: Plate,
    ) -> GraphResult<Var<'t, F>> {
        let plates = PlateSet::from(self.stochastic_node(node).value.plates());
        let masks = alternatives.iter().map(|alternative| {
            impossible_elements(self.recording(), node, self.tape().constant_on(&plates, alternative.clone()))?
                .peek()
                .map_err(Into::into)
        });
        let masks = masks.collect::<GraphResult<Vec<Tensor<F>>>>()?;
        let mut kept = plates.without(coupled);
        let sizes = |plates: &[Plate]| plates.iter().map(|&plate| self.tape().plate_size(plate)).collect::<Vec<_>>();
        let (all, own) = (sizes(&plates), sizes(&kept));
        let (members, count) = (own.iter().product::<usize>(), places.len());
        let mut impossible = vec![F::ZERO; members * count];
        for member in 0..grid.members {
            let at = plates.project(member, &all, &kept) * count;
            for place in places.clone() {
                let (alternative, element, changed) = grid.place(place);
                if changed == grid.coupled_index[member] {
                    impossible[at + place - places.start] =
                        masks[alternative].as_slice()[member * grid.elements + element];
                }
            }
        }
        kept.insert(plate);
        let shape: Shape = own.into_iter().chain([count]).collect();
        Ok(self.tape().constant_on(&kept, Tensor::from_fn(shape, |i| impossible[i])))
    }

    /// The differences by running the model again for every element and member, for host code that branched on a value
    /// that changes; `None` if the model was not given as a function.
    fn rerun_differences(
        &self,
        node: usize,
        sample: &Tensor<F>,
        alternatives: &[Tensor<F>],
        element_rank: usize,
    ) -> Option<GraphResult<Vec<ElementDifference<F>>>> {
        let StochasticNode { address, value, plates, .. } = self.stochastic_node(node);
        let grid = Grid::new(self.recording(), node, alternatives.len(), element_rank, &value.plates().into());
        let primal = match self.recording().graph.rerun(address, sample.clone())? {
            Ok(primal) => primal,
            Err(error) => return Some(Err(error)),
        };
        let mut values = vec![vec![F::ZERO; grid.members * grid.elements]; alternatives.len()];
        for place in 0..grid.total() {
            let (alternative, element, member) = grid.place(place);
            let mut changed = sample.clone();
            let at =
                (member * grid.elements + element) * grid.width..(member * grid.elements + element + 1) * grid.width;
            changed.make_mut()[at.clone()].copy_from_slice(&alternatives[alternative].as_slice()[at]);
            let place = member * grid.elements + element;
            let cost = match self.recording().graph.rerun(address, changed)? {
                Ok(cost) if cost.to_f64().is_finite() => cost,
                Ok(cost) => match is_impossible(self.recording(), node, &alternatives[alternative], place) {
                    Ok(true) => F::ZERO,
                    Ok(false) => cost,
                    Err(error) => return Some(Err(error)),
                },
                Err(error) => return Some(Err(error)),
            };
            values[alternative][place] = cost - primal;
        }
        let sizes = value.plates().iter().map(|&plate| self.tape().plate_size(plate)).collect::<Vec<_>>();
        let shape: Shape = sizes.into_iter().chain(grid.independent.iter().copied()).collect();
        let values = values.into_iter().map(|values| Tensor::from_fn(shape.clone(), |i| values[i])).collect();
        // A total cost is averaged already, so all plates are summed.
        Some(Ok(vec![ElementDifference { plates: value.plates(), values, summed: plates.as_plates().clone() }]))
    }
}

/// The alternatives of all elements in order: alternative by alternative, then element by element, and then, along
/// coupled plates, member by member.
struct Grid {
    alternatives: usize,
    /// The number of independent elements of one value, and the size of each.
    elements: usize,
    width: usize,
    independent: Shape,
    /// The number of plates of the value, and of combinations of their members.
    plates: usize,
    members: usize,
    /// The member index over the coupled plates, for each member.
    coupled_index: Vec<usize>,
    coupled_members: usize,
}

impl Grid {
    fn new<F: Real>(
        recording: &Recording<'_, '_, F>,
        node: usize,
        alternatives: usize,
        element_rank: usize,
        coupled: &PlateSet,
    ) -> Self {
        let value = recording.nodes[node].value;
        let event = value.shape();
        let split = event.len().saturating_sub(element_rank);
        let plates = PlateSet::from(value.plates());
        let sizes: Vec<usize> = plates.iter().map(|&plate| recording.tape.plate_size(plate)).collect();
        let members = sizes.iter().product();
        let coupled_index = (0..members).map(|member| plates.project(member, &sizes, coupled)).collect();
        Grid {
            alternatives,
            elements: event[..split].iter().product(),
            width: event[split..].iter().product(),
            independent: Shape::from(&event[..split]),
            plates: plates.len(),
            members,
            coupled_index,
            coupled_members: coupled.iter().map(|&plate| recording.tape.plate_size(plate)).product(),
        }
    }

    fn total(&self) -> usize {
        self.alternatives * self.elements * self.coupled_members
    }

    /// Alternative, element and member over the coupled plates of a place on the grid.
    fn place(&self, place: usize) -> (usize, usize, usize) {
        let (rest, member) = (place / self.coupled_members, place % self.coupled_members);
        (rest / self.elements, rest % self.elements, member)
    }

    fn replaced<F: Real>(
        &self,
        sample: &Tensor<F>,
        alternatives: &[Tensor<F>],
        start: usize,
        count: usize,
    ) -> Tensor<F> {
        let row = self.elements * self.width;
        let x = sample.as_slice();
        let mut y: Vec<F> = Vec::with_capacity(self.members * count * row);
        for member in 0..self.members {
            let own = member * row..(member + 1) * row;
            for place in start..start + count {
                let (alternative, element, coupled) = self.place(place);
                let at = y.len() + element * self.width;
                y.extend_from_slice(&x[own.clone()]);
                if coupled == self.coupled_index[member] {
                    let from = own.start + element * self.width;
                    y[at..at + self.width]
                        .copy_from_slice(&alternatives[alternative].as_slice()[from..from + self.width]);
                }
            }
        }
        let (plates, event) = sample.shape().split_at(self.plates);
        let shape: Shape = plates.iter().chain([&count]).chain(event).copied().collect();
        Tensor::from_fn(shape, |i| y[i])
    }
}

/// Differences, collected in the order of the node's plates.
struct Collected<F: Real> {
    plates: PlateSet,
    sizes: Vec<usize>,
    kept: PlateSet,
    coupled: PlateSet,
    independent: Shape,
    values: Vec<Vec<F>>,
}

impl<F: Real> Collected<F> {
    fn new(recording: &Recording<'_, '_, F>, node: usize, grid: &Grid, coupled: &PlateSet, missing: &PlateSet) -> Self {
        let own = &recording.nodes[node].plates;
        let kept = own.without(coupled).without(missing);
        let plates = kept.union(coupled);
        let sizes: Vec<usize> = plates.iter().map(|&plate| recording.tape.plate_size(plate)).collect();
        let len = sizes.iter().product::<usize>() * grid.elements;
        Collected {
            plates,
            sizes,
            kept,
            coupled: coupled.clone(),
            independent: grid.independent.clone(),
            values: vec![vec![F::ZERO; len]; grid.alternatives],
        }
    }

    /// Copies differences of shape `[kept plates, count]` to their places.
    fn put(&mut self, grid: &Grid, start: usize, count: usize, differences: &Tensor<F>) {
        let members: usize = self.sizes.iter().product();
        for member in 0..members {
            let kept = self.plates.project(member, &self.sizes, &self.kept);
            let coupled = self.plates.project(member, &self.sizes, &self.coupled);
            for place in start..start + count {
                let (alternative, element, changed) = grid.place(place);
                if changed == coupled {
                    self.values[alternative][member * grid.elements + element] =
                        differences.as_slice()[kept * count + place - start];
                }
            }
        }
    }

    fn finish(self, summed: PlateSet) -> ElementDifference<F> {
        let shape: Shape = self.sizes.iter().copied().chain(self.independent.iter().copied()).collect();
        let values = self.values.into_iter().map(|values| Tensor::from_fn(shape.clone(), |i| values[i])).collect();
        ElementDifference { plates: self.plates.into(), values, summed: summed.into() }
    }
}
