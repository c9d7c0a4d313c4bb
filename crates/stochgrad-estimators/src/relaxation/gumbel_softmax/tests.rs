use super::*;
use crate::pathwise::Pathwise;
use crate::score_function::ScoreFunction;
use approx::assert_abs_diff_eq;
use std::sync::Arc;
use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{Bernoulli, Id, Normal, OneHotCategorical};
use stochgrad_graph::{DynMethod, Graph, Seed};
use stochgrad_tape::Tape;
use stochgrad_tensor::Tensor;

fn toy(graph: &Graph<'_, f64>, theta: f64, target: f64, method: &GumbelSoftmax) -> GraphResult<()> {
    let logit = graph.param("logit", (theta / (1.0 - theta)).ln())?;
    let b = graph.sample("b", &Bernoulli::from_logits(logit), method)?;
    graph.cost("loss", (b - target).square())
}

#[test]
fn the_bias_of_one_relaxed_bit_is_the_known_one() {
    let method = GumbelSoftmax::new(1.0);
    let cases = [
        (0.5, 0.499, 3.3333e-4, 4.762e-3),
        (0.1, 0.499, -4.2137e-2, 2.067e-3),
        (0.5, 0.45, 1.6667e-2, 4.817e-3),
        (0.1, 0.45, -3.1849e-2, 2.044e-3),
    ];
    for (theta, target, mean, variance) in cases {
        let model = |graph: &Graph<'_, f64>| toy(graph, theta, target, &method);
        let moments = Oracle::new().nodes(64).gradient(model).unwrap();
        let found = (moments.mean("logit").unwrap().as_slice()[0], moments.variance("logit").unwrap().as_slice()[0]);
        assert!((found.0 - mean).abs() < 2e-4 * mean.abs(), "{found:?} where {mean} is known");
        assert!((found.1 - variance).abs() < 5e-4 * variance, "{found:?} where {variance} is known");
    }
}

#[test]
fn the_bias_of_one_straight_through_bit_is_the_known_one() {
    let method = GumbelSoftmax::new(1.0).straight_through();
    for (theta, target, mean, variance) in [(0.1, 0.499, -6.688e-2, 1.284e-2), (0.1, 0.45, -5.659e-2, 1.247e-2)] {
        let model = |graph: &Graph<'_, f64>| toy(graph, theta, target, &method);
        let test = StatisticalTest::new().runs(20_000);
        test.check(model, &[("logit", Tensor::scalar(mean))]).unwrap();
        test.check_variance(model, &[("logit", Tensor::scalar(variance))], 0.05).unwrap();
    }
}

#[test]
fn the_value_is_soft_or_hard() {
    for hard in [false, true] {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let plain = GumbelSoftmax::new(0.7).samples(20);
        let method = if hard { plain.straight_through() } else { plain };
        let bits = graph.sample("bits", &Bernoulli::from_logits(graph.constant([0.2, -1.0])), &method).unwrap();
        let distribution = OneHotCategorical::from_logits(graph.constant([[0.2, -1.0, 0.4]]));
        let vectors = graph.sample("vectors", &distribution, &method).unwrap();
        assert_eq!(vectors.shape(), [1, 3].into());
        for value in [bits.peek().unwrap(), vectors.peek().unwrap()] {
            assert!(value.as_slice().iter().all(|&x| (x == 0.0 || x == 1.0) == hard), "{value:?}");
        }
        for sum in vectors.sum_axis(-1).peek().unwrap().as_slice() {
            assert_abs_diff_eq!(*sum, 1.0, epsilon = 1e-12);
        }
    }
}

/// Two nodes, two costs, four parameters: `a` relaxed, `g` beside it in a cost, `up` and `d` elsewhere.
fn shared(graph: &Graph<'_, f64>, method: &GumbelSoftmax) -> GraphResult<()> {
    let [a, g, d] = [graph.param("a", 0.3)?, graph.param("g", -0.2)?, graph.param("d", 0.1)?];
    let up = graph.param("up", 0.6)?;
    let x = graph.sample("x", &Normal::new(up, 1.0), &Pathwise::new())?;
    let b = graph.sample("b", &Bernoulli::from_logits(a + x), method)?;
    let c = graph.sample("c", &Bernoulli::from_logits(g), &ScoreFunction::new())?;
    graph.cost("both", b * c)?;
    graph.cost("other", (c - 0.3) * d)
}

#[test]
fn the_guarantee_tells_who_is_tainted() {
    let biases = |method: &GumbelSoftmax| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        shared(&graph, method).unwrap();
        let gradients = graph.backward().unwrap();
        ["a", "up", "g", "d"].map(|name| gradients.guarantee(name).unwrap().bias)
    };
    let relaxed = GumbelSoftmax::new(0.5);
    assert_eq!(biases(&relaxed), [Bias::Distribution, Bias::Distribution, Bias::Distribution, Bias::Unbiased]);
    assert_eq!(biases(&relaxed.straight_through()), [Bias::Gradient, Bias::Gradient, Bias::Unbiased, Bias::Unbiased]);
}

#[test]
fn orders_follow_the_form_and_the_path() {
    let order = |method: &GumbelSoftmax, kinked: bool| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let logit = graph.param("logit", 0.3).unwrap();
        let b = graph.sample("b", &Bernoulli::from_logits(logit), method).unwrap();
        graph.cost("cost", if kinked { (b - 0.5).abs() } else { b.square() }).unwrap();
        graph.backward().unwrap().guarantee("logit").unwrap().order
    };
    let relaxed = GumbelSoftmax::new(0.5);
    assert_eq!((order(&relaxed, false), order(&relaxed, true)), (Order::Any, Order::Finite(1)));
    assert_eq!(order(&relaxed.straight_through(), false), Order::Finite(1));
}

#[test]
fn jumps_are_refused_unless_continuity_is_assumed() {
    let backward = |method: &GumbelSoftmax| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let logit = graph.param("logit", 0.3)?;
        let b = graph.sample("b", &Bernoulli::from_logits(logit), method)?;
        graph.cost("cost", b + b.round())?;
        graph.backward().map(|_| ())
    };
    for method in [GumbelSoftmax::new(1.0), GumbelSoftmax::new(1.0).straight_through()] {
        let error = backward(&method).unwrap_err().to_string();
        assert!(error.contains("Round"), "{error}");
        backward(&method.assume_continuous()).unwrap();
    }
}

#[test]
fn the_relaxed_model_is_differentiated_to_any_order() {
    let method = GumbelSoftmax::new(1.0);
    let oracle = Oracle::new().nodes(64);
    let at = |logit: f64, order: usize| {
        let model = |graph: &Graph<'_, f64>| {
            let logit = graph.param("logit", logit)?;
            let b = graph.sample("b", &Bernoulli::from_logits(logit), &method)?;
            graph.cost("cost", b.square())
        };
        oracle.derivative(model, &[("logit", Tensor::scalar(1.0))], order).unwrap().mean[0]
    };
    let h = 1e-4;
    for order in [1, 2] {
        let numerical = (at(0.2 + h, order - 1) - at(0.2 - h, order - 1)) / (2.0 * h);
        assert_abs_diff_eq!(at(0.2, order), numerical, epsilon = 1e-7);
    }
}

#[test]
fn the_temperature_falls_only_when_told_to() {
    let method = GumbelSoftmax::new(Temperature::exponential(1.0, 0.25, 2));
    let backward = || {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let logits = graph.param("logits", [0.3, 0.1]).unwrap();
        let first = graph.sample("first", &Bernoulli::from_logits(logits), &method).unwrap();
        let second = graph.sample("second", &Bernoulli::from_logits(logits), &method.clone().samples(2)).unwrap();
        graph.cost("cost", (first * second).sum()).unwrap();
        graph.backward().unwrap()
    };
    drop(backward());
    assert_eq!(method.temperature().current(), 1.0);
    let early = backward();
    backward().advance();
    early.advance();
    assert_eq!(method.temperature().current(), 0.5);
    let state = method.state();
    let restored = GumbelSoftmax::new(Temperature::exponential(1.0, 0.25, 2));
    restored.load_state(&state).unwrap();
    assert_eq!(restored.temperature().step(), 1);
    assert!(restored.load_state(&stochgrad_graph::MethodState::new()).is_err());
    assert!(restored.load_state(&[("temperature / step".to_string(), vec![0.5, 0.0])].into()).is_err());
    assert!(GumbelSoftmax::new(1.0).load_state(&state).is_err());
    assert!(GumbelSoftmax::new(1.0).load_state(&GumbelSoftmax::new(2.0).state()).is_ok());
}

#[test]
fn a_temperature_that_is_none_is_an_error() {
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let distribution = Bernoulli::from_logits(graph.constant(0.3));
        let error = graph.sample("b", &distribution, &GumbelSoftmax::new(temperature)).unwrap_err().to_string();
        assert!(error.contains("temperature") && error.contains("\"b\""), "{error}");
    }
}

#[test]
fn it_may_be_chosen_at_run_time_and_lie_along_a_shared_plate() {
    let tape = Tape::<f32>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let plate = graph.plate("samples", 3).unwrap();
    let method: DynMethod<f32, OneHotCategorical<Id>> = Arc::new(GumbelSoftmax::new(0.5).on_plate(plate));
    let logits = graph.param("logits", [0.1, 0.2, 0.3]).unwrap();
    let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &method).unwrap();
    assert_eq!(x.plates().as_slice(), [plate]);
    graph.cost("cost", (x * graph.constant([1.0, 2.0, 3.0])).sum()).unwrap();
    assert!(graph.backward().unwrap().get("logits").unwrap().as_slice().iter().all(|&g| g != 0.0));
}

/// The mean and the variance of a function of a uniform number.
fn integrated(f: impl Fn(f64) -> f64) -> (f64, f64) {
    let n = 400_000;
    let values = || (0..n).map(|i| f((i as f64 + 0.5) / n as f64));
    let mean = values().sum::<f64>() / n as f64;
    (mean, values().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64)
}

fn moments(method: &GumbelSoftmax, theta: f64) -> (f64, f64) {
    let model = |graph: &Graph<'_, f64>| toy(graph, theta, 0.45, method);
    let moments = Oracle::new().nodes(200).gradient(model).unwrap();
    (moments.mean("logit").unwrap().as_slice()[0], moments.variance("logit").unwrap().as_slice()[0])
}

#[test]
fn the_derivative_is_taken_at_the_backward_temperature() {
    let theta = 0.3_f64;
    let logit = (theta / (1.0 - theta)).ln();
    let found = moments(&GumbelSoftmax::new(0.7).backward_temperature(1.4), theta);
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let (mean, variance) = integrated(|u| {
        let z = logit + (u / (1.0 - u)).ln();
        let slope = sigmoid(z / 1.4) * (1.0 - sigmoid(z / 1.4)) / 1.4;
        2.0 * (sigmoid(z / 0.7) - 0.45) * slope
    });
    assert!((found.0 - mean).abs() < 1e-5 && (found.1 - variance).abs() < 1e-5, "{found:?}, {mean}, {variance}");
    // Equal temperatures change nothing, and hard values have no temperature.
    let plain = moments(&GumbelSoftmax::new(0.7), theta);
    let equal = moments(&GumbelSoftmax::new(0.7).backward_temperature(0.7), theta);
    assert!((plain.0 - equal.0).abs() < 1e-12 && (plain.1 - equal.1).abs() < 1e-12);
    let gradient = |method: &GumbelSoftmax| {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(4));
        toy(&graph, theta, 0.45, method).unwrap();
        graph.backward().unwrap().get("logit").unwrap().to_vec()
    };
    let hard = GumbelSoftmax::new(0.1).straight_through().backward_temperature(1.4).samples(5);
    assert_eq!(gradient(&hard), gradient(&GumbelSoftmax::new(1.4).straight_through().samples(5)));
}

#[test]
fn a_sparse_map_has_the_moments_of_its_distribution() {
    let theta = 0.3_f64;
    let logit = (theta / (1.0 - theta)).ln();
    let found = moments(&GumbelSoftmax::new(0.8).simplex_map(SimplexMap::Sparsemax), theta);
    let (mean, variance) = integrated(|u| {
        let y = (logit + (u / (1.0 - u)).ln()) / 0.8 * 0.5 + 0.5;
        if (0.0..=1.0).contains(&y) { 2.0 * (y - 0.45) * 0.5 / 0.8 } else { 0.0 }
    });
    // Quadrature over a function with jumps.
    assert!((found.0 - mean).abs() < 5e-3 && (found.1 - variance).abs() < 5e-3, "{found:?}, {mean}, {variance}");
}

#[test]
fn both_temperatures_fall_and_come_back() {
    let make = || {
        GumbelSoftmax::new(Temperature::exponential(1.0, 0.25, 2))
            .backward_temperature(Temperature::exponential(2.0, 0.5, 2))
            .simplex_map(SimplexMap::Entmax15)
    };
    let method = make();
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let distribution = OneHotCategorical::from_logits(graph.param("logits", [0.3, 0.1, -1.0]).unwrap());
    let x = graph.sample("x", &distribution, &method).unwrap();
    graph.cost("cost", x.square().sum()).unwrap();
    let gradients = graph.backward().unwrap();
    let guarantee = gradients.guarantee("logits").unwrap();
    assert_eq!((guarantee.bias, guarantee.order), (Bias::Distribution, Order::Finite(1)));
    gradients.advance();
    let restored = make();
    restored.load_state(&method.state()).unwrap();
    assert_eq!(method.state().len(), 2);
    assert_eq!(restored.temperature().step(), 1);
    assert_eq!(restored.backward.as_ref().unwrap().current(), 1.0);
    assert!(restored.load_state(&stochgrad_graph::MethodState::new()).is_err());
}
