//! Draws from discrete distributions, with the rates of their jumps.
//!
//! A sample is drawn by inversion: it is the quantile of a uniform value. With the distribution function $F$ and the
//! probabilities $p$, a change $\delta$ of the parameters moves the boundary between $k$ and $k + 1$ by
//! $\delta\, \partial F(k)$. A sample $x$ therefore jumps to $x + 1$ with the rate $\max(0, -\delta\, \partial F(x)) /
//! p(x)$, and to $x - 1$ with the rate $\max(0, \delta\, \partial F(x - 1)) / p(x)$.

use crate::error::TripleError;
use crate::run::Run;
use crate::triple::Triple;
use stochgrad_tensor::special::{binomial_icdf, negative_binomial_icdf, poisson_icdf};

/// A distribution of whole numbers with N parameters.
trait Counts<const N: usize> {
    const NAME: &'static str;
    const DOMAIN: &'static str;

    /// Whether the parameters are in the domain, and remain there if they change as their derivatives say.
    fn allows(parameters: [f64; N], derivatives: [f64; N]) -> bool;

    /// The parameter whose jump rates are not known, if it changes.
    fn unknown(_derivatives: [f64; N]) -> Option<(&'static str, f64)> {
        None
    }

    fn quantile(uniform: f64, parameters: [f64; N]) -> f64;

    /// The rate of jumps up, and down if it is negative.
    fn rate(sample: f64, parameters: [f64; N], derivatives: [f64; N]) -> f64;
}

struct Bernoulli;
struct Binomial;
struct Geometric;
struct NegativeBinomial;
struct Poisson;

const PROBABILITY: &str = "a probability in [0, 1] that does not leave this interval";

fn is_probability(p: f64, derivative: f64) -> bool {
    (p > 0.0 && p < 1.0) || (p == 0.0 && derivative >= 0.0) || (p == 1.0 && derivative <= 0.0)
}

impl Counts<1> for Bernoulli {
    const NAME: &'static str = "Bernoulli";
    const DOMAIN: &'static str = PROBABILITY;

    fn allows([p]: [f64; 1], [derivative]: [f64; 1]) -> bool {
        is_probability(p, derivative)
    }

    fn quantile(uniform: f64, [p]: [f64; 1]) -> f64 {
        f64::from(u8::from(uniform > 1.0 - p))
    }

    fn rate(sample: f64, [p]: [f64; 1], [derivative]: [f64; 1]) -> f64 {
        Binomial::rate(sample, [1.0, p], [0.0, derivative])
    }
}

impl Counts<2> for Binomial {
    const NAME: &'static str = "Binomial";
    const DOMAIN: &'static str =
        "a whole number of trials, and a probability in [0, 1] that does not leave this interval";

    fn allows([n, p]: [f64; 2], [_, derivative]: [f64; 2]) -> bool {
        n >= 0.0 && n == n.floor() && n.is_finite() && is_probability(p, derivative)
    }

    fn unknown([n, _]: [f64; 2]) -> Option<(&'static str, f64)> {
        (n != 0.0).then_some(("trials", n))
    }

    fn quantile(uniform: f64, [n, p]: [f64; 2]) -> f64 {
        binomial_icdf(uniform, n, p)
    }

    fn rate(sample: f64, [n, p]: [f64; 2], [_, derivative]: [f64; 2]) -> f64 {
        derivative * if derivative > 0.0 { (n - sample) / (1.0 - p) } else { sample / p }
    }
}

impl Counts<1> for Poisson {
    const NAME: &'static str = "Poisson";
    const DOMAIN: &'static str = "a finite rate that is not negative and does not become so";

    fn allows([rate]: [f64; 1], [derivative]: [f64; 1]) -> bool {
        rate.is_finite() && (rate > 0.0 || (rate == 0.0 && derivative >= 0.0))
    }

    fn quantile(uniform: f64, [rate]: [f64; 1]) -> f64 {
        poisson_icdf(uniform, rate)
    }

    fn rate(sample: f64, [rate]: [f64; 1], [derivative]: [f64; 1]) -> f64 {
        derivative * if derivative > 0.0 { 1.0 } else { sample / rate }
    }
}

const SUCCESS: &str = "a probability in (0, 1] that does not leave this interval";

impl Counts<1> for Geometric {
    const NAME: &'static str = "Geometric";
    const DOMAIN: &'static str = SUCCESS;

    fn allows([p]: [f64; 1], [derivative]: [f64; 1]) -> bool {
        p != 0.0 && is_probability(p, derivative)
    }

    fn quantile(uniform: f64, [p]: [f64; 1]) -> f64 {
        ((-uniform).ln_1p() / (-p).ln_1p()).floor()
    }

    fn rate(sample: f64, [p]: [f64; 1], [derivative]: [f64; 1]) -> f64 {
        NegativeBinomial::rate(sample, [1.0, p], [0.0, derivative])
    }
}

impl Counts<2> for NegativeBinomial {
    const NAME: &'static str = "NegativeBinomial";
    const DOMAIN: &'static str = "a positive number of successes, and a probability in (0, 1] that does not leave this \
                                  interval";

    fn allows([successes, p]: [f64; 2], [_, derivative]: [f64; 2]) -> bool {
        successes > 0.0 && successes.is_finite() && p != 0.0 && is_probability(p, derivative)
    }

    fn unknown([successes, _]: [f64; 2]) -> Option<(&'static str, f64)> {
        (successes != 0.0).then_some(("successes", successes))
    }

    fn quantile(uniform: f64, [successes, p]: [f64; 2]) -> f64 {
        negative_binomial_icdf(uniform, successes, p)
    }

    /// More likely successes mean fewer failures: a positive derivative moves samples down.
    fn rate(sample: f64, [successes, p]: [f64; 2], [_, derivative]: [f64; 2]) -> f64 {
        -derivative / p * if derivative > 0.0 { sample / (1.0 - p) } else { sample + successes }
    }
}

impl Run {
    /// A bit, which is 1 with the given probability.
    pub fn bernoulli(&mut self, probability: impl Into<Triple>) -> Triple {
        self.draw::<1, Bernoulli>([probability.into()])
    }

    /// The number of successes of independent trials. The number of trials may be a sample.
    ///
    /// ```
    /// use stochgrad_triples::average;
    ///
    /// // E[X] = 10 E[p²], so that the derivative at p = 0.5 is 10.
    /// let mean = average(0.5, 20_000, 7, |run, p| {
    ///     let n = run.binomial(10.0, p);
    ///     run.binomial(n, p)
    /// })?;
    /// assert!((mean.derivative - 10.0).abs() < 4.0 * mean.derivative_error);
    /// # Ok::<(), stochgrad_triples::TripleError>(())
    /// ```
    pub fn binomial(&mut self, trials: impl Into<Triple>, probability: impl Into<Triple>) -> Triple {
        self.draw::<2, Binomial>([trials.into(), probability.into()])
    }

    /// The number of failures before the first success.
    pub fn geometric(&mut self, probability: impl Into<Triple>) -> Triple {
        self.draw::<1, Geometric>([probability.into()])
    }

    /// The number of failures before the given number of successes, which need not be whole.
    pub fn negative_binomial(&mut self, successes: impl Into<Triple>, probability: impl Into<Triple>) -> Triple {
        self.draw::<2, NegativeBinomial>([successes.into(), probability.into()])
    }

    /// A Poisson distributed number with the given mean.
    pub fn poisson(&mut self, rate: impl Into<Triple>) -> Triple {
        self.draw::<1, Poisson>([rate.into()])
    }

    /// The number of a category, drawn with probabilities proportional to weights. Jumps are to neighbours, so that
    /// categories should be listed in an order in which neighbours are alike.
    pub fn categorical(&mut self, weights: &[Triple]) -> Triple {
        let total: Triple = weights.iter().sum();
        let probabilities: Vec<Triple> = weights.iter().map(|&weight| weight / total).collect();
        let uniform = self.uniform_value();
        let now: Vec<f64> = probabilities.iter().map(|&p| self.current(p)).collect();
        let Some(sample) = category(uniform, &now) else { return self.no_categories(&now) };
        if self.is_after_jump {
            return Triple::constant(sample as f64);
        }
        if let Some(stuck) = probabilities.iter().find(|p| p.value == 0.0 && p.derivative != 0.0) {
            let derivative = stuck.derivative;
            return self.fail(TripleError::NoRate {
                distribution: "Categorical",
                parameter: "probability 0",
                derivative,
            });
        }
        let mut drawn = Triple::constant(sample as f64);
        if probabilities.iter().any(|&p| self.has_alternative(p)) {
            let jumped: Vec<f64> = probabilities.iter().map(|p| p.if_jumped(self.live)).collect();
            let Some(other) = category(uniform, &jumped) else { return self.no_categories(&jumped) };
            drawn = Triple::with_alternative(sample as f64, other as f64, self.live);
        }
        let below: f64 = probabilities[..sample].iter().map(|p| p.derivative).sum();
        let flows = [below, -below - probabilities[sample].derivative];
        let positive = |index: &usize| now[*index] > 0.0;
        let neighbours = [(0..sample).rev().find(positive), (sample + 1..now.len()).find(positive)];
        // A boundary at the end of the categories does not move, except by rounding.
        let [down, up] = [0, 1].map(|side| match neighbours[side] {
            Some(_) => flows[side].max(0.0) / now[sample],
            None => 0.0,
        });
        if let Some(event) = self.offer(down + up) {
            let goes_down = self.choice() * (down + up) < down;
            let to = neighbours[usize::from(!goes_down)].unwrap_or(sample);
            drawn = Triple::with_alternative(sample as f64, to as f64, event);
        }
        drawn
    }

    fn draw<const N: usize, D: Counts<N>>(&mut self, parameters: [Triple; N]) -> Triple {
        let uniform = self.uniform_value();
        let derivatives = parameters.map(|parameter| if self.is_after_jump { 0.0 } else { parameter.derivative });
        let now = parameters.map(|parameter| self.current(parameter));
        if !D::allows(now, derivatives) {
            return self.outside::<N, D>(now);
        }
        let sample = D::quantile(uniform, now);
        if self.is_after_jump {
            return Triple::constant(sample);
        }
        if let Some((parameter, derivative)) = D::unknown(derivatives) {
            return self.fail(TripleError::NoRate { distribution: D::NAME, parameter, derivative });
        }
        let mut drawn = Triple::constant(sample);
        if parameters.iter().any(|&parameter| self.has_alternative(parameter)) {
            let jumped = parameters.map(|parameter| parameter.if_jumped(self.live));
            if !D::allows(jumped, [0.0; N]) {
                return self.outside::<N, D>(jumped);
            }
            drawn = Triple::with_alternative(sample, D::quantile(uniform, jumped), self.live);
        }
        if derivatives != [0.0; N] {
            let rate = D::rate(sample, now, derivatives);
            if let Some(event) = self.offer(rate.abs()) {
                drawn = Triple::with_alternative(sample, sample + rate.signum(), event);
            }
        }
        drawn
    }

    fn outside<const N: usize, D: Counts<N>>(&mut self, got: [f64; N]) -> Triple {
        self.fail(TripleError::Domain { distribution: D::NAME, expected: D::DOMAIN, got: format!("{got:?}") })
    }

    fn no_categories(&mut self, got: &[f64]) -> Triple {
        self.fail(TripleError::Domain {
            distribution: "Categorical",
            expected: "weights that are finite and not negative, with a positive sum",
            got: format!("probabilities {got:?}"),
        });
        Triple::constant(0.0)
    }
}

/// The quantile of probabilities, which sum to 1 up to rounding.
fn category(uniform: f64, probabilities: &[f64]) -> Option<usize> {
    if probabilities.iter().any(|p| p.is_nan() || *p < 0.0) {
        return None;
    }
    let mut sum = 0.0;
    let found = probabilities.iter().position(|p| {
        sum += p;
        uniform < sum
    });
    found.or_else(|| probabilities.iter().rposition(|p| *p > 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::average;

    /// E[f] of a distribution whose probabilities are listed, with its derivative by central differences.
    fn moments(probabilities: impl Fn(f64) -> Vec<f64>, f: impl Fn(f64) -> f64, at: f64) -> [f64; 2] {
        let mean = |at: f64| probabilities(at).iter().enumerate().map(|(x, p)| p * f(x as f64)).sum::<f64>();
        [mean(at), (mean(at + 1e-5) - mean(at - 1e-5)) / 2e-5]
    }

    fn agrees(name: &str, at: f64, expected: [f64; 2], program: impl FnMut(&mut Run, Triple) -> Triple) {
        let mean = average(at, 40_000, 5, program).expect("a valid program");
        let close = |got: f64, expected: f64, error: f64| (got - expected).abs() <= 4.0 * error + 1e-12;
        assert!(close(mean.value, expected[0], mean.value_error), "{name}: {mean:?}, {expected:?}");
        assert!(close(mean.derivative, expected[1], mean.derivative_error), "{name}: {mean:?}, {expected:?}");
    }

    fn cost(x: Triple) -> Triple {
        (x - 1.3).square()
    }

    #[test]
    fn each_distribution_has_its_exact_derivative_in_both_directions() {
        let f = |x: f64| (x - 1.3) * (x - 1.3);
        let negative_binomial = |r: f64| {
            move |p: f64| {
                let mut term = p.powf(r);
                (0..400)
                    .map(|x| {
                        let now = term;
                        term *= (r + f64::from(x)) / f64::from(x + 1) * (1.0 - p);
                        now
                    })
                    .collect::<Vec<f64>>()
            }
        };
        let binomial = |p: f64| {
            let choose = [1.0, 3.0, 3.0, 1.0];
            (0..4).map(|x| choose[x as usize] * p.powi(x) * (1.0 - p).powi(3 - x)).collect::<Vec<f64>>()
        };
        let poisson = |rate: f64| {
            let next = |(x, term): &(f64, f64)| Some((x + 1.0, term * rate / (x + 1.0)));
            let terms = std::iter::successors(Some((0.0, (-rate).exp())), next);
            terms.take(100).map(|(_, term)| term).collect::<Vec<f64>>()
        };
        let categories = |t: f64| vec![0.2 + t, 0.5 - 1.5 * t, 0.0, 0.3 + 0.5 * t];
        let weights = |t: Triple| [2.0 + 10.0 * t, 5.0 - 15.0 * t, Triple::constant(0.0), 3.0 + 5.0 * t];
        // 1 − p has the derivative −1.
        let flipped = |[mean, slope]: [f64; 2]| [mean, -slope];
        agrees("bernoulli", 0.3, moments(|p| vec![1.0 - p, p], f, 0.3), |run, p| cost(run.bernoulli(p)));
        agrees("bernoulli", 0.7, flipped(moments(|p| vec![1.0 - p, p], f, 0.3)), |run, q| cost(run.bernoulli(1.0 - q)));
        agrees("binomial", 0.3, moments(binomial, f, 0.3), |run, p| cost(run.binomial(3.0, p)));
        agrees("binomial", 0.7, flipped(moments(binomial, f, 0.3)), |run, q| cost(run.binomial(3.0, 1.0 - q)));
        agrees("poisson", 2.5, moments(poisson, f, 2.5), |run, rate| cost(run.poisson(rate)));
        agrees("poisson", 1.5, flipped(moments(poisson, f, 2.5)), |run, x| cost(run.poisson(4.0 - x)));
        agrees("geometric", 0.3, moments(negative_binomial(1.0), f, 0.3), |run, p| cost(run.geometric(p)));
        agrees("geometric", 0.7, flipped(moments(negative_binomial(1.0), f, 0.3)), |run, q| {
            cost(run.geometric(1.0 - q))
        });
        let two = moments(negative_binomial(2.5), f, 0.4);
        agrees("negative binomial", 0.4, two, |run, p| cost(run.negative_binomial(2.5, p)));
        agrees("negative binomial", 0.6, flipped(two), |run, q| cost(run.negative_binomial(2.5, 1.0 - q)));
        let mean = moments(categories, f, 0.1);
        agrees("categorical", 0.1, mean, |run, t| cost(run.categorical(&weights(t))));
        agrees("categorical", 0.9, flipped(mean), |run, s| cost(run.categorical(&weights(1.0 - s))));
    }

    #[test]
    fn ends_of_the_domain_have_one_sided_derivatives() {
        agrees("never", 0.0, [1.69, 0.09 - 1.69], |run, p| cost(run.bernoulli(p)));
        agrees("always", 0.0, [0.09, 1.69 - 0.09], |run, q| cost(run.bernoulli(1.0 - q)));
        agrees("no events", 0.0, [1.69, 0.09 - 1.69], |run, rate| cost(run.poisson(rate)));
    }

    #[test]
    fn recursion_ends_after_an_error() {
        fn tosses(run: &mut Run, p: Triple) -> Triple {
            let coin = run.bernoulli(2.0 + p);
            run.branch(coin, |run, coin| if coin == 1.0 { Triple::constant(0.0) } else { 1.0 + tosses(run, p) })
        }
        assert!(matches!(average(0.5, 1, 1, tosses), Err(TripleError::Domain { distribution: "Bernoulli", .. })));
    }

    #[test]
    fn parameters_outside_of_the_domain_are_refused() {
        let message = |program: fn(&mut Run, Triple) -> Triple, at: f64| {
            average(at, 10, 1, program).expect_err("a refusal").to_string()
        };
        assert!(
            message(|run, p| run.bernoulli(p), 1.0).contains("does not leave this interval in Bernoulli, got [1.0]")
        );
        assert!(message(|run, p| run.geometric(p), f64::NAN).contains("got [NaN]"));
        assert!(message(|run, p| run.binomial(2.5, p), 0.5).contains("a whole number of trials"));
        assert!(message(|run, p| run.binomial(4.0 * p, 0.5), 0.5).contains("\"trials\" of Binomial"));
        assert!(message(|run, p| run.categorical(&[p, 0.0 * p, -p]), 0.5).contains("Categorical"));
        assert!(message(|run, p| run.categorical(&[p, p - 0.5]), 0.5).contains("probability 0"));
    }
}
