//! Gradient methods: the interface.
//!
//! A gradient method for a stochastic node is six parts: it *samples* a set of values along a plate, *weights* the members,
//! gives a *gradient function* $l$ whose derivatives matter, *control variates* $a$ of value and mean zero, *gradient terms* of
//! value zero whose derivative is part of the gradient, and *auxiliary losses* for parameters of its own. The
//! surrogate builder (the module `surrogate`) composes them; it knows no particular method.

use crate::context::{CostContext, SampleContext};
use crate::error::{GraphError, GraphResult};
use crate::group::{Candidates, Group};
use crate::guarantee::{Guarantee, Path};
use crate::profile::Profile;
use std::collections::BTreeMap;
use std::sync::Arc;
use stochgrad_distributions::{Distribution, Family};
use stochgrad_tape::{Plate, Plates, Var};
use stochgrad_tensor::{Real, Tensor};

/// Where the members of a sample set live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SamplePlate {
    /// One sample, no plate.
    #[default]
    Single,
    /// That many samples along a plate of the node's own.
    New(usize),
    /// One sample for each member of a plate that exists, shared with other nodes.
    Shared(Plate),
}

impl SamplePlate {
    /// How many samples are drawn for each member of the plates that exist.
    pub fn samples(self) -> usize {
        match self {
            SamplePlate::New(samples) => samples,
            SamplePlate::Single | SamplePlate::Shared(_) => 1,
        }
    }
}

/// The values of a node.
#[derive(Clone, Debug)]
pub struct SampleSet<'t, F: Real> {
    /// The values, along the plates of the parameters and the set's own.
    pub value: Var<'t, F>,
    /// The set's own plate, if it has one.
    pub plate: Option<Plate>,
    /// The weights of the members and whether gradients flow through them; `None` for equal weights.
    pub weights: Option<(Var<'t, F>, bool)>,
}

impl<'t, F: Real> SampleSet<'t, F> {
    /// Equally weighted values.
    pub fn equal(value: Var<'t, F>, plate: Option<Plate>) -> Self {
        SampleSet { value, plate, weights: None }
    }
}

/// A scalar of value zero whose derivative is part of the gradient.
#[derive(Clone, Debug)]
pub struct GradientTerm<'t, F: Real> {
    /// The scalar, one for each combination of members of the node's plates.
    pub value: Var<'t, F>,
    /// Plates whose members are summed and not averaged, because the cost saw them jointly.
    pub summed: Plates,
}

/// What is done with some values once the step is over.
pub type Apply<F> = Arc<dyn Fn(&[Tensor<F>]) + Send + Sync>;

/// A change of a method's state, made when the user calls [`Gradients::advance`](crate::Gradients::advance). A compiled graph
/// makes it after each of its runs, so all that varies must come in by the inputs.
pub struct Update<'t, F: Real> {
    /// The values that the change is made of.
    pub inputs: Vec<Var<'t, F>>,
    /// Receives their values.
    pub apply: Apply<F>,
}

/// A loss for the parameters of the method itself; never mixed into the model's gradient.
pub struct AuxiliaryLoss<'t, F: Real> {
    /// One number.
    pub loss: Var<'t, F>,
    /// The method's own parameters.
    pub parameters: Vec<Var<'t, F>>,
    /// Receives the gradients when the user calls [`Gradients::advance`](crate::Gradients::advance).
    pub apply: Apply<F>,
}

/// What a method contributes besides its gradient function.
pub struct Terms<'t, F: Real> {
    /// Control variates: value zero, mean zero.
    pub control_variates: Vec<Var<'t, F>>,
    /// Gradient terms; order 1.
    pub gradient_terms: Vec<GradientTerm<'t, F>>,
    /// Losses for the method's own parameters.
    pub auxiliary: Vec<AuxiliaryLoss<'t, F>>,
    /// Changes of the method's state, made when the user calls [`Gradients::advance`](crate::Gradients::advance).
    pub updates: Vec<Update<'t, F>>,
}

impl<F: Real> Default for Terms<'_, F> {
    fn default() -> Self {
        Terms { control_variates: Vec::new(), gradient_terms: Vec::new(), auxiliary: Vec::new(), updates: Vec::new() }
    }
}

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

    /// Whether the values are recorded functions of the parameters, so that recording the functions again draws the node again.
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
/// State, if any, lives behind a shared pointer: a method is stored by clone, frozen during a step, and changed only by the
/// updates that it returns in [`Terms`].
pub trait GradientMethod<F: Real, D: Family<F>>: Method {
    /// The bias and order for this distribution, given the worst path from the node's value: what the [`profile`](Method::profile) makes of the
    /// path, unless the method says more.
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

    /// Draws the set again downstream of a replay: same support, same size, same noise, weights recomputed, state frozen. The
    /// context hands out the plate of the primal run.
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

    /// The group that makes the gradient terms of this node together with those of others: all nodes whose methods return the same pointer.
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
    fn name(&self) -> String {
        (**self).name()
    }

    fn profile(&self) -> Profile {
        (**self).profile()
    }

    fn sample_plate(&self) -> SamplePlate {
        (**self).sample_plate()
    }

    fn is_rerecordable(&self) -> bool {
        (**self).is_rerecordable()
    }

    fn state(&self) -> MethodState {
        (**self).state()
    }

    fn load_state(&self, state: &MethodState) -> GraphResult<()> {
        (**self).load_state(state)
    }
}

impl<F: Real, D: Family<F>, M: GradientMethod<F, D> + ?Sized> GradientMethod<F, D> for Arc<M> {
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        (**self).guarantee(distribution, path)
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        (**self).sample(context, distribution)
    }

    fn resample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        (**self).resample(context, distribution)
    }

    fn passes_gradient(&self, path: &Path) -> bool {
        (**self).passes_gradient(path)
    }

    fn gradient_function<'t>(&self, distribution: &D::On<'t>, value: Var<'t, F>, path: &Path) -> Option<Var<'t, F>> {
        (**self).gradient_function(distribution, value, path)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        (**self).terms(context, distribution)
    }

    fn group(&self) -> Option<Arc<dyn Group<F>>> {
        (**self).group()
    }

    fn candidates<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<Candidates<'t, F>> {
        (**self).candidates(context, distribution)
    }

    fn report(&self, distribution: &D::On<'_>, path: &Path) -> Option<String> {
        (**self).report(distribution, path)
    }
}
