//! The entropy of the binomial distribution, and its derivative with respect to the log-odds.
//!
//! Up to a variance of a million the entropy is a sum over the counts with a non-negligible probability. Beyond it, the
//! leading terms of Stirling's series are accurate to the last digit.

use super::counts::{binomial_log_pmf, binomial_log_pmf_by_logit, is_count, is_probability};
use super::logistic::sigmoid;
use std::f64::consts::{E, PI};

/// The series is accurate to the last digit for variances above this value.
const LARGE_VARIANCE: f64 = 1e6;

/// Counts that are farther from the mean than this number of standard deviations, plus this number of counts, are
/// negligible.
const REACH: (f64, f64) = (10.0, 60.0);

/// The entropy of the number of successes in n trials of probability p, and its derivative with respect to the
/// log-odds.
///
/// Domain: counts n and 0 <= p <= 1; anything else gives NaN. Error of the entropy below 1e-12 * max(1, |result|), of
/// the derivative below 1e-11.
///
/// ```
/// # use stochgrad_tensor::special::binomial_entropy;
/// assert!((binomial_entropy(1.0, 0.5).0 - 2.0_f64.ln()).abs() < 1e-15);
/// ```
pub fn binomial_entropy(n: f64, p: f64) -> (f64, f64) {
    if !(is_count(n) && is_probability(p)) {
        return (f64::NAN, f64::NAN);
    }
    if p > 0.5 {
        // The distribution of the failures, whose mean is small enough for steps of one count.
        let (entropy, slope) = binomial_entropy(n, 1.0 - p);
        return (entropy, -slope);
    }
    entropy(n, p, 1.0 - p, |k| binomial_log_pmf(k, n, p))
}

/// As [`binomial_entropy`], with the probability given by its log-odds.
pub fn binomial_entropy_by_logit(n: f64, logit: f64) -> (f64, f64) {
    if !is_count(n) || logit.is_nan() {
        return (f64::NAN, f64::NAN);
    }
    if logit > 0.0 {
        let (entropy, slope) = binomial_entropy_by_logit(n, -logit);
        return (entropy, -slope);
    }
    entropy(n, sigmoid(logit), sigmoid(-logit), |k| binomial_log_pmf_by_logit(k, n, logit))
}

fn entropy(n: f64, p: f64, q: f64, log_pmf: impl Fn(f64) -> f64) -> (f64, f64) {
    if n * p * q > LARGE_VARIANCE { series(n, p, q) } else { sum(n, p, q, log_pmf) }
}

/// The sum over the counts around the mean, for p <= 1/2: some twenty thousand at most.
fn sum(n: f64, p: f64, q: f64, log_pmf: impl Fn(f64) -> f64) -> (f64, f64) {
    let mean = n * p;
    let reach = REACH.0 * (mean * q).sqrt() + REACH.1;
    let (mut entropy, mut fall, mut shift, mut covariance) = (0.0, 0.0, 0.0, 0.0);
    let mut k = (mean - reach).floor().max(0.0);
    let last = (mean + reach).min(n);
    let highest = log_pmf(mean.floor());
    while k <= last {
        let log = log_pmf(k);
        if log > f64::NEG_INFINITY {
            let probability = log.exp();
            entropy -= probability * log;
            fall += probability * (log - highest);
            shift += probability * (k - mean);
            covariance += probability * (log - highest) * (k - mean);
        }
        k += 1.0;
    }
    // The derivative of a probability with respect to the log-odds is the probability times k - n p. The shift of the
    // mean is only due to rounding.
    (entropy, fall * shift - covariance)
}

/// For a large variance v: ln(2 pi e v) / 2 + 1 / (3 n) - 1 / (12 v).
fn series(n: f64, p: f64, q: f64) -> (f64, f64) {
    let variance = n * p * q;
    let entropy = 0.5 * (2.0 * PI * E * variance).ln() + 1.0 / (3.0 * n) - 1.0 / (12.0 * variance);
    (entropy, (q - p) * (0.5 + 1.0 / (12.0 * variance)))
}

#[cfg(test)]
mod tests {
    use super::super::assertions::assert_near;
    use super::*;

    /// Trials, probability, entropy, and its derivative with respect to the log-odds; from mpmath at 40 digits.
    const GOLDEN: [(f64, f64, f64, f64); 7] = [
        (1.0, 0.3, 0.6108643020548935, 0.17793255068131277),
        (12.0, 0.3, 1.8729420556851765, 0.21992450472047591),
        (40.0, 0.001, 0.16929260866863207, 0.1296975453271004),
        (1000.0, 0.5, 4.179668908635269, 0.0),
        (5.0, 0.999, 0.031498246675988903, -0.026478398552410233),
        (1_000_000.0, 0.02, 6.360577037346582, 0.48000408183275515),
        (7.0, 1e-12, 1.8679577676812693e-10, 1.7979577676796143e-10),
    ];

    #[test]
    fn entropies_match_mpmath() {
        for (n, p, entropy, slope) in GOLDEN {
            for found in [binomial_entropy(n, p), binomial_entropy_by_logit(n, (p / (1.0 - p)).ln())] {
                assert_near(&format!("entropy of {n} trials of {p}"), found.0, entropy, 1e-12);
                assert_near(&format!("slope of {n} trials of {p}"), found.1, slope, 1e-12);
            }
        }
    }

    #[test]
    fn the_series_agrees_with_the_sum_where_they_meet() {
        for (n, p) in [(5e6, 0.5), (6e7, 0.02), (2e7, 0.9)] {
            let (summed, series) = (sum(n, p, 1.0 - p, |k| binomial_log_pmf(k, n, p)), series(n, p, 1.0 - p));
            assert_near("entropy", summed.0, series.0, 1e-12);
            assert_near("slope", summed.1, series.1, 1e-11);
        }
    }

    #[test]
    fn ends_and_domains() {
        assert_eq!((binomial_entropy(0.0, 0.3), binomial_entropy(9.0, 0.0)), ((0.0, 0.0), (0.0, 0.0)));
        assert_eq!(
            (binomial_entropy(9.0, 1.0), binomial_entropy_by_logit(9.0, f64::INFINITY)),
            ((0.0, 0.0), (0.0, 0.0))
        );
        assert_eq!(binomial_entropy_by_logit(9.0, f64::NEG_INFINITY), (0.0, 0.0));
        // A mean of a count that has no successor in f64.
        let far = binomial_entropy(1e20, 1.0 - 1e-14);
        assert!((far.0 - (0.5 * (2.0 * PI * E * 1e20 * (1.0 - (1.0 - 1e-14_f64))).ln())).abs() < 1e-5 && far.1 < 0.0);
        assert!((binomial_entropy(1e15, 0.5).0 - 17.99).abs() < 0.01);
        assert!(binomial_entropy(2.5, 0.5).0.is_nan() && binomial_entropy(3.0, 1.5).0.is_nan());
        assert!(binomial_entropy_by_logit(3.0, f64::NAN).1.is_nan());
    }
}
