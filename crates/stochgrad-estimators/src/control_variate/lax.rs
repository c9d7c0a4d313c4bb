//! LAX: the score function with a learned control variate that is differentiated along the sample path. Use it for
//! reparameterised distributions with a cost that is not differentiable.
//!
//! $$g = \big[f(x) - c_\phi(x)\big]\, \nabla_\theta \ln p(x; \theta) + \nabla_\theta\, c_\phi\big(T(\varepsilon; \theta)\big), \qquad x = T(\varepsilon; \theta).$$
//!
//! The network $c_\phi$ has one hidden layer, and is trained to minimise the second moment of the gradient. The cost
//! itself can be added to it, with a learned scale $\alpha$ ([`cost`](Lax::cost)): $c_\phi = r_\phi + \alpha f$.
//! Without the network, $\alpha = 1$ is the pathwise derivative, and $\alpha = 0$ the score function.
//!
//! In the surrogate the gradient function is $l = \ln p(x; \theta)$, and the control variate is $a =
//! c_\phi(T(\varepsilon; \theta)) - \square(l)\, c_\phi(\operatorname{stop}(x))$. Both terms have the mean
//! $\mathbb{E}[c_\phi]$ at every $\theta$, so that all derivatives of their difference have mean zero. Grathwohl, Choi,
//! Wu, Roeder and Duvenaud (2018).
//!
//! **Assumptions.** Reparameterised samples whose support does not depend on the parameters. Nothing is assumed of the
//! cost, unless it is part of the control variate: then the assumptions of [`Pathwise`](crate::Pathwise) hold.
//! Stochastic nodes downstream that are not recorded functions of their parameters are then drawn again, and contribute
//! their score. A cost that depends on several members of a plate jointly gets no network.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | any; along implicit paths that of the distribution, and 1 with the cost through a kink |
//! | cost evaluations | 1 a sample; 3 with the cost as control variate |
//! | requirement on the cost | values; derivatives with the cost as control variate |

use crate::common::learned_parameters::LearnedParameters;
use crate::common::member_gradients::{MemberGradients, second_moment};
use crate::common::sampling::Sampling;
use crate::common::surrogate_network::SurrogateNetwork;
use crate::sampling_setters;
use stochgrad_distributions::{Distribution, Family, Reparameterized, ScoreDifferentiable};
use stochgrad_graph::{
    Access, CostContext, Count, GradientMethod, GraphResult, Guarantee, Method, MethodSlots, NodeCost, Order, Path,
    Profile, SampleContext, SamplePlate, SampleSet, Terms, check_parameter_paths, path_order, sample_path_order,
};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// The score function with a learned control variate, for reparameterised distributions and any cost.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::Lax;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let method = Lax::new().hidden(20).learning_rate(0.01);
/// for step in 0..3 {
///     let tape = Tape::<f64>::new();
///     let graph = Graph::new(&tape, Seed::new(7).step(step));
///     let mu = graph.param("mu", [0.3, -1.0])?;
///     let x = graph.sample("x", &Normal::new(mu, 1.0), &method)?;
///     // The cost has a jump, so that the pathwise derivative would be biased.
///     graph.cost("loss", x.sum().gt(graph.constant(0.0)))?;
///     graph.backward()?.advance();
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Lax {
    sampling: Sampling,
    hidden: usize,
    cost: bool,
    own: LearnedParameters,
}

impl Default for Lax {
    fn default() -> Self {
        Lax { sampling: Sampling::default(), hidden: 50, cost: false, own: LearnedParameters::new(1e-3) }
    }
}

impl Lax {
    /// Draws one sample; the network has 50 hidden units, and Adam the step size 0.001.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the width of the hidden layer.
    pub fn hidden(self, units: usize) -> Self {
        Lax { hidden: units.max(1), ..self }
    }

    /// Sets the step size of Adam. This starts with a new network, which clones made later share.
    pub fn learning_rate(self, rate: f64) -> Self {
        Lax { own: LearnedParameters::new(rate), ..self }
    }

    /// Adds the cost itself to the network, with a learned scale that starts at 1 (the pathwise derivative).
    pub fn cost(self) -> Self {
        Lax { cost: true, ..self }
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }
}

impl Method for Lax {
    fn name(&self) -> String {
        let cost = if self.cost { " and the cost" } else { "" };
        format!("LAX ({} hidden units{cost}, {})", self.hidden, self.sampling.describe())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }

    fn profile(&self) -> Profile {
        let plain = Profile::unbiased(Order::Any);
        let profile = match self.cost {
            false => plain,
            true => plain.evaluations(Count::exactly(3)).backward_passes(Count::exactly(2), Access::Derivatives),
        };
        profile.times(self.sampling.samples())
    }

    fn slots(&self) -> MethodSlots {
        self.own.slots()
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Lax
where
    for<'t> D::On<'t>: Reparameterized<'t, F> + ScoreDifferentiable<'t, F>,
{
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        check_parameter_paths(distribution)?;
        let order = if self.cost { path_order(path, false)? } else { Order::Any };
        Ok(self.profile().guarantee(path).at_most(order.min(sample_path_order(distribution))))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let (plate, draw) = self.sampling.members(context)?;
        let value = distribution.rsample(&draw).map_err(|source| context.error(source))?;
        Ok(SampleSet::equal(value.drawn(), plate))
    }

    fn gradient_function<'t>(&self, distribution: &D::On<'t>, value: Var<'t, F>, _path: &Path) -> Option<Var<'t, F>> {
        Some(distribution.log_prob(value))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let mut terms = Terms::default();
        let tape = context.tape();
        let sizes = [distribution.event_shape().numel(), self.hidden];
        let node = context.address().to_string();
        let network = SurrogateNetwork::record(&self.own, tape, &node, sizes, &[("scale", 1.0)])?;
        let scale = network.single(0);
        // The sample twice: detached, and as a function of the parameters.
        let fixed = context.value().stop_gradient();
        let again = self.sampling.draw_again(context);
        let moving = distribution.rsample(&again).map_err(|source| context.error(source))?;
        let control = |moving: Var<'t, F>, fixed: Var<'t, F>, cost: &NodeCost<'t, F>| {
            let fixed = cost.gradient_function.map_or(fixed, |l| l.magic_box() * fixed);
            moving - fixed
        };
        if self.cost {
            let replays = context.recorded_replay(moving)?.into_iter().zip(context.recorded_replay(fixed)?);
            for ((moving, fixed), cost) in replays.zip(context.costs()?) {
                terms.control_variates.push(control(moving.value * scale, fixed.value * scale, &cost));
            }
        }
        let costs: Vec<(NodeCost<'t, F>, Option<Var<'t, F>>)> = match self.cost {
            true => context.cost_gradients()?.into_iter().map(|(cost, slope)| (cost, Some(slope))).collect(),
            false => context.totals()?.into_iter().map(|cost| (cost, None)).collect(),
        };
        let (members, copied) = MemberGradients::new::<D>(context, distribution)?;
        let score = members.of(copied.log_prob(fixed))?;
        let copied_moving = copied.rsample(&again).map_err(|source| context.error(source))?;
        let mut loss: Option<Var<'t, F>> = None;
        for (cost, slope) in costs {
            let (mut rest, mut along) = (cost.value, tape.constant(0.0));
            if let Some(slope) = slope {
                rest = rest - cost.value * scale;
                along = along + (slope.stop_gradient() * copied_moving).sum() * scale;
            }
            if cost.joint.is_empty() {
                terms.control_variates.push(control(network.value(moving), network.value(fixed), &cost));
                rest = rest - network.value(fixed);
                along = along + network.value(copied_moving);
            }
            if slope.is_none() && !cost.joint.is_empty() {
                continue;
            }
            let paths = members.of(along)?;
            let gradients: Vec<Var<'t, F>> =
                score.iter().zip(paths).map(|(&score, path)| score * rest + path).collect();
            let moment = second_moment(&gradients);
            loss = loss.zip(moment).map(|(sum, moment)| sum + moment).or(loss).or(moment);
        }
        if let Some(loss) = loss {
            terms.auxiliary.push(self.own.learn(loss, network.into_arrays()));
        }
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pathwise::Pathwise;
    use stochgrad_check::{Oracle, StatisticalTest};
    use stochgrad_distributions::{Gamma, Normal};
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    /// A network that has learned something, so smooth that few nodes of quadrature integrate it.
    fn learned(method: &Lax, nodes: &[(&str, usize)]) {
        let mut state = stochgrad_graph::MethodState::new();
        let mut put = |name: String, values: Vec<f64>| {
            for moment in ["first moment", "second moment"] {
                state.insert(format!("{name} / {moment}"), vec![0.0; values.len()]);
            }
            state.insert(format!("{name} / steps"), vec![1.0]);
            state.insert(format!("{name} / value"), values);
        };
        for &(node, width) in nodes {
            put(format!("{node} / weight"), (0..2 * width).map(|i| 0.1 - 0.04 * i as f64).collect());
            put(format!("{node} / bias"), vec![0.3, -0.1]);
            put(format!("{node} / output"), vec![0.8, -1.1]);
            put(format!("{node} / scale"), vec![0.6]);
        }
        method.load_state(&state).unwrap();
    }

    /// Two nodes, the second one given the first, a cost of both, and one upstream.
    fn chain(graph: &Graph<'_, f64>, method: &Lax) -> GraphResult<()> {
        let (m, s) = (graph.param("m", 0.3)?, graph.param("s", 0.7)?);
        let x = graph.sample("x", &Normal::new(m, s), method)?;
        graph.cost("early", (x - 0.4).square() * m)?;
        let y = graph.sample("y", &Normal::new(x * s, 0.5), method)?;
        graph.cost("late", (y * x - m).square())
    }

    /// A cost of each member of a plate, and one of all of them.
    fn on_data(graph: &Graph<'_, f64>, method: &Lax) -> GraphResult<()> {
        let (m, s) = (graph.param("m", 0.3)?, graph.param("s", 0.7)?);
        let features = graph.data("data", [0.5, -1.5])?;
        let x = graph.sample("x", &Normal::new(m * features, s), method)?;
        graph.cost("each", (x - features).square() * m)?;
        graph.cost("joint", (x * features).sum_over(features.plates()[0]).square())
    }

    #[test]
    fn every_order_is_exact() {
        let verify = |name: String, nodes: usize, top: usize, model: &dyn Fn(&Graph<'_, f64>) -> GraphResult<()>| {
            let result = Oracle::new().nodes(nodes).verify(model, 0..=top, 1e-7);
            result.unwrap_or_else(|error| panic!("{name}: {error}"));
        };
        let method = Lax::new().hidden(2);
        learned(&method, &[("x", 1), ("y", 1)]);
        verify(method.name(), 12, 3, &|graph: &Graph<'_, f64>| chain(graph, &method));
        for (cost, samples) in [(false, 1), (true, 1), (true, 2)] {
            let method = Lax::new().hidden(2).samples(samples);
            let method = if cost { method.cost() } else { method };
            learned(&method, &[("x", 1)]);
            verify(method.name(), if samples == 1 { 12 } else { 6 }, 2, &|graph: &Graph<'_, f64>| {
                on_data(graph, &method)
            });
        }
    }

    #[test]
    fn the_cost_as_control_variate_is_the_pathwise_derivative() {
        fn model<M>(graph: &Graph<'_, f64>, method: &M) -> GraphResult<()>
        where
            M: GradientMethod<f64, stochgrad_distributions::Normal<stochgrad_tape::Id>> + Clone + 'static,
        {
            let (m, s) = (graph.param("m", [0.3, -0.4])?, graph.param("s", 0.7)?);
            let x = graph.sample("x", &Normal::new(m, s), method)?;
            let y = graph.sample("y", &Normal::new(x.sum() * s, 0.5), &Pathwise::new())?;
            graph.cost("cost", (y * x.index(0, 0) - m.index(0, 1)).sin())
        }
        for step in 0..20 {
            let derivatives = |lax: bool| -> Vec<f64> {
                let tape = Tape::<f64>::new();
                let graph = Graph::new(&tape, Seed::new(3).step(step));
                match lax {
                    true => model(&graph, &Lax::new().hidden(3).cost()).unwrap(),
                    false => model(&graph, &Pathwise::new()).unwrap(),
                }
                let surrogate = graph.surrogate().unwrap();
                let along = [("m", Tensor::from([0.3, -1.0])), ("s", Tensor::scalar(0.5))];
                (0..=3).map(|order| surrogate.directional(&along, order).unwrap().peek().unwrap().to_vec()[0]).collect()
            };
            for (found, expected) in derivatives(true).iter().zip(derivatives(false)) {
                assert!((found - expected).abs() < 1e-10 * expected.abs().max(1.0), "{found}, pathwise {expected}");
            }
        }
    }

    /// A cost with a jump, for which there is no pathwise derivative.
    fn jump(graph: &Graph<'_, f64>, method: &Lax) -> GraphResult<()> {
        let m = graph.param("m", [0.3, -0.4])?;
        let x = graph.sample("x", &Normal::new(m, 1.0), method)?;
        graph.cost("cost", x.sum().gt(graph.constant(0.0)) * 3.0 + x.index(0, 0).square())
    }

    #[test]
    fn learning_lowers_the_variance_and_leaves_the_mean() {
        let method = Lax::new().hidden(8).learning_rate(0.02);
        let run = |seed: u64| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(seed));
            jump(&graph, &method).unwrap();
            graph.backward().unwrap().get("m").unwrap().to_vec()
        };
        let variance = || StatisticalTest::new().runs(1000).sample(run).unwrap().variance.iter().sum::<f64>();
        let before = variance();
        assert!(method.state().is_empty(), "what is not advanced must not change");
        for step in 0..500 {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(9).step(step));
            jump(&graph, &method).unwrap();
            graph.backward().unwrap().advance();
        }
        let after = variance();
        assert!(after < 0.5 * before, "{after} after {before}");
        // E = 3 Φ(Σm / √2) + m₀² + 1.
        let density = (-(-0.1_f64).powi(2) / 4.0).exp() / (4.0 * std::f64::consts::PI).sqrt();
        let exact = Tensor::from([3.0 * density + 0.6, 3.0 * density]);
        StatisticalTest::new()
            .runs(4000)
            .check(|graph: &Graph<'_, f64>| jump(graph, &method), &[("m", exact)])
            .unwrap();
    }

    #[test]
    fn implicit_paths_are_unbiased_and_limit_the_order() {
        let method = Lax::new().hidden(4);
        let model = |graph: &Graph<'_, f64>| {
            let a = graph.param("a", 1.7)?;
            let x = graph.sample("x", &Gamma::new(a, 1.3), &method)?;
            graph.cost("cost", x.square())
        };
        for step in 0..200 {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(9).step(step));
            model(&graph).unwrap();
            graph.backward().unwrap().advance();
        }
        // E[x²] = a (a + 1) / r².
        let exact = Tensor::scalar((2.0 * 1.7 + 1.0) / 1.69);
        StatisticalTest::new().check(model, &[("a", exact)]).unwrap();
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        model(&graph).unwrap();
        assert_eq!(graph.surrogate().unwrap().guarantee("a").unwrap().order, Order::Finite(2));
    }

    #[test]
    fn jumps_are_refused_where_the_cost_is_the_control_variate() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let normal = Normal::new(graph.param("m", 0.3).unwrap(), 1.0);
        let x = graph.sample("x", &normal, &Lax::new().cost()).unwrap();
        graph.cost("cost", x + x.gt(graph.constant(0.0))).unwrap();
        let error = graph.backward().unwrap_err().to_string();
        assert!(error.contains("jumps"), "{error}");
    }
}
