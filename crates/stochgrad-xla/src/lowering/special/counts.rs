//! Probabilities and distribution functions of counts.

use super::bessel::log_bessel_ie;
use super::beta::beta_inc_pair;
use super::gamma::stirling_error;
use super::incomplete_gamma::gamma_q;
use super::logistic::{log_sigmoid, sigmoid};
use super::numeric::{
    inside, is_count, is_infinite, is_natural, is_normal, is_positive, is_probability, iterate, single, where_any,
};
use super::saddle_point::{deviance, half_log_two_pi};
use super::skellam_tail::{LARGE_VARIANCE, large_log_pmf, large_lower_tail, log_density};
use crate::lowering::builder::Value;

/// ln P(X = k) of the Poisson distribution.
pub(crate) fn poisson_log_pmf<'b>(k: Value<'b>, rate: Value<'b>) -> Value<'b> {
    single("poisson_log_pmf", [k, rate], |[k, rate]| {
        let value = -stirling_error(k) - deviance(k, rate) - half_log_two_pi(k);
        let value = k.equal(0.0).select(-rate, rate.equal(0.0).select(f64::NEG_INFINITY, value));
        inside(!k.is_nan() & is_natural(rate), is_count(k).select(value, f64::NEG_INFINITY))
    })
}

/// P(X ≤ k) of the Poisson distribution.
pub(super) fn poisson_cdf<'b>(k: Value<'b>, rate: Value<'b>) -> Value<'b> {
    let value = gamma_q(k.floor() + 1.0, rate);
    let value = k.lt(0.0).select(0.0, k.equal(f64::INFINITY).select(1.0, value));
    inside(!k.is_nan() & is_natural(rate), value)
}

/// The probabilities of success and of failure, and their logarithms.
#[derive(Clone, Copy)]
pub(super) struct Trial<'b> {
    pub(super) p: [Value<'b>; 2],
    pub(super) logs: [Value<'b>; 2],
}

impl<'b> Trial<'b> {
    /// From the probability of success.
    pub(super) fn of(p: Value<'b>) -> Self {
        Trial { p: [p, 1.0 - p], logs: [p.ln(), (-p).log1p()] }
    }

    /// From the log-odds of success.
    pub(super) fn of_logit(logit: Value<'b>) -> Self {
        Trial { p: [sigmoid(logit), sigmoid(-logit)], logs: [log_sigmoid(logit), log_sigmoid(-logit)] }
    }
}

/// ln P(X = k) of the binomial distribution.
pub(crate) fn binomial_log_pmf<'b>(k: Value<'b>, n: Value<'b>, p: Value<'b>) -> Value<'b> {
    single("binomial_log_pmf", [k, n, p], |[k, n, p]| inside(is_probability(p), of_binomial(k, n, Trial::of(p))))
}

/// The same, where p is given by its log-odds.
pub(crate) fn binomial_log_pmf_by_logit<'b>(k: Value<'b>, n: Value<'b>, logit: Value<'b>) -> Value<'b> {
    single("binomial_log_pmf_by_logit", [k, n, logit], |[k, n, logit]| {
        inside(!logit.is_nan(), of_binomial(k, n, Trial::of_logit(logit)))
    })
}

fn of_binomial<'b>(k: Value<'b>, n: Value<'b>, trial: Trial<'b>) -> Value<'b> {
    let possible = is_count(k) & k.le(n);
    inside(!k.is_nan() & is_count(n), possible.select(binomial_kernel(k, n - k, n, trial), f64::NEG_INFINITY))
}

/// The log-probability of these numbers of successes and failures, whose sum is n. Either may be too small to change
/// the other one in the sum.
fn binomial_kernel<'b>(k: Value<'b>, failures: Value<'b>, n: Value<'b>, trial: Trial<'b>) -> Value<'b> {
    let Trial { p: [p, q], logs: [log_p, log_q] } = trial;
    single("binomial_kernel", [k, failures, n, p, q, log_p, log_q], |[k, failures, n, p, q, log_p, log_q]| {
        let corrections = stirling_error(n) - stirling_error(k) - stirling_error(failures);
        // A probability may have underflowed.
        let deviance = |count: Value<'b>, p: Value<'b>, log_p: Value<'b>| {
            let far = count * (count.ln() - n.ln() - log_p) - count + n * p;
            is_normal(p).select(deviance(count, n * p), far)
        };
        let deviances = deviance(k, p, log_p) + deviance(failures, q, log_q);
        let value = corrections - deviances - half_log_two_pi(k * (failures / n));
        let impossible = log_p.equal(f64::NEG_INFINITY) | log_q.equal(f64::NEG_INFINITY);
        let value = impossible.select(f64::NEG_INFINITY, value);
        let all = failures.equal(0.0);
        let none = all.select(0.0, n * log_q);
        k.equal(0.0).select(none, all.select(n * log_p, value))
    })
}

/// P(X ≤ k) of the binomial distribution.
pub(super) fn binomial_cdf<'b>(k: Value<'b>, n: Value<'b>, p: Value<'b>) -> Value<'b> {
    let whole = k.floor();
    let value = beta_inc_pair(n - whole, whole + 1.0, 1.0 - p, p);
    let value = k.lt(0.0).select(0.0, k.ge(n).select(1.0, value));
    inside(!k.is_nan() & is_count(n) & is_probability(p), value)
}

/// ln P(X = k) for the number X of failures before the r-th success.
pub(crate) fn negative_binomial_log_pmf<'b>(k: Value<'b>, r: Value<'b>, p: Value<'b>) -> Value<'b> {
    single("negative_binomial_log_pmf", [k, r, p], |[k, r, p]| {
        inside(p.gt(0.0) & p.le(1.0), of_negative_binomial(k, r, Trial::of(p)))
    })
}

/// The same, where p is given by its log-odds.
pub(crate) fn negative_binomial_log_pmf_by_logit<'b>(k: Value<'b>, r: Value<'b>, logit: Value<'b>) -> Value<'b> {
    single("negative_binomial_log_pmf_by_logit", [k, r, logit], |[k, r, logit]| {
        inside(logit.gt(f64::NEG_INFINITY), of_negative_binomial(k, r, Trial::of_logit(logit)))
    })
}

fn of_negative_binomial<'b>(k: Value<'b>, r: Value<'b>, trial: Trial<'b>) -> Value<'b> {
    // The sum would overflow. So large, the logarithm is proportional to both up to rounding.
    let huge = k.gt(f64::MAX - r);
    let [own_k, own_r] = [k, r].map(|x| huge.select(x * 0.25, x));
    // The probability of r successes in r + k trials, times r / (r + k).
    let odds = own_k / own_r;
    let log_share = odds.lt(f64::INFINITY).select(odds.log1p(), own_k.ln() - own_r.ln());
    let value = binomial_kernel(own_r, own_k, own_r + own_k, trial) - log_share;
    let value = k.equal(0.0).select(r * trial.logs[0], huge.select(value * 4.0, value));
    inside(!k.is_nan() & is_positive(r), is_count(k).select(value, f64::NEG_INFINITY))
}

/// P(X ≤ k) for the number X of failures before the r-th success.
pub(super) fn negative_binomial_cdf<'b>(k: Value<'b>, r: Value<'b>, p: Value<'b>) -> Value<'b> {
    let value = beta_inc_pair(r, k.floor() + 1.0, p, 1.0 - p);
    let value = k.lt(0.0).select(0.0, k.equal(f64::INFINITY).select(1.0, value));
    inside(!k.is_nan() & is_positive(r) & p.gt(0.0) & p.le(1.0), value)
}

/// ln P(X = k) for the difference X of two independent Poisson variates.
fn skellam_log_pmf<'b>(k: Value<'b>, rate_up: Value<'b>, rate_down: Value<'b>) -> Value<'b> {
    single("skellam_log_pmf", [k, rate_up, rate_down], |[k, rate_up, rate_down]| {
        // Beyond, the sum of the rates could overflow, and the deviances below decide.
        let (large, by_expansion) = large_log_pmf(k, rate_up, rate_down);
        let large = large & rate_up.max(rate_down).le(1e306);
        let (up, down) = (rate_up.sqrt(), rate_down.sqrt());
        let near = k * (up / down).ln() - (up - down) * (up - down) + log_bessel_ie(k.abs(), up * down * 2.0);
        // Terms have overflowed. Where the deviances do as well, the probability is negligible.
        let far = log_density(k, rate_up, rate_down)[0];
        let far = far.is_nan().select(f64::NEG_INFINITY, far.min(0.0));
        let value = large.select(by_expansion, near.is_nan().select(far, near));
        let whole = k.equal(k.floor()) & !is_infinite(k);
        let valid = !k.is_nan() & is_positive(rate_up) & is_positive(rate_down);
        inside(valid, whole.select(value, f64::NEG_INFINITY))
    })
}

/// P(X ≤ k) for the difference X of two independent Poisson variates.
pub(crate) fn skellam_cdf<'b>(k: Value<'b>, rate_up: Value<'b>, rate_down: Value<'b>) -> Value<'b> {
    single("skellam_cdf", [k, rate_up, rate_down], |[own, rate_up, rate_down]| {
        let valid = !own.is_nan() & is_positive(rate_up) & is_positive(rate_down);
        let ends = is_infinite(own);
        // The sum of the rates must not overflow.
        let (k, up, down) = (own.floor(), rate_up.min(1e306), rate_down.min(1e306));
        let above = k.gt(up - down);
        let at = above.select(-k - 1.0, k);
        let tail = lower_tail(at, above.select(down, up), above.select(up, down), valid & !ends);
        let value = above.select(1.0 - tail, tail);
        inside(valid, ends.select(own.gt(0.0).select(own.fill(1.0), 0.0), value))
    })
}

/// P(X ≤ k) for k below the mean or close to it.
fn lower_tail<'b>(k: Value<'b>, up: Value<'b>, down: Value<'b>, wanted: Value<'b>) -> Value<'b> {
    let large = (up + down).ge(LARGE_VARIANCE);
    let [by_integral] = where_any(large & wanted, || [large_lower_tail(k, up, down)]);
    let [sum] = iterate(50_000, wanted & !large, [k.fill(0.0)], |below, [sum]| {
        let term = skellam_log_pmf(k - below, up, down).exp();
        let sum = sum + term;
        ([sum], term.gt(sum * 1e-17))
    });
    large.select(by_integral, sum)
}
