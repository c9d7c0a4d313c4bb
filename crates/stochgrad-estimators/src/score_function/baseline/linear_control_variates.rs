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
use crate::common::running_means::{RunningMeans, WEIGHT};
use std::sync::Arc;
use stochgrad_distributions::Distribution;
use stochgrad_graph::{
    CostContext, Count, GraphResult, MethodSlots, NodeCost, Order, Profile, SlotDomain, SlotPart, Update,
};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Tensor};

/// A lower bound for the diagonal, which keeps a system without data regular.
const FLOOR: f64 = 1e-30;

/// The mean of the matrix of the system.
const MATRIX: SlotPart = SlotPart { name: "matrix", domain: SlotDomain::Finite };
/// The mean of the right side of the system.
const RIGHT: SlotPart = SlotPart { name: "right side", domain: SlotDomain::Finite };
const PARTS: &[SlotPart] = &[MATRIX, RIGHT, WEIGHT];

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
        LinearControlVariates { fit: Fit::Past(RunningMeans::new(decay, PARTS)), ..Self::cross_fitted() }
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

    fn slots(&self) -> MethodSlots {
        let own = match &self.fit {
            Fit::Others => MethodSlots::default(),
            Fit::Past(means) => means.slots().under("fit: "),
        };
        let controls = self.controls.iter().enumerate();
        let of_control =
            |(number, control): (usize, &DynBaseline<F>)| control.slots().under(&format!("control {number}: "));
        controls.map(of_control).fold(own, MethodSlots::and)
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

    /// The coefficients fitted to the running means, and the updates of these.
    fn fitted_before(&self, means: &RunningMeans, key: &str, ridge: f64) -> GraphResult<(Var<'t, F>, Updates<'t, F>)> {
        let (tape, count) = (self.right.tape(), self.right.shape().numel());
        let matrix = means.mean(tape, key, MATRIX.name, [count, count]);
        let diagonal = matrix.diagonal().sum() * (ridge / count as f64);
        let matrix = matrix + tape.constant(Tensor::eye(count)) * diagonal;
        let coefficients = solved(matrix, means.mean(tape, key, RIGHT.name, [count]))?;
        Ok((coefficients, means.updates(key, &[(MATRIX.name, self.matrix), (RIGHT.name, self.right)])))
    }
}

/// The updates of the running means.
type Updates<'t, F> = Vec<Update<'t, F>>;

/// The solution of a symmetric positive semidefinite system by Gauss and Jordan's elimination. Directions without data
/// get the coefficient 0.
fn solved<'t, F: Real>(matrix: Var<'t, F>, right: Var<'t, F>) -> GraphResult<Var<'t, F>> {
    let (tape, count) = (matrix.tape(), right.shape().numel());
    let least = (64.0 * F::EPSILON.to_f64()).max(1e-12);
    let least = matrix.diagonal().max() * least;
    let mut system = Var::concat(&[matrix, right.reshape([count, 1])], 1)?;
    let mut regular = Vec::with_capacity(count);
    for at in 0..count {
        let row = system.index(0, at);
        let pivot = row.index(0, at);
        let is_regular = pivot.gt(least.maximum(tape.constant(0.0)));
        // The row becomes the scaled row, and the column of every other row is eliminated.
        let scaled = row / is_regular.select(pivot, tape.constant(1.0)) * is_regular;
        let unit = tape.constant(Tensor::from_fn([count], |i| if i == at { F::ONE } else { F::ZERO }));
        let factors = system.index(1, at) - unit;
        system = system - factors.reshape([count, 1]) * scaled.reshape([1, count + 1]);
        regular.push(is_regular);
    }
    Ok(system.index(1, count) * Var::stack(&regular)?)
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
                    let key = total_key(context, &cost);
                    let (coefficients, updates) = system.fitted_before(means, &key, self.ridge)?;
                    all.updates.extend(updates);
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
