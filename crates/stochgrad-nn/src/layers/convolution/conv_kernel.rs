//! The kernel of a convolution, as a program states it.

use stochgrad_tensor::convolution::Convolution;

use crate::initialization::Initialization;

/// The kernel of a convolution along `N` axes: its size, how it moves, its initial values, and whether there are biases.
/// Constructors of convolutions also take its size alone.
///
/// ```
/// use stochgrad_graph::Seed;
/// use stochgrad_nn::{Conv2d, ConvKernel, Convolution, Parameters};
///
/// let seed = Seed::new(7);
/// let halved = ConvKernel::new([4, 4]).convolution(Convolution::new().stride([2, 2]).padding([1, 1]));
/// let mut parameters = Parameters::<f32>::new();
/// let first = Conv2d::new(&mut parameters, "first", [1, 8], halved.without_bias(), seed)?;
/// let second = Conv2d::new(&mut parameters, "second", [8, 4], [1, 1], seed)?;
/// assert_eq!((first.bias(), second.bias()), (None, Some("second.bias")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvKernel<const N: usize> {
    pub(super) size: [usize; N],
    pub(super) convolution: Convolution<N>,
    pub(super) initialization: Initialization,
    pub(super) has_bias: bool,
}

impl<const N: usize> ConvKernel<N> {
    /// A kernel of this size, which moves by one position, with biases, and with the initial values of
    /// [`Initialization::Uniform`].
    pub fn new(size: [usize; N]) -> Self {
        Self { size, convolution: Convolution::new(), initialization: Initialization::Uniform, has_bias: true }
    }

    /// Sets the stride, the padding, the dilation and the groups.
    pub fn convolution(self, convolution: Convolution<N>) -> Self {
        Self { convolution, ..self }
    }

    /// Sets the initial values.
    pub fn initialization(self, initialization: Initialization) -> Self {
        Self { initialization, ..self }
    }

    /// Leaves out the biases, as before a normalisation, which has its own.
    pub fn without_bias(self) -> Self {
        Self { has_bias: false, ..self }
    }
}

/// A kernel of this size; see [`ConvKernel::new`].
impl<const N: usize> From<[usize; N]> for ConvKernel<N> {
    fn from(size: [usize; N]) -> Self {
        Self::new(size)
    }
}
