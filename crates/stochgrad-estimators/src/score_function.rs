//! The score-function estimator.
//!
//! $$\nabla_\theta \mathbb{E}_{p(x; \theta)}[f(x)]
//!     = \mathbb{E}\big[(f(x) - b)\, \nabla_\theta \ln p(x; \theta)\big],$$
//!
//! averaged over $K$ independent samples. In the surrogate the gradient function is $l = \ln p(x; \theta)$, and the baseline
//! $b$ enters as the control variate $a = (1 - \square(l))\, \operatorname{stop}(b)$: its value is zero, its mean is zero, and so are
//! those of all its derivatives as long as $b$ does not depend on $x$.
//!
//! Also known as REINFORCE or the likelihood-ratio method: Glynn (1990), Williams (1992). Baselines: Greensmith et al. (2004);
//! at any order of derivative: Mao et al. (2019).
//!
//! *Assumes* that the support does not depend on the parameters, and that log p is differentiable in them. A kink of log p
//! (the location of a Laplace) limits the derivatives by that parameter to the first.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | any |
//! | cost evaluations | $K$ |
//! | the cost offers | its value only: jumps, branches and black boxes are welcome |

use crate::baseline::{Baseline, Baselines, Memory, NoBaseline};
use stochgrad_distributions::{Distribution, DistributionError, Family, ScoreDifferentiable};
use stochgrad_graph::{
    CostContext, GradientMethod, GraphResult, Guarantee, Method, MethodState, Path, SampleContext, SamplePlate, SampleSet, Terms,
};
use stochgrad_tape::{Plate, Plates, Tape, Var, Weights};
use stochgrad_tensor::Real;

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
/// assert_eq!(gradients.get("logits")?.shape(), &[2]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ScoreFunction<B = NoBaseline> {
    plate: SamplePlate,
    baseline: B,
}

impl ScoreFunction {
    /// One sample, and no baseline.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<B> ScoreFunction<B> {
    /// Draws `count` samples along a plate of the node's own.
    pub fn samples(self, count: usize) -> Self {
        ScoreFunction { plate: SamplePlate::New(count), ..self }
    }

    /// Draws one sample for each member of a plate that exists, together with other nodes.
    pub fn along(self, plate: Plate) -> Self {
        ScoreFunction { plate: SamplePlate::Shared(plate), ..self }
    }

    /// Subtracts a baseline from the costs.
    pub fn baseline<C>(self, baseline: C) -> ScoreFunction<C> {
        ScoreFunction { plate: self.plate, baseline }
    }
}

impl<B: Memory> Method for ScoreFunction<B> {
    fn name(&self) -> String {
        let baseline = self.baseline.name();
        let samples = match self.plate {
            SamplePlate::Single => None,
            SamplePlate::New(1) => Some("1 sample".to_owned()),
            SamplePlate::New(count) => Some(format!("{count} samples")),
            SamplePlate::Shared(_) => Some("along a shared plate".to_owned()),
        };
        let settings: Vec<String> = baseline.into_iter().chain(samples).collect();
        if settings.is_empty() { "score function".into() } else { format!("score function ({})", settings.join(", ")) }
    }

    fn sample_plate(&self) -> SamplePlate {
        self.plate
    }

    fn state(&self) -> MethodState {
        self.baseline.state()
    }

    fn load_state(&self, state: &MethodState) -> GraphResult<()> {
        self.baseline.load_state(state)
    }
}

impl<F: Real, D: Family<F>, B: Baseline<F>> GradientMethod<F, D> for ScoreFunction<B>
where
    for<'t> D::On<'t>: ScoreDifferentiable<'t, F>,
{
    fn guarantee(&self, _distribution: &D::On<'_>, _path: &Path) -> Result<Guarantee, String> {
        Ok(Guarantee::EXACT)
    }

    fn sample<'t>(&self, context: &SampleContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<SampleSet<'t, F>> {
        let set = context.independent(distribution, self.plate)?;
        let members = set.plate.map_or(1, |plate| independent_members(context.tape(), plate));
        self.baseline.check(members).map_err(|problem| {
            let problem = format!("{}: {problem}", Method::name(self));
            context.error(DistributionError::Unsupported { distribution: distribution.name(), problem })
        })?;
        Ok(set)
    }

    fn gradient_function<'t>(&self, distribution: &D::On<'t>, value: Var<'t, F>, _path: &Path) -> Option<Var<'t, F>> {
        Some(distribution.log_prob(value))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let Baselines { values, updates } = self.baseline.baselines(context, distribution)?;
        // Costs that see the same members jointly have the same gradient function: one box serves them all.
        let mut groups: Vec<(Plates, Var<'t, F>, Var<'t, F>)> = Vec::new();
        for (cost, baseline) in values {
            let Some(l) = cost.gradient_function else { continue };
            match groups.iter_mut().find(|(joint, ..)| *joint == cost.joint) {
                Some((_, _, sum)) => *sum = *sum + baseline,
                None => groups.push((cost.joint, l, baseline)),
            }
        }
        let control_variates = groups
            .into_iter()
            .map(|(joint, l, baseline)| {
                let a = (1.0 - l.magic_box()) * baseline.stop_gradient();
                // A joint cost occurs once, and not once for each member of a summed plate.
                let repeated = summed_members(context.tape(), &joint);
                if repeated == 1 { a } else { a * (1.0 / repeated as f64) }
            })
            .collect();
        Ok(Terms { control_variates, updates, ..Terms::default() })
    }
}

/// How many members of a plate have noise of their own.
fn independent_members<F: Real>(tape: &Tape<F>, plate: Plate) -> usize {
    if tape.plate_kind(plate).has_own_noise() { tape.plate_size(plate) } else { 1 }
}

fn summed_members<F: Real>(tape: &Tape<F>, plates: &[Plate]) -> usize {
    plates.iter().filter(|&&plate| tape.weights(plate) == Weights::Sum).map(|&plate| tape.plate_size(plate)).product()
}
