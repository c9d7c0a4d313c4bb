//! The choice of methods again and again in the course of a training run.

use std::rc::Rc;

use stochgrad_graph::{GraphResult, Seed};
use stochgrad_nn::{Inputs, Parameters, Record};
use stochgrad_tensor::Real;

use crate::error::LabResult;
use crate::lab::{Lab, Model};
use crate::select::Selection;

/// Chooses the methods anew every so many steps of a training run, since the best method changes with the parameters.
///
/// The choice before a step depends on the parameters, the inputs and the number of the step, and on noise of its own,
/// but never on the noise of the step: otherwise, the gradient with the chosen method would be biased, even if all
/// methods are unbiased.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Id};
/// use stochgrad_estimators::{DisArm, ScoreFunction};
/// use stochgrad_graph::Seed;
/// use stochgrad_lab::{Criterion, Reselect, candidates};
/// use stochgrad_nn::{Inputs, Parameters, Record, Sgd, Step};
///
/// let model = |record: &Record<'_, '_, f64>| {
///     let b = record.sample("b", &Bernoulli::from_logits(record.param("logit")?), &ScoreFunction::new())?;
///     record.cost("loss", (b - 0.45).square())
/// };
/// let mut parameters = Parameters::new();
/// parameters.insert("logit", 0.3.into())?;
/// let inputs = Inputs::new();
/// let (mut step, mut sgd) = (Step::new(model), Sgd::new(0.1));
/// let mut reselect = Reselect::new(model, |lab| {
///     let methods = candidates![ScoreFunction::new(), DisArm::new()];
///     lab.select().node::<Bernoulli<Id>>("b", methods).criterion(Criterion::Variance).repetitions(500).run()
/// })
/// .every(100);
/// for number in 0..300 {
///     if let Some(selection) = reselect.before(number as u64, &parameters, &inputs)? {
///         step = step.replace_methods(selection.replacements);
///     }
///     step.train(&mut parameters, &mut sgd, &inputs, Seed::new(7).step(number))?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reselect<'m, F: Real> {
    model: Rc<Model<'m, F>>,
    select: Box<Selector<'m, F>>,
    every: u64,
    seed: Seed,
    threads: usize,
    chosen: Option<String>,
}

type Selector<'m, F> = dyn for<'l> Fn(&'l Lab<'l, F>) -> LabResult<Selection<F>> + 'm;

impl<'m, F: Real> Reselect<'m, F> {
    /// Choices for a model by `select`, every 1000 steps. Use a small number of repetitions: a choice is made of them at
    /// each node and for each method.
    pub fn new(
        model: impl Fn(&Record<'_, '_, F>) -> GraphResult<()> + 'm,
        select: impl for<'l> Fn(&'l Lab<'l, F>) -> LabResult<Selection<F>> + 'm,
    ) -> Self {
        Reselect {
            model: Rc::new(model),
            select: Box::new(select),
            every: 1000,
            seed: Seed::new(0),
            threads: 1,
            chosen: None,
        }
    }

    /// The number of steps between two choices, at least 1.
    pub fn every(self, steps: u64) -> Self {
        Reselect { every: steps.max(1), ..self }
    }

    /// The seed of the choices, 0 by default. It may be that of the training.
    pub fn seed(self, seed: Seed) -> Self {
        Reselect { seed, ..self }
    }

    /// Sets the number of threads that kernels may use, 1 by default.
    pub fn threads(self, threads: usize) -> Self {
        Reselect { threads, ..self }
    }

    /// Chooses before a step, if it is time. Returns the selection if it differs from the last one; methods that keep a
    /// state begin anew then.
    ///
    /// # Errors
    /// Those of the selection.
    pub fn before(
        &mut self,
        step: u64,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
    ) -> LabResult<Option<Selection<F>>> {
        if !step.is_multiple_of(self.every) {
            return Ok(None);
        }
        let model: Rc<Model<'_, F>> = Rc::clone(&self.model) as _;
        let seed = self.seed.step(step as usize).derived("selection", step);
        let lab = Lab::shared(model, parameters, inputs).seed(seed).threads(self.threads);
        let selection = (self.select)(&lab)?;
        let code = selection.code();
        let is_new = self.chosen.as_ref() != Some(&code);
        self.chosen = Some(code);
        Ok(is_new.then_some(selection))
    }
}

impl<F: Real> std::fmt::Debug for Reselect<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reselect")
            .field("every", &self.every)
            .field("seed", &self.seed)
            .field("chosen", &self.chosen)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_choice_uses_the_noise_of_a_step() {
        // The noise of a step of the training is that of its seed, the step and the address. All noise of a choice has
        // another seed, also if both were given the same one.
        let (parameters, inputs) = (Parameters::<f64>::new(), Inputs::new());
        for seed in [0, 7, u64::MAX] {
            for step in [0, 1, 1000] {
                let own = Seed::new(seed).step(step).derived("selection", step as u64);
                let lab = Lab::new(|_: &Record<'_, '_, f64>| Ok(()), &parameters, &inputs).seed(own);
                assert_ne!(own.seed, seed);
                for purpose in ["first", "warm-up", "race 0", "race 5"] {
                    assert!((0..100).all(|number| lab.repetition(purpose, number).seed != seed));
                }
            }
        }
    }
}
