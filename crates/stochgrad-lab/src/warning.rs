//! What makes the statistics of a gradient unreliable.

use std::fmt;

use crate::arm::Measured;
use crate::tail::TailIndex;

/// A reason not to rely on the variance of a gradient. The tail index is that of the norm of the gradient: moments of a
/// higher order are infinite. It is estimated from the largest norms (Hill 1975).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// The tail index is about 2 or less: the variance may be infinite, and what was measured grows with the number of
    /// repetitions.
    InfiniteVariance(TailIndex),
    /// The tail index is below 4: the variance has no finite error, and its interval is too narrow.
    UnreliableVariance(TailIndex),
    /// A single repetition makes up this share of the sum of the squared norms.
    OneRepetition(f64),
    /// The number of repetitions, which is too small to judge the tail.
    FewRepetitions(u64),
}

/// The number of repetitions below which a tail cannot be judged.
const FEW: u64 = 100;

/// The share of the sum that a single repetition may have.
const LARGE_SHARE: f64 = 0.1;

impl Warning {
    pub(crate) fn of(measured: &Measured, variance: f64, squared_signal: f64) -> Vec<Self> {
        let mut warnings = Vec::new();
        // Without noise, or with rounding errors only, there is no tail.
        if variance <= 1e-10 * squared_signal {
            return warnings;
        }
        let count = measured.moments.count() as u64;
        if count < FEW {
            warnings.push(Warning::FewRepetitions(count));
            return warnings;
        }
        // The tail is that of the squared norm.
        let index = measured.tail.index().map(|one| TailIndex { estimate: 2.0 * one.estimate, error: 2.0 * one.error });
        match index {
            Some(index) if index.estimate - index.error < 2.0 => warnings.push(Warning::InfiniteVariance(index)),
            Some(index) if index.estimate + index.error < 4.0 => warnings.push(Warning::UnreliableVariance(index)),
            _ => {}
        }
        let share = measured.tail.largest_share();
        if share > LARGE_SHARE {
            warnings.push(Warning::OneRepetition(share));
        }
        warnings
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::InfiniteVariance(TailIndex { estimate, error }) => write!(
                f,
                "the variance may be infinite (tail index {estimate:.1} ± {error:.1}, finite only above 2): it grows \
                 with the number of repetitions, and does not tell which method is better"
            ),
            Warning::UnreliableVariance(TailIndex { estimate, error }) => write!(
                f,
                "the interval of the variance is too narrow (tail index {estimate:.1} ± {error:.1}, its error is \
                 finite only above 4)"
            ),
            Warning::OneRepetition(share) => {
                write!(f, "one repetition makes up {:.0} % of the squared norms; run more of them", 100.0 * share)
            }
            Warning::FewRepetitions(count) => {
                write!(f, "{count} repetitions are too few to judge the tail; run at least {FEW}")
            }
        }
    }
}
