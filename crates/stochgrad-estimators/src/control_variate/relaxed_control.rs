//! The common part of REBAR and RELAX: relaxed values, and a control variate made of a function of them.
//!
//! With $b \sim p(b; \theta)$, relaxed values $z$ and $\tilde z$ that are independent given $b$ and both have $b$ as
//! hard value, and any function $c$,
//!
//! $$\mathbb{E}\big[c(z)\big] = \mathbb{E}\big[\square(\ln p(b; \theta))\, c(\tilde z)\big]$$
//!
//! holds with all derivatives: $z$ is differentiated as an unconditional draw, and $\tilde z$ as a draw given $b$. The
//! control variate is therefore the difference of the two sides without its value, at every order. Together with the
//! score function its gradient is
//!
//! $$g = \big[f(b) - c(\tilde z)\big]\, \nabla_\theta \ln p(b; \theta) + \nabla_\theta\, c(z) - \nabla_\theta\, c(\tilde z).$$
//!
//! The function may itself be an unbiased estimate, with noise that is independent of the relaxed values: the costs of a
//! model in which nodes downstream are relaxed or drawn again. Nodes that are not downstream of this one keep their
//! values; given them, both sides still have the same mean.

use crate::common::member_gradients::{MemberGradients, second_moment};
use stochgrad_distributions::{Family, Relaxed};
use stochgrad_graph::{CostContext, GradientTerm, GraphResult, NodeCost, Terms};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, instantiated};

/// The purpose of the noise behind the sample.
const UNCONDITIONAL: &str = "relaxed value";

/// The relaxed values of a node, drawn from a copy of its distribution.
#[derive(Debug)]
pub struct RelaxedDraws<'t, F: Real> {
    members: MemberGradients<'t, F>,
    /// The relaxed values before [`Relaxed::soften`]: the unconditional one, and the one given the sample.
    pub perturbed: [Var<'t, F>; 2],
    log_prob: Var<'t, F>,
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
        let (members, copied) = MemberGradients::attached::<D>(context, distribution)?;
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
        // The same distribution as an unconditional draw, and consistent with the sample; its derivatives are those at
        // fixed noise.
        let free = drawn(UNCONDITIONAL)?.stop_gradient().straight_through(copied.location());
        let given = drawn("relaxed value given the sample")?;
        Ok(RelaxedDraws { members, perturbed: [free, given], log_prob: copied.log_prob(hard) })
    }

    /// The score of each parameter, member by member.
    ///
    /// # Errors
    /// Those of the tape.
    pub fn score(&self) -> GraphResult<Vec<Var<'t, F>>> {
        self.members.of(self.log_prob)
    }

    /// Adds the control variate with the values $c(z)$ and $c(\tilde z)$ for a cost to the terms of the node. Returns
    /// its gradient with respect to each parameter, member by member.
    ///
    /// # Errors
    /// Those of the tape.
    pub fn control(
        &self,
        cost: &NodeCost<'t, F>,
        [free, given]: [Var<'t, F>; 2],
        terms: &mut Terms<'t, F>,
    ) -> GraphResult<Vec<Var<'t, F>>> {
        let carried = self.log_prob.plates();
        let joint = cost.joint.iter().filter(|plate| carried.contains(plate));
        let log_prob = joint.fold(self.log_prob, |sum, &plate| sum.sum_over(plate));
        let gradients = self.members.of(free - log_prob.magic_box() * given)?;
        if let Some(value) = self.members.potential(&gradients) {
            match cost.joint.is_empty() {
                true => terms.control_variates.push(value),
                // It lacks the joint plates, over which the boxes of control variates are reduced.
                false => terms.gradient_terms.push(GradientTerm { value, summed: cost.joint.clone() }),
            }
        }
        Ok(gradients)
    }
}

/// The relaxed value that stands for the sample of a node where its distribution has changed: with the noise behind the
/// sample, which does not depend on the parameters.
pub(crate) fn relaxed_again<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    distribution: &dyn Relaxed<'t, F>,
    changed: &dyn Relaxed<'t, F>,
    temperature: Var<'t, F>,
) -> GraphResult<Option<Var<'t, F>>> {
    let hard = context.value().stop_gradient();
    let drawn = distribution.conditional_perturbed(hard, &context.draw(UNCONDITIONAL));
    let noise = (drawn.map_err(|source| context.error(source))? - distribution.location()).held();
    Ok(Some(changed.soften(changed.location() + noise, temperature)))
}

/// The second moment of the gradient of a cost, member by member: of the score times the cost, and of the control
/// variate.
pub(crate) fn second_moment_with<'t, F: Real>(
    cost: &NodeCost<'t, F>,
    score: &[Var<'t, F>],
    control: &[Var<'t, F>],
) -> Option<Var<'t, F>> {
    let gradients: Vec<Var<'t, F>> =
        score.iter().zip(control).map(|(&score, &control)| score * cost.value + control).collect();
    second_moment(&gradients)
}
