//! The width of a Gaussian kernel.

use stochgrad_tape::Var;
use stochgrad_tensor::Real;
use stochgrad_tensor::sort::Order;

/// The width $\sigma$ of the kernel $k(x, y) = \exp\big(-\lVert x - y \rVert^2 / (2 \sigma^2)\big)$.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum KernelWidth {
    /// The median of the distances between all pairs of samples, the pairs of a sample with itself included.
    #[default]
    Median,
    /// A fixed width above 0.
    Fixed(f64),
}

impl KernelWidth {
    /// The square of the width, given the squared distances of all pairs.
    pub(crate) fn square<'t, F: Real>(self, squares: Var<'t, F>) -> Var<'t, F> {
        match self {
            KernelWidth::Fixed(width) => squares.tape().constant(width * width),
            KernelWidth::Median => {
                let count = squares.shape().numel();
                let (sorted, _) = squares.reshape([count]).sort(0, Order::Ascending);
                sorted.index(0, count / 2)
            }
        }
    }

    /// What is wrong with the width, if anything is.
    pub(crate) fn problem(self) -> Option<String> {
        match self {
            KernelWidth::Fixed(width) if !(width > 0.0 && width.is_finite()) => {
                Some(format!("expected a finite kernel width above 0, got {width}"))
            }
            KernelWidth::Fixed(_) | KernelWidth::Median => None,
        }
    }
}
