//! Convolutions.

use std::panic::Location;

use stochgrad_graph::{GraphResult, Seed};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

use crate::error::NnResult;
use crate::layers::Layer;
use crate::layers::convolution::ConvKernel;
use crate::layers::convolution::kernel::Kernel;
use crate::parameters::Scope;
use crate::record::Record;

/// A convolution along `N` axes: [`Conv1d`] for signals, [`Conv2d`] for images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conv<const N: usize> {
    kernel: Kernel<N>,
}

/// A convolution of signals, with weights `name.weight` of shape `[kernel length, inputs / groups, outputs]` and biases
/// `name.bias` of shape `[outputs]`. The event shape `[.., length, inputs]` becomes `[.., length, outputs]`, with the
/// sizes of [`Convolution::output_size`](crate::Convolution::output_size); see [`Var::conv1d`].
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Conv1d, ConvKernel, Convolution, Layer, Parameters};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// let mut parameters = Parameters::<f32>::new();
/// let kernel = ConvKernel::new([4]).convolution(Convolution::new().stride([2]).padding([1]));
/// let layer = Conv1d::new(&mut parameters, "conv", [1, 8], kernel, Seed::new(7))?;
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let x = graph.data("batch", Tensor::ones([2, 28, 1]))?;
/// assert_eq!(layer.forward(&parameters.on(&graph), x)?.shape()[..], [14, 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Conv1d = Conv<1>;

/// A convolution of images, with weights `name.weight` of shape `[kernel height, kernel width, inputs / groups,
/// outputs]` and biases `name.bias` of shape `[outputs]`. The event shape `[.., height, width, inputs]` becomes `[..,
/// height, width, outputs]`, with the sizes of [`Convolution::output_size`](crate::Convolution::output_size); see [`Var::conv2d`].
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Conv2d, ConvKernel, Convolution, Layer, Parameters};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// let mut parameters = Parameters::<f32>::new();
/// let kernel = ConvKernel::new([4, 4]).convolution(Convolution::new().stride([2, 2]).padding([1, 1]));
/// let layer = Conv2d::new(&mut parameters, "conv", [1, 8], kernel, Seed::new(7))?;
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let x = graph.data("batch", Tensor::ones([2, 28, 28, 1]))?;
/// assert_eq!(layer.forward(&parameters.on(&graph), x)?.shape()[..], [14, 14, 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Conv2d = Conv<2>;

impl<const N: usize> Conv<N> {
    /// Adds the weights and biases. `channels` are the numbers of inputs and outputs, and `kernel` is the size of the
    /// kernel, or a [`ConvKernel`] that states more.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`](crate::NnError::InvalidArgument) if a number of channels or a size of the kernel is
    /// 0, if the groups do not divide the channels, or if a name is taken. Nothing is added in this case.
    pub fn new<'a, F: Real>(
        parameters: impl Into<Scope<'a, F>>,
        name: &str,
        channels: [usize; 2],
        kernel: impl Into<ConvKernel<N>>,
        seed: Seed,
    ) -> NnResult<Self> {
        let kernel = Kernel::new(parameters.into().into_scope(name), channels, kernel.into(), false, seed)?;
        Ok(Self { kernel })
    }

    /// The full name of the weights.
    pub fn weight(&self) -> &str {
        &self.kernel.weight
    }

    /// The full name of the biases, if there are any.
    pub fn bias(&self) -> Option<&str> {
        self.kernel.bias.as_deref()
    }

    /// The numbers of input and output channels.
    pub fn channels(&self) -> [usize; 2] {
        self.kernel.channels
    }

    /// The output, from the operation of the tape.
    fn apply<'t, F: Real>(
        &self,
        record: &Record<'_, 't, F>,
        x: Var<'t, F>,
        convolve: impl FnOnce(Var<'t, F>, Var<'t, F>) -> Var<'t, F>,
        at: &'static Location<'static>,
    ) -> GraphResult<Var<'t, F>> {
        let size = |size| self.kernel.geometry.output_size(size, self.kernel.size);
        self.kernel.apply(record, x, size, convolve, at)
    }
}

impl<F: Real> Layer<F> for Conv<1> {
    /// The event shape `[.., length, inputs]` becomes `[.., length, outputs]`.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let convolve = |x: Var<'t, F>, weight| x.conv1d(weight, self.kernel.geometry);
        self.apply(record, x, convolve, Location::caller())
    }
}

impl<F: Real> Layer<F> for Conv<2> {
    /// The event shape `[.., height, width, inputs]` becomes `[.., height, width, outputs]`.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let convolve = |x: Var<'t, F>, weight| x.conv2d(weight, self.kernel.geometry);
        self.apply(record, x, convolve, Location::caller())
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::Graph;
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;
    use stochgrad_tensor::convolution::Convolution;

    use super::*;
    use crate::layers::check::{LayerCheck, assert_refused, values};
    use crate::parameters::Parameters;

    const SEED: Seed = Seed { seed: 7, step: 0 };
    fn kernel<const N: usize>(size: [usize; N], convolution: Convolution<N>) -> ConvKernel<N> {
        ConvKernel::new(size).convolution(convolution)
    }

    #[test]
    fn derivatives_plates_and_programs() {
        let plain = Convolution::new();
        for geometry in [plain, plain.stride([2, 1]).padding([1, 0]), plain.groups(2).dilation([1, 2])] {
            let mut parameters = Parameters::new();
            let conv = Conv2d::new(&mut parameters, "conv", [2, 4], kernel([3, 2], geometry), SEED).unwrap();
            LayerCheck::new(parameters, values([2, 4, 3, 2])).run(&conv);
        }
        let mut parameters = Parameters::new();
        let geometry = Convolution::new().stride([2]).padding([1]);
        let conv = Conv1d::new(&mut parameters, "conv", [2, 3], kernel([3], geometry), SEED).unwrap();
        LayerCheck::new(parameters, values([2, 2, 5, 2])).run(&conv);
    }

    #[test]
    fn a_convolution_without_bias_is_one_whose_biases_are_zero() {
        let (mut plain, mut zeros) = (Parameters::<f64>::new(), Parameters::new());
        let kernel = ConvKernel::new([3, 2]);
        let conv = Conv2d::new(&mut plain, "conv", [2, 3], kernel.without_bias(), SEED).unwrap();
        let with_zeros = Conv2d::new(&mut zeros, "conv", [2, 3], kernel, SEED).unwrap();
        assert_eq!((conv.bias(), plain.len()), (None, 1));
        zeros.set("conv.bias", Tensor::zeros([3])).unwrap();
        let output = |conv: &Conv2d, parameters: &Parameters<f64>| {
            let tape = Tape::new();
            let graph = Graph::new(&tape, SEED);
            conv.forward(&parameters.on(&graph), graph.constant(values([4, 4, 2]))).unwrap().value().unwrap()
        };
        assert_eq!(output(&conv, &plain), output(&with_zeros, &zeros));
        LayerCheck::new(plain, values([2, 4, 3, 2])).run(&conv);
    }

    #[test]
    fn inputs_that_do_not_fit_are_errors() {
        let mut parameters = Parameters::<f64>::new();
        let conv = Conv2d::new(&mut parameters, "conv", [2, 3], [3, 3], SEED).unwrap();
        let cases = [
            (values([4, 4, 3]), "expected 2 elements on the last event axis"),
            (values([4, 2]), "expected the event axes [.., height, width, 2]"),
            (values([4, 2, 2]), "expected a kernel that spans at most 2 positions along axis 1"),
        ];
        assert_refused(&parameters, &conv, "`conv.weight`", cases);
        let groups = Convolution::new().groups(2);
        for (channels, size) in [([3, 2], [1, 1]), ([2, 3], [1, 1]), ([0, 2], [1, 1]), ([2, 2], [0, 1])] {
            let made = Conv2d::new(&mut parameters, "other", channels, kernel(size, groups), SEED);
            assert!(made.unwrap_err().to_string().contains("`other`"));
        }
        assert_eq!(parameters.len(), 2);
    }

    /// A kernel of one position is a linear layer.
    #[test]
    fn a_kernel_of_one_position_is_a_linear_layer() {
        let mut parameters = Parameters::<f64>::new();
        let conv = Conv2d::new(&mut parameters, "conv", [2, 3], [1, 1], SEED).unwrap();
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let x = graph.constant(values([4, 5, 2]));
        let y = conv.forward(&parameters.on(&graph), x).unwrap();
        let weight: Tensor<f64> = parameters.get(conv.weight()).unwrap().reshape([2, 3]).unwrap();
        let expected = x.matmul(graph.constant(weight)) + graph.constant(parameters.get(conv.bias().unwrap()).unwrap());
        assert!((y - expected).abs().max().item().unwrap() < 1e-15);
    }
}
