"""Elements per second of distributions in JAX and NumPyro: the tasks of `src/bin/distributions.rs`, jitted, one line of JSON each.

    XLA_FLAGS=--xla_cpu_multi_thread_eigen=false taskset -c 0 python distributions_jax.py [SECONDS]
"""

import json
import sys
import time

import jax
import jax.numpy as jnp
import numpyro.distributions as dist

ELEMENTS = 100_000
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 0.3

DISTRIBUTIONS = {
    "Bernoulli": ([0.3], lambda p: dist.Bernoulli(logits=p[0])),
    "Binomial": ([0.3], lambda p: dist.Binomial(10, logits=p[0])),
    "Geometric": ([0.3], lambda p: dist.Geometric(probs=p[0])),
    "BetaBinomial": ([2.0, 3.0], lambda p: dist.BetaBinomial(p[0], p[1], 10)),
    "NegativeBinomial": ([0.3], lambda p: dist.NegativeBinomialLogits(3.0, -p[0])),
    "Poisson": ([4.0], lambda p: dist.Poisson(p[0])),
    "ZeroInflated": ([0.3, 4.0], lambda p: dist.ZeroInflatedPoisson(p[0], p[1])),
    "Hurdle": ([0.3, 4.0], lambda p: dist.HurdlePoisson(p[0], p[1])),
    "Normal": ([0.3, 1.7], lambda p: dist.Normal(p[0], p[1])),
    "Laplace": ([0.3, 1.7], lambda p: dist.Laplace(p[0], p[1])),
    "AsymmetricLaplace": ([0.3, 0.8, 1.4], lambda p: dist.AsymmetricLaplace(p[0], p[1], p[2])),
    "Logistic": ([0.3, 1.7], lambda p: dist.Logistic(p[0], p[1])),
    "Gumbel": ([0.3, 1.7], lambda p: dist.Gumbel(p[0], p[1])),
    "Cauchy": ([0.3, 1.7], lambda p: dist.Cauchy(p[0], p[1])),
    "StudentT": ([7.0, 0.3, 1.7], lambda p: dist.StudentT(p[0], p[1], p[2])),
    "TruncatedNormal": ([0.3, 1.4, -1.0, 2.5], lambda p: dist.TruncatedNormal(p[0], p[1], low=p[2], high=p[3])),
    "Truncated": ([0.3, 1.4, -1.0, 2.5], lambda p: dist.TruncatedDistribution(dist.Normal(p[0], p[1]), low=p[2], high=p[3])),
    "VonMises": ([0.3, 1.3], lambda p: dist.VonMises(p[0], p[1])),
    "Uniform": ([-0.7, 2.1], lambda p: dist.Uniform(p[0], p[1])),
    "Exponential": ([0.8], lambda p: dist.Exponential(p[0])),
    "Gamma(0.5)": ([0.5, 1.0], lambda p: dist.Gamma(p[0], p[1])),
    "Gamma(2)": ([2.0, 1.0], lambda p: dist.Gamma(p[0], p[1])),
    "Gamma(50)": ([50.0, 1.0], lambda p: dist.Gamma(p[0], p[1])),
    "InverseGamma": ([2.6, 1.4], lambda p: dist.InverseGamma(p[0], p[1])),
    "Beta(0.5)": ([0.5, 0.5], lambda p: dist.Beta(p[0], p[1])),
    "Beta(2)": ([2.0, 3.0], lambda p: dist.Beta(p[0], p[1])),
    "Beta(50)": ([50.0, 30.0], lambda p: dist.Beta(p[0], p[1])),
    "Kumaraswamy": ([2.3, 1.4], lambda p: dist.Kumaraswamy(p[0], p[1])),
    "LogNormal": ([0.2, 0.4], lambda p: dist.LogNormal(p[0], p[1])),
    "HalfNormal": ([1.3], lambda p: dist.HalfNormal(p[0])),
    "Weibull": ([1.6, 0.8], lambda p: dist.Weibull(scale=p[1], concentration=p[0])),
    "Pareto": ([0.8, 2.6], lambda p: dist.Pareto(p[0], p[1])),
    "Levy": ([-0.7, 1.3], lambda p: dist.Levy(p[0], p[1])),
}


def rate(task):
    jax.block_until_ready(task(0))
    times, started, step = [], time.perf_counter(), 1
    while time.perf_counter() - started < SECONDS or len(times) < 3:
        call = time.perf_counter()
        jax.block_until_ready(task(step))
        times.append(time.perf_counter() - call)
        step += 1
    times.sort()
    return ELEMENTS / times[len(times) // 2]


def main():
    for name, (values, build) in DISTRIBUTIONS.items():
        p = jnp.array(values, jnp.float32)
        key = jax.random.PRNGKey(1)
        draw = jax.jit(lambda p, step: build(p).sample(jax.random.fold_in(key, step), (ELEMENTS,)))
        tasks = {"sample": lambda step: draw(p, step)}
        x = draw(p, 0)
        log_prob = jax.jit(jax.grad(lambda p, x: build(p).log_prob(x).sum()))
        tasks["log_prob"] = lambda step, x=x: log_prob(p, x)
        if build(p).has_rsample:
            path = jax.jit(jax.grad(lambda p, step: build(p).sample(jax.random.fold_in(key, step), (ELEMENTS,)).sum()))
            tasks["path"] = lambda step: path(p, step)
        for task, run in tasks.items():
            try:
                per_second = rate(run)
            except Exception as error:  # a distribution that lacks the task
                print(f"{name} {task}: {error}", file=sys.stderr)
                continue
            print(json.dumps({"distribution": name, "task": task, "impl": "jax", "per_second": per_second}), flush=True)


if __name__ == "__main__":
    main()
