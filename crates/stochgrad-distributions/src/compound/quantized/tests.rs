use super::*;
use crate::compound::zero_inflated::tests::check_counts;
use crate::continuous::Exponential;
use crate::continuous::{Gamma, Logistic, Normal};
use crate::discrete::{Geometric, Poisson};
use crate::testing::{assert_close, check_enumeration, check_family, check_score};
use approx::assert_abs_diff_eq;

#[test]
fn everything_follows_from_the_probabilities() {
    let tape = Tape::<f64>::new();
    let location = tape.parameter(3.3);
    let pixel = Quantized::new(Logistic::new(location, 1.2)).unwrap().between(0.0, 7.0).unwrap();
    check_counts(&tape, &pixel, 8);
    check_family(&tape, &pixel, tape.constant(2.0));
    check_enumeration(&pixel, location);
    check_counts(&tape, &Quantized::new(Gamma::new(location, 1.1)).unwrap().between(0.0, f64::INFINITY).unwrap(), 60);
    check_score(&[0.4, 1.2], |v| {
        let integers = Quantized::new(Normal::new(v, 1.3)).unwrap();
        integers.log_prob(v.tape().constant([-1.0, 9.0])) + integers.log_cdf(v.tape().constant([2.0, -3.0])).sum()
    });
}

#[test]
fn waiting_times_are_geometric() {
    let tape = Tape::<f64>::new();
    let rate = tape.parameter(0.7);
    let whole = Quantized::new(Exponential::new(rate)).unwrap();
    let geometric = Geometric::from_probabilities(-(-rate).expm1());
    let counts = tape.constant([1.0, 2.0, 9.0, 400.0]);
    let (own, other) = (whole.log_prob_each(counts), geometric.log_prob_each(counts - 1.0));
    assert_close(own.peek().unwrap().as_slice(), other.peek().unwrap().as_slice(), 1e-12);
    let slopes = [own, other].map(|log| tape.backward(log.sum(), [rate]).unwrap()[0].to_vec());
    assert_close(&slopes[0], &slopes[1], 1e-11);
}

#[test]
fn far_tails_keep_their_digits() {
    let tape = Tape::<f64>::new();
    let location = tape.parameter(0.0);
    let integers = Quantized::new(Normal::new(location, 1.0)).unwrap();
    // ln(Φ(−29) − Φ(−30)), from mpmath at 40 digits, on both sides.
    for k in [30.0, -29.0] {
        let log = integers.log_prob(tape.constant(k));
        assert_abs_diff_eq!(log.item().unwrap(), FAR, epsilon = 1e-10);
        assert!(tape.backward(log, [location]).unwrap()[0].item().unwrap().is_finite());
    }
    let quantiles = integers.icdf(integers.cdf(tape.constant([-8.0, 0.0, 3.0])));
    assert_eq!(quantiles.peek().unwrap().to_vec(), [-8.0, 0.0, 3.0]);
    let outside = integers.log_prob_each(tape.constant([0.5, f64::INFINITY, f64::NAN])).peek().unwrap().to_vec();
    assert!(outside[..2].iter().all(|&log| log == f64::NEG_INFINITY) && outside[2].is_nan());
}

#[test]
fn mistakes_are_refused() {
    let tape = Tape::<f64>::new();
    let counts = Quantized::new(Poisson::from_rate(tape.constant(1.0))).unwrap_err();
    assert!(counts.to_string().contains("Poisson"));
    let normal = Quantized::new(Normal::new(tape.constant(1.0), 1.0)).unwrap();
    for (low, high) in [(0.5, 2.0), (3.0, 3.0), (f64::NAN, 1.0), (f64::INFINITY, 4.0)] {
        assert!(normal.between(low, high).is_err(), "{low}, {high}");
    }
    assert!(normal.states().is_err() && normal.capabilities().finite_support.is_none());
}

/// ln(Φ(−29) − Φ(−30)).
const FAR: f64 = -424.787_419_909_730_3;
