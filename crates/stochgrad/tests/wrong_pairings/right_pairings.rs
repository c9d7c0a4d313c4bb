use std::sync::Arc;

use stochgrad::distributions::Uniform;
use stochgrad::graph::DynMethod;
use stochgrad::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(0));
    let high = graph.param("high", 2.0)?;
    graph.sample("x", &Uniform::new(high * 0.0, high), &Pathwise::new())?;
    graph.sample("y", &Normal::new(high, 1.0), &ScoreFunction::new())?;
    graph.sample("z", &Bernoulli::from_logits(high), &Enumerate::new())?;
    // A distribution without handles is the stored form.
    let methods: [DynMethod<f64, OneHotCategorical>; 2] =
        [Arc::new(Enumerate::new()), Arc::new(GumbelSoftmax::new(0.5))];
    for (index, method) in methods.iter().enumerate() {
        let logits = graph.param(&format!("logits {index}"), [0.0, 1.0])?;
        graph.sample(("class", index), &OneHotCategorical::from_logits(logits), method)?;
    }
    Ok(())
}
