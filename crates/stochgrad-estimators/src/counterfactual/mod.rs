//! Methods that compare the cost of the sample with the costs of alternatives to it.

pub(crate) mod bit_flip;
pub(crate) mod discrete_go;
pub(crate) mod evolution_strategy;
pub(crate) mod finite_difference;
pub(crate) mod forwarded;
pub(crate) mod measure_valued;
pub(crate) mod perturbation;
pub(crate) mod picked_element;
pub(crate) mod random_directions;
pub(crate) mod replay_budget;
pub(crate) mod reservoir;
pub(crate) mod shared_replays;
pub(crate) mod shifted_parameters;
pub(crate) mod smoothed;
pub(crate) mod spsa;
pub(crate) mod stochastic_derivatives;
