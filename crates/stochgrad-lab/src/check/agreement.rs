//! A method on a model and the exact answers.

use stochgrad_check::{CheckError, CheckResult, Oracle};
use stochgrad_graph::{Bias, Graph, GraphResult, Guarantee, Order, Seed};
use stochgrad_tape::{Tape, Var, Workspace};

use super::report::Verdict;
use crate::moments::Moments;

/// The tolerance of exact expectations, relative to max(1, |expected|).
const TOLERANCE: f64 = 1e-9;
/// The number of standard errors of a mean of a test that is made alone.
const THRESHOLD: f64 = 4.5;
/// The quadrature nodes of a second computation, which shows whether the first one has converged.
const MORE_NODES: usize = 24;

/// The guarantee for all parameters of a model together.
///
/// # Errors
/// Those with which the graph refuses the method.
pub(super) fn guarantee<M>(model: &M) -> GraphResult<Guarantee>
where
    M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
{
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    model(&graph)?;
    graph.backward()?;
    let parameters = graph.report()?.parameters;
    Ok(parameters.iter().fold(Guarantee::EXACT, |all, one| all.and(one.guarantee)))
}

/// Compares the exact expectations of the surrogate's derivatives, up to the order of the guarantee.
pub(super) fn surrogate<M>(oracle: &Oracle, model: &M, guarantee: Guarantee, order: usize) -> Verdict
where
    M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
{
    let order = match guarantee {
        Guarantee { bias: Bias::Unbiased | Bias::Cost, order: Order::Any } => order,
        Guarantee { bias: Bias::Unbiased | Bias::Cost, order: Order::Finite(valid) } => order.min(valid),
        // The value of the cost is still that of the model, unless another distribution was sampled.
        Guarantee { bias: Bias::Gradient, .. } => 0,
        Guarantee { bias: Bias::Distribution, .. } => return biased(oracle, model),
    };
    let verify = |oracle: &Oracle| oracle.verify(model, 0..=order, TOLERANCE);
    match verify(oracle) {
        Ok(_) if guarantee.bias == Bias::Gradient => biased(oracle, model),
        Ok(report) => Verdict::Agreed(report.to_string()),
        // A quadrature that has not converged shows as a difference, too.
        Err(CheckError::Expectation { order, expected, found, .. })
            if has_moved((order, expected, found), verify(&oracle.clone().nodes(MORE_NODES))) =>
        {
            Verdict::Unknown("the quadrature of the oracle has not converged".into())
        }
        Err(error) => verdict_of(error),
    }
}

/// Whether a second computation gives other values.
fn has_moved<T>((order, expected, found): (usize, f64, f64), again: CheckResult<T>) -> bool {
    let differs = |one: f64, other: f64| (one - other).abs() > 0.1 * TOLERANCE * one.abs().max(1.0);
    match again {
        Ok(_) => true,
        Err(CheckError::Expectation { order: second, expected: again, found: found_again, .. }) => {
            second != order || differs(expected, again) || differs(found, found_again)
        }
        // Finite sample spaces do not depend on the nodes.
        Err(CheckError::TooManyOutcomes { .. } | CheckError::TooLong { .. }) => true,
        Err(_) => false,
    }
}

/// The result of the oracle, if it does not depend on the number of its quadrature nodes.
fn converged(oracle: &Oracle, compute: impl Fn(&Oracle) -> CheckResult<Vec<f64>>) -> Option<Vec<f64>> {
    let found = compute(oracle).ok()?;
    let again = compute(&oracle.clone().nodes(MORE_NODES)).ok()?;
    let agree = |(one, other): (&f64, &f64)| (one - other).abs() <= TOLERANCE * one.abs().max(1.0);
    (found.len() == again.len() && found.iter().zip(&again).all(agree)).then_some(found)
}

fn verdict_of(error: CheckError) -> Verdict {
    match error {
        CheckError::Graph(_) | CheckError::Tape(_) => Verdict::Refused(error.to_string()),
        CheckError::Noise { .. } | CheckError::TooManyOutcomes { .. } | CheckError::TooLong { .. } => {
            Verdict::Unknown(error.to_string())
        }
        other => Verdict::Failed(other.to_string()),
    }
}

/// The exact bias of a method that declares one.
fn biased<M>(oracle: &Oracle, model: &M) -> Verdict
where
    M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
{
    let measured = || -> CheckResult<(f64, f64)> {
        let found = oracle.gradient(model)?;
        let (mut squares, mut norm) = (0.0, 0.0);
        for (name, exact) in oracle.exact_gradient(model)? {
            let mean = found.mean(&name)?;
            let differences = mean.as_slice().iter().zip(exact.as_slice()).map(|(mean, exact)| (mean - exact).powi(2));
            squares += differences.sum::<f64>();
            norm += exact.as_slice().iter().map(|exact| exact * exact).sum::<f64>();
        }
        Ok((squares.sqrt(), norm.sqrt()))
    };
    match measured() {
        Ok((bias, norm)) => Verdict::Biased(format!("a bias of {bias:.3}, where the gradient is {norm:.3}")),
        Err(error) => verdict_of(error),
    }
}

/// Compares the mean of many gradients with the exact gradient, or with as many score-function estimates.
pub(super) fn mean_gradient<M>(oracle: &Oracle, model: &M, guarantee: Guarantee, runs: u64) -> Verdict
where
    M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
{
    if guarantee.bias != Bias::Unbiased {
        return Verdict::Biased(guarantee.to_string());
    }
    let own = |graph: &Graph<'_, f64>| {
        model(graph)?;
        let gradients = graph.backward()?;
        Ok(gradients.iter().flat_map(|(_, gradient)| gradient.to_vec()).collect())
    };
    let found = match means(own, "gradient", runs) {
        Ok(found) => found,
        Err(error) => return Verdict::Failed(format!("one of {runs} runs is refused: {error}")),
    };
    let exact = converged(oracle, |oracle| {
        Ok(oracle.exact_gradient(model)?.into_iter().flat_map(|(_, gradient)| gradient.to_vec()).collect())
    });
    let (reference, source) = match exact {
        Some(exact) => (exact.into_iter().map(|value| (value, 0.0)).collect(), "the exact gradient"),
        None => match means(|graph| joint(graph, model, true), "reference", runs) {
            Ok(means) => (means, "the score function"),
            Err(error) => return Verdict::Unknown(format!("there is no reference: {error}")),
        },
    };
    compare(&found, &reference, source, runs)
}

/// Compares the mean derivative of the log-probability of all draws with 0.
pub(super) fn mean_score<M>(oracle: &Oracle, model: &M, runs: u64) -> Verdict
where
    M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
{
    let exact = converged(oracle, |oracle| {
        let mut workspace = Workspace::new();
        let run = |noise| joint(&Graph::with_noise(workspace.tape(), noise), model, false);
        Ok(oracle.expectation(run)?.mean)
    });
    match exact {
        Some(means) => {
            let worst = means.iter().fold(0.0_f64, |worst, mean| worst.max(mean.abs()));
            // Counts are cut off where their probability is about 1e-16.
            match worst <= 1e-7 {
                true => Verdict::Agreed(format!("largest mean {worst:.1e} over all outcomes")),
                false => Verdict::Failed(format!(
                    "the mean derivative of the log-probability is {worst:.3e}, expected 0; the draws do not have \
                     the distribution of the log-probability"
                )),
            }
        }
        None => match means(|graph| joint(graph, model, false), "score", runs) {
            Ok(found) => compare(&found, &vec![(0.0, 0.0); found.len()], "0", runs),
            Err(error) => Verdict::Refused(error.to_string()),
        },
    }
}

/// The derivative of the log-probability of independent draws, or a score-function estimate of the gradient: every
/// node is drawn from its own distribution, whatever its method.
fn joint<M>(graph: &Graph<'_, f64>, model: &M, with_cost: bool) -> GraphResult<Vec<f64>>
where
    M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
{
    graph.set_joint_distribution(true);
    model(graph)?;
    let factor = graph.joint_log_prob();
    let value = if with_cost { factor.magic_box() * graph.total_cost() } else { factor };
    let parameters: Vec<Var<'_, f64>> = graph.parameters().into_iter().map(|(_, var)| var).collect();
    let gradients = graph.tape().backward_all(value, &parameters)?;
    Ok(gradients.iter().flat_map(|gradient| gradient.to_vec()).collect())
}

/// The mean of each component of a vector, and its variance.
fn means(
    run: impl for<'t> Fn(&Graph<'t, f64>) -> GraphResult<Vec<f64>>,
    purpose: &str,
    runs: u64,
) -> GraphResult<Vec<(f64, f64)>> {
    let mut workspace = Workspace::new();
    let mut moments: Vec<Moments> = Vec::new();
    for number in 0..runs {
        let graph = Graph::new(workspace.tape(), Seed::new(1).derived(purpose, number));
        let values = run(&graph)?;
        moments.resize(values.len(), Moments::default());
        moments.iter_mut().zip(values).for_each(|(moments, value)| moments.add(value));
    }
    Ok(moments.iter().map(|one| (one.mean(), one.standard_error().powi(2))).collect())
}

/// Compares means element by element.
fn compare(found: &[(f64, f64)], reference: &[(f64, f64)], source: &str, runs: u64) -> Verdict {
    if found.len() != reference.len() {
        let (found, expected) = (found.len(), reference.len());
        return Verdict::Failed(format!("expected {expected} elements as in {source}, got {found}"));
    }
    let mut largest = 0.0_f64;
    for (element, (&(mean, variance), &(expected, its))) in found.iter().zip(reference).enumerate() {
        let difference = (mean - expected).abs();
        let error = (variance + its).sqrt();
        let is_rounding = difference <= 1e-10 * expected.abs().max(1.0);
        let distance = if is_rounding { 0.0 } else { difference / error };
        if distance.is_nan() || distance > THRESHOLD {
            return Verdict::Failed(format!(
                "element {element}: expected {expected:.6} by {source}, got {mean:.6} over {runs} runs, {distance:.1} \
                 standard errors away; it is biased, or its noise depends on that of other nodes"
            ));
        }
        largest = largest.max(distance);
    }
    Verdict::Agreed(format!("{runs} runs, at most {largest:.1} standard errors from {source}"))
}
