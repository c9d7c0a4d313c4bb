//! The values of a distribution, and the arguments at which the sweep asks for its functions.

use crate::distributions::Precision;
use std::f64::consts::PI;

/// The values that a distribution takes. The numbers inside are positions of parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Range {
    /// 0 and 1.
    Bits,
    /// 0, 1, … below a number.
    Categories(usize),
    /// The counts.
    Counts,
    /// The counts from 1 on.
    Ranks,
    /// The counts up to a parameter.
    UpTo(usize),
    /// The counts from 1 to a number.
    From1To(usize),
    /// The integers.
    Integers,
    /// The integers between two parameters.
    Between(usize, usize),
    /// The value of the only parameter.
    Single,
    /// All numbers.
    Real,
    /// Positive numbers.
    Positive,
    /// Between 0 and 1.
    Unit,
    /// Between −1 and 1.
    Signed,
    /// Between two parameters.
    Interval(usize, usize),
    /// Above a parameter.
    From(usize),
    /// Above the first parameter, and below an end that depends on scale and shape, the next two, if the shape is
    /// negative.
    Excesses,
    /// Beside an end that depends on location, scale and shape, if the shape is not 0.
    Maxima,
    /// Angles, which differ by whole turns where they are the same.
    Angles,
}

/// Whether a value is one of the distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is.
    Inside,
    /// It is an end, where the density may be anything, or between two bits.
    End,
    /// It is not.
    Outside,
}

impl Range {
    /// Only single values have a probability.
    pub(crate) fn is_discrete(self) -> bool {
        matches!(
            self,
            Range::Bits
                | Range::Categories(_)
                | Range::Counts
                | Range::Ranks
                | Range::UpTo(_)
                | Range::From1To(_)
                | Range::Integers
                | Range::Between(..)
                | Range::Single
        )
    }

    /// The least and the largest value.
    pub(crate) fn ends(self, parameters: &[f64]) -> (f64, f64) {
        match self {
            Range::Bits => (0.0, 1.0),
            Range::Categories(count) => (0.0, count as f64 - 1.0),
            Range::Counts | Range::Positive => (0.0, f64::INFINITY),
            Range::Ranks => (1.0, f64::INFINITY),
            Range::From1To(last) => (1.0, last as f64),
            Range::UpTo(trials) => (0.0, parameters[trials]),
            Range::Integers | Range::Real | Range::Angles => (f64::NEG_INFINITY, f64::INFINITY),
            Range::Between(low, high) | Range::Interval(low, high) => (parameters[low], parameters[high]),
            Range::Single => (parameters[0], parameters[0]),
            Range::Unit => (0.0, 1.0),
            Range::Signed => (-1.0, 1.0),
            Range::From(low) => (parameters[low], f64::INFINITY),
            Range::Excesses | Range::Maxima => {
                let (location, shape) = (parameters[0], parameters[2]);
                let end = location - parameters[1] / shape;
                let low = if self == Range::Excesses { location } else { f64::NEG_INFINITY };
                (if shape > 0.0 { low.max(end) } else { low }, if shape < 0.0 { end } else { f64::INFINITY })
            }
        }
    }

    /// The size of what is rounded where an end is computed from parameters.
    pub(crate) fn size_of_end(self, parameters: &[f64]) -> f64 {
        match self {
            Range::Excesses | Range::Maxima if parameters[2] != 0.0 => {
                parameters[0].abs() + (parameters[1] / parameters[2]).abs()
            }
            _ => 0.0,
        }
    }

    /// Where a value is.
    pub(crate) fn place(self, parameters: &[f64], value: f64) -> Place {
        let (low, high) = self.ends(parameters);
        if value.is_infinite() || value < low || value > high {
            Place::Outside
        } else if self == Range::Single {
            if value == low { Place::Inside } else { Place::Outside }
        } else if self == Range::Bits && 0.0 < value && value < 1.0 {
            // Relaxed bits have a cross-entropy.
            Place::End
        } else if self.is_discrete() {
            if value.fract() == 0.0 { Place::Inside } else { Place::Outside }
        } else if value == low || value == high {
            Place::End
        } else {
            Place::Inside
        }
    }

    /// Arguments that do not depend on the distribution: ends, what is just inside and outside, very small and very
    /// large values, the infinities and NaN. They are sorted, with NaN last.
    pub(crate) fn arguments<F: Precision>(self, parameters: &[f64]) -> Vec<f64> {
        let (low, high) = self.ends(parameters);
        let least = F::LEAST;
        let huge: &[f64] = if F::NAME == "f64" { &[1e10, 1e100, 1e300] } else { &[1e5, 1e20, 1e37] };
        let mut found = vec![f64::NEG_INFINITY, -F::LARGEST, -1.0, -least, 0.0, least, 1.0, 2.5, F::LARGEST];
        found.extend(huge.iter().flat_map(|&x| [x, -x]));
        found.push(f64::INFINITY);
        for end in [low, high].into_iter().filter(|end| end.is_finite()) {
            found.extend([end, F::above(end), F::below(end)]);
            if self.is_discrete() {
                found.extend([end - 1.0, end + 1.0, end + 0.5]);
            }
        }
        match self {
            Range::Angles => found.extend([PI, -PI, 3.2, -3.2, 3.0, -3.0, 0.5]),
            Range::Unit | Range::Signed => found.extend([0.25, 0.75, 0.984375, 1e-10, 1e-5, 1.0 - 1e-5]),
            Range::Interval(..) => found.extend([0.25, 0.75].map(|part| low + (high - low) * part)),
            Range::Counts | Range::Ranks | Range::UpTo(_) => found.extend([2.0, 5.0, 10.0, 100.0, 1e6]),
            Range::Integers => found.extend([2.0, 5.0, -5.0, -2.0, 100.0, -100.0]),
            Range::From(_) => found.extend([low * 1.5, low * 100.0]),
            Range::Real | Range::Excesses | Range::Maxima => {
                found.extend([0.0, 0.25, -3.0, 30.0, -30.0].map(|shift| parameters[0] + shift))
            }
            Range::Positive => found.extend([0.015625, 0.25, 0.75, 5.0, 20.0, 100.0]),
            _ => {}
        }
        sorted::<F>(found)
    }
}

/// The numbers of the precision nearest to some values, sorted, each once, and NaN.
pub(crate) fn sorted<F: Precision>(values: Vec<f64>) -> Vec<f64> {
    let mut values: Vec<f64> =
        values.into_iter().map(F::rounded).filter(|value| !value.is_nan()).map(|value| value + 0.0).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values.push(f64::NAN);
    values
}

/// The probabilities at which the sweep asks for quantiles, sorted, with NaN last.
pub(crate) fn probabilities<F: Precision>() -> Vec<f64> {
    let tiny: &[f64] = match F::NAME == "f64" {
        true => &[1e-300, 1e-100, 1e-30, 1e-16, 1e-8, 1e-3, f64::EPSILON / 2.0],
        false => &[1e-37, 1e-20, 1e-10, 1e-7, 1e-5, 1e-2, f32::EPSILON as f64 / 2.0],
    };
    let mut found = vec![0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0];
    found.extend(tiny.iter().flat_map(|&p| [p, 1.0 - p]));
    sorted::<F>(found)
}
