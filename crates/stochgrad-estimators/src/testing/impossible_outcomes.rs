//! Checks of every method that uses alternatives to the sample, or pairs of samples, where outcomes have probability
//! zero. *At weight 0 a cost that is not finite contributes 0 to the value and the derivative; with a finite cost the
//! derivative with respect to the weight stays the cost.*
//!
//! All expected gradients are sums over the states by hand.

use crate::antithetic::arm::Arm;
use crate::antithetic::arms::Arms;
use crate::antithetic::ars::Ars;
use crate::antithetic::arsm::Arsm;
use crate::antithetic::carms::Carms;
use crate::antithetic::categorical_disarm::CategoricalDisArm;
use crate::antithetic::disarm::DisArm;
use crate::antithetic::ugc::Ugc;
use crate::control_variate::rodeo::Rodeo;
use crate::counterfactual::bit_flip::BitFlip;
use crate::counterfactual::discrete_go::DiscreteGo;
use crate::counterfactual::measure_valued::MeasureValued;
use crate::counterfactual::replay_budget::ReplayBudget;
use crate::counterfactual::reservoir::Reservoir;
use crate::counterfactual::stochastic_derivatives::StochasticDerivatives;
use crate::enumeration::local_expectation::LocalExpectation;
use crate::testing::models::BitMethod;
use std::sync::Arc;
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{Bernoulli, Categorical, Distribution, Id, OneHotCategorical, Side};
use stochgrad_graph::{DynMethod, Graph, GraphResult, Method, Seed};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

type Build = for<'t> fn(Var<'t, f64>) -> Bernoulli<Var<'t, f64>>;
type Cost = for<'t> fn(Var<'t, f64>, Bernoulli<Var<'t, f64>>, Bernoulli<Var<'t, f64>>) -> Var<'t, f64>;

fn of_bits() -> Vec<BitMethod> {
    vec![
        Arc::new(MeasureValued::new()),
        Arc::new(MeasureValued::new().samples(2)),
        Arc::new(StochasticDerivatives::new()),
        Arc::new(StochasticDerivatives::new().side(Side::Right)),
        Arc::new(StochasticDerivatives::new().side(Side::Left)),
        Arc::new(LocalExpectation::new()),
        Arc::new(DiscreteGo::new()),
        Arc::new(BitFlip::new()),
        Arc::new(Ugc::new()),
        Arc::new(DisArm::new()),
        Arc::new(Arm::new()),
        Arc::new(Arms::new(3)),
        Arc::new(Carms::new(2)),
        Arc::new(CategoricalDisArm::new()),
        Arc::new(CategoricalDisArm::importance_weighted()),
        Arc::new(CategoricalDisArm::tree()),
        Arc::new(Rodeo::new(2)),
        Arc::new(Reservoir::of(MeasureValued::new())),
        Arc::new(ReplayBudget::of(StochasticDerivatives::new(), 1)),
    ]
}

macro_rules! of_categories {
    ($($more:expr),*) => {
        vec![
            Arc::new(MeasureValued::new()),
            Arc::new(StochasticDerivatives::new()),
            Arc::new(StochasticDerivatives::new().side(Side::Right)),
            Arc::new(StochasticDerivatives::new().side(Side::Left)),
            Arc::new(LocalExpectation::new()),
            Arc::new(Carms::new(2)),
            Arc::new(CategoricalDisArm::new()),
            Arc::new(CategoricalDisArm::importance_weighted()),
            Arc::new(CategoricalDisArm::tree()),
            Arc::new(Reservoir::of(MeasureValued::new())),
            Arc::new(ReplayBudget::of(StochasticDerivatives::new(), 1)),
            $(Arc::new($more)),*
        ]
    };
}

const BY_PROBABILITY: (&str, Build, [f64; 3]) =
    ("probabilities", |v| Bernoulli::from_probabilities(v), [0.0, 0.5, 1.0]);
const BY_LOGIT: (&str, Build, [f64; 3]) =
    ("logits", |v| Bernoulli::from_logits(v), [f64::NEG_INFINITY, 0.0, f64::INFINITY]);

/// Costs of bits with the probabilities (0, ½, 1), and the gradients with respect to probabilities and logits.
fn costs() -> Vec<(&'static str, Cost, [f64; 3], [f64; 3])> {
    let half = 0.5_f64.ln();
    vec![
        // −∞ + ∞ at the impossible states.
        ("a ratio with itself", |b, q, _| q.log_prob(b) - q.log_prob(b), [0.0; 3], [0.0; 3]),
        // At the possible state of a certain bit, the derivative of ln q remains.
        ("a ratio with constants", |b, q, p| q.log_prob(b) - p.log_prob(b), [-1.0, 0.0, 1.0], [0.0; 3]),
        ("an infinite cost", |b, _, p| -p.log_prob(b), [half, 0.0, -half], [0.0; 3]),
        ("a cost without bounds below", |b, _, p| p.log_prob(b), [-half, 0.0, half], [0.0; 3]),
        (
            "a finite cost",
            |b, _, _| (b * b.tape().constant([3.0, 5.0, 7.0])).sum().square(),
            [66.0, 95.0, 84.0],
            [0.0, 23.75, 0.0],
        ),
    ]
}

fn bits(
    graph: &Graph<'_, f64>,
    distribution: (&str, Build, [f64; 3]),
    cost: Cost,
    method: &BitMethod,
) -> GraphResult<()> {
    let (_, build, start) = distribution;
    let theta = graph.param("theta", start)?;
    let (q, p) = (build(theta), build(graph.constant(start)));
    let b = graph.sample("b", &q, method)?;
    graph.cost("cost", cost(b, q, p))
}

#[track_caller]
fn assert_gradient(what: &str, found: &[f64], expected: &[f64]) {
    let close = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-9);
    assert!(found.len() == expected.len() && close, "{what}: {found:?} where {expected:?} is exact");
}

#[test]
fn certain_bits_have_the_exact_gradient() {
    for (what, cost, by_probability, by_logit) in costs() {
        for (distribution, expected) in [(BY_PROBABILITY, by_probability), (BY_LOGIT, by_logit)] {
            for method in of_bits() {
                let name = format!("{}, {what}, by {}", method.name(), distribution.0);
                let moments =
                    Oracle::new().nodes(4).gradient(|graph: &Graph<'_, f64>| bits(graph, distribution, cost, &method));
                let moments = moments.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_gradient(&name, moments.mean("theta").unwrap().as_slice(), &expected);
            }
        }
    }
}

#[test]
fn races_between_certain_bits_are_unbiased() {
    for (what, cost, expected, _) in costs() {
        for method in [Arc::new(Arsm::new()) as BitMethod, Arc::new(Ars::new())] {
            let model = |graph: &Graph<'_, f64>| bits(graph, BY_PROBABILITY, cost, &method);
            StatisticalTest::new()
                .runs(4000)
                .check(model, &[("theta", Tensor::from(expected))])
                .unwrap_or_else(|error| panic!("{}, {what}: {error}", method.name()));
        }
    }
}

/// Four categories with the probabilities (a, t, 0, 1 − a − t), where a is 0.
fn probabilities<'t>(graph: &Graph<'t, f64>) -> GraphResult<Var<'t, f64>> {
    let (a, t) = (graph.param("a", 0.0)?, graph.param("t", 0.4)?);
    Ok(Var::stack(&[a, t, graph.constant(0.0), 1.0 - a - t])?)
}

const VALUES: [f64; 4] = [2.0, 5.0, 1.0, -3.0];

#[test]
fn impossible_categories_have_the_exact_gradient() {
    let vectors: Vec<DynMethod<f64, OneHotCategorical<Id>>> = of_categories![];
    for method in vectors {
        let gradient = |ratio: bool| {
            let model = |graph: &Graph<'_, f64>| {
                let p = probabilities(graph)?;
                let q = OneHotCategorical::from_probabilities(p);
                let x = graph.sample("x", &q, &method)?;
                let prior = OneHotCategorical::from_probabilities(graph.constant([0.0, 0.4, 0.0, 0.6]));
                let square = (x * graph.constant(VALUES)).sum().square();
                graph.cost("cost", if ratio { q.log_prob(x) - prior.log_prob(x) } else { square })
            };
            let moments = Oracle::new().nodes(4).gradient(model).unwrap_or_else(|error| panic!("{error}"));
            [moments.mean("a").unwrap().item().unwrap(), moments.mean("t").unwrap().item().unwrap()]
        };
        assert_gradient(&method.name(), &gradient(false), &[4.0 - 9.0, 25.0 - 9.0]);
        // The term of the impossible category is removed, and the last one has −1 from its own logarithm.
        assert_gradient(&method.name(), &gradient(true), &[-1.0, 0.0]);
    }
}

#[test]
fn impossible_numbers_are_passed_over() {
    let numbers: Vec<DynMethod<f64, Categorical<Id>>> = of_categories![DiscreteGo::new()];
    for method in numbers {
        let by_probability = |graph: &Graph<'_, f64>| {
            let x = graph.sample("x", &Categorical::from_probabilities(probabilities(graph)?), &method)?;
            let value = (x.one_hot(4) * graph.constant(VALUES)).sum();
            graph.cost("cost", value.square())
        };
        let moments = Oracle::new().gradient(by_probability).unwrap_or_else(|error| panic!("{error}"));
        assert_gradient(&method.name(), moments.mean("a").unwrap().as_slice(), &[-5.0]);
        assert_gradient(&method.name(), moments.mean("t").unwrap().as_slice(), &[16.0]);
        let none = f64::NEG_INFINITY;
        let logits = [none, 0.2, none, none, -0.4, none];
        let by_logit = |graph: &Graph<'_, f64>| {
            let x = graph.sample("x", &Categorical::from_logits(graph.param("l", logits)?), &method)?;
            graph.cost("cost", (x - 2.0).square() + x)
        };
        // The costs of the possible numbers 1 and 4 are 2 and 8.
        let p = 1.0 / (1.0 + 0.6_f64.exp());
        let slope = p * (1.0 - p) * (8.0 - 2.0);
        let moments = Oracle::new().gradient(by_logit).unwrap_or_else(|error| panic!("{error}"));
        let expected = [0.0, -slope, 0.0, 0.0, slope, 0.0];
        assert_gradient(&method.name(), moments.mean("l").unwrap().as_slice(), &expected);
    }
}

/// The derivative of 7(2p² + 5(1 − p²)) − 3 is −42p.
#[test]
fn gaps_between_numbers_have_the_known_derivative() {
    let numbers: Vec<DynMethod<f64, Categorical<Id>>> = of_categories![DiscreteGo::new()];
    for method in numbers {
        let model = |graph: &Graph<'_, f64>| {
            let p = graph.param("p", 0.3)?;
            let (none, square) = (graph.constant(0.0), p.square());
            let q = Categorical::from_probabilities(Var::stack(&[none, square, none, none, 1.0 - square])?);
            let x = graph.sample("x", &q, &method)? + 1.0;
            graph.cost("cost", x * 7.0 - 3.0)
        };
        let moments = Oracle::new().gradient(model).unwrap_or_else(|error| panic!("{}: {error}", method.name()));
        assert_gradient(&method.name(), moments.mean("p").unwrap().as_slice(), &[-12.6]);
    }
}

#[test]
fn an_infinite_cost_of_a_possible_outcome_is_not_taken_away() {
    for method in [
        Arc::new(MeasureValued::new()) as BitMethod,
        Arc::new(StochasticDerivatives::new()),
        Arc::new(LocalExpectation::new()),
        Arc::new(BitFlip::new()),
    ] {
        let mut finite_samples = 0;
        for seed in 0..8 {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(seed));
            let p = graph.param("p", 0.5).unwrap();
            let b = graph.sample("b", &Bernoulli::from_probabilities(p), &method).unwrap();
            // Infinite at 1, which is the alternative where 0 was drawn.
            let cost = -(1.0 - b).ln();
            finite_samples += usize::from(b.peek().unwrap().as_slice()[0] == 0.0);
            let found = graph.cost("cost", cost).and_then(|()| graph.backward());
            let finite = found.is_ok_and(|found| found.get("p").unwrap().all_finite());
            assert!(!finite, "{}, seed {seed}", method.name());
        }
        assert!(finite_samples > 0 && finite_samples < 8);
    }
}

#[test]
fn members_that_meet_change_one_at_a_time_and_are_cleared_one_at_a_time() {
    for method in [
        Arc::new(MeasureValued::new()) as BitMethod,
        Arc::new(LocalExpectation::new()),
        Arc::new(BitFlip::new()),
        Arc::new(Reservoir::of(MeasureValued::new())),
    ] {
        // Two rows with the probabilities 0 and ½, whose logarithms meet in one cost: (ln q(0) of the first, ½) and its
        // square.
        let model = |graph: &Graph<'_, f64>| {
            let p = graph.param("p", [0.5, 0.25])?;
            let rows = graph.data("rows", [0.0, 1.0])?;
            let q = p.index(0, 0) * rows + p.index(0, 1) * 0.0;
            let b = graph.sample("b", &Bernoulli::from_probabilities(q), &method)?;
            let fixed = Bernoulli::from_probabilities(rows * 0.5);
            let sum = (fixed.log_prob(b) + b * 3.0).sum_over(rows.plates()[0]);
            graph.cost("cost", sum)
        };
        // Only the second row depends on p[0]: 3.
        let moments = Oracle::new().gradient(model).unwrap_or_else(|error| panic!("{}: {error}", method.name()));
        assert_gradient(&method.name(), moments.mean("p").unwrap().as_slice(), &[3.0, 0.0]);
    }
}
