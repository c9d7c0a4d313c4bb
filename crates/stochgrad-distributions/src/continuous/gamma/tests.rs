use super::*;
use crate::derivative::gamma_variates::on_path;
use crate::distribution::Family;
use crate::error::DistributionError;
use crate::noise::{KeyedNoise, NoiseKey};
use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at, on_samples};
use approx::assert_abs_diff_eq;
use stochgrad_tape::{Id, IdMap, Plates, Smoothness, Tape};
use stochgrad_tensor::special::{gamma_p, lgamma};

const BY_RATE: Build = |p| Box::new(Gamma::new(p[0], p[1]));
const BY_SCALE: Build = |p| Box::new(Gamma::from_scale(p[0], p[1]));

fn distributions() -> [DistributionCheck; 2] {
    [
        DistributionCheck::new(BY_RATE, &[2.3, 1.4], Domain::HalfLine),
        DistributionCheck::new(BY_SCALE, &[0.6, 1.2], Domain::HalfLine),
    ]
}

#[test]
fn log_density_is_the_formula() {
    for (distribution, (a, rate)) in distributions().iter().zip([(2.3_f64, 1.4_f64), (0.6, 1.0 / 1.2)]) {
        let got = distribution.log_density(&distribution.parameters, &[1e-3, 0.3, 4.0, f64::NAN]);
        for (got, x) in got.iter().zip([1e-3_f64, 0.3, 4.0]) {
            assert_abs_diff_eq!(*got, a * rate.ln() + (a - 1.0) * x.ln() - rate * x - lgamma(a), epsilon = 1e-12);
        }
        assert!(got[3].is_nan());
        distribution.assert_moments();
        distribution.assert_cdf(&[0.01, 0.3, 4.0]);
        distribution.assert_score(&[0.01, 0.3, 4.0]);
    }
}

#[test]
fn there_is_nothing_at_zero_and_below() {
    assert_nothing_at(BY_RATE, &[1.0, 1.0], -1.0);
    for a in [0.5, 3.0] {
        assert_nothing_at(BY_RATE, &[a, 1.0], -1.0);
        assert_nothing_at(BY_RATE, &[a, 1.0], 0.0);
    }
}

#[test]
fn draws_follow_the_distribution() {
    distributions()[0].assert_draws(41, |x| gamma_p(2.3, 1.4 * x));
    distributions()[1].assert_draws(42, |x| gamma_p(0.6, x / 1.2));
    DistributionCheck::new(BY_RATE, &[1.0, 1.0], Domain::HalfLine).assert_draws(43, |x| gamma_p(1.0, x));
    DistributionCheck::new(BY_RATE, &[0.05, 1.0], Domain::HalfLine).assert_draws(44, |x| gamma_p(0.05, x));
    DistributionCheck::new(BY_SCALE, &[1e6, 2.0], Domain::HalfLine).assert_draws(45, |x| gamma_p(1e6, x / 2.0));
}

#[test]
fn path_derivatives_are_right() {
    for (distribution, seed) in distributions().iter().zip([46, 47]) {
        distribution.assert_path(seed);
    }
}

#[test]
fn weak_derivatives_by_rate_and_scale_are_right() {
    for (distribution, seed) in distributions().iter().zip([48, 49]) {
        distribution.assert_weak(0, seed + 7);
        distribution.assert_weak(1, seed);
    }
    let tape = Tape::new();
    let gamma = Gamma::new(tape.parameter(2.0), 1.0);
    let noise = KeyedNoise::new(0, 0);
    let draw = on_samples(&tape, &noise, 2);
    let x = gamma.draw(&draw).unwrap();
    assert!(gamma.weak_derivative(2, draw.record(&tape, x.clone()), &draw).unwrap().is_none());
}

#[test]
fn the_path_has_the_implicit_derivative() {
    let golden = [
        (0.1, 1e-4, 0.0087874669007225),
        (1.0, 1.0, 1.17356302722473),
        (2.0, 1.5, 0.936639067877217),
        (100.0, 95.0, 0.976198311218707),
    ];
    for (a, z, expected) in golden {
        for stretch in [1.0 / 3.0, 3.0] {
            let tape = Tape::<f64>::new();
            let (concentration, width) = (tape.parameter(a), tape.parameter(3.0));
            let gamma =
                if stretch < 1.0 { Gamma::new(concentration, width) } else { Gamma::from_scale(concentration, width) };
            let x = gamma.stretched(on_path(concentration, tape.constant(z.ln())));
            assert_abs_diff_eq!(x.item().unwrap() / (z * stretch), 1.0, epsilon = 1e-14);
            let [by_concentration, by_width] = tape.backward(x, [gamma.concentration(), gamma.width.var()]).unwrap();
            assert!((by_concentration.item().unwrap() / (expected * stretch) - 1.0).abs() < 1e-13, "a = {a}, z = {z}");
            let of_width = if stretch > 1.0 { z } else { -z / 9.0 };
            assert_abs_diff_eq!(by_width.item().unwrap() / of_width, 1.0, epsilon = 1e-14);
        }
    }
}

#[test]
fn only_the_first_derivative_by_the_concentration_is_promised() {
    let tape = Tape::<f64>::new();
    let parameters = Gamma::new(tape.parameter(1.0), 1.0).parameters();
    assert_eq!((parameters[0].score, parameters[0].path), (Smoothness::Smooth, SamplePath::Implicit(Order::Finite(2))));
    assert_eq!((parameters[1].score, parameters[1].path), (Smoothness::Smooth, SamplePath::Recorded(Order::Any)));
}

#[test]
fn divergence_is_the_expected_difference() {
    let tape = Tape::new();
    let [by_rate, by_scale] = distributions();
    let p = Gamma::new(tape.constant(2.3), 1.4);
    let q = Gamma::from_scale(tape.constant(0.6), 1.2);
    by_rate.assert_divergence(&[0.6, 1.0 / 1.2], p.kl_to(&q).item().unwrap());
    by_scale.assert_divergence(&[2.3, 1.0 / 1.4], q.kl_to(&p).item().unwrap());
    assert!(p.kl_to(&p).item().unwrap().abs() < 1e-14);
}

#[test]
fn extremes_are_finite() {
    for build in [BY_RATE, BY_SCALE] {
        for a in [1e-3, 1.0, 1e6] {
            for width in [1e-8, 1.0, 1e8] {
                assert_finite(build, &[a, width], 51);
            }
        }
    }
}

/// Half of the samples at a thousandth are below the smallest number: the others must follow the distribution.
#[test]
fn tiny_concentrations_underflow_no_earlier_than_the_numbers_do() {
    let tape = Tape::new();
    let gamma = Gamma::new(tape.constant(1e-3), 1.0);
    let noise = KeyedNoise::new(52, 0);
    let draw = on_samples(&tape, &noise, 40_000);
    let x = gamma.draw(&draw).unwrap();
    for bound in [1e-300_f64, 1e-100, 1e-10, 0.1] {
        let below = x.as_slice().iter().filter(|&&x| x < bound).count() as f64 / 40_000.0;
        assert!((below - gamma_p(1e-3, bound)).abs() < 0.01, "{bound}: {below}");
    }
}

#[test]
fn single_precision_samples_are_positive_and_finite() {
    let tape = Tape::<f32>::new();
    let plate = tape.plate("samples", 2000, stochgrad_tape::PlateKind::Samples, &[]);
    let noise = KeyedNoise::new(53, 0);
    let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
    for (a, scale) in [(1e-3_f64, 1.0_f64), (1e-3, 1e-8), (1e-3, 1e8), (1e6, 1e-8), (1e6, 1e8)] {
        let gamma = Gamma::from_scale(tape.parameter(a), tape.parameter(scale));
        let x = gamma.rsample(&draw).unwrap();
        assert!(x.peek().unwrap().as_slice().iter().all(|&x| x > 0.0 && x.is_finite()), "a = {a}, scale = {scale}");
        // Where samples underflow, the density at them has a derivative that they have lost.
        let density = gamma.log_prob(if a < 0.1 { x.stop_gradient() } else { x });
        let total = (x * (1.0 / scale) + density).mean_over(plate);
        for gradient in tape.backward(total, [gamma.concentration(), gamma.scale()]).unwrap() {
            assert!(gradient.all_finite(), "a = {a}, scale = {scale}: {gradient:?}");
        }
    }
}

#[test]
fn a_bad_concentration_ends_the_sampler() {
    let tape = Tape::<f64>::new();
    let noise = KeyedNoise::new(0, 0);
    let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new());
    let bad = tape.constant([0.0, -1.0, f64::NAN, f64::INFINITY]);
    assert!(Gamma::new(bad, 1.0).draw(&draw).unwrap().as_slice().iter().all(|x| x.is_nan()));
}

#[test]
fn a_stored_gamma_binds_again() {
    let tape = Tape::<f64>::new();
    let gamma = Gamma::new(tape.parameter(0.5), tape.parameter(2.0));
    let bound = <Gamma<Id> as Family<f64>>::store(&gamma).bind(&tape, &IdMap::identity()).unwrap();
    assert_eq!((bound.concentration().id(), bound.rate().id()), (gamma.concentration().id(), gamma.rate().id()));
}

#[test]
fn parameters_are_checked() {
    let tape = Tape::<f64>::new();
    let check = |distribution: Gamma<_>, name| {
        assert!(
            matches!(distribution.validate(), Err(DistributionError::Parameter { parameter, .. }) if parameter == name)
        )
    };
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        check(Gamma::new(tape.constant(wrong), 1.0), "concentration");
        check(Gamma::new(tape.constant(1.0), wrong), "rate");
        check(Gamma::from_scale(tape.constant(1.0), wrong), "scale");
    }
    assert_eq!(Gamma::new(tape.constant(2.0), 1.0).validate(), Ok(()));
}

#[test]
fn a_mean_beyond_the_range_of_numbers_is_refused() {
    let tape = Tape::<f64>::new();
    assert!(Gamma::new(tape.constant(1e10), 1e-300).validate().unwrap_err().to_string().contains("another unit"));
    assert!(Gamma::from_scale(tape.constant(1e10), 1e300).validate().is_err());
    assert!(Gamma::new(tape.constant(1e5), 1e-300).validate().is_ok());
}
