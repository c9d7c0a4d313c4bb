//! Environments: credit for each member, with every kind of gradient method above an environment.

use approx::assert_abs_diff_eq;
use std::sync::Arc;
use stochgrad::check::{Oracle, StatisticalTest};
use stochgrad::distributions::Id;
use stochgrad::estimators::{LocalExpectation, Reservoir};
use stochgrad::graph::{DynMethod, Environment, Gradients, GraphError, GraphResult, MemberStep, StepEnd};
use stochgrad::prelude::*;
use stochgrad::tape::Workspace;

type BitMethod = DynMethod<f64, Bernoulli<Id>>;

fn score() -> BitMethod {
    Arc::new(ScoreFunction::new())
}

/// A bandit whose reward is the action.
fn bandit() -> Environment<f64> {
    Environment::new(|member: MemberStep<'_, f64>| {
        member.next_state[0] = member.state[0];
        StepEnd { reward: member.action[0], done: false }
    })
}

/// Parallel members with a common logit and a separate action each.
fn actions<'t>(graph: &Graph<'t, f64>, members: usize) -> GraphResult<(Var<'t, f64>, Var<'t, f64>)> {
    let state = graph.data("members", Tensor::zeros([members]))?;
    let logit = graph.param("logit", 0.0)? + state;
    Ok((state, graph.sample("action", &Bernoulli::from_logits(logit), &score())?))
}

fn parallel_bandits(members: usize) -> impl Fn(&Graph<'_, f64>) -> GraphResult<()> {
    move |graph: &Graph<'_, f64>| {
        let (state, action) = actions(graph, members)?;
        graph.cost("reward", graph.environment("bandit", &bandit(), state, action)?.reward)
    }
}

/// A host function instead of the environment, which reads all actions at once.
fn bandits_of_the_host(members: usize) -> impl Fn(&Graph<'_, f64>) -> GraphResult<()> {
    move |graph: &Graph<'_, f64>| {
        let (state, action) = actions(graph, members)?;
        let rewards = action.value()?;
        graph.cost("reward", graph.tape().constant_on(&state.plates(), rewards))
    }
}

/// With p = ½, the gradient of one member is b (b − ½), with mean ¼ and variance 1/16.
#[test]
fn the_variance_falls_as_one_over_the_number_of_members() {
    for members in [1, 4, 8] {
        let moments = Oracle::new().gradient(parallel_bandits(members)).unwrap();
        assert_abs_diff_eq!(moments.mean("logit").unwrap().item().unwrap(), 0.25, epsilon = 1e-13);
        let variance = moments.variance("logit").unwrap().item().unwrap();
        assert_abs_diff_eq!(variance, 0.0625 / members as f64, epsilon = 1e-13);
    }
    for members in [16, 64] {
        let exact = [("logit", Tensor::scalar(0.0625 / members as f64))];
        StatisticalTest::new().runs(8000).check_variance(parallel_bandits(members), &exact, 0.06).unwrap();
    }
}

/// Every reward is credited with every action: with X = Σ (b − ½), the gradient is X (X + n/2)/n, of variance
/// (E X⁴ + n³/16)/n² − 1/16, where E X⁴ = (3n² − 2n)/16.
#[test]
fn a_host_function_makes_the_variance_grow_with_the_number_of_members() {
    for (members, about) in [(16, 1.117), (64, 4.123)] {
        let n = members as f64;
        let variance = ((3.0 * n * n - 2.0 * n) / 16.0 + n.powi(3) / 16.0) / (n * n) - 0.0625;
        assert_abs_diff_eq!(variance, about, epsilon = 5e-4);
        let exact = [("logit", Tensor::scalar(variance))];
        StatisticalTest::new().runs(8000).check_variance(bandits_of_the_host(members), &exact, 0.06).unwrap();
    }
    let n = 4.0_f64;
    let variance = ((3.0 * n * n - 2.0 * n) / 16.0 + n.powi(3) / 16.0) / (n * n) - 0.0625;
    let exact = Oracle::new().gradient(bandits_of_the_host(4)).unwrap();
    assert_abs_diff_eq!(exact.variance("logit").unwrap().item().unwrap(), variance, epsilon = 1e-12);
}

/// A walk on the states 0 to 3 that sometimes slips, and ends at 3.
fn corridor(noise: usize) -> Environment<f64> {
    Environment::new(|member: MemberStep<'_, f64>| {
        let slips = member.noise.first().is_some_and(|&u| u < 0.3);
        let forward = member.action[0] == 1.0 && !slips;
        let next = if forward { member.state[0] + 1.0 } else { (member.state[0] - 1.0).max(0.0) };
        member.next_state[0] = next;
        member.observation.copy_from_slice(&[next, next * next]);
        StepEnd { reward: next * next - 0.7 * member.action[0], done: next >= 3.0 }
    })
    .noise(noise)
    .observation([2])
}

/// Two members in the corridor, with a method for each step.
fn walk(graph: &Graph<'_, f64>, noise: usize, methods: &[&BitMethod]) -> GraphResult<()> {
    let environment = corridor(noise);
    let (slope, bias) = (graph.param("slope", 1.3)?, graph.param("bias", 0.2)?);
    let mut state = graph.data("members", [1.0, 2.0])?;
    let mut observation = graph.data_named("first observation", "members", [[1.0, 1.0], [2.0, 4.0]])?;
    let mut running = graph.constant(1.0);
    for (t, method) in methods.iter().enumerate() {
        let logit = (observation * graph.constant([0.4, -0.15])).sum() * slope + bias;
        let action = graph.sample(("action", t), &Bernoulli::from_logits(logit), *method)?;
        let step = graph.environment(("corridor", t), &environment, state, action)?;
        let (reward, still) = step.while_running(running);
        graph.cost(&format!("reward {t}"), reward + slope * action)?;
        (state, observation, running) = (step.state, step.observation, still);
    }
    Ok(())
}

fn assert_exact(noise: usize, order: usize, methods: &[&BitMethod]) {
    let model = |graph: &Graph<'_, f64>| walk(graph, noise, methods);
    let report = Oracle::new().nodes(2).verify(model, 0..=order, 1e-9);
    let names: Vec<String> = methods.iter().map(|method| method.name()).collect();
    report.unwrap_or_else(|error| panic!("{}: {error}", names.join(" / ")));
}

#[test]
fn the_score_function_and_enumeration_are_exact_through_an_environment_up_to_order_two() {
    let (score, all): (_, BitMethod) = (score(), Arc::new(Enumerate::new()));
    let pairs: BitMethod = Arc::new(ScoreFunction::new().samples(2).baseline(LeaveOneOut));
    for noise in [0, 1] {
        assert_exact(noise, 2, &[&score, &score]);
        assert_exact(noise, 2, &[&score, &all]);
        assert_exact(noise, 2, &[&all, &score]);
        assert_exact(noise, 2, &[&all, &all]);
    }
    assert_exact(0, 2, &[&score, &all, &score]);
    assert_exact(0, 2, &[&pairs, &score]);
}

#[test]
fn replays_through_an_environment_are_exact() {
    let (score, weak): (_, BitMethod) = (score(), Arc::new(MeasureValued::new()));
    let others: [BitMethod; 4] = [
        Arc::new(StochasticDerivatives::new()),
        Arc::new(LocalExpectation::new()),
        Arc::new(DisArm::new()),
        Arc::new(Reservoir::of(MeasureValued::new())),
    ];
    for noise in [0, 1] {
        assert_exact(noise, 1, &[&weak, &weak]);
        assert_exact(noise, 1, &[&weak, &score]);
        assert_exact(noise, 1, &[&score, &weak]);
    }
    for method in &others {
        assert_exact(0, 1, &[method, &score]);
        assert_exact(0, 1, &[&weak, method]);
    }
}

#[test]
fn members_that_are_done_earn_nothing_more() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let mut state = graph.data("members", [2.0, 1.0, 0.0]).unwrap();
    let mut running = graph.constant(1.0);
    let mut earned = Vec::new();
    for t in 0..3 {
        let step = graph.environment(("corridor", t), &corridor(0), state, graph.constant(1.0)).unwrap();
        let (reward, still) = step.while_running(running);
        earned.push(reward.peek().unwrap().to_vec());
        (state, running) = (step.state, still);
    }
    let reward = |next: f64| next * next - 0.7;
    assert_eq!(earned[0], [reward(3.0), reward(2.0), reward(1.0)]);
    assert_eq!(earned[1], [0.0, reward(3.0), reward(2.0)]);
    assert_eq!(earned[2], [0.0, 0.0, reward(3.0)]);
    assert_eq!(running.peek().unwrap().as_slice(), &[0.0; 3]);
}

/// The cart-pole of Barto, Sutton and Anderson (1983), integrated by Euler's method, with a random gust of wind.
fn cart_pole() -> Environment<f64> {
    Environment::new(|member: MemberStep<'_, f64>| {
        let &[x, speed, angle, rate] = member.state else { return StepEnd { reward: f64::NAN, done: true } };
        let force = if member.action[0] == 1.0 { 10.0 } else { -10.0 } + 10.0 * (member.noise[0] - 0.5);
        let (sin, cos) = angle.sin_cos();
        // A cart of mass 1, a pole of mass 0.1 and half length 0.5.
        let push = (force + 0.05 * rate * rate * sin) / 1.1;
        let turn = (9.8 * sin - cos * push) / (0.5 * (4.0 / 3.0 - 0.1 * cos * cos / 1.1));
        let acceleration = push - 0.05 * turn * cos / 1.1;
        let next = [x + 0.02 * speed, speed + 0.02 * acceleration, angle + 0.02 * rate, rate + 0.02 * turn];
        member.next_state.copy_from_slice(&next);
        StepEnd { reward: 1.0, done: next[0].abs() > 2.4 || next[2].abs() > 12.0_f64.to_radians() }
    })
    .noise(1)
}

/// Episodes of cart-pole in parallel, with a logistic policy and the score function.
fn balance(graph: &Graph<'_, f64>, members: usize, weights: &Tensor<f64>) -> GraphResult<()> {
    let environment = cart_pole();
    let weights = graph.param("weights", weights)?;
    let mut state = graph.data("members", Tensor::zeros([members, 4]))?;
    let mut running = graph.constant(1.0);
    for t in 0..15 {
        let distribution = Bernoulli::from_logits((state * weights).sum());
        let action = graph.sample(("action", t), &distribution, &ScoreFunction::new())?;
        let step = graph.environment(("cart-pole", t), &environment, state, action)?;
        let (reward, still) = step.while_running(running);
        graph.cost(&format!("reward {t}"), -reward)?;
        (state, running) = (step.state, still);
    }
    Ok(())
}

fn weights() -> Tensor<f64> {
    Tensor::from([0.1, 0.5, 2.0, -1.0])
}

#[test]
fn the_variance_on_cart_pole_falls_as_one_over_the_number_of_members() {
    let moments = |members: usize| {
        let weights = weights();
        let mut workspace = Workspace::new();
        let run = |step: u64| {
            let graph = Graph::new(workspace.tape(), Seed::new(5).step(step as usize));
            balance(&graph, members, &weights).unwrap();
            graph.backward().unwrap().get("weights").unwrap().to_vec()
        };
        StatisticalTest::new().runs(1500).sample(run).unwrap()
    };
    let (few, many) = (moments(4), moments(32));
    for element in 0..4 {
        let ratio = few.variance[element] / many.variance[element];
        assert!(ratio > 6.0 && ratio < 10.5, "element {element}: {ratio} where 8 is expected");
        let apart = (few.mean[element] - many.mean[element]).abs();
        assert!(apart < 4.0 * few.standard_error(element).hypot(many.standard_error(element)), "element {element}");
    }
    // Episodes must end, otherwise there is nothing to learn.
    assert!(many.mean.iter().any(|mean| mean.abs() > 0.05), "{:?}", many.mean);
}

#[test]
fn a_compiled_environment_gives_the_bits_of_the_recorded_one() {
    let mut compiled = {
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(9));
        balance(&graph, 6, &weights()).unwrap();
        graph.compile().unwrap()
    };
    for step in 0..4 {
        let weights = weights().map(|x| x + 0.1 * step as f64);
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(9).step(step));
        balance(&graph, 6, &weights).unwrap();
        let fresh = graph.backward().unwrap();
        compiled.set("weights", &weights).unwrap();
        compiled.set("members", &Tensor::zeros([6, 4])).unwrap();
        let again = compiled.run(Seed::new(9).step(step)).unwrap();
        let bits = |gradients: &Gradients<f64>| -> Vec<u64> {
            gradients.get("weights").unwrap().as_slice().iter().map(|x| x.to_bits()).collect()
        };
        assert_eq!(bits(again), bits(&fresh), "step {step}");
        assert_eq!(again.costs(), fresh.costs());
    }
}

#[test]
fn sample_paths_into_an_environment_are_refused_with_a_reason() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let mean = graph.param("mean", 0.3).unwrap();
    let action = graph.sample("action", &Normal::new(mean, 1.0), &Pathwise::new()).unwrap();
    let step = graph.environment(("bandit", 2), &bandit(), graph.constant(0.0), action).unwrap();
    graph.cost("reward", step.reward).unwrap();
    let error = graph.backward().unwrap_err();
    assert!(matches!(&error, GraphError::Refused { node, .. } if node == "action"), "{error}");
    assert!(error.to_string().contains("environment \"bandit[2]\""), "{error}");
}
