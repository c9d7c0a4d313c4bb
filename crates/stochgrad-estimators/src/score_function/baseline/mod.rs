//! Baselines: values that are subtracted from the costs of a score-function node to reduce its variance.
//!
//! A baseline $b$ of a cost enters the surrogate as the control variate $a = (1 - \square(l))\,
//! \operatorname{stop}(b)$. The gradient stays unbiased, at every order, for every $b$ that does not depend on the
//! sample that it is used for. It may depend on ancestors of the node, on other members of the sample set, on past
//! steps, and on noise downstream.
//!
//! A baseline $b(x)$ that does depend on the sample needs its mean $m(\theta) = \mathbb{E}[b(x)]$ in closed form:
//!
//! $$a = (1 - \square(l))\, \operatorname{stop}(b(x)) + m(\theta) - \operatorname{stop}(m(\theta)).$$

mod batch_mean;
mod constant;
mod control_function;
mod delta_method;
mod each_cost;
mod fresh_sample;
mod function;
mod leave_one_out;
mod linear_control_variates;
mod members;
mod moving_average;
mod mu_prop;
mod normalized;
mod nvil;
mod optimal;
mod ovis;
mod ovis_monte_carlo;
mod per_cost;
mod recorded;
mod self_critical;
mod taylor;
mod vimco;

pub use batch_mean::BatchMean;
pub use constant::{Constant, NoBaseline};
pub use control_function::ControlFunction;
pub use delta_method::DeltaMethod;
pub use each_cost::EachCost;
pub use fresh_sample::FreshSample;
pub use function::FnBaseline;
pub use leave_one_out::LeaveOneOut;
pub use linear_control_variates::LinearControlVariates;
pub use members::{independent_members, independent_plates, over_joint, sum_of_others, total_key};
pub use moving_average::MovingAverage;
pub use mu_prop::MuProp;
pub use normalized::Normalized;
pub use nvil::Nvil;
pub use optimal::{OptimalBaseline, member_scores};
pub use ovis::Ovis;
pub use ovis_monte_carlo::OvisMonteCarlo;
pub use per_cost::PerCost;
pub use recorded::RecordedBaseline;
pub use self_critical::SelfCritical;
pub use vimco::Vimco;

use std::sync::Arc;
use stochgrad_distributions::Distribution;
use stochgrad_graph::{
    AuxiliaryLoss, CostContext, Count, GradientTerm, GraphResult, MethodSlots, MethodState, NodeCost, Order, Profile,
    Update,
};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// A cost with its baseline.
#[derive(Clone, Debug)]
pub struct CostBaseline<'t, F: Real> {
    /// The cost.
    pub cost: NodeCost<'t, F>,
    /// The baseline, on any of the plates of the cost.
    pub value: Var<'t, F>,
    /// The mean of a baseline that depends on the sample itself, as a differentiable function of the parameters of the
    /// node. It must be the mean at any parameters, with everything else that the baseline was made of held constant.
    pub mean: Option<Var<'t, F>>,
}

impl<'t, F: Real> CostBaseline<'t, F> {
    /// A baseline that does not depend on the sample.
    pub fn new(cost: NodeCost<'t, F>, value: Var<'t, F>) -> Self {
        CostBaseline { cost, value, mean: None }
    }

    /// A baseline that depends on the sample, and its mean.
    pub fn with_mean(cost: NodeCost<'t, F>, value: Var<'t, F>, mean: Var<'t, F>) -> Self {
        CostBaseline { cost, value, mean: Some(mean) }
    }
}

/// The baselines of one node in one step.
pub struct Baselines<'t, F: Real> {
    /// Costs with their baselines. A cost that is not listed has none; the sum of the baselines of several costs with
    /// equal [`joint`](NodeCost::joint) plates may be given with any one of them.
    pub values: Vec<CostBaseline<'t, F>>,
    /// Baselines that act on single elements of a parameter, as terms of mean zero.
    pub gradient_terms: Vec<GradientTerm<'t, F>>,
    /// Losses for what the baseline learns.
    pub auxiliary: Vec<AuxiliaryLoss<'t, F>>,
    /// Updates of the baseline's state.
    pub updates: Vec<Update<'t, F>>,
}

impl<F: Real> Default for Baselines<'_, F> {
    fn default() -> Self {
        Baselines { values: Vec::new(), gradient_terms: Vec::new(), auxiliary: Vec::new(), updates: Vec::new() }
    }
}

impl<'t, F: Real> Baselines<'t, F> {
    /// Baselines that do not depend on the sample, without a state.
    pub fn new(values: impl IntoIterator<Item = (NodeCost<'t, F>, Var<'t, F>)>) -> Self {
        let values = values.into_iter().map(|(cost, value)| CostBaseline::new(cost, value)).collect();
        Baselines { values, ..Self::default() }
    }

    /// Adds the baselines of other costs.
    pub fn extend(&mut self, others: Self) {
        self.values.extend(others.values);
        self.gradient_terms.extend(others.gradient_terms);
        self.auxiliary.extend(others.auxiliary);
        self.updates.extend(others.updates);
    }
}

/// The part of a baseline that does not depend on the number type: its name, its requirements, and its state.
pub trait Memory: Send + Sync {
    /// The name with the important settings, for messages and drawings; `None` if it is not to be mentioned.
    fn name(&self) -> Option<String>;

    /// What the baseline adds to the profile of the score function, for each sample: its bias and order, and its
    /// evaluations and backward passes of the costs.
    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any).evaluations(Count::exactly(0))
    }

    /// Checks the settings, and that the baseline may be used with this number of independent samples.
    ///
    /// # Errors
    /// What was expected, what was given, and what to try.
    fn check(&self, members: usize) -> Result<(), String> {
        let _ = members;
        Ok(())
    }

    /// Checks that the baseline may be used with samples that a sampling scheme draws, in this number of independent
    /// groups. The default accepts baselines that need no other samples.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    fn check_groups(&self, groups: usize) -> Result<(), String> {
        let _ = groups;
        self.check(1)
    }

    /// Whether [`baselines`](Baseline::baselines) needs a distribution with separate parameters for each member, so
    /// that a derivative with respect to them is that of a single member.
    fn by_member(&self) -> bool {
        false
    }

    /// Whether the baseline of a member is made of the samples of other members.
    fn sees_other_members(&self) -> bool {
        false
    }

    /// The slots in which the baseline keeps values between steps. It has none by default.
    fn slots(&self) -> MethodSlots {
        MethodSlots::default()
    }

    /// What the baseline remembers between steps: the values of its [slots](Memory::slots).
    fn state(&self) -> MethodState {
        self.slots().state()
    }

    /// Restores what [`state`](Memory::state) returned.
    ///
    /// # Errors
    /// If the state is not one of this baseline, which is then as before.
    fn load_state(&self, state: &MethodState) -> GraphResult<()> {
        self.slots().load(&self.name().unwrap_or_else(|| "no baseline".into()), state)
    }
}

/// A baseline. Object-safe: see [`DynBaseline`].
///
/// A method is stored as a clone, so that the state must be in slots, which clones share. It must not change during a step,
/// except by the updates that [`baselines`](Baseline::baselines) returns. [`extension`](crate::extension) has building
/// blocks for baselines.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Distribution};
/// use stochgrad_estimators::{Baseline, Baselines, Memory, ScoreFunction};
/// use stochgrad_graph::{CostContext, Graph, GraphError, GraphResult, Seed};
/// use stochgrad_tape::Tape;
///
/// /// The cost at the mean of the distribution.
/// #[derive(Clone)]
/// struct CostOfTheMean;
///
/// impl Memory for CostOfTheMean {
///     fn name(&self) -> Option<String> {
///         Some("cost of the mean".into())
///     }
/// }
///
/// impl Baseline<f64> for CostOfTheMean {
///     fn baselines<'t>(
///         &self,
///         context: &CostContext<'_, 't, f64>,
///         distribution: &dyn Distribution<'t, f64>,
///     ) -> GraphResult<Baselines<'t, f64>> {
///         let mean = distribution.mean().ok_or_else(|| context.refused("expected a distribution with a mean"))?;
///         Ok(Baselines::new(context.totals()?.into_iter().map(|cost| (cost, (mean - 0.5).square().sum()))))
///     }
/// }
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logit = graph.param("logit", 0.3)?;
/// let bit = graph.sample("bit", &Bernoulli::from_logits(logit), &ScoreFunction::new().baseline(CostOfTheMean))?;
/// graph.cost("loss", (bit - 0.5).square())?;
/// graph.backward()?;
/// # Ok(())
/// # }
/// ```
pub trait Baseline<F: Real>: Memory {
    /// Checks that the distribution has what the baseline needs.
    ///
    /// # Errors
    /// What it lacks, and what to try.
    fn check_distribution(&self, distribution: &dyn Distribution<'_, F>) -> Result<(), String> {
        let _ = distribution;
        Ok(())
    }

    /// The baselines of the costs downstream of a node, and the updates of the state. A baseline that depends on the
    /// sample that it is used for makes the gradient biased, unless its mean is given. The score function stops
    /// gradients through baselines.
    ///
    /// # Errors
    /// If the node or its costs do not suit the baseline.
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>>;
}

/// A baseline chosen at run time.
pub type DynBaseline<F> = Arc<dyn Baseline<F>>;

impl<B: Memory + ?Sized> Memory for Arc<B> {
    fn name(&self) -> Option<String> {
        (**self).name()
    }

    fn profile(&self) -> Profile {
        (**self).profile()
    }

    fn check(&self, members: usize) -> Result<(), String> {
        (**self).check(members)
    }

    fn check_groups(&self, groups: usize) -> Result<(), String> {
        (**self).check_groups(groups)
    }

    fn by_member(&self) -> bool {
        (**self).by_member()
    }

    fn sees_other_members(&self) -> bool {
        (**self).sees_other_members()
    }

    fn slots(&self) -> MethodSlots {
        (**self).slots()
    }
}

impl<F: Real, B: Baseline<F> + ?Sized> Baseline<F> for Arc<B> {
    fn check_distribution(&self, distribution: &dyn Distribution<'_, F>) -> Result<(), String> {
        (**self).check_distribution(distribution)
    }

    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        (**self).baselines(context, distribution)
    }
}
