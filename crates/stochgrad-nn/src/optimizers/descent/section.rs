//! Sections: parameters that share a rule, and what an optimiser keeps of them between steps.

use smallvec::SmallVec;
use stochgrad_tape::descent::Schedule;
use stochgrad_tensor::{Real, Tensor};

use crate::error::NnResult;
use crate::optimizers::accumulation::Accumulation;
use crate::optimizers::compiled_rule::CompiledRule;
use crate::optimizers::rule::UpdateRule;
use crate::optimizers::slots::Slots;
use crate::parameters::Parameters;

/// What an optimiser keeps of the parameters that share a rule and its settings.
#[derive(Clone, Debug)]
pub(super) struct Section<F: Real> {
    pub(super) rate: Schedule,
    /// The number of updates so far.
    pub(super) steps: u64,
    /// In the order of [`UpdateRule::slots`].
    pub(super) slots: Vec<Slots<F>>,
    pub(super) compiled: CompiledRule<F>,
    pub(super) accumulation: Accumulation<F>,
    /// Whether this step updates its parameters.
    pub(super) is_due: bool,
}

impl<F: Real> Section<F> {
    pub(super) fn new(rate: Schedule) -> Self {
        Section {
            rate,
            steps: 0,
            slots: Vec::new(),
            compiled: CompiledRule::default(),
            accumulation: Accumulation::default(),
            is_due: false,
        }
    }

    /// Checks that all memory has the shapes of the parameters.
    ///
    /// # Errors
    ///
    /// If the shape of a parameter has changed.
    pub(super) fn check(&mut self, rule: &dyn UpdateRule<F>, parameters: &Parameters<F>) -> NnResult<()> {
        self.slots.resize_with(rule.slots().len(), Slots::default);
        self.slots.iter().try_for_each(|slots| slots.check(parameters))?;
        self.accumulation.check(parameters)
    }

    /// Computes the coefficients of the next update.
    pub(super) fn start(&mut self, rule: &dyn UpdateRule<F>) -> NnResult<()> {
        let constant = self.rate.as_constant();
        let rate = &self.rate;
        self.compiled.start(self.steps + 1, constant.unwrap_or(0.0), |step, given| {
            let rate = if constant.is_some() { given } else { rate.record(step - 1.0) };
            rule.coefficients(rate, step)
        })
    }

    /// Updates a parameter with a gradient, by default the accumulated one.
    pub(super) fn update(
        &mut self,
        rule: &dyn UpdateRule<F>,
        name: &str,
        gradient: Option<&Tensor<F>>,
        value: &mut Tensor<F>,
    ) -> NnResult<()> {
        let Section { slots, compiled, accumulation, .. } = self;
        let Some(gradient) = gradient.or_else(|| accumulation.get(name)) else { return Ok(()) };
        let mut memory: SmallVec<[&mut Tensor<F>; 4]> =
            slots.iter_mut().map(|slots| slots.tensor(name, value.shape())).collect();
        let is_done = {
            let mut elements: SmallVec<[&mut [F]; 4]> = memory.iter_mut().map(|slot| slot.make_mut()).collect();
            rule.kernel(compiled.coefficients(), gradient.as_slice(), &mut elements, value.make_mut())
        };
        if is_done { Ok(()) } else { compiled.run(rule, gradient, &mut memory, value) }
    }
}
