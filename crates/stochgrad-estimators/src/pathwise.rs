//! The pathwise derivative: samples as differentiable functions of parameters and noise.
//!
//! $$\nabla_\theta\, E_{p_\theta}[f(x)] = E_{\varepsilon}\big[\nabla_x f(x)\, \nabla_\theta\, g(\varepsilon; \theta)\big],
//!     \quad x = g(\varepsilon; \theta),\ \varepsilon \sim p(\varepsilon).$$
//!
//! Glasserman (1991) as infinitesimal perturbation analysis; Kingma and Welling (2014) and Rezende et al. (2014) as
//! reparameterisation; Figurnov et al. (2018) for the implicit form, through the distribution function.
//!
//! **Assumptions.** The cost is continuous in the sample. Every path from the value to a cost, to the parameters of another
//! node that does not pass gradients, or to weights is looked at: a comparison, a rounding or an index on it is refused, and so is
//! a branch of host code on the value.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | any through smooth operations, 1 through a kink (`relu`, `abs`, `max`) |
//! | cost evaluations | one a sample, and one backward pass |
//! | the cost must offer | a derivative by the sample |

use crate::dependence::is_differentiable;
use stochgrad_distributions::{Distribution, Family, Reparameterized};
use stochgrad_graph::{
    GradientMethod, GraphResult, Guarantee, Method, Order, Path, SampleContext, SamplePlate, SampleSet,
};
use stochgrad_tape::{Plate, Smoothness};
use stochgrad_tensor::Real;

/// Pathwise derivatives, for reparameterised distributions.
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
    plate: SamplePlate,
    assume_continuous: bool,
}

impl Pathwise {
    /// One sample.
    pub fn new() -> Self {
        Self::default()
    }

    /// That many samples, along a plate of the node's own.
    pub fn samples(self, samples: usize) -> Self {
        Pathwise { plate: SamplePlate::New(samples), ..self }
    }

    /// One sample for each member of a plate made with [`Graph::plate`](stochgrad_graph::Graph::plate).
    pub fn along(self, plate: Plate) -> Self {
        Pathwise { plate: SamplePlate::Shared(plate), ..self }
    }

    /// Accepts jumps on the paths from the value, and takes the derivative where it exists: right only if the jumps cancel (two
    /// branches that meet, say). Order 1.
    pub fn assume_continuous(self) -> Self {
        Pathwise { assume_continuous: true, ..self }
    }
}

/// The order of a sample-path derivative, or why there is none.
pub(crate) fn path_order(path: &Path, assume_continuous: bool) -> Result<Order, String> {
    if path.smoothness != Smoothness::Jump {
        return Ok(path.order());
    }
    if assume_continuous {
        return Ok(Order::Finite(1));
    }
    let through = path.through.as_ref().map_or("an operation".into(), |(what, at)| format!("{what} ({at})"));
    Err(format!(
        "the value reaches a cost or the law of another node through {through}, which jumps or stops the gradient: a \
         sample-path derivative would miss it; use MeasureValued or ScoreFunction here, smooth the operation, or say \
         assume_continuous() if the jumps cancel"
    ))
}

/// Refuses a distribution whose samples are not differentiable by a parameter that is to be trained.
pub(crate) fn check_parameter_paths<'t, F: Real>(distribution: &dyn Distribution<'t, F>) -> Result<(), String> {
    match distribution.parameters().iter().find(|parameter| parameter.path == Smoothness::Jump && is_differentiable(parameter.var))
    {
        None => Ok(()),
        Some(parameter) => Err(format!(
            "samples of {} are not differentiable by its parameter \"{}\", and that parameter depends on something \
             trainable; use ScoreFunction or MeasureValued here, or stop its gradient",
            distribution.name(),
            parameter.name
        )),
    }
}

/// The number of samples and where they live, in words.
pub(crate) fn describe_plate(plate: SamplePlate) -> String {
    match plate {
        SamplePlate::Single => "1 sample".into(),
        SamplePlate::New(1) => "1 sample".into(),
        SamplePlate::New(samples) => format!("{samples} samples"),
        SamplePlate::Shared(_) => "along a shared plate".into(),
    }
}

impl Method for Pathwise {
    fn name(&self) -> String {
        let assumed = if self.assume_continuous { ", continuity assumed" } else { "" };
        format!("pathwise ({}{assumed})", describe_plate(self.plate))
    }

    fn sample_plate(&self) -> SamplePlate {
        self.plate
    }

    fn redraws_by_recording(&self) -> bool {
        true
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Pathwise
where
    for<'t> D::On<'t>: Reparameterized<'t, F>,
{
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        check_parameter_paths(distribution)?;
        path_order(path, self.assume_continuous).map(Guarantee::unbiased)
    }

    fn sample<'t>(&self, context: &SampleContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<SampleSet<'t, F>> {
        let plate = context.sample_plate(self.plate)?;
        let value = distribution.rsample(&context.draw(plate)).map_err(|source| context.error(source))?;
        Ok(SampleSet::equal(value, plate))
    }
}
