//! The negative binomial distribution given by the log-odds of success, also where the probability of success underflows.
//!
//! The probability that at most k trials fail is then that of a gamma variate, or for a number of trials that is far
//! below the inverse of the probability the first term of the series of the incomplete beta function.

use super::beta::beta_inc_pair;
use super::count_quantiles::{first_reached, negative_binomial_quantiles};
use super::count_survival_quantiles::negative_binomial_inverse_survival;
use super::counts::is_probability;
use super::gamma_difference::log_gamma_shift;
use super::incomplete_gamma::{gamma_p_inverse, gamma_q_inverse, log_gamma_p};
use super::logistic::sigmoid;

/// Below these log-odds, products of the probability with a count below `FEW` are negligible.
const RARE: f64 = -600.0;

/// Above this value, neighbouring counts are the same floating-point number.
const FEW: f64 = 1e16;

/// For more successes than this, a count below `FEW` has a probability of zero to rounding.
const MANY: f64 = 1e6;

/// The logarithm of a gamma variate below which the first term of the series of its distribution function is exact.
const SMALL: f64 = -38.0;

fn in_domain(r: f64, logit: f64) -> bool {
    r > 0.0 && r < f64::INFINITY && logit > f64::NEG_INFINITY
}

/// ln P(X <= k) for a count k and log-odds below [`RARE`].
fn log_cdf(k: f64, r: f64, logit: f64) -> f64 {
    if k < FEW {
        if r > MANY {
            return f64::NEG_INFINITY;
        }
        return (r * logit + (log_gamma_shift(k + 1.0, r) - log_gamma_shift(1.0, r))).min(0.0);
    }
    let log = k.ln() + logit;
    if log < SMALL { (r * log - log_gamma_shift(1.0, r)).min(0.0) } else { log_gamma_p(r, log.exp()) }
}

/// The smallest count whose distribution function has at least the given logarithm, from the gamma variate at that
/// level.
fn quantile(log_level: f64, variate: f64, r: f64, logit: f64) -> f64 {
    let first = (log_level + log_gamma_shift(1.0, r)) / r;
    let log = if first < SMALL { first } else { variate.ln() } - logit;
    // More successes than f64 can count, with their logarithms, are infinitely many.
    if log.is_nan() {
        return f64::INFINITY;
    }
    if log >= FEW.ln() {
        return log.exp().floor();
    }
    let least = log_level * (1.0 + 1e-12);
    first_reached(log.exp().floor(), |k| k >= 0.0 && log_cdf(k, r, logit) >= least)
}

/// P(X <= k) for the number X of failures before the r-th success, where the probability of success is given by its
/// log-odds ln(p / (1 - p)).
///
/// Domain: finite r > 0, log-odds above -inf, and any k, rounded down; anything else gives NaN. Error as for
/// [`negative_binomial_cdf`](super::negative_binomial_cdf), also where the probability of success underflows.
pub fn negative_binomial_cdf_by_logit(k: f64, r: f64, logit: f64) -> f64 {
    if k.is_nan() || !in_domain(r, logit) {
        f64::NAN
    } else if k < 0.0 {
        0.0
    } else if k == f64::INFINITY {
        1.0
    } else if logit < RARE {
        log_cdf(k.floor(), r, logit).exp()
    } else {
        beta_inc_pair(r, k.floor() + 1.0, sigmoid(logit), sigmoid(-logit))
    }
}

/// As [`negative_binomial_icdf`](super::negative_binomial_icdf), with the probability of success given by its log-odds. A count above the range of f64
/// is infinite.
///
/// Domain: 0 <= u <= 1, finite r > 0, log-odds above -inf; anything else gives NaN.
///
/// ```
/// # use stochgrad_tensor::special::negative_binomial_icdf_by_logit;
/// assert_eq!(negative_binomial_icdf_by_logit(0.3, 2.0, 0.0), 1.0);
/// // The distribution of an exponential variate times e^700.
/// let median = negative_binomial_icdf_by_logit(0.5, 1.0, -700.0);
/// assert!((median.ln() - (700.0 + 2.0_f64.ln().ln())).abs() < 1e-12);
/// ```
pub fn negative_binomial_icdf_by_logit(u: f64, r: f64, logit: f64) -> f64 {
    negative_binomial_quantiles_by_logit(r, logit)(u)
}

/// [`negative_binomial_icdf_by_logit`] as a function of u. What does not depend on u is computed once, for many
/// quantiles of one distribution; the results are the same to the bit.
///
/// ```
/// # use stochgrad_tensor::special::negative_binomial_quantiles_by_logit;
/// assert_eq!([0.2, 0.3].map(negative_binomial_quantiles_by_logit(2.0, 0.0)), [0.0, 1.0]);
/// ```
pub fn negative_binomial_quantiles_by_logit(r: f64, logit: f64) -> impl Fn(f64) -> f64 + Sync {
    let usual = negative_binomial_quantiles(r, if logit < RARE { 0.5 } else { sigmoid(logit) });
    move |u| {
        if !in_domain(r, logit) || !is_probability(u) {
            f64::NAN
        } else if logit >= RARE || u == 0.0 || u == 1.0 {
            usual(u)
        } else {
            quantile(u.ln(), gamma_p_inverse(r, u), r, logit)
        }
    }
}

/// As [`negative_binomial_inverse_survival`], with the probability of success given by its log-odds. A count above the
/// range of f64 is infinite.
///
/// Domain: 0 <= u <= 1, finite r > 0, log-odds above -inf; anything else gives NaN.
///
/// ```
/// # use stochgrad_tensor::special::negative_binomial_inverse_survival_by_logit;
/// assert_eq!(negative_binomial_inverse_survival_by_logit(0.5, 2.0, 0.0), 1.0);
/// ```
pub fn negative_binomial_inverse_survival_by_logit(u: f64, r: f64, logit: f64) -> f64 {
    if !in_domain(r, logit) || !is_probability(u) {
        f64::NAN
    } else if logit >= RARE || u == 0.0 || u == 1.0 {
        negative_binomial_inverse_survival(u, r, if logit < RARE { 0.5 } else { sigmoid(logit) })
    } else {
        quantile((-u).ln_1p(), gamma_q_inverse(r, u), r, logit)
    }
}

#[cfg(test)]
mod tests {
    use super::super::assertions::assert_relative;
    use super::*;

    #[test]
    fn quantiles_are_continuous_where_the_methods_meet() {
        for r in [1e-3, 0.02, 0.25, 1.0, 40.0, 1e6] {
            for u in [1e-6, 0.3, 0.9, 0.999_999] {
                for inverse in [negative_binomial_icdf_by_logit, negative_binomial_inverse_survival_by_logit] {
                    let [above, below] = [RARE + 1e-9, RARE - 1e-9].map(|logit| inverse(u, r, logit));
                    // The other method allows for an error of 1e-12 of the level.
                    if above > 1e6 {
                        assert_relative(&format!("{r}, {u}"), below, above, 1e-5);
                    } else {
                        assert!((above - below).abs() <= 1.0, "{r}, {u}: {below}, {above}");
                    }
                }
                for k in [0.0, 1.0, 30.0, 1e12, 1e20, 1e200, 1e262] {
                    let [above, below] =
                        [RARE + 1e-9, RARE - 1e-9].map(|logit| negative_binomial_cdf_by_logit(k, r, logit));
                    assert!((above - below).abs() <= 1e-8 * (1.0 + r) * above, "{r}, {k}: {below:e}, {above:e}");
                }
            }
        }
    }

    #[test]
    fn quantiles_where_the_probability_underflows() {
        // P(X = 0) = exp(r logit), and P(X > 1e300) is what is left at small r.
        let icdf = negative_binomial_icdf_by_logit;
        assert_eq!((icdf(0.1, 2.5e-9, -4e8), icdf(0.9, 2.5e-9, -4e8)), (0.0, f64::INFINITY));
        assert_eq!((icdf(0.36, 2.5e-4, -4e3), icdf(0.367, 2.5e-4, -4e3)), (0.0, 0.0));
        assert_eq!((icdf(0.3, 1.2e-115, -4e7), icdf(0.5, 0.25, -4e3)), (0.0, f64::INFINITY));
        assert_eq!((icdf(0.0, 2.0, -4e3), icdf(1.0, 2.0, -4e3)), (0.0, f64::INFINITY));
        assert!(icdf(0.5, 2.0, f64::NEG_INFINITY).is_nan() && icdf(0.5, 0.0, -4e3).is_nan());
        for r in [1e-300, 1e-12, 1e-4, 0.25, 3.0, 1e18, f64::MAX] {
            for logit in [-601.0, -700.0, -745.0, -4e3, -1e12, -f64::MAX] {
                let mut last = 0.0;
                for u in [1e-300, 1e-9, 0.2, 0.7, 1.0 - 1e-12] {
                    let k = icdf(u, r, logit);
                    assert!(k >= last, "{r}, {logit}, {u}: {k} after {last}");
                    let cdf = negative_binomial_cdf_by_logit(k, r, logit);
                    assert!(r > 3.0 && cdf >= 0.0 || cdf >= u * (1.0 - 1e-9), "{r}, {logit}, {u}: {k}, {cdf}");
                    let upper = negative_binomial_inverse_survival_by_logit(u, r, logit);
                    assert!(upper >= 0.0, "{r}, {logit}, {u}: {upper}");
                    last = k;
                }
            }
        }
    }
}
