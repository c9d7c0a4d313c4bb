//! Gumbel-softmax (Concrete): a continuous relaxation of a discrete node, and its straight-through form. Use it for
//! discrete nodes with a differentiable cost when the lowest variance matters more than a bias.
//!
//! A category is the argmax of logits plus Gumbel noise (for a bit, the sign of a logit plus logistic noise). Replacing
//! the argmax by a softmax at temperature $\tau$ makes it differentiable:
//!
//! $$y = \operatorname{softmax}\big((\eta + G)/\tau\big), \qquad
//!     g = \nabla_y f(y)\; \partial_\eta\, y, \qquad
//!     g_{\mathrm{ST}} = \nabla_x f(x)\big|_{x = \operatorname{argmax}(\eta + G)}\; \partial_\eta\, y.$$
//!
//! Jang et al. (2017); Maddison et al. (2017).
//!
//! There are two options. The derivative can be taken at another temperature than the value, with the same noise
//! ([`backward_temperature`](GumbelSoftmax::backward_temperature)): a low temperature of the value is close to the
//! vertices, and a high temperature of the derivative keeps the variance of the gradient low (Shah et al. 2024). And
//! the softmax can be replaced by a sparse map to the simplex ([`simplex_map`](GumbelSoftmax::simplex_map)), which
//! reaches the vertices.
//!
//! **Assumptions.** The cost is defined and differentiable between the vertices (plain) or at them (straight-through).
//! Paths from the value are checked as for [`Pathwise`](crate::Pathwise).
//!
//! | | plain | straight-through |
//! |---|---|---|
//! | bias | another distribution is sampled: costs and gradients are those of the relaxed model | of the gradient only; costs are right |
//! | order | any through smooth operations; 1 through a kink, with a sparse map, and with two temperatures | 1 |
//! | cost evaluations | one a sample, and one backward pass | the same |
//! | requirement on the cost | values and derivatives at interior points | derivatives at the vertices |
//!
//! The biased gradient can have the wrong sign at every temperature. For one bit with $\theta = 0.1$ and $f = (b -
//! 0.499)^2$ the gradient is $1.8 \cdot 10^{-4}$, and at $\tau = 1$ the plain form gives $-4.2 \cdot 10^{-2}$, the
//! straight-through one $-6.7 \cdot 10^{-2}$, on average.
//!
//! To evaluate a trained model with hard samples, sample the same distribution with `ScoreFunction::new()`, at the same
//! address and with the same noise source.

use crate::common::sampling::Sampling;
use crate::relaxation::simplex_map::SimplexMap;
use crate::relaxation::temperature::Temperature;
use crate::sampling_setters;
use stochgrad_distributions::{Distribution, DistributionError, Family, Relaxed};
use stochgrad_graph::{
    Access, Bias, CostContext, GradientMethod, GraphResult, Guarantee, Method, MethodSlots, Order, Path, Profile,
    SampleContext, SamplePlate, SampleSet, Terms, check_parameter_paths, path_order, sample_path_order,
};
use stochgrad_tensor::Real;

/// Gumbel-softmax samples, for distributions with a continuous relaxation.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{GumbelSoftmax, Temperature};
/// use stochgrad_graph::{Bias, Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let method = GumbelSoftmax::new(Temperature::exponential(1.0, 0.5, 1000)).straight_through();
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let logits = graph.param("logits", [0.2, -0.4])?;
/// let b = graph.sample("b", &Bernoulli::from_logits(logits), &method)?;
/// graph.cost("loss", (b - 0.45).square().sum())?;
/// assert_eq!(graph.backward()?.guarantee("logits")?.bias, Bias::Gradient);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GumbelSoftmax {
    temperature: Temperature,
    backward: Option<Temperature>,
    map: SimplexMap,
    sampling: Sampling,
    straight_through: bool,
    assume_continuous: bool,
}

impl GumbelSoftmax {
    /// Draws one relaxed sample at a temperature, which is a number or a [`Temperature`] that falls.
    pub fn new(temperature: impl Into<Temperature>) -> Self {
        GumbelSoftmax {
            temperature: temperature.into(),
            backward: None,
            map: SimplexMap::Softmax,
            sampling: Sampling::default(),
            straight_through: false,
            assume_continuous: false,
        }
    }

    /// Uses hard values, with the derivatives of the relaxed ones.
    pub fn straight_through(self) -> Self {
        GumbelSoftmax { straight_through: true, ..self }
    }

    /// Takes the derivative at another temperature, with the same noise. The temperature given to [`new`](Self::new) is
    /// then that of the values only, and has no effect on hard values.
    pub fn backward_temperature(self, temperature: impl Into<Temperature>) -> Self {
        GumbelSoftmax { backward: Some(temperature.into()), ..self }
    }

    /// Uses another map to the simplex instead of the softmax (or the sigmoid, for bits).
    pub fn simplex_map(self, map: SimplexMap) -> Self {
        GumbelSoftmax { map, ..self }
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }

    /// Accepts jumps on the paths from the value, as
    /// [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        GumbelSoftmax { assume_continuous: true, ..self }
    }

    /// The temperature of the values.
    pub fn temperature(&self) -> &Temperature {
        &self.temperature
    }
}

impl Method for GumbelSoftmax {
    fn name(&self) -> String {
        let map = match self.map {
            SimplexMap::Softmax => "softmax",
            SimplexMap::Entmax15 => "1.5-entmax",
            SimplexMap::Sparsemax => "sparsemax",
        };
        let form = if self.straight_through { "straight-through, " } else { "" };
        let backward = self.backward.as_ref().map(|backward| format!(", backward {backward}")).unwrap_or_default();
        format!("Gumbel-{map} ({form}{}{backward}, {})", self.temperature, self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        let profile = match self.straight_through {
            false if self.backward.is_none() && self.map.is_smooth() => {
                Profile { order: Order::Any, access: Access::Between, ..Profile::biased(Bias::Distribution) }
            }
            false => Profile { access: Access::Between, ..Profile::biased(Bias::Distribution) },
            true => Profile::biased(Bias::Gradient),
        };
        profile.times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }

    fn is_rerecordable(&self) -> bool {
        true
    }

    fn slots(&self) -> MethodSlots {
        match &self.backward {
            None => self.temperature.slots(),
            Some(backward) => self.temperature.slots().under("forward ").and(backward.slots().under("backward ")),
        }
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for GumbelSoftmax
where
    for<'t> D::On<'t>: Relaxed<'t, F>,
{
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        check_parameter_paths(distribution)?;
        let guarantee = self.profile().guarantee(path).at_most(sample_path_order(distribution));
        Ok(guarantee.at_most(path_order(path, self.assume_continuous)?))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        self.temperature.check(context, distribution)?;
        if !self.map.is_smooth() && distribution.element_rank() > 1 {
            return Err(context.error(DistributionError::Unsupported {
                distribution: distribution.name(),
                problem:
                    "sparse maps relax bits and one-hot vectors, and this distribution has a relaxation of its own; \
                          leave .simplex_map(…) out"
                        .into(),
            }));
        }
        let tape = context.tape();
        let (plate, draw) = self.sampling.members(context)?;
        let perturbed = distribution.perturbed(&draw).map_err(|source| context.error(source))?;
        let soft = |temperature: &Temperature| self.map.soften(distribution, perturbed, temperature.record(tape));
        let hard = || distribution.harden(perturbed);
        let value = match &self.backward {
            None if self.straight_through => hard().straight_through(soft(&self.temperature)),
            None => soft(&self.temperature),
            Some(backward) => {
                backward.check(context, distribution)?;
                let value = if self.straight_through { hard() } else { soft(&self.temperature) };
                value.straight_through(soft(backward))
            }
        };
        Ok(SampleSet::equal(value, plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let mut updates = self.temperature.updates(context.tape());
        updates.extend(self.backward.iter().flat_map(|backward| backward.updates(context.tape())));
        Ok(Terms { updates, ..Terms::default() })
    }
}

#[cfg(test)]
mod tests;
