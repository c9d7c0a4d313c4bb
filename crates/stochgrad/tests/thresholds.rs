//! Parameters that a cost compares with samples: the derivative of the jump is refused where no method accounts for it.

use stochgrad::distributions::{Gumbel, Poisson};
use stochgrad::estimators::{Auto, MeasureValued, Pathwise, ScoreFunction, SmoothedPerturbation};
use stochgrad::graph::GraphError;
use stochgrad::prelude::*;

/// The gradient of a model with respect to its parameter "theta" = 0.3.
fn gradient(
    model: impl for<'t> Fn(&Graph<'t, f64>, Var<'t, f64>) -> Result<Var<'t, f64>, GraphError>,
) -> Result<f64, GraphError> {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let theta = graph.param("theta", 0.3)?;
    let cost = model(&graph, theta)?;
    graph.cost("cost", cost)?;
    Ok(graph.backward()?.get("theta")?.item()?)
}

/// A standard normal sample with the score function.
fn sample<'t>(graph: &Graph<'t, f64>) -> Result<Var<'t, f64>, GraphError> {
    graph.sample("x", &Normal::new(graph.constant(0.0), 1.0), &ScoreFunction::new())
}

#[track_caller]
fn assert_refused(result: Result<f64, GraphError>, parts: &[&str]) {
    let error = result.expect_err("a refusal").to_string();
    for part in parts {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_threshold_of_a_sample_is_refused() {
    let parts = ["\"x\"", "derivative with respect to that parameter would be missing", "SmoothedPerturbation"];
    assert_refused(gradient(|graph, theta| Ok(theta.gt(sample(graph)?))), &parts);
    assert_refused(gradient(|graph, theta| Ok(sample(graph)?.le(theta))), &parts);
    // The parameter and the sample are on the same side.
    assert_refused(gradient(|graph, theta| Ok((theta + sample(graph)?).floor() * 2.0)), &parts);
    let measure_valued = |graph: &Graph<'_, f64>| {
        let x = graph.sample("x", &Normal::new(graph.constant(0.0), 1.0), &MeasureValued::new())?;
        let theta = graph.param("theta", 0.3)?;
        graph.cost("cost", theta.gt(x))?;
        graph.backward().map(|_| 0.0)
    };
    let tape = Tape::<f64>::new();
    assert_refused(measure_valued(&Graph::new(&tape, Seed::new(7))), &parts);
}

#[test]
fn a_threshold_that_is_a_parameter_of_another_distribution_is_refused() {
    let result = gradient(|graph, theta| {
        let chance = theta.gt(sample(graph)?) * 0.5 + 0.25;
        graph.sample("bit", &Bernoulli::from_probabilities(chance), &ScoreFunction::new())
    });
    assert_refused(result, &["\"x\""]);
}

#[test]
fn largest_positions_of_noisy_parameters_are_refused() {
    let result = gradient(|graph, theta| {
        let noise = graph.sample("noise", &Gumbel::new(graph.constant([0.0, 0.0, 0.0]), 1.0), &ScoreFunction::new());
        Ok((theta * graph.constant([1.0, 2.0, 3.0]) + noise?).argmax(0))
    });
    assert_refused(result, &["\"noise\""]);
}

#[test]
fn a_threshold_of_a_count_is_constant_almost_everywhere() {
    let result = gradient(|graph, theta| {
        let count = graph.sample("count", &Poisson::from_rate(graph.constant(0.7)), &ScoreFunction::new())?;
        Ok(theta.gt(count))
    });
    assert_eq!(result, Ok(0.0));
}

#[test]
fn a_count_whose_rate_is_a_sample_is_a_count() {
    let result = gradient(|graph, theta| {
        let rate = sample(graph)?.exp();
        let count = graph.sample("count", &Poisson::from_rate(rate), &ScoreFunction::new())?;
        Ok(theta.gt(count))
    });
    assert_eq!(result, Ok(0.0));
}

#[test]
fn branches_that_meet_pass_with_a_stopped_threshold() {
    // (θ − x)⁺ by a branch: the derivative is the probability that x < θ, here 0 or 1.
    let result = gradient(|graph, theta| {
        let x = sample(graph)?;
        let zero = graph.constant(0.0);
        Ok(theta.stop_gradient().gt(x).select(theta - x, zero))
    });
    assert!(matches!(result, Ok(slope) if slope == 0.0 || slope == 1.0), "{result:?}");
}

#[test]
fn thresholds_that_are_only_looked_at_pass() {
    // The gradient of a weight that is stopped is not asked for.
    let result = gradient(|graph, theta| {
        let x = sample(graph)?;
        Ok(theta * theta.gt(x).stop_gradient())
    });
    assert!(result.is_ok(), "{result:?}");
}

#[test]
fn smoothed_perturbation_accounts_for_the_threshold() {
    let gradient = gradient(|graph, theta| {
        let x = graph.sample("x", &Normal::new(graph.constant(0.0), 1.0), &SmoothedPerturbation::new())?;
        Ok(theta.gt(x))
    });
    let density = (-0.045_f64).exp() / (2.0 * std::f64::consts::PI).sqrt();
    assert!((gradient.unwrap() - density).abs() < 1e-12);
}

#[test]
fn the_assertion_that_jumps_cancel_covers_the_threshold() {
    let result = gradient(|graph, theta| {
        let method = Pathwise::new().assume_continuous();
        let x = graph.sample("x", &Normal::new(graph.constant(0.0), 1.0), &method)?;
        let zero = graph.constant(0.0);
        Ok(theta.gt(x).select(theta - x, zero))
    });
    assert!(matches!(result, Ok(slope) if slope == 0.0 || slope == 1.0), "{result:?}");
}

#[test]
fn a_sample_of_the_score_function_is_not_a_threshold_that_depends_on_its_parameter() {
    let result = gradient(|graph, theta| {
        let x = graph.sample("x", &Normal::new(theta, 1.0), &Auto::new())?;
        let y = graph.sample("y", &Normal::new(theta, 1.0), &ScoreFunction::new())?;
        Ok(x.step() + y.gt(x))
    });
    assert!(result.is_ok(), "{result:?}");
}
