//! Small example graphs for tests of gradient methods, each with a structure in which credit can be assigned wrongly.
//!
//! Every function records one model on a graph. The closure that it is given, a [`Draw`], records the random nodes,
//! so that the same model runs with any distribution and any gradient method. [`bits`] makes such a closure for
//! Bernoulli nodes, for which the exact answers are known:
//!
//! | model | structure | exact answer with bits |
//! |---|---|---|
//! | [`chain`] | a node, and a second one below it | [`CHAIN_OF_BITS`] |
//! | [`fork`] | two nodes below one parent | [`FORK_OF_BITS`] |
//! | [`skip_edge`] | a chain of three, the last node also below the first | [`SKIP_EDGE_OF_BITS`] |
//! | [`two_costs`] | a cost above a node, and one below it | [`TWO_COSTS_OF_BITS`] |
//! | [`unequal_plates`] | a node for each row of data, and a single one | |
//! | [`joint_over_data`] | a cost of the rows of data together | |
//! | [`joint_over_samples`] | a cost of the samples of a node together | |
//!
//! [`ALL`] lists them with their names. The [`Oracle`](crate::Oracle) finds the exact answer for other distributions.
//!
//! ```
//! use stochgrad_check::{Oracle, models};
//! # use stochgrad_distributions::{Distribution, Family};
//! # use stochgrad_graph::{GradientMethod, Graph, GraphResult, Method, Order, Path, Profile};
//! # use stochgrad_graph::{SampleContext, SamplePlate, SampleSet};
//! # use stochgrad_tape::Var;
//! # #[derive(Clone)]
//! # struct Score;
//! # impl Method for Score {
//! #     fn name(&self) -> String { "score".into() }
//! #     fn profile(&self) -> Profile { Profile::unbiased(Order::Any) }
//! # }
//! # impl<D: Family<f64>> GradientMethod<f64, D> for Score {
//! #     fn sample<'t>(&self, context: &SampleContext<'_, 't, f64>, d: &D::On<'t>) -> GraphResult<SampleSet<'t, f64>> {
//! #         context.independent(d, SamplePlate::Single)
//! #     }
//! #     fn gradient_function<'t>(&self, d: &D::On<'t>, x: Var<'t, f64>, _: &Path) -> Option<Var<'t, f64>> {
//! #         Some(d.log_prob(x))
//! #     }
//! # }
//!
//! // `Score` is the gradient method under test.
//! for (name, model) in models::ALL {
//!     let report = Oracle::new().verify(|graph: &Graph<'_, f64>| model(graph, &models::bits(|_| Score)), 0..=2, 1e-9)?;
//!     println!("{name}: {report}");
//! }
//! # Ok::<(), stochgrad_check::CheckError>(())
//! ```

use stochgrad_distributions::Bernoulli;
use stochgrad_graph::{GradientMethod, Graph, GraphResult};
use stochgrad_tape::{Id, PlateKind, Var};

/// Records a random node with this name and this scalar parameter, and returns a scalar made of its sample.
pub type Draw<'a> = dyn for<'t> Fn(&Graph<'t, f64>, &str, Var<'t, f64>) -> GraphResult<Var<'t, f64>> + 'a;

/// A model: it records parameters, nodes and costs on a graph.
pub type Model = for<'t, 'a, 'd> fn(&Graph<'t, f64>, &'a Draw<'d>) -> GraphResult<()>;

/// The name of [`joint_over_samples`], whose expected cost depends on the number of samples.
pub const JOINT_OVER_SAMPLES: &str = "joint over samples";

/// All models by name.
pub const ALL: [(&str, Model); 7] = [
    ("chain", chain),
    ("fork", fork),
    ("skip edge", skip_edge),
    ("two costs", two_costs),
    ("unequal plates", unequal_plates),
    ("joint over data", joint_over_data),
    (JOINT_OVER_SAMPLES, joint_over_samples),
];

/// The exact expectation of the total cost of a model, and its gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exact {
    /// The expected total cost.
    pub cost: f64,
    /// Its gradient with respect to the parameter `t`.
    pub gradient: &'static [f64],
}

/// The expected cost of [`chain`] with bits, and its derivatives with respect to `t` of the orders 1 to 3.
pub const CHAIN_OF_BITS: [f64; 4] = [1.3268929986, -0.1220900823, 0.3695589933, 0.9497177361];

/// The exact answer for [`fork`] with bits.
pub const FORK_OF_BITS: Exact = Exact { cost: 2.836692379285, gradient: &[0.512108468524, 0.723253498895] };

/// The exact answer for [`skip_edge`] with bits.
pub const SKIP_EDGE_OF_BITS: Exact = Exact { cost: 3.044939550759, gradient: &[0.107469031347] };

/// The exact answer for [`two_costs`] with bits.
pub const TWO_COSTS_OF_BITS: Exact = Exact { cost: 2.243434463991, gradient: &[2.824754301322] };

/// Bernoulli nodes whose parameter is the logit. `method` chooses the gradient method by the name of the node.
pub fn bits<M>(
    method: impl Fn(&str) -> M,
) -> impl for<'t> Fn(&Graph<'t, f64>, &str, Var<'t, f64>) -> GraphResult<Var<'t, f64>>
where
    M: GradientMethod<f64, Bernoulli<Id>> + Clone + 'static,
{
    move |graph, name, logit| graph.sample(name, &Bernoulli::from_logits(logit), &method(name))
}

/// Node `y` below node `x`, with a cost of both. The parameter `t` reaches both nodes, and the cost directly.
///
/// # Errors
/// Those of the graph and of the draws.
pub fn chain(graph: &Graph<'_, f64>, draw: &Draw<'_>) -> GraphResult<()> {
    let t = graph.param("t", 0.3)?;
    let x = draw(graph, "x", t)?;
    let y = draw(graph, "y", t * x + 0.25 + t / 3.0)?;
    graph.cost("cost", (x - y * 2.0 + 1.0).square() + t * x * y)
}

/// Nodes `y` and `z` below node `x`, with a cost of `y` and a cost of both. The second element of the parameter `t`
/// reaches `z` only.
///
/// # Errors
/// Those of the graph and of the draws.
pub fn fork(graph: &Graph<'_, f64>, draw: &Draw<'_>) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.4])?;
    let x = draw(graph, "x", t.index(0, 0))?;
    let y = draw(graph, "y", t.index(0, 0) * x - 0.2)?;
    let z = draw(graph, "z", t.index(0, 1) + x * 0.7)?;
    graph.cost("of one", (y * 2.0 - 0.7).square())?;
    graph.cost("of both", (y + z * 3.0 - 1.0).square() * 0.5)
}

/// Node `y` below `x`, and node `z` below both.
///
/// # Errors
/// Those of the graph and of the draws.
pub fn skip_edge(graph: &Graph<'_, f64>, draw: &Draw<'_>) -> GraphResult<()> {
    let t = graph.param("t", 0.4)?;
    let x = draw(graph, "x", t)?;
    let y = draw(graph, "y", t * 2.0 * x - 0.5)?;
    let z = draw(graph, "z", x * 0.8 - t * y + 0.1)?;
    graph.cost("cost", (x + z * 2.0 - 0.6).square() + y * z)
}

/// Node `y` below node `x`, with a cost of `x` that is recorded before `y`, and a later cost of both.
///
/// # Errors
/// Those of the graph and of the draws.
pub fn two_costs(graph: &Graph<'_, f64>, draw: &Draw<'_>) -> GraphResult<()> {
    let t = graph.param("t", 0.3)?;
    let x = draw(graph, "x", t)?;
    graph.cost("early", (x * 3.0 - 1.0).square() * t)?;
    let y = draw(graph, "y", t * x - 0.3)?;
    graph.cost("late", (y - x - 0.4).square() * 2.0)
}

/// Node `x` for each row of data and a single node `y`, with a cost of both for each row.
///
/// # Errors
/// Those of the graph and of the draws.
pub fn unequal_plates(graph: &Graph<'_, f64>, draw: &Draw<'_>) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.8])?;
    let features = graph.data("data", [0.5, -1.5])?;
    let x = draw(graph, "x", t.index(0, 0) * features)?;
    let y = draw(graph, "y", t.index(0, 1))?;
    graph.cost("cost", (x + y * features - 0.3).square())
}

/// Node `x` for each row of data, with a cost that is a function of the sum over the rows.
///
/// # Errors
/// Those of the graph and of the draws.
pub fn joint_over_data(graph: &Graph<'_, f64>, draw: &Draw<'_>) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.8])?;
    let features = graph.data("data", [0.5, -1.5])?;
    let x = draw(graph, "x", t.index(0, 0) * features)?;
    let sum = (x * features).sum_over(features.plates()[0]);
    graph.cost("cost", (sum - 0.7).square() * t.index(0, 1))
}

/// Node `x` with a bound of the kind of importance weighting, a function of all samples of the node together.
///
/// The states of an enumerated node are no samples, so there each of them has a cost of its own.
///
/// # Errors
/// Those of the graph and of the draws.
pub fn joint_over_samples(graph: &Graph<'_, f64>, draw: &Draw<'_>) -> GraphResult<()> {
    let t = graph.param("t", 0.3)?;
    let x = draw(graph, "x", t)?;
    let log_weight = x * 1.3 - 0.4 - t * x;
    let bound = match graph.plate_named("x").filter(|plate| graph.tape().plate_kind(*plate) != PlateKind::Enumerated) {
        Some(plate) => log_weight.log_mean_exp_over(plate),
        None => log_weight,
    };
    graph.cost("bound", -bound)
}
