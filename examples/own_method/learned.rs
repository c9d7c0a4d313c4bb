//! A gradient method with a learned parameter, made of the public building blocks of `estimators::extension`.

use stochgrad::check::{CheckError, Oracle};
use stochgrad::distributions::{Distribution, Family, ScoreDifferentiable};
use stochgrad::estimators::extension::{
    LearnedParameters, MemberGradients, Sampling, sampling_setters, second_moment, total_key,
};
use stochgrad::graph::{
    CostContext, GradientMethod, GraphResult, Method, MethodSlots, Order, Profile, SampleContext, SamplePlate,
    SampleSet, Terms,
};
use stochgrad::prelude::*;
use stochgrad::tensor::Real;

/// The score function with the score as a control variate, whose scale is learned.
///
/// $$g = f(x)\, s(x) - c\, s(x), \qquad s(x) = \nabla_\theta \ln p(x; \theta), \qquad \mathbb{E}[s(x)] = 0.$$
///
/// The gradient is unbiased for every scale $c$. The scale of each node minimises $\mathbb{E}[g^2]$, and with it the
/// variance, by one step of Adam in each [`Gradients::advance`](stochgrad::graph::Gradients::advance). Clones share
/// what they learn.
#[derive(Clone, Debug)]
pub(crate) struct LearnedScale {
    sampling: Sampling,
    learned: LearnedParameters,
}

impl LearnedScale {
    /// One sample, and a scale that starts at 0 and is learned with this step size.
    pub(crate) fn new(learning_rate: f64) -> Self {
        LearnedScale { sampling: Sampling::default(), learned: LearnedParameters::new(learning_rate) }
    }

    sampling_setters! { self => self.sampling; samples }
}

impl Method for LearnedScale {
    fn name(&self) -> String {
        format!("score function (learned scale, {})", self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Finite(1)).times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }

    fn slots(&self) -> MethodSlots {
        self.learned.slots()
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for LearnedScale
where
    for<'t> D::On<'t>: ScoreDifferentiable<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        self.sampling.draw(context, distribution)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        context.check_hidden_outcomes()?;
        let (members, copied) = MemberGradients::new::<D>(context, distribution)?;
        let scores = members.of(copied.log_prob(context.value().stop_gradient()))?;
        let mut terms = Terms::default();
        for cost in context.totals()? {
            let name = total_key(context, &cost);
            let scale = self.learned.record(context.tape(), &name, [], |_| 0.0);
            let gradients: Vec<Var<'t, F>> = scores.iter().map(|&score| score * (cost.value - scale)).collect();
            terms.gradient_terms.extend(members.term(&gradients, &cost.joint));
            // The gradients are still differentiable with respect to the scale.
            if let Some(loss) = second_moment(&gradients) {
                terms.auxiliary.push(self.learned.learn(loss, vec![(name, scale)]));
            }
        }
        Ok(terms)
    }
}

/// Two bits, the second of which depends on the first.
pub(crate) fn model(graph: &Graph<'_, f64>, method: &LearnedScale) -> GraphResult<()> {
    let logits = graph.param("logits", [0.3, -0.5])?;
    let first = graph.sample("first", &Bernoulli::from_logits(logits.index(0, 0)), method)?;
    let second = graph.sample("second", &Bernoulli::from_logits(logits.index(0, 1) + first), method)?;
    graph.cost("cost", (first * 2.0 - second + 3.0).square())
}

/// Takes gradients of the model, and lets the method learn from each of them.
pub(crate) fn learn(method: &LearnedScale, steps: usize) -> GraphResult<()> {
    for step in 0..steps {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(11).step(step));
        model(&graph, method)?;
        graph.backward()?.advance();
    }
    Ok(())
}

/// The exact variance of the gradient with a method, summed over the parameters.
pub(crate) fn variance(method: &LearnedScale) -> Result<f64, CheckError> {
    let moments = Oracle::new().gradient(|graph: &Graph<'_, f64>| model(graph, method))?;
    Ok(moments.variance("logits")?.as_slice().iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_unbiased_before_and_after_learning() {
        for method in [LearnedScale::new(0.3), LearnedScale::new(0.3).samples(2)] {
            for _ in 0..2 {
                Oracle::new().verify(|graph: &Graph<'_, f64>| model(graph, &method), 0..=1, 1e-9).unwrap();
                learn(&method, 50).unwrap();
            }
        }
    }

    #[test]
    fn the_variance_falls() {
        let method = LearnedScale::new(0.3);
        let before = variance(&method).unwrap();
        learn(&method, 300).unwrap();
        let after = variance(&method).unwrap();
        assert!(after < 0.2 * before, "{after} after {before}");
    }

    #[test]
    fn the_state_returns() {
        let (trained, fresh) = (LearnedScale::new(0.3), LearnedScale::new(0.3));
        learn(&trained, 20).unwrap();
        fresh.load_state(&trained.state()).unwrap();
        assert_eq!(variance(&fresh).unwrap(), variance(&trained).unwrap());
        // The state contains the averages of Adam too: both methods go on in the same way.
        learn(&trained, 1).unwrap();
        learn(&fresh, 1).unwrap();
        assert_eq!(fresh.state(), trained.state());
        assert!(fresh.load_state(&[("first".to_owned(), vec![1.0, 2.0])].into()).is_err());
    }
}
