//! Learned parameters together with the mean and standard deviation of each cost.

use crate::common::learned_parameters::LearnedParameters;
use crate::common::running_moments::RunningMoments;
use stochgrad_graph::{MethodSlots, Update};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Real;

/// Learned parameters, and the running mean and standard deviation of each cost: a network that predicts a cost in
/// these [`Units`] has outputs of order one, whatever the scale of the cost. Clones share both.
#[derive(Clone, Debug)]
pub struct CostLearner {
    /// The parameters.
    pub own: LearnedParameters,
    moments: RunningMoments,
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
        CostLearner { own: LearnedParameters::new(rate), moments: RunningMoments::new(decay) }
    }

    /// Starts again with parameters that are learned with this step size.
    pub fn learning_rate(self, rate: f64) -> Self {
        CostLearner { own: LearnedParameters::new(rate), ..self }
    }

    /// Starts again with running means of this decay.
    pub fn decay(self, decay: f64) -> Self {
        CostLearner { moments: RunningMoments::new(decay), ..self }
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
        let (centre, deviation) = (self.moments.mean(tape, name), self.moments.variance(tape, name).sqrt());
        // A cost that never changes has no scale: what is left of it are rounding errors.
        let rounding = (16.0 * F::EPSILON.to_f64()).max(1e-8);
        let scale = deviation.gt(centre.abs() * rounding).select(deviation, tape.constant(1.0));
        Units { centre, scale }
    }

    /// The updates that add this step's values of a cost to its mean and standard deviation.
    pub fn updates<'t, F: Real>(&self, name: &str, cost: Var<'t, F>) -> Vec<Update<'t, F>> {
        self.moments.updates(name, cost)
    }

    /// The learned parameters and the running means, for [`Method::slots`](stochgrad_graph::Method::slots).
    pub fn slots(&self) -> MethodSlots {
        self.own.slots().under("learned: ").and(self.moments.slots().under("moments: "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_tape::PlateKind;

    #[test]
    fn the_units_are_the_mean_and_the_deviation() {
        fn units_after<F: Real>(values: [f64; 2]) -> [f64; 2] {
            let learner = CostLearner::new(0.1, 0.9);
            let tape = Tape::<F>::new();
            let read = || {
                let Units { centre, scale } = learner.units(&tape, "cost");
                [centre, scale].map(|number| number.item().unwrap().to_f64())
            };
            assert_eq!(read(), [0.0, 1.0]);
            let plate = tape.plate("members", 2, PlateKind::Data, &[]);
            let values = stochgrad_tensor::Tensor::from(values.map(F::from_f64));
            for update in learner.updates("cost", tape.constant_on(&[plate], values)) {
                update.slot.write(update.value.peek().unwrap().as_slice());
            }
            read()
        }
        assert_eq!(units_after::<f64>([103.0, 97.0]), [100.0, 3.0]);
        assert_eq!(units_after::<f64>([0.1, 0.1])[1], 1.0);
        assert_eq!(units_after::<f32>([0.1, 0.1])[1], 1.0);
    }
}
