//! Rows of tables at given positions, and the adjoint of this choice.

use smallvec::SmallVec;

use crate::kernels::broadcast::BroadcastIter;
use crate::kernels::layout::position::position;
use crate::parallel::{ARITHMETIC, PIECE, fill, threads_for};
use crate::real::Real;
use crate::simd::dispatch;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// The rows of tables at given positions. The first `batch` axes of both operands broadcast. Then a table has the axes
/// `[entries, width]`, and `index` has any axes; the result has those of `index`, followed by `width`. The row is NaN
/// where the index is not an integer in 0..entries.
///
/// ```
/// use stochgrad_tensor::layout::lookup;
/// use stochgrad_tensor::{Pool, Tensor};
///
/// let table = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
/// let rows = lookup(&Pool::new(), &table, &Tensor::from([2.0, 0.0]), 0);
/// assert_eq!(rows, Tensor::from([[5.0, 6.0], [1.0, 2.0]]));
/// ```
///
/// # Panics
/// If `table` does not have the rank `batch + 2`, or the first axes do not broadcast.
pub fn lookup<F: Real>(pool: &Pool<F>, table: &Tensor<F>, index: &Tensor<F>, batch: usize) -> Tensor<F> {
    let (tables, entries, width) = parts(table, batch);
    let lead = joint(&tables, index.shape(), batch);
    let mut out = pool.take(lead.iter().copied().chain([width]).collect());
    if out.is_empty() {
        return out;
    }
    let places = Places { lead: &lead, tables: &tables, index: index.shape() };
    let (table, index) = (table.as_slice(), index.as_slice());
    if places.plain() {
        let threads = threads_for(pool.threads(), out.len(), ARITHMETIC);
        fill(threads, out.make_mut(), PIECE.div_ceil(width) * width, |start, out| {
            let index = &index[start / width..];
            for (row, &index) in out.chunks_exact_mut(width).zip(index) {
                copy(row, table, position(index, entries));
            }
        });
        return out;
    }
    let data = out.make_mut();
    places.visit(|to, number, at| {
        let from = position(index[at], entries).map(|entry| number * entries + entry);
        copy(&mut data[to * width..(to + 1) * width], table, from);
    });
    out
}

/// Adds rows to tables, which start as zeros: the adjoint of [`lookup`]. `x` has the axes of the result of a look-up
/// and `index` those of its index. The result has the shape `tables`, whose first `batch` axes broadcast to those of
/// `x`. Rows are added in the order of their positions in `x`. An index that is not an integer in 0..entries is
/// ignored.
///
/// # Panics
/// If `tables` does not have the rank `batch + 2`, its width is not that of `x`, or the axes do not broadcast to those
/// of `x`.
pub fn lookup_add<F: Real>(
    pool: &Pool<F>,
    x: &Tensor<F>,
    index: &Tensor<F>,
    batch: usize,
    tables: &Shape,
) -> Tensor<F> {
    let mut out = pool.full(tables.clone(), F::ZERO);
    let (numbers, entries, width) = parts(&out, batch);
    let Some((&last, lead)) = x.shape().split_last() else { panic!("expected rows to add, got a scalar") };
    let lead = Shape::from(lead);
    assert!(
        last == width && joint(&numbers, index.shape(), batch) == lead,
        "cannot add rows of shape {} at an index of shape {} to tables of shape {tables}",
        x.shape(),
        index.shape()
    );
    if out.is_empty() || x.is_empty() {
        return out;
    }
    let places = Places { lead: &lead, tables: &numbers, index: index.shape() };
    let (x, index) = (x.as_slice(), index.as_slice());
    if places.plain() {
        let threads = threads_for(pool.threads(), x.len(), ARITHMETIC);
        // Each thread adds to some of the entries, in the order of the positions.
        let piece = entries.div_ceil(threads).max(1) * width;
        fill(threads, out.make_mut(), piece, |start, out| add_rows(x, index, start / width, width, out));
        return out;
    }
    let data = out.make_mut();
    places.visit(|from, number, at| {
        if let Some(entry) = position(index[at], entries) {
            let to = (number * entries + entry) * width;
            add_rows(&x[from * width..(from + 1) * width], &[F::ZERO], 0, width, &mut data[to..to + width]);
        }
    });
    out
}

/// The shape of the batch of tables, and the sizes of a table.
fn parts<F: Real>(table: &Tensor<F>, batch: usize) -> (Shape, usize, usize) {
    let shape = table.shape();
    assert_eq!(shape.rank(), batch + 2, "expected tables with {batch} axes before those of a table, got {shape}");
    (Shape::from(&shape[..batch]), shape[batch], shape[batch + 1])
}

/// The axes of the index, the first ones broadcast with those of the tables.
fn joint(tables: &Shape, index: &Shape, batch: usize) -> Shape {
    assert!(index.rank() >= batch, "expected an index with at least {batch} axes, got {index}");
    match Shape::broadcast(tables, &Shape::from(&index[..batch])) {
        Some(first) => first.iter().chain(&index[batch..]).copied().collect(),
        None => panic!("cannot look up an index of shape {index} in tables of batch shape {tables}"),
    }
}

#[inline(always)]
fn copy<F: Real>(row: &mut [F], table: &[F], from: Option<usize>) {
    match from {
        Some(from) => row.copy_from_slice(&table[from * row.len()..(from + 1) * row.len()]),
        None => row.fill(F::NAN),
    }
}

dispatch! {
    /// Adds rows to the entries from `first` on that `out` holds.
    fn add_rows<F: Real>(x: &[F], index: &[F], first: usize, width: usize, out: &mut [F]) = add_rows_body;
}

#[inline(always)]
fn add_rows_body<const FMA: bool, F: Real>(x: &[F], index: &[F], first: usize, width: usize, out: &mut [F]) {
    let last = first + out.len() / width;
    for (x, &index) in x.chunks_exact(width).zip(index) {
        if let Some(entry) = position(index, last)
            && entry >= first
        {
            let to = (entry - first) * width;
            for (out, &x) in out[to..to + width].iter_mut().zip(x) {
                *out += x;
            }
        }
    }
}

/// Where the rows of a result, the tables and the index lie.
struct Places<'a> {
    lead: &'a Shape,
    tables: &'a Shape,
    index: &'a Shape,
}

impl Places<'_> {
    /// Whether there is one table, and one position for each row.
    fn plain(&self) -> bool {
        self.tables.numel() == 1 && self.lead == self.index
    }

    /// Calls `visit(row, table, position of the index)` in the order of the rows.
    fn visit(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let ones = self.lead.rank() - self.tables.rank();
        let tables: SmallVec<[usize; 8]> = self.tables.iter().copied().chain(std::iter::repeat_n(1, ones)).collect();
        let iter = BroadcastIter::new(self.lead, [&Shape::from(tables.as_slice()), self.index]);
        iter.for_rows(0, iter.rows(), |row, [table, index]| {
            for i in 0..iter.inner {
                visit(row * iter.inner + i, table + i * iter.steps[0], index + i * iter.steps[1]);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::reduce::sum_to;
    use crate::testing::{same_bits, scrambled, tensor_of};

    proptest! {
        #[test]
        fn lookups_and_their_adjoints_agree_with_index_arithmetic(
            sizes in prop::collection::vec(1..4_usize, 0..3),
            ones in any::<[[bool; 2]; 2]>(),
            event in prop::collection::vec(0..4_usize, 0..3),
            [entries, width] in [1..5_usize, 0..6],
        ) {
            let (pool, batch) = (Pool::new(), sizes.len());
            let lead = |which: usize| -> Vec<usize> {
                sizes.iter().zip(ones[which]).map(|(&size, one)| if one { 1 } else { size }).collect()
            };
            let table = scrambled(&[lead(0), vec![entries, width]].concat());
            let index = Tensor::from_fn([lead(1), event.clone()].concat(), |i| ((i * 7 + 3) % entries) as f64);
            let found = lookup(&pool, &table, &index, batch);
            let clipped = |shape: &[usize], at: &[usize]| -> Vec<usize> {
                shape.iter().zip(at).map(|(&size, &i)| if size == 1 { 0 } else { i }).collect()
            };
            let shape = found.shape().clone();
            let expected = tensor_of(&shape, |at| {
                let (&column, at) = at.split_last().unwrap();
                let mut place = clipped(&index.shape()[..batch], &at[..batch]);
                place.extend(&at[batch..]);
                let entry = index.get(&place).unwrap() as usize;
                let mut place = clipped(&table.shape()[..batch], &at[..batch]);
                place.extend([entry, column]);
                table.get(&place).unwrap()
            });
            prop_assert_eq!(&found, &expected);
            // <y, lookup(t)> = <lookup_add(y), t>
            let y = found.map(|x| (x * 2.0).cos());
            let back = lookup_add(&pool, &y, &index, batch, table.shape());
            let dot = |a: &Tensor<f64>, b: &Tensor<f64>| -> f64 {
                a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| a * b).sum()
            };
            prop_assert!((dot(&y, &found) - dot(&back, &table)).abs() < 1e-9);
            // Tables for each member, summed afterwards, are the same.
            let each: Shape = shape[..batch].iter().copied().chain([entries, width]).collect();
            let separate = lookup_add(&pool, &y, &index, batch, &each);
            let separate = sum_to(&pool, &separate, table.shape());
            prop_assert!(separate.max_abs_difference(&back).is_some_and(|largest| largest < 1e-9));
        }
    }

    #[test]
    fn bad_positions_give_nan_and_add_nothing() {
        let pool = Pool::new();
        let table = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
        let index = Tensor::from([1.0, 2.0, -1.0, 0.5, f64::NAN]);
        let rows = lookup(&pool, &table, &index, 0);
        assert_eq!(rows.to_vec()[..2], [3.0, 4.0]);
        assert!(rows.to_vec()[2..].iter().all(|x| x.is_nan()));
        let sums = lookup_add(&pool, &Tensor::ones([5, 2]), &index, 0, &Shape::from([2, 2]));
        assert_eq!(sums.to_vec(), [0.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (one, three) = (Pool::new(), Pool::with_threads(3));
        let index = Tensor::from_fn([20_011], |i| ((i * i + 3 * i) % 101) as f64);
        let (table, x) = (scrambled(&[101, 9]), scrambled(&[20_011, 9]));
        assert!(same_bits(&lookup(&one, &table, &index, 0), &lookup(&three, &table, &index, 0)));
        let sums = |pool: &Pool<f64>| lookup_add(pool, &x, &index, 0, table.shape());
        assert!(same_bits(&sums(&one), &sums(&three)));
    }
}
