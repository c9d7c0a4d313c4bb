//! The tensor type.

use std::sync::Arc;

use crate::error::{TensorError, TensorResult};
use crate::real::Real;
use crate::storage::buffer::Buffer;
use crate::storage::memory::allocated;
use crate::storage::shape::Shape;

/// A dense row-major array behind a shared buffer.
///
/// A clone shares the buffer, and [`make_mut`](Tensor::make_mut) copies a shared buffer before it is written. Elements
/// are `f32` or `f64`.
///
/// ```
/// use stochgrad_tensor::Tensor;
///
/// let matrix = Tensor::new(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3])?;
/// assert_eq!(matrix.get(&[1, 0]), Some(4.0));
/// let mut copy = matrix.reshape([3, 2])?;
/// assert!(copy.shares_buffer_with(&matrix));
/// copy.make_mut()[0] = 10.0;
/// assert_eq!(matrix.get(&[0, 0]), Some(1.0));
/// # Ok::<(), stochgrad_tensor::TensorError>(())
/// ```
#[derive(Clone)]
pub struct Tensor<F: Real> {
    shape: Shape,
    data: Arc<Buffer<F>>,
}

impl<F: Real> Tensor<F> {
    /// A tensor of the given elements, in row-major order. They are copied to a buffer that is aligned to a cache line.
    ///
    /// # Errors
    /// [`TensorError::ShapeMismatch`] if the number of elements is not that of the shape.
    pub fn new(elements: Vec<F>, shape: impl Into<Shape>) -> TensorResult<Self> {
        let shape = shape.into();
        check_length::<F>(&shape, elements.len())?;
        Ok(Self { shape, data: Arc::new(Buffer::from(&elements[..])) })
    }

    /// A matrix from its rows.
    ///
    /// # Errors
    /// [`TensorError::Ragged`] if the rows differ in length.
    pub fn from_rows<R: AsRef<[F]>>(rows: &[R]) -> TensorResult<Self> {
        let columns = rows.first().map_or(0, |row| row.as_ref().len());
        for (index, row) in rows.iter().enumerate() {
            let found = row.as_ref().len();
            if found != columns {
                return Err(TensorError::Ragged { row: index, expected: columns, found });
            }
        }
        let mut elements = Vec::with_capacity(rows.len().saturating_mul(columns));
        rows.iter().for_each(|row| elements.extend_from_slice(row.as_ref()));
        Self::new(elements, [rows.len(), columns])
    }

    /// A tensor without axes, with a single element.
    pub fn scalar(value: F) -> Self {
        Self { shape: Shape::scalar(), data: Arc::new(Buffer::full(1, value)) }
    }

    /// A tensor whose elements all have the same value.
    ///
    /// # Panics
    /// If the shape does not fit into the memory of the machine, as for all constructors that take a shape without the
    /// elements. [`Shape::check_memory`] is the same check as an error.
    pub fn full(shape: impl Into<Shape>, value: F) -> Self {
        let shape = shape.into();
        let data = Arc::new(Buffer::full(allocated::<F>(&shape), value));
        Self { shape, data }
    }

    /// A tensor of zeros.
    pub fn zeros(shape: impl Into<Shape>) -> Self {
        Self::full(shape, F::ZERO)
    }

    /// A tensor of ones.
    pub fn ones(shape: impl Into<Shape>) -> Self {
        Self::full(shape, F::ONE)
    }

    /// A tensor whose element at flat (row-major) position `i` is `element(i)`.
    pub fn from_fn(shape: impl Into<Shape>, element: impl FnMut(usize) -> F) -> Self {
        let shape = shape.into();
        let len = allocated::<F>(&shape);
        let data = Arc::new(Buffer::collect(len, (0..len).map(element)));
        Self { shape, data }
    }

    /// The identity matrix of size `n` × `n`.
    pub fn eye(n: usize) -> Self {
        Self::from_fn([n, n], |i| if i / n == i % n { F::ONE } else { F::ZERO })
    }

    /// A tensor from a buffer, whose length must be the number of elements of the shape.
    pub(crate) fn from_parts(shape: Shape, data: Arc<Buffer<F>>) -> Self {
        debug_assert_eq!(shape.numel(), data.len());
        Self { shape, data }
    }

    pub(crate) fn into_buffer(self) -> Arc<Buffer<F>> {
        self.data
    }

    /// The shape.
    #[inline]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The number of axes.
    #[inline]
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The elements in row-major order.
    #[inline]
    pub fn as_slice(&self) -> &[F] {
        &self.data
    }

    /// A copy of the elements in row-major order.
    pub fn to_vec(&self) -> Vec<F> {
        self.data.to_vec()
    }

    /// The only element of this tensor.
    ///
    /// # Errors
    /// [`TensorError::NotScalar`] unless there is exactly one element. Any number of axes of size 1 is allowed.
    pub fn item(&self) -> TensorResult<F> {
        match self.as_slice() {
            &[value] => Ok(value),
            _ => Err(TensorError::NotScalar { shape: self.shape.clone() }),
        }
    }

    /// The element at an index with one position for each axis; `None` if it is outside the tensor.
    pub fn get(&self, index: &[usize]) -> Option<F> {
        if index.len() != self.rank() {
            return None;
        }
        let mut flat = 0;
        for (&i, &size) in index.iter().zip(self.shape.iter()) {
            if i >= size {
                return None;
            }
            flat = flat * size + i;
        }
        self.data.get(flat).copied()
    }

    /// The same elements in another shape, sharing the buffer.
    ///
    /// # Errors
    /// [`TensorError::ShapeMismatch`] if the number of elements differs.
    pub fn reshape(&self, shape: impl Into<Shape>) -> TensorResult<Self> {
        let shape = shape.into();
        check_length::<F>(&shape, self.len())?;
        Ok(Self { shape, data: Arc::clone(&self.data) })
    }

    /// As [`reshape`](Self::reshape), for shapes that are known to have the same number of elements.
    ///
    /// # Panics
    /// If the number of elements differs.
    pub fn with_shape(self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        assert_eq!(shape.numel(), self.data.len(), "cannot view a tensor of shape {} as shape {shape}", self.shape);
        Self { shape, data: self.data }
    }

    /// The elements, mutable. If the buffer is shared, it is copied first.
    #[inline]
    pub fn make_mut(&mut self) -> &mut [F] {
        Arc::<Buffer<F>>::make_mut(&mut self.data)
    }

    /// Whether two tensors share one buffer.
    #[inline]
    pub fn shares_buffer_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.data, &other.data)
    }

    /// Whether no other tensor shares this buffer.
    #[inline]
    pub fn is_unique(&self) -> bool {
        Arc::strong_count(&self.data) == 1
    }

    /// The elements converted to another type.
    pub fn cast<G: Real>(&self) -> Tensor<G> {
        Tensor {
            shape: self.shape.clone(),
            data: Arc::new(Buffer::collect(self.len(), self.data.iter().map(|&x| G::from_f64(x.to_f64())))),
        }
    }

    /// Whether no element is NaN or infinite.
    pub fn all_finite(&self) -> bool {
        self.data.iter().all(|&x| x.is_finite())
    }

    /// The largest absolute difference between elements; NaN if an element is NaN, and `None` if the shapes differ.
    pub fn max_abs_difference(&self, other: &Self) -> Option<F> {
        if self.shape != other.shape {
            return None;
        }
        let mut largest = F::ZERO;
        for (&a, &b) in self.data.iter().zip(other.data.iter()) {
            let difference = if a == b { F::ZERO } else { (a - b).abs() };
            if difference > largest || difference.is_nan() {
                largest = difference;
            }
            if largest.is_nan() {
                break;
            }
        }
        Some(largest)
    }

    /// A new tensor with `f` applied to every element.
    pub fn map(&self, f: impl FnMut(F) -> F) -> Self {
        Self {
            shape: self.shape.clone(),
            data: Arc::new(Buffer::collect(self.len(), self.data.iter().copied().map(f))),
        }
    }
}

fn check_length<F: Real>(shape: &Shape, found: usize) -> TensorResult<()> {
    let expected = shape.numel();
    if found == 0 {
        shape.check_memory::<F>(usize::MAX)?;
    }
    if expected == found { Ok(()) } else { Err(TensorError::ShapeMismatch { shape: shape.clone(), expected, found }) }
}

impl<F: Real> Default for Tensor<F> {
    /// The scalar 0.
    fn default() -> Self {
        Self::scalar(F::ZERO)
    }
}

impl<F: Real> PartialEq for Tensor<F> {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && self.as_slice() == other.as_slice()
    }
}

impl<F: Real> From<F> for Tensor<F> {
    fn from(value: F) -> Self {
        Self::scalar(value)
    }
}

impl<F: Real> From<Vec<F>> for Tensor<F> {
    fn from(elements: Vec<F>) -> Self {
        Self::from(&elements[..])
    }
}

impl<F: Real> From<&[F]> for Tensor<F> {
    fn from(elements: &[F]) -> Self {
        Self { shape: Shape::from([elements.len()]), data: Arc::new(Buffer::from(elements)) }
    }
}

impl<F: Real, const N: usize> From<[F; N]> for Tensor<F> {
    fn from(elements: [F; N]) -> Self {
        Self::from(&elements[..])
    }
}

impl<F: Real, const N: usize, const M: usize> From<[[F; M]; N]> for Tensor<F> {
    fn from(rows: [[F; M]; N]) -> Self {
        Self { shape: Shape::from([N, M]), data: Arc::new(Buffer::from(rows.as_flattened())) }
    }
}

impl<F: Real, const N: usize, const M: usize, const L: usize> From<[[[F; L]; M]; N]> for Tensor<F> {
    fn from(blocks: [[[F; L]; M]; N]) -> Self {
        Self { shape: Shape::from([N, M, L]), data: Arc::new(Buffer::from(blocks.as_flattened().as_flattened())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_length_is_an_error_with_both_lengths() {
        let error = Tensor::new(vec![1.0, 2.0], [3]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected 3 element(s) for shape [3], got 2; pass a shape with 2 element(s) in total"
        );
        let huge = Tensor::<f64>::new(vec![], [usize::MAX, 2]);
        assert!(matches!(huge, Err(TensorError::TooLarge { .. })));
        let huge = Tensor::<f64>::new(vec![1.0], [usize::MAX, 2]);
        assert!(matches!(huge, Err(TensorError::ShapeMismatch { .. })));
    }

    #[test]
    fn ragged_rows_are_an_error() {
        let rows = [vec![1.0, 2.0], vec![3.0]];
        assert_eq!(Tensor::from_rows(&rows), Err(TensorError::Ragged { row: 1, expected: 2, found: 1 }));
        assert_eq!(Tensor::from_rows(&[[1.0, 2.0], [3.0, 4.0]]), Ok(Tensor::from([[1.0, 2.0], [3.0, 4.0]])));
    }

    #[test]
    fn nested_arrays_have_an_axis_for_each_level() {
        let image = Tensor::from([[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]]);
        assert_eq!(image.shape()[..], [2, 3, 1]);
        assert_eq!(image.as_slice(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn item_requires_exactly_one_element() {
        assert_eq!(Tensor::full([1, 1], 3.0).item(), Ok(3.0));
        assert!(Tensor::from([1.0, 2.0]).item().is_err());
        assert!(Tensor::<f32>::zeros([0]).item().is_err());
    }

    #[test]
    fn writing_does_not_change_other_owners() {
        let a = Tensor::from([1.0, 2.0]);
        let mut b = a.clone();
        assert!(!a.is_unique());
        b.make_mut()[0] = 5.0;
        assert_eq!(a.to_vec(), [1.0, 2.0]);
        assert_eq!(b.to_vec(), [5.0, 2.0]);
        assert!(a.is_unique() && b.is_unique());
    }

    #[test]
    fn get_returns_none_outside_the_tensor() {
        let a = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert_eq!(a.get(&[1, 2]), Some(6.0));
        assert_eq!(a.get(&[0, 3]), None);
        assert_eq!(a.get(&[0]), None);
        assert_eq!(Tensor::scalar(7.0).get(&[]), Some(7.0));
    }

    #[test]
    fn differences_handle_infinities_and_nan() {
        let a = Tensor::from([f64::INFINITY, 1.0]);
        assert_eq!(a.max_abs_difference(&a), Some(0.0));
        assert_eq!(a.max_abs_difference(&Tensor::from([f64::INFINITY, 1.5])), Some(0.5));
        assert!(a.max_abs_difference(&Tensor::from([f64::NAN, 1.0])).is_some_and(f64::is_nan));
        assert_eq!(a.max_abs_difference(&Tensor::from([1.0])), None);
    }

    #[test]
    fn eye_and_cast() {
        assert_eq!(Tensor::<f64>::eye(2).cast::<f32>(), Tensor::from([[1.0_f32, 0.0], [0.0, 1.0]]));
        assert!(Tensor::<f32>::eye(0).is_empty());
    }
}
