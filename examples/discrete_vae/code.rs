//! The code of an image: the latent variables and their laws.

use std::sync::Arc;

use stochgrad::distributions::{
    Bernoulli, Family, FiniteSupport, Id, KlDivergence, OneHotCategorical, Relaxed, ScoreDifferentiable, WeakDerivative,
};
use stochgrad::estimators::{
    Auto, Enumerate, GumbelSoftmax, LeaveOneOut, MeasureValued, MovingAverage, ScoreFunction, Temperature,
};
use stochgrad::graph::DynMethod;
use stochgrad::tape::{Tape, Var};
use stochgrad::tensor::Tensor;

use crate::settings::{MethodName, Settings};

/// How much of the past a moving-average baseline keeps at each step.
const BASELINE_DECAY: f64 = 0.99;

/// A law on the tape.
pub(crate) type Law<'t, C> = <<C as Code>::Family as Family<f32>>::On<'t>;

/// The kind of the latent variables: everything that differs between bits and categories.
pub(crate) trait Code: Copy + Send + Sync {
    /// The family of their laws.
    type Family: Family<f32>;

    /// The numbers in a code.
    fn width(self) -> usize;

    /// The law with the given logits, of event shape `[width]`.
    fn law<'t>(self, logits: Var<'t, f32>) -> Law<'t, Self>;

    /// The divergence of a law from the uniform prior, in nats.
    fn divergence<'t>(self, law: &Law<'t, Self>, tape: &'t Tape<f32>) -> Var<'t, f32>;

    /// A sample as the decoder's input, of event shape `[width]`.
    fn flatten<'t>(self, sample: Var<'t, f32>) -> Var<'t, f32>;

    /// The gradient method that the settings name, for a run of `steps` steps.
    fn method(self, settings: &Settings, steps: u64) -> DynMethod<f32, Self::Family>;

    /// Independent discrete samples, `count` for each law, for evaluation.
    fn discrete_samples(self, count: usize) -> DynMethod<f32, Self::Family>;
}

/// Independent bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits {
    pub(crate) bits: usize,
}

/// Independent categorical variables as one-hot vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneHots {
    pub(crate) variables: usize,
    pub(crate) categories: usize,
}

/// The gradient method that the settings name. A relaxation's temperature falls geometrically over `steps` steps.
fn gradient_method<D>(settings: &Settings, steps: u64) -> DynMethod<f32, D>
where
    D: Family<f32>,
    for<'t> D::On<'t>:
        ScoreDifferentiable<'t, f32> + FiniteSupport<'t, f32> + WeakDerivative<'t, f32> + Relaxed<'t, f32>,
{
    let samples = settings.samples;
    let score_function = ScoreFunction::new().samples(samples);
    let relaxation = || {
        let (start, end) = settings.temperature.map_or((1.0, 1.0), |annealing| (annealing.start, annealing.end));
        GumbelSoftmax::new(Temperature::exponential(start, end, steps)).samples(samples)
    };
    match settings.method {
        MethodName::ScoreFunction => Arc::new(score_function),
        MethodName::MovingAverage => Arc::new(score_function.baseline(MovingAverage::new(BASELINE_DECAY))),
        MethodName::LeaveOneOut => Arc::new(score_function.baseline(LeaveOneOut)),
        MethodName::MeasureValued => Arc::new(MeasureValued::new().samples(samples)),
        MethodName::Enumerate => Arc::new(Enumerate::new()),
        MethodName::GumbelSoftmax => Arc::new(relaxation()),
        MethodName::StraightThroughGumbel => Arc::new(relaxation().straight_through()),
        MethodName::Auto => Arc::new(Auto::new().samples(samples)),
    }
}

impl Code for Bits {
    type Family = Bernoulli<Id>;

    fn width(self) -> usize {
        self.bits
    }

    fn law<'t>(self, logits: Var<'t, f32>) -> Law<'t, Self> {
        Bernoulli::from_logits(logits)
    }

    fn divergence<'t>(self, law: &Law<'t, Self>, tape: &'t Tape<f32>) -> Var<'t, f32> {
        law.kl_to(&Bernoulli::from_logits(tape.constant(0.0)))
    }

    fn flatten<'t>(self, sample: Var<'t, f32>) -> Var<'t, f32> {
        sample
    }

    fn method(self, settings: &Settings, steps: u64) -> DynMethod<f32, Self::Family> {
        gradient_method(settings, steps)
    }

    fn discrete_samples(self, count: usize) -> DynMethod<f32, Self::Family> {
        Arc::new(ScoreFunction::new().samples(count))
    }
}

impl Code for OneHots {
    type Family = OneHotCategorical<Id>;

    fn width(self) -> usize {
        self.variables * self.categories
    }

    fn law<'t>(self, logits: Var<'t, f32>) -> Law<'t, Self> {
        OneHotCategorical::from_logits(logits.reshape([self.variables, self.categories]))
    }

    fn divergence<'t>(self, law: &Law<'t, Self>, tape: &'t Tape<f32>) -> Var<'t, f32> {
        let zeros = Tensor::zeros([self.variables, self.categories]);
        law.kl_to(&OneHotCategorical::from_logits(tape.constant(zeros)))
    }

    fn flatten<'t>(self, sample: Var<'t, f32>) -> Var<'t, f32> {
        sample.reshape([self.width()])
    }

    fn method(self, settings: &Settings, steps: u64) -> DynMethod<f32, Self::Family> {
        gradient_method(settings, steps)
    }

    fn discrete_samples(self, count: usize) -> DynMethod<f32, Self::Family> {
        Arc::new(ScoreFunction::new().samples(count))
    }
}
