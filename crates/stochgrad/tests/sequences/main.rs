//! Sequences of tokens against two models that are small enough to list: log-probabilities, searches, and estimators,
//! against sums over all sequences in host code and against known values.

mod cases;
mod refusals;
mod sampled;
mod searches;
mod sets;
