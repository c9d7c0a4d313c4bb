use super::*;
use crate::compound::zero_inflated::tests::{check_counts, check_weak};
use crate::discrete::{Binomial, Categorical, Geometric, NegativeBinomial, Poisson};
use crate::testing::{assert_close, check_enumeration, check_family, check_score};
use stochgrad_tape::Tape;

#[test]
fn everything_follows_from_the_probabilities() {
    for gate in [0.0, 0.3, 0.95] {
        let tape = Tape::<f64>::new();
        let (gate, p) = (tape.parameter(gate), tape.parameter(0.4));
        let poisson = Hurdle::from_probability(gate, Poisson::from_rate(p * 6.0)).unwrap();
        poisson.validate().unwrap();
        check_counts(&tape, &poisson, 60);
        check_family(&tape, &poisson, tape.constant(2.0));
        check_counts(&tape, &Hurdle::from_probability(gate, Poisson::from_rate(p * 1e-12)).unwrap(), 4);
        check_counts(&tape, &Hurdle::from_probability(gate, Geometric::from_probabilities(p)).unwrap(), 90);
        let failures = NegativeBinomial::from_logits(0.7, p);
        check_counts(&tape, &Hurdle::from_probability(gate, failures).unwrap(), 90);
        let trials = Hurdle::from_probability(gate, Binomial::from_probabilities(6.0, p)).unwrap();
        check_counts(&tape, &trials, 7);
        check_enumeration(&trials, p);
        check_enumeration(&trials, gate);
        let categories = Categorical::from_logits(Var::stack(&[p, p * 2.0, -p]).unwrap());
        check_counts(&tape, &Hurdle::from_probability(gate, categories).unwrap(), 3);
    }
    check_score(&[-0.4, 0.7], |v| {
        let counts = Hurdle::from_logit(v.index(0, 0), Poisson::from_log_rate(v.index(0, 1))).unwrap();
        (counts.log_prob_each(v.tape().constant([0.0, 3.0])) + counts.log_cdf(v.tape().constant([0.0, 2.0]))).sum()
    });
}

#[test]
fn the_gate_of_the_counts_gives_the_counts() {
    let tape = Tape::<f64>::new();
    let rate = tape.parameter(1.3);
    let base = Poisson::from_rate(rate);
    let hurdle = Hurdle::from_probability((-rate).exp(), base).unwrap();
    let counts = tape.constant([0.0, 1.0, 4.0, 20.0]);
    let (own, other) = (hurdle.log_prob_each(counts), base.log_prob_each(counts));
    assert_close(own.peek().unwrap().as_slice(), other.peek().unwrap().as_slice(), 1e-13);
    let slopes = [own, other].map(|log| tape.backward(log.sum(), [rate]).unwrap()[0].to_vec());
    assert_close(&slopes[0], &slopes[1], 1e-12);
}

#[test]
fn derivatives_of_the_distribution_are_exact_in_the_mean() {
    let tape = Tape::<f64>::new();
    let (gate, rate, logit) = (tape.parameter(0.35), tape.parameter(1.7), tape.parameter(0.3));
    let distribution = Hurdle::from_probability(gate, Poisson::from_rate(rate)).unwrap();
    check_weak(&tape, &distribution, 0, gate, 60);
    check_weak(&tape, &distribution, 1, rate, 60);
    let trials = Hurdle::from_logit(gate, Binomial::from_logits(4.0, logit)).unwrap();
    check_weak(&tape, &trials, 0, gate, 5);
    check_weak(&tape, &trials, 1, logit, 5);
    let failures = Hurdle::from_logit(gate, NegativeBinomial::from_logits(1.5, logit)).unwrap();
    check_weak(&tape, &failures, 1, logit, 200);
}

#[test]
fn ends_of_the_gate_and_mistakes() {
    let tape = Tape::<f64>::new();
    let gate = tape.parameter([0.0, 1.0, 0.5]);
    let rate = tape.parameter([1.0, 2.0, 3.0]);
    let distribution = Hurdle::from_probability(gate, Poisson::from_rate(rate)).unwrap();
    distribution.validate().unwrap();
    for value in [[2.0, 0.0, 0.0], [0.0, 1.0, 0.5], [0.5, -1.0, f64::INFINITY]] {
        for gradient in tape.backward(distribution.log_prob(tape.constant(value)), [gate, rate]).unwrap() {
            assert!(gradient.as_slice().iter().all(|g| !g.is_nan()), "{value:?}: {gradient:?}");
        }
    }
    assert!(distribution.log_prob_each(tape.constant(f64::NAN)).peek().unwrap().as_slice()[0].is_nan());
    let never = Hurdle::from_probability(tape.constant(0.5), Poisson::from_rate(tape.constant(0.0))).unwrap();
    assert!(never.validate().unwrap_err().to_string().contains("above 0"));
}

#[test]
fn variances_of_large_counts_are_known() {
    for (gate, expected) in [(0.0, 1e300), (1.0, 0.0), (0.3, f64::INFINITY)] {
        let tape = Tape::<f64>::new();
        let (gate, rate) = (tape.parameter(gate), tape.parameter(1e300));
        let variance = Hurdle::from_probability(gate, Poisson::from_rate(rate)).unwrap().variance().unwrap();
        assert_eq!(variance.item(), Ok(expected));
        for slope in tape.backward(variance, [gate, rate]).unwrap() {
            assert!(!slope.item().unwrap().is_nan(), "{gate:?}: {slope:?}");
        }
    }
}
