"""Known divergences within a family for the sweep, from closed forms with sixty digits and more.

    venv/bin/python crates/stochgrad-distributions/tests/golden/generate_sweep_divergences.py

Writes `sweep_divergences/values.csv`: the distribution, the parameters of the first and then of the second one, the
divergence with its derivatives, and for each parameter the size of the second derivatives: the sum of the absolute
values of those with respect to this parameter and each other one, times the other one. The parameters are equal, nearly
equal, and different, at ordinary and extreme shapes.
"""

import csv
import pathlib

import mpmath as mp
from mpmath import mpf

from generate_sweep import (EG, HALF, continuous_bernoulli_mean, continuous_bernoulli_normaliser, lnbeta, single,
                            with_slopes, zeta_mean_of_log, zeta_others)

HERE = pathlib.Path(__file__).parent / "sweep_divergences"


def bernoulli(p, q):
    return p * mp.log(p / q) + (1 - p) * mp.log((1 - p) / (1 - q))


def gamma(a, r, c, s):
    return (a - c) * mp.digamma(a) - mp.loggamma(a) + mp.loggamma(c) + c * mp.log(r / s) + a * (s - r) / r


def beta(a, b, c, d):
    return (lnbeta(c, d) - lnbeta(a, b) + (a - c) * mp.digamma(a) + (b - d) * mp.digamma(b)
            + (c - a + d - b) * mp.digamma(a + b))


def normal(m, s, n, t):
    return mp.log(t / s) + (s * s + (m - n) ** 2) / (2 * t * t) - HALF


def laplace(m, b, n, c):
    d = abs(m - n)
    return mp.log(c / b) + (b * mp.exp(-d / b) + d) / c - 1


def asymmetric_laplace(m, s, k, n, t, l):
    below, above, other_below, other_above = s * k, s / k, t * l, t / l
    shift = n - m
    if shift >= 0:
        beyond = above * above / (below + above) * mp.exp(-shift / above)
        before = beyond + shift - above + below
    else:
        before = below * below / (below + above) * mp.exp(shift / below)
        beyond = before - shift + above - below
    return mp.log((other_below + other_above) / (below + above)) - 1 + beyond / other_above + before / other_below


def moyal(m, s, n, t):
    r = s / t
    moment = mp.exp((n - m) / t) * 2 ** r * mp.gamma(r + HALF) / mp.sqrt(mp.pi)
    return -mp.log(r) + ((m - n) / t + (r - 1) * (EG + mp.log(2)) + moment - 1) / 2


def gumbel(m, b, n, c):
    return mp.log(c / b) + (m - n) / c + EG * (b / c - 1) + mp.exp((n - m) / c) * mp.gamma(1 + b / c) - 1


def weibull(k, l, j, m):
    return (mp.log(k) - k * mp.log(l) - mp.log(j) + j * mp.log(m) + (k - j) * (mp.log(l) - EG / k)
            + (l / m) ** j * mp.gamma(j / k + 1) - 1)


def inverse_gaussian(m, l, n, k):
    return mp.log(l / k) / 2 - HALF + k / (2 * n * n) * ((m - n) ** 2 / m + n * n / l)


def von_mises(m, k, n, j):
    ratio = mp.besseli(1, k) / mp.besseli(0, k)
    return mp.log(mp.besseli(0, j) / mp.besseli(0, k)) + ratio * (k - j * mp.cos(m - n))


def zeta(s, t):
    return mp.log1p(zeta_others(t)) - mp.log1p(zeta_others(s)) + (t - s) * zeta_mean_of_log(s)


def squares(power):
    return lambda s, t: power * mp.log(t / s) + power * HALF * (s * s / (t * t) - 1)


def near(*points):
    """Each point with itself, and with points that are nearer and nearer to it."""
    pairs = []
    for t in points:
        pairs.append((t, t))
        for step in (2.0 ** -20, 2.0 ** -10, 0.125, 1.5):
            pairs.append((t, tuple(v * (1 + step * (0.5 if i else 1)) for i, v in enumerate(t))))
    return pairs


SCALE = near((1.25,), (1e-10,), (1e10,))
LOCATION = near((0.3125, 1.25), (-1.5, 0.625), (0.0, 1e10))
SHAPE = near((2.5, 1.25), (0.625, 0.625), (1e-3, 1.25), (1e4, 100.0), (1e6, 1.0))
DIVERGENCES = {
    "Bernoulli(probability)": (bernoulli, near((0.25,), (1e-10,)) + [((0.875,), (0.3125,)), ((0.875,), (0.875,))]),
    "Geometric(probability)": (lambda p, q: bernoulli(p, q) / p, near((0.25,), (1e-10,)) + [((0.875,), (0.3125,))]),
    "Poisson(rate)": (lambda a, b: a * mp.log(a / b) - a + b, near((2.5,), (1e-10,), (1e6,))),
    "Zeta(exponent)": (zeta, near((1.25,), (2.5,), (30.0,)) + [((1.25,), (30.0,)), ((30.0,), (1.25,))]),
    "Normal(location, scale)": (normal, LOCATION),
    "LogNormal(location, scale)": (normal, LOCATION[:10]),
    "Laplace(location, scale)": (laplace, LOCATION),
    "AsymmetricLaplace(location, scale, asymmetry)": (asymmetric_laplace, near((0.3125, 1.25, 2.5), (-1.5, 0.625, 0.625), (0.5, 1.25, 1e-3), (0.5, 1.25, 1e3))),
    "Gumbel(location, scale)": (gumbel, LOCATION),
    "Moyal(location, scale)": (moyal, LOCATION),
    "Cauchy(location, scale)": (lambda m, s, n, t: mp.log(((s + t) ** 2 + (m - n) ** 2) / (4 * s * t)), LOCATION),
    "Exponential(rate)": (lambda a, b: mp.log(a / b) + b / a - 1, SCALE),
    "HalfNormal(scale)": (squares(1), SCALE),
    "Rayleigh(scale)": (squares(2), SCALE),
    "Maxwell(scale)": (squares(3), SCALE),
    "Gamma(concentration, rate)": (gamma, SHAPE),
    "InverseGamma(concentration, scale)": (gamma, SHAPE),
    "Chi2(degrees_of_freedom)": (lambda n, m: gamma(n / 2, HALF, m / 2, HALF), near((2.5,), (1e-3,), (1e6,))),
    "Chi(degrees_of_freedom)": (lambda n, m: gamma(n / 2, HALF, m / 2, HALF), near((2.5,), (1e-3,), (1e6,))),
    "Beta(alpha, beta)": (beta, near((2.5, 0.625), (1e-3, 1e-3), (1e4, 1e4), (30.0, 3.0))),
    "Weibull(concentration, scale)": (weibull, near((2.5, 1.25), (0.625, 0.625), (100.0, 1.25))),
    "InverseGaussian(location, concentration)": (inverse_gaussian, near((1.25, 0.625), (1e-5, 1.0), (1.0, 1e4))),
    "VonMises(location, concentration)": (von_mises, near((0.3125, 2.5), (0.5, 1e-3), (0.0, 30.0), (0.5, 500.0))),
    "ContinuousBernoulli(logits)": (
        lambda l, k: continuous_bernoulli_mean(l) * (l - k) - continuous_bernoulli_normaliser(l)
        + continuous_bernoulli_normaliser(k), near((0.3125,), (-20.0,), (1e-3,))),
}


def digits_of_size(value):
    return mp.nstr(value, 3)


def sizes(f, t):
    """What a relative change of each input changes in the derivative with respect to each input."""
    with mp.workdps(150):
        step = lambda i: max(abs(t[i]), mpf(10) ** -12) * mpf(10) ** -25

        def moved(*ends):
            other = list(t)
            for i, sign in ends:
                other[i] += sign * step(i)
            return f(*other)

        for i in range(len(t)):
            mixed = [sum(a * b * moved((i, a), (j, b)) for a in (1, -1) for b in (1, -1)) / (4 * step(i) * step(j))
                     for j in range(len(t))]
            yield mp.fsum(abs(t[j] * mixed[j]) for j in range(len(t)))


def main():
    HERE.mkdir(exist_ok=True)
    with open(HERE / "values.csv", "w", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["distribution", "parameters", "divergence", "sizes"])
        for name, (divergence, pairs) in DIVERGENCES.items():
            for own, other in pairs:
                t = [mpf(single(v)) for v in (*own, *other)]
                field = with_slopes(divergence, t, set())
                if own == other:
                    # Exactly 0, with derivatives 0.
                    field = ";".join(["0"] * (1 + len(t)))
                table.writerow([name, ";".join(repr(float(v)) for v in t), field, ";".join(map(digits_of_size, sizes(divergence, t)))])


if __name__ == "__main__":
    main()
