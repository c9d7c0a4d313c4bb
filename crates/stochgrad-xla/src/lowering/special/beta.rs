//! The regularised incomplete beta function.

use super::gamma::lgamma_1p;
use super::gamma_difference::log_gamma_shift;
use super::incomplete_gamma::LARGE_SHAPE;
use super::logistic::log1mexp;
use super::numeric::{function, inside, iterate, single, where_any};
use super::quadrature::beta_lower_tail;
use super::saddle_point::log_beta_kernel;
use crate::lowering::builder::Value;

/// I_x(a, b) with y = 1 − x.
pub(crate) fn beta_inc_pair<'b>(a: Value<'b>, b: Value<'b>, x: Value<'b>, y: Value<'b>) -> Value<'b> {
    single("beta_inc_pair", [a, b, x, y], |[a, b, x, y]| {
        let part = Part::of(a, b, x, y);
        let value = part.log_kernel.exp() * part.factor;
        let value = part.lower.select(value, 1.0 - value).max(0.0).min(1.0);
        x.equal(0.0).select(0.0, y.equal(0.0).select(1.0, value))
    })
}

/// ln I_x(a, b).
pub(crate) fn log_beta_inc<'b>(a: Value<'b>, b: Value<'b>, x: Value<'b>, y: Value<'b>) -> Value<'b> {
    single("log_beta_inc", [a, b, x, y], |[a, b, x, y]| {
        let value = Part::of(a, b, x, y).log_of(x.fill_truth(true));
        let value = x.equal(0.0).select(f64::NEG_INFINITY, y.equal(0.0).select(0.0, value));
        inside(!(x + y).is_nan(), value)
    })
}

/// The derivative of ln I_x(a, b) with respect to x.
pub(crate) fn log_beta_inc_slope<'b>(a: Value<'b>, b: Value<'b>, x: Value<'b>, y: Value<'b>) -> Value<'b> {
    single("log_beta_inc_slope", [a, b, x, y], |[a, b, x, y]| {
        let kernel = log_beta_kernel(a, b, x, y);
        let value = Part::of(a, b, x, y).kernel_over(x.fill_truth(true), kernel) / x / y;
        let at_one = b.gt(1.0).select(x.fill(0.0), b.equal(1.0).select(a, f64::INFINITY));
        x.equal(0.0).select(f64::INFINITY, y.equal(0.0).select(at_one, value))
    })
}

/// One of the parts I_x(a, b) and 1 − I_x(a, b), as e^log_kernel times a factor.
#[derive(Clone, Copy)]
pub(super) struct Part<'b> {
    /// Whether it is I_x(a, b).
    lower: Value<'b>,
    log_kernel: Value<'b>,
    factor: Value<'b>,
}

impl<'b> Part<'b> {
    pub(super) fn of(a: Value<'b>, b: Value<'b>, x: Value<'b>, y: Value<'b>) -> Self {
        let [lower, log_kernel, factor] = function("incomplete_beta_part", [a, b, x, y], |[a, b, x, y]| {
            // Their sum must not overflow.
            let (a, b) = (a.min(8e307), b.min(8e307));
            let first = x.le(y);
            // From the smaller of x and y, as in the kernel and the integral: the sum need not be 1 in the last digit.
            let by_tail = first.select(a.ge((a + b) * x), ((a + b) * y).ge(b));
            let by_fraction = first.select((x * (a + b + 2.0)).lt(a + 1.0), (y * (a + b + 2.0)).gt(b + 1.0));
            let below = a.min(b).ge(LARGE_SHAPE).select(by_tail, by_fraction);
            let [c, d, v, w] = [below.select(a, b), below.select(b, a), below.select(x, y), below.select(y, x)];
            let [own, log_kernel, factor] = Part::below(c, d, v, w);
            [own.same_truth(below), log_kernel, factor]
        });
        Part { lower, log_kernel, factor }
    }

    fn below(a: Value<'b>, b: Value<'b>, x: Value<'b>, y: Value<'b>) -> [Value<'b>; 3] {
        let log_x = y.lt(0.5).select((-y).log1p(), x.ln());
        // ln(x^a / (a B(a, b)))
        let log_power = a * log_x + log_gamma_shift(b, a) - lgamma_1p(a.min(0.5));
        let small = a.lt(0.5) & log_power.gt(-0.1);
        let [complement] = where_any(small, || [small_shape_complement(a, b, x, log_power, small)]);
        let by_tail = a.ge(LARGE_SHAPE);
        let [tail] = where_any(by_tail, || [beta_lower_tail(a, b, x, y)]);
        let fraction = continued_fraction(a, b, x, !by_tail & !small & x.gt(0.0)) / a;
        let factor = small.select(complement, by_tail.select(tail, fraction));
        [!small, small.select(0.0, log_beta_kernel(a, b, x, y)), factor]
    }

    /// The logarithm of I_x(a, b) or of 1 − I_x(a, b).
    pub(super) fn log_of(self, lower: Value<'b>) -> Value<'b> {
        let log = (self.log_kernel + self.factor.ln()).min(0.0);
        self.lower.same_truth(lower).select(log, log1mexp(log))
    }

    /// e^kernel over I_x(a, b) or 1 − I_x(a, b).
    pub(super) fn kernel_over(self, lower: Value<'b>, kernel: Value<'b>) -> Value<'b> {
        // The series of the complement has no kernel.
        let known = self.lower.same_truth(lower) & self.log_kernel.differs(0.0);
        known.select(1.0 / self.factor, (kernel - self.log_of(lower)).exp())
    }
}

/// 1 − I_x(a, b) for a < 1/2, where `log_power` is ln(x^a / (a B(a, b))).
fn small_shape_complement<'b>(
    a: Value<'b>,
    b: Value<'b>,
    x: Value<'b>,
    log_power: Value<'b>,
    wanted: Value<'b>,
) -> Value<'b> {
    let [_, sum] = iterate(199, wanted, [x.fill(1.0), x.fill(0.0)], |k, [power, sum]| {
        let n = k + 1.0;
        let power = power * ((n - b) / n * x);
        let term = power / (a + n);
        let sum = sum + term;
        ([power, sum], term.abs().gt(sum.abs() * 1e-17))
    });
    (-log_power.expm1() - log_power.exp() * a * sum).max(0.0).min(1.0)
}

fn continued_fraction<'b>(a: Value<'b>, b: Value<'b>, x: Value<'b>, wanted: Value<'b>) -> Value<'b> {
    const TINY: f64 = 1e-300;
    let guard = |v: Value<'b>| v.abs().lt(TINY).select(TINY, v);
    let first = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let [_, _, fraction] = iterate(249, wanted, [x.fill(1.0), first, first], |k, [c, d, fraction]| {
        let m = k + 1.0;
        let double = m * 2.0;
        let even = m * ((b - m) * x) / ((a + double - 1.0) * (a + double));
        let d = 1.0 / guard(even * d + 1.0);
        let c = guard(even / c + 1.0);
        let fraction = fraction * (d * c);
        let odd = -(a + m) * ((a + b + m) * x) / ((a + double) * (a + double + 1.0));
        let d = 1.0 / guard(odd * d + 1.0);
        let c = guard(odd / c + 1.0);
        let change = d * c;
        ([c, d, fraction * change], (change - 1.0).abs().gt(f64::EPSILON))
    });
    fraction
}
