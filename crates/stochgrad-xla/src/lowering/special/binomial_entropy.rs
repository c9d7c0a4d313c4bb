//! The entropy of the binomial distribution, and its derivative with respect to the log-odds.

use super::counts::{binomial_log_pmf, binomial_log_pmf_by_logit};
use super::logistic::sigmoid;
use super::numeric::{function, inside, is_count, is_probability, iterate};
use crate::lowering::builder::Value;
use std::f64::consts::{E, PI};

/// From this variance on, a series is used.
const LARGE_VARIANCE: f64 = 1e6;

/// The sum covers this number of standard deviations, and this number of counts, on each side of the mean.
const REACH: (f64, f64) = (10.0, 60.0);

/// The entropy and its slope.
pub(crate) fn binomial_entropy<'b>(n: Value<'b>, p: Value<'b>) -> [Value<'b>; 2] {
    function("binomial_entropy", [n, p], |[n, p]| {
        // The distribution of the failures, whose mean is small enough for steps of one count.
        let mirrored = p.gt(0.5);
        let own = mirrored.select(1.0 - p, p);
        let valid = is_count(n) & is_probability(p);
        entropy(n, [own, 1.0 - own], valid, mirrored, |k| binomial_log_pmf(k, n, own))
    })
}

/// The same, where p is given by its log-odds.
pub(crate) fn binomial_entropy_by_logit<'b>(n: Value<'b>, logit: Value<'b>) -> [Value<'b>; 2] {
    function("binomial_entropy_by_logit", [n, logit], |[n, logit]| {
        let own = -logit.abs();
        let valid = is_count(n) & !logit.is_nan();
        let p = [sigmoid(own), sigmoid(-own)];
        entropy(n, p, valid, logit.gt(0.0), |k| binomial_log_pmf_by_logit(k, n, own))
    })
}

fn entropy<'b>(
    n: Value<'b>,
    [p, q]: [Value<'b>; 2],
    valid: Value<'b>,
    mirrored: Value<'b>,
    log_pmf: impl Fn(Value<'b>) -> Value<'b>,
) -> [Value<'b>; 2] {
    let variance = n * p * q;
    let large = variance.gt(LARGE_VARIANCE);
    let by_series = {
        let entropy = (variance * (2.0 * PI * E)).ln() * 0.5 + 1.0 / (n * 3.0) - 1.0 / (variance * 12.0);
        [entropy, (q - p) * (1.0 / (variance * 12.0) + 0.5)]
    };
    let mean = n * p;
    let reach = variance.sqrt() * REACH.0 + REACH.1;
    let first = (mean - reach).floor().max(0.0);
    let last = (mean + reach).min(n);
    let highest = log_pmf(mean.floor());
    let zero = n.fill(0.0);
    let start = [first, zero, zero, zero, zero];
    // At most 2 (10 · 1000 + 60) counts, and one.
    let wanted = valid & !large & first.le(last);
    let [_, entropy, fall, shift, covariance] =
        iterate(20_200, wanted, start, |_, [k, entropy, fall, shift, covariance]| {
            let log = log_pmf(k);
            let possible = log.gt(f64::NEG_INFINITY);
            let probability = log.exp();
            let [log, height] = [log, log - highest].map(|value| possible.select(value, 0.0));
            let distance = k - mean;
            let next = k + 1.0;
            let sums = [
                next,
                entropy - probability * log,
                fall + probability * height,
                shift + probability * distance,
                covariance + probability * height * distance,
            ];
            (sums, next.le(last))
        });
    // The derivative of a probability with respect to the log-odds is the probability times k − n p. The shift of the
    // mean is only due to rounding.
    let sums = [entropy, fall * shift - covariance];
    let [entropy, slope]: [Value<'b>; 2] = std::array::from_fn(|i| large.select(by_series[i], sums[i]));
    [inside(valid, entropy), inside(valid, mirrored.select(-slope, slope))]
}
