//! Schedules: numbers that change from step to step.

#[cfg(feature = "serde")]
mod serialization;

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
/// | [`step`](Self::step) | $a\, \gamma^{\lfloor t / N \rfloor}$ for a factor $\gamma$ every $N$ steps |
/// | [`one_cycle`](Self::one_cycle) | along cosines from $p/25$ to the peak $p$, and on to $p / 250000$ |
/// | [`piecewise`](Self::piecewise) | the value of the last piece that has begun |
/// | [`then`](Self::then) after $n$ steps | that of the second schedule at $t - n$ |
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
    Step { start: f64, factor: f64, every: u64 },
    OneCycle { peak: f64, steps: u64 },
    Piecewise { first: f64, pieces: Vec<(u64, f64)> },
    Then { before: Box<Schedule>, steps: u64, after: Box<Schedule> },
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    start: f64,
    end: f64,
    steps: u64,
}

/// The steps at which a one-cycle schedule of this length reaches its peak and its end, as in PyTorch: the peak after
/// 30 percent of the steps, which is not always a whole number.
fn cycle(steps: u64) -> [f64; 2] {
    [0.3 * steps as f64 - 1.0, steps as f64 - 1.0]
}

/// The start and the end of a one-cycle schedule.
fn cycle_ends(peak: f64) -> [f64; 2] {
    [peak / 25.0, peak / 25.0 / 1e4]
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

    /// The value `start`, which is multiplied by `factor` after every `every` steps: PyTorch's `StepLR`.
    ///
    /// ```
    /// use stochgrad_tape::descent::Schedule;
    ///
    /// let halved = Schedule::step(0.8, 0.5, 3);
    /// assert_eq!([0, 2, 3, 6].map(|step| halved.at(step)), [0.8, 0.8, 0.4, 0.2]);
    /// ```
    pub fn step(start: f64, factor: f64, every: u64) -> Self {
        Self::new(Course::Step { start, factor, every })
    }

    /// One cycle (Smith & Topin 2018) in at least 4 steps: along half a period of a cosine from `peak` / 25 to `peak`
    /// in the first 30 percent of the steps, and in the remaining ones down to `peak` / 250000, which is then kept. The
    /// values are those of PyTorch's `OneCycleLR`. Other cycles are made with [`then`](Self::then).
    ///
    /// ```
    /// use stochgrad_tape::descent::Schedule;
    ///
    /// let cycle = Schedule::one_cycle(0.5, 10);
    /// assert_eq!([2, 9, 20].map(|step| cycle.at(step)), [0.5, 2e-6, 2e-6]);
    /// assert!((cycle.at(0) - 0.02).abs() < 1e-15);
    /// ```
    pub fn one_cycle(peak: f64, steps: u64) -> Self {
        Self::new(Course::OneCycle { peak, steps })
    }

    /// This schedule for the first `steps` steps, and then another one, whose steps count from there.
    ///
    /// ```
    /// use stochgrad_tape::descent::Schedule;
    ///
    /// let schedule = Schedule::linear(0.0, 1.0, 4).then(4, Schedule::cosine(1.0, 0.0, 4));
    /// assert_eq!([2, 4, 8].map(|step| schedule.at(step)), [0.5, 1.0, 0.0]);
    /// assert!((schedule.at(6) - 0.5).abs() < 1e-15);
    /// ```
    pub fn then(self, steps: u64, after: Schedule) -> Self {
        Self::new(Course::Then { before: Box::new(self), steps, after: Box::new(after) })
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

    /// Checks that all values are finite and at least `least`, or above it if `strictly` is true, and that numbers of
    /// steps are usable: those of a piecewise schedule increase, for example.
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
            Course::Step { factor, every, .. } if !(*factor > 0.0 && *factor <= 1.0 && *every > 0) => {
                return Err(format!("expected a factor in (0, 1] every 1 or more steps, got {self}"));
            }
            // The value falls towards 0, and may reach it by underflow.
            Course::Step { start, .. } => ([*start, if strictly { *start } else { 0.0 }], &[]),
            Course::OneCycle { steps, .. } if *steps < 4 => {
                return Err(format!("expected at least 4 steps of a one-cycle schedule, got {self}"));
            }
            Course::OneCycle { peak, .. } => (cycle_ends(*peak), &[]),
            Course::Piecewise { pieces, .. } if pieces.windows(2).any(|pair| pair[0].0 >= pair[1].0) => {
                return Err(format!("expected increasing steps of a piecewise schedule, got {self}"));
            }
            Course::Piecewise { first, pieces } => ([*first; 2], pieces),
            Course::Then { before, after, .. } => {
                return [before, after].into_iter().try_for_each(|part| part.check(least, strictly));
            }
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
            Course::Cosine(span) => until(span, half_period(span.start, span.end, share(span.steps))),
            Course::Step { start, factor, every } => {
                number(*factor).pow((completed / number(*every as f64)).floor()) * *start
            }
            Course::OneCycle { peak, steps } => {
                let ([top, last], [start, end]) = (cycle(*steps), cycle_ends(*peak));
                let rising = half_period(start, *peak, completed / number(top));
                let falling = half_period(*peak, end, (completed - top) / number(last - top));
                let value = completed.gt(number(top)).select(falling, rising);
                until(&Span { start, end, steps: *steps - 1 }, value)
            }
            Course::Piecewise { first, pieces } => pieces.iter().fold(number(*first), |before, &(step, value)| {
                completed.ge(number(step as f64)).select(number(value), before)
            }),
            Course::Then { before, steps, after } => {
                let start = number(*steps as f64);
                let [before, after] =
                    [before.record(completed), after.record((completed - start).maximum(number(0.0)))];
                completed.ge(start).select(after, before)
            }
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

/// Half a period of a cosine from `start` at a share of 0 to `end` at a share of 1.
#[track_caller]
fn half_period<'t, F: Real>(start: f64, end: f64, share: Var<'t, F>) -> Var<'t, F> {
    ((share * std::f64::consts::PI).cos() + 1.0) * (0.5 * (start - end)) + end
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
            Course::Step { start, factor, every } => write!(f, "{start} times {factor} every {every} steps")?,
            Course::OneCycle { peak, steps } => write!(f, "one cycle with the peak {peak} in {steps} steps")?,
            Course::Then { before, steps, after } => write!(f, "{before} for {steps} steps, then {after}")?,
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

    /// Values of PyTorch 2.15 in double precision.
    #[test]
    fn schedules_have_the_values_of_pytorch() {
        let cycle = [
            0.020000000000000018,
            0.26,
            0.5,
            0.47524231600673683,
            0.40587282697488153,
            0.30563101096814466,
            0.19437098903185537,
            0.09412917302511849,
            0.024759683993263143,
            2e-06,
        ];
        // Of 25 steps, the peak is at 6.5, which is not a whole number.
        let between = [0.4396425795610643, 0.4930260361822525, 0.4989935775245158, 0.49099075121110264];
        let cosine = [0.8, 0.7733578363789504, 0.6974873734152917, 0.5839392013277815, 0.45000000000000007];
        let restarted = [0.8, 0.4, 0.2, 0.8, 0.682842712474619, 0.4, 0.11715728752538102, 0.0];
        let exponential = [0.8, 0.7200000000000001, 0.6480000000000001, 0.5832000000000002];
        let cases: [(Schedule, u64, &[f64]); 7] = [
            (Schedule::step(0.8, 0.5, 3), 0, &[0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.1]),
            (Schedule::exponential(0.8, 0.8 * 0.9_f64.powi(20), 20), 0, &exponential),
            (Schedule::cosine(0.8, 0.1, 8), 0, &cosine),
            (Schedule::linear(0.8, 0.2, 4), 0, &[0.8, 0.65, 0.5, 0.35, 0.2, 0.2]),
            (Schedule::one_cycle(0.5, 10), 0, &cycle),
            (Schedule::one_cycle(0.5, 25), 5, &between),
            // `SequentialLR` of `ExponentialLR` and `CosineAnnealingLR`.
            (Schedule::exponential(0.8, 0.1, 3).then(3, Schedule::cosine(0.8, 0.0, 4)), 0, &restarted),
        ];
        for (schedule, first, expected) in cases {
            assert_eq!(schedule.check(0.0, false), Ok(()), "{schedule}");
            for (step, &expected) in (first..).zip(expected) {
                let found = schedule.at(step);
                assert!((found - expected).abs() < 1e-14, "{schedule} at {step}: {found}, expected {expected}");
            }
        }
    }

    #[test]
    fn schedules_outside_their_domain_are_refused() {
        let wrong = [
            Schedule::step(1.0, 0.0, 3),
            Schedule::step(1.0, 1.5, 3),
            Schedule::step(1.0, 0.5, 0),
            Schedule::step(-1.0, 0.5, 3),
            Schedule::one_cycle(1.0, 3),
            Schedule::one_cycle(-1.0, 30),
            Schedule::constant(1.0).then(3, Schedule::constant(-1.0)),
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
