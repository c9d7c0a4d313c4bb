//! Modified Bessel functions of the first kind, scaled so that they do not overflow.

use super::gamma::lgamma;
use std::f64::consts::{LN_2, LN_10, PI};

/// Orders of at least this value use the uniform expansion in the order.
const LARGE_ORDER: f64 = 60.0;

/// The power series is used up to this argument, or up to n² / 8 if that is larger. Beyond it, the integral loses
/// little to cancellation.
const SMALL_ARGUMENT: f64 = 30.0;

/// Arguments above this value use the expansion in the argument, unless the order is large.
const LARGE_ARGUMENT: f64 = 4000.0;

/// e^-|x| I_n(x), for an integer order n.
///
/// Domain: all reals. Relative error below 1e-12 as long as the result is a normal float.
///
/// ```
/// # use stochgrad_tensor::special::bessel_ie;
/// assert!((bessel_ie(0, 1.0) - 0.46575960759364043).abs() < 1e-15);
/// ```
pub fn bessel_ie(n: u32, x: f64) -> f64 {
    if x < 0.0 && n % 2 == 1 {
        -log_bessel_ie(f64::from(n), -x).exp()
    } else {
        log_bessel_ie(f64::from(n), x.abs()).exp()
    }
}

/// ln(e^-x I_n(x)), for an integer order n.
///
/// Domain: x >= 0 and integer n >= 0, both finite; anything else gives NaN. At x = 0 the result is 0 for n = 0 and -inf
/// otherwise. Error below 1e-12 * max(1, |result|).
///
/// Method: for n < 60 the power series (small x), the trapezoidal rule on the integral over the circle (x <= 4000),
/// which converges geometrically, or Hankel's expansion; for larger n Debye's uniform expansion (NIST DLMF 10.41.3).
pub fn log_bessel_ie(n: f64, x: f64) -> f64 {
    if !((0.0..f64::INFINITY).contains(&x) && (0.0..f64::INFINITY).contains(&n) && n == n.floor()) {
        f64::NAN
    } else if x == 0.0 {
        if n == 0.0 { 0.0 } else { f64::NEG_INFINITY }
    } else if n >= LARGE_ORDER {
        uniform_expansion(n, x)
    } else if x <= SMALL_ARGUMENT.max(n * n / 8.0) {
        power_series(n, x)
    } else if x <= LARGE_ARGUMENT {
        circle(n, x).ln()
    } else {
        hankel_expansion(n, x).ln() - 0.5 * ((2.0 * PI).ln() + x.ln())
    }
}

fn power_series(n: f64, x: f64) -> f64 {
    let square = 0.25 * x * x;
    let (mut term, mut sum, mut scale) = (1.0, 1.0, 0.0);
    // For arguments up to 450 the terms decrease from the 225th on.
    for k in 1..1000 {
        let k = f64::from(k);
        term *= square / (k * (n + k));
        sum += term;
        if sum > 1e200 {
            (term, sum, scale) = (term * 1e-200, sum * 1e-200, scale + 200.0 * LN_10);
        }
        if term <= 1e-17 * sum {
            break;
        }
    }
    let power = if n == 0.0 { 0.0 } else { n * (x.ln() - LN_2) - lgamma(n + 1.0) };
    power - x + scale + f64::ln(sum)
}

/// The mean of e^(x (cos t - 1)) cos(n t) over the circle.
fn circle(n: f64, x: f64) -> f64 {
    let count = (0.5 * (n + (90.0 * x).sqrt())).ceil() + 8.0;
    let step = PI / count;
    let at = |t: f64| (-2.0 * x * (0.5 * t).sin().powi(2)).exp() * (n * t).cos();
    let mut sum = 0.5 * (at(0.0) + at(PI));
    let mut k = 1.0;
    while k < count {
        sum += at(k * step);
        k += 1.0;
    }
    sum / count
}

fn hankel_expansion(n: f64, x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..30 {
        let odd = f64::from(2 * k - 1);
        let next = -term * (4.0 * n * n - odd * odd) / (f64::from(8 * k) * x);
        if next.abs() >= f64::abs(term) && k > 1 || next == 0.0 {
            break;
        }
        term = next;
        sum += term;
        if term.abs() < 1e-17 * sum {
            break;
        }
    }
    sum
}

/// The polynomials U_1 to U_7 of DLMF 10.41.10, divided by p^k: exact rational coefficients, rounded, in powers of p²,
/// lowest power first. They follow from the recurrence DLMF 10.41.9.
pub const DEBYE: [&[f64]; 7] = [
    &[0.125, -0.20833333333333334],
    &[0.0703125, -0.4010416666666667, 0.3342013888888889],
    &[0.0732421875, -0.8912109375, 1.8464626736111112, -1.0258125964506173],
    &[0.112152099609375, -2.3640869140625, 8.78912353515625, -11.207002616222994, 4.669584423426247],
    &[
        0.22710800170898438,
        -7.368794359479632,
        42.53499874538846,
        -91.81824154324002,
        84.63621767460073,
        -28.212072558200244,
    ],
    &[
        0.5725014209747314,
        -26.491430486951554,
        218.1905117442116,
        -699.5796273761325,
        1059.9904525279999,
        -765.2524681411817,
        212.57013003921713,
    ],
    &[
        1.7277275025844574,
        -108.09091978839466,
        1200.9029132163525,
        -5305.646978613403,
        11655.393336864534,
        -13586.550006434138,
        8061.722181737309,
        -1919.457662318407,
    ],
];

fn uniform_expansion(n: f64, x: f64) -> f64 {
    let z = x / n;
    let root = z.hypot(1.0);
    let p = 1.0 / root;
    let square = p * p;
    let mut sum = 0.0;
    for (k, coefficients) in DEBYE.iter().enumerate().rev() {
        let polynomial = coefficients.iter().rev().fold(0.0, |sum, &c| sum * square + c);
        sum += polynomial * (p / n).powi(k as i32 + 1);
    }
    // n (root + ln(z / (1 + root))) - x, where root - z = 1 / (root + z) avoids cancellation.
    let eta = 1.0 / (root + z) + (z / (1.0 + root)).ln();
    n * eta - 0.5 * (2.0 * PI * n * root).ln() + sum.ln_1p()
}

#[cfg(test)]
mod tests {
    use super::super::assertions::{assert_near, assert_relative};
    use super::*;

    /// n, x, ln(e^-x I_n(x)), from mpmath at 40 digits.
    const GOLDEN: [(f64, f64, f64); 63] = [
        (0.0, 1e-08, -9.999999975e-09),
        (0.0, 0.5, -0.4384502808145187),
        (0.0, 3.0, -1.414692378186579),
        (0.0, 29.0, -2.5981989628497697),
        (0.0, 31.0, -2.6318325376335863),
        (0.0, 500.0, -4.0259923318933035),
        (0.0, 3999.0, -5.065807075904406),
        (0.0, 5000.0, -5.177510126412271),
        (0.0, 1000000.0, -7.826693687186747),
        (0.0, 1000000000.0, -11.280571451552879),
        (0.0, 1000000000000.0, -14.734449091168822),
        (1.0, 1e-08, -19.11382793451231),
        (1.0, 0.5, -1.8552054470253345),
        (1.0, 3.0, -1.6254315652763005),
        (1.0, 29.0, -2.6157474763507667),
        (1.0, 31.0, -2.6482297684266953),
        (1.0, 500.0, -4.026993333731656),
        (1.0, 3999.0, -5.06593212279862),
        (1.0, 5000.0, -5.1776101364141045),
        (1.0, 1000000.0, -7.826694187186997),
        (1.0, 1000000000.0, -11.280571452052879),
        (1.0, 1000000000000.0, -14.734449091169322),
        (2.0, 3.0, -2.1911998548061815),
        (2.0, 500.0, -4.029996335222597),
        (2.0, 1000000.0, -7.8266956871877476),
        (5.0, 1e-08, -100.3566313753436),
        (5.0, 29.0, -3.0357808756890736),
        (5.0, 3999.0, -5.068933247868558),
        (5.0, 1000000000.0, -11.280571464052878),
        (29.0, 0.5, -111.95749217630991),
        (29.0, 31.0, -15.557800483294145),
        (29.0, 5000.0, -5.261618302335537),
        (29.0, 1000000000000.0, -14.734449091589322),
        (59.0, 3.0, -163.57389900042185),
        (59.0, 500.0, -7.506434396315913),
        (59.0, 1000000.0, -7.828434188056494),
        (60.0, 1e-08, -1335.4578489044102),
        (60.0, 0.5, -272.30481050916694),
        (60.0, 3.0, -167.26339265467072),
        (60.0, 29.0, -53.8219830523426),
        (60.0, 31.0, -51.3549799693599),
        (60.0, 500.0, -7.62527287930567),
        (60.0, 3999.0, -5.51596744782479),
        (60.0, 5000.0, -5.537541811808161),
        (60.0, 1000000.0, -7.828493688086208),
        (60.0, 1000000000.0, -11.280573251552878),
        (60.0, 1000000000000.0, -14.734449092968822),
        (61.0, 0.5, -277.801995259707),
        (61.0, 31.0, -52.78331074291661),
        (61.0, 5000.0, -5.549642726632291),
        (61.0, 1000000000000.0, -14.734449093029323),
        (100.0, 3.0, -326.170589949043),
        (100.0, 500.0, -14.002877818655854),
        (100.0, 1000000.0, -7.8316936896825835),
        (1000.0, 29.0, -3266.769511109814),
        (1000.0, 3999.0, -129.47259441359492),
        (1000.0, 1000000000.0, -11.281071451553128),
        (1000000.0, 29.0, -10141398.735021392),
        (1000000.0, 3999.0, -5218860.958383037),
        (1000000.0, 1000000000.0, -511.28053003489856),
        (1000000000.0, 29.0, -17049117227.800453),
        (1000000000.0, 3999.0, -12122617418.936111),
        (1000000000.0, 1000000000.0, -467160036.1003062),
    ];

    #[test]
    fn known_values() {
        for (n, x, expected) in GOLDEN {
            assert_near(&format!("n = {n}, x = {x}"), log_bessel_ie(n, x), expected, 1e-12);
            if n < 100.0 && expected > -700.0 {
                assert_relative(&format!("n = {n}, x = {x}"), bessel_ie(n as u32, x), expected.exp(), 1e-12);
            }
        }
    }

    #[test]
    fn the_recurrence_holds_across_methods() {
        for x in [0.3, 29.9, 30.1, 100.0, 3999.0, 4001.0, 1e7] {
            for n in [1_u32, 2, 10, 30, 58, 59, 60, 61] {
                let [below, at, above] = [n - 1, n, n + 1].map(|n| log_bessel_ie(f64::from(n), x));
                let ratio = (below - at).exp() - (above - at).exp();
                assert_relative(
                    &format!("n = {n}, x = {x}"),
                    ratio,
                    2.0 * f64::from(n) / x,
                    1e-10 + 1e-14 * x / f64::from(n),
                );
            }
        }
    }

    #[test]
    fn ends_and_misuse() {
        assert_eq!((bessel_ie(0, 0.0), bessel_ie(3, 0.0)), (1.0, 0.0));
        assert_eq!(bessel_ie(1, -2.0), -bessel_ie(1, 2.0));
        assert_eq!(bessel_ie(2, -2.0), bessel_ie(2, 2.0));
        assert!(
            log_bessel_ie(0.5, 1.0).is_nan() && log_bessel_ie(1.0, -1.0).is_nan() && bessel_ie(0, f64::NAN).is_nan()
        );
    }
}
