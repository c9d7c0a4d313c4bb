//! Sums and differences in log space, and the logistic function.

/// ln(1 - e^x), for log-probabilities x <= 0.
///
/// Domain: x <= 0, including -inf; x = 0 gives -inf and x > 0 gives NaN. The argument is the logarithm itself, not its
/// negative. Relative error below 1e-15 (Mächler, "Accurately computing log(1 - exp(-|a|))", 2012).
pub fn log1mexp(x: f64) -> f64 {
    if x > 0.0 {
        f64::NAN
    } else if x > -std::f64::consts::LN_2 {
        (-x.exp_m1()).ln()
    } else {
        (-x.exp()).ln_1p()
    }
}

/// ln(e^a + e^b), without overflow or underflow.
///
/// Domain: all reals and both infinities; -inf is the neutral element. Absolute error below 2e-16 * (1 + |result|).
pub fn log_add_exp(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        return f64::NAN;
    }
    let (high, low) = if a >= b { (a, b) } else { (b, a) };
    if high.is_infinite() {
        return high;
    }
    high + (low - high).exp().ln_1p()
}

/// ln of the sum of e^v over the slice; -inf for an empty slice.
///
/// Domain: all reals and both infinities. Absolute error below about n * 1e-16 + 1e-16 * |result| for n values.
///
/// ```
/// # use stochgrad_tensor::special::log_sum_exp;
/// assert!((log_sum_exp(&[1000.0, 1000.0]) - (1000.0 + 2f64.ln())).abs() < 1e-12);
/// ```
pub fn log_sum_exp(values: &[f64]) -> f64 {
    if values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if high.is_infinite() {
        return high;
    }
    high + values.iter().map(|v| (v - high).exp()).sum::<f64>().ln()
}

/// ln(1 + e^x).
///
/// Domain: all reals and both infinities. Relative error below 1e-15. The function tends to x on the right and to e^x
/// on the left.
pub fn softplus(x: f64) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The logistic function 1 / (1 + e^-x).
///
/// Domain: all reals and both infinities. Relative error below 1e-15, also in the left tail, down to the smallest
/// subnormal float (x near -745).
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// ln(p / (1 - p)), the inverse of [`sigmoid`].
///
/// Domain: 0 <= p <= 1; the ends give -inf and +inf, and anything else gives NaN. Relative error below 1e-15, also near
/// p = 1/2.
pub fn logit(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        f64::NAN
    } else if p == 1.0 {
        f64::INFINITY
    } else if (0.25..=0.75).contains(&p) {
        // In this range 2p - 1 is exact, and ln p - ln(1 - p) would cancel.
        2.0 * libm::atanh(2.0 * p - 1.0)
    } else {
        p.ln() - (-p).ln_1p()
    }
}

/// ln of [`sigmoid`], which is finite for all finite x.
///
/// Domain: all reals and both infinities. Relative error below 1e-15. The function tends to x on the left and to -e^-x
/// on the right.
pub fn log_sigmoid(x: f64) -> f64 {
    -softplus(-x)
}

#[cfg(test)]
mod tests {
    use super::super::assertions::{assert_near, assert_relative};
    use super::*;

    /// x, softplus(x), sigmoid(x), log_sigmoid(x), from mpmath at 40 digits.
    const LOGISTIC: [(f64, f64, f64, f64); 13] = [
        (-740.0, 4.2e-322, 4.2e-322, -740.0),
        (-100.0, 3.720075976020836e-44, 3.720075976020836e-44, -100.0),
        (-50.0, 1.9287498479639178e-22, 1.9287498479639178e-22, -50.0),
        (-10.0, 4.539889921686465e-05, 4.5397868702434395e-05, -10.000045398899218),
        (-1.0, 0.3132616875182228, 0.2689414213699951, -1.3132616875182228),
        (-1e-09, 0.6931471800599454, 0.49999999975, -0.6931471810599453),
        (0.0, std::f64::consts::LN_2, 0.5, -std::f64::consts::LN_2),
        (0.001, 0.6936473055599401, 0.5002499999791666, -0.6926473055599401),
        (0.7, 1.103186048885458, 0.668187772168166, -0.4031860488854579),
        (5.0, 5.006715348489118, 0.9933071490757152, -0.006715348489118068),
        (36.0, 36.0, 0.9999999999999998, -2.319522830243569e-16),
        (50.0, 50.0, 1.0, -1.9287498479639178e-22),
        (700.0, 700.0, 1.0, -9.85967654375977e-305),
    ];

    /// x, ln(1 - e^x), from mpmath at 40 digits.
    const LOG1MEXP: [(f64, f64); 9] = [
        (-1e-300, -690.7755278982137),
        (-1e-12, -27.631021115929048),
        (-0.1, -2.3521684610440907),
        (-0.69, -0.6963042971440567),
        (-0.7, -0.6863410028083852),
        (-1.0, -0.4586751453870819),
        (-5.0, -0.006760749449488557),
        (-40.0, -4.248354255291589e-18),
        (-700.0, -9.85967654375977e-305),
    ];

    /// p, logit(p), from mpmath at 40 digits.
    const LOGIT: [(f64, f64); 11] = [
        (1e-300, -690.7755278982137),
        (1e-09, -20.72326583594641),
        (0.2, -1.3862943611198906),
        (0.2501, -1.0980790264237703),
        (0.4999999, -4.000000000115076e-07),
        (0.5, 0.0),
        (0.5000001, 3.99999999789463e-07),
        (0.74, 1.0459685551826876),
        (0.76, 1.1526795099383855),
        (0.99, 4.595119850134589),
        (0.999999999999, 27.63104323789236),
    ];

    #[test]
    fn logistic_functions_match_mpmath() {
        for (x, plus, value, log) in LOGISTIC {
            assert_relative(&format!("softplus({x})"), softplus(x), plus, 1e-15);
            assert_relative(&format!("sigmoid({x})"), sigmoid(x), value, 1e-15);
            assert_relative(&format!("log_sigmoid({x})"), log_sigmoid(x), log, 1e-15);
        }
        for (x, expected) in LOG1MEXP {
            assert_relative(&format!("log1mexp({x})"), log1mexp(x), expected, 1e-15);
        }
        for (p, expected) in LOGIT {
            assert_relative(&format!("logit({p})"), logit(p), expected, 1e-15);
        }
    }

    #[test]
    fn edges_take_their_limits() {
        let inf = f64::INFINITY;
        assert_eq!((softplus(inf), softplus(-inf)), (inf, 0.0));
        assert_eq!((sigmoid(inf), sigmoid(-inf)), (1.0, 0.0));
        assert_eq!((log_sigmoid(inf), log_sigmoid(-inf)), (0.0, -inf));
        assert_eq!((logit(0.0), logit(1.0)), (-inf, inf));
        assert_eq!((log1mexp(0.0), log1mexp(-inf)), (-inf, 0.0));
        assert!(log1mexp(0.1).is_nan() && logit(-0.1).is_nan() && logit(1.1).is_nan());
        assert!(softplus(f64::NAN).is_nan() && sigmoid(f64::NAN).is_nan() && log1mexp(f64::NAN).is_nan());
    }

    #[test]
    fn log_sums_neither_overflow_nor_underflow() {
        let inf = f64::INFINITY;
        let ln2 = std::f64::consts::LN_2;
        assert_near("large", log_add_exp(1e4, 1e4), 1e4 + ln2, 1e-15);
        assert_near("small", log_add_exp(-1e4, -1e4), -1e4 + ln2, 1e-15);
        assert_near("apart", log_add_exp(-3.0, 2.0), ((-3f64).exp() + 2f64.exp()).ln(), 1e-15);
        assert_eq!(log_add_exp(-inf, -7.0), -7.0);
        assert_eq!((log_add_exp(-inf, -inf), log_add_exp(inf, -inf)), (-inf, inf));
        assert!(log_add_exp(1.0, f64::NAN).is_nan() && log_add_exp(f64::NAN, inf).is_nan());
        let values = [-1000.0, -1001.0, -1002.0];
        let pairwise = values.iter().fold(-inf, |sum, v| log_add_exp(sum, *v));
        assert_near("slice", log_sum_exp(&values), pairwise, 1e-15);
        assert_eq!((log_sum_exp(&[]), log_sum_exp(&[-inf, -inf]), log_sum_exp(&[inf, 1.0])), (-inf, -inf, inf));
        assert!(log_sum_exp(&[inf, f64::NAN]).is_nan());
    }
}
