//! A recorded step of a loop, from which all further steps are made.

use crate::error::GraphResult;
use crate::graph::Graph;
use crate::graph::node::Bind;
use crate::graph::scan::log::{Event, What};
use crate::graph::scan::step::element;
use std::collections::HashSet;
use std::ops::Range;
use std::rc::Rc;
use stochgrad_tape::{Id, IdMap, Op, SideRecords, Var};
use stochgrad_tensor::Real;

/// A recorded step whose operations can be repeated with other operands.
pub(crate) struct Template<'t, F: Real> {
    events: Vec<Event<'t, F>>,
    /// The operations between the events, in the order of recording. Each list precedes the event of the same number;
    /// the last one follows the last event.
    operations: Vec<Vec<Var<'t, F>>>,
    entering: Vec<Var<'t, F>>,
    leaving: Vec<Var<'t, F>>,
    output: Vec<Var<'t, F>>,
}

/// The state of a graph before a step.
#[derive(Clone, Copy)]
pub(crate) struct TemplateStart {
    position: usize,
    /// What a repetition of operations, nodes and costs would not record again.
    others: [usize; 9],
}

impl<'t, F: Real> Graph<'t, F> {
    pub(crate) fn template_start(&self) -> TemplateStart {
        let state = self.state();
        let SideRecords { plates, sites, branches, reads, requirements } = self.tape().side_records();
        let (nodes, [reads_in_nodes, required_in_nodes]) =
            (state.nodes.len(), state.scans.last().map_or([0; 2], |log| log.in_nodes));
        let others = [
            plates,
            branches,
            reads - reads_in_nodes,
            requirements - required_in_nodes,
            sites - nodes,
            state.addresses.len() - nodes,
            state.qualifications.len(),
            state.open_paths.len(),
            state.outputs.len(),
        ];
        TemplateStart { position: self.tape().len(), others }
    }

    /// The step recorded since `start` as a template; `None` if a repetition of its operations would not record the
    /// same as another call of the body.
    pub(crate) fn template(
        &self,
        start: TemplateStart,
        entering: Vec<Var<'t, F>>,
        leaving: Vec<Var<'t, F>>,
        output: Vec<Var<'t, F>>,
    ) -> Option<Template<'t, F>> {
        let same = self.template_start().others == start.others;
        let (events, holds_loop) =
            self.state_mut().scans.last_mut().map(|log| (log.take(), log.holds_loop)).unwrap_or_default();
        let settled = entering.iter().zip(&leaving).all(|(before, after)| before.plates() == after.plates());
        if !same || !settled || holds_loop {
            return None;
        }
        // Values inside an event are made again by what made them, so nothing else may use them.
        let tape = self.tape();
        let mut hidden: HashSet<Id> = HashSet::new();
        let (mut operations, mut position) = (Vec::new(), start.position);
        let between = |range: Range<usize>, hidden: &HashSet<Id>| {
            let mut found = Vec::new();
            for index in range {
                let var = tape.var_at(index).ok()?;
                let repeats = match var.op()? {
                    Op::Noise { .. } | Op::Draw { .. } | Op::Sample(_) => false,
                    _ => !var.inputs().iter().any(|input| hidden.contains(&input.id())),
                };
                if !repeats {
                    return None;
                }
                if !matches!(var.op()?, Op::Leaf { .. } | Op::Slot(_)) {
                    found.push(var);
                }
            }
            Some(found)
        };
        for event in &events {
            operations.push(between(position..event.range.start, &hidden)?);
            position = event.range.end;
            for index in event.range.clone() {
                let id = tape.var_at(index).ok()?.id();
                if id != event.value.id() {
                    hidden.insert(id);
                }
            }
        }
        operations.push(between(position..tape.len(), &hidden)?);
        if leaving.iter().chain(&output).any(|var| hidden.contains(&var.id())) {
            return None;
        }
        Some(Template { events, operations, entering, leaving, output })
    }
}

impl<'t, F: Real> Template<'t, F> {
    /// Records the step again with other carried values. Returns the values that leave it, and its outputs.
    ///
    /// # Errors
    /// Those of distributions and methods.
    #[expect(clippy::type_complexity, reason = "carried values and outputs")]
    pub(crate) fn repeat(
        &self,
        graph: &Graph<'t, F>,
        entering: &[Var<'t, F>],
        number: usize,
    ) -> GraphResult<(Vec<Var<'t, F>>, Vec<Var<'t, F>>)> {
        let tape = graph.tape();
        let mut ids = IdMap::identity();
        self.entering.iter().zip(entering).for_each(|(from, to)| ids.insert(from.id(), to.id()));
        for (index, operations) in self.operations.iter().enumerate() {
            for &var in operations {
                let again = tape.rerecord(var, &ids);
                if again.id() != var.id() {
                    ids.insert(var.id(), again.id());
                }
            }
            let Some(event) = self.events.get(index) else { break };
            let again = match &event.what {
                What::Number => graph.constant(number as f64),
                What::Part(sequence) => {
                    let sequence = tape.var(ids.get(sequence.id()))?;
                    tape.located(event.at, || element(sequence, number))
                }
                What::Node(node, address) => {
                    tape.check()?;
                    let method = Rc::clone(&graph.state().nodes[*node].method);
                    method.sample_again(graph, Bind { tape, ids: &ids, address, at: event.at })?
                }
                What::CriticValue(address) => {
                    graph.critic_value_at(address, tape.var(ids.get(event.value.id()))?, event.at)?;
                    continue;
                }
                What::Cost(name) => {
                    tape.check()?;
                    graph.cost_at(name, tape.var(ids.get(event.value.id()))?, event.at)?;
                    continue;
                }
            };
            ids.insert(event.value.id(), again.id());
        }
        tape.check()?;
        let find = |vars: &[Var<'t, F>]| vars.iter().map(|var| tape.var(ids.get(var.id()))).collect::<Result<_, _>>();
        Ok((find(&self.leaving)?, find(&self.output)?))
    }
}
