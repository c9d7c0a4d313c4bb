//! Generalised reparameterisation: the derivative along sample paths at given noise, plus the score of the noise. Use
//! it for distributions without an implicit path, or to compare with [`Pathwise`](crate::Pathwise).
//!
//! Let $z = T(\varepsilon; \theta)$, with noise whose distribution $\pi(\varepsilon; \theta)$ still depends on the
//! parameters. Then
//!
//! $$\nabla_\theta\, E[f(z)] = E\big[\nabla_z f(z)\, \partial_\theta T(\varepsilon; \theta)\big] + E\big[f(z)\, \nabla_\theta \ln \pi(\varepsilon; \theta)\big],
//!     \qquad \pi(\varepsilon; \theta) = p\big(T(\varepsilon; \theta); \theta\big)\, \big|\partial_\varepsilon T\big|.$$
//!
//! The less the noise depends on the parameters, the smaller is the second term; the score function has the second term
//! only. For distributions made of gamma variates, the noise is the standardised logarithm (Ruiz, Titsias and Blei
//! 2016), or the accepted proposal of rejection sampling after the concentrations were raised by $B$
//! (rejection-sampling variational inference, Naesseth, Ruiz, Linderman and Blei 2017). The implicit path of
//! [`Pathwise`](crate::Pathwise) has no second term, and a lower variance for most costs.
//!
//! **Assumptions.** Those of [`Pathwise`](crate::Pathwise). Rejection sampling needs concentrations of at least $\max(1
//! - B, 0)$.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | 1 |
//! | cost evaluations | one a sample, and one backward pass |
//! | requirement on the cost | a derivative with respect to the sample |

use crate::common::sampling::Sampling;
use crate::sampling_setters;
use stochgrad_distributions::{Family, WeakNoise, WeaklyReparameterized};
use stochgrad_graph::{
    Access, CostContext, Count, GradientMethod, GradientTerm, GraphResult, Guarantee, Method, Order, Path, Profile,
    SampleContext, SamplePlate, SampleSet, Terms, path_order,
};
use stochgrad_tensor::Real;

/// Sample paths and the score of the noise, for distributions made of gamma variates and any other that offers both.
///
/// ```
/// use stochgrad_distributions::Gamma;
/// use stochgrad_estimators::GeneralizedReparameterization;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let distribution = Gamma::new(graph.param("concentration", 1.5)?, 2.0);
/// let x = graph.sample("x", &distribution, &GeneralizedReparameterization::rejection(4).samples(8))?;
/// graph.cost("loss", (x - 1.0).square())?;
/// assert!(graph.backward()?.get("concentration")?.all_finite());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneralizedReparameterization {
    sampling: Sampling,
    noise: WeakNoise,
}

impl Default for GeneralizedReparameterization {
    fn default() -> Self {
        Self::new()
    }
}

impl GeneralizedReparameterization {
    /// Draws one sample, with the standardised logarithm as noise.
    pub fn new() -> Self {
        GeneralizedReparameterization { sampling: Sampling::default(), noise: WeakNoise::Standardized }
    }

    /// Draws one sample, with the accepted proposal of rejection sampling as noise, for concentrations raised by
    /// `augmentation`.
    pub fn rejection(augmentation: usize) -> Self {
        GeneralizedReparameterization { sampling: Sampling::default(), noise: WeakNoise::Proposal { augmentation } }
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }
}

impl Method for GeneralizedReparameterization {
    fn name(&self) -> String {
        let noise = match self.noise {
            WeakNoise::Proposal { augmentation } => format!("rejection, raised by {augmentation}, "),
            _ => String::new(),
        };
        format!("generalised reparameterisation ({noise}{})", self.sampling.describe())
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

impl<F: Real, D: Family<F>> GradientMethod<F, D> for GeneralizedReparameterization
where
    for<'t> D::On<'t>: WeaklyReparameterized<'t, F>,
{
    fn guarantee(&self, _distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        Ok(self.profile().guarantee(path).at_most(path_order(path, false)?))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let (plate, draw) = self.sampling.members(context)?;
        let path = distribution.weak_rsample(&draw, self.noise).map_err(|source| context.error(source))?;
        Ok(SampleSet::equal(path.value, plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let mut terms = Terms::default();
        let zero = context.tape().constant(0.0);
        let draw = self.sampling.draw_again(context);
        let path = distribution.weak_rsample(&draw, self.noise).map_err(|source| context.error(source))?;
        for cost in context.totals()? {
            let value = zero.straight_through(cost.value.stop_gradient() * path.log_density);
            terms.gradient_terms.push(GradientTerm { value, summed: cost.joint });
        }
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counterfactual::measure_valued::MeasureValued;
    use crate::pathwise::Pathwise;
    use crate::score_function::ScoreFunction;
    use std::sync::Arc;
    use stochgrad_check::StatisticalTest;
    use stochgrad_distributions::{Bernoulli, Beta, Chi2, Dirichlet, Gamma, Id, InverseGamma, Live, Normal};
    use stochgrad_graph::{DynMethod, Graph, Reduction, Seed};
    use stochgrad_tape::{Tape, Var, Workspace};
    use stochgrad_tensor::Tensor;

    const METHODS: [fn() -> GeneralizedReparameterization; 3] = [
        GeneralizedReparameterization::new,
        || GeneralizedReparameterization::rejection(1),
        || GeneralizedReparameterization::rejection(5),
    ];

    /// The gradient of an expectation in closed form, with respect to the parameter `t`.
    fn exact(
        values: &[f64],
        expectation: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>,
    ) -> [(&'static str, Tensor<f64>); 1] {
        let tape = Tape::<f64>::new();
        let t = tape.parameter(values.to_vec());
        let [gradient] = tape.backward(expectation(t), [t]).unwrap();
        [("t", gradient)]
    }

    fn check<D>(
        values: &[f64],
        distribution: impl for<'t> Fn(Var<'t, f64>) -> D::On<'t>,
        cost: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>,
        expectation: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>,
    ) where
        D: Family<f64>,
        for<'t> D::On<'t>: WeaklyReparameterized<'t, f64> + Live<'t, f64, Family = D>,
    {
        for method in METHODS {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", values.to_vec())?;
                let x = graph.sample("x", &distribution(t), &method().samples(40))?;
                graph.cost("cost", cost(x))
            };
            let report = StatisticalTest::new().runs(300).check(model, &exact(values, &expectation));
            report.unwrap_or_else(|error| panic!("{}: {error}", Method::name(&method())));
        }
    }

    #[test]
    #[allow(clippy::redundant_closure)]
    fn distributions_made_of_gamma_numbers_are_unbiased() {
        // E cos x = (1 + 1/β²)^(−a/2) cos(a arctan(1/β)), with β = 1: 2^(−a/2) cos(a π/4).
        check::<Gamma<Id>>(
            &[0.7],
            |t| Gamma::new(t.index(0, 0), 1.0),
            |x| x.cos(),
            |t| ((t * -0.5 * 2.0_f64.ln()).exp() * (t * std::f64::consts::FRAC_PI_4).cos()).sum(),
        );
        check::<Gamma<Id>>(
            &[1.7, 0.8],
            |t| Gamma::from_scale(t.index(0, 0), t.index(0, 1)),
            |x| x.square(),
            |t| t.index(0, 0) * (t.index(0, 0) + 1.0) * t.index(0, 1).square(),
        );
        check::<InverseGamma<Id>>(
            &[5.3, 1.2],
            |t| InverseGamma::new(t.index(0, 0), t.index(0, 1)),
            |x| x,
            |t| t.index(0, 1) / (t.index(0, 0) - 1.0),
        );
        check::<Chi2<Id>>(&[1.4], |t| Chi2::new(t.index(0, 0)), |x| x.square(), |t| (t.square() + t * 2.0).sum());
        check::<Beta<Id>>(
            &[0.8, 1.7],
            |t| Beta::new(t.index(0, 0), t.index(0, 1)),
            |x| x.square(),
            |t| t.index(0, 0) * (t.index(0, 0) + 1.0) / (t.sum() * (t.sum() + 1.0)),
        );
        check::<Dirichlet<Id>>(
            &[0.6, 1.5, 2.2],
            |t| Dirichlet::new(t),
            |x| x.square().sum(),
            |t| (t * (t + 1.0)).sum() / (t.sum() * (t.sum() + 1.0)),
        );
    }

    #[test]
    fn other_nodes_and_joint_costs_are_unbiased() {
        for method in METHODS {
            // Drawn again under a replay, with another concentration; then a node whose distribution depends on it.
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", [0.3, 0.9])?;
                let b = graph.sample("b", &Bernoulli::from_logits(t.index(0, 0)), &MeasureValued::new().samples(20))?;
                let x = graph.sample("x", &Gamma::new(b * 0.7 + t.index(0, 1), 1.0), &method())?;
                let y = graph.sample("y", &Normal::new(x, 0.5), &Pathwise::new())?;
                graph.cost("cost", y * x)
            };
            // E[x² | b] = a (a + 1).
            let exact_gradient = exact(&[0.3, 0.9], |t| {
                let (p, low) = (t.index(0, 0).sigmoid(), t.index(0, 1));
                let high = low + 0.7;
                p * high * (high + 1.0) + (1.0 - p) * low * (low + 1.0)
            });
            StatisticalTest::new().runs(500).check(model, &exact_gradient).unwrap();
            // The square of the mean of two samples: a² + a/2.
            let joint = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", [1.3])?;
                let copies = graph.plate("copies", 30)?;
                let distribution = Gamma::new((t * graph.constant(1.0).expand_plates(&[copies])).index(0, 0), 1.0);
                let x = graph.sample("x", &distribution, &method().samples(2))?;
                graph.cost("cost", x.mean_over(graph.plate_named("x").expect("the plate")).square())
            };
            let exact = exact(&[1.3], |t| (t.square() + t * 0.5).sum());
            StatisticalTest::new().runs(400).check(joint, &exact).unwrap();
        }
    }

    #[test]
    fn small_concentrations_must_be_raised() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let distribution = Gamma::new(graph.param("t", 0.4).unwrap(), 1.0);
        let error =
            graph.sample("x", &distribution, &GeneralizedReparameterization::rejection(0)).unwrap_err().to_string();
        assert!(error.contains("augmentation") && error.contains("0.4") && error.contains("\"x\""), "{error}");
        assert!(graph.sample("x", &distribution, &GeneralizedReparameterization::rejection(1)).is_ok());
    }

    #[test]
    fn jumps_are_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let distribution = Gamma::new(graph.param("t", 0.4).unwrap(), 1.0);
        let x = graph.sample("x", &distribution, &GeneralizedReparameterization::new()).unwrap();
        graph.cost("cost", (x - 1.0).step()).unwrap();
        assert!(graph.backward().unwrap_err().to_string().contains("Step"));
    }

    /// The variance of the gradient of an expected cost with respect to the concentration of Gamma(1.7, 1).
    fn variance(
        cost: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>,
        method: impl Fn() -> DynMethod<f64, Gamma<Id>>,
    ) -> f64 {
        const COPIES: usize = 1000;
        let mut workspace = Workspace::new();
        let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
        // The squares have a long tail.
        for run in 0..120 {
            let graph = Graph::new(workspace.tape(), Seed::new(3).step(run));
            let copies = graph.plate("copies", COPIES).unwrap();
            graph.set_reduction(copies, Reduction::Sum).unwrap();
            let t = graph.param("t", vec![1.7; COPIES]).unwrap().event_to_plate(copies);
            let x = graph.sample("x", &Gamma::new(t, 1.0), &method()).unwrap();
            graph.cost("cost", cost(x)).unwrap();
            for g in graph.backward().unwrap().get("t").unwrap().as_slice() {
                sum += g;
                squares += g * g;
                count += 1.0;
            }
        }
        squares / count - (sum / count) * (sum / count)
    }

    #[test]
    fn the_more_concentrations_are_raised_the_less_the_noise_says_of_them() {
        // The Fisher information of the noise; that of the sample is 0.793.
        for (method, known) in METHODS.into_iter().zip([0.0128, 6.94e-4, 8.07e-6]) {
            let found = variance(|x| x * 0.0 + 1.0, || Arc::new(method()));
            assert!((found / known - 1.0).abs() < 0.25, "{found}, not {known}");
        }
    }

    #[test]
    fn its_variance_lies_between_those_of_the_path_and_the_score() {
        let of = |method: &dyn Fn() -> DynMethod<f64, Gamma<Id>>| variance(|x| x.square(), method);
        let (path, score) = (of(&|| Arc::new(Pathwise::new())), of(&|| Arc::new(ScoreFunction::new())));
        for method in METHODS {
            let between = of(&|| Arc::new(method()));
            assert!(path < between && between < score, "{path} {between} {score}");
        }
    }
}
