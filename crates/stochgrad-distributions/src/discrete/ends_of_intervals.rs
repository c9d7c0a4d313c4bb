//! Checks of the derivatives of discrete distributions where a parameter is at an end of its interval: there is a
//! derivative from one side only, and outcomes of probability zero take part in it.

use crate::discrete::bernoulli::Bernoulli;
use crate::discrete::binomial::Binomial;
use crate::discrete::geometric::Geometric;
use crate::discrete::negative_binomial::NegativeBinomial;
use crate::discrete::poisson::Poisson;
use crate::distribution::{StochasticDerivative, WeakDerivative};
use crate::noise::KeyedNoise;
use crate::testing::{COSTS, SIDES, States, assert_close};
use stochgrad_tape::{Tape, Var};

/// Checks both kinds of alternatives against the derivative `factor · (f(to) − f(from))`.
#[track_caller]
fn check<'t, D>(tape: &'t Tape<f64>, distribution: &D, factor: f64, from: f64, to: f64)
where
    D: WeakDerivative<'t, f64> + StochasticDerivative<'t, f64>,
{
    let noise = KeyedNoise::new(1, 0);
    let states = States::new(tape, distribution, 5);
    let draw = states.draw(&noise);
    for f in COSTS {
        let exact = [factor * (f(to) - f(from))];
        let weak = distribution.weak_derivative(0, states.recorded(), &draw).unwrap().unwrap();
        assert_close(&states.estimated(distribution, &weak, f), &exact, 1e-12);
        for side in SIDES {
            let jumps = distribution.stochastic_derivative(0, side, states.recorded(), &draw).unwrap().unwrap();
            assert_close(&states.estimated(distribution, &jumps, f), &exact, 1e-12);
        }
    }
}

#[test]
fn the_one_sided_derivative_is_taken_whole() {
    let tape = Tape::<f64>::new();
    let (zero, one) = (tape.parameter(0.0), tape.parameter(1.0));
    let trials: Var<'_, f64> = tape.constant(4.0);
    check(&tape, &Binomial::from_probabilities(trials, zero), 4.0, 0.0, 1.0);
    check(&tape, &Binomial::from_probabilities(trials, one), 4.0, 3.0, 4.0);
    check(&tape, &Poisson::from_rate(zero), 1.0, 0.0, 1.0);
    check(&tape, &Geometric::from_probabilities(one), 1.0, 1.0, 0.0);
    check(&tape, &NegativeBinomial::from_probabilities(tape.constant(2.5), one), 2.5, 1.0, 0.0);
}

#[test]
fn certain_bits_have_the_derivative_of_their_probability() {
    let noise = KeyedNoise::new(1, 0);
    for p in [0.0, 1.0] {
        let tape = Tape::<f64>::new();
        let bit = Bernoulli::from_probabilities(tape.parameter(p));
        let states = States::new(&tape, &bit, 2);
        let draw = states.draw(&noise);
        for f in COSTS {
            let exact = [f(1.0) - f(0.0)];
            for side in SIDES {
                let jumps = bit.stochastic_derivative(0, side, states.recorded(), &draw).unwrap().unwrap();
                assert_close(&states.estimated(&bit, &jumps, f), &exact, 1e-12);
                // The bit that occurs is p itself.
                let recorded = bit.stochastic_derivative(0, side, tape.constant(p), &draw).unwrap().unwrap();
                let other = recorded.values[0].item().unwrap();
                let weight = recorded.weights[0].item().unwrap();
                assert_close(&[weight * (f(other) - f(p))], &exact, 1e-12);
            }
        }
    }
}
