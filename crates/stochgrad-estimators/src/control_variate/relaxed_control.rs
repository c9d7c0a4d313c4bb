//! The common part of REBAR and RELAX: relaxed values, and a control variate made of a function of them.
//!
//! With $b \sim p(b; \theta)$, relaxed values $z$ and $\tilde z$ that are independent given $b$ and both have $b$ as
//! hard value, and any function $c$,
//!
//! $$g = \big[f(b) - c(\tilde z)\big]\, \nabla_\theta \ln p(b; \theta) + \nabla_\theta\, c(z) - \nabla_\theta\, c(\tilde z),$$
//!
//! is unbiased: $z$ is differentiated as an unconditional draw, and $\tilde z$ as a draw given $b$.

use crate::common::member_gradients::MemberGradients;
use stochgrad_distributions::{Family, Relaxed};
use stochgrad_graph::{CostContext, GradientTerm, GraphResult, NodeCost};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, instantiated};

/// The relaxed values of a node, drawn from a copy of its distribution.
#[derive(Debug)]
pub struct RelaxedDraws<'t, F: Real> {
    members: MemberGradients<'t, F>,
    /// The relaxed values before [`Relaxed::soften`]: the unconditional one, and the one given the sample.
    pub perturbed: [Var<'t, F>; 2],
    score: Vec<Var<'t, F>>,
}

impl<'t, F: Real> RelaxedDraws<'t, F> {
    /// Draws relaxed values for the node's sample. Also returns the distribution of the copy, which softens them.
    ///
    /// # Errors
    /// Those of the distribution and the noise source.
    pub fn new<D: Family<F>>(
        context: &CostContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<(Self, D::On<'t>)>
    where
        D::On<'t>: Relaxed<'t, F>,
    {
        let (members, copied) = MemberGradients::new::<D>(context, distribution)?;
        let draws = instantiated!(
            F: for<'t> fn(
                &CostContext<'_, 't, F>,
                MemberGradients<'t, F>,
                &dyn Relaxed<'t, F>,
            ) -> GraphResult<RelaxedDraws<'t, F>> = |context, members, copied| {
                RelaxedDraws::from_copy(context, members, copied)
            }
        )(context, members, &copied)?;
        Ok((draws, copied))
    }

    fn from_copy(
        context: &CostContext<'_, 't, F>,
        members: MemberGradients<'t, F>,
        copied: &dyn Relaxed<'t, F>,
    ) -> GraphResult<Self> {
        let hard = context.value().stop_gradient();
        let drawn = |purpose: &str| {
            copied.conditional_perturbed(hard, &context.draw(purpose)).map_err(|source| context.error(source))
        };
        // The same distribution as an unconditional draw, and consistent with the sample; its derivative is that at
        // fixed noise.
        let free = drawn("relaxed value")?.stop_gradient().straight_through(copied.location());
        let given = drawn("relaxed value given the sample")?;
        let score = members.of(copied.log_prob(hard))?;
        Ok(RelaxedDraws { members, perturbed: [free, given], score })
    }

    /// The gradient $g$ with respect to each parameter, member by member, for a cost and the values $c(z)$ and
    /// $c(\tilde z)$ of the function; `None` for no control variate.
    ///
    /// # Errors
    /// Those of the tape.
    pub fn gradients(&self, cost: &NodeCost<'t, F>, control: Option<[Var<'t, F>; 2]>) -> GraphResult<Vec<Var<'t, F>>> {
        let Some([free, given]) = control else {
            return Ok(self.score.iter().map(|&score| score * cost.value).collect());
        };
        let paths = self.members.of(free - given)?;
        Ok(self.score.iter().zip(paths).map(|(&score, path)| score * (cost.value - given) + path).collect())
    }

    /// The gradient term with these gradients. `None` if the distribution has no parameters.
    pub fn term(&self, cost: &NodeCost<'t, F>, gradients: &[Var<'t, F>]) -> Option<GradientTerm<'t, F>> {
        self.members.term(gradients, &cost.joint)
    }
}
