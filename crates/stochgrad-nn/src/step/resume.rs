//! Saving and restoring the state of the gradient methods of a step.

use stochgrad_graph::{GraphResult, NodeMethod};
use stochgrad_tensor::Real;

use crate::step::Step;
use crate::training_state::TrainingState;

impl<F: Real> Step<'_, F> {
    /// The gradient methods of the nodes, which are known after the first training step.
    pub fn methods(&self) -> &[NodeMethod] {
        let prepared = self.prepared.iter().find(|prepared| prepared.is_for_training());
        prepared.map_or(&[], |prepared| &prepared.methods)
    }

    /// Stores the state of all gradient methods of the model, such as running means and learned parameters, in the state
    /// of a training run. The methods are known after the first training step.
    ///
    /// ```
    /// use stochgrad_graph::Seed;
    /// use stochgrad_nn::{Adam, Inputs, Parameters, Record, Step, TrainingState};
    /// use stochgrad_tensor::Tensor;
    ///
    /// let model = |record: &Record<'_, '_, f64>| record.cost("loss", record.param("slope")?.square());
    /// let (mut parameters, mut adam) = (Parameters::new(), Adam::new(0.1));
    /// parameters.insert("slope", Tensor::scalar(2.0))?;
    /// let mut step = Step::new(model);
    /// step.train(&mut parameters, &mut adam, &Inputs::new(), Seed::new(7))?;
    /// let mut state = TrainingState::new(7);
    /// state.step = 1;
    /// step.remember(&mut state);
    /// let checkpoint = state.to_checkpoint(&parameters, &adam)?;
    ///
    /// let mut resumed = Step::new(model);
    /// let state = TrainingState::from_checkpoint(&checkpoint, &mut parameters, &mut adam)?;
    /// resumed.recall(&state)?;
    /// resumed.train(&mut parameters, &mut adam, &Inputs::new(), Seed::new(7).step(1))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remember(&self, state: &mut TrainingState) {
        match (self.prepared.iter().find(|prepared| prepared.is_for_training()), &self.recalled) {
            (Some(prepared), _) => state.remember(&prepared.methods),
            (None, Some(recalled)) => state.methods.clone_from(&recalled.methods),
            (None, None) => {}
        }
    }

    /// Restores the state of all gradient methods that [`remember`](Self::remember) stored. Before the first training
    /// step, the methods are not known; their state is then restored when the model is recorded, which is where errors
    /// are returned.
    ///
    /// # Errors
    ///
    /// Those of [`TrainingState::recall`].
    pub fn recall(&mut self, state: &TrainingState) -> GraphResult<()> {
        match self.prepared.iter().find(|prepared| prepared.is_for_training()) {
            Some(prepared) => state.recall(&prepared.methods),
            None => {
                self.recalled = Some(state.clone());
                Ok(())
            }
        }
    }
}
