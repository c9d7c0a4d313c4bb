//! Conversions between tensors and arrays of the crate `ndarray`.
//!
//! Views borrow the elements of a tensor. Owned conversions copy them once, since the buffer of a tensor is aligned to
//! cache lines and that of an array is not, so that neither can take over the memory of the other.

use std::sync::Arc;

use ndarray::{
    Array, ArrayBase, ArrayD, ArrayView, ArrayViewD, ArrayViewMutD, Data, Dimension, Ix0, Ix1, Ix2, Ix3, Ix4, Ix5, Ix6,
    IxDyn, RawData,
};

use crate::error::{TensorError, TensorResult};
use crate::real::Real;
use crate::storage::buffer::Buffer;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

impl<F: Real> Tensor<F> {
    /// The elements as an array of ndarray with any number of axes, without a copy. With the feature `ndarray`.
    ///
    /// | from | to | copies |
    /// |---|---|---|
    /// | `&Tensor` | `ArrayViewD`, by this function or `From` | no |
    /// | `&Tensor` | `ArrayView1` … `ArrayView6`, by `TryFrom` | no |
    /// | `&mut Tensor` | `ArrayViewMutD`, by [`as_ndarray_mut`](Self::as_ndarray_mut) | a shared buffer only |
    /// | `Tensor` | `ArrayD` by `From`, `Array1` … `Array6` by `TryFrom` | once |
    /// | any array or view, by value or reference | `Tensor`, by `From` | once, also from other orders of axes |
    ///
    /// `TryFrom` returns [`TensorError::RankMismatch`] for another number of axes.
    ///
    /// ```
    /// use ndarray::{Array2, ArrayView2, Axis, array};
    /// use stochgrad_tensor::Tensor;
    ///
    /// let tensor = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(tensor.as_ndarray().sum_axis(Axis(0)), array![5.0, 7.0, 9.0].into_dyn());
    /// let matrix = ArrayView2::try_from(&tensor)?;
    /// assert_eq!(matrix.as_ptr(), tensor.as_slice().as_ptr());
    ///
    /// let transposed = Tensor::from(matrix.t());
    /// assert_eq!(transposed, Tensor::from([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]));
    /// assert_eq!(Array2::try_from(transposed)?, array![[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]);
    /// # Ok::<(), stochgrad_tensor::TensorError>(())
    /// ```
    ///
    /// # Panics
    /// If the product of the sizes other than 0 exceeds `isize::MAX`, which only a tensor without elements can have.
    pub fn as_ndarray(&self) -> ArrayViewD<'_, F> {
        array(ArrayViewD::from_shape(IxDyn(self.shape()), self.as_slice()))
    }

    /// The elements as a mutable array of ndarray. If the buffer is shared, it is copied first, as by
    /// [`make_mut`](Self::make_mut). With the feature `ndarray`.
    ///
    /// ```
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut tensor = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// tensor.as_ndarray_mut().mapv_inplace(|x| 10.0 * x);
    /// assert_eq!(tensor, Tensor::from([[10.0, 20.0], [30.0, 40.0]]));
    /// ```
    ///
    /// # Panics
    /// As [`as_ndarray`](Self::as_ndarray).
    pub fn as_ndarray_mut(&mut self) -> ArrayViewMutD<'_, F> {
        let shape = IxDyn(self.shape());
        array(ArrayViewMutD::from_shape(shape, self.make_mut()))
    }
}

fn array<A>(array: Result<A, ndarray::ShapeError>) -> A {
    array.unwrap_or_else(|error| panic!("expected a shape that an array of ndarray can have, got one with: {error}"))
}

/// The same array with a fixed number of axes.
fn with_rank<S: RawData, D: Dimension>(array: ArrayBase<S, IxDyn>) -> TensorResult<ArrayBase<S, D>> {
    let shape = Shape::from(array.shape());
    array.into_dimensionality().map_err(|_| TensorError::RankMismatch { expected: D::NDIM.unwrap_or_default(), shape })
}

impl<'a, F: Real> From<&'a Tensor<F>> for ArrayViewD<'a, F> {
    fn from(tensor: &'a Tensor<F>) -> Self {
        tensor.as_ndarray()
    }
}

impl<F: Real> From<Tensor<F>> for ArrayD<F> {
    fn from(tensor: Tensor<F>) -> Self {
        tensor.as_ndarray().into_owned()
    }
}

macro_rules! with_ranks {
    ($($rank:ident),+) => {
        $(
            impl<'a, F: Real> TryFrom<&'a Tensor<F>> for ArrayView<'a, F, $rank> {
                type Error = TensorError;

                fn try_from(tensor: &'a Tensor<F>) -> TensorResult<Self> {
                    with_rank(tensor.as_ndarray())
                }
            }

            impl<F: Real> TryFrom<Tensor<F>> for Array<F, $rank> {
                type Error = TensorError;

                fn try_from(tensor: Tensor<F>) -> TensorResult<Self> {
                    ArrayView::try_from(&tensor).map(|array: ArrayView<'_, F, $rank>| array.into_owned())
                }
            }
        )+
    };
}

with_ranks!(Ix0, Ix1, Ix2, Ix3, Ix4, Ix5, Ix6);

impl<F: Real, S: Data<Elem = F>, D: Dimension> From<&ArrayBase<S, D>> for Tensor<F> {
    fn from(array: &ArrayBase<S, D>) -> Self {
        let data = match array.as_slice() {
            Some(elements) => Buffer::from(elements),
            None => Buffer::collect(array.len(), array.iter().copied()),
        };
        Self::from_parts(Shape::from(array.shape()), Arc::new(data))
    }
}

impl<F: Real, S: Data<Elem = F>, D: Dimension> From<ArrayBase<S, D>> for Tensor<F> {
    fn from(array: ArrayBase<S, D>) -> Self {
        Self::from(&array)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, Array3, ArrayView0, ArrayView1, ArrayView3, arr0, array, s};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn views_borrow_the_elements() {
        let mut tensor = Tensor::from([[[1.0_f32], [2.0]], [[3.0], [4.0]]]);
        let view = ArrayView3::try_from(&tensor).unwrap();
        assert_eq!((view.as_ptr(), view.shape()), (tensor.as_slice().as_ptr(), &[2, 2, 1][..]));
        let shared = tensor.clone();
        tensor.as_ndarray_mut()[[1, 0, 0]] = 30.0;
        assert_eq!(tensor.to_vec(), [1.0, 2.0, 30.0, 4.0]);
        assert_eq!(shared.to_vec(), [1.0, 2.0, 3.0, 4.0]);
        let before = tensor.as_slice().as_ptr();
        tensor.as_ndarray_mut().fill(0.0);
        assert_eq!(tensor.as_slice().as_ptr(), before);
    }

    #[test]
    fn other_layouts_are_copied_in_the_order_of_their_axes() {
        let matrix = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        assert_eq!(Tensor::from(matrix.t()), Tensor::from([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]));
        assert_eq!(Tensor::from(matrix.slice(s![.., ..;-2])), Tensor::from([[3.0, 1.0], [6.0, 4.0]]));
        let broadcast = array![1.0, 2.0];
        assert_eq!(Tensor::from(broadcast.broadcast([2, 2]).unwrap()), Tensor::from([[1.0, 2.0], [1.0, 2.0]]));
        assert_eq!(Tensor::from(&matrix).shape()[..], [2, 3]);
    }

    #[test]
    fn scalars_and_empty_tensors_keep_their_shape() {
        assert_eq!(Tensor::from(arr0(3.0)), Tensor::scalar(3.0));
        assert_eq!(ArrayView0::try_from(&Tensor::scalar(3.0)).unwrap().into_scalar(), &3.0);
        let empty = Tensor::<f64>::zeros([2, 0, 3]);
        assert_eq!(Tensor::from(Array3::try_from(empty.clone()).unwrap()), empty);
    }

    #[test]
    fn another_number_of_axes_is_an_error() {
        let matrix = Tensor::from([[1.0, 2.0]]);
        let error = ArrayView1::try_from(&matrix).unwrap_err().to_string();
        assert!(error.starts_with("expected a tensor with 1 axes, got shape [1, 2]; reshape it"), "{error}");
        assert!(Array1::try_from(matrix.clone()).is_err());
        assert_eq!(Array2::try_from(matrix), Ok(array![[1.0, 2.0]]));
    }

    proptest! {
        #[test]
        fn conversions_are_inverse(sizes in prop::collection::vec(0_usize..4, 0..5), reversed in any::<bool>()) {
            let tensor = Tensor::from_fn(sizes, |i| i as f64);
            let array = ArrayD::from(tensor.clone());
            prop_assert_eq!(&Tensor::from(&array), &tensor);
            let other = if reversed { array.reversed_axes() } else { array };
            let back = ArrayD::from(Tensor::from(&other));
            prop_assert_eq!(back, other);
        }
    }
}
