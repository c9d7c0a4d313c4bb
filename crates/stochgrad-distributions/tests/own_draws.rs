//! Draws at extreme parameters: in the open support, with finite log-probabilities and scores, in bounded time.

use std::time::{Duration, Instant};
use stochgrad_distributions::*;
use stochgrad_tape::{Plate, PlateKind, Plates, Tape, Var};
use stochgrad_tensor::{Real, Tensor};

const SAMPLES: usize = 400;

/// A distribution with these parameters.
type Build<F> = for<'t> fn(&[Var<'t, F>]) -> Box<dyn Distribution<'t, F> + 't>;

/// A distribution, what is expected of its draws, and its parameters.
type Case<F> = (&'static str, Build<F>, Kind, Vec<Vec<f64>>);

/// What a check expects of the draws.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A density with parameters that have finite scores.
    Scored,
    /// Parameters at the ends of the range, with finite log-probabilities.
    Logarithm,
    /// Counts, or values whose log-probability may be too small to matter here: finite draws only.
    Drawn,
}

fn request<'a, F: Real>(tape: &'a Tape<F>, noise: &'a KeyedNoise, plate: Plate) -> Draw<'a, F>
where
    KeyedNoise: stochgrad_distributions::NoiseSource<F>,
{
    Draw::new(tape, noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]))
}

/// Draws, and the problem with them, if there is one. Parameters that the distribution refuses are no problem.
fn problem<F: Real>(build: Build<F>, parameters: &[f64], kind: Kind, name: &str) -> Option<String> {
    let tape = Tape::<F>::new();
    let noise = KeyedNoise::new(11, 0);
    let plate = tape.plate("samples", SAMPLES, PlateKind::Samples, &[]);
    let own: Vec<Var<'_, F>> = parameters.iter().map(|&x| tape.parameter(Tensor::scalar(F::from_f64(x)))).collect();
    let distribution = build(&own);
    if distribution.validate().is_err() {
        return None;
    }
    let at = format!("{name}{parameters:?} in {}", F::NAME);
    let drawn = match distribution.sample(&request(&tape, &noise, plate)) {
        Ok(drawn) => drawn,
        Err(error) => return Some(format!("{at}: {error}")),
    };
    let values = match drawn.peek() {
        Ok(values) => values,
        Err(error) => return Some(format!("{at}: {error}")),
    };
    if let Some(bad) = values.as_slice().iter().find(|x| !x.is_finite()) {
        return Some(format!("{at}: a draw is {bad}"));
    }
    if kind == Kind::Drawn {
        return None;
    }
    let log = distribution.log_prob(drawn);
    match log.peek() {
        Ok(logs) => {
            if let Some(index) = logs.as_slice().iter().position(|x| !x.is_finite()) {
                return Some(format!("{at}: log p({}) = {}", values.as_slice()[index], logs.as_slice()[index]));
            }
        }
        Err(error) => return Some(format!("{at}: {error}")),
    }
    if kind == Kind::Logarithm {
        return None;
    }
    let total = log.sum_over(plate);
    for (index, parameter) in own.iter().enumerate() {
        let [score] = tape.backward(total, [*parameter]).expect("a score");
        if !score.as_slice().iter().all(|x| !x.is_nan()) {
            return Some(format!("{at}: the score of parameter {index} is {score:?}"));
        }
    }
    None
}

/// The distributions, with extreme parameters of each.
macro_rules! cases {
    ($real:ty) => {{
        let cases: Vec<Case<$real>> = vec![
            (
                "Gamma",
                |p| Box::new(Gamma::new(p[0], p[1])),
                Kind::Scored,
                grid(&[1e-3, 0.01, 1.0, 1e4], &[1e-8, 1.0, 1e8]),
            ),
            ("Chi2", |p| Box::new(Chi2::new(p[0])), Kind::Drawn, line(&[5e-324, 1e-300, 1e-30, 0.01, 1e8, 1e16, 1e30])),
            (
                "InverseGamma",
                |p| Box::new(InverseGamma::new(p[0], p[1])),
                Kind::Scored,
                grid(&[1e-3, 0.01, 0.1, 1.0, 30.0], &[1e-6, 1.0, 1e6]),
            ),
            (
                "InverseGamma",
                |p| Box::new(InverseGamma::new(p[0], p[1])),
                Kind::Logarithm,
                grid(&[1e20, 1e30, 1e37], &[1e-30, 1.25, 1e30]),
            ),
            ("Cauchy", |p| Box::new(Cauchy::new(p[0], p[1])), Kind::Logarithm, grid(&[-1e30, 0.3, 1e30], &[1.0, 1e37])),
            ("HalfCauchy", |p| Box::new(HalfCauchy::new(p[0])), Kind::Logarithm, line(&[1e-37, 1.0, 1e37])),
            ("Skellam", |p| Box::new(Skellam::new(p[0], p[1])), Kind::Logarithm, grid(&[1.25, 1e15], &[1.25, 1e15])),
            (
                "NegativeBinomial",
                |p| Box::new(NegativeBinomial::from_probabilities(p[0], p[1])),
                Kind::Logarithm,
                grid(&[2.5], &[1e-37, 1e-30, 1e-17, 1e-8]),
            ),
            (
                "StudentT",
                |p| Box::new(StudentT::new(p[0], 0.0, p[1])),
                Kind::Scored,
                grid(&[0.01, 0.1, 1.0, 1e4], &[1e-8, 1.0, 1e8]),
            ),
            (
                "StudentT",
                |p| Box::new(StudentT::new(p[0], 0.0, p[1])),
                Kind::Drawn,
                grid(&[5e-324, 1e-300, 1e-30, 1e16, 1e30], &[1e-30, 1.0, 1e30]),
            ),
            (
                "InverseGaussian",
                |p| Box::new(InverseGaussian::new(p[0], p[1])),
                Kind::Scored,
                grid(&[1e-8, 1.0, 1e8], &[1e-8, 1.0, 1e8]),
            ),
            (
                "InverseGaussian",
                |p| Box::new(InverseGaussian::new(p[0], p[1])),
                Kind::Drawn,
                grid(&[1e-30, 1.0, 1e30], &[1e-30, 1.0, 1e30]),
            ),
            (
                "Weibull",
                |p| Box::new(Weibull::new(p[0], p[1])),
                Kind::Scored,
                grid(&[0.003, 0.01, 0.1, 1.0, 100.0], &[1e-30, 1.0, 1e30]),
            ),
            (
                "Pareto",
                |p| Box::new(Pareto::new(p[0], p[1])),
                Kind::Scored,
                grid(&[1e-30, 1.0, 1e30], &[0.003, 0.01, 0.1, 1.0, 100.0]),
            ),
            (
                "LogNormal",
                |p| Box::new(LogNormal::new(p[0], p[1])),
                Kind::Scored,
                grid(&[-600.0, -80.0, 0.0, 80.0, 600.0], &[0.1, 1.0, 100.0]),
            ),
            ("Horseshoe", |p| Box::new(Horseshoe::new(p[0])), Kind::Scored, line(&[1e-20, 1.0, 1e20])),
            (
                "NormalInverseGaussian",
                |p| Box::new(NormalInverseGaussian::new(p[0] * 0.0, p[0], p[1], p[1] * 0.5)),
                Kind::Scored,
                grid(&[1e-6, 1.0, 1e6], &[1e-3, 1.0, 1e3]),
            ),
            (
                "Truncated",
                |p| Box::new(Truncated::new(Normal::new(p[0], p[1]), 1.0, 2.0).expect("numbers")),
                Kind::Scored,
                grid(&[-20.0, -4.0, 0.0, 1.5, 4.0], &[0.3, 1.0, 1e4]),
            ),
            ("Levy", |p| Box::new(Levy::new(p[0] * 0.0, p[0])), Kind::Scored, line(&[1e-20, 1.0, 1e20])),
            ("Moyal", |p| Box::new(Moyal::new(p[0], p[1])), Kind::Scored, grid(&[-1e8, 0.0, 1e8], &[1e-3, 1.0, 1e8])),
            (
                "LogLogistic",
                |p| Box::new(LogLogistic::new(p[0], p[1])),
                Kind::Scored,
                grid(&[1e-20, 1.0, 1e20], &[0.1, 1.0, 100.0]),
            ),
            ("Chi", |p| Box::new(Chi::new(p[0])), Kind::Scored, line(&[0.01, 0.1, 1.0, 1e4, 1e8])),
            ("FisherF", |p| Box::new(FisherF::new(p[0], p[1])), Kind::Scored, grid(&[0.1, 1.0, 1e4], &[0.1, 1.0, 1e4])),
            (
                "HalfStudentT",
                |p| Box::new(HalfStudentT::new(p[0], p[1])),
                Kind::Scored,
                grid(&[0.1, 1.0, 1e4], &[1e-8, 1.0, 1e8]),
            ),
            (
                "GeneralizedNormal",
                |p| Box::new(GeneralizedNormal::new(p[0] * 0.0, p[0], p[1])),
                Kind::Scored,
                grid(&[1e-8, 1.0, 1e8], &[0.1, 1.0, 10.0]),
            ),
            (
                "Beta",
                |p| Box::new(Beta::new(p[0], p[1])),
                Kind::Drawn,
                grid(&[1e-30, 1.0, 1e30, 1e300], &[1e-30, 1.0, 1e30, 1e300]),
            ),
            (
                "VonMises",
                |p| Box::new(VonMises::new(p[0], p[1])),
                Kind::Drawn,
                grid(&[0.0], &[1e-300, 1e-30, 1.0, 1e15, 1e19, 1e30, 1e100, 1e154, 1e160, 1e300]),
            ),
            (
                "TruncatedNormal",
                |p| Box::new(TruncatedNormal::new(p[0], p[1], 1.0, 2.0)),
                Kind::Drawn,
                grid(&[-1e30, -1e8, -4e3, 0.0, 1.5, 4e3, 1e12, 1e200], &[1e-200, 1e-9, 1.0, 1e9, 1e30, 1e300]),
            ),
            (
                "NegativeBinomial",
                |p| Box::new(NegativeBinomial::from_probabilities(p[0], p[1])),
                Kind::Drawn,
                grid(&[5e-324, 1e-300, 1e-30, 1.0, 1e16], &[1e-3, 0.5, 1.0]),
            ),
            (
                "Skellam",
                |p| Box::new(Skellam::new(p[0], p[1])),
                Kind::Drawn,
                grid(&[1e-300, 1.0, 1e16], &[1e-300, 1.0, 1e16]),
            ),
            (
                "Multinomial",
                |p| Box::new(Multinomial::from_logits(p[0], Var::stack(&[p[1], -p[1], p[1] * 0.5]).expect("a stack"))),
                Kind::Drawn,
                grid(&[1.0, 1e6, 1e15, 1e30, 1e300], &[0.0, 5.0, 50.0]),
            ),
            (
                "MultivariateStudentT",
                |p| {
                    let tape = p[0].tape();
                    let tril = p[1].reshape([1, 1]) * tape.constant(Tensor::eye(2));
                    Box::new(MultivariateStudentT::new(p[0], tape.constant(Tensor::full([2], <$real>::ZERO)), tril))
                },
                Kind::Scored,
                grid(&[0.01, 0.1, 1.0, 1e4], &[1e-8, 1.0, 1e8]),
            ),
            (
                "PowerSpherical",
                |p| Box::new(PowerSpherical::new(Var::stack(&[p[1], p[1], p[1]]).expect("a stack"), p[0])),
                Kind::Scored,
                grid(&[1e-30, 1e-3, 1.0, 1e4, 1e15], &[1e-10, -1.0, 1e10]),
            ),
            (
                "VonMisesFisher",
                |p| Box::new(VonMisesFisher::new(Var::stack(&[p[1], p[1], p[1]]).expect("a stack"), p[0])),
                Kind::Scored,
                grid(&[1e-30, 1e-3, 1.0, 1e4, 1e15, 1e30], &[1e-10, -1.0, 1e10]),
            ),
            (
                "Wishart",
                |p| {
                    let [one, zero] = [1.0, 0.0].map(|x| p[0].tape().constant(x));
                    let rows = [Var::stack(&[one, zero]), Var::stack(&[one, one])].map(|row| row.expect("a row"));
                    let tril = Var::stack(&rows).expect("a matrix") * p[1];
                    Box::new(Wishart::new(p[0], tril))
                },
                Kind::Scored,
                grid(&[1.000001, 1.0001, 1.01, 1.3, 2.0, 3.0, 100.0], &[1e-6, 1.0, 1e6]),
            ),
            (
                "Wishart",
                |p| {
                    let tril = p[1].unsqueeze(-1).unsqueeze(-1);
                    Box::new(Wishart::new(p[0], tril))
                },
                Kind::Drawn,
                grid(&[1e-3, 0.1, 1.0, 1e4], &[1e-308, 1e-160, 1e-30, 1.0, 1e30, 1e160, 1e308]),
            ),
            (
                "FisherF",
                |p| Box::new(FisherF::new(p[0], p[1])),
                Kind::Scored,
                grid(&[0.01, 0.1, 1.0, 1e4], &[0.01, 0.1, 1.0, 1e4]),
            ),
            ("Chi", |p| Box::new(Chi::new(p[0])), Kind::Scored, line(&[1e-3, 0.1, 1.0, 1e4, 1e8])),
            (
                "HalfStudentT",
                |p| Box::new(HalfStudentT::new(p[0], p[1])),
                Kind::Scored,
                grid(&[0.01, 0.1, 1.0, 1e4], &[1e-8, 1.0, 1e8]),
            ),
            (
                "LogLogistic",
                |p| Box::new(LogLogistic::new(p[0], p[1])),
                Kind::Scored,
                grid(&[1e-30, 1.0, 1e30], &[0.003, 0.01, 0.1, 1.0, 100.0]),
            ),
            (
                "GeneralizedPareto",
                |p| Box::new(GeneralizedPareto::new(p[0].tape().constant(0.0), p[0], p[1])),
                Kind::Scored,
                grid(&[1e-30, 1.0, 1e30], &[-3.0, -1.0, -1e-10, 0.0, 1e-10, 0.5, 40.0]),
            ),
            (
                "GeneralizedExtremeValue",
                |p| Box::new(GeneralizedExtremeValue::new(p[0].tape().constant(0.0), p[0], p[1])),
                Kind::Scored,
                grid(&[1e-30, 1.0, 1e30], &[-3.0, -1.0, -1e-10, 0.0, 1e-10, 0.5, 40.0]),
            ),
            (
                "Levy",
                |p| Box::new(Levy::new(p[0].tape().constant(0.0), p[0])),
                Kind::Scored,
                line(&[1e-30, 1e-8, 1.0, 1e8, 1e30]),
            ),
            (
                "AsymmetricLaplace",
                |p| Box::new(AsymmetricLaplace::new(p[0].tape().constant(0.0), p[0], p[1])),
                Kind::Scored,
                grid(&[1e-8, 1.0, 1e8], &[1e-4, 1.0, 1e4]),
            ),
            (
                "Moyal",
                |p| Box::new(Moyal::new(p[0].tape().constant(0.0), p[0])),
                Kind::Scored,
                line(&[1e-30, 1.0, 1e30]),
            ),
            (
                "JohnsonSu",
                |p| Box::new(JohnsonSu::new(p[0].tape().constant(0.0), p[1], 0.0, p[0])),
                Kind::Scored,
                grid(&[1e-8, 1.0, 1e8], &[0.1, 1.0, 1e4]),
            ),
            (
                "SinhArcsinh",
                |p| Box::new(SinhArcsinh::new(p[0].tape().constant(0.0), p[1], 0.0, p[0])),
                Kind::Scored,
                grid(&[1e-8, 1.0, 1e8], &[0.1, 1.0, 1e4]),
            ),
            (
                "GeneralizedNormal",
                |p| Box::new(GeneralizedNormal::new(p[0].tape().constant(0.0), p[0], p[1])),
                Kind::Scored,
                grid(&[1e-8, 1.0, 1e8], &[0.1, 0.5, 2.0, 1e4]),
            ),
            (
                "SkewNormal",
                |p| Box::new(SkewNormal::new(p[0].tape().constant(0.0), p[0], p[1])),
                Kind::Scored,
                grid(&[1e-8, 1.0, 1e8], &[-1e8, -1.0, 0.0, 1e3, 1e8]),
            ),
            (
                "ExponentiallyModifiedGaussian",
                |p| Box::new(ExponentiallyModifiedGaussian::new(p[0].tape().constant(0.0), p[0], p[1])),
                Kind::Scored,
                grid(&[1e-8, 1.0, 1e8], &[1e-8, 1.0, 1e8]),
            ),
            (
                "BetaBinomial",
                |p| Box::new(BetaBinomial::new(1000.0, p[0], p[1])),
                Kind::Scored,
                grid(&[1e-8, 1e-3, 1.0, 1e8], &[1e-8, 1e-3, 1.0, 1e8]),
            ),
            (
                "Hypergeometric",
                |p| Box::new(Hypergeometric::new(p[0] + p[1], p[0], p[1])),
                Kind::Drawn,
                grid(&[0.0, 1.0, 1e3, 1e5], &[0.0, 1.0, 1e3]),
            ),
            ("Zeta", |p| Box::new(Zeta::new(p[0])), Kind::Scored, line(&[1.25, 2.0, 10.0, 1e8, 1e30])),
            ("Zipf", |p| Box::new(Zipf::new(1000, p[0])), Kind::Scored, line(&[1e-8, 1.0, 10.0, 300.0])),
            (
                "ZeroInflated",
                |p| Box::new(ZeroInflated::from_logit(p[0], Poisson::from_rate(p[1])).expect("numbers")),
                Kind::Scored,
                grid(&[-80.0, 0.0, 80.0], &[1e-8, 1.0, 1e8]),
            ),
            (
                "Hurdle",
                |p| Box::new(Hurdle::from_logit(p[0], Poisson::from_rate(p[1])).expect("numbers")),
                Kind::Scored,
                grid(&[-80.0, 0.0, 80.0], &[1e-8, 1.0, 1e8]),
            ),
            (
                "OrderedLogistic",
                |p| Box::new(OrderedLogistic::new(p[0], Var::stack(&[-p[1], p[1] * 0.0, p[1]]).expect("a stack"))),
                Kind::Scored,
                grid(&[-30.0, 0.0, 30.0], &[1e-5, 1.0, 60.0]),
            ),
            (
                "Dirichlet",
                |p| Box::new(Dirichlet::new(Var::stack(&[p[0], p[1], p[0]]).expect("a stack"))),
                Kind::Scored,
                grid(&[1e-3, 1.0, 1e4], &[1e-3, 1.0, 1e4]),
            ),
            (
                "DirichletMultinomial",
                |p| Box::new(DirichletMultinomial::new(1000.0, Var::stack(&[p[0], p[1], p[0]]).expect("a stack"))),
                Kind::Scored,
                grid(&[1e-3, 1.0, 1e4], &[1e-3, 1.0, 1e4]),
            ),
            (
                "InverseWishart",
                |p| {
                    let [one, zero] = [1.0, 0.0].map(|x| p[0].tape().constant(x));
                    let rows = [Var::stack(&[one, zero]), Var::stack(&[one, one])].map(|row| row.expect("a row"));
                    let tril = Var::stack(&rows).expect("a matrix") * p[1];
                    Box::new(InverseWishart::new(p[0], tril))
                },
                Kind::Scored,
                grid(&[1.01, 1.3, 2.0, 3.0, 100.0], &[1e-6, 1.0, 1e6]),
            ),
            (
                "PlackettLuce",
                |p| Box::new(PlackettLuce::from_logits(Var::stack(&[p[0], -p[0], p[0] * 0.5]).expect("a stack"))),
                Kind::Scored,
                line(&[0.0, 5.0, 80.0]),
            ),
            (
                "KSubset",
                |p| Box::new(KSubset::from_logits(2, Var::stack(&[p[0], -p[0], p[0] * 0.5]).expect("a stack"))),
                Kind::Scored,
                line(&[0.0, 5.0, 80.0]),
            ),
        ];
        cases
    }};
}

fn line(first: &[f64]) -> Vec<Vec<f64>> {
    first.iter().map(|&x| vec![x]).collect()
}

fn grid(first: &[f64], second: &[f64]) -> Vec<Vec<f64>> {
    first.iter().flat_map(|&x| second.iter().map(move |&y| vec![x, y])).collect()
}

/// The longest time that the draws of one set of parameters may take. Ordinary ones take less than a millisecond.
const LONGEST: Duration = Duration::from_secs(20);

fn check<F: Real>(cases: Vec<Case<F>>, print: bool) {
    let mut problems = vec![];
    for (name, build, kind, grid) in cases {
        let mut worst = (Duration::ZERO, vec![]);
        for parameters in grid {
            // What a type cannot hold is no parameter of it.
            if parameters.iter().any(|&x| x != 0.0 && (F::from_f64(x) == F::ZERO || !F::from_f64(x).is_finite())) {
                continue;
            }
            let start = Instant::now();
            problems.extend(problem(build, &parameters, kind, name));
            worst = if start.elapsed() > worst.0 { (start.elapsed(), parameters) } else { worst };
        }
        if print {
            println!("{name:>29} in {}: {:8.2} ms at {:?}", F::NAME, worst.0.as_secs_f64() * 1e3, worst.1);
        }
        if worst.0 > LONGEST {
            problems.push(format!("{name}{:?} in {} took {:?}", worst.1, F::NAME, worst.0));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn draws_are_in_the_open_support_with_finite_scores_in_double_precision() {
    check::<f64>(cases!(f64), false);
}

#[test]
fn draws_are_in_the_open_support_with_finite_scores_in_single_precision() {
    check::<f32>(cases!(f32), false);
}

#[test]
#[ignore = "prints the time of each sampler at its worst parameters"]
fn times_at_the_worst_parameters() {
    check::<f64>(cases!(f64), true);
    check::<f32>(cases!(f32), true);
}

#[test]
fn heavy_tails_reach_the_range_of_the_type() {
    let tape = Tape::<f32>::new();
    let noise = KeyedNoise::new(3, 0);
    let plate = tape.plate("samples", 4000, PlateKind::Samples, &[]);
    let sorted = |distribution: &dyn Distribution<'_, f32>| {
        let mut values = distribution.draw(&request(&tape, &noise, plate)).unwrap().to_vec();
        values.iter_mut().for_each(|x| *x = x.abs());
        values.sort_by(f32::total_cmp);
        values
    };
    let heavy = sorted(&InverseGamma::new(tape.constant(0.01), 1.0));
    // The median is 2.24e30; a fortieth of the logarithms is within the sampling error.
    assert!((heavy[2000].ln() - 2.24e30_f32.ln()).abs() < 5.0, "{}", heavy[2000]);
    assert!(heavy[3999] > 1e37, "{}", heavy[3999]);
    let wide = sorted(&StudentT::new(tape.constant(0.01), 0.0, 1.0));
    assert!(wide[3999] > 1e35, "{}", wide[3999]);
    let small = sorted(&InverseGaussian::new(tape.constant(1.0), 1e-30));
    assert!(small[0] > 0.0 && small[0] < 1e-29, "{}", small[0]);
}
