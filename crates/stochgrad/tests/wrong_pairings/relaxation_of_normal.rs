use stochgrad::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(0));
    let location = graph.param("location", 0.0)?;
    graph.sample("x", &Normal::new(location, 1.0), &GumbelSoftmax::new(0.5))?;
    Ok(())
}
