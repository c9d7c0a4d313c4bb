//! A look at the graph of a model.

use stochgrad_graph::{Graph, GraphResult, Seed};
use stochgrad_tape::Tape;
use stochgrad_tensor::Real;

use super::{Step, recorder};
use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::parameters::Parameters;

impl<F: Real> Step<'_, F> {
    /// Records the model for its gradients once more, and passes the graph to a function, for instance to draw it.
    /// Nothing is kept.
    ///
    /// ```
    /// use stochgrad_graph::Seed;
    /// use stochgrad_nn::{Inputs, Parameters, Record, Step};
    ///
    /// let step = Step::new(|record: &Record<'_, '_, f64>| record.cost("loss", record.input("x")?.square()));
    /// let inputs = Inputs::new().batch("x", [1.0, 2.0]);
    /// let dot = step.inspect(&Parameters::new(), &inputs, Seed::new(7), |graph| graph.to_dot())?;
    /// assert!(dot.contains("loss"));
    /// # Ok::<(), stochgrad_graph::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the model.
    pub fn inspect<R>(
        &self,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
        seed: Seed,
        look: impl FnOnce(&Graph<'_, F>) -> R,
    ) -> GraphResult<R> {
        let tape = Tape::with_threads(self.threads);
        let model =
            recorder(&*self.model, (&self.trained, &self.replaced, &self.redrawn), parameters, inputs, Mode::Train);
        let graph = Graph::from_model(&tape, seed, &model)?;
        Ok(look(&graph))
    }
}
