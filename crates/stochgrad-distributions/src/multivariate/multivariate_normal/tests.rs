use super::*;
use crate::distribution::Family;
use crate::noise::KeyedNoise;
use crate::testing::{Evaluated, check_family, on_samples, variance};
use approx::assert_abs_diff_eq;
use stochgrad_tape::Tape;

const FACTOR: [[f64; 2]; 2] = [[1.3, 0.0], [-0.7, 0.6]];

fn all(tape: &Tape<f64>) -> [MultivariateNormal<Var<'_, f64>>; 3] {
    let location = tape.parameter([0.3, -1.0]);
    let factor = tape.parameter(FACTOR);
    let inverse = factor.triangular_solve(tape.constant(Tensor::eye(2)));
    [
        MultivariateNormal::new(location, factor),
        MultivariateNormal::from_covariance(location, factor.matmul(factor.transpose())),
        MultivariateNormal::from_precision_tril(location, inverse.transpose().matmul(inverse).cholesky()),
    ]
}

#[test]
fn all_forms_are_the_same_distribution() {
    let tape = Tape::<f64>::new();
    let x = tape.constant([[0.1, 0.4], [2.0, -3.0]]);
    for distribution in all(&tape) {
        // From SciPy: multivariate_normal([0.3, -1.0], L Lᵀ).logpdf.
        let expected = [-3.9207766538564086, -4.0783210325546335];
        let got = distribution.log_prob_each(x).peek().unwrap();
        for (got, expected) in got.as_slice().iter().zip(expected) {
            assert!((got - expected).abs() < 1e-12, "{distribution:?}: {got}, expected {expected}");
        }
        let covariance = distribution.covariance().peek().unwrap().to_vec();
        for (got, expected) in covariance.iter().zip([1.69, -0.91, -0.91, 0.85]) {
            assert_abs_diff_eq!(*got, expected, epsilon = 1e-12);
        }
        assert_abs_diff_eq!(distribution.entropy().item().unwrap(), 2.5894157071108457, epsilon = 1e-9);
        assert!(distribution.kl_to(&all(&tape)[0]).item().unwrap().abs() < 1e-12);
        distribution.validate().unwrap();
        check_family(&tape, &distribution, tape.constant([0.1, 0.4]));
    }
    let (location, scale) = (tape.constant([0.3, -1.0]), tape.constant([0.5, 2.0]));
    let (diagonal, normal) = (MultivariateNormal::from_diagonal(location, scale), crate::Normal::new(location, scale));
    assert_abs_diff_eq!(diagonal.log_prob(x).item().unwrap(), normal.log_prob(x).item().unwrap(), epsilon = 1e-12);
    assert_abs_diff_eq!(diagonal.entropy().item().unwrap(), normal.entropy().item().unwrap(), epsilon = 1e-12);
}

fn cost<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
    (x.index(-1, 0) + x.index(-1, 1) * 2.0).sin() + x.index(-1, 0) * x.index(-1, 1)
}

/// The mean derivative of a cost along the path and by the weak derivatives: those of one-dimensional normal
/// distributions, in closed form.
#[test]
fn paths_and_weak_derivatives_are_right() {
    let tape = Tape::<f64>::new();
    let noise = KeyedNoise::new(7, 0);
    let samples = 200_000;
    let draw = on_samples(&tape, &noise, samples);
    let plate = draw.plates()[0];
    for (number, distribution) in all(&tape).into_iter().enumerate() {
        let x = distribution.rsample(&draw).unwrap();
        let means = x.mean_over(plate).peek().unwrap();
        assert!((means.as_slice()[0] - 0.3).abs() < 0.02 && (means.as_slice()[1] + 1.0).abs() < 0.02);
        let product = (x.index(-1, 0) - 0.3) * (x.index(-1, 1) + 1.0);
        assert!((product.mean_over(plate).item().unwrap() + 0.91).abs() < 0.02, "{number}");
    }
    let distribution = all(&tape)[0];
    let Spread::ScaleTril(factor) = distribution.spread else {
        panic!("the first distribution is given by its factor")
    };
    // f(x) = sin(x₁ + 2 x₂) + x₁ x₂; s = x₁ + 2 x₂ is normal with mean −1.7 and this variance.
    let spread: f64 = (1.3_f64 - 1.4).powi(2) + 1.2_f64.powi(2);
    let damping = (-0.5 * spread).exp();
    let cosine = (-1.7_f64).cos() * damping;
    let sine = (-1.7_f64).sin() * damping;
    let by_location = [cosine - 1.0, 2.0 * cosine + 0.3];
    // E sin s depends on the factor through the variance of s, with gradient 2 (L11 + 2 L21) (1, 2) and 8 L22.
    let by_factor =
        [-0.5 * sine * 2.0 * (1.3 - 1.4) - 0.7, 0.0, -0.5 * sine * 4.0 * (1.3 - 1.4) + 1.3, -0.5 * sine * 8.0 * 0.6];
    let path = distribution.rsample(&draw).unwrap();
    let cost_of = |x: Var<'_, f64>| cost(x).peek().unwrap();
    let mean = cost(path);
    let [got_location, got_factor] = tape.backward(mean.mean_over(plate), [distribution.location, factor]).unwrap();
    for (got, expected) in got_location.as_slice().iter().zip(by_location) {
        assert!((got - expected).abs() < 0.02, "path by location: {got}, expected {expected}");
    }
    for (at, (got, expected)) in got_factor.as_slice().iter().zip(by_factor).enumerate() {
        assert!(at == 1 || (got - expected).abs() < 0.03, "path by factor: {got}, expected {expected}");
    }
    let sample = path.peek().unwrap();
    let primal = cost_of(draw.record(&tape, sample.clone()));
    for (parameter, exact) in [(0, by_location.to_vec()), (1, by_factor.to_vec())] {
        let parts =
            distribution.weak_derivative(parameter, draw.record(&tape, sample.clone()), &draw).unwrap().unwrap();
        let parts = Evaluated::new(&distribution, &draw, &parts);
        let costs: Vec<Tensor<f64>> =
            parts.values.iter().map(|value| cost_of(draw.record(&tape, value.clone()))).collect();
        for (coordinate, expected) in exact.iter().enumerate() {
            let size = exact.len();
            let terms: Vec<f64> = (0..samples)
                .map(|s| {
                    let weight = |k: usize| parts.weights[k].as_slice()[s * size + coordinate];
                    (0..costs.len()).map(|k| weight(k) * (costs[k].as_slice()[s] - primal.as_slice()[s])).sum()
                })
                .collect();
            let mean = terms.iter().sum::<f64>() / samples as f64;
            let error = (variance(&terms) / samples as f64).sqrt();
            assert!(
                (mean - expected).abs() <= 4.0 * error + 1e-12,
                "weak, parameter {parameter}, coordinate {coordinate}: {mean} ± {error}, expected {expected}"
            );
        }
    }
    assert!(all(&tape)[2].weak_derivative(1, draw.record(&tape, sample.clone()), &draw).unwrap().is_none());
}

#[test]
fn parameters_are_checked() {
    let tape = Tape::<f64>::new();
    let location = tape.constant([0.0, 0.0]);
    for wrong in [[[1.0, 0.1], [0.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [f64::NAN, 1.0]]] {
        assert!(MultivariateNormal::new(location, tape.constant(wrong)).validate().is_err());
    }
    assert!(MultivariateNormal::new(location, tape.constant([1.0, 1.0])).validate().is_err());
    let stored = <MultivariateNormal<stochgrad_tape::Id> as Family<f64>>::store(&all(&tape)[0]);
    assert!(matches!(stored.spread, Spread::ScaleTril(_)));
}

#[test]
fn an_asymmetric_covariance_is_refused() {
    let density = |covariance: [[f64; 2]; 2]| {
        let tape = Tape::<f64>::new();
        let location = tape.constant([0.0, 0.0]);
        MultivariateNormal::from_covariance(location, tape.constant(covariance)).log_prob(location).item()
    };
    let message = density([[1.0, 0.2], [0.5, 1.0]]).unwrap_err().to_string();
    assert!(message.contains("symmetric covariance") && message.contains("row 1 and column 0"), "{message}");
    assert!(density([[1.0, 0.5 + 1e-9], [0.5, 1.0]]).is_ok());
}
