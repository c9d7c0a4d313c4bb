//! Level sets of the density of the Gumbel distribution.

/// z + e^-z - 1, without cancellation near 0.
fn drop(z: f64) -> f64 {
    if z.abs() > 0.5 {
        return z + (-z).exp_m1();
    }
    let mut term = 0.5 * z * z;
    let mut sum = term;
    for n in 3..40 {
        if term.abs() <= 1e-18 * sum.abs() {
            break;
        }
        term *= -z / f64::from(n);
        sum += term;
    }
    sum
}

/// The points z > 0 and z < 0 at which ln p is `e` below its maximum at 0, for the standard Gumbel density p(z) =
/// exp(-z - e^-z). They are the roots of z + e^-z - 1 = e.
///
/// Domain: e >= 0, including infinity; anything else gives NaN. Relative error below 1e-15 (Newton's method from an
/// accurate approximation).
///
/// ```
/// # use stochgrad_tensor::special::gumbel_level;
/// let (right, left) = gumbel_level(1.0);
/// assert!((right + (-right).exp() - 2.0).abs() < 1e-14 && (left + (-left).exp() - 2.0).abs() < 1e-14);
/// assert!(left < 0.0 && right > 0.0);
/// ```
pub fn gumbel_level(e: f64) -> (f64, f64) {
    if e.is_nan() || e < 0.0 {
        return (f64::NAN, f64::NAN);
    }
    if e == 0.0 || e == f64::INFINITY {
        return (e, -e);
    }
    let s = (2.0 * e).sqrt();
    let series = |s: f64| s + s * s / 6.0 + s * s * s / 36.0;
    let (right, left) = if e < 1.0 { (series(s), series(-s)) } else { (e + 1.0, -(e + 1.0).ln()) };
    (polish(right, e), polish(left, e))
}

/// Newton's method for z + e^-z - 1 = e.
fn polish(mut z: f64, e: f64) -> f64 {
    for _ in 0..30 {
        let step = (drop(z) - e) / -(-z).exp_m1();
        let next = z - step;
        if !(next != 0.0 && next.signum() == z.signum()) {
            return z;
        }
        if (next - z).abs() <= 2.0 * f64::EPSILON * z.abs() {
            return next;
        }
        z = next;
    }
    z
}

#[cfg(test)]
mod tests {
    use super::super::assertions::assert_relative;
    use super::*;

    /// From mpmath at 40 digits, through the branches of Lambert's W.
    #[test]
    fn known_values() {
        let golden = [
            (1e-300, 1.4142135623730952e-150, -1.4142135623730952e-150),
            (1e-30, 1.4142135623730955e-15, -1.4142135623730949e-15),
            (1e-16, 1.4142135657064284e-08, -1.4142135590397616e-08),
            (1e-08, 0.00014142468964921175, -0.00014141802298254212),
            (0.001, 0.045057192259048084, -0.044390495963692565),
            (0.1, 0.4831831682082948, -0.41622116142502213),
            (0.5, 1.198290437315664, -0.8576766739458991),
            (0.999, 1.8402170398655004, -1.1457271201353116),
            (1.0, 1.8414056604369606, -1.1461932206205825),
            (1.5, 2.4102029297761836, -1.3473967510313405),
            (3.0, 3.9813393709113165, -1.7490313860127016),
            (10.0, 10.999983298020256, -2.610868638149876),
            (50.0, 51.0, -4.007468975568334),
            (700.0, 701.0, -6.5618250108739105),
            (1000000.0, 1000001.0, -13.815525373379899),
            (1e+300, 1.0e300, -690.7755278982137),
        ];
        for (e, right, left) in golden {
            let got = gumbel_level(e);
            assert_relative(&format!("right at {e}"), got.0, right, 1e-15);
            assert_relative(&format!("left at {e}"), got.1, left, 1e-15);
        }
    }

    #[test]
    fn ends_and_misuse() {
        assert_eq!(gumbel_level(0.0), (0.0, 0.0));
        assert_eq!(gumbel_level(f64::INFINITY), (f64::INFINITY, f64::NEG_INFINITY));
        assert!(gumbel_level(-1.0).0.is_nan() && gumbel_level(f64::NAN).1.is_nan());
    }
}
