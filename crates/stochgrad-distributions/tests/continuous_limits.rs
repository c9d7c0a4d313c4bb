//! Continuous distributions where a plain formula has a limit, cancels or overflows: the ends of their supports,
//! variances at large shapes, slopes of distribution functions at the location and far out.

use std::f64::consts::PI;
use stochgrad_distributions::*;
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::{Real, Tensor};

type Build<F> = for<'t> fn(&[Var<'t, F>]) -> Box<dyn Distribution<'t, F> + 't>;

fn leaf<F: Real>(tape: &Tape<F>, value: f64) -> Var<'_, F> {
    tape.parameter(Tensor::scalar(F::from_f64(value)))
}

/// The log-density at an end, and that no derivative is NaN there.
fn density_at<F: Real>(build: Build<F>, parameters: &[f64], at: f64) -> f64 {
    let tape = Tape::<F>::new();
    let mut wrt: Vec<_> = parameters.iter().map(|&p| leaf(&tape, p)).collect();
    let distribution = build(&wrt);
    let value = leaf(&tape, at);
    let density = distribution.log_prob(value);
    wrt.push(value);
    for gradient in tape.backward_all(density, &wrt).unwrap() {
        let gradient = gradient.as_slice()[0].to_f64();
        assert!(gradient.is_finite(), "{} {parameters:?} at {at}: derivative {gradient}", distribution.name());
    }
    density.item().unwrap().to_f64()
}

/// The name of a distribution, how it is made, its parameters, an argument, and the log-density there.
type Case<F> = (&'static str, Build<F>, Vec<f64>, f64, f64);

fn assert_ends<F: Real>() {
    let beta: Build<F> = |p| Box::new(Beta::new(p[0], p[1]));
    let kumaraswamy: Build<F> = |p| Box::new(Kumaraswamy::new(p[0], p[1]));
    let gamma: Build<F> = |p| Box::new(Gamma::new(p[0], p[1]));
    let by_scale: Build<F> = |p| Box::new(Gamma::from_scale(p[0], p[1]));
    let chi2: Build<F> = |p| Box::new(Chi2::new(p[0]));
    let weibull: Build<F> = |p| Box::new(Weibull::new(p[0], p[1]));
    let chi: Build<F> = |p| Box::new(Chi::new(p[0]));
    let fisher_f: Build<F> = |p| Box::new(FisherF::new(p[0], p[1]));
    let log_logistic: Build<F> = |p| Box::new(LogLogistic::new(p[0], p[1]));
    let half_student_t: Build<F> = |p| Box::new(HalfStudentT::new(p[0], p[1]));
    let levy: Build<F> = |p| Box::new(Levy::new(p[0].tape().constant(0.0), p[0]));
    let triangular: Build<F> = |p| Box::new(Triangular::new(p[0].tape().constant(0.0), 0.0, p[0]));
    let pareto: Build<F> = |p| Box::new(GeneralizedPareto::new(p[0].tape().constant(0.0), p[0], p[1]));
    let extreme_value: Build<F> = |p| Box::new(GeneralizedExtremeValue::new(p[0].tape().constant(0.0), p[0], p[1]));
    let nothing = f64::NEG_INFINITY;
    let mut cases: Vec<Case<F>> = vec![
        ("Chi", chi, vec![1.0], 0.0, 0.5 * (2.0 / PI).ln()),
        ("Chi", chi, vec![2.5], 0.0, nothing),
        ("Chi2", chi2, vec![2.0], 0.0, 0.5_f64.ln()),
        ("Chi2", chi2, vec![2.5], 0.0, nothing),
        ("Beta", beta, vec![1.0, 1.0], 0.0, 0.0),
        ("Beta", beta, vec![1.0, 1.0], 1.0, 0.0),
        ("Beta", beta, vec![2.0, 1.5], 1.0, nothing),
        ("Beta", beta, vec![0.5, 0.5], 0.0, nothing),
    ];
    for b in [1e-3, 0.5, 1.0, 3.0, 1e4] {
        cases.push(("Beta", beta, vec![1.0, b], 0.0, b.ln()));
        cases.push(("Beta", beta, vec![b, 1.0], 1.0, b.ln()));
        cases.push(("Kumaraswamy", kumaraswamy, vec![1.0, b], 0.0, b.ln()));
        cases.push(("Kumaraswamy", kumaraswamy, vec![b, 1.0], 1.0, b.ln()));
        cases.push(("Gamma", gamma, vec![1.0, b], 0.0, b.ln()));
        cases.push(("Gamma", by_scale, vec![1.0, b], 0.0, -b.ln()));
        cases.push(("Weibull", weibull, vec![1.0, b], 0.0, -b.ln()));
        cases.push(("FisherF", fisher_f, vec![2.0, b], 0.0, 0.0));
        cases.push(("LogLogistic", log_logistic, vec![b, 1.0], 0.0, -b.ln()));
        cases.push(("HalfStudentT", half_student_t, vec![1.0, b], 0.0, (2.0 / PI).ln() - b.ln()));
        cases.push(("Levy", levy, vec![b], 0.0, nothing));
        cases.push(("Triangular", triangular, vec![b], 0.0, (2.0 / b).ln()));
        cases.push(("Triangular", triangular, vec![b], 1.5 * b, nothing));
        for shape in [-1.0, -0.25, 0.0, 0.5] {
            cases.push(("GeneralizedPareto", pareto, vec![b, shape], 0.0, -b.ln()));
            cases.push(("GeneralizedPareto", pareto, vec![b, shape], -0.5 * b, nothing));
        }
        cases.push(("GeneralizedPareto", pareto, vec![b, -1.0], b, -b.ln()));
        cases.push(("GeneralizedPareto", pareto, vec![b, -0.25], 4.5 * b, nothing));
        cases.push(("GeneralizedExtremeValue", extreme_value, vec![b, -1.0], b, -b.ln()));
        cases.push(("GeneralizedExtremeValue", extreme_value, vec![b, -0.25], 4.5 * b, nothing));
        cases.push(("GeneralizedExtremeValue", extreme_value, vec![b, 0.5], -2.5 * b, nothing));
        for a in [0.9, 3.0] {
            cases.push(("FisherF", fisher_f, vec![a, b], 0.0, nothing));
            cases.push(("LogLogistic", log_logistic, vec![b, a], 0.0, nothing));
        }
        for a in [0.9, 2.0] {
            cases.push(("Gamma", gamma, vec![a, b], 0.0, nothing));
            cases.push(("Weibull", weibull, vec![a, b], 0.0, nothing));
            cases.push(("Kumaraswamy", kumaraswamy, vec![a, b], 0.0, nothing));
            cases.push(("Beta", beta, vec![a, b], 0.0, nothing));
        }
        for outside in [-1e-3, nothing, f64::INFINITY] {
            cases.push(("Gamma", gamma, vec![1.0, b], outside, nothing));
            cases.push(("Weibull", weibull, vec![1.0, b], outside, nothing));
            cases.push(("Chi", chi, vec![1.0], outside, nothing));
            cases.push(("FisherF", fisher_f, vec![2.0, b], outside, nothing));
            cases.push(("LogLogistic", log_logistic, vec![b, 1.0], outside, nothing));
            cases.push(("HalfStudentT", half_student_t, vec![1.0, b], outside, nothing));
            cases.push(("Kumaraswamy", kumaraswamy, vec![1.0, b], outside, nothing));
            cases.push(("Beta", beta, vec![1.0, b], outside, nothing));
        }
        cases.push(("Beta", beta, vec![1.0, 1.0], 1.5, nothing));
        cases.push(("Kumaraswamy", kumaraswamy, vec![1.0, 1.0], 1.5, nothing));
    }
    for (name, build, parameters, at, expected) in cases {
        let found = density_at(build, &parameters, at);
        // The kernels of gamma and beta distributions have their own rounding.
        let tolerance = (4000.0 * F::EPSILON.to_f64()).min(2e-5) * (1.0 + expected.abs());
        assert!(
            found == expected || (found - expected).abs() <= tolerance,
            "{name} {parameters:?} at {at}: {found}, expected {expected}"
        );
    }
}

#[test]
fn finite_limits_at_the_ends_belong_to_the_density() {
    assert_ends::<f64>();
    assert_ends::<f32>();
}

fn variance_of<F: Real>(build: Build<F>, parameters: &[f64]) -> f64 {
    let tape = Tape::<F>::new();
    let leaves: Vec<_> = parameters.iter().map(|&p| leaf(&tape, p)).collect();
    let variance = build(&leaves).variance().unwrap();
    for gradient in tape.backward_all(variance, &leaves).unwrap() {
        assert!(gradient.all_finite(), "{parameters:?}: {gradient:?}");
    }
    variance.item().unwrap().to_f64()
}

/// From mpmath at 60 digits.
#[test]
fn variances_do_not_cancel() {
    let weibull = [
        ([0.5, 1.0], 20.0),
        ([1.6, 1.0], 0.3291576566603393),
        ([50.0, 1.0], 0.0006253425856013038),
        ([1e4, 1.0], 1.6445038762822376e-8),
        ([1e8, 1.0], 1.6449340238174553e-16),
    ];
    let kumaraswamy = [
        ([0.5, 0.7], 0.11081564548452625),
        ([2.3, 1.4], 0.048379931181520063),
        ([1e3, 1e3], 1.6171459501104e-6),
        ([1e6, 2.0], 1.2499940000184375e-12),
        ([3.0, 1e7], 2.2693278946582111e-6),
    ];
    let check = |name: &str, found: f64, expected: f64, tolerance: f64| {
        assert!((found / expected - 1.0).abs() < tolerance, "{name}: {found:e}, expected {expected:e}");
    };
    for (parameters, expected) in weibull {
        check("Weibull", variance_of::<f64>(|p| Box::new(Weibull::new(p[0], p[1])), &parameters), expected, 1e-11);
        check("Weibull", variance_of::<f32>(|p| Box::new(Weibull::new(p[0], p[1])), &parameters), expected, 1e-5);
    }
    for (parameters, expected) in kumaraswamy {
        let double = variance_of::<f64>(|p| Box::new(Kumaraswamy::new(p[0], p[1])), &parameters);
        check("Kumaraswamy", double, expected, 1e-10);
        let single = variance_of::<f32>(|p| Box::new(Kumaraswamy::new(p[0], p[1])), &parameters);
        check("Kumaraswamy", single, expected, 2e-5);
    }
}

/// From mpmath at 60 digits.
#[test]
fn quantiles_of_the_continuous_bernoulli_distribution_keep_the_thinner_tail() {
    for (logit, p, expected) in [
        (1.7, 1e-6, 2.6317278727378928e-6),
        (1.7, 1e-30, 2.6317337598395294e-30),
        (40.0, 1e-10, 0.4243537278135771),
        (-40.0, 1e-10, 2.5000000001250001e-12),
        (1e-12, 1e-20, 1e-20),
    ] {
        let tape = Tape::<f64>::new();
        let rising = ContinuousBernoulli::from_logits(tape.parameter(logit));
        let falling = ContinuousBernoulli::from_logits(tape.parameter(-logit));
        let found = rising.icdf(tape.constant(p)).item().unwrap();
        assert!((found / expected - 1.0).abs() < 1e-7, "{logit} at {p:e}: {found:e}, expected {expected:e}");
        let mirrored = 1.0 - falling.inverse_survival(tape.constant(p)).item().unwrap();
        assert!((mirrored - expected).abs() < 1e-15, "{logit} at {p:e}: {mirrored:e}");
        let tape = Tape::<f32>::new();
        let rising = ContinuousBernoulli::from_logits(leaf(&tape, logit));
        let found = f64::from(rising.icdf(tape.constant(p)).item().unwrap());
        assert!((found / expected - 1.0).abs() < 1e-5, "{logit} at {p:e}: {found:e}, expected {expected:e}");
    }
}

fn slope<F: Real>(build: Build<F>, parameters: &[f64], at: f64) -> (f64, f64) {
    let tape = Tape::<F>::new();
    let leaves: Vec<_> = parameters.iter().map(|&p| leaf(&tape, p)).collect();
    let value = leaf(&tape, at);
    let cdf = build(&leaves).capabilities().cdf.unwrap().cdf(value);
    let [slope] = tape.backward(cdf, [value]).unwrap();
    (cdf.item().unwrap().to_f64(), slope.item().unwrap().to_f64())
}

/// The density, as the slope of the distribution function, in upper tails in single precision.
#[test]
fn slopes_keep_their_digits_where_the_distribution_function_is_almost_one() {
    let cases: [(Build<f32>, &[f64], f64); 16] = [
        (|p| Box::new(Logistic::new(p[0], p[1])), &[0.0, 1.0], 17.0),
        (|p| Box::new(Exponential::new(p[0])), &[0.8], 30.0),
        (|p| Box::new(Rayleigh::new(p[0])), &[1.0], 9.0),
        (|p| Box::new(Weibull::new(p[0], p[1])), &[1.5, 1.0], 10.0),
        (|p| Box::new(Pareto::new(p[0], p[1])), &[1.0, 20.0], 5.0),
        (|p| Box::new(Kumaraswamy::new(p[0], p[1])), &[2.0, 40.0], 0.8),
        (|p| Box::new(Laplace::new(p[0], p[1])), &[0.0, 1.0], 25.0),
        (|p| Box::new(AsymmetricLaplace::new(p[0], p[1], p[2])), &[0.0, 1.0, 1.25], 25.0),
        (|p| Box::new(Moyal::new(p[0], p[1])), &[0.0, 1.0], 40.0),
        (|p| Box::new(GeneralizedExtremeValue::new(p[0], p[1], p[2])), &[0.0, 1.0, 0.0], 20.0),
        (|p| Box::new(GeneralizedPareto::new(p[0], p[1], p[2])), &[0.0, 1.0, 0.125], 100.0),
        (|p| Box::new(LogLogistic::new(p[0], p[1])), &[1.0, 10.0], 6.0),
        (|p| Box::new(Chi::new(p[0])), &[3.0], 7.0),
        (|p| Box::new(HalfStudentT::new(p[0], p[1])), &[7.0, 1.0], 30.0),
        (|p| Box::new(FisherF::new(p[0], p[1])), &[5.0, 9.0], 200.0),
        (|p| Box::new(JohnsonSu::new(p[0], p[1], p[2], p[3])), &[0.0, 2.0, 0.0, 1.0], 20.0),
    ];
    for (build, parameters, at) in cases {
        let (_, found) = slope(build, parameters, at);
        let tape = Tape::<f32>::new();
        let leaves: Vec<_> = parameters.iter().map(|&p| leaf(&tape, p)).collect();
        let distribution = build(&leaves);
        let density = f64::from(distribution.log_prob(leaf(&tape, at)).exp().item().unwrap());
        let what = format!("{} at {at}: slope {found:e}, density {density:e}", distribution.name());
        assert!((found / density - 1.0).abs() < 5e-5 && density < 1e-5, "{what}");
    }
}

#[test]
fn student_t_at_its_location_and_far_out() {
    let build: Build<f64> = |p| Box::new(StudentT::new(p[0], p[1], p[2]));
    let (cdf, density) = slope(build, &[3.0, 0.0, 1.0], 0.0);
    assert!(cdf == 0.5 && (density - 0.3675525969478614).abs() < 1e-14, "{cdf} {density}");
    let tape = Tape::<f64>::new();
    let half = tape.parameter(0.5);
    let quantile = StudentT::new(tape.constant(3.0), 0.0, 1.0).icdf(half);
    let [found] = tape.backward(quantile, [half]).unwrap();
    assert_eq!(quantile.item(), Ok(0.0));
    assert!((found.item().unwrap() - 2.720699046351327).abs() < 1e-13, "{found:?}");
    let single: Build<f32> = |p| Box::new(StudentT::new(p[0], p[1], p[2]));
    let (cdf, density) = slope(single, &[0.1, 0.0, 1.0], -1e21);
    assert!((cdf / 0.00331536942623 - 1.0).abs() < 1e-5 && density.is_finite(), "{cdf} {density}");
}

#[test]
fn von_mises_at_the_ends_in_single_precision() {
    let build: Build<f32> = |p| Box::new(VonMises::new(p[0], p[1]));
    for (at, expected) in [(std::f64::consts::PI, 1.0), (3.2, 1.0), (-std::f64::consts::PI, 0.0), (-3.2, 0.0)] {
        let (cdf, slope) = slope(build, &[0.0, 1.0], at);
        assert!(cdf == expected && slope == 0.0, "{at}: {cdf}, slope {slope}");
    }
}

/// With the bounds −1 and 2.5, and far from the location, from mpmath at 900 digits.
#[test]
fn truncations_far_from_the_location() {
    for (low, high, expected) in [
        (-1.0, 2.5, 1.067671799341135),
        (30.0, 32.0, -2.4034104116333688),
        (-32.0, -30.0, -2.4034104116333688),
        (400.0, 500.0, -4.991477046815025),
    ] {
        let tape = Tape::<f64>::new();
        let entropy = TruncatedNormal::new(tape.constant(0.0), 1.0, low, high).entropy().item().unwrap();
        assert!((entropy - expected).abs() < 1e-12, "{low}, {high}: {entropy}, expected {expected}");
        let tape = Tape::<f32>::new();
        let entropy = TruncatedNormal::new(tape.constant(0.0), 1.0, low, high).entropy().item().unwrap();
        assert!((f64::from(entropy) - expected).abs() < 1e-5, "{low}, {high}: {entropy}, expected {expected}");
    }
    // The score with respect to the location is (x − E x)/σ².
    for (low, high, mirror) in [(4000.0, f64::INFINITY, 1.0), (f64::NEG_INFINITY, -4000.0, -1.0)] {
        let tape = Tape::<f32>::new();
        let location = leaf(&tape, 0.0);
        let distribution = TruncatedNormal::new(location, 1.0, low, high);
        let [score] = tape.backward(distribution.log_prob(tape.constant(mirror * 4000.0)), [location]).unwrap();
        let score = mirror * f64::from(score.item().unwrap());
        assert!((score / -0.00024999996875 - 1.0).abs() < 1e-5, "{low}: {score}");
    }
}
