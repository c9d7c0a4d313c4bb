//! What REBAR and RELAX share: relaxed values, and control variates made of a function of them.
//!
//! With $b \sim p(b; \theta)$, relaxed values $z$ and $\tilde z$ that are independent given $b$ and both have $b$ as
//! hard value, and any function $c$,
//!
//! $$g = \big[f(b) - c(\tilde z)\big]\, \nabla_\theta \ln p(b; \theta) + \nabla_\theta\, c(z) - \nabla_\theta\, c(\tilde z),$$
//!
//! is unbiased: $z$ moves with the parameters as an unconditional draw does, $\tilde z$ as a draw given $b$ does.

use crate::common::member_gradients::MemberGradients;
use stochgrad_distributions::{Distribution, Family, Relaxed};
use stochgrad_graph::{CostContext, GradientTerm, GraphResult, NodeCost};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// What is drawn from a copy of the node's distribution.
pub(crate) struct RelaxedDraws<'t, F: Real> {
    members: MemberGradients<'t, F>,
    /// Relaxed values before they are softened: unconditional, and given the sample.
    pub(crate) perturbed: [Var<'t, F>; 2],
    score: Vec<Var<'t, F>>,
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
        let (members, copied) = MemberGradients::new::<D>(context, distribution)?;
        let hard = context.value().stop_gradient();
        let drawn = |purpose: &str| {
            copied.conditional_perturbed(hard, &context.draw(purpose)).map_err(|source| context.error(source))
        };
        // The same distribution as an unconditional draw, and consistent with the sample; its derivative is that at
        // fixed noise.
        let free = drawn("relaxed value")?.stop_gradient().straight_through(copied.location());
        let given = drawn("relaxed value given the sample")?;
        let score = members.of(copied.log_prob(hard))?;
        Ok((RelaxedDraws { members, perturbed: [free, given], score }, copied))
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
        let paths = self.members.of(free - given)?;
        Ok(self.score.iter().zip(paths).map(|(&score, path)| score * (cost.value - given) + path).collect())
    }

    /// The gradient term with these gradients.
    pub(crate) fn term(&self, cost: &NodeCost<'t, F>, gradients: &[Var<'t, F>]) -> Option<GradientTerm<'t, F>> {
        self.members.term(gradients, &cost.joint)
    }
}
