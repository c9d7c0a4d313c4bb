//! Baselines: what is subtracted from the costs of a score-function node to reduce its variance.
//!
//! A baseline $b$ of a cost enters the surrogate as the control variate $a = (1 - \square(l))\, \operatorname{stop}(b)$. The
//! gradient stays unbiased, at every order, for every $b$ that does not depend on the sample that it is used for: it may depend on
//! ancestors of the node, on other members of the sample set, and on past steps.

mod constant;
mod function;
mod leave_one_out;
mod moving_average;
mod ovis;
mod vimco;

pub use constant::{Constant, NoBaseline};
pub use function::FnBaseline;
pub use leave_one_out::LeaveOneOut;
pub use moving_average::MovingAverage;
pub use ovis::Ovis;
pub use vimco::Vimco;

use std::sync::Arc;
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, GraphError, GraphResult, MethodState, NodeCost, Update};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// The baselines of one node in one step.
pub struct Baselines<'t, F: Real> {
    /// Costs with their baselines, on any of the plates of the cost. A cost that is not listed has none; the sum of the baselines
    /// of several costs with equal [`joint`](NodeCost::joint) plates may be given with any one of them.
    pub values: Vec<(NodeCost<'t, F>, Var<'t, F>)>,
    /// Changes of the memory.
    pub updates: Vec<Update<'t, F>>,
}

impl<F: Real> Default for Baselines<'_, F> {
    fn default() -> Self {
        Baselines { values: Vec::new(), updates: Vec::new() }
    }
}

/// What of a baseline does not depend on the type of numbers: its name, its demands, and what it remembers.
pub trait Memory: Send + Sync {
    /// The name with the settings that matter, for messages and drawings; `None` to go unmentioned.
    fn name(&self) -> Option<String>;

    /// Checks the settings, and that the sample set suits them: `members` of its plate are independent draws.
    ///
    /// # Errors
    /// What was expected, what came, and what to try.
    fn check(&self, members: usize) -> Result<(), String> {
        let _ = members;
        Ok(())
    }

    /// What the baseline remembers between steps.
    fn state(&self) -> MethodState {
        MethodState::new()
    }

    /// Restores what [`state`](Memory::state) gave.
    ///
    /// # Errors
    /// If the state is not one of this baseline.
    fn load_state(&self, state: &MethodState) -> GraphResult<()> {
        match state.keys().next() {
            None => Ok(()),
            Some(key) => Err(GraphError::State {
                method: self.name().unwrap_or_else(|| "no baseline".into()),
                problem: format!("expected nothing, came \"{key}\"; was the checkpoint made with another baseline?"),
            }),
        }
    }
}

/// A baseline. Object-safe: see [`DynBaseline`].
///
/// A method is stored by clone, so memory lives behind a shared pointer; it is frozen during a step and changed only by
/// the updates that [`baselines`](Baseline::baselines) returns.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Distribution};
/// use stochgrad_estimators::{Baseline, Baselines, Memory, ScoreFunction};
/// use stochgrad_graph::{CostContext, Graph, GraphError, GraphResult, Seed};
/// use stochgrad_tape::Tape;
///
/// /// The mean of the distribution stands for the sample.
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
///         let values = context.totals()?.into_iter().map(|cost| (cost, (mean - 0.5).square().sum())).collect();
///         Ok(Baselines { values, ..Baselines::default() })
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
    /// The baselines of the costs downstream of a node, and updates of the memory. They must not depend on the sample that they are
    /// used for: the gradient would be biased. The score function stops gradients through them.
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

    fn check(&self, members: usize) -> Result<(), String> {
        (**self).check(members)
    }

    fn state(&self) -> MethodState {
        (**self).state()
    }

    fn load_state(&self, state: &MethodState) -> GraphResult<()> {
        (**self).load_state(state)
    }
}

impl<F: Real, B: Baseline<F> + ?Sized> Baseline<F> for Arc<B> {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        (**self).baselines(context, distribution)
    }
}
