//! The state of an optimiser, for checkpoints.

use std::collections::BTreeMap;

use stochgrad_tensor::{Real, instantiated};

use super::sections::{Sections, rule_of};
use crate::error::NnResult;
use crate::optimizers::accumulation::Accumulation;
use crate::optimizers::average::AVERAGE;
use crate::optimizers::rule::UpdateRule;
use crate::optimizers::slots::Slots;
use crate::optimizers::{OptimizerState, other_state};

/// The name of the slot of accumulated gradients, and of the counter of their minibatches.
const ACCUMULATED: &str = "accumulated";

/// The counter of the updates of a group.
const STEPS: &str = "steps";

/// The counter of the values in the average.
const AVERAGED: &str = "averaged";

impl<F: Real> Sections<F> {
    pub(super) fn kind(&self, own: &dyn UpdateRule<F>) -> String {
        let groups = self.division.groups.iter().zip(&self.rules);
        groups.fold(own.kind().into(), |kind, (names, rule)| format!("{kind}, {} for {names}", rule.kind()))
    }

    /// The name of a counter of a section.
    fn counter(&self, what: &str, section: usize) -> String {
        if section == 0 { what.into() } else { format!("{what} of {}", self.division.groups[section - 1]) }
    }

    /// See [`Optimizer::state`](crate::Optimizer::state).
    pub(super) fn state(&self, own: &dyn UpdateRule<F>) -> OptimizerState<F> {
        let mut state = OptimizerState {
            kind: self.kind(own),
            steps: self.list[0].steps,
            counters: BTreeMap::new(),
            slots: BTreeMap::new(),
        };
        for (number, section) in self.list.iter().enumerate() {
            if number > 0 {
                state.counters.insert(self.counter(STEPS, number), section.steps);
            }
            for (index, name) in rule_of(own, &self.rules, number).slots().iter().enumerate() {
                let slot = state.slots.entry((*name).into()).or_default();
                slot.extend(section.slots.get(index).map(Slots::state).unwrap_or_default());
            }
            if let Some((count, means)) = section.accumulation.state() {
                state.counters.insert(self.counter(ACCUMULATED, number), count);
                state.slots.entry(ACCUMULATED.into()).or_default().extend(means);
            }
        }
        if let Some(average) = &self.average {
            let OptimizerState { steps, slots, .. } = average.state();
            state.counters.insert(AVERAGED.into(), steps);
            state.slots.extend(slots);
        }
        state
    }

    /// See [`Optimizer::load_state`](crate::Optimizer::load_state).
    pub(super) fn load_state(&mut self, own: &dyn UpdateRule<F>, state: &OptimizerState<F>) -> NnResult<()> {
        instantiated!(
            F: fn(&mut Sections<F>, &dyn UpdateRule<F>, &OptimizerState<F>) -> NnResult<()> =
                |sections, own, state| {
                    sections.check_state(own, state)?;
                    sections.restore(own, state);
                    Ok(())
                }
        )(self, own, state)
    }

    /// Checks that a state is one of this optimiser.
    fn check_state(&self, own: &dyn UpdateRule<F>, state: &OptimizerState<F>) -> NnResult<()> {
        let sections = 0..self.list.len();
        let mut memory: Vec<&str> = Vec::new();
        for section in sections.clone() {
            memory.extend(rule_of(own, &self.rules, section).slots());
        }
        let with_average = self.average.iter().map(|_| AVERAGE);
        let with_accumulation = (self.accumulated > 1).then_some(ACCUMULATED);
        let known: Vec<&str> = memory.iter().copied().chain(with_average).chain(with_accumulation).collect();
        state.check(&self.kind(own), &known)?;

        let mut required: Vec<String> = sections.clone().skip(1).map(|section| self.counter(STEPS, section)).collect();
        required.extend(self.average.iter().map(|_| AVERAGED.into()));
        if let Some(missing) = required.iter().find(|name| !state.counters.contains_key(*name)) {
            return Err(other_state(format!("the counter `{missing}`"), "none of this name"));
        }
        for (name, &count) in state.counters.iter().filter(|(name, _)| !required.contains(name)) {
            if !sections.clone().any(|section| self.counter(ACCUMULATED, section) == *name) {
                return Err(other_state(format!("the counters {}", required.join(", ")), format!("also `{name}`")));
            }
            if !(1..self.accumulated).contains(&count) {
                let fewer = format!("fewer accumulated minibatches than the {} of an update", self.accumulated);
                return Err(other_state(fewer, format!("{count}")));
            }
        }
        self.check_memory(own, state, &memory)
    }

    /// Checks that each parameter has all memory of its section, and no other.
    fn check_memory(&self, own: &dyn UpdateRule<F>, state: &OptimizerState<F>, memory: &[&str]) -> NnResult<()> {
        let of = |slot: &str| state.slots.get(slot).into_iter().flatten();
        for (parameter, tensor) in memory.iter().flat_map(|slot| of(slot)) {
            let section = self.division.section(parameter);
            let expected = section.map_or(&[][..], |section| rule_of(own, &self.rules, section).slots());
            let found: Vec<&str> = state.slots.keys().map(String::as_str).collect();
            let found = found.into_iter().filter(|slot| memory.contains(slot));
            let found: Vec<&str> = found.filter(|slot| state.slots[*slot].contains_key(parameter)).collect();
            let fits = |slot: &&str| state.slots[*slot].get(parameter).is_some_and(|x| x.shape() == tensor.shape());
            if found.len() != expected.len() || !found.iter().all(|slot| expected.contains(slot) && fits(slot)) {
                let names: Vec<String> = expected.iter().map(|slot| format!("`{slot}`")).collect();
                let shapes =
                    found.iter().map(|slot| format!("`{slot}` of shape {}", state.slots[*slot][parameter].shape()));
                return Err(other_state(
                    match names.is_empty() {
                        true => format!("no memory for `{parameter}`"),
                        false => format!("{} for `{parameter}`, of the same shape", names.join(" and ")),
                    },
                    shapes.collect::<Vec<_>>().join(" and "),
                ));
            }
        }
        for (parameter, _) in of(ACCUMULATED) {
            let counter = self.division.section(parameter).map(|section| self.counter(ACCUMULATED, section));
            if !counter.is_some_and(|counter| state.counters.contains_key(&counter)) {
                let found = format!("an accumulated gradient of `{parameter}`");
                return Err(other_state("accumulated gradients with the number of their minibatches", found));
            }
        }
        Ok(())
    }

    /// Takes over a state that was checked.
    fn restore(&mut self, own: &dyn UpdateRule<F>, state: &OptimizerState<F>) {
        let count = |name: &str| state.counters.get(name).copied().unwrap_or(0);
        let counters: Vec<[String; 2]> =
            (0..self.list.len()).map(|section| [STEPS, ACCUMULATED].map(|what| self.counter(what, section))).collect();
        let Sections { rules, list, division, average, .. } = self;
        for (number, section) in list.iter_mut().enumerate() {
            let [steps, accumulated] = &counters[number];
            section.steps = if number == 0 { state.steps } else { count(steps) };
            let memory = |slot: &str| {
                let tensors = state.slots.get(slot).into_iter().flatten();
                tensors.filter(|(parameter, _)| division.section(parameter) == Some(number))
            };
            let slots = rule_of(own, rules, number).slots();
            section.slots = slots.iter().map(|slot| Slots::from_state(memory(slot))).collect();
            section.accumulation = Accumulation::from_state(count(accumulated), memory(ACCUMULATED));
        }
        if let Some(average) = average {
            average.restore(count(AVERAGED), state.slots.get(AVERAGE));
        }
    }
}
