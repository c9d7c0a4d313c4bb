//! Quantiles of distributions of counts.
//!
//! A search starts at a count where the distribution function is known, and moves by one count at a time; each step
//! multiplies the probability by the ratio of two neighbouring probabilities. If most of the mass is near 0, the search
//! starts at 0 and needs no special function. Otherwise it starts at the Cornish-Fisher approximation (1938), which is
//! one or two steps away. A search that takes too many steps is replaced by bisection.

use super::counts::{
    binomial_cdf, binomial_log_pmf, is_count, is_probability, negative_binomial_cdf, negative_binomial_log_pmf,
    poisson_cdf, poisson_log_pmf, skellam_cdf,
};
use super::incomplete_gamma::gamma_p_inverse;
use super::normal::normal_icdf;
use super::skellam_tail::LARGE_VARIANCE;

/// For distributions with a mean below this value, the search starts at 0.
const NEAR: f64 = 30.0;

/// Below this probability, a sum that starts at 1 and subtracts has too few digits left.
const FAR_TAIL: f64 = 1e-6;

/// A search downwards subtracts. Below this share of the value at its start, it would have lost three digits.
const LOST: f64 = 1e-3;

/// From here on, neighbouring counts are the same floating-point number, and the approximation of Cornish and Fisher is
/// exact to rounding.
pub(super) const DENSE: f64 = (1_u64 << 53) as f64;

/// Below this probability of a success, 1 - p is 1 to rounding, and the count is p^-1 times a gamma variate to rounding
/// where neighbouring counts are the same floating-point number.
pub(super) const LIMIT: f64 = 1e-16;

/// The largest number of steps of a search.
const STEPS: usize = 500;

/// Whether a value of a distribution function is at least the probability. The tolerance is the error of distribution
/// functions relative to the smaller tail, plus the rounding of sums. With it, the quantile of the value at k is k.
fn reaches(cdf: f64, u: f64) -> bool {
    cdf >= u - (1e-12 * u.min(1.0 - u) + 32.0 * f64::EPSILON * u)
}

/// The start of a search: a count, and the distribution function and the probability at that count.
struct Start {
    at: f64,
    cdf: f64,
    pmf: f64,
}

/// The smallest count whose distribution function is at least u. `up` is the ratio of the probabilities of k + 1 and k,
/// `down` that of k − 1 and k. `cdf` is used if the search would take too many steps.
fn quantile(u: f64, start: Start, up: impl Fn(f64) -> f64, down: impl Fn(f64) -> f64, cdf: impl Fn(f64) -> f64) -> f64 {
    let Start { mut at, cdf: mut sum, mut pmf } = start;
    if at > 0.0 && u < LOST * sum {
        return bisect(u, at, 0.0, cdf);
    }
    if reaches(sum, u) {
        for _ in 0..STEPS {
            let below = sum - pmf;
            if at == 0.0 || !reaches(below, u) {
                return at;
            }
            pmf *= down(at);
            sum = below;
            at -= 1.0;
        }
    } else {
        for _ in 0..STEPS {
            pmf *= up(at);
            at += 1.0;
            let next = sum + pmf;
            // The remaining mass is below the rounding error of the sum.
            if reaches(next, u) || (next == sum && sum > 0.5) {
                return at;
            }
            sum = next;
        }
    }
    bisect(u, at, 0.0, cdf)
}

/// The smallest integer k >= `lowest` whose distribution function is at least u, for u < 1.
fn bisect(u: f64, guess: f64, lowest: f64, cdf: impl Fn(f64) -> f64) -> f64 {
    // An approximation from moments may overflow.
    let guess = if guess.is_finite() { guess } else { lowest.max(0.0) };
    first_reached(guess, |k| k >= lowest && reaches(cdf(k), u))
}

/// The smallest integer for which a monotone condition holds. The bracket around the guess, at first the distance of
/// the neighbouring counts, is doubled until it contains the result, and then bisected.
///
/// Doubling and bisection take some two thousand steps at most: the range of f64.
pub(super) fn first_reached(guess: f64, reached: impl Fn(f64) -> bool) -> f64 {
    let mut step = (guess.abs() * f64::EPSILON).max(1.0);
    let (mut low, mut high) = (guess - step, guess);
    if reached(guess) {
        while reached(low) {
            high = low;
            step *= 2.0;
            low = high - step;
        }
    } else {
        low = guess;
        high = guess + step;
        // Beyond this value, neighbouring counts are the same float.
        while !reached(high) && high < 1e300 {
            low = high;
            step *= 2.0;
            high = low + step;
        }
    }
    loop {
        let middle = (low + 0.5 * (high - low)).floor();
        if middle <= low || middle >= high {
            return high;
        }
        if reached(middle) { high = middle } else { low = middle }
    }
}

/// An approximation of the quantile from the mean, the standard deviation and the skewness.
pub(super) fn cornish_fisher(u: f64, mean: f64, deviation: f64, skewness: f64) -> f64 {
    let z = normal_icdf(u);
    mean + deviation * (z + skewness * (z * z - 1.0) / 6.0)
}

/// The smallest k with P(X <= k) >= u for X ~ Poisson(rate).
///
/// Domain: 0 <= u <= 1, finite rate >= 0; anything else gives NaN. u = 1 gives infinity unless the rate is 0. The
/// result is monotone in u, and exact up to rounding of the distribution function.
///
/// ```
/// # use stochgrad_tensor::special::poisson_icdf;
/// assert_eq!((poisson_icdf(0.3, 1.0), poisson_icdf(0.4, 1.0), poisson_icdf(0.5, 1e9)), (0.0, 1.0, 1e9));
/// ```
pub fn poisson_icdf(u: f64, rate: f64) -> f64 {
    if !(is_probability(u) && (0.0..f64::INFINITY).contains(&rate)) {
        return f64::NAN;
    }
    if u == 0.0 || rate == 0.0 {
        return 0.0;
    }
    if u == 1.0 {
        return f64::INFINITY;
    }
    let start = if rate < NEAR {
        let none = (-rate).exp();
        Start { at: 0.0, cdf: none, pmf: none }
    } else {
        let at = cornish_fisher(u, rate, rate.sqrt(), 1.0 / rate.sqrt()).floor().max(0.0);
        if at >= DENSE {
            return at;
        }
        Start { at, cdf: poisson_cdf(at, rate), pmf: poisson_log_pmf(at, rate).exp() }
    };
    quantile(u, start, |k| rate / (k + 1.0), |k| k / rate, |k| poisson_cdf(k, rate))
}

/// The smallest k with P(X <= k) >= u for X ~ Binomial(n, p).
///
/// Domain: 0 <= u <= 1, n a finite count, 0 <= p <= 1; anything else gives NaN. The result is monotone in u, and exact
/// up to rounding of the distribution function.
///
/// ```
/// # use stochgrad_tensor::special::binomial_icdf;
/// assert_eq!((binomial_icdf(0.25, 2.0, 0.5), binomial_icdf(0.26, 2.0, 0.5)), (0.0, 1.0));
/// assert_eq!(binomial_icdf(1.0, 2.0, 0.5), 2.0);
/// ```
pub fn binomial_icdf(u: f64, n: f64, p: f64) -> f64 {
    if !(is_probability(u) && is_count(n) && is_probability(p)) {
        return f64::NAN;
    }
    if u == 0.0 || p == 0.0 {
        return 0.0;
    }
    if u == 1.0 || p == 1.0 {
        return n;
    }
    let q = 1.0 - p;
    let start = if p <= 0.5 && n * p < NEAR {
        let none = (n * (-p).ln_1p()).exp();
        Start { at: 0.0, cdf: none, pmf: none }
    } else if p > 0.5 && n * q < NEAR && u > FAR_TAIL {
        Start { at: n, cdf: 1.0, pmf: (n * p.ln()).exp() }
    } else {
        let deviation = (n * p * q).sqrt();
        let at = cornish_fisher(u, n * p, deviation, (q - p) / deviation).floor().clamp(0.0, n);
        // Close to the number of trials, the distribution is not a normal one.
        if at >= DENSE && deviation >= 1e6 {
            return at;
        }
        Start { at, cdf: binomial_cdf(at, n, p), pmf: binomial_log_pmf(at, n, p).exp() }
    };
    let (odds, against) = (p / q, q / p);
    let up = |k: f64| (n - k) / (k + 1.0) * odds;
    quantile(u, start, up, |k| k / (n - k + 1.0) * against, |k| binomial_cdf(k, n, p)).min(n)
}

/// The smallest k with P(X <= k) >= u for the number X of failures before the r-th success.
///
/// Domain: 0 <= u <= 1, finite r > 0, 0 < p <= 1; anything else gives NaN. u = 1 gives infinity unless p = 1. The
/// result is monotone in u, and exact up to rounding of the distribution function.
///
/// ```
/// # use stochgrad_tensor::special::negative_binomial_icdf;
/// assert_eq!((negative_binomial_icdf(0.25, 2.0, 0.5), negative_binomial_icdf(0.26, 2.0, 0.5)), (0.0, 1.0));
/// ```
pub fn negative_binomial_icdf(u: f64, r: f64, p: f64) -> f64 {
    negative_binomial_quantiles(r, p)(u)
}

/// [`negative_binomial_icdf`] as a function of u. What does not depend on u is computed once, for many quantiles of one
/// distribution; the results are the same to the bit.
///
/// ```
/// # use stochgrad_tensor::special::negative_binomial_quantiles;
/// assert_eq!([0.25, 0.26].map(negative_binomial_quantiles(2.0, 0.5)), [0.0, 1.0]);
/// ```
pub fn negative_binomial_quantiles(r: f64, p: f64) -> impl Fn(f64) -> f64 + Sync {
    let in_domain = r > 0.0 && r < f64::INFINITY && p > 0.0 && p <= 1.0;
    let q = 1.0 - p;
    let mean = r * q / p;
    let none = if mean < NEAR { (r * p.ln()).exp() } else { 0.0 };
    move |u| {
        if !(is_probability(u) && in_domain) {
            return f64::NAN;
        }
        if u == 0.0 || p == 1.0 {
            return 0.0;
        }
        if u == 1.0 {
            return f64::INFINITY;
        }
        let start = if mean < NEAR {
            Start { at: 0.0, cdf: none, pmf: none }
        } else {
            // With few successes the distribution is close to a gamma distribution, and far from a normal one. The
            // variance of a normal approximation may overflow.
            let variance = mean / p;
            let guess = if r < NEAR || variance == f64::INFINITY {
                gamma_p_inverse(r, u) * q / p
            } else {
                cornish_fisher(u, mean, variance.sqrt(), (1.0 + q) / (r * q).sqrt())
            };
            let at = guess.floor().max(0.0);
            if at >= DENSE && (r >= DENSE || p < LIMIT) {
                return at;
            }
            Start { at, cdf: negative_binomial_cdf(at, r, p), pmf: negative_binomial_log_pmf(at, r, p).exp() }
        };
        let down = |k: f64| k / ((k - 1.0 + r) * q);
        quantile(u, start, |k| (k + r) / (k + 1.0) * q, down, |k| negative_binomial_cdf(k, r, p))
    }
}

/// The smallest k with P(X <= k) >= u for the difference X of two independent Poisson variates.
///
/// Domain: 0 <= u <= 1, positive finite rates; anything else gives NaN. u = 0 gives -infinity and u = 1 gives infinity.
/// The cost is that of a few evaluations of [`skellam_cdf`].
pub fn skellam_icdf(u: f64, rate_up: f64, rate_down: f64) -> f64 {
    let positive = |rate: f64| rate > 0.0 && rate < f64::INFINITY;
    if !(is_probability(u) && positive(rate_up) && positive(rate_down)) {
        return f64::NAN;
    }
    if u == 0.0 || u == 1.0 {
        return if u == 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    // Their sum must not overflow.
    let (rate_up, rate_down) = (rate_up.min(1e306), rate_down.min(1e306));
    let variance = rate_up + rate_down;
    let skewness = (rate_up - rate_down) / (variance * variance.sqrt());
    let guess = cornish_fisher(u, rate_up - rate_down, variance.sqrt(), skewness).floor();
    if guess.abs() >= DENSE && variance >= LARGE_VARIANCE * LARGE_VARIANCE {
        return guess;
    }
    bisect(u, guess, f64::NEG_INFINITY, |k| skellam_cdf(k, rate_up, rate_down))
}

#[cfg(test)]
mod tests {
    use super::super::count_survival_quantiles::negative_binomial_inverse_survival;
    use super::*;

    const LEVELS: [f64; 13] =
        [1e-300, 1e-40, 1e-9, 1e-5, 0.01, 0.2, 0.5, 0.7, 0.95, 0.9999, 1.0 - 1e-9, 1.0 - 1e-14, 1.0 - f64::EPSILON];

    #[test]
    fn huge_counts_are_normal_and_quick() {
        let start = std::time::Instant::now();
        for scale in [1e16, 1e20, 1e100, 1e300] {
            for (z, u) in [(-1.959963984540054, 0.025), (0.0, 0.5), (1.959963984540054, 0.975)] {
                for (found, mean, deviation) in [
                    (poisson_icdf(u, scale), scale, scale.sqrt()),
                    (binomial_icdf(u, scale, 0.5), 0.5 * scale, 0.5 * scale.sqrt()),
                    (negative_binomial_icdf(u, scale, 0.5), scale, (2.0 * scale).sqrt()),
                ] {
                    let error = (found - (mean + z * deviation)).abs();
                    assert!(error <= 4.0 * f64::EPSILON * mean + 1.0, "{scale:e}, {u}: {found:e}");
                }
            }
        }
        // Counts whose variance, and mostly whose mean, is beyond the range of numbers.
        for (r, p) in [(1e4, 1e-300), (1e10, 1e-300), (1e16, 1e-300), (1e300, 4e-18), (1e308, 0.1)] {
            for u in [1e-300, 0.025, 0.5, 0.975] {
                let found = [negative_binomial_icdf(u, r, p), negative_binomial_inverse_survival(u, r, p)];
                assert!(found.iter().all(|&k| k > 1e303), "{r:e}, {p:e} at {u:e}: {found:?}");
            }
        }
        assert!(start.elapsed().as_secs() < 5);
    }

    /// The quantile is the smallest count that reaches the level, and the quantile of the distribution function at a
    /// count is that count.
    fn assert_inverse(what: &str, lowest: f64, icdf: impl Fn(f64) -> f64, cdf: impl Fn(f64) -> f64) {
        let mut last = f64::NEG_INFINITY;
        for u in LEVELS {
            let k = icdf(u);
            assert!(k >= last && k >= lowest && k == k.floor(), "{what}: {k} at {u:e}, after {last}");
            // The rounding errors of the distribution function, and of sums that approach 1.
            let slack = 1e-11 * u.min(1.0 - u) + 3e-14 * u;
            assert!(cdf(k) >= u - slack, "{what}: {k} at {u:e} has {:e}", cdf(k));
            assert!(k == lowest || cdf(k - 1.0) <= u + slack, "{what}: {k} at {u:e}, but {:e} below", cdf(k - 1.0));
            let (below, above) = (cdf(k - 1.0), cdf(k));
            if above < 0.999 && above - below > 1e-9 * above {
                assert_eq!(icdf(above), k, "{what}: at its own value {above:e}");
            }
            last = k;
        }
    }

    /// With a small probability of a success, the count is a gamma variate; where the rates are huge, it is normal.
    #[test]
    fn dense_counts_are_quick_and_follow_their_limits() {
        let start = std::time::Instant::now();
        let near =
            |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-12, "{found:e}, {expected:e}");
        for _ in 0..300 {
            for p in [1e-300, 1e-100, 1e-17] {
                // (u Γ(7/2))^(2/5) / p, and the survival function e^(−kp) of one success.
                if p < 1e-90 {
                    near(negative_binomial_icdf(1e-200, 2.5, p) * p, 1.616_703_890_290_915e-80);
                }
                near(negative_binomial_icdf(0.5, 1.0, p) * p, std::f64::consts::LN_2);
                near(negative_binomial_inverse_survival(0.25, 1.0, p) * p, 2.0 * std::f64::consts::LN_2);
                assert!(negative_binomial_cdf(negative_binomial_icdf(0.9, 2.5, p), 2.5, p) >= 0.9 - 1e-12);
            }
            for scale in [1e20, 1e100, 1e300] {
                for u in [1e-300, 1e-9, 0.3, 0.999] {
                    assert!((skellam_icdf(u, scale, 1.25) / scale - 1.0).abs() < 40.0 / scale.sqrt() + 1e-15);
                    assert!(skellam_icdf(u, scale, scale).abs() < 60.0 * scale.sqrt());
                }
            }
        }
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }

    #[test]
    fn quantiles_invert_distribution_functions() {
        for rate in [1e-12, 0.3, 4.0, 29.9, 30.1, 1e3, 1e6, 1e9] {
            assert_inverse(&format!("Poisson {rate}"), 0.0, |u| poisson_icdf(u, rate), |k| poisson_cdf(k, rate));
        }
        for (n, p) in [
            (1.0, 0.3),
            (7.0, 0.3),
            (30.0, 0.8),
            (59.0, 1.0 - 1e-14),
            (100.0, 0.5),
            (1e4, 0.999),
            (1e6, 0.2),
            (1e9, 0.5),
            (1e9, 1e-9),
        ] {
            let what = format!("binomial {n}, {p}");
            assert_inverse(&what, 0.0, |u| binomial_icdf(u, n, p), |k| binomial_cdf(k, n, p));
        }
        for (r, p) in
            [(2.5, 0.4), (0.7, 0.8), (1e-3, 0.5), (2.0, 1e-6), (0.05, 1e-3), (50.0, 0.1), (1e6, 0.5), (1e9, 0.5)]
        {
            let what = format!("negative binomial {r}, {p}");
            assert_inverse(&what, 0.0, |u| negative_binomial_icdf(u, r, p), |k| negative_binomial_cdf(k, r, p));
        }
        for (up, down) in [(2.5, 0.7), (1e-3, 1e-3), (900.0, 1000.0)] {
            let (icdf, cdf) = (|u| skellam_icdf(u, up, down), |k| skellam_cdf(k, up, down));
            assert_inverse(&format!("Skellam {up}, {down}"), f64::NEG_INFINITY, icdf, cdf);
        }
    }

    #[test]
    fn ends_and_domains() {
        let inf = f64::INFINITY;
        assert_eq!((poisson_icdf(0.0, 3.0), poisson_icdf(1.0, 3.0), poisson_icdf(1.0, 0.0)), (0.0, inf, 0.0));
        assert_eq!(
            (binomial_icdf(0.3, 5.0, 0.0), binomial_icdf(0.3, 5.0, 1.0), binomial_icdf(0.3, 0.0, 0.5)),
            (0.0, 5.0, 0.0)
        );
        assert_eq!((negative_binomial_icdf(1.0, 2.0, 0.5), negative_binomial_icdf(1.0, 2.0, 1.0)), (inf, 0.0));
        assert_eq!((skellam_icdf(0.0, 1.0, 1.0), skellam_icdf(1.0, 1.0, 1.0)), (-inf, inf));
        for wrong in [
            poisson_icdf(1.5, 1.0),
            poisson_icdf(0.5, -1.0),
            binomial_icdf(0.5, 2.5, 0.5),
            binomial_icdf(f64::NAN, 2.0, 0.5),
            negative_binomial_icdf(0.5, 0.0, 0.5),
            skellam_icdf(0.5, 1.0, 0.0),
        ] {
            assert!(wrong.is_nan());
        }
    }
}
