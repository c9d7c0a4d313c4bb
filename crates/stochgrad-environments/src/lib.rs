//! Decision processes, and rollouts of policies in them.
//!
//! A [`DecisionProcess`] starts episodes and makes steps, for all members of some plates at once. It is a pure function:
//! the state is a value on the tape, and noise is determined by the seed and the name of the step. There are two kinds:
//!
//! * A process of *recorded operations* implements the trait. Derivatives flow through it, so that policies with sample
//!   paths can be trained by `Pathwise`, and its steps are repeated without calling it again.
//! * A process in *plain Rust* is a [`HostProcess`]: a function of one member. It is a black box, which may branch, and
//!   policies are trained by the score function.
//!
//! A [`Rollout`] runs a policy for a number of steps. Episodes have different lengths: what follows the end of an episode
//! is masked, or another episode starts.
//!
//! ```
//! use stochgrad_distributions::Bernoulli;
//! use stochgrad_environments::{DecisionProcess, HostProcess, Rollout};
//! use stochgrad_estimators::ScoreFunction;
//! use stochgrad_graph::{Environment, Graph, GraphError, Seed, StepEnd};
//! use stochgrad_tape::Tape;
//!
//! # fn main() -> Result<(), GraphError> {
//! // A walk that starts near 0, and ends where it leaves (−2, 2). The reward is its position.
//! let step = Environment::<f64>::new(|member| {
//!     let next = member.state[0] + member.action[0] - 0.4;
//!     member.next_state[0] = next;
//!     StepEnd { reward: next, done: next.abs() > 2.0 }
//! });
//! let walk = HostProcess::new([1], step).starting(1, |noise, state| state[0] = 0.2 * (noise[0] - 0.5));
//!
//! let tape = Tape::new();
//! let graph = Graph::new(&tape, Seed::new(7));
//! let slope = graph.param("slope", 0.5)?;
//! let walkers = graph.plate("walkers", 16)?;
//! let start = walk.start(&graph, "walk", &[walkers])?;
//! let episodes = Rollout::new("walk", &walk, 20).record(&graph, start, |_, moment| {
//!     let policy = Bernoulli::from_logits(moment.state.sum() * slope);
//!     Ok((graph.sample("action", &policy, &ScoreFunction::new())?, ()))
//! })?;
//! assert_eq!(episodes.rewards.shape()[..], [20]);
//! assert_ne!(graph.backward()?.get("slope")?.item()?, 0.0);
//! # Ok(())
//! # }
//! ```

mod host_process;
mod process;
mod rollout;

pub use host_process::HostProcess;
pub use process::DecisionProcess;
pub use rollout::{Episodes, Moment, Rollout};
pub use stochgrad_graph::Transition;

#[cfg(test)]
mod tests;
