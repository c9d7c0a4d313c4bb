//! Inverse propensity scoring: rewards weighted by the probability ratio of the target policy and the logging policy.
//! Use it for short horizons and logging policies that are not far from the target.
//!
//! $$\hat V = P_{T-1} \sum_t \gamma^t r_t, \qquad \hat V = \sum_t \gamma^t P_t\, r_t, \qquad
//!     P_t = \prod_{u \le t} \frac{\pi(a_u | s_u)}{\beta(a_u | s_u)}.$$
//!
//! The second form, per decision, leaves out the ratios of later actions, which have mean 1 and cannot affect an earlier
//! reward (Precup, Sutton and Singh 2000). For a single step both are the estimator of Horvitz and Thompson (1952).
//!
//! | | whole trajectory | per decision |
//! |---|---|---|
//! | bias | none | none |
//! | order | any | any |
//! | needs | propensities | propensities |

use crate::off_policy::logged_data::LoggedData;
use stochgrad_graph::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

impl<'t, F: Real> LoggedData<'_, 't, F> {
    /// The sum of the rewards times the weight of the whole trajectory, for each logged sample. Unbiased at every order;
    /// the variance grows exponentially with the number of steps.
    ///
    /// # Errors
    /// For a discount or a limit outside its domain, and for earlier errors on the tape.
    pub fn inverse_propensity(&self) -> GraphResult<Var<'t, F>> {
        let weights = self.weights()?;
        self.finish(weights * self.discounted_sum(|_, step| step.reward))
    }

    /// The sum of the rewards, each times the weight of the trajectory up to its step, for each logged sample. Unbiased
    /// at every order.
    ///
    /// # Errors
    /// As [`inverse_propensity`](Self::inverse_propensity).
    pub fn per_decision(&self) -> GraphResult<Var<'t, F>> {
        let weights = self.cumulative()?;
        self.finish(self.discounted_sum(|t, step| weights[t] * step.reward))
    }
}
