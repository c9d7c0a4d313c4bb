//! A survey of random models: their estimators agree with an independent exact reference, or are refused with a reason.

use stochgrad_models::{Survey, Tally, catalogue};

/// The number of graphs.
const GRAPHS: u64 = 300;

/// The number of threads that share them.
const THREADS: u64 = 2;

#[test]
fn estimators_agree_with_the_meaning_of_their_models_or_are_refused() {
    // A panic is a verdict like others, and the table shows it.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let survey = Survey { seed: 20, max_outcomes: 150, methods: catalogue(), shrinks: true };
    let survey = &survey;
    let parts: Vec<_> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || survey.graphs((0..GRAPHS).filter(|at| at % THREADS == thread))))
            .collect();
        handles.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    std::panic::set_hook(report);
    let mut tally = Tally::default();
    for part in parts {
        tally.merge(part.expect("a verdict for each graph"));
    }
    assert_eq!(tally.graphs, GRAPHS);
    // A survey proves nothing if most of its models are refused or too large.
    assert!(tally.all.agreed > GRAPHS, "{}", tally.table());
    assert!(tally.orders.contains_key(&1) && tally.orders.contains_key(&3), "{}", tally.table());
    let failures = tally.failures.iter().map(|failure| {
        format!(
            "graph {}: {}: expected {}, got {}\n{}",
            failure.graph, failure.what, failure.expected, failure.found, failure.program
        )
    });
    let failures: Vec<String> = failures.collect();
    assert!(failures.is_empty(), "{} failures\n\n{}", failures.len(), failures.join("\n"));
}
