//! The variational autoencoder: its discrete code, the gradient methods, and the networks.

use std::sync::Arc;

use clap::error::Result;
use stochgrad::distributions::*;
use stochgrad::estimators::*;
use stochgrad::graph::{DynMethod, GraphResult, Seed};
use stochgrad::nn::{Activation, Inputs, Layer, Mlp, Mode, NnResult, Parameters, Record, Step};
use stochgrad::tape::{Tape, Var};
use stochgrad::tensor::Tensor;

use crate::arguments::{Choice, refuse, usage};
use crate::method_name::{MethodName as M, Objective, SchemeName, name};

/// The temperature of proposals of importance sampling: close to 1, since the weights of all variables are multiplied.
const DISPERSION: f64 = 1.1;
/// The learning rate of control variates.
const RATE: f64 = 1e-3;

/// A distribution on the tape.
type On<'t, C> = <<C as Code>::Family as Family<f32>>::On<'t>;
/// A gradient method.
pub(crate) type MethodOf<C> = DynMethod<f32, <C as Code>::Family>;

/// The kind of the latent variables. This trait contains everything that differs between bits and categories.
pub(crate) trait Code: Copy + Send + Sync + 'static {
    /// The family of their distributions.
    type Family: Family<f32>;
    /// The distribution with the given logits, of event shape `[width]`.
    fn distribution<'t>(self, logits: Var<'t, f32>) -> On<'t, Self>;
    /// The divergence of a distribution from the uniform prior, in nats.
    fn divergence<'t>(self, distribution: &On<'t, Self>, tape: &'t Tape<f32>) -> Var<'t, f32>;
    /// A gradient method, for a run of `steps` steps, or an error if it does not support this kind.
    fn method(self, choice: &Choice, steps: u64) -> Result<MethodOf<Self>>;
}

/// Independent bits.
#[derive(Clone, Copy)]
pub(crate) struct Bits;

/// Independent categorical variables as one-hot vectors.
#[derive(Clone, Copy)]
pub(crate) struct OneHots {
    /// The number of variables, and that of the categories of each.
    pub(crate) shape: [usize; 2],
}

impl Code for Bits {
    type Family = Bernoulli<Id>;

    fn distribution<'t>(self, logits: Var<'t, f32>) -> On<'t, Self> {
        Bernoulli::from_logits(logits)
    }

    fn divergence<'t>(self, distribution: &On<'t, Self>, tape: &'t Tape<f32>) -> Var<'t, f32> {
        distribution.kl_to(&Bernoulli::from_logits(tape.constant(0.0)))
    }

    fn method(self, choice: &Choice, steps: u64) -> Result<MethodOf<Self>> {
        let samples = choice.samples;
        match choice.method {
            M::Disarm => Ok(Arc::new(DisArm::new().pairs(samples / 2))),
            M::Arm => Ok(Arc::new(Arm::new().pairs(samples / 2))),
            M::Arms => Ok(Arc::new(Arms::new(samples))),
            M::BitFlip => Ok(Arc::new(BitFlip::new().samples(samples))),
            M::Ugc => Ok(Arc::new(Ugc::new().pairs(samples / 2))),
            M::Rodeo => Ok(Arc::new(Rodeo::new(samples).learning_rate(RATE))),
            _ => gradient_method(choice, steps),
        }
    }
}

impl Code for OneHots {
    type Family = OneHotCategorical<Id>;

    fn distribution<'t>(self, logits: Var<'t, f32>) -> On<'t, Self> {
        OneHotCategorical::from_logits(logits.reshape(self.shape))
    }

    fn divergence<'t>(self, distribution: &On<'t, Self>, tape: &'t Tape<f32>) -> Var<'t, f32> {
        distribution.kl_to(&OneHotCategorical::from_logits(tape.constant(Tensor::zeros(self.shape))))
    }

    fn method(self, choice: &Choice, steps: u64) -> Result<MethodOf<Self>> {
        gradient_method(choice, steps)
    }
}

/// A gradient method that does not support bits only. A temperature falls geometrically over `steps` steps.
fn gradient_method<D>(choice: &Choice, steps: u64) -> Result<DynMethod<f32, D>>
where
    D: Family<f32>,
    for<'t> D::On<'t>: ScoreDifferentiable<'t, f32>
        + IndependentCategories<'t, f32>
        + FiniteSupport<'t, f32>
        + WeakDerivative<'t, f32>
        + RelaxedMean<'t, f32>
        + Tempered<'t, f32>,
{
    let &Choice { samples, ref scheme, temperature, .. } = choice;
    /// Adds the number of samples and the sampling scheme.
    macro_rules! drawn {
        ($method:expr) => {{
            let method = $method.samples(samples);
            match scheme {
                None => method,
                Some(SchemeName::Antithetic) => method.scheme(SamplingScheme::Antithetic),
                Some(SchemeName::Stratified) => method.scheme(SamplingScheme::Stratified),
                Some(SchemeName::Systematic) => method.scheme(SamplingScheme::Systematic),
                Some(SchemeName::Sobol) => method.scheme(SamplingScheme::sobol()),
            }
        }};
    }
    let moving = MovingAverage::new(0.99);
    let score_function = drawn!(ScoreFunction::new());
    let [start, end] = temperature.unwrap_or([1.0; 2]);
    let temperature =
        || if start == end { Temperature::constant(start) } else { Temperature::exponential(start, end, steps) };
    let plain = GumbelSoftmax::new(temperature());
    let relaxed = match choice.backward {
        Some(backward) => plain.backward_temperature(backward),
        None => plain,
    };
    match choice.objective {
        None => {}
        Some(Objective::ImportanceWeighted) => return Ok(Arc::new(score_function.baseline(Vimco::new()))),
        Some(Objective::WakeSleep | Objective::Thermodynamic) => return Ok(Arc::new(score_function)),
    }
    Ok(match choice.method {
        M::ScoreFunction => Arc::new(score_function),
        M::MovingAverage => Arc::new(score_function.baseline(moving)),
        M::ImportanceSampled => Arc::new(drawn!(ImportanceSampling::overdispersed(DISPERSION)).baseline(moving)),
        M::LeaveOneOut => Arc::new(score_function.baseline(LeaveOneOut)),
        M::BatchMean => Arc::new(score_function.baseline(BatchMean)),
        M::SelfCritical => Arc::new(score_function.baseline(SelfCritical)),
        M::Nvil => Arc::new(score_function.baseline(Nvil::new().learning_rate(RATE).of_data("images"))),
        M::MuProp => Arc::new(score_function.baseline(MuProp::new())),
        M::DoubleControlVariate => Arc::new(DoubleControlVariate::new(samples).learned(RATE)),
        M::DisarmSticks => Arc::new(CategoricalDisArm::new().pairs(samples / 2)),
        M::DisarmWeighted => Arc::new(CategoricalDisArm::importance_weighted().pairs(samples / 2)),
        M::DisarmTree => Arc::new(CategoricalDisArm::tree().pairs(samples / 2)),
        M::Carms => Arc::new(Carms::new(samples)),
        M::Arsm => Arc::new(Arsm::new().races(samples)),
        M::Ars => Arc::new(Ars::new().races(samples)),
        M::Rebar => Arc::new(Rebar::new().samples(samples).learned(RATE)),
        M::Relax => Arc::new(Relax::new().samples(samples).relaxed_cost().learning_rate(RATE)),
        M::MeasureValued => Arc::new(MeasureValued::new().samples(samples)),
        M::LocalExpectation => Arc::new(LocalExpectation::new().samples(samples)),
        M::Enumerate => Arc::new(Enumerate::new()),
        M::UnorderedSet => Arc::new(UnorderedSet::new(samples)),
        M::WithoutReplacement => Arc::new(WithoutReplacement::new(samples)),
        M::SumAndSample => Arc::new(SumAndSample::new(samples - 2, 2)),
        M::GumbelSoftmax => Arc::new(drawn!(relaxed)),
        M::Entmax => Arc::new(drawn!(relaxed.simplex_map(SimplexMap::Entmax15))),
        M::StraightThroughGumbel => Arc::new(drawn!(GumbelSoftmax::new(temperature())).straight_through()),
        M::GumbelRao => Arc::new(drawn!(GumbelRao::new(temperature()))),
        M::StraightThrough => Arc::new(drawn!(StraightThrough::new(temperature()))),
        M::Reinmax => Arc::new(drawn!(ReinMax::new(temperature()))),
        M::Mve => Arc::new(drawn!(Mve::new())),
        M::GappedStraightThrough => Arc::new(drawn!(GappedStraightThrough::new(temperature()))),
        M::Auto => Arc::new(Auto::new().samples(samples)),
        M::Disarm | M::Arm | M::Arms | M::Rodeo | M::BitFlip | M::Ugc => {
            let hint = "add --latent bernoulli, or try --method leave-one-out";
            return refuse("--method", "a method that supports categorical variables", name(choice.method), hint);
        }
    })
}

/// An encoder from images to the logits of a code, and a decoder from codes to the logits of pixels.
///
/// The cost is the negative evidence lower bound of an image $x$ with code $z$,
/// $-\mathbb{E}_{q(z|x)}[\ln p(x|z)] + \mathrm{KL}(q(z|x) \| p(z))$, under a uniform prior.
#[derive(Clone, Debug)]
pub(crate) struct Model<C> {
    code: C,
    objective: Option<Objective>,
    width: usize,
    encoder: Mlp,
    decoder: Mlp,
}

impl<C: Code> Model<C> {
    /// A model with fresh parameters. `down` has the widths of the encoder, from pixels to code.
    pub(crate) fn new(
        (code, objective): (C, Option<Objective>),
        down: &[usize],
        seed: Seed,
        parameters: &mut Parameters<f32>,
    ) -> NnResult<Self> {
        let up: Vec<usize> = down.iter().rev().copied().collect();
        let activation = Activation::LeakyRelu(0.1);
        let encoder = Mlp::new(&mut *parameters, "encoder", down, activation, seed)?;
        let decoder = Mlp::new(parameters, "decoder", &up, activation, seed)?;
        Ok(Self { code, objective, width: up[0], encoder, decoder })
    }

    /// A gradient method for a run of `steps` steps, tried on some images.
    pub(crate) fn method(
        &self,
        (choice, steps): (&Choice, u64),
        (parameters, images): (&Parameters<f32>, &Inputs<f32>),
    ) -> Result<MethodOf<C>> {
        let tried = self.code.method(choice, steps)?;
        let mut step = Step::new(|record: &Record<'_, '_, f32>| self.record(record, &tried));
        let run = step.run(parameters, images, Seed::new(0)).map(drop);
        let flags = format_args!("--method {}, --samples {}", name(choice.method), choice.samples);
        run.map_err(|error| usage(format_args!("{flags}: {error}")))?;
        // The state of the method that was tried must not be that of the run.
        self.code.method(choice, steps)
    }

    /// A method that draws independent samples.
    fn independent(&self, samples: usize) -> Option<MethodOf<C>> {
        let method = M::ScoreFunction;
        let choice = Choice { method, objective: None, samples, scheme: None, temperature: None, backward: None };
        self.code.method(&choice, 1).ok()
    }

    /// Records the −ELBO of the minibatch `images` as the costs `reconstruction` and `kl`, and the output `pixels`
    /// (their probabilities). The codes are drawn by the gradient method in training, and otherwise from the
    /// distribution of the encoder: four for each image in an evaluation, one in a prediction.
    pub(crate) fn record(&self, record: &Record<'_, '_, f32>, method: &MethodOf<C>) -> GraphResult<()> {
        if let Some(objective) = self.objective.filter(|_| record.is_training()) {
            return self.record_bound(record, objective, method);
        }
        let images = record.input("images")?;
        let independent = match record.mode() {
            Mode::Train => None,
            Mode::Evaluate => self.independent(4),
            Mode::Predict => self.independent(1),
        };
        let distribution = self.code.distribution(self.encoder.forward(record, images)?);
        let codes = record.sample("z", &distribution, independent.as_ref().unwrap_or(method))?;
        let pixels = self.decode(record, codes)?;
        record.cost("reconstruction", -pixels.log_prob(images))?;
        record.cost("kl", self.code.divergence(&distribution, record.tape()))?;
        record.output("pixels", pixels.probabilities())
    }

    /// Records an objective that weights several codes of each image by their importance, as the cost `bound`.
    fn record_bound(
        &self,
        record: &Record<'_, '_, f32>,
        objective: Objective,
        method: &MethodOf<C>,
    ) -> GraphResult<()> {
        let (graph, images) = (record.graph(), record.input("images")?);
        let distribution = self.code.distribution(self.encoder.forward(record, images)?);
        let codes = match objective {
            Objective::ImportanceWeighted => record.sample("z", &distribution, method)?,
            Objective::WakeSleep | Objective::Thermodynamic => record.sample("z", &detached(&distribution)?, method)?,
        };
        let prior = self.code.distribution(record.constant(Tensor::zeros([self.width])));
        let log_joint = self.decode(record, codes)?.log_prob(images) + prior.log_prob(codes);
        let log_posterior = distribution.log_prob(codes);
        let samples = graph.plate_named("z").expect("several samples");
        match objective {
            Objective::ImportanceWeighted => {
                EvidenceBound::importance_weighted(samples).record(graph, "bound", log_joint, log_posterior)
            }
            Objective::WakeSleep => WakeSleep::new(samples).record(graph, "bound", log_joint, log_posterior),
            Objective::Thermodynamic => {
                ThermodynamicObjective::log_spaced(samples, 5, 0.02).record(graph, "bound", log_joint, log_posterior)
            }
        }
    }

    /// The distribution of the pixels, given samples of codes.
    fn decode<'t>(&self, record: &Record<'_, 't, f32>, codes: Var<'t, f32>) -> GraphResult<Bernoulli<Var<'t, f32>>> {
        Ok(Bernoulli::from_logits(self.decoder.forward(record, codes.reshape([self.width]))?))
    }

    /// Records the pixels of `count` images whose codes are drawn from the prior.
    pub(crate) fn imagine(&self, record: &Record<'_, '_, f32>, count: usize) -> GraphResult<()> {
        let prior = self.code.distribution(record.constant(Tensor::zeros([self.width])));
        if let Some(method) = self.independent(count) {
            record.output("pixels", self.decode(record, record.sample("z", &prior, &method)?)?.probabilities())?;
        }
        Ok(())
    }
}
