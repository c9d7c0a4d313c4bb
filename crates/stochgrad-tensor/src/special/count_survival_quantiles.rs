//! Quantiles of the survival functions of counts: as the quantiles of the distribution functions, for probabilities of
//! the upper tail, which keep their digits.

use super::beta::beta_inc_pair;
use super::count_quantiles::{DENSE, LIMIT, cornish_fisher, first_reached};
use super::counts::is_probability;
use super::incomplete_gamma::{gamma_p, gamma_q_inverse};

/// The smallest count whose survival function is at most u, up to the rounding of the survival function.
fn smallest(u: f64, guess: f64, survival: impl Fn(f64) -> f64) -> f64 {
    let most = u * (1.0 + 1e-12);
    let guess = if guess.is_finite() { guess.floor().max(0.0) } else { 0.0 };
    first_reached(guess, |k| k >= 0.0 && survival(k) <= most)
}

/// The smallest k with P(X > k) <= u for X ~ Poisson(rate).
///
/// Domain: 0 <= u <= 1, finite rate >= 0; anything else gives NaN. u = 0 gives infinity unless the rate is 0. The
/// result is monotone in u, and exact up to the error of [`gamma_p`](super::gamma_p). It takes a bounded number of
/// steps, at most two for each power of 2 between the result and its approximation.
///
/// ```
/// # use stochgrad_tensor::special::poisson_inverse_survival;
/// assert_eq!((poisson_inverse_survival(0.7, 1.0), poisson_inverse_survival(0.3, 1.0)), (0.0, 1.0));
/// assert_eq!(poisson_inverse_survival(1e-100, 1.0), 69.0);
/// ```
pub fn poisson_inverse_survival(u: f64, rate: f64) -> f64 {
    if !(is_probability(u) && (0.0..f64::INFINITY).contains(&rate)) {
        return f64::NAN;
    }
    if u == 1.0 || rate == 0.0 {
        return 0.0;
    }
    if u == 0.0 {
        return f64::INFINITY;
    }
    let guess = cornish_fisher(1.0 - u, rate, rate.sqrt(), 1.0 / rate.sqrt());
    smallest(u, guess, |k| gamma_p(k + 1.0, rate))
}

/// The smallest k with P(X > k) <= u for the number X of failures before the r-th success.
///
/// Domain: 0 <= u <= 1, finite r > 0, 0 < p <= 1; anything else gives NaN. u = 0 gives infinity unless p = 1. The
/// result is monotone in u, and exact up to the error of [`beta_inc_pair`](super::beta_inc_pair). The number of steps is
/// bounded as for [`poisson_inverse_survival`].
///
/// ```
/// # use stochgrad_tensor::special::negative_binomial_inverse_survival;
/// assert_eq!(negative_binomial_inverse_survival(0.75, 2.0, 0.5), 0.0);
/// assert_eq!(negative_binomial_inverse_survival(0.5, 2.0, 0.5), 1.0);
/// ```
pub fn negative_binomial_inverse_survival(u: f64, r: f64, p: f64) -> f64 {
    if !(is_probability(u) && r > 0.0 && r < f64::INFINITY && p > 0.0 && p <= 1.0) {
        return f64::NAN;
    }
    if u == 1.0 || p == 1.0 {
        return 0.0;
    }
    if u == 0.0 {
        return f64::INFINITY;
    }
    let q = 1.0 - p;
    // Close to a gamma distribution.
    let guess = gamma_q_inverse(r, u) * q / p;
    // Beyond the range of numbers a search would take two thousand steps.
    if guess == f64::INFINITY || (guess >= DENSE && p < LIMIT && r < DENSE) {
        return guess;
    }
    smallest(u, guess, |k| beta_inc_pair(k + 1.0, r, q, p))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [f64; 12] = [1.0 - 1e-12, 0.999, 0.9, 0.5, 0.1, 1e-3, 1e-9, 1e-17, 1e-30, 1e-100, 1e-200, 1e-300];

    fn assert_inverse(what: &str, inverse: impl Fn(f64) -> f64, survival: impl Fn(f64) -> f64) {
        let mut last = 0.0;
        for u in LEVELS {
            let k = inverse(u);
            assert!(k >= last && k == k.floor() && k < f64::INFINITY, "{what}: {k} at {u:e}, after {last}");
            assert!(survival(k) <= u * (1.0 + 2e-12), "{what}: {k} at {u:e} has {:e}", survival(k));
            assert!(k == 0.0 || survival(k - 1.0) > u, "{what}: {k} at {u:e}, but {:e} below", survival(k - 1.0));
            last = k;
        }
    }

    #[test]
    fn quantiles_invert_survival_functions() {
        for rate in [1e-12, 0.3, 4.0, 1e3, 1e6, 1e12] {
            let survival = |k: f64| gamma_p(k + 1.0, rate);
            assert_inverse(&format!("Poisson {rate}"), |u| poisson_inverse_survival(u, rate), survival);
        }
        for (r, p) in [(2.5, 0.4), (1e-3, 0.5), (2.0, 1e-6), (1e6, 0.5), (0.7, 0.999)] {
            let survival = |k: f64| beta_inc_pair(k + 1.0, r, 1.0 - p, p);
            let inverse = |u| negative_binomial_inverse_survival(u, r, p);
            assert_inverse(&format!("negative binomial {r}, {p}"), inverse, survival);
        }
    }

    #[test]
    fn ends_and_domains() {
        let inf = f64::INFINITY;
        assert_eq!((poisson_inverse_survival(0.0, 3.0), poisson_inverse_survival(1.0, 3.0)), (inf, 0.0));
        assert_eq!((poisson_inverse_survival(0.0, 0.0), negative_binomial_inverse_survival(0.0, 2.0, 1.0)), (0.0, 0.0));
        assert!(poisson_inverse_survival(-0.1, 1.0).is_nan() && poisson_inverse_survival(f64::NAN, 1.0).is_nan());
        assert!(negative_binomial_inverse_survival(0.5, 0.0, 0.5).is_nan());
    }
}
