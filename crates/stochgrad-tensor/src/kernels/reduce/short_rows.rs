//! Exponentials of many short rows at a time, for softmax and log-sum-exp.

use crate::kernels::broadcast::repeat;
use crate::kernels::fold::{Fold, LANES, fold_rows, shift_of};
use crate::real::Real;
use crate::simd::dispatch;

/// Rows up to this length are processed many at a time, since the exponentials of one row would not fill the registers.
pub(crate) const SHORT: usize = 64;

/// Buffers for the sums of exponentials of rows of at most [`SHORT`] elements, for up to `N` elements at a time. They
/// are filled with zeros first, which takes as long as the sums if there are many more of them than elements.
pub(crate) struct ShortRows<F, const N: usize> {
    /// For each row, the shift that is subtracted from its elements.
    pub(crate) shifts: [F; N],
    /// For each row, the sum of the exponentials of its shifted elements.
    pub(crate) sums: [F; N],
    /// A value of each row, repeated for each of its elements.
    pub(crate) spread: [F; N],
    /// The shifted elements.
    pub(crate) centred: [F; N],
    /// The exponentials of the shifted elements.
    pub(crate) masses: [F; N],
}

impl<F: Real, const N: usize> ShortRows<F, N> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        let zeros = [F::ZERO; N];
        ShortRows { shifts: zeros, sums: zeros, spread: zeros, centred: zeros, masses: zeros }
    }

    #[inline(always)]
    pub(crate) fn exponentiate<const FMA: bool>(&mut self, size: usize, x: &[F]) {
        let (len, rows) = (x.len(), x.len() / size);
        let shifts = &mut self.shifts[..rows];
        fold_rows(Fold::Max, size, x, shifts);
        for shift in shifts.iter_mut() {
            *shift = shift_of(*shift);
        }
        if size == LANES {
            let masses = self.masses[..len].as_chunks_mut::<LANES>().0;
            let rows = masses.iter_mut().zip(self.centred.as_chunks_mut::<LANES>().0).zip(x.as_chunks::<LANES>().0);
            for (((masses, centred), x), &shift) in rows.zip(&self.shifts) {
                for lane in 0..LANES {
                    centred[lane] = x[lane] - shift;
                    masses[lane] = centred[lane].exp_fast::<FMA>();
                }
            }
        } else {
            repeat(size, shifts, &mut self.spread[..len]);
            for (out, (&x, &shift)) in self.centred.iter_mut().zip(x.iter().zip(&self.spread)) {
                *out = x - shift;
            }
            exp_of_body::<FMA, F>(&mut self.masses[..len], &self.centred[..len], F::ZERO);
        }
        fold_rows(Fold::Sum, size, &self.masses[..len], &mut self.sums[..rows]);
    }
}

dispatch! {
    /// exp(x − shift)
    pub(crate) fn exp_of<F: Real>(out: &mut [F], x: &[F], shift: F) = exp_of_body;
}

#[inline(always)]
fn exp_of_body<const FMA: bool, F: Real>(out: &mut [F], x: &[F], shift: F) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = (x - shift).exp_fast::<FMA>();
    }
}
