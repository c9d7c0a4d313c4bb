//! The triple, and how two of them combine.

use std::fmt;

/// A value of a program, with its derivative and an alternative.
///
/// The three parts are those of Arya et al. (2022):
///
/// * the *value*;
/// * its *derivative* with respect to the argument of the program, for the part that changes smoothly;
/// * an *alternative*, which takes the place of the value if one discrete draw of the run jumps to a neighbour.
///
/// Arithmetic and functions compute all three. A triple cannot be compared, nor can its value be read: host code that
/// branched on the value would silently lose the alternative. Use [`Run::branch`](crate::Run::branch) and
/// [`Run::while_loop`](crate::Run::while_loop).
#[derive(Clone, Copy)]
pub struct Triple {
    pub(crate) value: f64,
    pub(crate) derivative: f64,
    /// Meaningful only if there is an event.
    pub(crate) alternative: f64,
    /// The jump that the alternative belongs to, or 0 if there is none. Later jumps have larger numbers. Only the
    /// latest one counts, since it has replaced all others.
    pub(crate) event: u64,
}

impl Triple {
    /// A value that does not depend on the argument of the program.
    pub const fn constant(value: f64) -> Self {
        Triple { value, derivative: 0.0, alternative: value, event: 0 }
    }

    pub(crate) const fn argument(value: f64, derivative: f64) -> Self {
        Triple { value, derivative, alternative: value, event: 0 }
    }

    pub(crate) const fn with_alternative(value: f64, alternative: f64, event: u64) -> Self {
        Triple { value, derivative: 0.0, alternative, event }
    }

    /// The value that takes the place of this one if the draw of an event jumps.
    pub(crate) fn if_jumped(self, event: u64) -> f64 {
        if event != 0 && self.event == event { self.alternative } else { self.value }
    }

    /// A function of the value, with its slope there.
    pub(crate) fn map(self, function: impl Fn(f64) -> f64, slope: impl FnOnce(f64) -> f64) -> Self {
        let value = function(self.value);
        Triple {
            value,
            derivative: scaled(self.derivative, || slope(self.value)),
            alternative: if self.event == 0 { value } else { function(self.alternative) },
            event: self.event,
        }
    }

    /// A function of two values, with its slopes there.
    pub(crate) fn zip(
        self,
        other: Self,
        function: impl Fn(f64, f64) -> f64,
        slopes: impl Fn(f64, f64) -> [f64; 2],
    ) -> Self {
        let event = self.event.max(other.event);
        let value = function(self.value, other.value);
        let slope = |index: usize| slopes(self.value, other.value)[index];
        Triple {
            value,
            derivative: scaled(self.derivative, || slope(0)) + scaled(other.derivative, || slope(1)),
            alternative: match event {
                0 => value,
                event => function(self.if_jumped(event), other.if_jumped(event)),
            },
            event,
        }
    }
}

/// The product of a derivative and a slope. The slope of a constant is not used, so that it may be infinite.
fn scaled(derivative: f64, slope: impl FnOnce() -> f64) -> f64 {
    if derivative == 0.0 { 0.0 } else { derivative * slope() }
}

impl fmt::Debug for Triple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} + {} ε", self.value, self.derivative)?;
        if self.event == 0 { Ok(()) } else { write!(f, ", or {} after jump {}", self.alternative, self.event) }
    }
}

impl From<f64> for Triple {
    fn from(value: f64) -> Self {
        Triple::constant(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_jump_counts() {
        let [early, late] = [Triple::with_alternative(1.0, 2.0, 3), Triple::with_alternative(10.0, 20.0, 4)];
        let sum = early + late;
        assert_eq!((sum.value, sum.alternative, sum.event), (11.0, 21.0, 4));
        assert_eq!([sum.if_jumped(4), sum.if_jumped(3)], [21.0, 11.0]);
    }

    #[test]
    fn functions_act_on_all_three_parts() {
        let mut x = Triple::with_alternative(2.0, 5.0, 1);
        x.derivative = 3.0;
        let y = x * x + x.powi(3) / 2.0;
        assert_eq!((y.value, y.derivative, y.alternative), (8.0, 3.0 * (4.0 + 6.0), 25.0 + 62.5));
        assert_eq!(format!("{x:?}"), "2 + 3 ε, or 5 after jump 1");
    }

    #[test]
    fn the_slope_of_a_constant_is_not_used() {
        assert_eq!(Triple::constant(0.0).sqrt().derivative, 0.0);
    }
}
