//! A user-defined distribution and gradient method, verified by the exact oracle.
//!
//! The distribution is that of a sign, −1 or 1. The method draws a sign and its opposite as an antithetic pair,
//! weighted by their probabilities. With two evaluations of the cost it is exact for one sign, at every order.

mod bounded;
mod learned;

use stochgrad::check::Oracle;
use stochgrad::distributions::{
    Capabilities, Condition, Distribution, DistributionResult, Draw, FiniteSupport, Parameter, Parameters,
    ScoreDifferentiable, Support, check_parameter, family,
};
use stochgrad::graph::{GradientMethod, Method, Path, Profile, SampleContext, SampleSet};
use stochgrad::graph::{GraphResult, Order, SamplePlate};
use stochgrad::prelude::*;
use stochgrad::tape::PlateKind;
use stochgrad::tensor::{Real, Shape};

/// The distribution of a sign: 1 with probability σ(2η) and −1 otherwise, for a field η.
#[derive(Clone, Copy, Debug)]
struct Sign<V> {
    field: V,
}

impl<V> Sign<V> {
    fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<Sign<W>, E> {
        Ok(Sign { field: f(&self.field)? })
    }
}

family!(Sign);

impl<'t, F: Real> Distribution<'t, F> for Sign<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Sign"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        [Parameter::smooth("field", self.field)].into_iter().collect()
    }

    fn event_shape(&self) -> Shape {
        self.field.shape()
    }

    fn support(&self) -> Support {
        Support::Real
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        (value * self.field * 2.0).log_sigmoid()
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let up = Bernoulli::from_logits(self.field * 2.0).sample(draw)?;
        Ok(up * 2.0 - 1.0)
    }

    fn validate(&self) -> DistributionResult<()> {
        check_parameter("Sign", "field", self.field, "a finite number", "clamp it", Condition::Finite)
    }

    fn capabilities(&self) -> Capabilities<'_, 't, F> {
        Capabilities { score: Some(self), finite_support: Some(self), ..Capabilities::default() }
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Sign<Var<'t, F>> {}

impl<'t, F: Real> FiniteSupport<'t, F> for Sign<Var<'t, F>> {
    fn states(&self) -> DistributionResult<u128> {
        Ok(2)
    }

    fn element_support(&self) -> DistributionResult<Tensor<F>> {
        Ok(Tensor::from_fn([2], |i| if i == 0 { -F::ONE } else { F::ONE }))
    }
}

/// The antithetic pair of a sample and its opposite, weighted by their probabilities given the pair.
///
/// $$E[f] = E_x\big[w(x) f(x) + w(-x) f(-x)\big], \quad w(x) = \frac{p(x)}{p(x) + p(-x)}.$$
///
/// The pair is drawn from the distribution of one of its members. For one sign the pair is always the same, so that the
/// estimate has no variance. With several signs the distribution of the pair depends on the parameters, and the method
/// adds the score of the pair.
#[derive(Clone, Copy, Debug)]
struct AntitheticPair;

impl Method for AntitheticPair {
    fn name(&self) -> String {
        "antithetic pair".into()
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any).times(2)
    }
}

/// The log-probability of the unordered pair of a value and its opposite.
fn pair_log_prob<'t, F: Real>(sign: &Sign<Var<'t, F>>, value: Var<'t, F>) -> Var<'t, F> {
    let (one, other) = (sign.log_prob(value), sign.log_prob(-value));
    one + (other - one).softplus()
}

impl<F: Real> GradientMethod<F, Sign<stochgrad::tape::Id>> for AntitheticPair {
    fn sample<'t>(&self, context: &SampleContext<'_, 't, F>, sign: &Sign<Var<'t, F>>) -> GraphResult<SampleSet<'t, F>> {
        let first = context.independent(sign, SamplePlate::Single)?.value;
        // The two members are not independent draws, which the kind of the plate declares.
        let plate = context.plate(2, PlateKind::JointSamples)?;
        let both = Var::stack(&[first, -first])?.event_to_plate(plate);
        let log_prob = sign.log_prob(both);
        let weights = (log_prob - pair_log_prob(sign, first)).exp();
        Ok(SampleSet { value: both, plate: Some(plate), weights: Some((weights, true)) })
    }

    fn gradient_function<'t>(&self, sign: &Sign<Var<'t, F>>, value: Var<'t, F>, _path: &Path) -> Option<Var<'t, F>> {
        Some(pair_log_prob(sign, value))
    }
}

/// Two signs in a field, and a third sign whose field depends on them.
fn model(graph: &Graph<'_, f64>) -> GraphResult<()> {
    let field = graph.param("field", [0.3, -0.2])?;
    let pair = graph.sample("pair", &Sign { field }, &AntitheticPair)?;
    let third = Sign { field: pair.sum() * 0.4 + 0.1 };
    let third = graph.sample("third", &third, &ScoreFunction::new())?;
    graph.cost("energy", (pair.sum() + third * 2.0 - 0.5).square())?;
    graph.cost("magnetisation", pair.sum() * 0.3)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let report = Oracle::new().verify(model, 0..=3, 1e-9)?;
    println!("{report}");

    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(5));
    model(&graph)?;
    let gradients = graph.backward()?;
    println!("one estimate: {:?}, {}", gradients.get("field")?, gradients.guarantee("field")?);
    bounded::demonstrate()?;

    let method = learned::LearnedScale::new(0.3);
    let before = learned::variance(&method)?;
    learned::learn(&method, 300)?;
    println!("variance with a learned scale: {before:.3} before learning, {:.3} after", learned::variance(&method)?);
    Ok(())
}
