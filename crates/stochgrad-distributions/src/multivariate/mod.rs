//! Distributions of vectors and matrices.

pub(crate) mod dirichlet;
pub(crate) mod dirichlet_multinomial;
pub(crate) mod inverse_wishart;
pub(crate) mod k_subset;
pub(crate) mod lkj;
pub(crate) mod low_rank_multivariate_normal;
pub(crate) mod matrix_normal;
pub(crate) mod multinomial;
pub(crate) mod multivariate_normal;
pub(crate) mod multivariate_student_t;
pub(crate) mod plackett_luce;
pub(crate) mod power_spherical;
pub(crate) mod ranking_relaxation;
pub(crate) mod relaxed_one_hot_categorical;
pub(crate) mod sphere;
pub(crate) mod von_mises_fisher;
pub(crate) mod wishart;

pub use dirichlet::Dirichlet;
pub use dirichlet_multinomial::DirichletMultinomial;
pub use inverse_wishart::InverseWishart;
pub use k_subset::KSubset;
pub use lkj::Lkj;
pub use low_rank_multivariate_normal::LowRankMultivariateNormal;
pub use matrix_normal::MatrixNormal;
pub use multinomial::Multinomial;
pub use multivariate_normal::MultivariateNormal;
pub use multivariate_student_t::MultivariateStudentT;
pub use plackett_luce::PlackettLuce;
pub use power_spherical::PowerSpherical;
pub use relaxed_one_hot_categorical::RelaxedOneHotCategorical;
pub use von_mises_fisher::VonMisesFisher;
pub use wishart::Wishart;
