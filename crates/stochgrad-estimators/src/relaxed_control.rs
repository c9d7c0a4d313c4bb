//! What REBAR and RELAX share: relaxed values, and control variates made of a function of them.
//!
//! With $b \sim p(b; \theta)$, relaxed values $z$ and $\tilde z$ that are independent given $b$ and both have $b$ as hard value, and any function $c$,
//!
//! $$g = \big[f(b) - c(\tilde z)\big]\, \nabla_\theta \ln p(b; \theta) + \nabla_\theta\, c(z) - \nabla_\theta\, c(\tilde z),$$
//!
//! is unbiased: $z$ moves with the parameters as an unconditional draw does, $\tilde z$ as a draw given $b$ does.

use stochgrad_distributions::{Distribution, Family, Relaxed};
use stochgrad_graph::{CostContext, GradientTerm, GraphResult, NodeCost};
use stochgrad_tape::{IdMap, Var};
use stochgrad_tensor::Real;

/// A copy of the node's distribution on parameters that nothing else depends on, one for each member, and what is drawn from it.
pub(crate) struct RelaxedDraws<'t, F: Real> {
    /// The parameters of the node and their copies.
    parameters: Vec<(Var<'t, F>, Var<'t, F>)>,
    /// Relaxed values before they are softened: unconditional, and given the sample.
    pub(crate) perturbed: [Var<'t, F>; 2],
    /// The score of the copies, for each member.
    score: Vec<Var<'t, F>>,
}

/// A copy of a distribution whose parameters lie on all plates of the node's value, so that every member has a gradient of its own.
type Copied<'t, F> = Vec<(Var<'t, F>, Var<'t, F>)>;

fn copy<'t, F: Real, D: Family<F>>(
    context: &CostContext<'_, 't, F>,
    distribution: &D::On<'t>,
) -> GraphResult<(D::On<'t>, Copied<'t, F>)> {
    let plates = context.value().plates();
    let mut ids = IdMap::identity();
    let mut parameters: Copied<'t, F> = Vec::new();
    for parameter in distribution.parameters() {
        let own = parameter.var.stop_gradient().expand_plates(&plates);
        // An operation of its own, even where nothing is expanded.
        let own = own.reshape(own.shape());
        ids.insert(parameter.var.id(), own.id());
        parameters.push((parameter.var, own));
    }
    let bound = D::store(distribution).bind(context.tape(), &ids).map_err(|source| context.error(source))?;
    Ok((bound, parameters))
}

impl<'t, F: Real> RelaxedDraws<'t, F> {
    /// Draws relaxed values for the node's sample; also returns what softens them.
    pub(crate) fn new<D: Family<F>>(
        context: &CostContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<(Self, D::On<'t>)>
    where
        D::On<'t>: Relaxed<'t, F>,
    {
        let (copied, parameters) = copy::<F, D>(context, distribution)?;
        let hard = context.value().stop_gradient();
        let drawn = |purpose: &str| {
            copied.conditional_perturbed(hard, &context.draw(purpose)).map_err(|source| context.error(source))
        };
        // The same law as an unconditional draw, and consistent with the sample; its derivative is that at fixed noise.
        let free = drawn("relaxed value")?.stop_gradient().straight_through(copied.location());
        let given = drawn("relaxed value given the sample")?;
        let own: Vec<Var<'t, F>> = parameters.iter().map(|(_, own)| *own).collect();
        let score = context.tape().gradients(total(copied.log_prob(hard)), &own)?;
        Ok((RelaxedDraws { parameters, perturbed: [free, given], score }, copied))
    }

    /// The gradients by the parameters for a cost and the function's values for the two draws, one for each member.
    pub(crate) fn gradients(
        &self,
        cost: &NodeCost<'t, F>,
        control: Option<[Var<'t, F>; 2]>,
    ) -> GraphResult<Vec<Var<'t, F>>> {
        let Some([free, given]) = control else {
            return Ok(self.score.iter().map(|&score| score * cost.value).collect());
        };
        let own: Vec<Var<'t, F>> = self.parameters.iter().map(|(_, own)| *own).collect();
        let paths = cost.value.tape().gradients(total(free) - total(given), &own)?;
        Ok(self.score.iter().zip(paths).map(|(&score, path)| score * (cost.value - given) + path).collect())
    }

    /// The gradient term with these gradients.
    pub(crate) fn term(&self, cost: &NodeCost<'t, F>, gradients: &[Var<'t, F>]) -> GradientTerm<'t, F> {
        let zero = cost.value.tape().constant(0.0);
        let terms = self.parameters.iter().zip(gradients);
        let sum =
            terms.fold(zero, |sum, ((parameter, _), gradient)| sum + (gradient.stop_gradient() * *parameter).sum());
        GradientTerm { value: zero.straight_through(sum), summed: cost.joint.clone() }
    }
}

/// The sum of the squares of gradients, averaged over the members: what the method's own parameters minimise.
pub(crate) fn second_moment<'t, F: Real>(gradients: &[Var<'t, F>]) -> Option<Var<'t, F>> {
    let squares = gradients.iter().map(|gradient| gradient.square().sum());
    squares.reduce(|sum, square| sum + square).map(|sum| {
        let plates = sum.plates();
        plates.iter().fold(sum, |sum, &plate| sum.sum_over(plate) * (1.0 / sum.tape().plate_size(plate) as f64))
    })
}

fn total<F: Real>(value: Var<'_, F>) -> Var<'_, F> {
    value.plates().iter().fold(value, |sum, &plate| sum.sum_over(plate))
}
