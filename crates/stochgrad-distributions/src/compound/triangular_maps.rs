//! Lower triangular matrices as vectors of their elements, row by row.

use crate::compound::vectors::last_of;
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape, Tensor};

/// The rows of a triangle with this many elements.
pub(crate) fn rows_of(elements: usize) -> usize {
    (((8 * elements + 1) as f64).sqrt() as usize).saturating_sub(1) / 2
}

/// The positions of the diagonal in a lower triangle, row by row.
pub(crate) fn diagonal(rows: usize) -> Vec<usize> {
    (0..rows).map(|row| row * (row + 3) / 2).collect()
}

pub(crate) fn lower_triangle<'t, F: Real>(x: Var<'t, F>) -> Var<'t, F> {
    let elements = last_of(x) + 1;
    let rows = rows_of(elements);
    let at = |row: usize, column: usize| row * (row + 1) / 2 + column;
    let cells = (0..rows * rows).map(|cell| (cell / rows, cell % rows));
    let positions: Vec<usize> = cells.map(|(row, column)| if column <= row { at(row, column) } else { 0 }).collect();
    let mask = |keep: fn(usize, usize) -> bool| {
        let mask = Tensor::from_fn([rows * rows], |cell| if keep(cell / rows, cell % rows) { F::ONE } else { F::ZERO });
        x.tape().constant(&mask)
    };
    let square = x.index_select(-1, &positions);
    let below = square * mask(|row, column| column < row);
    // Only the diagonal enters the exponential, so that no other element can overflow.
    let on = mask(|row, column| column == row);
    let filled = below + (square * on).exp() * on;
    let shape: Shape = x.shape().iter().take(x.shape().len() - 1).copied().chain([rows, rows]).collect();
    filled.reshape(shape)
}

pub(crate) fn lower_elements<'t, F: Real>(y: Var<'t, F>) -> Var<'t, F> {
    let rows = last_of(y) + 1;
    let shape: Shape = y.shape().iter().take(y.shape().len().saturating_sub(2)).copied().chain([rows * rows]).collect();
    let positions: Vec<usize> = (0..rows).flat_map(|row| (0..=row).map(move |column| row * rows + column)).collect();
    let elements = y.reshape(shape).index_select(-1, &positions);
    let diagonal = diagonal(rows);
    let on =
        y.tape().constant(Tensor::from_fn([positions.len()], |i| if diagonal.contains(&i) { F::ONE } else { F::ZERO }));
    let one = y.tape().constant(1.0);
    on.select(on.select(elements, one).ln(), elements)
}
