//! Probabilities and distribution functions of the Poisson, binomial, negative binomial, Skellam and geometric
//! distributions.

use super::bessel::log_bessel_ie;
use super::beta::beta_inc_pair;
use super::deviance::deviance_by_log;
use super::gamma::stirling_error;
use super::incomplete_gamma::gamma_q;
use super::logistic::{log_sigmoid, sigmoid};
use super::saddle_point::{deviance, half_log_two_pi};
use super::skellam_tail::{LARGE_VARIANCE, large_log_pmf, large_lower_tail, log_density};

pub(super) fn is_count(k: f64) -> bool {
    (0.0..f64::INFINITY).contains(&k) && k == k.floor()
}

pub(super) fn is_probability(p: f64) -> bool {
    (0.0..=1.0).contains(&p)
}

/// ln P(X = k) for X ~ Poisson(rate).
///
/// Domain: finite rate >= 0 and any k; anything else gives NaN. A k that is not a count has probability 0 and gives
/// -inf. With rate 0 all mass is at k = 0. Error below 1e-14 * max(1, |result|) (Loader's saddle-point form).
pub fn poisson_log_pmf(k: f64, rate: f64) -> f64 {
    if k.is_nan() || !(0.0..f64::INFINITY).contains(&rate) {
        f64::NAN
    } else if !is_count(k) {
        f64::NEG_INFINITY
    } else if k == 0.0 {
        -rate
    } else if rate == 0.0 {
        f64::NEG_INFINITY
    } else {
        -stirling_error(k) - deviance(k, rate) - half_log_two_pi(k)
    }
}

/// P(X <= k) for X ~ Poisson(rate).
///
/// Domain: finite rate >= 0 and any k, rounded down; anything else gives NaN. Computed by [`gamma_q`], with its error.
pub fn poisson_cdf(k: f64, rate: f64) -> f64 {
    if k.is_nan() || !(0.0..f64::INFINITY).contains(&rate) {
        f64::NAN
    } else if k < 0.0 {
        0.0
    } else if k == f64::INFINITY {
        1.0
    } else {
        gamma_q(k.floor() + 1.0, rate)
    }
}

/// ln P(X = k) for X ~ Binomial(n, p).
///
/// Domain: n a finite count >= 0, 0 <= p <= 1 and any k; anything else gives NaN. A k that is not a count up to n has
/// probability 0 and gives -inf. Error below 1e-14 * max(1, |result|) (Loader's saddle-point form).
pub fn binomial_log_pmf(k: f64, n: f64, p: f64) -> f64 {
    binomial_log_pmf_of(n, p)(k)
}

/// [`binomial_log_pmf`] as a function of k. What does not depend on k is computed once, for many counts of one
/// distribution; the results are the same to the bit.
///
/// ```
/// # use stochgrad_tensor::special::binomial_log_pmf_of;
/// assert!((binomial_log_pmf_of(2.0, 0.5)(1.0) - 0.5_f64.ln()).abs() < 1e-15);
/// ```
pub fn binomial_log_pmf_of(n: f64, p: f64) -> impl Fn(f64) -> f64 + Sync {
    binomial(n, is_probability(p), [p, 1.0 - p], [p.ln(), (-p).ln_1p()])
}

/// ln P(X = k) for X ~ Binomial(n, p), where p is given by its log-odds ln(p / (1 - p)).
///
/// Domain: n a finite count >= 0, any log-odds including both infinities, and any k; anything else gives NaN. Error
/// below 1e-14 * max(1, |result|), also far in both tails, where 1 - p would have no digits left.
pub fn binomial_log_pmf_by_logit(k: f64, n: f64, logit: f64) -> f64 {
    binomial_log_pmf_of_logit(n, logit)(k)
}

/// [`binomial_log_pmf_by_logit`] as a function of k, as [`binomial_log_pmf_of`].
///
/// ```
/// # use stochgrad_tensor::special::binomial_log_pmf_of_logit;
/// assert!((binomial_log_pmf_of_logit(2.0, 0.0)(1.0) - 0.5_f64.ln()).abs() < 1e-15);
/// ```
pub fn binomial_log_pmf_of_logit(n: f64, logit: f64) -> impl Fn(f64) -> f64 + Sync {
    binomial(n, !logit.is_nan(), [sigmoid(logit), sigmoid(-logit)], [log_sigmoid(logit), log_sigmoid(-logit)])
}

/// The log-probability as a function of the count. `known` says whether the probability of success is in its domain.
fn binomial(n: f64, known: bool, p: [f64; 2], logs: [f64; 2]) -> impl Fn(f64) -> f64 + Sync {
    let known = known && is_count(n);
    move |k| {
        if k.is_nan() || !known {
            return f64::NAN;
        }
        if !is_count(k) || k > n {
            return f64::NEG_INFINITY;
        }
        binomial_kernel(k, n, p, logs)
    }
}

/// The log-probability of a count k <= n, from the probabilities of success and failure and their logarithms.
fn binomial_kernel(k: f64, n: f64, p: [f64; 2], logs: [f64; 2]) -> f64 {
    kernel_of([k, n - k], n, p, logs)
}

/// The log-probability of these numbers of successes and failures, whose sum is n. Either may be too small to change
/// the other one in the sum.
fn kernel_of([k, failures]: [f64; 2], n: f64, [p, q]: [f64; 2], [log_p, log_q]: [f64; 2]) -> f64 {
    match (k == 0.0, failures == 0.0) {
        (true, true) => 0.0,
        (true, false) => n * log_q,
        (false, true) => n * log_p,
        _ if log_p == f64::NEG_INFINITY || log_q == f64::NEG_INFINITY => f64::NEG_INFINITY,
        _ => {
            let corrections = stirling_error(n) - stirling_error(k) - stirling_error(failures);
            let deviances = share_deviance(k, n, p, log_p) + share_deviance(failures, n, q, log_q);
            corrections - deviances - half_log_two_pi(k * (failures / n))
        }
    }
}

/// The deviance of a count from n p, also for a probability that has underflowed.
fn share_deviance(count: f64, n: f64, p: f64, log_p: f64) -> f64 {
    if p < f64::MIN_POSITIVE { deviance_by_log(count.ln(), n.ln() + log_p) } else { deviance(count, n * p) }
}

/// P(X <= k) for X ~ Binomial(n, p).
///
/// Domain: n a finite count >= 0, 0 <= p <= 1 and any k, rounded down; anything else gives NaN. Computed by
/// [`beta_inc_pair`](super::beta_inc_pair), with the error of [`beta_inc`](super::beta_inc).
///
/// ```
/// # use stochgrad_tensor::special::binomial_cdf;
/// assert!((binomial_cdf(1.0, 2.0, 0.5) - 0.75).abs() < 1e-15);
/// ```
pub fn binomial_cdf(k: f64, n: f64, p: f64) -> f64 {
    if k.is_nan() || !is_count(n) || !is_probability(p) {
        f64::NAN
    } else if k < 0.0 {
        0.0
    } else if k >= n {
        1.0
    } else {
        let k = k.floor();
        beta_inc_pair(n - k, k + 1.0, 1.0 - p, p)
    }
}

/// ln P(X = k) for the number X of failures before the r-th success, where each trial succeeds with probability p. r
/// may be any positive real number.
///
/// Domain: finite r > 0, 0 < p <= 1 and any k; anything else gives NaN. A k that is not a count has probability 0 and
/// gives -inf. Error below 1e-13 * max(1, |result|) (Loader's saddle-point form).
pub fn negative_binomial_log_pmf(k: f64, r: f64, p: f64) -> f64 {
    negative_binomial_log_pmf_of(r, p)(k)
}

/// [`negative_binomial_log_pmf`] as a function of k. What does not depend on k is computed once, for many counts of one
/// distribution; the results are the same to the bit.
///
/// ```
/// # use stochgrad_tensor::special::negative_binomial_log_pmf_of;
/// assert!((negative_binomial_log_pmf_of(2.0, 0.5)(0.0) - 0.25_f64.ln()).abs() < 1e-15);
/// ```
pub fn negative_binomial_log_pmf_of(r: f64, p: f64) -> impl Fn(f64) -> f64 + Sync {
    negative_binomial(r, p > 0.0 && p <= 1.0, [p, 1.0 - p], [p.ln(), (-p).ln_1p()])
}

/// As [`negative_binomial_log_pmf`], where p is given by its log-odds ln(p / (1 - p)).
///
/// Domain: finite r > 0, log-odds above -inf, and any k; anything else gives NaN. The error is the same.
pub fn negative_binomial_log_pmf_by_logit(k: f64, r: f64, logit: f64) -> f64 {
    negative_binomial_log_pmf_of_logit(r, logit)(k)
}

/// [`negative_binomial_log_pmf_by_logit`] as a function of k, as [`negative_binomial_log_pmf_of`].
///
/// ```
/// # use stochgrad_tensor::special::negative_binomial_log_pmf_of_logit;
/// assert!((negative_binomial_log_pmf_of_logit(2.0, 0.0)(0.0) - 0.25_f64.ln()).abs() < 1e-15);
/// ```
pub fn negative_binomial_log_pmf_of_logit(r: f64, logit: f64) -> impl Fn(f64) -> f64 + Sync {
    let known = logit > f64::NEG_INFINITY;
    negative_binomial(r, known, [sigmoid(logit), sigmoid(-logit)], [log_sigmoid(logit), log_sigmoid(-logit)])
}

/// As [`binomial`].
fn negative_binomial(r: f64, known: bool, p: [f64; 2], logs: [f64; 2]) -> impl Fn(f64) -> f64 + Sync {
    let known = known && r > 0.0 && r < f64::INFINITY;
    move |k| if k.is_nan() || !known { f64::NAN } else { negative_binomial_kernel(k, r, p, logs) }
}

fn negative_binomial_kernel(k: f64, r: f64, p: [f64; 2], logs: [f64; 2]) -> f64 {
    if !is_count(k) {
        f64::NEG_INFINITY
    } else if k == 0.0 {
        r * logs[0]
    } else if k > f64::MAX - r {
        // The sum would overflow. So large, the logarithm is proportional to both up to rounding.
        4.0 * negative_binomial_kernel(0.25 * k, 0.25 * r, p, logs)
    } else {
        // The probability of r successes in r + k trials, times r / (r + k).
        let odds = k / r;
        let log_share = if odds < f64::INFINITY { odds.ln_1p() } else { k.ln() - r.ln() };
        kernel_of([r, k], r + k, p, logs) - log_share
    }
}

/// P(X <= k) for the number X of failures before the r-th success.
///
/// Domain: finite r > 0, 0 < p <= 1 and any k, rounded down; anything else gives NaN. Computed by
/// [`beta_inc_pair`](super::beta_inc_pair), with the error of [`beta_inc`](super::beta_inc).
pub fn negative_binomial_cdf(k: f64, r: f64, p: f64) -> f64 {
    if k.is_nan() || !(r > 0.0 && r < f64::INFINITY && p > 0.0 && p <= 1.0) {
        f64::NAN
    } else if k < 0.0 {
        0.0
    } else if k == f64::INFINITY {
        1.0
    } else {
        beta_inc_pair(r, k.floor() + 1.0, p, 1.0 - p)
    }
}

/// ln P(X = k) for the difference X of two independent Poisson variates.
///
/// Domain: positive finite rates and any k; anything else gives NaN. A k that is not an integer has probability 0 and
/// gives -inf. Error below 1e-13 * max(1, |result|, |k|), since terms of the order of k are subtracted.
pub fn skellam_log_pmf(k: f64, rate_up: f64, rate_down: f64) -> f64 {
    let positive = |rate: f64| rate > 0.0 && rate < f64::INFINITY;
    if k.is_nan() || !(positive(rate_up) && positive(rate_down)) {
        f64::NAN
    } else if k != k.floor() || k.is_infinite() {
        f64::NEG_INFINITY
    } else {
        // Beyond, the sum of the rates could overflow, and the deviances below decide.
        if rate_up.max(rate_down) <= 1e306
            && let Some(log) = large_log_pmf(k, rate_up, rate_down).filter(|log| !log.is_nan())
        {
            return log;
        }
        let (up, down) = (rate_up.sqrt(), rate_down.sqrt());
        let log = k * (up / down).ln() - (up - down) * (up - down) + log_bessel_ie(k.abs(), 2.0 * up * down);
        if !log.is_nan() {
            return log;
        }
        // Terms have overflowed. Where the deviances do as well, the probability is negligible.
        let log = log_density(k, rate_up, rate_down).0;
        if log.is_nan() { f64::NEG_INFINITY } else { log.min(0.0) }
    }
}

/// P(X <= k) for the difference X of two independent Poisson variates.
///
/// Domain: positive finite rates and any k, rounded down; anything else gives NaN. Error below 1e-12 for rates up to
/// 1e12; beyond, it is that of the rounding of k and of the rates.
///
/// Method: the sum of the probabilities of the smaller tail, with at most some ten thousand terms; if the sum of the
/// rates is above a million, an integral with the first terms of the Euler-Maclaurin formula.
pub fn skellam_cdf(k: f64, rate_up: f64, rate_down: f64) -> f64 {
    let positive = |rate: f64| rate > 0.0 && rate < f64::INFINITY;
    if k.is_nan() || !(positive(rate_up) && positive(rate_down)) {
        return f64::NAN;
    }
    if k.is_infinite() {
        return if k > 0.0 { 1.0 } else { 0.0 };
    }
    // The sum of the rates must not overflow.
    let (k, rate_up, rate_down) = (k.floor(), rate_up.min(1e306), rate_down.min(1e306));
    if k > rate_up - rate_down {
        1.0 - lower_tail(-k - 1.0, rate_down, rate_up)
    } else {
        lower_tail(k, rate_up, rate_down)
    }
}

/// P(X <= k) for k below the mean or close to it: by a sum from k downwards, which has at most some ten thousand terms,
/// or by an integral.
fn lower_tail(k: f64, rate_up: f64, rate_down: f64) -> f64 {
    if rate_up + rate_down >= LARGE_VARIANCE {
        return large_lower_tail(k, rate_up, rate_down);
    }
    let mut sum = 0.0;
    for below in 0..50_000 {
        let term = skellam_log_pmf(k - f64::from(below), rate_up, rate_down).exp();
        sum += term;
        if term <= 1e-17 * sum {
            break;
        }
    }
    sum
}

/// ln P(X = k) for X ~ Geometric(p), the number of failures (0, 1, ...) before the first success.
///
/// Domain: 0 <= p <= 1 and any k; anything else gives NaN. A k that is not a count has probability 0 and gives -inf. So
/// does every k for p = 0, the limit of small p. Relative error below 1e-15, since both terms have the same sign.
pub fn geometric_log_pmf(k: f64, p: f64) -> f64 {
    if k.is_nan() || !is_probability(p) {
        f64::NAN
    } else if !is_count(k) {
        f64::NEG_INFINITY
    } else if k == 0.0 {
        p.ln()
    } else {
        k * (-p).ln_1p() + p.ln()
    }
}

/// P(X <= k) for X ~ Geometric(p), the number of failures (0, 1, ...) before the first success.
///
/// Domain: 0 <= p <= 1 and any k, rounded down; anything else gives NaN. k = +inf gives 1 unless p = 0. For p = 0 the
/// result is 0 for every k, the limit of small p. Relative error below 1e-15.
pub fn geometric_cdf(k: f64, p: f64) -> f64 {
    if k.is_nan() || !is_probability(p) {
        f64::NAN
    } else if k < 0.0 || p == 0.0 {
        0.0
    } else {
        -((k.floor() + 1.0) * (-p).ln_1p()).exp_m1()
    }
}

#[cfg(test)]
mod tests {
    use super::super::assertions::{POSITIVE, PROBABILITIES, assert_near, assert_relative};
    use super::*;
    use std::f64::consts::PI;

    #[test]
    fn log_probabilities_at_the_end_of_the_range() {
        let most = f64::MAX;
        let height = -0.5 * ((2.0 * PI).ln() + most.ln());
        assert_near("Poisson", poisson_log_pmf(most, most), height, 1e-14);
        assert_near("Skellam", skellam_log_pmf(most, most, 1.04), height, 1e-14);
        assert_near("Skellam", skellam_log_pmf(-most, 1e-20, most), height, 1e-14);
        assert!(binomial_log_pmf(0.5 * most, most, 0.5).is_finite());
        for (up, down) in [(8e-296, 7.0), (2.5e13, 9e-155), (2.5e9, 1e8), (3.0, most), (most, most)] {
            for k in [most, -most, 1e306, -3e305, 0.0, 1.0] {
                let log = skellam_log_pmf(k, up, down);
                assert!(log <= 0.0, "{k}, {up}, {down}: {log}");
            }
        }
    }

    /// From mpmath; the last ones are the height of the normal density.
    #[test]
    fn skellam_variates_of_large_rates_have_known_probabilities() {
        let known = [
            (5e6, 1e7, 5e6, -9.180_718_905_947_79),
            (100_012_345.0, 1e8, 1.25, -10.891_458_711_799_336),
            (-1_003_000.0, 5e5, 1.5e6, -10.423_080_041_703_98),
            (1_000_001_000_000.0, 1e12, 3.5, -15.234_452_924_508_322),
            (1e37, 1e37, 1.25, -43.516_762_753_594_52),
            (-1e37, 1.25, 1e37, -43.516_762_753_594_52),
            (1e300, 1e300, 1.25, -0.5 * (2.0 * PI * 1e300_f64).ln()),
        ];
        for (k, up, down, expected) in known {
            assert_near(&format!("{k}, {up}, {down}"), skellam_log_pmf(k, up, down), expected, 1e-12);
        }
        for (k, up, down) in [(-f64::MAX, 1e-300, 1.25), (f64::MAX, 1.25, 1e-300), (f64::MAX, 1e300, 1e300)] {
            let log = skellam_log_pmf(k, up, down);
            assert!(log < -1e290, "{k:e}, {up:e}, {down:e}: {log:e}");
            assert_eq!(skellam_cdf(k, up, down), if k > 0.0 { 1.0 } else { 0.0 });
        }
    }

    #[test]
    fn negative_binomial_and_skellam_have_known_values() {
        let negative_binomial = [
            (0.0, 2.5, 0.3, -3.00993201081484, 0.049295030175464945),
            (3.0, 2.5, 0.3, -2.198585214713295, 0.3521975859067672),
            (3.0, 0.001, 0.3, -9.076096996896036, 0.9998552264283732),
            (1.0, 1.0, 1e-12, -27.63102111592955, 1.999999999999e-12),
            (1000000000.0, 2.0, 1e-09, -21.723265836446412, f64::NAN),
            (1000000000.0, 1000000000.0, 0.5, -11.627145042082851, f64::NAN),
            (7.0, 1000000.0, 0.999999999999, -105.23387012059239, 1.0),
            (2.0, 0.5, 0.9, -5.638679696828731, 0.9996750253207289),
            (1000000.0, 1000.0, 0.001, -11.281654702175025, f64::NAN),
            (5.0, 0.001, 1e-12, -8.542741590617103, 0.9749701545281131),
            (100.0, 30.0, 0.25, -4.088161709927018, 0.7246271931319177),
            (12.0, 3.0, 0.999999, -161.27527018871086, 1.0),
        ];
        for (k, r, p, log_pmf, cdf) in negative_binomial {
            let what = format!("k = {k}, r = {r}, p = {p}");
            assert_near(&what, negative_binomial_log_pmf(k, r, p), log_pmf, 1e-13);
            if !f64::is_nan(cdf) {
                assert_near(&what, negative_binomial_cdf(k, r, p), cdf, 1e-12);
            }
            if (0.01..0.99).contains(&p) {
                assert_near(&what, negative_binomial_log_pmf_by_logit(k, r, super::super::logit(p)), log_pmf, 1e-11);
            }
        }
        let skellam = [
            (0.0, 1.0, 1.0, -1.1760064585170438, 0.6542541612768356),
            (3.0, 2.5, 0.7, -1.8228670536854052, 0.836251205964546),
            (-4.0, 2.5, 0.7, -7.464334122540153, 0.0006585732718255122),
            (0.0, 0.001, 0.001, -0.00199900000025, 0.9990014983347906),
            (10.0, 0.001, 5.0, -89.18251082605076, 1.0),
            (-10.0, 0.001, 5.0, -4.010578911888381, 0.03180992946195599),
            (100.0, 1000.0, 900.0, -4.693677613010338, 0.5046567749088744),
            (200.0, 1000.0, 900.0, -7.3242978833707815, 0.9894081616301199),
            (50.0, 1500.0, 1500.0, -5.338807125707458, 0.8217461386790794),
            (-300.0, 1500.0, 1500.0, -19.91210645103915, 2.2997738826831924e-08),
            (1.0, 30.0, 30.0, -2.972413673969669, 0.5769854047758336),
            (60.0, 70.0, 2.0, -3.463921613807431, 0.1893496685997654),
        ];
        for (k, up, down, log_pmf, cdf) in skellam {
            let what = format!("k = {k}, rates {up} and {down}");
            assert_near(&what, skellam_log_pmf(k, up, down), log_pmf, 1e-13 * f64::max(k.abs(), 1.0));
            assert_near(&what, skellam_cdf(k, up, down), cdf, 1e-12);
        }
        assert_eq!(negative_binomial_log_pmf(-1.0, 1.0, 0.5), f64::NEG_INFINITY);
        assert_eq!(negative_binomial_log_pmf(0.0, 3.0, 1.0), 0.0);
        assert_eq!(negative_binomial_log_pmf(1.0, 3.0, 1.0), f64::NEG_INFINITY);
        assert!(negative_binomial_log_pmf(1.0, 0.0, 0.5).is_nan() && skellam_log_pmf(1.0, 0.0, 1.0).is_nan());
        assert_eq!((skellam_cdf(f64::NEG_INFINITY, 1.0, 1.0), skellam_cdf(f64::INFINITY, 1.0, 1.0)), (0.0, 1.0));
    }

    #[test]
    fn log_odds_and_probabilities_agree() {
        for (k, n, p) in [(3.0, 10.0, 0.3), (0.0, 7.0, 1e-10), (5e8, 1e9, 0.5), (2.0, 1e9, 1e-9)] {
            let logit = super::super::logit(p);
            let (by_p, by_logit) = (binomial_log_pmf(k, n, p), binomial_log_pmf_by_logit(k, n, logit));
            assert!((by_p - by_logit).abs() <= 1e-10 * by_p.abs().max(1.0), "{by_p} and {by_logit}");
        }
        assert_relative("far tail", binomial_log_pmf_by_logit(4.0, 10.0, 50.0), -294.6528924692825, 1e-14);
        assert_eq!(binomial_log_pmf_by_logit(4.0, 4.0, f64::INFINITY), 0.0);
        assert_eq!(binomial_log_pmf_by_logit(3.0, 4.0, f64::INFINITY), f64::NEG_INFINITY);
        assert_eq!(binomial_log_pmf_by_logit(0.0, 4.0, f64::NEG_INFINITY), 0.0);
        assert!(binomial_log_pmf_by_logit(0.0, 4.0, f64::NAN).is_nan());
    }

    /// k, rate, ln P(X = k), P(X <= k), from mpmath at 40 digits.
    const POISSON: [(f64, f64, f64, f64); 9] = [
        (0.0, 1e-09, -1e-09, 0.999999999),
        (1.0, 1e-09, -20.72326583794641, 1.0),
        (0.0, 3.0, -3.0, 0.049787068367863944),
        (3.0, 3.0, -1.4959226032237258, 0.6472318887822313),
        (20.0, 3.0, -23.363370687391292, 0.9999999999882095),
        (5.0, 40.0, -26.343094472212364, 4.127308729731736e-12),
        (90.0, 100.0, -3.6873228812811036, 0.1713851193217614),
        (101.0, 100.0, -3.2323072876075214, 0.5660285320044016),
        (9800.0, 10000.0, -7.527484157244768, 0.02274922201089486),
    ];

    /// k, n, p, ln P(X = k), P(X <= k), from mpmath at 40 digits.
    const BINOMIAL: [(f64, f64, f64, f64, f64); 8] = [
        (0.0, 1.0, 0.3, -0.35667494393873234, 0.7),
        (3.0, 10.0, 1e-09, -57.38230577505719, 1.0),
        (9.0, 10.0, 0.9, -0.9482446409204367, 0.6513215599),
        (50.0, 100.0, 0.5, -2.530876403977105, 0.5397946186935894),
        (30.0, 100.0, 0.5, -10.672622415038157, 3.925069822796835e-05),
        (3.0, 1000.0, 0.001, -2.7922608048150943, 0.9810731665496396),
        (990.0, 1000.0, 0.999, -16.140051082180786, 1.0742833868464958e-07),
        (450.0, 1000.0, 0.45, -3.674897191168011, 0.5130981984668275),
    ];

    /// k, p, ln P(X = k), P(X <= k), from mpmath at 40 digits.
    const GEOMETRIC: [(f64, f64, f64, f64); 5] = [
        (0.0, 0.3, -1.2039728043259361, 0.3),
        (4.0, 0.3, -2.6306725800808657, 0.83193),
        (1000.0, 1e-09, -20.72326683694641, 1.0009994995001668e-06),
        (3.0, 0.999999999999, -82.89312971368108, 1.0),
        (200.0, 0.5, -139.322583292549, 1.0),
    ];

    #[test]
    fn probabilities_match_mpmath() {
        for (k, rate, log, cumulative) in POISSON {
            assert_near(&format!("ln Poisson({k}; {rate})"), poisson_log_pmf(k, rate), log, 1e-14);
            assert_relative(&format!("Poisson cdf({k}; {rate})"), poisson_cdf(k, rate), cumulative, 1e-12);
        }
        for (k, n, p, log, cumulative) in BINOMIAL {
            assert_near(&format!("ln Binomial({k}; {n}, {p})"), binomial_log_pmf(k, n, p), log, 1e-14);
            assert_relative(&format!("Binomial cdf({k}; {n}, {p})"), binomial_cdf(k, n, p), cumulative, 1e-12);
        }
        for (k, p, log, cumulative) in GEOMETRIC {
            assert_relative(&format!("ln Geometric({k}; {p})"), geometric_log_pmf(k, p), log, 1e-15);
            assert_relative(&format!("Geometric cdf({k}; {p})"), geometric_cdf(k, p), cumulative, 1e-15);
        }
    }

    #[test]
    fn masses_add_up_to_the_distribution_function() {
        let (mut poisson, mut binomial, mut geometric) = (0.0, 0.0, 0.0);
        for k in 0..=12 {
            let k = f64::from(k);
            poisson += poisson_log_pmf(k, 4.5).exp();
            binomial += binomial_log_pmf(k, 12.0, 0.35).exp();
            geometric += geometric_log_pmf(k, 0.2).exp();
            assert_relative(&format!("Poisson to {k}"), poisson_cdf(k, 4.5), poisson, 1e-14);
            assert_relative(&format!("Binomial to {k}"), binomial_cdf(k, 12.0, 0.35), binomial, 1e-14);
            assert_relative(&format!("Geometric to {k}"), geometric_cdf(k, 0.2), geometric, 1e-14);
        }
        assert_relative("all of it", binomial, 1.0, 1e-14);
        assert_eq!(poisson_cdf(3.7, 4.5), poisson_cdf(3.0, 4.5));
    }

    #[test]
    fn degenerate_distributions_have_their_point_mass() {
        let inf = f64::INFINITY;
        assert_eq!((poisson_log_pmf(0.0, 0.0), poisson_log_pmf(1.0, 0.0), poisson_cdf(0.0, 0.0)), (0.0, -inf, 1.0));
        assert_eq!(
            (binomial_log_pmf(0.0, 5.0, 0.0), binomial_log_pmf(1.0, 5.0, 0.0), binomial_cdf(0.0, 5.0, 0.0)),
            (0.0, -inf, 1.0)
        );
        assert_eq!((binomial_log_pmf(5.0, 5.0, 1.0), binomial_log_pmf(4.0, 5.0, 1.0)), (0.0, -inf));
        assert_eq!((binomial_cdf(4.0, 5.0, 1.0), binomial_cdf(5.0, 5.0, 1.0)), (0.0, 1.0));
        assert_eq!((binomial_log_pmf(0.0, 0.0, 0.3), binomial_cdf(0.0, 0.0, 0.3)), (0.0, 1.0));
        assert_eq!(
            (geometric_log_pmf(0.0, 1.0), geometric_log_pmf(1.0, 1.0), geometric_cdf(0.0, 1.0)),
            (0.0, -inf, 1.0)
        );
        assert_eq!((geometric_log_pmf(3.0, 0.0), geometric_cdf(3.0, 0.0)), (-inf, 0.0));
    }

    /// ln P(X = k) of negative binomial variates whose probability underflows, by its log-odds; from mpmath at 700 digits.
    #[test]
    fn the_probability_may_underflow() {
        for (k, r, logit, expected) in [
            (9.6e283, 5.2e-222, -1162.5, -1_163.418_576_434_879_5),
            (9.6e283, 2.4e-271, -1162.5, -1_277.018_435_879_821_2),
            (1e100, 3.5, -800.0, -2_225.554_700_353_836),
            (1e3, 2.5, -720.0, -1_789.921_176_200_829),
            (7.0, 1e3, 760.0, -5_280.149_919_761_756),
            (2e254, 1e250, -770.0, -7.590_964_874_478_805e252),
        ] {
            let found = negative_binomial_log_pmf_by_logit(k, r, logit);
            assert!((found / expected - 1.0).abs() < 1e-13, "{k:e}, {r:e}, {logit}: {found:e}");
        }
    }

    /// ln P(X = k) of negative binomial variates whose number of trials is beyond the range of numbers; from mpmath at
    /// 700 digits.
    #[test]
    fn the_number_of_trials_may_overflow() {
        for (k, r, p, expected) in [
            (1e308, 1.7e308, 0.5, -9.178_562_718_977_684e306),
            (f64::MAX, 1e300, 1e-8, -2.111_888_898_515_130_6e299),
            (1.5e308, 1.5e308, 0.25, -4.315_231_086_776_714e307),
            (1.34e300, f64::MAX, 0.028125, f64::NEG_INFINITY),
        ] {
            let found = negative_binomial_log_pmf(k, r, p);
            assert!(found == expected || (found / expected - 1.0).abs() < 1e-12, "{k:e}, {r:e}, {p}: {found:e}");
            let logit = (p / (1.0 - p)).ln();
            let other = negative_binomial_log_pmf_by_logit(k, r, logit);
            assert!(other == found || (other / found - 1.0).abs() < 1e-8, "{k:e}, {r:e}, {p}: {other:e}");
        }
    }

    #[test]
    fn values_outside_the_support_have_no_mass() {
        let inf = f64::INFINITY;
        for k in [-1.0, 0.5, inf, -inf] {
            assert_eq!(
                (poisson_log_pmf(k, 2.0), binomial_log_pmf(k, 3.0, 0.5), geometric_log_pmf(k, 0.5)),
                (-inf, -inf, -inf)
            );
        }
        assert_eq!(binomial_log_pmf(4.0, 3.0, 0.5), -inf);
        for (k, expected) in [(-0.5, 0.0), (-inf, 0.0), (inf, 1.0)] {
            assert_eq!(
                (poisson_cdf(k, 2.0), binomial_cdf(k, 3.0, 0.5), geometric_cdf(k, 0.5)),
                (expected, expected, expected)
            );
        }
    }

    #[test]
    fn bad_parameters_give_nan() {
        let nan = f64::NAN;
        for (k, rate) in [(1.0, -1.0), (1.0, f64::INFINITY), (1.0, nan), (nan, 1.0)] {
            assert!(poisson_cdf(k, rate).is_nan() && poisson_log_pmf(k, rate).is_nan());
        }
        for (k, n, p) in [(1.0, 2.5, 0.5), (1.0, -2.0, 0.5), (1.0, 2.0, 1.5), (1.0, 2.0, nan), (nan, 2.0, 0.5)] {
            assert!(binomial_cdf(k, n, p).is_nan() && binomial_log_pmf(k, n, p).is_nan());
        }
        for (k, p) in [(1.0, -0.5), (1.0, 1.5), (nan, 0.5), (1.0, nan)] {
            assert!(geometric_cdf(k, p).is_nan() && geometric_log_pmf(k, p).is_nan());
        }
    }

    #[test]
    fn never_nan_inside_the_domain() {
        for k in POSITIVE.map(f64::floor) {
            for other in POSITIVE {
                assert!((0.0..=1.0).contains(&poisson_cdf(k, other)), "{k:e}; {other:e}");
                assert!(poisson_log_pmf(k, other) <= 0.0, "{k:e}; {other:e}");
                for p in PROBABILITIES {
                    let n = other.ceil();
                    assert!(binomial_log_pmf(k, n, p) <= 1e-9, "{k:e}; {n:e}, {p:e}");
                    assert!(n > 1e9 || (0.0..=1.0).contains(&binomial_cdf(k, n, p)), "{k:e}; {n:e}, {p:e}");
                }
            }
            for p in PROBABILITIES {
                assert!((0.0..=1.0).contains(&geometric_cdf(k, p)) && geometric_log_pmf(k, p) <= 0.0, "{k:e}; {p:e}");
            }
        }
    }
}
