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
    Candidates, CostContext, DynMethod, GradientMethod, GradientTerm, Graph, GraphResult, Group, GroupContext, Method,
    Order, Profile, SampleContext, SamplePlate, SampleSet, Seed, Terms,
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

/// A reservoir whose sweep is timed.
#[derive(Clone)]
struct Timed {
    inside: Reservoir<StochasticDerivatives>,
    sweep: Arc<TimedSweep>,
}

struct TimedSweep {
    inside: Arc<dyn Group<f64>>,
    nanoseconds: AtomicU64,
}

impl Timed {
    fn new() -> Self {
        let inside = Reservoir::of(StochasticDerivatives::new().side(Side::Right));
        let group = GradientMethod::<f64, Bernoulli<Id>>::group(&inside).expect("a reservoir is a group");
        Timed { inside, sweep: Arc::new(TimedSweep { inside: group, nanoseconds: AtomicU64::new(0) }) }
    }
}

impl Group<f64> for TimedSweep {
    fn terms<'t>(&self, context: &GroupContext<'_, 't, f64>) -> GraphResult<Vec<(usize, GradientTerm<'t, f64>)>> {
        let start = Instant::now();
        let terms = self.inside.terms(context);
        self.nanoseconds.store(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        terms
    }
}

impl Method for Timed {
    fn name(&self) -> String {
        self.inside.name()
    }

    fn profile(&self) -> Profile {
        self.inside.profile()
    }
}

impl GradientMethod<f64, Bernoulli<Id>> for Timed {
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, f64>,
        distribution: &Bernoulli<Var<'t, f64>>,
    ) -> GraphResult<SampleSet<'t, f64>> {
        GradientMethod::<f64, Bernoulli<Id>>::sample(&self.inside, context, distribution)
    }

    fn group(&self) -> Option<Arc<dyn Group<f64>>> {
        Some(self.sweep.clone())
    }

    fn candidates<'t>(
        &self,
        context: &CostContext<'_, 't, f64>,
        distribution: &Bernoulli<Var<'t, f64>>,
    ) -> GraphResult<Candidates<'t, f64>> {
        GradientMethod::<f64, Bernoulli<Id>>::candidates(&self.inside, context, distribution)
    }
}

/// The seconds that recording a walk of fifty steps takes, those of its backward pass, and those of them that `part`
/// says. How far a world goes differs from walk to walk, so that they are means over walks, each of the fastest of some
/// repetitions.
fn times(method: &Bits, part: &dyn Fn() -> f64) -> [f64; 3] {
    let (walks, repetitions) = (200, 10);
    let mut workspace = Workspace::new();
    let mut sums = [0.0; 3];
    for run in 0..walks {
        let mut fastest = [f64::INFINITY; 3];
        for _ in 0..repetitions {
            let graph = Graph::new(workspace.tape(), Seed::new(11).step(run));
            let start = Instant::now();
            walk(&graph, 50, method).unwrap();
            let recorded = start.elapsed().as_secs_f64();
            graph.backward().unwrap();
            let backward = start.elapsed().as_secs_f64() - recorded;
            fastest
                .iter_mut()
                .zip([recorded, backward, part()])
                .for_each(|(fastest, time)| *fastest = fastest.min(time));
        }
        sums.iter_mut().zip(fastest).for_each(|(sum, time)| *sum += time / walks as f64);
    }
    sums
}

/// The time of following the one world of a reservoir, beside that of recording the walk. A backward pass has more in
/// it: the alternatives of all nodes, and the gradient of what was found; that by the score function is beside it.
#[test]
#[ignore = "a measurement of time"]
fn a_reservoir_follows_its_world_in_about_the_time_of_the_recording() {
    let timed = Timed::new();
    let sweep = || timed.sweep.nanoseconds.load(Ordering::Relaxed) as f64 * 1e-9;
    let [forward, rest, _] = times(&(Arc::new(Plain) as Bits), &|| 0.0);
    let [recording, backward, sweep] = times(&(Arc::new(timed.clone()) as Bits), &sweep);
    let [other_recording, other_backward, _] = times(&(Arc::new(ScoreFunction::new()) as Bits), &|| 0.0);
    println!("a walk without a gradient: {:.1} us, and a backward pass of {:.1} us", forward * 1e6, rest * 1e6);
    for (what, time) in [
        ("reservoir, following the world", sweep),
        ("reservoir, all beyond the walk without a gradient", recording + backward - forward - rest),
        ("reservoir, recording and backward pass", recording + backward),
        ("score function, recording and backward pass", other_recording + other_backward),
    ] {
        println!("{what}: {:.1} us, {:.2} recordings of the walk", time * 1e6, time / forward);
    }
    assert!(sweep < 1.5 * forward, "{sweep} s, where the recording takes {forward} s");
    assert!(recording + backward < other_recording + other_backward);
}
