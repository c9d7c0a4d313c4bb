//! The temperature of a relaxation, constant or annealed.

use std::fmt;
use stochgrad_distributions::{Distribution, DistributionError};
use stochgrad_graph::{GraphResult, MethodSlots, SampleContext, SlotDomain, SlotPart, SlotSet, Update};
use stochgrad_tape::descent::Schedule;
use stochgrad_tape::{Degree, Slot, Tape, Var};
use stochgrad_tensor::Real;

const STEP: SlotPart = SlotPart { name: "step", domain: SlotDomain::Count };
const PARTS: &[SlotPart] = &[STEP];

/// The owner of the slot.
const OWNER: &str = "temperature";

/// A step is kept in two parts, `step % PART` and `step / PART`, which are exact in single precision too.
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
/// assert_eq!([0, 2, 3].map(|step| annealed.at(step)), [1.0, 0.25, 0.25]);
/// assert!((annealed.at(1) - 0.5).abs() < 1e-15);
/// ```
#[derive(Clone, Debug)]
pub struct Temperature {
    schedule: Schedule,
    slots: SlotSet,
}

impl Temperature {
    /// The same temperature at every step.
    pub fn constant(temperature: f64) -> Self {
        Schedule::constant(temperature).into()
    }

    /// Falls from `start` to `end` in `steps` steps by a constant factor, and stays at `end`.
    pub fn exponential(start: f64, end: f64, steps: u64) -> Self {
        Schedule::exponential(start, end, steps).into()
    }

    /// The temperature at a step.
    pub fn at(&self, step: u64) -> f64 {
        self.schedule.at(step)
    }

    /// The temperature at the current step.
    pub fn current(&self) -> f64 {
        self.at(self.step())
    }

    /// The current step.
    pub fn step(&self) -> u64 {
        match self.slot().values()[..] {
            [low, high] => (low as u64).saturating_add((high as u64).saturating_mul(PART)),
            _ => 0,
        }
    }

    fn slot(&self) -> Slot {
        self.slots.slot(OWNER, STEP.name, [2], |_| 0.0)
    }

    /// Sets the current step.
    pub fn set_step(&self, step: u64) {
        self.slot().write(&[(step % PART) as f64, (step / PART) as f64]);
    }

    /// Whether it changes from step to step.
    pub fn changes(&self) -> bool {
        self.schedule.as_constant().is_none()
    }

    /// The degree of a polynomial cost up to which a straight-through method is exact: `degree` if the temperature is
    /// always 1, and 0 otherwise.
    pub fn exact_at_one(&self, degree: usize) -> Degree {
        if self.schedule.as_constant() == Some(1.0) { Degree::new(degree) } else { Degree::CONSTANT }
    }

    /// Records the temperature on a tape. A compiled graph reads the step of a schedule again in every run.
    pub fn record<'t, F: Real>(&self, tape: &'t Tape<F>) -> Var<'t, F> {
        match self.schedule.as_constant() {
            Some(temperature) => tape.constant(temperature),
            None => {
                let [low, high] = self.parts(tape);
                self.schedule.record(low + high * PART as f64)
            }
        }
    }

    /// Records the two parts of the step.
    fn parts<'t, F: Real>(&self, tape: &'t Tape<F>) -> [Var<'t, F>; 2] {
        let step = tape.slot(&self.slot());
        [step.index(0, 0), step.index(0, 1)]
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

    /// The slot of the step, for [`Method::slots`](stochgrad_graph::Method::slots): none for a constant temperature.
    pub fn slots(&self) -> MethodSlots {
        if self.changes() { MethodSlots::from(&self.slots) } else { MethodSlots::default() }
    }

    /// The update that moves the schedule on by one step, for [`Terms::updates`](stochgrad_graph::Terms): none for a
    /// constant temperature. Nodes that share the schedule move it on once.
    pub fn updates<'t, F: Real>(&self, tape: &'t Tape<F>) -> Vec<Update<'t, F>> {
        if !self.changes() {
            return Vec::new();
        }
        let [low, high] = self.parts(tape);
        let next = low + 1.0;
        let carry = next.ge(tape.constant(PART as f64));
        let low = carry.select(tape.constant(0.0), next);
        let value = Var::concat(&[low.unsqueeze(0), (high + carry).unsqueeze(0)], 0).unwrap_or(low);
        vec![Update { is_shared: true, ..Update::new(&self.slot(), value) }]
    }
}

impl From<f64> for Temperature {
    fn from(temperature: f64) -> Self {
        Self::constant(temperature)
    }
}

impl From<Schedule> for Temperature {
    fn from(schedule: Schedule) -> Self {
        let slots = SlotSet::new(PARTS);
        let slots =
            if schedule.as_constant().is_some() { slots } else { slots.with_fixed(OWNER, STEP.name, [2], |_| 0.0) };
        Temperature { schedule, slots }
    }
}

impl fmt::Display for Temperature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "temperature {}", self.schedule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn the_step_moves_on_exactly_and_the_temperature_with_it() {
        let temperature = Temperature::exponential(1.0, 0.5, 10);
        for step in [0, 3, 9, 10, PART - 1, PART * 3 - 1, PART * 3 + 7] {
            temperature.set_step(step);
            assert_eq!(temperature.step(), step);
            let tape = Tape::<f32>::new();
            let recorded = temperature.record(&tape).item().unwrap();
            assert_abs_diff_eq!(f64::from(recorded), temperature.current(), epsilon = 1e-7);
            for update in temperature.updates(&tape) {
                update.slot.write(update.value.inspect().unwrap().as_slice());
            }
            assert_eq!(temperature.step(), step + 1);
        }
        // A state from a file may hold any numbers.
        temperature.slot().write(&[-1.0, 1e300]);
        assert_eq!(temperature.step(), u64::MAX);
        temperature.set_step(1);
        assert_abs_diff_eq!(temperature.current(), 0.5_f64.powf(0.1), epsilon = 1e-15);
    }
}
