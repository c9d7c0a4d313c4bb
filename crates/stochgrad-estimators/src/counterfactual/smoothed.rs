//! Smoothed stochastic derivatives: the mean jump of the sample takes the place of its derivative. Use it for counts
//! and other discrete nodes with a differentiable cost, when one backward pass must do and a bias is acceptable.
//!
//! A stochastic derivative gives the rates $w_a$ with which a discrete sample jumps to the values $y_a$ when the
//! parameter changes. The mean jump
//!
//! $$s(x) = \sum_a w_a\, (y_a - x), \qquad \mathbb{E}[s(x)] = \partial_\theta\, \mathbb{E}[x],$$
//!
//! is used as if it were $\partial x / \partial \theta$, without a replay and with one backward pass. Arya, Schauer,
//! Schäfer and Rackauckas (2022). With the derivative of the mean instead of $s(x)$ it is the straight-through
//! derivative.
//!
//! The two-sided form is unbiased for quadratic costs, whatever the distribution. A jump up across a step uses the
//! slope below it plus half the curvature, and the jump down across the same step the slope above it minus half the
//! curvature; both have the same mass. (For a bit this is the trapezoid rule, as in [`ReinMax`](crate::ReinMax).)
//!
//! **Assumptions.** The cost is differentiable at the values. Paths from the value are checked as for
//! [`Pathwise`](crate::Pathwise).
//!
//! | | |
//! |---|---|
//! | bias | of the gradient; none if the cost is affine in the sample, or (two-sided) quadratic, which is certified; costs are right |
//! | order | 1 |
//! | cost evaluations | one a sample, and one backward pass |
//! | requirement on the cost | derivatives at the values |

use crate::common::sampling::Sampling;
use crate::sampling_setters;
use stochgrad_distributions::{
    Distribution, DistributionError, DistributionResult, Draw, Family, Side, StochasticDerivative,
};
use stochgrad_graph::{
    Bias, CostContext, GradientMethod, GraphResult, Guarantee, Method, Path, Profile, SampleContext, SamplePlate,
    SampleSet, Terms, is_differentiable, path_order,
};
use stochgrad_tape::{Degree, Smoothness, Var};
use stochgrad_tensor::Real;

/// The value that takes the place of the derivative of the sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slope {
    /// The mean jump given the sample.
    Jumps(Side),
    /// The derivative of the mean, the same for all samples.
    Mean,
}

/// Smoothed stochastic derivatives, for discrete distributions with known jump rates.
///
/// ```
/// use stochgrad_distributions::Poisson;
/// use stochgrad_estimators::Smoothed;
/// use stochgrad_graph::{Bias, Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let rate = graph.param("rate", 2.0)?;
/// let count = graph.sample("count", &Poisson::from_rate(rate), &Smoothed::new())?;
/// graph.cost("loss", (count - 1.5).square())?;
/// assert_eq!(graph.backward()?.guarantee("rate")?.bias, Bias::Unbiased);
/// graph.cost("another", (count * -0.1).exp())?;
/// assert_eq!(graph.backward()?.guarantee("rate")?.bias, Bias::Gradient);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Smoothed {
    slope: Slope,
    sampling: Sampling,
    assume_continuous: bool,
}

impl Default for Smoothed {
    fn default() -> Self {
        Smoothed { slope: Slope::Jumps(Side::TwoSided), sampling: Sampling::default(), assume_continuous: false }
    }
}

impl Smoothed {
    /// Draws one sample, and uses both sides.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the side to which parameters are perturbed.
    pub fn side(self, side: Side) -> Self {
        Smoothed { slope: Slope::Jumps(side), ..self }
    }

    /// Uses the derivative of the mean instead of the mean jump, for distributions with a mean in closed form.
    pub fn straight_through(self) -> Self {
        Smoothed { slope: Slope::Mean, ..self }
    }

    sampling_setters! { self => self.sampling; samples, on_plate, scheme, groups }

    /// Accepts jumps on the paths from the value, as
    /// [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        Smoothed { assume_continuous: true, ..self }
    }
}

impl Method for Smoothed {
    fn name(&self) -> String {
        let slope = match self.slope {
            Slope::Jumps(Side::Right) => "right",
            Slope::Jumps(Side::Left) => "left",
            Slope::Jumps(Side::TwoSided) => "two-sided",
            Slope::Mean => "straight-through",
        };
        format!("smoothed stochastic derivative ({slope}, {})", self.sampling.describe())
    }

    fn profile(&self) -> Profile {
        let degree = if self.slope == Slope::Jumps(Side::TwoSided) { 2 } else { 1 };
        Profile::biased(Bias::Gradient).exact_to(Degree::new(degree)).times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for Smoothed
where
    for<'t> D::On<'t>: StochasticDerivative<'t, F>,
{
    fn guarantee(&self, _distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        Ok(self.profile().guarantee(path).at_most(path_order(path, self.assume_continuous)?))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let set = self.sampling.draw(context, distribution)?;
        let draw = context.draw_on(&set.value.plates()).purpose("stochastic derivative");
        let soft = match self.slope {
            Slope::Jumps(side) => mean_jump(distribution, side, set.value, &draw),
            Slope::Mean => distribution.mean().ok_or_else(|| DistributionError::Unsupported {
                distribution: distribution.name(),
                problem: "has no mean in closed form, which the straight-through derivative needs; use \
                     .side(Side::TwoSided)"
                    .into(),
            }),
        };
        let soft = soft.map_err(|source| context.error(source))?;
        Ok(SampleSet::equal(set.value.straight_through(soft.broadcast_to(set.value.shape())), set.plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        // The derivative of the mean is exact for affine costs, also where an outcome has the probability zero.
        if !matches!(self.slope, Slope::Mean) {
            context.check_hidden_outcomes()?;
        }
        Ok(Terms::default())
    }
}

/// A value whose derivatives with respect to the parameters are the mean jumps of the sample.
fn mean_jump<'t, F: Real>(
    distribution: &impl StochasticDerivative<'t, F>,
    side: Side,
    sample: Var<'t, F>,
    draw: &Draw<'_, F>,
) -> DistributionResult<Var<'t, F>> {
    let rank = distribution.element_rank();
    let independent = distribution.event_shape().len().saturating_sub(rank);
    // Held, not stopped: the method states how it is biased where jumps and rates depend on other samples.
    let mut soft = sample.held() * 0.0;
    for (position, parameter) in distribution.parameters().iter().enumerate() {
        if parameter.score == Smoothness::Constant || !is_differentiable(parameter.var) {
            continue;
        }
        let Some(jumps) = distribution.stochastic_derivative(position, side, sample, draw)? else {
            return Err(DistributionError::Unsupported {
                distribution: distribution.name(),
                problem: format!(
                    "no stochastic derivative with respect to the parameter \"{}\" is known, and that parameter \
                     depends on something trainable; stop its gradient if that is meant, or use ScoreFunction",
                    parameter.name
                ),
            });
        };
        for (value, weight) in jumps.values.into_iter().zip(jumps.weights) {
            let coordinates = weight.shape().len().saturating_sub(independent);
            let rate = (weight.held() * parameter.var).sum_last(coordinates);
            let rate = (0..rank).fold(rate, |rate, _| rate.unsqueeze(-1));
            soft = soft + (value.held() - sample.held()) * rate;
        }
    }
    Ok(soft)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relaxation::reinmax::ReinMax;
    use crate::relaxation::straight_through::StraightThrough;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{
        Bernoulli, Binomial, Categorical, Geometric, Id, NegativeBinomial, OneHotCategorical, Poisson,
    };
    use stochgrad_graph::{DynMethod, Graph, GraphError, Seed};
    use stochgrad_tape::Tape;

    fn all() -> [Smoothed; 4] {
        let smoothed = Smoothed::new();
        [smoothed, smoothed.side(Side::Right), smoothed.side(Side::Left), smoothed.straight_through()]
    }

    /// The gradient of (b − 0.45)² at 0.3 is 0.1.
    #[test]
    fn the_biases_of_one_bit_are_the_known_ones() {
        for (method, mean) in all().into_iter().zip([0.1, -0.9, 1.1, -0.3]) {
            for by_logit in [false, true] {
                let model = |graph: &Graph<'_, f64>| {
                    let distribution = if by_logit {
                        Bernoulli::from_logits(graph.param("p", (0.3_f64 / 0.7).ln())?)
                    } else {
                        Bernoulli::from_probabilities(graph.param("p", 0.3)?)
                    };
                    graph.cost("cost", (graph.sample("b", &distribution, &method)? - 0.45).square())
                };
                let found = Oracle::new().gradient(model).unwrap().mean("p").unwrap().as_slice()[0];
                let mean = if by_logit { mean * 0.21 } else { mean };
                assert!((found - mean).abs() < 1e-12, "{method:?}: {found} where {mean} is known");
            }
        }
    }

    #[test]
    fn costs_that_are_affine_in_the_sample_have_no_bias() {
        macro_rules! check {
            ($start:expr, $distribution:expr) => {
                for method in all() {
                    let model = |graph: &Graph<'_, f64>| {
                        let t = graph.param("t", $start)?;
                        let x = graph.sample("x", &$distribution(t), &method.samples(2))?;
                        let y = graph.sample("y", &Bernoulli::from_logits(t.sum()), &method)?;
                        graph.cost("cost", x.sum() * 3.0 - 1.0 + x.sum() * t.sum() + y)
                    };
                    if let Err(error) = Oracle::new().max_outcomes(200_000).verify(model, 0..=1, 1e-9) {
                        panic!("{} {}: {error}", stringify!($distribution), method.name());
                    }
                }
            };
        }
        check!(0.2, Bernoulli::from_logits);
        check!([0.2, 0.7], Bernoulli::from_probabilities);
        check!(0.4, |p| Binomial::from_probabilities(3.0, p));
        check!(0.1, Poisson::from_rate);
        check!(-2.0, Poisson::from_log_rate);
    }

    #[test]
    fn counts_without_a_bound_and_categories_have_no_bias_there_either() {
        macro_rules! check {
            ($methods:expr, $start:expr, $distribution:expr, $factor:expr) => {
                for method in all().into_iter().take($methods) {
                    let model = |graph: &Graph<'_, f64>| {
                        let t = graph.param("t", $start)?;
                        let x = graph.sample("x", &$distribution(t), &method)?;
                        graph.cost("cost", (x * graph.constant($factor)).sum() * 3.0 - t.sum())
                    };
                    if let Err(error) = Oracle::new().verify(model, 0..=1, 1e-9) {
                        panic!("{} {}: {error}", stringify!($distribution), method.name());
                    }
                }
            };
        }
        check!(4, 0.6, Geometric::from_probabilities, 1.0);
        check!(4, 0.6, |p| NegativeBinomial::from_probabilities(2.0, p), 1.0);
        let vectors = [[1.0, -2.0, 0.5], [0.3, 4.0, 1.5]];
        check!(4, [[0.2, -0.4, 1.0], [0.0, 0.3, -2.0]], OneHotCategorical::from_logits, vectors);
        check!(3, [[0.2, -0.4, 1.0], [0.0, 0.3, -2.0]], Categorical::from_logits, [1.0, -2.0]);
    }

    #[test]
    fn two_sided_quadratic_costs_have_no_bias_whatever_the_distribution() {
        macro_rules! check {
            ($start:expr, $distribution:expr, $factor:expr) => {
                let model = |graph: &Graph<'_, f64>| {
                    let t = graph.param("t", $start)?;
                    let x = graph.sample("x", &$distribution(t), &Smoothed::new())?;
                    let y = (x * graph.constant($factor)).sum();
                    graph.cost("cost", (y - 0.7).square() * t.sum() + y)
                };
                if let Err(error) = Oracle::new().max_outcomes(200_000).verify(model, 0..=1, 1e-9) {
                    panic!("{}: {error}", stringify!($distribution));
                }
                let tape = Tape::<f64>::new();
                let graph = Graph::new(&tape, Seed::new(1));
                model(&graph).unwrap();
                assert_eq!(graph.backward().unwrap().guarantee("t").unwrap().bias, Bias::Unbiased);
            };
        }
        check!([0.2, 0.7], Bernoulli::from_probabilities, [1.0, -2.0]);
        check!([0.3, 0.6], |p| Binomial::from_logits(3.0, p), [1.0, -2.0]);
        check!(0.4, Poisson::from_rate, 1.5);
        check!(0.6, Geometric::from_probabilities, 1.5);
        check!(0.6, |p| NegativeBinomial::from_probabilities(2.0, p), 1.5);
        check!([[0.2, -0.4, 1.0], [0.0, 0.3, -2.0]], Categorical::from_logits, [1.0, -2.0]);
        let vectors = [[1.0, -2.0, 0.5], [0.3, 4.0, 1.5]];
        check!([[0.2, -0.4, 1.0], [0.0, 0.3, -2.0]], OneHotCategorical::from_logits, vectors);
    }

    /// With a temperature of 1, of which both are special cases.
    #[test]
    fn of_one_bit_it_is_reinmax_or_straight_through() {
        let pairs: [(BitMethod, BitMethod); 2] = [
            (Arc::new(Smoothed::new()), Arc::new(ReinMax::new(1.0))),
            (Arc::new(Smoothed::new().straight_through()), Arc::new(StraightThrough::new(1.0))),
        ];
        for (one, other) in pairs {
            let (one, other) = (models::moments(&one, 0.45, 0.1), models::moments(&other, 0.45, 0.1));
            assert!((one.0 - other.0).abs() < 1e-12 && (one.1 - other.1).abs() < 1e-12, "{one:?}, {other:?}");
        }
    }

    #[test]
    fn jumps_on_the_way_are_refused_and_compiled_graphs_do_the_same() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let rate = graph.param("rate", 2.0).unwrap();
        let x = graph.sample("x", &Poisson::from_rate(rate), &Smoothed::new()).unwrap();
        graph.cost("cost", x.step()).unwrap();
        assert!(matches!(graph.backward(), Err(GraphError::Refused { .. })));
        let methods: [DynMethod<f64, Bernoulli<Id>>; 2] =
            [Arc::new(Smoothed::new().samples(2)), Arc::new(Smoothed::new().straight_through())];
        methods.iter().for_each(models::assert_compiled);
    }
}
