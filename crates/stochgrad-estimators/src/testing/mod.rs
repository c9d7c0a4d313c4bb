//! Models and lists of methods that several tests use, and tests of all methods together.

pub(crate) mod category_models;
mod compiled_replays;
mod impossible_outcomes;
pub(crate) mod models;
mod sampling_schemes;
mod scheme_groups;
mod scheme_quantiles;
mod varying_parameters;
