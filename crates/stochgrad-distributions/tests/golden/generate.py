"""Known values of the distributions, computed from their definitions with sixty digits.

    python3 -m venv venv && venv/bin/pip install mpmath==1.4.1
    venv/bin/python crates/stochgrad-distributions/tests/golden/generate.py [DISTRIBUTION ...]

Writes `<distribution>.csv` into the folder of this script, with one line for each value: distribution, function,
parameters, argument, value. Every input is a double and is used exactly. `tests/golden.rs` reads the tables.

A distribution is given by its log-density (or log-probability), its support, its distribution function if that has a
closed form, and points: parameters with arguments. Scores and implicit derivatives are derivatives of these functions.
Moments, entropies, expected costs and divergences are integrals or sums of them, at the points that are marked as
ordinary. Where an entropy is also given in closed form, the script compares the two, and uses the closed form at
extreme points.
"""

import csv
import itertools
import math
import pathlib
import sys

import mpmath as mp
from mpmath import mpf

mp.mp.dps = 60
HERE = pathlib.Path(__file__).parent
INF = mp.inf


def lngamma(x):
    return mp.loggamma(x)


def lnbeta(a, b):
    return lngamma(a) + lngamma(b) - lngamma(a + b)


def ncdf(z):
    return mp.erfc(-z / mp.sqrt(2)) / 2


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


class Distribution:
    """`support` maps parameters to an interval, or to a range of whole numbers where the distribution is discrete; it ends where the tail is below 1e-45."""

    def __init__(self, distribution, log_prob, support, points, cdf=None, entropy=None, discrete=False, splits=None, heavy=False,
                 fixed=(), score=True, expected_sin=None, through=None):
        self.distribution, self.log_prob, self.support, self.points = distribution, log_prob, support, points
        self.cdf, self.entropy, self.discrete, self.splits = cdf, entropy, discrete, splits
        self.heavy, self.fixed, self.score = heavy, set(fixed), score
        # The expectation of the sine, where quadrature is no good; and x and dx/dy of a better variable y, with its interval.
        self.expected_sin, self.through = expected_sin, through
        self.names = distribution[distribution.index("(") + 1:-1].split(", ")

    @property
    def file(self):
        name = self.distribution.split("(")[0]
        return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name)) + ".csv"

    def expectation(self, f, t):
        if self.discrete:
            low, high = self.support(*t)
            term = lambda k: mp.exp(self.log_prob(mpf(k), *t)) * f(mpf(k))
            if high == INF:
                # The formula of Euler and Maclaurin, for smooth terms that fall as a power.
                begin = low + 60
                rest = mp.quad(lambda y: term(mp.exp(y)) * mp.exp(y), [mp.log(begin) + j for j in (0, 2, 8, 32, 128)] + [INF])
                corrections = (mp.bernoulli(2 * m) / mp.factorial(2 * m) * mp.diff(term, begin, 2 * m - 1) for m in range(1, 7))
                return mp.fsum(map(term, range(low, begin))) + rest + term(begin) / 2 - mp.fsum(corrections)
            return mp.fsum(term(k) for k in range(low, high + 1))
        if self.through:
            x, slope, ends = self.through(*t)
            return mp.quad(lambda y: mp.exp(self.log_prob(x(y), *t)) * slope(y) * f(x(y)), ends, maxdegree=9)
        low, high = self.support(*t)
        inner = sorted(x for x in (self.splits(*t) if self.splits else []) if low < x < high)
        return mp.quad(lambda x: mp.exp(self.log_prob(x, *t)) * f(x), [low] + inner + [high], maxdegree=9)

    def by(self, f, t, index):
        def moved(v):
            other = list(t)
            other[index] = v
            return f(*other)
        # Far below every scale in use, and far above the rounding of sixty digits.
        step = abs(t[index]) * mpf(10) ** -22 if t[index] else mpf(10) ** -26
        return (moved(t[index] + step) - moved(t[index] - step)) / (2 * step)

    def rows(self):
        for values, arguments, ordinary in self.points:
            t = [mpf(v) for v in values]
            for argument in arguments:
                x = mpf(argument)
                yield "log_prob", values, argument, self.log_prob(x, *t)
                inside = mp.isfinite(self.log_prob(x, *t))
                for index, name in enumerate(self.names):
                    if name in self.fixed or not inside:
                        continue
                    if self.score:
                        yield f"score/{name}", values, argument, self.by(lambda *o: self.log_prob(x, *o), t, index)
                    if self.cdf and not self.discrete:
                        density = mp.exp(self.log_prob(x, *t))
                        yield f"implicit/{name}", values, argument, -self.by(lambda *o: self.cdf(x, *o), t, index) / density
                if self.cdf:
                    cumulative = self.cdf(x, *t)
                    yield "cdf", values, argument, cumulative
                    level = mpf(float(cumulative)) if not mp.isnan(cumulative) else mpf(0)
                    if inside and not self.discrete and 0 < level < 1 - mpf(10) ** -10:
                        # The level is the nearest double: the quantile is a rounding away.
                        quantile = x
                        for _ in range(2):
                            quantile += (level - self.cdf(quantile, *t)) / mp.exp(self.log_prob(quantile, *t))
                        yield "icdf", values, float(level), quantile
            if self.entropy:
                yield "entropy", values, "", self.entropy(*t)
            if self.expected_sin and values in [point[0] for point in self.points[:2]]:
                for index, name in enumerate(self.names):
                    if name not in self.fixed:
                        yield f"cost_sin/{name}", values, "", self.by(self.expected_sin, t, index)
            if not ordinary:
                continue
            total = self.expectation(lambda x: mpf(1), t)
            assert abs(total - 1) < 1e-15, (self.distribution, values, total)
            entropy = -self.expectation(lambda x: self.log_prob(x, *t), t)
            if self.entropy:
                assert abs(entropy - self.entropy(*t)) < 1e-15 * max(1, abs(entropy)), (self.distribution, values)
            else:
                yield "entropy", values, "", entropy
            if not self.heavy:
                mean = self.expectation(lambda x: x, t)
                yield "mean", values, "", mean
                yield "variance", values, "", self.expectation(lambda x: (x - mean) ** 2, t)
            cost = mp.sin if self.heavy else (lambda x: mp.sin(x) + x * x / 10)
            function = "cost_sin" if self.heavy else "cost"
            yield function, values, "", self.expectation(cost, t)
            for index, name in enumerate(self.names):
                if name in self.fixed or not self.score:
                    continue
                if name in ("low", "high"):
                    # The bounds of the integral move too.
                    yield f"{function}/{name}", values, "", self.by(lambda *o: self.expectation(cost, o), t, index)
                    continue
                slope = lambda x: cost(x) * self.by(lambda *o: self.log_prob(x, *o), t, index)
                yield f"{function}/{name}", values, "", self.expectation(slope, t)


def where(inside, log):
    return lambda x, *t: log(x, *t) if inside(x, *t) else -INF


def counts(log):
    return where(lambda k, *t: k >= 0 and k == mp.floor(k), log)


def bits_log(x, p):
    q = p if x == 1 else 1 - p
    return mp.log(q) if q > 0 else -INF


def binomial(k, n, p):
    if not 0 <= k <= n:
        return -INF
    return lngamma(n + 1) - lngamma(k + 1) - lngamma(n - k + 1) + k * mp.log(p) + (n - k) * mp.log1p(-p)


def zipf(k, s):
    """Over eight ranks."""
    return -s * mp.log(k) - mp.log(sum(mpf(j) ** -s for j in range(1, 9))) if 1 <= k <= 8 else -INF


def powers_from(a, s):
    """The sum of j^−s over j = a, a + 1, … by the formula of Euler and Maclaurin far from its first term; for large
    numbers, that of mpmath is a difference."""
    x = a + 60
    direct = mp.fsum((a + j) ** -s for j in range(60))
    corrections = mp.fsum(mp.bernoulli(2 * m) / mp.factorial(2 * m) * mp.rf(s, 2 * m - 1) * x ** (1 - 2 * m)
                          for m in range(1, 31))
    return direct + x ** -s * (x / (s - 1) + mpf(1) / 2 + corrections)


def zeta_entropy(s):
    """From the derivative of ζ, the sum of ln j / j^s; far from 1 its first terms suffice, where that of mpmath is a
    difference."""
    if s > 60:
        sums = [mp.fsum(mp.log(j) ** order * mpf(j) ** -s for j in range(2, 40)) for order in (0, 1)]
    else:
        sums = [powers_from(mpf(2), s), -mp.zeta(s, derivative=1)]
    return mp.log1p(sums[0]) + s * sums[1] / (1 + sums[0])


def zeta(k, s):
    return -s * mp.log(k) - mp.log1p(powers_from(mpf(2), s))


def hypergeometric(k, n, good, m):
    if not max(0, m - n + good) <= k <= min(m, good):
        return -INF
    choose = lambda a, b: lngamma(a + 1) - lngamma(b + 1) - lngamma(a - b + 1)
    return choose(good, k) + choose(n - good, m - k) - choose(n, m)


def beta_binomial(k, n, a, b):
    if not 0 <= k <= n or k != mp.floor(k):
        return -INF
    return lngamma(n + 1) - lngamma(k + 1) - lngamma(n - k + 1) + lnbeta(k + a, n - k + b) - lnbeta(a, b)


def negative_binomial(k, r, p):
    return lngamma(k + r) - lngamma(r) - lngamma(k + 1) + r * mp.log(p) + k * mp.log1p(-p)


def negative_binomial_entropy(r, m):
    """With failure odds m. The logarithms of the gamma functions are integrals of exponentials."""
    def term(s):
        t = mp.exp(s)
        fall = -mp.expm1(-t)
        return (mp.exp(-r * t) - mp.exp(-t)) * -mp.expm1(-r * mp.log1p(m * fall)) / fall
    low, high = -mp.log(max(1, m, r)) - 90, mp.log(1 / min(r, 1)) + 5
    integral = mp.quad(term, [low + (high - low) * k / 40 for k in range(41)])
    return r * mp.log1p(m) + r * m * mp.log1p(1 / m) + integral


def skellam_entropy(a, b):
    mean, spread = int(a - b), int(14 * mp.sqrt(a + b)) + 60
    logs = [skellam(mpf(k), a, b) for k in range(mean - spread, mean + spread + 1)]
    return -mp.fsum(mp.exp(log) * log for log in logs)


def inflated(k, p, r):
    return mp.log((p if k == 0 else 0) + (1 - p) * mp.exp(k * mp.log(r) - r - lngamma(k + 1)))


def hurdle(k, p, r):
    return mp.log(p) if k == 0 else mp.log1p(-p) + k * mp.log(r) - r - lngamma(k + 1) - mp.log(-mp.expm1(-r))


def skellam(k, a, b):
    return -a - b + k / 2 * mp.log(a / b) + mp.log(mp.besseli(abs(k), 2 * mp.sqrt(a * b), maxterms=10 ** 6))


def truncated(x, m, s, low, high):
    if not low <= x <= high:
        return -INF
    a, b = (low - m) / s, (high - m) / s
    mass = ncdf(-a) - ncdf(-b) if a > 0 else ncdf(b) - ncdf(a)
    return -((x - m) / s) ** 2 / 2 - mp.log(2 * mp.pi) / 2 - mp.log(s) - mp.log(mass)


def truncated_cdf(x, m, s, low, high):
    a, b, z = (low - m) / s, (high - m) / s, (x - m) / s
    part = lambda u, v: ncdf(-u) - ncdf(-v) if u > 0 else ncdf(v) - ncdf(u)
    return part(a, z) / part(a, b)


def poisson_part(k, r):
    return mp.exp(k * mp.log(r) - r - lngamma(mpf(k) + 1))


def poisson_between(k, low, high, r):
    return mp.log(poisson_part(k, r) / mp.fsum(poisson_part(j, r) for j in range(int(low), int(high) + 1)))


def censored_counts(k, low, high):
    """The counts that are seen as this one."""
    return range(int(k) + 1) if k == low else range(int(high), int(high) + 60) if k == high else [k]


def censored(x, low, high, m, s):
    z = (x - m) / s
    if x == mpf(low):
        return mp.log(ncdf(z))
    return mp.log(ncdf(-z)) if x == mpf(high) else -z * z / 2 - mp.log(2 * mp.pi) / 2 - mp.log(s)


def quantized(k, m, s):
    """Between 0 and 7, from the tail in which both probabilities are small."""
    side = 1 if k - mpf(1) / 2 < m else -1
    at = lambda x: sigmoid(side * (x - m) / s)
    ends = [at(k - 1) if k > 0 else mpf(1 - side) / 2, at(k) if k < 7 else mpf(1 + side) / 2]
    return side * (ends[1] - ends[0])


def student_cdf(x, nu, m, s):
    z = (x - m) / s
    if nu > 10 ** 3:
        density = lambda t: mp.exp(-lnbeta(nu / 2, mpf(1) / 2) - mp.log(nu) / 2 - (nu + 1) / 2 * mp.log1p(t * t / nu))
        return mpf(1) / 2 + mp.quad(density, [0] + [k * mp.sign(z) for k in range(1, 9) if k < abs(z)] + [z])
    tail = mp.betainc(nu / 2, mpf(1) / 2, 0, nu / (nu + z * z), regularized=True) / 2
    return tail if z <= 0 else 1 - tail


def half_student_cdf(x, nu, s):
    z = x / s
    if nu > 10 ** 3:
        return 2 * student_cdf(x, nu, 0, s) - 1
    return mp.betainc(mpf(1) / 2, nu / 2, 0, z * z / (nu + z * z), regularized=True)


def gamma_p(a, x):
    if a > 10 ** 4:
        # The series would be too long: the integral over some sixty standard deviations.
        step = mp.sqrt(a)
        low = a - 60 * step
        inner = [a + k * step for k in range(-40, 41, 2)]
        density = lambda t: mp.exp((a - 1) * mp.log(t) - t - lngamma(a))
        return mp.quad(density, [low] + [t for t in inner if low < t < x] + [x])
    return mp.gammainc(a, 0, x, regularized=True) if x < 2 * a + 50 else 1 - mp.gammainc(a, x, INF, regularized=True)


def beta_cdf(x, a, b):
    if min(a, b) > 100:
        mean, step = a / (a + b), mp.sqrt(a * b / (a + b)) / (a + b)
        log_height = lnbeta(a, b)
        ends = [mean + k * step for k in range(-40, 41, 4)]
        density = lambda t: mp.exp((a - 1) * mp.log(t) + (b - 1) * mp.log1p(-t) - log_height)
        return mp.quad(density, [v for v in ends if v < x] + [x])
    if a > b:
        return 1 - mp.betainc(b, a, 0, 1 - x, regularized=True)
    return mp.betainc(a, b, 0, x, regularized=True)


def sum_from(low, log_prob):
    """The distribution function as a sum, where it is not too long."""
    def cdf(k, *t):
        counts = range(low(*t), int(k) + 1)
        return mp.fsum(mp.exp(log_prob(mpf(i), *t)) for i in counts) if len(counts) < 1000 else mpf("nan")
    return cdf


def characteristic_inverse_gamma(a, b):
    return 2 * mp.power(-1j * b, a / 2) / mp.gamma(a) * mp.besselk(a, 2 * mp.sqrt(-1j * b))


def concrete_sin(t, logit):
    inner = lambda y: mp.sin(sigmoid((logit + y) / t)) * mp.exp(-abs(y)) / (1 + mp.exp(-abs(y))) ** 2
    return mp.quad(inner, list(range(-140, 141, 4)))


def continuous_bernoulli(x, logit):
    if not 0 <= x <= 1:
        return -INF
    return logit * x - (mp.log(mp.expm1(logit) / logit) if logit != 0 else 0)


def inverse_gaussian_cdf(x, m, l):
    r = mp.sqrt(l / x)
    return ncdf(r * (x / m - 1)) + mp.exp(2 * l / m) * ncdf(-r * (x / m + 1))


def fisher_log(x, m, n):
    return m / 2 * mp.log(m * x / (m * x + n)) + n / 2 * mp.log(n / (m * x + n)) - mp.log(x) - lnbeta(m / 2, n / 2)


def triangular(x, l, m, h):
    if not l <= x <= h:
        return -INF
    share = (x - l) / (m - l) if x < m or m == h else (h - x) / (h - m)
    return mp.log(2 * share / (h - l)) if share > 0 else -INF


def triangular_cdf(x, l, m, h):
    if x <= l or x >= h:
        return mpf(x >= h)
    if x < m or m == h:
        return (x - l) ** 2 / ((h - l) * (m - l))
    return 1 - (h - x) ** 2 / ((h - l) * (h - m))


def shaped_log(k, z):
    """ln(1 + kz)/k. The differences of derivatives need the series as well as the value at 0."""
    if abs(k * z) < mpf(10) ** -9:
        return mp.fsum((-k) ** n * z ** (n + 1) / (n + 1) for n in range(9))
    return mp.log1p(k * z) / k


def shaped_through(m, s, k, ends):
    return lambda y: m + s * mp.expm1(k * y) / k, lambda y: s * mp.exp(k * y), ends


def generalized_pareto(x, m, s, k):
    z = (x - m) / s
    return -(1 + k) * shaped_log(k, z) - mp.log(s) if z >= 0 and 1 + k * z > 0 else -INF


def extreme_log(y, k):
    return -(1 + k) * y - mp.exp(-y)


def concrete(x, t, logit):
    y = mp.log(x) - mp.log1p(-x)
    z = logit - t * y
    return mp.log(t) + z - 2 * mp.log1p(mp.exp(z)) - mp.log(x) - mp.log1p(-x)


def asymmetric_laplace(x, m, s, k):
    z = (x - m) / s
    return -(z * k if z > 0 else -z / k) - mp.log(s * (k + 1 / k))


def asymmetric_laplace_cdf(x, m, s, k):
    z = (x - m) / s
    return k * k / (1 + k * k) * mp.exp(z / k) if z < 0 else 1 - mp.exp(-z * k) / (1 + k * k)


def johnson_su(x, g, d, m, s):
    y = (x - m) / s
    return mp.log(d / s) - (mp.log1p(y * y) + (g + d * mp.asinh(y)) ** 2 + mp.log(2 * mp.pi)) / 2


def generalized_normal(x, m, a, b):
    return -abs((x - m) / a) ** b - mp.log(2 * a) - lngamma(1 + 1 / b)


def generalized_normal_cdf(x, m, a, b):
    z = abs((x - m) / a) ** b
    tail = mp.gammainc(1 / b, z, INF, regularized=True) / 2 if z > 2 else mpf(1) / 2 - mp.gammainc(1 / b, 0, z, regularized=True) / 2
    return tail if x < m else 1 - tail


def modified_gaussian(x, m, s, r):
    z, k = (x - m) / s, r * s
    return mp.log(r) + k * k / 2 - k * z + mp.log(ncdf(z - k))


def modified_gaussian_cdf(x, m, s, r):
    z, k = (x - m) / s, r * s
    return ncdf(z) - mp.exp(k * k / 2 - k * z) * ncdf(z - k)


def skew_normal(x, m, s, a):
    z = (x - m) / s
    return mp.log(2 / s) - z * z / 2 - mp.log(2 * mp.pi) / 2 + mp.log(ncdf(a * z))


def sinh_arcsinh(x, e, d, m, s):
    y = (x - m) / s
    z = d * mp.asinh(y) - e
    return mp.log(d / s) + mp.log(mp.cosh(z)) - (mp.log1p(y * y) + mp.sinh(z) ** 2 + mp.log(2 * mp.pi)) / 2


def normal_inverse_gaussian(x, m, s, a, b):
    q = mp.sqrt(s * s + (x - m) ** 2)
    return mp.log(a * s / (mp.pi * q) * mp.besselk(1, a * q)) + s * mp.sqrt(a * a - b * b) + b * (x - m)


def horseshoe(x, s):
    y = (x / s) ** 2 / 2
    if y > 1000:
        return mp.log(mp.fsum((-1) ** k * mp.factorial(k) / y ** k for k in range(60)) / y) - mp.log(s) - mp.log(2 * mp.pi ** 3) / 2
    return y + mp.log(mp.e1(y)) - mp.log(s) - mp.log(2 * mp.pi ** 3) / 2


def horseshoe_entropy():
    term = lambda t: -2 * horseshoe(mp.exp(t), 1) * mp.exp(horseshoe(mp.exp(t), 1) + t)
    return mp.quad(term, list(range(-120, 121, 4)))


EG = mp.euler
# Nearer to 1 than this 1 - x has no digits, and no mass that counts.
BELOW_ONE = 1 - mpf(10) ** -36
LINE = [([0.3, 1.7], [-4.0, 0.1, 3.0], True), ([-1.0, 0.4], [-2.0, -0.9, 0.5], True), ([1e6, 1e-3], [1e6, 1000000.002], False),
        ([0.0, 1e8], [-3e8, 5.0, 1e9], False), ([2.0, 1.0], [-30.0, 25.0], False)]
SCALE = [([1.3], [0.05, 1.0, 4.0], True), ([0.6], [1e-8, 0.7, 3.0], True), ([1e-8], [1e-9, 2e-8], False), ([1e8], [1.0, 3e8], False)]
SHAPES = [([2.3, 1.4], [0.1, 1.5, 6.0], True), ([0.6, 1.2], [1e-6, 0.3, 5.0], True), ([1e-3, 1.0], [1e-200, 1e-3, 2.0], False),
          ([1e6, 2.0], [499000.0, 500000.0, 501500.0], False), ([40.0, 1e-3], [30000.0, 42000.0], False)]
UNIT = [([2.3, 1.4], [0.05, 0.6, 0.99], True), ([0.6, 0.7], [1e-9, 0.3, 0.999999], True), ([1e-3, 1e-3], [1e-10, 0.5], False),
        ([1e6, 1e6], [0.499, 0.5, 0.5012], False), ([1e-3, 1e6], [1e-12, 1e-7], False), ([5e4, 3.0], [0.9999, 0.99999], False)]


def loc(f):
    return lambda x, m, s: f((x - m) / s) - mp.log(s)


def loc_cdf(f):
    return lambda x, m, s: f((x - m) / s)


def wide(m, s):
    return (m - 100 * s, m + 100 * s)


def around(m, s, *_):
    return [m - 20 * s, m - 5 * s, m - s, m, m + s, m + 5 * s, m + 20 * s]


def tail(scale):
    return [scale * mpf(10) ** k for k in range(-30, 3)]


DISTRIBUTIONS = [
    Distribution("Bernoulli(probability)", bits_log, lambda p: (0, 1),
        [([p], [0.0, 1.0], 0.01 < p < 0.99) for p in [0.3, 0.9, 0.5, 1e-12, 1 - 1e-12, 1e-15]], discrete=True,
        cdf=lambda k, p: 1 - p if k == 0 else mpf(1)),
    Distribution("Bernoulli(logits)", lambda x, l: -mp.log1p(mp.exp(-l if x == 1 else l)), lambda l: (0, 1),
        [([l], [0.0, 1.0], abs(l) < 5) for l in [0.3, -2.0, 4.0, 50.0, -50.0, 700.0]], discrete=True),
    Distribution("Binomial(trials, probability)", binomial, lambda n, p: (0, int(n)),
        [([7.0, 0.3], [0.0, 2.0, 7.0], True), ([30.0, 0.8], [3.0, 24.0, 30.0], True), ([1e9, 0.5], [5e8, 499990000.0], False),
         ([1e9, 1e-9], [0.0, 3.0], False), ([50.0, 1e-12], [0.0, 2.0], False), ([12.0, 1 - 1e-12], [9.0, 12.0], False)],
        discrete=True, fixed=["trials"], cdf=sum_from(lambda n, p: 0, binomial)),
    Distribution("Binomial(trials, logits)", lambda k, n, l: lngamma(n + 1) - lngamma(k + 1) - lngamma(n - k + 1) - k * mp.log1p(mp.exp(-l)) - (n - k) * mp.log1p(mp.exp(l)),
        lambda n, l: (0, int(n)),
        [([7.0, 0.3], [0.0, 2.0, 7.0], True), ([30.0, -1.8], [3.0, 24.0, 30.0], True), ([1e9, 0.0], [5e8, 499990000.0], False),
         ([10.0, 50.0], [4.0, 10.0], False), ([10.0, -50.0], [0.0, 4.0], False)], discrete=True, fixed=["trials"]),
    Distribution("BetaBinomial(trials, alpha, beta)", beta_binomial, lambda n, a, b: (0, int(n)),
        [([7.0, 2.3, 1.4], [0.0, 2.0, 7.0, 8.0], True), ([30.0, 0.6, 0.2], [3.0, 24.0, 30.0], True), ([1.0, 1e-8, 3.0], [0.0, 1.0], False),
         ([12.0, 1e9, 3e9], [0.0, 3.0, 12.0], False), ([1e6, 2.0, 3.0], [0.0, 4e5, 1e6], False), ([300.0, 1e-3, 50.0], [0.0, 100.0, 300.0], False)],
        discrete=True, fixed=["trials"], cdf=sum_from(lambda n, a, b: 0, beta_binomial)),
    Distribution("Geometric(probability)", counts(lambda k, p: k * mp.log1p(-p) + mp.log(p)), lambda p: (0, int(110 / -math.log1p(-p)) + 10),
        [([0.3], [0.0, 3.0, 40.0], True), ([0.8], [0.0, 2.0, 9.0], True), ([1e-9], [0.0, 1e9, 3e9], False), ([1 - 1e-12], [0.0, 1.0, 2.0], False)],
        discrete=True, cdf=lambda k, p: 1 - (1 - p) ** (k + 1), entropy=lambda p: -(p * mp.log(p) + (1 - p) * mp.log1p(-p)) / p),
    Distribution("NegativeBinomial(successes, probability)", counts(negative_binomial), lambda r, p: (0, int((r + 8) * 120 / p)),
        [([2.5, 0.4], [0.0, 3.0, 40.0], True), ([0.7, 0.8], [0.0, 2.0, 9.0], True), ([1e9, 0.5], [1e9, 1000020000.0], False),
         ([2.0, 1e-9], [0.0, 1e9], False), ([1e-3, 0.5], [0.0, 3.0], False)], discrete=True, cdf=sum_from(lambda r, p: 0, negative_binomial),
        entropy=lambda r, p: negative_binomial_entropy(r, (1 - p) / p)),
    Distribution("NegativeBinomial(successes, logits)", counts(lambda k, r, l: negative_binomial(k, r, sigmoid(l))), lambda r, l: (0, int((r + 8) * 120 / sigmoid(l))),
        [([2.5, -0.4], [0.0, 3.0, 40.0], True), ([0.7, 1.2], [0.0, 2.0, 9.0], True), ([3.0, 40.0], [0.0, 1.0, 2.0], False),
         ([3.0, -20.0], [0.0, 1e9], False), ([1e6, 0.0], [1e6, 1002000.0], False)], discrete=True,
        entropy=lambda r, l: negative_binomial_entropy(r, mp.exp(-l))),
    Distribution("Poisson(rate)", counts(lambda k, r: k * mp.log(r) - r - lngamma(k + 1)), lambda r: (0, int(10 * r + 150)),
        [([2.5], [0.0, 2.0, 30.0], True), ([12.0], [3.0, 12.0, 40.0], True), ([1e9], [1e9, 999950000.0, 1000100000.0], False), ([1e-12], [0.0, 1.0, 2.0], False)],
        discrete=True, cdf=lambda k, r: mp.gammainc(k + 1, r, INF, regularized=True) if r < 1e6 else mpf("nan")),
    Distribution("Zeta(exponent)", where(lambda k, s: k >= 1, zeta), lambda s: (1, INF),
        [([3.5], [0.0, 1.0, 2.0, 7.0, 1e3], False), ([2.0], [1.0, 3.0, 40.0, 1e6, 1e15], False), ([1.25], [1.0, 2.0, 9.0, 1e9, 1e20, 1e300], False),
         ([1.0625], [1.0, 2.0, 8.0, 1e9, 1e20], False), ([7.25], [1.0, 2.0, 30.0], False), ([40.0], [1.0, 2.0, 8.0], False), ([1e3], [1.0, 2.0, 3.0], False)],
        discrete=True, cdf=lambda k, s: 1 - powers_from(mp.floor(k) + 1, s) / (1 + powers_from(mpf(2), s)) if k >= 1 else mpf(0), entropy=zeta_entropy,
        expected_sin=lambda s: mp.im(mp.polylog(s, mp.expj(1))) / mp.zeta(s)),
    Distribution("Zipf(exponent)", zipf, lambda s: (1, 8),
        [([1.3], [0.0, 1.0, 4.0, 8.0], True), ([0.4], [1.0, 2.0, 8.0, 9.0], True), ([40.0], [1.0, 2.0, 8.0], False), ([1e-8], [1.0, 5.0], False)],
        discrete=True, cdf=sum_from(lambda s: 1, zipf)),
    Distribution("Hypergeometric(population, successes, draws)", hypergeometric, lambda n, k, m: (int(max(0, m - n + k)), int(min(m, k))),
        [([30.0, 12.0, 9.0], [0.0, 4.0, 9.0, 10.0], True), ([10.0, 7.0, 6.0], [2.0, 3.0, 5.0, 6.0], True), ([1e9, 3e8, 20.0], [0.0, 6.0, 20.0], False),
         ([1e6, 1000.0, 2000.0], [0.0, 2.0, 30.0], False)], discrete=True, fixed=["population", "successes", "draws"], cdf=sum_from(lambda n, k, m: 0, hypergeometric)),
    Distribution("DiscreteUniform(low, high)", where(lambda k, l, h: l <= k <= h and k == mp.floor(k), lambda k, l, h: -mp.log(h - l + 1)), lambda l, h: (int(l), int(h)),
        [([1.0, 6.0], [0.0, 1.0, 4.0, 6.0, 7.0], True), ([-3.0, -3.0], [-3.0, -2.0], True), ([-1e9, 1e9], [-1e9, 5.0], False),
         ([0.0, 1.0], [0.0, 0.5, 1.0], True)], discrete=True, fixed=["low", "high"],
        cdf=lambda k, l, h: min(max((mp.floor(k) - l + 1) / (h - l + 1), mpf(0)), mpf(1)), entropy=lambda l, h: mp.log(h - l + 1)),
    Distribution("Skellam(rate_up, rate_down)", skellam,
        lambda a, b: (-60 - int(9 * b), 60 + int(9 * a)),
        [([2.5, 0.7], [-4.0, 0.0, 3.0, 20.0], True), ([1.0, 3.0], [-9.0, -2.0, 0.0, 5.0], True), ([1e-3, 1e-3], [-1.0, 0.0, 2.0], False), ([900.0, 1000.0], [-300.0, -100.0, 50.0], False)],
        discrete=True, cdf=sum_from(lambda a, b: -80 - int(9 * b) if b < 10 else -700, skellam), entropy=skellam_entropy),
    Distribution("ContinuousBernoulli(logits)", continuous_bernoulli, lambda l: (mpf(0), mpf(1)),
        [([1.7], [0.0, 0.3, 1.0], True), ([-4.0], [0.1, 0.5, 0.9], True), ([1e-9], [0.2, 0.9], True), ([50.0], [0.2, 0.999], False), ([-700.0], [1e-4, 0.5], False)],
        cdf=lambda x, l: mp.expm1(l * x) / mp.expm1(l)),
    Distribution("Normal(location, scale)", loc(lambda z: -z * z / 2 - mp.log(2 * mp.pi) / 2), lambda m, s: (m - 15 * s, m + 15 * s), LINE,
        cdf=loc_cdf(ncdf), entropy=lambda m, s: mp.log(2 * mp.pi * mp.e) / 2 + mp.log(s), splits=around),
    Distribution("LogNormal(location, scale)", lambda x, m, s: -((mp.log(x) - m) / s) ** 2 / 2 - mp.log(2 * mp.pi) / 2 - mp.log(s) - mp.log(x),
        lambda m, s: (mp.exp(m - 15 * s), mp.exp(m + 15 * s)),
        [([0.2, 0.4], [0.3, 1.1, 6.0], True), ([-1.0, 0.7], [0.01, 0.3, 9.0], True), ([0.0, 1e-6], [1.0, 1.000001], False), ([50.0, 3.0], [1e10, 1e22, 1e30], False),
         ([0.0, 10.0], [1e-20, 1.0, 1e9], False)], cdf=lambda x, m, s: ncdf((mp.log(x) - m) / s), entropy=lambda m, s: m + mp.log(2 * mp.pi * mp.e) / 2 + mp.log(s),
        splits=lambda m, s: [mp.exp(m + k * s) for k in range(-14, 15)]),
    Distribution("HalfNormal(scale)", lambda x, s: mp.log(2 / mp.pi) / 2 - mp.log(s) - (x / s) ** 2 / 2, lambda s: (mpf(0), 15 * s), SCALE,
        cdf=lambda x, s: mp.erf(x / s / mp.sqrt(2)), entropy=lambda s: mp.log(s) + (1 + mp.log(mp.pi / 2)) / 2, splits=lambda s: [s, 5 * s]),
    Distribution("TruncatedNormal(location, scale, low, high)", truncated, lambda m, s, l, h: (l, h),
        [([0.3, 1.4, -1.0, 2.5], [-0.9, 0.4, 2.4], True), ([0.0, 1.0, 8.0, 9.0], [8.01, 8.2, 8.9], True), ([0.0, 1.0, 40.0, 41.0], [40.001, 40.05, 40.5], False),
         ([1.0, 0.5, -30.0, -20.0], [-20.5, -20.01], False), ([0.0, 1e8, -1.0, 1.0], [-0.5, 0.9], False)], cdf=truncated_cdf, fixed=[], splits=lambda m, s, l, h: [l + (h - l) * k / 8 for k in range(1, 8)]),
    Distribution("Laplace(location, scale)", loc(lambda z: -abs(z) - mp.log(2)), wide, LINE, cdf=loc_cdf(lambda z: mp.exp(z) / 2 if z < 0 else 1 - mp.exp(-z) / 2),
        entropy=lambda m, s: 1 + mp.log(2 * s), splits=around),
    Distribution("AsymmetricLaplace(location, scale, asymmetry)", asymmetric_laplace, lambda m, s, k: (m - 110 * s * k, m + 110 * s / k),
        [([0.3, 0.8, 1.4], [-4.0, 0.1, 3.0], True), ([-1.0, 0.4, 0.6], [-2.0, -0.9, 0.5], True), ([1e6, 1e-3, 2.0], [999999.999, 1000000.002], False),
         ([0.0, 1e8, 0.1], [-3e8, 5.0, 1e10], False), ([2.0, 1.0, 1e3], [-3000.0, 2.001], False), ([2.0, 1.0, 1e-4], [-30.0, 2.5, 25.0, 4e4], False)],
        cdf=asymmetric_laplace_cdf, entropy=lambda m, s, k: 1 + mp.log(s * (k + 1 / k)), splits=lambda m, s, k: [m - 20 * s * k, m - 5 * s * k, m - s * k, m, m + s / k, m + 5 * s / k, m + 20 * s / k]),
    Distribution("Logistic(location, scale)", loc(lambda z: -z - 2 * mp.log1p(mp.exp(-z))), wide, LINE, cdf=loc_cdf(sigmoid), entropy=lambda m, s: 2 + mp.log(s), splits=around),
    Distribution("Gumbel(location, scale)", loc(lambda z: -z - mp.exp(-z)), lambda m, s: (m - 6 * s, m + 100 * s),
        [([0.3, 1.7], [-3.0, 0.1, 5.0], True), ([-1.0, 0.4], [-1.5, -0.9, 1.0], True), ([1e6, 1e-3], [1e6, 1000000.002], False), ([0.0, 1e8], [-3e8, 5.0, 1e9], False), ([0.0, 1.0], [-4.0, 30.0], False)],
        cdf=loc_cdf(lambda z: mp.exp(-mp.exp(-z))), entropy=lambda m, s: mp.log(s) + EG + 1, splits=around),
    Distribution("Moyal(location, scale)", loc(lambda z: -(z + mp.exp(-z) + mp.log(2 * mp.pi)) / 2), lambda m, s: (m - 6 * s, m + 220 * s),
        [([0.3, 0.7], [-2.0, 0.1, 5.0], True), ([-1.0, 0.4], [-1.5, -0.9, 1.0], True), ([1e6, 1e-3], [1e6, 1000000.002], False), ([0.0, 1e8], [-3e8, 5.0, 1e9], False), ([0.0, 1.0], [-6.0, 30.0, 80.0], False)],
        cdf=loc_cdf(lambda z: mp.erfc(mp.exp(-z / 2) / mp.sqrt(2))), entropy=lambda m, s: mp.log(s) + (mp.log(2 * mp.pi) + EG + mp.log(2) + 1) / 2, splits=around),
    Distribution("GeneralizedExtremeValue(location, scale, concentration)", lambda x, m, s, k: extreme_log(shaped_log(k, (x - m) / s), k) - mp.log(s),
        lambda m, s, k: (m - s / k, INF) if k > 0 else (m - 1000 * s, m - s / k),
        [([-0.7, 1.3, 0.2], [-4.0, 1.7, 40.0], False), ([0.5, 0.4, -0.3], [-1.0, 0.6, 1.7], True), ([0.0, 2.0, 0.0], [-4.0, 1.7, 60.0], False), ([0.0, 2.0, -1e-12], [-4.0, 1.7, 60.0], False),
         ([1.0, 1e-8, 1.5], [1.00000001, 3.0, 1e20], False), ([-3.0, 1e8, -0.8], [-1e8, 1e7, 1.2e8], False)],
        cdf=lambda x, m, s, k: mp.exp(-mp.exp(-shaped_log(k, (x - m) / s))), entropy=lambda m, s, k: mp.log(s) + EG * (1 + k) + 1,
        through=lambda m, s, k: shaped_through(m, s, k, [-5, -3, -1, 0, 1, 3, 8, 20, 60, 150])),
    Distribution("Cauchy(location, scale)", loc(lambda z: -mp.log(mp.pi) - mp.log1p(z * z)), lambda m, s: (-INF, INF),
        [(v, a, False) for v, a, _ in LINE] + [([0.0, 1.0], [1e10, -1e150], False)],
        cdf=loc_cdf(lambda z: mp.atan2(1, -z) / mp.pi), entropy=lambda m, s: mp.log(4 * mp.pi * s), expected_sin=lambda m, s: mp.exp(-s) * mp.sin(m),
        through=lambda m, s: (lambda y: m + s * mp.tan(y), lambda y: s / mp.cos(y) ** 2, [-mp.pi / 2, -1, 0, 1, mp.pi / 2])),
    Distribution("HalfCauchy(scale)", lambda x, s: mp.log(2 / mp.pi) - mp.log(s) - mp.log1p((x / s) ** 2), lambda s: (mpf(0), INF),
        [(v, a, False) for v, a, _ in SCALE] + [([1.0], [1e10, 1e150], False)], cdf=lambda x, s: 2 * mp.atan(x / s) / mp.pi, entropy=lambda s: mp.log(2 * mp.pi * s),
        expected_sin=lambda s: (mp.exp(-s) * mp.ei(s) - mp.exp(s) * mp.ei(-s)) / mp.pi),
    Distribution("StudentT(degrees_of_freedom, location, scale)", lambda x, nu, m, s: -lnbeta(nu / 2, mpf(1) / 2) - mp.log(nu) / 2 - mp.log(s) - (nu + 1) / 2 * mp.log1p(((x - m) / s) ** 2 / nu),
        lambda nu, m, s: (-INF, INF),
        [([7.0, 0.3, 1.7], [-6.0, 0.1, 4.0], False), ([2.5, -1.0, 0.4], [-9.0, -0.9, 1.0], False), ([0.05, 0.0, 1.0], [-1e9, 0.3], False), ([1e6, 0.0, 1.0], [-3.0, 0.1, 5.0], False),
         ([1.0, 0.0, 1e8], [1e9, -5.0], False)], cdf=student_cdf,
        entropy=lambda nu, m, s: (nu + 1) / 2 * (mp.digamma((nu + 1) / 2) - mp.digamma(nu / 2)) + mp.log(nu) / 2 + lnbeta(nu / 2, mpf(1) / 2) + mp.log(s),
        expected_sin=lambda nu, m, s: mp.sin(m) * mp.besselk(nu / 2, mp.sqrt(nu) * s) * (mp.sqrt(nu) * s) ** (nu / 2) / mp.gamma(nu / 2) / 2 ** (nu / 2 - 1)),
    Distribution("JohnsonSu(skewness, tailweight, location, scale)", johnson_su, lambda g, d, m, s: (-INF, INF),
        [([-0.6, 1.8, 0.3, 0.9], [-2.0, 0.3, 4.0], True), ([1.5, 2.5, -1.0, 0.4], [-3.0, -1.2, 1.0], True), ([0.0, 1e3, 0.0, 1e3], [-3.0, 0.1, 5.0], False),
         ([-3.0, 0.3, 1.0, 1e8], [-1e9, 5.0, 1e20], False), ([20.0, 1.0, 0.0, 1.0], [-1e9, -2e8, -1e7], False)],
        cdf=lambda x, g, d, m, s: ncdf(g + d * mp.asinh((x - m) / s)),
        through=lambda g, d, m, s: (lambda n: m + s * mp.sinh((n - g) / d), lambda n: s / d * mp.cosh((n - g) / d), list(range(-15, 16, 3)))),
    Distribution("SinhArcsinh(skewness, tailweight, location, scale)", sinh_arcsinh, lambda e, d, m, s: (-INF, INF),
        [([0.4, 1.6, 0.3, 0.9], [-1.0, 0.3, 2.0], True), ([-0.3, 0.7, -1.0, 0.4], [-3.0, -1.2, 1.0], True), ([0.0, 1e-2, 0.0, 1e3], [-3.0, 0.1, 1e10], False),
         ([0.0, 30.0, 1.0, 1e8], [-5e6, 5.0, 2e7], False), ([-4.0, 1.0, 0.0, 1.0], [-60.0, -20.0, -1.0], False)],
        cdf=lambda x, e, d, m, s: ncdf(mp.sinh(d * mp.asinh((x - m) / s) - e)),
        through=lambda e, d, m, s: (lambda n: m + s * mp.sinh((mp.asinh(n) + e) / d), lambda n: s / d * mp.cosh((mp.asinh(n) + e) / d) / mp.sqrt(1 + n * n), list(range(-15, 16, 3)))),
    Distribution("GeneralizedNormal(location, scale, power)", generalized_normal, lambda m, a, b: (m - a * mpf(110) ** (1 / b), m + a * mpf(110) ** (1 / b)),
        [([0.3, 1.7, 1.3], [-4.0, 0.1, 3.0], True), ([-1.0, 0.4, 3.5], [-1.5, -0.9, -0.4], True), ([0.0, 1e8, 2.0], [-3e8, 5.0, 2e8], False),
         ([2.0, 1.0, 0.1], [-1e6, 2.5, 1e9], False), ([0.0, 1.0, 1e3], [-0.999, 0.5, 1.001], False)],
        cdf=generalized_normal_cdf, entropy=lambda m, a, b: 1 / b + mp.log(2 * a) + lngamma(1 + 1 / b), splits=lambda m, a, b: [m + a * v for v in (-8, -2, -1, -mpf(1) / 8, 0, mpf(1) / 8, 1, 2, 8)]),
    Distribution("SkewNormal(location, scale, skewness)", skew_normal, lambda m, s, a: (m - 15 * s, m + 15 * s),
        [([0.3, 1.7, 2.5], [-1.0, 0.1, 4.0], True), ([-1.0, 0.4, -0.7], [-2.0, -0.9, 0.5], True), ([0.0, 1e8, 1e-3], [-3e8, 5.0, 2e8], False),
         ([2.0, 1.0, 1e6], [1.99999, 2.5, 9.0], False), ([0.0, 1.0, -40.0], [-5.0, 0.0, 3.0], False)], splits=around),
    Distribution("ExponentiallyModifiedGaussian(location, scale, rate)", modified_gaussian, lambda m, s, r: (m - 15 * s, m + 15 * s + 110 / r),
        [([0.3, 1.2, 0.6], [-3.0, 0.1, 9.0], True), ([-1.0, 0.4, 3.0], [-2.0, -0.9, 0.5], True), ([0.0, 1e8, 1e-4], [-3e8, 5.0, 2e8], False),
         ([2.0, 1.0, 1e-3], [-5.0, 2.5, 900.0], False), ([2.0, 1.0, 1e-9], [-8.0, 2.5, 1e9], False), ([0.0, 1.0, 1e6], [-5.0, 0.1, 3.0], False)],
        cdf=modified_gaussian_cdf, splits=lambda m, s, r: [m + v for v in (-5 * s, -s, 0, s, 5 * s, 2 / r, 10 / r, 30 / r)]),
    Distribution("HalfStudentT(degrees_of_freedom, scale)", lambda x, nu, s: mp.log(2) - lnbeta(nu / 2, mpf(1) / 2) - mp.log(nu) / 2 - mp.log(s) - (nu + 1) / 2 * mp.log1p((x / s) ** 2 / nu),
        lambda nu, s: (mpf(0), INF),
        [([7.0, 1.7], [0.05, 1.7, 9.0], False), ([2.5, 0.4], [1e-9, 0.4, 9.0], False), ([0.05, 1.0], [0.3, 1e9], False), ([1e6, 1.0], [0.1, 1.0, 3.0], False), ([1.0, 1e8], [5.0, 1e9], False)],
        cdf=half_student_cdf,
        entropy=lambda nu, s: (nu + 1) / 2 * (mp.digamma((nu + 1) / 2) - mp.digamma(nu / 2)) + mp.log(nu) / 2 + lnbeta(nu / 2, mpf(1) / 2) + mp.log(s) - mp.log(2)),
    Distribution("NormalInverseGaussian(location, scale, tailweight, skewness)", normal_inverse_gaussian, lambda m, s, a, b: (-INF, INF),
        [([0.3, 1.2, 1.5, 0.6], [-3.0, 0.1, 9.0], False), ([-1.0, 0.7, 2.0, -1.1], [-2.0, -0.9, 0.5], False), ([0.0, 1e3, 1e3, 900.0], [1900.0, 2064.0, 2200.0], False),
         ([2.0, 1e-6, 1e-6, 0.0], [-30.0, 2.000001, 1e9], False), ([0.0, 1e8, 1e-7, -9e-8], [-3e8, 5.0, 2e8], False)],
        expected_sin=lambda m, s, a, b: mp.im(mp.exp(1j * m + s * (mp.sqrt(a * a - b * b) - mp.sqrt(a * a - (b + 1j) ** 2))))),
    Distribution("Horseshoe(scale)", horseshoe, lambda s: (-INF, INF),
        [([1.3], [-3.0, 0.05, 1.0, 40.0], False), ([0.6], [1e-8, 0.7, -3.0], False), ([1e-8], [1e-9, 2e-8], False), ([1e8], [1.0, 3e8], False), ([1.0], [1e-150, 1e10, -1e150], False)],
        entropy=lambda s: horseshoe_entropy() + mp.log(s), expected_sin=lambda s: mpf(0)),
    Distribution("Uniform(low, high)", where(lambda x, l, h: l <= x <= h, lambda x, l, h: -mp.log(h - l)), lambda l, h: (l, h),
        [([-0.7, 2.1], [-0.6, 0.3, 2.0, 3.0], True), ([0.0, 1.0], [0.1, 0.5, 0.9], True), ([1e6, 1000000.001], [1000000.0005], False), ([-1e8, 1e8], [0.0, 5e7], False)],
        cdf=lambda x, l, h: min(max((x - l) / (h - l), mpf(0)), mpf(1)), entropy=lambda l, h: mp.log(h - l), score=False),
    Distribution("Exponential(rate)", lambda x, r: mp.log(r) - r * x, lambda r: (mpf(0), 110 / r),
        [([0.8], [0.05, 1.0, 9.0], True), ([3.0], [1e-9, 0.3, 2.0], True), ([1e-8], [1.0, 1e8, 2e9], False), ([1e8], [1e-9, 1e-7], False)],
        cdf=lambda x, r: -mp.expm1(-r * x), entropy=lambda r: 1 - mp.log(r), splits=lambda r: [1 / r, 5 / r, 20 / r]),
    Distribution("Gamma(concentration, rate)", lambda x, a, r: a * mp.log(r) + (a - 1) * mp.log(x) - r * x - lngamma(a), lambda a, r: (mpf(0), (a + 150) / r * 2), SHAPES,
        cdf=lambda x, a, r: gamma_p(a, r * x), entropy=lambda a, r: a - mp.log(r) + lngamma(a) + (1 - a) * mp.digamma(a), splits=lambda a, r: tail(a / r) + [5 * a / r, 20 * a / r]),
    Distribution("Gamma(concentration, scale)", lambda x, a, s: -a * mp.log(s) + (a - 1) * mp.log(x) - x / s - lngamma(a), lambda a, s: (mpf(0), (a + 150) * s * 2),
        [([2.3, 0.7], [0.1, 1.5, 6.0], True), ([0.6, 1.2], [1e-6, 0.3, 5.0], True), ([1e6, 1e-8], [0.00999, 0.0101], False), ([1e-3, 1e8], [1e-100, 1.0, 1e8], False)],
        cdf=lambda x, a, s: gamma_p(a, x / s), entropy=lambda a, s: a + mp.log(s) + lngamma(a) + (1 - a) * mp.digamma(a), splits=lambda a, s: tail(a * s) + [5 * a * s, 20 * a * s]),
    Distribution("InverseGamma(concentration, scale)", lambda x, a, b: a * mp.log(b) - (a + 1) * mp.log(x) - b / x - lngamma(a), lambda a, b: (mpf(0), INF),
        [([3.6, 1.4], [0.2, 0.5, 4.0], False), ([0.6, 1.2], [0.1, 2.0, 1e6], False), ([1e-3, 1.0], [0.5, 1e100], False), ([1e6, 2.0], [1.999e-6, 2e-6, 2.003e-6], False)],
        cdf=lambda x, a, b: 1 - gamma_p(a, b / x), entropy=lambda a, b: a + mp.log(b) + lngamma(a) - (1 + a) * mp.digamma(a),
        expected_sin=lambda a, b: mp.im(characteristic_inverse_gamma(a, b)),
        through=lambda a, b: (lambda y: mp.exp(-y), lambda y: mp.exp(-y), [mp.log(a / b) + k for k in list(range(-240, 0, 8)) + [0, 1, 2, 3, 4, 6, 9]])),
    Distribution("Chi2(degrees_of_freedom)", lambda x, n: (n / 2 - 1) * mp.log(x) - x / 2 - n / 2 * mp.log(2) - lngamma(n / 2), lambda n: (mpf(0), 2 * n + 500),
        [([3.4], [0.1, 3.0, 20.0], True), ([1.0], [1e-6, 0.5, 9.0], True), ([1e-3], [1e-200, 0.1], False), ([1e6], [998000.0, 1e6, 1003000.0], False)],
        cdf=lambda x, n: gamma_p(n / 2, x / 2), entropy=lambda n: n / 2 + mp.log(2) + lngamma(n / 2) + (1 - n / 2) * mp.digamma(n / 2), splits=lambda n: tail(n) + [5 * n, 20 * n]),
    Distribution("Chi(degrees_of_freedom)", lambda x, n: (n - 1) * mp.log(x) - x * x / 2 - (n / 2 - 1) * mp.log(2) - lngamma(n / 2), lambda n: (mpf(0), mp.sqrt(n) + 20),
        [([3.4], [0.1, 1.7, 5.0], True), ([1.0], [1e-6, 0.5, 4.0], True), ([1e-3], [1e-200, 0.1], False), ([1e6], [998.0, 1000.0, 1001.5], False)],
        cdf=lambda x, n: gamma_p(n / 2, x * x / 2), entropy=lambda n: lngamma(n / 2) + (n - mp.log(2) - (n - 1) * mp.digamma(n / 2)) / 2, splits=lambda n: tail(mp.sqrt(n))[:-1]),
    Distribution("FisherF(numerator, denominator)", fisher_log, lambda m, n: (mpf(0), INF),
        [([5.0, 9.0], [0.05, 0.9, 7.0], False), ([0.6, 1.2], [1e-9, 2.0, 1e20], False), ([1e-3, 2.0], [1e-200, 0.1], False), ([1e6, 2e6], [0.998, 1.0, 1.002], False), ([2.0, 40.0], [1e-6, 1.0, 9.0], False)],
        cdf=lambda x, m, n: beta_cdf(m * x / (m * x + n), m / 2, n / 2),
        entropy=lambda m, n: lnbeta(m / 2, n / 2) + mp.log(n / m) + (1 - m / 2) * mp.digamma(m / 2) - (1 + n / 2) * mp.digamma(n / 2) + (m + n) / 2 * mp.digamma((m + n) / 2)),
    Distribution("LogLogistic(scale, concentration)", lambda x, a, b: mp.log(b / a) + (b - 1) * mp.log(x / a) - 2 * mp.log1p((x / a) ** b), lambda a, b: (mpf(0), INF),
        [([0.8, 2.6], [0.05, 0.9, 40.0], False), ([1.5, 0.7], [1e-9, 2.0, 1e20], False), ([1e-8, 1.0], [1e-12, 1e-8, 1.0], False), ([1e8, 1e4], [99900000.0, 1e8, 100100000.0], False)],
        cdf=lambda x, a, b: sigmoid(b * mp.log(x / a)), entropy=lambda a, b: mp.log(a / b) + 2),
    Distribution("Triangular(low, peak, high)", triangular, lambda l, m, h: (l, h),
        [([-0.7, 0.4, 2.1], [-0.6, 0.3, 0.5, 2.0, 3.0], True), ([0.0, 1.0, 1.0], [1e-9, 0.5, 0.999], False), ([0.0, 0.0, 1.0], [1e-9, 0.5, 0.999], False), ([1e6, 1000000.0005, 1000000.001], [1000000.00025, 1000000.00075], False),
         ([-1e8, 0.0, 1e8], [-9e7, 5e7], False)],
        cdf=triangular_cdf, entropy=lambda l, m, h: mpf(1) / 2 + mp.log((h - l) / 2), score=False, splits=lambda l, m, h: [m]),
    Distribution("Beta(alpha, beta)", lambda x, a, b: (a - 1) * mp.log(x) + (b - 1) * mp.log1p(-x) - lnbeta(a, b), lambda a, b: (mpf(0), BELOW_ONE), UNIT,
        cdf=beta_cdf,
        entropy=lambda a, b: lnbeta(a, b) - (a - 1) * mp.digamma(a) - (b - 1) * mp.digamma(b) + (a + b - 2) * mp.digamma(a + b),
        splits=lambda a, b: tail(mpf(1) / 2)[:-3] + [1 - v for v in tail(mpf(1) / 2)[:-3]]),
    Distribution("Kumaraswamy(a, b)", lambda x, a, b: mp.log(a) + mp.log(b) + (a - 1) * mp.log(x) + (b - 1) * mp.log(-mp.expm1(a * mp.log(x))), lambda a, b: (mpf(0), BELOW_ONE),
        [([2.3, 1.4], [0.05, 0.6, 0.99], True), ([0.6, 0.7], [1e-9, 0.3, 0.999999], True), ([0.1, 0.1], [1e-10, 0.5], False), ([1e6, 3.0], [0.999999, 0.9999999], False), ([2.0, 1e6], [1e-4, 1e-3], False)],
        cdf=lambda x, a, b: -mp.expm1(b * mp.log(-mp.expm1(a * mp.log(x)))), entropy=lambda a, b: 1 - 1 / b + (1 - 1 / a) * (mp.digamma(b + 1) + EG) - mp.log(a * b),
        splits=lambda a, b: tail(mpf(1) / 2)[:-3] + [1 - v for v in tail(mpf(1) / 2)[:-3]]),
    Distribution("Weibull(concentration, scale)", lambda x, k, s: mp.log(k / s) + (k - 1) * mp.log(x / s) - (x / s) ** k, lambda k, s: (mpf(0), s * mpf(110) ** (1 / k)),
        [([1.6, 0.8], [0.05, 0.7, 3.0], True), ([0.9, 1.5], [1e-6, 1.0, 20.0], True), ([0.5, 1e-8], [1e-12, 1e-6], False), ([50.0, 1.0], [0.9, 1.0, 1.05], False), ([1.0, 1e8], [1.0, 1e9], False)],
        cdf=lambda x, k, s: -mp.expm1(-(x / s) ** k), entropy=lambda k, s: EG * (1 - 1 / k) + mp.log(s / k) + 1, splits=lambda k, s: tail(s)[:-1]),
    Distribution("Rayleigh(scale)", lambda x, s: mp.log(x) - 2 * mp.log(s) - (x / s) ** 2 / 2, lambda s: (mpf(0), 15 * s), SCALE, cdf=lambda x, s: -mp.expm1(-(x / s) ** 2 / 2),
        entropy=lambda s: 1 + mp.log(s / mp.sqrt(2)) + EG / 2, splits=lambda s: [s / 100, s, 5 * s]),
    Distribution("Maxwell(scale)", lambda x, s: mp.log(2 / mp.pi) / 2 + 2 * mp.log(x) - 3 * mp.log(s) - (x / s) ** 2 / 2, lambda s: (mpf(0), 15 * s), SCALE,
        cdf=lambda x, s: mp.gammainc(mpf(3) / 2, 0, (x / s) ** 2 / 2, regularized=True), entropy=lambda s: mp.log(s * mp.sqrt(2 * mp.pi)) + EG - mpf(1) / 2, splits=lambda s: [s / 100, s, 5 * s]),
    Distribution("Pareto(scale, concentration)", where(lambda x, s, a: x >= s, lambda x, s, a: mp.log(a) + a * mp.log(s) - (a + 1) * mp.log(x)), lambda s, a: (s, INF),
        [([0.8, 2.6], [0.81, 1.7, 40.0], False), ([1.5, 0.7], [1.6, 9.0, 1e20], False), ([1e-8, 2.0], [1e-7, 1.0], False), ([1e8, 1e6], [100000010.0, 100001000.0], False)],
        cdf=lambda x, s, a: -mp.expm1(a * mp.log(s / x)), entropy=lambda s, a: mp.log(s / a) + 1 + 1 / a, fixed=["scale"],
        expected_sin=lambda s, a: mp.im(a * mp.power(-1j * s, a) * mp.gammainc(-a, -1j * s)),
        through=lambda s, a: (lambda y: s * mp.exp(y), lambda y: s * mp.exp(y), [k / a for k in (0, 1, 5, 20, 60, 150)])),
    Distribution("Levy(location, scale)", where(lambda x, m, c: x > m, lambda x, m, c: (mp.log(c) - mp.log(2 * mp.pi) - 3 * mp.log(x - m) - c / (x - m)) / 2), lambda m, c: (m, INF),
        [([-0.7, 1.3], [-0.6, 0.7, 1e6], False), ([0.0, 1.0], [0.01, 2.0, 1e200], False), ([2.0, 1e-8], [2.00000001, 3.0], False), ([1e6, 1e8], [2e6, 1e9], False)],
        cdf=lambda x, m, c: mp.erfc(mp.sqrt(c / (x - m) / 2)) if x > m else mpf(0), entropy=lambda m, c: (1 + 3 * EG + mp.log(16 * mp.pi * c * c)) / 2, fixed=["location"],
        expected_sin=lambda m, c: mp.exp(-mp.sqrt(c)) * mp.sin(m + mp.sqrt(c))),
    Distribution("GeneralizedPareto(location, scale, concentration)", generalized_pareto, lambda m, s, k: (m, m - s / k if k < 0 else INF),
        [([-0.7, 1.3, 0.2], [-0.69, 1.7, 40.0], False), ([0.5, 0.4, -0.3], [0.6, 1.1, 1.8], True), ([0.0, 2.0, 0.0], [0.01, 1.7, 60.0], False), ([0.0, 2.0, 1e-12], [0.01, 1.7, 60.0], False),
         ([1.0, 1e-8, 1.5], [1.00000001, 3.0, 1e20], False), ([-3.0, 1e8, -2.0], [0.0, 1e7, 4.9e7], False)],
        cdf=lambda x, m, s, k: -mp.expm1(-shaped_log(k, (x - m) / s)), entropy=lambda m, s, k: mp.log(s) + k + 1, fixed=["location"],
        through=lambda m, s, k: shaped_through(m, s, k, [0, 1, 5, 20, 60, 150])),
    Distribution("VonMises(location, concentration)", lambda x, m, k: k * mp.cos(x - m) - mp.log(2 * mp.pi) - mp.log(mp.besseli(0, k)), lambda m, k: (m - mp.pi, m + mp.pi),
        [([0.3, 1.3], [-2.0, 0.1, 3.0], False), ([-1.0, 0.05], [-3.0, 0.0, 1.5], False), ([0.0, 40.0], [-0.5, 0.01, 0.3], False), ([1.0, 1e-8], [-1.0, 2.0, 4.0], False), ([0.0, 500.0], [-0.1, 0.02], False)],
        cdf=lambda x, m, k: mp.quad(lambda y: mp.exp(k * mp.cos(y - m)), [m - mp.pi] + [v for v in (m - 1, m - mpf(1) / 5, m - mpf(1) / 50, m, m + mpf(1) / 50, m + mpf(1) / 5, m + 1) if v < x] + [x]) / (2 * mp.pi * mp.besseli(0, k)),
        entropy=lambda m, k: mp.log(2 * mp.pi * mp.besseli(0, k)) - k * mp.besseli(1, k) / mp.besseli(0, k),
        expected_sin=lambda m, k: mp.besseli(1, k) / mp.besseli(0, k) * mp.sin(m)),
    Distribution("InverseGaussian(location, concentration)", lambda x, m, l: (mp.log(l) - mp.log(2 * mp.pi) - 3 * mp.log(x) - l * (x - m) ** 2 / (m * m * x)) / 2, lambda m, l: (mpf(0), m + 300 * (m * m / l + m)),
        [([1.3, 2.4], [0.2, 1.1, 5.0], True), ([2.0, 0.7], [0.05, 0.9, 30.0], True), ([1e-6, 1.0], [9.9e-7, 1.002e-6], False), ([1.0, 1e6], [0.999, 1.001], False), ([1e6, 1.0], [0.1, 100.0], False)],
        cdf=inverse_gaussian_cdf, splits=lambda m, l: [m * v for v in (mpf(1) / 1000, mpf(1) / 100, mpf(1) / 10, mpf(1) / 2, 1, 2, 5, 20, 100)]),
    Distribution("RelaxedBernoulli(temperature, logits)", concrete, lambda t, l: (mpf(0), mpf(1)),
        [([0.7, 0.4], [0.05, 0.6, 0.99], False), ([2.0, -1.0], [1e-9, 0.3, 0.999999], False), ([0.1, 50.0], [1e-10, 0.5], False), ([10.0, 0.0], [0.4, 0.5], False), ([0.5, -50.0], [1e-12, 0.9], False)],
        cdf=lambda x, t, l: sigmoid(t * (mp.log(x) - mp.log1p(-x)) - l), expected_sin=concrete_sin),
]

# p, parameters of p, q, parameters of q
PAIRS = [
    ("Bernoulli", [[0.3], [0.9], [1e-9], [0.5]], "Bernoulli", [[0.6], [0.2], [0.3], [0.5]]),
    ("Poisson", [[2.5], [7.0], [0.3], [1.0]], "Poisson", [[1.5], [9.0], [4.0], [1.0]]),
    ("Geometric", [[0.3], [0.9], [0.5], [0.4]], "Geometric", [[0.6], [0.2], [0.3], [0.4]]),
    ("NegativeBinomial", [[2.5, 0.4], [0.7, 0.8], [3.0, 0.5], [1.0, 0.3]], "NegativeBinomial", [[2.5, 0.6], [0.7, 0.3], [3.0, 0.5], [1.0, 0.9]]),
    ("Binomial", [[7.0, 0.3], [20.0, 0.8], [1.0, 0.5], [3.0, 0.9]], "Binomial", [[7.0, 0.5], [20.0, 0.3], [1.0, 0.5], [3.0, 0.1]]),
    ("ContinuousBernoulli", [[1.7], [-4.0], [1e-9], [0.5]], "ContinuousBernoulli", [[0.3], [2.0], [1.0], [-1.0]]),
    ("Beta", [[2.3, 1.4], [0.6, 0.7], [5.0, 9.0], [1.0, 1.0]], "Beta", [[1.1, 3.0], [2.0, 0.4], [5.0, 9.0], [0.5, 0.5]]),
    ("Kumaraswamy", [], "Kumaraswamy", []),
] + [(name, [[0.3, 1.7], [-1.0, 0.4], [2.0, 1.0], [0.0, 3.0]], name, [[1.0, 0.9], [0.5, 1.5], [2.0, 1.0], [-4.0, 2.0]]) for name in ("Normal", "Laplace", "Gumbel")] + [
    ("AsymmetricLaplace", [[0.3, 1.7, 1.4], [-1.0, 0.4, 0.6], [2.0, 1.0, 0.5], [0.0, 3.0, 2.0]], "AsymmetricLaplace", [[1.0, 0.9, 0.7], [-1.5, 1.5, 2.0], [2.0, 1.0, 0.5], [-4.0, 2.0, 1.5]]),
    ("Moyal", [[0.3, 1.7], [-1.0, 0.4], [2.0, 1.0], [0.0, 3.0]], "Moyal", [[1.0, 0.9], [0.5, 1.5], [2.0, 1.0], [-4.0, 2.0]]),
    ("LogNormal", [[0.2, 0.4], [-1.0, 0.7], [0.0, 0.3], [1.0, 0.5]], "LogNormal", [[0.0, 1.0], [0.5, 0.6], [0.0, 0.3], [2.0, 0.2]]),
    ("HalfNormal", [[1.3], [0.6], [2.0], [1.0]], "HalfNormal", [[0.7], [0.6], [5.0], [0.3]]),
    ("Rayleigh", [[1.3], [0.6], [2.0], [1.0]], "Rayleigh", [[0.7], [0.6], [5.0], [0.3]]),
    ("Maxwell", [[1.3], [0.6], [2.0], [1.0]], "Maxwell", [[0.7], [0.6], [5.0], [0.3]]),
    ("Exponential", [[0.8], [3.0], [1.0], [0.2]], "Exponential", [[1.5], [0.4], [1.0], [2.0]]),
    ("Gamma", [[2.3, 1.4], [0.6, 1.2], [5.0, 0.5], [1.0, 1.0]], "Gamma", [[1.1, 0.8], [3.0, 2.0], [5.0, 0.5], [0.4, 1.0]]),
    ("Weibull", [[1.6, 0.8], [0.9, 1.5], [3.0, 1.0], [1.0, 1.0]], "Weibull", [[0.7, 2.4], [2.0, 1.0], [3.0, 1.0], [1.5, 0.5]]),
    ("InverseGaussian", [[1.3, 2.4], [2.0, 0.7], [0.5, 3.0], [1.0, 1.0]], "InverseGaussian", [[2.0, 0.7], [1.0, 1.0], [0.5, 3.0], [0.4, 2.0]]),
    ("Cauchy", [[0.3, 1.7], [-1.0, 0.4], [2.0, 1.0]], "Cauchy", [[1.0, 0.9], [0.5, 1.5], [2.0, 1.0]]),
    ("InverseGamma", [[3.6, 1.4], [0.6, 1.2], [5.0, 0.5]], "InverseGamma", [[1.1, 0.8], [3.0, 2.0], [5.0, 0.5]]),
    ("Chi2", [[3.4], [1.0], [7.0]], "Chi2", [[5.0], [2.5], [7.0]]),
    ("Chi", [[3.4], [1.0], [7.0]], "Chi", [[5.0], [2.5], [7.0]]),
    ("VonMises", [[0.3, 1.3], [-1.0, 0.05], [0.5, 20.0]], "VonMises", [[1.0, 2.0], [0.5, 3.0], [0.5, 20.0]]),
    ("Pareto", [[0.8, 2.6], [2.0, 0.7], [1.0, 3.0]], "Pareto", [[0.5, 1.1], [2.0, 1.5], [1.0, 3.0]]),
    ("Bernoulli", [[0.3], [0.9], [0.5]], "Poisson", [[0.6], [2.0], [0.5]]),
    ("Zeta", [[1.25], [3.5], [2.0], [40.0], [1.0625], [2.0]], "Zeta", [[3.0], [1.5], [2.0], [9.0], [1.07], [2.0001]]),
    ("Zipf", [[1.3], [0.4], [2.0]], "Zipf", [[0.7], [2.5], [2.0]]),
    ("DiscreteUniform", [[1.0, 6.0], [0.0, 3.0]], "DiscreteUniform", [[0.0, 9.0], [0.0, 3.0]]),
    ("Uniform", [[0.1, 0.8], [-0.5, 2.0], [0.0, 1.0], [0.3, 0.31]], "Uniform", [[0.0, 1.0], [-1.0, 2.0], [0.0, 1.0], [-5.0, 9.0]]),
]
UNIT_P = {"Beta": [[2.3, 1.4], [0.6, 0.7], [5.0, 9.0], [1.0, 1.0]], "ContinuousBernoulli": [[1.7], [-4.0], [1e-9], [0.5]], "Uniform": [[0.1, 0.8], [0.2, 0.9], [0.3, 0.31], [0.05, 0.95]],
          "Exponential": [[0.8], [3.0], [1.0], [0.2]], "Gamma": [[2.3, 1.4], [0.6, 1.2], [5.0, 0.5], [1.0, 1.0]], "Gumbel": [[0.3, 1.7], [-1.0, 0.4], [2.0, 1.0], [0.0, 3.0]],
          "Laplace": [[0.3, 1.7], [-1.0, 0.4], [2.0, 1.0], [0.0, 3.0]], "Pareto": [[0.8, 2.6], [1.5, 4.0], [0.2, 3.0], [1.0, 9.0]], "Normal": [[0.3, 1.7], [-1.0, 0.4], [2.0, 1.0], [0.0, 3.0]]}
Q = {"ContinuousBernoulli": [[0.3], [2.0], [1.0], [-1.0]], "Exponential": [[1.5], [0.4], [1.0], [2.0]], "Gamma": [[1.1, 0.8], [3.0, 2.0], [5.0, 0.5], [0.4, 1.0]],
     "Normal": [[1.0, 0.9], [0.5, 1.5], [2.0, 1.0], [-4.0, 2.0]], "Gumbel": [[1.0, 1.9], [0.5, 1.5], [2.0, 4.0], [-4.0, 5.0]], "Beta": [[1.1, 3.0], [2.0, 0.4], [5.0, 9.0], [0.5, 0.5]],
     "Laplace": [[1.0, 0.9], [0.5, 1.5], [2.0, 1.0], [-4.0, 2.0]], "Pareto": [[0.05, 1.1], [0.1, 3.0], [0.2, 0.5], [0.01, 2.0]], "Uniform": [[0.0, 1.0], [-1.0, 2.0], [-0.1, 1.5], [-5.0, 9.0]]}
CROSS = {"Beta": ["ContinuousBernoulli", "Exponential", "Gamma", "Normal", "Uniform"], "ContinuousBernoulli": ["Exponential", "Normal", "Uniform"], "Exponential": ["Gamma", "Gumbel", "Normal"],
         "Gamma": ["Exponential", "Gumbel", "Normal"], "Gumbel": ["Normal"], "Laplace": ["Normal"], "Normal": ["Gumbel", "Laplace"],
         "Uniform": ["Beta", "ContinuousBernoulli", "Exponential", "Gamma", "Gumbel", "Normal", "Pareto"], "Pareto": ["Exponential", "Gamma", "Normal"]}
PAIRS += [(p, UNIT_P[p], q, Q[q]) for p, targets in CROSS.items() for q in targets]


def first(name):
    return next(distribution for distribution in DISTRIBUTIONS if distribution.distribution.startswith(name + "("))


def divergences():
    for p, left, q, right in PAIRS:
        for a, b in zip(left, right):
            own, other = first(p), first(q)
            t, u = [mpf(v) for v in a], [mpf(v) for v in b]
            inner = own.splits
            kink = {"Laplace": [u[0]], "AsymmetricLaplace": [u[0]]}.get(q, [])
            own.splits = lambda *t: (inner(*t) if inner else []) + kink
            with mp.workdps(40):
                value = own.expectation(lambda x: own.log_prob(x, *t) - other.log_prob(x, *u), t)
            own.splits = inner
            yield own.distribution, f"kl:{other.distribution}", a + b, "", value


def flat(matrix):
    return [matrix[i, j] for i in range(matrix.rows) for j in range(matrix.cols)]


def gradient_of(f, t):
    """The derivatives of a function of a list, by differences far below every scale in use."""
    for index in range(len(t)):
        step = abs(t[index]) * mpf(10) ** -22 if t[index] else mpf(10) ** -26
        ends = [f([v + sign * step if i == index else v for i, v in enumerate(t)]) for sign in (1, -1)]
        yield index, (ends[0] - ends[1]) / (2 * step)


def exponential_family(log_normalizer, t, moved):
    """Means of the statistics that go with the coordinates `moved`: the derivatives of the logarithm of the normalising constant."""
    return [value for index, value in gradient_of(log_normalizer, t) if index in moved]


def normal_density(x, mean, covariance):
    n = len(x)
    deviation = mp.matrix(x) - mp.matrix(mean)
    return -(n * mp.log(2 * mp.pi) + mp.log(mp.det(covariance)) + (deviation.T * covariance ** -1 * deviation)[0]) / 2


def normal_divergence(mean, covariance, others, other):
    n, shift = len(mean), mp.matrix(others) - mp.matrix(mean)
    inverse = other ** -1
    trace = sum((inverse * covariance)[i, i] for i in range(n))
    return (trace - n + (shift.T * inverse * shift)[0] + mp.log(mp.det(other) / mp.det(covariance))) / 2


def of_factor(t):
    factor = mp.matrix([[t[2], 0], [t[4], t[5]]])
    return t[:2], factor * factor.T


def of_low_rank(t):
    w = mp.matrix(t[2:4])
    return t[:2], w * w.T + mp.diag(t[4:6])


def gaussian(distribution, points, unpack, fixed):
    return dict(
        distribution=distribution, points=points, fixed=fixed, log_prob=lambda x, t: normal_density(x, *unpack(t)),
        entropy=lambda t: mp.log(mp.det(2 * mp.pi * mp.e * unpack(t)[1])) / 2,
        mean=lambda t: unpack(t)[0], variance=lambda t: [unpack(t)[1][i, i] for i in range(2)],
        kl=lambda t, u: normal_divergence(*unpack(t), *unpack(u)))


def multivariate_t(t):
    return t[0], t[1:3], of_factor(t[1:])[1]


def multivariate_t_density(x, t):
    nu, location, scale = multivariate_t(t)
    deviation = mp.matrix(x) - mp.matrix(location)
    height = lngamma(nu / 2 + 1) - lngamma(nu / 2) - mp.log(nu * mp.pi) - mp.log(mp.det(scale)) / 2
    return height - (nu / 2 + 1) * mp.log1p((deviation.T * scale ** -1 * deviation)[0] / nu)


def multivariate_t_entropy(t):
    nu, location, scale = multivariate_t(t)
    return (nu / 2 + 1) * (mp.digamma(nu / 2 + 1) - mp.digamma(nu / 2)) - multivariate_t_density(location, t)


def dirichlet_normalizer(a):
    return sum(map(lngamma, a)) - lngamma(sum(a))


def dirichlet_entropy(a):
    logs = exponential_family(dirichlet_normalizer, a, range(len(a)))
    return dirichlet_normalizer(a) - sum((v - 1) * log for v, log in zip(a, logs))


def wishart_normalizer(nu, covariance):
    return nu * mp.log(2) + nu / 2 * mp.log(mp.det(covariance)) + mp.log(mp.pi) / 2 + lngamma(nu / 2) + lngamma((nu - 1) / 2)


def of_wishart(t):
    factor = mp.matrix([[t[1], 0], [t[3], t[4]]])
    return t[0], factor * factor.T


def wishart_density(x, t):
    nu, covariance = of_wishart(t)
    value = mp.matrix([x[:2], x[2:]])
    trace = sum((covariance ** -1 * value)[i, i] for i in range(2))
    return (nu - 3) / 2 * mp.log(mp.det(value)) - trace / 2 - wishart_normalizer(nu, covariance)


def wishart_mean_log_det(nu, covariance):
    # ln |X| goes with half the degrees of freedom.
    return 2 * exponential_family(lambda v: wishart_normalizer(v[0], covariance), [nu], [0])[0]


def wishart_entropy(t):
    nu, covariance = of_wishart(t)
    return wishart_normalizer(nu, covariance) - (nu - 3) / 2 * wishart_mean_log_det(nu, covariance) + nu


def wishart_divergence(t, u):
    (nu, own), (mu, other) = of_wishart(t), of_wishart(u)
    trace = sum((other ** -1 * own)[i, i] for i in range(2))
    return -wishart_entropy(t) - (mu - 3) / 2 * wishart_mean_log_det(nu, own) + nu * trace / 2 + wishart_normalizer(mu, other)


def of_matrix_normal(t):
    rows, columns = (mp.matrix([[s[0], 0], [s[2], s[3]]]) for s in (t[4:8], t[8:12]))
    rows, columns = rows * rows.T, columns * columns.T
    return t[:4], mp.matrix(4, 4) + mp.matrix([[rows[i // 2, k // 2] * columns[i % 2, k % 2] for k in range(4)] for i in range(4)])


def projected_density(x, t):
    """For three coordinates. Values are divided by their length."""
    along, square = cosine_and_length(x, t)
    ratio = mp.sqrt(2 * mp.pi) * mp.exp(along ** 2 / 2) * ncdf(along)
    return mp.log(along + (1 + along ** 2) * ratio) - square / 2 - mp.log(2 * mp.pi) * 3 / 2


def cosine_and_length(x, t):
    length = mp.sqrt(sum(v * v for v in x))
    return sum(a * b for a, b in zip(x, t)) / length, sum(a * a for a in t)


def of_process(t):
    """The Matérn kernel of smoothness 5/2 at three points."""
    points = [mpf(0), mpf(1) / 2, mpf(7) / 4]
    def entry(a, b):
        r = mp.sqrt(5) * abs(a - b) / t[2]
        return t[1] ** 2 * (1 + r + r * r / 3) * mp.exp(-r)
    return [t[0]] * 3, mp.matrix([[entry(a, b) + (t[3] ** 2 if a == b else 0) for b in points] for a in points])


def inverse_parameters(t):
    """Of the Wishart distribution of the inverse: any square root of the scale will do where only the scale is used."""
    scale = of_wishart(t)[1] ** -1
    factor = mp.cholesky(scale)
    return [t[0], factor[0, 0], mpf(0), factor[1, 0], factor[1, 1]]


def inverse_wishart_density(x, t):
    value = mp.matrix([x[:2], x[2:]])
    return wishart_density(flat(value ** -1), inverse_parameters(t)) - 3 * mp.log(mp.det(value))


def inverse_wishart_entropy(t):
    nu, scale = of_wishart(t)
    return wishart_entropy(inverse_parameters(t)) - 3 * wishart_mean_log_det(nu, scale ** -1)


def inverse_wishart_variance(t):
    nu, s = of_wishart(t)
    return [((nu - 1) * s[i, j] ** 2 + (nu - 3) * s[i, i] * s[j, j]) / ((nu - 2) * (nu - 3) ** 2 * (nu - 5)) for i in (0, 1) for j in (0, 1)]


def unit(x):
    length = mp.sqrt(sum(v * v for v in x))
    return [v / length for v in x]


def cosine(x, y):
    return sum(a * b for a, b in zip(unit(x), unit(y)))


def power_spherical_height(kappa):
    # In three dimensions the cosine has the density (κ + 1)(1 + t)^κ / 2^(κ + 1).
    return mp.log(kappa + 1) - (kappa + 1) * mp.log(2) - mp.log(2 * mp.pi)


def power_spherical_entropy(t):
    kappa = t[3]
    return -power_spherical_height(kappa) - kappa * (mp.log(2) - 1 / (kappa + 1))


def power_spherical_moments(t):
    kappa, own = t[3], unit(t[:3])
    mean, square = kappa / (kappa + 2), 1 - 4 * (kappa + 1) / ((kappa + 2) * (kappa + 3))
    return [mean * v for v in own], [(square - mean ** 2) * v ** 2 + (1 - square) / 2 * (1 - v ** 2) for v in own]


def fisher_length(kappa):
    return mp.coth(kappa) - 1 / kappa


def fisher_normalizer(kappa):
    return mp.log(4 * mp.pi * mp.sinh(kappa) / kappa)


def fisher_moments(t):
    kappa, own = t[3], unit(t[:3])
    mean = fisher_length(kappa)
    return [mean * v for v in own], [(1 - 2 * mean / kappa - mean ** 2) * v ** 2 + mean / kappa * (1 - v ** 2) for v in own]


def fisher_divergence(t, u):
    mean = fisher_length(t[3])
    return t[3] * mean - fisher_normalizer(t[3]) - u[3] * mean * cosine(t[:3], u[:3]) + fisher_normalizer(u[3])


DIRECTIONS = [([0.3, -1.0, 0.4, 2.3], [[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]]), ([-1.0, 0.0, 0.0, 1e-3], [[0.28, 0.96, 0.0]]),
              ([3.0, 4.0, 0.0, 1e6], [[0.6, 0.8, 0.0], [0.599, 0.8, 0.0013]]), ([0.0, 0.0, -1e9, 40.0], [[0.0, 0.6, -0.8], [0.6, 0.0, 0.8]])]


def lkj_density(x, t):
    eta = t[0]
    # Of the row of two, over an interval, and of the row of three, over a disc.
    interval = mp.quad(lambda r: (1 - r * r) ** (eta - mpf(1) / 2), [-1, 0, 1]) if eta < 100 else mp.sqrt(mp.pi) * mp.gamma(eta + mpf(1) / 2) / mp.gamma(eta + 1)
    return (2 * eta - 1) * mp.log(x[4]) + (2 * eta - 2) * mp.log(x[8]) - mp.log(interval) - mp.log(mp.pi / eta)


def of_walk(t):
    return [t[0] + t[1] * (k + 1) for k in range(3)], t[2] ** 2 * mp.matrix([[min(i, k) + 1 for k in range(3)] for i in range(3)])


def linear_normal(means, weights):
    """The mean and the covariance of a vector of linear functions of independent normal samples."""
    weights = mp.matrix(weights)
    return means, weights * weights.T


def of_series(t):
    """The autoregressive process of order 2: each value as its mean and the weights of the noise."""
    values = [(t[0], [mpf(0)] * 3), (t[1], [mpf(0)] * 3)]
    for step in range(3):
        (early, old), (late, new) = values[-2:]
        weights = [t[2] * a + t[3] * b + (t[5] if k == step else 0) for k, (a, b) in enumerate(zip(new, old))]
        values.append((t[4] + t[2] * late + t[3] * early, weights))
    return linear_normal([mean for mean, _ in values[2:]], [weights for _, weights in values[2:]])


def of_state_space(t):
    square = lambda s: mp.matrix([s[:2], s[2:4]])
    state, noise, means, rows = mp.matrix(t[:2]), mp.zeros(2, 9), [], []
    transition, observation = square(t[6:10]), mp.matrix([t[14:16]])
    for step in range(3):
        factor = square(t[2:6] if step == 0 else t[10:14])
        if step:
            state, noise = transition * state, transition * noise
        for i in range(2):
            for k in range(2):
                noise[i, 2 * step + k] += factor[i, k]
        row = observation * noise
        row[0, 6 + step] += t[16]
        means.append((observation * state)[0])
        rows.append([row[0, k] for k in range(9)])
    return linear_normal(means, rows)


def normal_sequence(distribution, points, unpack, fixed=(), kl=False):
    own = dict(distribution=distribution, points=points, fixed=fixed, log_prob=lambda x, t: normal_density(x, *unpack(t)),
               entropy=lambda t: mp.log(mp.det(2 * mp.pi * mp.e * unpack(t)[1])) / 2,
               mean=lambda t: unpack(t)[0], variance=lambda t: [unpack(t)[1][i, i] for i in range(3)])
    return dict(own, kl=lambda t, u: normal_divergence(*unpack(t), *unpack(u))) if kl else own


def chain_log(x, t):
    rows = [softmax(t[2:4]), softmax(t[4:6])]
    return mp.log(softmax(t[:2])[int(x[0])]) + sum(mp.log(rows[int(a)][int(b)]) for a, b in zip(x, x[1:]))


def hidden_pieces(x, t):
    """The density of the observations together with each sequence of states."""
    density = lambda y, level: mp.exp(-((y - level) / t[8]) ** 2 / 2) / (t[8] * mp.sqrt(2 * mp.pi))
    return [mp.exp(chain_log(states, t[:6])) * mp.fprod(density(y, t[6 + k]) for y, k in zip(x, states)) for states in itertools.product((0, 1), repeat=3)]


def hidden_moments(t):
    second = [chain_mean((t, lambda x: x[k])) for k in range(3)]
    return [(1 - p) * t[6] + p * t[7] for p in second], [t[8] ** 2 + p * (1 - p) * (t[6] - t[7]) ** 2 for p in second]


def chain_mean(f):
    return sum(mp.exp(chain_log(x, f[0])) * f[1](x) for x in itertools.product((0, 1), repeat=3))
def lkj_entropy(t):
    # The constants of the row of two and of the row of three are functions of the exponents of their diagonals.
    rows = [lambda e: mp.log(mp.pi) / 2 + lngamma(e + 1) - lngamma(e + mpf(3) / 2), lambda e: mp.log(mp.pi) - mp.log(e + 1)]
    powers = [t[0] - mpf(1) / 2, t[0] - 1]
    return sum(log(e) - e * mp.diff(log, e) for log, e in zip(rows, powers))


def softmax(logits):
    total = sum(map(mp.exp, logits))
    return [mp.exp(v) / total for v in logits]


def multinomial_density(x, t):
    return lngamma(t[0] + 1) + sum(k * mp.log(p) - lngamma(k + 1) for k, p in zip(x, softmax(t[1:])))


def dirichlet_multinomial_density(x, t):
    n, a = t[0], t[1:]
    pieces = [lngamma(k + v) - lngamma(k + 1) - lngamma(v) for k, v in zip(x, a)]
    return lngamma(n + 1) + lngamma(sum(a)) - lngamma(n + sum(a)) + sum(pieces)


def ordered_probabilities(t):
    with mp.workdps(400):
        below = [mpf(0), sigmoid(t[1] - t[0]), sigmoid(t[2] - t[0]), mpf(1)]
        return [b - a for a, b in zip(below, below[1:])]


def relaxed_density(x, t):
    n, tau, p = 3, t[0], softmax(t[1:])
    total = sum(q * v ** -tau for q, v in zip(p, x))
    return lngamma(n) + (n - 1) * mp.log(tau) + sum(mp.log(q) - (tau + 1) * mp.log(v) for q, v in zip(p, x)) - n * mp.log(total)


def categorical(distribution, at):
    entropy = lambda t: -sum(p * mp.log(p) for p in softmax(t))
    return dict(distribution=distribution, points=[([0.3, -0.5, 0.1], at), ([-40.0, 0.0, 1.0], at), ([1e-3, 700.0, 0.0], at[:2])], fixed=(),
                log_prob=lambda x, t: mp.log(softmax(t)[int(x[0]) if len(x) == 1 else x.index(1)]), entropy=entropy,
                kl=lambda t, u: sum(p * mp.log(p / q) for p, q in zip(softmax(t), softmax(u))))


def mixture_pieces(t, x):
    w = softmax(t[:2])
    return [w[k] * mp.exp(loc(lambda z: -z * z / 2 - mp.log(2 * mp.pi) / 2)(x, t[2 + k], t[4])) for k in (0, 1)]


def blend_pieces(t, x):
    return [t[0] * mp.exp(loc(lambda z: -z * z / 2 - mp.log(2 * mp.pi) / 2)(x, t[1], t[2])), (1 - t[0]) * mp.exp(loc(lambda z: -abs(z) - mp.log(2))(x, t[3], t[4]))]


def laplace_cdf(z):
    return mp.exp(z) / 2 if z < 0 else 1 - mp.exp(-z) / 2


def ranking_density(x, logits):
    """The first two places of a ranking of three items, by rows."""
    first, second = [row.index(1) for row in (x[:3], x[3:])]
    weights = [mp.exp(logit) for logit in logits]
    return mp.log(weights[first] / sum(weights)) + mp.log(weights[second] / (sum(weights) - weights[first]))


def pair_sum(logits):
    return sum(mp.exp(a + b) for a, b in itertools.combinations(logits, 2))


def pair_mean(logits):
    return [mp.exp(logits[i]) * sum(mp.exp(l) for j, l in enumerate(logits) if j != i) / pair_sum(logits) for i in range(len(logits))]


GATED = [([0.3, 2.5], [[0.0], [2.0], [30.0]]), ([0.9, 12.0], [[0.0], [12.0], [40.0]]), ([1e-12, 1e-9], [[0.0], [1.0], [2.0]]), ([0.5, 1e5], [[0.0], [100300.0]])]

VECTORS = [
    gaussian("MultivariateNormal(location[2], scale_tril[2x2])", [
        ([0.3, -1.0, 1.3, 0.0, -0.7, 0.6], [[0.1, 0.2], [-3.0, 2.0]]), ([0.0, 1e6, 1e-6, 0.0, 1e-3, 1e3], [[1e-6, 1000300.0], [-2e-6, 999000.0]]),
        ([1.0, 2.0, 1.0, 0.0, 0.999, 0.01], [[1.5, 2.5], [0.0, 1.0]])], of_factor, [3]),
    gaussian("LowRankMultivariateNormal(location[2], factor[2x1], diagonal[2])", [
        ([0.3, -1.0, 1.0, 0.5, 0.6, 0.8], [[0.1, 0.2], [-3.0, 2.0]]), ([0.0, 1.0, 10.0, -10.0, 0.1, 0.1], [[7.0, -6.0], [1.0, 0.1]])], of_low_rank, []),
    dict(distribution="MultivariateStudentT(degrees_of_freedom, location[2], scale_tril[2x2])", points=[
        ([7.0, 0.3, -1.0, 1.3, 0.0, -0.7, 0.6], [[0.1, 0.2], [-3.0, 2.0], [0.3, -1.0]]), ([0.3, 0.0, 1e6, 1e-6, 0.0, 1e-3, 1e3], [[1e-6, 1000300.0], [1e6, -1e9]]),
        ([1e6, 1.0, 2.0, 1.0, 0.0, 0.999, 0.01], [[1.5, 2.5]])],
        fixed=[4], log_prob=multivariate_t_density, entropy=multivariate_t_entropy, mean=lambda t: t[1:3] if t[0] > 1 else [mp.nan] * 2,
        variance=lambda t: [multivariate_t(t)[2][i, i] * t[0] / (t[0] - 2) if t[0] > 2 else mp.nan for i in range(2)]),
    dict(distribution="Dirichlet(concentration[3])", points=[
        ([0.4, 1.5, 3.0], [[0.1875, 0.3125, 0.5], [0.0078125, 0.4921875, 0.5]]), ([1e-3, 1.0, 1e-3], [[2.0 ** -30, 0.5, 0.5 - 2.0 ** -30], [0.25, 0.25, 0.5]]), ([1e6, 1e6, 2e6], [[0.25, 0.25, 0.5], [0.2509765625, 0.2490234375, 0.5]])],
        fixed=(), log_prob=lambda x, a: sum((v - 1) * mp.log(y) for v, y in zip(a, x)) - dirichlet_normalizer(a), entropy=dirichlet_entropy,
        mean=lambda a: [v / sum(a) for v in a], variance=lambda a: [v * (sum(a) - v) / sum(a) ** 2 / (sum(a) + 1) for v in a],
        kl=lambda a, b: -dirichlet_entropy(a) + dirichlet_normalizer(b) - sum((v - 1) * log for v, log in zip(b, exponential_family(dirichlet_normalizer, a, range(3))))),
    dict(distribution="ProjectedNormal(location[3])", points=[
        ([0.3, -1.0, 0.4], [[0.0, 0.6, -0.8], [-0.48, 0.64, 0.6]]), ([3.0, 4.0, 12.0], [[0.0, 0.6, 0.8], [0.6, 0.0, -0.8]]), ([1e-6, 0.0, 1e-8], [[0.6, 0.0, 0.8]])],
        fixed=(), log_prob=projected_density),
    dict(distribution="PowerSpherical(direction[3], concentration)", points=DIRECTIONS, fixed=(),
         log_prob=lambda x, t: power_spherical_height(t[3]) + t[3] * mp.log1p(cosine(x, t[:3])), entropy=power_spherical_entropy,
         mean=lambda t: power_spherical_moments(t)[0], variance=lambda t: power_spherical_moments(t)[1]),
    dict(distribution="VonMisesFisher(direction[3], concentration)", points=DIRECTIONS, fixed=(),
         log_prob=lambda x, t: t[3] * cosine(x, t[:3]) - fisher_normalizer(t[3]), entropy=lambda t: fisher_normalizer(t[3]) - t[3] * fisher_length(t[3]),
         mean=lambda t: fisher_moments(t)[0], variance=lambda t: fisher_moments(t)[1], kl=fisher_divergence),
    dict(distribution="Wishart(degrees_of_freedom, scale_tril[2x2])", points=[
        ([4.3, 1.0, 0.0, 0.5, 0.8], [[3.0, 1.0, 1.0, 4.0], [0.1, 0.05, 0.05, 0.2]]), ([1.01, 1e-3, 0.0, 10.0, 1.0], [[1e-6, 0.01, 0.01, 300.0]]), ([1e4, 1.0, 0.0, 0.5, 0.8], [[10000.0, 5000.0, 5000.0, 9000.0]])],
        fixed=[2], log_prob=wishart_density, entropy=wishart_entropy, mean=lambda t: flat(of_wishart(t)[0] * of_wishart(t)[1]), kl=wishart_divergence),
    dict(distribution="MatrixNormal(location[2x2], row_scale_tril[2x2], column_scale_tril[2x2])", points=[
        ([0.3, -1.0, 0.2, 0.5, 1.3, 0.0, -0.7, 0.6, 0.8, 0.0, 0.4, 1.1], [[0.1, 0.2, 0.3, -0.4], [-3.0, 2.0, 1.0, 0.0]]),
        ([0.0, 1.0, -1e6, 2.0, 1e-6, 0.0, 1e-3, 1e3, 1e6, 0.0, 1e-3, 1e-3], [[0.5, 1.0, -1000500.0, 2.5]])],
        fixed=[5, 9], log_prob=lambda x, t: normal_density(x, *of_matrix_normal(t)), entropy=lambda t: mp.log(mp.det(2 * mp.pi * mp.e * of_matrix_normal(t)[1])) / 2,
        mean=lambda t: t[:4], variance=lambda t: [of_matrix_normal(t)[1][i, i] for i in range(4)],
        kl=lambda t, u: normal_divergence(*of_matrix_normal(t), *of_matrix_normal(u))),
    dict(distribution="InverseWishart(degrees_of_freedom, scale_tril[2x2])", points=[
        ([7.3, 1.0, 0.0, 0.5, 0.8], [[3.0, 1.0, 1.0, 4.0], [0.1, 0.05, 0.05, 0.2]]), ([1.01, 1e-3, 0.0, 10.0, 1.0], [[1e-6, 0.01, 0.01, 300.0]]), ([1e4, 1.0, 0.0, 0.5, 0.8], [[1e-4, 5e-5, 5e-5, 9e-5]])],
        fixed=[2], log_prob=inverse_wishart_density, entropy=inverse_wishart_entropy, mean=lambda t: flat(of_wishart(t)[1] / (t[0] - 3)) if t[0] > 3 else [mp.nan],
        variance=lambda t: inverse_wishart_variance(t) if t[0] > 5 else [mp.nan], kl=lambda t, u: wishart_divergence(inverse_parameters(t), inverse_parameters(u))),
    dict(distribution="Lkj(concentration)", points=[([eta], [[1.0, 0.0, 0.0, 0.6, 0.8, 0.0, 0.36, 0.48, 0.8], [1.0, 0.0, 0.0, -0.28, 0.96, 0.0, 0.0, 0.28, 0.96]]) for eta in (1.7, 0.5, 1e-3, 1e6)],
         fixed=(), log_prob=lkj_density, entropy=lkj_entropy),
    dict(distribution="GaussianProcess(mean, deviation, length, noise)", points=[
        ([0.4, 1.2, 0.8, 0.3], [[0.1, 0.5, -0.7], [2.0, 1.0, 3.0]]), ([1e6, 1e-3, 1e3, 1.0], [[999999.0, 1000001.0, 1000000.5]]), ([0.0, 1e3, 1e-2, 1e-3], [[900.0, -500.0, 30.0]])],
        fixed=(), log_prob=lambda x, t: normal_density(x, *of_process(t)), entropy=lambda t: mp.log(mp.det(2 * mp.pi * mp.e * of_process(t)[1])) / 2,
        mean=lambda t: [t[0]] * 3, variance=lambda t: [t[1] ** 2 + t[3] ** 2] * 3, kl=lambda t, u: normal_divergence(*of_process(t), *of_process(u))),
    normal_sequence("GaussianRandomWalk(initial, drift, scale)", [
        ([0.3, -0.2, 0.7], [[0.1, 0.5, -0.7], [2.0, 1.0, 3.0]]), ([1e6, -1e3, 1e-3], [[999000.001, 998000.0, 997000.002]])], of_walk, kl=True),
    normal_sequence("AutoRegressive(initial[2], coefficients[2], intercept, scale)", [
        ([0.3, -1.0, 0.6, -0.4, 0.2, 0.7], [[0.1, 0.5, -0.7], [2.0, 1.0, 3.0]]), ([0.0, 1.0, 1.9, -1.0, 1e-3, 1e3], [[1.0, -2000.0, 1e4]])], of_series),
    dict(distribution="MarkovChain(initial_logits[2], transition_logits[2x2])", points=[
        ([0.3, -0.4, 1.0, 0.2, -0.5, 0.8], [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]), ([-5.0, 3.0, 20.0, 0.0, -1.0, 1.0], [[0.0, 1.0, 0.0], [1.0, 1.0, 1.0]])],
        fixed=(), log_prob=chain_log, entropy=lambda t: -chain_mean((t, lambda x: chain_log(x, t))),
        mean=lambda t: [chain_mean((t, lambda x: x[k])) for k in range(3)],
        variance=lambda t: [chain_mean((t, lambda x: x[k])) * (1 - chain_mean((t, lambda x: x[k]))) for k in range(3)],
        kl=lambda t, u: chain_mean((t, lambda x: chain_log(x, t) - chain_log(x, u)))),
    dict(distribution="HiddenMarkovModel(initial_logits[2], transition_logits[2x2], Normal(location[2], scale))", points=[
        ([0.3, -0.4, 1.0, 0.2, -0.5, 0.8, -1.0, 2.0, 0.7], [[0.1, 0.5, -0.7], [2.0, 1.0, 3.0]]), ([-5.0, 3.0, 20.0, 0.0, -1.0, 1.0, -1e3, 1e3, 1e-3], [[1000.001, -1000.0, -999.999]])],
        fixed=(), log_prob=lambda x, t: mp.log(sum(hidden_pieces(x, t))), mean=lambda t: hidden_moments(t)[0], variance=lambda t: hidden_moments(t)[1]),
    normal_sequence("LinearGaussianStateSpace(initial_location[2], initial_scale_tril[2x2], transition[2x2], transition_scale_tril[2x2], observation[1x2], observation_scale_tril[1x1])", [
        ([0.5, -0.3, 1.2, 0.0, 0.4, 0.7, 0.9, 0.3, -0.2, 0.8, 0.4, 0.0, 0.1, 0.5, 1.0, 0.2, 0.6], [[0.1, 0.5, -0.7], [2.0, 1.0, 3.0]]),
        ([0.5, -0.3, 1e3, 0.0, 0.4, 0.7, 1.0, 1.0, 0.0, 1.0, 1e-3, 0.0, 0.1, 0.5, 1.0, 0.0, 1e-2], [[0.1, 0.5, -0.7]])], of_state_space, [3, 11]),
    dict(distribution="Multinomial(trials, logits[3])", points=[
        ([7.0, 0.3, -0.5, 0.1], [[2.0, 1.0, 4.0], [7.0, 0.0, 0.0]]), ([1e9, 0.0, 0.0, 1.0], [[211900000.0, 212000000.0, 576100000.0]]), ([5.0, -40.0, 0.0, 1.0], [[0.0, 2.0, 3.0], [1.0, 4.0, 0.0]])],
        fixed=[0], log_prob=multinomial_density, mean=lambda t: [t[0] * p for p in softmax(t[1:])], variance=lambda t: [t[0] * p * (1 - p) for p in softmax(t[1:])]),
    dict(distribution="PlackettLuce(logits[3])", points=[
        ([0.3, -0.5, 0.1], [[0.0, 1.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0, 1.0, 0.0]]), ([300.0, -300.0, 0.0], [[0.0, 1.0, 0.0, 1.0, 0.0, 0.0]])],
        fixed=(), log_prob=ranking_density),
    dict(distribution="KSubset(logits[3])", points=[
        ([0.3, -0.5, 0.1], [[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]), ([300.0, -300.0, -301.0], [[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])],
        fixed=(), log_prob=lambda x, t: sum(v * l for v, l in zip(x, t)) - mp.log(pair_sum(t)), mean=pair_mean, variance=lambda t: [m * (1 - m) for m in pair_mean(t)],
        entropy=lambda t: mp.log(pair_sum(t)) - sum(m * l for m, l in zip(pair_mean(t), t)),
        kl=lambda s, t: sum(m * (a - b) for m, a, b in zip(pair_mean(s), s, t)) - mp.log(pair_sum(s)) + mp.log(pair_sum(t))),
    dict(distribution="DirichletMultinomial(trials, concentration[3])", points=[
        ([7.0, 0.4, 1.5, 3.0], [[2.0, 1.0, 4.0], [7.0, 0.0, 0.0]]), ([1e9, 0.5, 2.0, 30.0], [[211900000.0, 212000000.0, 576100000.0]]),
        ([5.0, 1e-8, 1.0, 1e-3], [[0.0, 2.0, 3.0], [1.0, 4.0, 0.0]]), ([12.0, 1e9, 1e9, 3e9], [[2.0, 3.0, 7.0]])],
        fixed=[0], log_prob=dirichlet_multinomial_density, mean=lambda t: [t[0] * a / sum(t[1:]) for a in t[1:]],
        variance=lambda t: [t[0] * a / sum(t[1:]) * (1 - a / sum(t[1:])) * (t[0] + sum(t[1:])) / (1 + sum(t[1:])) for a in t[1:]]),
    dict(distribution="OrderedLogistic(predictor, cutpoints[2])", points=[
        ([0.3, -0.5, 1.1], [[0.0], [1.0], [2.0]]), ([-40.0, 0.0, 1e-6], [[0.0], [1.0], [2.0]]), ([700.0, -3.0, 2.0], [[0.0], [1.0], [2.0]])], fixed=(),
        log_prob=lambda x, t: mp.log(ordered_probabilities(t)[int(x[0])]), cdf=lambda x, t: sum(ordered_probabilities(t)[:int(x[0]) + 1]), discrete=True,
        entropy=lambda t: -sum(p * mp.log(p) for p in ordered_probabilities(t)), mean=lambda t: [sum(k * p for k, p in enumerate(ordered_probabilities(t)))],
        variance=lambda t: [sum(k * k * p for k, p in enumerate(ordered_probabilities(t))) - sum(k * p for k, p in enumerate(ordered_probabilities(t))) ** 2],
        kl=lambda t, u: sum(p * mp.log(p / q) for p, q in zip(ordered_probabilities(t), ordered_probabilities(u)))),
    categorical("Categorical(logits[3])", [[0.0], [1.0], [2.0]]),
    categorical("OneHotCategorical(logits[3])", [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
    dict(distribution="RelaxedOneHotCategorical(temperature, logits[3])", points=[
        ([0.7, 0.3, -0.5, 0.1], [[0.2, 0.3, 0.5], [0.001, 0.099, 0.9]]), ([0.05, 30.0, -20.0, 0.0], [[0.5, 0.25, 0.25]]), ([10.0, 0.0, 1.0, -1.0], [[0.25, 0.25, 0.5]])],
        fixed=(), log_prob=relaxed_density),
    dict(distribution="MixtureSameFamily(logits[2], Normal(location[2], scale))", points=[
        ([0.3, -0.2, -1.0, 2.0, 0.7], [[-1.5], [0.4], [3.0]]), ([-9.0, 0.0, -1e6, 1e6, 1e-3], [[-1e6], [1000000.001]]), ([700.0, 0.0, 0.0, 1.0, 1.0], [[-30.0], [0.5]])],
        fixed=(), log_prob=lambda x, t: mp.log(sum(mixture_pieces(t, x[0]))),
        cdf=lambda x, t: sum(w * ncdf((x[0] - m) / t[4]) for w, m in zip(softmax(t[:2]), t[2:4])),
        mean=lambda t: [sum(w * m for w, m in zip(softmax(t[:2]), t[2:4]))],
        variance=lambda t: [t[4] ** 2 + softmax(t[:2])[0] * softmax(t[:2])[1] * (t[2] - t[3]) ** 2]),
    dict(distribution="Mixture(probability, Normal(location, scale), Laplace(location, scale))", points=[
        ([0.3, -1.0, 0.6, 1.5, 0.8], [[-1.5], [0.4], [3.0]]), ([1e-3, -1e3, 1e-3, 1e3, 50.0], [[-1e3], [900.0]]), ([0.999999, 0.0, 1.0, 0.0, 1e-6], [[1e-6], [5.0]])],
        fixed=(), log_prob=lambda x, t: mp.log(sum(blend_pieces(t, x[0]))),
        cdf=lambda x, t: t[0] * ncdf((x[0] - t[1]) / t[2]) + (1 - t[0]) * laplace_cdf((x[0] - t[3]) / t[4]),
        mean=lambda t: [t[0] * t[1] + (1 - t[0]) * t[3]],
        variance=lambda t: [t[0] * t[2] ** 2 + (1 - t[0]) * 2 * t[4] ** 2 + t[0] * (1 - t[0]) * (t[1] - t[3]) ** 2]),
    dict(distribution="ZeroInflated(gate, Poisson(rate))", points=GATED, fixed=(), discrete=True, log_prob=lambda x, t: inflated(x[0], *t),
         cdf=lambda x, t: sum(mp.exp(inflated(k, *t)) for k in range(int(x[0]) + 1)), mean=lambda t: [(1 - t[0]) * t[1]],
         variance=lambda t: [(1 - t[0]) * t[1] * (1 + t[0] * t[1])]),
    dict(distribution="Hurdle(gate, Poisson(rate))", points=GATED, fixed=(), discrete=True, log_prob=lambda x, t: hurdle(x[0], *t),
         cdf=lambda x, t: sum(mp.exp(hurdle(k, *t)) for k in range(int(x[0]) + 1)), mean=lambda t: [(1 - t[0]) * t[1] / -mp.expm1(-t[1])],
         variance=lambda t: [(1 - t[0]) * (t[1] + t[1] ** 2) / -mp.expm1(-t[1]) - ((1 - t[0]) * t[1] / mp.expm1(-t[1])) ** 2]),
    dict(distribution="Truncated(low, high, Normal(location, scale))", points=[
        ([-1.0, 2.5, 0.3, 1.4], [[-0.9], [0.4], [2.4]]), ([8.0, 9.0, 0.0, 1.0], [[8.01], [8.2], [8.9]]), ([-1e9, -20.0, 0.0, 1.0], [[-20.5], [-20.01]]), ([-1e7, 2e7, 0.0, 1e8], [[-0.5], [9e6]])],
        fixed=(), log_prob=lambda x, t: truncated(x[0], *t[2:], *t[:2]), cdf=lambda x, t: truncated_cdf(x[0], *t[2:], *t[:2])),
    dict(distribution="Truncated(low, high, Poisson(rate))", points=[([1.0, 6.0, 3.5], [[1.0], [4.0], [6.0]]), ([2.0, 5.0, 1e-3], [[2.0], [3.0]]), ([9900.0, 10100.0, 1e4], [[9900.0], [10003.0]])],
        fixed=(0, 1), discrete=True, log_prob=lambda x, t: poisson_between(x[0], *t), cdf=lambda x, t: sum(mp.exp(poisson_between(k, *t)) for k in range(int(t[0]), int(x[0]) + 1))),
    dict(distribution="Censored(low, high, Normal(location, scale))", points=[
        ([-0.6, 1.9, 0.3, 1.4], [[-0.6], [0.4], [1.9]]), ([-30.0, -20.0, 0.0, 1.0], [[-30.0], [-25.0], [-20.0]])],
        fixed=(0, 1), discrete=True, log_prob=lambda x, t: censored(x[0], *t), cdf=lambda x, t: ncdf((x[0] - t[2]) / t[3]) if x[0] < t[1] else mpf(1)),
    dict(distribution="Censored(low, high, Poisson(rate))", points=[([1.0, 6.0, 3.5], [[1.0], [4.0], [6.0]]), ([2.0, 5.0, 1e-3], [[2.0], [3.0], [5.0]])],
        fixed=(0, 1), discrete=True, log_prob=lambda x, t: mp.log(sum(poisson_part(k, t[2]) for k in censored_counts(x[0], *t[:2]))),
        cdf=lambda x, t: sum(poisson_part(k, t[2]) for k in range(int(x[0]) + 1)) if x[0] < t[1] else mpf(1)),
    dict(distribution="Quantized(Logistic(location, scale))", points=[([3.3, 1.2], [[0.0], [3.0], [7.0]]), ([1.0, 0.0625], [[0.0], [1.0], [2.0], [7.0]]), ([-20.0, 0.5], [[1.0], [6.0], [7.0]])],
        fixed=(), discrete=True, log_prob=lambda x, t: mp.log(quantized(x[0], *t)), cdf=lambda x, t: sigmoid((x[0] - t[0]) / t[1]) if x[0] < 7 else mpf(1)),
    dict(distribution="TransformedDistribution(Normal(location, scale), Sigmoid)", points=[
        ([0.2, 0.8], [[0.1], [0.6], [0.999]]), ([40.0, 3.0], [[0.5], [0.9999999]]), ([0.0, 1e-3], [[0.5], [0.5005]])],
        fixed=(), log_prob=lambda x, t: loc(lambda z: -z * z / 2 - mp.log(2 * mp.pi) / 2)(mp.log(x[0]) - mp.log1p(-x[0]), t[0], t[1]) - mp.log(x[0]) - mp.log1p(-x[0]),
        cdf=lambda x, t: ncdf((mp.log(x[0]) - mp.log1p(-x[0]) - t[0]) / t[1])),
]


def vector_rows():
    """Laws of vectors and matrices, and distributions made of others. Scores are named by the position of the parameter."""
    for distribution in VECTORS:
        name = distribution["distribution"]
        for values, arguments in distribution["points"]:
            t = [mpf(v) for v in values]
            for argument in arguments:
                x = [mpf(v) for v in argument]
                yield name, "log_prob", values, argument, [distribution["log_prob"](x, t)]
                for index, slope in gradient_of(lambda v: distribution["log_prob"](x, v), t):
                    if index not in distribution["fixed"]:
                        yield name, f"score/{index}", values, argument, [slope]
                if "cdf" in distribution:
                    level = distribution["cdf"](x, t)
                    yield name, "cdf", values, argument, [level]
                    rounded = mpf(float(level))
                    if 0 < rounded < 1 - mpf(10) ** -10 and not distribution.get("discrete"):
                        quantile = x[0]
                        for _ in range(2):
                            quantile += (rounded - distribution["cdf"]([quantile], t)) / mp.exp(distribution["log_prob"]([quantile], t))
                        yield name, "icdf", values, [float(level)], [quantile]
            if "entropy" in distribution:
                yield name, "entropy", values, [], [distribution["entropy"](t)]
            for moment in ("mean", "variance"):
                if moment in distribution and not any(map(mp.isnan, distribution[moment](t))):
                    yield name, moment, values, [], distribution[moment](t)
        if "kl" in distribution:
            points = [values for values, _ in distribution["points"]]
            for own in points:
                for other in points[:1]:
                    value = distribution["kl"]([mpf(v) for v in own], [mpf(v) for v in other])
                    yield name, f"kl:{name}", own + other, [], [value]


def text(value):
    return "" if value == "" else repr(float(value))


def digits(value):
    return mp.nstr(value, 25, min_fixed=-5, max_fixed=8)


def write(file, lines):
    with open(HERE / file, "w", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["distribution", "function", "parameters", "argument", "value"])
        for distribution, function, parameters, argument, value in lines:
            if mp.isnan(value):
                continue
            table.writerow([distribution, function, ";".join(map(text, parameters)), text(argument), digits(value)])


def write_vectors():
    with open(HERE / "vectors.csv", "w", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["distribution", "function", "parameters", "argument", "value"])
        for distribution, function, parameters, argument, value in vector_rows():
            table.writerow([distribution, function, ";".join(map(text, parameters)), ";".join(map(text, argument)), ";".join(map(digits, value))])


def main():
    wanted = set(sys.argv[1:])
    files = {}
    for distribution in DISTRIBUTIONS:
        files.setdefault(distribution.file, []).append(distribution)
    for file, distributions in files.items():
        if wanted and not wanted & {distribution.distribution.split("(")[0] for distribution in distributions}:
            continue
        write(file, [(distribution.distribution, *row) for distribution in distributions for row in distribution.rows()])
        print(file, flush=True)
    if not wanted or "divergences" in wanted:
        write("divergences.csv", divergences())
        print("divergences.csv", flush=True)
    if not wanted or "vectors" in wanted:
        write_vectors()
        print("vectors.csv", flush=True)


if __name__ == "__main__":
    main()
