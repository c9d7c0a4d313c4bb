//! NVIL: a learned baseline, a small network of what the node depends on. Use it for a node with a single sample whose
//! expected cost varies between data members.
//!
//! $$b = c + \sigma\, b_\psi(y)$$
//!
//! with the running mean $c$ and standard deviation $\sigma$ of the cost over past steps, and a network $b_\psi$ with
//! one hidden layer, which is fitted by least squares,
//!
//! $$\min_\psi \Big(\frac{f - c}{\sigma} - b_\psi(y)\Big)^2.$$
//!
//! The inputs $y$ are the parameters of the node's distribution, or data that the user names. Neither the inputs nor
//! the cost receive a gradient from the fit, and the network receives none from the model's cost. It changes only with
//! [`Gradients::advance`](stochgrad_graph::Gradients::advance), so that the gradient is unbiased at every order.
//!
//! Mnih and Gregor (2014), who also divide the difference of cost and baseline by $\max(1, \sigma)$. Here only the
//! *fit* is scaled, and the gradient keeps its size; [`Normalized`](crate::Normalized) scales the gradient, with a
//! bias. The baseline of a cost of several members jointly is the mean of their networks.

use super::members::total_key;
use super::{Baseline, Baselines, Memory};
use crate::common::cost_learner::{CostLearner, Units};
use crate::common::member_gradients::sum_over_plates;
use crate::common::surrogate_network::SurrogateNetwork;
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, GraphResult, MethodSlots};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape};

/// A network of the node's parameters, or of data, as a baseline. Clones share the network and the running means.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{Nvil, ScoreFunction};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let method = ScoreFunction::new().baseline(Nvil::new().hidden(10).of_data("images"));
/// for step in 0..3 {
///     let tape = Tape::<f64>::new();
///     let graph = Graph::new(&tape, Seed::new(7).step(step));
///     let weight = graph.param("weight", 0.3)?;
///     let images = graph.data("images", [0.5, -1.0, 2.0])?;
///     let bits = graph.sample("bits", &Bernoulli::from_logits(weight * images), &method)?;
///     graph.cost("loss", (bits - images).square())?;
///     graph.backward()?.advance();
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Nvil {
    hidden: usize,
    data: Vec<String>,
    rate: f64,
    learner: CostLearner,
}

impl Default for Nvil {
    fn default() -> Self {
        let rate = 1e-3;
        Nvil { hidden: 50, data: Vec::new(), rate, learner: CostLearner::new(rate, 0.9) }
    }
}

impl Nvil {
    /// A network of the node's parameters with 50 hidden units. Adam has the step size 0.001, and the running means the
    /// decay 0.9.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the width of the hidden layer, at least 1.
    pub fn hidden(self, units: usize) -> Self {
        Nvil { hidden: units, ..self }
    }

    /// Sets the step size of Adam. This starts with a new network, which clones made later share.
    pub fn learning_rate(self, rate: f64) -> Self {
        Nvil { rate, learner: self.learner.learning_rate(rate), ..self }
    }

    /// Sets the decay of the running mean and standard deviation, in [0, 1). This starts with new ones, which clones
    /// made later share.
    pub fn decay(self, decay: f64) -> Self {
        Nvil { learner: self.learner.decay(decay), ..self }
    }

    /// Uses the data with this name as the input instead of the node's parameters. Called several times, all the data
    /// are used together.
    pub fn of_data(self, name: impl Into<String>) -> Self {
        let data = self.data.into_iter().chain([name.into()]).collect();
        Nvil { data, ..self }
    }

    /// All inputs in one row for each member.
    fn input<'t, F: Real>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Var<'t, F>> {
        let mut inputs: Vec<Var<'t, F>> = Vec::new();
        for name in &self.data {
            let data = context.data(name).ok_or_else(|| {
                context.refused(format!(
                    "expected data named \"{name}\" as input of the learned baseline, got none of that name; name it \
                     with graph.data(plate, …) or graph.data_named(name, plate, …)"
                ))
            })?;
            if let Some(foreign) = data.plates().iter().find(|plate| !context.plates().contains(plate)) {
                return Err(context.refused(format!(
                    "the learned baseline has data \"{name}\" as input, whose plate \"{}\" the node does not have; \
                     name data of the node's own members",
                    context.tape().plate_name(*foreign)
                )));
            }
            inputs.push(data);
        }
        if self.data.is_empty() {
            inputs.extend(distribution.parameters().iter().map(|parameter| parameter.var.stop_gradient()));
        }
        let rows: Vec<Var<'t, F>> =
            inputs.into_iter().map(|input| input.reshape(Shape::from(&[input.shape().numel()][..]))).collect();
        Ok(Var::concat(&rows, 0)?)
    }
}

impl Memory for Nvil {
    fn name(&self) -> Option<String> {
        let of = if self.data.is_empty() { String::new() } else { format!(" of {}", self.data.join(", ")) };
        Some(format!("NVIL, {} hidden units{of}", self.hidden))
    }

    fn check(&self, _members: usize) -> Result<(), String> {
        if self.hidden == 0 {
            return Err("expected at least 1 hidden unit, got 0; 50 is the default".into());
        }
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return Err(format!("expected a positive learning rate, got {}; 0.001 is the default", self.rate));
        }
        self.learner.check()
    }

    fn slots(&self) -> MethodSlots {
        self.learner.slots()
    }
}

impl<F: Real> Baseline<F> for Nvil {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let tape = context.tape();
        let input = self.input(context, distribution)?;
        let width = input.shape().numel();
        let mut baselines = Vec::new();
        let mut updates = Vec::new();
        let mut arrays = Vec::new();
        let mut loss = tape.constant(0.0);
        for cost in context.totals()? {
            let key = total_key(context, &cost);
            let Units { centre, scale } = self.learner.units(tape, &key);
            let network = SurrogateNetwork::record(&self.learner.own, tape, &key, [width, self.hidden], &[])?;
            let output = network.value(input);
            let carried = output.plates();
            let joint = cost.joint.iter().filter(|plate| carried.contains(plate));
            let output = joint.fold(output, |mean, &plate| mean.mean_over(plate));
            let residual = (cost.value - centre) / scale - output;
            let members: usize = residual.plates().iter().map(|&plate| tape.whole_plate_size(plate)).product();
            loss = loss + sum_over_plates(residual.square()) * (1.0 / members as f64);
            arrays.extend(network.into_arrays());
            updates.extend(self.learner.updates(&key, cost.value));
            baselines.push((cost, centre + scale * output));
        }
        Ok(Baselines { auxiliary: vec![self.learner.own.learn(loss, arrays)], updates, ..Baselines::new(baselines) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::Bernoulli;
    use stochgrad_graph::{Graph, GraphError, Method, Seed};
    use stochgrad_tape::Tape;

    /// Bits whose cost depends on the image.
    fn images(graph: &Graph<'_, f64>, method: &ScoreFunction<Nvil>) -> GraphResult<()> {
        let t = graph.param("t", [0.3, -0.8])?;
        let images = graph.data("images", [0.5, -1.5, 2.0])?;
        let x = graph.sample("x", &Bernoulli::from_logits(t * images), method)?;
        graph.cost("cost", (x.sum() * 0.2 - images * 3.0).square())
    }

    fn train(method: &ScoreFunction<Nvil>, steps: usize) {
        for step in 0..steps {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(9).step(step));
            images(&graph, method).unwrap();
            graph.backward().unwrap().advance();
        }
    }

    fn variance(method: &ScoreFunction<Nvil>) -> f64 {
        let moments = Oracle::new().gradient(|graph: &Graph<'_, f64>| images(graph, method)).unwrap();
        moments.variance("t").unwrap().as_slice().iter().sum()
    }

    #[test]
    fn learning_lowers_the_variance_and_leaves_the_mean_exact_at_every_order() {
        for nvil in [Nvil::new(), Nvil::new().of_data("images")] {
            let method = ScoreFunction::new().baseline(nvil.hidden(8).learning_rate(0.03));
            let before = variance(&method);
            assert!(method.state().is_empty(), "what is not advanced must not change");
            train(&method, 400);
            let after = variance(&method);
            assert!(after < 0.02 * before, "{}: {after} after {before}", method.name());
            Oracle::new().verify(|graph: &Graph<'_, f64>| images(graph, &method), 0..=2, 1e-9).unwrap();
        }
    }

    #[test]
    fn every_shape_of_graph_is_exact_after_some_learning() {
        let nvil = || ScoreFunction::new().samples(2).baseline(Nvil::new().hidden(3).learning_rate(0.1));
        let (method, plain): (BitMethod, BitMethod) = (Arc::new(nvil()), Arc::new(ScoreFunction::new()));
        let shape = |graph: &Graph<'_, f64>| models::importance_weighted(graph, &method);
        for step in 0..10 {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(9).step(step));
            shape(&graph).unwrap();
            graph.backward().unwrap().advance();
        }
        Oracle::new().verify(shape, 0..=2, 1e-9).unwrap();
        models::assert_exact([&plain, &plain, &method], 2, false);
        models::assert_compiled(&(Arc::new(nvil()) as BitMethod));
    }

    #[test]
    fn the_model_gets_no_gradient_of_the_fit_and_state_goes_round() {
        let method = ScoreFunction::new().baseline(Nvil::new().hidden(4).learning_rate(0.05));
        train(&method, 5);
        let other = ScoreFunction::new().baseline(Nvil::new().hidden(4).learning_rate(0.05));
        other.load_state(&method.state()).unwrap();
        assert_eq!(other.state(), method.state());
        train(&method, 3);
        train(&other, 3);
        assert_eq!(other.state(), method.state());
        let mut wrong = method.state();
        wrong.insert("moments: x / mean".into(), vec![f64::NAN]);
        assert!(matches!(other.load_state(&wrong), Err(GraphError::State { .. })));
        wrong = method.state();
        wrong.insert("learned: x / weight / value".into(), vec![1.0, 2.0]);
        assert!(matches!(other.load_state(&wrong), Err(GraphError::State { .. })));
        assert_eq!(other.state(), method.state());
    }

    #[test]
    fn unusable_settings_and_unknown_data_are_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let bit = Bernoulli::from_logits(graph.param("t", 0.3).unwrap());
        for nvil in [Nvil::new().hidden(0), Nvil::new().learning_rate(-1.0), Nvil::new().decay(1.0)] {
            assert!(graph.sample("x", &bit, &ScoreFunction::new().baseline(nvil)).is_err());
        }
        for (name, words) in [("images", "got none of that name"), ("digits", "does not have")] {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(3));
            graph.data("digits", [1.0, 2.0]).unwrap();
            let bit = Bernoulli::from_logits(graph.param("t", 0.3).unwrap());
            let x = graph.sample("x", &bit, &ScoreFunction::new().baseline(Nvil::new().of_data(name))).unwrap();
            graph.cost("cost", x).unwrap();
            let error = graph.backward().unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(name), "{error}");
        }
    }
}
