//! The regularised incomplete gamma functions and their inverses.

use super::gamma::lgamma_1p_any;
use super::logistic::log1mexp;
use super::normal::normal_icdf;
use super::numeric::{function, inside, is_positive, is_probability, iterate, single, where_any};
use super::quadrature::gamma_tail;
use super::saddle_point::log_gamma_kernel;
use crate::lowering::builder::Value;

/// For shapes of at least this value the lower part is computed by quadrature.
pub(super) const LARGE_SHAPE: f64 = 30.0;

/// The lower part is computed directly for x up to this value, or up to a if that is larger.
pub(super) const SMALL_ARGUMENT: f64 = 1.5;

fn in_domain<'b>(a: Value<'b>, x: Value<'b>) -> Value<'b> {
    is_positive(a) & x.ge(0.0)
}

/// The sum of x^n / ((a + 1) … (a + n)) over n ≥ 0, and minus its derivative with respect to a, where it is `wanted`.
pub(super) fn lower_series<'b>(a: Value<'b>, x: Value<'b>, wanted: Value<'b>) -> [Value<'b>; 2] {
    function("lower_series", [a, x, wanted], |[a, x, wanted]| {
        let (zero, one) = (x.fill(0.0), x.fill(1.0));
        let [_, _, sum, derivative] =
            iterate(1001, wanted, [one, zero, one, zero], |k, [term, harmonic, sum, derivative]| {
                let inverse = 1.0 / (a + (k + 1.0));
                let term = term * x * inverse;
                let harmonic = harmonic + inverse;
                let derivative = derivative + term * harmonic;
                let goes_on = (term * (harmonic + 1.0)).gt(derivative * 1e-17);
                ([term, harmonic, sum + term, derivative], goes_on)
            });
        [sum, derivative]
    })
}

/// One of the parts P(a, x) and Q(a, x), as e^log_kernel times a factor.
#[derive(Clone, Copy)]
pub(super) struct Part<'b> {
    /// Whether it is P.
    lower: Value<'b>,
    log_kernel: Value<'b>,
    factor: Value<'b>,
    /// The part over x times the density, where the method gives it; otherwise NaN.
    over_density: Value<'b>,
}

impl<'b> Part<'b> {
    pub(super) fn of(a: Value<'b>, x: Value<'b>) -> Self {
        let [lower, log_kernel, factor, over_density] = function("incomplete_gamma_part", [a, x], |[a, x]| {
            let ends = x.equal(0.0) | x.equal(f64::INFINITY);
            let upper = x.gt(a.max(SMALL_ARGUMENT));
            let by_tail = (upper | a.ge(LARGE_SHAPE)) & !ends;
            let [mass, kernel] = where_any(by_tail, || [gamma_tail::<2>(a, x, upper)[0], log_gamma_kernel(a, x)]);
            let log_power = a * x.ln() - lgamma_1p_any(a);
            let small = a.lt(0.5) & log_power.gt(-0.1);
            let series = lower_series(a, x, !by_tail & !small & !ends)[0];
            let by_series = [log_power - x, series, series / a];
            let by_complement = [x.fill(0.0), small_shape_upper(a, x, log_power), x.fill(f64::NAN)];
            let below = std::array::from_fn::<_, 3, _>(|i| small.select(by_complement[i], by_series[i]));
            let of_tail = [kernel, mass, mass];
            let at_end = [x.fill(0.0), x.fill(0.0), x.fill(f64::NAN)];
            let [log_kernel, factor, over_density] =
                std::array::from_fn(|i| ends.select(at_end[i], by_tail.select(of_tail[i], below[i])));
            let lower = ends.select(x.equal(0.0), by_tail.select(!upper, !small));
            [lower, log_kernel, factor, over_density]
        });
        Part { lower, log_kernel, factor, over_density }
    }

    /// P or Q.
    fn value_of(self, lower: Value<'b>) -> Value<'b> {
        let value = (self.log_kernel.exp() * self.factor).max(0.0).min(1.0);
        self.lower.same_truth(lower).select(value, 1.0 - value)
    }

    /// ln P or ln Q.
    pub(super) fn log_of(self, lower: Value<'b>) -> Value<'b> {
        let log = (self.log_kernel + self.factor.ln()).min(0.0);
        self.lower.same_truth(lower).select(log, log1mexp(log))
    }

    /// P or Q over x times the density, where all of them may underflow.
    pub(super) fn over_density(self, lower: Value<'b>, a: Value<'b>, x: Value<'b>) -> Value<'b> {
        let known = self.lower.same_truth(lower) & !self.over_density.is_nan();
        known.select(self.over_density, (self.log_of(lower) - log_gamma_kernel(a, x)).exp())
    }
}

/// Q(a, x) for a < 1/2 and x ≤ 1.5; `log_power` is ln(x^a / Γ(1 + a)).
fn small_shape_upper<'b>(a: Value<'b>, x: Value<'b>, log_power: Value<'b>) -> Value<'b> {
    let (mut power, mut sum) = (x.fill(1.0), x.fill(0.0));
    for k in 1..30 {
        let n = f64::from(k);
        power = power * x * (-1.0 / n);
        sum = sum + power / (a + n);
    }
    -log_power.expm1() - log_power.exp() * a * sum
}

/// P(a, x).
pub(crate) fn gamma_p<'b>(a: Value<'b>, x: Value<'b>) -> Value<'b> {
    single("gamma_p", [a, x], |[a, x]| inside(in_domain(a, x), Part::of(a, x).value_of(x.fill_truth(true))))
}

/// Q(a, x).
pub(crate) fn gamma_q<'b>(a: Value<'b>, x: Value<'b>) -> Value<'b> {
    single("gamma_q", [a, x], |[a, x]| inside(in_domain(a, x), Part::of(a, x).value_of(x.fill_truth(false))))
}

/// ln P(a, x).
pub(crate) fn log_gamma_p<'b>(a: Value<'b>, x: Value<'b>) -> Value<'b> {
    single("log_gamma_p", [a, x], |[a, x]| inside(in_domain(a, x), Part::of(a, x).log_of(x.fill_truth(true))))
}

/// ln Q(a, x).
pub(crate) fn log_gamma_q<'b>(a: Value<'b>, x: Value<'b>) -> Value<'b> {
    single("log_gamma_q", [a, x], |[a, x]| inside(in_domain(a, x), Part::of(a, x).log_of(x.fill_truth(false))))
}

/// The derivative of ln P(a, x) with respect to x.
pub(crate) fn log_gamma_p_slope<'b>(a: Value<'b>, x: Value<'b>) -> Value<'b> {
    single("log_gamma_p_slope", [a, x], |[a, x]| {
        let value = 1.0 / Part::of(a, x).over_density(x.fill_truth(true), a, x) / x;
        let value = x.equal(f64::INFINITY).select(0.0, x.equal(0.0).select(f64::INFINITY, value));
        inside(in_domain(a, x), value)
    })
}

/// The derivative of ln Q(a, x) with respect to x.
pub(crate) fn log_gamma_q_slope<'b>(a: Value<'b>, x: Value<'b>) -> Value<'b> {
    single("log_gamma_q_slope", [a, x], |[a, x]| {
        let value = -1.0 / Part::of(a, x).over_density(x.fill_truth(false), a, x) / x;
        let at_zero = a.gt(1.0).select(x.fill(-0.0), a.equal(1.0).select(x.fill(-1.0), f64::NEG_INFINITY));
        let value = x.equal(f64::INFINITY).select(-1.0, x.equal(0.0).select(at_zero, value));
        inside(in_domain(a, x), value)
    })
}

/// The x with P(a, x) = p.
pub(crate) fn gamma_p_inverse<'b>(a: Value<'b>, p: Value<'b>) -> Value<'b> {
    inverse(a, p, 1.0 - p)
}

/// The x with Q(a, x) = q.
pub(crate) fn gamma_q_inverse<'b>(a: Value<'b>, q: Value<'b>) -> Value<'b> {
    inverse(a, 1.0 - q, q)
}

/// The x with P(a, x) = p and Q(a, x) = q, computed from the smaller of the two.
fn inverse<'b>(a: Value<'b>, p: Value<'b>, q: Value<'b>) -> Value<'b> {
    single("incomplete_gamma_inverse", [a, p, q], |[a, p, q]| {
        let valid = is_positive(a) & is_probability(p) & is_probability(q);
        let ends = p.equal(0.0) | q.equal(0.0);
        let upper = q.lt(0.5);
        let log_p = upper.select((-q).log1p(), p.ln());
        // P(a, x) ≤ x^a / Γ(1 + a), with equality in the limit of small x.
        let bound = (log_p + lgamma_1p_any(a)) / a;
        let tiny = bound.lt(-38.0);
        let normal = normal_icdf(upper.select(q, p));
        let normal = upper.select(-normal, normal);
        let small = a.lt(1.0);
        let start = small.select(bound, bound.max(wilson_hilferty(a, normal)));
        let target = upper.select(q.ln(), log_p);
        let [log_x] = iterate(100, valid & !ends & !tiny, [start], |_, [log_x]| {
            let x = log_x.exp();
            let part = Part::of(a, x);
            let size = (part.log_of(!upper) - target) * part.over_density(!upper, a, x);
            let step = upper.select(size, -size);
            let finite = step.is_finite();
            // For a < 1, ln Q is convex in x, and Newton's step is taken in x, from the left.
            let step = (upper & small).select(step.log1p(), step);
            let next = (log_x + step).max(bound);
            let goes_on = finite & step.abs().gt((next.abs() + 1.0) * 1e-15);
            ([finite.select(next, log_x)], goes_on)
        });
        let value = tiny.select(bound, log_x).exp();
        inside(valid, p.equal(0.0).select(0.0, q.equal(0.0).select(f64::INFINITY, value)))
    })
}

/// ln of Wilson and Hilferty's approximation to the gamma quantile, −∞ where it fails.
fn wilson_hilferty<'b>(a: Value<'b>, normal: Value<'b>) -> Value<'b> {
    let spread = 1.0 / (a * 9.0);
    let root = 1.0 - spread + normal * spread.sqrt();
    root.gt(0.0).select(a.ln() + root.ln() * 3.0, f64::NEG_INFINITY)
}
