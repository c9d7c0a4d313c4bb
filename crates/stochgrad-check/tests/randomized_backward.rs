//! Randomized backward passes: exact means and variances of the gradients, by enumeration of all masks and subsets.

use stochgrad_check::{CheckError, GradientMoments, Oracle};
use stochgrad_distributions::{Bernoulli, Normal};
use stochgrad_graph::{Graph, GraphError, GraphResult, Guarantee, Order, Seed};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

mod methods;

use methods::{Pathwise, Score};

type Model = for<'t> fn(&Graph<'t, f64>) -> GraphResult<()>;

fn moments(model: Model) -> GradientMoments {
    Oracle::new().gradient(model).unwrap()
}

/// Compares with values that have ten digits.
#[track_caller]
fn assert_moments(found: &GradientMoments, parameter: &str, mean: &[f64], variance: &[f64]) {
    let pairs = [(found.mean(parameter).unwrap(), mean), (found.variance(parameter).unwrap(), variance)];
    for (found, expected) in pairs {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.as_slice().iter().zip(expected) {
            assert!((found - expected).abs() < 2e-9 * (1.0 + expected.abs()), "{found}, not {expected}");
        }
    }
}

/// y = w₂ᵀ W₁ x with three hidden units.
fn units_a<'t>(graph: &Graph<'t, f64>, keep: impl Fn(Var<'t, f64>) -> GraphResult<Var<'t, f64>>) -> GraphResult<()> {
    let x = graph.param("x", [0.3, -0.7])?;
    let hidden = x.matmul(graph.constant([[1.0, 0.3, -1.2], [-0.5, 2.0, 0.4]]));
    graph.cost("y", (keep(hidden)? * graph.constant([0.5, -1.0, 2.0])).sum())
}

/// The same with four hidden units.
fn units_b<'t>(graph: &Graph<'t, f64>, keep: impl Fn(Var<'t, f64>) -> GraphResult<Var<'t, f64>>) -> GraphResult<()> {
    let x = graph.param("x", [0.3, -0.7])?;
    let hidden = x.matmul(graph.constant([[-0.7, 2.0, 0.4, 1.3], [1.1, 0.6, -0.9, 0.2]]));
    graph.cost("y", (keep(hidden)? * graph.constant([1.0, -0.4, 0.8, -1.5])).sum())
}

fn independent_units<'t>(graph: &Graph<'t, f64>, x: Var<'t, f64>, probability: f64) -> GraphResult<Var<'t, f64>> {
    let kept = graph.mask("units", probability, &[], x.shape())?;
    Ok(x.with_estimated_derivative(x * kept * (1.0 / probability)))
}

fn some_units<'t>(graph: &Graph<'t, f64>, x: Var<'t, f64>, count: usize) -> GraphResult<Var<'t, f64>> {
    Ok(x.map_keeping_units(graph.subset("units", count, x.shape()[0])?, |x| x))
}

#[test]
fn hidden_units_have_their_exact_variances() {
    let cases: [(Model, [f64; 2]); 3] = [
        (|graph| units_a(graph, |x| independent_units(graph, x, 0.4)), [9.15, 7.05375]),
        (|graph| units_a(graph, |x| some_units(graph, x, 1)), [13.46, 12.005]),
        (|graph| units_a(graph, |x| some_units(graph, x, 2)), [3.365, 3.00125]),
    ];
    for (model, variance) in cases {
        assert_moments(&moments(model), "x", &[-2.2, -1.45], &variance);
    }
    let cases: [(Model, [f64; 2]); 3] = [
        (|graph| units_b(graph, |x| independent_units(graph, x, 0.7)), [2.157814286, 0.804]),
        (|graph| units_b(graph, |x| some_units(graph, x, 1)), [10.3427, 7.4784]),
        (|graph| units_b(graph, |x| some_units(graph, x, 2)), [3.447566667, 2.4928]),
    ];
    for (model, variance) in cases {
        assert_moments(&moments(model), "x", &[-3.13, -0.16], &variance);
    }
}

/// The mean squared error of ŷ = h₁ − h₂ / 2 with h = U x, where `product` is x times the transpose of U.
fn batch<'t>(
    graph: &Graph<'t, f64>,
    [x, t, u]: [Tensor<f64>; 3],
    product: impl Fn(Var<'t, f64>, Var<'t, f64>) -> GraphResult<Var<'t, f64>>,
) -> GraphResult<()> {
    let [x, t] = [graph.data("batch", x)?, graph.data("batch", t)?];
    let hidden = product(x, graph.param("u", u)?.transpose())?;
    let error = (hidden * graph.constant([1.0, -0.5])).sum() - t;
    graph.cost("error", error.square() * 0.5)
}

fn batch_a<'t>(
    graph: &Graph<'t, f64>,
    product: impl Fn(Var<'t, f64>, Var<'t, f64>) -> GraphResult<Var<'t, f64>>,
) -> GraphResult<()> {
    let x = Tensor::from([[1.0, 2.0], [-0.5, 1.5], [0.7, -1.0], [0.0, 0.4]]);
    let data = [x, Tensor::from([1.0, 0.0, -0.5, 0.3]), Tensor::from([[0.2, -0.3], [0.5, 0.1]])];
    batch(graph, data, product)
}

fn batch_b<'t>(
    graph: &Graph<'t, f64>,
    product: impl Fn(Var<'t, f64>, Var<'t, f64>) -> GraphResult<Var<'t, f64>>,
) -> GraphResult<()> {
    let x = Tensor::from([[2.0, -0.3], [0.4, 1.0], [-1.0, -1.2]]);
    let data = [x, Tensor::from([0.5, -1.0, 0.0]), Tensor::from([[-0.6, 0.4], [0.9, -0.2]])];
    batch(graph, data, product)
}

fn independent_rows<'t>(
    graph: &Graph<'t, f64>,
    [x, u]: [Var<'t, f64>; 2],
    probability: f64,
) -> GraphResult<Var<'t, f64>> {
    let kept = graph.mask("rows", probability, &x.plates(), [])?;
    let exact = x.matmul(u.held());
    Ok(exact.with_estimated_derivative(exact + (x.held() * kept * (1.0 / probability)).matmul(u)))
}

fn some_rows<'t>(graph: &Graph<'t, f64>, [x, u]: [Var<'t, f64>; 2], count: usize) -> GraphResult<Var<'t, f64>> {
    let rows = graph.tape().plate_size(x.plates()[0]);
    Ok(x.matmul_keeping_rows(u, graph.subset("rows", count, rows)?))
}

/// The mean of sums of the rows with random signs.
fn sketches<'t>(graph: &Graph<'t, f64>, [x, u]: [Var<'t, f64>; 2], count: usize) -> GraphResult<Var<'t, f64>> {
    let plate = x.plates()[0];
    let exact = x.matmul(u.held());
    let mut estimate = exact;
    for _ in 0..count {
        let signs = graph.mask("signs", 0.5, &[plate], [])? * 2.0 - 1.0;
        let sketch = (x.held() * signs).sum_over(plate) * (1.0 / count as f64);
        estimate = estimate + signs * sketch.matmul(u);
    }
    Ok(exact.with_estimated_derivative(estimate))
}

#[test]
fn rows_of_a_batch_have_their_exact_variances() {
    let mean = [-0.232375, -1.31025, 0.1161875, 0.655125];
    let sketch = [0.07621220313, 1.959674203, 0.01905305078, 0.4899185508];
    let cases: [(Model, [f64; 4]); 4] = [
        (
            |graph| batch_a(graph, |x, u| independent_rows(graph, [x, u], 0.4)),
            [0.3234815859, 1.266346969, 0.08087039648, 0.3165867422],
        ),
        (
            |graph| batch_a(graph, |x, u| some_rows(graph, [x, u], 2)),
            [0.2695398073, 0.5533900625, 0.06738495182, 0.1383475156],
        ),
        (|graph| batch_a(graph, |x, u| sketches(graph, [x, u], 1)), sketch),
        (|graph| batch_a(graph, |x, u| sketches(graph, [x, u], 2)), sketch.map(|variance| variance / 2.0)),
    ];
    for (model, variance) in cases {
        assert_moments(&moments(model), "u", &mean, &variance);
    }
    let mean = [-1.8393333333, 0.455, 0.9196666667, -0.2275];
    let cases: [(Model, [f64; 4]); 3] = [
        (
            |graph| batch_b(graph, |x, u| independent_rows(graph, [x, u], 0.7)),
            [1.459005905, 0.1018392857, 0.3647514762, 0.02545982143],
        ),
        (|graph| batch_b(graph, |x, u| some_rows(graph, [x, u], 1)), [6.829894222, 0.50585, 1.707473556, 0.1264625]),
        (
            |graph| batch_b(graph, |x, u| sketches(graph, [x, u], 1)),
            [1.695122222, 2.242490778, 0.4237805556, 0.5606226944],
        ),
    ];
    for (model, variance) in cases {
        assert_moments(&moments(model), "u", &mean, &variance);
    }
}

/// Bits of each member upstream of a layer that keeps rows, and a layer that keeps units behind it.
fn bits(graph: &Graph<'_, f64>) -> GraphResult<()> {
    let x = graph.data("batch", [[0.3, -0.8], [1.1, 0.4], [-0.6, 0.9]])?;
    let logits = x * graph.param("scale", [0.7, -0.4])?;
    let z = graph.sample("z", &Bernoulli::from_logits(logits), &Score::plain())?;
    let weights = graph.param("weights", [[0.5, -0.2], [0.3, 0.8]])?;
    let hidden = (z + x).matmul_keeping_rows(weights, graph.subset("rows", 2, 3)?);
    let output = hidden.map_keeping_units(graph.subset("units", 1, 2)?, |x| x.tanh());
    graph.cost("cost", (output.sum() - 0.2).square())
}

#[test]
fn estimates_and_score_functions_are_unbiased_together() {
    let report = Oracle::new().verify(bits, 0..=1, 1e-10).unwrap();
    assert_eq!(report.outcomes(), 64 * 3 * 2);
    // The rows do not make the members of the batch act jointly: each bit is credited with its own cost.
    let exact: Model = |graph| {
        let x = graph.data("batch", [[0.3, -0.8], [1.1, 0.4], [-0.6, 0.9]])?;
        let logits = x * graph.param("scale", [0.7, -0.4])?;
        let z = graph.sample("z", &Bernoulli::from_logits(logits), &Score::plain())?;
        let output = (z + x).matmul(graph.param("weights", [[0.5, -0.2], [0.3, 0.8]])?).tanh();
        graph.cost("cost", (output.sum() - 0.2).square())
    };
    let [estimated, exact] = [moments(bits), moments(exact)];
    let pairs =
        estimated.variance("scale").unwrap().to_vec().into_iter().zip(exact.variance("scale").unwrap().to_vec());
    for (estimated, exact) in pairs {
        assert!((estimated - exact).abs() < 1e-12, "{estimated} and {exact}");
    }
}

/// A sample path through a layer that keeps rows, and one that keeps units.
fn path(graph: &Graph<'_, f64>) -> GraphResult<()> {
    let x = graph.data("batch", [[0.3], [-0.6]])?;
    let z = graph.sample("z", &Normal::new(x * graph.param("scale", [0.7])?, graph.constant([0.5])), &Pathwise)?;
    let hidden = z.matmul_keeping_rows(graph.param("weights", [[0.5, -0.2]])?, graph.subset("rows", 1, 2)?);
    let output = hidden.map_keeping_units(graph.subset("units", 1, 2)?, |x| x * 1.5);
    graph.cost("cost", (output.sum() - 0.2).square())
}

#[test]
fn a_sample_path_through_estimates_has_order_one() {
    let report = Oracle::new().nodes(3).verify(path, 0..=1, 1e-10).unwrap();
    assert_eq!(report.outcomes(), 3 * 3 * 2 * 2);
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(7));
    path(&graph).unwrap();
    assert_eq!(graph.backward().unwrap().guarantee("scale").unwrap(), Guarantee::unbiased(Order::Finite(1)));
}

#[test]
fn second_derivatives_are_refused() {
    let error = Oracle::new().verify(bits, 0..=2, 1e-10).unwrap_err();
    assert!(
        error.to_string().contains("expected first derivatives of a value with an estimated derivative"),
        "{error}"
    );
}

#[test]
fn too_many_subsets_are_refused_by_the_oracle() {
    let model = |graph: &Graph<'_, f64>| {
        let x = graph.param("x", Tensor::ones([40]))?;
        graph.cost("cost", x.map_keeping_units(graph.subset("units", 20, 40)?, |x| x.square()).sum())
    };
    let error = Oracle::new().gradient(model).unwrap_err();
    assert!(matches!(&error, CheckError::Graph(GraphError::Data { .. })), "{error}");
    assert!(error.to_string().contains("expected at most 100000 subsets"), "{error}");
}
