//! Discrete samples with the derivative of a continuous function: the common part of the straight-through methods.

use crate::common::sampling::Sampling;
use crate::relaxation::temperature::Temperature;
use stochgrad_distributions::Distribution;
use stochgrad_graph::{
    CostContext, GraphResult, Guarantee, Path, Profile, SampleContext, SampleSet, Terms, path_order,
};
use stochgrad_tensor::Real;

/// The settings of the samples, and the temperature of their derivative.
#[derive(Clone, Debug)]
pub(crate) struct HardSamples {
    pub(crate) temperature: Temperature,
    pub(crate) sampling: Sampling,
    assume_continuous: bool,
}

impl HardSamples {
    /// One sample.
    pub(crate) fn new(temperature: Temperature) -> Self {
        HardSamples { temperature, sampling: Sampling::default(), assume_continuous: false }
    }

    /// Accepts jumps on the paths from the value.
    pub(crate) fn assume_continuous(self) -> Self {
        HardSamples { assume_continuous: true, ..self }
    }

    /// The samples in words.
    pub(crate) fn describe(&self) -> String {
        self.sampling.describe()
    }

    /// The guarantee of a method with this profile for a path.
    pub(crate) fn guarantee(&self, profile: &Profile, path: &Path) -> Result<Guarantee, String> {
        Ok(profile.guarantee(path).at_most(path_order(path, self.assume_continuous)?))
    }

    /// Checks the temperature, and draws the samples.
    pub(crate) fn sampled<'t, F: Real>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &impl Distribution<'t, F>,
    ) -> GraphResult<SampleSet<'t, F>> {
        self.temperature.check(context, distribution)?;
        self.sampling.draw(context, distribution)
    }

    /// The updates of the temperature. There are no other terms, since the derivative is part of the value.
    pub(crate) fn terms<'t, F: Real>(&self, context: &CostContext<'_, 't, F>) -> GraphResult<Terms<'t, F>> {
        context.check_hidden_outcomes()?;
        Ok(Terms { updates: self.temperature.updates(context.tape()), ..Terms::default() })
    }
}
