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
    /// All of these repetitions gave the same gradient, although it depends on noise: something that happens rarely may
    /// change it.
    NoVariance(u64),
}

/// The number of repetitions below which a tail cannot be judged.
const FEW: u64 = 100;

/// The share of the sum that a single repetition may have.
const LARGE_SHARE: f64 = 0.1;

impl Warning {
    /// The warnings, where `is_random` states whether a gradient without variance depends on noise.
    pub(crate) fn of(measured: &Measured, is_random: bool) -> Vec<Self> {
        let mut warnings = Vec::new();
        let count = measured.moments.count() as u64;
        // Without noise, or with rounding errors only, there is no tail.
        if measured.has_no_variance() {
            warnings.extend(is_random.then_some(Warning::NoVariance(count)));
            return warnings;
        }
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
            // With a probability p, none of n repetitions differs with the probability (1 − p)ⁿ, which is 5 % at 3 / n.
            Warning::NoVariance(count) => write!(
                f,
                "all {count} repetitions gave the same gradient although it is random: what changes it with a \
                 probability below {:.2} % may not have been seen, and the variance is unknown",
                300.0 / *count as f64
            ),
        }
    }
}
