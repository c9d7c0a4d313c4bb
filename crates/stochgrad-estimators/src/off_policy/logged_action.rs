//! One logged decision: an action, its propensity, and the probability of the action under the target policy.

use crate::expectations::independent_members::{Estimator, qualify};
use crate::objectives::held::direct_samples;
use crate::off_policy::action_value_model::ActionValueModel;
use smallvec::SmallVec;
use std::panic::Location;
use stochgrad_distributions::{Order, ScoreDifferentiable};
use stochgrad_graph::{Bias, Graph, GraphResult, Guarantee, is_differentiable};
use stochgrad_tape::{Condition, Requirement, Smoothness, Tape, Var};
use stochgrad_tensor::{Real, Shape};

/// A probability may exceed 1 by the rounding of its computation.
const MOST: f64 = 1.0 + 1e-6;

/// Logged actions, one for each member of the plates that they carry, seen by a target policy: what
/// [`LoggedData`](crate::LoggedData) is made of.
///
/// The *propensity* is the probability with which the logging policy chose the logged action, given the same context.
/// For actions with a density it is the density. An action of several elements has one propensity: that of all of them
/// together.
///
/// The support of the target policy must not depend on its parameters, since derivatives would be biased otherwise;
/// the compiler checks this.
///
/// ```
/// use stochgrad_distributions::Categorical;
/// use stochgrad_estimators::{LoggedAction, LoggedData};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.2, -0.1, 0.4])?;
/// let actions = graph.data_named("actions", "log", [0.0, 2.0, 1.0, 2.0])?;
/// let propensities = graph.data_named("propensities", "log", [0.5, 0.3, 0.2, 0.3])?;
/// let rewards = graph.data_named("rewards", "log", [1.0, 0.0, 0.0, 1.0])?;
/// let policy = Categorical::from_logits(logits);
/// let decision = LoggedAction::new(&policy, actions, propensities).reward(rewards);
/// let value = LoggedData::new(&graph, [decision])?.inverse_propensity()?;
/// graph.cost("loss", -value)?;
/// println!("{:?}", graph.backward()?.get("logits")?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LoggedAction<'t, F: Real> {
    /// The actions and the event shape of the target policy, if it is given as a distribution.
    action: Option<(Var<'t, F>, Shape)>,
    target: Scale<'t, F>,
    propensity: Scale<'t, F>,
    /// Whether the propensity is a probability, which is at most 1, and not a density.
    is_discrete: bool,
    /// The parameters of the target policy at which its log-probability has a kink.
    kinked: SmallVec<[Var<'t, F>; 2]>,
    pub(crate) reward: Option<Var<'t, F>>,
    pub(crate) model: Option<ActionValueModel<'t, F>>,
    pub(crate) running: Option<Var<'t, F>>,
}

/// A probability or density, as it is or as its logarithm.
#[derive(Clone, Copy, Debug)]
enum Scale<'t, F: Real> {
    Plain(Var<'t, F>),
    Log(Var<'t, F>),
}

impl<'t, F: Real> Scale<'t, F> {
    fn var(self) -> Var<'t, F> {
        match self {
            Scale::Plain(var) | Scale::Log(var) => var,
        }
    }

    fn map(self, function: impl FnOnce(Var<'t, F>) -> Var<'t, F>) -> Self {
        match self {
            Scale::Plain(var) => Scale::Plain(function(var)),
            Scale::Log(var) => Scale::Log(function(var)),
        }
    }

    /// Probability 1 for the members whose episode has ended.
    fn while_running(self, running: Option<Var<'t, F>>) -> Self {
        let Some(running) = running else { return self };
        let certain = running.tape().constant(if matches!(self, Scale::Plain(_)) { 1.0 } else { 0.0 });
        self.map(|var| running.select(var, certain))
    }
}

impl<'t, F: Real> LoggedAction<'t, F> {
    /// Logged actions with their propensities, and the target policy. The actions are data on a plate of the log, and
    /// the propensities are on the same plate, or one number for all.
    pub fn new(policy: &impl ScoreDifferentiable<'t, F>, action: Var<'t, F>, propensity: Var<'t, F>) -> Self {
        Self::of(policy, action, Scale::Plain(propensity))
    }

    /// As [`new`](Self::new), with the logarithms of the propensities, which do not underflow for actions of many
    /// elements.
    pub fn from_log_propensity(
        policy: &impl ScoreDifferentiable<'t, F>,
        action: Var<'t, F>,
        log_propensity: Var<'t, F>,
    ) -> Self {
        Self::of(policy, action, Scale::Log(log_propensity))
    }

    fn of(policy: &impl ScoreDifferentiable<'t, F>, action: Var<'t, F>, propensity: Scale<'t, F>) -> Self {
        let parameters = policy.parameters().into_iter();
        LoggedAction {
            action: Some((action, policy.event_shape())),
            target: Scale::Log(policy.log_prob(action)),
            propensity,
            is_discrete: policy.support().is_discrete(),
            kinked: parameters.filter(|each| each.score == Smoothness::Kinked).map(|each| each.var).collect(),
            reward: None,
            model: None,
            running: None,
        }
    }

    /// Logged actions whose probabilities under the target policy are known, such as 1 where a deterministic policy
    /// agrees with the log and 0 elsewhere. Here a probability may be 0.
    pub fn from_probabilities(target: Var<'t, F>, propensity: Var<'t, F>) -> Self {
        LoggedAction {
            action: None,
            target: Scale::Plain(target),
            propensity: Scale::Plain(propensity),
            is_discrete: true,
            kinked: SmallVec::new(),
            reward: None,
            model: None,
            running: None,
        }
    }

    /// The reward that followed the action.
    pub fn reward(self, reward: Var<'t, F>) -> Self {
        LoggedAction { reward: Some(reward), ..self }
    }

    /// A model of the values of the actions, for [`LoggedData::doubly_robust`](crate::LoggedData::doubly_robust).
    pub fn model(self, model: ActionValueModel<'t, F>) -> Self {
        LoggedAction { model: Some(model), ..self }
    }

    /// Marks the members whose episode is still running at this step: 1, or 0 after its end. Rewards and propensities
    /// after the end are ignored, so that episodes of different lengths share their plate. Fill the actions and states
    /// after the end with any values that the policy accepts, such as 0.
    pub fn while_running(self, running: Var<'t, F>) -> Self {
        LoggedAction { running: Some(running), ..self }
    }

    /// The probability ratios of the target policy and the logging policy, as recorded values with derivatives. They are
    /// checked, also in each run of a compiled graph.
    ///
    /// # Errors
    /// For propensities that are not in (0, 1] (or, as densities, not positive and finite) or that depend on a
    /// parameter; for actions that are impossible under the target policy or have another shape; for values with event
    /// axes, and for values on a plate that the actions lack.
    #[track_caller]
    pub fn ratio(&self, graph: &Graph<'t, F>) -> GraphResult<Var<'t, F>> {
        self.ratio_at(graph, Location::caller())
    }

    pub(crate) fn ratio_at(&self, graph: &Graph<'t, F>, at: &'static Location<'static>) -> GraphResult<Var<'t, F>> {
        let tape = graph.tape();
        tape.check()?;
        let plates = self.target.var().plates();
        let scalar = |name: &str, var: Var<'t, F>| check_scalar(tape, name, var, &plates, at);
        scalar("the target probability", self.target.var())?;
        scalar("the propensity", self.propensity.var())?;
        if let Some(running) = self.running {
            scalar("the mark of running episodes", running)?;
        }
        if is_differentiable(self.propensity.var()) {
            return Err(error(
                at,
                "expected propensities that are numbers of the log, got some that depend on a parameter; pass \
                 stop_gradient() of them if they come from a fitted model of the logging policy, and use the gradient \
                 method ImportanceSampling to draw samples of one distribution with the gradient of another",
            ));
        }
        if let Some((action, shape)) = &self.action {
            check_action(*action, shape, at)?;
        }
        let target = self.target.while_running(self.running);
        let propensity = self.propensity.while_running(self.running);
        self.check_propensity(propensity, at)?;
        match target {
            Scale::Plain(target) => require(
                target,
                at,
                "the target probability",
                "in [0, 1]",
                "look for the operation that made it",
                Condition::Between { low: 0.0, high: MOST },
            )?,
            Scale::Log(target) => require(
                target,
                at,
                "the log-probability of a logged action under the target policy",
                "finite",
                "−∞ is the log-probability of an action outside the support of the policy, or one that it excludes; \
                 check the encoding of the actions, and use LoggedAction::from_probabilities for a policy that excludes \
                 some of them",
                Condition::Finite,
            )?,
        }
        let order = Guarantee::unbiased(Order::Finite(1));
        for parameter in &self.kinked {
            let because = format!("the log-probability of the target policy has a kink in a parameter ({at})");
            graph.qualify(&[*parameter], order, because);
        }
        Ok(match (target, propensity) {
            (Scale::Plain(target), Scale::Plain(propensity)) => target / propensity,
            (Scale::Plain(target), Scale::Log(propensity)) => target * (-propensity).exp(),
            (Scale::Log(target), Scale::Plain(propensity)) => (target - propensity.ln()).exp(),
            (Scale::Log(target), Scale::Log(propensity)) => (target - propensity).exp(),
        })
    }

    fn check_propensity(&self, propensity: Scale<'t, F>, at: &'static Location<'static>) -> GraphResult<()> {
        let hint = "an estimate without the probability of each logged action is not possible; log the probability (or, \
                    for a continuous action, the density) with which the action was drawn";
        let (name, expected, condition) = match (propensity, self.is_discrete) {
            (Scale::Plain(_), true) => ("the propensity", "in (0, 1]", Condition::AtMost { above: 0.0, high: MOST }),
            (Scale::Plain(_), false) => ("the propensity (a density)", "positive and finite", Condition::POSITIVE),
            (Scale::Log(_), true) => (
                "the log-propensity",
                "finite and at most 0",
                Condition::AtMost { above: f64::NEG_INFINITY, high: MOST - 1.0 },
            ),
            (Scale::Log(_), false) => ("the log-propensity (of a density)", "finite", Condition::Finite),
        };
        require(propensity.var(), at, name, expected, hint, condition)
    }

    /// The clipped objective of proximal policy optimisation (Schulman et al. 2017), to be maximised:
    ///
    /// $$\min\big(\rho A,\ \operatorname{clip}(\rho, 1 - \epsilon, 1 + \epsilon)\, A\big)$$
    ///
    /// with an estimate $A$ of the advantage of each logged action, which is detached. It limits how far an update can
    /// move the policy away from the one that collected the data. As an estimate of the value it is biased where a
    /// ratio is clipped, which the guarantee states. Where all ratios are 1, its gradient is that of the policy
    /// gradient.
    ///
    /// ```
    /// use stochgrad_distributions::Bernoulli;
    /// use stochgrad_estimators::LoggedAction;
    /// use stochgrad_graph::{Bias, Graph, GraphError, Seed};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), GraphError> {
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let policy = Bernoulli::from_logits(graph.param("logit", 0.3)?);
    /// let actions = graph.data_named("actions", "log", [1.0, 0.0, 1.0])?;
    /// let old = graph.data_named("log-probabilities", "log", [-0.7, -0.7, -0.5])?;
    /// let advantages = graph.data_named("advantages", "log", [0.4, -0.2, 1.0])?;
    /// let action = LoggedAction::from_log_propensity(&policy, actions, old);
    /// graph.cost("loss", -action.clipped_objective(&graph, advantages, 0.2)?)?;
    /// assert_eq!(graph.backward()?.guarantee("logit")?.bias, Bias::Cost);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`ratio`](Self::ratio), and for ε outside (0, 1).
    #[track_caller]
    pub fn clipped_objective(
        &self,
        graph: &Graph<'t, F>,
        advantage: Var<'t, F>,
        epsilon: f64,
    ) -> GraphResult<Var<'t, F>> {
        let at = Location::caller();
        if !(epsilon > 0.0 && epsilon < 1.0) {
            return Err(error(at, format!("expected a clipping range ε in (0, 1), got {epsilon}; 0.2 is common")));
        }
        let ratio = self.ratio_at(graph, at)?;
        check_scalar(graph.tape(), "the advantage", advantage, &ratio.plates(), at)?;
        let advantage = match self.running {
            Some(running) => running.select(advantage, graph.constant(0.0)),
            None => advantage,
        }
        .stop_gradient();
        require(advantage, at, "the advantage", "finite", "look for the operation that made it", Condition::Finite)?;
        let clipped = ratio.clamp(1.0 - epsilon, 1.0 + epsilon);
        let objective = (ratio * advantage).minimum(clipped * advantage);
        graph.tape().check()?;
        let because = format!(
            "importance ratios are clipped to [{}, {}] ({at}): a bias where a ratio is outside",
            1.0 - epsilon,
            1.0 + epsilon
        );
        qualify(graph, &[objective], Guarantee { bias: Bias::Cost, order: Order::Finite(1) }, because);
        Ok(objective)
    }
}

/// Checks that actions have the shape of those of the policy, and that they are no samples with a gradient of their own.
fn check_action<F: Real>(action: Var<'_, F>, shape: &Shape, at: &'static Location<'static>) -> GraphResult<()> {
    if action.shape() != *shape {
        return Err(error(
            at,
            format!("expected actions of event shape {shape}, as the target policy has them, got {}", action.shape()),
        ));
    }
    let mut parameters = direct_samples(action).into_iter().flat_map(|sample| sample.inputs().into_iter().skip(1));
    if parameters.any(is_differentiable) {
        return Err(error(
            at,
            "expected actions from a log, got samples of a node whose distribution has trainable parameters: the node \
             has a gradient of its own, and both together would be wrong; use the gradient method ImportanceSampling \
             for the node, or pass the actions as data",
        ));
    }
    Ok(())
}

/// The error of an off-policy estimator.
pub(crate) fn error(at: &'static Location<'static>, problem: impl Into<String>) -> stochgrad_graph::GraphError {
    Estimator { name: "logged data", at }.error(problem)
}

/// Requires a condition of a value now, and in each run of a compiled graph.
pub(crate) fn require<F: Real>(
    var: Var<'_, F>,
    at: &'static Location<'static>,
    name: &'static str,
    expected: &'static str,
    hint: &'static str,
    condition: Condition,
) -> GraphResult<()> {
    match var.require(Requirement { condition, owner: "logged data", name, expected, hint })? {
        None => Ok(()),
        Some(violation) => Err(error(
            at,
            format!(
                "expected {name} to be {expected}, got {} at position {}; {hint}",
                violation.found, violation.position
            ),
        )),
    }
}

/// Checks that a value is one number for each combination of members of some plates, or of fewer plates.
pub(crate) fn check_scalar<'t, F: Real>(
    tape: &'t Tape<F>,
    name: &str,
    var: Var<'t, F>,
    plates: &[stochgrad_tape::Plate],
    at: &'static Location<'static>,
) -> GraphResult<()> {
    tape.check()?;
    if !var.shape().is_empty() {
        return Err(error(
            at,
            format!(
                "expected {name} to be one number for each logged sample, got event shape {}; an action of several \
                 elements has one propensity and one reward",
                var.shape()
            ),
        ));
    }
    if let Some(other) = var.plates().iter().find(|plate| !plates.contains(plate)) {
        let known = if plates.is_empty() { "no plate".into() } else { format!("plate {}", tape.plate_names(plates)) };
        return Err(error(
            at,
            format!(
                "expected {name} on the plates of the logged actions ({known}), got plate \"{}\"; record all parts of \
                 the log with graph.data_named(name, plate, values) or as inputs of one minibatch",
                tape.plate_name(*other)
            ),
        ));
    }
    Ok(())
}
