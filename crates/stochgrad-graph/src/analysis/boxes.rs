//! The magic boxes of the surrogate, and the sums of gradient functions inside them.
//!
//! Costs in a chain have thousands of different sets of ancestors. The sums over these sets share their parts, and
//! equal sums share one box.

use crate::analysis::facts::Analysis;
use crate::analysis::sums::{SubsetSums, members};
use crate::error::GraphResult;
use std::collections::HashMap;
use stochgrad_tape::{Id, PlateSet, Var};
use stochgrad_tensor::Real;

/// Sums over sets of nodes, as they act on a value with these plates.
type JointSums<'t, F> = HashMap<(Vec<u64>, PlateSet, Id), Option<Var<'t, F>>>;

/// The boxes of an analysed graph, each recorded once.
pub(crate) struct Boxes<'a, 't, F: Real> {
    analysis: &'a Analysis<'a, 't, F>,
    /// All plates that gradient functions carry.
    all_plates: PlateSet,
    boxes: HashMap<Id, Var<'t, F>>,
    sums: SubsetSums<'t, F>,
    joint_sums: JointSums<'t, F>,
}

impl<'a, 't, F: Real> Boxes<'a, 't, F> {
    pub(crate) fn new(analysis: &'a Analysis<'a, 't, F>) -> Self {
        let mut all_plates = PlateSet::new();
        analysis.gradient_functions.iter().flatten().for_each(|l| all_plates.merge(&l.plates()));
        Boxes { analysis, all_plates, boxes: HashMap::new(), sums: SubsetSums::new(), joint_sums: HashMap::new() }
    }

    /// A scalar times the box of the gradient functions of some nodes, given as a bit set. `caused` is the value that
    /// these nodes caused, and `plates` are the plates over which it is reduced.
    pub(crate) fn boxed(
        &mut self,
        scalar: Var<'t, F>,
        nodes: &[u64],
        plates: &PlateSet,
        caused: Var<'t, F>,
    ) -> GraphResult<Var<'t, F>> {
        let Some(exponent) = self.exponent(nodes, plates, caused.id())? else { return Ok(scalar) };
        Ok(scalar * *self.boxes.entry(exponent.id()).or_insert_with(|| exponent.magic_box()))
    }

    /// The sum of the gradient functions of some nodes, as they act on a value with the given plates.
    fn exponent(&mut self, nodes: &[u64], plates: &PlateSet, caused: Id) -> GraphResult<Option<Var<'t, F>>> {
        let analysis = self.analysis;
        if plates.contains_all(&self.all_plates) && analysis.mixing.is_plain(caused.index()) {
            return Ok(self.sums.sum(nodes, &|index| analysis.gradient_functions[index]));
        }
        let key = (nodes.to_vec(), plates.clone(), caused);
        if let Some(&known) = self.joint_sums.get(&key) {
            return Ok(known);
        }
        let mut sum: Option<Var<'t, F>> = None;
        for index in members(nodes) {
            let Some(l) = analysis.gradient_functions[index] else { continue };
            let joint = analysis.mixing.joint_plates(index, &l.plates(), plates, caused);
            let l = analysis.joint(index, l, &joint)?;
            sum = Some(sum.map_or(l, |sum| sum + l));
        }
        self.joint_sums.insert(key, sum);
        Ok(sum)
    }
}
