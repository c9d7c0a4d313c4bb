//! Logged decisions and trajectories: the weights that all estimators of a value share.

use crate::expectations::independent_members::qualify;
use crate::off_policy::action_value_model::ActionValueModel;
use crate::off_policy::logged_action::{LoggedAction, check_scalar, error, require};
use std::fmt;
use std::panic::Location;
use stochgrad_distributions::Order;
use stochgrad_graph::{Bias, Graph, GraphError, GraphResult, Guarantee};
use stochgrad_tape::{Condition, Plate, PlateKind, Var, Weights};
use stochgrad_tensor::Real;

/// A log of decisions, or of trajectories of decisions: what the value of a target policy is estimated from. See
/// [the table of estimators](crate::LoggedData#estimators).
///
/// # Estimators
///
/// Each of them returns the contribution of each logged sample, on the plate of the log. The average over the plate is
/// the estimate, and the spread of the contributions gives its standard error ([`ValueEstimate`](crate::ValueEstimate)).
/// Keep the plate when you pass the contributions to `Graph::cost`, with a minus sign to maximise the value.
///
/// | estimator | bias | order | needs |
/// |---|---|---|---|
/// | [`inverse_propensity`](Self::inverse_propensity) | none | any | |
/// | [`per_decision`](Self::per_decision) | none | any | |
/// | [`doubly_robust`](Self::doubly_robust) | none | any | a model of the action values |
/// | [`self_normalized`](Self::self_normalized), [`self_normalized_per_decision`](Self::self_normalized_per_decision) | of order $1/n$ | any | two samples |
/// | any of them after [`truncated`](Self::truncated) | where a weight exceeds the limit | 1 | a limit |
///
/// **Assumptions.** The propensities are those of the policy that drew the actions, the logging policy can take every
/// action that the target policy takes (which no log can show), and the samples of the log are independent.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{LoggedAction, LoggedData};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let slope = graph.param("slope", 0.4)?;
/// // Two steps of three episodes: states, actions, propensities of the actions and rewards.
/// let log = [
///     ([0.3, -0.2, 0.9], [1.0, 0.0, 1.0], [0.6, 0.5, 0.7], [0.0, 1.0, 0.5]),
///     ([0.1, 0.4, -0.6], [0.0, 0.0, 1.0], [0.5, 0.4, 0.3], [1.0, 0.0, 0.2]),
/// ];
/// let mut steps = Vec::new();
/// for (t, (states, actions, propensities, rewards)) in log.into_iter().enumerate() {
///     let on_log = |name: &str, values| graph.data_named(&format!("{name} {t}"), "log", values);
///     let policy = Bernoulli::from_logits(on_log("states", states)? * slope);
///     let action = LoggedAction::new(&policy, on_log("actions", actions)?, on_log("propensities", propensities)?);
///     steps.push(action.reward(on_log("rewards", rewards)?));
/// }
/// let log = LoggedData::new(&graph, steps)?.discounted(0.99);
/// graph.cost("loss", -log.per_decision()?)?;
/// println!("{:?}", graph.backward()?.get("slope")?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LoggedData<'a, 't, F: Real> {
    pub(crate) graph: &'a Graph<'t, F>,
    pub(crate) steps: Vec<Step<'t, F>>,
    discount: f64,
    limit: Option<f64>,
    pub(crate) at: &'static Location<'static>,
}

/// One checked step of all logged samples.
#[derive(Clone, Debug)]
pub(crate) struct Step<'t, F: Real> {
    pub(crate) ratio: Var<'t, F>,
    pub(crate) reward: Var<'t, F>,
    pub(crate) model: Option<ActionValueModel<'t, F>>,
}

impl<'a, 't, F: Real> LoggedData<'a, 't, F> {
    /// The steps of each logged sample, in order: a single one for a bandit. All of them lie on the same plates.
    ///
    /// # Errors
    /// Those of [`LoggedAction::ratio`]; for no steps, steps without rewards, rewards and model values that are not
    /// finite or not one number for each sample, and steps on different plates.
    #[track_caller]
    pub fn new(graph: &'a Graph<'t, F>, steps: impl IntoIterator<Item = LoggedAction<'t, F>>) -> GraphResult<Self> {
        let at = Location::caller();
        let mut checked: Vec<Step<'t, F>> = Vec::new();
        for (number, action) in steps.into_iter().enumerate() {
            let step = check_step(graph, number, &action, at)?;
            if let Some(first) = checked.first() {
                check_same_plates(graph, number, first.ratio, step.ratio, at)?;
            }
            checked.push(step);
        }
        if checked.is_empty() {
            return Err(error(at, "expected at least one logged step, got none"));
        }
        Ok(LoggedData { graph, steps: checked, discount: 1.0, limit: None, at })
    }

    /// Trajectories whose steps lie along a plate of their own, beside the plate of the log: the actions, propensities
    /// and rewards of all steps are one value each. They are taken apart, so that the result lacks the plate of steps.
    ///
    /// # Errors
    /// As [`new`](Self::new), and if the actions or the rewards do not lie along the plate.
    #[track_caller]
    pub fn along(graph: &'a Graph<'t, F>, action: LoggedAction<'t, F>, steps: Plate) -> GraphResult<Self> {
        let at = Location::caller();
        let step = check_step(graph, 0, &action, at)?;
        for (what, var) in [("actions", step.ratio), ("rewards", step.reward)] {
            if !var.plates().contains(&steps) {
                let plate = graph.tape().plate_name(steps);
                return Err(error(
                    at,
                    format!("expected {what} along plate \"{plate}\" of the steps, got some without it"),
                ));
            }
        }
        let at_step = |var: Var<'t, F>, t| if var.plates().contains(&steps) { var.member(steps, t) } else { var };
        let apart = (0..graph.tape().plate_size(steps)).map(|t| Step {
            ratio: at_step(step.ratio, t),
            reward: at_step(step.reward, t),
            model: step.model.map(|model| ActionValueModel::new(at_step(model.chosen, t), at_step(model.expected, t))),
        });
        let steps = apart.collect();
        graph.tape().check()?;
        Ok(LoggedData { graph, steps, discount: 1.0, limit: None, at })
    }

    /// Multiplies the reward of step t by `discount` to the power t. The discount is 1 by default.
    pub fn discounted(self, discount: f64) -> Self {
        LoggedData { discount, ..self }
    }

    /// Limits each product of ratios to at most `limit` (Ionides 2008). This bounds the variance, and biases the
    /// estimates and their gradients where a weight exceeds the limit: the guarantee states a biased cost of order 1.
    /// In doubly robust estimates, the bias is the part of the error of the model that was cut off.
    pub fn truncated(self, limit: f64) -> Self {
        LoggedData { limit: Some(limit), ..self }
    }

    /// The weights of whole trajectories: the products of the ratios of all steps, truncated if the log is. Their mean
    /// is 1 if the propensities are right, up to its standard error. See
    /// [`WeightDiagnostics`](crate::WeightDiagnostics).
    ///
    /// # Errors
    /// For a discount or a limit outside its domain, and for earlier errors on the tape.
    pub fn weights(&self) -> GraphResult<Var<'t, F>> {
        let weights = self.cumulative()?;
        weights.last().copied().ok_or_else(|| self.error("expected at least one logged step, got none"))
    }

    /// The effective sample size $(\sum_i w_i)^2 / \sum_i w_i^2$ of the weights along a plate, as a recorded value: an
    /// output to watch in training, or a penalty.
    ///
    /// # Errors
    /// As [`self_normalized`](Self::self_normalized).
    pub fn effective_sample_size(&self, samples: Plate) -> GraphResult<Var<'t, F>> {
        let weights = self.weights()?;
        self.check_samples(weights, samples)?;
        let count = self.graph.tape().whole_plate_size(samples) as f64;
        self.require_weight(weights.mean_over(samples))?;
        let size = weights.mean_over(samples).square() / weights.square().mean_over(samples) * count;
        self.graph.tape().check()?;
        Ok(size)
    }

    /// The products of the ratios up to each step, truncated if the log is.
    pub(crate) fn cumulative(&self) -> GraphResult<Vec<Var<'t, F>>> {
        if !(self.discount >= 0.0 && self.discount <= 1.0) {
            return Err(self.error(format!("expected a discount in [0, 1], got {}", self.discount)));
        }
        if let Some(limit) = self.limit.filter(|limit| !(*limit > 0.0 && limit.is_finite())) {
            return Err(self.error(format!("expected a finite limit of the weights above 0, got {limit}")));
        }
        let mut product: Option<Var<'t, F>> = None;
        let mut weights = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let next = product.map_or(step.ratio, |product| product * step.ratio);
            product = Some(next);
            let limited = self.limit.map(|limit| next.minimum(self.graph.constant(limit)));
            weights.push(limited.unwrap_or(next));
        }
        Ok(weights)
    }

    /// The sum of a value for each step, each multiplied by its discount.
    pub(crate) fn discounted_sum(&self, value: impl Fn(usize, &Step<'t, F>) -> Var<'t, F>) -> Var<'t, F> {
        let mut factor = 1.0;
        let mut sum: Option<Var<'t, F>> = None;
        for (t, step) in self.steps.iter().enumerate() {
            let term = value(t, step);
            let term = if factor == 1.0 { term } else { term * factor };
            sum = Some(sum.map_or(term, |sum| sum + term));
            factor *= self.discount;
        }
        sum.unwrap_or_else(|| self.graph.constant(0.0))
    }

    /// An estimate that is finished: states the bias of truncated weights.
    pub(crate) fn finish(&self, estimate: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        self.graph.tape().check()?;
        if let Some(limit) = self.limit {
            let because =
                format!("importance weights are truncated at {limit} ({}): a bias where a weight exceeds it", self.at);
            let guarantee = Guarantee { bias: Bias::Cost, order: Order::Finite(1) };
            qualify(self.graph, &[estimate], guarantee, because);
        }
        Ok(estimate)
    }

    /// Checks that weights can be divided by their mean along a plate.
    pub(crate) fn check_samples(&self, weights: Var<'t, F>, samples: Plate) -> GraphResult<()> {
        let tape = self.graph.tape();
        let plate = tape.plate_name(samples);
        if !weights.plates().contains(&samples) {
            return Err(self.error(format!(
                "expected weights along plate \"{plate}\", got weights without it; name the plate of the log"
            )));
        }
        let is_log = matches!(tape.plate_kind(samples), PlateKind::Data | PlateKind::Samples);
        if !is_log || !matches!(tape.weights(samples), Weights::Mean) {
            return Err(self.error(format!(
                "expected independent samples of equal weight along plate \"{plate}\", got members that are summed, \
                 weighted or dependent"
            )));
        }
        let count = tape.whole_plate_size(samples);
        if count < 2 {
            return Err(self.error(format!(
                "expected at least 2 samples along plate \"{plate}\", got {count}: a single weight divided by itself is \
                 1, whatever the target policy is; use inverse_propensity or per_decision"
            )));
        }
        Ok(())
    }

    /// Requires that a mean weight is positive, since it is divided by.
    pub(crate) fn require_weight(&self, mean: Var<'t, F>) -> GraphResult<()> {
        require(
            mean,
            self.at,
            "the mean of the importance weights",
            "positive and finite",
            "the target policy takes none of the logged actions, or the weights overflow",
            Condition::POSITIVE,
        )
    }

    pub(crate) fn error(&self, problem: impl Into<String>) -> GraphError {
        error(self.at, problem)
    }
}

impl<F: Real> fmt::Debug for LoggedData<'_, '_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LoggedData { steps, discount, limit, .. } = self;
        f.debug_struct("LoggedData")
            .field("steps", steps)
            .field("discount", discount)
            .field("limit", limit)
            .finish_non_exhaustive()
    }
}

fn check_step<'t, F: Real>(
    graph: &Graph<'t, F>,
    number: usize,
    action: &LoggedAction<'t, F>,
    at: &'static Location<'static>,
) -> GraphResult<Step<'t, F>> {
    let ratio = action.ratio_at(graph, at)?;
    let Some(reward) = action.reward else {
        return Err(error(at, format!("expected a reward at step {number}, got none; set it with .reward(rewards)")));
    };
    let plates = ratio.plates();
    check_scalar(graph.tape(), "the reward", reward, &plates, at)?;
    let reward = match action.running {
        Some(running) => running.select(reward, graph.constant(0.0)),
        None => reward,
    };
    let hint = "look for the operation that made it";
    require(reward, at, "the reward", "finite", hint, Condition::Finite)?;
    if let Some(model) = action.model {
        for var in [model.chosen, model.expected] {
            check_scalar(graph.tape(), "the model of the action values", var, &plates, at)?;
        }
    }
    let model = action.model.map(|model| model.while_running(action.running));
    for var in model.iter().flat_map(|model| [model.chosen, model.expected]) {
        require(var, at, "the model of the action values", "finite", hint, Condition::Finite)?;
    }
    Ok(Step { ratio, reward, model })
}

/// Steps on different plates would be combined with each other, member by member.
fn check_same_plates<'t, F: Real>(
    graph: &Graph<'t, F>,
    number: usize,
    first: Var<'t, F>,
    other: Var<'t, F>,
    at: &'static Location<'static>,
) -> GraphResult<()> {
    let (first, other) = (first.plates(), other.plates());
    if first.len() == other.len() && first.iter().all(|plate| other.contains(plate)) {
        return Ok(());
    }
    let named = |plates: &[Plate]| match plates {
        [] => "none".into(),
        plates => graph.tape().plate_names(plates),
    };
    Err(error(
        at,
        format!(
            "expected the actions of all steps on the same plates, got {} at step 0 and {} at step {number}",
            named(&first),
            named(&other)
        ),
    ))
}
