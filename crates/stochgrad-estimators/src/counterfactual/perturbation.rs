//! Gradient terms from counterfactual costs: the common part of measure-valued and stochastic derivatives.

use stochgrad_distributions::{Alternatives, Distribution, DistributionResult, Draw, Family};
use stochgrad_graph::{
    CandidateShare, Candidates, CostContext, GradientMethod, GradientTerm, GraphResult, Terms, is_differentiable,
};
use stochgrad_tape::{Smoothness, Var};
use stochgrad_tensor::Real;

/// A method whose gradient is a weighted sum of cost changes, each for one element of the sample replaced by an
/// alternative: [`MeasureValued`](crate::MeasureValued), [`StochasticDerivatives`](crate::StochasticDerivatives), or
/// your own. Implement it to use the method in a [`Reservoir`](crate::Reservoir) or a
/// [`ReplayBudget`](crate::ReplayBudget).
pub trait Perturbation<F: Real, D: Family<F>>: GradientMethod<F, D> {
    /// The name of the noise that the alternatives are drawn with, such as "weak derivative". It also appears in error
    /// messages.
    fn purpose(&self) -> &'static str;

    /// The alternatives and weights for the derivative with respect to the parameter at a position, given the sample on
    /// the plates of the request: recorded operations. `None` if the derivative is not known.
    ///
    /// # Errors
    /// Those of the distribution.
    fn alternatives<'t>(
        &self,
        distribution: &D::On<'t>,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>>;

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

/// The alternatives for all differentiable parameters: what [`GradientMethod::candidates`] returns.
///
/// # Errors
/// If there are none for a parameter that depends on something trainable.
pub fn candidates<'t, F: Real, D: Family<F>>(
    context: &CostContext<'_, 't, F>,
    distribution: &D::On<'t>,
    method: &(impl Perturbation<F, D> + ?Sized),
) -> GraphResult<Candidates<'t, F>> {
    let purpose = method.purpose();
    let draw = context.draw(purpose);
    let (mut values, mut shares) = (Vec::new(), Vec::new());
    for (position, parameter) in distribution.parameters().iter().enumerate() {
        if parameter.score == Smoothness::Constant || !is_differentiable(parameter.var) {
            continue;
        }
        let found = method.alternatives(distribution, position, context.value(), &draw);
        let Some(found) = found.map_err(|source| context.error(source))? else {
            return Err(context.refused(format!(
                "no {purpose} of {} with respect to its parameter \"{}\" is known, and that parameter depends on \
                 something trainable; stop its gradient if that is meant, or use Pathwise (reparameterised \
                 distributions) or ScoreFunction",
                distribution.name(),
                parameter.name
            )));
        };
        let detached = |vars: Vec<Var<'t, F>>| vars.into_iter().map(Var::stop_gradient);
        let weights = detached(found.weights).collect();
        shares.push(CandidateShare { parameter: parameter.var, first: values.len(), weights });
        values.extend(detached(found.values));
    }
    Ok(Candidates { values, shares, element_rank: distribution.element_rank() })
}

/// The weights of an alternative times a factor for each element, which has no axes of the parameter.
pub(crate) fn weighted<'t, F: Real>(weight: Var<'t, F>, factor: Var<'t, F>) -> Var<'t, F> {
    let coordinates = weight.shape().len().saturating_sub(factor.shape().len());
    let factor = (0..coordinates).fold(factor, |factor, _| factor.unsqueeze(-1));
    // An impossible alternative has weight 0, and its cost may be infinite.
    weight.select(weight * factor, weight.tape().constant(0.0))
}

/// One gradient term for each differentiable parameter $\theta$, with the derivative $\sum_a w_a (f(y_a) - f(x))$ with
/// respect to $\theta$. The alternatives of all parameters are replayed together.
///
/// # Errors
/// Those of [`candidates`] and of [`CostContext::element_differences`].
pub fn gradient_terms<'t, F: Real, D: Family<F>>(
    context: &CostContext<'_, 't, F>,
    distribution: &D::On<'t>,
    method: &(impl Perturbation<F, D> + ?Sized),
) -> GraphResult<Terms<'t, F>> {
    let Candidates { values, shares, element_rank } = candidates(context, distribution, method)?;
    let mut terms = Terms::default();
    if values.is_empty() {
        return Ok(terms);
    }
    let zero = context.tape().constant(0.0);
    for difference in context.element_differences(&values, element_rank)? {
        for share in &shares {
            let changes = share.weights.iter().zip(&difference.values[share.first..]);
            let gradient = changes.map(|(&weight, &change)| weighted(weight, change)).reduce(|sum, each| sum + each);
            if let Some(gradient) = gradient {
                // Not `dot − stop(dot)`: an infinite logit times zero has no difference with itself.
                let value = zero.straight_through((gradient.stop_gradient() * share.parameter).sum());
                terms.gradient_terms.push(GradientTerm { value, summed: difference.summed.clone() });
            }
        }
    }
    Ok(terms)
}
