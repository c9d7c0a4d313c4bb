//! RELAX: the score function with a learned control variate for discrete nodes. Use it with any cost, also one that is
//! a black box.
//!
//! $$g = \big[f(b) - c_\phi(\tilde z)\big]\, \nabla_\theta \ln p(b; \theta) + \nabla_\theta\, c_\phi(z) - \nabla_\theta\, c_\phi(\tilde z).$$
//!
//! Here $z$ is the perturbed parameter behind the sample $b$, and $\tilde z$ is another one with the same hard value.
//! The network $c_\phi$ has one hidden layer, $w^\top \tanh(W x + v)$, and sees the relaxed values at temperature
//! $\tau$. Network and temperature are trained to minimise the second moment of the gradient, which changes neither its
//! mean nor the gradient of the model. With [`relaxed_cost`](Relax::relaxed_cost) the control variate of REBAR is
//! added: $c_\phi(z) = r_\phi(z) + f(\sigma_\tau(z))$. Grathwohl, Choi, Wu, Roeder and Duvenaud (2018).
//!
//! In the surrogate the gradient function is $l = \ln p(b; \theta)$, and the control variate has the derivatives of
//! $c_\phi(z) - \square(l)\, c_\phi(\tilde z)$, whose means are zero at every order. Stochastic nodes downstream enter
//! the relaxed cost as for [`Rebar`](crate::Rebar).
//!
//! **Assumptions.** Nothing is assumed of the cost, unless `relaxed_cost` is on: then the assumptions are those of
//! [`Rebar`](crate::Rebar). A cost that depends on several members of a plate jointly gets no control variate.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | any; with `relaxed_cost` that of [`Rebar`](crate::Rebar) |
//! | cost evaluations | 1 a sample; 3, and 2 backward passes, with `relaxed_cost` |
//! | requirement on the cost | values; derivatives between the states with `relaxed_cost` |

use crate::common::learned_parameters::LearnedParameters;
use crate::common::sampling::Sampling;
use crate::common::surrogate_network::SurrogateNetwork;
use crate::control_variate::relaxed_control::{RelaxedDraws, relaxed_again, second_moment_with};
use crate::sampling_setters;
use stochgrad_distributions::{Distribution, Family, Relaxed};
use stochgrad_graph::{
    Access, CostContext, Count, GradientMethod, GraphResult, Guarantee, Method, MethodSlots, Order, Path, Profile,
    SampleContext, SamplePlate, SampleSet, Terms, path_order, sample_path_order,
};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, instantiated};

/// The name of the learned logarithm of the temperature.
const LOG_TEMPERATURE: &str = "log temperature";

/// RELAX, for distributions with a continuous relaxation: bits and one-hot vectors.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::Relax;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let method = Relax::new().hidden(20).learning_rate(0.01);
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
pub struct Relax {
    sampling: Sampling,
    temperature: f64,
    hidden: usize,
    relaxed_cost: bool,
    own: LearnedParameters,
}

impl Default for Relax {
    fn default() -> Self {
        Relax {
            sampling: Sampling::default(),
            temperature: 0.5,
            hidden: 50,
            relaxed_cost: false,
            own: LearnedParameters::new(1e-3),
        }
    }
}

impl Relax {
    /// Draws one sample; the network has 50 hidden units, the temperature starts at 0.5, and Adam has the step size
    /// 0.001.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the width of the hidden layer.
    pub fn hidden(self, units: usize) -> Self {
        Relax { hidden: units.max(1), ..self }
    }

    /// Sets the step size of Adam. This starts with a new network, which clones made later share.
    pub fn learning_rate(self, rate: f64) -> Self {
        Relax { own: LearnedParameters::new(rate), ..self }
    }

    /// Sets the initial temperature of the relaxed values that the network sees, which must be positive. It is learned.
    pub fn temperature(self, temperature: f64) -> Self {
        Relax { temperature, ..self }
    }

    /// Adds the cost at the relaxed values to the network, with a learned scale that starts at 1.
    pub fn relaxed_cost(self) -> Self {
        Relax { relaxed_cost: true, ..self }
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }
}

impl Method for Relax {
    fn name(&self) -> String {
        let cost = if self.relaxed_cost { " and the relaxed cost" } else { "" };
        format!("RELAX ({} hidden units{cost}, {})", self.hidden, self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        let plain = Profile::unbiased(Order::Any);
        let profile = match self.relaxed_cost {
            false => plain,
            true => plain.evaluations(Count::exactly(3)).backward_passes(Count::exactly(2), Access::Between),
        };
        profile.times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }

    fn relaxes_in_replays(&self) -> bool {
        self.relaxed_cost
    }

    fn slots(&self) -> MethodSlots {
        self.own.slots()
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Relax
where
    for<'t> D::On<'t>: Relaxed<'t, F>,
{
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        let order = if self.relaxed_cost { path_order(path, false)? } else { Order::Any };
        Ok(self.profile().guarantee(path).at_most(order).at_most(sample_path_order(distribution)))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        crate::relaxation::temperature::Temperature::constant(self.temperature).check(context, distribution)?;
        self.sampling.draw(context, distribution)
    }

    fn relaxed_value<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &D::On<'t>,
        changed: &D::On<'t>,
    ) -> GraphResult<Option<Var<'t, F>>> {
        let name = format!("{} / {LOG_TEMPERATURE}", context.address());
        let log_temperature = self.own.record(context.tape(), &name, [], |_| self.temperature.ln());
        relaxed_again(context, distribution, changed, log_temperature.exp())
    }

    fn gradient_function<'t>(&self, distribution: &D::On<'t>, value: Var<'t, F>, _path: &Path) -> Option<Var<'t, F>> {
        Some(distribution.log_prob(value))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let (draws, copied) = RelaxedDraws::new::<D>(context, distribution)?;
        instantiated!(
            F: for<'t> fn(
                &Relax,
                &CostContext<'_, 't, F>,
                RelaxedDraws<'t, F>,
                &dyn Relaxed<'t, F>,
            ) -> GraphResult<Terms<'t, F>> = Relax::terms_body
        )(self, context, draws, &copied)
    }
}

impl Relax {
    fn terms_body<'t, F: Real>(
        &self,
        context: &CostContext<'_, 't, F>,
        draws: RelaxedDraws<'t, F>,
        copied: &dyn Relaxed<'t, F>,
    ) -> GraphResult<Terms<'t, F>> {
        let tape = context.tape();
        let sizes = [copied.event_shape().numel(), self.hidden];
        let singles = [(LOG_TEMPERATURE, self.temperature.ln()), ("scale", 1.0)];
        let network = SurrogateNetwork::record(&self.own, tape, &context.address().to_string(), sizes, &singles)?;
        let (temperature, scale) = (network.single(0).exp(), network.single(1));
        let soft = draws.perturbed.map(|perturbed| copied.soften(perturbed, temperature));
        let replayed = match self.relaxed_cost {
            true => Some(context.recorded_replays(soft)?),
            false => None,
        };
        let costs = match self.relaxed_cost {
            true => context.costs()?,
            false => context.totals()?,
        };
        let score = draws.score()?;
        let mut terms = Terms::default();
        let mut loss: Option<Var<'t, F>> = None;
        // The network is the control variate of the first cost that each member has for itself.
        let served = costs.iter().position(|cost| cost.joint.is_empty());
        for (index, cost) in costs.iter().enumerate() {
            let learned = (served == Some(index)).then(|| soft.map(|soft| network.value(soft * 2.0 - 1.0)));
            let relaxed = replayed.as_ref().map(|relaxed| relaxed[index].map(|value| value * scale));
            let values = match (learned, relaxed) {
                (Some([a, b]), Some([c, d])) => [a + c, b + d],
                (Some(values), None) | (None, Some(values)) => values,
                (None, None) => continue,
            };
            let control = draws.control(cost, values, &mut terms)?;
            let moment = second_moment_with(cost, &score, &control);
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
    use crate::testing::models::{self, BitMethod};
    use approx::assert_abs_diff_eq;
    use std::sync::Arc;
    use stochgrad_check::{Oracle, StatisticalTest};
    use stochgrad_distributions::{Bernoulli, OneHotCategorical};
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    fn bits(graph: &Graph<'_, f64>, method: &Relax) -> GraphResult<()> {
        let t = graph.param("t", [0.3, -1.0, 2.0])?;
        let x = graph.sample("x", &Bernoulli::from_logits(t), method)?;
        graph.cost("cost", (x - 0.45).square().sum() + 1.0)?;
        graph.cost("other", (x.sum() * t.index(0, 0)).sin().round())
    }

    fn vectors(graph: &Graph<'_, f64>, method: &Relax) -> GraphResult<()> {
        let logits = graph.param("logits", [[0.2, -0.4, 1.0], [0.0, 0.3, -2.0]])?;
        let x = graph.sample("x", &OneHotCategorical::from_logits(logits), method)?;
        let y = (x * graph.constant([[1.0, -2.0, 0.5], [0.3, 1.0, 1.5]])).sum_axis(-1);
        graph.cost("cost", (y.index(0, 0) - y.index(0, 1) * 0.5).exp())
    }

    fn train(method: &Relax, model: &dyn Fn(&Graph<'_, f64>, &Relax) -> GraphResult<()>, steps: usize) {
        for step in 0..steps {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(9).step(step));
            model(&graph, method).unwrap();
            graph.backward().unwrap().advance();
        }
    }

    #[test]
    fn learning_lowers_the_variance_and_leaves_the_mean() {
        for (model, relaxed_cost) in
            [(bits as fn(&Graph<'_, f64>, &Relax) -> GraphResult<()>, false), (vectors, false), (vectors, true)]
        {
            let method = Relax::new().hidden(8).learning_rate(0.02);
            let method = if relaxed_cost { method.relaxed_cost() } else { method };
            let run = |seed| {
                let tape = Tape::<f64>::new();
                let graph = Graph::new(&tape, Seed::new(seed));
                model(&graph, &method).unwrap();
                let gradients = graph.backward().unwrap();
                gradients.iter().flat_map(|(_, gradient)| gradient.to_vec()).collect()
            };
            let variance = || StatisticalTest::new().runs(1000).sample(run).unwrap().variance.iter().sum::<f64>();
            let before = variance();
            assert!(method.state().is_empty(), "what is not advanced must not change");
            train(&method, &model, 600);
            // The temperature is learned with the network.
            assert_ne!(method.state()["x / log temperature / value"][0], 0.5_f64.ln());
            let after = variance();
            let share = if relaxed_cost { 1.0 } else { 0.6 };
            assert!(after < share * before, "{}: {after} after {before}", method.name());
            let exact = Oracle::new().exact_gradient(|graph: &Graph<'_, f64>| model(graph, &method)).unwrap();
            StatisticalTest::new().runs(5000).check(|graph: &Graph<'_, f64>| model(graph, &method), &exact).unwrap();
        }
    }

    #[test]
    fn the_network_is_differentiated_like_any_operation() {
        let method = Relax::new().hidden(3);
        train(&method, &bits, 40);
        let method: BitMethod = Arc::new(method);
        models::assert_compiled(&method);
        let (mean, _) = models::moments(&(Arc::new(Relax::new().temperature(1.0)) as BitMethod), 0.45, 0.1);
        assert_abs_diff_eq!(mean, 0.009, epsilon = 1e-6);
    }
}
