//! Small models of categories for tests: the graphs of [`models`](crate::models), and nodes with several variables.

use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{Categorical, OneHotCategorical};
use stochgrad_graph::{DynMethod, GradientMethod, Graph, GraphResult, Method, Seed};
use stochgrad_tape::{Id, Tape, Var};
use stochgrad_tensor::Tensor;

/// A gradient method for one-hot vectors, chosen at run time.
pub(crate) type CategoryMethod = DynMethod<f64, OneHotCategorical<Id>>;

pub(crate) type Model = for<'a, 't> fn(&'a Graph<'t, f64>, &'a CategoryMethod) -> GraphResult<()>;

/// All graphs, by name.
pub(crate) const MODELS: [(&str, Model); 6] = [
    ("chain", chain),
    ("fork", fork),
    ("skip edge and two costs", skip_edge),
    ("variables", variables),
    ("data", data),
    ("joint over data", joint_over_data),
];

/// A number that depends on one of three categories.
fn number<'t>(
    graph: &Graph<'t, f64>,
    name: &str,
    logit: Var<'t, f64>,
    method: &CategoryMethod,
) -> GraphResult<Var<'t, f64>> {
    let logits = Var::stack(&[logit, 0.3 - logit, logit * 0.5])?;
    let x = graph.sample(name, &OneHotCategorical::from_logits(logits), method)?;
    Ok((x * graph.constant([0.2, -1.0, 1.3])).sum())
}

fn chain(graph: &Graph<'_, f64>, method: &CategoryMethod) -> GraphResult<()> {
    let t = graph.param("t", 0.3)?;
    let x = number(graph, "x", t, method)?;
    let y = number(graph, "y", t * x + 0.25, method)?;
    graph.cost("cost", (x - y * 2.0 + 1.0).square() + t * x * y)
}

fn fork(graph: &Graph<'_, f64>, method: &CategoryMethod) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.4])?;
    let x = number(graph, "x", t.index(0, 0), method)?;
    let score: CategoryMethod = std::sync::Arc::new(crate::ScoreFunction::new());
    let y = number(graph, "y", t.index(0, 0) * x - 0.2, method)?;
    let z = number(graph, "z", t.index(0, 1) + x * 0.7, &score)?;
    graph.cost("of one", (y * 2.0 - 0.7).square())?;
    graph.cost("of both", (y + z * 3.0 - 1.0).square() * 0.5)
}

fn skip_edge(graph: &Graph<'_, f64>, method: &CategoryMethod) -> GraphResult<()> {
    let t = graph.param("t", 0.4)?;
    let score: CategoryMethod = std::sync::Arc::new(crate::ScoreFunction::new());
    let x = number(graph, "x", t, method)?;
    graph.cost("early", (x * 3.0 - 1.0).square() * t)?;
    let y = number(graph, "y", t * 2.0 * x - 0.5, &score)?;
    let z = number(graph, "z", x * 0.8 - t * y + 0.1, method)?;
    graph.cost("late", (x + z * 2.0 - 0.6).square() + y * z)
}

/// Several variables in one node, with a cost that depends on them jointly.
fn variables(graph: &Graph<'_, f64>, method: &CategoryMethod) -> GraphResult<()> {
    let logits = graph.param("logits", [[0.2, -0.4, 1.0], [0.9, 0.3, -2.0]])?;
    let x = graph.sample("x", &OneHotCategorical::from_logits(logits), method)?;
    let y = (x * graph.constant([[1.0, -2.0, 0.5], [0.3, 1.0, 1.5]])).sum_axis(-1);
    graph.cost("cost", (y.index(0, 0) - y.index(0, 1) * 0.5).exp() * logits.index(0, 1).index(0, 0))
}

fn data(graph: &Graph<'_, f64>, method: &CategoryMethod) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.8])?;
    let features = graph.data("data", [0.5, -1.5])?;
    let x = number(graph, "x", t.index(0, 0) * features, method)?;
    let y = number(graph, "y", t.index(0, 1), method)?;
    graph.cost("cost", (x + y * features - 0.3).square())?;
    graph.cost("own", x * 1.5 * t.index(0, 1))
}

fn joint_over_data(graph: &Graph<'_, f64>, method: &CategoryMethod) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.8])?;
    let features = graph.data("data", [0.5, -1.5])?;
    let x = number(graph, "x", t.index(0, 0) * features, method)?;
    let sum = (x * features).sum_over(features.plates()[0]);
    graph.cost("cost", (sum - 0.7).square() * t.index(0, 1))
}

/// One of four categories as a number, given by probabilities of which one is 0.
fn numbers<M>(graph: &Graph<'_, f64>, method: &M) -> GraphResult<()>
where
    M: GradientMethod<f64, Categorical<Id>> + Clone + 'static,
{
    let logits = graph.param("logits", [0.3, f64::NEG_INFINITY, -0.4, 0.9])?;
    let distribution = Categorical::from_probabilities(logits.softmax(-1));
    let x = graph.sample("x", &distribution, method)?;
    graph.cost("cost", (x - 0.7).square() + x.sin())
}

fn erased<M: GradientMethod<f64, OneHotCategorical<Id>> + Clone + 'static>(method: &M) -> CategoryMethod {
    std::sync::Arc::new(method.clone())
}

/// Checks the first derivative and the value over all outcomes, on every graph.
pub(crate) fn assert_unbiased<M>(method: &M)
where
    M: GradientMethod<f64, OneHotCategorical<Id>> + GradientMethod<f64, Categorical<Id>> + Clone + 'static,
{
    let erased = erased(method);
    for (shape, model) in MODELS {
        let result = Oracle::new().verify(|graph: &Graph<'_, f64>| model(graph, &erased), 0..=1, 1e-9);
        result.unwrap_or_else(|error| panic!("{}, {shape}: {error}", method.name()));
    }
    let result = Oracle::new().verify(|graph: &Graph<'_, f64>| numbers(graph, method), 0..=1, 1e-9);
    result.unwrap_or_else(|error| panic!("{}, numbers: {error}", method.name()));
}

/// As [`assert_unbiased`], with this number of samples.
pub(crate) fn assert_unbiased_by_samples<M>(method: &M, runs: usize)
where
    M: GradientMethod<f64, OneHotCategorical<Id>> + GradientMethod<f64, Categorical<Id>> + Clone + 'static,
{
    let erased = erased(method);
    let test = StatisticalTest::new().runs(runs);
    for (shape, model) in MODELS {
        let model = |graph: &Graph<'_, f64>| model(graph, &erased);
        let result = Oracle::new().exact_gradient(model).and_then(|exact| test.check(model, &exact));
        result.unwrap_or_else(|error| panic!("{}, {shape}: {error}", method.name()));
    }
    let model = |graph: &Graph<'_, f64>| numbers(graph, method);
    let result = Oracle::new().exact_gradient(model).and_then(|exact| test.check(model, &exact));
    result.unwrap_or_else(|error| panic!("{}, numbers: {error}", method.name()));
}

/// The variances of the gradient of a cost of two variables with four categories each, element by element.
pub(crate) fn variances(method: &CategoryMethod) -> Vec<f64> {
    let model = |graph: &Graph<'_, f64>| {
        let logits = graph.param("logits", [[0.2, -0.4, 1.0, 0.1], [0.9, 0.3, -2.0, -0.1]])?;
        let x = graph.sample("x", &OneHotCategorical::from_logits(logits), method)?;
        let y = (x * graph.constant([[1.0, -2.0, 0.5, 0.0], [0.3, 1.0, 1.5, -0.7]])).sum_axis(-1);
        graph.cost("cost", (y.index(0, 0) - y.index(0, 1) * 0.5).square())
    };
    Oracle::new().gradient(model).unwrap().variance("logits").unwrap().to_vec()
}

/// Checks that extreme and impossible categories give finite gradients, in both precisions.
pub(crate) fn assert_finite<M>(method: &M)
where
    M: GradientMethod<f64, OneHotCategorical<Id>> + GradientMethod<f32, OneHotCategorical<Id>> + Clone + 'static,
{
    let no = f64::NEG_INFINITY;
    for logits in [[no, 0.0, 50.0, no], [-800.0, 800.0, 0.0, 1.0], [no, no, no, 0.0], [1e-3, 0.0, -60.0, -90.0]] {
        for step in 0..20 {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1).step(step));
            let parameter = graph.param("logits", logits).unwrap();
            let x = graph.sample("x", &OneHotCategorical::from_logits(parameter), method).unwrap();
            graph.cost("cost", (x * graph.constant([1.0, 3.0, -2.0, 0.4])).sum().square()).unwrap();
            let gradients = graph.backward().unwrap();
            assert!(gradients.get("logits").unwrap().all_finite(), "{} at {logits:?}", Method::name(method));
            let tape = Tape::<f32>::new();
            let graph = Graph::new(&tape, Seed::new(1).step(step));
            let parameter = graph.param("logits", Tensor::from_fn([4], |i| logits[i] as f32)).unwrap();
            let x = graph.sample("x", &OneHotCategorical::from_logits(parameter), method).unwrap();
            graph.cost("cost", x.index(-1, 1) * 3.0 - x.index(-1, 0)).unwrap();
            let gradients = graph.backward().unwrap();
            assert!(gradients.get("logits").unwrap().all_finite(), "{} at {logits:?}", Method::name(method));
        }
    }
}
