//! Tests of the estimators from logged data.

mod chain;
mod decisions;
mod refusals;
mod summaries;

use stochgrad_distributions::Categorical;
use stochgrad_estimators::{LoggedAction, LoggedData};
use stochgrad_graph::{Graph, GraphResult};

/// A log of one step on plate "log".
fn bandit<'a, 't>(
    graph: &'a Graph<'t, f64>,
    propensities: [f64; 4],
    rewards: [f64; 4],
) -> GraphResult<LoggedData<'a, 't, f64>> {
    let policy = Categorical::from_logits(graph.param("logits", [0.2, -0.1, 0.4])?);
    let actions = graph.data_named("actions", "log", [0.0, 2.0, 1.0, 2.0])?;
    let propensities = graph.data_named("propensities", "log", propensities)?;
    let rewards = graph.data_named("rewards", "log", rewards)?;
    LoggedData::new(graph, [LoggedAction::new(&policy, actions, propensities).reward(rewards)])
}

const PROPENSITIES: [f64; 4] = [0.5, 0.3, 0.2, 0.3];
const REWARDS: [f64; 4] = [1.0, 0.0, 0.5, 2.0];
