//! Fini-D: a straight-through gradient for counts that is exact for polynomials up to degree D.
//!
//! $$g = w(z)\, f'(z), \qquad w(z) = \sum_{n < D} \frac{\beta_n}{h_n}\, P_n(z), \qquad \beta_n = \partial_\theta\, \mathbb{E}[Q_n(z)], \quad Q_n' = P_n,$$
//!
//! with the orthogonal polynomials $P_n$ of the distribution and their squared norms $h_n$. Of all weights that make
//! $\mathbb{E}[w f'] = \partial_\theta \mathbb{E}[f]$ right for all polynomials $f$ of degree $D$ or less, it is the
//! one with the smallest second moment. The weight of degree 1 is the derivative of the mean. For a Poisson number by
//! its log-rate, $w_2 = (z + \lambda)/2$ and $w_3 = w_2 - P_2(z)/(12 \lambda)$. He and Wu (2026).
//!
//! The distributions are the natural exponential families whose variance is $V = \mu + v \mu^2$: with $y = z - \mu$ and
//! $s = 1 + 2 v \mu$ (Morris 1982),
//!
//! $$P_{n+1} = (y - n s)\, P_n - n\,(1 + (n - 1) v)\, V\, P_{n-1}, \qquad h_n = n!\, V^n \prod_{k < n} (1 + k v),$$
//!
//! and central moments follow $c_{k+1} = V\, (\partial_\mu c_k + k\, c_{k-1})$. Their derivatives are taken by the
//! tape, so that every parameter has its weight: log-rates, probabilities, log-odds, and the number of successes of a
//! negative binomial distribution.
//!
//! **Assumptions.** The cost is differentiable at the counts, as a function of real numbers. Paths from the value are
//! looked at as for [`Pathwise`](crate::Pathwise).
//!
//! | | |
//! |---|---|
//! | bias | of the gradient; none if the cost is a polynomial of degree $D$ or less in the sample, which is certified; costs are right |
//! | order | 1 |
//! | cost evaluations | one a sample, and one backward pass |
//! | the cost must offer | derivatives at the counts |

use crate::common::sampling::Sampling;
use crate::sampling_setters;
use std::collections::BTreeMap;
use stochgrad_distributions::{Distribution, DistributionError, Family, QuadraticVariance};
use stochgrad_graph::{
    Bias, CostContext, GradientMethod, GraphResult, Guarantee, Method, Path, Profile, SampleContext, SamplePlate,
    SampleSet, Terms, path_order,
};
use stochgrad_tape::{Degree, Var};
use stochgrad_tensor::Real;

/// Straight-through gradients for counts, exact for polynomials up to a degree: for the distributions whose variance is
/// a quadratic function of the mean.
///
/// ```
/// use stochgrad_distributions::Poisson;
/// use stochgrad_estimators::Fini;
/// use stochgrad_graph::{Bias, Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let log_rate = graph.param("log_rate", 0.7)?;
/// let spikes = graph.sample("spikes", &Poisson::from_log_rate(log_rate), &Fini::new(2))?;
/// graph.cost("loss", (spikes - 3.0).square())?;
/// assert_eq!(graph.backward()?.guarantee("log_rate")?.bias, Bias::Unbiased);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fini {
    degree: usize,
    sampling: Sampling,
    assume_continuous: bool,
}

impl Fini {
    /// One sample; exact for polynomials of this degree, at least 1. Each further degree lowers the bias for smooth
    /// costs, and may raise or lower the variance.
    pub fn new(degree: usize) -> Self {
        Fini { degree, sampling: Sampling::default(), assume_continuous: false }
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme }

    /// Accepts jumps on the paths from the value, as
    /// [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        Fini { assume_continuous: true, ..self }
    }
}

impl Method for Fini {
    fn name(&self) -> String {
        format!("Fini-{} ({})", self.degree, self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        Profile::biased(Bias::Gradient).exact_to(Degree::new(self.degree)).times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Fini
where
    for<'t> D::On<'t>: QuadraticVariance<'t, F>,
{
    fn guarantee(&self, _distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        Ok(self.profile().guarantee(path).at_most(path_order(path, self.assume_continuous)?))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let unsupported = |problem: String| {
            context.error(DistributionError::Unsupported { distribution: distribution.name(), problem })
        };
        let (Some(mean), Some(variance)) = (distribution.mean(), distribution.variance()) else {
            return Err(unsupported("has no closed form for its mean and variance; use ScoreFunction".into()));
        };
        if self.degree == 0 {
            return Err(unsupported("expected polynomials of degree 1 or more, got 0; try Fini::new(2)".into()));
        }
        distribution.check_states(self.degree).map_err(|source| context.error(source))?;
        let set = self.sampling.draw(context, distribution)?;
        let distribution = Moments { mean, variance, curvature: distribution.curvature() };
        Ok(SampleSet::equal(set.value.straight_through(distribution.change(set.value, self.degree)), set.plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        context.check_hidden_outcomes()?;
        Ok(Terms::default())
    }
}

/// What a distribution of counts is given by.
struct Moments<'t, F: Real> {
    mean: Var<'t, F>,
    variance: Var<'t, F>,
    curvature: Var<'t, F>,
}

impl<'t, F: Real> Moments<'t, F> {
    /// Something whose derivative with respect to the parameters is the weight at a count.
    fn change(&self, count: Var<'t, F>, degree: usize) -> Var<'t, F> {
        let moments = self.central_moments(degree);
        // E[(z − m)^(k+1)] / (k + 1), as a function of the parameters at a fixed m: its derivative at m = μ.
        let raised: Vec<Var<'t, F>> =
            (0..degree).map(|k| moments[k + 1] / (k + 1) as f64 + moments[k].stop_gradient() * self.mean).collect();
        let polynomials = self.orthogonal_polynomials(degree);
        let y = count - self.mean.stop_gradient();
        let terms = polynomials.into_iter().map(|(coefficients, norm)| {
            let at_y = coefficients.iter().rev().fold(y * 0.0, |sum, &coefficient| sum * y + coefficient);
            let beta = coefficients.iter().zip(&raised).map(|(&coefficient, &raised)| coefficient * raised);
            let beta = beta.fold(self.mean * 0.0, |sum, term| sum + term);
            // Where the distribution is a single value there is no such polynomial.
            let share = norm.step().select(at_y / norm, y * 0.0);
            share * beta
        });
        terms.fold(y * 0.0, |sum, term| sum + term)
    }

    /// $c_0$ to $c_n$, differentiable.
    fn central_moments(&self, n: usize) -> Vec<Var<'t, F>> {
        let slope = self.curvature * self.mean * 2.0 + 1.0;
        let of = |powers: &Powers| {
            let terms = powers.iter().map(|(&(variance, slopes, curvature), &factor)| {
                let powers = [(self.variance, variance), (slope, slopes), (self.curvature, curvature)];
                let one = self.mean * 0.0 + factor;
                powers.into_iter().fold(one, |term, (base, power)| (0..power).fold(term, |term, _| term * base))
            });
            terms.fold(self.mean * 0.0, |sum, term| sum + term)
        };
        moment_polynomials(n).iter().map(of).collect()
    }

    /// The coefficients of $P_0$ to $P_{n-1}$ as polynomials in $y$, and their squared norms; no gradient flows to
    /// them.
    fn orthogonal_polynomials(&self, n: usize) -> Vec<(Vec<Var<'t, F>>, Var<'t, F>)> {
        let [mean, variance, v] = [self.mean, self.variance, self.curvature].map(|var| var.stop_gradient());
        let (zero, one) = (mean * 0.0, mean * 0.0 + 1.0);
        let slope = v * mean * 2.0 + 1.0;
        let mut found: Vec<(Vec<Var<'t, F>>, Var<'t, F>)> = vec![(vec![one], one)];
        for m in 0..n.saturating_sub(1) {
            let order = m as f64;
            let (last, norm) = found[m].clone();
            let before = if m == 0 { Vec::new() } else { found[m - 1].0.clone() };
            let back = variance * (v * (order - 1.0) + 1.0) * order;
            let at = |coefficients: &[Var<'t, F>], k: usize| coefficients.get(k).copied().unwrap_or(zero);
            let next = (0..m + 2).map(|k| {
                let shifted = if k == 0 { zero } else { at(&last, k - 1) };
                shifted - slope * order * at(&last, k) - back * at(&before, k)
            });
            found.push((next.collect(), norm * variance * (v * order + 1.0) * (order + 1.0)));
        }
        found
    }
}

/// Polynomials in the variance $V$, its slope $s = V'(\mu)$ and the curvature $v$: factors by exponents.
type Powers = BTreeMap<(u32, u32, u32), f64>;

/// The central moments $c_0$ to $c_n$ by $c_{k+1} = V (\partial_\mu c_k + k c_{k-1})$, with $\partial_\mu V = s$ and
/// $\partial_\mu s = 2 v$.
fn moment_polynomials(n: usize) -> Vec<Powers> {
    let mut moments = vec![Powers::from([((0, 0, 0), 1.0)]), Powers::new()];
    for k in 1..n {
        let mut next = Powers::new();
        let mut add = |powers: (u32, u32, u32), factor: f64| *next.entry(powers).or_default() += factor;
        for (&(variance, slope, curvature), &factor) in &moments[k] {
            if variance > 0 {
                add((variance, slope + 1, curvature), factor * f64::from(variance));
            }
            if slope > 0 {
                add((variance + 1, slope - 1, curvature + 1), factor * 2.0 * f64::from(slope));
            }
        }
        for (&(variance, slope, curvature), &factor) in &moments[k - 1] {
            add((variance + 1, slope, curvature), factor * k as f64);
        }
        moments.push(next);
    }
    moments
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{Bernoulli, Binomial, Geometric, Id, NegativeBinomial, Poisson};
    use stochgrad_graph::{DynMethod, Graph, Seed};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    type Model<'a> = &'a dyn Fn(&Graph<'_, f64>, &Fini, f64) -> GraphResult<()>;

    /// Each distribution with each of its parameters, and a cost that is a polynomial.
    const LAWS: [(&str, Model<'static>); 9] = [
        ("Poisson by log-rate", &|graph, method, power| {
            let t = graph.param("t", [0.4, -1.0])?;
            cost(graph, graph.sample("z", &Poisson::from_log_rate(t), method)?, power)
        }),
        ("Poisson by rate", &|graph, method, power| {
            let t = graph.param("t", 1.3)?;
            cost(graph, graph.sample("z", &Poisson::from_rate(t), method)?, power)
        }),
        ("binomial by log-odds", &|graph, method, power| {
            let t = graph.param("t", 0.6)?;
            cost(graph, graph.sample("z", &Binomial::from_logits(5.0, t), method)?, power)
        }),
        ("binomial by probability", &|graph, method, power| {
            let t = graph.param("t", 0.9)?;
            let trials = graph.constant([4.0, 7.0]);
            cost(graph, graph.sample("z", &Binomial::from_probabilities(trials, t), method)?, power)
        }),
        ("negative binomial by log-odds", &|graph, method, power| {
            let t = graph.param("t", 1.1)?;
            cost(graph, graph.sample("z", &NegativeBinomial::from_logits(2.5, t), method)?, power)
        }),
        ("negative binomial by probability", &|graph, method, power| {
            let t = graph.param("t", 0.8)?;
            cost(graph, graph.sample("z", &NegativeBinomial::from_probabilities(2.5, t), method)?, power)
        }),
        ("negative binomial by successes", &|graph, method, power| {
            let t = graph.param("t", 1.4)?;
            let p = graph.constant(0.8);
            cost(graph, graph.sample("z", &NegativeBinomial::from_probabilities(t, p), method)?, power)
        }),
        ("geometric by probability", &|graph, method, power| {
            let t = graph.param("t", 0.85)?;
            cost(graph, graph.sample("z", &Geometric::from_probabilities(t), method)?, power)
        }),
        ("geometric by log-odds", &|graph, method, power| {
            let t = graph.param("t", 1.7)?;
            cost(graph, graph.sample("z", &Geometric::from_logits(t), method)?, power)
        }),
    ];

    fn cost<'t>(graph: &Graph<'t, f64>, z: stochgrad_tape::Var<'t, f64>, power: f64) -> GraphResult<()> {
        graph.cost("cost", (z * 0.4 - 0.3).powf(power).sum())
    }

    #[test]
    fn polynomials_up_to_the_degree_have_no_bias() {
        for (distribution, model) in LAWS {
            for degree in 1..=4 {
                let method = Fini::new(degree);
                for power in 1..=degree {
                    let report = Oracle::new().max_outcomes(100_000).verify(
                        |graph: &Graph<'_, f64>| model(graph, &method, power as f64),
                        0..=1,
                        1e-9,
                    );
                    report.unwrap_or_else(|error| panic!("{distribution}, Fini-{degree}, power {power}: {error}"));
                }
                let beyond = Oracle::new().max_outcomes(100_000).verify(
                    |graph: &Graph<'_, f64>| model(graph, &method, degree as f64 + 1.0),
                    1..=1,
                    1e-9,
                );
                assert!(beyond.is_err(), "{distribution}, Fini-{degree}");
            }
        }
    }

    #[test]
    fn the_weights_of_a_poisson_number_have_their_known_moments() {
        let moments = |rate: f64, method: Fini, linear: bool| {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", rate.ln())?;
                let z = graph.sample("z", &Poisson::from_log_rate(t), &method)?;
                graph.cost("cost", if linear { z } else { (z - 3.0).square() })
            };
            let moments = Oracle::new().gradient(model).unwrap();
            (moments.mean("t").unwrap().as_slice()[0], moments.variance("t").unwrap().as_slice()[0])
        };
        for rate in [0.5, 3.0] {
            let third = rate / 4.0 + 1.0 / 72.0;
            for (degree, variance) in [(1, 0.0), (2, rate / 4.0), (3, third), (4, third + 1.0 / (96.0 * rate))] {
                let found = moments(rate, Fini::new(degree), true);
                assert!((found.0 - rate).abs() < 1e-10 && (found.1 - variance).abs() < 1e-10, "{degree}: {found:?}");
            }
        }
        for (rate, degree, mean, variance) in
            [(3.0, 2, 3.0, 165.0), (3.0, 3, 3.0, 148.0 + 1.0 / 18.0), (0.5, 2, -2.0, 0.625), (0.5, 3, -2.0, 10.0 / 9.0)]
        {
            let found = moments(rate, Fini::new(degree), false);
            assert!((found.0 - mean).abs() < 1e-9 && (found.1 - variance).abs() < 1e-8, "{rate}, {degree}: {found:?}");
        }
    }

    #[test]
    fn chains_plates_and_two_costs_are_exact_where_they_are_certified() {
        let method: DynMethod<f64, Binomial<Id>> = Arc::new(Fini::new(2));
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, -0.8])?;
            let features = graph.data("data", [0.5, -1.5])?;
            let x = graph.sample("x", &Binomial::from_logits(2.0, t.index(0, 0) * features), &method)?;
            let y = graph.sample("y", &Binomial::from_logits(3.0, t), &Fini::new(2).samples(2))?;
            graph.cost("joint", (x.sum_over(features.plates()[0]) - 0.7).square())?;
            graph.cost("both", x * features * (y.sum() - 1.0).square() * t.index(0, 1))
        };
        Oracle::new().verify(model, 0..=1, 1e-9).unwrap();
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        model(&graph).unwrap();
        assert_eq!(graph.backward().unwrap().guarantee("t").unwrap().bias, Bias::Unbiased);
    }

    #[test]
    fn of_a_bit_the_second_one_is_the_trapezoid_rule() {
        let model = |graph: &Graph<'_, f64>, fini: bool| {
            let t = graph.param("t", -1.3)?;
            let distribution = Bernoulli::from_logits(t);
            let b = match fini {
                true => graph.sample("b", &distribution, &Fini::new(2))?,
                false => graph.sample("b", &distribution, &crate::ReinMax::new(1.0))?,
            };
            graph.cost("cost", (b * 1.3).exp())
        };
        let moments = [true, false].map(|fini| {
            let moments = Oracle::new().gradient(|graph: &Graph<'_, f64>| model(graph, fini)).unwrap();
            [moments.mean("t").unwrap().as_slice()[0], moments.variance("t").unwrap().as_slice()[0]]
        });
        for (fini, reinmax) in moments[0].iter().zip(moments[1]) {
            assert!((fini - reinmax).abs() < 1e-12, "{moments:?}");
        }
    }

    #[test]
    fn too_few_values_for_the_degree_are_refused() {
        let refused = |degree: usize, trials: [f64; 2]| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let p = graph.constant(0.3);
            graph.sample("z", &Binomial::from_probabilities(graph.constant(trials), p), &Fini::new(degree)).err()
        };
        assert!(refused(3, [2.0, 5.0]).is_none() && refused(3, [0.0, 5.0]).is_none());
        let error = refused(3, [1.0, 5.0]).unwrap().to_string();
        assert!(error.contains("3 values") && error.contains('z'), "{error}");
        assert!(refused(0, [2.0, 2.0]).unwrap().to_string().contains("degree 1 or more"));
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let distribution = Bernoulli::from_probabilities(graph.constant(0.3));
        assert!(graph.sample("b", &distribution, &Fini::new(3)).is_err());
    }

    #[test]
    fn it_compiles_and_stays_finite_at_the_edges() {
        let record = |graph: &Graph<'_, f32>, [low, high]: [f64; 2]| -> GraphResult<()> {
            let t = graph.param("t", [0.3, -40.0, 9.0])?;
            let z = graph.sample("z", &Poisson::from_log_rate(t), &Fini::new(3))?;
            let p = graph.param("p", [0.2, low, high])?;
            let n =
                graph.sample("n", &Binomial::from_probabilities(graph.constant([0.0, 3.0, 3.0]), p), &Fini::new(2))?;
            graph.cost("cost", (z * 0.1_f64).sum().sin() + n.square().sum())
        };
        let tape = Tape::<f32>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        record(&graph, [0.0, 1.0]).unwrap();
        assert!(matches!(graph.backward(), Err(stochgrad_graph::GraphError::Refused { .. })));
        let tape = Tape::<f32>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        record(&graph, [1e-20, 1.0 - 1e-7]).unwrap();
        let gradients = graph.backward().unwrap();
        for name in ["t", "p"] {
            let gradient = gradients.get(name).unwrap();
            assert!(gradient.as_slice().iter().all(|x: &f32| x.is_finite()), "{name}: {gradient:?}");
        }
        let mut compiled = {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(3));
            counts(&graph).unwrap();
            graph.compile().unwrap()
        };
        for step in 0..3 {
            let tape = Tape::<f64>::new();
            let fresh = Graph::new(&tape, Seed::new(3).step(step));
            counts(&fresh).unwrap();
            compiled.set("t", &Tensor::from([0.3, -0.8])).unwrap();
            let again = compiled.run(Seed::new(3).step(step)).unwrap();
            assert_eq!(again.get("t").unwrap().as_slice(), fresh.backward().unwrap().get("t").unwrap().as_slice());
        }
    }

    fn counts(graph: &Graph<'_, f64>) -> GraphResult<()> {
        let t = graph.param("t", [0.3, -0.8])?;
        let b = graph.sample("b", &Bernoulli::from_logits(t), &Fini::new(2))?;
        graph.cost("cost", (b.sum() - 0.4).square())
    }
}
