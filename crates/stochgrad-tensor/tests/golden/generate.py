"""Writes special.csv: values of special functions from mpmath at 60 digits.

Run it with mpmath 1.4 (`pip install mpmath`): `python3 generate.py` in this folder takes a few minutes. A row is the
name of a function, its arguments, and its value, rounded to the nearest double. Arguments are doubles. Where a function
takes two parts x and y = 1 - x, the smaller of them is exact.
"""

import csv
import functools
import math

from mpmath import exp, inf, log, loggamma, mp, mpf, pi, polygamma, quad, sqrt

mp.dps = 60
rows = []


def with_digits(digits):
    """Evaluates a function with more digits than usual."""

    def decorate(function):
        @functools.wraps(function)
        def wrapped(*arguments):
            with mp.workdps(digits):
                return function(*map(mpf, arguments))

        return wrapped

    return decorate


def add(name, arguments, value):
    value = float(value)
    if math.isfinite(value) and (value == 0 or abs(value) > 1e-305):
        rows.append([name, *[repr(float(argument)) for argument in arguments], repr(value)])


def log_of(part, rest):
    """The logarithm of a probability, from its complement where that is smaller."""
    return mp.log1p(-rest) if rest < part else log(part)


def inverse(distribution, log_density, x, p, lower):
    """The argument with this probability next to x, by Newton's method on the logarithm of the probability."""
    x = mpf(x)
    for _ in range(60):
        value = distribution(x)
        step = log(value / p) * value / exp(log_density(x))
        x = x - step if lower else x + step
        if abs(step) < abs(x) * mpf(10) ** -30:
            break
    return x


# The normal distribution.


@with_digits(60)
def normal_tail(x):
    return mp.erfc(x / sqrt(mpf(2))) / 2


def normal():
    for x in [1e-300, 1e-8, 0.1, 0.5, 0.9, 1.1, 2, 3, 5, 8, 13.9, 14.1, 20, 30, 37, 100, 1e4, 1e8, 1e100, 1e150]:
        for sign in (-1, 1):
            tail, rest = normal_tail(-sign * x), normal_tail(sign * x)
            add("normal_cdf", [sign * x], tail)
            if tail > 0:
                add("normal_log_cdf", [sign * x], log_of(tail, rest))
    for p in [1e-300, 1e-100, 1e-17, 1e-8, 1e-3, 0.025, 0.07, 0.08, 0.3, 0.4999, 0.5001, 0.8, 0.99, 1 - 1e-10]:
        # The sign is removed first, since 1 - p has no more digits than p near 1.
        guess = mpf(math.sqrt(2)) * mp.erfinv(2 * mpf(p) - 1) if p > 1e-10 else -sqrt(-2 * log(mpf(p)))
        root = inverse(lambda x: normal_tail(-x), lambda x: -x * x / 2 - log(2 * pi) / 2, guess, mpf(p), True)
        add("normal_icdf", [p], root)


# The exponential integral.


def exponential_integrals():
    for x in [1e-300, 1e-20, 1e-3, 0.3, 0.999, 1, 1.4, 2.5, 9.9, 31, 1e3, 1e10, 1e100, 1e300]:
        for order in (0, 1, 2, 5):
            with mp.workdps(60 if x < 1e4 else 400 if x < 1e50 else 60):
                exact = mpf(x)
                if x < 1e4:
                    # By parts, from order to order.
                    value = mp.expint(order + 1, exact) * exp(exact) / exact**order
                else:
                    terms = [(-1) ** k * mp.rf(order + 1, k) / exact**k for k in range(40)]
                    value = sum(terms) / exact ** (order + 1)
                add("scaled_exponential_integral", [order, x], value)


# The gamma function.


def gamma_functions():
    positive = [1e-300, 1e-20, 1e-3, 0.3, 1.2, 1.4616, 1.47, 2.5, 9.9, 10, 31, 1e3, 1e10, 1e100, 1e300]
    for x in positive:
        add("lgamma", [x], loggamma(mpf(x)))
        add("digamma", [x], mp.digamma(mpf(x)))
        add("trigamma", [x], polygamma(1, mpf(x)))
        for order in (2, 5, 40):
            if x < 1e50:
                add("polygamma", [order, x], polygamma(order, mpf(x)))
        for order in (0, 1, 2, 5):
            with mp.workdps(400):
                exact = mpf(x)
                logarithm = log(exact) if order == 0 else (-1) ** (order - 1) * mp.factorial(order - 1) / exact**order
                if x < 1e50:
                    add("digamma_minus_log_derivative", [order, x], polygamma(order, exact) - logarithm)
    pairs = [(a, a * r) for a in positive for r in (1 + 1e-12, 1 + 1e-4, 2.9, 3.1, 1e10, 0.4, 1e-5)]
    for a, b in pairs:
        if not (1e-50 < min(a, b) and max(a, b) < 1e50):
            continue
        with mp.workdps(300):
            x, y = mpf(a), mpf(b)
            part = lambda z: loggamma(z) - z * log(z) + z
            slope = lambda z: mp.digamma(z) - log(z)
            add("stirling_divergence", [a, b], part(y) - part(x) - (y - x) * slope(x))
            add("digamma_minus_log_difference", [a, b], slope(y) - slope(x))
            add("log_gamma_difference", [1, a, b], mp.digamma(y) - mp.digamma(x))
            add("log_gamma_difference", [3, a, b], polygamma(2, y) - polygamma(2, x))
            if min(a, b) > 2:
                add("log_gamma_difference", [0, a, b], loggamma(y) - loggamma(x))
            add("log_beta", [a, b], loggamma(x) + loggamma(y) - loggamma(x + y))
            if b / a > 1e-6 and max(a, b) < 1e20:
                second = lambda f: f(x + 2 * y) - 2 * f(x + y) + f(x)
                add("log_gamma_second_difference", [0, a, b], second(loggamma))
                add("log_gamma_second_difference", [1, a, b], second(mp.digamma))
    for h in [1e-12, 1e-8, 1e-4, 0.1, 0.5, 1, 3, 100]:
        with mp.workdps(200):
            y = mpf(h)
            add("log_gamma_second_difference", [0, 1, h], loggamma(1 + 2 * y) - 2 * loggamma(1 + y))
    for nu in [1e-5, 0.1, 1, 5, 19.9, 20, 24, 26, 60, 1e4, 1e10, 1e30]:
        with mp.workdps(150):
            z = mpf(nu) / 2
            add("student_t_log_height", [0, nu], loggamma(z + 0.5) - loggamma(z) - log(2 * pi * z) / 2)
            for order in (1, 2, 4):
                digammas = polygamma(order - 1, z + mpf("0.5")) - polygamma(order - 1, z)
                logarithm = (-1) ** (order - 1) * mp.factorial(order - 1) / mpf(nu) ** order
                add("student_t_log_height", [order, nu], digammas / 2**order - logarithm / 2)


# The incomplete gamma function.


@functools.lru_cache(None)
def gamma_parts(a, x):
    """P(a, x) and Q(a, x)."""
    a, x = mpf(a), mpf(x)
    # If Q is small, more digits of P are needed.
    with mp.workdps(80 + int(max(0, x - a) / 2.3 + 40)):
        term = total = mpf(1)
        n = 0
        while term > total * mpf(10) ** -mp.dps:
            n += 1
            term *= x / (a + n)
            total += term
        lower = exp(a * log(x) - x - loggamma(a + 1)) * total
        return lower, 1 - lower


def incomplete_gamma():
    for a in [1e-10, 1e-3, 0.3, 0.49, 0.5, 2.5, 9.9, 29, 31, 400, 1e4, 1e6]:
        arguments = [1e-300, 1e-3, 0.4, 1.4, 1.6] + [a * r for r in (0.01, 0.5, 2)]
        arguments = arguments if a < 1e3 else []
        arguments += [a + k * math.sqrt(a) for k in (-6, -2, -0.1, 0.3, 2, 7)]
        for x in arguments:
            if not 0 < x < 1.5 * a + 900:
                continue
            p, q = gamma_parts(a, x)
            add("gamma_p", [a, x], p)
            add("gamma_q", [a, x], q)
            add("log_gamma_p", [a, x], log_of(p, q))
            add("log_gamma_q", [a, x], log_of(q, p))
            density = lambda z: (a - 1) * log(z) - z - loggamma(mpf(a))
            if 1e-280 < p < 0.49 and a < 1e3:
                add("gamma_p_inverse", [a, float(p)], inverse(lambda z: gamma_parts(a, z)[0], density, x, float(p), True))
            if 1e-280 < q < 0.49 and a < 1e3:
                add("gamma_q_inverse", [a, float(q)], inverse(lambda z: gamma_parts(a, z)[1], density, x, float(q), False))


# The incomplete beta function.


def beta_series(a, b, x, y):
    term = total = mpf(1)
    n = 0
    while term > total * mpf(10) ** -mp.dps:
        term *= (a + b + n) / (a + 1 + n) * x
        total += term
        n += 1
    return exp(a * log(x) + b * log(y) + loggamma(a + b) - loggamma(a) - loggamma(b)) * total / a


@functools.lru_cache(None)
def beta_parts(a, b, x, y):
    """I and 1 - I; the smaller of x and y is exact."""
    a, b, x, y = map(mpf, (a, b, x, y))
    if x <= y:
        y = 1 - x
    else:
        x = 1 - y
    with mp.workdps(120):
        # Next to 1, the series in x would need too many terms.
        if x > 0.99 or (x * (a + b) > a and x > 0.01):
            upper = beta_series(b, a, y, x)
            return 1 - upper, upper
        lower = beta_series(a, b, x, y)
        return lower, 1 - lower


def incomplete_beta():
    shapes = [1e-6, 0.49, 0.5, 3, 29, 31, 1e5]
    for a in shapes:
        for b in shapes:
            mean = a / (a + b)
            spread = math.sqrt(a * b / (a + b + 1)) / (a + b)
            for x in [mean, 0.5 * mean, 0.01 * mean, 1e-30, mean - 3 * spread, mean + 5 * spread, 0.5 + 0.5 * mean]:
                if not 0 < x < 1 or (max(a, b) > 1e3 and abs(x - mean) > 12 * spread):
                    continue
                pair = (x, 1 - x)
                lower, upper = beta_parts(a, b, *pair)
                if min(lower, upper) < mpf(10) ** -30:
                    continue
                add("beta_inc_pair", [a, b, *pair], lower)
                add("log_beta_inc", [a, b, *pair], log_of(lower, upper))
                add("log_beta_inc", [b, a, *pair[::-1]], log_of(upper, lower))
                if lower < 0.49 and min(a, b) > 0.05 and x < 0.9:
                    p = float(lower)
                    log_beta = loggamma(mpf(a)) + loggamma(mpf(b)) - loggamma(mpf(a) + b)
                    density = lambda z: (a - 1) * log(z) + (b - 1) * mp.log1p(-z) - log_beta
                    root = inverse(lambda z: beta_parts(a, b, z, 1 - z)[0], density, x, p, True)
                    add("beta_inc_inverse", [a, b, p], root)


# Student's t distribution.


@functools.lru_cache(None)
def student_tail(t, nu):
    """P(T > t) for t > 0."""
    t, nu = mpf(t), mpf(nu)
    if nu > 1e40:
        return normal_tail(t)
    height = loggamma((nu + 1) / 2) - loggamma(nu / 2) - log(nu * pi) / 2
    if nu < 2000:
        x = nu / (nu + t * t)
        if t < 1e-3:
            return mpf(1) / 2 - exp(height) * t * mp.hyp2f1(mpf(1) / 2, (nu + 1) / 2, mpf(3) / 2, -t * t / nu)
        log_beta = loggamma(nu / 2) + loggamma(mpf(1) / 2) - loggamma((nu + 1) / 2)
        return x ** (nu / 2) / nu * exp(-log_beta) * mp.hyp2f1(nu / 2, mpf(1) / 2, nu / 2 + 1, x)
    scale = 1 / max(t, mpf(1))
    points = [t + scale * k for k in [*range(0, 40, 2), *range(40, 160, 8), 300]]
    # Relative to the density at t, since the error of the quadrature is absolute.
    fall = lambda s: exp(-(nu + 1) / 2 * mp.log1p((s - t) * (s + t) / (nu + t * t)))
    return exp(height - (nu + 1) / 2 * mp.log1p(t * t / nu)) * quad(fall, points, method="gauss-legendre")


def student():
    for nu in [1e-5, 0.01, 1, 3, 7.5, 61, 1e4, 1e8, 1e14, 1e16, 1.1e17, 1e300]:
        for t in [1e-300, 1e-8, 0.1, 0.5, 1.3, 2, 5, 20, 37, 1e4, 1e21, 1e200]:
            if t > 37 and nu > 100:
                continue
            tail = student_tail(t, nu)
            add("student_t_cdf", [-t, nu], tail)
            add("student_t_log_cdf", [-t, nu], log(tail))
            add("student_t_log_cdf", [t, nu], mp.log1p(-tail))
            if 1e-290 < tail and 0.05 < t and nu < 1e40 and nu >= 0.01:
                height = loggamma((mpf(nu) + 1) / 2) - loggamma(mpf(nu) / 2) - log(nu * pi) / 2
                density = lambda s: height - (mpf(nu) + 1) / 2 * mp.log1p(s * s / nu)
                root = inverse(lambda s: student_tail(s, nu), density, t, mpf(float(tail)), False)
                add("student_t_icdf", [float(tail), nu], -root)


# The von Mises distribution.


@functools.lru_cache(None)
def angle_tail(x, kappa):
    """P(X > x) for x > 0."""
    x, kappa = mpf(x), mpf(kappa)
    if kappa < 1e4:
        scaled = mp.besseli(0, kappa) * exp(-kappa)
    else:
        term = scaled = mpf(1)
        n = 0
        while term > mpf(10) ** -50:
            n += 1
            term *= mpf(2 * n - 1) ** 2 / (8 * n * kappa)
            scaled += term
        scaled /= sqrt(2 * pi * kappa)
    length, slope = pi - x, kappa * mp.sin(x)
    width = 60 / (slope + sqrt(slope * slope + 120 * kappa)) if kappa > 0 else length
    points = [mpf(0)]
    while points[-1] < length and len(points) < 14:
        points.append(min(length, points[-1] + width))
    fall = lambda v: exp(-2 * kappa * mp.sin(x + v / 2) * mp.sin(v / 2))
    sum_ = quad(fall, points, method="gauss-legendre")
    return exp(-2 * kappa * mp.sin(x / 2) ** 2) * sum_ / (2 * pi * scaled)


def angles():
    for kappa in [0, 1e-8, 0.3, 2, 40, 500, 1e4, 1e6, 1e12]:
        near = [z / math.sqrt(kappa) for z in (0.1, 1, 5, 20)] if kappa > 10 else []
        for x in [1e-9, 0.01, 0.3, 1, 2, 3, 3.14, *near]:
            tail = angle_tail(x, kappa)
            add("von_mises_cdf", [-x, kappa], tail)
            add("von_mises_log_cdf", [-x, kappa], log(tail))
            add("von_mises_log_cdf", [x, kappa], mp.log1p(-tail))


for write in (normal, exponential_integrals, gamma_functions, incomplete_gamma, incomplete_beta, student, angles):
    write()
    print(write.__name__, len(rows), flush=True)
with open("special.csv", "w", newline="") as file:
    csv.writer(file, lineterminator="\n").writerows(rows)
