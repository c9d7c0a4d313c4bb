//! Large graphs: ten thousand nodes, ten thousand costs.

use std::time::Instant;
use stochgrad::graph::GraphResult;
use stochgrad::prelude::*;

/// A chain of bits in which each bit depends on the one before, and each cost on all bits.
fn chain<M>(graph: &Graph<'_, f64>, count: usize, method: &M) -> GraphResult<()>
where
    M: stochgrad::graph::GradientMethod<f64, Bernoulli<stochgrad::tape::Id>> + Clone + 'static,
{
    let theta = graph.param("theta", 0.1)?;
    let mut state = graph.constant(0.0);
    for t in 0..count {
        let bit = graph.sample(("bit", t), &Bernoulli::from_logits(theta + state * 0.1), method)?;
        state = bit;
        graph.cost(&format!("cost {t}"), bit * 0.5)?;
    }
    Ok(())
}

#[test]
fn ten_thousand_nodes_and_ten_thousand_costs() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let start = Instant::now();
    chain(&graph, 10_000, &ScoreFunction::new()).expect("recorded");
    let gradients = graph.backward().expect("differentiated");
    assert!(gradients.get("theta").expect("theta").item().expect("one number").is_finite());
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

#[test]
fn ten_thousand_independent_nodes_with_a_baseline() {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    let theta = graph.param("theta", vec![0.1; 10_000]).expect("a parameter");
    let samples = graph.plate("samples", 4).expect("a plate");
    let method = ScoreFunction::new().on_plate(samples).baseline(LeaveOneOut);
    for t in 0..10_000 {
        let bit = graph.sample(("bit", t), &Bernoulli::from_logits(theta.index(0, t)), &method).expect("a bit");
        graph.cost(&format!("cost {t}"), (bit - 0.3).square()).expect("a cost");
    }
    let start = Instant::now();
    let gradients = graph.backward().expect("differentiated");
    assert_eq!(gradients.get("theta").expect("theta").len(), 10_000);
    assert!(start.elapsed().as_secs() < 120, "{:?}", start.elapsed());
}
