//! Methods whose samples are drawn in dependent pairs or sets.

pub(crate) mod antithetic_bits;
pub(crate) mod arm;
pub(crate) mod arms;
pub(crate) mod ars;
pub(crate) mod arsm;
pub(crate) mod carms;
pub(crate) mod categorical_disarm;
pub(crate) mod copula;
pub(crate) mod decisions;
pub(crate) mod disarm;
pub(crate) mod swaps;
pub(crate) mod ugc;
