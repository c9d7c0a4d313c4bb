//! Convolutions, transposed convolutions and padding.

use crate::op::Op;
use crate::var::Var;
use stochgrad_tensor::convolution::Convolution;
use stochgrad_tensor::{Real, Shape};

/// Convolutions of signals and images. Channels are the last event axis.
impl<'t, F: Real> Var<'t, F> {
    /// The convolution of images with weights. (As in other libraries, the kernel is not reversed.)
    ///
    /// The last event axes of this value are [height, width, inputs]; axes before them are kept. The event shape of the
    /// weights is [kernel height, kernel width, inputs / groups, outputs]. The result has the event axes [output
    /// height, output width, outputs], with the sizes of [`Convolution::output_size`]. Group g of the outputs reads group g of
    /// the inputs. The result is on the plates of both operands.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    /// use stochgrad_tensor::convolution::Convolution;
    ///
    /// let tape = Tape::<f64>::new();
    /// let image = tape.constant(Tensor::ones([4, 4, 1]));
    /// let weights = tape.constant(Tensor::ones([3, 3, 1, 2]));
    /// let sums = image.conv2d(weights, Convolution::new().stride([2, 2]).padding([1, 1]));
    /// assert_eq!(sums.shape()[..], [2, 2, 2]);
    /// assert_eq!(sums.peek().unwrap().as_slice(), &[4.0, 4.0, 6.0, 6.0, 6.0, 6.0, 9.0, 9.0]);
    /// ```
    #[track_caller]
    pub fn conv2d(self, weights: Self, geometry: Convolution<2>) -> Self {
        self.apply_with(Op::Convolve(geometry), &[weights])
    }

    /// The convolution of signals with weights: [`conv2d`](Self::conv2d) along one axis.
    ///
    /// The last event axes of this value are [length, inputs], the event shape of the weights is [kernel length,
    /// inputs / groups, outputs], and the result has the event axes [output length, outputs].
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::convolution::Convolution;
    ///
    /// let tape = Tape::<f64>::new();
    /// let signal = tape.constant([[1.0], [4.0], [9.0], [16.0]]);
    /// let differences = signal.conv1d(tape.constant([[[-1.0]], [[1.0]]]), Convolution::new());
    /// assert_eq!(differences.peek().unwrap().as_slice(), &[3.0, 5.0, 7.0]);
    /// ```
    #[track_caller]
    pub fn conv1d(self, weights: Self, geometry: Convolution<1>) -> Self {
        match self.as_images("conv1d", weights) {
            Ok((images, weights)) => images.conv2d(weights, geometry.into()).as_signals(),
            Err(poisoned) => poisoned,
        }
    }

    /// The transposed convolution of images: the adjoint of the convolution with the same weights and geometry.
    ///
    /// The last event axes of this value are [height, width, inputs]. The event shape of the weights is [kernel height,
    /// kernel width, outputs / groups, inputs], which is that of the convolution from the outputs to the inputs. The
    /// result has the event axes [output height, output width, outputs], with the sizes of
    /// [`Convolution::transposed_size`]. With a stride above 1, several sizes have a convolution of this size;
    /// `output_padding` is added to the least of them.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    /// use stochgrad_tensor::convolution::Convolution;
    ///
    /// let tape = Tape::<f64>::new();
    /// let image = tape.constant(Tensor::ones([7, 7, 3]));
    /// let weights = tape.constant(Tensor::ones([4, 4, 5, 3]));
    /// let larger = image.conv_transpose2d(weights, Convolution::new().stride([2, 2]).padding([1, 1]), [0, 0]);
    /// assert_eq!(larger.shape()[..], [14, 14, 5]);
    /// ```
    #[track_caller]
    pub fn conv_transpose2d(self, weights: Self, geometry: Convolution<2>, output_padding: [usize; 2]) -> Self {
        let (own, kernel) = (self.shape(), weights.shape());
        // The operation itself reports wrong numbers of axes.
        let size = match (own.last_chunk(), kernel.first_chunk()) {
            (Some(&[height, width, _]), Some(&kernel)) => {
                match geometry.transposed_size([height, width], kernel, output_padding) {
                    Ok(size) => size,
                    Err(problem) => return self.refuse("transposed convolution", problem),
                }
            }
            _ => [0, 0],
        };
        self.apply_with(Op::ConvolveAdjoint(geometry, size), &[weights])
    }

    /// The transposed convolution of signals: [`conv_transpose2d`](Self::conv_transpose2d) along one axis.
    ///
    /// The last event axes of this value are [length, inputs], the event shape of the weights is [kernel length,
    /// outputs / groups, inputs], and the result has the event axes [output length, outputs].
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::convolution::Convolution;
    ///
    /// let tape = Tape::<f64>::new();
    /// let signal = tape.constant([[1.0], [2.0]]);
    /// let repeated = signal.conv_transpose1d(tape.constant([[[1.0]], [[1.0]]]), Convolution::new().stride([2]), [0]);
    /// assert_eq!(repeated.peek().unwrap().as_slice(), &[1.0, 1.0, 2.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn conv_transpose1d(self, weights: Self, geometry: Convolution<1>, output_padding: [usize; 1]) -> Self {
        match self.as_images("conv_transpose1d", weights) {
            Ok((images, weights)) => {
                images.conv_transpose2d(weights, geometry.into(), [0, output_padding[0]]).as_signals()
            }
            Err(poisoned) => poisoned,
        }
    }

    /// The value with zeros before and after its elements along an event axis.
    ///
    /// ```
    /// use stochgrad_tape::Tape;
    ///
    /// let tape = Tape::<f64>::new();
    /// let padded = tape.constant([[1.0, 2.0], [3.0, 4.0]]).pad(-1, 1, 2);
    /// assert_eq!(padded.peek().unwrap().as_slice(), &[0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn pad(self, axis: isize, before: usize, after: usize) -> Self {
        let Some(at) = self.event_axis(axis) else { return self.no_axis("pad", axis) };
        let full = self.shape()[at].saturating_add(before).saturating_add(after);
        self.apply(Op::PadInto { axis: at, start: before, full })
    }

    /// Signals and their weights as images of height 1.
    #[track_caller]
    fn as_images(self, what: &str, weights: Self) -> Result<(Self, Self), Self> {
        if self.is_poisoned() || weights.is_poisoned() {
            return Err(if self.is_poisoned() { self } else { weights });
        }
        let images = self.signals_as_images(what)?;
        let &[length, inputs, outputs] = &weights.shape()[..] else {
            return Err(weights.refuse(
                what,
                "expected weights with three event axes, [kernel length, channels of a group, channels]".into(),
            ));
        };
        Ok((images, weights.reshape([1, length, inputs, outputs])))
    }

    /// Signals as images of height 1.
    #[track_caller]
    pub(super) fn signals_as_images(self, what: &str) -> Result<Self, Self> {
        let event = self.shape();
        let Some((lead, &[length, channels])) = event.split_last_chunk() else {
            return Err(self.refuse(what, "expected signals as the last two event axes, [length, channels]".into()));
        };
        Ok(self.reshape(lead.iter().copied().chain([1, length, channels]).collect::<Shape>()))
    }

    /// Images of height 1 as signals.
    #[track_caller]
    pub(super) fn as_signals(self) -> Self {
        let event = self.shape();
        match event.split_last_chunk() {
            Some((lead, &[_, length, channels])) => {
                self.reshape(lead.iter().copied().chain([length, channels]).collect::<Shape>())
            }
            None => self,
        }
    }
}
