//! The error function, its complement and its inverse.

use super::normal_quantile::standard_quantile;

/// The error function erf(x) = 2/sqrt(pi) * integral of exp(-t^2) from 0 to x.
///
/// Domain: all reals and both infinities. Relative error below 1e-15 (FreeBSD msun, through `libm`).
///
/// ```
/// # use stochgrad_tensor::special::erf;
/// assert!((erf(0.5) - 0.5204998778130465).abs() < 1e-15);
/// ```
pub fn erf(x: f64) -> f64 {
    libm::erf(x)
}

/// The complementary error function 1 - erf(x), without cancellation for large x.
///
/// Domain: all reals and both infinities. Relative error below 1e-15 while the result is a normal float (x < 26.5). The
/// result underflows to 0 beyond x = 27.3 (FreeBSD msun, through `libm`).
pub fn erfc(x: f64) -> f64 {
    libm::erfc(x)
}

/// The inverse of [`erf`]: the x with erf(x) = y.
///
/// Domain: -1 <= y <= 1; the ends give -inf and +inf, and anything else gives NaN. Relative error below 2e-15, also for
/// small y (Wichura, "Algorithm AS241", Applied Statistics 37, 1988).
pub fn erf_inv(y: f64) -> f64 {
    if !(-1.0..=1.0).contains(&y) {
        return f64::NAN;
    }
    standard_quantile(0.5 * y, 0.5 * (1.0 - y.abs())) * std::f64::consts::FRAC_1_SQRT_2
}

#[cfg(test)]
mod tests {
    use super::super::assertions::assert_relative;
    use super::*;

    /// x, erf(x), erfc(x), from mpmath at 40 digits.
    const ERF: [(f64, f64, f64); 10] = [
        (-6.0, -1.0, 2.0),
        (-1.3, -0.9340079449406524, 1.9340079449406524),
        (-1e-10, -1.1283791670955126e-10, 1.000000000112838),
        (0.3, 0.3286267594591274, 0.6713732405408726),
        (0.84375, 0.7672256612323416, 0.23277433876765838),
        (1.0, 0.8427007929497149, 0.15729920705028513),
        (2.5, 0.999593047982555, 0.0004069520174449589),
        (5.0, 0.9999999999984626, 1.537459794428035e-12),
        (10.0, 1.0, 2.088487583762545e-45),
        (26.0, 1.0, 5.663192408856143e-296),
    ];

    /// y, erf_inv(y), from mpmath at 40 digits.
    const ERF_INV: [(f64, f64); 12] = [
        (-0.999, -2.3267537655135246),
        (-0.5, -0.4769362762044699),
        (-1e-20, -8.86226925452758e-21),
        (1e-300, 8.86226925452758e-301),
        (1e-05, 8.862269254759594e-06),
        (0.3, 0.2724627147267543),
        (0.849, 1.0154111558190084),
        (0.851, 1.0204064737926706),
        (0.9, 1.1630871536766743),
        (0.99999, 3.123413274341571),
        (0.999999999999, 5.042031898572696),
        (0.9999999999999999, 5.8635847487551676),
    ];

    #[test]
    fn error_functions_match_mpmath() {
        for (x, value, complement) in ERF {
            assert_relative(&format!("erf({x})"), erf(x), value, 1e-15);
            assert_relative(&format!("erfc({x})"), erfc(x), complement, 1e-15);
        }
        for (y, expected) in ERF_INV {
            assert_relative(&format!("erf_inv({y})"), erf_inv(y), expected, 2e-15);
        }
    }

    #[test]
    fn erf_inv_is_nan_outside_its_domain() {
        assert_eq!((erf_inv(-1.0), erf_inv(0.0), erf_inv(1.0)), (f64::NEG_INFINITY, 0.0, f64::INFINITY));
        assert!(erf_inv(1.0 + f64::EPSILON).is_nan() && erf_inv(-2.0).is_nan() && erf_inv(f64::NAN).is_nan());
    }
}
