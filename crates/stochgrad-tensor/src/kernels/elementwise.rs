//! Elementwise evaluation of an arbitrary scalar function, for functions that cost far more than a call.

use crate::kernels::broadcast::BroadcastIter;
use crate::kernels::zip::fill_rows;
use crate::parallel::threads_for;
use crate::real::Real;
use crate::storage::pool::Pool;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

/// More elements than this are split over threads: a special function takes a hundred times as long as arithmetic.
const COSTLY: usize = 1000;

/// Applies `function` to the elements of the inputs, with broadcasting. The function is evaluated in double precision.
///
/// # Panics
/// If the shapes do not broadcast.
///
/// ```
/// use stochgrad_tensor::{Pool, Tensor, elementwise};
///
/// let (a, x) = (Tensor::from([1.0, 2.0]), Tensor::scalar(3.0));
/// let powers = elementwise::apply(&Pool::new(), [&a, &x], |[a, x]| x.powf(a));
/// assert_eq!(powers.as_slice(), &[3.0, 9.0]);
/// ```
pub fn apply<F: Real, const N: usize>(
    pool: &Pool<F>,
    inputs: [&Tensor<F>; N],
    function: impl Fn([f64; N]) -> f64 + Sync,
) -> Tensor<F> {
    let shape = inputs.iter().skip(1).fold(inputs[0].shape().clone(), |shape, input| {
        Shape::broadcast(&shape, input.shape())
            .unwrap_or_else(|| panic!("shapes {shape} and {} do not broadcast", input.shape()))
    });
    let mut out = pool.take(shape);
    if out.is_empty() {
        return out;
    }
    let iter = BroadcastIter::new(&out.shape().clone(), inputs.map(Tensor::shape));
    let steps = iter.steps;
    let values = inputs.map(Tensor::as_slice);
    fill_rows(threads_for(pool.threads(), out.len(), COSTLY), &iter, out.make_mut(), |row, at| {
        for (i, out) in row.iter_mut().enumerate() {
            *out = F::from_f64(function(std::array::from_fn(|k| values[k][at[k] + i * steps[k]].to_f64())));
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_broadcast() {
        let column = Tensor::<f64>::from([[1.0], [2.0]]);
        let row = Tensor::from([10.0, 20.0, 30.0]);
        let out = apply(&Pool::new(), [&column, &row, &Tensor::scalar(0.5)], |[a, b, c]| a * b + c);
        assert_eq!(out.shape().to_vec(), [2, 3]);
        assert_eq!(out.as_slice(), &[10.5, 20.5, 30.5, 20.5, 40.5, 60.5]);
        let none = apply(&Pool::new(), [&Tensor::<f32>::zeros([0]), &Tensor::scalar(1.0)], |[a, b]| a + b);
        assert!(none.is_empty());
    }

    #[test]
    fn the_result_does_not_depend_on_threads() {
        let x = Tensor::<f32>::from_fn([50, 400], |i| i as f32 * 1e-3);
        let alone = apply(&Pool::new(), [&x], |[x]| x.sin());
        let shared = apply(&Pool::with_threads(2), [&x], |[x]| x.sin());
        assert_eq!(alone, shared);
    }

    #[test]
    #[should_panic(expected = "do not broadcast")]
    fn misfits_panic() {
        apply(&Pool::<f64>::new(), [&Tensor::zeros([2]), &Tensor::zeros([3])], |[a, b]| a + b);
    }
}
