//! Log-probabilities, and sequences that are sampled token by token.

use crate::cases::{CASES, Case, LONGEST, assert_all_close, assert_close, cost, model, sequences, tokens};
use stochgrad::check::Oracle;
use stochgrad::estimators::RecordedBaseline;
use stochgrad::graph::{GraphResult, SequenceModel};
use stochgrad::prelude::*;

const SEED: Seed = Seed { seed: 7, step: 0 };

#[test]
fn log_probabilities_and_their_derivatives_are_the_known_ones() {
    for case in &CASES {
        let all = sequences(&case.table);
        assert_eq!(all.len(), 31);
        assert_close(all.iter().map(|sequence| sequence.probability).sum(), 1.0, "sum");
        for (text, (log_prob, score)) in ["ab.", "bbaa"].into_iter().zip(&case.log_probs) {
            let listed = all.iter().find(|sequence| sequence.tokens == tokens(text)).unwrap();
            assert_close(listed.probability.ln(), *log_prob, text);
            assert_all_close(&listed.score, score, text);
        }
        for sequence in &all {
            let tape = Tape::new();
            let graph = Graph::new(&tape, SEED);
            let given = graph.constant(sequence.tokens);
            let log_probs = model(&graph, &case.table).unwrap().log_probs(&graph, "given", given).unwrap();
            assert_eq!(log_probs.shape()[..], [LONGEST]);
            graph.cost("log_prob", log_probs.sum()).unwrap();
            let gradients = graph.backward().unwrap();
            assert_close(gradients.total(), sequence.probability.ln(), "log-probability");
            assert_all_close(gradients.get("logits").unwrap().as_slice(), &sequence.score, "score");
        }
    }
}

/// The value, the gradient and a second derivative of the mean cost.
fn assert_known_mean(case: &Case) {
    let all = sequences(&case.table);
    let mean: f64 = all.iter().map(|sequence| sequence.probability * sequence.cost()).sum();
    assert_close(mean, case.mean, "mean");
    for logit in 0..9 {
        let gradient = all.iter().map(|s| s.probability * s.score[logit] * s.cost()).sum();
        assert_close(gradient, case.gradient[logit], "gradient");
    }
    // The score of "b after a" is the number of such steps minus its share of all steps after a, whose share does not
    // depend on the logit of a after the start: only the density does.
    let second = all.iter().map(|s| s.probability * s.score[0] * s.score[4] * s.cost()).sum();
    assert_close(second, case.second, "second derivative");
}

#[test]
fn enumerated_tokens_give_the_exact_mean_and_its_derivatives() {
    for case in &CASES {
        assert_known_mean(case);
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let sampled = model(&graph, &case.table).unwrap().sample(&graph, "token", &Enumerate::new()).unwrap();
        graph.cost("cost", cost(sampled.tokens)).unwrap();
        let gradients = graph.backward().unwrap();
        assert_close(gradients.total(), case.mean, "mean");
        assert_all_close(gradients.get("logits").unwrap().as_slice(), &case.gradient, "gradient");
        let hessian = graph.surrogate().unwrap().hessian("logits").unwrap();
        assert_close(hessian.as_slice()[4], case.second, "second derivative");
    }
}

/// A sampled sequence with the cost of the whole sequence.
fn terminal(graph: &Graph<'_, f64>, case: &Case) -> GraphResult<()> {
    let sampled = model(graph, &case.table)?.sample(graph, "token", &ScoreFunction::new())?;
    graph.cost("cost", cost(sampled.tokens))
}

#[test]
fn the_score_function_is_exact_and_has_the_known_variance() {
    for case in &CASES {
        Oracle::new().verify(|graph: &Graph<'_, f64>| terminal(graph, case), 0..=2, 1e-9).unwrap();
        let moments = Oracle::new().gradient(|graph: &Graph<'_, f64>| terminal(graph, case)).unwrap();
        assert_all_close(moments.mean("logits").unwrap().as_slice(), &case.gradient, "gradient");
        let variance = moments.variance("logits").unwrap().as_slice().iter().sum();
        assert_close(variance, case.variance_of_gradient, "variance");
        let all = sequences(&case.table);
        let square: f64 = all.iter().map(|sequence| sequence.probability * sequence.cost().powi(2)).sum();
        assert_close(square - case.mean * case.mean, case.variance_of_value, "variance of the value");
    }
}

#[test]
fn the_greedy_cost_is_an_unbiased_baseline() {
    for case in &CASES {
        let critical = |graph: &Graph<'_, f64>| {
            let model = model(graph, &case.table)?;
            let greedy = model.greedy(graph, "greedy")?;
            let method = ScoreFunction::new().baseline(RecordedBaseline::new(cost(greedy.tokens)));
            graph.cost("cost", cost(model.sample(graph, "token", &method)?.tokens))
        };
        Oracle::new().verify(critical, 0..=2, 1e-9).unwrap();
        let variance = Oracle::new().gradient(critical).unwrap().variance("logits").unwrap().as_slice().iter().sum();
        let all = sequences(&case.table);
        let best = all.iter().find(|sequence| sequence.tokens == tokens(case.found[0].0)).unwrap().cost();
        let expected: f64 = (0..9)
            .map(|logit| {
                let of = |s: &crate::cases::Sequence| s.probability * (s.score[logit] * (s.cost() - best)).powi(2);
                all.iter().map(of).sum::<f64>() - case.gradient[logit].powi(2)
            })
            .sum();
        assert_close(variance, expected, "variance");
    }
}

/// A cost in each step: 1 for a, 2 for b in the second step and so on, and nothing behind the end.
fn in_steps<M>(graph: &Graph<'_, f64>, case: &Case, method: &M) -> GraphResult<()>
where
    M: stochgrad::graph::GradientMethod<f64, Categorical> + Clone + 'static,
{
    model(graph, &case.table)?
        .sample_each(graph, "token", method, |step, sampled| {
            graph.cost("cost", (sampled.token + 1.0) * (step.number() + 1.0) * sampled.mask)
        })
        .map(|_| ())
}

#[test]
fn costs_of_steps_are_credited_to_earlier_tokens_only() {
    for case in &CASES {
        let model = |graph: &Graph<'_, f64>| in_steps(graph, case, &ScoreFunction::new());
        Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
        let moments = Oracle::new().gradient(model).unwrap();
        // In host code: the score of each decision times the costs from its step on.
        let (mut mean, mut square) = ([0.0; 9], [0.0; 9]);
        for sequence in sequences(&case.table) {
            let decisions = (sequence.symbols.len() + 1).min(LONGEST);
            let mut estimate = [0.0; 9];
            for t in 0..decisions {
                let to_go: f64 = (t..decisions).map(|u| (sequence.tokens[u] + 1.0) * (u + 1) as f64).sum();
                let row = if t == 0 { 0 } else { sequence.symbols[t - 1] + 1 };
                let total: f64 = case.table[row].iter().map(|logit| logit.exp()).sum();
                for (other, logit) in case.table[row].iter().enumerate() {
                    let chosen = f64::from(u8::from(other as f64 == sequence.tokens[t]));
                    estimate[3 * row + other] += (chosen - logit.exp() / total) * to_go;
                }
            }
            for logit in 0..9 {
                mean[logit] += sequence.probability * estimate[logit];
                square[logit] += sequence.probability * estimate[logit].powi(2);
            }
        }
        assert_all_close(moments.mean("logits").unwrap().as_slice(), &mean, "gradient");
        let variances: Vec<f64> = (0..9).map(|logit| square[logit] - mean[logit].powi(2)).collect();
        assert_all_close(moments.variance("logits").unwrap().as_slice(), &variances, "variance");
    }
}

#[test]
fn baselines_of_steps_are_those_of_their_nodes() {
    let case = &CASES[1];
    let critical = |graph: &Graph<'_, f64>| {
        let values = graph.constant([3.0, -1.0, 0.5, 2.0]);
        in_steps(graph, case, &ScoreFunction::new().baseline(RecordedBaseline::of_steps(values)))
    };
    Oracle::new().verify(critical, 0..=2, 1e-9).unwrap();
}

#[test]
fn lengths_masks_and_log_probabilities_belong_to_the_tokens() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, SEED);
    let model = model(&graph, &CASES[0].table).unwrap();
    let plate = graph.plate("samples", 200).unwrap();
    let method = ScoreFunction::new().on_plate(plate).baseline(LeaveOneOut);
    let sampled = model.sample(&graph, "token", &method).unwrap();
    let rows = |var: Var<'_, f64>| var.plate_to_event(plate).peek().unwrap().to_vec();
    let [tokens, mask, log_probs] = [sampled.tokens, sampled.mask, sampled.log_probs].map(rows);
    let lengths = rows(sampled.lengths);
    let again = rows(model.log_probs(&graph, "given", sampled.tokens).unwrap());
    for (row, &found) in lengths.iter().enumerate() {
        let part = row * LONGEST..(row + 1) * LONGEST;
        let length = tokens[part.clone()].iter().position(|&token| token == 2.0).unwrap_or(LONGEST);
        assert_eq!(found, length as f64);
        for t in 0..LONGEST {
            assert_eq!(mask[part.start + t], f64::from(u8::from(t <= length)));
            assert!(t <= length || (tokens[part.start + t] == 2.0 && log_probs[part.start + t] == 0.0));
            assert!((log_probs[part.start + t] - again[part.start + t]).abs() < 1e-14);
        }
    }
    assert!(lengths.contains(&0.0) && lengths.contains(&4.0));
}

#[test]
fn compiled_graphs_repeat_the_bits() {
    let record = |graph: &Graph<'_, f64>| -> GraphResult<()> {
        let plate = graph.plate("samples", 3)?;
        let start = graph.data("batch", [[0.1, -0.2], [0.5, 0.3]])?;
        let weights = graph.param("weights", [[0.3, -0.2, 0.4, 0.0, 1.0], [0.5, 0.1, -0.7, 0.2, -0.4]])?;
        let model = SequenceModel::new(6, start, graph.constant(0.0), |state: Var<'_, f64>, last| {
            let state = (state + weights.slice(1, 3..5).matmul(state) + 0.1 * last).tanh();
            Ok((state, state.unsqueeze(0).matmul(weights.slice(1, 0..3)).reshape([3])))
        })
        .end(1);
        let greedy = model.greedy(graph, "greedy")?;
        let baseline = RecordedBaseline::new(greedy.tokens.sum().square());
        let sampled = model.sample(graph, "token", &ScoreFunction::new().on_plate(plate).baseline(baseline))?;
        graph.cost("cost", sampled.tokens.sum().square() + sampled.log_prob() * 0.1)
    };
    let tape = Tape::new();
    let graph = Graph::new(&tape, SEED);
    record(&graph).unwrap();
    let mut compiled = graph.compile().unwrap();
    for step in 0..3 {
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED.step(step));
        record(&graph).unwrap();
        let expected = graph.backward().unwrap();
        compiled.set("weights", &Tensor::from([[0.3, -0.2, 0.4, 0.0, 1.0], [0.5, 0.1, -0.7, 0.2, -0.4]])).unwrap();
        compiled.set("batch", &Tensor::from([[0.1, -0.2], [0.5, 0.3]])).unwrap();
        let found = compiled.run(SEED.step(step)).unwrap();
        assert_eq!(found.get("weights").unwrap(), expected.get("weights").unwrap());
    }
}
