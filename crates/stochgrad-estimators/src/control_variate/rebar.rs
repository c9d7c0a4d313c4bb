//! REBAR: the score function with the relaxed model as a control variate. Use it for discrete nodes with a cost that is
//! defined and differentiable between the states.
//!
//! $$g = \big[f(b) - \alpha f(\sigma_\tau(\tilde z))\big]\, \nabla_\theta \ln p(b; \theta)
//!     + \alpha\, \nabla_\theta f(\sigma_\tau(z)) - \alpha\, \nabla_\theta f(\sigma_\tau(\tilde z)).$$
//!
//! Here $z$ is the perturbed parameter behind the sample $b$, $\tilde z$ is another one with the same hard value, and
//! $\sigma_\tau$ softens it at the temperature $\tau$. Gradients flow through both, for which the model downstream is
//! recorded twice more with relaxed values. The scale $\alpha$ and the temperature can be learned: they minimise the
//! second moment of the gradient, and change neither its mean nor the gradient of the model. Tucker, Mnih, Maddison,
//! Lawson and Sohl-Dickstein (2017).
//!
//! In the surrogate the gradient function is $l = \ln p(b; \theta)$, and the control variate has the derivatives of
//! $\alpha f(\sigma_\tau(z)) - \square(l)\, \alpha f(\sigma_\tau(\tilde z))$. Both terms have the same mean at every
//! $\theta$, so that all derivatives of their difference have mean zero.
//!
//! Stochastic nodes downstream are part of the relaxed cost. A node that is a recorded function of its parameters
//! (pathwise or relaxed) is recorded again, and another node with REBAR is relaxed, with the noise behind its own
//! sample. Any other node is drawn again from its parameters for the relaxed value, whatever its own method is, and
//! contributes its score. Each of these is a valid function $c$ of the relaxed value, since the noise of the other nodes
//! is independent of it.
//!
//! **Assumptions.** The cost, and the parameters of the nodes downstream, are defined and differentiable between the
//! states.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | any; 1 through a kink, and at most that of implicit paths downstream |
//! | cost evaluations | 3 a sample, and 2 backward passes |
//! | requirement on the cost | values and derivatives between the states |

use crate::common::learned_parameters::LearnedParameters;
use crate::common::sampling::Sampling;
use crate::control_variate::relaxed_control::{RelaxedDraws, relaxed_again, second_moment_with};
use crate::sampling_setters;
use stochgrad_distributions::{Distribution, DistributionError, Family, Relaxed};
use stochgrad_graph::{
    Access, CostContext, Count, GradientMethod, GraphResult, Guarantee, Method, MethodSlots, Order, Path, Profile,
    SampleContext, SamplePlate, SampleSet, Terms, path_order, sample_path_order,
};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, instantiated};

/// REBAR, for distributions with a continuous relaxation: bits and one-hot vectors.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::Rebar;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let method = Rebar::new().learned(0.01);
/// for step in 0..3 {
///     let tape = Tape::<f64>::new();
///     let graph = Graph::new(&tape, Seed::new(7).step(step));
///     let logits = graph.param("logits", [0.3, -1.0])?;
///     let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &method)?;
///     graph.cost("loss", (bits.sum() - 0.5).square())?;
///     graph.backward()?.advance();
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Rebar {
    sampling: Sampling,
    temperature: f64,
    scale: f64,
    own: Option<LearnedParameters>,
    assume_continuous: bool,
}

impl Default for Rebar {
    fn default() -> Self {
        Rebar { sampling: Sampling::default(), temperature: 0.5, scale: 1.0, own: None, assume_continuous: false }
    }
}

impl Rebar {
    /// Draws one sample; the temperature is 0.5 and the scale 1.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the temperature of the relaxation, which must be positive, or its initial value if it is learned.
    pub fn temperature(self, temperature: f64) -> Self {
        Rebar { temperature, ..self }
    }

    /// Sets the scale of the control variate (0 for none), or its initial value if it is learned.
    pub fn scale(self, scale: f64) -> Self {
        Rebar { scale, ..self }
    }

    /// Learns the temperature and the scale of each node, with Adam and this step size. They change when
    /// [`Gradients::advance`](stochgrad_graph::Gradients::advance) is called. Clones share them.
    pub fn learned(self, learning_rate: f64) -> Self {
        Rebar { own: Some(LearnedParameters::new(learning_rate)), ..self }
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }

    /// Accepts jumps on the paths from the value, as
    /// [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        Rebar { assume_continuous: true, ..self }
    }
}

impl Method for Rebar {
    fn name(&self) -> String {
        let learned = if self.own.is_some() { ", both learned" } else { "" };
        format!("REBAR (temperature {}, scale {}{learned}, {})", self.temperature, self.scale, self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any)
            .evaluations(Count::exactly(3))
            .backward_passes(Count::exactly(2), Access::Between)
            .times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }

    fn relaxes_in_replays(&self) -> bool {
        true
    }

    fn slots(&self) -> MethodSlots {
        self.own.as_ref().map(LearnedParameters::slots).unwrap_or_default()
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Rebar
where
    for<'t> D::On<'t>: Relaxed<'t, F>,
{
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        let guarantee = self.profile().guarantee(path).at_most(sample_path_order(distribution));
        Ok(guarantee.at_most(path_order(path, self.assume_continuous)?))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(context.error(DistributionError::Parameter {
                distribution: distribution.name(),
                parameter: "temperature of its relaxation",
                expected: "a positive finite number",
                found: self.temperature,
                position: 0,
                hint: "0.5 is a common start",
            }));
        }
        self.sampling.draw(context, distribution)
    }

    fn relaxed_value<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &D::On<'t>,
        changed: &D::On<'t>,
    ) -> GraphResult<Option<Var<'t, F>>> {
        let [log_temperature, _] = self.recorded(context).map(|(_, value)| value);
        relaxed_again(context, distribution, changed, log_temperature.exp())
    }

    fn gradient_function<'t>(&self, distribution: &D::On<'t>, value: Var<'t, F>, _path: &Path) -> Option<Var<'t, F>> {
        Some(distribution.log_prob(value))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let (draws, copied) = RelaxedDraws::new::<D>(context, distribution)?;
        instantiated!(
            F: for<'t> fn(
                &Rebar,
                &CostContext<'_, 't, F>,
                RelaxedDraws<'t, F>,
                &dyn Relaxed<'t, F>,
            ) -> GraphResult<Terms<'t, F>> = Rebar::terms_body
        )(self, context, draws, &copied)
    }
}

impl Rebar {
    /// The logarithm of the temperature and the scale, with their names.
    fn recorded<'t, F: Real>(&self, context: &CostContext<'_, 't, F>) -> [(String, Var<'t, F>); 2] {
        let starts = [("log temperature", self.temperature.ln()), ("scale", self.scale)];
        starts.map(|(what, start)| {
            let name = format!("{} / {what}", context.address());
            let value = match &self.own {
                Some(own) => own.record(context.tape(), &name, [], |_| start),
                None => context.tape().constant(start),
            };
            (name, value)
        })
    }

    fn terms_body<'t, F: Real>(
        &self,
        context: &CostContext<'_, 't, F>,
        draws: RelaxedDraws<'t, F>,
        copied: &dyn Relaxed<'t, F>,
    ) -> GraphResult<Terms<'t, F>> {
        let parameters = self.recorded(context);
        let [log_temperature, scale] = [parameters[0].1, parameters[1].1];
        let temperature = log_temperature.exp();
        let relaxed =
            context.recorded_replays(draws.perturbed.map(|perturbed| copied.soften(perturbed, temperature)))?;
        let score = self.own.as_ref().map(|_| draws.score()).transpose()?;
        let mut terms = Terms::default();
        let mut loss: Option<Var<'t, F>> = None;
        for (cost, relaxed) in context.costs()?.iter().zip(relaxed) {
            let control = draws.control(cost, relaxed.map(|value| value * scale), &mut terms)?;
            if let Some(score) = &score {
                let moment = second_moment_with(cost, score, &control);
                loss = loss.zip(moment).map(|(sum, moment)| sum + moment).or(loss).or(moment);
            }
        }
        if let (Some(own), Some(loss)) = (&self.own, loss) {
            terms.auxiliary.push(own.learn(loss, parameters.into()));
        }
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pathwise::Pathwise;
    use crate::relaxation::gumbel_softmax::GumbelSoftmax;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::{Oracle, StatisticalTest};
    use stochgrad_distributions::{Bernoulli, Normal, OneHotCategorical};
    use stochgrad_graph::{Bias, Graph, Seed};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    #[test]
    fn one_bit_has_the_exact_mean() {
        for method in [Rebar::new().temperature(1.0), Rebar::new().temperature(2.0).scale(0.7)] {
            let method: BitMethod = Arc::new(method);
            for theta in [0.5, 0.1] {
                let (mean, _) = models::moments(&method, 0.45, theta);
                assert!((mean - theta * (1.0 - theta) * 0.1).abs() < 1e-6, "{}: {mean}", method.name());
            }
        }
    }

    /// Costs with ancestors, several plates, a joint cost, and a relaxed and a pathwise node downstream.
    fn model(graph: &Graph<'_, f64>, method: &Rebar, downstream: bool) -> GraphResult<()> {
        let t = graph.param("t", [0.3, -0.8])?;
        let features = graph.data("data", [0.5, -1.5])?;
        let root = graph.sample("root", &Bernoulli::from_logits(t.index(0, 1)), &ScoreFunction::new())?;
        let x = graph.sample("x", &Bernoulli::from_logits(t * features + root * 0.4), method)?;
        graph.cost("each", (x.sum() * features - t.index(0, 0)).square() + root)?;
        let joint = x.sum().mean_over(features.plates()[0]);
        graph.cost("joint", (joint.exp() * t.index(0, 1)).sin())?;
        if downstream {
            let y = graph.sample("y", &Normal::new(x.sum() * t.index(0, 0), 0.5), &Pathwise::new())?;
            graph.cost("downstream", y.sin())?;
        }
        Ok(())
    }

    #[test]
    fn gradients_are_unbiased_in_larger_models() {
        for (method, downstream) in [
            (Rebar::new(), true),
            (Rebar::new().temperature(1.5).scale(0.4).samples(2), false),
            (Rebar::new().scale(0.0), false),
        ] {
            // The exact value, from another unbiased method that the oracle has verified, and from the oracle itself.
            let exact = Oracle::new()
                .nodes(12)
                .exact_gradient(|graph: &Graph<'_, f64>| model(graph, &Rebar::new(), downstream))
                .unwrap();
            StatisticalTest::new()
                .runs(6000)
                .check(|graph: &Graph<'_, f64>| model(graph, &method, downstream), &exact)
                .unwrap_or_else(|error| panic!("{}: {error}", method.name()));
        }
    }

    #[test]
    fn vectors_are_unbiased() {
        let model = |graph: &Graph<'_, f64>| {
            let logits = graph.param("logits", [[0.2, -0.4, 1.0], [0.0, 0.3, -2.0]])?;
            let method = Rebar::new().temperature(0.8);
            let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &method)?;
            let y = (x * graph.constant([[1.0, -2.0, 0.5], [0.3, 1.0, 1.5]])).sum_axis(-1);
            graph.cost("cost", (y.index(0, 0) - y.index(0, 1) * 0.5).exp())
        };
        let exact = Oracle::new().exact_gradient(model).unwrap();
        StatisticalTest::new().runs(6000).check(model, &exact).unwrap();
    }

    #[test]
    fn learning_lowers_the_variance_and_leaves_the_mean() {
        let method = Rebar::new().temperature(4.0).scale(0.1).learned(0.02);
        let toy = |graph: &Graph<'_, f64>, method: &Rebar| {
            let t = graph.param("t", [0.3, -1.0, 2.0])?;
            let x = graph.sample("x", &Bernoulli::from_logits(t), method)?;
            graph.cost("cost", (x - 0.45).square().sum() + 1.0)
        };
        let variance = || {
            let run = |seed| {
                let tape = Tape::<f64>::new();
                let graph = Graph::new(&tape, Seed::new(seed));
                toy(&graph, &method).unwrap();
                graph.backward().unwrap().get("t").unwrap().to_vec()
            };
            StatisticalTest::new().runs(2000).sample(run).unwrap().variance.iter().sum::<f64>()
        };
        let before = variance();
        assert!(method.state().is_empty(), "what is not advanced must not change");
        for step in 0..1500 {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(9).step(step));
            toy(&graph, &method).unwrap();
            graph.backward().unwrap().advance();
        }
        let after = variance();
        assert!(after < 0.3 * before, "{after} after {before}");
        let exact = Oracle::new().exact_gradient(|graph: &Graph<'_, f64>| toy(graph, &method)).unwrap();
        StatisticalTest::new().runs(6000).check(|graph: &Graph<'_, f64>| toy(graph, &method), &exact).unwrap();
        let other = Rebar::new().learned(0.02);
        other.load_state(&method.state()).unwrap();
        assert_eq!(other.state(), method.state());
        assert!(Rebar::new().load_state(&method.state()).is_err());
    }

    #[test]
    fn a_relaxed_node_downstream_makes_the_cost_biased_and_a_redrawn_one_does_not() {
        let bias = |relaxed: bool| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let t = graph.param("t", 0.3).unwrap();
            let x = graph.sample("x", &Bernoulli::from_logits(t), &Rebar::new()).unwrap();
            let distribution = Bernoulli::from_logits(x * 2.0 - t);
            let y = match relaxed {
                true => graph.sample("y", &distribution, &GumbelSoftmax::new(1.0)).unwrap(),
                false => graph.sample("y", &distribution, &ScoreFunction::new()).unwrap(),
            };
            graph.cost("cost", (x + y).square()).unwrap();
            graph.backward().unwrap().guarantee("t").unwrap().bias
        };
        assert_eq!((bias(false), bias(true)), (Bias::Unbiased, Bias::Distribution));
    }

    #[test]
    fn jumps_are_refused() {
        let backward = |method: Rebar| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let x = graph.sample("x", &Bernoulli::from_logits(graph.param("t", 0.3)?), &method)?;
            graph.cost("cost", x.gt(graph.constant(0.5)))?;
            graph.backward()
        };
        let error = backward(Rebar::new()).unwrap_err().to_string();
        assert!(error.contains("jumps"), "{error}");
        assert!(backward(Rebar::new().assume_continuous()).is_ok());
    }

    /// The control variate removes the level of the cost, and learning corrects its scale.
    #[test]
    fn variances_are_in_order() {
        let (logit, plain) = (f64::ln(0.1 / 0.9), 7.700063e-3);
        models::assert_variance(&(Arc::new(Rebar::new().scale(0.0)) as BitMethod), 0.45, 0.1, plain);
        let model = |graph: &Graph<'_, f64>, method: &Rebar| {
            let b = graph.sample("b", &Bernoulli::from_logits(graph.param("logit", logit)?), method)?;
            graph.cost("cost", (b - 0.45).square() + 1.0)
        };
        let variance = |method: &Rebar| {
            let moments = Oracle::new().nodes(24).gradient(|graph: &Graph<'_, f64>| model(graph, method)).unwrap();
            moments.variance("logit").unwrap().item().unwrap()
        };
        let learned = Rebar::new().temperature(1.0).learned(0.01);
        let (none, fixed) = (variance(&Rebar::new().scale(0.0)), variance(&learned));
        for step in 0..1500 {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(4).step(step));
            model(&graph, &learned).unwrap();
            graph.backward().unwrap().advance();
        }
        assert_ne!(learned.state()["b / log temperature / value"][0], 0.0);
        let found = variance(&learned);
        assert!(fixed < 0.2 * none && found < fixed, "none {none}, fixed {fixed}, learned {found}");
    }

    #[test]
    fn compiled_graphs_do_the_same_and_extremes_are_finite() {
        models::assert_compiled(&(Arc::new(Rebar::new().samples(2)) as BitMethod));
        models::assert_compiled(&(Arc::new(Rebar::new().learned(0.1)) as BitMethod));
        for logits in [[f64::INFINITY, f64::NEG_INFINITY, 0.0], [50.0, -50.0, 1.0]] {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let logits = graph.param("logits", Tensor::from(logits)).unwrap();
            let x = graph.sample("x", &Bernoulli::from_logits(logits), &Rebar::new()).unwrap();
            graph.cost("cost", x.sum().square()).unwrap();
            assert!(graph.backward().unwrap().get("logits").unwrap().all_finite());
        }
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let distribution = Bernoulli::from_logits(graph.constant(0.3));
        assert!(graph.sample("x", &distribution, &Rebar::new().temperature(0.0)).is_err());
    }
}
