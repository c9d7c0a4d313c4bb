//! What a selection leaves to the next one of the same training run.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use stochgrad_tensor::Real;

use crate::arm::Ready;
use crate::select::Selection;

/// The number of selections for which a program is kept that none of them uses.
const LASTS: u64 = 8;
/// The number of selections that a method sits out if it was far from the best one: worse by this factor for certain.
const SITS_OUT: u32 = 3;
const FAR: f64 = 2.0;
/// The repetitions of a method in a later selection, for the estimate of its time.
const EXPECTED: f64 = 64.0;

/// What a selection leaves to the next one: the methods in use, how far the others were behind, and compiled programs.
pub(crate) struct Kept<'m, F: Real> {
    /// The code of the method of each node that was chosen before.
    chosen: RefCell<BTreeMap<String, String>>,
    /// By node and code.
    standings: RefCell<BTreeMap<(String, String), Standing>>,
    /// The programs of combinations of methods, and the number of the selection that used them last.
    programs: RefCell<BTreeMap<String, (Ready<'m, F>, u64)>>,
    selections: Cell<u64>,
}

/// How a method stands.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// The number of selections that it still sits out.
    rest: u32,
    /// The time of a gradient in seconds.
    time: f64,
}

impl<'m, F: Real> Kept<'m, F> {
    pub(crate) fn new() -> Self {
        Kept {
            chosen: RefCell::default(),
            standings: RefCell::default(),
            programs: RefCell::default(),
            selections: Cell::default(),
        }
    }

    /// The code of the method that the node uses.
    pub(crate) fn in_use(&self, node: &str) -> Option<String> {
        self.chosen.borrow().get(node).cloned()
    }

    /// Whether a method of a node sits this selection out.
    pub(crate) fn sits_out(&self, node: &str, method: &str) -> bool {
        let standings = self.standings.borrow();
        standings.get(&(node.to_owned(), method.to_owned())).is_some_and(|standing| standing.rest > 0)
    }

    /// The program of a combination of methods, if there is one.
    pub(crate) fn take(&self, combination: &str) -> Option<Ready<'m, F>> {
        self.programs.borrow_mut().remove(combination).map(|(program, _)| program)
    }

    /// Keeps a program.
    pub(crate) fn put(&self, combination: String, program: Ready<'m, F>) {
        self.programs.borrow_mut().insert(combination, (program, self.selections.get()));
    }

    /// Ends a selection.
    pub(crate) fn end(&self, selection: &Selection<F>) {
        let number = self.selections.get() + 1;
        self.selections.set(number);
        self.programs.borrow_mut().retain(|_, (_, used)| number < *used + LASTS);
        let mut standings = self.standings.borrow_mut();
        for race in &selection.nodes {
            self.chosen.borrow_mut().insert(race.node.clone(), race.label().to_owned());
            let best = race.methods[race.chosen].score.map_or(f64::INFINITY, |score| score.high);
            for racer in &race.methods {
                let standing = standings.entry((race.node.clone(), racer.label.clone())).or_default();
                match (racer.score, racer.time) {
                    (Some(score), Some(time)) => {
                        *standing = Standing { rest: if score.low > FAR * best { SITS_OUT } else { 0 }, time };
                    }
                    _ => standing.rest = standing.rest.saturating_sub(1),
                }
            }
        }
    }

    /// An estimate of the time of the next selection, in which each node is varied once.
    pub(crate) fn next_time(&self) -> Duration {
        let standings = self.standings.borrow();
        let times = standings.values().filter(|standing| standing.rest == 0).map(|standing| EXPECTED * standing.time);
        Duration::try_from_secs_f64(times.sum()).unwrap_or_default()
    }
}
