//! What the body of a loop records besides plain operations.

use crate::address::Address;
use std::collections::HashMap;
use std::ops::Range;
use std::panic::Location;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// Something that a step records, with the positions that it takes on the tape.
pub(crate) struct Event<'t, F: Real> {
    pub(crate) range: Range<usize>,
    /// The recorded value; for a cost, the value that was passed.
    pub(crate) value: Var<'t, F>,
    pub(crate) what: What<'t, F>,
    pub(crate) at: &'static Location<'static>,
}

pub(crate) enum What<'t, F: Real> {
    /// The node with this number, and its address as the body gave it.
    Node(usize, Address),
    /// A cost of this name.
    Cost(String),
    /// A critic value of this address, as the body gave it.
    CriticValue(Address),
    /// The part of a sequence.
    Part(Var<'t, F>),
    /// The number of the step.
    Number,
}

/// A loop that is being recorded.
pub(crate) struct ScanLog<'t, F: Real> {
    step: usize,
    /// Whether compiled graphs compute the step again, as a part of this loop or of one around it.
    pub(crate) recomputed: bool,
    /// Whether a loop inside the step was recorded.
    pub(crate) holds_loop: bool,
    /// Whether the body is running; otherwise its operations are repeated.
    pub(crate) listens: bool,
    events: Vec<Event<'t, F>>,
    /// The reads of host code and the requirements inside the nodes of the step, which draw again in each step.
    pub(crate) in_nodes: [usize; 2],
    /// The costs that the loop has recorded, and the last step of each.
    costs: HashMap<String, usize>,
}

impl<'t, F: Real> ScanLog<'t, F> {
    pub(crate) fn new(recomputed: bool) -> Self {
        ScanLog {
            step: 0,
            recomputed,
            holds_loop: false,
            listens: true,
            events: Vec::new(),
            in_nodes: [0; 2],
            costs: HashMap::new(),
        }
    }

    pub(crate) fn step(&self) -> usize {
        self.step
    }

    pub(crate) fn begin(&mut self, step: usize, listens: bool) {
        (self.step, self.listens) = (step, listens);
        self.holds_loop = false;
        self.events.clear();
        self.in_nodes = [0; 2];
    }

    pub(crate) fn take(&mut self) -> Vec<Event<'t, F>> {
        std::mem::take(&mut self.events)
    }

    /// Notes a cost of this step. Returns whether an earlier step of the loop has recorded the same cost.
    pub(crate) fn continues(&mut self, cost: &str) -> bool {
        match self.costs.get_mut(cost) {
            Some(last) if *last < self.step => {
                *last = self.step;
                true
            }
            Some(_) => false,
            None => {
                self.costs.insert(cost.into(), self.step);
                false
            }
        }
    }

    pub(crate) fn add(
        &mut self,
        range: Range<usize>,
        value: Var<'t, F>,
        what: What<'t, F>,
        at: &'static Location<'static>,
    ) {
        self.events.push(Event { range, value, what, at });
    }
}
