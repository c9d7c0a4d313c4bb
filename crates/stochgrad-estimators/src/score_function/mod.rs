//! The score-function estimator. Use it for any cost and any distribution whose support does not depend on its
//! parameters. Its variance is usually high, so that it needs a baseline or several samples.
//!
//! $$\nabla_\theta \mathbb{E}_{p(x; \theta)}[f(x)]
//!     = \mathbb{E}\big[(f(x) - b)\, \nabla_\theta \ln p(x; \theta)\big],$$
//!
//! averaged over $K$ independent samples. In the surrogate the gradient function is $l = \ln p(x; \theta)$, and the
//! baseline $b$ enters as the control variate $a = (1 - \square(l))\, \operatorname{stop}(b)$. Its value and mean are
//! zero. The means of all its derivatives are zero as well, as long as $b$ does not depend on $x$, or its mean is known
//! and added again.
//!
//! Also known as REINFORCE or the likelihood-ratio method: Glynn (1990), Williams (1992). Baselines: Greensmith et al.
//! (2004); at any order of derivative: Mao et al. (2019).
//!
//! **Assumptions.** The support does not depend on the parameters, and $\ln p$ is differentiable with respect to them.
//! A kink of $\ln p$ (at the location of a Laplace distribution) limits the derivatives with respect to that parameter
//! to the first. A probability of exactly 0 or 1 with a derivative is an error, since the gradient would lack the term
//! of the outcome that never occurs; use logits there, or `Enumerate`, `LocalExpectation` or `MeasureValued`.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | any |
//! | cost evaluations | $K$ |
//! | the cost offers | its value only: it may have jumps, branch, or be a black box |

pub(crate) mod baseline;
pub(crate) mod importance_sampling;
pub(crate) mod log_variance;
pub(crate) mod proposal;

use crate::common::member_gradients::parameters_by_member;
use crate::common::sampling::Sampling;
use crate::sampling_setters;
use crate::score_function::baseline::{Baseline, Baselines, CostBaseline, Memory, NoBaseline, independent_members};
use stochgrad_distributions::{Distribution, DistributionError, Family, ScoreDifferentiable};
use stochgrad_graph::{
    CostContext, GradientMethod, GraphError, GraphResult, Guarantee, Method, MethodSlots, Order, Path, Profile,
    SampleContext, SamplePlate, SampleSet, Terms,
};
use stochgrad_tape::{Plate, PlateKind, Tape, Var};
use stochgrad_tensor::{Real, instantiated};

/// The score-function estimator: for any distribution whose support does not depend on its parameters, and any cost.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{LeaveOneOut, ScoreFunction};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0])?;
/// let method = ScoreFunction::new().samples(8).baseline(LeaveOneOut);
/// let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &method)?;
/// graph.cost("loss", (bits - 0.499).square().sum())?;
/// let gradients = graph.backward()?;
/// assert_eq!(gradients.get("logits")?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ScoreFunction<B = NoBaseline> {
    sampling: Sampling,
    baseline: B,
}

impl ScoreFunction {
    /// Draws one sample, without a baseline.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<B> ScoreFunction<B> {
    sampling_setters! {
        self => self.sampling;
        samples,
        on_plate,
        /// A baseline that is made of the other samples is refused then, with the exception of
        /// [`LeaveOneOut`](crate::LeaveOneOut) over several [`groups`](Self::groups).
        scheme,
        /// [`LeaveOneOut`](crate::LeaveOneOut) is then the mean cost of the other groups.
        groups
    }

    /// Subtracts a baseline from the costs.
    pub fn baseline<C>(self, baseline: C) -> ScoreFunction<C> {
        ScoreFunction { sampling: self.sampling, baseline }
    }
}

fn name(sampling: &Sampling, baseline: Option<String>) -> String {
    let samples = match (sampling.plate, sampling.groups) {
        (SamplePlate::Single, 1) => None,
        (SamplePlate::New(1), 1) => Some("1 sample".to_owned()),
        (SamplePlate::New(count), 1) => Some(format!("{count} samples")),
        (SamplePlate::Shared(_), 1) => Some("along a shared plate".to_owned()),
        (plate, groups) => Some(format!("{groups} groups of {} samples", plate.samples())),
    };
    let scheme = sampling.scheme.map(|scheme| scheme.to_string());
    let settings: Vec<String> = baseline.into_iter().chain(scheme).chain(samples).collect();
    if settings.is_empty() { "score function".into() } else { format!("score function ({})", settings.join(", ")) }
}

/// The error of a baseline that cannot be used with the samples of a node.
fn unsuitable<F: Real>(
    context: &SampleContext<'_, '_, F>,
    distribution: &'static str,
    method: &str,
    problem: &str,
) -> GraphError {
    context.error(DistributionError::Unsupported { distribution, problem: format!("{method}: {problem}") })
}

impl<B: Memory> Method for ScoreFunction<B> {
    fn name(&self) -> String {
        name(&self.sampling, self.baseline.name())
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any).and(self.baseline.profile()).times(self.sampling.samples())
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }

    fn slots(&self) -> MethodSlots {
        self.baseline.slots()
    }
}

impl<F: Real, D: Family<F>, B: Baseline<F>> GradientMethod<F, D> for ScoreFunction<B>
where
    for<'t> D::On<'t>: ScoreDifferentiable<'t, F>,
{
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        self.baseline.check_distribution(distribution)?;
        Ok(Method::profile(self).guarantee(path))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let set = self.sampling.draw(context, distribution)?;
        match check_baseline(context.tape(), set.plate, &self.baseline) {
            Ok(()) => Ok(set),
            Err(problem) => Err(unsuitable(context, distribution.name(), &Method::name(self), &problem)),
        }
    }

    fn gradient_function<'t>(&self, distribution: &D::On<'t>, value: Var<'t, F>, _path: &Path) -> Option<Var<'t, F>> {
        Some(distribution.log_prob(value))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let baselines = match self.baseline.by_member() {
            true => self.baseline.baselines(context, &parameters_by_member::<F, D>(context, distribution)?)?,
            false => self.baseline.baselines(context, distribution)?,
        };
        Ok(baseline_terms(context.tape(), baselines))
    }
}

/// The terms of a method with baselines: the control variates $(1 - \square(l))\, \operatorname{stop}(b)$, the
/// derivatives of the known means, and what the baselines learn. The method must have the log-probability as its
/// gradient function.
///
/// A method that accepts a [`Baseline`] forwards `slots` to it, calls [`check_baseline`] in `sample`
/// and [`Baseline::check_distribution`] in `guarantee`, and returns these terms.
pub fn baseline_terms<'t, F: Real>(tape: &'t Tape<F>, baselines: Baselines<'t, F>) -> Terms<'t, F> {
    instantiated!(F: for<'t> fn(&'t Tape<F>, Baselines<'t, F>) -> Terms<'t, F> = baseline_terms_body)(tape, baselines)
}

fn baseline_terms_body<'t, F: Real>(tape: &'t Tape<F>, baselines: Baselines<'t, F>) -> Terms<'t, F> {
    // Costs that depend on the same members jointly have the same gradient function and share one magic box.
    let mut groups: Vec<CostBaseline<'t, F>> = Vec::new();
    for baseline in baselines.values {
        match groups.iter_mut().find(|group| group.cost.joint == baseline.cost.joint) {
            Some(group) => {
                group.value = group.value + baseline.value;
                group.mean =
                    group.mean.zip(baseline.mean).map(|(sum, mean)| sum + mean).or(group.mean).or(baseline.mean);
            }
            None => groups.push(baseline),
        }
    }
    let control_variates = groups
        .into_iter()
        .filter_map(|CostBaseline { cost, value, mean }| {
            let a = (1.0 - cost.gradient_function?.magic_box()) * value.stop_gradient();
            Some(mean.map_or(a, |mean| a + tape.constant(0.0).straight_through(mean)))
        })
        .collect();
    let Baselines { gradient_terms, auxiliary, updates, .. } = baselines;
    Terms { control_variates, gradient_terms, auxiliary, updates }
}

/// Checks that a baseline may be used with the samples on a plate: one that is made of other members needs independent
/// samples.
///
/// # Errors
/// What the baseline needs, and what to try.
pub fn check_baseline<F: Real>(tape: &Tape<F>, plate: Option<Plate>, baseline: &impl Memory) -> Result<(), String> {
    instantiated!(
        F: fn(&Tape<F>, Option<Plate>, &dyn Memory) -> Result<(), String> = check_baseline_body
    )(tape, plate, baseline)
}

fn check_baseline_body<F: Real>(tape: &Tape<F>, plate: Option<Plate>, baseline: &dyn Memory) -> Result<(), String> {
    match plate {
        Some(plate) if tape.plate_kind(plate).is_independent() => baseline.check(tape.whole_plate_size(plate)),
        Some(plate) if tape.plate_kind(plate) == PlateKind::SchemeSamples => {
            baseline.check_groups(independent_members(tape, plate)).map_err(|_| {
                let name = baseline.name().unwrap_or_else(|| "this baseline".into());
                format!(
                    "the members of plate \"{}\" are drawn by a sampling scheme and depend on one another, so that \
                 {name}, which is made of the other members, would bias the gradient; use LeaveOneOut with several \
                 groups, .groups(2) or more, use Constant, MovingAverage or a FnBaseline, or leave the scheme out",
                    tape.plate_name(plate)
                )
            })
        }
        _ => baseline.check(1),
    }
}

#[cfg(test)]
mod tests;
