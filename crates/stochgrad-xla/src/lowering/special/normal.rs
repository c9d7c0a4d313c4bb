//! The distribution function of the standard normal distribution, its logarithm and its inverse.

use super::erf::erfc;
use super::normal_quantile::standard_quantile;
use super::numeric::{inside, is_probability, iterate, single};
use crate::lowering::builder::Value;
use std::f64::consts::{FRAC_1_SQRT_2, LN_2, PI};

/// ln √(2π)
pub(super) const HALF_LOG_TAU: f64 = 0.918_938_533_204_672_7;

/// P(Z ≤ x).
pub(crate) fn normal_cdf(x: Value<'_>) -> Value<'_> {
    erfc(-x * FRAC_1_SQRT_2) * 0.5
}

/// ln P(Z ≤ x).
pub(crate) fn normal_log_cdf(x: Value<'_>) -> Value<'_> {
    single("normal_log_cdf", [x], |[x]| {
        let far = x * x * -0.5 + log_mills_far(-x);
        let upper = x.ge(-1.0);
        let tail = erfc(upper.select(x, -x) * FRAC_1_SQRT_2);
        let near = upper.select((tail * -0.5).log1p(), tail.ln() - LN_2);
        let value = x.lt(-14.0).select(far, near);
        x.equal(f64::NEG_INFINITY).select(f64::NEG_INFINITY, value)
    })
}

/// ln(P(Z > x) e^(x²/2)) for x > 14.
fn log_mills_far(x: Value<'_>) -> Value<'_> {
    let inverse = 1.0 / (x * x);
    let (mut term, mut series) = (x.fill(1.0), x.fill(0.0));
    for k in 1..12 {
        term = term * -f64::from(2 * k - 1) * inverse;
        series = series + term;
    }
    series.log1p() - x.ln() - HALF_LOG_TAU
}

/// ln(P(Z > x) e^(x²/2)).
pub(crate) fn normal_log_mills(x: Value<'_>) -> Value<'_> {
    single("normal_log_mills", [x], |[x]| x.gt(14.0).select(log_mills_far(x), normal_log_cdf(-x) + x * x * 0.5))
}

/// The inverse of [`normal_log_cdf`].
pub(crate) fn normal_icdf_of_log(log_p: Value<'_>) -> Value<'_> {
    single("normal_icdf_of_log", [log_p], |[log_p]| {
        let upper = log_p.gt(-LN_2);
        let near = normal_icdf(upper.select(-log_p.expm1(), log_p.exp()));
        let near = upper.select(-near, near);
        let double = log_p * -2.0;
        let far = log_p.le(-700.0) & log_p.gt(f64::NEG_INFINITY);
        let guess = -(double - double.ln() - (2.0 * PI).ln()).sqrt();
        let [root] = iterate(20, far, [guess], |_, [x]| {
            let mills = log_mills_far(-x);
            let step = (x * x * -0.5 + mills - log_p) * (mills + HALF_LOG_TAU).exp();
            let next = x - step;
            ([next], step.abs().gt(next.abs() * (2.0 * f64::EPSILON)))
        });
        let value = log_p.gt(-700.0).select(near, log_p.equal(f64::NEG_INFINITY).select(log_p, root));
        inside(log_p.le(0.0), value)
    })
}

/// The inverse of [`normal_cdf`].
pub(crate) fn normal_icdf(p: Value<'_>) -> Value<'_> {
    single("normal_icdf", [p], |[p]| inside(is_probability(p), standard_quantile(p - 0.5, p.min(1.0 - p))))
}
