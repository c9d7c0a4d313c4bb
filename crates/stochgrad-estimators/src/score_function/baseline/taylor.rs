//! The cost and its derivatives at the mean of a node, for the Taylor polynomials of control variates.

use super::members::over_joint;
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, GraphResult, NodeCost};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape};

/// The mean of a node, and the costs and derivatives there.
pub(super) struct Expansion<'t, F: Real> {
    /// The mean, as a differentiable function of the parameters.
    pub(super) mean: Var<'t, F>,
    /// The mean as the point of expansion, detached.
    pub(super) at: Var<'t, F>,
    /// The sample minus the mean, for each member.
    pub(super) deviation: Var<'t, F>,
    /// The total costs, their values with all members at their means, and the derivatives of these with respect to the
    /// mean of one member, all recorded.
    pub(super) costs: Vec<(NodeCost<'t, F>, Var<'t, F>, Var<'t, F>)>,
}

/// The error for a distribution without a mean.
pub(super) fn no_mean(distribution: &str) -> String {
    format!("the mean of {distribution} has no closed form; use LeaveOneOut, or SelfCritical where there is a mode")
}

impl<'t, F: Real> Expansion<'t, F> {
    /// Replays the costs with every member at its mean.
    pub(super) fn new(context: &CostContext<'_, 't, F>, distribution: &dyn Distribution<'t, F>) -> GraphResult<Self> {
        let mean = distribution.mean().ok_or_else(|| context.refused(no_mean(distribution.name())))?;
        let at = mean.stop_gradient();
        let value = context.value().stop_gradient();
        let mut costs = Vec::new();
        for (cost, again) in context.replay(at)? {
            let slope = derivative(context, &cost, again, at)?;
            costs.push((cost, again, slope));
        }
        Ok(Expansion { mean, at, deviation: value - at, costs })
    }

    /// The linear part for a slope, and its mean minus the constant, each summed over the members that the cost depends
    /// on jointly.
    pub(super) fn linear(
        &self,
        context: &CostContext<'_, 't, F>,
        cost: &NodeCost<'t, F>,
        slope: Var<'t, F>,
    ) -> (Var<'t, F>, Var<'t, F>) {
        let slope = slope.stop_gradient();
        let mean = (slope * self.mean).sum().expand_plates(&context.value().plates());
        (over_joint(context, cost, (slope * self.deviation).sum()), over_joint(context, cost, mean))
    }

    /// The second derivatives of a total cost, as a square matrix over the elements of one member.
    pub(super) fn hessian(
        &self,
        context: &CostContext<'_, 't, F>,
        cost: &NodeCost<'t, F>,
        slope: Var<'t, F>,
    ) -> GraphResult<Var<'t, F>> {
        let count = self.at.shape().numel();
        let flat = Shape::from(&[count][..]);
        let mut rows = Vec::with_capacity(count);
        for element in 0..count {
            let one = slope.reshape(flat.clone()).index(0, element);
            rows.push(derivative(context, cost, one, self.at)?.reshape(flat.clone()).stop_gradient());
        }
        Ok(Var::stack(&rows)?)
    }
}

/// The derivative of a value with respect to the point `at` of each member. Members along plates that the point lacks
/// share it. They are averaged if the value has these plates; if the value depends on them jointly, each gets an equal
/// share.
fn derivative<'t, F: Real>(
    context: &CostContext<'_, 't, F>,
    cost: &NodeCost<'t, F>,
    value: Var<'t, F>,
    at: Var<'t, F>,
) -> GraphResult<Var<'t, F>> {
    let (own, known) = (context.value().plates(), at.plates());
    let sum = value.plates().iter().fold(value, |sum, &plate| match known.contains(&plate) {
        true => sum.sum_over(plate),
        false => sum.mean_over(plate),
    });
    let shared = cost.joint.iter().filter(|plate| own.contains(plate) && !known.contains(plate));
    let members: usize = shared.map(|&plate| context.tape().whole_plate_size(plate)).product();
    Ok(context.tape().gradients(sum, &[at])?[0] * (1.0 / members as f64))
}
