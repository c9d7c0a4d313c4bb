//! Leave-one-out: the mean cost of the other samples. It is the best choice for a node with several samples, and has
//! nothing to tune.
//!
//! $$b_k = \frac{1}{K - 1} \sum_{j \ne k} f(x_j) = \frac{K \bar f - f(x_k)}{K - 1}$$
//!
//! for $K \ge 2$ independent members. With two members the baseline is itself a single sample, and can be worse than
//! none (Salimans & Knowles 2014; Kool et al. 2019). The variance of the gradient is that of a U-statistic,
//! $\frac{2}{K(K-1)} [2(K-2)\zeta_1 + \zeta_2]$.
//!
//! Samples that a sampling scheme draws depend on one another. With $G \ge 2$ independent groups of them, the baseline of
//! all members of a group is the mean cost of the other groups:
//!
//! $$b_g = \frac{1}{G - 1} \sum_{h \ne g} \frac1n \sum_{i=1}^n f(x_{hi}).$$
//!
//! A cost that depends on all members jointly (the log-mean-exp of IWAE) has no member that could be left out, and gets
//! no baseline.

use super::{Baseline, Baselines, Memory, independent_members};
use stochgrad_distributions::{Distribution, DistributionError};
use stochgrad_graph::{CostContext, GraphResult, NodeCost, SampleContext, SamplePlate, SampleSet, groups_around};
use stochgrad_tape::{Plate, PlateKind};
use stochgrad_tensor::Real;

/// The mean cost of the other members of the node's sample plate, its own or a shared one.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeaveOneOut;

impl LeaveOneOut {
    /// Draws independent samples for a method that needs at least two of them. `method` is its name, for the error
    /// message.
    ///
    /// # Errors
    /// If there is only one sample, and those of [`SampleContext::independent`].
    pub fn sampled<'t, F: Real>(
        self,
        context: &SampleContext<'_, 't, F>,
        distribution: &impl Distribution<'t, F>,
        plate: SamplePlate,
        method: &str,
    ) -> GraphResult<SampleSet<'t, F>> {
        let set = context.independent(distribution, plate)?;
        let members = set.plate.map_or(1, |plate| independent_members(context.tape(), plate));
        self.check(members).map_err(|problem| {
            let problem = format!("{method}: {problem}");
            context.error(DistributionError::Unsupported { distribution: distribution.name(), problem })
        })?;
        Ok(set)
    }
}

impl LeaveOneOut {
    /// For groups of members that a sampling scheme draws, the mean cost of the other groups.
    fn of_groups<'t, F: Real>(self, context: &CostContext<'_, 't, F>, members: Plate) -> GraphResult<Baselines<'t, F>> {
        let tape = context.tape();
        let count = independent_members(tape, members);
        self.check_groups(count).map_err(|problem| context.refused(problem))?;
        let Some(groups) = groups_around(tape, members) else { return Ok(Baselines::default()) };
        let carries =
            |cost: &NodeCost<'t, F>| [groups, members].iter().all(|plate| cost.value.plates().contains(plate));
        let separate = context.totals()?.into_iter().filter(carries);
        let values = separate.map(|cost| {
            let mean = cost.value.mean_over(members);
            let others = (mean.sum_over(groups) - mean) * (1.0 / (count - 1) as f64);
            (cost, others)
        });
        Ok(Baselines::new(values))
    }
}

impl Memory for LeaveOneOut {
    fn name(&self) -> Option<String> {
        Some("leave-one-out".into())
    }

    fn check(&self, members: usize) -> Result<(), String> {
        if members >= 2 {
            return Ok(());
        }
        Err(format!(
            "leave-one-out needs at least 2 independent samples, got {members}; ask for them with .samples(2) or more, \
             or with .on_plate(plate) for a plate of samples, or use another baseline"
        ))
    }

    fn check_groups(&self, groups: usize) -> Result<(), String> {
        self.check(groups)
    }

    fn sees_other_members(&self) -> bool {
        true
    }
}

impl<F: Real> Baseline<F> for LeaveOneOut {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        _distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let tape = context.tape();
        let plate = context.plate();
        if let Some(members) = plate.filter(|&plate| tape.plate_kind(plate) == PlateKind::SchemeSamples) {
            return self.of_groups(context, members);
        }
        let members = plate.map_or(1, |plate| tape.whole_plate_size(plate));
        let Some(plate) = plate.filter(|_| members >= 2) else {
            let problem = self.check(members).err();
            return Err(context.refused(problem.unwrap_or_else(|| "leave-one-out needs a sample plate".into())));
        };
        let separate = context.totals()?.into_iter().filter(|cost| cost.value.plates().contains(&plate));
        let values = separate.map(|cost| {
            let others = (cost.value.sum_over(plate) - cost.value) * (1.0 / (members - 1) as f64);
            (cost, others)
        });
        Ok(Baselines::new(values))
    }
}
