//! Greedy decoding, beam search, and stochastic beam search.

use crate::cases::{CASES, END, LONGEST, assert_all_close, assert_close, model, sequences, tokens};
use stochgrad::graph::SequenceModel;
use stochgrad::prelude::*;

const SEED: Seed = Seed { seed: 7, step: 0 };

#[test]
fn greedy_sequences_and_beams_are_the_known_ones() {
    for case in &CASES {
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let model = model(&graph, &case.table).unwrap();
        let greedy = model.greedy(&graph, "greedy").unwrap();
        assert_eq!(greedy.tokens.peek().unwrap().as_slice(), tokens(case.found[0].0));
        assert!((greedy.log_prob().item().unwrap() - case.found[0].1).abs() < 1e-7);
        let one = model.beam_search(&graph, "one", 1).unwrap();
        assert_eq!(one.tokens.peek().unwrap().as_slice(), tokens(case.found[0].0));
        let two = model.beam_search(&graph, "two", 2).unwrap();
        assert_eq!(two.tokens.index(0, 0).peek().unwrap().as_slice(), tokens(case.found[1].0));
        assert!((two.log_probs.index(0, 0).item().unwrap() - case.found[1].1).abs() < 1e-7);

        // A beam that holds every prefix finds all sequences, in order; there are 31 of them.
        let mut all = sequences(&case.table);
        all.sort_by(|one, other| other.probability.total_cmp(&one.probability));
        let beam = model.beam_search(&graph, "all", 33).unwrap();
        let (found, log_probs) = (beam.tokens.peek().unwrap(), beam.log_probs.peek().unwrap());
        for (row, sequence) in all.iter().enumerate() {
            // Sequences with equal transitions have the same probability up to rounding.
            let tokens = &found.as_slice()[row * LONGEST..(row + 1) * LONGEST];
            let own = all.iter().find(|sequence| sequence.tokens == tokens).unwrap();
            assert_close(log_probs.as_slice()[row], sequence.probability.ln(), "log-probability");
            assert_close(log_probs.as_slice()[row], own.probability.ln(), "log-probability of the tokens");
            assert_eq!(beam.lengths.peek().unwrap().as_slice()[row], own.symbols.len() as f64);
        }
        let mut different: Vec<&[f64]> = found.as_slice().chunks(LONGEST).take(31).collect();
        different.sort_by(|one, other| one.partial_cmp(other).unwrap());
        different.dedup();
        assert_eq!(different.len(), 31);
        assert_eq!(&log_probs.as_slice()[31..], [f64::NEG_INFINITY; 2]);
        for (row, (text, probability, _)) in case.best.iter().enumerate() {
            assert_eq!(all[row].tokens, tokens(text));
            assert_close(all[row].probability, *probability, text);
        }
        // The derivatives of the scores are those of the sequences.
        graph.cost("score", two.log_probs.index(0, 1)).unwrap();
        let second = two.tokens.index(0, 1).peek().unwrap();
        let second = all.iter().find(|sequence| second.as_slice() == sequence.tokens).unwrap();
        assert_all_close(graph.backward().unwrap().get("logits").unwrap().as_slice(), &second.score, "score");
    }
}

/// A transition with a state, which each row of a beam must take from its own parent.
#[test]
fn states_follow_their_rows() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, SEED);
    let plate = graph.data("batch", [0.3, -0.8, 0.1]).unwrap();
    let weights = graph.constant([[0.9, -0.7, 0.3], [0.4, 0.2, -1.1]]);
    let start = (plate, graph.constant(0.0));
    let model = SequenceModel::new(5, start, graph.constant(0.0), |(state, count), last| {
        let kept = (state * 0.7 + last * 0.4 - count * 0.1).sin();
        let logits = (kept.unsqueeze(-1) * weights.index(0, 0) + weights.index(0, 1)) * 2.0;
        Ok(((kept, count + 1.0), logits.reshape([3])))
    })
    .end(1);
    let beam = model.beam_search(&graph, "beam", 6).unwrap();
    let drawn = model.without_replacement(&graph, "drawn", 6).unwrap();
    for (tokens, log_probs) in [(beam.tokens, beam.log_probs), (drawn.tokens(), drawn.log_probs())] {
        for row in 0..6 {
            let given =
                model.log_probs(&graph, &format!("given {row} {:?}", tokens.id()), tokens.index(0, row)).unwrap();
            let difference = (given.sum() - log_probs.index(0, row)).abs().peek().unwrap();
            assert!(difference.as_slice().iter().all(|&off| off < 1e-12), "row {row}: {difference:?}");
        }
    }
    // All other sequences together have the rest of the probability.
    let total = (drawn.log_probs().logsumexp(0).exp() + drawn.log_rest().exp()).peek().unwrap();
    assert!(total.as_slice().iter().all(|&total| (total - 1.0).abs() < 1e-12), "{total:?}");
}

/// The pair of sequences with numbers `i` and `j` is drawn with probability p(i) p(j) / (1 − p(i)) in this order.
#[test]
fn sequences_are_drawn_without_replacement() {
    const RUNS: usize = 20_000;
    for case in &CASES {
        let all = sequences(&case.table);
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let runs = graph.data("runs", vec![0.0; RUNS]).unwrap();
        let table = graph.constant(case.table);
        let model = SequenceModel::new(LONGEST, (), graph.constant(-1.0), |(), last| {
            Ok(((), table.lookup((last + 1.0).minimum(graph.constant(END))) + runs.unsqueeze(0)))
        })
        .end(2);
        let drawn = model.without_replacement(&graph, "search", 2).unwrap();
        let plate = runs.plates()[0];
        let found = drawn.tokens().plate_to_event(plate).peek().unwrap();
        let rest = drawn.log_rest().exp().plate_to_event(plate).peek().unwrap();
        let position = |tokens: &[f64]| all.iter().position(|sequence| sequence.tokens == tokens).unwrap();
        let mut counts = vec![vec![0_u32; 31]; 31];
        for (pair, rest) in found.as_slice().chunks(2 * LONGEST).zip(rest.as_slice()) {
            let (first, second) = (position(&pair[..LONGEST]), position(&pair[LONGEST..]));
            counts[first][second] += 1;
            assert!((1.0 - all[first].probability - all[second].probability - rest).abs() < 1e-12);
        }
        let mut inclusion = vec![0.0; 31];
        for i in 0..31 {
            assert_eq!(counts[i][i], 0);
            for j in (0..31).filter(|&j| j != i) {
                let (p, q) = (all[i].probability, all[j].probability);
                let expected = p * q / (1.0 - p);
                inclusion[i] += expected;
                inclusion[j] += expected;
                let deviation = (RUNS as f64 * expected * (1.0 - expected)).sqrt();
                let off = f64::from(counts[i][j]) - RUNS as f64 * expected;
                // 930 pairs for each model, some of them with less than one draw: the bound is that of a rare event.
                assert!(off.abs() < 5.0 * deviation + 3.0, "pair {i}, {j}: {off}, deviation {deviation}");
            }
        }
        for (text, _, expected) in case.best {
            let number = position(&tokens(text));
            assert_close(inclusion[number], expected, text);
            let found: u32 = (0..31).map(|other| counts[number][other] + counts[other][number]).sum();
            let deviation = (RUNS as f64 * expected * (1.0 - expected)).sqrt();
            assert!((f64::from(found) - RUNS as f64 * expected).abs() < 4.0 * deviation, "{text}: {found}");
        }
    }
}
