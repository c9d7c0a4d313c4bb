//! Returns and advantages of recorded trajectories.
//!
//! With costs $c_t$, state values $V_t$, and the mask $e_t$, which is 1 where an episode ended in step $t$,
//!
//! $$R_t = c_t + \gamma (1 - e_t)\, R_{t+1}, \qquad
//!   \hat A_t = \delta_t + \gamma \lambda (1 - e_t)\, \hat A_{t+1}, \qquad
//!   \delta_t = c_t + \gamma (1 - e_t)\, V_{t+1} - V_t,$$
//!
//! where $V_T$, the value behind the last step, also is $R_T$. $\hat A_t$ is the generalised advantage: Schulman, Moritz,
//! Levine, Jordan and Abbeel (2016). $\lambda = 1$ gives $R_t - V_t$, and $\lambda = 0$ the temporal difference
//! $\delta_t$. $\hat A_t + V_t$ is the $\lambda$-return, to which a critic is fitted.

use std::panic::Location;
use stochgrad_graph::{GraphError, GraphResult};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape};

/// A recorded trajectory: its costs, the ends of its episodes, and the values of a critic. Each is a vector over the
/// steps, on any plates.
///
/// All results are constants to derivatives.
///
/// ```
/// use stochgrad_estimators::Trajectory;
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), stochgrad_graph::GraphError> {
/// let tape = Tape::<f64>::new();
/// let trajectory = Trajectory::new(tape.constant([1.0, 2.0, 4.0]))
///     .ends(tape.constant([0.0, 1.0, 0.0])) // the last step belongs to another episode
///     .values(tape.constant([3.0, 3.0, 6.0]), tape.constant(10.0));
/// assert_eq!(trajectory.returns(0.5)?.value()?.as_slice(), &[2.0, 2.0, 9.0]);
/// assert_eq!(trajectory.advantages(0.5, 0.0)?.value()?.as_slice(), &[-0.5, -1.0, 3.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Trajectory<'t, F: Real> {
    costs: Var<'t, F>,
    ends: Option<Var<'t, F>>,
    values: Option<(Var<'t, F>, Var<'t, F>)>,
}

impl<'t, F: Real> Trajectory<'t, F> {
    /// The costs of the steps, of one episode that ends behind the last step.
    pub fn new(costs: Var<'t, F>) -> Self {
        Trajectory { costs, ends: None, values: None }
    }

    /// Sets the steps in which an episode ended: 1 there, and 0 in all others. Nothing later is added to such a step.
    pub fn ends(self, ends: Var<'t, F>) -> Self {
        Trajectory { ends: Some(ends), ..self }
    }

    /// Sets the state values before each step, and the value behind the last one, a scalar, which is 0 if all episodes
    /// have ended.
    pub fn values(self, values: Var<'t, F>, last: Var<'t, F>) -> Self {
        Trajectory { values: Some((values, last)), ..self }
    }

    /// The discounted sums of the costs from each step on, completed by the value behind the last step.
    ///
    /// # Errors
    /// For vectors of different lengths, and for a discount outside [0, 1].
    #[track_caller]
    pub fn returns(&self, discount: f64) -> GraphResult<Var<'t, F>> {
        self.check(&[("discount", discount)], false, Location::caller())?;
        let steps = self.costs.shape()[0];
        let Some((_, last)) = self.values else {
            return Ok(self.costs.held().discounted_sum(0, self.weights(discount)));
        };
        // The last value is one more cost.
        let (weights, last) = (self.weights(discount), last.held().reshape([1]));
        let costs = Var::concat(&[self.costs.held(), last], 0)?;
        let weights = Var::concat(&[weights, last.tape().constant([0.0])], 0)?;
        Ok(costs.discounted_sum(0, weights).slice(0, 0..steps))
    }

    /// The generalised advantages.
    ///
    /// # Errors
    /// Without values, for vectors of different lengths, and for a discount or a λ outside [0, 1].
    #[track_caller]
    pub fn advantages(&self, discount: f64, lambda: f64) -> GraphResult<Var<'t, F>> {
        self.check(&[("discount", discount), ("lambda", lambda)], true, Location::caller())?;
        let Some((values, last)) = self.values.map(|(values, last)| (values.held(), last.held())) else {
            return self.returns(discount);
        };
        let steps = self.costs.shape()[0];
        let next = Var::concat(&[values.slice(0, 1..steps), last.reshape([1])], 0)?;
        let weights = self.weights(discount);
        let differences = self.costs.held() + weights * next - values;
        Ok(differences.discounted_sum(0, weights * lambda))
    }

    /// The λ-returns: generalised advantages plus values, to which a critic is fitted.
    ///
    /// # Errors
    /// As [`advantages`](Self::advantages).
    #[track_caller]
    pub fn lambda_returns(&self, discount: f64, lambda: f64) -> GraphResult<Var<'t, F>> {
        let advantages = self.advantages(discount, lambda)?;
        Ok(self.values.map_or(advantages, |(values, _)| advantages + values.held()))
    }

    /// The weight of what follows each step.
    fn weights(&self, discount: f64) -> Var<'t, F> {
        match self.ends {
            Some(ends) => (1.0 - ends.held()) * discount,
            None => self.costs.tape().constant(discount).broadcast_to(self.costs.shape()),
        }
    }

    fn check(&self, shares: &[(&str, f64)], needs_values: bool, at: &'static Location<'static>) -> GraphResult<()> {
        let refused = |problem| GraphError::Objective { name: "trajectory".into(), problem, at };
        self.costs.tape().check()?;
        for (name, share) in shares {
            if !(0.0..=1.0).contains(share) {
                return Err(refused(format!("expected a {name} from 0 to 1, got {share}")));
            }
        }
        let expected = self.costs.shape();
        if expected.len() != 1 || expected[0] == 0 {
            return Err(refused(format!("expected a vector of costs over the steps, got event shape {expected}")));
        }
        if needs_values && self.values.is_none() {
            return Err(refused("expected state values, got none; set them with .values(values, last)".into()));
        }
        let (values, last) = (self.values.map(|(values, _)| values), self.values.map(|(_, last)| last));
        for (name, found, expected) in
            [("ends", self.ends, &expected), ("values", values, &expected), ("last value", last, &Shape::scalar())]
        {
            if let Some(shape) = found.map(Var::shape).filter(|shape| shape != expected) {
                return Err(refused(format!("expected event shape {expected} of the {name}, got {shape}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    /// The definitions, forwards and step by step.
    fn by_definition(costs: &[f64], ends: &[f64], values: &[f64], share: [f64; 2]) -> [Vec<f64>; 2] {
        let ([discount, lambda], steps) = (share, costs.len());
        let from = |start: usize, term: &dyn Fn(usize) -> f64, weight: f64| {
            let (mut sum, mut factor) = (0.0, 1.0);
            for (t, end) in ends.iter().enumerate().skip(start) {
                sum += factor * term(t);
                factor *= weight * (1.0 - end);
            }
            (sum, factor)
        };
        let difference = |t: usize| costs[t] + discount * (1.0 - ends[t]) * values[t + 1] - values[t];
        let returns = |t: usize| {
            let (sum, factor) = from(t, &|t| costs[t], discount);
            sum + factor * values[steps]
        };
        let advantage = |t: usize| from(t, &difference, discount * lambda).0;
        [(0..steps).map(returns).collect(), (0..steps).map(advantage).collect()]
    }

    #[test]
    fn results_are_those_of_the_definitions_on_plates() {
        let tape = Tape::<f64>::new();
        let plate = tape.plate("members", 2, stochgrad_tape::PlateKind::Data, &[]);
        let costs = [[1.0, -0.5, 2.0, 0.3], [0.2, 0.7, -1.0, 4.0]];
        let ends = [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        let values = [[0.4, 0.1, -0.7, 1.5, 0.9], [2.0, -0.3, 0.6, 0.5, -1.2]];
        let on = |rows: &[&[f64]]| {
            let width = rows[0].len();
            tape.constant_on(&[plate], Tensor::from_fn([2, width], |at| rows[at / width][at % width]))
        };
        let all = on(&values.each_ref().map(|row| &row[..]));
        let trajectory = Trajectory::new(on(&costs.each_ref().map(|row| &row[..])))
            .ends(on(&ends.each_ref().map(|row| &row[..])))
            .values(all.slice(0, 0..4), all.index(0, 4));
        for share in [[1.0, 1.0], [0.9, 0.5], [0.99, 0.0], [0.0, 0.7]] {
            let [discount, lambda] = share;
            let found = [
                trajectory.returns(discount).unwrap().peek().unwrap(),
                trajectory.advantages(discount, lambda).unwrap().peek().unwrap(),
            ];
            let targets = trajectory.lambda_returns(discount, lambda).unwrap().peek().unwrap();
            for row in 0..2 {
                let expected = by_definition(&costs[row], &ends[row], &values[row], share);
                for (t, value) in values[row].iter().take(4).enumerate() {
                    for (found, expected) in found.iter().zip(&expected) {
                        assert!((found.get(&[row, t]).unwrap() - expected[t]).abs() < 1e-12, "{share:?}");
                    }
                    assert!((targets.get(&[row, t]).unwrap() - expected[1][t] - value).abs() < 1e-12, "{share:?}");
                }
            }
        }
        // With λ = 1, the advantage is the return minus the value.
        let (returns, advantages) = (trajectory.returns(0.9).unwrap(), trajectory.lambda_returns(0.9, 1.0).unwrap());
        let apart = (returns - advantages).abs().max().peek().unwrap();
        assert!(apart.as_slice().iter().all(|x| *x < 1e-12));
    }

    #[test]
    fn results_are_constants_to_derivatives() {
        let tape = Tape::<f64>::new();
        let costs = tape.parameter(Tensor::from([1.0, 2.0]));
        let trajectory = Trajectory::new(costs).values(costs * 0.5, costs.index(0, 0));
        for result in [trajectory.returns(0.9), trajectory.advantages(0.9, 0.5), trajectory.lambda_returns(0.9, 0.5)] {
            let [slope] = tape.backward(result.unwrap().sum(), [costs]).unwrap();
            assert_eq!(slope.as_slice(), &[0.0, 0.0]);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let tape = Tape::<f64>::new();
        let trajectory = Trajectory::new(tape.constant([1.0, 2.0]));
        let message = |result: GraphResult<Var<'_, f64>>| result.unwrap_err().to_string();
        assert!(message(trajectory.returns(1.5)).contains("expected a discount from 0 to 1, got 1.5"));
        assert!(message(trajectory.advantages(0.9, 0.5)).contains(".values(values, last)"));
        let values = trajectory.values(tape.constant([1.0, 2.0]), tape.constant(0.0));
        assert!(message(values.advantages(0.9, f64::NAN)).contains("expected a lambda from 0 to 1, got NaN"));
        let short = trajectory.ends(tape.constant([0.0]));
        assert!(message(short.returns(0.9)).contains("event shape [2] of the ends, got [1]"));
        assert!(message(Trajectory::new(tape.constant(1.0)).returns(0.9)).contains("a vector of costs"));
    }
}
