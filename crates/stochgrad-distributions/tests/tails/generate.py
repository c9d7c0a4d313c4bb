"""Writes tails.csv: the logarithms of the distribution function and of the survival function of each continuous
distribution, far into both tails, from mpmath at 60 digits.

Run it with a Python that has mpmath: `python generate.py`. Columns: distribution, parameters, value, ln F, ln S.
"""

from pathlib import Path

from mpmath import (
    acot, asinh, atan, besseli, betainc, cos, erf, erfc, exp, expm1, gammainc, inf, log, log1p, mp, mpf, nstr, pi, quad,
    sinh, sqrt,
)

mp.dps = 60


def of_power(u):
    """ln F and ln S where the survival function is e^-u."""
    return log(-expm1(-u)), -u


def normal(z):
    return log(erfc(-z / sqrt(2)) / 2), log(erfc(z / sqrt(2)) / 2)


def gamma(a, z):
    return log(gammainc(a, 0, z, regularized=True)), log(gammainc(a, z, inf, regularized=True))


def beta(a, b, x):
    return log(betainc(a, b, 0, x, regularized=True)), log(betainc(b, a, 0, 1 - x, regularized=True))


def student(nu, t):
    tail = log(betainc(nu / 2, mpf(1) / 2, 0, nu / (nu + t * t), regularized=True) / 2)
    rest = log1p(-exp(tail))
    return (tail, rest) if t < 0 else (rest, tail)


def inverse_gaussian(mu, lam, x):
    root = sqrt(lam / x)
    v, w = root * (x / mu - 1), root * (x / mu + 1)
    factor = exp(2 * lam / mu)
    return (log(erfc(-v / sqrt(2)) / 2 + factor * erfc(w / sqrt(2)) / 2),
            log(erfc(v / sqrt(2)) / 2 - factor * erfc(w / sqrt(2)) / 2))


def truncated(mu, s, low, high, x):
    a, b, z = (low - mu) / s, (high - mu) / s, (x - mu) / s
    mass = lambda p, q: (erfc(p / sqrt(2)) - erfc(q / sqrt(2))) / 2
    return log(mass(a, z) / mass(a, b)), log(mass(z, b) / mass(a, b))


def generalized_normal(m, a, b, x):
    z = abs((x - m) / a) ** b
    tail = log(gammainc(1 / b, z, inf, regularized=True) / 2)
    rest = log1p(-exp(tail))
    return (tail, rest) if x < m else (rest, tail)


def truncated_laplace(m, s, low, high, x):
    tail = lambda v: exp(-abs(v - m) / s) / 2
    mass = lambda p, q: abs(tail(p) - tail(q)) if (p - m) * (q - m) >= 0 else 1 - tail(p) - tail(q)
    return log(mass(low, x) / mass(low, high)), log(mass(x, high) / mass(low, high))


def asymmetric_laplace(m, s, k, x):
    z = (x - m) / s
    tail = z / k + log(k * k / (1 + k * k)) if z < 0 else -z * k - log(1 + k * k)
    rest = log1p(-exp(tail))
    return (tail, rest) if z < 0 else (rest, tail)


def von_mises(mu, kappa, x):
    density = lambda t: exp(kappa * (cos(t) - 1))
    total = 2 * pi * besseli(0, kappa) * exp(-kappa)
    nodes = lambda low, high: [low + (high - low) * k / 8 for k in range(9)]
    return (log(quad(density, nodes(-pi, x - mu)) / total), log(quad(density, nodes(x - mu, pi)) / total))


def share(x):
    return log(x), log1p(-x)


DISTRIBUTIONS = {
    "Normal": ([[0.3, 1.7]], lambda m, s, x: normal((x - m) / s), [-600, -70, -3, 0.3, 0.5, 9, 60, 500]),
    "LogNormal": ([[0.2, 0.4]], lambda m, s, x: normal((log(x) - m) / s), [1e-300, 1e-7, 0.5, 1.3, 9, 1e9, 1e300]),
    "HalfNormal": ([[1.3]], lambda s, x: (log(erf(x / s / sqrt(2))), log(erfc(x / s / sqrt(2)))),
                   [1e-300, 1e-9, 0.4, 2, 12, 90]),
    "Cauchy": ([[0.3, 1.7]], lambda m, s, x: (log((pi - acot((x - m) / s)) / pi if x > m else acot((m - x) / s) / pi),
                                             log(acot((x - m) / s) / pi if x > m else (pi - acot((m - x) / s)) / pi)),
               [-1e300, -1e9, -2, 0.31, 5, 1e12, 1e300]),
    "HalfCauchy": ([[1.3]], lambda s, x: (log(atan(x / s) * 2 / pi), log(acot(x / s) * 2 / pi)),
                   [1e-300, 1e-5, 1, 3, 1e9, 1e300]),
    "Laplace": ([[0.3, 1.7]], lambda m, s, x: (lambda t: (t, log1p(-exp(t))) if x < m else (log1p(-exp(t)), t))(
        -abs(x - m) / s - log(2)), [-2e3, -40, -1, 0.3, 0.4, 50, 3e3]),
    "Logistic": ([[0.3, 1.7]], lambda m, s, x: (-log1p(exp(-(x - m) / s)), -log1p(exp((x - m) / s))),
                 [-2e3, -60, -1, 0.3, 2, 70, 3e3]),
    "Gumbel": ([[0.3, 1.7]], lambda m, s, x: tuple(reversed(of_power(exp(-(x - m) / s)))), [-9, -3, 0.3, 4, 70, 3e3]),
    "Exponential": ([[0.8]], lambda r, x: of_power(r * x), [1e-300, 1e-9, 0.3, 2, 60, 1e4]),
    "Rayleigh": ([[1.3]], lambda s, x: of_power((x / s) ** 2 / 2), [1e-300, 1e-9, 0.3, 2, 20, 1e4]),
    "Weibull": ([[1.6, 0.8], [0.2, 3.0]], lambda k, s, x: of_power((x / s) ** k), [1e-300, 1e-9, 0.3, 2, 20, 1e4]),
    "Pareto": ([[0.8, 2.6]], lambda s, a, x: of_power(a * log(x / s)), [0.8000001, 0.9, 2, 1e9, 1e200]),
    "Kumaraswamy": ([[2.3, 1.4], [0.3, 7.0]], lambda a, b, x: (log(-expm1(b * log1p(-x ** a))), b * log1p(-x ** a)),
                    [1e-300, 1e-9, 0.3, 0.9, 0.99999999]),
    "Uniform": ([[-0.7, 2.1]], lambda a, b, x: share((x - a) / (b - a)), [-0.6999999, -0.1, 0.8, 2.0999999]),
    "Maxwell": ([[1.3]], lambda s, x: gamma(mpf(3) / 2, (x / s) ** 2 / 2), [1e-150, 1e-9, 0.3, 2, 20, 300]),
    "Gamma": ([[2.3, 1.4], [0.05, 1.0]], lambda a, r, x: gamma(a, r * x), [1e-300, 1e-9, 0.3, 2, 60, 2e3]),
    "InverseGamma": ([[2.6, 1.4]], lambda a, s, x: tuple(reversed(gamma(a, s / x))),
                     [1e-3, 0.02, 0.5, 2, 60, 1e9, 1e300]),
    "Chi2": ([[3.5]], lambda n, x: gamma(n / 2, x / 2), [1e-300, 1e-9, 0.3, 2, 60, 3e3]),
    "Beta": ([[2.3, 1.4], [0.5, 9.0]], beta, [1e-300, 1e-9, 0.3, 0.9, 0.99999999]),
    "StudentT": ([[3.5, 0.3, 1.7], [40.0, 0.3, 1.7]], lambda n, m, s, x: student(n, (x - m) / s),
                 [-1e30, -50, -1, 0.25, 0.5, 4, 1e3, 1e25]),
    "InverseGaussian": ([[1.3, 2.4]], inverse_gaussian, [1e-3, 0.03, 0.8, 1.4, 9, 60, 900]),
    "TruncatedNormal": ([[0.3, 1.4, -1.0, 2.5], [0.0, 1.0, 30.0, 32.0]], truncated, None),
    "AsymmetricLaplace": ([[0.3, 0.8, 1.4]], asymmetric_laplace, [-600, -3, 0.29, 0.4, 5, 400]),
    "Moyal": ([[0.3, 0.7]], lambda m, s, x: (lambda r: (log(erfc(r / sqrt(2))), log(erf(r / sqrt(2)))))(exp(-(x - m) / s / 2)),
              [-3, -1, 0.3, 4, 40, 700]),
    "GeneralizedExtremeValue": ([[-0.7, 1.3, 0.2], [0.5, 0.4, -0.3]],
                                lambda m, s, k, x: tuple(reversed(of_power((1 + k * (x - m) / s) ** (-1 / k)))), [-2.5, -0.5, 0.6, 1.7]),
    "GeneralizedPareto": ([[-0.7, 1.3, 0.2], [-0.7, 2.0, -0.3]], lambda m, s, k, x: of_power(log1p(k * (x - m) / s) / k),
                          [-0.699999, -0.1, 2, 5.9]),
    "GeneralizedNormal": ([[0.3, 1.7, 1.3]], generalized_normal, [-200, -4, 0.1, 0.4, 3, 90]),
    "JohnsonSu": ([[-0.6, 1.8, 0.3, 0.9]], lambda g, d, m, s, x: normal(g + d * asinh((x - m) / s)), [-1e6, -40, -1, 0.3, 2, 300, 1e5]),
    "SinhArcsinh": ([[0.4, 1.6, 0.3, 0.9]], lambda e, d, m, s, x: normal(sinh(d * asinh((x - m) / s) - e)), [-9, -3, 0.1, 0.9, 3, 12]),
    "Levy": ([[-0.7, 1.3]], lambda m, c, x: (log(erfc(sqrt(c / (x - m) / 2))), log(erf(sqrt(c / (x - m) / 2)))),
             [-0.695, -0.6, 0.5, 40, 1e9, 1e200]),
    "LogLogistic": ([[0.8, 2.6]], lambda a, b, x: (lambda y: (-log1p(exp(-y)), -log1p(exp(y))))(b * log(x / a)), [1e-100, 1e-5, 0.5, 2, 1e9, 1e100]),
    "Chi": ([[3.4]], lambda n, x: gamma(n / 2, x * x / 2), [1e-100, 1e-9, 0.3, 2, 9, 40]),
    "FisherF": ([[5.0, 9.0]], lambda m, n, x: beta(m / 2, n / 2, m * x / (m * x + n)), [1e-100, 1e-9, 0.3, 2, 60, 1e6]),
    "HalfStudentT": ([[7.0, 1.7]], lambda n, s, x: (lambda t: (log(betainc(mpf(1) / 2, n / 2, 0, t * t / (n + t * t), regularized=True)),
                     log(betainc(n / 2, mpf(1) / 2, 0, n / (n + t * t), regularized=True))))(x / s), [1e-100, 1e-9, 0.3, 2, 60, 1e6]),
    "Truncated": ([[0.3, 1.4, -1.0, 2.5], [0.0, 1.0, 30.0, 40.0]], truncated_laplace, None),
    "VonMises": ([[0.3, 1.3], [0.3, 60.0]], von_mises, [-2.8, -1, 0.3, 0.4, 2, 3.4]),
    "ContinuousBernoulli": ([[1.7], [-40.0]], lambda l, x: (log(expm1(l * x) / expm1(l)),
                                                           log(expm1(-l * (1 - x)) / expm1(-l))),
                            [1e-300, 1e-9, 0.3, 0.9, 0.99999999]),
}


def main():
    lines = []
    for name, (cases, function, values) in DISTRIBUTIONS.items():
        for parameters in cases:
            at = values
            if at is None:
                low, high = parameters[2:]
                at = [low + (high - low) * part for part in (1e-9, 0.01, 0.3, 0.6, 0.999999)]
            for x in at:
                lower, upper = function(*map(mpf, parameters), mpf(x))
                # The larger one has lost its distance from 1.
                logs = (lower, log1p(-exp(lower))) if lower < upper else (log1p(-exp(upper)), upper)
                row = [name, " ".join(map(repr, parameters)), repr(float(x)), *(nstr(v, 20) for v in logs)]
                lines.append(",".join(row))
    Path(__file__).with_name("tails.csv").write_text("\n".join(lines) + "\n")


main()
