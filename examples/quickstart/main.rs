//! The program of the README: one node, one cost, one gradient.

use stochgrad::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let theta = Tensor::from([0.2, -1.0, 0.7]);
    let method = ScoreFunction::new().samples(8).baseline(LeaveOneOut);

    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let logits = graph.param("logits", &theta)?;
    let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &method)?;
    graph.cost("loss", (bits - 0.2).square().sum())?;
    let gradients = graph.backward()?;

    println!("E[loss] ≈ {}", gradients.cost("loss")?);
    println!("d/dlogits ≈ {:?}", gradients.get("logits")?);
    println!("the gradient is {}", gradients.guarantee("logits")?);
    Ok(())
}
