//! The logarithm of the beta function.

use super::gamma::{lgamma, stirling_error};
use super::normal::HALF_LOG_TAU;
use super::numeric::{inside, is_positive, single};
use crate::lowering::builder::Value;

/// ln B(a, b).
pub(crate) fn log_beta<'b>(a: Value<'b>, b: Value<'b>) -> Value<'b> {
    single("log_beta", [a, b], |[a, b]| {
        let (small, large) = (a.min(b), a.max(b));
        let ratio = small / large;
        let near = lgamma(small) + lgamma(large) - lgamma(small + large);
        let [of_small, of_large, of_sum] = [small, large, small + large].map(stirling_error);
        let mixed = {
            // Engines flush a ratio below the range of normal numbers to 0.
            let tiny = small * ((small - 0.5) / large + 1.0);
            let growth = ratio.lt(1e-20).select(tiny, (large - 0.5 + small) * ratio.log1p());
            let powers = growth + small * (large.ln() - 1.0);
            lgamma(small) + (of_large - of_sum) - powers
        };
        let far = {
            let corrections = of_small + of_large - of_sum;
            let log_share = -(large / small).log1p();
            HALF_LOG_TAU - large.ln() * 0.5 + (small - 0.5) * log_share - large * ratio.log1p() + corrections
        };
        let value = large.lt(10.0).select(near, small.lt(10.0).select(mixed, far));
        inside(is_positive(a) & is_positive(b), value)
    })
}
