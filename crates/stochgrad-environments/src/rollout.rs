//! Rollouts of a policy.

use crate::process::DecisionProcess;
use std::fmt;
use stochgrad_graph::{Graph, GraphResult, ScanStep, ScanValues};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// A run of a policy in a decision process, for a number of steps.
///
/// In each step, the policy is called with the state and returns an action; the process makes a step; and the negative
/// reward is recorded as a cost. The costs of all steps have the name of the rollout, and each one is credited to the
/// actions before it. The expected sum of the costs is what [`Graph::backward`] differentiates.
///
/// | the end of an episode | what follows |
/// |---|---|
/// | by default | the member runs on, but its rewards are 0, and `running` is 0 |
/// | [`restarting`](Self::restarting) | another episode starts |
///
/// Nodes of the policy and critic values have the address `(name, step)`, as in every [loop](Graph::scan).
pub struct Rollout<'p, F: Real> {
    name: String,
    process: &'p dyn DecisionProcess<F>,
    steps: usize,
    restarts: bool,
}

/// What a policy sees before a step.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'t, F: Real> {
    /// The state.
    pub state: Var<'t, F>,
    /// 1 for members whose episode is running, 0 for those whose episode has ended. Multiply the values of a critic by
    /// it: nothing follows the end of an episode.
    pub running: Var<'t, F>,
}

/// The recorded steps of a rollout. Vectors are over the steps, on the plates of the members.
#[derive(Clone, Debug)]
pub struct Episodes<'t, F: Real, Y> {
    /// The rewards; 0 behind the end of an episode.
    pub rewards: Var<'t, F>,
    /// 1 for the steps in which an episode ended, and for all steps behind it.
    pub ends: Var<'t, F>,
    /// 1 for the steps that were made before the end of an episode.
    pub running: Var<'t, F>,
    /// What the policy returned beside the actions, stacked along a first event axis.
    pub outputs: Y,
    /// The state behind the last step.
    pub state: Var<'t, F>,
    /// 1 for members whose episode runs on behind the last step.
    pub still_running: Var<'t, F>,
}

impl<F: Real> fmt::Debug for Rollout<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, steps, restarts, .. } = self;
        f.debug_struct("Rollout")
            .field("name", name)
            .field("steps", steps)
            .field("restarts", restarts)
            .finish_non_exhaustive()
    }
}

impl<'p, F: Real> Rollout<'p, F> {
    /// A rollout of this many steps. The name is that of the steps of the process and of the cost.
    pub fn new(name: impl Into<String>, process: &'p dyn DecisionProcess<F>, steps: usize) -> Self {
        Rollout { name: name.into(), process, steps, restarts: false }
    }

    /// Starts another episode wherever one has ended.
    ///
    /// Recorded operations choose between the next state and the first state of another episode. By these operations,
    /// costs of the new episode depend on actions of the old one, and are credited to them: without a bias, but with a
    /// higher variance. Advantages that are computed with the [`ends`](Episodes::ends) have no such terms.
    pub fn restarting(self) -> Self {
        Rollout { restarts: true, ..self }
    }

    /// Records the rollout from a first state, which [`DecisionProcess::start`] returns, or the last one of an earlier
    /// rollout. The policy returns the action, and other values of the step, or `()`.
    ///
    /// # Errors
    /// Those of the policy, of the process, and of [`Graph::scan`].
    #[track_caller]
    pub fn record<'t, Y: ScanValues<'t, F>>(
        &self,
        graph: &Graph<'t, F>,
        state: Var<'t, F>,
        mut policy: impl FnMut(&ScanStep<'_, 't, F>, Moment<'t, F>) -> GraphResult<(Var<'t, F>, Y)>,
    ) -> GraphResult<Episodes<'t, F, Y>> {
        let running = graph.constant(1.0).expand_plates(&state.plates());
        let ((state, still_running), (rewards, (ends, (running, outputs)))) =
            graph.scan(&self.name, self.steps, (state, running), |step, (state, running)| {
                let (action, output) = policy(step, Moment { state, running })?;
                let made = self.process.step(graph, &self.name, state, action)?;
                let reward = made.reward * running;
                graph.cost(&self.name, -reward)?;
                let (next, still, end) = if self.restarts {
                    let first = self.process.start(graph, &self.name, &made.state.plates())?;
                    (made.done.select(first, made.state), running, made.done)
                } else {
                    let still = running * (1.0 - made.done);
                    (made.state, still, 1.0 - still)
                };
                Ok(((next, still), (reward, (end, (running, output)))))
            })?;
        Ok(Episodes { rewards, ends, running, outputs, state, still_running })
    }
}
