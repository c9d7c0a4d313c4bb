//! The derivatives of the regularised incomplete beta function with respect to its shapes.

use super::beta::Part;
use super::gamma::{digamma, digamma_minus_log};
use super::numeric::{inside, is_positive, is_probability, iterate, single};
use super::quadrature::legendre;
use super::saddle_point::log_beta_kernel;
use crate::lowering::builder::Value;

/// The value of the exponent at which an integrand is cut off.
const CUTOFF: f64 = 45.0;

/// The integral of e^−(cs + n ln D) (level − slope s − ln D) over s > 0, with D = far + near e^−s.
fn moment<'b>(
    [near, far]: [Value<'b>; 2],
    c: Value<'b>,
    n: Value<'b>,
    level: Value<'b>,
    slope: Value<'b>,
) -> Value<'b> {
    single("beta_moment", [near, far, c, n, level, slope], |[near, far, c, n, level, slope]| {
        // For large n, a form that is accurate where D is close to 1, or one where it is close to e^−s.
        let log_d = |s: Value<'b>| {
            let plain = (far + near * (-s).exp()).ln();
            let close = (near * (-s).expm1()).log1p();
            let steep = s.lt(30.0).select((far * s.min(30.0).expm1()).log1p() - s, plain);
            n.lt(1e3).select(plain, near.le(0.5).select(close, steep))
        };
        let exponent = |s: Value<'b>| c * s + n * log_d(s);
        let start = (c - n * near).abs();
        let spread = (n * near * far).sqrt();
        let width = (12.0 / (start + spread + 1e-300)).min(6.0);
        let last = (near / far).ln().max(0.0) + 40.0;
        let zero = c.fill(0.0);
        let wanted = last.gt(0.0) & is_positive(c);
        // The panels grow by a quarter, which takes 3200 of them from the smallest width to the largest s.
        let done = c.fill_truth(false);
        let [s, sum, _, done] = iterate(4000, wanted, [zero, zero, zero, done], |_, [s, sum, lowest, _]| {
            let panel = width + s * 0.25;
            let end = (s + panel.min(6.0)).min(last);
            let sum = sum
                + legendre(s, end, |s| {
                    let log_d = log_d(s);
                    (-(c * s + n * log_d)).exp() * (level - slope * s - log_d)
                });
            let reached = exponent(end);
            let lowest = lowest.min(reached);
            let small = (-end).exp();
            let rising = (c - n * near * small / (far + near * small)).gt(0.0);
            let done = (reached - lowest).gt(CUTOFF) & rising;
            ([end, sum, lowest, done], !done & end.lt(last))
        });
        // Beyond this point, ln D is constant.
        let rest = (-exponent(s)).exp() * ((level - slope * s - log_d(s)) / c - slope / (c * c));
        done.select(sum, sum + rest)
    })
}

/// The mean of ln X of a beta variate.
pub(super) fn mean_log<'b>(a: Value<'b>, b: Value<'b>) -> Value<'b> {
    single("beta_mean_log", [a, b], |[a, b]| {
        let far = digamma_minus_log(a) - digamma_minus_log(a + b) - (b / a).log1p();
        a.lt(10.0).select(digamma(a) - digamma(a + b), far)
    })
}

/// The derivative of I_x(a, b) with respect to a, over x^a y^b / B(a, b).
pub(super) fn by_first_over_kernel<'b>(a: Value<'b>, b: Value<'b>, x: Value<'b>, y: Value<'b>) -> Value<'b> {
    single("beta_by_first_over_kernel", [a, b, x, y], |[a, b, x, y]| {
        // Below this shape the result does not depend on it, but 1 / a would overflow.
        let (a, b) = (a.max(1e-290), b.max(1e-290));
        let log_x = y.lt(0.5).select((-y).log1p(), x.ln());
        let excess = log_x - mean_log(a, b);
        // On one of the two sides of x, ln t minus its mean has a constant sign.
        let below = excess.le(0.0);
        let sides = [below.select(x, y), below.select(y, x)];
        let value = moment(sides, below.select(a, b), a + b, excess, below.select(x.fill(1.0), 0.0));
        below.select(value, -value)
    })
}

fn in_domain<'b>(a: Value<'b>, b: Value<'b>, x: Value<'b>, y: Value<'b>) -> Value<'b> {
    is_positive(a) & is_positive(b) & is_probability(x) & is_probability(y)
}

/// The derivative of I_x(a, b) with respect to a.
pub(crate) fn beta_inc_by_first<'b>(a: Value<'b>, b: Value<'b>, x: Value<'b>, y: Value<'b>) -> Value<'b> {
    single("beta_inc_by_first", [a, b, x, y], |[a, b, x, y]| {
        let ends = x.equal(0.0) | y.equal(0.0);
        let value = log_beta_kernel(a, b, x, y).exp() * by_first_over_kernel(a, b, x, y);
        inside(in_domain(a, b, x, y), ends.select(0.0, value))
    })
}

/// The derivative of ln I_x(a, b) with respect to a.
pub(crate) fn log_beta_inc_by_first<'b>(a: Value<'b>, b: Value<'b>, x: Value<'b>, y: Value<'b>) -> Value<'b> {
    single("log_beta_inc_by_first", [a, b, x, y], |[a, b, x, y]| {
        let value = scale(a, b, x, y) * by_first_over_kernel(a, b, x, y);
        let value = y.equal(0.0).select(0.0, x.equal(0.0).select(f64::NEG_INFINITY, value));
        inside(in_domain(a, b, x, y), value)
    })
}

/// The derivative of ln I_x(a, b) with respect to b.
pub(crate) fn log_beta_inc_by_second<'b>(a: Value<'b>, b: Value<'b>, x: Value<'b>, y: Value<'b>) -> Value<'b> {
    single("log_beta_inc_by_second", [a, b, x, y], |[a, b, x, y]| {
        let value = -scale(a, b, x, y) * by_first_over_kernel(b, a, y, x);
        let value = y.equal(0.0).select(0.0, x.equal(0.0).select(-mean_log(b, a), value));
        inside(in_domain(a, b, x, y), value)
    })
}

fn scale<'b>(a: Value<'b>, b: Value<'b>, x: Value<'b>, y: Value<'b>) -> Value<'b> {
    Part::of(a, b, x, y).kernel_over(x.fill_truth(true), log_beta_kernel(a, b, x, y))
}
