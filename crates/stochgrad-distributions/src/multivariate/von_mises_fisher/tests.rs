use super::*;
use crate::continuous::von_mises::VonMises;
use crate::testing::{Build, assert_finite, check_estimators, check_family, check_moments, vector, with_gradient};
use approx::assert_abs_diff_eq;
use std::f64::consts::PI;
use stochgrad_tape::Tape;

const BUILD: Build = |p| Box::new(VonMisesFisher::new(vector(&p[..p.len() - 1]), p[p.len() - 1]));

/// On the circle the angle is of the von Mises distribution.
#[test]
fn two_dimensions_are_angles() {
    for kappa in [1e-8, 0.3, 2.0, 50.0, 1e6] {
        let tape = Tape::<f64>::new();
        let concentration = tape.parameter(kappa);
        let vector = VonMisesFisher::new(tape.constant([0.3_f64.cos(), 0.3_f64.sin()]), concentration);
        let angles = VonMises::new(tape.constant(0.3), concentration);
        for angle in [0.3_f64, 0.3 + 1e-4, -1.0, 3.0] {
            let own = vector.log_prob(tape.constant([angle.cos(), angle.sin()]));
            let ((value, slope), (expected, expected_slope)) = (
                with_gradient(own, concentration),
                with_gradient(angles.log_prob(tape.constant(angle)), concentration),
            );
            assert!((value - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{value}, expected {expected}");
            let size = expected_slope[0].abs().max(1e-3);
            assert!((slope[0] - expected_slope[0]).abs() <= 1e-11 * size, "{slope:?}, expected {expected_slope:?}");
        }
        let (own, other) = (vector.entropy().item().unwrap(), angles.entropy().item().unwrap());
        assert_abs_diff_eq!(own, other, epsilon = 1e-12 * other.abs().max(1.0));
        let gap = 1.0 - vector.mean().unwrap().norm().item().unwrap();
        assert_abs_diff_eq!(gap, angles.variance().unwrap().item().unwrap(), epsilon = 1e-14);
        let (p, q) = (VonMisesFisher::new(tape.constant([1.0, 0.0]), 2.0), VonMises::new(tape.constant(0.0), 2.0));
        assert_abs_diff_eq!(vector.kl_to(&p).item().unwrap(), angles.kl_to(&q).item().unwrap(), epsilon = 1e-9);
    }
}

/// The normalising constant of spheres in three dimensions is 4π sinh(κ)/κ; in five, by parts,
/// 8π² (κ cosh κ − sinh κ)/κ³.
#[test]
fn elementary_normalising_constants() {
    let tape = Tape::<f64>::new();
    for kappa in [1e-3_f64, 1.0, 30.0] {
        for (n, log) in [
            (3, (4.0 * PI * kappa.sinh() / kappa).ln()),
            (5, (8.0 * PI * PI * (kappa * kappa.cosh() - kappa.sinh()) / kappa.powi(3)).ln()),
        ] {
            let mut direction = vec![0.0; n];
            direction[1] = 1.0;
            let distribution = VonMisesFisher::new(tape.constant(direction.as_slice()), kappa);
            let found = distribution.log_prob(tape.constant(direction.as_slice())).item().unwrap();
            let tolerance = if n == 5 && kappa < 0.1 { 1e-8 } else { 1e-13 };
            assert_abs_diff_eq!(found, kappa - log, epsilon = tolerance);
        }
    }
}

fn cost<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
    (x.index(-1, 0) * 1.5 + x.index(-1, 1)).exp() - (x.index(-1, 1) * 3.0).sin()
}

#[test]
fn draws_and_derivatives_follow_the_density() {
    for (parameters, seed) in
        [(&[0.3, -1.0, 0.4, 2.3][..], 61), (&[-2.0, 0.1, 0.5], 62), (&[0.0, 0.5, 0.5, 1.0, -1.0, 12.0], 63)]
    {
        check_moments(BUILD, parameters, seed);
        check_estimators(BUILD, parameters, &[], cost, None, seed + 10);
    }
}

#[test]
fn the_range_of_concentrations_and_dimensions() {
    for parameters in [[0.0, 0.0, 1.0, 1e-300], [-1.0, 0.0, 0.0, 1e15], [1e200, 1e200, -1e200, 3.0]] {
        assert_finite(BUILD, &parameters, 5);
    }
    // Around a large concentration the density is that of a normal vector across the direction.
    let tape = Tape::<f64>::new();
    for n in [2, 3, 10, 1000] {
        let direction = tape.parameter(Tensor::from_fn([n], |at| if at + 1 == n { 1.0 } else { 0.0 }));
        let distribution = VonMisesFisher::new(direction, 1e14);
        let expected = 0.5 * (n as f64 - 1.0) * (1e14 / (2.0 * PI)).ln();
        let found = distribution.log_prob(direction).item().unwrap();
        assert_abs_diff_eq!(found, expected, epsilon = 1e-8);
    }
    let single = Tape::<f32>::new();
    let distribution = VonMisesFisher::new(single.constant([0.0, 0.6, 0.8]), 1e6);
    let found = distribution.log_prob(single.constant([0.0, 0.6, 0.8])).item().unwrap();
    assert!((f64::from(found) - (1e6 / (2.0 * PI)).ln()).abs() < 1e-4, "{found}");
}

#[test]
fn values_off_the_sphere_and_invalid_parameters() {
    let tape = Tape::<f64>::new();
    let (direction, kappa) = (tape.parameter([0.0, 0.0, 1.0]), tape.parameter(2.0));
    let distribution = VonMisesFisher::new(direction, kappa);
    for x in [[0.0, 0.0, 1.1], [f64::NEG_INFINITY, 0.0, 0.0], [0.0, 0.0, 0.0]] {
        let value = tape.parameter(x);
        let log = distribution.log_prob(value);
        assert_eq!(log.item(), Ok(f64::NEG_INFINITY), "{x:?}");
        for gradient in tape.backward(log, [direction, kappa, value]).unwrap() {
            assert!(gradient.as_slice().iter().all(|&g| g == 0.0), "{x:?}: {gradient:?}");
        }
    }
    check_family(&tape, &distribution, tape.constant([0.6, 0.0, 0.8]));
    assert!(VonMisesFisher::new(tape.constant([0.0, 0.0]), 1.0).validate().is_err());
    assert!(VonMisesFisher::new(direction, -1.0).validate().is_err());
    let batch = VonMisesFisher::new(direction, tape.constant([1.0, 2.0]));
    assert_eq!(batch.event_shape(), Shape::from([2, 3]));
    assert_eq!(batch.log_prob_each(tape.constant([0.6, 0.0, 0.8])).shape(), Shape::from([2]));
}
