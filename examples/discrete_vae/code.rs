//! The code of an image: the latent variables and their distributions.

use std::sync::Arc;

use stochgrad::distributions::{
    Bernoulli, Family, FiniteSupport, Id, IndependentCategories, KlDivergence, OneHotCategorical, Relaxed,
    ScoreDifferentiable, Tempered, WeakDerivative,
};
use stochgrad::estimators::{
    Arm, Arms, Ars, Arsm, Auto, BatchMean, BitFlip, Carms, CategoricalDisArm, DisArm, DoubleControlVariate, Enumerate,
    GappedStraightThrough, GumbelRao, GumbelSoftmax, ImportanceSampling, LeaveOneOut, LocalExpectation, MeasureValued,
    MovingAverage, MuProp, Mve, Nvil, Rebar, ReinMax, Relax, Rodeo, SamplingScheme, ScoreFunction, SelfCritical,
    SimplexMap, StraightThrough, SumAndSample, Temperature, Ugc, UnorderedSet, WithoutReplacement,
};
use stochgrad::graph::DynMethod;
use stochgrad::tape::{Tape, Var};
use stochgrad::tensor::Tensor;

use crate::method_name::{MethodName, SchemeName};
use crate::settings::Settings;

/// The decay of the moving-average baseline at each step.
const BASELINE_DECAY: f64 = 0.99;

/// The temperature of the proposal for importance sampling. It must be close to 1, since the weights of all variables
/// of a code are multiplied.
const DISPERSION: f64 = 1.1;

/// The learning rate of control variates.
const CONTROL_VARIATE_RATE: f64 = 1e-3;

/// A distribution on the tape.
pub(crate) type LatentDistribution<'t, C> = <<C as Code>::Family as Family<f32>>::On<'t>;

/// The kind of the latent variables. This trait contains everything that differs between bits and categories.
pub(crate) trait Code: Copy + Send + Sync + 'static {
    /// The family of their distributions.
    type Family: Family<f32>;

    /// The number of values in a code.
    fn width(self) -> usize;

    /// The distribution with the given logits, of event shape `[width]`.
    fn distribution<'t>(self, logits: Var<'t, f32>) -> LatentDistribution<'t, Self>;

    /// The divergence of a distribution from the uniform prior, in nats.
    fn divergence<'t>(self, distribution: &LatentDistribution<'t, Self>, tape: &'t Tape<f32>) -> Var<'t, f32>;

    /// A sample as the input of the decoder, of event shape `[width]`.
    fn flatten<'t>(self, sample: Var<'t, f32>) -> Var<'t, f32>;

    /// The gradient method of the settings, for a run of `steps` steps; `None` if it does not support this kind.
    fn method(self, settings: &Settings, steps: u64) -> Option<DynMethod<f32, Self::Family>>;

    /// A method that draws `count` independent discrete samples, for evaluation.
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

fn scheme(name: SchemeName) -> SamplingScheme {
    match name {
        SchemeName::Antithetic => SamplingScheme::Antithetic,
        SchemeName::Stratified => SamplingScheme::Stratified,
        SchemeName::Systematic => SamplingScheme::Systematic,
        SchemeName::Sobol => SamplingScheme::sobol(),
    }
}

/// The gradient method of the settings, or `None` if it supports bits only. A temperature falls geometrically over
/// `steps` steps.
fn gradient_method<D>(settings: &Settings, steps: u64) -> Option<DynMethod<f32, D>>
where
    D: Family<f32>,
    for<'t> D::On<'t>: ScoreDifferentiable<'t, f32>
        + IndependentCategories<'t, f32>
        + FiniteSupport<'t, f32>
        + WeakDerivative<'t, f32>
        + Relaxed<'t, f32>
        + Tempered<'t, f32>,
{
    let samples = settings.samples;
    /// Adds the sampling scheme of the settings, if there is one.
    macro_rules! with_scheme {
        ($method:expr) => {
            match settings.scheme {
                None => $method,
                Some(name) => $method.scheme(scheme(name)),
            }
        };
    }
    let score_function = with_scheme!(ScoreFunction::new().samples(samples));
    let temperature = || {
        let (start, end) = settings.temperature.map_or((1.0, 1.0), |annealing| (annealing.start, annealing.end));
        if start == end { Temperature::constant(start) } else { Temperature::exponential(start, end, steps) }
    };
    let relaxed = || {
        let plain = GumbelSoftmax::new(temperature());
        match settings.temperature.and_then(|annealing| annealing.backward) {
            Some(backward) => plain.backward_temperature(backward),
            None => plain,
        }
    };
    Some(match settings.method {
        MethodName::ScoreFunction => Arc::new(score_function),
        MethodName::MovingAverage => Arc::new(score_function.baseline(MovingAverage::new(BASELINE_DECAY))),
        MethodName::ImportanceSampled => {
            let weighted = with_scheme!(ImportanceSampling::overdispersed(DISPERSION).samples(samples));
            Arc::new(weighted.baseline(MovingAverage::new(BASELINE_DECAY)))
        }
        MethodName::LeaveOneOut => Arc::new(score_function.baseline(LeaveOneOut)),
        MethodName::BatchMean => Arc::new(score_function.baseline(BatchMean)),
        MethodName::SelfCritical => Arc::new(score_function.baseline(SelfCritical)),
        MethodName::Nvil => {
            Arc::new(score_function.baseline(Nvil::new().learning_rate(CONTROL_VARIATE_RATE).of_data("images")))
        }
        MethodName::MuProp => Arc::new(score_function.baseline(MuProp::new())),
        MethodName::DoubleControlVariate => Arc::new(DoubleControlVariate::new(samples).learned(CONTROL_VARIATE_RATE)),
        MethodName::DisarmSticks => Arc::new(CategoricalDisArm::new().pairs(samples / 2)),
        MethodName::DisarmWeighted => Arc::new(CategoricalDisArm::importance_weighted().pairs(samples / 2)),
        MethodName::DisarmTree => Arc::new(CategoricalDisArm::tree().pairs(samples / 2)),
        MethodName::Carms => Arc::new(Carms::new(samples)),
        MethodName::Arsm => Arc::new(Arsm::new().races(samples)),
        MethodName::Ars => Arc::new(Ars::new().races(samples)),
        MethodName::Rebar => Arc::new(Rebar::new().samples(samples).learned(CONTROL_VARIATE_RATE)),
        MethodName::Relax => Arc::new(Relax::new().samples(samples).relaxed_cost().learning_rate(CONTROL_VARIATE_RATE)),
        MethodName::MeasureValued => Arc::new(MeasureValued::new().samples(samples)),
        MethodName::LocalExpectation => Arc::new(LocalExpectation::new().samples(samples)),
        MethodName::Enumerate => Arc::new(Enumerate::new()),
        MethodName::UnorderedSet => Arc::new(UnorderedSet::new(samples)),
        MethodName::WithoutReplacement => Arc::new(WithoutReplacement::new(samples)),
        MethodName::SumAndSample => Arc::new(SumAndSample::new(samples - 2, 2)),
        MethodName::GumbelSoftmax => Arc::new(with_scheme!(relaxed().samples(samples))),
        MethodName::Entmax => Arc::new(with_scheme!(relaxed().simplex_map(SimplexMap::Entmax15).samples(samples))),
        MethodName::StraightThroughGumbel => {
            Arc::new(with_scheme!(GumbelSoftmax::new(temperature()).samples(samples).straight_through()))
        }
        MethodName::GumbelRao => Arc::new(with_scheme!(GumbelRao::new(temperature()).samples(samples))),
        MethodName::StraightThrough => Arc::new(with_scheme!(StraightThrough::new(temperature()).samples(samples))),
        MethodName::Reinmax => Arc::new(with_scheme!(ReinMax::new(temperature()).samples(samples))),
        MethodName::Mve => Arc::new(with_scheme!(Mve::new().samples(samples))),
        MethodName::GappedStraightThrough => {
            Arc::new(with_scheme!(GappedStraightThrough::new(temperature()).samples(samples)))
        }
        MethodName::Auto => Arc::new(Auto::new().samples(samples)),
        MethodName::Disarm | MethodName::Arm | MethodName::Arms => return None,
        MethodName::Rodeo | MethodName::BitFlip | MethodName::Ugc => return None,
    })
}

impl Code for Bits {
    type Family = Bernoulli<Id>;

    fn width(self) -> usize {
        self.bits
    }

    fn distribution<'t>(self, logits: Var<'t, f32>) -> LatentDistribution<'t, Self> {
        Bernoulli::from_logits(logits)
    }

    fn divergence<'t>(self, distribution: &LatentDistribution<'t, Self>, tape: &'t Tape<f32>) -> Var<'t, f32> {
        distribution.kl_to(&Bernoulli::from_logits(tape.constant(0.0)))
    }

    fn flatten<'t>(self, sample: Var<'t, f32>) -> Var<'t, f32> {
        sample
    }

    fn method(self, settings: &Settings, steps: u64) -> Option<DynMethod<f32, Self::Family>> {
        let samples = settings.samples;
        match settings.method {
            MethodName::Disarm => Some(Arc::new(DisArm::new().pairs(samples / 2))),
            MethodName::Arm => Some(Arc::new(Arm::new().pairs(samples / 2))),
            MethodName::Arms => Some(Arc::new(Arms::new(samples))),
            MethodName::BitFlip => Some(Arc::new(BitFlip::new().samples(samples))),
            MethodName::Ugc => Some(Arc::new(Ugc::new().pairs(samples / 2))),
            MethodName::Rodeo => Some(Arc::new(Rodeo::new(samples).learning_rate(CONTROL_VARIATE_RATE))),
            _ => gradient_method(settings, steps),
        }
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

    fn distribution<'t>(self, logits: Var<'t, f32>) -> LatentDistribution<'t, Self> {
        OneHotCategorical::from_logits(logits.reshape([self.variables, self.categories]))
    }

    fn divergence<'t>(self, distribution: &LatentDistribution<'t, Self>, tape: &'t Tape<f32>) -> Var<'t, f32> {
        let zeros = Tensor::zeros([self.variables, self.categories]);
        distribution.kl_to(&OneHotCategorical::from_logits(tape.constant(zeros)))
    }

    fn flatten<'t>(self, sample: Var<'t, f32>) -> Var<'t, f32> {
        sample.reshape([self.width()])
    }

    fn method(self, settings: &Settings, steps: u64) -> Option<DynMethod<f32, Self::Family>> {
        gradient_method(settings, steps)
    }

    fn discrete_samples(self, count: usize) -> DynMethod<f32, Self::Family> {
        Arc::new(ScoreFunction::new().samples(count))
    }
}
