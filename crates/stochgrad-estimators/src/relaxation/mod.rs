//! Continuous relaxations of discrete samples, and straight-through gradients.

pub(crate) mod fini;
pub(crate) mod gapped_straight_through;
pub(crate) mod generalized_gumbel_softmax;
pub(crate) mod gumbel_rao;
pub(crate) mod gumbel_sinkhorn;
pub(crate) mod gumbel_softmax;
pub(crate) mod hard_samples;
pub(crate) mod implicit_mle;
pub(crate) mod linear_solver;
pub(crate) mod mve;
pub(crate) mod reinmax;
pub(crate) mod simple;
pub(crate) mod simplex_map;
pub(crate) mod straight_through;
pub(crate) mod temperature;
