//! The pathwise derivative: differentiates samples as functions of parameters and noise. Use it for reparameterised
//! distributions whenever the cost is continuous, since its variance is usually the lowest.
//!
//! $$\nabla_\theta\, E_{p_\theta}[f(x)] = E_{\varepsilon}\big[\nabla_x f(x)\, \nabla_\theta\, g(\varepsilon; \theta)\big],
//!     \quad x = g(\varepsilon; \theta),\ \varepsilon \sim p(\varepsilon).$$
//!
//! Glasserman (1991) as infinitesimal perturbation analysis; Kingma and Welling (2014) and Rezende et al. (2014) as
//! reparameterisation; Figurnov et al. (2018) for the implicit form, through the distribution function.
//!
//! **Assumptions.** The cost is continuous in the sample. Every path is checked from the value to a cost, to weights,
//! and to the parameters of another node that passes no gradients. A comparison, a rounding or an index on it is an
//! error, and so is a branch of host code on the value.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | any through smooth operations, 1 through a kink (`relu`, `abs`, `max`); along implicit paths that of the distribution, 1 or 2 |
//! | cost evaluations | one a sample, and one backward pass |
//! | requirement on the cost | a derivative with respect to the sample |

pub(crate) mod generalized;
pub(crate) mod implicit;
pub(crate) mod pairwise;
pub(crate) mod smoothed_perturbation;

use crate::common::sampling::Sampling;
use crate::sampling_setters;
use stochgrad_distributions::{Family, Reparameterized};
use stochgrad_graph::{
    Access, Count, GradientMethod, GraphResult, Guarantee, Method, Order, Path, Profile, SampleContext, SamplePlate,
    SampleSet, check_parameter_paths, path_order,
};
use stochgrad_tensor::Real;

/// The pathwise derivative, for reparameterised distributions and costs that are continuous in the sample.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::Pathwise;
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let mu = graph.param("mu", 0.5)?;
/// let x = graph.sample("x", &Normal::new(mu, 1.0), &Pathwise::new().samples(8))?;
/// graph.cost("square", x.square())?;
/// let surrogate = graph.surrogate()?;
/// let second = surrogate.directional(&[("mu", stochgrad_tensor::Tensor::scalar(1.0))], 2)?;
/// assert!((second.item()? - 2.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pathwise {
    sampling: Sampling,
    assume_continuous: bool,
}

impl Pathwise {
    /// Draws one sample.
    pub fn new() -> Self {
        Self::default()
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }

    /// Accepts jumps on the paths from the value, and takes the derivative where it exists. The gradient is unbiased
    /// only if the jumps cancel, for example where two branches meet. Order 1.
    pub fn assume_continuous(self) -> Self {
        Pathwise { assume_continuous: true, ..self }
    }
}

impl Method for Pathwise {
    fn name(&self) -> String {
        let assumed = if self.assume_continuous { ", continuity assumed" } else { "" };
        format!("pathwise ({}{assumed})", self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any)
            .backward_passes(Count::exactly(1), Access::Derivatives)
            .times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }

    fn is_rerecordable(&self) -> bool {
        true
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Pathwise
where
    for<'t> D::On<'t>: Reparameterized<'t, F>,
{
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        check_parameter_paths(distribution)?;
        Ok(self.profile().guarantee(path).at_most(path_order(path, self.assume_continuous)?))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let (plate, draw) = self.sampling.members(context)?;
        let value = distribution.rsample(&draw).map_err(|source| context.error(source))?;
        Ok(SampleSet::equal(value, plate))
    }
}

#[cfg(test)]
mod tests;
