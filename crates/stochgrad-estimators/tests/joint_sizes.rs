//! Nodes whose members multiply beyond the memory are refused before anything is allocated.

use stochgrad_distributions::Bernoulli;
use stochgrad_estimators::{Enumerate, ScoreFunction};
use stochgrad_graph::{Graph, GraphResult, Seed};
use stochgrad_tape::{Tape, Workspace};

/// The square of the sum of bits that are nodes of their own, each with its two states.
fn bits(graph: &Graph<'_, f64>, count: usize) -> GraphResult<()> {
    let logit = graph.param("logit", 0.0)?;
    let mut sum = graph.constant(0.0);
    for index in 0..count {
        sum = sum + graph.sample(("z", index), &Bernoulli::from_logits(logit), &Enumerate::new())?;
    }
    graph.cost("cost", sum.square())?;
    graph.backward().map(drop)
}

/// A chain of bits, each with two samples for each sample of the one before.
fn chain(graph: &Graph<'_, f64>, count: usize) -> GraphResult<()> {
    let logit = graph.param("logit", 0.0)?;
    let mut last = graph.constant(0.0);
    for index in 0..count {
        let distribution = Bernoulli::from_logits(logit + last);
        last = graph.sample(("x", index), &distribution, &ScoreFunction::new().samples(2))?;
    }
    graph.cost("cost", last)?;
    graph.backward().map(drop)
}

#[test]
fn bits_of_their_own_are_refused_at_a_limit() {
    let mut workspace = Workspace::<f64>::new();
    workspace.set_memory_limit(8 << 20);
    let tape = workspace.tape();
    let error = bits(&Graph::new(tape, Seed::new(1)), 27).unwrap_err().to_string();
    for part in ["Add", "z[0](2)", "z[17](2)", "8388608", "joint_sizes.rs", "set_memory_limit"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(tape.live_bytes() <= 8 << 20);
    let tape = workspace.tape();
    assert_eq!(tape.live_bytes(), 0);
    bits(&Graph::new(tape, Seed::new(1)), 6).unwrap();
}

#[test]
fn a_chain_of_samples_of_samples_is_refused_at_a_limit() {
    let tape = Tape::<f64>::new();
    tape.set_memory_limit(8 << 20);
    let error = chain(&Graph::new(&tape, Seed::new(1)), 26).unwrap_err().to_string();
    for part in ["x[0](2)", "x[11](2)", "8388608", "joint_sizes.rs"] {
        assert!(error.contains(part), "{error}");
    }
    let tape = Tape::<f64>::new();
    tape.set_memory_limit(8 << 20);
    chain(&Graph::new(&tape, Seed::new(1)), 8).unwrap();
}

/// Each value has more members than the one before: with all of them at once, no machine has room for the first one
/// that is recorded.
#[test]
fn the_memory_of_the_machine_is_the_limit_by_default() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let logits = graph.param("logits", [0.0; 40]).unwrap();
    let all = Enumerate::new().limit(usize::MAX);
    let error = graph.sample("z", &Bernoulli::from_logits(logits), &all).unwrap_err().to_string();
    assert!(error.contains("43980465111040 elements") && error.contains("joint_sizes.rs"), "{error}");
    let plates: Vec<_> = (0..50).map(|k| graph.plate(&format!("plate {k}"), 2).unwrap()).collect();
    let wide = graph.constant(0.0).expand_plates(&plates);
    let error = tape.check().unwrap_err().to_string();
    assert!(error.contains("plate 49(2)") && error.contains("1125899906842624 elements"), "{error}");
    assert_eq!(wide.plates().len(), 0);
}
