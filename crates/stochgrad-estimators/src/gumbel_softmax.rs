//! Gumbel-softmax (Concrete): a continuous relaxation of a discrete node, and its straight-through form.
//!
//! A category is the argmax of logits plus Gumbel noise (a bit: the sign of a logit plus logistic noise). Replacing the
//! argmax by a softmax at temperature $\tau$ makes it differentiable:
//!
//! $$y = \operatorname{softmax}\big((\eta + G)/\tau\big), \qquad
//!     g = \nabla_y f(y)\; \partial_\eta\, y, \qquad
//!     g_{\mathrm{ST}} = \nabla_x f(x)\big|_{x = \operatorname{argmax}(\eta + G)}\; \partial_\eta\, y.$$
//!
//! Jang et al. (2017); Maddison et al. (2017).
//!
//! **Assumptions.** The cost is defined and differentiable between the vertices (plain) or at them (straight-through). Paths from the
//! value are looked at as for [`Pathwise`](crate::Pathwise).
//!
//! | | plain | straight-through |
//! |---|---|---|
//! | bias | another law is sampled: costs and gradients are those of the relaxed model | of the gradient only; costs are right |
//! | order | any through smooth operations, 1 through a kink | 1 |
//! | cost evaluations | one a sample, and one backward pass | the same |
//! | the cost must offer | values and derivatives at interior points | derivatives at the vertices |
//!
//! The biases can have the wrong sign at every temperature: for one bit with $\theta = 0.1$ and $f = (b - 0.499)^2$ the gradient is
//! $1.8 \cdot 10^{-4}$, and at $\tau = 1$ the plain form gives $-4.2 \cdot 10^{-2}$, the straight-through one $-6.7 \cdot 10^{-2}$, on average.
//!
//! To evaluate a trained model with hard samples, sample the same distribution with `ScoreFunction::new()`: same address, same
//! noise source, no relaxation.

use crate::pathwise::{check_parameter_paths, describe_plate, path_order};
use crate::temperature::Temperature;
use stochgrad_distributions::{Distribution, DistributionError, Family, Relaxed};
use stochgrad_graph::{
    Bias, CostContext, GradientMethod, GraphError, GraphResult, Guarantee, Method, MethodState, Order, Path, SampleContext,
    SamplePlate, SampleSet, Terms,
};
use stochgrad_tape::Plate;
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
    plate: SamplePlate,
    straight_through: bool,
    assume_continuous: bool,
}

impl GumbelSoftmax {
    /// One relaxed sample at a temperature: a number, or a [`Temperature`] that falls.
    pub fn new(temperature: impl Into<Temperature>) -> Self {
        GumbelSoftmax {
            temperature: temperature.into(),
            plate: SamplePlate::Single,
            straight_through: false,
            assume_continuous: false,
        }
    }

    /// Hard values go forward; derivatives are those of the relaxed ones.
    pub fn straight_through(self) -> Self {
        GumbelSoftmax { straight_through: true, ..self }
    }

    /// That many samples, along a plate of the node's own.
    pub fn samples(self, samples: usize) -> Self {
        GumbelSoftmax { plate: SamplePlate::New(samples), ..self }
    }

    /// One sample for each member of a plate made with [`Graph::plate`](stochgrad_graph::Graph::plate).
    pub fn along(self, plate: Plate) -> Self {
        GumbelSoftmax { plate: SamplePlate::Shared(plate), ..self }
    }

    /// Accepts jumps on the paths from the value, as [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        GumbelSoftmax { assume_continuous: true, ..self }
    }

    /// The temperature.
    pub fn temperature(&self) -> &Temperature {
        &self.temperature
    }

    fn broken_state(&self, problem: String) -> GraphError {
        GraphError::State { method: self.name(), problem }
    }
}

/// The key of the step of the schedule among the method's state.
const STEP: &str = "temperature step";

impl Method for GumbelSoftmax {
    fn name(&self) -> String {
        let form = if self.straight_through { "straight-through, " } else { "" };
        format!("Gumbel-softmax ({form}{}, {})", self.temperature, describe_plate(self.plate))
    }

    fn sample_plate(&self) -> SamplePlate {
        self.plate
    }

    fn redraws_by_recording(&self) -> bool {
        true
    }

    fn state(&self) -> MethodState {
        let mut state = MethodState::new();
        if self.temperature.changes() {
            state.insert(STEP.into(), vec![self.temperature.step() as f64]);
        }
        state
    }

    fn load_state(&self, state: &MethodState) -> GraphResult<()> {
        if let Some(unknown) = state.keys().find(|&key| key != STEP || !self.temperature.changes()) {
            let expected = if self.temperature.changes() { format!("\"{STEP}\"") } else { "nothing".into() };
            return Err(self.broken_state(format!(
                "expected {expected}, came \"{unknown}\"; was the checkpoint made with another method?"
            )));
        }
        match state.get(STEP).map(Vec::as_slice) {
            None if self.temperature.changes() => {
                Err(self.broken_state(format!("expected \"{STEP}\", came nothing; was the checkpoint made with another method?")))
            }
            None => Ok(()),
            Some(&[step]) if step >= 0.0 && step.fract() == 0.0 && step < 2.0_f64.powi(53) => {
                self.temperature.set_step(step as u64);
                Ok(())
            }
            Some(other) => {
                Err(self.broken_state(format!("expected one whole number as \"{STEP}\", came {other:?}; the checkpoint is damaged")))
            }
        }
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for GumbelSoftmax
where
    for<'t> D::On<'t>: Relaxed<'t, F>,
{
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        check_parameter_paths(distribution)?;
        let order = path_order(path, self.assume_continuous)?;
        Ok(match self.straight_through {
            false => Guarantee { bias: Bias::Law, order },
            true => Guarantee { bias: Bias::Gradient, order: order.min(Order::Finite(1)) },
        })
    }

    fn sample<'t>(&self, context: &SampleContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<SampleSet<'t, F>> {
        let temperature = self.temperature.current();
        if !(temperature > 0.0 && temperature.is_finite()) {
            return Err(context.error(DistributionError::Parameter {
                distribution: distribution.name(),
                parameter: "temperature of its relaxation",
                expected: "a positive finite number",
                found: temperature,
                position: 0,
                hint: "start with 1 and let it fall to 0.5, say",
            }));
        }
        let plate = context.sample_plate(self.plate)?;
        let perturbed = distribution.perturbed(&context.draw(plate)).map_err(|source| context.error(source))?;
        let soft = distribution.soften(perturbed, context.tape().constant(temperature));
        let value = if self.straight_through { distribution.harden(perturbed).straight_through(soft) } else { soft };
        Ok(SampleSet::equal(value, plate))
    }

    fn terms<'t>(&self, _context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let updates = if self.temperature.changes() { vec![self.temperature.advance()] } else { Vec::new() };
        Ok(Terms { updates, ..Terms::default() })
    }
}
