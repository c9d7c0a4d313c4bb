//! A replay that changes one element of the input of a linear layer computes one row of the product. The gradients are
//! those of a replay that computes the whole product.

use stochgrad::distributions::{Categorical, OneHotCategorical, Poisson};
use stochgrad::estimators::{DiscreteGo, LocalExpectation};
use stochgrad::graph::{Gradients, GraphResult};
use stochgrad::prelude::*;
use stochgrad::tape::{ListedValue, Op, ValueOrigin};
use stochgrad::tensor::Tensor;

/// How the model multiplies a vector with a matrix.
#[derive(Clone, Copy)]
enum Product {
    /// As a linear layer does.
    Vector,
    /// As a matrix with one row, whose product is computed as a whole.
    Matrix,
}

fn product<'t>(x: Var<'t, f64>, weight: Var<'t, f64>, how: Product) -> Var<'t, f64> {
    match how {
        Product::Vector => x.matmul(weight),
        Product::Matrix => {
            let columns = weight.shape()[1];
            x.unsqueeze(0).matmul(weight).reshape([columns])
        }
    }
}

fn values(shape: &[usize], seed: f64) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| ((i as f64 + 1.0) * seed).sin())
}

type Sample = for<'t> fn(&Graph<'t, f64>, Var<'t, f64>) -> GraphResult<Var<'t, f64>>;

/// Three rows of data, a node with `inputs` numbers, and two layers.
fn record(graph: &Graph<'_, f64>, inputs: usize, how: Product, sample: Sample) -> GraphResult<()> {
    let rows = graph.data("rows", values(&[3, 2], 0.7))?;
    let code = rows.matmul(graph.param("encoder", values(&[2, inputs], 1.3))?);
    let x = sample(graph, code)?;
    let hidden =
        product(x, graph.param("first", values(&[inputs, 5], 2.1))?, how) + graph.param("bias", values(&[5], 0.3))?;
    let out = product(hidden.tanh(), graph.param("second", values(&[5, 2], 1.9))?, Product::Vector);
    graph.cost("loss", (out - rows).square().sum())
}

fn recorded(inputs: usize, how: Product, sample: Sample) -> Gradients<f64> {
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(5));
    record(&graph, inputs, how, sample).unwrap();
    graph.backward().unwrap()
}

/// The gradients by rows agree with those by whole products, and a compiled graph gives the bits of the recording. It
/// computes this number of whole products for the alternatives.
fn agrees(inputs: usize, wholes: usize, sample: Sample) {
    let (rows, whole) = (recorded(inputs, Product::Vector, sample), recorded(inputs, Product::Matrix, sample));
    for ((name, rows), (_, whole)) in rows.iter().zip(whole.iter()) {
        let difference = rows.max_abs_difference(whole).unwrap();
        assert!(difference < 1e-12, "{name}: {difference}, {rows:?} and {whole:?}");
        assert!(rows.as_slice().iter().any(|x| x.abs() > 1e-3), "{name}: {rows:?}");
    }
    for threads in [1, 2] {
        let tape = Tape::with_threads(threads);
        let graph = Graph::new(&tape, Seed::new(5).step(1));
        record(&graph, inputs, Product::Vector, sample).unwrap();
        let mut compiled = graph.compile().unwrap();
        let listing = compiled.listing().program;
        let is_whole = |value: &ListedValue<'_, f64>| match value.origin {
            ValueOrigin::Operation(Op::Matmul { .. }) => {
                let left = listing.value(value.operands[0]);
                let names = left.plates.iter().map(|&plate| listing.plate(plate).name);
                left.event() == [inputs] && names.eq(["rows", "alternatives"])
            }
            _ => false,
        };
        assert_eq!(listing.values().filter(is_whole).count(), wholes, "{listing}");
        drop(listing);
        compiled.set("rows", &values(&[3, 2], 0.7)).unwrap();
        for (name, shape, seed) in [
            ("encoder", vec![2, inputs], 1.3),
            ("first", vec![inputs, 5], 2.1),
            ("bias", vec![5], 0.3),
            ("second", vec![5, 2], 1.9),
        ] {
            compiled.set(name, &values(&shape, seed)).unwrap();
        }
        let found = compiled.run(Seed::new(5)).unwrap();
        for ((name, found), (_, expected)) in found.iter().zip(rows.iter()) {
            assert_eq!(found, expected, "{name}");
        }
    }
}

#[test]
fn bits_change_one_row_each() {
    agrees(6, 0, |graph, code| graph.sample("z", &Bernoulli::from_logits(code), &MeasureValued::new()));
}

#[test]
fn functions_of_elements_lie_between() {
    agrees(6, 0, |graph, code| {
        let z = graph.sample("z", &Bernoulli::from_logits(code.reshape([2, 3])), &MeasureValued::new())?;
        Ok((z * 2.0 - 1.0).reshape([6]).exp())
    });
}

#[test]
fn counts_and_real_numbers_change_one_row_each() {
    agrees(4, 0, |graph, code| graph.sample("z", &Normal::new(code, 0.5), &MeasureValued::new()));
    agrees(4, 0, |graph, code| graph.sample("z", &Poisson::from_log_rate(code), &DiscreteGo::new()));
}

#[test]
fn a_category_changes_several_rows() {
    agrees(32, 0, |graph, code| {
        let q = OneHotCategorical::from_logits(code.reshape([16, 2]));
        Ok(graph.sample("z", &q, &LocalExpectation::new())?.reshape([32]))
    });
    agrees(6, 1, |graph, code| {
        let q = OneHotCategorical::from_logits(code.reshape([2, 3]));
        Ok(graph.sample("z", &q, &LocalExpectation::new())?.reshape([6]))
    });
    agrees(6, 1, |graph, code| {
        let q = Categorical::from_logits(code.reshape([2, 3]));
        Ok(graph.sample("z", &q, &LocalExpectation::new())?.one_hot(3).reshape([6]))
    });
}
