//! Conversion into tensors.

use stochgrad_tensor::{Pool, Real, Shape, Tensor};

/// Conversion into a tensor of any precision: from tensors, and from literals of numbers and of arrays.
pub trait IntoTensor<F: Real>: Sized {
    /// The tensor.
    fn into_tensor(self) -> Tensor<F>;

    /// The tensor, and whether its buffer belongs to the pool: it does if the elements had to be written.
    fn into_pooled(self, pool: &Pool<F>) -> (Tensor<F>, bool) {
        let _ = pool;
        (self.into_tensor(), false)
    }
}

impl<F: Real> IntoTensor<F> for Tensor<F> {
    fn into_tensor(self) -> Tensor<F> {
        self
    }
}

impl<F: Real> IntoTensor<F> for &Tensor<F> {
    fn into_tensor(self) -> Tensor<F> {
        self.clone()
    }
}

fn written<F: Real>(mut tensor: Tensor<F>, numbers: impl Iterator<Item = F>) -> Tensor<F> {
    for (to, number) in tensor.make_mut().iter_mut().zip(numbers) {
        *to = number;
    }
    tensor
}

macro_rules! literals {
    ($([$($generic:tt)*] $real:ty, $literal:ty, $self:ident => $shape:expr, $numbers:expr;)*) => {$(
        impl<$($generic)*> IntoTensor<$real> for $literal {
            fn into_tensor($self) -> Tensor<$real> {
                written(Tensor::zeros($shape), $numbers)
            }

            fn into_pooled($self, pool: &Pool<$real>) -> (Tensor<$real>, bool) {
                (written(pool.take(Shape::from($shape)), $numbers), true)
            }
        }
    )*};
}

literals! {
    [F: Real] F, f64, self => [], std::iter::once(F::from_f64(self));
    [] f32, f32, self => [], std::iter::once(self);
    [F: Real] F, &[f64], self => [self.len()], self.iter().map(|&number| F::from_f64(number));
    [] f32, &[f32], self => [self.len()], self.iter().copied();
    [F: Real] F, Vec<f64>, self => [self.len()], self.iter().map(|&number| F::from_f64(number));
    [] f32, Vec<f32>, self => [self.len()], self.iter().copied();
    [F: Real, const N: usize] F, [f64; N], self => [N], self.iter().map(|&number| F::from_f64(number));
    [F: Real, const N: usize] F, &[f64; N], self => [N], self.iter().map(|&number| F::from_f64(number));
    [const N: usize] f32, [f32; N], self => [N], self.iter().copied();
    [F: Real, const N: usize, const M: usize] F, [[f64; M]; N], self => [N, M],
        self.as_flattened().iter().map(|&number| F::from_f64(number));
    [F: Real, const N: usize, const M: usize, const L: usize] F, [[[f64; L]; M]; N], self => [N, M, L],
        self.as_flattened().as_flattened().iter().map(|&number| F::from_f64(number));
}
