//! Repeated gradient estimates of a model, between which only the noise changes.

use stochgrad::graph::{Gradients, GraphResult, Reduction};
use stochgrad::nn::{Inputs, Parameters};
use stochgrad::prelude::*;

/// A model, its parameters, and the number of the next step.
pub struct Estimate {
    step: Step<'static, f32>,
    parameters: Parameters<f32>,
    inputs: Inputs<f32>,
    number: usize,
}

impl Estimate {
    /// Prepares estimates of a model's gradients, with kernels on this number of threads.
    pub fn new(
        parameters: Parameters<f32>,
        model: impl Fn(&Record<'_, '_, f32>) -> GraphResult<()> + 'static,
        threads: usize,
    ) -> Self {
        Self { step: Step::new(model).threads(threads), parameters, inputs: Inputs::new(), number: 0 }
    }

    /// Makes one estimate with fresh noise.
    ///
    /// # Errors
    /// The errors of the model.
    pub fn run(&mut self) -> GraphResult<&Gradients<f32>> {
        let seed = Seed::new(0).step(self.number);
        self.number += 1;
        Ok(self.step.run(&self.parameters, &self.inputs, seed)?)
    }

    /// Whether estimates come from a compiled graph. This is known after the first estimate.
    pub fn is_compiled(&self) -> bool {
        self.step.host_code().is_none()
    }
}

/// A parameter with a separate copy for each member of the plate `estimates`, so that there is one gradient for each
/// member: shape `[members, event]`. The plate is summed, so the gradients are not divided by the number of members.
///
/// # Errors
/// Errors for a name that no parameter has, and for parameters with different numbers of members.
pub fn per_estimate<'t>(record: &Record<'_, 't, f32>, name: &str, members: usize) -> GraphResult<Var<'t, f32>> {
    let graph = record.graph();
    let plate = match graph.plate_named("estimates") {
        Some(plate) => plate,
        None => {
            let plate = graph.plate("estimates", members)?;
            graph.set_reduction(plate, Reduction::Sum)?;
            plate
        }
    };
    record.param_on(name, &[plate])
}
