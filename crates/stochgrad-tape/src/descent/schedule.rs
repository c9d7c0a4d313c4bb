//! Schedules: numbers that change from step to step.

use crate::tape::Tape;
use crate::var::Var;
use std::fmt;
use stochgrad_tensor::Real;

/// A number as a function of the number of completed steps: a learning rate or a temperature.
///
/// [`record`](Self::record) defines it, as recorded operations. The formulas, for $t$ completed steps and
/// $s = \min(t / T, 1)$ with the length $T$ of the schedule, from $a$ to $b$:
///
/// | schedule | value |
/// |---|---|
/// | [`constant`](Self::constant) | $a$ |
/// | [`exponential`](Self::exponential) | $a\, (b/a)^s$ |
/// | [`linear`](Self::linear) | $a + s\, (b - a)$ |
/// | [`cosine`](Self::cosine) | $b + \tfrac12 (a - b) (1 + \cos \pi s)$ |
/// | [`piecewise`](Self::piecewise) | the value of the last piece that has begun |
/// | with [`warm_up`](Self::warm_up) over $W$ steps | that value times $\min((t + 1) / W, 1)$ |
///
/// ```
/// use stochgrad_tape::descent::Schedule;
///
/// let falling = Schedule::exponential(1.0, 0.25, 2);
/// assert_eq!([0, 2, 3].map(|step| falling.at(step)), [1.0, 0.25, 0.25]);
/// assert!((falling.at(1) - 0.5).abs() < 1e-15);
/// let pieces = Schedule::piecewise(1.0, [(2, 0.5), (3, 0.125)]).warm_up(2);
/// assert_eq!([0, 1, 2, 3, 9].map(|step| pieces.at(step)), [0.5, 1.0, 0.5, 0.125, 0.125]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    course: Course,
    warm_up: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Course {
    Constant(f64),
    Exponential(Span),
    Linear(Span),
    Cosine(Span),
    Piecewise { first: f64, pieces: Vec<(u64, f64)> },
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    start: f64,
    end: f64,
    steps: u64,
}

impl Schedule {
    fn new(course: Course) -> Self {
        Schedule { course, warm_up: 0 }
    }

    /// The same value at every step.
    pub fn constant(value: f64) -> Self {
        Self::new(Course::Constant(value))
    }

    /// From `start` to `end` in `steps` steps by a constant factor, and then `end`.
    pub fn exponential(start: f64, end: f64, steps: u64) -> Self {
        Self::new(Course::Exponential(Span { start, end, steps }))
    }

    /// From `start` to `end` in `steps` steps by a constant difference, and then `end`.
    pub fn linear(start: f64, end: f64, steps: u64) -> Self {
        Self::new(Course::Linear(Span { start, end, steps }))
    }

    /// From `start` to `end` in `steps` steps along half a period of a cosine, and then `end`.
    pub fn cosine(start: f64, end: f64, steps: u64) -> Self {
        Self::new(Course::Cosine(Span { start, end, steps }))
    }

    /// The value `first`, and from each listed step on the value beside it. The steps must increase.
    pub fn piecewise(first: f64, pieces: impl Into<Vec<(u64, f64)>>) -> Self {
        Self::new(Course::Piecewise { first, pieces: pieces.into() })
    }

    /// Multiplies the values of the first `steps` steps by a factor that rises linearly to 1.
    pub fn warm_up(self, steps: u64) -> Self {
        Schedule { warm_up: steps, ..self }
    }

    /// The value, if it is the same at every step.
    pub fn as_constant(&self) -> Option<f64> {
        match self.course {
            Course::Constant(value) if self.warm_up == 0 => Some(value),
            _ => None,
        }
    }

    /// Checks that all values are finite and at least `least`, or above it if `strictly` is true, and that the steps of
    /// a piecewise schedule increase.
    ///
    /// # Errors
    /// What was expected, and what was given.
    pub fn check(&self, least: f64, strictly: bool) -> Result<(), String> {
        let (ends, pieces): ([f64; 2], &[(u64, f64)]) = match &self.course {
            Course::Constant(value) => ([*value; 2], &[]),
            Course::Exponential(span) if !(span.start > 0.0 && span.end > 0.0) => {
                return Err(format!("expected positive ends of an exponential schedule, got {self}"));
            }
            Course::Exponential(Span { start, end, .. })
            | Course::Linear(Span { start, end, .. })
            | Course::Cosine(Span { start, end, .. }) => ([*start, *end], &[]),
            Course::Piecewise { pieces, .. } if pieces.windows(2).any(|pair| pair[0].0 >= pair[1].0) => {
                return Err(format!("expected increasing steps of a piecewise schedule, got {self}"));
            }
            Course::Piecewise { first, pieces } => ([*first; 2], pieces),
        };
        let allowed = |value: f64| value.is_finite() && (value > least || value == least && !strictly);
        match ends.into_iter().chain(pieces.iter().map(|piece| piece.1)).find(|&value| !allowed(value)) {
            None => Ok(()),
            Some(value) => {
                let bound = if strictly { "above" } else { "of at least" };
                Err(format!("expected a finite number {bound} {least}, got {value}"))
            }
        }
    }

    /// Records the value after a number of completed steps: a scalar.
    #[track_caller]
    pub fn record<'t, F: Real>(&self, completed: Var<'t, F>) -> Var<'t, F> {
        let tape = completed.tape();
        let number = |value: f64| tape.constant(value);
        let share = |steps: u64| (completed / number(steps.max(1) as f64)).minimum(number(1.0));
        let until =
            |span: &Span, value: Var<'t, F>| completed.ge(number(span.steps as f64)).select(number(span.end), value);
        let value = match &self.course {
            Course::Constant(value) => number(*value),
            Course::Exponential(span) => until(span, number(span.end / span.start).pow(share(span.steps)) * span.start),
            Course::Linear(span) => until(span, share(span.steps) * (span.end - span.start) + span.start),
            Course::Cosine(span) => {
                let falling = (share(span.steps) * std::f64::consts::PI).cos() + 1.0;
                until(span, falling * (0.5 * (span.start - span.end)) + span.end)
            }
            Course::Piecewise { first, pieces } => pieces.iter().fold(number(*first), |before, &(step, value)| {
                completed.ge(number(step as f64)).select(number(value), before)
            }),
        };
        match self.warm_up {
            0 => value,
            steps => value * ((completed + 1.0) / number(steps as f64)).minimum(number(1.0)),
        }
    }

    /// The value after a number of completed steps.
    pub fn at(&self, completed: u64) -> f64 {
        match self.as_constant() {
            Some(value) => value,
            None => {
                let tape = Tape::<f64>::new();
                self.record(tape.constant(completed as f64)).item().unwrap_or(f64::NAN)
            }
        }
    }
}

impl From<f64> for Schedule {
    fn from(value: f64) -> Self {
        Self::constant(value)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.course {
            Course::Constant(value) => write!(f, "{value}")?,
            Course::Exponential(Span { start, end, steps }) => write!(f, "{start} to {end} in {steps} steps")?,
            Course::Linear(Span { start, end, steps }) => write!(f, "{start} to {end} linearly in {steps} steps")?,
            Course::Cosine(Span { start, end, steps }) => write!(f, "{start} to {end} as a cosine in {steps} steps")?,
            Course::Piecewise { first, pieces } => {
                write!(f, "{first}")?;
                pieces.iter().try_for_each(|(step, value)| write!(f, ", {value} from step {step}"))?;
            }
        }
        if self.warm_up > 0 { write!(f, ", warmed up in {} steps", self.warm_up) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_follows_its_formula_and_ends_exactly() {
        let half = std::f64::consts::FRAC_1_SQRT_2;
        let cases = [
            (Schedule::constant(0.3), [0.3; 4]),
            (Schedule::exponential(8.0, 0.5, 4), [8.0, 4.0, 2.0, 0.5]),
            (Schedule::linear(1.0, 3.0, 4), [1.0, 1.5, 2.0, 3.0]),
            (Schedule::cosine(2.0, 0.0, 4), [2.0, 1.0 + half, 1.0, 0.0]),
            (Schedule::piecewise(1.0, [(1, 0.5), (3, 0.1)]), [1.0, 0.5, 0.5, 0.1]),
            (Schedule::linear(1.0, 3.0, 4).warm_up(2), [0.5, 1.5, 2.0, 3.0]),
        ];
        for (schedule, expected) in cases {
            assert_eq!(schedule.check(0.0, false), Ok(()), "{schedule}");
            let found = [0, 1, 2, 100].map(|step| schedule.at(step));
            let near = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-14);
            assert!(near && found[3] == expected[3], "{schedule}: {found:?}");
        }
    }

    #[test]
    fn schedules_outside_their_domain_are_refused() {
        let wrong = [
            Schedule::constant(f64::NAN),
            Schedule::linear(1.0, -1.0, 3),
            Schedule::exponential(1.0, 0.0, 3),
            Schedule::piecewise(1.0, [(3, 1.0), (3, 0.5)]),
        ];
        for schedule in wrong {
            assert!(schedule.check(0.0, false).is_err(), "{schedule}");
        }
        assert!(Schedule::constant(0.0).check(0.0, true).is_err() && Schedule::constant(0.0).check(0.0, false).is_ok());
    }
}
