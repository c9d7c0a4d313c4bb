//! The cross-entropy method (Rubinstein and Kroese 2004) on cases with known answers: proposals for rare events on a
//! bridge, and the update for a cut, which is a step along a gradient.

use stochgrad_distributions::{Bernoulli, Distribution, Exponential};
use stochgrad_estimators::{Enumerate, ImportanceSampling};
use stochgrad_graph::{Graph, Seed};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

/// The edges of the four paths over a bridge. The event is that the shortest path is longer than a level.
const PATHS: [[f64; 5]; 4] =
    [[1.0, 0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0, 0.0]];

#[test]
fn the_best_exponential_proposals_have_their_known_errors() {
    const SAMPLES: usize = 100_000;
    let first = [0.25, 0.4, 0.1, 0.3, 0.2];
    // The means of the lengths, the level, the probability; the means given the event, which are those of the best
    // proposal; and the standard deviation of one sample relative to the probability, from a simulation.
    for (means, level, probability, best, deviation) in [
        (first, 2.0, 1.34245975e-5, [1.684707433, 1.874109907, 0.1249770514, 0.710348414, 0.5745336437], 9.25),
        (first, 1.0, 0.007833547041, [0.8175934277, 1.003564808, 0.1224473747, 0.5825193279, 0.4498614243], 4.02),
        (
            [1.0, 1.2, 0.5, 0.8, 1.5],
            6.0,
            0.0002247749765,
            [4.020494773, 4.044861428, 0.6330076957, 3.183114546, 3.935970845],
            6.83,
        ),
    ] {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let lengths = Exponential::from_scale(graph.param("means", means).unwrap());
        let proposal = Exponential::from_scale(graph.constant(best));
        let method = ImportanceSampling::from_distribution(&proposal).samples(SAMPLES);
        let length = graph.sample("lengths", &lengths, &method).unwrap();
        let event = graph.constant(PATHS).matmul(length).min().gt(graph.constant(level));
        graph.cost("probability", event).unwrap();
        let terms = event * (lengths.log_prob(length) - proposal.log_prob(length)).exp();
        let terms = terms.peek().unwrap().to_vec();
        let gradients = graph.backward().unwrap();
        let found = gradients.cost("probability").unwrap();
        let error = deviation / (SAMPLES as f64).sqrt();
        assert!((found / probability - 1.0).abs() < 4.0 * error, "{found}, not {probability}");
        let square = terms.iter().map(|term| (term / probability).powi(2)).sum::<f64>() / SAMPLES as f64;
        let spread = (square - 1.0).sqrt();
        assert!((spread / deviation - 1.0).abs() < 0.06, "relative deviation {spread}, not {deviation}");
        // The derivative with respect to a mean u is E[1(event) (X − u)] / u².
        for ((found, u), given) in gradients.get("means").unwrap().to_vec().into_iter().zip(means).zip(best) {
            let exact = probability * (given - u) / (u * u);
            let scale = probability * (given + u) / (u * u);
            assert!((found - exact).abs() < 4.0 * error * scale, "{found}, not {exact}");
        }
    }
}

/// A graph with weights of its edges, the best and the second best cut, the sides of the first node in the best cuts,
/// and the probabilities after one update from ½ with all cuts of at least the second best value.
struct Cut {
    nodes: usize,
    edges: &'static [(usize, usize, f64)],
    values: [f64; 2],
    best: &'static [&'static [usize]],
    updated: &'static [f64],
}

const CUTS: [Cut; 2] = [
    Cut {
        nodes: 6,
        edges: &[
            (0, 1, 2.0),
            (0, 2, 1.0),
            (1, 2, 3.0),
            (1, 3, 2.0),
            (2, 4, 4.0),
            (3, 4, 1.0),
            (3, 5, 3.0),
            (4, 5, 2.0),
            (0, 5, 1.0),
        ],
        values: [16.0, 15.0],
        best: &[&[0, 2, 3]],
        updated: &[1.0, 0.0, 0.5, 1.0, 0.5, 0.0],
    },
    Cut {
        nodes: 8,
        edges: &[
            (0, 1, 1.0),
            (0, 3, 2.0),
            (1, 2, 3.0),
            (1, 4, 1.0),
            (2, 5, 2.0),
            (3, 4, 4.0),
            (4, 5, 1.0),
            (3, 6, 2.0),
            (4, 7, 3.0),
            (5, 7, 2.0),
            (6, 7, 5.0),
            (0, 2, 2.0),
            (2, 7, 1.0),
        ],
        values: [25.0, 24.0],
        best: &[&[0, 2, 4, 6], &[0, 1, 4, 5, 6]],
        updated: &[1.0, 0.4, 0.4, 0.2, 0.8, 0.8, 0.8, 0.2],
    },
];

/// The cut of all sides that the nodes but the first one can have, which is on side 1.
fn cuts(cut: &Cut) -> Vec<(Vec<usize>, f64)> {
    (0..1_usize << (cut.nodes - 1))
        .map(|state| {
            let side = |node: usize| node == 0 || state >> (node - 1) & 1 == 1;
            let value = cut.edges.iter().filter(|(i, j, _)| side(*i) != side(*j)).map(|(.., weight)| weight).sum();
            ((0..cut.nodes).filter(|&node| side(node)).collect(), value)
        })
        .collect()
}

#[test]
fn the_update_for_a_cut_is_a_gradient_step_and_the_known_one() {
    for cut in &CUTS {
        let all = cuts(cut);
        let best = all.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
        let next = all.iter().map(|(_, value)| *value).filter(|&value| value < best).fold(f64::NEG_INFINITY, f64::max);
        assert_eq!([best, next], cut.values);
        let largest: Vec<&[usize]> =
            all.iter().filter(|(_, value)| *value == best).map(|(sides, _)| &sides[..]).collect();
        assert!(largest.len() == cut.best.len() && cut.best.iter().all(|sides| largest.contains(sides)), "{largest:?}");

        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let logits = graph.param("logits", Tensor::<f64>::zeros([cut.nodes - 1])).unwrap();
        let others = graph.sample("sides", &Bernoulli::from_logits(logits), &Enumerate::new()).unwrap();
        let first = graph.constant([1.0]).expand_plates(&others.plates());
        let sides = Var::concat(&[first, others], 0).unwrap();
        let mut weights = vec![0.0; cut.nodes * cut.nodes];
        for &(i, j, weight) in cut.edges {
            (weights[i * cut.nodes + j], weights[j * cut.nodes + i]) = (weight, weight);
        }
        let weights = graph.constant(Tensor::from_fn([cut.nodes, cut.nodes], |at| weights[at]));
        let value = sides.dot(weights.matmul(1.0 - sides));
        graph.cost("elite", value.ge(graph.constant(next - 0.5))).unwrap();
        let gradients = graph.backward().unwrap();
        let elite = gradients.cost("elite").unwrap();
        let share = all.iter().filter(|(_, value)| *value >= next).count() as f64 / all.len() as f64;
        assert!((elite - share).abs() < 1e-12);
        // With respect to a logit, ln P(elite) has the derivative E[x | elite] − v: the step from the probabilities v
        // to the means of the elite.
        let slopes = gradients.get("logits").unwrap().to_vec();
        for ((node, slope), updated) in (1..).zip(slopes).zip(&cut.updated[1..]) {
            let found = 0.5 + slope / elite;
            assert!((found - updated).abs() < 1e-12, "node {node}: {found}, not {updated}");
        }
    }
}
