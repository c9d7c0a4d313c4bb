//! ReinMax: the straight-through gradient to second order. Use it instead of
//! [`StraightThrough`](crate::StraightThrough), at the same cost and with a smaller bias.
//!
//! $$g = \big[2 J\big(\tfrac12(\pi_\tau + x)\big) - \tfrac12 J(\pi)\big]^\top \nabla f(x), \qquad J(p) = \operatorname{diag} p - p p^\top,
//!     \quad \pi_\tau = \operatorname{softmax}(\phi / \tau),$$
//!
//! This is Heun's rule where straight-through is Euler's; a bit is a vector of two categories. At temperature 1 the
//! matrix is $\tfrac12 [J(\pi) + (x - \pi)(x - \pi)^\top]$, and the gradient is unbiased for every quadratic cost. Liu
//! et al. (2023).
//!
//! ReinMax-Rao averages the first Jacobian over the Gumbel noise that is compatible with the sample, as
//! [`GumbelRao`](crate::GumbelRao) does, at the logits $\phi_x = \ln \tfrac12(\pi + x)$:
//!
//! $$g = \Big[\frac2K \sum_{k=1}^K J_\tau\big(\phi_x + G^{(k)}\big) - \tfrac12 J(\pi)\Big]^\top \nabla f(x), \qquad
//!     G^{(k)} \sim G \mid \operatorname{argmax}(\phi_x + G) = x,$$
//!
//! with the Jacobian $J_\tau$ of $\operatorname{softmax}(\cdot / \tau)$. Its variance is lower for many draws, and it
//! is biased for linear costs already ([`rao_blackwellized`](ReinMax::rao_blackwellized)). Wang and Bui (2026).
//!
//! **Assumptions.** The cost is differentiable at the states. Paths from the value are checked as for
//! [`Pathwise`](crate::Pathwise).
//!
//! | | |
//! |---|---|
//! | bias | of the gradient; none if the temperature is 1 and the cost quadratic in the sample, which is certified, but not for ReinMax-Rao; costs are right |
//! | order | 1 |
//! | cost evaluations | one a sample, and one backward pass |
//! | requirement on the cost | derivatives at the states |

use crate::relaxation::hard_samples::HardSamples;
use crate::relaxation::temperature::Temperature;
use crate::sampling_setters;
use stochgrad_distributions::{Distribution, DistributionResult, Draw, Family, Relaxed, RelaxedMean};
use stochgrad_graph::{
    Bias, CostContext, GradientMethod, GraphResult, Guarantee, Method, MethodSlots, Path, Profile, SampleContext,
    SamplePlate, SampleSet, Terms,
};
use stochgrad_tape::{Degree, PlateKind, Var};
use stochgrad_tensor::Real;
use stochgrad_tensor::random::Fill;

/// Second-order straight-through gradients, for distributions with a continuous relaxation: bits and one-hot vectors.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::ReinMax;
/// use stochgrad_graph::{Bias, Graph, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(1));
/// let logits = graph.param("logits", [0.2, -0.4])?;
/// let b = graph.sample("b", &Bernoulli::from_logits(logits), &ReinMax::new(1.0))?;
/// graph.cost("loss", (b - 0.45).square().sum())?;
/// let gradients = graph.backward()?;
/// assert_eq!(gradients.guarantee("logits")?.bias, Bias::Unbiased);
/// assert!(gradients.reasons("logits")?[1].starts_with("exact: the costs are of degree 2 in node \"b\""));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ReinMax {
    samples: HardSamples,
    /// How often the noise of ReinMax-Rao is drawn.
    conditional_draws: Option<usize>,
}

impl ReinMax {
    /// Draws one sample. At temperature 1, costs that are quadratic in the sample have no bias; a higher temperature
    /// lowers the variance.
    pub fn new(temperature: impl Into<Temperature>) -> Self {
        ReinMax { samples: HardSamples::new(temperature.into()), conditional_draws: None }
    }

    /// Averages over the noise that is compatible with the sample, which is drawn a number of times, at least once:
    /// ReinMax-Rao. The temperature is that of the noise. The gradient is biased for costs of every degree but 0.
    pub fn rao_blackwellized(self, draws: usize) -> Self {
        ReinMax { conditional_draws: Some(draws.max(1)), ..self }
    }

    sampling_setters! { self => self.samples.sampling; samples, on_plate, scheme, groups }

    /// Accepts jumps on the paths from the value, as
    /// [`Pathwise::assume_continuous`](crate::Pathwise::assume_continuous) does.
    pub fn assume_continuous(self) -> Self {
        ReinMax { samples: self.samples.assume_continuous(), ..self }
    }

    /// The product of the Jacobian of the relaxed sample, averaged over the noise that is compatible with the sample,
    /// with the logits.
    fn averaged<'t, F: Real, D: RelaxedMean<'t, F>>(
        &self,
        distribution: &D,
        hard: Var<'t, F>,
        midpoint: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Var<'t, F>> {
        let temperature = self.samples.temperature.record(hard.tape());
        let perturbed = perturbed_given(distribution, hard, midpoint, draw)?;
        let soft = distribution.soften(perturbed, temperature).drawn();
        Ok(jacobian(soft, distribution.location(), distribution.element_rank()) / temperature)
    }
}

/// The logits of probabilities plus noise, given that they harden to a sample, as
/// [`conditional_perturbed`](Relaxed::conditional_perturbed) does for the logits of the distribution.
fn perturbed_given<'t, F: Real>(
    distribution: &dyn Distribution<'t, F>,
    hard: Var<'t, F>,
    probabilities: Var<'t, F>,
    draw: &Draw<'_, F>,
) -> DistributionResult<Var<'t, F>> {
    let (tape, event) = (hard.tape(), distribution.event_shape());
    if distribution.element_rank() == 0 {
        let noise = draw.record_noise(tape, Fill::Logistic, &event)?;
        let (sign, logits) = (hard + hard - 1.0, probabilities.ln() - (1.0 - probabilities).ln());
        return Ok(sign * (sign * noise + (sign * logits).softplus()).softplus());
    }
    let noise = draw.record_exponential(tape, &event)?.ln();
    let winner = (hard * noise).sum_axis(-1).unsqueeze(-1);
    let others = winner + (noise - probabilities.ln() - winner).softplus();
    Ok(-hard.select(noise, others))
}

impl Method for ReinMax {
    fn name(&self) -> String {
        let (temperature, samples) = (&self.samples.temperature, self.samples.describe());
        match self.conditional_draws {
            None => format!("ReinMax ({temperature}, {samples})"),
            Some(draws) => format!("ReinMax-Rao ({temperature}, {draws} conditional draws, {samples})"),
        }
    }

    fn profile(&self) -> Profile {
        let exact = match self.conditional_draws {
            None => self.samples.temperature.exact_at_one(2),
            Some(_) => Degree::CONSTANT,
        };
        Profile::biased(Bias::Gradient).exact_to(exact).times(self.samples.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.samples.sampling.plate
    }

    fn slots(&self) -> MethodSlots {
        self.samples.temperature.slots()
    }
}

impl<F: Real, D: Family<F>> GradientMethod<F, D> for ReinMax
where
    for<'t> D::On<'t>: RelaxedMean<'t, F>,
{
    fn guarantee(&self, _distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        self.samples.guarantee(&self.profile(), path)
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let set = self.samples.sampled(context, distribution)?;
        let (tape, hard, logits) = (context.tape(), set.value, distribution.location());
        // The probabilities are part of the rule and constants to the derivative.
        let mean = distribution.soften(logits, tape.constant(1.0)).drawn();
        let change = |p: Var<'t, F>| jacobian(p, logits, distribution.element_rank());
        let first = match self.conditional_draws {
            None => {
                let tempered = distribution.soften(logits, self.samples.temperature.record(tape)).drawn();
                change((tempered + hard) * 0.5)
            }
            Some(draws) => {
                let plate = tape.plate("conditional draws", draws, PlateKind::Samples, &hard.plates());
                let draw = context.draw_on(&[set.plate.as_slice(), &[plate]].concat());
                let draw = draw.purpose("noise given the sample");
                let midpoint = ((mean + hard) * 0.5).drawn();
                let product = self.averaged(distribution, hard, midpoint, &draw);
                product.map_err(|source| context.error(source))?.mean_over(plate)
            }
        };
        let soft = first * 2.0 - change(mean) * 0.5;
        Ok(SampleSet::equal(hard.straight_through(soft), set.plate))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, _distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        self.samples.terms(context)
    }
}

/// The product of the Jacobian of softmax (of a sigmoid, for elements that are numbers) at `p` with the logits: linear
/// in them.
fn jacobian<'t, F: Real>(p: Var<'t, F>, logits: Var<'t, F>, element_rank: usize) -> Var<'t, F> {
    match element_rank {
        0 => p * (1.0 - p) * logits,
        _ => p * (logits - (p * logits).sum_axis(-1).unsqueeze(-1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::{Oracle, StatisticalTest};
    use stochgrad_distributions::{Bernoulli, OneHotCategorical};
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    #[test]
    fn the_moments_of_one_bit_are_the_known_ones() {
        let method: BitMethod = Arc::new(ReinMax::new(1.0));
        for (target, theta, mean, variance) in [
            (0.499, 0.5, 5.0e-4, 6.25e-2),
            (0.499, 0.1, 1.8e-4, 2.257e-2),
            (0.45, 0.5, 0.025, 6.25e-2),
            (0.45, 0.1, 0.009, 2.624e-2),
        ] {
            models::assert_moments(&method, target, theta, mean, variance, 5e-4);
        }
    }

    /// The mean and the variance of the gradient of (b − target)² for one bit, with one draw of the noise or with the
    /// average over all of it, by the formula.
    fn of_one_bit(target: f64, theta: f64, temperature: f64, is_averaged: bool) -> (f64, f64) {
        const POINTS: usize = 20_000;
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let (mut first, mut second) = (0.0, 0.0);
        for (bit, chance) in [(0.0, 1.0 - theta), (1.0, theta)] {
            let midpoint = 0.5 * (theta + bit);
            // The uniform variate behind the noise, of the part that belongs to the bit.
            let slope = |v: f64| {
                let u = if bit == 1.0 { 1.0 - midpoint * (1.0 - v) } else { (1.0 - midpoint) * v };
                let soft = sigmoid(((u / (1.0 - u)).ln() + (midpoint / (1.0 - midpoint)).ln()) / temperature);
                soft * (1.0 - soft) / temperature
            };
            let slopes: Vec<f64> = (0..POINTS).map(|i| slope((i as f64 + 0.5) / POINTS as f64)).collect();
            let estimate = |slope: f64| (2.0 * slope - 0.5 * theta * (1.0 - theta)) * 2.0 * (bit - target);
            let average = estimate(slopes.iter().sum::<f64>() / POINTS as f64);
            let square = slopes.iter().map(|&slope| estimate(slope).powi(2)).sum::<f64>() / POINTS as f64;
            first += chance * average;
            second += chance * if is_averaged { average * average } else { square };
        }
        (first, second - first * first)
    }

    #[test]
    fn averages_over_the_noise_have_the_moments_of_the_formula() {
        for (target, theta, temperature) in [(0.45, 0.5, 1.0), (0.45, 0.1, 1.0), (0.499, 0.1, 0.7)] {
            let method: BitMethod = Arc::new(ReinMax::new(temperature).rao_blackwellized(1));
            let (mean, variance) = of_one_bit(target, theta, temperature, false);
            models::assert_moments(&method, target, theta, mean, variance, 1e-3);
        }
        // The variance is halved, and the bias is larger than the gradient.
        let (mean, variance) = of_one_bit(0.45, 0.1, 1.0, true);
        assert!((mean + 0.04365).abs() < 1e-5 && (variance - 0.013694).abs() < 1e-6, "{mean}, {variance}");
        let method: BitMethod = Arc::new(ReinMax::new(1.0).rao_blackwellized(1000));
        let run = |graph: &Graph<'_, f64>| {
            let b = graph.sample("b", &Bernoulli::from_logits(graph.param("t", (0.1_f64 / 0.9).ln())?), &method)?;
            graph.cost("cost", (b - 0.45).square())
        };
        let test = StatisticalTest::new().runs(2000);
        test.check(run, &[("t", Tensor::scalar(mean))]).unwrap();
        test.check_variance(run, &[("t", Tensor::scalar(variance))], 0.1).unwrap();
    }

    #[test]
    fn averages_for_vectors_are_those_of_two_categories_and_vary_less() {
        // A bit as two categories has the same gradient, by other noise.
        let pair = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", (0.1_f64 / 0.9).ln())?;
            let logits = Var::stack(&[t * 0.0, t])?;
            let method = ReinMax::new(1.0).rao_blackwellized(20);
            let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &method)?;
            graph.cost("cost", (x.index(0, 1) - 0.45).square())
        };
        let (mean, _) = of_one_bit(0.45, 0.1, 1.0, true);
        StatisticalTest::new().runs(2000).check(pair, &[("t", Tensor::scalar(mean))]).unwrap();
        let variance = |method: ReinMax| {
            let run = |seed| {
                let tape = Tape::<f64>::new();
                let graph = Graph::new(&tape, Seed::new(seed));
                let logits = graph.param("logits", [[0.2, -0.4, 1.0], [0.0, 0.3, -2.0]]).unwrap();
                let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &method).unwrap();
                let y = (x * graph.constant([[1.0, -2.0, 0.5], [0.3, 4.0, 1.5]])).sum_axis(-1);
                graph.cost("cost", (y - 0.3).square().sum() + y.index(0, 0) * y.index(0, 1)).unwrap();
                graph.backward().unwrap().get("logits").unwrap().to_vec()
            };
            StatisticalTest::new().runs(2000).sample(run).unwrap().variance.iter().sum::<f64>()
        };
        let (plain, averaged) = (variance(ReinMax::new(1.0)), variance(ReinMax::new(1.0).rao_blackwellized(100)));
        println!("ReinMax {plain}, ReinMax-Rao {averaged}");
        assert!(averaged < 0.7 * plain, "{averaged}, {plain}");
    }

    #[test]
    fn averages_certify_nothing_and_repeat_in_compiled_graphs() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let method = ReinMax::new(1.0).rao_blackwellized(3);
        // Certain states have finite gradients.
        let logits = graph.param("t", [0.3, f64::INFINITY, f64::NEG_INFINITY]).unwrap();
        let b = graph.sample("b", &Bernoulli::from_logits(logits), &method).unwrap();
        graph.cost("cost", (b * 0.5).sum()).unwrap();
        let gradients = graph.backward().unwrap();
        assert!(gradients.get("t").unwrap().all_finite());
        assert_eq!(gradients.guarantee("t").unwrap().bias, Bias::Gradient);
        models::assert_compiled(&(Arc::new(method) as BitMethod));
    }

    #[test]
    fn quadratic_costs_have_no_bias() {
        let model = |graph: &Graph<'_, f64>, temperature: f64| {
            let logits = graph.param("logits", [[0.2, -0.4, 1.0], [0.0, 0.3, -2.0]])?;
            let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &ReinMax::new(temperature))?;
            let y = (x * graph.constant([[1.0, -2.0, 0.5], [0.3, 4.0, 1.5]])).sum_axis(-1);
            // Quadratic in each of the two vectors.
            graph.cost("cost", (y - 0.3).square().sum() + y.index(0, 0) * y.index(0, 1))
        };
        Oracle::new().verify(|graph: &Graph<'_, f64>| model(graph, 1.0), 0..=1, 1e-9).unwrap();
        assert!(Oracle::new().verify(|graph: &Graph<'_, f64>| model(graph, 2.0), 1..=1, 1e-9).is_err());
    }
}
