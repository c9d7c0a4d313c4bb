//! REBAR, RELAX and LAX with other stochastic nodes downstream: the derivatives of orders 0 to 3 in chains, forks, skip
//! edges and colliders.

use std::sync::Arc;
use stochgrad_check::models::{self, CHAIN_OF_BITS};
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{Bernoulli, Gamma, Id, Normal, OneHotCategorical};
use stochgrad_estimators::{
    Enumerate, Lax, LeaveOneOut, MeasureValued, Pathwise, Rebar, Relax, ScoreFunction, StraightThrough, SumAndSample,
    WithoutReplacement,
};
use stochgrad_graph::{DynMethod, GradientMethod, Graph, GraphResult, Method, Order, Seed, Surrogate};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

/// A gradient method for bits, chosen at run time.
type BitMethod = DynMethod<f64, Bernoulli<Id>>;

/// A method for bits and for one-hot vectors.
struct Both {
    bits: BitMethod,
    categories: DynMethod<f64, OneHotCategorical<Id>>,
}

fn both<M>(method: M) -> Both
where
    M: GradientMethod<f64, Bernoulli<Id>> + GradientMethod<f64, OneHotCategorical<Id>> + Clone + 'static,
{
    Both { bits: Arc::new(method.clone()), categories: Arc::new(method) }
}

fn bit<'t>(graph: &Graph<'t, f64>, name: &str, logit: Var<'t, f64>, method: &Both) -> GraphResult<Var<'t, f64>> {
    graph.sample(name, &Bernoulli::from_logits(logit), &method.bits)
}

/// A category as a number.
fn category<'t>(
    graph: &Graph<'t, f64>,
    name: &str,
    logits: [Var<'t, f64>; 3],
    method: &Both,
) -> GraphResult<Var<'t, f64>> {
    let distribution = OneHotCategorical::from_logits(Var::stack(&logits)?);
    Ok((graph.sample(name, &distribution, &method.categories)? * graph.constant([0.0, 1.0, 2.0])).sum())
}

/// Records nodes and costs for two parameters.
type Model = for<'t> fn(&Graph<'t, f64>, [Var<'t, f64>; 2], &[&Both]) -> GraphResult<()>;

fn skip_edge<'t>(graph: &Graph<'t, f64>, [t, u]: [Var<'t, f64>; 2], methods: &[&Both]) -> GraphResult<()> {
    let x = bit(graph, "x", t, methods[0])?;
    let y = bit(graph, "y", u * x - t * 0.5, methods[1])?;
    let z = bit(graph, "z", t * y + u * x - 0.4, methods[2])?;
    graph.cost("cost", (x - y * 2.0 + z - 0.3).square() + t * y * z)
}

fn fork<'t>(graph: &Graph<'t, f64>, [t, u]: [Var<'t, f64>; 2], methods: &[&Both]) -> GraphResult<()> {
    let x = bit(graph, "x", u, methods[0])?;
    let y = bit(graph, "y", t * x + 0.2, methods[1])?;
    let z = bit(graph, "z", t - u * x, methods[2])?;
    let shifted = z + 0.5;
    graph.cost("of y", (y - 0.6).square() * 3.0 - u * y)?;
    graph.cost("of z", shifted * shifted.square())?;
    graph.cost("of all", x * y * z * 2.0)
}

fn collider<'t>(graph: &Graph<'t, f64>, [t, u]: [Var<'t, f64>; 2], methods: &[&Both]) -> GraphResult<()> {
    let x = bit(graph, "x", t, methods[0])?;
    let y = bit(graph, "y", u, methods[1])?;
    let z = bit(graph, "z", t * x - u * y + 0.1, methods[2])?;
    graph.cost("cost", (x + y - z * 2.0).square() + (x - y) * z * t * 0.5)
}

fn categories<'t>(graph: &Graph<'t, f64>, [t, u]: [Var<'t, f64>; 2], methods: &[&Both]) -> GraphResult<()> {
    let zero = graph.constant(0.0);
    let k = category(graph, "k", [zero, t, t * -0.5], methods[0])?;
    let j = category(graph, "j", [zero, u * k, t - k], methods[1])?;
    graph.cost("cost", (k - j).square() + t * k * j + j * j.square() * 0.25)
}

fn category_and_bit<'t>(graph: &Graph<'t, f64>, [t, u]: [Var<'t, f64>; 2], methods: &[&Both]) -> GraphResult<()> {
    let k = category(graph, "k", [u, graph.constant(0.0), -t], methods[0])?;
    let b = bit(graph, "b", t * k - u, methods[1])?;
    graph.cost("cost", (k - b * 1.5).square() * (u * b + 1.0))
}

/// A model with its exact derivatives, from sums over all outcomes.
struct Case {
    name: &'static str,
    model: Model,
    nodes: usize,
    at: [f64; 2],
    /// The expected cost, and its derivatives ∂t, ∂u, ∂tt, ∂tu, ∂uu and ∂ttt.
    exact: [f64; 7],
}

const CASES: [Case; 6] = [
    Case {
        name: "skip edge",
        model: skip_edge,
        nodes: 3,
        at: [0.3, -0.7],
        exact: [1.449828982, -0.4316234501, 0.1569483823, 0.4977124355, 0.1283334411, -0.09343955989, -0.1095156016],
    },
    Case {
        name: "skip edge at another point",
        model: skip_edge,
        nodes: 3,
        at: [-1.1, 0.4],
        exact: [2.478275983, -0.9581913968, -0.0831851215, 0.1119293356, -0.06685031549, -0.1417114797, 0.5922012548],
    },
    Case {
        name: "fork",
        model: fork,
        nodes: 3,
        at: [0.3, -0.7],
        exact: [3.600209649, 0.9459181504, -0.5509272687, -0.1830583096, 0.1280547115, -0.453217834, -0.415452587],
    },
    Case {
        name: "collider",
        model: collider,
        nodes: 3,
        at: [0.8, 0.5],
        exact: [1.431786598, -0.3013601394, 0.3914915056, -0.01955042828, -0.1050420922, 0.4132183031, 0.3254273655],
    },
    Case {
        name: "categories",
        model: categories,
        nodes: 2,
        at: [0.3, -0.7],
        exact: [2.460431443, 0.6198837295, -0.2583641794, 0.8263801905, 0.1760987798, -0.2549829285, 0.7454521581],
    },
    Case {
        name: "category and bit",
        model: category_and_bit,
        nodes: 2,
        at: [0.6, -0.2],
        exact: [0.7520980125, -0.3981098817, 0.68731853, 0.7861969229, -0.0447107733, -0.1978703748, -1.10816505],
    },
];

impl Case {
    fn record(&self, graph: &Graph<'_, f64>, methods: &[&Both]) -> GraphResult<()> {
        let parameters = [graph.param("t", self.at[0])?, graph.param("u", self.at[1])?];
        (self.model)(graph, parameters, methods)
    }

    /// The value of the surrogate and its derivatives, in the order of `exact`.
    fn derivatives(surrogate: &Surrogate<'_, f64>) -> Vec<f64> {
        let of = |t: f64, u: f64, order: usize| -> f64 {
            let along = [("t", Tensor::scalar(t)), ("u", Tensor::scalar(u))];
            surrogate.directional(&along, order).unwrap().item().unwrap()
        };
        let (tt, uu) = (of(1.0, 0.0, 2), of(0.0, 1.0, 2));
        let tu = (of(1.0, 1.0, 2) - tt - uu) / 2.0;
        vec![of(0.0, 0.0, 0), of(1.0, 0.0, 1), of(0.0, 1.0, 1), tt, tu, uu, of(1.0, 0.0, 3)]
    }
}

#[test]
fn the_models_have_the_known_derivatives() {
    for case in &CASES {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let method = both(Enumerate::new());
        case.record(&graph, &[&method; 3]).unwrap();
        let found = Case::derivatives(&graph.surrogate().unwrap());
        for (found, expected) in found.iter().zip(case.exact) {
            assert!((found - expected).abs() < 1e-8, "{}: {found}, expected {expected}", case.name);
        }
    }
}

/// The logistic noise of bits is integrated by quadrature, whose error is far below any bias. The Gumbel noise of
/// categories would need too many nodes.
#[test]
fn one_relaxed_node_is_exact_to_order_3_with_others_drawn_again() {
    let score = both(ScoreFunction::new());
    for case in &CASES[..4] {
        for position in 0..case.nodes {
            let method = both(Rebar::new().temperature(1.0).scale(0.8));
            let mut methods = vec![&score; case.nodes];
            methods[position] = &method;
            let model = |graph: &Graph<'_, f64>| case.record(graph, &methods);
            let result = Oracle::new().nodes(6).verify(model, 0..=3, 1e-4);
            result.unwrap_or_else(|error| panic!("{}, node {position}: {error}", case.name));
        }
    }
}

/// The derivatives of many runs, each within four standard errors of the exact ones.
fn assert_samples(case: &Case, methods: &[&Both], runs: u64) {
    let (mut sums, mut squares) = ([0.0; 7], [0.0; 7]);
    for seed in 0..runs {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(seed));
        case.record(&graph, methods).unwrap();
        for (at, found) in Case::derivatives(&graph.surrogate().unwrap()).into_iter().enumerate() {
            sums[at] += found;
            squares[at] += found * found;
        }
    }
    for (at, expected) in case.exact.into_iter().enumerate() {
        let mean = sums[at] / runs as f64;
        let error = ((squares[at] / runs as f64 - mean * mean) / runs as f64).sqrt();
        let names = methods.iter().map(|method| method.bits.name()).collect::<Vec<_>>().join(" / ");
        assert!(
            (mean - expected).abs() < 4.0 * error,
            "{names}, {}: {at} is {mean} ± {error}, expected {expected}",
            case.name
        );
    }
}

#[test]
fn several_relaxed_nodes_are_unbiased_to_order_3() {
    let rebar = both(Rebar::new().temperature(0.7));
    let relax = both(Relax::new().hidden(3).relaxed_cost().temperature(1.0));
    let score = both(ScoreFunction::new());
    for case in &CASES {
        assert_samples(case, &[&rebar, &rebar, &rebar][..case.nodes], 800);
        assert_samples(case, &[&relax, &score, &relax][..case.nodes], 800);
    }
}

/// A node with REBAR below another one is relaxed in the control variate of the first.
#[test]
fn a_chain_of_relaxed_nodes_is_exact_to_order_3() {
    let method = Rebar::new().temperature(1.0);
    let model = |graph: &Graph<'_, f64>| models::chain(graph, &models::bits(|_| method.clone()));
    Oracle::new().nodes(4).verify(model, 0..=3, 1e-3).unwrap();
    let moments = Oracle::new().nodes(6).gradient(model).unwrap();
    let found = moments.mean("t").unwrap().item().unwrap();
    assert!((found - CHAIN_OF_BITS[1]).abs() < 1e-6, "{found}");
}

/// Whatever the method of a node that is drawn again, its score is what the replay needs.
#[test]
fn nodes_downstream_may_have_any_method() {
    let method = both(Rebar::new().temperature(1.0));
    let verify = |case: &Case, second: &Both, third: &Both, top: usize| {
        let model = |graph: &Graph<'_, f64>| case.record(graph, &[&method, second, third]);
        let result = Oracle::new().nodes(4).verify(model, 0..=top, 1e-3);
        result.unwrap_or_else(|error| panic!("{}, {} / {}: {error}", case.name, second.bits.name(), third.bits.name()));
    };
    let enumerated = both(Enumerate::new());
    let several = both(ScoreFunction::new().samples(2).baseline(LeaveOneOut));
    for case in &CASES[..4] {
        verify(case, &enumerated, &enumerated, 3);
        verify(case, &both(MeasureValued::new()), &enumerated, 1);
        verify(case, &both(SumAndSample::new(1, 1)), &enumerated, 2);
        verify(case, &several, &enumerated, 2);
    }
}

#[test]
fn nodes_downstream_that_sample_another_distribution_are_refused() {
    let biased = both(WithoutReplacement::new(2).normalized());
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let method = both(Rebar::new());
    CASES[2].record(&graph, &[&method, &biased, &method]).unwrap();
    let error = graph.backward().unwrap_err().to_string();
    assert!(
        error.contains("\"y\"") && error.contains("drawn again") && error.contains("another distribution"),
        "{error}"
    );
}

/// The derivatives in a replay are those of the score, not those that another method sends through its values.
#[test]
fn a_biased_method_downstream_does_not_bias_the_node_above() {
    let case = &CASES[0];
    let methods = [both(Rebar::new().temperature(1.0)), both(StraightThrough::new(1.0)), both(Enumerate::new())];
    let model = |graph: &Graph<'_, f64>| {
        // Only the first node depends on the parameter.
        let t = graph.param("t", case.at[0])?;
        let others = [t, graph.constant(case.at[1])];
        let x = bit(graph, "x", others[0], &methods[0])?;
        let y = bit(graph, "y", others[1] * x - 0.15, &methods[1])?;
        let z = bit(graph, "z", y * 0.3 + others[1] * x, &methods[2])?;
        graph.cost("cost", (x - y * 2.0 + z - 0.3).square() + y * z)
    };
    let moments = Oracle::new().nodes(7).gradient(model).unwrap();
    let exact = Oracle::new().exact_gradient(model).unwrap()[0].1.item().unwrap();
    let found = moments.mean("t").unwrap().item().unwrap();
    assert!((found - exact).abs() < 1e-6, "{found}, expected {exact}");
}

#[test]
fn the_cost_as_control_variate_follows_bits_that_are_drawn_again() {
    let model = |graph: &Graph<'_, f64>| {
        let (m, s) = (graph.param("m", 0.3)?, graph.param("s", 0.5)?);
        let x = graph.sample("x", &Normal::new(m, s), &Lax::new().hidden(2).cost())?;
        let y = graph.sample("y", &Bernoulli::from_logits(x * 0.6 - m), &ScoreFunction::new())?;
        graph.cost("cost", (x - y * 2.0).square() * m + y)
    };
    Oracle::new().nodes(16).verify(model, 0..=3, 1e-6).unwrap();
}

/// The order of a replay is that of the nodes on its way.
#[test]
fn samples_downstream_limit_the_order() {
    fn order(model: impl for<'t> Fn(&Graph<'t, f64>, Var<'t, f64>) -> GraphResult<Var<'t, f64>>) -> Order {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let t = graph.param("t", 0.3).unwrap();
        let x = graph.sample("x", &Bernoulli::from_logits(t), &Rebar::new()).unwrap();
        let y = model(&graph, x).unwrap();
        graph.cost("cost", y).unwrap();
        graph.surrogate().unwrap().guarantee("t").unwrap().order
    }
    let pathwise = Pathwise::new();
    assert_eq!(order(|graph, x| graph.sample("y", &Normal::new(x, 1.0), &pathwise)), Order::Any);
    assert_eq!(order(|graph, x| graph.sample("y", &Gamma::new(x + 1.0, 1.0), &pathwise)), Order::Finite(2));
    assert_eq!(order(|graph, x| graph.sample("y", &Gamma::new(x + 1.0, 1.0), &ScoreFunction::new())), Order::Any);
    assert_eq!(order(|_, x| Ok((x - 0.5).abs())), Order::Finite(1));
}

#[test]
fn compiled_chains_have_the_bits_of_recorded_ones() {
    for method in
        [both(Rebar::new().learned(0.1)), both(Relax::new().hidden(3).relaxed_cost()), both(Rebar::new().samples(2))]
    {
        for case in &CASES {
            let record = |step: usize| {
                let tape = Tape::<f64>::new();
                let graph = Graph::new(&tape, Seed::new(3).step(step));
                case.record(&graph, &[&method; 3]).unwrap();
                graph.backward().unwrap()
            };
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(3));
            case.record(&graph, &[&method; 3]).unwrap();
            let mut compiled = graph.compile().unwrap();
            for step in 0..4 {
                let fresh = record(step);
                for (name, value) in ["t", "u"].into_iter().zip(case.at) {
                    compiled.set(name, &Tensor::scalar(value)).unwrap();
                }
                let again = compiled.run(Seed::new(3).step(step)).unwrap();
                for (name, gradient) in fresh.iter() {
                    assert_eq!(again.get(name).unwrap().as_slice(), gradient.as_slice(), "{}, {step}", case.name);
                }
                assert_eq!(again.costs(), fresh.costs());
                fresh.advance();
            }
        }
    }
}

/// The relaxed cost removes part of the variance in a chain, too.
#[test]
fn the_variance_in_a_chain_is_below_that_of_the_score_function() {
    let variance = |first: Both, second: Both| {
        let case = &CASES[5];
        let run = |seed: u64| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(seed));
            case.record(&graph, &[&first, &second]).unwrap();
            let gradients = graph.backward().unwrap();
            ["t", "u"].iter().flat_map(|name| gradients.get(name).unwrap().to_vec()).collect()
        };
        StatisticalTest::new().runs(2000).sample(run).unwrap().variance.iter().sum::<f64>()
    };
    let plain = variance(both(ScoreFunction::new()), both(ScoreFunction::new()));
    let relaxed = variance(both(Rebar::new()), both(Rebar::new()));
    println!("score function {plain}, REBAR {relaxed}");
    assert!(relaxed < plain, "score function {plain}, REBAR {relaxed}");
}
