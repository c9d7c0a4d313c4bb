//! Random directions of all parameters of a node: the common part of SPSA and evolution strategies.

use crate::common::sampling::Sampling;
use crate::counterfactual::finite_difference::check_step;
use crate::counterfactual::shifted_parameters::{DrawDirection, direction_terms};
use stochgrad_distributions::Family;
use stochgrad_graph::{Access, Bias, CostContext, Count, GraphResult, Guarantee, Path, Profile, Terms};
use stochgrad_tensor::Real;

/// The width and number of the directions, and the samples whose parameters are moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RandomDirections {
    pub(crate) width: f64,
    pub(crate) count: usize,
    pub(crate) sampling: Sampling,
}

impl RandomDirections {
    /// One sample, and one direction with this width.
    pub(crate) fn new(width: f64) -> Self {
        RandomDirections { width, count: 1, sampling: Sampling::default() }
    }

    /// Sets the number of directions, at least one.
    pub(crate) fn count(self, count: usize) -> Self {
        RandomDirections { count: count.max(1), ..self }
    }

    /// The settings in words.
    pub(crate) fn describe(&self) -> String {
        let directions = match self.count {
            1 => String::new(),
            directions => format!("{directions} directions, "),
        };
        format!("width {}, {directions}{}", self.width, self.sampling.describe())
    }

    pub(crate) fn profile(&self) -> Profile {
        Profile::biased(Bias::Gradient)
            .evaluations(Count::exactly(self.count.saturating_mul(2).saturating_add(1)))
            .backward_passes(Count::exactly(0), Access::Values)
            .times(self.sampling.samples())
    }

    pub(crate) fn guarantee(&self, path: &Path) -> Result<Guarantee, String> {
        check_step(self.width)?;
        Ok(self.profile().guarantee(path))
    }

    /// The gradient terms, with directions drawn by `directions`.
    pub(crate) fn terms<'t, F: Real, D: Family<F>>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &D::On<'t>,
        directions: &DrawDirection<'_, 't, F>,
    ) -> GraphResult<Terms<'t, F>> {
        let gradient_terms =
            direction_terms::<F, D>(context, distribution, &self.sampling, (self.width, self.count), directions)?;
        Ok(Terms { gradient_terms, ..Terms::default() })
    }
}
