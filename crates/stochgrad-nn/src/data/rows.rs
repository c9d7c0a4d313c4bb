//! Gathering the examples of a minibatch.

use stochgrad_tensor::{Real, Shape, Tensor};

use crate::error::{NnError, NnResult};

/// The rows of `data` at `indices`, in that order: shape `[n, ..]` becomes `[indices.len(), ..]`.
///
/// An index may occur more than once.
///
/// # Errors
///
/// [`NnError::InvalidArgument`] if `data` is a scalar or an index is out of range.
///
/// ```
/// use stochgrad_nn::data::rows;
/// use stochgrad_tensor::Tensor;
///
/// let data = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
/// assert_eq!(rows(&data, &[2, 0])?, Tensor::from([[5.0, 6.0], [1.0, 2.0]]));
/// # Ok::<(), stochgrad_nn::NnError>(())
/// ```
pub fn rows<F: Real>(data: &Tensor<F>, indices: &[usize]) -> NnResult<Tensor<F>> {
    let shape = shape_of_rows(data, indices)?;
    let mut values = Vec::with_capacity(shape.numel());
    gather(data, indices, |row| values.extend_from_slice(row));
    Ok(Tensor::new(values, shape)?)
}

/// As [`rows`], into the memory of a tensor of the same shape, if no other tensor shares it; otherwise, the tensor is
/// replaced. A source of data that keeps its minibatches allocates nothing this way.
///
/// ```
/// use stochgrad_nn::data::rows_into;
/// use stochgrad_tensor::Tensor;
///
/// let data = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
/// let mut minibatch = Tensor::zeros([2, 2]);
/// rows_into(&mut minibatch, &data, &[2, 0])?;
/// assert_eq!(minibatch, Tensor::from([[5.0, 6.0], [1.0, 2.0]]));
/// # Ok::<(), stochgrad_nn::NnError>(())
/// ```
///
/// # Errors
///
/// Those of [`rows`]. Nothing is changed in this case.
pub fn rows_into<F: Real>(minibatch: &mut Tensor<F>, data: &Tensor<F>, indices: &[usize]) -> NnResult<()> {
    let shape = shape_of_rows(data, indices)?;
    if *minibatch.shape() != shape || !minibatch.is_unique() {
        *minibatch = rows(data, indices)?;
        return Ok(());
    }
    let mut rest = minibatch.make_mut();
    gather(data, indices, |row| {
        let (first, others) = std::mem::take(&mut rest).split_at_mut(row.len());
        first.copy_from_slice(row);
        rest = others;
    });
    Ok(())
}

/// Passes the rows at some indices, which have been checked, to a function.
fn gather<F: Real>(data: &Tensor<F>, indices: &[usize], mut add: impl FnMut(&[F])) {
    let size: usize = data.shape().iter().skip(1).product();
    let source = data.as_slice();
    indices.iter().for_each(|&index| add(&source[index * size..(index + 1) * size]));
}

/// The shape of the rows at some indices.
///
/// # Errors
///
/// If `data` is a scalar or an index is out of range.
fn shape_of_rows<F: Real>(data: &Tensor<F>, indices: &[usize]) -> NnResult<Shape> {
    let Some((&count, tail)) = data.shape().split_first() else {
        return Err(NnError::argument(
            "`data` of `rows`",
            "a tensor with a leading axis of examples",
            "a scalar",
            "pass a tensor of rank 1 or more",
        ));
    };
    if let Some(index) = indices.iter().find(|&&index| index >= count) {
        return Err(NnError::argument(
            "`indices` of `rows`",
            format!("indices below {count}, the first axis of {}", data.shape()),
            index.to_string(),
            "create the minibatches with the number of rows of this tensor",
        ));
    }
    Ok(std::iter::once(indices.len()).chain(tail.iter().copied()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_any_rank_are_gathered() {
        let vector = Tensor::from([10.0_f32, 11.0, 12.0]);
        assert_eq!(rows(&vector, &[1, 1, 0]).unwrap(), Tensor::from([11.0, 11.0, 10.0]));
        let cube = Tensor::from_fn([3, 2, 2], |i| i as f64);
        let gathered = rows(&cube, &[2]).unwrap();
        assert_eq!(gathered.shape()[..], [1, 2, 2]);
        assert_eq!(gathered.as_slice(), [8.0, 9.0, 10.0, 11.0]);
        assert_eq!(rows(&cube, &[]).unwrap().shape()[..], [0, 2, 2]);
    }

    #[test]
    fn rows_are_written_into_memory_that_nothing_else_uses() {
        let data = Tensor::from_fn([3, 2], |i| i as f64);
        let mut minibatch = Tensor::zeros([2, 2]);
        let place = minibatch.as_slice().as_ptr();
        rows_into(&mut minibatch, &data, &[2, 1]).unwrap();
        assert_eq!((minibatch.as_slice(), minibatch.as_slice().as_ptr()), (&[4.0, 5.0, 2.0, 3.0][..], place));
        let held = minibatch.clone();
        rows_into(&mut minibatch, &data, &[0, 0]).unwrap();
        assert_eq!((held.as_slice(), minibatch.as_slice()), (&[4.0, 5.0, 2.0, 3.0][..], &[0.0, 1.0, 0.0, 1.0][..]));
        rows_into(&mut minibatch, &data, &[1]).unwrap();
        assert_eq!(minibatch, Tensor::from([[2.0, 3.0]]));
        assert!(rows_into(&mut minibatch, &data, &[3]).is_err());
        assert_eq!(minibatch, Tensor::from([[2.0, 3.0]]));
    }

    #[test]
    fn unusable_operands_are_errors() {
        let data = Tensor::from([[1.0_f64, 2.0]]);
        let message = rows(&data, &[0, 1]).unwrap_err().to_string();
        assert!(message.contains("indices below 1"), "{message}");
        let message = rows(&Tensor::scalar(1.0), &[0]).unwrap_err().to_string();
        assert!(message.contains("a scalar"), "{message}");
    }
}
