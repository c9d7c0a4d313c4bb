//! A random walk under every method by perturbation: the gradient of E[X_n²] has the exact mean, and its standard
//! deviation is the one that an independent simulation of each estimator gives.
//!
//! X₀ = 0, a step up has the probability exp(−X / p), else a step down follows, and p = 2n. The short walk runs here;
//! `cargo test --release -p stochgrad-estimators -- --ignored` runs the one of fifty steps too.

use rand_chacha::ChaCha8Rng;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use stochgrad_distributions::{
    Bernoulli, DistributionResult, Id, KeyedNoise, NoiseKey, NoiseLayout, NoiseSource, Side,
};
use stochgrad_estimators::{
    Constant, Importance, MeasureValued, ReplayBudget, Reservoir, ScoreFunction, StochasticDerivatives,
};
use stochgrad_graph::{
    CostContext, DynMethod, GradientMethod, Graph, GraphResult, Method, Order, Profile, SampleContext, SamplePlate,
    SampleSet, Seed, Terms,
};
use stochgrad_tape::{Primitive, PrimitiveInputs, Var, Workspace};
use stochgrad_tensor::Tensor;

type Bits = DynMethod<f64, Bernoulli<Id>>;

/// Noise that is another one after each change of the salt.
struct Salted {
    seed: u64,
    step: u64,
    salt: Arc<AtomicU64>,
}

impl Salted {
    fn noise(&self) -> KeyedNoise {
        KeyedNoise::new(self.seed + self.salt.load(Ordering::Relaxed), self.step)
    }
}

impl NoiseSource<f64> for Salted {
    fn uniform(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [f64]) -> DistributionResult<()> {
        self.noise().uniform(key, layout, out)
    }

    fn normal(&self, key: NoiseKey, layout: &NoiseLayout, out: &mut [f64]) -> DistributionResult<()> {
        self.noise().normal(key, layout, out)
    }

    fn invert(
        &self,
        key: NoiseKey,
        layout: &NoiseLayout,
        cdf: &dyn Fn(usize, u64) -> f64,
        out: &mut [f64],
    ) -> DistributionResult<()> {
        self.noise().invert(key, layout, cdf, out)
    }

    fn generator(&self, key: NoiseKey, index: u64) -> DistributionResult<ChaCha8Rng> {
        NoiseSource::<f64>::generator(&self.noise(), key, index)
    }
}

/// Measure-valued derivatives whose replays draw other noise than the recording: right, and noisy.
#[derive(Clone)]
struct Uncoupled {
    inside: MeasureValued,
    salt: Arc<AtomicU64>,
}

impl Method for Uncoupled {
    fn name(&self) -> String {
        "measure-valued, independent noise downstream".into()
    }

    fn profile(&self) -> Profile {
        self.inside.profile()
    }
}

impl GradientMethod<f64, Bernoulli<Id>> for Uncoupled {
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, f64>,
        distribution: &Bernoulli<Var<'t, f64>>,
    ) -> GraphResult<SampleSet<'t, f64>> {
        GradientMethod::<f64, Bernoulli<Id>>::sample(&self.inside, context, distribution)
    }

    fn terms<'t>(
        &self,
        context: &CostContext<'_, 't, f64>,
        distribution: &Bernoulli<Var<'t, f64>>,
    ) -> GraphResult<Terms<'t, f64>> {
        self.salt.fetch_add(1, Ordering::Relaxed);
        GradientMethod::<f64, Bernoulli<Id>>::terms(&self.inside, context, distribution)
    }
}

fn walk(graph: &Graph<'_, f64>, steps: usize, method: &Bits) -> GraphResult<()> {
    let p = graph.param("p", 2.0 * steps as f64)?;
    let mut x = graph.constant(0.0);
    for step in 0..steps {
        let up = graph.sample(("up", step), &Bernoulli::from_probabilities((-x / p).exp()), method)?;
        x = x + up * 2.0 - 1.0;
    }
    graph.cost("end", x.square())
}

/// A row of the table: the method, and the standard deviations that are known for 10 and for 50 steps.
struct Row {
    method: Bits,
    salt: Arc<AtomicU64>,
    spreads: [f64; 2],
}

fn row<M: GradientMethod<f64, Bernoulli<Id>> + 'static>(method: M, spreads: [f64; 2]) -> Row {
    Row { method: Arc::new(method), salt: Arc::default(), spreads }
}

/// The mean costs and gradients of the walks of 10 and of 50 steps.
const COSTS: [f64; 2] = [50.03274, 1130.39883];
const GRADIENTS: [f64; 2] = [1.489818, 7.558188];

/// The rows with one replay at most, and those with one for each node.
fn rows(walk: usize) -> (Vec<Row>, Vec<Row>) {
    let jumps = StochasticDerivatives::new();
    let salt: Arc<AtomicU64> = Arc::default();
    let uncoupled = Uncoupled { inside: MeasureValued::new(), salt: salt.clone() };
    let uniformly = ReplayBudget::of(MeasureValued::new(), 1).importance(Importance::Uniform);
    let single = vec![
        row(ScoreFunction::new(), [3.77, 34.9]),
        row(ScoreFunction::new().baseline(Constant(COSTS[walk])), [1.86, 10.5]),
        row(Reservoir::of(jumps.side(Side::Right)), [1.05, 4.47]),
        row(ReplayBudget::of(jumps, 1), [1.17, 5.9]),
        row(uniformly, [1.45, 6.4]),
    ];
    let all = vec![
        Row { salt, ..row(uncoupled, [1.16, 9.5]) },
        row(MeasureValued::new(), [0.79, 3.09]),
        row(jumps.side(Side::Right), [0.99, 3.43]),
        row(jumps.side(Side::Left), [1.19, 4.00]),
        row(jumps, [0.49, 2.31]),
    ];
    (single, all)
}

fn check(row: &Row, which: usize, runs: usize) {
    let steps = [10, 50][which];
    let mut workspace = Workspace::new();
    let (mut sum, mut squares) = (0.0, 0.0);
    for run in 0..runs {
        row.salt.store(0, Ordering::Relaxed);
        let noise: Rc<dyn NoiseSource<f64>> = match row.method.name().contains("independent") {
            true => Rc::new(Salted { seed: 11, step: run as u64, salt: row.salt.clone() }),
            false => Rc::new(KeyedNoise::new(11, run as u64)),
        };
        let graph = Graph::with_noise(workspace.tape(), noise);
        walk(&graph, steps, &row.method).unwrap();
        let gradient = graph.backward().unwrap().get("p").unwrap().as_slice()[0];
        sum += gradient;
        squares += gradient * gradient;
    }
    let mean = sum / runs as f64;
    let spread = (squares / runs as f64 - mean * mean).sqrt();
    let name = row.method.name();
    println!("{name}, {steps} steps, {runs} runs: mean {mean:.4}, spread {spread:.4}");
    let error = (mean - GRADIENTS[which]).abs() * (runs as f64).sqrt() / spread;
    assert!(error < 4.0, "{name}: mean {mean}, where {} is exact", GRADIENTS[which]);
    let known = row.spreads[which];
    assert!((spread / known - 1.0).abs() < 0.1, "{name}: spread {spread}, where {known} is known");
}

#[test]
fn ten_steps_have_the_known_mean_and_spread() {
    let (single, all) = rows(0);
    single.iter().for_each(|row| check(row, 0, 4000));
    all.iter().for_each(|row| check(row, 0, 1500));
}

#[test]
#[ignore = "takes a minute"]
fn fifty_steps_have_the_known_mean_and_spread() {
    let (single, all) = rows(1);
    single.iter().for_each(|row| check(row, 1, 10_000));
    all.iter().for_each(|row| check(row, 1, 2000));
}

/// Passes a value on and counts how often it was computed.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicU64>);

impl Primitive<f64> for Counted {
    fn name(&self) -> &str {
        "counted"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, f64>) -> Result<Tensor<f64>, String> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(inputs.values[0].clone())
    }

    fn gradient<'t>(&self, _: &[Var<'t, f64>], _: Var<'t, f64>, adjoint: Var<'t, f64>) -> Vec<Option<Var<'t, f64>>> {
        vec![Some(adjoint)]
    }
}

/// How often each step of a walk is computed in a backward pass, on average.
fn passes(method: &Bits, steps: usize) -> f64 {
    let counted = Counted::default();
    let mut workspace = Workspace::new();
    let runs = 200;
    let mut total = 0;
    for run in 0..runs {
        let graph = Graph::new(workspace.tape(), Seed::new(11).step(run));
        let p = graph.param("p", 2.0 * steps as f64).unwrap();
        let mut x = graph.constant(0.0);
        for step in 0..steps {
            let distribution = Bernoulli::from_probabilities((-x / p).exp());
            x = x + graph.sample(("up", step), &distribution, method).unwrap() * 2.0 - 1.0;
            x = graph.tape().custom(Arc::new(counted.clone()), &[x]);
        }
        graph.cost("end", x.square()).unwrap();
        counted.0.store(0, Ordering::Relaxed);
        graph.backward().unwrap();
        total += counted.0.load(Ordering::Relaxed);
    }
    total as f64 / (runs * steps) as f64
}

#[test]
fn a_reservoir_computes_no_step_twice() {
    let method: Bits = Arc::new(Reservoir::of(StochasticDerivatives::new().side(Side::Right)));
    let one_world = passes(&method, 50);
    assert!(one_world > 0.5 && one_world <= 1.0, "{one_world}");
    let all: Bits = Arc::new(MeasureValued::new());
    assert!(passes(&all, 10) > 5.0);
}

/// Bits without a gradient: what is left is the walk itself.
#[derive(Clone)]
struct Plain;

impl Method for Plain {
    fn name(&self) -> String {
        "no gradient".into()
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any)
    }
}

impl GradientMethod<f64, Bernoulli<Id>> for Plain {
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, f64>,
        distribution: &Bernoulli<Var<'t, f64>>,
    ) -> GraphResult<SampleSet<'t, f64>> {
        context.independent(distribution, SamplePlate::Single)
    }

    fn terms<'t>(&self, _: &CostContext<'_, 't, f64>, _: &Bernoulli<Var<'t, f64>>) -> GraphResult<Terms<'t, f64>> {
        Ok(Terms::default())
    }
}

/// The seconds that a step of a walk of fifty steps takes: recorded and differentiated, and compiled. The means over
/// walks, each of the fastest of some repetitions.
fn times(method: &Bits) -> [f64; 2] {
    let (walks, repetitions) = (200, 10);
    let (steps, p) = (50, Tensor::scalar(100.0));
    let mut workspace = Workspace::new();
    let mut compiled = {
        let graph = Graph::new(workspace.tape(), Seed::new(11));
        walk(&graph, steps, method).unwrap();
        graph.compile().unwrap()
    };
    let fastest = |step: &mut dyn FnMut()| {
        let time = |step: &mut dyn FnMut()| {
            let start = Instant::now();
            step();
            start.elapsed().as_secs_f64()
        };
        (0..repetitions).map(|_| time(step)).fold(f64::INFINITY, f64::min)
    };
    let mut sums = [0.0; 2];
    for run in 0..walks {
        let seed = Seed::new(11).step(run);
        let recorded = fastest(&mut || {
            let graph = Graph::new(workspace.tape(), seed);
            walk(&graph, steps, method).unwrap();
            graph.backward().unwrap();
        });
        let again = fastest(&mut || {
            compiled.set("p", &p).unwrap();
            compiled.run(seed).unwrap();
        });
        sums.iter_mut().zip([recorded, again]).for_each(|(sum, time)| *sum += time / walks as f64);
    }
    sums
}

/// A compiled walk by stochastic derivatives takes a fraction of the time of a recorded one. One by a reservoir takes less
/// than recording a walk without a gradient, and about twice as long as the score function.
#[test]
#[ignore = "a measurement of time"]
fn compiled_walks_are_fast() {
    let rows: [(&str, Bits); 4] = [
        ("no gradient", Arc::new(Plain)),
        ("score function", Arc::new(ScoreFunction::new())),
        ("stochastic derivatives", Arc::new(StochasticDerivatives::new())),
        ("reservoir", Arc::new(Reservoir::of(StochasticDerivatives::new().side(Side::Right)))),
    ];
    let [plain, score, jumps, reservoir] = rows.map(|(name, method)| {
        let [recorded, compiled] = times(&method);
        let (first, second) = (recorded * 1e6, compiled * 1e6);
        println!("{name}: recorded {first:.1} us, compiled {second:.1} us, {:.1} times as fast", first / second);
        [recorded, compiled]
    });
    println!("compiled reservoir: {:.2} recorded walks without a gradient", reservoir[1] / plain[0]);
    println!("compiled reservoir: {:.2} compiled walks without a gradient", reservoir[1] / plain[1]);
    assert!(jumps[0] > 5.0 * jumps[1], "{jumps:?}");
    assert!(reservoir[1] < plain[0], "{} s, where recording the walk takes {} s", reservoir[1], plain[0]);
    assert!(reservoir[1] < 2.5 * score[1], "{} s, where the score function takes {} s", reservoir[1], score[1]);
}
