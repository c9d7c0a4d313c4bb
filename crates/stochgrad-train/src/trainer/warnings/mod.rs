//! The warnings of a run, and what it measures for them.

mod settling;
mod signal;
mod small_cost;

pub(super) use small_cost::CostLimit;

use stochgrad_graph::NodeMethod;
use stochgrad_nn::{Checkpoint, NnResult};

use super::means::{load_rows, save_rows};
use crate::error::TrainResult;
use crate::spread::Spread;
use crate::warning::{Warning, WarningKind};
pub(super) use settling::INTERVAL as LOOK;
use settling::Settling;
use signal::Signal;
use small_cost::Sum;

/// The warnings so far, and the measurements that are under way.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Warnings {
    given: Vec<Warning>,
    signals: Vec<(String, Signal)>,
    costs: Vec<(String, Sum)>,
    settling: Settling,
}

const GIVEN: &str = "run/warnings";
const SIGNALS: &str = "run/signals";
const COSTS: &str = "run/cost_limits";

impl Warnings {
    /// All warnings, in the order of the steps.
    pub(super) fn given(&self) -> &[Warning] {
        &self.given
    }

    /// Adds an estimate of the gradient at a node before a step. Returns a new warning.
    pub(super) fn observe_gradient(&mut self, node: &str, spread: &Spread, step: u64) -> Option<Warning> {
        if self.has(WarningKind::WeakSignal, node) {
            return None;
        }
        let signal = entry(&mut self.signals, node, || Signal::new(step));
        let warning = signal.observe(node, spread, step)?;
        self.give(warning)
    }

    /// Adds a cost of a step. Returns a new warning.
    pub(super) fn observe_cost(&mut self, limit: &CostLimit, value: f64, completed_steps: u64) -> Option<Warning> {
        if self.has(WarningKind::SmallCost, &limit.cost) {
            return None;
        }
        let sum = entry(&mut self.costs, &limit.cost, Sum::default);
        let warning = sum.observe(limit, value, completed_steps)?;
        self.give(warning)
    }

    /// Whether [`observe_methods`](Self::observe_methods) reads what the methods have learned, after this number of
    /// steps.
    pub(super) fn look_at_methods(completed_steps: u64, methods: &[NodeMethod]) -> bool {
        completed_steps.is_multiple_of(LOOK) && methods.iter().any(|method| !method.slots.learned().is_empty())
    }

    /// Adds the total cost of a step, and looks at what the gradient methods learn. Returns new warnings.
    pub(super) fn observe_methods(&mut self, total: f64, completed_steps: u64, methods: &[NodeMethod]) -> Vec<Warning> {
        let mut warnings = self.settling.observe(total, completed_steps, methods);
        warnings.retain(|warning| !self.has(warning.kind, &warning.subject));
        self.given.extend_from_slice(&warnings);
        warnings
    }

    fn has(&self, kind: WarningKind, subject: &str) -> bool {
        self.given.iter().any(|given| given.kind == kind && given.subject == subject)
    }

    fn give(&mut self, warning: Warning) -> Option<Warning> {
        self.given.push(warning.clone());
        Some(warning)
    }

    pub(super) fn save(&self, checkpoint: &mut Checkpoint) -> NnResult<()> {
        for kind in WarningKind::ALL {
            let given = self.given.iter().filter(|warning| warning.kind == kind);
            let rows = given.map(|warning| {
                let Warning { step, steps, value, limit, .. } = *warning;
                (warning.subject.as_str(), [step as f64, steps as f64, value, limit])
            });
            save_rows(checkpoint, &prefix(kind), rows)?;
        }
        save_rows(checkpoint, SIGNALS, self.signals.iter().map(|(node, signal)| (node.as_str(), signal.row())))?;
        save_rows(checkpoint, COSTS, self.costs.iter().map(|(cost, sum)| (cost.as_str(), sum.row())))?;
        self.settling.save(checkpoint)
    }

    pub(super) fn load(checkpoint: &Checkpoint) -> TrainResult<Self> {
        let mut given = Vec::new();
        for kind in WarningKind::ALL {
            let rows: Vec<(String, [f64; 4])> = load_rows(checkpoint, &prefix(kind))?;
            given.extend(rows.into_iter().map(|(subject, [step, steps, value, limit])| {
                let (step, steps) = (step as u64, steps as u64);
                Warning { kind, subject, step, steps, value, limit }
            }));
        }
        given.sort_by_key(|warning| warning.step);
        let signals = load_rows(checkpoint, SIGNALS)?.into_iter().map(|(node, row)| (node, Signal::from_row(row)));
        let costs = load_rows(checkpoint, COSTS)?.into_iter().map(|(cost, row)| (cost, Sum::from_row(row)));
        let settling = Settling::load(checkpoint)?;
        Ok(Warnings { given, signals: signals.collect(), costs: costs.collect(), settling })
    }
}

fn prefix(kind: WarningKind) -> String {
    format!("{GIVEN}/{}", kind.section())
}

/// The entry of a name, which is made if there is none.
fn entry<'e, T>(entries: &'e mut Vec<(String, T)>, name: &str, make: impl FnOnce() -> T) -> &'e mut T {
    let index = entries.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
        entries.push((name.into(), make()));
        entries.len() - 1
    });
    &mut entries[index].1
}

#[cfg(test)]
mod tests {
    use stochgrad_tensor::Tensor;

    use super::*;

    #[test]
    fn each_warning_is_given_once_and_the_checkpoint_keeps_them() {
        let limit = CostLimit { cost: "kl".into(), below: 0.1, steps: 4 };
        let mut spread = Spread::default();
        for sign in [1.0, -1.0] {
            spread.add([&Tensor::from(vec![sign; 20_000])].into_iter());
        }
        let (mut warnings, mut given) = (Warnings::default(), Vec::new());
        for step in 0..400 {
            given.extend(warnings.observe_cost(&limit, if step < 8 { 0.3 } else { 0.0 }, step + 1));
            if step % 20 == 0 {
                given.extend(warnings.observe_gradient("z", &spread, step));
            }
            let mut checkpoint = Checkpoint::new();
            warnings.save(&mut checkpoint).unwrap();
            assert_eq!(Warnings::load(&checkpoint).unwrap(), warnings);
        }
        let found: Vec<_> = given.iter().map(|warning| (warning.kind, warning.step, warning.steps)).collect();
        assert_eq!(found, [(WarningKind::SmallCost, 12, 4), (WarningKind::WeakSignal, 100, 100)]);
        assert_eq!(warnings.given(), given);
    }
}
