//! The negative binomial distribution given by the log-odds of success, also where the probability of success
//! underflows.

use super::count_quantiles::{first_reached, negative_binomial_icdf};
use super::count_survival_quantiles::negative_binomial_inverse_survival;
use super::gamma_difference::log_gamma_shift;
use super::incomplete_gamma::{gamma_p_inverse, gamma_q_inverse, log_gamma_p};
use super::logistic::sigmoid;
use super::numeric::{inside, is_positive, is_probability, single, where_any};
use crate::lowering::builder::Value;

/// Below these log-odds, products of the probability with a count below `FEW` are negligible.
const RARE: f64 = -600.0;

/// Above this value, neighbouring counts are the same floating-point number.
const FEW: f64 = 1e16;

/// For more successes than this, a count below `FEW` has a probability of zero to rounding.
const MANY: f64 = 1e6;

/// The logarithm of a gamma variate below which the first term of the series of its distribution function is exact.
const SMALL: f64 = -38.0;

/// ln P(X ≤ k) for a count k and log-odds below [`RARE`].
fn log_cdf<'b>(k: Value<'b>, r: Value<'b>, logit: Value<'b>) -> Value<'b> {
    let base = log_gamma_shift(r.fill(1.0), r);
    let few = (r * logit + (log_gamma_shift(k + 1.0, r) - base)).min(0.0);
    let few = r.gt(MANY).select(f64::NEG_INFINITY, few);
    let log = k.ln() + logit;
    let many = log.lt(SMALL).select((r * log - base).min(0.0), log_gamma_p(r, log.exp()));
    k.lt(FEW).select(few, many)
}

/// The smallest count whose distribution function has at least the given logarithm, from the gamma variate at that
/// level.
fn quantile<'b>(
    log_level: Value<'b>,
    variate: Value<'b>,
    r: Value<'b>,
    logit: Value<'b>,
    wanted: Value<'b>,
) -> Value<'b> {
    let first = (log_level + log_gamma_shift(r.fill(1.0), r)) / r;
    let log = first.lt(SMALL).select(first, variate.ln()) - logit;
    let large = log.ge(FEW.ln());
    let least = log_level * (1.0 + 1e-12);
    let guess = log.exp().floor();
    let search = wanted & !large & !log.is_nan();
    let found = first_reached(guess, search, |k| k.ge(0.0) & log_cdf(k, r, logit).ge(least));
    // More successes than f64 can count, with their logarithms, are infinitely many.
    log.is_nan().select(f64::INFINITY, large.select(guess, found))
}

/// Where the distribution function has a level: the quantile of `ordinary` probabilities of success, or of rare ones.
fn by_logit<'b>(
    u: Value<'b>,
    r: Value<'b>,
    logit: Value<'b>,
    ordinary: impl FnOnce(Value<'b>) -> Value<'b>,
    rare: impl FnOnce(Value<'b>) -> Value<'b>,
) -> Value<'b> {
    let valid = is_positive(r) & logit.gt(f64::NEG_INFINITY) & is_probability(u);
    let is_rare = valid & logit.lt(RARE) & u.gt(0.0) & u.lt(1.0);
    let p = logit.lt(RARE).select(0.5, sigmoid(logit));
    let [of_rare] = where_any(is_rare, || [rare(is_rare)]);
    inside(valid, is_rare.select(of_rare, ordinary(p)))
}

/// The quantile, of the probability, the number of successes and the log-odds.
pub(crate) fn negative_binomial_icdf_by_logit<'b>(u: Value<'b>, r: Value<'b>, logit: Value<'b>) -> Value<'b> {
    single("negative_binomial_icdf_by_logit", [u, r, logit], |[u, r, logit]| {
        let rare = |wanted| quantile(u.ln(), gamma_p_inverse(r, u), r, logit, wanted);
        by_logit(u, r, logit, |p| negative_binomial_icdf(u, r, p), rare)
    })
}

/// The quantile of the survival function.
pub(crate) fn negative_binomial_inverse_survival_by_logit<'b>(
    u: Value<'b>,
    r: Value<'b>,
    logit: Value<'b>,
) -> Value<'b> {
    single("negative_binomial_inverse_survival_by_logit", [u, r, logit], |[u, r, logit]| {
        let rare = |wanted| quantile((-u).log1p(), gamma_q_inverse(r, u), r, logit, wanted);
        by_logit(u, r, logit, |p| negative_binomial_inverse_survival(u, r, p), rare)
    })
}
