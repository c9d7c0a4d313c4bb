//! Self-normalised estimates: the weights are divided by their mean. Use them where weights vary much more than rewards,
//! and where an estimate outside the range of the rewards would be of no use.
//!
//! $$\hat V = \frac{\sum_i w_i R_i}{\sum_i w_i}, \qquad
//!     \text{or per decision} \quad \sum_t \gamma^t\, \frac{\sum_i P_{t,i}\, r_{t,i}}{\sum_i P_{t,i}}.$$
//!
//! The estimate is invariant under a constant that is added to all rewards. It is biased, of order $1/n$, and
//! consistent. The contribution of a sample is $\hat V + w_i (R_i - \hat V) / \bar w$: the contributions have the mean
//! $\hat V$, and their standard error is that of the delta method (Swaminathan and Joachims 2015; per decision: Precup,
//! Sutton and Singh 2000).
//!
//! | | |
//! |---|---|
//! | bias | of values and gradients, of order $1/n$; reported in the guarantee |
//! | order | any |
//! | needs | propensities, at least two samples |

use crate::expectations::independent_members::qualify_cost;
use crate::off_policy::logged_data::LoggedData;
use stochgrad_graph::GraphResult;
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::Real;

impl<'t, F: Real> LoggedData<'_, 't, F> {
    /// The self-normalised contributions of the logged samples along a plate, with the weights of whole trajectories.
    /// Their mean over the plate is the estimate.
    ///
    /// # Errors
    /// For a plate that the weights lack, whose members are weighted, or with a single member, for which the estimate
    /// would not depend on the policy; for weights that are all 0; for a discount or a limit outside its domain; and
    /// for earlier errors on the tape.
    pub fn self_normalized(&self, samples: Plate) -> GraphResult<Var<'t, F>> {
        let weights = self.weights()?;
        let estimate = self.normalize(weights, self.discounted_sum(|_, step| step.reward), samples)?;
        self.finish_biased(estimate, samples)
    }

    /// As [`self_normalized`](Self::self_normalized), with the weights of each step divided by their own mean.
    ///
    /// # Errors
    /// As [`self_normalized`](Self::self_normalized).
    pub fn self_normalized_per_decision(&self, samples: Plate) -> GraphResult<Var<'t, F>> {
        let weights = self.cumulative()?;
        let mut normalized = Vec::with_capacity(weights.len());
        for (step, weight) in self.steps.iter().zip(weights) {
            normalized.push(self.normalize(weight, step.reward, samples)?);
        }
        self.finish_biased(self.discounted_sum(|t, _| normalized[t]), samples)
    }

    fn normalize(&self, weights: Var<'t, F>, rewards: Var<'t, F>, samples: Plate) -> GraphResult<Var<'t, F>> {
        self.check_samples(weights, samples)?;
        let mean = weights.mean_over(samples);
        self.require_weight(mean)?;
        let estimate = (weights * rewards).mean_over(samples) / mean;
        Ok(estimate + weights * (rewards - estimate) / mean)
    }

    fn finish_biased(&self, estimate: Var<'t, F>, samples: Plate) -> GraphResult<Var<'t, F>> {
        let estimate = self.finish(estimate)?;
        let tape = self.graph.tape();
        let count = tape.whole_plate_size(samples);
        let because = format!(
            "importance weights are divided by their mean over {count} samples along plate \"{}\" ({}): a bias of order \
             1/{count}",
            tape.plate_name(samples),
            self.at
        );
        qualify_cost(self.graph, &[estimate], because);
        Ok(estimate)
    }
}
