//! A value that the model records as a baseline: the cost of a greedy decision in all steps of a sequence, for example,
//! or the output of a network of your own.
//!
//! For sequences, it is the baseline of self-critical sequence training (Rennie, Marcheret, Mroueh, Ross and Goel 2017),
//! $b = f(\hat x)$ with the greedily decoded $\hat x$. In contrast to [`SelfCritical`](super::SelfCritical), which puts
//! the mode in place of the sample of one node and keeps the noise of all others, the whole sequence is decoded greedily,
//! once for all nodes.
//!
//! The value is recorded before the method is made, and the node is sampled by the method. It therefore cannot depend on
//! the sample, and the gradient is unbiased at every order.

use super::{Baseline, Baselines, Memory};
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, GraphResult};
use stochgrad_tape::{Id, Var};
use stochgrad_tensor::Real;

/// A value that was recorded before the node. It is subtracted from the total cost of the node.
///
/// ```
/// use stochgrad_estimators::{RecordedBaseline, ScoreFunction};
/// use stochgrad_graph::{Graph, Seed, SequenceModel};
/// use stochgrad_tape::{Tape, Var};
///
/// # fn main() -> stochgrad_graph::GraphResult<()> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0, 0.5])?;
/// let model = SequenceModel::new(5, (), graph.constant(0.0), |(), _| Ok(((), logits)));
/// fn cost<'t>(tokens: Var<'t, f64>) -> Var<'t, f64> {
///     (tokens.sum() - 3.0).square()
/// }
///
/// // Self-critical sequence training: the baseline is the cost of the greedy sequence.
/// let greedy = model.greedy(&graph, "greedy")?;
/// let method = ScoreFunction::new().baseline(RecordedBaseline::new(cost(greedy.tokens)));
/// let sampled = model.sample(&graph, "token", &method)?;
/// graph.cost("loss", cost(sampled.tokens))?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedBaseline {
    value: Id,
    by_step: bool,
}

impl RecordedBaseline {
    /// The same value for all nodes of the method, on any plates of their costs.
    pub fn new<F: Real>(value: Var<'_, F>) -> Self {
        RecordedBaseline { value: value.id(), by_step: false }
    }

    /// A value for each step of a [scan](stochgrad_graph::Graph::scan), along the first event axis: the node of step
    /// $t$ gets the element $t$. For costs in each step, this is the sum of those of a greedy sequence from step $t$ on.
    pub fn of_steps<F: Real>(values: Var<'_, F>) -> Self {
        RecordedBaseline { value: values.id(), by_step: true }
    }
}

impl Memory for RecordedBaseline {
    fn name(&self) -> Option<String> {
        Some("recorded baseline".into())
    }
}

impl<F: Real> Baseline<F> for RecordedBaseline {
    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        _distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let recorded = context.tape().var(self.value)?;
        let shape = recorded.shape();
        let value = match (self.by_step, context.address().index()) {
            (false, _) if shape.is_empty() => recorded,
            (true, Some(step)) if shape.len() == 1 && (step as usize) < shape[0] => recorded.index(0, step as usize),
            (false, _) => {
                let problem = format!(
                    "expected a recorded baseline without event axes, got event shape {shape}; reduce it, or use \
                     RecordedBaseline::of_steps for one value for each step"
                );
                return Err(context.refused(problem));
            }
            (true, step) => {
                let step = step.map_or("none".into(), |step| step.to_string());
                let problem = format!(
                    "expected a recorded baseline of event shape [steps] with an element for step {step}, got event \
                     shape {shape}"
                );
                return Err(context.refused(problem));
            }
        };
        // Of several totals, the one whose members are told apart by most plates. Plates that it lacks are averaged.
        let Some(total) = context.totals()?.into_iter().min_by_key(|cost| cost.joint.len()) else {
            return Ok(Baselines::default());
        };
        let carried = total.value.plates();
        let others = value.plates().into_iter().filter(|plate| !carried.contains(plate));
        let value = others.fold(value.stop_gradient(), |value, plate| value.mean_over(plate));
        Ok(Baselines::new([(total, value)]))
    }
}
