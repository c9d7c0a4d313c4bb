//! Gradient methods for bits, chosen at run time, and what the tests of several files do with them.

#![allow(dead_code, reason = "each test file uses some of them")]

use std::sync::Arc;
use stochgrad_check::{CheckError, CheckResult, Oracle};
use stochgrad_distributions::Bernoulli;
use stochgrad_estimators::{
    BitFlip, DisArm, DoubleControlVariate, LeaveOneOut, LocalExpectation, MeasureValued, ReplayBudget, Reservoir,
    Rodeo, ScoreFunction, StochasticDerivatives, Ugc,
};
use stochgrad_graph::{DynMethod, GradientMethod, Graph, GraphError, GraphResult, Method, Reduction, Seed};
use stochgrad_tape::{Id, Plate, Tape, Var};

/// A gradient method for bits, chosen at run time.
pub(crate) type BitMethod = DynMethod<f64, Bernoulli<Id>>;

/// The logits of most models.
pub(crate) const LOGITS: [f64; 2] = [0.3, -0.8];

pub(crate) fn method(method: impl GradientMethod<f64, Bernoulli<Id>> + 'static) -> BitMethod {
    Arc::new(method)
}

/// Unbiased methods that draw one value, or several independent ones, for each member of the plates of the parameters.
pub(crate) fn methods() -> Vec<BitMethod> {
    let score = ScoreFunction::new();
    vec![
        method(score),
        method(score.samples(2)),
        method(score.samples(2).baseline(LeaveOneOut)),
        method(MeasureValued::new()),
        method(MeasureValued::new().samples(2)),
        method(StochasticDerivatives::new()),
        method(LocalExpectation::new()),
        method(LocalExpectation::new().samples(2)),
        method(DisArm::new()),
        method(DisArm::new().pairs(2)),
        method(BitFlip::new()),
        method(BitFlip::new().samples(2)),
        method(Ugc::new()),
        method(Ugc::new().pairs(2)),
        method(DoubleControlVariate::new(2)),
        method(Rodeo::new(2)),
        method(Reservoir::of(StochasticDerivatives::new())),
        method(ReplayBudget::of(StochasticDerivatives::new(), 1)),
    ]
}

/// A plate of two time steps, over which costs are summed, and logits for each of them.
pub(crate) fn time_steps<'t>(graph: &Graph<'t, f64>) -> GraphResult<(Plate, Var<'t, f64>)> {
    let steps = graph.plate("steps", 2)?;
    graph.set_reduction(steps, Reduction::Sum)?;
    Ok((steps, graph.param("t", LOGITS)?.event_to_plate(steps)))
}

/// The exact expectations of the total cost and of the gradient with respect to `t`.
pub(crate) fn expectation<M>(model: M) -> CheckResult<(f64, Vec<f64>)>
where
    M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
{
    let moments = Oracle::new().gradient(model)?;
    Ok((moments.total(), moments.mean("t")?.to_vec()))
}

/// Checks that every method either has these expectations or refuses the model.
pub(crate) fn assert_expectation<M>(methods: &[BitMethod], model: M, cost: f64, gradient: &[f64])
where
    M: for<'t> Fn(&Graph<'t, f64>, &BitMethod) -> GraphResult<()>,
{
    for method in methods {
        match expectation(|graph: &Graph<'_, f64>| model(graph, method)) {
            Ok((found_cost, found)) => {
                approx::assert_abs_diff_eq!(found_cost, cost, epsilon = 1e-6);
                let is_near = found.iter().zip(gradient).all(|(found, expected)| (found - expected).abs() < 1e-6);
                assert!(is_near, "{}: {found:?}, expected {gradient:?}", method.name());
            }
            Err(CheckError::Graph(GraphError::Refused { .. })) => {}
            Err(error) => panic!("{}: {error}", method.name()),
        }
    }
}

/// Checks the derivatives of the orders 0 to `top` against the exact ones.
pub(crate) fn assert_exact<M>(what: &str, model: M, top: usize)
where
    M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
{
    let report = Oracle::new().verify(model, 0..=top, 1e-9);
    report.unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// The error of a model that is recorded and differentiated once.
pub(crate) fn refusal(model: impl Fn(&Graph<'_, f64>) -> GraphResult<()>) -> String {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let result = model(&graph).and_then(|()| graph.backward());
    result.map(|gradients| gradients.total()).expect_err("a refusal").to_string()
}
