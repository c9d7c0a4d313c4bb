//! Methods that sum over states: over all of them, or over a set drawn without replacement.

pub(crate) mod boundary;
pub(crate) mod constant_support;
pub(crate) mod distinct_states;
pub(crate) mod enumerate;
pub(crate) mod local_expectation;
pub(crate) mod sequence_set;
pub(crate) mod set_probabilities;
pub(crate) mod sum_and_sample;
pub(crate) mod unordered_set;
pub(crate) mod without_replacement;
