//! The boundary of a support inside the real line.
//!
//! A log-density falls to −∞ where its argument leaves the support. For a derivative with respect to the argument that
//! is a jump. Samples of the distribution itself never leave the support, so that the jump has no effect on them. The
//! boundary therefore counts as a jump only where some element is outside when the log-density is recorded; a replay
//! decides this anew. A compiled program keeps what the recording found: a run in which a random value is outside where
//! none was is an error.

use std::sync::Arc;
use stochgrad_tape::{Primitive, PrimitiveInputs, SetId, Smoothness, Var};
use stochgrad_tensor::zip::{Zip, zip};
use stochgrad_tensor::{Real, Shape, Tensor};

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
    /// Whether a value with this distance from the boundary, positive on the inner side, is outside. NaN is not.
    fn excludes<F: Real>(self, distance: F) -> bool {
        match self {
            Boundary::Included => distance < F::ZERO,
            Boundary::Excluded => distance <= F::ZERO,
        }
    }

    /// The comparison of a distance with 0 that is true outside.
    fn comparison(self) -> Zip {
        match self {
            Boundary::Included => Zip::Less,
            Boundary::Excluded => Zip::LessEqual,
        }
    }

    /// 1 where a value with this distance from the boundary, positive on the inner side, is outside the support, else
    /// 0.
    pub fn outside<'t, F: Real>(self, distance: Var<'t, F>) -> Var<'t, F> {
        if distance.ancestors() == SetId::EMPTY {
            // Nothing is derived from the smoothness of a value that is not random, and compiled programs fuse plain
            // comparisons with what follows.
            let zero = distance.tape().constant(0.0);
            return distance.zip(self.comparison(), zero);
        }
        let seen = distance.inspect().is_ok_and(|distance| distance.as_slice().iter().any(|&x| self.excludes(x)));
        distance.tape().custom(Arc::new(Outside { boundary: self, seen }), &[distance])
    }

    /// The log-density `density(value)` inside the support, and −∞ with zero derivatives outside.
    ///
    /// `distance` is the distance of `value` from the nearest boundary, positive on the inner side. Outside, `density`
    /// gets `within` instead of the value. Its derivatives there are multiplied by zero, so that they must be finite:
    /// `within` is any point inside the support, such as its middle.
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

    /// As [`confine`](Self::confine), for a support that is the positive real numbers.
    pub fn confine_positive<'t, F: Real>(
        self,
        value: Var<'t, F>,
        density: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        self.confine(value, value, value.tape().constant(1.0), density)
    }
}

/// The comparison of a random distance.
struct Outside {
    boundary: Boundary,
    /// Whether the recording had an element outside.
    seen: bool,
}

impl<F: Real> Primitive<F> for Outside {
    fn name(&self) -> &str {
        "outside the support"
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        let [distance] = inputs.values else {
            return Err(format!("expected one value, got {}", inputs.values.len()));
        };
        let zero = inputs.pool.full(Shape::scalar(), F::ZERO);
        let marks = zip(inputs.pool, self.boundary.comparison(), distance, &zero);
        inputs.pool.recycle(zero);
        Ok(marks)
    }

    fn takes_from_pool(&self) -> bool {
        true
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
        // Without leaving the loop at the first one, it is one over vectors.
        let any = |distance: &[F]| distance.iter().fold(false, |any, &x| any | self.boundary.excludes(x));
        if !inputs.values.iter().any(|distance| any(distance.as_slice())) {
            return Ok(());
        }
        let mut elements = inputs.values.iter().flat_map(|distance| distance.as_slice());
        match elements.position(|&x| self.boundary.excludes(x)) {
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
            program.run(Default::default()).map(|()| program.output(0).to_vec()).map_err(|error| error.to_string())
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
