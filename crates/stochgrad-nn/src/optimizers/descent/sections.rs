//! All sections of an optimiser: what does not depend on the type of its rule.

use std::sync::Arc;

use stochgrad_graph::Gradients;
use stochgrad_tape::descent::Schedule;
use stochgrad_tensor::{Real, instantiated};

use super::division::Division;
use super::section::Section;
use crate::clipping::Clip;
use crate::error::{NnError, NnResult};
use crate::optimizers::average::Average;
use crate::optimizers::rule::UpdateRule;
use crate::optimizers::{check_usable, gradient};
use crate::parameters::Parameters;

/// All sections of an optimiser. The rule of the first one is passed to the functions.
#[derive(Clone)]
pub(super) struct Sections<F: Real> {
    /// The section of the parameters in no group, and those of the groups.
    pub(super) list: Vec<Section<F>>,
    /// The rules of the groups.
    pub(super) rules: Vec<Arc<Rule<F>>>,
    pub(super) division: Division,
    /// The number of minibatches for each update.
    pub(super) accumulated: u64,
    pub(super) clip: Option<Clip<F>>,
    pub(super) average: Option<Average<F>>,
    /// Of each parameter, the number of the section that updates it in this step.
    turns: Vec<Option<usize>>,
    /// Whether a group was given more than a rule and a learning rate.
    pub(super) has_nested_settings: bool,
}

/// The rule of a group.
pub(super) type Rule<F> = dyn UpdateRule<F> + Send + Sync;

/// The rule of a section.
pub(super) fn rule_of<'a, F: Real>(
    own: &'a dyn UpdateRule<F>,
    rules: &'a [Arc<Rule<F>>],
    section: usize,
) -> &'a dyn UpdateRule<F> {
    if section == 0 { own } else { &*rules[section - 1] }
}

impl<F: Real> Sections<F> {
    pub(super) fn new(rate: Schedule) -> Self {
        Sections {
            list: vec![Section::new(rate)],
            rules: Vec::new(),
            division: Division::default(),
            accumulated: 1,
            clip: None,
            average: None,
            turns: Vec::new(),
            has_nested_settings: false,
        }
    }

    /// Whether there are settings that a group cannot have.
    pub(super) fn has_more_than_a_rate(&self) -> bool {
        let Division { only, groups } = &self.division;
        let is_divided = only.is_some() || !groups.is_empty();
        is_divided || self.accumulated != 1 || self.clip.is_some() || self.average.is_some()
    }

    /// The settings in words.
    pub(super) fn settings(&self, own: &dyn UpdateRule<F>) -> String {
        let Sections { list, rules, division, accumulated, clip, average, .. } = self;
        let mut parts = Vec::new();
        for (number, Section { rate, .. }) in list.iter().enumerate() {
            let names = match number {
                0 => division.only.as_ref().map(|only| format!("only \"{only}\": ")),
                _ => Some(format!("\"{}\": ", division.groups[number - 1])),
            };
            let rate = rate.as_constant().map_or_else(|| format!("{rate:?}"), |rate| rate.to_string());
            let rule = rule_of(own, rules, number).settings();
            parts.push(format!("{}{rule} with learning rate {rate}", names.unwrap_or_default()));
        }
        if *accumulated > 1 {
            parts.push(format!("{accumulated} minibatches for each update"));
        }
        parts.extend(clip.as_ref().map(|clip| format!("{clip:?}")));
        parts.extend(average.as_ref().map(Average::settings));
        parts.join("; ")
    }

    /// Checks the settings.
    pub(super) fn check_settings(&self, own: &dyn UpdateRule<F>) -> NnResult<()> {
        if self.has_nested_settings {
            return Err(NnError::argument(
                "`settings` of `Descent::group`",
                "an optimiser with a rule and a learning rate",
                "one with groups, clipping, accumulation or an average",
                "give these to the optimiser of the group",
            ));
        }
        if self.accumulated == 0 {
            return Err(NnError::argument(
                "`minibatches` of `Descent::accumulate`",
                "at least 1",
                "0",
                "omit the accumulation to update with each minibatch",
            ));
        }
        for (number, section) in self.list.iter().enumerate() {
            if let Err(problem) = section.rate.check(0.0, false) {
                return Err(NnError::argument(
                    "the learning rate of an optimiser",
                    "a finite number that is not negative",
                    problem,
                    "correct the setting",
                ));
            }
            rule_of(own, &self.rules, number).check()?;
        }
        self.clip.as_ref().map_or(Ok(()), Clip::check)
    }

    /// Checks everything, so that nothing is changed on an error.
    fn check(&mut self, own: &dyn UpdateRule<F>, parameters: &Parameters<F>, gradients: &Gradients<F>) -> NnResult<()> {
        self.check_settings(own)?;
        let Sections { rules, list, division, clip, average, .. } = self;
        division.check(parameters)?;
        for (number, section) in list.iter_mut().enumerate() {
            section.check(rule_of(own, rules, number), parameters)?;
        }
        if let Some(average) = average {
            average.check(parameters)?;
        }
        let bounds_squares = clip.as_ref().is_some_and(Clip::bounds_squares);
        check_usable(parameters, gradients, |name| {
            let section = division.section(name).filter(|_| !parameters.is_frozen(name))?;
            Some(rule_of(own, rules, section).squares_gradients() && !bounds_squares)
        })
    }

    /// See [`Optimizer::step`](crate::Optimizer::step).
    pub(super) fn step(
        &mut self,
        own: &dyn UpdateRule<F>,
        parameters: &mut Parameters<F>,
        gradients: &Gradients<F>,
    ) -> NnResult<()> {
        instantiated!(
            F: fn(&mut Sections<F>, &dyn UpdateRule<F>, &mut Parameters<F>, &Gradients<F>) -> NnResult<()> =
                Sections::step_body
        )(self, own, parameters, gradients)
    }

    fn step_body(
        &mut self,
        own: &dyn UpdateRule<F>,
        parameters: &mut Parameters<F>,
        gradients: &Gradients<F>,
    ) -> NnResult<()> {
        self.check(own, parameters, gradients)?;
        let Sections { rules, list: sections, division, accumulated, clip, average, turns, .. } = self;
        sections.iter_mut().for_each(|section| section.is_due = false);
        turns.clear();
        for name in parameters.names() {
            let trains = !parameters.is_frozen(name) && gradient(gradients, name).is_some();
            let turn = division.section(name).filter(|_| trains);
            if let Some(section) = turn {
                sections[section].is_due = true;
            }
            turns.push(turn);
        }
        if *accumulated > 1 {
            let share = F::from_f64(1.0 / *accumulated as f64);
            for (name, turn) in parameters.names().zip(&*turns) {
                if let (Some(section), Some(gradient)) = (turn, gradient(gradients, name)) {
                    sections[*section].accumulation.add(name, gradient, share);
                }
            }
            for section in sections.iter_mut().filter(|section| section.is_due) {
                section.is_due = section.accumulation.count() >= *accumulated;
            }
            for (name, turn) in parameters.names().zip(turns.iter_mut()) {
                let due =
                    |&section: &usize| sections[section].is_due && sections[section].accumulation.get(name).is_some();
                *turn = division.section(name).filter(|_| !parameters.is_frozen(name)).filter(due);
            }
        }
        if sections.iter().all(|section| !section.is_due) {
            return Ok(());
        }
        if let Some(clip) = clip {
            clip.run(|| {
                let used = parameters.names().zip(&*turns);
                used.filter_map(|(name, turn)| {
                    let mean = turn.as_ref().map(|&section| sections[section].accumulation.get(name))?;
                    mean.or_else(|| gradient(gradients, name))
                })
            })?;
        }
        for (number, section) in sections.iter_mut().enumerate().filter(|(_, section)| section.is_due) {
            section.start(rule_of(own, rules, number))?;
        }
        let mut clipped = 0;
        parameters.update_tensors(
            |number| turns[number].is_some(),
            |number, name, value| {
                let Some(section) = turns[number] else { return Ok(()) };
                let given = match clip {
                    Some(clip) => Some(clip.output(clipped)?),
                    None if *accumulated > 1 => None,
                    None => gradient(gradients, name),
                };
                clipped += 1;
                sections[section].update(rule_of(own, rules, section), name, given, value)
            },
        )?;
        for section in sections.iter_mut().filter(|section| section.is_due) {
            section.steps += 1;
            section.accumulation.finish();
        }
        match average {
            Some(average) => average.update_where(parameters, |name| division.section(name).is_some()),
            None => Ok(()),
        }
    }
}
