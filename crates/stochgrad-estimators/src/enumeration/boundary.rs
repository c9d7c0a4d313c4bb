//! Elements with a probability of exactly 0 or 1.
//!
//! An outcome of probability zero can have a derivative: a bit that is 1 with probability $p = 0$ has $\partial_p\,
//! \mathbb{E}[f] = f(1) - f(0)$. A method that looks at sampled outcomes only never sees $f(1)$, and its variance grows
//! without limit as $p \to 0$. Where such a probability has a derivative (for probabilities as parameters, never for
//! logits), the element goes through all its states as in [`LocalExpectation`](crate::LocalExpectation), and the
//! method's own terms leave it out.

use crate::common::member_gradients::sum_over_plates;
use crate::enumeration::local_expectation::{MOST_STATES, local_terms, states};
use stochgrad_distributions::{Distribution, Family, Live};
use stochgrad_graph::{CostContext, GradientTerm, GraphResult, is_differentiable};
use stochgrad_tape::{IdMap, Var};
use stochgrad_tensor::{Real, Tensor, instantiated};

/// A node's distribution for the method's own terms, and the gradient terms of the elements on the boundary.
#[derive(Debug)]
pub struct Boundary<'t, F: Real, L> {
    /// The distribution for the method's own gradient. The parameters of elements on the boundary are replaced by
    /// constants inside the domain, so that no gradient flows there. It is not the distribution that the sample was
    /// drawn from.
    pub inside: L,
    /// The gradient terms of the elements on the boundary.
    pub terms: Vec<GradientTerm<'t, F>>,
}

impl<'t, F: Real, L: Live<'t, F>> Boundary<'t, F, L> {
    /// Finds the elements on the boundary, which are those with a probability of exactly 0 or 1.
    ///
    /// A compiled graph keeps the elements that were found when it was compiled. For these the gradient stays right
    /// when they move inside the domain. Another element that reaches the boundary in a later run has a gradient that
    /// is not finite, which is an error.
    ///
    /// # Errors
    /// Those of the distribution and of the replay. An element on the boundary with more than 4096 states is an error.
    pub fn split(context: &CostContext<'_, 't, F>, distribution: &L) -> GraphResult<Self> {
        let tape = context.tape();
        let bind = |ids: &IdMap| L::Family::store(distribution).bind(tape, ids).map_err(|source| context.error(source));
        let with = |ids: &IdMap, read: &mut Read<'_, 't, F>| read(&bind(ids)?);
        let (ids, only) = instantiated!(
            F: for<'t> fn(
                &CostContext<'_, 't, F>,
                &dyn Distribution<'t, F>,
                &With<'_, 't, F>,
            ) -> GraphResult<(IdMap, Option<Var<'t, F>>)> = flagged
        )(context, distribution, &with)?;
        let inside = bind(&ids)?;
        let terms = match (only, distribution.capabilities().finite_support) {
            (Some(only), Some(support)) => local_terms(context, support, MOST_STATES, Some(only))?,
            _ => Vec::new(),
        };
        Ok(Boundary { inside, terms })
    }
}

/// Computes something from a distribution.
type Read<'a, 't, F> = dyn FnMut(&dyn Distribution<'t, F>) -> GraphResult<Option<Var<'t, F>>> + 'a;

/// Calls a function with the distribution of a node, its parameters replaced by a map.
type With<'a, 't, F> = dyn Fn(&IdMap, &mut Read<'_, 't, F>) -> GraphResult<Option<Var<'t, F>>> + 'a;

/// The parameters of the distribution inside its domain, and a mask (of the shape of the independent axes) of the
/// elements on the boundary. `None` if there are no such elements.
fn flagged<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    distribution: &dyn Distribution<'t, F>,
    with: &With<'_, 't, F>,
) -> GraphResult<(IdMap, Option<Var<'t, F>>)> {
    let tape = context.tape();
    let mut ids = IdMap::identity();
    let nothing = || Ok((IdMap::identity(), None));
    let Some(support) = distribution.capabilities().finite_support else { return nothing() };
    let Some(parameter) = distribution.parameters().first().map(|parameter| parameter.var) else {
        return nothing();
    };
    // Probabilities on the boundary are exactly 0 or 1.
    let suspect = |value: &F| *value == F::ZERO || *value == F::ONE;
    if !parameter.inspect()?.as_slice().iter().any(suspect) || !is_differentiable(parameter) {
        return nothing();
    }
    let states = states(support, MOST_STATES).map_err(|source| context.error(source))?;
    let mark = tape.len();
    let copy = parameter.stop_gradient();
    let copy = copy.reshape(copy.shape());
    ids.insert(parameter.id(), copy.id());
    let gained = with(&ids, &mut |copied| {
        let Some(chances) = copied.capabilities().finite_support else { return Ok(None) };
        let mut gained: Option<Var<'t, F>> = None;
        for state in &states {
            let chance = chances.probability_each(tape.constant(state.clone()));
            let impossible = 1.0 - chance.gt(chance * 0.0);
            if impossible.inspect()?.as_slice().contains(&F::ONE) {
                let own = sum_over_plates((impossible * chance).sum());
                gained = Some(gained.map_or(own, |sum| sum + own));
            }
        }
        Ok(gained)
    })?;
    ids = IdMap::identity();
    let Some(gained) = gained else {
        tape.truncate(mark);
        return nothing();
    };
    let slopes = tape.backward_all(gained, &[copy])?.remove(0);
    tape.truncate(mark);
    if slopes.as_slice().iter().all(|&slope| slope == F::ZERO) {
        return nothing();
    }
    let coordinates = parameter.shape().numel() / distribution.event_shape().numel().max(1);
    let coordinates = if distribution.element_rank() == 0 { coordinates } else { states.len() }.max(1);
    let flagged: Vec<bool> =
        slopes.as_slice().chunks(coordinates).map(|slopes| slopes.iter().any(|&slope| slope != F::ZERO)).collect();
    let number = |flag: bool| F::from_usize(usize::from(flag));
    let mask = Tensor::from_fn(slopes.shape().clone(), |i| number(flagged[i / coordinates]));
    let mask = tape.constant_on(&parameter.plates(), mask);
    let inner = tape.constant(1.0 / states.len().max(2) as f64);
    ids.insert(parameter.id(), mask.select(inner, parameter).id());
    let only = match coordinates {
        1 => mask,
        _ => mask.max_axis(-1),
    };
    Ok((ids, Some(only)))
}
