//! The derivative of a gamma sample with respect to its shape: implicit reparameterisation.
//!
//! If P(a, z) is constant, dz/da = -(dP/da) / p(z; a). The derivative dP/da is the integral of (ln t - digamma(a)) p(t;
//! a) over t < z, and also minus the integral over t > z. On one of the two sides the integrand has a constant sign, so
//! that the integral over that side has no cancellation.

use super::gamma::{digamma, digamma_minus_log, trigamma};
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

/// The sum of t_n = x^n / ((a + 1) ... (a + n)) over n >= 0, minus its first derivative with respect to a, its second
/// derivative, and its derivative with respect to ln x. All terms of all of them are positive.
fn lower_series_twice(a: f64, x: f64) -> [f64; 4] {
    let (mut term, mut harmonic, mut squares) = (1.0, 0.0, 0.0);
    let [mut sum, mut first, mut second, mut slope] = [1.0, 0.0, 0.0, 0.0];
    let mut n = 1.0;
    loop {
        let part = 1.0 / (a + n);
        term *= x * part;
        harmonic += part;
        squares += part * part;
        sum += term;
        first += term * harmonic;
        second += term * (harmonic * harmonic + squares);
        slope += term * n;
        if term * (n + harmonic * harmonic + squares) <= 1e-17 * second.min(slope) || n > 1000.0 {
            return [sum, first, second, slope];
        }
        n += 1.0;
    }
}

/// d² ln z / d a² at constant P(a, z), for 0 <= z < infinity and log_z = ln z.
///
/// With y = ln z, the density q = e^-z z^a / gamma(a) of y and v = dy/da, differentiating P(a, e^y(a)) twice gives
/// y'' = -P_aa / q - 2 (y - digamma(a)) v - (a - z) v². The parts of P_aa / q are the moments of the tails; what cancels
/// exactly has been left out.
fn second_log_derivative(a: f64, z: f64, log_z: f64) -> f64 {
    let upper = z > a.max(SMALL_ARGUMENT);
    // At z = 0, the series has its first term only, and the tail of the quadrature is empty.
    if upper || (a >= LARGE_SHAPE && z > 0.0) {
        let tail = gamma_tail(a, z, if upper { Side::Upper } else { Side::Lower });
        let gap = digamma_minus_log_of(a, z, log_z);
        let (sign, outward) = if upper { (1.0, z - a) } else { (-1.0, a - z) };
        let velocity = tail.moment - sign * gap * tail.mass;
        sign * (tail.second - (trigamma(a) + gap * gap) * tail.mass + outward * velocity * velocity)
    } else {
        // digamma and trigamma of 1 + a: the factor 1 / a of the series belongs to its sum.
        let [sum, first, second, slope] = lower_series_twice(a, z);
        let gap = digamma(1.0 + a) - log_z;
        let velocity = gap * sum + first;
        // Where z has underflowed, the slope is 0 and the square may overflow.
        let square = if slope == 0.0 { 0.0 } else { gap * (gap * sum + 2.0 * first) };
        let fixed = (trigamma(1.0 + a) * sum - second) - 2.0 * (gap * first);
        (fixed + (slope * square - 2.0 * velocity - (a - z) * first * first) / a) / a
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

/// d² ln z / d a² of a Gamma(a, rate 1) sample given by its logarithm, at a constant value of the distribution function:
/// the derivative of [`gamma_log_sample_derivative`] along the path of the sample. The second derivative of the sample
/// itself is z times the sum of this and the square of the first.
///
/// Domain: finite a > 0 and any log_z; anything else gives NaN. It is -inf at log_z = -inf, and 0 for log_z so large
/// that z overflows. Relative error below 1e-12 max(1, √a / 10) for a in [0.05, 1e4]
/// between the quantiles 1e-6 and 1 - 1e-6.
///
/// Source: the distribution function differentiated twice; power series and quadrature as for
/// [`gamma_sample_derivative`], with the second moment of the tail.
///
/// ```
/// # use stochgrad_tensor::special::{gamma_log_sample_derivative, gamma_log_sample_second_derivative};
/// // z'' of Gamma(2.3) at z = 1.9.
/// let (z, log) = (1.9_f64, 1.9_f64.ln());
/// let (first, second) = (gamma_log_sample_derivative(2.3, log), gamma_log_sample_second_derivative(2.3, log));
/// assert!((z * (second + first * first) - 0.009859591786).abs() < 1e-11);
/// ```
pub fn gamma_log_sample_second_derivative(a: f64, log_z: f64) -> f64 {
    if !(a > 0.0 && a < f64::INFINITY) || log_z.is_nan() {
        return f64::NAN;
    }
    if log_z == f64::NEG_INFINITY {
        return log_z;
    }
    // Below this shape the result, of the order of 1 / a², would overflow.
    let a = a.max(1e-150);
    let z = log_z.exp();
    if z == f64::INFINITY { 0.0 } else { second_log_derivative(a, z, log_z) }
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

    /// a, ln z, d ln z / d a, d² ln z / d a², from mpmath at 50 digits: at the quantiles 1e-6, 1e-3, 0.1, 0.5 and their
    /// complements.
    const SECOND: [(f64, f64, f64, f64); 77] = [
        (0.05, -276.847272609, 5526.988552354002, -221048.89494731778),
        (0.05, -138.69216703, 2763.8864407740025, -110524.8104841178),
        (0.05, -46.5887633099, 921.8183663720026, -36842.0875080378),
        (0.05, -14.4000045304, 278.0433484913859, -11091.04603827855),
        (0.05, -2.57285806821, 46.09660172630421, -1665.188980896552),
        (0.05, 1.00666460221, 6.212103902141652, -143.15435077841803),
        (0.05, 2.16296234774, 2.3796381672364064, -46.71827599065835),
        (0.3, -46.4122845582, 154.143645564444, -1023.8434589796381),
        (0.3, -23.3864336282, 77.39080913539914, -512.1578824711554),
        (0.3, -8.03561733621, 26.228590691645955, -170.91519996798286),
        (0.3, -2.61550106766, 8.779627922284204, -51.1467404769754),
        (0.3, -0.122381472248, 2.933946657445838, -12.438163194573747),
        (0.3, 1.5301643848, 0.9963806169612529, -2.9038594836367895),
        (0.3, 2.39651574279, 0.513968464888811, -1.2205011820120366),
        (0.7, -19.873311792, 28.688370993313814, -80.83358342283955),
        (0.7, -10.0050633954, 14.591283272398657, -40.55098615914586),
        (0.7, -3.40684838592, 5.283516002902585, -13.533998912086641),
        (0.7, -0.897901484114, 2.282188024036275, -4.677369380268202),
        (0.7, 0.56368094865, 1.092845881357079, -1.673950714914632),
        (0.7, 1.80232669951, 0.4997053456023478, -0.5469037794117537),
        (0.7, 2.54700924438, 0.2941756123165975, -0.25952196709452474),
        (1.0, -13.815510058, 14.23830176225186, -27.831575139657154),
        (1.0, -6.90725507052, 7.333957746412217, -13.999666535539859),
        (1.0, -2.25036732731, 2.846988800184031, -4.757822356426836),
        (1.0, -0.366512920582, 1.3965934762371497, -1.8471519306060455),
        (1.0, 0.834032445248, 0.753564335738033, -0.7649784033361132),
        (1.0, 1.93264473392, 0.3818918426631476, -0.28416342313624343),
        (1.0, 2.62579191448, 0.23674695200091678, -0.14272900753490986),
        (2.3, -5.5764232813, 2.8779068389911564, -2.3412403879710455),
        (2.3, -2.55061732596, 1.5996454605917703, -1.1973863664742586),
        (2.3, -0.367380457854, 0.7983425558249806, -0.4841369397638942),
        (2.3, 0.681391015513, 0.5034290189082034, -0.2510406581546282),
        (2.3, 1.46561168838, 0.3349584161329909, -0.13759306000291394),
        (2.3, 2.28799877224, 0.20641351403563435, -0.06670946283912187),
        (2.3, 2.85942991405, 0.14284728357321072, -0.03854142363158456),
        (9.0, -0.0145361835237, 0.2803553917992972, -0.04715668960037551),
        (9.0, 0.897077088074, 0.20205736387279305, -0.030061803079739706),
        (9.0, 1.69239355338, 0.14412434165729718, -0.01848270878709887),
        (9.0, 2.15974781281, 0.11532377075777053, -0.013292550376722547),
        (9.0, 2.56454247018, 0.09366720706139947, -0.009732917342902672),
        (9.0, 3.05193292005, 0.07160019811449965, -0.00648465974279307),
        (9.0, 3.43260280659, 0.057270713266825986, -0.004621627873354165),
        (29.9, 2.3658785936, 0.05390783180177536, -0.0022705470852668204),
        (29.9, 2.75983810569, 0.04549028970088763, -0.0017746762526895754),
        (29.9, 3.14161503098, 0.038124089368249646, -0.001367517674537727),
        (29.9, 3.38667021801, 0.03382034092488703, -0.0011437636344903699),
        (29.9, 3.61325937215, 0.030139423536073448, -0.000962021359417758),
        (29.9, 3.90551007125, 0.02581329965660193, -0.000761273945871379),
        (29.9, 4.14954563336, 0.022558234725599598, -0.0006205013239545387),
        (30.0, 2.37125805405, 0.05368167631604183, -0.002252597225046518),
        (30.0, 2.76437828347, 0.04531348694888213, -0.0017614032392184536),
        (30.0, 3.14542061839, 0.03798781912516662, -0.0013579040164025291),
        (30.0, 3.39004654614, 0.0337063500476548, -0.00113606690330845),
        (30.0, 3.61626851476, 0.030043532005269626, -0.0009558193589013692),
        (30.0, 3.90808760258, 0.025737404126764948, -0.0007566438405313147),
        (30.0, 4.15179836032, 0.022496364249070068, -0.0006169135541520556),
        (100.0, 4.08490549907, 0.012847075686680962, -0.00014539041844603465),
        (100.0, 4.27557382122, 0.011757855802175022, -0.00012754068147552292),
        (100.0, 4.47069705292, 0.010705248436639857, -0.00011092106099369896),
        (100.0, 4.60183327388, 0.010033404893970874, -0.00010066881303526539),
        (100.0, 4.72748094588, 0.00941658658079067, -9.151986572416358e-05),
        (100.0, 4.89612388018, 0.0086300125264286, -8.02455054668266e-05),
        (100.0, 5.04290269658, 0.007983720336129863, -7.133472043989422e-05),
        (1000.0, 6.75322161899, 0.0010794358422121968, -1.1213846284543687e-06),
        (1000.0, 6.80806840544, 0.0010508464929022403, -1.0772936520539212e-06),
        (1000.0, 6.86661441355, 0.001020881601935412, -1.0316374724365453e-06),
        (1000.0, 6.90742190985, 0.0010003334049328064, -1.0006668814623797e-06),
        (1000.0, 6.94768180839, 0.0009803329453116755, -9.707920445106696e-07),
        (1000.0, 7.00359086464, 0.0009530062375837791, -9.304146940246311e-07),
        (1000.0, 7.05408509342, 0.0009287735001766926, -8.950450476436856e-07),
        (10000.0, 9.16239254025, 0.00010241825596867229, -1.0364843467958519e-08),
        (10000.0, 9.17924430048, 0.00010156455416859656, -1.0235664538381144e-08),
        (10000.0, 9.19746391256, 0.0001006468820878554, -1.0097339423121448e-08),
        (10000.0, 9.21030703828, 0.00010000333340517915, -1.0000666688184173e-08),
        (10000.0, 9.2230954168, 9.936525958261286e-05, -9.905088953216276e-09),
        (10000.0, 9.24105144452, 9.847394716923233e-05, -9.77203601771642e-09),
        (10000.0, 9.25746831396, 9.766373850467243e-05, -9.651556526482631e-09),
    ];

    #[test]
    fn second_derivatives_match_mpmath() {
        for (a, log_z, first, second) in SECOND {
            let at = format!("a = {a}, ln z = {log_z}");
            assert_relative(&at, gamma_log_sample_derivative(a, log_z), first, 1e-12);
            assert_relative(&at, gamma_log_sample_second_derivative(a, log_z), second, 1e-11);
        }
    }

    #[test]
    fn second_derivatives_match_differences_along_the_path() {
        for a in [1e-3_f64, 0.05, 0.7, 3.0, 29.0, 31.0, 5e3, 1e6] {
            for k in [-3.0, -0.4, 0.0, 1.0, 4.0] {
                // Steps of the classical Runge-Kutta method along y' = v(a, y).
                let log_z = a.ln() + k / (a + 0.1).sqrt();
                let v = gamma_log_sample_derivative;
                let h = 1e-4 * a;
                let at = |h: f64| {
                    let k1 = v(a, log_z);
                    let k2 = v(a + 0.5 * h, log_z + 0.5 * h * k1);
                    let k3 = v(a + 0.5 * h, log_z + 0.5 * h * k2);
                    let k4 = v(a + h, log_z + h * k3);
                    v(a + h, log_z + h * (k1 + 2.0 * (k2 + k3) + k4) / 6.0)
                };
                let expected = (at(h) - at(-h)) / (2.0 * h);
                let found = gamma_log_sample_second_derivative(a, log_z);
                assert_relative(&format!("a = {a}, ln z = {log_z}"), found, expected, 1e-6);
            }
        }
    }

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
        let second = gamma_log_sample_second_derivative;
        assert_eq!((second(2.0, -inf), second(2.0, 1e3), second(2.0, inf)), (-inf, 0.0, 0.0));
        for (a, z) in [(0.0, 1.0), (-1.0, 1.0), (inf, 1.0), (f64::NAN, 1.0), (1.0, f64::NAN)] {
            for f in [gamma_sample_derivative, gamma_log_sample_derivative, second, gamma_p_derivative_a] {
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
                    assert!(!gamma_log_sample_second_derivative(a, log_z).is_nan(), "a = {a:e}, ln z = {log_z:e}");
                }
            }
        }
    }
}
