//! Moving elements: transposition, slices, concatenation, gathers and scatters.

use smallvec::SmallVec;

use crate::kernels::broadcast::BroadcastIter;
use crate::kernels::zip::fill_rows;
use crate::parallel::{TRANSCENDENTAL, threads_for};
use crate::real::Real;
use crate::simd::dispatch;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// The side of the square blocks in which a transposition walks.
const TILE: usize = 16;

/// Permutes axes: axis i of the result is axis `axes[i]` of `x`.
///
/// # Panics
/// If `axes` is not a permutation of the axes of `x`.
pub fn transpose<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axes: &[usize]) -> Tensor<F> {
    let rank = x.rank();
    let mut seen: SmallVec<[bool; 8]> = SmallVec::from_elem(false, rank);
    let valid = axes.len() == rank && axes.iter().all(|&axis| axis < rank && !std::mem::replace(&mut seen[axis], true));
    assert!(valid, "{axes:?} is not a permutation of the axes of shape {}", x.shape());
    let shape: Shape = axes.iter().map(|&axis| x.shape()[axis]).collect();
    if x.is_empty() {
        return pool.take(shape);
    }

    let strides = x.shape().strides();
    let mut merged: SmallVec<[(usize, usize); 6]> = SmallVec::new();
    for &axis in axes {
        let (size, stride) = (x.shape()[axis], strides[axis]);
        if size == 1 {
            continue;
        }
        match merged.last_mut() {
            Some(last) if last.1 == stride * size => *last = (last.0 * size, stride),
            _ => merged.push((size, stride)),
        }
    }
    let Some(last) = merged.pop().filter(|_| merged.len() > 1 || !merged.is_empty()) else {
        return x.clone().with_shape(shape);
    };
    let mut out = pool.take(shape);
    copy_strided(x.as_slice(), &merged, last, out.make_mut());
    out
}

/// Copies elements whose outer axes and last axis have the given (size, stride) in the source.
fn copy_strided<F: Real>(x: &[F], outer: &[(usize, usize)], last: (usize, usize), out: &mut [F]) {
    let (columns, column_stride) = last;
    if column_stride == 1 {
        let mut at = 0;
        for_offsets(outer, |_, from| {
            out[at..at + columns].copy_from_slice(&x[from..from + columns]);
            at += columns;
        });
        return;
    }
    let near = outer.iter().position(|&(_, stride)| stride == 1).unwrap_or(outer.len() - 1);
    let (rows, row_stride) = outer[near];
    let row_step = outer[near + 1..].iter().map(|&(size, _)| size).product::<usize>() * columns;
    let mut others: SmallVec<[(usize, usize); 6]> = SmallVec::from_slice(outer);
    let mut steps: SmallVec<[(usize, usize); 6]> = SmallVec::new();
    let mut step = columns;
    for &(size, _) in outer.iter().rev() {
        steps.push((size, step));
        step *= size;
    }
    steps.reverse();
    others.remove(near);
    steps.remove(near);

    let mut bases: SmallVec<[usize; 16]> = SmallVec::new();
    for_offsets(&steps, |_, to| bases.push(to));
    for_offsets(&others, |index, from| {
        let to = bases[index];
        for row_block in (0..rows).step_by(TILE) {
            for column_block in (0..columns).step_by(TILE) {
                for row in row_block..rows.min(row_block + TILE) {
                    let begin = to + row * row_step;
                    let source = from + row * row_stride;
                    let end = columns.min(column_block + TILE);
                    for (column, out) in (column_block..end).zip(&mut out[begin + column_block..begin + end]) {
                        *out = x[source + column * column_stride];
                    }
                }
            }
        }
    });
}

/// Calls `visit(index, offset)` for every position of the axes (size, stride), in row-major order.
fn for_offsets(axes: &[(usize, usize)], mut visit: impl FnMut(usize, usize)) {
    let total: usize = axes.iter().map(|axis| axis.0).product();
    let mut position: SmallVec<[usize; 6]> = SmallVec::from_elem(0, axes.len());
    let mut offset = 0;
    for index in 0..total {
        visit(index, offset);
        for (i, &(size, stride)) in position.iter_mut().zip(axes).rev() {
            *i += 1;
            offset += stride;
            if *i < size {
                break;
            }
            offset -= size * stride;
            *i = 0;
        }
    }
}

/// The part [`start`, `start + len`) of an axis.
///
/// # Panics
/// If there is no such axis, or the part leaves it.
pub fn slice<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize, start: usize, len: usize) -> Tensor<F> {
    let (_, size, inner) = x.shape().around(axis);
    assert!(start <= size && len <= size - start, "part {start}..{start}+{len} of axis {axis} of shape {}", x.shape());
    if len == size {
        return x.clone();
    }
    let mut out = pool.take(x.shape().with_size(axis, len));
    if out.is_empty() {
        return out;
    }
    if len * inner == 1 {
        pick(size, start, x.as_slice(), out.make_mut());
        return out;
    }
    let rows = x.as_slice().chunks_exact(size * inner);
    for (out, x) in out.make_mut().chunks_exact_mut(len * inner).zip(rows) {
        out.copy_from_slice(&x[start * inner..(start + len) * inner]);
    }
    out
}

/// Puts `x` at `start` of an axis of size `full_len`, with zeros elsewhere: the adjoint of [`slice()`].
///
/// # Panics
/// If there is no such axis, or `x` does not fit.
pub fn pad_into<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize, start: usize, full_len: usize) -> Tensor<F> {
    let (_, size, inner) = x.shape().around(axis);
    assert!(
        start <= full_len && size <= full_len - start,
        "axis {axis} of shape {} at {start} of an axis of size {full_len}",
        x.shape()
    );
    if size == full_len {
        return x.clone();
    }
    let mut out = pool.full(x.shape().with_size(axis, full_len), F::ZERO);
    if x.is_empty() {
        return out;
    }
    let rows = out.make_mut().chunks_exact_mut(full_len * inner);
    for (out, x) in rows.zip(x.as_slice().chunks_exact(size * inner)) {
        out[start * inner..(start + size) * inner].copy_from_slice(x);
    }
    out
}

/// Joins tensors along an axis.
///
/// # Panics
/// If there are none, there is no such axis, or other sizes differ.
pub fn concat<F: Real>(pool: &Pool<F>, parts: &[&Tensor<F>], axis: usize) -> Tensor<F> {
    let Some(first) = parts.first() else {
        panic!("nothing to concatenate");
    };
    let (outer, _, inner) = first.shape().around(axis);
    let mut total = 0;
    for part in parts {
        assert!(
            part.rank() == first.rank() && part.shape().with_size(axis, 0) == first.shape().with_size(axis, 0),
            "concatenation of shapes {} and {} along axis {axis}",
            first.shape(),
            part.shape()
        );
        total += part.shape()[axis];
    }
    let mut out = pool.take(first.shape().with_size(axis, total));
    if out.is_empty() {
        return out;
    }
    let row = total * inner;
    let data = out.make_mut();
    if let (&[a, b], 2, true) = (parts, row, parts.iter().all(|part| part.len() == first.len())) {
        interleave(a.as_slice(), b.as_slice(), data);
        return out;
    }
    let mut at = 0;
    for part in parts {
        let length = part.shape()[axis] * inner;
        if length == 1 {
            // Number by number: a call for each of them would take ten times as long.
            data[at..].iter_mut().step_by(row).zip(part.as_slice()).for_each(|(to, &from)| *to = from);
        } else {
            for index in 0..outer {
                let begin = index * row + at;
                data[begin..begin + length].copy_from_slice(&part.as_slice()[index * length..(index + 1) * length]);
            }
        }
        at += length;
    }
    out
}

dispatch! {
    /// Number `at` of each group of `size` numbers.
    pub(crate) fn pick<F: Real>(size: usize, at: usize, x: &[F], out: &mut [F]) = pick_body;
}

#[inline(always)]
fn pick_body<const FMA: bool, F: Real>(size: usize, at: usize, x: &[F], out: &mut [F]) {
    match (x.as_chunks::<2>().0, size, at) {
        (pairs, 2, 0) => out.iter_mut().zip(pairs).for_each(|(to, &[from, _])| *to = from),
        (pairs, 2, _) => out.iter_mut().zip(pairs).for_each(|(to, &[_, from])| *to = from),
        _ => out.iter_mut().zip(x[at..].iter().step_by(size)).for_each(|(to, &from)| *to = from),
    }
}

dispatch! {
    /// The numbers of two slices in turn.
    pub(crate) fn interleave<F: Real>(a: &[F], b: &[F], out: &mut [F]) = interleave_body;
}

#[inline(always)]
fn interleave_body<const FMA: bool, F: Real>(a: &[F], b: &[F], out: &mut [F]) {
    for (to, (&a, &b)) in out.as_chunks_mut::<2>().0.iter_mut().zip(a.iter().zip(b)) {
        *to = [a, b];
    }
}

/// The elements at the given positions of an axis.
///
/// # Panics
/// If there is no such axis, or a position is outside it.
pub fn index_select<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize, indices: &[usize]) -> Tensor<F> {
    let (outer, size, inner) = x.shape().around(axis);
    let mut out = pool.take(x.shape().with_size(axis, indices.len()));
    let x = x.as_slice();
    let data = out.make_mut();
    for row in 0..outer {
        for (position, &index) in indices.iter().enumerate() {
            assert!(index < size, "position {index} of an axis of size {size}");
            let to = (row * indices.len() + position) * inner;
            let from = (row * size + index) * inner;
            data[to..to + inner].copy_from_slice(&x[from..from + inner]);
        }
    }
    out
}

/// Adds the elements of `x` along an axis to the given positions of an axis of size `len` of zeros: the adjoint of
/// [`index_select`].
///
/// # Panics
/// If there is no such axis, it is not as long as `indices`, or a position is not below `len`.
pub fn index_add<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize, indices: &[usize], len: usize) -> Tensor<F> {
    let (outer, size, inner) = x.shape().around(axis);
    assert_eq!(size, indices.len(), "one position for each element of axis {axis} of shape {}", x.shape());
    let mut out = pool.full(x.shape().with_size(axis, len), F::ZERO);
    let x = x.as_slice();
    let data = out.make_mut();
    for row in 0..outer {
        for (position, &index) in indices.iter().enumerate() {
            assert!(index < len, "position {index} of an axis of size {len}");
            let to = (row * len + index) * inner;
            let from = (row * size + position) * inner;
            for (out, &x) in data[to..to + inner].iter_mut().zip(&x[from..from + inner]) {
                *out += x;
            }
        }
    }
    out
}

/// The position that a float stands for, if it is one of `size`.
fn position<F: Real>(index: F, size: usize) -> Option<usize> {
    let index = index.to_f64();
    let whole = index as usize;
    (index >= 0.0 && whole as f64 == index && whole < size).then_some(whole)
}

/// Takes along an axis: the result at [.., i, ..] is `x` at [.., index[.., i, ..], ..].
///
/// `index` has the rank of `x` and any size along the axis; the other axes broadcast. NaN where the index is not a
/// whole number below the size of the axis.
///
/// # Panics
/// If there is no such axis, the ranks differ, or the other axes do not broadcast.
pub fn gather<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize, index: &Tensor<F>) -> Tensor<F> {
    let (_, size, inner) = x.shape().around(axis);
    let shape = common_shape(x.shape(), index.shape(), axis, index.shape().get(axis).copied());
    let mut out = pool.take(shape);
    let walk = Walk::new(out.shape(), x.shape(), index.shape(), axis);
    let stride = inner;
    let (x, index) = (x.as_slice(), index.as_slice());
    let data = out.make_mut();
    walk.visit(|to, at_x, at_index| {
        data[to] = position(index[at_index], size).map_or(F::NAN, |p| x[at_x + p * stride]);
    });
    out
}

/// Adds `x` at [.., i, ..] to the result at [.., index[.., i, ..], ..], which begins as zeros with size `len` along the
/// axis: the adjoint of [`gather`].
///
/// The other axes broadcast, and along the axis a size of 1 does. An index that is not a whole number below `len` is
/// left out.
///
/// # Panics
/// If there is no such axis, the ranks differ, or the axes do not broadcast.
pub fn scatter_add<F: Real>(pool: &Pool<F>, x: &Tensor<F>, axis: usize, index: &Tensor<F>, len: usize) -> Tensor<F> {
    let broadcast = Shape::broadcast(x.shape(), index.shape());
    let Some(walked) = broadcast.filter(|_| x.rank() == index.rank() && axis < x.rank()) else {
        panic!("scatter of shape {} by an index of shape {} along axis {axis}", x.shape(), index.shape());
    };
    let mut out = pool.full(walked.with_size(axis, len), F::ZERO);
    if walked.numel() == 0 {
        return out;
    }
    let plan = crate::kernels::broadcast::BroadcastIter::new(&walked, [x.shape(), index.shape()]);
    let (_, size, inner) = walked.around(axis);
    let (x, index) = (x.as_slice(), index.as_slice());
    let data = out.make_mut();
    plan.for_rows(0, plan.rows(), |row, [at_x, at_index]| {
        for i in 0..plan.inner {
            let flat = row * plan.inner + i;
            let (outer, column) = (flat / (size * inner), flat % inner);
            if let Some(p) = position(index[at_index + i * plan.steps[1]], len) {
                data[(outer * len + p) * inner + column] += x[at_x + i * plan.steps[0]];
            }
        }
    });
    out
}

/// The broadcast of two shapes of the same rank, with the given size along one axis.
fn common_shape(a: &Shape, b: &Shape, axis: usize, size: Option<usize>) -> Shape {
    let shape = match size {
        Some(size) if a.rank() == b.rank() => Shape::broadcast(&a.with_size(axis, size), &b.with_size(axis, size)),
        _ => None,
    };
    match shape {
        Some(shape) => shape,
        None => panic!("gather of shape {a} by an index of shape {b} along axis {axis}"),
    }
}

/// Walks the result of a gather, with the offsets of the operand (at position 0 of the axis) and of the index.
struct Walk {
    axes: SmallVec<[(usize, [usize; 2]); 6]>,
}

impl Walk {
    fn new(out: &Shape, x: &Shape, index: &Shape, axis: usize) -> Self {
        let (strides_x, strides_index) = (x.strides(), index.strides());
        let axes = (0..out.rank())
            .map(|i| {
                let stride = |shape: &Shape, strides: &[usize]| {
                    if shape[i] == 1 { 0 } else { strides[i] }
                };
                let step_x = if i == axis { 0 } else { stride(x, &strides_x) };
                (out[i], [step_x, stride(index, &strides_index)])
            })
            .collect();
        Self { axes }
    }

    fn visit(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let total: usize = self.axes.iter().map(|axis| axis.0).product();
        let mut position: SmallVec<[usize; 6]> = SmallVec::from_elem(0, self.axes.len());
        let [mut at_x, mut at_index] = [0, 0];
        for to in 0..total {
            visit(to, at_x, at_index);
            for (i, &(size, [step_x, step_index])) in position.iter_mut().zip(&self.axes).rev() {
                *i += 1;
                at_x += step_x;
                at_index += step_index;
                if *i < size {
                    break;
                }
                at_x -= size * step_x;
                at_index -= size * step_index;
                *i = 0;
            }
        }
    }
}

/// A row of `classes` numbers for each index, 1 at the index and 0 elsewhere; all zeros where the index is not a whole
/// number below `classes`. The result has the shape of `index` with an axis of size `classes` at the end.
pub fn one_hot<F: Real>(pool: &Pool<F>, index: &Tensor<F>, classes: usize) -> Tensor<F> {
    let mut shape = index.shape().clone();
    shape.extend([classes]);
    let mut out = pool.full(shape, F::ZERO);
    let data = out.make_mut();
    for (row, &index) in index.as_slice().iter().enumerate() {
        if let Some(p) = position(index, classes) {
            data[row * classes + p] = F::ONE;
        }
    }
    out
}

/// Draws of categories along the last axis of `table`, by inversion: the first category at which the running sum of the
/// row exceeds the uniform number times the sum of all. The axes before are broadcast to the shape of `uniforms`, which
/// is that of the result. Rows are summed in double precision; a category of probability 0 is never drawn.
///
/// # Panics
/// If the leading axes of the table do not broadcast to the shape of the uniform numbers, or there is no category.
pub fn categories<F: Real>(pool: &Pool<F>, table: &Tensor<F>, uniforms: &Tensor<F>) -> Tensor<F> {
    let Some((&count, lead)) = table.shape().split_last() else { panic!("a table of categories without axes") };
    assert!(count > 0, "a table of categories of shape {}", table.shape());
    let lead = Shape::from(lead);
    let shape = uniforms.shape().clone();
    assert!(Shape::broadcast(&lead, &shape).as_ref() == Some(&shape), "categories {lead} for draws {shape}");
    let mut out = pool.take(shape.clone());
    if out.is_empty() {
        return out;
    }
    let plan = BroadcastIter::new(&shape, [&lead, &shape]);
    let threads = threads_for(pool.threads(), out.len(), TRANSCENDENTAL);
    let (table, uniforms) = (table.as_slice(), uniforms.as_slice());
    let [step, _] = plan.steps;
    fill_rows(threads, &plan, out.make_mut(), |out, [at, first]| {
        for (i, out) in out.iter_mut().enumerate() {
            let row = &table[(at + i * step) * count..][..count];
            *out = F::from_usize(category(row, uniforms[first + i].to_f64()));
        }
    });
    out
}

fn category<F: Real>(row: &[F], uniform: f64) -> usize {
    let total: f64 = row.iter().map(|p| p.to_f64()).sum();
    let target = uniform * total;
    let mut sum = 0.0;
    let mut last = row.len() - 1;
    for (category, p) in row.iter().map(|p| p.to_f64()).enumerate() {
        sum += p;
        if p > 0.0 {
            last = category;
            if target < sum {
                return category;
            }
        }
    }
    // The running sum stopped short of its total by rounding.
    last
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{scrambled, shapes, tensor_of};

    fn dot(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
        assert_eq!(a.shape(), b.shape());
        a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| a * b).sum()
    }

    /// A shape, one of its axes, and a permutation.
    fn shape_axis_permutation() -> impl Strategy<Value = (Vec<usize>, usize, Vec<usize>)> {
        shapes().prop_filter("needs an axis", |shape| !shape.is_empty()).prop_flat_map(|shape| {
            let rank = shape.len();
            let axes: Vec<usize> = (0..rank).collect();
            (Just(shape), 0..rank, Just(axes).prop_shuffle())
        })
    }

    proptest! {
        #[test]
        fn transposition_agrees_with_index_arithmetic((shape, _, axes) in shape_axis_permutation()) {
            let x = scrambled(&shape);
            let turned: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
            let expected = tensor_of(&turned, |index| {
                let mut source = vec![0; index.len()];
                for (&axis, &i) in axes.iter().zip(index) {
                    source[axis] = i;
                }
                x.get(&source).unwrap()
            });
            prop_assert_eq!(transpose(&Pool::new(), &x, &axes), expected);
        }

        #[test]
        fn slices_join_to_the_whole((shape, axis, _) in shape_axis_permutation(), cut in 0..5_usize) {
            let pool = Pool::new();
            let size = shape[axis];
            let cut = cut.min(size);
            let x = scrambled(&shape);
            let head = slice(&pool, &x, axis, 0, cut);
            let tail = slice(&pool, &x, axis, cut, size - cut);
            prop_assert_eq!(&concat(&pool, &[&head, &tail], axis), &x);
            let padded = pad_into(&pool, &tail, axis, cut, size);
            let expected = tensor_of(&shape, |index| {
                if index[axis] >= cut { x.get(index).unwrap() } else { 0.0 }
            });
            prop_assert_eq!(padded, expected);
        }

        #[test]
        fn index_add_is_the_adjoint_of_index_select(
            (shape, axis, _) in shape_axis_permutation(),
            positions in prop::collection::vec(0..100_usize, 0..6),
        ) {
            let pool = Pool::new();
            let size = shape[axis];
            prop_assume!(size > 0);
            let positions: Vec<usize> = positions.iter().map(|&p| p % size).collect();
            let x = scrambled(&shape);
            let selected = index_select(&pool, &x, axis, &positions);
            let expected = tensor_of(selected.shape(), |index| {
                let mut source = index.to_vec();
                source[axis] = positions[index[axis]];
                x.get(&source).unwrap()
            });
            prop_assert_eq!(&selected, &expected);
            let y = selected.map(|x| (x * 2.0).cos());
            let back = index_add(&pool, &y, axis, &positions, size);
            prop_assert!((dot(&selected, &y) - dot(&x, &back)).abs() < 1e-9);
        }

        #[test]
        fn scatter_add_is_the_adjoint_of_gather(
            (shape, axis, _) in shape_axis_permutation(),
            ones in any::<[[bool; 5]; 2]>(),
            count in 1..4_usize,
        ) {
            let pool = Pool::new();
            let size = shape[axis];
            prop_assume!(size > 0);
            let part = |ones: &[bool; 5], along: usize| -> Vec<usize> {
                (0..shape.len())
                    .map(|i| if i == axis { along } else if ones[i] { 1 } else { shape[i] })
                    .collect()
            };
            let x = scrambled(&part(&ones[0], size));
            let index = Tensor::from_fn(part(&ones[1], count), |i| ((i * 7 + 3) % size) as f64);
            let gathered = gather(&pool, &x, axis, &index);
            let expected = tensor_of(gathered.shape(), |at| {
                let own = |t: &Tensor<f64>, at: &[usize]| -> Vec<usize> {
                    at.iter().zip(t.shape().iter()).map(|(&i, &n)| if n == 1 { 0 } else { i }).collect()
                };
                let position = index.get(&own(&index, at)).unwrap() as usize;
                let mut at = own(&x, at);
                at[axis] = position;
                x.get(&at).unwrap()
            });
            prop_assert_eq!(&gathered, &expected);
            let y = gathered.map(|x| (x * 2.0).cos());
            let back = scatter_add(&pool, &y, axis, &index, size);
            let back = crate::kernels::reduce::sum_to(&pool, &back, x.shape());
            prop_assert!((dot(&gathered, &y) - dot(&x, &back)).abs() < 1e-9);
        }
    }

    #[test]
    fn large_transpositions_cross_tiles() {
        let pool = Pool::new();
        let x = scrambled(&[3, 37, 50]);
        let turned = transpose(&pool, &x, &[2, 0, 1]);
        for index in [[0, 0, 0], [49, 2, 36], [17, 1, 16], [31, 2, 33]] {
            assert_eq!(turned.get(&index), x.get(&[index[1], index[2], index[0]]));
        }
        assert_eq!(transpose(&pool, &turned, &[1, 2, 0]), x);
    }

    #[test]
    fn transposing_axes_of_size_one_moves_nothing() {
        let x = scrambled(&[1, 5, 1]);
        let turned = transpose(&Pool::new(), &x, &[2, 0, 1]);
        assert_eq!(**turned.shape(), [1, 1, 5]);
        assert!(turned.shares_buffer_with(&x));
    }

    #[test]
    fn bad_indices_are_visible_but_harmless() {
        let pool = Pool::new();
        let x = Tensor::from([10.0, 20.0, 30.0]);
        let index = Tensor::from([2.0, 3.0, -1.0, 0.5, f64::NAN, f64::INFINITY, -0.0]);
        let gathered = gather(&pool, &x, 0, &index).to_vec();
        assert_eq!((gathered[0], gathered[6]), (30.0, 10.0));
        assert!(gathered[1..6].iter().all(|x| x.is_nan()));
        let scattered = scatter_add(&pool, &Tensor::ones([1]), 0, &index, 3);
        assert_eq!(scattered.to_vec(), [1.0, 0.0, 1.0]);
        let rows = one_hot(&pool, &Tensor::from([1.0, 2.0, 0.5, -1.0]), 2);
        assert_eq!(rows, Tensor::from([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]));
        assert_eq!(one_hot(&pool, &Tensor::scalar(1.0), 3).to_vec(), [0.0, 1.0, 0.0]);
    }

    #[test]
    #[should_panic(expected = "is not a permutation")]
    fn a_repeated_axis_is_a_bug_of_the_caller() {
        transpose(&Pool::<f64>::new(), &Tensor::zeros([2, 2]), &[0, 0]);
    }

    #[test]
    fn categories_are_drawn_by_inversion() {
        let pool = Pool::new();
        let table = Tensor::from([[0.0, 0.5, 0.5, 0.0], [2.0, 0.0, 0.0, 6.0]]).with_shape([2, 1, 4]);
        let uniforms = Tensor::from([[0.001, 0.499, 0.501, 0.999], [0.001, 0.249, 0.251, 0.999]]);
        let drawn = categories(&pool, &table, &uniforms);
        assert_eq!(drawn, Tensor::from([[1.0, 1.0, 2.0, 2.0], [0.0, 0.0, 3.0, 3.0]]));
        let many = Tensor::from_fn([50_000], |i| (i as f64 + 0.5) / 50_000.0);
        let one = categories(&pool, &Tensor::from([0.25, 0.75]), &many);
        assert_eq!(one.as_slice().iter().sum::<f64>(), 37_500.0);
        assert_eq!(one, categories(&Pool::with_threads(3), &Tensor::from([0.25, 0.75]), &many));
    }
}
