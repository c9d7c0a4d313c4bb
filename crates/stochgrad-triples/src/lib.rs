//! Stochastic triples (Arya et al. 2022): unbiased derivatives of expectations of programs that draw discrete samples
//! and branch on them.
//!
//! ```
//! use stochgrad_triples::average;
//!
//! // A queue: jobs arrive at random, and each takes a random number of minutes. E[minutes] = 6 p / (1 − p).
//! let mean = average(0.4, 20_000, 7, |run, p| {
//!     let jobs = run.poisson(6.0);
//!     run.branch(jobs, |run, jobs| (0..jobs as u32).map(|_| run.geometric(1.0 - p)).sum())
//! })?;
//! println!("{:.2} ± {:.2} minutes", mean.value, mean.value_error);
//! println!("{:.2} ± {:.2} minutes for each unit of p", mean.derivative, mean.derivative_error);
//! assert!((mean.derivative - 6.0 / 0.36).abs() < 4.0 * mean.derivative_error);
//! # Ok::<(), stochgrad_triples::TripleError>(())
//! ```
//!
//! A [`Triple`] is a value, its derivative, and the value that takes its place if one discrete draw jumps to a
//! neighbour. A [`Run`] draws samples ([`bernoulli`](Run::bernoulli), [`binomial`](Run::binomial),
//! [`categorical`](Run::categorical) …), and runs control flow that depends on them ([`branch`](Run::branch),
//! [`while_loop`](Run::while_loop)). [`estimate`] runs a program once, [`average`] many times, and [`gradient`] once for
//! each of several arguments.
//!
//! # When to use it
//!
//! * Use triples for a scalar program with control flow that depends on samples, and one or a few parameters: an
//!   epidemic, a queue, a game, a random walk until it leaves an interval. A graph cannot record a loop whose length is a
//!   sample.
//! * Use a graph with the method `StochasticDerivatives` for models with tensors and many parameters. It uses the same
//!   jumps in reverse mode: one backward pass gives all derivatives, and programs are compiled.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 |
//! | evaluations | the program once, and what follows a decision that the chosen jump changes a second time |
//! | variance | that of the jump in the direction of the derivative, and of the choice of one jump among all |
//!
//! **Assumptions.** The expectation is differentiable with respect to the argument, and values that change smoothly with
//! the argument decide on no branch. The latter is checked.

mod arithmetic;
mod control_flow;
mod draws;
mod error;
mod estimate;
mod functions;
mod run;
mod structure;
mod triple;

pub use error::{TripleError, TripleResult};
pub use estimate::{Average, Estimate, average, estimate, gradient};
pub use run::Run;
pub use structure::Triples;
pub use triple::Triple;
