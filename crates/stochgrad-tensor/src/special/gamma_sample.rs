//! The derivative of a gamma sample with respect to its shape: implicit reparameterisation.
//!
//! If P(a, z) is constant, dz/da = -(dP/da) / p(z; a). The derivative dP/da is the integral of (ln t - digamma(a)) p(t;
//! a) over t < z, and also minus the integral over t > z. On one of the two sides the integrand has a constant sign, so
//! that the integral over that side has no cancellation.

use super::gamma::{digamma, digamma_minus_log};
use super::incomplete_gamma::{LARGE_SHAPE, Part, SMALL_ARGUMENT, lower_series};
use super::quadrature::{Side, gamma_tail};
use super::saddle_point::log_gamma_kernel;

/// digamma(a) - ln z, with a small absolute error for large a and z that are close to each other.
fn digamma_minus_log_of(a: f64, z: f64, log_z: f64) -> f64 {
    if a < 10.0 {
        return digamma(a) - log_z;
    }
    let ratio = (z - a) / a;
    let log_ratio = if ratio.abs() < 0.5 { ratio.ln_1p() } else { log_z - a.ln() };
    digamma_minus_log(a) - log_ratio
}

/// d ln z / d a at constant P(a, z), for 0 <= z < infinity and log_z = ln z.
pub(super) fn log_derivative(a: f64, z: f64, log_z: f64) -> f64 {
    if z > a.max(SMALL_ARGUMENT) {
        let tail = gamma_tail(a, z, Side::Upper);
        tail.moment - digamma_minus_log_of(a, z, log_z) * tail.mass
    } else if a >= LARGE_SHAPE {
        let tail = gamma_tail(a, z, Side::Lower);
        digamma_minus_log_of(a, z, log_z) * tail.mass + tail.moment
    } else {
        // digamma(a) = digamma(1 + a) - 1/a. The 1/a is factored out, which keeps the digits for small a.
        let (sum, derivative) = lower_series(a, z);
        ((digamma(1.0 + a) - log_z) * sum + derivative) / a
    }
}

/// The derivative dz/da of a Gamma(a, rate 1) sample z at a constant value of its distribution function. It is
/// -(dP(a, z)/da) / p(z; a), which is positive.
///
/// Domain: finite a > 0 and z >= 0; anything else gives NaN. The result is 0 at z = 0 and +inf at z = +inf, the limits.
/// Relative error below 1e-12 for a in [1e-3, 1e8], in the bulk and in both tails. For a sample with rate b, divide the
/// sample and its derivative by b. For small a, where z underflows, use [`gamma_log_sample_derivative`].
///
/// Source: Figurnov, Mohamed & Mnih, "Implicit reparameterization gradients", 2018; power series for a < 30 and z <=
/// max(a, 1.5), otherwise quadrature.
///
/// ```
/// # use stochgrad_tensor::special::gamma_sample_derivative;
/// assert!((gamma_sample_derivative(1.0, 1.0) - 1.17356302722473).abs() < 1e-13);
/// ```
pub fn gamma_sample_derivative(a: f64, z: f64) -> f64 {
    if !(a > 0.0 && a < f64::INFINITY && z >= 0.0) {
        f64::NAN
    } else if z == 0.0 || z == f64::INFINITY {
        z
    } else {
        z * log_derivative(a, z, z.ln())
    }
}

/// d ln z / d a of a Gamma(a, rate 1) sample given by its logarithm, at a constant value of the distribution function.
///
/// It is `gamma_sample_derivative(a, z) / z`, and stays finite if z = e^log_z underflows, as it does for most samples
/// with small a. In this case it tends to (digamma(1 + a) - log_z) / a.
///
/// Domain: finite a > 0 and any log_z; anything else gives NaN. log_z = -inf gives +inf, and log_z so large that z
/// overflows gives 0, the limits. Relative error as for [`gamma_sample_derivative`], plus that of z = e^log_z.
pub fn gamma_log_sample_derivative(a: f64, log_z: f64) -> f64 {
    if !(a > 0.0 && a < f64::INFINITY) || log_z.is_nan() {
        return f64::NAN;
    }
    let z = log_z.exp();
    if z == f64::INFINITY { 0.0 } else { log_derivative(a, z, log_z) }
}

/// The derivative of the regularised incomplete gamma function P(a, x) with respect to its shape a. It is negative.
///
/// Domain: finite a > 0 and x >= 0; anything else gives NaN. At x = 0 and x = +inf it is 0. Relative error below 1e-12
/// for a in [1e-3, 1e8], as long as the result is a normal float.
pub fn gamma_p_derivative_a(a: f64, x: f64) -> f64 {
    if !(a > 0.0 && a < f64::INFINITY && x >= 0.0) {
        f64::NAN
    } else if x == 0.0 || x == f64::INFINITY {
        0.0
    } else {
        // Below this shape the result does not depend on it, but 1 / a would overflow.
        let a = a.max(1e-290);
        -log_derivative(a, x, x.ln()) * log_gamma_kernel(a, x).exp()
    }
}

/// The derivative of ln P(a, x) with respect to the shape a.
///
/// Domain: finite a > 0 and x >= 0; anything else gives NaN. It is -inf at x = 0 and 0 at x = +inf. Relative error below
/// 1e-12, also where P underflows.
pub fn log_gamma_p_derivative_a(a: f64, x: f64) -> f64 {
    if !(a > 0.0 && a < f64::INFINITY && x >= 0.0) {
        f64::NAN
    } else if x == 0.0 || x == f64::INFINITY {
        if x == 0.0 { f64::NEG_INFINITY } else { 0.0 }
    } else {
        let a = a.max(1e-290);
        -log_derivative(a, x, x.ln()) / Part::of(a, x).over_density(true, a, x)
    }
}

/// The derivative of ln Q(a, x) with respect to the shape a.
///
/// Domain: finite a > 0 and x >= 0; anything else gives NaN. It is 0 at x = 0 and +inf at x = +inf. Relative error below
/// 1e-12, also where Q underflows.
pub fn log_gamma_q_derivative_a(a: f64, x: f64) -> f64 {
    if !(a > 0.0 && a < f64::INFINITY && x >= 0.0) {
        f64::NAN
    } else if x == 0.0 || x == f64::INFINITY {
        x
    } else {
        let a = a.max(1e-290);
        log_derivative(a, x, x.ln()) / Part::of(a, x).over_density(false, a, x)
    }
}

#[cfg(test)]
mod tests {
    use super::super::assertions::{POSITIVE, assert_relative};
    use super::super::{gamma_p, gamma_p_inverse, gamma_q};
    use super::*;

    /// a, z, dz/da, dP(a, z)/da, from mpmath at 40 digits.
    const GOLDEN: [(f64, f64, f64, f64); 37] = [
        (0.001, 1e-300, 6.901999559664034e-295, -346.11884978531333),
        (0.001, 1e-20, 4.547612992807061e-16, -43.45440654697291),
        (0.001, 0.1, 201.605515954162, -1.8210559392083066),
        (0.001, 0.56, 483.92919060106925, -0.4936139164423546),
        (0.001, 1.49, 672.3008216078466, -0.1017892949902457),
        (0.001, 1.51, 674.7228207636672, -0.09880822231028658),
        (0.001, 30.0, 972.6052615379465, -3.0458488566425612e-15),
        (0.1, 1e-05, 0.0011089279600203115, -3.68602534267484),
        (0.1, 0.6, 5.545950140180663, -0.5066668289964136),
        (0.1, 8.0, 11.441119384612607, -6.208561677529144e-05),
        (0.5, 0.2, 0.7940505663308434, -0.8201614064863388),
        (0.5, 1.4, 2.1760499577157453, -0.25586897703044087),
        (0.5, 5.0, 3.4371236749969896, -0.005843362259135279),
        (1.0, 1e-05, 0.00011935771978830515, -0.00011935652621707514),
        (1.0, 1.6, 1.4747072694466965, -0.2977382627626941),
        (1.0, 30.0, 4.010702785322668, -3.7530644505126664e-13),
        (2.5, 0.3, 0.30557287974671365, -0.02798157427941372),
        (2.5, 2.49, 1.0665267738211108, -0.2613613250790451),
        (2.5, 2.51, 1.070813487683795, -0.26032091716968975),
        (2.5, 20.0, 2.523686002451174, -3.499890642552943e-07),
        (9.99, 7.0, 0.8466195929793849, -0.08611369832347815),
        (10.0, 14.0, 1.1974228977739496, -0.05669099771532573),
        (29.9, 29.5, 0.9988356897681553, -0.07345728494864626),
        (30.0, 5.0, 0.3601512192440773, -5.112152319361643e-14),
        (30.0, 29.5, 0.9971467809303334, -0.073345169841069),
        (30.0, 30.1, 1.0072478434208512, -0.07290578540735246),
        (30.0, 80.0, 1.577814091050526, -4.983885779415345e-11),
        (100.0, 20.0, 0.402977131123843, -5.641007519768254e-37),
        (100.0, 99.6, 0.9996623064146306, -0.03997548747949831),
        (100.0, 200.0, 1.388571425395741, -1.305081878198382e-15),
        (1000.0, 700.0, 0.8323796684433714, -3.65158894415994e-27),
        (1000.0, 1300.0, 1.137100885546744, -4.98582758314972e-19),
        (10000.0, 9999.9, 1.0000116667333216, -0.003989474002116097),
        (100000.0, 97000.0, 0.9848493500359473, -1.4600916136645496e-23),
        (100000.0, 99999.0, 0.9999966666433332, -0.0012615673123003161),
        (100000.0, 100000.5, 1.0000041666683332, -0.0012615625814593624),
        (100000.0, 102500.0, 1.0123988035011737, -5.570214005406893e-17),
    ];

    /// a, ln z, d ln z / d a for z that underflows, from mpmath at 40 digits.
    const TINY: [(f64, f64, f64); 4] = [
        (0.001, -800.0, 799424.4280681896),
        (0.001, -5000.0, 4999424.42806819),
        (0.01, -750.0, 74943.91145421313),
        (1e-06, -10000000.0, 9999999422785.98),
    ];

    #[test]
    fn derivatives_match_mpmath() {
        for (a, z, derivative, of_probability) in GOLDEN {
            let at = format!("a = {a}, z = {z}");
            assert_relative(&at, gamma_sample_derivative(a, z), derivative, 1e-12);
            assert_relative(&at, gamma_p_derivative_a(a, z), of_probability, 1e-12);
            assert_relative(&at, gamma_log_sample_derivative(a, z.ln()), derivative / z, 1e-11);
        }
    }

    #[test]
    fn derivatives_match_published_values() {
        let published = [
            (0.1, 1e-4, 0.0087874669007225),
            (1.0, 1.0, 1.17356302722473),
            (2.0, 1.5, 0.936639067877217),
            (100.0, 95.0, 0.976198311218707),
        ];
        for (a, z, expected) in published {
            assert_relative(&format!("a = {a}, z = {z}"), gamma_sample_derivative(a, z), expected, 2e-14);
        }
    }

    #[test]
    fn log_derivative_survives_underflow() {
        for (a, log_z, expected) in TINY {
            assert_relative(
                &format!("a = {a}, ln z = {log_z}"),
                gamma_log_sample_derivative(a, log_z),
                expected,
                1e-14,
            );
        }
    }

    #[test]
    fn derivatives_match_differences() {
        for a in [0.05, 0.7, 1.0, 4.0, 29.0, 31.0, 500.0] {
            for p in [0.01, 0.4, 0.6, 0.99] {
                let h = 1e-5 * a;
                let z = gamma_p_inverse(a, p);
                let sample = (gamma_p_inverse(a + h, p) - gamma_p_inverse(a - h, p)) / (2.0 * h);
                assert_relative(&format!("sample at {a}, {p}"), gamma_sample_derivative(a, z), sample, 1e-5);
                // The smaller part, so that the difference keeps its digits.
                let part = |a: f64| {
                    if p < 0.5 { gamma_p(a, z) } else { -gamma_q(a, z) }
                };
                let probability = (part(a + h) - part(a - h)) / (2.0 * h);
                assert_relative(&format!("probability at {a}, {p}"), gamma_p_derivative_a(a, z), probability, 1e-5);
            }
        }
    }

    #[test]
    fn methods_agree_where_they_meet() {
        for z in [1.0, 20.0, 29.5, 30.5, 60.0] {
            let (below, above) =
                (gamma_sample_derivative(LARGE_SHAPE.next_down(), z), gamma_sample_derivative(LARGE_SHAPE, z));
            assert_relative(&format!("z = {z}"), below, above, 1e-13);
        }
        for a in [1e-3_f64, 0.2, 1.4, 5.0, 29.0, 40.0, 1e5] {
            let z = a.max(SMALL_ARGUMENT);
            let (below, above) = (gamma_sample_derivative(a, z), gamma_sample_derivative(a, z.next_up()));
            assert_relative(&format!("a = {a}"), below, above, 1e-13);
        }
    }

    #[test]
    fn edges_and_domain_are_as_documented() {
        let inf = f64::INFINITY;
        assert_eq!((gamma_sample_derivative(2.0, 0.0), gamma_sample_derivative(2.0, inf)), (0.0, inf));
        assert_eq!((gamma_log_sample_derivative(2.0, -inf), gamma_log_sample_derivative(2.0, 1e3)), (inf, 0.0));
        assert_eq!((gamma_p_derivative_a(2.0, 0.0), gamma_p_derivative_a(2.0, inf)), (0.0, 0.0));
        for (a, z) in [(0.0, 1.0), (-1.0, 1.0), (inf, 1.0), (f64::NAN, 1.0), (1.0, f64::NAN)] {
            for f in [gamma_sample_derivative, gamma_log_sample_derivative, gamma_p_derivative_a] {
                assert!(f(a, z).is_nan(), "a = {a}, z = {z}");
            }
        }
        assert!(gamma_sample_derivative(1.0, -1.0).is_nan() && gamma_p_derivative_a(1.0, -1.0).is_nan());
    }

    #[test]
    fn signs_hold_over_the_whole_range() {
        for a in POSITIVE {
            let around = [-3.0, -0.5, 0.0, 0.5, 3.0].map(|k| (a + k * a.sqrt()).max(0.0));
            for z in POSITIVE.into_iter().chain(around) {
                assert!(gamma_sample_derivative(a, z) >= 0.0, "a = {a:e}, z = {z:e}");
                assert!(gamma_p_derivative_a(a, z) <= 0.0, "a = {a:e}, z = {z:e}");
                for log_z in [z, -z] {
                    assert!(gamma_log_sample_derivative(a, log_z) >= 0.0, "a = {a:e}, ln z = {log_z:e}");
                }
            }
        }
    }
}
