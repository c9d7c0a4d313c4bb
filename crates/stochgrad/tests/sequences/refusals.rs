//! What is refused, and why.

use crate::cases::{CASES, model};
use stochgrad::check::Oracle;
use stochgrad::estimators::{RecordedBaseline, SequenceSet};
use stochgrad::graph::{GraphResult, SequenceModel};
use stochgrad::prelude::*;

fn message(record: impl Fn(&Graph<'_, f64>) -> GraphResult<()>) -> String {
    let tape = Tape::new();
    let graph = Graph::new(&tape, Seed::new(7));
    record(&graph).and_then(|()| graph.backward().map(|_| ())).unwrap_err().to_string()
}

#[track_caller]
fn assert_refused(record: impl Fn(&Graph<'_, f64>) -> GraphResult<()>, parts: &[&str]) {
    let message = message(record);
    for part in parts {
        assert!(message.contains(part), "expected \"{part}\" in: {message}");
    }
}

#[test]
fn samples_of_each_step_are_refused() {
    let record = |graph: &Graph<'_, f64>| {
        let method = ScoreFunction::new().samples(4).baseline(LeaveOneOut);
        model(graph, &CASES[0].table)?.sample(graph, "token", &method).map(|_| ())
    };
    assert_refused(record, &["draws 4 in every step", "on_plate", "refusals.rs"]);
}

#[test]
fn logits_and_end_tokens_that_do_not_fit_are_refused() {
    let wrong = |graph: &Graph<'_, f64>| {
        let logits = graph.param("logits", [[0.0, 1.0]])?;
        let model = SequenceModel::new(2, (), graph.constant(0.0), |(), _| Ok(((), logits)));
        model.greedy(graph, "greedy").map(|_| ())
    };
    assert_refused(wrong, &["only event axis", "got event shape [1, 2]", "refusals.rs"]);
    let end = |graph: &Graph<'_, f64>| {
        let logits = graph.param("logits", [0.0, 1.0])?;
        let model = SequenceModel::new(2, (), graph.constant(0.0), |(), _| Ok(((), logits))).end(2);
        model.beam_search(graph, "beam", 2).map(|_| ())
    };
    assert_refused(end, &["end token below 2", "got 2"]);
    let none = |graph: &Graph<'_, f64>| model(graph, &CASES[0].table)?.beam_search(graph, "beam", 0).map(|_| ());
    assert_refused(none, &["at least one sequence"]);
}

#[test]
fn sets_that_do_not_fit_are_refused() {
    let set = |size: usize, method: SequenceSet| {
        move |graph: &Graph<'_, f64>| {
            let logits = graph.param("logits", [0.0, 1.0])?;
            let model = SequenceModel::new(4, (), graph.constant(0.0), |(), _| Ok(((), logits)));
            let tokens = graph.sample("sequences", &model.without_replacement(graph, "search", size)?, &method)?;
            graph.cost("cost", tokens.sum())
        }
    };
    assert_refused(set(3, SequenceSet::new(2)), &["expected 2 sequences", "got 3"]);
    assert_refused(set(12, SequenceSet::new(12)), &["at most 10 sequences", "importance_weighted"]);
    // There are 16 sequences.
    assert_refused(set(17, SequenceSet::new(17).importance_weighted()), &["fewer possible sequences", "smaller set"]);
}

#[test]
fn the_oracle_cannot_draw_sets() {
    let record = |graph: &Graph<'_, f64>| {
        let drawn = model(graph, &CASES[0].table)?.without_replacement(graph, "search", 2)?;
        graph.cost("cost", graph.sample("sequences", &drawn, &SequenceSet::new(2))?.sum())
    };
    let message = Oracle::new().verify(record, 0..=1, 1e-9).unwrap_err().to_string();
    assert!(message.contains("exact oracle") && message.contains("statistically"), "{message}");
}

#[test]
fn recorded_baselines_that_do_not_fit_are_refused() {
    let shape = |graph: &Graph<'_, f64>| {
        let method = ScoreFunction::new().baseline(RecordedBaseline::new(graph.constant([1.0, 2.0])));
        graph.cost("cost", graph.sample("x", &Bernoulli::from_logits(graph.param("t", 0.3)?), &method)?)
    };
    assert_refused(shape, &["without event axes", "of_steps"]);
    let steps = |graph: &Graph<'_, f64>| {
        let method = ScoreFunction::new().baseline(RecordedBaseline::of_steps(graph.constant([1.0, 2.0])));
        let sampled = model(graph, &CASES[0].table)?.sample(graph, "token", &method)?;
        graph.cost("cost", sampled.lengths)
    };
    assert_refused(steps, &["an element for step ", "got event shape [2]"]);
    let other = Tape::<f64>::new();
    let method = ScoreFunction::new().baseline(RecordedBaseline::new(other.constant(1.0)));
    let foreign = |graph: &Graph<'_, f64>| {
        graph.cost("cost", graph.sample("x", &Bernoulli::from_logits(graph.param("t", 0.3)?), &method)?)
    };
    assert_refused(foreign, &["belong"]);
}
