//! Environments: host functions that compute the next state, observation, reward and end of an episode from the state,
//! the action and noise, member by member.
//!
//! If host code reads an action with `value()`, any later operation may depend on it, so that every later cost has to
//! be credited with the actions of all members. An environment is a recorded operation instead: a pure function that is
//! called once for each combination of members of the plates that state and action carry. The output for a member
//! depends on that member only, and so does the credit.

use std::fmt;
use std::sync::Arc;
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape};

/// One member of a step: the inputs and outputs of the function of an [`Environment`].
#[derive(Debug)]
pub struct MemberStep<'a, F> {
    /// The state, row-major.
    pub state: &'a [F],
    /// The action, row-major.
    pub action: &'a [F],
    /// Uniform samples in (0, 1), as many as were set with [`Environment::noise`].
    pub noise: &'a [F],
    /// Output: the next state, of the size of the state.
    pub next_state: &'a mut [F],
    /// Output: the observation, of the size set with [`Environment::observation`]; empty if that was not called.
    pub observation: &'a mut [F],
}

/// The value that the function of an [`Environment`] returns for a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepEnd<F> {
    /// The reward of the step.
    pub reward: F,
    /// Whether the episode of the member has ended.
    pub done: bool,
}

pub(crate) type StepFunction<F> = Arc<dyn Fn(MemberStep<'_, F>) -> StepEnd<F> + Send + Sync>;

/// An environment: a pure function of the state, the action and the noise of one member.
///
/// The function must depend on its arguments only: it is called again in counterfactual replays (with the same noise),
/// at each run of a compiled graph, and in any order. Outputs that it does not write are NaN, which is an error.
///
/// No gradient flows through an environment. [`Graph::environment`](crate::Graph::environment) explains what that
/// means, and has an example.
#[derive(Clone)]
pub struct Environment<F: Real> {
    pub(crate) step: StepFunction<F>,
    pub(crate) noise: usize,
    pub(crate) observation: Option<Shape>,
}

impl<F: Real> Environment<F> {
    /// An environment without noise whose observation is its next state.
    pub fn new(step: impl Fn(MemberStep<'_, F>) -> StepEnd<F> + Send + Sync + 'static) -> Self {
        Environment { step: Arc::new(step), noise: 0, observation: None }
    }

    /// Sets the number of uniform samples that a step needs.
    ///
    /// The exact oracle replaces each of them by the nodes of a quadrature. Its result is then exact for an environment
    /// whose noise takes only these values, and equals the result for continuous noise only if the costs are
    /// polynomials in the noise. For exact results, draw discrete noise from nodes of the graph and pass it as a part
    /// of the action.
    pub fn noise(self, count: usize) -> Self {
        Environment { noise: count, ..self }
    }

    /// Sets the event shape of observations that the function writes. By default, the observation is the next state.
    pub fn observation(self, shape: impl Into<Shape>) -> Self {
        Environment { observation: Some(shape.into()), ..self }
    }
}

impl<F: Real> fmt::Debug for Environment<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("noise", &self.noise)
            .field("observation", &self.observation)
            .finish_non_exhaustive()
    }
}

/// A recorded step of an environment. Each value carries the plates of state and action.
#[derive(Clone, Copy, Debug)]
pub struct Transition<'t, F: Real> {
    /// The next state, of the event shape of the state.
    pub state: Var<'t, F>,
    /// The observation.
    pub observation: Var<'t, F>,
    /// The reward: a scalar for each member.
    pub reward: Var<'t, F>,
    /// 1 where the episode has ended, 0 elsewhere.
    pub done: Var<'t, F>,
}

impl<'t, F: Real> Transition<'t, F> {
    /// The reward where the episode was running before this step (`running` is 1) and 0 elsewhere; and whether the
    /// episode is running after the step.
    pub fn while_running(&self, running: Var<'t, F>) -> (Var<'t, F>, Var<'t, F>) {
        (self.reward * running, running * (1.0 - self.done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Seed;
    use crate::error::GraphError;
    use crate::graph::Graph;
    use stochgrad_tape::{IdMap, PlateKind, Tape};
    use stochgrad_tensor::Tensor;

    /// Adds the action and the noise to both elements of the state, and observes their sum.
    fn drift() -> Environment<f64> {
        Environment::new(|member: MemberStep<'_, f64>| {
            for (next, x) in member.next_state.iter_mut().zip(member.state) {
                *next = x + member.action[0] + member.noise[0];
            }
            member.observation[0] = member.next_state.iter().sum();
            StepEnd { reward: member.noise[1], done: member.state[0] > 1.0 }
        })
        .noise(2)
        .observation([1])
    }

    #[test]
    fn outputs_lie_on_the_plates_of_state_and_action() {
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let state = graph.data("rows", [[0.0, 10.0], [2.0, 20.0], [0.5, 30.0]]).unwrap();
        let samples = graph.plate("samples", 2).unwrap();
        let action = graph.constant([100.0, 200.0]).event_to_plate(samples);
        let step = graph.environment("drift", &drift(), state, action).unwrap();
        assert_eq!(step.state.shape(), state.shape());
        assert_eq!(step.observation.shape(), Shape::from([1]));
        assert_eq!(step.done.peek().unwrap().as_slice(), &[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        let (next, rewards) = (step.state.peek().unwrap(), step.reward.peek().unwrap());
        for row in 0..3 {
            for sample in 0..2 {
                let x = |element: usize| next.get(&[row, sample, element]).unwrap();
                let moved = x(0) - [0.0, 2.0, 0.5][row] - [100.0, 200.0][sample];
                assert!(moved > 0.0 && moved < 1.0, "{moved}");
                assert!((x(1) - x(0) - [10.0, 18.0, 29.5][row]).abs() < 1e-12);
                let observed = step.observation.peek().unwrap().get(&[row, sample, 0]).unwrap();
                assert!((observed - x(0) - x(1)).abs() < 1e-12);
            }
        }
        let mut different = rewards.to_vec();
        different.dedup();
        assert_eq!(different.len(), 6, "each member has noise of its own");
    }

    #[test]
    fn states_share_noise_and_shards_have_that_of_their_members() {
        let rewards = |rows: &[f64], offset: u64, states: usize| {
            let tape = Tape::new();
            let graph = Graph::new(&tape, Seed::new(3));
            let state = graph.data("rows", Tensor::from_fn([rows.len(), 2], |i| rows[i / 2])).unwrap();
            tape.set_plate_offset(state.plates()[0], offset);
            let plate = tape.plate("states", states, PlateKind::Enumerated, &[]);
            let action = graph.constant(Tensor::zeros([states])).event_to_plate(plate);
            graph.environment(("drift", 1), &drift(), state, action).unwrap().reward.peek().unwrap().to_vec()
        };
        let whole = rewards(&[0.0; 5], 0, 1);
        assert_eq!(rewards(&[0.0; 2], 3, 1), whole[3..]);
        let shared: Vec<f64> = whole.iter().flat_map(|&reward| [reward, reward]).collect();
        assert_eq!(rewards(&[0.0; 5], 0, 2), shared);
    }

    #[test]
    fn a_replay_with_another_action_sees_the_same_noise() {
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let (state, action) = (graph.data("rows", [[0.0, 1.0], [2.0, 3.0]]).unwrap(), graph.constant(5.0));
        let first = graph.environment("drift", &drift(), state, action).unwrap();
        let packed = first.state.inputs()[0].inputs()[0];
        let plate = tape.plate("alternatives", 2, PlateKind::Alternatives, &[]);
        let mut ids = IdMap::identity();
        ids.insert(action.id(), graph.constant([5.0, 7.0]).event_to_plate(plate).id());
        let again = tape.rerecord(packed, &ids);
        assert_eq!(again.member(plate, 0).peek().unwrap(), packed.peek().unwrap());
        let moved = (again.member(plate, 1) - packed).peek().unwrap();
        for row in moved.as_slice().chunks(5) {
            assert!(row.iter().zip([2.0, 2.0, 4.0, 0.0, 0.0]).all(|(x, y)| (x - y).abs() < 1e-12), "{row:?}");
        }
    }

    #[test]
    fn outputs_that_are_nan_are_errors_that_name_environment_and_member() {
        let message = |environment: Environment<f64>| {
            let tape = Tape::new();
            let graph = Graph::new(&tape, Seed::new(3));
            let state = graph.data("rows", [1.0, 0.0, -1.0]).unwrap();
            graph.environment(("root", 4), &environment, state, graph.constant(0.0)).unwrap_err().to_string()
        };
        let root = message(Environment::new(|member: MemberStep<'_, f64>| {
            member.next_state[0] = 1.0;
            StepEnd { reward: member.state[0].sqrt(), done: false }
        }));
        assert!(root.contains("environment \"root[4]\"") && root.contains("the reward is NaN"), "{root}");
        assert!(root.contains("member 2 of 3") && root.contains("environment.rs"), "{root}");
        let forgotten = message(Environment::new(|_: MemberStep<'_, f64>| StepEnd { reward: 0.0, done: false }));
        assert!(forgotten.contains("element 0 of the next state is NaN for member 0"), "{forgotten}");
        let unseen = Environment::new(|member: MemberStep<'_, f64>| {
            member.next_state.copy_from_slice(member.state);
            StepEnd { reward: 0.0, done: false }
        });
        let unseen = message(unseen.observation([2]));
        assert!(unseen.contains("element 0 of the observation"), "{unseen}");
    }

    #[test]
    fn a_parameter_that_reaches_an_environment_without_a_node_is_refused() {
        let still = Environment::new(|member: MemberStep<'_, f64>| {
            member.next_state.copy_from_slice(member.state);
            StepEnd { reward: member.action[0], done: false }
        });
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let theta = graph.param("theta", 0.5).unwrap();
        let zero = graph.constant(0.0);
        for (state, action, what) in [(theta * 2.0, zero, "state"), (zero, theta.tanh(), "action")] {
            let error = graph.environment("still", &still, state, action).unwrap_err();
            assert!(matches!(&error, GraphError::Environment { .. }), "{error}");
            assert!(error.to_string().contains(&format!("the {what} depends on parameter \"theta\"")), "{error}");
        }
        let step = graph.environment("still", &still, theta.stop_gradient(), theta.sign()).unwrap();
        assert_eq!((step.state.item().unwrap(), step.reward.item().unwrap()), (0.5, 1.0));
        // What comes out depends on no parameter that could be differentiated.
        graph.environment(("still", 1), &still, step.state, step.reward).unwrap();
        assert!(matches!(graph.environment("still", &still, zero, zero), Err(GraphError::Duplicate { .. })));
    }
}
