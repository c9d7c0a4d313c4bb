//! The elements per second of each distribution, for drawing, for the log-probability with its gradients, and for
//! sample paths with their gradients.
//!
//! Writes one line of JSON for each distribution and task, on one thread and in single precision.
//! `benches/distributions_jax.py` does the same with JAX and NumPyro, compiled. Gradients are timed recorded afresh in
//! each call and, if all noise of a distribution is recorded, also compiled once.

use clap::Parser;
use std::time::{Duration, Instant};
use stochgrad::distributions::*;
use stochgrad::prelude::{Tape, Tensor, Var};
use stochgrad::tape::{Plate, Workspace};
use stochgrad::tape::{PlateKind, Plates, Program};

/// The number of elements of each timed call.
const ELEMENTS: usize = 100_000;

#[derive(Parser)]
#[command(about = "Elements per second of each distribution")]
struct Arguments {
    /// Seconds for each distribution and task
    #[arg(long, default_value_t = 0.3)]
    seconds: f64,
    /// Time only distributions whose name contains this text
    #[arg(long, default_value = "")]
    only: String,
}

type Build = for<'t> fn(&[Var<'t, f32>]) -> Box<dyn Distribution<'t, f32> + 't>;

macro_rules! distributions {
    ($($name:literal, [$($parameter:literal),*] => |$p:ident| $distribution:expr;)*) => {
        vec![$(($name, vec![$($parameter),*], (|$p| Box::new($distribution)) as Build)),*]
    };
}

fn distributions() -> Vec<(&'static str, Vec<f64>, Build)> {
    distributions! {
        "Bernoulli", [0.3] => |p| Bernoulli::from_logits(p[0]);
        "Binomial", [0.3] => |p| Binomial::from_logits(10.0, p[0]);
        "BetaBinomial", [2.0, 3.0] => |p| BetaBinomial::new(10.0, p[0], p[1]);
        "Geometric", [0.3] => |p| Geometric::from_probabilities(p[0]);
        "NegativeBinomial", [0.3] => |p| NegativeBinomial::from_logits(3.0, p[0]);
        "Hypergeometric", [52.0] => |p| Hypergeometric::new(p[0].stop_gradient(), 12.0, 9.0);
        "Zeta", [2.5] => |p| Zeta::new(p[0]);
        "Zipf", [1.3] => |p| Zipf::new(1000, p[0]);
        "Poisson", [4.0] => |p| Poisson::from_rate(p[0]);
        "ZeroInflated", [0.3, 4.0] => |p| ZeroInflated::from_probability(p[0], Poisson::from_rate(p[1])).expect("numbers");
        "Hurdle", [0.3, 4.0] => |p| Hurdle::from_probability(p[0], Poisson::from_rate(p[1])).expect("numbers");
        "Normal", [0.3, 1.7] => |p| Normal::new(p[0], p[1]);
        "Laplace", [0.3, 1.7] => |p| Laplace::new(p[0], p[1]);
        "AsymmetricLaplace", [0.3, 0.8, 1.4] => |p| AsymmetricLaplace::new(p[0], p[1], p[2]);
        "Logistic", [0.3, 1.7] => |p| Logistic::new(p[0], p[1]);
        "Gumbel", [0.3, 1.7] => |p| Gumbel::new(p[0], p[1]);
        "Moyal", [0.3, 0.7] => |p| Moyal::new(p[0], p[1]);
        "GeneralizedExtremeValue", [-0.7, 1.3, 0.2] => |p| GeneralizedExtremeValue::new(p[0], p[1], p[2]);
        "Cauchy", [0.3, 1.7] => |p| Cauchy::new(p[0], p[1]);
        "StudentT", [7.0, 0.3, 1.7] => |p| StudentT::new(p[0], p[1], p[2]);
        "NormalInverseGaussian", [0.3, 1.2, 1.5, 0.6] => |p| NormalInverseGaussian::new(p[0], p[1], p[2], p[3]);
        "Horseshoe", [1.3] => |p| Horseshoe::new(p[0]);
        "JohnsonSu", [-0.6, 1.8, 0.3, 0.9] => |p| JohnsonSu::new(p[0], p[1], p[2], p[3]);
        "SinhArcsinh", [0.4, 0.7, 0.3, 0.9] => |p| SinhArcsinh::new(p[0], p[1], p[2], p[3]);
        "GeneralizedNormal", [0.3, 1.2, 1.3] => |p| GeneralizedNormal::new(p[0], p[1], p[2]);
        "SkewNormal", [0.3, 1.2, 2.5] => |p| SkewNormal::new(p[0], p[1], p[2]);
        "ExponentiallyModifiedGaussian", [0.3, 1.2, 0.6] => |p| ExponentiallyModifiedGaussian::new(p[0], p[1], p[2]);
        "TruncatedNormal", [0.3, 1.4, -1.0, 2.5] => |p| TruncatedNormal::new(p[0], p[1], p[2], p[3]);
        "Truncated", [0.3, 1.4, -1.0, 2.5] => |p| Truncated::new(Normal::new(p[0], p[1]), p[2], p[3]).expect("numbers");
        "Censored", [0.3, 1.4, -0.6, 1.9] => |p| Censored::new(Normal::new(p[0], p[1]), p[2], p[3]).expect("numbers");
        "Quantized", [3.3, 1.2] => |p| Quantized::new(Logistic::new(p[0], p[1])).expect("numbers").between(0.0, 7.0).expect("integers");
        "VonMises", [0.3, 1.3] => |p| VonMises::new(p[0], p[1]);
        "Uniform", [-0.7, 2.1] => |p| Uniform::new(p[0], p[1]);
        "Triangular", [-0.7, 0.4, 2.1] => |p| Triangular::new(p[0], p[1], p[2]);
        "Exponential", [0.8] => |p| Exponential::new(p[0]);
        "Gamma(0.5)", [0.5, 1.0] => |p| Gamma::new(p[0], p[1]);
        "Gamma(2)", [2.0, 1.0] => |p| Gamma::new(p[0], p[1]);
        "Gamma(50)", [50.0, 1.0] => |p| Gamma::new(p[0], p[1]);
        "InverseGamma", [2.6, 1.4] => |p| InverseGamma::new(p[0], p[1]);
        "Beta(0.5)", [0.5, 0.5] => |p| Beta::new(p[0], p[1]);
        "Beta(2)", [2.0, 3.0] => |p| Beta::new(p[0], p[1]);
        "Beta(50)", [50.0, 30.0] => |p| Beta::new(p[0], p[1]);
        "Kumaraswamy", [2.3, 1.4] => |p| Kumaraswamy::new(p[0], p[1]);
        "Chi", [3.4] => |p| Chi::new(p[0]);
        "LogNormal", [0.2, 0.4] => |p| LogNormal::new(p[0], p[1]);
        "HalfNormal", [1.3] => |p| HalfNormal::new(p[0]);
        "HalfStudentT", [7.0, 1.7] => |p| HalfStudentT::new(p[0], p[1]);
        "FisherF", [5.0, 9.0] => |p| FisherF::new(p[0], p[1]);
        "LogLogistic", [0.8, 2.6] => |p| LogLogistic::new(p[0], p[1]);
        "Weibull", [1.6, 0.8] => |p| Weibull::new(p[0], p[1]);
        "Rayleigh", [1.3] => |p| Rayleigh::new(p[0]);
        "Pareto", [0.8, 2.6] => |p| Pareto::new(p[0], p[1]);
        "GeneralizedPareto", [-0.7, 1.3, 0.2] => |p| GeneralizedPareto::new(p[0], p[1], p[2]);
        "Levy", [-0.7, 1.3] => |p| Levy::new(p[0], p[1]);
        "InverseGaussian", [1.3, 2.4] => |p| InverseGaussian::new(p[0], p[1]);
    }
}

/// The median of the elements per second of a task.
fn rate(seconds: f64, mut task: impl FnMut(u64)) -> f64 {
    task(0);
    let mut times = Vec::new();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs_f64(seconds) || times.len() < 3 {
        let call = Instant::now();
        task(times.len() as u64 + 1);
        times.push(call.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    ELEMENTS as f64 / times[times.len() / 2]
}

fn on_plate<'t>(tape: &'t Tape<f32>, parameters: &[f64]) -> (Plate, Vec<Var<'t, f32>>) {
    let plate = tape.plate("elements", ELEMENTS, PlateKind::Samples, &[]);
    (plate, parameters.iter().map(|&p| tape.parameter(p)).collect())
}

/// The total that is differentiated with respect to the parameters, for the noise of a step.
type Total = for<'t> fn(&'t Tape<f32>, Plate, &dyn Distribution<'t, f32>, Var<'t, f32>, u64) -> Var<'t, f32>;

fn log_prob<'t>(
    _tape: &'t Tape<f32>,
    plate: Plate,
    distribution: &dyn Distribution<'t, f32>,
    x: Var<'t, f32>,
    _step: u64,
) -> Var<'t, f32> {
    distribution.log_prob(x).sum_over(plate)
}

fn path<'t>(
    tape: &'t Tape<f32>,
    plate: Plate,
    distribution: &dyn Distribution<'t, f32>,
    _x: Var<'t, f32>,
    step: u64,
) -> Var<'t, f32> {
    let noise = KeyedNoise::new(1, step);
    let draw = Draw::new(tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
    let capabilities = distribution.capabilities();
    capabilities.reparameterized.expect("a path").rsample(&draw).expect("draws").sum_over(plate)
}

/// The gradients of a total as a program of the parameters and the values; `None` if they depend on work on the host.
fn program(parameters: &[f64], build: Build, sample: &Tensor<f32>, total: Total) -> Option<Program<f32>> {
    let tape = Tape::<f32>::new();
    let (plate, mut inputs) = on_plate(&tape, parameters);
    let x = tape.constant_on(&[plate], sample.clone());
    let total = total(&tape, plate, &*build(&inputs), x, 0);
    let gradients = tape.gradients(total, &inputs).expect("gradients");
    inputs.push(x);
    tape.compile(&inputs, &gradients).ok()
}

fn main() {
    let arguments = Arguments::parse();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool of one thread");
    pool.install(|| {
        for (name, parameters, build) in distributions().into_iter().filter(|(name, ..)| name.contains(&arguments.only))
        {
            let mut workspace = Workspace::<f32>::new();
            let report = |task: &str, mode: &str, run: &mut dyn FnMut(u64)| {
                let rate = rate(arguments.seconds, run);
                let line = serde_json::json!({"distribution": name, "task": task, "impl": mode, "per_second": rate});
                println!("{line}");
            };
            let mut drawn = |step| {
                let tape = workspace.tape();
                let (plate, p) = on_plate(tape, &parameters);
                let noise = KeyedNoise::new(1, step);
                let draw = Draw::new(tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
                build(&p).draw(&draw).expect("draws")
            };
            report("sample", "stochgrad", &mut |step| {
                std::hint::black_box(drawn(step));
            });
            let sample = drawn(0);
            let tape = Tape::<f32>::new();
            let (_, p) = on_plate(&tape, &parameters);
            let mut tasks: Vec<(&str, Total)> = vec![("log_prob", log_prob)];
            if build(&p).capabilities().reparameterized.is_some() {
                tasks.push(("path", path));
            }
            for (task, total) in tasks {
                report(task, "stochgrad, recorded", &mut |step| {
                    let tape = workspace.tape();
                    let (plate, p) = on_plate(tape, &parameters);
                    let x = tape.constant_on(&[plate], sample.clone());
                    let total = total(tape, plate, &*build(&p), x, step);
                    std::hint::black_box(tape.backward_all(total, &p).expect("gradients"));
                });
                let Some(mut program) = program(&parameters, build, &sample, total) else { continue };
                let numbers: Vec<Tensor<f32>> = parameters.iter().map(|&p| Tensor::scalar(p as f32)).collect();
                report(task, "stochgrad, compiled", &mut |step| {
                    for (input, value) in numbers.iter().chain([&sample]).enumerate() {
                        program.set(input, value).expect("an input");
                    }
                    program.run(NoiseSeed { seed: 1, step }).expect("a run");
                    let _ = std::hint::black_box(program.output(0));
                });
            }
        }
    });
}
