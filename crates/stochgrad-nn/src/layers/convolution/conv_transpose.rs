//! Transposed convolutions.

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

/// A transposed convolution along `N` axes: [`ConvTranspose1d`] for signals, [`ConvTranspose2d`] for images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvTranspose<const N: usize> {
    kernel: Kernel<N>,
    output_padding: [usize; N],
}

/// A transposed convolution of signals, which enlarges them where a convolution with the same geometry makes them
/// smaller. It has weights `name.weight` of shape `[kernel length, outputs / groups, inputs]` and biases `name.bias` of
/// shape `[outputs]`. The event shape `[.., length, inputs]` becomes `[.., length, outputs]`, with the sizes of
/// [`Convolution::transposed_size`](crate::Convolution::transposed_size); see [`Var::conv_transpose1d`].
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{ConvTranspose1d, ConvKernel, Convolution, Layer, Parameters};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// let mut parameters = Parameters::<f32>::new();
/// let kernel = ConvKernel::new([4]).convolution(Convolution::new().stride([2]).padding([1]));
/// let layer = ConvTranspose1d::new(&mut parameters, "conv", [8, 1], kernel, Seed::new(7))?;
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let x = graph.data("batch", Tensor::ones([2, 14, 8]))?;
/// assert_eq!(layer.forward(&parameters.on(&graph), x)?.shape()[..], [28, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type ConvTranspose1d = ConvTranspose<1>;

/// A transposed convolution of images, which enlarges them where a convolution with the same geometry makes them
/// smaller. It has weights `name.weight` of shape `[kernel height, kernel width, outputs / groups, inputs]` and biases
/// `name.bias` of shape `[outputs]`. The event shape `[.., height, width, inputs]` becomes `[.., height, width,
/// outputs]`, with the sizes of [`Convolution::transposed_size`](crate::Convolution::transposed_size); see [`Var::conv_transpose2d`].
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{ConvTranspose2d, ConvKernel, Convolution, Layer, Parameters};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// let mut parameters = Parameters::<f32>::new();
/// let kernel = ConvKernel::new([4, 4]).convolution(Convolution::new().stride([2, 2]).padding([1, 1]));
/// let layer = ConvTranspose2d::new(&mut parameters, "conv", [8, 1], kernel, Seed::new(7))?;
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let x = graph.data("batch", Tensor::ones([2, 14, 14, 8]))?;
/// assert_eq!(layer.forward(&parameters.on(&graph), x)?.shape()[..], [28, 28, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type ConvTranspose2d = ConvTranspose<2>;

impl<const N: usize> ConvTranspose<N> {
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
        let kernel = Kernel::new(parameters.into().into_scope(name), channels, kernel.into(), true, seed)?;
        Ok(Self { kernel, output_padding: [0; N] })
    }

    /// Adds positions at the end of each axis of the output, fewer than the stride or the dilation: several sizes have
    /// a convolution of the size of the input.
    pub fn output_padding(self, output_padding: [usize; N]) -> Self {
        Self { output_padding, ..self }
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
        let size = |size| self.kernel.geometry.transposed_size(size, self.kernel.size, self.output_padding);
        self.kernel.apply(record, x, size, convolve, at)
    }
}

impl<F: Real> Layer<F> for ConvTranspose<1> {
    /// The event shape `[.., length, inputs]` becomes `[.., length, outputs]`.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let convolve = |x: Var<'t, F>, weight| x.conv_transpose1d(weight, self.kernel.geometry, self.output_padding);
        self.apply(record, x, convolve, Location::caller())
    }
}

impl<F: Real> Layer<F> for ConvTranspose<2> {
    /// The event shape `[.., height, width, inputs]` becomes `[.., height, width, outputs]`.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let convolve = |x: Var<'t, F>, weight| x.conv_transpose2d(weight, self.kernel.geometry, self.output_padding);
        self.apply(record, x, convolve, Location::caller())
    }
}

#[cfg(test)]
mod tests {
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
            let conv = ConvTranspose2d::new(&mut parameters, "conv", [4, 2], kernel([3, 2], geometry), SEED).unwrap();
            LayerCheck::new(parameters, values([2, 2, 3, 4])).run(&conv);
        }
        let mut parameters = Parameters::new();
        let geometry = Convolution::new().stride([2]).padding([1]);
        let conv = ConvTranspose1d::new(&mut parameters, "conv", [2, 3], kernel([3], geometry), SEED).unwrap();
        LayerCheck::new(parameters, values([2, 2, 3, 2])).run(&conv.output_padding([1]));
    }

    #[test]
    fn inputs_that_do_not_fit_are_errors() {
        let mut parameters = Parameters::<f64>::new();
        let geometry = Convolution::new().padding([2, 0]);
        let conv = ConvTranspose2d::new(&mut parameters, "conv", [2, 3], kernel([2, 2], geometry), SEED).unwrap();
        let cases = [
            (values([4, 4, 3]), "expected 2 elements on the last event axis"),
            (values([4, 2]), "expected the event axes [.., height, width, 2]"),
            (values([1, 2, 2]), "expected a padding that removes at most 2 positions along axis 0"),
        ];
        assert_refused(&parameters, &conv, "`conv.weight`", cases);
    }
}
