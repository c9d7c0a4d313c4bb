//! Distributions of bits, counts and categories where outcomes are impossible or certain: the log-probability is 0 or
//! −∞, and the score has its limit.

use stochgrad_distributions::*;
use stochgrad_tape::{Tape, Var};

const INFINITY: f64 = f64::INFINITY;
const NOTHING: f64 = f64::NEG_INFINITY;

type Build = for<'t> fn(Var<'t, f64>) -> Box<dyn Distribution<'t, f64> + 't>;

/// The distribution at a parameter and a value: its log-probability there, and its score.
struct Case<'a> {
    at: &'a [f64],
    value: &'a [f64],
    log_prob: f64,
    score: &'a [f64],
}

fn case<'a>(at: &'a [f64], value: &'a [f64], log_prob: f64, score: &'a [f64]) -> Case<'a> {
    Case { at, value, log_prob, score }
}

/// Equal up to rounding. An infinite slope may be limited to the reciprocal of the smallest positive normal number.
fn near(found: f64, expected: f64) -> bool {
    let held = expected.is_infinite() && found.abs() >= 1.0 / f64::MIN_POSITIVE && found.signum() == expected.signum();
    found == expected || held || (found - expected).abs() <= 1e-15 + 1e-12 * expected.abs()
}

/// Checks the sum and the single terms, with their gradients.
fn check(name: &str, build: Build, cases: &[Case<'_>]) {
    for Case { at, value, log_prob, score } in cases {
        let tape = Tape::<f64>::new();
        let parameter = tape.parameter(*at);
        let distribution = build(parameter);
        distribution.validate().unwrap_or_else(|error| panic!("{name} at {at:?}: {error}"));
        let value = tape.constant(*value);
        for log in [distribution.log_prob(value), distribution.log_prob_each(value).sum()] {
            let found = log.item().unwrap();
            assert!(near(found, *log_prob), "{name} at {at:?}: log-probability {found}, expected {log_prob}");
            let [slope] = tape.backward(log, [parameter]).unwrap();
            for (found, expected) in slope.as_slice().iter().zip(*score) {
                assert!(near(*found, *expected), "{name} at {at:?}: score {slope:?}, expected {score:?}");
            }
        }
    }
}

#[test]
fn bits_by_logits() {
    let far = (-50.0_f64).exp();
    check(
        "Bernoulli",
        |p| Box::new(Bernoulli::from_logits(p)),
        &[
            case(&[50.0, -50.0], &[1.0, 0.0], -2.0 * far, &[far, -far]),
            case(&[50.0, -50.0], &[0.0, 1.0], -100.0, &[-1.0, 1.0]),
            case(&[INFINITY, NOTHING], &[1.0, 0.0], 0.0, &[0.0, 0.0]),
            case(&[INFINITY, 0.0], &[0.0, 1.0], NOTHING, &[-1.0, 0.5]),
            case(&[NOTHING, 0.0], &[1.0, 1.0], NOTHING, &[1.0, 0.5]),
        ],
    );
}

#[test]
fn bits_by_probabilities() {
    check(
        "Bernoulli",
        |p| Box::new(Bernoulli::from_probabilities(p)),
        &[
            case(&[0.0, 1.0], &[0.0, 1.0], 0.0, &[-1.0, 1.0]),
            case(&[0.0, 0.5], &[1.0, 1.0], NOTHING, &[INFINITY, 2.0]),
            case(&[1.0, 0.5], &[0.0, 1.0], NOTHING, &[NOTHING, 2.0]),
        ],
    );
}

#[test]
fn counts_by_logits() {
    let far = (-50.0_f64).exp();
    check(
        "Binomial",
        |p| Box::new(Binomial::from_logits(4.0, p)),
        &[
            case(&[50.0, -50.0], &[4.0, 0.0], -8.0 * far, &[4.0 * far, -4.0 * far]),
            case(&[-50.0], &[4.0], -200.0, &[4.0]),
            case(&[INFINITY, NOTHING], &[4.0, 0.0], 0.0, &[0.0, 0.0]),
            case(&[INFINITY], &[3.0], NOTHING, &[-1.0]),
            case(&[NOTHING], &[3.0], NOTHING, &[3.0]),
        ],
    );
    check(
        "Geometric",
        |p| Box::new(Geometric::from_logits(p)),
        &[
            case(&[50.0], &[0.0], -far, &[far]),
            case(&[50.0], &[2.0], -100.0, &[-2.0]),
            case(&[INFINITY], &[0.0], 0.0, &[0.0]),
            case(&[INFINITY], &[2.0], NOTHING, &[-2.0]),
        ],
    );
}

#[test]
fn counts_by_probabilities() {
    check(
        "Binomial",
        |p| Box::new(Binomial::from_probabilities(4.0, p)),
        &[
            case(&[0.0, 1.0], &[0.0, 4.0], 0.0, &[-4.0, 4.0]),
            case(&[0.0], &[1.0], NOTHING, &[INFINITY]),
            case(&[1.0], &[3.0], NOTHING, &[NOTHING]),
        ],
    );
    check(
        "Geometric",
        |p| Box::new(Geometric::from_probabilities(p)),
        &[case(&[1.0], &[0.0], 0.0, &[1.0]), case(&[1.0], &[2.0], NOTHING, &[NOTHING])],
    );
    check(
        "Multinomial",
        |p| Box::new(Multinomial::from_probabilities(3.0, p)),
        &[
            case(&[0.0, 1.0], &[0.0, 3.0], 0.0, &[-3.0, 0.0]),
            case(&[0.0, 1.0], &[1.0, 2.0], NOTHING, &[INFINITY, -1.0]),
        ],
    );
}

#[test]
fn categories_by_logits() {
    let far = (-50.0_f64).exp();
    // Logits, the category, the log-probability, the score: where the category is, less the probabilities.
    let cases = [
        ([0.0, 50.0], 1, -far, [-far, far]),
        ([0.0, 50.0], 0, -50.0, [1.0, -1.0]),
        ([0.0, -50.0], 1, -50.0, [-1.0, 1.0]),
        ([NOTHING, 50.0], 1, 0.0, [0.0, 0.0]),
        ([NOTHING, -50.0], 0, NOTHING, [1.0, -1.0]),
    ];
    for (logits, category, log_prob, score) in cases {
        let mut one_hot = [0.0; 2];
        one_hot[category] = 1.0;
        let number = [category as f64];
        check(
            "Categorical",
            |p| Box::new(Categorical::from_logits(p.reshape([1, 2]))),
            &[case(&logits, &number, log_prob, &score)],
        );
        check(
            "OneHotCategorical",
            |p| Box::new(OneHotCategorical::from_logits(p)),
            &[case(&logits, &one_hot, log_prob, &score)],
        );
        check(
            "Multinomial",
            |p| Box::new(Multinomial::from_logits(1.0, p)),
            &[case(&logits, &one_hot, log_prob, &score)],
        );
    }
}

#[test]
fn categories_by_probabilities() {
    for (category, log_prob, score) in [(1, 0.0, [0.0, 1.0]), (0, NOTHING, [INFINITY, 0.0])] {
        let mut one_hot = [0.0; 2];
        one_hot[category] = 1.0;
        let number = [category as f64];
        check(
            "Categorical",
            |p| Box::new(Categorical::from_probabilities(p.reshape([1, 2]))),
            &[case(&[0.0, 1.0], &number, log_prob, &score)],
        );
        check(
            "OneHotCategorical",
            |p| Box::new(OneHotCategorical::from_probabilities(p)),
            &[case(&[0.0, 1.0], &one_hot, log_prob, &score)],
        );
    }
}
