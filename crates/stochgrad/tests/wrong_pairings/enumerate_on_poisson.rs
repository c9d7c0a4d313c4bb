use stochgrad::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(0));
    let rate = graph.param("rate", 2.0)?;
    graph.sample("x", &Poisson::from_rate(rate), &Enumerate::new())?;
    Ok(())
}
