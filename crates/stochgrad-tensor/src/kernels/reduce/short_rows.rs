use crate::kernels::broadcast::repeat;
use crate::kernels::fold::{BLOCK, Fold, fold_rows, shift_of};
use crate::real::Real;
use crate::simd::dispatch;

/// Rows up to this length are done many at a time: the exponentials of one alone would leave most of a register empty.
pub(crate) const SHORT: usize = 64;

/// A block of rows of at most [`SHORT`] elements on the way to their sums of exponentials.
pub(crate) struct ShortRows<F> {
    /// For each row, what is subtracted from its elements, and the sum of their exponentials then.
    pub(crate) shifts: [F; BLOCK],
    pub(crate) sums: [F; BLOCK],
    /// Something of each row, at each of its elements.
    pub(crate) spread: [F; BLOCK],
    pub(crate) centred: [F; BLOCK],
    pub(crate) masses: [F; BLOCK],
}

impl<F: Real> ShortRows<F> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        let zeros = [F::ZERO; BLOCK];
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
        repeat(size, shifts, &mut self.spread[..len]);
        for (out, (&x, &shift)) in self.centred.iter_mut().zip(x.iter().zip(&self.spread)) {
            *out = x - shift;
        }
        exp_of_body::<FMA, F>(&mut self.masses[..len], &self.centred[..len], F::ZERO);
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
