//! Deviances: the relative entropy of two numbers, of which divergences between distributions consist. They vanish to
//! second order where the numbers are equal, and are computed without the cancellation of their terms.

use super::saddle_point::deviance_from;

/// x ln(x / m) − x + m for x ≥ 0 and m ≥ 0: the divergence of the Poisson distributions with these rates.
///
/// It is 0 only where x = m. At x = 0 it is m, and at m = 0 < x it is infinite. A negative number gives NaN. Relative
/// error below 1e-14 in f64, also for nearly equal x and m.
///
/// ```
/// # use stochgrad_tensor::special::deviance;
/// assert!((deviance(1.0, 1.0 + 1e-8) / 5e-17 - 1.0).abs() < 1e-7);
/// assert_eq!((deviance(0.0, 3.0), deviance(3.0, 0.0), deviance(0.0, 0.0)), (3.0, f64::INFINITY, 0.0));
/// ```
pub fn deviance(x: f64, m: f64) -> f64 {
    deviance_between(x, m, x - m)
}

/// [`deviance`] of x and m with their difference x − m.
fn deviance_between(x: f64, m: f64, difference: f64) -> f64 {
    if !(x >= 0.0 && m >= 0.0) {
        f64::NAN
    } else if x == 0.0 {
        m
    } else if m == 0.0 || (m.is_infinite() && x.is_finite()) {
        f64::INFINITY
    } else {
        deviance_from(x, m, difference)
    }
}

/// [`deviance`] of eˣ and eᵐ, for any real numbers or −∞.
///
/// Relative error below 1e-14 in f64 times the largest of 1, |x| and |m|, also for nearly equal x and m and where the
/// exponentials underflow.
///
/// ```
/// # use stochgrad_tensor::special::deviance_by_log;
/// assert!((deviance_by_log(0.0, 1e-8) / 5e-17 - 1.0).abs() < 1e-7);
/// assert_eq!(deviance_by_log(0.0, f64::NEG_INFINITY), f64::INFINITY);
/// assert_eq!(deviance_by_log(f64::NEG_INFINITY, f64::NEG_INFINITY), 0.0);
/// ```
pub fn deviance_by_log(x: f64, m: f64) -> f64 {
    if x == f64::NEG_INFINITY {
        return m.exp();
    }
    if m == f64::NEG_INFINITY && !x.is_nan() {
        return f64::INFINITY;
    }
    let shift = m - x;
    if shift.abs() < 0.5 {
        return x.exp() * exp_excess(shift);
    }
    if shift > 0.0 {
        let own = x.exp();
        // The shift may be infinite where the exponential is 0.
        return if own == 0.0 { m.exp() } else { m.exp() - own * (1.0 + shift) };
    }
    x.exp() * (shift.exp_m1() - shift)
}

/// e^s − 1 − s for |s| < 1/2, by its series. Pairs of terms, and pairs of pairs, are added independently of each other,
/// so that a processor adds them at the same time.
fn exp_excess(s: f64) -> f64 {
    const TERMS: [f64; 16] = {
        let mut terms = [0.5; 16];
        let mut n = 1;
        while n < 16 {
            terms[n] = terms[n - 1] / (n + 2) as f64;
            n += 1;
        }
        terms
    };
    let s2 = s * s;
    let s4 = s2 * s2;
    let pair = |n: usize| TERMS[n] + TERMS[n + 1] * s;
    let four = |n: usize| pair(n) + pair(n + 2) * s2;
    let eight = |n: usize| four(n) + four(n + 4) * s4;
    s2 * (eight(0) + eight(8) * (s4 * s4))
}

/// The divergence of two trials with success probabilities p and q in [0, 1]: the deviance of p and q plus that of
/// 1 − p and 1 − q.
///
/// It is infinite where an outcome that is possible with p is impossible with q. A p or q outside of [0, 1] gives NaN.
/// Relative error below 1e-14 in f64, also for nearly equal p and q.
///
/// ```
/// # use stochgrad_tensor::special::binary_deviance;
/// assert_eq!((binary_deviance(0.5, 0.0), binary_deviance(0.0, 0.0)), (f64::INFINITY, 0.0));
/// assert!((binary_deviance(0.5, 0.25) - 0.5 * (4.0_f64 / 3.0).ln()).abs() < 1e-16);
/// ```
pub fn binary_deviance(p: f64, q: f64) -> f64 {
    deviance_between(p, q, p - q) + deviance_between(1.0 - p, 1.0 - q, q - p)
}

/// ln(x / y) for x ≥ 0 and y ≥ 0.
///
/// Relative error below 1e-15 in f64, also for nearly equal numbers, and where the quotient overflows. It is 0 where both
/// are 0, and NaN where one is negative.
///
/// ```
/// # use stochgrad_tensor::special::log_ratio;
/// assert!((log_ratio(1.0 + 1e-10, 1.0) / 1e-10 - 1.0).abs() < 1e-6);
/// assert!((log_ratio(1e300, 1e-300) - 600.0 * 10_f64.ln()).abs() < 1e-12);
/// ```
pub fn log_ratio(x: f64, y: f64) -> f64 {
    if x == y && x >= 0.0 {
        return 0.0;
    }
    let difference = x - y;
    if difference.abs() < 0.5 * y {
        return (difference / y).ln_1p();
    }
    let ratio = x / y;
    if ratio.is_normal() && y > 0.0 { ratio.ln() } else { x.ln() - y.ln() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;

    fn close(what: &str, got: f64, expected: f64) {
        let error = (got - expected).abs();
        assert!(got == expected || error <= 2e-14 * expected.abs(), "{what}: {got:e}, expected {expected:e}");
    }

    /// The operands and the value, from mpmath at 60 digits.
    type Row = (f64, f64, f64);

    const DEVIANCES: [Row; 11] = [
        (1.0, 1.000000000001, 5.000889045336643e-25),
        (1.0, 1.001, 4.996669164667232e-07),
        (10000.0, 10010.0, 0.0049966691646683315),
        (1e-300, 1.1e-300, 4.689820195675139e-303),
        (1e+300, 1e+299, 1.4025850929940458e+300),
        (1e-300, 1e+300, 1e+300),
        (3.0, 1e-05, 34.834623260915016),
        (1e-09, 5.0, 4.999999976667296),
        (0.55, 0.5, 0.0024205988923786774),
        (0.62, 0.5, 0.013369055362506207),
        (0.1, 0.0999999, 5.00000333362339e-14),
    ];

    const BY_LOG: [Row; 10] = [
        (0.0, 1e-12, 5.000000000001666e-25),
        (0.0, -0.49, 0.10262639418441606),
        (0.0, 0.51, 0.1552911949458863),
        (-30.0, -30.001, 4.6772522704263676e-20),
        (-1e-09, -2e-09, 4.999999993333334e-19),
        (-800.0, -3.0, 0.049787068367863944),
        (-3.0, -800.0, 39.6305064208197),
        (5.0, 5.3, 7.3997031414420915),
        (-5000.0, -5001.0, 0.0),
        (700.0, 690.0, 9.128134538679089e+304),
    ];

    const BINARY: [Row; 8] = [
        (0.5, 0.25, 0.14384103622589045),
        (1e-10, 1.001e-10, 4.996669165167523e-17),
        (0.999999, 0.9999991, 5.360520664153025e-09),
        (0.3, 0.3000001, 2.3809520787462532e-14),
        (1e-300, 0.25, 0.2876820724517809),
        (0.5, 1e-300, 344.6946167685469),
        (0.9999999999999999, 0.2, 1.609437912434096),
        (2e-05, 1e-05, 3.862993611865582e-06),
    ];

    const RATIOS: [Row; 8] = [
        (1.0000000001, 1.0, 1.000000082690371e-10),
        (1e+300, 1e-300, 1381.5510557964274),
        (1e-310, 1e+300, -1404.576906726368),
        (3.0, 2.0, 0.4054651081081644),
        (1.4, 1.0, 0.3364722366212129),
        (0.6, 1.0, -0.5108256237659907),
        (1e-05, 1.0, -11.512925464970229),
        (7.0, 7.0000001, -1.4285714223735087e-08),
    ];

    #[test]
    fn deviances_have_known_values() {
        let check = |what: &str, function: fn(f64, f64) -> f64, rows: &[Row]| {
            for &(x, m, expected) in rows {
                close(&format!("{what} of {x:e}, {m:e}"), function(x, m), expected);
            }
        };
        check("deviance", deviance, &DEVIANCES);
        check("deviance_by_log", deviance_by_log, &BY_LOG);
        check("binary_deviance", binary_deviance, &BINARY);
        check("log_ratio", log_ratio, &RATIOS);
    }

    #[test]
    fn ends_have_their_limits() {
        assert_eq!(
            (deviance(0.0, 0.0), deviance(0.0, 2.0), deviance(2.0, 0.0), deviance(2.0, INF)),
            (0.0, 2.0, INF, INF)
        );
        assert!(deviance(-1.0, 1.0).is_nan() && deviance(1.0, -1.0).is_nan() && deviance(f64::NAN, 1.0).is_nan());
        assert_eq!((binary_deviance(1.0, 1.0), binary_deviance(1.0, 0.0), binary_deviance(0.3, 1.0)), (0.0, INF, INF));
        assert!(binary_deviance(1.5, 0.5).is_nan() && binary_deviance(0.5, f64::NAN).is_nan());
        assert_eq!(
            (deviance_by_log(-INF, -INF), deviance_by_log(-INF, 0.0), deviance_by_log(-5e3, -INF)),
            (0.0, 1.0, INF)
        );
        assert!(deviance_by_log(f64::NAN, -INF).is_nan() && deviance_by_log(0.0, f64::NAN).is_nan());
        assert_eq!((log_ratio(0.0, 1.0), log_ratio(1.0, 0.0), log_ratio(0.0, 0.0)), (-INF, INF, 0.0));
        assert!(log_ratio(-1.0, 1.0).is_nan() && log_ratio(-1.0, -1.0).is_nan());
    }
}
