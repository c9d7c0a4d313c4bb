//! Gradient methods: the interface.
//!
//! A gradient method for a stochastic node has six parts. It *samples* a set of values along a plate, and *weights* the
//! members. It contributes a *gradient function* $l$, of which only the derivatives matter, *control variates* $a$ of
//! value and mean zero, *gradient terms* of value zero whose derivative is part of the gradient, and *auxiliary losses*
//! for parameters of its own. The module `surrogate` composes these parts without knowing any particular method.

pub(crate) mod alternative_world;
pub(crate) mod context;
pub(crate) mod cost_queries;
mod forward;
pub(crate) mod group;
pub(crate) mod method_slots;
pub(crate) mod node_cost;
pub(crate) mod node_method;
pub(crate) mod places;
pub(crate) mod profile;
pub(crate) mod replacements;
pub(crate) mod sample_context;
pub(crate) mod sample_path;
pub(crate) mod sample_set;
pub(crate) mod set_part;
pub(crate) mod slot_set;
pub(crate) mod terms;
pub(crate) mod updates;

use crate::error::GraphResult;
use crate::forward_method;
use crate::guarantee::{Guarantee, Path};
use crate::method::alternative_world::Candidates;
use crate::method::context::CostContext;
use crate::method::group::Group;
use crate::method::method_slots::{MethodSlots, MethodState};
use crate::method::profile::Profile;
use crate::method::sample_context::SampleContext;
use crate::method::sample_set::{SamplePlate, SampleSet};
use crate::method::terms::Terms;
use std::sync::Arc;
use stochgrad_distributions::{Distribution, Family};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// The part of a gradient method that does not depend on the distribution. Implement it together with
/// [`GradientMethod`].
pub trait Method: Send + Sync {
    /// The name and the settings that matter, for messages and drawings: `score function (leave-one-out, 4 samples)`.
    fn name(&self) -> String;

    /// The properties of the method with its settings: bias, order, cost evaluations, requirements on the cost.
    fn profile(&self) -> Profile;

    /// The plate along which the samples are drawn. The exact oracle draws as many independent values.
    fn sample_plate(&self) -> SamplePlate {
        SamplePlate::Single
    }

    /// Whether the values are recorded functions of the parameters. A replay records such a node again, and asks any
    /// other method to [resample](GradientMethod::resample).
    fn is_rerecordable(&self) -> bool {
        false
    }

    /// Whether the method has a [relaxed value](GradientMethod::relaxed_value) for differentiable replays of other nodes.
    fn relaxes_in_replays(&self) -> bool {
        false
    }

    /// Whether the method accounts for the jumps of costs where the node's value crosses a threshold, in its gradient
    /// terms. Such a crossing is a comparison (`gt`, `ge`, `lt`, `le`) of the value itself with a value that does not
    /// depend on the node and lies on its plates; [`CostContext::thresholds`] lists the latter. It counts as a kink on the
    /// paths that the method is shown, also where another node with such a method carries it.
    fn carries_crossings(&self) -> bool {
        false
    }

    /// The slots in which the method keeps values between steps. It has none by default.
    fn slots(&self) -> MethodSlots {
        MethodSlots::default()
    }

    /// The values that the method keeps between steps, for checkpoints: those of its [slots](Method::slots).
    fn state(&self) -> MethodState {
        self.slots().state()
    }

    /// Restores values that [`state`](Method::state) returned.
    ///
    /// # Errors
    /// If the state is not one of this method, which is then as before.
    fn load_state(&self, state: &MethodState) -> GraphResult<()> {
        self.slots().load(&self.name(), state)
    }
}

/// A gradient method for the distributions of a family. The trait is object-safe; see [`DynMethod`].
///
/// Keep state, if there is any, in a [`SlotSet`](crate::SlotSet), which clones share: each node stores a clone of the
/// method. The slots must not change during a step. They are changed only by the updates that the method returns in
/// [`Terms`].
pub trait GradientMethod<F: Real, D: Family<F>>: Method {
    /// The bias and order for this distribution, given the worst path from the node's value. By default, it follows
    /// from the [`profile`](Method::profile) and the path.
    ///
    /// # Errors
    /// If the method cannot be used on this node: the reason, and what to try.
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

    /// Draws the sample set again, downstream of a replay: with the same support, size, noise and state, and new
    /// weights. The context returns the plate of the primal run.
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

    /// A value between the states that stands for the sample in a differentiable replay of a node upstream, where the
    /// distribution has `changed`: a recorded function of its parameters, under the noise of the sample. Without one,
    /// the node is drawn again, and contributes its score, which has a higher variance. Only methods whose costs are
    /// defined between the states should have one; they say so with [`Method::relaxes_in_replays`].
    ///
    /// # Errors
    /// Those of the distribution and the noise source.
    fn relaxed_value<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &D::On<'t>,
        changed: &D::On<'t>,
    ) -> GraphResult<Option<Var<'t, F>>> {
        let _ = (context, distribution, changed);
        Ok(None)
    }

    /// Whether gradients flow through the sampled value. Called before differentiation.
    fn passes_gradient(&self, path: &Path) -> bool {
        let _ = path;
        true
    }

    /// The gradient function: a scalar $l$ for each member, such as the log-probability, of which only the derivatives
    /// matter.
    fn gradient_function<'t>(&self, distribution: &D::On<'t>, value: Var<'t, F>, path: &Path) -> Option<Var<'t, F>> {
        let _ = (distribution, value, path);
        None
    }

    /// The control variates, gradient terms, auxiliary losses and updates of state.
    ///
    /// # Errors
    /// Those of replays.
    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let _ = (context, distribution);
        Ok(Terms::default())
    }

    /// The group that makes the gradient terms of this node together with those of other nodes. The nodes of a group
    /// are those whose methods return the same pointer.
    fn group(&self) -> Option<Arc<dyn Group<F>>> {
        None
    }

    /// The alternatives to the sample of the node, for its group.
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

    /// A description of what the method decided by itself on this node, if it decides anything.
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
