//! Every distribution of the catalogue with a method for each of its capabilities.

use crate::catalogue::{Build, all_distributions, vector};
use stochgrad::distributions::*;
use stochgrad::graph::GraphResult;
use stochgrad::prelude::*;
use stochgrad::tensor::Tensor;

/// A step with one node: the values of the parameters, and which of them is trained, if there is one of this position.
/// A factor in the cost is trained, too.
pub(crate) type Step = fn(&Graph<'_, f64>, &[f64], usize) -> GraphResult<()>;

/// A distribution, and the methods that apply to it.
pub(crate) struct Row {
    /// The type and the names of its parameters.
    pub(crate) distribution: &'static str,
    /// Parameters at which nothing is extreme.
    pub(crate) ordinary: &'static [f64],
    /// The distribution.
    pub(crate) build: Build,
    /// The capabilities, and a step by the method for it.
    pub(crate) steps: Vec<(&'static str, Step)>,
}

/// The parameters: variables of the tape, one of which is trained.
fn parameters<'t>(graph: &Graph<'t, f64>, values: &[f64], trained: usize) -> GraphResult<Vec<Var<'t, f64>>> {
    let one = |(index, value): (usize, &f64)| {
        if index == trained { graph.param("theta", Tensor::scalar(*value)) } else { Ok(graph.constant(*value)) }
    };
    values.iter().enumerate().map(one).collect()
}

macro_rules! method {
    (score) => {
        ScoreFunction::new()
    };
    (path) => {
        Pathwise::new()
    };
    (weak) => {
        MeasureValued::new()
    };
    (jumps) => {
        StochasticDerivatives::new()
    };
    (finite) => {
        Enumerate::new()
    };
}

macro_rules! rows {
    ($($distribution:literal $ordinary:expr, [$($can:ident)*] => |$tape:pat_param, $p:pat_param| $build:expr;)*) => {
        vec![$(Row {
            distribution: $distribution,
            ordinary: &$ordinary,
            build: |$tape, $p| Box::new($build),
            steps: vec![$((stringify!($can), |graph, values, trained| {
                let parameters = parameters(graph, values, trained)?;
                let ($tape, $p) = (graph.tape(), parameters.as_slice());
                let distribution = $build;
                let x = graph.sample("x", &distribution, &method!($can))?;
                graph.cost("cost", (x * graph.param("factor", 0.3)?).sin().sum())
            })),*],
        }),*]
    };
}

/// All distributions.
pub(crate) fn rows() -> Vec<Row> {
    all_distributions!(rows)
}
