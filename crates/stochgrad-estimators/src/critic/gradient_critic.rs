//! A gradient critic: the derivative of the costs with respect to a sample is estimated by a critic instead of the
//! backward pass. Use it for reparameterised actions whose costs have no derivative, such as the rewards of an
//! environment.
//!
//! $$g = \nabla_\theta\, a(\varepsilon; \theta)^\top\, h(s, a), \qquad h(s, a) \approx \nabla_a\,
//!     \mathbb{E}[f \mid s, a],$$
//!
//! where $h = \nabla_a Q(s, a)$ is the derivative of an action value, or a recorded estimate of its own. Weber, Heess,
//! Buesing and Silver (2019), section 5; Heess et al. (2015) as stochastic value gradients, and Silver et al. (2014) in
//! the limit of deterministic actions.
//!
//! **Assumptions.** A reparameterised distribution. The critic is differentiable in the sample.
//!
//! | | |
//! |---|---|
//! | bias | the gradient; none if the critic is exact |
//! | order | 1 |
//! | cost evaluations | that of the sample, and one backward pass of the critic |
//! | requirement on the cost | its value; one number for each member |

use super::{cost_of_a_member, value_of_shape};
use crate::common::sampling::Sampling;
use crate::sampling_setters;
use stochgrad_distributions::{Family, Reparameterized};
use stochgrad_graph::{
    Access, Bias, CostContext, Count, GradientMethod, GraphResult, Guarantee, Method, Order, Path, Profile,
    SampleContext, SamplePlate, SampleSet, Terms, check_parameter_paths, sample_path_order,
};
use stochgrad_tape::{Id, Smoothness, Var};
use stochgrad_tensor::{Real, Shape};

use std::collections::HashSet;

/// A critic in place of the derivatives of the costs, for reparameterised distributions.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::GradientCritic;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let mean = graph.param("mean", 0.3)?;
/// let action = graph.sample("action", &Normal::new(mean, 0.5), &GradientCritic::new("q"))?;
/// // The cost jumps; the critic is smooth.
/// graph.cost("cost", action.gt(graph.constant(0.0)))?;
/// graph.set_critic_value("q", (action * 2.0).sigmoid())?;
/// assert!(graph.backward()?.get("mean")?.item()? > 0.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GradientCritic {
    sampling: Sampling,
    name: String,
    is_slope: bool,
    exact: bool,
}

impl GradientCritic {
    /// The derivative of the critic value of this name, an action value that is recorded as a function of the sample.
    /// It has the index of the node: for the node `("action", t)` it is that of `(name, t)`.
    pub fn new(name: impl Into<String>) -> Self {
        GradientCritic { sampling: Sampling::default(), name: name.into(), is_slope: false, exact: false }
    }

    /// The critic value is the derivative itself, and has the event shape of the sample.
    pub fn slope(self) -> Self {
        GradientCritic { is_slope: true, ..self }
    }

    /// States that the derivative is that of the expected sum of the costs downstream, given the sample, or has it as
    /// its mean. The gradient is then declared unbiased, which nothing checks.
    pub fn exact(self) -> Self {
        GradientCritic { exact: true, ..self }
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }
}

impl Method for GradientCritic {
    fn name(&self) -> String {
        let what = if self.is_slope { "slope" } else { "action value" };
        let exact = if self.exact { "exact " } else { "" };
        format!("gradient critic ({exact}{what} \"{}\", {})", self.name, self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        let profile = match self.exact {
            true => Profile::unbiased(Order::Finite(1)),
            false => Profile::biased(Bias::Gradient),
        };
        profile.backward_passes(Count::exactly(0), Access::Values).times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for GradientCritic
where
    for<'t> D::On<'t>: Reparameterized<'t, F>,
{
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        check_parameter_paths(distribution)?;
        Ok(self.profile().guarantee(path).at_most(sample_path_order(distribution)))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let (plate, draw) = self.sampling.members(context)?;
        let value = distribution.rsample(&draw).map_err(|source| context.error(source))?;
        Ok(SampleSet::equal(value.drawn(), plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let slope = slope(self, context)?;
        if cost_of_a_member(context, &self.name)?.is_none() {
            return Ok(Terms::default());
        }
        let again = self.sampling.draw_again(context);
        let moving = distribution.rsample(&again).map_err(|source| context.error(source))?;
        let zero = context.tape().constant(0.0);
        let term = zero.straight_through((moving * slope.held()).sum());
        Ok(Terms { control_variates: vec![term], ..Terms::default() })
    }
}

/// The derivative of the costs with respect to the sample, as the critic estimates it.
fn slope<'t, F: Real>(method: &GradientCritic, context: &CostContext<'_, 't, F>) -> GraphResult<Var<'t, F>> {
    let (name, sample) = (&method.name, context.value());
    if method.is_slope {
        return value_of_shape(context, name, &sample.shape());
    }
    let value = value_of_shape(context, name, &Shape::scalar())?;
    if !passes_gradient(value, sample.id()) {
        return Err(context.refused(format!(
            "expected an action value \"{name}\" that is differentiable in the sample, got one on which no derivative \
             flows to it; record it as a function of the sample, or name its derivative and use .slope()"
        )));
    }
    let (carried, own) = (value.plates(), sample.plates());
    if let Some(lost) = own.iter().find(|plate| !carried.contains(plate)) {
        return Err(context.refused(format!(
            "expected an action value \"{name}\" for each member of the sample, got one without plate \"{}\"; compute \
             it without a reduction over the plate",
            context.tape().plate_name(*lost)
        )));
    }
    let sum = carried.iter().fold(value, |sum, &plate| sum.sum_over(plate));
    Ok(context.tape().gradients(sum, &[sample])?[0])
}

/// Whether derivatives flow from a value to the one with this position on the tape.
fn passes_gradient<F: Real>(value: Var<'_, F>, to: Id) -> bool {
    let tape = value.tape();
    let (mut pending, mut seen) = (vec![value], HashSet::new());
    while let Some(var) = pending.pop() {
        if var.id() == to {
            return true;
        }
        if var.id().index() < to.index() || !seen.insert(var.id()) {
            continue;
        }
        let passes = |input: usize| matches!(tape.smoothness(var, input), Smoothness::Smooth | Smoothness::Kinked);
        pending.extend(var.inputs().into_iter().enumerate().filter(|(input, _)| passes(*input)).map(|(_, var)| var));
    }
    false
}
