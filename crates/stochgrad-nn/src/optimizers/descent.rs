//! The optimiser of an update rule.

use std::collections::BTreeMap;

use smallvec::SmallVec;
use stochgrad_graph::Gradients;
use stochgrad_tape::descent::Schedule;
use stochgrad_tensor::descent::squares_are_finite;
use stochgrad_tensor::{Real, Tensor};

use super::average::{AVERAGE, Average};
use super::compiled_rule::CompiledRule;
use super::rule::UpdateRule;
use super::slots::Slots;
use super::{Optimizer, OptimizerState, check_gradients, check_usable, gradient};
use crate::error::{NnError, NnResult};
use crate::parameters::Parameters;

/// An optimiser that follows an [`UpdateRule`], with a learning rate that may follow a [`Schedule`].
///
/// [`Adam`](super::Adam) and [`Sgd`](super::Sgd) are optimisers of this type. The rule is recorded once and compiled
/// for each shape of a parameter. Where the rule has a hand-written kernel, it is used instead.
#[derive(Clone, Debug)]
pub struct Descent<F: Real, R> {
    pub(super) rule: R,
    rate: Schedule,
    steps: u64,
    slots: Vec<Slots<F>>,
    compiled: CompiledRule<F>,
    average: Option<Average<F>>,
}

impl<F: Real, R: UpdateRule<F>> Descent<F, R> {
    /// The optimiser of a rule, with a learning rate or a schedule of it.
    pub fn of(rule: R, learning_rate: impl Into<Schedule>) -> Self {
        Descent {
            rule,
            rate: learning_rate.into(),
            steps: 0,
            slots: Vec::new(),
            compiled: CompiledRule::default(),
            average: None,
        }
    }

    /// The same optimiser with other settings of the rule.
    pub(super) fn with(mut self, change: impl FnOnce(&mut R)) -> Self {
        change(&mut self.rule);
        self.compiled = CompiledRule::default();
        self
    }

    /// Averages the parameters after each step. The average is part of the state of the optimiser.
    ///
    /// ```
    /// use stochgrad_nn::{Adam, Average};
    ///
    /// let adam = Adam::<f32>::new(1e-3).average(Average::exponential(0.999));
    /// assert!(adam.averages().is_some());
    /// ```
    pub fn average(self, average: Average<F>) -> Self {
        Descent { average: Some(average), ..self }
    }

    /// The average of the parameters, if there is one: see [`Average::copy_to`].
    pub fn averages(&self) -> Option<&Average<F>> {
        self.average.as_ref()
    }

    /// The rule.
    pub fn rule(&self) -> &R {
        &self.rule
    }

    /// The schedule of the learning rate.
    pub fn schedule(&self) -> &Schedule {
        &self.rate
    }

    fn check_slots(&mut self, parameters: &Parameters<F>) -> NnResult<()> {
        self.slots.resize_with(self.rule.slots().len(), Slots::default);
        self.slots.iter().try_for_each(|slots| slots.check(parameters))
    }
}

impl<F: Real, R: UpdateRule<F>> Optimizer<F> for Descent<F, R> {
    fn step(&mut self, parameters: &mut Parameters<F>, gradients: &Gradients<F>) -> NnResult<()> {
        if let Err(problem) = self.rate.check(0.0, false) {
            return Err(NnError::argument(
                "the learning rate of an optimiser",
                "a finite number that is not negative",
                problem,
                "correct the setting",
            ));
        }
        self.rule.check()?;
        match self.rule.squares_gradients() {
            true => check_usable(parameters, gradients, squares_are_finite, |g| (g * g).is_finite())?,
            false => check_gradients(parameters, gradients)?,
        }
        self.check_slots(parameters)?;
        if let Some(average) = &self.average {
            average.check(parameters)?;
        }
        let Descent { rule, rate, steps, slots, compiled, average } = self;
        let constant = rate.as_constant();
        compiled.start(*steps + 1, constant.unwrap_or(0.0), |step, given| {
            let rate = if constant.is_some() { given } else { rate.record(step - 1.0) };
            rule.coefficients(rate, step)
        })?;
        parameters.update_tensors(|name, value| {
            let Some(gradient) = gradient(gradients, name) else { return Ok(()) };
            let mut memory: SmallVec<[&mut Tensor<F>; 4]> =
                slots.iter_mut().map(|slots| slots.tensor(name, value.shape())).collect();
            let is_done = {
                let mut elements: SmallVec<[&mut [F]; 4]> = memory.iter_mut().map(|slot| slot.make_mut()).collect();
                rule.kernel(compiled.coefficients(), gradient.as_slice(), &mut elements, value.make_mut())
            };
            if is_done { Ok(()) } else { compiled.run(rule, gradient, &mut memory, value) }
        })?;
        *steps += 1;
        average.as_mut().map_or(Ok(()), |average| average.update(parameters))
    }

    fn learning_rate(&self) -> f64 {
        self.rate.at(self.steps)
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        if self.rate.as_constant().is_none() {
            self.compiled = CompiledRule::default();
        }
        self.rate = Schedule::constant(learning_rate);
    }

    fn state(&self) -> OptimizerState<F> {
        let slots =
            self.rule.slots().iter().enumerate().map(|(number, name)| {
                ((*name).to_owned(), self.slots.get(number).map(Slots::state).unwrap_or_default())
            });
        let average = self.average.iter().flat_map(|average| average.state().slots);
        OptimizerState { kind: self.rule.kind().into(), steps: self.steps, slots: slots.chain(average).collect() }
    }

    fn load_state(&mut self, state: &OptimizerState<F>) -> NnResult<()> {
        let names = self.rule.slots();
        let known: Vec<&str> = names.iter().copied().chain(self.average.iter().map(|_| AVERAGE)).collect();
        state.check(self.rule.kind(), &known)?;
        let shapes = |name: &str| -> BTreeMap<String, String> {
            let tensors = state.slots.get(name).into_iter().flatten();
            tensors.map(|(parameter, tensor)| (parameter.clone(), tensor.shape().to_string())).collect()
        };
        for pair in names.windows(2) {
            let [first, second] = [shapes(pair[0]), shapes(pair[1])];
            if first != second {
                return Err(NnError::argument(
                    "`state` of `Optimizer::load_state`",
                    format!("`{}` and `{}` of the same parameters, of the same shapes", pair[0], pair[1]),
                    format!("{first:?} and {second:?}"),
                    "resume from a state that `Optimizer::state` returned",
                ));
            }
        }
        self.steps = state.steps;
        if let Some(average) = &mut self.average {
            average.restore(state.steps, state.slots.get(AVERAGE));
        }
        self.slots = names.iter().map(|name| Slots::from_state(state.slots.get(*name))).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizers::{Adam, AdamRule, Sgd, SgdRule, Updated};
    use stochgrad_tape::Var;

    /// A rule without its kernel.
    #[derive(Clone, Debug)]
    struct Recorded<R>(R);

    impl<F: Real, R: UpdateRule<F>> UpdateRule<F> for Recorded<R> {
        fn kind(&self) -> &'static str {
            self.0.kind()
        }

        fn slots(&self) -> &'static [&'static str] {
            self.0.slots()
        }

        fn coefficients<'t>(&self, rate: Var<'t, F>, step: Var<'t, F>) -> Vec<Var<'t, F>> {
            self.0.coefficients(rate, step)
        }

        fn update<'t>(
            &self,
            coefficients: &[Var<'t, F>],
            parameter: Var<'t, F>,
            gradient: Var<'t, F>,
            slots: &[Var<'t, F>],
        ) -> Updated<'t, F> {
            self.0.update(coefficients, parameter, gradient, slots)
        }
    }

    fn start<F: Real>() -> Parameters<F> {
        let mut parameters = Parameters::new();
        let values =
            |shape: &[usize], seed: f64| Tensor::from_fn(shape, move |i| F::from_f64(((i as f64 + 1.0) * seed).sin()));
        parameters.insert("scalar", values(&[], 0.3)).unwrap();
        parameters.insert("row", values(&[17], 0.7)).unwrap();
        parameters.insert("matrix", values(&[5, 3], 1.1)).unwrap();
        parameters.insert("large", values(&[300, 301], 1.3)).unwrap();
        parameters.insert("other row", values(&[17], 1.9)).unwrap();
        parameters
    }

    /// The bits of all parameters and slots after some steps.
    fn trained<F: Real>(mut optimizer: impl Optimizer<F>, steps: usize) -> Vec<u64> {
        let mut parameters = start::<F>();
        for step in 0..steps {
            let slopes = parameters.iter().map(|(name, value)| {
                let values = value.as_slice();
                let slope = |i: usize| values[i] * F::from_f64(0.3 + ((i * 7 + step * 3) % 11) as f64 - 5.0);
                (name.to_owned(), Tensor::from_fn(value.shape().clone(), slope))
            });
            let gradients = Gradients::from_tensors(slopes.collect::<Vec<_>>());
            optimizer.step(&mut parameters, &gradients).unwrap();
        }
        let slots = optimizer.state().slots.into_values().flat_map(|slot| slot.into_values());
        let all = parameters.iter().map(|(_, value)| value.clone()).chain(slots).collect::<Vec<_>>();
        all.iter().flat_map(|tensor| tensor.as_slice()).map(|x| x.to_f64().to_bits()).collect()
    }

    fn same_bits<F: Real>(steps: usize) {
        let falling = || Schedule::cosine(0.02, 0.001, 80).warm_up(10);
        let adam = [Adam::<F>::new(0.01), Adam::new(falling()).betas(0.5, 0.9).epsilon(1e-3).weight_decay(0.1)];
        let sgd = [Sgd::<F>::new(1e-3), Sgd::new(falling()).momentum(0.9), Sgd::new(1e-3).momentum(0.5).nesterov(true)];
        let recorded_adam: Vec<Descent<F, Recorded<AdamRule>>> =
            adam.iter().map(|adam| Descent::of(Recorded(adam.rule), adam.schedule().clone())).collect();
        let recorded_sgd: Vec<Descent<F, Recorded<SgdRule>>> =
            sgd.iter().map(|sgd| Descent::of(Recorded(sgd.rule), sgd.schedule().clone())).collect();
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for (kernel, recorded) in adam.iter().zip(&recorded_adam) {
                let one = kernel.clone();
                let found = pool.install(move || trained(one, steps));
                assert!(found == trained(recorded.clone(), steps), "{kernel:?}, {threads} threads");
            }
            for (kernel, recorded) in sgd.iter().zip(&recorded_sgd) {
                let one = kernel.clone();
                let found = pool.install(move || trained(one, steps));
                assert!(found == trained(recorded.clone(), steps), "{kernel:?}, {threads} threads");
            }
        }
    }

    #[test]
    fn kernels_have_the_bits_of_the_recorded_rules_in_double_precision() {
        same_bits::<f64>(100);
    }

    #[test]
    fn kernels_have_the_bits_of_the_recorded_rules_in_single_precision() {
        same_bits::<f32>(100);
    }

    #[test]
    fn an_average_is_part_of_the_state() {
        let make = || Sgd::<f64>::new(1.0).average(Average::uniform());
        let mut parameters = crate::testing::one_parameter(Tensor::scalar(0.0));
        let slope = crate::testing::gradients(&parameters, &[("x", Tensor::scalar(-1.0))]);
        let mut sgd = make();
        for _ in 0..3 {
            sgd.step(&mut parameters, &slope).unwrap();
        }
        let mut resumed = make();
        resumed.load_state(&sgd.state()).unwrap();
        assert!(Sgd::<f64>::new(1.0).load_state(&sgd.state()).is_err());
        let mut averaged = parameters.clone();
        for optimizer in [&mut sgd, &mut resumed] {
            let mut parameters = parameters.clone();
            optimizer.step(&mut parameters, &slope).unwrap();
            optimizer.averages().unwrap().copy_to(&mut averaged).unwrap();
            assert_eq!(averaged.get("x"), Some(&Tensor::scalar(2.5)));
        }
    }

    #[test]
    fn the_learning_rate_follows_its_schedule_and_can_be_set() {
        let mut sgd = Sgd::<f64>::new(Schedule::piecewise(1.0, [(1, 0.5)]));
        let mut parameters = crate::testing::one_parameter(Tensor::scalar(0.0));
        let mut step = |sgd: &mut Sgd<f64>| {
            let gradients = crate::testing::gradients(&parameters, &[("x", Tensor::scalar(-1.0))]);
            sgd.step(&mut parameters, &gradients).unwrap();
            parameters.get("x").unwrap().item().unwrap()
        };
        assert_eq!(sgd.learning_rate(), 1.0);
        assert_eq!([step(&mut sgd), step(&mut sgd)], [1.0, 1.5]);
        assert_eq!(sgd.learning_rate(), 0.5);
        for rate in [0.25, 0.125] {
            sgd.set_learning_rate(rate);
            assert_eq!(sgd.learning_rate(), rate);
            step(&mut sgd);
        }
        assert_eq!(parameters.get("x"), Some(&Tensor::scalar(1.875)));
    }
}
