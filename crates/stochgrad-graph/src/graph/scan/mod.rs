//! Loops whose body is recorded once and repeated.
//!
//! The steps of a loop are ordinary operations on the tape, so that everything that holds for a recording also holds
//! for a loop: credit assignment, replays, guarantees, derivatives of any order and compiled graphs.

pub(crate) mod log;
pub(crate) mod step;
pub(crate) mod steps;
mod template;
pub(crate) mod values;

use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::graph::scan::log::ScanLog;
use crate::graph::scan::step::ScanStep;
use crate::graph::scan::steps::Steps;
use crate::graph::scan::template::Template;
use crate::graph::scan::values::ScanValues;
use std::panic::Location;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

impl<'t, F: Real> Graph<'t, F> {
    /// A loop: calls `body` with the values that are carried from step to step, and records `steps` steps, a number or
    /// [`Steps`]. Returns the values carried out of the last step, and the outputs of all steps, stacked along a new
    /// first event axis.
    ///
    /// Carried values and outputs are a [`Var`], an array, a vector or a tuple of them, or `()`.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> stochgrad_graph::GraphResult<()> {
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let decay = graph.param("decay", 0.5)?;
    /// let inputs = graph.constant([1.0, 2.0, 3.0]);
    /// let (last, all) = graph.scan("time", 3, graph.constant(0.0), |step, level| {
    ///     let level = level * decay + step.of(inputs);
    ///     Ok((level, level))
    /// })?;
    /// assert_eq!(all.value()?.as_slice(), &[1.0, 2.5, 4.25]);
    /// graph.cost("loss", last)?;
    /// assert_eq!(graph.backward()?.get("decay")?.item()?, 2.0 + 2.0 * 0.5);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// * **The body** is called once if the carried values lie on the same plates in all steps. If they do not, as for
    ///   an initial constant that becomes a value on the plate of a batch, it is called until the plates are settled.
    ///   All further steps repeat its operations with other operands, and draw their nodes again by the same methods. A
    ///   body must therefore not depend on host state that it changes itself. It is called for every step if a node
    ///   makes a plate of its own in each step, if it reads values with `value()`, if it uses an environment, or if it
    ///   holds another loop, whose own body is still recorded once for each step of the outer one.
    /// * **Memory.** The backward pass of a compiled graph keeps the values of all steps, or computes them again:
    ///   [`Steps::recomputed`].
    /// * **Nodes** have the address `(name, step)`, and noise of their own in each step. **Costs** of the same name in
    ///   different steps are one cost, the sum over the steps. Credit is assigned step by step: a cost is credited only
    ///   to nodes that it depends on, never to nodes of later steps. Plates that the body makes need to be made outside
    ///   the loop, if all steps should share them.
    /// * **Sequences** are read with [`ScanStep::of`], and the number of the step with [`ScanStep::number`].
    ///
    /// # Errors
    /// For a loop without steps, for more steps than the memory limit of the tape allows, for carried values whose event
    /// shapes change from step to step, and the errors of the body.
    #[track_caller]
    pub fn scan<C, Y>(
        &self,
        name: &str,
        steps: impl Into<Steps>,
        carry: C,
        mut body: impl FnMut(&ScanStep<'_, 't, F>, C) -> GraphResult<(C, Y)>,
    ) -> GraphResult<(C, Y)>
    where
        C: ScanValues<'t, F>,
        Y: ScanValues<'t, F>,
    {
        let at = Location::caller();
        let refused = |problem: String| GraphError::Scan { name: name.into(), problem, at };
        let Steps { count, recomputed } = steps.into();
        if count == 0 {
            return Err(refused("expected at least one step, got 0".into()));
        }
        let outer = self.state().scans.last().is_some_and(|log| log.recomputed);
        self.state_mut().scans.push(ScanLog::new(recomputed || outer));
        let result = self.scanned(name, count, recomputed && !outer, carry, &mut body, &refused, at);
        let mut state = self.state_mut();
        state.scans.pop();
        if let Some(around) = state.scans.last_mut() {
            around.holds_loop = true;
        }
        result
    }

    #[expect(
        clippy::type_complexity,
        clippy::too_many_arguments,
        reason = "what the caller of the loop wrote, and how errors name it"
    )]
    fn scanned<C, Y>(
        &self,
        name: &str,
        steps: usize,
        recomputed: bool,
        carry: C,
        body: &mut dyn FnMut(&ScanStep<'_, 't, F>, C) -> GraphResult<(C, Y)>,
        refused: &dyn Fn(String) -> GraphError,
        at: &'static Location<'static>,
    ) -> GraphResult<(C, Y)>
    where
        C: ScanValues<'t, F>,
        Y: ScanValues<'t, F>,
    {
        let mut carried = carry.vars();
        let mut outputs: Vec<Vec<Var<'t, F>>> = Vec::new();
        let mut template: Option<Template<'t, F>> = None;
        let mut shape_of_output: Option<Y> = None;
        for number in 0..steps {
            let start_of_step = self.tape().len();
            self.begin_scan_step(number, template.is_none());
            // Copies, so that a value that the body also captures is not mistaken for the carried one.
            let entering: Vec<Var<'t, F>> = carried.iter().map(|var| var.reshape(var.shape())).collect();
            let (leaving, output) = match &template {
                Some(template) => template.repeat(self, &entering, number)?,
                None => {
                    let start = self.template_start();
                    let step = ScanStep { graph: self, name, number, steps, depth: self.state().scans.len() - 1 };
                    let (next, output) = body(&step, carry.with(&mut entering.iter().copied()))?;
                    let (leaving, vars) = (next.vars(), output.vars());
                    self.tape().check()?;
                    shape_of_output = Some(output);
                    template = self.template(start, entering.clone(), leaving.clone(), vars.clone());
                    (leaving, vars)
                }
            };
            self.tape().check()?;
            if recomputed {
                self.tape().recompute(start_of_step..self.tape().len());
            }
            let outputs_before = outputs.first().map_or(output.len(), Vec::len);
            let counts = [("carried values", entering.len(), leaving.len()), ("outputs", outputs_before, output.len())];
            for (what, expected, got) in counts {
                if expected != got {
                    return Err(refused(format!("expected {expected} {what} of step {number}, as before, got {got}")));
                }
            }
            for (index, (before, after)) in entering.iter().zip(&leaving).enumerate() {
                if before.shape() != after.shape() {
                    return Err(refused(format!(
                        "expected event shape {} for carried value {index} after step {number}, as before it, got {}; \
                         give the initial value this shape",
                        before.shape(),
                        after.shape()
                    )));
                }
            }
            carried = leaving;
            outputs.push(output);
            // The second step records what all later ones do.
            if number == 1 {
                self.tape().located(at, || self.tape().check_repetitions(start_of_step, steps - 2))?;
            }
        }
        let stacked = (0..outputs[0].len())
            .map(|index| Var::stack(&outputs.iter().map(|output| output[index]).collect::<Vec<_>>()))
            .collect::<Result<Vec<_>, _>>()?;
        self.tape().check()?;
        let output = shape_of_output.map(|output| output.with(&mut stacked.into_iter()));
        let output = output.ok_or_else(|| refused("expected at least one step, got 0".into()))?;
        Ok((carry.with(&mut carried.into_iter()), output))
    }
}
