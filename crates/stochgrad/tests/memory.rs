//! The memory of the process does not grow over a hundred thousand steps of a small model. The test has its own binary,
//! so that no other test allocates.

use stochgrad::estimators::MovingAverage;
use stochgrad::prelude::*;
use stochgrad::tape::Workspace;

/// The resident memory of this process in bytes, if the system reports it.
fn resident() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    pages.split_whitespace().nth(1)?.parse::<usize>().ok().map(|pages| pages * 4096)
}

#[test]
fn memory_is_flat_over_a_hundred_thousand_steps() {
    let mut workspace = Workspace::<f64>::new();
    let method = ScoreFunction::new().samples(2).baseline(MovingAverage::new(0.9));
    let theta = Tensor::from([0.1, -0.3, 0.2]);
    let mut before = None;
    for step in 0..100_000 {
        let graph = Graph::new(workspace.tape(), Seed::new(3).step(step));
        let logits = graph.param("logits", &theta).expect("a parameter");
        let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &method).expect("bits");
        graph.cost("loss", (bits - 0.4).square().sum()).expect("a cost");
        graph.backward().expect("gradients").advance();
        if step == 5_000 {
            before = resident();
        }
    }
    if let (Some(before), Some(after)) = (before, resident()) {
        assert!(after < before + (4 << 20), "resident memory grew from {before} to {after} bytes");
    }
}
