//! Gradient terms from counterfactual costs: the common part of measure-valued and stochastic derivatives.

use stochgrad_distributions::{Alternatives, Distribution, DistributionResult, Draw, Family, RecordedAlternatives};
use stochgrad_graph::{
    CandidateShare, Candidates, CostContext, GradientMethod, GradientTerm, GraphResult, Terms, is_differentiable,
};
use stochgrad_tape::{Smoothness, Var};
use stochgrad_tensor::{Real, Tensor};

/// A method whose gradient is a weighted sum of cost changes, each for one element of the sample replaced by an
/// alternative: [`MeasureValued`](crate::MeasureValued), [`StochasticDerivatives`](crate::StochasticDerivatives), or
/// your own. Implement it to use the method in a [`Reservoir`](crate::Reservoir) or a
/// [`ReplayBudget`](crate::ReplayBudget).
pub trait Perturbation<F: Real, D: Family<F>>: GradientMethod<F, D> {
    /// The name of the noise that the alternatives are drawn with, such as "weak derivative". It also appears in error
    /// messages.
    fn purpose(&self) -> &'static str;

    /// The alternatives and weights for the derivative with respect to the parameter at a position, given the sample on
    /// the plates of the request. `None` if the derivative is not known.
    ///
    /// # Errors
    /// Those of the distribution.
    fn alternatives(
        &self,
        distribution: &D::On<'_>,
        parameter: usize,
        sample: &Tensor<F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<F>>>;

    /// The updates and auxiliary losses of [`terms`](GradientMethod::terms), without its gradient terms: what the
    /// method learns in a step. A [`Reservoir`](crate::Reservoir) or a [`ReplayBudget`](crate::ReplayBudget) asks for
    /// it, since it replaces the gradient terms by its own.
    ///
    /// The default calls [`terms`](GradientMethod::terms), which replays every alternative and thus costs what the
    /// wrapper is meant to save. Override it: return `Terms::default()` if the method learns nothing.
    ///
    /// # Errors
    /// Those of [`terms`](GradientMethod::terms).
    fn learning<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        self.terms(context, distribution)
    }
}

/// The alternatives for the parameter at a position, given the sample.
type Derivative<'a, F> = dyn Fn(usize, &Tensor<F>, &Draw<'_, F>) -> DistributionResult<Option<Alternatives<F>>> + 'a;

/// The alternatives for all differentiable parameters: what [`GradientMethod::candidates`] returns. `purpose` names the
/// noise that they are drawn with.
///
/// # Errors
/// If there are none for a parameter that depends on something trainable.
pub fn candidates<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    distribution: &dyn Distribution<'t, F>,
    purpose: &str,
    alternatives: &Derivative<'_, F>,
) -> GraphResult<Candidates<'t, F>> {
    let sample = context.value().peek()?;
    let draw = context.draw(purpose);
    let (mut values, mut shares) = (Vec::new(), Vec::new());
    for (position, parameter) in distribution.parameters().iter().enumerate() {
        if parameter.score == Smoothness::Constant || !is_differentiable(parameter.var) {
            continue;
        }
        let Some(found) = alternatives(position, &sample, &draw).map_err(|source| context.error(source))? else {
            return Err(context.refused(format!(
                "no {purpose} of {} with respect to its parameter \"{}\" is known, and that parameter depends on \
                 something trainable; stop its gradient if that is meant, or use Pathwise (reparameterised \
                 distributions) or ScoreFunction",
                distribution.name(),
                parameter.name
            )));
        };
        shares.push(CandidateShare { parameter: parameter.var, first: values.len(), weights: found.weights });
        values.extend(found.values);
    }
    Ok(Candidates { values, shares, element_rank: distribution.element_rank() })
}

/// One gradient term for each differentiable parameter $\theta$, with the derivative $\sum_a w_a (f(y_a) - f(x))$ with
/// respect to $\theta$. The alternatives of all parameters are replayed together, on the host.
///
/// # Errors
/// Those of [`candidates`] and of [`CostContext::element_differences`].
pub fn gradient_terms<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    distribution: &dyn Distribution<'t, F>,
    purpose: &str,
    alternatives: &Derivative<'_, F>,
) -> GraphResult<Terms<'t, F>> {
    let tape = context.tape();
    let Candidates { values, shares, .. } = candidates(context, distribution, purpose, alternatives)?;
    let mut terms = Terms::default();
    if values.is_empty() {
        return Ok(terms);
    }
    let zero = tape.constant(0.0);
    for difference in context.element_differences(&values, distribution.element_rank())? {
        for share in &shares {
            let mut gradient: Option<Var<'t, F>> = None;
            for (weights, change) in share.weights.iter().zip(&difference.values[share.first..]) {
                let weights = tape.constant_on(&context.value().plates(), weights);
                let change = tape.constant_on(&difference.plates, change);
                let coordinates = weights.shape().len().saturating_sub(change.shape().len());
                let change = (0..coordinates).fold(change, |change, _| change.unsqueeze(-1));
                // An impossible alternative has weight 0, and its cost may be infinite.
                let product = weights.select(weights * change, zero);
                gradient = Some(gradient.map_or(product, |sum| sum + product));
            }
            if let Some(gradient) = gradient {
                // Not `dot − stop(dot)`: an infinite logit times zero has no difference with itself.
                let value = zero.straight_through((gradient * share.parameter).sum());
                terms.gradient_terms.push(GradientTerm { value, summed: difference.summed.clone() });
            }
        }
    }
    Ok(terms)
}

/// The alternatives for the parameter at a position as recorded values.
type RecordedDerivative<'a, 't, F> =
    dyn Fn(usize, Var<'t, F>, &Draw<'_, F>) -> DistributionResult<Option<RecordedAlternatives<'t, F>>> + 'a;

/// As [`gradient_terms`], but with recorded alternatives and a recorded replay, which can be compiled. `None` where the
/// distribution has no recorded alternatives or the node does not allow a recorded replay.
///
/// # Errors
/// Those of the distribution and of [`CostContext::recorded_differences`].
pub fn recorded_terms<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    distribution: &dyn Distribution<'t, F>,
    purpose: &str,
    alternatives: &RecordedDerivative<'_, 't, F>,
) -> GraphResult<Option<Terms<'t, F>>> {
    let draw = context.draw(purpose);
    let (mut values, mut shares) = (Vec::new(), Vec::new());
    for (position, parameter) in distribution.parameters().iter().enumerate() {
        if parameter.score == Smoothness::Constant || !is_differentiable(parameter.var) {
            continue;
        }
        let found = alternatives(position, context.value(), &draw).map_err(|source| context.error(source))?;
        let Some(found) = found else { return Ok(None) };
        shares.push((parameter.var, values.len(), found.weights));
        values.extend(found.values);
    }
    let mut terms = Terms::default();
    if values.is_empty() {
        return Ok(Some(terms));
    }
    let Some(differences) = context.recorded_differences(&values, distribution.element_rank())? else {
        return Ok(None);
    };
    let zero = context.tape().constant(0.0);
    for difference in differences {
        for (parameter, first, weights) in &shares {
            let products = weights.iter().zip(&difference.values[*first..]).map(|(&weight, &change)| {
                let coordinates = weight.shape().len().saturating_sub(change.shape().len());
                let change = (0..coordinates).fold(change, |change, _| change.unsqueeze(-1));
                // An impossible alternative has weight 0, and its cost may be infinite.
                weight.select(weight * change, zero)
            });
            if let Some(gradient) = products.reduce(|sum, product| sum + product) {
                let value = zero.straight_through((gradient.stop_gradient() * *parameter).sum());
                terms.gradient_terms.push(GradientTerm { value, summed: difference.summed.clone() });
            }
        }
    }
    Ok(Some(terms))
}
