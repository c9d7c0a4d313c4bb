//! Several control variates with fitted coefficients. Use it to combine baselines, or to scale them.
//!
//! Each control variate $h_i(x)$ with mean $m_i(\theta)$ contributes $C_i = h_i\, s - \nabla m_i$ with $\mathbb{E}[C_i]
//! = 0$ to the gradient $G = f s$, $s = \nabla \ln p$. The variance of $G - \sum_i \beta_i C_i$, summed over the
//! elements of the node's parameters, is least at
//!
//! $$\beta^* = A^{-1} r, \qquad A_{ij} = \mathbb{E}[C_i^\top C_j], \quad r_i = \mathbb{E}[C_i^\top G].$$
//!
//! **The coefficients must not be fitted to the sample that they are used for**: the gradient would have a bias of
//! about one over the number of members. They are fitted to
//!
//! * the *other* members of the sample and of the batch ([`cross_fitted`](LinearControlVariates::cross_fitted)), or
//! * running means over past steps ([`from_past`](LinearControlVariates::from_past)),
//!
//! and a ridge, $(A + \lambda\, \tfrac{\operatorname{tr} A}{P} I)\, \beta = r$, keeps them small if there are few
//! members. The gradient is unbiased at every order.
//!
//! Any baseline is a control variate. A [`Constant`](crate::Constant) of 1 is the score itself, with the optimal
//! baseline as its coefficient. [`MuProp`](crate::MuProp) and [`DeltaMethod`](crate::DeltaMethod) get a scale.
//! Functions with known means are [`ControlFunction`](crate::ControlFunction)s. Glasserman (2003), section 4.1; Geffner
//! and Domke (2018); Ranganath, Gerrish and Blei (2014).

use super::members::{independent_plates, over_joint, sum_of_others, total_key};
use super::optimal::member_scores;
use super::{Baseline, Baselines, CostBaseline, DynBaseline, Memory};
use crate::common::member_gradients::sum_over_plates;
use crate::common::running_means::RunningMeans;
use crate::common::state_parts::{StatePart, load_all_or_nothing, take_prefixed};
use std::sync::Arc;
use stochgrad_distributions::Distribution;
use stochgrad_graph::{CostContext, Count, GraphResult, MethodState, NodeCost, Order, Profile, Update};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Tensor};

/// A lower bound for the diagonal, which keeps a system without data regular.
const FLOOR: f64 = 1e-30;

/// The data that the coefficients are fitted to.
#[derive(Clone, Debug)]
enum Fit {
    Others,
    Past(RunningMeans),
}

/// Control variates with fitted coefficients.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{Constant, LinearControlVariates, MuProp, ScoreFunction};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [0.3, -1.0])?;
/// let controls = LinearControlVariates::cross_fitted().with(Constant(1.0)).with(MuProp::new());
/// let method = ScoreFunction::new().samples(8).baseline(controls);
/// let bits = graph.sample("bits", &Bernoulli::from_logits(logits), &method)?;
/// graph.cost("loss", (bits - 0.499).square().sum())?;
/// graph.backward()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LinearControlVariates<F: Real> {
    fit: Fit,
    ridge: f64,
    controls: Vec<DynBaseline<F>>,
}

impl<F: Real> LinearControlVariates<F> {
    /// Fits the coefficients to the other members, of which there must be at least one. The ridge is 0.001.
    pub fn cross_fitted() -> Self {
        LinearControlVariates { fit: Fit::Others, ridge: 1e-3, controls: Vec::new() }
    }

    /// Fits the coefficients to past steps, of which the one `n` steps ago has the weight `decayⁿ`. The ridge is 0.001.
    /// The coefficients change when [`Gradients::advance`](stochgrad_graph::Gradients::advance) is called. Clones share
    /// them.
    pub fn from_past(decay: f64) -> Self {
        LinearControlVariates { fit: Fit::Past(RunningMeans::new(decay)), ..Self::cross_fitted() }
    }

    /// Adds a control variate, which may be any baseline. If the coefficients are fitted to other members, the baseline
    /// must not be made of other members itself.
    pub fn with(mut self, control: impl Baseline<F> + 'static) -> Self {
        self.controls.push(Arc::new(control));
        self
    }

    /// Sets the ridge, which is added to the diagonal of the system relative to its mean. It must be at least 0.
    pub fn ridge(self, ridge: f64) -> Self {
        LinearControlVariates { ridge, ..self }
    }
}

impl<F: Real> std::fmt::Debug for LinearControlVariates<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LinearControlVariates").field(&self.name()).finish()
    }
}

impl<F: Real> Memory for LinearControlVariates<F> {
    fn name(&self) -> Option<String> {
        let names: Vec<String> = self.controls.iter().filter_map(|control| control.name()).collect();
        let fit = match &self.fit {
            Fit::Others => "cross-fitted".into(),
            Fit::Past(means) => format!("fitted to past steps with decay {}", means.decay),
        };
        Some(format!("{} {fit}", if names.is_empty() { "no control variates".into() } else { names.join(" and ") }))
    }

    fn profile(&self) -> Profile {
        let nothing = Profile::unbiased(Order::Any).evaluations(Count::exactly(0));
        self.controls.iter().fold(nothing, |all, control| all.and(control.profile()))
    }

    fn check(&self, members: usize) -> Result<(), String> {
        if self.controls.is_empty() {
            return Err("expected at least one control variate, got none; add them with .with(…)".into());
        }
        if !(self.ridge.is_finite() && self.ridge >= 0.0) {
            return Err(format!("expected a ridge of at least 0, got {}; 0.001 is the default", self.ridge));
        }
        self.controls.iter().try_for_each(|control| control.check(members))?;
        match &self.fit {
            Fit::Past(means) => means.check(),
            Fit::Others => match self.controls.iter().find(|control| control.sees_other_members()) {
                None => Ok(()),
                Some(control) => Err(format!(
                    "\"{}\" is made of other members, and a coefficient fitted to them would depend on the sample \
                     that it is used for; use LinearControlVariates::from_past, or another control variate",
                    control.name().unwrap_or_default()
                )),
            },
        }
    }

    fn by_member(&self) -> bool {
        true
    }

    fn sees_other_members(&self) -> bool {
        matches!(self.fit, Fit::Others) || self.controls.iter().any(|control| control.sees_other_members())
    }

    fn state(&self) -> MethodState {
        let of_control = |(number, control): (usize, &DynBaseline<F>)| {
            let state = control.state().into_iter();
            state.map(move |(key, numbers)| (format!("control {number}: {key}"), numbers)).collect::<Vec<_>>()
        };
        let own = match &self.fit {
            Fit::Others => MethodState::new(),
            Fit::Past(means) => means.state(),
        };
        own.into_iter().chain(self.controls.iter().enumerate().flat_map(of_control)).collect()
    }

    fn load_state(&self, state: &MethodState) -> GraphResult<()> {
        let mut own = state.clone();
        let count = self.controls.len();
        // Without running means there is nothing to load, and whatever is left is refused.
        let means = match &self.fit {
            Fit::Past(means) => means.clone(),
            Fit::Others => RunningMeans::new(0.0),
        };
        let may_have = |numbers: usize| matches!(self.fit, Fit::Past(_)) && numbers == count * (count + 1);
        let mut parts = Vec::new();
        for (number, control) in self.controls.iter().enumerate() {
            parts.push(StatePart {
                given: take_prefixed(&mut own, &format!("control {number}: ")),
                state: Box::new(|| control.state()),
                load: Box::new(|state| control.load_state(state)),
            });
        }
        parts.push(StatePart {
            given: own,
            state: Box::new(|| means.state()),
            load: Box::new(|state| means.load_state(self.name(), state, may_have)),
        });
        load_all_or_nothing(&parts)
    }
}

/// The linear system of the coefficients for each member: $A$ and $r$.
struct System<'t, F: Real> {
    matrix: Var<'t, F>,
    right: Var<'t, F>,
}

impl<'t, F: Real> System<'t, F> {
    /// The system, from the contributions of the control variates and of the cost to the gradient with respect to each
    /// parameter.
    fn new(
        context: &CostContext<'_, 't, F>,
        cost: &NodeCost<'t, F>,
        controls: &[Vec<Var<'t, F>>],
        cost_gradients: &[Var<'t, F>],
    ) -> GraphResult<Self> {
        let tape = context.tape();
        let product = |left: &[Var<'t, F>], right: &[Var<'t, F>]| {
            let sum = left.iter().zip(right).map(|(&left, &right)| (left * right).sum());
            let sum = sum.reduce(|sum, product| sum + product).unwrap_or_else(|| tape.constant(0.0));
            over_joint(context, cost, sum)
        };
        let count = controls.len();
        let mut matrix = Vec::with_capacity(count * count);
        for left in controls {
            matrix.extend(controls.iter().map(|right| product(left, right)));
        }
        let right: Vec<Var<'t, F>> = controls.iter().map(|control| product(control, cost_gradients)).collect();
        Ok(System {
            matrix: Var::stack(&matrix)?.reshape([count, count]).stop_gradient(),
            right: Var::stack(&right)?.stop_gradient(),
        })
    }

    /// The coefficients fitted to the other members; `None` if there are none.
    fn cross_fitted(&self, context: &CostContext<'_, 't, F>, ridge: f64) -> Option<Var<'t, F>> {
        let plates = independent_plates(context);
        let count = self.right.shape().numel();
        let (matrix, _) = sum_of_others(self.matrix, &plates)?;
        let (right, _) = sum_of_others(self.right, &plates)?;
        let diagonal = matrix.diagonal().sum() * (ridge / count as f64) + FLOOR;
        let unit = context.tape().constant(Tensor::eye(count));
        let factor = (matrix + unit * diagonal).cholesky();
        let half = factor.triangular_solve(right.reshape([count, 1]));
        Some(factor.transposed_triangular_solve(half).reshape([count]))
    }

    /// The coefficients fitted to the running means, and the update of these.
    fn fitted_before(&self, means: &RunningMeans, key: &str, ridge: f64) -> (Var<'t, F>, Update<'t, F>) {
        let count = self.right.shape().numel();
        let coefficients = means.read(self.matrix.tape(), key, [count], 0.0, move |means, write| {
            let mut matrix: Vec<f64> = (0..count * count).map(|at| means.mean(at)).collect();
            let mut right: Vec<f64> = (0..count).map(|at| means.mean(count * count + at)).collect();
            let trace: f64 = (0..count).map(|at| matrix[at * (count + 1)]).sum();
            (0..count).for_each(|at| matrix[at * (count + 1)] += ridge * trace / count as f64);
            solve(&mut matrix, &mut right);
            right.iter().enumerate().for_each(|(at, &x)| write(at, x));
        });
        let mean = |value: Var<'t, F>| value.plates().iter().fold(value, |mean, &plate| mean.mean_over(plate));
        let update = means.update(key, vec![mean(self.matrix), mean(self.right)], |values| {
            values.iter().flat_map(|value| value.as_slice()).map(|x| x.to_f64()).collect()
        });
        (coefficients, update)
    }
}

/// Solves a symmetric positive semidefinite system by elimination. Directions without data get the coefficient 0.
fn solve(matrix: &mut [f64], right: &mut [f64]) {
    let count = right.len();
    let largest = (0..count).map(|at| matrix[at * (count + 1)]).fold(0.0, f64::max);
    let regular = |pivot: f64| pivot > 1e-12 * largest && pivot > 0.0;
    for row in 0..count {
        let pivot = matrix[row * (count + 1)];
        if !regular(pivot) {
            continue;
        }
        for below in row + 1..count {
            let factor = matrix[below * count + row] / pivot;
            for column in row..count {
                matrix[below * count + column] -= factor * matrix[row * count + column];
            }
            right[below] -= factor * right[row];
        }
    }
    for row in (0..count).rev() {
        let pivot = matrix[row * (count + 1)];
        if !regular(pivot) {
            right[row] = 0.0;
            continue;
        }
        let known: f64 = (row + 1..count).map(|column| matrix[row * count + column] * right[column]).sum();
        right[row] = (right[row] - known) / pivot;
    }
}

impl<F: Real> Baseline<F> for LinearControlVariates<F> {
    fn check_distribution(&self, distribution: &dyn Distribution<'_, F>) -> Result<(), String> {
        self.controls.iter().try_for_each(|control| control.check_distribution(distribution))
    }

    fn baselines<'t>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<Baselines<'t, F>> {
        let tape = context.tape();
        let scores = member_scores(context, distribution)?;
        let parameters: Vec<Var<'t, F>> = scores.iter().map(|(parameter, _)| parameter.var).collect();
        let mut all = Baselines::default();
        let mut given: Vec<Vec<CostBaseline<'t, F>>> = Vec::new();
        for control in &self.controls {
            let mut one = control.baselines(context, distribution)?;
            if !one.gradient_terms.is_empty() {
                return Err(context.refused(format!(
                    "\"{}\" has a number for each element, to which one coefficient cannot be fitted; use a baseline \
                     of one number",
                    control.name().unwrap_or_default()
                )));
            }
            given.push(std::mem::take(&mut one.values));
            all.extend(one);
        }
        for cost in context.totals()? {
            let mut values = Vec::new();
            let mut gradients = Vec::new();
            for baselines in &given {
                let (mut value, mut mean) = (tape.constant(0.0), None::<Var<'t, F>>);
                for one in baselines.iter().filter(|one| one.cost.joint == cost.joint) {
                    value = value + one.value.stop_gradient();
                    mean = mean.zip(one.mean).map(|(sum, mean)| sum + mean).or(mean).or(one.mean);
                }
                let slopes = match mean {
                    Some(mean) => tape.gradients(sum_over_plates(mean), &parameters)?.into_iter().map(Some).collect(),
                    None => vec![None; scores.len()],
                };
                let gradient = scores.iter().zip(slopes).map(|((_, score), slope)| {
                    let plain = *score * value;
                    slope.map_or(plain, |slope| plain - slope)
                });
                gradients.push(gradient.collect::<Vec<_>>());
                values.push((value, mean));
            }
            let of_cost: Vec<Var<'t, F>> = scores.iter().map(|(_, score)| *score * cost.value).collect();
            let system = System::new(context, &cost, &gradients, &of_cost)?;
            let coefficients = match &self.fit {
                Fit::Others => system.cross_fitted(context, self.ridge),
                Fit::Past(means) => {
                    let (coefficients, update) = system.fitted_before(means, &total_key(context, &cost), self.ridge);
                    all.updates.push(update);
                    Some(coefficients)
                }
            };
            let Some(coefficients) = coefficients else { continue };
            for (at, (value, mean)) in values.into_iter().enumerate() {
                let coefficient = coefficients.index(0, at).stop_gradient();
                let mean = mean.map(|mean| mean * coefficient);
                all.values.push(CostBaseline { cost: cost.clone(), value: value * coefficient, mean });
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests;
