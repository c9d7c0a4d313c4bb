//! Repeated gradient estimates of a model, between which only the noise changes.

use stochgrad::graph::CompiledGraph;
use stochgrad::graph::{Gradients, GraphResult, Reduction};
use stochgrad::prelude::*;
use stochgrad::tape::Workspace;

/// A model, the way in which its estimates are made, and the number of the next step.
pub struct Estimate<M> {
    model: M,
    workspace: Workspace<f32>,
    made: Made,
    step: usize,
}

/// How estimates are made.
enum Made {
    /// Nothing has been recorded yet.
    Unknown,
    /// With a graph that was compiled once, and the values of its parameters.
    Compiled(Box<CompiledGraph<f32>>, Vec<(String, Tensor<f32>)>),
    /// By recording each of them, for methods that work on the host. Holds the last one.
    Recorded(Option<Gradients<f32>>),
}

impl<M: Fn(&Graph<'_, f32>) -> GraphResult<()>> Estimate<M> {
    /// Prepares estimates of a model's gradients, with kernels on this number of threads.
    pub fn new(model: M, threads: usize) -> Self {
        Self { model, workspace: Workspace::with_threads(threads), made: Made::Unknown, step: 0 }
    }

    /// Makes one estimate with fresh noise.
    ///
    /// # Errors
    /// The errors of the model.
    pub fn run(&mut self) -> GraphResult<&Gradients<f32>> {
        let seed = Seed::new(0).step(self.step);
        self.step += 1;
        if let Made::Unknown = self.made {
            let graph = Graph::new(self.workspace.tape(), seed);
            (self.model)(&graph)?;
            self.made = match graph.compile() {
                Ok(compiled) => {
                    let values = graph
                        .parameters()
                        .into_iter()
                        .map(|(name, var)| Ok((name, var.inspect()?)))
                        .collect::<GraphResult<_>>()?;
                    Made::Compiled(Box::new(compiled), values)
                }
                Err(_) => Made::Recorded(None),
            };
        }
        match &mut self.made {
            Made::Compiled(compiled, values) => {
                for (name, value) in values {
                    compiled.set(name, value)?;
                }
                Ok(compiled.run(seed)?)
            }
            Made::Recorded(last) => {
                let graph = Graph::new(self.workspace.tape(), seed);
                (self.model)(&graph)?;
                Ok(last.insert(graph.backward()?))
            }
            Made::Unknown => unreachable!("decided above"),
        }
    }

    /// Whether estimates come from a compiled graph. This is known after the first estimate.
    pub fn is_compiled(&self) -> bool {
        matches!(self.made, Made::Compiled(..))
    }
}

/// A parameter with a separate copy for each member of the plate `estimates`, so that there is one gradient for each
/// member: shape `[members, event]`. The plate is summed, so the gradients are not divided by the number of members.
///
/// # Errors
/// Errors for a name that exists, and for parameters with different numbers of members.
pub fn per_estimate<'t>(graph: &Graph<'t, f32>, name: &str, value: &Tensor<f32>) -> GraphResult<Var<'t, f32>> {
    let plate = match graph.plate_named("estimates") {
        Some(plate) => plate,
        None => {
            let plate = graph.plate("estimates", value.shape().first().copied().unwrap_or(0))?;
            graph.set_reduction(plate, Reduction::Sum)?;
            plate
        }
    };
    graph.param_on(name, &[plate], value)
}
