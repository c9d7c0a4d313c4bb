//! The temperature of a relaxation, constant or annealed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use stochgrad_distributions::{Distribution, DistributionError};
use stochgrad_graph::{GraphError, GraphResult, MethodState, SampleContext, Update};
use stochgrad_tape::{Degree, Tape, Var};
use stochgrad_tensor::{Real, Tensor};

/// The name of the step of a schedule in the state of a method.
pub(crate) const STEP: &str = "temperature step";

/// A step is recorded in two parts, which are exact in single precision too.
const PART: u64 = 1 << 20;

/// The temperature of a relaxation: constant, or falling step by step.
///
/// Clones share the step, so that several nodes can be annealed together. The step increases by one with each call of
/// [`Gradients::advance`](stochgrad_graph::Gradients::advance), however many nodes share it, and at no other time.
///
/// ```
/// use stochgrad_estimators::Temperature;
///
/// let annealed = Temperature::exponential(1.0, 0.25, 2);
/// assert_eq!(annealed.current(), 1.0);
/// assert_eq!([0, 1, 2, 3].map(|step| annealed.at(step)), [1.0, 0.5, 0.25, 0.25]);
/// ```
#[derive(Clone, Debug)]
pub struct Temperature {
    schedule: Schedule,
    step: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Schedule {
    Constant(f64),
    Exponential { start: f64, end: f64, steps: u64 },
}

impl Temperature {
    /// The same temperature at every step.
    pub fn constant(temperature: f64) -> Self {
        Self::new(Schedule::Constant(temperature))
    }

    /// Falls from `start` to `end` in `steps` steps by a constant factor, and stays at `end`.
    pub fn exponential(start: f64, end: f64, steps: u64) -> Self {
        Self::new(Schedule::Exponential { start, end, steps })
    }

    fn new(schedule: Schedule) -> Self {
        Temperature { schedule, step: Arc::new(AtomicU64::new(0)) }
    }

    /// The temperature at a step.
    pub fn at(&self, step: u64) -> f64 {
        match self.schedule {
            Schedule::Constant(temperature) => temperature,
            Schedule::Exponential { end, steps, .. } if step >= steps => end,
            Schedule::Exponential { start, end, steps } => start * (end / start).powf(step as f64 / steps as f64),
        }
    }

    /// The temperature at the current step.
    pub fn current(&self) -> f64 {
        self.at(self.step())
    }

    /// The current step.
    pub fn step(&self) -> u64 {
        self.step.load(Ordering::Relaxed)
    }

    /// Sets the current step.
    pub fn set_step(&self, step: u64) {
        self.step.store(step, Ordering::Relaxed);
    }

    /// Whether it changes from step to step.
    pub fn changes(&self) -> bool {
        matches!(self.schedule, Schedule::Exponential { .. })
    }

    /// The degree of a polynomial cost up to which a straight-through method is exact: `degree` if the temperature is
    /// always 1, and 0 otherwise.
    pub fn exact_at_one(&self, degree: usize) -> Degree {
        if self.schedule == Schedule::Constant(1.0) { Degree::new(degree) } else { Degree::CONSTANT }
    }

    /// Records the temperature on a tape. A compiled graph reads a changing temperature again in every run.
    pub fn record<'t, F: Real>(&self, tape: &'t Tape<F>) -> Var<'t, F> {
        if !self.changes() {
            return tape.constant(self.current());
        }
        let temperature = self.clone();
        tape.host_value(move || temperature.current())
    }

    /// Checks that the temperature is positive and finite.
    ///
    /// # Errors
    /// If it is not.
    pub fn check<'t, F: Real>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &impl Distribution<'t, F>,
    ) -> GraphResult<()> {
        let found = self.current();
        if found > 0.0 && found.is_finite() {
            return Ok(());
        }
        Err(context.error(DistributionError::Parameter {
            distribution: distribution.name(),
            parameter: "temperature of its relaxation",
            expected: "a positive finite number",
            found,
            position: 0,
            hint: "start with 1 and let it fall to 0.5, say",
        }))
    }

    /// The state of the schedule, for [`Method::state`](stochgrad_graph::Method::state): empty for a constant
    /// temperature.
    pub fn state(&self) -> MethodState {
        let mut state = MethodState::new();
        if self.changes() {
            state.insert(STEP.into(), vec![self.step() as f64]);
        }
        state
    }

    /// Restores what [`state`](Self::state) returned. `method` is the name of the method, for the error message.
    ///
    /// # Errors
    /// If the state is not one that `state` can have returned for this schedule.
    pub fn load_state(&self, method: &str, state: &MethodState) -> GraphResult<()> {
        let broken = |problem: String| Err(GraphError::State { method: method.into(), problem });
        if let Some(unknown) = state.keys().find(|&key| key != STEP || !self.changes()) {
            let expected = if self.changes() { format!("\"{STEP}\"") } else { "nothing".into() };
            return broken(format!(
                "expected {expected}, got \"{unknown}\"; was the checkpoint made with another method?"
            ));
        }
        match state.get(STEP).map(Vec::as_slice) {
            None if self.changes() => {
                broken(format!("expected \"{STEP}\", got nothing; was the checkpoint made with another method?"))
            }
            None => Ok(()),
            Some(&[step]) if step >= 0.0 && step.fract() == 0.0 && step < 2.0_f64.powi(53) => {
                self.set_step(step as u64);
                Ok(())
            }
            Some(other) => {
                broken(format!("expected one whole number as \"{STEP}\", got {other:?}; the checkpoint is damaged"))
            }
        }
    }

    /// The updates that move the schedule on by one step, for [`Terms::updates`](stochgrad_graph::Terms): none for a
    /// constant temperature.
    pub fn updates<'t, F: Real>(&self, tape: &'t Tape<F>) -> Vec<Update<'t, F>> {
        if self.changes() { vec![self.advance(tape)] } else { Vec::new() }
    }

    /// Moves the schedule on from the step at which the gradient was taken. Running it again, or running that of
    /// another node with the same schedule, has no further effect.
    pub(crate) fn advance<'t, F: Real>(&self, tape: &'t Tape<F>) -> Update<'t, F> {
        let step = self.step.clone();
        let seen = tape.host_values([2], move |write| {
            let step = step.load(Ordering::Relaxed);
            write(0, (step % PART) as f64);
            write(1, (step / PART) as f64);
        });
        let step = self.step.clone();
        let apply = move |values: &[Tensor<F>]| {
            if let [low, high] = *values[0].as_slice() {
                let seen = low.to_f64() as u64 + high.to_f64() as u64 * PART;
                // Another node with the same schedule may have moved it on already.
                let _ = step.compare_exchange(seen, seen + 1, Ordering::Relaxed, Ordering::Relaxed);
            }
        };
        Update { inputs: vec![seen], apply: Arc::new(apply) }
    }
}

impl From<f64> for Temperature {
    fn from(temperature: f64) -> Self {
        Self::constant(temperature)
    }
}

impl fmt::Display for Temperature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.schedule {
            Schedule::Constant(temperature) => write!(f, "temperature {temperature}"),
            Schedule::Exponential { start, end, steps } => write!(f, "temperature {start} to {end} in {steps} steps"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn nodes_that_share_a_schedule_move_it_once() {
        let temperature = Temperature::exponential(1.0, 0.5, 10);
        temperature.set_step(PART * 3 + 7);
        let tape = Tape::<f32>::new();
        let updates = [temperature.advance(&tape), temperature.clone().advance(&tape)];
        assert_eq!(temperature.step(), PART * 3 + 7);
        for update in updates {
            (update.apply)(&[update.inputs[0].inspect().unwrap()]);
        }
        assert_eq!(temperature.step(), PART * 3 + 8);
        temperature.set_step(1);
        assert_abs_diff_eq!(temperature.current(), 0.5_f64.powf(0.1), epsilon = 1e-15);
    }
}
