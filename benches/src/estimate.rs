//! Gradient estimates of a model without anything that changes between them but the noise.

use stochgrad::prelude::*;

/// A model, the workspace that it is recorded in, and the number of the next step.
pub struct Estimate<M> {
    model: M,
    workspace: Workspace<f32>,
    step: usize,
}

impl<M: Fn(&Graph<'_, f32>) -> GraphResult<()>> Estimate<M> {
    /// Estimates of a model's gradients, with kernels on a number of threads.
    pub fn new(model: M, threads: usize) -> Self {
        Self { model, workspace: Workspace::with_threads(threads), step: 0 }
    }

    /// One estimate, with fresh noise: the graph recorded, sampled and differentiated.
    ///
    /// # Errors
    /// Those of the model.
    pub fn run(&mut self) -> GraphResult<Gradients<f32>> {
        let graph = Graph::new(self.workspace.tape(), Seed::new(0).step(self.step));
        self.step += 1;
        (self.model)(&graph)?;
        graph.backward()
    }
}

/// A parameter of which each member of the plate `estimates` has a copy of its own, so that its gradient comes out member by
/// member: shape `[members, event]`. The plate is summed, which leaves the gradients as they are.
///
/// # Errors
/// For a name that exists, and parameters with other numbers of members.
pub fn per_estimate<'t>(graph: &Graph<'t, f32>, name: &str, value: &Tensor<f32>) -> GraphResult<Var<'t, f32>> {
    let plate = match graph.find_plate("estimates") {
        Some(plate) => plate,
        None => {
            let plate = graph.plate("estimates", value.shape().first().copied().unwrap_or(0))?;
            graph.set_summed(plate, true);
            plate
        }
    };
    Ok(graph.param(name, value)?.event_to_plate(plate))
}
