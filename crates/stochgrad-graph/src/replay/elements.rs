//! Changes of costs when the elements of a value are replaced one at a time, as recorded operations.
//!
//! All alternatives of all elements lie along a new plate, in several passes if they are too many for one. Members that
//! meet downstream are changed one at a time, too.

use crate::error::GraphResult;
use crate::method::cost_queries::PartNumber;
use crate::method::node_cost::ElementDifference;
use crate::method::places::Places;
use crate::replay::counterfactuals::{Counterfactuals, MEMBERS_PER_PASS};
use crate::replay::element_products::{ElementChanges, ElementProducts};
use crate::replay::impossible::{Impossible, impossible_elements, impossible_value};
use std::ops::Range;
use stochgrad_tape::{Id, PlateKind, PlateSet, Tape, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// Differences of costs by the plates that the costs lack, and for each alternative, in pieces.
type Pieces<'t, F> = Vec<(PlateSet, Vec<Vec<Var<'t, F>>>)>;

impl<'t, F: Real> Counterfactuals<'_, 't, F> {
    /// See [`CostContext::element_differences`](crate::CostContext::element_differences).
    pub(crate) fn differences_of_elements(
        &self,
        node: usize,
        parts: &[PartNumber],
        alternatives: &[Var<'t, F>],
        element_rank: usize,
    ) -> GraphResult<Vec<ElementDifference<'t, F>>> {
        let value = self.stochastic_node(node).value;
        let spread = |alternative: &Var<'t, F>| {
            alternative.stop_gradient().broadcast_to(value.shape()).expand_plates(&value.plates())
        };
        let alternatives: Vec<Var<'t, F>> = alternatives.iter().map(spread).collect();
        let cone = self.cone(node);
        if let Err(error) = self.check_host_reads(node, &cone) {
            // Running the model again gives only the total of all costs.
            let all = parts.len() == self.recording().downstream(node).count();
            let rerun = all.then(|| self.rerun_differences(node, &alternatives, element_rank)).flatten();
            return rerun.unwrap_or(Err(error));
        }
        let coupled = self.reduced_downstream(node, &cone)?;
        let places = Places::new(value, element_rank, &coupled);
        let members: usize = value.plates().iter().map(|&plate| self.tape().plate_size(plate)).product();
        let pass = Pass { node, parts, cone: &cone, places: &places };
        let mut found: Pieces<'t, F> = Vec::new();
        let mut put = |alternative: usize, differences: Vec<(PlateSet, Var<'t, F>)>| {
            for (missing, difference) in differences {
                let at = found.iter().position(|(known, _)| *known == missing).unwrap_or_else(|| {
                    found.push((missing, vec![Vec::new(); alternatives.len()]));
                    found.len() - 1
                });
                found[at].1[alternative].push(difference);
            }
        };
        let most = (MEMBERS_PER_PASS / members.max(1)).max(1);
        if places.count() == 1 {
            for (number, &alternative) in alternatives.iter().enumerate() {
                put(number, self.replaced_as_a_whole(&pass, alternative)?);
            }
        } else if places.count() * alternatives.len() <= most {
            let all = self.replaced_places(&pass, &alternatives, 0..places.count())?;
            for number in 0..alternatives.len() {
                put(number, all.iter().map(|(missing, all)| (missing.clone(), all.index(0, number))).collect());
            }
        } else {
            for (number, &alternative) in alternatives.iter().enumerate() {
                for start in (0..places.count()).step_by(most) {
                    let range = start..(start + most).min(places.count());
                    let some = self.replaced_places(&pass, &[alternative], range)?;
                    put(number, some.into_iter().map(|(missing, some)| (missing, some.index(0, 0))).collect());
                }
            }
        }
        self.tape().check()?;
        let mut differences = Vec::new();
        for (missing, by_alternative) in found {
            let values = by_alternative.iter().map(|pieces| match pieces[..] {
                [whole] => Ok(places.unfold(whole)),
                _ => Ok(places.unfold(Var::concat(pieces, 0)?)),
            });
            let values = values.collect::<GraphResult<_>>()?;
            differences.push(ElementDifference { values, summed: coupled.union(&missing).into() });
        }
        Ok(differences)
    }

    /// The differences for a value of a single element.
    fn replaced_as_a_whole(
        &self,
        pass: &Pass<'_>,
        alternative: Var<'t, F>,
    ) -> GraphResult<Vec<(PlateSet, Var<'t, F>)>> {
        let none = PlateSet::new();
        let ids = self.rerecord(pass.node, alternative, pass.cone)?;
        let impossible = Impossible::new(|| impossible_value(self.recording(), pass.node, alternative, &none));
        self.differences(pass.node, pass.parts, &ids, &none, None, &impossible)
    }

    /// The differences for a range of the places of each alternative, of the shape alternatives, places.
    fn replaced_places(
        &self,
        pass: &Pass<'_>,
        alternatives: &[Var<'t, F>],
        range: Range<usize>,
    ) -> GraphResult<Vec<(PlateSet, Var<'t, F>)>> {
        let Pass { node, parts, cone, places } = *pass;
        let (tape, value) = (self.tape(), self.stochastic_node(node).value);
        let (event, each) = (value.shape(), Shape::from(&[alternatives.len(), range.len()][..]));
        let total = each.numel();
        let stacked: Vec<Var<'t, F>> = alternatives.iter().map(|alternative| alternative.unsqueeze(0)).collect();
        let stacked = Var::stack(&stacked)?;
        let replaced = mask(tape, places, range.clone()).select(stacked, value.stop_gradient());
        let plate = tape.plate("alternatives", total, PlateKind::Alternatives, &value.plates());
        let flat: Shape = std::iter::once(total).chain(event.iter().copied()).collect();
        // With all elements in the pass, and no members besides, products of matrices need one row for each.
        let all = places.folded.is_empty() && range.len() == places.count();
        let products = all.then(|| {
            let (alternatives, elements) = (alternatives.len(), places.count());
            let width = event.numel() / elements.max(1);
            ElementProducts::new(value, stacked, ElementChanges { plate, alternatives, elements, width })
        });
        let replaced = replaced.reshape(flat).event_to_plate(plate);
        let ids = self.rerecord_elements(node, replaced, cone, products)?;
        let impossible = Impossible::new(|| {
            let masks = alternatives.iter().map(|&alternative| {
                let mask = impossible_elements(self.recording(), node, alternative)?;
                Ok(places.fold(mask).reshape([places.count()]).slice(0, range.clone()))
            });
            let masks = Var::stack(&masks.collect::<GraphResult<Vec<_>>>()?)?;
            Ok(masks.reshape([total]).event_to_plate(plate))
        });
        let found = self.differences(node, parts, &ids, &places.folded, Some(plate), &impossible)?;
        let unfold = |(missing, difference): (PlateSet, Var<'t, F>)| {
            (missing, difference.plate_to_event(plate).reshape(each.clone()))
        };
        Ok(found.into_iter().map(unfold).collect())
    }
}

/// What all passes over the alternatives of a node have in common.
#[derive(Clone, Copy)]
struct Pass<'a> {
    node: usize,
    parts: &'a [PartNumber],
    cone: &'a [Id],
    places: &'a Places,
}

/// 1 at the place of each position along a first axis, and 0 elsewhere, on the folded plates and the event axes.
fn mask<'t, F: Real>(tape: &'t Tape<F>, places: &Places, range: Range<usize>) -> Var<'t, F> {
    let (row, elements) = (places.event.numel(), places.independent.numel());
    let width = row / elements.max(1);
    let shape: Shape = places.sizes.iter().chain([&range.len()]).chain(&*places.event).copied().collect();
    let mask = Tensor::from_fn(shape, |i| {
        let (member, place, element) = (i / row / range.len(), i / row % range.len(), i % row / width);
        F::from_usize(usize::from(range.start + place == member * elements + element))
    });
    tape.constant_on(&places.folded, mask)
}
