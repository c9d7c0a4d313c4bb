//! The optimiser of update rules.

mod compiled_step;
mod division;
mod section;
mod sections;
mod state;
#[cfg(test)]
mod tests;

pub use compiled_step::{CompiledStep, UpdatedParameter};

use std::fmt;
use std::sync::Arc;

use stochgrad_graph::Gradients;
use stochgrad_tape::descent::Schedule;
use stochgrad_tensor::{Real, Shape};

use super::average::Average;
use super::rule::UpdateRule;
use super::{Optimizer, OptimizerState};
use crate::clipping::Clip;
use crate::error::NnResult;
use crate::parameters::{NamePattern, Parameters};
use section::Section;
use sections::Sections;

/// An optimiser that follows an [`UpdateRule`], with a learning rate that may follow a [`Schedule`].
///
/// [`Adam`](super::Adam), [`AdamW`](super::AdamW), [`RmsProp`](super::RmsProp) and [`Sgd`](super::Sgd) are optimisers
/// of this type. The rule is recorded once and compiled for each shape of a parameter. Where the rule has a
/// hand-written kernel, it is used instead.
///
/// Every optimiser can have other settings for [some of the parameters](Self::group), or train [only](Self::only) some
/// of them. Before an update, it can take the [mean of the gradients of several minibatches](Self::accumulate) and
/// [clip](Self::clip) them, in this order, and after it [average](Self::average) the parameters. What it remembers for
/// this is part of its state. Parameters that are [frozen](Parameters::freeze) are never changed.
#[derive(Clone)]
pub struct Descent<F: Real, R> {
    pub(super) rule: R,
    sections: Sections<F>,
}

impl<F: Real, R: UpdateRule<F>> Descent<F, R> {
    /// The optimiser of a rule, with a learning rate or a schedule of it.
    pub fn of(rule: R, learning_rate: impl Into<Schedule>) -> Self {
        Descent { rule, sections: Sections::new(learning_rate.into()) }
    }

    /// The same optimiser with other settings of the rule.
    pub(super) fn with(mut self, change: impl FnOnce(&mut R)) -> Self {
        change(&mut self.rule);
        self.sections.list[0].compiled = Default::default();
        self
    }

    /// Gives some parameters the rule and the learning rate of another optimiser, of which nothing else is used. The
    /// updates of each group are counted separately.
    ///
    /// `names` is the name of a parameter or of a scope, or `*.bias` for all parameters whose last part is `bias`. A
    /// parameter belongs to the first group with its name. [`set_learning_rate`](Optimizer::set_learning_rate) changes
    /// no group.
    ///
    /// ```
    /// use stochgrad_graph::Gradients;
    /// use stochgrad_nn::{AdamW, Optimizer, Parameters, Sgd};
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert_all(["encoder.weight", "encoder.bias", "prior"].map(|name| (name, Tensor::scalar(1.0))))?;
    /// let mut optimizer = AdamW::new(0.1)
    ///     .group("*.bias", AdamW::new(0.1).weight_decay(0.0))
    ///     .group("prior", Sgd::new(0.5));
    /// let gradients = Gradients::from_tensors(parameters.names().map(|name| (name, Tensor::scalar(1.0))));
    /// optimizer.step(&mut parameters, &gradients)?;
    /// for (name, expected) in [("encoder.weight", 0.899), ("encoder.bias", 0.9), ("prior", 0.5)] {
    ///     assert!((parameters.get(name).unwrap().item()? - expected).abs() < 1e-8);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Optimizer::step`] returns an error if no parameter belongs to the group, or if the other optimiser has groups,
    /// clipping, accumulation or an average of its own.
    pub fn group<G>(mut self, names: &str, settings: Descent<F, G>) -> Self
    where
        G: UpdateRule<F> + Send + Sync + 'static,
    {
        self.sections.has_nested_settings |= settings.sections.has_more_than_a_rate();
        self.sections.division.groups.push(NamePattern::new(names));
        self.sections.list.push(Section::new(settings.schedule().clone()));
        self.sections.rules.push(Arc::new(settings.rule));
        self
    }

    /// Trains only the parameters of some names (see [`group`](Self::group)) and those in groups, so that each part of
    /// a model can have an optimiser of its own. All others stay as they are.
    ///
    /// ```
    /// use stochgrad_graph::Gradients;
    /// use stochgrad_nn::{Optimizer, Parameters, Sgd};
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert_all([("critic.a", Tensor::scalar(1.0)), ("generator.a", Tensor::scalar(1.0))])?;
    /// let gradients = Gradients::from_tensors(parameters.names().map(|name| (name, Tensor::scalar(1.0))));
    /// Sgd::new(0.5).only("critic").step(&mut parameters, &gradients)?;
    /// assert_eq!(parameters.get("critic.a"), Some(&Tensor::scalar(0.5)));
    /// assert_eq!(parameters.get("generator.a"), Some(&Tensor::scalar(1.0)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Optimizer::step`] returns an error if no parameter has such a name.
    pub fn only(mut self, names: &str) -> Self {
        self.sections.division.only = Some(NamePattern::new(names));
        self
    }

    /// Updates the parameters at every `minibatches`th call of [`step`](Optimizer::step) only, with the mean of the
    /// gradients since the last update: that of a minibatch of `minibatches` times the size, up to rounding. Each
    /// minibatch has the same weight.
    ///
    /// Schedules and averages count the updates. The state of the optimiser contains the gradients so far, so that a
    /// run can be resumed between two updates.
    ///
    /// ```
    /// use stochgrad_graph::Gradients;
    /// use stochgrad_nn::{Optimizer, Parameters, Sgd};
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert("x", Tensor::scalar(1.0))?;
    /// let mut sgd = Sgd::new(0.5).accumulate(2);
    /// for (gradient, expected) in [(1.0, 1.0), (3.0, 0.0)] {
    ///     sgd.step(&mut parameters, &Gradients::from_tensors([("x", Tensor::scalar(gradient))]))?;
    ///     assert_eq!(parameters.get("x").unwrap().item()?, expected);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Optimizer::step`] returns an error for 0 minibatches.
    pub fn accumulate(mut self, minibatches: u64) -> Self {
        self.sections.accumulated = minibatches;
        self
    }

    /// Clips the gradients of each update. The global norm is that of all gradients that this optimiser uses.
    ///
    /// ```
    /// use stochgrad_graph::Gradients;
    /// use stochgrad_nn::{Clip, Optimizer, Parameters, Sgd};
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert("x", Tensor::from([0.0, 0.0]))?;
    /// let mut sgd = Sgd::new(1.0).clip(Clip::by_global_norm(1.0));
    /// sgd.step(&mut parameters, &Gradients::from_tensors([("x", Tensor::from([30.0, -40.0]))]))?;
    /// assert_eq!(sgd.clipping().and_then(Clip::norm), Some(50.0));
    /// assert!((parameters.get("x").unwrap().as_slice()[1] - 0.8).abs() < 1e-12);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Optimizer::step`] returns those of [`Clip::apply`].
    pub fn clip(mut self, clip: Clip<F>) -> Self {
        self.sections.clip = Some(clip);
        self
    }

    /// Averages the parameters that this optimiser trains after each update. [`Optimizer::averages`] returns the
    /// average, which is part of the state of the optimiser.
    ///
    /// ```
    /// use stochgrad_nn::{Adam, Average, Optimizer};
    ///
    /// let adam = Adam::<f32>::new(1e-3).average(Average::exponential(0.999));
    /// assert!(adam.averages().is_some());
    /// ```
    pub fn average(mut self, average: Average<F>) -> Self {
        self.sections.average = Some(average);
        self
    }

    /// The clipping of the gradients, which knows the norm of the last ones.
    pub fn clipping(&self) -> Option<&Clip<F>> {
        self.sections.clip.as_ref()
    }

    /// The rule of the parameters that are in no group.
    pub fn rule(&self) -> &R {
        &self.rule
    }

    /// The schedule of the learning rate of the parameters that are in no group.
    pub fn schedule(&self) -> &Schedule {
        &self.sections.list[0].rate
    }
}

impl<F: Real, R: UpdateRule<F>> Optimizer<F> for Descent<F, R> {
    fn step(&mut self, parameters: &mut Parameters<F>, gradients: &Gradients<F>) -> NnResult<()> {
        self.sections.step(&self.rule, parameters, gradients)
    }

    fn learning_rate(&self) -> f64 {
        self.sections.list[0].rate.at(self.sections.list[0].steps)
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        let Section { rate, compiled, .. } = &mut self.sections.list[0];
        if rate.as_constant().is_none() {
            *compiled = Default::default();
        }
        *rate = Schedule::constant(learning_rate);
    }

    fn averages(&self) -> Option<&Average<F>> {
        self.sections.average.as_ref()
    }

    fn settings(&self) -> String {
        self.sections.settings(&self.rule)
    }

    fn compile_step(&self, parameters: &[(&str, Shape)]) -> NnResult<CompiledStep<F>> {
        self.sections.compile_step(&self.rule, parameters)
    }

    fn state(&self) -> OptimizerState<F> {
        self.sections.state(&self.rule)
    }

    fn load_state(&mut self, state: &OptimizerState<F>) -> NnResult<()> {
        self.sections.load_state(&self.rule, state)
    }
}

impl<F: Real, R: UpdateRule<F>> fmt::Debug for Descent<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descent")
            .field("kind", &self.sections.kind(&self.rule))
            .field("division", &self.sections.division)
            .field("sections", &self.sections.list)
            .field("accumulated", &self.sections.accumulated)
            .field("clip", &self.sections.clip)
            .field("average", &self.sections.average)
            .finish_non_exhaustive()
    }
}
