use super::*;
use crate::continuous::student_t::StudentT;
use crate::testing::{Build, assert_finite, check_estimators, check_family, check_moments, vector, with_gradient};
use approx::assert_abs_diff_eq;
use stochgrad_tape::Tape;

const BUILD: Build = |p| Box::new(MultivariateStudentT::new(p[0], vector(&p[1..3]), vector(&p[3..]).reshape([2, 2])));

const ORDINARY: [f64; 7] = [7.0, 0.3, -1.0, 1.3, 0.0, -0.7, 0.6];

#[test]
fn one_dimension_is_the_scalar_distribution() {
    for nu in [1e-300, 0.02, 1.0, 7.3, 1e8] {
        let tape = Tape::<f64>::new();
        let (nu, location, scale) = (tape.parameter(nu), tape.parameter(0.4), tape.parameter(1.7));
        let vector = MultivariateStudentT::new(nu, location.reshape([1]), scale.reshape([1, 1]));
        let scalar = StudentT::new(nu, location, scale);
        for x in [-3.0, 0.4, 1.0, 1e200] {
            let own = vector.log_prob(tape.constant([x]));
            let other = scalar.log_prob(tape.constant(x));
            for parameter in [nu, location, scale] {
                let ((value, slope), (expected, expected_slope)) =
                    (with_gradient(own, parameter), with_gradient(other, parameter));
                let near = value == expected || (value - expected).abs() <= 1e-12 * expected.abs().max(1.0);
                assert!(near, "{value}, expected {expected}");
                let (slope, expected) = (slope[0], expected_slope[0]);
                assert!((slope - expected).abs() <= 1e-11 * expected.abs().max(1.0), "{slope}, expected {expected}");
            }
        }
        let (own, other) = (vector.entropy().item().unwrap(), scalar.entropy().item().unwrap());
        assert!((own - other).abs() <= 1e-12 * other.abs(), "{own}, expected {other}");
    }
}

/// From SciPy: multivariate_t([0.3, -1.0], L Lᵀ, df=7).
#[test]
fn densities_are_right() {
    let tape = Tape::<f64>::new();
    let leaves: Vec<Var<'_, f64>> = ORDINARY.iter().map(|&p| tape.parameter(p)).collect();
    let distribution = BUILD(&leaves);
    let x = tape.constant([[0.1, 0.4], [2.0, -3.0]]);
    let logs = distribution.log_prob_each(x).peek().unwrap().to_vec();
    let expected = [-3.8866092013953453, -4.006571251756113];
    for (got, expected) in logs.iter().zip(expected) {
        assert_abs_diff_eq!(*got, expected, epsilon = 1e-12);
    }
    let entropy = distribution.capabilities().entropy.unwrap().entropy().item().unwrap();
    assert_abs_diff_eq!(entropy, 2.8751299928251317, epsilon = 1e-10);
    let location = tape.parameter([0.3, -1.0]);
    let distribution = MultivariateStudentT::new(leaves[0], location, tape.parameter([[1.3, 0.0], [-0.7, 0.6]]));
    check_family(&tape, &distribution, tape.constant([0.1, 0.4]));
    // The second derivative at the location, where the distance has a kink.
    let log = distribution.log_prob(tape.constant([0.3, -1.0]));
    let [slope] = tape.grad(log, [location]).unwrap();
    let [curvature] = tape.backward(slope.index(-1, 1), [location]).unwrap();
    assert_abs_diff_eq!(curvature.as_slice()[1], -(9.0 / 7.0) / 0.36, epsilon = 1e-12);
}

#[test]
fn draws_and_derivatives_follow_the_density() {
    check_moments(BUILD, &ORDINARY, 31);
    check_estimators(BUILD, &ORDINARY, &[4], |x| (x.index(-1, 0) + x.index(-1, 1) * 2.0).sin(), None, 32);
    check_estimators(BUILD, &ORDINARY, &[4], |x| (x.index(-1, 0) * x.index(-1, 1)).tanh(), None, 33);
}

#[test]
fn extremes() {
    for parameters in [[0.05, 0.0, 0.0, 1.0, 0.0, -0.5, 1.0], [3.0, 0.0, 1e6, 1e-6, 0.0, 1e-3, 1e3]] {
        assert_finite(BUILD, &parameters, 9);
    }
    assert_finite(BUILD, &[1e8, 0.0, 1e6, 1e-6, 0.0, 1e-3, 1e3], 9);
    let tape = Tape::<f64>::new();
    let (location, value) = (tape.parameter([0.0, 0.0]), tape.parameter([f64::INFINITY, 1.0]));
    let distribution = MultivariateStudentT::new(tape.constant(3.0), location, tape.constant(Tensor::eye(2)));
    let log = distribution.log_prob(value);
    assert_eq!(log.item(), Ok(f64::NEG_INFINITY));
    for gradient in tape.backward(log, [location, value]).unwrap() {
        assert_eq!(gradient.to_vec(), [0.0, 0.0]);
    }
    assert!(distribution.log_prob(tape.constant([f64::NAN, 1.0])).item().unwrap().is_nan());
    let moments = |nu: f64| {
        let own = MultivariateStudentT::new(tape.constant(nu), location, tape.constant(Tensor::eye(2)));
        [own.mean(), own.variance()].map(|moment| moment.unwrap().peek().unwrap().as_slice()[0])
    };
    assert!(moments(1.0).iter().all(|moment| moment.is_nan()));
    assert_eq!(moments(2.0), [0.0, f64::INFINITY]);
    let batch = MultivariateStudentT::new(tape.constant([3.0, 4.0, 5.0]), location, tape.constant(Tensor::eye(2)));
    assert_eq!(batch.event_shape(), Shape::from([3, 2]));
    assert_eq!(batch.log_prob_each(tape.constant([0.1, 0.2])).shape(), Shape::from([3]));
}

#[test]
fn parameters_are_checked() {
    let tape = Tape::<f64>::new();
    let (location, factor) = (tape.constant([0.0, 0.0]), tape.constant([[1.0, 0.0], [0.5, 0.8]]));
    assert!(MultivariateStudentT::new(tape.constant(0.0), location, factor).validate().is_err());
    assert!(MultivariateStudentT::new(tape.constant(1.0), location * f64::NAN, factor).validate().is_err());
    assert!(MultivariateStudentT::new(tape.constant(1.0), location, factor.transpose()).validate().is_err());
}
