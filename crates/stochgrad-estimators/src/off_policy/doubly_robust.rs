//! Doubly robust estimates: a model of the action values, corrected by weighted residuals. Use it whenever a model can be
//! fitted to another part of the log.
//!
//! $$\hat V = \sum_t \gamma^t \Big(P_{t-1}\, \hat v(s_t) + P_t \big(r_t - \hat q(s_t, a_t)\big)\Big), \qquad
//!     \hat v(s) = \mathbb E_{a \sim \pi}\, \hat q(s, a), \quad P_{-1} = 1.$$
//!
//! This is the recursion $D_t = \hat v_t + \rho_t (r_t + \gamma D_{t+1} - \hat q_t)$ of Jiang and Li (2016), written
//! as a sum; for a single step it is the estimator of Dudík, Langford and Li (2011). With right propensities the mean is
//! the value for every model, and with a right model the propensities may be wrong. A bad model can have a larger
//! variance than none.
//!
//! | | |
//! |---|---|
//! | bias | none, if the model was not fitted to the same samples |
//! | order | any |
//! | needs | propensities, and a model: [`ActionValueModel`](crate::ActionValueModel) |

use crate::off_policy::logged_data::LoggedData;
use stochgrad_graph::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

impl<'t, F: Real> LoggedData<'_, 't, F> {
    /// The doubly robust contribution of each logged sample. Unbiased at every order.
    ///
    /// # Errors
    /// For a step without a model, for a discount or a limit outside its domain, and for earlier errors on the tape.
    pub fn doubly_robust(&self) -> GraphResult<Var<'t, F>> {
        let weights = self.cumulative()?;
        let mut models = Vec::with_capacity(self.steps.len());
        for (t, step) in self.steps.iter().enumerate() {
            models.push(step.model.ok_or_else(|| {
                self.error(format!(
                    "expected a model of the action values at step {t}, got none; set it with .model(ActionValueModel), or \
                     use per_decision"
                ))
            })?);
        }
        self.finish(self.discounted_sum(|t, step| {
            let model = models[t];
            let expected = if t == 0 { model.expected } else { weights[t - 1] * model.expected };
            expected + weights[t] * (step.reward - model.chosen)
        }))
    }
}
