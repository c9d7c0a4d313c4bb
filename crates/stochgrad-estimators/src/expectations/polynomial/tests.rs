//! Polynomials against loops over sets of members, and enumeration.

use super::*;
use crate::expectations::testing::{TwoValues, assert_close};
use crate::pathwise::Pathwise;
use crate::score_function::ScoreFunction;
use crate::score_function::baseline::Vimco;
use crate::testing::models::assert_model_compiled;
use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Normal};
use stochgrad_graph::{Graph, Seed};
use stochgrad_tape::Tape;
use stochgrad_tensor::Tensor;

/// The average of the products over all sets of `size` members, by a loop over bit sets.
fn by_loop(members: &[f64], size: u32) -> f64 {
    let sets = (0_u32..1 << members.len()).filter(|set| set.count_ones() == size);
    let product =
        |set: u32| -> f64 { (0..members.len()).filter(|at| set >> at & 1 == 1).map(|at| members[at]).product() };
    let products: Vec<f64> = sets.map(product).collect();
    products.iter().sum::<f64>() / products.len() as f64
}

#[test]
fn polynomials_are_those_of_a_loop_over_sets() {
    for members in [1, 2, 3, 6, 9] {
        let numbers: Vec<f64> = (0..members).map(|i| (i as f64 * 1.3).sin() + 0.4).collect();
        for degree in 1..=members {
            let coefficients: Vec<f64> = (0..=degree).map(|k| 0.5 - (k as f64 * 0.8).cos()).collect();
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(7));
            let plate = graph.plate("samples", members).unwrap();
            let x = tape.constant_on(&[plate], Tensor::new(numbers.clone(), [members]).unwrap());
            let found = polynomial_of_mean(x, plate, &coefficients).unwrap().item().unwrap();
            let expected: f64 = (0..=degree).map(|k| coefficients[k] * by_loop(&numbers, k as u32)).sum();
            assert_close(&format!("{members} members, degree {degree}"), found, expected, 1e-9);
        }
    }
}

#[test]
fn polynomials_are_exact_at_every_order() {
    let coefficients = [1.0, -2.0, 0.0, 0.5, 0.25];
    let case = TwoValues::new(-0.5, 1.0, 0.3);
    for samples in [4, 6] {
        let model = |graph: &Graph<'_, f64>| {
            case.record(graph, samples, |_, x, plate| polynomial_of_mean(x, plate, &coefficients))
        };
        Oracle::new().verify(model, 0..=3, 1e-9).unwrap();
        let expected: f64 = (0..5).map(|k| coefficients[k] * case.mean().powi(k as i32)).sum();
        assert_close("value", Oracle::new().exact_cost(model).unwrap(), expected, 1e-10);
    }
}

#[test]
fn compiled_graphs_do_the_same_with_a_baseline() {
    let model = |graph: &Graph<'_, f64>| {
        let bit = Bernoulli::from_logits(graph.param("logit", 0.3)?);
        let plate = graph.plate("samples", 5)?;
        let method = ScoreFunction::new().on_plate(plate).baseline(Vimco::arithmetic());
        let x = graph.sample("x", &bit, &method)?;
        graph.cost("cost", polynomial_of_mean(x + 0.5, plate, &[0.0, 1.0, -1.0, 0.3])?)
    };
    Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
    assert_model_compiled("polynomial", &[("logit", Tensor::scalar(0.3))], model);
}

#[test]
fn threads_change_no_bit() {
    let gradient = |threads: usize| {
        let tape = Tape::<f32>::with_threads(threads);
        let graph = Graph::new(&tape, Seed::new(7));
        let start: Vec<f32> = (0..20_000).map(|at| (at as f32 * 0.01).sin() * 0.3).collect();
        let location = graph.param("location", start).unwrap();
        let plate = graph.plate("samples", 5).unwrap();
        let x = graph.sample("x", &Normal::new(location, 0.5), &Pathwise::new().on_plate(plate)).unwrap();
        graph.cost("cost", polynomial_of_mean(x, plate, &[0.0, 1.0, -1.0, 0.3]).unwrap().sum()).unwrap();
        graph.backward().unwrap().get("location").unwrap().to_vec()
    };
    let one = gradient(1);
    assert!(one.iter().all(|element| element.is_finite()));
    assert!(one == gradient(2) && one == gradient(8));
}

#[test]
fn too_few_members_and_wrong_coefficients_are_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let plate = graph.plate("samples", 2).unwrap();
    let x = tape.constant_on(&[plate], Tensor::from([0.3, 0.4]));
    let message = |coefficients: &[f64]| polynomial_of_mean(x, plate, coefficients).unwrap_err().to_string();
    assert!(message(&[1.0; 4]).contains("at least 3 members along plate \"samples\", got 2"));
    assert!(message(&[1.0]).contains("at least two, got 1"));
    assert!(message(&[1.0, f64::NAN]).contains("got NaN for the power 1"));
}
