//! From the second step on, a compiled training step allocates nothing.
//!
//! Products of large matrices allocate scratch memory once for each thread, on machines with special kernels (x86-64
//! with AVX2).

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use stochgrad::distributions::Id;
use stochgrad::estimators::{
    Constant, DoubleControlVariate, LinearControlVariates, MovingAverage, Normalized, Nvil, OptimalBaseline, Rodeo,
    Temperature,
};
use stochgrad::graph::{DynMethod, GraphResult};
use stochgrad::nn::{
    Activation, Adam, AdamW, Average, AvgPool2d, BatchNorm, Clip, Conv2d, ConvKernel, ConvTranspose2d, Convolution,
    Dropout, Embedding, Flatten, GroupNorm, Gru, Initialization, Layer, LayerNorm, Linear, Lstm, MaxPool2d, Mlp,
    MultiHeadAttention, NnResult, Parameters, Residual, RmsProp, Schedule, Sequential, Sgd,
};
use stochgrad::prelude::*;
use stochgrad::tensor::Tensor;
use stochgrad::tensor::pooling::Pooling;
use stochgrad::tensor::sort::Order;
use stochgrad::train::Trainer;
use stochgrad::train::source::Tensors;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is forwarded to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller guarantees the conditions of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller guarantees the conditions of the system's allocator.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller guarantees the conditions of the system's allocator.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

/// Trains a small model for some steps, and returns the number of allocations of the later ones.
fn steady(what: &str, sizes: [usize; 2], record: impl for<'t> Fn(&Graph<'t, f32>, Var<'t, f32>) -> GraphResult<()>) {
    let [rows, width] = sizes;
    let values = |shape: [usize; 2], seed: f32| Tensor::from_fn(shape, |i| ((i as f32 + 1.0) * seed).sin() * 0.3);
    let mut parameters = Parameters::<f32>::new();
    parameters.insert("weights", values([3, width], 1.7)).unwrap();
    parameters.insert("bias", Tensor::zeros([width])).unwrap();
    let batch = values([rows, 3], 0.7);
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let mut compiled = {
        let model = parameters.on(&graph);
        let images = graph.data("images", &batch).unwrap();
        let logits = images.matmul(model.param("weights").unwrap()) + model.param("bias").unwrap();
        record(&graph, logits).unwrap_or_else(|error| panic!("{what}: {error}"));
        graph.compile().unwrap_or_else(|error| panic!("{what}: {error}"))
    };
    let mut clip = Clip::by_global_norm(0.5);
    let mut adam = Adam::new(Schedule::cosine(1e-3, 1e-4, 100).warm_up(5));
    let mut average = Average::exponential(0.99);
    let mut sgd = Sgd::new(1e-3).momentum(0.9);
    let mut grouped = AdamW::new(Schedule::one_cycle(1e-3, 100))
        .group("bias", RmsProp::new(1e-3).momentum(0.5).centered(true))
        .clip(Clip::by_global_norm(0.1))
        .average(Average::uniform())
        .accumulate(2);
    let mut step = |number: usize| {
        parameters.set_on(&mut compiled).unwrap();
        compiled.set("images", &batch).unwrap();
        clip.apply(compiled.run(Seed::new(1).step(number)).unwrap()).unwrap();
        adam.step(&mut parameters, compiled.gradients()).unwrap();
        sgd.step(&mut parameters, compiled.gradients()).unwrap();
        grouped.step(&mut parameters, compiled.gradients()).unwrap();
        average.update(&parameters).unwrap();
        compiled.advance();
    };
    (0..6).for_each(&mut step);
    let count = allocations(|| (6..12).for_each(&mut step));
    assert_eq!(count, 0, "{what}: allocations in six steps");
}

#[test]
fn a_steady_step_allocates_nothing() {
    type Bits = DynMethod<f32, Bernoulli<Id>>;
    let past = LinearControlVariates::from_past(0.9).with(Constant(1.0)).with(LeaveOneOut);
    let methods: [Bits; 16] = [
        Arc::new(ScoreFunction::new()),
        Arc::new(ScoreFunction::new().samples(4).baseline(LeaveOneOut)),
        Arc::new(ScoreFunction::new().baseline(MovingAverage::new(0.9))),
        Arc::new(GumbelSoftmax::new(Temperature::exponential(1.0, 0.5, 5))),
        Arc::new(GumbelSoftmax::new(0.5).straight_through()),
        Arc::new(Enumerate::new()),
        Arc::new(DisArm::new()),
        Arc::new(Rebar::new().learned(1e-3)),
        Arc::new(Relax::new().hidden(3)),
        Arc::new(ScoreFunction::new().baseline(Nvil::new().hidden(3))),
        Arc::new(ScoreFunction::new().baseline(Normalized::new(MovingAverage::new(0.9), 0.9))),
        Arc::new(ScoreFunction::new().samples(2).baseline(OptimalBaseline::new(0.9))),
        Arc::new(ScoreFunction::new().samples(2).baseline(OptimalBaseline::new(0.9).by_element())),
        Arc::new(ScoreFunction::new().samples(2).baseline(past)),
        Arc::new(DoubleControlVariate::new(2).learned(1e-3)),
        Arc::new(Rodeo::new(2)),
    ];
    for method in methods {
        steady(&method.name(), [6, 4], |graph, logits| {
            let distribution = Bernoulli::from_logits(logits);
            let z = graph.sample("z", &distribution, &method)?;
            graph.cost("cost", (z - 0.3_f64).square().sum())?;
            graph.cost("kl", distribution.kl_to(&Bernoulli::from_logits(graph.constant(0.0))))
        });
    }
    steady("categories", [6, 4], |graph, logits| {
        let method = ScoreFunction::new().samples(3).baseline(LeaveOneOut);
        let z = graph.sample("z", &OneHotCategorical::from_logits(logits), &method)?;
        graph.cost("cost", (z - 0.3_f64).square().sum())
    });
    steady("pathwise", [6, 4], |graph, logits| {
        let distribution = Normal::new(logits.slice(0, 0..2), logits.slice(0, 2..4).exp());
        let z = graph.sample("z", &distribution, &Pathwise::new())?;
        graph.cost("cost", z.square().sum())
    });
}

/// Trains a layer for some steps, and returns the number of allocations of the later ones.
fn steady_layer(what: &str, x: &Tensor<f32>, mut parameters: Parameters<f32>, layer: &dyn Layer<f32>) {
    parameters.insert("scale", Tensor::scalar(0.5)).unwrap();
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let mut compiled = {
        let record = parameters.on(&graph);
        let y = layer.forward(&record, graph.data("batch", x).unwrap()).unwrap();
        record.cost("cost", (y.square() * record.param("scale").unwrap()).sum()).unwrap();
        graph.compile().unwrap_or_else(|error| panic!("{what}: {error}"))
    };
    let mut adam = Adam::new(1e-3);
    let mut step = |number: usize| {
        parameters.set_on(&mut compiled).unwrap();
        compiled.set("batch", x).unwrap();
        adam.step(&mut parameters, compiled.run(Seed::new(1).step(number)).unwrap()).unwrap();
        parameters.advance(compiled.gradients()).unwrap();
    };
    (0..3).for_each(&mut step);
    let count = allocations(|| (3..8).for_each(&mut step));
    assert_eq!(count, 0, "{what}: allocations in five steps");
}

#[test]
fn layers_allocate_nothing() {
    type Make = fn(&mut Parameters<f32>) -> NnResult<Box<dyn Layer<f32>>>;
    let seed = Seed::new(7);
    let layers: [(&str, &[usize], Make); 10] = [
        ("embedding", &[4, 3], |p| Ok(Box::new(Embedding::new(p, "f", 9, 8, Seed::new(7))?))),
        ("convolutions", &[4, 8, 8, 2], |p| {
            let halving = ConvKernel::new([4, 4]).convolution(Convolution::new().stride([2, 2]).padding([1, 1]));
            let seed = Seed::new(7);
            let layers = Sequential::builder(p, "f")
                .layer(|at, name| Conv2d::new(at, name, [2, 3], halving, seed))
                .then(MaxPool2d::new(Pooling::new([2, 2])))
                .layer(|at, name| ConvTranspose2d::new(at, name, [3, 2], halving, seed))
                .then(AvgPool2d::new(Pooling::new([2, 2])))
                .then(Flatten::channels_first());
            Ok(Box::new(layers.build()?))
        }),
        ("layer normalisation", &[4, 3, 8], |p| Ok(Box::new(LayerNorm::new(p, "f", [3, 8])?))),
        ("group normalisation", &[4, 3, 8], |p| Ok(Box::new(GroupNorm::new(p, "f", 2, 8)?))),
        ("batch normalisation", &[4, 3, 8], |p| Ok(Box::new(BatchNorm::new(p, "f", 8)?))),
        ("dropout", &[4, 3, 8], |p| Ok(Box::new(Dropout::new(p, "f", 0.5)?))),
        ("kept rows and units", &[8, 8], |p| {
            let mlp = Mlp::new(p, "f", &[8, 6, 8], Activation::Relu, Seed::new(7))?;
            Ok(Box::new(mlp.keep_rows(0.5)?.keep_units(0.5)?))
        }),
        ("gated recurrent units", &[4, 5, 8], |p| Ok(Box::new(Gru::new(p, "f", 8, 6, 2, Seed::new(7))?))),
        ("long short-term memory", &[4, 5, 8], |p| Ok(Box::new(Lstm::new(p, "f", 8, 6, 1, Seed::new(7))?))),
        ("attention", &[4, 5, 8], |p| Ok(Box::new(MultiHeadAttention::new(p, "f", 8, 2, Seed::new(7))?.causal()))),
    ];
    for (what, shape, make) in layers {
        let mut parameters = Parameters::new();
        let layer = make(&mut parameters).unwrap();
        let categories = what == "embedding";
        let x = Tensor::from_fn(shape, |i| if categories { (i * 7 % 9) as f32 } else { (i as f32 * 0.7).sin() });
        steady_layer(what, &x, parameters, &*layer);
    }
    let mut parameters = Parameters::new();
    let block = Sequential::builder(&mut parameters, "f")
        .layer(|at, name| Ok(Residual::new(Linear::new(at, name, 8, 8, Initialization::Orthogonal, seed)?)))
        .then(Activation::Gelu)
        .then(Activation::GeluTanh)
        .then(Activation::Silu)
        .then(Activation::Elu(1.0))
        .build()
        .unwrap();
    steady_layer("a sequence of layers", &Tensor::ones([4, 8]), parameters, &block);
}

#[test]
fn scans_look_ups_and_sorted_values_allocate_nothing() {
    steady("scans, look-ups and sorted values", [6, 4], |graph, logits| {
        let (sorted, positions) = logits.sort(0, Order::Ascending);
        let rows = logits.sum_axis(0).exp() * graph.constant(Tensor::from_fn([4, 3], |i| i as f32 * 0.1));
        let looked_up = rows.lookup(positions).sum_axis(1) + logits.topk(0, 4).0.scatter(0, positions, sorted);
        let scans =
            logits.cumprod(0) + logits.logcumsumexp(0) + logits.logaddexp(looked_up) + sorted.xlogy(sorted.exp());
        graph.cost("cost", (scans * logits.prod()).norm() + logits.min())
    });
}

#[test]
fn long_chains_allocate_nothing() {
    steady("thousands of elements", [40, 4], |graph, logits| {
        let z = graph.sample("z", &Bernoulli::from_logits(logits), &ScoreFunction::new().samples(50))?;
        graph.cost("cost", (z * 1.5_f64).sin().sum())
    });
}

#[test]
#[cfg(target_arch = "x86_64")]
fn large_products_allocate_nothing() {
    if !(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")) {
        return;
    }
    steady("a layer of a network", [100, 90], |graph, logits| {
        let distribution = Bernoulli::from_logits(logits);
        let z = graph.sample("z", &distribution, &Relax::new())?;
        let weights = graph.constant(Tensor::from_fn([90, 70], |i| (i as f32).cos()));
        graph.cost("cost", z.matmul(weights).square().sum())
    });
}

#[test]
fn a_training_loop_allocates_nothing_for_a_minibatch() {
    let mut parameters = Parameters::<f32>::new();
    parameters.insert("weights", Tensor::from([0.3, -0.2, 0.1])).unwrap();
    let x = Tensor::from_fn([4000, 3], |i| (i as f32 * 0.7).sin());
    let data = Tensors::new().with("x", x).unwrap().with("y", Tensor::ones([4000])).unwrap();
    let (mut before, mut count) = (0, None);
    Trainer::new(Adam::new(1e-3))
        .epochs(1)
        .batch(20)
        .quiet()
        .ignore_signals()
        .warn_below("loss", -1.0, 10)
        .on_step(|progress| {
            // The model is recorded again at steps 10 and 100.
            match progress.step {
                20 => before = ALLOCATIONS.with(Cell::get),
                90 => count = Some(ALLOCATIONS.with(Cell::get) - before),
                _ => {}
            }
            ControlFlow::Continue(())
        })
        .fit(&mut parameters, &data, |record| {
            let bits = Bernoulli::from_logits((record.param("weights")? * record.input("x")?).sum());
            let z = record.sample("z", &bits, &ScoreFunction::new().samples(2).baseline(LeaveOneOut))?;
            record.cost("loss", (z - record.input("y")?).square())
        })
        .unwrap();
    assert_eq!(count, Some(0), "allocations in seventy steps");
}
