use stochgrad::distributions::Uniform;
use stochgrad::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(0));
    let high = graph.param("high", 2.0)?;
    graph.sample("x", &Uniform::new(high * 0.0, high), &ScoreFunction::new())?;
    Ok(())
}
