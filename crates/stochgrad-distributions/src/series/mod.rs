//! Distributions of sequences: one element is a whole sequence.

pub(crate) mod auto_regressive;
pub(crate) mod gaussian_random_walk;
pub(crate) mod hidden_markov_model;
pub(crate) mod linear_gaussian_state_space;
pub(crate) mod markov_chain;

pub use auto_regressive::AutoRegressive;
pub use gaussian_random_walk::GaussianRandomWalk;
pub use hidden_markov_model::HiddenMarkovModel;
pub use linear_gaussian_state_space::{LinearGaussianStateSpace, StateSpace};
pub use markov_chain::MarkovChain;

use crate::error::{DistributionError, DistributionResult};
use std::panic::Location;
use stochgrad_tape::{Tape, TapeError, Var};
use stochgrad_tensor::Real;

/// The largest number of steps that are recorded one after the other. Each of them takes time and memory for operations
/// of its own, which the memory limit of a tape does not count.
const MOST_STEPS: usize = 1 << 16;

/// Checks that sequences have at least one step.
fn check_steps(distribution: &'static str, steps: usize) -> DistributionResult<()> {
    if steps > 0 {
        return Ok(());
    }
    let problem = "expected at least one step, got 0".into();
    Err(DistributionError::Unsupported { distribution, problem })
}

/// Checks a number of steps that are recorded one after the other.
///
/// # Errors
/// For none, and for more than [`MOST_STEPS`].
fn check_recorded_steps(distribution: &'static str, steps: usize) -> DistributionResult<()> {
    check_steps(distribution, steps)?;
    if steps <= MOST_STEPS {
        return Ok(());
    }
    let problem = format!(
        "expected at most {MOST_STEPS} steps, each of which is recorded as operations of its own, got {steps}; use \
         shorter sequences"
    );
    Err(DistributionError::Unsupported { distribution, problem })
}

/// An error on the tape in place of a value.
#[track_caller]
fn failed<'t, F: Real>(tape: &'t Tape<F>, error: &DistributionError) -> Var<'t, F> {
    tape.fail(TapeError::Other { message: error.to_string(), at: Location::caller() })
}

/// The elements of a sequence along the last axis, each moved this many steps later; zeros come first.
fn later<F: Real>(sequence: Var<'_, F>, lag: usize, steps: usize) -> Var<'_, F> {
    match steps.checked_sub(lag) {
        Some(kept) if kept > 0 => sequence.slice(-1, 0..kept).pad(-1, lag, 0),
        _ => sequence * 0.0,
    }
}

/// Values of the steps as one sequence, along a new axis at this position from the end.
fn in_order<'t, F: Real>(steps: &[Var<'t, F>], axis: isize) -> DistributionResult<Var<'t, F>> {
    let each: Vec<Var<'t, F>> = steps.iter().map(|step| step.unsqueeze(axis)).collect();
    Ok(Var::concat(&each, axis)?)
}
