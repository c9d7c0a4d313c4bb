//! Fini-D: a straight-through gradient for counts that is exact for polynomials up to degree D. Use it for Poisson,
//! binomial and negative binomial nodes with a smooth cost.
//!
//! $$g = w(z)\, f'(z), \qquad w(z) = \sum_{n < D} \frac{\beta_n}{h_n}\, P_n(z), \qquad \beta_n = \partial_\theta\, \mathbb{E}[Q_n(z)], \quad Q_n' = P_n,$$
//!
//! with the orthogonal polynomials $P_n$ of the distribution and their squared norms $h_n$. Among all weights for which
//! $\mathbb{E}[w f'] = \partial_\theta \mathbb{E}[f]$ holds for every polynomial $f$ of degree $D$ or less, it has the
//! smallest second moment. The weight of degree 1 is the derivative of the mean. For a Poisson variate and its
//! log-rate, $w_2 = (z + \lambda)/2$ and $w_3 = w_2 - P_2(z)/(12 \lambda)$. He and Wu (2026).
//!
//! The distributions are the natural exponential families whose variance is $V = \mu + v \mu^2$. With $y = z - \mu$ and
//! $s = 1 + 2 v \mu$ (Morris 1982),
//!
//! $$P_{n+1} = (y - n s)\, P_n - n\,(1 + (n - 1) v)\, V\, P_{n-1}, \qquad h_n = n!\, V^n \prod_{k < n} (1 + k v),$$
//!
//! and the central moments satisfy $c_{k+1} = V\, (\partial_\mu c_k + k\, c_{k-1})$. The tape differentiates them, so
//! that every parameter has its weight: log-rates, probabilities, log-odds, and the number of successes of a negative
//! binomial distribution.
//!
//! **Assumptions.** The cost is differentiable at the counts, as a function of real numbers. Paths from the value are
//! checked as for [`Pathwise`](crate::Pathwise).
//!
//! | | |
//! |---|---|
//! | bias | of the gradient; none if the cost is a polynomial of degree $D$ or less in the sample, which is certified; costs are right |
//! | order | 1 |
//! | cost evaluations | one a sample, and one backward pass |
//! | requirement on the cost | derivatives at the counts |

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

/// Straight-through gradients for counts that are exact for polynomials up to a degree, for distributions whose
/// variance is a quadratic function of the mean.
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

/// The highest degree.
const HIGHEST: usize = 32;

impl Fini {
    /// Draws one sample. The gradient is exact for polynomials up to this degree, from 1 to 32. A higher degree lowers
    /// the bias for smooth costs, and may raise or lower the variance.
    pub fn new(degree: usize) -> Self {
        Fini { degree, sampling: Sampling::default(), assume_continuous: false }
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }

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
        if self.degree > HIGHEST {
            return Err(unsupported(format!(
                "expected polynomials of a degree up to {HIGHEST}, got {}; the coefficients of higher ones are lost to \
                 rounding",
                self.degree
            )));
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

/// The moments that determine a distribution of counts.
struct Moments<'t, F: Real> {
    mean: Var<'t, F>,
    variance: Var<'t, F>,
    curvature: Var<'t, F>,
}

impl<'t, F: Real> Moments<'t, F> {
    /// A value whose derivative with respect to the parameters is the weight at a count.
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
            // If the distribution has a single value, there is no such polynomial.
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

    /// The coefficients of $P_0$ to $P_{n-1}$ as polynomials in $y$, and their squared norms, all detached.
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
mod tests;
