//! Races between categories in which two of them swap their variates: the common part of ARSM and ARS.
//!
//! For independent exponential variates $e_c$, the first category to arrive, $\operatorname{argmin}_c e_c / p_c$, has
//! the distribution $p$, and so has the winner after any two categories have swapped their variates. Divided by their
//! sum, the variates are $\pi \sim \operatorname{Dir}(1, \dots, 1)$.

use crate::antithetic::arms::separate_costs;
use crate::enumeration::boundary::Boundary;
use stochgrad_distributions::{DistributionError, Family, IndependentCategories};
use stochgrad_graph::{CostContext, GradientTerm, GraphResult, SampleContext, SamplePlate, SampleSet, Terms};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape};

/// The swaps of a method: for each member of its set, the two categories that swap. If both are the same, nothing is
/// swapped.
pub(crate) struct Swaps {
    categories: usize,
    members: Vec<(usize, usize)>,
}

impl Swaps {
    /// The race without a swap, then all pairs of different categories.
    pub(crate) fn all(categories: usize) -> Self {
        let pairs = (0..categories).flat_map(|c| (c + 1..categories).map(move |j| (c, j)));
        Swaps { categories, members: std::iter::once((0, 0)).chain(pairs).collect() }
    }

    /// Every category swaps with a reference.
    pub(crate) fn with(reference: usize, categories: usize) -> Self {
        Swaps { categories, members: (0..categories).map(|c| (c, reference)).collect() }
    }

    /// The member for the swap of two categories.
    pub(crate) fn member(&self, c: usize, j: usize) -> usize {
        let same = |&(a, b): &(usize, usize)| (a == b && c == j) || (a, b) == (c.min(j), c.max(j));
        self.members.iter().position(same).unwrap_or(0)
    }

    /// The one-hot vectors of the winners, with the members along a new first axis.
    fn winners<'t, F: Real>(&self, numbers: Var<'t, F>, logs: Var<'t, F>) -> Var<'t, F> {
        let swapped = |&(a, b): &(usize, usize)| {
            (0..self.categories).map(move |c| {
                if c == a {
                    b
                } else if c == b {
                    a
                } else {
                    c
                }
            })
        };
        let order: Vec<usize> = self.members.iter().flat_map(swapped).collect();
        let shape = logs.shape();
        let (independent, _) = shape.split_at(shape.len().saturating_sub(1));
        let races: Shape = independent.iter().copied().chain([self.members.len(), self.categories]).collect();
        let times = numbers.ln().index_select(-1, &order).reshape(races) - logs.unsqueeze(-2);
        let winners = (-times).argmax(-1).one_hot(self.categories);
        let rank = independent.len();
        let axes: Vec<usize> = std::iter::once(rank).chain(0..rank).chain([rank + 1]).collect();
        winners.permute(&axes)
    }

    /// Draws a race, and the winners after each swap as the members of a plate.
    pub(crate) fn sample<'t, F: Real>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &impl IndependentCategories<'t, F>,
        setting: SamplePlate,
    ) -> GraphResult<SampleSet<'t, F>> {
        let logs = distribution.category_log_probs().stop_gradient();
        let (outer, plate) = context.joint_plate(setting, self.members.len())?;
        let numbers = context.draw(outer).record_exponential(context.tape(), &logs.shape());
        let numbers = numbers.map_err(|source| context.error(source))?;
        let value = distribution.value_from_one_hot(self.winners(numbers, logs).event_to_plate(plate));
        Ok(SampleSet::equal(value.drawn(), Some(plate)))
    }

    /// The gradient terms with respect to the log-probabilities. `gradient` is given the costs of the members along a
    /// first axis, and $\pi$.
    pub(crate) fn terms<'t, F: Real, D: Family<F>>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &D::On<'t>,
        gradient: impl Fn(Var<'t, F>, Var<'t, F>) -> Var<'t, F>,
    ) -> GraphResult<Terms<'t, F>>
    where
        D::On<'t>: IndependentCategories<'t, F>,
    {
        let mut terms = Terms::default();
        let Some(plate) = context.plate() else { return Ok(terms) };
        let boundary = Boundary::split(context, distribution)?;
        let logs = boundary.inside.category_log_probs();
        let numbers = context.sample_draw().record_exponential(context.tape(), &logs.shape());
        // The members share their noise.
        let numbers = numbers.map_err(|source| context.error(source))?.member(plate, 0);
        let pi = numbers / numbers.sum_axis(-1).unsqueeze(-1);
        for cost in separate_costs(context, plate)? {
            let gradient = gradient(cost.value.plate_to_event(plate), pi).stop_gradient();
            let value = context.tape().constant(0.0).straight_through((gradient * logs).sum());
            terms.gradient_terms.push(GradientTerm { value, summed: cost.joint });
        }
        terms.gradient_terms.extend(boundary.terms);
        Ok(terms)
    }
}

/// The number of categories of a distribution.
pub(crate) fn categories<'t, F: Real>(distribution: &impl IndependentCategories<'t, F>) -> usize {
    distribution.category_log_probs().shape().last().copied().unwrap_or(0)
}

/// Checks that there is a category with this number.
pub(crate) fn check_category<'t, F: Real>(
    context: &SampleContext<'_, 't, F>,
    distribution: &impl IndependentCategories<'t, F>,
    category: usize,
) -> GraphResult<()> {
    let count = categories(distribution);
    if category < count {
        return Ok(());
    }
    Err(context.error(DistributionError::Unsupported {
        distribution: distribution.name(),
        problem: format!("expected a reference category below {count}, got {category}; categories are counted from 0"),
    }))
}
