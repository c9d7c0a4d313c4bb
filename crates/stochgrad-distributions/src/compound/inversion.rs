//! Quantiles of distributions whose distribution function is a weighted sum of others.

use crate::distribution::CumulativeDistribution;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;

/// Steps of [`invert`]: enough to halve any bracket down to the rounding.
const STEPS: usize = 66;

/// A number in the middle between two others: 0 if it is between them, the geometric mean if one is many times the other,
/// else the mean. It halves the number of floating-point numbers between them, if not exactly.
fn middle<'t, F: Real>(low: Var<'t, F>, high: Var<'t, F>) -> Var<'t, F> {
    let [zero, one] = [0.0, 1.0].map(|number| low.tape().constant(number));
    let (small, large) = (low.abs().minimum(high.abs()), low.abs().maximum(high.abs()));
    let small = small.map(Map::MaxScalar(F::MIN_POSITIVE.to_f64()));
    let geometric = small.sqrt() * large.sqrt() * high.gt(zero).select(one, -one);
    let between = large.gt(small * 16.0).select(geometric, low * 0.5 + high * 0.5);
    (low.lt(zero) * high.gt(zero)).select(zero, between)
}

/// The tail whose probability is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// The probability of a value of at most the quantile.
    Lower,
    /// The probability of a value above the quantile.
    Upper,
}

/// The value at which a tail of a continuous distribution has a probability, by Newton's method between two numbers,
/// recorded. `bracket` gives, for a probability inside (0, 1), a number at most and one at least as large as the
/// quantile. `ends` are the ends of the support, the lower one first. The first three derivatives of the result are
/// exact.
pub(crate) fn invert<'t, F: Real>(
    distribution: &dyn CumulativeDistribution<'t, F>,
    probability: Var<'t, F>,
    tail: Tail,
    bracket: impl FnOnce(Var<'t, F>) -> [Var<'t, F>; 2],
    ends: [Var<'t, F>; 2],
) -> Var<'t, F> {
    let tape = probability.tape();
    let [zero, half, one] = [0.0, 0.5, 1.0].map(|number| tape.constant(number));
    let given = probability.held();
    let proper = given.gt(zero) * given.lt(one);
    let p = proper.select(probability, half);
    let (least, most) = (-F::MAX.to_f64(), F::MAX.to_f64());
    let [mut low, mut high] = bracket(p).map(|end| end.held().clamp(least, most));
    let (first, last) = (low, high);
    // In logarithms, Newton's method needs few steps in the tails as well. The difference is positive above the
    // quantile.
    let log = p.ln();
    let step = |x: Var<'t, F>| {
        let (tail, sign) = match tail {
            Tail::Lower => (distribution.log_cdf(x), 1.0),
            Tail::Upper => (distribution.log_survival(x), -1.0),
        };
        let excess = (tail - log) * sign;
        let width = (tail - distribution.log_prob_each(x)).exp();
        // Where a tail or the density has underflowed, there is no step.
        let possible = (excess.held().abs() * width.held()).lt(tape.constant(f64::INFINITY));
        (excess, possible, x - possible.select(excess, zero) * possible.select(width, zero))
    };
    let mut x = middle(low, high);
    for _ in 0..STEPS {
        let (excess, possible, newton) = step(x);
        let above = excess.gt(zero);
        (low, high) = (above.select(low, x), above.select(x, high));
        let inside = possible * newton.ge(low) * newton.le(high);
        x = inside.select(newton, middle(low, high)).held();
    }
    // If k derivatives are right before a step of Newton's method, 2k + 1 are right after it.
    for _ in 0..2 {
        let (_, _, newton) = step(x);
        x = newton.held().maximum(first).minimum(last).straight_through(newton);
    }
    let [at_zero, at_one] = match tail {
        Tail::Lower => ends,
        Tail::Upper => [ends[1], ends[0]],
    };
    let at_one = given.equal(one).select(at_one, tape.constant(f64::NAN));
    proper.select(x, given.equal(zero).select(at_zero, at_one))
}
