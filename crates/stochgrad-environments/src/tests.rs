//! Rollouts of both kinds of processes.

use crate::{DecisionProcess, Episodes, HostProcess, Rollout, Transition};
use approx::assert_abs_diff_eq;
use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Normal};
use stochgrad_estimators::{Pathwise, ScoreFunction, StateValue};
use stochgrad_graph::{Environment, Graph, GraphResult, MemberStep, Seed, StepEnd};
use stochgrad_tape::{Plate, Tape, Var};
use stochgrad_tensor::Tensor;

/// Counts down from the first state, and ends at 0. The reward is the state, and the action is added to it.
fn countdown() -> HostProcess<f64> {
    let step = Environment::new(|member: MemberStep<'_, f64>| {
        let next = member.state[0] - 1.0;
        member.next_state[0] = next;
        StepEnd { reward: member.state[0] + member.action[0], done: next <= 0.0 }
    });
    HostProcess::new([1], step).starting(1, |noise, state| state[0] = if noise[0] < 0.5 { 2.0 } else { 3.0 })
}

/// Members that start at 1, 2 and 5, and their policy, which returns 10 times the state.
fn count<'t>(graph: &Graph<'t, f64>, restarts: bool) -> GraphResult<Episodes<'t, f64, Var<'t, f64>>> {
    let process = countdown();
    let rollout = Rollout::new("count", &process, 4);
    let rollout = if restarts { rollout.restarting() } else { rollout };
    let start = graph.data("members", [[1.0], [2.0], [5.0]])?;
    rollout.record(graph, start, |_, moment| Ok((graph.constant(0.0), moment.state.sum() * 10.0)))
}

#[test]
fn what_follows_an_episode_is_masked() {
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let episodes = count(&graph, false).unwrap();
    let rows = |var: Var<'_, f64>| var.peek().unwrap().to_vec();
    assert_eq!(rows(episodes.rewards), [1., 0., 0., 0., 2., 1., 0., 0., 5., 4., 3., 2.]);
    assert_eq!(rows(episodes.ends), [1., 1., 1., 1., 0., 1., 1., 1., 0., 0., 0., 0.]);
    assert_eq!(rows(episodes.running), [1., 0., 0., 0., 1., 1., 0., 0., 1., 1., 1., 1.]);
    assert_eq!(rows(episodes.outputs)[..4], [10., 0., -10., -20.]);
    assert_eq!((rows(episodes.state), rows(episodes.still_running)), (vec![-3., -2., 1.], vec![0., 0., 1.]));
    let costs = graph.estimates().unwrap();
    assert_eq!(costs.len(), 1);
    assert_eq!(costs[0].1.item(), Ok(-(1. + 3. + 14.) / 3.));
}

#[test]
fn episodes_start_again() {
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let episodes = count(&graph, true).unwrap();
    let [rewards, ends] = [episodes.rewards, episodes.ends].map(|var| var.peek().unwrap().to_vec());
    let mut lengths = Vec::new();
    for (rewards, ends) in rewards.chunks(4).zip(ends.chunks(4)) {
        for t in 1..4 {
            match ends[t - 1] {
                1.0 => lengths.push(rewards[t]),
                _ => assert_eq!(rewards[t], rewards[t - 1] - 1.0),
            }
            assert_eq!(ends[t] == 1.0, rewards[t] == 1.0);
        }
    }
    assert_eq!((rewards[0], rewards[4], rewards[8]), (1.0, 2.0, 5.0));
    assert!(lengths.len() >= 2 && lengths.iter().all(|length| [2.0, 3.0].contains(length)), "{lengths:?}");
    assert!(episodes.still_running.peek().unwrap().as_slice().iter().all(|x| *x == 1.0));
}

#[test]
fn members_and_steps_have_noise_of_their_own() {
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(4));
    let plate = graph.plate("members", 64).unwrap();
    let first = countdown().start(&graph, "one", &[plate]).unwrap().peek().unwrap().to_vec();
    let second = countdown().start(&graph, "two", &[plate]).unwrap().peek().unwrap().to_vec();
    for starts in [&first, &second] {
        let long = starts.iter().filter(|start| **start == 3.0).count();
        assert!((16..48).contains(&long), "{starts:?}");
    }
    assert_ne!(first, second);
}

fn first_states(restarts: bool) -> Tensor<f64> {
    Tensor::from_fn([if restarts { 1 } else { 2 }, 1], |at| 1.0 + 2.0 * at as f64)
}

/// A policy of bits that depends on the state, with a critic, in a process whose noise the oracle enumerates.
fn controlled(graph: &Graph<'_, f64>, restarts: bool) -> GraphResult<()> {
    let process = countdown();
    let rollout = Rollout::new("count", &process, 3);
    let rollout = if restarts { rollout.restarting() } else { rollout };
    let (slope, method) = (graph.param("slope", 0.3)?, ScoreFunction::new().baseline(StateValue::new("value")));
    let start = graph.data("members", first_states(restarts))?;
    rollout.record(graph, start, |_, moment| {
        let height = moment.state.sum();
        graph.set_critic_value("value", -height.square() * moment.running)?;
        Ok((graph.sample("action", &Bernoulli::from_logits(height * slope), &method)?, ()))
    })?;
    Ok(())
}

#[test]
fn gradients_through_rollouts_are_exact() {
    for restarts in [false, true] {
        let oracle = Oracle::new().nodes(2);
        oracle.verify(|graph: &Graph<'_, f64>| controlled(graph, restarts), 0..=2, 1e-9).unwrap();
    }
}

#[test]
fn compiled_rollouts_give_the_bits_of_recorded_ones() {
    for restarts in [false, true] {
        let mut compiled = {
            let tape = Tape::new();
            let graph = Graph::new(&tape, Seed::new(2));
            controlled(&graph, restarts).unwrap();
            graph.compile().unwrap()
        };
        for step in 0..3 {
            let tape = Tape::new();
            let graph = Graph::new(&tape, Seed::new(2).step(step));
            controlled(&graph, restarts).unwrap();
            let recorded = graph.backward().unwrap();
            compiled.set("slope", &Tensor::scalar(0.3)).unwrap();
            compiled.set("members", &first_states(restarts)).unwrap();
            let again = compiled.run(Seed::new(2).step(step)).unwrap();
            assert_eq!(again.get("slope").unwrap().to_vec(), recorded.get("slope").unwrap().to_vec());
            assert_eq!(again.costs(), recorded.costs());
        }
    }
}

/// A position that drifts by its action, recorded.
struct Line;

impl DecisionProcess<f64> for Line {
    fn start<'t>(&self, graph: &Graph<'t, f64>, _: &str, plates: &[Plate]) -> GraphResult<Var<'t, f64>> {
        Ok(graph.constant(1.0).expand_plates(plates))
    }

    fn step<'t>(
        &self,
        graph: &Graph<'t, f64>,
        _: &str,
        state: Var<'t, f64>,
        action: Var<'t, f64>,
    ) -> GraphResult<Transition<'t, f64>> {
        let next = state * 0.9 + action;
        Ok(Transition { state: next, observation: next, reward: -next.square(), done: graph.constant(0.0) })
    }
}

/// A linear policy with noise on the line, and the number of calls of the policy.
fn steer(graph: &Graph<'_, f64>, plates: &[Plate]) -> GraphResult<usize> {
    let (gain, mut calls) = (graph.param("gain", 0.4)?, 0);
    let start = Line.start(graph, "line", plates)?;
    Rollout::new("line", &Line, 4).record(graph, start, |_, moment| {
        calls += 1;
        let policy = Normal::new(-gain * moment.state, 0.3);
        Ok((graph.sample("action", &policy, &Pathwise::new())?, ()))
    })?;
    Ok(calls)
}

#[test]
fn derivatives_flow_through_recorded_processes() {
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(2));
    let plate = graph.plate("members", 2).unwrap();
    let calls = steer(&graph, &[plate]).unwrap();
    assert!(calls < 4, "the steps are repeated, and the policy was called {calls} times");
    assert_eq!(graph.estimates().unwrap().len(), 1);

    // x' = (0.9 − k) x + 0.3 ε, so that the expected cost is a polynomial in k.
    let cost = |gain: f64| {
        let mut moment = 1.0;
        (0..4).fold(0.0, |sum, _| {
            moment = (0.9_f64 - gain).powi(2) * moment + 0.09;
            sum + moment
        })
    };
    let slope = (cost(0.4 + 1e-5) - cost(0.4 - 1e-5)) / 2e-5;
    let found = Oracle::new().nodes(3).gradient(|graph: &Graph<'_, f64>| steer(graph, &[]).map(|_| ())).unwrap();
    assert_abs_diff_eq!(found.mean("gain").unwrap().item().unwrap(), slope, epsilon = 1e-8);
}
