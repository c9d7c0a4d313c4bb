//! The double control variate: leave-one-out with a linear model of the cost, made from the gradients of the cost at
//! the other samples. Use it for discrete nodes with a differentiable cost; unlike REBAR, it evaluates the cost at
//! samples only.
//!
//! Sample $k$ has the parameters $\theta_k$, the distribution $p_k$ and its mean $\mu_k$. They are the same for all
//! samples that the node draws by itself, and may differ along a shared plate. Let $b_k(x) = \bar v_{-k}^\top (x -
//! \mu_k)$ with the mean slope $\bar v_{-k} = \frac{1}{K-1} \sum_{j \ne k} \nabla f_j(x_j)$ at the *other* samples. The
//! gradient with respect to $\theta_k$ is
//!
//! $$g_k = \frac1K \Big[f_k - \alpha b_k(x_k) - \frac{1}{K-1} \sum_{j \ne k} \big(f_j - \alpha b_j(x_j)\big)\Big]
//!     \nabla \ln p_k(x_k) + \frac{\alpha}{K}\, \bar v_{-k}^\top\, \nabla \mu_k.$$
//!
//! The term $b_k(x_k)$ is a linear model of the cost, whose gradient is known exactly, and $b_j(x_j)$ improves the
//! baseline made of the other costs. The scale $\alpha$ can be learned: it minimises the second moment of the gradient,
//! and does not change its mean. Titsias and Shi (2022).
//!
//! **Why it is unbiased.** Given the other samples, $\bar v_{-k}$ is a constant and $\mathbb{E}[b_k(x_k)\, \nabla \ln
//! p_k(x_k)] = \bar v_{-k}^\top\, \nabla \mathbb{E}[x_k] = \bar v_{-k}^\top\, \nabla \mu_k$, which the last term adds
//! again. In the baseline, $f_j$ does not depend on $x_k$, whose score has mean zero. $b_j(x_j)$ depends on $x_k$
//! through $\bar v_{-j}$, but its own mean is zero, given all samples except $x_j$. The last term needs the slopes at
//! the *other* samples: only where all $\mu_k$ equal one $\mu$ is $\sum_k \bar v_{-k}^\top \nabla \mu_k = \sum_k \nabla
//! f_k(x_k)^\top \nabla \mu$, the form in the paper.
//!
//! **Assumptions.** The mean of the distribution has a closed form. Where the gradient of the cost is uninformative
//! (behind a jump, or through a node that is drawn again), the variance is larger, but there is no bias. Costs of all
//! samples jointly, as in IWAE, get no control variate.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 |
//! | cost evaluations | $K \ge 2$, and one backward pass |
//! | requirement on the cost | values, and derivatives at the samples |

use crate::common::learned_parameters::LearnedParameters;
use crate::common::member_gradients::{MemberGradients, second_moment};
use crate::common::sampling::Sampling;
use crate::score_function::baseline::LeaveOneOut;
use stochgrad_distributions::{Distribution, Family, ScoreDifferentiable};
use stochgrad_graph::{
    Access, CostContext, Count, GradientMethod, GraphResult, Guarantee, Method, MethodSlots, Order, Path, Profile,
    SampleContext, SamplePlate, SampleSet, Terms,
};
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::{Real, instantiated};

/// Leave-one-out with a linear model of the cost, for distributions with a known mean.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::DoubleControlVariate;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0])?;
/// let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &DoubleControlVariate::new(4))?;
/// graph.cost("loss", (bits.sum() - 0.5).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DoubleControlVariate {
    sampling: Sampling,
    scale: f64,
    own: Option<LearnedParameters>,
}

impl DoubleControlVariate {
    /// Draws this number of samples, at least 2; the scale is 1.
    pub fn new(samples: usize) -> Self {
        DoubleControlVariate { sampling: Sampling::on(SamplePlate::New(samples)), scale: 1.0, own: None }
    }

    /// Draws one sample for each member of a plate made with [`Graph::plate`](stochgrad_graph::Graph::plate); the scale
    /// is 1.
    pub fn on_plate(plate: Plate) -> Self {
        DoubleControlVariate { sampling: Sampling::on(SamplePlate::Shared(plate)), scale: 1.0, own: None }
    }

    /// Sets the scale of the linear model, or its initial value if it is learned. With 0, the method is leave-one-out.
    pub fn scale(self, scale: f64) -> Self {
        DoubleControlVariate { scale, ..self }
    }

    /// Learns the scale of each node, with Adam and this step size. It changes when
    /// [`Gradients::advance`](stochgrad_graph::Gradients::advance) is called. Clones share it.
    pub fn learned(self, learning_rate: f64) -> Self {
        DoubleControlVariate { own: Some(LearnedParameters::new(learning_rate)), ..self }
    }
}

impl Method for DoubleControlVariate {
    fn name(&self) -> String {
        let learned = if self.own.is_some() { ", learned" } else { "" };
        format!("double control variate (scale {}{learned}, {})", self.scale, self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Finite(1))
            .backward_passes(Count::exactly(1), Access::Derivatives)
            .times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }

    fn slots(&self) -> MethodSlots {
        self.own.as_ref().map(LearnedParameters::slots).unwrap_or_default()
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for DoubleControlVariate
where
    for<'t> D::On<'t>: ScoreDifferentiable<'t, F>,
{
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        match distribution.mean() {
            Some(_) => Ok(self.profile().guarantee(path)),
            None => Err(format!(
                "the mean of {} has no closed form; use ScoreFunction with LeaveOneOut",
                distribution.name()
            )),
        }
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        LeaveOneOut.sampled(context, distribution, self.sampling.plate, &self.name())
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        if context.plate().is_none() {
            return Ok(Terms::default());
        }
        context.check_hidden_outcomes()?;
        let (members, copied) = MemberGradients::new::<D>(context, distribution)?;
        instantiated!(
            F: for<'t> fn(
                &DoubleControlVariate,
                &CostContext<'_, 't, F>,
                MemberGradients<'t, F>,
                &dyn Distribution<'t, F>,
            ) -> GraphResult<Terms<'t, F>> = DoubleControlVariate::terms_body
        )(self, context, members, &copied)
    }
}

impl DoubleControlVariate {
    fn terms_body<'t, F: Real>(
        &self,
        context: &CostContext<'_, 't, F>,
        members: MemberGradients<'t, F>,
        copied: &dyn Distribution<'t, F>,
    ) -> GraphResult<Terms<'t, F>> {
        let mut terms = Terms::default();
        let Some(plate) = context.plate() else { return Ok(terms) };
        let tape = context.tape();
        let name = format!("{} / scale", context.address());
        let start = self.scale;
        let scale = match &self.own {
            Some(own) => own.record(tape, &name, [], |_| start),
            None => tape.constant(start),
        };
        let value = context.value().stop_gradient();
        let score = members.of(copied.log_prob(value))?;
        let Some(mean) = copied.mean() else {
            return Err(
                context.refused("the mean of the distribution has no closed form; use ScoreFunction with LeaveOneOut")
            );
        };
        let others = |of: Var<'t, F>| (of.sum_over(plate) - of) * (1.0 / (tape.whole_plate_size(plate) - 1) as f64);
        let mut loss: Option<Var<'t, F>> = None;
        for (cost, slope) in context.cost_gradients()? {
            if cost.joint.contains(&plate) {
                let plain: Vec<Var<'t, F>> = score.iter().map(|&score| score * cost.value).collect();
                terms.gradient_terms.extend(members.term(&plain, &cost.joint));
                continue;
            }
            let slope = slope.stop_gradient();
            let slope_of_others = others(slope);
            let linear = (slope_of_others * (value - mean.stop_gradient())).sum();
            // The model of a cost of several members jointly is the sum over these members.
            let linear = cost.joint.iter().fold(linear, |sum, &joint| sum.sum_over(joint));
            let advantage = cost.value - linear * scale - others(cost.value - linear * scale);
            let model = members.of(slope_of_others * mean)?;
            let gradients: Vec<Var<'t, F>> =
                score.iter().zip(model).map(|(&score, model)| score * advantage + model * scale).collect();
            terms.gradient_terms.extend(members.term(&gradients, &cost.joint));
            if self.own.is_some() {
                // The gradient that is used is the average over the samples, so that the average is squared.
                let averaged: Vec<Var<'t, F>> = gradients.iter().map(|gradient| gradient.mean_over(plate)).collect();
                let moment = second_moment(&averaged);
                loss = loss.zip(moment).map(|(sum, moment)| sum + moment).or(loss).or(moment);
            }
        }
        if let (Some(own), Some(loss)) = (&self.own, loss) {
            terms.auxiliary.push(own.learn(loss, vec![(name, scale)]));
        }
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{Bernoulli, OneHotCategorical, Poisson};
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    #[test]
    fn it_is_unbiased_on_every_shape_of_graph() {
        let double = |samples, scale| Arc::new(DoubleControlVariate::new(samples).scale(scale)) as BitMethod;
        let score: BitMethod = Arc::new(ScoreFunction::new());
        models::assert_unbiased([&double(2, 1.0), &double(2, 0.7), &score]);
        models::assert_unbiased([&score, &double(3, -0.4), &double(2, 1.0)]);
        for samples in [2, 3] {
            let method = double(samples, 0.8);
            Oracle::new()
                .verify(|graph: &Graph<'_, f64>| models::importance_weighted(graph, &method), 0..=1, 1e-9)
                .unwrap();
        }
    }

    #[test]
    fn joint_costs_of_data_vectors_and_counts_are_unbiased() {
        let method = DoubleControlVariate::new(2).scale(0.9);
        let joint = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, -0.8])?;
            let features = graph.data("data", [0.5, -1.5])?;
            let x = graph.sample("x", &Bernoulli::from_logits(t * features), &method)?;
            let sum = x.sum().sum_over(features.plates()[0]);
            graph.cost("cost", (sum - 0.7).square() * t.index(0, 1))
        };
        Oracle::new().verify(joint, 0..=1, 1e-9).unwrap();
        let vectors = |graph: &Graph<'_, f64>| {
            let logits = graph.param("logits", [[0.2, -0.4, 1.0], [0.0, 0.3, -2.0]])?;
            let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &method)?;
            let y = (x * graph.constant([[1.0, -2.0, 0.5], [0.3, 1.0, 1.5]])).sum_axis(-1);
            graph.cost("cost", (y.index(0, 0) - y.index(0, 1) * 0.5).exp())
        };
        Oracle::new().verify(vectors, 0..=1, 1e-9).unwrap();
        let counts = |graph: &Graph<'_, f64>| {
            let rate = graph.param("rate", 1.3)?;
            let x = graph.sample("x", &Poisson::from_rate(rate), &method)?;
            graph.cost("cost", (x * 0.3).sin())
        };
        Oracle::new().verify(counts, 0..=1, 1e-9).unwrap();
    }

    #[test]
    fn a_linear_cost_has_no_variance_and_learning_finds_that() {
        let model = |graph: &Graph<'_, f64>, method: &DoubleControlVariate| {
            let t = graph.param("t", [0.3, -1.0, 2.0])?;
            let x = graph.sample("x", &Bernoulli::from_logits(t), method)?;
            graph.cost("cost", (x * graph.constant([1.0, -2.0, 0.5])).sum() + 4.0)
        };
        let variance = |method: &DoubleControlVariate| {
            let moments = Oracle::new().gradient(|graph: &Graph<'_, f64>| model(graph, method)).unwrap();
            moments.variance("t").unwrap().as_slice().iter().sum::<f64>()
        };
        assert!(variance(&DoubleControlVariate::new(2)) < 1e-20);
        let method = DoubleControlVariate::new(2).scale(0.0).learned(0.02);
        let before = variance(&method);
        for step in 0..300 {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(9).step(step));
            model(&graph, &method).unwrap();
            graph.backward().unwrap().advance();
        }
        let after = variance(&method);
        assert!(after < 0.01 * before, "{after} after {before}");
        models::assert_compiled(&(Arc::new(method) as BitMethod));
    }

    #[test]
    fn scale_zero_is_leave_one_out() {
        let leave_one_out: BitMethod = Arc::new(ScoreFunction::new().samples(4).baseline(LeaveOneOut));
        let double: BitMethod = Arc::new(DoubleControlVariate::new(4).scale(0.0));
        let (expected, found) = (models::moments(&leave_one_out, 0.45, 0.1), models::moments(&double, 0.45, 0.1));
        assert!(
            (expected.1 - found.1).abs() < 1e-15 && (expected.1 - 1.575e-4).abs() < 1e-8,
            "{expected:?}, {found:?}"
        );
    }

    #[test]
    fn one_sample_is_an_error() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let distribution = Bernoulli::from_logits(graph.constant(0.3));
        let error = graph.sample("x", &distribution, &DoubleControlVariate::new(1)).unwrap_err().to_string();
        assert!(error.contains("at least 2"), "{error}");
    }
}
