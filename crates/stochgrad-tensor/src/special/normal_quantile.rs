//! The quantile function of the standard normal distribution, for [`erf_inv`](super::erf_inv) and
//! [`normal_icdf`](super::normal_icdf).
//!
//! Source: Wichura, "Algorithm AS241: The percentage points of the normal distribution", Applied Statistics 37, 1988,
//! routine PPND16. Its rational functions are minimax approximations with a relative error of about 1e-16; their
//! coefficients are copied from the paper.

/// Numerator and denominator for |p - 1/2| <= 0.425, highest power first, as functions of 0.180625 - (p - 1/2)^2.
pub const CENTRAL: ([f64; 8], [f64; 8]) = (
    [
        2509.0809287301227,
        33430.57558358813,
        67265.7709270087,
        45921.95393154987,
        13731.69376550946,
        1971.5909503065513,
        133.14166789178438,
        3.3871328727963665,
    ],
    [
        5226.495278852854,
        28729.085735721943,
        39307.89580009271,
        21213.794301586597,
        5394.196021424751,
        687.1870074920579,
        42.31333070160091,
        1.0,
    ],
);

/// Numerator and denominator for tail probabilities p down to e^-25, as functions of sqrt(-ln p) - 1.6.
pub const MIDDLE: ([f64; 8], [f64; 8]) = (
    [
        0.0007745450142783414,
        0.022723844989269184,
        0.2417807251774506,
        1.2704582524523684,
        3.6478483247632045,
        5.769497221460691,
        4.630337846156546,
        1.4234371107496835,
    ],
    [
        1.0507500716444169e-09,
        0.0005475938084995345,
        0.015198666563616457,
        0.14810397642748008,
        0.6897673349851,
        1.6763848301838038,
        2.053191626637759,
        1.0,
    ],
);

/// Numerator and denominator for tail probabilities p below e^-25, as functions of sqrt(-ln p) - 5.
pub const TAIL: ([f64; 8], [f64; 8]) = (
    [
        2.0103343992922881e-07,
        2.7115555687434876e-05,
        0.0012426609473880784,
        0.026532189526576124,
        0.29656057182850487,
        1.7848265399172913,
        5.463784911164114,
        6.657904643501103,
    ],
    [
        2.0442631033899397e-15,
        1.421511758316446e-07,
        1.8463183175100548e-05,
        0.0007868691311456133,
        0.014875361290850615,
        0.1369298809227358,
        0.599832206555888,
        1.0,
    ],
);

fn horner(coefficients: &[f64; 8], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, c| sum * x + c)
}

/// The standard normal quantile from `centred` = p - 1/2 and `tail` = min(p, 1 - p), which callers pass separately to
/// avoid rounding.
pub(super) fn standard_quantile(centred: f64, tail: f64) -> f64 {
    if centred.abs() <= 0.425 {
        let r = 0.180625 - centred * centred;
        return centred * horner(&CENTRAL.0, r) / horner(&CENTRAL.1, r);
    }
    if tail == 0.0 {
        return f64::INFINITY.copysign(centred);
    }
    let r = (-tail.ln()).sqrt();
    let (r, (numerator, denominator)) = if r <= 5.0 { (r - 1.6, &MIDDLE) } else { (r - 5.0, &TAIL) };
    (horner(numerator, r) / horner(denominator, r)).copysign(centred)
}
