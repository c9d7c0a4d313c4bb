//! What the exact oracle cannot do: limits of outcomes and time, and programs that cannot be enumerated.

mod methods;

use approx::assert_abs_diff_eq;
use methods::{Score, number};
use std::cell::Cell;
use std::time::Duration;
use stochgrad_check::{CheckError, Oracle};
use stochgrad_distributions::{Bernoulli, Gamma, NoiseKey, NoiseLayout};
use stochgrad_graph::{Graph, GraphError};

#[test]
fn a_sum_of_many_bits_exceeds_the_limits_of_outcomes_and_time() {
    let model = |graph: &Graph<'_, f64>| {
        let p = graph.param("p", 0.3)?;
        let x = graph.sample("x", &Bernoulli::from_probabilities(p.broadcast_to([30])), &Score::plain())?;
        graph.cost("cost", x.sum())
    };
    match Oracle::new().max_outcomes(1000).gradient(model) {
        Err(CheckError::TooManyOutcomes { limit: 1000, covered, estimate }) => {
            assert!(covered > 0.0 && covered < 1.0);
            assert_abs_diff_eq!(estimate / 2.0_f64.powi(30), 1.0, epsilon = 1e-12);
        }
        other => panic!("expected too many outcomes, got {other:?}"),
    }
    match Oracle::new().time_limit(Duration::from_millis(20)).verify(model, 0..=1, 1e-9) {
        Err(error @ CheckError::TooLong { outcomes, covered, estimate, .. }) => {
            assert!(outcomes > 0 && covered > 0.0 && covered < 1.0, "{error}");
            assert_abs_diff_eq!(estimate / 2.0_f64.powi(30), 1.0, epsilon = 1e-12);
            assert!(error.to_string().contains("20ms"), "{error}");
        }
        other => panic!("expected an error of the time limit, got {other:?}"),
    }
    assert_abs_diff_eq!(
        Oracle::new().estimated_outcomes(model).expect("an estimate") / 2.0_f64.powi(30),
        1.0,
        epsilon = 1e-12
    );
}

#[test]
fn outcomes_of_uneven_numbers_of_choices_are_estimated() {
    let model = |graph: &Graph<'_, f64>| {
        let p = graph.param("p", 0.3)?;
        let x = graph.sample("x", &Bernoulli::from_probabilities(p), &Score::plain())?;
        let more = if x.item()? == 1.0 { 3 } else { 1 };
        let y = graph.sample("y", &Bernoulli::from_probabilities(p.broadcast_to([more])), &Score::plain())?;
        graph.cost("cost", x + y.sum())
    };
    let exact = Oracle::new().gradient(model).expect("ten outcomes").outcomes() as f64;
    assert_abs_diff_eq!(exact, 10.0, epsilon = 0.0);
    // A probe finds 4 or 16 outcomes, so the mean of 64 probes has a standard error of 0.75.
    assert_abs_diff_eq!(Oracle::new().estimated_outcomes(model).expect("an estimate"), exact, epsilon = 3.0);
}

#[test]
fn any_random_program_has_moments() {
    let key = NoiseKey::new("sum", None);
    let moments = Oracle::new()
        .expectation(|noise| {
            let mut x = [0.0; 3];
            noise.bernoulli(key, &NoiseLayout::flat(3), &[0.5, 0.25, 0.75], &mut x).expect("bits");
            Ok(vec![x.iter().sum(), x[0] * x[1]])
        })
        .expect("eight outcomes");
    assert_eq!(moments.outcomes, 8);
    assert_abs_diff_eq!(moments.probability, 1.0, epsilon = 1e-15);
    assert_abs_diff_eq!(moments.mean[0], 1.5, epsilon = 1e-15);
    assert_abs_diff_eq!(moments.variance[0], 0.25 + 2.0 * 0.1875, epsilon = 1e-15);
    assert_abs_diff_eq!(moments.mean[1], 0.125, epsilon = 1e-15);
}

#[test]
fn programs_that_keep_state_are_errors() {
    let calls = Cell::new(0_u32);
    let model = |graph: &Graph<'_, f64>| {
        calls.set(calls.get() + 1);
        let p = graph.param("p", 0.3)?;
        let shift = 0.1 * f64::from(calls.get() % 2);
        let x = graph.sample("x", &Bernoulli::from_probabilities(p + shift), &Score::plain())?;
        graph.cost("cost", x)
    };
    assert!(matches!(Oracle::new().gradient(model), Err(CheckError::NotDeterministic { .. })));
    let calls = Cell::new(0_u32);
    let fewer = Oracle::new().expectation(|noise| {
        calls.set(calls.get() + 1);
        let mut x = [0.0; 2];
        let count = if calls.get() == 1 { 2 } else { 0 };
        noise
            .bernoulli(NoiseKey::new("x", None), &NoiseLayout::flat(count), &[0.5; 2][..count], &mut x[..count])
            .expect("bits");
        Ok(vec![x[0]])
    });
    assert!(matches!(fewer, Err(CheckError::NotDeterministic { .. })));
}

#[test]
fn what_cannot_be_checked_is_an_error() {
    let gamma = |graph: &Graph<'_, f64>| {
        let a = graph.param("a", 2.0)?;
        let x = graph.sample("x", &Gamma::new(a, 1.0), &Score::plain())?;
        graph.cost("cost", x)
    };
    match Oracle::new().gradient(gamma) {
        Err(error @ CheckError::Noise { .. }) => assert!(error.to_string().contains("statistical test"), "{error}"),
        other => panic!("expected an error of the noise, got {other:?}"),
    }
    let infinite = |graph: &Graph<'_, f64>| {
        let p = graph.param("p", 0.3)?;
        let x = graph.sample("x", &Bernoulli::from_probabilities(p), &Score::plain())?;
        graph.cost("cost", p.sqrt() / x)
    };
    assert!(matches!(Oracle::new().exact_gradient(infinite), Err(CheckError::NotFinite { .. })));
    let late = |graph: &Graph<'_, f64>| {
        let p = graph.param("p", 0.3)?;
        let x = graph.sample("x", &Bernoulli::from_probabilities(p), &Score::plain())?;
        let cost = if x.item()? == 1.0 { x * graph.param("late", 2.0)? } else { x };
        graph.cost("cost", cost)
    };
    assert!(matches!(Oracle::new().verify(late, 0..=1, 1e-9), Err(CheckError::Runs { .. })));
    let moments = Oracle::new().gradient(late).expect("a parameter of one branch");
    assert_abs_diff_eq!(moments.mean("late").expect("late").item().expect("a scalar"), 0.3, epsilon = 1e-15);
    assert_abs_diff_eq!(moments.variance("late").expect("late").item().expect("a scalar"), 0.21, epsilon = 1e-15);
    let unknown = Oracle::new().exact_derivative(late, &[("q", number(1.0))], 1);
    assert!(matches!(unknown, Err(CheckError::Graph(GraphError::Unknown { .. }))));
}
