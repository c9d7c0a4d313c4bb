//! A compiled graph and new recordings.

use stochgrad_graph::{Gradients, Graph, GraphResult, Seed};
use stochgrad_tape::Tape;

use super::report::Verdict;

/// The seeds of the runs. The first one is run twice, since a run must not depend on the one before.
const SEEDS: [u64; 4] = [1, 1, 2, 5];

/// Compares a compiled graph with new recordings, bit by bit. None for a model with data, whose values are not known
/// here.
pub(super) fn compare<M>(model: &M) -> Option<Verdict>
where
    M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
{
    match found(model) {
        Ok(verdict) => verdict,
        Err(error) if error.is_host_code() => Some(Verdict::Unknown(format!("it cannot be compiled: {error}"))),
        Err(error) => Some(Verdict::Refused(error.to_string())),
    }
}

fn values(gradients: &Gradients<f64>) -> Vec<f64> {
    let slopes = gradients.iter().flat_map(|(_, gradient)| gradient.to_vec());
    slopes.chain(gradients.costs().iter().map(|(_, cost)| *cost)).collect()
}

fn found<M>(model: &M) -> GraphResult<Option<Verdict>>
where
    M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
{
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(0));
    model(&graph)?;
    let mut program = graph.compile()?;
    let mut parameters = Vec::new();
    for (name, parameter) in graph.parameters() {
        parameters.push((name, parameter.peek()?));
    }
    if program.inputs().count() > parameters.len() {
        return Ok(None);
    }
    let mut compared = 0;
    for seed in SEEDS.map(Seed::new) {
        let tape = Tape::<f64>::new();
        let fresh = Graph::new(&tape, seed);
        model(&fresh)?;
        let expected = values(&fresh.backward()?);
        for (name, value) in &parameters {
            program.set(name, value)?;
        }
        let found = values(program.run(seed)?);
        for (at, (expected, found)) in expected.iter().zip(&found).enumerate() {
            // Zeros of different sign count as equal.
            if expected.to_bits() != found.to_bits() && expected != found {
                return Ok(Some(Verdict::Failed(format!(
                    "value {at} of a compiled run with seed {} is {found:e}, expected {expected:e} as in a new \
                     recording; record everything that the method computes",
                    seed.seed
                ))));
            }
            compared += 1;
        }
    }
    Ok(Some(Verdict::Agreed(format!("{compared} equal values"))))
}
