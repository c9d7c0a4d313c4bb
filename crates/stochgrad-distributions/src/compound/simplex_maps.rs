//! Helpers of the maps from vectors to the simplex.

use crate::compound::vectors::last_of;
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Tensor};

/// The vector with a 0 at its end.
pub(crate) fn with_zero<'t, F: Real>(x: Var<'t, F>) -> Var<'t, F> {
    let size = last_of(x) + 1;
    let padded = x.index_select(-1, &(0..size).chain([0]).collect::<Vec<_>>());
    let keep = Tensor::from_fn([size + 1], |i| if i < size { F::ONE } else { F::ZERO });
    padded * x.tape().constant(&keep)
}

/// The sums from each element to the last one.
pub(crate) fn reverse_cumsum<F: Real>(x: Var<'_, F>) -> Var<'_, F> {
    let size = last_of(x) + 1;
    let reversed: Vec<usize> = (0..size).rev().collect();
    x.index_select(-1, &reversed).cumsum(-1).index_select(-1, &reversed)
}

/// ln(n − k): with these offsets the zero vector breaks into equal shares.
pub(crate) fn stick_offsets<'t, F: Real>(x: Var<'t, F>, sticks: usize) -> Var<'t, F> {
    let offsets = Tensor::from_fn([sticks], |k| F::from_f64(((sticks - k) as f64).ln()));
    x.tape().constant(&offsets)
}

/// The logarithms of the shares, the last one included.
pub(crate) fn stick_logs<'t, F: Real>(x: Var<'t, F>) -> Var<'t, F> {
    let sticks = last_of(x) + 1;
    let shifted = x - stick_offsets(x, sticks);
    // ln(1 − z), and its sums over the earlier shares.
    let rest = -shifted.softplus();
    let before = with_zero(rest).cumsum(-1);
    let shift: Vec<usize> = [sticks].into_iter().chain(0..sticks).collect();
    let before = before.index_select(-1, &shift)
        * x.tape().constant(Tensor::from_fn([sticks + 1], |i| if i == 0 { F::ZERO } else { F::ONE }));
    with_zero(shifted.log_sigmoid()) + before
}
