//! Graphs: models with discrete draws.

use stochgrad_models::{Settings, Verdict, catalogue, choose, generate, judge, print, reference};

use crate::Outcome;
use crate::bytes::Bytes;

/// The largest number of outcomes of an estimator.
const MAX_OUTCOMES: usize = 60;

/// Generates a model and its gradient methods from the bytes, records it, differentiates it and compiles it. The result
/// agrees with an independent reference and with the compiled graph, or is refused with a reason.
pub fn graph(bytes: &[u8]) -> Outcome {
    let mut source = Bytes::new(bytes);
    let model = generate(&mut source);
    // Models without a reference have too many outcomes.
    let Ok(reference) = reference(&model) else { return Outcome::Refused };
    let methods = catalogue();
    let Some(choices) = choose(&mut source, &model, &methods) else { return Outcome::Refused };
    let settings = Settings { max_outcomes: MAX_OUTCOMES, compiled: true, oracle: false };
    match judge(&model, &reference, &methods, &choices, settings) {
        Verdict::Agreed(_) | Verdict::Labelled => Outcome::Accepted,
        Verdict::Refused(_) | Verdict::TooLarge | Verdict::NotEnumerable => Outcome::Refused,
        Verdict::Failed(failure) => panic!(
            "{}: expected {}, got {}\n{}",
            failure.what,
            failure.expected,
            failure.found,
            print(&model, &methods, &choices)
        ),
    }
}
