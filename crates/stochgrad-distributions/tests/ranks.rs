//! Parameters with too few axes or without elements: every question has an answer or an error, and none overflows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use stochgrad_distributions::*;
use stochgrad_tape::{PlateKind, Plates, Tape, Var};
use stochgrad_tensor::{Shape, Tensor};

type Make = for<'t> fn(Var<'t, f64>) -> Box<dyn Distribution<'t, f64> + 't>;

const VECTORS: [(&str, Make); 22] = [
    ("Categorical", |x| Box::new(Categorical::from_logits(x))),
    ("Categorical by probabilities", |x| Box::new(Categorical::from_probabilities(x))),
    ("OneHotCategorical", |x| Box::new(OneHotCategorical::from_logits(x))),
    ("OneHotCategorical by probabilities", |x| Box::new(OneHotCategorical::from_probabilities(x))),
    ("Multinomial", |x| Box::new(Multinomial::from_logits(x.tape().constant(3.0), x))),
    ("DirichletMultinomial", |x| Box::new(DirichletMultinomial::new(x.tape().constant(3.0), x))),
    ("OrderedLogistic", |x| Box::new(OrderedLogistic::new(x.tape().constant(0.3), x))),
    ("Dirichlet", |x| Box::new(Dirichlet::new(x))),
    ("MultivariateNormal", |x| Box::new(MultivariateNormal::new(x, x))),
    ("LowRankMultivariateNormal", |x| Box::new(LowRankMultivariateNormal::new(x, x, x))),
    ("MultivariateStudentT", |x| Box::new(MultivariateStudentT::new(x.sum() + 5.0, x, x))),
    ("PowerSpherical", |x| Box::new(PowerSpherical::new(x, 1.5))),
    ("VonMisesFisher", |x| Box::new(VonMisesFisher::new(x, 1.5))),
    ("Wishart", |x| Box::new(Wishart::new(x.sum() + 5.0, x))),
    ("MatrixNormal", |x| Box::new(MatrixNormal::new(x, x, x))),
    ("InverseWishart", |x| Box::new(InverseWishart::new(x.sum() + 5.0, x))),
    ("PlackettLuce", |x| Box::new(PlackettLuce::from_logits(x))),
    ("KSubset", |x| Box::new(KSubset::from_logits(2, x))),
    ("GaussianRandomWalk", |x| Box::new(GaussianRandomWalk::new(2, x, 1.0))),
    ("AutoRegressive", |x| Box::new(AutoRegressive::new(2, x, x, 1.0))),
    ("MarkovChain", |x| Box::new(MarkovChain::from_logits(2, x, x))),
    ("Empirical", |x| Box::new(Empirical::new(x))),
];

fn shapes() -> Vec<Shape> {
    let sizes: [&[usize]; 7] = [&[], &[0], &[1], &[0, 3], &[3, 0], &[2, 2], &[1, 0, 2]];
    sizes.into_iter().map(Shape::from).collect()
}

/// Asks everything that a distribution can answer.
fn ask<'t>(distribution: &dyn Distribution<'t, f64>, tape: &'t Tape<f64>, values: &[Shape]) {
    let noise = KeyedNoise::new(7, 0);
    let _ = (distribution.event_shape(), distribution.element_rank(), distribution.support());
    let _ = (distribution.mean(), distribution.variance(), distribution.validate());
    for plates in [Plates::new(), [tape.plate("samples", 2, PlateKind::Samples, &[])].into_iter().collect()] {
        let draw = Draw::new(tape, &noise, NoiseKey::new("x", None), plates);
        let _ = distribution.sample(&draw);
        let can = distribution.capabilities();
        let _ = can.reparameterized.map(|path| path.rsample(&draw));
    }
    let can = distribution.capabilities();
    let _ = can.finite_support.map(|finite| (finite.states(), finite.element_support()));
    let _ = can.entropy.map(|entropy| entropy.entropy());
    for shape in values {
        let value = tape.constant(Tensor::full(shape.clone(), 0.5));
        let _ = distribution.log_prob_each(value);
        let _ = distribution.log_prob(value).peek();
        let _ = can.finite_support.map(|finite| finite.probability_each(value));
    }
}

#[test]
fn parameters_with_too_few_axes_or_elements() {
    let mut failed = Vec::new();
    for shape in shapes() {
        for (name, make) in VECTORS {
            let run = || {
                let tape = Tape::<f64>::new();
                let x = tape.parameter(Tensor::full(shape.clone(), 0.5));
                ask(&*make(x), &tape, &shapes());
            };
            if catch_unwind(AssertUnwindSafe(run)).is_err() {
                failed.push(format!("{name} of shape {shape}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn joined_axes_of_such_distributions() {
    for shape in shapes() {
        for axes in [0, 1, 2, usize::MAX] {
            let tape = Tape::<f64>::new();
            let x = tape.parameter(Tensor::full(shape.clone(), 0.5));
            if let Ok(joined) = Independent::new(OneHotCategorical::from_logits(x), axes) {
                ask(&joined, &tape, &shapes());
            }
            if let Ok(joined) = Independent::new(Normal::new(x, 1.0), axes) {
                ask(&joined, &tape, &shapes());
            }
        }
    }
}
