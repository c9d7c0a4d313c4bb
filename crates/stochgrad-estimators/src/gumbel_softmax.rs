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
//! **Assumptions.** The cost is defined and differentiable between the vertices (plain) or at them (straight-through). Paths from the
//! value are looked at as for [`Pathwise`](crate::Pathwise).
//!
//! | | plain | straight-through |
//! |---|---|---|
//! | bias | another law is sampled: costs and gradients are those of the relaxed model | of the gradient only; costs are right |
//! | order | any through smooth operations, 1 through a kink | 1 |
//! | cost evaluations | one a sample, and one backward pass | the same |
//! | the cost must offer | values and derivatives at interior points | derivatives at the vertices |
//!
//! The biases can have the wrong sign at every temperature: for one bit with $\theta = 0.1$ and $f = (b - 0.499)^2$ the gradient is
//! $1.8 \cdot 10^{-4}$, and at $\tau = 1$ the plain form gives $-4.2 \cdot 10^{-2}$, the straight-through one $-6.7 \cdot 10^{-2}$, on average.
//!
//! To evaluate a trained model with hard samples, sample the same distribution with `ScoreFunction::new()`: same address, same
//! noise source, no relaxation.

use crate::pathwise::{check_parameter_paths, describe_members, path_order};
use crate::temperature::Temperature;
use stochgrad_distributions::{Family, Relaxed};
use stochgrad_graph::{
    Access, Bias, CostContext, GradientMethod, GraphResult, Guarantee, Method, MethodState, Order, Path, Profile,
    SampleContext, SamplePlate, SampleSet, Terms,
};
use stochgrad_tape::Plate;
use stochgrad_tensor::Real;
use stochgrad_tensor::plan::Plan;

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
    plate: SamplePlate,
    plan: Option<Plan>,
    straight_through: bool,
    assume_continuous: bool,
}

impl GumbelSoftmax {
    /// One relaxed sample at a temperature: a number, or a [`Temperature`] that falls.
    pub fn new(temperature: impl Into<Temperature>) -> Self {
        GumbelSoftmax {
            temperature: temperature.into(),
            plate: SamplePlate::Single,
            plan: None,
            straight_through: false,
            assume_continuous: false,
        }
    }

    /// Hard values go forward; derivatives are those of the relaxed ones.
    pub fn straight_through(self) -> Self {
        GumbelSoftmax { straight_through: true, ..self }
    }

    /// That many samples, along a plate of the node's own.
    pub fn samples(self, samples: usize) -> Self {
        GumbelSoftmax { plate: SamplePlate::New(samples), ..self }
    }

    /// One sample for each member of a plate made with [`Graph::plate`](stochgrad_graph::Graph::plate).
    pub fn along(self, plate: Plate) -> Self {
        GumbelSoftmax { plate: SamplePlate::Shared(plate), ..self }
    }

    /// Draws the samples by a [`Plan`], so that they keep out of one another's way.
    pub fn plan(self, plan: Plan) -> Self {
        GumbelSoftmax { plan: Some(plan), ..self }
    }

    /// Accepts jumps on the paths from the value, as [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        GumbelSoftmax { assume_continuous: true, ..self }
    }

    /// The temperature.
    pub fn temperature(&self) -> &Temperature {
        &self.temperature
    }
}

impl Method for GumbelSoftmax {
    fn name(&self) -> String {
        let form = if self.straight_through { "straight-through, " } else { "" };
        format!("Gumbel-softmax ({form}{}, {})", self.temperature, describe_members(self.plate, self.plan))
    }

    fn profile(&self) -> Profile {
        let profile = match self.straight_through {
            false => Profile { order: Order::Any, access: Access::Between, ..Profile::biased(Bias::Law) },
            true => Profile::biased(Bias::Gradient),
        };
        profile.times(self.plate.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.plate
    }

    fn redraws_by_recording(&self) -> bool {
        true
    }

    fn state(&self) -> MethodState {
        self.temperature.state()
    }

    fn load_state(&self, state: &MethodState) -> GraphResult<()> {
        self.temperature.load_state(&self.name(), state)
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
        let (plate, draw) = context.members(self.plate, self.plan)?;
        let perturbed = distribution.perturbed(&draw).map_err(|source| context.error(source))?;
        let soft = distribution.soften(perturbed, self.temperature.record(context.tape()));
        let value = if self.straight_through { distribution.harden(perturbed).straight_through(soft) } else { soft };
        Ok(SampleSet::equal(value, plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        Ok(Terms { updates: self.temperature.updates(context.tape()), ..Terms::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::temperature::STEP;
    use crate::{Pathwise, ScoreFunction};
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
            let law = OneHotCategorical::from_logits(graph.constant([[0.2, -1.0, 0.4]]));
            let vectors = graph.sample("vectors", &law, &method).unwrap();
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
        assert_eq!(biases(&relaxed), [Bias::Law, Bias::Law, Bias::Law, Bias::Unbiased]);
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
            let law = Bernoulli::from_logits(graph.constant(0.3));
            let error = graph.sample("b", &law, &GumbelSoftmax::new(temperature)).unwrap_err().to_string();
            assert!(error.contains("temperature") && error.contains("\"b\""), "{error}");
        }
    }

    #[test]
    fn it_may_be_chosen_at_run_time_and_lie_along_a_shared_plate() {
        let tape = Tape::<f32>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let plate = graph.plate("samples", 3).unwrap();
        let method: DynMethod<f32, OneHotCategorical<Id>> = Arc::new(GumbelSoftmax::new(0.5).along(plate));
        let logits = graph.param("logits", [0.1, 0.2, 0.3]).unwrap();
        let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &method).unwrap();
        assert_eq!(x.plates().as_slice(), [plate]);
        graph.cost("cost", (x * graph.constant([1.0, 2.0, 3.0])).sum()).unwrap();
        assert!(graph.backward().unwrap().get("logits").unwrap().as_slice().iter().all(|&g| g != 0.0));
    }
}
