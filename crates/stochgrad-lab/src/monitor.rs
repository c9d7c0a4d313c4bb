//! The noise of the gradient in the course of a training run.

use std::time::{Duration, Instant};

use stochgrad_graph::{Bias, GraphResult, Guarantee, MethodReplacements, Seed};
use stochgrad_nn::{Inputs, Parameters, Record, Step};
use stochgrad_tensor::Real;

use crate::arm::flatten;
use crate::error::{LabError, LabResult};
use crate::interval::{Interval, two_sided_quantile};
use crate::moments::{Moments, PairMoments};

/// Measures the variance of the gradient, its signal-to-noise ratio and its bias while a model is trained, at a stated
/// cost.
///
/// At the parameters of a step, two gradients $g_1, g_2$ with independent noise give $\frac12 \lVert g_1 - g_2 \rVert^2$,
/// whose expectation is the total variance, and $\langle g_1, g_2 \rangle$, whose expectation is the squared norm of the
/// mean gradient. With [reference methods](Self::reference), two of their gradients $r_1, r_2$ give
/// $\langle g_1 - r_1, r_2 \rangle$ relative to $\langle r_1, r_2 \rangle$, the part of the bias along the gradient. A
/// [`Reading`] is the mean over several such pairs, each at the parameters of another step.
///
/// A pair is only measured when the time of all measurements so far, and that of this one, is at most a
/// [share](Self::share) of the time since the first call, 5 % by default. The first pair also records and compiles the
/// model, and the next ones wait until the share is kept again. The noise is not that of the training, which does not
/// notice the monitor: its parameters, its noise and the state of its methods stay as they are.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::ScoreFunction;
/// use stochgrad_graph::Seed;
/// use stochgrad_lab::Monitor;
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
/// // Every tenth step, whatever the time; the default is a share of the time.
/// let mut monitor = Monitor::new(model).every(10).pairs(4);
/// for number in 0..100 {
///     step.train(&mut parameters, &mut sgd, &inputs, Seed::new(7).step(number))?;
///     if let Some(reading) = monitor.observe(number as u64, &parameters, &inputs)? {
///         println!("{reading}");
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Monitor<'m, F: Real> {
    step: Step<'m, F>,
    reference: Option<Step<'m, F>>,
    /// Whether the methods of the reference are known to have no bias.
    is_checked: bool,
    pace: Pace,
    pairs: u64,
    seed: Seed,
    start: Option<Instant>,
    /// The time of all measurements, and that of the last one.
    spent: Duration,
    last: Duration,
    measured: Window,
}

/// When a pair is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pace {
    Share(f64),
    Steps(u64),
}

/// The pairs of a reading so far.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    first: u64,
    distance: Moments,
    signal: Moments,
    /// The bias along the gradient, and the squared norm of the gradient.
    bias: PairMoments,
}

/// The noise of the gradient during some steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The first and the last step at which a pair was measured.
    pub steps: [u64; 2],
    /// The total variance of the gradient.
    pub variance: Interval,
    /// The norm of the mean gradient over the root of the total variance; 0 if no signal was found.
    pub signal_to_noise: f64,
    /// The part of the bias along the gradient, relative to the gradient, if there is a reference.
    pub bias: Option<Interval>,
    /// The share of the time since the first call that all measurements have taken so far.
    pub cost: f64,
}

impl<'m, F: Real> Monitor<'m, F> {
    /// A monitor of a model with its own methods, which measures at most 5 % of the time. A reading is made of 32 pairs.
    pub fn new(model: impl Fn(&Record<'_, '_, F>) -> GraphResult<()> + 'm) -> Self {
        Monitor {
            step: Step::new(model),
            reference: None,
            is_checked: false,
            pace: Pace::Share(0.05),
            pairs: 32,
            seed: Seed::new(0),
            start: None,
            spent: Duration::ZERO,
            last: Duration::ZERO,
            measured: Window::default(),
        }
    }

    /// Measures other methods than those of the model: those with which the step of the training replaces them.
    pub fn methods(self, replacements: MethodReplacements<F>) -> Self {
        Monitor { step: self.step.replace_methods(replacements), ..self }
    }

    /// Also measures the bias, relative to a model with methods without bias: the same model with these replacements.
    /// It doubles the time of a pair.
    pub fn reference(
        self,
        model: impl Fn(&Record<'_, '_, F>) -> GraphResult<()> + 'm,
        replacements: MethodReplacements<F>,
    ) -> Self {
        Monitor { reference: Some(Step::new(model).replace_methods(replacements)), ..self }
    }

    /// The largest share of the time that measurements may take, 0.05 by default.
    pub fn share(self, share: f64) -> Self {
        Monitor { pace: Pace::Share(share), ..self }
    }

    /// Measures a pair every so many steps, whatever time it takes, so that the readings are reproducible.
    pub fn every(self, steps: u64) -> Self {
        Monitor { pace: Pace::Steps(steps.max(1)), ..self }
    }

    /// The number of pairs of a reading, at least 2 and 32 by default.
    pub fn pairs(self, pairs: u64) -> Self {
        Monitor { pairs: pairs.max(2), ..self }
    }

    /// The seed of the measurements, 0 by default.
    pub fn seed(self, seed: Seed) -> Self {
        Monitor { seed, ..self }
    }

    /// The share of the time since the first call that all measurements have taken so far.
    pub fn cost(&self) -> f64 {
        let elapsed = self.start.map_or(0.0, |start| start.elapsed().as_secs_f64());
        if elapsed > 0.0 { self.spent.as_secs_f64() / elapsed } else { 0.0 }
    }

    /// Measures a pair at these parameters, if it is time for one. To be called after each step of the training.
    /// Returns a reading when enough pairs were measured.
    ///
    /// # Errors
    /// Those of the model, for a share outside its domain, and for a reference with a biased method.
    pub fn observe(&mut self, step: u64, parameters: &Parameters<F>, inputs: &Inputs<F>) -> LabResult<Option<Reading>> {
        let now = Instant::now();
        let start = *self.start.get_or_insert(now);
        match self.pace {
            Pace::Steps(steps) if !step.is_multiple_of(steps) => return Ok(None),
            Pace::Steps(_) => {}
            Pace::Share(share) if !(share > 0.0 && share <= 1.0) => {
                let advice = "0.05 stands for 5 % of the time";
                return Err(LabError::setting("the share of a monitor", "above 0, and at most 1", share, advice));
            }
            Pace::Share(share) if (self.spent + self.last).as_secs_f64() > share * (now - start).as_secs_f64() => {
                return Ok(None);
            }
            Pace::Share(_) => {}
        }
        self.measure(step, parameters, inputs)?;
        self.last = now.elapsed();
        // The first pair contains the recording, which is not repeated.
        if self.spent.is_zero() {
            self.last /= 16;
        }
        self.spent += now.elapsed();
        if self.measured.distance.count() < self.pairs as f64 {
            return Ok(None);
        }
        let reading = self.measured.reading(step, self.reference.is_some(), self.cost());
        self.measured = Window::default();
        Ok(Some(reading))
    }

    fn measure(&mut self, step: u64, parameters: &Parameters<F>, inputs: &Inputs<F>) -> LabResult<()> {
        let seed = self.seed.step(step as usize).derived("monitor", step);
        if let Some(reference) = self.reference.as_ref().filter(|_| !self.is_checked) {
            let report = reference.inspect(parameters, inputs, seed, |graph| graph.report())??;
            let all = report.parameters.iter().fold(Guarantee::EXACT, |all, one| all.and(one.guarantee));
            if all.bias != Bias::Unbiased {
                let advice = "pass replacements for the nodes with biased methods";
                return Err(LabError::setting("the reference of a monitor", "methods without bias", all, advice));
            }
            self.is_checked = true;
        }
        let run = |step: &mut Step<'_, F>, number: u64| -> LabResult<Vec<f64>> {
            let mut values = Vec::new();
            flatten(step.run(parameters, inputs, seed.derived("pair", number))?, &mut values);
            Ok(values)
        };
        let own = [run(&mut self.step, 0)?, run(&mut self.step, 1)?];
        if self.measured.distance.count() == 0.0 {
            self.measured.first = step;
        }
        let products = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(one, other)| one * other).sum::<f64>();
        let distance = own[0].iter().zip(&own[1]).map(|(one, other)| (one - other).powi(2)).sum::<f64>();
        self.measured.distance.add(0.5 * distance);
        self.measured.signal.add(products(&own[0], &own[1]));
        if let Some(reference) = &mut self.reference {
            let known = [run(reference, 2)?, run(reference, 3)?];
            let along = products(&own[0], &known[1]) + products(&own[1], &known[0]);
            let squares = products(&known[0], &known[1]);
            self.measured.bias.add(0.5 * along - squares, squares);
        }
        Ok(())
    }
}

impl Window {
    fn reading(&self, last: u64, has_reference: bool, cost: f64) -> Reading {
        let z = two_sided_quantile(0.05);
        let variance = Interval::positive(self.distance.mean(), z * self.distance.standard_error());
        let signal_to_noise = (self.signal.mean().max(0.0) / variance.estimate).sqrt();
        let bias = has_reference.then(|| {
            let (ratio, error) = self.bias.ratio();
            Interval::around(ratio, z * error)
        });
        Reading { steps: [self.first, last], variance, signal_to_noise, bias, cost }
    }
}

impl std::fmt::Display for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Reading { steps: [first, last], variance, signal_to_noise, bias, cost } = self;
        write!(f, "steps {first} to {last}: variance {:.3e}, signal / noise {signal_to_noise:.3}", variance.estimate)?;
        if let Some(bias) = bias {
            write!(f, ", bias / gradient {:.3} ± {:.3}", bias.estimate, bias.half_width())?;
        }
        write!(f, ", {:.1} % of the time", 100.0 * cost)
    }
}

impl<F: Real> std::fmt::Debug for Monitor<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor")
            .field("pace", &self.pace)
            .field("pairs", &self.pairs)
            .field("seed", &self.seed)
            .field("spent", &self.spent)
            .finish_non_exhaustive()
    }
}
