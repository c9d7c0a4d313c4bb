//! The shapes of graph in which credit can be assigned wrongly, for any distribution of one number.

use crate::distributions::Draw;
use stochgrad::graph::GraphResult;
use stochgrad::prelude::*;
use stochgrad::tape::PlateKind;

/// The name of a shape, and the graph.
pub(crate) type Shape = (&'static str, for<'t> fn(&Graph<'t, f64>, &Draw) -> GraphResult<()>);

/// The shape whose cost sees all samples of a node together.
pub(crate) const JOINT_OVER_SAMPLES: &str = "joint over samples";

pub(crate) const SHAPES: [Shape; 7] = [
    ("chain", chain),
    ("fork", fork),
    ("skip edge", skip_edge),
    ("two costs", two_costs),
    ("unequal plates", unequal_plates),
    ("joint over data", joint_over_data),
    (JOINT_OVER_SAMPLES, joint_over_samples),
];

fn chain(graph: &Graph<'_, f64>, draw: &Draw) -> GraphResult<()> {
    let t = graph.param("t", 0.3)?;
    let x = draw(graph, "x", t)?;
    let y = draw(graph, "y", t * x + 0.25)?;
    graph.cost("cost", (x - y * 2.0 + 1.0).square() + t * x * y)
}

fn fork(graph: &Graph<'_, f64>, draw: &Draw) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.4])?;
    let x = draw(graph, "x", t.index(0, 0))?;
    let y = draw(graph, "y", t.index(0, 0) * x - 0.2)?;
    let z = draw(graph, "z", t.index(0, 1) + x * 0.7)?;
    graph.cost("of one", (y * 2.0 - 0.7).square())?;
    graph.cost("of both", (y + z * 3.0 - 1.0).square() * 0.5)
}

fn skip_edge(graph: &Graph<'_, f64>, draw: &Draw) -> GraphResult<()> {
    let t = graph.param("t", 0.4)?;
    let x = draw(graph, "x", t)?;
    let y = draw(graph, "y", t * 2.0 * x - 0.5)?;
    let z = draw(graph, "z", x * 0.8 - t * y + 0.1)?;
    graph.cost("cost", (x + z * 2.0 - 0.6).square() + y * z)
}

fn two_costs(graph: &Graph<'_, f64>, draw: &Draw) -> GraphResult<()> {
    let t = graph.param("t", 0.3)?;
    let x = draw(graph, "x", t)?;
    graph.cost("early", (x * 3.0 - 1.0).square() * t)?;
    let y = draw(graph, "y", t * x - 0.3)?;
    graph.cost("late", (y - x - 0.4).square() * 2.0)
}

fn unequal_plates(graph: &Graph<'_, f64>, draw: &Draw) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.8])?;
    let features = graph.data("data", [0.5, -1.5])?;
    let x = draw(graph, "x", t.index(0, 0) * features)?;
    let y = draw(graph, "y", t.index(0, 1))?;
    graph.cost("cost", (x + y * features - 0.3).square())
}

fn joint_over_data(graph: &Graph<'_, f64>, draw: &Draw) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.8])?;
    let features = graph.data("data", [0.5, -1.5])?;
    let x = draw(graph, "x", t.index(0, 0) * features)?;
    let sum = (x * features).sum_over(features.plates()[0]);
    graph.cost("cost", (sum - 0.7).square() * t.index(0, 1))
}

fn joint_over_samples(graph: &Graph<'_, f64>, draw: &Draw) -> GraphResult<()> {
    let t = graph.param("t", 0.3)?;
    let x = draw(graph, "x", t)?;
    let log_weight = x * 1.3 - 0.4 - t * x;
    // The states of an enumerated node are no samples: each of them has a cost of its own.
    let bound = match graph.plate_named("x").filter(|plate| graph.tape().plate_kind(*plate) != PlateKind::Enumerated) {
        Some(plate) => log_weight.log_mean_exp_over(plate),
        None => log_weight,
    };
    graph.cost("bound", -bound)
}
