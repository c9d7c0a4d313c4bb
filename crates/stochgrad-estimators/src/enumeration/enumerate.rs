//! Enumeration: sums over all joint states of a node with a finite support. Use it whenever the number of joint states
//! is small, since the node then adds no variance.
//!
//! $$\mathbb{E}_{p(x; \theta)}[f(x)] = \sum_x p(x; \theta)\, f(x).$$
//!
//! Every joint state is a member of the node's plate, with the differentiable weight $p(x; \theta)$; nothing is drawn.
//! $D$ independent elements of $S$ states have $S^D$ joint states. Titsias & Lázaro-Gredilla (2015) enumerate a node
//! given the others; other names are total expectation and "all actions".
//!
//! **Assumptions.** A finite support that is the same for all elements. A state of probability zero has weight zero and
//! the right derivative (see `FiniteSupport::probability_each`).
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | any |
//! | cost evaluations | $S^D$, multiplied by those of nodes that depend on this one |
//! | the cost offers | its value only, finite in every state |

use crate::enumeration::constant_support::{independent_elements, joint_support};
use stochgrad_distributions::{DistributionResult, Family, FiniteSupport};
use stochgrad_graph::{Count, GradientMethod, GraphResult, Method, Order, Profile, SampleContext, SampleSet, Size};
use stochgrad_tape::{Plate, PlateKind, Tape, Var};
use stochgrad_tensor::{Real, Shape, Tensor, instantiated};

/// The exact sum over all joint states of a node, for distributions with a small finite support.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::Enumerate;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let chance = graph.param("chance", 0.25)?;
/// let bit = graph.sample("bit", &Bernoulli::from_probabilities(chance), &Enumerate::new())?;
/// graph.cost("loss", (bit - 0.5).square() + bit * 3.0)?;
/// let gradients = graph.backward()?;
/// assert_eq!(gradients.cost("loss")?, 1.0);
/// assert_eq!(gradients.get("chance")?.as_slice(), &[3.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Enumerate {
    limit: usize,
    plate: Option<Plate>,
}

impl Default for Enumerate {
    fn default() -> Self {
        Enumerate { limit: 4096, plate: None }
    }
}

impl Enumerate {
    /// Enumerates up to 4096 joint states.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the largest number of joint states that is enumerated; a node with more of them is an error.
    pub fn limit(self, states: usize) -> Self {
        Enumerate { limit: states, ..self }
    }

    /// Makes the node one for each member of a plate, as it is anyway if its parameters carry the plate. Without this,
    /// all members share a node whose parameters lack the plate.
    pub fn on_plate(self, plate: Plate) -> Self {
        Enumerate { plate: Some(plate), ..self }
    }
}

impl Method for Enumerate {
    fn name(&self) -> String {
        "enumeration".into()
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any).evaluations(Count::exactly(0).and(1, Size::JointStates))
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Enumerate
where
    for<'t> D::On<'t>: FiniteSupport<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let mut set = enumerate(context, distribution, self.limit)?;
        if let (Some(plate), Some((weights, _))) = (self.plate, &mut set.weights) {
            *weights = weights.expand_plates(&[plate]);
        }
        Ok(set)
    }
}

/// The joint states of a node, shape `[total, event]`, and their probabilities, of event shape `[total]` on the plates
/// of the parameters.
///
/// # Errors
/// If there are more than `limit` of them.
pub(crate) fn joint_probabilities<'t, F: Real>(
    tape: &'t Tape<F>,
    distribution: &dyn FiniteSupport<'t, F>,
    limit: usize,
) -> DistributionResult<(Tensor<F>, Var<'t, F>)> {
    let (support, total) = joint_support(distribution, limit)?;
    let states = support.shape().first().copied().unwrap_or(1);
    let elements = independent_elements(distribution);
    let event = distribution.event_shape();
    tape.check_memory("the joint states of a node", &[], total.saturating_mul(event.numel()))?;
    let each = tape.plate("states", states, PlateKind::Enumerated, &[]);
    let alone = tape.constant_on(&[each], element_values(&support, states, elements, &event));
    let chances = distribution.probability_each(alone).reshape([elements]).plate_to_event(each);
    Ok((joint_values(&support, states, elements, total, &event), products(chances, states, elements)))
}

/// All joint states of a node along one plate, weighted by their probabilities.
///
/// # Errors
/// If there are more than `limit` of them.
pub(crate) fn enumerate<'t, F: Real>(
    context: &SampleContext<'_, 't, F>,
    distribution: &dyn FiniteSupport<'t, F>,
    limit: usize,
) -> GraphResult<SampleSet<'t, F>> {
    instantiated!(
        F: for<'t> fn(&SampleContext<'_, 't, F>, &dyn FiniteSupport<'t, F>, usize) -> GraphResult<SampleSet<'t, F>> =
            enumerate_body
    )(context, distribution, limit)
}

fn enumerate_body<'t, F: Real>(
    context: &SampleContext<'_, 't, F>,
    distribution: &dyn FiniteSupport<'t, F>,
    limit: usize,
) -> GraphResult<SampleSet<'t, F>> {
    let (support, total) = joint_support(distribution, limit).map_err(|source| context.error(source))?;
    let states = support.shape().first().copied().unwrap_or(1);
    let elements = independent_elements(distribution);
    let tape = context.tape();
    let event = distribution.event_shape();
    tape.check_memory("the joint states of a node", &[], total.saturating_mul(event.numel()))?;
    let plate = context.plate(total, PlateKind::Enumerated)?;
    let value = tape.constant_on(&[plate], joint_values(&support, states, elements, total, &event));
    let weights = if elements == 1 {
        distribution.probability_each(value).reshape(Shape::scalar())
    } else {
        // First the probabilities of the states of each element, then their products. This avoids work on all joint
        // states for each element.
        let each = tape.plate("states", states, PlateKind::Enumerated, &[]);
        let alone = tape.constant_on(&[each], element_values(&support, states, elements, &event));
        let chances = distribution.probability_each(alone).reshape([elements]).plate_to_event(each);
        products(chances, states, elements).event_to_plate(plate)
    };
    Ok(SampleSet { value, plate: Some(plate), weights: Some((weights, true)) })
}

/// The probabilities of all joint states from those of the elements, of shape `[states, elements]`. The state of the
/// last element varies fastest.
fn products<F: Real>(chances: Var<'_, F>, states: usize, elements: usize) -> Var<'_, F> {
    if elements == 0 {
        return chances.tape().constant([1.0]);
    }
    let mut joint = chances.index(1, 0);
    let mut count = states;
    for element in 1..elements {
        count *= states;
        joint = (joint.unsqueeze(-1) * chances.index(1, element)).reshape([count]);
    }
    joint
}

/// The values of the joint states: shape `[total, event]`.
fn joint_values<F: Real>(
    support: &Tensor<F>,
    states: usize,
    elements: usize,
    total: usize,
    event: &Shape,
) -> Tensor<F> {
    let width = support.len() / states.max(1);
    let shape: Shape = std::iter::once(total).chain(event.iter().copied()).collect();
    let mut values = Vec::with_capacity(shape.numel());
    for joint in 0..total {
        let mut place = total;
        for _ in 0..elements {
            place /= states;
            let state = joint / place % states;
            values.extend_from_slice(&support.as_slice()[state * width..(state + 1) * width]);
        }
    }
    Tensor::from_fn(shape, |i| values[i])
}

/// Values in which all elements are in the same state: shape `[states, event]`.
pub(crate) fn element_values<F: Real>(support: &Tensor<F>, states: usize, elements: usize, event: &Shape) -> Tensor<F> {
    let width = support.len() / states.max(1);
    let shape: Shape = std::iter::once(states).chain(event.iter().copied()).collect();
    let row = (elements * width).max(1);
    Tensor::from_fn(shape, |i| support.as_slice()[i / row * width + i % width.max(1)])
}

#[cfg(test)]
mod tests;
