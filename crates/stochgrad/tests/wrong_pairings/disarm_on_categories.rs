use stochgrad::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(0));
    let logits = graph.param("logits", [0.0, 1.0])?;
    graph.sample("class", &OneHotCategorical::from_logits(logits), &DisArm::new())?;
    Ok(())
}
