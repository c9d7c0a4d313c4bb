//! From the fourth step on, a compiled step allocates nothing, by any method and for any distribution, on one thread
//! and on two.
//!
//! The steps run inside a pool of threads, so that no work is passed to it from outside, which allocates now and then.

use crate::entries::entries;
use crate::inputs;
use crate::rows::rows;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use stochgrad::check::models;
use stochgrad::distributions::{Draw, KeyedNoise, NoiseKey};
use stochgrad::graph::GraphResult;
use stochgrad::nn::{Adam, Parameters};
use stochgrad::prelude::*;
use stochgrad::tape::{NoiseSeed, PlateKind, Plates, Tape};
use stochgrad::tensor::Tensor;

thread_local! {
    /// Counts the allocations of this thread, where there is one.
    static COUNTER: Cell<Option<&'static AtomicUsize>> = const { Cell::new(None) };
}

struct Counting;

impl Counting {
    fn count(&self) {
        if let Ok(Some(counter)) = COUNTER.try_with(Cell::get) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// SAFETY: every call is forwarded to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.count();
        // SAFETY: the caller guarantees the conditions of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller guarantees the conditions of the system's allocator.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.count();
        // SAFETY: the caller guarantees the conditions of the system's allocator.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs some work inside pools of one and of two threads, whose allocations are counted together.
fn inside_pools(work: impl Fn(usize) + Sync) {
    for threads in [1, 2] {
        let counter: &'static AtomicUsize = Box::leak(Box::default());
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .start_handler(move |_| COUNTER.with(|own| own.set(Some(counter))))
            .build()
            .expect("a pool of threads");
        pool.install(|| work(threads));
    }
}

/// The allocations that a pool of several threads may make in all steps together. A single one in 200 steps has been
/// seen now and then, so it does not belong to a step; its origin is not known.
const BETWEEN_THREADS: usize = 2;

/// Runs three steps, then `count` more. Returns a message if these allocate.
fn steady(what: &str, count: usize, mut step: impl FnMut(usize)) -> Option<String> {
    const WARM: usize = 3;
    let counter = COUNTER.with(Cell::get).expect("a thread of a counted pool");
    (0..WARM).for_each(&mut step);
    let before = counter.load(Ordering::Relaxed);
    (WARM..WARM + count).for_each(step);
    let found = counter.load(Ordering::Relaxed) - before;
    let allowed = if rayon::current_num_threads() > 1 { BETWEEN_THREADS } else { 0 };
    (found > allowed).then(|| format!("{what}: {found} allocations in {count} steps"))
}

fn nothing_allocates(messages: &[String]) {
    assert!(messages.is_empty(), "{}", messages.join("\n"));
}

/// The number of steps that are counted.
const STEPS: usize = 200;

/// Trains a small model, and checks that its steps allocate nothing.
fn trains(
    threads: usize,
    what: &str,
    sizes: [usize; 2],
    record: impl for<'t> Fn(&Graph<'t, f32>, Var<'t, f32>) -> GraphResult<()>,
) {
    let [rows, width] = sizes;
    let values = |shape: [usize; 2], seed: f32| Tensor::from_fn(shape, |i| ((i as f32 + 1.0) * seed).sin() * 0.3);
    let mut parameters = Parameters::<f32>::new();
    parameters.insert("weights", values([3, width], 1.7)).unwrap();
    parameters.insert("bias", Tensor::zeros([width])).unwrap();
    let batch = values([rows, 3], 0.7);
    let tape = Tape::with_threads(threads);
    let graph = Graph::new(&tape, Seed::new(1));
    let mut compiled = {
        let model = parameters.on(&graph);
        let images = graph.data("images", &batch).unwrap();
        let logits = images.matmul(model.param("weights").unwrap()) + model.param("bias").unwrap();
        record(&graph, logits).unwrap_or_else(|error| panic!("{what}: {error}"));
        graph.compile().unwrap_or_else(|error| panic!("{what}: {error}"))
    };
    let mut adam = Adam::new(1e-3);
    let message = steady(&format!("{what}, {threads} threads"), STEPS, |number| {
        parameters.set_on(&mut compiled).unwrap();
        compiled.set("images", &batch).unwrap();
        compiled.run(Seed::new(1).step(number)).unwrap();
        adam.step(&mut parameters, compiled.gradients()).unwrap();
        compiled.advance();
    });
    nothing_allocates(message.as_slice());
}

#[test]
fn training_allocates_nothing() {
    inside_pools(|threads| {
        trains(threads, "control variates with a state", [40, 9], |graph, logits| {
            let distribution = Bernoulli::from_logits(logits);
            let z = graph.sample("z", &distribution, &Rebar::new().learned(1e-3))?;
            graph.cost("cost", (z - 0.3_f64).square().sum())?;
            graph.cost("kl", distribution.kl_to(&Bernoulli::from_logits(graph.constant(0.0))))
        });
        trains(threads, "many samples", [40, 4], |graph, logits| {
            let method = ScoreFunction::new().samples(50).baseline(LeaveOneOut);
            let z = graph.sample("z", &Bernoulli::from_logits(logits), &method)?;
            graph.cost("cost", (z * 1.5_f64).sin().sum())
        });
    });
}

/// Compiles a step. Returns a message if its runs fail or allocate. Steps that the method refuses, or that do not
/// compile, are left to the page of what compiles.
fn of_graph(
    threads: usize,
    what: &str,
    compiled: &mut usize,
    record: impl Fn(&Graph<'_, f64>) -> GraphResult<()>,
) -> Option<String> {
    let tape = Tape::with_threads(threads);
    let graph = Graph::new(&tape, Seed::new(1));
    let mut program = record(&graph).and_then(|()| graph.compile()).ok()?;
    *compiled += 1;
    let inputs = inputs(&graph, &program).expect("values of inputs");
    let mut failure = None;
    let message = steady(&format!("{what}, {threads} threads"), STEPS, |number| {
        for (name, value) in &inputs {
            program.set(name, value).expect("an input");
        }
        if let Err(error) = program.run(Seed::new(1).step(number)) {
            failure.get_or_insert(format!("{what}, step {number}: {error}"));
        }
        program.advance();
    });
    failure.or(message)
}

#[test]
fn no_distribution_allocates() {
    inside_pools(|threads| {
        let (mut compiled, mut messages) = (0, Vec::new());
        for row in rows() {
            for (can, step) in &row.steps {
                for trained in 0..=row.ordinary.len() {
                    let what = format!("{}, {can}, parameter {trained}", row.distribution);
                    let record = |graph: &Graph<'_, f64>| step(graph, row.ordinary, trained);
                    messages.extend(of_graph(threads, &what, &mut compiled, record));
                }
            }
        }
        nothing_allocates(&messages);
        assert!(compiled > 100, "only {compiled} combinations compiled");
    });
}

#[test]
fn no_method_allocates() {
    inside_pools(|threads| {
        let (mut compiled, mut messages) = (0, Vec::new());
        for subject in entries().iter().flat_map(|entry| &entry.subjects) {
            for (shape, model) in models::ALL {
                let what = format!("{} on {}, {shape}", subject.name, subject.title);
                let record = |graph: &Graph<'_, f64>| model(graph, &*subject.draw);
                messages.extend(of_graph(threads, &what, &mut compiled, record));
            }
        }
        nothing_allocates(&messages);
        assert!(compiled > 300, "only {compiled} combinations compiled");
    });
}

/// Draws and their log-probabilities, many enough for both threads. The log-probability of a Delta distribution is one value for
/// all draws, seen with another shape: a view, whose buffer an output does not give back.
#[test]
fn no_large_draw_allocates() {
    inside_pools(|threads| {
        let mut messages = Vec::new();
        for row in rows().into_iter().filter(|row| !row.distribution.starts_with("Delta")) {
            let tape = Tape::<f64>::with_threads(threads);
            let leaves: Vec<Var<'_, f64>> = row.ordinary.iter().map(|&value| tape.parameter(value)).collect();
            let distribution = (row.build)(&tape, &leaves);
            let plate = tape.plate("samples", 21_000, PlateKind::Samples, &[]);
            let noise = KeyedNoise::new(1, 0);
            let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
            let sample = distribution.sample(&draw).expect("a draw");
            let Ok(mut program) = tape.compile(&leaves, &[sample, distribution.log_prob(sample)]) else { continue };
            let values: Vec<Tensor<f64>> = row.ordinary.iter().map(|&value| Tensor::scalar(value)).collect();
            let mut failure = None;
            let message = steady(&format!("{}, {threads} threads", row.distribution), 20, |step| {
                for (index, value) in values.iter().enumerate() {
                    program.set(index, value).expect("an input");
                }
                if let Err(error) = program.run(NoiseSeed { seed: 1, step: step as u64 }) {
                    failure.get_or_insert(format!("{}, step {step}: {error}", row.distribution));
                }
            });
            messages.extend(failure.or(message));
        }
        nothing_allocates(&messages);
    });
}
