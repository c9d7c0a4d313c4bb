//! Distributions of vectors and matrices.

pub(crate) mod dirichlet;
pub(crate) mod k_subset;
pub(crate) mod lkj;
pub(crate) mod low_rank_multivariate_normal;
pub(crate) mod multinomial;
pub(crate) mod multivariate_normal;
pub(crate) mod plackett_luce;
pub(crate) mod ranking_relaxation;
pub(crate) mod relaxed_one_hot_categorical;
pub(crate) mod wishart;

pub use dirichlet::Dirichlet;
pub use k_subset::KSubset;
pub use lkj::Lkj;
pub use low_rank_multivariate_normal::LowRankMultivariateNormal;
pub use multinomial::Multinomial;
pub use multivariate_normal::MultivariateNormal;
pub use plackett_luce::PlackettLuce;
pub use relaxed_one_hot_categorical::RelaxedOneHotCategorical;
pub use wishart::Wishart;
