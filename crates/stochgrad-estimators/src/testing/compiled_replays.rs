//! Every method by replays compiles, with every discrete distribution, with members that meet, and with several
//! elements. The compiled graphs give the bits of new recordings.

use crate::counterfactual::discrete_go::DiscreteGo;
use crate::counterfactual::measure_valued::MeasureValued;
use crate::counterfactual::replay_budget::{Importance, ReplayBudget};
use crate::counterfactual::reservoir::Reservoir;
use crate::counterfactual::stochastic_derivatives::StochasticDerivatives;
use crate::enumeration::enumerate::Enumerate;
use crate::enumeration::local_expectation::LocalExpectation;
use crate::score_function::ScoreFunction;
use crate::testing::models::{BitMethod, assert_model_compiled};
use std::sync::Arc;
use stochgrad_distributions::{
    Bernoulli, Binomial, Categorical, Exponential, Geometric, Laplace, NegativeBinomial, Normal, OneHotCategorical,
    Poisson, Side, Uniform,
};
use stochgrad_graph::{Graph, GraphResult, Seed};
use stochgrad_tape::Tape;
use stochgrad_tensor::Tensor;

/// Checks a distribution under some methods, as a node upstream of another one, in a chain of two.
macro_rules! check {
    ($start:expr, $distribution:expr, [$($method:expr),+]) => {$(
        let model = |graph: &Graph<'_, f64>| -> GraphResult<()> {
            let method = $method;
            let t = graph.param("t", $start.clone())?;
            let x = graph.sample("x", &$distribution(t), &method)?;
            let up = Bernoulli::from_logits(x.sum() * 0.3 - 0.5);
            let y = graph.sample("y", &up, &ScoreFunction::new())?;
            graph.cost("cost", (x.sum() - y * 2.0 + 0.3).square() * 0.1 + t.sum() * y)
        };
        let what = concat!(stringify!($distribution), ", ", stringify!($method));
        assert_model_compiled(what, &[("t", $start.clone())], model);
    )+};
}

#[test]
fn every_discrete_distribution_compiles() {
    let one = Tensor::from([0.4, 0.7]);
    let logits = Tensor::from([[0.3, -0.7, 1.1], [0.0, 0.2, -0.4]]);
    let shares = Tensor::from([[0.2, 0.5, 0.3], [0.6, 0.0, 0.4]]);
    let sides = StochasticDerivatives::new();
    macro_rules! both {
        ($start:expr, $distribution:expr) => {
            check!(
                $start,
                $distribution,
                [
                    MeasureValued::new(),
                    StochasticDerivatives::new(),
                    sides.side(Side::Right),
                    sides.side(Side::Left).samples(3),
                    Reservoir::of(MeasureValued::new()),
                    ReplayBudget::of(StochasticDerivatives::new(), 2)
                ]
            );
        };
    }
    both!(one, Bernoulli::from_probabilities);
    both!(one, Bernoulli::from_logits);
    both!(one, |p| Binomial::from_probabilities(3.0, p));
    both!(one, |p| Binomial::from_logits(3.0, p));
    both!(one, Poisson::from_rate);
    both!(one, Poisson::from_log_rate);
    both!(one, Geometric::from_probabilities);
    both!(one, Geometric::from_logits);
    both!(one, |p| NegativeBinomial::from_probabilities(2.5, p));
    both!(one, |p| NegativeBinomial::from_logits(2.5, p));
    both!(logits, Categorical::from_logits);
    both!(shares, Categorical::from_probabilities);
    both!(logits, OneHotCategorical::from_logits);
    both!(shares, OneHotCategorical::from_probabilities);
    check!(one, Bernoulli::from_logits, [DiscreteGo::new(), LocalExpectation::new()]);
    check!(logits, Categorical::from_logits, [DiscreteGo::new(), LocalExpectation::new()]);
}

#[test]
fn weak_derivatives_of_continuous_distributions_compile() {
    let one = Tensor::from([0.4, 0.7]);
    check!(one, Exponential::new, [MeasureValued::new(), Reservoir::of(MeasureValued::new())]);
    check!(one, |t| Laplace::new(t, 1.5), [MeasureValued::new()]);
    check!(one, |t| Laplace::new(t * 0.0, t), [MeasureValued::new()]);
    check!(one, |t| Uniform::new(t - 2.0, t), [MeasureValued::new()]);
    check!(one, |t| Normal::new(t, t), [MeasureValued::new(), ReplayBudget::of(MeasureValued::new(), 1)]);
}

fn by_replays() -> Vec<BitMethod> {
    let uniform = ReplayBudget::of(MeasureValued::new(), 2).importance(Importance::Uniform);
    vec![
        Arc::new(MeasureValued::new()),
        Arc::new(StochasticDerivatives::new()),
        Arc::new(LocalExpectation::new()),
        Arc::new(Reservoir::of(MeasureValued::new())),
        Arc::new(Reservoir::of(StochasticDerivatives::new().side(Side::Right))),
        Arc::new(ReplayBudget::of(StochasticDerivatives::new(), 2)),
        Arc::new(uniform),
    ]
}

#[test]
fn members_that_meet_compile() {
    for method in by_replays() {
        for met in [false, true] {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", [0.3, -0.8])?;
                let features = graph.data("data", [0.5, -1.5, 0.2])?;
                let x = graph.sample("x", &Bernoulli::from_logits(t * features), &method)?;
                let y = graph.sample("y", &Bernoulli::from_logits(t.index(0, 1) + x.sum() * features), &method)?;
                let cost = (x.sum() - y * features - 0.2).square();
                if met {
                    graph.cost("of all", (cost * 2.0 - x.sum()).sum_over(features.plates()[0]).square())?;
                }
                graph.cost("cost", cost)
            };
            let inputs = [("t", Tensor::from([0.3, -0.8])), ("data", Tensor::from([0.5, -1.5, 0.2]))];
            assert_model_compiled(&format!("{}, met: {met}", method.name()), &inputs, model);
        }
    }
}

#[test]
fn chains_and_weights_downstream_compile() {
    for method in by_replays() {
        let model = |graph: &Graph<'_, f64>| {
            let p = graph.param("p", 3.0)?;
            let mut x = graph.constant(0.5);
            for step in 0..4_usize {
                let up = Bernoulli::from_probabilities((-x.square() / p).exp() * 0.9);
                x = x + graph.sample(("up", step), &up, &method)? * 2.0 - 1.0;
                graph.cost(&format!("cost {step}"), (x - 0.3).square() * p)?;
            }
            let v = graph.sample("v", &Bernoulli::from_logits(x * 2.0 - 0.5), &Enumerate::new())?;
            graph.cost("of v alone", (v * 3.0 - 1.0).square())
        };
        assert_model_compiled(&method.name(), &[("p", Tensor::scalar(3.0))], model);
    }
}

/// More places than one pass holds. The cost is linear, so that the derivative of each element is its factor.
#[test]
fn many_elements_are_replaced_in_several_passes() {
    let (rows, factors) = (Tensor::full([2000], 1.0), Tensor::from_fn([20], |i| i as f64 - 7.5));
    let wide = |graph: &Graph<'_, f64>| {
        let p = graph.param("p", Tensor::full([20], 0.3))?;
        let rows = graph.data("rows", Tensor::full([2000], 1.0))?;
        let x = graph.sample("x", &Bernoulli::from_probabilities(p * rows), &MeasureValued::new())?;
        graph.cost("cost", (x * graph.constant(factors.clone())).sum())
    };
    let met = |graph: &Graph<'_, f64>| {
        let p = graph.param("p", 0.3)?;
        let rows = graph.data("rows", Tensor::full([200], 1.0))?;
        let x = graph.sample("x", &Bernoulli::from_probabilities(p * rows), &MeasureValued::new())?;
        graph.cost("cost", (x * 2.0).sum_over(rows.plates()[0]))
    };
    let gradient = |model: &dyn Fn(&Graph<'_, f64>) -> GraphResult<()>| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(5));
        model(&graph).unwrap();
        graph.backward().unwrap().get("p").unwrap().to_vec()
    };
    let near = |found: Vec<f64>, exact: &[f64]| {
        assert_eq!(found.len(), exact.len());
        found.iter().zip(exact).for_each(|(found, exact)| assert!((found - exact).abs() < 1e-9, "{found}, {exact}"));
    };
    near(gradient(&wide), factors.as_slice());
    near(gradient(&met), &[400.0]);
    assert_model_compiled("wide", &[("p", Tensor::full([20], 0.3)), ("rows", rows)], wide);
    assert_model_compiled("met", &[("p", Tensor::scalar(0.3)), ("rows", Tensor::full([200], 1.0))], met);
}
