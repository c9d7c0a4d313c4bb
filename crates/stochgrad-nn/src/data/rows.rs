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
    let Some((&count, tail)) = data.shape().split_first() else {
        return Err(NnError::argument(
            "`data` of `rows`",
            "a tensor with a leading axis of examples",
            "a scalar",
            "pass a tensor of rank 1 or more",
        ));
    };
    let size: usize = tail.iter().product();
    let source = data.as_slice();
    let mut values = Vec::with_capacity(indices.len() * size);
    for &index in indices {
        if index >= count {
            return Err(NnError::argument(
                "`indices` of `rows`",
                format!("indices below {count}, the first axis of {}", data.shape()),
                index.to_string(),
                "create the minibatches with the number of rows of this tensor",
            ));
        }
        values.extend_from_slice(&source[index * size..(index + 1) * size]);
    }
    let shape: Shape = std::iter::once(indices.len()).chain(tail.iter().copied()).collect();
    Ok(Tensor::new(values, shape)?)
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
    fn unusable_operands_are_errors() {
        let data = Tensor::from([[1.0_f64, 2.0]]);
        let message = rows(&data, &[0, 1]).unwrap_err().to_string();
        assert!(message.contains("indices below 1"), "{message}");
        let message = rows(&Tensor::scalar(1.0), &[0]).unwrap_err().to_string();
        assert!(message.contains("a scalar"), "{message}");
    }
}
