//! The value of a policy from data that another policy has logged.
//!
//! A log contains what was decided: the context or state, the action, its *propensity* (the probability with which the
//! logging policy $\beta$ chose it) and the reward. With the ratio $\rho_t = \pi(a_t | s_t) / \beta(a_t | s_t)$ of the
//! target policy $\pi$, and $P_t = \prod_{u \le t} \rho_u$, the value of the target policy is estimated by
//!
//! | estimator | one logged trajectory contributes | bias |
//! |---|---|---|
//! | [inverse propensity](LoggedData::inverse_propensity) | $P_{T-1} \sum_t \gamma^t r_t$ | none |
//! | [per decision](LoggedData::per_decision) | $\sum_t \gamma^t P_t r_t$ | none |
//! | [doubly robust](LoggedData::doubly_robust) | $\sum_t \gamma^t \big(P_t (r_t - \hat q_t) + P_{t-1} \hat v_t\big)$ | none |
//! | [self-normalised](LoggedData::self_normalized) | weights are divided by their mean | of order $1/n$ |
//! | [truncated](LoggedData::truncated) | $\min(P_t, c)$ in place of $P_t$ | where a weight exceeds $c$ |
//! | [clipped objective](LoggedAction::clipped_objective) | $\min\big(\rho A, \operatorname{clip}(\rho) A\big)$ | where a ratio is clipped |
//!
//! The contributions are recorded functions of the parameters of the target policy. The log is data, so that derivatives
//! of every order of an unbiased estimate are unbiased: $\nabla^n \rho = \nabla^n \pi / \beta$. Biased estimators say so
//! in the guarantee.

pub(crate) mod action_value_model;
pub(crate) mod doubly_robust;
pub(crate) mod inverse_propensity;
pub(crate) mod logged_action;
pub(crate) mod logged_data;
pub(crate) mod self_normalized;
pub(crate) mod value_estimate;
pub(crate) mod weight_diagnostics;

#[cfg(doc)]
use crate::off_policy::{logged_action::LoggedAction, logged_data::LoggedData};
