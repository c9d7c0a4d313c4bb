//! Gradient methods: the interface.
//!
//! A gradient method for a stochastic node is six parts: it *samples* a set of values along a plate, *weights* the members,
//! gives a *gradient function* $l$ whose derivatives matter, *control variates* $a$ of value and mean zero, *gradient terms* of
//! value zero whose derivative is part of the gradient, and *auxiliary losses* for parameters of its own. The
//! surrogate builder (the module `surrogate`) composes them; it knows no particular method.

pub(crate) mod alternative_world;
pub(crate) mod context;
pub(crate) mod cost_queries;
mod forward;
pub(crate) mod group;
pub(crate) mod node_cost;
pub(crate) mod places;
pub(crate) mod profile;
pub(crate) mod sample_context;
pub(crate) mod sample_path;
pub(crate) mod sample_set;
pub(crate) mod terms;

use crate::error::{GraphError, GraphResult};
use crate::forward_method;
use crate::guarantee::{Guarantee, Path};
use crate::method::alternative_world::Candidates;
use crate::method::context::CostContext;
use crate::method::group::Group;
use crate::method::profile::Profile;
use crate::method::sample_context::SampleContext;
use crate::method::sample_set::{SamplePlate, SampleSet};
use crate::method::terms::Terms;
use std::collections::BTreeMap;
use std::sync::Arc;
use stochgrad_distributions::{Distribution, Family};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// The numbers that a method remembers between steps, by name.
pub type MethodState = BTreeMap<String, Vec<f64>>;

/// What of a gradient method does not depend on the distribution.
pub trait Method: Send + Sync {
    /// The name with the settings that matter, for messages and drawings: `score function (leave-one-out, 4 samples)`.
    fn name(&self) -> String;

    /// What the method states about itself, with its settings.
    fn profile(&self) -> Profile;

    /// Where the members of a sample set live: the exact oracle draws that many independent values.
    fn sample_plate(&self) -> SamplePlate {
        SamplePlate::Single
    }

    /// Whether the values are recorded functions of the parameters, so that recording the functions again draws the
    /// node again.
    fn is_rerecordable(&self) -> bool {
        false
    }

    /// What the method remembers between steps.
    fn state(&self) -> MethodState {
        MethodState::new()
    }

    /// Restores what [`state`](Method::state) gave.
    ///
    /// # Errors
    /// If the state is not one of this method.
    fn load_state(&self, state: &MethodState) -> GraphResult<()> {
        match state.keys().next() {
            None => Ok(()),
            Some(key) => Err(GraphError::State {
                method: self.name(),
                problem: format!("expected nothing, got \"{key}\"; was the checkpoint made with another method?"),
            }),
        }
    }
}

/// A gradient method for the distributions of a family. Object-safe: see [`DynMethod`].
///
/// State, if any, lives behind a shared pointer: a method is stored by clone, frozen during a step, and changed only by
/// the updates that it returns in [`Terms`].
pub trait GradientMethod<F: Real, D: Family<F>>: Method {
    /// The bias and order for this distribution, given the worst path from the node's value: what the
    /// [`profile`](Method::profile) makes of the path, unless the method says more.
    ///
    /// # Errors
    /// If the method must not be used there: the reason, and what to try.
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        let _ = distribution;
        Ok(self.profile().guarantee(path))
    }

    /// Draws the sample set.
    ///
    /// # Errors
    /// Those of the distribution and the noise source.
    fn sample<'t>(&self, context: &SampleContext<'_, 't, F>, distribution: &D::On<'t>)
    -> GraphResult<SampleSet<'t, F>>;

    /// Draws the set again downstream of a replay: same support, same size, same noise, weights recomputed, state
    /// frozen. The context hands out the plate of the primal run.
    ///
    /// # Errors
    /// As [`sample`](GradientMethod::sample).
    fn resample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        self.sample(context, distribution)
    }

    /// Whether gradients flow through the sampled value; asked before differentiation.
    fn passes_gradient(&self, path: &Path) -> bool {
        let _ = path;
        true
    }

    /// The scalar $l$ for each member whose derivatives matter, such as the log-probability.
    fn gradient_function<'t>(&self, distribution: &D::On<'t>, value: Var<'t, F>, path: &Path) -> Option<Var<'t, F>> {
        let _ = (distribution, value, path);
        None
    }

    /// Control variates, gradient terms, auxiliary losses and updates of state.
    ///
    /// # Errors
    /// Those of replays.
    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let _ = (context, distribution);
        Ok(Terms::default())
    }

    /// The group that makes the gradient terms of this node together with those of others: all nodes whose methods
    /// return the same pointer.
    fn group(&self) -> Option<Arc<dyn Group<F>>> {
        None
    }

    /// What the node could be instead of its sample, for its group.
    ///
    /// # Errors
    /// Those of the distribution and the noise source.
    fn candidates<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<Candidates<'t, F>> {
        let _ = context;
        Ok(Candidates { values: Vec::new(), shares: Vec::new(), element_rank: distribution.element_rank() })
    }

    /// What the method decided for itself, if it decides anything.
    fn report(&self, distribution: &D::On<'_>, path: &Path) -> Option<String> {
        let _ = (distribution, path);
        None
    }
}

/// A gradient method chosen at run time.
pub type DynMethod<F, D> = Arc<dyn GradientMethod<F, D>>;

impl<M: Method + ?Sized> Method for Arc<M> {
    forward_method! { self => **self; all }
}

impl<F: Real, D: Family<F>, M: GradientMethod<F, D> + ?Sized> GradientMethod<F, D> for Arc<M> {
    forward_method! { <F, D> self => **self; all }
}
