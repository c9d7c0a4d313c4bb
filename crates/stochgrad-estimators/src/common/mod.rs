//! What methods of several families share.

pub(crate) mod cost_learner;
pub(crate) mod element_changes;
pub(crate) mod learned_parameters;
pub(crate) mod member_gradients;
pub(crate) mod running_means;
pub(crate) mod sampling;
pub(crate) mod state_parts;
pub(crate) mod surrogate_network;
