"""Known values for the sweep over all distributions, computed with mpmath at sixty digits and more.

    python3 -m venv venv && venv/bin/pip install mpmath==1.4.1
    venv/bin/python crates/stochgrad-distributions/tests/golden/generate_sweep.py [DISTRIBUTION ...]

Writes `sweep/<distribution>.csv`, with a line for each distribution, its parameters and an argument:

* parameters, argument: numbers of single precision, so that both precisions use them exactly, except where they are
  beyond its range;
* density: the logarithm of the density or probability, and its derivatives with respect to each parameter and the
  argument;
* below, above: the distribution function, its logarithm, and the derivatives of the logarithm; and the same for the
  survival function. They are empty where the library has no distribution function;
* a line with an empty argument has mean, variance and entropy instead, each with its derivatives.

Both tails are computed by formulas of their own. Derivatives are central differences far below every scale in use,
which are exact to more than twenty digits at this precision. A distribution without a derivative with respect to an
argument or a parameter has `-` in its place.
"""

import csv
import math
import pathlib
import struct
import sys

import mpmath as mp
from mpmath import mpf

mp.mp.dps = 60
HERE = pathlib.Path(__file__).parent / "sweep"
INF = mp.inf
HALF = mpf(1) / 2
LN_2PI = mp.log(2 * mp.pi)


def single(value):
    """The nearest number of single precision, or the value itself beyond its range."""
    if value == 0 or not 1.2e-38 < abs(value) < 3.4e38:
        return float(value)
    return struct.unpack("f", struct.pack("f", value))[0]


def phi(z):
    """The probability of a standard normal value below z."""
    return mp.erfc(-z / mp.sqrt(2)) / 2


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def softplus(x):
    return mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x))


def lnbeta(a, b):
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def gamma_lower(a, x):
    return mp.gammainc(a, 0, x, regularized=True) if x < a + 30 else 1 - mp.gammainc(a, x, INF, regularized=True)


def gamma_upper(a, x):
    if x >= a + 30 or x >= 2:
        return mp.gammainc(a, x, INF, regularized=True)
    return 1 - mp.gammainc(a, 0, x, regularized=True)


def beta_lower(a, b, x, y):
    """The incomplete beta function of x, where y is 1 − x."""
    if x <= HALF:
        return mp.betainc(a, b, 0, x, regularized=True)
    with mp.workdps(mp.mp.dps + 60):
        return 1 - mp.betainc(b, a, 0, y, regularized=True)


def normal_log(z):
    return -z * z / 2 - LN_2PI / 2


def generalized_normal_upper(z, b):
    """The probability of a value above z."""
    w = abs(z) ** b
    return gamma_upper(1 / b, w) / 2 if z > 0 else HALF + gamma_lower(1 / b, w) / 2


def student_tail(nu, z):
    """The probability of a value above z ≥ 0."""
    x = nu / (nu + z * z)
    y = z * z / (nu + z * z)
    return beta_lower(nu / 2, HALF, x, y) / 2


def half_student_lower(nu, z):
    """The probability of an absolute value below z."""
    return beta_lower(HALF, nu / 2, z * z / (nu + z * z), nu / (nu + z * z))


def half_student_height(nu):
    """The density of Student's t distribution at 0."""
    return 1 / (mp.sqrt(nu) * mp.exp(lnbeta(nu / 2, HALF)))


def student_upper(nu, z):
    return student_tail(nu, z) if z >= 0 else 1 - student_tail(nu, -z)


def inverse_gaussian(x, m, l, sign):
    r = mp.sqrt(l / x)
    first, second = phi(sign * r * (x / m - 1)), mp.exp(2 * l / m) * phi(-r * (x / m + 1))
    return first + sign * second


def log_average(p, first, second):
    return mp.log(p * mp.exp(first) + (1 - p) * mp.exp(second))


def von_mises_mass(k, low, high):
    inner = [v for v in (mpf(-1), -HALF / 5, mpf(0), HALF / 5, mpf(1)) if low < v < high]
    return mp.quad(lambda y: mp.exp(k * (mp.cos(y) - 1)), [low] + inner + [high]) / (
        2 * mp.pi * mp.besseli(0, k) * mp.exp(-k))


def normal_inverse_gaussian_log(x, m, s, a, b):
    q = mp.sqrt(s * s + (x - m) ** 2)
    return mp.log(a * s / (mp.pi * q) * mp.besselk(1, a * q)) + s * mp.sqrt(a * a - b * b) + b * (x - m)


def horseshoe_log(x, s):
    y = (x / s) ** 2 / 2
    if y > 1000:
        return mp.log(mp.fsum((-1) ** k * mp.factorial(k) / y ** k for k in range(150)) / y) - mp.log(s) - mp.log(2 * mp.pi ** 3) / 2
    return y + mp.log(mp.e1(y)) - mp.log(s) - mp.log(2 * mp.pi ** 3) / 2


# The integral of −p ln p at scale 1, at 50 digits.
HORSESHOE_ENTROPY = mpf("2.1098718360616477247351724121332062747186506735")


LOC = [(0.3125, 1.25), (-1.5, 0.625), (0.3125, 1e-10), (0.3125, 1e10), (1e5, 1.25), (-1e10, 1e10)]
WIDE = [(0.0, 1e-30), (0.0, 1e30), (1e30, 1.25e30), (0.0, 1e-300), (0.0, 1e300)]
Z = [-1e3, -40, -8, -2, -0.5, 0, 0.25, 1, 3, 9, 30, 200]
POSITIVE = [1e-30, 1e-8, 0.001, 0.25, 1, 2.5, 8, 40, 500]
SCALES = [1.25, 0.625, 1e-10, 1e10, 1e-30, 1e30, 1e-300, 1e300]
SHAPES = [2.5, 0.625, 1.0, 1e-3, 1e-6, 30.0, 1e3]
UNIT = [1e-30, 1e-8, 0.001, 0.25, 0.5, 0.75, 0.984375, 1 - 2.0 ** -20]
COUNTS = [0, 1, 2, 5, 12, 40, 150]
LOGITS = [0.3125, -1.75, 0.0, 12.0, -20.0, 80.0]
PROBABILITIES = [0.3125, 0.875, 1e-3, 1e-10, 1 - 2.0 ** -20]


def line(points, scale=1, of=Z):
    """Arguments at these distances from the location."""
    return [(t, [single(single(t[0]) + z * t[-1]) for z in of]) for t in points]


def times(points, of=POSITIVE, index=-1):
    """Arguments that are multiples of a parameter."""
    return [(t, [v * t[index] for v in of if 1e-307 < v * t[index] < 1e307]) for t in points]


def same(points, of):
    return [(t, of) for t in points]


class Distribution:
    def __init__(self, name, points, log, lower=None, upper=None, mean=None, variance=None, entropy=None,
                 discrete=False, fixed=()):
        self.name, self.points, self.log, self.lower, self.upper = name, points, log, lower, upper
        self.moments = [mean, variance, entropy]
        self.discrete, self.fixed = discrete, fixed

    @property
    def file(self):
        name = self.name.split("(")[0]
        return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name)) + ".csv"


def log_one_minus_exp(u):
    """ln(1 − e^u) for a negative u."""
    return mp.log1p(-mp.exp(u)) if u < -1 else mp.log(-mp.expm1(u))


def location_scale(name, log, lower, upper, points, mean=None, variance=None, entropy=None, of=Z):
    at = lambda f: lambda x, m, s: f((x - m) / s)
    return Distribution(name, line(points, of=of), lambda x, m, s: log((x - m) / s) - mp.log(s), at(lower), at(upper),
                        mean, variance, entropy)


def scaled(name, log, lower, upper, mean=None, variance=None, entropy=None, of=POSITIVE, rate=False):
    """A distribution on the positive numbers with a scale (or a rate) only."""
    of_x = (lambda x, s: x * s) if rate else (lambda x, s: x / s)
    shift = (lambda s: mp.log(s)) if rate else (lambda s: -mp.log(s))
    size = (lambda s: 1 / s) if rate else (lambda s: s)
    points = [((s,), [v / s if rate else v * s for v in of]) for s in SCALES]
    points = [(t, [v for v in arguments if 1e-307 < v < 1e307]) for t, arguments in points]
    return Distribution(
        name, points, lambda x, s: log(of_x(x, s)) + shift(s), lambda x, s: lower(of_x(x, s)),
        lambda x, s: upper(of_x(x, s)), mean and (lambda s: mean * size(s)), variance and (lambda s: variance * size(s) ** 2),
        entropy is not None and (lambda s: entropy - shift(s)) or None)


def gamma_log(x, a):
    return (a - 1) * mp.log(x) - x - mp.loggamma(a)


def gamma_points(width):
    """Arguments near the mean and at multiples of the width."""
    points = []
    for a in SHAPES:
        points.append(((a, width), POSITIVE if a < 100 else [a * v for v in (0.5, 0.9, 0.99, 1, 1.01, 1.125, 2)]))
    points += [((2.5, w), [v for v in POSITIVE]) for w in (0.625,)]
    return points


def by_rate(points):
    return [(t, [v / t[1] for v in arguments]) for t, arguments in points]


def by_scale(points):
    return [(t, [v * t[1] for v in arguments]) for t, arguments in points]


def gamma_entropy(a):
    return a + mp.loggamma(a) + (1 - a) * mp.digamma(a)


def beta_log(x, a, b):
    return (a - 1) * mp.log(x) + (b - 1) * mp.log1p(-x) - lnbeta(a, b)


def triangular_log(x, l, m, h):
    return mp.log(2 * (x - l) / (h - l) / (m - l)) if x < m else mp.log(2 * (h - x) / (h - l) / (h - m))


def triangular_share(x, l, m, h):
    if x < m:
        share = (x - l) ** 2 / ((h - l) * (m - l))
        return share, 1 - share
    share = (h - x) ** 2 / ((h - l) * (h - m))
    return 1 - share, share


SHAPED = [(0.3125, 1.25, 0.3125), (-1.5, 0.625, -0.625), (0.3125, 1.25, 0.0), (0.3125, 1.25, 1e-10), (0.3125, 1.25, -1e-5), (0.3125, 1e10, 0.0625),
          (0.0, 1e-30, -0.0625), (0.3125, 1.25, 2.5), (-1.5, 0.625, -3.0), (1e5, 1.25, 0.125), (0.3125, 1.25, -1.0)]


def inside(x, *t):
    """Whether a value is inside the support, after the rounding to single precision."""
    m, s, k = (mpf(single(v)) for v in t)
    return 1 + k * (mpf(x) - m) / s > 0


def shaped_log(z, k):
    """ln(1 + kz)/k, also at 0, where derivatives need the series."""
    if abs(k * z) < mpf(10) ** -20:
        return mp.fsum((-k) ** n * z ** (n + 1) / (n + 1) for n in range(8))
    return mp.log1p(k * z) / k


def shaped_exp(k, y):
    return mp.expm1(k * y) / k if k else y


def extreme_log(y, k):
    return -(1 + k) * y - mp.exp(-y)


def extreme_mean(k):
    if abs(k) < mpf(10) ** -12:
        return mp.fsum(c * k ** n for n, c in enumerate(GAMMA_SERIES[1:]))
    return (mp.gamma(1 - k) - 1) / k


def extreme_variance(k):
    if abs(k) < mpf(10) ** -12:
        second = [c * 2 ** n - mp.fsum(GAMMA_SERIES[i] * GAMMA_SERIES[n - i] for i in range(n + 1)) for n, c in enumerate(GAMMA_SERIES)]
        return mp.fsum(c * k ** n for n, c in enumerate(second[2:]))
    return (mp.gamma(1 - 2 * k) - mp.gamma(1 - k) ** 2) / k ** 2


# The coefficients of the series of Γ(1 − k).
with mp.workdps(200):
    GAMMA_SERIES = mp.taylor(lambda k: mp.gamma(1 - k), 0, 9)


def weibull_moment(k, order):
    return mp.gamma(1 + order / k)


def kumaraswamy_moment(a, b, order):
    return b * mp.exp(lnbeta(1 + order / a, b))


def zipf_log(k, s):
    """Over eight ranks."""
    return -s * mp.log(k) - mp.log(mp.fsum(mpf(j) ** -s for j in range(1, 9)))


def powers_from(a, s):
    """The sum of j^−s over j = a, a + 1, … by the formula of Euler and Maclaurin far from its first term; for large
    numbers, that of mpmath is a difference."""
    x = a + 60
    direct = mp.fsum((a + j) ** -s for j in range(60))
    corrections = mp.fsum(mp.bernoulli(2 * m) / mp.factorial(2 * m) * mp.rf(s, 2 * m - 1) * x ** (1 - 2 * m)
                          for m in range(1, 31))
    return direct + x ** -s * (x / (s - 1) + mpf(1) / 2 + corrections)


def zeta_others(s):
    """ζ(s) − 1, in whose digits its derivatives are."""
    return powers_from(mpf(2), s)


def zeta_log(k, s):
    return -s * mp.log(k) - mp.log1p(zeta_others(s))


def zeta_upper(k, s):
    return powers_from(mp.floor(k) + 1, s) / (1 + zeta_others(s))


def zeta_moment(s, power):
    """Of X − 1, infinite where the sum is."""
    if s <= power + 1:
        return INF
    sums = [powers_from(mpf(2), s - i) for i in range(power + 1)]
    return mp.fsum(mp.binomial(power, i) * (-1) ** (power - i) * sums[i] for i in range(power + 1)) / (1 + sums[0])


def zeta_mean_of_log(s):
    step = s * mpf(10) ** -50
    with mp.workdps(max(mp.mp.dps, 160)):
        return (zeta_others(s - step) - zeta_others(s + step)) / (2 * step) / (1 + zeta_others(s))


def zeta_entropy(s):
    return mp.log1p(zeta_others(s)) + s * zeta_mean_of_log(s)


def hypergeometric_log(k, d, m):
    return mp.log(mp.binomial(d, k) * mp.binomial(d + m, d - k) / mp.binomial(2 * d + m, d))


def beta_binomial_log(k, n, a, b):
    return mp.log(mp.binomial(n, k)) + lnbeta(k + a, n - k + b) - lnbeta(a, b)


def binomial_log(k, n, p, q):
    choose = mp.loggamma(n + 1) - mp.loggamma(k + 1) - mp.loggamma(n - k + 1)
    return choose + (k * mp.log(p) if k else 0) + ((n - k) * mp.log(q) if n - k else 0)


def binomial_lower(k, n, p, q):
    return mpf(1) if k >= n else beta_lower(n - k, k + 1, q, p)


def binomial_upper(k, n, p, q):
    return mpf(0) if k >= n else beta_lower(k + 1, n - k, p, q)


def negative_binomial_log(k, r, p, q):
    return mp.loggamma(k + r) - mp.loggamma(r) - mp.loggamma(k + 1) + r * mp.log(p) + k * mp.log(q)


def truncated_mass(low, high):
    return phi(-low) - phi(-high) if low > 0 else phi(high) - phi(low)


def truncated(x, m, s, low, high):
    return normal_log((x - m) / s) - mp.log(s) - mp.log(truncated_mass((low - m) / s, (high - m) / s))


def truncated_part(of):
    def part(x, m, s, low, high):
        u, v = of((x - m) / s, (low - m) / s, (high - m) / s)
        return truncated_mass(u, v) / truncated_mass((low - m) / s, (high - m) / s)
    return part


def truncated_mean(m, s, low, high):
    a, b = (low - m) / s, (high - m) / s
    return m + s * (mp.exp(normal_log(a)) - mp.exp(normal_log(b))) / truncated_mass(a, b)


def truncated_variance(m, s, low, high):
    a, b = (low - m) / s, (high - m) / s
    mass, first, second = truncated_mass(a, b), mp.exp(normal_log(a)), mp.exp(normal_log(b))
    return s * s * (1 + (a * first - b * second) / mass - ((first - second) / mass) ** 2)


def truncated_entropy(m, s, low, high):
    a, b = (low - m) / s, (high - m) / s
    mass, first, second = truncated_mass(a, b), mp.exp(normal_log(a)), mp.exp(normal_log(b))
    return HALF * (LN_2PI + 1) + mp.log(s * mass) + (a * first - b * second) / (2 * mass)


def bernoulli_entropy(p, q):
    return -(p * mp.log(p) + q * mp.log(q))


def continuous_bernoulli_normaliser(l):
    """The logarithm of (e^l − 1) / l."""
    if abs(l) < mpf(10) ** -12:
        return l / 2 + l * l / 24
    return mp.log(mp.expm1(l) / l)


def continuous_bernoulli_mean(l):
    if abs(l) < mpf(10) ** -12:
        return HALF + l / 12
    return 1 / -mp.expm1(-l) - 1 / l


def continuous_bernoulli_variance(l):
    if abs(l) < mpf(10) ** -8:
        return mpf(1) / 12 - l * l / 240
    return 1 / l ** 2 - 1 / (4 * mp.sinh(l / 2) ** 2)


def ratio_expm1(x, l):
    """(e^(lx) − 1) / (e^l − 1)."""
    return mp.expm1(l * x) / mp.expm1(l) if l else x


def relaxed_log(x, t, l):
    z = l - t * (mp.log(x) - mp.log1p(-x))
    return mp.log(t) + z - 2 * softplus(z) - mp.log(x) - mp.log1p(-x)


def laplace_lower(z):
    return mp.exp(z) / 2 if z < 0 else 1 - mp.exp(-z) / 2


def through(name, kinds, points, inverse, log_slope, base_log, base_lower, base_upper, decreasing=False):
    """A transformed distribution, given the inverse of the map and the logarithm of the slope of the inverse."""
    lower, upper = (base_upper, base_lower) if decreasing else (base_lower, base_upper)
    return Distribution(
        f"TransformedDistribution({name})", points, lambda y, *t: base_log(inverse(y, *t), *t) + log_slope(y, *t),
        lambda y, *t: lower(inverse(y, *t), *t), lambda y, *t: upper(inverse(y, *t), *t))


def normal_at(x, m, s):
    return normal_log((x - m) / s) - mp.log(s)


def normal_below(x, m, s, *_):
    return phi((x - m) / s)


def normal_above(x, m, s, *_):
    return phi((m - x) / s)


def logit(x):
    return mp.log(x) - mp.log1p(-x)


MIX = [(0.3125, -1.75, -1.5, 2.0, 0.625), (80.0, 0.0, 0.3125, 1.0, 1.25), (0.0, 0.0, -1e5, 1e5, 1.25)]


def mixture_weights(a, b):
    return sigmoid(a - b), sigmoid(b - a)


def categorical_weights(t):
    total = mp.fsum(mp.exp(v) for v in t)
    return [mp.exp(v) / total for v in t]


def ordered_weights(m, c, d):
    """The probabilities of three ordered categories, without differences of distribution functions."""
    low, high = c - m, d - m
    return [sigmoid(low), sigmoid(high) * sigmoid(-low) * -mp.expm1(low - high), sigmoid(-high)]


def poisson_log(k, r):
    return k * mp.log(r) - r - mp.loggamma(k + 1)


def poisson_entropy(r):
    return -mp.fsum(mp.exp(poisson_log(k, r)) * poisson_log(k, r) for k in range(int(r + 40 * mp.sqrt(r)) + 150))


def inflated_log(k, p, r):
    return poisson_log(k, r) + mp.log1p(-p) if k else mp.log(p + (1 - p) * mp.exp(-r))


def hurdle_log(k, p, r):
    return mp.log1p(-p) + poisson_log(k, r) - mp.log(-mp.expm1(-r)) if k else mp.log(p)


def hurdle_upper(k, p, r):
    return (1 - p) * gamma_lower(k + 1, r) / -mp.expm1(-r)


def categorical_entropy(*t):
    return -mp.fsum(p * mp.log(p) for p in categorical_weights(t))


def categorical_mean(*t):
    return mp.fsum(k * p for k, p in enumerate(categorical_weights(t)))


EG = mp.euler
DISTRIBUTIONS = [
    location_scale("Normal(location, scale)", normal_log, phi, lambda z: phi(-z), LOC + WIDE, lambda m, s: m,
                   lambda m, s: s * s, lambda m, s: HALF * (LN_2PI + 1) + mp.log(s)),
    location_scale("Laplace(location, scale)", lambda z: -abs(z) - mp.log(2), laplace_lower,
                   lambda z: laplace_lower(-z), LOC + WIDE, lambda m, s: m, lambda m, s: 2 * s * s,
                   lambda m, s: 1 + mp.log(2 * s), of=[z for z in Z if z]),
    Distribution("AsymmetricLaplace(location, scale, asymmetry)",
                 [((m, s, k), [v for v in (single(single(m) + s * (z / k if z > 0 else z * k)) for z in (-300, -30, -3, -0.25, 1e-8, 0.25, 3, 30, 300)) if v != single(m)])
                  for m, s, k in [(0.3125, 1.25, 2.5), (-1.5, 0.625, 0.625), (0.3125, 1.25, 1.0), (0.0, 1.25, 1e-3), (0.0, 1.25, 1e3),
                                  (0.0, 1.25, 1e-10), (0.0, 1.25, 1e10), (0.3125, 1e-10, 2.5), (0.3125, 1e10, 2.5), (0.0, 1e30, 0.625)]],
                 lambda x, m, s, k: -((x - m) / s * k if x > m else (m - x) / s / k) - mp.log(s * (k + 1 / k)),
                 lambda x, m, s, k: k * k / (1 + k * k) * mp.exp((x - m) / s / k) if x < m else -mp.expm1((m - x) / s * k - mp.log1p(k * k)),
                 lambda x, m, s, k: mp.exp((m - x) / s * k) / (1 + k * k) if x > m else -mp.expm1((x - m) / s / k - mp.log1p(1 / (k * k))),
                 lambda m, s, k: m + s * (1 / k - k), lambda m, s, k: s * s * (k * k + 1 / (k * k)), lambda m, s, k: 1 + mp.log(s * (k + 1 / k))),
    location_scale("Logistic(location, scale)", lambda z: -abs(z) - 2 * mp.log1p(mp.exp(-abs(z))), sigmoid,
                   lambda z: sigmoid(-z), LOC + WIDE, lambda m, s: m, lambda m, s: (mp.pi * s) ** 2 / 3,
                   lambda m, s: 2 + mp.log(s)),
    location_scale("Gumbel(location, scale)", lambda z: -z - mp.exp(-z), lambda z: mp.exp(-mp.exp(-z)),
                   lambda z: -mp.expm1(-mp.exp(-z)), LOC + WIDE, lambda m, s: m + s * EG,
                   lambda m, s: (mp.pi * s) ** 2 / 6, lambda m, s: mp.log(s) + EG + 1,
                   of=[-6, -4, -2, -0.5, 0, 0.25, 1, 3, 9, 30, 200]),
    location_scale("Moyal(location, scale)", lambda z: -(z + mp.exp(-z) + LN_2PI) / 2, lambda z: mp.erfc(mp.exp(-z / 2) / mp.sqrt(2)),
                   lambda z: mp.erf(mp.exp(-z / 2) / mp.sqrt(2)), LOC + WIDE, lambda m, s: m + s * (EG + mp.log(2)),
                   lambda m, s: (mp.pi * s) ** 2 / 2, lambda m, s: mp.log(s) + (LN_2PI + EG + mp.log(2) + 1) / 2,
                   of=[-7, -4, -2, -0.5, 0, 0.25, 1, 3, 9, 30, 200]),
    location_scale("Cauchy(location, scale)", lambda z: -mp.log(mp.pi) - mp.log1p(z * z),
                   lambda z: mp.atan2(1, -z) / mp.pi, lambda z: mp.atan2(1, z) / mp.pi, LOC + WIDE, None, None,
                   lambda m, s: mp.log(4 * mp.pi * s), of=Z + [1e10, -1e20]),
    Distribution("GeneralizedExtremeValue(location, scale, concentration)",
                 [(t, [x for x in (single(single(t[0]) + shaped_exp(mpf(single(t[2])), mpf(u)) * single(t[1])) for u in (-4, -2, -0.5, 0.25, 1, 3, 9, 30)) if inside(x, *t)])
                  for t in SHAPED],
                 lambda x, m, s, k: extreme_log(shaped_log((x - m) / s, k), k) - mp.log(s), lambda x, m, s, k: mp.exp(-mp.exp(-shaped_log((x - m) / s, k))),
                 lambda x, m, s, k: -mp.expm1(-mp.exp(-shaped_log((x - m) / s, k))), lambda m, s, k: m + s * extreme_mean(k) if k < 1 else INF,
                 lambda m, s, k: s * s * extreme_variance(k) if k < HALF else INF, lambda m, s, k: mp.log(s) + EG * (1 + k) + 1),
    Distribution("StudentT(degrees_of_freedom, location, scale)",
                 [((nu, m, s), [single(single(m) + z * s) for z in (-1e3, -40, -8, -2, -0.5, 0.25, 1, 3, 9, 30)])
                  for nu, m, s in [(2.5, 0.3125, 1.25), (0.625, -1.5, 0.625), (1.0, 0.3125, 1e-10), (30.0, 0.3125, 1e10),
                                   (1e-3, 0.3125, 1.25), (7.0, 1e5, 1.25), (2.5, 0.0, 1e-30), (2.5, 0.0, 1e30)]],
                 lambda x, nu, m, s: -lnbeta(nu / 2, HALF) - mp.log(nu) / 2 - mp.log(s)
                 - (nu + 1) / 2 * mp.log1p(((x - m) / s) ** 2 / nu),
                 lambda x, nu, m, s: student_upper(nu, (m - x) / s), lambda x, nu, m, s: student_upper(nu, (x - m) / s),
                 lambda nu, m, s: m if nu > 1 else mp.nan, lambda nu, m, s: s * s * nu / (nu - 2) if nu > 2 else mp.nan,
                 lambda nu, m, s: (nu + 1) / 2 * (mp.digamma((nu + 1) / 2) - mp.digamma(nu / 2)) + mp.log(nu) / 2
                 + lnbeta(nu / 2, HALF) + mp.log(s)),
    Distribution("JohnsonSu(skewness, tailweight, location, scale)",
                 [((g, d, m, s), [single(single(m) + s * mp.sinh((z - g) / d)) for z in (-30, -8, -2, -0.5, 0.25, 1, 3, 9, 30)])
                  for g, d, m, s in [(0.3125, 2.5, 0.3125, 1.25), (-1.75, 0.625, -1.5, 0.625), (0.0, 1.0, 0.0, 1e-10), (0.0, 30.0, 0.0, 1e10),
                                     (-20.0, 2.5, 0.3125, 1.25), (12.0, 1.0, 0.0, 1.25), (0.3125, 1e3, 0.0, 1e3)]],
                 lambda x, g, d, m, s: mp.log(d / s) - (mp.log1p(((x - m) / s) ** 2) + (g + d * mp.asinh((x - m) / s)) ** 2 + LN_2PI) / 2,
                 lambda x, g, d, m, s: phi(g + d * mp.asinh((x - m) / s)), lambda x, g, d, m, s: phi(-g - d * mp.asinh((x - m) / s)),
                 lambda g, d, m, s: m - s * mp.exp(1 / (2 * d * d)) * mp.sinh(g / d),
                 lambda g, d, m, s: s * s / 2 * mp.expm1(1 / (d * d)) * (mp.exp(1 / (d * d)) * mp.cosh(2 * g / d) + 1)),
    Distribution("SinhArcsinh(skewness, tailweight, location, scale)",
                 [((e, d, m, s), [single(single(m) + s * mp.sinh((mp.asinh(z) + e) / d)) for z in (-30, -8, -2, -0.5, 0.25, 1, 3, 9, 30)])
                  for e, d, m, s in [(0.3125, 2.5, 0.3125, 1.25), (-1.75, 0.625, -1.5, 0.625), (0.0, 1.0, 0.0, 1e-10), (0.0, 30.0, 0.0, 1e10),
                                     (-20.0, 2.5, 0.3125, 1.25), (5.0, 1.0, 0.0, 1.25), (0.3125, 0.1, 0.0, 1e-3)]],
                 lambda x, e, d, m, s: mp.log(d / s) + mp.log(mp.cosh(d * mp.asinh((x - m) / s) - e))
                 - (mp.log1p(((x - m) / s) ** 2) + mp.sinh(d * mp.asinh((x - m) / s) - e) ** 2 + LN_2PI) / 2,
                 lambda x, e, d, m, s: phi(mp.sinh(d * mp.asinh((x - m) / s) - e)), lambda x, e, d, m, s: phi(-mp.sinh(d * mp.asinh((x - m) / s) - e))),
    Distribution("GeneralizedNormal(location, scale, power)",
                 [((m, a, b), [single(single(m) + a * side * mp.power(w, 1 / mpf(b))) for w in (*[1e-12] * (b > 1), 0.001, 0.25, 1, 3, 40, 300) for side in (1, -1)])
                  for m, a, b in [(0.3125, 1.25, 2.5), (-1.5, 0.625, 0.625), (0.0, 1.25, 1.0), (0.0, 1.25, 30.0), (0.0, 1.25, 100.0), (0.0, 1.25, 0.125),
                                  (0.3125, 1e-10, 2.5), (0.3125, 1e10, 2.5)]],
                 lambda x, m, a, b: -abs((x - m) / a) ** b - mp.log(2 * a) - mp.loggamma(1 + 1 / b),
                 lambda x, m, a, b: generalized_normal_upper((m - x) / a, b), lambda x, m, a, b: generalized_normal_upper((x - m) / a, b),
                 lambda m, a, b: m, lambda m, a, b: a * a * mp.gamma(3 / b) / mp.gamma(1 / b), lambda m, a, b: 1 / b + mp.log(2 * a) + mp.loggamma(1 + 1 / b)),
    Distribution("SkewNormal(location, scale, skewness)",
                 [((m, s, a), [single(single(m) + s * z) for z in (-30, -8, -2, -0.5, 0.25, 1, 3, 9, 30)])
                  for m, s, a in [(0.3125, 1.25, 2.5), (-1.5, 0.625, -0.625), (0.0, 1.25, 0.0), (0.0, 1.25, 1e-3), (0.0, 1.25, 1e3), (0.0, 1.25, -1e10),
                                  (0.3125, 1e-10, 2.5), (0.3125, 1e10, 2.5)]],
                 lambda x, m, s, a: mp.log(2 / s) + normal_log((x - m) / s) + mp.log(phi(a * (x - m) / s)), None, None,
                 lambda m, s, a: m + s * a / mp.sqrt(1 + a * a) * mp.sqrt(2 / mp.pi), lambda m, s, a: s * s * (1 - 2 / mp.pi * a * a / (1 + a * a))),
    Distribution("ExponentiallyModifiedGaussian(location, scale, rate)",
                 [((m, s, r), [single(single(m) + s * z) for z in (-30, -8, -2, -0.5, 0.25, 1, 3, 9)] + [single(single(m) + z / r) for z in (3, 30, 300)])
                  for m, s, r in [(0.3125, 1.25, 0.625), (-1.5, 0.625, 1.25), (0.0, 1.25, 2.5), (0.0, 1.0, 1e-3), (0.0, 1.0, 1e-8), (0.0, 1.25, 30.0), (0.0, 1.25, 1e6),
                                  (0.3125, 1e-10, 1e10), (0.3125, 1e10, 1e-10)]],
                 lambda x, m, s, r: mp.log(r) + r * s * (r * s / 2 - (x - m) / s) + mp.log(phi((x - m) / s - r * s)),
                 lambda x, m, s, r: phi((x - m) / s) - mp.exp(r * s * (r * s / 2 - (x - m) / s)) * phi((x - m) / s - r * s),
                 lambda x, m, s, r: phi((m - x) / s) + mp.exp(r * s * (r * s / 2 - (x - m) / s)) * phi((x - m) / s - r * s),
                 lambda m, s, r: m + 1 / r, lambda m, s, r: s * s + 1 / (r * r)),
    Distribution("HalfStudentT(degrees_of_freedom, scale)",
                 [((nu, s), [v * s for v in (1e-30, 1e-8, 0.001, 0.25, 1, 3, 9, 40, 1e3)])
                  for nu, s in [(2.5, 1.25), (0.625, 0.625), (1.0, 1e-10), (30.0, 1e10), (1e-3, 1.25), (7.0, 1.25), (2.5, 1e-30), (2.5, 1e30)]],
                 lambda x, nu, s: mp.log(2) - lnbeta(nu / 2, HALF) - mp.log(nu) / 2 - mp.log(s) - (nu + 1) / 2 * mp.log1p((x / s) ** 2 / nu),
                 lambda x, nu, s: half_student_lower(nu, x / s), lambda x, nu, s: 2 * student_tail(nu, x / s),
                 lambda nu, s: 2 * s * half_student_height(nu) * nu / (nu - 1) if nu > 1 else INF,
                 lambda nu, s: s * s * (nu / (nu - 2) - (2 * half_student_height(nu) * nu / (nu - 1)) ** 2) if nu > 2 else INF,
                 lambda nu, s: (nu + 1) / 2 * (mp.digamma((nu + 1) / 2) - mp.digamma(nu / 2)) + mp.log(nu) / 2
                 + lnbeta(nu / 2, HALF) + mp.log(s / 2)),
    Distribution("TruncatedNormal(location, scale, low, high)",
                 [(t, [single(t[2] + (t[3] - t[2]) * v) for v in (0.015625, 0.25, 0.5, 0.75, 0.984375)])
                  for t in [(0.3125, 1.25, -1.5, 0.5), (0.0, 1.0, 8.0, 9.0), (0.0, 1.0, 40.0, 41.0), (1.0, 0.5, -30.0, -20.0),
                            (0.0, 1e8, -1.0, 1.0), (0.3125, 1.25, -1e5, 1e5), (0.0, 1.0, -8.0, 30.0)]],
                 truncated, truncated_part(lambda z, a, b: (a, z)), truncated_part(lambda z, a, b: (z, b)),
                 truncated_mean, truncated_variance, truncated_entropy),
    Distribution("VonMises(location, concentration)",
                 [((m, k), [single(m + v) for v in (-2.5, -1.0, -0.125, 0.0078125, 0.5, 1.5, 3.0)])
                  for m, k in [(0.3125, 2.5), (-1.5, 0.625), (0.0, 1e-3), (0.0, 30.0), (0.5, 500.0)]],
                 lambda x, m, k: k * (mp.cos(x - m) - 1) - mp.log(2 * mp.pi) - mp.log(mp.besseli(0, k) * mp.exp(-k)),
                 None, None, None, None,
                 lambda m, k: mp.log(2 * mp.pi * mp.besseli(0, k)) - k * mp.besseli(1, k) / mp.besseli(0, k)),
    Distribution("Uniform(low, high)",
                 [(t, [single(t[0] + (t[1] - t[0]) * v) for v in (0.015625, 0.25, 0.75)])
                  for t in [(0.3125, 2.3125), (-1.5, -0.75), (-1e30, 1e30), (0.0, 1e-30), (1e5, 100001.0)]],
                 lambda x, l, h: -mp.log(h - l), lambda x, l, h: (x - l) / (h - l), lambda x, l, h: (h - x) / (h - l),
                 lambda l, h: (l + h) / 2, lambda l, h: (h - l) ** 2 / 12, lambda l, h: mp.log(h - l)),
    scaled("Exponential(rate)", lambda x: -x, lambda x: -mp.expm1(-x), lambda x: mp.exp(-x), mpf(1), mpf(1), mpf(1), rate=True),
    scaled("Exponential(scale)", lambda x: -x, lambda x: -mp.expm1(-x), lambda x: mp.exp(-x), mpf(1), mpf(1), mpf(1)),
    scaled("HalfNormal(scale)", lambda x: mp.log(2 / mp.pi) / 2 - x * x / 2, lambda x: mp.erf(x / mp.sqrt(2)),
           lambda x: mp.erfc(x / mp.sqrt(2)), mp.sqrt(2 / mp.pi), 1 - 2 / mp.pi, (1 + mp.log(mp.pi / 2)) / 2),
    scaled("HalfCauchy(scale)", lambda x: mp.log(2 / mp.pi) - mp.log1p(x * x), lambda x: 2 * mp.atan(x) / mp.pi,
           lambda x: 2 * mp.atan2(1, x) / mp.pi, None, None, mp.log(2 * mp.pi)),
    scaled("Rayleigh(scale)", lambda x: mp.log(x) - x * x / 2, lambda x: -mp.expm1(-x * x / 2), lambda x: mp.exp(-x * x / 2),
           mp.sqrt(mp.pi / 2), 2 - mp.pi / 2, 1 + EG / 2 - mp.log(2) / 2),
    scaled("Maxwell(scale)", lambda x: mp.log(2 / mp.pi) / 2 + 2 * mp.log(x) - x * x / 2,
           lambda x: gamma_lower(mpf(3) / 2, x * x / 2), lambda x: gamma_upper(mpf(3) / 2, x * x / 2),
           2 * mp.sqrt(2 / mp.pi), 3 - 8 / mp.pi, mp.log(mp.sqrt(2 * mp.pi)) + EG - HALF),
    Distribution("Gamma(concentration, rate)", by_rate(gamma_points(1.25) + [((2.5, w), POSITIVE) for w in (1e-10, 1e10, 1e-30)]),
                 lambda x, a, r: gamma_log(x * r, a) + mp.log(r), lambda x, a, r: gamma_lower(a, x * r),
                 lambda x, a, r: gamma_upper(a, x * r), lambda a, r: a / r, lambda a, r: a / r ** 2,
                 lambda a, r: gamma_entropy(a) - mp.log(r)),
    Distribution("Gamma(concentration, scale)", by_scale(gamma_points(1.25) + [((2.5, w), POSITIVE) for w in (1e-10, 1e10, 1e30)]),
                 lambda x, a, s: gamma_log(x / s, a) - mp.log(s), lambda x, a, s: gamma_lower(a, x / s),
                 lambda x, a, s: gamma_upper(a, x / s), lambda a, s: a * s, lambda a, s: a * s ** 2,
                 lambda a, s: gamma_entropy(a) + mp.log(s)),
    Distribution("InverseGamma(concentration, scale)",
                 [(t, [t[1] / v for v in arguments]) for t, arguments in gamma_points(1.25) + [((2.5, w), POSITIVE) for w in (1e-10, 1e10)]],
                 lambda x, a, b: gamma_log(b / x, a) + mp.log(b) - 2 * mp.log(x), lambda x, a, b: gamma_upper(a, b / x),
                 lambda x, a, b: gamma_lower(a, b / x), lambda a, b: b / (a - 1) if a > 1 else INF,
                 lambda a, b: b ** 2 / (a - 1) ** 2 / (a - 2) if a > 2 else INF,
                 lambda a, b: a + mp.log(b) + mp.loggamma(a) - (1 + a) * mp.digamma(a)),
    Distribution("Chi2(degrees_of_freedom)", [((2 * t[0],), arguments) for t, arguments in gamma_points(1.25)],
                 lambda x, n: gamma_log(x / 2, n / 2) - mp.log(2), lambda x, n: gamma_lower(n / 2, x / 2),
                 lambda x, n: gamma_upper(n / 2, x / 2), lambda n: n, lambda n: 2 * n,
                 lambda n: gamma_entropy(n / 2) + mp.log(2)),
    Distribution("Chi(degrees_of_freedom)", [((2 * t[0],), [mp.sqrt(2 * mpf(v)) for v in arguments] + [1e-30]) for t, arguments in gamma_points(1.25)],
                 lambda x, n: gamma_log(x * x / 2, n / 2) + mp.log(x), lambda x, n: gamma_lower(n / 2, x * x / 2),
                 lambda x, n: gamma_upper(n / 2, x * x / 2), lambda n: mp.sqrt(2) * mp.gammaprod([n / 2 + HALF], [n / 2]),
                 lambda n: n - 2 * mp.gammaprod([n / 2 + HALF], [n / 2]) ** 2,
                 lambda n: gamma_entropy(n / 2) - (mp.log(2) + mp.digamma(n / 2)) / 2),
    Distribution("LogNormal(location, scale)",
                 [((m, s), [v for v in (mp.exp(m + s * z) for z in (-30, -8, -2, -0.5, 0.25, 1, 3, 9, 30)) if 1e-300 < v < 1e300])
                  for m, s in [(0.3125, 1.25), (-1.75, 0.625), (12.0, 1.25), (0.3125, 1e-3), (0.3125, 20.0), (-80.0, 1.0)]],
                 lambda x, m, s: normal_at(mp.log(x), m, s) - mp.log(x), lambda x, m, s: normal_below(mp.log(x), m, s),
                 lambda x, m, s: normal_above(mp.log(x), m, s), lambda m, s: mp.exp(m + s * s / 2),
                 lambda m, s: mp.expm1(s * s) * mp.exp(2 * m + s * s), lambda m, s: m + HALF * (LN_2PI + 1) + mp.log(s)),
    Distribution("Weibull(concentration, scale)",
                 [((k, s), [v for v in (s * mp.power(u, 1 / mpf(k)) for u in (1e-30, 1e-8, 0.001, 0.25, 1.5, 8, 40, 500)) if 1e-300 < v < 1e300])
                  for k, s in [(2.5, 1.25), (0.625, 0.625), (1.0, 1.25), (1e3, 1.25), (0.1, 1.25), (2.5, 1e-10), (2.5, 1e10)]],
                 lambda x, k, s: mp.log(k / s) + (k - 1) * mp.log(x / s) - (x / s) ** k, lambda x, k, s: -mp.expm1(-(x / s) ** k),
                 lambda x, k, s: mp.exp(-(x / s) ** k), lambda k, s: s * weibull_moment(k, 1),
                 lambda k, s: s * s * (weibull_moment(k, 2) - weibull_moment(k, 1) ** 2),
                 lambda k, s: EG * (1 - 1 / k) + mp.log(s / k) + 1),
    Distribution("Pareto(scale, concentration)",
                 [((s, a), [v for v in (s * mp.exp(u / a) for u in (1e-3, 0.25, 1.5, 8, 40, 300)) if v < 1e300])
                  for s, a in [(1.25, 2.5), (0.625, 0.625), (1e-10, 2.5), (1e10, 2.5), (1.25, 30.0), (1.25, 1.0)]],
                 lambda x, s, a: mp.log(a) + a * mp.log(s) - (a + 1) * mp.log(x), lambda x, s, a: -mp.expm1(a * mp.log(s / x)),
                 lambda x, s, a: mp.exp(a * mp.log(s / x)), lambda s, a: a * s / (a - 1) if a > 1 else INF,
                 lambda s, a: s * s * a / (a - 1) ** 2 / (a - 2) if a > 2 else INF, lambda s, a: mp.log(s / a) + 1 + 1 / a),
    Distribution("FisherF(numerator, denominator)",
                 same([(5.0, 9.0), (1.25, 2.5), (2.0, 5.0), (1e-3, 2.5), (1e-3, 1e-3), (60.0, 6.0)], POSITIVE + [1e30]) + same([(2e3, 2e3)], [0.5, 0.875, 1, 1.125, 2]),
                 lambda x, m, n: m / 2 * mp.log(m * x / (m * x + n)) + n / 2 * mp.log(n / (m * x + n)) - mp.log(x) - lnbeta(m / 2, n / 2),
                 lambda x, m, n: beta_lower(m / 2, n / 2, m * x / (m * x + n), n / (m * x + n)), lambda x, m, n: beta_lower(n / 2, m / 2, n / (m * x + n), m * x / (m * x + n)),
                 lambda m, n: n / (n - 2) if n > 2 else INF, lambda m, n: 2 * (n / (n - 2)) ** 2 * (m + n - 2) / (m * (n - 4)) if n > 4 else INF,
                 lambda m, n: lnbeta(m / 2, n / 2) + mp.log(n / m) + (1 - m / 2) * mp.digamma(m / 2) - (1 + n / 2) * mp.digamma(n / 2) + (m + n) / 2 * mp.digamma((m + n) / 2)),
    Distribution("LogLogistic(scale, concentration)",
                 [((a, b), [v for v in (a * mp.exp(u / mpf(b)) for u in (-200, -40, -8, -1, 0.25, 1.5, 8, 40, 300)) if 1e-300 < v < 1e300])
                  for a, b in [(1.25, 2.5), (0.625, 0.625), (1e-10, 2.5), (1e10, 2.5), (1.25, 30.0), (1.25, 1.0), (1.25, 1e3)]],
                 lambda x, a, b: mp.log(b / a) + (b - 1) * mp.log(x / a) - 2 * softplus(b * mp.log(x / a)), lambda x, a, b: sigmoid(b * mp.log(x / a)),
                 lambda x, a, b: sigmoid(-b * mp.log(x / a)), lambda a, b: a * (mp.pi / b) / mp.sin(mp.pi / b) if b > 1 else INF,
                 lambda a, b: a * a * (2 * mp.pi / b / mp.sin(2 * mp.pi / b) - (mp.pi / b / mp.sin(mp.pi / b)) ** 2) if b > 2 else INF, lambda a, b: mp.log(a / b) + 2),
    # With a skewness of half the tail weight.
    Distribution("NormalInverseGaussian(location, scale, tailweight)",
                 [(t, [single(single(t[0]) + z * t[1]) for z in (-200, -30, -2, -0.5, 0, 0.25, 1, 9, 200)])
                  for t in [(0.3125, 1.25, 1.25), (-1.5, 0.625, 2.5), (0.0, 1e-10, 1e10), (0.3125, 1e10, 1e-10), (0.3125, 1.25, 1e-5), (0.3125, 1.25, 50.0)]],
                 lambda x, m, s, a: normal_inverse_gaussian_log(x, m, s, a, a / 2), None, None,
                 lambda m, s, a: m + s / mp.sqrt(3), lambda m, s, a: 8 * s / (3 * mp.sqrt(3) * a)),
    Distribution("Horseshoe(scale)",
                 [((s,), [v * s for v in (-1e8, -40, -2.5, -1, -0.25, 1e-30, 1e-8, 0.001, 0.25, 1, 2.5, 8, 40, 500, 1e30) if 1e-307 < abs(v) * s < 1e307]) for s in SCALES],
                 horseshoe_log, None, None, None, None, lambda s: HORSESHOE_ENTROPY + mp.log(s)),
    Distribution("Levy(location, scale)",
                 [((m, c), [single(single(m) + v * c) for v in (0.00390625, 0.03125, 0.25, 1.25, 8, 500, 1e10) if single(single(m) + v * c) > single(m)])
                  for m, c in [(0.3125, 1.25), (-1.5, 0.625), (0.0, 1e-10), (0.3125, 1e10), (1e5, 1.25), (0.0, 1e-30), (0.0, 1e30)]],
                 lambda x, m, c: (mp.log(c) - LN_2PI - 3 * mp.log(x - m) - c / (x - m)) / 2, lambda x, m, c: mp.erfc(mp.sqrt(c / (x - m) / 2)),
                 lambda x, m, c: mp.erf(mp.sqrt(c / (x - m) / 2)), lambda m, c: INF, lambda m, c: INF,
                 lambda m, c: (1 + 3 * EG + mp.log(16 * mp.pi * c * c)) / 2),
    Distribution("Triangular(low, peak, high)",
                 [(t, [single(t[0] + (t[2] - t[0]) * v) for v in (0.015625, 0.1875, 0.8125, 0.984375)])
                  for t in [(0.3125, 1.3125, 2.3125), (-1.5, -1.25, -0.75), (-1e30, 1e10, 1e30), (0.0, 2e-31, 1e-30), (1e5, 100000.5, 100001.0), (0.0, 0.0, 1.0), (0.0, 1.0, 1.0)]],
                 lambda x, l, m, h: triangular_log(x, l, m, h), lambda x, l, m, h: triangular_share(x, l, m, h)[0], lambda x, l, m, h: triangular_share(x, l, m, h)[1],
                 lambda l, m, h: (l + m + h) / 3, lambda l, m, h: ((m - l) ** 2 + (m - l) * (h - m) + (h - m) ** 2) / 18,
                 lambda l, m, h: HALF + mp.log((h - l) / 2)),
    Distribution("GeneralizedPareto(location, scale, concentration)",
                 [(t, [x for x in (single(single(t[0]) + shaped_exp(mpf(single(t[2])), mpf(u)) * single(t[1])) for u in (1e-3, 0.25, 1.5, 8, 40)) if x > single(t[0]) and inside(x, *t)])
                  for t in SHAPED],
                 lambda x, m, s, k: -(1 + k) * shaped_log((x - m) / s, k) - mp.log(s), lambda x, m, s, k: -mp.expm1(-shaped_log((x - m) / s, k)),
                 lambda x, m, s, k: mp.exp(-shaped_log((x - m) / s, k)), lambda m, s, k: m + s / (1 - k) if k < 1 else INF,
                 lambda m, s, k: (s / (1 - k)) ** 2 / (1 - 2 * k) if k < HALF else INF, lambda m, s, k: mp.log(s) + k + 1),
    Distribution("InverseGaussian(location, concentration)",
                 [((m, l), [m * v for v in (0.03125, 0.25, 0.5, 1.25, 2.5, 8, 40)])
                  for m, l in [(1.25, 0.625), (0.625, 1.25), (1e-5, 1.0), (1.0, 1e3), (1e5, 1.0), (1e-10, 1e-10), (1e10, 1e10)]],
                 lambda x, m, l: (mp.log(l) - LN_2PI - 3 * mp.log(x) - l * (x - m) ** 2 / (m * m * x)) / 2,
                 lambda x, m, l: inverse_gaussian(x, m, l, 1), lambda x, m, l: inverse_gaussian(x, m, l, -1),
                 lambda m, l: m, lambda m, l: m ** 3 / l,
                 lambda m, l: (1 + LN_2PI + 3 * mp.log(m) - mp.log(l) - 3 * mp.exp(2 * l / m) * mp.e1(2 * l / m)) / 2),
    Distribution("Beta(alpha, beta)",
                 same([(2.5, 0.625), (0.625, 2.5), (1.0, 2.5), (2.5, 1.0), (1e-3, 2.5), (1e-3, 1e-3), (30.0, 3.0)], UNIT)
                 + same([(1e3, 1e3)], [0.25, 0.4375, 0.5, 0.53125, 0.75]),
                 beta_log, lambda x, a, b: beta_lower(a, b, x, 1 - x), lambda x, a, b: beta_lower(b, a, 1 - x, x),
                 lambda a, b: a / (a + b), lambda a, b: a * b / (a + b) ** 2 / (a + b + 1),
                 lambda a, b: lnbeta(a, b) - (a - 1) * mp.digamma(a) - (b - 1) * mp.digamma(b) + (a + b - 2) * mp.digamma(a + b)),
    Distribution("Kumaraswamy(a, b)",
                 same([(2.5, 0.625), (0.625, 2.5), (1.0, 2.5), (2.5, 1.0), (0.1, 0.1), (30.0, 3.0)], UNIT)
                 + same([(1e3, 1e3)], [0.984375, 0.9921875, 0.99609375]),
                 lambda x, a, b: mp.log(a * b) + (a - 1) * mp.log(x) + (b - 1) * log_one_minus_exp(a * mp.log(x)),
                 lambda x, a, b: -mp.expm1(b * log_one_minus_exp(a * mp.log(x))),
                 lambda x, a, b: mp.exp(b * log_one_minus_exp(a * mp.log(x))),
                 lambda a, b: kumaraswamy_moment(a, b, 1),
                 lambda a, b: kumaraswamy_moment(a, b, 2) - kumaraswamy_moment(a, b, 1) ** 2,
                 lambda a, b: 1 - 1 / b + (1 - 1 / a) * (mp.digamma(b + 1) + EG) - mp.log(a * b)),
    Distribution("ContinuousBernoulli(logits)", same([(v,) for v in LOGITS + [1e-3, -1e-8]], UNIT),
                 lambda x, l: l * x - continuous_bernoulli_normaliser(l), ratio_expm1,
                 lambda x, l: ratio_expm1(1 - x, -l), continuous_bernoulli_mean, continuous_bernoulli_variance,
                 lambda l: continuous_bernoulli_normaliser(l) - l * continuous_bernoulli_mean(l)),
    Distribution("RelaxedBernoulli(temperature, logits)",
                 same([(2.5, 0.3125), (0.625, -1.75), (0.1, 12.0), (30.0, 0.0), (0.5, -20.0)], UNIT), relaxed_log,
                 lambda x, t, l: sigmoid(t * logit(x) - l), lambda x, t, l: sigmoid(l - t * logit(x))),
    Distribution("Bernoulli(probability)", same([(p,) for p in PROBABILITIES], [0, 1]), lambda k, p: mp.log(p) if k else mp.log1p(-p),
                 lambda k, p: mpf(1) if k else 1 - p, lambda k, p: mpf(0) if k else p, lambda p: p, lambda p: p * (1 - p),
                 lambda p: bernoulli_entropy(p, 1 - p), discrete=True),
    Distribution("Bernoulli(logits)", same([(l,) for l in LOGITS], [0, 1]), lambda k, l: -softplus(-l if k else l),
                 lambda k, l: mpf(1) if k else sigmoid(-l), lambda k, l: mpf(0) if k else sigmoid(l), sigmoid,
                 lambda l: sigmoid(l) * sigmoid(-l), lambda l: bernoulli_entropy(sigmoid(l), sigmoid(-l)), discrete=True),
    Distribution("Binomial(trials, probability)",
                 [((n, p), [k for k in COUNTS if k <= n]) for n in (7, 30, 1) for p in PROBABILITIES[:3]] + [((7, p), [0, 1, 5, 7]) for p in PROBABILITIES[3:]]
                 + [((1000, 0.3125), [200, 290, 312, 350, 500])],
                 lambda k, n, p: binomial_log(k, n, p, 1 - p), lambda k, n, p: binomial_lower(k, n, p, 1 - p),
                 lambda k, n, p: binomial_upper(k, n, p, 1 - p), lambda n, p: n * p, lambda n, p: n * p * (1 - p), discrete=True, fixed=[0]),
    Distribution("Binomial(trials, logits)",
                 [((n, l), [k for k in COUNTS if k <= n]) for n in (7, 30) for l in LOGITS],
                 lambda k, n, l: binomial_log(k, n, sigmoid(l), sigmoid(-l)), lambda k, n, l: binomial_lower(k, n, sigmoid(l), sigmoid(-l)),
                 lambda k, n, l: binomial_upper(k, n, sigmoid(l), sigmoid(-l)), lambda n, l: n * sigmoid(l),
                 lambda n, l: n * sigmoid(l) * sigmoid(-l), discrete=True, fixed=[0]),
    Distribution("BetaBinomial(trials, alpha, beta)",
                 [((n, a, b), [k for k in COUNTS if k <= n]) for n in (7, 30) for a, b in ((2.5, 0.625), (0.625, 2.5), (1e-3, 2.5), (1e3, 30.0))]
                 + [((1, 1e-10, 1.25), [0, 1])],
                 beta_binomial_log, lambda k, n, a, b: mp.fsum(mp.exp(beta_binomial_log(mpf(i), n, a, b)) for i in range(int(k) + 1)),
                 lambda k, n, a, b: mp.fsum(mp.exp(beta_binomial_log(mpf(i), n, a, b)) for i in range(int(k) + 1, int(n) + 1)),
                 lambda n, a, b: n * a / (a + b), lambda n, a, b: n * a * b * (a + b + n) / (a + b) ** 2 / (a + b + 1),
                 lambda n, a, b: -mp.fsum(mp.exp(beta_binomial_log(mpf(i), n, a, b)) * beta_binomial_log(mpf(i), n, a, b) for i in range(int(n) + 1)),
                 discrete=True, fixed=[0]),
    Distribution("Geometric(probability)", same([(p,) for p in PROBABILITIES], COUNTS + [1e6, 1e12]),
                 lambda k, p: k * mp.log1p(-p) + mp.log(p), lambda k, p: -mp.expm1((k + 1) * mp.log1p(-p)),
                 lambda k, p: mp.exp((k + 1) * mp.log1p(-p)), lambda p: (1 - p) / p, lambda p: (1 - p) / p ** 2,
                 lambda p: bernoulli_entropy(p, 1 - p) / p, discrete=True),
    Distribution("Geometric(logits)", same([(l,) for l in LOGITS], COUNTS + [1e6]),
                 lambda k, l: -k * softplus(l) - softplus(-l), lambda k, l: -mp.expm1(-(k + 1) * softplus(l)),
                 lambda k, l: mp.exp(-(k + 1) * softplus(l)), lambda l: mp.exp(-l), lambda l: sigmoid(-l) / sigmoid(l) ** 2,
                 lambda l: bernoulli_entropy(sigmoid(l), sigmoid(-l)) / sigmoid(l), discrete=True),
    Distribution("NegativeBinomial(successes, probability)",
                 same([(r, p) for r in (2.5, 0.625, 1e-3, 30.0) for p in PROBABILITIES[:3]] + [(1.0, 0.5)], COUNTS),
                 lambda k, r, p: negative_binomial_log(k, r, p, 1 - p), lambda k, r, p: beta_lower(r, k + 1, p, 1 - p),
                 lambda k, r, p: beta_lower(k + 1, r, 1 - p, p), lambda r, p: r * (1 - p) / p, lambda r, p: r * (1 - p) / p ** 2, discrete=True),
    Distribution("NegativeBinomial(successes, logits)", same([(r, l) for r in (2.5, 0.625) for l in LOGITS[:5]], COUNTS),
                 lambda k, r, l: negative_binomial_log(k, r, sigmoid(l), sigmoid(-l)),
                 lambda k, r, l: beta_lower(r, k + 1, sigmoid(l), sigmoid(-l)), lambda k, r, l: beta_lower(k + 1, r, sigmoid(-l), sigmoid(l)),
                 lambda r, l: r * mp.exp(-l), lambda r, l: r * sigmoid(-l) / sigmoid(l) ** 2, discrete=True),
    Distribution("Poisson(rate)", same([(r,) for r in (2.5, 0.625, 1e-10, 1e-3, 30.0)], COUNTS) + same([(1e3,)], [500, 900, 1000, 1050, 1500]),
                 lambda k, r: k * mp.log(r) - r - mp.loggamma(k + 1), lambda k, r: gamma_upper(k + 1, r), lambda k, r: gamma_lower(k + 1, r),
                 lambda r: r, lambda r: r, poisson_entropy, discrete=True),
    Distribution("Skellam(rate_up, rate_down)", same([(1.25, 0.625), (30.0, 2.5), (1e-3, 1e-3), (2.5, 30.0)], [-40, -12, -2, -1, 0, 1, 3, 12, 40]),
                 lambda k, a, b: -a - b + k * (mp.log(a) - mp.log(b)) / 2 + mp.log(mp.besseli(abs(k), 2 * mp.sqrt(a * b))), None, None,
                 lambda a, b: a - b, lambda a, b: a + b, discrete=True),
    Distribution("Zeta(exponent)", same([(v,) for v in (1.0625, 1.25, 1.375, 2.0, 2.5, 3.0, 3.0625, 8.0, 30.0, 100.0)], [1, 2, 5, 8, 40, 1e4, 1e10, 1e30]),
                 zeta_log, lambda k, s: 1 - zeta_upper(k, s), zeta_upper, lambda s: 1 + zeta_moment(s, 1),
                 lambda s: zeta_moment(s, 2) - zeta_moment(s, 1) ** 2 if s > 3 else INF, zeta_entropy, discrete=True),
    Distribution("Zipf(exponent)", same([(v,) for v in (2.5, 0.625, 1e-10, 1e-3, 30.0, 100.0)], [1, 2, 5, 8]), zipf_log,
                 lambda k, s: mp.fsum(mp.exp(zipf_log(mpf(j), s)) for j in range(1, int(k) + 1)) if k < 8 else mpf(1),
                 lambda k, s: mp.fsum(mp.exp(zipf_log(mpf(j), s)) for j in range(int(k) + 1, 9)),
                 lambda s: mp.fsum(j * mp.exp(zipf_log(mpf(j), s)) for j in range(1, 9)), None,
                 lambda s: -mp.fsum(zipf_log(mpf(j), s) * mp.exp(zipf_log(mpf(j), s)) for j in range(1, 9)), discrete=True),
    # As many successes as draws, and that many failures and others.
    Distribution("Hypergeometric(draws, others)",
                 [((d, m), [k for k in COUNTS if k <= d]) for d in (7, 30) for m in (0, 5, 1000)],
                 hypergeometric_log, lambda k, d, m: mp.fsum(mp.exp(hypergeometric_log(i, d, m)) for i in range(int(k) + 1)),
                 lambda k, d, m: mp.fsum(mp.exp(hypergeometric_log(i, d, m)) for i in range(int(k) + 1, int(d) + 1)),
                 lambda d, m: d * d / (2 * d + m), lambda d, m: d * d * (d + m) ** 2 / (2 * d + m) ** 2 / (2 * d + m - 1),
                 lambda d, m: -mp.fsum(mp.exp(hypergeometric_log(i, d, m)) * hypergeometric_log(i, d, m) for i in range(int(d) + 1)), discrete=True, fixed=[0, 1]),
    Distribution("DiscreteUniform(low, high)", same([(1, 6), (-3, -2), (0, 1000000)], [-3, 0, 1, 3]), lambda k, l, h: -mp.log(h - l + 1) if l <= k <= h else -INF,
                 None, None, lambda l, h: (l + h) / 2, lambda l, h: ((h - l + 1) ** 2 - 1) / mpf(12), lambda l, h: mp.log(h - l + 1), discrete=True, fixed=[0, 1]),
    Distribution("Categorical(logits[3])", same([(0.3125, -1.75, 0.0), (80.0, 0.0, -20.0), (12.0, 12.0, -5.0)], [0, 1, 2]),
                 lambda k, *t: mp.log(categorical_weights(t)[int(k)]), lambda k, *t: mp.fsum(categorical_weights(t)[:int(k) + 1]) if k < 2 else mpf(1),
                 lambda k, *t: mp.fsum(categorical_weights(t)[int(k) + 1:]), None, None, categorical_entropy, discrete=True),
    Distribution("OrderedLogistic(predictor, cutpoints[2])", same([(0.3125, -1.75, 0.75), (-1.5, 0.3125, 0.3126), (12.0, 2.0, 2.5), (-80.0, 0.5, 2.5)], [0, 1, 2]),
                 lambda k, *t: mp.log(ordered_weights(*t)[int(k)]), lambda k, *t: sigmoid(t[int(k) + 1] - t[0]) if k < 2 else mpf(1),
                 lambda k, *t: sigmoid(t[0] - t[int(k) + 1]) if k < 2 else mpf(0),
                 lambda *t: ordered_weights(*t)[1] + 2 * ordered_weights(*t)[2], None, lambda *t: -mp.fsum(p * mp.log(p) for p in ordered_weights(*t)), discrete=True),
    Distribution("ZeroInflated(gate, Poisson(rate))", same([(0.3125, 2.5), (0.875, 0.625), (1e-5, 30.0), (0.5, 1e-3)], COUNTS), inflated_log,
                 lambda k, p, r: p + (1 - p) * gamma_upper(k + 1, r), lambda k, p, r: (1 - p) * gamma_lower(k + 1, r),
                 lambda p, r: (1 - p) * r, lambda p, r: (1 - p) * r * (1 + p * r), discrete=True),
    Distribution("Hurdle(gate, Poisson(rate))", same([(0.3125, 2.5), (0.875, 0.625), (1e-5, 30.0), (0.5, 1e-3)], COUNTS), hurdle_log,
                 lambda k, p, r: 1 - hurdle_upper(k, p, r), hurdle_upper,
                 lambda p, r: (1 - p) * r / -mp.expm1(-r),
                 lambda p, r: (1 - p) * (r + r * r) / -mp.expm1(-r) - ((1 - p) * r / mp.expm1(-r)) ** 2, discrete=True),
    Distribution("MixtureSameFamily(logits[2], Normal(location[2], scale))", same(MIX, [-1e5, -30.0, -2.5, 0.25, 1.0, 9.0, 1e5]),
                 lambda x, a, b, m, n, s: mp.log(sum(w * mp.exp(normal_at(x, v, s)) for w, v in zip(mixture_weights(a, b), (m, n)))),
                 lambda x, a, b, m, n, s: sum(w * normal_below(x, v, s) for w, v in zip(mixture_weights(a, b), (m, n))),
                 lambda x, a, b, m, n, s: sum(w * normal_above(x, v, s) for w, v in zip(mixture_weights(a, b), (m, n))),
                 lambda a, b, m, n, s: sum(w * v for w, v in zip(mixture_weights(a, b), (m, n))),
                 lambda a, b, m, n, s: s * s + sigmoid(a - b) * sigmoid(b - a) * (m - n) ** 2),
    Distribution("Mixture(probability, Normal(location, scale), Laplace(location, scale))",
                 same([(0.3125, -1.5, 1.25, 2.0, 0.625), (0.001, -1e3, 0.001, 1e3, 50.0), (0.875, 0.0, 1.0, 0.0, 1e-5)], [-1e3, -30.0, -2.5, 0.25, 1.0, 9.0, 900.0]),
                 lambda x, p, m, s, n, b: log_average(p, normal_at(x, m, s), -abs(x - n) / b - mp.log(2 * b)),
                 lambda x, p, m, s, n, b: p * normal_below(x, m, s) + (1 - p) * laplace_lower((x - n) / b),
                 lambda x, p, m, s, n, b: p * normal_above(x, m, s) + (1 - p) * laplace_lower((n - x) / b),
                 lambda p, m, s, n, b: p * m + (1 - p) * n,
                 lambda p, m, s, n, b: p * s * s + (1 - p) * 2 * b * b + p * (1 - p) * (m - n) ** 2),
    Distribution("Mixture(logit, Exponential(rate), Gamma(concentration, rate))", same([(0.3125, 1.25, 2.5, 0.625), (-20.0, 1.0, 0.625, 1.25), (12.0, 1e-3, 30.0, 2.5)], POSITIVE),
                 lambda x, l, r, a, b: log_average(sigmoid(l), mp.log(r) - r * x, gamma_log(x * b, a) + mp.log(b)),
                 lambda x, l, r, a, b: -sigmoid(l) * mp.expm1(-r * x) + sigmoid(-l) * gamma_lower(a, b * x),
                 lambda x, l, r, a, b: sigmoid(l) * mp.exp(-r * x) + sigmoid(-l) * gamma_upper(a, b * x)),
    through("Normal(location, scale), Affine(shift, scale)", 4, same([(0.3125, 1.25, -1.5, 2.0), (0.3125, 0.625, 0.3125, -0.5), (0.3125, 1.25, 1e5, 1e-3)], [-30.0, -2.5, 0.25, 9.0]),
            lambda y, m, s, a, b: (y - a) / b, lambda y, m, s, a, b: -mp.log(abs(b)), lambda x, m, s, *_: normal_at(x, m, s),
            lambda x, m, s, a, b: phi((x - m) / s * mp.sign(b)), lambda x, m, s, a, b: phi((m - x) / s * mp.sign(b))),
    through("Normal(location, scale), Exp", 2, same([(0.3125, 1.25), (-1.75, 0.625), (12.0, 1.25)], POSITIVE), lambda y, *t: mp.log(y), lambda y, *t: -mp.log(y),
            normal_at, normal_below, normal_above),
    through("Normal(location, scale), Sigmoid", 2, same([(0.3125, 1.25), (-1.75, 0.625), (12.0, 1.25)], UNIT), lambda y, *t: logit(y), lambda y, *t: -mp.log(y) - mp.log1p(-y),
            normal_at, normal_below, normal_above),
    through("Normal(location, scale), Softplus", 2, same([(0.3125, 1.25), (-1.75, 0.625), (12.0, 1.25)], POSITIVE), lambda y, *t: mp.log(mp.expm1(y)),
            lambda y, *t: -mp.log(-mp.expm1(-y)), normal_at, normal_below, normal_above),
    through("Normal(location, scale), Tanh", 2, same([(0.3125, 1.25), (-1.75, 0.625), (12.0, 1.25)], [v * sign for v in UNIT for sign in (1, -1)]),
            lambda y, *t: mp.atanh(y), lambda y, *t: -mp.log1p(-y * y), normal_at, normal_below, normal_above),
    through("Exponential(rate), Power(exponent)", 2, same([(1.25, 2.0), (0.625, 0.5), (1.25, 30.0)], POSITIVE), lambda y, r, e: y ** (1 / e),
            lambda y, r, e: (1 / e - 1) * mp.log(y) - mp.log(abs(e)), lambda x, r, e: mp.log(r) - r * x, lambda x, r, e: -mp.expm1(-r * x), lambda x, r, e: mp.exp(-r * x)),
    through("Beta(alpha, beta), Inverse(Sigmoid)", 2, same([(2.5, 0.625), (0.625, 2.5), (2.0, 3.0)], [-200.0, -40.0, -5.0, -0.5, 0.25, 3.0, 17.0, 40.0, 200.0]),
            lambda y, *t: y, lambda y, *t: mpf(0), lambda y, a, b: -a * softplus(-y) - b * softplus(y) - lnbeta(a, b),
            lambda y, a, b: beta_lower(a, b, sigmoid(y), sigmoid(-y)), lambda y, a, b: beta_lower(b, a, sigmoid(-y), sigmoid(y))),
    through("Gamma(concentration, rate), Inverse(Exp)", 2, same([(2.5, 1.25), (0.625, 0.625), (30.0, 1.25)], [-200.0, -40.0, -5.0, -0.5, 0.25, 2.0, 3.5, 5.0]),
            lambda y, *t: mp.exp(y), lambda y, *t: y, lambda x, a, r: gamma_log(x * r, a) + mp.log(r), lambda x, a, r: gamma_lower(a, x * r),
            lambda x, a, r: gamma_upper(a, x * r)),
]


def slopes(f, inputs, skipped):
    """The derivatives with respect to all inputs; None for those that are skipped."""
    for index, value in enumerate(inputs):
        if index in skipped:
            yield None
            continue
        # A location may be much larger than the scale, but nothing depends on all digits of an input.
        least = min(abs(v) for v in inputs if v) if any(inputs) else mpf(1)
        step = max(least, abs(value) * mpf(10) ** -60) * mpf(10) ** -25
        moved = lambda v: f(*(v if i == index else other for i, other in enumerate(inputs)))
        spread = mp.log10(max(abs(v) for v in [*inputs, mpf(1)]) / least)
        with mp.workdps(110 + int(min(spread, 90))):
            yield (moved(value + step) - moved(value - step)) / (2 * step)


def digits(value):
    if value is None:
        return "-"
    return mp.nstr(mpf(value), 20, min_fixed=-4, max_fixed=6).removesuffix(".0")


def with_slopes(f, inputs, skipped):
    value = f(*inputs)
    if not mp.isfinite(value):
        return digits(value)
    # What is left of the differences where the derivative is 0.
    noise = abs(value) * mpf(10) ** -45
    least = min((abs(x) for x in inputs if x), default=1)
    exact = (0 if slope and abs(slope * (x or least)) < noise else slope for x, slope in zip(inputs, slopes(f, inputs, skipped)))
    return ";".join(map(digits, [value, *exact]))


def lines(distribution):
    count = None
    for values, arguments in distribution.points:
        t = [mpf(single(float(v))) for v in values]
        text = ";".join(repr(float(v)) for v in t)
        fixed = set(distribution.fixed)
        for argument in filter(math.isfinite, dict.fromkeys(single(float(v)) for v in arguments)):
            x, skipped = mpf(argument), fixed | ({len(t)} if distribution.discrete else set())
            swapped = lambda f: lambda *inputs: f(inputs[-1], *inputs[:-1])
            row = [text, repr(argument), with_slopes(swapped(distribution.log), [*t, x], skipped)]
            tails = [distribution.lower, distribution.upper]
            for tail, other in (tails, tails[::-1]):
                if tail is None:
                    row.append("")
                    continue
                probability = tail(x, *t)
                if probability <= 0:
                    row.append("0")
                    continue
                if probability > HALF:
                    log = lambda *inputs: mp.log1p(-other(inputs[-1], *inputs[:-1]))
                else:
                    log = lambda *inputs: mp.log(tail(inputs[-1], *inputs[:-1]))
                row.append(digits(probability) + ";" + with_slopes(log, [*t, x], skipped))
            yield row
        moments = [f and with_slopes(f, t, fixed) or "" for f in distribution.moments]
        if any(moments):
            yield [text, "", *moments]


def main():
    wanted = set(sys.argv[1:])
    files = {}
    for distribution in DISTRIBUTIONS:
        files.setdefault(distribution.file, []).append(distribution)
    HERE.mkdir(exist_ok=True)
    for file, distributions in files.items():
        if wanted and not any(d.name in wanted or d.name.split("(")[0] in wanted for d in distributions):
            continue
        with open(HERE / file, "w", newline="") as out:
            table = csv.writer(out, lineterminator="\n")
            table.writerow(["distribution", "parameters", "argument", "density", "below", "above"])
            for distribution in distributions:
                for row in lines(distribution):
                    table.writerow([distribution.name, *row])
        print(file, flush=True)


if __name__ == "__main__":
    main()
