//! The user's model of the values of actions, for doubly robust estimates.

use crate::off_policy::logged_action::{check_scalar, error};
use std::panic::Location;
use stochgrad_distributions::FiniteSupport;
use stochgrad_graph::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// The largest number of actions over which an expectation is taken.
const MOST_ACTIONS: u128 = 4096;

/// What a model says about one decision: the value $\hat q(s, a)$ of the logged action, and the expected value
/// $\hat v(s) = \mathbb E_{a \sim \pi}\, \hat q(s, a)$ under the target policy.
///
/// The model may be wrong: it changes the variance of the estimate and not its mean, as long as it was not fitted to the
/// same samples (use another part of the log, or cross-fitting). In a trajectory, $\hat q$ is the expected sum of the
/// rewards from this step on.
#[derive(Clone, Copy, Debug)]
pub struct ActionValueModel<'t, F: Real> {
    pub(crate) chosen: Var<'t, F>,
    pub(crate) expected: Var<'t, F>,
}

impl<'t, F: Real> ActionValueModel<'t, F> {
    /// The two values themselves, for policies whose expectation has a closed form. `expected` must be the expectation
    /// of the same model under the target policy, and differentiable with respect to the parameters of the policy: a
    /// constant would bias the gradient.
    pub fn new(chosen: Var<'t, F>, expected: Var<'t, F>) -> Self {
        ActionValueModel { chosen, expected }
    }

    /// A value for each action of a policy with finitely many actions: event shape `[actions]`, in the order of
    /// [`element_support`](FiniteSupport::element_support), which is `0, 1, …` for categories and bits. The values are
    /// detached, since the estimate has the same mean for every model; train the model with a cost of its own.
    ///
    /// ```
    /// use stochgrad_distributions::Categorical;
    /// use stochgrad_estimators::{ActionValueModel, LoggedAction, LoggedData};
    /// use stochgrad_graph::{Graph, GraphError, Seed};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), GraphError> {
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let policy = Categorical::from_logits(graph.param("logits", [0.2, -0.1, 0.4])?);
    /// let actions = graph.data_named("actions", "log", [0.0, 2.0, 1.0, 2.0])?;
    /// let propensities = graph.data_named("propensities", "log", [0.5, 0.3, 0.2, 0.3])?;
    /// let rewards = graph.data_named("rewards", "log", [1.0, 0.0, 0.0, 1.0])?;
    /// let model = ActionValueModel::of_each(&policy, actions, graph.constant([0.9, 0.1, 0.4]))?;
    /// let decision = LoggedAction::new(&policy, actions, propensities).reward(rewards).model(model);
    /// graph.cost("loss", -LoggedData::new(&graph, [decision])?.doubly_robust()?)?;
    /// println!("{:?}", graph.backward()?.get("logits")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// For values of another shape, for more than 4096 actions, for a policy with several elements, whose actions are
    /// combinations (use [`from_function`](Self::from_function) with a policy over the combinations, or
    /// [`new`](Self::new)), and for earlier errors on the tape.
    #[track_caller]
    pub fn of_each(policy: &impl FiniteSupport<'t, F>, action: Var<'t, F>, values: Var<'t, F>) -> GraphResult<Self> {
        let at = Location::caller();
        let (states, probabilities) = finite_policy(policy, at)?;
        let count = probabilities.shape()[0];
        if values.shape()[..] != [count] {
            return Err(error(
                at,
                format!("expected a value for each action, event shape [{count}], got {}", values.shape()),
            ));
        }
        let values = values.stop_gradient();
        let rank = policy.element_rank();
        let agrees = states.equal(action.unsqueeze(0)).sum_last(rank);
        let elements: usize = policy.event_shape().iter().product();
        let is_chosen = agrees.equal(action.tape().constant(elements as f64));
        let model = ActionValueModel { chosen: (is_chosen * values).sum(), expected: (probabilities * values).sum() };
        action.tape().check()?;
        Ok(model)
    }

    /// A function of the action, for a policy with finitely many actions: it is called for the logged action and for
    /// each possible one. Its results are detached, as in [`of_each`](Self::of_each).
    ///
    /// # Errors
    /// As [`of_each`](Self::of_each), for results with event axes, and those of the function.
    #[track_caller]
    pub fn from_function(
        policy: &impl FiniteSupport<'t, F>,
        action: Var<'t, F>,
        mut value: impl FnMut(Var<'t, F>) -> GraphResult<Var<'t, F>>,
    ) -> GraphResult<Self> {
        let at = Location::caller();
        let (states, probabilities) = finite_policy(policy, at)?;
        let chosen = value(action)?.stop_gradient();
        check_scalar(action.tape(), "the value of an action", chosen, &chosen.plates(), at)?;
        let mut expected = action.tape().constant(0.0);
        for state in 0..probabilities.shape()[0] {
            let value = value(states.index(0, state))?.stop_gradient();
            check_scalar(action.tape(), "the value of an action", value, &value.plates(), at)?;
            expected = expected + probabilities.index(0, state) * value;
        }
        action.tape().check()?;
        Ok(ActionValueModel { chosen, expected })
    }

    /// The same model with zeros for the members whose episode has ended.
    pub(crate) fn while_running(self, running: Option<Var<'t, F>>) -> Self {
        let Some(running) = running else { return self };
        let zero = running.tape().constant(0.0);
        ActionValueModel { chosen: running.select(self.chosen, zero), expected: running.select(self.expected, zero) }
    }
}

/// The actions of a policy along a first event axis, and their probabilities.
fn finite_policy<'t, F: Real>(
    policy: &impl FiniteSupport<'t, F>,
    at: &'static Location<'static>,
) -> GraphResult<(Var<'t, F>, Var<'t, F>)> {
    let tape = policy.tape()?;
    tape.check()?;
    if policy.event_shape().len() != policy.element_rank() {
        return Err(error(
            at,
            format!(
                "expected a policy that chooses one action, got event shape {} of {}, whose actions are combinations of \
                 elements; use ActionValueModel::new with the expectation of the model",
                policy.event_shape(),
                policy.name()
            ),
        ));
    }
    let states = policy.states()?;
    if states > MOST_ACTIONS {
        return Err(error(
            at,
            format!(
                "expected at most {MOST_ACTIONS} actions, got {states}; use ActionValueModel::new with an expectation in \
                 closed form"
            ),
        ));
    }
    let states = tape.constant(policy.element_support()?);
    let probabilities = policy.probability_each(states);
    tape.check()?;
    Ok((states, probabilities))
}
