//! The boundary of a support inside the real line.
//!
//! A log-density falls to −∞ where its argument leaves the support. For a derivative with respect to the argument that
//! is a jump. Samples of the distribution itself never leave the support, so that the jump has no effect on them. The
//! boundary therefore counts as a jump only where some element is outside when the log-density is recorded; a replay
//! decides this anew. A compiled program keeps what the recording found: a run in which a random value is outside where
//! none was is an error.

use std::sync::Arc;
use stochgrad_tape::{Description, Primitive, PrimitiveInputs, SetId, Smoothness, Var};
use stochgrad_tensor::map::{Map, map};
use stochgrad_tensor::{Real, Tensor};

/// Whether the boundary of a support is part of the support, with the log-density on both sides.
///
/// Use [`confine`](Self::confine) in the `log_prob_each` of a distribution on a part of the real line. It makes the
/// log-density −∞ outside without NaN in any derivative, and tells the tape that the boundary is a jump.
///
/// ```
/// use stochgrad_distributions::Boundary;
/// use stochgrad_tape::{Tape, Var};
///
/// /// The log-density ln 2x on (0, 1).
/// fn log_density<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
///     let inside = x.tape().constant(0.5);
///     Boundary::Excluded.confine(x.minimum(1.0 - x), x, inside, |x| (x * 2.0).ln())
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let x = tape.parameter([0.25, 1.5]);
/// let log = log_density(x);
/// assert_eq!(log.peek()?.to_vec(), [0.5_f64.ln(), f64::NEG_INFINITY]);
/// let [slope] = tape.backward(log.index(0, 0), [x])?;
/// assert_eq!(slope.to_vec(), [4.0, 0.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// The boundary belongs to the support.
    Included,
    /// The boundary does not belong to the support.
    Excluded,
}

impl Boundary {
    /// The smallest distance from the boundary, positive on the inner side, that is inside the support.
    fn nearest<F: Real>(self) -> f64 {
        match self {
            Boundary::Included => 0.0,
            Boundary::Excluded => smallest_positive::<F>(),
        }
    }

    /// 1 where a value with this distance from the boundary, positive on the inner side, is outside the support, else
    /// 0. NaN is not outside.
    #[track_caller]
    pub fn outside<'t, F: Real>(self, distance: Var<'t, F>) -> Var<'t, F> {
        outside(distance, self.nearest::<F>(), f64::INFINITY)
    }

    /// The log-density `density(value)` inside the support, and −∞ with zero derivatives outside.
    ///
    /// `distance` is the distance of `value` from the nearest boundary, positive on the inner side. Outside, `density`
    /// gets `within` instead of the value. Its derivatives there are multiplied by zero, so that they must be finite:
    /// `within` is any point inside the support, such as its middle.
    #[track_caller]
    pub fn confine<'t, F: Real>(
        self,
        distance: Var<'t, F>,
        value: Var<'t, F>,
        within: Var<'t, F>,
        density: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        let outside = self.outside(distance);
        let nothing = value.tape().constant(f64::NEG_INFINITY);
        outside.select(nothing, density(outside.select(within, value)))
    }

    /// As [`confine`](Self::confine), for a support that is the positive real numbers. Infinity is outside.
    ///
    /// No other value stands for those outside: `density` may be NaN or infinite there, and so may its derivatives.
    #[track_caller]
    pub fn confine_positive<'t, F: Real>(
        self,
        value: Var<'t, F>,
        density: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        between(value, self.nearest::<F>(), F::MAX.to_f64(), density)
    }

    /// As [`confine_positive`](Self::confine_positive), for a support that is the unit interval.
    #[track_caller]
    pub fn confine_unit<'t, F: Real>(
        self,
        value: Var<'t, F>,
        density: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        let highest = match self {
            Boundary::Included => 1.0,
            Boundary::Excluded => 1.0 - F::EPSILON.to_f64() / 2.0,
        };
        between(value, self.nearest::<F>(), highest, density)
    }
}

/// The log-density `density(value)` of a distribution on the real line, and −∞ with zero derivatives at infinite
/// values, where `density` or its derivatives may be NaN.
#[track_caller]
pub(crate) fn confine_real<'t, F: Real>(
    value: Var<'t, F>,
    density: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
) -> Var<'t, F> {
    between(value, -F::MAX.to_f64(), F::MAX.to_f64(), density)
}

/// As [`confine_real`], for values whose elements have `rank` axes: the log-density of an element is −∞ where one of its
/// numbers is infinite. `density` gets 0 in place of these numbers.
#[track_caller]
pub(crate) fn confine_finite<'t, F: Real>(
    value: Var<'t, F>,
    rank: usize,
    density: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
) -> Var<'t, F> {
    let tape = value.tape();
    let infinite = outside(value, -F::MAX.to_f64(), F::MAX.to_f64());
    let within = infinite.select(tape.constant(0.0), value);
    infinite.sum_last(rank).select(tape.constant(f64::NEG_INFINITY), density(within))
}

/// The logarithm of a probability or density, with zero derivatives where it is −∞: a factor of its derivative may be
/// infinite there, and the weight of an impossible value is 0. If the logarithm jumps to −∞, its own operations say so.
pub(crate) fn confine_possible<F: Real>(log: Var<'_, F>) -> Var<'_, F> {
    let impossible = log.held().map(Map::Outside(-F::MAX.to_f64(), f64::INFINITY));
    impossible.select(log.tape().constant(f64::NEG_INFINITY), log)
}

/// The same logarithm of a term of a sum, with zero derivatives where the term is 0 relative to the largest one: a factor
/// of its derivative may be infinite there. `weighted` is the logarithm of the whole term, of which this one is a factor,
/// and `largest` that of the largest term, both without derivatives.
pub(crate) fn held_where_negligible<'t, F: Real>(
    log: Var<'t, F>,
    weighted: Var<'t, F>,
    largest: Var<'t, F>,
) -> Var<'t, F> {
    let least = smallest_positive::<F>().ln() - 1.0;
    let floor = (largest + least).map(Map::MaxScalar(-F::MAX.to_f64()));
    weighted.lt(floor).select(log.held(), log)
}

/// The same value, with zero derivatives where it is infinite: a factor of its derivative may be 0 there, and another one
/// infinite.
pub(crate) fn held_at_infinity<F: Real>(value: Var<'_, F>) -> Var<'_, F> {
    let most = F::MAX.to_f64();
    value.held().map(Map::Outside(-most, most)).select(value.held(), value)
}

/// What a distance from an end of the support is increased by, so that the end belongs to the support where the density
/// has a finite limit there: where this exponent, the power of the distance plus one, is 1. `step` is the increase.
///
/// The density then does not depend on the distance to first order. It is evaluated so close to the end that it has the
/// value of the limit, and far enough from it that the derivatives of the logarithm are finite.
pub(crate) fn finite_end<F: Real>(exponent: Var<'_, F>, step: f64) -> Var<'_, F> {
    let exponent = if exponent.ancestors() == SetId::EMPTY { exponent } else { exponent.held() };
    exponent.equal(exponent.tape().constant(1.0)) * step
}

/// The step of [`finite_end`] where the logarithm of the distance is part of a larger function, from which it is
/// subtracted again: its rounding must not count.
pub(crate) fn step_of_kernels<F: Real>() -> f64 {
    F::EPSILON.to_f64().powi(2)
}

/// The smallest positive number of a type, which is subnormal.
pub(crate) fn smallest_positive<F: Real>() -> f64 {
    F::MIN_POSITIVE.to_f64() * F::EPSILON.to_f64()
}

#[track_caller]
fn between<'t, F: Real>(
    value: Var<'t, F>,
    low: f64,
    high: f64,
    density: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
) -> Var<'t, F> {
    let nothing = value.tape().constant(f64::NEG_INFINITY);
    outside(value, low, high).select(nothing, density(value))
}

/// 1 where a value is below `low` or above `high`, else 0.
#[track_caller]
fn outside<F: Real>(value: Var<'_, F>, low: f64, high: f64) -> Var<'_, F> {
    let range = Range { low, high };
    if value.ancestors() == SetId::EMPTY {
        // Nothing is derived from the smoothness of a value that is not random, and compiled programs fuse plain
        // comparisons with what follows.
        return value.map(range.comparison());
    }
    let seen = value.inspect().is_ok_and(|value| range.excludes_any(value.as_slice()));
    value.tape().custom(Arc::new(Outside { range, seen }), &[value])
}

/// The values from `low` to `high`, and NaN.
#[derive(Clone, Copy)]
struct Range {
    low: f64,
    high: f64,
}

impl Range {
    /// The comparison that is 1 outside.
    fn comparison(self) -> Map {
        Map::Outside(self.low, self.high)
    }

    fn excludes<F: Real>(self, value: F) -> bool {
        (value < F::from_f64(self.low)) | (value > F::from_f64(self.high))
    }

    fn excludes_any<F: Real>(self, values: &[F]) -> bool {
        // Without leaving the loop at the first one, it is one over vectors.
        values.iter().fold(false, |any, &x| any | self.excludes(x))
    }
}

/// The comparison of a random value.
struct Outside {
    range: Range,
    /// Whether the recording had an element outside.
    seen: bool,
}

impl<F: Real> Primitive<F> for Outside {
    fn name(&self) -> &str {
        "outside the support"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        match inputs.values {
            [value] => Ok(map(inputs.pool, self.range.comparison(), value)),
            _ => Err(format!("expected one value, got {}", inputs.values.len())),
        }
    }

    fn takes_from_pool(&self) -> bool {
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        let &[value] = inputs else { return None };
        let outside = value.map(self.range.comparison());
        let description = Description::of(outside);
        if self.seen {
            return Some(description);
        }
        let message = "expected random values within the support, as in the recording that was compiled, got one \
                       outside: a jump of the log-density, which its gradients leave out; compile a recording that has \
                       such a value";
        Some(description.refusing(outside, message))
    }

    fn gradient<'t>(
        &self,
        _inputs: &[Var<'t, F>],
        _output: Var<'t, F>,
        _adjoint: Var<'t, F>,
    ) -> Vec<Option<Var<'t, F>>> {
        vec![None]
    }

    fn smoothness(&self, _input: usize) -> Smoothness {
        if self.seen { Smoothness::Jump } else { Smoothness::Constant }
    }

    fn holds(&self, inputs: PrimitiveInputs<'_, F>) -> Result<(), String> {
        if self.seen {
            return Ok(());
        }
        if !inputs.values.iter().any(|values| self.range.excludes_any(values.as_slice())) {
            return Ok(());
        }
        let mut elements = inputs.values.iter().flat_map(|values| values.as_slice());
        match elements.position(|&x| self.range.excludes(x)) {
            None => Ok(()),
            Some(position) => Err(format!(
                "a random value is outside the support at position {position}, and none was when this was compiled: a \
                 jump of the log-density, which its gradients leave out; record this step afresh, or compile a \
                 recording that has such a value"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_tape::{IdMap, Tape};

    #[test]
    fn the_boundary_is_a_jump_only_where_it_is_seen() {
        let tape = Tape::<f64>::new();
        let mask = |values: [f64; 3], boundary: Boundary| {
            let outside = boundary.outside(tape.sample(tape.new_site(), tape.parameter(values), &[]));
            (outside.peek().unwrap().to_vec(), tape.smoothness(outside, 0))
        };
        assert_eq!(mask([0.0, 1.0, f64::NAN], Boundary::Included), (vec![0.0, 0.0, 0.0], Smoothness::Constant));
        assert_eq!(mask([0.0, 1.0, 2.0], Boundary::Excluded), (vec![1.0, 0.0, 0.0], Smoothness::Jump));
        assert_eq!(mask([-0.5, 1.0, 2.0], Boundary::Included), (vec![1.0, 0.0, 0.0], Smoothness::Jump));
    }

    #[test]
    fn a_program_keeps_what_the_recording_saw_of_random_values() {
        let run = |recorded: f64, now: f64, random: bool| {
            let tape = Tape::<f64>::new();
            let x = tape.parameter([1.0, recorded]);
            let value = if random { tape.sample(tape.new_site(), x, &[]) } else { x };
            let outside = Boundary::Included.outside(value);
            let mut program = tape.compile(&[x], &[outside]).unwrap();
            program.set(0, &[1.0, now].into()).unwrap();
            program
                .run(Default::default())
                .map(|()| program.output(0).unwrap().to_vec())
                .map_err(|error| error.to_string())
        };
        assert_eq!(run(0.5, 2.0, true), Ok(vec![0.0, 0.0]));
        assert_eq!(run(0.5, f64::NAN, true), Ok(vec![0.0, 0.0]));
        assert_eq!(run(0.5, -2.0, false), Ok(vec![0.0, 1.0]));
        assert_eq!(run(-0.5, -2.0, true), Ok(vec![0.0, 1.0]));
        assert_eq!(run(-0.5, 2.0, true), Ok(vec![0.0, 0.0]));
        let message = run(0.5, -2.0, true).unwrap_err();
        assert!(message.contains("position 1") && message.contains("record this step afresh"), "{message}");
    }

    #[test]
    fn a_replay_sees_the_boundary_anew() {
        let tape = Tape::<f64>::new();
        let (inside, beyond) = (tape.parameter(1.0), tape.parameter(-1.0));
        let mask = Boundary::Included.outside(inside);
        let mut map = IdMap::identity();
        map.insert(inside.id(), beyond.id());
        assert_eq!(tape.rerecord(mask, &map).item(), Ok(1.0));
    }
}
