//! Gumbel-softmax (Concrete): a continuous relaxation of a discrete node, and its straight-through form.
//!
//! A category is the argmax of logits plus Gumbel noise (a bit: the sign of a logit plus logistic noise). Replacing the
//! argmax by a softmax at temperature $\tau$ makes it differentiable:
//!
//! $$y = \operatorname{softmax}\big((\eta + G)/\tau\big), \qquad
//!     g = \nabla_y f(y)\; \partial_\eta\, y, \qquad
//!     g_{\mathrm{ST}} = \nabla_x f(x)\big|_{x = \operatorname{argmax}(\eta + G)}\; \partial_\eta\, y.$$
//!
//! Jang et al. (2017); Maddison et al. (2017).
//!
//! Two settings. The derivative may be taken at another temperature than the value, with the same noise ([`backward_temperature`](GumbelSoftmax::backward_temperature)): a low one brings
//! the values close to the vertices, a high one keeps the variance of the gradient low (Shah et al. 2024). And the softmax may be replaced by a sparse map to the simplex
//! ([`simplex_map`](GumbelSoftmax::simplex_map)), which reaches the vertices.
//!
//! **Assumptions.** The cost is defined and differentiable between the vertices (plain) or at them (straight-through). Paths from the
//! value are looked at as for [`Pathwise`](crate::Pathwise).
//!
//! | | plain | straight-through |
//! |---|---|---|
//! | bias | another distribution is sampled: costs and gradients are those of the relaxed model | of the gradient only; costs are right |
//! | order | any through smooth operations; 1 through a kink, with a sparse map, and with two temperatures | 1 |
//! | cost evaluations | one a sample, and one backward pass | the same |
//! | the cost must offer | values and derivatives at interior points | derivatives at the vertices |
//!
//! The biases can have the wrong sign at every temperature: for one bit with $\theta = 0.1$ and $f = (b - 0.499)^2$ the gradient is
//! $1.8 \cdot 10^{-4}$, and at $\tau = 1$ the plain form gives $-4.2 \cdot 10^{-2}$, the straight-through one $-6.7 \cdot 10^{-2}$, on average.
//!
//! To evaluate a trained model with hard samples, sample the same distribution with `ScoreFunction::new()`: same address, same
//! noise source, no relaxation.

use crate::common::sampling::Sampling;
use crate::common::state_parts::{StatePart, load_all_or_nothing, take_prefixed};
use crate::relaxation::simplex_map::SimplexMap;
use crate::relaxation::temperature::Temperature;
use crate::sampling_setters;
use stochgrad_distributions::{Family, Relaxed};
use stochgrad_graph::{
    Access, Bias, CostContext, GradientMethod, GraphResult, Guarantee, Method, MethodState, Order, Path, Profile,
    SampleContext, SamplePlate, SampleSet, Terms, check_parameter_paths, path_order,
};
use stochgrad_tensor::Real;

/// Gumbel-softmax samples, for distributions with a continuous relaxation.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{GumbelSoftmax, Temperature};
/// use stochgrad_graph::{Bias, Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let method = GumbelSoftmax::new(Temperature::exponential(1.0, 0.5, 1000)).straight_through();
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let logits = graph.param("logits", [0.2, -0.4])?;
/// let b = graph.sample("b", &Bernoulli::from_logits(logits), &method)?;
/// graph.cost("loss", (b - 0.45).square().sum())?;
/// assert_eq!(graph.backward()?.guarantee("logits")?.bias, Bias::Gradient);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GumbelSoftmax {
    temperature: Temperature,
    backward: Option<Temperature>,
    map: SimplexMap,
    sampling: Sampling,
    straight_through: bool,
    assume_continuous: bool,
}

impl GumbelSoftmax {
    /// One relaxed sample at a temperature: a number, or a [`Temperature`] that falls.
    pub fn new(temperature: impl Into<Temperature>) -> Self {
        GumbelSoftmax {
            temperature: temperature.into(),
            backward: None,
            map: SimplexMap::Softmax,
            sampling: Sampling::default(),
            straight_through: false,
            assume_continuous: false,
        }
    }

    /// Hard values go forward; derivatives are those of the relaxed ones.
    pub fn straight_through(self) -> Self {
        GumbelSoftmax { straight_through: true, ..self }
    }

    /// Takes the derivative at another temperature, with the same noise; the first one is that of the values. Hard
    /// values have none.
    pub fn backward_temperature(self, temperature: impl Into<Temperature>) -> Self {
        GumbelSoftmax { backward: Some(temperature.into()), ..self }
    }

    /// Another map to the simplex in place of the softmax (of the sigmoid, for bits).
    pub fn simplex_map(self, map: SimplexMap) -> Self {
        GumbelSoftmax { map, ..self }
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme }

    /// Accepts jumps on the paths from the value, as
    /// [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        GumbelSoftmax { assume_continuous: true, ..self }
    }

    /// The temperature.
    pub fn temperature(&self) -> &Temperature {
        &self.temperature
    }
}

/// What stands before the names of the state of the second temperature.
const BACKWARD: &str = "backward ";

impl Method for GumbelSoftmax {
    fn name(&self) -> String {
        let map = match self.map {
            SimplexMap::Softmax => "softmax",
            SimplexMap::Entmax15 => "1.5-entmax",
            SimplexMap::Sparsemax => "sparsemax",
        };
        let form = if self.straight_through { "straight-through, " } else { "" };
        let backward = self.backward.as_ref().map(|backward| format!(", backward {backward}")).unwrap_or_default();
        format!("Gumbel-{map} ({form}{}{backward}, {})", self.temperature, self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        let profile = match self.straight_through {
            false if self.backward.is_none() && self.map.is_smooth() => {
                Profile { order: Order::Any, access: Access::Between, ..Profile::biased(Bias::Distribution) }
            }
            false => Profile { access: Access::Between, ..Profile::biased(Bias::Distribution) },
            true => Profile::biased(Bias::Gradient),
        };
        profile.times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }

    fn is_rerecordable(&self) -> bool {
        true
    }

    fn state(&self) -> MethodState {
        let mut state = self.temperature.state();
        let backward = self.backward.iter().flat_map(Temperature::state);
        state.extend(backward.map(|(key, step)| (format!("{BACKWARD}{key}"), step)));
        state
    }

    fn load_state(&self, state: &MethodState) -> GraphResult<()> {
        let Some(backward) = &self.backward else { return self.temperature.load_state(&self.name(), state) };
        let mut own = state.clone();
        let of_backward = take_prefixed(&mut own, BACKWARD);
        let parts = [(backward, of_backward), (&self.temperature, own)].map(|(temperature, given)| StatePart {
            given,
            state: Box::new(|| temperature.state()),
            load: Box::new(|state| temperature.load_state(&self.name(), state)),
        });
        load_all_or_nothing(&parts)
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for GumbelSoftmax
where
    for<'t> D::On<'t>: Relaxed<'t, F>,
{
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        check_parameter_paths(distribution)?;
        Ok(self.profile().guarantee(path).at_most(path_order(path, self.assume_continuous)?))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        self.temperature.check(context, distribution)?;
        let tape = context.tape();
        let (plate, draw) = self.sampling.members(context)?;
        let perturbed = distribution.perturbed(&draw).map_err(|source| context.error(source))?;
        let soft = |temperature: &Temperature| self.map.soften(distribution, perturbed, temperature.record(tape));
        let hard = || distribution.harden(perturbed);
        let value = match &self.backward {
            None if self.straight_through => hard().straight_through(soft(&self.temperature)),
            None => soft(&self.temperature),
            Some(backward) => {
                backward.check(context, distribution)?;
                let value = if self.straight_through { hard() } else { soft(&self.temperature) };
                value.straight_through(soft(backward))
            }
        };
        Ok(SampleSet::equal(value, plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let mut updates = self.temperature.updates(context.tape());
        updates.extend(self.backward.iter().flat_map(|backward| backward.updates(context.tape())));
        Ok(Terms { updates, ..Terms::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pathwise::Pathwise;
    use crate::relaxation::temperature::STEP;
    use crate::score_function::ScoreFunction;
    use std::sync::Arc;
    use stochgrad_check::{Oracle, StatisticalTest};
    use stochgrad_distributions::{Bernoulli, Id, Normal, OneHotCategorical};
    use stochgrad_graph::{DynMethod, Graph, Seed};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    fn toy(graph: &Graph<'_, f64>, theta: f64, target: f64, method: &GumbelSoftmax) -> GraphResult<()> {
        let logit = graph.param("logit", (theta / (1.0 - theta)).ln())?;
        let b = graph.sample("b", &Bernoulli::from_logits(logit), method)?;
        graph.cost("loss", (b - target).square())
    }

    #[test]
    fn the_bias_of_one_relaxed_bit_is_the_known_one() {
        let method = GumbelSoftmax::new(1.0);
        let cases = [
            (0.5, 0.499, 3.3333e-4, 4.762e-3),
            (0.1, 0.499, -4.2137e-2, 2.067e-3),
            (0.5, 0.45, 1.6667e-2, 4.817e-3),
            (0.1, 0.45, -3.1849e-2, 2.044e-3),
        ];
        for (theta, target, mean, variance) in cases {
            let model = |graph: &Graph<'_, f64>| toy(graph, theta, target, &method);
            let moments = Oracle::new().nodes(64).gradient(model).unwrap();
            let found =
                (moments.mean("logit").unwrap().as_slice()[0], moments.variance("logit").unwrap().as_slice()[0]);
            assert!((found.0 - mean).abs() < 2e-4 * mean.abs(), "{found:?} where {mean} is known");
            assert!((found.1 - variance).abs() < 5e-4 * variance, "{found:?} where {variance} is known");
        }
    }

    #[test]
    fn the_bias_of_one_straight_through_bit_is_the_known_one() {
        let method = GumbelSoftmax::new(1.0).straight_through();
        for (theta, target, mean, variance) in [(0.1, 0.499, -6.688e-2, 1.284e-2), (0.1, 0.45, -5.659e-2, 1.247e-2)] {
            let model = |graph: &Graph<'_, f64>| toy(graph, theta, target, &method);
            let test = StatisticalTest::new().runs(20_000);
            test.check(model, &[("logit", Tensor::scalar(mean))]).unwrap();
            test.check_variance(model, &[("logit", Tensor::scalar(variance))], 0.05).unwrap();
        }
    }

    #[test]
    fn the_value_is_soft_or_hard() {
        for hard in [false, true] {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let plain = GumbelSoftmax::new(0.7).samples(20);
            let method = if hard { plain.straight_through() } else { plain };
            let bits = graph.sample("bits", &Bernoulli::from_logits(graph.constant([0.2, -1.0])), &method).unwrap();
            let distribution = OneHotCategorical::from_logits(graph.constant([[0.2, -1.0, 0.4]]));
            let vectors = graph.sample("vectors", &distribution, &method).unwrap();
            assert_eq!(vectors.shape(), [1, 3].into());
            for value in [bits.peek().unwrap(), vectors.peek().unwrap()] {
                assert!(value.as_slice().iter().all(|&x| (x == 0.0 || x == 1.0) == hard), "{value:?}");
            }
            for sum in vectors.sum_axis(-1).peek().unwrap().as_slice() {
                assert!((sum - 1.0).abs() < 1e-12);
            }
        }
    }

    /// Two nodes, two costs, four parameters: `a` relaxed, `g` beside it in a cost, `up` and `d` elsewhere.
    fn shared(graph: &Graph<'_, f64>, method: &GumbelSoftmax) -> GraphResult<()> {
        let [a, g, d] = [graph.param("a", 0.3)?, graph.param("g", -0.2)?, graph.param("d", 0.1)?];
        let up = graph.param("up", 0.6)?;
        let x = graph.sample("x", &Normal::new(up, 1.0), &Pathwise::new())?;
        let b = graph.sample("b", &Bernoulli::from_logits(a + x), method)?;
        let c = graph.sample("c", &Bernoulli::from_logits(g), &ScoreFunction::new())?;
        graph.cost("both", b * c)?;
        graph.cost("other", (c - 0.3) * d)
    }

    #[test]
    fn the_guarantee_tells_who_is_tainted() {
        let biases = |method: &GumbelSoftmax| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            shared(&graph, method).unwrap();
            let gradients = graph.backward().unwrap();
            ["a", "up", "g", "d"].map(|name| gradients.guarantee(name).unwrap().bias)
        };
        let relaxed = GumbelSoftmax::new(0.5);
        assert_eq!(biases(&relaxed), [Bias::Distribution, Bias::Distribution, Bias::Distribution, Bias::Unbiased]);
        assert_eq!(
            biases(&relaxed.straight_through()),
            [Bias::Gradient, Bias::Gradient, Bias::Unbiased, Bias::Unbiased]
        );
    }

    #[test]
    fn orders_follow_the_form_and_the_path() {
        let order = |method: &GumbelSoftmax, kinked: bool| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let logit = graph.param("logit", 0.3).unwrap();
            let b = graph.sample("b", &Bernoulli::from_logits(logit), method).unwrap();
            graph.cost("cost", if kinked { (b - 0.5).abs() } else { b.square() }).unwrap();
            graph.backward().unwrap().guarantee("logit").unwrap().order
        };
        let relaxed = GumbelSoftmax::new(0.5);
        assert_eq!((order(&relaxed, false), order(&relaxed, true)), (Order::Any, Order::Finite(1)));
        assert_eq!(order(&relaxed.straight_through(), false), Order::Finite(1));
    }

    #[test]
    fn jumps_are_refused_unless_continuity_is_assumed() {
        let backward = |method: &GumbelSoftmax| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let logit = graph.param("logit", 0.3)?;
            let b = graph.sample("b", &Bernoulli::from_logits(logit), method)?;
            graph.cost("cost", b + b.round())?;
            graph.backward().map(|_| ())
        };
        for method in [GumbelSoftmax::new(1.0), GumbelSoftmax::new(1.0).straight_through()] {
            let error = backward(&method).unwrap_err().to_string();
            assert!(error.contains("Round"), "{error}");
            backward(&method.assume_continuous()).unwrap();
        }
    }

    #[test]
    fn the_relaxed_model_is_differentiated_to_any_order() {
        let method = GumbelSoftmax::new(1.0);
        let oracle = Oracle::new().nodes(64);
        let at = |logit: f64, order: usize| {
            let model = |graph: &Graph<'_, f64>| {
                let logit = graph.param("logit", logit)?;
                let b = graph.sample("b", &Bernoulli::from_logits(logit), &method)?;
                graph.cost("cost", b.square())
            };
            oracle.derivative(model, &[("logit", Tensor::scalar(1.0))], order).unwrap().mean[0]
        };
        let h = 1e-4;
        for order in [1, 2] {
            let numerical = (at(0.2 + h, order - 1) - at(0.2 - h, order - 1)) / (2.0 * h);
            assert!((at(0.2, order) - numerical).abs() < 1e-7);
        }
    }

    #[test]
    fn the_temperature_falls_only_when_told_to() {
        let method = GumbelSoftmax::new(Temperature::exponential(1.0, 0.25, 2));
        let backward = || {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let logits = graph.param("logits", [0.3, 0.1]).unwrap();
            let first = graph.sample("first", &Bernoulli::from_logits(logits), &method).unwrap();
            let second = graph.sample("second", &Bernoulli::from_logits(logits), &method.clone().samples(2)).unwrap();
            graph.cost("cost", (first * second).sum()).unwrap();
            graph.backward().unwrap()
        };
        drop(backward());
        assert_eq!(method.temperature().current(), 1.0);
        let early = backward();
        backward().advance();
        early.advance();
        assert_eq!(method.temperature().current(), 0.5);
        let state = method.state();
        let restored = GumbelSoftmax::new(Temperature::exponential(1.0, 0.25, 2));
        restored.load_state(&state).unwrap();
        assert_eq!(restored.temperature().step(), 1);
        assert!(restored.load_state(&MethodState::new()).is_err());
        assert!(restored.load_state(&[(STEP.to_string(), vec![0.5])].into()).is_err());
        assert!(GumbelSoftmax::new(1.0).load_state(&state).is_err());
        assert!(GumbelSoftmax::new(1.0).load_state(&GumbelSoftmax::new(2.0).state()).is_ok());
    }

    #[test]
    fn a_temperature_that_is_none_is_an_error() {
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let distribution = Bernoulli::from_logits(graph.constant(0.3));
            let error = graph.sample("b", &distribution, &GumbelSoftmax::new(temperature)).unwrap_err().to_string();
            assert!(error.contains("temperature") && error.contains("\"b\""), "{error}");
        }
    }

    #[test]
    fn it_may_be_chosen_at_run_time_and_lie_along_a_shared_plate() {
        let tape = Tape::<f32>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let plate = graph.plate("samples", 3).unwrap();
        let method: DynMethod<f32, OneHotCategorical<Id>> = Arc::new(GumbelSoftmax::new(0.5).on_plate(plate));
        let logits = graph.param("logits", [0.1, 0.2, 0.3]).unwrap();
        let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &method).unwrap();
        assert_eq!(x.plates().as_slice(), [plate]);
        graph.cost("cost", (x * graph.constant([1.0, 2.0, 3.0])).sum()).unwrap();
        assert!(graph.backward().unwrap().get("logits").unwrap().as_slice().iter().all(|&g| g != 0.0));
    }

    /// The mean and the variance of a function of a uniform number.
    fn integrated(f: impl Fn(f64) -> f64) -> (f64, f64) {
        let n = 400_000;
        let values = || (0..n).map(|i| f((i as f64 + 0.5) / n as f64));
        let mean = values().sum::<f64>() / n as f64;
        (mean, values().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64)
    }

    fn moments(method: &GumbelSoftmax, theta: f64) -> (f64, f64) {
        let model = |graph: &Graph<'_, f64>| toy(graph, theta, 0.45, method);
        let moments = Oracle::new().nodes(200).gradient(model).unwrap();
        (moments.mean("logit").unwrap().as_slice()[0], moments.variance("logit").unwrap().as_slice()[0])
    }

    #[test]
    fn the_derivative_is_taken_at_the_backward_temperature() {
        let theta = 0.3_f64;
        let logit = (theta / (1.0 - theta)).ln();
        let found = moments(&GumbelSoftmax::new(0.7).backward_temperature(1.4), theta);
        let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
        let (mean, variance) = integrated(|u| {
            let z = logit + (u / (1.0 - u)).ln();
            let slope = sigmoid(z / 1.4) * (1.0 - sigmoid(z / 1.4)) / 1.4;
            2.0 * (sigmoid(z / 0.7) - 0.45) * slope
        });
        assert!((found.0 - mean).abs() < 1e-5 && (found.1 - variance).abs() < 1e-5, "{found:?}, {mean}, {variance}");
        // Equal temperatures change nothing, and hard values have no temperature.
        let plain = moments(&GumbelSoftmax::new(0.7), theta);
        let equal = moments(&GumbelSoftmax::new(0.7).backward_temperature(0.7), theta);
        assert!((plain.0 - equal.0).abs() < 1e-12 && (plain.1 - equal.1).abs() < 1e-12);
        let gradient = |method: &GumbelSoftmax| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(4));
            toy(&graph, theta, 0.45, method).unwrap();
            graph.backward().unwrap().get("logit").unwrap().to_vec()
        };
        let hard = GumbelSoftmax::new(0.1).straight_through().backward_temperature(1.4).samples(5);
        assert_eq!(gradient(&hard), gradient(&GumbelSoftmax::new(1.4).straight_through().samples(5)));
    }

    #[test]
    fn a_sparse_map_has_the_moments_of_its_distribution() {
        let theta = 0.3_f64;
        let logit = (theta / (1.0 - theta)).ln();
        let found = moments(&GumbelSoftmax::new(0.8).simplex_map(SimplexMap::Sparsemax), theta);
        let (mean, variance) = integrated(|u| {
            let y = (logit + (u / (1.0 - u)).ln()) / 0.8 * 0.5 + 0.5;
            if (0.0..=1.0).contains(&y) { 2.0 * (y - 0.45) * 0.5 / 0.8 } else { 0.0 }
        });
        // Quadrature over a function with jumps.
        assert!((found.0 - mean).abs() < 5e-3 && (found.1 - variance).abs() < 5e-3, "{found:?}, {mean}, {variance}");
    }

    #[test]
    fn both_temperatures_fall_and_come_back() {
        let make = || {
            GumbelSoftmax::new(Temperature::exponential(1.0, 0.25, 2))
                .backward_temperature(Temperature::exponential(2.0, 0.5, 2))
                .simplex_map(SimplexMap::Entmax15)
        };
        let method = make();
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let distribution = OneHotCategorical::from_logits(graph.param("logits", [0.3, 0.1, -1.0]).unwrap());
        let x = graph.sample("x", &distribution, &method).unwrap();
        graph.cost("cost", x.square().sum()).unwrap();
        let gradients = graph.backward().unwrap();
        let guarantee = gradients.guarantee("logits").unwrap();
        assert_eq!((guarantee.bias, guarantee.order), (Bias::Distribution, Order::Finite(1)));
        gradients.advance();
        let restored = make();
        restored.load_state(&method.state()).unwrap();
        assert_eq!(method.state().len(), 2);
        assert_eq!(restored.temperature().step(), 1);
        assert_eq!(restored.backward.as_ref().unwrap().current(), 1.0);
        assert!(restored.load_state(&MethodState::new()).is_err());
    }
}
