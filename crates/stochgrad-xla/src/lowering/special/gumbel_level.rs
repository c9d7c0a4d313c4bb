//! Level sets of the density of the Gumbel distribution.

use super::numeric::{inside, is_infinite, iterate, single};
use crate::lowering::builder::Value;

/// z + e^−z − 1, without cancellation near 0.
fn drop(z: Value<'_>) -> Value<'_> {
    // The series converges within 25 terms for |z| ≤ 1/2.
    let series = (3..25).rev().fold(z.fill(1.0), |sum, n| sum * z * (-1.0 / f64::from(n)) + 1.0);
    z.abs().gt(0.5).select(z + (-z).expm1(), z * z * 0.5 * series)
}

/// The z > 0 and z < 0 at which ln p is `e` below its maximum, for the standard Gumbel density p.
pub(crate) fn gumbel_level(right: bool, e: Value<'_>) -> Value<'_> {
    single(if right { "gumbel_level_right" } else { "gumbel_level_left" }, [e], |[e]| {
        let s = (e * 2.0).sqrt() * if right { 1.0 } else { -1.0 };
        let series = s + s * s / 6.0 + s * s * s / 36.0;
        let far = if right { e + 1.0 } else { -(e + 1.0).ln() };
        let guess = e.lt(1.0).select(series, far);
        let ends = e.equal(0.0) | is_infinite(e);
        let [z] = iterate(30, e.ge(0.0) & !ends, [guess], |_, [z]| {
            let step = (drop(z) - e) / -(-z).expm1();
            let next = z - step;
            let same_side = (next * z.sign()).gt(0.0);
            let goes_on = same_side & (next - z).abs().gt(z.abs() * (2.0 * f64::EPSILON));
            ([same_side.select(next, z)], goes_on)
        });
        inside(e.ge(0.0), ends.select(if right { e } else { -e }, z))
    })
}
