//! Conditions on recorded values, which a program checks in each run.

use crate::error::{TapeError, TapeResult};
use crate::id::Id;
use crate::tape::Tape;
use crate::var::Var;
use std::panic::Location;
use stochgrad_tensor::{Real, Tensor};

/// A condition on the elements of a value, as data.
///
/// ```
/// use stochgrad_tape::Condition;
/// use stochgrad_tensor::Tensor;
///
/// let probability = Condition::Between { low: 0.0, high: 1.0 };
/// let violation = probability.violation(&Tensor::from([0.5_f64, 1.2])).unwrap();
/// assert_eq!((violation.position, violation.found), (1, 1.2));
/// assert!(Condition::POSITIVE.violation(&Tensor::from([0.5_f32, 1.2])).is_none());
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Condition {
    /// Neither NaN nor infinite.
    Finite,
    /// Not NaN.
    NotNan,
    /// Not 0. NaN passes.
    NotZero,
    /// In an interval that contains both of its ends.
    Between {
        /// The lower end.
        low: f64,
        /// The upper end.
        high: f64,
    },
    /// In an interval that contains its lower end only.
    AtLeast {
        /// The lower end.
        low: f64,
        /// The upper end.
        below: f64,
    },
    /// In an interval that contains its upper end only.
    AtMost {
        /// The lower end.
        above: f64,
        /// The upper end.
        high: f64,
    },
    /// In an interval that contains neither of its ends.
    Inside {
        /// The lower end.
        above: f64,
        /// The upper end.
        below: f64,
    },
    /// An integer, at least `least`.
    Integer {
        /// The lower end.
        least: f64,
    },
    /// With a finite exponential in the type of the elements. −∞ passes.
    FiniteExponential,
    /// Rows along the last axis that add up to 1, up to a tolerance.
    UnitRows {
        /// The largest deviation of a sum from 1.
        tolerance: f64,
    },
    /// Rows along the last axis with at least one element other than −∞.
    PossibleRows,
    /// Matrices on the last two axes with positive diagonals and zeros above them.
    LowerTriangle,
    /// Any other condition on each element.
    Each(fn(f64) -> bool),
}

/// The first place at which a condition does not hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Violation {
    /// The position, counted through all axes in row-major order. For a condition on rows, it is the start of the row.
    pub position: usize,
    /// The element, or what was computed from the row.
    pub found: f64,
}

impl Condition {
    /// Positive and finite.
    pub const POSITIVE: Condition = Condition::Inside { above: 0.0, below: f64::INFINITY };

    /// The first place at which the condition does not hold, or `None` if it holds.
    pub fn violation<F: Real>(self, value: &Tensor<F>) -> Option<Violation> {
        if self.holds(value) { None } else { self.first_violation(value) }
    }

    /// Whether the condition holds. Loops that do not stop at the first violation are loops over vectors. `false` may
    /// also mean that only [`first_violation`](Self::first_violation) can decide.
    fn holds<F: Real>(self, value: &Tensor<F>) -> bool {
        let x = value.as_slice();
        let exact = |bound: f64| F::from_f64(bound).to_f64() == bound;
        let bound = F::from_f64;
        match self {
            Condition::Finite => all(x, |x| x * F::ZERO == F::ZERO),
            Condition::NotNan => all(x, |x| !x.is_nan()),
            Condition::NotZero => all(x, |x| x != F::ZERO),
            Condition::Between { low, high } if exact(low) && exact(high) => {
                let (low, high) = (bound(low), bound(high));
                all(x, |x| (x >= low) & (x <= high))
            }
            Condition::AtLeast { low, below } if exact(low) && exact(below) => {
                let (low, below) = (bound(low), bound(below));
                all(x, |x| (x >= low) & (x < below))
            }
            Condition::AtMost { above, high } if exact(above) && exact(high) => {
                let (above, high) = (bound(above), bound(high));
                all(x, |x| (x > above) & (x <= high))
            }
            Condition::Inside { above, below } if exact(above) && exact(below) => {
                let (above, below) = (bound(above), bound(below));
                all(x, |x| (x > above) & (x < below))
            }
            Condition::FiniteExponential => all(x, |x| x < bound(64.0)),
            Condition::PossibleRows => all(x, |x| x > bound(f64::NEG_INFINITY)),
            _ => false,
        }
    }

    /// The first violation, by a loop that stops there.
    fn first_violation<F: Real>(self, value: &Tensor<F>) -> Option<Violation> {
        let each = |valid: &dyn Fn(f64) -> bool| first(value, |_, x| valid(x));
        match self {
            Condition::Finite => each(&f64::is_finite),
            Condition::NotNan => each(&|x| !x.is_nan()),
            Condition::NotZero => each(&|x| x != 0.0),
            Condition::Between { low, high } => each(&|x| x >= low && x <= high),
            Condition::AtLeast { low, below } => each(&|x| x >= low && x < below),
            Condition::AtMost { above, high } => each(&|x| x > above && x <= high),
            Condition::Inside { above, below } => each(&|x| x > above && x < below),
            Condition::Integer { least } => each(&|x| x.is_finite() && x == x.floor() && x >= least),
            Condition::FiniteExponential => each(&|x| F::from_f64(x).exp().is_finite()),
            Condition::Each(valid) => each(&valid),
            Condition::UnitRows { tolerance } => rows(value, |row| {
                let sum: f64 = row.iter().map(|x| x.to_f64()).sum();
                // A NaN has a condition of its own.
                ((sum - 1.0).abs() > tolerance).then_some(sum)
            }),
            Condition::PossibleRows => {
                rows(value, |row| row.iter().all(|x| x.to_f64() == f64::NEG_INFINITY).then_some(f64::NEG_INFINITY))
            }
            Condition::LowerTriangle => {
                let n = value.shape().last().copied().unwrap_or(1);
                first(value, |i, x| match (i / n % n).cmp(&(i % n)) {
                    std::cmp::Ordering::Less => x == 0.0,
                    std::cmp::Ordering::Equal => x > 0.0,
                    std::cmp::Ordering::Greater => true,
                })
            }
        }
    }
}

/// Whether all elements are valid. In a pool of rayon, long slices are split over its threads.
fn all<F: Real>(x: &[F], valid: impl Fn(F) -> bool + Copy + Sync + Send) -> bool {
    const LONG: usize = 1 << 16;
    if x.len() > LONG && rayon::current_thread_index().is_some() && rayon::current_num_threads() > 1 {
        let (near, far) = x.split_at(x.len() / 2);
        let (near, far) = rayon::join(|| all(near, valid), || all(far, valid));
        return near && far;
    }
    // Without leaving the loop at the first violation, it is one over vectors.
    x.iter().fold(true, |holds, &x| holds & valid(x))
}

fn first<F: Real>(value: &Tensor<F>, valid: impl Fn(usize, f64) -> bool) -> Option<Violation> {
    let elements = value.as_slice().iter().map(|x| x.to_f64()).enumerate();
    let wrong = elements.into_iter().find(|&(position, x)| !valid(position, x));
    wrong.map(|(position, found)| Violation { position, found })
}

fn rows<F: Real>(value: &Tensor<F>, wrong: impl Fn(&[F]) -> Option<f64>) -> Option<Violation> {
    let len = value.shape().last().copied().unwrap_or(1);
    let mut rows = value.as_slice().chunks(len.max(1)).enumerate();
    rows.find_map(|(row, elements)| Some(Violation { position: row * len, found: wrong(elements)? }))
}

/// What a value is required to be, and the words for an error. A tape checks it when it is recorded, and a program in
/// each run.
#[derive(Clone, Copy, Debug)]
pub struct Requirement {
    /// The condition.
    pub condition: Condition,
    /// What the value belongs to, such as the name of a distribution.
    pub owner: &'static str,
    /// The name of the value.
    pub name: &'static str,
    /// The condition in words, after "must be".
    pub expected: &'static str,
    /// What to try if it does not hold.
    pub hint: &'static str,
}

/// A requirement, and the value that it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Required {
    pub(crate) id: Id,
    pub(crate) requirement: Requirement,
}

impl<F: Real> Var<'_, F> {
    /// Checks that this value meets a requirement, and records it: a program that is compiled from the tape checks it
    /// in each run. Returns the first violation of the recorded value.
    ///
    /// ```
    /// use stochgrad_tape::{Condition, Requirement, Tape};
    /// use stochgrad_tensor::Tensor;
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let x = tape.parameter(2.0);
    /// let scale = x - 1.0;
    /// let violation = scale.require(Requirement {
    ///     condition: Condition::POSITIVE,
    ///     owner: "model",
    ///     name: "scale",
    ///     expected: "positive",
    ///     hint: "use exp()",
    /// })?;
    /// assert!(violation.is_none());
    /// let mut program = tape.compile(&[x], &[scale.ln()])?;
    /// program.set(0, &Tensor::scalar(0.5))?;
    /// let error = program.run(Default::default()).unwrap_err().to_string();
    /// assert!(error.contains("scale must be positive, got -0.5"), "{error}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The first error recorded on the tape.
    #[track_caller]
    pub fn require(self, requirement: Requirement) -> TapeResult<Option<Violation>> {
        let value = self.inspect()?;
        let violation = requirement.condition.violation(&value);
        if violation.is_none() {
            self.tape.inner.borrow_mut().requirements.push(Required { id: self.id, requirement });
        }
        Ok(violation)
    }
}

impl<F: Real> Tape<F> {
    /// The number of requirements that have been recorded with [`Var::require`].
    pub fn requirements(&self) -> usize {
        self.inner.borrow().requirements.len()
    }

    /// A requirement, by its number in the order of recording.
    pub fn requirement(&self, number: usize) -> Option<Requirement> {
        self.inner.borrow().requirements.get(number).map(|required| required.requirement)
    }
}

impl Requirement {
    /// The error of a value that a program computed.
    pub(crate) fn error(self, number: usize, violation: Violation, at: &'static Location<'static>) -> TapeError {
        let Requirement { owner, name, expected, hint, .. } = self;
        let Violation { position, found } = violation;
        TapeError::Requirement { number, owner, name, expected, found, position, hint, at }
    }
}
