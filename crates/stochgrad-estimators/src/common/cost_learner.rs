//! Learned parameters that see each cost in units of its own.

use crate::common::own_parameters::OwnParameters;
use crate::common::running_means::{RunningMeans, mean_and_square};
use stochgrad_graph::{GraphResult, MethodState, Update};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Real;

/// What the names of running means end with in the state.
const MOMENTS: &str = " / moments";

/// Parameters of a method's own, and the running mean and standard deviation of each cost, with which a network sees
/// numbers of order one whatever the cost is measured in. Clones share both.
#[derive(Clone, Debug)]
pub(crate) struct CostLearner {
    /// The parameters.
    pub(crate) own: OwnParameters,
    moments: RunningMeans,
}

/// The running mean and standard deviation of a cost; 0 and 1 as long as it has not been seen.
#[derive(Clone, Copy)]
pub(crate) struct Units<'t, F: Real> {
    pub(crate) centre: Var<'t, F>,
    pub(crate) scale: Var<'t, F>,
}

impl CostLearner {
    /// Nothing known yet. Adam's rate, and the decay of the running means, in [0, 1).
    pub(crate) fn new(rate: f64, decay: f64) -> Self {
        CostLearner { own: OwnParameters::new(rate), moments: RunningMeans::new(decay) }
    }

    /// With new parameters, which learn at that rate.
    pub(crate) fn learning_rate(self, rate: f64) -> Self {
        CostLearner { own: OwnParameters::new(rate), ..self }
    }

    /// With new running means, which decay like that.
    pub(crate) fn decay(self, decay: f64) -> Self {
        CostLearner { moments: RunningMeans::new(decay), ..self }
    }

    /// Checks the decay.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.moments.check()
    }

    /// The units of the cost of that name.
    pub(crate) fn units<'t, F: Real>(&self, tape: &'t Tape<F>, name: &str) -> Units<'t, F> {
        Units {
            centre: self.moments.read(tape, name, [], 0.0, |means, write| write(0, means.mean(0))),
            scale: self.moments.read(tape, name, [], 1.0, |means, write| {
                // A cost that never changes has no scale.
                let deviation = means.deviation();
                write(0, if deviation > 1e-8 * means.mean(0).abs() { deviation } else { 1.0 });
            }),
        }
    }

    /// Adds the values of a step to the moments of the cost of that name.
    pub(crate) fn update<'t, F: Real>(&self, name: &str, cost: Var<'t, F>) -> Update<'t, F> {
        self.moments.update(name, vec![cost], mean_and_square)
    }

    /// What was learned, and the moments.
    pub(crate) fn state(&self) -> MethodState {
        let moments = self.moments.state().into_iter().map(|(name, numbers)| (name + MOMENTS, numbers));
        self.own.state().into_iter().chain(moments).collect()
    }

    /// Restores what [`state`](Self::state) gave, for the method of that name; what does not fit leaves everything as
    /// it was.
    pub(crate) fn load_state(&self, method: &str, state: &MethodState) -> GraphResult<()> {
        let (mut moments, mut learned) = (MethodState::new(), MethodState::new());
        for (name, numbers) in state {
            match name.strip_suffix(MOMENTS) {
                Some(name) => moments.insert(name.into(), numbers.clone()),
                None => learned.insert(name.clone(), numbers.clone()),
            };
        }
        let before = self.moments.state();
        self.moments.load_state(Some(method.into()), &moments, |count| count == 2)?;
        self.own.load_state(method, &learned).or_else(|error| {
            self.moments.load_state(None, &before, |_| true)?;
            Err(error)
        })
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
