//! The fit of a critic: a loss that is minimised at the samples, beside the costs.
//!
//! $$g_\psi = \nabla_\psi\, \tfrac12 \big(V_\psi(s) - \operatorname{stop}(R)\big)^2$$
//!
//! The loss is no cost: the samples that it was computed from are constants, and no node is credited with it. It is
//! recorded as a cost whose value is 0 and whose derivatives are those of the loss.
//!
//! A critic that shares layers with the model changes their gradient, which is then that of the costs *plus* the loss. By
//! default, this is refused: a loss must have parameters of its own. [`CriticFit::shared`] permits it, and the guarantee
//! of the shared parameters then states the bias.

use crate::objectives::held::{all_samples, rerecord};
use std::collections::BTreeSet;
use std::collections::HashSet;
use std::panic::Location;
use stochgrad_graph::{Bias, Graph, GraphError, GraphResult, Guarantee, Order};
use stochgrad_tape::{Id, Op, Smoothness, Var};
use stochgrad_tensor::Real;

/// Fits a critic together with the model.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{CriticFit, ScoreFunction, StateValue};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let states = graph.data("states", [0.5, -1.0])?;
/// let policy = Bernoulli::from_logits(states * graph.param("slope", 0.3)?);
/// let action = graph.sample("action", &policy, &ScoreFunction::new().baseline(StateValue::new("value")))?;
/// let cost = (action - states).square();
/// graph.cost("cost", cost)?;
///
/// let value = states * graph.param("critic", 0.1)?;
/// graph.set_critic_value("value", value)?;
/// CriticFit::new().record(&graph, "fit", 0.5 * (value - cost.held()).square())?;
/// let gradients = graph.backward()?;
/// assert_ne!(gradients.get("critic")?.item()?, 0.0);
/// assert_eq!(gradients.guarantee("slope")?.to_string(), "unbiased, valid at every order");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CriticFit {
    shared: bool,
}

impl CriticFit {
    /// A critic that has parameters of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Permits that the loss has a gradient with respect to parameters of the distributions that the samples were drawn
    /// from: layers that the critic shares with a policy. A factor of the loss decides on its influence.
    pub fn shared(self) -> Self {
        CriticFit { shared: true }
    }

    /// Records the loss, one number for each member of the plates that it carries, under a name of its own. Detach the
    /// target, as [`Trajectory`](crate::Trajectory) does; leave the plates in the loss.
    ///
    /// The guarantee of the parameters of the loss says that their gradient is not only that of the costs.
    ///
    /// # Errors
    /// If the loss shares parameters with the samples and [`shared`](Self::shared) was not called, and those of
    /// [`Graph::cost`].
    #[track_caller]
    pub fn record<'t, F: Real>(&self, graph: &Graph<'t, F>, name: &str, loss: Var<'t, F>) -> GraphResult<()> {
        let at = Location::caller();
        graph.tape().check()?;
        if graph.records_joint_distribution() {
            return graph.cost(name, graph.constant(0.0));
        }
        let fixed = hold_paths(loss);
        let trained = trained_leaves(&[fixed]);
        if !self.shared {
            let samples = all_samples(loss);
            let parameters: Vec<Var<'t, F>> = samples.iter().flat_map(|sample| sample.inputs()).collect();
            if let Some(leaf) = trained.intersection(&trained_leaves(&parameters)).next() {
                let known = graph.parameters().into_iter().find(|(_, var)| var.id() == *leaf);
                let known = known.map_or(String::new(), |(name, _)| format!(" \"{name}\""));
                let problem = format!(
                    "the loss has a gradient with respect to parameter{known}, on which the samples depend; stop the \
                     gradient of what the critic reads, or use CriticFit::new().shared() if the layers are shared on \
                     purpose"
                );
                return Err(GraphError::Objective { name: name.into(), problem, at });
            }
        }
        graph.cost(name, fixed - fixed.held())?;
        graph.qualify(
            &[fixed],
            Guarantee { bias: Bias::Gradient, order: Order::Finite(1) },
            format!("the loss \"{name}\" is fitted at the samples, and its gradient is added to that of the costs"),
        );
        Ok(())
    }
}

/// The inputs to which derivatives flow from a value.
fn differentiable_inputs<'t, F: Real>(var: Var<'t, F>) -> impl Iterator<Item = Var<'t, F>> {
    let tape = var.tape();
    var.inputs().into_iter().enumerate().filter_map(move |(input, operand)| {
        matches!(tape.smoothness(var, input), Smoothness::Smooth | Smoothness::Kinked).then_some(operand)
    })
}

/// The value with the samples held constant to which derivatives flow from it.
fn hold_paths<F: Real>(value: Var<'_, F>) -> Var<'_, F> {
    let (mut pending, mut along) = (vec![value], HashSet::new());
    let mut samples = false;
    while let Some(var) = pending.pop() {
        if along.insert(var.id()) {
            let is_sample = matches!(var.op(), Some(Op::Sample(_)));
            samples |= is_sample;
            if !is_sample {
                pending.extend(differentiable_inputs(var));
            }
        }
    }
    if !samples {
        return value;
    }
    rerecord(value, &mut |var| match var.op() {
        Some(Op::Sample(_)) => Some(var.held()),
        Some(_) if along.contains(&var.id()) && !var.inputs().is_empty() => None,
        _ => Some(var),
    })
}

/// The trainable leaves to which derivatives flow from some values, with those of the distributions of samples on the
/// way.
fn trained_leaves<F: Real>(values: &[Var<'_, F>]) -> BTreeSet<Id> {
    let (mut pending, mut seen, mut leaves) = (values.to_vec(), HashSet::new(), BTreeSet::new());
    while let Some(var) = pending.pop() {
        if !seen.insert(var.id()) {
            continue;
        }
        match var.op() {
            Some(Op::Leaf { trainable: true }) => {
                leaves.insert(var.id());
            }
            Some(Op::Sample(_)) => pending.extend(var.inputs()),
            Some(_) => pending.extend(differentiable_inputs(var)),
            None => {}
        }
    }
    leaves
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pathwise, ScoreFunction, StateValue};
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{Bernoulli, Normal};
    use stochgrad_graph::Seed;
    use stochgrad_tape::Tape;

    /// Two bits in a chain with a critic of each, whose parameter is its own or that of the policy.
    fn chain(graph: &Graph<'_, f64>, shared: Option<CriticFit>) -> GraphResult<()> {
        let (t, u) = (graph.param("t", 0.4)?, graph.param("u", 0.7)?);
        let method = ScoreFunction::new().baseline(StateValue::new("value"));
        let (mut state, mut losses) = (graph.constant(0.3), Vec::new());
        for step in 0..2 {
            let value = state * u * if shared.is_some() { t } else { graph.constant(1.0) };
            graph.set_critic_value(("value", step), value)?;
            let bit = graph.sample(("bit", step), &Bernoulli::from_logits(state * t), &method)?;
            state = state + bit;
            graph.cost(&format!("cost {step}"), (state - 0.8).square())?;
            losses.push((value - state.held()).square());
        }
        shared.unwrap_or_default().record(graph, "fit", losses[0] + losses[1])
    }

    #[test]
    fn a_critic_of_its_own_leaves_the_policy_exact() {
        let moments = Oracle::new().gradient(|graph: &Graph<'_, f64>| chain(graph, None)).unwrap();
        let exact = Oracle::new().exact_gradient(|graph: &Graph<'_, f64>| chain(graph, None)).unwrap();
        let exact = exact.iter().find(|(name, _)| name == "t").unwrap().1.item().unwrap();
        assert!((moments.mean("t").unwrap().item().unwrap() - exact).abs() < 1e-12);
        assert!(moments.mean("u").unwrap().item().unwrap().abs() > 0.1, "the critic is fitted");

        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(2));
        chain(&graph, None).unwrap();
        let gradients = graph.backward().unwrap();
        assert_eq!(gradients.guarantee("t").unwrap(), Guarantee::EXACT);
        assert_eq!(gradients.guarantee("u").unwrap(), Guarantee { bias: Bias::Gradient, order: Order::Finite(1) });
    }

    #[test]
    fn shared_parameters_must_be_shared_on_purpose() {
        let record = |fit: CriticFit| {
            let tape = Tape::new();
            let graph = Graph::new(&tape, Seed::new(2));
            chain(&graph, Some(fit))?;
            graph.backward().map(|gradients| gradients.guarantee("t").unwrap().bias)
        };
        let message = record(CriticFit::new()).unwrap_err().to_string();
        assert!(message.contains("parameter \"t\"") && message.contains(".shared()"), "{message}");
        assert_eq!(record(CriticFit::new().shared()).unwrap(), Bias::Gradient);
    }

    /// The gradient of the fit at the samples, computed by hand, is all that is added.
    #[test]
    fn the_gradient_is_that_of_the_loss_at_the_samples() {
        let gradients = |fit: bool| {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(5));
            let (mean, weight) = (graph.param("mean", 0.4).unwrap(), graph.param("weight", 0.7).unwrap());
            let x = graph.sample("x", &Normal::new(mean, 1.0), &Pathwise::new()).unwrap();
            graph.cost("cost", (x - 2.0).square()).unwrap();
            let sample = x.peek().unwrap().item().unwrap();
            if fit {
                // The loss is smooth in a sample with a path, which must not lead to the mean.
                CriticFit::new().record(&graph, "fit", (weight * x - 1.0).square()).unwrap();
            }
            let gradients = graph.backward().unwrap();
            let of = |name: &str| gradients.get(name).unwrap().item().unwrap();
            (of("mean"), of("weight"), 2.0 * (0.7 * sample - 1.0) * sample, gradients.guarantee("mean").unwrap())
        };
        let (plain, fitted) = (gradients(false), gradients(true));
        assert_eq!((plain.0, plain.1), (fitted.0, 0.0));
        assert!((fitted.1 - fitted.2).abs() < 1e-12);
        assert_eq!(fitted.3, plain.3);
    }
}
