//! Small models of bits for tests, in which credit could be assigned wrongly.

use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, OneHotCategorical};
use stochgrad_graph::{DynMethod, GradientMethod, Graph, GraphResult, Method, Seed};
use stochgrad_tape::{Id, Tape, Var};
use stochgrad_tensor::Tensor;

/// A gradient method for bits, chosen at run time.
pub(crate) type BitMethod = DynMethod<f64, Bernoulli<Id>>;

/// The derivatives of orders 0 to 3 of the expected cost of [`chain`].
pub(crate) const CHAIN: [f64; 4] = [1.3268929986, -0.1220900823, 0.3695589933, 0.9497177361];

fn bit<'t>(graph: &Graph<'t, f64>, name: &str, logit: Var<'t, f64>, method: &BitMethod) -> GraphResult<Var<'t, f64>> {
    graph.sample(name, &Bernoulli::from_logits(logit), method)
}

/// Two nodes, the second of which depends on the first, and a parameter that also enters the cost directly.
pub(crate) fn chain(graph: &Graph<'_, f64>, first: &BitMethod, second: &BitMethod) -> GraphResult<()> {
    let t = graph.param("t", 0.3)?;
    let x1 = bit(graph, "x1", t, first)?;
    let x2 = bit(graph, "x2", t * x1 + 0.25 + t * (1.0 / 3.0), second)?;
    graph.cost("cost", (x1 - x2 * 2.0 + 1.0).square() + t * x1 * x2)
}

/// Two nodes with one parent, one cost for each and one for both.
pub(crate) fn fork(graph: &Graph<'_, f64>, root: &BitMethod, left: &BitMethod, right: &BitMethod) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.4])?;
    let x = bit(graph, "root", t.index(0, 0), root)?;
    let y = bit(graph, "left", t.index(0, 0) * x - 0.2, left)?;
    let z = bit(graph, "right", t.index(0, 1) + x * 0.7, right)?;
    graph.cost("of left", (y * 2.0 - 0.7).square())?;
    graph.cost("of right", z * t.sum() + (z - 1.4).square())?;
    graph.cost("of both", (y + z * 3.0 - 1.0).square() * 0.5)
}

/// A chain of three nodes in which the last one also depends on the first.
pub(crate) fn skip_edge(graph: &Graph<'_, f64>, methods: [&BitMethod; 3]) -> GraphResult<()> {
    let t = graph.param("t", 0.4)?;
    let x1 = bit(graph, "x1", t, methods[0])?;
    let x2 = bit(graph, "x2", t * 2.0 * x1 - 0.5, methods[1])?;
    let x3 = bit(graph, "x3", x1 * 0.8 - t * x2 + 0.1, methods[2])?;
    graph.cost("cost", (x1 + x3 * 2.0 - 0.6).square() + x2 * x3)
}

/// A cost upstream of a node, and one downstream of it.
pub(crate) fn two_costs(graph: &Graph<'_, f64>, first: &BitMethod, second: &BitMethod) -> GraphResult<()> {
    let t = graph.param("t", 0.3)?;
    let s = graph.param("s", [-0.6, 0.2])?;
    let x1 = bit(graph, "x1", t, first)?;
    graph.cost("early", (x1 * 3.0 - 1.0).square() * t)?;
    let x2 = bit(graph, "x2", s + t * x1, second)?;
    graph.cost("late", (x2.sum() - x1 - 0.4).square() * 2.0)
}

/// Two independent nodes and a cost of both, on data.
pub(crate) fn on_data(graph: &Graph<'_, f64>, first: &BitMethod, second: &BitMethod) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.8])?;
    let features = graph.data("data", [0.5, -1.5])?;
    let x1 = bit(graph, "x1", t.index(0, 0) * features, first)?;
    let x2 = bit(graph, "x2", t.index(0, 1), second)?;
    graph.cost("cost", (x1 + x2 * features - 0.3).square())?;
    graph.cost("own", x1 * 1.5 * t.index(0, 1))
}

/// The importance-weighted bound: a joint cost of all members of the first node's plate, and a cost of each of them.
pub(crate) fn importance_weighted(graph: &Graph<'_, f64>, method: &BitMethod) -> GraphResult<()> {
    let t = graph.param("t", 0.3)?;
    let x = bit(graph, "x", t, method)?;
    let log_weight = x * 1.3 - 0.4 - t * x;
    let bound = match graph.plate_named("x") {
        Some(plate) => log_weight.log_mean_exp_over(plate),
        None => log_weight,
    };
    graph.cost("bound", -bound)?;
    graph.cost("each", (x - 0.3).square())
}

/// Three bits with eight joint states and a known optimum, after Liu et al. (2019) and Kool et al. (2020).
pub(crate) fn three_bits<M>(graph: &Graph<'_, f64>, phi: f64, method: &M) -> GraphResult<()>
where
    M: GradientMethod<f64, Bernoulli<Id>> + Clone + 'static,
{
    let phi = graph.param("phi", phi)?;
    let x = graph.sample("x", &Bernoulli::from_logits(phi.broadcast_to([3])), method)?;
    graph.cost("cost", (x - graph.constant([0.6, 0.51, 0.48])).square().sum())
}

/// Checks the first derivative and the value on every graph, with the methods in this order.
pub(crate) fn assert_unbiased(methods: [&BitMethod; 3]) {
    assert_exact(methods, 1, true);
}

/// Checks the derivatives up to an order on every graph, with the methods in this order. The graph on data is optional,
/// since it has many outcomes.
pub(crate) fn assert_exact(methods: [&BitMethod; 3], top: usize, data: bool) {
    let [a, b, c] = methods;
    let name = names(&methods);
    let verify = |shape: &str, model: &dyn Fn(&Graph<'_, f64>) -> GraphResult<()>| {
        let report = Oracle::new().nodes(2).verify(model, 0..=top, 1e-9);
        report.unwrap_or_else(|error| panic!("{name}, {shape}: {error}"));
    };
    verify("chain", &|graph: &Graph<'_, f64>| chain(graph, a, b));
    verify("fork", &|graph: &Graph<'_, f64>| fork(graph, a, b, c));
    verify("skip edge", &|graph: &Graph<'_, f64>| skip_edge(graph, methods));
    verify("two costs", &|graph: &Graph<'_, f64>| two_costs(graph, a, b));
    if data {
        verify("data", &|graph: &Graph<'_, f64>| on_data(graph, a, b));
    }
}

/// The probabilities of the eight categories that [`variance_on_categories`] draws from, the number of ones in each of
/// them, and their costs.
fn categories(phi: f64) -> [(f64, f64, f64); 8] {
    let p = 1.0 / (1.0 + (-phi).exp());
    std::array::from_fn(|state| {
        let ones = f64::from((state as u32).count_ones());
        let bit = |i: usize| (state >> i & 1) as f64;
        let cost = [0.6, 0.51, 0.48].iter().enumerate().map(|(i, t)| (bit(i) - t).powi(2)).sum();
        (p.powf(ones) * (1.0 - p).powf(3.0 - ones), ones, cost)
    })
}

/// The variance of the gradient with respect to one parameter, of a cost on eight categories (Liu et al. 2019; Kool et
/// al. 2020): the states of three bits with the logit `phi`.
pub(crate) fn variance_on_categories<M>(phi: f64, method: &M) -> f64
where
    M: GradientMethod<f64, OneHotCategorical<Id>> + Clone + 'static,
{
    let states = categories(phi);
    let model = |graph: &Graph<'_, f64>| {
        let phi = graph.param("phi", phi)?;
        let logits = phi * graph.constant(states.map(|(_, ones, _)| ones));
        let x = graph.sample("x", &OneHotCategorical::from_logits(logits), method)?;
        graph.cost("cost", (x * graph.constant(states.map(|(.., cost)| cost))).sum())
    };
    Oracle::new().gradient(model).unwrap().variance("phi").unwrap().item().unwrap()
}

/// The expectations of the squared score with respect to that parameter, with and without the cost as a factor.
pub(crate) fn squared_score_on_categories(phi: f64) -> (f64, f64) {
    let p = 1.0 / (1.0 + (-phi).exp());
    let square = |ones: f64| (ones - 3.0 * p).powi(2);
    let states = categories(phi);
    let below = states.iter().map(|(chance, ones, _)| chance * square(*ones)).sum();
    (states.iter().map(|(chance, ones, cost)| chance * square(*ones) * cost).sum(), below)
}

/// The expected cost on the eight categories.
pub(crate) fn expected_cost_on_categories(phi: f64) -> f64 {
    categories(phi).iter().map(|(chance, _, cost)| chance * cost).sum()
}

/// Checks the variance of the gradient of (b − target)² with respect to the logit of one bit that is 1 with probability
/// `theta`.
pub(crate) fn assert_variance(method: &BitMethod, target: f64, theta: f64, expected: f64) {
    let mean = theta * (1.0 - theta) * (1.0 - 2.0 * target);
    let found = moments(method, target, theta);
    let name = method.name();
    assert!((found.0 - mean).abs() < 1e-12, "{name}: {} where {mean} is right", found.0);
    assert!((found.1 - expected).abs() < 1e-5 * expected + 1e-18, "{name}: {} where {expected} is known", found.1);
}

/// As [`assert_variance`], for a biased method whose mean is known as well.
pub(crate) fn assert_moments(method: &BitMethod, target: f64, theta: f64, mean: f64, variance: f64, tolerance: f64) {
    let found = moments(method, target, theta);
    let name = method.name();
    assert!((found.0 - mean).abs() < tolerance * mean.abs(), "{name}: {} where {mean} is known", found.0);
    assert!((found.1 - variance).abs() < tolerance * variance, "{name}: {} where {variance} is known", found.1);
}

/// The mean and the variance of the gradient of (b − target)² with respect to the logit of one bit that is 1 with
/// probability `theta`.
pub(crate) fn moments(method: &BitMethod, target: f64, theta: f64) -> (f64, f64) {
    let model = |graph: &Graph<'_, f64>| {
        let logit = graph.param("logit", (theta / (1.0 - theta)).ln())?;
        graph.cost("cost", (bit(graph, "b", logit, method)? - target).square())
    };
    let moments = Oracle::new().nodes(48).gradient(model).unwrap();
    (moments.mean("logit").unwrap().as_slice()[0], moments.variance("logit").unwrap().as_slice()[0])
}

/// Checks that a compiled graph with data, one node and two costs gives the same values as one that is recorded each
/// time.
pub(crate) fn assert_compiled(method: &BitMethod) {
    let record = |graph: &Graph<'_, f64>| {
        let t = graph.param("t", [0.3, -0.8])?;
        let features = graph.data("data", [0.5, -1.5, 0.2])?;
        let x = bit(graph, "x", t * features, method)?;
        graph.cost("one", (x.sum() * features - 0.3).square())?;
        graph.cost("two", (x * t).sum())
    };
    let inputs = [("t", Tensor::from([0.3, -0.8])), ("data", Tensor::from([0.5, -1.5, 0.2]))];
    assert_model_compiled(&method.name(), &inputs, record);
}

/// A compiled graph gives the gradients and costs of new recordings, bit by bit. `inputs` are the parameters and data of
/// the model.
pub(crate) fn assert_model_compiled<M>(what: &str, inputs: &[(&str, Tensor<f64>)], model: M)
where
    M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
{
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(3).step(0));
    model(&graph).unwrap();
    let mut compiled = graph.compile().unwrap_or_else(|error| panic!("{what}: {error}"));
    for step in 0..6 {
        let tape = Tape::<f64>::new();
        let fresh = Graph::new(&tape, Seed::new(3).step(step));
        model(&fresh).unwrap();
        let fresh = fresh.backward().unwrap();
        for (name, value) in inputs {
            compiled.set(name, value).unwrap();
        }
        let again = compiled.run(Seed::new(3).step(step)).unwrap();
        for (name, gradient) in fresh.iter() {
            assert_eq!(again.get(name).unwrap().as_slice(), gradient.as_slice(), "{what}, step {step}");
        }
        assert_eq!(again.costs(), fresh.costs());
        fresh.advance();
    }
}

/// Names for messages of failed tests.
pub(crate) fn names(methods: &[&BitMethod]) -> String {
    methods.iter().map(|method| method.name()).collect::<Vec<_>>().join(" / ")
}
