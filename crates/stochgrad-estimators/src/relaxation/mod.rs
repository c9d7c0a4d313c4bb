//! Continuous relaxations of discrete samples, and straight-through gradients.

pub(crate) mod fini;
pub(crate) mod gapped_straight_through;
pub(crate) mod gumbel_rao;
pub(crate) mod gumbel_softmax;
pub(crate) mod hard_samples;
pub(crate) mod mve;
pub(crate) mod reinmax;
pub(crate) mod simplex_map;
pub(crate) mod straight_through;
pub(crate) mod temperature;
