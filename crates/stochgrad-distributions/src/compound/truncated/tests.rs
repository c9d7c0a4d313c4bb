use super::*;
use crate::compound::zero_inflated::tests::check_counts;
use crate::continuous::{Exponential, Gamma, InverseGaussian, Laplace, Normal, TruncatedNormal};
use crate::discrete::{Binomial, Geometric, Poisson, Skellam};
use crate::testing::{
    Build, DistributionCheck, Domain, assert_close, assert_finite, assert_nothing_at, check_family, check_score,
};
use stochgrad_tape::Tape;

const NORMAL: Build = |p| Box::new(Truncated::new(Normal::new(p[2], p[3]), p[0], p[1]).unwrap());
const LAPLACE: Build = |p| Box::new(Truncated::new(Laplace::new(p[2], p[3]), p[0], p[1]).unwrap());
const INVERSE_GAUSSIAN: Build = |p| Box::new(Truncated::new(InverseGaussian::new(p[2], p[3]), p[0], p[1]).unwrap());
const ABOVE: Build = |p| Box::new(Truncated::new(Gamma::new(p[1], p[2]), p[0], f64::INFINITY).unwrap());

#[test]
fn everything_follows_the_distribution() {
    let normal = DistributionCheck::new(NORMAL, &[-1.0, 2.5, 0.3, 1.4], Domain::Parameters);
    normal.assert_distribution(&[-0.9, 0.4, 2.0], 301);
    for (build, parameters, values, seed) in [
        (NORMAL, [9.0, 9.7, 0.3, 1.4], [9.05, 9.2, 9.6], 302),
        (LAPLACE, [-9.6, -9.0, 0.3, 1.4], [-9.5, -9.4, -9.1], 303),
        (INVERSE_GAUSSIAN, [0.5, 4.0, 1.3, 2.4], [0.7, 1.4, 3.9], 304),
    ] {
        let distribution = DistributionCheck::new(build, &parameters, Domain::Parameters);
        distribution.assert_moments();
        distribution.assert_score(&values);
        distribution.assert_cdf(&values);
        distribution.assert_draws_by_own_cdf(seed);
    }
    let tail = DistributionCheck::new(ABOVE, &[2.0, 2.4, 1.3], Domain::AboveFirst);
    tail.assert_moments();
    tail.assert_score(&[2.1, 3.0, 7.0]);
    tail.assert_cdf(&[2.1, 3.0, 7.0]);
    tail.assert_weak(0, 307);
    assert_nothing_at(NORMAL, &[-1.0, 2.5, 0.3, 1.4], 2.6);
    assert_nothing_at(ABOVE, &[2.0, 2.4, 1.3], 1.9);
    for parameters in [[-1.0, 1.0, 0.0, 1e-8], [30.0, 31.0, 0.0, 1.0], [-1.0, 1.0, 0.0, 1e8]] {
        assert_finite(NORMAL, &parameters, 9);
    }
}

/// The same distribution, with functions of its own: also in the tails, and with infinite bounds.
#[test]
fn normal_samples_are_those_of_the_truncated_normal_distribution() {
    for (low, high) in [(-1.0, 2.5), (9.0, 9.7), (20.0, f64::INFINITY), (f64::NEG_INFINITY, -12.0)] {
        let tape = Tape::<f64>::new();
        let parameters = [0.3, 1.4, low, high].map(|value| tape.parameter(value));
        let [location, scale, below, above] = parameters;
        let own = Truncated::new(Normal::new(location, scale), below, above).unwrap();
        let same = TruncatedNormal::new(location, scale, below, above);
        own.validate().unwrap();
        let value = same.icdf(tape.constant([0.01, 0.4, 0.99])).stop_gradient();
        let pairs = [
            (own.log_prob_each(value), same.log_prob_each(value)),
            (own.log_cdf(value), same.log_cdf(value)),
            (own.log_survival(value), same.log_survival(value)),
            (own.icdf(tape.constant([1e-3, 0.6])), same.icdf(tape.constant([1e-3, 0.6]))),
            (own.inverse_survival(tape.constant([1e-3, 0.6])), same.inverse_survival(tape.constant([1e-3, 0.6]))),
        ];
        for (found, expected) in pairs {
            assert_close(found.peek().unwrap().as_slice(), expected.peek().unwrap().as_slice(), 1e-11);
            let slopes = [found, expected].map(|var| tape.backward(var.sum(), parameters).unwrap());
            for (found, expected) in slopes[0].iter().zip(&slopes[1]) {
                assert_close(found.as_slice(), expected.as_slice(), 1e-8);
            }
        }
    }
}

#[test]
fn counts_between_bounds() {
    let tape = Tape::<f64>::new();
    let rate = tape.parameter(3.1);
    for (low, high) in [(0.0, 4.0), (2.0, f64::INFINITY), (0.7, 5.2), (f64::NEG_INFINITY, 3.0), (9.0, 11.0)] {
        let counts = Truncated::new(Poisson::from_rate(rate), low, high).unwrap();
        counts.validate().unwrap();
        check_counts(&tape, &counts, 40);
        check_family(&tape, &counts, tape.constant(2.0));
        let can = counts.capabilities();
        assert!(can.score.is_some() && can.whole_numbers.is_some() && can.reparameterized.is_none());
    }
    check_counts(&tape, &Truncated::new(Geometric::from_probabilities(rate * 0.1), 3.0, 8.0).unwrap(), 40);
    check_counts(&tape, &Truncated::new(Binomial::from_probabilities(6.0, rate * 0.1), 1.0, 5.0).unwrap(), 7);
    let counts = Truncated::new(Poisson::from_rate(rate), 1.0, 4.0).unwrap();
    let successors = counts.has_successor(tape.constant([1.0, 3.0, 4.0]));
    assert_eq!(successors.peek().unwrap().to_vec(), [1.0, 1.0, 0.0]);
    check_score(&[0.4, 1.2], |v| {
        let counts = Truncated::new(Poisson::from_log_rate(v), 1.0, 6.0).unwrap();
        counts.log_prob(v.tape().constant([1.0, 4.0])) + counts.log_cdf(v.tape().constant([2.0, 3.0])).sum()
    });
}

#[test]
fn mistakes_are_refused() {
    let tape = Tape::<f64>::new();
    let normal = Normal::new(tape.constant([0.0, 1.0]), 1.0);
    let message = |error: crate::DistributionError| error.to_string();
    let three = Truncated::new(normal, tape.constant([0.0, 1.0, 2.0]), 4.0).unwrap_err();
    assert!(message(three).contains("broadcast"));
    let integers = Truncated::new(Skellam::new(tape.constant(1.0), 1.0), 0.0, 4.0).unwrap_err();
    assert!(message(integers).contains("Skellam"));
    for (low, high) in [(2.0, 1.0), (1.0, 1.0), (50.0, 51.0), (f64::NAN, 1.0)] {
        let error = Truncated::new(normal, low, high).unwrap().validate().unwrap_err();
        assert!(message(error).contains("between the bounds"), "{low}, {high}");
    }
    let waiting = Truncated::new(Exponential::new(tape.constant(1.0)), -3.0, -1.0).unwrap();
    assert!(waiting.validate().is_err());
}
