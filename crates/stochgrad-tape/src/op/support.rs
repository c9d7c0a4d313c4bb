//! Which values does a log-probability accept as its first operand? At all others it is −∞.

use super::Op;
use super::special::function::Special;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::zip::Zip;

/// The values at which a log-probability is finite, for messages about a value at which it is not.
pub(crate) struct Support {
    /// The operation in words.
    pub(crate) name: &'static str,
    /// The values in words.
    pub(crate) expected: &'static str,
    /// What to try.
    pub(crate) hint: &'static str,
    /// Whether a value is one of them, given the second operand.
    pub(crate) contains: fn(f64, f64) -> bool,
}

const COUNTS: &str = "use counts as data, such as intensities times their number of levels, or a distribution of real \
                      numbers";
const WHOLE: &str = "whole numbers, at least 0";

fn is_count(value: f64) -> bool {
    value >= 0.0 && value.fract() == 0.0
}

impl Op {
    /// The support, if this is a log-probability, or a part of one, whose support is known.
    pub(crate) fn support(&self) -> Option<Support> {
        let counts = |name| Support { name, expected: WHOLE, hint: COUNTS, contains: |value, _| is_count(value) };
        match self {
            Op::Special(Special::PoissonLogPmf(_)) => Some(counts("the log-probability of a Poisson distribution")),
            Op::Special(Special::NegativeBinomialLogPmf(_)) => {
                Some(counts("the log-probability of a negative binomial distribution"))
            }
            Op::Special(Special::BinomialLogPmf(_)) => Some(Support {
                expected: "whole numbers from 0 to the number of trials",
                contains: |value, trials| is_count(value) && value <= trials,
                ..counts("the log-probability of a binomial distribution")
            }),
            Op::Zip(Zip::MulCount) => Some(counts("the log-probability of a geometric distribution")),
            Op::Zip(Zip::MulBit | Zip::ChanceOfBit) => Some(Support {
                name: "the log-probability of a Bernoulli distribution",
                expected: "bits, or values between 0 and 1",
                hint: "divide data by its largest value, or compare it with a threshold",
                contains: |value, _| (0.0..=1.0).contains(&value),
            }),
            // The log-probability of what is not a value of a distribution: −∞, and NaN at NaN.
            Op::Map(Map::MinScalar(f64::NEG_INFINITY)) => Some(Support {
                name: "the log-probability of a value outside of the support",
                expected: "values that the distribution can take",
                hint: "check the data, the number of categories, and the bounds",
                contains: |_, _| false,
            }),
            _ => None,
        }
    }
}
