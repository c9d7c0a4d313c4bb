//! What methods of several families share.

pub(crate) mod cost_learner;
pub(crate) mod learned_parameters;
pub(crate) mod member_gradients;
pub(crate) mod potential;
pub(crate) mod running_means;
pub(crate) mod running_moments;
pub(crate) mod sampling;
pub(crate) mod surrogate_network;
pub(crate) mod unrolled;
