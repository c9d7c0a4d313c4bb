//! Floats as positions of an axis.

use crate::real::Real;

/// The position that a float represents, if it is an integer in 0..`size`.
#[inline]
pub(crate) fn position<F: Real>(index: F, size: usize) -> Option<usize> {
    let index = index.to_f64();
    let whole = index as usize;
    (index >= 0.0 && whole as f64 == index && whole < size).then_some(whole)
}
