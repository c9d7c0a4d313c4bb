//! Layers in stochastic models: exact expectations, and the same bits in recorded and compiled steps.

use stochgrad::check::Oracle;
use stochgrad::graph::GraphResult;
use stochgrad::nn::{
    Activation, Adam, BatchNorm, Dropout, GroupNorm, Gru, Initialization, Inputs, Layer, Linear, MultiHeadAttention,
    Optimizer, Parameters, Sequential,
};
use stochgrad::prelude::*;

/// A bit whose logit has a mask, and a cost that depends on both.
fn masked(graph: &Graph<'_, f64>) -> GraphResult<()> {
    let theta = graph.param("theta", [0.4, -0.6])?;
    let mask = graph.mask("mask", 0.75, &[], [2])?;
    let z = graph.sample("z", &Bernoulli::from_logits(theta * mask), &ScoreFunction::new())?;
    graph.cost("cost", (z * 1.5_f64 + mask * theta - 0.3_f64).square().sum())
}

#[test]
fn the_expectation_runs_over_masks_as_well() {
    Oracle::new().verify(masked, 1..=2, 1e-9).expect("agreement");
    // The expected cost is a sum over bits and masks.
    let exact = Oracle::new().exact_gradient(masked).expect("a gradient");
    let found = exact[0].1.as_slice();
    let expected = |theta: f64| {
        let cost = |theta: f64| {
            let mut sum = 0.0;
            for (mask, weight) in [(0.0, 0.25), (1.0, 0.75)] {
                let p = 1.0 / (1.0 + (-theta * mask).exp());
                for (z, probability) in [(1.0, p), (0.0, 1.0 - p)] {
                    sum += weight * probability * (z * 1.5 + mask * theta - 0.3_f64).powi(2);
                }
            }
            sum
        };
        (cost(theta + 1e-5) - cost(theta - 1e-5)) / 2e-5
    };
    for (found, theta) in found.iter().zip([0.4, -0.6]) {
        assert!((found - expected(theta)).abs() < 1e-8, "{found}, expected {}", expected(theta));
    }
}

/// The outputs of a normalising layer for bits, each with a cost of its own.
fn normalized<'a>(
    parameters: &'a Parameters<f64>,
    layer: &'a dyn Layer<f64>,
) -> impl Fn(&Graph<'_, f64>) -> GraphResult<()> + 'a {
    move |graph| {
        let record = parameters.on(graph);
        let x = graph.data("batch", [[0.2, -0.4], [1.0, 0.3], [-0.7, 0.8]])?;
        let logits = x * record.param("slope")?;
        let z = record.sample("z", &Bernoulli::from_logits(logits), &ScoreFunction::new())?;
        record.cost("cost", (layer.forward(&record, z + x)? * x).square().sum())
    }
}

#[test]
fn gradients_behind_normalising_layers_are_exact() {
    let mut parameters = Parameters::new();
    parameters.insert("slope", Tensor::from([0.8, -1.2])).expect("a new name");
    let batch = BatchNorm::new(&mut parameters, "batch_norm", 2).expect("a layer").epsilon(0.1);
    let group = GroupNorm::new(&mut parameters, "group_norm", 1, 2).expect("a layer").epsilon(0.1);
    for layer in [&batch as &dyn Layer<f64>, &group] {
        Oracle::new().verify(normalized(&parameters, layer), 1..=1, 1e-9).expect("agreement");
    }
}

/// A model with most layers: a recurrent encoder with attention, bits, and a decoder with dropout and batch normalisation.
#[test]
fn compiled_steps_of_a_stochastic_model_are_recorded_ones_on_any_number_of_threads() {
    let (seed, uniform) = (Seed::new(7), Initialization::Uniform);
    let mut parameters = Parameters::<f32>::new();
    let encoder = Sequential::builder(&mut parameters, "encoder")
        .layer(|at, name| Gru::new(at, name, 3, 4, 1, seed))
        .layer(|at, name| Ok(MultiHeadAttention::new(at, name, 4, 2, seed)?.causal()))
        .layer(|at, name| GroupNorm::new(at, name, 2, 4))
        .build()
        .expect("an encoder");
    let decoder = Sequential::builder(&mut parameters, "decoder")
        .layer(|at, name| Linear::new(at, name, 4, 6, Initialization::Orthogonal, seed))
        .layer(|at, name| BatchNorm::new(at, name, 6))
        .then(Activation::Silu)
        .layer(|at, name| Dropout::new(at, name, 0.25))
        .layer(|at, name| Linear::new(at, name, 6, 3, uniform, seed))
        .build()
        .expect("a decoder");
    let model = |record: &Record<'_, '_, f32>| {
        let x = record.input("x")?;
        let logits = encoder.forward(record, x)?;
        let method = ScoreFunction::new().samples(2).baseline(LeaveOneOut);
        let z = record.sample("z", &Bernoulli::from_logits(logits), &method)?;
        record.cost("cost", (decoder.forward(record, z)? - x).square().sum())
    };
    let inputs = |step: usize| {
        let x = Tensor::from_fn([5, 2, 3], |i| ((i + 31 * step) as f32 * 0.9).sin());
        Inputs::new().batch("x", x)
    };
    let train = |threads: Option<usize>| {
        let (mut parameters, mut adam) = (parameters.clone(), Adam::new(0.01));
        let mut step = Step::new(model).threads(threads.unwrap_or(1));
        for number in 0..4 {
            let (inputs, seed) = (inputs(number), seed.step(number));
            if threads.is_some() {
                step.train(&mut parameters, &mut adam, &inputs, seed).expect("a step");
                continue;
            }
            let tape = Tape::new();
            let graph = Graph::new(&tape, seed);
            model(&parameters.on(&graph).with_inputs(&inputs)).expect("a recording");
            let gradients = graph.backward().expect("gradients");
            adam.step(&mut parameters, &gradients).expect("an update");
            parameters.advance(&gradients).expect("running statistics");
        }
        let values = parameters.iter().chain(parameters.buffers());
        values.flat_map(|(_, value)| value.to_vec()).map(f32::to_bits).collect::<Vec<u32>>()
    };
    let recorded = train(None);
    for threads in [1, 2, 8] {
        assert_eq!(train(Some(threads)), recorded, "{threads} threads");
    }
}
