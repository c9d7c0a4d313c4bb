//! The means of plug-in estimates, and what their guarantee states.

use super::*;
use crate::enumeration::enumerate::Enumerate;
use crate::expectations::testing::{TwoValues, assert_close};
use crate::pathwise::Pathwise;
use crate::score_function::ScoreFunction;
use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Categorical, Normal};
use stochgrad_graph::{Bias, Order, Seed};
use stochgrad_tape::Tape;
use stochgrad_tensor::Tensor;

type Function = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;

#[test]
fn plug_in_estimates_have_their_known_means() {
    let (first, second) = (TwoValues::new(1.0, 3.0, 0.3), TwoValues::new(0.5, 2.0, 0.6));
    // The means for 1, 2, 4 and 8 samples, and the derivative for 4.
    let cases: [(TwoValues, Function, [f64; 4], f64); 6] = [
        (first, |m| m.square(), [3.4, 2.98, 2.77, 2.665], 6.8),
        (first, |m| m.exp(), [7.928_458_357, 6.243_059_981, 5.536_156_325, 5.228_741_536], 12.025_357_84),
        (first, |m| m.ln(), [0.329_583_686_6, 0.389_996_921_8, 0.428_466_521_3, 0.449_214_382_8], 1.252_156_557),
        (first, |m| m.recip(), [0.8, 0.73, 0.679_74, 0.651_912_030_7], -0.834_133_333_3),
        (second, |m| m.exp(), [5.092_922_168, 4.599_220_219, 4.329_660_325, 4.192_453_365], 6.189_996_065),
        (second, |m| m.ln(), [0.138_629_436_1, 0.245_738_340_7, 0.296_486_797_3, 0.317_953_438_7], 1.186_917_037),
    ];
    for (case, function, means, derivative) in cases {
        for (samples, expected) in [1, 2, 4, 8].into_iter().zip(means) {
            let model = |graph: &Graph<'_, f64>| {
                case.record(graph, samples, |graph, x, plate| plug_in(graph, [x], plate, |[mean]| function(mean)))
            };
            let moments = Oracle::new().gradient(model).unwrap();
            assert_close("mean", moments.total(), expected, 1e-9);
            if samples == 4 {
                assert_close("derivative", moments.mean("theta").unwrap().item().unwrap(), derivative, 1e-9);
                Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
            }
        }
    }
}

#[test]
fn normal_samples_have_their_known_means() {
    let mean = |samples: usize, nodes: usize, function: Function, of: Function| {
        let model = |graph: &Graph<'_, f64>| {
            let location = graph.param("location", 0.3)?;
            let plate = graph.plate("samples", samples)?;
            let x = graph.sample("x", &Normal::new(location, 0.8), &Pathwise::new().on_plate(plate))?;
            graph.cost("cost", plug_in(graph, [of(x)], plate, |[mean]| function(mean))?)
        };
        Oracle::new().nodes(nodes).gradient(model).unwrap().total()
    };
    let plain: Function = |x| x;
    for (samples, square, exp, nodes) in
        [(1, 0.73, 1.858_928_042, 16), (2, 0.41, 1.584_073_985, 10), (4, 0.25, 1.462_284_589, 6)]
    {
        assert_close("square", mean(samples, 2, |m| m.square(), plain), square, 1e-9);
        assert_close("exp", mean(samples, nodes, |m| m.exp(), plain), exp, 1e-8);
    }
    assert_close("square of 8", mean(8, 2, |m| m.square(), plain), 0.17, 1e-9);
    assert_close("ln of 1", mean(1, 8, |m| m.ln(), |x| x.exp()), 0.3, 1e-9);
    assert_close("ln of 2", mean(2, 32, |m| m.ln(), |x| x.exp()), 0.441_255_078_6, 1e-6);
}

#[test]
fn nested_expectations_have_their_known_means() {
    let cases: [(Function, [f64; 4], [f64; 2]); 3] = [
        (
            |m| m.square(),
            [0.523_544_296_4, 0.404_540_184_8, 0.345_038_129, 0.315_287_101],
            [0.188_703_286_3, 0.210_174_739_9],
        ),
        (
            |m| (m + 0.2).ln(),
            [-0.671_372_461_8, -0.501_490_172_9, -0.409_089_227_1, -0.368_474_992_1],
            [0.338_110_9, 0.283_371_468_5],
        ),
        (
            |m| (m * 2.0).exp(),
            [4.344_953_88, 3.642_236_4, 3.272_624_062, 3.091_202_688],
            [1.205_635_882, 1.274_910_556],
        ),
    ];
    for (function, means, derivatives) in cases {
        for (at, samples) in [1, 2, 4, 8].into_iter().enumerate() {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", 0.7)?;
                let logits = t * graph.constant([0.0, 1.0, -1.0]);
                let x = graph.sample("x", &Categorical::from_logits(logits), &ScoreFunction::new())?;
                let inner = graph.plate("inner", samples)?;
                let below = Bernoulli::from_logits(x * t - 0.5);
                let y = graph.sample("y", &below, &ScoreFunction::new().on_plate(inner))?;
                graph.cost("cost", plug_in(graph, [y], inner, |[mean]| function(mean))?)
            };
            let moments = Oracle::new().gradient(model).unwrap();
            assert_close("mean", moments.total(), means[at], 1e-9);
            if let Some(expected) = [0, 2].iter().position(|known| *known == at).map(|known| derivatives[known]) {
                assert_close("derivative", moments.mean("t").unwrap().item().unwrap(), expected, 1e-9);
            }
        }
    }
}

/// The bias of a gradient by the guarantee, and the reasons.
fn bias(record: impl for<'t> Fn(&Graph<'t, f64>, Var<'t, f64>, Plate) -> GraphResult<Var<'t, f64>>) -> (Bias, String) {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    TwoValues::new(1.0, 3.0, 0.3).record(&graph, 4, record).unwrap();
    let gradients = graph.backward().unwrap();
    let guarantee = gradients.guarantee("theta").unwrap();
    assert_eq!(guarantee.order, Order::Any);
    (guarantee.bias, gradients.reasons("theta").unwrap().join("; "))
}

#[test]
fn the_guarantee_states_the_bias_and_the_number_of_samples() {
    let (found, reasons) = bias(|graph, x, plate| plug_in(graph, [x], plate, |[mean]| mean.ln()));
    assert_eq!(found, Bias::Cost);
    assert!(reasons.contains("plug-in estimate from 4 samples along plate \"samples\""), "{reasons}");
    assert!(reasons.contains("a bias of order 1/4") && reasons.contains("plug_in/tests.rs"), "{reasons}");
    let (found, _) = bias(|graph, x, plate| plug_in(graph, [x, x.square()], plate, |[mean, square]| square * mean));
    assert_eq!(found, Bias::Cost);
    // Another way to depend on the members.
    let (found, _) = bias(|graph, x, plate| {
        let other = x.mean_over(plate);
        plug_in(graph, [x], plate, |[mean]| mean * other)
    });
    assert_eq!(found, Bias::Cost);
}

#[test]
fn affine_functions_and_enumerated_states_have_no_bias() {
    let (found, reasons) = bias(|graph, x, plate| {
        plug_in(graph, [x, x.square()], plate, |[mean, square]| (square - mean * 3.0) * 0.5 + 1.0)
    });
    assert_eq!((found, &reasons[..]), (Bias::Unbiased, ""));
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let bit = Bernoulli::from_probabilities(graph.param("theta", 0.3).unwrap());
    let x = graph.sample("x", &bit, &Enumerate::new()).unwrap() * 2.0 + 1.0;
    let log = plug_in(&graph, [x], x.plates()[0], |[mean]| mean.ln()).unwrap();
    graph.cost("cost", log).unwrap();
    let gradients = graph.backward().unwrap();
    assert_eq!(gradients.guarantee("theta").unwrap().bias, Bias::Unbiased);
    assert_close("value", gradients.total(), 0.470_003_629_2, 1e-9);
    assert_close("derivative", gradients.get("theta").unwrap().item().unwrap(), 1.25, 1e-12);
}

#[test]
fn parameters_beside_the_estimate_are_not_concerned() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let (location, other) = (graph.param("location", 0.3).unwrap(), graph.param("other", 0.2).unwrap());
    let plate = graph.plate("samples", 4).unwrap();
    let x = graph.sample("x", &Normal::new(location, 0.8), &Pathwise::new().on_plate(plate)).unwrap();
    graph.cost("square", plug_in(&graph, [x], plate, |[mean]| mean.square()).unwrap()).unwrap();
    graph.cost("other", other.square()).unwrap();
    let gradients = graph.backward().unwrap();
    assert_eq!(gradients.guarantee("location").unwrap().bias, Bias::Cost);
    assert_eq!(gradients.guarantee("other").unwrap().bias, Bias::Unbiased);
}

#[test]
fn values_and_results_on_the_wrong_plates_are_refused() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let plate = graph.plate("samples", 3).unwrap();
    let x = tape.constant_on(&[plate], Tensor::from([0.3, 0.4, 0.8]));
    let message = plug_in(&graph, [graph.constant(1.0)], plate, |[mean]| mean).unwrap_err().to_string();
    assert!(message.contains("along plate \"samples\", got one without it"), "{message}");
    let message = plug_in(&graph, [x], plate, |[mean]| mean * x).unwrap_err().to_string();
    assert!(message.contains("got a result along plate \"samples\""), "{message}");
}
