//! Decision processes in plain Rust.

use crate::process::DecisionProcess;
use stochgrad_graph::{Environment, Graph, GraphResult, MemberStep, StepEnd, Transition};
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// A decision process whose steps are an [`Environment`]: a function of one member in plain Rust. No derivatives flow
/// through it.
///
/// Rollouts use the state only. What a policy may see of it is the choice of the policy, and an observation with memory or
/// noise of its own is a part of the state.
#[derive(Clone, Debug)]
pub struct HostProcess<F: Real> {
    step: Environment<F>,
    start: Environment<F>,
    state: Shape,
}

impl<F: Real> HostProcess<F> {
    /// A process with states of an event shape, which starts with zeros.
    pub fn new(state: impl Into<Shape>, step: Environment<F>) -> Self {
        HostProcess { step, start: Environment::new(|_| StepEnd { reward: F::ZERO, done: false }), state: state.into() }
            .starting(0, |_, state| state.fill(F::ZERO))
    }

    /// Sets the function that writes the first state of an episode, from as many uniform samples as it needs.
    pub fn starting(self, noise: usize, start: impl Fn(&[F], &mut [F]) + Send + Sync + 'static) -> Self {
        let first = Environment::new(move |member: MemberStep<'_, F>| {
            start(member.noise, member.next_state);
            StepEnd { reward: F::ZERO, done: false }
        });
        HostProcess { start: first.noise(noise), ..self }
    }
}

impl<F: Real> DecisionProcess<F> for HostProcess<F> {
    fn start<'t>(&self, graph: &Graph<'t, F>, name: &str, plates: &[Plate]) -> GraphResult<Var<'t, F>> {
        let nothing = graph.constant(Tensor::zeros(self.state.clone())).expand_plates(plates);
        Ok(graph.environment(format!("{name} start"), &self.start, nothing, graph.constant(0.0))?.state)
    }

    fn step<'t>(
        &self,
        graph: &Graph<'t, F>,
        name: &str,
        state: Var<'t, F>,
        action: Var<'t, F>,
    ) -> GraphResult<Transition<'t, F>> {
        graph.environment(name, &self.step, state, action)
    }
}
