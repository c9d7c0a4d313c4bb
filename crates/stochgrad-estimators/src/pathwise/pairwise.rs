//! The pairwise estimator: a sample path whose velocity is estimated with a second sample. Use it for continuous
//! distributions on the line whose distribution function can be evaluated but not differentiated, and costs with a
//! derivative that vanishes in the tails.
//!
//! The velocity along the distribution function is $-\partial_\theta F(x) / p(x)$, and $\partial_\theta F(x)$ is an
//! expectation of scores. With two independent samples,
//!
//! $$\nabla_\theta\, E[f(x)] = E\Big[-f'(x)\, \frac{\mathbb 1[y \le x] - F(x)}{p(x)}\, \nabla_\theta \ln p(y)\Big],
//!     \qquad x, y \sim p_\theta.$$
//!
//! The term $F(x)$ has the mean zero, because that of the score is, and lowers the variance; without it, most variances
//! are infinite. The pairs are those of Walder, Roussel, Nock, Ong and Sugiyama (2019).
//!
//! **Assumptions.** Those of [`ImplicitPathwise`](crate::ImplicitPathwise). The density divides the estimate: the
//! variance is finite only if $f'(x)^2 / p(x)$ is integrable up to factors that grow slowly. It is infinite for $f(x) =
//! x$ and for $\sin x$ with normal samples, and finite for $\tanh x$ and $e^{-x^2/2}$.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 |
//! | cost evaluations | one a sample, and one backward pass |
//! | requirement on the cost | a derivative with respect to the sample |

use super::implicit::check_continuous;
use crate::common::sampling::Sampling;
use crate::sampling_setters;
use stochgrad_distributions::{CumulativeDistribution, Distribution, DistributionError, Family, ScoreDifferentiable};
use stochgrad_graph::{
    Access, Count, GradientMethod, GraphResult, Guarantee, Method, Order, Path, Profile, SampleContext, SamplePlate,
    SampleSet, path_order,
};
use stochgrad_tensor::Real;

/// The pairwise estimator, for continuous distributions on the line.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::Pairwise;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let location = graph.param("location", 0.5)?;
/// let x = graph.sample("x", &Normal::new(location, 1.0), &Pairwise::new().samples(8))?;
/// graph.cost("loss", x.tanh())?;
/// assert!(graph.backward()?.get("location")?.all_finite());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pairwise {
    sampling: Sampling,
}

impl Pairwise {
    /// Draws one pair.
    pub fn new() -> Self {
        Self::default()
    }

    sampling_setters! { self => self.sampling; samples, on_plate }
}

impl Method for Pairwise {
    fn name(&self) -> String {
        format!("pairwise ({})", self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Finite(1))
            .backward_passes(Count::exactly(1), Access::Derivatives)
            .times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Pairwise
where
    for<'t> D::On<'t>: CumulativeDistribution<'t, F> + ScoreDifferentiable<'t, F>,
{
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        check_continuous(distribution)?;
        Ok(self.profile().guarantee(path).at_most(path_order(path, false)?))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        check_continuous(distribution).map_err(|problem| {
            context.error(DistributionError::Unsupported { distribution: distribution.name(), problem })
        })?;
        let plate = context.sample_plate(self.sampling.plate)?;
        let draw = context.draw(plate);
        let value = distribution.sample(&draw).map_err(|source| context.error(source))?.held();
        let second = distribution.sample(&draw.purpose("second")).map_err(|source| context.error(source))?.held();
        let density = distribution.log_prob_each(value).exp().held();
        let possible = density.step();
        let divisor = possible.select(density, possible.tape().constant(1.0));
        let weight = (distribution.cdf(value) - second.le(value)).held() / divisor * possible;
        let path = distribution.log_prob_each(second) * weight.held();
        Ok(SampleSet::equal(value.straight_through(path), plate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_check::StatisticalTest;
    use stochgrad_distributions::{Bernoulli, Normal, Poisson};
    use stochgrad_graph::{Graph, Reduction, Seed};
    use stochgrad_tape::{Tape, Var, Workspace};
    use stochgrad_tensor::Tensor;

    use crate::counterfactual::measure_valued::MeasureValued;

    type Cost = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;

    /// Costs of a normal sample at a location and a scale; the parameter; the derivative and the variance of one
    /// estimate, by quadrature.
    const KNOWN: [(Cost, [f64; 2], &str, f64, f64); 5] = [
        (|x| x.tanh(), [0.5, 1.0], "location", 0.5619929475, 0.9576813294),
        (|x| (x.square() * -0.5).exp(), [0.5, 1.0], "location", -0.1660663368, 1.255746757),
        (|x| (x.square() * -0.5).exp(), [0.5, 1.0], "scale", -0.2906160893, 4.178552101),
        (|x| x * (-x.square()).exp(), [-0.3, 1.2], "location", 0.1219125931, 0.6852569126),
        (|x| x.tanh(), [0.5, 1.0], "scale", -0.1680886668, 2.721216548),
    ];

    #[test]
    fn derivatives_and_variances_are_the_known_ones() {
        const COPIES: usize = 1000;
        const RUNS: usize = 200;
        for (cost, at, name, derivative, variance) in KNOWN {
            let mut workspace = Workspace::new();
            let (mut sum, mut squares) = (0.0, 0.0);
            for run in 0..RUNS {
                let graph = Graph::new(workspace.tape(), Seed::new(5).step(run));
                let copies = graph.plate("copies", COPIES).unwrap();
                graph.set_reduction(copies, Reduction::Sum).unwrap();
                let parameter =
                    |name: &str, value: f64| graph.param(name, vec![value; COPIES]).unwrap().event_to_plate(copies);
                let normal = Normal::new(parameter("location", at[0]), parameter("scale", at[1]));
                let x = graph.sample("x", &normal, &Pairwise::new()).unwrap();
                graph.cost("cost", cost(x)).unwrap();
                for g in graph.backward().unwrap().get(name).unwrap().as_slice() {
                    sum += g;
                    squares += g * g;
                }
            }
            let count = (COPIES * RUNS) as f64;
            let mean = sum / count;
            let found = squares / count - mean * mean;
            assert!((mean - derivative).abs() < 4.0 * (variance / count).sqrt(), "{name}: {derivative}, got {mean}");
            assert!((found / variance - 1.0).abs() < 0.1, "{name}: expected the variance {variance}, got {found}");
        }
    }

    #[test]
    fn nodes_upstream_and_downstream_are_unbiased() {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", 0.3)?;
            let b = graph.sample("b", &Bernoulli::from_logits(t), &MeasureValued::new().samples(4))?;
            let x = graph.sample("x", &Normal::new(b * 0.5 + t, 1.0), &Pairwise::new().samples(10))?;
            let y = graph.sample("y", &Normal::new(x.tanh(), 0.5), &crate::pathwise::Pathwise::new())?;
            graph.cost("cost", y)
        };
        // d/dt [p m(t + 1/2) + (1 − p) m(t)], where m(μ) = E tanh(N(μ, 1)), by the trapezoidal rule.
        let expectation = |of: fn(f64) -> f64, location: f64| {
            let width = 1e-3;
            let total: f64 = (-10_000..=10_000)
                .map(|at| {
                    let z = f64::from(at) * width;
                    of(location + z) * (-0.5 * z * z).exp()
                })
                .sum();
            total * width / (2.0 * std::f64::consts::PI).sqrt()
        };
        let slope = |x: f64| 1.0 - x.tanh().powi(2);
        let p = 1.0 / (1.0 + (-0.3_f64).exp());
        let exact = p * (1.0 - p) * (expectation(f64::tanh, 0.8) - expectation(f64::tanh, 0.3))
            + p * expectation(slope, 0.8)
            + (1.0 - p) * expectation(slope, 0.3);
        StatisticalTest::new().runs(3000).check(model, &[("t", Tensor::scalar(exact))]).unwrap();
    }

    #[test]
    fn distributions_of_whole_numbers_and_jumps_are_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let counts = Poisson::from_rate(graph.param("rate", 0.4).unwrap());
        let error = graph.sample("count", &counts, &Pairwise::new()).unwrap_err().to_string();
        assert!(error.contains("continuous distribution on the line") && error.contains("\"count\""), "{error}");
        let x = graph.sample("x", &Normal::new(graph.param("t", 0.1).unwrap(), 1.0), &Pairwise::new()).unwrap();
        graph.cost("cost", x.step()).unwrap();
        assert!(graph.backward().unwrap_err().to_string().contains("\"x\""));
    }
}
