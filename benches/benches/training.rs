//! The parts of a training step: recording, the surrogate, backward, counterfactual replays, and Adam.

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use stochgrad::graph::DynMethod;
use stochgrad::nn::{Activation, Adam, Inputs, Mlp, Parameters};
use stochgrad::prelude::*;
use stochgrad::tape::Workspace;
use stochgrad_benches::data::batches;
use stochgrad_benches::vae::{Latent, NET_A, Vae};

/// Net a with leave-one-out on four samples.
fn net_a(parameters: &mut Parameters<f32>) -> Vae {
    let method = Arc::new(ScoreFunction::new().samples(4).baseline(LeaveOneOut));
    Vae::new(NET_A, Latent::Bits { bits: 200, method }, parameters).expect("a model")
}

fn parts(criterion: &mut Criterion) {
    let mut parameters = Parameters::new();
    let model = net_a(&mut parameters);
    let images = batches(1, NET_A.batch, NET_A.pixels).remove(0);
    let inputs = Inputs::new().batch("batch", &images);
    let mut group = criterion.benchmark_group("net a, leave-one-out K=4");
    group.sample_size(20);
    let mut workspace = Workspace::new();
    let mut step = 0;
    group.bench_function("record", |bencher| {
        bencher.iter(|| {
            let graph = Graph::new(workspace.tape(), Seed::new(0).step(step));
            model.record(&parameters.on(&graph).with_inputs(&inputs)).expect("a model");
            step += 1;
        });
    });

    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(0));
    model.record(&parameters.on(&graph).with_inputs(&inputs)).expect("a model");
    let recorded = tape.len();
    group.bench_function("surrogate", |bencher| {
        bencher.iter(|| {
            graph.surrogate().expect("a surrogate");
            tape.truncate(recorded);
        });
    });
    group.bench_function("surrogate and backward", |bencher| {
        bencher.iter(|| graph.backward().expect("gradients"));
    });

    group.bench_function("compile", |bencher| {
        bencher.iter(|| graph.compile().expect("a compiled graph"));
    });
    let mut compiled = graph.compile().expect("a compiled graph");
    group.bench_function("run", |bencher| {
        bencher.iter(|| {
            parameters.set_on(&mut compiled).expect("parameters");
            compiled.set("batch", &images).expect("data");
            compiled.run(Seed::new(0).step(step)).expect("gradients");
            step += 1;
        });
    });

    let gradients = graph.backward().expect("gradients");
    let mut adam = Adam::new(1e-3);
    group.bench_function("Adam", |bencher| {
        bencher.iter(|| adam.step(&mut parameters, &gradients).expect("a step"));
    });
}

/// A layer of bits, for each of which the flipped bit is decoded as well.
fn replays(criterion: &mut Criterion) {
    const BITS: usize = 50;
    let mut parameters = Parameters::<f32>::new();
    let sizes = [BITS, 100, 1];
    let head = Mlp::new(&mut parameters, "head", &sizes, Activation::Tanh, Seed::new(0)).expect("a network");
    let logits = Tensor::<f32>::zeros([BITS]);
    let mut group = criterion.benchmark_group("counterfactual replay");
    group.sample_size(20);
    let methods: [(&str, DynMethod<f32, Bernoulli<stochgrad::distributions::Id>>); 2] = [
        ("measure-valued, 50 bits", Arc::new(MeasureValued::new())),
        ("stochastic derivatives, 50 bits", Arc::new(StochasticDerivatives::new())),
    ];
    for (name, method) in methods {
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(0));
        let theta = graph.param("theta", &logits).expect("a parameter");
        let bits = graph.sample("bits", &Bernoulli::from_logits(theta), &method).expect("bits");
        let cost = head.forward(&parameters.on(&graph), bits).expect("a network").square().sum();
        graph.cost("cost", cost).expect("a cost");
        group.bench_function(name, |bencher| bencher.iter(|| graph.backward().expect("gradients")));
    }
}

criterion_group!(benches, parts, replays);
criterion_main!(benches);
