//! Checks of divergences between distributions with nearly equal parameters, where the terms of the usual formulas
//! cancel: against values from mpmath at 60 digits.

use crate::continuous::beta::Beta;
use crate::continuous::cauchy::Cauchy;
use crate::continuous::chi2::Chi2;
use crate::continuous::continuous_bernoulli::ContinuousBernoulli;
use crate::continuous::exponential::Exponential;
use crate::continuous::gamma::Gamma;
use crate::continuous::gumbel::Gumbel;
use crate::continuous::half_normal::HalfNormal;
use crate::continuous::inverse_gamma::InverseGamma;
use crate::continuous::inverse_gaussian::InverseGaussian;
use crate::continuous::laplace::Laplace;
use crate::continuous::log_normal::LogNormal;
use crate::continuous::maxwell::Maxwell;
use crate::continuous::normal::Normal;
use crate::continuous::pareto::Pareto;
use crate::continuous::rayleigh::Rayleigh;
use crate::continuous::weibull::Weibull;
use crate::discrete::bernoulli::Bernoulli;
use crate::discrete::binomial::Binomial;
use crate::discrete::categorical::Categorical;
use crate::discrete::geometric::Geometric;
use crate::discrete::poisson::Poisson;
use crate::distribution::KlDivergence;
use crate::multivariate::dirichlet::Dirichlet;
use crate::multivariate::multivariate_normal::MultivariateNormal;
use crate::multivariate::wishart::Wishart;
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// A divergence of two parameters for each distribution.
type Divergence<F> = for<'t> fn(&'t Tape<F>, [Var<'t, F>; 2], [Var<'t, F>; 2]) -> Var<'t, F>;

/// Own parameters, the other ones, and the divergence.
type Case = ([f64; 2], [f64; 2], f64);

fn row<F: Real>(logit: Var<'_, F>) -> Var<'_, F> {
    Var::stack(&[logit, logit * 0.0]).unwrap()
}

fn twice<F: Real>(x: Var<'_, F>) -> Var<'_, F> {
    Var::stack(&[x, x]).unwrap()
}

fn matrix<F: Real>(x: Var<'_, F>) -> Var<'_, F> {
    x.unsqueeze(0).unsqueeze(0)
}

fn rows<F: Real>() -> Vec<(Divergence<F>, &'static str, &'static [Case])> {
    vec![
        (
            |_, a, b| Normal::new(a[0], a[1]).kl_to(&Normal::new(b[0], b[1])),
            "Normal",
            &[
                ([0.30000001192092896, 2.0], [0.30000001192092896, 2.000999927520752], 2.49755614149019e-07),
                ([0.30000001192092896, 2.0], [0.30000999569892883, 1.999500036239624], 6.252945092572429e-08),
            ],
        ),
        (
            |_, a, b| LogNormal::new(a[0], a[1]).kl_to(&LogNormal::new(b[0], b[1])),
            "LogNormal",
            &[
                ([0.30000001192092896, 2.0], [0.30000001192092896, 2.000999927520752], 2.49755614149019e-07),
                ([0.30000001192092896, 2.0], [0.30000999569892883, 1.999500036239624], 6.252945092572429e-08),
            ],
        ),
        (
            |_, a, b| Laplace::new(a[0], a[1]).kl_to(&Laplace::new(b[0], b[1])),
            "Laplace",
            &[
                ([0.30000001192092896, 2.0], [0.30000001192092896, 2.000999927520752], 1.2489861246624254e-07),
                ([0.30000001192092896, 2.0], [0.30000999569892883, 1.999500036239624], 3.1268350115213684e-08),
            ],
        ),
        (
            |_, a, b| Cauchy::new(a[0], a[1]).kl_to(&Cauchy::new(b[0], b[1])),
            "Cauchy",
            &[
                ([0.30000001192092896, 2.0], [0.30000001192092896, 2.000999927520752], 6.245971087881574e-08),
                ([0.30000001192092896, 2.0], [0.30000999569892883, 1.999500036239624], 1.5632872657264153e-08),
            ],
        ),
        (
            |_, a, b| InverseGaussian::new(a[0], a[1]).kl_to(&InverseGaussian::new(b[0], b[1])),
            "InverseGaussian",
            &[
                ([0.30000001192092896, 2.0], [0.30000001192092896, 2.000999927520752], 6.247011942572578e-08),
                ([0.30000001192092896, 2.0], [0.30000999569892883, 1.999500036239624], 1.9315867410472675e-08),
            ],
        ),
        (
            |_, a, b| Normal::new(a[0], a[1]).kl_to(&Normal::new(b[0], b[1])),
            "Normal, narrow",
            &[([1.0, 9.999999717180685e-10], [1.0, 2.0], 20.91641304578829)],
        ),
        (
            |_, a, b| Normal::new(a[0], a[1]).kl_to(&Normal::new(b[0], b[1])),
            "Normal, wide",
            &[([1.0, 1000000000.0], [1.0, 2.0], 1.2499999999999998e+17)],
        ),
        (
            |_, a, b| Pareto::new(a[0], a[1]).kl_to(&Pareto::new(b[0], b[1])),
            "Pareto",
            &[([2.0, 3.0], [2.0, 3.000999927520752], 5.553516268753153e-08)],
        ),
        (
            |_, a, b| Exponential::new(a[0]).kl_to(&Exponential::new(b[0])),
            "Exponential",
            &[
                ([2.0, 0.5], [2.000999927520752, 0.5], 1.2494023885145157e-07),
                ([9.999999974752427e-07, 0.5], [1.000999986899842e-06, 0.5], 4.996563542089932e-07),
                ([1.0000000200408773e+20, 0.5], [1.0001000316185398e+20, 0.5], 5.000824208722716e-09),
            ],
        ),
        (
            |_, a, b| HalfNormal::new(a[0]).kl_to(&HalfNormal::new(b[0])),
            "HalfNormal",
            &[
                ([2.0, 0.5], [2.000999927520752, 0.5], 2.49755614149019e-07),
                ([9.999999974752427e-07, 0.5], [1.000999986899842e-06, 0.5], 9.98314487665393e-07),
            ],
        ),
        (
            |_, a, b| Rayleigh::new(a[0]).kl_to(&Rayleigh::new(b[0])),
            "Rayleigh",
            &[
                ([2.0, 0.5], [2.000999927520752, 0.5], 4.99511228298038e-07),
                ([9.999999974752427e-07, 0.5], [1.000999986899842e-06, 0.5], 1.996628975330786e-06),
            ],
        ),
        (
            |_, a, b| Maxwell::new(a[0]).kl_to(&Maxwell::new(b[0])),
            "Maxwell",
            &[
                ([2.0, 0.5], [2.000999927520752, 0.5], 7.49266842447057e-07),
                ([9.999999974752427e-07, 0.5], [1.000999986899842e-06, 0.5], 2.994943462996179e-06),
            ],
        ),
        (
            |_, a, b| Poisson::from_rate(a[0]).kl_to(&Poisson::from_rate(b[0])),
            "Poisson",
            &[
                ([2.0, 0.5], [2.000999927520752, 0.5], 2.4988047770290314e-07),
                ([9.999999974752427e-07, 0.5], [1.000999986899842e-06, 0.5], 4.996563529474822e-13),
                ([1.0000000200408773e+20, 0.5], [1.0001000316185398e+20, 0.5], 500082430894.3621),
            ],
        ),
        (
            |_, a, b| Poisson::from_log_rate(a[0]).kl_to(&Poisson::from_log_rate(b[0])),
            "Poisson by logarithms",
            &[
                ([0.0, 0.5], [0.0010000000474974513, 0.5], 5.001667558628771e-07),
                ([10.0, 0.5], [10.00100040435791, 0.5], 0.011025817725962403),
                ([-20.0, 0.5], [-20.000999450683594, 0.5], 1.0291020225675116e-15),
            ],
        ),
        (
            |_, a, b| Bernoulli::from_logits(a[0]).kl_to(&Bernoulli::from_logits(b[0])),
            "Bernoulli by logits",
            &[
                ([0.0, 0.5], [0.0010000000474974513, 0.5], 1.2500000666602914e-07),
                ([10.0, 0.5], [10.00100040435791, 0.5], 2.2708691164854852e-11),
                ([-20.0, 0.5], [-20.000999450683594, 0.5], 1.0291020183266496e-15),
            ],
        ),
        (
            |_, a, b| Categorical::from_logits(row(a[0])).kl_to(&Categorical::from_logits(row(b[0]))),
            "Categorical by logits",
            &[
                ([0.0, 0.5], [0.0010000000474974513, 0.5], 1.2500000666602914e-07),
                ([10.0, 0.5], [10.00100040435791, 0.5], 2.2708691164854852e-11),
                ([-20.0, 0.5], [-20.000999450683594, 0.5], 1.0291020183266496e-15),
            ],
        ),
        (
            |_, a, b| Bernoulli::from_probabilities(a[0]).kl_to(&Bernoulli::from_probabilities(b[0])),
            "Bernoulli",
            &[
                ([0.30000001192092896, 0.5], [0.3000999987125397, 0.5], 2.3800212739887865e-08),
                ([9.999999974752427e-07, 0.5], [1.000999986899842e-06, 0.5], 4.996568529374072e-13),
                ([0.9990000128746033, 0.5], [0.9991000294685364, 0.5], 5.367439994174988e-06),
            ],
        ),
        (
            |_, a, b| Binomial::from_probabilities(7.0, a[0]).kl_to(&Binomial::from_probabilities(7.0, b[0])),
            "Binomial",
            &[
                ([0.30000001192092896, 0.5], [0.3000999987125397, 0.5], 1.6660148917921504e-07),
                ([9.999999974752427e-07, 0.5], [1.000999986899842e-06, 0.5], 3.4975979705618505e-12),
                ([0.9990000128746033, 0.5], [0.9991000294685364, 0.5], 3.7572079959224916e-05),
            ],
        ),
        (
            |_, a, b| Geometric::from_probabilities(a[0]).kl_to(&Geometric::from_probabilities(b[0])),
            "Geometric",
            &[
                ([0.30000001192092896, 0.5], [0.3000999987125397, 0.5], 7.93340393138414e-08),
                ([9.999999974752427e-07, 0.5], [1.000999986899842e-06, 0.5], 4.996568541989195e-07),
                ([0.9990000128746033, 0.5], [0.9991000294685364, 0.5], 5.3728127377398955e-06),
            ],
        ),
        (
            |_, a, b| {
                MultivariateNormal::from_diagonal(twice(a[0]), a[1])
                    .kl_to(&MultivariateNormal::from_diagonal(twice(b[0]), b[1]))
            },
            "MultivariateNormal",
            &[([0.30000001192092896, 2.0], [0.30000001192092896, 2.000999927520752], 4.99511228298038e-07)],
        ),
        (
            |_, a, b| ContinuousBernoulli::from_logits(a[0]).kl_to(&ContinuousBernoulli::from_logits(b[0])),
            "ContinuousBernoulli",
            &[
                ([1.0, 0.5], [1.0010000467300415, 0.5], 3.96656252520413e-08),
                ([-5.0, 0.5], [-5.010000228881836, 0.5], 1.6570802669803684e-06),
                ([2.0, 0.5], [-3.0, 0.5], 0.9714673825663214),
            ],
        ),
        (
            |_, a, b| Gamma::new(a[0], a[1]).kl_to(&Gamma::new(b[0], b[1])),
            "Gamma",
            &[
                ([10000.0, 100.0], [10100.0, 101.0], 2.483539849846519e-05),
                ([1000000.0, 1.0], [1001000.0, 1.0], 0.49983366645024147),
                ([0.30000001192092896, 2.0], [0.3000999987125397, 2.0], 6.119810780228551e-08),
                ([3.0, 0.0010000000474974513], [3.000999927520752, 0.0010010000551119447], 6.970007136961598e-07),
                ([9.999999747378752e-05, 1.0], [0.00010009999823523685, 1.0], 4.996745568431154e-07),
                ([20.0, 1.0], [3.0, 2.0], 29.77272931979715),
            ],
        ),
        (
            |_, a, b| InverseGamma::new(a[0], a[1]).kl_to(&InverseGamma::new(b[0], b[1])),
            "InverseGamma",
            &[
                ([10000.0, 100.0], [10100.0, 101.0], 2.483539849846519e-05),
                ([1000000.0, 1.0], [1001000.0, 1.0], 0.49983366645024147),
                ([0.30000001192092896, 2.0], [0.3000999987125397, 2.0], 6.119810780228551e-08),
                ([3.0, 0.0010000000474974513], [3.000999927520752, 0.0010010000551119447], 6.970007136961598e-07),
                ([9.999999747378752e-05, 1.0], [0.00010009999823523685, 1.0], 4.996745568431154e-07),
                ([20.0, 1.0], [3.0, 2.0], 29.77272931979715),
            ],
        ),
        (
            |_, a, b| Weibull::new(a[0], a[1]).kl_to(&Weibull::new(b[0], b[1])),
            "Weibull",
            &[
                ([10000.0, 1.0], [10100.0, 1.0], 9.093549926834327e-05),
                ([0.30000001192092896, 1.0], [0.3000999987125397, 1.0], 1.012795050556984e-07),
                ([3.0, 1.0], [3.000999927520752, 1.0], 1.0129158796272112e-07),
                ([9.999999747378752e-05, 1.0], [0.00010009999823523685, 1.0], 9.116028248289816e-07),
                ([20.0, 1.0], [3.0, 1.0], 1.33952760082706),
            ],
        ),
        (
            |_, a, b| Beta::new(a[0], a[1]).kl_to(&Beta::new(b[0], b[1])),
            "Beta",
            &[
                ([10000.0, 100.0], [10100.0, 101.0], 2.4917088196733864e-05),
                ([1000000.0, 1.0], [1001000.0, 1.0], 4.996669164668332e-07),
                ([0.30000001192092896, 2.0], [0.3000999987125397, 2.0], 5.8486185084828134e-08),
                ([3.0, 0.0010000000474974513], [3.000999927520752, 0.0010010000551119447], 4.993574186724282e-07),
                ([9.999999747378752e-05, 1.0], [0.00010009999823523685, 1.0], 4.996745486195222e-07),
                ([20.0, 1.0], [3.0, 2.0], 3.258565280909673),
            ],
        ),
        (
            |_, a, b| Dirichlet::new(Var::stack(&a).unwrap()).kl_to(&Dirichlet::new(Var::stack(&b).unwrap())),
            "Dirichlet",
            &[
                ([10000.0, 100.0], [10100.0, 101.0], 2.4917088196733864e-05),
                ([1000000.0, 1.0], [1001000.0, 1.0], 4.996669164668332e-07),
                ([0.30000001192092896, 2.0], [0.3000999987125397, 2.0], 5.8486185084828134e-08),
                ([3.0, 0.0010000000474974513], [3.000999927520752, 0.0010010000551119447], 4.993574186724282e-07),
                ([9.999999747378752e-05, 1.0], [0.00010009999823523685, 1.0], 4.996745486195222e-07),
                ([20.0, 1.0], [3.0, 2.0], 3.258565280909673),
            ],
        ),
        (
            |_, a, b| Wishart::new(a[0], matrix(a[1])).kl_to(&Wishart::new(b[0], matrix(b[1]))),
            "Wishart",
            &[
                ([10000.0, 100.0], [10100.0, 101.0], 2.2277842963244865),
                ([1000000.0, 1.0], [1001000.0, 1.0], 0.24991695814197473),
                ([0.30000001192092896, 2.0], [0.3000999987125397, 2.0], 5.721000886768671e-08),
                ([3.0, 0.0010000000474974513], [3.000999927520752, 0.0010010000551119447], 4.1113035574591935e-06),
                ([9.999999747378752e-05, 1.0], [0.00010009999823523685, 1.0], 4.996745506755708e-07),
                ([20.0, 1.0], [3.0, 2.0], 0.7967288310302505),
            ],
        ),
        (
            |_, a, b| Chi2::new(a[0]).kl_to(&Chi2::new(b[0])),
            "Chi2",
            &[
                ([10000.0, 0.5], [10100.0, 0.5], 0.24919564472239936),
                ([1000000.0, 0.5], [1001000.0, 0.5], 0.24991695814197473),
                ([0.30000001192092896, 0.5], [0.3000999987125397, 0.5], 5.721000886768671e-08),
                ([3.0, 0.5], [3.000999927520752, 0.5], 1.1681607806670845e-07),
                ([9.999999747378752e-05, 0.5], [0.00010009999823523685, 0.5], 4.996745506755708e-07),
                ([20.0, 0.5], [3.0, 0.5], 6.2172872893504145),
            ],
        ),
        (
            |_, a, b| Gumbel::new(a[0], a[1]).kl_to(&Gumbel::new(b[0], b[1])),
            "Gumbel",
            &[
                ([0.30000001192092896, 2.0], [0.30000001192092896, 2.000999927520752], 2.2773073513251323e-07),
                ([0.30000001192092896, 2.0], [0.30000999569892883, 1.999500036239624], 5.754676911436747e-08),
            ],
        ),
    ]
}

/// The relative error that the rounding of quotients near 1 leaves: a few roundings over the relative difference of the
/// parameters.
fn check<F: Real>(slack: f64) {
    let cases = rows::<F>()
        .into_iter()
        .flat_map(|(divergence, name, cases)| cases.iter().map(move |case| (divergence, name, *case)));
    for (divergence, name, (own, others, expected)) in cases {
        let tape = Tape::<F>::new();
        let leaf = |x: f64| tape.parameter(Tensor::from_fn(Shape::scalar(), |_| F::from_f64(x)));
        let (own, others) = (own.map(leaf), others.map(leaf));
        let value = divergence(&tape, own, others);
        let got = value.item().unwrap().to_f64();
        assert!((got - expected).abs() <= slack * expected, "{name}: {got:e}, expected {expected:e}");
        for gradient in tape.backward(value, [own[0], own[1], others[0], others[1]]).unwrap() {
            assert!(gradient.all_finite(), "{name}: {gradient:?}");
        }
    }
}

#[test]
fn double_precision() {
    check::<f64>(1e-11);
}

#[test]
fn single_precision() {
    check::<f32>(1e-2);
}
