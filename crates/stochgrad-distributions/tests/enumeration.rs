//! The enumerated values of every distribution with a finite support.

use stochgrad_distributions::testing::check_enumeration;
use stochgrad_distributions::*;
use stochgrad_tape::Tape;

#[test]
fn enumerated_values_have_all_the_probability() {
    let tape = Tape::<f64>::new();
    let (p, logit) = (tape.parameter(0.3), tape.parameter(-0.4));
    check_enumeration(&Bernoulli::from_probabilities(p), p);
    check_enumeration(&Bernoulli::from_logits(logit), logit);
    check_enumeration(&Binomial::from_probabilities(6.0, p), p);
    check_enumeration(&Binomial::from_logits(6.0, logit), logit);
    let logits = tape.parameter([0.3, -0.5, 0.1]);
    check_enumeration(&Categorical::from_logits(logits), logits);
    check_enumeration(&OneHotCategorical::from_logits(logits), logits);
    // Its bounds are not differentiated.
    check_enumeration(&DiscreteUniform::new(tape.constant(1.0), 6.0), p);
}

#[test]
fn certain_values_keep_their_derivative() {
    for p in [0.0, 1.0] {
        let tape = Tape::<f64>::new();
        let p = tape.parameter(p);
        check_enumeration(&Bernoulli::from_probabilities(p), p);
        check_enumeration(&Binomial::from_probabilities(4.0, p), p);
    }
}
