//! Checks of values outside the support: the log-probability is −∞ there, and no derivative is NaN.

use crate::discrete::bernoulli::Bernoulli;
use crate::discrete::beta_binomial::BetaBinomial;
use crate::discrete::binomial::Binomial;
use crate::discrete::categorical::Categorical;
use crate::discrete::discrete_uniform::DiscreteUniform;
use crate::discrete::geometric::Geometric;
use crate::discrete::hypergeometric::Hypergeometric;
use crate::discrete::negative_binomial::NegativeBinomial;
use crate::discrete::ordered_logistic::OrderedLogistic;
use crate::discrete::poisson::Poisson;
use crate::discrete::skellam::Skellam;
use crate::discrete::zeta::Zeta;
use crate::discrete::zipf::Zipf;
use crate::distribution::Distribution;
use crate::{Hurdle, ZeroInflated};
use stochgrad_tape::{Tape, Var};

/// A distribution of one parameter.
type Build<'a> = &'a dyn for<'t> Fn(&'t Tape<f64>, Var<'t, f64>) -> Box<dyn Distribution<'t, f64> + 't>;

fn check(build: Build<'_>, values: &[f64]) {
    for &value in values {
        let tape = Tape::<f64>::new();
        let parameter = tape.parameter(0.5);
        let distribution = build(&tape, parameter);
        let log = distribution.log_prob(tape.constant(value));
        assert_eq!(log.item(), Ok(f64::NEG_INFINITY), "{} at {value}", distribution.name());
        let [gradient] = tape.backward(log, [parameter]).unwrap();
        assert!(!gradient.item().unwrap().is_nan(), "{} at {value}: {gradient:?}", distribution.name());
        let nan = distribution.log_prob(tape.constant(f64::NAN));
        assert!(nan.item().unwrap().is_nan(), "{}", distribution.name());
    }
}

#[test]
fn impossible_values_have_no_probability() {
    let beyond = [-1.0, -0.5, 0.5, 1.5, f64::NEG_INFINITY, f64::INFINITY];
    let bits = [-3.0, -1e-9, 1.0 + 1e-9, 2.0, f64::NEG_INFINITY, f64::INFINITY];
    check(&|_, p| Box::new(Bernoulli::from_probabilities(p)), &bits);
    check(&|_, p| Box::new(Bernoulli::from_logits(p)), &bits);
    check(&|_, p| Box::new(Geometric::from_probabilities(p)), &beyond);
    check(&|_, p| Box::new(Geometric::from_logits(p)), &beyond);
    check(&|_, p| Box::new(Poisson::from_rate(p)), &beyond);
    check(&|_, p| Box::new(Poisson::from_log_rate(p)), &beyond);
    check(&|_, p| Box::new(NegativeBinomial::from_probabilities(2.0, p)), &beyond);
    check(&|tape, r| Box::new(NegativeBinomial::from_probabilities(r, tape.constant(0.3))), &beyond);
    check(&|_, p| Box::new(NegativeBinomial::from_logits(2.0, p)), &[&beyond[..], &[-2.0]].concat());
    check(&|_, p| Box::new(Binomial::from_probabilities(3.0, p)), &[&beyond[..], &[4.0]].concat());
    check(&|_, p| Box::new(Binomial::from_logits(3.0, p)), &[&beyond[..], &[4.0]].concat());
    check(&|_, a| Box::new(BetaBinomial::new(3.0, a, 2.0)), &[&beyond[..], &[4.0]].concat());
    check(&|_, p| Box::new(ZeroInflated::from_probability(p, Poisson::from_rate(p)).unwrap()), &beyond);
    check(&|_, p| Box::new(Hurdle::from_probability(p, Poisson::from_rate(p)).unwrap()), &beyond);
    check(&|tape, p| Box::new(OrderedLogistic::new(p, tape.constant([0.0]))), &[&beyond[..], &[2.0]].concat());
    check(&|_, p| Box::new(Skellam::new(p, p)), &[-0.5, 0.5, f64::NEG_INFINITY, f64::INFINITY]);
    let categories = [&beyond[..], &[2.0, 3.0]].concat();
    check(&|_, p| Box::new(Categorical::from_logits(Var::stack(&[p, p * 0.0]).unwrap())), &categories);
    check(&|_, p| Box::new(Categorical::from_probabilities(Var::stack(&[p, 1.0 - p]).unwrap())), &categories);
    check(&|_, p| Box::new(Zeta::new(p + 1.0)), &[0.0, -1.0, 0.5, 1.5, f64::NEG_INFINITY, f64::INFINITY]);
    check(&|_, p| Box::new(Zipf::new(3, p)), &[0.0, -1.0, 0.5, 1.5, 4.0, f64::NEG_INFINITY, f64::INFINITY]);
    // At least three of the five drawn are among the eight successes.
    check(
        &|tape, _| Box::new(Hypergeometric::new(tape.constant(10.0), 8.0, 5.0)),
        &[-1.0, 0.0, 2.0, 3.5, 6.0, f64::NEG_INFINITY, f64::INFINITY],
    );
    check(
        &|tape, p| Box::new(DiscreteUniform::new(tape.constant(0.0) + p.floor().stop_gradient(), 3.0)),
        &[-1.0, 0.5, 4.0, f64::INFINITY],
    );
}

/// Bits on another plate than the log-odds take a path of their own.
#[test]
fn bits_on_another_plate() {
    let tape = Tape::<f64>::new();
    let plate = |name: &str| tape.plate(name, 2, stochgrad_tape::PlateKind::Data, &[]);
    let (rows, columns) = (plate("rows"), plate("columns"));
    let logits = tape.parameter([[0.3, -0.2], [1.0, 2.0]]).event_to_plate(rows);
    let bits = tape.constant([[1.0, 0.0], [1.0, 2.0]]).event_to_plate(columns);
    let log = Bernoulli::from_logits(logits).log_prob(bits).plate_to_event(rows).plate_to_event(columns);
    let impossible = log.peek().unwrap().as_slice().iter().filter(|x| **x == f64::NEG_INFINITY).count();
    assert_eq!(impossible, 2, "{log:?}");
    assert_eq!(log.peek().unwrap().as_slice().iter().filter(|x| x.is_finite()).count(), 2, "{log:?}");
}

/// With many trials and a probability close to 1, in single precision: n (1 − σ(η)).
#[test]
fn the_score_of_many_trials_is_a_balance() {
    let tape = Tape::<f32>::new();
    let logit = tape.parameter(12.0);
    let log = Binomial::from_logits(1e6, logit).log_prob(tape.constant(1e6));
    let [score] = tape.backward(log, [logit]).unwrap();
    assert!((score.item().unwrap() - 6.144_174_6).abs() < 2e-6, "{score:?}");
}
