//! Allocations against the known optimum, and the graphs that they make.

use super::*;
use crate::expectations::antithetic_difference::antithetic_difference;
use crate::expectations::testing::{TwoValues, assert_close};
use crate::score_function::ScoreFunction;
use crate::testing::models::assert_model_compiled;
use stochgrad_check::Oracle;
use stochgrad_distributions::Bernoulli;
use stochgrad_graph::{Bias, Order, Seed};
use stochgrad_tape::Tape;
use stochgrad_tensor::Tensor;

fn four_levels() -> Vec<LevelStatistics> {
    let (variances, costs) = ([1.0, 0.25, 0.06, 0.015], [1.0, 2.0, 4.0, 8.0]);
    (0..4).map(|level| LevelStatistics::new(0.0, variances[level], costs[level])).collect()
}

#[test]
fn the_numbers_of_samples_are_the_known_ones() {
    let levels = four_levels();
    let target = 0.05 * 0.05 / 2.0;
    let expected = [2_034.731_91, 719.386_367, 249.202_748, 88.106_476_3];
    for (found, expected) in unrounded(&levels, target).into_iter().zip(expected) {
        assert_close("samples", found, expected, 1e-8);
    }
    let allocation = Allocation::for_variance(&levels, target).unwrap();
    assert_eq!(allocation.samples(), [2035, 720, 250, 89]);
    assert_close("variance", allocation.variance(), 0.001_247_162_039, 1e-12);
    assert_close("cost", allocation.cost(), 5187.0, 1e-12);
}

#[test]
fn each_level_has_at_least_one_sample() {
    let levels = [LevelStatistics::new(1.0, 1.0, 1.0), LevelStatistics::new(0.0, 0.5, 2.0)];
    let allocation = Allocation::for_variance(&levels, 10.0).unwrap();
    assert_eq!((allocation.samples(), allocation.cost()), (&[1, 1][..], 3.0));
}

/// ln E[X] up to the level 1: the plug-in mean of two samples.
fn logarithm(graph: &Graph<'_, f64>, case: TwoValues, allocation: &Allocation) -> GraphResult<()> {
    let theta = graph.param("theta", case.probability)?;
    let value = allocation.record(graph, "log", |level, repetitions| {
        let plate = graph.plate(&format!("samples {level}"), 1 << level)?;
        let bit = Bernoulli::from_probabilities(theta.expand_plates(&[repetitions]));
        let [first, second] = case.values;
        let x = graph.sample(("x", level), &bit, &ScoreFunction::new().on_plate(plate))? * (second - first) + first;
        antithetic_difference(x, plate, |mean| mean.ln())
    })?;
    graph.cost("cost", value)
}

#[test]
fn recorded_sums_are_exact_at_every_order_and_credit_each_sample_with_its_own_term() {
    let case = TwoValues::new(1.0, 3.0, 0.3);
    let levels = [
        LevelStatistics::new(0.329_583_686_6, 0.362_084_69, 1.0),
        LevelStatistics::new(0.060_413_235_21, 0.008_689_902_4, 2.0),
    ];
    let gradient_variance = |samples: Vec<usize>| {
        let allocation = Allocation::of(&levels, samples);
        let model = |graph: &Graph<'_, f64>| logarithm(graph, case, &allocation);
        Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
        let moments = Oracle::new().gradient(model).unwrap();
        let (mean, variance) = moments.cost("cost").unwrap();
        assert_close("mean", mean, 0.389_996_921_8, 1e-9);
        assert_close("variance", variance, allocation.variance(), 1e-8);
        moments.variance("theta").unwrap().item().unwrap()
    };
    let (one, two) = (gradient_variance(vec![1, 1]), gradient_variance(vec![2, 2]));
    assert_close("half of the variance with two samples each", two, one / 2.0, 1e-9);
    gradient_variance(vec![4, 2]);
}

#[test]
fn compiled_graphs_do_the_same() {
    let case = TwoValues::new(1.0, 3.0, 0.3);
    let allocation = Allocation::of(&four_levels(), vec![9, 4, 2, 1]);
    let model = |graph: &Graph<'_, f64>| logarithm(graph, case, &allocation);
    assert_model_compiled("allocation", &[("theta", Tensor::scalar(0.3))], model);
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    model(&graph).unwrap();
    let guarantee = graph.backward().unwrap().guarantee("theta").unwrap();
    assert_eq!((guarantee.bias, guarantee.order), (Bias::Unbiased, Order::Any));
}

#[test]
fn wrong_statistics_and_terms_are_refused() {
    let message = Allocation::for_variance(&four_levels(), 0.0).unwrap_err().to_string();
    assert!(message.contains("a finite variance above 0, got 0"), "{message}");
    let message = Allocation::for_variance(&[], 1.0).unwrap_err().to_string();
    assert!(message.contains("at least one level, got none"), "{message}");
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let allocation = Allocation::for_variance(&four_levels(), 1.0).unwrap();
    let message = allocation.record(&graph, "sum", |_, _| Ok(graph.constant(1.0))).unwrap_err().to_string();
    assert!(message.contains("objective \"sum\"") && message.contains("a term of level 0"), "{message}");
}
