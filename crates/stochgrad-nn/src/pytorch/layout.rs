//! The order of the axes of a tensor in PyTorch.

use stochgrad_tensor::layout::transpose;
use stochgrad_tensor::{Pool, Real, Shape, Tensor};

/// The order of the axes of a parameter in PyTorch, relative to the order in this library.
///
/// ```
/// use stochgrad_nn::pytorch::Layout;
/// use stochgrad_tensor::Tensor;
///
/// let weight = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]); // [inputs, outputs]
/// let theirs = Layout::TRANSPOSED.to_pytorch(&weight);
/// assert_eq!(theirs, Tensor::from([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]));
/// assert_eq!(Layout::TRANSPOSED.from_pytorch(&theirs), weight);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// For each axis in PyTorch, the axis here; the same order if it is empty.
    axes: &'static [usize],
}

impl Layout {
    /// The same order of axes.
    pub const SAME: Self = Self { axes: &[] };

    /// A matrix that is transposed.
    pub const TRANSPOSED: Self = Self::permuted(&[1, 0]);

    /// Other orders: `axes` has, for each axis in PyTorch, the number of the axis here.
    ///
    /// # Panics
    ///
    /// If `axes` does not contain each number from 0 on once.
    pub const fn permuted(axes: &'static [usize]) -> Self {
        let mut wanted = 0;
        while wanted < axes.len() {
            let mut found = 0;
            while found < axes.len() && axes[found] != wanted {
                found += 1;
            }
            assert!(found < axes.len(), "`axes` of `Layout::permuted`: expected each axis once");
            wanted += 1;
        }
        Self { axes }
    }

    /// The shape in PyTorch of a tensor with a shape here.
    pub(super) fn shape_in_pytorch(self, shape: &Shape) -> Shape {
        match self.axes {
            [] => shape.clone(),
            axes => axes.iter().map(|&axis| shape[axis]).collect(),
        }
    }

    /// A value in PyTorch's order of axes.
    ///
    /// # Panics
    ///
    /// If the value has another number of axes than the layout.
    pub fn to_pytorch<F: Real>(self, value: &Tensor<F>) -> Tensor<F> {
        match self.axes {
            [] => value.clone(),
            axes => transpose(&Pool::new(), value, axes),
        }
    }

    /// A value of PyTorch in the order of axes of this library.
    ///
    /// # Panics
    ///
    /// If the value has another number of axes than the layout.
    pub fn from_pytorch<F: Real>(self, value: &Tensor<F>) -> Tensor<F> {
        match self.axes {
            [] => value.clone(),
            axes => {
                let mut inverse = vec![0; axes.len()];
                axes.iter().enumerate().for_each(|(theirs, &ours)| inverse[ours] = theirs);
                transpose(&Pool::new(), value, &inverse)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_and_its_inverse_move_each_element() {
        let layout = Layout::permuted(&[3, 2, 0, 1]);
        let ours = Tensor::from_fn([2, 3, 4, 5], |i| i as f64);
        let theirs = layout.to_pytorch(&ours);
        assert_eq!(theirs.shape(), &layout.shape_in_pytorch(ours.shape()));
        assert_eq!(theirs.shape()[..], [5, 4, 2, 3]);
        assert_eq!(theirs.get(&[4, 1, 0, 2]), ours.get(&[0, 2, 1, 4]));
        assert_eq!(layout.from_pytorch(&theirs), ours);
    }
}
