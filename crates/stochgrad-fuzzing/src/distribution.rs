//! Distributions: parameters and arguments of any bit pattern.

use stochgrad_distributions::{Distribution, Draw, KeyedNoise, NoiseKey};
use stochgrad_tape::{Plates, Tape, Var};
use stochgrad_tensor::Tensor;

use crate::bytes::Bytes;
use crate::catalogue::entries;
use crate::{Outcome, refused};

/// Makes a distribution of the bytes, validates it, draws from it, and evaluates its functions. If the parameters are
/// valid, no result is NaN, except at arguments that are NaN or, for quantiles, not a probability.
pub fn distribution(bytes: &[u8]) -> Outcome {
    let mut source = Bytes::new(bytes);
    let entries = entries();
    let entry = &entries[source.below(entries.len())];
    let parameters: Vec<f64> = entry.ordinary.iter().map(|&ordinary| source.number(ordinary)).collect();
    let what = format!("{} at {parameters:?}", entry.distribution);

    let tape = Tape::<f64>::new();
    let leaves: Vec<Var<'_, f64>> = parameters.iter().map(|&parameter| tape.parameter(parameter)).collect();
    let distribution = (entry.build)(&tape, &leaves);
    if let Err(error) = distribution.validate() {
        return refused(error);
    }

    let noise = KeyedNoise::new(u64::from(source.below(256) as u8), 0);
    // A draw may be refused: sequences can grow beyond all numbers.
    let sample = match distribution.draw(&Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::new())) {
        Ok(sample) => sample,
        Err(error) => return refused(error),
    };
    assert_no_nan(&what, "a draw", &sample);
    let at_sample = distribution.log_prob_each(tape.constant(sample.clone()));
    check(&what, &format!("the log-probability of its own draw {sample:?}"), at_sample);

    let argument = source.number(1.0);
    if distribution.event_shape().rank() == 0 {
        functions(&what, &*distribution, argument, source.number(0.5));
    }
    for moment in [distribution.mean(), distribution.variance()].into_iter().flatten() {
        // Some distributions have no mean or variance, which is NaN by definition.
        let _ = moment.peek();
    }
    Outcome::Accepted
}

/// The functions of a distribution of single values.
fn functions(what: &str, distribution: &dyn Distribution<'_, f64>, argument: f64, probability: f64) {
    let Ok(tape) = distribution.tape() else { return };
    let capabilities = distribution.capabilities();
    if !argument.is_nan() {
        let log_prob = distribution.log_prob_each(tape.constant(argument));
        check(what, &format!("the log-probability of {argument:?}"), log_prob);
        if let Some(cdf) = capabilities.cdf {
            let at = tape.constant(argument);
            for (function, value, most) in [
                ("distribution function", cdf.cdf(at), 0.0..=1.0),
                ("survival function", cdf.survival(at), 0.0..=1.0),
                ("logarithm of the distribution function", cdf.log_cdf(at), f64::NEG_INFINITY..=0.0),
                ("logarithm of the survival function", cdf.log_survival(at), f64::NEG_INFINITY..=0.0),
            ] {
                let name = format!("the {function} at {argument:?}");
                let found = check(what, &name, value);
                let inside =
                    found.as_ref().is_none_or(|found| found.as_slice().iter().all(|level| most.contains(level)));
                assert!(inside, "{what}: {name} is {found:?}, which is not in {most:?}");
            }
        }
    }
    if let Some(icdf) = capabilities.icdf {
        let at = tape.constant(probability);
        for (function, quantile) in [("quantile", icdf.icdf(at)), ("upper quantile", icdf.inverse_survival(at))] {
            if (0.0..=1.0).contains(&probability) {
                check(what, &format!("the {function} of {probability:?}"), quantile);
            } else {
                let _ = quantile.peek();
            }
        }
    }
}

/// The value, which must not be NaN, or `None` for an error, which is accepted.
fn check(what: &str, name: &str, value: Var<'_, f64>) -> Option<Tensor<f64>> {
    let value = value.peek().ok()?;
    assert_no_nan(what, name, &value);
    Some(value)
}

fn assert_no_nan(what: &str, name: &str, value: &Tensor<f64>) {
    assert!(!value.as_slice().iter().any(|value| value.is_nan()), "{what}: {name} is NaN: {value:?}");
}
