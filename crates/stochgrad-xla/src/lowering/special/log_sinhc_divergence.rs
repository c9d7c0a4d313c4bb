//! The Bregman divergence of ln(sinh x / x).

use super::log_sinhc::log_sinhc;
use super::numeric::{inside, single};
use super::quadrature::legendre_unit;
use crate::lowering::builder::Value;

/// The divergence from a to b.
pub(crate) fn log_sinhc_divergence<'b>(a: Value<'b>, b: Value<'b>) -> Value<'b> {
    single("log_sinhc_divergence", [a, b], |[a, b]| {
        let d = b - a;
        let near = d * d * legendre_unit(a, |u| (1.0 - u) * log_sinhc(2, a + u * d));
        let far = log_sinhc(0, b) - log_sinhc(0, a) - d * log_sinhc(1, a);
        inside(a.is_finite() & b.is_finite(), d.abs().le(1.0).select(near, far))
    })
}
