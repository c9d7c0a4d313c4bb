//! Scores of distributions without a known density, estimated from samples or learned.

pub(crate) mod implicit_entropy;
pub(crate) mod kernel_width;
pub(crate) mod leading_eigenvectors;
pub(crate) mod pairs;
pub(crate) mod score_matching;
pub(crate) mod spectral_stein;
pub(crate) mod stein_gradient;
