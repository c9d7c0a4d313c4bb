//! Actor-critic on cart-pole: a policy and a critic with common layers, trained in sixteen environments at once, and the
//! variances of four policy gradients.
//!
//! `cargo run --release --example policy_gradient` takes about ten seconds, `-- --quick` less.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Parser;
use comfy_table::{Table, presets};
use plotters::prelude::*;
use stochgrad::environments::{DecisionProcess, Episodes, HostProcess, Rollout};
use stochgrad::estimators::{Advantage, CriticFit, Trajectory};
use stochgrad::graph::{Environment, GraphResult, MemberStep, StepEnd};
use stochgrad::nn::{Activation, Adam, Clip, Initialization, Inputs, Linear, Mlp, Parameters, Schedule};
use stochgrad::prelude::*;
use stochgrad::train::output::add_results;
use stochgrad::train::source::Stream;
use stochgrad::train::{GradientVariance, Trainer};
use stochgrad_examples::chart::{Axis, Marks, draw_lines};

const ENVIRONMENTS: usize = 16;
/// The steps of each environment in an update.
const STEPS: usize = 32;
/// The steps of an episode in which the pole does not fall.
const LIMIT: usize = 500;
const DISCOUNT: f64 = 0.99;
const LAMBDA: f64 = 0.95;
/// The weights of the entropy and of the fit of the critic.
const ENTROPY: f64 = 0.01;
const FIT: f64 = 25.0;
/// The unit of the critic: a return of this size is 1.
const UNIT: f64 = 50.0;

/// Trains a policy for cart-pole.
#[derive(Parser)]
struct Arguments {
    /// Train for a few steps, with short episodes.
    #[arg(long)]
    quick: bool,
    /// The number of updates.
    #[arg(long, default_value_t = 600)]
    updates: u64,
    /// The seed of everything.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The number of threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// The folder for results and pictures.
    #[arg(long, default_value = "out/policy_gradient")]
    out: PathBuf,
}

/// The cart-pole of Barto, Sutton and Anderson (1983) by Euler's method: a cart of mass 1, a pole of mass 0.1 and half
/// length 0.5. The state is position, speed, angle, rate, and the number of steps; the action pushes to the right or left.
fn cart_pole() -> HostProcess<f64> {
    let step = Environment::new(|member: MemberStep<'_, f64>| {
        let &[x, speed, angle, rate, time] = member.state else { return StepEnd { reward: f64::NAN, done: true } };
        let (sin, cos) = angle.sin_cos();
        let force = if member.action[0] == 1.0 { 10.0 } else { -10.0 };
        let push = (force + 0.05 * rate * rate * sin) / 1.1;
        let turn = (9.8 * sin - cos * push) / (0.5 * (4.0 / 3.0 - 0.1 * cos * cos / 1.1));
        let acceleration = push - 0.05 * turn * cos / 1.1;
        let next = [x + 0.02 * speed, speed + 0.02 * acceleration, angle + 0.02 * rate, rate + 0.02 * turn, time + 1.0];
        member.next_state.copy_from_slice(&next);
        let fallen = next[0].abs() > 2.4 || next[2].abs() > 12.0_f64.to_radians();
        StepEnd { reward: 1.0, done: fallen || next[4] >= LIMIT as f64 }
    });
    HostProcess::new([5], step).starting(4, |noise, state| {
        state.iter_mut().zip(noise).for_each(|(x, u)| *x = 0.1 * (u - 0.5));
        state[4] = 0.0;
    })
}

/// What the actions are credited with.
#[derive(Clone, Copy)]
enum Credit {
    FullReturn,
    ReturnFromHere,
    MinusValue,
    GeneralizedAdvantage,
}

const CREDITS: [(&str, Credit); 4] = [
    ("full return", Credit::FullReturn),
    ("return from t on", Credit::ReturnFromHere),
    ("return from t on, minus V", Credit::MinusValue),
    ("generalised advantage", Credit::GeneralizedAdvantage),
];

/// Credits the action of each step with an element of a vector.
fn give<'t>(record: &Record<'_, 't, f64>, credits: Var<'t, f64>) -> GraphResult<()> {
    let steps = credits.shape()[0];
    (0..steps).try_for_each(|t| record.graph().set_critic_value(("advantage", t), credits.index(0, t)))
}

/// A policy and a critic with common layers.
struct ActorCritic {
    layers: Mlp,
    policy: Linear,
    critic: Linear,
}

impl ActorCritic {
    fn new(parameters: &mut Parameters<f64>, seed: Seed) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            layers: Mlp::new(&mut *parameters, "layers", &[4, 64, 64], Activation::Tanh, seed)?,
            policy: Linear::new(&mut *parameters, "policy", 64, 1, Initialization::Uniform, seed)?,
            critic: Linear::new(&mut *parameters, "critic", 64, 1, Initialization::Uniform, seed)?,
        })
    }

    /// The log-odds of a push to the right, and the expected costs from here on.
    fn heads<'t>(
        &self,
        record: &Record<'_, 't, f64>,
        state: Var<'t, f64>,
    ) -> GraphResult<(Var<'t, f64>, Var<'t, f64>)> {
        let hidden = self.layers.forward(record, state.slice(0, 0..4))?.tanh();
        Ok((self.policy.forward(record, hidden)?.sum(), self.critic.forward(record, hidden)?.sum() * UNIT))
    }

    /// Records steps of the policy, with the values of the critic before them.
    fn run<'t>(
        &self,
        record: &Record<'_, 't, f64>,
        rollout: &Rollout<'_, f64>,
        start: Var<'t, f64>,
    ) -> GraphResult<Episodes<'t, f64, Var<'t, f64>>> {
        let method = ScoreFunction::new().baseline(Advantage::new("advantage"));
        rollout.record(record.graph(), start, |_, moment| {
            let (logit, value) = self.heads(record, moment.state)?;
            let policy = Bernoulli::from_logits(logit);
            record.cost("entropy", policy.entropy() * moment.running * -ENTROPY)?;
            Ok((record.sample("action", &policy, &method)?, value * moment.running))
        })
    }

    /// Records an update of the training. The environments run on from update to update.
    fn update(&self, record: &Record<'_, '_, f64>) -> GraphResult<()> {
        let (process, graph) = (cart_pole(), record.graph());
        let plate = graph.plate("environments", ENVIRONMENTS)?;
        let start = record.buffer("state")?.event_to_plate(plate);
        let episodes = self.run(record, &Rollout::new("cart-pole", &process, STEPS).restarting(), start)?;
        record.set_buffer("state", episodes.state.plate_to_event(plate))?;

        let (_, last) = self.heads(record, episodes.state)?;
        let trajectory = Trajectory::new(-episodes.rewards).ends(episodes.ends).values(episodes.outputs, last);
        give(record, trajectory.advantages(DISCOUNT, LAMBDA)?)?;
        let error = (episodes.outputs - trajectory.lambda_returns(DISCOUNT, LAMBDA)?) / UNIT;
        CriticFit::new().shared().record(graph, "critic", error.square().sum() * FIT)
    }

    /// Records the gradient of the return of the first steps of an episode, with a credit.
    fn compare(&self, record: &Record<'_, '_, f64>, steps: usize, credit: Credit) -> GraphResult<()> {
        let (process, graph) = (cart_pole(), record.graph());
        let start = process.start(graph, "start", &[graph.plate("environments", ENVIRONMENTS)?])?;
        let episodes = self.run(record, &Rollout::new("cart-pole", &process, steps), start)?;
        let trajectory = Trajectory::new(-episodes.rewards).ends(episodes.ends);
        let trajectory = trajectory.values(episodes.outputs, record.constant(0.0));
        let returns = trajectory.returns(1.0)?;
        let credit = match credit {
            Credit::FullReturn => returns.slice(0, 0..1).broadcast_to([steps]),
            Credit::ReturnFromHere => returns,
            Credit::MinusValue => trajectory.advantages(1.0, 1.0)?,
            Credit::GeneralizedAdvantage => trajectory.advantages(DISCOUNT, LAMBDA)?,
        };
        give(record, credit * episodes.running)
    }

    /// Records whole episodes of the more probable actions, whose cost is the negative return.
    fn play(&self, record: &Record<'_, '_, f64>, episodes: usize, steps: usize) -> GraphResult<()> {
        let (process, graph) = (cart_pole(), record.graph());
        let start = process.start(graph, "cart-pole", &[graph.plate("episodes", episodes)?])?;
        Rollout::new("cart-pole", &process, steps)
            .record(graph, start, |_, moment| Ok((self.heads(record, moment.state)?.0.gt(record.constant(0.0)), ())))?;
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { quick, updates, seed, threads, out } = Arguments::parse();
    let (updates, limit, evaluations) = if quick { (20, 50, 10) } else { (updates, LIMIT, 200) };
    let mut parameters = Parameters::new();
    let model = ActorCritic::new(&mut parameters, Seed::new(seed))?;
    parameters.insert_buffer("state", Tensor::zeros([ENVIRONMENTS, 5]))?;

    let nothing = Inputs::new();
    let mut play = Step::new(|record: &Record<'_, '_, f64>| model.play(record, 100, limit)).threads(threads);
    let mut mean_return = |parameters: &Parameters<f64>, purpose: &str| -> GraphResult<f64> {
        Ok(-play.evaluate(parameters, &nothing, Seed::new(seed).derived(purpose, 0))?.total())
    };
    let (mut course, mut early) = (Vec::new(), parameters.clone());
    let data = Stream::new(|_| (0..10).map(|_| Ok(Inputs::<f64>::new())));
    let report = Trainer::new(Adam::new(Schedule::linear(2e-3, 2e-4, updates)).clip(Clip::by_global_norm(5.0)))
        .steps(updates)
        .seed(seed)
        .threads(threads)
        .validate_with(|parameters| Ok(vec![("negative return".into(), -mean_return(parameters, "validation")?)]))
        .keep_best()
        .on_epoch(|progress| {
            let steps = (progress.step as usize * ENVIRONMENTS * STEPS) as f64;
            course.extend(progress.metrics.validation.iter().flatten().map(|(_, value)| (steps, -value)));
            if progress.step <= updates / 15 {
                early = progress.parameters.clone();
            }
            ControlFlow::Continue(())
        })
        .out(&out)
        .restart()
        .fit(&mut parameters, &data, |record| model.update(record))?;
    println!("{report}");

    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(["credit of an action", "variance", "standard deviation"]);
    let result = mean_return(&parameters, "test")?;
    let mut results = vec![("mean return".to_owned(), result)];
    for (name, credit) in CREDITS {
        let mut step = Step::new(|record: &Record<'_, '_, f64>| model.compare(record, limit.min(200), credit));
        let variance = GradientVariance::of(["policy"]).evaluations(evaluations);
        let value = variance.measure(&mut step, &early, &nothing, Seed::new(seed).derived("variance", 0))?[0].1;
        table.add_row([name.to_owned(), format!("{value:.4}"), format!("{:.3}", value.sqrt())]);
        results.push((format!("variance, {name}"), value));
    }
    println!("mean return of 100 episodes: {result:.1} of {limit}");
    println!("gradients of an early policy, whose mean return is {:.1}:\n{table}", mean_return(&early, "test")?);
    add_results(out.join("summary.json"), results)?;

    let path = out.join("return.svg");
    let area = SVGBackend::new(&path, (900, 480)).into_drawing_area();
    area.fill(&WHITE)?;
    let marks = Marks { reference: Some(("475", 475.0)), legend: Some(SeriesLabelPosition::LowerRight), points: false };
    let lines = [("most probable actions".to_owned(), course)];
    let axes = [Axis::Linear("steps of the environments"), Axis::Linear("mean return of 100 episodes")];
    draw_lines(&area, "cart-pole", axes, &lines, marks)?;
    area.present()?;
    println!("pictures and metrics are in {}", out.display());
    Ok(())
}
