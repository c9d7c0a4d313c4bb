use stochgrad::distributions::PlackettLuce;
use stochgrad::estimators::StraightThrough;
use stochgrad::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(0));
    let logits = graph.param("logits", [0.3, -0.2, 0.5])?;
    graph.sample("x", &PlackettLuce::from_logits(logits), &StraightThrough::new(1.0))?;
    Ok(())
}
