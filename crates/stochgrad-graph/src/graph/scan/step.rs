//! One step of a loop, and what it notes of itself while the body is running.

use crate::address::Address;
use crate::graph::Graph;
use crate::graph::scan::log::{ScanLog, What};
use std::panic::Location;
use stochgrad_tape::{SideRecords, TapeError, Var};
use stochgrad_tensor::{Real, Shape};

/// One step of a loop, as the body of [`Graph::scan`] gets it. The body does not know the number of the step as a host
/// value, since it is recorded once for all steps. What depends on the step is recorded by these methods.
pub struct ScanStep<'a, 't, F: Real> {
    pub(crate) graph: &'a Graph<'t, F>,
    pub(crate) name: &'a str,
    pub(crate) number: usize,
    pub(crate) steps: usize,
    /// The number of loops around the loop.
    pub(crate) depth: usize,
}

impl<'t, F: Real> ScanStep<'_, 't, F> {
    /// The number of the step, from 0, as a scalar without a gradient.
    #[track_caller]
    pub fn number(&self) -> Var<'t, F> {
        let (start, at) = (self.graph.tape().len(), Location::caller());
        let number = self.graph.constant(self.number as f64);
        self.note(|log, end| log.add(start..end, number, What::Number, at));
        number
    }

    /// The part of a sequence that belongs to this step: the element at the number of the step along the first event
    /// axis, which is removed. The axis must have as many elements as the loop has steps; otherwise the result is
    /// poisoned, and the next fallible call returns the error.
    #[track_caller]
    pub fn of(&self, sequence: Var<'t, F>) -> Var<'t, F> {
        let (tape, at) = (self.graph.tape(), Location::caller());
        let shape = sequence.shape();
        if shape.first() != Some(&self.steps) {
            return tape.fail(TapeError::Operand {
                op: format!("the part of a sequence in scan \"{}\"", self.name),
                problem: format!("expected a first event axis with {} elements, one for each step", self.steps),
                shape,
                plates: tape.plate_names(&sequence.plates()),
                at,
            });
        }
        let start = tape.len();
        let part = tape.located(at, || element(sequence, self.number));
        self.note(|log, end| log.add(start..end, part, What::Part(sequence), at));
        part
    }

    /// Notes what depends on the step. Inside the body of an inner loop, it is the same in all inner steps.
    fn note(&self, note: impl FnOnce(&mut ScanLog<'t, F>, usize)) {
        if self.graph.state().scans.len() == self.depth + 1 {
            self.graph.note_scan(note);
        }
    }
}

/// The element of a sequence along its first event axis.
pub(crate) fn element<F: Real>(sequence: Var<'_, F>, number: usize) -> Var<'_, F> {
    let rest = Shape::from(&sequence.shape()[1..]);
    sequence.slice(0, number..number + 1).reshape(rest)
}

impl<'t, F: Real> Graph<'t, F> {
    /// The address of a node or an environment: inside loops, with the numbers of the steps, the outermost first.
    pub(crate) fn address_in_scan(&self, address: &Address) -> Address {
        let named = address;
        let address = self.state().scans.iter().fold(named.clone(), |address, log| address.at_step(log.step()));
        self.with_noise_of(address, named)
    }

    /// Starts a step of the innermost loop that is being recorded.
    pub(crate) fn begin_scan_step(&self, step: usize, listens: bool) {
        if let Some(log) = self.state_mut().scans.last_mut() {
            log.begin(step, listens);
        }
    }

    /// Notes what the body of the innermost loop has recorded, if it is running. `note` gets the current length of the tape.
    pub(crate) fn note_scan(&self, note: impl FnOnce(&mut ScanLog<'t, F>, usize)) {
        let end = self.tape().len();
        if let Some(log) = self.state_mut().scans.last_mut().filter(|log| log.listens) {
            note(log, end);
        }
    }

    /// Notes the last node, which the body of a loop has sampled. `before` is what the tape held before.
    pub(crate) fn note_node_in_scan(
        &self,
        (start, before): (usize, SideRecords),
        address: &Address,
        value: Var<'t, F>,
        at: &'static Location<'static>,
    ) {
        let (after, number) = (self.tape().side_records(), self.state().nodes.len() - 1);
        self.note_scan(|log, end| {
            log.in_nodes[0] += after.reads - before.reads;
            log.in_nodes[1] += after.requirements - before.requirements;
            log.add(start..end, value, What::Node(number, address.clone()), at);
        });
    }
}
