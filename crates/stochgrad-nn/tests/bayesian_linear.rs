//! The Bayesian linear layer with a gradient method: exact gradients and known variances for each way in which the
//! noise of the weights reaches the outputs.

use stochgrad_check::{Oracle, StatisticalTest};
use stochgrad_distributions::{Distribution, KlDivergence, Normal};
use stochgrad_estimators::{LeaveOneOut, Pathwise, ScoreFunction};
use stochgrad_graph::{Bias, Graph, GraphResult, Seed};
use stochgrad_nn::{BayesianLinear, Initialization, Mode, Parameters, WeightNoise};
use stochgrad_tape::Tape;
use stochgrad_tensor::Tensor;

const ALL: [WeightNoise; 3] = [WeightNoise::Shared, WeightNoise::LocalReparameterization, WeightNoise::Flipout];

/// Means, standard deviations, inputs and targets of a layer with two inputs and two outputs, without biases.
const MEANS: [[f64; 2]; 2] = [[0.2, -0.4], [0.6, 0.1]];
const DEVIATIONS: [[f64; 2]; 2] = [[0.5, 0.3], [0.8, 0.6]];
const INPUTS: [[f64; 2]; 3] = [[1.0, 0.5], [-0.3, 2.0], [0.7, -1.0]];
const TARGETS: [[f64; 2]; 3] = [[1.0, 0.0], [0.5, -1.0], [0.0, 0.3]];

/// The exact gradients with respect to the means and to the standard deviations.
const OF_MEANS: [f64; 4] = [-1.014, -1.222, 1.49, 3.145];
const OF_DEVIATIONS: [f64; 4] = [0.79, 0.474, 4.2, 3.15];

/// The numbers whose softplus is given.
fn before_softplus<const N: usize>(deviations: [f64; N]) -> [f64; N] {
    deviations.map(|deviation| deviation.exp_m1().ln())
}

fn layer() -> (Parameters<f64>, BayesianLinear) {
    let mut parameters = Parameters::new();
    let layer =
        BayesianLinear::without_bias(&mut parameters, "layer", 2, 2, Initialization::Uniform, Seed::new(0)).unwrap();
    parameters.set(layer.mean(), Tensor::from(MEANS)).unwrap();
    parameters.set(layer.deviation(), Tensor::from(DEVIATIONS.map(before_softplus))).unwrap();
    (parameters, layer)
}

/// Half the squared distance of the outputs from the targets, summed over the batch.
fn model(graph: &Graph<'_, f64>, noise: WeightNoise) -> GraphResult<()> {
    let (parameters, layer) = layer();
    let record = parameters.on(graph);
    let x = graph.data("x", INPUTS)?;
    let targets = graph.data_named("targets", "x", TARGETS)?;
    let y = layer.noise(noise).forward(&record, x, &Pathwise::new())?;
    // The average over the batch is a third of the sum.
    graph.cost("loss", (y - targets).square().sum() * 1.5)
}

/// Values with respect to the standard deviations, as those with respect to the parameters.
fn of_parameters(values: [f64; 4], power: i32) -> Tensor<f64> {
    // softplus has this derivative where its value is `deviation`.
    let slope = |deviation: f64| -(-deviation).exp_m1();
    Tensor::from_fn([2, 2], |i| values[i] * slope(DEVIATIONS.as_flattened()[i]).powi(power))
}

fn known() -> [(WeightNoise, [f64; 4], [f64; 4]); 3] {
    let independent = [1.01605, 0.508338, 11.195, 6.2415];
    let local = [0.7935176311, 0.3115297128, 23.66612095, 19.64286543];
    [
        (WeightNoise::Shared, [1.0337, 0.455076, 17.8, 9.9801], [2.685996, 2.173036, 37.6601, 29.793625]),
        (WeightNoise::LocalReparameterization, independent, local),
        (WeightNoise::Flipout, independent, [2.342748, 1.351244, 37.4675, 27.406625]),
    ]
}

#[test]
fn gradients_are_exact_and_variances_are_the_known_ones() {
    let close = |found: &Tensor<f64>, expected: &Tensor<f64>, what: &str| {
        for (found, expected) in found.as_slice().iter().zip(expected.as_slice()) {
            assert!((found - expected).abs() < 1e-8 * (1.0 + expected.abs()), "{what}: {found}, not {expected}");
        }
    };
    let means = Tensor::from_fn([2, 2], |i| OF_MEANS[i]);
    for (noise, of_means, of_deviations) in known() {
        let variances = (Tensor::from_fn([2, 2], |i| of_means[i]), of_parameters(of_deviations, 2));
        let run = |graph: &Graph<'_, f64>| model(graph, noise);
        if noise == WeightNoise::Flipout {
            // The signs have too many combinations for the oracle.
            let exact = [("layer.mean", means.clone()), ("layer.deviation", of_parameters(OF_DEVIATIONS, 1))];
            StatisticalTest::new().runs(10_000).check(run, &exact).unwrap();
            let variances = [("layer.mean", variances.0), ("layer.deviation", variances.1)];
            StatisticalTest::new().runs(10_000).check_variance(run, &variances, 0.1).unwrap();
            continue;
        }
        let moments = Oracle::new().nodes(3).gradient(run).unwrap();
        close(moments.mean("layer.mean").unwrap(), &means, "mean");
        close(moments.mean("layer.deviation").unwrap(), &of_parameters(OF_DEVIATIONS, 1), "mean");
        close(moments.variance("layer.mean").unwrap(), &variances.0, &format!("variance, {noise:?}"));
        close(moments.variance("layer.deviation").unwrap(), &variances.1, &format!("variance, {noise:?}"));
    }
    let [shared, local, flipout] = known().map(|(_, means, deviations)| means.iter().chain(&deviations).sum::<f64>());
    assert!(local < flipout && flipout < shared);
}

/// A layer with a bias, one input and one output, small enough for all combinations of signs.
#[test]
fn every_noise_is_exact_at_every_order() {
    let mut parameters = Parameters::new();
    let layer = BayesianLinear::new(&mut parameters, "layer", 1, 1, Initialization::Uniform, Seed::new(0)).unwrap();
    parameters.set("layer.mean", Tensor::from([[0.4], [-0.3]])).unwrap();
    parameters.set("layer.deviation", Tensor::from([[0.2], [-0.5]])).unwrap();
    let variance = |noise| {
        let layer = layer.clone().noise(noise);
        let model = |graph: &Graph<'_, f64>| {
            let record = parameters.on(graph);
            let x = graph.data("x", [[1.0], [0.6]])?;
            let y = layer.forward(&record, x, &Pathwise::new())?;
            let prior = Normal::new(record.constant(0.0), 1.0);
            record.cost("divergence", layer.posterior(&record)?.kl_to(&prior))?;
            record.cost("loss", (y - x * 2.0 + 0.5).square().sum())
        };
        Oracle::new().nodes(4).verify(model, 0..=2, 1e-9).unwrap_or_else(|error| panic!("{noise:?}: {error}"));
        let moments = Oracle::new().nodes(4).gradient(model).unwrap();
        ["layer.mean", "layer.deviation"].map(|name| moments.variance(name).unwrap().as_slice().iter().sum::<f64>())
    };
    let [shared, local, flipout] = ALL.map(variance);
    for parameter in 0..2 {
        assert!(local[parameter] < shared[parameter] && flipout[parameter] < shared[parameter]);
    }
}

#[test]
fn small_deviations_give_the_affine_map_for_any_batch() {
    let mut parameters = Parameters::<f64>::new();
    let seed = Seed::new(7);
    let layer = BayesianLinear::new(&mut parameters, "head", 2, 3, Initialization::Uniform, seed).unwrap();
    assert_eq!((layer.inputs(), layer.outputs(), layer.mean()), (2, 3, "head.mean"));
    parameters.set("head.deviation", Tensor::full([3, 3], -60.0)).unwrap();
    let mean = parameters.get("head.mean").unwrap().to_vec();
    let values = Tensor::from_fn([2, 2, 2, 2], |i| (i as f64 * 1.7).sin());
    let expected: Vec<f64> = values
        .as_slice()
        .chunks(2)
        .flat_map(|x| (0..3).map(|out| x[0] * mean[out] + x[1] * mean[3 + out] + mean[6 + out]).collect::<Vec<_>>())
        .collect();
    for noise in ALL {
        for (plates, mode) in
            [(0, Mode::Train), (1, Mode::Train), (2, Mode::Evaluate), (3, Mode::Train), (3, Mode::Predict)]
        {
            if noise == WeightNoise::LocalReparameterization && plates < 3 {
                continue;
            }
            let tape = Tape::new();
            let graph = Graph::new(&tape, seed);
            let record = parameters.on(&graph).in_mode(mode);
            let mut x = record.constant(values.clone());
            for plate in 0..plates {
                x = x.event_to_plate(graph.plate(&format!("plate {plate}"), 2).unwrap());
            }
            let y = layer.clone().noise(noise).forward(&record, x, &Pathwise::new()).unwrap();
            assert_eq!((y.plates(), y.shape().len(), y.shape().last()), (x.plates(), 4 - plates, Some(&3)));
            let found = y.value().unwrap();
            let near = found.as_slice().iter().zip(&expected).all(|(found, expected)| (found - expected).abs() < 1e-9);
            assert!(near, "{noise:?}, {plates} plates, {mode:?}: {found:?}, not {expected:?}");
        }
    }
}

#[test]
fn rows_of_a_member_share_their_weights() {
    let (parameters, layer) = layer();
    let layer = layer.noise(WeightNoise::Flipout);
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(3));
    let record = parameters.on(&graph);
    // Two members of three rows, of which the third is the sum of the others.
    let rows = [[1.0, 0.0], [0.3, -2.0], [1.3, -2.0]];
    let x = graph.data("x", [rows, rows]).unwrap();
    let y = layer.forward(&record, x, &Pathwise::new()).unwrap().value().unwrap();
    let members: Vec<&[f64]> = y.as_slice().chunks(6).collect();
    for member in &members {
        for output in 0..2 {
            assert!((member[output] + member[2 + output] - member[4 + output]).abs() < 1e-12, "{member:?}");
        }
    }
    assert_ne!(members[0], members[1], "members have signs of their own");
}

#[test]
fn predictions_share_the_weights_along_a_plate_of_functions() {
    let (parameters, layer) = layer();
    for noise in ALL {
        let layer = layer.clone().noise(noise);
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let record = parameters.on(&graph).in_mode(Mode::Predict);
        let functions = graph.plate("functions", 4).unwrap();
        let x = graph.data("x", [[1.0, 2.0], [1.0, 2.0], [2.0, 4.0]]).unwrap();
        let y = layer.forward(&record, x, &Pathwise::new().on_plate(functions)).unwrap();
        let y = y.plate_to_event(functions).value().unwrap();
        let of: Vec<&[f64]> = y.as_slice().chunks(8).collect();
        assert_eq!(of[0], of[1], "{noise:?}");
        assert!(of[0].iter().zip(of[2]).all(|(one, two)| (2.0 * one - two).abs() < 1e-12), "{noise:?}");
        assert_ne!(&of[0][..2], &of[0][2..4], "{noise:?}: functions differ");
    }
}

#[test]
fn other_methods_and_samples_of_the_weights_are_accepted() {
    let (parameters, layer) = layer();
    // The score function of the weights, with the same weights in two layers of cost.
    let shared = |graph: &Graph<'_, f64>| {
        let record = parameters.on(graph);
        let x = graph.data("x", INPUTS)?;
        let method = ScoreFunction::new().samples(2).baseline(LeaveOneOut);
        let weights = layer.sample(&record, &method)?;
        let first = layer.forward_with(&record, x, weights, &method)?;
        let second = layer.forward_with(&record, x * 0.5, weights, &method)?;
        record.cost("divergence", layer.posterior(&record)?.log_prob(weights))?;
        record.cost("loss", (first * second).sum())
    };
    Oracle::new().nodes(3).verify(shared, 0..=1, 1e-9).unwrap();
}

#[test]
fn programs_have_the_bits_of_recordings() {
    let (parameters, layer) = layer();
    for noise in ALL {
        let layer = layer.clone().noise(noise);
        let record = |graph: &Graph<'_, f64>| -> GraphResult<()> {
            let record = parameters.on(graph);
            let y = layer.forward(&record, graph.data("x", INPUTS)?, &Pathwise::new())?;
            record.cost("loss", y.square().sum())
        };
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(3).step(0));
        record(&graph).unwrap();
        let mut compiled = graph.compile().unwrap();
        for step in 0..3 {
            let tape = Tape::new();
            let graph = Graph::new(&tape, Seed::new(3).step(step));
            record(&graph).unwrap();
            let expected = graph.backward().unwrap();
            assert_eq!(expected.guarantee("layer.mean").unwrap().bias, Bias::Unbiased);
            parameters.set_on(&mut compiled).unwrap();
            compiled.set("x", &Tensor::from(INPUTS)).unwrap();
            let found = compiled.run(Seed::new(3).step(step)).unwrap();
            for name in ["layer.mean", "layer.deviation"] {
                assert_eq!(found.get(name).unwrap(), expected.get(name).unwrap(), "{noise:?}, step {step}");
            }
        }
    }
}

#[test]
fn inputs_of_zeros_have_finite_derivatives() {
    let mut parameters = Parameters::<f32>::new();
    let layer = BayesianLinear::without_bias(&mut parameters, "layer", 2, 1, Initialization::Uniform, Seed::new(0));
    let layer = layer.unwrap().noise(WeightNoise::LocalReparameterization);
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(3));
    let record = parameters.on(&graph);
    let x = graph.data("x", [[0.0, 0.0], [1e-30, 0.0]]).unwrap();
    let y = layer.forward(&record, x, &Pathwise::new()).unwrap();
    record.cost("loss", (y - 1.0).square().sum()).unwrap();
    let gradients = graph.backward().unwrap();
    assert!(["layer.mean", "layer.deviation"].iter().all(|name| gradients.get(name).unwrap().all_finite()));
}

#[test]
fn wrong_uses_are_errors_that_name_the_layer() {
    let (mut parameters, layer) = layer();
    let error = BayesianLinear::new(&mut parameters, "empty", 0, 3, Initialization::Uniform, Seed::new(0));
    assert!(error.unwrap_err().to_string().contains("0 and 3 for layer `empty`"));
    let local = layer.clone().noise(WeightNoise::LocalReparameterization);
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(3));
    let record = parameters.on(&graph);
    let x = graph.data("x", [[1.0, -2.0, 0.0]]).unwrap();
    let error = layer.forward(&record, x, &Pathwise::new()).unwrap_err().to_string();
    assert!(error.contains("`layer.mean`") && error.contains("expected 2") && error.contains("bayesian_linear.rs"));
    let rows = graph.data("rows", [INPUTS]).unwrap();
    let error = local.forward(&record, rows, &Pathwise::new()).unwrap_err().to_string();
    assert!(error.contains("`layer.mean`") && error.contains("one row for each member"), "{error}");
    let good = graph.data("good", INPUTS).unwrap();
    layer.forward(&record, good, &Pathwise::new()).unwrap();
    let error = layer.forward(&record, good, &Pathwise::new()).unwrap_err().to_string();
    assert!(error.contains("\"layer\""), "{error}");
}
