//! Temperatures of relaxations, and how they fall.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The temperature of a relaxation: constant, or falling step by step.
///
/// A handle: clones share the step, so that several nodes anneal together. The step moves on once for each call of
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
    /// The same at every step.
    pub fn constant(temperature: f64) -> Self {
        Self::new(Schedule::Constant(temperature))
    }

    /// From `start` to `end` over a number of steps by a constant factor, and `end` from then on.
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

    /// The temperature now.
    pub fn current(&self) -> f64 {
        self.at(self.step())
    }

    /// The number of steps made.
    pub fn step(&self) -> u64 {
        self.step.load(Ordering::Relaxed)
    }

    /// Goes to a step.
    pub fn set_step(&self, step: u64) {
        self.step.store(step, Ordering::Relaxed);
    }

    /// Whether it changes from step to step.
    pub(crate) fn changes(&self) -> bool {
        matches!(self.schedule, Schedule::Exponential { .. })
    }

    /// What moves on from the present step: once, whoever runs it, and however often.
    pub(crate) fn advance(&self) -> Box<dyn FnOnce() + Send> {
        let (step, seen) = (self.step.clone(), self.step());
        Box::new(move || {
            // Another node with the same schedule may have moved it on already.
            let _ = step.compare_exchange(seen, seen + 1, Ordering::Relaxed, Ordering::Relaxed);
        })
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

    #[test]
    fn nodes_that_share_a_schedule_move_it_once() {
        let temperature = Temperature::exponential(1.0, 0.5, 10);
        let (first, second) = (temperature.advance(), temperature.clone().advance());
        assert_eq!(temperature.step(), 0);
        first();
        second();
        assert_eq!(temperature.step(), 1);
        assert!((temperature.current() - 0.5_f64.powf(0.1)).abs() < 1e-15);
    }
}
