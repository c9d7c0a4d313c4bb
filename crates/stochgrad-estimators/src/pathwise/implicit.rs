//! The pathwise derivative through the distribution function. Use it for continuous distributions on the line whose
//! samples are made of several noise variates, such as `Beta`.
//!
//! $$\nabla_\theta\, E[f(z)] = E\big[f'(z)\, v_\theta(z)\big], \qquad v_\theta(z) = -\frac{\partial_\theta F(z; \theta)}{p(z; \theta)}.$$
//!
//! For a sample on the line, $v_\theta$ is the only velocity that depends on the sample alone. It is the conditional
//! expectation, given $z$, of the derivative along *any* sample path, and therefore has the least variance for each
//! cost (Figurnov, Mohamed and Mnih 2018; Jankowiak and Obermeyer 2018; as a general gradient: Cong et al. 2019). Where
//! the path of [`Pathwise`](crate::Pathwise) uses one noise variate, both are the same. Where it uses more, as for
//! `Beta` with its two gamma variates, this one has a lower variance, at the cost of derivatives of a distribution
//! function.
//!
//! **Assumptions.** Those of [`Pathwise`](crate::Pathwise), and independent elements of a continuous distribution on
//! the line.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 |
//! | cost evaluations | one a sample, and one backward pass |
//! | requirement on the cost | a derivative with respect to the sample |

use crate::common::sampling::Sampling;
use crate::sampling_setters;
use stochgrad_distributions::{CumulativeDistribution, Distribution, DistributionError, Family, implicit_path};
use stochgrad_graph::{
    Access, Count, GradientMethod, GraphResult, Guarantee, Method, Order, Path, Profile, SampleContext, SamplePlate,
    SampleSet, path_order,
};
use stochgrad_tensor::Real;

/// The pathwise derivative through the distribution function, for continuous distributions on the line.
///
/// ```
/// use stochgrad_distributions::Beta;
/// use stochgrad_estimators::ImplicitPathwise;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let alpha = graph.param("alpha", 2.0)?;
/// let x = graph.sample("x", &Beta::new(alpha, 3.0), &ImplicitPathwise::new().samples(8))?;
/// graph.cost("square", x.square())?;
/// assert!(graph.backward()?.get("alpha")?.as_slice()[0] > 0.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImplicitPathwise {
    sampling: Sampling,
}

impl ImplicitPathwise {
    /// Draws one sample.
    pub fn new() -> Self {
        Self::default()
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }
}

/// Checks that the distribution is continuous, since the distribution function of a discrete one has steps.
pub(super) fn check_continuous<'t, F: Real>(distribution: &dyn Distribution<'t, F>) -> Result<(), String> {
    match distribution.support() {
        support if support.is_continuous_scalar() => Ok(()),
        support => Err(format!(
            "expected a continuous distribution on the line, got {}, whose values are {support:?}; use MeasureValued \
             or ScoreFunction here",
            distribution.name()
        )),
    }
}

impl Method for ImplicitPathwise {
    fn name(&self) -> String {
        format!("implicit pathwise ({})", self.sampling.describe())
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

impl<F: Real, D: Family<F>> GradientMethod<F, D> for ImplicitPathwise
where
    for<'t> D::On<'t>: CumulativeDistribution<'t, F>,
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
        let (plate, draw) = self.sampling.members(context)?;
        let value = distribution.sample(&draw).map_err(|source| context.error(source))?;
        Ok(SampleSet::equal(implicit_path(distribution, value), plate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counterfactual::measure_valued::MeasureValued;
    use crate::pathwise::Pathwise;
    use crate::score_function::ScoreFunction;
    use approx::assert_abs_diff_eq;
    use std::sync::Arc;
    use stochgrad_check::{Oracle, StatisticalTest};
    use stochgrad_distributions::{Bernoulli, Beta, Exponential, Id, Normal, Poisson, Uniform};
    use stochgrad_graph::{DynMethod, Graph, GraphError, Reduction, Seed};
    use stochgrad_tape::{Tape, Workspace};
    use stochgrad_tensor::Tensor;

    #[test]
    fn distributions_of_one_noise_number_move_as_their_path_does() {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, -0.2])?;
            let b = graph.sample("b", &Bernoulli::from_logits(t.index(0, 0)), &MeasureValued::new())?;
            let x = graph.sample("x", &Normal::from_log_scale(t * b, t), &ImplicitPathwise::new())?;
            let y = graph.sample("y", &Normal::new(x.sum() * 0.3, 0.5), &ImplicitPathwise::new().samples(2))?;
            graph.cost("cost", (y - t.index(0, 1)).square() * x.index(0, 1))
        };
        Oracle::new().nodes(4).verify(model, 0..=1, 1e-9).unwrap();
        let others = |graph: &Graph<'_, f64>| {
            let rate = graph.param("rate", 1.3)?;
            let x = graph.sample("x", &Exponential::new(rate), &ImplicitPathwise::new())?;
            graph.cost("cost", x.square())
        };
        Oracle::new().nodes(8).verify(others, 0..=1, 1e-9).unwrap();
        let moving = |graph: &Graph<'_, f64>| {
            let high = graph.param("high", 2.0)?;
            let x = graph.sample("x", &Uniform::new(graph.constant(0.0), high), &ImplicitPathwise::new())?;
            graph.cost("square", x.square())
        };
        let found = Oracle::new().gradient(moving).unwrap().mean("high").unwrap().item().unwrap();
        assert_abs_diff_eq!(found, 4.0 / 3.0, epsilon = 1e-9);
    }

    /// The mean and variance of the gradient of E cos 5x with respect to α of Beta(2, 3).
    fn beta(runs: usize, method: impl Fn() -> DynMethod<f64, Beta<Id>>) -> (f64, f64) {
        const COPIES: usize = 1000;
        let mut workspace = Workspace::new();
        let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
        for run in 0..runs {
            let graph = Graph::new(workspace.tape(), Seed::new(3).step(run));
            let copies = graph.plate("copies", COPIES).unwrap();
            graph.set_reduction(copies, Reduction::Sum).unwrap();
            let alpha = graph.param("alpha", vec![2.0; COPIES]).unwrap().event_to_plate(copies);
            let x = graph.sample("x", &Beta::new(alpha, 3.0), &method()).unwrap();
            graph.cost("cost", (x * 5.0).cos()).unwrap();
            for g in graph.backward().unwrap().get("alpha").unwrap().as_slice() {
                sum += g;
                squares += g * g;
                count += 1.0;
            }
        }
        let mean = sum / count;
        (mean, squares / count - mean * mean)
    }

    #[test]
    fn the_variance_of_beta_numbers_is_the_known_one() {
        for (method, expected) in [
            ((|| Arc::new(ImplicitPathwise::new())) as fn() -> DynMethod<f64, Beta<Id>>, 0.0871),
            (|| Arc::new(Pathwise::new()), 0.0984),
            (|| Arc::new(ScoreFunction::new()), 0.170),
        ] {
            let (mean, variance) = beta(40, method);
            assert!((mean + 0.38007).abs() < 4.0 * (variance / 40_000.0).sqrt(), "{mean}");
            assert!((variance / expected - 1.0).abs() < 0.03, "{}: {variance}", Method::name(&method()));
        }
    }

    #[test]
    fn distributions_of_whole_numbers_are_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let distribution = Poisson::from_rate(graph.param("rate", 0.4).unwrap());
        let error = graph.sample("x", &distribution, &ImplicitPathwise::new()).unwrap_err();
        assert!(matches!(&error, GraphError::Distribution { node, .. } if node == "x"), "{error}");
        assert!(error.to_string().contains("MeasureValued"), "{error}");
    }

    #[test]
    fn downstream_of_a_replay_beta_numbers_are_drawn_again() {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", 0.3)?;
            let b = graph.sample("b", &Bernoulli::from_logits(t), &MeasureValued::new().samples(10))?;
            let x = graph.sample("x", &Beta::new(b * 2.0 + 1.0, 3.0), &ImplicitPathwise::new())?;
            graph.cost("cost", x)
        };
        // From the mean 1/4 to 1/2.
        let p = 1.0 / (1.0 + (-0.3_f64).exp());
        StatisticalTest::new().runs(300).check(model, &[("t", Tensor::scalar(0.25 * p * (1.0 - p)))]).unwrap();
    }
}
