//! The models, and the methods that they may be trained with.

use std::error::Error;
use std::path::Path;
use std::rc::Rc;

use clap::ValueEnum;
use stochgrad::distributions::Id;
use stochgrad::estimators::{BatchMean, FreshSample, ReplayBudget};
use stochgrad::graph::GraphResult;
use stochgrad::lab::{Candidate, candidates};
use stochgrad::nn::data::Digits;
use stochgrad::nn::{Activation, Initialization, Linear, Mlp, Parameters};
use stochgrad::prelude::*;
use stochgrad::train::source::{CsvReader, Tensors};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// A variational autoencoder of digits with 32 bits
    VaeBits,
    /// The same with 12 categorical variables
    VaeCategories,
    /// A sigmoid belief net of digits with two layers of 50 bits
    BeliefNet,
    /// Random walks of 12 steps that are steered to a goal
    RandomWalk,
    /// Bayesian logistic regression
    LogisticRegression,
}

pub(crate) type Model = dyn Fn(&Record<'_, '_, f32>) -> GraphResult<()>;

/// A model, whose own methods are those of the evaluation, with its initial parameters.
pub(crate) struct Problem {
    pub(crate) model: Rc<Model>,
    pub(crate) parameters: Parameters<f32>,
    pub(crate) data: Tensors<f32>,
    pub(crate) batch: usize,
    /// The learning rate of Adam.
    pub(crate) rate: f64,
}

pub(crate) fn digits(seed: Seed, name: Name) -> Result<Problem, Box<dyn Error>> {
    let mut parameters = Parameters::new();
    let data = Tensors::new().with("images", Digits::embedded().thresholded::<f32>(0.5)?)?;
    let own = ScoreFunction::new();
    let model: Rc<Model> = if name == Name::BeliefNet {
        let mut linear = |name: &str, inputs, outputs| {
            Linear::new(&mut parameters, name, inputs, outputs, Initialization::Uniform, seed)
        };
        let encoders = [linear("encoder.lower", 64, 50)?, linear("encoder.upper", 50, 50)?];
        let decoders = [linear("decoder.lower", 50, 64)?, linear("decoder.upper", 50, 50)?];
        parameters.insert("prior", Tensor::zeros([50]))?;
        Rc::new(move |record| {
            let images = record.input("images")?;
            let lower_code = Bernoulli::from_logits(encoders[0].forward(record, images)?);
            let lower = record.sample("lower", &lower_code, &own)?;
            let upper_code = Bernoulli::from_logits(encoders[1].forward(record, lower)?);
            let upper = record.sample("upper", &upper_code, &own)?;
            let lower_prior = Bernoulli::from_logits(decoders[1].forward(record, upper)?);
            let pixels = Bernoulli::from_logits(decoders[0].forward(record, lower)?);
            record.cost("reconstruction", -pixels.log_prob(images))?;
            record.cost("lower", lower_code.log_prob(lower) - lower_prior.log_prob(lower))?;
            record.cost("upper", upper_code.kl_to(&Bernoulli::from_logits(record.param("prior")?)))
        })
    } else {
        let width = if name == Name::VaeBits { 32 } else { 96 };
        let layers = [64, 64, width];
        let encoder = Mlp::new(&mut parameters, "encoder", &layers, Activation::LeakyRelu(0.1), seed)?;
        let layers = [width, 64, 64];
        let decoder = Mlp::new(&mut parameters, "decoder", &layers, Activation::LeakyRelu(0.1), seed)?;
        Rc::new(move |record| {
            let images = record.input("images")?;
            let logits = encoder.forward(record, images)?;
            let (codes, divergence) = if name == Name::VaeBits {
                let q = Bernoulli::from_logits(logits);
                let codes = record.sample("z", &q, &own)?;
                (codes, q.kl_to(&Bernoulli::from_logits(record.constant(0.0))))
            } else {
                let q = OneHotCategorical::from_logits(logits.reshape([12, 8]));
                let codes = record.sample("z", &q, &own)?.reshape([96]);
                (codes, q.kl_to(&OneHotCategorical::from_logits(record.constant(Tensor::zeros([12, 8])))))
            };
            let pixels = Bernoulli::from_logits(decoder.forward(record, codes)?);
            record.cost("reconstruction", -pixels.log_prob(images))?;
            record.cost("divergence", divergence)
        })
    };
    Ok(Problem { model, parameters, data, batch: 50, rate: 1e-3 })
}

/// A step leads up or down. Its cost is the squared distance from the goal 2, and its divergence from a fair coin.
pub(crate) fn random_walk() -> Result<Problem, Box<dyn Error>> {
    let mut parameters = Parameters::new();
    parameters.insert("policy", Tensor::zeros([3]))?;
    let data = Tensors::new().with("start", Tensor::from_fn([1000], |i| (i % 21) as f32 - 10.0))?;
    let model: Rc<Model> = Rc::new(|record| {
        let (policy, mut x) = (record.param("policy")?, record.input("start")?);
        let mut cost = record.constant(0.0);
        for step in 0..12 {
            let logit = policy.index(0, 0) + policy.index(0, 1) * x + policy.index(0, 2) * x.square() * 0.1;
            let up = Bernoulli::from_logits(logit);
            let divergence = up.kl_to(&Bernoulli::from_logits(record.constant(0.0)));
            x = x + record.sample(("step", step), &up, &ScoreFunction::new())? * 2.0 - 1.0;
            cost = cost + (x - 2.0).square() * 0.02 + divergence;
        }
        record.cost("cost", cost)
    });
    Ok(Problem { model, parameters, data, batch: 50, rate: 3e-4 })
}

pub(crate) fn logistic_regression() -> Result<Problem, Box<dyn Error>> {
    let reader = CsvReader::new().category_among("malignant", "diagnosis", ["benign", "malignant"]);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/breast_cancer.csv");
    let data: Tensors<f32> = reader.other_columns("features").read(file)?.tensors().clone();
    let ((means, deviations), cases) = (data.moments("features")?, data.len() as f64);
    let mut parameters = Parameters::new();
    parameters.insert("mean", Tensor::zeros([31]))?;
    parameters.insert("log deviation", Tensor::full([31], -2.0))?;
    parameters.insert_buffer("means", means)?;
    parameters.insert_buffer("deviations", deviations)?;
    let model: Rc<Model> = Rc::new(move |record| {
        let posterior = Normal::from_log_scale(record.param("mean")?, record.param("log deviation")?);
        let weights = record.sample("weights", &posterior, &ScoreFunction::new().samples(20))?;
        let x = (record.input("features")? - record.buffer("means")?) / record.buffer("deviations")?;
        let diagnosis = Bernoulli::from_logits((x * weights.slice(0, 0..30)).sum() + weights.index(0, 30));
        record.cost("likelihood", -diagnosis.log_prob(record.input("malignant")?))?;
        let prior = Normal::new(record.constant(0.0), record.constant(1.0));
        record.cost("divergence", posterior.kl_to(&prior) * (1.0 / cases))
    });
    Ok(Problem { model, parameters, data, batch: 32, rate: 1e-4 })
}

/// Methods for bits.
pub(crate) fn bits() -> Vec<Candidate<f32, Bernoulli<Id>>> {
    candidates![
        ScoreFunction::new().samples(4).baseline(LeaveOneOut),
        DisArm::new(),
        Arms::new(4),
        Rebar::new(),
        MeasureValued::new(),
    ]
}

/// Methods for layers of bits, whose numbers of samples are multiplied.
pub(crate) fn layers() -> Vec<Candidate<f32, Bernoulli<Id>>> {
    candidates![
        ScoreFunction::new().samples(2).baseline(LeaveOneOut),
        DisArm::new(),
        Arms::new(4),
        Rebar::new(),
        ScoreFunction::new().baseline(BatchMean),
    ]
}

/// Methods for categories.
pub(crate) fn categories() -> Vec<Candidate<f32, OneHotCategorical<Id>>> {
    candidates![
        ScoreFunction::new().samples(4).baseline(LeaveOneOut),
        CategoricalDisArm::new(),
        Carms::new(4),
        Rebar::new(),
        MeasureValued::new(),
    ]
}

/// Methods for many steps after each other.
pub(crate) fn steps() -> Vec<Candidate<f32, Bernoulli<Id>>> {
    candidates![
        ScoreFunction::new().baseline(BatchMean),
        ScoreFunction::new().baseline(FreshSample),
        MeasureValued::new(),
        StochasticDerivatives::new(),
        ReplayBudget::of(MeasureValued::new(), 1),
    ]
}

/// Methods for normal variables.
pub(crate) fn normals() -> Vec<Candidate<f32, Normal<Id>>> {
    candidates![
        Pathwise::new(),
        Pathwise::new().samples(4),
        ScoreFunction::new().samples(8).baseline(LeaveOneOut),
        MeasureValued::new(),
        Lax::new(),
    ]
}
