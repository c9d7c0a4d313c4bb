//! Learned parameters together with the mean and standard deviation of each cost.

use crate::common::learned_parameters::LearnedParameters;
use crate::common::running_means::{RunningMeans, mean_and_square};
use crate::common::state_parts::{StatePart, load_all_or_nothing};
use stochgrad_graph::{GraphResult, MethodState, Update};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Real;

/// The suffix that marks running means in the state.
const MOMENTS: &str = " / moments";

/// Learned parameters, and the running mean and standard deviation of each cost: a network that predicts a cost in
/// these [`Units`] has outputs of order one, whatever the scale of the cost. Clones share both.
#[derive(Clone, Debug)]
pub struct CostLearner {
    /// The parameters.
    pub own: LearnedParameters,
    moments: RunningMeans,
}

/// The running mean and standard deviation of a cost; 0 and 1 before the first step.
#[derive(Clone, Copy, Debug)]
pub struct Units<'t, F: Real> {
    /// The mean.
    pub centre: Var<'t, F>,
    /// The standard deviation; 1 for a cost that never changes.
    pub scale: Var<'t, F>,
}

impl CostLearner {
    /// Nothing learned yet. `rate` is the step size of Adam, and `decay`, in $[0, 1)$, that of the running means.
    pub fn new(rate: f64, decay: f64) -> Self {
        CostLearner { own: LearnedParameters::new(rate), moments: RunningMeans::new(decay) }
    }

    /// Starts again with parameters that are learned with this step size.
    pub fn learning_rate(self, rate: f64) -> Self {
        CostLearner { own: LearnedParameters::new(rate), ..self }
    }

    /// Starts again with running means of this decay.
    pub fn decay(self, decay: f64) -> Self {
        CostLearner { moments: RunningMeans::new(decay), ..self }
    }

    /// Checks the decay.
    ///
    /// # Errors
    /// If it is not in $[0, 1)$.
    pub fn check(&self) -> Result<(), String> {
        self.moments.check()
    }

    /// Records the units of the cost with this name.
    pub fn units<'t, F: Real>(&self, tape: &'t Tape<F>, name: &str) -> Units<'t, F> {
        Units {
            centre: self.moments.read(tape, name, [], 0.0, |means, write| write(0, means.mean(0))),
            scale: self.moments.read(tape, name, [], 1.0, |means, write| {
                // A cost that never changes has no scale.
                let deviation = means.deviation();
                write(0, if deviation > 1e-8 * means.mean(0).abs() { deviation } else { 1.0 });
            }),
        }
    }

    /// The update that adds this step's values of a cost to its mean and standard deviation.
    pub fn update<'t, F: Real>(&self, name: &str, cost: Var<'t, F>) -> Update<'t, F> {
        self.moments.update(name, vec![cost], mean_and_square)
    }

    /// The learned parameters and the running means, for [`Method::state`](stochgrad_graph::Method::state).
    pub fn state(&self) -> MethodState {
        let moments = self.moments.state().into_iter().map(|(name, numbers)| (name + MOMENTS, numbers));
        self.own.state().into_iter().chain(moments).collect()
    }

    /// Restores what [`state`](Self::state) returned. `method` is the name of the method, for the error message.
    ///
    /// # Errors
    /// If the state is not one that `state` can have returned. Everything is then as before.
    pub fn load_state(&self, method: &str, state: &MethodState) -> GraphResult<()> {
        let (mut moments, mut learned) = (MethodState::new(), MethodState::new());
        for (name, numbers) in state {
            match name.strip_suffix(MOMENTS) {
                Some(name) => moments.insert(name.into(), numbers.clone()),
                None => learned.insert(name.clone(), numbers.clone()),
            };
        }
        load_all_or_nothing(&[
            StatePart {
                given: moments,
                state: Box::new(|| self.moments.state()),
                load: Box::new(|state| self.moments.load_state(Some(method.into()), state, |count| count == 2)),
            },
            StatePart {
                given: learned,
                state: Box::new(|| self.own.state()),
                load: Box::new(|state| self.own.load_state(method, state)),
            },
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_are_the_mean_and_the_deviation() {
        let learner = CostLearner::new(0.1, 0.9);
        let tape = Tape::<f64>::new();
        let read = || {
            let Units { centre, scale } = learner.units(&tape, "cost");
            [centre, scale].map(|number| number.item().unwrap())
        };
        assert_eq!(read(), [0.0, 1.0]);
        let add = |values: [f64; 2]| {
            let update = learner.update("cost", tape.constant(values));
            (update.apply)(&[update.inputs[0].peek().unwrap()]);
        };
        add([103.0, 97.0]);
        let [centre, scale] = read();
        assert!((centre - 100.0).abs() < 1e-12 && (scale - 3.0).abs() < 1e-9, "{centre}, {scale}");
        let constant = CostLearner::new(0.1, 0.9);
        let update = constant.update("cost", tape.constant(0.1));
        (update.apply)(&[update.inputs[0].peek().unwrap()]);
        assert_eq!(constant.units(&tape, "cost").scale.item(), Ok(1.0));
    }
}
