//! The standard normal distribution between two bounds.
//!
//! The mass between the bounds is written as S φ(e), where e is the bound nearer to 0, or 0 if the bounds have opposite
//! signs. S has no exponential decay. Far from 0, and for bounds that are close together, it is an integral with a
//! positive integrand, so that nothing cancels.

use super::erf::{erf, erfc};
use super::normal::{normal_cdf, normal_icdf_of_log, normal_log_cdf};
use super::normal_quantile::standard_quantile;
use super::quadrature::legendre;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Bounds with opposite signs that are closer than this are treated by quadrature.
const CLOSE: f64 = 4.0;

/// The decrease of the exponent at which the integrand is cut off.
const CUTOFF: f64 = 40.0;

/// ln sqrt(2 pi)
const HALF_LOG_TAU: f64 = 0.918_938_533_204_672_7;

/// Whether the bounds are in order. Otherwise, or if one of them is NaN, there is no mass between them.
fn in_order(low: f64, high: f64) -> bool {
    low < high
}

/// The integral of e^(-start s - s^2 / 2) g(s) over 0 < s < width, for start >= -4. It is cut off where the integrand
/// is negligible.
fn integral(start: f64, width: f64, g: impl Fn(f64) -> f64) -> f64 {
    // The root of the quadratic equation without cancellation.
    let end = width.min(2.0 * CUTOFF / ((start * start + 2.0 * CUTOFF).sqrt() + start));
    legendre(0.0, end, |s| (-s * (start + 0.5 * s)).exp() * g(s))
}

/// S and e for two bounds in order.
fn scaled_mass(low: f64, high: f64) -> (f64, f64) {
    if low >= 0.0 {
        (integral(low, high - low, |_| 1.0), low)
    } else if high <= 0.0 {
        (integral(-high, high - low, |_| 1.0), high)
    } else {
        ((0.5 * PI).sqrt() * (erf(high * FRAC_1_SQRT_2) - erf(low * FRAC_1_SQRT_2)), 0.0)
    }
}

/// (a^2 - b^2) / 2
fn half_square_difference(a: f64, b: f64) -> f64 {
    0.5 * (a - b) * (a + b)
}

/// ln P(low < Z < high) for a standard normal Z.
///
/// Domain: low < high; anything else gives NaN. Error below 1e-14 * max(1, |result|), also far from 0 and for close
/// bounds.
///
/// ```
/// # use stochgrad_tensor::special::normal_log_mass;
/// assert!((normal_log_mass(40.0, 41.0) + 804.6084420137538).abs() < 1e-12);
/// ```
pub fn normal_log_mass(low: f64, high: f64) -> f64 {
    if !in_order(low, high) {
        return f64::NAN;
    }
    let outside = normal_cdf(low) + normal_cdf(-high);
    if outside < 0.5 {
        return (-outside).ln_1p();
    }
    let (mass, edge) = scaled_mass(low, high);
    mass.ln() - 0.5 * edge * edge - HALF_LOG_TAU
}

/// ln of P(low < Z < high) divided by the standard normal density at the bound nearer to 0, or at 0 if the bounds have
/// opposite signs.
///
/// Domain and error: those of [`normal_log_mass`].
pub fn normal_log_scaled_mass(low: f64, high: f64) -> f64 {
    if in_order(low, high) { scaled_mass(low, high).0.ln() } else { f64::NAN }
}

/// ln of P(low < Z < high) divided by the standard normal density at `low`. For the density at `high`, call the
/// function with -high and -low.
///
/// Domain and error: those of [`normal_log_mass`].
pub fn normal_log_mass_over_density(low: f64, high: f64) -> f64 {
    if !in_order(low, high) {
        return f64::NAN;
    }
    let (mass, edge) = scaled_mass(low, high);
    mass.ln() + half_square_difference(low, edge)
}

/// The standard normal density at `low` divided by P(low < Z < high), minus `low` where that is positive: minus the
/// derivative of [`normal_log_scaled_mass`] with respect to `low`. For the one with respect to `high`, call the function
/// with -high and -low; the sign changes.
///
/// Domain: that of [`normal_log_mass`]. Relative error below 1e-13: far from 0, where the density divided by the mass
/// is nearly `low`, nothing is subtracted.
///
/// ```
/// # use stochgrad_tensor::special::normal_hazard_at_edge;
/// assert!((normal_hazard_at_edge(1e6, f64::INFINITY) * 1e6 - 1.0).abs() < 1e-11);
/// ```
pub fn normal_hazard_at_edge(low: f64, high: f64) -> f64 {
    if !in_order(low, high) || low <= 0.0 {
        return (-normal_log_mass_over_density(low, high)).exp();
    }
    // With I, the integral of e^(-low s - s^2 / 2), this is (1 - low I) / I, and the numerator is an integral by parts.
    let width = high - low;
    let beyond = (-width * (low + 0.5 * width)).exp();
    (beyond + integral(low, width, |s| s)) / integral(low, width, |_| 1.0)
}

/// P(Z < z | low < Z < high) for a standard normal Z.
///
/// Domain: low < high, and any z, which is clamped to the bounds; anything else gives NaN. Relative error below
/// 1e-13.
pub fn truncated_normal_cdf(z: f64, low: f64, high: f64) -> f64 {
    if z.is_nan() || !in_order(low, high) {
        f64::NAN
    } else if z <= low {
        0.0
    } else if z >= high {
        1.0
    } else {
        let ((part, at), (mass, edge)) = (scaled_mass(low, z), scaled_mass(low, high));
        (part / mass * half_square_difference(edge, at).exp()).min(1.0)
    }
}

/// The z with P(Z < z | low < Z < high) = u.
///
/// Domain: low < high, 0 <= u <= 1; anything else gives NaN. Error below 1e-13 * max(1, |result|).
pub fn truncated_normal_icdf(u: f64, low: f64, high: f64) -> f64 {
    TruncatedQuantile::new((low, high)).at(u)
}

/// The quantile function [`truncated_normal_icdf`] for fixed bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TruncatedQuantile {
    low: f64,
    high: f64,
    side: Side,
}

/// The position of the bounds relative to 0, and the quantities that depend on the bounds alone.
#[derive(Clone, Copy, Debug)]
enum Side {
    /// The bounds are not in order: there is no mass.
    Nowhere,
    /// Both below 0, or both above by symmetry: the logarithms of the lower tails at the bounds far from and near to 0.
    Tail { far: f64, near: f64, mirrored: bool },
    /// On either side of 0: one half of erf at the bounds, and the probabilities of the tails outside of them.
    Across { centred: [f64; 2], below: f64, above: f64 },
}

impl TruncatedQuantile {
    pub(crate) fn new((low, high): (f64, f64)) -> Self {
        let tail = |far: f64, near: f64, mirrored| Side::Tail {
            far: normal_log_cdf(far),
            near: normal_log_cdf(near),
            mirrored,
        };
        let side = if !in_order(low, high) {
            Side::Nowhere
        } else if low > 0.0 {
            tail(-high, -low, true)
        } else if high < 0.0 {
            tail(low, high, false)
        } else {
            let centred = [low, high].map(|bound| 0.5 * erf(bound * FRAC_1_SQRT_2));
            Side::Across { centred, below: normal_cdf(low), above: normal_cdf(-high) }
        };
        TruncatedQuantile { low, high, side }
    }

    pub(crate) fn at(&self, u: f64) -> f64 {
        if !(0.0..=1.0).contains(&u) {
            return f64::NAN;
        }
        let z = match self.side {
            Side::Nowhere => return f64::NAN,
            Side::Tail { far, near, mirrored: true } => -lower_quantile(1.0 - u, far, near),
            Side::Tail { far, near, mirrored: false } => lower_quantile(u, far, near),
            Side::Across { centred, below, above } => {
                // The probability minus one half near the middle, else that of the tail on its side: neither cancels.
                let centred = centred[0] * (1.0 - u) + centred[1] * u;
                let tail = if centred < 0.0 {
                    below * (1.0 - u) + (1.0 - above) * u
                } else {
                    above * u + (1.0 - below) * (1.0 - u)
                };
                standard_quantile(centred, tail)
            }
        };
        z.clamp(self.low, self.high)
    }
}

/// The quantile between bounds below 0, from the logarithms of the lower tails at the bounds far from and near to 0.
fn lower_quantile(u: f64, far: f64, near: f64) -> f64 {
    // The probability divided by that of the near bound: u + (1 - u) e^(far - near).
    let share = u + (1.0 - u) * (far - near).exp();
    let log_share = if share < 0.5 { share.ln() } else { ((1.0 - u) * (far - near).exp_m1()).ln_1p() };
    normal_icdf_of_log((near + log_share).min(0.0))
}

/// The mean distance of a standard normal variate between two bounds from the lower one.
///
/// Domain: low < high; anything else gives NaN. Relative error below 1e-13 for low > -4, also far from 0, where the
/// difference of the mean and the bound would cancel; below, absolute error below 1e-13.
///
/// ```
/// # use stochgrad_tensor::special::truncated_normal_excess;
/// // Far out, the variate is exponential.
/// assert!((truncated_normal_excess(1e6, 1e10) * 1e6 - 1.0).abs() < 1e-11);
/// ```
pub fn truncated_normal_excess(low: f64, high: f64) -> f64 {
    if !in_order(low, high) {
        return f64::NAN;
    }
    let width = high - low;
    if low >= 0.0 || (low > -4.0 && width <= CLOSE) {
        return integral(low, width, |s| s) / integral(low, width, |_| 1.0);
    }
    truncated_normal_moments(low, high).0 - low
}

/// The mean and the variance of a standard normal variate between two bounds.
///
/// Domain: low < high; anything else gives NaN. The error is below 1e-13 times the distance of the bounds, or below
/// 1e-13 if they are far apart.
pub fn truncated_normal_moments(low: f64, high: f64) -> (f64, f64) {
    if !in_order(low, high) {
        return (f64::NAN, f64::NAN);
    }
    let width = high - low;
    let from = |start: f64| {
        let mass = integral(start, width, |_| 1.0);
        let mean = integral(start, width, |s| s) / mass;
        (mean, integral(start, width, |s| (s - mean) * (s - mean)) / mass)
    };
    if low >= 0.0 || (width <= CLOSE && high >= -low) {
        let (distance, variance) = from(low);
        (low + distance, variance)
    } else if high <= 0.0 || width <= CLOSE {
        let (distance, variance) = from(-high);
        (high - distance, variance)
    } else {
        let mass = 0.5 * (erfc(low * FRAC_1_SQRT_2) - erfc(high * FRAC_1_SQRT_2));
        let share = |z: f64| if z.abs() < 40.0 { (-0.5 * z * z - HALF_LOG_TAU).exp() / mass } else { 0.0 };
        let (at_low, at_high) = (share(low), share(high));
        let weighted = |z: f64, share: f64| if share == 0.0 { 0.0 } else { z * share };
        let mean = at_low - at_high;
        (mean, 1.0 + weighted(low, at_low) - weighted(high, at_high) - mean * mean)
    }
}

#[cfg(test)]
mod tests {
    use super::super::assertions::{assert_near, assert_relative};
    use super::*;

    /// Bounds, ln of the mass between them, ln of it over the density at the lower one, mean, variance; from mpmath at
    /// 60 digits.
    const GOLDEN: [(f64, f64, f64, f64, f64, f64); 15] = [
        (-1.0, 2.5, -0.18016179387054712, 1.2387767393341256, 0.2687498456249214, 0.5855636404906001),
        (-0.9, 1.5, -0.2888391771267539, 1.035099356077919, 0.18230102501855472, 0.3877592607372328),
        (8.0, 9.0, -35.01361859343715, -2.0946800602324753, 8.121188992979796, 0.014148542782748111),
        (40.0, 41.0, -804.6084420137538, -3.6895034805491154, 40.02496884720726, 0.0006226683785913863),
        (-41.0, -40.0, -804.6084420137538, 36.810496519450886, -40.02496884720726, 0.0006226683785913863),
        (-60.0, -42.0, -886.6571742437295, 914.2617642894752, -42.023782605081536, 0.0005649742710569702),
        (-1e-08, 1e-08, -18.646472096597094, -17.72753356339242, 0.0, 3.3333333333333335e-17),
        (8.0, 8.000000001, -53.642204291410714, -20.723265758206043, 8.0000000005, 8.333334712339574e-20),
        (-30.0, 1.0, -0.17275377902344988, 450.74618475418123, -0.2875999709391784, 0.6296862857766053),
        (-0.3, 50.0, -0.4814101615884812, 0.48252837161619155, 0.6172208536127345, 0.4338721617817471),
        (0.0, 3.0, -0.6958506276454213, 0.22308790555925148, 0.7911568260634168, 0.34740780123580195),
        (-5.0, -0.1, -0.7761552156529192, 12.642783317551753, -0.8626147780832809, 0.3421413915609366),
        (200.0, 300.0, -20006.21728089819, -5.2983423649857295, 200.00499975003123, 2.499625078104772e-05),
        (-10000000000.0, 0.5, -0.3689464152886564, 5e+19, -0.5091604338370335, 0.4861754356963671),
        (3.0, 10000000000.0, -6.607726221510349, -1.1887876883056767, 3.2830986549304364, 0.07055918678526811),
    ];

    /// Bounds, a probability, its quantile; from mpmath at 60 digits.
    const QUANTILES: [(f64, f64, f64, f64); 60] = [
        (-1.0, 2.5, 1e-06, -0.9999965486170229),
        (-1.0, 2.5, 0.3, -0.22961421976194582),
        (-1.0, 2.5, 0.5, 0.1922397489079754),
        (-1.0, 2.5, 0.97, 1.862536997451395),
        (-0.9, 1.5, 1e-06, -0.8999971846176195),
        (-0.9, 1.5, 0.3, -0.23063309478179658),
        (-0.9, 1.5, 0.5, 0.14748771471918473),
        (-0.9, 1.5, 0.97, 1.345194713606836),
        (8.0, 9.0, 1e-06, 8.000000123109686),
        (8.0, 9.0, 0.3, 8.04379213039024),
        (8.0, 9.0, 0.5, 8.084888899018166),
        (8.0, 9.0, 0.97, 8.420323203623317),
        (40.0, 41.0, 1e-06, 40.000000024984416),
        (40.0, 41.0, 0.3, 40.00891031978351),
        (40.0, 41.0, 0.5, 40.01731412676465),
        (40.0, 41.0, 0.97, 40.08751364610678),
        (-41.0, -40.0, 1e-06, -40.34369753494244),
        (-41.0, -40.0, 0.3, -40.03006925527461),
        (-41.0, -40.0, 0.5, -40.01731412676465),
        (-41.0, -40.0, 0.97, -40.00076099792163),
        (-60.0, -42.0, 1e-06, -42.32747931038421),
        (-60.0, -42.0, 0.3, -42.02864004226444),
        (-60.0, -42.0, 0.5, -42.01649093058755),
        (-60.0, -42.0, 0.97, -42.00072480255407),
        (-1e-08, 1e-08, 1e-06, -9.99998e-09),
        (-1e-08, 1e-08, 0.3, -4e-09),
        (-1e-08, 1e-08, 0.5, 9.749241280592144e-62),
        (-1e-08, 1e-08, 0.97, 9.4e-09),
        (8.0, 8.000000001, 1e-06, 8.000000000000002),
        (8.0, 8.000000001, 0.3, 8.0000000003),
        (8.0, 8.000000001, 0.5, 8.0000000005),
        (8.0, 8.000000001, 0.97, 8.00000000097),
        (-30.0, 1.0, 1e-06, -4.788217827046909),
        (-30.0, 1.0, 0.3, -0.6669456542121793),
        (-30.0, 1.0, 0.5, -0.20017368616689094),
        (-30.0, 1.0, 0.97, 0.9006185041857893),
        (-0.3, 50.0, 1e-06, -0.299998379834785),
        (-0.3, 50.0, 0.3, 0.16991626301944954),
        (-0.3, 50.0, 0.5, 0.49881258303217013),
        (-0.3, 50.0, 0.97, 2.0849406814660756),
        (0.0, 3.0, 1e-06, 1.249930444741873e-06),
        (0.0, 3.0, 0.3, 0.3842273635488099),
        (0.0, 3.0, 0.5, 0.6723672950630587),
        (0.0, 3.0, 0.97, 2.1367442083744685),
        (-5.0, -0.1, 1e-06, -4.812083808240796),
        (-5.0, -0.1, 0.3, -1.0891138138985468),
        (-5.0, -0.1, 0.5, -0.7385629164056152),
        (-5.0, -0.1, 0.97, -0.13484552234023164),
        (200.0, 300.0, 1e-06, 200.0000000049999),
        (200.0, 300.0, 0.3, 200.00178332218846),
        (200.0, 300.0, 0.5, 200.0034656192411),
        (200.0, 300.0, 0.97, 200.01753158284714),
        (-10000000000.0, 0.5, 1e-06, -4.827449859055254),
        (-10000000000.0, 0.5, 0.3, -0.8153404223342351),
        (-10000000000.0, 0.5, 0.5, -0.39687117508954456),
        (-10000000000.0, 0.5, 0.97, 0.44189826648964725),
        (3.0, 10000000000.0, 1e-06, 3.0000003045904378),
        (3.0, 10000000000.0, 0.3, 3.107016696637142),
        (3.0, 10000000000.0, 0.5, 3.2051549205989334),
        (3.0, 10000000000.0, 0.97, 3.941440042973519),
    ];

    /// From mpmath at 900 digits.
    #[test]
    fn distances_of_the_mean_from_the_lower_bound() {
        for (low, high, expected) in [
            (4000.0, 1e10, 0.0002499999687500098),
            (8.0, 9.0, 0.12118899297979712),
            (-1.0, 2.5, 1.2687498456249214),
            (0.5, 0.50001, 4.999995833268912e-6),
            (-3.0, -2.5, 0.3051277378227137),
            (-41.0, -40.0, 0.9750311527927363),
        ] {
            assert_relative(&format!("{low}, {high}"), truncated_normal_excess(low, high), expected, 1e-12);
        }
        assert!(truncated_normal_excess(1.0, 1.0).is_nan());
    }

    #[test]
    fn hazards_at_the_edge_keep_their_digits() {
        // From mpmath at 40 digits.
        let cases = [
            (40.0, f64::INFINITY, 0.024968847207263723),
            (1e3, f64::INFINITY, 0.0009999980000099999),
            (4e3, f64::INFINITY, 0.0002499999687500098),
            (2.0, 2.5, 1.2641743274679155),
            (0.3, 0.301, 999.850174179168),
        ];
        for (low, high, expected) in cases {
            assert_relative(&format!("at {low} and {high}"), normal_hazard_at_edge(low, high), expected, 1e-12);
        }
        assert!(normal_hazard_at_edge(2.0, 1.0).is_nan());
    }

    #[test]
    fn masses_and_moments_match_mpmath() {
        for (low, high, log_mass, over_density, mean, variance) in GOLDEN {
            let what = format!("between {low} and {high}");
            assert_near(&what, normal_log_mass(low, high), log_mass, 1e-14);
            assert_near(&what, normal_log_mass_over_density(low, high), over_density, 1e-14);
            let edge = low.max(0.0) + high.min(0.0);
            let rest = normal_log_scaled_mass(low, high) - 0.5 * edge * edge - HALF_LOG_TAU;
            assert_near(&what, rest, log_mass, 1e-14);
            let (got_mean, got_variance) = truncated_normal_moments(low, high);
            let scale = (high - low).min(1.0);
            assert!(
                (got_mean - mean).abs() < 1e-13 * scale.max(mean.abs() * 1e-2),
                "{what}: mean {got_mean}, expected {mean}"
            );
            assert_relative(&what, got_variance, variance, 1e-12);
        }
    }

    #[test]
    fn quantiles_and_probabilities_match_mpmath() {
        for (low, high, u, z) in QUANTILES {
            let what = format!("{u} between {low} and {high}");
            assert_near(&what, truncated_normal_icdf(u, low, high), z, 1e-13);
            // The effect of the rounding of z on the probability.
            let steepness = (z.abs() + 1.0 / (high - low)) * z.abs().max(1.0);
            assert_relative(&what, truncated_normal_cdf(z, low, high), u, 1e-13 + 1e-15 * steepness / u);
        }
    }

    #[test]
    fn ends_and_domains() {
        let inf = f64::INFINITY;
        assert_eq!((truncated_normal_cdf(-3.0, -1.0, 2.0), truncated_normal_cdf(3.0, -1.0, 2.0)), (0.0, 1.0));
        assert_eq!((truncated_normal_icdf(0.0, -1.0, 2.0), truncated_normal_icdf(1.0, -1.0, 2.0)), (-1.0, 2.0));
        assert_eq!((normal_log_mass(-inf, inf), truncated_normal_moments(-inf, inf)), (0.0, (0.0, 1.0)));
        assert_relative("half", normal_log_mass(0.0, inf), -std::f64::consts::LN_2, 1e-15);
        assert!(normal_log_mass(1.0, 1.0).is_nan() && normal_log_mass_over_density(2.0, 1.0).is_nan());
        assert!(truncated_normal_cdf(f64::NAN, 0.0, 1.0).is_nan() && truncated_normal_icdf(1.5, 0.0, 1.0).is_nan());
        assert!(truncated_normal_moments(f64::NAN, 1.0).0.is_nan());
    }
}
