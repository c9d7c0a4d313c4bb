//! One attempt of a rejection sampler at each of several elements, vectorised.
//!
//! Each function takes the noise of the attempt, and says for each element which value the attempt proposes and whether
//! it is rejected.

mod arc_sine;
mod gamma;
mod von_mises;

pub use gamma::{LOG_GAMMA_SERIES, log_gamma};
pub use von_mises::von_mises;
