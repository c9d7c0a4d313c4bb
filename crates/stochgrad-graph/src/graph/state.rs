//! The state of a graph: everything that has been recorded on it.

use crate::address::Address;
use crate::evidence::Factor;
use crate::graph::cost::Cost;
use crate::graph::critic_value::CriticValues;
use crate::graph::node::StochasticNode;
use crate::graph::qualification::{OpenPath, Qualification};
use crate::graph::redrawn::RedrawnNoise;
use crate::graph::scan::log::ScanLog;
use crate::graph::schedule::Schedule;
use crate::method::replacements::ReplacedMethods;
use std::collections::HashMap;
use std::panic::Location;
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::{Real, Tensor};

/// Everything that has been recorded on a graph.
pub(crate) struct State<'t, F: Real> {
    pub(crate) parameters: Vec<NamedParameter<'t, F>>,
    pub(crate) nodes: Vec<StochasticNode<'t, F>>,
    pub(crate) costs: Vec<Cost<'t, F>>,
    pub(crate) data: Vec<(String, Var<'t, F>)>,
    pub(crate) schedules: Vec<(Schedule, Var<'t, F>)>,
    /// The named outputs, and where they were recorded.
    pub(crate) outputs: Vec<(String, Var<'t, F>, &'static Location<'static>)>,
    /// The values that inputs get after the step.
    pub(crate) next_values: Vec<(String, Var<'t, F>)>,
    /// The estimates of critics.
    pub(crate) critic_values: CriticValues<'t, F>,
    /// The weights of the joint probability of the enumerated nodes.
    pub(crate) factors: Vec<Factor<'t, F>>,
    /// Where the evidence was first computed.
    pub(crate) evidence: Option<&'static Location<'static>>,
    pub(crate) qualifications: Vec<Qualification<'t, F>>,
    pub(crate) open_paths: Vec<OpenPath>,
    pub(crate) plates: HashMap<String, Plate>,
    /// Plates of data of which this graph holds a shard: the position of its first member, and the number of all members.
    pub(crate) shards: HashMap<String, (usize, usize)>,
    /// The plates that nodes and costs carry, and where they were first used: their reductions are fixed.
    pub(crate) used: HashMap<Plate, &'static Location<'static>>,
    pub(crate) addresses: HashMap<Address, &'static Location<'static>>,
    /// The log-probabilities of all draws, while the joint distribution is recorded.
    pub(crate) log_probs: Vec<Var<'t, F>>,
    /// The methods that are used instead of those of the nodes.
    pub(crate) replaced_methods: ReplacedMethods<F>,
    /// The nodes whose noise differs from that of the same seed elsewhere.
    pub(crate) redrawn_noise: RedrawnNoise,
    /// The loop that is being recorded.
    pub(crate) scans: Vec<ScanLog<'t, F>>,
}

impl<F: Real> State<'_, F> {
    pub(crate) fn new() -> Self {
        State {
            parameters: Vec::new(),
            nodes: Vec::new(),
            costs: Vec::new(),
            data: Vec::new(),
            schedules: Vec::new(),
            outputs: Vec::new(),
            next_values: Vec::new(),
            critic_values: CriticValues::new(),
            factors: Vec::new(),
            evidence: None,
            qualifications: Vec::new(),
            open_paths: Vec::new(),
            plates: HashMap::new(),
            shards: HashMap::new(),
            used: HashMap::new(),
            addresses: HashMap::new(),
            log_probs: Vec::new(),
            replaced_methods: ReplacedMethods::none(),
            redrawn_noise: RedrawnNoise::none(),
            scans: Vec::new(),
        }
    }

    /// Whether a plate was made by the user: several nodes may share it.
    pub(crate) fn is_named(&self, plate: Plate) -> bool {
        self.plates.values().any(|known| *known == plate)
    }

    /// Fixes the reductions of some plates.
    pub(crate) fn use_plates(&mut self, plates: &[Plate], at: &'static Location<'static>) {
        for &plate in plates {
            self.used.entry(plate).or_insert(at);
        }
    }
}

pub(crate) struct NamedParameter<'t, F: Real> {
    pub(crate) name: String,
    pub(crate) var: Var<'t, F>,
    pub(crate) value: Tensor<F>,
    pub(crate) at: &'static Location<'static>,
}
