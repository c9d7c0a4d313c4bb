//! Quantiles of the survival functions of counts.

use super::beta::beta_inc_pair;
use super::count_quantiles::{DENSE, LIMIT, cornish_fisher, first_reached};
use super::incomplete_gamma::{gamma_p, gamma_q_inverse};
use super::numeric::{inside, is_natural, is_positive, is_probability, single};
use crate::lowering::builder::Value;

/// The smallest count whose survival function is at most u, up to the rounding of the survival function.
fn smallest<'b>(
    u: Value<'b>,
    guess: Value<'b>,
    wanted: Value<'b>,
    survival: impl FnOnce(Value<'b>) -> Value<'b>,
) -> Value<'b> {
    let most = u * (1.0 + 1e-12);
    let guess = guess.is_finite().select(guess.floor().max(0.0), 0.0);
    first_reached(guess, wanted, |k| k.ge(0.0) & survival(k).le(most))
}

/// The smallest k with P(X > k) ≤ u of the Poisson distribution.
pub(crate) fn poisson_inverse_survival<'b>(u: Value<'b>, rate: Value<'b>) -> Value<'b> {
    single("poisson_inverse_survival", [u, rate], |[u, rate]| {
        let valid = is_probability(u) & is_natural(rate);
        let zero = u.equal(1.0) | rate.equal(0.0);
        let root = rate.sqrt();
        let guess = cornish_fisher(1.0 - u, rate, root, 1.0 / root);
        let found = smallest(u, guess, valid & !zero & u.gt(0.0), |k| gamma_p(k + 1.0, rate));
        inside(valid, zero.select(0.0, u.equal(0.0).select(f64::INFINITY, found)))
    })
}

/// The smallest k with P(X > k) ≤ u for the number X of failures before the r-th success.
pub(crate) fn negative_binomial_inverse_survival<'b>(u: Value<'b>, r: Value<'b>, p: Value<'b>) -> Value<'b> {
    single("negative_binomial_inverse_survival", [u, r, p], |[u, r, p]| {
        let valid = is_probability(u) & is_positive(r) & p.gt(0.0) & p.le(1.0);
        let zero = u.equal(1.0) | p.equal(1.0);
        let q = 1.0 - p;
        // Close to a gamma distribution.
        let guess = gamma_q_inverse(r, u) * q / p;
        // Beyond the range of numbers a search would take two thousand steps.
        let exact = guess.equal(f64::INFINITY) | (guess.ge(DENSE) & p.lt(LIMIT) & r.lt(DENSE));
        let wanted = valid & !zero & u.gt(0.0) & !exact;
        let found = smallest(u, guess, wanted, |k| beta_inc_pair(k + 1.0, r, q, p));
        let value = exact.select(guess, found);
        inside(valid, zero.select(0.0, u.equal(0.0).select(f64::INFINITY, value)))
    })
}
