//! Quantiles of distributions of counts.

use super::counts::{
    binomial_cdf, binomial_log_pmf, negative_binomial_cdf, negative_binomial_log_pmf, poisson_cdf, poisson_log_pmf,
    skellam_cdf,
};
use super::incomplete_gamma::gamma_p_inverse;
use super::normal::normal_icdf;
use super::numeric::{inside, is_count, is_natural, is_positive, is_probability, iterate, single, where_any};
use super::skellam_tail::LARGE_VARIANCE;
use crate::lowering::builder::Value;

/// For distributions with a mean below this value, the search starts at 0.
const NEAR: f64 = 30.0;

/// Below this probability, a sum that starts at 1 and subtracts has too few digits left.
const FAR_TAIL: f64 = 1e-6;

/// A search downwards subtracts. Below this share of the value at its start, it would have lost three digits.
const LOST: f64 = 1e-3;

/// From here on, neighbouring counts are the same floating-point number.
pub(super) const DENSE: f64 = (1_u64 << 53) as f64;

/// Below this probability of a success, the count is p^−1 times a gamma variate to rounding.
pub(super) const LIMIT: f64 = 1e-16;

/// The largest number of steps of a search.
const STEPS: usize = 500;

/// Whether a value of a distribution function is at least the probability, up to its error.
fn reaches<'b>(cdf: Value<'b>, u: Value<'b>) -> Value<'b> {
    cdf.ge(u - (u.min(1.0 - u) * 1e-12 + u * (32.0 * f64::EPSILON)))
}

/// The start of a search: a count, and the distribution function and the probability at that count.
type Start<'b> = [Value<'b>; 3];

/// The smallest count whose distribution function is at least u. `up` is the ratio of the probabilities of k + 1 and k,
/// `down` that of k − 1 and k. `cdf` is used if the search would take too many steps.
fn quantile<'b>(
    u: Value<'b>,
    wanted: Value<'b>,
    [at, sum, pmf]: Start<'b>,
    up: impl FnOnce(Value<'b>) -> Value<'b>,
    down: impl FnOnce(Value<'b>) -> Value<'b>,
    cdf: impl FnOnce(Value<'b>) -> Value<'b>,
) -> Value<'b> {
    let lost = at.gt(0.0) & u.lt(sum * LOST);
    let open = wanted & !lost;
    let falls = reaches(sum, u);
    let found = u.fill_truth(false);
    let [at, sum, pmf, found] = iterate(STEPS, open & falls, [at, sum, pmf, found], |_, [at, sum, pmf, _]| {
        let below = sum - pmf;
        let found = at.equal(0.0) | !reaches(below, u);
        let stay = |own: Value<'b>, next: Value<'b>| found.select(own, next);
        ([stay(at, at - 1.0), stay(sum, below), stay(pmf, pmf * down(at)), found], !found)
    });
    let [at, _, _, found] = iterate(STEPS, open & !falls, [at, sum, pmf, found], |_, [at, sum, pmf, _]| {
        let pmf = pmf * up(at);
        let next = sum + pmf;
        // The remaining mass is below the rounding error of the sum.
        let found = reaches(next, u) | (next.equal(sum) & sum.gt(0.5));
        ([at + 1.0, next, pmf, found], !found)
    });
    let missing = wanted & !found;
    let [bisected] = where_any(missing, || [bisect(u, at, 0.0, missing, cdf)]);
    missing.select(bisected, at)
}

/// The smallest integer k ≥ `lowest` whose distribution function is at least u, for u < 1.
fn bisect<'b>(
    u: Value<'b>,
    guess: Value<'b>,
    lowest: f64,
    wanted: Value<'b>,
    cdf: impl FnOnce(Value<'b>) -> Value<'b>,
) -> Value<'b> {
    // An approximation from moments may overflow.
    let guess = guess.is_finite().select(guess, lowest.max(0.0));
    first_reached(guess, wanted, |k| k.ge(lowest) & reaches(cdf(k), u))
}

/// The smallest integer for which a monotone condition holds, by doubling a bracket around the guess, and bisection.
pub(super) fn first_reached<'b>(
    guess: Value<'b>,
    wanted: Value<'b>,
    reached: impl FnOnce(Value<'b>) -> Value<'b>,
) -> Value<'b> {
    // Which question the next evaluation answers: the guess itself, the next end of the bracket, or its middle. A
    // function that occurs once takes a fraction of the time to compile.
    const GUESS: f64 = 0.0;
    const BRACKET: f64 = 1.0;
    const MIDDLE: f64 = 2.0;
    let step = (guess.abs() * f64::EPSILON).max(1.0);
    let state = [guess - step, guess + step, step, guess.fill(GUESS), guess.fill_truth(false)];
    let [_, high, ..] = iterate(3300, wanted, state, |_, [low, high, step, stage, falls]| {
        let (first, second) = (stage.equal(GUESS), stage.equal(BRACKET));
        let middle = (low + (high - low) * 0.5).floor();
        let end = falls.select(low, high);
        let hit = reached(first.select(guess, second.select(end, middle)));
        let falls = first.select(hit, falls);
        // Beyond 1e300, neighbouring counts are the same float.
        let grows = second & ((falls & hit) | (!falls & !hit & high.lt(1e300)));
        let double = step * 2.0;
        let inside = middle.gt(low) & middle.lt(high);
        let third = stage.equal(MIDDLE);
        let next_low = first.select(
            falls.select(low, guess),
            grows.select(falls.select(low - double, high), (third & inside & !hit).select(middle, low)),
        );
        let next_high = first.select(
            falls.select(guess, high),
            grows.select(falls.select(low, high + double), (third & inside & hit).select(middle, high)),
        );
        let next_stage = (first | grows).choose(stage.element(), BRACKET, MIDDLE);
        ([next_low, next_high, grows.select(double, step), next_stage, falls], !third | inside)
    });
    high
}

/// An approximation of the quantile from the mean, the standard deviation and the skewness.
pub(super) fn cornish_fisher<'b>(
    u: Value<'b>,
    mean: Value<'b>,
    deviation: Value<'b>,
    skewness: Value<'b>,
) -> Value<'b> {
    let z = normal_icdf(u);
    mean + deviation * (z + skewness * (z * z - 1.0) / 6.0)
}

/// The quantile of the Poisson distribution.
pub(crate) fn poisson_icdf<'b>(u: Value<'b>, rate: Value<'b>) -> Value<'b> {
    single("poisson_icdf", [u, rate], |[u, rate]| {
        let valid = is_probability(u) & is_natural(rate);
        let zero = u.equal(0.0) | rate.equal(0.0);
        let ordinary = valid & !zero & u.lt(1.0);
        let far = ordinary & rate.ge(NEAR);
        let none = (-rate).exp();
        let start = where_any(far, || {
            let root = rate.sqrt();
            let at = cornish_fisher(u, rate, root, 1.0 / root).floor().max(0.0);
            [at, poisson_cdf(at, rate), poisson_log_pmf(at, rate).exp()]
        });
        let dense = far & start[0].ge(DENSE);
        let near = [u.fill(0.0), none, none];
        let start = std::array::from_fn(|i| far.select(start[i], near[i]));
        let found = quantile(u, ordinary & !dense, start, |k| rate / (k + 1.0), |k| k / rate, |k| poisson_cdf(k, rate));
        inside(valid, zero.select(0.0, u.equal(1.0).select(f64::INFINITY, found)))
    })
}

/// The quantile of the binomial distribution.
pub(crate) fn binomial_icdf<'b>(u: Value<'b>, n: Value<'b>, p: Value<'b>) -> Value<'b> {
    single("binomial_icdf", [u, n, p], |[u, n, p]| {
        let valid = is_probability(u) & is_count(n) & is_probability(p);
        let (zero, all) = (u.equal(0.0) | p.equal(0.0), u.equal(1.0) | p.equal(1.0));
        let ordinary = valid & !zero & !all;
        let q = 1.0 - p;
        let from_zero = p.le(0.5) & (n * p).lt(NEAR);
        let from_all = p.gt(0.5) & (n * q).lt(NEAR) & u.gt(FAR_TAIL);
        let far = ordinary & !from_zero & !from_all;
        let none = (n * (-p).log1p()).exp();
        let deviation = (n * p * q).sqrt();
        let middle = where_any(far, || {
            let guess = cornish_fisher(u, n * p, deviation, (q - p) / deviation);
            let at = guess.floor().max(0.0).min(n);
            [at, binomial_cdf(at, n, p), binomial_log_pmf(at, n, p).exp()]
        });
        // Close to the number of trials, the distribution is not a normal one.
        let dense = far & middle[0].ge(DENSE) & deviation.ge(1e6);
        let (first, last) = ([u.fill(0.0), none, none], [n, u.fill(1.0), (n * p.ln()).exp()]);
        let start = std::array::from_fn(|i| from_zero.select(first[i], from_all.select(last[i], middle[i])));
        let (odds, against) = (p / q, q / p);
        let found = quantile(
            u,
            ordinary & !dense,
            start,
            |k| (n - k) / (k + 1.0) * odds,
            |k| k / (n - k + 1.0) * against,
            |k| binomial_cdf(k, n, p),
        );
        inside(valid, zero.select(0.0, all.select(n, found.min(n))))
    })
}

/// The quantile of the number of failures before the r-th success.
pub(crate) fn negative_binomial_icdf<'b>(u: Value<'b>, r: Value<'b>, p: Value<'b>) -> Value<'b> {
    single("negative_binomial_icdf", [u, r, p], |[u, r, p]| {
        let valid = is_probability(u) & is_positive(r) & p.gt(0.0) & p.le(1.0);
        let zero = u.equal(0.0) | p.equal(1.0);
        let ordinary = valid & !zero & u.lt(1.0);
        let q = 1.0 - p;
        let mean = r * q / p;
        let far = ordinary & mean.ge(NEAR);
        let none = (r * p.ln()).exp();
        // With few successes the distribution is close to a gamma distribution, and far from a normal one. The variance
        // of a normal approximation may overflow.
        let variance = mean / p;
        let by_gamma = far & (r.lt(NEAR) | variance.equal(f64::INFINITY));
        let [gamma] = where_any(by_gamma, || [gamma_p_inverse(r, u) * q / p]);
        let start = where_any(far, || {
            let normal = cornish_fisher(u, mean, variance.sqrt(), (q + 1.0) / (r * q).sqrt());
            let at = by_gamma.select(gamma, normal).floor().max(0.0);
            [at, negative_binomial_cdf(at, r, p), negative_binomial_log_pmf(at, r, p).exp()]
        });
        let dense = far & start[0].ge(DENSE) & (r.ge(DENSE) | p.lt(LIMIT));
        let near = [u.fill(0.0), none, none];
        let start = std::array::from_fn(|i| far.select(start[i], near[i]));
        let found = quantile(
            u,
            ordinary & !dense,
            start,
            |k| (k + r) / (k + 1.0) * q,
            |k| k / ((k - 1.0 + r) * q),
            |k| negative_binomial_cdf(k, r, p),
        );
        inside(valid, zero.select(0.0, u.equal(1.0).select(f64::INFINITY, found)))
    })
}

/// The quantile of the difference of two independent Poisson variates.
pub(crate) fn skellam_icdf<'b>(u: Value<'b>, rate_up: Value<'b>, rate_down: Value<'b>) -> Value<'b> {
    single("skellam_icdf", [u, rate_up, rate_down], |[u, rate_up, rate_down]| {
        let valid = is_probability(u) & is_positive(rate_up) & is_positive(rate_down);
        // Their sum must not overflow.
        let (up, down) = (rate_up.min(1e306), rate_down.min(1e306));
        let variance = up + down;
        let skewness = (up - down) / (variance * variance.sqrt());
        let guess = cornish_fisher(u, up - down, variance.sqrt(), skewness).floor();
        let dense = guess.abs().ge(DENSE) & variance.ge(LARGE_VARIANCE * LARGE_VARIANCE);
        let wanted = valid & u.gt(0.0) & u.lt(1.0) & !dense;
        let found = bisect(u, guess, f64::NEG_INFINITY, wanted, |k| skellam_cdf(k, up, down));
        let value = dense.select(guess, found);
        let value = u.equal(0.0).select(f64::NEG_INFINITY, u.equal(1.0).select(f64::INFINITY, value));
        inside(valid, value)
    })
}
