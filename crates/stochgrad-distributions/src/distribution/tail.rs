//! What the four functions of a probability have in common: the distribution function, the survival function, and their
//! logarithms.
//!
//! They are constant outside the support. Their formulas need not hold there, nor at infinity, where derivatives with
//! respect to a scale would be 0 · ∞. The choice between formulas has no derivative: all of them give the same value
//! where they meet, so that the choice is no jump either.

use crate::distribution::boundary::smallest_positive;
use std::f64::consts::{LN_2, PI};
use stochgrad_tape::{SetId, Var, special};
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;

/// One of the four functions of a probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// The probability of a value of at most x.
    Lower,
    /// The probability of a value above x.
    Upper,
    /// The logarithm of the probability of a value of at most x.
    LogLower,
    /// The logarithm of the probability of a value above x.
    LogUpper,
}

impl Tail {
    /// `function(x)` of finite numbers, and the limits with zero derivatives at infinite ones.
    pub(crate) fn on_line<'t, F: Real>(
        self,
        x: Var<'t, F>,
        function: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        let largest = F::MAX.to_f64();
        self.between(x, -largest, largest, function(x))
    }

    /// `function(x)` of positive numbers, and the limits with zero derivatives elsewhere.
    pub(crate) fn on_half_line<'t, F: Real>(
        self,
        x: Var<'t, F>,
        function: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        let (low, high) = (smallest_positive::<F>(), F::MAX.to_f64());
        self.between(x, low, high, function(kinked(x, low, high)))
    }

    /// `function(x)` inside the unit interval, and the limits with zero derivatives elsewhere.
    pub(crate) fn on_unit_interval<'t, F: Real>(
        self,
        x: Var<'t, F>,
        function: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        let (low, high) = (smallest_positive::<F>(), 1.0 - F::EPSILON.to_f64() / 2.0);
        self.between(x, low, high, function(kinked(x, low, high)))
    }

    /// `function(x)` of angles around 0 between −π and π, and the limits with zero derivatives elsewhere.
    pub(crate) fn on_angles<'t, F: Real>(
        self,
        x: Var<'t, F>,
        function: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        // The largest number below π: the rounding of π to `f32` is above it.
        let largest = F::from_f64(PI * (1.0 - 0.5 * F::EPSILON.to_f64())).to_f64();
        self.between(x, -largest, largest, function(kinked(x, -largest, largest)))
    }

    /// `function(x)` between two bounds, and the limits with zero derivatives elsewhere.
    pub(crate) fn on_interval<'t, F: Real>(
        self,
        x: Var<'t, F>,
        [low, high]: [Var<'t, F>; 2],
        function: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
    ) -> Var<'t, F> {
        let inside = function(if x.ancestors() == SetId::EMPTY { x } else { x.maximum(low).minimum(high) });
        let (tape, x) = (x.tape(), fixed(x));
        let (below, above) = self.limits();
        let end = x.ge(high).select(tape.constant(above), tape.constant(below));
        (x.le(low) + x.ge(high)).select(end, inside)
    }

    /// The values below and above the support.
    fn limits(self) -> (f64, f64) {
        match self {
            Tail::Lower => (0.0, 1.0),
            Tail::Upper => (1.0, 0.0),
            Tail::LogLower => (f64::NEG_INFINITY, 0.0),
            Tail::LogUpper => (0.0, f64::NEG_INFINITY),
        }
    }

    fn between<'t, F: Real>(self, x: Var<'t, F>, low: f64, high: f64, inside: Var<'t, F>) -> Var<'t, F> {
        let (tape, x) = (x.tape(), fixed(x));
        let (below, above) = self.limits();
        // What is outside and positive is above, in all three cases.
        let end = x.step().select(tape.constant(above), tape.constant(below));
        x.map(Map::Outside(low, high)).select(end, inside)
    }
}

/// 1 where a value is above a threshold, else 0, for the choice between two forms of one function.
pub(crate) fn above<F: Real>(x: Var<'_, F>, threshold: f64) -> Var<'_, F> {
    fixed(x).map(Map::Outside(f64::NEG_INFINITY, threshold))
}

/// `function(p)` of probabilities inside (0, 1), the given ends at 0 and 1, and NaN elsewhere. The derivatives at 0 and 1
/// are those of the ends.
pub(crate) fn quantile_between<'t, F: Real>(
    p: Var<'t, F>,
    [at_zero, at_one]: [Var<'t, F>; 2],
    function: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
) -> Var<'t, F> {
    let (tape, inside) = (p.tape(), function(p));
    let p = fixed(p);
    let end = p.step().select(at_one, at_zero);
    let end = p.map(Map::Outside(0.0, 1.0)).select(tape.constant(f64::NAN), end);
    p.map(Map::Outside(smallest_positive::<F>(), 1.0 - F::EPSILON.to_f64() / 2.0)).select(end, inside)
}

/// As [`quantile_between`], for a support whose ends are 0, 1 or infinite: the derivatives are also 0 where the quantile
/// has rounded to an end, at which those of `function` may be NaN.
pub(crate) fn quantile_inside<'t, F: Real>(
    p: Var<'t, F>,
    [at_zero, at_one]: [f64; 2],
    function: impl FnOnce(Var<'t, F>) -> Var<'t, F>,
) -> Var<'t, F> {
    let (low, high) = (at_zero.min(at_one), at_zero.max(at_one));
    let lowest = if low == 0.0 { smallest_positive::<F>() } else { -F::MAX.to_f64() };
    let highest = if high == 1.0 { 1.0 - F::EPSILON.to_f64() / 2.0 } else { F::MAX.to_f64() };
    quantile_between(p, ends(p, at_zero, at_one), |p| {
        let quantile = function(p);
        let (at, [low, high]) = (fixed(quantile), ends(p, low, high));
        at.map(Map::Outside(lowest, highest)).select(at.step().select(high, low), quantile)
    })
}

/// The ends of a support from its lower end to its upper one, as constants on the tape of a value.
pub(crate) fn ends<F: Real>(like: Var<'_, F>, low: f64, high: f64) -> [Var<'_, F>; 2] {
    [low, high].map(|end| like.tape().constant(end))
}

/// 1 − e^−u for u ≥ 0. The derivative, e^−u, keeps its digits where u is large.
pub(crate) fn one_minus_exp<F: Real>(u: Var<'_, F>) -> Var<'_, F> {
    above(u, LN_2).select(1.0 - (-u).exp(), -(-u).expm1())
}

/// ln(1 − exp(−e^t)), also where e^t underflows: there it is t.
pub(crate) fn log_one_minus_exp_exp<F: Real>(t: Var<'_, F>) -> Var<'_, F> {
    let u = t.exp();
    let inner = above(t, -20.0).select(special::log1mexp(-u), t - u * 0.5);
    // Beyond, exp(−e^t) is 0 in any precision.
    above(t, 7.0).select(t.tape().constant(0.0), inner)
}

/// 1 − exp(−e^t), with a derivative of 0 where it is 1.
pub(crate) fn one_minus_exp_exp<F: Real>(t: Var<'_, F>) -> Var<'_, F> {
    above(t, 7.0).select(t.tape().constant(1.0), one_minus_exp(t.exp()))
}

/// exp(−e^t), with a derivative of 0 where it underflows.
pub(crate) fn exp_minus_exp<F: Real>(t: Var<'_, F>) -> Var<'_, F> {
    above(t, 7.0).select(t.tape().constant(0.0), (-t.exp()).exp())
}

/// The logarithm of a probability, from it and from the probability of the opposite: −∞ with zero
/// derivatives where it underflows.
pub(crate) fn log_of_either<'t, F: Real>(probability: Var<'t, F>, opposite: Var<'t, F>) -> Var<'t, F> {
    let tape = probability.tape();
    let log = above(probability, 0.5).select((-opposite).log1p(), probability.ln());
    fixed(probability).le(tape.constant(0.0)).select(tape.constant(f64::NEG_INFINITY), log)
}

/// The logarithm of a probability, from the logarithm and from the probability of the opposite. Where the probability
/// is above 1/2, the opposite decides: it is never above 0 then, and as precise as the opposite.
pub(crate) fn log_unless_likely<'t, F: Real>(log: Var<'t, F>, opposite: Var<'t, F>) -> Var<'t, F> {
    let unlikely = above(opposite, 0.5);
    let safe = unlikely.select(opposite.tape().constant(0.0), opposite);
    unlikely.select(log, (-safe).log1p())
}

/// The same value for comparisons, whose jumps do not matter.
fn fixed<F: Real>(x: Var<'_, F>) -> Var<'_, F> {
    if x.ancestors() == SetId::EMPTY { x } else { x.held() }
}

/// The same value, held inside an interval if it is random: the functions have kinks at the ends of a support.
fn kinked<F: Real>(x: Var<'_, F>, low: f64, high: f64) -> Var<'_, F> {
    if x.ancestors() == SetId::EMPTY { x } else { x.clamp(low, high) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_tape::{Smoothness, Tape};

    const ALL: [Tail; 4] = [Tail::Lower, Tail::Upper, Tail::LogLower, Tail::LogUpper];

    #[test]
    fn the_ends_have_the_limits_and_no_derivative() {
        let tape = Tape::<f64>::new();
        let nothing = f64::NEG_INFINITY;
        for (tail, below, above) in
            [(ALL[0], 0.0, 1.0), (ALL[1], 1.0, 0.0), (ALL[2], nothing, 0.0), (ALL[3], 0.0, nothing)]
        {
            let x = tape.parameter([nothing, f64::INFINITY]);
            let scale = tape.parameter(2.0);
            let value = tail.on_line(x / scale, |z| z * z.square());
            assert_eq!(value.peek().unwrap().to_vec(), [below, above], "{tail:?}");
            let [by_x, by_scale] = tape.backward(value.sum(), [x, scale]).unwrap();
            assert_eq!((by_x.to_vec(), by_scale.item()), (vec![0.0; 2], Ok(0.0)), "{tail:?}");
            let unknown = tape.constant(f64::NAN);
            assert!(tail.on_line(unknown, |x| x).item().unwrap().is_nan());
            assert!(tail.on_half_line(unknown, |x| x).item().unwrap().is_nan());
            assert!(tail.on_unit_interval(unknown, |x| x).item().unwrap().is_nan());
            assert!(tail.on_angles(unknown, |x| x).item().unwrap().is_nan());
            assert!(tail.on_interval(unknown, [tape.constant(0.0); 2], |x| x).item().unwrap().is_nan());
            let ends = tape.constant([-2.0, 1.0, 3.0, 4.0]);
            let between = tail.on_interval(ends, [tape.constant(1.0), tape.constant(3.0)], |x| x);
            assert_eq!(between.peek().unwrap().to_vec(), [below, below, above, above]);
            let ends = tape.constant([-1.0, -0.0, 0.0]);
            assert_eq!(tail.on_half_line(ends, |x| x.ln()).peek().unwrap().to_vec(), [below; 3]);
            let ends = tape.constant([0.0, 1.0, 1.5]);
            assert_eq!(tail.on_unit_interval(ends, |x| x.ln()).peek().unwrap().to_vec(), [below, above, above]);
        }
    }

    /// The worst operation on any path from one value to another.
    fn worst_path<'t>(to: Var<'t, f64>, from: Var<'t, f64>) -> Smoothness {
        if to.id() == from.id() {
            return Smoothness::Smooth;
        }
        let edges = to.inputs().into_iter().enumerate();
        let paths = edges.map(|(input, next)| (to.tape().smoothness(to, input), worst_path(next, from)));
        let open = paths.filter(|(edge, below)| *edge.min(below) > Smoothness::Constant);
        open.map(|(edge, below)| edge.max(below)).max().unwrap_or(Smoothness::Constant)
    }

    #[test]
    fn choices_are_no_jumps() {
        let tape = Tape::<f64>::new();
        let x = tape.sample(tape.new_site(), tape.parameter([0.5, -1.0]), &[]);
        assert_eq!(worst_path(Tail::Lower.on_line(x, one_minus_exp), x), Smoothness::Smooth);
        assert_eq!(worst_path(Tail::Lower.on_half_line(x, one_minus_exp), x), Smoothness::Kinked);
        let bounds = [tape.constant(0.0), tape.constant(1.0)];
        assert_eq!(worst_path(Tail::Lower.on_interval(x, bounds, |x| x), x), Smoothness::Kinked);
    }

    /// t, ln(1 − exp(−e^t)) and its derivative e^t / (exp(e^t) − 1), from mpmath at 40 digits.
    const DOUBLE: [(f64, f64, f64); 6] = [
        (-800.0, -800.0, 1.0),
        (-21.0, -21.000000000379128, 0.999_999_999_620_872),
        (-1.0, -1.1783070964207178, 0.8273128629895802),
        (1.0, -0.0682660312478767, 0.1920468747917558),
        (3.0, -1.8921786966284627e-9, 3.800542511235663e-8),
        (7.5, 0.0, 0.0),
    ];

    #[test]
    fn double_exponentials() {
        let tape = Tape::<f64>::new();
        for (t, value, slope) in DOUBLE {
            let at = tape.parameter(t);
            let log = log_one_minus_exp_exp(at);
            let [found] = tape.backward(log, [at]).unwrap();
            let found = [log.item().unwrap(), found.item().unwrap()];
            for (found, expected) in found.into_iter().zip([value, slope]) {
                assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{t}: {found}, expected {expected}");
            }
            let at = tape.parameter(t);
            let [slope] = tape.backward(exp_minus_exp(at), [at]).unwrap();
            assert!(slope.item().unwrap().is_finite());
        }
    }
}
