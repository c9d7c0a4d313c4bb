//! The coefficients of the series, for code that evaluates the functions on other devices.
//!
//! ```
//! use stochgrad_tensor::special::tables::GAUSS_LEGENDRE;
//!
//! // Half of the nodes have half of the weights.
//! assert!((GAUSS_LEGENDRE.iter().map(|(_, weight)| weight).sum::<f64>() - 1.0).abs() < 1e-15);
//! ```

pub use super::bessel::DEBYE;
pub use super::gamma::{
    DIGAMMA_ASYMPTOTIC, DIGAMMA_AT_ROOT, DIGAMMA_ROOT, EULER, EULER_MACLAURIN, STIRLING, ZETA_MINUS_ONE,
};
pub use super::log_sinhc::COEFFICIENTS as LOG_SINHC;
pub use super::normal_quantile::{
    CENTRAL as NORMAL_QUANTILE_CENTRAL, MIDDLE as NORMAL_QUANTILE_MIDDLE, TAIL as NORMAL_QUANTILE_TAIL,
};
pub use super::quadrature::LEGENDRE as GAUSS_LEGENDRE;
pub use super::student_t::HEIGHT as STUDENT_T_HEIGHT;
