//! The choice of methods again and again in the course of a training run.

use std::rc::Rc;
use std::time::{Duration, Instant};

use stochgrad_graph::{GraphResult, Seed};
use stochgrad_nn::{Inputs, Parameters, Record};
use stochgrad_tensor::Real;

use crate::error::{LabError, LabResult};
use crate::kept::Kept;
use crate::lab::{Lab, Model};
use crate::select::Selection;

/// Chooses the methods anew in the course of a training run, since the best method changes with the parameters.
///
/// The first choice is made at once, and the others take at most a [share](Self::share) of the time of the training, 3 %
/// by default. What makes them cheap and steady:
///
/// - The programs of all methods are compiled once, and kept from one choice to the next.
/// - Methods that were worse than the best one by a factor of 2 for certain sit out three choices.
/// - A race starts with the methods in use. One of them is replaced only if another is better with the confidence of the
///   selection, and by more than its indifference.
/// - The time of a step besides its gradient is measured, and counts in the criterion; see [`Lab::overhead`].
///
/// The choice before a step depends on the parameters, the inputs and the number of the step, and on noise of its own,
/// but never on the noise of the step: otherwise, the gradient with the chosen method would be biased, even if all
/// methods are unbiased. With Adam, minimise [`RootMeanSquareTime`](crate::Criterion::RootMeanSquareTime).
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Id};
/// use stochgrad_estimators::{DisArm, ScoreFunction};
/// use stochgrad_graph::Seed;
/// use stochgrad_lab::{Criterion, Lab, Reselect, candidates};
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
///     let select = lab.select().node::<Bernoulli<Id>>("b", methods).repetitions(256);
///     select.criterion(Criterion::SecondMomentTime).run() // for stochastic gradient descent
/// });
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
    pace: Pace,
    seed: Seed,
    threads: usize,
    warm_up: u64,
    kept: Rc<Kept<'m, F>>,
    chosen: Option<String>,
    clock: Clock,
}

type Selector<'m, F> = dyn Fn(&Lab<'m, F>) -> LabResult<Selection<F>> + 'm;

/// When a choice is made.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pace {
    Share(f64),
    Steps(u64),
}

/// The times of the training and of the choices, in seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    /// When the last call ended.
    left: Option<Instant>,
    /// A running median of the times between two calls, which are those of the steps.
    step: f64,
    /// The time of a gradient with the methods in use, as the last choice measured it.
    gradient: f64,
    /// The time of all steps so far.
    trained: f64,
    /// The time of all choices, that of those after the first one, and that which the next one is expected to take.
    spent: f64,
    later: f64,
    next: f64,
}

impl Clock {
    /// How much the running median follows a value, as a ratio.
    const RATE: f64 = 1.05;

    /// Counts the time since the last call. Evaluations, checkpoints and other pauses between steps are not part of the
    /// training: an interval counts at most four times the median.
    fn resume(&mut self, now: Instant) {
        let Some(left) = self.left else { return };
        let interval = (now - left).as_secs_f64();
        self.step = match self.step {
            0.0 => interval,
            median if interval > median => median * Self::RATE,
            median => median / Self::RATE,
        };
        self.trained += interval.min(4.0 * self.step);
    }

    /// Whether another choice keeps the share.
    fn allows(&self, share: f64) -> bool {
        self.left.is_none() || self.later + self.next <= share * self.trained
    }

    fn count(&mut self, choice: Duration, next: Duration, gradient: f64) {
        self.spent += choice.as_secs_f64();
        self.later += if self.left.is_some() { choice.as_secs_f64() } else { 0.0 };
        self.next = next.as_secs_f64();
        self.gradient = gradient;
    }

    /// The time of a step besides its gradient.
    fn overhead(&self) -> Duration {
        Duration::try_from_secs_f64(self.step - self.gradient).unwrap_or_default()
    }
}

impl<'m, F: Real> Reselect<'m, F> {
    /// Choices for a model by `select`, which take at most 3 % of the time. Let `select` use a small number of
    /// repetitions, such as 128: each choice needs them at each node for the methods that are nearly the best.
    pub fn new(
        model: impl Fn(&Record<'_, '_, F>) -> GraphResult<()> + 'm,
        select: impl Fn(&Lab<'m, F>) -> LabResult<Selection<F>> + 'm,
    ) -> Self {
        Reselect {
            model: Rc::new(model),
            select: Box::new(select),
            pace: Pace::Share(0.03),
            seed: Seed::new(0),
            threads: 1,
            warm_up: 0,
            kept: Rc::new(Kept::new()),
            chosen: None,
            clock: Clock::default(),
        }
    }

    /// The largest share of the time of the training that the choices after the first one may take, 0.03 by default.
    pub fn share(self, share: f64) -> Self {
        Reselect { pace: Pace::Share(share), ..self }
    }

    /// Chooses every so many steps, at least 1, whatever time it takes, so that the steps before which a choice is made
    /// are reproducible.
    pub fn every(self, steps: u64) -> Self {
        Reselect { pace: Pace::Steps(steps.max(1)), ..self }
    }

    /// The seed of the choices, 0 by default. It may be that of the training.
    pub fn seed(self, seed: Seed) -> Self {
        Reselect { seed, ..self }
    }

    /// Sets the number of threads that kernels may use, 1 by default.
    pub fn threads(self, threads: usize) -> Self {
        Reselect { threads, ..self }
    }

    /// Sets how many steps a method with a state learns before each choice, 0 by default; see [`Lab::warm_up`]. It goes
    /// on with what it has learned before earlier choices.
    pub fn warm_up(self, steps: u64) -> Self {
        Reselect { warm_up: steps, ..self }
    }

    /// The time that all choices have taken so far.
    pub fn spent(&self) -> Duration {
        Duration::from_secs_f64(self.clock.spent)
    }

    /// The time of a step besides its gradient, as measured so far; see [`Lab::overhead`].
    pub fn overhead(&self) -> Duration {
        self.clock.overhead()
    }

    /// Chooses before a step, if it is time. To be called before each step. Returns the selection if it differs from the
    /// last one; methods that keep a state begin anew then.
    ///
    /// # Errors
    /// Those of the selection, and for a share outside its domain.
    pub fn before(
        &mut self,
        step: u64,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
    ) -> LabResult<Option<Selection<F>>> {
        let start = Instant::now();
        self.clock.resume(start);
        let is_due = match self.pace {
            Pace::Steps(steps) => step.is_multiple_of(steps),
            Pace::Share(share) if !(share > 0.0 && share <= 1.0) => {
                let advice = "0.03 stands for 3 % of the time";
                return Err(LabError::setting("the share of the choices", "above 0, and at most 1", share, advice));
            }
            Pace::Share(share) => self.clock.allows(share),
        };
        let selection = if is_due { self.choose(step, parameters, inputs, start)? } else { None };
        self.clock.left = Some(Instant::now());
        Ok(selection)
    }

    fn choose(
        &mut self,
        step: u64,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
        start: Instant,
    ) -> LabResult<Option<Selection<F>>> {
        let seed = self.seed.step(step as usize).derived("selection", step);
        let (model, kept) = (Rc::clone(&self.model), Rc::clone(&self.kept));
        let lab = Lab::keeping(model, parameters.clone(), inputs.clone(), kept);
        let lab = lab.seed(seed).threads(self.threads).warm_up(self.warm_up).overhead(self.clock.overhead());
        let selection = (self.select)(&lab)?;
        // The last race had the chosen methods at all other nodes.
        let gradient = selection.nodes.last().and_then(|race| race.methods[race.chosen].time);
        self.clock.count(start.elapsed(), self.kept.next_time(), gradient.unwrap_or(0.0));
        let code = selection.code();
        let is_new = self.chosen.as_ref() != Some(&code);
        self.chosen = Some(code);
        Ok(is_new.then_some(selection))
    }
}

impl<F: Real> std::fmt::Debug for Reselect<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reselect")
            .field("pace", &self.pace)
            .field("seed", &self.seed)
            .field("chosen", &self.chosen)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_not_time_of_the_training() {
        let (mut now, mut clock) = (Instant::now(), Clock::default());
        let mut interval = |clock: &mut Clock, milliseconds: u64| {
            clock.left = Some(now);
            now += Duration::from_millis(milliseconds);
            clock.resume(now);
        };
        (0..100).for_each(|_| interval(&mut clock, 10));
        assert!((clock.trained - 1.0).abs() < 1e-9 && (clock.step - 0.01).abs() < 1e-3, "{clock:?}");
        interval(&mut clock, 5000);
        assert!(clock.trained < 1.05, "{clock:?}");
        // A choice of 50 ms, and another one of 30 ms are 5 % of 1.6 s.
        clock.count(Duration::from_millis(50), Duration::from_millis(30), 0.007);
        assert!(!clock.allows(0.05));
        (0..57).for_each(|_| interval(&mut clock, 10));
        assert!(clock.allows(0.05), "{clock:?}");
        let overhead = clock.overhead().as_secs_f64();
        assert!((overhead - 0.003).abs() < 1e-3, "{overhead}");
        clock.count(Duration::ZERO, Duration::ZERO, 1.0);
        assert_eq!(clock.overhead(), Duration::ZERO);
    }

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
